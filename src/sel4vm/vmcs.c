/* SPDX-License-Identifier: MIT */
/*
 * vmcs.c - VMCS fields as a view of the vCPU: one table of what each is. Guest fields are the
 * vCPU's registers, control fields are kept here and used when the guest is entered, data fields
 * tell of the last exit.
 */
#include "sel4vm/internal.h"

#include <string.h>

enum kind { SELECTOR, LIMIT, RIGHTS, BASE, REG, CR0, CR4, DEBUG, OWN, DATA };

struct row {
    uint16_t encoding;
    uint8_t kind;
    uint16_t what; /* enum weir_reg; or the place in guest_state_t */
};

// clang-format off
#define SEGMENT(n, reg)                                                                        \
    {0x0800 + 2 * (n), SELECTOR, reg}, {0x4800 + 2 * (n), LIMIT, reg},                         \
    {0x4814 + 2 * (n), RIGHTS, reg}, {0x6806 + 2 * (n), BASE, reg}
#define MEMBER(encoding, member)      {encoding, OWN, offsetof(guest_state_t, member)}
#define EXIT_FIELD(encoding, member)  {encoding, DATA, offsetof(guest_state_t, exit.member)}
static const struct row rows[] = {
    SEGMENT(0, WEIR_ES), SEGMENT(1, WEIR_CS), SEGMENT(2, WEIR_SS), SEGMENT(3, WEIR_DS),
    SEGMENT(4, WEIR_FS), SEGMENT(5, WEIR_GS), SEGMENT(6, WEIR_LDTR), SEGMENT(7, WEIR_TR),
    {VMX_GUEST_GDTR_LIMIT, LIMIT, WEIR_GDTR}, {VMX_GUEST_IDTR_LIMIT, LIMIT, WEIR_IDTR},
    {VMX_GUEST_GDTR_BASE, BASE, WEIR_GDTR}, {VMX_GUEST_IDTR_BASE, BASE, WEIR_IDTR},
    {VMX_GUEST_CR0, CR0, WEIR_CR0}, {VMX_GUEST_CR4, CR4, WEIR_CR4},
    {VMX_GUEST_CR3, REG, WEIR_CR3}, {VMX_GUEST_DR7, REG, WEIR_DR7},
    {VMX_GUEST_RSP, REG, WEIR_RSP}, {VMX_GUEST_RIP, REG, WEIR_RIP},
    {VMX_GUEST_RFLAGS, REG, WEIR_RFLAGS}, {VMX_GUEST_EFER, REG, WEIR_EFER},
    {VMX_GUEST_PAT, REG, WEIR_PAT}, {VMX_GUEST_DEBUGCTRL, REG, WEIR_DEBUGCTL},
    {VMX_GUEST_PDPTE0, REG, WEIR_PDPTE0}, {VMX_GUEST_PDPTE1, REG, WEIR_PDPTE1},
    {VMX_GUEST_PDPTE2, REG, WEIR_PDPTE2}, {VMX_GUEST_PDPTE3, REG, WEIR_PDPTE3},
    {VMX_GUEST_SYSENTER_CS, REG, WEIR_SYSENTER_CS},
    {VMX_GUEST_SYSENTER_ESP, REG, WEIR_SYSENTER_ESP},
    {VMX_GUEST_SYSENTER_EIP, REG, WEIR_SYSENTER_EIP},
    {VMX_GUEST_INTERRUPTABILITY, REG, WEIR_INTERRUPTIBILITY},
    {VMX_GUEST_ACTIVITY, REG, WEIR_ACTIVITY},
    {VMX_GUEST_PENDING_DEBUG_EXCEPTIONS, DEBUG, WEIR_PENDING_DEBUG},
    MEMBER(VMX_GUEST_SMBASE, smbase), MEMBER(VMX_GUEST_PREEMPTION_TIMER_VALUE, timer),
    MEMBER(VMX_GUEST_PERF_GLOBAL_CTRL, perf_global),
    MEMBER(VMX_CONTROL_PIN_EXECUTION_CONTROLS, pin),
    MEMBER(VMX_CONTROL_PRIMARY_PROCESSOR_CONTROLS, ppc),
    MEMBER(VMX_CONTROL_SECONDARY_PROCESSOR_CONTROLS, secondary),
    MEMBER(VMX_CONTROL_EXIT_CONTROLS, exit_controls),
    MEMBER(VMX_CONTROL_ENTRY_CONTROLS, entry_controls),
    MEMBER(VMX_CONTROL_EXCEPTION_BITMAP, exception_bitmap),
    MEMBER(VMX_CONTROL_ENTRY_INTERRUPTION_INFO, entry_info),
    MEMBER(VMX_CONTROL_ENTRY_EXCEPTION_ERROR_CODE, entry_error),
    MEMBER(VMX_CONTROL_ENTRY_INSTRUCTION_LENGTH, entry_length),
    MEMBER(VMX_CONTROL_CR0_MASK, cr0_mask), MEMBER(VMX_CONTROL_CR4_MASK, cr4_mask),
    MEMBER(VMX_CONTROL_CR0_READ_SHADOW, cr0_shadow),
    MEMBER(VMX_CONTROL_CR4_READ_SHADOW, cr4_shadow),
    EXIT_FIELD(VMX_DATA_INSTRUCTION_ERROR, instruction_error),
    EXIT_FIELD(VMX_DATA_EXIT_REASON, reason),
    EXIT_FIELD(VMX_DATA_EXIT_INTERRUPT_INFO, interrupt_info),
    EXIT_FIELD(VMX_DATA_EXIT_INTERRUPT_ERROR, interrupt_error),
    EXIT_FIELD(VMX_DATA_IDT_VECTOR_INFO, idt_info),
    EXIT_FIELD(VMX_DATA_IDT_VECTOR_ERROR, idt_error),
    EXIT_FIELD(VMX_DATA_EXIT_INSTRUCTION_LENGTH, instruction_length),
    EXIT_FIELD(VMX_DATA_EXIT_INSTRUCTION_INFO, instruction_info),
    EXIT_FIELD(VMX_DATA_EXIT_QUALIFICATION, qualification),
    EXIT_FIELD(VMX_DATA_GUEST_PHYSICAL, physical),
    EXIT_FIELD(VMX_DATA_GUEST_LINEAR_ADDRESS, linear),
    EXIT_FIELD(VMX_DATA_IO_RCX, io_rcx), EXIT_FIELD(VMX_DATA_IO_RSI, io_rsi),
    EXIT_FIELD(VMX_DATA_IO_RDI, io_rdi), EXIT_FIELD(VMX_DATA_IO_RIP, io_rip),
};
// clang-format on
#define ROWS (sizeof(rows) / sizeof(rows[0]))
_Static_assert(ROWS <= VMCS_FIELDS_MAX, "room for each");

