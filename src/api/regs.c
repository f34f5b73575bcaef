/* SPDX-License-Identifier: MIT */
/*
 * regs.c - the vCPU's registers by number and name. Plain 64-bit registers are a table of
 * offsets into struct vcpu; the others have a rule of their own. What is set is checked so far
 * that the CPU can go on from it: no combination of control bits that a processor would refuse.
 */
#include "api/api.h"
#include "cpu/cpuid.h"
#include "cpu/fpu.h"

#include <stdio.h>
#include <string.h>

#define PLAIN(reg, member) [reg] = offsetof(struct vcpu, member)
static const size_t plain[WEIR_REG_COUNT] = {
    PLAIN(WEIR_RAX, gpr[RAX]), PLAIN(WEIR_RCX, gpr[RCX]), PLAIN(WEIR_RDX, gpr[RDX]),
    PLAIN(WEIR_RBX, gpr[RBX]), PLAIN(WEIR_RSP, gpr[RSP]), PLAIN(WEIR_RBP, gpr[RBP]),
    PLAIN(WEIR_RSI, gpr[RSI]), PLAIN(WEIR_RDI, gpr[RDI]), PLAIN(WEIR_R8, gpr[R8]),
    PLAIN(WEIR_R9, gpr[R9]),   PLAIN(WEIR_R10, gpr[R10]), PLAIN(WEIR_R11, gpr[R11]),
    PLAIN(WEIR_R12, gpr[R12]), PLAIN(WEIR_R13, gpr[R13]), PLAIN(WEIR_R14, gpr[R14]),
    PLAIN(WEIR_R15, gpr[R15]), PLAIN(WEIR_RIP, rip),      PLAIN(WEIR_CR2, cr2),
    PLAIN(WEIR_DR0, dr[0]),    PLAIN(WEIR_DR1, dr[1]),    PLAIN(WEIR_DR2, dr[2]),
    PLAIN(WEIR_DR3, dr[3]),    PLAIN(WEIR_DR6, dr[6]),    PLAIN(WEIR_DR7, dr[7]),
};
#undef PLAIN

static const char *const names[WEIR_REG_COUNT] = {
    "rax",
    "rcx",
    "rdx",
    "rbx",
    "rsp",
    "rbp",
    "rsi",
    "rdi",
    "r8",
    "r9",
    "r10",
    "r11",
    "r12",
    "r13",
    "r14",
    "r15",
    "rip",
    "rflags",
    "es",
    "cs",
    "ss",
    "ds",
    "fs",
    "gs",
    "ldtr",
    "tr",
    "gdtr",
    "idtr",
    "cr0",
    "cr2",
    "cr3",
    "cr4",
    "cr8",
    "xcr0",
    "efer",
    "dr0",
    "dr1",
    "dr2",
    "dr3",
    "dr6",
    "dr7",
    "fcw",
    "fsw",
    "ftw",
    "mxcsr",
    "st0",
    "st1",
    "st2",
    "st3",
    "st4",
    "st5",
    "st6",
    "st7",
    "zmm0",
    "zmm1",
    "zmm2",
    "zmm3",
    "zmm4",
    "zmm5",
    "zmm6",
    "zmm7",
    "zmm8",
    "zmm9",
    "zmm10",
    "zmm11",
    "zmm12",
    "zmm13",
    "zmm14",
    "zmm15",
    "zmm16",
    "zmm17",
    "zmm18",
    "zmm19",
    "zmm20",
    "zmm21",
    "zmm22",
    "zmm23",
    "zmm24",
    "zmm25",
    "zmm26",
    "zmm27",
    "zmm28",
    "zmm29",
    "zmm30",
    "zmm31",
    "k0",
    "k1",
    "k2",
    "k3",
    "k4",
    "k5",
    "k6",
    "k7",
    [WEIR_FOP] = "fop",
    [WEIR_FIP] = "fip",
    [WEIR_FCS] = "fcs",
    [WEIR_FDP] = "fdp",
    [WEIR_FDS] = "fds",
    [WEIR_PDPTE0] = "pdpte0",
    [WEIR_PDPTE1] = "pdpte1",
    [WEIR_PDPTE2] = "pdpte2",
    [WEIR_PDPTE3] = "pdpte3",
    [WEIR_CPL] = "cpl",
    [WEIR_INTERRUPTIBILITY] = "interruptibility",
    [WEIR_ACTIVITY] = "activity",
    [WEIR_PENDING_DEBUG] = "pending_debug",
    [WEIR_INJECTION] = "injection",
    [WEIR_FS_BASE] = "fs_base",
    [WEIR_GS_BASE] = "gs_base",
    [WEIR_KERNEL_GS_BASE] = "kernel_gs_base",
    [WEIR_STAR] = "star",
    [WEIR_LSTAR] = "lstar",
    [WEIR_CSTAR] = "cstar",
    [WEIR_SFMASK] = "sfmask",
    [WEIR_SYSENTER_CS] = "sysenter_cs",
    [WEIR_SYSENTER_ESP] = "sysenter_esp",
    [WEIR_SYSENTER_EIP] = "sysenter_eip",
    [WEIR_PAT] = "pat",
    [WEIR_DEBUGCTL] = "debugctl",
    [WEIR_APIC_BASE] = "apic_base",
    [WEIR_TSC] = "tsc",
    [WEIR_TSC_AUX] = "tsc_aux",
};
_Static_assert(WEIR_FOP == WEIR_K7 + 1, "names are in the enum's order");

