/* SPDX-License-Identifier: MIT */
/* stats.c - the translator's counters for embedders. */
#include "jit/windows.h"

/* The operations that went to C most often, in order. */
static void find_top(const struct jit_stats *s, struct weir_jit_stats *out)
{
    for (unsigned op = 0; op < OP_COUNT; op++) {
        unsigned at = ARRAY_SIZE(out->top);
        while (at && s->operations[op] > out->top[at - 1].count)
            at--;
        if (at == ARRAY_SIZE(out->top))
            continue;
        memmove(&out->top[at + 1], &out->top[at],
                (ARRAY_SIZE(out->top) - 1 - at) * sizeof(out->top[0]));
        out->top[at].operation = op_name((enum op)op);
        out->top[at].count = s->operations[op];
    }
}

/* Parts of a thousand of the time in jit_run, estimated from samples. */
static void find_time(const struct jit_stats *s, struct weir_jit_stats *out)
{
    if (!s->run_ticks || !s->entries_timed)
        return;
    double entered = (double)s->entry_ticks / (double)s->entries_timed * (double)s->entries;
    double called =
        s->calls_timed ? (double)s->call_ticks / (double)s->calls_timed * (double)s->calls : 0;
    double total = (double)s->run_ticks;
    if (called > total)
        called = total;
    if (entered > total)
        entered = total;
    if (entered < called)
        entered = called;
    out->permille_calls = (unsigned)(called / total * 1000);
    out->permille_translated = (unsigned)((entered - called) / total * 1000);
}

bool jit_stats_read(const struct vcpu *c, struct weir_jit_stats *out)
{
    const struct jit *jit = c->jit;
    if (!jit)
        return false;
    const struct jit_stats *s = &jit->stats;
    *out = (struct weir_jit_stats){
        .size = sizeof(*out),
        .blocks = s->blocks,
        .instructions = s->insns,
        .code_bytes = jit->code_used + jit->cold_used - jit->cold_start,
        .code_bytes_max = jit->code_bytes,
        .data_bytes = jit->arena_used,
        .data_bytes_max = jit->arena_bytes,
        .links_made = s->links,
        .links_broken = s->unlinked,
        .indirect_misses = s->indirect_misses,
        .flushes = s->flushes,
        .entries = s->entries,
        .interpreted = s->interpreted,
        .exits_unlinked = s->exits[EXIT_LINK],
        .exits_indirect = s->exits[EXIT_INDIRECT],
        .exits_poll = s->exits[EXIT_POLL],
        .exits_start = s->exits[EXIT_START],
        .exits_call = s->exits[EXIT_CALL],
        .calls_memory = s->calls_memory,
        .calls_condition = s->calls_condition,
        .calls_operation = s->calls_operation,
        .tlb_fills = c->tlb_fills,
        .windows_opened = s->windows_opened,
        .windows_closed = s->windows_closed,
        .window_faults = s->window_faults,
        .window_fills = s->window_fills,
        .window_pages = jit->windows ? jit->windows->page_count : 0,
    };
    find_time(s, out);
    find_top(s, out);
    return true;
}
