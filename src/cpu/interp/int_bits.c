/* SPDX-License-Identifier: MIT */
/*
 * int_bits.c - bit tests, bit scans and counts, BMI1, BMI2, ADX, CRC32.
 */
#include "cpu/interp/operands.h"

/* ---- BT, BTS, BTR, BTC ---- */

enum bit_action { BIT_TEST, BIT_SET, BIT_RESET, BIT_COMPLEMENT };

static uint64_t bit_apply(uint64_t v, unsigned bit, enum bit_action action)
{
    switch (action) {
    case BIT_SET:
        return v | BIT64(bit);
    case BIT_RESET:
        return v & ~BIT64(bit);
    case BIT_COMPLEMENT:
        return v ^ BIT64(bit);
    default:
        return v;
    }
}

/* A register bit offset is signed and selects an operand-sized piece of a bit string that
 * starts at the memory operand. */
static uint64_t bit_string_offset(struct vcpu *c, const struct insn *i, bool imm)
{
    uint64_t offset = insn_offset(c, i);
    if (imm)
        return offset;
    int64_t bit = sign_extend(reg_get(c, i->reg, i->opsize), 8 * i->opsize);
    int64_t piece = bit >> (3 + __builtin_ctz(i->opsize));
    return (offset + (uint64_t)piece * i->opsize) & addr_mask(i);
}

static void set_carry(struct vcpu *c, bool carry)
{
    c->flags = (c->flags & ~FLAG_CF) | (carry ? FLAG_CF : 0);
}

ALWAYS_INLINE enum weir_stop bit_test(struct vcpu *c, const struct insn *i,
                                      enum bit_action action)
{
    unsigned size = i->opsize;
    bool imm = i->opcode == 0xba;
    unsigned bit = (unsigned)(imm ? i->imm : c->gpr[i->reg]) & (8 * size - 1);
    uint64_t v;
    if (!i->mem) {
        v = reg_get(c, i->rm, size);
        set_carry(c, v >> bit & 1);
        if (action != BIT_TEST)
            reg_set(c, i->rm, size, bit_apply(v, bit, action));
        return STOP_NEXT;
    }
    uint64_t offset = bit_string_offset(c, i, imm);
    if (action == BIT_TEST) {
        if (!mem_load(c, i->seg, offset, size, &v))
            return STOP_FAULT;
        set_carry(c, v >> bit & 1);
        return STOP_NEXT;
    }
    struct mem_rmw m;
    if (!rmw_open_at(c, i, offset, size, &m))
        return STOP_FAULT;
    if (i->prefixes & PFX_LOCK) {
        while (!rmw_exchange(c, &m, size, bit_apply(m.value[0], bit, action)))
            ;
    } else {
        rmw_close(c, &m, size, bit_apply(m.value[0], bit, action));
    }
    set_carry(c, m.value[0] >> bit & 1);
    return STOP_NEXT;
}

enum weir_stop op_bt(struct vcpu *c, const struct insn *i)
{
    return bit_test(c, i, BIT_TEST);
}
THREADED(bt)
enum weir_stop op_bts(struct vcpu *c, const struct insn *i)
{
    return bit_test(c, i, BIT_SET);
}
enum weir_stop op_btr(struct vcpu *c, const struct insn *i)
{
    return bit_test(c, i, BIT_RESET);
}
enum weir_stop op_btc(struct vcpu *c, const struct insn *i)
{
    return bit_test(c, i, BIT_COMPLEMENT);
}

/* ---- scans and counts ---- */

/* With a zero source the destination keeps its value, all 64 bits of it (AMD documents this,
 * Intel's CPUs do it). */
ALWAYS_INLINE enum weir_stop bit_scan(struct vcpu *c, const struct insn *i, bool reverse)
{
    uint64_t v;
    if (!rm_load(c, i, i->opsize, &v))
        return STOP_FAULT;
    c->flags = (c->flags & ~FLAG_ZF) | (v ? 0 : FLAG_ZF);
    if (v)
        reg_set(c, i->reg, i->opsize,
                (uint64_t)(reverse ? 63 - __builtin_clzll(v) : __builtin_ctzll(v)));
    return STOP_NEXT;
}
enum weir_stop op_bsf(struct vcpu *c, const struct insn *i)
{
    return bit_scan(c, i, false);
}
enum weir_stop op_bsr(struct vcpu *c, const struct insn *i)
{
    return bit_scan(c, i, true);
}

THREADED(bsf)
THREADED(bsr)

