/* SPDX-License-Identifier: MIT */
/* client.h - connections of a monitor or of QMP: as many as want to come to one endpoint. */
#ifndef TOOL_CLIENT_H
#define TOOL_CLIENT_H

#include "endpoint.h"
#include "qmp.h"
#include "tool.h"

struct client {
    struct tool *tool;
    struct stream *stream;
    struct monitor *monitor; /* or */
    struct qmp *qmp;
    bool dying; /* freed when its callback has returned */
    struct client *next;
};

/* Opens an endpoint whose connections get a monitor or QMP. False with a text. */
bool client_listen(struct tool *t, const struct chardev *def, const struct user *user,
                   char *error, size_t bytes);
/* Sends queued machine events to QMP clients, frees dead ones. Loop's thread. */
void clients_service(struct tool *t);
void clients_flush(struct tool *t, int timeout_ms);
void clients_free(struct tool *t);

#endif
