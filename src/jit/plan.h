/* SPDX-License-Identifier: MIT */
/*
 * plan.h - what the translator decided for one block, action by action, for people: recorded
 * only while somebody looks (-d op, -d out_asm, `weir disas --stage`).
 */
#ifndef JIT_PLAN_H
#define JIT_PLAN_H

#include <weir/device.h>
#include "base/bits.h"

enum plan_kind {
    PLAN_INSN,    /* an instruction begins; value: flags needed there (LAHF's bits, OF at 3) */
    PLAN_ENTRY,   /* the block begins; value: flags it takes over */
    PLAN_FPU,     /* registers must be loaded; value: enum fpu_level, 4: x87 */
    PLAN_COUNT,   /* instructions are counted; value: how many */
    PLAN_SAVE,    /* flags go to memory */
    PLAN_DROP,    /* flags are given up */
    PLAN_RESTORE, /* flags come from memory */
    PLAN_SLOT,    /* memory operand by a page slot of its own; value: PLAN_ACCESS */
    PLAN_PAGE,    /* memory operand by page number; value: PLAN_ACCESS */
    PLAN_GROUP,   /* memory operand that a leader checked; value: PLAN_ACCESS */
    PLAN_WINDOW,  /* memory operand by a window; value: PLAN_ACCESS */
    PLAN_BAIL,    /* the interpreter does it if a condition holds; value: the condition */
    PLAN_COPY,    /* the instruction itself, operands renamed */
    PLAN_MAKE,    /* other instructions that do the same */
    PLAN_CALL,    /* the interpreter does it */
    PLAN_LINK,    /* jump inside the page; value: offset from code_base */
    PLAN_SLOTS,   /* jump by the jump slots */
    PLAN_COLD,    /* slow paths begin */
};
#define PLAN_ACCESS(number, bytes, write)                                                      \
    ((int64_t)(number) << 16 | (int64_t)(write) << 8 | (int64_t)(bytes))

struct action {
    uint8_t kind;
    uint8_t at;    /* the instruction */
    uint32_t code; /* where its host code begins, from the block's start */
    int64_t value;
};

#define PLAN_MAX 1024u
struct plan {
    unsigned count;
    struct action actions[PLAN_MAX]; /* what does not fit is left out */
};

struct translation;
struct insn;

void plan_add(struct translation *t, enum plan_kind kind, int64_t value);
/* The block as lines of text; linear: of its start. */
void plan_text(const struct translation *t, uint64_t linear, struct weir_text *out);
/* One instruction that is not translated. */
void plan_interpreted(const struct insn *i, uint64_t linear, struct weir_text *out);
/* Linear address where an instruction begins. */
uint64_t plan_address(const struct translation *t, uint64_t linear, unsigned at);

#endif
