/* SPDX-License-Identifier: MIT */
/*
 * gen_system.c - SYSCALL, SYSRET and IRET to 64-bit programs, reads of CR2 and CR3, bases of FS
 * and GS.
 *
 * A change of privilege selects other slots, another TLB and another table of jump slots. What is
 * on the host's stack for RETs is forgotten: it led to code of the other privilege. Whatever is
 * not plain, C does: flags that make another mode, stepping, an interrupt that waits.
 */
#include "jit/internal.h"

#include "cpu/x86.h"

/* Hidden parts as SYSCALL and SYSRET load them (cpu/sys_call.c). */
#define CODE64_ATTR  0xa09bu
#define DATA32_ATTR  0xc093u
#define DPL3_ATTR    0x0060u
#define SYSRET_FLAGS 0x3c7fd7u
/* Those of them that C sees to. */
#define SYSRET_OTHER (FLAG_TF | FLAG_AC | FLAG_VIF | FLAG_VIP)
/* RF is nothing while no breakpoint is armed. */
#define IRET_FLAGS (FLAGS_ARITH | FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_ID)
/* Descriptors that lead to the same hidden parts. */
#define FLAT_CODE64_DPL3 0x00affb000000ffffull
#define FLAT_DATA32_DPL3 0x00cff3000000ffffull

static unsigned cpl_of(const struct translation *t)
{
    return (t->out->mode & MODE_CPL_MASK) >> MODE_CPL_SHIFT;
}

/* 64-bit code of this privilege whose mode depends on nothing but that. */
static bool plain(const struct translation *t, unsigned cpl)
{
    return !t->pinned && t->insns[0].code_bits == 64 && cpl_of(t) == cpl &&
           !(t->out->mode & MODE_SMAP_AC);
}

static uint32_t mode_at(const struct translation *t, unsigned cpl)
{
    uint32_t keep = t->out->mode & ~(uint32_t)(MODE_CPL_MASK | MODE_WATCHED);
    return keep | cpl << MODE_CPL_SHIFT;
}

static void bail_unless_zero(struct translation *t, const void *at, unsigned bytes)
{
    unsigned op = bytes == 1 ? OPC(0, 0x80) : OPC(0, 0x83);
    as_op_imm(&t->as, op, 7, rm_near(at), 0, 1);
    gen_bail(t, CC_NE);
}

static void bail_if_any(struct translation *t, struct rm rm, uint32_t bits)
{
    as_op_imm(&t->as, OPC(0, 0xf7), 0, rm, bits, 4);
    gen_bail(t, CC_NE);
}

/* What all need before anything changes: that the jump slots of `set` are for `mode`, too. */
static void gen_conditions(struct translation *t, enum slot_set set, uint32_t mode)
{
    struct as *a = &t->as;
    struct vcpu *c = t->c;
    bail_unless_zero(t, &c->ev.stepping, 1);
    bail_unless_zero(t, &c->ev.armed, 4);
    as_load(a, T1, rm_near(&t->jit->jumps[set]));
    as_op_imm(a, OPC(0, 0x81), 7, rm_mem(T1, offsetof(struct set_tables, mode)), mode, 4);
    gen_bail(t, CC_NE);
}

static void gen_needs_sce(struct translation *t)
{
    as_op_imm(&t->as, OPC(0, 0xf7), 0, rm_near(&t->c->efer), EFER_SCE, 4);
    gen_bail(t, CC_E);
}

/* RFLAGS = T2, which is destroyed. */
static void gen_set_flags(struct translation *t)
{
    struct as *a = &t->as;
    as_op(a, OPC(0, 0x8b), T1, rm_reg(T2), 0);
    as_op_imm(a, OPC(0, 0x81), 4, rm_reg(T1), ~(uint32_t)FLAGS_ARITH, 4);
    as_op(a, OPC(0, 0x89), T1, rm_near(&t->c->rflags_rest), 0);
    as_store_n(a, rm_near((const uint8_t *)&t->jit->flags_ax + 1), T2, 1);
    as_op_imm(a, OPC(0, 0xc1), 5, rm_reg(T2), 11, 1);
    as_op_imm(a, OPC(0, 0x83), 4, rm_reg(T2), 1, 1); /* OF */
    as_store_n(a, rm_near(&t->jit->flags_ax), T2, 1);
    t->flags = FLAGS_SAVED;
}

