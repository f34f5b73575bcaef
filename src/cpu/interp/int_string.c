/* SPDX-License-Identifier: MIT */
/*
 * int_string.c - MOVS, STOS, LODS, CMPS, SCAS.
 *
 * Repeated forms work in chunks: as many elements as lie in one page of each operand, directly in
 * host memory, with one check per chunk. MOVS and STOS take pages together that are neighbours on
 * the host, and MOVS looks once at what it reads and then page by page at where that goes. What
 * does not lie so (MMIO, code pages, page crossings, segment ends, backward direction where it is
 * rare) goes element by element through access.h. Registers are brought up to date after every
 * chunk and every element, so a fault or an interrupt in between leaves the instruction
 * restartable. At most MAX_ELEMENTS are done in one call; STOP_REPEAT comes back for the rest.
 */
#include "cpu/interp/operands.h"

#define MAX_ELEMENTS 65536u

/* TF traps behind every iteration, data breakpoints behind the one that hits. */
static uint64_t iterations_at_once(const struct vcpu *c)
{
    return c->mode & (MODE_TF | MODE_DEBUG) || c->ev.rep_each ? 1 : MAX_ELEMENTS;
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

static bool in_segment(const struct insn *i, const struct segment_cache *s, uint64_t offset,
                       uint64_t bytes, enum access access)
{
    uint64_t last = offset + (bytes - 1);
    return bytes && last >= offset && last <= addr_mask(i) && last <= s->limit &&
           (s->ok & access);
}

/* Host memory of `*count` elements at seg:reg going forward, all in one page, or in `several` that
 * are neighbours on the host; *count is cut to what lies there. NULL: the next element must take
 * the slow way. */
static void *memory_at(struct vcpu *c, const struct insn *i, unsigned seg, unsigned r,
                       enum access access, bool several, uint64_t *count)
{
    const struct segment_cache *s = &c->segc[seg];
    uint64_t offset = reg_addr(c, r, i), size = i->opsize, bytes = *count * size;
    uint64_t linear = (s->base + offset) & c->linear_mask;
    uint64_t room = 4096 - (linear & 4095);
    if (bytes > room && !(several && in_segment(i, s, offset, bytes, access)))
        bytes = room - room % size;
    if (!in_segment(i, s, offset, bytes, access))
        return NULL;
    uint64_t length = bytes;
    void *host = (bytes > room ? mem_run : mem_chunk)(c, linear, access, &length);
    *count = length / size;
    return *count ? host : NULL;
}

static void *chunk(struct vcpu *c, const struct insn *i, unsigned seg, unsigned r,
                   enum access access, uint64_t *count)
{
    return memory_at(c, i, seg, r, access, false, count);
}

/* ---- MOVS ---- */

/* As an element-wise loop from low to high addresses, also where what was written is read again:
 * it is the same instruction. */
static void copy_forward(uint8_t *to, const uint8_t *from, uint64_t count, unsigned size)
{
    switch (size) {
    case 1:
        __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
        break;
    case 2:
        __asm__ volatile("rep movsw" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
        break;
    case 4:
        __asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
        break;
    default:
        __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
        break;
    }
}

/* The host's processor begins to read ahead anew with every REP MOVS: what is copied next is
 * fetched meanwhile, as far as it is known where that is. */
static void copy_run(uint8_t *to, const uint8_t *from, uint64_t count, uint64_t known,
                     unsigned size)
{
    enum { PIECE = 4096 };
    uint64_t bytes = count * size;
    known *= size;
    for (uint64_t at = 0; at < bytes; at += PIECE) {
        uint64_t now = bytes - at < PIECE ? bytes - at : PIECE;
        uint64_t end = known - at < 2 * PIECE ? known : at + 2 * PIECE;
        for (uint64_t ahead = at + PIECE; ahead < end; ahead += 64)
            __builtin_prefetch(from + ahead);
        copy_forward(to + at, from + at, now / size, size);
    }
}

/* Copies what lies at `from`, `known` elements; how many: fewer if the destination needs the slow
 * way or somebody wants the vCPU. What is written cannot move what is read. */
static uint64_t copy_known(struct vcpu *c, const struct insn *i, const uint8_t *from,
                           uint64_t known)
{
    uint64_t done = 0;
    do {
        uint64_t left = known - done, count = left;
        void *to = memory_at(c, i, SEG_ES, RDI, ACCESS_WRITE, true, &count);
        if (!to)
            break;
        copy_run(to, from + done * i->opsize, count, left, i->opsize);
        advance(c, i, RSI, count);
        advance(c, i, RDI, count);
        done += count;
    } while (done < known && !attention_due(c));
    return done;
}

static uint64_t movs_some(struct vcpu *c, const struct insn *i, uint64_t limit, bool *ended)
{
    uint64_t v, count = limit;
    if (limit > 1 && !is_backward(c)) {
        const void *from = memory_at(c, i, i->seg, RSI, ACCESS_READ, true, &count);
        uint64_t done = from ? copy_known(c, i, from, count) : 0;
        if (done)
            return done;
    }
    if (!mem_load(c, i->seg, reg_addr(c, RSI, i), i->opsize, &v) ||
        !mem_store(c, SEG_ES, reg_addr(c, RDI, i), i->opsize, v))
        return 0;
    advance(c, i, RSI, 1);
    advance(c, i, RDI, 1);
    return 1;
}

/* ---- STOS ---- */

static void fill(uint8_t *to, uint64_t v, uint64_t count, unsigned size)
{
    switch (size) {
    case 1:
        __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(v) : "memory");
        break;
    case 2:
        __asm__ volatile("rep stosw" : "+D"(to), "+c"(count) : "a"(v) : "memory");
        break;
    case 4:
        __asm__ volatile("rep stosl" : "+D"(to), "+c"(count) : "a"(v) : "memory");
        break;
    default:
        __asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(v) : "memory");
        break;
    }
}

