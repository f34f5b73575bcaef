/* SPDX-License-Identifier: MIT */
/*
 * mixed.c - pages that hold code and data, or code and a stack: small programs are full of them.
 *
 * The TLB sends all writes to such a page the slow way. The stubs for writes that miss know the
 * last few of these pages by their host address (the TLB has checked everything else by then)
 * and write at once where the page's lines of 64 bytes hold no code, or, within one line, the bytes
 * do not.
 *
 * Code that is overwritten again and again costs more to translate than it saves: it is
 * interpreted, longer each time, until it is left alone for that long.
 */
#include "jit/internal.h"

#define HOT     4u /* runs before a block is translated */
#define NO_HOST 1u /* no page's address, nor what the TLB has where there is none */

void mixed_clear(struct jit *jit)
{
    for (unsigned n = 0; n < MIXED_PAGES; n++)
        jit->mixed_pages[n].host = NO_HOST;
}

void mixed_init(struct jit *jit)
{
    jit->mixed = jit->mixed_pages;
    mixed_clear(jit);
}

static struct mixed_page *slot_of(struct jit *jit, uint64_t host)
{
    return &jit->mixed_pages[(host >> 12) % MIXED_PAGES];
}

void mixed_forget(struct jit *jit, uint64_t host)
{
    if (slot_of(jit, host)->host == host)
        slot_of(jit, host)->host = NO_HOST;
}

void mixed_note(struct jit *jit)
{
    struct vcpu *c = jit->c;
    uint64_t page = jit->miss_linear & ~0xfffull, gpa;
    if (c->tlb[tlb_index(page)].write == page || !tlb_knows(c, page, ACCESS_WRITE, &gpa))
        return;
    struct code_map map;
    if (!blocks_code_map(c, gpa, &map))
        return;
    uint64_t host = (uint64_t)(uintptr_t)map.host;
    *slot_of(jit, host) =
        (struct mixed_page){.host = host, .lines = map.lines, .bytes = map.bytes};
}

static unsigned rewritten_index(const struct block *b)
{
    return (unsigned)(b->gpa ^ b->gpa >> 12) % REWRITTEN;
}

/* Memory that a program leaves to another is overwritten, too; but that takes longer. */
void rewritten_note(struct jit *jit, const struct block *b)
{
    uint8_t *count = &jit->rewritten[rewritten_index(b)];
    const struct jit_block *made = b->native;
    if (!made)
        return;
    bool soon = __builtin_ia32_rdtsc() - made->made_at < REWRITTEN_TICKS;
    *count = soon ? (uint8_t)(*count + (*count < REWRITTEN_MAX)) : 0;
}

unsigned rewritten_heat(const struct jit *jit, const struct block *b)
{
    return HOT << jit->rewritten[rewritten_index(b)];
}
