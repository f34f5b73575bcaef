/* SPDX-License-Identifier: MIT */
/*
 * cache.c - the translator's memory, links between blocks, and what must be forgotten when
 * mappings or code change.
 *
 * One region near the vCPU: struct jit, an arena of descriptors, the code (read and execute).
 * The code is written through a second mapping elsewhere. Both fill up and are emptied together.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>
#include "cpu/interp/hostexec.h"
#include "jit/view.h"
#include "jit/windows.h"

#define NEAR_BYTES (1900ull << 20)
#define STEP_BYTES (16ull << 20)
/* Of links to other pages: misses until C links them again, for code that is at one place in this
 * process and at another one in that. */
#define FAR_PATIENCE 32u

/* ---- memory ---- */

static size_t pages(size_t bytes)
{
    return (bytes + 4095) & ~(size_t)4095;
}

/* Address space for `bytes` near `anchor`, not accessible yet. */
static uint8_t *reserve_near(const void *anchor, size_t bytes)
{
    uintptr_t at = (uintptr_t)anchor & ~(uintptr_t)4095;
    for (uint64_t distance = STEP_BYTES; distance + bytes < NEAR_BYTES; distance += STEP_BYTES)
        for (int up = 0; up < 2; up++) {
            uintptr_t want = up ? at + distance : at - distance - bytes;
            void *p =
                mmap((void *)want, bytes, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
            if (p == (void *)want)
                return p;
            if (p != MAP_FAILED)
                munmap(p, bytes);
        }
    return NULL;
}

/* Twice the same memory. It has no file's name: perf then looks for names of its own. */
static int map_code(struct jit *jit, uint8_t *where)
{
    size_t bytes = jit->code_bytes;
    void *rx = MAP_FAILED;
    void *rw = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (rw != MAP_FAILED) {
        jit->code_rw = rw;
        rx = mremap(rw, 0, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, where);
    }
    jit->code_rx = rx;
    return rx == MAP_FAILED || mprotect(rx, bytes, PROT_READ | PROT_EXEC) < 0 ? -1 : 0;
}

void *arena_take(struct jit *jit, size_t bytes)
{
    bytes = (bytes + 15) & ~(size_t)15;
    if (jit->arena_used + bytes > jit->arena_bytes)
        return NULL;
    void *p = jit->arena + jit->arena_used;
    jit->arena_used += bytes;
    memset(p, 0, bytes);
    return p;
}

/* ---- links ---- */

static void patch(struct jit *jit, uint8_t *at, uint64_t target)
{
    struct as as = {.rx = jit->code_rx - jit->code_rw};
    as_patch(&as, at, target);
}

static void unlink_from(struct jit_block *b, const struct jit_link *link)
{
    struct jit_link **l = &b->incoming;
    while (*l && *l != link)
        l = &(*l)->next;
    if (*l)
        *l = link->next;
}

/* What the code compares: the tag of the entry that the page has in the TLB. */
static void link_far(struct jit_link *link, const struct jit_block *to, uint64_t linear)
{
    uint32_t entry = tlb_index(linear) * (uint32_t)sizeof(struct tlb_entry) +
                     offsetof(struct tlb_entry, execute);
    uint32_t page = (uint32_t)(to->block->gpa >> 12);
    memcpy(link->entry, &entry, 4);
    memcpy(link->page, &page, 4);
    link->patience = FAR_PATIENCE;
}

void jit_link_to(struct jit *jit, struct jit_link *link, struct jit_block *to, uint64_t linear)
{
    bool far = link->entry;
    if ((link->to && !far) || link->from->dead || to->dead ||
        link->from->windowed != to->windowed || (link->flags_dead && to->needs_flags))
        return;
    if (link->to != to) {
        if (link->to)
            unlink_from(link->to, link);
        link->to = to;
        link->next = to->incoming;
        to->incoming = link;
    }
    if (far)
        link_far(link, to, linear);
    patch(jit, link->patch, link->saved ? to->entry_saved : to->entry_live);
    jit->stats.links++;
}

/* ---- forgetting ---- */

enum slot_set slots_of(uint32_t mode)
{
    if ((mode & MODE_CPL_MASK) == MODE_CPL_MASK)
        return SET_USER;
    return mode & MODE_SMAP_AC ? SET_SUPER_AC : SET_SUPER;
}

static void slot_clear(struct jit *jit, struct page_slot *s)
{
    s->page = jit->empty_page;
    s->host = (uint64_t)(uintptr_t)jit->dummy;
}

static void slots_clear(struct jit *jit, enum slot_set set)
{
    memset(jit->slot_marks[set], 0, SLOT_MARKS);
    for (unsigned write = 0; write < 2; write++)
        for (unsigned n = 0; n < jit->slots_taken[set][write]; n++)
            slot_clear(jit, &jit->slots[set][write][n]);
}

/* None is in use but those for stacks. */
static void slots_begin(struct jit *jit)
{
    memset(jit->fixed_slots, 0, sizeof(jit->fixed_slots));
    for (unsigned set = 0; set < SET_COUNT; set++) {
        for (unsigned write = 0; write < 2; write++)
            jit->slots_taken[set][write] = SLOTS;
        slots_clear(jit, set);
        for (unsigned write = 0; write < 2; write++)
            jit->slots_taken[set][write] = STACK_SLOTS;
    }
}

static void jump_drop(struct set_tables *t, uint32_t index)
{
    t->jumps[index].rip = jump_empty(index);
}

void jumps_clear(struct set_tables *t)
{
    for (unsigned k = 0; k < t->filled_count; k++) {
        jump_drop(t, t->filled[k]);
        jump_drop(t, t->filled[k] + 1);
    }
    t->filled_count = 0;
    memset(t->code_pages, 0, sizeof(t->code_pages));
}

/* The pair of `rip` has something in it from now on. */
static void jump_list(struct set_tables *t, uint32_t index)
{
    uint64_t empty = jump_empty(index);
    if (t->jumps[index].rip != empty || t->jumps[index + 1].rip != empty)
        return;
    if (t->filled_count == JUMP_PAIRS) /* pairs that were emptied singly are in it twice */
        jumps_clear(t);
    t->filled[t->filled_count++] = index;
}

void jump_set(struct set_tables *t, uint64_t rip, uint64_t code)
{
    uint32_t index = jump_index(rip, JUMP_SLOTS);
    jump_list(t, index);
    t->jumps[index + 1] = t->jumps[index];
    t->jumps[index] = (struct jump_slot){rip, code};
    for (unsigned k = 0; k < 2; k++) { /* the instruction may go on in the next page */
        uint64_t page = (rip + k * (INSN_MAX_BYTES - 1)) >> 12 & (JUMP_PAGES - 1);
        t->code_pages[page / 64] |= BIT64(page % 64);
    }
}

static void tables_clear(struct set_tables *t)
{
    if (!t->used)
        return;
    jumps_clear(t);
}

/* Translated code is about to see it. */
static void tables_use(struct set_tables *t)
{
    if (t->used)
        return;
    t->used = true;
    jump_drop(t, 0); /* the others are empty as they are */
    jump_drop(t, 1);
    tables_clear(t);
}

void super_clear(struct jit *jit)
{
    slots_clear(jit, SET_SUPER);
    tables_clear(&jit->super);
}

struct set_tables *set_tables(struct jit *jit, enum slot_set set)
{
    return set == SET_SUPER ? &jit->super : &jit->spaces[jit->space][set];
}

static void space_flushed(struct vcpu *c, unsigned space, bool and_global)
{
    struct jit *jit = c->jit;
    jit->returns_stale = true;
    for (unsigned s = 0; s < SPACES; s++)
        if (s == space || space == ALL_SPACES) {
            tables_clear(&jit->spaces[s][SET_USER]);
            tables_clear(&jit->spaces[s][SET_SUPER_AC]);
        }
    if (space == jit->space || space == ALL_SPACES) {
        slots_clear(jit, SET_USER);
        slots_clear(jit, SET_SUPER_AC);
    }
    if (and_global || jit->fill_all)
        super_clear(jit);
    pinned_clear(jit);
    windows_space_flushed(jit, space);
    if (space == ALL_SPACES)
        mixed_clear(jit);
}

static void space_selected(struct vcpu *c, unsigned space)
{
    struct jit *jit = c->jit;
    jit->returns_stale = true;
    jit->space = space;
    for (unsigned set = 0; set < SET_COUNT; set++) {
        struct set_tables *t = set_tables(jit, set);
        tables_use(t);
        jit->jumps[set] = t->jumps;
    }
    slots_clear(jit, SET_USER);
    slots_clear(jit, SET_SUPER_AC);
    if (jit->fill_all)
        super_clear(jit);
    pinned_clear(jit);
    windows_space_selected(jit);
}

/* Jumps into the page of 4 KiB, also those whose first instruction only goes on there. */
static void jumps_drop_page(struct set_tables *t, uint64_t linear)
{
    uint64_t first = linear - (INSN_MAX_BYTES - 1);
    for (uint64_t at = first & ~7ull; at != linear + 4096; at += 8)
        for (unsigned k = 0; k < 2; k++) {
            uint32_t index = jump_index(at, JUMP_SLOTS) + k;
            uint64_t rip = t->jumps[index].rip;
            if (rip - first < 4096 + (INSN_MAX_BYTES - 1))
                jump_drop(t, index);
        }
}

static void table_drop_page(struct set_tables *t, uint64_t linear, unsigned log2)
{
    if (!t->used)
        return;
    if (log2 > 28) {
        jumps_clear(t);
        return;
    }
    uint64_t bytes = 1ull << log2, start = linear & ~(bytes - 1);
    for (uint64_t at = start; at != start + bytes;) {
        uint64_t page = (at >> 12) % JUMP_PAGES, word = t->code_pages[page / 64];
        if (word >> page % 64 & 1)
            jumps_drop_page(t, at);
        at += word || log2 < 18 ? 4096 : 64 * 4096; /* of a large page: whole words */
    }
}

static void slots_drop_page(struct jit *jit, enum slot_set set, uint64_t linear, unsigned log2)
{
    if (log2 == 12 && !jit->slot_marks[set][linear >> 12 & (SLOT_MARKS - 1)])
        return;
    for (unsigned write = 0; write < 2; write++) {
        struct page_slot *s = jit->slots[set][write], *end = s + jit->slots_taken[set][write];
        for (; s < end; s++)
            if ((s->page ^ linear) >> log2 == 0)
                slot_clear(jit, s);
    }
}

static void page_dropped(struct vcpu *c, uint64_t linear, unsigned log2)
{
    struct jit *jit = c->jit;
    jit->returns_stale = true;
    for (unsigned set = 0; set < SET_COUNT; set++)
        slots_drop_page(jit, set, linear, log2);
    table_drop_page(&jit->super, linear, log2);
    for (unsigned s = 0; s < SPACES; s++)
        for (unsigned set = 0; set < 2; set++)
            table_drop_page(&jit->spaces[s][set], linear, log2);
    pinned_clear(jit);
    windows_page_dropped(jit, linear, log2);
}

static void page_protected(struct vcpu *c, const uint8_t *page)
{
    struct jit *jit = c->jit;
    uint64_t host = (uint64_t)(uintptr_t)page;
    mixed_forget(jit, host);
    windows_page_protected(jit, page);
    for (unsigned set = 0; set < SET_COUNT; set++)
        for (unsigned n = 0; n < jit->slots_taken[set][1]; n++)
            if (jit->slots[set][1][n].host == host)
                slot_clear(jit, &jit->slots[set][1][n]);
}

void jump_list_block(struct jit_block *jb, uint64_t rip)
{
    jb->listed_often |= jb->listed && jb->listed_at != rip;
    jb->listed = true;
    jb->listed_at = rip;
}

static void pair_forget(struct set_tables *t, uint64_t rip, uint64_t code)
{
    uint32_t index = jump_index(rip, JUMP_SLOTS);
    for (unsigned k = 0; k < 2; k++)
        if (t->jumps[index + k].code == code)
            jump_drop(t, index + k);
}

/* A block is in the page at the same offset wherever it is mapped. */
static void table_forget(struct set_tables *t, const struct jit_block *jb)
{
    if (!t->used)
        return;
    if (!jb->listed_often) {
        pair_forget(t, jb->listed_at, jb->entry_saved);
        return;
    }
    uint64_t offset = jb->block->gpa & 0xfff;
    for (uint64_t page = 0; page < JUMP_SLOTS / 2 * 8; page += 4096)
        pair_forget(t, page + offset, jb->entry_saved);
}

/* Nobody comes here any more. Who relied on its not needing the flags goes, too. */
void jit_drop(struct jit *jit, struct jit_block *jb)
{
    struct jit_link *incoming = jb->incoming;
    jit->returns_stale = true;
    jb->dead = true;
    jb->incoming = NULL;
    if (jb->block->native == jb)
        jb->block->native = jb->other;
    for (struct jit_block *k = jb->block->native; k; k = k->other)
        if (k->other == jb)
            k->other = jb->other;
    for (struct jit_link *l = incoming; l; l = l->next) {
        l->to = NULL;
        l->patience = 1;
        patch(jit, l->patch, l->cold);
        jit->stats.unlinked++;
    }
    if (jb->listed) {
        table_forget(&jit->super, jb);
        for (unsigned s = 0; s < SPACES; s++)
            for (unsigned set = 0; set < 2; set++)
                table_forget(&jit->spaces[s][set], jb);
    }
    pinned_forget(jit, jb->entry_saved);
    while (incoming) {
        struct jit_link *l = incoming;
        incoming = l->next;
        l->next = NULL;
        if (l->flags_dead && !l->from->dead)
            jit_drop(jit, l->from);
    }
}

static void block_dropped(struct vcpu *c, struct block *b)
{
    rewritten_note(c->jit, b);
    while (b->native)
        jit_drop(c->jit, b->native);
}

void jit_flush(struct jit *jit)
{
    jit->returns_stale = true;
    jit->code_used = jit->stub_bytes;
    jit->cold_used = jit->cold_start;
    jit->arena_used = 0;
    jit->generation++;
    jit->stats.flushes++;
    jit->exit_link = NULL;
    slots_begin(jit);
    jumps_clear(&jit->super);
    for (unsigned s = 0; s < SPACES; s++)
        for (unsigned set = 0; set < 2; set++)
            if (jit->spaces[s][set].used)
                jumps_clear(&jit->spaces[s][set]);
    pinned_clear(jit);
    mixed_clear(jit);
    windows_code_flushed(jit);
}

static void blocks_flushed(struct vcpu *c)
{
    jit_flush(c->jit);
}

const struct engine_hooks jit_hooks = {
    .space_flushed = space_flushed,
    .space_selected = space_selected,
    .page_dropped = page_dropped,
    .page_protected = page_protected,
    .block_dropped = block_dropped,
    .blocks_flushed = blocks_flushed,
};

/* ---- life ---- */

/* Not canonical, and none that a guest would find. */
static uint64_t no_address(uint64_t seed)
{
    uint64_t v;
    if (getrandom(&v, sizeof(v), GRND_NONBLOCK) < 0)
        v = seed * 0x9e3779b97f4a7c15ull;
    return (v | 1ull << 63) & ~(1ull << 62);
}

int jit_init(struct vcpu *c, size_t code_bytes, struct err *err)
{
    code_bytes = pages(code_bytes);
    size_t head = pages(sizeof(struct jit)), arena = code_bytes * 2;
    size_t bytes = head + arena + code_bytes;
    uint8_t *region = reserve_near(c, bytes);
    if (!region)
        return err_set(err, WEIR_ENOMEM, "translator: no address space near the vCPU");
    if (mprotect(region, head + arena, PROT_READ | PROT_WRITE) < 0) {
        munmap(region, bytes);
        return err_set(err, WEIR_ENOMEM, "translator: out of memory");
    }
    struct jit *jit = (struct jit *)region;
    jit->c = c;
    jit->region_bytes = bytes;
    jit->arena = region + head;
    jit->arena_bytes = arena;
    jit->code_bytes = code_bytes;
    jit->cold_start = code_bytes / 8 * 5;
    if (map_code(jit, region + head + arena) < 0) {
        int rc = err_errno(err, "translator: executable memory");
        if (jit->code_rw)
            munmap(jit->code_rw, code_bytes);
        munmap(region, bytes);
        return rc;
    }
    jit->has_bmi2 = host_has(&c->host->cpu, ISA_BMI2);
    jit->has_avx = host_has(&c->host->cpu, ISA_AVX);
    jit->has_avx512 = c->host->has_avx512;
    jit->has_avx512bw = c->host->has_avx512bw;
    jit->no_return = no_address((uintptr_t)region);
    jit->empty_page = no_address((uintptr_t)region + 1) & ~0xfffull;
    stubs_emit(jit);
    jit->stub_bytes = jit->code_used;
    c->jit = jit;
    c->hooks = &jit_hooks;
    pinned_init(jit);
    mixed_init(jit);
    blocks_flush(c); /* comes back as jit_flush */
    jit->fill_all = true;
    space_selected(c, tlb_space(c));
    jit->stats = (struct jit_stats){0};
    return 0;
}

void jit_fini(struct vcpu *c)
{
    struct jit *jit = c->jit;
    if (!jit)
        return;
    view_free(jit);
    windows_fini(jit);
    c->jit = NULL;
    c->hooks = NULL;
    munmap(jit->code_rw, jit->code_bytes);
    munmap(jit, jit->region_bytes);
}
