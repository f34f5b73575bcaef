/* SPDX-License-Identifier: MIT */
/* props.c - see props.h. */
#include "props.h"

#include <stdlib.h>
#include <string.h>

/* Cuts one item off in place, folding ",,"; returns the rest or NULL at the end. */
static char *cut_item(char *s)
{
    char *to = s;
    for (char *from = s;; from++) {
        if (*from == ',' && from[1] == ',') {
            from++;
        } else if (*from == ',') {
            *to = 0;
            return from + 1;
        }
        *to++ = *from;
        if (!*from)
            return NULL;
    }
}

bool props_parse(struct props *p, const char *string, const char *implied, const char **error)
{
    *p = (struct props){.storage = strdup(string)};
    if (!p->storage) {
        *error = "out of memory";
        return false;
    }
    char *next = p->storage;
    for (char *item = next; item && *item; item = next) {
        next = cut_item(item);
        if (p->count == PROPS_MAX) {
            *error = "too many properties";
            return false;
        }
        char *equals = strchr(item, '=');
        const char *name = item, *value = NULL;
        if (equals) {
            *equals = 0;
            value = equals + 1;
        } else if (item == p->storage && implied) {
            name = implied;
            value = item;
        }
        if (!*name) {
            *error = "a property without a name";
            return false;
        }
        p->items[p->count].name = name;
        p->items[p->count++].value = value;
    }
    return true;
}

void props_free(struct props *p)
{
    free(p->storage);
    p->storage = NULL;
    p->count = 0;
}

const char *props_get(const struct props *p, const char *name)
{
    for (unsigned k = p->count; k-- > 0;)
        if (!strcmp(p->items[k].name, name))
            return p->items[k].value ? p->items[k].value : "on";
    return NULL;
}

const char *props_unknown(const struct props *p, const char *const *names)
{
    for (unsigned k = 0; k < p->count; k++) {
        const char *const *n = names;
        while (*n && strcmp(*n, p->items[k].name))
            n++;
        if (!*n)
            return p->items[k].name;
    }
    return NULL;
}
