/* SPDX-License-Identifier: MIT */
/*
 * deliver.c - one exception or interrupt through the IVT or IDT (SDM Vol. 3A 6.10-6.14, 20.3).
 *
 * Everything is read and checked first, the frame is pushed last (all of it or nothing), and
 * only then registers change. Task gates are the exception: see task.c.
 */
#include "cpu/seg.h"
#include "cpu/tlb.h"

/* A gate, and where it leads. */
struct gate {
    unsigned type; /* DESC_INT32... */
    uint16_t selector;
    uint64_t offset;
    unsigned ist;
    struct descriptor code;
    unsigned cpl; /* of the handler */
    bool inner;
};

static bool is_software(const struct x86_fault *e)
{
    return e->kind == FAULT_SOFTWARE_INT || e->kind == FAULT_INT3_INTO;
}

/* RFLAGS image to push. RF is set for fault-class exceptions, but not for instruction
 * breakpoints (SDM Vol. 3B 18.3.1.1). */
static uint64_t flags_image(const struct vcpu *c, const struct x86_fault *e)
{
    uint64_t flags = cpu_rflags(c);
    bool fault = e->kind == FAULT_EXCEPTION && e->vector != VEC_BP && e->vector != VEC_OF &&
                 e->vector != VEC_DF && e->vector != VEC_MC &&
                 (e->vector != VEC_DB || (e->dr6_bits & DR6_BD));
    return fault ? flags | FLAG_RF : flags;
}

static bool idt_fault(struct vcpu *c, unsigned vector, unsigned number)
{
    raise_error(c, vector, number * 8 + 2);
    return false;
}

/* ---- real mode, and virtual-8086 mode with redirection ---- */

static enum weir_stop deliver_ivt(struct vcpu *c, const struct x86_fault *e, uint64_t base,
                                  uint64_t flags, uint32_t clear)
{
    uint8_t raw[4];
    struct stack s;
    if (!lin_read(c, base + e->vector * 4u, raw, 4, c->cpl))
        return STOP_FAULT;
    uint64_t frame[3] = {flags & 0xffff, c->seg[SEG_CS].selector, c->rip & 0xffff};
    stack_current(c, &s);
    if (!frame_push(c, &s, 2, frame, 3))
        return STOP_FAULT;
    stack_commit_sp(c, &s);
    uint16_t selector = (uint16_t)load_le(raw + 2, 2);
    if (c->mode & MODE_VM)
        segment_set_v86(c, SEG_CS, selector);
    else
        segment_set_real(c, SEG_CS, selector);
    c->rip = load_le(raw, 2);
    c->rflags_rest &= ~clear;
    cpu_mode_update(c);
    return STOP_BOUNDARY;
}

static enum weir_stop deliver_real(struct vcpu *c, const struct x86_fault *e)
{
    if (e->vector * 4u + 3 > c->idtr.limit)
        return raise_error(c, VEC_GP, e->vector * 8u + 2);
    return deliver_ivt(c, e, c->idtr.base, cpu_rflags(c),
                       FLAG_IF | FLAG_TF | FLAG_RF | FLAG_AC);
}

/* INT n in virtual-8086 mode with CR4.VME: the bit of the redirection map (32 bytes before the
 * I/O map) is 0 for interrupts that the 8086 program serves itself. -1 = c->fault. */
static int vme_redirected(struct vcpu *c, unsigned vector)
{
    const struct segment *tr = &c->seg[SEG_TR];
    uint8_t raw[2];
    if (!attr_present(tr->attr) || (tr->attr & SEG_ATTR_TYPE) < DESC_TSS32 || tr->limit < 103) {
        raise_gp0(c);
        return -1;
    }
    if (!lin_read(c, tr->base + 0x66, raw, 2, 0))
        return -1;
    uint32_t map = (uint32_t)load_le(raw, 2);
    if (map < 32 || map - 32 + vector / 8 > tr->limit) {
        raise_gp0(c);
        return -1;
    }
    if (!lin_read(c, tr->base + map - 32 + vector / 8, raw, 1, 0))
        return -1;
    return !(raw[0] >> (vector & 7) & 1);
}