/* Flat; the selector is in `reg`. */
static void gen_flat(struct translation *t, unsigned seg, unsigned reg, unsigned attr)
{
    struct as *a = &t->as;
    struct segment *s = &t->c->seg[seg];
    as_op_imm(a, OPC(0, 0xc7) | OP_W, 0, rm_near(&s->base), 0, 4);
    as_op_imm(a, OPC(0, 0xc7), 0, rm_near(&s->limit), 0xffffffff, 4);
    as_store_n(a, rm_near(&s->selector), reg, 2);
    as_op_imm(a, OPC(0, 0xc7) | OP_66, 0, rm_near(&s->attr), attr, 2);
}

/* To the RIP in T2 at another privilege. */
static void gen_switch(struct translation *t, unsigned cpl, enum slot_set set)
{
    struct as *a = &t->as;
    struct vcpu *c = t->c;
    as_op_imm(a, OPC(0, 0xc6), 0, rm_near(&c->cpl), cpl, 1);
    as_op_imm(a, OPC(0, 0xc7), 0, rm_near(&c->mode), mode_at(t, cpl), 4);
    as_op_imm(a, OPC(0, 0x81) | OP_W, cpl ? 5 : 0, rm_near(&c->tlb), tlb_super_distance, 4);
    as_load(a, H_RSP, rm_near(&t->jit->stack_base));
    enum slot_set own = t->set;
    t->set = set;
    gen_indirect(t);
    t->set = own;
}

static bool gen_syscall(struct translation *t)
{
    struct as *a = &t->as;
    struct vcpu *c = t->c;
    if (!plain(t, 3))
        return false;
    flags_save_all(t);
    bail_if_any(t, rm_near(&c->rflags_rest), FLAG_AC);
    gen_needs_sce(t);
    gen_conditions(t, SET_SUPER, mode_at(t, 0));
    gen_rip(t, t->offset);
    as_store(a, rm_reg(H_RCX), T2);
    gen_flags_image(t);
    as_op_imm(a, OPC(0, 0x81), 4, rm_reg(T2), ~(uint32_t)FLAG_RF, 4);
    as_store(a, guest_home(t, R11), T2);
    as_load32(a, T1, rm_near(&c->sfmask));
    as_op(a, OPC(0, 0xf7), 2, rm_reg(T1), 0); /* not */
    as_op(a, OPC(0, 0x23), T2, rm_reg(T1), 0);
    as_op_imm(a, OPC(0, 0x83), 1, rm_reg(T2), FLAG_FIXED, 1);
    gen_set_flags(t);
    as_op(a, OPC(1, 0xb7), T2, rm_near((const uint8_t *)&c->star + 4), 0);
    as_op_imm(a, OPC(0, 0x81), 4, rm_reg(T2), 0xfffc, 4);
    gen_flat(t, SEG_CS, T2, CODE64_ATTR);
    as_op_imm(a, OPC(0, 0x83), 0, rm_reg(T2), 8, 1);
    gen_flat(t, SEG_SS, T2, DATA32_ATTR);
    as_load(a, T2, rm_near(&c->lstar));
    gen_switch(t, 0, SET_SUPER);
    return true;
}

static bool gen_sysret(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    struct vcpu *c = t->c;
    if (!plain(t, 0) || i->opsize != 8)
        return false;
    flags_save_all(t);
    gen_needs_sce(t);
    gen_conditions(t, SET_USER, mode_at(t, 3));
    bail_unless_zero(t, &c->attention, 4); /* interrupts may be let in now */
    bail_if_any(t, guest_home(t, R11), SYSRET_OTHER);
    as_store(a, rm_reg(T2), H_RCX);
    gen_canonical_test(a);
    gen_bail(t, CC_A);
    as_load32(a, T2, guest_home(t, R11));
    as_op_imm(a, OPC(0, 0x81), 4, rm_reg(T2), SYSRET_FLAGS, 4);
    as_op_imm(a, OPC(0, 0x83), 1, rm_reg(T2), FLAG_FIXED, 1);
    gen_set_flags(t);
    as_op(a, OPC(1, 0xb7), T1, rm_near((const uint8_t *)&c->star + 6), 0);
    as_lea32(a, T2, rm_mem(T1, 16));
    as_op_imm(a, OPC(0, 0x83), 1, rm_reg(T2), 3, 1);
    gen_flat(t, SEG_CS, T2, CODE64_ATTR | DPL3_ATTR);
    as_lea32(a, T2, rm_mem(T1, 8));
    as_op_imm(a, OPC(0, 0x83), 1, rm_reg(T2), 3, 1);
    gen_flat(t, SEG_SS, T2, DATA32_ATTR | DPL3_ATTR);
    as_store(a, rm_reg(T2), H_RCX);
    gen_switch(t, 3, SET_USER);
    return true;
}

