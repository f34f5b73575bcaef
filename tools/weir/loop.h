/* SPDX-License-Identifier: MIT */
/*
 * loop.h - the tool's own thread: everything that talks to people and programs (terminal,
 * monitor, QMP) happens in it, so none of that needs locks. Watches are added and removed in
 * that thread, or before it starts.
 */
#ifndef TOOL_LOOP_H
#define TOOL_LOOP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct watch {
    int fd;
    short events; /* POLLIN | POLLOUT; 0 = not even hang-ups */
    void (*ready)(void *ctx, short events);
    void *ctx;
    struct watch *next;
};

struct loop {
    struct watch *watches;
    int wake_fd;
    bool quit;
    /* Called once per round in the loop's thread; returns how long it can wait in ms (-1 =
     * until something happens). */
    int (*idle)(void *ctx);
    void *idle_ctx;
};

bool loop_init(struct loop *loop);
void loop_add(struct loop *loop, struct watch *watch);
void loop_remove(struct loop *loop, struct watch *watch);
void loop_wake(struct loop *loop); /* any thread */
void loop_run(struct loop *loop);  /* until quit */
void loop_fini(struct loop *loop);
int64_t host_time_ms(void);

#endif
