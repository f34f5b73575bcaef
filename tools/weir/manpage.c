/* SPDX-License-Identifier: MIT */
/*
 * manpage.c - `weir --man FILE.in` (for the build): copies a manual page's source and puts the
 * tables of the tool where a line says @OPTIONS@, @COMMANDS@, @QMP@ or @LOG_ITEMS@.
 */
#include "monitor.h"
#include "option_parse.h"
#include "qmp.h"

#include <string.h>

/* A hyphen of a name is a minus in print; a leading dot or quote is no request. */
static void print_roff(const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", stdout);
    for (const char *c = text; *c; c++) {
        if (*c == '-')
            fputs("\\-", stdout);
        else if (*c == '\\')
            fputs("\\e", stdout);
        else
            putchar(*c);
    }
}

static void print_item(const char *name, const char *argument, const char *help)
{
    fputs(".TP\n\\fB", stdout);
    print_roff(name);
    fputs("\\fR", stdout);
    if (argument && *argument) {
        fputs(" \\fI", stdout);
        print_roff(argument);
        fputs("\\fR", stdout);
    }
    putchar('\n');
    print_roff(help);
    fputs(".\n", stdout);
}

static void print_section(enum option_section section)
{
    for (const struct option *o = option_table; o->name; o++) {
        char name[32];
        snprintf(name, sizeof(name), "-%s", o->name);
        if (o->section == section)
            print_item(name, o->argument, o->help);
    }
}

static void print_options(void)
{
    for (unsigned section = 0; section < SECTION_COUNT; section++) {
        printf(".SS %s\n", option_section_names[section]);
        print_section((enum option_section)section);
    }
}

static void print_run_options(void)
{
    print_section(SECTION_RUN);
}

static void print_commands(void)
{
    for (const struct command *c = command_table; c->name; c++) {
        char name[64];
        snprintf(name, sizeof(name), "%s%s%s", c->name, c->alias ? ", " : "",
                 c->alias ? c->alias : "");
        print_item(name, c->params, c->help);
    }
}

static void print_qmp(void)
{
    for (const struct qmp_command *c = qmp_command_table; c->name; c++) {
        struct strbuf parameters;
        strbuf_init(&parameters);
        for (unsigned k = 0; k < ARRAY_SIZE(c->parameters) && c->parameters[k].name; k++)
            strbuf_printf(&parameters, "%s%s%s%s", k ? ", " : "",
                          c->parameters[k].optional ? "[" : "", c->parameters[k].name,
                          c->parameters[k].optional ? "]" : "");
        print_item(c->name, parameters.data, c->help);
        strbuf_free(&parameters);
    }
}

static void print_log_items(void)
{
    struct strbuf b;
    strbuf_init(&b);
    log_items_help(&b.text);
    fputs(".nf\n", stdout);
    print_roff(strchr(b.data, '\n') + 1);
    fputs(".fi\n", stdout);
    strbuf_free(&b);
}

int command_man(int argc, char **argv)
{
    // clang-format off
    static const struct { const char *line; void (*print)(void); } tables[] = {
        {"@OPTIONS@\n", print_options}, {"@OPTIONS_RUN@\n", print_run_options},
        {"@COMMANDS@\n", print_commands},
        {"@QMP@\n", print_qmp}, {"@LOG_ITEMS@\n", print_log_items},
    };
    // clang-format on
    char line[1024];
    FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (!file) {
        fprintf(stderr, "weir: --man needs a file that can be read\n");
        return 1;
    }
    while (fgets(line, sizeof(line), file)) {
        unsigned k = 0;
        while (k < ARRAY_SIZE(tables) && strcmp(tables[k].line, line))
            k++;
        char *version = strstr(line, "@VERSION@");
        if (k < ARRAY_SIZE(tables))
            tables[k].print();
        else if (version)
            printf("%.*s%s%s", (int)(version - line), line, weir_version(), version + 9);
        else
            fputs(line, stdout);
    }
    fclose(file);
    return 0;
}
