/* SPDX-License-Identifier: MIT */
/*
 * context.c - all registers of a vCPU as one struct. A set checks everything first, then changes;
 * MSRs, which only their own functions can judge, are changed before the rest and taken back if
 * one of them refuses.
 */
#include "api/regs.h"
#include "cpu/control.h"
#include "cpu/cpuid.h"
#include "cpu/fpu.h"
#include "cpu/tlb.h"

#include <string.h>

/* ---- MSRs that are state ---- */

/* First and last number. What other parts have (EFER, the bases of FS and GS), the TSC and the
 * local APIC's are not among them. */
static const uint32_t msr_ranges[][2] = {
    {0x174, 0x176},           {0x17a, 0x17b},           {0x1a0, 0x1a0}, {0x1d9, 0x1d9},
    {0x200, 0x20f},           {0x250, 0x250},           {0x258, 0x259}, {0x268, 0x26f},
    {0x277, 0x277},           {0x2ff, 0x2ff},           {0x400, 0x427}, {0xda0, 0xda0},
    {0xc0000081, 0xc0000084}, {0xc0000102, 0xc0000103},
};

int weir_msr_number(weir_vcpu *cpu, unsigned i, uint32_t *msr)
{
    struct vcpu *c = vcpu_of(cpu);
    uint64_t value;
    for (unsigned k = 0; k < ARRAY_SIZE(msr_ranges); k++)
        for (uint32_t n = msr_ranges[k][0]; n <= msr_ranges[k][1]; n++)
            if (msr_read(c, n, &value) && i-- == 0) {
                *msr = n;
                return 0;
            }
    return -WEIR_ENOENT;
}

static void msrs_get(struct vcpu *c, struct weir_context *x)
{
    x->msr_count = 0;
    for (unsigned k = 0; k < ARRAY_SIZE(msr_ranges); k++)
        for (uint32_t n = msr_ranges[k][0]; n <= msr_ranges[k][1]; n++) {
            struct weir_msr *m = &x->msr[x->msr_count];
            if (x->msr_count < WEIR_CONTEXT_MSR_MAX && msr_read(c, n, &m->value)) {
                m->number = n;
                x->msr_count++;
            }
        }
}

static int msrs_set(struct vcpu *c, const struct weir_context *x)
{
    uint64_t old[WEIR_CONTEXT_MSR_MAX];
    for (unsigned n = 0; n < x->msr_count; n++) {
        const struct weir_msr *m = &x->msr[n];
        if (msr_read(c, m->number, &old[n]) &&
            (m->value == old[n] || msr_write(c, m->number, m->value)))
            continue;
        while (n-- > 0)
            msr_write(c, x->msr[n].number, old[n]);
        cpu_mode_update(c);
        return err_set(&c->vm->err, WEIR_EINVAL, "context: MSR %#x cannot be set to %#llx",
                       m->number, (unsigned long long)m->value);
    }
    return 0;
}

/* ---- get ---- */

static void segments_get(const struct vcpu *c, struct weir_context *x)
{
    for (unsigned n = 0; n < 8; n++)
        regs_segment_get(c, WEIR_ES + n, &x->segment[n]);
    regs_segment_get(c, WEIR_GDTR, &x->gdtr);
    regs_segment_get(c, WEIR_IDTR, &x->idtr);
    x->cpl = c->cpl;
}

static void control_get(struct vcpu *c, struct weir_context *x)
{
    x->cr0 = c->cr0;
    x->cr2 = c->cr2;
    x->cr3 = c->cr3;
    x->cr4 = c->cr4;
    x->cr8 = regs_tpr(c);
    x->xcr0 = c->xcr0;
    x->efer = c->efer;
    memcpy(x->pdpte, c->pdpte, sizeof(x->pdpte));
}

static void fpu_get(const struct vcpu *c, struct weir_context *x)
{
    const struct fpu_state *f = &c->fpu;
    x->fcw = f->fx.fcw;
    x->fsw = f->fx.fsw;
    x->ftw = fpu_tag_word(c);
    x->fop = f->fop;
    x->fcs = f->fcs;
    x->fds = f->fds;
    x->fip = f->fip;
    x->fdp = f->fdp;
    x->mxcsr = f->mxcsr;
    memset(x->st, 0, sizeof(x->st));
    memset(x->zmm, 0, sizeof(x->zmm));
    for (unsigned n = 0; n < 8; n++)
        memcpy(x->st[n], f->fx.st[n], 10);
    for (unsigned n = 0; n < 32; n++)
        memcpy(x->zmm[n], f->zmm[n], fpu_vector_bytes(c, n));
    memcpy(x->k, f->k, sizeof(x->k));
}

