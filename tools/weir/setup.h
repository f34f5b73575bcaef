/* SPDX-License-Identifier: MIT */
/* setup.h - from options to a machine. */
#ifndef TOOL_SETUP_H
#define TOOL_SETUP_H

#include "tool.h"

/* Creates t->vm, opens everything, starts the machine (the CPU does not run yet). False after
 * one line on standard error; t->vm may be set all the same. */
bool setup_vm(struct tool *t);

/* Parts of that, for -accel check, which has terminals of its own: drives and kernel; devices, and
 * starting the machine; the log's file, items and filter. */
bool setup_parts(struct tool *t);
bool setup_devices(struct tool *t);
bool setup_log(struct tool *t, uint32_t items);
/* -singlestep, -perfmap, -jitdump. */
bool setup_translator(struct tool *t);

/* setup_hostcall.c */
bool setup_hostcall(struct tool *t);

#endif
