/* SPDX-License-Identifier: MIT */
/*
 * iret.c - IRET in all its modes (SDM Vol. 2A IRET) and the rules by which POPF and IRET change
 * RFLAGS.
 */
#include "cpu/events.h"
#include "cpu/seg.h"
#include "cpu/tlb.h"

void flags_load(struct vcpu *c, uint64_t value, unsigned opsize, unsigned cpl)
{
    uint32_t change = FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT;
    unsigned iopl = (c->rflags_rest & FLAG_IOPL) >> 12;
    if (opsize > 2)
        change |= FLAG_RF | FLAG_AC | FLAG_ID;
    if (cpl <= iopl)
        change |= FLAG_IF;
    if (cpl == 0)
        change |= FLAG_IOPL;
    cpu_set_rflags(c, (cpu_rflags(c) & ~(uint64_t)change) | (value & change));
}

static enum weir_stop iret_real(struct vcpu *c, unsigned opsize)
{
    struct stack s;
    uint64_t frame[3];
    stack_current(c, &s);
    if (!frame_pop(c, &s, opsize, frame, 3))
        return STOP_FAULT;
    if (frame[0] > c->seg[SEG_CS].limit)
        return raise_gp0(c);
    stack_commit_sp(c, &s);
    segment_set_real(c, SEG_CS, (uint16_t)frame[1]);
    c->rip = frame[0];
    flags_load(c, frame[2], opsize, 0);
    cpu_mode_update(c);
    return STOP_BOUNDARY;
}

/* IRET within virtual-8086 mode: IOPL and VM stay; with IOPL < 3 only by CR4.VME, and then IF
 * is the program's VIF. */
static enum weir_stop iret_v86(struct vcpu *c, unsigned opsize)
{
    struct stack s;
    uint64_t frame[3];
    bool iopl3 = (c->rflags_rest & FLAG_IOPL) == FLAG_IOPL;
    if (!iopl3 && (!(c->cr4 & CR4_VME) || opsize != 2))
        return raise_gp0(c);
    stack_current(c, &s);
    if (!frame_pop(c, &s, opsize, frame, 3))
        return STOP_FAULT;
    uint64_t flags = frame[2], old = cpu_rflags(c);
    if (frame[0] > c->seg[SEG_CS].limit ||
        (!iopl3 && (((flags & FLAG_IF) && (old & FLAG_VIP)) || (flags & FLAG_TF))))
        return raise_gp0(c);
    uint32_t change = FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT;
    if (iopl3)
        change |= FLAG_IF;
    if (opsize > 2)
        change |= FLAG_RF | FLAG_AC | FLAG_ID;
    uint64_t value = (old & ~(uint64_t)change) | (flags & change);
    if (!iopl3)
        value = (value & ~(uint64_t)FLAG_VIF) | (flags & FLAG_IF ? FLAG_VIF : 0);
    stack_commit_sp(c, &s);
    segment_set_v86(c, SEG_CS, (uint16_t)frame[1]);
    c->rip = frame[0];
    cpu_set_rflags(c, value);
    cpu_mode_update(c);
    return STOP_BOUNDARY;
}

/* From CPL 0 to virtual-8086 mode; the first three dwords are popped. */
static enum weir_stop iret_to_v86(struct vcpu *c, struct stack *s, const uint64_t first[3])
{
    static const uint8_t order[] = {SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    uint64_t rest[6];
    if (!frame_pop(c, s, 4, rest, 6))
        return STOP_FAULT;
    if (first[0] > 0xffff)
        return raise_gp0(c);
    segment_set_v86(c, SEG_CS, (uint16_t)first[1]);
    for (unsigned k = 0; k < ARRAY_SIZE(order); k++)
        segment_set_v86(c, order[k], (uint16_t)rest[1 + k]);
    c->rip = first[0];
    c->gpr[RSP] = rest[0];
    c->cpl = 3;
    cpu_set_rflags(
        c, (first[2] & (FLAGS_ARITH | FLAG_TF | FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_NT |
                        FLAG_RF | FLAG_VM | FLAG_AC | FLAG_VIF | FLAG_VIP | FLAG_ID)) |
               FLAG_FIXED);
    cpu_mode_update(c);
    return STOP_BOUNDARY;
}

static enum weir_stop iret_task(struct vcpu *c)
{
    uint8_t raw[2];
    const struct segment *tr = &c->seg[SEG_TR];
    if (long_mode(c))
        return raise_gp0(c);
    if (!lin_read(c, tr->base, raw, 2, 0))
        return STOP_FAULT;
    return task_switch(c, (uint16_t)load_le(raw, 2), TASK_IRET, false, 0);
}

static enum weir_stop iret_protected(struct vcpu *c, unsigned opsize)
{
    struct stack s;
    uint64_t frame[3], tail[2] = {0, 0};
    struct descriptor code, ss;
    stack_current(c, &s);
    if (!frame_pop(c, &s, opsize, frame, 3))
        return STOP_FAULT;
    if (opsize == 4 && (frame[2] & FLAG_VM) && c->cpl == 0 && !long_mode(c))
        return iret_to_v86(c, &s, frame);
    uint16_t selector = (uint16_t)frame[1];
    if (!return_code_checks(c, selector, &code))
        return STOP_FAULT;
    unsigned old_cpl = c->cpl, cpl = selector & 3;
    bool with_stack = cpl > old_cpl || cpu_is_64bit(c);
    uint16_t stack_selector = 0;
    if (with_stack) {
        bool to_64bit = long_mode(c) && (code.attr & SEG_ATTR_L);
        if (!frame_pop(c, &s, opsize, tail, 2))
            return STOP_FAULT;
        stack_selector = (uint16_t)tail[1];
        if (!return_stack_checks(c, stack_selector, cpl, to_64bit, &ss) ||
            (!selector_null(stack_selector) && !descriptor_set_accessed(c, &ss)))
            return STOP_FAULT;
    }
    if (!target_offset_ok(c, &code, frame[0]) || !descriptor_set_accessed(c, &code))
        return STOP_FAULT;
    uint64_t vif = 0;
    if (old_cpl == 0 && opsize > 2)
        vif = FLAG_VIF | FLAG_VIP;
    code_set(c, selector, &code, cpl);
    c->rip = frame[0];
    if (with_stack)
        return_stack_set(c, stack_selector, &ss, tail[0]);
    else
        stack_commit_sp(c, &s);
    flags_load(c, frame[2], opsize, old_cpl);
    c->rflags_rest = (c->rflags_rest & ~(uint32_t)vif) | (uint32_t)(frame[2] & vif);
    if (cpl > old_cpl)
        segments_revalidate(c);
    cpu_mode_update(c);
    return STOP_BOUNDARY;
}

enum weir_stop far_iret(struct vcpu *c, unsigned opsize)
{
    enum weir_stop stop;
    if (!(c->mode & MODE_PE))
        stop = iret_real(c, opsize);
    else if (c->mode & MODE_VM)
        stop = iret_v86(c, opsize);
    else if (c->rflags_rest & FLAG_NT)
        stop = iret_task(c);
    else
        stop = iret_protected(c, opsize);
    if (stop != STOP_FAULT) {
        c->nmi_blocked = false;
        event_sysret(c);
    }
    return stop;
}