/* The selector at `at` of the frame is one of the GDT with RPL 3, and the descriptor is this. */
static void gen_selector_check(struct translation *t, int32_t at, uint64_t descriptor)
{
    struct as *a = &t->as;
    struct vcpu *c = t->c;
    as_load(a, T1, rm_near(&t->jit->tmp));
    as_op(a, OPC(1, 0xb7), T2, rm_mem(T1, at), 0);
    as_op(a, OPC(0, 0x8b), T1, rm_reg(T2), 0);
    as_op_imm(a, OPC(0, 0x83), 4, rm_reg(T1), 7, 1);
    as_op_imm(a, OPC(0, 0x83), 7, rm_reg(T1), 3, 1);
    gen_bail(t, CC_NE);
    as_op_imm(a, OPC(0, 0x83), 1, rm_reg(T2), 7, 1);
    as_op(a, OPC(0, 0x3b) | OP_66, T2, rm_near(&c->gdtr.limit), 0);
    gen_bail(t, CC_A);
    as_op_imm(a, OPC(0, 0x81), 4, rm_reg(T2), 0xfff8, 4);
    gen_bail(t, CC_E);
    as_load(a, T1, rm_near(&c->gdtr.base));
    as_op(a, OPC(0, 0x03) | OP_W, T1, rm_reg(T2), 0);
    gen_check_linear(t, 8, false);
    as_mov_imm(a, T2, descriptor);
    as_op(a, OPC(0, 0x3b) | OP_W, T2, rm_mem(T1, 0), 0);
    gen_bail(t, CC_NE);
}

/* segments_revalidate() would find nothing. */
static void gen_null_check(struct translation *t)
{
    static const uint8_t more[] = {SEG_DS, SEG_FS, SEG_GS};
    struct as *a = &t->as;
    as_op(a, OPC(1, 0xb7), T2, rm_near(&t->c->seg[SEG_ES].selector), 0);
    for (unsigned k = 0; k < ARRAY_SIZE(more); k++)
        as_op(a, OPC(0, 0x0b) | OP_66, T2, rm_near(&t->c->seg[more[k]].selector), 0);
    bail_if_any(t, rm_reg(T2), 0xfffc);
}

/* From an exception or interrupt to a 64-bit program with flat segments. */
static bool gen_iret(struct translation *t, const struct insn *i)
{
    enum { AT_RIP = 0, AT_CS = 8, AT_FLAGS = 16, AT_RSP = 24, AT_SS = 32, FRAME = 40 };
    struct as *a = &t->as;
    struct vcpu *c = t->c;
    if (!plain(t, 0) || i->opsize != 8)
        return false;
    flags_save_all(t);
    bail_if_any(t, rm_near(&c->rflags_rest), FLAG_NT | FLAG_VIF | FLAG_VIP);
    gen_conditions(t, SET_USER, mode_at(t, 3));
    bail_unless_zero(t, &c->attention, 4);
    gen_null_check(t);
    gen_stack(t, 0, FRAME, false);
    as_store(a, rm_near(&t->jit->tmp), T1);
    bail_if_any(t, rm_mem(T1, AT_FLAGS), FLAG_TF | FLAG_AC | FLAG_NT | FLAG_VIF | FLAG_VIP);
    as_load(a, T2, rm_mem(T1, AT_RIP));
    gen_canonical_test(a);
    gen_bail(t, CC_A);
    gen_selector_check(t, AT_CS, FLAT_CODE64_DPL3);
    gen_selector_check(t, AT_SS, FLAT_DATA32_DPL3);
    as_load(a, T1, rm_near(&t->jit->tmp));
    as_op(a, OPC(1, 0xb7), T2, rm_mem(T1, AT_CS), 0);
    gen_flat(t, SEG_CS, T2, CODE64_ATTR | DPL3_ATTR);
    as_op(a, OPC(1, 0xb7), T2, rm_mem(T1, AT_SS), 0);
    gen_flat(t, SEG_SS, T2, DATA32_ATTR | DPL3_ATTR);
    as_load32(a, T2, rm_mem(T1, AT_FLAGS));
    as_op_imm(a, OPC(0, 0x81), 4, rm_reg(T2), IRET_FLAGS, 4);
    as_op_imm(a, OPC(0, 0x83), 1, rm_reg(T2), FLAG_FIXED, 1);
    gen_set_flags(t);
    as_op_imm(a, OPC(0, 0xc6), 0, rm_near(&c->nmi_blocked), 0, 1);
    as_load(a, T1, rm_near(&t->jit->tmp));
    as_load(a, T2, rm_mem(T1, AT_RIP));
    as_load(a, H_SP, rm_mem(T1, AT_RSP));
    gen_switch(t, 3, SET_USER);
    return true;
}

