/* SPDX-License-Identifier: MIT */
/*
 * regs.c - the vCPU's registers by number. A row of `rows` says what a register is; those that
 * are 64 bits of struct vcpu, or an MSR with a name, need nothing more. What is set is checked so
 * far that the CPU can go on from it.
 */
#include "api/regs.h"
#include "cpu/control.h"
#include "cpu/cpuid.h"
#include "cpu/fpu.h"
#include "cpu/tlb.h"

#include <string.h>

enum kind { PLAIN, SEGMENT, CONTROL, DEBUG, FPU, BYTES, VECTOR, STATE, MSR };

struct row {
    const char *name;
    uint8_t kind, bytes;
    uint32_t where; /* PLAIN: in struct vcpu; MSR: its number */
};

// clang-format off
#define ROW_PLAIN(reg, name, member) [WEIR_##reg] = {name, PLAIN, 8, offsetof(struct vcpu, member)}
#define ROW(reg, name, kind, bytes)  [WEIR_##reg] = {name, kind, bytes, 0}
#define ROW_MSR(reg, name, number)   [WEIR_##reg] = {name, MSR, 8, number}
#define VECTOR_ROW(n)                [WEIR_ZMM0 + n] = {"zmm" #n, VECTOR, 64, 0}
#define MASK_ROW(n)                  [WEIR_K0 + n] = {"k" #n, FPU, 8, 0}
static const struct row rows[WEIR_REG_COUNT] = {
    ROW_PLAIN(RAX, "rax", gpr[RAX]), ROW_PLAIN(RCX, "rcx", gpr[RCX]),
    ROW_PLAIN(RDX, "rdx", gpr[RDX]), ROW_PLAIN(RBX, "rbx", gpr[RBX]),
    ROW_PLAIN(RSP, "rsp", gpr[RSP]), ROW_PLAIN(RBP, "rbp", gpr[RBP]),
    ROW_PLAIN(RSI, "rsi", gpr[RSI]), ROW_PLAIN(RDI, "rdi", gpr[RDI]),
    ROW_PLAIN(R8, "r8", gpr[R8]), ROW_PLAIN(R9, "r9", gpr[R9]),
    ROW_PLAIN(R10, "r10", gpr[R10]), ROW_PLAIN(R11, "r11", gpr[R11]),
    ROW_PLAIN(R12, "r12", gpr[R12]), ROW_PLAIN(R13, "r13", gpr[R13]),
    ROW_PLAIN(R14, "r14", gpr[R14]), ROW_PLAIN(R15, "r15", gpr[R15]),
    ROW_PLAIN(RIP, "rip", rip), ROW(RFLAGS, "rflags", STATE, 8),
    ROW(ES, "es", SEGMENT, 16), ROW(CS, "cs", SEGMENT, 16), ROW(SS, "ss", SEGMENT, 16),
    ROW(DS, "ds", SEGMENT, 16), ROW(FS, "fs", SEGMENT, 16), ROW(GS, "gs", SEGMENT, 16),
    ROW(LDTR, "ldtr", SEGMENT, 16), ROW(TR, "tr", SEGMENT, 16),
    ROW(GDTR, "gdtr", SEGMENT, 16), ROW(IDTR, "idtr", SEGMENT, 16),
    ROW(CR0, "cr0", CONTROL, 8), ROW_PLAIN(CR2, "cr2", cr2), ROW(CR3, "cr3", CONTROL, 8),
    ROW(CR4, "cr4", CONTROL, 8), ROW(CR8, "cr8", CONTROL, 8), ROW(XCR0, "xcr0", CONTROL, 8),
    ROW(EFER, "efer", CONTROL, 8),
    ROW(DR0, "dr0", DEBUG, 8), ROW(DR1, "dr1", DEBUG, 8), ROW(DR2, "dr2", DEBUG, 8),
    ROW(DR3, "dr3", DEBUG, 8), ROW(DR6, "dr6", DEBUG, 8), ROW(DR7, "dr7", DEBUG, 8),
    ROW(FCW, "fcw", FPU, 2), ROW(FSW, "fsw", FPU, 2), ROW(FTW, "ftw", FPU, 2),
    ROW(MXCSR, "mxcsr", FPU, 4),
    ROW(ST0, "st0", BYTES, 10), ROW(ST1, "st1", BYTES, 10), ROW(ST2, "st2", BYTES, 10),
    ROW(ST3, "st3", BYTES, 10), ROW(ST4, "st4", BYTES, 10), ROW(ST5, "st5", BYTES, 10),
    ROW(ST6, "st6", BYTES, 10), ROW(ST7, "st7", BYTES, 10),
    VECTOR_ROW(0), VECTOR_ROW(1), VECTOR_ROW(2), VECTOR_ROW(3), VECTOR_ROW(4), VECTOR_ROW(5),
    VECTOR_ROW(6), VECTOR_ROW(7), VECTOR_ROW(8), VECTOR_ROW(9), VECTOR_ROW(10), VECTOR_ROW(11),
    VECTOR_ROW(12), VECTOR_ROW(13), VECTOR_ROW(14), VECTOR_ROW(15), VECTOR_ROW(16),
    VECTOR_ROW(17), VECTOR_ROW(18), VECTOR_ROW(19), VECTOR_ROW(20), VECTOR_ROW(21),
    VECTOR_ROW(22), VECTOR_ROW(23), VECTOR_ROW(24), VECTOR_ROW(25), VECTOR_ROW(26),
    VECTOR_ROW(27), VECTOR_ROW(28), VECTOR_ROW(29), VECTOR_ROW(30), VECTOR_ROW(31),
    MASK_ROW(0), MASK_ROW(1), MASK_ROW(2), MASK_ROW(3), MASK_ROW(4), MASK_ROW(5), MASK_ROW(6),
    MASK_ROW(7),
    ROW(FOP, "fop", FPU, 2), ROW(FIP, "fip", FPU, 8), ROW(FCS, "fcs", FPU, 2),
    ROW(FDP, "fdp", FPU, 8), ROW(FDS, "fds", FPU, 2),
    ROW(PDPTE0, "pdpte0", CONTROL, 8), ROW(PDPTE1, "pdpte1", CONTROL, 8),
    ROW(PDPTE2, "pdpte2", CONTROL, 8), ROW(PDPTE3, "pdpte3", CONTROL, 8),
    ROW(CPL, "cpl", STATE, 1), ROW(INTERRUPTIBILITY, "interruptibility", STATE, 4),
    ROW(ACTIVITY, "activity", STATE, 4), ROW(PENDING_DEBUG, "pending_debug", STATE, 8),
    ROW(INJECTION, "injection", STATE, sizeof(struct weir_injection)),
    ROW_MSR(FS_BASE, "fs_base", 0xc0000100), ROW_MSR(GS_BASE, "gs_base", 0xc0000101),
    ROW_MSR(KERNEL_GS_BASE, "kernel_gs_base", 0xc0000102),
    ROW_MSR(STAR, "star", 0xc0000081), ROW_MSR(LSTAR, "lstar", 0xc0000082),
    ROW_MSR(CSTAR, "cstar", 0xc0000083), ROW_MSR(SFMASK, "sfmask", 0xc0000084),
    ROW_MSR(SYSENTER_CS, "sysenter_cs", 0x174), ROW_MSR(SYSENTER_ESP, "sysenter_esp", 0x175),
    ROW_MSR(SYSENTER_EIP, "sysenter_eip", 0x176), ROW_MSR(PAT, "pat", 0x277),
    ROW_MSR(DEBUGCTL, "debugctl", 0x1d9), ROW_MSR(APIC_BASE, "apic_base", 0x1b),
    ROW_MSR(TSC, "tsc", 0x10), ROW_MSR(TSC_AUX, "tsc_aux", 0xc0000103),
};
// clang-format on