/* INT n in virtual-8086 mode. STOP_NEXT: by the IDT, as everything else. */
static enum weir_stop deliver_v86_int(struct vcpu *c, const struct x86_fault *e)
{
    bool iopl3 = (c->rflags_rest & FLAG_IOPL) == FLAG_IOPL;
    if (c->cr4 & CR4_VME) {
        int redirected = vme_redirected(c, e->vector);
        if (redirected < 0)
            return STOP_FAULT;
        if (redirected) {
            uint64_t flags = cpu_rflags(c);
            if (iopl3)
                return deliver_ivt(c, e, 0, flags, FLAG_IF | FLAG_TF | FLAG_NT);
            flags = (flags & ~(uint64_t)FLAG_IF) | FLAG_IOPL;
            if (c->rflags_rest & FLAG_VIF)
                flags |= FLAG_IF;
            return deliver_ivt(c, e, 0, flags, FLAG_VIF | FLAG_TF | FLAG_NT);
        }
    }
    return iopl3 ? STOP_NEXT : raise_gp0(c);
}

/* ---- protected and long mode ---- */

static bool gate_read(struct vcpu *c, const struct x86_fault *e, struct gate *g)
{
    unsigned bytes = long_mode(c) ? 16 : 8;
    uint8_t raw[16];
    if (e->vector * bytes + bytes - 1 > c->idtr.limit)
        return idt_fault(c, VEC_GP, e->vector);
    if (!lin_read(c, c->idtr.base + e->vector * bytes, raw, bytes, 0))
        return false;
    uint32_t low = (uint32_t)load_le(raw, 4), high = (uint32_t)load_le(raw + 4, 4);
    g->type = (high >> 8) & 0x1f;
    g->selector = (uint16_t)(low >> 16);
    g->offset = (low & 0xffff) | (high & 0xffff0000);
    bool wide = g->type == DESC_INT32 || g->type == DESC_TRAP32;
    bool narrow = g->type == DESC_INT16 || g->type == DESC_TRAP16;
    if (bytes == 16) {
        g->offset |= load_le(raw + 8, 4) << 32;
        g->ist = high & 7;
        narrow = false;
    } else if (narrow) {
        g->offset &= 0xffff;
    }
    if (!wide && !narrow && !(g->type == DESC_TASK_GATE && bytes == 8))
        return idt_fault(c, VEC_GP, e->vector);
    if (is_software(e) && ((high >> 13) & 3) < c->cpl)
        return idt_fault(c, VEC_GP, e->vector);
    if (!(high & 0x8000))
        return idt_fault(c, VEC_NP, e->vector);
    return true;
}

static bool gate_code(struct vcpu *c, struct gate *g)
{
    if (selector_null(g->selector))
        return selector_fault(c, VEC_GP, 0);
    if (!descriptor_get(c, g->selector, VEC_GP, &g->code))
        return false;
    uint16_t attr = g->code.attr;
    if (!attr_is_code(attr) || attr_dpl(attr) > c->cpl)
        return selector_fault(c, VEC_GP, g->selector);
    if (long_mode(c) && (attr & (SEG_ATTR_L | SEG_ATTR_DB)) != SEG_ATTR_L)
        return selector_fault(c, VEC_GP, g->selector);
    if (!attr_present(attr))
        return selector_fault(c, VEC_NP, g->selector);
    g->inner = !attr_is_conforming(attr) && attr_dpl(attr) < c->cpl;
    g->cpl = g->inner ? attr_dpl(attr) : c->cpl;
    if ((c->mode & MODE_VM) && g->cpl != 0)
        return selector_fault(c, VEC_GP, g->selector);
    return descriptor_set_accessed(c, &g->code);
}

static void enter_handler(struct vcpu *c, const struct gate *g)
{
    code_set(c, g->selector, &g->code, g->cpl);
    c->rip = g->offset;
    c->rflags_rest &= ~(FLAG_TF | FLAG_VM | FLAG_RF | FLAG_NT);
    if (!(g->type & 1))
        c->rflags_rest &= ~FLAG_IF;
    cpu_mode_update(c);
}