const char *weir_reg_name(enum weir_reg reg)
{
    return (unsigned)reg < WEIR_REG_COUNT ? names[reg] : NULL;
}

int weir_reg_by_name(const char *name)
{
    for (int i = 0; i < WEIR_REG_COUNT; i++)
        if (!strcmp(names[i], name))
            return i;
    return -WEIR_ENOENT;
}

static bool is_segment(enum weir_reg reg)
{
    return reg >= WEIR_ES && reg <= WEIR_TR;
}

static void segment_get(const struct vcpu *c, enum weir_reg reg, union weir_value *v)
{
    if (is_segment(reg)) {
        const struct segment *s = &c->seg[reg - WEIR_ES];
        v->segment.selector = s->selector;
        v->segment.attributes = s->attr;
        v->segment.limit = s->limit;
        v->segment.base = s->base;
        return;
    }
    const struct table_register *t = reg == WEIR_GDTR ? &c->gdtr : &c->idtr;
    v->segment.limit = t->limit;
    v->segment.base = t->base;
}

static int special_get(struct vcpu *c, enum weir_reg reg, union weir_value *v)
{
    switch (reg) {
    case WEIR_RFLAGS:
        v->u64 = cpu_rflags(c);
        return 0;
    case WEIR_CR0:
        v->u64 = c->cr0;
        return 0;
    case WEIR_CR3:
        v->u64 = c->cr3;
        return 0;
    case WEIR_CR4:
        v->u64 = c->cr4;
        return 0;
    case WEIR_CR8:
        v->u64 = c->wires.get_tpr ? c->wires.get_tpr(c->wires.ctx) : 0;
        return 0;
    case WEIR_XCR0:
        v->u64 = c->xcr0;
        return 0;
    case WEIR_EFER:
        v->u64 = c->efer;
        return 0;
    default:
        return fpu_reg_get(c, reg, v);
    }
}

int weir_reg_get(weir_vcpu *cpu, enum weir_reg reg, union weir_value *value)
{
    struct vcpu *c = vcpu_of(cpu);
    memset(value, 0, sizeof(*value));
    if ((unsigned)reg >= WEIR_REG_COUNT)
        return err_set(&c->vm->err, WEIR_EINVAL, "no register with number %d", (int)reg);
    if (reg == WEIR_RAX || plain[reg])
        memcpy(&value->u64, (char *)c + plain[reg], 8);
    else if (is_segment(reg) || reg == WEIR_GDTR || reg == WEIR_IDTR)
        segment_get(c, reg, value);
    else
        return special_get(c, reg, value);
    return 0;
}

