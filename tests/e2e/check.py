# SPDX-License-Identifier: MIT
"""Lock-step and deterministic time in the command: two engines agree on the beginning of a Linux
boot, two runs with -icount print the same, and sleep=off does not wait."""
import os
import re
import subprocess
import sys
from weirtest import Failure, SLOW, WEIR, guests, main


def run(seconds, *args):
    try:
        return subprocess.run([WEIR, '-m', '256', '-nographic', '-no-reboot', *args],
                              stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=seconds * SLOW, check=False)
    except subprocess.TimeoutExpired as late:
        raise Failure(f'not done in {seconds * SLOW:.0f} s: {late.stdout!r}') from late


def kernel(command_line):
    folder = os.path.join(guests('amd64'), 'amd64')
    return ['-kernel', f'{folder}/vmlinuz', '-initrd', f'{folder}/initrd', '-append',
            command_line]


def lockstep():
    done = run(120, '-accel', 'check,limit=200000000', *kernel('console=ttyS0'))
    told = done.stderr.decode()
    if done.returncode or 'were equal for 200000000 instructions' not in told:
        raise Failure(f'status {done.returncode}: {told}')
    if b'Linux version' not in done.stdout or done.stdout.count(b'Linux version') != 1:
        raise Failure('the console of one machine was expected')


def firmware():
    """SeaBIOS finds nothing to boot, waits for a minute, which is skipped, and reboots."""
    done = run(50, '-accel', 'check,step=777', '-icount', '5')
    told = done.stderr.decode()
    if done.returncode or '(the guest asked for a reset)' not in told:
        raise Failure(f'status {done.returncode}: {told}')
    if b'SeaBIOS' not in done.stdout:
        raise Failure(f'no firmware: {done.stdout[-500:]!r}')


def same_output():
    """The kernel's time stamps are the same in both runs, to the microsecond. It ends for want of
    a root file system and reboots, which ends weir."""
    line = kernel('console=ttyS0 panic=-1 rdinit=/none root=/dev/none')
    outputs = []
    for sleep in ('off', 'on'):
        done = run(120, '-icount', f'shift=3,sleep={sleep}', *line)
        if done.returncode:
            raise Failure(f'status {done.returncode}: {done.stderr[-500:]!r}')
        outputs.append(done.stdout)
    if b'Kernel panic' not in outputs[0]:
        raise Failure(f'no panic: {outputs[0][-500:]!r}')
    if len(re.findall(rb'\[ +\d+\.\d{6}\]', outputs[0])) < 100:
        raise Failure('hardly any time stamps')
    if outputs[0] != outputs[1]:
        pairs = zip(outputs[0].splitlines(), outputs[1].splitlines())
        differing = [p for p in pairs if p[0] != p[1]]
        raise Failure(f'the runs differ: {differing[:1]}')


main(*[globals()[name] for name in sys.argv[1:]])
