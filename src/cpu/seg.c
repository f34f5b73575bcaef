/* SPDX-License-Identifier: MIT */
/*
 * seg.c - descriptors and segment registers (SDM Vol. 3A chapters 3 and 5), stacks.
 */
#include "cpu/seg.h"
#include "cpu/tlb.h"

bool selector_fault(struct vcpu *c, unsigned vector, uint16_t selector)
{
    raise_error(c, vector, selector & 0xfffc);
    return false;
}

static void descriptor_unpack(struct descriptor *d, const uint8_t raw[8])
{
    d->low = (uint32_t)load_le(raw, 4);
    d->high = (uint32_t)load_le(raw + 4, 4);
    d->base_high = 0;
    d->attr = (d->high >> 8) & 0xf0ff;
    d->base = (d->low >> 16) | ((d->high & 0xff) << 16) | (d->high & 0xff000000);
    d->limit = (d->low & 0xffff) | (d->high & 0xf0000);
    if (d->attr & SEG_ATTR_G)
        d->limit = d->limit << 12 | 0xfff;
}

enum descriptor_status descriptor_read(struct vcpu *c, uint16_t selector, struct descriptor *d)
{
    uint64_t base = c->gdtr.base;
    uint32_t limit = c->gdtr.limit;
    uint8_t raw[8];
    if (selector & 4) {
        if (!attr_present(c->seg[SEG_LDTR].attr))
            return DESCRIPTOR_OUTSIDE;
        base = c->seg[SEG_LDTR].base;
        limit = c->seg[SEG_LDTR].limit;
    }
    if ((selector | 7u) > limit)
        return DESCRIPTOR_OUTSIDE;
    d->address = base + (selector & 0xfff8);
    if (!lin_read(c, d->address, raw, 8, 0))
        return DESCRIPTOR_FAULT;
    descriptor_unpack(d, raw);
    return DESCRIPTOR_OK;
}

bool descriptor_get(struct vcpu *c, uint16_t selector, unsigned vector, struct descriptor *d)
{
    switch (descriptor_read(c, selector, d)) {
    case DESCRIPTOR_OK:
        return true;
    case DESCRIPTOR_OUTSIDE:
        return selector_fault(c, vector, selector);
    default:
        return false;
    }
}

bool descriptor_get_high(struct vcpu *c, uint16_t selector, unsigned vector,
                         struct descriptor *d)
{
    uint8_t raw[8];
    uint32_t limit = selector & 4 ? c->seg[SEG_LDTR].limit : c->gdtr.limit;
    if ((selector | 7u) + 8 > limit)
        return selector_fault(c, vector, selector);
    if (!lin_read(c, d->address + 8, raw, 8, 0))
        return false;
    if (load_le(raw + 4, 4) & 0x1f00)
        return selector_fault(c, vector, selector);
    d->base_high = (uint32_t)load_le(raw, 4);
    d->base |= (uint64_t)d->base_high << 32;
    return true;
}

bool descriptor_set_accessed(struct vcpu *c, struct descriptor *d)
{
    if (d->attr & SEG_ATTR_ACCESSED)
        return true;
    uint8_t type = (uint8_t)(d->high >> 8 | SEG_ATTR_ACCESSED);
    if (!lin_write(c, d->address + 5, &type, 1, 0))
        return false;
    d->high |= SEG_ATTR_ACCESSED << 8;
    d->attr |= SEG_ATTR_ACCESSED;
    return true;
}

bool descriptor_set_busy(struct vcpu *c, struct descriptor *d, bool busy)
{
    uint8_t type = (uint8_t)(d->high >> 8);
    type = busy ? type | 2 : type & ~2;
    if (!lin_write(c, d->address + 5, &type, 1, 0))
        return false;
    d->attr = busy ? d->attr | 2 : d->attr & ~2;
    d->high = (d->high & ~0xff00u) | (uint32_t)type << 8;
    return true;
}

/* ---- registers ---- */

void segment_set(struct vcpu *c, unsigned seg, uint16_t selector, const struct descriptor *d)
{
    c->seg[seg] = (struct segment){d->base, d->limit, selector, d->attr};
}

void segment_set_null(struct vcpu *c, unsigned seg, uint16_t selector)
{
    /* A null SS keeps the privilege it stands for, as SS.DPL always does. */
    uint16_t attr = seg == SEG_SS ? (uint16_t)((selector & 3) << SEG_ATTR_DPL_SHIFT) : 0;
    c->seg[seg] = (struct segment){0, 0, selector, attr};
}

