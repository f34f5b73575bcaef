/* SPDX-License-Identifier: MIT */
/*
 * program_maker.h - a program being made, between program_make.c (blocks, branches, sequences)
 * and program_encode.c (single instructions of table rows).
 *
 * Some registers are set aside: pointers into interesting memory and a small index. No
 * instruction writes them but those that give them a new value, so the maker knows what they
 * hold, as long as the program runs straight on. Elsewhere they are pointers all the same.
 */
#ifndef TESTS_DIFF_PROGRAM_MAKER_H
#define TESTS_DIFF_PROGRAM_MAKER_H

#include "program.h"

#define MAKER_BLOCKS 64u
#define MAKER_FIXUPS 128u
#define NO_SEG       0xffu

enum fixup_kind {
    FIXUP_BRANCH,   /* relative to the end of the instruction */
    FIXUP_ADDRESS,  /* offset in CS */
    FIXUP_DATA,     /* offset in DS of a byte in code */
    FIXUP_DATA_RIP, /* the same, RIP-relative */
};

/* A field in code that is filled in when the place it names is known. */
struct fixup {
    uint8_t kind, bytes;
    uint8_t label;    /* in maker.label_at */
    uint16_t at, end; /* of the field and behind its instruction, in code */
    int16_t item;     /* that goes there; -1: none does */
    uint32_t alias;   /* where data in code is written: added to its address */
};

/* Shares of kinds of instructions, in percent. */
enum family {
    FAMILY_INT,
    FAMILY_X87,
    FAMILY_MMX,
    FAMILY_SSE,
    FAMILY_AVX,
    FAMILY_AVX512,
    FAMILY_STATE, /* FPU state as a whole, vector moves in pieces */
    FAMILY_SYS,
    FAMILIES
};

struct maker {
    struct program *p;
    uint64_t random;
    unsigned at; /* next byte in code */
    bool failed;
    bool block_pending; /* the next item starts a block */
    bool stack_fixed;   /* in a subroutine: no pushes and pops */
    uint16_t reserved;  /* registers that hold pointers, the index, the stack pointer */
    uint8_t pointers[3], pointer_count, index;
    uint64_t value[16]; /* of reserved registers */
    uint64_t alias;     /* of memory, where the pointers go */
    uint32_t undefined; /* flags now */
    const uint8_t *shares;
    unsigned only_op;                /* of the program; OP_INVALID */
    uint16_t label_at[MAKER_BLOCKS]; /* offset in code, 0 = not there yet */
    uint32_t label_undefined[MAKER_BLOCKS];
    unsigned labels;
    struct fixup fixups[MAKER_FIXUPS];
    unsigned fixup_count;
    unsigned island, island_bytes; /* data in the middle of code */
    uint8_t slots[4], slot_count;  /* labels whose addresses the island begins with */
    unsigned slots_at;             /* in code */
    bool looping;                  /* the index counts */
    unsigned loop_label, loop_end;
    bool far_subroutine;
};

/* An instruction on its way. */
struct draft {
    uint8_t bytes[INSN_MAX_BYTES + 8];
    unsigned length;
    struct insn insn;
    int rip_at; /* where the RIP-relative displacement is; -1: there is none */
    uint64_t rip_target;
};

static inline uint64_t rnd(struct maker *m)
{
    return program_random(&m->random);
}
static inline unsigned below(struct maker *m, unsigned n)
{
    return (unsigned)(rnd(m) % n);
}
static inline bool one_in(struct maker *m, unsigned n)
{
    return below(m, n) == 0;
}
static inline bool is_flat(const struct maker *m)
{
    return !m->p->mode->segmented;
}
/* Offset of a linear address in a segment, as an address register must hold it. */
uint64_t maker_offset(const struct maker *m, uint64_t linear, unsigned seg);

/* ---- program_encode.c ---- */
void encode_init(const struct vcpu *model);
/* Linear addresses for operands: most plain, some not. */
uint64_t pick_address(struct maker *m, bool writes, unsigned align);
/* The same, but within the segment where it has a limit. */
uint64_t pick_within(struct maker *m, unsigned seg, bool writes, unsigned align);
/* A random instruction of this family with its operands in place. */
bool encode_family(struct maker *m, struct draft *d, enum family family);
/* The same of an operation. */
bool encode_op(struct maker *m, struct draft *d, unsigned op);
/* Registers that the instruction writes, explicitly or not. */
uint32_t gprs_written(const struct insn *i);

/* ---- program_flow.c ---- */
/* A pointer to somewhere else. */
void flow_point(struct maker *m, unsigned k);
void flow_index(struct maker *m, unsigned value);
/* One instruction, or a few that belong together. */
void flow_item(struct maker *m);
/* What ends block `n` of `count`; blocks from `count` on are subroutines. */
void flow_end(struct maker *m, unsigned n, unsigned count, unsigned subroutines);
/* At times, to `label`, which is what comes next. */
void flow_move(struct maker *m, unsigned label);
void flow_return(struct maker *m);
void flow_stop(struct maker *m);
/* A jump over data: addresses of blocks, and room. */
void flow_island(struct maker *m, unsigned blocks);

/* ---- program_system.c ---- */
void system_item(struct maker *m);

/* ---- program_make.c ---- */
/* Makes the flags defined that are in the mask, by one more instruction if need be. */
void emit_defined(struct maker *m, uint32_t flags);
void emit_label(struct maker *m, unsigned label);
/* A branch; its last `field` bytes name the label (0: something else does). */
void emit_branch(struct maker *m, const void *bytes, unsigned length, unsigned field,
                 enum fixup_kind kind, unsigned label);
void emit_data(struct maker *m, const void *bytes, unsigned length);
void emit_fixup(struct maker *m, struct fixup f);
void emit(struct maker *m, const struct draft *d);
void emit_bytes(struct maker *m, const void *bytes, unsigned length);
/* MOV of a number; full 64 bits where need be. */
void emit_mov(struct maker *m, unsigned reg, uint64_t value);

#endif
