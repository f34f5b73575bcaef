/* SPDX-License-Identifier: MIT */
/*
 * gen_x87.c - x87 instructions: the same instruction on the guest's x87 state, which is in the
 * host's registers meanwhile (x64/fpu.c). Only while all exceptions are masked; what would
 * unmask one, and what moves the whole state, is the interpreter's.
 */
#include "jit/internal.h"

static bool is_control(unsigned op)
{
    return op == OP_FLDCW || op == OP_FNSTCW || op == OP_FNSTSW || op == OP_FWAIT;
}

bool is_x87(const struct translation *t, const struct insn *i)
{
    if (insn_row(i)->state != STATE_X87)
        return false;
    struct insn bound = *i;
    insn_bind(t->c, &bound);
    if (bound.op != i->op)
        return false;
    if (is_control(i->op))
        return true;
    return op_table[i->op].class == CLASS_HOST && (!i->mem || i->mem_bytes);
}

static bool writes_memory(const struct insn *i)
{
    int k = insn_mem_operand(i);
    return k >= 0 && insn_row(i)->operands[k].access & ACCESS_MODE_W;
}

bool gen_x87(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    if (!t->x87 || !is_x87(t, i))
        return false;
    unsigned bytes =
        i->op == OP_FLDCW || i->op == OP_FNSTCW || i->op == OP_FNSTSW ? 2 : i->mem_bytes;
    if (i->op == OP_FWAIT) /* nothing is ever pending */
        return true;
    if (i->mem)
        gen_address(t, i, bytes, writes_memory(i));
    if (i->op == OP_FLDCW) {
        flags_preserve(t);
        as_op(a, OPC(1, 0xb7), T2, rm_mem(T1, 0), 0);
        as_op_imm(a, OPC(0, 0x81), 6, rm_reg(T2), 0x3f, 4);
        as_op_imm(a, OPC(0, 0xf7), 0, rm_reg(T2), 0x3f, 4);
        gen_bail(t, CC_NE);
    }
    flags_before(t);
    if (i->mem) {
        as_op(a, OPC(0, i->opcode), i->modrm >> 3 & 7u, rm_mem(T1, 0), 0);
    } else {
        as8(a, i->opcode);
        as8(a, i->modrm);
    }
    flags_after(t);
    return true;
}
