# SPDX-License-Identifier: MIT
"""The gdb stub with a real gdb: modes, breakpoints, watchpoints, steps, DOS, Linux; both engines.
Arguments: names of tests."""
import os
import re
import sys
import tempfile
import time
from gdbtest import GDB, Gdb, Target, write_symbols
from weirtest import Failure, SLOW, WEIR, dos_images, guests, main

ENGINES = ('interp', 'jit')
GUESTS = os.environ.get('WEIR_BOOT', 'build/tests/guest')
BOOT, REAL = os.path.join(GUESTS, 'modes'), os.path.join(GUESTS, 'real')
SCRIPT = os.path.join(os.path.dirname(__file__), '../../tools/gdb/real_mode.py')


def symbols(program=BOOT):
    import subprocess
    text = subprocess.run(['nm', program + '.elf'], check=True, capture_output=True, text=True).stdout
    return {line.split()[2]: int(line.split()[0], 16) for line in text.splitlines()}


def check(value, wanted, what):
    if value != wanted:
        raise Failure(f'{what}: {value!r}, not {wanted!r}')


def boot_sector(engine, *more, program=BOOT):
    return Target('-accel', engine, '-m', '16', '-fda', program + '.img', '-boot', 'a', '-snapshot',
                  *more)


# ---- modes ----

def follow_modes(engine):
    """Without a file: gdb has the architecture of the mode it attached in, and that of a later
    mode after `unset tdesc filename`."""
    at = symbols()
    with boot_sector(engine, '-S') as vm, Gdb() as gdb:
        vm.attach(gdb)
        gdb.expect('show architecture', 'currently "i8086"')
        check(gdb.value('$pc'), 0xfffffff0, 'pc at reset')
        gdb.expect('x/i $pc', r'=> 0xfffffff0:\s+ljmp +\$0xf000,\$0xe05b')
        gdb.command(f'tbreak *{at["real_start"]:#x}')
        gdb.expect('continue', r'0x0*7c00 in')
        gdb.expect('x/i $pc', r'cli')
        check(gdb.value('$eip - $cs_base'), 0x7c00 - gdb.value('$cs') * 16, 'IP')
        for _ in range(7):
            gdb.command('stepi')
        check((gdb.value('$ss'), gdb.value('$ss_base'), gdb.value('$sp')), (0x700, 0x7000, 0xc00),
              'stack')
        gdb.expect('x/i $pc', r'call')
        gdb.command('stepi')
        check(gdb.value('$pc'), at['real_call'], 'pc in the call')
        check(gdb.value('*(unsigned short *)($ss_base + $sp)'), at['real_call'] - 0x15,
              'return address')
        gdb.command(f'tbreak *{at["enter_protected"]:#x}')
        gdb.command('continue')
        check(gdb.value('$bx'), 0x1234, 'bx')
        gdb.expect('p $cr0', r'PE')
        gdb.command('stepi')
        check(gdb.value('$pc'), at['protected_start'], 'pc in protected mode')
        gdb.command('unset tdesc filename')
        gdb.expect('show architecture', 'currently "i386"')
        gdb.expect('x/i $pc', r'mov +\$0x10,%eax')
        gdb.command(f'tbreak *{at["enter_long"]:#x}')
        gdb.command('continue')
        gdb.command('stepi')
        check(gdb.value('$pc'), at['long_start'], 'pc in long mode')
        gdb.expect('p $efer', r'LME.*LMA')
        gdb.command('unset tdesc filename')
        gdb.expect('show architecture', 'currently "i386:x86-64"')
        gdb.command(f'tbreak *{at["outer"]:#x}')
        gdb.command('continue')
        check(gdb.value('$r15'), 0x123456789abcdef0, 'r15')
        check(gdb.value('$xmm5.v2_int64[0]'), 0x123456789abcdef0, 'xmm5')
        gdb.expect('info registers rip', f'0x0*{at["outer"]:x}')
        gdb.command('set $r15 = 5')
        gdb.command('set $xmm5.v2_int64[1] = 7')
        gdb.command('stepi')
        check((gdb.value('$r15'), gdb.value('$xmm5.v2_int64[1]')), (5, 7), 'set registers')
        gdb.command('kill')
        vm.wait(10)


