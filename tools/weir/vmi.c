/* SPDX-License-Identifier: MIT */
/* vmi.c - `weir vmi`: the VMI ROM looked at, and any VMI ROM checked. */
#include "tool.h"

#include <weir/vmi.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { IMAGE_MAX = 1 << 20 };

struct vmi_command {
    struct weir_vmi_config config;
    bool markdown;
    const char *words[2];
    unsigned count;
};

static const char usage[] =
    "usage: weir vmi list [--api=3|13] [--markdown]   the calls\n"
    "       weir vmi disas [--api=3|13] [--counters] [--base=ADDRESS] CALL\n"
    "                                                 one entry explained (name or number)\n"
    "       weir vmi dump [--api=3|13] [--counters] [--base=ADDRESS] FILE\n"
    "                                                 write the ROM image\n"
    "       weir vmi check FILE                       check any VMI ROM\n";

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "weir: vmi: %s: %s\n", what, why);
    return 1;
}

static void put_text(struct weir_text *text, const char *chars, size_t length)
{
    fwrite(chars, 1, length, stdout);
}

/* Text that is kept; what is too long is cut. */
struct report {
    struct weir_text text;
    size_t length;
    char chars[16384];
};
static void put_report(struct weir_text *text, const char *chars, size_t length)
{
    struct report *r = (struct report *)text;
    size_t room = sizeof(r->chars) - 1 - r->length;
    length = length < room ? length : room;
    memcpy(r->chars + r->length, chars, length);
    r->length += length;
}

/* ---- list ---- */

static void list_markdown(const struct weir_vmi_call *c, unsigned api)
{
    printf("| %d | %s | %s | %s | %s | %s | %s | %s |\n", c->number, c->name, c->kind,
           api == 3 ? c->relocation : "slot", c->in, c->out, c->clobbers, c->what);
}

static int list(const struct vmi_command *v)
{
    struct weir_vmi_call c = {.size = sizeof(c)};
    if (v->markdown)
        printf("| no. | call | kind | relocation | in | out | clobbers | what |\n"
               "|---|---|---|---|---|---|---|---|\n");
    else
        printf("%-4s %-5s %-24s %-7s %-9s %s\n", "no.", "at", "call", "kind", "type",
               "in; out; clobbers: what");
    for (unsigned i = 0; weir_vmi_call(v->config.api, i, &c) == 0; i++) {
        if (v->markdown)
            list_markdown(&c, v->config.api);
        else
            printf("%-4d %04x  %-24s %-7s %-9s %s; %s; %s: %s\n", c.number, c.offset, c.name,
                   c.kind, c.relocation, c.in, c.out, c.clobbers, c.what);
    }
    return 0;
}

/* ---- the others ---- */

static int disas(const struct vmi_command *v)
{
    struct weir_text out = {put_text};
    int rc = weir_vmi_disassemble(&v->config, v->words[1], &out);
    return rc == 0 ? 0
                   : fail(v->words[1], rc == -WEIR_ENOENT
                                           ? "no such call in this API; see weir vmi list"
                                           : weir_strerror(rc));
}

static int dump(const struct vmi_command *v)
{
    static uint8_t image[WEIR_VMI_ROM_BYTES];
    int rc = weir_vmi_image(&v->config, image);
    if (rc < 0)
        return fail("dump", weir_strerror(rc));
    FILE *file = fopen(v->words[1], "wb");
    bool good = file && fwrite(image, 1, sizeof(image), file) == sizeof(image);
    good &= file && fclose(file) == 0;
    return good ? 0 : fail(v->words[1], strerror(errno));
}

/* All of it, up to IMAGE_MAX bytes; false: errno. */
static bool read_image(const char *name, uint8_t *image, size_t *bytes)
{
    FILE *file = fopen(name, "rb");
    if (!file)
        return false;
    *bytes = fread(image, 1, IMAGE_MAX, file);
    int failed = ferror(file) ? errno : 0;
    fclose(file);
    errno = failed;
    return !failed;
}

/* What is no VMI ROM at all gets one line; what is one gets its findings and a verdict. */
static int check(const struct vmi_command *v)
{
    struct report report = {.text = {put_report}};
    uint8_t *image = malloc(IMAGE_MAX);
    size_t bytes;
    if (!image || !read_image(v->words[1], image, &bytes)) {
        free(image);
        return fail(v->words[1], strerror(errno));
    }
    int errors = weir_vmi_check(image, bytes, &report.text);
    free(image);
    static const char error[] = "error: ";
    const char *line = strchr(report.chars, '\n');
    if (errors == 1 && line && !line[1] && !strncmp(report.chars, error, strlen(error))) {
        report.chars[report.length - 1] = 0;
        return fail(v->words[1], report.chars + strlen(error));
    }
    printf("%s%s: %s\n", report.chars, v->words[1], errors ? "not a good VMI ROM" : "good");
    return errors != 0;
}

/* ---- arguments ---- */

static bool set_base(struct vmi_command *v, const char *text)
{
    char *end;
    v->config.base = (uint32_t)strtoul(text, &end, 0);
    return *text && !*end;
}

static bool parse(struct vmi_command *v, int argc, char **argv)
{
    for (int k = 1; k < argc; k++) {
        const char *word = argv[k];
        if (!strcmp(word, "--api=3") || !strcmp(word, "--api=13"))
            v->config.api = word[6] == '3' ? 3 : 13;
        else if (!strcmp(word, "--counters"))
            v->config.counters = true;
        else if (!strcmp(word, "--markdown"))
            v->markdown = true;
        else if (!strncmp(word, "--base=", 7) && set_base(v, word + 7))
            continue;
        else if (*word != '-' && v->count < ARRAY_SIZE(v->words))
            v->words[v->count++] = word;
        else
            return false;
    }
    return v->count > 0;
}

int command_vmi(int argc, char **argv)
{
    static const struct {
        const char *name;
        unsigned words;
        int (*run)(const struct vmi_command *v);
    } commands[] = {
        {"list", 1, list}, {"disas", 2, disas}, {"dump", 2, dump}, {"check", 2, check}};
    struct vmi_command v = {0};
    weir_vmi_config_init(&v.config, sizeof(v.config));
    bool parsed = parse(&v, argc, argv);
    for (unsigned k = 0; parsed && k < ARRAY_SIZE(commands); k++)
        if (!strcmp(commands[k].name, v.words[0]) && v.count == commands[k].words)
            return commands[k].run(&v);
    bool help = argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"));
    fputs(usage, help ? stdout : stderr);
    return help ? 0 : 1;
}
