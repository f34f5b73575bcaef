/* SPDX-License-Identifier: MIT */
/*
 * access.c - slow paths of access.h: everything that is not a hit of a plain RAM page inside
 * the segment. An access is first resolved into pieces, one per page, which finds every fault;
 * only then is memory touched.
 */
#include "cpu/access.h"
#include "cpu/events.h"
#include "cpu/icount.h"
#include "cpu/seg.h"
#include "cpu/tlb.h"

#define MAX_PIECES 4 /* an XSAVE area, unaligned, is the longest access */

struct piece {
    uint64_t gpa;
    uint8_t *host; /* NULL: by the bus */
    uint8_t *tag;
    uint32_t length;
    bool read_only;
    bool watched;
    bool settled; /* a handler did it: supplied what is read, or had the write dropped */
};

struct range {
    struct piece piece[MAX_PIECES];
    unsigned count;
    bool watched; /* some piece is */
};

/* ---- segmentation ---- */

static bool stack_or_gp(struct vcpu *c, unsigned seg)
{
    raise_error(c, seg == SEG_SS ? VEC_SS : VEC_GP, 0);
    return false;
}

static bool span_canonical(uint64_t linear, unsigned size)
{
    return is_canonical(linear) && is_canonical(linear + (size - 1));
}

bool seg_linear_slow(struct vcpu *c, unsigned seg, uint64_t offset, unsigned size,
                     enum access access, uint64_t *linear)
{
    const struct segment *s = &c->seg[seg];
    if (cpu_is_64bit(c)) {
        *linear = c->segc[seg].base + offset;
        return span_canonical(*linear, size) || stack_or_gp(c, seg);
    }
    offset &= 0xffffffff;
    *linear = (s->base + offset) & c->linear_mask;
    if (c->mode & MODE_PE && !(c->mode & MODE_VM)) {
        bool code = s->attr & SEG_ATTR_CODE;
        if (!(s->attr & SEG_ATTR_P) ||
            (access == ACCESS_WRITE && (code || !(s->attr & SEG_ATTR_RW))) ||
            (access == ACCESS_READ && code && !(s->attr & SEG_ATTR_RW)))
            return stack_or_gp(c, seg);
    }
    return seg_contains(s, offset, size) || stack_or_gp(c, seg);
}

/* Canonical and alignment checks behind the segment's own (SDM Vol. 3A 6.15, #AC). */
static bool check_linear(struct vcpu *c, unsigned seg, uint64_t linear, unsigned size)
{
    if (cpu_is_64bit(c) && UNLIKELY(!span_canonical(linear, size)))
        return stack_or_gp(c, seg);
    if (!(c->mode & MODE_AC))
        return true;
    unsigned align = size == 10 ? 8 : size;
    if (is_power_of_2(align) && align <= 8 && (linear & (align - 1))) {
        raise_error(c, VEC_AC, 0);
        return false;
    }
    return true;
}

/* ---- pages ---- */

/* What is where, on the host. */
static inline void look_up(struct vcpu *c, struct range *r)
{
    for (unsigned k = 0; k < r->count; k++) {
        struct piece *p = &r->piece[k];
        const struct phys_page *page = phys_lookup(c, p->gpa);
        p->host = page->host ? page->host + (p->gpa & 0xfff) : NULL;
        p->tag = page->tag;
        p->read_only = page->read_only;
    }
}

static bool resolve(struct vcpu *c, uint64_t linear, unsigned size, enum access access,
                    enum tlb_kind kind, uint64_t mask, struct range *r)
{
    r->count = 0;
    r->watched = false;
    c->operand_linear = linear & mask;
    while (size) {
        if (r->count == MAX_PIECES) {
            raise_gp0(c);
            return false;
        }
        struct piece *p = &r->piece[r->count++];
        linear &= mask;
        uint32_t room = 4096 - (linear & 0xfff);
        p->length = size < room ? size : room;
        if (!tlb_translate(c, linear, access, kind, &p->gpa))
            return false;
        p->settled = false;
        p->watched = UNLIKELY(c->ev.watching) && tlb_watched(c, linear, access, kind);
        r->watched |= p->watched;
        linear += p->length;
        size -= p->length;
    }
    look_up(c, r);
    return true;
}

