/* SPDX-License-Identifier: MIT */
/*
 * clock.h - the virtual clock of a VM and the timers that hang on it.
 *
 * HOST: follows the host's monotonic clock while running, stands still while stopped.
 * MANUAL: moves only by clock_advance and clock_set (instruction counting, see cpu/icount.h; device
 * tests). Then whoever moves it runs the timers too, and it is one thread.
 *
 * Reading the time is lock-free for any thread. Timers are touched only with the VM's device lock
 * held. `rearmed` is called (device lock held) when the earliest deadline moved forward, so that
 * whoever sleeps until it can be woken.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <weir/device.h>

#define CLOCK_NEVER UINT64_MAX
enum clock_mode { CLOCK_HOST, CLOCK_MANUAL };

struct clock {
    enum clock_mode mode;
    uint32_t sequence; /* seqlock over the next three */
    bool running;
    uint64_t base_ns;         /* virtual time when last stopped or set */
    uint64_t host_base_ns;    /* host time at that moment */
    struct weir_timer **heap; /* [1..count], earliest first */
    uint32_t count, capacity;
    uint64_t earliest_ns; /* its deadline, for whoever has no lock; CLOCK_NEVER if none */
    void (*rearmed)(void *ctx);
    void *ctx;
};

int clock_init(struct clock *clock, enum clock_mode mode);
void clock_fini(struct clock *clock);
uint64_t clock_host_ns(void); /* CLOCK_MONOTONIC */
uint64_t clock_now_ns(const struct clock *clock);
void clock_start(struct clock *clock);
void clock_stop(struct clock *clock);
void clock_advance(struct clock *clock, uint64_t delta_ns); /* MANUAL only; runs no timer */
void clock_set(struct clock *clock, uint64_t now_ns);       /* same */
/* Earliest deadline, CLOCK_NEVER if none. */
uint64_t clock_deadline_ns(const struct clock *clock);
/* Fires all timers that are due, in order of deadline; returns how many. */
unsigned clock_run_due(struct clock *clock);

/* HOST, no lock: whether at `now_ns` a timer is overdue by so much that whoever should have fired
 * it does not get to run. */
#define CLOCK_LATE_NS 200000u
static inline bool clock_is_late(const struct clock *clock, uint64_t now_ns)
{
    uint64_t earliest = __atomic_load_n(&clock->earliest_ns, __ATOMIC_RELAXED);
    return now_ns > earliest && now_ns - earliest > CLOCK_LATE_NS && clock->mode == CLOCK_HOST;
}

void timer_init(struct weir_timer *timer, struct clock *clock, void (*fire)(void *), void *ctx);

/* a * b / c without overflow of the product; c != 0. */
static inline uint64_t muldiv64(uint64_t a, uint64_t b, uint64_t c)
{
    return (uint64_t)((unsigned __int128)a * b / c);
}

#endif
