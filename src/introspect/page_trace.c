/* SPDX-License-Identifier: MIT */
/*
 * page_trace.c - weir_trace_page: watch a page, let the first access through, report the
 * instructions behind it, arm again. Made of a memory watch, an execute watch and one step after
 * another, which share a handle (watch.group) and this record.
 */
#include "introspect/introspect.h"

#include <stdlib.h>

struct page_trace {
    struct weir *vm;
    struct weir_page_trace what;
    weir_page_trace_fn *fn;
    void *ctx;
    uint64_t group, rounds;
    unsigned users; /* watches that refer to it; under introspect.lock, or before it is known */
    bool stepping;
};

static void release(void *ctx)
{
    struct page_trace *t = ctx;
    if (--t->users == 0)
        free(t);
}

static void round_ends(struct page_trace *t)
{
    t->stepping = false;
    if (t->what.rounds && ++t->rounds >= t->what.rounds)
        introspect_kill_group(t->vm->introspect, t->group);
}

static unsigned stepped(void *ctx, weir_vcpu *cpu, struct weir_step_event *e)
{
    struct page_trace *t = ctx;
    unsigned response = t->fn(t->ctx, cpu, NULL, NULL, e);
    if (e->last)
        round_ends(t);
    if (response & WEIR_REMOVE)
        introspect_kill_group(t->vm->introspect, t->group);
    return response;
}

static unsigned hit(struct page_trace *t, weir_vcpu *cpu, const struct weir_memory_event *m,
                    const struct weir_execute_event *x)
{
    if (t->stepping)
        return WEIR_CONTINUE;
    unsigned response = t->fn(t->ctx, cpu, m, x, NULL);
    struct watch w = {.kind = WEIR_EV_STEP, .ctx = t, .release = release, .group = t->group};
    w.fn.step = stepped;
    w.step = (struct step_state){
        .limited = true,
        .how = {.flags = t->what.step_flags | (t->what.count ? 0 : WEIR_STEP_RETURN),
                .count = t->what.count}};
    if (response & WEIR_REMOVE) {
        introspect_kill_group(t->vm->introspect, t->group);
        return response;
    }
    t->users++;
    if (introspect_add(t->vm, &w, NULL) == 0)
        t->stepping = true;
    else
        t->users--;
    return response | WEIR_EMULATE;
}

static unsigned accessed(void *ctx, weir_vcpu *cpu, struct weir_memory_event *e)
{
    return hit(ctx, cpu, e, NULL);
}
static unsigned executed(void *ctx, weir_vcpu *cpu, struct weir_execute_event *e)
{
    return hit(ctx, cpu, NULL, e);
}

static int add(struct page_trace *t, struct watch *w, unsigned access, uint64_t *handle)
{
    uint64_t page = t->what.address & ~0xfffull;
    w->ctx = t;
    w->release = release;
    w->group = t->group;
    w->filter = (struct weir_filter){.by = t->what.by,
                                     .cr3 = t->what.cr3,
                                     .cpls = t->what.cpls,
                                     .access = (uint8_t)access,
                                     .first = page,
                                     .last = page | 0xfff,
                                     .physical = t->what.physical};
    return introspect_add(t->vm, w, handle);
}

int weir_trace_page(weir *vm, const struct weir_page_trace *what, weir_page_trace_fn *fn,
                    void *ctx, uint64_t *handle)
{
    unsigned access = what->access ? what->access : WEIR_RWX;
    unsigned data = access & (WEIR_READ | WEIR_WRITE);
    struct page_trace *t = fn ? calloc(1, sizeof(*t)) : NULL;
    if (!t)
        return err_set(&vm->err, fn ? WEIR_ENOMEM : WEIR_EINVAL, "weir_trace_page: no %s",
                       fn ? "memory" : "handler");
    struct watch memory = {.kind = WEIR_EV_MEMORY}, execute = {.kind = WEIR_EV_EXECUTE};
    memory.fn.memory = accessed;
    execute.fn.execute = executed;
    *t = (struct page_trace){.vm = vm, .what = *what, .fn = fn, .ctx = ctx, .users = 1};
    t->group = introspect_group(vm->introspect);
    int rc = 0;
    if (data) {
        t->users++;
        rc = add(t, &memory, data, NULL);
        t->users -= rc < 0;
    }
    if (rc == 0 && access & WEIR_EXECUTE) {
        t->users++;
        rc = add(t, &execute, 0, NULL);
        t->users -= rc < 0;
    }
    if (handle)
        *handle = t->group;
    if (rc < 0)
        introspect_kill_group(vm->introspect, t->group);
    release(t);
    return rc;
}
