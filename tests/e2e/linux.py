# SPDX-License-Identifier: MIT
"""Debian's amd64 cloud kernel and i386 686 kernel, started directly: they reach init, run
commands, and power off."""
import os
import sys
from weirtest import Failure, Machine, guests, main


def boot(arch, machine):
    folder = os.path.join(guests(arch), arch)
    with Machine('-m', '512', '-no-reboot', '-kernel', f'{folder}/vmlinuz', '-initrd',
                 f'{folder}/initrd', '-append', 'console=ttyS0') as vm:
        vm.expect(rf'init reached after .*Linux .* {machine}', 180)
        vm.expect('guest# ', 20)
        vm.type('echo $((6*7)) answer; cat /proc/cpuinfo | grep -c processor\n')
        vm.expect('42 answer\r?\n1\r?\n', 20)
        vm.type('dd if=/dev/urandom bs=1k count=64 2>/dev/null | tee /tmp/a | md5sum >/tmp/b;'
                ' md5sum </tmp/a | cmp - /tmp/b && echo sums agree\n')
        vm.expect('\nsums agree', 20)
        vm.type('sleep 2; echo awake\n')
        vm.expect('\nawake', 20)
        vm.type('dmesg | grep -ciE "bug:|oops|call trace|unexpected|firmware bug" |'
                ' sed "s/^/complaints of the kernel: /"\n')
        if vm.expect(r'complaints of the kernel: (\d+)', 20).group(1) != '0':
            raise Failure('the kernel complained')
        vm.type('exit\n')
        vm.expect('Power down|System halted', 30)
        vm.wait(20)


def amd64():
    boot('amd64', 'x86_64')


def i386():
    boot('i386', 'i686')


def timers():
    """Other chips tick, through other controllers."""
    folder = os.path.join(guests('amd64'), 'amd64')
    for options in ('hpet=disable', 'noapic', 'noapic hpet=disable', 'nolapic hpet=disable',
                    'nolapic hpet=disable notsc clocksource=jiffies'):
        with Machine('-m', '256', '-no-reboot', '-kernel', f'{folder}/vmlinuz', '-initrd',
                     f'{folder}/initrd', '-append',
                     f'console=ttyS0 weir.run=poweroff {options}') as vm:
            vm.expect('init reached after', 120)
            vm.expect('Power down', 60)
            vm.wait(20)


main(*[globals()[name] for name in sys.argv[1:]])
