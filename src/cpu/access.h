/* SPDX-License-Identifier: MIT */
/*
 * access.h - the one gate for guest memory accesses by instructions.
 *
 * Every function returns true on success; false means c->fault is filled and nothing was changed
 * (`return STOP_FAULT`). Segment checks, canonical checks, alignment checks, paging, data
 * breakpoints, page crossing, MMIO and code-page invalidation all happen in here.
 * Privilege is the current CPL, except in the *_system functions (descriptor tables, TSS), which
 * access as supervisor by linear address.
 */
#ifndef CPU_ACCESS_H
#define CPU_ACCESS_H

#include "cpu/state.h"

/* ---- slow paths (access.c) ---- */
bool seg_linear_slow(struct vcpu *c, unsigned seg, uint64_t offset, unsigned size,
                     enum access access, uint64_t *linear);
bool mem_load_slow(struct vcpu *c, unsigned seg, uint64_t linear, unsigned size, uint64_t *v);
bool mem_store_slow(struct vcpu *c, unsigned seg, uint64_t linear, unsigned size, uint64_t v);

/* Segment:offset to linear for an access of `size` bytes (1..64; may be more for strings). */
static inline bool seg_linear(struct vcpu *c, unsigned seg, uint64_t offset, unsigned size,
                              enum access access, uint64_t *linear)
{
    const struct segment_cache *s = &c->segc[seg];
    uint64_t last = offset + (size - 1);
    if (LIKELY((s->ok & access) && last <= s->limit && last >= offset)) {
        *linear = (s->base + offset) & c->linear_mask;
        return true;
    }
    return seg_linear_slow(c, seg, offset, size, access, linear);
}

/* Host address for a read/write that hits the TLB and lies in one page, else NULL. */
static inline void *tlb_read_hit(const struct vcpu *c, uint64_t linear, unsigned size)
{
    const struct tlb_entry *e = &c->tlb[tlb_index(linear)];
    if (LIKELY(e->read == ((linear + (size - 1)) & ~0xfffull)))
        return (void *)(e->host + (linear & 0xfff));
    return NULL;
}
static inline void *tlb_write_hit(const struct vcpu *c, uint64_t linear, unsigned size)
{
    const struct tlb_entry *e = &c->tlb[tlb_index(linear)];
    if (LIKELY(e->write == ((linear + (size - 1)) & ~0xfffull)))
        return (void *)(e->host + (linear & 0xfff));
    return NULL;
}

/* 1, 2, 4 or 8 bytes; `size` is a constant at most call sites. Value zero-extended. */
static inline bool mem_load(struct vcpu *c, unsigned seg, uint64_t offset, unsigned size,
                            uint64_t *v)
{
    uint64_t linear;
    if (UNLIKELY(!seg_linear(c, seg, offset, size, ACCESS_READ, &linear)))
        return false;
    const void *p = tlb_read_hit(c, linear, size);
    if (LIKELY(p != NULL)) {
        *v = load_le(p, size);
        return true;
    }
    return mem_load_slow(c, seg, linear, size, v);
}
static inline bool mem_store(struct vcpu *c, unsigned seg, uint64_t offset, unsigned size,
                             uint64_t v)
{
    uint64_t linear;
    if (UNLIKELY(!seg_linear(c, seg, offset, size, ACCESS_WRITE, &linear)))
        return false;
    void *p = tlb_write_hit(c, linear, size);
    if (LIKELY(p != NULL)) {
        store_le(p, v, size);
        return true;
    }
    return mem_store_slow(c, seg, linear, size, v);
}

/* Read-modify-write of 1-16 bytes: begin checks for writing (faults as a write) and reads;
 * commit cannot fault. With `host` set the caller may also operate on it atomically. */
struct mem_rmw {
    void *host; /* direct, or NULL: then value/commit go the slow way */
    uint64_t linear;
    uint64_t gpa[2];
    unsigned size;
    uint64_t value[2]; /* as read */
};
bool mem_rmw_begin(struct vcpu *c, unsigned seg, uint64_t offset, unsigned size,
                   struct mem_rmw *rmw);
