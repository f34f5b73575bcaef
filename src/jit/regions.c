/* SPDX-License-Identifier: MIT */
/* regions.c - see regions.h. */
#include "jit/regions.h"

#include <errno.h>

uint64_t region_reserve(size_t bytes)
{
    void *at = mmap(NULL, bytes + 2 * REGION_GUARD, PROT_NONE, REGION_FLAGS, -1, 0);
    return at == MAP_FAILED ? 0 : (uint64_t)(uintptr_t)at + REGION_GUARD;
}

static void unmap(uint64_t first, size_t bytes)
{
    munmap((void *)(uintptr_t)first, bytes);
}

void region_release(uint64_t at, size_t bytes)
{
    if (at)
        unmap(at - REGION_GUARD, bytes + 2 * REGION_GUARD);
}

/* Pages that this process may not have, none of it has. Those below LOW_FIRST that it may have are
 * taken only so that nobody else's ever are there. */
bool region_reserve_low(uint64_t *first)
{
    for (uint64_t from = 0; from <= LOW_FIRST; from = from ? 2 * from : 4096) {
        size_t bytes = LOW_BYTES + LOW_GUARD - from;
        void *at = mmap((void *)(uintptr_t)from, bytes, PROT_NONE,
                        REGION_FLAGS | MAP_FIXED_NOREPLACE, -1, 0);
        if (at == MAP_FAILED && (errno == EPERM || errno == EACCES))
            continue;
        if (at == MAP_FAILED)
            return false;
        if ((uint64_t)(uintptr_t)at != from) { /* Linux before 4.17 took it for a wish */
            munmap(at, bytes);
            return false;
        }
        *first = from;
        return true;
    }
    return false;
}

void region_release_low(uint64_t first)
{
    unmap(first, LOW_BYTES + LOW_GUARD - first);
}