static const struct row *find(seL4_Word field)
{
    for (unsigned n = 0; n < ROWS; n++)
        if (rows[n].encoding == field)
            return &rows[n];
    return NULL;
}

/* Bits 14:13 of the encoding: 16, 64, 32 bits, natural width. */
static uint64_t cut(const struct row *r, uint64_t value)
{
    unsigned width = r->encoding >> 13 & 3;
    return width == 0 ? (uint16_t)value : width == 2 ? (uint32_t)value : value;
}

static uint64_t *own(guest_state_t *gs, const struct row *r)
{
    return (uint64_t *)((char *)gs + r->what);
}

/* ---- the vCPU's side ---- */

#define PENDING_ENABLED                                                                        \
    (1ull << 12) /* a breakpoint that is enabled was hit; follows from B0-B3 */

static int live_get(guest_state_t *gs, const struct row *r, uint64_t *value)
{
    union weir_value v;
    int rc = weir_reg_get(gs->machine->cpu, (enum weir_reg)r->what, &v);
    if (rc < 0)
        return rc;
    switch (r->kind) {
    case SELECTOR:
        *value = v.segment.selector;
        break;
    case LIMIT:
        *value = v.segment.limit;
        break;
    case BASE:
        *value = v.segment.base;
        break;
    case RIGHTS:
        *value = v.segment.attributes;
        if (!(v.segment.attributes & AR(P)))
            *value |= ACCESS_RIGHTS_UNUSABLE;
        break;
    case CR4:
        *value = v.u64 | CR4_VMXE;
        break;
    case DEBUG:
        *value = v.u64 | (v.u64 & 15 ? PENDING_ENABLED : 0);
        break;
    default:
        *value = v.u64;
        break;
    }
    return 0;
}

