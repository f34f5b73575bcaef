/* SPDX-License-Identifier: MIT */
/*
 * events.c - one instruction, executed alone with its events raised. See events.h.
 *
 * Order at a boundary: events before the instruction, the instruction, the report of a step, the
 * guest's own debug traps, then (run/dispatch.c) NMI and interrupts. The guest's TF, RF, DR6 and
 * what it pushes are those of interp_step_one without any of this.
 */
#include "cpu/events.h"
#include "cpu/interp/blocks.h"
#include "cpu/interp/ops.h"

#define TRIES_MAX 16 /* of one instruction that handlers want executed anew */

/* What an instruction began with. */
struct beginning {
    uint64_t gpr[16];
    uint64_t rip;
    uint32_t flags, rflags_rest;
    uint8_t shadow, cpl;
    bool tf;
    uint32_t deliveries;
};

static void begin(const struct vcpu *c, struct beginning *b)
{
    memcpy(b->gpr, c->gpr, sizeof(b->gpr));
    b->rip = c->rip;
    b->flags = c->flags;
    b->rflags_rest = c->rflags_rest;
    b->shadow = c->shadow;
    b->cpl = c->cpl;
    b->tf = c->rflags_rest & FLAG_TF;
    b->deliveries = c->ev.deliveries;
}

/* As if it had not been looked at. */
static void unbegin(struct vcpu *c, const struct beginning *b)
{
    c->rflags_rest |= b->rflags_rest & FLAG_RF;
    c->shadow = b->shadow;
}

/* ---- accesses ---- */

bool event_possible(struct vcpu *c)
{
    if (c->ev.inside || c->ev.in_place)
        return true;
    c->fault = (struct x86_fault){.kind = FAULT_EVENT};
    return false;
}

bool event_probe(struct vcpu *c)
{
    if (!event_possible(c))
        return false;
    if (!c->ev.fpu_saved)
        c->ev.fpu = c->fpu;
    c->ev.fpu_saved = true;
    return true;
}

void event_undo(struct vcpu *c)
{
    c->ev.undo = true;
    c->ev.undo_fault = c->fault;
}

bool event_memory(struct vcpu *c, uint64_t linear, uint64_t *gpa, unsigned size, bool write,
                  bool implicit, uint8_t *data, bool *settled)
{
    if (write)
        *gpa = c->ev.hooks->before_write(c, *gpa);
    struct weir_memory_event e = {.gva = linear,
                                  .gpa = *gpa,
                                  .size = size,
                                  .write = write,
                                  .implicit = implicit,
                                  .data = data};
    unsigned response;
    if (!c->ev.hooks->wants_memory(c, &e))
        return true;
    if (!event_possible(c) || !event_raise(c, WEIR_EV_MEMORY, &e.head, &response))
        return false;
    *settled = response & (write ? WEIR_NO_WRITE : WEIR_SUPPLY);
    return true;
}

bool event_walk(struct vcpu *c, uint64_t gpa, unsigned size, uint64_t *value)
{
    *value = 0;
    struct weir_memory_event e = {
        .gva = gpa, .gpa = gpa, .size = size, .walk = true, .data = (uint8_t *)value};
    unsigned response = 0;
    if (c->ev.quiet || !c->ev.hooks->wants_memory(c, &e))
        return false;
    c->ev.in_place++;
    struct x86_fault fault = c->fault;
    event_raise(c, WEIR_EV_MEMORY, &e.head, &response);
    c->fault = fault; /* a walk is not refused */
    c->ev.verdict = VERDICT_NONE;
    c->ev.in_place--;
    return response & WEIR_SUPPLY;
}

/* ---- the instruction ---- */

static void bind(struct vcpu *c, struct insn *i)
{
    c->ev.inside = true;
    insn_bind(c, i);
    c->ev.inside = false;
}

