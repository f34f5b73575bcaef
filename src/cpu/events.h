/* SPDX-License-Identifier: MIT */
/*
 * events.h - the CPU's side of introspection: where an event may happen, it is raised here, and
 * what somebody answered is done. Who watches what is introspect/'s business, reached by hooks.
 *
 * The rule that keeps engines free of all this: they only find out that an instruction concerns
 * somebody, before it has done anything, and give up on it (FAULT_EVENT). Then events_step executes
 * it once more, alone, with vcpu.ev.inside set, and only then events are raised: registers are
 * exact, RIP is known, a response can skip, replace or refuse the instruction.
 *   - Pages: no tags in the TLB where somebody watches, so that accesses come to access.c.
 *   - Code: blocks of watched pages have MODE_WATCHED in their key and end before the next watched
 *     instruction; those that begin with one have block.watched.
 *   - Operations (CPUID, OUT...): bound to a function that gives up at once, while their kind of
 *     event is armed; arming changes code, so it flushes blocks.
 *   - Steps: MODE_EVENTS.
 * Deliveries of exceptions and task switches cannot begin again: there events are raised in place
 * (vcpu.ev.in_place), and only a refusal and what they mean to the vCPU afterwards count.
 */
#ifndef CPU_EVENTS_H
#define CPU_EVENTS_H

#include "cpu/cpu.h"
#include <weir/introspect.h>

struct phys_page;

/* vcpu.ev.verdict: what is to become of the instruction, when raising an event said false. */
enum event_verdict {
    VERDICT_NONE,
    VERDICT_FAULT,   /* deliver vcpu.fault */
    VERDICT_SKIP,    /* go on behind it */
    VERDICT_MOVED,   /* go on at ev.moved */
    VERDICT_REPLACE, /* execute ev.replace instead */
    VERDICT_AGAIN,   /* execute it anew: what it sees has changed */
    VERDICT_STOP,    /* it has not begun; leave to the dispatch loop, which knows why */
};

struct block_start {
    uint64_t linear, gpa;
    unsigned bytes, instructions;
    unsigned watched; /* block.watched */
};
enum { WATCHED_CODE = 1, WATCHED_BLOCK = 2 }; /* block.watched */

struct step_done {
    uint64_t from; /* linear, of the instruction */
    uint64_t next; /* RIP behind it */
    uint64_t rsp;  /* before it */
    uint8_t cpl;   /* before it */
    bool faulted, is_return;
    uint32_t deliveries; /* before it */
};

struct event_hooks {
    /* Calls whom it concerns. False: ev.verdict, and the fault if it is that. */
    bool (*raise)(struct vcpu *c, enum weir_event_kind kind, struct weir_event *event,
                  unsigned *response);
    /* Whether some handler wants this access; a look, nothing more. */
    bool (*wants_memory)(struct vcpu *c, const struct weir_memory_event *event);
    /* Completes the record of a physical page: who watches it, what a view made of it. */
    void (*page_fill)(struct vcpu *c, struct phys_page *page);
    unsigned (*linear_watch)(struct vcpu *c, uint64_t linear, bool global); /* ACCESS_* */
    /* The address by which the current view has it. */
    uint64_t (*view_gpa)(struct vcpu *c, uint64_t gpa);
    /* The same for a page that is about to be written: it may become another one by that. */
    uint64_t (*before_write)(struct vcpu *c, uint64_t gpa);
    /* Bytes from here to the next watched instruction byte, of this page. */
    unsigned (*code_distance)(struct vcpu *c, uint64_t linear, uint64_t gpa);
    bool (*wants_block)(struct vcpu *c, uint64_t linear);
    /* Events before an instruction that block.watched speaks of. *seen: not again for it. */
    enum event_verdict (*before)(struct vcpu *c, const struct block_start *start, bool *seen);
    void (*stepped)(struct vcpu *c, const struct step_done *step);
    void (*alone_ends)(struct vcpu *c); /* an instruction is done: views for one of them end */
    /* A system call returned: the vCPU is in the program. */
    void (*returned)(struct vcpu *c);
    /* ATTENTION_EVENTS: takes over what others have registered. Also before the first run. */
    void (*changed)(struct vcpu *c);
    /* The machine was reset, or shuts down. */
    void (*machine)(struct vcpu *c, enum weir_event_kind kind, bool from_guest);
};

