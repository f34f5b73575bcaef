/* SPDX-License-Identifier: MIT */
/* setup.c - from options to a machine that is ready to start. */
#include "setup.h"
#include "client.h"
#include "console.h"
#include "guestrun.h"

#include <weir/inspect.h>
#include <weir/plugin.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool complain(const char *what, const char *why)
{
    fprintf(stderr, "weir: %s%s%s\n", what, *what ? ": " : "", why);
    return false;
}

static bool checked(struct tool *t, const char *what, int error)
{
    return error >= 0 ? true : complain(what, tool_error(t));
}

/* ---- drives ---- */

/* The id that the library gives a drive without one: as QEMU's, "ide0-hd0", "floppy1". */
static void default_id(const struct weir_drive *d, unsigned index, char *id, size_t bytes)
{
    const char *kind = d->is_cdrom ? "cd" : "hd";
    if (!strcmp(d->interface_, "ide"))
        snprintf(id, bytes, "ide%u-%s%u", index / 2, kind, index % 2);
    else if (!strcmp(d->interface_, "floppy"))
        snprintf(id, bytes, "floppy%u", index);
    else
        snprintf(id, bytes, "%s%u", d->interface_, index);
}

static bool remember_drive(struct tool *t, const struct weir_drive *d, const char *id)
{
    struct drive_state *s = calloc(1, sizeof(*s)), **end = &t->drives;
    if (!s)
        return complain("", "out of memory");
    snprintf(s->id, sizeof(s->id), "%s", id);
    s->file = d->file && *d->file ? strdup(d->file) : NULL;
    s->removable = d->is_cdrom || !strcmp(d->interface_, "floppy");
    s->read_only = d->read_only;
    while (*end)
        end = &(*end)->next;
    *end = s;
    return true;
}

static int free_index(struct tool *t, const struct weir_drive *d)
{
    char id[2][32];
    struct weir_drive other = *d;
    other.is_cdrom = !d->is_cdrom;
    for (unsigned k = 0; k < 64; k++) {
        default_id(d, k, id[0], sizeof(id[0]));
        default_id(&other, k, id[1], sizeof(id[1]));
        if (!tool_drive(t, id[0]) && !tool_drive(t, id[1]))
            return (int)k;
    }
    return -1;
}

static bool add_drives(struct tool *t)
{
    for (struct drive_option *o = t->options.drives; o; o = o->next) {
        char id[32];
        struct weir_drive d = o->drive;
        /* A CD-ROM without a place goes where -cdrom puts it. */
        if (d.index < 0 && d.is_cdrom && !strcmp(d.interface_, "ide") &&
            !tool_drive(t, "ide1-cd0") && !tool_drive(t, "ide1-hd0"))
            d.index = 2;
        if (d.index < 0 && strcmp(d.interface_, "none"))
            d.index = free_index(t, &d);
        default_id(&d, (unsigned)d.index, id, sizeof(id));
        if (!d.id)
            d.id = id;
        if (!checked(t, "drive", weir_drive_add(t->vm, &d)) || !remember_drive(t, &d, d.id))
            return false;
    }
    return true;
}

/* ---- character devices ---- */

static bool use_char(struct tool *t, const struct user *user, weir_char *chr)
{
    if (user->role == USER_SERIAL)
        return checked(t, "-serial", weir_serial_set(t->vm, user->index, chr));
    if (user->role == USER_DEBUGCON)
        return checked(t, "-debugcon", weir_debugcon_set(t->vm, chr));
    return true;
}

static const struct user *user_with(const struct chardev *def, enum user_role role)
{
    for (unsigned k = 0; k < def->user_count; k++)
        if (def->users[k].role == role)
            return &def->users[k];
    return NULL;
}

/* A terminal for a serial port, a monitor or both. */
static bool open_console(struct tool *t, const struct chardev *def)
{
    char error[512], spec[32];
    const struct user *serial = user_with(def, USER_SERIAL);
    const struct user *debugcon = user_with(def, USER_DEBUGCON);
    const struct user *guest = serial ? serial : debugcon;
    bool monitor = user_with(def, USER_MONITOR) != NULL;
    struct console *c = console_new(t, def, guest != NULL, monitor, error, sizeof(error));
    if (!c)
        return complain(def->id, error);
    c->next = t->consoles;
    t->consoles = c;
    if (strcmp(def->spec, "stdio"))
        fprintf(stderr, "weir: %s is at %s\n", def->id, c->endpoint->where);
    if (!guest)
        return true;
    snprintf(spec, sizeof(spec), "fd:%d", c->guest_fd);
    return checked(t, def->id, weir_char_open(t->vm, def->id, spec, &c->chr)) &&
           use_char(t, guest, c->chr);
}

static bool open_plain(struct tool *t, const struct chardev *def)
{
    weir_char *chr;
    bool waits = strstr(def->spec, "server") && !strstr(def->spec, "server=off") &&
                 !strstr(def->spec, "wait=off") && !strstr(def->spec, "nowait");
    if (waits)
        fprintf(stderr, "weir: waiting for a connection on %s\n", def->spec);
    if (!checked(t, def->id, weir_char_open(t->vm, def->id, def->spec, &chr)))
        return false;
    if (!strcmp(def->spec, "pty") || strstr(def->spec, ":0,"))
        fprintf(stderr, "weir: %s is at %s\n", def->id, weir_char_where(chr));
    for (unsigned k = 0; k < def->user_count; k++)
        if (!use_char(t, &def->users[k], chr))
            return false;
    return true;
}