static void segment_set(struct vcpu *c, enum weir_reg reg, const union weir_value *v)
{
    if (is_segment(reg)) {
        c->seg[reg - WEIR_ES] = (struct segment){.selector = v->segment.selector,
                                                 .attr = v->segment.attributes,
                                                 .limit = v->segment.limit,
                                                 .base = v->segment.base};
        if (reg == WEIR_SS && (c->cr0 & CR0_PE) && !(c->rflags_rest & FLAG_VM))
            c->cpl = v->segment.attributes >> SEG_ATTR_DPL_SHIFT & 3;
        return;
    }
    struct table_register *t = reg == WEIR_GDTR ? &c->gdtr : &c->idtr;
    t->limit = (uint16_t)v->segment.limit;
    t->base = v->segment.base;
}

/* What no processor can be in: paging without protection, long mode without PAE. */
static bool control_valid(uint64_t cr0, uint64_t cr4, uint64_t efer)
{
    bool pg = cr0 & CR0_PG, lma = efer & EFER_LMA;
    return !(pg && !(cr0 & CR0_PE)) && !((cr0 & CR0_NW) && !(cr0 & CR0_CD)) && !(cr0 >> 32) &&
           lma == (pg && (efer & EFER_LME)) && !(lma && !(cr4 & CR4_PAE));
}

static int control_set(struct vcpu *c, enum weir_reg reg, uint64_t v)
{
    uint64_t cr0 = c->cr0, cr4 = c->cr4, efer = c->efer;
    if (reg == WEIR_CR0)
        cr0 = v | CR0_ET;
    else if (reg == WEIR_CR4)
        cr4 = v;
    else
        efer = v;
    /* LMA follows from the others, whichever of them is set last. */
    efer = (efer & ~(uint64_t)EFER_LMA) |
           ((cr0 & CR0_PG) && (efer & EFER_LME) ? (uint64_t)EFER_LMA : 0);
    if (!control_valid(cr0, cr4, efer))
        return err_set(&c->vm->err, WEIR_EINVAL, "%s: no CPU can hold %#llx now", names[reg],
                       (unsigned long long)v);
    c->cr0 = cr0;
    c->cr4 = cr4;
    c->efer = efer;
    tlb_flush_all(c);
    return 0;
}

static int special_set(struct vcpu *c, enum weir_reg reg, const union weir_value *v)
{
    switch (reg) {
    case WEIR_RFLAGS:
        cpu_set_rflags(c, v->u64);
        return 0;
    case WEIR_CR0:
    case WEIR_CR4:
    case WEIR_EFER:
        return control_set(c, reg, v->u64);
    case WEIR_CR3:
        c->cr3 = v->u64;
        tlb_flush_all(c);
        return 0;
    case WEIR_CR8:
        if (c->wires.set_tpr)
            c->wires.set_tpr(c->wires.ctx, v->u64 & 15);
        return 0;
    case WEIR_XCR0:
        if (!(v->u64 & 1) || (v->u64 & ~c->model->xcr0_mask))
            return err_set(&c->vm->err, WEIR_EINVAL, "xcr0: %#llx is not supported",
                           (unsigned long long)v->u64);
        c->xcr0 = v->u64;
        return 0;
    default:
        return fpu_reg_set(c, reg, v);
    }
}

int weir_reg_set(weir_vcpu *cpu, enum weir_reg reg, const union weir_value *value)
{
    struct vcpu *c = vcpu_of(cpu);
    int rc = 0;
    if ((unsigned)reg >= WEIR_REG_COUNT)
        return err_set(&c->vm->err, WEIR_EINVAL, "no register with number %d", (int)reg);
    if (reg == WEIR_RAX || plain[reg])
        memcpy((char *)c + plain[reg], &value->u64, 8);
    else if (is_segment(reg) || reg == WEIR_GDTR || reg == WEIR_IDTR)
        segment_set(c, reg, value);
    else
        rc = special_set(c, reg, value);
    cpu_mode_update(c);
    return rc;
}