def step_into_modes(engine):
    """With a 64-bit file gdb keeps its x86-64 view from reset on; every single step from real
    mode to long mode arrives where the code says."""
    at = symbols()
    with boot_sector(engine, '-S') as vm, Gdb(BOOT + '.elf') as gdb:
        vm.attach(gdb)
        gdb.expect('show architecture', 'currently "i386:x86-64"')
        gdb.command('break real_start')
        gdb.expect('continue', r'Breakpoint 1, .*real_start')
        places = []
        while gdb.value('$pc') != at['long_start'] and len(places) < 60:
            places.append(gdb.value('$pc'))
            if gdb.value('*(unsigned char *)$pc') == 0xf3:  # rep stosd
                gdb.command(f'tbreak *{places[-1] + 2:#x}')
                gdb.command('continue')
            else:
                gdb.command('stepi')
        check(gdb.value('$pc'), at['long_start'], 'end of the steps')
        for name in ('real_start', 'real_call', 'enter_protected', 'protected_start', 'enter_long'):
            if at[name] not in places:
                raise Failure(f'no step was at {name}: {[hex(p) for p in places]}')
        check(places, sorted(set(places), key=places.index), 'no place twice')
        check(len(places), 41, 'number of steps')


# ---- 16-bit code ----

def calls(engine):
    """Without a file: nexti is over every kind of call, finish leaves each, until and advance stop
    where they shall."""
    at = symbols(REAL)
    around = ['call_near', 'call_framed', 'call_far', 'call_table', 'call_int', 'call_pushed',
              'call_rep', 'call_end']
    with boot_sector(engine, '-S', program=REAL) as vm, Gdb() as gdb:
        gdb.expect(f'source {SCRIPT}', r'^\s*$')
        vm.attach(gdb)
        gdb.command(f'tbreak *{at["again"]:#x}')
        gdb.expect('continue', r'0x0*7c20 in')
        places = [gdb.value('$pc')]
        while len(places) < 40 and (len(places) == 1 or places[-1] != at['again']):
            gdb.command('nexti')
            places.append(gdb.value('$pc'))
        check(places[-1], at['again'], 'end of the loop')
        outside = [hex(p) for p in places if not at['again'] <= p <= at['near_function']]
        check(outside, [], 'places inside of what was called')
        check(sorted(set(at[name] for name in around) - set(places)), [], 'places left out')
        check(len(places), 17, 'number of steps')
        check((gdb.value('$sp'), gdb.value('$cs')), (0xff0, 0), 'stack and segment')
        # Each function is left behind what called it.
        for inside, behind in (('near_function', at['call_framed']), ('framed', at['call_far']),
                               ('far_function', at['call_table']), ('far_near', None),
                               ('handler', at['call_pushed']), ('far_inner', at['handler'] + 9),
                               ('pushed', at['call_rep'])):
            gdb.command(f'tbreak *{at[inside]:#x}')
            gdb.expect('continue', r'0x0*7[cd]')
            for _ in range(2 if inside in ('near_function', 'handler') else 0):
                gdb.command('stepi')
            gdb.expect('finish', 'Run till exit')
            check(gdb.value('$pc'), behind or at['far_function'] + 5, f'behind {inside}')
        gdb.command('delete')
        gdb.command(f'until *{at["call_end"]:#x}')
        check(gdb.value('$pc'), at['call_end'], 'until')
        gdb.command(f'advance *{at["far_inner"]:#x}')
        check(gdb.value('$pc'), at['far_inner'], 'advance')
        check((gdb.value('$cs'), gdb.value('$eip - $cs_base')), (0x7d0, 0x0c), 'CS and IP')
        gdb.expect('bt', rf'#0 .*{at["far_inner"]:x}.*\n#1 .*{at["handler"] + 9:x}.*\n'
                         rf'#2 .*{at["call_pushed"]:x}')
        gdb.command('up')
        check((gdb.value('$cs'), gdb.value('$sp')), (0x7c0, 0xfe8), "the caller's CS and SP")
        gdb.command('kill')
        vm.wait(10)


