/* SPDX-License-Identifier: MIT */
/* int_case.h - one random instruction with the registers and memory it runs on. */
#ifndef TESTS_DIFF_INT_CASE_H
#define TESTS_DIFF_INT_CASE_H

#include "bare_cpu.h"
#include "rows.h"

/* Where host_cpu.c puts code, so that pushed return addresses agree. */
#define HOST_CODE 0x21000000u
/* In 32-bit mode the instruction stands behind the far jump into that mode. */
#define HOST_CODE32  (HOST_CODE + 7u)
#define BRANCH_BYTES 2u /* a taken branch goes this far behind the instruction */

struct int_case {
    struct insn insn; /* bytes points into this case */
    uint8_t bytes[16];
    unsigned length, bits;
    unsigned modrm_at;
    uint64_t gpr[16];
    uint64_t rflags;
    uint8_t *scratch; /* SCRATCH_BYTES - 4096: memory to begin with */
};

struct int_random {
    uint64_t state;
};
uint64_t int_random(struct int_random *r);

static inline uint64_t code_address(const struct int_case *t)
{
    return t->bits == 64 ? HOST_CODE : HOST_CODE32;
}
static inline bool is_branch(const struct insn *i)
{
    return is_branch_op(i->op);
}

/* A case of this row and opcode; false if this try did not lead to one. */
bool int_case_make(struct int_case *t, struct int_random *r, unsigned row, unsigned opcode,
                   unsigned bits);

#endif
