/* SPDX-License-Identifier: MIT */
/*
 * gdb.h - a gdb stub: lets gdb ("target remote ADDRESS") debug the guest. docs/debugging.md says
 * what gdb sees.
 *
 * The stub has a thread of its own and uses the VM as any embedder could: it pauses and resumes it
 * (weir_pause), so the embedder's loop around weir_run needs nothing but to call it again after
 * WEIR_EXIT_PAUSED. Whoever connects has the machine: memory, registers, and with `monitor` what
 * that gives. One gdb at a time; further ones wait.
 */
#ifndef WEIR_GDB_H
#define WEIR_GDB_H

#include "device.h"
#include "weir.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weir_gdb weir_gdb;

struct weir_gdb_config {
    size_t size; /* sizeof(struct weir_gdb_config) */
    /* "tcp:HOST:PORT" (no HOST: this host only, 127.0.0.1; port 0: a free one), "unix:PATH",
     * "stdio" (descriptors 0 and 1), "fd:N" (a connected stream, closed in the end). If gdb leaves
     * one of the last two without `detach`, it is a `kill`. */
    const char *address;
    /* gdb's `monitor COMMAND`; in the stub's thread. NULL: there are no commands. */
    void (*monitor)(void *ctx, const char *command, struct weir_text *out);
    /* gdb's `kill`; NULL: weir_quit. */
    void (*kill)(void *ctx);
    void *ctx;
};

/* Waits for gdb from now on. The machine is started (weir_start) if it was not. When a gdb
 * comes, the machine is paused. */
WEIR_API int weir_gdb_listen(weir *vm, const struct weir_gdb_config *config, weir_gdb **out);
/* Where it is, "tcp:127.0.0.1:1234"; valid until weir_gdb_close. */
WEIR_API const char *weir_gdb_where(const weir_gdb *gdb);
/* Whether a gdb is connected. */
WEIR_API bool weir_gdb_is_connected(const weir_gdb *gdb);
/* Tells gdb that the machine has ended with this status (< 0: that it is detached), removes its
 * breakpoints and frees the stub. Before weir_destroy, not in a callback. NULL is allowed. */
WEIR_API void weir_gdb_close(weir_gdb *gdb, int status);

#ifdef __cplusplus
}
#endif
#endif