/* As interpreted or translated code has it, but with real functions instead of event_give_up. */
static bool take(struct vcpu *c, const struct insn *known, struct insn alone[2], uint8_t *bytes)
{
    memcpy(bytes, known->bytes, known->length);
    alone[0] = *known;
    alone[1] = (struct insn){.exec = insn_end};
    if (known->exec == event_give_up) {
        if (decode_insn(&alone[0], bytes, known->length, known->code_bits) != DECODE_OK)
            return false;
        bind(c, &alone[0]);
    }
    alone[0].bytes = bytes;
    return true;
}

/* What a handler wants executed instead. */
static bool take_replacement(struct vcpu *c, struct insn alone[2], uint8_t *bytes)
{
    unsigned bits = 16u << (c->mode & MODE_CODE_MASK);
    memcpy(bytes, c->ev.replace, INSN_MAX_BYTES);
    alone[1] = (struct insn){.exec = insn_end};
    enum decode_status status = decode_insn(&alone[0], bytes, c->ev.replace_bytes, bits);
    if (status != DECODE_OK) {
        raise_ud(c);
        return false;
    }
    bind(c, &alone[0]);
    return true;
}

static enum weir_stop execute(struct vcpu *c, const struct insn alone[2],
                              const struct beginning *b)
{
    struct cpu_events *ev = &c->ev;
    ev->inside = true;
    ev->start = b->rip;
    ev->verdict = VERDICT_NONE;
    ev->undo = ev->fpu_saved = false;
    c->rip = b->rip + alone[0].length;
    enum weir_stop stop = alone[0].exec(c, alone);
    ev->inside = false;
    if (ev->undo) {
        for (unsigned n = 0; n < 16; n++)
            if (!(c->dirty[WEIR_RAX / 64] >> (WEIR_RAX + n) & 1)) /* but what a handler set */
                c->gpr[n] = b->gpr[n];
        c->flags = b->flags;
        c->rip = b->rip + alone[0].length;
        c->fault = ev->undo_fault;
        stop = STOP_FAULT;
    }
    if (stop == STOP_FAULT && ev->fpu_saved)
        c->fpu = ev->fpu;
    return stop;
}

/* A handler has decided about the instruction; rip is at it or behind it. True: begin anew. */
static bool decided(struct vcpu *c, const struct beginning *b, enum event_verdict verdict,
                    unsigned length)
{
    c->rip = b->rip;
    switch (verdict) {
    case VERDICT_SKIP:
        c->rip += length;
        c->instructions++;
        return false;
    case VERDICT_MOVED:
        c->rip = c->ev.moved;
        return false;
    case VERDICT_STOP:
        unbegin(c, b);
        c->ev.answered = true;
        c->ev.answered_rip = b->rip;
        return false;
    default:
        unbegin(c, b);
        c->ev.answered = true; /* what comes before it has been told */
        c->ev.answered_rip = b->rip;
        return true;
    }
}

static void report(struct vcpu *c, const struct insn *i, const struct beginning *b,
                   uint64_t linear, enum weir_stop stop, bool faulted)
{
    bool whole = stop != STOP_REPEAT || c->ev.rep_each;
    if (!c->ev.stepping || stop == STOP_EXIT || stop == STOP_RETRY || stop == STOP_TRIPLE ||
        !whole)
        return;
    struct step_done done = {.from = linear,
                             .next = b->rip + (i ? i->length : 0),
                             .rsp = b->gpr[RSP],
                             .cpl = b->cpl,
                             .faulted = faulted,
                             .is_return = i && (i->op == OP_RET || i->op == OP_RETF),
                             .deliveries = b->deliveries};
    c->ev.hooks->stepped(c, &done);
}

/* No instruction could be executed: c->fault says why. */
static enum weir_stop refuse(struct vcpu *c, const struct beginning *b, uint64_t linear)
{
    enum weir_stop stop = exception_deliver(c);
    report(c, NULL, b, linear, stop, true);
    return stop;
}

