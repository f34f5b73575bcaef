/* SPDX-License-Identifier: MIT */
/*
 * char_internal.h - what the files char*.c share: the state of one character device.
 *
 * Life of output: char_write -> out buffer -> char_flush (I/O thread, when the fd is writable).
 * Life of input: the fd is watched only while the device takes bytes (can_receive > 0), so a
 * slow guest holds the host's sender back; bytes read but not yet taken wait in `in`.
 */
#ifndef BACKEND_CHAR_INTERNAL_H
#define BACKEND_CHAR_INTERNAL_H

#include "backend/char.h"
#include "backend/io_loop.h"

#include <termios.h>

enum char_kind { CHAR_NULL, CHAR_FD, CHAR_PTY, CHAR_SOCKET, CHAR_CALLBACK };
enum {
    CHAR_SOFT_LIMIT = 64 << 10, /* char_can_write says no */
    CHAR_HARD_LIMIT = 4 << 20,  /* more is dropped */
    CHAR_IN_BYTES = 4096,
};

struct char_telnet {
    bool enabled;
    uint8_t state; /* see char_socket.c */
};

struct weir_char {
    char id[32];
    char where[160];
    enum char_kind kind;
    struct io_loop *loop; /* NULL: output is written at once, no input (tests) */
    struct char_device device;
    void (*writable)(void *ctx); /* may be NULL */
    bool full;                   /* `writable` is owed */
    bool attached, connected, delivering, closing;

    struct io_watch watch; /* input and, if out_fd is the same, output */
    struct io_watch out_watch;
    struct io_watch listen_watch;
    bool watched, out_watched, listen_watched;
    int in_fd, out_fd, listen_fd; /* -1: none */
    bool owns_fds;                /* closed by char_close, and set non-blocking by us */
    bool is_socket;               /* out_fd takes send() */
    bool is_tty;                  /* out_fd is a terminal that we must not make non-blocking */
    bool lossy;                   /* a pty nobody reads keeps the newest output */

    uint8_t in[CHAR_IN_BYTES];
    unsigned in_first, in_count;
    uint8_t *out; /* [out_first, out_first + out_count) of out_capacity */
    size_t out_first, out_count, out_capacity;
    uint64_t dropped_bytes, read_bytes, written_bytes;

    char *unlink_path; /* the unix server's socket */
    struct char_telnet telnet;
    struct termios saved_termios;
    bool termios_saved;

    void (*callback)(void *, const uint8_t *, size_t);
    void *callback_ctx;
};

struct weir_char *char_alloc(struct io_loop *loop, const char *id, enum char_kind kind);
/* Starts watching in_fd and out_fd; sends CHAR_OPENED. */
void char_set_connected(struct weir_char *chr);
/* The peer is gone: stops watching, drops output, sends CHAR_CLOSED. Closes owned fds. */
void char_set_closed(struct weir_char *chr);
void char_event(struct weir_char *chr, int event);
/* Asks for readiness as buffers and device demand it. */
void char_update_watch(struct weir_char *chr);
/* Delivers waiting input to the device as far as it takes it. */
void char_deliver(struct weir_char *chr);

/* char_output.c */
void char_queue(struct weir_char *chr, const uint8_t *data, size_t length);
/* Writes what the host takes without blocking. False when the peer is gone. */
bool char_flush(struct weir_char *chr);
/* As char_flush, waiting up to this long for a slow host. */
void char_drain(struct weir_char *chr, int timeout_ms);

/* Openers by the part of the spec before ':'. `args` is what follows it ("" if nothing). */
int char_open_stdio(struct weir_char *chr, const char *args, struct err *err);
int char_open_file(struct weir_char *chr, const char *args, struct err *err);
int char_open_pipe(struct weir_char *chr, const char *args, struct err *err);
int char_open_fd(struct weir_char *chr, const char *args, struct err *err);
int char_open_pty(struct weir_char *chr, const char *args, struct err *err);
int char_open_tcp(struct weir_char *chr, const char *args, struct err *err);
int char_open_telnet(struct weir_char *chr, const char *args, struct err *err);
int char_open_unix(struct weir_char *chr, const char *args, struct err *err);
/* Removes telnet commands from data in place; returns what is left. */
size_t char_telnet_filter(struct weir_char *chr, uint8_t *data, size_t length);

#endif
