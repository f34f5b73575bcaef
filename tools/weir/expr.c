/* SPDX-License-Identifier: MIT */
/* expr.c - see expr.h. Recursive descent, one function per level of precedence, as QEMU has it:
 * + - bind weakest of the arithmetic ones, & | ^ are between them and * / %. */
#include "expr.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { DEPTH_MAX = 64 };

struct parser {
    const char *s;
    const struct expr_env *env;
    const char *error;
    unsigned depth;
};

static int64_t parse_sum(struct parser *p);

static void skip_blanks(struct parser *p)
{
    while (isspace((unsigned char)*p->s))
        p->s++;
}

static int64_t fail(struct parser *p, const char *error)
{
    if (!p->error)
        p->error = error;
    return 0;
}

static bool accept(struct parser *p, char c)
{
    if (*p->s != c)
        return false;
    p->s++;
    skip_blanks(p);
    return true;
}

static int64_t parse_register(struct parser *p)
{
    char name[32];
    unsigned n = 0;
    uint64_t value;
    for (; isalnum((unsigned char)*p->s) || *p->s == '_' || *p->s == '.'; p->s++)
        if (n < sizeof(name) - 1)
            name[n++] = *p->s;
    name[n] = 0;
    if (!p->env || !p->env->reg || !p->env->reg(p->env->ctx, name, &value))
        return fail(p, "unknown register");
    skip_blanks(p);
    return (int64_t)value;
}

static int64_t parse_number(struct parser *p)
{
    char *end;
    if (!*p->s)
        return fail(p, "unexpected end of expression");
    if (!isdigit((unsigned char)*p->s))
        return fail(p, "invalid char in expression");
    errno = 0;
    uint64_t value = strtoull(p->s, &end, 0);
    if (errno)
        return fail(p, "number too large");
    p->s = end;
    if (isalnum((unsigned char)*end))
        return fail(p, "invalid char in expression");
    skip_blanks(p);
    return (int64_t)value;
}

static int64_t parse_name(struct parser *p)
{
    char name[128];
    uint64_t value;
    size_t n = 0;
    while (isalnum((unsigned char)p->s[n]) || (p->s[n] && strchr("_.@", p->s[n])))
        n++;
    snprintf(name, sizeof(name), "%.*s", (int)n, p->s);
    if (!p->env || !p->env->name || !p->env->name(p->env->ctx, name, &value))
        return fail(p, "invalid char in expression (or no such symbol)");
    p->s += n;
    skip_blanks(p);
    return (int64_t)value;
}

static int64_t parse_unary(struct parser *p)
{
    int64_t value;
    if (++p->depth > DEPTH_MAX)
        return fail(p, "expression is nested too deeply");
    if (accept(p, '+')) {
        value = parse_unary(p);
    } else if (accept(p, '-')) {
        value = (int64_t)(0 - (uint64_t)parse_unary(p));
    } else if (accept(p, '~')) {
        value = ~parse_unary(p);
    } else if (accept(p, '(')) {
        value = parse_sum(p);
        if (!accept(p, ')'))
            fail(p, "')' expected");
    } else if (*p->s == '$') {
        p->s++;
        value = parse_register(p);
    } else if (*p->s == '\'' && p->s[1] && p->s[2] == '\'') {
        value = (unsigned char)p->s[1];
        p->s += 3;
        skip_blanks(p);
    } else if (isalpha((unsigned char)*p->s) || *p->s == '_') {
        value = parse_name(p);
    } else {
        value = parse_number(p);
    }
    p->depth--;
    return value;
}

static int64_t divide(struct parser *p, char op, int64_t a, int64_t b)
{
    if (b == 0)
        return fail(p, "division by zero");
    if (b == -1) /* INT64_MIN / -1 traps */
        return op == '/' ? (int64_t)(0 - (uint64_t)a) : 0;
    return op == '/' ? a / b : a % b;
}

static bool at_path(const struct parser *p)
{
    return p->env && p->env->path_follows && *p->s == '/' && isspace((unsigned char)p->s[-1]);
}

