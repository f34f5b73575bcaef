/* SPDX-License-Identifier: MIT */
/* host.c - what the host does for calls that exit to it. Faults are those of the instruction a
 * kernel would have used itself. */
#include "cpu/control.h"
#include "cpu/seg.h"
#include "dev/chips.h"
#include "dev/machine_hooks.h"
#include "vmi/vmi.h"

#include <string.h>

/* ---- MSRs, debug registers, CPUID ---- */

static enum weir_stop call_wrmsr(struct vmi *v, struct vcpu *c, struct vmi_args *a)
{
    uint64_t value = a->eax | (uint64_t)a->edx << 32;
    return msr_write(c, a->ecx, value) ? STOP_BOUNDARY : raise_gp0(c);
}

static enum weir_stop call_rdmsr(struct vmi *v, struct vcpu *c, struct vmi_args *a)
{
    uint64_t value;
    if (!msr_read(c, a->ecx, &value))
        return raise_gp0(c);
    args_return64(a, value);
    return STOP_NEXT;
}

/* 4 and 5 are 6 and 7, or nothing; as MOV DRn. */
static enum weir_stop debug_register(struct vcpu *c, uint32_t number, unsigned *n)
{
    if (number > 7 || ((number == 4 || number == 5) && (c->cr4 & CR4_DE)))
        return raise_ud(c);
    if (c->dr[7] & DR7_GD) {
        c->fault = (struct x86_fault){.vector = VEC_DB, .dr6_bits = DR6_BD};
        return STOP_FAULT;
    }
    *n = number == 4 || number == 5 ? number + 2 : number;
    return STOP_NEXT;
}

static enum weir_stop call_set_dr(struct vmi *v, struct vcpu *c, struct vmi_args *a)
{
    unsigned n = 0;
    enum weir_stop stop = debug_register(c, a->eax, &n);
    if (stop != STOP_NEXT)
        return stop;
    return dr_write(c, n, a->edx) ? STOP_BOUNDARY : raise_gp0(c);
}

static enum weir_stop call_get_dr(struct vmi *v, struct vcpu *c, struct vmi_args *a)
{
    unsigned n = 0;
    enum weir_stop stop = debug_register(c, a->eax, &n);
    if (stop == STOP_NEXT)
        a->eax = (uint32_t)dr_read(c, n);
    return stop;
}

enum weir_stop vmi_cpuid_frame(struct vcpu *c, uint32_t frame)
{
    enum { EAX_AT = 8 }; /* and ECX, EDX, EBX */
    uint64_t leaf, subleaf;
    uint32_t r[4];
    uint8_t regs[16];
    if (!mem_load(c, SEG_SS, frame + EAX_AT, 4, &leaf) ||
        !mem_load(c, SEG_SS, frame + EAX_AT + 4, 4, &subleaf))
        return STOP_FAULT;
    cpuid_query(c, (uint32_t)leaf, (uint32_t)subleaf, r);
    store_le(regs, r[0], 4);
    store_le(regs + 4, r[2], 4);
    store_le(regs + 8, r[3], 4);
    store_le(regs + 12, r[1], 4);
    return mem_write_bytes(c, SEG_SS, frame + EAX_AT, regs, sizeof(regs)) ? STOP_NEXT
                                                                          : STOP_FAULT;
}

static enum weir_stop call_cpuid(struct vmi *v, struct vcpu *c, struct vmi_args *a)
{
    return raise_ud(c); /* the entries are CPUID itself, or have a frame of their own */
}

/* ---- descriptor tables ---- */

/* CS as it is, from the current table. */
static bool reload_code(struct vcpu *c)
{
    struct descriptor d;
    uint16_t selector = c->seg[SEG_CS].selector;
    if (selector_null(selector))
        return selector_fault(c, VEC_GP, 0);
    if (!descriptor_get(c, selector, VEC_GP, &d))
        return false;
    if (!attr_is_code(d.attr) || attr_dpl(d.attr) != 0 || (d.attr & SEG_ATTR_L))
        return selector_fault(c, VEC_GP, selector);
    if (!attr_present(d.attr))
        return selector_fault(c, VEC_NP, selector);
    if (!descriptor_set_accessed(c, &d))
        return false;
    code_set(c, selector, &d, 0);
    cpu_mode_update(c);
    return true;
}

