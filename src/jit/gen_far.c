/* SPDX-License-Identifier: MIT */
/*
 * gen_far.c - far jumps, calls and returns of real and virtual-8086 mode, INT and IRET of real
 * mode; 16-bit operands only, and a code segment of 64 KiB, whose limit holds for any target.
 */
#include "jit/internal.h"

#include "cpu/x86.h"

#define REST_OF_IRET (FLAG_DF | FLAG_IF | FLAG_NT | FLAG_IOPL) /* of flags not arithmetic */

static bool plain(const struct translation *t, const struct insn *i)
{
    return pinned_by_selector(t->out->mode, t->out->cs_limit) && i->opsize == 2;
}

/* CS = selector in T2, zero-extended; uses T1, changes EFLAGS. */
static void gen_load_cs(struct translation *t)
{
    struct as *a = &t->as;
    struct vcpu *c = t->c;
    as_store_n(a, rm_near(&c->seg[SEG_CS].selector), T2, 2);
    as_op_imm(a, OPC(0, 0xc1), 4, rm_reg(T2), 4, 1);
    as_store(a, rm_near(&c->seg[SEG_CS].base), T2);
    as_store(a, rm_near(&c->segc[SEG_CS].base), T2);
    as_op_imm(a, OPC(0, 0xc1) | OP_W, 4, rm_reg(T2), 28, 1);
    as_mov_imm(a, T1, pinned_key(t->out->mode, 0));
    as_op(a, OPC(0, 0x0b) | OP_W, T2, rm_reg(T1), 0);
    as_store(a, rm_near(&t->jit->pinned.key), T2);
}

/* To selector:offset, which are in tmp. */
static void gen_go(struct translation *t)
{
    struct as *a = &t->as;
    as_op(a, OPC(1, 0xb7), T2, rm_near((const uint8_t *)&t->jit->tmp + 2), 0);
    gen_load_cs(t);
    as_op(a, OPC(1, 0xb7), T2, rm_near(&t->jit->tmp), 0);
    t->flags = FLAGS_SAVED;
    gen_indirect(t);
}

/* tmp = the target. */
static void gen_target(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    flags_save_all(t);
    if (i->mem) {
        gen_address(t, i, 4, false);
        as_op(a, OPC(0, 0x8b), T2, rm_mem(T1, 0), 0);
        as_store(a, rm_near(&t->jit->tmp), T2);
    } else {
        uint32_t target = (uint32_t)i->imm2 << 16 | (uint16_t)i->imm;
        as_op_imm(a, OPC(0, 0xc7), 0, rm_near(&t->jit->tmp), target, 4);
    }
}

/* CS:IP of what follows to [T1]. */
static void gen_return_address(struct translation *t)
{
    struct as *a = &t->as;
    as_op_imm(a, OPC(0, 0xc7) | OP_66, 0, rm_mem(T1, 0), t->out->code_base + t->offset, 2);
    as_op(a, OPC(1, 0xb7), T2, rm_near(&t->c->seg[SEG_CS].selector), 0);
    as_store_n(a, rm_mem(T1, 2), T2, 2);
}

static void gen_call_far(struct translation *t, const struct insn *i)
{
    gen_target(t, i);
    gen_stack(t, -4, 4, true);
    gen_return_address(t);
    gen_move_sp(t, -4);
    gen_go(t);
}

static void gen_return_far(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    flags_save_all(t);
    gen_stack(t, 0, 4, false);
    as_op(a, OPC(0, 0x8b), T2, rm_mem(T1, 0), 0);
    as_store(a, rm_near(&t->jit->tmp), T2);
    gen_move_sp(t, 4 + (i->opcode == 0xca ? (uint16_t)i->imm : 0));
    gen_go(t);
}

/* C does it if something waits that IF may let in, and if TF is set. */
static void gen_iret(struct translation *t)
{
    struct as *a = &t->as;
    struct jit *jit = t->jit;
    uint32_t *rest = &t->c->rflags_rest;
    gen_stack(t, 0, 6, false);
    as_op_imm(a, OPC(0, 0x83), 7, rm_near(&t->c->attention), 0, 1);
    gen_bail(t, CC_NE);
    as_op_imm(a, OPC(0, 0xf7) | OP_66, 0, rm_mem(T1, 4), FLAG_TF, 2);
    gen_bail(t, CC_NE);
    as_op(a, OPC(1, 0xb7), T2, rm_mem(T1, 4), 0);
    as_store_n(a, rm_near((const uint8_t *)&jit->flags_ax + 1), T2, 1);
    as_op_imm(a, OPC(0, 0x81), 4, rm_near(rest), ~(uint32_t)REST_OF_IRET, 4);
    as_op_imm(a, OPC(0, 0x81), 4, rm_reg(T2), REST_OF_IRET, 4);
    as_op(a, OPC(0, 0x09), T2, rm_near(rest), 0);
    as_op(a, OPC(1, 0xb6), T2, rm_mem(T1, 5), 0);
    as_op_imm(a, OPC(0, 0xc1), 5, rm_reg(T2), 3, 1);
    as_op_imm(a, OPC(0, 0x83), 4, rm_reg(T2), 1, 1); /* OF */
    as_store_n(a, rm_near(&jit->flags_ax), T2, 1);
    as_op_imm(a, OPC(0, 0xc6), 0, rm_near(&t->c->nmi_blocked), 0, 1);
    as_op(a, OPC(0, 0x8b), T2, rm_mem(T1, 0), 0);
    as_store(a, rm_near(&jit->tmp), T2);
    gen_move_sp(t, 6);
    gen_go(t);
}

static void gen_int(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    struct vcpu *c = t->c;
    unsigned at = (i->imm & 0xff) * 4u;
    flags_save_all(t);
    as_op_imm(a, OPC(0, 0x81) | OP_66, 7, rm_near(&c->idtr.limit), at + 3, 2);
    gen_bail(t, CC_B);
    as_op_imm(a, OPC(0, 0xf7), 0, rm_near(&c->rflags_rest), FLAG_AC, 4); /* another mode */
    gen_bail(t, CC_NE);
    as_load32(a, T1, rm_near(&c->idtr.base));
    as_lea32(a, T1, rm_mem(T1, (int32_t)at));
    gen_check_linear(t, 4, false);
    as_op(a, OPC(0, 0x8b), T2, rm_mem(T1, 0), 0);
    as_store(a, rm_near(&t->jit->tmp), T2);
    gen_stack(t, -6, 6, true);
    gen_flags_image(t);
    as_store_n(a, rm_mem(T1, 4), T2, 2);
    gen_return_address(t);
    gen_move_sp(t, -6);
    as_op_imm(a, OPC(0, 0x81), 4, rm_near(&c->rflags_rest),
              ~(uint32_t)(FLAG_IF | FLAG_TF | FLAG_RF | FLAG_AC), 4);
    gen_go(t);
}

bool gen_far(struct translation *t, const struct insn *i, bool *ended)
{
    if (!plain(t, i))
        return false;
    bool real = !(t->out->mode & MODE_PE);
    switch (i->op) {
    case OP_JMPF:
    case OP_JMPF_IND:
        gen_target(t, i);
        gen_go(t);
        return *ended = true;
    case OP_CALLF:
    case OP_CALLF_IND:
        gen_call_far(t, i);
        return *ended = true;
    case OP_RETF:
        gen_return_far(t, i);
        return *ended = true;
    case OP_IRET:
        if (real)
            gen_iret(t);
        return *ended = real;
    case OP_INT:
        if (real)
            gen_int(t, i);
        return *ended = real;
    default:
        return false;
    }
}
