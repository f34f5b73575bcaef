/* SPDX-License-Identifier: MIT */
/* console.c - see console.h. */
#include "console.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void say(struct console *c, const char *text)
{
    if (c->person)
        stream_text(c->person, text, strlen(text));
}

/* ---- the guest's output ---- */

/* With timestamps on, every line begins with the time since the console was made. */
static void write_stamped(struct console *c, const uint8_t *data, size_t length)
{
    while (length) {
        const uint8_t *newline = memchr(data, '\n', length);
        size_t n = newline ? (size_t)(newline - data) + 1 : length;
        if (c->line_start) {
            char stamp[40];
            long long ms = host_time_ms() - c->started_ms;
            int k = snprintf(stamp, sizeof(stamp), "[%02lld:%02lld:%02lld.%03lld] ",
                             ms / 3600000, ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
            stream_write(c->person, stamp, (size_t)k);
        }
        stream_write(c->person, data, n);
        c->line_start = newline != NULL;
        data += n;
        length -= n;
    }
}

static void serial_input(void *ctx, const uint8_t *data, size_t length)
{
    struct console *c = ctx;
    c->tool->last_output_ms = host_time_ms();
    if (!c->person || c->person->dead)
        return; /* nobody listens: as on a cable that is not plugged in */
    if (c->timestamps)
        write_stamped(c, data, length);
    else
        stream_write(c->person, data, length);
    if (stream_is_full(c->person))
        stream_pause(c->serial, true);
}

static void serial_drained(void *ctx)
{
    struct console *c = ctx;
    if (c->person)
        stream_pause(c->person, false);
}

/* ---- the person's input ---- */

static void focus_monitor(struct console *c, bool on)
{
    if (!c->monitor || !c->serial || on == c->monitor_focus)
        return;
    c->monitor_focus = on;
    if (on && !c->greeted)
        monitor_banner(c->monitor);
    c->greeted |= on;
    if (on)
        monitor_prompt(c->monitor);
}

static void print_help(struct console *c)
{
    char text[600], key[12];
    int code = c->tool->options.escape_char;
    if (code < 27)
        snprintf(key, sizeof(key), "C-%c", 'a' + code - 1);
    else
        snprintf(key, sizeof(key), "0x%02x", code);
    snprintf(text, sizeof(text),
             "\n"
             "%s h    this help\n"
             "%s x    end weir\n"
             "%s s    write all data of the drives to their files\n"
             "%s t    switch timestamps of serial output on or off\n"
             "%s b    send a break (Linux: magic SysRq)\n"
             "%s c    switch between serial port and monitor\n"
             "%s %s  send %s itself\n",
             key, key, key, key, key, key, key, key, key);
    say(c, text);
}

static void escape_command(struct console *c, uint8_t key)
{
    weir *vm = c->tool->vm;
    switch (key) {
    case 'h':
    case '?':
        print_help(c);
        break;
    case 'x':
        say(c, "\nweir: ended from the terminal\n");
        c->tool->quitting = true;
        if (vm)
            weir_quit(vm);
        break;
    case 's':
        if (vm && weir_drives_flush(vm) < 0)
            say(c, "\nweir: writing the drives failed\n");
        break;
    case 't':
        c->timestamps = !c->timestamps;
        c->line_start = false;
        break;
    case 'b':
        if (vm && c->chr)
            weir_char_break(vm, c->chr);
        break;
    case 'c':
        focus_monitor(c, !c->monitor_focus);
        break;
    default:
        break;
    }
}

static void deliver(struct console *c, const uint8_t *data, size_t length)
{
    if (!length)
        return;
    if (c->monitor && (c->monitor_focus || !c->serial)) {
        monitor_input(c->monitor, data, length);
        return;
    }
    stream_write(c->serial, data, length);
    if (stream_is_full(c->serial) && c->person)
        stream_pause(c->person, true);
}

static void person_input(void *ctx, const uint8_t *data, size_t length)
{
    struct console *c = ctx;
    uint8_t escape = (uint8_t)c->tool->options.escape_char;
    size_t from = 0;
    if (!c->def->mux) {
        deliver(c, data, length);
        return;
    }
    for (size_t k = 0; k < length; k++) {
        if (c->escaped) {
            c->escaped = false;
            from = k + (data[k] != escape);
            if (data[k] == escape)
                continue; /* sent itself with what follows */
            pthread_mutex_lock(&c->tool->lock);
            escape_command(c, data[k]);
            pthread_mutex_unlock(&c->tool->lock);
        } else if (data[k] == escape) {
            deliver(c, data + from, k - from);
            c->escaped = true;
            from = k + 1;
        }
    }
    if (!c->escaped)
        deliver(c, data + from, length - from);
}

static void person_drained(void *ctx)
{
    struct console *c = ctx;
    if (c->serial)
        stream_pause(c->serial, false);
}

static void person_closed(void *ctx)
{
    struct console *c = ctx;
    if (!strcmp(c->def->spec, "stdio")) {
        c->tool->eof_at_ms = host_time_ms();
        if (c->serial && c->person->dead)
            stream_pause(c->serial, false);
        return; /* output goes on */
    }
    struct stream *gone = c->person;
    c->person = NULL;
    stream_free(gone);
    if (c->serial)
        stream_pause(c->serial, false);
    endpoint_release(c->endpoint);
}

bool console_input_done(const struct console *c)
{
    return !c->serial || !c->serial->out.length;
}

/* ---- life ---- */

static void monitor_write(void *ctx, const char *text, size_t length)
{
    struct console *c = ctx;
    if (c->person)
        stream_text(c->person, text, length);
}

static void person_connected(void *ctx, struct stream *stream)
{
    struct console *c = ctx;
    c->person = stream;
    stream->input = person_input;
    stream->closed = person_closed;
    stream->drained = person_drained;
    stream->ctx = c;
    c->escaped = false;
    if (c->monitor && !stream->is_tty && !stream->crlf)
        c->monitor->plain = true;
    if (c->monitor && !c->serial) {
        monitor_banner(c->monitor);
        monitor_prompt(c->monitor);
    } else if (c->monitor_focus) { /* where the one before left it */
        monitor_prompt(c->monitor);
    }
}

static bool make_pair(struct console *c)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return false;
    c->guest_fd = fds[1];
    c->serial = stream_new(&c->tool->loop, fds[0], fds[0], true);
    if (!c->serial) {
        close(fds[0]);
        return false;
    }
    c->serial->input = serial_input;
    c->serial->drained = serial_drained;
    c->serial->ctx = c;
    return true;
}

struct console *console_new(struct tool *t, const struct chardev *def, bool serial,
                            bool monitor, char *error, size_t bytes)
{
    struct console *c = calloc(1, sizeof(*c));
    snprintf(error, bytes, "%.300s: out of memory", def->spec);
    if (!c)
        return NULL;
    c->tool = t;
    c->def = def;
    c->guest_fd = -1;
    c->started_ms = host_time_ms();
    if ((serial && !make_pair(c)) ||
        (monitor && !(c->monitor = monitor_new(t, monitor_write, c, false)))) {
        console_free(c);
        return NULL;
    }
    c->endpoint = endpoint_open(&t->loop, def->spec, true, person_connected, c, error, bytes);
    if (!c->endpoint) {
        console_free(c);
        return NULL;
    }
    return c;
}

void console_free(struct console *c)
{
    if (!c)
        return;
    stream_free(c->person);
    stream_free(c->serial);
    if (c->guest_fd >= 0)
        close(c->guest_fd);
    endpoint_free(c->endpoint);
    monitor_free(c->monitor);
    free(c);
}
