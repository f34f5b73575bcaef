/* SPDX-License-Identifier: MIT */
/*
 * stats.h - what `info jit` counts. Everything is counted in C, nothing in translated code; time
 * is measured for one of 64 entries and calls.
 */
#ifndef JIT_STATS_H
#define JIT_STATS_H

#include "cpu/decode/optab.h"

/* Why translated code came back between blocks. */
enum jit_exit {
    EXIT_LINK, /* to a place that was not linked */
    EXIT_INDIRECT,
    EXIT_POLL,  /* somebody wanted the vCPU */
    EXIT_START, /* a block refused: vector registers, or the instruction limit */
    EXIT_CALL,  /* an instruction done in C ended the run */
    EXIT_COUNT
};

struct jit_stats {
    uint64_t blocks, insns, flushes, entries, interpreted, links, unlinked, indirect_misses;
    uint64_t exits[EXIT_COUNT];
    uint64_t went_on; /* from C to another block without leaving */
    /* Instructions done in C: their memory was not to be had, a condition held, no fast form. */
    uint64_t fills, calls_memory, calls_condition, calls_operation;
    uint64_t operations[OP_COUNT]; /* calls_operation, each */
    uint64_t windows_opened, windows_closed, window_faults, window_fills;
    uint64_t calls;
    /* TSC ticks. */
    uint64_t run_ticks, entry_ticks, entries_timed, call_ticks, calls_timed;
};

static inline uint64_t stats_ticks(void)
{
    return __builtin_ia32_rdtsc();
}
/* 0: not this time. */
static inline uint64_t stats_begin(uint64_t count)
{
    return count & 63 ? 0 : stats_ticks();
}
static inline void stats_end(uint64_t began, uint64_t *ticks, uint64_t *timed)
{
    if (began) {
        *ticks += stats_ticks() - began;
        ++*timed;
    }
}

#endif
