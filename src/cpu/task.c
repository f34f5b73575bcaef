/* SPDX-License-Identifier: MIT */
/*
 * task.c - hardware task switch (SDM Vol. 3A 8.3).
 *
 * Three parts. Up to the commit point everything is read and every page that will be written is
 * probed, so a fault happens in the old task with nothing changed. Then both TSSs and
 * descriptors are written and the registers are loaded; segment descriptors are checked last,
 * and what is wrong with them is a fault of the new task (STOP_TRAP).
 */
#include "cpu/control.h"
#include "cpu/events.h"
#include "cpu/seg.h"

#define TSS32_BYTES 104u
#define TSS16_BYTES 44u

struct task {
    uint16_t selector;
    struct descriptor d;
    bool wide;
    uint8_t tss[TSS32_BYTES];
};

/* Order of the general registers in a TSS is that of their numbers. */
static unsigned eip_at(bool wide)
{
    return wide ? 0x20 : 0x0e;
}
static unsigned flags_at(bool wide)
{
    return wide ? 0x24 : 0x10;
}
static unsigned gpr_at(bool wide, unsigned n)
{
    return wide ? 0x28 + 4 * n : 0x12 + 2 * n;
}
static unsigned seg_at(bool wide, unsigned n)
{
    return wide ? 0x48 + 4 * n : 0x22 + 2 * n;
}

/* ---- before the commit point ---- */

static bool find_task(struct vcpu *c, enum task_source source, struct task *t)
{
    unsigned bad = source == TASK_IRET ? VEC_TS : VEC_GP;
    if (t->selector & 4)
        return selector_fault(c, bad, t->selector);
    if (!descriptor_get(c, t->selector, bad, &t->d))
        return false;
    unsigned type = attr_system_type(t->d.attr);
    bool busy = type == DESC_TSS16_BUSY || type == DESC_TSS32_BUSY;
    bool free = type == DESC_TSS16 || type == DESC_TSS32;
    if (source == TASK_IRET ? !busy : !free)
        return selector_fault(c, bad, t->selector);
    if (!attr_present(t->d.attr))
        return selector_fault(c, VEC_NP, t->selector);
    t->wide = type == DESC_TSS32 || type == DESC_TSS32_BUSY;
    if (t->d.limit < (t->wide ? TSS32_BYTES : TSS16_BYTES) - 1)
        return selector_fault(c, VEC_TS, t->selector);
    return true;
}

static bool prepare(struct vcpu *c, enum task_source source, struct task *t,
                    struct descriptor *old)
{
    const struct segment *tr = &c->seg[SEG_TR];
    unsigned old_bytes = attr_system_type(tr->attr) >= DESC_TSS32 ? 0x60 : 0x2a;
    if (!attr_present(tr->attr))
        return selector_fault(c, VEC_TS, tr->selector);
    if (!lin_read(c, t->d.base, t->tss, t->wide ? TSS32_BYTES : TSS16_BYTES, 0) ||
        !lin_probe(c, t->d.base, 2, ACCESS_WRITE, 0) ||
        !lin_probe(c, tr->base, old_bytes, ACCESS_WRITE, 0) ||
        !lin_probe(c, t->d.address, 8, ACCESS_WRITE, 0))
        return false;
    if (source != TASK_JMP && source != TASK_IRET)
        return true;
    return descriptor_get(c, tr->selector, VEC_TS, old) &&
           lin_probe(c, old->address, 8, ACCESS_WRITE, 0);
}

/* ---- commit ---- */

static void save_old(struct vcpu *c, uint32_t flags)
{
    const struct segment *tr = &c->seg[SEG_TR];
    bool wide = attr_system_type(tr->attr) >= DESC_TSS32;
    unsigned width = wide ? 4 : 2, from = eip_at(wide);
    uint8_t image[TSS32_BYTES];
    store_le(image + eip_at(wide), c->rip, width);
    store_le(image + flags_at(wide), flags, width);
    for (unsigned n = 0; n < 8; n++)
        store_le(image + gpr_at(wide, n), c->gpr[n], width);
    for (unsigned n = SEG_ES; n <= (wide ? SEG_GS : SEG_DS); n++)
        store_le(image + seg_at(wide, n), c->seg[n].selector, 2);
    if (!wide) {
        lin_write(c, tr->base + from, image + from, seg_at(wide, SEG_DS) + 2 - from, 0);
        return;
    }
    lin_write(c, tr->base + from, image + from, seg_at(wide, 0) - from, 0);
    for (unsigned n = SEG_ES; n <= SEG_GS; n++)
        lin_write(c, tr->base + seg_at(wide, n), image + seg_at(wide, n), 2, 0);
}

