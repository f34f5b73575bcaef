/* SPDX-License-Identifier: MIT */
/*
 * kernels.h - the measured loops of the guest program `kernels` (main.c runs them).
 *
 * run(n) does n operations from the state that setup left and returns a checksum. It leaves that
 * state as it found it, so that equal n give equal checksums: in every repetition, on every
 * engine, in 32- and 64-bit code.
 */
#ifndef WEIR_BENCH_KERNELS_H
#define WEIR_BENCH_KERNELS_H

#include <stdint.h>
#include <stddef.h>

enum group {
    GROUP_C,      /* plain C, as a compiler makes it */
    GROUP_SIMD,   /* vector and x87 loops, block copies */
    GROUP_KERNEL, /* paths through the guest's kernel */
    GROUP_COLD,   /* code that runs once */
};

struct kernel {
    const char *name;
    enum group group;
    void (*setup)(void); /* may be NULL */
    uint64_t (*run)(uint64_t n);
    uint64_t check_n; /* run(check_n) must be `check`; 0: no check */
    uint64_t check;
    /* Nanoseconds that run spent on preparations, not to be counted; may be NULL. */
    const uint64_t *excluded_ns;
};

extern const struct kernel structure_kernels[], control_kernels[], byte_kernels[],
    math_kernels[], path_kernels[], cold_kernels[];

uint64_t clock_ns(void);

static inline uint32_t next_random(uint32_t *state)
{
    uint32_t x = *state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *state = x;
}

/* Folds one value into a checksum. */
static inline uint64_t mix(uint64_t sum, uint64_t value)
{
    return (sum ^ value) * 0x100000001b3u + (sum >> 47);
}

#define NOINLINE __attribute__((noinline))

#endif
