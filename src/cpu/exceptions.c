/* SPDX-License-Identifier: MIT */
/*
 * exceptions.c - raising faults, and the loop that delivers one and what goes wrong meanwhile
 * (SDM Vol. 3A 6.15, table 6-5: benign, contributory, page fault, double fault). deliver.c does
 * one delivery.
 */
#include "cpu/dump.h"
#include "cpu/events.h"
#include "cpu/seg.h"

#include <stdio.h>

enum weir_stop raise(struct vcpu *c, unsigned vector)
{
    c->fault = (struct x86_fault){.vector = (uint8_t)vector, .kind = FAULT_EXCEPTION};
    return STOP_FAULT;
}

enum weir_stop raise_error(struct vcpu *c, unsigned vector, uint32_t error)
{
    c->fault = (struct x86_fault){
        .vector = (uint8_t)vector, .kind = FAULT_EXCEPTION, .has_error = true, .error = error};
    return STOP_FAULT;
}

static bool contributory(const struct x86_fault *f)
{
    return f->kind == FAULT_EXCEPTION &&
           (f->vector == VEC_DE || (f->vector >= VEC_TS && f->vector <= VEC_GP));
}
static bool page_fault(const struct x86_fault *f)
{
    return f->kind == FAULT_EXCEPTION && f->vector == VEC_PF;
}
static bool double_fault(const struct x86_fault *f)
{
    return f->kind == FAULT_EXCEPTION && f->vector == VEC_DF;
}

static void log_delivery(struct vcpu *c, const struct x86_fault *f, uint64_t ip)
{
    char head[192];
    bool software = f->kind == FAULT_SOFTWARE_INT || f->kind == FAULT_INT3_INTO;
    int n = snprintf(
        head, sizeof(head),
        "%6u: v=%02x e=%04x i=%d cpl=%d IP=%04x:%016llx pc=%016llx SP=%04x:%016llx",
        c->deliveries_logged++, f->vector, f->error, software, c->cpl, c->seg[SEG_CS].selector,
        (unsigned long long)ip, (unsigned long long)(c->segc[SEG_CS].base + ip),
        c->seg[SEG_SS].selector, (unsigned long long)c->gpr[RSP]);
    if (f->vector == VEC_PF && f->kind == FAULT_EXCEPTION)
        snprintf(head + n, sizeof(head) - (size_t)n, " CR2=%016llx\n",
                 (unsigned long long)f->address);
    else
        snprintf(head + n, sizeof(head) - (size_t)n, " env->regs[R_EAX]=%016llx\n",
                 (unsigned long long)c->gpr[RAX]);
    cpu_dump_log(c, WEIR_LOG_INT, head, false, true);
}

/* Registers that report an exception are written as its delivery begins. */
static void report_exception(struct vcpu *c, const struct x86_fault *f)
{
    if (f->kind == FAULT_EXCEPTION && f->vector == VEC_PF)
        c->cr2 = f->address;
    if (f->vector == VEC_DB && f->kind != FAULT_SOFTWARE_INT) {
        if (f->kind == FAULT_EXCEPTION || f->dr6_bits)
            c->dr[6] = (c->dr[6] & ~0xfull) | f->dr6_bits;
        c->dr[7] &= ~(uint64_t)DR7_GD;
        c->debugctl &= ~(uint64_t)(DEBUGCTL_LBR | DEBUGCTL_BTF);
    }
}

/* What is to be delivered when `second` happened while `first` was; false: shutdown. */
static bool combine(const struct x86_fault *first, struct x86_fault *second)
{
    bool bad = contributory(second) || page_fault(second);
    if (double_fault(first) && bad)
        return false;
    if ((contributory(first) && contributory(second)) || (page_fault(first) && bad))
        *second =
            (struct x86_fault){.vector = VEC_DF, .kind = FAULT_EXCEPTION, .has_error = true};
    return true;
}

