# SPDX-License-Identifier: MIT
"""gdb and 16-bit code: `source` this file in gdb, and nexti, next, finish, up and bt know near and
far calls and interrupts in real and virtual-8086 mode. Needs the registers of Weir's stub.

gdb itself looks for 32-bit return addresses at $sp or $ebp. Here a frame's return address is the
nearest word (or pair, or triple) on the stack, from SS:SP upwards, that points behind an
instruction which can have pushed it and, if that names its target, leads to where we are."""
import re
import gdb
from gdb.unwinder import Unwinder, register_unwinder

STACK_BYTES = 512  # looked at
FUNCTION_BYTES = 4096  # a direct call that leads further away is another function's
OUTERMOST = 0xfffffffe  # the frame's place if it has no return address
KEPT = re.compile('[er]([abcd]x|[sd]i|[bsi]p)|r[89]|r1[0-5]|eflags|[c-gs]s(_base)?|k_gs_base|cr[0-8]|efer')


class Place:
    """Where a frame's return address is, and what it says."""

    def __init__(self, offset, size, cs, ip, enters=None):
        self.offset, self.size, self.cs, self.ip, self.enters = offset, size, cs, ip, enters


def memory(address, count):
    try:
        return bytes(gdb.selected_inferior().read_memory(address, count))
    except gdb.MemoryError:
        return b''


def word(data, offset):
    return int.from_bytes(data[offset:offset + 2], 'little')


class Frame16:
    """Registers of a frame that executes 16-bit code."""

    def __init__(self, pending):
        self.pending = pending
        letter = width_letter(pending.architecture())
        self.pc = self.read(letter + 'ip')
        self.cs, self.cs_base = self.read('cs'), self.read('cs_base')
        self.ss_base = self.read('ss_base')
        self.sp, self.bp = (self.read(letter + name) & 0xffff for name in ('sp', 'bp'))
        self.stack = memory(self.ss_base + self.sp, min(STACK_BYTES, 0x10000 - self.sp))

    def read(self, name):
        return number(self.pending.read_register(name)) & 0xffffffff

    # ---- what can have pushed a return address ----

    def indirect(self, code, group):
        """Whether FF /group, with any displacement, ends here."""
        for length, modes in ((2, (0, 3)), (3, (1,)), (4, (2,))):
            if len(code) < length or code[-length] != 0xff:
                continue
            modrm = code[1 - length]
            mode = 2 if modrm & 0xc7 == 6 else modrm >> 6
            if modrm >> 3 & 7 == group and mode in modes:
                return True
        return False

    def leads_here(self, target, offset):
        """A call to the linear address `target` left its return address at SP + offset: is that
        the function we are in?"""
        start = memory(target, 4)
        if start[:1] in (b'\xe9', b'\xeb', b'\xea') or start[:2] == b'\xff\x2e':
            return True  # a jump to it
        if not 0 <= self.pc - target < FUNCTION_BYTES:
            return False
        framed = start[:1] == b'\x55' and start[1:3] in (b'\x8b\xec', b'\x89\xe5')
        if framed and self.pc >= target + 3 and offset:
            return (self.sp + offset) & 0xffff == self.bp + 2
        return True

    def near(self, offset):
        ip = word(self.stack, offset)
        code = memory(self.cs_base + ip - 4, 4) if ip >= 4 else b''
        if code[1:2] == b'\xe8':
            target = self.cs_base + (ip + word(code, 2) & 0xffff)
            if self.leads_here(target, offset):
                return Place(offset, 2, self.cs, ip, target)
        return Place(offset, 2, self.cs, ip) if self.indirect(code, 2) else None

    def far(self, offset):
        ip, cs = word(self.stack, offset), word(self.stack, offset + 2)
        code = memory(cs * 16 + ip - 5, 5) if ip >= 5 else b''
        target = None
        if code[:1] == b'\x9a':
            target = word(code, 3) * 16 + word(code, 1)
        elif code[1:3] == b'\x0e\xe8' and cs == self.cs:  # push cs, call
            target = self.cs_base + (ip + word(code, 3) & 0xffff)
        if target is not None and self.leads_here(target, offset):
            return Place(offset, 4, cs, ip, target)
        return Place(offset, 4, cs, ip) if self.indirect(code, 3) else None

    def interrupt(self, offset):
        """INT n; or, at the first instruction of a handler, whatever interrupted."""
        ip, cs, flags = (word(self.stack, offset + n) for n in (0, 2, 4))
        if flags & 0x802a != 2:
            return None
        code = memory(cs * 16 + ip - 2, 2) if ip >= 2 else b''
        software = code[:1] == b'\xcd' or code[1:] in (b'\xcc', b'\xce', b'\xf1')
        if software or (offset == 0 and self.pc in self.handlers()):
            return Place(offset, 6, cs, ip)
        return None

    @staticmethod
    def handlers():
        table = memory(0, 1024)
        return {word(table, n + 2) * 16 + word(table, n) for n in range(0, len(table), 4)}

    def find(self):
        for offset in range(0, len(self.stack) - 5):
            for kind in (self.interrupt, self.far, self.near):
                place = kind(offset)
                if place:
                    return place
        return None


def width_letter(architecture):
    return 'r' if architecture.name() == 'i386:x86-64' else 'e'


def number(value):
    """Of registers that are flags, too."""
    return int(value.cast(gdb.selected_inferior().architecture().integer_type(64, False)))


class RealMode(Unwinder):
    def __init__(self):
        super().__init__('real-mode')

    @staticmethod
    def concerns(pending):
        """Real and virtual-8086 mode."""
        try:
            return (number(pending.read_register('cr0')) & 1 == 0 or
                    number(pending.read_register('eflags')) & 0x20000 != 0)
        except (ValueError, gdb.error):
            return False  # another stub

    def __call__(self, pending):
        if not self.concerns(pending):
            return None
        frame = Frame16(pending)
        place = frame.find()
        if not place:
            return self.caller(pending, OUTERMOST, {})
        changed = {'pc': place.cs * 16 + place.ip, 'cs': place.cs, 'cs_base': place.cs * 16,
                   'sp': frame.sp + place.offset + place.size & 0xffff}
        pushed = place.enters is not None and frame.pc > place.enters
        if pushed and memory(place.enters, 1) == b'\x55' and place.offset >= 2:
            changed['bp'] = word(frame.stack, place.offset - 2)
        return self.caller(pending, frame.ss_base + frame.sp + place.offset, changed)

    @staticmethod
    def caller(pending, place, changed):
        """All registers have to be named: what is not is lost to gdb."""
        info = pending.create_unwind_info(Id(place))
        architecture = pending.architecture()
        letter = width_letter(architecture)
        full = {letter + name.replace('pc', 'ip'): value for name, value in changed.items()
                if name in ('pc', 'sp', 'bp')}
        full.update((name, value) for name, value in changed.items() if name.startswith('cs'))
        for register in architecture.registers():
            if not KEPT.fullmatch(register.name):
                continue
            value = pending.read_register(register.name)
            if register.name in full:
                plain = architecture.integer_type(value.type.sizeof * 8, False)
                value = gdb.Value(full[register.name]).cast(plain).cast(value.type)
            info.add_saved_register(register.name, value)
        return info


class Id:
    """Of a frame: the linear address of its return address; it does not move within it."""

    def __init__(self, place):
        self.sp = gdb.Value(place)


register_unwinder(None, RealMode(), replace=True)
