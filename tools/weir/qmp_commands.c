/* SPDX-License-Identifier: MIT */
/* qmp_commands.c - what QMP clients can ask for. */
#include "monitor.h"
#include "qmp.h"

#include <stdlib.h>
#include <string.h>

static json_t *done(void)
{
    return json_object();
}

static json_t *fail(struct qmp_call *c, const char *text)
{
    snprintf(c->error, sizeof(c->error), "%s", text);
    return NULL;
}

static json_t *checked(struct qmp_call *c, int error)
{
    return error < 0 ? fail(c, tool_error(c->tool)) : done();
}

static const char *string_of(struct qmp_call *c, const char *name)
{
    return json_string_value(json_object_get(c->arguments, name));
}

static json_int_t integer_of(struct qmp_call *c, const char *name, json_int_t initial)
{
    json_t *value = json_object_get(c->arguments, name);
    return value ? json_integer_value(value) : initial;
}

/* ---- questions ---- */

static json_t *query_version(struct qmp_call *c)
{
    return qmp_version();
}

static json_t *query_status(struct qmp_call *c)
{
    const char *status = tool_status(c->tool);
    return json_pack("{s:s,s:b,s:b}", "status", status, "singlestep",
                     weir_is_singlestep(c->tool->vm), "running", !strcmp(status, "running"));
}

static json_t *query_commands(struct qmp_call *c)
{
    json_t *list = json_array();
    for (const struct qmp_command *k = qmp_command_table; k->name; k++)
        json_array_append_new(list, json_pack("{s:s}", "name", k->name));
    return list;
}

static json_t *query_name(struct qmp_call *c)
{
    const char *name = c->tool->options.config.name;
    return name ? json_pack("{s:s}", "name", name) : json_object();
}

static json_t *query_uuid(struct qmp_call *c)
{
    char text[40];
    unsigned n = 0;
    for (unsigned k = 0; k < 16; k++)
        n += (unsigned)snprintf(text + n, sizeof(text) - n, "%s%02x",
                                k == 4 || k == 6 || k == 8 || k == 10 ? "-" : "",
                                c->tool->options.config.uuid[k]);
    return json_pack("{s:s}", "UUID", text);
}

static json_t *query_kvm(struct qmp_call *c)
{
    return json_pack("{s:b,s:b}", "enabled", 0, "present", 0);
}

static json_t *query_block(struct qmp_call *c)
{
    json_t *list = json_array();
    for (const struct drive_state *d = c->tool->drives; d; d = d->next) {
        json_t *drive = json_pack("{s:s,s:s,s:b,s:b}", "device", d->id, "type", "unknown",
                                  "removable", d->removable, "locked", 0);
        if (d->file)
            json_object_set_new(drive, "inserted",
                                json_pack("{s:s,s:s,s:b,s:b}", "file", d->file, "drv", "raw",
                                          "ro", d->read_only, "encrypted", 0));
        json_array_append_new(list, drive);
    }
    return list;
}

static json_t *query_chardev(struct qmp_call *c)
{
    json_t *list = json_array();
    for (const struct chardev *d = c->tool->options.chardevs; d; d = d->next)
        json_array_append_new(list, json_pack("{s:s,s:s,s:b}", "label", d->id, "filename",
                                              d->spec, "frontend-open", d->user_count != 0));
    return list;
}

/* ---- run control ---- */

static json_t *stop(struct qmp_call *c)
{
    tool_stop(c->tool);
    return done();
}

static json_t *cont(struct qmp_call *c)
{
    const char *why_not;
    return tool_cont(c->tool, &why_not) ? done() : fail(c, why_not);
}

static json_t *quit(struct qmp_call *c)
{
    c->tool->quitting = true;
    weir_quit(c->tool->vm);
    return done();
}

static json_t *system_reset(struct qmp_call *c)
{
    c->tool->guest_shutdown = false;
    weir_reset(c->tool->vm);
    return done();
}

static json_t *system_powerdown(struct qmp_call *c)
{
    weir_powerdown(c->tool->vm);
    return done();
}

static json_t *inject_nmi(struct qmp_call *c)
{
    weir_nmi(c->tool->vm);
    return done();
}

/* ---- screen, keys, memory ---- */

static json_t *screendump(struct qmp_call *c)
{
    const char *format = string_of(c, "format");
    const char *error = save_screen(c->tool, string_of(c, "filename"), format ? format : "ppm");
    return error ? fail(c, error) : done();
}

/* The elements of send-key's list as "ctrl-alt-delete". */
static bool join_keys(struct qmp_call *c, struct strbuf *b)
{
    size_t index;
    json_t *key;
    json_array_foreach(json_object_get(c->arguments, "keys"), index, key)
    {
        const char *type = json_string_value(json_object_get(key, "type"));
        const char *data = json_string_value(json_object_get(key, "data"));
        if (!type || strcmp(type, "qcode") || !data || !*data) {
            fail(c, "a key is {\"type\": \"qcode\", \"data\": NAME}");
            return false;
        }
        if (weir_key_by_name(data) < 0) {
            snprintf(c->error, sizeof(c->error), "Invalid parameter '%.100s'", data);
            return false;
        }
        strbuf_printf(b, "%s%s", b->length ? "-" : "", data);
    }
    if (!b->length)
        fail(c, "Parameter 'keys' is empty");
    return b->length != 0;
}

