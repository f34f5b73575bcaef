# SPDX-License-Identifier: MIT
"""Debian's programs do the same work in a guest as on this machine: a compiler, interpreters,
cryptography, a database, just-in-time compilers."""
import os
import subprocess
from weirtest import Failure, SLOW, WEIR, guests, main

FOLDER = os.path.dirname(os.path.abspath(__file__))


def userland():
    """The guest's root directory is this machine's, but for /tmp."""
    script = os.path.join(FOLDER, 'userland.sh')
    kernel = os.path.join(guests('amd64'), 'amd64', 'vmlinuz')
    here = subprocess.run(['bash', script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)
    if here.returncode != 0:
        raise Failure(f'the script fails on this machine: {here.stderr.decode()[-400:]}')
    there = subprocess.run([WEIR, 'run', '-kernel', kernel, '-m', '2048', '-share',
                            f'{FOLDER},ro=on', '-timeout', str(int(600 * SLOW)), '-exec', f'bash {script}'],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, check=False)
    if there.returncode != 0:
        raise Failure(f'status {there.returncode}: {there.stderr.decode()[-400:]}')
    if here.stdout != there.stdout:
        for one, other in zip(here.stdout.splitlines(), there.stdout.splitlines()):
            if one != other:
                raise Failure(f'here: {one[:200]}\nthere: {other[:200]}')
        raise Failure('one of the outputs is longer')
    print(f'{len(here.stdout.splitlines())} lines are the same')


if __name__ == '__main__':
    main(userland)
