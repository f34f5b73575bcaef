/* SPDX-License-Identifier: MIT */
/*
 * tlb.c - software TLBs and the cache of physical pages. See tlb.h.
 *
 * Semantics. An address space is a PCID (0 while CR4.PCIDE is off). MOV to CR3 without PCIDs
 * drops what is not global, as the SDM says (Vol. 3A 4.10.4.1); bit maps of used entries make
 * that cost what was used, not the size of the table. Global translations live in each space
 * separately and are dropped in all of them.
 *
 * An access that is permitted but must not be made directly (MMIO, ROM, code page, watched page)
 * has no tag in the entry; that it is permitted, and where the page is, tlb_info says.
 */
#include "cpu/events.h"
#include "cpu/tlb.h"

#include <stdlib.h>

#define PHYS_ENTRIES 512u
#define PAGE_MASK    (~0xfffull)
#define EMPTY        (~0ull)

struct space {
    struct tlb_table table[TLB_KINDS];
    uint64_t last_use;
    uint16_t pcid;
    bool valid;
};

struct address_spaces {
    struct space space[SPACES];
    struct space *current;
    uint64_t uses;
    uint8_t largest_log2[8]; /* by area: of the pages used since the last flush of everything */
    uint32_t generation;     /* of c->mem when phys was filled */
    struct phys_page phys[PHYS_ENTRIES];
};

/* ---- physical pages ---- */

static void phys_forget(struct address_spaces *s)
{
    for (unsigned k = 0; k < PHYS_ENTRIES; k++)
        s->phys[k].page = EMPTY;
}

static void phys_fill(struct vcpu *c, struct phys_page *p, uint64_t page)
{
    struct address_spaces *s = c->spaces;
    pthread_mutex_lock(c->device_lock);
    if (s->generation != c->mem->generation) {
        phys_forget(s);
        s->generation = c->mem->generation;
    }
    struct bus_span span = bus_lookup(c->mem, page);
    *p = (struct phys_page){.page = page};
    struct weir_region *r = span.region;
    if (r && r->host && span.last - page >= 0xfff) {
        uint64_t offset = page - r->start;
        p->host = r->host + offset;
        p->read_only = r->read_only;
        /* Tags are per page of the region: usable where its start is page-aligned. */
        if (r->tags && !(r->start & 0xfff))
            p->tag = r->tags + offset / RAM_PAGE_BYTES;
    }
    pthread_mutex_unlock(c->device_lock);
    if (UNLIKELY(c->ev.watching))
        c->ev.hooks->page_fill(c, p);
}

const struct phys_page *phys_lookup(struct vcpu *c, uint64_t gpa)
{
    struct address_spaces *s = c->spaces;
    uint64_t page = gpa & c->a20_mask & PAGE_MASK;
    struct phys_page *p = &s->phys[(page >> 12) & (PHYS_ENTRIES - 1)];
    if (UNLIKELY(p->page != page ||
                 s->generation != __atomic_load_n(&c->mem->generation, __ATOMIC_RELAXED)))
        phys_fill(c, p, page);
    return p;
}

uint64_t phys_read(struct vcpu *c, uint64_t gpa, unsigned size)
{
    gpa &= c->a20_mask;
    if (UNLIKELY(c->ev.watching)) {
        uint64_t value;
        gpa = c->ev.hooks->view_gpa(c, gpa);
        if (phys_lookup(c, gpa)->watch & WATCH_WALKS && event_walk(c, gpa, size, &value))
            return value;
    }
    const struct phys_page *p = phys_lookup(c, gpa);
    if (p->host)
        return load_le(p->host + (gpa & 0xfff), size);
    pthread_mutex_lock(c->device_lock);
    uint64_t value = bus_read(c->mem, gpa, size);
    pthread_mutex_unlock(c->device_lock);
    if (c->exit.pending && !c->exit.is_write)
        c->exit.pending = false; /* a page walk waits for nobody's answer */
    return value;
}

