/* SPDX-License-Identifier: MIT */
/*
 * regions.h - the host's addresses that windows take: reserved at once, with nothing there, and
 * with room around them for what begins inside and does not end there.
 *
 * One region is special. The host's lowest 4 GiB are where 32-bit code has its memory when GS is 0,
 * which costs the processor a cycle less for each load than any other GS. Whoever comes first has
 * it; where the process has anything there (an executable at a fixed address, a sanitizer's shadow,
 * another VM) nobody has.
 */
#ifndef JIT_REGIONS_H
#define JIT_REGIONS_H

#include "base/bits.h"

#include <stddef.h>
#include <sys/mman.h>

#define REGION_GUARD (4ull << 30) /* on both sides, for displacements */
#define REGION_FLAGS (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE) /* of what is not there */

/* In the lowest 4 GiB nothing is mapped below this: hosts do not let programs have these pages,
 * and where they do, null pointers of this program must not lead to memory. */
#define LOW_FIRST 0x10000ull
#define LOW_BYTES (1ull << 32)
#define LOW_GUARD (1ull << 20) /* accesses only run over the end: 32-bit addresses wrap */

/* Address, or 0. */
uint64_t region_reserve(size_t bytes);
void region_release(uint64_t at, size_t bytes);

/* The lowest 4 GiB. *first: from where on they are reserved, at most LOW_FIRST. */
bool region_reserve_low(uint64_t *first);
void region_release_low(uint64_t first);

#endif
