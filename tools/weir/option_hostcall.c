/* SPDX-License-Identifier: MIT */
/*
 * option_hostcall.c - -hostcall and -mem-export: what the guest may ask of the host. The library
 * reads the words of -hostcall, but for tools=on, which is the command's own.
 */
#include "option_parse.h"

#include <string.h>

/* Takes the word out of the list, wherever it stands. */
static bool take_word(char *list, const char *word)
{
    size_t length = strlen(word);
    for (char *p = list; *p;) {
        size_t here = strcspn(p, ",");
        if (here == length && !strncmp(p, word, length) && p[here + (p[here] != 0)] != ',') {
            memmove(p, p + here + (p[here] != 0), strlen(p + here + (p[here] != 0)) + 1);
            return true;
        }
        p += here + (p[here] != 0);
        p += *p == ','; /* ",," is part of a word */
    }
    return false;
}

enum parse_result option_hostcall(struct options *o, const char *name, const char *argument)
{
    char *list = option_printf(o, "%s", argument);
    if (o->hostcall_count == HOSTCALL_MAX)
        return option_fail(o, "-hostcall: more than %d times", HOSTCALL_MAX);
    if (take_word(list, "tools=on") || take_word(list, "tools"))
        o->hostcall_tools = true;
    take_word(list, "tools=off");
    o->hostcalls[o->hostcall_count++] = list;
    return PARSE_OK;
}
