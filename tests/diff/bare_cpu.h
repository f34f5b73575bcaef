/* SPDX-License-Identifier: MIT */
/*
 * bare_cpu.h - a vCPU without a machine for tests of single instructions: 64-bit mode, CPL 0,
 * page tables at guest-physical 0, everything enabled that the model has.
 */
#ifndef TESTS_DIFF_BARE_CPU_H
#define TESTS_DIFF_BARE_CPU_H

#include "cpu/cpu.h"
#include "cpu/decode/optab.h"

/* Guest memory of the tests: its guest addresses (linear = physical) are its host addresses, so
 * that the same registers work on both sides. The last page is not mapped on either. */
#define SCRATCH       0x30000000ull
#define SCRATCH_PAGES 3u
#define SCRATCH_BYTES (SCRATCH_PAGES * 4096u)
#define SCRATCH_END   (SCRATCH + SCRATCH_BYTES - 4096u) /* first unmapped byte */

struct vcpu *bare_cpu_new(const char *model);
void bare_cpu_free(struct vcpu *c);
void bare_cpu_mode32(struct vcpu *c); /* flat 32-bit code at CPL 0 */
void bare_cpu_mode_real(struct vcpu *c);
unsigned bare_cpu_bits(const struct vcpu *c); /* 16, 32, 64 */
/* Decodes one instruction and runs its operation; rewinds RIP as the stop says. */
enum weir_stop bare_cpu_run(struct vcpu *c, const uint8_t *bytes, unsigned length);

#endif
