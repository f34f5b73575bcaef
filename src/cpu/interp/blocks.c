/* SPDX-License-Identifier: MIT */
/*
 * blocks.c - finds, decodes and drops blocks. See blocks.h.
 *
 * Self-modifying code. A page from which code was taken is tagged RAM_CODE, which sends writes
 * to the slow path and that to blocks_invalidate(). Per page a bit map of 64-byte lines that
 * hold code tells at once whether a write matters: data beside code is common in small systems.
 * Where both share a line (DOS), a bit map of bytes is made for the page.
 * The tag goes when the last block of the page does. The running block cannot be stopped at
 * once: its next instruction is patched to leave it (blocks_leave), so the fast loop pays
 * nothing for this.
 */
#include "cpu/access.h"
#include "cpu/events.h"
#include "cpu/interp/blocks.h"
#include "cpu/interp/ops.h"
#include "cpu/tlb.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>

#define ARENA_BYTES (96u << 20) /* address space: pages are taken when touched */
/* Of which the interpreter alone uses this much: decoding again is cheap, translating is not. */
#define INTERP_BYTES (16u << 20)
#define BLOCK_MAX    (sizeof(struct block) + (BLOCK_INSNS + 1) * sizeof(struct insn) + BLOCK_BYTES)
#define BRANCHES_MAX 3u /* in the middle of a block */
#define LINE_LOG2    6
#define PAGE_LINES   (4096u >> LINE_LOG2)
#define SPAN_LINES   ((BLOCK_BYTES >> LINE_LOG2) + 1) /* that a block may touch */

struct code_page {
    uint64_t page;                      /* physical */
    uint64_t lines;                     /* that hold code */
    unsigned count;                     /* of blocks */
    struct block *starting[PAGE_LINES]; /* by the line of their first byte on the page */
    uint8_t *tag;                       /* NULL: not tagged */
    uint64_t *bytes; /* a bit per byte that may be code; NULL: not needed so far */
    struct code_page *next;
};

static size_t arena_limit(const struct vcpu *c)
{
    return c->jit ? ARENA_BYTES : INTERP_BYTES;
}

/* ---- life ---- */

/* Tags stay: a write to a tagged page without code clears its tag. */
static void flush_now(struct block_cache *blocks)
{
    for (unsigned k = 0; k < JUMP_ENTRIES; k++)
        blocks->jump[k] = (struct jump_entry){0, &blocks->nowhere};
    memset(blocks->hash, 0, sizeof(blocks->hash));
    memset(blocks->pages, 0, sizeof(blocks->pages));
    blocks->used = 0;
    blocks->left = NULL;
    blocks->flush_wanted = false;
}
static void flush(struct vcpu *c)
{
    flush_now(c->blocks);
    if (c->hooks)
        c->hooks->blocks_flushed(c);
}

int blocks_init(struct vcpu *c)
{
    size_t bytes = sizeof(struct block_cache) + BLOCK_MAX + ARENA_BYTES + 64;
    /* From the kernel directly: what is never touched costs nothing. */
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return -WEIR_ENOMEM;
    c->blocks = p;
    uint8_t *rest = (uint8_t *)p + ((sizeof(struct block_cache) + 63) & ~(size_t)63);
    c->blocks->uncached = (struct block *)rest;
    c->blocks->arena = rest + ((BLOCK_MAX + 63) & ~(size_t)63);
    c->blocks->nowhere.offset = BLOCK_DEAD;
    flush_now(c->blocks);
    return 0;
}

void blocks_fini(struct vcpu *c)
{
    if (c->blocks)
        munmap(c->blocks, sizeof(struct block_cache) + BLOCK_MAX + ARENA_BYTES + 64);
    c->blocks = NULL;
}

void blocks_flush(struct vcpu *c)
{
    if (!c->blocks)
        return;
    if (!c->blocks->running) {
        flush(c);
        return;
    }
    /* Its instructions are still in use: the next search empties the cache. */
    c->blocks->flush_wanted = true;
    c->blocks->running->offset = BLOCK_DEAD;
    blocks_leave(c);
}

/* ---- leaving the running block ---- */

void blocks_unpatch(struct vcpu *c)
{
    struct block_cache *blocks = c->blocks;
    if (blocks->left)
        blocks->left->exec = blocks->left_exec;
    blocks->left = NULL;
}