static bool resolve_current(struct vcpu *c, uint64_t linear, unsigned size, enum access access,
                            struct range *r)
{
    return resolve(c, linear, size, access, tlb_kind_current(c), c->linear_mask, r);
}

/* Widest power of two that fits: the bus takes 1, 2, 4 and 8 bytes. */
static unsigned bus_step(uint32_t length)
{
    return length >= 8 ? 8 : length >= 4 ? 4 : length >= 2 ? 2 : 1;
}

static void piece_read(struct vcpu *c, const struct piece *p, uint8_t *out)
{
    if (p->host) {
        memcpy(out, p->host, p->length);
        return;
    }
    cpu_outside(c);
    pthread_mutex_lock(c->device_lock);
    for (uint32_t done = 0; done < p->length;) {
        unsigned step = bus_step(p->length - done);
        store_le(out + done, bus_read(c->mem, p->gpa + done, step), step);
        done += step;
    }
    pthread_mutex_unlock(c->device_lock);
}

static void piece_write(struct vcpu *c, const struct piece *p, const uint8_t *in)
{
    if (p->host) {
        if (p->read_only)
            return;
        memcpy(p->host, in, p->length);
        if (p->tag && (__atomic_load_n(p->tag, __ATOMIC_RELAXED) & RAM_CODE))
            blocks_invalidate(c, p->gpa, p->length);
        return;
    }
    cpu_outside(c);
    pthread_mutex_lock(c->device_lock);
    for (uint32_t done = 0; done < p->length;) {
        unsigned step = bus_step(p->length - done);
        bus_write(c->mem, p->gpa + done, load_le(in + done, step), step);
        done += step;
    }
    pthread_mutex_unlock(c->device_lock);
}

static void range_read(struct vcpu *c, const struct range *r, void *buffer)
{
    uint8_t *out = buffer;
    for (unsigned k = 0; k < r->count; out += r->piece[k++].length)
        if (!r->piece[k].settled)
            piece_read(c, &r->piece[k], out);
}

static void range_write(struct vcpu *c, const struct range *r, const void *buffer)
{
    const uint8_t *in = buffer;
    for (unsigned k = 0; k < r->count; in += r->piece[k++].length)
        if (!r->piece[k].settled)
            piece_write(c, &r->piece[k], in);
}

/* ---- watched pages ---- */

enum { ANNOUNCE_READ, ANNOUNCE_WRITE, ANNOUNCE_IMPLICIT = 2 };

/* Tells of each watched piece. `buffer` is where what is read goes, or what is written is. False:
 * the access does not take place. */
static bool announce(struct vcpu *c, struct range *r, uint64_t linear, void *buffer,
                     unsigned how)
{
    uint8_t *at = buffer;
    for (unsigned k = 0; k < r->count; k++) {
        struct piece *p = &r->piece[k];
        if (p->watched && !event_memory(c, linear, &p->gpa, p->length, how & ANNOUNCE_WRITE,
                                        how & ANNOUNCE_IMPLICIT, at, &p->settled))
            return false;
        linear += p->length;
        at += p->length;
    }
    /* Handlers may have changed what is where. */
    look_up(c, r);
    return true;
}

/* Reads and writes of a range with a watched page in it. */
static bool watched_read(struct vcpu *c, struct range *r, uint64_t linear, void *buffer,
                         unsigned how)
{
    return !UNLIKELY(r->watched) || announce(c, r, linear, buffer, how | ANNOUNCE_READ);
}

static bool watched_write(struct vcpu *c, struct range *r, uint64_t linear, const void *buffer,
                          unsigned size, unsigned how)
{
    uint8_t copy[4096];
    if (size > sizeof(copy)) /* no instruction does */
        size = sizeof(copy);
    memcpy(copy, buffer, size);
    if (!announce(c, r, linear, copy, how | ANNOUNCE_WRITE))
        return false;
    range_write(c, r, copy);
    return true;
}

