/* SPDX-License-Identifier: MIT */
/*
 * gdb_run.c - running and stopping. Whoever pauses the machine, a breakpoint's handler in the
 * vCPU's thread or a monitor, its STOP event wakes the stub's thread, which waits until the vCPU
 * stands still and then tells gdb.
 */
#include "debug/gdb_session.h"

#include <errno.h>
#include <string.h>

/* ---- stops ---- */

/* What gdb looks at after every step; it asks for the others when it needs them. */
static void put_expedited(struct gdb_session *s)
{
    uint8_t bytes[64];
    for (unsigned i = 0; s->told && i < s->layout.count; i++) {
        const struct gdb_reg *r = &s->layout.regs[i];
        bool wanted = r->kind == GDB_PC ||
                      (r->kind == GDB_PLAIN && (r->reg == WEIR_RSP || r->reg == WEIR_RBP));
        if (!wanted || !gdb_reg_read(gdb_vcpu(s, s->stop.vcpu), r, bytes))
            continue;
        gdb_printf(&s->reply, "%x:", i);
        gdb_put_hex(&s->reply, bytes, r->bytes);
        gdb_puts(&s->reply, ";");
    }
}

void gdb_put_stop(struct gdb_session *s)
{
    static const char *const watches[] = {"watch", "rwatch", "awatch"};
    const struct gdb_stop *stop = &s->stop;
    unsigned number = stop->kind != GDB_STOP_ASKED ? GDB_SIGTRAP : s->non_stop ? 0 : GDB_SIGINT;
    gdb_printf(&s->reply, "T%02xthread:%x;", number, stop->vcpu + 1);
    if (stop->kind == GDB_STOP_BREAK && s->swbreak)
        gdb_puts(&s->reply, "swbreak:;");
    if (stop->kind == GDB_STOP_HARD && s->hwbreak)
        gdb_puts(&s->reply, "hwbreak:;");
    if (stop->kind == GDB_STOP_WATCH)
        gdb_printf(&s->reply, "%s:%llx;", watches[(stop->type - '2') % 3],
                   (unsigned long long)stop->address);
    put_expedited(s);
}

/* The vCPU stands still. */
static void stopped(struct gdb_session *s)
{
    gdb_drop_steps(s);
    s->running = false;
    if (!s->stop.noted)
        s->stop = (struct gdb_stop){.noted = true, .kind = GDB_STOP_ASKED};
    s->g_vcpu = s->stop.vcpu;
    s->reply.length = 0;
    if (s->non_stop)
        gdb_puts(&s->reply, "Stop:");
    gdb_put_stop(s);
    if (!s->non_stop)
        gdb_send(s);
    else if (!s->reply.failed)
        gdb_wire_notify(&s->wire, s->reply.data, s->reply.length);
}

void gdb_session_check(struct gdb_session *s)
{
    if (!s->running || s->ended || !weir_is_paused(s->vm))
        return;
    weir_pause(s->vm);
    stopped(s);
}

void gdb_interrupt(void *session)
{
    struct gdb_session *s = session;
    if (!s->running || s->ended)
        return;
    weir_pause(s->vm);
    stopped(s);
}

/* ---- resuming ---- */

static void resume(struct gdb_session *s, const struct gdb_action *actions)
{
    bool any = false;
    int rc = 0;
    s->stop.noted = false;
    for (unsigned i = 0; i < GDB_VCPUS_MAX && rc >= 0; i++) {
        any |= actions[i].kind == 'c' || actions[i].kind == 's' || actions[i].kind == 'r';
        if (actions[i].kind == 's' || actions[i].kind == 'r')
            rc = gdb_arm_step(s, i, &actions[i]);
    }
    if (rc < 0 || !any) {
        gdb_drop_steps(s);
        gdb_error(s, EINVAL);
        return;
    }
    s->running = true;
    s->detached = false;
    if (s->non_stop)
        gdb_ok(s);
    weir_resume(s->vm);
}

