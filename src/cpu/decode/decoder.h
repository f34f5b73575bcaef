/* SPDX-License-Identifier: MIT */
/*
 * decoder.h - what the files of the decoder share: the match key of table rows, the opcode
 * index and the state of one decoding.
 */
#ifndef CPU_DECODE_DECODER_H
#define CPU_DECODE_DECODER_H

#include "cpu/decode/optab.h"

enum {
    ENCODING_ONE,
    ENCODING_0F,
    ENCODING_0F38,
    ENCODING_0F3A,
    ENCODING_VEX0, /* VEX and EVEX maps stand in order: map n is ENCODING_VEX0 + n */
    ENCODING_VEX1,
    ENCODING_VEX2,
    ENCODING_VEX3,
    ENCODING_EVEX0,
    ENCODING_EVEX1,
    ENCODING_EVEX2,
    ENCODING_EVEX3,
    ENCODING_EVEX4,
    ENCODING_EVEX5,
    ENCODING_EVEX6,
    ENCODING_EVEX7,
    ENCODING_COUNT
};

/* Row number + 1 of an opcode's first row; 0 = no such opcode. The rows of one opcode follow
 * each other up to the next ATTR_START. */
extern const uint16_t optab_index[ENCODING_COUNT][256];

/*
 * The key: all that may select a row besides map and opcode. A row's condition holds the wanted
 * value in bits 0-23 and the mask of bits that count in bits 24-47, flags above.
 *
 *   15     14    13    12   11   10  8 7   5 4  3 2 1  0
 *          MODE64 BCAST REXB MOD3 | RM  | REG | L | W | PP
 */
#define KEY_PP_SHIFT     0
#define KEY_PP_MASK      3u
#define KEY_W_SHIFT      2
#define KEY_W_MASK       1u
#define KEY_L_SHIFT      3
#define KEY_L_MASK       3u
#define KEY_REG_SHIFT    5
#define KEY_REG_MASK     7u
#define KEY_RM_SHIFT     8
#define KEY_RM_MASK      7u
#define KEY_MOD3_SHIFT   11
#define KEY_MOD3_MASK    1u
#define KEY_REXB_SHIFT   12
#define KEY_REXB_MASK    1u
#define KEY_BCAST_SHIFT  13
#define KEY_BCAST_MASK   1u
#define KEY_MODE64_SHIFT 14
#define KEY_MODE64_MASK  1u

#define CONDITION_MASK_SHIFT 24
#define CONDITION(value, mask, shift)                                                          \
    ((uint64_t)(value) << (shift) | (uint64_t)(mask) << ((shift) + CONDITION_MASK_SHIFT))
#define KEY_CONDITION(field, value) CONDITION(value, KEY_##field##_MASK, KEY_##field##_SHIFT)
#define ROW_SIGNED_IMM8             (1ull << 48)

/* KEY_PP, as VEX.pp encodes it */
enum { PP_NONE, PP_66, PP_F3, PP_F2 };

static inline bool row_matches(const struct optab_row *row, uint32_t key, uint32_t bad_attrs)
{
    uint32_t wanted = (uint32_t)row->condition & 0xffffff;
    uint32_t mask = (uint32_t)(row->condition >> CONDITION_MASK_SHIFT) & 0xffffff;
    return ((key ^ wanted) & mask) == 0 && !(row->attrs & bad_attrs);
}

/* Decoding in progress. Reads past the end return 0 and set `overrun`, which is looked at once,
 * at the end. */
struct decoder {
    struct insn *i;
    const struct optab_row *row;
    const uint8_t *bytes;
    unsigned pos, limit;
    uint32_t key;
    bool overrun;
    uint8_t encoding; /* ENCODING_* */
    uint8_t segment;  /* override, or REG_NONE */
    uint8_t r, x, b;  /* REX/VEX/EVEX extension bits, as 0 or 8 */
    uint8_t r2, v2;   /* EVEX.R' and V', as 0 or 16 */
    uint8_t vvvv;     /* 0-15, not inverted */
    bool rex;         /* a REX prefix is there */
};

static inline uint64_t decoder_fetch(struct decoder *d, unsigned size)
{
    uint64_t v = 0;
    if (UNLIKELY(d->limit - d->pos < size)) {
        d->overrun = true;
        d->pos = d->limit;
        return 0;
    }
    for (unsigned k = 0; k < size; k++)
        v |= (uint64_t)d->bytes[d->pos + k] << (8 * k);
    d->pos += size;
    return v;
}

static inline uint8_t decoder_byte(struct decoder *d)
{
    if (UNLIKELY(d->pos >= d->limit)) {
        d->overrun = true;
        return 0;
    }
    return d->bytes[d->pos++];
}

/* decode_vex.c: the payload behind C4, C5, 62. False: never valid. */
bool decode_vex2(struct decoder *d);
bool decode_vex3(struct decoder *d);
bool decode_evex(struct decoder *d);
/* What EVEX.aaa, z, b and L'L demand of the row; sets vector_bytes. False: #UD. */
bool decode_evex_context(struct decoder *d);

/* decode_operands.c, after the row is known: memory operand, registers, immediates. */
void decode_memory(struct decoder *d);
bool decode_registers(struct decoder *d);
void decode_immediates(struct decoder *d);

#endif
