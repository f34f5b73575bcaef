/* SPDX-License-Identifier: MIT */
/*
 * control.c - control, debug and extended control registers, EFER, the TSC (SDM Vol.
 * 3A 2.5, 4.1, 9.8.5). Every write is checked whole before anything changes.
 */
#include "cpu/control.h"
#include "cpu/cpuid.h"
#include "cpu/icount.h"
#include "cpu/seg.h"
#include "cpu/tlb.h"

#define CR3_NO_FLUSH BIT64(63)

/* Whether paging may be switched on or off; *efer gets the new LMA. */
static bool paging_switch_ok(struct vcpu *c, uint64_t value, uint64_t *efer)
{
    uint16_t cs = c->seg[SEG_CS].attr;
    if (!(value & CR0_PG)) {
        if (cpu_is_64bit(c) || (c->cr4 & CR4_PCIDE))
            return false;
        *efer &= ~(uint64_t)EFER_LMA;
        return true;
    }
    if (!(c->efer & EFER_LME))
        return true;
    unsigned tss = attr_system_type(c->seg[SEG_TR].attr);
    if (!(c->cr4 & CR4_PAE) || (cs & SEG_ATTR_L) || tss == DESC_TSS16 || tss == DESC_TSS16_BUSY)
        return false;
    *efer |= EFER_LMA;
    return true;
}

static enum weir_stop cr0_write(struct vcpu *c, uint64_t value)
{
    uint64_t efer = c->efer;
    if (value >> 32 || ((value & CR0_PG) && !(value & CR0_PE)) ||
        ((value & CR0_NW) && !(value & CR0_CD)))
        return raise_gp0(c);
    value = (value & CR0_VALID) | CR0_ET;
    uint64_t changed = value ^ c->cr0;
    if ((changed & CR0_PG) && !paging_switch_ok(c, value, &efer))
        return raise_gp0(c);
    if (pae_paging(value, c->cr4, efer) && (changed & (CR0_PG | CR0_CD | CR0_NW)) &&
        !paging_load_pdptes(c, c->cr3))
        return raise_gp0(c);
    c->cr0 = value;
    c->efer = efer;
    if (log_on(c->log, WEIR_LOG_MMU))
        log_printf(c->log, WEIR_LOG_MMU, "CR0 update: CR0=0x%08x\n", (uint32_t)value);
    if (changed & (CR0_PG | CR0_WP))
        tlb_flush_all(c);
    cpu_mode_update(c);
    return STOP_BOUNDARY;
}

bool cr3_load(struct vcpu *c, uint64_t value)
{
    if (pae_paging(c->cr0, c->cr4, c->efer) && !paging_load_pdptes(c, value))
        return false;
    c->cr3 = value;
    if ((c->cr0 & CR0_PG) && log_on(c->log, WEIR_LOG_MMU))
        log_printf(c->log, WEIR_LOG_MMU, "CR3 update: CR3=%016llx\n",
                   (unsigned long long)value);
    if (UNLIKELY(c->ev.step_by_cr3))
        cpu_mode_update(c);
    tlb_select(c);
    tlb_flush_non_global(c);
    return true;
}

static enum weir_stop cr3_write(struct vcpu *c, uint64_t value)
{
    bool pcid = c->cr4 & CR4_PCIDE;
    bool keep = pcid && (value & CR3_NO_FLUSH);
    if (pcid)
        value &= ~CR3_NO_FLUSH;
    if (long_mode(c) && value >> cpu_phys_bits(c))
        return raise_gp0(c);
    if (keep) {
        c->cr3 = value;
        if (UNLIKELY(c->ev.step_by_cr3))
            cpu_mode_update(c);
        tlb_select(c);
        return STOP_BOUNDARY;
    }
    return cr3_load(c, value) ? STOP_BOUNDARY : raise_gp0(c);
}

