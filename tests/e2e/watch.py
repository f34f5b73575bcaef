# SPDX-License-Identifier: MIT
"""A Linux guest that is watched behaves as ever, and what is seen of it is what it did: plugins,
traces in a file, a kernel function traced through its page."""
import difflib
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
from weirtest import Failure, Machine, guests, main

WEIR = os.environ['WEIR']
BUILD = os.environ['WEIR_BUILD']
PROBE = '/tmp/busybox-probe'


def boot(*options, append=''):
    folder = os.path.join(guests('amd64'), 'amd64')
    return Machine('-m', '512', '-no-reboot', '-kernel', f'{folder}/vmlinuz', '-initrd',
                   f'{folder}/initrd', '-append', f'console=ttyS0 {append}', *options)


def plugin(name):
    return os.path.join(BUILD, 'plugins', name + '.so')


def session(vm, *commands):
    vm.expect('init reached', 300)
    vm.expect('guest# ', 60)
    for command, answer in commands:
        vm.type(command + '\n')
        vm.expect(answer, 60)
    vm.type('exit\n')
    vm.expect('Power down|System halted', 60)
    vm.wait(30)


def contents(path, mode='r'):
    with open(path, mode) as f:
        return f.read()


def syscalls():
    """The calls of one program, complete and in order, from its execve to its end."""
    with tempfile.TemporaryDirectory() as folder:
        out = f'{folder}/calls'
        with boot('-plugin', f'{plugin("syscalls")},exe=busybox-probe,out={out}') as vm:
            session(vm, (f'cp /bin/busybox {PROBE} && echo ma''de', 'made'),
                    (f'{PROBE} cat /proc/version /no/such/file', 'No such file'),
                    (f'{PROBE} mkdir /tmp/new; echo do''ne', 'done'))
        lines = contents(out).splitlines()
        names = [re.sub(r'^\[\w+\] (\w+)\(.*', r'\1', line) for line in lines]
        for wanted in (rf'execve\("{PROBE}"', r'open(at)?\(.*"/proc/version".*= 0x3',
                       r'open(at)?\(.*"/no/such/file".*= -1 ENOENT', r'exit_group\(0x1\)',
                       r'mkdir(at)?\(.*"/tmp/new".* = 0', r'exit_group\(0\)'):
            if not any(re.search(wanted, line) for line in lines):
                raise Failure(f'no line matches {wanted} in:\n' + '\n'.join(lines))
        if names.count('execve') != 2 or names.count('exit_group') != 2 or names[-1] != 'exit_group':
            raise Failure('the programs do not begin and end where they should:\n' +
                          '\n'.join(lines))


def strace():
    """The host's programs in a guest: the plugin and strace there list the same calls."""
    if not shutil.which('strace'):
        print('no strace here')
        return
    folder = os.path.join(guests('amd64'), 'amd64', 'kernel')
    kernel = glob.glob(f'{folder}/boot/vmlinuz-*')[0]
    modules = glob.glob(f'{folder}/lib/modules/*')[0]
    for command in ('ls /etc/hostname', 'cat /etc/passwd'):
        with tempfile.TemporaryDirectory() as share:
            subprocess.run([WEIR, 'run', '-modules', modules, '-share', share, '-exec',
                            f'strace -o {share}/strace /bin/{command} >/dev/null', '-plugin',
                            f'{plugin("syscalls")},exe={command.split()[0]},out={share}/plugin'],
                           check=True, timeout=300, capture_output=True,
                           env={**os.environ, 'WEIR_KERNEL': kernel})
            theirs, ours = (re.findall(r'^(?:\[\w+\] )?(\w+)\(', contents(f'{share}/{name}'), re.M)
                            for name in ('strace', 'plugin'))
            if theirs != ours or len(ours) < 20:
                raise Failure(f'{command}: strace: {theirs}\nplugin: {ours}')