static enum weir_stop deliver_until_done(struct vcpu *c, struct x86_fault f)
{
    for (;;) {
        if (UNLIKELY(c->exception_exits) && exits_exception(c, &f, 0))
            return STOP_EXIT;
        if (event_armed(c, WEIR_EV_INTERRUPT) && !event_interrupt(c, &f))
            return STOP_BOUNDARY;
        report_exception(c, &f);
        if (log_on(c->log, WEIR_LOG_INT) && (c->cr0 & CR0_PE))
            log_delivery(c, &f, c->rip);
        if (UNLIKELY(c->rom != NULL) && !c->rom->deliver(c, &f))
            return STOP_EXIT;
        if (event_deliver(c, &f) == STOP_BOUNDARY) {
            c->shadow = 0;
            return STOP_BOUNDARY;
        }
        struct x86_fault next = c->fault;
        if (page_fault(&next))
            c->cr2 = next.address; /* also if it becomes a double fault */
        if (log_on(c->log, WEIR_LOG_INT))
            log_printf(c->log, WEIR_LOG_INT, "check_exception old: 0x%x new 0x%x\n", f.vector,
                       next.vector);
        if (!combine(&f, &next)) {
            if (log_on(c->log, WEIR_LOG_CPU_RESET))
                log_printf(c->log, WEIR_LOG_CPU_RESET, "Triple fault\n");
            return STOP_TRIPLE;
        }
        f = next;
    }
}

enum weir_stop exception_deliver(struct vcpu *c)
{
    bool inside = c->ev.inside; /* what it accesses is no longer the instruction's */
    c->ev.deliveries++;
    c->ev.delivered = c->fault.vector;
    c->ev.inside = false;
    c->ev.in_place++;
    enum weir_stop stop = deliver_until_done(c, c->fault);
    c->ev.in_place--;
    c->ev.inside = inside;
    return stop;
}

enum weir_stop software_interrupt(struct vcpu *c, const struct insn *i, unsigned vector,
                                  enum fault_kind kind)
{
    struct x86_fault f = {.vector = (uint8_t)vector, .kind = (uint8_t)kind};
    if (UNLIKELY(c->exception_exits) && exits_exception(c, &f, i->length))
        return STOP_RETRY;
    if (log_on(c->log, WEIR_LOG_INT) && (c->cr0 & CR0_PE))
        log_delivery(c, &f, c->rip - i->length);
    if (event_here(c, WEIR_EV_INTERRUPT) && !event_interrupt(c, &f))
        return STOP_FAULT;
    if (event_here(c, WEIR_EV_SYSCALL) && kind == FAULT_SOFTWARE_INT && vector == 0x80 &&
        !event_syscall(c, WEIR_SYS_INT))
        return STOP_FAULT;
    bool stepping = c->rflags_rest & FLAG_TF;
    if (kind == FAULT_ICEBP) { /* is what a watchpoint behind MOV SS has waited for */
        f.dr6_bits = c->pending_dr6;
        c->pending_dr6 = 0;
    }
    enum weir_stop stop = event_deliver(c, &f);
    c->ev.deliveries += stop == STOP_BOUNDARY;
    if (stop == STOP_BOUNDARY) {
        if (UNLIKELY(c->rom != NULL))
            c->rom->deliver(c, &f);
        if (kind == FAULT_ICEBP)
            report_exception(c, &f);
        c->shadow = stepping ? SHADOW_TF_NOW : 0;
    }
    return stop;
}

enum weir_stop interrupt_deliver(struct vcpu *c, unsigned vector, bool nmi)
{
    c->halted = false;
    c->monitor_armed = false;
    c->fault = (struct x86_fault){.vector = (uint8_t)(nmi ? VEC_NMI : vector),
                                  .kind = nmi ? FAULT_NMI : FAULT_EXTERNAL};
    if (nmi)
        c->nmi_blocked = true;
    else if (log_on(c->log, WEIR_LOG_IN_ASM))
        log_printf(c->log, WEIR_LOG_IN_ASM, "Servicing hardware INT=0x%02x\n", vector);
    return exception_deliver(c);
}

bool interrupt_window(const struct vcpu *c)
{
    return (c->rflags_rest & FLAG_IF) && !(c->shadow & (SHADOW_STI | SHADOW_MOV_SS)) &&
           !c->wait_for_sipi && (!c->ev.hold || c->halted);
}
