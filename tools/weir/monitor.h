/* SPDX-License-Identifier: MIT */
/*
 * monitor.h - the human monitor: a line editor per client, and the table of commands. All in
 * the loop's thread.
 */
#ifndef TOOL_MONITOR_H
#define TOOL_MONITOR_H

#include "expr.h"
#include "tool.h"

enum { LINE_MAX_BYTES = 1024, HISTORY_MAX = 32 };

struct monitor {
    struct tool *tool;
    void (*write)(void *ctx, const char *text, size_t length);
    void *ctx;
    char line[LINE_MAX_BYTES];
    unsigned length, cursor, shown;
    char *history[HISTORY_MAX];
    unsigned history_count, history_at;
    uint8_t escape; /* state of an escape sequence from the terminal */
    char escape_parameter;
    bool plain; /* input is no terminal: no escape sequences in the echo */
    bool last_was_cr;
};

struct monitor *monitor_new(struct tool *tool, void (*write)(void *, const char *, size_t),
                            void *ctx, bool plain);
void monitor_free(struct monitor *m);
void monitor_banner(struct monitor *m);
/* Text that comes by itself, around the line that is being typed. */
void monitor_notice(struct monitor *m, const char *text);
void monitor_prompt(struct monitor *m); /* prompt and what was typed so far */
void monitor_input(struct monitor *m, const uint8_t *data, size_t length);

/* ---- commands ---- */

enum { ARGUMENT_MAX = 6 };
struct argument {
    bool present;
    int64_t number;
    char *string;
    struct format format;
};
struct command_call {
    struct tool *tool;
    struct weir_text *out;
    struct monitor *monitor; /* NULL from QMP */
    struct argument args[ARGUMENT_MAX];
};
/* Shape of the arguments, a string of kinds: F file or word in quotes, w word, S rest of the
 * line, l expression, '/' format; what follows '?' may be left out. */
struct command {
    const char *name, *alias;
    const char *shape;
    const char *params; /* as help shows them */
    const char *help;   /* one line */
    void (*run)(struct command_call *c);
};
extern const struct command command_table[];
extern const struct command tool_info_table[]; /* `info` topics that the tool itself answers */
/* Executes one line; output and error texts go to `out`. Needs tool->lock and a VM. */
void command_execute(struct tool *t, struct monitor *m, const char *line,
                     struct weir_text *out);
/* Completions of the word at the end of `line`: i = 0, 1, ... until NULL. */
const char *command_complete(struct tool *t, const char *line, unsigned i, size_t *word_start);
const char *command_name_at(const void *ctx, unsigned i);
/* Parses what follows a command's name; false after telling what is wrong. */
bool command_arguments(struct command_call *c, const struct command *command, const char *s);
void command_usage(struct weir_text *out, const struct command *c);

/* monitor_machine.c, monitor_memory.c, monitor_info.c: the functions of the table. */
// clang-format off
#define COMMANDS(X)                                                                            \
    X(help)                                                                                    \
    X(info)                                                                                    \
    X(quit) X(stop) X(cont) X(system_reset) X(system_powerdown) X(nmi) X(sendkey)              \
        X(mouse_move) X(mouse_button) X(screendump) X(screentext) X(change) X(eject) X(log)    \
            X(clipboard)                                                                       \
            X(logfile) X(singlestep) X(gdbserver) X(break) X(watch) X(delete) X(step)          \
            X(trace) X(symbols) X(x) X(xp) X(print) X(i) X(o) X(sum)     \
                X(memsave) X(pmemsave) X(flush)
// clang-format on

#define X(name) void monitor_##name(struct command_call *c);
COMMANDS(X)
#undef X

/* Shared with QMP. NULL, or what went wrong (valid until the next call). */
const char *save_screen(struct tool *t, const char *path, const char *format);
const char *save_memory(struct tool *t, bool physical, uint64_t address, uint64_t length,
                        const char *path);

#endif