const char *weir_reg_name(enum weir_reg reg)
{
    return (unsigned)reg < WEIR_REG_COUNT ? rows[reg].name : NULL;
}

int weir_reg_by_name(const char *name)
{
    for (int i = 0; i < WEIR_REG_COUNT; i++)
        if (!strcmp(rows[i].name, name))
            return i;
    return -WEIR_ENOENT;
}

static uint64_t *plain(struct vcpu *c, enum weir_reg reg)
{
    return (uint64_t *)((char *)c + rows[reg].where);
}

/* ---- who may ---- */

int regs_access(struct vcpu *c)
{
    struct weir *vm = c->vm;
    pthread_mutex_lock(&vm->run_lock);
    bool other = vm->running && !pthread_equal(vm->run_thread, pthread_self());
    pthread_mutex_unlock(&vm->run_lock);
    return other ? err_set(&vm->err, WEIR_ESTATE, "registers: the vCPU is running") : 0;
}

static int refuse(struct vcpu *c, enum weir_reg reg, uint64_t v)
{
    return err_set(&c->vm->err, WEIR_EINVAL, "%s: no CPU can hold %#llx now", rows[reg].name,
                   (unsigned long long)v);
}

/* ---- segments ---- */

static struct table_register *table_register(struct vcpu *c, enum weir_reg reg)
{
    return reg == WEIR_GDTR ? &c->gdtr : reg == WEIR_IDTR ? &c->idtr : NULL;
}

