# SPDX-License-Identifier: MIT
"""DOS boot floppies reach their prompt, and DIR and MEM typed by sendkey answer. Images are those
named by WEIR_DOS_IMAGES (files or directories, separated by colons), else those in shared/guests
beside the checkout. Without any the test says so and fails only if WEIR_DOS_IMAGES was set."""
import os
import re
import sys
import tempfile
from weirtest import Failure, Machine, dos_images, main


PROMPT = r'[AC]:\\[^\n]*>\s*$'


def prompt(vm):
    """Waits for A:\> on the last line; answers an installer's question with N."""
    text = vm.expect_screen(PROMPT + r'|\[[YN],[YN]\]\?\s*$|\(Y/N\)\?\s*$', 120)
    if not re.search(PROMPT, text):
        vm.press('n\n')
        vm.expect_screen(PROMPT, 60)


def boot(image):
    with Machine('-m', '64', '-fda', image, '-snapshot', '-boot', 'a') as vm:
        prompt(vm)
        vm.press('dir\n')
        vm.expect_screen(r'(?i)kernel\s+sys', 30)
        vm.expect_screen(r'(?i)bytes free[\s\S]*>\s*$', 30)
        vm.press('mem\n')
        vm.expect_screen(r'(?i)memory|bad command|not found', 30)
        with tempfile.TemporaryDirectory() as folder:
            picture = os.path.join(folder, 'screen.png')
            vm.hmp(f'screendump {picture}')
            with open(picture, 'rb') as f:
                data = f.read()
            if data[:8] != b'\x89PNG\r\n\x1a\n' or len(data) < 1000:
                raise Failure('screendump is no picture')
        vm.qmp('quit')
        vm.wait(10)


def dos():
    found = dos_images()
    if not found:
        print('no DOS image at hand: nothing was tested; set WEIR_DOS_IMAGES')
        sys.exit(77)
    for image in found:
        boot(image)
        print(f'  {os.path.basename(image)}: prompt, DIR, MEM')


main(dos)
