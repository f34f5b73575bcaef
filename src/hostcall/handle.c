/* SPDX-License-Identifier: MIT */
/* handle.c - see handle.h. */
#include "hostcall/handle.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

struct handles {
    uint32_t generation;
    unsigned next, limit; /* slots below `limit` are used */
    struct handle slot[WEIR_HC_MAX_HANDLES];
};
_Static_assert((WEIR_HC_MAX_HANDLES & (WEIR_HC_MAX_HANDLES - 1)) == 0, "slot numbers wrap");

struct handles *handles_make(void)
{
    struct handles *all = calloc(1, sizeof(*all));
    struct rlimit files;
    for (unsigned k = 0; all && k < WEIR_HC_MAX_HANDLES; k++)
        all->slot[k].fd = -1;
    if (!all)
        return NULL;
    all->limit = WEIR_HC_MAX_HANDLES;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur / 2 < all->limit)
        all->limit = (unsigned)(files.rlim_cur / 2); /* the process needs descriptors, too */
    return all;
}

unsigned handles_limit(const struct hostcall *h)
{
    return h->handles->limit;
}

struct handle *handle_new(struct hostcall *h)
{
    struct handles *all = h->handles;
    for (unsigned k = 0; k < all->limit; k++) {
        unsigned n = (all->next + k) % all->limit;
        struct handle *f = &all->slot[n];
        if (f->kind != HANDLE_FREE)
            continue;
        all->next = n + 1;
        if (++all->generation >= 1u << 22)
            all->generation = 1;
        *f = (struct handle){.number = all->generation * WEIR_HC_MAX_HANDLES + n, .fd = -1};
        return f;
    }
    return NULL;
}

struct handle *handle_get(weir_call *call, uint32_t number)
{
    struct handle *f = &call->h->handles->slot[number % WEIR_HC_MAX_HANDLES];
    return number && f->kind != HANDLE_FREE && f->number == number ? f : NULL;
}

void handle_close(struct handle *f)
{
    if (f->fd >= 0)
        close(f->fd);
    free(f->path);
    *f = (struct handle){.fd = -1};
}

unsigned handles_close_owner(struct hostcall *h, uint32_t owner)
{
    unsigned closed = 0;
    for (unsigned k = 0; k < WEIR_HC_MAX_HANDLES; k++) {
        struct handle *f = &h->handles->slot[k];
        if (f->kind != HANDLE_FREE && f->owner == owner) {
            handle_close(f);
            closed++;
        }
    }
    return closed;
}

void handles_close_all(struct hostcall *h)
{
    for (unsigned k = 0; h->handles && k < WEIR_HC_MAX_HANDLES; k++)
        if (h->handles->slot[k].kind != HANDLE_FREE)
            handle_close(&h->handles->slot[k]);
}

struct handle *handle_slot(const struct hostcall *h, unsigned i)
{
    return i < WEIR_HC_MAX_HANDLES ? &h->handles->slot[i] : NULL;
}

unsigned handles_open(const struct hostcall *h)
{
    unsigned n = 0;
    for (unsigned k = 0; k < WEIR_HC_MAX_HANDLES; k++)
        n += h->handles->slot[k].kind != HANDLE_FREE;
    return n;
}

void handles_free(struct hostcall *h)
{
    handles_close_all(h);
    free(h->handles);
    h->handles = NULL;
}

static bool denies(uint16_t deny, bool reads, bool writes)
{
    switch (deny & 0x70) {
    case 0x10:
        return reads || writes;
    case 0x20:
        return writes;
    case 0x30:
        return reads;
    default:
        return false;
    }
}

bool handles_allow(const struct hostcall *h, uint64_t dev, uint64_t ino, bool reads,
                   bool writes, uint16_t deny)
{
    for (unsigned k = 0; k < WEIR_HC_MAX_HANDLES; k++) {
        const struct handle *f = &h->handles->slot[k];
        if (f->kind != HANDLE_FILE || f->dev != dev || f->ino != ino)
            continue;
        if (denies(f->deny, reads, writes) || denies(deny, f->readable, f->writable))
            return false;
    }
    return true;
}