WORK = ('cat /proc/version /proc/cpuinfo | grep -v -e MHz -e bogomips; ls -l /bin | wc; '
        'cat /no/such; for i in 1 2 3; do echo $((i*i)) >/tmp/$i; cat /tmp/$i; done; rm /tmp/1; ls /tmp')


def worked(vm):
    """What the guest says to WORK."""
    vm.expect('init reached', 600)
    vm.expect('guest# ', 60)
    start = len(vm.text)
    vm.type(WORK + '; echo en''ded\n')
    vm.expect(r'\nended', 120)
    return vm.text[vm.text.index('Linux version', start):].split('\nended')[0]


def watched_page():
    """A boot and commands with the page of a kernel function watched from the first instruction on,
    each access followed by steps: the guest says the same."""
    with boot(append='nokaslr') as vm:
        plain = worked(vm)
        vm.type("echo 0 >/proc/sys/kernel/kptr_restrict; grep ' getname_flags$' /proc/kallsyms\n")
        vm.expect(r'\n([0-9a-f]{16}) . getname_flags', 60)
        address = re.search(r'\n([0-9a-f]{16}) . getname_flags', vm.text)[1]
    for engine in ('jit', 'interp'):
        with boot('-accel', engine, '-S', append='nokaslr') as vm:
            log = os.path.join(vm.folder.name, 'log')
            vm.hmp(f'logfile {log}')
            vm.hmp(f'trace page 0x{address} 20')
            vm.hmp('cont')
            seen = worked(vm)
            hits = len(re.findall('^trace 1: (reads|writes|executes)', contents(log), re.M))
            if seen != plain or hits < 500:
                difference = '\n'.join(difflib.unified_diff(plain.splitlines(), seen.splitlines(),
                                                            'plain', 'watched', lineterm=''))
                raise Failure(f'{engine}: {hits} hits\n{difference}')


def run_stepped(command, engine, watched):
    """Output of a command in a guest with the host's programs; and how often it was stepped."""
    folder = os.path.join(guests('amd64'), 'amd64', 'kernel')
    kernel = glob.glob(f'{folder}/boot/vmlinuz-*')[0]
    modules = glob.glob(f'{folder}/lib/modules/*')[0]
    with tempfile.TemporaryDirectory() as share:
        shutil.copy(os.path.join(BUILD, 'tests', 'e2e', 'stepped'), share)
        with open(f'{share}/script', 'w') as f:
            f.write(GDB_SCRIPT)
        more = ['-plugin', f'{BUILD}/tests/e2e/stepper.so,out={share}/steps'] if watched else []
        done = subprocess.run([WEIR, 'run', '-accel', engine, '-modules', modules, '-share', share,
                               '-exec', f'cp {share}/stepped /tmp; cd /tmp; ' +
                               command.format(share=share), *more], text=True, timeout=800,
                              capture_output=True, env={**os.environ, 'WEIR_KERNEL': kernel})
        steps = contents(f'{share}/steps').split() if watched else ['0']
        output = re.sub(r'process \d+', 'process', done.stdout.replace(share, ''))
        return output, int(steps[0]), done.stderr


GDB_SCRIPT = """
set pagination off
set can-use-hw-watchpoints 0
break leaf
run
bt
finish
stepi
stepi 40
x/i $pc
p $eflags & 0x100
delete
watch counter
continue
continue
delete
tbreak leaf
continue
set can-use-hw-watchpoints 1
watch counter
continue
next
step
info registers rip rsp rbx
delete
continue
"""


def debugger():
    """gdb in a guest steps a program that is stepped from outside, and says the same of it."""
    if not shutil.which('gdb'):
        print('no gdb here')
        return
    for engine in ('jit', 'interp'):
        command = 'gdb -nx -q -batch -x {share}/script /tmp/stepped 2>&1'
        plain, _, text = run_stepped(command, engine, False)
        for wanted in (r'Breakpoint 1, leaf', r'#1 .*middle', r'Value returned is \$1 = 0', r'\nWatchpoint 2: counter',
                       r'Hardware watchpoint 4: counter', r'New value = 6\n', r'total \d+, flags 0\n',
                       r'exited normally'):
            if not re.search(wanted, plain):
                raise Failure(f'{engine}: no {wanted} in:\n{plain}\n{text[-2000:]}')
        seen, steps, text = run_stepped(command, engine, True)
        if seen != plain:
            raise Failure(f'{engine}:\n{plain}\n--- stepped:\n{seen}\n{text[-2000:]}')
        if steps < 100000:
            raise Failure(f'{engine}: {steps} steps')