/* Stands in for the next instruction, which is not executed and not counted. */
static enum weir_stop leave_block(struct vcpu *c, const struct insn *i)
{
    blocks_unpatch(c);
    c->rip -= i->length;
    c->instructions--;
    c->stopped_at = i;
    return STOP_BOUNDARY;
}

/* Behind the last instruction of a block that runs on into the next one. */
static enum weir_stop end_of_block(struct vcpu *c, const struct insn *i)
{
    c->instructions--;
    c->stopped_at = i;
    return STOP_BRANCH;
}

/* Index of the instruction behind the one being executed, by rip; count + 1 if rip has moved: then
 * it is the block's last. */
static unsigned next_index(const struct vcpu *c, const struct block *b)
{
    uint64_t linear = c->segc[SEG_CS].base + c->rip;
    unsigned behind = (unsigned)(linear - b->gpa) & 0xfff, at = 0, n = 0;
    while (n < b->count && at < behind)
        at += b->insns[n++].length;
    return at == behind ? n : b->count + 1u;
}

uint64_t blocks_position(const struct vcpu *c)
{
    const struct block *b = c->blocks ? c->blocks->running : NULL;
    if (!b)
        return c->instructions;
    unsigned n = next_index(c, b);
    return c->instructions + (n > b->count ? b->count : n) - 1;
}

const struct insn *blocks_current(const struct vcpu *c)
{
    const struct block *b = c->blocks ? c->blocks->running : NULL;
    if (!b)
        return NULL;
    unsigned n = next_index(c, b);
    return &b->insns[(n > b->count ? b->count : n) - 1];
}

void blocks_leave(struct vcpu *c)
{
    struct block *b = c->blocks ? c->blocks->running : NULL;
    unsigned n = b ? next_index(c, b) : 0;
    if (!b || n > b->count)
        return;
    blocks_unpatch(c);
    c->blocks->left = &b->insns[n];
    c->blocks->left_exec = b->insns[n].exec;
    b->insns[n].exec = leave_block;
}

/* ---- pages ---- */

static struct code_page **page_slot(struct block_cache *blocks, uint64_t page)
{
    struct code_page **p = &blocks->pages[(page >> 12) % PAGE_ENTRIES];
    while (*p && (*p)->page != page)
        p = &(*p)->next;
    return p;
}

static uint64_t lines_of(unsigned offset, unsigned bytes)
{
    unsigned first = offset >> LINE_LOG2, last = (offset + bytes - 1) >> LINE_LOG2;
    return (~0ull >> (63 - (last - first))) << first;
}

/* Bytes of the block on the page: [*offset, *offset + *bytes). */
static void part_on_page(const struct block *b, uint64_t page, unsigned *offset,
                         unsigned *bytes)
{
    *offset = b->gpa & 0xfff;
    *bytes = b->bytes;
    if (*offset + *bytes <= 4096)
        return;
    if ((b->gpa & ~0xfffull) == page) {
        *bytes = 4096 - *offset;
    } else {
        *bytes -= 4096 - *offset;
        *offset = 0;
    }
}

static void set_tag(struct vcpu *c, uint64_t page, uint8_t *tag)
{
    if (!(__atomic_fetch_or(tag, RAM_CODE, __ATOMIC_SEQ_CST) & RAM_CODE))
        tlb_protect_page(c, page);
}
static void clear_tag(struct vcpu *c, uint64_t page, uint8_t *tag)
{
    __atomic_fetch_and(tag, (uint8_t)~RAM_CODE, __ATOMIC_SEQ_CST);
    tlb_protect_page(c, page);
}

/* The record of a page that code is about to be taken from. Tagged before the code is read, so
 * that no write in between is missed. */
static struct code_page *track(struct vcpu *c, uint64_t page, uint8_t *tag)
{
    struct block_cache *blocks = c->blocks;
    struct code_page **slot = page_slot(blocks, page);
    if (!*slot) {
        struct code_page *p = (struct code_page *)(blocks->arena + blocks->used);
        blocks->used += sizeof(*p);
        *p = (struct code_page){.page = page};
        *slot = p;
    }
    if (tag && !(*slot)->tag) {
        (*slot)->tag = tag;
        set_tag(c, page, tag);
    }
    return *slot;
}