int weir_msr_get(weir_vcpu *cpu, uint32_t msr, uint64_t *value)
{
    struct vcpu *c = vcpu_of(cpu);
    if (!msr_read(c, msr, value))
        return err_set(&c->vm->err, WEIR_ENOENT, "MSR %#x cannot be read", msr);
    return 0;
}

int weir_msr_set(weir_vcpu *cpu, uint32_t msr, uint64_t value)
{
    struct vcpu *c = vcpu_of(cpu);
    if (!msr_write(c, msr, value))
        return err_set(&c->vm->err, WEIR_EINVAL, "MSR %#x cannot be set to %#llx", msr,
                       (unsigned long long)value);
    cpu_mode_update(c);
    return 0;
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

const char *weir_cpu_model(unsigned i, const char **help)
{
    return cpu_model_name(i, help);
}
const char *weir_cpu_feature(unsigned i)
{
    return i + 1 < ISA_COUNT ? cpuid_features[i + 1].name : NULL;
}

/* ---- code without firmware ---- */

/* Six pages: PML4, PDPT and four page directories of 2 MiB pages. */
static int flat_tables(struct vcpu *c, unsigned bits, weir_gpa at)
{
    uint64_t table[512] = {0};
    int rc = 0;
    if (bits != 64)
        return 0;
    for (unsigned i = 0; i < 4; i++)
        table[i] = (at + 0x2000 + i * 0x1000) | 3;
    rc = weir_mem_write(c->vm, at + 0x1000, table, sizeof(table));
    memset(table, 0, sizeof(table));
    table[0] = (at + 0x1000) | 3;
    rc = rc < 0 ? rc : weir_mem_write(c->vm, at, table, sizeof(table));
    for (unsigned page = 0; page < 4 && rc == 0; page++) {
        for (unsigned i = 0; i < 512; i++)
            table[i] = (page * 512ull + i) << 21 | 0x83;
        rc = weir_mem_write(c->vm, at + 0x2000 + page * 0x1000, table, sizeof(table));
    }
    return rc;
}

int weir_boot_flat(weir *vm, unsigned bits, weir_gpa entry, weir_gpa stack, weir_gpa tables_gpa)
{
    struct vcpu *c = &vm->cpu;
    if ((bits != 16 && bits != 32 && bits != 64) || (bits == 64 && tables_gpa % 4096) ||
        (bits == 16 && entry > 0xfffff))
        return err_set(&vm->err, WEIR_EINVAL, "flat boot: %u bits at %#llx is not possible",
                       bits, (unsigned long long)entry);
    int rc = weir_start(vm);
    if (rc < 0 || (rc = flat_tables(c, bits, tables_gpa)) < 0)
        return rc;
    vcpu_reset(c, false);
    uint16_t code = SEG_ATTR_P | SEG_ATTR_S | 0xb, data = SEG_ATTR_P | SEG_ATTR_S | 0x3;
    uint16_t big = bits == 16 ? 0 : SEG_ATTR_G | SEG_ATTR_DB;
    uint32_t limit = bits == 16 ? 0xffff : 0xffffffff;
    for (unsigned s = SEG_ES; s <= SEG_GS; s++)
        c->seg[s] = (struct segment){
            .limit = limit, .selector = bits == 16 ? 0 : 16, .attr = (uint16_t)(data | big)};
    c->seg[SEG_CS].attr = (uint16_t)(code | big);
    c->seg[SEG_CS].selector = bits == 16 ? (uint16_t)(entry >> 4 & 0xf000) : 8;
    c->seg[SEG_CS].base = bits == 16 ? entry & 0xf0000 : 0;
    c->rip = entry - c->seg[SEG_CS].base;
    c->gpr[RSP] = stack;
    if (bits != 16)
        c->cr0 |= CR0_PE;
    if (bits == 64) {
        c->seg[SEG_CS].attr = (uint16_t)(code | SEG_ATTR_L | SEG_ATTR_G);
        c->cr3 = tables_gpa;
        c->cr4 |= CR4_PAE;
        c->efer |= EFER_LME | EFER_LMA;
        c->cr0 |= CR0_PG;
    }
    tlb_flush_all(c);
    cpu_mode_update(c);
    return 0;
}
