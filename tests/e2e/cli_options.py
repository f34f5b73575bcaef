# SPDX-License-Identifier: MIT
"""Wrong command lines end with one line that names what is wrong, and status 1; help goes to
standard output, with status 0."""
import os
import subprocess
import tempfile
from clitest import LIMIT, WEIR, check, main, run, same

PLUGIN = os.path.join(os.path.dirname(WEIR), 'plugins', 'count.so')
BAD = [
    (f'-plugin {PLUGIN},file=x', 'count.so', 'out='),
    ('-plugin /nonexistent/plugin.so', '/nonexistent/plugin.so'),
    ('-nografic', '-nografic', '-nographic'),
    ('-m 12Q', '12Q'),
    ('-m', 'argument'),
    ('-smp 4', '-smp 4', 'one CPU'),
    ('-cpu hots', 'hots', 'host'),
    ('-cpu host,+axv2', 'axv2', 'avx2'),
    ('-machine q35', 'q35', 'pc'),
    ('-accel interq', 'interq', 'interp'),
    ('-accel check -device virtio-rng-pci', 'virtio-rng-pci', 'random'),
    ('-icount 12', '12', '10'),
    ('-enable-kvm', '-enable-kvm'),
    ('-device isa-debug-exti', 'isa-debug-exti', 'isa-debug-exit'),
    ('-device isa-debug-exit,iobasse=1', 'iobasse', 'iobase'),
    ('-device isa-debug-exit,iobase=x', 'isa-debug-exit', 'iobase', "'x'"),
    ('-drive file=/nonexistent/disk', '/nonexistent/disk'),
    ('-hda /nonexistent/disk', '/nonexistent/disk'),
    ('/nonexistent/disk', '/nonexistent/disk'),
    ('-drive fiel=x', 'fiel', 'file'),
    ('-drive file=/etc/passwd,if=scsi', 'scsi'),
    ('-hda /etc/passwd -drive file=/etc/passwd,index=0', 'drive'),
    ('-kernel /nonexistent/kernel', '/nonexistent/kernel'),
    ('-kernel /etc/passwd', '/etc/passwd'),
    ('-initrd /etc/passwd', '-initrd', '-kernel'),
    ('-bios /nonexistent/bios', '/nonexistent/bios'),
    ('-serial sdtio', 'sdtio', 'stdio'),
    ('-serial file:/nonexistent/log', '/nonexistent/log'),
    ('-serial unix:/nonexistent/socket', '/nonexistent/socket'),
    ('-monitor unix:/nonexistent/socket', '/nonexistent/socket'),
    ('-qmp unix:/nonexistent/d/s,server=on,wait=off', '/nonexistent/d/s'),
    ('-monitor tcp:127.0.0.1:1', '127.0.0.1:1'),
    ('-serial stdio -monitor stdio', 'stdio'),
    ('-serial chardev:none', "'none'"),
    ('-chardev file,id=f', 'file'),
    ('-uuid 1', '-uuid 1'),
    ('-rtc base=never', 'never'),
    ('-boot order=x', "'x'"),
    ('-D /nonexistent/log -d int', '/nonexistent/log'),
    ('-dfilter 5..1', '5..1'),
    ('-pidfile /nonexistent/pid', '/nonexistent/pid'),
    ('-display sdl', 'sdl', 'none'),
    ('-vga qxl', 'qxl'),
    ('disas xyz', 'xyz'),
    ('disas --stag=insn 90', '--stag', '--stage'),
    ('disas --stage=pla 90', 'pla', 'insn', 'plan', 'asm'),
    ('disas --file=/nonexistent/file', '/nonexistent/file'),
    ('devices no-such', 'no-such'),
    ('cpus x', 'cpus'),
]

HELP = [
    ('-help', '-nographic'), ('--help', '-nographic'), ('help', '-nographic'),
    ('-version', 'Weir'), ('-cpu help', 'host'), ('-machine help', 'pc'),
    ('-accel help', 'interp'), ('-device help', 'isa-debug-exit'),
    ('-device isa-debug-exit,help', 'iobase'), ('devices', 'isa-debug-exit'),
    ('devices isa-debug-exit', 'iobase'), ('cpus', 'host'), ('-chardev help', 'socket'),
    ('disas --help', '--base'),
]


def bad_options():
    for line, *parts in BAD:
        status, out, err = run(*line.split())
        same(status, 1, f'{line}: status ({err!r})')
        same(out, '', f'{line}: standard output')
        check(err.endswith('\n') and err.count('\n') == 1, f'{line}: not one line: {err!r}')
        for part in parts:
            check(part in err, f'{line}: {part!r} is not in {err!r}')


def help_options():
    for line, part in HELP:
        status, out, err = run(*line.split())
        same((status, err), (0, ''), f'{line}: status and errors')
        check(part in out, f'{line}: {part!r} is not in {out!r}')


def log_items():
    status, out, err = run('-d', 'help')
    same((status, err), (0, ''), '-d help')
    same(out.split('\n')[0], 'Log items (comma separated):', '-d help')
    check('in_asm          ' in out, f'-d help: {out!r}')
    status, listing, err = run('-d', 'foo')
    same((status, listing), (1, out), '-d foo: status and list')
    check('foo' in err and err.count('\n') == 1, f'-d foo: {err!r}')


def options_refuse_before_they_act():
    """Nothing is created by a command line that is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, 'log')
        run('-serial', f'file:{log}', '-D', log, '-d', 'int', '-nosuch')
        check(not os.path.exists(log), 'a wrong command line has made a file')


def output_closed():
    """A reader of the help that leaves does no harm."""
    with subprocess.Popen([WEIR, '-help'], stdout=subprocess.PIPE) as process:
        process.stdout.close()
        check(process.wait(LIMIT) in (0, 1, -13), 'weir -help hangs or crashes')


main(bad_options, help_options, log_items, options_refuse_before_they_act, output_closed)
