# SPDX-License-Identifier: MIT
"""The monitor on a socket, of a machine that -S keeps from running."""
import os
import re
import struct
import time
import zlib
from clitest import Failure, Monitor, Weir, check, connect, main, same

ARGS = ['-m', '16', '-display', 'none', '-monitor', 'unix:@/mon,server=on,wait=off']


def machine(*more):
    return Weir(*ARGS, '-S', *more)


def registers_and_memory():
    with machine() as vm:
        mon = Monitor(vm.connect('mon'))
        check(re.match(r"Weir \S+ monitor - type 'help' for more information", mon.greeting),
              f'greeting {mon.greeting!r}')
        registers = mon.command('info registers')
        for part in ('EIP=0000fff0 EFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=0',
                     'CS =f000 ffff0000 0000ffff 00009b00', 'CR0=60000010',
                     'DR6=00000000ffff0ff0', 'TR =0000 00000000 0000ffff 00008b00'):
            check(part in registers, f'{part!r} is not in info registers:\n{registers}')
        same(mon.command('p/x $pc'), '0xfffffff0\n', 'p/x $pc')
        same(mon.command('p $eip + 0x10'), '0x10000\n', 'p $eip')
        same(mon.command('print/d -7/2'), '-3\n', 'print/d')
        same(mon.command('p/x $cs'), '0xf000\n', 'p/x $cs')
        same(mon.command('xp/1xb 0xfffffff0'), '00000000fffffff0: 0xea\n', 'xp')
        check('jmp' in mon.command('x/1i $pc'), 'x/1i $pc')
        same(mon.command('xp/2xg 0x1000'),
             '0000000000001000: 0x0000000000000000 0x0000000000000000\n', 'xp of zeros')
        same(mon.command('sum 0x1000 16'), '00000\n', 'sum')
        bios = open('/usr/share/seabios/bios-256k.bin', 'rb').read()[-65536:]
        mon.command(f'pmemsave 0xffff0000 0x10000 {vm.path("rom")}')
        check(open(vm.path('rom'), 'rb').read() == bios, 'pmemsave differs from the firmware')
        mon.command(f'memsave 0x2000 5000 "{vm.path("with blank")}"')
        same(os.path.getsize(vm.path('with blank')), 5000, 'memsave: bytes')


def errors_are_told():
    with machine() as vm:
        mon = Monitor(vm.connect('mon'))
        for line, *parts in [
                ('infoo', "'infoo'", "'info'"), ('info blok', "'blok'", "'block'"),
                ('sendkey ctrl-foo', "'foo'"), ('eject nodrive', 'nodrive'),
                ('change nodrive x', 'nodrive'), ('x', 'missing'), ('x/q 0', 'invalid char'),
                ('p 1/0', 'division'), ('p (1', "')'"), ('p $nosuch', 'unknown register'),
                ('p 1 2', 'extraneous'), ('log foo', 'foo', 'in_asm'),
                ('logfile /nonexistent/x', '/nonexistent/x'), ('help foo', 'foo'),
                ('screendump /nonexistent/x.png', '/nonexistent/x.png'),
                ('screendump /tmp/x gif', 'gif'), ('i 0x10000', 'port'),
                ('memsave 0 1', 'missing'), ('pmemsave 0 1 /nonexistent/x', '/nonexistent/x')]:
            answer = mon.command(line)
            for part in parts:
                check(part in answer, f'{line}: {part!r} is not in {answer!r}')
        same(mon.command(''), '', 'empty line')
        check(len(mon.command('help').split('\n')) > 20, 'help is short')
        same(mon.command('help quit'), 'quit|q -- end weir\n', 'help quit')


def all_topics_answer():
    with machine() as vm:
        mon = Monitor(vm.connect('mon'))
        topics = re.findall(r'^info (\S+)', mon.command('info'), re.M)
        for name in ('registers', 'status', 'mem', 'pic', 'pci', 'block', 'mtree', 'roms', 'name',
                     'uuid', 'version', 'chardev'):
            check(name in topics, f'no topic {name}')
        for topic in topics:
            answer = mon.command(f'info {topic}')
            check('unknown topic' not in answer and 'Error' not in answer, f'{topic}: {answer!r}')
        same(mon.command('info status'), 'VM status: paused (prelaunch)\n', 'info status')
        same(mon.command('info name'), 'weir\n', 'info name')


