/* SPDX-License-Identifier: MIT */
/*
 * raise.c - an event happens: who is told, and what the answers mean.
 *
 * The virtual clock stands still while handlers run. Three situations: `before` (the
 * instruction has not begun: RIP is at it), `inside` (it is being executed alone: RIP is behind
 * it and is shown as its own), in place (a delivery: RIP is what it is, and only a refusal can
 * be obeyed).
 */
#include "introspect/introspect.h"
#include "run/run.h"

/* ---- whom it concerns ---- */

static uint64_t number_of(const struct weir_event *e)
{
    switch (e->kind) {
    case WEIR_EV_CONTROL:
        return ((const struct weir_control_event *)e)->number;
    case WEIR_EV_MSR:
        return ((const struct weir_msr_event *)e)->number;
    case WEIR_EV_TABLE:
        return ((const struct weir_table_event *)e)->table;
    case WEIR_EV_CPUID:
        return ((const struct weir_cpuid_event *)e)->leaf;
    case WEIR_EV_IO:
        return ((const struct weir_io_event *)e)->port;
    case WEIR_EV_INTERRUPT:
        return ((const struct weir_interrupt_event *)e)->vector;
    case WEIR_EV_SYSCALL:
        return ((const struct weir_syscall_event *)e)->number;
    case WEIR_EV_SYSRET:
        return ((const struct weir_sysret_event *)e)->number;
    case WEIR_EV_HOSTCALL:
        return ((const struct weir_hostcall_event *)e)->service;
    default:
        return 0;
    }
}

static unsigned access_of(const struct weir_event *e)
{
    bool write;
    switch (e->kind) {
    case WEIR_EV_MSR:
        write = ((const struct weir_msr_event *)e)->write;
        break;
    case WEIR_EV_TABLE:
        write = ((const struct weir_table_event *)e)->write;
        break;
    case WEIR_EV_IO:
        write = ((const struct weir_io_event *)e)->write;
        break;
    default:
        return WEIR_RWX;
    }
    return write ? WEIR_WRITE : WEIR_READ;
}

/* Address of the instruction: of a step, the one that is done. */
static uint64_t pc_of(const struct weir_event *e)
{
    return e->kind == WEIR_EV_STEP ? ((const struct weir_step_event *)e)->from : e->pc;
}

bool watch_matches_cpu(const struct watch *w, const struct vcpu *c, const struct weir_event *e)
{
    const struct weir_filter *f = &w->filter;
    if (LIKELY(!f->by))
        return true;
    if ((f->by & WEIR_BY_VCPU) && f->vcpu != c->index)
        return false;
    if ((f->by & WEIR_BY_CR3) && (f->cr3 ^ c->cr3) >> 12)
        return false;
    if ((f->by & WEIR_BY_PCID) && (!(c->cr4 & CR4_PCIDE) || (c->cr3 & 0xfff) != f->pcid))
        return false;
    if ((f->by & WEIR_BY_CPL) && !(f->cpls >> c->cpl & 1))
        return false;
    if ((f->by & WEIR_BY_PC) && (pc_of(e) < f->pc_first || pc_of(e) > f->pc_last))
        return false;
    if ((f->by & WEIR_BY_NUMBER) &&
        (number_of(e) < f->number_first || number_of(e) > f->number_last))
        return false;
    return !(f->by & WEIR_BY_ACCESS) || f->access & access_of(e);
}

/* ---- calling ---- */

void introspect_head(struct vcpu *c, enum weir_event_kind kind, struct weir_event *e)
{
    e->kind = kind;
    e->cpl = c->cpl;
    e->vcpu = (uint8_t)c->index;
    e->rip = c->rip;
    e->pc = cpu_linear_rip(c);
    e->cr3 = c->cr3;
}

