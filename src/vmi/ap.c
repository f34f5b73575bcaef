/* SPDX-License-Identifier: MIT */
/*
 * ap.c - SetInitialAPState: the state in which a processor continues instead of its reset vector.
 * There is one processor; it uses the state that is set for its own APIC id when it comes out of
 * INIT (as the boot processor it never waits for a start-up message). Other ids are nobody's: the
 * state is not kept, and start-up messages to them reach nobody.
 */
#include "cpu/control.h"
#include "cpu/seg.h"
#include "vmi/vmi.h"

#include <string.h>

/* struct APState, by i386 alignment */
enum {
    AP_CR0 = 0x00,
    AP_CR2 = 0x04,
    AP_CR3 = 0x08,
    AP_CR4 = 0x0c,
    AP_EFER = 0x10,
    AP_EIP = 0x18,
    AP_EFLAGS = 0x1c,
    AP_REGISTERS = 0x20,
    AP_SELECTORS = 0x40, /* CS SS DS ES FS GS LDTR */
    AP_GDTR_LIMIT = 0x4e,
    AP_GDTR_BASE = 0x50,
    AP_IDTR_BASE = 0x54,
    AP_IDTR_LIMIT = 0x58
};

static uint32_t get32(const uint8_t *state, unsigned at)
{
    return (uint32_t)load_le(state + at, 4);
}
static uint16_t get16(const uint8_t *state, unsigned at)
{
    return (uint16_t)load_le(state + at, 2);
}

enum weir_stop vmi_set_initial_ap_state(struct vmi *v, struct vcpu *c, struct vmi_args *a)
{
    uint8_t state[AP_STATE_BYTES];
    if (!mem_read_bytes(c, SEG_DS, a->eax, state, sizeof(state)))
        return STOP_FAULT;
    if (a->edx != c->index) {
        if (log_on(&v->vm->log, WEIR_LOG_GUEST_ERRORS))
            log_printf(&v->vm->log, WEIR_LOG_GUEST_ERRORS, "VMI: there is no processor %u\n",
                       a->edx);
        return STOP_NEXT;
    }
    memcpy(v->ap_state, state, sizeof(state));
    v->has_ap_state = true;
    return STOP_NEXT;
}

/* In the order in which a kernel would do it; the checks are those of the instructions. */
static bool load_control(struct vcpu *c, const uint8_t *state)
{
    uint32_t cr0 = get32(state, AP_CR0), cr4 = get32(state, AP_CR4);
    uint64_t efer = load_le(state + AP_EFER, 8);
    if (!(cr0 & CR0_PE) || !(cr0 & CR0_PG) || (efer & EFER_LME) || (cr4 & CR4_PCIDE))
        return false;
    if (cr_write(c, 4, cr4) == STOP_FAULT || !efer_write(c, efer & ~(uint64_t)EFER_LMA) ||
        cr_write(c, 3, get32(state, AP_CR3)) == STOP_FAULT || cr_write(c, 0, cr0) == STOP_FAULT)
        return false;
    c->cr2 = get32(state, AP_CR2);
    return true;
}

static bool load_code(struct vcpu *c, uint16_t selector)
{
    struct descriptor d;
    if (selector_null(selector) || !descriptor_get(c, selector, VEC_GP, &d) ||
        !attr_is_code(d.attr) || attr_dpl(d.attr) != 0 || !attr_present(d.attr) ||
        !descriptor_set_accessed(c, &d))
        return false;
    code_set(c, selector, &d, 0);
    cpu_mode_update(c);
    return true;
}

static bool load_segments(struct vcpu *c, const uint8_t *state)
{
    static const uint8_t order[] = {SEG_SS, SEG_DS, SEG_ES, SEG_FS, SEG_GS};
    if (!load_code(c, get16(state, AP_SELECTORS)))
        return false;
    for (unsigned k = 0; k < ARRAY_SIZE(order); k++)
        if (!segment_load(c, order[k], get16(state, AP_SELECTORS + 2 + 2 * k)))
            return false;
    struct descriptor d;
    uint16_t ldt = get16(state, AP_SELECTORS + 12);
    segment_set_null(c, SEG_LDTR, ldt);
    if (selector_null(ldt))
        return true;
    if ((ldt & 4) || !descriptor_get(c, ldt, VEC_GP, &d) ||
        attr_system_type(d.attr) != DESC_LDT || !attr_present(d.attr))
        return false;
    segment_set(c, SEG_LDTR, ldt, &d);
    return true;
}

bool vmi_ap_load(struct vcpu *c, const uint8_t state[AP_STATE_BYTES])
{
    static const uint8_t order[] = {RAX, RBX, RCX, RDX, RSP, RBP, RSI, RDI};
    if (!load_control(c, state))
        return false;
    c->gdtr = (struct table_register){get32(state, AP_GDTR_BASE), get16(state, AP_GDTR_LIMIT)};
    c->idtr = (struct table_register){get32(state, AP_IDTR_BASE), get16(state, AP_IDTR_LIMIT)};
    if (!load_segments(c, state))
        return false;
    for (unsigned k = 0; k < ARRAY_SIZE(order); k++)
        c->gpr[order[k]] = get32(state, AP_REGISTERS + 4 * k);
    c->rip = get32(state, AP_EIP);
    cpu_set_rflags(c, get32(state, AP_EFLAGS) & ~(uint64_t)FLAG_VM);
    cpu_mode_update(c);
    return true;
}
