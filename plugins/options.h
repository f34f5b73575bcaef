/* SPDX-License-Identifier: MIT */
/* options.h - "name=value,name" for the plugins of this directory. */
#ifndef PLUGINS_OPTIONS_H
#define PLUGINS_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Copies the value of `name` into `value`. False: it is not given. */
static inline bool option_text(const char *options, const char *name, char *value, size_t bytes)
{
    size_t length = strlen(name);
    for (const char *p = options; p && *p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
        if (strncmp(p, name, length) || (p[length] != '=' && p[length] != ',' && p[length]))
            continue;
        const char *v = p[length] == '=' ? p + length + 1 : "";
        snprintf(value, bytes, "%.*s", (int)strcspn(v, ","), v);
        return true;
    }
    return false;
}

/* Whether all that is given is in `names`, "out,cr3". */
static inline bool options_known(const char *options, const char *names)
{
    char ignored[2];
    for (const char *p = options; p && *p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
        char name[32];
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(p, "=,"), p);
        if (!option_text(names, name, ignored, sizeof(ignored)))
            return false;
    }
    return true;
}

static inline bool option_number(const char *options, const char *name,
                                 unsigned long long *value)
{
    char text[64];
    if (!option_text(options, name, text, sizeof(text)))
        return false;
    *value = strtoull(text, NULL, 0);
    return true;
}

/* The file of out=, else standard error. NULL: it cannot be written. */
static inline FILE *option_out(const char *options, const char *otherwise)
{
    char path[1024];
    if (option_text(options, "out", path, sizeof(path)))
        return fopen(path, "w");
    return otherwise ? fopen(otherwise, "w") : stderr;
}

#endif
