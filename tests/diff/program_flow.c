/* SPDX-License-Identifier: MIT */
/*
 * program_flow.c - what random programs do besides single instructions: branches of all kinds,
 * loops, subroutines, system calls, and the sequences that give instructions the registers they
 * need (strings, divisions, bit offsets, gathers) or that make a program modify itself.
 */
#include "cpu/decode/decoder.h"
#include "program_maker.h"

static unsigned bits(const struct maker *m)
{
    return m->p->mode->bits;
}
static bool is_free(const struct maker *m, unsigned reg)
{
    return !(m->reserved & 1u << reg);
}

/* ---- pointers ---- */

/* A reserved or other register gets the offset of somewhere in `seg`. */
static void point(struct maker *m, unsigned reg, unsigned seg, bool writes, unsigned align)
{
    bool far = bits(m) == 64 && one_in(m, 4);
    uint64_t linear = pick_within(m, seg, writes, align) + (far ? FAR_ALIAS : m->alias);
    m->value[reg] = maker_offset(m, linear, bits(m) == 64 ? SEG_DS : seg);
    if (bits(m) == 16)
        m->value[reg] &= 0xffff;
    emit_mov(m, reg, m->value[reg]);
}

void flow_point(struct maker *m, unsigned k)
{
    unsigned reg = m->pointers[k];
    point(m, reg, reg == RBP ? SEG_SS : SEG_DS, true, one_in(m, 2) ? 64 : 1);
}

void flow_index(struct maker *m, unsigned value)
{
    m->value[m->index] = value;
    emit_mov(m, m->index, value);
}

/* Those of the mask that are set aside get new values. */
static void restore(struct maker *m, uint32_t mask)
{
    for (unsigned k = 0; k < m->pointer_count; k++)
        if (mask & 1u << m->pointers[k])
            flow_point(m, k);
    if (mask & 1u << m->index)
        flow_index(m, below(m, 8));
}

/* ---- what instructions need ---- */

static bool prepare_string(struct maker *m, const struct draft *d)
{
    uint32_t touched = 1u << RSI | 1u << RDI | 1u << RCX;
    if (m->looping && (touched & 1u << m->index))
        return false;
    bool writes = d->insn.op == OP_MOVS || d->insn.op == OP_STOS || d->insn.op == OP_INS;
    point(m, RSI, d->insn.seg, false, 8);
    point(m, RDI, SEG_ES, writes, 8);
    if (one_in(m, 3)) { /* overlapping */
        m->value[RDI] = m->value[RSI] + below(m, 64) - 32;
        emit_mov(m, RDI, m->value[RDI]);
    }
    emit_mov(m, RCX, one_in(m, 12) ? below(m, 1200) : below(m, 20));
    emit(m, d);
    restore(m, touched);
    return true;
}

/* The index vector of a gather or scatter becomes small: VPSRLD, VPSRLQ. */
static void prepare_vsib(struct maker *m, const struct insn *i)
{
    bool quad = i->opcode & 1;
    uint8_t b[6] = {0xc4,
                    (uint8_t)(0x61 | 0x80 | (i->index >= 8 ? 0 : 0x20)),
                    (uint8_t)((~i->index & 15) << 3 | 4 | 1),
                    quad ? 0x73 : 0x72,
                    (uint8_t)(0xd0 | (i->index & 7)),
                    quad ? 56 : 24};
    b[1] = (uint8_t)(0xc1 | (i->index >= 8 ? 0 : 0x20));
    emit_bytes(m, b, 6);
}

static bool is_bit_test(const struct insn *i)
{
    return (i->op == OP_BT || i->op == OP_BTS || i->op == OP_BTR || i->op == OP_BTC) &&
           i->mem && insn_row(i)->operands[1].kind == KIND_G;
}

