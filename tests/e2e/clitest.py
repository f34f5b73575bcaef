# SPDX-License-Identifier: MIT
"""What the tests of the command share: running it, talking to its sockets and its terminal."""
import json
import os
import pty
import re
import select
import socket
import subprocess
import sys
import tempfile
import termios
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WEIR = os.environ.get('WEIR', os.path.join(ROOT, 'build', 'weir'))
# Sanitizers and slow machines stretch every limit.
SLOW = float(os.environ.get('WEIR_SLOW', '1'))
LIMIT = 20 * SLOW  # for anything to happen


class Failure(Exception):
    pass


def check(condition, text):
    if not condition:
        raise Failure(text)


def same(got, wanted, what):
    check(got == wanted, f'{what}: {got!r} instead of {wanted!r}')


def run(*args, stdin=subprocess.DEVNULL, **more):
    """Runs to the end; returns (status, stdout, stderr)."""
    done = subprocess.run([WEIR, *args], stdin=stdin, capture_output=True, timeout=LIMIT,
                          check=False, **more)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


class Talk:
    """Text to and from a descriptor or socket."""

    def __init__(self, send, receive, close):
        self.send_bytes, self.receive, self.close = send, receive, close
        self.text = ''

    def send(self, text):
        self.send_bytes(text.encode('latin-1'))

    def read_some(self, seconds):
        data = self.receive(seconds)
        if data:
            self.text += data.decode('utf-8', 'replace')
        return bool(data)

    def expect(self, pattern):
        """Waits for the pattern; returns all up to its end and forgets it."""
        deadline = time.monotonic() + LIMIT
        while True:
            match = re.search(pattern, self.text, re.S)
            if match:
                before = self.text[:match.end()]
                self.text = self.text[match.end():]
                return before
            if time.monotonic() > deadline:
                raise Failure(f'{pattern!r} did not come; there is {self.text[-1000:]!r}')
            try:
                self.read_some(0.2)
            except OSError:
                raise Failure(f'ended before {pattern!r}; there is {self.text[-1000:]!r}') from None


def fd_talk(fd):
    def receive(seconds):
        ready, _, _ = select.select([fd], [], [], seconds)
        if not ready:
            return b''
        data = os.read(fd, 65536)
        if not data:
            raise OSError('end')
        return data
    return Talk(lambda data: os.write(fd, data), receive, lambda: os.close(fd))


def connect(path, process=None):
    deadline = time.monotonic() + LIMIT
    while True:
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(path)
            break
        except OSError:
            sock.close()
            if time.monotonic() > deadline or (process and process.poll() is not None):
                raise Failure(f'nobody listens at {path}') from None
            time.sleep(0.02)

    def receive(seconds):
        sock.settimeout(seconds)
        try:
            data = sock.recv(65536)
        except socket.timeout:
            return b''
        if not data:
            raise OSError('end')
        return data

    return Talk(sock.sendall, receive, sock.close)


class Weir:
    """A running command in a folder of its own; ended when the block is left."""

    def __init__(self, *args, terminal=False, stdin=subprocess.DEVNULL):
        self.folder = tempfile.TemporaryDirectory(prefix='weir-test-')
        args = [a.replace('@', self.folder.name) for a in args]
        self.terminal = None
        out = subprocess.PIPE
        err = subprocess.STDOUT
        if terminal:
            master, slave = pty.openpty()
            self.slave = slave
            self.flags_before = termios.tcgetattr(slave)[:4]
            stdin = out = err = slave
            self.terminal = fd_talk(master)
        self.process = subprocess.Popen([WEIR, *args], stdin=stdin, stdout=out, stderr=err,
                                        start_new_session=terminal)
        if not terminal:
            self.out = fd_talk(self.process.stdout.fileno())

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.folder.cleanup()

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def connect(self, name):
        return connect(self.path(name), self.process)

    def wait(self, status=0):
        try:
            got = self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            raise Failure('weir did not end') from None
        same(got, status, 'exit status')


class Monitor:
    PROMPT = r'\(weir\) '

    def __init__(self, talk):
        self.talk = talk
        self.greeting = talk.expect(self.PROMPT)

    def command(self, line):
        """The answer, without the echo of the line and the next prompt."""
        self.talk.send(line + '\n')
        answer = self.talk.expect(self.PROMPT).replace('\r', '')
        check(answer.startswith(line + '\n'), f'no echo of {line!r} in {answer!r}')
        return answer[len(line) + 1:-len('(weir) ')]


class Qmp:
    def __init__(self, talk, negotiate=True):
        self.talk = talk
        self.events = []
        self.greeting = self.message()
        if negotiate:
            same(self.ask('qmp_capabilities'), {'return': {}}, 'qmp_capabilities')

    def message(self):
        return json.loads(self.talk.expect(r'\n'))

    def raw(self, text):
        self.talk.send(text)
        while True:
            message = self.message()
            if 'event' not in message:
                return message
            self.events.append(message)

    def ask(self, command, **arguments):
        request = {'execute': command}
        if arguments:
            request['arguments'] = {k.replace('_', '-'): v for k, v in arguments.items()}
        return self.raw(json.dumps(request) + '\n')

    def result(self, command, **arguments):
        answer = self.ask(command, **arguments)
        check('return' in answer, f'{command}: {answer}')
        return answer['return']

    def event(self, name):
        while True:
            for k, message in enumerate(self.events):
                if message['event'] == name:
                    del self.events[:k + 1]
                    return message
            self.events.append(self.message())


def main(*tests):
    for test in tests:
        start = time.monotonic()
        try:
            test()
        except Failure as failure:
            print(f'FAILED {test.__name__}: {failure}', flush=True)
            sys.exit(1)
        print(f'ok {test.__name__} ({time.monotonic() - start:.1f} s)', flush=True)