static bool reload_segments(struct vcpu *c)
{
    static const uint8_t needed[] = {SEG_SS, SEG_DS, SEG_ES}, others[] = {SEG_FS, SEG_GS};
    if (!reload_code(c))
        return false;
    for (unsigned k = 0; k < ARRAY_SIZE(needed); k++)
        if (!segment_load(c, needed[k], c->seg[needed[k]].selector))
            return false;
    /* What the new table does not have there cannot be meant. */
    for (unsigned k = 0; k < ARRAY_SIZE(others); k++)
        if (!segment_load(c, others[k], c->seg[others[k]].selector))
            segment_load(c, others[k], 0);
    return true;
}

static enum weir_stop call_set_gdt(struct vmi *v, struct vcpu *c, struct vmi_args *a)
{
    uint8_t raw[6];
    struct segment before[6];
    struct table_register table = c->gdtr;
    if (!mem_read_bytes(c, SEG_DS, a->eax, raw, sizeof(raw)))
        return STOP_FAULT;
    memcpy(before, c->seg, sizeof(before));
    c->gdtr.limit = (uint16_t)load_le(raw, 2);
    c->gdtr.base = load_le(raw + 2, 4);
    if (reload_segments(c)) {
        cpu_mode_update(c);
        return STOP_BOUNDARY;
    }
    c->gdtr = table;
    memcpy(c->seg, before, sizeof(before));
    cpu_mode_update(c);
    return STOP_FAULT;
}

static enum weir_stop call_update_kernel_stack(struct vmi *v, struct vcpu *c,
                                               struct vmi_args *a)
{
    const struct segment *tr = &c->seg[SEG_TR];
    uint8_t stack[6]; /* ESP0, SS0 */
    store_le(stack, a->edx, 4);
    store_le(stack + 4, a->eax, 2);
    if (!attr_present(tr->attr) || (tr->attr & SEG_ATTR_TYPE) != DESC_TSS32_BUSY ||
        tr->limit < 9)
        return raise_error(c, VEC_TS, tr->selector & 0xfffcu);
    return lin_write(c, (uint32_t)(tr->base + 4), stack, sizeof(stack), 0) ? STOP_NEXT
                                                                           : STOP_FAULT;
}

/* ---- translations ---- */

static enum weir_stop call_flush_tlb(struct vmi *v, struct vcpu *c, struct vmi_args *a)
{
    if (a->eax & 2)
        tlb_flush_all(c);
    else if (a->eax & 1)
        tlb_flush_non_global(c);
    return STOP_BOUNDARY;
}

/* ---- the end ---- */

static enum weir_stop call_reboot(struct vmi *v, struct vcpu *c, struct vmi_args *a)
{
    struct weir *vm = v->vm;
    pthread_mutex_lock(&vm->device_lock);
    if (a->eax)
        machine_reset_request(vm);
    else if (vm->apic)
        apic_init_reset(vm->apic);
    pthread_mutex_unlock(&vm->device_lock);
    if (!a->eax)
        cpu_attention(c, ATTENTION_INIT);
    return STOP_BOUNDARY;
}

static enum weir_stop call_shutdown(struct vmi *v, struct vcpu *c, struct vmi_args *a)
{
    pthread_mutex_lock(&v->vm->device_lock);
    machine_shutdown_request(v->vm);
    pthread_mutex_unlock(&v->vm->device_lock);
    c->rflags_rest &= ~FLAG_IF;
    return STOP_BOUNDARY;
}

/* ---- the dispatcher, from calls.def ---- */

#define call_none                 NULL
#define call_set_initial_ap_state vmi_set_initial_ap_state
#define call_get_cycle_counter    vmi_get_cycle_counter
#define call_set_alarm            vmi_set_alarm
#define call_cancel_alarm         vmi_cancel_alarm
#define call_get_wallclock_time   vmi_get_wallclock_time
#define call_wallclock_updated    vmi_wallclock_updated

vmi_call_fn *const vmi_host[VMI_ROWS] = {
#define CALL(name, n3, n13, kind3, kind13, count, reloc, host, ...) call_##host,
#include "vmi/calls.def"
#undef CALL
};
