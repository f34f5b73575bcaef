/* SPDX-License-Identifier: MIT */
/* option_icount.c - deterministic time. */
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