static uint64_t stos_some(struct vcpu *c, const struct insn *i, uint64_t limit, bool *ended)
{
    uint64_t count = limit, v = c->gpr[RAX];
    if (limit > 1 && !is_backward(c)) {
        void *to = memory_at(c, i, SEG_ES, RDI, ACCESS_WRITE, true, &count);
        if (to) {
            fill(to, v, count, i->opsize);
            advance(c, i, RDI, count);
            return count;
        }
    }
    if (!mem_store(c, SEG_ES, reg_addr(c, RDI, i), i->opsize, v))
        return 0;
    advance(c, i, RDI, 1);
    return 1;
}

/* ---- LODS ---- */

static uint64_t lods_some(struct vcpu *c, const struct insn *i, uint64_t limit, bool *ended)
{
    uint64_t v;
    if (!mem_load(c, i->seg, reg_addr(c, RSI, i), i->opsize, &v))
        return 0;
    reg_set(c, RAX, i->opsize, v);
    advance(c, i, RSI, 1);
    return 1;
}

/* ---- CMPS, SCAS ---- */

static void compare(struct vcpu *c, uint64_t a, uint64_t b, unsigned size)
{
    switch (size) {
    case 1:
        alu_sub(a, b, 1, &c->flags);
        break;
    case 2:
        alu_sub(a, b, 2, &c->flags);
        break;
    case 4:
        alu_sub(a, b, 4, &c->flags);
        break;
    default:
        alu_sub(a, b, 8, &c->flags);
        break;
    }
}

/* F3 goes on while equal, F2 while not. */
static bool goes_on(const struct insn *i, bool equal)
{
    return equal == !(i->prefixes & PFX_REPNE);
}

/* Elements of a chunk up to and with the one that ends the repetition; its values in *a, *b.
 * `other` NULL: every element is compared with *a. */
