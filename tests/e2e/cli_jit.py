# SPDX-License-Identifier: MIT
"""What is shown of the translator: -d op,out_asm,out_bytes, -singlestep, `info jit`, -perfmap,
-jitdump, `weir disas --stage`. The guest is a firmware image of a few instructions."""
import glob
import os
import re
import struct
import tempfile
from clitest import Monitor, Qmp, Weir, check, main, run, same

# At E05Bh, after the reset vector's jump: a loop of 1000 rounds, then the debug exit.
CODE = bytes.fromhex('31c0 8ed8 b9e803'  # xor %ax,%ax; mov %ax,%ds; mov $1000,%cx
                     '01c8 a30005 e2f9'  # add %cx,%ax; mov %ax,0x500; loop
                     'ba0105 b000 ee f4')  # mov $0x501,%dx; mov $0,%al; out %al,(%dx); hlt
LOOP = 0xfe05b + 7
INSNS = [0xfffffff0, 0xfe05b, 0xfe05d, 0xfe05f, LOOP, LOOP + 2, LOOP + 5, LOOP + 7, LOOP + 10,
         LOOP + 12]
ARGS = ['-m', '16', '-nodefaults', '-vga', 'none', '-display', 'none', '-device', 'isa-debug-exit']


def firmware(folder):
    rom = bytearray(b'\xf4' * 65536)
    rom[0xe05b:0xe05b + len(CODE)] = CODE
    rom[0xfff0:0xfff5] = bytes.fromhex('ea5be000f0')
    path = os.path.join(folder, 'rom')
    with open(path, 'wb') as f:
        f.write(rom)
    return path


def logged(items, *more):
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, 'log')
        status, _, err = run(*ARGS, '-bios', firmware(folder), '-d', items, '-D', log, *more,
                             cwd=folder)
        same((status, err), (1, ''), f'-d {items} {more}: status and errors')
        with open(log, encoding='utf-8') as f:
            return f.read()


def sections(log):
    """[(name, [lines])]; every section must end with an empty line."""
    found = []
    lines = log.split('\n')
    same(lines.pop(), '', 'end of the log')
    while lines:
        line = lines.pop(0)
        if line == '-' * 16:
            line = lines.pop(0)
            check(line == 'IN: ', f'{line!r} behind the dashes')
        name = re.match(r'(PROLOGUE|IN|OP|OUT):', line)
        check(name, f'{line!r} is no section')
        body = [line]
        while lines and not re.match(r'-{16}$|OP:|OUT: ', lines[0]):
            body.append(lines.pop(0))
        check(body.pop() == '', f'{line}: no empty line at its end')
        found.append((name[1], body))
    return found


def addresses(section):
    return [int(line.split(':')[0], 16) for line in section[1:]]


def host_lines(body, with_bytes):
    """Addresses follow each other; with the bytes' column, by exactly its bytes. The slow paths
    of a block are elsewhere."""
    size = int(re.search(r'size=(\d+)\]$', body[0])[1])
    total, next_one = 0, None
    for line in body[1:]:
        if line == '  -- slow paths':
            next_one = None
            continue
        match = re.match(r'0x([0-9a-f]{8,}):  (\S[^\t]*)(\t0x((?:[0-9a-f]{2})+))?$', line)
        check(match and bool(match[3]) == with_bytes, f'{line!r} is no line of OUT')
        address = int(match[1], 16)
        if with_bytes:
            same(address, next_one or address, line)
            total += len(match[4]) // 2
            next_one = address + len(match[4]) // 2
    if with_bytes:
        same(total, size, 'sum of the bytes')


def log_shape():
    for items in ('in_asm,op,out_asm', 'in_asm,op,out_asm,out_bytes'):
        all_of_it = sections(logged(items))
        same([name for name, _ in all_of_it], ['PROLOGUE'] + ['IN', 'OP', 'OUT'] * 4, items)
        for name, body in all_of_it:
            if name in ('PROLOGUE', 'OUT'):
                host_lines(body, 'bytes' in items)
        ins = [body for name, body in all_of_it if name == 'IN']
        same(ins[0][1], '0x00000000fffffff0:  ljmp   $0xf000,$0xe05b', 'the first IN')
        same([addresses(body) for body in ins],
             [INSNS[:1], INSNS[1:7], INSNS[4:7], INSNS[7:] + [LOOP + 13]], 'blocks')
        plans = ['\n'.join(body) for name, body in all_of_it if name == 'OP']
        for plan, block in zip(plans, ins):
            marks = re.findall(r'^\n? ---- ([0-9a-f]{16}) [0-9a-f]{16}$', plan, re.M)
            same([int(m, 16) for m in marks], addresses(block), 'instructions of OP')
        for action in (' copy ADD', ' make LOOP', f' link $0x{LOOP:x}'):
            check(action in plans[2], f'{action!r} is not in {plans[2]!r}')
        check(' make JMPF' in plans[0], plans[0])


