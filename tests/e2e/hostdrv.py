# SPDX-License-Identifier: MIT
"""Folders of the host as drives of DOS: HOSTDRV.COM from the tools floppy, in every DOS image at
hand (see dos.py), with both engines. DOS runs batch files from the drive; what they leave there is
looked at from the host's side."""
import glob
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from clitest import check, same
from weirtest import Failure, Machine, ROOT, SLOW, dos_images, guests, main

PROGRAMS = os.environ.get('WEIR_DOS_PROGRAMS', os.path.join(ROOT, 'build', 'tests', 'hostdrv'))
PROMPT = r'[A-Z]:\\[^\n]*>\s*$'


def write(folder, name, data):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'wb') as f:
        f.write(data.encode('ascii') if isinstance(data, str) else data)
    return path


def read(folder, name):
    """By DOS' name: any case."""
    path = find(folder, name)
    if not path:
        raise Failure(f'{name} is not there: {sorted(os.listdir(folder))}')
    with open(path, 'rb') as f:
        return f.read()


def find(folder, name):
    for part in name.split('/'):
        have = {n.lower(): n for n in os.listdir(folder)}
        if part.lower() not in have:
            return None
        folder = os.path.join(folder, have[part.lower()])
    return folder


class Dos:
    """A machine at its prompt, with a share, a read-only one, and the tools floppy as B:."""

    def __init__(self, image, accel='jit'):
        self.temporary = tempfile.TemporaryDirectory(prefix='weir-hostdrv-')
        self.image = image
        self.share = os.path.join(self.temporary.name, 'share')
        self.read_only = os.path.join(self.temporary.name, 'ro')
        os.mkdir(self.share)
        os.mkdir(self.read_only)
        write(self.read_only, 'read.me', 'text')
        for program in glob.glob(os.path.join(PROGRAMS, '*.com')):
            shutil.copy(program, self.share)
        self.vm = Machine('-m', '128', '-accel', accel, '-fda', image, '-snapshot', '-boot', 'a',
                          '-hostcall', f'tools=on,share=work,path={self.share}',
                          '-hostcall', f'share=readonly,path={self.read_only},ro')
        self.drive = None
        self.number = 0

    def __enter__(self):
        self.vm.__enter__()
        text = self.vm.expect_screen(PROMPT + r'|\[[YN],[YN]\]\?\s*$|\(Y/N\)\?\s*$', 120)
        if not re.search(PROMPT, text):
            self.vm.press('n\n')
            self.vm.expect_screen(PROMPT, 60)
        return self

    def __exit__(self, kind, value, trace):
        if kind:
            try:
                print(self.vm.screen(), flush=True)
                for name in sorted(glob.glob(self.share + '/*.[Oo][Uu][Tt]')):
                    print(f'--- {os.path.basename(name)}')
                    with open(name, encoding='cp437') as f:
                        print(f.read()[-1500:])
            except Exception as late:  # the machine may be gone; the first failure counts
                print(f'no screen: {late}')
        self.vm.__exit__(kind, value, trace)
        self.temporary.cleanup()

    def enter(self, line):
        """Types a line at the prompt. On a busy host keys may get lost: it is looked at first."""
        for _ in range(5):
            self.vm.press(line)
            try:
                self.vm.expect_screen(r'>' + re.escape(line) + r'\s*$', 5)
                break
            except Failure:
                self.vm.hmp('sendkey esc 30')
                self.vm.expect_screen(PROMPT, 20)
        self.vm.press('\n')

    def type(self, line, pattern=PROMPT, seconds=60):
        """Types a command; returns the screen when the pattern is there."""
        self.enter('cls')
        self.vm.expect_screen(r'^\s*' + PROMPT, 30)
        self.enter(line)
        return self.vm.expect_screen(re.escape(line) + r'[\s\S]*' + pattern, seconds)

    def run(self, *lines, seconds=60):
        """Runs a batch file on the drive, up to its end."""
        self.number += 1
        name, done = f'go{self.number}', f'done{self.number}'
        lines = ('@echo off', 'set dircmd=', 'set copycmd=/y', *lines,
                 f'echo done>{self.drive}\\{done}', '')
        write(self.share, name + '.bat', '\r\n'.join(lines))
        self.vm.expect_screen(PROMPT, 30)
        self.enter(f'{self.drive.lower()}{name}')
        self.await_file(done, seconds)

    def await_file(self, name, seconds):
        deadline = time.monotonic() + seconds * SLOW
        while not find(self.share, name):
            if time.monotonic() > deadline:
                raise Failure(f'{name} did not come')
            time.sleep(0.05)

    def program(self, name, arguments=''):
        """Runs a test program on the drive; all of its checks must be good."""
        self.run(f'{name} {arguments}>{name}.out')
        text = read(self.share, name + '.out').decode('cp437')
        match = re.search(r'(\d+) checks, 0 failed', text)
        check(match, f'{name}:\n{text}')
        return int(match.group(1))

    def on_disk(self, name):
        """A file of the DOS image, by mtools."""
        return subprocess.run(['mtype', '-i', self.image, '::' + name], capture_output=True,
                              check=True).stdout

    def install(self):
        """On the highest letter of FreeDOS' default and on the one before it."""
        text = self.type('b:hostdrv z: y:')
        if 'LASTDRIVE' in text:
            last = re.search(r'which is (\w):', text).group(1)
            self.drive = last + ':'
            other = chr(ord(last) - 1)
        else:
            same(re.findall(r'(\w): is the host\'s (\w+)', text),
                 [('Z', 'work'), ('Y', 'readonly')], 'drives')
            self.drive, other = 'Z:', 'Y'
        if 'LASTDRIVE' in text:
            text = self.type(f'b:hostdrv {self.drive}=work'.lower())
            check(f"{self.drive} is the host's work" in text, text)
            text = self.type(f'b:hostdrv {other}:=readonly'.lower())
            check('read-only' in text, text)
        self.other = other + ':'
        text = self.type('b:hostdrv /s')
        size = int(re.search(r'resident in 0*(\d+) bytes', text).group(1))
        check(size <= 4096, f'{size} bytes are resident')
        self.enter(self.drive.lower())
        self.vm.expect_screen(self.drive[0] + r':\\>\s*$', 30)