static bool write_range(struct vcpu *c, struct range *r, uint64_t linear, const void *buffer,
                        unsigned size, unsigned how)
{
    if (UNLIKELY(r->watched))
        return watched_write(c, r, linear, buffer, size, how);
    range_write(c, r, buffer);
    return true;
}

/* An embedder that answers for unclaimed addresses has been asked just now: the instruction
 * runs again when the answer is there. */
static bool answered(struct vcpu *c)
{
    if (LIKELY(!c->exit.pending || c->exit.is_write))
        return true;
    c->fault = (struct x86_fault){.kind = FAULT_RETRY};
    return false;
}

/* Descriptors, stacks being switched to and code are not asked for: there a hole reads as ones.
 */
static void unasked(struct vcpu *c)
{
    if (UNLIKELY(c->exit.pending && !c->exit.is_write))
        c->exit.pending = false;
}

static inline void watch(struct vcpu *c, uint64_t linear, unsigned size, bool write)
{
    if (UNLIKELY(c->dr[7] & 0xff))
        debug_data_access(c, linear, size, write);
}

/* ---- loads and stores ---- */

bool mem_load_slow(struct vcpu *c, unsigned seg, uint64_t linear, unsigned size, uint64_t *v)
{
    struct range r;
    if (!check_linear(c, seg, linear, size) ||
        !resolve_current(c, linear, size, ACCESS_READ, &r))
        return false;
    *v = 0;
    if (!watched_read(c, &r, linear, v, 0))
        return false;
    range_read(c, &r, v);
    watch(c, linear, size, false);
    return answered(c);
}

bool mem_store_slow(struct vcpu *c, unsigned seg, uint64_t linear, unsigned size, uint64_t v)
{
    struct range r;
    if (!check_linear(c, seg, linear, size) ||
        !resolve_current(c, linear, size, ACCESS_WRITE, &r))
        return false;
    if (!write_range(c, &r, linear, &v, size, 0))
        return false;
    watch(c, linear, size, true);
    return true;
}

/* Its read; the write is told of when it comes (mem_rmw_commit), and one that is to be refused is
 * undone then. Both must find the instruction alone. */
static bool rmw_announce(struct vcpu *c, struct range *r, uint64_t linear, void *value)
{
    uint64_t at = linear;
    bool write = r->watched;
    r->watched = false;
    for (unsigned k = 0; k < r->count; at += r->piece[k++].length) {
        r->piece[k].watched =
            tlb_watched(c, at & c->linear_mask, ACCESS_READ, tlb_kind_current(c));
        r->watched |= r->piece[k].watched;
    }
    if (write && !event_possible(c))
        return false;
    return watched_read(c, r, linear, value, 0);
}

bool mem_rmw_begin(struct vcpu *c, unsigned seg, uint64_t offset, unsigned size,
                   struct mem_rmw *rmw)
{
    uint64_t linear;
    if (UNLIKELY(!seg_linear(c, seg, offset, size, ACCESS_WRITE, &linear)))
        return false;
    rmw->linear = linear;
    rmw->size = size;
    rmw->value[0] = rmw->value[1] = 0;
    rmw->host = tlb_write_hit(c, linear, size);
    if (LIKELY(rmw->host != NULL)) {
        memcpy(rmw->value, rmw->host, size);
        return true;
    }
    struct range r;
    if (!check_linear(c, seg, linear, size) ||
        !resolve_current(c, linear, size, ACCESS_WRITE, &r))
        return false;
    rmw->gpa[0] = r.piece[0].gpa;
    rmw->gpa[1] = r.piece[r.count - 1].gpa;
    if (UNLIKELY(c->ev.watching) && !rmw_announce(c, &r, linear, rmw->value))
        return false;
    range_read(c, &r, rmw->value);
    return answered(c);
}

