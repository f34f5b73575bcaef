/* SPDX-License-Identifier: MIT */
/*
 * char.c - character devices: attaching, input with back-pressure, events, closing.
 * Output is in char_output.c, opening in char_fd.c and char_socket.c.
 */
#include "backend/char_internal.h"
#include "base/bits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct weir_char *char_alloc(struct io_loop *loop, const char *id, enum char_kind kind)
{
    struct weir_char *chr = calloc(1, sizeof(*chr));
    if (!chr)
        return NULL;
    snprintf(chr->id, sizeof(chr->id), "%s", id ? id : "");
    chr->kind = kind;
    chr->loop = loop;
    chr->in_fd = chr->out_fd = chr->listen_fd = -1;
    return chr;
}

/* ---- the device's side ---- */

void char_event(struct weir_char *chr, int event)
{
    if (chr->attached && !chr->closing && chr->device.event)
        chr->device.event(chr->device.ctx, event);
}

void char_break(struct weir_char *chr)
{
    char_event(chr, CHAR_BREAK);
}

static unsigned device_room(const struct weir_char *chr)
{
    if (!chr->attached || !chr->device.can_receive || !chr->device.receive)
        return 0;
    return chr->device.can_receive(chr->device.ctx);
}

void char_attach(struct weir_char *chr, const struct char_device *device)
{
    if (!chr)
        return;
    chr->device = *device;
    chr->attached = true;
    if (chr->connected)
        char_event(chr, CHAR_OPENED);
    char_update_watch(chr);
}

void char_write(struct weir_char *chr, const uint8_t *data, unsigned length)
{
    if (!chr || !length)
        return;
    if (chr->kind == CHAR_CALLBACK) {
        chr->written_bytes += length;
        chr->callback(chr->callback_ctx, data, length);
        return;
    }
    if (!chr->connected || chr->out_fd < 0)
        return; /* nobody is there: as a cable that is not plugged in */
    char_queue(chr, data, length);
    chr->full |= !char_can_write(chr);
    if (chr->loop)
        char_update_watch(chr);
    else
        char_flush(chr);
}

bool char_can_write(const struct weir_char *chr)
{
    return !chr || chr->lossy || chr->out_count < CHAR_SOFT_LIMIT;
}

void char_set_writable(struct weir_char *chr, void (*writable)(void *ctx))
{
    chr->writable = writable;
}

static void tell_writable(struct weir_char *chr)
{
    if (!chr->full || chr->out_count > CHAR_SOFT_LIMIT / 2)
        return;
    chr->full = false;
    if (chr->attached && !chr->closing && chr->writable)
        chr->writable(chr->device.ctx);
}

/* receive() may itself call char_accept_input: the flag keeps that from recursing. */
void char_deliver(struct weir_char *chr)
{
    if (chr->delivering)
        return;
    chr->delivering = true;
    while (chr->in_count) {
        unsigned n = device_room(chr);
        if (n > chr->in_count)
            n = chr->in_count;
        if (!n)
            break;
        const uint8_t *data = chr->in + chr->in_first;
        chr->in_first += n;
        chr->in_count -= n;
        chr->device.receive(chr->device.ctx, data, n);
    }
    chr->delivering = false;
}

void char_accept_input(struct weir_char *chr)
{
    if (!chr || chr->delivering)
        return;
    char_deliver(chr);
    char_update_watch(chr);
}

size_t char_feed(struct weir_char *chr, const uint8_t *data, size_t length)
{
    size_t taken = 0;
    while (taken < length) {
        size_t n = device_room(chr);
        if (n > length - taken)
            n = length - taken;
        if (!n)
            break;
        chr->device.receive(chr->device.ctx, data + taken, (unsigned)n);
        taken += n;
    }
    chr->read_bytes += taken;
    return taken;
}

/* ---- the host's side ---- */

