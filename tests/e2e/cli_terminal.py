# SPDX-License-Identifier: MIT
"""The command at a terminal and at pipes: the escape key, raw mode and its end, signals, end of
input, serial ports on files, ptys and sockets."""
import os
import re
import signal
import subprocess
import termios
import time
from clitest import LIMIT, WEIR, Failure, Monitor, Weir, check, connect, fd_talk, main, run, same


def flags(fd):
    return termios.tcgetattr(fd)[:4]


def wait_raw(vm):
    deadline = time.monotonic() + LIMIT
    while flags(vm.slave)[3] & termios.ICANON:
        if time.monotonic() > deadline or vm.process.poll() is not None:
            vm.terminal.read_some(0.1)
            raise Failure(f'the terminal does not become raw: {vm.terminal.text!r}')
        time.sleep(0.02)


def escape_key():
    for args in (['-nographic'], [], ['-display', 'none', '-serial', 'mon:stdio'],
                 ['-chardev', 'stdio,id=c,mux=on', '-serial', 'chardev:c', '-mon', 'c']):
        with Weir('-m', '16', '-S', *args, terminal=True) as vm:
            wait_raw(vm)
            check(not flags(vm.slave)[3] & termios.ISIG, 'Ctrl-C is still a signal')
            vm.terminal.send('\x03\x1a\x1c')  # for the guest
            vm.terminal.send('\x01h')
            vm.terminal.expect('C-a x .*C-a C-a ')
            vm.terminal.send('\x01c')
            vm.terminal.expect(r"Weir \S+ monitor.*\(weir\) ")
            vm.terminal.send('p/x 6*7\r')
            vm.terminal.expect('0x2a\r\n')
            vm.terminal.send('\x01cabc\x01c')
            vm.terminal.expect(r'\(weir\) .*\(weir\) ')
            vm.terminal.send('info status\r')
            vm.terminal.expect('prelaunch')
            vm.terminal.send('\x01s\x01t\x01t\x01b\x01?')
            vm.terminal.expect('C-a x ')
            vm.terminal.send('\x01x')
            vm.wait(0)
            same(flags(vm.slave), vm.flags_before, f'{args}: the terminal afterwards')


def another_escape_key():
    with Weir('-m', '16', '-S', '-nographic', '-echr', '2', terminal=True) as vm:
        wait_raw(vm)
        vm.terminal.send('\x01x\x02h')
        vm.terminal.expect('C-b x ')
        vm.terminal.send('\x02x')
        vm.wait(0)


def plain_terminal():
    """-monitor stdio: Ctrl-C ends weir and the terminal is as before."""
    with Weir('-m', '16', '-S', '-monitor', 'stdio', terminal=True) as vm:
        wait_raw(vm)
        mon = Monitor(vm.terminal)
        same(mon.command('p 5'), '0x5\n', 'p 5')
        check(flags(vm.slave)[3] & termios.ISIG, 'Ctrl-C is no signal')
        vm.process.send_signal(signal.SIGINT)  # what the terminal makes of Ctrl-C
        vm.wait(0)
        vm.terminal.expect('terminating on signal 2')
        same(flags(vm.slave), vm.flags_before, 'the terminal afterwards')


def signals():
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        with Weir('-m', '16', '-display', 'none', '-pidfile', '@/pid', '-qmp',
                  'unix:@/q,server=on,wait=off') as vm:
            qmp = vm.connect('q')
            qmp.expect('QMP')
            same(int(open(vm.path('pid'), encoding='ascii').read()), vm.process.pid, 'pidfile')
            vm.process.send_signal(number)
            vm.wait(0)
            check(not os.path.exists(vm.path('pid')), 'the pidfile is left')
            check(not os.path.exists(vm.path('q')), 'the socket is left')


def commands_by_pipe():
    """The monitor on pipes: a transcript without escape sequences."""
    status, out, err = pipe(b'p 1+1\ninfo status\nquit\n')
    same((status, err), (0, ''), 'status and errors')
    lines = out.split('\n')
    check(lines[0].startswith('Weir '), f'banner {lines[0]!r}')
    same(lines[1:], ['(weir) p 1+1', '0x2', '(weir) info status', 'VM status: paused (prelaunch)',
                     '(weir) quit', ''], 'transcript')