void segment_set_real(struct vcpu *c, unsigned seg, uint16_t selector)
{
    /* Limit and attributes stay what they are ("unreal" mode). */
    c->seg[seg].selector = selector;
    c->seg[seg].base = (uint32_t)selector << 4;
}

void segment_set_v86(struct vcpu *c, unsigned seg, uint16_t selector)
{
    c->seg[seg] = (struct segment){(uint32_t)selector << 4, 0xffff, selector, 0xf3};
}

void code_set(struct vcpu *c, uint16_t selector, const struct descriptor *d, unsigned cpl)
{
    segment_set(c, SEG_CS, (uint16_t)((selector & 0xfffc) | cpl), d);
    c->cpl = (uint8_t)cpl;
}

static bool stack_load_checks(struct vcpu *c, uint16_t selector, struct descriptor *d)
{
    if (!descriptor_get(c, selector, VEC_GP, d))
        return false;
    if ((selector & 3) != c->cpl || !attr_is_writable_data(d->attr) ||
        attr_dpl(d->attr) != c->cpl)
        return selector_fault(c, VEC_GP, selector);
    if (!attr_present(d->attr))
        return selector_fault(c, VEC_SS, selector);
    return true;
}

static bool data_load_checks(struct vcpu *c, uint16_t selector, struct descriptor *d)
{
    if (!descriptor_get(c, selector, VEC_GP, d))
        return false;
    bool code = attr_is_code(d->attr);
    unsigned rpl = selector & 3, dpl = attr_dpl(d->attr);
    if (!(d->attr & SEG_ATTR_S) || (code && !(d->attr & SEG_ATTR_RW)))
        return selector_fault(c, VEC_GP, selector);
    if (!(code && attr_is_conforming(d->attr)) && (rpl > dpl || c->cpl > dpl))
        return selector_fault(c, VEC_GP, selector);
    if (!attr_present(d->attr))
        return selector_fault(c, VEC_NP, selector);
    return true;
}

bool segment_load(struct vcpu *c, unsigned seg, uint16_t selector)
{
    struct descriptor d;
    if (!protected_mode(c)) {
        if (c->mode & MODE_VM)
            segment_set_v86(c, seg, selector);
        else
            segment_set_real(c, seg, selector);
        seg_cache_update(c, seg);
        return true;
    }
    if (selector_null(selector)) {
        if (seg == SEG_SS && !(cpu_is_64bit(c) && c->cpl != 3 && (selector & 3) == c->cpl)) {
            raise_gp0(c);
            return false;
        }
        segment_set_null(c, seg, selector);
    } else {
        if (!(seg == SEG_SS ? stack_load_checks : data_load_checks)(c, selector, &d) ||
            !descriptor_set_accessed(c, &d))
            return false;
        segment_set(c, seg, selector, &d);
    }
    if (seg == SEG_SS)
        cpu_mode_update(c);
    else
        seg_cache_update(c, seg);
    return true;
}

void segments_revalidate(struct vcpu *c)
{
    static const uint8_t data[] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    for (unsigned k = 0; k < ARRAY_SIZE(data); k++) {
        struct segment *s = &c->seg[data[k]];
        bool conforming = attr_is_code(s->attr) && attr_is_conforming(s->attr);
        /* A null FS or GS may have a base of its own, which stays. */
        if (!selector_null(s->selector) && !conforming && attr_dpl(s->attr) < c->cpl)
            segment_set_null(c, data[k], 0);
    }
}

/* ---- stacks ---- */

static uint64_t mask_of(const struct vcpu *c, const struct segment *ss)
{
    if (cpu_is_64bit(c))
        return ~0ull;
    return ss->attr & SEG_ATTR_DB ? 0xffffffff : 0xffff;
}

void stack_current(const struct vcpu *c, struct stack *s)
{
    *s = (struct stack){.ss = c->seg[SEG_SS],
                        .sp = c->gpr[RSP],
                        .mask = mask_of(c, &c->seg[SEG_SS]),
                        .cpl = c->cpl};
}