uint64_t cr4_valid_bits(const struct vcpu *c)
{
    static const struct {
        uint16_t feature;
        uint32_t bits;
    } by_feature[] = {
        {ISA_VME, CR4_VME | CR4_PVI}, {ISA_TSC, CR4_TSD},           {ISA_DE, CR4_DE},
        {ISA_PSE, CR4_PSE},           {ISA_PAE, CR4_PAE},           {ISA_MCE, CR4_MCE},
        {ISA_PGE, CR4_PGE},           {ISA_FXSR, CR4_OSFXSR},       {ISA_SSE, CR4_OSXMMEXCPT},
        {ISA_UMIP, CR4_UMIP},         {ISA_FSGSBASE, CR4_FSGSBASE}, {ISA_PCID, CR4_PCIDE},
        {ISA_XSAVE, CR4_OSXSAVE},     {ISA_SMEP, CR4_SMEP},         {ISA_SMAP, CR4_SMAP},
    };
    uint64_t valid = 0;
    for (unsigned k = 0; k < ARRAY_SIZE(by_feature); k++)
        if (cpu_has(c, by_feature[k].feature))
            valid |= by_feature[k].bits;
    /* RDPMC exists on every processor with MSRs since the Pentium Pro. */
    return c->model->family >= 6 ? valid | CR4_PCE : valid;
}

static enum weir_stop cr4_write(struct vcpu *c, uint64_t value)
{
    uint64_t changed = value ^ c->cr4;
    if (value & ~cr4_valid_bits(c))
        return raise_gp0(c);
    if (long_mode(c) && !(value & CR4_PAE))
        return raise_gp0(c);
    if ((changed & value & CR4_PCIDE) && (!long_mode(c) || (c->cr3 & 0xfff)))
        return raise_gp0(c);
    if (pae_paging(c->cr0, value, c->efer) &&
        (changed & (CR4_PAE | CR4_PGE | CR4_PSE | CR4_SMEP)) && !paging_load_pdptes(c, c->cr3))
        return raise_gp0(c);
    c->cr4 = value;
    if (changed & (CR4_PSE | CR4_PAE | CR4_PGE | CR4_PCIDE | CR4_SMEP | CR4_SMAP))
        tlb_flush_all(c);
    cpu_mode_update(c);
    return STOP_BOUNDARY;
}

static enum weir_stop cr8_write(struct vcpu *c, uint64_t value)
{
    if (value >> 4)
        return raise_gp0(c);
    if (c->wires.set_tpr) {
        cpu_outside(c);
        pthread_mutex_lock(c->device_lock);
        c->wires.set_tpr(c->wires.ctx, value);
        pthread_mutex_unlock(c->device_lock);
    }
    return STOP_BOUNDARY;
}

/* Bits that are not the guest's stay. */
static uint64_t guard_write(const struct vcpu *c, unsigned k, uint64_t now, uint64_t value)
{
    uint64_t mask = c->cr_guard[k].mask;
    return (value & ~mask) | (now & mask);
}
static uint64_t guard_read(const struct vcpu *c, unsigned k, uint64_t now)
{
    uint64_t mask = c->cr_guard[k].mask;
    return (now & ~mask) | (c->cr_guard[k].shadow & mask);
}

enum weir_stop cr_write(struct vcpu *c, unsigned n, uint64_t value)
{
    switch (n) {
    case 0:
        return cr0_write(c, guard_write(c, 0, c->cr0, value));
    case 2:
        c->cr2 = value;
        return STOP_NEXT;
    case 3:
        return cr3_write(c, value);
    case 4:
        return cr4_write(c, guard_write(c, 1, c->cr4, value));
    case 8:
        return cr8_write(c, value);
    default:
        return raise_ud(c);
    }
}

uint64_t cr_read(struct vcpu *c, unsigned n)
{
    uint64_t tpr = 0;
    switch (n) {
    case 0:
        return guard_read(c, 0, c->cr0);
    case 2:
        return c->cr2;
    case 3:
        return c->cr3;
    case 4:
        return guard_read(c, 1, c->cr4);
    case 8:
        if (c->wires.get_tpr) {
            cpu_outside(c);
            pthread_mutex_lock(c->device_lock);
            tpr = c->wires.get_tpr(c->wires.ctx);
            pthread_mutex_unlock(c->device_lock);
        }
        return tpr;
    default:
        return 0;
    }
}

