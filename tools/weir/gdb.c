/* SPDX-License-Identifier: MIT */
/* gdb.c - see gdb.h. */
#include "gdb.h"
#include "monitor.h"

#include <weir/gdb.h>

#include <string.h>
#include <unistd.h>

/* gdb's `monitor COMMAND`, in the stub's thread. */
static void run_command(void *ctx, const char *command, struct weir_text *out)
{
    struct tool *t = ctx;
    while (pthread_mutex_trylock(&t->lock) != 0) {
        if (__atomic_load_n(&t->gdb_closing, __ATOMIC_ACQUIRE))
            return; /* who has the lock waits for this thread */
        usleep(1000);
    }
    t->gdb_command = true;
    if (t->vm && !t->quitting)
        command_execute(t, NULL, command, out);
    t->gdb_command = false;
    pthread_mutex_unlock(&t->lock);
}

static void kill_machine(void *ctx)
{
    struct tool *t = ctx;
    t->quitting = true;
    weir_quit(t->gdb_vm);
}

void gdb_stop(struct tool *t, int status)
{
    weir_gdb *gdb = t->gdb;
    t->gdb = NULL;
    __atomic_store_n(&t->gdb_closing, true, __ATOMIC_RELEASE);
    weir_gdb_close(gdb, status);
    __atomic_store_n(&t->gdb_closing, false, __ATOMIC_RELEASE);
}

bool gdb_start(struct tool *t, const char *spec)
{
    struct weir_gdb_config config = {.size = sizeof(config),
                                     .address = spec,
                                     .monitor = run_command,
                                     .kill = kill_machine,
                                     .ctx = t};
    gdb_stop(t, -1);
    t->gdb_vm = t->vm;
    return !strcmp(spec, "none") || weir_gdb_listen(t->vm, &config, &t->gdb) >= 0;
}

void monitor_gdbserver(struct command_call *c)
{
    struct tool *t = c->tool;
    const char *spec = c->args[0].present ? c->args[0].string : "tcp::1234";
    const char *wrong = gdb_spec_check(spec);
    if (t->gdb_command && t->gdb) {
        text_printf(c->out, "gdbserver: not from gdb itself\n");
        return;
    }
    if (wrong || !strcmp(spec, "stdio"))
        text_printf(c->out, "gdbserver: '%s': %s\n", spec,
                    wrong ? wrong : "standard input and output are in use");
    else if (!gdb_start(t, spec))
        text_printf(c->out, "Error: %s\n", tool_error(t));
    else if (t->gdb)
        text_printf(c->out, "Waiting for gdb connection on '%s'\n", weir_gdb_where(t->gdb));
    else
        text_printf(c->out, "Disabled gdbserver\n");
}
