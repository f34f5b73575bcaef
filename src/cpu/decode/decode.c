/* SPDX-License-Identifier: MIT */
/*
 * decode.c - the decoder: prefixes, opcode map, table row, then operands.
 *
 * SDM Vol. 2 chapter 2 and appendix A. Near branches in 64-bit mode ignore the 66 prefix, as
 * Intel documents (AMD truncates to 16 bits); VEX, EVEX are recognised in 16-bit code too,
 * because only the op functions know real and virtual-8086 mode.
 */
#include "cpu/decode/decoder.h"
#include "cpu/x86.h"

/* ---- prefixes ---- */

static void segment_prefix(struct decoder *d, unsigned seg)
{
    /* 64-bit mode ignores ES, CS, SS, DS, and an FS or GS before them stays in force. */
    if (d->i->code_bits == 64 && seg < SEG_FS)
        return;
    d->segment = (uint8_t)seg;
    d->i->prefixes |= PFX_SEG;
}

/* One legacy prefix; false if the byte is none. */
static bool legacy_prefix(struct decoder *d, uint8_t byte)
{
    struct insn *i = d->i;
    switch (byte) {
    case 0x26:
        segment_prefix(d, SEG_ES);
        return true;
    case 0x2e:
        segment_prefix(d, SEG_CS);
        return true;
    case 0x36:
        segment_prefix(d, SEG_SS);
        return true;
    case 0x3e:
        segment_prefix(d, SEG_DS);
        return true;
    case 0x64:
        segment_prefix(d, SEG_FS);
        return true;
    case 0x65:
        segment_prefix(d, SEG_GS);
        return true;
    case 0x66:
        i->prefixes |= PFX_OPSIZE;
        return true;
    case 0x67:
        i->prefixes |= PFX_ADDR;
        return true;
    case 0xf0:
        i->prefixes |= PFX_LOCK;
        return true;
    case 0xf2:
        i->prefixes = (uint16_t)((i->prefixes & ~PFX_REP) | PFX_REPNE);
        return true;
    case 0xf3:
        i->prefixes = (uint16_t)((i->prefixes & ~PFX_REPNE) | PFX_REP);
        return true;
    default:
        return false;
    }
}

/* Prefixes; returns the first byte behind them. A REX counts only right before the opcode. */
static uint8_t decode_prefixes(struct decoder *d)
{
    struct insn *i = d->i;
    uint8_t rex = 0, byte;
    for (;;) {
        byte = decoder_byte(d);
        if (i->code_bits == 64 && (byte & 0xf0) == 0x40)
            rex = byte;
        else if (legacy_prefix(d, byte))
            rex = 0;
        else
            break;
    }
    if (rex) {
        d->rex = true;
        d->r = (rex & 4) << 1;
        d->x = (rex & 2) << 2;
        d->b = (rex & 1) << 3;
        i->prefixes |= PFX_REX | (rex & 8 ? PFX_REX_W : 0);
    }
    return byte;
}

/* ---- opcode maps ---- */

static void legacy_key(struct decoder *d)
{
    unsigned p = d->i->prefixes;
    unsigned pp = p & PFX_REPNE    ? PP_F2
                  : p & PFX_REP    ? PP_F3
                  : p & PFX_OPSIZE ? PP_66
                                   : PP_NONE;
    d->key |= pp | (p & PFX_REX_W ? KEY_W_MASK << KEY_W_SHIFT : 0);
    d->key |= (uint32_t)(d->b != 0) << KEY_REXB_SHIFT;
}

static bool decode_0f(struct decoder *d)
{
    struct insn *i = d->i;
    i->opcode = decoder_byte(d);
    i->map = 1;
    d->encoding = ENCODING_0F;
    if (i->opcode == 0x38 || i->opcode == 0x3a) {
        i->map = i->opcode == 0x38 ? 2 : 3;
        d->encoding = i->map == 2 ? ENCODING_0F38 : ENCODING_0F3A;
        i->opcode = decoder_byte(d);
    }
    legacy_key(d);
    return true;
}

/* C4, C5, 62 are LES, LDS, BOUND outside 64-bit mode, unless what would be their modrm
 * says register. */
static bool is_vex(const struct decoder *d)
{
    return d->i->code_bits == 64 || (d->pos < d->limit && d->bytes[d->pos] >= 0xc0);
}

/* Sets map, opcode, encoding and key from the byte behind the prefixes. */
static bool decode_opcode(struct decoder *d, uint8_t byte)
{
    if (byte == 0x0f)
        return decode_0f(d);
    if (byte == 0xc5 && is_vex(d))
        return decode_vex2(d);
    if (byte == 0xc4 && is_vex(d))
        return decode_vex3(d);
    if (byte == 0x62 && is_vex(d))
        return decode_evex(d);
    d->i->opcode = byte;
    d->encoding = ENCODING_ONE;
    legacy_key(d);
    return true;
}

/* ---- the row ---- */

