/* SPDX-License-Identifier: MIT */
/*
 * expr.h - the monitor's expressions: numbers, 'c' characters, $registers, symbols,
 * unary + - ~, binary * / % + - & | ^, parentheses; 64-bit two's complement.
 */
#ifndef TOOL_EXPR_H
#define TOOL_EXPR_H

#include "text.h"

struct expr_env {
    /* Value of a register by its name without '$'; false if there is none. May be NULL. */
    bool (*reg)(void *ctx, const char *name, uint64_t *value);
    /* Value of a symbol of the guest. May be NULL. */
    bool (*name)(void *ctx, const char *name, uint64_t *value);
    void *ctx;
    bool path_follows; /* a '/' behind a blank begins a file name */
};

/* Parses from *s and moves it behind the expression (and blanks). NULL, or a static text that
 * says what is wrong. */
const char *expr_parse(const char **s, const struct expr_env *env, int64_t *value);

/* "/fmt" of x, xp, print, i, o: count, format letter, size in bytes; remembered defaults are
 * passed in and updated as QEMU does. *s stands behind the '/'. */
struct format {
    unsigned count;
    char letter;   /* o x d u c i */
    unsigned size; /* 1 2 4 8; 0 for i without size */
};
const char *format_parse(const char **s, struct format *format, struct format *defaults);

/* One value as print shows it, and a dump of memory. read() gets address and length. */
void format_value(struct weir_text *out, char letter, int64_t value);
struct dump {
    int (*read)(void *ctx, uint64_t address, void *buffer, size_t length);
    void *ctx;
    uint64_t address;
    struct format format;
    unsigned code_bits; /* for i */
};
void dump_memory(struct weir_text *out, const struct dump *d);
/* Register by name of the vCPU's current state ("eax", "al", "pc", "cr0"); see monitor man. */
bool register_value(weir_vcpu *cpu, const char *name, uint64_t *value);

#endif