bool stack_from_tss(struct vcpu *c, unsigned cpl, struct stack *s, struct descriptor *d)
{
    const struct segment *tr = &c->seg[SEG_TR];
    bool wide = (tr->attr & SEG_ATTR_TYPE) >= DESC_TSS32;
    unsigned at = wide ? 4 + cpl * 8 : 2 + cpl * 4, width = wide ? 4 : 2;
    uint8_t raw[8];
    if (!attr_present(tr->attr) || at + width + 1 > tr->limit)
        return selector_fault(c, VEC_TS, tr->selector);
    if (!lin_read(c, tr->base + at, raw, width + 2, 0))
        return false;
    uint16_t selector = (uint16_t)load_le(raw + width, 2);
    if (selector_null(selector))
        return selector_fault(c, VEC_TS, 0);
    if (!descriptor_get(c, selector, VEC_TS, d))
        return false;
    if ((selector & 3) != cpl || attr_dpl(d->attr) != cpl || !attr_is_writable_data(d->attr))
        return selector_fault(c, VEC_TS, selector);
    if (!attr_present(d->attr))
        return selector_fault(c, VEC_SS, selector);
    s->ss = (struct segment){d->base, d->limit, selector, d->attr};
    s->sp = load_le(raw, width);
    s->mask = d->attr & SEG_ATTR_DB ? 0xffffffff : 0xffff;
    s->cpl = cpl;
    s->error = selector & 0xfffc;
    return true;
}

bool rsp_from_tss(struct vcpu *c, unsigned slot, uint64_t *rsp)
{
    const struct segment *tr = &c->seg[SEG_TR];
    unsigned at = 4 + slot * 8;
    uint8_t raw[8];
    if (!attr_present(tr->attr) || at + 7 > tr->limit)
        return selector_fault(c, VEC_TS, tr->selector);
    if (!lin_read(c, tr->base + at, raw, 8, 0))
        return false;
    *rsp = load_le(raw, 8);
    if (!is_canonical(*rsp)) {
        raise_error(c, VEC_SS, 0);
        return false;
    }
    return true;
}

/* Linear address of [sp, sp+size) of the stack, limit and canonical form checked. */
static bool stack_linear(struct vcpu *c, const struct stack *s, uint64_t sp, unsigned size,
                         uint64_t *linear)
{
    if (s->mask == ~0ull) {
        *linear = sp;
        if (is_canonical(sp) && is_canonical(sp + (size - 1)))
            return true;
    } else {
        *linear = (s->ss.base + sp) & 0xffffffff;
        if (seg_contains(&s->ss, sp, size))
            return true;
    }
    raise_error(c, VEC_SS, s->error);
    return false;
}

static bool push_contiguous(struct vcpu *c, struct stack *s, unsigned width,
                            const uint64_t *values, unsigned count)
{
    uint8_t frame[40 * 8];
    uint64_t linear, sp = (s->sp - count * width) & s->mask;
    for (unsigned k = 0; k < count; k++)
        store_le(frame + (count - 1 - k) * width, values[k], width);
    return stack_linear(c, s, sp, count * width, &linear) &&
           lin_write(c, linear, frame, count * width, s->cpl);
}

bool frame_push(struct vcpu *c, struct stack *s, unsigned width, const uint64_t *values,
                unsigned count)
{
    uint64_t linear, sp = s->sp & s->mask;
    if (sp >= count * width || s->mask == ~0ull) {
        if (!push_contiguous(c, s, width, values, count))
            return false;
    } else {
        /* The frame wraps around: value by value, all checked before the first is stored. */
        for (unsigned k = 1; k <= count; k++)
            if (!stack_linear(c, s, (sp - k * width) & s->mask, width, &linear) ||
                !lin_probe(c, linear, width, ACCESS_WRITE, s->cpl))
                return false;
        for (unsigned k = 1; k <= count; k++)
            if (!stack_linear(c, s, (sp - k * width) & s->mask, width, &linear) ||
                !lin_write(c, linear, &values[k - 1], width, s->cpl))
                return false;
    }
    s->sp = (s->sp & ~s->mask) | ((sp - count * width) & s->mask);
    return true;
}

bool frame_pop(struct vcpu *c, struct stack *s, unsigned width, uint64_t *values,
               unsigned count)
{
    uint64_t sp = s->sp & s->mask, linear;
    for (unsigned k = 0; k < count; k++) {
        values[k] = 0;
        if (!stack_linear(c, s, (sp + k * width) & s->mask, width, &linear) ||
            !lin_read(c, linear, &values[k], width, s->cpl))
            return false;
    }
    s->sp = (s->sp & ~s->mask) | ((sp + count * width) & s->mask);
    return true;
}

void stack_commit_sp(struct vcpu *c, const struct stack *s)
{
    uint64_t keep = s->mask == 0xffff ? c->gpr[RSP] & ~0xffffull : 0;
    c->gpr[RSP] = keep | (s->sp & s->mask);
}
