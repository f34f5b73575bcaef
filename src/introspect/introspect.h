/* SPDX-License-Identifier: MIT */
/*
 * introspect.h - who watches what: data and division of labour of this directory.
 *
 *   registry.c  handlers come and go, from any thread; the vCPU thread takes changes over
 *   raise.c     an event: whom it concerns, their calls, what their answers mean
 *   ranges.c    sets of watched addresses
 *   watch.c     memory and code: pages, bytes, breakpoints
 *   step.c      stepping
 *   syscall.c   system calls and their returns
 *   view.c      views of physical memory
 *   page_trace.c weir_trace_page
 *   walk.c, search.c, symbols.c: weir/inspect.h
 *
 * Two worlds: `all` and what hangs on it is under `lock`; everything below "vCPU thread" belongs to
 * that thread, or to whoever has the VM stopped. A handler is dead before it is freed, and freed
 * only where the vCPU thread cannot be using it (introspect_changed, introspect_fini).
 */
#ifndef INTROSPECT_INTROSPECT_H
#define INTROSPECT_INTROSPECT_H

#include "board/machine.h"
#include "cpu/events.h"
#include <weir/inspect.h>

struct step_state {
    struct weir_step how;
    bool limited;     /* made by weir_step: `how` counts */
    bool begun, over; /* over: in a handler that is not reported */
    uint64_t count;
    uint64_t first_rsp; /* where it began */
    uint64_t over_rsp, over_from;
    uint8_t first_cpl, over_cpl;
};

/* One registration. */
struct watch {
    struct watch *next;
    uint64_t handle, group; /* group: a handle that stands for several, or 0 */
    enum weir_event_kind kind;
    struct weir_filter filter;
    union {
#define X(name, NAME, what) weir_##name##_fn *name;
        WEIR_EVENT_KINDS(X)
#undef X
        void (*any)(void);
    } fn;
    void *ctx;
    void (*release)(void *ctx); /* called when it is freed; NULL */
    bool dead;                  /* atomic */
    uint64_t hits;              /* atomic */
    struct step_state step;
};

/* Disjoint ranges of addresses, ascending. */
struct range_set {
    struct watched_range {
        uint64_t first, last;
        unsigned mask;
    } * range;
    unsigned count;
};

#define SYSCALLS_OPEN 256u
struct open_syscall {
    uint64_t cr3, rip, rsp;
    uint64_t number, argument[6];
    uint64_t age;
    bool is_64bit, anywhere; /* anywhere: the program's RIP is not known (SYSENTER) */
};

struct view;
struct symbol_table;
struct plugin;
struct trace_sink;

struct introspect {
    struct weir *vm;
    pthread_mutex_t lock;
    struct watch *all, **end;
    uint64_t handles;
    bool pages_changed, blocks_changed; /* since introspect_changed was last here */
    struct watch *calling;              /* atomic: the handler that runs */
    struct view *views[WEIR_VIEWS_MAX]; /* [0] is NULL */
    struct symbol_table *symbols;
    struct plugin *plugins;
    struct trace_sink *trace;
    unsigned next_view_page;
    /* ---- vCPU thread */
    struct watch **active;             /* by kind */
    unsigned first[WEIR_EV_COUNT + 1]; /* of each kind in `active` */
    struct range_set physical, linear;
    bool demand; /* STEP_ON */
    unsigned view, view_back;
    bool view_once;
    struct open_syscall open[SYSCALLS_OPEN];
    uint64_t ages;
};

static inline struct introspect *introspect_of(const struct vcpu *c)
{
    return c->vm->introspect;
}
static inline bool watch_is_dead(const struct watch *w)
{
    return __atomic_load_n(&w->dead, __ATOMIC_SEQ_CST);
}
#define FOR_WATCHES(ix, kind, w)                                                               \
    for (unsigned k_ = (ix)->first[kind], e_ = (ix)->first[(kind) + 1];                        \
         k_ < e_ && ((w) = (ix)->active[k_], true); k_++)

