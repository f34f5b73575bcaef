# SPDX-License-Identifier: MIT
"""Runs a plan natively and in guests; reads what bench/guest/* print (format: main.c)."""
import os
import re
import subprocess
import time
from dataclasses import dataclass, field

LINE = re.compile(r'([>=!-]) (\S+)((?: \S+)*)$')


@dataclass
class Result:
    """One row of one run: nanoseconds per operation, and how long both clocks say it took."""
    count: int
    least_ns: float
    median_ns: float
    checksum: str
    guest_s: float
    host_s: float

    def clock_error(self):
        """By how much the guest's clock was off, and whether that is more than reading the serial
        port from outside explains."""
        error = self.guest_s / self.host_s - 1 if self.host_s else 0
        return error, abs(self.guest_s - self.host_s) > 0.01 + 0.03 * self.host_s


@dataclass
class Run:
    """What one pass of one engine gave."""
    rows: dict = field(default_factory=dict)
    complaints: list = field(default_factory=list)
    boot_s: float = 0


def timed_lines(command, timeout_s):
    """Yields (host time, line) while the command runs; kills it when the reader is done."""
    process = subprocess.Popen(['timeout', str(timeout_s)] + command, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        for line in process.stdout:
            yield time.monotonic(), line.decode('latin-1').strip()
    finally:
        process.terminate()
        process.wait()


def read(lines):
    """Lines of a run up to "bench ends"."""
    run = Run()
    started = {}
    begin = time.monotonic()
    last = ''
    for now, line in lines:
        last = line or last
        if 'init reached' in line:
            run.boot_s = now - begin
        elif line == 'bench ends':
            return run
        match = LINE.search(line)
        if not match:
            continue
        kind, name, words = match[1], match[2], match[3].split()
        if kind == '>':
            started[name] = now, int(words[0])
        elif kind == '=' and name in started:
            host, guest = started[name]
            run.rows[name] = Result(int(words[0]), float(words[1]), float(words[2]), words[3],
                                    (int(words[4]) - guest) / 1e9, now - host)
        elif kind == '!':
            run.complaints.append(line)
    run.complaints.append(f'ended early, after: {last}')
    return run


NATIVE = r'''set -e
mount --rbind /dev "$1/dev"
mount --rbind /proc "$1/proc"
mount -t tmpfs tmp "$1/tmp"
cp "$2" "$1/tmp/plan"
chroot "$1" /bench/rows /tmp/plan
echo "bench ends"
'''


class Native:
    """The host itself, in a chroot with the files of the guests' disk."""
    name = 'native'

    def __init__(self, bench):
        self.bench = bench

    def run(self, plan_text):
        plan = os.path.join(self.bench, 'plan')
        with open(plan, 'w', encoding='ascii') as f:
            f.write(plan_text)
        apart = ['unshare', '-m'] if os.getuid() == 0 else ['unshare', '-rm']
        return read(timed_lines(apart + ['sh', '-c', NATIVE, 'sh', os.path.join(self.bench, 'tree'),
                                         plan], 1800))


class Guest:
    """A virtual machine: `command` is the emulator with the options that are its own."""

    def __init__(self, name, command, guests, bench):
        self.name = name
        self.command = command
        self.guests = guests
        self.bench = bench

    def boot(self, arch, append, drives=()):
        folder = os.path.join(self.guests, arch)
        command = self.command + ['-m', '512', '-nographic', '-no-reboot', '-nic', 'none',
                                  '-kernel', f'{folder}/vmlinuz', '-initrd', f'{folder}/initrd',
                                  '-append', f'console=ttyS0 quiet panic=-1 {append}']
        for drive in drives:
            command += ['-drive', f'file={drive},if=virtio,format=raw,readonly=on']
        return timed_lines(command, 3600)

    def run(self, plan_text):
        plan = os.path.join(self.bench, 'plan.img')
        data = plan_text.encode()
        with open(plan, 'wb') as f:
            f.write(data + bytes(-len(data) % 4096))
        image = os.path.join(self.bench, 'image.ext4')
        return read(self.boot('amd64', 'weir.root=/dev/vda', [image, plan]))

    def boot_seconds(self, arch):
        """From the start of the process to the first line of init; 0 if that did not come."""
        begin = time.monotonic()
        for now, line in self.boot(arch, 'weir.run=poweroff'):
            if 'init reached' in line:
                return now - begin
        return 0
