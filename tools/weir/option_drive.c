/* SPDX-License-Identifier: MIT */
/* option_drive.c - drives: -drive and the short forms. */
#include "option_parse.h"

#include <stdlib.h>
#include <string.h>

static struct weir_drive *add_drive(struct options *o)
{
    struct drive_option *d = calloc(1, sizeof(*d)), **end = &o->drives;
    if (!d) {
        option_fail(o, "out of memory");
        return NULL;
    }
    d->drive = (struct weir_drive){
        .size = sizeof(d->drive), .format = "raw", .interface_ = "ide", .index = -1};
    while (*end)
        end = &(*end)->next;
    *end = d;
    return &d->drive;
}

enum parse_result option_image(struct options *o, const char *name, const char *argument)
{
    // clang-format off
    static const struct { const char *name, *interface; int index; bool is_cdrom; } forms[] = {
        {"hda", "ide", 0, false}, {"hdb", "ide", 1, false}, {"hdc", "ide", 2, false},
        {"hdd", "ide", 3, false}, {"cdrom", "ide", 2, true},
        {"fda", "floppy", 0, false}, {"fdb", "floppy", 1, false},
    };
    // clang-format on
    struct weir_drive *d = add_drive(o);
    for (unsigned k = 0; d && k < ARRAY_SIZE(forms); k++) {
        if (strcmp(forms[k].name, name))
            continue;
        d->interface_ = forms[k].interface;
        d->index = forms[k].index;
        d->is_cdrom = d->read_only = forms[k].is_cdrom;
        d->file = argument;
    }
    return d ? PARSE_OK : PARSE_FAIL;
}

/* Properties with a fixed choice of values. */
static enum parse_result drive_choices(struct options *o, const struct props *p,
                                       struct weir_drive *d)
{
    static const char *const formats[] = {"raw", NULL};
    static const char *const interfaces[] = {"ide", "floppy", "virtio", "none", NULL};
    static const char *const media[] = {"disk", "cdrom", NULL};
    static const char *const caches[] = {"writeback",  "writethrough", "none",
                                         "directsync", "unsafe",       NULL};
    // clang-format off
    const struct { const char *name; const char *const *words; } choices[] = {
        {"format", formats}, {"if", interfaces}, {"media", media}, {"cache", caches},
    };
    // clang-format on
    for (unsigned k = 0; k < ARRAY_SIZE(choices); k++) {
        const char *value = props_get(p, choices[k].name);
        char what[32];
        snprintf(what, sizeof(what), "-drive: %s", choices[k].name);
        int chosen = value ? option_choice(o, what, value, choices[k].words) : 0;
        if (chosen < 0)
            return PARSE_FAIL;
        if (value && choices[k].words == interfaces)
            d->interface_ = interfaces[chosen];
        if (value && choices[k].words == media)
            d->is_cdrom = chosen == 1;
    }
    return PARSE_OK;
}

/* index=N, or QEMU's bus=N,unit=N of IDE. */
static enum parse_result drive_index(struct options *o, const struct props *p,
                                     struct weir_drive *d)
{
    const char *index = props_get(p, "index"), *bus = props_get(p, "bus");
    const char *unit = props_get(p, "unit");
    uint64_t n = 0, b = 0, u = 0;
    if ((index && (!parse_u64(index, &n) || n > 31)) ||
        (bus && (!parse_u64(bus, &b) || b > 1)) || (unit && (!parse_u64(unit, &u) || u > 1)))
        return option_fail(o, "-drive: %s: not the number of a drive",
                           index ? index
                           : bus ? bus
                                 : unit);
    if (index && (bus || unit))
        return option_fail(o, "-drive: index= and bus= or unit= exclude each other");
    if (index)
        d->index = (int)n;
    else if (bus || unit)
        d->index = (int)(b * 2 + u);
    unsigned limit = !strcmp(d->interface_, "ide")      ? 4
                     : !strcmp(d->interface_, "floppy") ? 2
                                                        : 32;
    if (d->index >= (int)limit)
        return option_fail(o, "-drive: index=%d: %s has %u drives", d->index, d->interface_,
                           limit);
    return PARSE_OK;
}

static enum parse_result fill_drive(struct options *o, const struct props *p)
{
    struct weir_drive *d = add_drive(o);
    if (!d || drive_choices(o, p, d) != PARSE_OK || drive_index(o, p, d) != PARSE_OK)
        return PARSE_FAIL;
    d->read_only = d->is_cdrom;
    // clang-format off
    const struct { const char *name; bool *to; } flags[] = {
        {"snapshot", &d->snapshot}, {"readonly", &d->read_only}, {"read-only", &d->read_only},
    };
    // clang-format on
    for (unsigned k = 0; k < ARRAY_SIZE(flags); k++)
        if (option_bool_prop(o, p, "-drive", flags[k].name, flags[k].to) != PARSE_OK)
            return PARSE_FAIL;
    if (d->is_cdrom && !d->read_only)
        return option_fail(o, "-drive: a CD-ROM is read-only");
    d->file = option_prop(o, p, "file");
    d->id = option_prop(o, p, "id");
    d->serial = option_prop(o, p, "serial");
    if (!d->file && !d->is_cdrom && strcmp(d->interface_, "floppy") &&
        strcmp(d->interface_, "none"))
        return option_fail(o, "-drive: a disk needs file=");
    if (!strcmp(d->interface_, "none") && !d->id)
        return option_fail(o, "-drive: if=none needs id=");
    return PARSE_OK;
}

enum parse_result option_drive(struct options *o, const char *name, const char *argument)
{
    static const char *const names[] = {"file",     "if",        "format", "snapshot", "media",
                                        "readonly", "read-only", "index",  "bus",      "unit",
                                        "id",       "serial",    "cache",  NULL};
    struct props p;
    if (option_props(o, &p, "-drive", argument, "file", names) != PARSE_OK)
        return PARSE_FAIL;
    enum parse_result result = fill_drive(o, &p);
    props_free(&p);
    return result;
}