void mem_rmw_commit(struct vcpu *c, const struct mem_rmw *rmw, const uint64_t value[2])
{
    if (LIKELY(rmw->host != NULL)) {
        memcpy(rmw->host, value, rmw->size);
        return;
    }
    struct range r;
    uint32_t room = 4096 - (rmw->linear & 0xfff);
    r.count = rmw->size > room ? 2 : 1;
    r.piece[0].length = rmw->size > room ? room : rmw->size;
    r.piece[1].length = rmw->size - r.piece[0].length;
    r.watched = false;
    for (unsigned k = 0; k < r.count; k++) {
        const struct phys_page *page = phys_lookup(c, rmw->gpa[k]);
        r.piece[k].gpa = rmw->gpa[k];
        r.piece[k].host = page->host ? page->host + (rmw->gpa[k] & 0xfff) : NULL;
        r.piece[k].tag = page->tag;
        r.piece[k].read_only = page->read_only;
        r.piece[k].settled = false;
        r.piece[k].watched = UNLIKELY(c->ev.watching) &&
                             tlb_watched(c, (rmw->linear + k * room) & c->linear_mask,
                                         ACCESS_WRITE, tlb_kind_current(c));
        r.watched |= r.piece[k].watched;
    }
    if (!write_range(c, &r, rmw->linear, value, rmw->size, 0)) {
        event_undo(c);
        return;
    }
    watch(c, rmw->linear, rmw->size, true);
}

bool mem_read_bytes(struct vcpu *c, unsigned seg, uint64_t offset, void *buffer, unsigned size)
{
    uint64_t linear;
    struct range r;
    if (!seg_linear(c, seg, offset, size, ACCESS_READ, &linear))
        return false;
    const void *p = tlb_read_hit(c, linear, size);
    if (LIKELY(p != NULL)) {
        memcpy(buffer, p, size);
        return true;
    }
    if (!check_linear(c, seg, linear, size) ||
        !resolve_current(c, linear, size, ACCESS_READ, &r) ||
        !watched_read(c, &r, linear, buffer, 0))
        return false;
    range_read(c, &r, buffer);
    watch(c, linear, size, false);
    return answered(c);
}

bool mem_write_bytes(struct vcpu *c, unsigned seg, uint64_t offset, const void *buffer,
                     unsigned size)
{
    uint64_t linear;
    struct range r;
    if (!seg_linear(c, seg, offset, size, ACCESS_WRITE, &linear))
        return false;
    void *p = tlb_write_hit(c, linear, size);
    if (LIKELY(p != NULL)) {
        memcpy(p, buffer, size);
        return true;
    }
    if (!check_linear(c, seg, linear, size) ||
        !resolve_current(c, linear, size, ACCESS_WRITE, &r) ||
        !write_range(c, &r, linear, buffer, size, 0))
        return false;
    watch(c, linear, size, true);
    return true;
}

bool mem_probe(struct vcpu *c, unsigned seg, uint64_t offset, unsigned size, enum access access)
{
    uint64_t linear;
    struct range r;
    return seg_linear(c, seg, offset, size, access, &linear) &&
           check_linear(c, seg, linear, size) && resolve_current(c, linear, size, access, &r) &&
           (access != ACCESS_WRITE || LIKELY(!r.watched) || event_probe(c));
}

/* ---- by linear address ---- */

static enum tlb_kind system_kind(const struct vcpu *c, unsigned cpl)
{
    if (cpl == 3)
        return TLB_USER;
    (void)c;
    return TLB_SUPER;
}

static uint64_t system_mask(const struct vcpu *c)
{
    return c->efer & EFER_LMA ? ~0ull : 0xffffffffull;
}

/* Hits of the table in question without further ado. */
static void *system_hit(struct vcpu *c, uint64_t linear, unsigned size, enum access access,
                        enum tlb_kind kind)
{
    const struct tlb_entry *e = &tlb_table(c, kind)->entry[tlb_index(linear)];
    uint64_t tag = access == ACCESS_WRITE ? e->write : e->read;
    if (tag == ((linear + (size - 1)) & ~0xfffull))
        return (void *)(e->host + (linear & 0xfff));
    return NULL;
}