def lines(engine):
    """With a file: next, step, finish, until and bt by lines of the source."""
    at = symbols(REAL)
    with boot_sector(engine, '-S', program=REAL) as vm, Gdb(REAL + '.elf') as gdb:
        gdb.command(f'source {SCRIPT}')
        vm.attach(gdb)
        gdb.command('tbreak again')
        gdb.expect('continue', 'call near_function')
        for line in ('push word 7', 'push word 9', 'call framed', 'call OTHER', 'call far', 'int 0x61',
                     'push cs', 'call pushed', 'mov di', 'mov cx', 'rep stosb', 'mov bx', 'call bx',
                     'inc word', 'jmp again', 'call near_function'):
            gdb.expect('next', line)
        gdb.expect('step', r'near_function \(\).*\n.*push ax')
        gdb.expect('bt', r'#0 .*near_function.*\n#1 .*call_near')
        gdb.expect('finish', 'push word 7')
        gdb.command('tbreak near_function.end')
        gdb.expect('continue', 'nop')
        gdb.expect('bt', r'#0 .*near_function.*\n#1 .* framed .*\n#2 .*call_framed')
        gdb.expect('finish', 'mov sp, bp')
        gdb.expect('finish', 'call OTHER')
        gdb.expect('until call_end', 'inc word')
        gdb.command('break far_inner')
        gdb.expect('continue', 'inc ax')
        gdb.expect('bt', r'#0 .*far_inner.*\n#1 .* handler .*\n#2 .*call_int')
        gdb.command('watch *(unsigned short *)&counter')
        gdb.command('delete 3')
        gdb.expect('continue', r'Hardware watchpoint(.|\n)*jmp again')
        check(gdb.value('$pc'), at['call_end'] + 4, 'behind the write')


# ---- 64-bit code ----

def breakpoints(engine):
    at = symbols()
    with boot_sector(engine, '-S') as vm, Gdb(BOOT + '.elf') as gdb:
        vm.attach(gdb)
        gdb.command('break inner')
        gdb.expect('continue', r'Breakpoint 1, .*inner')
        gdb.expect('bt', r'#0 .*inner.*\n#1 .* in middle .*\n#2 .* in outer .*\n#3 .* in long_start')
        check(gdb.value('*(unsigned char *)$pc'), 0xff, 'the byte under the breakpoint')
        gdb.expect('finish', r'Run till exit')
        check(gdb.value('$pc'), at['middle'] + 9, 'pc after finish')
        before = gdb.value('*(int *)&counter')
        for _ in range(3):
            gdb.command('continue')
        check(gdb.value('*(int *)&counter'), before + 2, 'rounds')
        gdb.command('delete')
        gdb.command('watch *(int *)&counter')
        found = gdb.expect('continue', r'Hardware watchpoint \d+.*\n\nOld value = (\d+)\nNew value = (\d+)')
        check(int(found.group(2)), int(found.group(1)) + 1, 'watched value')
        check(gdb.value('$pc'), at['counted'], 'pc after the write')
        gdb.command('delete')
        gdb.command('rwatch *(int *)&counter')
        gdb.expect('continue', r'Hardware read watchpoint')
        gdb.command('delete')
        gdb.command('hbreak outer')
        gdb.expect('continue', r'Breakpoint \d+, .*outer')
        gdb.command(f'break middle if *(int *)&counter == {before + 100}')
        gdb.command('delete 4')
        gdb.expect('info breakpoints', 'stop only if')
        gdb.command('delete')
        gdb.command(f'break middle if *(int *)&counter == {before + 20}')
        gdb.expect('continue', r'Breakpoint \d+, .*middle')
        check(gdb.value('*(int *)&counter'), before + 20, 'condition')
        gdb.command('delete')
        for place in range(0x8000, 0x8000 + 100 * 16, 16):  # more than any CPU has
            gdb.command(f'hbreak *{place:#x}')
        gdb.command('hbreak counted')
        gdb.expect('continue', r'Breakpoint \d+, .*counted')
        gdb.command('delete')
        gdb.command('set *(int *)&counter = 1000000')
        gdb.expect('monitor info status', 'paused')
        gdb.expect('reverse-stepi', 'does not support')
        gdb.expect('maint packet bs', 'reverse execution is not supported')
        gdb.expect('info threads', r'\* 1 +Thread 1 "CPU#0"')
        gdb.expect('maint packet Qqemu.PhyMemMode:1', '"OK"')
        check(gdb.value('*(unsigned short *)0x7dfe'), 0xaa55, 'physical memory')
        gdb.command('detach')
        first = int(vm.hmp('xp/1dw 0x7cfe').split()[-1])
        time.sleep(0.2)
        second = int(vm.hmp('xp/1dw 0x7cfe').split()[-1])
        if not 1000000 <= first < second:
            raise Failure(f'the guest does not run on: {first}, {second}')
        vm.attach(gdb)  # a second time, in long mode
        gdb.expect('stepi', '')
        gdb.send('continue')
        time.sleep(0.3)
        gdb.interrupt()
        text = gdb.wait(20)
        if 'SIGINT' not in text:
            raise Failure(f'no SIGINT: {text!r}')
        vm.hmp('cont')  # behind gdb's back
        gdb.expect('p $pc', '0x7c')
        gdb.send('continue')
        time.sleep(0.2)
        vm.hmp('stop')
        if 'SIGINT' not in gdb.wait(20):
            raise Failure('gdb was not told of the stop')
        gdb.send('continue')
        time.sleep(0.2)
        vm.hmp('quit')
        if 'exited normally' not in gdb.wait(20):
            raise Failure('gdb was not told of the end')
        vm.wait(10)


