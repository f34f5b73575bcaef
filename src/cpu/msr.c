/* SPDX-License-Identifier: MIT */
/*
 * msr.c - model-specific registers: one table of those that are a plain field of the vCPU, and
 * a switch for those that do something. What the model does not have, or nobody knows, is #GP.
 *
 * Registers that operating systems touch without asking CPUID read as a constant and swallow
 * writes (`fixed`), as hypervisors commonly let them.
 */
#include "cpu/control.h"
#include "cpu/cpuid.h"
#include "cpu/icount.h"
#include "cpu/tlb.h"

enum { MSR_RO = 1, MSR_CANONICAL = 2, MSR_32BIT = 4 };

/* A register that is 64 bits of struct vcpu. */
struct msr_field {
    uint32_t msr;
    uint16_t offset;
    uint16_t feature; /* ISA_BASE: always there */
    uint8_t flags;
};
#define FIELD(msr, member, feature, flags)                                                     \
    {                                                                                          \
        msr, offsetof(struct vcpu, member), feature, flags                                     \
    }

static const struct msr_field fields[] = {
    FIELD(0x174, sysenter_cs, ISA_SEP, MSR_32BIT),
    FIELD(0x175, sysenter_esp, ISA_SEP, MSR_CANONICAL),
    FIELD(0x176, sysenter_eip, ISA_SEP, MSR_CANONICAL),
    FIELD(0x17a, mcg_status, ISA_MCA, 0),
    FIELD(0x17b, mcg_ctl, ISA_MCA, 0),
    FIELD(0xc0000081, star, ISA_SYSCALL, 0),
    FIELD(0xc0000082, lstar, ISA_LM, MSR_CANONICAL),
    FIELD(0xc0000083, cstar, ISA_LM, MSR_CANONICAL),
    FIELD(0xc0000084, sfmask, ISA_LM, MSR_32BIT),
    FIELD(0xc0000102, kernel_gs_base, ISA_LM, MSR_CANONICAL),
};

/* Constant registers: reads give `value`, writes are dropped. */
struct msr_fixed {
    uint32_t first, last;
    uint64_t value;
};
static const struct msr_fixed fixed[] = {
    {0x000, 0x001, 0},                 /* P5_MC_ADDR, P5_MC_TYPE */
    {0x017, 0x017, 0},                 /* PLATFORM_ID */
    {0x02a, 0x02a, 0},                 /* EBL_CR_POWERON */
    {0x02c, 0x02c, 1 << 24},           /* EBC_FREQUENCY_ID */
    {0x034, 0x034, 0},                 /* SMI_COUNT */
    {0x03a, 0x03a, 1},                 /* FEATURE_CONTROL: locked, no VMX */
    {0x079, 0x079, 0},                 /* BIOS_UPDT_TRIG */
    {0x088, 0x08a, 0},                 /* BBL_CR_D0-D2 */
    {0x0c1, 0x0c2, 0},                 /* PMC0, PMC1 */
    {0x0cd, 0x0cd, 3},                 /* FSB_FREQ */
    {0x0ce, 0x0ce, 0},                 /* PLATFORM_INFO */
    {0x0fe, 0x0fe, 0x508},             /* MTRRCAP: 8 variable, fixed, WC */
    {0x116, 0x11e, 0},                 /* BBL_CR_* */
    {0x140, 0x140, 0},                 /* MISC_FEATURES_ENABLES */
    {0x186, 0x187, 0},                 /* PERFEVTSEL0, 1 */
    {0x198, 0x19c, 0},                 /* PERF_STATUS ... THERM_STATUS */
    {0x1c9, 0x1c9, 0},                 /* LASTBRANCH_TOS */
    {0x1db, 0x1de, 0},                 /* LASTBRANCH, LASTINT */
    {0x600, 0x600, 0},                 /* DS_AREA */
    {0xc0010000, 0xc0010007, 0},       /* K7 performance counters */
    {0xc0010010, 0xc0010010, 0},       /* SYSCFG */
    {0xc0010015, 0xc0010015, 1 << 24}, /* HWCR: TSC counts at P0 frequency */
    {0xc001001a, 0xc001001a, 0},       /* TOP_MEM */
    {0xc001001d, 0xc001001d, 0},       /* TOP_MEM2 */
    {0xc001001f, 0xc001001f, 0},       /* NB_CFG */
    {0xc0010055, 0xc0010055, 0},       /* INT_PENDING_MSG */
    {0xc0010058, 0xc0010058, 0},       /* MMIO_CONF_BASE */
    {0xc0010061, 0xc0010063, 0},       /* PSTATE_* */
    {0xc0010064, 0xc001006b, 0},
    {0xc0010111, 0xc0010113, 0},    /* SMBASE, TSEG */
    {0xc0010114, 0xc0010114, 0x18}, /* VM_CR: SVM disabled and locked */
    {0xc0010117, 0xc0010117, 0},
    {0xc0010140, 0xc0010141, 0}, /* OSVW */
    {0xc0010200, 0xc001020b, 0}, /* performance counters */
    {0xc0011020, 0xc0011023, 0}, /* LS_CFG, IC_CFG, DC_CFG, BU_CFG */
    {0xc0011029, 0xc0011029, 2}, /* DE_CFG: LFENCE serialises */
    {0xc001102a, 0xc001102a, 0}, /* BU_CFG2 */
    {0xc001102d, 0xc001102d, 0},
};

