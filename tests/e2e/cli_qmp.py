# SPDX-License-Identifier: MIT
"""QMP: the conversation, its errors, events, and clients of all sorts."""
import json
import os
import time
from clitest import Qmp, Weir, check, connect, main, same

ARGS = ['-m', '16', '-display', 'none', '-name', 'q', '-qmp', 'unix:@/qmp,server=on,wait=off']


def error(answer, kind, part):
    check('error' in answer, f'no error: {answer}')
    same(answer['error']['class'], kind, 'class of the error')
    check(part in answer['error']['desc'], f'{part!r} is not in {answer}')


def conversation():
    with Weir(*ARGS, '-S') as vm:
        qmp = Qmp(vm.connect('qmp'), negotiate=False)
        version = qmp.greeting['QMP']['version']
        same(sorted(version['qemu']), ['major', 'micro', 'minor'], 'version')
        check(version['package'].startswith('weir'), f'package {version}')
        same(qmp.greeting['QMP']['capabilities'], [], 'capabilities')
        error(qmp.ask('query-status'), 'CommandNotFound', 'qmp_capabilities')
        error(qmp.ask('qmp_capabilities', enable=['oob']), 'GenericError', 'oob')
        same(qmp.raw('{"execute": "qmp_capabilities", "id": {"a": [1]}}'),
             {'return': {}, 'id': {'a': [1]}}, 'qmp_capabilities')
        error(qmp.ask('qmp_capabilities'), 'CommandNotFound', 'already')
        same(qmp.result('query-version'), version, 'query-version')
        same(qmp.result('query-status'),
             {'status': 'prelaunch', 'singlestep': False, 'running': False}, 'query-status')
        same(qmp.result('query-name'), {'name': 'q'}, 'query-name')
        names = [c['name'] for c in qmp.result('query-commands')]
        for name in ('quit', 'stop', 'cont', 'screendump', 'send-key', 'human-monitor-command',
                     'memsave', 'pmemsave', 'system_reset', 'system_powerdown'):
            check(name in names, f'{name} is not in query-commands')
        same(qmp.result('query-kvm')['enabled'], False, 'query-kvm')
        check(qmp.result('human-monitor-command', command_line='p 2+3') == '0x5\r\n', 'hmp')
        check('nearest' in qmp.result('human-monitor-command', command_line='foo'), 'hmp foo')
        rom = vm.path('rom')
        qmp.result('pmemsave', val=0xfffffff0, size=16, filename=rom)
        same(open(rom, 'rb').read()[0], 0xea, 'pmemsave')
        qmp.result('screendump', filename=vm.path('s.ppm'))
        check(open(vm.path('s.ppm'), 'rb').read(2) == b'P6', 'screendump')
        qmp.result('screendump', filename=vm.path('s.png'), format='png')
        check(open(vm.path('s.png'), 'rb').read(4) == b'\x89PNG', 'screendump png')


def errors():
    with Weir(*ARGS, '-S') as vm:
        qmp = Qmp(vm.connect('qmp'))
        for command, arguments, kind, part in [
                ('query-statsu', {}, 'CommandNotFound', 'query-status'),
                ('screendump', {}, 'GenericError', "'filename' is missing"),
                ('screendump', {'filename': 1}, 'GenericError', "'filename', expected: string"),
                ('screendump', {'filename': 'x', 'y': 1}, 'GenericError', "'y' is unexpected"),
                ('screendump', {'filename': '/nonexistent/x'}, 'GenericError', '/nonexistent/x'),
                ('send-key', {'keys': []}, 'GenericError', 'keys'),
                ('send-key', {'keys': [{'type': 'qcode', 'data': 'foo'}]}, 'GenericError', 'foo'),
                ('send-key', {'keys': ['a']}, 'GenericError', 'qcode'),
                ('memsave', {'val': 0, 'size': 'x', 'filename': 'y'}, 'GenericError', 'integer'),
                ('eject', {'device': 'nodrive'}, 'GenericError', 'not found'),
                ('human-monitor-command', {}, 'GenericError', 'command-line')]:
            error(qmp.raw(json.dumps({'execute': command, 'arguments': arguments})), kind, part)
        for text, part in [
                ('{"execute": }', 'JSON parse error'), ('[1]', 'JSON object'),
                ('{"foo": 1}', 'unexpected'), ('{}', 'execute'), ('{"execute": 5}', 'string'),
                ('{"execute": "stop", "arguments": 1}', 'object'), ('nonsense ', 'JSON'),
                ('}', 'JSON'), ('{"a": 1, "a": 2}', 'JSON'), ('[' * 100 + ']' * 100, 'too')]:
            error(qmp.raw(text), 'GenericError', part)
        error(qmp.raw('{"execute": "' + 'x' * 2000000 + '"}'), 'GenericError', 'too long')
        same(qmp.raw('{"execute":\n"query-name"\r\n\t}'), {'return': {'name': 'q'}}, 'blanks')
        # Two requests at once, and one in pieces.
        qmp.talk.send('{"execute":"query-name","id":1}{"execute":"query-name","id":2}')
        same([qmp.message()['id'], qmp.message()['id']], [1, 2], 'two requests')
        for c in '{"execute":"query-name","id":"{\\"}"}':
            qmp.talk.send(c)
            time.sleep(0.001)
        same(qmp.message()['id'], '{"}', 'a request in pieces')