/* Puts before it what it needs. False: not this one. */
static bool prepare(struct maker *m, const struct draft *d)
{
    const struct insn *i = &d->insn;
    if (insn_row(i)->operands[0].kind == KIND_VSIB ||
        insn_row(i)->operands[1].kind == KIND_VSIB)
        prepare_vsib(m, i);
    if (is_bit_test(i)) {
        if (!is_free(m, i->reg))
            return false;
        emit_mov(m, i->reg, below(m, 2048));
    }
    switch (i->op) {
    case OP_DIV:
    case OP_IDIV:
        if (!one_in(m, 6)) {
            emit_bytes(m, i->opsize == 1 ? "\x0f\xb6\xc0" : "\x31\xd2", i->opsize == 1 ? 3 : 2);
            if (i->op == OP_IDIV && one_in(m, 2))
                emit_bytes(m, "\x99", 1);
        }
        return true;
    case OP_XLAT:
        if (m->index == RBX)
            return false;
        point(m, RBX, i->seg, false, 1);
        return true;
    case OP_MASKMOVQ:
    case OP_MASKMOVDQU:
    case OP_VMASKMOVDQU:
        if (m->index == RDI)
            return false;
        point(m, RDI, i->seg, true, 8);
        return true;
    case OP_ENTER:
    case OP_LEAVE:
        m->value[RBP] = PAGE_STACK + 0xa00 + 8 * below(m, 128);
        m->value[RBP] = maker_offset(m, m->value[RBP], SEG_SS);
        emit_mov(m, RBP, m->value[RBP]);
        return true;
    case OP_MOVDIR64B:
        if (!is_free(m, i->reg) || i->reg == i->base || i->reg == i->index)
            return false;
        point(m, i->reg, SEG_ES, true, 64);
        return true;
    case OP_XGETBV:
        if (is_free(m, RCX))
            emit_mov(m, RCX, 0);
        return is_free(m, RCX) || one_in(m, 16);
    case OP_XRSTOR:
    case OP_XRSTORS:
        return one_in(m, 8);
    case OP_LDMXCSR:
    case OP_VLDMXCSR:
    case OP_FXRSTOR:
    case OP_FLDCW:
    case OP_FLDENV:
    case OP_FRSTOR:
    case OP_BOUND:
        return one_in(m, 4);
    default:
        return true;
    }
}

static void plain_item(struct maker *m)
{
    struct draft d;
    unsigned roll = below(m, 100), f = 0;
    while (f < FAMILIES - 1 && roll >= m->shares[f])
        roll -= m->shares[f++];
    if (m->only_op != OP_INVALID && one_in(m, 2)) {
        if (!encode_op(m, &d, m->only_op))
            return;
    } else if (!encode_family(m, &d, (enum family)f)) {
        return;
    }
    if (insn_row(&d.insn)->attrs & ATTR_REP) {
        prepare_string(m, &d);
        return;
    }
    if (d.insn.op == OP_POPA && m->looping)
        return;
    if (!prepare(m, &d))
        return;
    emit(m, &d);
    if (d.insn.op == OP_POPA)
        restore(m, 0xffff);
}

/* ---- sequences ---- */

/* FXSAVE, XSAVE..., a few instructions, and back again, by one address. */
static void save_and_restore(struct maker *m)
{
    static const struct {
        uint16_t save, restore;
    } pairs[] = {{OP_FXSAVE, OP_FXRSTOR}, {OP_XSAVE, OP_XRSTOR},   {OP_XSAVEC, OP_XRSTOR},
                 {OP_FNSAVE, OP_FRSTOR},  {OP_FNSTENV, OP_FLDENV}, {OP_STMXCSR, OP_LDMXCSR},
                 {OP_FNSTCW, OP_FLDCW},   {OP_SGDT, OP_LGDT},      {OP_SIDT, OP_LIDT}};
    unsigned k = below(m, ARRAY_SIZE(pairs));
    struct draft save, load;
    if (pairs[k].save >= OP_SGDT && pairs[k].save <= OP_SIDT && m->p->mode->cpl)
        return;
    if (!encode_op(m, &save, pairs[k].save) || !encode_op(m, &load, pairs[k].restore) ||
        save.insn.base == RSP || save.insn.index != REG_NONE)
        return;
    const struct insn *i = &save.insn;
    unsigned reg_field = load.insn.modrm & 0x38, at = 0;
    while (at < save.length && save.bytes[at] != i->modrm)
        at++;
    /* The same bytes but for the opcode's digit, where the two are in one group. */
    if (at == save.length || save.insn.map != load.insn.map ||
        save.insn.opcode != load.insn.opcode)
        return;
    load = save;
    load.bytes[at] = (uint8_t)((i->modrm & 0xc7) | reg_field);
    if (decode_insn(&load.insn, load.bytes, load.length, bits(m)) != DECODE_OK)
        return;
    emit(m, &save);
    if (one_in(m, 2))
        plain_item(m);
    emit(m, &load);
}

