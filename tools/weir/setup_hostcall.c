/* SPDX-License-Identifier: MIT */
/* setup_hostcall.c - from -hostcall and -mem-export to a machine that has them. */
#include "setup.h"

#include <string.h>
#include <unistd.h>
#include <weir/hostservice.h>

static void to_stdout(void *ctx, const char *bytes, size_t length)
{
    fwrite(bytes, 1, length, stdout);
    fflush(stdout);
}

/* Beside the command (as it was built), or where it was installed to. */
static bool find_tools(char *path, size_t room)
{
    static const char *const places[] = {"guest/hostdrv", "../share/weir", "share/weir"};
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n < 0)
        return false;
    self[n] = 0;
    char *slash = strrchr(self, '/');
    if (slash)
        *slash = 0;
    for (unsigned k = 0; k < sizeof(places) / sizeof(places[0]); k++)
        if (snprintf(path, room, "%s/%s/tools.img", self, places[k]) < (int)room &&
            access(path, R_OK) == 0)
            return true;
    return false;
}

static bool add_tools(struct tool *t)
{
    char path[4200];
    struct weir_drive d = {
        .size = sizeof(d), .interface_ = "floppy", .index = 1, .format = "raw"};
    if (!find_tools(path, sizeof(path))) {
        fprintf(stderr, "weir: -hostcall tools=on: tools.img is not where this command is\n");
        return false;
    }
    d.file = path;
    d.read_only = true;
    if (!tool_drive(t, "floppy0"))
        d.index = 0; /* a second drive without a first one is not seen by DOS */
    if (weir_drive_add(t->vm, &d) == 0)
        return true;
    fprintf(stderr, "weir: -hostcall tools=on: %s\n", tool_error(t));
    return false;
}

bool setup_hostcall(struct tool *t)
{
    const struct options *o = &t->options;
    for (unsigned k = 0; k < o->hostcall_count; k++)
        if (weir_hostcall_enable(t->vm, o->hostcalls[k]) < 0) {
            fprintf(stderr, "weir: %s\n", tool_error(t));
            return false;
        }
    if (o->hostcall_count || o->run.shares || o->run.exec)
        weir_on_hostcall_output(t->vm, to_stdout, NULL);
    if (o->mem_export && weir_mem_export(t->vm, o->mem_export) < 0) {
        fprintf(stderr, "weir: %s\n", tool_error(t));
        return false;
    }
    return !o->hostcall_tools || add_tools(t);
}