def log_parts():
    names = {name for name, _ in sections(logged('in_asm'))}
    same(names, {'IN'}, '-d in_asm')
    same([n for n, _ in sections(logged('op'))], ['OP'] * 4, '-d op')
    same([n for n, _ in sections(logged('out_asm'))], ['PROLOGUE'] + ['OUT'] * 4, '-d out_asm')
    same({n for n, _ in sections(logged('in_asm,op,out_asm', '-accel', 'interp'))}, {'IN'},
         'the interpreter')
    some = sections(logged('in_asm,op,out_asm', '-dfilter', f'{LOOP:#x}+1'))
    same([n for n, _ in some], ['PROLOGUE', 'IN', 'OP', 'OUT'], '-dfilter')
    same(addresses(some[1][1]), INSNS[4:7], '-dfilter: the block')


def one_by_one():
    for accel in ('jit', 'interp'):
        for more in ((), ('-icount', '3')):
            log = sections(logged('in_asm,op', '-singlestep', '-accel', accel, *more))
            ins = [addresses(body) for name, body in log if name == 'IN']
            same(ins, [[a] for a in INSNS], f'-singlestep, {accel}')
            plans = [body for name, body in log if name == 'OP']
            same(len(plans), len(ins) if accel == 'jit' else 0, f'OP with -singlestep, {accel}')
    with Weir('-m', '16', '-display', 'none', '-S', '-monitor', 'unix:@/mon,server=on,wait=off',
              '-qmp', 'unix:@/qmp,server=on,wait=off') as vm:
        mon, qmp = Monitor(vm.connect('mon')), Qmp(vm.connect('qmp'))

        def state():
            return qmp.result('query-status')['singlestep']
        same(state(), False, 'singlestep at first')
        for line, answer, now in (('singlestep', '', True), ('singlestep off', '', False),
                                  ('singlestep on', '', True),
                                  ('singlestep x', 'unexpected option x\n', True)):
            same((mon.command(line), state()), (answer, now), line)


def by_monitor():
    with Weir('-m', '16', '-display', 'none', '-S',
              '-monitor', 'unix:@/mon,server=on,wait=off') as vm:
        mon = Monitor(vm.connect('mon'))
        mon.command(f'logfile {vm.path("log")}')
        same(mon.command('log in_asm,op,out_asm'), '', 'log')
        mon.command('cont')
        while not mon.command('info jit').count('blocks translated') or \
                int(re.search(r'blocks translated +(\d+)', mon.command('info jit'))[1]) < 20:
            pass
        mon.command('stop')
        mon.command('log none')
        with open(vm.path('log'), encoding='utf-8') as f:
            log = f.read()
        check(log.startswith('PROLOGUE: [size='), 'log by the monitor: no PROLOGUE')
        same([name for name, _ in sections(log)].count('PROLOGUE'), 1, 'PROLOGUE')
        mon.command('log out_asm')
        mon.command('log none')
        same(os.path.getsize(vm.path('log')), len(log), 'PROLOGUE again')
        mon.command('cont')
        mon.command('stop')
        same(os.path.getsize(vm.path('log')), len(log), 'log none')


def counters():
    with Weir('-m', '16', '-display', 'none', '-monitor', 'unix:@/mon,server=on,wait=off') as vm:
        mon = Monitor(vm.connect('mon'))
        while True:
            text = mon.command('info jit')
            number = {m[0].strip(): int(m[1]) for m in re.findall(r'^(.{28}) (\d+)', text, re.M)}
            if number['blocks translated'] > 100:
                break
        for name in ('instructions in them', 'links made', 'entries into code', 'code bytes',
                     'TLB fills', 'no fast form', 'slow memory', 'indirect misses'):
            check(number[name] > 0, f'{name}: none in {text}')
        check(re.search(r'^  [A-Z_]+ +\d+$', text, re.M), f'no operations in {text}')
        shares = [float(s) for s in re.findall(r' ([0-9.]+)%', text)]
        check(len(shares) == 3 and 99.8 <= sum(shares) <= 100.2, f'shares {shares}')
    with Weir('-m', '16', '-display', 'none', '-S', '-accel', 'interp',
              '-monitor', 'unix:@/mon,server=on,wait=off') as vm:
        same(Monitor(vm.connect('mon')).command('info jit'), 'this machine has no translator\n',
             'info jit of the interpreter')


