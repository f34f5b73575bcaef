/* SPDX-License-Identifier: MIT */
/*
 * gdb_packet.h - framing of gdb's remote serial protocol: "$data#sum" both ways, '+' and '-' as
 * answers until the peer switches them off, 03h for Ctrl-C. Knows no VM.
 *
 * The peer is hostile: a packet beyond GDB_PACKET_MAX is dropped to its end and refused, bytes
 * outside packets are ignored.
 */
#ifndef DEBUG_GDB_PACKET_H
#define DEBUG_GDB_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GDB_PACKET_MAX = 16384 };

/* Grows; `failed` when memory ran out, then it stays as it is. */
struct gdb_buffer {
    char *data; /* 0-terminated, NULL while empty */
    size_t length, capacity;
    bool failed;
};
void gdb_put(struct gdb_buffer *b, const void *data, size_t length);
void gdb_puts(struct gdb_buffer *b, const char *text);
void gdb_printf(struct gdb_buffer *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void gdb_put_hex(struct gdb_buffer *b, const void *data, size_t length);
/* Binary data with '}' before what would end or garble a packet. */
void gdb_put_binary(struct gdb_buffer *b, const void *data, size_t length);
void gdb_buffer_free(struct gdb_buffer *b);

struct gdb_wire {
    void (*write)(void *ctx, const void *data, size_t length);
    /* A whole packet, '}' undone, 0-terminated (it may hold zeros too). */
    void (*packet)(void *ctx, char *data, size_t length);
    void (*interrupt)(void *ctx); /* 03h outside a packet */
    void *ctx;
    /* own */
    uint8_t state; /* what the next byte is */
    uint8_t sum, wanted;
    bool escaped, too_long;
    bool acknowledge;
    char in[GDB_PACKET_MAX + 1];
    size_t length;
    struct gdb_buffer last; /* as sent, for '-' */
};
/* Callbacks and ctx are set before; everything else is made anew. */
void gdb_wire_start(struct gdb_wire *w);
void gdb_wire_free(struct gdb_wire *w);
void gdb_wire_input(struct gdb_wire *w, const uint8_t *data, size_t length);
/* Sends `data` as one packet. */
void gdb_wire_send(struct gdb_wire *w, const char *data, size_t length);
/* The same as a notification, "%data#sum", which is not acknowledged. */
void gdb_wire_notify(struct gdb_wire *w, const char *data, size_t length);

/* ---- reading packets: each moves *s, which ends with a 0 ---- */

/* False if no hexadecimal digit is there or the number has more than 64 bits. */
bool gdb_get_hex(const char **s, uint64_t *value);
/* "-1" (all), "0" (any) or a number, optionally "pPID." before it; -2 if malformed. */
int64_t gdb_get_thread(const char **s);
/* Two digits per byte, `length` bytes; false if something else is there. */
bool gdb_get_bytes(const char **s, uint8_t *bytes, size_t length);
/* If *s starts with the word, moves behind it. */
bool gdb_get_word(const char **s, const char *word);

#endif