static const struct msr_field *find_field(const struct vcpu *c, uint32_t msr)
{
    for (unsigned k = 0; k < ARRAY_SIZE(fields); k++)
        if (fields[k].msr == msr &&
            (fields[k].feature == ISA_BASE || cpu_has(c, fields[k].feature)))
            return &fields[k];
    return NULL;
}

static const struct msr_fixed *find_fixed(uint32_t msr)
{
    for (unsigned k = 0; k < ARRAY_SIZE(fixed); k++)
        if (msr >= fixed[k].first && msr <= fixed[k].last)
            return &fixed[k];
    return NULL;
}

static bool is_apic(const struct vcpu *c, uint32_t msr)
{
    return cpu_has(c, ISA_APIC) && (msr == 0x1b || (msr >= 0x800 && msr <= 0x8ff) ||
                                    (msr == 0x6e0 && cpu_has(c, ISA_TSC_DEADLINE)));
}

static bool apic_access(struct vcpu *c, uint32_t msr, uint64_t *value, bool write)
{
    if (!(write ? (void *)c->wires.apic_msr_write : (void *)c->wires.apic_msr_read))
        return false;
    cpu_outside(c);
    pthread_mutex_lock(c->device_lock);
    int rc = write ? c->wires.apic_msr_write(c->wires.ctx, msr, *value)
                   : c->wires.apic_msr_read(c->wires.ctx, msr, value);
    pthread_mutex_unlock(c->device_lock);
    return rc == 0;
}

/* ---- memory types ---- */

static bool memory_type_ok(uint8_t type, bool pat)
{
    return type == 0 || type == 1 || (type >= 4 && type <= 6) || (pat && type == 7);
}

static bool memory_types_ok(uint64_t value, bool pat)
{
    for (unsigned k = 0; k < 64; k += 8)
        if (!memory_type_ok((uint8_t)(value >> k), pat))
            return false;
    return true;
}

/* Index into mtrr_fixed, or -1. */
static int mtrr_fixed_index(uint32_t msr)
{
    if (msr == 0x250)
        return 0;
    if (msr == 0x258 || msr == 0x259)
        return (int)(msr - 0x258) + 1;
    return msr >= 0x268 && msr <= 0x26f ? (int)(msr - 0x268) + 3 : -1;
}

static uint64_t *mtrr_variable(struct vcpu *c, uint32_t msr)
{
    if (msr < 0x200 || msr > 0x20f)
        return NULL;
    unsigned n = (msr - 0x200) / 2;
    return msr & 1 ? &c->mtrr_mask[n] : &c->mtrr_base[n];
}

static bool mtrr_variable_ok(const struct vcpu *c, uint32_t msr, uint64_t value)
{
    if (value >> cpu_phys_bits(c))
        return false;
    return msr & 1 ? !(value & 0x7ff)
                   : memory_type_ok((uint8_t)value, false) && !(value & 0xf00);
}

