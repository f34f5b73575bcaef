/* SPDX-License-Identifier: MIT */
/*
 * gen_string.c - MOVS, STOS and LODS; the first two, alone or with REP, as the host's own
 * instruction on a piece that lies within one page on each side. More than that is a stub's where
 * it can be (x64/strings.c). Everything else (most that goes backwards, the end of a segment) is
 * the interpreter's.
 */
#include "jit/internal.h"

#include "cpu/x86.h"

static unsigned log2_of(unsigned size)
{
    return size == 8 ? 3 : size == 4 ? 2 : size == 2 ? 1 : 0;
}

static bool plain(const struct insn *i)
{
    return (i->code_bits != 64 || i->addrsize == 8) && !(i->prefixes & PFX_REPNE);
}

static void test_direction(struct translation *t)
{
    flags_preserve(t);
    as_op_imm(&t->as, OPC(0, 0xf7), 0, rm_near(&t->c->rflags_rest), FLAG_DF, 4);
}

/* With REP: string_bytes = what is to do. Returns a jump over all if there are none. */
static uint8_t *begin_repeated(struct translation *t, const struct insn *i, uint64_t stub)
{
    struct as *a = &t->as;
    unsigned shift = log2_of(i->opsize);
    if (i->addrsize == 2)
        as_op(a, OPC(1, 0xb7), T2, rm_reg(H_RCX), 0);
    else
        as_store(a, rm_reg(T2), H_RCX);
    as_op_imm(a, OPC(0, 0x81) | OP_W, 7, rm_reg(T2), 4096u >> shift, 4);
    gen_bail_to(t, CC_A, stub);
    as_op_imm(a, OPC(0, 0xc1), 4, rm_reg(T2), shift, 1);
    as_store(a, rm_near(&t->jit->string_bytes), T2);
    as_op(a, OPC(0, 0x85), T2, rm_reg(T2), 0);
    return as_jcc(a, CC_E);
}

/* What is the same at the start: direction, and that. */
static uint8_t *begin_string(struct translation *t, const struct insn *i)
{
    test_direction(t);
    gen_bail(t, CC_NE);
    return i->prefixes & PFX_REP ? begin_repeated(t, i, string_stub(t, i)) : NULL;
}

/* string_bytes from T1 in the segment must not pass its end, nor the offset wrap. */
static void check_end(struct translation *t, const struct insn *i, unsigned seg, bool write)
{
    struct as *a = &t->as;
    as_lea(a, T2, rm_mem(T1, -1));
    as_op(a, OPC(0, 0x03) | OP_W, T2, rm_near(&t->jit->string_bytes), 0);
    as_op(a, OPC(0, 0x3b) | OP_W, T2, rm_near(&t->c->segc[seg].last[write]), 0);
    gen_bail(t, CC_G);
    if (i->addrsize == 2) {
        as_op_imm(a, OPC(0, 0x81), 7, rm_reg(T2), 0xffff, 4);
        gen_bail(t, CC_A);
    }
}

/* T1 = host address of the first element at seg:reg, or if `back`, when they go down from there, of
 * the last one; with REP all are in its page. */
static void gen_operand(struct translation *t, const struct insn *i, unsigned seg, unsigned reg,
                        bool write, bool back)
{
    struct as *a = &t->as;
    bool repeated = i->prefixes & PFX_REP;
    unsigned wide = i->addrsize == 8 ? OP_W : 0;
    if (i->addrsize == 8)
        as_store(a, rm_reg(T1), reg);
    else
        as_op(a, i->addrsize == 2 ? OPC(1, 0xb7) : OPC(0, 0x8b), T1, rm_reg(reg), 0);
    if (back) { /* the lowest one's */
        as_op(a, OPC(0, 0x2b) | wide, T1, rm_near(&t->jit->string_bytes), 0);
        as_op_imm(a, OPC(0, 0x83) | wide, 0, rm_reg(T1), i->opsize, 1);
    }
    if (repeated && i->code_bits != 64)
        check_end(t, i, seg, write);
    gen_check(t, seg, i->opsize, write);
    if (!repeated)
        return;
    as_op(a, OPC(0, 0x8b), T2, rm_reg(T1), 0);
    as_op_imm(a, OPC(0, 0x81), 4, rm_reg(T2), 0xfff, 4);
    as_op(a, OPC(0, 0x03), T2, rm_near(&t->jit->string_bytes), 0);
    as_op_imm(a, OPC(0, 0x81), 7, rm_reg(T2), 4096, 4);
    gen_bail_to(t, CC_A, back ? 0 : string_stub(t, i));
}

static void emit_string(struct translation *t, const struct insn *i, unsigned opcode)
{
    struct as *a = &t->as;
    bool repeated = i->prefixes & PFX_REP, narrow = repeated && i->addrsize == 2;
    if (narrow) {
        as_store(a, rm_near(&t->jit->string_count), H_RCX);
        as_op(a, OPC(1, 0xb7), H_RCX, rm_reg(H_RCX), 0);
    }
    if (repeated)
        as8(a, 0xf3);
    if (i->opsize == 2)
        as8(a, 0x66);
    if (i->opsize == 8)
        as8(a, 0x48);
    as8(a, opcode | (i->opsize > 1));
    if (narrow) {
        as_load(a, H_RCX, rm_near(&t->jit->string_count));
        as_op_imm(a, OPC(0, 0xc7) | OP_66, 0, rm_reg(H_RCX), 0, 2);
    }
}

