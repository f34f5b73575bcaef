/* SPDX-License-Identifier: MIT */
/*
 * int_stack.c - PUSH, POP, PUSHA, POPA, ENTER, LEAVE. rSP changes only after the last possible
 * fault, so every instruction here can be restarted.
 */
#include "cpu/interp/operands.h"

/* ---- PUSH ---- */

static enum weir_stop push_r(struct vcpu *c, const struct insn *i)
{
    return thread(
        c, i, stack_push(c, i->opsize, reg_get(c, i->rm, i->opsize)) ? STOP_NEXT : STOP_FAULT);
}
/* 64-bit stack and operand: nearly all of them in 64-bit code. */
static enum weir_stop push_r_64(struct vcpu *c, const struct insn *i)
{
    uint64_t sp = c->gpr[RSP] - 8;
    void *p = tlb_write_hit(c, sp, 8);
    if (UNLIKELY(!p))
        return push_r(c, i);
    store_le(p, c->gpr[i->rm], 8);
    c->gpr[RSP] = sp;
    return next_insn(c, i);
}
/* 32-bit stack and operand. */
static enum weir_stop push_r_32(struct vcpu *c, const struct insn *i)
{
    uint32_t sp = (uint32_t)c->gpr[RSP] - 4;
    if (UNLIKELY(!mem_store(c, SEG_SS, sp, 4, (uint32_t)c->gpr[i->rm])))
        return stop_insn(c, i, STOP_FAULT);
    c->gpr[RSP] = sp;
    return next_insn(c, i);
}
static enum weir_stop push_imm(struct vcpu *c, const struct insn *i)
{
    return thread(c, i, stack_push(c, i->opsize, i->imm) ? STOP_NEXT : STOP_FAULT);
}
static enum weir_stop push_m(struct vcpu *c, const struct insn *i)
{
    uint64_t v;
    if (!rm_load(c, i, i->opsize, &v) || !stack_push(c, i->opsize, v))
        return stop_insn(c, i, STOP_FAULT);
    return next_insn(c, i);
}

static bool stack_is(const struct vcpu *c, const struct insn *i, uint32_t mode, unsigned opsize)
{
    return (c->mode & MODE_STACK_MASK) == mode && i->opsize == opsize;
}

insn_fn *bind_push(const struct vcpu *c, struct insn *i)
{
    unsigned kind = insn_row(i)->operands[0].kind;
    if (kind == KIND_I)
        return push_imm;
    if (i->mem)
        return push_m;
    if (kind == KIND_Z)
        i->rm = i->reg;
    if (stack_is(c, i, MODE_STACK64, 8))
        return push_r_64;
    return stack_is(c, i, MODE_STACK32, 4) ? push_r_32 : push_r;
}
enum weir_stop op_push(struct vcpu *c, const struct insn *i)
{
    return run_bound(c, i, bind_push);
}

/* ---- POP: rSP moves before the destination is written (POP rSP) or addressed ---- */

static enum weir_stop pop_r(struct vcpu *c, const struct insn *i)
{
    uint64_t v;
    if (!stack_top(c, i->opsize, &v))
        return stop_insn(c, i, STOP_FAULT);
    stack_drop(c, i->opsize);
    reg_set(c, i->rm, i->opsize, v);
    return next_insn(c, i);
}
static enum weir_stop pop_r_64(struct vcpu *c, const struct insn *i)
{
    const void *p = tlb_read_hit(c, c->gpr[RSP], 8);
    if (UNLIKELY(!p))
        return pop_r(c, i);
    c->gpr[RSP] += 8;
    c->gpr[i->rm] = load_le(p, 8);
    return next_insn(c, i);
}
static enum weir_stop pop_r_32(struct vcpu *c, const struct insn *i)
{
    uint64_t v;
    if (UNLIKELY(!mem_load(c, SEG_SS, (uint32_t)c->gpr[RSP], 4, &v)))
        return stop_insn(c, i, STOP_FAULT);
    c->gpr[RSP] = (uint32_t)(c->gpr[RSP] + 4);
    c->gpr[i->rm] = v;
    return next_insn(c, i);
}
static enum weir_stop pop_m(struct vcpu *c, const struct insn *i)
{
    uint64_t v, old = c->gpr[RSP];
    if (!stack_top(c, i->opsize, &v))
        return stop_insn(c, i, STOP_FAULT);
    stack_drop(c, i->opsize);
    if (mem_store(c, i->seg, insn_offset(c, i), i->opsize, v))
        return next_insn(c, i);
    c->gpr[RSP] = old;
    return stop_insn(c, i, STOP_FAULT);
}