static bool load_cr3(struct vcpu *c, const struct task *t)
{
    if (!t->wide || !(c->cr0 & CR0_PG))
        return true;
    uint64_t value = load_le(t->tss + 0x1c, 4);
    if (event_armed(c, WEIR_EV_CR3) && (value ^ c->cr3) >> 12)
        event_cr3(c, c->cr3, value);
    return cr3_load(c, value) || gp0_fault(c);
}

static void load_registers(struct vcpu *c, const struct task *t, bool nested)
{
    unsigned width = t->wide ? 4 : 2;
    c->rip = load_le(t->tss + eip_at(t->wide), width);
    for (unsigned n = 0; n < 8; n++)
        c->gpr[n] = load_le(t->tss + gpr_at(t->wide, n), width);
    uint64_t flags = load_le(t->tss + flags_at(t->wide), width);
    if (nested)
        flags |= FLAG_NT;
    flags &= FLAGS_ARITH | FLAG_TF | FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_NT | FLAG_RF |
             FLAG_VM | FLAG_AC | FLAG_VIF | FLAG_VIP | FLAG_ID;
    cpu_set_rflags(c, flags | FLAG_FIXED);
    c->dr[7] &= ~0x155ull; /* local breakpoints belong to the old task */
    for (unsigned n = SEG_ES; n <= SEG_GS; n++) {
        uint16_t selector = 0;
        if (t->wide || n <= SEG_DS)
            selector = (uint16_t)load_le(t->tss + seg_at(t->wide, n), 2);
        c->seg[n] = (struct segment){.selector = selector};
    }
    uint16_t ldt = (uint16_t)load_le(t->tss + (t->wide ? 0x60 : 0x2a), 2);
    c->seg[SEG_LDTR] = (struct segment){.selector = ldt};
}

/* ---- in the new task ---- */

static bool load_ldt(struct vcpu *c)
{
    uint16_t selector = c->seg[SEG_LDTR].selector;
    struct descriptor d;
    if (selector_null(selector))
        return true;
    if (selector & 4)
        return selector_fault(c, VEC_TS, selector);
    if (!descriptor_get(c, selector, VEC_TS, &d))
        return false;
    if (attr_system_type(d.attr) != DESC_LDT || !attr_present(d.attr))
        return selector_fault(c, VEC_TS, selector);
    segment_set(c, SEG_LDTR, selector, &d);
    return true;
}

static bool load_code(struct vcpu *c)
{
    uint16_t selector = c->seg[SEG_CS].selector;
    struct descriptor d;
    unsigned rpl = selector & 3;
    if (selector_null(selector))
        return selector_fault(c, VEC_TS, selector);
    if (!descriptor_get(c, selector, VEC_TS, &d))
        return false;
    bool level = attr_is_conforming(d.attr) ? attr_dpl(d.attr) <= rpl : attr_dpl(d.attr) == rpl;
    if (!attr_is_code(d.attr) || !level)
        return selector_fault(c, VEC_TS, selector);
    if (!attr_present(d.attr))
        return selector_fault(c, VEC_NP, selector);
    if (!descriptor_set_accessed(c, &d))
        return false;
    code_set(c, selector, &d, rpl);
    return true;
}

static bool load_stack(struct vcpu *c)
{
    uint16_t selector = c->seg[SEG_SS].selector;
    struct descriptor d;
    if (selector_null(selector))
        return selector_fault(c, VEC_TS, selector);
    if (!descriptor_get(c, selector, VEC_TS, &d))
        return false;
    if ((selector & 3) != c->cpl || attr_dpl(d.attr) != c->cpl ||
        !attr_is_writable_data(d.attr))
        return selector_fault(c, VEC_TS, selector);
    if (!attr_present(d.attr))
        return selector_fault(c, VEC_SS, selector);
    if (!descriptor_set_accessed(c, &d))
        return false;
    segment_set(c, SEG_SS, selector, &d);
    return true;
}

