# SPDX-License-Identifier: MIT
"""memtest86+ completes a pass over 64 MiB without errors; read from the text screen."""
import os
import re
from weirtest import SLOW, Failure, Machine, guests, main


def memtest():
    binary = os.path.join(guests('memtest'), 'memtest.bin')
    with Machine('-m', '64', '-kernel', binary) as vm:
        vm.expect_screen(r'Memtest86\+', 60)
        text = vm.expect_screen(r'Pass: +[1-9]|Errors: +[1-9]', 1200)
        if re.search(r'FAIL|Errors:\s*[1-9]', text):
            raise Failure(f'memtest86+ found errors:\n{text}')
        print(text)
        vm.qmp('quit')
        vm.wait(10)


main(memtest)