def events():
    with Weir(*ARGS) as vm:
        qmp, other = Qmp(vm.connect('qmp')), Qmp(vm.connect('qmp'))
        mute = Qmp(vm.connect('qmp'), negotiate=False)
        qmp.result('stop')
        for client in (qmp, other):
            stamp = client.event('STOP')['timestamp']
            check(abs(stamp['seconds'] - time.time()) < 60 and
                  0 <= stamp['microseconds'] < 1000000, f'timestamp {stamp}')
        same(qmp.result('query-status')['status'], 'paused', 'status')
        qmp.result('cont')
        other.event('RESUME')
        qmp.result('human-monitor-command', command_line='info registers')
        qmp.result('system_reset')
        message = other.event('RESET')
        same(message['data'], {'guest': False, 'reason': 'host-qmp-system-reset'}, 'RESET')
        check(not any(e['event'] in ('STOP', 'RESUME') for e in other.events),
              'an inspection shows as STOP')
        qmp.result('system_powerdown')
        other.event('POWERDOWN')
        qmp.result('send-key', keys=[{'type': 'qcode', 'data': 'ctrl'},
                                     {'type': 'qcode', 'data': 'a'}], hold_time=1)
        qmp.result('quit')
        same(other.event('SHUTDOWN')['data'], {'guest': False, 'reason': 'host-qmp-quit'},
             'SHUTDOWN')
        vm.wait(0)
        same(mute.talk.text, '', 'what a client that has not negotiated gets')


def clients_vanish():
    with Weir(*ARGS) as vm:
        qmp = Qmp(vm.connect('qmp'))
        for k in range(50):
            talk = connect(vm.path('qmp'))
            talk.send(['', '{"exec', '{"execute": "qmp_capabilities"}' +
                       '{"execute": "query-commands"}' * 200][k % 3])
            talk.close()
        deaf = Qmp(vm.connect('qmp'))
        for _ in range(100):
            deaf.talk.send('{"execute": "query-commands"}\n')
        for _ in range(100):
            qmp.result('stop')
            qmp.result('cont')
        same(qmp.result('query-status')['running'], True, 'running')
        check(len(os.listdir(f'/proc/{vm.process.pid}/fd')) < 40, 'descriptors are left open')
        qmp.result('quit')
        vm.wait(0)


def control_mode():
    """QMP by -chardev and -mon, indented, beside a monitor on another socket."""
    with Weir('-m', '16', '-display', 'none', '-S',
              '-chardev', 'socket,id=q,path=@/q,server=on,wait=off',
              '-mon', 'chardev=q,mode=control,pretty=on',
              '-chardev', 'socket,id=m,path=@/m,server=on,wait=off', '-mon', 'm') as vm:
        talk = vm.connect('q')
        greeting = talk.expect(r'\n}\r\n')
        check(greeting.startswith('{\r\n    "QMP"') and json.loads(greeting), greeting)
        monitor = vm.connect('m')
        monitor.expect(r'\(weir\) ')
        monitor.send('quit\n')
        vm.wait(0)


main(conversation, errors, events, clients_vanish, control_mode)
