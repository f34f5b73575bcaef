/* SPDX-License-Identifier: MIT */
/*
 * options.h - the command line of `weir run` as data. Parsing opens nothing and creates
 * nothing: it checks spelling and shape, so that a test can run it.
 */
#ifndef TOOL_OPTIONS_H
#define TOOL_OPTIONS_H

#include "text.h"

#include <weir/trace.h>
#include <weir/vmi.h>

#include <stdio.h>

enum { SERIAL_MAX = 4, USER_MAX = 16, HOSTCALL_MAX = 16 };

/* What a character backend is for. A backend with more than one user is a mux. */
enum user_role { USER_SERIAL, USER_DEBUGCON, USER_MONITOR, USER_QMP };
struct user {
    enum user_role role;
    unsigned index; /* of the serial port */
    bool pretty;    /* QMP */
};
struct chardev {
    char *id;
    char *spec; /* as weir_char_open takes it; "stdio" and sockets may be the tool's own */
    bool mux;
    bool signals; /* stdio: Ctrl-C ends weir instead of going to the guest */
    struct user users[USER_MAX];
    unsigned user_count;
    struct chardev *next;
};

struct drive_option {
    struct weir_drive drive;
    struct drive_option *next;
};
struct device_option {
    char *name, *id, *props;
    struct device_option *next;
};

/* A directory for the guest; with -exec mounted there at `at`. */
struct share_option {
    const char *path, *name, *at;
    const char *window; /* of its virtio-fs device, as dax= of -hostcall; NULL: not given */
    bool read_only, writeback, device, no_device; /* neither: as is usual */
    struct share_option *next;
};
/* -exec and what belongs to it. */
struct run_options {
    const char *exec, *root, *modules, *cwd;
    struct share_option *shares;
    const char *env[64];
    unsigned env_count, timeout_s, boot_timeout_s; /* 0: not given */
    bool input, verbose, quiet, memory_given;
    char initrd_path[64], append[2048]; /* of the guest, when it is prepared */
};

struct options {
    struct weir_config config;
    struct run_options run;
    struct drive_option *drives;
    struct device_option *devices;
    struct chardev *chardevs;
    const char *kernel, *initrd, *append;
    const char *log_file, *pid_file;
    const char *gdb;        /* address, or NULL */
    const char *symbols[8]; /* files */
    unsigned symbol_count;
    const char *plugins[8], *plugin_options[8]; /* files, and what is for them to read */
    unsigned plugin_count;
    struct weir_trace_config trace; /* path NULL: none */
    const char *hostcalls[HOSTCALL_MAX], *mem_export;
    unsigned hostcall_count;
    bool hostcall_tools; /* the floppy with programs for DOS */
    char *debugcon;
    uint32_t log_items;
    weir_gva (*log_ranges)[2];
    unsigned log_range_count;
    unsigned serial_count, implicit_count, image_count;
    int escape_char; /* of the mux, 1 = Ctrl-A */
    bool serial_given, monitor_given, display_given, nographic;
    struct {
        bool on;
        const char *engine; /* compared with the interpreter */
        uint64_t step, ram_step, limit;
    } check; /* -accel check */
    struct weir_vmi_config vmi;
    bool vmi_on;
    bool singlestep, perf_map, perf_dump;
    bool snapshot, no_reboot, no_shutdown, start_stopped, quit_on_eof;
    struct strbuf help; /* what "-device help" and the like print */
    char error[512];
    void **kept; /* strings made while parsing */
    unsigned kept_count, kept_capacity;
};

/* Parses argv[1..argc-1]. PARSE_DONE: an option asked for help, which is in o->help.
 * PARSE_FAIL: o->error is one line; o->help may hold a list for standard output (-d). */
enum parse_result { PARSE_OK, PARSE_DONE, PARSE_FAIL };
enum parse_result options_parse(struct options *o, int argc, char **argv);
void options_free(struct options *o);

/* The table, for help and the manual page. */
enum option_section {
    SECTION_STANDARD,
    SECTION_DRIVES,
    SECTION_DISPLAY,
    SECTION_CHAR,
    SECTION_BOOT,
    SECTION_RUN,
    SECTION_DEBUG,
    SECTION_COUNT
};
struct option {
    const char *name;
    const char *argument; /* NULL: takes none */
    const char *help;     /* one line, without a full stop */
    enum parse_result (*parse)(struct options *o, const char *name, const char *argument);
    enum option_section section;
};
extern const struct option option_table[];
extern const char *const option_section_names[SECTION_COUNT];
void options_help(struct weir_text *out);

/* For the option functions. */
enum parse_result option_fail(struct options *o, const char *format, ...) WEIR_PRINTF(2, 3);
char *option_keep(struct options *o, char *string); /* freed by options_free */
char *option_printf(struct options *o, const char *format, ...) WEIR_PRINTF(2, 3);

#endif
