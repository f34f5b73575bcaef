/* SPDX-License-Identifier: MIT */
/* control.h - what control.c, msr.c, task.c and the SYS operations share about control state. */
#ifndef CPU_CONTROL_H
#define CPU_CONTROL_H

#include "cpu/cpu.h"

/* Loads CR3 as MOV to CR3 does after its checks: PDPTEs, TLB. `value` without bit 63;
 * false: a PDPTE has a reserved bit set, nothing changed. */
bool cr3_load(struct vcpu *c, uint64_t value);
/* CR4 and EFER bits that the model has. */
uint64_t cr4_valid_bits(const struct vcpu *c);
/* Checks and loads; false: #GP. */
bool efer_write(struct vcpu *c, uint64_t value);
bool xcr0_write(struct vcpu *c, uint64_t value);
bool dr_write(struct vcpu *c, unsigned n, uint64_t value);
uint64_t dr_read(const struct vcpu *c, unsigned n);
/* IA32_TSC := value, now. */
void tsc_write(struct vcpu *c, uint64_t value);

#endif
