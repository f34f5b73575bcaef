/* SPDX-License-Identifier: MIT */
/*
 * paging.c - the page walk (SDM Vol. 3A chapter 4): 32-bit with PSE and PSE-36, PAE, 4-level.
 *
 * One walker serves the architectural translation and the debugger's look: walk_entries() reads
 * the tables and reports what it found; permissions and A/D bits are dealt with after it.
 * A and D are set only when the whole access is permitted, by compare-and-swap; if an entry
 * changed meanwhile the walk starts again.
 */
#include "cpu/cpuid.h"
#include "cpu/events.h"
#include "cpu/tlb.h"

#define PTE_P       BIT64(0)
#define PTE_RW      BIT64(1)
#define PTE_US      BIT64(2)
#define PTE_A       BIT64(5)
#define PTE_D       BIT64(6)
#define PTE_PS      BIT64(7)
#define PTE_G       BIT64(8)
#define PTE_NX      BIT64(63)
#define PTE_ADDRESS 0x000ffffffffff000ull

enum walk_result { WALK_OK, WALK_NOT_PRESENT, WALK_RESERVED };

/* Physical address bits above what the model has, within 51:0. */
static uint64_t reserved_physical(const struct vcpu *c)
{
    return ((1ull << 52) - 1) & ~((1ull << cpu_phys_bits(c)) - 1);
}

static bool nx_enabled(const struct vcpu *c)
{
    return c->efer & EFER_NXE;
}

static void walk_combine(struct walk *w, uint64_t entry)
{
    w->writable &= (entry & PTE_RW) != 0;
    w->user &= (entry & PTE_US) != 0;
    w->no_execute |= (entry & PTE_NX) != 0;
}

static void walk_finish(struct walk *w, uint64_t entry, uint64_t base, uint64_t page_bytes,
                        uint64_t linear)
{
    w->page_bytes = page_bytes;
    w->gpa = base | (linear & (page_bytes - 1));
    w->global = (entry & PTE_G) != 0;
    w->dirty = (entry & PTE_D) != 0;
}

static enum walk_result walk_32bit(struct vcpu *c, uint64_t linear, struct walk *w)
{
    uint64_t table = c->cr3 & 0xfffff000u;
    for (unsigned level = 2; level; level--) {
        uint64_t at = table + ((linear >> (level == 2 ? 22 : 12)) & 0x3ff) * 4;
        uint64_t entry = phys_read(c, at, 4);
        w->entry[w->levels] = entry;
        w->entry_gpa[w->levels++] = at;
        if (!(entry & PTE_P))
            return WALK_NOT_PRESENT;
        walk_combine(w, entry);
        if (level == 2 && (entry & PTE_PS) && (c->cr4 & CR4_PSE)) {
            uint64_t base = entry & 0xffc00000u;
            uint64_t reserved = BIT64(21);
            if (cpu_has(c, ISA_PSE36)) {
                unsigned high = cpu_phys_bits(c) < 40 ? cpu_phys_bits(c) : 40;
                base |= bits_get(entry, 13, 8) << 32;
                for (unsigned bit = high > 32 ? high : 32; bit < 40; bit++)
                    reserved |= BIT64(bit - 32 + 13);
            } else {
                reserved |= 0xffull << 13;
            }
            if (entry & reserved)
                return WALK_RESERVED;
            walk_finish(w, entry, base, 1u << 22, linear);
            return WALK_OK;
        }
        if (level == 1) {
            walk_finish(w, entry, entry & 0xfffff000u, 4096, linear);
            return WALK_OK;
        }
        table = entry & 0xfffff000u;
    }
    return WALK_NOT_PRESENT;
}

