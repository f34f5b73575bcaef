/* SPDX-License-Identifier: MIT */
/* fs_host.c - the file services without an escape: blocks and what they point to are ours. */
#include "hostcall/fs.h"
#include "hostcall/handle.h"

#include "base/bits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static int by_number(const void *key, const void *row)
{
    return (int)*(const uint16_t *)key - (int)((const struct service *)row)->number;
}

static int add_regions(weir_call *call, const struct service *s, const uint8_t *block)
{
    uint64_t count = load_le(block + s->count_at, 4);
    for (uint64_t k = 0; k < count; k++) {
        struct weir_hc_region r;
        memcpy(&r, block + s->bytes + k * sizeof(r), sizeof(r));
        int error = memory_add_host(&call->regions, (void *)(uintptr_t)r.address, r.length);
        if (error)
            return error;
    }
    return 0;
}

static int add_text(struct text *text, const struct weir_hc_text *t, unsigned direction)
{
    text->names = t->names;
    if (direction == HC_TO_GUEST)
        return memory_add_host(&text->memory, (void *)(uintptr_t)t->address, t->length);
    if (t->length > WEIR_HC_MAX_PATH)
        return WEIR_HC_ENAMETOOLONG;
    if (t->length)
        memcpy(text->bytes, (const void *)(uintptr_t)t->address, t->length);
    text->bytes[t->length] = 0;
    text->length = t->length;
    return 0;
}

static int serve(struct host *host, void *block)
{
    struct hostcall *h = ((struct fs_host *)host)->h;
    weir_call *call = &h->call;
    const struct service *s = bsearch(&((struct weir_hc_header *)block)->service, service_table,
                                      service_count, sizeof(service_table[0]), by_number);
    int error = 0;
    if (!s || !s->fn)
        return -ENOSYS;
    call->block = block;
    call->service = s;
    call->dos = 0;
    memory_clear(&call->regions);
    if (s->direction)
        error = add_regions(call, s, block);
    for (unsigned k = 0; k < ARRAY_SIZE(s->text) && !error; k++) {
        struct weir_hc_text t;
        memory_clear(&call->text[k].memory);
        if (!s->text[k].at)
            continue;
        memcpy(&t, (uint8_t *)block + s->text[k].at, sizeof(t));
        error = add_text(&call->text[k], &t, s->text[k].direction);
    }
    return -(error ? error : (int)s->fn(call));
}

struct fs_host fs_host_of(struct hostcall *h)
{
    return (struct fs_host){.host = {.share = 0, .call = serve}, .h = h};
}

struct hostcall *fs_hostcall_make(struct weir *vm, const struct share *share)
{
    struct hostcall *h = calloc(1, sizeof(*h));
    if (!h)
        return NULL;
    h->vm = vm;
    h->call.h = h;
    h->handles = handles_make();
    h->shares = calloc(1, sizeof(*h->shares));
    if (h->handles && h->shares) {
        *h->shares = *share;
        h->shares->index = 0;
        h->shares->root = fcntl(share->root, F_DUPFD_CLOEXEC, 0);
        h->shares->path = strdup(share->path);
        h->share_count = 1;
        if (h->shares->root >= 0 && h->shares->path)
            return h;
    }
    fs_hostcall_free(h);
    return NULL;
}

void fs_hostcall_free(struct hostcall *h)
{
    if (!h)
        return;
    if (h->handles)
        handles_free(h);
    shares_free(h);
    memory_free(&h->call.regions);
    memory_free(&h->call.text[0].memory);
    memory_free(&h->call.text[1].memory);
    free(h);
}
