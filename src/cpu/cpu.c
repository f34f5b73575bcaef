/* SPDX-License-Identifier: MIT */
/* cpu.c - life of a vCPU: creation, RESET# and INIT# (SDM Vol. 3A table 9-1), RFLAGS as a
 * whole. */
#include "cpu/cpu.h"
#include "cpu/control.h"
#include "cpu/cpuid.h"
#include "cpu/dump.h"

#include <stdio.h>

int vcpu_init(struct vcpu *c, const char *model, struct err *err)
{
    struct cpu_model *parsed = NULL;
    int rc = cpu_model_parse(model, &parsed, err);
    if (rc < 0)
        return rc;
    c->model = parsed;
    c->a20_mask = ~0ull;
    rc = tlb_init(c);
    if (rc == 0)
        rc = blocks_init(c);
    if (rc < 0)
        err_set(err, WEIR_ENOMEM, "vCPU: out of memory");
    else
        rc = hostexec_init(c, err);
    if (rc < 0)
        vcpu_fini(c);
    return rc;
}

void vcpu_fini(struct vcpu *c)
{
    if (c->host)
        hostexec_fini(c);
    if (c->blocks)
        blocks_fini(c);
    if (c->spaces)
        tlb_fini(c);
    cpu_model_free((struct cpu_model *)c->model);
    c->model = NULL;
}

/* Processor signature as CPUID leaf 1 and EDX after RESET# show it. */
static uint32_t signature(const struct cpu_model *m)
{
    uint32_t family = m->family < 15 ? m->family : 15;
    uint32_t extended = m->family < 15 ? 0 : m->family - 15;
    return extended << 20 | (m->model >> 4 & 15) << 16 | family << 8 | (m->model & 15) << 4 |
           m->stepping;
}

static void reset_segments(struct vcpu *c)
{
    for (unsigned n = SEG_ES; n <= SEG_GS; n++)
        c->seg[n] = (struct segment){0, 0xffff, 0, 0x93};
    c->seg[SEG_CS] = (struct segment){0xffff0000, 0xffff, 0xf000, 0x9b};
    c->seg[SEG_LDTR] = (struct segment){0, 0xffff, 0, 0x82};
    c->seg[SEG_TR] = (struct segment){0, 0xffff, 0, 0x8b};
    c->gdtr = c->idtr = (struct table_register){0, 0xffff};
}

/* What INIT# leaves alone. */
static void reset_msrs(struct vcpu *c)
{
    c->xcr0 = 1;
    c->xss = 0;
    c->star = c->lstar = c->cstar = c->sfmask = c->kernel_gs_base = c->tsc_aux = 0;
    c->sysenter_cs = c->sysenter_esp = c->sysenter_eip = 0;
    c->pat = 0x0007040600070406;
    c->mtrr_def_type = 0;
    memset(c->mtrr_fixed, 0, sizeof(c->mtrr_fixed));
    memset(c->mtrr_base, 0, sizeof(c->mtrr_base));
    memset(c->mtrr_mask, 0, sizeof(c->mtrr_mask));
    c->debugctl = c->spec_ctrl = 0;
    c->misc_enable = 1; /* fast strings */
    c->mcg_status = 0;
    c->mcg_ctl = ~0ull;
    memset(c->mc_bank, 0, sizeof(c->mc_bank));
    for (unsigned n = 0; n < ARRAY_SIZE(c->mc_bank); n++)
        c->mc_bank[n][0] = ~0ull;
    c->tsc_adjust = 0;
    tsc_write(c, 0);
    c->tsc_adjust = 0;
    fpu_reset(c);
}

void vcpu_reset(struct vcpu *c, bool init)
{
    if (log_on(c->log, WEIR_LOG_CPU_RESET)) {
        char head[40];
        snprintf(head, sizeof(head), "CPU Reset (CPU %u)\n", c->index);
        cpu_dump_log(c, WEIR_LOG_CPU_RESET, head, true, true);
    }
    memset(c->gpr, 0, sizeof(c->gpr));
    c->gpr[RDX] = signature(c->model);
    c->rip = 0xfff0;
    c->flags = 0;
    c->rflags_rest = FLAG_FIXED;
    reset_segments(c);
    c->cr0 = CR0_ET | (init ? c->cr0 & (CR0_CD | CR0_NW) : CR0_CD | CR0_NW);
    c->cr2 = c->cr3 = c->cr4 = c->efer = 0;
    memset(c->pdpte, 0, sizeof(c->pdpte));
    memset(c->dr, 0, sizeof(c->dr));
    c->dr[6] = DR6_FIXED;
    c->dr[7] = DR7_FIXED;
    c->cpl = c->shadow = 0;
    c->halted = c->nmi_blocked = c->wait_for_sipi = c->monitor_armed = false;
    c->pending_dr6 = 0;
    c->injection.pending = false;
    if (!init)
        reset_msrs(c);
    tlb_flush_all(c);
    cpu_mode_update(c);
}

void cpu_set_rflags(struct vcpu *c, uint64_t rflags)
{
    uint32_t known =
        FLAG_TF | FLAG_IF | FLAG_DF | FLAG_IOPL | FLAG_NT | FLAG_RF | FLAG_VM | FLAG_AC;
    if (c->model->max_basic)
        known |= FLAG_ID; /* writable means that there is CPUID */
    if (cpu_has(c, ISA_VME))
        known |= FLAG_VIF | FLAG_VIP;
    /* RF only suppresses instruction breakpoints for one instruction: with none armed it would
     * be cleared unseen by the next one. */
    if (!(c->dr[7] & 0xff))
        known &= ~FLAG_RF;
    uint32_t rest = ((uint32_t)rflags & known) | FLAG_FIXED;
    uint32_t changed = rest ^ c->rflags_rest;
    c->flags = (uint32_t)rflags & FLAGS_ARITH;
    c->rflags_rest = rest;
    if (changed & (FLAG_TF | FLAG_VM | FLAG_AC))
        cpu_mode_update(c);
}
