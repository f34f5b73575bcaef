/* SPDX-License-Identifier: MIT */
/*
 * far.c - far JMP, CALL and RET: segments, call gates, task gates and TSSs (SDM Vol. 2 JMP,
 * CALL, RET; Vol. 3A 5.8). All checks come before the first change.
 */
#include "cpu/seg.h"
#include "cpu/tlb.h"

/* Where a far transfer ends. */
struct target {
    uint16_t selector;
    struct descriptor code;
    uint64_t offset;
    unsigned gate;   /* 0, or DESC_CALL16/32: through a call gate of this type */
    unsigned params; /* of the gate */
    bool inner;      /* to a more privileged level */
};

bool target_offset_ok(struct vcpu *c, const struct descriptor *code, uint64_t offset)
{
    bool ok = long_mode(c) && (code->attr & SEG_ATTR_L) ? is_canonical(offset)
                                                        : offset <= code->limit;
    return ok || gp0_fault(c);
}

/* 64-bit code segments must not have D set. */
static bool code_bits_ok(struct vcpu *c, const struct descriptor *d, uint16_t selector)
{
    uint16_t both = SEG_ATTR_L | SEG_ATTR_DB;
    if (long_mode(c) && (d->attr & both) == both)
        return selector_fault(c, VEC_GP, selector);
    return true;
}

static bool direct_checks(struct vcpu *c, struct target *t)
{
    unsigned dpl = attr_dpl(t->code.attr), rpl = t->selector & 3;
    bool level =
        attr_is_conforming(t->code.attr) ? dpl <= c->cpl : rpl <= c->cpl && dpl == c->cpl;
    if (!level || !code_bits_ok(c, &t->code, t->selector))
        return selector_fault(c, VEC_GP, t->selector);
    return attr_present(t->code.attr) || selector_fault(c, VEC_NP, t->selector);
}

/* Through a call gate; `d` is the gate. */
static bool gate_checks(struct vcpu *c, const struct descriptor *d, bool is_call,
                        struct target *t)
{
    t->gate = d->attr & SEG_ATTR_TYPE;
    t->params = d->high & 0x1f;
    t->selector = (uint16_t)(d->low >> 16);
    t->offset = (d->low & 0xffff) | (t->gate == DESC_CALL32 ? d->high & 0xffff0000 : 0) |
                (uint64_t)d->base_high << 32;
    if (selector_null(t->selector))
        return gp0_fault(c);
    if (!descriptor_get(c, t->selector, VEC_GP, &t->code))
        return false;
    unsigned dpl = attr_dpl(t->code.attr);
    bool conforming = attr_is_conforming(t->code.attr);
    bool level = is_call || conforming ? dpl <= c->cpl : dpl == c->cpl;
    bool bits = !long_mode(c) || (t->code.attr & (SEG_ATTR_L | SEG_ATTR_DB)) == SEG_ATTR_L;
    if (!attr_is_code(t->code.attr) || !level || !bits)
        return selector_fault(c, VEC_GP, t->selector);
    if (!attr_present(t->code.attr))
        return selector_fault(c, VEC_NP, t->selector);
    t->inner = !conforming && dpl < c->cpl;
    return true;
}

