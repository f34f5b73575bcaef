/* SPDX-License-Identifier: MIT */
/*
 * option_char.c - who talks to whom: serial ports, debug console, monitor and QMP on terminals,
 * files and sockets. Every form ends as a struct chardev with users; -serial SPEC makes one of
 * its own.
 */
#include "option_parse.h"

#include <stdlib.h>
#include <string.h>

/* ---- backends ---- */

static const char *const spec_kinds[] = {"null", "none", "stdio",  "pty",  "file",
                                         "pipe", "tcp",  "telnet", "unix", NULL};

static bool is_kind(const char *spec, const char *kind)
{
    size_t n = strlen(kind);
    return !strncmp(spec, kind, n) && (!spec[n] || spec[n] == ':');
}

static enum parse_result check_spec(struct options *o, const char *what, const char *spec)
{
    static const char *const socket_words[] = {"server",  "wait",  "nowait", "telnet",
                                               "nodelay", "delay", NULL};
    char kind[32];
    struct props p;
    snprintf(kind, sizeof(kind), "%.*s", (int)strcspn(spec, ":,"), spec);
    if (option_choice(o, what, kind, spec_kinds) < 0)
        return PARSE_FAIL;
    bool is_socket = is_kind(spec, "tcp") || is_kind(spec, "telnet") || is_kind(spec, "unix");
    bool has_path = is_socket || is_kind(spec, "file") || is_kind(spec, "pipe");
    const char *rest = spec + strlen(kind);
    if (has_path ? rest[0] != ':' || !rest[1] || rest[1] == ',' : *rest != 0)
        return option_fail(o,
                           has_path ? "%s: '%s' needs an address after '%s:'"
                                    : "%s: '%s': %s takes nothing after it",
                           what, spec, kind);
    const char *comma = is_socket ? strchr(rest, ',') : NULL;
    if (!comma)
        return PARSE_OK;
    enum parse_result result = option_props(o, &p, what, comma + 1, NULL, socket_words);
    if (result == PARSE_OK)
        props_free(&p);
    return result;
}

static struct chardev *find_chardev(struct options *o, const char *id)
{
    struct chardev *c = o->chardevs;
    while (c && strcmp(c->id, id))
        c = c->next;
    return c;
}

static const char *chardev_at(const void *ctx, unsigned i)
{
    const struct chardev *c = ((const struct options *)ctx)->chardevs;
    while (c && i--)
        c = c->next;
    return c ? c->id : NULL;
}

static struct chardev *add_chardev(struct options *o, const char *what, const char *id,
                                   const char *spec)
{
    struct chardev **end = &o->chardevs;
    for (; *end; end = &(*end)->next) {
        if (!strcmp((*end)->id, id)) {
            option_fail(o, "%s: there is already a character device '%s'", what, id);
            return NULL;
        }
        if (!strcmp(spec, "stdio") && !strcmp((*end)->spec, "stdio")) {
            option_fail(o,
                        "%s: standard input and output are already used by '%s'; "
                        "mon:stdio shares them",
                        what, (*end)->id);
            return NULL;
        }
    }
    *end = calloc(1, sizeof(**end));
    if (!*end) {
        option_fail(o, "out of memory");
        return NULL;
    }
    (*end)->id = option_printf(o, "%s", id);
    (*end)->spec = option_printf(o, "%s", spec);
    (*end)->signals = true;
    return *end;
}

static enum parse_result add_user(struct options *o, const char *what, struct chardev *c,
                                  struct user user)
{
    for (unsigned k = 0; k < c->user_count; k++) {
        bool console = c->users[k].role == USER_MONITOR || c->users[k].role == USER_QMP;
        bool new_console = user.role == USER_MONITOR || user.role == USER_QMP;
        if (!c->mux || console == new_console || user.role == USER_QMP ||
            c->users[k].role == USER_QMP)
            return option_fail(o, "%s: character device '%s' is in use%s", what, c->id,
                               c->mux ? " for that already" : "; mux=on would share it");
    }
    if (c->user_count == USER_MAX)
        return option_fail(o, "%s: character device '%s' has too many users", what, c->id);
    bool needs_input = user.role == USER_MONITOR || user.role == USER_QMP;
    if (needs_input &&
        (is_kind(c->spec, "file") || is_kind(c->spec, "null") || is_kind(c->spec, "pipe")))
        return option_fail(o, "%s: '%s' gives no input", what, c->spec);
    c->users[c->user_count++] = user;
    return PARSE_OK;
}