static inline bool event_armed(const struct vcpu *c, enum weir_event_kind kind)
{
    return UNLIKELY(c->ev.armed >> kind & 1);
}
/* Whether an operation in C is to raise this kind. */
static inline bool event_here(const struct vcpu *c, enum weir_event_kind kind)
{
    return UNLIKELY(c->ev.inside) && event_armed(c, kind);
}
static inline bool event_raise(struct vcpu *c, enum weir_event_kind kind,
                               struct weir_event *event, unsigned *response)
{
    return c->ev.hooks->raise(c, kind, event, response);
}

/* ---- events.c ---- */
/* Executes the instruction at RIP alone, with all that concerns it; as interp_step_one. */
enum weir_stop events_step(struct vcpu *c);
/* The event of a block of which nothing else is watched, which is to be executed then. False: it is
 * not; *stop is set. */
bool events_block(struct vcpu *c, struct block *b, uint64_t linear, enum weir_stop *stop);
/* One piece of an access, to a watched page. *settled: it is done already. False: c->fault. */
bool event_memory(struct vcpu *c, uint64_t linear, uint64_t *gpa, unsigned size, bool write,
                  bool implicit, uint8_t *data, bool *settled);
/* Whether events can be raised now. False: c->fault has FAULT_EVENT. */
bool event_possible(struct vcpu *c);
/* A write to a watched page was probed, and will come when registers may have changed. */
bool event_probe(struct vcpu *c);
/* A write that can no longer fail was refused. */
void event_undo(struct vcpu *c);
/* An entry of a watched page that a page walk reads. True: *value was supplied. */
bool event_walk(struct vcpu *c, uint64_t gpa, unsigned size, uint64_t *value);

/* ---- event_ops.c ---- */
/* Kinds (bits) that this instruction may raise. */
uint32_t event_kinds(const struct insn *i);
/* Gives up; stands in for instructions whose kind is armed. */
insn_fn event_give_up;
/* Each: false: return STOP_FAULT. Values are in and out. */
bool event_control(struct vcpu *c, unsigned number, uint64_t old, uint64_t *value,
                   bool *dropped);
bool event_cr3(struct vcpu *c, uint64_t old, uint64_t value);
bool event_msr(struct vcpu *c, uint32_t number, bool write, uint64_t old, uint64_t *value,
               bool *dropped);
bool event_table(struct vcpu *c, unsigned table, bool write, uint64_t base, uint32_t limit,
                 uint16_t selector, bool *dropped);
bool event_cpuid(struct vcpu *c, uint32_t leaf, uint32_t subleaf, uint32_t value[4]);
bool event_rdtsc(struct vcpu *c, uint64_t *value, bool rdtscp);
/* *settled: the port is not to be asked. */
bool event_io(struct vcpu *c, unsigned port, unsigned size, bool write, bool string,
              uint64_t *value, bool *settled);
bool event_syscall(struct vcpu *c, unsigned how);
void event_sysret(struct vcpu *c);
bool event_invlpg_raise(struct vcpu *c, int type, uint64_t linear, unsigned pcid);
static inline bool event_invlpg(struct vcpu *c, int type, uint64_t linear, unsigned pcid)
{
    return !event_here(c, WEIR_EV_INVLPG) || event_invlpg_raise(c, type, linear, pcid);
}
bool event_task(struct vcpu *c, uint16_t from, uint16_t to);
/* Before a delivery. *f may become another fault. False: there is none (verdict). */
bool event_interrupt(struct vcpu *c, struct x86_fault *f);

#endif