def old_dos(dos):
    """The tables of DOS 3.3: a program that brings its own (tests/hostdrv/old.asm)."""
    letter = 'e' if 'LASTDRIVE' in dos.type('b:hostdrv f:') else 'f'
    if letter == 'e':
        dos.type('b:hostdrv e:')
    dos.type(f'copy {letter}:old.com a:')
    check('is unloaded' in dos.type('b:hostdrv /u'), 'unload')
    text = dos.type('old', r'checks[\s\S]*' + PROMPT)
    match = re.search(r'(\d+) checks, 0 failed', text)
    check(match, text)
    dos.type('del a:old.com')
    check(os.listdir(dos.share) and not find(dos.share, 'dir33'), 'what is left on the host')
    return int(match.group(1))


def messages(dos):
    """Without shares of that name, on letters that are drives, with nonsense."""
    check('no such share' in dos.type('b:hostdrv e:=nothing'), 'a share that is not there')
    check('is a drive already' in dos.type('b:hostdrv a:'), 'A: is in use')
    check('HOSTDRV /?' in dos.type('b:hostdrv what'), 'nonsense')
    text = dos.type('b:hostdrv /s')
    check('not resident' in text and 'work' in text and 'readonly (read-only)' in text, text)
    check('unload' in dos.type('b:hostdrv /?'), 'usage')


