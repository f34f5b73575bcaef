/* SPDX-License-Identifier: MIT */
/* loop.c - see loop.h. */
#include "loop.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { LOOP_FDS_MAX = 1024 };

bool loop_init(struct loop *loop)
{
    *loop = (struct loop){.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    return loop->wake_fd >= 0;
}

void loop_fini(struct loop *loop)
{
    if (loop->wake_fd >= 0)
        close(loop->wake_fd);
    loop->wake_fd = -1;
}

void loop_add(struct loop *loop, struct watch *watch)
{
    watch->next = loop->watches;
    loop->watches = watch;
}

void loop_remove(struct loop *loop, struct watch *watch)
{
    for (struct watch **w = &loop->watches; *w; w = &(*w)->next) {
        if (*w == watch) {
            *w = watch->next;
            return;
        }
    }
}

void loop_wake(struct loop *loop)
{
    uint64_t one = 1;
    ssize_t n = write(loop->wake_fd, &one, sizeof(one));
    (void)n;
}

int64_t host_time_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* A callback may remove watches, this one and others. */
static struct watch *find(struct loop *loop, const struct watch *watch, int fd)
{
    struct watch *w = loop->watches;
    while (w && w != watch)
        w = w->next;
    return w && w->fd == fd ? w : NULL;
}

static void round_trip(struct loop *loop)
{
    static _Thread_local struct pollfd fds[LOOP_FDS_MAX + 1];
    static _Thread_local struct watch *watches[LOOP_FDS_MAX + 1];
    nfds_t count = 1;
    int timeout = loop->idle ? loop->idle(loop->idle_ctx) : -1;
    if (loop->quit)
        return;
    fds[0] = (struct pollfd){.fd = loop->wake_fd, .events = POLLIN};
    for (struct watch *w = loop->watches; w && count <= LOOP_FDS_MAX; w = w->next) {
        if (!w->events)
            continue;
        watches[count] = w;
        fds[count++] = (struct pollfd){.fd = w->fd, .events = w->events};
    }
    if (poll(fds, count, timeout) <= 0)
        return;
    if (fds[0].revents) {
        uint64_t n;
        ssize_t done = read(loop->wake_fd, &n, sizeof(n));
        (void)done;
    }
    for (nfds_t k = 1; k < count; k++) {
        struct watch *w = fds[k].revents ? find(loop, watches[k], fds[k].fd) : NULL;
        if (w)
            w->ready(w->ctx, fds[k].revents);
    }
}

void loop_run(struct loop *loop)
{
    while (!loop->quit)
        round_trip(loop);
}
