# SPDX-License-Identifier: MIT
"""What the end-to-end tests share: a running weir with its serial console and monitor, and the
guests that scripts/guests makes from Debian's packages."""
import fcntl
import glob
import json
import os
import re
import select
import socket
import subprocess
import tempfile
import time

from clitest import ROOT, SLOW, WEIR, Failure, main  # noqa: F401

GUESTS = os.environ.get('WEIR_GUESTS', os.path.join(ROOT, 'build', 'guests'))


def guests(*names):
    """Makes them if they are not there; returns the directory."""
    os.makedirs(GUESTS, exist_ok=True)
    with open(os.path.join(GUESTS, 'lock'), 'w', encoding='ascii') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run([os.path.join(ROOT, 'scripts', 'guests'), GUESTS, *names], check=True)
    return GUESTS


def dos_images():
    """Those named by WEIR_DOS_IMAGES, else those beside the checkout; may be none."""
    named = os.environ.get('WEIR_DOS_IMAGES')
    places = named.split(':') if named else [os.path.join(ROOT, '..', 'shared', 'guests')]
    found = []
    for place in places:
        found += sorted(glob.glob(os.path.join(place, '*.img'))) if os.path.isdir(place) else [place]
    found = [image for image in found if os.path.exists(image)]
    if named and not found:
        raise Failure(f'WEIR_DOS_IMAGES names no image: {named}')
    return found


class Machine:
    """weir with its console on pipes (-nographic) and a QMP socket."""

    def __init__(self, *args, console=True):
        self.folder = tempfile.TemporaryDirectory(prefix='weir-test-')
        self.qmp_path = os.path.join(self.folder.name, 'qmp')
        command = [WEIR, *args, '-qmp', f'unix:{self.qmp_path},server=on,wait=off']
        if console:
            command += ['-nographic']
        self.text = ''
        self.seen = 0
        self.qmp_file = None
        self.started = time.monotonic()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind:
            print(f'--- console (last 3000 characters)\n{self.text[-3000:]}', flush=True)
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()

    def read(self, seconds):
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        if not ready:
            return False
        data = os.read(self.process.stdout.fileno(), 65536)
        self.text += data.decode('utf-8', 'replace')
        return bool(data)

    def expect(self, pattern, seconds):
        """Waits for a pattern in what the console shows from here on; returns the match."""
        deadline = time.monotonic() + seconds * SLOW
        while True:
            match = re.search(pattern, self.text[self.seen:])
            if match:
                self.seen += match.end()
                return match
            left = deadline - time.monotonic()
            if left <= 0:
                raise Failure(f'{pattern!r} did not appear in {seconds * SLOW:.0f} s')
            if not self.read(min(left, 1)) and self.process.poll() is not None:
                if not re.search(pattern, self.text[self.seen:]):
                    raise Failure(f'weir ended ({self.process.returncode}) before {pattern!r}')

    def type(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def wait(self, seconds, status=0):
        deadline = time.monotonic() + seconds * SLOW
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                raise Failure(f'weir did not end in {seconds * SLOW:.0f} s')
            self.read(0.2)
        while self.read(0):
            pass
        if self.process.returncode != status:
            raise Failure(f'weir ended with {self.process.returncode}, not {status}')

    def qmp(self, command, **arguments):
        if not self.qmp_file:
            self.connect_qmp()
        request = {'execute': command}
        if arguments:
            request['arguments'] = arguments
        self.qmp_file.write(json.dumps(request) + '\n')
        self.qmp_file.flush()
        while True:
            line = self.qmp_file.readline()
            if not line:
                raise Failure('the QMP connection ended')
            reply = json.loads(line)
            if 'return' in reply:
                return reply['return']
            if 'error' in reply:
                raise Failure(f'{command}: {reply["error"]}')

    def connect_qmp(self):
        deadline = time.monotonic() + 10 * SLOW
        sock = socket.socket(socket.AF_UNIX)
        while True:
            try:
                sock.connect(self.qmp_path)
                break
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    while self.read(0):
                        pass
                    raise Failure('no QMP socket')
                time.sleep(0.02)
        self.qmp_file = sock.makefile('rw', encoding='utf-8')
        self.qmp_file.readline()
        self.qmp('qmp_capabilities')

    def hmp(self, line):
        return self.qmp('human-monitor-command', **{'command-line': line})

    def screen(self):
        return self.hmp('screentext')

    def expect_screen(self, pattern, seconds):
        deadline = time.monotonic() + seconds * SLOW
        text = ''
        while time.monotonic() < deadline:
            text = self.screen()
            match = re.search(pattern, text)
            if match:
                return text
            if self.process.poll() is not None:
                break
            self.read(0.2)
        raise Failure(f'{pattern!r} did not appear on the screen:\n{text}')

    KEYS = {' ': 'spc', '\n': 'ret', '.': 'dot', '/': 'slash', '\\': 'backslash', '-': 'minus',
            ',': 'comma', ';': 'semicolon', '=': 'equal', ':': 'shift-semicolon',
            '*': 'shift-8', '>': 'shift-dot', '<': 'shift-comma', '?': 'shift-slash'}

    def press(self, text):
        for char in text:
            key = self.KEYS.get(char) or (f'shift-{char.lower()}' if char.isupper() else char)
            self.hmp(f'sendkey {key} 30')
            time.sleep(0.04)