def commands(dos):
    """What the shell does: DIR, COPY, REN, DEL, MD, CD, RD, TYPE, redirection, a program."""
    share = dos.share
    noise = random.Random(1).randbytes(40000)
    write(share, 'noise.bin', noise)
    write(share, 'some.txt', 'some text\r\n')
    write(share, 'sub/inside.txt', 'inside')
    write(share, 'A long name.html', 'x' * 9)
    write(share, '.profile', 'hidden')
    write(share, 'full/one.txt', '1')
    write(share, 'full/Another one with a long name', '2')
    with open(os.path.join(share, 'sparse.img'), 'wb') as f:
        f.truncate(3 << 30)
    for name in ('1', '2', '3'):
        write(share, f'file{name}.old', name)
        write(share, f'gone{name}.tmp', name)
    kernel = dos.on_disk('KERNEL.SYS')
    dos.run('dir>dir.out', 'dir *.txt>txt.out', 'dir s???.*>any.out', 'dir sub>sub.out',
            'copy a:\\kernel.sys kernel.sys>copy.out', 'copy noise.bin a:\\noise.bin>>copy.out',
            'copy a:\\noise.bin noise2.bin>>copy.out',
            'copy /b some.txt+some.txt two.txt>>copy.out',
            'dir sparse.img>sparse.out', 'dir /ah>hidden.out', 'echo y|del full\\*.*>nul',
            'ren *.old *.new', 'del *.tmp', 'md newdir', 'cd newdir', 'cd>cd.txt', 'md deeper',
            'rd deeper', 'cd ..', 'md newdir2', 'rd newdir2', 'type some.txt>type.out',
            'echo one>log.txt', 'echo two>>log.txt', 'echo three>>log.txt', 'vol>vol.out',
            'if exist noise.bin echo yes>exist.out', 'if exist newdir\\nul echo dir>>exist.out')
    listing = read(share, 'dir.out').decode('cp437').upper()
    for part in (r'NOISE\s+BIN\s+40[,.]?000', r'SUB\s+<DIR>', r'A\w*~\w+\s+HTM', 'BYTES FREE'):
        check(re.search(part, listing), f'DIR lacks {part}:\n{listing}')
    check(re.search(r'SOME\s+TXT', read(share, 'txt.out').decode('cp437').upper()), 'DIR *.TXT')
    check('NOISE' not in read(share, 'any.out').decode('cp437').upper(), 'DIR S???.*')
    check(re.search(r'INSIDE\s+TXT', read(share, 'sub.out').decode('cp437').upper()), 'DIR SUB')
    check(re.search(r'SPARSE\s+IMG\s+2[,.]?147[,.]?483[,.]?647', read(share, 'sparse.out').decode(
        'cp437').upper()), 'a file that is too large')
    os.remove(os.path.join(share, 'sparse.img'))
    check('PROFILE' not in listing, 'hidden files are not listed')
    check(re.search(r'PROF', read(share, 'hidden.out').decode('cp437').upper()), 'DIR /AH')
    same(os.listdir(share + '/full'), [], 'DEL *.*')
    same(read(share, 'kernel.sys'), kernel, 'KERNEL.SYS')
    same(read(share, 'noise2.bin'), noise, 'what was copied there and back')
    same(read(share, 'two.txt'), b'some text\r\n' * 2, 'what was joined')
    check(os.path.exists(share + '/file1.new') and find(share, 'file3.new'), 'REN *.OLD *.NEW')
    check(not glob.glob(share + '/*.tmp') and not glob.glob(share + '/*.TMP'), 'DEL *.TMP')
    check(b'NEWDIR' in read(share, 'newdir/cd.txt').upper(), 'CD')
    check(not find(share, 'newdir/deeper') and not find(share, 'newdir2'), 'RD')
    same(read(share, 'type.out'), b'some text\r\n', 'TYPE')
    same(read(share, 'log.txt'), b'one\r\ntwo\r\nthree\r\n', 'appended')
    same(read(share, 'exist.out'), b'yes\r\ndir\r\n', 'EXIST')
    check(b'WORK' in read(share, 'vol.out').upper(), 'VOL')


