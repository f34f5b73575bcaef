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
#include <unistd.h>
#include "cpu/cpuid.h"
#include "jit/internal.h"

#define NEAR_BYTES (1900ull << 20)
#define STEP_BYTES (16ull << 20)

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

static int map_code(struct jit *jit, uint8_t *where)
{
    int fd = memfd_create("weir-code", MFD_CLOEXEC);
    if (fd < 0)
        return -1;
    void *rw = MAP_FAILED, *rx = MAP_FAILED;
    if (ftruncate(fd, (off_t)jit->code_bytes) == 0) {
        rw = mmap(NULL, jit->code_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        rx = mmap(where, jit->code_bytes, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, fd, 0);
    }
    close(fd);
    if (rw != MAP_FAILED)
        jit->code_rw = rw;
    jit->code_rx = rx;
    return rw == MAP_FAILED || rx == MAP_FAILED ? -1 : 0;
}

static bool host_has(const struct host_cpu *host, unsigned f)
{
    return host->features[f / 64] >> (f % 64) & 1;
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
    if (map_code(jit, region + head + arena) < 0) {
        int rc = err_errno(err, "translator: executable memory");
        if (jit->code_rw)
            munmap(jit->code_rw, code_bytes);
        munmap(region, bytes);
        return rc;
    }
    struct host_cpu host;
    cpuid_host_read(&host);
    jit->has_avx = host_has(&host, ISA_AVX);
    jit->has_avx512 = host_has(&host, ISA_AVX512F);
    jit->has_avx512bw = host_has(&host, ISA_AVX512BW);
    for (unsigned set = 0; set < SET_COUNT; set++)
        for (unsigned write = 0; write < 2; write++)
            jit->page_tables[set][write] = jit->pages[set][write];
    stubs_emit(jit);
    jit->stub_bytes = jit->code_used;
    c->jit = jit;
    c->hooks = &jit_hooks;
    blocks_flush(c); /* comes back as jit_flush */
    c->hooks->mappings_dropped(c, 0, 64);
    jit->stats = (struct jit_stats){0};
    return 0;
}

void jit_fini(struct vcpu *c)
{
    struct jit *jit = c->jit;
    if (!jit)
        return;
    c->jit = NULL;
    c->hooks = NULL;
    munmap(jit->code_rw, jit->code_bytes);
    munmap(jit, jit->region_bytes);
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

void jit_link_to(struct jit *jit, struct jit_link *link, struct jit_block *to)
{
    if (link->to || link->from->dead || to->dead)
        return;
    link->to = to;
    link->next = to->incoming;
    to->incoming = link;
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

void jumps_clear(struct jit *jit)
{
    for (unsigned k = 0; k < SET_COUNT; k++)
        for (unsigned n = 0; n < JUMP_SLOTS; n++)
            jit->jump_table[k][n].rip = JUMP_EMPTY;
}

static void slot_clear(struct jit *jit, struct page_slot *s)
{
    s->page = SLOT_EMPTY;
    s->host = (uint64_t)(uintptr_t)jit->dummy;
}

/* `slots` and `pages`, which follow each other. */
static struct page_slot *all_slots(struct jit *jit)
{
    return &jit->slots[0][0][0];
}
#define ALL_SLOTS (SET_COUNT * 2 * (SLOTS + PAGE_SLOTS))
_Static_assert(offsetof(struct jit, pages) ==
                   offsetof(struct jit, slots) +
                       SET_COUNT * 2 * SLOTS * sizeof(struct page_slot),
               "one array");

static void mappings_dropped(struct vcpu *c, uint64_t linear, unsigned log2)
{
    struct jit *jit = c->jit;
    struct page_slot *s = all_slots(jit);
    if (log2 >= 64) {
        for (unsigned n = 0; n < ALL_SLOTS; n++)
            slot_clear(jit, &s[n]);
        jumps_clear(jit);
        return;
    }
    for (unsigned n = 0; n < ALL_SLOTS; n++)
        if ((s[n].page ^ linear) >> log2 == 0)
            slot_clear(jit, &s[n]);
    for (unsigned k = 0; k < SET_COUNT; k++)
        for (unsigned n = 0; n < JUMP_SLOTS; n++)
            if ((jit->jump_table[k][n].rip ^ linear) >> log2 == 0)
                jit->jump_table[k][n].rip = JUMP_EMPTY;
}

static void page_protected(struct vcpu *c, const uint8_t *host)
{
    struct jit *jit = c->jit;
    for (unsigned set = 0; set < SET_COUNT; set++) {
        for (unsigned n = 0; n < SLOTS; n++)
            if (jit->slots[set][1][n].host == (uint64_t)(uintptr_t)host)
                slot_clear(jit, &jit->slots[set][1][n]);
        for (unsigned n = 0; n < PAGE_SLOTS; n++)
            if (jit->pages[set][1][n].host == (uint64_t)(uintptr_t)host)
                slot_clear(jit, &jit->pages[set][1][n]);
    }
}

static void block_dropped(struct vcpu *c, struct block *b)
{
    struct jit *jit = c->jit;
    struct jit_block *jb = b->native;
    jb->dead = true;
    for (struct jit_link *l = jb->incoming, *next; l; l = next) {
        next = l->next;
        l->to = NULL;
        l->next = NULL;
        patch(jit, l->patch, l->cold);
        jit->stats.unlinked++;
    }
    jb->incoming = NULL;
    for (unsigned k = 0; k < SET_COUNT; k++)
        for (unsigned n = 0; n < JUMP_SLOTS; n++)
            if (jit->jump_table[k][n].code == jb->entry_saved)
                jit->jump_table[k][n].rip = JUMP_EMPTY;
    b->native = NULL;
}

void jit_flush(struct jit *jit)
{
    jit->code_used = jit->stub_bytes;
    jit->arena_used = 0;
    jit->generation++;
    jit->stats.flushes++;
    jit->exit_link = NULL;
    jumps_clear(jit);
}

static void blocks_flushed(struct vcpu *c)
{
    jit_flush(c->jit);
}

const struct engine_hooks jit_hooks = {
    .mappings_dropped = mappings_dropped,
    .page_protected = page_protected,
    .block_dropped = block_dropped,
    .blocks_flushed = blocks_flushed,
};