void mem_rmw_commit(struct vcpu *c, const struct mem_rmw *rmw, const uint64_t value[2]);

/* Any length (SIMD operands, XSAVE areas, descriptors): all pages are checked first, so a fault
 * leaves memory untouched. */
bool mem_read_bytes(struct vcpu *c, unsigned seg, uint64_t offset, void *buffer, unsigned size);
bool mem_write_bytes(struct vcpu *c, unsigned seg, uint64_t offset, const void *buffer,
                     unsigned size);
/* Checks only. */
bool mem_probe(struct vcpu *c, unsigned seg, uint64_t offset, unsigned size,
               enum access access);

/* Supervisor accesses to descriptor tables, TSS and stacks being switched to, by linear address;
 * `cpl` is the privilege they are made with (0 for implicit supervisor accesses). */
bool lin_read(struct vcpu *c, uint64_t linear, void *buffer, unsigned size, unsigned cpl);
bool lin_write(struct vcpu *c, uint64_t linear, const void *buffer, unsigned size,
               unsigned cpl);
/* Checks only; also sets A and D as the access would. */
bool lin_probe(struct vcpu *c, uint64_t linear, unsigned size, enum access access,
               unsigned cpl);

/* IN/OUT: IOPL and the I/O permission bitmap of the TSS (false = #GP in c->fault); notes I/O
 * breakpoints. To be asked before every port access, in every mode. */
bool io_permitted(struct vcpu *c, unsigned port, unsigned size);

/* For REP string chunks: host pointer for [linear, linear+*length) within one page, *length cut to
 * the page's end; NULL with c->fault untouched if the page needs the element-wise slow way. */
void *mem_chunk(struct vcpu *c, uint64_t linear, enum access access, uint64_t *length);
/* The same over several pages, as far as they follow each other on the host, too. */
void *mem_run(struct vcpu *c, uint64_t linear, enum access access, uint64_t *length);

/* ---- memory that the host itself reads or writes for an instruction (gather.c) ---- */
struct mem_piece { /* of one page */
    uint64_t gpa;
    uint8_t *host;   /* NULL: not RAM or ROM */
    uint8_t *tag;    /* see mem/ram.h; may be NULL */
    uint32_t length; /* to the end of the page */
    bool read_only;
};
/* By linear address with the rights of the current CPL, as the access would, A and D included;
 * nothing is read or written. */
bool mem_piece_linear(struct vcpu *c, uint64_t linear, enum access access, struct mem_piece *p);
void mem_piece_physical(struct vcpu *c, uint64_t gpa, struct mem_piece *p);
/* The host wrote `length` bytes of RAM at gpa, in one page. */
void mem_piece_written(struct vcpu *c, const struct mem_piece *p, uint64_t gpa,
                       uint64_t length);

/* Instruction fetch: up to 15 bytes at linear RIP into `bytes`; *count = how many are available
 * without a fault; false only if not even the first byte is. *gpa = physical address of the
 * first byte. The limit of CS is the caller's business. */
bool mem_fetch(struct vcpu *c, uint64_t linear, uint8_t *bytes, unsigned *count, uint64_t *gpa);

/* Effective offset of the modrm memory operand, truncated to the address size. rip must already
 * point behind the instruction. */
static inline uint64_t insn_offset(const struct vcpu *c, const struct insn *i)
{
    uint64_t a = (uint64_t)(int64_t)i->disp;
    if (i->base < 16)
        a += c->gpr[i->base];
    else if (i->base == REG_RIP)
        a += c->rip;
    if (i->index != REG_NONE)
        a += c->gpr[i->index] << i->scale;
    return i->addrsize == 8 ? a : i->addrsize == 4 ? (uint32_t)a : (uint16_t)a;
}

#endif
