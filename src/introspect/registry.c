/* SPDX-License-Identifier: MIT */
/*
 * registry.c - handlers come and go. Any thread adds one to the list, or declares one dead, and
 * asks for the vCPU's attention; the vCPU thread takes over the list at its next boundary, makes
 * its own arrays from it, and tells the engines what they must forget.
 */
#include "introspect/introspect.h"
#include "cpu/interp/blocks.h"

#include <stdlib.h>
#include <unistd.h>

/* Kinds that change what code is made of. */
#define CODE_KINDS (~(1u << WEIR_EV_BLOCK))

static const struct event_hooks hooks = {
    .raise = introspect_raise,
    .wants_memory = watch_wants_memory,
    .page_fill = watch_page_fill,
    .linear_watch = watch_linear,
    .view_gpa = view_gpa,
    .before_write = view_before_write,
    .code_distance = watch_code_distance,
    .wants_block = watch_wants_block,
    .before = watch_before,
    .stepped = step_done,
    .alone_ends = view_alone_ends,
    .returned = syscall_returned,
    .changed = introspect_changed,
    .machine = introspect_machine,
};

int introspect_init(struct weir *vm)
{
    struct introspect *ix = calloc(1, sizeof(*ix));
    if (!ix || pthread_mutex_init(&ix->lock, NULL)) {
        free(ix);
        return err_set(&vm->err, WEIR_ENOMEM, "out of memory");
    }
    ix->vm = vm;
    ix->end = &ix->all;
    ix->handles = 0;
    vm->introspect = ix;
    vm->cpu.ev.hooks = &hooks;
    return 0;
}

static void watch_free(struct watch *w)
{
    if (w->release)
        w->release(w->ctx);
    free(w);
}

void introspect_fini(struct weir *vm)
{
    struct introspect *ix = vm->introspect;
    if (!ix)
        return;
    plugins_end(ix);
    trace_end(ix);
    while (ix->all) {
        struct watch *w = ix->all;
        ix->all = w->next;
        watch_free(w);
    }
    plugins_free(ix);
    views_free(ix);
    symbols_free(ix);
    ranges_free(&ix->physical);
    ranges_free(&ix->linear);
    free(ix->active);
    pthread_mutex_destroy(&ix->lock);
    free(ix);
    vm->introspect = NULL;
    vm->cpu.ev = (struct cpu_events){0};
}

/* ---- any thread ---- */

static bool is_of_pages(enum weir_event_kind kind)
{
    return kind == WEIR_EV_MEMORY || kind == WEIR_EV_EXECUTE || kind == WEIR_EV_BREAKPOINT;
}

/* Caller holds the lock. */
static void news(struct introspect *ix, const struct watch *w)
{
    ix->pages_changed |= is_of_pages(w->kind);
    ix->blocks_changed |= w->kind == WEIR_EV_BLOCK;
}

static bool in_vcpu_thread(const struct weir *vm)
{
    return vm->running && pthread_equal(vm->run_thread, pthread_self());
}

int introspect_add(struct weir *vm, const struct watch *model, uint64_t *handle)
{
    struct introspect *ix = vm->introspect;
    if (!model->fn.any)
        return err_set(&vm->err, WEIR_EINVAL, "no handler was given");
    if (model->filter.first > model->filter.last && is_of_pages(model->kind) &&
        model->kind != WEIR_EV_BREAKPOINT)
        return err_set(&vm->err, WEIR_EINVAL, "the watched range ends before it begins");
    struct watch *w = malloc(sizeof(*w));
    if (!w)
        return err_set(&vm->err, WEIR_ENOMEM, "out of memory");
    *w = *model;
    w->next = NULL;
    pthread_mutex_lock(&ix->lock);
    w->handle = ++ix->handles;
    if (handle)
        *handle = w->handle;
    *ix->end = w;
    ix->end = &w->next;
    news(ix, w);
    pthread_mutex_unlock(&ix->lock);
    cpu_attention(&vm->cpu, ATTENTION_EVENTS);
    return 0;
}

void introspect_kill(struct introspect *ix, struct watch *w)
{
    __atomic_store_n(&w->dead, true, __ATOMIC_SEQ_CST);
    pthread_mutex_lock(&ix->lock);
    news(ix, w);
    pthread_mutex_unlock(&ix->lock);
    cpu_attention(&ix->vm->cpu, ATTENTION_EVENTS);
}

uint64_t introspect_group(struct introspect *ix)
{
    pthread_mutex_lock(&ix->lock);
    uint64_t group = ++ix->handles;
    pthread_mutex_unlock(&ix->lock);
    return group;
}

/* All with this handle, or in this group. *running: the one of them that runs just now, or NULL. */
static unsigned kill_all(struct introspect *ix, uint64_t handle, const struct watch **running)
{
    unsigned count = 0;
    *running = NULL;
    if (!handle)
        return 0;
    pthread_mutex_lock(&ix->lock);
    for (struct watch *w = ix->all; w; w = w->next) {
        if ((w->handle != handle && w->group != handle) || watch_is_dead(w))
            continue;
        __atomic_store_n(&w->dead, true, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&ix->calling, __ATOMIC_SEQ_CST) == w)
            *running = w;
        news(ix, w);
        count++;
    }
    pthread_mutex_unlock(&ix->lock);
    if (count)
        cpu_attention(&ix->vm->cpu, ATTENTION_EVENTS);
    return count;
}

void introspect_kill_group(struct introspect *ix, uint64_t group)
{
    const struct watch *running;
    kill_all(ix, group, &running);
}

