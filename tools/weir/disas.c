/* SPDX-License-Identifier: MIT */
/*
 * disas.c - `weir disas`: any bytes as instructions, from arguments in hexadecimal, a file or
 * standard input, as assembly text or as one stage of the engine sees them.
 */
#include "disas.h"
#include "tool.h"

#include <errno.h>
#include <string.h>

struct disas {
    unsigned bits;
    bool intel, usage;
    const char *stage, *file;
    uint64_t base;
    struct strbuf bytes;
    bool have_bytes;
};

static const char usage[] = "usage: weir disas [-16|-32|-64] [-M att|intel] [--base=ADDRESS]\n"
                            "                  [--stage=insn|plan|asm] [--file=FILE | HEX...]  "
                            "    (- as FILE: standard input)\n";

static int fail(const char *format, const char *argument)
{
    fprintf(stderr, "weir: disas: ");
    fprintf(stderr, format, argument);
    fprintf(stderr, "\n");
    return 1;
}

static const char *const option_words[] = {"-16",     "-32",    "-64",    "-M",     "--base",
                                           "--stage", "--file", "--help", "--bits", NULL};

/* "--name=value" or "--name value". */
static const char *value_of(const char *name, int argc, char **argv, int *k)
{
    size_t n = strlen(name);
    if (strncmp(argv[*k], name, n))
        return NULL;
    if (argv[*k][n] == '=')
        return argv[*k] + n + 1;
    return !argv[*k][n] && *k + 1 < argc ? argv[++*k] : NULL;
}

static bool set_bits(struct disas *d, const char *text)
{
    static const char *const words[] = {"16", "32", "64"};
    for (unsigned k = 0; k < ARRAY_SIZE(words); k++) {
        if (!strcmp(text, words[k])) {
            d->bits = 16u << k;
            return true;
        }
    }
    return false;
}

static bool is_stage(const char *text)
{
    return !strcmp(text, "insn") || !strcmp(text, "plan") || !strcmp(text, "asm");
}

static int parse_argument(struct disas *d, int argc, char **argv, int *k)
{
    const char *word = argv[*k], *value;
    if (word[0] != '-' || !word[1]) {
        d->have_bytes = true;
        return hex_parse(word, &d->bytes) ? 0 : fail("'%s': not hexadecimal bytes", word);
    }
    if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
        d->usage = true;
        return 0;
    }
    if (set_bits(d, word + 1))
        return 0;
    if ((value = value_of("--bits", argc, argv, k)))
        return set_bits(d, value) ? 0 : fail("--bits=%s: use 16, 32 or 64", value);
    if ((value = value_of("-M", argc, argv, k))) {
        d->intel = !strcmp(value, "intel");
        return d->intel || !strcmp(value, "att") ? 0 : fail("-M %s: use att or intel", value);
    }
    if ((value = value_of("--base", argc, argv, k)))
        return parse_u64(value, &d->base) ? 0 : fail("--base=%s: not an address", value);
    if ((value = value_of("--stage", argc, argv, k))) {
        d->stage = value;
        return is_stage(value) ? 0 : fail("--stage=%s: use insn, plan or asm", value);
    }
    if ((value = value_of("--file", argc, argv, k))) {
        d->file = value;
        return 0;
    }
    fprintf(stderr, "weir: disas: unknown option '%s', the nearest is '%s'\n", word,
            suggest_from(word, option_words));
    return 1;
}

static int read_file(struct disas *d)
{
    char buffer[65536];
    size_t n;
    FILE *file = strcmp(d->file, "-") ? fopen(d->file, "rb") : stdin;
    if (!file) {
        fprintf(stderr, "weir: disas: %s: %s\n", d->file, strerror(errno));
        return 1;
    }
    while ((n = fread(buffer, 1, sizeof(buffer), file)) > 0)
        strbuf_add(&d->bytes, buffer, n);
    bool failed = ferror(file) != 0;
    if (file != stdin)
        fclose(file);
    if (failed)
        return fail("%s: cannot be read", d->file);
    return 0;
}

static int print_all(const struct disas *d)
{
    const uint8_t *bytes = (const uint8_t *)d->bytes.data;
    char text[512];
    for (size_t at = 0; at < d->bytes.length;) {
        size_t left = d->bytes.length - at;
        uint64_t address = d->base + at;
        int n = d->stage ? weir_decode_text(bytes + at, left, d->bits, address, d->stage, text,
                                            sizeof(text))
                         : weir_disassemble(bytes + at, left, d->bits, address, d->intel, text,
                                            sizeof(text));
        if (n < 0)
            return fail("%s", weir_strerror(n));
        size_t length = n ? (size_t)n : 1;
        printf(d->bits == 64 || d->base >> 32 ? "%016llx: " : "%08llx: ",
               (unsigned long long)address);
        for (size_t k = 0; k < length; k++)
            printf("%02x%s", bytes[at + k], k + 1 < length ? " " : "");
        printf("%*s  %s\n", length < 10 ? (int)(30 - 3 * length) : 0, "", n ? text : "(bad)");
        at += length;
    }
    return 0;
}

/* The stages of the translator: whole blocks. */
static int print_blocks(const struct disas *d)
{
    struct strbuf text;
    strbuf_init(&text);
    int rc = weir_translate_text((const uint8_t *)d->bytes.data, d->bytes.length, d->bits,
                                 d->base, d->stage, &text.text);
    if (text.length)
        fwrite(text.data, 1, text.length, stdout);
    strbuf_free(&text);
    return rc < 0 ? fail("%s", weir_strerror(rc)) : 0;
}

int command_disas(int argc, char **argv)
{
    struct disas d = {.bits = 64};
    int status = 0;
    strbuf_init(&d.bytes);
    for (int k = 1; k < argc && !status; k++)
        status = parse_argument(&d, argc, argv, &k);
    if (!status && d.usage) {
        fputs(usage, stdout);
    } else if (!status) {
        if (!d.have_bytes && !d.file)
            d.file = "-";
        status = d.file ? read_file(&d) : 0;
        bool blocks = d.stage && strcmp(d.stage, "insn");
        status = status ? status : blocks ? print_blocks(&d) : print_all(&d);
    }
    strbuf_free(&d.bytes);
    return status;
}
