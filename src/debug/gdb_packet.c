/* SPDX-License-Identifier: MIT */
/* gdb_packet.c - see gdb_packet.h. */
#include "debug/gdb_packet.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- buffers ---- */

static bool reserve(struct gdb_buffer *b, size_t more)
{
    if (b->failed)
        return false;
    if (b->capacity - b->length > more)
        return true;
    size_t capacity = (b->length + more) * 2 + 64;
    char *data = realloc(b->data, capacity);
    if (!data) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->capacity = capacity;
    return true;
}

void gdb_put(struct gdb_buffer *b, const void *data, size_t length)
{
    if (!reserve(b, length))
        return;
    if (length)
        memcpy(b->data + b->length, data, length);
    b->length += length;
    b->data[b->length] = 0;
}

void gdb_puts(struct gdb_buffer *b, const char *text)
{
    gdb_put(b, text, strlen(text));
}

void gdb_printf(struct gdb_buffer *b, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (n > 0)
        gdb_put(b, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

static const char digits[] = "0123456789abcdef";

void gdb_put_hex(struct gdb_buffer *b, const void *data, size_t length)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < length; i++) {
        char pair[2] = {digits[bytes[i] >> 4], digits[bytes[i] & 15]};
        gdb_put(b, pair, 2);
    }
}

void gdb_put_binary(struct gdb_buffer *b, const void *data, size_t length)
{
    const char *bytes = data;
    for (size_t i = 0; i < length; i++) {
        char c = bytes[i], pair[2] = {'}', (char)(c ^ 0x20)};
        bool special = c == '$' || c == '#' || c == '}' || c == '*';
        gdb_put(b, special ? pair : &c, special ? 2 : 1);
    }
}

void gdb_buffer_free(struct gdb_buffer *b)
{
    free(b->data);
    *b = (struct gdb_buffer){0};
}

/* ---- frames ---- */

enum { OUTSIDE, INSIDE, SUM_HIGH, SUM_LOW };

void gdb_wire_start(struct gdb_wire *w)
{
    gdb_buffer_free(&w->last);
    w->state = OUTSIDE;
    w->escaped = w->too_long = false;
    w->acknowledge = true;
    w->length = 0;
}

void gdb_wire_free(struct gdb_wire *w)
{
    gdb_buffer_free(&w->last);
}

static int digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void outside_byte(struct gdb_wire *w, uint8_t c)
{
    if (c == '$') {
        w->state = INSIDE;
        w->sum = 0;
        w->length = 0;
        w->escaped = w->too_long = false;
    } else if (c == 3) {
        w->interrupt(w->ctx);
    } else if (c == '-' && w->acknowledge && w->last.length) {
        w->write(w->ctx, w->last.data, w->last.length);
    }
}

static void inside_byte(struct gdb_wire *w, uint8_t c)
{
    if (c == '#') {
        w->state = SUM_HIGH;
        return;
    }
    if (c == '$') { /* what was before it has lost its end */
        outside_byte(w, c);
        return;
    }
    w->sum = (uint8_t)(w->sum + c);
    if (c == '}' && !w->escaped) {
        w->escaped = true;
        return;
    }
    if (w->length == GDB_PACKET_MAX)
        w->too_long = true;
    else
        w->in[w->length++] = (char)(w->escaped ? c ^ 0x20 : c);
    w->escaped = false;
}

static void packet_end(struct gdb_wire *w, int low)
{
    bool good =
        !w->too_long && low >= 0 && w->wanted == w->sum >> 4 && (unsigned)low == (w->sum & 15u);
    w->state = OUTSIDE;
    w->in[w->length] = 0;
    if (!w->acknowledge)
        good = true; /* the transport is reliable, the sum is not looked at */
    else
        w->write(w->ctx, good || w->too_long ? "+" : "-", 1);
    if (w->too_long)
        gdb_wire_send(w, "E22", 3);
    else if (good)
        w->packet(w->ctx, w->in, w->length);
}

void gdb_wire_input(struct gdb_wire *w, const uint8_t *data, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        switch (w->state) {
        case OUTSIDE:
            outside_byte(w, data[i]);
            break;
        case INSIDE:
            inside_byte(w, data[i]);
            break;
        case SUM_HIGH:
            w->wanted = (uint8_t)digit(data[i]); /* 255 if it is none: never equal */
            w->state = SUM_LOW;
            break;
        default:
            packet_end(w, digit(data[i]));
            break;
        }
    }
}

static void frame(struct gdb_buffer *b, char start, const char *data, size_t length)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < length; i++)
        sum = (uint8_t)(sum + (uint8_t)data[i]);
    b->length = 0;
    gdb_put(b, &start, 1);
    gdb_put(b, data, length);
    gdb_printf(b, "#%02x", sum);
}

void gdb_wire_send(struct gdb_wire *w, const char *data, size_t length)
{
    frame(&w->last, '$', data, length);
    if (!w->last.failed)
        w->write(w->ctx, w->last.data, w->last.length);
}

void gdb_wire_notify(struct gdb_wire *w, const char *data, size_t length)
{
    struct gdb_buffer b = {0};
    frame(&b, '%', data, length);
    if (!b.failed)
        w->write(w->ctx, b.data, b.length);
    gdb_buffer_free(&b);
}

/* ---- reading ---- */

bool gdb_get_hex(const char **s, uint64_t *value)
{
    const char *start = *s;
    uint64_t v = 0;
    int d;
    while ((d = digit((uint8_t) * *s)) >= 0) {
        if (v >> 60)
            return false;
        v = v << 4 | (unsigned)d;
        (*s)++;
    }
    *value = v;
    return *s != start;
}

int64_t gdb_get_thread(const char **s)
{
    uint64_t value;
    if (**s == 'p') {
        (*s)++;
        if (!gdb_get_word(s, "-1") && !gdb_get_hex(s, &value))
            return -2;
        if (**s != '.')
            return -1;
        (*s)++;
    }
    if (gdb_get_word(s, "-1"))
        return -1;
    return gdb_get_hex(s, &value) && value <= INT32_MAX ? (int64_t)value : -2;
}

bool gdb_get_bytes(const char **s, uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        int high = digit((uint8_t)(*s)[0]);
        int low = high < 0 ? -1 : digit((uint8_t)(*s)[1]);
        if (low < 0)
            return false;
        bytes[i] = (uint8_t)(high << 4 | low);
        *s += 2;
    }
    return true;
}

bool gdb_get_word(const char **s, const char *word)
{
    size_t n = strlen(word);
    if (strncmp(*s, word, n))
        return false;
    *s += n;
    return true;
}