/* PAE below its PDPTEs, and 4-level paging: `level` is the first to read (4 = PML4, 2 = PD). */
static enum walk_result walk_64bit(struct vcpu *c, uint64_t linear, uint64_t table,
                                   unsigned level, uint64_t reserved, struct walk *w)
{
    if (!nx_enabled(c))
        reserved |= PTE_NX;
    for (;; level--) {
        unsigned shift = 12 + 9 * (level - 1);
        uint64_t at = table + ((linear >> shift) & 0x1ff) * 8;
        uint64_t entry = phys_read(c, at, 8);
        w->entry[w->levels] = entry;
        w->entry_gpa[w->levels++] = at;
        if (!(entry & PTE_P))
            return WALK_NOT_PRESENT;
        walk_combine(w, entry);
        bool large = level > 1 && (entry & PTE_PS);
        if ((entry & reserved) || (level == 4 && large) ||
            (level == 3 && large && !cpu_has(c, ISA_PDPE1GB)))
            return WALK_RESERVED;
        table = entry & PTE_ADDRESS;
        if (large) {
            uint64_t inside = (1ull << shift) - 1;
            if (entry & inside & 0x3fffe000)
                return WALK_RESERVED;
            walk_finish(w, entry, table & ~inside, 1ull << shift, linear);
            return WALK_OK;
        }
        if (level == 1) {
            walk_finish(w, entry, table, 4096, linear);
            return WALK_OK;
        }
    }
}

static enum walk_result walk_entries(struct vcpu *c, uint64_t linear, struct walk *w)
{
    *w = (struct walk){.writable = true, .user = true};
    if (!(c->cr0 & CR0_PG)) {
        w->gpa = linear & 0xffffffff;
        w->page_bytes = 4096;
        w->dirty = true;
        return WALK_OK;
    }
    if (!(c->cr4 & CR4_PAE))
        return walk_32bit(c, linear, w);
    uint64_t reserved = reserved_physical(c);
    if (c->efer & EFER_LMA)
        return walk_64bit(c, linear, c->cr3 & PTE_ADDRESS, 4, reserved, w);
    uint64_t pdpte = c->pdpte[(linear >> 30) & 3];
    if (!(pdpte & PTE_P))
        return WALK_NOT_PRESENT;
    reserved |= 0x7ffull << 52;
    return walk_64bit(c, linear, pdpte & PTE_ADDRESS, 2, reserved, w);
}

bool paging_walk(struct vcpu *c, uint64_t linear, struct walk *walk)
{
    if (c->efer & EFER_LMA && !is_canonical(linear))
        return false;
    bool quiet = c->ev.quiet; /* this walk is not the guest's */
    c->ev.quiet = true;
    enum walk_result result = walk_entries(c, linear, walk);
    c->ev.quiet = quiet;
    if (result != WALK_OK)
        return false;
    walk->gpa &= c->a20_mask;
    return true;
}

bool paging_load_pdptes(struct vcpu *c, uint64_t cr3)
{
    /* R/W and U/S are reserved here, as are bits 8:5 and 63 (SDM table 4-8). */
    uint64_t reserved = 0x1e6 | reserved_physical(c) | 0xfffull << 52;
    uint64_t pdpte[4];
    for (unsigned k = 0; k < 4; k++) {
        pdpte[k] = phys_read(c, (cr3 & 0xffffffe0u) + 8 * k, 8);
        if ((pdpte[k] & PTE_P) && (pdpte[k] & reserved))
            return false;
    }
    memcpy(c->pdpte, pdpte, sizeof(pdpte));
    return true;
}

/* What the walk permits to this kind of access, D bit not considered. */
static uint8_t permitted(const struct vcpu *c, const struct walk *w, enum tlb_kind kind)
{
    bool user = kind == TLB_USER || kind == TLB_USER_ALIGNED;
    uint8_t access = 0;
    bool data = user ? w->user : !(w->user && (c->cr4 & CR4_SMAP) && kind != TLB_SUPER_AC);
    if (data)
        access |= ACCESS_READ;
    if (data && (w->writable || (!user && !(c->cr0 & CR0_WP))))
        access |= ACCESS_WRITE;
    if (!(w->no_execute && nx_enabled(c)) &&
        (user ? w->user : !(w->user && (c->cr4 & CR4_SMEP))))
        access |= ACCESS_EXECUTE;
    return access;
}

