/* SPDX-License-Identifier: MIT */
/*
 * decode_operands.c - the memory operand (SDM Vol. 2 2.1.3, 2.1.5, 2.2.1), register numbers and
 * immediates of an instruction whose row is known.
 */
#include "cpu/decode/decoder.h"
#include "cpu/x86.h"

/* ---- memory ---- */

/* disp8*N: how much a byte displacement is shifted left (EVEX, SDM 2.7.5). */
static unsigned disp8_shift(const struct decoder *d)
{
    const struct insn *i = d->i;
    unsigned n;
    if (!(i->prefixes & PFX_EVEX))
        return 0;
    if (d->row->attrs & ATTR_DISP_ELEMENT)
        n = d->row->element;
    else
        n = i->mem_bytes;
    return n > 1 ? (unsigned)__builtin_ctz(n) : 0;
}

static void fetch_disp(struct decoder *d, unsigned bytes)
{
    uint64_t raw = decoder_fetch(d, bytes);
    d->i->disp = (int32_t)sign_extend(raw, 8 * bytes);
    if (bytes == 1)
        d->i->disp = (int32_t)((uint32_t)d->i->disp << disp8_shift(d));
}

static void decode_memory_16(struct decoder *d)
{
    static const uint8_t bases[8] = {RBX, RBX, RBP, RBP, RSI, RDI, RBP, RBX};
    static const uint8_t indexes[4] = {RSI, RDI, RSI, RDI};
    struct insn *i = d->i;
    unsigned mod = i->modrm >> 6, rm = i->modrm & 7;
    if (mod == 0 && rm == 6) {
        fetch_disp(d, 2);
        return;
    }
    i->base = bases[rm];
    if (rm < 4)
        i->index = indexes[rm];
    if (mod)
        fetch_disp(d, mod);
}

/* Returns false if the base is disp32 alone. */
static bool decode_sib(struct decoder *d)
{
    struct insn *i = d->i;
    uint8_t sib = decoder_byte(d), index = (sib >> 3 & 7) | d->x;
    bool vsib = d->row->operands[0].kind == KIND_VSIB || d->row->operands[1].kind == KIND_VSIB;
    i->scale = sib >> 6;
    if (vsib)
        i->index = index | d->v2;
    else if (index != RSP)
        i->index = index;
    if ((sib & 7) == RBP && i->modrm < 0x40)
        return false;
    i->base = (sib & 7) | d->b;
    return true;
}

static void decode_memory_32(struct decoder *d)
{
    struct insn *i = d->i;
    unsigned mod = i->modrm >> 6, rm = i->modrm & 7;
    if (rm == RSP) {
        if (!decode_sib(d)) {
            fetch_disp(d, 4);
            return;
        }
    } else if (mod == 0 && rm == RBP) {
        if (i->code_bits == 64)
            i->base = REG_RIP;
        fetch_disp(d, 4);
        return;
    } else {
        i->base = (uint8_t)rm | d->b;
    }
    if (mod)
        fetch_disp(d, mod == 1 ? 1 : 4);
}

static unsigned memory_bytes(const struct decoder *d)
{
    const struct operand_form *f = d->row->operands;
    if ((d->i->evex & 0x10) && (d->row->attrs & ATTR_BROADCAST))
        return d->row->element;
    for (unsigned k = 0; k < 4; k++)
        switch (f[k].kind) {
        case KIND_E:
        case KIND_M:
        case KIND_Q:
        case KIND_W:
        case KIND_KE:
            return insn_size_bytes(d->i, f[k].size);
        case KIND_VSIB:
            return d->row->element;
        }
    return 0;
}

void decode_memory(struct decoder *d)
{
    struct insn *i = d->i;
    unsigned bytes = memory_bytes(d);
    i->mem_bytes = (uint8_t)(bytes > 0xff ? 0 : bytes);
    if (i->addrsize == 2)
        decode_memory_16(d);
    else
        decode_memory_32(d);
    bool stack = i->base == RSP || i->base == RBP;
    i->seg = d->segment != REG_NONE ? d->segment : stack ? SEG_SS : SEG_DS;
}

/* ---- registers ---- */

/* AH, CH, DH, BH without REX; SPL, BPL, SIL, DIL with it. */
static uint8_t byte_register(const struct decoder *d, uint8_t n, unsigned size)
{
    return size == SIZE_B && !d->rex && n >= 4 && n < 8 ? n + 12 : n;
}

static bool control_register(struct decoder *d, unsigned kind)
{
    struct insn *i = d->i;
    i->reg = (i->modrm >> 3 & 7) | d->r;
    if (kind == KIND_D)
        return i->reg < 8;
    return i->reg == 0 || i->reg == 2 || i->reg == 3 || i->reg == 4 || i->reg == 8;
}

/* Operands in modrm.reg. */
static bool place_reg(struct decoder *d, const struct operand_form *f)
{
    struct insn *i = d->i;
    uint8_t n = i->modrm >> 3 & 7;
    switch (f->kind) {
    case KIND_G:
        i->reg = byte_register(d, n | d->r, f->size);
        return d->r2 == 0;
    case KIND_V:
        i->reg = n | d->r | d->r2;
        return true;
    case KIND_KG:
        i->reg = n;
        return (d->r | d->r2) == 0;
    case KIND_S:
        i->reg = n;
        return n <= SEG_GS && !(n == SEG_CS && (f->access & ACCESS_MODE_W));
    case KIND_C:
    case KIND_D:
        return control_register(d, f->kind);
    default: /* KIND_P */
        i->reg = n;
        return true;
    }
}

