/* SPDX-License-Identifier: MIT */
/*
 * stream.h - a byte stream in the tool's loop: the terminal, a socket's connection, a pty.
 * Output is buffered; a peer that reads nothing while STREAM_LIMIT bytes wait is cut off,
 * except the terminal, whose producer asks stream_is_full.
 */
#ifndef TOOL_STREAM_H
#define TOOL_STREAM_H

#include "loop.h"
#include "text.h"

enum { STREAM_LIMIT = 16 << 20, STREAM_FULL = 64 << 10 };

struct stream {
    struct loop *loop;
    int in_fd, out_fd;
    struct watch in_watch, out_watch;
    bool owned; /* close the descriptors */
    bool is_tty, is_socket;
    bool crlf; /* lines end with \r\n (a raw terminal is at the far end) */
    bool telnet;
    bool paused;   /* input is not wanted now */
    bool draining; /* the peer has left: what it sent before is read even if paused */
    bool input_ended, dead;
    uint8_t telnet_state;
    struct strbuf out;
    size_t out_sent;
    void (*input)(void *ctx, const uint8_t *data, size_t length);
    void (*closed)(void *ctx);  /* input ended or the peer is gone (dead); called once */
    void (*drained)(void *ctx); /* output is no longer full; may be NULL */
    void *ctx;
};

/* The descriptors; out_fd may equal in_fd. Handlers are set before the loop runs again. */
struct stream *stream_new(struct loop *loop, int in_fd, int out_fd, bool owned);
void stream_write(struct stream *s, const void *data, size_t length);
void stream_pause(struct stream *s, bool paused);
bool stream_is_full(const struct stream *s);
/* Text with "\n" as the peer wants its lines. */
void stream_text(struct stream *s, const char *text, size_t length);
/* Waits for output to be taken, at most this long. */
void stream_flush(struct stream *s, int timeout_ms);
void stream_free(struct stream *s);

/* Standard input and output as a stream. terminal_start makes a terminal raw (signals: Ctrl-C
 * and the like stay signals), terminal_restore, also at exit, undoes it. */
struct stream *stream_stdio(struct loop *loop);
void terminal_start(bool signals);
void terminal_restore(void);
void terminal_again(void); /* after SIGCONT */

#endif
