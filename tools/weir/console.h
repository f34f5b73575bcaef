/* SPDX-License-Identifier: MIT */
/*
 * console.h - one terminal (or socket, or pty) for a serial port, and with mux=on also for a
 * monitor: an escape key chooses who gets the input.
 *
 *      person <-> stream <-> console <-> socket pair <-> serial port of the guest
 *                                 \----> monitor
 *
 * The socket pair gives the guest's side back-pressure in both directions.
 */
#ifndef TOOL_CONSOLE_H
#define TOOL_CONSOLE_H

#include "endpoint.h"
#include "monitor.h"

struct console {
    struct tool *tool;
    const struct chardev *def;
    struct endpoint *endpoint;
    struct stream *person; /* NULL: nobody connected */
    struct stream *serial; /* our end of the pair; NULL: no serial port here */
    int guest_fd;          /* the other end, for weir_char_open "fd:N" */
    weir_char *chr;
    struct monitor *monitor;
    bool monitor_focus, escaped, greeted, timestamps, line_start;
    int64_t started_ms;
    struct console *next;
};

/* Makes one for a chardev with these users; opens its endpoint. NULL with a text. */
struct console *console_new(struct tool *t, const struct chardev *def, bool serial,
                            bool monitor, char *error, size_t bytes);
void console_free(struct console *c);
/* Input has ended and all of it has gone to the guest. */
bool console_input_done(const struct console *c);

#endif