insn_fn *bind_pop(const struct vcpu *c, struct insn *i)
{
    if (i->mem)
        return pop_m;
    if (insn_row(i)->operands[0].kind == KIND_Z)
        i->rm = i->reg;
    if (stack_is(c, i, MODE_STACK64, 8))
        return pop_r_64;
    return stack_is(c, i, MODE_STACK32, 4) ? pop_r_32 : pop_r;
}
enum weir_stop op_pop(struct vcpu *c, const struct insn *i)
{
    return run_bound(c, i, bind_pop);
}

/* ---- all registers ---- */

enum weir_stop op_pusha(struct vcpu *c, const struct insn *i)
{
    uint64_t mask = stack_mask(c), sp = c->gpr[RSP];
    for (unsigned r = 0; r < 8; r++) {
        sp = (sp - i->opsize) & mask;
        if (!mem_store(c, SEG_SS, sp, i->opsize, reg_get(c, r, i->opsize)))
            return STOP_FAULT;
    }
    stack_set(c, RSP, sp);
    return STOP_NEXT;
}

enum weir_stop op_popa(struct vcpu *c, const struct insn *i)
{
    uint64_t v[8], mask = stack_mask(c), sp = c->gpr[RSP];
    for (unsigned r = 8; r-- > 0; sp += i->opsize)
        if (!mem_load(c, SEG_SS, sp & mask, i->opsize, &v[r]))
            return STOP_FAULT;
    for (unsigned r = 0; r < 8; r++)
        if (r != RSP)
            reg_set(c, r, i->opsize, v[r]);
    stack_set(c, RSP, sp);
    return STOP_NEXT;
}

/* ---- frames ---- */

/* imm = bytes of locals, imm2 = nesting level. */
enum weir_stop op_enter(struct vcpu *c, const struct insn *i)
{
    unsigned size = i->opsize, level = i->imm2 & 31;
    uint64_t v, mask = stack_mask(c), sp = (c->gpr[RSP] - size) & mask, frame = sp;
    uint64_t bp = c->gpr[RBP];
    if (!mem_store(c, SEG_SS, sp, size, reg_get(c, RBP, size)))
        return STOP_FAULT;
    for (unsigned k = 1; k < level; k++) {
        bp = (bp - size) & mask;
        sp = (sp - size) & mask;
        if (!mem_load(c, SEG_SS, bp, size, &v) || !mem_store(c, SEG_SS, sp, size, v))
            return STOP_FAULT;
    }
    if (level) {
        sp = (sp - size) & mask;
        if (!mem_store(c, SEG_SS, sp, size, frame))
            return STOP_FAULT;
    }
    sp = (sp - (uint16_t)i->imm) & mask;
    /* SDM: faults if a write at the final stack pointer would. */
    if (!mem_probe(c, SEG_SS, sp, 1, ACCESS_WRITE))
        return STOP_FAULT;
    stack_set(c, RSP, sp);
    reg_set(c, RBP, size, frame);
    return STOP_NEXT;
}

enum weir_stop op_leave(struct vcpu *c, const struct insn *i)
{
    uint64_t v, bp = c->gpr[RBP] & stack_mask(c);
    if (UNLIKELY(!mem_load(c, SEG_SS, bp, i->opsize, &v)))
        return STOP_FAULT;
    stack_set(c, RSP, bp + i->opsize);
    reg_set(c, RBP, i->opsize, v);
    return STOP_NEXT;
}
THREADED(leave)
