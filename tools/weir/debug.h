/* SPDX-License-Identifier: MIT */
/*
 * debug.h - breakpoints, watches and traces that a person set in the monitor. The list belongs to
 * the loop's thread (with tool->lock); handlers run in the vCPU's thread and only read their own
 * entry, which outlives its registration.
 */
#ifndef TOOL_DEBUG_H
#define TOOL_DEBUG_H

#include "tool.h"

enum debug_kind { DEBUG_BREAK, DEBUG_WATCH, DEBUG_TRACE };
struct debug_point {
    struct tool *tool;
    unsigned number;
    enum debug_kind kind;
    bool physical;
    uint8_t access; /* WEIR_READ, WEIR_WRITE */
    uint64_t address, length;
    uint64_t handle, hits; /* hits: atomic */
    struct debug_point *next;
};

/* One instruction as text: address, name of its place, code. */
void debug_insn_text(weir_vcpu *cpu, uint64_t pc, char *text, size_t bytes);
/* Address of a symbol, for expressions; false if there is none. */
bool debug_symbol(struct tool *t, const char *name, uint64_t *address);
/* Text for all monitors, from any thread; may be lost when there are very many. */
void debug_notice(struct tool *t, const char *format, ...) WEIR_PRINTF(2, 3);
/* Next text, to be freed, or NULL; the loop's thread. */
char *debug_next_notice(struct tool *t);
void debug_free(struct tool *t);

/* Topics of info. */
struct command_call;
void debug_info_walk(struct command_call *c);
void debug_info_events(struct command_call *c);
void debug_info_breakpoints(struct command_call *c);

#endif