void regs_segment_get(const struct vcpu *c, enum weir_reg reg, struct weir_segment *s)
{
    const struct table_register *t = table_register((struct vcpu *)c, reg);
    if (t) {
        *s = (struct weir_segment){.limit = t->limit, .base = t->base};
        return;
    }
    const struct segment *from = &c->seg[reg - WEIR_ES];
    *s = (struct weir_segment){from->selector, from->attr, from->limit, from->base};
}

/* Bases of ES, CS, SS, DS are 32 bits wide; the others canonical. */
bool regs_segment_ok(enum weir_reg reg, const struct weir_segment *s)
{
    bool table = reg == WEIR_GDTR || reg == WEIR_IDTR;
    if (reg <= WEIR_DS)
        return s->base >> 32 == 0;
    return is_canonical(s->base) && (!table || s->limit <= 0xffff);
}

void regs_segment_load(struct vcpu *c, enum weir_reg reg, const struct weir_segment *s)
{
    struct table_register *t = table_register(c, reg);
    if (t) {
        t->limit = (uint16_t)s->limit;
        t->base = s->base;
        return;
    }
    /* Bits 8-11 of the attributes are limit bits in a descriptor. */
    c->seg[reg - WEIR_ES] = (struct segment){.selector = s->selector,
                                             .attr = s->attributes & 0xf0ff,
                                             .limit = s->limit,
                                             .base = s->base};
}

static int segment_set(struct vcpu *c, enum weir_reg reg, const union weir_value *v)
{
    if (!regs_segment_ok(reg, &v->segment))
        return refuse(c, reg, v->segment.base);
    context_touch(c, reg);
    regs_segment_load(c, reg, &v->segment);
    if (reg == WEIR_SS && (c->cr0 & CR0_PE) && !(c->rflags_rest & FLAG_VM))
        c->cpl = v->segment.attributes >> SEG_ATTR_DPL_SHIFT & 3;
    return 0;
}

/* ---- control and debug registers ---- */

uint64_t regs_tpr(struct vcpu *c)
{
    if (!c->wires.get_tpr)
        return 0;
    pthread_mutex_lock(c->device_lock);
    uint64_t tpr = c->wires.get_tpr(c->wires.ctx);
    pthread_mutex_unlock(c->device_lock);
    return tpr;
}

void regs_tpr_set(struct vcpu *c, uint64_t tpr)
{
    if (!c->wires.set_tpr)
        return;
    pthread_mutex_lock(c->device_lock);
    c->wires.set_tpr(c->wires.ctx, tpr);
    pthread_mutex_unlock(c->device_lock);
}

static uint64_t control_get(struct vcpu *c, enum weir_reg reg)
{
    switch (reg) {
    case WEIR_CR0:
        return c->cr0;
    case WEIR_CR3:
        return c->cr3;
    case WEIR_CR4:
        return c->cr4;
    case WEIR_CR8:
        return regs_tpr(c);
    case WEIR_XCR0:
        return c->xcr0;
    case WEIR_EFER:
        return c->efer;
    default:
        return c->pdpte[reg - WEIR_PDPTE0];
    }
}

/* CR0, CR4, EFER: what they are together is checked, and PDPTEs are loaded where paging becomes
 * PAE paging by it. */
static int mode_set(struct vcpu *c, enum weir_reg reg, uint64_t v)
{
    uint64_t cr0 = reg == WEIR_CR0 ? (v & ~(0xffffffffull & ~CR0_VALID)) | CR0_ET : c->cr0;
    uint64_t cr4 = reg == WEIR_CR4 ? v : c->cr4;
    uint64_t efer = regs_efer(cr0, reg == WEIR_EFER ? v : c->efer);
    bool was_pae = pae_paging(c->cr0, c->cr4, c->efer);
    if (!context_control_ok(c, cr0, cr4, efer, c->rflags_rest) ||
        (!was_pae && pae_paging(cr0, cr4, efer) && !paging_load_pdptes(c, c->cr3)))
        return refuse(c, reg, v);
    context_touch(c, reg);
    c->cr0 = cr0;
    c->cr4 = cr4;
    c->efer = efer;
    tlb_flush_all(c);
    return 0;
}