static unsigned link_index(const struct block *b, uint64_t page)
{
    return (b->gpa & ~0xfffull) == page ? 0 : 1;
}

static void bytes_add(uint64_t *map, unsigned offset, unsigned bytes)
{
    for (; bytes; offset++, bytes--)
        map[offset >> 6] |= 1ull << (offset & 63);
}

static void bytes_remove(uint64_t *map, unsigned offset, unsigned bytes)
{
    for (; bytes; offset++, bytes--)
        map[offset >> 6] &= ~(1ull << (offset & 63));
}

static bool bytes_have(const uint64_t *map, unsigned offset, unsigned bytes)
{
    for (; bytes; offset++, bytes--)
        if (map[offset >> 6] >> (offset & 63) & 1)
            return true;
    return false;
}

static void page_add(struct code_page *p, struct block *b)
{
    unsigned offset, bytes;
    part_on_page(b, p->page, &offset, &bytes);
    p->lines |= lines_of(offset, bytes);
    if (p->bytes)
        bytes_add(p->bytes, offset, bytes);
    struct block **head = &p->starting[offset >> LINE_LOG2];
    b->page_next[link_index(b, p->page)] = *head;
    *head = b;
    p->count++;
}

/* The first line whose blocks may reach a byte at this offset. */
static unsigned first_line(unsigned offset)
{
    unsigned line = offset >> LINE_LOG2;
    return line < SPAN_LINES - 1 ? 0 : line - (SPAN_LINES - 1);
}

bool blocks_code_map(struct vcpu *c, uint64_t gpa, struct code_map *map)
{
    const struct code_page *p = *page_slot(c->blocks, gpa & ~0xfffull);
    const struct phys_page *phys = phys_lookup(c, gpa);
    bool only_code =
        phys->tag &&
        (__atomic_load_n(phys->tag, __ATOMIC_RELAXED) & ~RAM_WRITTEN) == RAM_CODE &&
        !phys->read_only;
    if (!p || !p->tag || !only_code)
        return false;
    *map = (struct code_map){phys->host, &p->lines, &p->bytes};
    return true;
}

static void page_remove(struct block_cache *blocks, uint64_t page, const struct block *gone)
{
    struct code_page *p = *page_slot(blocks, page);
    if (!p)
        return;
    unsigned offset, bytes, first, last;
    part_on_page(gone, page, &first, &bytes);
    last = first + bytes - 1;
    uint64_t lost = lines_of(first, bytes), kept = 0;
    if (p->bytes)
        bytes_remove(p->bytes, first, bytes);
    for (unsigned line = first_line(first); line <= last >> LINE_LOG2; line++) {
        for (struct block **b = &p->starting[line]; *b;) {
            unsigned k = link_index(*b, page);
            if (*b == gone) {
                *b = gone->page_next[k];
                p->count--;
                continue;
            }
            part_on_page(*b, page, &offset, &bytes);
            kept |= lines_of(offset, bytes);
            if (p->bytes && offset <= last && first < offset + bytes)
                bytes_add(p->bytes, offset, bytes);
            b = &(*b)->page_next[k];
        }
    }
    p->lines = (p->lines & ~lost) | (kept & lost);
}

/* ---- finding ---- */

static struct block **hash_slot(struct block_cache *blocks, uint64_t gpa, uint32_t mode)
{
    uint64_t key = gpa ^ (uint64_t)mode << 40;
    return &blocks->hash[key * 0x9e3779b97f4a7c15u >> (64 - HASH_LOG2)];
}

/* The mode by which a block at `linear`, just translated, is found. */
static uint32_t key_mode(struct vcpu *c, uint64_t linear)
{
    bool watched =
        UNLIKELY(c->ev.watching) && tlb_watched(c, linear, ACCESS_EXECUTE, tlb_kind_current(c));
    return watched ? c->mode | MODE_WATCHED : c->mode;
}

/* The address on the second page must be the one it was decoded from. */
static bool second_page_agrees(struct vcpu *c, const struct block *b, uint64_t linear,
                               bool *faulted)
{
    uint64_t gpa, next = ((linear | 0xfff) + 1) & c->linear_mask;
    *faulted = !paging_translate(c, next, ACCESS_EXECUTE, c->cpl, &gpa);
    return !*faulted && gpa == b->gpa2 && !(key_mode(c, next) & MODE_WATCHED);
}