def non_stop():
    at = symbols()
    with boot_sector('jit', '-S') as vm, Gdb(BOOT + '.elf') as gdb:
        gdb.command('set non-stop on')
        vm.attach(gdb)
        gdb.command('break inner')
        gdb.expect('continue', r'Breakpoint 1, .*inner')
        check(gdb.value('$pc'), at['inner'], 'pc')
        gdb.command('delete')
        gdb.command('continue &')
        time.sleep(0.3)
        gdb.send('interrupt')
        gdb.wait_for(r'Program stopped', 10)
        gdb.expect('info threads', r'CPU#0')


def extended():
    """One connection, several times attached: each time with the architecture of then."""
    at = symbols()
    with boot_sector('jit', '-S') as vm, Gdb() as gdb:
        vm.attach(gdb, 'extended-remote')
        gdb.expect('show architecture', 'currently "i8086"')
        gdb.command(f'tbreak *{at["real_start"]:#x}')
        gdb.expect('continue', '0x0*7c00 in')
        gdb.command('detach')
        time.sleep(0.3)
        gdb.expect('attach 1', 'SIGINT')
        gdb.expect('show architecture', 'currently "i386:x86-64"')
        gdb.command(f'tbreak *{at["inner"]:#x}')
        gdb.expect('continue', 'in ')
        check(gdb.value('$rip'), at['inner'], 'pc')
        gdb.command('kill')
        vm.wait(10)


def standard_streams():
    """gdb starts weir itself; when gdb dies, so does weir."""
    with tempfile.TemporaryDirectory() as folder:
        pid_file = os.path.join(folder, 'pid')
        with Gdb() as gdb:
            gdb.command(f'target remote | exec {WEIR} -gdb stdio -S -display none -m 16 '
                        f'-pidfile {pid_file}')
            check(gdb.value('$pc'), 0xfffffff0, 'pc at reset')
            pid = int(open(pid_file, encoding='ascii').read())
        deadline = time.monotonic() + 10 * SLOW
        while os.path.exists(f'/proc/{pid}/exe'):
            if time.monotonic() > deadline:
                raise Failure('weir lives on')
            time.sleep(0.05)
    with Gdb() as gdb:
        gdb.command(f'target remote | exec {WEIR} -gdb stdio -S -display none -m 16')
        check(gdb.value('$pc'), 0xfffffff0, 'pc at reset')
        gdb.command('stepi')
        check(gdb.value('$pc'), 0xfe05b, 'pc after a step')
        gdb.expect('kill', '')


# ---- systems ----

def dos():
    """FreeDOS: the breakpoint is where the interrupt vector of DOS calls points."""
    images = [image for image in dos_images() if 'freedos' in os.path.basename(image)]
    if not images:
        print('skipped: no FreeDOS image')
        return
    for engine in ENGINES:
        with Target('-accel', engine, '-m', '16', '-fda', images[0], '-boot', 'a', '-snapshot',
                    '-display', 'none', console=False) as vm, Gdb() as gdb:
            vm.expect_screen(r'A:\\>|time is|date is', 60)
            vm.attach(gdb)
            gdb.command('set architecture i8086')
            offset, segment = gdb.value('*(unsigned short *)0x84'), gdb.value('*(unsigned short *)0x86')
            place = segment * 16 + offset
            gdb.command(f'break *{place:#x}')
            gdb.send('continue')
            time.sleep(0.5)
            vm.press('ver\n')
            text = gdb.wait(30)
            if 'Breakpoint 1' not in text:
                raise Failure(f'no stop at INT 21h: {text}')
            check(gdb.value('$pc'), place, 'pc')
            check(gdb.value('$cs'), segment, 'cs')
            before = gdb.value('$pc')
            gdb.command('stepi')
            if gdb.value('$pc') == before:
                raise Failure('a step did nothing')
            gdb.expect('info registers', r'cs_base')
            gdb.command('delete')
            gdb.command(f'source {SCRIPT}')
            gdb.command(f'tbreak *{place:#x}')
            gdb.command('continue')
            gdb.expect('finish', 'Run till exit')
            check(gdb.value('*(unsigned short *)($pc - 2)'), 0x21cd, 'what called DOS')
            gdb.command('detach')
            vm.expect_screen(r'(?i)freedos|freecom|version', 30)