static int cr3_set(struct vcpu *c, uint64_t v)
{
    if (v >> cpu_phys_bits(c) ||
        (pae_paging(c->cr0, c->cr4, c->efer) && !paging_load_pdptes(c, v)))
        return refuse(c, WEIR_CR3, v);
    context_touch(c, WEIR_CR3);
    c->cr3 = v;
    tlb_flush_all(c);
    return 0;
}

static int control_set(struct vcpu *c, enum weir_reg reg, uint64_t v)
{
    switch (reg) {
    case WEIR_CR3:
        return cr3_set(c, v);
    case WEIR_CR8:
        if (v >> 4)
            return refuse(c, reg, v);
        context_touch(c, reg);
        regs_tpr_set(c, v);
        return 0;
    case WEIR_XCR0:
        if (v != c->xcr0 && !xcr0_valid(c, v))
            return refuse(c, reg, v);
        context_touch(c, reg);
        c->xcr0 = v;
        return 0;
    case WEIR_CR0:
    case WEIR_CR4:
    case WEIR_EFER:
        return mode_set(c, reg, v);
    default:
        context_touch(c, reg);
        c->pdpte[reg - WEIR_PDPTE0] = v;
        tlb_flush_all(c);
        return 0;
    }
}

static unsigned debug_number(enum weir_reg reg)
{
    return reg <= WEIR_DR3 ? reg - WEIR_DR0 : reg - WEIR_DR6 + 6;
}

static int debug_set(struct vcpu *c, enum weir_reg reg, uint64_t v)
{
    if (reg >= WEIR_DR6 && v >> 32)
        return refuse(c, reg, v);
    context_touch(c, reg);
    dr_write(c, debug_number(reg), v);
    return 0;
}

/* ---- privilege, events ---- */

bool regs_cpl_ok(uint64_t cr0, uint64_t rflags, uint64_t cpl)
{
    if (!(cr0 & CR0_PE))
        return cpl == 0;
    return rflags & FLAG_VM ? cpl == 3 : cpl <= 3;
}

uint32_t regs_interruptibility(const struct vcpu *c)
{
    return (c->shadow & SHADOW_STI ? WEIR_BLOCKED_BY_STI : 0) |
           (c->shadow & SHADOW_MOV_SS ? WEIR_BLOCKED_BY_MOV_SS : 0) |
           (c->nmi_blocked ? WEIR_BLOCKED_BY_NMI : 0);
}

bool regs_interruptibility_ok(uint64_t v)
{
    unsigned both = WEIR_BLOCKED_BY_STI | WEIR_BLOCKED_BY_MOV_SS;
    return !(v & ~(uint64_t)(both | WEIR_BLOCKED_BY_NMI)) && (v & both) != both;
}

void regs_interruptibility_set(struct vcpu *c, uint64_t v)
{
    c->shadow &= (uint8_t) ~(SHADOW_STI | SHADOW_MOV_SS);
    c->shadow |= (v & WEIR_BLOCKED_BY_STI ? SHADOW_STI : 0) |
                 (v & WEIR_BLOCKED_BY_MOV_SS ? SHADOW_MOV_SS : 0);
    c->nmi_blocked = v & WEIR_BLOCKED_BY_NMI;
}

bool regs_pending_debug_ok(uint64_t v)
{
    return !(v & ~(uint64_t)(0xf | DR6_BS));
}

void regs_pending_debug_set(struct vcpu *c, uint64_t v)
{
    c->pending_dr6 = v;
    if (v)
        cpu_attention(c, ATTENTION_EVENT);
}

void regs_inject(struct vcpu *c, const struct weir_injection *i)
{
    c->injection = *i;
    if (i->pending)
        cpu_attention(c, ATTENTION_EVENT);
}