static struct block *find(struct vcpu *c, uint64_t linear, uint64_t gpa, bool *faulted)
{
    uint32_t mode = key_mode(c, linear);
    *faulted = false;
    for (struct block *b = *hash_slot(c->blocks, gpa, mode); b; b = b->hash_next) {
        if (b->gpa != gpa || b->mode != mode)
            continue;
        if (b->gpa2 == NO_PAGE || second_page_agrees(c, b, linear, faulted))
            return b;
        if (*faulted)
            return NULL;
    }
    return NULL;
}

/* ---- decoding ---- */

/* Where from the block's start on code is watched; UINT_MAX: nowhere in the page. */
static unsigned watched_distance(struct vcpu *c, uint64_t linear, uint64_t gpa)
{
    return key_mode(c, linear) & MODE_WATCHED ? c->ev.hooks->code_distance(c, linear, gpa)
                                              : UINT_MAX;
}

static enum weir_stop too_long(struct vcpu *c, const struct insn *i)
{
    c->stopped_at = i;
    return raise_gp0(c);
}

static unsigned code_bits(const struct vcpu *c)
{
    return 16u << (c->mode & MODE_CODE_MASK);
}

bool block_ends_at(const struct insn *i)
{
    switch (i->op) {
    case OP_INVALID:
    case OP_UD:
    case OP_UD1:
    case OP_JCC:
    case OP_JCXZ:
    case OP_LOOP:
    case OP_LOOPE:
    case OP_LOOPNE:
    case OP_JMP:
    case OP_JMP_IND:
    case OP_CALL:
    case OP_CALL_IND:
    case OP_RET:
    case OP_JMPF:
    case OP_JMPF_IND:
    case OP_CALLF:
    case OP_CALLF_IND:
    case OP_RETF:
    case OP_IRET:
    case OP_INT:
    case OP_INT1:
    case OP_INT3:
    case OP_SYSCALL:
    case OP_SYSRET:
    case OP_SYSENTER:
    case OP_SYSEXIT:
    case OP_HLT:
    case OP_MWAIT:
    case OP_STAC:
    case OP_CLAC:
    case OP_STI:
    case OP_POPF:
    case OP_LMSW:
    case OP_WRMSR:
    case OP_INVLPG:
    case OP_INVPCID:
    case OP_XSETBV:
        return true;
    case OP_MOV_CR:
        return i->opcode == 0x22; /* a write */
    default:
        return false;
    }
}

/* Whether a block goes on behind the conditional jump that ends at `at`: one that leads forward in
 * its page, as those do that leave something out. Who is told of blocks is told of each. */
static bool goes_on(const struct vcpu *c, const struct block *b, const struct insn *i,
                    unsigned at, unsigned *branches)
{
    uint64_t behind = (b->gpa & 0xfff) + at;
    return i->op == OP_JCC && i->opsize >= 4 && (int64_t)i->imm > 0 &&
           behind + i->imm <= 4096 - INSN_MAX_BYTES && !event_armed(c, WEIR_EV_BLOCK) &&
           !(c->log->items & (WEIR_LOG_EXEC | WEIR_LOG_CPU | WEIR_LOG_IN_ASM)) &&
           (*branches)++ < BRANCHES_MAX;
}

/* Decodes into *b from a copy of the code, up to an instruction with a byte at or behind `watched`,
 * unless it is the first. False: not even one whole instruction is there. */
static bool decode(struct vcpu *c, struct block *b, const uint8_t *code, unsigned available,
                   unsigned watched)
{
    unsigned at = 0, bits = code_bits(c);
    bool one = c->mode & (MODE_TF | MODE_DEBUG | MODE_EVENTS) ||
               __atomic_load_n(&c->one_insn, __ATOMIC_RELAXED);
    unsigned max = one ? 1 : BLOCK_INSNS, branches = 0;
    b->count = 0;
    while (b->count < max) {
        struct insn *i = &b->insns[b->count];
        enum decode_status status = decode_insn(i, code + at, available - at, bits);
        if (status == DECODE_TRUNCATED || (status != DECODE_OK && b->count))
            break;
        i->exec = NULL;
        if (status == DECODE_TOO_LONG)
            i->exec = too_long;
        if (status != DECODE_OK) {
            i->op = OP_INVALID;
            i->length = 1; /* it only faults */
        }
        if (UNLIKELY(at + i->length > watched)) {
            if (b->count)
                break;
            b->watched |= WATCHED_CODE;
            watched = 0; /* alone */
        }
        at += i->length;
        b->count++;
        if (watched == 0 || (block_ends_at(i) && !goes_on(c, b, i, at, &branches)))
            break;
    }
    b->bytes = (uint16_t)at;
    return b->count != 0;
}

