/* SPDX-License-Identifier: MIT */
/*
 * decode_vex.c - VEX (SDM Vol. 2 2.3) and EVEX (2.7) prefixes. Register extension bits are
 * stored inverted; outside 64-bit mode they have no effect, but for V', which must be set.
 */
#include "cpu/decode/decoder.h"

#define PFX_BEFORE_VEX (PFX_OPSIZE | PFX_LOCK | PFX_REPNE | PFX_REP | PFX_REX)

/* The byte with W vvvv L pp, common to the three forms (EVEX has a 1 in place of L). */
static void vex_w_vvvv_pp(struct decoder *d, uint8_t byte, bool w)
{
    struct insn *i = d->i;
    d->vvvv = ~byte >> 3 & 15;
    d->key |= (uint32_t)(byte & 3) << KEY_PP_SHIFT;
    if (w) {
        i->prefixes |= PFX_REX_W;
        d->key |= KEY_W_MASK << KEY_W_SHIFT;
    }
}

static void vex_length(struct decoder *d, unsigned l)
{
    d->key |= l << KEY_L_SHIFT;
    d->i->vector_bytes = (uint8_t)(16u << l);
}

static bool vex_opcode(struct decoder *d, unsigned map)
{
    struct insn *i = d->i;
    bool clean = !(i->prefixes & PFX_BEFORE_VEX);
    i->prefixes |= PFX_VEX;
    i->map = (uint8_t)map;
    i->opcode = decoder_byte(d);
    d->encoding = (uint8_t)(ENCODING_VEX0 + map);
    return clean && map >= 1 && map <= 3;
}

bool decode_vex2(struct decoder *d)
{
    uint8_t p = decoder_byte(d);
    if (d->i->code_bits == 64)
        d->r = (uint8_t)(~p >> 4 & 8);
    vex_w_vvvv_pp(d, p, false);
    vex_length(d, p >> 2 & 1);
    return vex_opcode(d, 1);
}

bool decode_vex3(struct decoder *d)
{
    uint8_t p0 = decoder_byte(d), p1 = decoder_byte(d);
    if (d->i->code_bits == 64) {
        d->r = (uint8_t)(~p0 >> 4 & 8);
        d->x = (uint8_t)(~p0 >> 3 & 8);
        d->b = (uint8_t)(~p0 >> 2 & 8);
    }
    vex_w_vvvv_pp(d, p1, p1 >> 7);
    vex_length(d, p1 >> 2 & 1);
    return vex_opcode(d, p0 & 31);
}

/*
 *      7 6 5 4   3   2 1 0
 * P0   R X B R'  0   m m m
 * P1   W v v v   v   1 p p
 * P2   z L'L b   V'  a a a
 */
bool decode_evex(struct decoder *d)
{
    struct insn *i = d->i;
    uint8_t p0 = decoder_byte(d), p1 = decoder_byte(d), p2 = decoder_byte(d);
    bool clean = !(i->prefixes & PFX_BEFORE_VEX), is64 = i->code_bits == 64;
    i->prefixes |= PFX_EVEX;
    if (is64) {
        d->r = (uint8_t)(~p0 >> 4 & 8);
        d->x = (uint8_t)(~p0 >> 3 & 8);
        d->b = (uint8_t)(~p0 >> 2 & 8);
        d->r2 = (uint8_t)(~p0 & 16);
    }
    d->v2 = (uint8_t)((~p2 & 8) << 1);
    vex_w_vvvv_pp(d, p1, p1 >> 7);
    i->evex = (p2 & 7) | (p2 >> 4 & 8) | (p2 & 16);
    i->map = p0 & 7;
    i->opcode = decoder_byte(d);
    d->key |= (uint32_t)(p2 >> 4 & 1) << KEY_BCAST_SHIFT;
    d->key |= (uint32_t)(p2 >> 5 & 3) << KEY_L_SHIFT;
    d->encoding = ENCODING_EVEX0 + (p0 & 7);
    return clean && !(p0 & 8) && (p1 & 4);
}

/* EVEX.b: broadcast with memory, rounding control or SAE without. */
static bool evex_b(struct decoder *d)
{
    struct insn *i = d->i;
    unsigned attrs = d->row->attrs;
    if (i->mem)
        return attrs & ATTR_BROADCAST;
    if (!(attrs & (ATTR_ROUND | ATTR_SAE)))
        return false;
    i->vector_bytes = attrs & ATTR_LIG ? 16 : 64;
    return true;
}

/* Every such row has it as the first operand. */
static bool memory_is_written(const struct optab_row *row)
{
    unsigned kind = row->operands[0].kind;
    return kind == KIND_W || kind == KIND_M || kind == KIND_VSIB;
}

bool decode_evex_context(struct decoder *d)
{
    struct insn *i = d->i;
    unsigned attrs = d->row->attrs, l = d->key >> KEY_L_SHIFT & KEY_L_MASK;
    unsigned mask = i->evex & 7;
    bool zeroing = i->evex & 8;
    i->vector_bytes = (uint8_t)(attrs & ATTR_LIG ? 16 : 16u << l);
    if (l == 3 && !((i->evex & 16) && !i->mem))
        return false;
    if ((i->evex & 16) && !evex_b(d))
        return false;
    if (mask && !(attrs & ATTR_MASK))
        return false;
    if (!mask && (attrs & ATTR_MASK_REQUIRED))
        return false;
    if (zeroing && !(mask && (attrs & ATTR_ZERO)))
        return false;
    return !(zeroing && i->mem && memory_is_written(d->row));
}