static void state_get(struct vcpu *c, enum weir_reg reg, union weir_value *v)
{
    switch (reg) {
    case WEIR_RFLAGS:
        v->u64 = cpu_rflags(c);
        break;
    case WEIR_CPL:
        v->u64 = c->cpl;
        break;
    case WEIR_INTERRUPTIBILITY:
        v->u64 = regs_interruptibility(c);
        break;
    case WEIR_ACTIVITY:
        v->u64 = c->halted ? WEIR_HALTED : WEIR_ACTIVE;
        break;
    case WEIR_PENDING_DEBUG:
        v->u64 = c->pending_dr6;
        break;
    default:
        v->injection = c->injection;
        break;
    }
}

static bool state_ok(const struct vcpu *c, enum weir_reg reg, const union weir_value *v)
{
    switch (reg) {
    case WEIR_RFLAGS:
        return context_control_ok(c, c->cr0, c->cr4, c->efer, v->u64);
    case WEIR_CPL:
        return regs_cpl_ok(c->cr0, c->rflags_rest, v->u64);
    case WEIR_INTERRUPTIBILITY:
        return regs_interruptibility_ok(v->u64);
    case WEIR_ACTIVITY:
        return v->u64 <= WEIR_HALTED;
    case WEIR_PENDING_DEBUG:
        return regs_pending_debug_ok(v->u64);
    default:
        return !v->injection.pending || context_injection_ok(&v->injection);
    }
}

static int state_set(struct vcpu *c, enum weir_reg reg, const union weir_value *v)
{
    if (!state_ok(c, reg, v))
        return refuse(c, reg, v->u64);
    context_touch(c, reg);
    switch (reg) {
    case WEIR_RFLAGS:
        cpu_set_rflags(c, v->u64);
        break;
    case WEIR_CPL:
        c->cpl = (uint8_t)v->u64;
        break;
    case WEIR_INTERRUPTIBILITY:
        regs_interruptibility_set(c, v->u64);
        break;
    case WEIR_ACTIVITY:
        c->halted = v->u64 == WEIR_HALTED;
        break;
    case WEIR_PENDING_DEBUG:
        regs_pending_debug_set(c, v->u64);
        break;
    default:
        regs_inject(c, &v->injection);
        break;
    }
    return 0;
}

/* ---- MSRs ---- */

static int base_set(struct vcpu *c, enum weir_reg reg, uint64_t v)
{
    struct segment *s = &c->seg[reg == WEIR_FS_BASE ? SEG_FS : SEG_GS];
    if (!is_canonical(v))
        return refuse(c, reg, v);
    context_touch(c, reg);
    s->base = v;
    return 0;
}

static int named_msr_get(struct vcpu *c, enum weir_reg reg, uint64_t *v)
{
    if (reg == WEIR_FS_BASE || reg == WEIR_GS_BASE) {
        *v = c->seg[reg == WEIR_FS_BASE ? SEG_FS : SEG_GS].base;
        return 0;
    }
    return weir_msr_get((weir_vcpu *)c, rows[reg].where, v);
}

static int named_msr_set(struct vcpu *c, enum weir_reg reg, uint64_t v)
{
    if (reg == WEIR_FS_BASE || reg == WEIR_GS_BASE)
        return base_set(c, reg, v);
    int rc = weir_msr_set((weir_vcpu *)c, rows[reg].where, v);
    if (rc == 0)
        context_touch(c, reg);
    return rc;
}

int weir_msr_get(weir_vcpu *cpu, uint32_t msr, uint64_t *value)
{
    struct vcpu *c = vcpu_of(cpu);
    uint64_t v;
    int rc = regs_access(c);
    if (rc < 0)
        return rc;
    if (!msr_read(c, msr, &v))
        return err_set(&c->vm->err, WEIR_ENOENT, "MSR %#x cannot be read", msr);
    *value = v;
    return 0;
}

int weir_msr_set(weir_vcpu *cpu, uint32_t msr, uint64_t value)
{
    struct vcpu *c = vcpu_of(cpu);
    int rc = regs_access(c);
    if (rc < 0)
        return rc;
    context_touch(c, WEIR_REG_COUNT);
    if (!msr_write(c, msr, value))
        return err_set(&c->vm->err, WEIR_EINVAL, "MSR %#x cannot be set to %#llx", msr,
                       (unsigned long long)value);
    cpu_mode_update(c);
    return 0;
}

/* ---- any ---- */

static int check(struct vcpu *c, enum weir_reg reg)
{
    if ((unsigned)reg >= WEIR_REG_COUNT)
        return err_set(&c->vm->err, WEIR_EINVAL, "no register with number %d", (int)reg);
    return regs_access(c);
}

