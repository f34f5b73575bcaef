/* SPDX-License-Identifier: MIT */
/* text.h - growing strings, word suggestions, number parsing: what every part of the tool uses.
 */
#ifndef TOOL_TEXT_H
#define TOOL_TEXT_H

#include <stdio.h>

#include <weir/machine.h>
#include <weir/memory.h>
#include <weir/weir.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* A growing string that is also a sink for the library's text. Always terminated (data is ""
 * when nothing was written). */
struct strbuf {
    struct weir_text text; /* first: put() finds the rest behind it */
    char *data;
    size_t length, capacity;
};
void strbuf_init(struct strbuf *b);
void strbuf_free(struct strbuf *b);
void strbuf_add(struct strbuf *b, const char *chars, size_t length);
void strbuf_printf(struct strbuf *b, const char *format, ...) WEIR_PRINTF(2, 3);

/* Writes to any sink, like weir_textf but also for the tool's own unlimited texts. */
void text_printf(struct weir_text *out, const char *format, ...) WEIR_PRINTF(2, 3);
void text_puts(struct weir_text *out, const char *string);

/* The nearest of name(ctx, 0), name(ctx, 1), ... (until NULL) to a mistyped word. */
const char *suggest(const char *word, const char *(*name)(const void *ctx, unsigned i),
                    const void *ctx);
/* For an array of strings that ends with NULL. */
const char *suggest_from(const char *word, const char *const *names);

/* Whole string; base prefix 0x, suffix k/M/G/T (powers of 1024) of `unit` if none is given. */
bool parse_size(const char *string, uint64_t unit, uint64_t *value);
bool parse_u64(const char *string, uint64_t *value);
bool parse_on_off(const char *string, bool *value);

#endif