void phys_write(struct vcpu *c, uint64_t gpa, uint64_t value, unsigned size)
{
    gpa &= c->a20_mask;
    const struct phys_page *p = phys_lookup(c, gpa);
    if (!p->host) {
        pthread_mutex_lock(c->device_lock);
        bus_write(c->mem, gpa, value, size);
        pthread_mutex_unlock(c->device_lock);
        return;
    }
    if (p->read_only)
        return;
    store_le(p->host + (gpa & 0xfff), value, size);
    if (p->tag && (__atomic_load_n(p->tag, __ATOMIC_RELAXED) & RAM_CODE))
        blocks_invalidate(c, gpa, size);
}

/* ---- tables ---- */

/* The memory is zero. */
static void table_begin(struct tlb_table *t)
{
    for (unsigned n = 0; n < TLB_ENTRIES; n += TLB_ENTRIES - 1)
        t->entry[n].read = t->entry[n].write = t->entry[n].execute = tlb_empty(n);
    t->ready = true;
}

static void entry_drop(struct tlb_table *t, unsigned n)
{
    t->entry[n].read = t->entry[n].write = t->entry[n].execute = tlb_empty(n);
    t->info[n].page = 0;
    uint64_t bit = BIT64(n & 63);
    t->used[n / 64] &= ~bit;
    t->global[n / 64] &= ~bit;
    t->large[n / 64] &= ~bit;
}

static void table_flush(struct tlb_table *t, bool and_global)
{
    if (!t->ready)
        return;
    for (unsigned k = 0; k < TLB_WORDS / 64; k++) {
        for (uint64_t words = t->used_words[k]; words; words &= words - 1) {
            unsigned w = k * 64 + (unsigned)__builtin_ctzll(words);
            uint64_t drop = and_global ? t->used[w] : t->used[w] & ~t->global[w];
            for (; drop; drop &= drop - 1)
                entry_drop(t, w * 64 + (unsigned)__builtin_ctzll(drop));
            if (!t->used[w])
                t->used_words[k] &= ~BIT64(w & 63);
        }
    }
}

static void tell_flushed(struct vcpu *c, unsigned space, bool and_global)
{
    if (c->hooks)
        c->hooks->space_flushed(c, space, and_global);
}
static unsigned space_index(const struct vcpu *c, const struct space *s)
{
    return (unsigned)(s - c->spaces->space);
}

/* Large pages are told apart by where they are: those of a kernel say nothing of its programs. */
static unsigned area(uint64_t linear)
{
    return (unsigned)(linear >> 63) << 2 | (linear >> 30 & 3);
}

static void space_flush(struct space *s, bool and_global)
{
    for (unsigned k = 0; k < TLB_KINDS; k++)
        table_flush(&s->table[k], and_global);
}

enum tlb_kind tlb_kind_current(const struct vcpu *c)
{
    if (c->cpl == 3)
        return c->mode & MODE_AC ? TLB_USER_ALIGNED : TLB_USER;
    return c->rflags_rest & FLAG_AC && c->cr4 & CR4_SMAP ? TLB_SUPER_AC : TLB_SUPER;
}

struct tlb_table *tlb_table(struct vcpu *c, enum tlb_kind kind)
{
    struct tlb_table *t = &c->spaces->current->table[kind];
    if (UNLIKELY(!t->ready))
        table_begin(t);
    return t;
}

static struct space *space_find(struct vcpu *c, unsigned pcid)
{
    struct address_spaces *all = c->spaces;
    for (unsigned k = 0; k < SPACES; k++)
        if (all->space[k].valid && all->space[k].pcid == pcid)
            return &all->space[k];
    return NULL;
}

static struct space *space_take(struct vcpu *c, unsigned pcid)
{
    struct address_spaces *all = c->spaces;
    struct space *s = space_find(c, pcid);
    if (!s) {
        s = &all->space[0];
        for (unsigned k = 1; k < SPACES; k++)
            if (all->space[k].last_use < s->last_use)
                s = &all->space[k];
        space_flush(s, true);
        tell_flushed(c, space_index(c, s), false);
        s->pcid = (uint16_t)pcid;
        s->valid = true;
    }
    s->last_use = ++all->uses;
    return s;
}