static void events_get(const struct vcpu *c, struct weir_context *x)
{
    uint32_t attention = __atomic_load_n(&c->attention, __ATOMIC_RELAXED);
    x->interruptibility = regs_interruptibility(c);
    x->activity = c->halted ? WEIR_HALTED : WEIR_ACTIVE;
    x->pending_debug = c->pending_dr6;
    x->injection = c->injection;
    x->intr_pending = attention & ATTENTION_INTR;
    x->nmi_pending = attention & ATTENTION_NMI;
}

static int check(struct vcpu *c, unsigned parts, const struct weir_context *x)
{
    if (x->size != sizeof(*x) || (parts & ~(unsigned)WEIR_CONTEXT_ALL))
        return err_set(&c->vm->err, WEIR_EINVAL, "context: size or parts are not known");
    return regs_access(c);
}

int weir_context_get(weir_vcpu *cpu, unsigned parts, struct weir_context *x)
{
    struct vcpu *c = vcpu_of(cpu);
    int rc = check(c, parts, x);
    if (rc < 0)
        return rc;
    if (parts & WEIR_CONTEXT_GENERAL) {
        memcpy(x->gpr, c->gpr, sizeof(x->gpr));
        x->rip = c->rip;
        x->rflags = cpu_rflags(c);
    }
    if (parts & WEIR_CONTEXT_SEGMENTS)
        segments_get(c, x);
    if (parts & WEIR_CONTEXT_CONTROL)
        control_get(c, x);
    if (parts & WEIR_CONTEXT_DEBUG)
        memcpy(x->dr, c->dr, sizeof(x->dr));
    if (parts & WEIR_CONTEXT_FPU)
        fpu_get(c, x);
    if (parts & WEIR_CONTEXT_EVENTS)
        events_get(c, x);
    if (parts & WEIR_CONTEXT_MSRS)
        msrs_get(c, x);
    return 0;
}

/* ---- checks ---- */

static bool segments_ok(const struct weir_context *x)
{
    for (unsigned n = 0; n < 8; n++)
        if (!regs_segment_ok(WEIR_ES + n, &x->segment[n]))
            return false;
    return regs_segment_ok(WEIR_GDTR, &x->gdtr) && regs_segment_ok(WEIR_IDTR, &x->idtr);
}

static bool control_ok(const struct vcpu *c, const struct weir_context *x)
{
    return !(x->cr3 >> cpu_phys_bits(c)) && !(x->cr8 >> 4) &&
           (x->xcr0 == c->xcr0 || xcr0_valid(c, x->xcr0));
}

static bool events_ok(const struct weir_context *x)
{
    return regs_interruptibility_ok(x->interruptibility) && x->activity <= WEIR_HALTED &&
           regs_pending_debug_ok(x->pending_debug) &&
           (!x->injection.pending || context_injection_ok(&x->injection));
}

/* The name of what is wrong, or NULL. */
static const char *wrong(const struct vcpu *c, unsigned parts, const struct weir_context *x)
{
    bool control = parts & WEIR_CONTEXT_CONTROL;
    uint64_t cr0 = control ? x->cr0 : c->cr0, cr4 = control ? x->cr4 : c->cr4;
    uint64_t efer = regs_efer(cr0, control ? x->efer : c->efer);
    uint64_t rflags = parts & WEIR_CONTEXT_GENERAL ? x->rflags : c->rflags_rest;
    if (!context_control_ok(c, cr0, cr4, efer, rflags))
        return "CR0, CR4, EFER and RFLAGS";
    if ((parts & WEIR_CONTEXT_SEGMENTS) && !regs_cpl_ok(cr0, rflags, x->cpl))
        return "CPL";
    if ((parts & WEIR_CONTEXT_SEGMENTS) && !segments_ok(x))
        return "a segment";
    if (control && !control_ok(c, x))
        return "CR3, CR8 or XCR0";
    if ((parts & WEIR_CONTEXT_DEBUG) && (x->dr[6] >> 32 || x->dr[7] >> 32))
        return "DR6 or DR7";
    if ((parts & WEIR_CONTEXT_FPU) && (x->mxcsr & ~MXCSR_MASK))
        return "MXCSR";
    if ((parts & WEIR_CONTEXT_EVENTS) && !events_ok(x))
        return "an event";
    if ((parts & WEIR_CONTEXT_MSRS) && x->msr_count > WEIR_CONTEXT_MSR_MAX)
        return "the number of MSRs";
    return NULL;
}

/* ---- set ---- */

