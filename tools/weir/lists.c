/* SPDX-License-Identifier: MIT */
/* lists.c - `weir devices`, `weir cpus`, `weir help`: the same texts as the options' help. */
#include "tool.h"

#include <string.h>

static bool wants_help(int argc, char **argv)
{
    return argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"));
}

static int print_help_of(const char *option, const char *argument)
{
    struct options o;
    char *argv[] = {(char *)"weir", (char *)option, (char *)argument, NULL};
    enum parse_result result = options_parse(&o, argument ? 3 : 2, argv);
    fputs(o.help.data, stdout);
    if (result == PARSE_FAIL)
        fprintf(stderr, "weir: %s\n", o.error);
    options_free(&o);
    return result == PARSE_FAIL;
}

int command_devices(int argc, char **argv)
{
    char argument[128];
    if (argc > 2 || wants_help(argc, argv)) {
        fprintf(argc > 2 ? stderr : stdout, "usage: weir devices [NAME]\n");
        return argc > 2;
    }
    snprintf(argument, sizeof(argument), "%.100s%shelp", argc > 1 ? argv[1] : "",
             argc > 1 ? "," : "");
    return print_help_of("-device", argument);
}

int command_cpus(int argc, char **argv)
{
    if (argc > 1) {
        bool help = wants_help(argc, argv);
        fprintf(help ? stdout : stderr, "usage: weir cpus\n");
        return !help;
    }
    return print_help_of("-cpu", "help");
}

int command_help(int argc, char **argv)
{
    return print_help_of("-help", NULL);
}
