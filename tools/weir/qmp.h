/* SPDX-License-Identifier: MIT */
/*
 * qmp.h - QEMU's machine protocol: one JSON object per request, answer and event. A session per
 * connection; all in the loop's thread.
 */
#ifndef TOOL_QMP_H
#define TOOL_QMP_H

#include "tool.h"

#include <jansson.h>

enum { QMP_MESSAGE_MAX = 1 << 20, QMP_DEPTH_MAX = 64 };

/* Cuts a stream of bytes into JSON values without parsing them. */
struct json_splitter {
    struct strbuf text;
    unsigned depth;
    bool in_string, escaped, too_long;
};
void splitter_init(struct json_splitter *s);
void splitter_free(struct json_splitter *s);
/* Takes bytes up to the end of one value; returns how many. *complete: text holds a value, or
 * (too_long) what was skipped. Call splitter_next before the next byte. */
size_t splitter_feed(struct json_splitter *s, const char *data, size_t length, bool *complete);
void splitter_next(struct json_splitter *s);

struct qmp {
    struct tool *tool;
    void (*write)(void *ctx, const char *text, size_t length);
    void *ctx;
    bool pretty, negotiated;
    struct json_splitter splitter;
};
/* Sends the greeting. */
struct qmp *qmp_new(struct tool *tool, void (*write)(void *, const char *, size_t), void *ctx,
                    bool pretty);
void qmp_free(struct qmp *q);
void qmp_input(struct qmp *q, const uint8_t *data, size_t length);
void qmp_event(struct qmp *q, const struct machine_event *event);

/* ---- commands (qmp_commands.c) ---- */

struct qmp_call {
    struct tool *tool;
    json_t *arguments; /* object; checked against the command's parameters */
    char error[512];   /* GenericError when the function returns NULL */
};
struct qmp_parameter {
    const char *name;
    json_type type; /* JSON_TRUE stands for a boolean, JSON_NULL for any */
    bool optional;
};
struct qmp_command {
    const char *name;
    const char *help;
    struct qmp_parameter parameters[6];
    json_t *(*run)(struct qmp_call *c); /* new reference */
};
extern const struct qmp_command qmp_command_table[];
json_t *qmp_version(void);

#endif
