# SPDX-License-Identifier: MIT
"""`weir run -exec`, weirctl and weirfs in Linux guests: Debian's kernels with root directories made
of Debian's packages."""
import os
import pty
import re
import select
import signal
import stat
import subprocess
import sys
import tempfile
import time
from clitest import check, same
from weirtest import Failure, Machine, ROOT, SLOW, WEIR, guests, main

BUILD = os.environ.get('WEIR_BUILD', os.path.dirname(WEIR))


class Guest:
    """Runs commands with a fresh share."""

    def __init__(self, arch='amd64', root='devroot'):
        self.folder = guests(arch, *([f'devroot-{arch}'] if root == 'devroot' else []))
        self.arch = arch
        self.root = root
        self.work = tempfile.TemporaryDirectory(prefix='weir-share-')
        self.share = self.work.name

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.work.cleanup()

    def path(self, name):
        return os.path.join(self.share, name)

    def write(self, name, text, mode=0o644):
        with open(self.path(name), 'w', encoding='utf-8') as f:
            f.write(text)
        os.chmod(self.path(name), mode)

    def read(self, name):
        with open(self.path(name), encoding='utf-8') as f:
            return f.read()

    def command(self, command, *more, share=None):
        kernel = os.path.join(self.folder, self.arch)
        if self.root == 'devroot':
            root = ['-root', os.path.join(self.folder, f'devroot-{self.arch}')]
        else:
            root = ['-initrd', os.path.join(kernel, 'initrd')]
        if share != '':
            root += ['-share', (share or '{}').format(self.share)]
        return [WEIR, 'run', '--kernel', os.path.join(kernel, 'vmlinuz'), '--exec', command,
                '-timeout', str(int(200 * SLOW)), *root, *more]

    def run(self, command, *more, status=0, share=None, stdin=subprocess.DEVNULL):
        done = subprocess.run(self.command(command, *more, share=share), stdin=stdin, text=True,
                              capture_output=True, timeout=300 * SLOW, check=False)
        if done.returncode != status:
            raise Failure(f'{command!r}: status {done.returncode}, not {status}\n'
                          f'{done.stdout[-2000:]}\n{done.stderr[-3000:]}')
        return done


# ---- run -exec ----

def status():
    """The command's status, its two streams, arguments and environment."""
    with Guest(root='initrd') as g:
        done = g.run('echo to out; echo to err >&2; exit 7', status=7)
        same(done.stdout, 'to out\n', 'standard output')
        check('to err\n' in done.stderr, 'no standard error')
        check('running: echo' in done.stderr, 'no progress')
        done = g.run('pwd; echo $A-$B; id -u; kill -9 $$', '-env', 'A=one two', '-env', 'B=3',
                     '-quiet', status=137)
        same(done.stdout, f'{g.share}\none two-3\n0\n', 'output')
        same(done.stderr, '', 'standard error with -quiet')
        g.write('list', 'b\na\n')
        with open(g.path('list'), encoding='ascii') as f:
            same(g.run('sort', '-stdin', '-quiet', stdin=f).stdout, 'a\nb\n', 'sorted')
        same(g.run('nonsense', '-quiet', status=127).stdout, '', 'nothing')


def binary_output():
    """Every byte passes, also much of it."""
    with Guest(root='initrd') as g:
        data = bytes(range(256)) * 20000
        with open(g.path('data'), 'wb') as f:
            f.write(data)
        done = subprocess.run(g.command('cat data'), capture_output=True, timeout=200 * SLOW,
                              stdin=subprocess.DEVNULL, check=False)
        check(done.returncode == 0 and done.stdout == data, 'other bytes came')