int weir_reg_get(weir_vcpu *cpu, enum weir_reg reg, union weir_value *value)
{
    struct vcpu *c = vcpu_of(cpu);
    union weir_value v = {0};
    int rc = check(c, reg);
    if (rc < 0)
        return rc;
    switch (rows[reg].kind) {
    case PLAIN:
        v.u64 = *plain(c, reg);
        break;
    case SEGMENT:
        regs_segment_get(c, reg, &v.segment);
        break;
    case CONTROL:
        v.u64 = control_get(c, reg);
        break;
    case DEBUG:
        v.u64 = c->dr[debug_number(reg)];
        break;
    case STATE:
        state_get(c, reg, &v);
        break;
    case MSR:
        rc = named_msr_get(c, reg, &v.u64);
        break;
    default:
        rc = fpu_reg_get(c, reg, &v);
        break;
    }
    if (rc == 0)
        *value = v;
    return rc;
}

static int fpu_set(struct vcpu *c, enum weir_reg reg, const union weir_value *v)
{
    if (reg == WEIR_MXCSR && (v->u64 & ~(uint64_t)MXCSR_MASK))
        return refuse(c, reg, v->u64);
    context_touch(c, reg);
    return fpu_reg_set(c, reg, v);
}

int weir_reg_set(weir_vcpu *cpu, enum weir_reg reg, const union weir_value *value)
{
    struct vcpu *c = vcpu_of(cpu);
    int rc = check(c, reg);
    if (rc < 0)
        return rc;
    switch (rows[reg].kind) {
    case PLAIN:
        context_touch(c, reg);
        *plain(c, reg) = value->u64;
        return 0;
    case SEGMENT:
        rc = segment_set(c, reg, value);
        break;
    case CONTROL:
        rc = control_set(c, reg, value->u64);
        break;
    case DEBUG:
        rc = debug_set(c, reg, value->u64);
        break;
    case STATE:
        rc = state_set(c, reg, value);
        break;
    case MSR:
        rc = named_msr_set(c, reg, value->u64);
        break;
    default:
        return fpu_set(c, reg, value);
    }
    if (rc == 0)
        cpu_mode_update(c);
    return rc;
}

static bool is_number(enum weir_reg reg)
{
    unsigned kind = (unsigned)reg < WEIR_REG_COUNT ? rows[reg].kind : SEGMENT;
    return kind != SEGMENT && kind != BYTES && kind != VECTOR && reg != WEIR_INJECTION;
}

uint64_t weir_reg_get_u64(weir_vcpu *cpu, enum weir_reg reg)
{
    union weir_value v;
    return is_number(reg) && weir_reg_get(cpu, reg, &v) == 0 ? v.u64 : 0;
}

int weir_reg_set_u64(weir_vcpu *cpu, enum weir_reg reg, uint64_t value)
{
    if (!is_number(reg))
        return err_set(&vcpu_of(cpu)->vm->err, WEIR_EINVAL, "register %d is no number",
                       (int)reg);
    return weir_reg_set(cpu, reg, &(union weir_value){.u64 = value});
}

bool weir_reg_is_dirty(weir_vcpu *cpu, enum weir_reg reg)
{
    return (unsigned)reg < WEIR_REG_COUNT && (vcpu_of(cpu)->dirty[reg / 64u] >> reg % 64u & 1);
}

unsigned weir_reg_bytes(weir_vcpu *cpu, enum weir_reg reg)
{
    const struct vcpu *c = vcpu_of(cpu);
    if ((unsigned)reg >= WEIR_REG_COUNT)
        return 0;
    if (rows[reg].kind == VECTOR)
        return fpu_vector_bytes(c, reg - WEIR_ZMM0);
    if (reg >= WEIR_K0 && reg <= WEIR_K7 && !cpu_has(c, ISA_AVX512F))
        return 0;
    return rows[reg].bytes;
}

int weir_code_bits(weir_vcpu *cpu)
{
    return 16 << (vcpu_of(cpu)->mode & MODE_CODE_MASK);
}

weir_gva weir_linear_rip(weir_vcpu *cpu)
{
    const struct vcpu *c = vcpu_of(cpu);
    return (c->segc[SEG_CS].base + c->rip) & c->linear_mask;
}

void weir_set_exact_flags(weir *vm, bool on)
{
    __atomic_store_n(&vm->cpu.exact_flags, on, __ATOMIC_RELAXED);
}