/* Binds the instructions and puts the end mark and the code's bytes behind them. Returns the
 * block's size in the arena. */
static size_t finish(struct vcpu *c, struct block *b, uint64_t linear, const uint8_t *code)
{
    struct insn *end = &b->insns[b->count];
    uint8_t *bytes = (uint8_t *)(end + 1);
    memcpy(bytes, code, b->bytes);
    memset(end, 0, sizeof(*end));
    end->exec = end_of_block; /* even what ends a block may fall through: POPF, MWAIT */
    for (unsigned n = 0; n < b->count; bytes += b->insns[n++].length)
        b->insns[n].bytes = bytes;
    if (UNLIKELY(log_on(c->log, WEIR_LOG_IN_ASM)) && c->trace_block &&
        log_wants(c->log, linear))
        c->trace_block(c, linear, b->insns, b->count);
    for (unsigned n = 0; n < b->count; n++)
        if (!b->insns[n].exec)
            insn_bind(c, &b->insns[n]);
    return (size_t)(bytes - (uint8_t *)b);
}

static void block_set(struct vcpu *c, struct block *b, uint64_t linear, uint64_t gpa)
{
    b->gpa = gpa;
    b->gpa2 = NO_PAGE;
    b->mode = key_mode(c, linear);
    b->offset = gpa & 0xfff;
    b->next[0] = b->next[1] = &c->blocks->nowhere;
    b->host = NULL;
    b->heat = 0;
    b->seen = 0;
    b->seen_at = 0;
    b->hot = false;
    b->native = NULL;
    b->paged = b->outside = b->strays = b->ungrouped = 0;
    b->watched = event_armed(c, WEIR_EV_BLOCK) && c->ev.hooks->wants_block(c, linear)
                     ? WATCHED_BLOCK
                     : 0;
}

/* How many bytes of code there are from rip to the segment's end, at most `max`. */
static unsigned within_limit(const struct vcpu *c, unsigned max)
{
    if (cpu_is_64bit(c))
        return max;
    uint64_t room = c->segc[SEG_CS].limit - c->rip;
    return room < max ? (unsigned)room + 1 : max;
}

static struct block *enter_block(struct vcpu *c, struct block *b, uint64_t linear,
                                 const uint8_t *code)
{
    struct block_cache *blocks = c->blocks;
    blocks->used += (finish(c, b, linear, code) + 63) & ~(size_t)63;
    struct block **slot = hash_slot(blocks, b->gpa, b->mode);
    b->hash_next = *slot;
    *slot = b;
    return b;
}

/* One instruction by mem_fetch: where it crosses pages, or the code cannot be kept. NULL:
 * c->fault is filled. */
static struct block *decode_single(struct vcpu *c, struct block *b, uint64_t linear,
                                   uint8_t code[INSN_MAX_BYTES])
{
    unsigned count;
    uint64_t gpa;
    if (!mem_fetch(c, linear, code, &count, &gpa))
        return NULL;
    block_set(c, b, linear, gpa);
    unsigned allowed = within_limit(c, count), watched = watched_distance(c, linear, gpa);
    if (decode(c, b, code, allowed, watched)) {
        b->count = 1;
        b->bytes = b->insns[0].length;
        return b;
    }
    uint64_t next = (linear + count) & c->linear_mask;
    bool beyond = allowed < count || (cpu_is_64bit(c) && !is_canonical(next));
    if (beyond || paging_translate(c, next, ACCESS_EXECUTE, c->cpl, &gpa))
        raise_gp0(c);
    return NULL;
}