static enum weir_stop deliver_gate(struct vcpu *c, const struct x86_fault *e, struct gate *g)
{
    unsigned width = g->type >= DESC_INT32 ? 4 : 2, n = 0;
    struct descriptor ss;
    struct stack s;
    bool v86 = c->mode & MODE_VM;
    if (g->inner) {
        if (!stack_from_tss(c, g->cpl, &s, &ss) || !descriptor_set_accessed(c, &ss))
            return STOP_FAULT;
        s.ss.attr = ss.attr;
    } else {
        stack_current(c, &s);
    }
    if (g->offset > (g->code.limit))
        return raise_gp0(c);
    uint64_t frame[10];
    if (g->inner && v86) {
        frame[n++] = c->seg[SEG_GS].selector;
        frame[n++] = c->seg[SEG_FS].selector;
        frame[n++] = c->seg[SEG_DS].selector;
        frame[n++] = c->seg[SEG_ES].selector;
    }
    if (g->inner) {
        frame[n++] = c->seg[SEG_SS].selector;
        frame[n++] = c->gpr[RSP];
    }
    frame[n++] = flags_image(c, e);
    frame[n++] = c->seg[SEG_CS].selector;
    frame[n++] = c->rip;
    if (e->has_error)
        frame[n++] = e->error;
    if (!frame_push(c, &s, width, frame, n))
        return STOP_FAULT;
    if (g->inner) {
        c->seg[SEG_SS] = s.ss;
        c->gpr[RSP] = (uint32_t)c->gpr[RSP];
    }
    if (g->inner && v86)
        for (unsigned k = 0; k < 4; k++)
            segment_set_null(c, (const uint8_t[]){SEG_ES, SEG_DS, SEG_FS, SEG_GS}[k], 0);
    stack_commit_sp(c, &s);
    enter_handler(c, g);
    return STOP_BOUNDARY;
}

static enum weir_stop deliver_gate64(struct vcpu *c, const struct x86_fault *e, struct gate *g)
{
    struct stack s = {.sp = c->gpr[RSP], .mask = ~0ull, .cpl = g->cpl};
    unsigned n = 0;
    if (g->ist || g->inner) {
        if (!rsp_from_tss(c, g->ist ? 3 + g->ist : g->cpl, &s.sp))
            return STOP_FAULT;
    }
    s.sp &= ~15ull;
    if (!is_canonical(g->offset))
        return raise_gp0(c);
    uint64_t frame[6];
    frame[n++] = c->seg[SEG_SS].selector;
    frame[n++] = c->gpr[RSP];
    frame[n++] = flags_image(c, e);
    frame[n++] = c->seg[SEG_CS].selector;
    frame[n++] = c->rip;
    if (e->has_error)
        frame[n++] = e->error;
    if (!frame_push(c, &s, 8, frame, n))
        return STOP_FAULT;
    if (g->inner)
        segment_set_null(c, SEG_SS, (uint16_t)g->cpl);
    c->gpr[RSP] = s.sp;
    enter_handler(c, g);
    return STOP_BOUNDARY;
}

static enum weir_stop deliver_protected(struct vcpu *c, const struct x86_fault *e)
{
    struct gate g = {0};
    if (!gate_read(c, e, &g))
        return STOP_FAULT;
    if (g.type == DESC_TASK_GATE)
        return task_switch(c, g.selector, TASK_EVENT, e->has_error, e->error);
    if (!gate_code(c, &g))
        return STOP_FAULT;
    return long_mode(c) ? deliver_gate64(c, e, &g) : deliver_gate(c, e, &g);
}

enum weir_stop event_deliver(struct vcpu *c, const struct x86_fault *event)
{
    enum weir_stop stop;
    if (!(c->mode & MODE_PE)) {
        stop = deliver_real(c, event);
    } else {
        stop = STOP_NEXT;
        if ((c->mode & MODE_VM) && event->kind == FAULT_SOFTWARE_INT)
            stop = deliver_v86_int(c, event);
        if (stop == STOP_NEXT)
            stop = deliver_protected(c, event);
    }
    /* EXT: the fault is due to an event from outside the program (SDM Vol. 3A 6.13). */
    if (stop != STOP_BOUNDARY && !is_software(event) && c->fault.has_error &&
        c->fault.vector >= VEC_TS && c->fault.vector <= VEC_GP)
        c->fault.error |= 1;
    return stop;
}
