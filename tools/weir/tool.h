/* SPDX-License-Identifier: MIT */
/*
 * tool.h - the running command: one VM, its main thread that runs the vCPU, and the loop's
 * thread that serves people and programs.
 *
 * `lock` covers `vm` against its end: the loop's thread holds it while it executes a command,
 * the main thread takes it to clear `vm` before it destroys the machine.
 */
#ifndef TOOL_TOOL_H
#define TOOL_TOOL_H

#include "loop.h"
#include "options.h"

struct console; /* console.h */
struct client;  /* client.h */
struct factory;
struct guest_run; /* guestrun.h */

/* What happened to the machine, queued from any thread for QMP clients. */
struct machine_event {
    const char *name;   /* "SHUTDOWN" */
    const char *reason; /* "guest-reset", or NULL for events without data */
    bool from_guest;
    int64_t seconds, microseconds;
};

struct drive_state { /* for query-block */
    char id[32], *file;
    bool removable, read_only;
    struct drive_state *next;
};

struct tool {
    struct options options;
    struct loop loop;
    pthread_t loop_thread;
    bool loop_started;
    pthread_mutex_t lock;
    weir *vm; /* NULL when it is gone */
    struct weir_gdb *gdb;
    weir *gdb_vm;     /* the VM as long as `gdb` is there */
    bool gdb_command; /* one that gdb sent is executed */
    bool gdb_closing; /* atomic */
    struct console *consoles;
    struct client *clients;
    struct factory *factories;
    struct guest_run *guest; /* -exec; NULL else */
    struct drive_state *drives;
    unsigned signal_count;
    int signal_fd;
    struct watch signal_watch;
    /* run state as `info status` tells it */
    bool prelaunch, guest_shutdown, guest_exited;
    int64_t eof_at_ms, last_output_ms; /* -quit-on-eof; eof_at_ms 0 = not yet */
    pthread_mutex_t event_lock;
    struct machine_event events[64];
    unsigned event_count;
    char *notices[64]; /* debug.h; under event_lock too */
    unsigned notice_count;
    struct debug_point *points;
    unsigned point_count;
    bool stdio_used, stdio_signals;
    unsigned mouse_buttons;
    char error_text[512];     /* of the last failed save_screen or save_memory */
    bool quitting;            /* somebody said quit */
    pthread_mutex_t log_lock; /* log_file can be changed by the monitor */
    FILE *log_file;
    char *log_path;
    bool log_opened_before;
};

/* Queues an event for all QMP clients; any thread. */
void tool_event(struct tool *t, const char *name, const char *reason, bool from_guest);
/* The library's log callback and where it goes. */
void tool_log(void *ctx, enum weir_log_item item, const char *text, size_t length);
bool tool_log_open(struct tool *t, const char *path, char *error, size_t bytes);
void tool_log_close(struct tool *t);
/* The machine's state as QMP names it: "running", "paused", "prelaunch", "shutdown". */
const char *tool_status(struct tool *t);
void tool_stop(struct tool *t);
bool tool_cont(struct tool *t, const char **why_not);
/* Text of the last failed call. */
const char *tool_error(struct tool *t);
struct drive_state *tool_drive(struct tool *t, const char *id);
void tool_forget_drives(struct tool *t);
/* Changes (file NULL: removes) a medium and keeps `drives` in step. 0 or -WEIR_E*. */
int tool_media(struct tool *t, const char *id, const char *file, bool force);
/* lockstep.c: -accel check; the process's status. */
int lockstep_run(struct tool *t);

/* Subcommands. */
int command_run(int argc, char **argv);
int command_disas(int argc, char **argv);
int command_devices(int argc, char **argv);
int command_cpus(int argc, char **argv);
int command_vmi(int argc, char **argv);
int command_trace(int argc, char **argv);
int command_help(int argc, char **argv);
int command_man(int argc, char **argv);

#endif