static int segment_set(weir_vcpu *cpu, const struct row *r, uint64_t value)
{
    union weir_value v;
    int rc = weir_reg_get(cpu, (enum weir_reg)r->what, &v);
    if (rc < 0)
        return rc;
    if (r->kind == SELECTOR)
        v.segment.selector = (uint16_t)value;
    else if (r->kind == LIMIT)
        v.segment.limit = (uint32_t)value;
    else if (r->kind == BASE)
        v.segment.base = value;
    else
        v.segment.attributes =
            (uint16_t)(value & ACCESS_RIGHTS_UNUSABLE ? value & ~(uint64_t)AR(P) : value) &
            0xf0ff;
    return weir_reg_set(cpu, (enum weir_reg)r->what, &v);
}

static int live_set(guest_state_t *gs, const struct row *r, uint64_t value)
{
    weir_vcpu *cpu = gs->machine->cpu;
    switch (r->kind) {
    case SELECTOR:
    case LIMIT:
    case BASE:
    case RIGHTS:
        return segment_set(cpu, r, value);
    case CR0:
        return weir_reg_set_u64(cpu, WEIR_CR0, value | CR0_NE);
    case CR4:
        return weir_reg_set_u64(cpu, WEIR_CR4, value & ~CR4_VMXE);
    case DEBUG:
        return weir_reg_set_u64(cpu, WEIR_PENDING_DEBUG, value & ~PENDING_ENABLED);
    default:
        return weir_reg_set_u64(cpu, (enum weir_reg)r->what, value);
    }
}

/* ---- fields ---- */

static bool has_spare_bits(const struct row *r)
{
    return r->kind == RIGHTS || r->kind == DEBUG;
}

int vm_set_vmcs_field(vm_vcpu_t *vcpu, seL4_Word field, seL4_Word value)
{
    const struct row *r = find(field);
    guest_state_t *gs = state_or_null(vcpu);
    if (!gs || !r || r->kind == DATA)
        return -1;
    unsigned n = (unsigned)(r - rows);
    value = cut(r, value);
    if (r->kind == OWN) {
        if (weir_reg_get(gs->machine->cpu, WEIR_RAX, &(union weir_value){0}) < 0)
            return -1; /* the guest runs */
        *own(gs, r) = value;
        return 0;
    }
    int rc = live_set(gs, r, value);
    if (rc == -WEIR_ESTATE)
        return -1;
    gs->stuck[n] = rc < 0;
    gs->any_stuck |= rc < 0;
    gs->written[n] = value;
    gs->has_written[n] = rc == 0 && has_spare_bits(r);
    gs->any_written |= gs->has_written[n];
    if (gs->has_written[n])
        live_get(gs, r, &gs->became[n]);
    return 0;
}

int(vm_get_vmcs_field)(vm_vcpu_t *vcpu, seL4_Word field, seL4_Word *value)
{
    const struct row *r = find(field);
    guest_state_t *gs = state_or_null(vcpu);
    uint64_t v;
    if (!gs || !r || !value)
        return -1;
    unsigned n = (unsigned)(r - rows);
    if (r->kind == OWN || r->kind == DATA) {
        *value = *own(gs, r);
        return 0;
    }
    if (live_get(gs, r, &v) < 0)
        return -1;
    if (gs->stuck[n] || (gs->has_written[n] && gs->became[n] == v))
        v = gs->written[n];
    *value = v;
    return 0;
}

int vm_get_vmcs_field_u32(vm_vcpu_t *vcpu, seL4_Word field, uint32_t *value)
{
    seL4_Word word;
    if (!value || (vm_get_vmcs_field)(vcpu, field, &word))
        return -1;
    *value = (uint32_t)word;
    return 0;
}

bool vmcs_settle(vm_vcpu_t *vcpu)
{
    guest_state_t *gs = state_of(vcpu);
    bool progress, left;
    if (!gs->any_stuck)
        return true;
    do {
        progress = left = false;
        for (unsigned n = 0; n < ROWS; n++) {
            if (!gs->stuck[n])
                continue;
            gs->stuck[n] = live_set(gs, &rows[n], gs->written[n]) < 0;
            progress |= !gs->stuck[n];
            left |= gs->stuck[n];
        }
    } while (progress && left);
    gs->any_stuck = left;
    return !left;
}

void vmcs_forget(guest_state_t *gs)
{
    if (gs->any_written)
        memset(gs->has_written, 0, sizeof(gs->has_written));
    gs->any_written = false;
}
