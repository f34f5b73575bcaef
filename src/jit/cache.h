/* SPDX-License-Identifier: MIT */
/*
 * cache.h - keeping translations: memory, links and jump slots (cache.c), code whose place matters
 * (pinned.c), code that is written to (mixed.c). Included by internal.h.
 */
#ifndef JIT_CACHE_H
#define JIT_CACHE_H

#include "jit/internal.h"

/* cache.c */
void *arena_take(struct jit *jit, size_t bytes); /* NULL: full */
void jit_flush(struct jit *jit);
void jit_drop(struct jit *jit, struct jit_block *jb);
/* `linear`: of the target; matters for links to other pages. */
void jit_link_to(struct jit *jit, struct jit_link *link, struct jit_block *to, uint64_t linear);
struct set_tables *set_tables(struct jit *jit, enum slot_set set); /* the current ones */
void jumps_clear(struct set_tables *t);
void jump_set(struct set_tables *t, uint64_t rip, uint64_t code);
/* Before that: it is to be forgotten with the block. */
void jump_list_block(struct jit_block *jb, uint64_t rip);
void super_clear(struct jit *jit);
enum slot_set slots_of(uint32_t mode);
/* Whether blocks of this mode are pinned. */
static inline bool mode_pinned(uint32_t mode)
{
    return !(mode & MODE_FLAT) || (mode & MODE_CODE_MASK) == MODE_CODE16;
}
extern const struct engine_hooks jit_hooks;

/* pinned.c */
/* Code segments whose base is all that changes when CS is loaded. */
bool pinned_by_selector(uint32_t mode, uint64_t cs_limit);
/* Their key. */
uint64_t pinned_key(uint32_t mode, uint64_t cs_base);
void pinned_init(struct jit *jit);
void pinned_enter(struct jit *jit); /* the current CS is that of the jumps to come */
/* The translation of `b` for the current CS and RIP. *refused: there shall be none. */
struct jit_block *pinned_find(const struct jit *jit, const struct block *b, bool *refused);
void pinned_jump_set(struct jit *jit, uint64_t rip, uint64_t code);
void pinned_clear(struct jit *jit);
void pinned_forget(struct jit *jit, uint64_t code);

/* mixed.c */
void mixed_init(struct jit *jit);
void mixed_clear(struct jit *jit);
void mixed_forget(struct jit *jit, uint64_t host);
/* A translated block was overwritten. */
void rewritten_note(struct jit *jit, const struct block *b);
/* How often a block must have been interpreted before it is translated. */
unsigned rewritten_heat(const struct jit *jit, const struct block *b);
/* C has written to miss_linear: next time, a stub shall if it may. */
void mixed_note(struct jit *jit);

#endif