static uint64_t scan(const struct insn *i, const uint8_t *other, const uint8_t *at,
                     uint64_t count, uint64_t *a, uint64_t *b)
{
    unsigned size = i->opsize;
    uint64_t n = 0;
    do {
        if (other)
            *a = load_le(other + n * size, size);
        *b = load_le(at + n * size, size);
        n++;
    } while (n < count && goes_on(i, *a == *b));
    return n;
}

static uint64_t compared(struct vcpu *c, const struct insn *i, uint64_t a, uint64_t b,
                         uint64_t count, bool *ended)
{
    compare(c, a, b, i->opsize);
    *ended = !goes_on(i, a == b);
    advance(c, i, RDI, count);
    return count;
}

static uint64_t cmps_some(struct vcpu *c, const struct insn *i, uint64_t limit, bool *ended)
{
    uint64_t a, b, count = limit;
    if (limit > 1 && !is_backward(c)) {
        const void *left = chunk(c, i, i->seg, RSI, ACCESS_READ, &count);
        const void *right = left ? chunk(c, i, SEG_ES, RDI, ACCESS_READ, &count) : NULL;
        if (right) {
            count = scan(i, left, right, count, &a, &b);
            advance(c, i, RSI, count);
            return compared(c, i, a, b, count, ended);
        }
    }
    if (!mem_load(c, i->seg, reg_addr(c, RSI, i), i->opsize, &a) ||
        !mem_load(c, SEG_ES, reg_addr(c, RDI, i), i->opsize, &b))
        return 0;
    advance(c, i, RSI, 1);
    return compared(c, i, a, b, 1, ended);
}

static uint64_t scas_some(struct vcpu *c, const struct insn *i, uint64_t limit, bool *ended)
{
    uint64_t a = reg_get(c, RAX, i->opsize), b, count = limit;
    if (limit > 1 && !is_backward(c)) {
        const void *at = chunk(c, i, SEG_ES, RDI, ACCESS_READ, &count);
        if (at) {
            count = scan(i, NULL, at, count, &a, &b);
            return compared(c, i, a, b, count, ended);
        }
    }
    if (!mem_load(c, SEG_ES, reg_addr(c, RDI, i), i->opsize, &b))
        return 0;
    return compared(c, i, a, b, 1, ended);
}

/* ---- the driver ---- */

/* Does up to `limit` elements, at least one, and returns how many; 0 = fault (the registers
 * show the elements before it). *ended: REPE or REPNE is over. */
typedef uint64_t string_fn(struct vcpu *c, const struct insn *i, uint64_t limit, bool *ended);

static enum weir_stop string_run(struct vcpu *c, const struct insn *i, string_fn *some)
{
    bool ended = false;
    if (!(i->prefixes & (PFX_REP | PFX_REPNE)))
        return some(c, i, 1, &ended) ? STOP_NEXT : STOP_FAULT;
    uint64_t left = reg_addr(c, RCX, i), budget = iterations_at_once(c);
    while (left) {
        uint64_t done = some(c, i, left < budget ? left : budget, &ended);
        if (done == 0)
            return STOP_FAULT;
        left -= done;
        budget -= done;
        reg_addr_set(c, RCX, i, left);
        if (ended)
            break;
        if (left && (budget == 0 || attention_due(c)))
            return STOP_REPEAT;
    }
    return STOP_NEXT;
}

enum weir_stop op_movs(struct vcpu *c, const struct insn *i)
{
    return string_run(c, i, movs_some);
}
enum weir_stop op_stos(struct vcpu *c, const struct insn *i)
{
    return string_run(c, i, stos_some);
}
enum weir_stop op_lods(struct vcpu *c, const struct insn *i)
{
    return string_run(c, i, lods_some);
}
enum weir_stop op_cmps(struct vcpu *c, const struct insn *i)
{
    return string_run(c, i, cmps_some);
}
enum weir_stop op_scas(struct vcpu *c, const struct insn *i)
{
    return string_run(c, i, scas_some);
}