def several_clients():
    with machine() as vm:
        first, second = Monitor(vm.connect('mon')), Monitor(vm.connect('mon'))
        same(first.command('p 1'), '0x1\n', 'first client')
        same(second.command('p 2'), '0x2\n', 'second client')
        first.talk.send('info regis')  # leaves in the middle of a line
        first.talk.close()
        for _ in range(20):  # come, ask for much, and vanish
            talk = connect(vm.path('mon'))
            talk.send('xp/20000xb 0\nhelp\ninfo mtree\n')
            talk.close()
        same(second.command('p 3'), '0x3\n', 'second client after others left')
        silent = vm.connect('mon')  # asks and never reads
        for _ in range(5):
            silent.send('xp/100000xb 0\n')
        same(second.command('p 4'), '0x4\n', 'beside a client that does not read')
        third = Monitor(vm.connect('mon'))
        third.talk.send('quit\n')
        vm.wait(0)


def line_editing():
    with machine() as vm:
        mon = Monitor(vm.connect('mon'))

        def typed(keys):
            mon.talk.send(keys + '\n')
            return mon.talk.expect(Monitor.PROMPT).replace('\r', '')
        check('\n0x5\n' in typed('p 1\x7f5'), 'backspace')
        check('\n0x17\n' in typed('p 7\x1b[D0x1'), 'arrow left')
        check('\n0x9\n' in typed('9\x01p \x05'), 'home and end')
        check('\n0x9\n' in typed('\x1b[A'), 'arrow up')
        check('\n0x4\n' in typed('garbage\x15p 4'), 'ctrl-u')
        check('\n0x4\n' in typed('p 4 garbage\x17'), 'ctrl-w')
        check('VM status' in typed('inf\tsta\t'), 'tab completes')
        mon.talk.send('system_\t')
        mon.talk.expect('system_reset  system_powerdown')
        mon.talk.send('\x15p 6\n')
        mon.talk.expect(r'0x6.*\(weir\) ')
        typed('\x00\x02\x03\x1b[Z\x1b[99;99~\x80\xff')  # nonsense
        check('0x8' in typed('p 8'), 'after nonsense')
        typed('p ' + '1+' * 600 + '1')  # longer than a line can be
        check('0x8' in typed('p 8'), 'after a long line')


def ports_and_log():
    with machine('-device', 'isa-debug-exit,iobase=0x501,iosize=1') as vm:
        mon = Monitor(vm.connect('mon'))
        mon.command('o/b 0x70 0x0b')
        check(re.fullmatch(r'portb\[0x0071\] = 0x[0-9a-f]{2}\n', mon.command('i/b 0x71')),
              'i/b 0x71')
        same(mon.command('i/w 0xe000'), 'portl[0xe000] = 0xffffffff\n', 'i/w of nobody')
        mon.command(f'logfile {vm.path("log")}')
        mon.command('log cpu_reset')
        check(os.path.exists(vm.path('log')), 'logfile makes no file')
        mon.command('system_reset')
        mon.command('cont')
        deadline = time.monotonic() + 10
        while b'CPU Reset' not in open(vm.path('log'), 'rb').read():
            if time.monotonic() > deadline:
                raise Failure('cpu_reset is not logged')
            time.sleep(0.05)
        mon.command('log none')
        mon.talk.send('o/b 0x501 3\n')
        vm.wait(7)