void tlb_select(struct vcpu *c)
{
    unsigned pcid = c->cr4 & CR4_PCIDE ? c->cr3 & 0xfff : 0;
    struct address_spaces *all = c->spaces;
    if (UNLIKELY(!all->current || all->current->pcid != pcid || !all->current->valid)) {
        all->current = space_take(c, pcid);
        if (c->hooks)
            c->hooks->space_selected(c, space_index(c, all->current));
    }
    if (c->jit) { /* code switches between these by itself */
        tlb_table(c, TLB_USER);
        tlb_table(c, TLB_SUPER);
        tlb_table(c, TLB_SUPER_AC);
    }
    c->tlb = tlb_table(c, tlb_kind_current(c))->entry;
}

int tlb_init(struct vcpu *c)
{
    /* Zeroed by the kernel page by page: spaces that are never used cost nothing. */
    c->spaces = calloc(1, sizeof(*c->spaces));
    if (!c->spaces)
        return -WEIR_ENOMEM;
    phys_forget(c->spaces);
    c->spaces->generation = c->mem->generation;
    memset(c->spaces->largest_log2, 12, sizeof(c->spaces->largest_log2));
    c->spaces->current = space_take(c, 0);
    c->tlb = tlb_table(c, TLB_SUPER)->entry;
    return 0;
}

void tlb_fini(struct vcpu *c)
{
    free(c->spaces);
    c->spaces = NULL;
    c->tlb = NULL;
}

unsigned tlb_space(const struct vcpu *c)
{
    return space_index(c, c->spaces->current);
}

const size_t tlb_ac_distance = (TLB_SUPER_AC - TLB_SUPER) * sizeof(struct tlb_table);
const size_t tlb_super_distance = (TLB_SUPER - TLB_USER) * sizeof(struct tlb_table);
const size_t tlb_info_pages =
    offsetof(struct tlb_table, info) - offsetof(struct tlb_table, entry);
_Static_assert(sizeof(struct tlb_info) == 16 && !offsetof(struct tlb_info, page), "as said");
const size_t tlb_global_map =
    offsetof(struct tlb_table, global) - offsetof(struct tlb_table, entry);

bool tlb_is_global(const struct vcpu *c, uint64_t linear)
{
    const struct tlb_table *t = container_of(c->tlb, struct tlb_table, entry);
    unsigned n = tlb_index(linear);
    return t->global[n / 64] >> (n & 63) & 1 && t->info[n].page & ACCESS_EXECUTE &&
           (t->info[n].page & PAGE_MASK) == (linear & PAGE_MASK);
}

/* ---- filling ---- */

/* ACCESS_* that somebody wants to know of, in a page with this translation. */
static __attribute__((noinline, cold)) unsigned watched_in(struct vcpu *c,
                                                           const struct phys_page *p,
                                                           enum tlb_kind kind, uint64_t page,
                                                           bool global)
{
    unsigned watch = p->watch;
    if (c->ev.watching_linear)
        watch |= c->ev.hooks->linear_watch(c, page, global);
    if (kind == TLB_USER || kind == TLB_USER_ALIGNED)
        watch |= watch >> WATCH_USER_SHIFT;
    return watch & (ACCESS_READ | ACCESS_WRITE | ACCESS_EXECUTE);
}

