/* SPDX-License-Identifier: MIT */
/*
 * syscall.c - returns of system calls. A call is remembered with the place in the program that it
 * should come back to: address space, RIP, RSP; whatever goes to user mode there is its return.
 * Calls that never come back (exit, a new program) are forgotten when room is needed.
 */
#include "introspect/introspect.h"

void syscall_open(struct vcpu *c, const struct weir_syscall_event *e)
{
    struct introspect *ix = introspect_of(c);
    if (ix->first[WEIR_EV_SYSRET + 1] == ix->first[WEIR_EV_SYSRET])
        return;
    struct open_syscall *best = &ix->open[0];
    for (unsigned n = 0; n < SYSCALLS_OPEN; n++) {
        struct open_syscall *o = &ix->open[n];
        if (o->age && o->cr3 == c->cr3 && o->rsp == c->gpr[RSP]) {
            best = o; /* the same thread: the last one did not come back */
            break;
        }
        if (o->age < best->age)
            best = o;
    }
    *best = (struct open_syscall){.cr3 = c->cr3,
                                  .rip = c->rip,
                                  .rsp = c->gpr[RSP],
                                  .number = e->number,
                                  .age = ++ix->ages,
                                  .is_64bit = e->is_64bit,
                                  .anywhere = e->how == WEIR_SYS_SYSENTER};
    memcpy(best->argument, e->argument, sizeof(best->argument));
}

static struct open_syscall *find(struct introspect *ix, const struct vcpu *c)
{
    for (unsigned n = 0; n < SYSCALLS_OPEN; n++) {
        struct open_syscall *o = &ix->open[n];
        if (o->age && !((o->cr3 ^ c->cr3) >> 12) &&
            (o->anywhere || (o->rip == c->rip && o->rsp == c->gpr[RSP])))
            return o;
    }
    return NULL;
}

void syscall_returned(struct vcpu *c)
{
    struct introspect *ix = introspect_of(c);
    struct open_syscall *o = find(ix, c);
    if (!o)
        return;
    struct weir_sysret_event e = {
        .number = o->number, .result = c->gpr[RAX], .is_64bit = o->is_64bit};
    memcpy(e.argument, o->argument, sizeof(e.argument));
    if (!o->is_64bit)
        e.result = (uint32_t)e.result;
    o->age = 0;
    unsigned response;
    introspect_raise(c, WEIR_EV_SYSRET, &e.head, &response);
}