NAME = r'(guest 0x[0-9a-f]+ (16|32|64) cpl[0-3]( slow)?|weir [a-z0-9_ ]+)'


def dump_records(data):
    magic, version, size, machine, _, pid, _, _ = struct.unpack_from('<6I2Q', data)
    same((magic, version, size, machine), (0x4a695444, 1, 40, 62), 'header of the dump')
    at, records = size, []
    while at < len(data):
        kind, size, _, owner, _, vma, address, length, index = struct.unpack_from('<IIQIIQQQQ', data,
                                                                                  at)
        name, code = data[at + 56:at + size - length], data[at + size - length:at + size]
        same((kind, owner, vma, len(code), index), (0, pid, address, length, len(records)), 'record')
        check(re.fullmatch(NAME, name[:-1].decode()) and name[-1:] == b'\0', f'name {name!r}')
        records.append((address, length, name[:-1].decode()))
        at += size
    same(at, len(data), 'end of the dump')
    return records


def perf_files():
    with tempfile.TemporaryDirectory() as folder:
        status, _, err = run(*ARGS, '-bios', firmware(folder), '-perfmap', '-jitdump',
                             '-singlestep', cwd=folder)
        same((status, err), (1, ''), '-perfmap: status and errors')
        dump, = glob.glob(os.path.join(folder, 'jit-*.dump'))
        with open(dump, 'rb') as f:
            records = dump_records(f.read())
        pid = re.search(r'jit-(\d+)\.dump', dump)[1]
        with open(f'/tmp/perf-{pid}.map', encoding='ascii') as f:
            lines = f.read().splitlines()
        os.unlink(f'/tmp/perf-{pid}.map')
        parts = [line.split(' ', 2) for line in lines]
        same(sorted((int(a, 16), int(n, 16), name) for a, n, name in parts), sorted(records),
             'map and dump')
        names = [name for _, _, name in records]
        check('weir enter' in names and f'guest 0x{LOOP:x} 16 cpl0' in names, f'names {names}')
        ordered = sorted(records)
        for (a, n, name), (b, _, other) in zip(ordered, ordered[1:]):
            check(a + n <= b, f'{name} overlaps {other}')
    status, _, err = run(*ARGS, '-accel', 'interp', '-perfmap')
    same(status, 1, '-perfmap with the interpreter')
    check('-perfmap' in err and 'translator' in err, err)


def stages():
    code = '48 03 44 8b 10 49 89 c2 75 f7 0f 30'.split()
    status, plan, err = run('disas', '--stage=plan', '--base=0x401000', *code)
    same((status, err), (0, ''), 'disas --stage=plan')
    for line in (' ---- 0000000000401000 0000000000000000', ' copy ADD,mem=t1',
                 ' copy MOV,r10=home', ' make JCC', ' link $0x401001',
                 ' link $0x40100a', ' call WRMSR'):
        check(line + '\n' in plan, f'{line!r} is not in {plan}')
    check(re.search(r'^ check_(page |slot \$0x[0-9a-f]+,)read,8$', plan, re.M), plan)
    status, text, err = run('disas', '--stage=asm', '--base=0x401000', *code)
    same((status, err), (0, ''), 'disas --stage=asm')
    check(' ---- 0000000000401000  add    0x10(%rbx,%rcx,4),%rax\n' in text and
          'add    (%r11),%rax\n' in text and ' ---- slow paths\n' in text, text)
    sizes = [int(n) for n in re.findall(r'^OUT: \[size=(\d+)\]$', text, re.M)]
    check(len(sizes) == 2 and all(sizes), f'sizes {sizes}')
    for bits, mnemonic in ((16, 'ADD'), (32, 'ADD'), (64, 'ADD')):
        status, plan, err = run('disas', f'-{bits}', '--stage=plan', '01', 'd8', 'c3')
        check(status == 0 and f' {mnemonic}' in plan and ' RET' in plan, f'-{bits}: {plan}')
    for stage in ('plan', 'asm'):  # bytes that end within an instruction, or are none
        status, text, err = run('disas', f'--stage={stage}', '90', '06', 'c3', '0f')
        same((status, text.count('(bad)')), (0, 2), f'{stage} of bad bytes')
    same(run('disas', '--stage=plan', '--base=0xfff', '90', '90')[1].count('OP:'), 2,
         'blocks of two pages')


main(log_shape, log_parts, one_by_one, by_monitor, counters, perf_files, stages)
