/* SPDX-License-Identifier: MIT */
/*
 * ops.h - the functions that execute operations, one per line of decode/ops.def:
 * `enum weir_stop op_<name>(struct vcpu *c, const struct insn *i)`. All HOST operations share
 * op_host. When one runs, rip already points behind the instruction.
 */
#ifndef CPU_INTERP_OPS_H
#define CPU_INTERP_OPS_H

#include "cpu/decode/insn.h"

#define OPS_DECLARE_INT(name) insn_fn op_##name;
#define OPS_DECLARE_SYS(name) insn_fn op_##name;
#define OPS_DECLARE_FPU(name) insn_fn op_##name;
#define OPS_DECLARE_HOST(name)
#define OP(NAME, name, CLASS, ...) OPS_DECLARE_##CLASS(name)
#include "cpu/decode/ops.def"
#undef OP
#undef OPS_DECLARE_INT
#undef OPS_DECLARE_SYS
#undef OPS_DECLARE_FPU
#undef OPS_DECLARE_HOST

insn_fn op_host;

/* bind.c */
/* The function of an operation; op_ud for OP_INVALID. Takes a decoded insn as it is. */
insn_fn *op_function(unsigned op);
/* Sets i->exec for this vCPU's model and mode; may rearrange the operands of the insn, which is
 * then only good for being executed. What the model or mode lacks becomes #UD. */
void insn_bind(const struct vcpu *c, struct insn *i);

#endif
