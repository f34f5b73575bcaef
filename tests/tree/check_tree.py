#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Rules of the source tree that a compiler does not know.

usage: check_tree.py layering|sizes|forbidden|headers|symbols [LIBRARY [LISTING]]

layering   a directory of src/ includes only itself and those above it; the command uses only
           the public headers; devices never include the CPU
sizes      files <= 1000 lines, functions <= 100, headers <= 400, lines <= 100 columns
forbidden  no exit, no printing, no writable globals' usual disguises in the library
headers    every header compiles alone, the public ones as C++ too
symbols    the library exports exactly what src/api/symbols.txt (or another file) lists
"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ORDER = ['base', 'mem', 'cpu', 'jit', 'dev', 'backend', 'board', 'run', 'introspect', 'fuse',
         'hostcall', 'vmi', 'debug', 'snapshot', 'api', 'sel4vm']
# A chip may use the interface of the host side's data: block and character devices.
ALLOWED = {('dev', 'backend/block.h'), ('dev', 'backend/char.h')}
# What each may not use although it stands below it in the list.
NEVER = {('dev', 'cpu'), ('backend', 'cpu'), ('backend', 'dev'), ('debug', 'board'),
         ('debug', 'run'), ('debug', 'dev'), ('debug', 'backend')}
errors = []


def fail(path, line, text):
    errors.append(f'{os.path.relpath(path, ROOT)}:{line}: {text}')


def files(top, *suffixes):
    for folder, _, names in os.walk(os.path.join(ROOT, top)):
        for name in sorted(names):
            if name.endswith(suffixes):
                yield os.path.join(folder, name)


def lines_of(path):
    with open(path, encoding='utf-8') as f:
        return f.read().split('\n')


def includes(path):
    for number, line in enumerate(lines_of(path), 1):
        m = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if m:
            yield number, m.group(1), m.group(2)


def layering():
    for path in files('src', '.c', '.h', '.def'):
        layer = os.path.relpath(path, os.path.join(ROOT, 'src')).split('/')[0]
        for number, kind, name in includes(path):
            if kind == '<' or (layer, name) in ALLOWED:
                continue
            target = name.split('/')[0]
            if target not in ORDER:
                fail(path, number, f'include "{name}" is not relative to src/')
            elif ORDER.index(target) > ORDER.index(layer):
                fail(path, number, f'{layer} includes "{name}", which stands above it')
            elif layer == 'sel4vm' != target:
                fail(path, number, f'sel4vm uses include/weir only, not "{name}"')
            elif (layer, target) in NEVER:
                fail(path, number, f'{layer} must not know {target}')
    for path in files('tools', '.c', '.h'):
        for number, kind, name in includes(path):
            if kind == '"' and not os.path.exists(
                    os.path.join(ROOT, 'tools', 'weir', os.path.basename(name))):
                fail(path, number, f'the command uses include/weir only, not "{name}"')


def functions(text):
    """(name line, first, last) of each function: braces in column 0 delimit it."""
    start = None
    for number, line in enumerate(text, 1):
        if line.startswith('{'):
            start = number
        elif line.startswith('}') and start:
            yield start, number
            start = None


def sizes():
    for top in ('src', 'include', 'tools', 'tests', 'examples', 'bench', 'guest'):
        for path in files(top, '.c', '.h'):
            text = lines_of(path)
            generated = 'generated' in '\n'.join(text[:4]).lower()
            if generated:
                continue
            limit = 400 if path.endswith('.h') else 1000
            if len(text) - 1 > limit:
                fail(path, len(text) - 1, f'more than {limit} lines')
            for first, last in functions(text):
                if last - first - 1 > 100:
                    fail(path, first, f'function of {last - first - 1} lines')
            for number, line in enumerate(text, 1):
                if len(line) > 100:
                    fail(path, number, f'{len(line)} columns')
                if line != line.rstrip():
                    fail(path, number, 'trailing blank')
            if 'SPDX-License-Identifier: MIT' not in text[0]:
                fail(path, 1, 'no SPDX line')


# A signal handler belongs to the process (docs/ARCHITECTURE.md, Threads and locks).
WRITABLE = ['src/hostcall/fs_guard.c', 'src/jit/faults.c']
FORBIDDEN = [
    (r'\b(exit|_exit|abort|quick_exit)\s*\(', 'the library never ends the process'),
    (r'\b(printf|puts|putchar|perror|vprintf)\s*\(', 'the library never prints'),
    (r'\bf(printf|puts|write)\s*\(\s*(stdout|stderr)', 'the library never prints'),
    (r'\b(sprintf|strcpy|strcat|gets|strtok)\s*\(', 'unbounded or stateful'),
    (r'\b(TODO|FIXME|XXX)\b', 'unfinished'),
    (r'^\s*static\s+(?!const\b|inline\b|_Thread_local\b)[\w\s\*]+\w+(\[[^\]]*\])*\s*(=[^=].*)?;',
     'writable static'),
]


def forbidden():
    for path in files('src', '.c', '.h'):
        comment = False
        for number, line in enumerate(lines_of(path), 1):
            code = re.sub(r'"(\\.|[^"\\])*"', '""', line)
            code = re.sub(r'//.*|/\*.*?\*/', '', code)
            if comment:
                comment = '*/' not in code
                code = code.split('*/', 1)[1] if not comment else ''
            if '/*' in code:
                comment = True
                code = code.split('/*', 1)[0]
            for pattern, why in FORBIDDEN:
                if re.search(pattern, code) and '(*' not in code:
                    if why == 'writable static' and ('const ' in code or
                                                     os.path.relpath(path, ROOT) in WRITABLE):
                        continue
                    fail(path, number, f'{why}: {line.strip()}')


def compile_alone(path, compiler, flags):
    name = os.path.relpath(path, ROOT)
    source = f'#include "{path}"\n'
    run = subprocess.run(compiler + flags + ['-'], input=source, text=True, capture_output=True,
                         cwd=ROOT, check=False)
    if run.returncode:
        fail(path, 1, f'does not compile alone with {compiler[0]}: {name}\n{run.stderr[:600]}')


def headers():
    c_flags = ['-xc', '-std=gnu17', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Werror',
               '-Wno-unused-parameter', '-fsyntax-only', '-Iinclude', '-Isrc']
    for path in list(files('include', '.h')) + list(files('src', '.h')):
        compile_alone(path, ['cc'], c_flags)
    cpp_flags = ['-xc++', '-std=c++17', '-Wall', '-Wextra', '-Wpedantic', '-Werror',
                 '-fsyntax-only', '-Iinclude']
    for path in files('include', '.h'):
        compile_alone(path, ['c++'], cpp_flags)


def symbols(library, listing='src/api/symbols.txt'):
    listing = os.path.join(ROOT, listing)
    wanted = set(lines_of(listing)) - {''}
    out = subprocess.run(['nm', '-D', '--defined-only', library], text=True, check=True,
                         capture_output=True).stdout
    found = {line.split()[-1].split('@')[0] for line in out.splitlines()
             if line.split()[-2] not in 'A'}
    for name in sorted(found - wanted):
        fail(listing, 1, f'{name} is exported but not listed')
    for name in sorted(wanted - found):
        fail(listing, 1, f'{name} is listed but not exported')


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in ('layering', 'sizes', 'forbidden', 'headers',
                                                'symbols'):
        sys.exit(__doc__)
    globals()[sys.argv[1]](*sys.argv[2:])
    for error in errors:
        print(error)
    sys.exit(1 if errors else 0)


main()
