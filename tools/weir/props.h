/* SPDX-License-Identifier: MIT */
/*
 * props.h - "name=value,name=value" as options and device strings write it. ",," is a comma
 * inside a value; a bare name means name=on, "noNAME" of a boolean is left to the caller.
 */
#ifndef TOOL_PROPS_H
#define TOOL_PROPS_H

#include "text.h"

enum { PROPS_MAX = 64 };
struct props {
    char *storage;
    unsigned count;
    struct {
        const char *name, *value; /* value NULL: a bare name */
    } items[PROPS_MAX];
};

/* `implied` names a first item without '=' ("file" in "-drive disk.img"); NULL = none is.
 * False with *error (static text) when malformed. */
bool props_parse(struct props *p, const char *string, const char *implied, const char **error);
void props_free(struct props *p);
/* The last value given, "on" for a bare name, NULL if absent. */
const char *props_get(const struct props *p, const char *name);
/* The first item that is not among the names, or NULL. */
const char *props_unknown(const struct props *p, const char *const *names);

#endif
