/* SPDX-License-Identifier: MIT */
/* control.h - what control.c, msr.c, task.c and the SYS operations share about control state. */
#ifndef CPU_CONTROL_H
#define CPU_CONTROL_H

#include "cpu/cpu.h"

#define CR0_VALID                                                                              \
    (CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | \
     CR0_PG)

static inline bool pae_paging(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
    return (cr0 & CR0_PG) && (cr4 & CR4_PAE) && !(efer & EFER_LME);
}

/* Loads CR3 as MOV to CR3 does after its checks: PDPTEs, TLB. `value` without bit 63;
 * false: a PDPTE has a reserved bit set, nothing changed. */
bool cr3_load(struct vcpu *c, uint64_t value);
/* CR4 and EFER bits that the model has. */
uint64_t cr4_valid_bits(const struct vcpu *c);
uint64_t efer_valid_bits(const struct vcpu *c);
bool xcr0_valid(const struct vcpu *c, uint64_t value);
/* Checks and loads; false: #GP. */
bool efer_write(struct vcpu *c, uint64_t value);
bool xcr0_write(struct vcpu *c, uint64_t value);
bool dr_write(struct vcpu *c, unsigned n, uint64_t value);
uint64_t dr_read(const struct vcpu *c, unsigned n);
/* IA32_TSC := value, now. */
void tsc_write(struct vcpu *c, uint64_t value);

#endif