static bool open_chardev(struct tool *t, const struct chardev *def)
{
    char error[512];
    const struct user *qmp = user_with(def, USER_QMP), *monitor = user_with(def, USER_MONITOR);
    bool is_stdio = !strcmp(def->spec, "stdio");
    bool guest = user_with(def, USER_SERIAL) || user_with(def, USER_DEBUGCON);
    if (is_stdio && def->user_count) {
        t->stdio_used = true;
        t->stdio_signals = def->signals;
    }
    if (guest && (monitor || is_stdio || def->mux))
        return open_console(t, def);
    if (qmp || monitor) {
        const struct user *user = qmp ? qmp : monitor;
        return client_listen(t, def, user, error, sizeof(error)) ? true
                                                                 : complain(def->id, error);
    }
    return open_plain(t, def);
}

static bool add_devices(struct tool *t)
{
    for (struct device_option *d = t->options.devices; d; d = d->next)
        if (!checked(t, "-device", weir_device_add(t->vm, d->name, d->id, d->props, NULL)))
            return false;
    return true;
}

bool setup_log(struct tool *t, uint32_t items)
{
    char error[512];
    struct options *o = &t->options;
    if (o->log_file && !t->log_path) {
        free(t->log_path);
        t->log_path = strdup(o->log_file);
    }
    if (items && !t->log_file && !tool_log_open(t, NULL, error, sizeof(error)))
        return complain("-D", error);
    weir_log_set(t->vm, items);
    if (!o->log_range_count)
        return true;
    return checked(
        t, "-dfilter",
        weir_log_filter(t->vm, (const weir_gva(*)[2])o->log_ranges, o->log_range_count));
}

/* A map of another process of this number, long gone, would give wrong names. */
bool setup_translator(struct tool *t)
{
    char map[64], dump[64];
    const struct options *o = &t->options;
    weir_set_singlestep(t->vm, o->singlestep);
    if (!o->perf_map && !o->perf_dump)
        return true;
    snprintf(map, sizeof(map), "/tmp/perf-%d.map", (int)getpid());
    snprintf(dump, sizeof(dump), "jit-%d.dump", (int)getpid());
    if (o->perf_map)
        unlink(map);
    return checked(t, o->perf_map ? "-perfmap" : "-jitdump",
                   weir_jit_perf(t->vm, o->perf_map ? map : NULL, o->perf_dump ? dump : NULL));
}

/* ---- the machine ---- */

static void on_event(void *ctx, enum weir_machine_event event, bool from_guest)
{
    struct tool *t = ctx;
    switch (event) {
    case WEIR_EVENT_RESET:
        tool_event(t, "RESET", from_guest ? "guest-reset" : "host-qmp-system-reset",
                   from_guest);
        break;
    case WEIR_EVENT_POWERDOWN:
        tool_event(t, "POWERDOWN", NULL, false);
        break;
    case WEIR_EVENT_STOP:
        tool_event(t, "STOP", NULL, false);
        break;
    case WEIR_EVENT_RESUME:
        t->prelaunch = false;
        tool_event(t, "RESUME", NULL, false);
        break;
    case WEIR_EVENT_SHUTDOWN:
        break; /* told by those who ask for it, who know the reason */
    }
}

bool setup_parts(struct tool *t)
{
    struct options *o = &t->options;
    if (!add_drives(t) || (o->vmi_on && !checked(t, "-vmi", weir_vmi_enable(t->vm, &o->vmi))))
        return false;
    return !o->kernel ||
           checked(t, "-kernel", weir_kernel_set(t->vm, o->kernel, o->initrd, o->append));
}

bool setup_devices(struct tool *t)
{
    return add_devices(t) && checked(t, "", weir_start(t->vm));
}

/* -plugin, -trace. */
static bool setup_watchers(struct tool *t)
{
    const struct options *o = &t->options;
    for (unsigned k = 0; k < o->plugin_count; k++)
        if (!checked(t, "-plugin",
                     weir_plugin_load(t->vm, o->plugins[k], o->plugin_options[k])))
            return false;
    return !o->trace.path || checked(t, "-trace", weir_trace_start(t->vm, &o->trace));
}

static bool equip(struct tool *t)
{
    struct options *o = &t->options;
    weir_on_machine_event(t->vm, on_event, t);
    weir_set_reset_exits(t->vm, o->no_reboot);
    for (unsigned k = 0; k < o->symbol_count; k++)
        if (!checked(t, "-symbols", weir_symbols_load(t->vm, o->symbols[k], 0)))
            return false;
    if (!setup_log(t, o->log_items) || !setup_translator(t) || !setup_parts(t) ||
        !guest_run_setup(t))
        return false;
    for (struct chardev *def = o->chardevs; def; def = def->next)
        if (!open_chardev(t, def))
            return false;
    return setup_hostcall(t) && setup_devices(t) && setup_watchers(t);
}

bool setup_vm(struct tool *t)
{
    if (!guest_run_prepare(t))
        return false;
    struct weir_config config = t->options.config;
    config.log = tool_log;
    config.log_ctx = t;
    /* The text of a failure has come through tool_log. */
    return weir_create(&config, &t->vm) >= 0 && equip(t);
}
