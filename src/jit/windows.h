/* SPDX-License-Identifier: MIT */
/*
 * windows.h - address spaces of programs, mapped by the host: where a program runs for long,
 * its pages are mapped at a fixed distance from where they are in the guest, in pieces of 512 GiB
 * (or, for 32-bit code, all 4 GiB at once), and its memory operands need no look into a TLB
 * (x64/mem.c). A window is to the vCPU what a TLB is: it holds translations that the page tables
 * permit and mark as accessed (and dirty, where they may be written), until they are flushed.
 *
 *   open      the samples of the I/O thread found the program running often enough
 *   fill      an access met nothing: SIGSEGV, C finds the page, maps it, the access is made again
 *   sync      after a flush: pages that the page tables say something else of are unmapped
 *   close     the address space is gone, or windows cost more than they gain there
 *
 * Code that uses windows is of its own (jit_block.windowed), found in an address space that has
 * one and nowhere else.
 *
 * What keeps the guest inside: an address is added to a distance that depends on its bits 39 to
 * 46 alone, so that what is canonical and of the lower half lands in the piece for those bits or,
 * by a displacement of less than 2 GiB, beside it, where nothing is mapped. Everything else is
 * not canonical after the addition either, or in the host kernel's half. Pieces that are not
 * there lead to a hole as large as one. 32-bit code makes addresses of 32 bits, to which GS is
 * added: 4 GiB from GS on are the window's own, or the hole.
 *
 * A 32-bit window may be at the host's lowest 4 GiB (regions.h), where GS is 0, as only put_in_use
 * makes it. The code is the same as for any other, so what keeps it from running for another
 * address space is the same: GS is the hole's or another window's then. Code of the other kind,
 * should it ever see a GS of 0, finds nothing where its table would be: that is below LOW_FIRST.
 */
#ifndef JIT_WINDOWS_H
#define JIT_WINDOWS_H

#include "jit/internal.h"
#include "jit/regions.h"
#include "mem/ram.h"

#define PIECE_LOG2    39u
#define PIECES        256u /* of the lower half */
#define WINDOWS_MAX   4u
#define WINDOW_PIECES 12u
#define WINDOW_PAGES                                                                           \
    12288u /* each takes up to two of the host's 65,530 mappings: of all windows */
#define WINDOW_HASH 16384u
#define SLICE_HASH  1024u
#define NO_ENTRY    0xffffffffu

struct window_page {
    uint64_t linear, offset; /* of the page; of its memory in guest RAM */
    uint32_t next;           /* of the same hash */
    uint8_t log2;            /* of its size */
    uint8_t of_log2;         /* that of the guest's page: if larger, this is a slice of it */
    bool writable;
};

struct window {
    bool open, wide; /* wide: in pieces; otherwise it has one, of 4 GiB */
    bool low;        /* and that is the host's lowest 4 GiB, GS is 0 */
    uint64_t low_start;
    bool stale; /* flushed since it was last looked through */
    bool stuck; /* something is mapped that should not be */
    unsigned space;
    uint64_t cr3, used_at;
    int64_t balance_ns; /* what it has gained by a guess, less what it has cost */
    unsigned piece_count;
    struct {
        uint8_t number;
        uint64_t at; /* on the host */
    } pieces[WINDOW_PIECES];
    unsigned page_count, large_count;
    unsigned huge_slices;        /* of pages of more than 2 MiB */
    uint16_t slices[SLICE_HASH]; /* of pages of 2 MiB, by number */
    struct window_page *pages;   /* WINDOW_PAGES, of which page_count are in use */
    uint32_t *hash;
    _Alignas(64) uint64_t distance[PIECES];
};

/* Whether an address space deserves one. */
struct window_candidate {
    uint64_t cr3;
    unsigned samples, needed;
};

struct windows {
    const struct ram *ram;
    struct window list[WINDOWS_MAX];
    struct window *current;      /* that of the current address space, or NULL */
    struct window *in_use;       /* what GS stands for; NULL: the hole */
    struct window *used[SPACES]; /* what the code in an address space's jump slots is for */
    uint64_t uses;
    unsigned page_count; /* of all */
    bool always;         /* every program is to have one, whatever it costs */
    unsigned low_count;  /* how often one was at the host's lowest addresses */
    uint64_t hole;
    uint8_t *written; /* by page of RAM: some window lets it be written */
    struct fault_map faults;
    bool running; /* on this thread, which has it in GS */
    struct window_candidate candidates[SPACES];
};

void windows_fini(struct jit *jit);
/* Whether code that uses windows is what the vCPU runs now. Brings the window up to date. */
bool windows_wanted(struct jit *jit);
/* The vCPU was found running. */
void windows_sample(struct jit *jit);
/* The access of the site did not succeed. True: it will now. *faults: the guest's page tables do
 * not permit it, c->fault says so. */
bool window_fill(struct jit *jit, struct jit_site *site, uint64_t linear, bool *faults);
/* Where that is; registers are in struct vcpu. */
uint64_t window_linear(const struct jit *jit, const struct jit_site *site);

/* The TLB's news, as struct engine_hooks. */
void windows_space_flushed(struct jit *jit, unsigned space);
void windows_space_selected(struct jit *jit);
void windows_page_dropped(struct jit *jit, uint64_t linear, unsigned log2);
void windows_page_protected(struct jit *jit, const uint8_t *host);
/* All code is gone. */
void windows_code_flushed(struct jit *jit);

/* Around the run of the vCPU on this thread. */
void windows_enter(struct jit *jit, struct faults_scope *scope);
void windows_leave(struct jit *jit, const struct faults_scope *scope);

#endif
