/* SPDX-License-Identifier: MIT */
/*
 * json_split.c - finds where a JSON value of a stream ends: brackets outside strings count. A
 * scalar at top level ends at white space. What is too long or too deep is skipped up to its
 * end, so that the session goes on. Unbalanced brackets end the value: the parser complains.
 */
#include "qmp.h"

#include <ctype.h>
#include <string.h>

void splitter_init(struct json_splitter *s)
{
    *s = (struct json_splitter){0};
    strbuf_init(&s->text);
}

void splitter_free(struct json_splitter *s)
{
    strbuf_free(&s->text);
}

void splitter_next(struct json_splitter *s)
{
    s->text.length = 0;
    if (s->text.data)
        s->text.data[0] = 0;
    s->depth = 0;
    s->in_string = s->escaped = s->too_long = false;
}

/* True when the value ended with this byte. */
static bool take(struct json_splitter *s, char c)
{
    if (s->in_string) {
        if (s->escaped)
            s->escaped = false;
        else if (c == '\\')
            s->escaped = true;
        else if (c == '"')
            s->in_string = false;
        return !s->in_string && !s->depth;
    }
    switch (c) {
    case '"':
        s->in_string = true;
        return false;
    case '{':
    case '[':
        s->depth++;
        s->too_long |= s->depth > QMP_DEPTH_MAX;
        return false;
    case '}':
    case ']':
        if (s->depth)
            s->depth--;
        return !s->depth;
    default:
        return false;
    }
}

size_t splitter_feed(struct json_splitter *s, const char *data, size_t length, bool *complete)
{
    *complete = false;
    for (size_t k = 0; k < length; k++) {
        char c = data[k];
        bool blank = isspace((unsigned char)c) != 0;
        if (blank && !s->in_string && !s->depth) {
            if (!s->text.length)
                continue; /* between values */
            *complete = true;
            return k + 1;
        }
        if (s->text.length < QMP_MESSAGE_MAX)
            strbuf_add(&s->text, &c, 1);
        else
            s->too_long = true;
        if (take(s, c)) {
            *complete = true;
            return k + 1;
        }
    }
    return length;
}
