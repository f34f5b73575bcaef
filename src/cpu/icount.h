/* SPDX-License-Identifier: MIT */
/*
 * icount.h - deterministic time (-icount): virtual time is the number of executed instructions
 * shifted left, plus the idle time that HLT skipped. The dispatch loop (run/dispatch.c) fires
 * timers at exact instruction counts.
 *
 * What an engine owes it, so that every engine gives the same run:
 *  - it stops exactly at insn_limit, and fetches nothing behind it;
 *  - whenever the vCPU reaches outside itself (device, port, interrupt controller), cpu_outside is
 *    called first: it brings the clock up to the instruction being executed and sets insn_limit to
 *    0; the engine then returns to the dispatch loop right behind that instruction, because a
 *    device may have raised an interrupt or armed a timer that is due before the block ends.
 */
#ifndef CPU_ICOUNT_H
#define CPU_ICOUNT_H

#include "cpu/state.h"

#define ICOUNT_SHIFT_MAX  10
#define ICOUNT_RTC_BASE_S 1704067200 /* 2024-01-01 */

/* Time of the instruction that is being executed. */
uint64_t icount_now_ns(const struct vcpu *c);
/* Instruction count at which that time has come, UINT64_MAX if never. */
uint64_t icount_at(const struct vcpu *c, uint64_t ns);
void icount_outside(struct vcpu *c);

static inline void cpu_outside(struct vcpu *c)
{
    if (UNLIKELY(c->icount))
        icount_outside(c);
}
static inline uint64_t cpu_now_ns(const struct vcpu *c)
{
    return c->icount ? icount_now_ns(c) : clock_now_ns(c->clock);
}

#endif