def linux(arch, kernel_machine):
    folder = os.path.join(guests(arch), arch)
    name = 'x86_64' if arch == 'amd64' else 'i686'
    for engine in ENGINES if arch == 'amd64' else ('jit',):
        with Target('-accel', engine, '-m', '512', '-no-reboot', '-kernel', f'{folder}/vmlinuz',
                    '-initrd', f'{folder}/initrd', '-append', 'console=ttyS0 nokaslr') as vm:
            vm.expect(rf'init reached after .*Linux .* {name}', 300)
            vm.expect('guest# ', 20)
            vm.type("echo 0 >/proc/sys/kernel/kptr_restrict; grep -E "
                    "' [tT] (do_sys_openat2|vfs_read|ksys_read|do_filp_open|__fput|schedule|"
                    "[a-z0-9_]*sys_uname|[a-z0-9_]*sys_newuname)$' /proc/kallsyms; grep -E "
                    "' [dDbB] jiffies$| jiffies_64$' /proc/kallsyms; echo listed\n")
            vm.expect(r'\nlisted', 60)
            found = dict((line[1], int(line[0], 16)) for line in re.findall(
                r'\n([0-9a-f]{8,16}) [a-zA-Z] (\w+)', vm.text))
            if 'do_sys_openat2' not in found:
                raise Failure(f'no symbols: {found}')
            elf = os.path.join(vm.folder.name, 'kernel.elf')
            write_symbols(elf, found, kernel_machine)
            with Gdb(elf) as gdb:
                vm.attach(gdb)
                gdb.command('break do_sys_openat2')
                gdb.send('continue')
                time.sleep(0.5)
                vm.type('cat /proc/version\n')
                if 'Breakpoint 1' not in gdb.wait(60):
                    raise Failure('no stop at do_sys_openat2')
                check(gdb.value('$pc'), found['do_sys_openat2'], 'pc')
                gdb.expect('bt', r'#0 .*do_sys_openat2.*\n#1 .*')
                gdb.expect('x/i $pc', r'=> .*do_sys_openat2')
                gdb.command('delete')
                tick = found.get('jiffies_64', found.get('jiffies'))
                if tick:
                    gdb.command(f'watch *(unsigned *){tick:#x}')
                else:  # what the function will push
                    gdb.command('watch -location *(unsigned *)($sp - 4)')
                stop = gdb.expect('continue', r'Hardware watchpoint .*\n\nOld value = (\d+)\n'
                                              r'New value = (\d+)', 60)
                if tick and int(stop.group(2)) <= int(stop.group(1)):
                    raise Failure(f'jiffies: {stop.group(0)}')
                gdb.command('delete')
                for _ in range(20):
                    gdb.command('stepi')
                gdb.command('detach')
            vm.expect('Linux version', 60)
            vm.type('echo still $((6*7)) here\n')
            vm.expect('still 42 here', 60)


def amd64():
    linux('amd64', 62)


def i386():
    linux('i386', 3)


def follow_modes_interp():
    follow_modes('interp')


def follow_modes_jit():
    follow_modes('jit')


def step_into_modes_interp():
    step_into_modes('interp')


def step_into_modes_jit():
    step_into_modes('jit')


def calls_interp():
    calls('interp')


def calls_jit():
    calls('jit')


def lines_interp():
    lines('interp')


def lines_jit():
    lines('jit')


def breakpoints_interp():
    breakpoints('interp')


def breakpoints_jit():
    breakpoints('jit')


if not GDB:
    print('skipped: there is no gdb')
    sys.exit(77)
main(*[globals()[name] for name in sys.argv[1:]])
