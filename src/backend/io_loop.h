/* SPDX-License-Identifier: MIT */
/*
 * io_loop.h - the VM's helper thread: waits for host file descriptors and for the earliest
 * timer, and serves both with the device lock held.
 */
#ifndef BACKEND_IO_LOOP_H
#define BACKEND_IO_LOOP_H

#include <pthread.h>
#include "base/clock.h"
#include "base/err.h"

enum { IO_READABLE = 1, IO_WRITABLE = 2, IO_HANGUP = 4 };
struct io_watch {
    int fd;
    unsigned events; /* IO_READABLE | IO_WRITABLE; may be changed with io_watch_set */
    void (*ready)(void *ctx, unsigned events);
    void *ctx;
    struct io_watch *next;
};
struct io_loop {
    pthread_t thread;
    pthread_mutex_t *device_lock;
    struct clock *clock;
    int wake_fd; /* eventfd */
    bool quit, started;
    struct io_watch *watches;
    uint32_t watch_generation;  /* changes when a watch is added or removed */
    uint64_t sleep_deadline_ns; /* virtual time until which the thread sleeps */
    /* Called while the clock follows the host's, device lock held; returns after how many ns it
     * wants to be called again. NULL: nobody. */
    uint64_t (*sample)(void *ctx);
    void *sample_ctx;
    uint64_t sample_ns; /* virtual time of the next call */
};
/* `loop` was zeroed by the caller (watches may have been added already). Takes over
 * clock->rearmed. Device lock not held. */
int io_loop_start(struct io_loop *loop, struct clock *clock, pthread_mutex_t *device_lock,
                  struct err *err);
/* Ends the thread; watches stay in the list. Device lock not held. */
void io_loop_stop(struct io_loop *loop);
void io_loop_wake(struct io_loop *loop); /* any thread; async-signal-safe */
/* Device lock held. */
void io_watch_add(struct io_loop *loop, struct io_watch *watch);
void io_watch_set(struct io_loop *loop, struct io_watch *watch, unsigned events);
void io_watch_remove(struct io_loop *loop, struct io_watch *watch);

#endif
