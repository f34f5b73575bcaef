/* SPDX-License-Identifier: MIT */
/*
 * gen_string.c - MOVS and STOS, alone or with REP, as the host's own instruction on a piece that
 * lies within one page on each side. Everything else (more than a page, a direction backwards,
 * segments) is the interpreter's.
 */
#include "jit/internal.h"

#include "cpu/x86.h"

/* After T1 = host address: leaves for C if count * size bytes from there leave the page. */
static void check_room(struct translation *t, unsigned shift)
{
    struct as *a = &t->as;
    as_op(a, OPC(0, 0x8b), T2, rm_reg(T1), 0);
    as_op_imm(a, OPC(0, 0x81), 4, rm_reg(T2), 0xfff, 4);
    as_lea(a, T2, rm_sib(T2, H_RCX, shift, 0));
    as_op_imm(a, OPC(0, 0x81), 7, rm_reg(T2), 4096, 4);
    gen_bail(t, CC_A);
}

static bool plain(const struct translation *t, const struct insn *i)
{
    unsigned natural = i->code_bits == 64 ? 8 : 4;
    if (i->addrsize != natural || !(t->out->mode & MODE_FLAT) || i->prefixes & PFX_REPNE)
        return false;
    return i->seg != SEG_FS && i->seg != SEG_GS && i->seg != SEG_CS;
}

static void emit_string(struct as *a, const struct insn *i, unsigned opcode)
{
    if (i->prefixes & PFX_REP)
        as8(a, 0xf3);
    if (i->opsize == 2)
        as8(a, 0x66);
    if (i->opsize == 8)
        as8(a, 0x48);
    as8(a, opcode | (i->opsize > 1));
}

static unsigned log2_of(unsigned size)
{
    return size == 8 ? 3 : size == 4 ? 2 : size == 2 ? 1 : 0;
}

/* What is the same at the start: direction, count. Returns a jump over all if the count is 0. */
static uint8_t *begin_string(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    flags_preserve(t);
    as_op_imm(a, OPC(0, 0xf7), 0, rm_near(&t->c->rflags_rest), FLAG_DF, 4);
    gen_bail(t, CC_NE);
    if (!(i->prefixes & PFX_REP))
        return NULL;
    as_op_imm(a, OPC(0, 0x81) | OP_W, 7, rm_reg(H_RCX), 4096u >> log2_of(i->opsize), 4);
    gen_bail(t, CC_A);
    as_op(a, OPC(0, 0x85) | OP_W, H_RCX, rm_reg(H_RCX), 0);
    return as_jcc(a, CC_E);
}

/* reg += what it was moved on the host from `before`. */
static void advance(struct translation *t, unsigned reg, const void *host_before,
                    const void *guest_before)
{
    struct as *a = &t->as;
    as_op(a, OPC(0, 0x2b) | OP_W, reg, rm_near(host_before), 0);
    as_op(a, OPC(0, 0x03) | (t->insns[t->at].code_bits == 64 ? OP_W : 0), reg,
          rm_near(guest_before), 0);
}

static bool gen_movs(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    struct jit *jit = t->jit;
    unsigned shift = log2_of(i->opsize);
    uint8_t *none = begin_string(t, i);
    as_store(a, rm_reg(T1), H_RSI);
    gen_check(t, i->seg, i->opsize, false);
    if (none)
        check_room(t, shift);
    as_store(a, rm_near(&jit->tmp), T1);
    as_store(a, rm_reg(T1), H_RDI);
    gen_check(t, SEG_ES, i->opsize, true);
    if (none)
        check_room(t, shift);
    as_store(a, rm_near(&jit->tmp2), T1);
    as_store(a, rm_near(&jit->save[0]), H_RSI);
    as_store(a, rm_near(&jit->save[1]), H_RDI);
    as_load(a, H_RSI, rm_near(&jit->tmp));
    as_store(a, rm_reg(H_RDI), T1);
    emit_string(a, i, 0xa4);
    advance(t, H_RSI, &jit->tmp, &jit->save[0]);
    advance(t, H_RDI, &jit->tmp2, &jit->save[1]);
    if (none)
        as_patch(a, none, as_here(a));
    return true;
}

static bool gen_stos(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    struct jit *jit = t->jit;
    uint8_t *none = begin_string(t, i);
    as_store(a, rm_reg(T1), H_RDI);
    gen_check(t, SEG_ES, i->opsize, true);
    if (none)
        check_room(t, log2_of(i->opsize));
    as_store(a, rm_near(&jit->tmp2), T1);
    as_store(a, rm_near(&jit->save[1]), H_RDI);
    as_store(a, rm_reg(H_RDI), T1);
    emit_string(a, i, 0xaa);
    advance(t, H_RDI, &jit->tmp2, &jit->save[1]);
    if (none)
        as_patch(a, none, as_here(a));
    return true;
}

bool gen_string(struct translation *t, const struct insn *i)
{
    if ((i->op != OP_MOVS && i->op != OP_STOS) || !plain(t, i))
        return false;
    return i->op == OP_MOVS ? gen_movs(t, i) : gen_stos(t, i);
}
