#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Speed of files that a guest has from its host: weirfs (the kernel's virtiofs with files mapped
through a window, or host calls) beside the host itself, and beside virtio-9p under QEMU TCG with the
same kernel: Debian's for amd64 that has 9p, and that for i386.

usage: share.py BUILD      prints the rows; bench/run has them in its table"""
import glob
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BYTES = 192 << 20
APPEND = 'mitigations=off init_on_alloc=0'  # for both: what the kernel does for safety's sake
MOUNT_9P = 'trans=virtio,version=9p2000.L,msize=524288'


def find_module(modules, name):
    pattern = re.compile(name.replace('_', '[-_]') + r'\.ko$')
    for path in glob.glob(os.path.join(modules, 'kernel', '**', '*.ko'), recursive=True):
        if pattern.fullmatch(os.path.basename(path)):
            return path
    return None


def with_needed(modules, names, found=None):
    """Modules in an order in which they can be loaded."""
    found = [] if found is None else found
    for name in names:
        path = find_module(modules, name)
        if not path or path in found:
            continue
        with open(path, 'rb') as f:
            needed = re.search(rb'\0depends=([^\0]*)', f.read())
        with_needed(modules, [n for n in needed.group(1).decode().split(',') if n], found)
        found.append(path)
    return found


def entry(name, mode, data=b''):
    numbers = [0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0]
    head = b'070701' + b''.join(b'%08X' % n for n in numbers) + name.encode() + b'\0'
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


# First reads after mounting: the best of several, as all figures are.
FIRST = ('mkdir -p /m; cp fsbench-{arch} /tmp/f; cd /; for k in 1 2 3 4 5 6 7 8; do {mount} && '
         '/tmp/f read /m/big 1024 1 warm; umount /m; done | sort -n -k2 | tail -n 1; {mount}; cd /m; ')
HOWS = ('first after mount', 'O_DIRECT', 'again')
AGAIN = '; '.join(f'/tmp/f read big 1024 8 {how}' for how in ('direct', 'warm'))


def initrd_9p(base, modules, script):
    """busybox, 9p's modules, and an init that mounts the share and runs the script."""
    with open(base, 'rb') as f:
        data = f.read()
    data += bytes(-len(data) % 4) + entry('modules9', 0o40755)
    load = ''
    for path in with_needed(modules, ['virtio_pci', '9p', '9pnet_virtio']):
        name = os.path.basename(path)
        with open(path, 'rb') as f:
            data += entry(f'modules9/{name}', 0o100644, f.read())
        load += f'insmod /modules9/{name}\n'
    init = ('#!/bin/sh\n/bin/busybox mkdir -p /sbin /usr/bin /usr/sbin\n/bin/busybox --install -s\n'
            'mount -t proc proc /proc\nmount -t devtmpfs dev /dev\n' + load +
            f'mkdir -p /share /tmp\nmount -t 9p -o {MOUNT_9P} share /share || echo no 9p\n'
            'cp /share/fsbench-* /tmp\nmkdir -p /m; cd /share\n' +
            script + '\nsleep 1\npoweroff -f\n')
    return data + entry('init9', 0o100755, init.encode()) + entry('TRAILER!!!', 0)


