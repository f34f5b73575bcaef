/* SPDX-License-Identifier: MIT */
/*
 * io_loop.c - the VM's helper thread, see io_loop.h.
 *
 *   lock - fire due timers - copy watches to pollfd - unlock - ppoll - lock - call the ready
 * ones
 *
 * A watch may be removed (and its memory freed) by any callback of the same round, so a pointer
 * is used only after it was found in the list again. A readiness that belonged to an earlier
 * watch at the same address is harmless: callbacks read and write without blocking.
 * The thread blocks all signals: they belong to the embedder's threads.
 */
#include "backend/io_loop.h"
#include "base/bits.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

struct poll_set {
    struct pollfd *fds;
    struct io_watch **watches; /* parallel to fds + 1: fds[0] is the wake-up */
    unsigned count, capacity;
    uint32_t generation; /* of the list when it was copied */
};

void io_loop_wake(struct io_loop *loop)
{
    uint64_t one = 1;
    if (__atomic_load_n(&loop->started, __ATOMIC_ACQUIRE)) {
        ssize_t n = write(loop->wake_fd, &one, sizeof(one));
        (void)n; /* full means that it is awake already */
    }
}

static bool in_loop_thread(const struct io_loop *loop)
{
    return loop->started && pthread_equal(pthread_self(), loop->thread);
}

/* Device lock held. When there is something to do at the latest, in virtual time. */
static uint64_t next_ns(const struct io_loop *loop)
{
    uint64_t deadline = clock_deadline_ns(loop->clock);
    bool sampled = loop->sample && loop->clock->mode == CLOCK_HOST;
    return sampled && loop->sample_ns < deadline ? loop->sample_ns : deadline;
}

/* clock->rearmed; device lock held. */
static void clock_rearmed(void *ctx)
{
    struct io_loop *loop = ctx;
    if (!in_loop_thread(loop) && next_ns(loop) < loop->sleep_deadline_ns)
        io_loop_wake(loop);
}

/* ---- watches ---- */

static void changed(struct io_loop *loop)
{
    if (!in_loop_thread(loop))
        io_loop_wake(loop);
}

void io_watch_add(struct io_loop *loop, struct io_watch *watch)
{
    watch->next = loop->watches;
    loop->watches = watch;
    loop->watch_generation++;
    changed(loop);
}

void io_watch_set(struct io_loop *loop, struct io_watch *watch, unsigned events)
{
    if (watch->events == events)
        return;
    watch->events = events;
    changed(loop);
}

void io_watch_remove(struct io_loop *loop, struct io_watch *watch)
{
    for (struct io_watch **w = &loop->watches; *w; w = &(*w)->next) {
        if (*w == watch) {
            *w = watch->next;
            watch->next = NULL;
            loop->watch_generation++;
            changed(loop);
            return;
        }
    }
}

static bool is_watched(const struct io_loop *loop, const struct io_watch *watch, int fd)
{
    for (const struct io_watch *w = loop->watches; w; w = w->next)
        if (w == watch)
            return w->fd == fd;
    return false;
}

/* ---- the thread ---- */

static bool poll_set_grow(struct poll_set *set)
{
    unsigned capacity = set->capacity ? set->capacity * 2 : 16;
    struct pollfd *fds = realloc(set->fds, (capacity + 1) * sizeof(*fds));
    if (fds)
        set->fds = fds;
    struct io_watch **watches = realloc(set->watches, capacity * sizeof(*watches));
    if (watches)
        set->watches = watches;
    if (!fds || !watches)
        return false;
    set->capacity = capacity;
    return true;
}

static void poll_set_fill(struct poll_set *set, const struct io_loop *loop)
{
    set->count = 0;
    set->generation = loop->watch_generation;
    set->fds[0] = (struct pollfd){.fd = loop->wake_fd, .events = POLLIN};
    for (struct io_watch *w = loop->watches; w; w = w->next) {
        if (!w->events) /* not even a hang-up is of interest, or it would spin */
            continue;
        if (set->count == set->capacity && !poll_set_grow(set))
            return;
        short events = (short)((w->events & IO_READABLE ? POLLIN : 0) |
                               (w->events & IO_WRITABLE ? POLLOUT : 0));
        set->watches[set->count++] = w;
        set->fds[set->count] = (struct pollfd){.fd = w->fd, .events = events};
    }
}

