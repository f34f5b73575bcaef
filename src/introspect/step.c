/* SPDX-License-Identifier: MIT */
/*
 * step.c - stepping: a property of the loop, nothing of the guest's. While anybody steps, the mode
 * has MODE_EVENTS and each instruction goes through events_step, which reports it here.
 */
#include "introspect/introspect.h"
#include "run/run.h"

static bool is_active(const struct introspect *ix, const struct watch *w)
{
    return !watch_is_dead(w) && (!w->filter.on_demand || ix->demand);
}

static bool by_place(const struct watch *w)
{
    return w->filter.by & (WEIR_BY_CPL | WEIR_BY_CR3) && !w->step.limited;
}

bool step_filtered(const struct introspect *ix)
{
    struct watch *w;
    FOR_WATCHES(ix, WEIR_EV_STEP, w)
    if (by_place(w))
        return true;
    return false;
}

static void merge(struct cpu_events *ev, const struct watch *w, bool *any_space)
{
    const struct weir_filter *f = &w->filter;
    bool placed = by_place(w);
    ev->step_cpls |= placed && f->by & WEIR_BY_CPL ? f->cpls : 0xf;
    if (!placed || !(f->by & WEIR_BY_CR3) || (ev->stepping && ev->step_cr3 != f->cr3))
        *any_space = true;
    ev->step_cr3 = f->cr3;
    if (w->step.limited) {
        ev->hold |= !(w->step.how.flags & WEIR_STEP_INTERRUPTS);
        ev->rep_each |= (w->step.how.flags & WEIR_STEP_REP) != 0;
    }
    ev->stepping = true;
}

void step_update(struct vcpu *c)
{
    struct introspect *ix = introspect_of(c);
    struct cpu_events *ev = &c->ev;
    bool any_space = false;
    struct watch *w;
    ev->stepping = ev->hold = ev->rep_each = false;
    ev->step_cpls = 0;
    FOR_WATCHES(ix, WEIR_EV_STEP, w)
    if (is_active(ix, w))
        merge(ev, w, &any_space);
    ev->step_by_cr3 = ev->stepping && !any_space;
    ev->active = ev->armed || ev->watching || ev->stepping;
    cpu_mode_update(c);
    cpu_attention(c, ATTENTION_STOP); /* interrupts that were held, or are to be */
}

/* In a handler that is to be stepped over, after this instruction. */
static bool steps_over(struct step_state *s, const struct vcpu *c, const struct step_done *done)
{
    if (!(s->how.flags & WEIR_STEP_OVER))
        return false;
    if (!s->over) {
        if (c->ev.deliveries == done->deliveries && c->cpl >= done->cpl)
            return false;
        s->over = true;
        s->over_cpl = done->cpl;
        s->over_rsp = done->rsp;
        s->over_from = done->from;
        return true;
    }
    s->over = c->cpl != s->over_cpl || (c->cpl != 3 && c->gpr[RSP] != s->over_rsp);
    return s->over;
}

static bool is_last(const struct step_state *s, const struct vcpu *c,
                    const struct step_done *done, const struct weir_step_event *e)
{
    if (!s->limited)
        return false;
    if (s->how.count && s->count >= s->how.count)
        return true;
    if (s->how.flags & WEIR_STEP_UNTIL && e->head.pc == s->how.until)
        return true;
    return s->how.flags & WEIR_STEP_RETURN && done->is_return && c->cpl == s->first_cpl &&
           c->gpr[RSP] > s->first_rsp;
}

static void end(struct vcpu *c, struct watch *w)
{
    uint32_t flags = w->step.how.flags;
    introspect_kill(introspect_of(c), w);
    step_update(c);
    if (flags & WEIR_STEP_PAUSE)
        weir_pause(c->vm);
    if (flags & WEIR_STEP_STOP)
        run_request_stop(c->vm);
}

static void report(struct vcpu *c, struct watch *w, const struct step_done *done)
{
    struct step_state *s = &w->step;
    struct weir_step_event e = {.from = done->from,
                                .faulted = done->faulted,
                                .vector = done->faulted ? c->ev.delivered : 0,
                                .branched = done->faulted || c->rip != done->next};
    introspect_head(c, WEIR_EV_STEP, &e.head);
    if (!watch_matches_cpu(w, c, &e.head))
        return;
    if (!s->begun) {
        s->begun = true;
        s->first_rsp = done->rsp;
        s->first_cpl = done->cpl;
    }
    bool was_over = s->over;
    if (steps_over(s, c, done))
        return;
    if (was_over)
        e.from = s->over_from;
    if (s->how.flags & WEIR_STEP_BRANCHES && !e.branched && !was_over &&
        !(s->how.flags & (WEIR_STEP_UNTIL | WEIR_STEP_RETURN)))
        return;
    s->count++;
    e.count = s->count;
    e.last = is_last(s, c, done, &e);
    bool tell = (!(s->how.flags & WEIR_STEP_END_ONLY) || e.last) &&
                (e.last || !(s->how.flags & WEIR_STEP_BRANCHES) || e.branched);
    if (tell) {
        unsigned response = watch_call(c, w, &e.head);
        c->rip_set = false;
        introspect_effects(c, &e.head, response);
    }
    if (e.last)
        end(c, w);
}

void step_done(struct vcpu *c, const struct step_done *done)
{
    struct introspect *ix = introspect_of(c);
    struct watch *w;
    c->ev.in_place++;
    introspect_clock(c, true);
    FOR_WATCHES(ix, WEIR_EV_STEP, w)
    if (is_active(ix, w))
        report(c, w, done);
    introspect_clock(c, false);
    c->ev.in_place--;
}

static unsigned quiet(void *ctx, weir_vcpu *cpu, struct weir_step_event *event)
{
    return WEIR_CONTINUE;
}

int weir_step(weir_vcpu *cpu, const struct weir_step *step, weir_step_fn *fn, void *ctx,
              uint64_t *handle)
{
    struct watch w = {.kind = WEIR_EV_STEP, .ctx = ctx};
    w.fn.step = fn ? fn : quiet;
    w.step = (struct step_state){.how = *step, .limited = true};
    return introspect_add(((struct vcpu *)cpu)->vm, &w, handle);
}