ALWAYS_INLINE enum weir_stop zero_count(struct vcpu *c, const struct insn *i, bool leading)
{
    unsigned bits = 8 * i->opsize, n = bits;
    uint64_t v;
    if (!rm_load(c, i, i->opsize, &v))
        return STOP_FAULT;
    if (v)
        n = leading ? (unsigned)__builtin_clzll(v) - (64 - bits) : (unsigned)__builtin_ctzll(v);
    c->flags = (c->flags & ~(FLAG_CF | FLAG_ZF)) | (v ? 0 : FLAG_CF) | (n ? 0 : FLAG_ZF);
    reg_set(c, i->reg, i->opsize, n);
    return STOP_NEXT;
}
enum weir_stop op_lzcnt(struct vcpu *c, const struct insn *i)
{
    return zero_count(c, i, true);
}
enum weir_stop op_tzcnt(struct vcpu *c, const struct insn *i)
{
    return zero_count(c, i, false);
}
enum weir_stop op_popcnt(struct vcpu *c, const struct insn *i)
{
    uint64_t v;
    if (!rm_load(c, i, i->opsize, &v))
        return STOP_FAULT;
    c->flags = v ? 0 : FLAG_ZF;
    reg_set(c, i->reg, i->opsize, (uint64_t)__builtin_popcountll(v));
    return STOP_NEXT;
}

/* ---- CRC32 (polynomial 11EDC6F41h, bits reflected) ---- */

