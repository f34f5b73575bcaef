/* SPDX-License-Identifier: MIT */
/*
 * gather.c - where guest memory is on the host, page by page, for what the host does in place of
 * an instruction: host calls move data of any size between files and scattered guest pages.
 * Checks and faults are those of an ordinary data access; nothing is read or written here. Watched
 * memory is not reported: to those who watch, this is DMA, and the call is an event of its own.
 */
#include "cpu/access.h"
#include "cpu/events.h"
#include "cpu/tlb.h"

void mem_piece_physical(struct vcpu *c, uint64_t gpa, struct mem_piece *p)
{
    gpa &= c->a20_mask;
    const struct phys_page *page = phys_lookup(c, gpa);
    p->gpa = gpa;
    p->host = page->host ? page->host + (gpa & 0xfff) : NULL;
    p->tag = page->tag;
    p->length = 4096 - (uint32_t)(gpa & 0xfff);
    p->read_only = page->read_only;
}

bool mem_piece_linear(struct vcpu *c, uint64_t linear, enum access access, struct mem_piece *p)
{
    uint64_t gpa;
    if (cpu_is_64bit(c) && !is_canonical(linear)) {
        raise_gp0(c);
        return false;
    }
    linear &= c->linear_mask;
    if (!tlb_translate(c, linear, access, tlb_kind_current(c), &gpa))
        return false;
    if (UNLIKELY(c->ev.watching) && access == ACCESS_WRITE)
        gpa = c->ev.hooks->before_write(c, gpa);
    mem_piece_physical(c, gpa, p);
    return true;
}

void mem_piece_written(struct vcpu *c, const struct mem_piece *p, uint64_t gpa, uint64_t length)
{
    if (p->tag && (__atomic_load_n(p->tag, __ATOMIC_RELAXED) & RAM_CODE))
        blocks_invalidate(c, gpa, length);
}
