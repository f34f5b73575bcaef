/* SPDX-License-Identifier: MIT */
/*
 * clock.c - see clock.h. Timers are a binary heap of pointers to the structs embedded in device
 * state; timer.slot is a timer's place in it, so that cancelling is cheap.
 */
#include "base/clock.h"
#include "base/bits.h"

#include <stdlib.h>
#include <time.h>

uint64_t clock_host_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

int clock_init(struct clock *clock, enum clock_mode mode)
{
    *clock = (struct clock){.mode = mode, .capacity = 32, .earliest_ns = CLOCK_NEVER};
    clock->heap = calloc(clock->capacity + 1, sizeof(*clock->heap));
    return clock->heap ? 0 : -WEIR_ENOMEM;
}

void clock_fini(struct clock *clock)
{
    for (uint32_t k = 1; k <= clock->count; k++)
        clock->heap[k]->slot = 0;
    free(clock->heap);
    clock->heap = NULL;
    clock->count = 0;
    clock->earliest_ns = CLOCK_NEVER;
}

uint64_t clock_now_ns(const struct clock *clock)
{
    for (;;) {
        uint32_t before = __atomic_load_n(&clock->sequence, __ATOMIC_ACQUIRE);
        uint64_t base = __atomic_load_n(&clock->base_ns, __ATOMIC_RELAXED);
        uint64_t host_base = __atomic_load_n(&clock->host_base_ns, __ATOMIC_RELAXED);
        bool running = __atomic_load_n(&clock->running, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if ((before & 1) || before != __atomic_load_n(&clock->sequence, __ATOMIC_RELAXED))
            continue;
        if (clock->mode == CLOCK_MANUAL || !running)
            return base;
        return base + (clock_host_ns() - host_base);
    }
}

static void set_time(struct clock *clock, uint64_t now_ns, bool running)
{
    __atomic_fetch_add(&clock->sequence, 1, __ATOMIC_ACQ_REL);
    __atomic_store_n(&clock->base_ns, now_ns, __ATOMIC_RELAXED);
    if (clock->mode == CLOCK_HOST)
        __atomic_store_n(&clock->host_base_ns, clock_host_ns(), __ATOMIC_RELAXED);
    __atomic_store_n(&clock->running, running, __ATOMIC_RELAXED);
    __atomic_fetch_add(&clock->sequence, 1, __ATOMIC_RELEASE);
}

void clock_start(struct clock *clock)
{
    if (!clock->running)
        set_time(clock, clock->base_ns, true);
    if (clock->rearmed)
        clock->rearmed(clock->ctx);
}

void clock_stop(struct clock *clock)
{
    if (clock->running)
        set_time(clock, clock_now_ns(clock), false);
}

void clock_advance(struct clock *clock, uint64_t delta_ns)
{
    set_time(clock, clock->base_ns + delta_ns, clock->running);
}

void clock_set(struct clock *clock, uint64_t now_ns)
{
    if (now_ns != clock->base_ns)
        set_time(clock, now_ns, clock->running);
}

uint64_t clock_deadline_ns(const struct clock *clock)
{
    return clock->count ? clock->heap[1]->deadline_ns : CLOCK_NEVER;
}

/* ---- heap ---- */

static void place(struct clock *clock, uint32_t slot, struct weir_timer *timer)
{
    clock->heap[slot] = timer;
    timer->slot = slot;
}

static void sift(struct clock *clock, uint32_t slot, struct weir_timer *timer)
{
    while (slot > 1 && timer->deadline_ns < clock->heap[slot / 2]->deadline_ns) {
        place(clock, slot, clock->heap[slot / 2]);
        slot /= 2;
    }
    for (;;) {
        uint32_t child = slot * 2;
        if (child > clock->count)
            break;
        if (child < clock->count &&
            clock->heap[child + 1]->deadline_ns < clock->heap[child]->deadline_ns)
            child++;
        if (clock->heap[child]->deadline_ns >= timer->deadline_ns)
            break;
        place(clock, slot, clock->heap[child]);
        slot = child;
    }
    place(clock, slot, timer);
}

static void heap_changed(struct clock *clock)
{
    __atomic_store_n(&clock->earliest_ns, clock_deadline_ns(clock), __ATOMIC_RELAXED);
}

static void heap_remove(struct clock *clock, struct weir_timer *timer)
{
    uint32_t slot = timer->slot;
    if (!slot)
        return;
    timer->slot = 0;
    struct weir_timer *last = clock->heap[clock->count--];
    if (last != timer)
        sift(clock, slot, last);
    heap_changed(clock);
}

static void heap_insert(struct clock *clock, struct weir_timer *timer)
{
    if (clock->count == clock->capacity) {
        uint32_t capacity = clock->capacity * 2;
        void *bigger = realloc(clock->heap, (capacity + 1) * sizeof(*clock->heap));
        if (!bigger)
            return; /* timers are embedded in devices: their number is bounded at start */
        clock->heap = bigger;
        clock->capacity = capacity;
    }
    clock->count++;
    sift(clock, clock->count, timer);
    heap_changed(clock);
}

void timer_init(struct weir_timer *timer, struct clock *clock, void (*fire)(void *), void *ctx)
{
    *timer = (struct weir_timer){
        .deadline_ns = CLOCK_NEVER, .fire = fire, .ctx = ctx, .clock = clock};
}

void weir_timer_set(struct weir_timer *timer, uint64_t deadline_ns)
{
    struct clock *clock = timer->clock;
    uint64_t earliest = clock_deadline_ns(clock);
    heap_remove(clock, timer);
    timer->deadline_ns = deadline_ns;
    if (deadline_ns != CLOCK_NEVER)
        heap_insert(clock, timer);
    if (deadline_ns < earliest && clock->rearmed)
        clock->rearmed(clock->ctx);
}

void weir_timer_cancel(struct weir_timer *timer)
{
    heap_remove(timer->clock, timer);
    timer->deadline_ns = CLOCK_NEVER;
}

unsigned clock_run_due(struct clock *clock)
{
    unsigned fired = 0;
    uint64_t now = clock_now_ns(clock);
    while (clock->count && clock->heap[1]->deadline_ns <= now) {
        struct weir_timer *timer = clock->heap[1];
        weir_timer_cancel(timer);
        timer->fire(timer->ctx);
        fired++;
        /* A device that re-arms itself for the past must not keep us here for ever. */
        if (fired >= 1000)
            break;
    }
    return fired;
}
