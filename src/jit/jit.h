/* SPDX-License-Identifier: MIT */
/*
 * jit.h - the translator: runs a vCPU by translating its blocks to host code.
 *
 * It sits on the interpreter's blocks (cpu/interp/blocks.h): those decode, track code pages and
 * drop what was overwritten; a block that has been interpreted a few times gets a translation.
 * What has no fast form calls the interpreter's function from translated code; whole situations
 * that are rare (single-stepping, breakpoints, non-flat segments) are interpreted.
 *
 * All memory is near the vCPU (within 2 GiB), so that code reaches its state RIP-relative.
 */
#ifndef JIT_JIT_H
#define JIT_JIT_H

#include "base/err.h"
#include "cpu/cpu.h"

#define JIT_CODE_BYTES_DEFAULT (64u << 20)
#define JIT_CODE_BYTES_MIN     (1u << 20)

/* code_bytes: size of the code cache. Failure leaves the vCPU to the interpreter. */
int jit_init(struct vcpu *c, size_t code_bytes, struct err *err);
void jit_fini(struct vcpu *c);
/* As interp_run. */
enum weir_stop jit_run(struct vcpu *c);

#endif