static void reload_segment(struct maker *m)
{
    static const uint8_t choices[] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS, SEG_SS};
    unsigned s = choices[below(m, ARRAY_SIZE(choices))];
    if (bits(m) == 64 && (s == SEG_FS || s == SEG_GS) && m->p->seg[s].base >= 0x800)
        return;
    emit_mov(m, RAX, m->p->seg[s].selector);
    uint8_t b[2] = {0x8e, (uint8_t)(0xc0 | s << 3)};
    if (m->stack_fixed || one_in(m, 2) || s == SEG_SS || bits(m) == 64) {
        emit_bytes(m, b, 2);
        return;
    }
    static const uint8_t pops[6][2] = {{0x07}, {0}, {0}, {0x1f}, {0x0f, 0xa1}, {0x0f, 0xa9}};
    emit_bytes(m, "\x50", 1);
    emit_bytes(m, pops[s], s >= SEG_FS ? 2 : 1);
}

/* A store into the code that follows: an immediate, or an opcode's digit. */
static void self_modify(struct maker *m)
{
    static const uint32_t aliases[] = {0, 0, 0, PAGE_CODE_ALIAS - PAGE_CODE};
    unsigned how = below(m, 4), label = m->labels, n = 0, size = 1;
    uint8_t b[12], digit = one_in(m, 2) ? 0xc0 : 0xc8;
    bool cs = m->p->mode->real || m->p->mode->v86;
    if (m->labels + 1 >= MAKER_BLOCKS || (m->p->seg[SEG_DS].base > PAGE_CODE && !cs))
        return;
    m->labels++;
    if (cs)
        b[n++] = 0x2e;
    bool immediate = how < 2 || how == 3;
    if (how == 1) { /* MOV r/m, imm: as wide as the mode */
        size = bits(m) == 16 ? 2 : 4;
        b[n++] = 0xc7;
    } else {
        b[n++] = immediate ? 0xc6 : 0x88;
    }
    b[n++] = bits(m) == 16 ? 0x06 : 0x05;
    unsigned field = bits(m) == 16 ? 2 : 4, at = n;
    memset(b + n, 0, field);
    n += field;
    uint64_t value = rnd(m);
    if (immediate) {
        store_le(b + n, how == 3 ? digit : value, size);
        n += size;
    }
    emit_bytes(m, b, n);
    emit_fixup(m, (struct fixup){.kind = bits(m) == 64 ? FIXUP_DATA_RIP : FIXUP_DATA,
                                 .bytes = (uint8_t)field,
                                 .label = (uint8_t)label,
                                 .at = (uint16_t)(m->at - n + at),
                                 .end = (uint16_t)m->at,
                                 .item = -1,
                                 .alias = cs ? 0 : aliases[below(m, 4)]});
    for (unsigned k = below(m, 4); k; k--)
        plain_item(m);
    if (how == 3) { /* INC or DEC */
        m->label_at[label] = (uint16_t)(m->at + 1);
        emit_bytes(m, "\xff\xc0", 2);
    } else {
        m->label_at[label] = (uint16_t)(m->at + 1);
        emit_mov(m, RAX, 0x1234);
        if (bits(m) == 16) /* it may have got a prefix */
            m->label_at[label] = (uint16_t)(m->at - 2);
    }
    m->p->items[m->p->item_count - 1].is_patched = true;
}

