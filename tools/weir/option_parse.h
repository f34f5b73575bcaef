/* SPDX-License-Identifier: MIT */
/* option_parse.h - the functions behind option_table, by the file that holds them. */
#ifndef TOOL_OPTION_PARSE_H
#define TOOL_OPTION_PARSE_H

#include "options.h"
#include "props.h"

#define OPTION(name) enum parse_result name(struct options *, const char *, const char *)
/* option_machine.c */
OPTION(option_help);
OPTION(option_version);
OPTION(option_memory);
OPTION(option_smp);
OPTION(option_cpu);
OPTION(option_accel);
OPTION(option_machine);
OPTION(option_name);
OPTION(option_uuid);
OPTION(option_rtc);
OPTION(option_boot);
OPTION(option_device);
OPTION(option_string);
OPTION(option_flag);
OPTION(option_net);
/* option_drive.c */
OPTION(option_drive);
OPTION(option_image);
/* option_char.c */
OPTION(option_nographic);
OPTION(option_display);
OPTION(option_vga);
OPTION(option_serial);
OPTION(option_parallel);
OPTION(option_monitor);
OPTION(option_qmp);
OPTION(option_chardev);
OPTION(option_mon);
OPTION(option_debugcon);
OPTION(option_echr);
/* option_gdb.c */
OPTION(option_gdb);
OPTION(option_symbols);
/* option_hostcall.c */
OPTION(option_hostcall);
/* option_icount.c */
OPTION(option_icount);
enum parse_result option_check(struct options *o, const char *argument); /* -accel check,... */
/* option_vmi.c */
OPTION(option_vmi);
/* option_run.c */
OPTION(option_run_text);
OPTION(option_run_flag);
OPTION(option_share);
OPTION(option_env);
OPTION(option_seconds);
/* option_log.c */
OPTION(option_plugin);
OPTION(option_trace);
OPTION(option_log_items);
OPTION(option_log_file);
OPTION(option_log_filter);
#undef OPTION

/* Parses props and refuses unknown names: PARSE_OK, or PARSE_FAIL with the error set and p
 * freed. `what` is the option ("-drive"). */
enum parse_result option_props(struct options *o, struct props *p, const char *what,
                               const char *string, const char *implied,
                               const char *const *names);
/* One of a list of words, or an error that names the nearest: index, or -1. */
int option_choice(struct options *o, const char *what, const char *value,
                  const char *const *words);
/* Copies a property that may be absent. */
const char *option_prop(struct options *o, const struct props *p, const char *name);
enum parse_result option_bool_prop(struct options *o, const struct props *p, const char *what,
                                   const char *name, bool *value);
/* After all options: what does not go with -accel check. */
enum parse_result option_check_rest(struct options *o);
/* After all options: whether -gdb stdio can be. */
enum parse_result option_check_gdb(struct options *o);
/* After all options: -exec, and what needs it. */
enum parse_result option_check_run(struct options *o);
/* After all options: what -nographic and its absence mean for serial port and monitor. */
enum parse_result option_default_consoles(struct options *o);
/* "int,exec" to bits, for -d and the monitor's log command. NULL, or the unknown item. */
const char *log_items_parse(const char *list, uint32_t *items, char *unknown, size_t bytes);
void log_items_help(struct weir_text *out);

#endif
