/* SPDX-License-Identifier: MIT */
/*
 * tables.h - what translated code looks into before C is asked: slots of memory operands, jump
 * slots, pages of code and data. All of it may be emptied at any boundary (cache.c does, when
 * mappings or code change); what is there is true.
 */
#ifndef JIT_TABLES_H
#define JIT_TABLES_H

#include "base/bits.h"

/* Last page seen by memory operands that share the slot: an access hits if linear - page is
 * in the page; host is added then. */
struct page_slot {
    uint64_t page;
    uint64_t host;
};
#define SLOTS       256u
#define PATIENCE    64u
#define MISS_TICKS  2000u /* apart or more, a miss costs less than the other way would */
#define STACK_SLOTS 32u  /* the first: of operands with base RSP, shared by code that is near */
#define FIXED_PAGES 256u /* that many pages can have a slot of their own, by their number */
/* Of each set, by page number: whether a slot may have been filled with such a page. */
#define SLOT_MARKS 1024u
/* Where the pieces of a window are (windows.h): that for addresses whose bits 39 to 46 are
 * `number`. Shared by operands with the same base in code that is near; what is there is true. */
struct distance_slot {
    uint64_t distance;
    uint8_t number;
};
#define DISTANCES 128u

enum slot_set { SET_USER, SET_SUPER_AC, SET_SUPER, SET_COUNT };

/* By RIP, in pairs; filled for the current address space only. */
struct jump_slot {
    uint64_t rip;
    uint64_t code;
};
#define JUMP_SLOTS 65536u
#define JUMP_PAIRS (JUMP_SLOTS / 2)
#define JUMP_PAGES 65536u

/* What one slot set has by number. That of SET_SUPER is filled with global pages only, if there
 * are such, and so is common to all address spaces; the others are for one each. */
struct set_tables {
    struct jump_slot jumps[JUMP_SLOTS];
    uint32_t
        filled[JUMP_PAIRS]; /* first slots of pairs in use: to go through `jumps` costs that */
    uint32_t filled_count;
    uint64_t code_pages[JUMP_PAGES / 64]; /* bit map: pages that jumps may lead to, by number */
    uint32_t mode;                        /* of the blocks in `jumps` */
    bool used; /* since it was made; otherwise its contents mean nothing */
};

/* Jump slots of pinned blocks (see struct jit_block) are by RIP | key, which tells apart code
 * segments and modes. They are emptied by every change of mappings. */
struct cs_context {
    uint64_t base, key;
    uint32_t limit, mode;
};
#define CS_CONTEXTS  64u
#define CS_KEYS_MAX  (1u << 15)
#define PINNED_SLOTS 1024u
struct pinned {
    uint64_t key;            /* of the current CS */
    struct jump_slot *jumps; /* = slots, for code */
    struct jump_slot slots[PINNED_SLOTS];
    bool filled; /* some slots may be */
    uint32_t keys_given;
    struct cs_context contexts[CS_CONTEXTS];
};

/* Pages that hold code and data. Writes go there through `lines` and `bytes` (blocks_code_map). */
struct mixed_page {
    uint64_t host;
    const uint64_t *lines;
    uint64_t *const *bytes;
    uint64_t unused;
};
#define MIXED_PAGES 64u

/* By a hash of where code is: how often its translation was lost to a write, at most
 * REWRITTEN_MAX. Each doubles what it must run before it is translated again. */
#define REWRITTEN       1024u
#define REWRITTEN_MAX   8u
#define REWRITTEN_TICKS 10000000u /* later than that it does not count */

/* First slot of the pair for `rip`; gen_flow.c computes the same. */
static inline uint32_t jump_index(uint64_t rip, uint32_t slots)
{
    return (uint32_t)(rip / 8) * 2 % slots;
}
/* RIP of an empty slot: one that belongs to another pair, so whatever RIP a guest jumps to never
 * equals it. Zero, so that fresh memory is empty, but for the pair that 0 itself belongs to. */
static inline uint64_t jump_empty(uint32_t index)
{
    return index < 2 ? 8 : 0;
}

#endif
