/* SPDX-License-Identifier: MIT */
/*
 * watch.c - memory and code. Two sets say which addresses anybody watches and how: one by physical,
 * one by linear address. They are asked where a page gets into a TLB and where code is decoded;
 * who exactly it was is found out when a watched page is hit.
 */
#include "introspect/introspect.h"
#include "cpu/tlb.h"

#include <limits.h>

#define PAGE_LAST 0xfffull

/* No range = everything. */
static void range_of(const struct weir_filter *f, uint64_t *first, uint64_t *last)
{
    bool all = !f->first && !f->last;
    *first = f->first;
    *last = all ? UINT64_MAX : f->last;
}

static unsigned mask_of(const struct watch *w)
{
    const struct weir_filter *f = &w->filter;
    bool walks = w->kind == WEIR_EV_MEMORY && f->walks && f->physical;
    unsigned access = f->access & (WEIR_READ | WEIR_WRITE);
    if (!access)
        access = WEIR_READ | WEIR_WRITE;
    if (w->kind != WEIR_EV_MEMORY)
        access = ACCESS_EXECUTE;
    /* Programs only: the kernel runs at full speed. */
    if (f->by & WEIR_BY_CPL && f->cpls == 1 << 3)
        access <<= WATCH_USER_SHIFT;
    return access | (walks ? WATCH_WALKS : 0);
}

/* ACCESS_* of a mask, whoever accesses. */
static unsigned accesses(unsigned mask)
{
    return mask | mask >> WATCH_USER_SHIFT;
}

void watch_build(struct introspect *ix)
{
    static const enum weir_event_kind kinds[] = {WEIR_EV_MEMORY, WEIR_EV_EXECUTE,
                                                 WEIR_EV_BREAKPOINT};
    struct range_builder physical = {0}, linear = {0};
    struct watch *w;
    for (unsigned n = 0; n < ARRAY_SIZE(kinds); n++)
        FOR_WATCHES(ix, kinds[n], w)
        {
            uint64_t first, last;
            range_of(&w->filter, &first, &last);
            if (w->kind == WEIR_EV_BREAKPOINT)
                first = last = w->filter.first;
            ranges_add(w->filter.physical ? &physical : &linear, first, last, mask_of(w));
        }
    ranges_build(&physical, &ix->physical);
    ranges_build(&linear, &ix->linear);
}

/* ---- filling TLBs ---- */

void watch_page_fill(struct vcpu *c, struct phys_page *p)
{
    struct introspect *ix = introspect_of(c);
    uint64_t real = view_real_gpa(ix, p->page);
    p->watch = (uint8_t)ranges_find(&ix->physical, real, real | PAGE_LAST);
    if (ix->view)
        view_page_fill(c, p);
}

static bool space_matches(const struct watch *w, const struct vcpu *c)
{
    return !(w->filter.by & WEIR_BY_CR3) || !((w->filter.cr3 ^ c->cr3) >> 12);
}

/* A global translation outlives the address space that filled it. */
unsigned watch_linear(struct vcpu *c, uint64_t linear, bool global)
{
    struct introspect *ix = introspect_of(c);
    uint64_t page = linear & ~PAGE_LAST;
    unsigned mask = ranges_find(&ix->linear, page, page | PAGE_LAST), wanted = 0;
    if (!mask || global)
        return mask;
    struct watch *w;
    for (unsigned kind = WEIR_EV_MEMORY; kind <= WEIR_EV_BREAKPOINT; kind++)
        FOR_WATCHES(ix, kind, w)
        {
            uint64_t first, last;
            range_of(&w->filter, &first, &last);
            if (kind == WEIR_EV_BREAKPOINT)
                first = last = w->filter.first;
            if (!w->filter.physical && space_matches(w, c) && first <= (page | PAGE_LAST) &&
                last >= page)
                wanted |= mask_of(w);
        }
    return wanted;
}

/* ---- hits ---- */

static bool meets(const struct weir_filter *f, uint64_t gva, uint64_t gpa, uint64_t size)
{
    uint64_t first, last, at = f->physical ? gpa : gva;
    range_of(f, &first, &last);
    return at <= last && at + (size - 1) >= first;
}

static bool memory_matches(const struct watch *w, const struct weir_memory_event *m)
{
    const struct weir_filter *f = &w->filter;
    unsigned access = f->access & (WEIR_READ | WEIR_WRITE);
    if (m->walk && !(f->walks && f->physical))
        return false;
    if (!m->denied && access && !(access & (m->write ? WEIR_WRITE : WEIR_READ)))
        return false;
    return meets(f, m->gva, m->gpa, m->size);
}

/* Bytes of the instruction a watch of code is asked about: in weir_execute_event.answer until it is
 * raised, see watch_before. */
static bool execute_matches(const struct watch *w, const struct weir_execute_event *e)
{
    return meets(&w->filter, e->head.pc, e->gpa, e->bytes ? e->bytes : 1);
}

bool watch_matches(const struct watch *w, const struct vcpu *c, const struct weir_event *e)
{
    const struct weir_filter *f = &w->filter;
    if (!watch_matches_cpu(w, c, e))
        return false;
    switch (e->kind) {
    case WEIR_EV_MEMORY:
        return memory_matches(w, (const struct weir_memory_event *)e);
    case WEIR_EV_EXECUTE:
        return execute_matches(w, (const struct weir_execute_event *)e);
    case WEIR_EV_BREAKPOINT:
        return f->first ==
               (f->physical ? ((const struct weir_breakpoint_event *)e)->gpa : e->pc);
    case WEIR_EV_BLOCK:
        return meets(f, e->pc, ((const struct weir_block_event *)e)->gpa,
                     ((const struct weir_block_event *)e)->bytes);
    default:
        return true;
    }
}