static void dispatch(struct io_loop *loop, struct poll_set *set)
{
    for (unsigned k = 0; k < set->count; k++) {
        const struct pollfd *p = &set->fds[k + 1];
        struct io_watch *w = set->watches[k];
        if (!p->revents ||
            (set->generation != loop->watch_generation && !is_watched(loop, w, p->fd)))
            continue;
        unsigned events = (p->revents & POLLIN ? IO_READABLE : 0) |
                          (p->revents & POLLOUT ? IO_WRITABLE : 0) |
                          (p->revents & (POLLHUP | POLLERR | POLLNVAL) ? IO_HANGUP : 0);
        w->ready(w->ctx, events);
    }
}

/* Device lock held. The time to sleep, or NULL for ever. */
static struct timespec *sleep_time(struct io_loop *loop, struct timespec *ts)
{
    uint64_t deadline = CLOCK_NEVER, now = clock_now_ns(loop->clock);
    if (__atomic_load_n(&loop->clock->running, __ATOMIC_RELAXED) &&
        loop->clock->mode == CLOCK_HOST) {
        if (loop->sample && loop->sample_ns <= now)
            loop->sample_ns = now + loop->sample(loop->sample_ctx);
        deadline = next_ns(loop);
    }
    loop->sleep_deadline_ns = deadline;
    if (deadline == CLOCK_NEVER)
        return NULL;
    uint64_t delta = deadline > now ? deadline - now : 0;
    ts->tv_sec = (time_t)(delta / 1000000000u);
    ts->tv_nsec = (long)(delta % 1000000000u);
    return ts;
}

static void drain_wake(struct io_loop *loop)
{
    uint64_t count;
    ssize_t n = read(loop->wake_fd, &count, sizeof(count));
    (void)n;
}

static void *loop_main(void *arg)
{
    struct io_loop *loop = arg;
    struct poll_set set = {0};
    prctl(PR_SET_NAME, "weir-io");
    prctl(PR_SET_TIMERSLACK, 1000ul); /* ns; timers are the guest's interrupts */
    pthread_mutex_lock(loop->device_lock);
    while (!loop->quit && (set.capacity || poll_set_grow(&set))) {
        if (loop->clock->mode == CLOCK_HOST)
            clock_run_due(loop->clock);
        poll_set_fill(&set, loop);
        struct timespec ts, *timeout = sleep_time(loop, &ts);
        pthread_mutex_unlock(loop->device_lock);
        int n = ppoll(set.fds, set.count + 1, timeout, NULL);
        pthread_mutex_lock(loop->device_lock);
        if (n > 0 && set.fds[0].revents)
            drain_wake(loop);
        if (n > 0)
            dispatch(loop, &set);
    }
    pthread_mutex_unlock(loop->device_lock);
    free(set.fds);
    free(set.watches);
    return NULL;
}

int io_loop_start(struct io_loop *loop, struct clock *clock, pthread_mutex_t *device_lock,
                  struct err *err)
{
    loop->clock = clock;
    loop->device_lock = device_lock;
    loop->quit = false;
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->wake_fd < 0)
        return err_errno(err, "I/O thread");
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_mutex_lock(device_lock); /* the thread must see `started` set */
    int error = pthread_create(&loop->thread, NULL, loop_main, loop);
    if (!error) {
        clock->rearmed = clock_rearmed;
        clock->ctx = loop;
        __atomic_store_n(&loop->started, true, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(device_lock);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) {
        close(loop->wake_fd);
        errno = error;
        return err_errno(err, "I/O thread");
    }
    return 0;
}

void io_loop_stop(struct io_loop *loop)
{
    if (!loop->started)
        return;
    pthread_mutex_lock(loop->device_lock);
    loop->quit = true;
    loop->clock->rearmed = NULL;
    pthread_mutex_unlock(loop->device_lock);
    io_loop_wake(loop);
    pthread_join(loop->thread, NULL);
    __atomic_store_n(&loop->started, false, __ATOMIC_RELEASE);
    close(loop->wake_fd);
    loop->wake_fd = -1;
}
