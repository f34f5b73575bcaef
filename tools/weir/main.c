/* SPDX-License-Identifier: MIT */
/* main.c - the command's front: which subcommand. What is no subcommand is `run`. */
#include "tool.h"

#include <string.h>

// clang-format off
static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} subcommands[] = {
    {"run", command_run},
    {"disas", command_disas},
    {"devices", command_devices},
    {"cpus", command_cpus},
    {"vmi", command_vmi},
    {"trace", command_trace},
    {"help", command_help},
    {"--man", command_man},
};
// clang-format on

int main(int argc, char **argv)
{
    for (unsigned k = 0; argc > 1 && k < ARRAY_SIZE(subcommands); k++)
        if (!strcmp(argv[1], subcommands[k].name))
            return subcommands[k].run(argc - 1, argv + 1);
    return command_run(argc, argv);
}
