/* SPDX-License-Identifier: MIT */
/*
 * sys_segment.c - segment registers: MOV, PUSH, POP, LDS and relatives; LAR, LSL, VERR, VERW,
 * ARPL.
 */
#include "cpu/interp/operands.h"
#include "cpu/seg.h"

/* Result of loading a segment register: SS changes the mode and holds off interrupts. */
static enum weir_stop after_load(struct vcpu *c, unsigned seg, bool shadow)
{
    if (seg != SEG_SS)
        return STOP_NEXT;
    if (shadow)
        c->shadow |= SHADOW_MOV_SS;
    return STOP_BOUNDARY;
}

enum weir_stop op_mov_sreg(struct vcpu *c, const struct insn *i)
{
    unsigned seg = i->reg;
    uint64_t v;
    if (seg > SEG_GS)
        return raise_ud(c);
    if (i->opcode == 0x8c)
        return rm_store(c, i, i->mem ? 2 : i->opsize, c->seg[seg].selector) ? STOP_NEXT
                                                                            : STOP_FAULT;
    if (seg == SEG_CS)
        return raise_ud(c);
    if (!rm_load(c, i, 2, &v) || !segment_load(c, seg, (uint16_t)v))
        return STOP_FAULT;
    return after_load(c, seg, true);
}

enum weir_stop op_push_sreg(struct vcpu *c, const struct insn *i)
{
    unsigned seg = insn_row(i)->operands[0].fixed;
    return stack_push(c, i->opsize, c->seg[seg].selector) ? STOP_NEXT : STOP_FAULT;
}

enum weir_stop op_pop_sreg(struct vcpu *c, const struct insn *i)
{
    unsigned seg = insn_row(i)->operands[0].fixed;
    uint64_t v, rsp = c->gpr[RSP];
    if (!stack_top(c, i->opsize, &v))
        return STOP_FAULT;
    stack_drop(c, i->opsize); /* by the old stack's width */
    if (!segment_load(c, seg, (uint16_t)v)) {
        c->gpr[RSP] = rsp;
        return STOP_FAULT;
    }
    return after_load(c, seg, true);
}

enum weir_stop op_lfp(struct vcpu *c, const struct insn *i)
{
    uint8_t raw[10];
    unsigned seg;
    switch (i->opcode) {
    case 0xc4:
        seg = SEG_ES;
        break;
    case 0xc5:
        seg = SEG_DS;
        break;
    case 0xb2:
        seg = SEG_SS;
        break;
    default:
        seg = i->opcode == 0xb4 ? SEG_FS : SEG_GS;
    }
    if (!mem_read_bytes(c, i->seg, insn_offset(c, i), raw, i->opsize + 2u) ||
        !segment_load(c, seg, (uint16_t)load_le(raw + i->opsize, 2)))
        return STOP_FAULT;
    reg_set(c, i->reg, i->opsize, load_le(raw, i->opsize));
    return after_load(c, seg, false);
}

/* ---- looking at descriptors ---- */

static void set_zf(struct vcpu *c, bool on)
{
    c->flags = (c->flags & ~FLAG_ZF) | (on ? FLAG_ZF : 0);
}

/* Reads the selector operand and its descriptor. *visible: it may be looked at from this CPL
 * and RPL; `system_types` = bit map of the system types that count. */
static enum weir_stop inspect(struct vcpu *c, const struct insn *i, uint32_t system_types,
                              struct descriptor *d, bool *visible)
{
    uint64_t v;
    *visible = false;
    if (!protected_mode(c))
        return raise_ud(c);
    if (!rm_load(c, i, 2, &v))
        return STOP_FAULT;
    uint16_t selector = (uint16_t)v;
    if (selector_null(selector))
        return STOP_NEXT;
    switch (descriptor_read(c, selector, d)) {
    case DESCRIPTOR_FAULT:
        return STOP_FAULT;
    case DESCRIPTOR_OUTSIDE:
        return STOP_NEXT;
    case DESCRIPTOR_OK:
        break;
    }
    unsigned rpl = selector & 3, dpl = attr_dpl(d->attr);
    bool level = dpl >= c->cpl && dpl >= rpl;
    if (!(d->attr & SEG_ATTR_S))
        *visible = level && (system_types >> (d->attr & SEG_ATTR_TYPE) & 1);
    else
        *visible = level || (attr_is_code(d->attr) && attr_is_conforming(d->attr));
    return STOP_NEXT;
}

/* Types 1, 2, 3, 4, 5, 9, 11, 12; in long mode those that exist there. */
#define LAR_TYPES      0x1a3eu
#define LAR_TYPES_LONG 0x1a04u
#define LSL_TYPES      0x0a0eu
#define LSL_TYPES_LONG 0x0a04u

enum weir_stop op_lar(struct vcpu *c, const struct insn *i)
{
    struct descriptor d;
    bool visible;
    enum weir_stop stop =
        inspect(c, i, long_mode(c) ? LAR_TYPES_LONG : LAR_TYPES, &d, &visible);
    if (stop != STOP_NEXT)
        return stop;
    if (visible)
        reg_set(c, i->reg, i->opsize, d.high & (i->opsize == 2 ? 0xff00 : 0xffff00));
    set_zf(c, visible);
    return STOP_NEXT;
}

enum weir_stop op_lsl(struct vcpu *c, const struct insn *i)
{
    struct descriptor d;
    bool visible;
    enum weir_stop stop =
        inspect(c, i, long_mode(c) ? LSL_TYPES_LONG : LSL_TYPES, &d, &visible);
    if (stop != STOP_NEXT)
        return stop;
    if (visible)
        reg_set(c, i->reg, i->opsize, d.limit);
    set_zf(c, visible);
    return STOP_NEXT;
}

enum weir_stop op_verr(struct vcpu *c, const struct insn *i)
{
    struct descriptor d;
    bool visible;
    enum weir_stop stop = inspect(c, i, 0, &d, &visible);
    if (stop != STOP_NEXT)
        return stop;
    set_zf(c, visible && (!attr_is_code(d.attr) || (d.attr & SEG_ATTR_RW)));
    return STOP_NEXT;
}

enum weir_stop op_verw(struct vcpu *c, const struct insn *i)
{
    struct descriptor d;
    bool visible;
    enum weir_stop stop = inspect(c, i, 0, &d, &visible);
    if (stop != STOP_NEXT)
        return stop;
    set_zf(c, visible && attr_is_writable_data(d.attr));
    return STOP_NEXT;
}

enum weir_stop op_arpl(struct vcpu *c, const struct insn *i)
{
    uint64_t rpl = c->gpr[i->reg] & 3;
    struct mem_rmw m;
    if (!protected_mode(c))
        return raise_ud(c);
    if (!i->mem) {
        uint64_t v = reg_get(c, i->rm, 2);
        set_zf(c, (v & 3) < rpl);
        if ((v & 3) < rpl)
            reg_set(c, i->rm, 2, (v & ~3ull) | rpl);
        return STOP_NEXT;
    }
    if (!rmw_open(c, i, 2, &m))
        return STOP_FAULT;
    bool lower = (m.value[0] & 3) < rpl;
    rmw_close(c, &m, 2, lower ? (m.value[0] & ~3ull) | rpl : m.value[0]);
    set_zf(c, lower);
    return STOP_NEXT;
}