/* ---- registry.c */
int introspect_init(struct weir *vm);
void introspect_fini(struct weir *vm);
/* A copy of `model` is registered. */
int introspect_add(struct weir *vm, const struct watch *model, uint64_t *handle);
void introspect_kill(struct introspect *ix, struct watch *w);
uint64_t introspect_group(struct introspect *ix); /* a handle for several */
void introspect_kill_group(struct introspect *ix, uint64_t group);
void introspect_changed(struct vcpu *c);

/* ---- raise.c */
bool introspect_raise(struct vcpu *c, enum weir_event_kind kind, struct weir_event *e,
                      unsigned *response);
void introspect_head(struct vcpu *c, enum weir_event_kind kind, struct weir_event *e);
/* Who, privilege, address space, RIP; not what is particular to a kind. */
bool watch_matches_cpu(const struct watch *w, const struct vcpu *c, const struct weir_event *e);
unsigned watch_call(struct vcpu *c, struct watch *w, struct weir_event *e);
/* Stops the virtual clock, and lets it go on. */
void introspect_clock(struct vcpu *c, bool hold);
/* What answers mean for the time behind the instruction. */
void introspect_effects(struct vcpu *c, const struct weir_event *e, unsigned response);
void introspect_machine(struct vcpu *c, enum weir_event_kind kind, bool from_guest);
/* A host call, from the instruction that makes it. False: it is not to be served: return
 * STOP_FAULT. */
bool introspect_hostcall(struct vcpu *c, uint64_t block, uint16_t service);

/* ---- ranges.c */
struct range_builder {
    struct range_edge {
        uint64_t at;
        int mask; /* positive begins, negative ends */
    } * edge;
    unsigned count, size;
    bool failed;
};
void ranges_add(struct range_builder *b, uint64_t first, uint64_t last, unsigned mask);
void ranges_build(struct range_builder *b, struct range_set *set); /* frees what b has */
void ranges_free(struct range_set *set);
/* OR of the masks of ranges that meet [first, last]. */
unsigned ranges_find(const struct range_set *set, uint64_t first, uint64_t last);

/* ---- watch.c */
void watch_build(struct introspect *ix);
bool watch_wants_memory(struct vcpu *c, const struct weir_memory_event *e);
bool watch_matches(const struct watch *w, const struct vcpu *c, const struct weir_event *e);
void watch_page_fill(struct vcpu *c, struct phys_page *p);
unsigned watch_linear(struct vcpu *c, uint64_t linear, bool global);
unsigned watch_code_distance(struct vcpu *c, uint64_t linear, uint64_t gpa);
bool watch_wants_block(struct vcpu *c, uint64_t linear);
enum event_verdict watch_before(struct vcpu *c, const struct block_start *start, bool *seen);

/* ---- step.c */
void step_update(struct vcpu *c);
bool step_filtered(const struct introspect *ix); /* steps are for some code only */
void step_done(struct vcpu *c, const struct step_done *done);

/* ---- syscall.c */
void syscall_open(struct vcpu *c, const struct weir_syscall_event *e);
void syscall_returned(struct vcpu *c);

/* ---- view.c */
uint64_t view_gpa(struct vcpu *c, uint64_t gpa);
uint64_t view_real_gpa(const struct introspect *ix, uint64_t gpa);
void view_page_fill(struct vcpu *c, struct phys_page *p);
unsigned view_denied(const struct introspect *ix, uint64_t gpa); /* ACCESS_* */
/* A guest is about to write to a page: its address then. */
uint64_t view_before_write(struct vcpu *c, uint64_t gpa);
void view_select(struct vcpu *c, unsigned view);
void view_alone_ends(struct vcpu *c);
void views_free(struct introspect *ix);

/* ---- trace_write.c */
int trace_end(struct introspect *ix);

/* ---- plugin.c */
void plugins_end(struct introspect *ix);
void plugins_free(struct introspect *ix);

/* ---- symbols.c */
void symbols_free(struct introspect *ix);

#endif