static int64_t parse_product(struct parser *p)
{
    int64_t value = parse_unary(p);
    while (!p->error && *p->s && strchr("*/%", *p->s) && !at_path(p)) {
        char op = *p->s++;
        skip_blanks(p);
        int64_t right = parse_unary(p);
        if (p->error)
            break;
        value = op == '*' ? (int64_t)((uint64_t)value * (uint64_t)right)
                          : divide(p, op, value, right);
    }
    return value;
}

static int64_t parse_logic(struct parser *p)
{
    int64_t value = parse_product(p);
    while (!p->error && *p->s && strchr("&|^", *p->s)) {
        char op = *p->s++;
        skip_blanks(p);
        int64_t right = parse_product(p);
        value = op == '&' ? value & right : op == '|' ? value | right : value ^ right;
    }
    return value;
}

static int64_t parse_sum(struct parser *p)
{
    int64_t value = parse_logic(p);
    while (!p->error && (*p->s == '+' || *p->s == '-')) {
        char op = *p->s++;
        skip_blanks(p);
        uint64_t right = (uint64_t)parse_logic(p);
        value = (int64_t)(op == '+' ? (uint64_t)value + right : (uint64_t)value - right);
    }
    return value;
}

const char *expr_parse(const char **s, const struct expr_env *env, int64_t *value)
{
    struct parser p = {.s = *s, .env = env};
    skip_blanks(&p);
    *value = parse_sum(&p);
    *s = p.s;
    return p.error;
}

/* ---- formats ---- */

const char *format_parse(const char **s, struct format *format, struct format *defaults)
{
    const char *c = *s;
    *format = (struct format){.count = 1};
    if (isdigit((unsigned char)*c)) {
        char *end;
        unsigned long count = strtoul(c, &end, 10);
        format->count = count > 1000000 ? 1000000 : (unsigned)count;
        c = end;
    }
    for (; *c && !isspace((unsigned char)*c); c++) {
        static const char sizes[] = "bh w   g";
        const char *size = strchr(sizes, *c);
        if (strchr("oxduci", *c))
            format->letter = *c;
        else if (size && *c != ' ')
            format->size = (unsigned)(size - sizes) + 1;
        else
            return "invalid char in format";
    }
    while (isspace((unsigned char)*c))
        c++;
    *s = c;
    if (!format->letter)
        format->letter = defaults->letter;
    if (format->letter != 'i') {
        if (!format->size)
            format->size = defaults->size;
        defaults->size = format->size;
    }
    defaults->letter = format->letter;
    return NULL;
}

static void format_char(struct weir_text *out, unsigned char c)
{
    const char *special = c ? strchr("''\\\\\nn\rr", c) : NULL;
    if (special)
        text_printf(out, "'\\%c'", special[1]);
    else if (c >= 32 && c < 127)
        text_printf(out, "'%c'", c);
    else
        text_printf(out, "'\\x%02x'", c);
}

void format_value(struct weir_text *out, char letter, int64_t value)
{
    switch (letter) {
    case 'o':
        text_printf(out, "%#llo", (unsigned long long)value);
        break;
    case 'x':
        text_printf(out, "%#llx", (unsigned long long)value);
        break;
    case 'u':
        text_printf(out, "%llu", (unsigned long long)value);
        break;
    case 'c':
        format_char(out, (unsigned char)value);
        break;
    default:
        text_printf(out, "%lld", (long long)value);
        break;
    }
}

static void format_element(struct weir_text *out, char letter, unsigned size, uint64_t value)
{
    int digits;
    int64_t with_sign =
        size == 8 ? (int64_t)value : (int64_t)(value << (64 - 8 * size)) >> (64 - 8 * size);
    switch (letter) {
    case 'o':
        digits = (int)(size * 8 + 2) / 3;
        text_printf(out, " %#*llo", digits, (unsigned long long)value);
        break;
    case 'u':
        digits = (int)(size * 80 + 32) / 33;
        text_printf(out, " %*llu", digits, (unsigned long long)value);
        break;
    case 'd':
        digits = (int)(size * 80 + 32) / 33;
        text_printf(out, " %*lld", digits, (long long)with_sign);
        break;
    case 'c':
        text_printf(out, " ");
        format_char(out, (unsigned char)value);
        break;
    default:
        text_printf(out, " 0x%0*llx", (int)size * 2, (unsigned long long)value);
        break;
    }
}