static void fill(struct vcpu *c, struct tlb_table *table, enum tlb_kind kind, uint64_t linear,
                 const struct translation *t)
{
    uint64_t page = linear & PAGE_MASK;
    unsigned n = tlb_index(linear);
    struct tlb_entry *e = &table->entry[n];
    const struct phys_page *p = phys_lookup(c, t->gpa);
    unsigned watch = 0, direct = t->access;
    if (UNLIKELY(c->ev.watching)) {
        watch = watched_in(c, p, kind, page, t->global);
        direct &= ~watch;
        if (watch & ACCESS_READ) /* who may write is not asked whether it reads, too */
            direct &= ~(unsigned)ACCESS_WRITE;
    }
    if (!p->host)
        direct = 0;
    if (kind == TLB_USER_ALIGNED || debug_watches_page(c, page))
        direct &= ACCESS_EXECUTE;
    if (p->read_only)
        direct &= ~(unsigned)ACCESS_WRITE;
    if (direct & ACCESS_WRITE && p->tag &&
        __atomic_fetch_or(p->tag, RAM_WRITTEN, __ATOMIC_SEQ_CST) & RAM_CODE)
        direct &= ~(unsigned)ACCESS_WRITE;
    if (t->gpa >> 12 >= TLB_CODE_PAGES)
        direct &= ~(unsigned)ACCESS_EXECUTE;
    e->read = direct & ACCESS_READ ? page : tlb_empty(n);
    e->write = direct & ACCESS_WRITE ? page : tlb_empty(n);
    e->execute = direct & ACCESS_EXECUTE ? tlb_code_tag(linear, t->gpa) : tlb_empty(n);
    e->host = (uintptr_t)p->host;
    c->tlb_fills++;
    table->info[n] = (struct tlb_info){.page = page | t->access | (watch << TLB_WATCHED_SHIFT),
                                       .gpa = (t->gpa & PAGE_MASK) | t->page_log2};
    uint8_t *largest = &c->spaces->largest_log2[area(linear)];
    if (t->page_log2 > *largest)
        *largest = t->page_log2;
    uint64_t bit = BIT64(n & 63);
    table->used[n / 64] |= bit;
    table->used_words[n / 4096] |= BIT64(n / 64 & 63);
    table->global[n / 64] = (table->global[n / 64] & ~bit) | (t->global ? bit : 0);
    table->large[n / 64] = (table->large[n / 64] & ~bit) | (t->page_log2 > 12 ? bit : 0);
}

bool tlb_watched(struct vcpu *c, uint64_t linear, enum access access, enum tlb_kind kind)
{
    uint64_t known = tlb_table(c, kind)->info[tlb_index(linear)].page;
    return known & access && (known & PAGE_MASK) == (linear & PAGE_MASK) &&
           known >> TLB_WATCHED_SHIFT & access;
}

bool tlb_translate(struct vcpu *c, uint64_t linear, enum access access, enum tlb_kind kind,
                   uint64_t *gpa)
{
    struct tlb_table *table = tlb_table(c, kind);
    const struct tlb_info *info = &table->info[tlb_index(linear)];
    if (info->page & access && (info->page & PAGE_MASK) == (linear & PAGE_MASK)) {
        *gpa = (info->gpa & PAGE_MASK) | (linear & 0xfff);
        return true;
    }
    struct translation t;
    if (!paging_resolve(c, linear, access, kind, &t))
        return false;
    t.gpa &= c->a20_mask;
    if (UNLIKELY(c->ev.watching))
        t.gpa = c->ev.hooks->view_gpa(c, t.gpa);
    fill(c, table, kind, linear, &t);
    *gpa = t.gpa;
    return true;
}

bool tlb_knows(const struct vcpu *c, uint64_t linear, enum access access, uint64_t *gpa)
{
    const struct tlb_table *t = container_of(c->tlb, struct tlb_table, entry);
    const struct tlb_info *info = &t->info[tlb_index(linear)];
    *gpa = (info->gpa & PAGE_MASK) | (linear & 0xfff);
    return info->page & access && (info->page & PAGE_MASK) == (linear & PAGE_MASK);
}

uint64_t tlb_page_bytes(const struct vcpu *c, uint64_t linear, uint64_t *gpa)
{
    const struct tlb_table *t = container_of(c->tlb, struct tlb_table, entry);
    const struct tlb_info *info = &t->info[tlb_index(linear)];
    *gpa = (info->gpa & PAGE_MASK) | (linear & 0xfff);
    return BIT64(info->gpa & 0xfff);
}

bool tlb_peek(struct vcpu *c, uint64_t linear, struct tlb_peek *p)
{
    struct translation t;
    if (!paging_peek(c, linear, &t) || !(t.access & ACCESS_READ))
        return false;
    const struct phys_page *page = phys_lookup(c, t.gpa);
    bool code = page->tag && __atomic_load_n(page->tag, __ATOMIC_RELAXED) & RAM_CODE;
    *p = (struct tlb_peek){.host = page->host, .access = t.access, .page_log2 = t.page_log2};
    if (page->read_only || code)
        p->access &= (uint8_t)~ACCESS_WRITE;
    return true;
}