static void watch_fd(struct weir_char *chr, struct io_watch *watch, bool *watched, int fd,
                     void (*ready)(void *, unsigned))
{
    if (*watched || fd < 0 || !chr->loop)
        return;
    *watch = (struct io_watch){.fd = fd, .ready = ready, .ctx = chr};
    io_watch_add(chr->loop, watch);
    *watched = true;
}

static void unwatch_fd(struct weir_char *chr, struct io_watch *watch, bool *watched)
{
    if (*watched)
        io_watch_remove(chr->loop, watch);
    *watched = false;
}

/* The end of input (of a pipe, say) leaves output alone where the two are apart. */
static void input_ended(struct weir_char *chr)
{
    if (chr->out_fd < 0 || chr->out_fd == chr->in_fd) {
        char_set_closed(chr);
        return;
    }
    unwatch_fd(chr, &chr->watch, &chr->watched);
    if (chr->owns_fds)
        close(chr->in_fd);
    chr->in_fd = -1;
    char_event(chr, CHAR_CLOSED);
}

static void read_input(struct weir_char *chr)
{
    unsigned room = device_room(chr);
    if (chr->in_count || !room)
        return;
    if (room > sizeof(chr->in))
        room = sizeof(chr->in);
    ssize_t n = read(chr->in_fd, chr->in, room);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        input_ended(chr);
        return;
    }
    chr->read_bytes += (uint64_t)n;
    chr->in_first = 0;
    chr->in_count = (unsigned)char_telnet_filter(chr, chr->in, (size_t)n);
    char_deliver(chr);
}

static void input_ready(void *ctx, unsigned events)
{
    struct weir_char *chr = ctx;
    if (events & IO_WRITABLE && chr->out_fd == chr->in_fd && !char_flush(chr)) {
        char_set_closed(chr);
        return;
    }
    if (events & (IO_READABLE | IO_HANGUP))
        read_input(chr);
    char_update_watch(chr);
    tell_writable(chr);
}

static void output_ready(void *ctx, unsigned events)
{
    struct weir_char *chr = ctx;
    (void)events;
    if (!char_flush(chr)) {
        char_set_closed(chr);
        return;
    }
    char_update_watch(chr);
    tell_writable(chr);
}

void char_update_watch(struct weir_char *chr)
{
    bool wants_input = chr->connected && chr->in_fd >= 0 && !chr->in_count && device_room(chr);
    unsigned input = wants_input ? IO_READABLE : 0;
    unsigned output = chr->out_count ? IO_WRITABLE : 0;
    bool shared = chr->in_fd >= 0 && chr->in_fd == chr->out_fd;
    if (chr->watched)
        io_watch_set(chr->loop, &chr->watch, input | (shared ? output : 0));
    if (chr->out_watched)
        io_watch_set(chr->loop, &chr->out_watch, output);
}

void char_set_connected(struct weir_char *chr)
{
    chr->connected = true;
    chr->in_first = chr->in_count = 0;
    watch_fd(chr, &chr->watch, &chr->watched, chr->in_fd, input_ready);
    if (chr->out_fd != chr->in_fd)
        watch_fd(chr, &chr->out_watch, &chr->out_watched, chr->out_fd, output_ready);
    char_event(chr, CHAR_OPENED);
    char_update_watch(chr);
}

static void close_fds(struct weir_char *chr)
{
    if (chr->owns_fds) {
        if (chr->in_fd >= 0)
            close(chr->in_fd);
        if (chr->out_fd >= 0 && chr->out_fd != chr->in_fd)
            close(chr->out_fd);
    }
    chr->in_fd = chr->out_fd = -1;
}

void char_set_closed(struct weir_char *chr)
{
    if (!chr->connected)
        return;
    unwatch_fd(chr, &chr->watch, &chr->watched);
    unwatch_fd(chr, &chr->out_watch, &chr->out_watched);
    close_fds(chr);
    chr->connected = false;
    chr->dropped_bytes += chr->out_count;
    chr->out_count = 0;
    if (chr->listen_watched)
        io_watch_set(chr->loop, &chr->listen_watch, IO_READABLE);
    char_event(chr, CHAR_CLOSED);
    tell_writable(chr);
}

