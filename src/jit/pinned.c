/* SPDX-License-Identifier: MIT */
/*
 * pinned.c - blocks whose RIP and code segment are known when they are translated: those of
 * 16-bit code and of non-flat segments (struct jit_block).
 *
 * Where IP wraps, what lies within the limit of CS and what page an address is in depends on
 * the segment's base and limit, so a block has a translation for each pair of IP and limit that
 * it runs with, and these check nothing of CS. CS changes in C only.
 */
#include "jit/internal.h"

#define OTHERS_MAX 8u /* translations of a block; beyond that it is interpreted */

void pinned_init(struct jit *jit)
{
    jit->pinned.jumps = jit->pinned.slots;
    jit->pinned.filled = true;
    pinned_clear(jit);
}

void pinned_clear(struct jit *jit)
{
    for (unsigned n = 0; n < PINNED_SLOTS && jit->pinned.filled; n++)
        jit->pinned.slots[n].rip = 0; /* a key is in all others */
    jit->pinned.filled = false;
}

void pinned_forget(struct jit *jit, uint64_t code)
{
    for (unsigned n = 0; n < PINNED_SLOTS && jit->pinned.filled; n++)
        if (jit->pinned.slots[n].code == code)
            jit->pinned.slots[n].rip = 0;
}

bool pinned_by_selector(uint32_t mode, uint64_t cs_limit)
{
    bool real = !(mode & MODE_PE) || mode & MODE_VM;
    return real && !(mode & MODE_FLAT) && (mode & MODE_CODE_MASK) == MODE_CODE16 &&
           cs_limit == 0xffff;
}

uint64_t pinned_key(uint32_t mode, uint64_t cs_base)
{
    return BIT64(63) | (uint64_t)mode << 48 | cs_base << 28;
}

void pinned_enter(struct jit *jit)
{
    const struct vcpu *c = jit->c;
    struct pinned *p = &jit->pinned;
    uint64_t base = c->segc[SEG_CS].base;
    uint32_t limit = (uint32_t)c->segc[SEG_CS].limit;
    if (pinned_by_selector(c->mode, limit) && !(base & ~0xffff0ull)) {
        p->key = pinned_key(c->mode, base);
        return;
    }
    struct cs_context *x = &p->contexts[(base >> 4 ^ c->mode) % CS_CONTEXTS];
    if (!x->key || x->base != base || x->limit != limit || x->mode != c->mode) {
        if (p->keys_given == CS_KEYS_MAX) {
            p->keys_given = 0;
            pinned_clear(jit);
            memset(p->contexts, 0, sizeof(p->contexts));
        }
        uint64_t key = (uint64_t)++p->keys_given << 32;
        *x = (struct cs_context){base, key, limit, c->mode};
    }
    p->key = x->key;
}

void pinned_jump_set(struct jit *jit, uint64_t rip, uint64_t code)
{
    uint32_t index = jump_index(rip, PINNED_SLOTS);
    pinned_enter(jit);
    jit->pinned.slots[index + 1] = jit->pinned.slots[index];
    jit->pinned.slots[index] = (struct jump_slot){rip | jit->pinned.key, code};
    jit->pinned.filled = true;
}

struct jit_block *pinned_find(const struct jit *jit, const struct block *b, bool *refused)
{
    const struct vcpu *c = jit->c;
    uint32_t base = (uint32_t)(c->rip - (b->gpa & 0xfff));
    uint64_t limit = c->segc[SEG_CS].limit;
    unsigned count = 0;
    for (struct jit_block *jb = b->native; jb; jb = jb->other, count++)
        if (jb->code_base == base && jb->cs_limit == limit)
            return jb;
    *refused = count == OTHERS_MAX || c->rip + b->bytes - 1 > limit;
    return NULL;
}
