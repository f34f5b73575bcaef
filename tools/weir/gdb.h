/* SPDX-License-Identifier: MIT */
/* gdb.h - the command's gdb stub: -gdb, -s and the monitor's gdbserver. */
#ifndef TOOL_GDB_H
#define TOOL_GDB_H

#include "tool.h"

/* Checks the spelling of an address: NULL, or what is wrong with it. */
const char *gdb_spec_check(const char *spec);
/* Listens there instead of where it did; "none" ends it. False after tool_error's text. */
bool gdb_start(struct tool *t, const char *spec);
/* gdb learns this exit status. Whoever has t->lock may call this too. */
void gdb_stop(struct tool *t, int status);

#endif