/* Call gate, task gate or TSS. STOP_NEXT: *t is the way on; otherwise it is done. */
static enum weir_stop system_target(struct vcpu *c, uint16_t selector, struct descriptor *d,
                                    bool is_call, struct target *t)
{
    unsigned type = attr_system_type(d->attr), rpl = selector & 3;
    bool call_gate = type == DESC_CALL32 || (type == DESC_CALL16 && !long_mode(c));
    bool task = type == DESC_TASK_GATE || type == DESC_TSS16 || type == DESC_TSS32 ||
                type == DESC_TSS16_BUSY || type == DESC_TSS32_BUSY;
    if (!call_gate && (!task || long_mode(c)))
        return raise_error(c, VEC_GP, selector & 0xfffc);
    if (attr_dpl(d->attr) < c->cpl || attr_dpl(d->attr) < rpl)
        return raise_error(c, VEC_GP, selector & 0xfffc);
    if (call_gate && long_mode(c) && !descriptor_get_high(c, selector, VEC_GP, d))
        return STOP_FAULT;
    if (call_gate || type == DESC_TASK_GATE) {
        if (!attr_present(d->attr))
            return raise_error(c, VEC_NP, selector & 0xfffc);
    }
    if (call_gate)
        return gate_checks(c, d, is_call, t) ? STOP_NEXT : STOP_FAULT;
    if (type == DESC_TASK_GATE)
        selector = (uint16_t)(d->low >> 16);
    return task_switch(c, selector, is_call ? TASK_CALL : TASK_JMP, false, 0);
}

static enum weir_stop find_target(struct vcpu *c, uint16_t selector, uint64_t offset,
                                  bool is_call, struct target *t)
{
    struct descriptor d;
    *t = (struct target){.selector = selector, .offset = offset};
    if (selector_null(selector))
        return raise_gp0(c);
    if (!descriptor_get(c, selector, VEC_GP, &d))
        return STOP_FAULT;
    if (!(d.attr & SEG_ATTR_S))
        return system_target(c, selector, &d, is_call, t);
    if (!attr_is_code(d.attr))
        return raise_error(c, VEC_GP, selector & 0xfffc);
    t->code = d;
    return direct_checks(c, t) ? STOP_NEXT : STOP_FAULT;
}

static uint64_t truncate(uint64_t value, unsigned opsize)
{
    return value & mask_bytes(opsize);
}

enum weir_stop far_jump(struct vcpu *c, uint16_t selector, uint64_t offset, unsigned opsize)
{
    struct target t;
    offset = truncate(offset, opsize);
    if (!protected_mode(c)) {
        if (offset > c->seg[SEG_CS].limit)
            return raise_gp0(c);
        if (c->mode & MODE_VM)
            segment_set_v86(c, SEG_CS, selector);
        else
            segment_set_real(c, SEG_CS, selector);
        c->rip = offset;
        cpu_mode_update(c);
        return STOP_BOUNDARY;
    }
    enum weir_stop stop = find_target(c, selector, offset, false, &t);
    if (stop != STOP_NEXT)
        return stop;
    if (!target_offset_ok(c, &t.code, t.offset) || !descriptor_set_accessed(c, &t.code))
        return STOP_FAULT;
    code_set(c, t.selector, &t.code, c->cpl);
    c->rip = t.offset;
    cpu_mode_update(c);
    return STOP_BOUNDARY;
}

/* Call to a more privileged level through a 16- or 32-bit gate. */
static enum weir_stop call_inner(struct vcpu *c, struct target *t)
{
    unsigned width = t->gate == DESC_CALL32 ? 4 : 2, cpl = attr_dpl(t->code.attr), n = 0;
    struct stack old, s;
    struct descriptor ss;
    uint64_t frame[4 + 31], params[31];
    if (!stack_from_tss(c, cpl, &s, &ss))
        return STOP_FAULT;
    stack_current(c, &old);
    if (!frame_pop(c, &old, width, params, t->params))
        return STOP_FAULT;
    frame[n++] = c->seg[SEG_SS].selector;
    frame[n++] = c->gpr[RSP];
    for (unsigned k = t->params; k--;)
        frame[n++] = params[k];
    frame[n++] = c->seg[SEG_CS].selector;
    frame[n++] = c->rip;
    if (!target_offset_ok(c, &t->code, t->offset) || !descriptor_set_accessed(c, &ss) ||
        !descriptor_set_accessed(c, &t->code) || !frame_push(c, &s, width, frame, n))
        return STOP_FAULT;
    segment_set(c, SEG_SS, s.ss.selector, &ss);
    stack_commit_sp(c, &s);
    code_set(c, t->selector, &t->code, cpl);
    c->rip = t->offset;
    cpu_mode_update(c);
    return STOP_BOUNDARY;
}

