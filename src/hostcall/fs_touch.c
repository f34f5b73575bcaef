/* SPDX-License-Identifier: MIT */
/*
 * fs_touch.c - see fs_touch.h. All of the window is always mapped and guarded (fs_guard.h), so a
 * read does no harm wherever. But the guard replaces a page that is missing: nothing else may be
 * mapped there meanwhile, or it replaces a page of that.
 */
#include "hostcall/fs_touch.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#define NOTHING (~0ull)

struct fs_toucher {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    const uint8_t *base;
    uint64_t from, to;
    uint64_t at; /* what is being touched, or NOTHING */
    bool stop, awaited;
};

static void *run(void *ctx)
{
    struct fs_toucher *t = ctx;
    pthread_mutex_lock(&t->lock);
    while (!t->stop) {
        if (t->from >= t->to) {
            pthread_cond_wait(&t->work, &t->lock);
            continue;
        }
        t->at = t->from;
        t->from += FS_TOUCH_BYTES;
        pthread_mutex_unlock(&t->lock);
        fs_touch(t->base + t->at, 1);
        pthread_mutex_lock(&t->lock);
        t->at = NOTHING;
        if (t->awaited)
            pthread_cond_signal(&t->done);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

void fs_toucher_set(struct fs_toucher *t, uint64_t from, uint64_t to)
{
    pthread_mutex_lock(&t->lock);
    bool sleeps = t->from >= t->to;
    t->from = from;
    t->to = to;
    if (sleeps && from < to)
        pthread_cond_signal(&t->work);
    pthread_mutex_unlock(&t->lock);
}

void fs_toucher_leave(struct fs_toucher *t, uint64_t from, uint64_t to)
{
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    if (t->from < to && from < t->to)
        t->from = to;
    t->awaited = true;
    while (t->at >= from && t->at < to)
        pthread_cond_wait(&t->done, &t->lock);
    t->awaited = false;
    pthread_mutex_unlock(&t->lock);
}

void fs_toucher_skip(struct fs_toucher *t, uint64_t from)
{
    if (pthread_mutex_trylock(&t->lock) != 0)
        return;
    if (t->from < from)
        t->from = from;
    pthread_mutex_unlock(&t->lock);
}

struct fs_toucher *fs_toucher_make(const uint8_t *base)
{
    struct fs_toucher *t = calloc(1, sizeof(*t));
    sigset_t most, before;
    if (!t)
        return NULL;
    t->base = base;
    t->at = NOTHING;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->work, NULL);
    pthread_cond_init(&t->done, NULL);
    sigfillset(&most);
    sigdelset(&most, SIGBUS); /* the guard's */
    pthread_sigmask(SIG_SETMASK, &most, &before);
    int error = pthread_create(&t->thread, NULL, run, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!error)
        return t;
    free(t);
    return NULL;
}

void fs_toucher_free(struct fs_toucher *t)
{
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    t->stop = true;
    pthread_cond_signal(&t->work);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->thread, NULL);
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->work);
    pthread_cond_destroy(&t->done);
    free(t);
}