def run_control():
    with Weir(*ARGS) as vm:
        mon = Monitor(vm.connect('mon'))
        same(mon.command('info status'), 'VM status: running\n', 'at first')
        mon.command('info registers')
        same(mon.command('info status'), 'VM status: running\n', 'after an inspection')
        mon.command('stop')
        same(mon.command('info status'), 'VM status: paused\n', 'after stop')
        mon.command('stop')
        mon.command('c')
        same(mon.command('info status'), 'VM status: running\n', 'after cont')
        for _ in range(200):
            mon.command('stop')
            mon.command('cont')
        mon.command('sendkey ctrl-alt-f1 5')
        mon.command('mouse_move 3 -4')
        mon.command('mouse_button 1')
        mon.command('nmi')
        mon.talk.send('q\n')
        vm.wait(0)


def png_size(path):
    """Width and height, after checking all of the file's structure."""
    data = open(path, 'rb').read()
    same(data[:8], b'\x89PNG\r\n\x1a\n', 'PNG signature')
    at, pixels, size, kinds = 8, b'', None, []
    while at < len(data):
        length, kind = struct.unpack('>I4s', data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        crc, = struct.unpack('>I', data[at + 8 + length:at + 12 + length])
        same(crc, zlib.crc32(kind + body), f'PNG checksum of {kind}')
        kinds.append(kind)
        if kind == b'IHDR':
            size = struct.unpack('>II', body[:8])
            same(body[8:10], b'\x08\x02', 'PNG: 8 bits, RGB')
        pixels += body if kind == b'IDAT' else b''
        at += 12 + length
    same(kinds[-1], b'IEND', 'last part of the PNG')
    same(len(zlib.decompress(pixels)), (size[0] * 3 + 1) * size[1], 'PNG: bytes of pixels')
    return size


def screendumps():
    with machine() as vm:
        mon = Monitor(vm.connect('mon'))
        same(mon.command(f'screendump {vm.path("s.png")}'), '', 'screendump png')
        size = png_size(vm.path('s.png'))
        same(mon.command(f'screendump {vm.path("s.ppm")}'), '', 'screendump ppm')
        data = open(vm.path('s.ppm'), 'rb').read()
        header = f'P6\n{size[0]} {size[1]}\n255\n'.encode()
        check(data.startswith(header), f'PPM header {data[:20]!r}')
        same(len(data), len(header) + size[0] * size[1] * 3, 'PPM length')
        same(mon.command(f'screendump {vm.path("other")} png'), '', 'screendump as png')
        same(png_size(vm.path('other')), size, 'size of the second PNG')


def screen_of_the_firmware():
    """SeaBIOS sets a text mode and says who it is."""
    with Weir(*ARGS) as vm:
        mon = Monitor(vm.connect('mon'))
        deadline = time.monotonic() + 60
        while 'SeaBIOS' not in mon.command('screentext'):
            if time.monotonic() > deadline:
                raise Failure('SeaBIOS does not appear on the screen')
            time.sleep(0.2)
        mon.command(f'screendump {vm.path("s.png")}')
        same(png_size(vm.path('s.png')), (720, 400), 'size of the text screen')
        mon.command(f'screendump {vm.path("s.ppm")}')
        pixels = open(vm.path('s.ppm'), 'rb').read().split(b'\n255\n', 1)[1]
        check(b'\xaa\xaa\xaa' in pixels, 'the screen shows no letters')


def media():
    with machine('-drive', 'if=ide,index=2,media=cdrom') as vm:
        mon = Monitor(vm.connect('mon'))
        image = vm.path('cd.iso')
        open(image, 'wb').write(bytes(65536))
        check('ide1-cd0' in mon.command('info block'), 'info block')
        same(mon.command(f'change ide1-cd0 {image}'), '', 'change')
        check(image in mon.command('info block'), 'info block shows the medium')
        check('/nonexistent' in mon.command('change ide1-cd0 /nonexistent'), 'change to nothing')
        check(image in mon.command('info block'), 'the medium stays when change fails')
        same(mon.command('eject ide1-cd0'), '', 'eject')
        check(image not in mon.command('info block'), 'ejected')
        check('nearest' in mon.command('eject ide1-cd'), 'eject of an unknown drive')


main(registers_and_memory, errors_are_told, all_topics_answer, several_clients, line_editing,
     ports_and_log, run_control, screendumps, screen_of_the_firmware, media)