static void segments_set(struct vcpu *c, const struct weir_context *x)
{
    for (unsigned n = 0; n < 8; n++) {
        context_touch(c, WEIR_ES + n);
        regs_segment_load(c, WEIR_ES + n, &x->segment[n]);
    }
    context_touch(c, WEIR_GDTR);
    context_touch(c, WEIR_IDTR);
    context_touch(c, WEIR_CPL);
    regs_segment_load(c, WEIR_GDTR, &x->gdtr);
    regs_segment_load(c, WEIR_IDTR, &x->idtr);
    c->cpl = x->cpl;
}

static void control_set(struct vcpu *c, const struct weir_context *x)
{
    for (unsigned r = WEIR_CR0; r <= WEIR_EFER; r++)
        context_touch(c, r);
    for (unsigned n = 0; n < 4; n++)
        context_touch(c, WEIR_PDPTE0 + n);
    c->cr0 = (x->cr0 & CR0_VALID) | CR0_ET;
    c->cr2 = x->cr2;
    c->cr3 = x->cr3;
    c->cr4 = x->cr4;
    c->efer = regs_efer(c->cr0, x->efer);
    c->xcr0 = x->xcr0;
    memcpy(c->pdpte, x->pdpte, sizeof(c->pdpte));
    regs_tpr_set(c, x->cr8);
    tlb_flush_all(c);
}

static void general_set(struct vcpu *c, const struct weir_context *x)
{
    for (unsigned r = WEIR_RAX; r <= WEIR_RFLAGS; r++)
        context_touch(c, r);
    memcpy(c->gpr, x->gpr, sizeof(c->gpr));
    c->rip = x->rip;
    cpu_set_rflags(c, x->rflags);
}

static void debug_set(struct vcpu *c, const struct weir_context *x)
{
    for (unsigned r = WEIR_DR0; r <= WEIR_DR7; r++)
        context_touch(c, r);
    for (unsigned n = 0; n < 8; n++)
        if (n != 4 && n != 5)
            dr_write(c, n, x->dr[n]);
}

static void fpu_set(struct vcpu *c, const struct weir_context *x)
{
    struct fpu_state *f = &c->fpu;
    for (unsigned r = WEIR_FCW; r <= WEIR_FDS; r++)
        context_touch(c, r);
    f->fx.fcw = x->fcw;
    f->fx.fsw = x->fsw;
    f->fx.ftw = fpu_tag_abridge(x->ftw);
    f->fop = x->fop & 0x7ff;
    f->fcs = x->fcs;
    f->fds = x->fds;
    f->fip = x->fip;
    f->fdp = x->fdp;
    f->mxcsr = x->mxcsr;
    for (unsigned n = 0; n < 8; n++)
        memcpy(f->fx.st[n], x->st[n], 10);
    for (unsigned n = 0; n < 32; n++)
        memcpy(f->zmm[n], x->zmm[n], fpu_vector_bytes(c, n));
    if (cpu_has(c, ISA_AVX512F))
        memcpy(f->k, x->k, sizeof(f->k));
    fpu_status_update(c);
}

static void events_set(struct vcpu *c, const struct weir_context *x)
{
    for (unsigned r = WEIR_INTERRUPTIBILITY; r <= WEIR_INJECTION; r++)
        context_touch(c, r);
    regs_interruptibility_set(c, x->interruptibility);
    c->halted = x->activity == WEIR_HALTED;
    regs_pending_debug_set(c, x->pending_debug);
    regs_inject(c, &x->injection);
    if (x->nmi_pending)
        cpu_attention(c, ATTENTION_NMI);
    else
        cpu_attention_clear(c, ATTENTION_NMI);
}

int weir_context_set(weir_vcpu *cpu, unsigned parts, const struct weir_context *x)
{
    struct vcpu *c = vcpu_of(cpu);
    int rc = check(c, parts, x);
    if (rc < 0)
        return rc;
    const char *what = wrong(c, parts, x);
    if (what)
        return err_set(&c->vm->err, WEIR_EINVAL, "context: no CPU can be in this state: %s",
                       what);
    if (parts & WEIR_CONTEXT_MSRS)
        rc = msrs_set(c, x);
    if (rc < 0)
        return rc;
    if (parts & WEIR_CONTEXT_CONTROL)
        control_set(c, x);
    if (parts & WEIR_CONTEXT_DEBUG) /* before RFLAGS: RF is kept where breakpoints are armed */
        debug_set(c, x);
    if (parts & WEIR_CONTEXT_GENERAL)
        general_set(c, x);
    if (parts & WEIR_CONTEXT_SEGMENTS)
        segments_set(c, x);
    if (parts & WEIR_CONTEXT_FPU)
        fpu_set(c, x);
    if (parts & WEIR_CONTEXT_EVENTS)
        events_set(c, x);
    cpu_mode_update(c);
    return 0;
}