def failures():
    """What cannot work says why, with its own status."""
    with Guest(root='initrd') as g:
        done = g.run('sleep 100', '-timeout', '2', status=124)
        check('has not ended after 2 s' in done.stderr, done.stderr)
        done = g.run('poweroff -f; sleep 5', status=125)
        check('before the command did' in done.stderr, done.stderr)
        done = g.run('echo c >/proc/sysrq-trigger; sleep 5', status=125)
        check('sysrq' in done.stderr.lower(), done.stderr)
        done = g.run('true', '-cwd', '/none', status=125)
        check('/none' in done.stderr, done.stderr)
        done = g.run('true', '-modules', g.share, status=125)
        check("no module 'fuse'" in done.stderr, done.stderr)
        alone = g.path('vmlinuz')
        subprocess.run(['cp', os.path.join(g.folder, 'amd64', 'vmlinuz'), alone], check=True)
        done = subprocess.run([WEIR, 'run', '--kernel', alone, '--root', 'none', '--share', g.share,
                               '--exec', 'true'], capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, timeout=200 * SLOW)
        check(done.returncode == 125 and 'no modules of Linux' in done.stderr and
              'this kernel has no FUSE' in done.stderr, done.stderr)
    for options, text in ((['--kernel', '/none', '--exec', 'true'], '/none: No such file'),
                          (['--kernel', __file__, '--exec', 'true'], 'no Linux kernel'),
                          (['--share', '/none'], "-share /none: No such file"),
                          (['--cwd', '/'], '-cwd needs -exec'),
                          (['--exec', 'true', '--root', '/none', '--kernel',
                            os.path.join(guests('amd64'), 'amd64', 'vmlinuz')], '-root /none')):
        done = subprocess.run([WEIR, 'run', *options], capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, timeout=60)
        check(done.returncode in (1, 125) and text in done.stderr and
              'the guest ended' not in done.stderr,
              f'{options}: {done.returncode}, {done.stderr}')


def terminal():
    """On a terminal the progress is one line that goes away; signals end it with 130."""
    with Guest(root='initrd') as g:
        main_fd, other = pty.openpty()
        process = subprocess.Popen(g.command('echo started; sleep 100'), stdin=subprocess.DEVNULL,
                                   stdout=other, stderr=other)
        os.close(other)
        text = b''
        deadline = time.monotonic() + 100 * SLOW
        while b'started\r\n' not in text and time.monotonic() < deadline:
            if select.select([main_fd], [], [], 1)[0]:
                text += os.read(main_fd, 65536)
        process.send_signal(signal.SIGINT)
        same(process.wait(30 * SLOW), 130, 'status')
        os.close(main_fd)
        check(re.search(rb'\r\x1b\[Kweir: booting Linux 6\.[^\n]* \d+\.\d s', text), f'{text!r}')
        check(re.search(rb'\r\x1b\[Kweir: Linux [^\n]* is up after [^\n]*\r\nstarted', text),
              f'{text!r}')


def environment():
    """The kernel from the environment; what is near it is found; the host's own programs."""
    with Guest(root='initrd') as g:
        kernel = os.path.join(g.folder, 'amd64', 'vmlinuz')
        done = subprocess.run([WEIR, 'run', '--share', g.share, '--exec', 'uname -r; '
                               'ls -d /lib/modules/*; id -un; echo x >/root/new && echo $?'],
                              text=True, check=False, capture_output=True, env={**os.environ, 'WEIR_KERNEL': kernel},
                              stdin=subprocess.DEVNULL, timeout=200 * SLOW)
        lines = done.stdout.split('\n')
        check(done.returncode == 0 and lines[0] in lines[1] + lines[2] and lines[-2] == '0',
              f'{done.stdout}{done.stderr}')
        check(not os.path.exists('/root/new'), 'the host changed')


def layers():
    """The root directory is not changed; shares are, but not read-only ones."""
    with Guest() as g:
        g.write('here', 'host\n')
        os.mkdir(g.path('other'))
        root = os.path.join(g.folder, 'devroot-amd64')
        g.run('echo x >/usr/new && rm /etc/passwd && test ! -e /etc/passwd && cat /usr/new',
              share='')
        check(not os.path.exists(os.path.join(root, 'usr/new')) and
              os.path.exists(os.path.join(root, 'etc/passwd')), 'the root directory changed')
        g.run('cat here; echo guest >here; mkdir d; echo deep >d/f')
        same(g.read('here'), 'guest\n', 'file')
        same(g.read('d/f'), 'deep\n', 'file')
        same(os.stat(g.path('d/f')).st_uid, os.getuid(), 'owner')
        done = g.run('cat here && ! echo y >here && ! mkdir e && ! rm here', share='{},ro')
        check('Read-only file system' in done.stderr, done.stderr)
        same(g.read('here'), 'guest\n', 'read-only file')
        g.run('test "$PWD" = /work && test -e here && test -e /two/f', '-share',
              f'{g.share}/d,name=two,at=/two', share='{},at=/work')


