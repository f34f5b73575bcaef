/* SPDX-License-Identifier: MIT */
/* monitor_machine.c - commands that do something to the machine, and `info`. */
#include "debug.h"
#include "monitor.h"
#include "option_parse.h"

#include <stdlib.h>
#include <string.h>
#include <weir/hostservice.h>

static void report(struct command_call *c, int error)
{
    if (error < 0)
        text_printf(c->out, "Error: %s\n", tool_error(c->tool));
}

/* ---- run control ---- */

void monitor_quit(struct command_call *c)
{
    c->tool->quitting = true;
    weir_quit(c->tool->vm);
}

void monitor_stop(struct command_call *c)
{
    tool_stop(c->tool);
}

void monitor_cont(struct command_call *c)
{
    const char *why_not;
    if (!tool_cont(c->tool, &why_not))
        text_printf(c->out, "Error: %s\n", why_not);
}

void monitor_system_reset(struct command_call *c)
{
    c->tool->guest_shutdown = false;
    weir_reset(c->tool->vm);
}
void monitor_system_powerdown(struct command_call *c)
{
    weir_powerdown(c->tool->vm);
}
void monitor_nmi(struct command_call *c)
{
    weir_nmi(c->tool->vm);
}

/* ---- keyboard and mouse ---- */

static const char *key_at(const void *ctx, unsigned i)
{
    return weir_key_name((int)i + 1);
}

/* The first part of "ctrl-alt-x" that is no key, into `name`. */
static bool unknown_key(const char *keys, char *name, size_t bytes)
{
    for (const char *s = keys;; s++) {
        size_t n = strcspn(s, "-");
        snprintf(name, bytes, "%.*s", (int)n, s);
        if (weir_key_by_name(name) < 0)
            return true;
        s += n;
        if (!*s)
            return false;
    }
}

void monitor_sendkey(struct command_call *c)
{
    char name[32];
    int64_t hold_ms = c->args[1].present ? c->args[1].number : 100;
    if (hold_ms < 0 || hold_ms > 60000) {
        text_printf(c->out, "sendkey: hold time is 0 to 60000 ms\n");
        return;
    }
    int error = weir_keys_send(c->tool->vm, c->args[0].string, (unsigned)hold_ms);
    if (error < 0 && unknown_key(c->args[0].string, name, sizeof(name)))
        text_printf(c->out, "unknown key: '%s', the nearest is '%s'\n", name,
                    suggest(name, key_at, NULL));
    else
        report(c, error);
}

/* Buttons stay as they were last set while the mouse moves. */
void monitor_mouse_move(struct command_call *c)
{
    weir_mouse_send(c->tool->vm, (int)c->args[0].number, (int)c->args[1].number,
                    (int)c->args[2].number, c->tool->mouse_buttons);
}

void monitor_mouse_button(struct command_call *c)
{
    c->tool->mouse_buttons = (unsigned)c->args[0].number & 7;
    weir_mouse_send(c->tool->vm, 0, 0, 0, c->tool->mouse_buttons);
}

/* ---- drives ---- */

static const char *drive_name_at(const void *ctx, unsigned i)
{
    const struct drive_state *d = ((const struct tool *)ctx)->drives;
    while (d && i--)
        d = d->next;
    return d ? d->id : NULL;
}

static bool known_drive(struct command_call *c, const char *id)
{
    if (tool_drive(c->tool, id))
        return true;
    text_printf(c->out, "Error: no drive '%s', the nearest is '%s'\n", id,
                suggest(id, drive_name_at, c->tool));
    return false;
}

void monitor_change(struct command_call *c)
{
    if (known_drive(c, c->args[0].string))
        report(c, tool_media(c->tool, c->args[0].string, c->args[1].string, false));
}

void monitor_eject(struct command_call *c)
{
    bool force = c->args[0].string && !strcmp(c->args[0].string, "-f");
    const char *id = force ? c->args[1].string : c->args[0].string;
    if (!id || (!force && c->args[1].present)) {
        text_printf(c->out, "eject: use eject [-f] drive\n");
        return;
    }
    if (known_drive(c, id))
        report(c, tool_media(c->tool, id, NULL, force));
}

void monitor_flush(struct command_call *c)
{
    report(c, weir_drives_flush(c->tool->vm));
}

/* ---- screen ---- */

void monitor_screendump(struct command_call *c)
{
    const char *error = save_screen(c->tool, c->args[0].string, c->args[1].string);
    if (error)
        text_printf(c->out, "Error: %s\n", error);
}

void monitor_screentext(struct command_call *c)
{
    report(c, weir_screen_text(c->tool->vm, c->out));
}

/* ---- clipboard ---- */

/* Control characters of the guest's text are not for a terminal. */
static void show_clipboard(struct command_call *c)
{
    size_t length = weir_clipboard_get(c->tool->vm, NULL, 0);
    char *text = malloc(length + 1);
    if (!text)
        return;
    size_t now = weir_clipboard_get(c->tool->vm, text, length);
    length = now < length ? now : length;
    for (size_t k = 0; k < length; k++)
        if ((unsigned char)text[k] < ' ' && text[k] != '\n' && text[k] != '\t')
            text[k] = '?';
    text[length] = 0;
    if (length)
        text_printf(c->out, "%s%s", text, text[length - 1] == '\n' ? "" : "\n");
    free(text);
}

void monitor_clipboard(struct command_call *c)
{
    const char *text = c->args[0].string;
    if (c->args[0].present && text)
        report(c, weir_clipboard_put(c->tool->vm, text, strlen(text)));
    else
        show_clipboard(c);
}

/* ---- log ---- */

