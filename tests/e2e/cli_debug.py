# SPDX-License-Identifier: MIT
"""break, watch, step, trace, symbols, info walk of the monitor, and -d step, on the boot sector
that goes from real mode to long mode; both engines do the same."""
import os
import pty
import re
import socket
import struct
import subprocess
import tempfile
import time
from weirtest import Failure, Machine, SLOW, WEIR, main

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


def written(engine, folder, rounds):
    """A trace of the boot sector up to the end of some rounds."""
    path = os.path.join(folder, f'{engine}-{rounds}')
    with machine(engine, '-S', '-trace', f'{path},memory=on,events=on,first=0x7c00,last=0x7dff') as vm:
        vm.hmp('break inner')
        for _ in range(rounds):
            vm.hmp('cont')
            wait_for_pause(vm)
        vm.hmp('quit')
        vm.wait(20)
    return path


def weir_trace(*arguments):
    done = subprocess.run([WEIR, 'trace', *arguments], capture_output=True, text=True, timeout=120,
                          check=False)
    return done.stdout, done.stderr, done.returncode


def trace_files():
    """weir trace: both engines write the same; filters; counts; where two part; damaged files."""
    with tempfile.TemporaryDirectory() as folder:
        files = {engine: written(engine, folder, 20) for engine in ENGINES}
        text, _, status = weir_trace(files['interp'], files['jit'])
        if status or not re.fullmatch(r'equal: \d+ records\n', text):
            raise Failure(f'the engines differ: {text}')
        path = files['jit']
        names = subprocess.run(['nm', BOOT + '.elf'], check=True, capture_output=True, text=True).stdout
        at = {line.split()[2]: int(line.split()[0], 16) for line in names.splitlines()}
        data = f'--data={at["counter"]:#x}-{at["counter"] + 3:#x}'
        inner = f'{at["inner"]:016x}'
        for options, count, pattern in (
                (['--kind=memory', data], 38, rf'[RW] {at["counter"]:016x} \(\w+\) 4'),
                ([f'--pc={at["inner"]:#x}', '--kind=insn'], 19, rf'0 {inner}  incl'),
                (['--kind=event'], None, r'! msr 0xc0000080 0:0x1 1:0x100 at 7c'),
                (['--cpl=3'], 0, ''), (['--cr3=0x10000', '--kind=insn', '--limit=5'], 5, ' 0 0000000000007c[78]'),
                (['-M', 'intel', '--kind=insn', '--limit=1'], 1, 'cli')):
            lines = weir_trace(*options, path)[0].splitlines()
            if (count is not None and len(lines) != count) or \
                    not all(re.search(pattern, line) for line in lines if count is not None) or \
                    not any(re.search(pattern, line) for line in lines or ['']):
                raise Failure(f'{options}: {lines[:5]} ({len(lines)})')
        counts = weir_trace('--count', path)[0]
        for wanted in (r' 1 ljmpw?\b|ljmp', r' 19 incl', r'event msr', r' \d+ records'):
            if not re.search(wanted, counts):
                raise Failure(f'no {wanted} in {counts}')
        shorter = written('jit', folder, 10)
        text, _, status = weir_trace(shorter, path)
        if status != 1 or not re.search(rf'equal for \d+ records(.|\n)*then {shorter}:\n  the end\n'
                                        rf'then {path}:\n.*{inner}', text):
            raise Failure(f'{status}: {text}')
        with open(path, 'rb') as f:
            whole = f.read()
        with open(path + '-cut', 'wb') as f:
            f.write(whole[:len(whole) // 2])
        _, error, status = weir_trace('--count', path + '-cut')
        if status != 1 or not re.search('cut off or damaged|not a trace', error):
            raise Failure(f'{status}: {error}')
        progress_bar(whole, path + '-long')
        for bad in (['--kind=x', path], ['--cpl=4', path], ['/nonexistent'], []):
            if weir_trace(*bad)[2] != 1:
                raise Failure(f'{bad}')


def progress_bar(whole, path):
    """On the terminal, for long files: this one has a frame that zstd skips."""
    with open(path, 'wb') as f:
        f.write(whole + struct.pack('<II', 0x184d2a50, 9 << 20) + bytes(9 << 20))
    ours, theirs = pty.openpty()
    with open(path + '.txt', 'w', encoding='ascii') as out:
        status = subprocess.run([WEIR, 'trace', '--count', path], stdout=out, stderr=theirs,
                                timeout=60, check=False).returncode
    os.close(theirs)
    text = os.read(ours, 65536).decode()
    os.close(ours)
    if status or not re.search(r'\r\[[#.]{40}\] +\d+ %', text) or not text.endswith('\r'):
        raise Failure(f'{status}: {text!r}')


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


main(breakpoints, messages, trace, trace_files, step_log)
