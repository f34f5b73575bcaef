/* SPDX-License-Identifier: MIT */
/*
 * endpoint.h - where the tool's own streams come from: the terminal, a pty, a socket as client
 * or server. Specs are those of weir_char_open.
 */
#ifndef TOOL_ENDPOINT_H
#define TOOL_ENDPOINT_H

#include "stream.h"

struct endpoint {
    struct loop *loop;
    int listen_fd; /* -1: none */
    struct watch listen_watch;
    bool single; /* one connection at a time: listens again after endpoint_release */
    bool telnet;
    int pty_fd; /* the slave, held open so that the master never hangs up; -1 = none */
    char *unlink_path;
    char where[200];                                     /* for people */
    void (*connected)(void *ctx, struct stream *stream); /* takes the stream over */
    void *ctx;
    struct endpoint *next;
};

/* Opens; a server with wait=on (QEMU's default) waits here for its first client. `connected`
 * may be called before this returns. NULL with a text of one line on failure. */
struct endpoint *endpoint_open(struct loop *loop, const char *spec, bool single,
                               void (*connected)(void *, struct stream *), void *ctx,
                               char *error, size_t bytes);
void endpoint_release(struct endpoint *e);
void endpoint_free(struct endpoint *e);

#endif