static bool load_data(struct vcpu *c, unsigned seg)
{
    uint16_t selector = c->seg[seg].selector;
    struct descriptor d;
    if (selector_null(selector))
        return true;
    if (!descriptor_get(c, selector, VEC_TS, &d))
        return false;
    bool code = attr_is_code(d.attr);
    if (!(d.attr & SEG_ATTR_S) || (code && !(d.attr & SEG_ATTR_RW)) ||
        (!(code && attr_is_conforming(d.attr)) &&
         (attr_dpl(d.attr) < c->cpl || attr_dpl(d.attr) < (selector & 3))))
        return selector_fault(c, VEC_TS, selector);
    if (!attr_present(d.attr))
        return selector_fault(c, VEC_NP, selector);
    if (!descriptor_set_accessed(c, &d))
        return false;
    segment_set(c, seg, selector, &d);
    return true;
}

static bool load_segments(struct vcpu *c)
{
    bool v86 = c->rflags_rest & FLAG_VM;
    c->cpl = v86 ? 3 : c->seg[SEG_CS].selector & 3;
    if (v86)
        for (unsigned n = SEG_ES; n <= SEG_GS; n++)
            segment_set_v86(c, n, c->seg[n].selector);
    cpu_mode_update(c);
    if (!load_ldt(c))
        return false;
    return v86 || (load_code(c) && load_stack(c) && load_data(c, SEG_DS) &&
                   load_data(c, SEG_ES) && load_data(c, SEG_FS) && load_data(c, SEG_GS));
}

static bool push_error(struct vcpu *c, bool wide, uint32_t error)
{
    struct stack s;
    uint64_t value = error;
    stack_current(c, &s);
    if (!frame_push(c, &s, wide ? 4 : 2, &value, 1))
        return false;
    stack_commit_sp(c, &s);
    return true;
}

static enum weir_stop switch_to(struct vcpu *c, uint16_t selector, enum task_source source,
                                bool has_error, uint32_t error)
{
    struct task t = {.selector = selector};
    struct descriptor old;
    uint32_t flags = (uint32_t)cpu_rflags(c);
    uint16_t old_selector = c->seg[SEG_TR].selector;
    bool nested = source == TASK_CALL || source == TASK_EVENT;
    if (!find_task(c, source, &t) || !prepare(c, source, &t, &old) ||
        !event_task(c, old_selector, selector))
        return STOP_FAULT;
    if (!nested)
        descriptor_set_busy(c, &old, false);
    save_old(c, source == TASK_IRET ? flags & ~FLAG_NT : flags);
    if (nested)
        lin_write(c, t.d.base, &old_selector, 2, 0);
    if (source != TASK_IRET)
        descriptor_set_busy(c, &t.d, true);
    /* Committed: from here on faults are the new task's. */
    segment_set(c, SEG_TR, selector, &t.d);
    c->cr0 |= CR0_TS;
    bool cr3_ok = load_cr3(c, &t);
    load_registers(c, &t, nested);
    bool ok = load_segments(c) && cr3_ok;
    cpu_mode_update(c);
    tlb_flush_non_global(c);
    if (!ok)
        return STOP_TRAP;
    if (has_error && !push_error(c, t.wide, error))
        return STOP_TRAP;
    if (c->rip > c->seg[SEG_CS].limit) {
        raise_gp0(c);
        return STOP_TRAP;
    }
    if (t.wide && (t.tss[0x64] & 1)) {
        c->fault = (struct x86_fault){.vector = VEC_DB, .dr6_bits = DR6_BT};
        return STOP_TRAP;
    }
    return STOP_BOUNDARY;
}

/* What it accesses cannot be begun again. */
enum weir_stop task_switch(struct vcpu *c, uint16_t selector, enum task_source source,
                           bool has_error, uint32_t error)
{
    c->ev.in_place++;
    enum weir_stop stop = switch_to(c, selector, source, has_error, error);
    c->ev.in_place--;
    return stop;
}