int weir_event_remove(weir *vm, uint64_t handle)
{
    struct introspect *ix = vm->introspect;
    const struct watch *running;
    if (!kill_all(ix, handle, &running))
        return err_set(&vm->err, WEIR_ENOENT, "event handle %llu: there is none",
                       (unsigned long long)handle);
    /* Who calls looks at `dead` behind setting `calling`: one that runs now is waited for. */
    while (running && !in_vcpu_thread(vm) &&
           __atomic_load_n(&ix->calling, __ATOMIC_SEQ_CST) == running)
        usleep(20);
    return 0;
}

int weir_event_list(weir *vm, unsigned i, struct weir_event_info *info)
{
    struct introspect *ix = vm->introspect;
    int rc = -WEIR_ENOENT;
    pthread_mutex_lock(&ix->lock);
    for (struct watch *w = ix->all; w && rc < 0; w = w->next)
        if (!watch_is_dead(w) && i-- == 0) {
            *info =
                (struct weir_event_info){.handle = w->handle,
                                         .hits = __atomic_load_n(&w->hits, __ATOMIC_RELAXED),
                                         .kind = w->kind,
                                         .filter = w->filter};
            rc = 0;
        }
    pthread_mutex_unlock(&ix->lock);
    return rc;
}

/* ---- the vCPU thread ---- */

/* Frees the dead and orders the living by kind. Caller holds the lock. */
static bool collect(struct introspect *ix)
{
    unsigned count = 0;
    for (struct watch **at = &ix->all; *at;) {
        struct watch *w = *at;
        if (watch_is_dead(w)) {
            *at = w->next;
            watch_free(w);
            continue;
        }
        count++;
        at = &w->next;
    }
    ix->end = &ix->all;
    while (*ix->end)
        ix->end = &(*ix->end)->next;
    struct watch **active = calloc(count + 1, sizeof(*active));
    memset(ix->first, 0, sizeof(ix->first));
    free(ix->active);
    ix->active = active;
    if (!active)
        return false;
    unsigned n = 0;
    for (unsigned kind = 0; kind < WEIR_EV_COUNT; kind++) {
        ix->first[kind] = n;
        for (struct watch *w = ix->all; w; w = w->next)
            if (w->kind == kind)
                active[n++] = w;
    }
    ix->first[WEIR_EV_COUNT] = n;
    return true;
}

static bool any(const struct introspect *ix, enum weir_event_kind kind)
{
    return ix->first[kind + 1] > ix->first[kind];
}

/* What operations look at; returns are told apart by their calls. */
static uint32_t armed_kinds(const struct introspect *ix)
{
    uint32_t armed = 0;
    for (unsigned kind = 0; kind < WEIR_EV_COUNT; kind++)
        if (any(ix, kind) && !is_of_pages(kind) && kind != WEIR_EV_STEP)
            armed |= 1u << kind;
    if (any(ix, WEIR_EV_SYSRET))
        armed |= 1u << WEIR_EV_SYSCALL;
    if (step_filtered(ix))
        armed |= 1u << WEIR_EV_STEP;
    return armed;
}

void introspect_changed(struct vcpu *c)
{
    struct introspect *ix = introspect_of(c);
    pthread_mutex_lock(&ix->lock);
    bool pages = ix->pages_changed, blocks = ix->blocks_changed;
    ix->pages_changed = ix->blocks_changed = false;
    collect(ix);
    pthread_mutex_unlock(&ix->lock);
    uint32_t armed = armed_kinds(ix), changed = armed ^ c->ev.armed;
    c->ev.armed = armed;
    if (c->rip != c->ev.answered_rip) /* it was executed since, when nobody looked */
        c->ev.answered = false;
    if (pages) {
        watch_build(ix);
        c->ev.watching_linear = ix->linear.count;
        c->ev.watching = ix->physical.count || ix->linear.count || ix->view;
        tlb_flush_all(c);
        blocks_drop_watched(c);
    }
    if (blocks || changed & CODE_KINDS)
        blocks_flush(c);
    step_update(c);
}

/* ---- the public functions, one per kind ---- */

#define X(name, NAME, what)                                                                    \
    int weir_on_##name(weir *vm, const struct weir_filter *filter, weir_##name##_fn *fn,       \
                       void *ctx, uint64_t *handle)                                            \
    {                                                                                          \
        struct watch w = {.kind = WEIR_EV_##NAME, .ctx = ctx};                                 \
        if (filter)                                                                            \
            w.filter = *filter;                                                                \
        w.fn.name = fn;                                                                        \
        return introspect_add(vm, &w, handle);                                                 \
    }
WEIR_EVENT_KINDS(X)
#undef X

static const struct {
    const char *name, *what;
} kinds[WEIR_EV_COUNT] = {
#define X(name, NAME, what) {#name, what},
    WEIR_EVENT_KINDS(X)
#undef X
};

const char *weir_event_name(enum weir_event_kind kind, const char **what)
{
    if ((unsigned)kind >= WEIR_EV_COUNT)
        return NULL;
    if (what)
        *what = kinds[kind].what;
    return kinds[kind].name;
}

int weir_event_by_name(const char *name)
{
    for (unsigned kind = 0; kind < WEIR_EV_COUNT; kind++)
        if (!strcmp(kinds[kind].name, name))
            return (int)kind;
    return -WEIR_ENOENT;
}

void weir_set_counting(weir *vm, bool on)
{
    __atomic_store_n(&vm->cpu.counting, on, __ATOMIC_RELAXED);
    cpu_attention(&vm->cpu, ATTENTION_STOP);
}

uint64_t weir_instructions(weir_vcpu *cpu)
{
    return __atomic_load_n(&((struct vcpu *)cpu)->instructions, __ATOMIC_RELAXED);
}