void monitor_log(struct command_call *c)
{
    char unknown[64], error[512];
    uint32_t items = 0;
    const char *list = c->args[0].string;
    if (strcmp(list, "none") && log_items_parse(list, &items, unknown, sizeof(unknown))) {
        text_printf(c->out, "unknown log item: '%s'\n", unknown);
        log_items_help(c->out);
        return;
    }
    if (items && !tool_log_open(c->tool, NULL, error, sizeof(error))) {
        text_printf(c->out, "Error: %s\n", error);
        return;
    }
    weir_log_set(c->tool->vm, items);
}

void monitor_logfile(struct command_call *c)
{
    char error[512];
    if (!tool_log_open(c->tool, c->args[0].string, error, sizeof(error)))
        text_printf(c->out, "Error: %s\n", error);
}

void monitor_singlestep(struct command_call *c)
{
    const char *option = c->args[0].string;
    if (!option || !strcmp(option, "on"))
        weir_set_singlestep(c->tool->vm, true);
    else if (!strcmp(option, "off"))
        weir_set_singlestep(c->tool->vm, false);
    else
        text_printf(c->out, "unexpected option %s\n", option);
}

/* ---- info ---- */

static void info_status(struct command_call *c)
{
    const char *status = tool_status(c->tool);
    if (!strcmp(status, "running") || !strcmp(status, "paused"))
        text_printf(c->out, "VM status: %s\n", status);
    else
        text_printf(c->out, "VM status: paused (%s)\n", status);
}

static void info_version(struct command_call *c)
{
    text_printf(c->out, "%s\n", weir_version());
}

static void info_name(struct command_call *c)
{
    text_printf(c->out, "%s\n",
                c->tool->options.config.name ? c->tool->options.config.name : "");
}

static void info_uuid(struct command_call *c)
{
    for (unsigned k = 0; k < 16; k++)
        text_printf(c->out, "%s%02x", k == 4 || k == 6 || k == 8 || k == 10 ? "-" : "",
                    c->tool->options.config.uuid[k]);
    text_printf(c->out, "\n");
}

static void info_history(struct command_call *c)
{
    for (unsigned k = 0; c->monitor && k < c->monitor->history_count; k++)
        text_printf(c->out, "%u: '%s'\n", k, c->monitor->history[k]);
}

// clang-format off
const struct command tool_info_table[] = {
    {"status", NULL, "", "", "whether the machine runs", info_status},
    {"version", NULL, "", "", "the version of Weir", info_version},
    {"name", NULL, "", "", "the guest's name", info_name},
    {"uuid", NULL, "", "", "the guest's UUID", info_uuid},
    {"breakpoints", NULL, "", "", "breakpoints, watches and traces of the monitor",
     debug_info_breakpoints},
    {"events", NULL, "", "", "everything that is watched, by whom ever", debug_info_events},
    {"walk", NULL, "?l", "address", "how a virtual address is translated, level by level",
     debug_info_walk},
    {"history", NULL, "", "", "the last commands of this monitor", info_history},
    {NULL, NULL, NULL, NULL, NULL, NULL},
};
// clang-format on

static bool is_tool_topic(const char *topic)
{
    const struct command *k = tool_info_table;
    while (k->name && strcmp(k->name, topic))
        k++;
    return k->name != NULL;
}

static void list_topics(struct command_call *c)
{
    const char *topic, *help;
    for (const struct command *k = tool_info_table; k->name; k++)
        text_printf(c->out, "info %s%s%s -- %s\n", k->name, *k->params ? " " : "", k->params,
                    k->help);
    for (unsigned k = 0; (topic = weir_info_topic(c->tool->vm, k, &help)); k++)
        if (!is_tool_topic(topic))
            text_printf(c->out, "info %s%s%s\n", topic, help ? " -- " : "", help ? help : "");
}

static const char *topic_name_at(const void *ctx, unsigned i)
{
    const struct tool *t = ctx;
    unsigned k = 0;
    while (tool_info_table[k].name && k < i)
        k++;
    return tool_info_table[k].name ? tool_info_table[k].name
                                   : weir_info_topic(t->vm, i - k, NULL);
}

static bool known_topic(struct tool *t, const char *topic)
{
    const char *name;
    for (unsigned k = 0; (name = weir_info_topic(t->vm, k, NULL)); k++)
        if (!strcmp(name, topic))
            return true;
    return false;
}

static void info_of_tool(struct command_call *c, const struct command *k, const char *rest)
{
    struct command_call call = {.tool = c->tool, .out = c->out, .monitor = c->monitor};
    if (command_arguments(&call, k, rest))
        k->run(&call);
    for (unsigned i = 0; i < ARGUMENT_MAX; i++)
        free(call.args[i].string);
}

void monitor_info(struct command_call *c)
{
    char topic[128];
    snprintf(topic, sizeof(topic), "%s", c->args[0].string ? c->args[0].string : "help");
    for (size_t n = strlen(topic); n && topic[n - 1] == ' ';)
        topic[--n] = 0;
    if (!strcmp(topic, "help")) {
        list_topics(c);
        return;
    }
    size_t length = strcspn(topic, " ");
    for (const struct command *k = tool_info_table; k->name; k++) {
        if (strlen(k->name) == length && !strncmp(k->name, topic, length)) {
            info_of_tool(c, k, topic + length);
            return;
        }
    }
    if (!known_topic(c->tool, topic)) {
        text_printf(c->out, "unknown topic: '%s', the nearest is '%s'\n", topic,
                    suggest(topic, topic_name_at, c->tool));
        return;
    }
    weir_hold(c->tool->vm);
    report(c, weir_info(c->tool->vm, topic, c->out));
    weir_release(c->tool->vm);
}
