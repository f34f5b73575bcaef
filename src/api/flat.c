/* SPDX-License-Identifier: MIT */
/* flat.c - a vCPU made ready for code that is in RAM already, without any firmware; and the names
 * of CPU models. */
#include "api/api.h"
#include "cpu/cpuid.h"

#include <string.h>

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

/* ---- CPU models ---- */

const char *weir_cpu_model(unsigned i, const char **help)
{
    return cpu_model_name(i, help);
}
const char *weir_cpu_feature(unsigned i)
{
    return i + 1 < ISA_COUNT ? cpuid_features[i + 1].name : NULL;
}