/* reg = guest_before + what it was moved on the host from host_before. */
static void advance(struct translation *t, const struct insn *i, unsigned reg,
                    const void *host_before, const void *guest_before)
{
    struct as *a = &t->as;
    as_op(a, OPC(0, 0x2b) | OP_W, reg, rm_near(host_before), 0);
    if (i->addrsize != 2) {
        as_op(a, OPC(0, 0x03) | (i->addrsize == 8 ? OP_W : 0), reg, rm_near(guest_before), 0);
        return;
    }
    as_store(a, rm_reg(T1), reg);
    as_load(a, reg, rm_near(guest_before));
    as_op(a, OPC(0, 0x03), T1, rm_reg(reg), 0);
    as_store_n(a, rm_reg(reg), T1, 2);
}

static void gen_copy(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    struct jit *jit = t->jit;
    gen_operand(t, i, i->seg, H_RSI, false, false);
    as_store(a, rm_near(&jit->tmp), T1);
    gen_operand(t, i, SEG_ES, H_RDI, true, false);
    as_store(a, rm_near(&jit->tmp2), T1);
    as_store(a, rm_near(&jit->save[0]), H_RSI);
    as_store(a, rm_near(&jit->save[1]), H_RDI);
    as_load(a, H_RSI, rm_near(&jit->tmp));
    as_store(a, rm_reg(H_RDI), T1);
    emit_string(t, i, 0xa4);
    advance(t, i, H_RSI, &jit->tmp, &jit->save[0]);
    advance(t, i, H_RDI, &jit->tmp2, &jit->save[1]);
}

/* REP MOVS going down, which a host does slowly, and has to be told to by STD and CLD, slower
 * still: one by one. RCX says how many are left. */
static void gen_copy_back(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    struct jit *jit = t->jit;
    unsigned wide = i->addrsize == 8 ? OP_W : 0, scale = log2_of(i->opsize);
    gen_operand(t, i, i->seg, H_RSI, false, true);
    as_store(a, rm_near(&jit->tmp), T1);
    gen_operand(t, i, SEG_ES, H_RDI, true, true);
    as_store(a, rm_near(&jit->save[0]), H_RSI);
    as_load(a, H_RSI, rm_near(&jit->tmp));
    uint64_t again = as_here(a);
    struct rm from = rm_sib(H_RSI, H_RCX, scale, -i->opsize);
    struct rm to = rm_sib(T1, H_RCX, scale, -i->opsize);
    if (i->opsize <= 2)
        as_op(a, OPC(1, i->opsize == 1 ? 0xb6 : 0xb7), T2, from, 0);
    else
        as_op(a, OPC(0, 0x8b) | (i->opsize == 8 ? OP_W : 0), T2, from, 0);
    as_store_n(a, to, T2, i->opsize);
    as_op_imm(a, OPC(0, 0x83), 5, rm_reg(H_RCX), 1, 1);
    as_patch(a, as_jcc(a, CC_NE), again);
    as_load(a, H_RSI, rm_near(&jit->save[0]));
    as_op(a, OPC(0, 0x2b) | wide, H_RSI, rm_near(&jit->string_bytes), 0);
    as_op(a, OPC(0, 0x2b) | wide, H_RDI, rm_near(&jit->string_bytes), 0);
}

/* Backwards, too, where it may be memmove's (i386). */
static bool gen_movs(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    uint8_t *none, *back = NULL;
    if (!(i->prefixes & PFX_REP) || i->addrsize == 2) {
        none = begin_string(t, i);
        gen_copy(t, i);
    } else {
        test_direction(t);
        back = as_jcc(a, CC_NE);
        none = begin_repeated(t, i, string_stub(t, i));
        gen_copy(t, i);
    }
    uint8_t *done = back ? as_jmp(a) : NULL;
    if (back) {
        as_patch(a, back, as_here(a));
        uint8_t *none_back = begin_repeated(t, i, 0);
        gen_copy_back(t, i);
        as_patch(a, none_back, as_here(a));
        as_patch(a, done, as_here(a));
    }
    if (none)
        as_patch(a, none, as_here(a));
    return true;
}

static bool gen_stos(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    struct jit *jit = t->jit;
    uint8_t *none = begin_string(t, i);
    gen_operand(t, i, SEG_ES, H_RDI, true, false);
    as_store(a, rm_near(&jit->tmp2), T1);
    as_store(a, rm_near(&jit->save[1]), H_RDI);
    as_store(a, rm_reg(H_RDI), T1);
    emit_string(t, i, 0xaa);
    advance(t, i, H_RDI, &jit->tmp2, &jit->save[1]);
    if (none)
        as_patch(a, none, as_here(a));
    return true;
}

static bool gen_lods(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    unsigned wide = i->opsize == 8 ? OP_W : i->opsize == 2 ? OP_66 : 0;
    if (i->prefixes & PFX_REP)
        return false;
    begin_string(t, i);
    gen_operand(t, i, i->seg, H_RSI, false, false);
    as_op(a, OPC(0, i->opsize == 1 ? 0x8a : 0x8b) | wide, H_RAX, rm_mem(T1, 0), 0);
    if (i->addrsize == 8)
        as_lea(a, H_RSI, rm_mem(H_RSI, i->opsize));
    else if (i->addrsize == 4)
        as_lea32(a, H_RSI, rm_mem(H_RSI, i->opsize));
    else
        as_lea32(a, T1, rm_mem(H_RSI, i->opsize));
    if (i->addrsize == 2)
        as_store_n(a, rm_reg(H_RSI), T1, 2);
    return true;
}

bool gen_string(struct translation *t, const struct insn *i)
{
    if (!plain(i))
        return false;
    switch (i->op) {
    case OP_MOVS:
        return gen_movs(t, i);
    case OP_STOS:
        return gen_stos(t, i);
    case OP_LODS:
        return gen_lods(t, i);
    default:
        return false;
    }
}
