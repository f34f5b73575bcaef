/* SPDX-License-Identifier: MIT */
/* option_log.c - -d, -D, -dfilter: what is logged, and where to. */
#include "option_parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// clang-format off
static const struct { const char *name; uint32_t bits; const char *help; } log_table[] = {
#define X(name, bit, text, help) {text, 1u << bit, help},
    WEIR_LOG_ITEMS(X)
#undef X
    {"nochain", 0, "accepted: exec and cpu show everything anyhow"},
};
// clang-format on

static const char *log_item_at(const void *ctx, unsigned i)
{
    return i < ARRAY_SIZE(log_table)    ? log_table[i].name
           : i == ARRAY_SIZE(log_table) ? "all"
                                        : NULL;
}

void log_items_help(struct weir_text *out)
{
    text_printf(out, "Log items (comma separated):\n");
    for (unsigned k = 0; k < ARRAY_SIZE(log_table); k++)
        text_printf(out, "%-15s %s\n", log_table[k].name, log_table[k].help);
    text_printf(out, "%-15s %s\n", "all", "everything");
}

const char *log_items_parse(const char *list, uint32_t *items, char *unknown, size_t bytes)
{
    *items = 0;
    for (const char *s = list;; s++) {
        size_t length = strcspn(s, ",");
        bool known = false;
        for (unsigned k = 0; k < ARRAY_SIZE(log_table); k++) {
            bool all = length == 3 && !memcmp(s, "all", 3);
            if (all || (strlen(log_table[k].name) == length &&
                        !memcmp(log_table[k].name, s, length))) {
                *items |= log_table[k].bits;
                known = true;
            }
        }
        if (!known) {
            snprintf(unknown, bytes, "%.*s", (int)length, s);
            return unknown;
        }
        s += length;
        if (!*s)
            return NULL;
    }
}

enum parse_result option_log_items(struct options *o, const char *name, const char *argument)
{
    char unknown[64];
    if (!strcmp(argument, "help") || !strcmp(argument, "?")) {
        log_items_help(&o->help.text);
        return PARSE_DONE;
    }
    if (log_items_parse(argument, &o->log_items, unknown, sizeof(unknown))) {
        log_items_help(&o->help.text);
        return option_fail(o, "-d: unknown item '%s', the nearest is '%s'", unknown,
                           suggest(unknown, log_item_at, NULL));
    }
    return PARSE_OK;
}

enum parse_result option_log_file(struct options *o, const char *name, const char *argument)
{
    const char *percent = strchr(argument, '%');
    if (percent && (percent[1] != 'd' || strchr(percent + 1, '%')))
        return option_fail(o, "-D: bad logfile format: %s", argument);
    o->log_file = argument;
    return PARSE_OK;
}

/* START+SIZE, START-SIZE (the SIZE bytes that end with START) or START..END. */
static enum parse_result parse_range(struct options *o, const char *text, weir_gva range[2])
{
    char copy[80];
    snprintf(copy, sizeof(copy), "%s", text);
    char *operator_ = strpbrk(copy, "+-");
    char *dots = strstr(copy, "..");
    char kind = dots ? '.' : operator_ ? *operator_ : 0;
    if (!kind)
        return option_fail(o, "-dfilter: bad range specifier '%s'", text);
    char *right = dots ? dots + 2 : operator_ + 1;
    *(dots ? dots : operator_) = 0;
    uint64_t first, second;
    if (!parse_u64(copy, &first))
        return option_fail(o, "-dfilter: invalid number to the left of the operator in '%s'",
                           text);
    if (!parse_u64(right, &second))
        return option_fail(o, "-dfilter: invalid number to the right of the operator in '%s'",
                           text);
    bool empty = kind != '.' && !second;
    range[0] = kind == '-' ? first - (second - 1) : first;
    range[1] = kind == '+' ? first + (second - 1) : kind == '-' ? first : second;
    if (empty || range[0] > range[1])
        return option_fail(o, "-dfilter: invalid range '%s'", text);
    return PARSE_OK;
}

enum parse_result option_log_filter(struct options *o, const char *name, const char *argument)
{
    for (const char *s = argument;; s++) {
        size_t length = strcspn(s, ",");
        char item[80];
        snprintf(item, sizeof(item), "%.*s", (int)length, s);
        void *bigger =
            realloc(o->log_ranges, (o->log_range_count + 1) * sizeof(*o->log_ranges));
        if (!bigger)
            return option_fail(o, "out of memory");
        o->log_ranges = bigger;
        if (parse_range(o, item, o->log_ranges[o->log_range_count]) != PARSE_OK)
            return PARSE_FAIL;
        o->log_range_count++;
        s += length;
        if (!*s)
            return PARSE_OK;
    }
}