static enum weir_stop finish(struct vcpu *c, const struct insn *i, const struct beginning *b,
                             uint64_t linear, enum weir_stop stop)
{
    bool traps = stop <= STOP_REPEAT || stop == STOP_HALT; /* a fault is not a step done */
    bool faulted = stop == STOP_FAULT, branched = c->rip != b->rip + i->length;
    stop = interp_settle(c, i, stop);
    c->ev.hooks->alone_ends(c);
    report(c, i, b, linear, stop, faulted);
    if (!traps || !debug_after(c, b->tf, branched))
        return stop;
    c->halted = false;
    return exception_deliver(c);
}

/* Events before the instruction at the start of `k`; VERDICT_NONE: it may be executed. */
static enum event_verdict before(struct vcpu *c, struct block *k, uint64_t linear)
{
    bool answered = c->ev.answered && c->ev.answered_rip == c->rip, seen = false;
    c->ev.answered = false;
    if (!k->watched || answered)
        return VERDICT_NONE;
    struct block_start start = {.linear = linear,
                                .gpa = k->gpa,
                                .bytes = k->bytes,
                                .instructions = k->count,
                                .watched = k->watched};
    enum event_verdict verdict = c->ev.hooks->before(c, &start, &seen);
    if (seen)
        k->watched &= (uint8_t)~WATCHED_BLOCK;
    return verdict;
}

bool events_block(struct vcpu *c, struct block *k, uint64_t linear, enum weir_stop *stop)
{
    struct beginning b;
    size_t used = c->blocks->used;
    begin(c, &b);
    enum event_verdict verdict = before(c, k, linear);
    bool changed = used != c->blocks->used || k->offset == BLOCK_DEAD;
    if (verdict == VERDICT_NONE && !changed)
        return true;
    if (verdict == VERDICT_NONE)
        verdict = VERDICT_AGAIN;
    *stop = STOP_BOUNDARY;
    if (verdict == VERDICT_FAULT)
        *stop = exception_deliver(c);
    else
        decided(c, &b, verdict, k->insns[0].length);
    return false;
}

/* *anew: nothing has been done, try again. */
static enum weir_stop step(struct vcpu *c, bool *anew)
{
    struct beginning b;
    struct insn alone[2];
    uint8_t bytes[16];
    *anew = false;
    begin(c, &b);
    uint64_t linear = cpu_linear_rip(c);
    b.rip = c->rip;
    if ((c->mode & MODE_DEBUG) && debug_before(c))
        return refuse(c, &b, linear);
    c->rflags_rest &= ~FLAG_RF;
    c->shadow = 0;
    struct block *k = blocks_at(c, linear);
    if (!k)
        return refuse(c, &b, linear);
    if (c->rip + (k->insns[0].length - 1u) > c->segc[SEG_CS].limit) {
        raise_gp0(c);
        return refuse(c, &b, linear);
    }
    blocks_unpatch(c);
    bool replaced = c->ev.replace_bytes, ok = true;
    if (replaced)
        c->ev.answered = false;
    if (replaced)
        ok = take_replacement(c, alone, bytes);
    else
        ok = take(c, &k->insns[0], alone, bytes);
    c->ev.replace_bytes = 0;
    if (!ok)
        return refuse(c, &b, linear);
    enum event_verdict verdict = replaced ? VERDICT_NONE : before(c, k, linear);
    if (verdict == VERDICT_FAULT)
        return refuse(c, &b, linear);
    if (verdict != VERDICT_NONE) {
        *anew = decided(c, &b, verdict, alone[0].length);
        return STOP_BOUNDARY;
    }
    enum weir_stop stop = execute(c, alone, &b);
    if (stop == STOP_FAULT && c->fault.kind == FAULT_EVENT) {
        *anew = decided(c, &b, c->ev.verdict, alone[0].length);
        return STOP_BOUNDARY;
    }
    return finish(c, &alone[0], &b, linear, stop);
}

enum weir_stop events_step(struct vcpu *c)
{
    enum weir_stop stop = STOP_BOUNDARY;
    bool anew = true;
    c->ev.replace_bytes = 0;
    for (unsigned tries = 0; anew && tries < TRIES_MAX; tries++)
        stop = step(c, &anew);
    return stop;
}
