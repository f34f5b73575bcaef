/* SPDX-License-Identifier: MIT */
/* trace.h - "-d in_asm": the guest code of a block as text. */
#ifndef DEBUG_TRACE_H
#define DEBUG_TRACE_H

#include "cpu/state.h"

/* For vcpu.trace_block. */
void trace_block(struct vcpu *c, uint64_t linear, const struct insn *insns, unsigned count);

#endif
