/* SPDX-License-Identifier: MIT */
/* client.c - see client.h. */
#include "client.h"
#include "monitor.h"

#include <stdlib.h>
#include <string.h>

/* What an endpoint gives its connections. Lives as long as the tool. */
struct factory {
    struct tool *tool;
    bool is_qmp, pretty;
    struct endpoint *endpoint;
    struct factory *next;
};

static void client_write(void *ctx, const char *text, size_t length)
{
    struct client *c = ctx;
    stream_text(c->stream, text, length);
}

static void client_input(void *ctx, const uint8_t *data, size_t length)
{
    struct client *c = ctx;
    if (c->qmp)
        qmp_input(c->qmp, data, length);
    else
        monitor_input(c->monitor, data, length);
}

/* Freed by clients_service: this is called from inside the client's own stream. */
static void client_closed(void *ctx)
{
    struct client *c = ctx;
    bool is_stdio = !c->stream->owned;
    if (is_stdio)
        c->tool->eof_at_ms = host_time_ms();
    c->dying = c->stream->dead || !is_stdio;
}

static void client_connected(void *ctx, struct stream *stream)
{
    struct factory *f = ctx;
    struct client *c = calloc(1, sizeof(*c));
    if (!c) {
        stream_free(stream);
        return;
    }
    c->tool = f->tool;
    c->stream = stream;
    stream->input = client_input;
    stream->closed = client_closed;
    stream->ctx = c;
    if (f->is_qmp)
        c->qmp = qmp_new(f->tool, client_write, c, f->pretty);
    else
        c->monitor = monitor_new(f->tool, client_write, c, !stream->is_tty && !stream->crlf);
    c->next = f->tool->clients;
    f->tool->clients = c;
    if (c->monitor) {
        monitor_banner(c->monitor);
        monitor_prompt(c->monitor);
    } else if (!c->qmp) {
        c->dying = true;
    }
}

bool client_listen(struct tool *t, const struct chardev *def, const struct user *user,
                   char *error, size_t bytes)
{
    struct factory *f = calloc(1, sizeof(*f));
    if (!f) {
        snprintf(error, bytes, "out of memory");
        return false;
    }
    f->tool = t;
    f->is_qmp = user->role == USER_QMP;
    f->pretty = user->pretty;
    f->next = t->factories;
    t->factories = f;
    f->endpoint = endpoint_open(&t->loop, def->spec, false, client_connected, f, error, bytes);
    return f->endpoint != NULL;
}

static void client_free(struct client *c)
{
    stream_free(c->stream);
    monitor_free(c->monitor);
    qmp_free(c->qmp);
    free(c);
}

static void send_events(struct tool *t)
{
    struct machine_event events[ARRAY_SIZE(t->events)];
    pthread_mutex_lock(&t->event_lock);
    unsigned count = t->event_count;
    memcpy(events, t->events, count * sizeof(events[0]));
    t->event_count = 0;
    pthread_mutex_unlock(&t->event_lock);
    for (unsigned k = 0; k < count; k++)
        for (struct client *c = t->clients; c; c = c->next)
            if (c->qmp && !c->dying)
                qmp_event(c->qmp, &events[k]);
}

void clients_service(struct tool *t)
{
    send_events(t);
    for (struct client **at = &t->clients; *at;) {
        struct client *c = *at;
        if (!c->dying && !c->stream->dead) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        client_free(c);
    }
}

void clients_flush(struct tool *t, int timeout_ms)
{
    send_events(t);
    for (struct client *c = t->clients; c; c = c->next)
        stream_flush(c->stream, timeout_ms);
}

void clients_free(struct tool *t)
{
    while (t->clients) {
        struct client *c = t->clients;
        t->clients = c->next;
        client_free(c);
    }
    while (t->factories) {
        struct factory *f = t->factories;
        t->factories = f->next;
        endpoint_free(f->endpoint);
        free(f);
    }
}
