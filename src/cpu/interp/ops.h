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
/*
 * Makes an insn part of threaded code: sets i->exec for this vCPU's model and mode (what they
 * lack becomes #UD) and may rearrange its operands, so that it is only good for being executed.
 * Such an exec function runs its instruction and goes on to i[1] by itself, until one of them
 * stops with something else than STOP_NEXT; c->stopped_at is that one. rip must already be
 * behind `i`.
 */
void insn_bind(const struct vcpu *c, struct insn *i);
/* Ends threaded code: a stop function for the insn behind the last; returns STOP_NEXT. */
insn_fn insn_end;
/* Executes one decoded instruction alone; rip is already behind it. */
enum weir_stop insn_execute(struct vcpu *c, const struct insn *i);

#endif