static struct block *build_uncached(struct vcpu *c, uint64_t linear)
{
    uint8_t code[INSN_MAX_BYTES];
    struct block *b = c->blocks->uncached;
    if (!decode_single(c, b, linear, code))
        return NULL;
    uint64_t last = (linear + b->bytes - 1) & c->linear_mask;
    if (UNLIKELY(c->ev.watching) && (last ^ linear) >> 12 && key_mode(c, last) & MODE_WATCHED)
        b->watched |= WATCHED_CODE;
    finish(c, b, linear, code);
    return b;
}

static struct block *arena_top(struct block_cache *blocks)
{
    blocks->used = (blocks->used + 63) & ~(size_t)63;
    return (struct block *)(blocks->arena + blocks->used);
}

/* Tagged first, fetched then (see track); the two pages may differ in everything. */
static struct block *build_crossing(struct vcpu *c, uint64_t linear, uint64_t gpa)
{
    uint64_t gpa2, next = ((linear | 0xfff) + 1) & c->linear_mask;
    uint8_t code[INSN_MAX_BYTES];
    if (within_limit(c, INSN_MAX_BYTES) <= 4096 - (gpa & 0xfff)) {
        raise_gp0(c);
        return NULL;
    }
    if (!paging_translate(c, next, ACCESS_EXECUTE, c->cpl, &gpa2))
        return NULL;
    struct phys_page second = *phys_lookup(c, gpa2);
    bool same = !((gpa ^ gpa2) & ~0xfffull) || key_mode(c, next) & MODE_WATCHED;
    if (same || !second.host || (!second.tag && !second.read_only))
        return build_uncached(c, linear);
    struct code_page *pages[2] = {track(c, gpa & ~0xfffull, NULL),
                                  track(c, gpa2 & ~0xfffull, second.tag)};
    struct block *b = arena_top(c->blocks);
    if (!decode_single(c, b, linear, code))
        return NULL;
    b->gpa2 = gpa2;
    enter_block(c, b, linear, code);
    page_add(pages[0], b);
    page_add(pages[1], b);
    return b;
}

static struct block *build(struct vcpu *c, uint64_t linear, uint64_t gpa,
                           const struct phys_page *page)
{
    uint8_t code[BLOCK_BYTES];
    unsigned room = 4096 - (gpa & 0xfff);
    uint8_t *host = page->host + (gpa & 0xfff);
    struct code_page *tracked = track(c, gpa & ~0xfffull, page->tag);
    struct block *b = arena_top(c->blocks);
    unsigned available = within_limit(c, room < BLOCK_BYTES ? room : BLOCK_BYTES);
    memcpy(code, host, available);
    block_set(c, b, linear, gpa);
    if (!decode(c, b, code, available, watched_distance(c, linear, gpa)))
        return build_crossing(c, linear, gpa);
    b->host = host;
    enter_block(c, b, linear, code);
    page_add(tracked, b);
    return b;
}

/* ---- the way in ---- */

/* CS limit and canonical address of the first byte. */
static bool fetch_allowed(struct vcpu *c, uint64_t linear)
{
    if (cpu_is_64bit(c) ? is_canonical(linear) : c->rip <= c->segc[SEG_CS].limit)
        return true;
    raise_gp0(c);
    return false;
}

struct block *blocks_at(struct vcpu *c, uint64_t linear)
{
    struct block_cache *blocks = c->blocks;
    uint64_t gpa;
    bool faulted;
    if (!fetch_allowed(c, linear) || !paging_translate(c, linear, ACCESS_EXECUTE, c->cpl, &gpa))
        return NULL;
    if (blocks->flush_wanted || blocks->used + 2 * BLOCK_MAX > arena_limit(c))
        flush(c);
    struct block *b = find(c, linear, gpa, &faulted);
    if (faulted)
        return NULL;
    if (!b) {
        struct phys_page page = *phys_lookup(c, gpa);
        if (!page.host || (!page.tag && !page.read_only))
            return build_uncached(c, linear);
        b = build(c, linear, gpa, &page);
    }
    if (b && b->host)
        *jump_entry(blocks, linear) = (struct jump_entry){linear, b};
    return b;
}