static void interrupt(struct maker *m)
{
    uint8_t b[2] = {0xcd,
                    (uint8_t)(RETURNING_FIRST + below(m, FLUSH_VECTOR - RETURNING_FIRST))};
    if (!m->p->mode->v86 || (m->p->rflags_rest & FLAG_IOPL))
        emit_bytes(m, b, 2);
}

static void system_call(struct maker *m)
{
    const struct program_mode *mode = m->p->mode;
    bool lm = mode->paging == PAGING_LONG;
    if (!mode->cpl || mode->segmented || !is_free(m, RCX) || mode->paging == PAGING_NONE)
        return;
    if (lm && one_in(m, 2)) {
        if (is_free(m, R11))
            emit_bytes(m, "\x0f\x05", 2);
        return;
    }
    if (m->labels + 1 >= MAKER_BLOCKS || (lm && !one_in(m, 8))) /* #UD on some */
        return;
    unsigned label = m->labels++;
    uint8_t b[10] = {0x48, 0xba};
    emit_bytes(m, bits(m) == 64 ? "\x48\x89\xe1" : "\x89\xe1", bits(m) == 64 ? 3 : 2);
    if (bits(m) == 64)
        emit_branch(m, b, 10, 8, FIXUP_ADDRESS, label);
    else
        emit_branch(m, b + 1, 5, 4, FIXUP_ADDRESS, label);
    m->p->items[m->p->item_count - 1].target = -1;
    m->fixups[m->fixup_count - 1].item = -1;
    emit_bytes(m, "\x0f\x34", 2);
    emit_label(m, label);
}

static void flags_from_stack(struct maker *m)
{
    if (m->stack_fixed)
        return;
    emit_bytes(m, "\x9c", 1);
    if (one_in(m, 2))
        emit_bytes(m, "\x9d", 1);
    else if (one_in(m, 2)) /* whatever is there: TF, NT, AC... */
        emit_bytes(m, "\x58\x9d", 2);
}

static void branch(struct maker *m, unsigned short_opcode, unsigned long_opcode, unsigned label,
                   bool is_near)
{
    uint8_t b[6] = {(uint8_t)short_opcode};
    unsigned n = 0, size = bits(m) == 16 ? 2 : 4;
    if (is_near && (one_in(m, 2) || !long_opcode)) {
        emit_branch(m, b, 2, 1, FIXUP_BRANCH, label);
        return;
    }
    if (long_opcode > 0xff)
        b[n++] = 0x0f;
    b[n++] = (uint8_t)long_opcode;
    emit_branch(m, b, n + size, size, FIXUP_BRANCH, label);
}

/* A pointer becomes another one, or that and a little, or they change places. */
static void move_pointer(struct maker *m)
{
    unsigned to = m->pointers[below(m, m->pointer_count)];
    unsigned from = m->pointers[below(m, m->pointer_count)];
    uint8_t by = (uint8_t)rnd(m), rex = (uint8_t)(0x48 | (to >= 8) << 2 | (from >= 8));
    uint8_t b[4] = {rex, 0x8b, (uint8_t)(0xc0 | (to & 7) << 3 | (from & 7)), by};
    if (bits(m) != 64 || m->looping)
        return;
    switch (below(m, 4)) {
    case 0: /* XCHG */
        b[1] = 0x87;
        uint64_t value = m->value[from];
        m->value[from] = m->value[to];
        m->value[to] = value;
        emit_bytes(m, b, 3);
        return;
    case 1: /* ADD */
        b[0] = (uint8_t)(0x48 | (to >= 8));
        b[1] = 0x83;
        b[2] = (uint8_t)(0xc0 | (to & 7));
        m->value[to] += (uint64_t)(int64_t)(int8_t)by;
        emit_bytes(m, b, 4);
        return;
    case 2: /* LEA */
        if ((from & 7) == RSP)
            return;
        b[1] = 0x8d;
        b[2] ^= 0x80;
        m->value[to] = m->value[from] + (uint64_t)(int64_t)(int8_t)by;
        emit_bytes(m, b, 4);
        return;
    default:
        m->value[to] = m->value[from];
        emit_bytes(m, b, 3);
    }
}