static enum weir_stop call_inner64(struct vcpu *c, struct target *t)
{
    unsigned cpl = attr_dpl(t->code.attr);
    struct stack s = {.mask = ~0ull, .cpl = cpl};
    uint64_t frame[4] = {c->seg[SEG_SS].selector, c->gpr[RSP], c->seg[SEG_CS].selector, c->rip};
    if (!rsp_from_tss(c, cpl, &s.sp) || !target_offset_ok(c, &t->code, t->offset) ||
        !descriptor_set_accessed(c, &t->code) || !frame_push(c, &s, 8, frame, 4))
        return STOP_FAULT;
    segment_set_null(c, SEG_SS, (uint16_t)cpl);
    c->gpr[RSP] = s.sp;
    code_set(c, t->selector, &t->code, cpl);
    c->rip = t->offset;
    cpu_mode_update(c);
    return STOP_BOUNDARY;
}

static enum weir_stop call_same(struct vcpu *c, struct target *t, unsigned width)
{
    struct stack s;
    uint64_t frame[2] = {c->seg[SEG_CS].selector, c->rip};
    stack_current(c, &s);
    /* A 64-bit gate entered from compatibility mode makes a 64-bit frame. */
    if (t->gate && long_mode(c))
        s.mask = ~0ull;
    if (!target_offset_ok(c, &t->code, t->offset) || !descriptor_set_accessed(c, &t->code) ||
        !frame_push(c, &s, width, frame, 2))
        return STOP_FAULT;
    stack_commit_sp(c, &s);
    code_set(c, t->selector, &t->code, c->cpl);
    c->rip = t->offset;
    cpu_mode_update(c);
    return STOP_BOUNDARY;
}

static enum weir_stop call_real(struct vcpu *c, uint16_t selector, uint64_t offset,
                                unsigned opsize)
{
    struct stack s;
    uint64_t frame[2] = {c->seg[SEG_CS].selector, c->rip};
    stack_current(c, &s);
    if (offset > c->seg[SEG_CS].limit)
        return raise_gp0(c);
    if (!frame_push(c, &s, opsize, frame, 2))
        return STOP_FAULT;
    stack_commit_sp(c, &s);
    return far_jump(c, selector, offset, opsize);
}

enum weir_stop far_call(struct vcpu *c, uint16_t selector, uint64_t offset, unsigned opsize)
{
    struct target t;
    offset = truncate(offset, opsize);
    if (!protected_mode(c))
        return call_real(c, selector, offset, opsize);
    enum weir_stop stop = find_target(c, selector, offset, true, &t);
    if (stop != STOP_NEXT)
        return stop;
    if (t.inner)
        return long_mode(c) ? call_inner64(c, &t) : call_inner(c, &t);
    unsigned width = !t.gate ? opsize : long_mode(c) ? 8 : t.gate == DESC_CALL32 ? 4 : 2;
    return call_same(c, &t, width);
}

/* ---- return ---- */

bool return_code_checks(struct vcpu *c, uint16_t selector, struct descriptor *d)
{
    unsigned rpl = selector & 3;
    if (selector_null(selector))
        return gp0_fault(c);
    if (!descriptor_get(c, selector, VEC_GP, d))
        return false;
    unsigned dpl = attr_dpl(d->attr);
    bool level = attr_is_conforming(d->attr) ? dpl <= rpl : dpl == rpl;
    if (!attr_is_code(d->attr) || rpl < c->cpl || !level || !code_bits_ok(c, d, selector))
        return selector_fault(c, VEC_GP, selector);
    return attr_present(d->attr) || selector_fault(c, VEC_NP, selector);
}