static bool system_resolve(struct vcpu *c, uint64_t linear, unsigned size, enum access access,
                           enum tlb_kind kind, struct range *r)
{
    uint64_t mask = system_mask(c);
    if (mask == ~0ull && !span_canonical(linear, size)) {
        raise_gp0(c);
        return false;
    }
    return resolve(c, linear, size, access, kind, mask, r);
}

bool lin_read(struct vcpu *c, uint64_t linear, void *buffer, unsigned size, unsigned cpl)
{
    enum tlb_kind kind = system_kind(c, cpl);
    linear &= system_mask(c);
    const void *p = system_hit(c, linear, size, ACCESS_READ, kind);
    if (LIKELY(p != NULL)) {
        memcpy(buffer, p, size);
        return true;
    }
    struct range r;
    if (!system_resolve(c, linear, size, ACCESS_READ, kind, &r) ||
        !watched_read(c, &r, linear, buffer, ANNOUNCE_IMPLICIT))
        return false;
    range_read(c, &r, buffer);
    unasked(c);
    watch(c, linear, size, false);
    return true;
}

bool lin_write(struct vcpu *c, uint64_t linear, const void *buffer, unsigned size, unsigned cpl)
{
    enum tlb_kind kind = system_kind(c, cpl);
    linear &= system_mask(c);
    void *p = system_hit(c, linear, size, ACCESS_WRITE, kind);
    if (LIKELY(p != NULL)) {
        memcpy(p, buffer, size);
        return true;
    }
    struct range r;
    if (!system_resolve(c, linear, size, ACCESS_WRITE, kind, &r) ||
        !write_range(c, &r, linear, buffer, size, ANNOUNCE_IMPLICIT))
        return false;
    watch(c, linear, size, true);
    return true;
}

bool lin_probe(struct vcpu *c, uint64_t linear, unsigned size, enum access access, unsigned cpl)
{
    struct range r;
    linear &= system_mask(c);
    return system_resolve(c, linear, size, access, system_kind(c, cpl), &r);
}

/* ---- strings, code, ports ---- */

void *mem_chunk(struct vcpu *c, uint64_t linear, enum access access, uint64_t *length)
{
    uint64_t room = 4096 - (linear & 0xfff);
    bool write = access == ACCESS_WRITE;
    void *p = write ? tlb_write_hit(c, linear, 1) : tlb_read_hit(c, linear, 1);
    if (UNLIKELY(!p)) {
        if (cpu_is_64bit(c) && !is_canonical(linear))
            return NULL;
        struct x86_fault fault = c->fault;
        uint64_t gpa;
        if (!tlb_translate(c, linear, access, tlb_kind_current(c), &gpa)) {
            c->fault = fault;
            return NULL;
        }
        p = write ? tlb_write_hit(c, linear, 1) : tlb_read_hit(c, linear, 1);
    }
    if (p && *length > room)
        *length = room;
    return p;
}

/* How much may be read from `linear` on, whose page may be read directly, in the same page of the
 * guest and one piece of the host's memory: all of a large page has the same rights. */
static uint64_t large_page_room(struct vcpu *c, uint64_t linear)
{
    uint64_t gpa, bytes = tlb_page_bytes(c, linear, &gpa);
    if (bytes == 4096 || c->ev.watching || ~c->a20_mask)
        return 0;
    pthread_mutex_lock(c->device_lock);
    struct bus_span span = bus_lookup(c->mem, gpa);
    pthread_mutex_unlock(c->device_lock);
    uint64_t room = bytes - (gpa & (bytes - 1)), mapped = span.last - gpa + 1;
    if (!span.region || !span.region->host)
        return 0;
    return room < mapped ? room : mapped;
}

