/* SPDX-License-Identifier: MIT */
/*
 * program.h - random programs: what program_make.c builds, program_world.c runs and
 * random_program.c compares.
 *
 * Every mode has the same map of memory, below, at the same linear addresses; without paging the
 * pages that paging would make special are plain RAM or nothing at all.
 */
#ifndef TESTS_DIFF_PROGRAM_H
#define TESTS_DIFF_PROGRAM_H

#include "base/bits.h"
#include "cpu/decode/optab.h"
#include "cpu/state.h"

/* ---- memory ---- */

enum {
    PAGE_TABLES = 0x01000, /* 7 pages */
    PAGE_SYSTEM = 0x09000, /* GDT, TSS, IDT */
    PAGE_HANDLERS = 0x0a000,
    PAGE_TABLES_TOO = 0x0b000, /* 5 pages: of the other address space */
    PAGE_CODE = 0x10000,       /* two pages: the program */
    PAGE_READ_ONLY = 0x12000,
    PAGE_ROM = 0x13000, /* writes are dropped */
    PAGE_RAM = 0x14000, /* three pages */
    PAGE_ABSENT = 0x17000,
    PAGE_MMIO = 0x18000,
    PAGE_RAM_TOO = 0x19000,
    PAGE_SUPERVISOR = 0x1a000,
    PAGE_NO_EXECUTE = 0x1b000,
    PAGE_CODE_ALIAS = 0x1c000, /* the first page of the program again */
    PAGE_RAM_ALIAS = 0x1d000,  /* the first page of RAM again */
    PAGE_GUARD = 0x1e000,      /* absent */
    PAGE_STACK = 0x1f000,      /* two pages */
    PAGE_END = 0x21000,        /* absent */
    PAGE_STACK0 = 0x22000,     /* of handlers: behind privilege changes */
    MEMORY_BYTES = 0x23000,
};
#define MEMORY_PAGES (MEMORY_BYTES / 4096u)
#define CODE_BYTES   8192u

#define GDT_BYTES        0xb0u
#define TSS_AT           (PAGE_SYSTEM + 0x200u)
#define IDT_AT           (PAGE_SYSTEM + 0x800u)
#define IDT_VECTORS      0x40u
#define HANDLER_BYTES    32u /* vectors below RETURNING_FIRST halt, but for #BP and #OF */
#define SYSCALL_AT       (PAGE_HANDLERS + 0x800u)
#define SYSENTER_AT      (PAGE_HANDLERS + 0x840u)
#define FLUSH_VECTOR     0x3du /* MOV to CR3 */
#define SWITCH_VECTOR    0x3eu /* to the other address space */
#define FLUSH_ALL_VECTOR 0x3fu /* CR4.PGE off and on */
#define END_VECTOR       0x21u
#define RETURNING_FIRST  0x28u
#define LARGE_ALIAS_32   0x400000u /* all memory once more, by a large page */
#define LARGE_ALIAS      0x200000u
#define HIGH_ALIAS       0xffff800000000000ull
#define FAR_ALIAS        0x8000000000ull /* 512 GiB away */

enum {
    SEL_CODE64 = 0x08,
    SEL_DATA = 0x10,
    SEL_CODE32 = 0x18,
    SEL_USER_CODE32 = 0x23,
    SEL_USER_DATA = 0x2b,
    SEL_USER_CODE64 = 0x33,
    SEL_TSS = 0x38,
    SEL_SYSENTER = 0x48, /* and five more, as SYSENTER and SYSEXIT take them */
    SEL_OWN = 0x80,      /* + 8 * segment: what a segmented program runs with */
};

/* ---- modes ---- */

enum paging { PAGING_NONE, PAGING_32, PAGING_PAE, PAGING_LONG };

struct program_mode {
    const char *name;
    uint8_t bits, cpl;
    uint8_t paging; /* enum paging */
    bool segmented; /* bases and limits that matter */
    bool real, v86;
};
extern const struct program_mode program_modes[];
extern const unsigned program_mode_count;

/* ---- programs ---- */

#define PROGRAM_ITEMS 400u

/* An instruction, or data between instructions. */
struct program_item {
    uint16_t at; /* in program.code */
    uint8_t length;
    bool is_data;
    bool starts_block;
    bool no_next;    /* never runs on into the next item */
    bool is_patched; /* the program writes to it as intended */
    bool may_skip;   /* perhaps leaves the flags as they are: shifts by CL, REP CMPS */
    int16_t target;  /* item it may branch to, -1: none */
    uint32_t flags_read, flags_written, flags_undefined;
    uint32_t undefined_before; /* by program_flags */
};

struct program {
    const struct program_mode *mode;
    uint64_t seed;
    uint64_t code_linear; /* of code[0]: PAGE_CODE or an alias of it */
    unsigned start;       /* of the first instruction, in code */
    unsigned end;         /* behind the last */
    struct program_item items[PROGRAM_ITEMS];
    unsigned item_count, block_count;
    uint64_t gpr[16];
    uint16_t free_gprs; /* any value will do */
    struct segment seg[6];
    uint32_t rflags_rest;
    uint32_t cr0_set, cr4_clear; /* what is unusual */
    uint64_t watch;              /* data breakpoint, 0 = none */
    bool pcid, has_smap;
    uint8_t code[CODE_BYTES];
};

/* splitmix64 */
static inline uint64_t program_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15ull);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

/* ---- program_make.c ---- */
/* Looks once which rows `model` (a vCPU) can run. */
void program_make_init(const struct vcpu *model);
/* False: this seed leads to none. `op`: every block has this operation; OP_INVALID: any. */
bool program_make(struct program *p, const struct program_mode *mode, uint64_t seed,
                  unsigned op);
/* Which flags are undefined before each item; false if one of those is read. */
bool program_flags(struct program *p);
/* The item at this linear address, or -1. */
int program_item_at(const struct program *p, uint64_t linear);

#endif
