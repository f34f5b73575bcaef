/* SPDX-License-Identifier: MIT */
/* option_watch.c - -plugin and -trace. */
#include "option_parse.h"

#include <stdlib.h>
#include <string.h>

enum parse_result option_plugin(struct options *o, const char *name, const char *argument)
{
    if (o->plugin_count == ARRAY_SIZE(o->plugins))
        return option_fail(o, "-plugin: at most %zu", ARRAY_SIZE(o->plugins));
    size_t length = strcspn(argument, ",");
    if (!length)
        return option_fail(o, "-plugin: the file's name is missing");
    /* Without a slash, the system would look for it among its libraries. */
    const char *here = memchr(argument, '/', length) ? "" : "./";
    o->plugins[o->plugin_count] = option_printf(o, "%s%.*s", here, (int)length, argument);
    o->plugin_options[o->plugin_count++] =
        option_printf(o, "%s", argument[length] ? argument + length + 1 : "");
    return PARSE_OK;
}

static enum parse_result number_prop(struct options *o, const struct props *p, const char *name,
                                     uint64_t *value, uint32_t bit)
{
    const char *text = props_get(p, name);
    if (text && !parse_u64(text, value))
        return option_fail(o, "-trace: %s=%s: not a number", name, text);
    if (text)
        o->trace.filter.by |= bit;
    return PARSE_OK;
}

enum parse_result option_trace(struct options *o, const char *name, const char *argument)
{
    static const char *const names[] = {"file", "memory", "events", "cpl",
                                        "cr3",  "first",  "last",   NULL};
    struct props p;
    struct weir_filter *f = &o->trace.filter;
    uint64_t cpl = 0;
    if (option_props(o, &p, "-trace", argument, "file", names) != PARSE_OK)
        return PARSE_FAIL;
    enum parse_result result = option_bool_prop(o, &p, "-trace", "memory", &o->trace.memory);
    if (result == PARSE_OK)
        result = option_bool_prop(o, &p, "-trace", "events", &o->trace.events);
    f->pc_last = UINT64_MAX;
    if (result == PARSE_OK)
        result = number_prop(o, &p, "cpl", &cpl, WEIR_BY_CPL);
    if (result == PARSE_OK)
        result = number_prop(o, &p, "cr3", &f->cr3, WEIR_BY_CR3);
    if (result == PARSE_OK)
        result = number_prop(o, &p, "first", &f->pc_first, WEIR_BY_PC);
    if (result == PARSE_OK)
        result = number_prop(o, &p, "last", &f->pc_last, WEIR_BY_PC);
    f->cpls = (uint8_t)(1u << (cpl & 3));
    o->trace.path = option_prop(o, &p, "file");
    props_free(&p);
    if (result == PARSE_OK && !o->trace.path)
        return option_fail(o, "-trace: the file's name is missing");
    return result;
}