def pipe(text):
    done = subprocess.run([WEIR, '-m', '16', '-S', '-monitor', 'stdio', '-display', 'none'],
                          input=text, capture_output=True, timeout=LIMIT, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def end_of_input():
    with Weir('-m', '16', '-S', '-nographic', '-qmp', 'unix:@/q,server=on,wait=off') as vm:
        vm.connect('q').expect('QMP')
        time.sleep(0.5)
        same(vm.process.poll(), None, 'weir without input')
    start = time.monotonic()
    status, _, err = run('-m', '16', '-S', '-nographic', '-quit-on-eof')
    same((status, err), (0, ''), '-quit-on-eof')
    check(time.monotonic() - start > 0.9, '-quit-on-eof does not wait for a silent second')


def serial_backends():
    with Weir('-m', '16', '-S', '-display', 'none', '-serial', 'pty', '-serial',
              'unix:@/s,server=on,wait=off', '-serial', 'file:@/f', '-serial', 'null',
              '-monitor', 'unix:@/m,server=on,wait=off') as vm:
        vm.out.expect(r'serial0 is at /dev/pts/\d+\n')
        mon = Monitor(vm.connect('m'))
        chardevs = mon.command('info chardev')
        for part in ('serial0: filename=/dev/pts/', f'serial1: filename=unix:{vm.path("s")}',
                     f'serial2: filename=file:{vm.path("f")}', 'serial3: filename=null'):
            check(part in chardevs, f'{part!r} is not in {chardevs!r}')
        client = connect(vm.path('s'))
        while re.search('serial1.*not connected', mon.command('info chardev')):
            time.sleep(0.01)
        # The monitor writes the UARTs' data registers: bytes come out at the other end.
        mon.command('o/b 0x2fb 3')  # 8 bits
        mon.command('o/b 0x2f8 0x41')
        client.expect('A')
        mon.command('o/b 0x3e8 0x42')
        mon.talk.send('quit\n')
        vm.wait(0)


def bytes_come_through():
    """Output at the very end of a run reaches a pipe; input waits in front of a stopped CPU."""
    with Weir('-m', '16', '-S', '-nographic', '-qmp', 'unix:@/q,server=on,wait=off',
              '-monitor', 'unix:@/m,server=on,wait=off') as vm:
        mon = Monitor(vm.connect('m'))
        mon.command('o/b 0x3fb 3')  # 8 bits
        for c in b'last words':
            mon.command(f'o/b 0x3f8 {c}')
        mon.talk.send('quit\n')
        vm.wait(0)
        vm.out.expect('last words')
    with Weir('-m', '16', '-S', '-serial', 'mon:unix:@/t,server=on,wait=off', '-display',
              'none') as vm:
        talk = vm.connect('t')
        # More than the guest takes: kept back, not lost, and the escape behind it still counts.
        talk.send('x' * 100000 + '\x01c')
        time.sleep(0.3)
        talk.close()
        talk = vm.connect('t')
        talk.expect(r'\(weir\) ')
        talk.send('quit\n')
        vm.wait(0)


def firmware_on_the_terminal():
    """-nographic: what the BIOS prints appears, and it takes keys from there."""
    with Weir('-m', '16', '-nographic', '-boot', 'menu=on', terminal=True) as vm:
        vm.terminal.expect('SeaBIOS')
        vm.terminal.expect('Press ESC for boot menu')
        vm.terminal.send('\x1b')
        vm.terminal.expect('Select boot device')
        vm.terminal.send('\x01x')
        vm.wait(0)


def pty_of_a_monitor():
    with Weir('-m', '16', '-S', '-display', 'none', '-serial', 'mon:pty') as vm:
        name = vm.out.expect(r'is at /dev/pts/\d+\n').split()[-1]
        talk = fd_talk(os.open(name, os.O_RDWR | os.O_NOCTTY))
        talk.send('\x01c')
        talk.expect(r'\(weir\) ')
        talk.send('q\r')
        vm.wait(0)


main(escape_key, another_escape_key, plain_terminal, signals, commands_by_pipe, end_of_input,
     serial_backends, bytes_come_through, firmware_on_the_terminal, pty_of_a_monitor)