class Shares:
    def __init__(self, build):
        self.build = os.path.abspath(build)
        self.weir = os.path.join(self.build, 'weir')
        self.guests = os.path.join(self.build, 'guests')
        subprocess.run([os.path.join(ROOT, 'scripts', 'guests'), self.guests, 'amd64', 'i386',
                        'generic'], check=True)
        self.host_speeds = []
        self.work = tempfile.TemporaryDirectory(prefix='weir-bench-')
        with open(os.path.join(self.work.name, 'big'), 'wb') as f:
            for _ in range(BYTES >> 20):
                f.write(os.urandom(1 << 20))
        for arch in ('amd64', 'i386'):
            program = os.path.join(self.build, 'bench', 'guest', f'fsbench-{arch}')
            subprocess.run(['cp', program, self.work.name], check=True)

    def kernel(self, arch):
        folder = os.path.join(self.guests, 'generic' if arch == 'amd64' else arch)
        return os.path.join(folder, 'vmlinuz'), os.path.join(folder, 'initrd')

    @staticmethod
    def figures(text):
        return [float(n) for n in re.findall(r'(?:read|call|share) (\d+\.?\d*)', text)]

    def host(self, *args):
        program = os.path.join(self.work.name, 'fsbench-amd64')
        out = subprocess.run([program, *args], cwd=self.work.name, check=True, text=True,
                             stdout=subprocess.PIPE).stdout
        return self.figures(out)[0]

    def guest(self, arch, script):
        kernel, initrd = self.kernel(arch)
        command = [self.weir, 'run', '-m', '512', '-quiet', '--kernel', kernel, '--initrd', initrd,
                   '-append', APPEND, '--share', self.work.name, '--timeout', '300', '--exec', script]
        out = subprocess.run(command, text=True, stdout=subprocess.PIPE, check=True,
                             stdin=subprocess.DEVNULL).stdout
        return self.figures(out)

    def qemu(self, arch, script):
        kernel, base = self.kernel(arch)
        modules = glob.glob(os.path.join(os.path.dirname(kernel), 'kernel', 'lib', 'modules', '*'))
        with tempfile.NamedTemporaryFile() as initrd:
            initrd.write(initrd_9p(base, modules[0], script))
            initrd.flush()
            command = ['timeout', '400', 'qemu-system-x86_64', '-accel', 'tcg', '-cpu', 'max', '-m',
                       '512', '-nographic', '-no-reboot', '-kernel', kernel, '-initrd', initrd.name,
                       '-append', f'console=ttyS0 quiet rdinit=/init9 {APPEND}', '-virtfs',
                       f'local,path={self.work.name},mount_tag=share,security_model=none']
            out = subprocess.run(command, text=True, stdout=subprocess.PIPE, check=True,
                                 stdin=subprocess.DEVNULL).stdout
        return self.figures(out.replace('\r', ''))

    @staticmethod
    def script(arch, mount):
        return FIRST.format(arch=arch, mount=mount) + AGAIN

    def measure(self, arch, option):
        """The three speeds in a guest; the host's own before and after, as both share a machine."""
        name = os.path.basename(self.work.name)
        # The share that `weir run` has mounted goes first: a device is mounted once.
        leave = f'cp fsbench-{arch} /tmp; cd /; umount {self.work.name}; cd /tmp; '
        self.host_speeds.append(self.host('read', 'big', '1024', '8', 'warm'))
        figures = self.guest(arch, leave + self.script(arch, f'weirfs -s {name} -o dax={option} /m'))
        self.host_speeds.append(self.host('read', 'big', '1024', '8', 'warm'))
        if len(figures) != 3:
            raise ValueError(f'{arch}, dax={option}: {figures}')
        return figures

    def rows(self):
        """(text, value)"""
        ways = {(arch, option): self.measure(arch, option)
                for arch in ('amd64', 'i386') for option in ('auto', 'never')}
        host = max(self.host_speeds)
        yield 'host: sequential read from the page cache, GB/s', f'{host:.2f}'
        for (arch, option), figures in ways.items():
            way = 'weirfs' if option == 'auto' else 'weirfs by host calls'
            for how, speed in zip(HOWS, figures):
                yield (f'{way}, {arch}: sequential read, {how}, GB/s',
                       f'{speed:.2f} ({speed / host * 100:.0f} % of the host)')
        calls = self.guest('amd64', './fsbench-amd64 call 200000; ./fsbench-amd64 share big 5000')
        yield 'host call from Linux: null service, ns', f'{calls[0]:.0f}'
        yield 'host call from Linux: 64 KiB of a file, GB/s', f'{calls[1]:.2f}'
        for arch in ('amd64', 'i386'):
            yield from self.rows_9p(arch, ways[arch, 'auto'])

    def rows_9p(self, arch, ours):
        """Without a cache 9p has no shared mappings and reads into the program's memory, as with
        O_DIRECT; with cache=loose it keeps what it has read."""
        for cache in ('none', 'loose'):
            mount = f'mount -t 9p -o {MOUNT_9P},cache={cache} share /m'
            nine = self.qemu(arch, 'cd /tmp; umount /share; ' + self.script(arch, mount))
            if len(nine) != 3:
                raise ValueError(f'9p: {nine}')
            for how, mine, theirs in zip(HOWS, ours, nine):
                yield (f'virtio-9p, QEMU TCG, {arch}, cache={cache}: {how}, GB/s',
                       f'{theirs:.2f} (weirfs: {mine / theirs:.1f} times that)')


if __name__ == '__main__':
    for row in Shares(sys.argv[1] if len(sys.argv) > 1 else 'build').rows():
        print(f'{row[0]:<70} {row[1]}', flush=True)
