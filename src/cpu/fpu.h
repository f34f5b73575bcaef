/* SPDX-License-Identifier: MIT */
/* fpu.h - x87, SSE, AVX and AVX-512 registers of a vCPU by number (interp/fpu.c). */
#ifndef CPU_FPU_H
#define CPU_FPU_H

#include "cpu/state.h"

/* WEIR_FCW..WEIR_MXCSR, ST0-7, ZMM0-31, K0-7: 0 or -WEIR_EINVAL. Unsupported parts read as 0.
 */
int fpu_reg_get(const struct vcpu *c, enum weir_reg reg, union weir_value *value);
/* Reserved bits of MXCSR are refused. */
int fpu_reg_set(struct vcpu *c, enum weir_reg reg, const union weir_value *value);

#endif
