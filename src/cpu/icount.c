/* SPDX-License-Identifier: MIT */
/* icount.c - see icount.h. */
#include "cpu/icount.h"
#include "cpu/interp/blocks.h"

uint64_t icount_now_ns(const struct vcpu *c)
{
    return c->icount_base_ns + (blocks_position(c) << c->icount_shift);
}

uint64_t icount_at(const struct vcpu *c, uint64_t ns)
{
    if (ns == CLOCK_NEVER)
        return UINT64_MAX;
    uint64_t since = ns > c->icount_base_ns ? ns - c->icount_base_ns : 0;
    uint64_t unit = 1ull << c->icount_shift;
    return since / unit + (since % unit != 0);
}

void icount_outside(struct vcpu *c)
{
    clock_set(c->clock, icount_now_ns(c));
    c->insn_limit = 0;
    blocks_leave(c);
}
