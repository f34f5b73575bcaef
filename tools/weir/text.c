/* SPDX-License-Identifier: MIT */
/* text.c - see text.h. */
#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- growing strings ---- */

static void strbuf_put(struct weir_text *text, const char *chars, size_t length)
{
    strbuf_add((struct strbuf *)(void *)text, chars, length);
}

void strbuf_init(struct strbuf *b)
{
    *b = (struct strbuf){.text.put = strbuf_put};
    b->data = calloc(1, 1);
}

void strbuf_free(struct strbuf *b)
{
    free(b->data);
    b->data = NULL;
    b->length = b->capacity = 0;
}

void strbuf_add(struct strbuf *b, const char *chars, size_t length)
{
    if (b->length + length + 1 > b->capacity) {
        size_t capacity = (b->length + length + 1) * 2;
        char *bigger = realloc(b->data, capacity);
        if (!bigger)
            return; /* text for people: shorter is better than dying */
        b->data = bigger;
        b->capacity = capacity;
    }
    memcpy(b->data + b->length, chars, length);
    b->length += length;
    b->data[b->length] = 0;
}

static void text_vprintf(struct weir_text *out, const char *format, va_list args)
{
    char *string = NULL;
    int n = vasprintf(&string, format, args);
    if (n > 0)
        out->put(out, string, (size_t)n);
    if (n >= 0)
        free(string);
}

void text_printf(struct weir_text *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text_vprintf(out, format, args);
    va_end(args);
}

void text_puts(struct weir_text *out, const char *string)
{
    out->put(out, string, strlen(string));
}

void strbuf_printf(struct strbuf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text_vprintf(&b->text, format, args);
    va_end(args);
}

/* ---- suggestions ---- */

enum { WORD_MAX = 64 };

/* Edits (insert, delete, replace, swap of neighbours) from one word to the other. */
static unsigned distance(const char *a, const char *b)
{
    unsigned rows[3][WORD_MAX + 1];
    unsigned *before = rows[0], *last = rows[1], *row = rows[2];
    size_t na = strnlen(a, WORD_MAX), nb = strnlen(b, WORD_MAX);
    for (size_t k = 0; k <= nb; k++)
        last[k] = (unsigned)k;
    for (size_t i = 1; i <= na; i++) {
        row[0] = (unsigned)i;
        for (size_t k = 1; k <= nb; k++) {
            bool same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[k - 1]);
            unsigned best = last[k - 1] + !same;
            if (last[k] + 1 < best)
                best = last[k] + 1;
            if (row[k - 1] + 1 < best)
                best = row[k - 1] + 1;
            bool swapped = i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1];
            if (swapped && before[k - 2] + 1 < best)
                best = before[k - 2] + 1;
            row[k] = best;
        }
        unsigned *free_row = before;
        before = last;
        last = row;
        row = free_row;
    }
    return last[nb];
}

const char *suggest(const char *word, const char *(*name)(const void *ctx, unsigned i),
                    const void *ctx)
{
    const char *best = NULL, *candidate;
    unsigned best_distance = ~0u;
    for (unsigned k = 0; (candidate = name(ctx, k)); k++) {
        /* A word that was begun or left out is nearer than its missing letters say. */
        unsigned d = 4 * distance(word, candidate);
        size_t n = strlen(word);
        if (n >= 2 && !strncmp(word, candidate, n))
            d /= 2;
        if (d < best_distance) {
            best_distance = d;
            best = candidate;
        }
    }
    return best ? best : "";
}

static const char *array_name(const void *ctx, unsigned i)
{
    const char *const *names = ctx;
    return names[i];
}

const char *suggest_from(const char *word, const char *const *names)
{
    return suggest(word, array_name, names);
}

/* ---- numbers ---- */

bool parse_u64(const char *string, uint64_t *value)
{
    char *end;
    if (!isdigit((unsigned char)*string))
        return false;
    errno = 0;
    *value = strtoull(string, &end, 0);
    return !errno && !*end;
}

bool parse_size(const char *string, uint64_t unit, uint64_t *value)
{
    static const char suffixes[] = "bkmgt";
    char *end;
    if (!isdigit((unsigned char)*string))
        return false;
    errno = 0;
    unsigned long long number = strtoull(string, &end, 0);
    if (errno)
        return false;
    if (*end) {
        const char *s = strchr(suffixes, tolower((unsigned char)*end));
        if (!s || end[1])
            return false;
        unit = 1ull << (10 * (s - suffixes));
    }
    return !__builtin_mul_overflow(number, unit, value);
}

bool parse_on_off(const char *string, bool *value)
{
    static const char *const words[] = {"off", "on", "no", "yes", "false", "true"};
    for (unsigned k = 0; k < ARRAY_SIZE(words); k++) {
        if (!strcmp(string, words[k])) {
            *value = k & 1;
            return true;
        }
    }
    return false;
}