def disk():
    """A disk image as the root directory; it stays as it was."""
    with Guest(root='initrd') as g:
        image = os.path.join(guests('disks'), 'virtio.img')
        before = os.stat(image).st_mtime_ns
        g.run('mount | grep "on / type ext4" && echo x >/new && sync', '-root', image)
        same(os.stat(image).st_mtime_ns, before, 'time of the image')


# ---- weirctl ----

def control():
    """weirctl's commands."""
    with Guest(root='initrd') as g:
        g.write('in', 'from the host\n')
        done = g.run('set -e; weirctl shares; weirctl get in /copy; cat /copy; '
                     'echo from the guest | weirctl put - out; weirctl put /copy d; '
                     'weirctl ls; weirctl ls in | grep -c 14; weirctl get d -; '
                     '! weirctl get none; ! weirctl get ../../etc/passwd; '
                     'weirctl run-args echo; weirctl run-args sh -c \'echo $V\'; '
                     'weirctl clip put some text; weirctl clip get; echo; '
                     'weirctl print printed; weirctl log a message; '
                     'weirctl screenshot screen.ppm; weirctl nonsense || echo $?',
                     '-hostcall', 'arg=one,arg=two words,env=V=value,clip=on')
        for text in ('from the host\n', 'one two words\n', 'value\n', 'some text\n', 'printed\n',
                     '\n2\n'):
            check(text in done.stdout, f'{text!r} is not in {done.stdout!r}')
        same(g.read('out'), 'from the guest\n', 'put')
        same(g.read('d'), 'from the host\n', 'put')
        check(done.stderr.count('No such file') >= 1, done.stderr)
        with open(g.path('screen.ppm'), 'rb') as f:
            check(f.read(2) == b'P6', 'no picture')
        done = g.run('weirctl print to out; weirctl log to err', '-quiet')
        same((done.stdout, done.stderr), ('to out\n', 'weir: guest: to err\n'), 'output')
        g.run('weirctl exit 42; sleep 9', status=42)


def off():
    """Without host calls weirctl says what to do; with a share it works in any Linux guest."""
    folder = os.path.join(guests('amd64'), 'amd64')
    with tempfile.TemporaryDirectory() as work:
        initrd = os.path.join(work, 'initrd')
        with open(initrd, 'wb') as out, open(os.path.join(folder, 'initrd'), 'rb') as base:
            out.write(base.read())
            out.write(bytes(-out.tell() % 4))
            out.flush()
            subprocess.run(['cpio', '-o', '-H', 'newc', '--quiet', '-R', '0:0'], check=True,
                           input=b'weirctl-amd64', stdout=out,
                           cwd=os.path.join(BUILD, 'guest', 'weirctl'))
        for options, text in (([], 'host calls are off'),
                              (['-hostcall', 'fs=on,ring=0'], 'off for programs')):
            with Machine('-m', '512', '-no-reboot', '-kernel', f'{folder}/vmlinuz', '-initrd',
                         initrd, '-append', 'console=ttyS0 quiet', *options) as vm:
                vm.expect('guest# ', 100)
                vm.type('/weirctl-amd64 exit 3; echo status $?\n')
                vm.expect(text, 20)
                vm.expect('status 1', 20)
        with Machine('-m', '512', '-no-reboot', '-kernel', f'{folder}/vmlinuz', '-initrd', initrd,
                     '-append', 'console=ttyS0 quiet', '-share', f'{work},name=some,ro') as vm:
            vm.expect('guest# ', 100)
            vm.type('/weirctl-amd64 shares; /weirctl-amd64 ls; /weirctl-amd64 put /init x\n')
            vm.expect('some .read-only.', 20)
            vm.expect(r'-6\d\d +\d+ .* initrd', 20)
            vm.expect('x: Read-only file system', 20)
            vm.type('/weirctl-amd64 exit 9\n')
            vm.wait(20, 9)