/* Register operands in modrm.rm. */
static void place_rm(struct decoder *d, const struct operand_form *f)
{
    struct insn *i = d->i;
    uint8_t n = i->modrm & 7;
    if (i->mem)
        return;
    if (f->kind == KIND_E || f->kind == KIND_R)
        i->rm = byte_register(d, n | d->b, f->size);
    else if (f->kind == KIND_U || f->kind == KIND_W)
        i->rm = n | d->b | (uint8_t)(i->prefixes & PFX_EVEX ? d->x << 1 : 0);
    else
        i->rm = n; /* MMX, mask, x87 */
}

/* Outside 64-bit mode there are eight registers, and the bit above is ignored. */
static unsigned vvvv_register(const struct decoder *d)
{
    return d->i->code_bits == 64 ? d->vvvv | d->v2 : d->vvvv & 7u;
}

/* VSIB needs a SIB byte; gathers also distinct registers. */
static bool check_vsib(const struct decoder *d)
{
    const struct insn *i = d->i;
    if ((i->modrm & 7) != RSP || i->addrsize == 2 || (i->code_bits != 64 && d->v2))
        return false;
    if (!(d->row->attrs & ATTR_DISTINCT))
        return true;
    if (i->prefixes & PFX_EVEX)
        return i->reg != i->index;
    unsigned mask = vvvv_register(d);
    return i->reg != i->index && i->reg != mask && i->index != mask;
}

/* One operand; sets *vvvv_used. */
static bool place_operand(struct decoder *d, const struct operand_form *f, bool *vvvv_used)
{
    struct insn *i = d->i;
    switch (f->kind) {
    case KIND_G:
    case KIND_V:
    case KIND_KG:
    case KIND_S:
    case KIND_C:
    case KIND_D:
    case KIND_P:
        return place_reg(d, f);
    case KIND_E:
    case KIND_R:
    case KIND_U:
    case KIND_W:
    case KIND_N:
    case KIND_Q:
    case KIND_KE:
    case KIND_KR:
    case KIND_STI:
        place_rm(d, f);
        return true;
    case KIND_Z:
        i->reg = byte_register(d, (i->opcode & 7) | d->b, f->size);
        return true;
    case KIND_H:
        *vvvv_used = true;
        i->vvvv = (uint8_t)vvvv_register(d);
        return i->code_bits == 64 || d->v2 == 0;
    case KIND_B:
    case KIND_KH:
        *vvvv_used = true;
        i->vvvv = (uint8_t)vvvv_register(d);
        return d->v2 == 0 && !(f->kind == KIND_KH && i->vvvv > 7);
    case KIND_VSIB:
        return check_vsib(d);
    default:
        return true;
    }
}

bool decode_registers(struct decoder *d)
{
    bool vvvv_used = false, vsib = false;
    struct insn *i = d->i;
    if (!i->mem)
        i->seg = d->segment != REG_NONE ? d->segment : SEG_DS; /* string and moffs operands */
    for (unsigned k = 0; k < 4 && d->row->operands[k].kind != KIND_NONE; k++) {
        if (!place_operand(d, &d->row->operands[k], &vvvv_used))
            return false;
        vsib |= d->row->operands[k].kind == KIND_VSIB;
    }
    if (d->encoding < ENCODING_VEX0)
        return true;
    if (!vvvv_used && (d->vvvv || (d->v2 && !vsib)))
        return false;
    if (!(d->row->attrs & ATTR_DEST_DISTINCT))
        return true;
    return !(vvvv_used && i->reg == i->vvvv) && (i->mem || i->reg != i->rm);
}

/* ---- immediates ---- */

static void decode_immediate(struct decoder *d, const struct operand_form *f)
{
    struct insn *i = d->i;
    unsigned bytes = insn_size_bytes(i, f->size);
    i->imm = decoder_fetch(d, bytes);
    if (d->row->condition & ROW_SIGNED_IMM8 || (f->size == SIZE_Z && i->opsize == 8))
        i->imm = (uint64_t)sign_extend(i->imm, 8 * bytes);
}

void decode_immediates(struct decoder *d)
{
    struct insn *i = d->i;
    for (unsigned k = 0; k < 4; k++) {
        const struct operand_form *f = &d->row->operands[k];
        switch (f->kind) {
        case KIND_NONE:
            return;
        case KIND_I:
            decode_immediate(d, f);
            break;
        case KIND_I2:
            i->imm2 = decoder_byte(d);
            break;
        case KIND_L:
            i->imm = decoder_byte(d);
            break;
        case KIND_J: {
            unsigned bytes = insn_size_bytes(i, f->size);
            i->imm = (uint64_t)sign_extend(decoder_fetch(d, bytes), 8 * bytes);
            break;
        }
        case KIND_O:
            i->imm = decoder_fetch(d, i->addrsize);
            i->mem_bytes = (uint8_t)insn_size_bytes(i, f->size);
            break;
        case KIND_A:
            i->imm = decoder_fetch(d, i->opsize);
            i->imm2 = (uint16_t)decoder_fetch(d, 2);
            break;
        }
    }
}