def tools(dos):
    """Programs of the system, where the image has them: from the drive, and on it."""
    listing = subprocess.run(['mdir', '-i', dos.image, '-b', '::/FREEDOS/BIN'],
                             capture_output=True, check=False).stdout
    if b'xcopy' not in listing.lower():
        return 0
    share = dos.share
    path = 'a:\\freedos\\bin\\'
    for name in ('tree/one.txt', 'tree/sub/two.txt', 'tree/sub/deep/three.txt'):
        write(share, name, name)
    write(share, 'noise.bin', random.Random(2).randbytes(20000))
    for name in ('XCOPY.EXE', 'FC.EXE', 'MEM.EXE'):
        write(share, name.lower(), dos.on_disk('FREEDOS/BIN/' + name))
    dos.run('xcopy tree copy /s /e /i /y>xcopy.out', 'copy noise.bin a:\\other.bin>nul',
            'fc /b noise.bin a:\\other.bin>fc.out', 'mem /c>mem.out',
            f'type some.txt | {path}more>more.out', f'{path}attrib +r copy\\one.txt>attrib.out',
            f'{path}deltree /y copy\\sub>deltree.out', 'del a:\\other.bin')
    check(not find(share, 'copy/sub'), 'DELTREE')
    same(read(share, 'copy/one.txt'), b'tree/one.txt', 'XCOPY')
    check(not os.access(find(share, 'copy/one.txt'), os.W_OK) or os.geteuid() == 0, 'ATTRIB +R')
    check(os.stat(find(share, 'copy/one.txt')).st_mode & 0o222 == 0, 'ATTRIB +R')
    check(b'some text' in read(share, 'more.out'), 'MORE')
    check(re.search(rb'(?i)no diff', read(share, 'fc.out')), read(share, 'fc.out'))
    check(re.search(rb'(?i)hostdrv', read(share, 'mem.out')), read(share, 'mem.out'))
    return 6


def programs(dos):
    """The programs of tests/hostdrv, and what they left, seen from the host."""
    share, total = dos.share, 0
    total += dos.program('files')
    same(read(share, 'file.txt'), b'0123456789\0\0\0\0\0', 'FILE.TXT')
    stamp = time.localtime(os.stat(find(share, 'file.txt')).st_mtime)
    same(tuple(stamp)[:6], (1995, 7, 9, 12, 34, 56), 'time of FILE.TXT')
    folder = os.path.join(share, 'search')
    for name, data in (('one.txt', '111'), ('two.txt', '2'), ('three.dat', '3'), ('d1/a.txt', ''),
                       ('d1/b.txt', ''), ('d2/c.txt', ''), ('x1.tmp', ''), ('x2.tmp', ''),
                       ('x3.tmp', '')):
        write(folder, name, data)
    dos.run('cd search', '..\\find>..\\find.out', 'cd ..')
    total += counted(read(share, 'find.out'))
    folder = os.path.join(share, 'blocks')
    write(folder, 'a.rna', 'a')
    write(folder, 'b.rna', 'b')
    dos.run('cd blocks', '..\\fcb>..\\fcb.out', 'cd ..')
    total += counted(read(share, 'fcb.out'))
    same(read(folder, 'records.new'), b''.join(bytes([k]) * 128 for k in range(40)), 'records')
    same(len(os.listdir(folder)), 1, 'files left by FCB')
    big = b''.join(struct.pack('<H', n) for n in range(65536))
    write(share, 'big.bin', big)
    total += dos.program('big')
    same(read(share, 'out.bin'), big[:131070], 'OUT.BIN')
    total += dos.program('v86')
    same(read(share, 'v86.bin'), big[:0xf000], 'V86.BIN')
    total += dos.program('space', dos.other[0])
    same(os.listdir(dos.read_only), ['read.me'], 'files of the read-only share')
    return total


def counted(output):
    match = re.search(rb'(\d+) checks, 0 failed', output)
    check(match, output.decode('cp437'))
    return int(match.group(1))


def long_names(dos):
    folder = os.path.join(dos.share, 'long')
    path = write(folder, 'A long name of the host.text', '12345')
    stamp = time.mktime((2001, 9, 9, 1, 46, 40, 0, 0, -1))
    os.utime(path, (stamp, stamp))
    dos.run('cd long', '..\\long>..\\long.out', 'dir /lfn>..\\lfn.out', 'cd ..')
    total = counted(read(dos.share, 'long.out'))
    same(sorted(os.listdir(folder)), ['A long name of the host.text',
                                      'Created by DOS, renamed.data'], 'names')
    same(read(folder, 'Created by DOS, renamed.data'), b'Cre', 'created')
    listing = read(dos.share, 'lfn.out')  # empty: a FreeCOM that does not know /LFN
    check(not listing or b'A long name of the host.text' in listing, listing)
    if listing:
        shell_with_long_names(dos, folder)
    return total


