/* SPDX-License-Identifier: MIT */
/*
 * interp.c - the interpreter's loops.
 *
 * run_blocks is the fast one: whole blocks, each followed directly by the next; at the end of
 * each it looks at `attention` and at the budget. Whatever needs a look before or behind a
 * single instruction (TF, breakpoints, RF, an interrupt shadow, the last instructions of a
 * budget, the end of the code segment) goes through step.
 *
 * Instructions count when they are complete: not if they fault or are to be repeated.
 */
#include "cpu/access.h"
#include "cpu/events.h"
#include "cpu/interp/blocks.h"
#include "cpu/interp/ops.h"

/* ---- the log ---- */

struct dump_text {
    struct weir_text text;
    struct log *log;
};
static void dump_put(struct weir_text *text, const char *chars, size_t length)
{
    log_write(container_of(text, struct dump_text, text)->log, WEIR_LOG_CPU, chars, length);
}

static void trace(struct vcpu *c, const struct block *b, uint64_t linear)
{
    if (!(c->log->items & (WEIR_LOG_EXEC | WEIR_LOG_CPU)) || !log_wants(c->log, linear))
        return;
    if (log_on(c->log, WEIR_LOG_EXEC))
        log_printf(c->log, WEIR_LOG_EXEC, "Trace %p [%u: %016llx] \n", (const void *)b,
                   c->index, (unsigned long long)linear);
    if (log_on(c->log, WEIR_LOG_CPU)) {
        struct dump_text out = {{dump_put}, c->log};
        cpu_dump(c, &out.text, false, true);
    }
}

/* ---- what a stopped instruction asks for ---- */

/* rip back to `i`, unless somebody outside has just set it. */
static void rewind_rip(struct vcpu *c, const struct insn *i)
{
    if (LIKELY(!c->rip_set))
        c->rip -= i->length;
}

/* The instruction at rip concerns somebody who watches. */
static enum weir_stop step_alone(struct vcpu *c)
{
    enum weir_stop stop = events_step(c);
    return stop <= STOP_BRANCH ? STOP_BOUNDARY : stop;
}

/* `i` has run and returned `stop`; rip is behind it. Counts it, rewinds it, delivers its fault.
 */
enum weir_stop interp_settle(struct vcpu *c, const struct insn *i, enum weir_stop stop)
{
    switch (stop) {
    case STOP_FAULT:
        rewind_rip(c, i);
        if (LIKELY(c->fault.kind < FAULT_RETRY))
            return exception_deliver(c);
        return c->fault.kind == FAULT_RETRY ? STOP_RETRY : step_alone(c);
    case STOP_REPEAT:
        rewind_rip(c, i);
        c->rflags_rest |= FLAG_RF; /* no instruction breakpoint in the middle of it */
        c->exit.insn_bytes = 0;    /* rip is not behind it */
        return STOP_REPEAT;
    case STOP_RETRY:
        rewind_rip(c, i);
        return STOP_RETRY;
    case STOP_TRAP:
        c->instructions++;
        return exception_deliver(c);
    default:
        c->instructions++;
        return stop;
    }
}

/* ---- one instruction ---- */

bool interp_must_step(const struct vcpu *c)
{
    return (c->mode & (MODE_TF | MODE_DEBUG | MODE_EVENTS)) || (c->rflags_rest & FLAG_RF) ||
           c->shadow || c->pending_dr6;
}

static bool beyond_limit(const struct vcpu *c, unsigned bytes)
{
    return c->rip + (bytes - 1) > c->segc[SEG_CS].limit;
}

enum weir_stop interp_step_one(struct vcpu *c)
{
    if (UNLIKELY(c->ev.active))
        return events_step(c);
    bool tf = c->rflags_rest & FLAG_TF;
    if ((c->mode & MODE_DEBUG) && debug_before(c))
        return exception_deliver(c);
    c->rflags_rest &= ~FLAG_RF;
    c->shadow = 0;
    uint64_t linear = cpu_linear_rip(c);
    const struct block *b = blocks_at(c, linear);
    if (!b)
        return exception_deliver(c);
    const struct insn *i = &b->insns[0];
    if (beyond_limit(c, i->length)) {
        raise_gp0(c);
        return exception_deliver(c);
    }
    if (UNLIKELY(c->log->items & (WEIR_LOG_EXEC | WEIR_LOG_CPU)))
        trace(c, b, linear);
    blocks_unpatch(c);
    struct insn alone[2] = {*i, {.exec = insn_end}};
    c->insn_bytes = i->length;
    c->rip += i->length;
    uint64_t behind = c->rip;
    enum weir_stop stop = i->exec(c, alone);
    bool branched = c->rip != behind;
    bool traps = stop <= STOP_REPEAT || stop == STOP_HALT; /* a fault is not a step done */
    stop = interp_settle(c, i, stop);
    if (!traps || !debug_after(c, tf, branched))
        return stop;
    c->halted = false;
    return exception_deliver(c);
}