struct block *blocks_known(struct vcpu *c, uint64_t linear)
{
    const struct jump_entry *j = jump_entry(c->blocks, linear);
    const struct tlb_entry *e = &c->tlb[tlb_index(linear)];
    struct block *b = j->block;
    if (LIKELY(j->linear == linear && b->offset == (linear & 0xfff) && b->mode == c->mode &&
               e->execute == tlb_code_tag(linear, b->gpa)))
        return b;
    return NULL;
}

struct block *blocks_lookup(struct vcpu *c, uint64_t linear)
{
    struct block *b = blocks_known(c, linear);
    return LIKELY(b != NULL) ? b : blocks_at(c, linear);
}

const struct block *blocks_at_gpa(struct vcpu *c, uint64_t gpa, uint32_t mode)
{
    for (struct block *b = *hash_slot(c->blocks, gpa, mode); b; b = b->hash_next)
        if (b->gpa == gpa && b->mode == mode && b->gpa2 == NO_PAGE)
            return b;
    return NULL;
}

/* ---- dropping ---- */

static void drop(struct vcpu *c, struct block *b)
{
    struct block_cache *blocks = c->blocks;
    struct block **slot = hash_slot(blocks, b->gpa, b->mode);
    while (*slot && *slot != b)
        slot = &(*slot)->hash_next;
    if (*slot)
        *slot = b->hash_next;
    page_remove(blocks, b->gpa & ~0xfffull, b);
    if (b->gpa2 != NO_PAGE)
        page_remove(blocks, b->gpa2 & ~0xfffull, b);
    if (b == blocks->running)
        blocks_leave(c);
    if (b->native)
        c->hooks->block_dropped(c, b);
    b->offset = BLOCK_DEAD;
}

/* A write to a line with code met no block: the next one is to be told faster. */
static void map_bytes(struct block_cache *blocks, struct code_page *p, size_t limit)
{
    const size_t size = 4096 / 8;
    unsigned offset, bytes;
    if (!p->bytes) {
        size_t at = (blocks->used + 7) & ~(size_t)7;
        if (at + size + 2 * BLOCK_MAX > limit)
            return;
        p->bytes = (uint64_t *)(blocks->arena + at);
        blocks->used = at + size;
    }
    memset(p->bytes, 0, size);
    for (unsigned line = 0; line < PAGE_LINES; line++)
        for (struct block *b = p->starting[line]; b; b = b->page_next[link_index(b, p->page)]) {
            part_on_page(b, p->page, &offset, &bytes);
            bytes_add(p->bytes, offset, bytes);
        }
}

static void invalidate_in_page(struct vcpu *c, uint64_t gpa, unsigned length)
{
    uint64_t page = gpa & ~0xfffull;
    unsigned first = gpa & 0xfff, offset, bytes;
    struct code_page *p = *page_slot(c->blocks, page);
    if (!p) {
        const struct phys_page *phys = phys_lookup(c, gpa);
        if (phys->tag)
            clear_tag(c, page, phys->tag);
        return;
    }
    if (!(p->lines & lines_of(first, length)) ||
        (p->bytes && !bytes_have(p->bytes, first, length)))
        return;
    bool dropped = false;
    for (unsigned line = first_line(first); line <= (first + length - 1) >> LINE_LOG2; line++)
        for (struct block *b = p->starting[line], *next; b; b = next) {
            next = b->page_next[link_index(b, page)];
            part_on_page(b, page, &offset, &bytes);
            if (first < offset + bytes && offset < first + length) {
                drop(c, b);
                dropped = true;
            }
        }
    if (!dropped)
        map_bytes(c->blocks, p, arena_limit(c));
    if (!p->count && p->tag) {
        clear_tag(c, page, p->tag);
        p->tag = NULL;
    }
}

void blocks_drop_watched(struct vcpu *c)
{
    for (unsigned k = 0; c->blocks && k < HASH_ENTRIES; k++)
        for (struct block *b = c->blocks->hash[k], *next; b; b = next) {
            next = b->hash_next;
            if (b->mode & MODE_WATCHED)
                drop(c, b);
        }
}

void blocks_invalidate(struct vcpu *c, uint64_t gpa, uint64_t length)
{
    while (c->blocks && length) {
        uint64_t room = 4096 - (gpa & 0xfff);
        unsigned part = (unsigned)(length < room ? length : room);
        invalidate_in_page(c, gpa, part);
        gpa += part;
        length -= part;
    }
}
