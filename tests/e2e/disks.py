# SPDX-License-Identifier: MIT
"""Booting from disks: SYSLINUX through the BIOS from IDE; a root file system on virtio that is
written, survives a reboot and is read back; what -snapshot keeps out of the image."""
import hashlib
import os
import shutil
import sys
import tempfile
from weirtest import Failure, Machine, guests, main


def digest(path):
    with open(path, 'rb') as f:
        return hashlib.sha256(f.read()).hexdigest()


def syslinux():
    image = os.path.join(guests('disks'), 'syslinux.img')
    before = digest(image)
    with Machine('-m', '512', '-no-reboot', '-hda', image, '-snapshot') as vm:
        vm.expect('SYSLINUX', 30)
        vm.expect('init reached after .*x86_64', 120)
        vm.expect('Power down', 30)
        vm.wait(20)
    if digest(image) != before:
        raise Failure('-snapshot changed the image')


def virtio_root():
    folder = guests('disks')
    with tempfile.TemporaryDirectory() as temporary:
        image = shutil.copy(os.path.join(folder, 'virtio.img'), temporary)
        args = ['-m', '512', '-kernel', f'{folder}/amd64/vmlinuz', '-initrd',
                f'{folder}/amd64/initrd', '-append', 'console=ttyS0 weir.root=/dev/vda',
                '-drive', f'file={image},if=virtio,format=raw']
        with Machine(*args) as vm:
            vm.expect('/dev/vda / ext4 rw', 90)
            vm.expect('root: data written', 30)
            vm.expect('root: data read back', 120)  # after a reboot inside the same machine
            vm.wait(60)
        with Machine(*args, '-no-reboot') as vm:  # and in another process
            vm.expect('root: data read back', 90)
            vm.wait(60)


main(*[globals()[name] for name in sys.argv[1:]])