enum weir_stop op_crc32(struct vcpu *c, const struct insn *i)
{
    unsigned size = i->opcode == 0xf0 ? 1 : i->opsize;
    uint32_t crc = (uint32_t)c->gpr[i->reg];
    uint64_t v;
    if (!rm_load(c, i, size, &v))
        return STOP_FAULT;
    for (unsigned n = 0; n < size; n++) {
        crc ^= (uint8_t)(v >> (8 * n));
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    c->gpr[i->reg] = crc;
    return STOP_NEXT;
}

/* ---- ADX ---- */

static enum weir_stop add_with(struct vcpu *c, const struct insn *i, uint32_t flag)
{
    unsigned size = size_y(i);
    uint64_t b;
    if (!rm_load(c, i, size, &b))
        return STOP_FAULT;
    unsigned __int128 sum = (unsigned __int128)reg_get(c, i->reg, size) + b;
    sum += c->flags & flag ? 1 : 0;
    c->flags = (c->flags & ~flag) | (sum >> (8 * size) ? flag : 0);
    reg_set(c, i->reg, size, (uint64_t)sum);
    return STOP_NEXT;
}
enum weir_stop op_adcx(struct vcpu *c, const struct insn *i)
{
    return add_with(c, i, FLAG_CF);
}
enum weir_stop op_adox(struct vcpu *c, const struct insn *i)
{
    return add_with(c, i, FLAG_OF);
}

/* ---- BMI1, BMI2: operands of 4 or 8 bytes ---- */

/* ZF and SF by the result, CF as given, OF clear; AF and PF (undefined) clear. */
static void set_bmi_flags(struct vcpu *c, uint64_t v, unsigned size, bool carry)
{
    c->flags = (flags_of_result(v, size) & ~FLAG_PF) | (carry ? FLAG_CF : 0);
}

enum weir_stop op_andn(struct vcpu *c, const struct insn *i)
{
    unsigned size = size_y(i);
    uint64_t v;
    if (!rm_load(c, i, size, &v))
        return STOP_FAULT;
    v &= ~reg_get(c, i->vvvv, size);
    reg_set(c, i->reg, size, v);
    set_bmi_flags(c, v, size, false);
    return STOP_NEXT;
}

enum weir_stop op_bextr(struct vcpu *c, const struct insn *i)
{
    unsigned size = size_y(i);
    uint64_t v, control = c->gpr[i->vvvv];
    if (!rm_load(c, i, size, &v))
        return STOP_FAULT;
    unsigned start = control & 0xff, length = control >> 8 & 0xff;
    v = start < 8 * size ? bits_get(v, start, length) : 0;
    reg_set(c, i->reg, size, v);
    set_bmi_flags(c, v, size, false);
    return STOP_NEXT;
}

enum weir_stop op_blsi(struct vcpu *c, const struct insn *i)
{
    unsigned size = size_y(i);
    uint64_t a;
    if (!rm_load(c, i, size, &a))
        return STOP_FAULT;
    uint64_t v = a & -a;
    reg_set(c, i->vvvv, size, v);
    set_bmi_flags(c, v, size, a != 0);
    return STOP_NEXT;
}
enum weir_stop op_blsmsk(struct vcpu *c, const struct insn *i)
{
    unsigned size = size_y(i);
    uint64_t a;
    if (!rm_load(c, i, size, &a))
        return STOP_FAULT;
    uint64_t v = (a ^ (a - 1)) & mask_bytes(size);
    reg_set(c, i->vvvv, size, v);
    set_bmi_flags(c, v, size, a == 0);
    return STOP_NEXT;
}
enum weir_stop op_blsr(struct vcpu *c, const struct insn *i)
{
    unsigned size = size_y(i);
    uint64_t a;
    if (!rm_load(c, i, size, &a))
        return STOP_FAULT;
    uint64_t v = a & (a - 1);
    reg_set(c, i->vvvv, size, v);
    set_bmi_flags(c, v, size, a == 0);
    return STOP_NEXT;
}

enum weir_stop op_bzhi(struct vcpu *c, const struct insn *i)
{
    unsigned size = size_y(i), index = c->gpr[i->vvvv] & 0xff;
    uint64_t v;
    if (!rm_load(c, i, size, &v))
        return STOP_FAULT;
    bool beyond = index >= 8 * size;
    if (!beyond)
        v &= BIT64(index) - 1;
    reg_set(c, i->reg, size, v);
    set_bmi_flags(c, v, size, beyond);
    return STOP_NEXT;
}

/* reg = high half, vvvv = low half; the high one wins if they are the same register. */
enum weir_stop op_mulx(struct vcpu *c, const struct insn *i)
{
    unsigned size = size_y(i);
    uint64_t v;
    if (!rm_load(c, i, size, &v))
        return STOP_FAULT;
    unsigned __int128 product = (unsigned __int128)v * reg_get(c, RDX, size);
    reg_set(c, i->vvvv, size, (uint64_t)product);
    reg_set(c, i->reg, size, (uint64_t)(product >> (8 * size)));
    return STOP_NEXT;
}

enum weir_stop op_pdep(struct vcpu *c, const struct insn *i)
{
    unsigned size = size_y(i);
    uint64_t mask, v = 0, source = reg_get(c, i->vvvv, size);
    if (!rm_load(c, i, size, &mask))
        return STOP_FAULT;
    for (; mask; mask &= mask - 1, source >>= 1)
        if (source & 1)
            v |= mask & -mask;
    reg_set(c, i->reg, size, v);
    return STOP_NEXT;
}
enum weir_stop op_pext(struct vcpu *c, const struct insn *i)
{
    unsigned size = size_y(i), n = 0;
    uint64_t mask, v = 0, source = reg_get(c, i->vvvv, size);
    if (!rm_load(c, i, size, &mask))
        return STOP_FAULT;
    for (; mask; mask &= mask - 1, n++)
        if (source & mask & -mask)
            v |= BIT64(n);
    reg_set(c, i->reg, size, v);
    return STOP_NEXT;
}

enum weir_stop op_rorx(struct vcpu *c, const struct insn *i)
{
    unsigned size = size_y(i), count = i->imm & (8 * size - 1);
    uint64_t v;
    if (!rm_load(c, i, size, &v))
        return STOP_FAULT;
    if (count)
        v = v >> count | v << (8 * size - count);
    reg_set(c, i->reg, size, v);
    return STOP_NEXT;
}
enum weir_stop op_sarx(struct vcpu *c, const struct insn *i)
{
    unsigned size = size_y(i), count = c->gpr[i->vvvv] & (8 * size - 1);
    uint64_t v;
    if (!rm_load(c, i, size, &v))
        return STOP_FAULT;
    reg_set(c, i->reg, size, (uint64_t)(sign_extend(v, 8 * size) >> count));
    return STOP_NEXT;
}
enum weir_stop op_shlx(struct vcpu *c, const struct insn *i)
{
    unsigned size = size_y(i), count = c->gpr[i->vvvv] & (8 * size - 1);
    uint64_t v;
    if (!rm_load(c, i, size, &v))
        return STOP_FAULT;
    reg_set(c, i->reg, size, v << count);
    return STOP_NEXT;
}
enum weir_stop op_shrx(struct vcpu *c, const struct insn *i)
{
    unsigned size = size_y(i), count = c->gpr[i->vvvv] & (8 * size - 1);
    uint64_t v;
    if (!rm_load(c, i, size, &v))
        return STOP_FAULT;
    reg_set(c, i->reg, size, v >> count);
    return STOP_NEXT;
}
