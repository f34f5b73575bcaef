/* SPDX-License-Identifier: MIT */
/* bits.h - bit fields, sign extension, unaligned little-endian loads and stores. */
#ifndef BASE_BITS_H
#define BASE_BITS_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <string.h>

#define ARRAY_SIZE(a)                   (sizeof(a) / sizeof((a)[0]))
#define BIT(n)                          (1u << (n))
#define BIT64(n)                        (1ull << (n))
#define LIKELY(x)                       __builtin_expect(!!(x), 1)
#define UNLIKELY(x)                     __builtin_expect(!!(x), 0)
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

static inline uint64_t bits_get(uint64_t v, unsigned low, unsigned count)
{
    return (v >> low) & (count >= 64 ? ~0ull : BIT64(count) - 1);
}
static inline int64_t sign_extend(uint64_t v, unsigned bits)
{
    return (int64_t)(v << (64 - bits)) >> (64 - bits);
}
/* All ones in the low `bytes` bytes; bytes 1..8. */
static inline uint64_t mask_bytes(unsigned bytes)
{
    return ~0ull >> (64 - 8 * bytes);
}
static inline bool is_power_of_2(uint64_t v)
{
    return v && !(v & (v - 1));
}

static inline uint64_t load_le(const void *p, unsigned bytes)
{
    uint64_t v = 0;
    memcpy(&v, p, bytes);
    return v;
}
static inline void store_le(void *p, uint64_t v, unsigned bytes)
{
    memcpy(p, &v, bytes);
}

#endif
