/* SPDX-License-Identifier: MIT */
/*
 * tlb.h - the inside of translation: tables, physical pages, the walk. For tlb.c, paging.c,
 * access.c and the dumps only; everybody else uses access.h and cpu.h.
 *
 * There is one table per address space (PCID) and kind of access, so that neither a switch between
 * user and kernel nor one between address spaces with PCIDs empties anything.
 */
#ifndef CPU_TLB_H
#define CPU_TLB_H

#include "cpu/cpu.h"

/* Who accesses. SUPER obeys SMAP always (implicit accesses, AC = 0), SUPER_AC has AC set.
 * USER_ALIGNED: alignment checks are on, so every data access takes the slow path. */
enum tlb_kind { TLB_USER, TLB_SUPER, TLB_SUPER_AC, TLB_USER_ALIGNED, TLB_KINDS };

#define TLB_WORDS (TLB_ENTRIES / 64)

/* What is known of an entry, whether or not it has the tags for it. */
#define TLB_WATCHED_SHIFT 3
struct tlb_info {
    /* Linear | ACCESS_* that are permitted | those that somebody wants to know of (events.h) <<
     * TLB_WATCHED_SHIFT; 0: nothing */
    uint64_t page;
    uint64_t gpa; /* physical page | log2 of the size of the guest's page */
};

struct tlb_table {
    struct tlb_entry entry[TLB_ENTRIES];
    struct tlb_info info[TLB_ENTRIES];
    uint64_t used[TLB_WORDS], global[TLB_WORDS], large[TLB_WORDS]; /* bit maps of entries */
    uint64_t used_words[TLB_WORDS / 64]; /* of words of `used`: the others are 0 */
    bool ready;
};

/* A page of guest-physical address space. host is NULL where accesses go by the bus. */
struct phys_page {
    uint64_t page; /* ~0 = empty */
    uint8_t *host;
    uint8_t *tag; /* RAM_CODE lives there; NULL = not tracked */
    bool read_only;
    uint8_t watch; /* ACCESS_* somebody wants to know of, WATCH_WALKS */
};
#define WATCH_WALKS 0x10u
/* ACCESS_* << this: for accesses with user privilege only. */
#define WATCH_USER_SHIFT 5

struct translation {
    uint64_t gpa;
    uint8_t access; /* ACCESS_* that need no further walk */
    bool global;
    uint8_t page_log2;
};

/* ---- tlb.c ---- */
struct tlb_table *tlb_table(struct vcpu *c, enum tlb_kind kind);
enum tlb_kind tlb_kind_current(const struct vcpu *c);
/* The page around gpa (A20 applied). Valid until the next call; takes the device lock. */
const struct phys_page *phys_lookup(struct vcpu *c, uint64_t gpa);
/* Linear page to physical with all checks; fills the table. false = c->fault. */
bool tlb_translate(struct vcpu *c, uint64_t linear, enum access access, enum tlb_kind kind,
                   uint64_t *gpa);
/* The size of the guest's page around `linear`, which has an entry, and where that byte is. */
uint64_t tlb_page_bytes(const struct vcpu *c, uint64_t linear, uint64_t *gpa);
/* As bus_read and bus_write, without the lock where it is RAM; one page, 1, 2, 4 or 8 bytes. */
uint64_t phys_read(struct vcpu *c, uint64_t gpa, unsigned size);
void phys_write(struct vcpu *c, uint64_t gpa, uint64_t value, unsigned size);

/* Whether the page of `linear`, just translated, is watched for this kind of access. */
bool tlb_watched(struct vcpu *c, uint64_t linear, enum access access, enum tlb_kind kind);

/* ---- paging.c ---- */
bool paging_resolve(struct vcpu *c, uint64_t linear, enum access access, enum tlb_kind kind,
                    struct translation *t);
/* The same for a program, without changing anything; false if it would fault, or set A. */
bool paging_peek(struct vcpu *c, uint64_t linear, struct translation *t);
/* Loads the four PDPTEs of PAE paging from cr3; false if a reserved bit is set (nothing loaded). */
bool paging_load_pdptes(struct vcpu *c, uint64_t cr3);

/* ---- debug.c ---- */
/* Whether a data breakpoint watches some byte of the linear page. */
bool debug_watches_page(const struct vcpu *c, uint64_t linear);
/* Records a hit of data breakpoints in pending_dr6. */
void debug_data_access(struct vcpu *c, uint64_t linear, unsigned size, bool write);
void debug_io_access(struct vcpu *c, unsigned port, unsigned size);

#endif
