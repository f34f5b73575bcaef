# SPDX-License-Identifier: MIT
"""Lock-step and deterministic time in the command: two engines agree on the beginning of a Linux
boot and on whole smaller systems, and two runs with -icount print the same."""
import os
import re
import subprocess
import sys
from weirtest import Failure, SLOW, WEIR, dos_images, guests, main


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


def agrees(end, *args):
    """Both engines, up to a limit or the guest's own end."""
    done = run(240, *args)
    told = done.stderr.decode()
    if done.returncode or not re.search(end, told):
        raise Failure(f'status {done.returncode}: {told}')
    return done.stdout.decode('utf-8', 'replace')


def lockstep():
    text = agrees('were equal for 200000000 instructions', '-accel', 'check,limit=200000000',
                  *kernel('console=ttyS0'))
    if text.count('Linux version') != 1:
        raise Failure('the console of one machine was expected')


def whole_boot():
    """From the disk's boot sector by BIOS and syslinux to Linux and power off."""
    image = os.path.join(guests('disks'), 'syslinux.img')
    text = agrees('the guest powered off', '-accel', 'check', '-m', '512', '-hda', image)
    if 'init reached' not in text or 'Power down' not in text:
        raise Failure(text[-500:])


def i386():
    folder = os.path.join(guests('i386'), 'i386')
    agrees('for 600000000 instructions', '-accel', 'check,limit=600000000', '-kernel',
           f'{folder}/vmlinuz', '-initrd', f'{folder}/initrd', '-append', 'console=ttyS0')


def memtest():
    image = os.path.join(guests('memtest'), 'memtest.bin')
    agrees('for 300000000 instructions', '-accel', 'check,limit=300000000', '-m', '64', '-kernel',
           image)


def dos():
    for image in dos_images():
        agrees('for 60000000 instructions', '-accel', 'check,limit=60000000', '-m', '64', '-fda',
               image, '-boot', 'a')


def firmware():
    """SeaBIOS finds nothing to boot, waits for a minute, which is skipped, and reboots."""
    text = agrees('the guest asked for a reset', '-accel', 'check,step=777', '-icount', '5')
    if 'SeaBIOS' not in text:
        raise Failure(f'no firmware: {text[-500:]!r}')


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
