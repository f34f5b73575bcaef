/* SPDX-License-Identifier: MIT */
/*
 * char_output.c - the output buffer of a character device.
 *
 * Descriptors of our own are non-blocking. Those of the embedder (stdio, fd:N) are shared with
 * other processes and stay as they are: before each write poll() must have promised room, and a
 * write is no longer than that promise: PIPE_BUF for a pipe, 256 for a terminal.
 */
#include "backend/char_internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static bool make_room(struct weir_char *chr, size_t length)
{
    if (chr->out_first + chr->out_count + length <= chr->out_capacity)
        return true;
    if (chr->out_first) {
        memmove(chr->out, chr->out + chr->out_first, chr->out_count);
        chr->out_first = 0;
    }
    size_t capacity = chr->out_capacity ? chr->out_capacity : 1024;
    while (capacity < chr->out_count + length)
        capacity *= 2;
    if (capacity > chr->out_capacity) {
        uint8_t *bigger = realloc(chr->out, capacity);
        if (!bigger)
            return false;
        chr->out = bigger;
        chr->out_capacity = capacity;
    }
    return true;
}

void char_queue(struct weir_char *chr, const uint8_t *data, size_t length)
{
    size_t limit = chr->lossy ? CHAR_SOFT_LIMIT : CHAR_HARD_LIMIT;
    if (chr->lossy && chr->out_count + length > limit) {
        size_t excess = chr->out_count + length - limit;
        if (excess > chr->out_count)
            excess = chr->out_count;
        chr->out_first += excess;
        chr->out_count -= excess;
        chr->dropped_bytes += excess;
    }
    if (chr->out_count + length > limit || !make_room(chr, length)) {
        chr->dropped_bytes += length;
        return;
    }
    memcpy(chr->out + chr->out_first + chr->out_count, data, length);
    chr->out_count += length;
}

/* A write to a pipe without readers must not kill the embedder's process. */
static ssize_t write_without_sigpipe(int fd, const void *data, size_t length)
{
    sigset_t pipe_signal, before, pending;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    sigpending(&pending);
    bool was_pending = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    ssize_t n = write(fd, data, length);
    int saved = errno;
    if (n < 0 && saved == EPIPE && !was_pending) {
        struct timespec none = {0};
        while (sigtimedwait(&pipe_signal, NULL, &none) < 0 && errno == EINTR)
            ;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = saved;
    return n;
}

static ssize_t write_some(struct weir_char *chr, const uint8_t *data, size_t length)
{
    if (chr->is_socket)
        return send(chr->out_fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (!chr->owns_fds) {
        struct pollfd p = {.fd = chr->out_fd, .events = POLLOUT};
        if (poll(&p, 1, 0) <= 0) {
            errno = EAGAIN;
            return -1;
        }
        size_t promised = chr->is_tty ? 256 : 4096;
        if (length > promised)
            length = promised;
    }
    return write_without_sigpipe(chr->out_fd, data, length);
}

bool char_flush(struct weir_char *chr)
{
    while (chr->out_count) {
        ssize_t n = write_some(chr, chr->out + chr->out_first, chr->out_count);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return true;
        /* A pty without reader gives EIO on some kernels: that is only a slow host. */
        if (n < 0 && chr->lossy)
            return true;
        if (n < 0) {
            chr->dropped_bytes += chr->out_count;
            chr->out_count = 0;
            return errno == ENOSPC; /* a full disk is not a peer that left */
        }
        chr->out_first += (size_t)n;
        chr->out_count -= (size_t)n;
        chr->written_bytes += (uint64_t)n;
    }
    chr->out_first = 0;
    return true;
}

static int64_t host_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void char_drain(struct weir_char *chr, int timeout_ms)
{
    int64_t end = host_ms() + timeout_ms;
    while (char_flush(chr) && chr->out_count && !chr->lossy) {
        int64_t left = end - host_ms();
        if (left <= 0)
            return;
        struct pollfd p = {.fd = chr->out_fd, .events = POLLOUT};
        poll(&p, 1, (int)left);
    }
}
