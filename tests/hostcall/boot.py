#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The command with -hostcall on a PC: a floppy (boot.asm) that uses it in real mode, with both engines
and with deterministic time; the monitor's view; what happens when it is off.

usage: boot.py WEIR BOOT_IMAGE"""
import os
import re
import subprocess
import sys
import tempfile

WEIR, IMAGE = sys.argv[1:3]


def run(folder, *options, limit=60):
    command = [WEIR, '-m', '16', '-display', 'none', '-serial', 'null', '-monitor', 'none',
               '-drive', f'file={IMAGE},if=floppy,format=raw,readonly=on', '-hostcall',
               f'share=s,path={folder},console=on,control=on', *options]
    return subprocess.run(command, text=True, capture_output=True, timeout=limit,
                          stdin=subprocess.DEVNULL, check=False)


def check(what, condition, run_of=None):
    if not condition:
        print(f'{what}: WRONG', run_of and (run_of.returncode, run_of.stdout, run_of.stderr))
        sys.exit(1)
    print(f'{what}: right')


def boots(folder, *options):
    done = run(folder, *options)
    picture = os.path.join(folder, 'pic.ppm')
    check('output ' + ' '.join(options),
          done.stdout == 'hello from real mode\nthe file\n', done)
    check('status', done.returncode == 21, done)
    with open(picture, 'rb') as f:
        head = re.match(rb'P6\n(\d+) (\d+)\n255\n', f.read(20))
    check('picture', head and os.path.getsize(picture) == head.end() +
          3 * int(head.group(1)) * int(head.group(2)))
    os.unlink(picture)


def main():
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, 'text.tx'), 'w', encoding='utf-8') as f:
            f.write('the file\n')
        boots(folder)
        boots(folder, '-accel', 'interp')
        boots(folder, '-icount', '3,sleep=off')
        try: # UD1 again and again: the BIOS does nothing about exceptions
            said = run(folder, '-hostcall', 'ring=3', limit=4).stdout
        except subprocess.TimeoutExpired as over:
            said = (over.stdout or b'').decode()
        check('ring=3 in real mode', said == '')
        wrong = run(folder, '-hostcall', 'consol=on')
        check('a wrong word', wrong.returncode == 1 and "did you mean 'console'" in wrong.stderr,
              wrong)
        lists = subprocess.run([WEIR, '-m', '16', '-S', '-display', 'none', '-monitor', 'stdio',
                                '-hostcall', f'share=s,path={folder},ro,ring=0+v86,clip=on'],
                               input='clipboard a  b\nclipboard\ninfo hostcall\nquit\n', text=True, capture_output=True,
                               timeout=60, check=False)
        check('clipboard', '(weir) clipboard\na  b\n' in lists.stdout, lists)
        check('info hostcall', 'rings 0 v86' in lists.stdout and
              f'share 0: s = {folder}, read-only' in lists.stdout, lists)


main()
