/* SPDX-License-Identifier: MIT */
/*
 * sg.c - regions of guest memory as physical pairs, for somebody who reads and writes guest RAM
 * behind the CPU's back. RAM does not move, so pinning needs no more than remembering: when the
 * list is released, translated code in what may have been written is dropped.
 */
#include "hostcall/services.h"

#include <stdlib.h>

#define SG_MAX 64u

struct sg_list {
    uint32_t handle; /* 0 = free */
    bool writable;
    struct memory memory;
};

static struct sg_list *sg_find(struct hostcall *h, uint32_t handle)
{
    for (unsigned k = 0; h->sg && k < SG_MAX; k++)
        if (h->sg[k].handle == handle)
            return &h->sg[k];
    return NULL;
}

unsigned sg_pin(weir_call *call)
{
    struct weir_hc_sg *a = (struct weir_hc_sg *)call->block;
    struct hostcall *h = call->h;
    struct memory *m = &call->regions;
    a->handle = 0;
    a->count = m->count;
    if (!m->count)
        return WEIR_HC_EINVAL;
    if (m->count * sizeof(struct weir_hc_region) > call->text[0].memory.bytes)
        return WEIR_HC_ERANGE;
    if (!h->sg && !(h->sg = calloc(SG_MAX, sizeof(*h->sg))))
        return WEIR_HC_ENOMEM;
    struct sg_list *list = sg_find(h, 0);
    if (!list)
        return WEIR_HC_EMFILE;
    for (unsigned k = 0; k < m->count; k++)
        if (m->span[k].gpa >> 52) /* a page of a view (introspect.h), which is nowhere else */
            return WEIR_HC_EFAULT;
    for (unsigned k = 0; k < m->count; k++) {
        struct weir_hc_region r = {m->span[k].gpa, (uint32_t)m->span[k].length,
                                   WEIR_HC_PHYSICAL};
        memory_write(call->c, &call->text[0].memory, k * sizeof(r), &r, sizeof(r));
    }
    uint32_t slot = (uint32_t)(list - h->sg);
    list->handle = ++h->sg_count << 6 | slot;
    if (!list->handle)
        list->handle = ++h->sg_count << 6 | slot;
    list->writable = a->writable & 1;
    list->memory = *m;
    memset(m, 0, sizeof(*m));
    a->handle = list->handle;
    return 0;
}

static void sg_drop(struct hostcall *h, struct sg_list *list)
{
    if (list->writable)
        memory_written(&h->vm->cpu, &list->memory, list->memory.bytes);
    memory_free(&list->memory);
    list->handle = 0;
}

unsigned sg_release(weir_call *call)
{
    struct weir_hc_sg_release *a = (struct weir_hc_sg_release *)call->block;
    struct sg_list *list = a->handle ? sg_find(call->h, a->handle) : NULL;
    if (!list)
        return WEIR_HC_EBADF;
    sg_drop(call->h, list);
    return 0;
}

void sg_reset(struct hostcall *h)
{
    for (unsigned k = 0; h->sg && k < SG_MAX; k++)
        if (h->sg[k].handle)
            sg_drop(h, &h->sg[k]);
}
