/* SPDX-License-Identifier: MIT */
/*
 * ids.h - numbers that stand for pointers where the other side is not trusted: slot and generation,
 * so a number that was given up is not taken for its successor.
 */
#ifndef FUSE_IDS_H
#define FUSE_IDS_H

#include <stdbool.h>
#include <stdint.h>

struct id_slot {
    void *what; /* NULL: free */
    uint32_t generation, next_free;
};
struct ids {
    struct id_slot *slot;
    uint32_t count, room, first_free; /* free slots are chained by slot number + 1; 0 ends */
};

/* At least 2^32, so 0 and 1 mean something else; 0: no memory. */
uint64_t ids_add(struct ids *ids, void *what);
void *ids_find(const struct ids *ids, uint64_t id); /* NULL: none */
void ids_remove(struct ids *ids, uint64_t id);
/* What is in slot k < count, or NULL. */
static inline void *ids_at(const struct ids *ids, uint32_t k)
{
    return ids->slot[k].what;
}
void ids_fini(struct ids *ids);

#endif