/* ---- blocks ---- */

/* The block behind `b`. Inside a page a link will do: as long as no mapping and no mode has
 * changed, the same page and offset is the same code. */
static inline struct block *next_block(struct vcpu *c, struct block *b, uint64_t *linear)
{
    uint64_t from = *linear, to = cpu_linear_rip(c);
    *linear = to;
    bool same_page = !((from ^ to) & ~0xfffull);
    if (LIKELY(same_page)) {
        if (b->next[0]->offset == (to & 0xfff))
            return b->next[0];
        if (b->next[1]->offset == (to & 0xfff))
            return b->next[1];
    }
    struct block *next = blocks_lookup(c, to);
    if (same_page && next && next->host && b->host && b->offset != BLOCK_DEAD) {
        b->next[1] = b->next[0];
        b->next[0] = next;
    }
    return next;
}

/* Blocks are logged, or somebody watches this one. True: it is not to be executed (any more). Out
 * of line: it would keep run_block from being inlined. */
static __attribute__((noinline, cold)) bool noticed(struct vcpu *c, struct block *b,
                                                    uint64_t linear, enum weir_stop *stop)
{
    if (b->watched & WATCHED_CODE) {
        *stop = step_alone(c);
        return true;
    }
    if (b->watched && !events_block(c, b, linear, stop))
        return true;
    trace(c, b, linear);
    return false;
}

/* Runs `b` (NULL: c->fault says why there is none); the limit is not reached yet. STOP_NEXT: to
 * its end, and nothing asks for attention. */
static inline enum weir_stop run_block(struct vcpu *c, struct block *b, uint64_t linear)
{
    if (UNLIKELY(!b))
        return exception_deliver(c);
    if (UNLIKELY(c->insn_limit - c->instructions < b->count || beyond_limit(c, b->bytes))) {
        enum weir_stop one = interp_step_one(c);
        return one == STOP_NEXT ? STOP_BOUNDARY : one; /* the limit may be reached */
    }
    if (UNLIKELY((c->log->items & (WEIR_LOG_EXEC | WEIR_LOG_CPU)) | b->watched)) {
        enum weir_stop early;
        if (noticed(c, b, linear, &early))
            return early;
    }
    c->blocks->running = b;
    c->rip += b->insns[0].length;
    enum weir_stop stop = b->insns[0].exec(c, b->insns);
    c->blocks->running = NULL;
    const struct insn *i = c->stopped_at;
    c->instructions += (uint64_t)(i - b->insns);
    if (UNLIKELY(stop != STOP_BRANCH))
        return interp_settle(c, i, stop);
    c->instructions++;
    /* Nothing is fetched behind the limit: a walk of the page tables would show. */
    return attention_due(c) || c->instructions >= c->insn_limit ? STOP_BOUNDARY : STOP_NEXT;
}

enum weir_stop interp_run_block(struct vcpu *c, struct block *b)
{
    return run_block(c, b, cpu_linear_rip(c));
}

static enum weir_stop run_blocks(struct vcpu *c)
{
    uint64_t linear = cpu_linear_rip(c);
    struct block *b = blocks_lookup(c, linear);
    uint64_t first = c->instructions;
    for (;;) {
        if (UNLIKELY(c->insn_limit_soft && b && c->instructions != first &&
                     c->insn_limit - c->instructions < b->count))
            return STOP_BOUNDARY;
        enum weir_stop stop = run_block(c, b, linear);
        if (stop != STOP_NEXT)
            return stop;
        b = next_block(c, b, &linear);
    }
}

enum weir_stop interp_run(struct vcpu *c)
{
    enum weir_stop stop = STOP_BOUNDARY;
    while (c->instructions < c->insn_limit) {
        stop = interp_must_step(c) ? interp_step_one(c) : run_blocks(c);
        if (stop > STOP_REPEAT)
            return stop;
        if (attention_due(c) || c->insn_limit_soft)
            break;
    }
    return STOP_BOUNDARY;
}