static bool page_fault(struct vcpu *c, uint64_t linear, enum access access, enum tlb_kind kind,
                       enum walk_result result)
{
    uint32_t error = result == WALK_NOT_PRESENT ? 0 : PF_ERR_P;
    if (result == WALK_RESERVED)
        error |= PF_ERR_RSVD;
    if (access == ACCESS_WRITE)
        error |= PF_ERR_W;
    if (kind == TLB_USER || kind == TLB_USER_ALIGNED)
        error |= PF_ERR_U;
    if (access == ACCESS_EXECUTE &&
        ((c->cr4 & CR4_SMEP) || ((c->cr4 & CR4_PAE) && nx_enabled(c))))
        error |= PF_ERR_I;
    c->fault = (struct x86_fault){
        .vector = VEC_PF, .has_error = true, .error = error, .address = linear};
    return false;
}

/* Sets bits in an entry unless it changed since it was read. */
static bool entry_set_bits(struct vcpu *c, uint64_t gpa, uint64_t seen, uint64_t bits,
                           unsigned size)
{
    gpa &= c->a20_mask;
    if (UNLIKELY(c->ev.watching))
        gpa = c->ev.hooks->view_gpa(c, gpa);
    const struct phys_page *p = phys_lookup(c, gpa);
    if (!p->host) {
        phys_write(c, gpa, seen | bits, size);
        return true;
    }
    if (p->read_only)
        return true;
    void *host = p->host + (gpa & 0xfff);
    uint32_t seen32 = (uint32_t)seen;
    bool done =
        size == 8
            ? __atomic_compare_exchange_n((uint64_t *)host, &seen, seen | bits, false,
                                          __ATOMIC_SEQ_CST, __ATOMIC_RELAXED)
            : __atomic_compare_exchange_n((uint32_t *)host, &seen32, seen32 | (uint32_t)bits,
                                          false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
    if (done && p->tag && (__atomic_load_n(p->tag, __ATOMIC_RELAXED) & RAM_CODE))
        blocks_invalidate(c, gpa, size);
    return done;
}

static bool set_accessed_dirty(struct vcpu *c, struct walk *w, enum access access)
{
    unsigned size = c->cr4 & CR4_PAE ? 8 : 4;
    for (unsigned k = 0; k < w->levels; k++) {
        uint64_t want = PTE_A;
        if (k + 1u == w->levels && access == ACCESS_WRITE)
            want |= PTE_D;
        if ((w->entry[k] & want) != want &&
            !entry_set_bits(c, w->entry_gpa[k], w->entry[k], want, size))
            return false;
    }
    if (access == ACCESS_WRITE)
        w->dirty = true;
    return true;
}

bool paging_resolve(struct vcpu *c, uint64_t linear, enum access access, enum tlb_kind kind,
                    struct translation *t)
{
    struct walk w;
    uint8_t allowed;
    do {
        enum walk_result result = walk_entries(c, linear, &w);
        allowed = permitted(c, &w, kind);
        if (!(c->cr0 & CR0_PG))
            allowed = ACCESS_READ | ACCESS_WRITE | ACCESS_EXECUTE;
        if (result != WALK_OK || !(allowed & access))
            return page_fault(c, linear, access, kind, result);
    } while (!set_accessed_dirty(c, &w, access));
    if (!w.dirty)
        allowed &= (uint8_t)~ACCESS_WRITE;
    *t = (struct translation){.gpa = w.gpa,
                              .access = allowed,
                              .global = w.global && (c->cr4 & CR4_PGE),
                              .page_log2 = (uint8_t)__builtin_ctzll(w.page_bytes)};
    return true;
}

bool paging_peek(struct vcpu *c, uint64_t linear, struct translation *t)
{
    struct walk w;
    if (!paging_walk(c, linear, &w))
        return false;
    uint8_t allowed = permitted(c, &w, TLB_USER);
    for (unsigned k = 0; k < w.levels; k++)
        if (!(w.entry[k] & PTE_A))
            return false;
    if (!w.dirty)
        allowed &= (uint8_t)~ACCESS_WRITE;
    *t = (struct translation){
        .gpa = w.gpa, .access = allowed, .page_log2 = (uint8_t)__builtin_ctzll(w.page_bytes)};
    return true;
}
