/* SPDX-License-Identifier: MIT */
/* regs.h - what regs.c and context.c share: checks of register values, and loading them. */
#ifndef API_REGS_H
#define API_REGS_H

#include "api/api.h"

/* -WEIR_ESTATE with a text if another thread runs the vCPU. */
int regs_access(struct vcpu *c);
/* Whether a segment register (WEIR_ES...WEIR_IDTR) may hold this. */
bool regs_segment_ok(enum weir_reg reg, const struct weir_segment *s);
void regs_segment_get(const struct vcpu *c, enum weir_reg reg, struct weir_segment *s);
void regs_segment_load(struct vcpu *c, enum weir_reg reg, const struct weir_segment *s);
/* CPL with these control registers. */
bool regs_cpl_ok(uint64_t cr0, uint64_t rflags, uint64_t cpl);
uint64_t regs_tpr(struct vcpu *c);
void regs_tpr_set(struct vcpu *c, uint64_t tpr);
uint32_t regs_interruptibility(const struct vcpu *c);
bool regs_interruptibility_ok(uint64_t value);
void regs_interruptibility_set(struct vcpu *c, uint64_t value);
bool regs_pending_debug_ok(uint64_t value);
void regs_pending_debug_set(struct vcpu *c, uint64_t value);
void regs_inject(struct vcpu *c, const struct weir_injection *i);
/* LMA follows from the others. */
static inline uint64_t regs_efer(uint64_t cr0, uint64_t efer)
{
    uint64_t lma = (cr0 & CR0_PG) && (efer & EFER_LME) ? EFER_LMA : 0;
    return (efer & ~(uint64_t)EFER_LMA) | lma;
}

#endif
