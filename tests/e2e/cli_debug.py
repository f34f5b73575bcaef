# SPDX-License-Identifier: MIT
"""break, watch, step, trace, symbols, info walk of the monitor, and -d step, on the boot sector
that goes from real mode to long mode; both engines do the same."""
import os
import re
import socket
import time
from weirtest import Failure, Machine, SLOW, main

BOOT = os.path.join(os.environ.get('WEIR_BOOT', 'build/tests/guest'), 'modes')
ENGINES = ('interp', 'jit')


def machine(engine, *more):
    return Machine('-accel', engine, '-m', '16', '-fda', BOOT + '.img', '-boot', 'a', '-snapshot',
                   '-symbols', BOOT + '.elf', *more)


def has(vm, line, *patterns):
    answer = vm.hmp(line)
    for pattern in patterns:
        if not re.search(pattern, answer):
            raise Failure(f'{line}: no {pattern!r} in {answer!r}')
    return answer


def wait_for_pause(vm):
    deadline = time.monotonic() + 20 * SLOW
    while 'running' in vm.hmp('info status'):
        if time.monotonic() > deadline:
            raise Failure('the machine does not stop')
        time.sleep(0.02)


def breakpoints():
    for engine in ENGINES:
        with machine(engine, '-S') as vm:
            has(vm, 'break', 'no breakpoints')
            has(vm, 'info events', 'nothing is watched')
            has(vm, 'break inner', 'breakpoint 1 at 0x')
            has(vm, 'break outer+1', 'breakpoint 2 at 0x')
            has(vm, 'info breakpoints', r'1: break 0x\w+ <inner>, 0 hits', r'2: break .*<outer\+0x1>')
            has(vm, 'info events', r'breakpoint 0x')
            for place in ('<outer\\+0x1>', '<inner>', '<outer\\+0x1>', '<inner>'):
                vm.hmp('cont')
                wait_for_pause(vm)
                has(vm, 'info breakpoints', '1: break')
                at = int(vm.hmp('p $pc'), 16) if vm.hmp('p $pc').startswith('0x') else \
                    int(vm.hmp('p $pc'))
                name = '<inner>' if at == int(vm.hmp('p inner'), 0) else '<outer\\+0x1>'
                if name != place:
                    raise Failure(f'{engine}: at {at:#x}, not {place}')
            has(vm, 'info breakpoints', '<inner>, 2 hits', r'<outer\+0x1>, 2 hits')
            has(vm, 'step', r'=> 0x\w+ <counted>: ret')
            has(vm, 'step 2', r'=> 0x\w+ <middle\+0x\w+>: ret')
            vm.hmp('delete 2')
            has(vm, 'delete 2', 'no number 2')
            vm.hmp('delete')
            vm.hmp('watch counter')
            value = int(vm.hmp('xp/1dw counter').split()[-1])
            vm.hmp('cont')
            wait_for_pause(vm)
            has(vm, 'x/1i $pc', 'ret')
            if int(vm.hmp('xp/1dw counter').split()[-1]) != value + 1:
                raise Failure('watch: the value')
            has(vm, 'info breakpoints', r'watch 0x\w+ <counter>, 4 bytes, w, 1 hits')
            has(vm, 'info walk counter', 'PML4E', 'PDE', r'0*7[0-9a-f]{3}, page of 2048 KiB')
            has(vm, 'info walk 0x40000000', 'not present')
            has(vm, 'info walk', 'needs an address')
            for line, part in (('break nosuch', 'no such symbol'), ('watch 0 0', 'use watch'),
                               ('watch 0 4 q', 'use watch'), ('step 0', 'at least 1'),
                               ('trace x', 'use trace'), ('symbols /nonexistent', 'nonexistent')):
                has(vm, line, part)


def messages():
    """Every monitor is told of a breakpoint; gdb's server can be started and ended."""
    with machine('jit', '-S') as vm:
        vm.type('\x01c')
        vm.expect(r'\(weir\) ', 10)
        vm.hmp('break inner')
        vm.hmp('cont')
        vm.expect(r'breakpoint 1 at 0x\w+ <inner>: incl', 20)
        address = os.path.join(vm.folder.name, 'gdb')
        has(vm, f'gdbserver unix:{address}', 'Waiting for gdb')
        if not os.path.exists(address):
            raise Failure('no socket for gdb')
        has(vm, 'gdbserver none', 'Disabled')
        if os.path.exists(address):
            raise Failure('the socket is still there')
        has(vm, 'gdbserver foo', "'foo'")
        port = re.search(r"'tcp:127.0.0.1:(\d+)'", has(vm, 'gdbserver tcp::0', 'Waiting')).group(1)
        with socket.create_connection(('127.0.0.1', int(port)), 10) as stub:
            stub.sendall(b'$qRcmd,' + b'info status'.hex().encode() + b'#14')
            answer = b''
            while b'$OK#9a' not in answer:
                data = stub.recv(1000)
                if not data:
                    raise Failure(f'the stub hung up: {answer}')
                answer += data
            if b'paused'.hex().encode() not in answer:
                raise Failure(f'qRcmd: {answer}')
            has(vm, 'gdbserver none', 'Disabled')  # while it is connected
            if stub.recv(1000):
                raise Failure('the stub did not hang up')


def trace():
    for engine in ENGINES:
        with machine(engine, '-S') as vm:
            log = os.path.join(vm.folder.name, 'log')
            vm.hmp(f'logfile {log}')
            has(vm, 'trace page inner 4', f'goes to {log}')
            vm.hmp('break inner')
            for _ in range(3):
                vm.hmp('cont')
                wait_for_pause(vm)
            vm.hmp('delete')
            text = open(log, encoding='utf-8').read()
            for pattern in (r'trace 1: executes 0x7c00 <real_start>: cli', r'trace 1: +4 0x7c',
                            r'trace 1: .*<inner>: incl'):
                if not re.search(pattern, text):
                    raise Failure(f'{engine}: no {pattern!r} in {text[:2000]!r}')
            if re.search(r'^trace 1: +5 ', text, re.M):
                raise Failure('more than 4 instructions')


def step_log():
    """The same instructions in the same order on both engines."""
    logs = []
    for engine in ENGINES:
        with machine(engine, '-d', 'step', '-dfilter', '0x7c00+512') as vm:
            log = os.path.join(vm.folder.name, 'log')
            vm.hmp(f'logfile {log}')
            vm.hmp('system_reset')
            deadline = time.monotonic() + 60 * SLOW
            while not os.path.exists(log) or os.path.getsize(log) < 20000:
                if time.monotonic() > deadline:
                    raise Failure('nothing in the log')
                time.sleep(0.1)
            vm.hmp('log none')
            has(vm, 'info events', 'nothing is watched')
            text = open(log, encoding='utf-8').read()
            start = text.rfind('0x0000000000007c00:  cli')
            logs.append(text[start:start + 12000])
    if logs[0] != logs[1]:
        raise Failure(f'the logs differ: {logs[0][:600]!r} {logs[1][:600]!r}')
    for pattern in (r'mov    \$0x1234,%bx  rbx=1234\n', r'ljmp   \$0x18,\$0x7c9b\n',
                    r'r15=123456789abcdef0\n', r'rep stos .* rcx=0 rdi=13000\n'):
        if not re.search(pattern, logs[0]):
            raise Failure(f'no {pattern!r} in {logs[0][:3000]!r}')


main(breakpoints, messages, trace, step_log)