#define KIND_BIT(k) (1ull << (k))
#define MODRM_KINDS                                                                            \
    (KIND_BIT(KIND_C) | KIND_BIT(KIND_D) | KIND_BIT(KIND_E) | KIND_BIT(KIND_G) |               \
     KIND_BIT(KIND_M) | KIND_BIT(KIND_N) | KIND_BIT(KIND_P) | KIND_BIT(KIND_Q) |               \
     KIND_BIT(KIND_R) | KIND_BIT(KIND_S) | KIND_BIT(KIND_U) | KIND_BIT(KIND_V) |               \
     KIND_BIT(KIND_W) | KIND_BIT(KIND_VSIB) | KIND_BIT(KIND_KG) | KIND_BIT(KIND_KE) |          \
     KIND_BIT(KIND_KR) | KIND_BIT(KIND_STI))
#define MODRM_CONDITION                                                                        \
    ((CONDITION(0, KEY_MOD3_MASK, KEY_MOD3_SHIFT) | CONDITION(0, KEY_REG_MASK, KEY_REG_SHIFT)))

/* All rows of an opcode agree on having a modrm byte, so the first one tells. */
static bool has_modrm(const struct optab_row *row)
{
    const struct operand_form *f = row->operands;
    return ((KIND_BIT(f[0].kind) | KIND_BIT(f[1].kind)) & MODRM_KINDS) ||
           (row->condition & MODRM_CONDITION);
}

static bool find_row(struct decoder *d)
{
    struct insn *i = d->i;
    unsigned index = optab_index[d->encoding][i->opcode];
    if (index == 0)
        return false;
    const struct optab_row *row = &optab_rows[index - 1];
    bool modrm = has_modrm(row);
    if (modrm) {
        i->modrm = decoder_byte(d);
        d->key |= (uint32_t)(i->modrm >> 3 & 7) << KEY_REG_SHIFT;
        d->key |= (uint32_t)(i->modrm & 7) << KEY_RM_SHIFT;
        d->key |= (uint32_t)(i->modrm >= 0xc0) << KEY_MOD3_SHIFT;
    }
    uint32_t bad_attrs = i->code_bits == 64 ? ATTR_NO64 : ATTR_ONLY64;
    while (!row_matches(row, d->key, bad_attrs))
        if ((++row)->attrs & ATTR_START)
            return false;
    d->row = row;
    i->row = (uint16_t)(row - optab_rows);
    i->op = row->op;
    i->mem = modrm && i->modrm < 0xc0 && !(row->attrs & ATTR_MOD3);
    return true;
}

/* ---- sizes ---- */

static void set_sizes(struct decoder *d)
{
    struct insn *i = d->i;
    unsigned attrs = d->row->attrs, p = i->prefixes;
    bool is64 = i->code_bits == 64, opsize16 = (i->code_bits == 16) != !!(p & PFX_OPSIZE);
    bool plain = (attrs & ATTR_NO66) || d->encoding >= ENCODING_VEX0 ||
                 d->row->state >= STATE_MMX; /* 66 is part of the opcode */
    if (is64)
        i->addrsize = p & PFX_ADDR ? 4 : 8;
    else
        i->addrsize = (i->code_bits == 16) != !!(p & PFX_ADDR) ? 2 : 4;
    if (attrs & ATTR_BYTE)
        i->opsize = 1;
    else if (is64 && (attrs & ATTR_FORCE64))
        i->opsize = 8;
    else if (is64 && (p & PFX_REX_W))
        i->opsize = attrs & ATTR_NO8 ? 4 : 8;
    else if (plain)
        i->opsize = 4;
    else if (is64 && (attrs & ATTR_DEFAULT64))
        i->opsize = opsize16 ? 2 : 8;
    else
        i->opsize = opsize16 ? 2 : 4;
}

static bool decode_rest(struct decoder *d, uint8_t byte)
{
    struct insn *i = d->i;
    if (!decode_opcode(d, byte) || !find_row(d))
        return false;
    set_sizes(d);
    if ((i->prefixes & PFX_EVEX) && !decode_evex_context(d))
        return false;
    if (i->mem)
        decode_memory(d);
    if (!decode_registers(d))
        return false;
    decode_immediates(d);
    if (!(i->prefixes & PFX_LOCK))
        return true;
    return (d->row->attrs & ATTR_LOCK) && i->mem; /* the destination is what is memory then */
}

enum decode_status decode_insn(struct insn *i, const uint8_t *bytes, unsigned available,
                               unsigned code_bits)
{
    struct decoder d = {
        .i = i,
        .bytes = bytes,
        .limit = available < INSN_MAX_BYTES ? available : INSN_MAX_BYTES,
        .segment = REG_NONE,
        .key = code_bits == 64 ? KEY_MODE64_MASK << KEY_MODE64_SHIFT : 0,
    };
    *i = (struct insn){.bytes = bytes,
                       .base = REG_NONE,
                       .index = REG_NONE,
                       .seg = SEG_DS,
                       .code_bits = (uint8_t)code_bits};
    bool valid = decode_rest(&d, decode_prefixes(&d));
    i->length = (uint8_t)d.pos;
    if (LIKELY(valid && !d.overrun))
        return DECODE_OK;
    i->op = OP_INVALID;
    if (!d.overrun)
        return DECODE_INVALID;
    return d.limit == INSN_MAX_BYTES ? DECODE_TOO_LONG : DECODE_TRUNCATED;
}