/* ---- all kinds ---- */

const char *char_id(const struct weir_char *chr)
{
    return chr->id;
}
const char *char_where(const struct weir_char *chr)
{
    return chr->where;
}
bool char_connected(const struct weir_char *chr)
{
    return chr && chr->connected;
}

void char_describe(const struct weir_char *chr, struct weir_text *out)
{
    weir_textf(out, "%s: filename=%s%s", chr->id, chr->where,
               chr->connected || chr->kind == CHAR_NULL ? "" : " (not connected)");
    if (chr->dropped_bytes)
        weir_textf(out, ", %llu bytes dropped", (unsigned long long)chr->dropped_bytes);
    weir_textf(out, "\n");
}

struct weir_char *char_new_callback(const char *id,
                                    void (*write)(void *, const uint8_t *, size_t), void *ctx)
{
    struct weir_char *chr = char_alloc(NULL, id, CHAR_CALLBACK);
    if (!chr)
        return NULL;
    chr->callback = write;
    chr->callback_ctx = ctx;
    chr->connected = true;
    snprintf(chr->where, sizeof(chr->where), "embedder");
    return chr;
}

void char_close(struct weir_char *chr)
{
    if (!chr)
        return;
    chr->closing = true;
    if (chr->connected && chr->out_count)
        char_drain(chr, 1000);
    char_set_closed(chr);
    close_fds(chr); /* opened, but never connected */
    if (chr->listen_watched)
        io_watch_remove(chr->loop, &chr->listen_watch);
    if (chr->listen_fd >= 0)
        close(chr->listen_fd);
    if (chr->unlink_path)
        unlink(chr->unlink_path);
    if (chr->termios_saved)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &chr->saved_termios);
    free(chr->unlink_path);
    free(chr->out);
    free(chr);
}

/* ---- opening ---- */

static int open_null(struct weir_char *chr, const char *args, struct err *err)
{
    if (*args)
        return err_set(err, WEIR_EINVAL, "null takes no argument: '%s'", args);
    snprintf(chr->where, sizeof(chr->where), "null");
    return 0;
}

int char_open(struct io_loop *loop, const char *id, const char *spec, struct weir_char **out,
              struct err *err)
{
    // clang-format off
    static const struct {
        const char *name;
        enum char_kind kind;
        int (*open)(struct weir_char *chr, const char *args, struct err *err);
    } openers[] = {
        {"null",   CHAR_NULL,   open_null},
        {"stdio",  CHAR_FD,     char_open_stdio},
        {"file",   CHAR_FD,     char_open_file},
        {"pipe",   CHAR_FD,     char_open_pipe},
        {"fd",     CHAR_FD,     char_open_fd},
        {"pty",    CHAR_PTY,    char_open_pty},
        {"tcp",    CHAR_SOCKET, char_open_tcp},
        {"telnet", CHAR_SOCKET, char_open_telnet},
        {"unix",   CHAR_SOCKET, char_open_unix},
    };
    // clang-format on
    *out = NULL;
    size_t length = strcspn(spec, ":");
    for (unsigned k = 0; k < ARRAY_SIZE(openers); k++) {
        if (strlen(openers[k].name) != length || memcmp(openers[k].name, spec, length))
            continue;
        struct weir_char *chr = char_alloc(loop, id, openers[k].kind);
        if (!chr)
            return err_set(err, WEIR_ENOMEM, "%s: out of memory", spec);
        int error = openers[k].open(chr, spec[length] ? spec + length + 1 : "", err);
        if (error < 0) {
            char_close(chr);
            return error;
        }
        *out = chr;
        return 0;
    }
    return err_set(err, WEIR_EINVAL, "'%s': unknown kind of character device", spec);
}