static bool mtrr_read(struct vcpu *c, uint32_t msr, uint64_t *value)
{
    int n = mtrr_fixed_index(msr);
    if (!cpu_has(c, ISA_MTRR))
        return false;
    if (n >= 0)
        *value = c->mtrr_fixed[n];
    else if (mtrr_variable(c, msr))
        *value = *mtrr_variable(c, msr);
    else if (msr == 0x2ff)
        *value = c->mtrr_def_type;
    else
        return false;
    return true;
}

static bool mtrr_write(struct vcpu *c, uint32_t msr, uint64_t value)
{
    int n = mtrr_fixed_index(msr);
    if (!cpu_has(c, ISA_MTRR))
        return false;
    if (n >= 0 && memory_types_ok(value, false))
        c->mtrr_fixed[n] = value;
    else if (n < 0 && mtrr_variable(c, msr) && mtrr_variable_ok(c, msr, value))
        *mtrr_variable(c, msr) = value;
    else if (msr == 0x2ff && !(value & ~0xcffull) && memory_type_ok((uint8_t)value, false))
        c->mtrr_def_type = value;
    else
        return false;
    return true;
}

/* ---- machine check ---- */

#define MC_BANKS 10u
#define MCG_CAP  (MC_BANKS | 1u << 8) /* MCG_CTL present */

/* IA32_ARCH_CAPABILITIES (SDM Vol. 4 table 2-2): RDCL_NO, IBRS_ALL, SKIP_L1DFL_VMENTRY, SSB_NO,
 * MDS_NO, IF_PSCHANGE_MC_NO, TAA_NO; SBDR_SSDP_NO, FBSDP_NO, PSDP_NO; BHI_NO; PBRSB_NO, GDS_NO,
 * RFDS_NO; ITS_NO. */
#define ARCH_CAPABILITIES 0x400000000d10e17bull

static uint64_t *mc_bank(struct vcpu *c, uint32_t msr)
{
    if (msr < 0x400 || msr >= 0x400 + 4 * MC_BANKS || !cpu_has(c, ISA_MCA))
        return NULL;
    return &c->mc_bank[(msr - 0x400) / 4][msr & 3];
}

/* Registers with something to do; -1 = not one of them, 0 = #GP, 1 = done. */
static int special_read(struct vcpu *c, uint32_t msr, uint64_t *value)
{
    bool amd = !strcmp(c->model->vendor, "AuthenticAMD");
    switch (msr) {
    case 0x10:
        *value = cpu_tsc(c);
        return cpu_has(c, ISA_TSC);
    case 0x3b:
        *value = c->tsc_adjust;
        return cpu_has(c, ISA_TSC_ADJUST);
    case 0x48: /* SPEC_CTRL: kept, and without effect, as PRED_CMD is */
        *value = c->spec_ctrl;
        return cpu_has(c, ISA_SPEC_CTRL);
    case 0x10a:
        *value = ARCH_CAPABILITIES;
        return cpu_has(c, ISA_ARCH_CAPABILITIES);
    case 0x8b:
        *value = amd ? 0x01000065 : 1ull << 32;
        return 1;
    case 0x179:
        *value = MCG_CAP;
        return cpu_has(c, ISA_MCA);
    case 0x1a0:
        *value = c->misc_enable;
        return 1;
    case 0x1d9:
        *value = c->debugctl;
        return 1;
    case 0x277:
        *value = c->pat;
        return cpu_has(c, ISA_PAT);
    case 0xda0:
        *value = c->xss;
        return cpu_has(c, ISA_XSAVES);
    case 0xc0000080:
        *value = c->efer;
        return cpu_has(c, ISA_SYSCALL) || cpu_has(c, ISA_NX) || cpu_has(c, ISA_LM);
    case 0xc0000100:
        *value = c->seg[SEG_FS].base;
        return cpu_has(c, ISA_LM);
    case 0xc0000101:
        *value = c->seg[SEG_GS].base;
        return cpu_has(c, ISA_LM);
    case 0xc0000103:
        *value = c->tsc_aux;
        return cpu_has(c, ISA_RDTSCP) || cpu_has(c, ISA_RDPID);
    default:
        return -1;
    }
}

