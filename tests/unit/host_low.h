/* SPDX-License-Identifier: MIT */
/* host_low.h - the host's lowest 4 GiB, which a 32-bit window takes if nothing is there. */
#ifndef TESTS_HOST_LOW_H
#define TESTS_HOST_LOW_H

#include "jit/regions.h"

#define HOST_LOW_PAGE ((void *)0x20000)

/* Whether a window could have them now. */
static inline bool host_low_free(void)
{
    uint64_t first;
    bool can = region_reserve_low(&first);
    if (can)
        region_release_low(first);
    return can;
}

/* Something is there, if there was not: no window can. */
static inline void *host_low_occupy(void)
{
    void *at = mmap(HOST_LOW_PAGE, 4096, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

static inline void host_low_leave(void *page)
{
    if (page)
        munmap(page, 4096);
}

#endif