def stepped_itself():
    """A program that steps itself by TF and takes SIGTRAP, stepped from outside or not."""
    for engine in ('jit', 'interp'):
        plain, _, text = run_stepped('/tmp/stepped self', engine, False)
        if not re.fullmatch(r'flags 0, traps 109, total \d+, flags 0\n', plain):
            raise Failure(f'{engine}: {plain!r} {text[-2000:]}')
        seen, steps, text = run_stepped('/tmp/stepped self', engine, True)
        if seen != plain or steps < 10000:
            raise Failure(f'{engine}: {seen!r} with {steps} steps {text[-2000:]}')


def coverage():
    """Blocks of the kernel and of programs; and the count of instructions beside it."""
    with tempfile.TemporaryDirectory() as folder:
        with boot('-plugin', f'{plugin("drcov")},out={folder}/cov',
                  '-plugin', f'{plugin("count")},out={folder}/count') as vm:
            session(vm, ('echo $((6*7)) answer', '42 answer'))
        data = contents(f'{folder}/cov', 'rb')
        head, _, blocks = data.partition(b'BB Table: ')
        count, _, entries = blocks.partition(b' bbs\n')
        if not head.startswith(b'DRCOV VERSION: 2\nDRCOV FLAVOR: drcov\n'):
            raise Failure('not a drcov file')
        if int(count) < 10000 or len(entries) != 8 * int(count):
            raise Failure(f'{count} blocks in {len(entries)} bytes')
        instructions = int(contents(f'{folder}/count').split()[0])
        if instructions < 100_000_000:
            raise Failure(f'{instructions} instructions only')


def traces():
    """A trace of all programs reads back, and compares equal with itself only."""
    with tempfile.TemporaryDirectory() as folder:
        with boot('-trace', f'{folder}/t,cpl=3,events=on,memory=on') as vm:
            session(vm, ('echo $((6*7)) answer', '42 answer'))
        count = subprocess.run([WEIR, 'trace', '--count', f'{folder}/t'], text=True, check=True,
                               capture_output=True).stdout
        for wanted in ('memory write of 8', 'event syscall', 'event sysret', 'event interrupt', r'\d+ mov', r'\d+ records'):
            if not re.search(wanted, count):
                raise Failure(f'no {wanted} in:\n{count}')
        first = subprocess.run([WEIR, 'trace', '--kind=insn', '--limit=3', f'{folder}/t'], text=True,
                               check=True, capture_output=True).stdout
        if len(first.splitlines()) != 3:
            raise Failure(first)
        same = subprocess.run([WEIR, 'trace', f'{folder}/t', f'{folder}/t'], text=True,
                              capture_output=True)
        if same.returncode or not same.stdout.startswith('equal: '):
            raise Failure(same.stdout)


def page():
    """examples/trace_page: one call of a kernel function, instruction by instruction."""
    folder = os.path.join(guests('amd64'), 'amd64')
    text = subprocess.run([os.path.join(BUILD, 'examples', 'trace_page'), f'{folder}/vmlinuz',
                           f'{folder}/initrd', 'getname_flags', 'cat /proc/version'], text=True,
                          timeout=300, capture_output=True)
    lines = text.stdout.splitlines()
    if text.returncode or 'getname_flags, called with' not in lines[0] or \
            not lines[-1].startswith('returned ') or 'ret' not in lines[-2] or len(lines) < 20:
        raise Failure('\n'.join(lines[:3] + lines[-3:]) + text.stderr)


main(*[globals()[name] for name in sys.argv[1:]])
