/* SPDX-License-Identifier: MIT */
/*
 * char.h - a byte stream between a device and the host. Output is never lost while the peer is
 * there: it is buffered and written by the VM's I/O thread when the host is slow (bounded: then
 * char_can_write says no). Everything here is called with the device lock held.
 */
#ifndef BACKEND_CHAR_H
#define BACKEND_CHAR_H

#include "base/err.h"
#include <weir/device.h>

struct weir_char;
struct io_loop;

/* The device end. can_receive: how many bytes it takes now. */
struct char_device {
    unsigned (*can_receive)(void *ctx);
    void (*receive)(void *ctx, const uint8_t *data, unsigned length);
    void (*event)(void *ctx, int event); /* CHAR_OPENED, CHAR_CLOSED, CHAR_BREAK; may be NULL */
    void *ctx;
};
enum { CHAR_OPENED, CHAR_CLOSED, CHAR_BREAK };

void char_attach(struct weir_char *chr, const struct char_device *device);
void char_write(struct weir_char *chr, const uint8_t *data,
                unsigned length); /* chr may be NULL */
/* False while the host is so slow that a device should hold its output back. Bytes written all
 * the same are kept up to a limit of some MiB, beyond it they are dropped. */
bool char_can_write(const struct weir_char *chr);
/* After a no, when the host has caught up or left: the attached device's ctx is passed. */
void char_set_writable(struct weir_char *chr, void (*writable)(void *ctx));
void char_break(struct weir_char *chr); /* sends CHAR_BREAK to the device */
/* The device has room again: bytes that waited are delivered. */
void char_accept_input(struct weir_char *chr);
const char *char_id(const struct weir_char *chr);
bool char_connected(const struct weir_char *chr);

/* Opening, by weir_char_open (see weir/machine.h for the specs). */
int char_open(struct io_loop *loop, const char *id, const char *spec, struct weir_char **out,
              struct err *err);
struct weir_char *char_new_callback(const char *id,
                                    void (*write)(void *, const uint8_t *, size_t), void *ctx);
size_t char_feed(struct weir_char *chr, const uint8_t *data, size_t length);
const char *char_where(const struct weir_char *chr);
/* One line about its state for `info chardev`. */
void char_describe(const struct weir_char *chr, struct weir_text *out);
/* Writes what is still buffered (waits at most a second for a slow host), frees. May be NULL.
 */
void char_close(struct weir_char *chr);

#endif
