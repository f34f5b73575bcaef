/* SPDX-License-Identifier: MIT */
/*
 * blocks.h - decoded code, between blocks.c (makes and drops it) and interp.c (runs it).
 *
 * A block is a run of instructions decoded from one physical page, ended by whatever may
 * transfer control, but for some conditional jumps forward, by which it may be left before its end;
 * an instruction that crosses into the next page is a block of its own.
 * Blocks are keyed by the physical address of their first byte and the mode, so they are shared
 * by all address spaces. All live in one arena that is emptied as a whole when it is full.
 */
#ifndef CPU_INTERP_BLOCKS_H
#define CPU_INTERP_BLOCKS_H

#include "cpu/cpu.h"

#define BLOCK_INSNS 64u
#define BLOCK_BYTES 256u
#define BLOCK_DEAD  0xffffu /* offset of a block that was dropped: equals no page offset */
#define NO_PAGE     (~0ull)

struct block {
    uint64_t gpa;          /* of the first byte */
    uint64_t gpa2;         /* of the first byte on the second page, NO_PAGE if there is none */
    uint8_t *host;         /* of the first byte */
    struct block *next[2]; /* where it went from here, on the same page and in the same mode */
    struct block *hash_next;
    struct block *page_next[2]; /* other blocks on its page(s) */
    uint32_t mode;
    uint16_t offset; /* in the page; BLOCK_DEAD */
    uint16_t bytes;
    uint16_t count;
    uint16_t heat;   /* how often it was interpreted, up to when it is translated */
    uint8_t watched; /* WATCHED_* (events.h): for its first instruction */
    uint8_t seen;    /* jit: how often it was found running of late */
    bool hot;        /* so it is */
    uint32_t seen_at;
    uint64_t paged;     /* then: instructions whose operands touch ever other pages */
    uint64_t outside;   /* jit: instructions whose operands are nothing for windows */
    uint64_t strays;    /* jit: instructions whose operands are now here, now 512 GiB away */
    uint64_t ungrouped; /* jit: instructions whose operands are to be checked alone */
    void *native;       /* its translation (jit), NULL */
    _Alignas(64) struct insn insns[]; /* count of them, and an end mark */
};

/* By linear address; an entry counts only if it agrees with the TLB. */
struct jump_entry {
    uint64_t linear;
    struct block *block;
};
#define JUMP_ENTRIES 16384u
#define HASH_LOG2    18u /* as a rule twice as many as there are blocks */
#define HASH_ENTRIES (1u << HASH_LOG2)
#define PAGE_ENTRIES 2048u

struct code_page;

struct block_cache {
    struct block *running; /* the fast loop is in it; NULL elsewhere */
    struct insn *left;     /* patched by blocks_leave, with its function */
    insn_fn *left_exec;
    bool flush_wanted; /* blocks_flush came while a block was running */
    uint8_t *arena;
    size_t used;
    struct block *uncached; /* one instruction from where code is not tracked */
    struct jump_entry jump[JUMP_ENTRIES];
    struct block *hash[HASH_ENTRIES];
    struct code_page *pages[PAGE_ENTRIES];
    struct block nowhere; /* dead: what unset links point to */
};

static inline struct jump_entry *jump_entry(struct block_cache *blocks, uint64_t linear)
{
    return &blocks->jump[(linear ^ linear >> 12) & (JUMP_ENTRIES - 1)];
}

/* Whatever sets rip, or after which going on in the block makes no sense. */
bool block_ends_at(const struct insn *i);

/* The block at CS:RIP, decoded if need be. NULL: c->fault says why there is none. */
struct block *blocks_at(struct vcpu *c, uint64_t linear);

/* Like blocks_at, but asks the jump cache first. */
struct block *blocks_lookup(struct vcpu *c, uint64_t linear);

/* The block there if it is at hand, else NULL. */
struct block *blocks_known(struct vcpu *c, uint64_t linear);

/* The block at this physical address in this mode, if it is there and lies in one page. */
const struct block *blocks_at_gpa(struct vcpu *c, uint64_t gpa, uint32_t mode);

/* Of a page of RAM that code was taken from: where it is on the host, and bit maps of its lines of
 * 64 bytes and (if that is not NULL by now) bytes that hold code, valid until everything is
 * flushed. Writes to others need not be told. False: no such page. */
struct code_map {
    const uint8_t *host;
    const uint64_t *lines;
    uint64_t *const *bytes;
};
bool blocks_code_map(struct vcpu *c, uint64_t gpa, struct code_map *map);

/* Makes the fast loop stop behind the current instruction. */
void blocks_leave(struct vcpu *c);
/* Instructions completed before the one that is being executed. */
uint64_t blocks_position(const struct vcpu *c);
/* Drops the blocks of pages in which code is watched (MODE_WATCHED). */
void blocks_drop_watched(struct vcpu *c);
/* The instruction that is being executed, NULL if the fast loop is not at work. */
const struct insn *blocks_current(const struct vcpu *c);
/* Takes back the patch of blocks_leave. */
void blocks_unpatch(struct vcpu *c);

#endif