static json_t *send_key(struct qmp_call *c)
{
    struct strbuf keys;
    json_int_t hold_ms = integer_of(c, "hold-time", 100);
    if (hold_ms < 0 || hold_ms > 60000)
        return fail(c, "Parameter 'hold-time' expects 0 to 60000");
    strbuf_init(&keys);
    json_t *result = NULL;
    if (join_keys(c, &keys))
        result = checked(c, weir_keys_send(c->tool->vm, keys.data, (unsigned)hold_ms));
    strbuf_free(&keys);
    return result;
}

static json_t *save(struct qmp_call *c, bool physical)
{
    const char *error =
        save_memory(c->tool, physical, (uint64_t)integer_of(c, "val", 0),
                    (uint64_t)integer_of(c, "size", 0), string_of(c, "filename"));
    return error ? fail(c, error) : done();
}

static json_t *memsave(struct qmp_call *c)
{
    if (integer_of(c, "cpu-index", 0) != 0)
        return fail(c, "Parameter 'cpu-index' expects a CPU number");
    return save(c, false);
}
static json_t *pmemsave(struct qmp_call *c)
{
    return save(c, true);
}

static json_t *human_monitor_command(struct qmp_call *c)
{
    struct strbuf out, lines;
    if (integer_of(c, "cpu-index", 0) != 0)
        return fail(c, "Parameter 'cpu-index' expects a CPU number");
    strbuf_init(&out);
    strbuf_init(&lines);
    command_execute(c->tool, NULL, string_of(c, "command-line"), &out.text);
    for (const char *s = out.data; *s; s++) {
        if (*s == '\n')
            strbuf_add(&lines, "\r", 1);
        strbuf_add(&lines, s, 1);
    }
    json_t *result = json_string(lines.data);
    strbuf_free(&out);
    strbuf_free(&lines);
    return result ? result : fail(c, "the answer is not UTF-8");
}

/* ---- media ---- */

static json_t *eject(struct qmp_call *c)
{
    const char *id = string_of(c, "device") ?: string_of(c, "id");
    if (!id || !tool_drive(c->tool, id))
        return fail(c, id ? "Device not found" : "Parameter 'device' is missing");
    bool force = json_is_true(json_object_get(c->arguments, "force"));
    return checked(c, tool_media(c->tool, id, NULL, force));
}

static json_t *change_medium(struct qmp_call *c)
{
    const char *id = string_of(c, "device") ?: string_of(c, "id");
    if (!id || !tool_drive(c->tool, id))
        return fail(c, id ? "Device not found" : "Parameter 'device' is missing");
    bool force = json_is_true(json_object_get(c->arguments, "force"));
    return checked(c, tool_media(c->tool, id, string_of(c, "filename"), force));
}

static json_t *unused(struct qmp_call *c)
{
    return done();
}

// clang-format off
#define STRING(name) {name, JSON_STRING, false}
#define MAYBE_STRING(name) {name, JSON_STRING, true}
#define INTEGER(name) {name, JSON_INTEGER, false}
#define MAYBE_INTEGER(name) {name, JSON_INTEGER, true}
const struct qmp_command qmp_command_table[] = {
    {"qmp_capabilities", "begin the session", {{"enable", JSON_ARRAY, true}}, unused},
    {"query-version", "version of Weir", {{0}}, query_version},
    {"query-status", "whether the machine runs", {{0}}, query_status},
    {"query-commands", "the names of all commands", {{0}}, query_commands},
    {"query-name", "the guest's name", {{0}}, query_name},
    {"query-uuid", "the guest's UUID", {{0}}, query_uuid},
    {"query-kvm", "that KVM is not used", {{0}}, query_kvm},
    {"query-block", "drives and their media", {{0}}, query_block},
    {"query-chardev", "character devices", {{0}}, query_chardev},
    {"stop", "stop the machine", {{0}}, stop},
    {"cont", "let the machine run again", {{0}}, cont},
    {"quit", "end weir", {{0}}, quit},
    {"system_reset", "press the reset button", {{0}}, system_reset},
    {"system_powerdown", "press the power button", {{0}}, system_powerdown},
    {"inject-nmi", "inject a non-maskable interrupt", {{0}}, inject_nmi},
    {"screendump", "write a picture of the screen (format: ppm or png)",
     {STRING("filename"), MAYBE_STRING("format")}, screendump},
    {"send-key", "press keys together and release them after hold-time ms",
     {{"keys", JSON_ARRAY, false}, MAYBE_INTEGER("hold-time")}, send_key},
    {"memsave", "save virtual memory to a file",
     {INTEGER("val"), INTEGER("size"), STRING("filename"), MAYBE_INTEGER("cpu-index")},
     memsave},
    {"pmemsave", "save physical memory to a file",
     {INTEGER("val"), INTEGER("size"), STRING("filename")}, pmemsave},
    {"eject", "take the medium out of a drive",
     {MAYBE_STRING("device"), MAYBE_STRING("id"), {"force", JSON_TRUE, true}}, eject},
    {"blockdev-change-medium", "put another medium into a drive",
     {STRING("filename"), MAYBE_STRING("device"), MAYBE_STRING("id"),
      {"force", JSON_TRUE, true}}, change_medium},
    {"human-monitor-command", "run a command of the monitor, returns its text",
     {STRING("command-line"), MAYBE_INTEGER("cpu-index")}, human_monitor_command},
    {NULL, NULL, {{0}}, NULL},
};
// clang-format on
