/* SPDX-License-Identifier: MIT */
/* qmp.c - sessions: greeting, negotiation, checking of requests, answers, events. */
#include "qmp.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void send_json(struct qmp *q, json_t *value)
{
    char *text = json_dumps(value, q->pretty ? JSON_INDENT(4) : 0);
    if (text) {
        q->write(q->ctx, text, strlen(text));
        q->write(q->ctx, "\n", 1);
    }
    free(text);
    json_decref(value);
}

json_t *qmp_version(void)
{
    unsigned major = 0, minor = 0, micro = 0;
    char package[64];
    sscanf(weir_version(), "%u.%u.%u", &major, &minor, &micro);
    snprintf(package, sizeof(package), "weir-%s", weir_version());
    return json_pack("{s:{s:i,s:i,s:i},s:s}", "qemu", "micro", micro, "minor", minor, "major",
                     major, "package", package);
}

struct qmp *qmp_new(struct tool *tool, void (*write)(void *, const char *, size_t), void *ctx,
                    bool pretty)
{
    struct qmp *q = calloc(1, sizeof(*q));
    if (!q)
        return NULL;
    q->tool = tool;
    q->write = write;
    q->ctx = ctx;
    q->pretty = pretty;
    splitter_init(&q->splitter);
    send_json(q, json_pack("{s:{s:o,s:[]}}", "QMP", "version", qmp_version(), "capabilities"));
    return q;
}

void qmp_free(struct qmp *q)
{
    if (!q)
        return;
    splitter_free(&q->splitter);
    free(q);
}

static void send_error(struct qmp *q, json_t *id, const char *class, const char *format, ...)
    WEIR_PRINTF(4, 5);

static void send_error(struct qmp *q, json_t *id, const char *class, const char *format, ...)
{
    char text[640];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    json_t *answer = json_object();
    json_object_set_new(answer, "error", json_pack("{s:s,s:s}", "class", class, "desc", text));
    if (id)
        json_object_set(answer, "id", id);
    send_json(q, answer);
}

void qmp_event(struct qmp *q, const struct machine_event *event)
{
    if (!q->negotiated)
        return;
    json_t *message =
        json_pack("{s:{s:I,s:I},s:s}", "timestamp", "seconds", (json_int_t)event->seconds,
                  "microseconds", (json_int_t)event->microseconds, "event", event->name);
    if (event->reason)
        json_object_set_new(
            message, "data",
            json_pack("{s:b,s:s}", "guest", event->from_guest, "reason", event->reason));
    send_json(q, message);
}

/* ---- requests ---- */

static const char *qmp_command_at(const void *ctx, unsigned i)
{
    return qmp_command_table[i].name;
}

static const struct qmp_command *find_command(const char *name)
{
    for (const struct qmp_command *c = qmp_command_table; c->name; c++)
        if (!strcmp(c->name, name))
            return c;
    return NULL;
}

static const char *type_name(json_type type)
{
    static const char *const names[] = {"object", "array",   "string",  "integer",
                                        "number", "boolean", "boolean", "any"};
    return names[type];
}

static bool has_type(const json_t *value, json_type type)
{
    if (type == JSON_TRUE)
        return json_is_boolean(value);
    return type == JSON_NULL || json_typeof(value) == type;
}

static const struct qmp_parameter *find_parameter(const struct qmp_command *command,
                                                  const char *name)
{
    for (unsigned k = 0; k < ARRAY_SIZE(command->parameters); k++)
        if (command->parameters[k].name && !strcmp(command->parameters[k].name, name))
            return &command->parameters[k];
    return NULL;
}

static bool check_arguments(struct qmp *q, json_t *id, const struct qmp_command *command,
                            json_t *arguments)
{
    const char *name;
    json_t *value;
    json_object_foreach(arguments, name, value)
    {
        const struct qmp_parameter *p = find_parameter(command, name);
        if (!p) {
            send_error(q, id, "GenericError", "Parameter '%.100s' is unexpected", name);
            return false;
        }
        if (!has_type(value, p->type)) {
            send_error(q, id, "GenericError", "Invalid parameter type for '%s', expected: %s",
                       name, type_name(p->type));
            return false;
        }
    }
    for (unsigned k = 0; k < ARRAY_SIZE(command->parameters); k++) {
        const struct qmp_parameter *p = &command->parameters[k];
        if (p->name && !p->optional && !json_object_get(arguments, p->name)) {
            send_error(q, id, "GenericError", "Parameter '%s' is missing", p->name);
            return false;
        }
    }
    return true;
}

