/* SPDX-License-Identifier: MIT */
/* rnd.h - random numbers (xorshift) of a fuzzer; it sets `seed`, not to 0. */
#ifndef TESTS_FUZZ_RND_H
#define TESTS_FUZZ_RND_H

#include <stdbool.h>
#include <stdint.h>

static uint64_t seed;

static inline uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}
static inline unsigned below(unsigned n)
{
    return (unsigned)(rnd() >> 11) % n;
}
static inline bool one_in(unsigned n)
{
    return below(n) == 0;
}

#endif
