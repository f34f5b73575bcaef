/* SPDX-License-Identifier: MIT */
/* code.h - what is known of translated code: blocks, ways between them, places that call C. */
#ifndef JIT_CODE_H
#define JIT_CODE_H

#include "cpu/interp/blocks.h"
#include "jit/faults.h"
#include "jit/tables.h"

/* A place in translated code from where C may be called for one instruction. */
struct jit_site {
    struct fault_site fault; /* if it goes by a window: begins where `back` is */
    struct page_slot *slot;  /* of its own */
    bool paged;              /* it goes by the TLB; neither: always C */
    uint64_t back;           /* where the fast path goes on with T1 = host address */
    uint64_t resume;         /* behind the instruction */
    struct jit_block *block;
    struct {
        uint8_t base, index, scale, seg, addrsize; /* as in struct insn */
        int32_t disp;
    } operand;
    uint16_t index;    /* of the instruction in the block */
    uint16_t next;     /* offset in the page of the one behind it */
    uint8_t last_byte; /* of the access: size - 1 */
    bool write;
    bool range;      /* of a REP string instruction: the size is that of one element */
    bool alone;      /* the instructions behind it are done with it: C leaves when it is */
    bool window;     /* it goes by a window */
    bool follows;    /* and takes over what an earlier one found */
    bool leads;      /* of a group; C leaves, too */
    bool only_reads; /* a leader of some that write */
    uint8_t failures;
    bool whole;        /* there is no fast path */
    uint64_t since;    /* time stamp counter when `patience` was last full */
    uint16_t patience; /* misses of what it remembers before it goes by the TLB, or the table */
    struct insn *insn; /* bound, and an end; NULL until C is called */
};

/* A way out of a block to a fixed place. */
struct jit_link {
    struct jit_block *from, *to; /* to: NULL if not linked */
    struct jit_link *next;       /* of those that lead to `to` */
    struct jit_link *sibling;    /* of those that lead out of `from` */
    bool flags_dead;             /* `from` relies on `to` not to need the flags */
    int64_t offset;              /* target - code_base */
    uint8_t *patch;              /* rel32 */
    uint64_t cold;               /* where it leads if not linked */
    uint64_t back;               /* of a check at a block's start: where it goes on */
    uint8_t *entry, *page; /* to another page: disp32 of its TLB entry, imm32 of its number */
    uint32_t patience;     /* how often it may lead astray before C links it again */
    bool saved;            /* flags are in flags_ax there */
    bool shadow;           /* interrupts are held off for the instruction there */
    bool returns;          /* it leads behind a CALL, when that has come back */
};

/*
 * A block of 16-bit code or non-flat segments is pinned: translated for one value of code_base
 * and of the limit of CS, so that IP is known; `other` are the translations for other values. Of a
 * block that is not, `other` is that for address spaces with a window, or that for those without.
 */
struct jit_block {
    struct jit *jit;
    struct block *block;
    uint64_t entry_live;  /* flags in EFLAGS */
    uint64_t entry_saved; /* flags in flags_ax */
    uint64_t listed_at;
    struct jit_link *incoming, *outgoing;
    struct jit_block *other; /* of the same block */
    uint32_t mode;
    uint32_t code_base, cs_limit; /* pinned */
    uint16_t count;
    uint8_t level; /* enum fpu_level */
    bool x87;
    uint64_t made_at;  /* time stamp counter */
    bool needs_flags;  /* at its start */
    bool windowed;     /* its operands go by windows */
    bool hoped;        /* that what it leads to needs no flags, but that was not known */
    bool listed;       /* in jump slots, for RIP `listed_at` */
    bool listed_often; /* for others, too */
    bool dead;
};

/* The translation of a block that is not pinned, for address spaces with a window or without. */
static inline struct jit_block *block_code(const struct block *b, bool windowed)
{
    struct jit_block *jb = b->native;
    while (jb && jb->windowed != windowed)
        jb = jb->other;
    return jb;
}

#endif
