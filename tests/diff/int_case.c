/* SPDX-License-Identifier: MIT */
/*
 * int_case.c - random cases for int_test: bytes are put together from the row's conditions, the
 * decoder says what they are (a try that became another row is dropped), then registers are set
 * so that every access lands in the scratch pages.
 */
#include "int_case.h"
#include "cpu/x86.h"

uint64_t int_random(struct int_random *r)
{
    uint64_t z = (r->state += 0x9e3779b97f4a7c15ull);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static bool one_in(struct int_random *r, unsigned n)
{
    return int_random(r) % n == 0;
}

/* Values at which carries, signs and overflows happen. */
static uint64_t random_value(struct int_random *r)
{
    uint64_t v = int_random(r), kind = int_random(r);
    switch (kind & 15) {
    case 0:
        return 0;
    case 1:
        return ~0ull;
    case 2:
        return v & 0xff;
    case 3:
        return 0x8000000080008080ull;
    case 4:
        return 0x7fffffff7fff7f7full;
    case 5:
        return 1ull << (v & 63);
    case 6:
        return (uint64_t)(int64_t)(int8_t)v;
    case 7:
        return v & 0xffffffff;
    case 8:
        return ~0ull << (v & 63);
    default:
        return v;
    }
}

/* ---- bytes ---- */

static void put(struct int_case *t, unsigned byte)
{
    if (t->length < sizeof(t->bytes))
        t->bytes[t->length++] = (uint8_t)byte;
}

static bool takes_branch_prefixes(unsigned op)
{
    const struct insn i = {.op = (uint16_t)op};
    return !is_branch(&i);
}

static void put_legacy_prefixes(struct int_case *t, struct int_random *r,
                                const struct optab_row *row)
{
    static const uint8_t pp_bytes[4] = {0, 0x66, 0xf3, 0xf2};
    static const uint8_t segments[4] = {0x2e, 0x36, 0x3e, 0x26};
    unsigned pp = WANTED(row, PP, 0);
    if (one_in(r, 8))
        put(t, segments[int_random(r) & 3]); /* flat, or ignored */
    if (one_in(r, 6))
        put(t, 0x67);
    if (one_in(r, 3) && takes_branch_prefixes(row->op)) /* 66: see decode.c */
        put(t, 0x66);
    /* Zen takes F3 LOOPNE for LOOPE, and F2 LOOPE for LOOPNE. */
    bool may_rep = takes_branch_prefixes(row->op);
    if ((row->attrs & ATTR_REP) ? !one_in(r, 3) : may_rep && one_in(r, 16))
        put(t, one_in(r, 2) ? 0xf2 : 0xf3);
    if ((row->attrs & ATTR_LOCK) && one_in(r, 4))
        put(t, 0xf0);
    if (pp)
        put(t, pp_bytes[pp]);
    if (t->bits != 64)
        return;
    unsigned rex = (unsigned)int_random(r) & 15;
    unsigned w = WANTED(row, W, rex >> 3), b = WANTED(row, REXB, rex);
    rex = (rex & 6) | w << 3 | b;
    if (w || (rex && one_in(r, 2)) || one_in(r, 8))
        put(t, 0x40 | rex);
}

static void put_vex(struct int_case *t, struct int_random *r, const struct optab_row *row)
{
    unsigned v = (unsigned)int_random(r), w = WANTED(row, W, v);
    unsigned rxb = t->bits == 64 ? v >> 8 & 7 : 7;
    bool uses_vvvv = false;
    for (unsigned k = 0; k < 4; k++)
        uses_vvvv |= row->operands[k].kind == KIND_B;
    put(t, 0xc4);
    put(t, rxb << 5 | (row->encoding - ENCODING_VEX0));
    put(t, w << 7 | (uses_vvvv ? v >> 16 & 15 : 15) << 3 | WANTED(row, L, 0) << 2 |
               WANTED(row, PP, 0));
}

static void put_opcode(struct int_case *t, struct int_random *r, const struct optab_row *row,
                       unsigned opcode)
{
    if (row->encoding >= ENCODING_VEX0)
        put_vex(t, r, row);
    else
        put_legacy_prefixes(t, r, row);
    if (row->encoding == ENCODING_0F || row->encoding == ENCODING_0F38 ||
        row->encoding == ENCODING_0F3A)
        put(t, 0x0f);
    if (row->encoding == ENCODING_0F38)
        put(t, 0x38);
    if (row->encoding == ENCODING_0F3A)
        put(t, 0x3a);
    put(t, opcode);
}

/* modrm, SIB, displacement and immediates: random but for what the row wants. */
static void put_tail(struct int_case *t, struct int_random *r, const struct optab_row *row)
{
    unsigned v = (unsigned)int_random(r);
    unsigned mod = WANTED(row, MOD3, v) ? 3 : v >> 1 & 3;
    t->modrm_at = t->length;
    put(t, mod << 6 | WANTED(row, REG, v >> 8) << 3 | WANTED(row, RM, v >> 12));
    while (t->length < sizeof(t->bytes))
        put(t, (unsigned)(random_value(r) >> (v & 24)));
}

/* ---- places ---- */

static uint64_t scratch_address(struct int_random *r)
{
    uint64_t v = int_random(r);
    uint64_t at = SCRATCH + 1024 + (v % (SCRATCH_BYTES - 4096 - 2048));
    if ((v >> 32) % 16 == 0)
        at = SCRATCH + 4096 - (v >> 40) % 16; /* across the pages */
    return (v >> 48) % 4 ? at & ~15ull : at;
}

static bool is_stack_operation(unsigned op)
{
    switch (op) {
    case OP_PUSH:
    case OP_POP:
    case OP_CALL:
    case OP_CALL_IND:
    case OP_RET:
    case OP_ENTER:
    case OP_LEAVE:
    case OP_PUSHA:
    case OP_POPA:
        return true;
    default:
        return false;
    }
}

/* Rewrites the 32-bit displacement, which stands right behind modrm and SIB. */
static void patch_disp(struct int_case *t, int64_t disp)
{
    bool sib = (t->insn.modrm & 7) == 4;
    store_le(t->bytes + t->modrm_at + 1 + sib, (uint64_t)disp, 4);
    t->insn.disp = (int32_t)disp;
}

static bool has_disp32(const struct insn *i)
{
    return i->addrsize != 2 &&
           (i->modrm >> 6 == 2 || i->base == REG_NONE || i->base == REG_RIP);
}

/* Registers and displacement such that the modrm operand is at `at`. */
static bool place_memory(struct int_case *t, struct int_random *r, uint64_t at)
{
    struct insn *i = &t->insn;
    if (i->addrsize == 2 || i->index == i->base)
        return i->op == OP_LEA || i->op == OP_NOP;
    if (has_disp32(i))
        patch_disp(t, (int64_t)(int_random(r) % 512) - 256);
    uint64_t index = 0;
    if (i->index != REG_NONE) {
        if (i->base == REG_NONE)
            t->gpr[i->index] = int_random(r) & 63;
        else if (one_in(r, 2))
            t->gpr[i->index] &= 0xffff;
        index = t->gpr[i->index] << i->scale;
    }
    if (i->base == REG_RIP)
        patch_disp(t, (int64_t)(at - (code_address(t) + i->length)));
    else if (i->base == REG_NONE)
        patch_disp(t, (int64_t)(at - index));
    else
        t->gpr[i->base] = at - index - (uint64_t)(int64_t)i->disp;
    if (i->addrsize == 4 && t->bits == 64 && i->base < 16 && i->base != RSP)
        t->gpr[i->base] = (uint32_t)t->gpr[i->base] | int_random(r) << 32;
    return true;
}

/* BT and friends reach as far as their bit offset says. */
static bool place_bit_offset(struct int_case *t, struct int_random *r)
{
    struct insn *i = &t->insn;
    bool bit_test = i->op == OP_BT || i->op == OP_BTS || i->op == OP_BTR || i->op == OP_BTC;
    if (!bit_test || !i->mem || insn_row(i)->operands[1].kind != KIND_G)
        return true;
    if (i->reg == i->base || i->reg == i->index)
        return false;
    uint64_t offset = int_random(r) % 4096 - 2048;
    t->gpr[i->reg] = i->opsize == 8 ? offset
                                    : (offset & mask_bytes(i->opsize)) |
                                          (t->gpr[i->reg] & ~mask_bytes(i->opsize));
    return true;
}

static void place_strings(struct int_case *t, struct int_random *r)
{
    struct insn *i = &t->insn;
    if (!(insn_row(i)->attrs & ATTR_REP))
        return;
    uint64_t garbage = i->addrsize == 4 && t->bits == 64 ? int_random(r) << 32 : 0;
    t->gpr[RSI] = (SCRATCH + 3072 + int_random(r) % 2048) | garbage;
    t->gpr[RDI] = (one_in(r, 3) ? t->gpr[RSI] + int_random(r) % 64 - 32
                                : SCRATCH + 3072 + int_random(r) % 2048) |
                  garbage;
    t->gpr[RCX] = (int_random(r) % (one_in(r, 8) ? 128 : 12)) | garbage;
}

static bool place_stack(struct int_case *t, struct int_random *r)
{
    struct insn *i = &t->insn;
    if (!is_stack_operation(i->op))
        return true;
    if (i->mem && (i->base == RSP || i->index == RBP))
        return i->op != OP_CALL_IND && i->index != RBP;
    t->gpr[RSP] = SCRATCH + 4096 + int_random(r) % 512;
    if (i->base != RBP)
        t->gpr[RBP] = SCRATCH + 2048 + int_random(r) % 1024;
    return true;
}

/* Targets are BRANCH_BYTES behind the instruction. */
static bool place_target(struct int_case *t, uint64_t at)
{
    struct insn *i = &t->insn;
    uint64_t target = code_address(t) + i->length + BRANCH_BYTES;
    unsigned rel = i->op == OP_JMP || i->op == OP_CALL || i->op == OP_JCC
                       ? insn_size_bytes(i, (enum operand_size)insn_row(i)->operands[0].size)
                       : 1;
    if (i->op == OP_RET) {
        store_le(t->scratch + (t->gpr[RSP] - SCRATCH), target, 8);
    } else if (i->op == OP_JMP_IND || i->op == OP_CALL_IND) {
        if (i->mem)
            store_le(t->scratch + (at - SCRATCH), target, 8);
        else if (i->rm == RSP)
            return false;
        else
            t->gpr[i->rm] = target;
    } else {
        store_le(t->bytes + i->length - rel, BRANCH_BYTES, rel);
        i->imm = BRANCH_BYTES;
    }
    return true;
}

static bool place_special(struct int_case *t, struct int_random *r, uint64_t at)
{
    struct insn *i = &t->insn;
    switch (i->op) {
    case OP_XLAT:
        if (i->addrsize == 2)
            return false;
        t->gpr[RBX] = at - (uint8_t)t->gpr[RAX];
        return true;
    case OP_DIV:
    case OP_IDIV:
        if (one_in(r, 2)) /* most random quotients overflow */
            t->gpr[RDX] = int_random(r) & (one_in(r, 2) ? 15 : 0);
        return true;
    case OP_MOV: /* moffs */
        if (insn_row(i)->operands[0].kind == KIND_O ||
            insn_row(i)->operands[1].kind == KIND_O) {
            if (i->addrsize == 2)
                return false;
            store_le(t->bytes + i->length - i->addrsize, at, i->addrsize);
        }
        return true;
    case OP_ENTER: /* the new top of stack must be writable too */
        t->bytes[t->length - 2] &= 1;
        return true;
    case OP_MOVDIR64B:
        t->gpr[i->reg] = SCRATCH + 4096;
        return i->addrsize != 2 && i->reg != i->base && i->reg != i->index;
    default:
        return !((insn_row(i)->attrs & ATTR_REP) && i->addrsize == 2);
    }
}

static void random_state(struct int_case *t, struct int_random *r)
{
    for (unsigned k = 0; k < 16; k++)
        t->gpr[k] = random_value(r);
    t->rflags = (int_random(r) & FLAGS_ARITH) | FLAG_FIXED | (one_in(r, 4) ? FLAG_DF : 0);
    for (unsigned k = 0; k < SCRATCH_BYTES - 4096; k += 8)
        store_le(t->scratch + k, int_random(r), 8);
    for (unsigned k = 0; k < 64; k++) /* equal runs for CMPS and SCAS, odd values */
        store_le(t->scratch + 3072 + 8 * (int_random(r) % 256), random_value(r), 8);
}

static void limit_to_32_bits(struct int_case *t)
{
    if (t->bits == 64)
        return;
    for (unsigned k = 0; k < 16; k++)
        t->gpr[k] = k < 8 ? (uint32_t)t->gpr[k] : 0;
}

bool int_case_make(struct int_case *t, struct int_random *r, unsigned row, unsigned opcode,
                   unsigned bits)
{
    const struct optab_row *wanted_row = &optab_rows[row];
    t->length = 0;
    t->bits = bits;
    put_opcode(t, r, wanted_row, opcode);
    put_tail(t, r, wanted_row);
    if (decode_insn(&t->insn, t->bytes, 15, bits) != DECODE_OK || t->insn.row != row)
        return false;
    t->length = t->insn.length;
    random_state(t, r);
    limit_to_32_bits(t);
    uint64_t at = scratch_address(r);
    place_strings(t, r);
    if (!place_special(t, r, at) || (t->insn.mem && !place_memory(t, r, at)) ||
        !place_bit_offset(t, r) || !place_stack(t, r))
        return false;
    if (is_branch(&t->insn) && !place_target(t, at))
        return false;
    limit_to_32_bits(t);
    if (is_stack_operation(t->insn.op) && t->gpr[RSP] - SCRATCH >= SCRATCH_BYTES - 4096)
        return false;
    return decode_insn(&t->insn, t->bytes, t->length, bits) == DECODE_OK && t->insn.row == row;
}