static void run_command(struct qmp *q, json_t *id, const struct qmp_command *command,
                        json_t *arguments)
{
    struct qmp_call call = {.tool = q->tool, .arguments = arguments};
    json_t *result = NULL;
    pthread_mutex_lock(&q->tool->lock);
    if (q->tool->vm)
        result = command->run(&call);
    else
        snprintf(call.error, sizeof(call.error), "the machine is gone");
    pthread_mutex_unlock(&q->tool->lock);
    if (!result) {
        send_error(q, id, "GenericError", "%s", call.error);
        return;
    }
    json_t *answer = json_object();
    json_object_set_new(answer, "return", result);
    if (id)
        json_object_set(answer, "id", id);
    send_json(q, answer);
}

static void negotiate(struct qmp *q, json_t *id, json_t *arguments)
{
    json_t *enable = json_object_get(arguments, "enable");
    if (enable && json_array_size(enable)) {
        send_error(q, id, "GenericError", "Capability %s not available",
                   json_string_value(json_array_get(enable, 0)) ?: "?");
        return;
    }
    q->negotiated = true;
    json_t *answer = json_pack("{s:{}}", "return");
    if (id)
        json_object_set(answer, "id", id);
    send_json(q, answer);
}

static void dispatch(struct qmp *q, json_t *request)
{
    json_t *id = json_object_get(request, "id"), *empty = NULL, *value;
    const char *key;
    json_object_foreach(request, key, value)
    {
        if (strcmp(key, "execute") && strcmp(key, "arguments") && strcmp(key, "id")) {
            send_error(q, id, "GenericError", "QMP input member '%.100s' is unexpected", key);
            return;
        }
    }
    json_t *execute = json_object_get(request, "execute");
    json_t *arguments = json_object_get(request, "arguments");
    const char *name = json_string_value(execute);
    if (!name) {
        send_error(q, id, "GenericError",
                   execute ? "QMP input member 'execute' must be a string"
                           : "QMP input lacks member 'execute'");
        return;
    }
    if (arguments && !json_is_object(arguments)) {
        send_error(q, id, "GenericError", "QMP input member 'arguments' must be an object");
        return;
    }
    bool is_negotiation = !strcmp(name, "qmp_capabilities");
    const struct qmp_command *command = find_command(name);
    if (!q->negotiated && !is_negotiation) {
        send_error(q, id, "CommandNotFound",
                   "Expecting capabilities negotiation with 'qmp_capabilities'");
    } else if (!command) {
        send_error(q, id, "CommandNotFound",
                   "The command %.100s has not been found, the nearest is %s", name,
                   suggest(name, qmp_command_at, NULL));
    } else if (is_negotiation && q->negotiated) {
        send_error(q, id, "CommandNotFound",
                   "Capabilities negotiation is already complete, command ignored");
    } else {
        if (!arguments)
            arguments = empty = json_object();
        if (!check_arguments(q, id, command, arguments))
            ;
        else if (is_negotiation)
            negotiate(q, id, arguments);
        else
            run_command(q, id, command, arguments);
    }
    json_decref(empty);
}

static void handle_message(struct qmp *q)
{
    json_error_t error;
    if (q->splitter.too_long) {
        send_error(q, NULL, "GenericError", "JSON message is too long or nested too deeply");
        return;
    }
    json_t *request = json_loadb(q->splitter.text.data, q->splitter.text.length,
                                 JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!request)
        send_error(q, NULL, "GenericError", "JSON parse error, %s", error.text);
    else if (!json_is_object(request))
        send_error(q, NULL, "GenericError", "QMP input must be a JSON object");
    else
        dispatch(q, request);
    json_decref(request);
}

void qmp_input(struct qmp *q, const uint8_t *data, size_t length)
{
    while (length) {
        bool complete;
        size_t n = splitter_feed(&q->splitter, (const char *)data, length, &complete);
        data += n;
        length -= n;
        if (complete) {
            handle_message(q);
            splitter_next(&q->splitter);
        }
    }
}