def shell_with_long_names(dos, folder):
    """FreeCOM 0.85 has long names everywhere but in redirections."""
    source = write(folder, 'Read me first.markdown', os.urandom(70000))
    dos.run('cd long', 'copy "Read me first.markdown" copy.bin>nul',
            'copy copy.bin "Another long name.text">nul', 'md "New long directory"',
            'cd "New long directory"', 'cd>..\\cd.txt', 'copy ..\\copy.bin "And one more.copy">nul',
            'cd ..', 'ren "Another long name.text" "Renamed: not.text"',
            'ren "Another long name.text" "Renamed long name.text"',
            'type "A long name of the host.text">type.txt', 'del "Read me*.markdown">nul', 'cd ..')
    check(not os.path.exists(source), 'DEL with long names')
    for name in ('Renamed long name.text', 'New long directory/And one more.copy'):
        same(len(read(folder, name)), 70000, name)
        same(read(folder, name), read(folder, 'copy.bin'), name)
    same(read(folder, 'type.txt'), b'12345', 'TYPE')


def vanishing(dos):
    """The host deletes a file that DOS has open."""
    path = write(dos.share, 'vanish.txt', '0123456789')
    dos.vm.expect_screen(PROMPT, 30)
    dos.enter('waits>waits.out')
    dos.await_file('ready.txt', 30)
    os.remove(path)
    write(dos.share, 'go.txt', '')
    dos.run('rem')
    return counted(read(dos.share, 'waits.out'))


def unloading(dos):
    check('is the current drive' in dos.type('b:hostdrv /u'), 'current drive')
    dos.type('a:')
    dos.type(f'b:hostdrv /u >{dos.drive}busy.out'.lower())
    check(b'has open files' in read(dos.share, 'busy.out'), 'unload with an open file')
    check('is unloaded' in dos.type('b:hostdrv /u'), 'unload')
    text = dos.type(f'dir {dos.drive}'.lower())
    check(not re.search(r'(?i)some\s+txt', text), text)
    check('not resident' in dos.type('b:hostdrv /u'), 'unload again')
    dos.type(f'b:hostdrv {dos.drive}'.lower())
    check(re.search(r'(?i)some\s+txt', dos.type(f'dir {dos.drive}some.txt'.lower())), 'it is back')


def everything(image, accel):
    with Dos(image, accel) as dos:
        start = time.monotonic()
        messages(dos)
        checks = old_dos(dos)
        dos.install()
        commands(dos)
        checks += programs(dos)
        checks += long_names(dos)
        checks += vanishing(dos)
        used = tools(dos)
        unloading(dos)
        print(f'  {os.path.basename(image)}, {accel}: {checks} checks in DOS, {used} of its '
              f'programs ({time.monotonic() - start:.0f} s)', flush=True)


def loadlin():
    """A large program of others, LOADLIN, is run from the drive, reads a kernel of megabytes from
    it, and starts Linux."""
    folder = guests('loadlin', 'i386')
    with Dos(found()[-1]) as dos:
        for name, path in (('loadlin.exe', 'loadlin.exe'), ('vmlinuz', 'i386/vmlinuz'),
                           ('initrd', 'i386/initrd')):
            shutil.copy(os.path.join(folder, path), os.path.join(dos.share, name))
        write(dos.share, 'linux.bat',
              'loadlin vmlinuz initrd=initrd console=ttyS0 weir.run=poweroff\r\n')
        dos.install()
        dos.enter('linux')
        dos.vm.expect(r'Linux version \d', 60)
        dos.vm.expect('init reached', 120)
        dos.vm.expect('Power down', 60)


def found():
    images = dos_images()
    if not images:
        print('no DOS image at hand: nothing was tested; set WEIR_DOS_IMAGES')
        sys.exit(77)
    return images


def jit():
    for image in found():
        everything(image, 'jit')


def interp():
    everything(found()[-1], 'interp')


if __name__ == '__main__':
    main(*[globals()[name] for name in sys.argv[1:]])
