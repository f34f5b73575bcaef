/* SPDX-License-Identifier: MIT */
/*
 * gdb_events.c - steps, breakpoints and watchpoints. All of them are events of introspect.h, so
 * there is no limit to their number, memory reads as the guest's own bytes and the guest cannot see
 * them. Handlers run in the vCPU's thread: they note why (the first reason counts) and answer
 * PAUSE.
 */
#include "debug/gdb_session.h"
#include <weir/introspect.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void note(struct gdb_session *s, enum gdb_stop_kind kind, const struct weir_event *e)
{
    if (s->stop.noted)
        return;
    s->stop = (struct gdb_stop){.noted = true, .kind = kind, .vcpu = e->vcpu};
}

/* ---- steps ---- */

void gdb_drop_steps(struct gdb_session *s)
{
    for (unsigned i = 0; i < GDB_VCPUS_MAX; i++) {
        if (s->steps[i].handle)
            weir_event_remove(s->vm, s->steps[i].handle);
        s->steps[i].handle = 0;
    }
}

static unsigned on_step(void *ctx, weir_vcpu *cpu, struct weir_step_event *event)
{
    struct gdb_session *s = ctx;
    unsigned vcpu = event->head.vcpu % GDB_VCPUS_MAX;
    uint64_t pc = event->head.pc;
    if (pc >= s->steps[vcpu].first && pc < s->steps[vcpu].end)
        return WEIR_CONTINUE;
    note(s, GDB_STOP_STEP, &event->head);
    return WEIR_PAUSE | WEIR_REMOVE;
}

int gdb_arm_step(struct gdb_session *s, unsigned vcpu, const struct gdb_action *a)
{
    struct weir_step step = {.flags = 0};
    if (!(s->sstep & GDB_SSTEP_ENABLE))
        return 0;
    if (!(s->sstep & GDB_SSTEP_NOIRQ))
        step.flags |= WEIR_STEP_INTERRUPTS;
    if (a->kind == 's')
        step.count = 1;
    s->steps[vcpu].first = a->kind == 'r' ? a->first : 0;
    s->steps[vcpu].end = a->kind == 'r' ? a->end : 0;
    return weir_step(gdb_vcpu(s, vcpu), &step, on_step, s, &s->steps[vcpu].handle);
}

/* ---- breakpoints and watchpoints ---- */

static unsigned on_breakpoint(void *ctx, weir_vcpu *cpu, struct weir_breakpoint_event *event)
{
    struct gdb_point *point = ctx;
    note(point->session, point->type == '0' ? GDB_STOP_BREAK : GDB_STOP_HARD, &event->head);
    return WEIR_PAUSE;
}

static unsigned on_access(void *ctx, weir_vcpu *cpu, struct weir_memory_event *event)
{
    struct gdb_point *point = ctx;
    struct gdb_stop *stop = &point->session->stop;
    if (stop->noted)
        return WEIR_PAUSE;
    note(point->session, GDB_STOP_WATCH, &event->head);
    stop->type = point->type;
    stop->address = event->gva - point->address < point->length ? event->gva : point->address;
    return WEIR_PAUSE;
}

static int arm_point(struct gdb_session *s, struct gdb_point *point)
{
    struct weir_filter filter = {.first = point->address, .physical = s->physical};
    if (point->type < '2')
        return weir_on_breakpoint(s->vm, &filter, on_breakpoint, point, &point->handle);
    filter.last = point->address + point->length - 1;
    filter.access = point->type == '2'   ? WEIR_WRITE
                    : point->type == '3' ? WEIR_READ
                                         : WEIR_READ | WEIR_WRITE;
    return weir_on_memory(s->vm, &filter, on_access, point, &point->handle);
}

static struct gdb_point **find_point(struct gdb_session *s, char type, uint64_t address,
                                     uint64_t length)
{
    struct gdb_point **at = &s->points;
    while (*at && ((*at)->type != type || (*at)->address != address ||
                   (type >= '2' && (*at)->length != length)))
        at = &(*at)->next;
    return at;
}

static void insert_point(struct gdb_session *s, char type, uint64_t address, uint64_t length)
{
    if (*find_point(s, type, address, length)) { /* gdb may say it twice */
        gdb_ok(s);
        return;
    }
    struct gdb_point *point = calloc(1, sizeof(*point));
    if (!point) {
        gdb_error(s, ENOMEM);
        return;
    }
    *point =
        (struct gdb_point){.session = s, .type = type, .address = address, .length = length};
    if (arm_point(s, point) < 0) {
        free(point);
        gdb_error(s, EINVAL);
        return;
    }
    point->next = s->points;
    s->points = point;
    gdb_ok(s);
}

static void remove_point(struct gdb_session *s, struct gdb_point **at)
{
    struct gdb_point *point = *at;
    *at = point->next;
    weir_event_remove(s->vm, point->handle);
    free(point);
}

void gdb_point_packet(struct gdb_session *s, const char *p, bool insert)
{
    uint64_t address, length;
    char type = *p;
    p += type != 0;
    if (type < '0' || type > '4') /* an empty answer: no such kind */
        return;
    bool good = gdb_get_word(&p, ",") && gdb_get_hex(&p, &address) && gdb_get_word(&p, ",") &&
                gdb_get_hex(&p, &length) && (!*p || *p == ';');
    if (!good || (type >= '2' && (!length || address + length - 1 < address))) {
        gdb_error(s, EINVAL);
        return;
    }
    struct gdb_point **at = find_point(s, type, address, length);
    if (insert) {
        insert_point(s, type, address, length);
        return;
    }
    if (*at)
        remove_point(s, at);
    gdb_ok(s);
}

void gdb_points_clear(struct gdb_session *s)
{
    gdb_drop_steps(s);
    while (s->points)
        remove_point(s, &s->points);
}