/* Some instructions, which a jump may leave out. */
static void skip(struct maker *m)
{
    unsigned label = m->labels, code = below(m, 16);
    if (label + 1 >= MAKER_BLOCKS)
        return;
    m->labels++;
    branch(m, 0x70 + code, 0x180 + code, label, true);
    for (unsigned n = 1 + below(m, 3); n && !m->failed; n--)
        plain_item(m);
    emit_label(m, label);
}

void flow_item(struct maker *m)
{
    unsigned k = below(m, m->pointer_count);
    switch (below(m, 64)) {
    case 0 ... 1:
        flow_point(m, k);
        return;
    case 2:
        if (!m->looping)
            flow_index(m, below(m, 16));
        return;
    case 3:
        save_and_restore(m);
        return;
    case 4:
        reload_segment(m);
        return;
    case 5 ... 6:
        self_modify(m);
        return;
    case 7:
        interrupt(m);
        return;
    case 8:
        system_call(m);
        return;
    case 9:
        flags_from_stack(m);
        return;
    case 10 ... 11:
        system_item(m);
        return;
    case 12 ... 15:
        move_pointer(m);
        return;
    case 16 ... 21:
        skip(m);
        return;
    default:
        plain_item(m);
    }
}

/* ---- blocks ---- */

static void conditional(struct maker *m, unsigned label, bool is_near)
{
    unsigned code = below(m, 16);
    if (is_near && one_in(m, 12) && !m->looping)
        branch(m, one_in(m, 2) ? 0xe3 : 0xe0 + below(m, 2), 0, label, true);
    else
        branch(m, 0x70 + code, 0x180 + code, label, is_near);
}

static void address_to(struct maker *m, unsigned reg, unsigned label)
{
    uint8_t b[10];
    unsigned n = 0;
    if (bits(m) == 64 && one_in(m, 2)) { /* LEA */
        const uint8_t lea[7] = {0x48, 0x8d, (uint8_t)(5 | reg << 3)};
        emit_branch(m, lea, 7, 4, FIXUP_BRANCH, label);
    } else {
        if (bits(m) == 64)
            b[n++] = 0x48;
        b[n++] = (uint8_t)(0xb8 | reg);
        memset(b + n, 0, 8);
        emit_branch(m, b, n + bits(m) / 8, bits(m) / 8, FIXUP_ADDRESS, label);
    }
    if (!m->failed)
        m->fixups[m->fixup_count - 1].item = -1;
}

/* JMP or CALL through a register. */
static void indirect(struct maker *m, unsigned label, bool call)
{
    unsigned reg = one_in(m, 2) ? RAX : RDX;
    address_to(m, reg, label);
    if (one_in(m, 3))
        emit_bytes(m, "\x39\xc0", 2);
    uint8_t b[2] = {0xff, (uint8_t)((call ? 0xd0 : 0xe0) | reg)};
    emit_branch(m, b, 2, 0, FIXUP_BRANCH, label);
}

static void by_return(struct maker *m, unsigned label)
{
    address_to(m, RDX, label);
    emit_bytes(m, "\x52", 1);
    emit_branch(m, "\xc3", 1, 0, FIXUP_BRANCH, label);
}

