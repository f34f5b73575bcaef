/* SPDX-License-Identifier: MIT */
/* option_gdb.c - -gdb, -s and -symbols. */
#include "gdb.h"
#include "option_parse.h"

#include <string.h>

const char *gdb_spec_check(const char *spec)
{
    if (!strcmp(spec, "none") || !strcmp(spec, "stdio"))
        return NULL;
    if (!strncmp(spec, "unix:", 5))
        return spec[5] && spec[5] != ',' ? NULL : "needs a path after 'unix:'";
    if (strncmp(spec, "tcp:", 4))
        return "use tcp::PORT, tcp:HOST:PORT, unix:PATH, stdio or none";
    const char *colon = strchr(spec + 4, ':');
    return colon && colon[1] && colon[1] != ',' ? NULL : "a TCP address is HOST:PORT";
}

enum parse_result option_gdb(struct options *o, const char *name, const char *argument)
{
    const char *wrong = argument ? gdb_spec_check(argument) : NULL;
    if (wrong)
        return option_fail(o, "-gdb: '%s': %s", argument, wrong);
    o->gdb = argument ? option_printf(o, "%s", argument) : "tcp::1234";
    return PARSE_OK;
}

enum parse_result option_symbols(struct options *o, const char *name, const char *argument)
{
    if (o->symbol_count == ARRAY_SIZE(o->symbols))
        return option_fail(o, "-symbols: at most %zu files", ARRAY_SIZE(o->symbols));
    o->symbols[o->symbol_count++] = option_printf(o, "%s", argument);
    return PARSE_OK;
}

/* Standard input and output belong to gdb or to a terminal. */
enum parse_result option_check_gdb(struct options *o)
{
    if (!o->gdb || strcmp(o->gdb, "stdio"))
        return PARSE_OK;
    for (const struct chardev *c = o->chardevs; c; c = c->next)
        if (!strcmp(c->spec, "stdio") && c->user_count)
            return option_fail(o, "-gdb stdio: standard input and output are used by '%s'",
                               c->id);
    return PARSE_OK;
}