static int base_write(struct vcpu *c, unsigned seg, uint64_t value)
{
    if (!cpu_has(c, ISA_LM) || !is_canonical(value))
        return 0;
    c->seg[seg].base = value;
    seg_cache_update(c, seg);
    return 1;
}

static int special_write(struct vcpu *c, uint32_t msr, uint64_t value)
{
    switch (msr) {
    case 0x10:
        tsc_write(c, value);
        return cpu_has(c, ISA_TSC);
    case 0x3b:
        if (!cpu_has(c, ISA_TSC_ADJUST))
            return 0;
        c->tsc_offset = (int64_t)((uint64_t)c->tsc_offset + (value - c->tsc_adjust));
        c->tsc_adjust = value;
        return 1;
    case 0x48: /* IBRS, STIBP, SSBD */
        if (!cpu_has(c, ISA_SPEC_CTRL) || value & ~7ull)
            return 0;
        c->spec_ctrl = value;
        return 1;
    case 0x49: /* IBPB */
        return cpu_has(c, ISA_SPEC_CTRL) && !(value & ~1ull);
    case 0x8b: /* BIOS_SIGN_ID: guests clear it before CPUID puts the revision there */
        return 1;
    case 0x1a0:
        c->misc_enable = value;
        return 1;
    case 0x1d9:
        if (value & ~(uint64_t)(DEBUGCTL_LBR | DEBUGCTL_BTF))
            return 0;
        c->debugctl = value;
        return 1;
    case 0x277:
        if (!cpu_has(c, ISA_PAT) || !memory_types_ok(value, true))
            return 0;
        c->pat = value;
        return 1;
    case 0xda0:
        return cpu_has(c, ISA_XSAVES) && value == 0;
    case 0xc0000080:
        if (!cpu_has(c, ISA_SYSCALL) && !cpu_has(c, ISA_NX) && !cpu_has(c, ISA_LM))
            return 0;
        return efer_write(c, value);
    case 0xc0000100:
        return base_write(c, SEG_FS, value);
    case 0xc0000101:
        return base_write(c, SEG_GS, value);
    case 0xc0000103:
        if (!cpu_has(c, ISA_RDTSCP) && !cpu_has(c, ISA_RDPID))
            return 0;
        if (value >> 32)
            return 0;
        c->tsc_aux = value;
        return 1;
    default:
        return -1;
    }
}

static bool unknown(struct vcpu *c, uint32_t msr, const char *what)
{
    if (log_on(c->log, WEIR_LOG_UNIMP))
        log_printf(c->log, WEIR_LOG_UNIMP, "%s: unknown MSR 0x%08x at %016llx\n", what, msr,
                   (unsigned long long)c->rip);
    return false;
}

bool msr_read(struct vcpu *c, uint32_t msr, uint64_t *value)
{
    if (is_apic(c, msr))
        return apic_access(c, msr, value, false);
    int special = special_read(c, msr, value);
    if (special >= 0)
        return special;
    const struct msr_field *field = find_field(c, msr);
    if (field) {
        *value = load_le((const uint8_t *)c + field->offset, 8);
        return true;
    }
    if (mc_bank(c, msr)) {
        *value = *mc_bank(c, msr);
        return true;
    }
    if (mtrr_read(c, msr, value))
        return true;
    const struct msr_fixed *f = find_fixed(msr);
    if (f) {
        *value = f->value;
        return true;
    }
    return unknown(c, msr, "rdmsr");
}

bool msr_write(struct vcpu *c, uint32_t msr, uint64_t value)
{
    if (is_apic(c, msr))
        return apic_access(c, msr, &value, true);
    int special = special_write(c, msr, value);
    if (special >= 0)
        return special;
    const struct msr_field *field = find_field(c, msr);
    if (field) {
        if ((field->flags & MSR_CANONICAL) && !is_canonical(value))
            return false;
        if (field->flags & MSR_32BIT)
            value = (uint32_t)value;
        store_le((uint8_t *)c + field->offset, value, 8);
        return true;
    }
    if (mc_bank(c, msr)) {
        *mc_bank(c, msr) = value;
        return true;
    }
    if (mtrr_write(c, msr, value))
        return true;
    if (find_fixed(msr))
        return msr != 0xfe;
    return unknown(c, msr, "wrmsr");
}