# ---- weirfs ----

def install_check(g):
    subprocess.run(['cp', os.path.join(BUILD, 'tests', 'weirfs', f'fscheck-{g.arch}'),
                    g.path('fscheck')], check=True)


def file_system(arch='amd64'):
    """The check of a file system, in four ways of mounting."""
    with Guest(arch, root='initrd') as g:
        install_check(g)
        done = g.run('mkdir work && ./fscheck work 1 && for o in dax=never cache=always writeback;'
                     ' do mkdir /m && weirfs -o $o /m && (cd /m/work && /m/fscheck . 2) && '
                     'grep -q "/m fuse.weirfs" /proc/mounts && umount /m && rmdir /m || exit 1; '
                     'done; grep " virtiofs" /proc/mounts')
        same(done.stdout.count('all well'), 4, 'checks')
        check(' virtiofs ' in done.stdout.splitlines()[-1], 'not by the device')
        same(os.listdir(g.path('work')), [], 'left over')


def file_system_i386():
    file_system('i386')


# ---- the window of the virtio-fs device ----

def code_file(number):
    """2 MiB with MOV EAX, number; RET at 5000h."""
    code = b'\xb8' + number.to_bytes(4, 'little') + b'\xc3'
    return bytes(0x5000) + code + bytes((2 << 20) - 0x5000 - len(code))


def dax(accel='jit'):
    """Code in mapped files, with a window too small for all; a program that lies in it."""
    with Guest(root='initrd') as g:
        for program in ('daxcheck', 'fscheck'):
            subprocess.run(['cp', os.path.join(BUILD, 'tests', 'weirfs', f'{program}-amd64'),
                            g.path(program)], check=True)
        with open(g.path('fscheck'), 'ab') as f:
            f.truncate(3 << 20)  # large enough to be mapped
        for number in range(1, 25):
            with open(g.path(f'code{number}'), 'wb') as f:
                f.write(code_file(number))
        for number in range(1, 5):
            g.write(f'large{number}', 'x' * (3 << 20))
        done = g.run('./daxcheck code && mkdir work && ./fscheck work 1 && for k in 1 2 3 4; do '
                     './fscheck . $k large$k || exit 1; done; ./daxcheck code', '-accel', accel,
                     share='{},dax=16')
        same(done.stdout.count('all well'), 7, 'checks')


def dax_interp():
    dax('interp')


def truncation():
    """A file becomes shorter, on the host or in the guest, while the guest reads its mapping."""
    with Guest(root='initrd') as g:
        subprocess.run(['cp', os.path.join(BUILD, 'tests', 'weirfs', 'daxcheck-amd64'),
                        g.path('daxcheck')], check=True)
        for what in ('cut', 'cutself'):
            g.write('cut', 'x' * (2 << 20))
            process = subprocess.Popen(g.command(f'./daxcheck {what}; rm stop ready'), text=True,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                       stdin=subprocess.DEVNULL)
            deadline = time.monotonic() + 100 * SLOW
            while not os.path.exists(g.path('ready')) and time.monotonic() < deadline:
                time.sleep(0.05)
            for size in [0, 2 << 20, 4096, 1 << 20, 0, 100, 2 << 20] * 3:
                os.truncate(g.path('cut'), size)
                time.sleep(0.1)
            g.write('stop', '')
            out, error = process.communicate(timeout=100 * SLOW)
            check(process.returncode == 0 and 'all well' in out,
                  f'{what}: {process.returncode} {out} {error}')


GIT = '''set -e
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
git init -q repo; cd repo
mkdir src; for k in $(seq 60); do seq $k 300 >src/file$k; done
git add -A; git commit -q -m first
sed -i s/299/changed/ src/*; git commit -q -a -m second
git mv src other; git commit -q -m third
git checkout -q -b side HEAD~1; echo side >side; git add side; git commit -q -m side
git merge -q -m merged master 2>/dev/null || git merge -q -m merged main
git gc -q; git fsck --full --strict; git status --porcelain; git log --oneline | wc -l
git clone -q . ../clone; cd ../clone; git diff --stat HEAD~1 | tail -1
'''