static unsigned call(struct vcpu *c, struct watch *w, struct weir_event *e)
{
    weir_vcpu *cpu = (weir_vcpu *)c;
    switch (w->kind) {
#define X(name, NAME, what)                                                                    \
    case WEIR_EV_##NAME:                                                                       \
        return w->fn.name(w->ctx, cpu, (struct weir_##name##_event *)e);
        WEIR_EVENT_KINDS(X)
#undef X
    default:
        return 0;
    }
}

unsigned watch_call(struct vcpu *c, struct watch *w, struct weir_event *e)
{
    struct introspect *ix = introspect_of(c);
    struct watch *outer = ix->calling;
    unsigned response = 0;
    __atomic_store_n(&ix->calling, w, __ATOMIC_SEQ_CST);
    if (!watch_is_dead(w)) {
        __atomic_fetch_add(&w->hits, 1, __ATOMIC_RELAXED);
        e->handle = w->handle;
        response = call(c, w, e);
        if (response & WEIR_REMOVE)
            introspect_kill(ix, w);
    }
    __atomic_store_n(&ix->calling, outer, __ATOMIC_SEQ_CST);
    return response;
}

void introspect_clock(struct vcpu *c, bool hold)
{
    if (c->clock->mode != CLOCK_HOST)
        return;
    pthread_mutex_lock(c->device_lock);
    if (hold)
        clock_stop(c->clock);
    else
        clock_start(c->clock);
    pthread_mutex_unlock(c->device_lock);
}

/* ---- answers ---- */

static void fault_preset(struct vcpu *c, struct weir_event *e)
{
    struct weir_answer *a = &e->answer;
    bool memory = e->kind == WEIR_EV_MEMORY;
    *a = (struct weir_answer){0};
    a->fault.vector = VEC_GP;
    a->fault.has_error = true;
    if ((memory || e->kind == WEIR_EV_EXECUTE || e->kind == WEIR_EV_BREAKPOINT) &&
        c->cr0 & CR0_PG) {
        const struct weir_memory_event *m = (const void *)e;
        a->fault.vector = VEC_PF;
        a->fault.error = PF_ERR_P | (c->cpl == 3 ? PF_ERR_U : 0) |
                         (memory && m->write ? PF_ERR_W : 0) | (memory ? 0 : PF_ERR_I);
        a->fault.address = memory ? m->gva : e->pc;
    } else if (e->kind == WEIR_EV_CPUID || e->kind == WEIR_EV_SYSCALL) {
        a->fault.vector = VEC_UD;
        a->fault.has_error = false;
    } else if (e->kind == WEIR_EV_INTERRUPT) {
        const struct weir_interrupt_event *i = (const void *)e;
        a->fault.vector = i->vector;
        a->fault.has_error = i->has_error;
        a->fault.error = i->error;
        a->fault.address = i->address;
    }
}

void introspect_effects(struct vcpu *c, const struct weir_event *e, unsigned response)
{
    struct introspect *ix = introspect_of(c);
    if (response & (WEIR_STEP_ON | WEIR_STEP_OFF)) {
        ix->demand = !(response & WEIR_STEP_OFF);
        step_update(c);
    }
    if (response & WEIR_PAUSE)
        weir_pause(c->vm);
    if (response & WEIR_STOP)
        run_request_stop(c->vm);
    if (response & (WEIR_VIEW | WEIR_VIEW_ONCE) && e->answer.view < WEIR_VIEWS_MAX) {
        if (response & WEIR_VIEW_ONCE && !ix->view_once) {
            ix->view_back = ix->view;
            ix->view_once = true;
        }
        view_select(c, e->answer.view);
    }
}

static bool verdict(struct vcpu *c, enum event_verdict v)
{
    c->ev.verdict = (uint8_t)v;
    if (v == VERDICT_NONE)
        return true;
    if (v != VERDICT_FAULT)
        c->fault = (struct x86_fault){.kind = FAULT_EVENT};
    return false;
}

static bool deny(struct vcpu *c, const struct weir_event *e)
{
    c->fault = (struct x86_fault){.vector = e->answer.fault.vector,
                                  .kind = FAULT_EXCEPTION,
                                  .has_error = e->answer.fault.has_error,
                                  .error = e->answer.fault.error,
                                  .address = e->answer.fault.address};
    return verdict(c, VERDICT_FAULT);
}

static bool is_denied(const struct weir_event *e, unsigned response)
{
    if (response & (WEIR_EMULATE | WEIR_SUPPLY | WEIR_NO_WRITE | WEIR_SKIP | WEIR_REPLACE |
                    WEIR_VIEW | WEIR_VIEW_ONCE))
        return false;
    return (e->kind == WEIR_EV_MEMORY && ((const struct weir_memory_event *)e)->denied) ||
           (e->kind == WEIR_EV_EXECUTE && ((const struct weir_execute_event *)e)->denied);
}

/* What an instruction depends on beside registers. */
struct surroundings {
    uint64_t rip, cr3;
    uint32_t mode;
    unsigned view;
};

static bool conclude(struct vcpu *c, struct weir_event *e, unsigned response,
                     const struct surroundings *was, bool moved)
{
    bool in_place = c->ev.in_place, before = !c->ev.inside && !in_place;
    if (response & WEIR_DENY || is_denied(e, response))
        return deny(c, e);
    if (in_place && e->kind != WEIR_EV_INTERRUPT)
        return verdict(c, VERDICT_NONE);
    if (response & WEIR_SKIP)
        return verdict(c, VERDICT_SKIP);
    if (moved)
        return verdict(c, VERDICT_MOVED);
    if (in_place)
        return verdict(c, VERDICT_NONE);
    if (response & WEIR_REPLACE && e->answer.insn_bytes &&
        e->answer.insn_bytes <= INSN_MAX_BYTES) {
        memcpy(c->ev.replace, e->answer.insn, INSN_MAX_BYTES);
        c->ev.replace_bytes = e->answer.insn_bytes;
        return verdict(c, VERDICT_REPLACE);
    }
    if (before && response & (WEIR_PAUSE | WEIR_STOP))
        return verdict(c, VERDICT_STOP);
    if (introspect_of(c)->view != was->view && !(response & (WEIR_EMULATE | WEIR_SUPPLY)))
        return verdict(c, VERDICT_AGAIN);
    if (before && (c->mode != was->mode || c->cr3 != was->cr3))
        return verdict(c, VERDICT_AGAIN);
    return verdict(c, VERDICT_NONE);
}

bool introspect_raise(struct vcpu *c, enum weir_event_kind kind, struct weir_event *e,
                      unsigned *response)
{
    struct introspect *ix = introspect_of(c);
    uint64_t behind = c->rip;
    bool inside = c->ev.inside && !c->ev.in_place, held = false;
    if (inside)
        c->rip = c->ev.start;
    introspect_head(c, kind, e);
    struct surroundings was = {c->rip, c->cr3, c->mode, ix->view};
    unsigned answers = 0;
    struct watch *w;
    FOR_WATCHES(ix, kind, w)
    {
        if (watch_is_dead(w) || !watch_matches(w, c, e))
            continue;
        if (!held) {
            introspect_clock(c, true);
            fault_preset(c, e);
            held = true;
        }
        answers |= watch_call(c, w, e);
    }
    if (held) {
        introspect_clock(c, false);
        introspect_effects(c, e, answers);
    } else if (is_denied(e, 0)) {
        fault_preset(c, e);
    }
    *response = answers;
    bool moved = held && (c->rip != was.rip || c->rip_set);
    c->ev.moved = c->rip;
    c->rip_set = false;
    if (!moved)
        c->rip = behind;
    if (kind == WEIR_EV_SYSCALL)
        syscall_open(c, (const struct weir_syscall_event *)e);
    return conclude(c, e, answers, &was, moved);
}

/* ---- events that no instruction makes ---- */

void introspect_machine(struct vcpu *c, enum weir_event_kind kind, bool from_guest)
{
    struct weir_reset_event reset = {.from_guest = from_guest};
    struct weir_shutdown_event shutdown = {0};
    unsigned response;
    if (!event_armed(c, kind))
        return;
    c->ev.in_place++;
    introspect_raise(c, kind, kind == WEIR_EV_RESET ? &reset.head : &shutdown.head, &response);
    c->ev.verdict = VERDICT_NONE;
    c->ev.in_place--;
}

bool introspect_hostcall(struct vcpu *c, uint64_t block, uint16_t service)
{
    struct weir_hostcall_event e = {.block = block, .service = service};
    unsigned response;
    if (!event_armed(c, WEIR_EV_HOSTCALL))
        return true;
    bool alone = c->ev.inside;
    c->ev.in_place += !alone;
    bool served = introspect_raise(c, WEIR_EV_HOSTCALL, &e.head, &response);
    c->ev.in_place -= !alone;
    return served;
}
