/* SPDX-License-Identifier: MIT */
/*
 * gen_segment.c - stores of selectors; loads of segment registers in real and virtual-8086 mode,
 * where base and selector are all that changes. Limits of 64 KiB only: others (unreal mode)
 * could make the segments flat, which is another mode. SS holds off interrupts for one
 * instruction: if that follows in the block, nothing looks at interrupts in between.
 */
#include "jit/internal.h"

/* The next instruction is one that is done when control comes behind it, wherever it is done. */
static bool move_follows(const struct translation *t)
{
    const struct insn *next = &t->insns[t->at + 1];
    if (t->at + 1 == t->count)
        return false;
    return next->op == OP_MOV || next->op == OP_LEA ||
           (next->op == OP_MOV_SREG && (next->opcode == 0x8c || next->reg != SEG_SS));
}

static bool plain(const struct translation *t, unsigned seg)
{
    uint32_t mode = t->out->mode;
    bool real = !(mode & MODE_PE) || mode & MODE_VM;
    if (!real || mode & MODE_FLAT || seg > SEG_GS || seg == SEG_CS)
        return false;
    return seg != SEG_SS || move_follows(t);
}

static void check_limit(struct translation *t, unsigned seg)
{
    flags_preserve(t);
    as_op_imm(&t->as, OPC(0, 0x81), 7, rm_near(&t->c->seg[seg].limit), 0xffff, 4);
    gen_bail(t, CC_NE);
}

/* From T2, the selector zero-extended; changes EFLAGS. */
static void load(struct translation *t, unsigned seg)
{
    struct as *a = &t->as;
    struct vcpu *c = t->c;
    as_store_n(a, rm_near(&c->seg[seg].selector), T2, 2);
    as_op_imm(a, OPC(0, 0xc1), 4, rm_reg(T2), 4, 1);
    as_store(a, rm_near(&c->seg[seg].base), T2);
    as_store(a, rm_near(&c->segc[seg].base), T2);
}

/* The selector to memory; to registers: gen_int.c. */
static bool gen_store(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    if (!i->mem || i->reg > SEG_GS)
        return false;
    gen_address(t, i, 2, true);
    as_op(a, OPC(1, 0xb7), T2, rm_near(&t->c->seg[i->reg].selector), 0);
    as_store_n(a, rm_mem(T1, 0), T2, 2);
    return true;
}

static bool gen_mov(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    if (i->opcode == 0x8c)
        return gen_store(t, i);
    if (i->opcode != 0x8e || !plain(t, i->reg))
        return false;
    check_limit(t, i->reg);
    if (i->mem)
        gen_address(t, i, 2, false);
    as_op(a, OPC(1, 0xb7), T2, i->mem ? rm_mem(T1, 0) : rm_reg(host_reg(i->rm)), 0);
    load(t, i->reg);
    return true;
}

static bool gen_pop(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    unsigned seg = insn_row(i)->operands[0].fixed;
    if (!plain(t, seg))
        return false;
    check_limit(t, seg);
    gen_stack(t, 0, i->opsize, false);
    as_op(a, OPC(1, 0xb7), T2, rm_mem(T1, 0), 0);
    gen_move_sp(t, i->opsize);
    load(t, seg);
    return true;
}

/* LES, LDS, LFS, LGS */
static bool gen_far_pointer(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    unsigned seg = i->opcode == 0xc4   ? SEG_ES
                   : i->opcode == 0xc5 ? SEG_DS
                   : i->opcode == 0xb4 ? SEG_FS
                   : i->opcode == 0xb5 ? SEG_GS
                                       : SEG_SS;
    if (!plain(t, seg) || i->opsize > 4)
        return false;
    check_limit(t, seg);
    gen_address(t, i, i->opsize + 2u, false);
    as_op(a, OPC(1, 0xb7), T2, rm_mem(T1, i->opsize), 0);
    as_op(a, OPC(0, 0x8b) | (i->opsize == 2 ? OP_66 : 0), host_reg(i->reg), rm_mem(T1, 0), 0);
    load(t, seg);
    return true;
}

bool gen_segment(struct translation *t, const struct insn *i)
{
    switch (i->op) {
    case OP_MOV_SREG:
        return gen_mov(t, i);
    case OP_POP_SREG:
        return gen_pop(t, i);
    case OP_LFP:
        return gen_far_pointer(t, i);
    default:
        return false;
    }
}