bool return_stack_checks(struct vcpu *c, uint16_t selector, unsigned cpl, bool to_64bit,
                         struct descriptor *d)
{
    if (selector_null(selector)) {
        *d = (struct descriptor){0};
        return (to_64bit && cpl != 3 && (selector & 3) == cpl) || gp0_fault(c);
    }
    if (!descriptor_get(c, selector, VEC_GP, d))
        return false;
    if ((selector & 3) != cpl || attr_dpl(d->attr) != cpl || !attr_is_writable_data(d->attr))
        return selector_fault(c, VEC_GP, selector);
    return attr_present(d->attr) || selector_fault(c, VEC_SS, selector);
}

void return_stack_set(struct vcpu *c, uint16_t selector, const struct descriptor *d,
                      uint64_t sp)
{
    bool to_64bit = long_mode(c) && (c->seg[SEG_CS].attr & SEG_ATTR_L);
    if (selector_null(selector))
        segment_set_null(c, SEG_SS, selector);
    else
        segment_set(c, SEG_SS, selector, d);
    if (to_64bit)
        c->gpr[RSP] = sp;
    else if (d->attr & SEG_ATTR_DB)
        c->gpr[RSP] = (uint32_t)sp;
    else
        c->gpr[RSP] = (c->gpr[RSP] & ~0xffffull) | (sp & 0xffff);
}

static enum weir_stop return_real(struct vcpu *c, unsigned opsize, unsigned release)
{
    struct stack s;
    uint64_t frame[2];
    stack_current(c, &s);
    if (!frame_pop(c, &s, opsize, frame, 2))
        return STOP_FAULT;
    if (frame[0] > c->seg[SEG_CS].limit)
        return raise_gp0(c);
    s.sp += release;
    stack_commit_sp(c, &s);
    return far_jump(c, (uint16_t)frame[1], frame[0], opsize);
}

static enum weir_stop return_outer(struct vcpu *c, unsigned opsize, unsigned release,
                                   struct stack *s, uint16_t selector, struct descriptor *code,
                                   uint64_t offset)
{
    uint64_t frame[2];
    struct descriptor ss;
    unsigned cpl = selector & 3;
    s->sp += release;
    if (!frame_pop(c, s, opsize, frame, 2))
        return STOP_FAULT;
    uint16_t stack_selector = (uint16_t)frame[1];
    bool to_64bit = long_mode(c) && (code->attr & SEG_ATTR_L);
    if (!return_stack_checks(c, stack_selector, cpl, to_64bit, &ss) ||
        !target_offset_ok(c, code, offset) || !descriptor_set_accessed(c, code) ||
        (!selector_null(stack_selector) && !descriptor_set_accessed(c, &ss)))
        return STOP_FAULT;
    code_set(c, selector, code, cpl);
    return_stack_set(c, stack_selector, &ss, frame[0] + release);
    c->rip = offset;
    segments_revalidate(c);
    cpu_mode_update(c);
    return STOP_BOUNDARY;
}

enum weir_stop far_return(struct vcpu *c, unsigned opsize, unsigned release)
{
    struct stack s;
    uint64_t frame[2];
    struct descriptor code;
    if (!protected_mode(c))
        return return_real(c, opsize, release);
    stack_current(c, &s);
    if (!frame_pop(c, &s, opsize, frame, 2))
        return STOP_FAULT;
    uint16_t selector = (uint16_t)frame[1];
    if (!return_code_checks(c, selector, &code))
        return STOP_FAULT;
    if ((selector & 3) > c->cpl)
        return return_outer(c, opsize, release, &s, selector, &code, frame[0]);
    if (!target_offset_ok(c, &code, frame[0]) || !descriptor_set_accessed(c, &code))
        return STOP_FAULT;
    s.sp += release;
    stack_commit_sp(c, &s);
    code_set(c, selector, &code, c->cpl);
    c->rip = frame[0];
    cpu_mode_update(c);
    return STOP_BOUNDARY;
}