/* SPEC, mon:SPEC, chardev:ID or none. */
static enum parse_result connect(struct options *o, const char *what, const char *id,
                                 const char *spec, struct user user)
{
    bool shared = !strncmp(spec, "mon:", 4);
    if (!strncmp(spec, "chardev:", 8)) {
        struct chardev *c = find_chardev(o, spec + 8);
        if (!c && !o->chardevs)
            return option_fail(o, "%s: no -chardev with id '%s' comes before", what, spec + 8);
        if (!c)
            return option_fail(o,
                               "%s: no -chardev with id '%s' comes before, the nearest is '%s'",
                               what, spec + 8, suggest(spec + 8, chardev_at, o));
        return add_user(o, what, c, user);
    }
    if (shared)
        spec += 4;
    if (check_spec(o, what, spec) != PARSE_OK)
        return PARSE_FAIL;
    bool console = user.role == USER_MONITOR || user.role == USER_QMP;
    if (!strcmp(spec, "none") || (console && !strcmp(spec, "null")))
        return PARSE_OK;
    struct chardev *c = add_chardev(o, what, id, spec);
    if (!c)
        return PARSE_FAIL;
    c->mux = shared;
    c->signals = !shared;
    enum parse_result result = add_user(o, what, c, user);
    if (result == PARSE_OK && shared && !console) {
        o->monitor_given = true;
        result = add_user(o, what, c, (struct user){.role = USER_MONITOR});
    }
    return result;
}

/* ---- options ---- */

enum parse_result option_serial(struct options *o, const char *name, const char *argument)
{
    char id[32];
    if (o->serial_count == SERIAL_MAX)
        return option_fail(o, "-serial: a PC has %d serial ports", SERIAL_MAX);
    struct user user = {.role = USER_SERIAL, .index = o->serial_count};
    snprintf(id, sizeof(id), "serial%u", o->serial_count++);
    o->serial_given = true;
    return connect(o, "-serial", id, argument, user);
}

enum parse_result option_debugcon(struct options *o, const char *name, const char *argument)
{
    return connect(o, "-debugcon", "debugcon", argument, (struct user){.role = USER_DEBUGCON});
}

enum parse_result option_monitor(struct options *o, const char *name, const char *argument)
{
    char id[32];
    snprintf(id, sizeof(id), "monitor%u", o->implicit_count++);
    o->monitor_given = true;
    return connect(o, "-monitor", id, argument, (struct user){.role = USER_MONITOR});
}

enum parse_result option_qmp(struct options *o, const char *name, const char *argument)
{
    char id[32], what[32];
    snprintf(id, sizeof(id), "qmp%u", o->implicit_count++);
    snprintf(what, sizeof(what), "-%s", name);
    struct user user = {.role = USER_QMP, .pretty = !strcmp(name, "qmp-pretty")};
    return connect(o, what, id, argument, user);
}

enum parse_result option_mon(struct options *o, const char *name, const char *argument)
{
    static const char *const names[] = {"chardev", "mode", "pretty", NULL};
    static const char *const modes[] = {"readline", "control", NULL};
    struct props p;
    if (option_props(o, &p, "-mon", argument, "chardev", names) != PARSE_OK)
        return PARSE_FAIL;
    const char *id = props_get(&p, "chardev"), *mode = props_get(&p, "mode");
    int m = mode ? option_choice(o, "-mon: mode", mode, modes) : 0;
    struct user user = {.role = m == 1 ? USER_QMP : USER_MONITOR};
    enum parse_result result = m < 0 ? PARSE_FAIL : PARSE_OK;
    if (result == PARSE_OK)
        result = option_bool_prop(o, &p, "-mon", "pretty", &user.pretty);
    if (result == PARSE_OK && !id)
        result = option_fail(o, "-mon: needs chardev=ID");
    if (result == PARSE_OK) {
        o->monitor_given |= user.role == USER_MONITOR;
        result = connect(o, "-mon", "", option_printf(o, "chardev:%s", id), user);
    }
    props_free(&p);
    return result;
}

/* -chardev socket: the properties as a spec of weir_char_open. */
static enum parse_result socket_spec(struct options *o, const struct props *p, struct strbuf *b)
{
    static const char *const flags[] = {"server", "wait", "telnet", "nodelay"};
    const char *path = props_get(p, "path"), *host = props_get(p, "host");
    const char *port = props_get(p, "port");
    if (!path == !port)
        return option_fail(o, "-chardev socket: needs either path= or port=");
    if (path)
        strbuf_printf(b, "unix:%s", path);
    else
        strbuf_printf(b, "tcp:%s:%s", host ? host : "", port);
    for (unsigned k = 0; k < ARRAY_SIZE(flags); k++) {
        bool on = false;
        if (option_bool_prop(o, p, "-chardev socket", flags[k], &on) != PARSE_OK)
            return PARSE_FAIL;
        if (props_get(p, flags[k]))
            strbuf_printf(b, ",%s=%s", flags[k], on ? "on" : "off");
    }
    return PARSE_OK;
}