void *mem_run(struct vcpu *c, uint64_t linear, enum access access, uint64_t *length)
{
    uint64_t wanted = *length;
    bool write = access == ACCESS_WRITE;
    uint8_t *start = mem_chunk(c, linear, access, length);
    if (start && !write && *length < wanted) {
        uint64_t room = large_page_room(c, linear);
        if (room > *length)
            *length = room < wanted ? room : wanted;
    }
    while (start && *length < wanted) {
        uint64_t next = linear + *length;
        const void *p = write ? tlb_write_hit(c, next, 1) : tlb_read_hit(c, next, 1);
        if (p != start + *length || next & ~c->linear_mask)
            break;
        *length += wanted - *length < 4096 ? wanted - *length : 4096;
    }
    return start;
}

static bool fetch_page(struct vcpu *c, uint64_t linear, uint8_t *bytes, unsigned size,
                       uint64_t *gpa)
{
    struct piece p = {.length = size};
    if (!tlb_translate(c, linear, ACCESS_EXECUTE, tlb_kind_current(c), gpa))
        return false;
    const struct phys_page *page = phys_lookup(c, *gpa);
    p.gpa = *gpa;
    p.host = page->host ? page->host + (*gpa & 0xfff) : NULL;
    if (p.host) {
        piece_read(c, &p, bytes);
        return true;
    }
    /* A device's registers: byte by byte, so that nothing behind the instruction is touched
     * more than needed is not possible here; code in MMIO is a guest's mistake. */
    cpu_outside(c);
    pthread_mutex_lock(c->device_lock);
    for (unsigned k = 0; k < size; k++)
        bytes[k] = (uint8_t)bus_read(c->mem, *gpa + k, 1);
    pthread_mutex_unlock(c->device_lock);
    unasked(c);
    return true;
}

bool mem_fetch(struct vcpu *c, uint64_t linear, uint8_t *bytes, unsigned *count, uint64_t *gpa)
{
    unsigned room = 4096 - (linear & 0xfff);
    unsigned first = room < INSN_MAX_BYTES ? room : INSN_MAX_BYTES;
    *count = 0;
    if (cpu_is_64bit(c) && !is_canonical(linear)) {
        raise_gp0(c);
        return false;
    }
    if (!fetch_page(c, linear, bytes, first, gpa))
        return false;
    *count = first;
    if (first == INSN_MAX_BYTES)
        return true;
    uint64_t next = (linear + first) & c->linear_mask, next_gpa;
    if (cpu_is_64bit(c) && !is_canonical(next))
        return true;
    struct x86_fault fault = c->fault;
    if (fetch_page(c, next, bytes + first, INSN_MAX_BYTES - first, &next_gpa))
        *count = INSN_MAX_BYTES;
    else
        c->fault = fault;
    return true;
}

bool io_permitted(struct vcpu *c, unsigned port, unsigned size)
{
    unsigned iopl = (c->rflags_rest & FLAG_IOPL) >> 12;
    bool checked = (c->mode & MODE_PE) && (c->cpl > iopl || (c->mode & MODE_VM));
    if (checked) {
        const struct segment *tr = &c->seg[SEG_TR];
        unsigned type = tr->attr & SEG_ATTR_TYPE;
        uint8_t raw[2];
        bool usable = (tr->attr & SEG_ATTR_P) && (type == 9 || type == 11) && tr->limit >= 103;
        if (!usable)
            return gp0_fault(c);
        if (!lin_read(c, tr->base + 0x66, raw, 2, 0))
            return false;
        uint32_t at = (uint32_t)load_le(raw, 2) + port / 8;
        if (at + 1 > tr->limit)
            return gp0_fault(c);
        if (!lin_read(c, tr->base + at, raw, 2, 0))
            return false;
        if (load_le(raw, 2) >> (port & 7) & ((1u << size) - 1))
            return gp0_fault(c);
    }
    if (UNLIKELY(c->dr[7] & 0xff))
        debug_io_access(c, port, size);
    return true;
}