static bool set_pc(struct gdb_session *s, uint64_t pc)
{
    for (unsigned i = 0; i < s->layout.count; i++)
        if (s->layout.regs[i].kind == GDB_PC)
            return gdb_reg_write(gdb_vcpu(s, s->g_vcpu), &s->layout.regs[i],
                                 (const uint8_t *)&pc);
    return false;
}

/* c [address], C signal[;address]: the guest has no signals, they are not looked at. */
void gdb_run_one(struct gdb_session *s, const char *p, bool step, bool signalled)
{
    struct gdb_action actions[GDB_VCPUS_MAX] = {{0}};
    uint64_t number;
    unsigned vcpu;
    bool good = !signalled || (gdb_get_hex(&p, &number) && (!*p || gdb_get_word(&p, ";")));
    if (good && *p)
        good = gdb_get_hex(&p, &number) && !*p && set_pc(s, number);
    if (!good || !gdb_thread_vcpu(s, s->c_thread, &vcpu)) {
        gdb_error(s, EINVAL);
        return;
    }
    for (unsigned i = 0; i < GDB_VCPUS_MAX && gdb_vcpu(s, i); i++)
        actions[i].kind = 'c';
    actions[vcpu].kind = step ? 's' : 'c';
    resume(s, actions);
}

/* "s:1", "C05", "r100,200:1"; false if malformed. */
static bool get_action(const char **p, struct gdb_action *a, int64_t *thread)
{
    uint64_t number;
    *a = (struct gdb_action){.kind = **p};
    *thread = -1;
    if (!**p || !strchr("csCSrt", **p))
        return false;
    (*p)++;
    if ((a->kind == 'C' || a->kind == 'S') && !gdb_get_hex(p, &number))
        return false;
    if (a->kind == 'r' &&
        (!gdb_get_hex(p, &a->first) || !gdb_get_word(p, ",") || !gdb_get_hex(p, &a->end)))
        return false;
    a->kind = a->kind == 'C' ? 'c' : a->kind == 'S' ? 's' : a->kind;
    if (gdb_get_word(p, ":"))
        *thread = gdb_get_thread(p);
    return *thread >= -1;
}

/* ";c", ";s:1;c" ...: for each vCPU the first action that names it counts. */
static void run_actions(struct gdb_session *s, const char *p)
{
    struct gdb_action actions[GDB_VCPUS_MAX] = {{0}}, a;
    int64_t thread;
    bool halt = false;
    while (gdb_get_word(&p, ";")) {
        if (!get_action(&p, &a, &thread)) {
            gdb_error(s, EINVAL);
            return;
        }
        for (unsigned i = 0; i < GDB_VCPUS_MAX && gdb_vcpu(s, i); i++)
            if (!actions[i].kind && (thread <= 0 || thread == (int64_t)i + 1))
                actions[i] = a;
        halt |= a.kind == 't';
    }
    if (*p) {
        gdb_error(s, EINVAL);
    } else if (halt && s->non_stop) {
        gdb_ok(s);
        if (s->running)
            weir_pause(s->vm); /* the stop is told after this answer */
    } else {
        resume(s, actions);
    }
}

void gdb_run_v(struct gdb_session *s, const char *p)
{
    if (!strcmp(p, "Cont?")) {
        gdb_puts(&s->reply, "vCont;c;C;s;S;t;r");
    } else if (gdb_get_word(&p, "Cont")) {
        run_actions(s, p);
    } else if (gdb_get_word(&p, "Attach;")) {
        weir_pause(s->vm);
        s->detached = false;
        s->stop = (struct gdb_stop){.noted = true};
        gdb_put_stop(s);
    } else if (!strcmp(p, "CtrlC")) {
        gdb_ok(s);
        if (s->running)
            weir_pause(s->vm); /* the stop is told after this answer */
    } else if (!strcmp(p, "Stopped")) {
        gdb_ok(s); /* there is one stop at a time */
    } else if (gdb_get_word(&p, "Kill")) {
        gdb_ok(s);
        gdb_send(s);
        s->ended = true;
        if (s->host.config->kill)
            s->host.config->kill(s->host.config->ctx);
        else
            weir_quit(s->vm);
        s->host.hang_up(s->host.ctx);
    }
}
