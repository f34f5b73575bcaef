/* SPDX-License-Identifier: MIT */
/*
 * ranges.c - many ranges of addresses with masks, as a sorted array of disjoint ones: thousands of
 * watches cost a binary search where a page is looked up, and nothing elsewhere.
 */
#include "introspect/introspect.h"

#include <stdlib.h>

void ranges_add(struct range_builder *b, uint64_t first, uint64_t last, unsigned mask)
{
    if (b->count + 2 > b->size) {
        unsigned size = b->size ? b->size * 2 : 32;
        void *bigger = realloc(b->edge, size * sizeof(*b->edge));
        if (!bigger) {
            b->failed = true;
            return;
        }
        b->edge = bigger;
        b->size = size;
    }
    b->edge[b->count++] = (struct range_edge){first, (int)mask};
    if (last != UINT64_MAX)
        b->edge[b->count++] = (struct range_edge){last + 1, -(int)mask};
}

static int compare(const void *a, const void *b)
{
    const struct range_edge *x = a, *y = b;
    return x->at < y->at ? -1 : x->at > y->at;
}

#define MASK_BITS 8

static unsigned mask_now(const unsigned depth[MASK_BITS])
{
    unsigned mask = 0;
    for (unsigned bit = 0; bit < MASK_BITS; bit++)
        if (depth[bit])
            mask |= 1u << bit;
    return mask;
}

void ranges_build(struct range_builder *b, struct range_set *set)
{
    unsigned depth[MASK_BITS] = {0};
    ranges_free(set);
    set->range = calloc(b->count + 1, sizeof(*set->range));
    if (set->range && b->count) {
        qsort(b->edge, b->count, sizeof(*b->edge), compare);
        for (unsigned n = 0; n < b->count; n++) {
            int mask = b->edge[n].mask;
            unsigned bits = (unsigned)(mask < 0 ? -mask : mask);
            for (unsigned bit = 0; bit < MASK_BITS; bit++)
                if (bits >> bit & 1)
                    depth[bit] += mask < 0 ? -1u : 1u;
            bool more = n + 1 < b->count;
            if (!mask_now(depth) || (more && b->edge[n + 1].at == b->edge[n].at))
                continue;
            set->range[set->count++] =
                (struct watched_range){.first = b->edge[n].at,
                                       .last = more ? b->edge[n + 1].at - 1 : UINT64_MAX,
                                       .mask = mask_now(depth)};
        }
    }
    free(b->edge);
    *b = (struct range_builder){0};
}

void ranges_free(struct range_set *set)
{
    free(set->range);
    *set = (struct range_set){0};
}

unsigned ranges_find(const struct range_set *set, uint64_t first, uint64_t last)
{
    unsigned low = 0, high = set->count, mask = 0;
    while (low < high) { /* the first range that does not end before `first` */
        unsigned middle = low + (high - low) / 2;
        if (set->range[middle].last < first)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < set->count && set->range[low].first <= last; low++)
        mask |= set->range[low].mask;
    return mask;
}