/* By a call that leaves most registers where they are; not if the time depends on instructions, nor
 * with the guest's vector registers loaded. */
static bool gen_rdtsc(struct translation *t)
{
    struct vcpu *c = t->c;
    if (t->jit->limited)
        return false;
    flags_preserve(t);
    as_op_imm(&t->as, OPC(0, 0x83) | OP_66, 7, rm_near(&t->jit->live), 0, 1);
    gen_bail(t, CC_NE);
    bail_unless_zero(t, &c->exits, 1);
    if (cpl_of(t))
        bail_if_any(t, rm_near(&c->cr4), CR4_TSD);
    as_call(&t->as, t->jit->rdtsc);
    return true;
}

static void gen_read(struct translation *t, unsigned guest, const void *at, bool wide)
{
    struct as *a = &t->as;
    unsigned reg = host_reg(guest), into = reg == SPILLED ? T2 : reg;
    as_op(a, OPC(0, 0x8b) | (wide ? OP_W : 0), into, rm_near(at), 0);
    if (reg == SPILLED)
        as_store(a, guest_home(t, guest), T2);
}

/* Of CR2 and CR3; the others have bits that may be an embedder's. */
static bool gen_read_control(struct translation *t, const struct insn *i)
{
    struct vcpu *c = t->c;
    if (i->opcode != 0x20 || !plain(t, 0) || (i->reg != 2 && i->reg != 3))
        return false;
    if (i->reg == 3) {
        flags_preserve(t);
        bail_unless_zero(t, &c->exits, 1);
    }
    gen_read(t, i->rm, i->reg == 2 ? &c->cr2 : &c->cr3, true);
    return true;
}

static bool gen_base(struct translation *t, const struct insn *i, unsigned seg, bool write)
{
    struct as *a = &t->as;
    struct vcpu *c = t->c;
    bool wide = i->prefixes & PFX_REX_W;
    if (t->pinned || i->code_bits != 64)
        return false;
    flags_preserve(t);
    as_op_imm(a, OPC(0, 0xf7), 0, rm_near(&c->cr4), CR4_FSGSBASE, 4);
    gen_bail(t, CC_E);
    if (!write) {
        gen_read(t, i->rm, &c->seg[seg].base, wide);
        return true;
    }
    unsigned reg = host_reg(i->rm);
    as_op(a, OPC(0, 0x8b) | (wide ? OP_W : 0), T2,
          reg == SPILLED ? guest_home(t, i->rm) : rm_reg(reg), 0);
    gen_canonical_test(a);
    gen_bail(t, CC_A);
    as_store(a, rm_near(&c->seg[seg].base), T2);
    as_store(a, rm_near(&c->segc[seg].base), T2);
    return true;
}

bool gen_system(struct translation *t, const struct insn *i, bool *ended)
{
    switch (i->op) {
    case OP_SYSCALL:
        return *ended = gen_syscall(t);
    case OP_SYSRET:
        return *ended = gen_sysret(t, i);
    case OP_IRET:
        return *ended = gen_iret(t, i);
    case OP_MOV_CR:
        return gen_read_control(t, i);
    case OP_RDTSC:
        return gen_rdtsc(t);
    case OP_RDFSBASE:
        return gen_base(t, i, SEG_FS, false);
    case OP_RDGSBASE:
        return gen_base(t, i, SEG_GS, false);
    case OP_WRFSBASE:
        return gen_base(t, i, SEG_FS, true);
    case OP_WRGSBASE:
        return gen_base(t, i, SEG_GS, true);
    default:
        return false;
    }
}
