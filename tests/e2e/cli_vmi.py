# SPDX-License-Identifier: MIT
"""-vmi, `info vmi`, counters at exit, `weir vmi list|disas|dump|check`, and that docs/vmi.md has the
calls as they are. The guest is the kernel of guest/vmi."""
import os
import tempfile
from clitest import ROOT, Monitor, Weir, check, main, run, same

KERNEL = os.environ['WEIR_VMI_KERNEL']
ARGS = ['-m', '32', '-vga', 'none', '-nodefaults', '-display', 'none', '-no-reboot', '-serial',
        'stdio', '-device', 'isa-debug-exit,iobase=0xf4,iosize=1', '-kernel', KERNEL]


def options():
    for vmi in ('on', '3', '13', '3,base=0xc8000', 'api=13,base=0xd4000,faults=guest'):
        status, out, _ = run(*ARGS, '-append', 'find', '-vmi', vmi)
        same(status, 1, f'-vmi {vmi}: status')
        check('VMI: Found Weir VMI ROM, API version ' + ('13' if '13' in vmi else '3') in out,
              f'-vmi {vmi}: {out}')
    status, out, _ = run(*ARGS, '-append', 'find', '-vmi', 'off')
    same((status, 'Found' in out), (3, False), '-vmi off')
    for vmi, why in (('4', "unknown value '4'"), ('3,base=x', 'base=x'),
                     ('3,base=0xd0800', 'base=0xd0800'), ('3,conters=on', "'counters'"),
                     ('3,faults=no', "unknown value 'no'")):
        status, _, err = run(*ARGS, '-append', 'find', '-vmi', vmi)
        same(status, 1, f'-vmi {vmi}: status')
        check(why in err and err.count('\n') == 1, f'-vmi {vmi}: {err}')


def conflict():
    status, _, err = run('-m', '32', '-vmi', '3,base=0xc0000', '-display', 'none', '-nodefaults')
    same(status, 1, 'a ROM over the video BIOS: status')
    check('the video BIOS is at 0xc0000' in err and 'use base=0x' in err, err)


def counters():
    status, _, err = run(*ARGS, '-append', 'calls', '-vmi', '3,counters=on')
    same(status, 1, 'counters=on: status')
    for text in ('VMI ROM, API 3.0, at 0xd0000-0xd2fff, with counters', 'VMI_SetGDT ',
                 'delivered, by vector:', '0x80 ', 'system calls'):
        check(text in err, f'counters=on: no {text!r} in {err}')
    _, _, err = run(*ARGS, '-append', 'calls', '-vmi', '3')
    same(err, '', 'without counters')


def unexpected_fault():
    status, _, err = run(*ARGS, '-append', 'bad stack', '-vmi', '3')
    same(status, 1, 'a bad stack: status')
    check(err.startswith('weir: Unexpected fault in the ROM, ip c00d0') and '(VMI_FlushTLB+' in err,
          err)


def lockstep():
    for vmi in ('3,counters=on', '13'):
        for command in ('calls', 'tasks vmi 8'):
            status, _, err = run(*ARGS, '-append', command, '-vmi', vmi, '-accel', 'check')
            check(status == 1 and 'were equal for' in err and '(debug exit)' in err,
                  f'{vmi}, {command}: {err}')


def monitor():
    with Weir('-m', '32', '-vga', 'none', '-nodefaults', '-display', 'none', '-S', '-kernel', KERNEL,
              '-append', 'find', '-vmi', '13', '-monitor', 'unix:@/mon,server=on,wait=off') as vm:
        talk = Monitor(vm.connect('mon'))
        out = talk.command('info vmi')
        check('VMI ROM, API 13.0' in out and 'not initialised' in out, out)
        out = talk.command('info roms')
        check('vmi-rom' in out, out)


def tools():
    with tempfile.TemporaryDirectory() as folder:
        for api in ('3', '13'):
            rom = os.path.join(folder, 'rom')
            same(run('vmi', 'dump', f'--api={api}', rom), (0, '', ''), 'vmi dump')
            same(os.path.getsize(rom), 0x3000, 'size of the ROM')
            status, out, _ = run('vmi', 'check', rom)
            check(status == 0 and out.endswith(': good\n'), out)
            with open(rom, 'r+b') as f:
                f.seek(0x300)
                f.write(b'\x55')
            status, out, _ = run('vmi', 'check', rom)
            check(status == 1 and 'error: the sum of all bytes' in out, out)
    status, out, _ = run('vmi', 'disas', 'SetGDT')
    same(status, 0, 'vmi disas: status')
    for text in ('API 3.0, number 3', 'CALL_REL', 'EAX -> u16 limit, u32 base', 'loads GDTR', 'vmcall'):
        check(text in out, out)
    status, out, _ = run('vmi', 'disas', '--api=13', '--counters', 'SetGDT')
    for text in ('slot 8', ' P ff 05', 'counter of SetGDT', 'exit_SetGDT', "the host's set_gdt"):
        check(text in out, out)
    status, out, _ = run('vmi', 'disas', 'GetRelocationInfo')
    check(status == 0 and 'at ROM+0x88' in out and out.count(' ret') == 2, out)
    status, out, _ = run('vmi', 'disas', '--api=13', 'Init')
    check(status == 0 and 'address of the slots' in out and "the host's init" in out, out)
    same(run('vmi', 'disas', '--api=13', 'GetRelocationInfo')[0], 1, 'GetRelocationInfo of 13.0')
    for line in (['vmi'], ['vmi', 'disas'], ['vmi', 'nothing'], ['vmi', 'list', '--api=4']):
        status, _, err = run(*line)
        check(status == 1 and err.startswith('usage: weir vmi'), f'{line}: {err}')
    status, _, err = run('vmi', 'disas', 'Nothing')
    check(status == 1 and 'no such call' in err, err)
    status, _, err = run('vmi', 'check', '/nonexistent')
    check(status == 1 and 'No such file' in err, err)
    for path, why in (('/etc/passwd', 'no option ROM'), ('/dev/null', 'less than a VMI header'),
                      ('/', 'Is a directory'), ('/dev/zero', 'no option ROM')):
        status, out, err = run('vmi', 'check', path)
        check((status, out) == (1, '') and why in err and err.count('\n') == 1, out + err)
    status, out, _ = run('vmi', 'disas', 'SetInterruptMask')
    check('; VMI_SetInterruptMask+0x7' in out and 'patch-up' not in out, out)


def documentation():
    with open(os.path.join(ROOT, 'docs', 'vmi.md'), encoding='utf-8') as f:
        doc = f.read()
    for api in ('3', '13'):
        _, out, _ = run('vmi', 'list', f'--api={api}', '--markdown')
        check(out in doc, f'docs/vmi.md: its table of calls of API {api} is not what '
              f'`weir vmi list --api={api} --markdown` prints')


main(options, conflict, counters, unexpected_fault, lockstep, monitor, tools, documentation)