static void by_iret(struct maker *m, unsigned label)
{
    const struct program *p = m->p;
    uint8_t cs[5] = {0x68};
    store_le(cs + 1, p->seg[SEG_CS].selector, 4);
    if (bits(m) == 64) {
        uint8_t ss[5] = {0x68};
        store_le(ss + 1, p->seg[SEG_SS].selector, 4);
        emit_bytes(m, "\x48\x89\xe0", 3);
        emit_bytes(m, ss, 5);
        emit_bytes(m, "\x50", 1);
    } else if (p->mode->v86 && !(p->rflags_rest & FLAG_IOPL)) {
        return;
    }
    emit_bytes(m, "\x9c", 1);
    emit_bytes(m, cs, bits(m) == 16 ? 3 : 5);
    address_to(m, RDX, label);
    emit_bytes(m, "\x52", 1);
    emit_branch(m, bits(m) == 64 ? "\x48\xcf" : "\xcf", bits(m) == 64 ? 2 : 1, 0, FIXUP_BRANCH,
                label);
}

static void far_direct(struct maker *m, unsigned label, bool call)
{
    uint8_t b[7] = {call ? 0x9a : 0xea};
    unsigned size = bits(m) / 8;
    store_le(b + 1 + size, m->p->seg[SEG_CS].selector, 2);
    emit_branch(m, b, size + 3, 0, FIXUP_ADDRESS, label);
    if (m->failed)
        return;
    struct fixup *f = &m->fixups[m->fixup_count - 1];
    f->bytes = (uint8_t)size;
    f->at = (uint16_t)(m->at - 2 - size);
}

/* JMP or CALL through one of the addresses in the island. */
static bool by_slot(struct maker *m, unsigned n)
{
    unsigned slot = below(m, 4), size = bits(m) / 8, k = 0;
    if (m->slot_count <= slot || m->slots[slot] <= n)
        return false;
    uint8_t b[8];
    uint64_t linear = m->p->code_linear + m->slots_at + slot * size;
    if (bits(m) != 64)
        b[k++] = 0x2e;
    b[k++] = 0xff;
    b[k++] = bits(m) == 16 ? 0x26 : 0x25;
    if (bits(m) == 64)
        store_le(b + k, linear - (m->p->code_linear + m->at + 6), 4);
    else
        store_le(b + k, linear - m->p->seg[SEG_CS].base, 4);
    emit_branch(m, b, k + (bits(m) == 16 ? 2 : 4), 0, FIXUP_BRANCH, m->slots[slot]);
    return true;
}

static void call(struct maker *m, unsigned label)
{
    uint8_t b[5] = {0xe8};
    if (m->far_subroutine)
        far_direct(m, label, true);
    else if (one_in(m, 3))
        indirect(m, label, true);
    else
        emit_branch(m, b, bits(m) == 16 ? 3 : 5, bits(m) == 16 ? 2 : 4, FIXUP_BRANCH, label);
}

/* The index counts down; flags are defined first, as the way back leads to before. */
static void loop_back(struct maker *m)
{
    unsigned r = m->index;
    emit_defined(m, FLAGS_ARITH);
    uint8_t b[4];
    unsigned n = 0;
    if (r == RCX && one_in(m, 2) && m->at - m->label_at[m->loop_label] < 120) {
        branch(m, 0xe2, 0, m->loop_label, true);
        m->looping = false;
        return;
    }
    if (r >= 8)
        b[n++] = 0x41;
    bool dec = one_in(m, 2);
    b[n++] = dec ? 0xff : 0x83;
    b[n++] = (uint8_t)((dec ? 0xc8 : 0xe8) | (r & 7));
    if (!dec)
        b[n++] = 1;
    emit_bytes(m, b, n);
    unsigned code = one_in(m, 3) ? 0xf : 5; /* NLE or NZ */
    branch(m, 0x70 + code, 0x180 + code, m->loop_label, false);
    m->looping = false;
}

static void loop_begin(struct maker *m, unsigned n, unsigned count)
{
    unsigned label = m->labels;
    if (label + 1 >= MAKER_BLOCKS)
        return;
    m->labels++;
    flow_index(m, 1 + below(m, one_in(m, 8) ? 40 : 4));
    emit_defined(m, FLAGS_ARITH);
    emit_label(m, label);
    m->looping = true;
    m->loop_label = label;
    m->loop_end = n + 1 + below(m, 2);
    if (m->loop_end >= count)
        m->loop_end = count - 1;
}