uint64_t efer_valid_bits(const struct vcpu *c)
{
    uint64_t valid = EFER_LMA;
    if (cpu_has(c, ISA_SYSCALL))
        valid |= EFER_SCE;
    if (cpu_has(c, ISA_LM))
        valid |= EFER_LME;
    if (cpu_has(c, ISA_NX))
        valid |= EFER_NXE;
    if (cpu_has(c, ISA_FXSR_OPT))
        valid |= EFER_FFXSR;
    if (cpu_has(c, ISA_AUTOIBRS))
        valid |= EFER_AIBRSE;
    return valid;
}

bool efer_write(struct vcpu *c, uint64_t value)
{
    if (value & ~efer_valid_bits(c))
        return false;
    value = (value & ~(uint64_t)EFER_LMA) | (c->efer & EFER_LMA);
    uint64_t changed = value ^ c->efer;
    if ((changed & EFER_LME) && (c->cr0 & CR0_PG))
        return false;
    c->efer = value;
    if (changed & EFER_NXE)
        tlb_flush_all(c);
    cpu_mode_update(c);
    return true;
}

bool xcr0_valid(const struct vcpu *c, uint64_t value)
{
    uint64_t avx512 = value & XCR0_AVX512;
    return !(value & ~c->model->xcr0_mask) && (value & XCR0_X87) &&
           !((value & XCR0_AVX) && !(value & XCR0_SSE)) &&
           (!avx512 || (avx512 == XCR0_AVX512 && (value & XCR0_AVX)));
}

bool xcr0_write(struct vcpu *c, uint64_t value)
{
    if (!xcr0_valid(c, value))
        return false;
    c->xcr0 = value;
    return true;
}

/* ---- debug registers ---- */

static bool data_breakpoints(const struct vcpu *c)
{
    for (unsigned n = 0; n < 4; n++)
        if ((c->dr[7] >> (2 * n) & 3) && (c->dr[7] >> (16 + 4 * n) & 1))
            return true;
    return false;
}

bool dr_write(struct vcpu *c, unsigned n, uint64_t value)
{
    bool watched = data_breakpoints(c);
    if (n >= 4 && value >> 32)
        return false;
    if (n == 6)
        value = (value & 0xe00f) | DR6_FIXED;
    else if (n == 7)
        value = (value & 0xffff23ff) | DR7_FIXED;
    c->dr[n] = value;
    if (n != 6 && (watched || data_breakpoints(c)))
        tlb_flush_all(c); /* pages gain or lose their watch */
    if (n == 7)
        cpu_mode_update(c);
    return true;
}

uint64_t dr_read(const struct vcpu *c, unsigned n)
{
    return c->dr[n];
}

/* ---- time stamp ---- */

static uint64_t tsc_at(const struct vcpu *c, uint64_t now_ns)
{
    const uint64_t ns_hz = 1000000000;
    return c->tsc_hz == ns_hz ? now_ns : muldiv64(now_ns, c->tsc_hz, ns_hz);
}

static uint64_t tsc_raw(const struct vcpu *c)
{
    return tsc_at(c, cpu_now_ns(c));
}

uint64_t cpu_tsc(const struct vcpu *c)
{
    return tsc_raw(c) + (uint64_t)c->tsc_offset;
}

uint64_t cpu_tsc_read(struct vcpu *c)
{
    uint64_t now = cpu_now_ns(c);
    if (UNLIKELY(clock_is_late(c->clock, now))) {
        pthread_mutex_lock(c->device_lock);
        clock_run_due(c->clock);
        pthread_mutex_unlock(c->device_lock);
    }
    return tsc_at(c, now) + (uint64_t)c->tsc_offset;
}

void tsc_write(struct vcpu *c, uint64_t value)
{
    int64_t offset = (int64_t)(value - tsc_raw(c));
    c->tsc_adjust += (uint64_t)offset - (uint64_t)c->tsc_offset;
    c->tsc_offset = offset;
}
