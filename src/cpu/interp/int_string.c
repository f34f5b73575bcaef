/* SPDX-License-Identifier: MIT */
/*
 * int_string.c - MOVS, STOS, LODS, CMPS, SCAS.
 *
 * Repeated forms work in chunks: as many elements as lie in one page of each operand, directly in
 * host memory, with one check per chunk. What does not lie so (MMIO, code pages, page crossings,
 * segment ends, backward direction where it is rare) goes element by element through access.h.
 * Registers are brought up to date after every chunk and every element, so a fault or an
 * interrupt in between leaves the instruction restartable. At most MAX_ELEMENTS are done in one
 * call; STOP_REPEAT comes back for the rest.
 */
#include "cpu/interp/operands.h"

#define MAX_ELEMENTS 4096u

static bool repeats(const struct insn *i)
{
    return i->prefixes & (PFX_REP | PFX_REPNE);
}
static bool is_backward(const struct vcpu *c)
{
    return c->rflags_rest & FLAG_DF;
}
/* Moves a pointer register by `count` elements in the string's direction. */
static void advance(struct vcpu *c, const struct insn *i, unsigned r, uint64_t count)
{
    uint64_t bytes = count * i->opsize;
    reg_addr_set(c, r, i, c->gpr[r] + (is_backward(c) ? -bytes : bytes));
}

/* Host memory of up to `count` elements at seg:reg going forward; *count is cut to what one check
 * covers. NULL: take the slow way for the next element. */
static void *chunk(struct vcpu *c, const struct insn *i, unsigned seg, unsigned r,
                   enum access access, uint64_t *count)
{
    const struct segment_cache *s = &c->segc[seg];
    uint64_t offset = reg_addr(c, r, i), size = i->opsize;
    uint64_t page_left = 4096 - ((s->base + offset) & 4095);
    uint64_t bytes = *count * size;
    if (bytes > page_left)
        bytes = page_left - page_left % size;
    if (bytes == 0 || offset + (bytes - 1) > addr_mask(i) || offset + (bytes - 1) < offset ||
        offset + (bytes - 1) > s->limit || !(s->ok & access))
        return NULL;
    uint64_t linear = (s->base + offset) & c->linear_mask;
    if (UNLIKELY(!seg_linear(c, seg, offset, (unsigned)bytes, access, &linear)))
        return NULL; /* c->fault is filled again by the slow way */
    uint64_t length = bytes;
    void *host = mem_chunk(c, linear, access, &length);
    if (!host || length < size)
        return NULL;
    *count = length / size;
    return host;
}

static unsigned chunk_limit(uint64_t count)
{
    return count < MAX_ELEMENTS ? (unsigned)count : MAX_ELEMENTS;
}

/* Takes `done` elements off rCX; what to return if that was all there is to do now. */
static void count_down(struct vcpu *c, const struct insn *i, uint64_t done)
{
    reg_addr_set(c, RCX, i, c->gpr[RCX] - done);
}

/* ---- the driver ---- */

/* Does up to `limit` elements, at least one; returns how many were done, 0 = fault (registers
 * show the elements before it). *ended: the instruction's condition (REPE, REPNE) is over. */
typedef uint64_t string_fn(struct vcpu *c, const struct insn *i, uint64_t limit, bool *ended);

ALWAYS_INLINE enum weir_stop string_run(struct vcpu *c, const struct insn *i, string_fn *some)
{
    bool ended = false;
    if (!repeats(i))
        return some(c, i, 1, &ended) ? STOP_NEXT : STOP_FAULT;
    uint64_t budget = MAX_ELEMENTS;
    for (;;) {
        uint64_t left = reg_addr(c, RCX, i);
        if (left == 0)
            return STOP_NEXT;
        if (budget == 0 || attention_due(c))
            return STOP_REPEAT;
        uint64_t done = some(c, i, left < budget ? left : budget, &ended);
        if (done == 0)
            return STOP_FAULT;
        count_down(c, i, done);
        if (ended)
            return STOP_NEXT;
        budget -= done;
    }
}
