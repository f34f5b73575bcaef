/* SPDX-License-Identifier: MIT */
/* main.c - what the command line asks for. */
#include "kernel.h"

int main(void);

static const char *word(const char *line, char *out)
{
    while (*line == ' ')
        line++;
    while (*line && *line != ' ')
        *out++ = *line++;
    *out = 0;
    return line;
}

static u32 number(const char *text)
{
    u32 n = 0;
    while (*text >= '0' && *text <= '9')
        n = n * 10 + (u32)(*text++ - '0');
    return n;
}

int main(void)
{
    char name[128], test[64], argument[64], count[64];
    const char *line = word(*(char **)multiboot_cmdline, name);
    word(word(word(line, test), argument), count);
    setup();
    bool found = rom_find();
    if (equal(test, "calls"))
        test_calls();
    else if (equal(test, "bad"))
        test_bad(argument);
    else if (equal(test, "tasks"))
        test_tasks(argument, *count ? number(count) : 6, true);
    else if (equal(test, "switches"))
        test_tasks(argument, number(count), false);
    else if (equal(test, "ap"))
        test_ap(argument);
    else if (equal(test, "bench"))
        bench();
    else if (equal(test, "find"))
        failures = !found;
    else
        finish(98);
    print(failures ? "failed\n" : "good\n");
    finish(failures != 0);
    return 0;
}
