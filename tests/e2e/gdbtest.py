# SPDX-License-Identifier: MIT
"""A real gdb on pipes, and what it needs: a machine that waits for it, ELF files with symbols."""
import os
import re
import select
import shutil
import struct
import subprocess
import time
from weirtest import Failure, Machine, SLOW

GDB = shutil.which('gdb')


class Gdb:
    """gdb with its prompt on a pipe; every command's output is returned."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [GDB, '-nx', '-q', *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env={**os.environ, 'LC_ALL': 'C', 'DEBUGINFOD_URLS': ''})
        self.text = ''
        self.log = ''
        self.wait(30)
        for line in ('pagination off', 'confirm off', 'width 0', 'height 0', 'style enabled off',
                     'tcp connect-timeout 10', 'remotetimeout 20'):
            self.command(f'set {line}')

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind:
            print(f'--- gdb (last 4000 characters)\n{self.log[-4000:]}', flush=True)
        self.process.kill()
        self.process.wait()

    def wait_for(self, pattern, seconds):
        """Output that comes by itself."""
        deadline = time.monotonic() + seconds * SLOW
        while not re.search(pattern, self.text):
            self.receive(deadline)
        time.sleep(0.2)
        while select.select([self.process.stdout], [], [], 0)[0]:
            self.receive(deadline)
        self.text = ''

    def wait(self, seconds):
        """Output up to the next prompt."""
        deadline = time.monotonic() + seconds * SLOW
        while not self.text.endswith('(gdb) '):
            self.receive(deadline)
        text, self.text = self.text[:-6], ''
        return text

    def receive(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0:
            raise Failure(f'gdb gave no prompt in time: {self.text[-500:]!r}')
        if select.select([self.process.stdout], [], [], min(left, 1))[0]:
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                raise Failure(f'gdb ended: {self.text[-500:]!r}')
            self.text += data.decode('utf-8', 'replace')
            self.log += data.decode('utf-8', 'replace')

    def send(self, line):
        self.log += line + '\n'
        self.process.stdin.write(line.encode() + b'\n')
        self.process.stdin.flush()

    def command(self, line, seconds=30):
        self.send(line)
        return self.wait(seconds)

    def expect(self, line, pattern, seconds=30):
        text = self.command(line, seconds)
        match = re.search(pattern, text)
        if not match:
            raise Failure(f'gdb: {line}: no {pattern!r} in:\n{text}')
        return match

    def value(self, expression):
        return int(self.expect(f'output/x {expression}', r'0x([0-9a-f]+)').group(1), 16)

    def interrupt(self):
        self.process.send_signal(2)


class Target(Machine):
    """A machine that waits for gdb on a socket."""

    def __init__(self, *args, console=True):
        self.socket = os.path.join('/tmp', f'weir-gdb-{os.getpid()}-{time.monotonic_ns()}')
        super().__init__('-gdb', f'unix:{self.socket}', *args, console=console)

    def attach(self, gdb, kind='remote'):
        deadline = time.monotonic() + 10 * SLOW
        while not os.path.exists(self.socket):
            if time.monotonic() > deadline or self.process.poll() is not None:
                while self.read(0):
                    pass
                raise Failure('no gdb socket')
            time.sleep(0.02)
        return gdb.command(f'target {kind} {self.socket}')


def write_symbols(path, symbols, machine=62):
    """An ELF file of nothing but names: {name: address}. 62 is x86-64, 3 i386."""
    wide = machine == 62
    first, last = min(symbols.values()), max(symbols.values()) + 4096
    strings, entries = b'\0', bytes(24 if wide else 16)
    ordered = sorted(symbols.items(), key=lambda item: item[1])
    for i, (name, address) in enumerate(ordered):
        end = ordered[i + 1][1] if i + 1 < len(ordered) else address + 64
        size = min(end - address, 4096)
        if wide:
            entries += struct.pack('<IBBHQQ', len(strings), 0x12, 0, 1, address, size)
        else:
            entries += struct.pack('<IIIBBH', len(strings), address, size, 0x12, 0, 1)
        strings += name.encode() + b'\0'
    names = b'\0.text\0.symtab\0.strtab\0.shstrtab\0'
    header = 64 if wide else 52
    at = header
    blobs = [entries, strings, names]
    places = []
    for blob in blobs:
        places.append(at)
        at += len(blob)
    form = '<IIQQQQIIQQ' if wide else '<IIIIIIIIII'
    sections = struct.pack(form, *[0] * 10)
    sections += struct.pack(form, 1, 8, 6, first, header, last - first, 0, 0, 16, 0)
    sections += struct.pack(form, 7, 2, 0, 0, places[0], len(entries), 3, 1, 8, 24 if wide else 16)
    sections += struct.pack(form, 15, 3, 0, 0, places[1], len(strings), 0, 0, 1, 0)
    sections += struct.pack(form, 23, 3, 0, 0, places[2], len(names), 0, 0, 1, 0)
    ident = b'\x7fELF' + bytes([2 if wide else 1, 1, 1]) + bytes(9)
    form = '<HHIQQQIHHHHHH' if wide else '<HHIIIIIHHHHHH'
    head = ident + struct.pack(form, 2, machine, 1, first, 0, at, 0, header, 0, 0,
                               64 if wide else 40, 5, 4)
    with open(path, 'wb') as file:
        file.write(head + b''.join(blobs) + sections)
