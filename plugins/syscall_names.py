#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tables of Linux system calls' names, from the C library's headers: stdout is C."""
import re
import subprocess
import sys

for name, bits in (('names_64', '-m64'), ('names_32', '-m32')):
    header = 'unistd_64.h' if bits == '-m64' else 'unistd_32.h'
    text = subprocess.run([*sys.argv[1:], '-E', '-dM', '-x', 'c', '-'], input=f'#include <asm/{header}>',
                          text=True, capture_output=True, check=True).stdout
    print(f'static const char *const {name}[512] = {{')
    for call, number in re.findall(r'#define __NR_(\w+) (\d+)', text):
        if int(number) < 512:
            print(f'    [{number}] = "{call}",')
    print('};')