static void dump_code(struct weir_text *out, const struct dump *d)
{
    uint64_t address = d->address;
    for (unsigned k = 0; k < d->format.count; k++) {
        uint8_t bytes[16];
        char text[160];
        size_t have = 0;
        while (have < 15 && d->read(d->ctx, address + have, bytes + have, 1) >= 0)
            have++;
        if (!have) {
            text_printf(out, "0x%016llx: Cannot access memory\n", (unsigned long long)address);
            return;
        }
        int n = weir_disassemble(bytes, have, d->code_bits, address, false, text, sizeof(text));
        if (n < 0) {
            text_printf(out, "this build has no disassembler (Zydis)\n");
            return;
        }
        text_printf(out, "0x%016llx:  %s\n", (unsigned long long)address, n ? text : "(bad)");
        address += n ? (unsigned)n : 1;
    }
}

void dump_memory(struct weir_text *out, const struct dump *d)
{
    unsigned size = d->format.letter == 'c' ? 1 : d->format.size;
    unsigned line = size == 1 ? 8 : 16;
    uint64_t left = (uint64_t)size * d->format.count, address = d->address;
    if (d->format.letter == 'i') {
        dump_code(out, d);
        return;
    }
    while (left) {
        uint8_t bytes[16];
        unsigned n = left < line ? (unsigned)left : line;
        text_printf(out, "%016llx:", (unsigned long long)address);
        if (d->read(d->ctx, address, bytes, n) < 0) {
            text_printf(out, " Cannot access memory\n");
            return;
        }
        for (unsigned k = 0; k + size <= n; k += size) {
            uint64_t value = 0;
            memcpy(&value, bytes + k, size);
            format_element(out, d->format.letter, size, value);
        }
        text_printf(out, "\n");
        address += n;
        left -= n;
    }
}

/* ---- registers ---- */

static bool full_register(weir_vcpu *cpu, const char *name, uint64_t *value)
{
    union weir_value v = {0};
    int reg = weir_reg_by_name(name);
    if (reg < 0 || weir_reg_get(cpu, (enum weir_reg)reg, &v) < 0)
        return false;
    if (reg >= WEIR_ES && reg <= WEIR_TR)
        *value = v.segment.selector;
    else if (reg == WEIR_GDTR || reg == WEIR_IDTR)
        *value = v.segment.base;
    else
        memcpy(value, v.bytes, 8);
    return true;
}

/* Parts of the general registers: eax, ax, al, ah, r8d, r8w, r8b, esp, eip, eflags. */
static bool part_register(weir_vcpu *cpu, const char *name, uint64_t *value)
{
    char full[16];
    size_t n = strlen(name);
    uint64_t mask = 0xffffffff;
    unsigned shift = 0;
    if (n > 8 || n < 2)
        return false;
    char last = name[n - 1];
    if (name[0] == 'e' && n > 2) {
        snprintf(full, sizeof(full), "r%s", name + 1);
    } else if (name[0] == 'r' && isdigit((unsigned char)name[1]) && strchr("dwb", last)) {
        snprintf(full, sizeof(full), "%.*s", (int)n - 1, name);
        mask = last == 'd' ? mask : last == 'w' ? 0xffff : 0xff;
    } else if (n == 2 && strchr("abcd", name[0]) && strchr("lh", last)) {
        snprintf(full, sizeof(full), "r%cx", name[0]);
        mask = 0xff;
        shift = last == 'h' ? 8 : 0;
    } else if (n == 3 && last == 'l') {
        snprintf(full, sizeof(full), "r%.2s", name);
        mask = 0xff;
    } else {
        snprintf(full, sizeof(full), "r%s", name);
        mask = 0xffff;
    }
    if (!full_register(cpu, full, value))
        return false;
    *value = *value >> shift & mask;
    return true;
}

bool register_value(weir_vcpu *cpu, const char *name, uint64_t *value)
{
    if (!strcmp(name, "pc")) {
        *value = weir_linear_rip(cpu);
        return true;
    }
    return full_register(cpu, name, value) || part_register(cpu, name, value);
}