bool paging_translate(struct vcpu *c, uint64_t linear, enum access access, unsigned cpl,
                      uint64_t *gpa)
{
    enum tlb_kind kind = cpl == c->cpl ? tlb_kind_current(c) : cpl == 3 ? TLB_USER : TLB_SUPER;
    return tlb_translate(c, linear, access, kind, gpa);
}

/* ---- flushing ---- */

void tlb_flush_all(struct vcpu *c)
{
    for (unsigned k = 0; k < SPACES; k++)
        space_flush(&c->spaces->space[k], true);
    phys_forget(c->spaces);
    memset(c->spaces->largest_log2, 12, sizeof(c->spaces->largest_log2));
    tell_flushed(c, ALL_SPACES, true);
}

void tlb_flush_non_global(struct vcpu *c)
{
    space_flush(c->spaces->current, false);
    tell_flushed(c, space_index(c, c->spaces->current), false);
}

void tlb_flush_pcid(struct vcpu *c, unsigned pcid, bool and_global)
{
    struct space *s = space_find(c, pcid);
    if (!s)
        return;
    space_flush(s, and_global);
    tell_flushed(c, space_index(c, s), and_global);
}

/* One page of one table. Entries of a large page are each a slice of it and go all. */
static void table_flush_page(struct tlb_table *t, uint64_t linear, bool only_global,
                             bool any_large)
{
    if (!t->ready)
        return;
    unsigned n = tlb_index(linear);
    uint64_t page = linear & PAGE_MASK, bit = BIT64(n & 63);
    if ((t->used[n / 64] & bit) && (!only_global || (t->global[n / 64] & bit)) &&
        (t->info[n].page & PAGE_MASK) == page)
        entry_drop(t, n);
    for (unsigned w = 0; any_large && w < TLB_WORDS; w++) {
        uint64_t large = only_global ? t->large[w] & t->global[w] : t->large[w];
        for (; large; large &= large - 1) {
            unsigned k = w * 64 + (unsigned)__builtin_ctzll(large);
            unsigned log2 = t->info[k].gpa & 0xfff;
            if (t->info[k].page >> log2 == linear >> log2)
                entry_drop(t, k);
        }
    }
}

void tlb_flush_page(struct vcpu *c, uint64_t linear)
{
    bool any_large = c->spaces->largest_log2[area(linear)] > 12;
    for (unsigned s = 0; s < SPACES; s++) {
        struct space *space = &c->spaces->space[s];
        for (unsigned k = 0; space->valid && k < TLB_KINDS; k++)
            table_flush_page(&space->table[k], linear, space != c->spaces->current, any_large);
    }
    if (c->hooks)
        c->hooks->page_dropped(c, linear, c->spaces->largest_log2[area(linear)]);
}

/* Entries of the physical page: they lose the write tag, or go, and come again as it is then. */
static void table_protect(struct tlb_table *t, uint64_t page, bool code)
{
    if (!t->ready)
        return;
    for (unsigned w = 0; w < TLB_WORDS; w++) {
        for (uint64_t used = t->used[w]; used; used &= used - 1) {
            unsigned n = w * 64 + (unsigned)__builtin_ctzll(used);
            if ((t->info[n].gpa & PAGE_MASK) != page)
                continue;
            if (code)
                t->entry[n].write = tlb_empty(n);
            else
                entry_drop(t, n);
        }
    }
}

void tlb_protect_page(struct vcpu *c, uint64_t gpa)
{
    const struct phys_page *p = phys_lookup(c, gpa);
    uint8_t was = p->tag ? __atomic_fetch_and(p->tag, (uint8_t)~RAM_WRITTEN, __ATOMIC_SEQ_CST)
                         : RAM_WRITTEN;
    bool code = p->tag && was & RAM_CODE;
    if (code && !(was & RAM_WRITTEN)) /* as a rule: code comes from a disk */
        return;
    for (unsigned s = 0; s < SPACES; s++)
        for (unsigned k = 0; c->spaces->space[s].valid && k < TLB_KINDS; k++)
            table_protect(&c->spaces->space[s].table[k], gpa & c->a20_mask & PAGE_MASK, code);
    if (code && c->hooks)
        c->hooks->page_protected(c, p->host);
}