SQL = '''set -e
for mode in delete wal; do
    sqlite3 $mode.db "pragma journal_mode=$mode; create table t(a integer primary key, b text);"
    for k in 1 2 3 4 5; do
        (echo 'begin;'; for n in $(seq 200); do echo "insert into t(b) values('row $k $n');"; done
         echo 'commit;') | sqlite3 $mode.db
    done
    (echo 'begin; delete from t;'; echo 'rollback;') | sqlite3 $mode.db
    sqlite3 $mode.db 'update t set b = b || a where a % 7 = 0; vacuum; pragma integrity_check;'
    sqlite3 $mode.db 'select count(*), sum(length(b)) from t;'
done
'''

MAKEFILE = '''CFLAGS = -O1
all: prog
prog: $(patsubst %,part%.o,1 2 3 4 5) main.o
\t$(CC) -o $@ $^
main.o part1.o part2.o part3.o part4.o part5.o: part.h
check: prog
\t./prog
'''


def programs(arch='amd64'):
    """git and sqlite on a share; the host finds the same as the guest."""
    with Guest(arch) as g:
        g.write('git.sh', GIT)
        g.write('sql.sh', SQL)
        done = g.run('sh git.sh && sh sql.sh')
        lines = done.stdout.split()
        same(lines[0], '5', 'commits')
        check(lines.count('ok') == 2, f'sqlite: {done.stdout}')
        if subprocess.run(['git', '--version'], capture_output=True, check=False).returncode == 0:
            own = ['git', '-c', f'safe.directory={g.path("repo")}', '-C', g.path('repo')]
            subprocess.run([*own, 'fsck', '--full'], check=True, capture_output=True)
            same(subprocess.run([*own, 'status', '--porcelain'], check=True, text=True,
                                capture_output=True).stdout, '', 'status on the host')


def programs_i386():
    programs('i386')


def build():
    """make and gcc build a project of the host; a changed file is built again, others are not."""
    with Guest() as g:
        g.write('Makefile', MAKEFILE)
        g.write('part.h', '#define SEVEN 7\n')
        for k in range(1, 6):
            g.write(f'part{k}.c', f'#include "part.h"\nint part{k}(void) {{ return {k} * SEVEN; }}\n')
        g.write('main.c', '#include <stdio.h>\n#include "part.h"\nint part1(void), part5(void);\n'
                'int main(void) { printf("sum %d\\n", part1() + part5()); return 0; }\n')
        done = g.run('make check && make')
        check('sum 42\n' in done.stdout and 'Nothing to be done' in done.stdout, done.stdout)
        check(os.stat(g.path('prog')).st_mode & stat.S_IXUSR, 'no program')
        now = time.time() + 2
        os.utime(g.path('part3.c'), (now, now))
        done = g.run('make')
        same(done.stdout.count(' -c '), 1, 'compilations')


def copies():
    """cp of trees both ways, and changes by the host while the guest runs."""
    with Guest() as g:
        subprocess.run(['cp', '-r', os.path.join(ROOT, 'tools'), g.path('tools')], check=True)
        with open(g.path('big'), 'wb') as f:
            f.write(os.urandom(40 << 20))
        g.run('cp -r tools /tmp && cp -r /tmp/tools back && cp big /tmp/big && cp /tmp/big big2 && '
              'cmp big big2')
        subprocess.run(['diff', '-r', g.path('tools'), g.path('back')], check=True)
        subprocess.run(['cmp', g.path('big'), g.path('big2')], check=True)
        g.write('flag', 'one')
        process = subprocess.Popen(g.command('cat flag; touch ready; while [ "$(cat flag)" = one ];'
                                             ' do sleep 0.1; done; cat flag; rm flag ready'),
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                   stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 100 * SLOW
        while not os.path.exists(g.path('ready')) and time.monotonic() < deadline:
            time.sleep(0.05)
        g.write('flag', 'two')
        out, _ = process.communicate(timeout=100 * SLOW)
        same((process.returncode, out), (0, 'onetwo'), 'what the guest saw')
        check(not os.path.exists(g.path('flag')), 'not removed')


main(*[globals()[name] for name in sys.argv[1:]])