static enum parse_result define_chardev(struct options *o, const struct props *p,
                                        const char *kind)
{
    struct strbuf spec;
    const char *id = props_get(p, "id"), *path = props_get(p, "path");
    bool mux = false, signals = true;
    if (!id)
        return option_fail(o, "-chardev %s: needs id=", kind);
    if (option_bool_prop(o, p, "-chardev", "mux", &mux) != PARSE_OK)
        return PARSE_FAIL;
    signals = !mux;
    if (option_bool_prop(o, p, "-chardev", "signal", &signals) != PARSE_OK)
        return PARSE_FAIL;
    strbuf_init(&spec);
    enum parse_result result = PARSE_OK;
    if (!strcmp(kind, "socket"))
        result = socket_spec(o, p, &spec);
    else if (!strcmp(kind, "file") || !strcmp(kind, "pipe"))
        strbuf_printf(&spec, "%s:%s", kind, path ? path : "");
    else
        strbuf_printf(&spec, "%s", kind);
    if (result == PARSE_OK)
        result = check_spec(o, "-chardev", spec.data);
    struct chardev *c = result == PARSE_OK ? add_chardev(o, "-chardev", id, spec.data) : NULL;
    strbuf_free(&spec);
    if (!c)
        return PARSE_FAIL;
    c->mux = mux;
    c->signals = signals;
    return PARSE_OK;
}

enum parse_result option_chardev(struct options *o, const char *name, const char *argument)
{
    static const char *const kinds[] = {"null", "stdio", "file", "pipe", "pty", "socket", NULL};
    // clang-format off
    static const char *const names[][12] = {
        {"backend", "id", "mux", NULL},
        {"backend", "id", "mux", "signal", NULL},
        {"backend", "id", "mux", "path", NULL},
        {"backend", "id", "mux", "path", NULL},
        {"backend", "id", "mux", NULL},
        {"backend", "id", "mux", "path", "host", "port", "server", "wait", "telnet", "nodelay",
         NULL},
    };
    // clang-format on
    struct props p;
    if (option_props(o, &p, "-chardev", argument, "backend", NULL) != PARSE_OK)
        return PARSE_FAIL;
    const char *kind = props_get(&p, "backend"), *unknown;
    if (kind && (!strcmp(kind, "help") || !strcmp(kind, "?"))) {
        for (unsigned k = 0; kinds[k]; k++)
            strbuf_printf(&o->help, "  %s\n", kinds[k]);
        props_free(&p);
        return PARSE_DONE;
    }
    int k = option_choice(o, "-chardev", kind ? kind : "", kinds);
    enum parse_result result = PARSE_FAIL;
    if (k >= 0 && (unknown = props_unknown(&p, names[k])))
        option_fail(o, "-chardev %s: unknown property '%s', the nearest is '%s'", kind, unknown,
                    suggest_from(unknown, names[k]));
    else if (k >= 0)
        result = define_chardev(o, &p, kind);
    props_free(&p);
    return result;
}

enum parse_result option_parallel(struct options *o, const char *name, const char *argument)
{
    if (strcmp(argument, "none") && strcmp(argument, "null"))
        return option_fail(o, "-parallel %s: there is no parallel port; use -parallel none",
                           argument);
    return PARSE_OK;
}

enum parse_result option_echr(struct options *o, const char *name, const char *argument)
{
    uint64_t code;
    if (!parse_u64(argument, &code) || !code || code > 255)
        return option_fail(o, "-echr %s: not the code of a character (1 to 255)", argument);
    o->escape_char = (int)code;
    return PARSE_OK;
}

/* ---- display ---- */

enum parse_result option_nographic(struct options *o, const char *name, const char *argument)
{
    o->nographic = o->display_given = true;
    return PARSE_OK;
}

enum parse_result option_display(struct options *o, const char *name, const char *argument)
{
    static const char *const kinds[] = {"none", NULL};
    if (!strcmp(argument, "help")) {
        strbuf_printf(&o->help, "Displays:\n  none\n");
        return PARSE_DONE;
    }
    o->display_given = true;
    return option_choice(o, "-display", argument, kinds) < 0 ? PARSE_FAIL : PARSE_OK;
}

enum parse_result option_vga(struct options *o, const char *name, const char *argument)
{
    static const char *const cards[] = {"std", "none", NULL};
    if (!strcmp(argument, "help")) {
        strbuf_printf(&o->help, "Graphics cards:\n"
                                "  std              VGA with Bochs VBE extensions (default)\n"
                                "  none             no graphics card\n");
        return PARSE_DONE;
    }
    int k = option_choice(o, "-vga", argument, cards);
    if (k < 0)
        return PARSE_FAIL;
    o->config.vga = cards[k];
    return PARSE_OK;
}

/* ---- defaults ---- */

enum parse_result option_default_consoles(struct options *o)
{
    /* Without a word about consoles and displays, the terminal is the only way to reach the
     * guest. */
    if (!o->chardevs && !o->display_given && !o->serial_given && !o->monitor_given &&
        !o->config.no_devices && !o->run.exec && !(o->gdb && !strcmp(o->gdb, "stdio")))
        o->nographic = true;
    if (!o->nographic)
        return PARSE_OK;
    o->config.screen_on_serial = true;
    bool no_serial = o->serial_given, no_monitor = o->monitor_given;
    enum parse_result result = PARSE_OK;
    if (o->config.no_devices)
        return result;
    if (!no_serial)
        result = option_serial(o, "serial", no_monitor ? "stdio" : "mon:stdio");
    else if (!no_monitor)
        result = option_monitor(o, "monitor", "stdio");
    for (struct chardev *c = o->chardevs; c; c = c->next)
        if (!strcmp(c->spec, "stdio"))
            c->signals = false;
    return result;
}