bool watch_wants_memory(struct vcpu *c, const struct weir_memory_event *seen)
{
    struct introspect *ix = introspect_of(c);
    struct weir_memory_event *e = (struct weir_memory_event *)seen;
    unsigned access = e->write ? ACCESS_WRITE : ACCESS_READ;
    e->denied = ix->view && !e->walk && view_denied(ix, e->gpa) & access;
    e->gpa = view_real_gpa(ix, e->gpa);
    if (e->denied)
        return true;
    uint64_t last = e->size - 1;
    unsigned mask = e->walk ? WATCH_WALKS : access;
    if (!(accesses(ranges_find(&ix->physical, e->gpa, e->gpa + last)) & mask) &&
        !(ix->linear.count && accesses(ranges_find(&ix->linear, e->gva, e->gva + last)) & mask))
        return false;
    struct watch *w;
    introspect_head(c, WEIR_EV_MEMORY, &e->head);
    if (c->ev.inside && !c->ev.in_place)
        e->head.pc = (c->segc[SEG_CS].base + c->ev.start) & c->linear_mask;
    FOR_WATCHES(ix, WEIR_EV_MEMORY, w)
    {
        /* RIP is not known yet where code has not given up: then it will be asked again. */
        bool by_pc = w->filter.by & WEIR_BY_PC && !c->ev.inside;
        if (!watch_is_dead(w) && memory_matches(w, e) &&
            (by_pc || watch_matches_cpu(w, c, &e->head)))
            return true;
    }
    return false;
}

/* ---- code ---- */

static unsigned distance_in(const struct range_set *set, uint64_t at)
{
    uint64_t end = at | PAGE_LAST;
    for (unsigned n = 0; n < set->count; n++) {
        const struct watched_range *r = &set->range[n];
        if (!(accesses(r->mask) & ACCESS_EXECUTE) || r->last < at || r->first > end)
            continue;
        return r->first <= at ? 0 : (unsigned)(r->first - at);
    }
    return UINT_MAX;
}

unsigned watch_code_distance(struct vcpu *c, uint64_t linear, uint64_t gpa)
{
    struct introspect *ix = introspect_of(c);
    if (ix->view && view_denied(ix, gpa) & ACCESS_EXECUTE)
        return 0;
    unsigned by_gpa = distance_in(&ix->physical, view_real_gpa(ix, gpa)), least = by_gpa;
    /* Blocks are shared by all linear addresses of their page, so all watched places of any page at
     * this offset end them. */
    for (unsigned n = 0; n < ix->linear.count; n++) {
        const struct watched_range *r = &ix->linear.range[n];
        unsigned offset = linear & PAGE_LAST, first = r->first & PAGE_LAST;
        bool whole = r->last - r->first >= PAGE_LAST || (r->last & PAGE_LAST) < first;
        if (!(accesses(r->mask) & ACCESS_EXECUTE))
            continue;
        if (whole || (first <= offset && (r->last & PAGE_LAST) >= offset))
            return 0;
        if (first > offset && first - offset < least)
            least = first - offset;
    }
    return least;
}

bool watch_wants_block(struct vcpu *c, uint64_t linear)
{
    struct introspect *ix = introspect_of(c);
    struct watch *w;
    FOR_WATCHES(ix, WEIR_EV_BLOCK, w)
    {
        const struct weir_filter *f = &w->filter;
        uint64_t first, last;
        range_of(f, &first, &last);
        if (f->physical || (first <= linear + 255 && last >= linear))
            return true;
    }
    return false;
}

/* *seen: all who were told want to know of a block only once. */
static enum event_verdict before_block(struct vcpu *c, const struct block_start *start,
                                       bool *seen)
{
    struct introspect *ix = introspect_of(c);
    struct weir_block_event e = {.gpa = view_real_gpa(ix, start->gpa),
                                 .bytes = start->bytes,
                                 .instructions = start->instructions};
    struct watch *w;
    unsigned response;
    introspect_head(c, WEIR_EV_BLOCK, &e.head);
    *seen = true;
    FOR_WATCHES(ix, WEIR_EV_BLOCK, w)
    *seen &= w->filter.once && watch_matches(w, c, &e.head);
    introspect_raise(c, WEIR_EV_BLOCK, &e.head, &response);
    return c->ev.verdict;
}

enum event_verdict watch_before(struct vcpu *c, const struct block_start *start, bool *seen)
{
    struct introspect *ix = introspect_of(c);
    enum event_verdict v = VERDICT_NONE;
    unsigned response;
    *seen = false;
    if (start->watched & WATCHED_BLOCK)
        v = before_block(c, start, seen);
    if (v != VERDICT_NONE || !(start->watched & WATCHED_CODE))
        return v;
    uint64_t gpa = view_real_gpa(ix, start->gpa);
    struct weir_execute_event x = {.gpa = gpa, .bytes = start->bytes};
    x.denied = ix->view && view_denied(ix, start->gpa) & ACCESS_EXECUTE;
    if ((x.denied || ix->first[WEIR_EV_EXECUTE + 1] > ix->first[WEIR_EV_EXECUTE]) &&
        !introspect_raise(c, WEIR_EV_EXECUTE, &x.head, &response))
        return c->ev.verdict;
    struct weir_breakpoint_event b = {.gpa = gpa};
    if (ix->first[WEIR_EV_BREAKPOINT + 1] > ix->first[WEIR_EV_BREAKPOINT] &&
        !introspect_raise(c, WEIR_EV_BREAKPOINT, &b.head, &response))
        return c->ev.verdict;
    return VERDICT_NONE;
}
