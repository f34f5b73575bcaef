/* SPDX-License-Identifier: MIT */
/* option_icount.c - deterministic time, and the lock-step mode that needs it. */
#include "option_parse.h"

#include <stdlib.h>
#include <string.h>

enum { SHIFT_MAX = 10 };

static enum parse_result icount_shift(struct options *o, const char *text)
{
    char *end;
    unsigned long shift = strtoul(text, &end, 10);
    if (!strcmp(text, "auto"))
        return option_fail(o, "-icount: shift=auto is not supported; use 0 to %d", SHIFT_MAX);
    if (*text < '0' || *text > '9' || *end || shift > SHIFT_MAX)
        return option_fail(o, "-icount: shift=%s: use 0 to %d", text, SHIFT_MAX);
    o->config.icount_shift = (int)shift;
    return PARSE_OK;
}

enum parse_result option_icount(struct options *o, const char *name, const char *argument)
{
    static const char *const names[] = {"shift", "sleep", "align", NULL};
    struct props p;
    bool align = false;
    if (option_props(o, &p, "-icount", argument, "shift", names) != PARSE_OK)
        return PARSE_FAIL;
    const char *shift = props_get(&p, "shift");
    o->config.icount_sleep = true;
    enum parse_result result =
        shift ? icount_shift(o, shift) : option_fail(o, "-icount: shift= is missing");
    if (result == PARSE_OK)
        result = option_bool_prop(o, &p, "-icount", "sleep", &o->config.icount_sleep);
    if (result == PARSE_OK)
        result = option_bool_prop(o, &p, "-icount", "align", &align);
    props_free(&p);
    if (result == PARSE_OK && align)
        return option_fail(o, "-icount: align=on is not supported");
    return result;
}

/* ---- -accel check ---- */

static enum parse_result count_prop(struct options *o, const struct props *p, const char *name,
                                    uint64_t *value)
{
    const char *text = props_get(p, name);
    if (text && (!parse_u64(text, value) || !*value))
        return option_fail(o, "-accel check: %s=%s: use a number of instructions", name, text);
    return PARSE_OK;
}

enum parse_result option_check(struct options *o, const char *argument)
{
    static const char *const names[] = {"accel", "engine", "step", "ram-step", "limit", NULL};
    struct props p;
    if (option_props(o, &p, "-accel check", argument, "accel", names) != PARSE_OK)
        return PARSE_FAIL;
    const char *engine = option_prop(o, &p, "engine");
    o->check.on = true;
    o->check.engine = engine ? engine : "jit";
    enum parse_result result = count_prop(o, &p, "step", &o->check.step);
    if (result == PARSE_OK)
        result = count_prop(o, &p, "ram-step", &o->check.ram_step);
    if (result == PARSE_OK)
        result = count_prop(o, &p, "limit", &o->check.limit);
    props_free(&p);
    return result;
}

enum parse_result option_check_rest(struct options *o)
{
    if (!o->check.on)
        return PARSE_OK;
    if (o->start_stopped)
        return option_fail(o, "-accel check: not with -S");
    for (const struct chardev *c = o->chardevs; c; c = c->next)
        for (unsigned k = 0; k < c->user_count; k++)
            if (c->users[k].role == USER_QMP ||
                (c->users[k].role == USER_MONITOR && strcmp(c->spec, "stdio")))
                return option_fail(o, "-accel check: not with a monitor or QMP (%s)", c->spec);
    if (o->gdb)
        return option_fail(o, "-accel check: not with -gdb");
    if (o->hostcall_count || o->mem_export)
        return option_fail(o, "-accel check: not with -hostcall or -mem-export");
    for (const struct device_option *d = o->devices; d; d = d->next)
        if (!strncmp(d->name, "virtio-rng", strlen("virtio-rng")))
            return option_fail(o, "-accel check: not with %s: it gives random numbers",
                               d->name);
    return PARSE_OK;
}
