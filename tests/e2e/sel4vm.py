# SPDX-License-Identifier: MIT
"""Linux boots under the example VMM that knows libsel4vm's interface only, until it looks for its
root, finds none and resets."""
import os
import subprocess
from weirtest import SLOW, Failure, guests, main


def boot(which):
    folder = os.path.join(guests(which), which)
    command = [os.environ['SEL4VM_LINUX'], os.path.join(folder, 'vmlinuz'),
               os.path.join(folder, 'initrd'),
               'console=ttyS0 panic=-1 reboot=k noapic nolapic acpi=off pci=off no_timer_check '
               'rdinit=/none root=/dev/none']
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         timeout=120 * SLOW, check=False)
    text = run.stdout.decode('utf-8', 'replace')
    for wanted in ('Linux version', 'Freeing initrd memory', 'Unable to mount root'):
        if wanted not in text:
            raise Failure(f'no "{wanted}" on the console:\n{text[-3000:]}')
    if run.returncode != 0:
        raise Failure(f'ended with {run.returncode}:\n{text[-3000:]}')


def amd64():
    boot('amd64')


def i386():
    boot('i386')


main(amd64, i386)