static void forward(struct maker *m, unsigned n, unsigned count)
{
    bool is_near = one_in(m, 2);
    unsigned label = is_near ? n + 1 : n + 1 + below(m, count - n);
    switch (below(m, 32)) {
    case 0 ... 3:
        return; /* runs on */
    case 4 ... 20:
        conditional(m, is_near && label < count ? label + below(m, 2) : label, is_near);
        return;
    case 21 ... 23:
        branch(m, 0xeb, 0xe9, label, is_near);
        return;
    case 24 ... 25:
        by_return(m, label);
        return;
    case 26:
        by_iret(m, label);
        return;
    case 27 ... 28:
        if (!by_slot(m, n))
            indirect(m, label, false);
        return;
    case 29:
        if (bits(m) != 64)
            far_direct(m, label, false);
        return;
    default:
        indirect(m, label, false);
    }
}

void flow_end(struct maker *m, unsigned n, unsigned count, unsigned subroutines)
{
    if (m->looping && n >= m->loop_end)
        loop_back(m);
    if (subroutines && one_in(m, 4))
        call(m, count + 1 + below(m, subroutines));
    if (!m->looping && n + 1 < count && one_in(m, 3))
        loop_begin(m, n, count);
    else
        forward(m, n, count);
}

/* The program goes on in the second page, so that loops and calls lead from one to the other. */
void flow_move(struct maker *m, unsigned label)
{
    if (m->at >= 0xf00 || !one_in(m, 6))
        return;
    branch(m, 0, 0xe9, label, false);
    if (m->failed)
        return;
    m->at = 0x1000 + below(m, 400);
    m->block_pending = true;
}

void flow_return(struct maker *m)
{
    uint8_t b[3] = {m->far_subroutine ? 0xca : 0xc2};
    if (one_in(m, 4)) {
        b[1] = 8;
        emit_bytes(m, b, 3);
    } else {
        emit_bytes(m, m->far_subroutine ? "\xcb" : "\xc3", 1);
    }
}

void flow_stop(struct maker *m)
{
    uint8_t b[2] = {0xcd, END_VECTOR};
    if (one_in(m, 24))
        return; /* runs on into NOPs: the budget ends it */
    if (one_in(m, 4))
        emit_bytes(m, "\x0f\x0b", 2);
    else if (m->p->mode->cpl == 0 && one_in(m, 2))
        emit_bytes(m, "\xf4", 1);
    else
        emit_bytes(m, b, 2);
}

void flow_island(struct maker *m, unsigned blocks)
{
    uint8_t data[48] = {0}, jump[2] = {0xeb, sizeof data};
    if (!one_in(m, 2))
        return;
    emit_bytes(m, jump, 2);
    m->island = m->slots_at = m->at;
    m->island_bytes = sizeof data;
    unsigned size = bits(m) / 8;
    for (unsigned k = 0; k < 4; k++) {
        m->slots[k] = (uint8_t)(1 + below(m, blocks));
        emit_fixup(m, (struct fixup){.kind = FIXUP_ADDRESS,
                                     .bytes = (uint8_t)size,
                                     .label = m->slots[k],
                                     .at = (uint16_t)(m->at + k * size),
                                     .item = -1});
    }
    m->slot_count = 4;
    m->p->items[m->p->item_count - 1].target = (int16_t)m->p->item_count + 1;
    store_le(data + 4 * size, rnd(m), 4);
    unsigned far = 4 * size + (size == 2 ? 2 : 4);
    store_le(data + far, m->p->seg[SEG_FS].selector, 2);
    emit_data(m, data, sizeof data);
    m->island += far + 2;
    m->island_bytes -= far + 2;
    m->block_pending = true;
}
