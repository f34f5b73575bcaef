/* SPDX-License-Identifier: MIT */
/* sys_table.c - LGDT, LIDT, SGDT, SIDT, LLDT, SLDT, LTR, STR. */
#include "cpu/events.h"
#include "cpu/interp/operands.h"
#include "cpu/seg.h"
#include "cpu/tlb.h"

/* User-mode instruction prevention: the S* instructions fault above CPL 0. */
static bool umip_blocks(const struct vcpu *c)
{
    return (c->cr4 & CR4_UMIP) && c->cpl;
}

static unsigned table_number(const struct vcpu *c, const struct table_register *table)
{
    return table == &c->gdtr ? WEIR_TABLE_GDTR : WEIR_TABLE_IDTR;
}

static enum weir_stop load_table(struct vcpu *c, const struct insn *i,
                                 struct table_register *table)
{
    bool dropped;
    unsigned base_bytes = cpu_is_64bit(c) ? 8 : 4;
    uint8_t raw[10];
    if (c->cpl)
        return raise_gp0(c);
    if (!mem_read_bytes(c, i->seg, insn_offset(c, i), raw, 2 + base_bytes))
        return STOP_FAULT;
    uint64_t base = load_le(raw + 2, base_bytes);
    if (base_bytes == 8 && !is_canonical(base))
        return raise_gp0(c);
    if (i->opsize == 2 && base_bytes == 4)
        base &= 0xffffff;
    uint16_t limit = (uint16_t)load_le(raw, 2);
    if (!event_table(c, table_number(c, table), true, base, limit, 0, &dropped))
        return STOP_FAULT;
    if (dropped)
        return STOP_NEXT;
    table->limit = limit;
    table->base = base;
    return STOP_NEXT;
}

static enum weir_stop store_table(struct vcpu *c, const struct insn *i,
                                  const struct table_register *table)
{
    unsigned base_bytes = cpu_is_64bit(c) ? 8 : 4;
    uint8_t raw[10];
    bool dropped;
    if (umip_blocks(c))
        return raise_gp0(c);
    if (!event_table(c, table_number(c, table), false, table->base, table->limit, 0, &dropped))
        return STOP_FAULT;
    store_le(raw, table->limit, 2);
    store_le(raw + 2, table->base, base_bytes);
    return mem_write_bytes(c, i->seg, insn_offset(c, i), raw, 2 + base_bytes) ? STOP_NEXT
                                                                              : STOP_FAULT;
}

enum weir_stop op_lgdt(struct vcpu *c, const struct insn *i)
{
    return load_table(c, i, &c->gdtr);
}
enum weir_stop op_lidt(struct vcpu *c, const struct insn *i)
{
    return load_table(c, i, &c->idtr);
}
enum weir_stop op_sgdt(struct vcpu *c, const struct insn *i)
{
    return store_table(c, i, &c->gdtr);
}
enum weir_stop op_sidt(struct vcpu *c, const struct insn *i)
{
    return store_table(c, i, &c->idtr);
}

static enum weir_stop store_selector(struct vcpu *c, const struct insn *i, unsigned seg)
{
    if (!protected_mode(c))
        return raise_ud(c);
    bool dropped;
    if (umip_blocks(c))
        return raise_gp0(c);
    if (!event_table(c, seg == SEG_TR ? WEIR_TABLE_TR : WEIR_TABLE_LDTR, false,
                     c->seg[seg].base, c->seg[seg].limit, c->seg[seg].selector, &dropped))
        return STOP_FAULT;
    return rm_store(c, i, i->mem ? 2 : i->opsize, c->seg[seg].selector) ? STOP_NEXT
                                                                        : STOP_FAULT;
}

enum weir_stop op_sldt(struct vcpu *c, const struct insn *i)
{
    return store_selector(c, i, SEG_LDTR);
}
enum weir_stop op_str(struct vcpu *c, const struct insn *i)
{
    return store_selector(c, i, SEG_TR);
}

/* Operand of LLDT and LTR. */
static bool load_selector(struct vcpu *c, const struct insn *i, unsigned table,
                          uint16_t *selector, bool *dropped)
{
    uint64_t v;
    if (!protected_mode(c)) {
        raise_ud(c);
        return false;
    }
    if (c->cpl)
        return gp0_fault(c);
    if (!rm_load(c, i, 2, &v))
        return false;
    *selector = (uint16_t)v;
    return event_table(c, table, true, 0, 0, *selector, dropped);
}

/* The system descriptor, if its type is in the bit map. */
static bool system_descriptor(struct vcpu *c, uint16_t selector, uint32_t types,
                              struct descriptor *d)
{
    if (selector & 4)
        return selector_fault(c, VEC_GP, selector);
    if (!descriptor_get(c, selector, VEC_GP, d))
        return false;
    if ((d->attr & SEG_ATTR_S) || !(types >> (d->attr & SEG_ATTR_TYPE) & 1))
        return selector_fault(c, VEC_GP, selector);
    if (!attr_present(d->attr))
        return selector_fault(c, VEC_NP, selector);
    if (!long_mode(c))
        return true;
    if (!descriptor_get_high(c, selector, VEC_GP, d))
        return false;
    return is_canonical(d->base) || selector_fault(c, VEC_GP, selector);
}

enum weir_stop op_lldt(struct vcpu *c, const struct insn *i)
{
    uint16_t selector;
    struct descriptor d;
    bool dropped;
    if (!load_selector(c, i, WEIR_TABLE_LDTR, &selector, &dropped))
        return STOP_FAULT;
    if (dropped)
        return STOP_NEXT;
    if (selector_null(selector)) {
        segment_set_null(c, SEG_LDTR, selector);
        return STOP_NEXT;
    }
    if (!system_descriptor(c, selector, 1u << DESC_LDT, &d))
        return STOP_FAULT;
    segment_set(c, SEG_LDTR, selector, &d);
    return STOP_NEXT;
}

enum weir_stop op_ltr(struct vcpu *c, const struct insn *i)
{
    uint16_t selector;
    struct descriptor d;
    uint32_t types = 1u << DESC_TSS32 | (long_mode(c) ? 0 : 1u << DESC_TSS16);
    bool dropped;
    if (!load_selector(c, i, WEIR_TABLE_TR, &selector, &dropped))
        return STOP_FAULT;
    if (dropped)
        return STOP_NEXT;
    if (selector_null(selector))
        return raise_gp0(c);
    if (!system_descriptor(c, selector, types, &d) || !descriptor_set_busy(c, &d, true))
        return STOP_FAULT;
    segment_set(c, SEG_TR, selector, &d);
    return STOP_NEXT;
}
