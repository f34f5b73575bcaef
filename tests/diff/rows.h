/* SPDX-License-Identifier: MIT */
/* rows.h - what tests that make instructions ask rows of the decoder's table. */
#ifndef TESTS_DIFF_ROWS_H
#define TESTS_DIFF_ROWS_H

#include "cpu/decode/decoder.h"

/* The value that a field of a row's key must have, filled up with `otherwise` where any will do. */
static inline unsigned wanted(const struct optab_row *row, unsigned shift, unsigned mask,
                              unsigned otherwise)
{
    uint32_t value = (uint32_t)row->condition & 0xffffff;
    uint32_t bits = (uint32_t)(row->condition >> CONDITION_MASK_SHIFT) & 0xffffff;
    uint32_t care = bits >> shift & mask;
    return ((value >> shift) & care) | (otherwise & mask & ~care);
}
#define WANTED(row, field, otherwise)                                                          \
    wanted(row, KEY_##field##_SHIFT, KEY_##field##_MASK, (unsigned)(otherwise))

/* Near branches. */
static inline bool is_branch_op(unsigned op)
{
    switch (op) {
    case OP_JCC:
    case OP_LOOP:
    case OP_LOOPE:
    case OP_LOOPNE:
    case OP_JCXZ:
    case OP_JMP:
    case OP_JMP_IND:
    case OP_CALL:
    case OP_CALL_IND:
    case OP_RET:
        return true;
    default:
        return false;
    }
}

#endif
