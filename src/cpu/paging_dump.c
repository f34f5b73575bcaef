/* SPDX-License-Identifier: MIT */
/*
 * paging_dump.c - `info mem` and `info tlb`: what the current page tables map, in the layout of
 * QEMU's monitor. One walk over all present entries serves both; `visit` gets every leaf, and
 * every hole as a leaf with no rights.
 */
#include "cpu/tlb.h"

#include <stdio.h>

typedef unsigned long long ull;

#define PTE_P       BIT64(0)
#define PTE_RW      BIT64(1)
#define PTE_US      BIT64(2)
#define PTE_PS      BIT64(7)
#define PTE_ADDRESS 0x000ffffffffff000ull
#define RIGHTS      (PTE_P | PTE_RW | PTE_US)

struct dump {
    struct vcpu *c;
    struct weir_text *out;
    void (*visit)(struct dump *d, uint64_t linear, uint64_t entry, uint64_t rights,
                  unsigned shift);
    bool wide;            /* entries of 8 bytes */
    uint64_t start, prot; /* info mem: the run being collected */
};

static uint64_t canonical(const struct dump *d, uint64_t linear)
{
    return d->c->efer & EFER_LMA ? (uint64_t)sign_extend(linear, 48) : linear;
}

static void put_line(struct dump *d, const char *line, int n)
{
    if (n > 0)
        d->out->put(d->out, line, (size_t)n);
}

/* Level 1 = page table. */
static void walk_table(struct dump *d, uint64_t table, uint64_t linear, uint64_t rights,
                       unsigned level)
{
    unsigned bits = d->wide ? 9 : 10, size = d->wide ? 8 : 4, shift = 12 + bits * (level - 1);
    unsigned count = d->wide && level == 3 && !(d->c->efer & EFER_LMA) ? 4 : 1u << bits;
    bool can_be_large = level > 1 && level < 4 && (d->wide || (d->c->cr4 & CR4_PSE));
    for (unsigned k = 0; k < count; k++) {
        uint64_t at = linear + ((uint64_t)k << shift);
        uint64_t entry = count == 4 ? d->c->pdpte[k] : phys_read(d->c, table + k * size, size);
        uint64_t here = count == 4 ? entry | PTE_RW | PTE_US : entry;
        if (!(entry & PTE_P))
            d->visit(d, at, entry, 0, shift);
        else if (level == 1 || (can_be_large && count != 4 && (entry & PTE_PS)))
            d->visit(d, at, entry, rights & here & RIGHTS, shift);
        else
            walk_table(d, entry & (d->wide ? PTE_ADDRESS : 0xfffff000u), at, rights & here,
                       level - 1);
    }
}

/* Bits of linear address that are mapped; 0 = paging is off. */
static unsigned walk_all(struct dump *d)
{
    struct vcpu *c = d->c;
    if (!(c->cr0 & CR0_PG)) {
        static const char off[] = "PG disabled\n";
        put_line(d, off, sizeof(off) - 1);
        return 0;
    }
    d->wide = c->cr4 & CR4_PAE;
    if (!d->wide) {
        walk_table(d, c->cr3 & 0xfffff000u, 0, RIGHTS, 2);
        return 32;
    }
    bool long_mode = c->efer & EFER_LMA;
    walk_table(d, c->cr3 & PTE_ADDRESS, 0, RIGHTS, long_mode ? 4 : 3);
    return long_mode ? 48 : 32;
}

/* ---- info mem ---- */

static void end_run(struct dump *d, uint64_t end, uint64_t prot)
{
    char line[96];
    if (prot == d->prot)
        return;
    if (d->prot)
        put_line(d, line,
                 snprintf(line, sizeof(line), "%016llx-%016llx %016llx %c%c%c\n",
                          (ull)canonical(d, d->start), (ull)canonical(d, end),
                          (ull)canonical(d, end - d->start), d->prot & PTE_US ? 'u' : '-', 'r',
                          d->prot & PTE_RW ? 'w' : '-'));
    d->start = end;
    d->prot = prot;
}

static void visit_mem(struct dump *d, uint64_t linear, uint64_t entry, uint64_t rights,
                      unsigned shift)
{
    (void)entry;
    (void)shift;
    end_run(d, linear, rights);
}

void paging_dump_mem(struct vcpu *c, struct weir_text *out)
{
    struct dump d = {.c = c, .out = out, .visit = visit_mem};
    unsigned bits = walk_all(&d);
    if (bits)
        end_run(&d, 1ull << bits, 0);
}

/* ---- info tlb ---- */

/* Which bits of a leaf entry are shown as its address. */
static uint64_t address_mask(const struct dump *d, unsigned shift)
{
    uint64_t mask = ~0ull << shift;
    return d->c->efer & EFER_LMA ? mask & 0x3ffffffffffffull : mask;
}

static void visit_tlb(struct dump *d, uint64_t linear, uint64_t entry, uint64_t rights,
                      unsigned shift)
{
    /* Letters from bit 63 (no execute) and bits 8 to 1. */
    static const char letters[] = "XGPDACTUW";
    char line[96], flags[10];
    if (!rights)
        return;
    if (shift == 12)
        entry &= ~PTE_PS; /* PAT there */
    flags[0] = entry >> 63 ? letters[0] : '-';
    for (unsigned k = 1; k < 9; k++)
        flags[k] = entry >> (9 - k) & 1 ? letters[k] : '-';
    flags[9] = '\0';
    put_line(d, line,
             snprintf(line, sizeof(line), "%016llx: %016llx %s\n", (ull)canonical(d, linear),
                      (ull)(entry & address_mask(d, shift)), flags));
}

void paging_dump_tlb(struct vcpu *c, struct weir_text *out)
{
    struct dump d = {.c = c, .out = out, .visit = visit_tlb};
    walk_all(&d);
}
