/* SPDX-License-Identifier: MIT */
/*
 * guestrun.h - `weir run -exec COMMAND`: a Linux kernel, an initramfs made for it with weirctl as
 * the first process, a root directory, shares, the command's output and status.
 *
 *   options -> guest_kernel_find: which kernel, where its modules are
 *           -> guest_initrd_make: the initramfs, in a file of memory
 *           -> guest_run_setup: shares, services (runservice.h), console, kernel
 *   while it runs: progress, time limits; guest_run_end: the process's status
 */
#ifndef TOOL_GUESTRUN_H
#define TOOL_GUESTRUN_H

#include "tool.h"

#include "runservice.h"

/* What -exec ends with when it is not the command's own status. */
enum { STATUS_TIMEOUT = 124, STATUS_NOT_RUN = 125 };

/* ---- guest_kernel.c ---- */

struct guest_kernel {
    char path[4096], modules[4096]; /* modules: a directory lib/modules/VERSION, "" if none */
    char version[128];
    bool is_64bit;
};
/* Fills in what `kernel` and `modules` (each may be NULL) leave open; false with a text. */
bool guest_kernel_find(struct guest_kernel *k, const char *kernel, const char *modules,
                       struct strbuf *error);

/* ---- guest_modules.c ---- */

struct module_list {
    char **paths;
    unsigned count;
};
/* Appends the module and before it those it needs. False if it is not there (a module that is
 * built into the kernel counts as there). */
bool guest_module_add(struct module_list *list, const char *directory, const char *name);
void guest_modules_free(struct module_list *list);

/* ---- guest_initrd.c ---- */

/* An initramfs: `base` (a file or NULL) and behind it what weir needs; a descriptor, or -1 with
 * a text. */
int guest_initrd_make(const char *base, const struct guest_kernel *kernel,
                      const struct module_list *modules, const struct strbuf *config,
                      struct strbuf *error);

/* ---- guest_run.c ---- */

struct guest_run;
/* Before the machine is made: finds everything, sets kernel, initrd and command line in
 * t->options. False after a message. */
bool guest_run_prepare(struct tool *t);
/* With the machine: shares and services. Also for -share without -exec. */
bool guest_run_setup(struct tool *t);
/* In the loop's thread: progress and limits; milliseconds until it wants to be called again. */
int guest_run_idle(struct tool *t);
/* After the machine's end: its status becomes the process's. */
int guest_run_end(struct tool *t, int status);
void guest_run_free(struct tool *t);

#endif
