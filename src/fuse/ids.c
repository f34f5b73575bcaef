/* SPDX-License-Identifier: MIT */
/* ids.c - see ids.h. */
#include "fuse/ids.h"

#include <stddef.h>
#include <stdlib.h>

static struct id_slot *free_slot(struct ids *ids)
{
    if (ids->first_free) {
        struct id_slot *s = &ids->slot[ids->first_free - 1];
        ids->first_free = s->next_free;
        return s;
    }
    if (ids->count == ids->room) {
        uint32_t room = ids->room ? 2 * ids->room : 64;
        struct id_slot *more = realloc(ids->slot, room * sizeof(*more));
        if (!more)
            return NULL;
        ids->slot = more;
        ids->room = room;
    }
    ids->slot[ids->count] = (struct id_slot){0};
    return &ids->slot[ids->count++];
}

uint64_t ids_add(struct ids *ids, void *what)
{
    struct id_slot *s = free_slot(ids);
    if (!s)
        return 0;
    s->what = what;
    if (++s->generation == 0)
        s->generation = 1;
    return (uint64_t)s->generation << 32 | (uint32_t)(s - ids->slot);
}

static struct id_slot *slot_of(const struct ids *ids, uint64_t id)
{
    uint32_t k = (uint32_t)id;
    if (k >= ids->count || !ids->slot[k].what || ids->slot[k].generation != id >> 32)
        return NULL;
    return &ids->slot[k];
}

void *ids_find(const struct ids *ids, uint64_t id)
{
    struct id_slot *s = slot_of(ids, id);
    return s ? s->what : NULL;
}

void ids_remove(struct ids *ids, uint64_t id)
{
    struct id_slot *s = slot_of(ids, id);
    if (!s)
        return;
    s->what = NULL;
    s->next_free = ids->first_free;
    ids->first_free = (uint32_t)(s - ids->slot) + 1;
}

void ids_fini(struct ids *ids)
{
    free(ids->slot);
    *ids = (struct ids){0};
}
