/* SPDX-License-Identifier: MIT */
/*
 * dispatch.c - the loop that every guest instruction runs under: look at what asks for
 * attention, run code until it stops, turn the stop into an exit or go on. The only place that
 * knows both the engine's stops and the embedder's exits.
 */
#include "cpu/icount.h"
#include "jit/jit.h"
#include "run/run.h"

#include <string.h>

static enum weir_stop take_interrupt(struct weir *vm, struct vcpu *c, uint32_t attention)
{
    if (attention & ATTENTION_EVENT) {
        cpu_attention_clear(c, ATTENTION_EVENT);
        enum weir_stop stop = context_deliver(c);
        if (stop != STOP_NEXT)
            return stop;
    }
    if ((attention & ATTENTION_NMI) && nmi_window(c)) {
        cpu_attention_clear(c, ATTENTION_NMI);
        if (!c->nmi_exits)
            return interrupt_deliver(c, VEC_NMI, true);
        c->exit.reason = WEIR_EXIT_NMI;
        return STOP_EXIT;
    }
    if ((attention & ATTENTION_NMI_WINDOW) && nmi_window(c)) {
        cpu_attention_clear(c, ATTENTION_NMI_WINDOW);
        c->exit.reason = WEIR_EXIT_NMI_WINDOW;
        return STOP_EXIT;
    }
    if ((attention & ATTENTION_WINDOW) && interrupt_window(c)) {
        cpu_attention_clear(c, ATTENTION_WINDOW);
        c->exit.reason = WEIR_EXIT_WINDOW;
        return STOP_EXIT;
    }
    if (!(attention & ATTENTION_INTR) || !interrupt_window(c) || !c->wires.acknowledge)
        return STOP_NEXT;
    pthread_mutex_lock(&vm->device_lock);
    int vector = c->wires.acknowledge(c->wires.ctx);
    pthread_mutex_unlock(&vm->device_lock);
    return vector < 0 ? STOP_NEXT : interrupt_deliver(c, (unsigned)vector, false);
}

/* Nothing in the machine can end this halt, nobody outside is there to do it. */
static bool is_dead(struct weir *vm, const struct vcpu *c)
{
    uint32_t attention = __atomic_load_n(&c->attention, __ATOMIC_ACQUIRE);
    if (!c->wires.acknowledge) /* nor are there interrupt controllers */
        return !(attention & ATTENTION_STOP) && !weir_time_left(vm);
    if (!vm->alone || (attention & ~(uint32_t)ATTENTION_INTR))
        return false;
    return !(c->rflags_rest & FLAG_IF) ||
           (!attention && clock_deadline_ns(&vm->clock) == CLOCK_NEVER);
}

void run_exit_access(const struct vcpu *c, struct weir_exit *exit)
{
    exit->access.address = c->exit.address;
    exit->access.value = c->exit.value;
    exit->access.size_bytes = c->exit.size;
    exit->access.is_write = c->exit.is_write;
    exit->access.instruction_bytes = c->exit.insn_bytes;
    exit->access.gva = c->exit.linear;
}

/* A stop that ends weir_run: fills *exit. */
static bool leave(struct weir *vm, struct vcpu *c, enum weir_stop stop, struct weir_exit *exit)
{
    switch (stop) {
    case STOP_TRIPLE:
        log_printf(&vm->log, WEIR_LOG_CPU_RESET, "Triple fault\n");
        exit->reason = WEIR_EXIT_TRIPLE_FAULT;
        if (vm->reset_exits)
            return true;
        run_emit(vm, WEIR_EVENT_RESET, true);
        exit->reason = WEIR_EXIT_ERROR;
        exit->status = run_machine_reset(vm);
        return exit->status < 0;
    case STOP_HALT:
        exit->reason = WEIR_EXIT_HALT;
        return is_dead(vm, c);
    case STOP_EXIT:
    case STOP_RETRY:
        exit->reason = (enum weir_exit_reason)c->exit.reason;
        exit->insn = c->insn_exit.insn;
        exit->exception = c->insn_exit.exception;
        run_exit_access(c, exit);
        if (exit->reason == WEIR_EXIT_ERROR)
            exit->status = (int)c->exit.value;
        if (c->exit.is_write) /* told; a read stays until there is an answer */
            c->exit.pending = false;
        return true;
    default:
        return false;
    }
}

/* -icount: fires what is due and makes the next timer end the engine's run. Once per point in
 * time: a timer that re-arms itself for the past must not keep the guest from its next
 * instruction, and stopping and going on at a point must not change what happens there. */
static void run_timers(struct weir *vm, struct vcpu *c)
{
    uint64_t now = icount_now_ns(c);
    pthread_mutex_lock(&vm->device_lock);
    clock_set(&vm->clock, now);
    if (now != vm->timers_run_ns)
        clock_run_due(&vm->clock);
    vm->timers_run_ns = now;
    uint64_t due = icount_at(c, clock_deadline_ns(&vm->clock));
    pthread_mutex_unlock(&vm->device_lock);
    if (due <= c->instructions)
        due = c->instructions + 1;
    if (due < c->insn_limit)
        c->insn_limit = due;
}

/* The vCPU is halted: time passes until the next timer or until somebody asks for attention. */
static void idle(struct weir *vm, struct vcpu *c)
{
    if (!c->icount) {
        run_wait(c, UINT64_MAX);
        return;
    }
    pthread_mutex_lock(&vm->device_lock);
    uint64_t now = icount_now_ns(c), deadline = clock_deadline_ns(&vm->clock);
    pthread_mutex_unlock(&vm->device_lock);
    uint64_t left = deadline > now ? deadline - now : 1ull << c->icount_shift;
    if (deadline == CLOCK_NEVER)
        run_wait(c, UINT64_MAX);
    else if (!vm->config.icount_sleep)
        c->icount_base_ns += left;
    else
        c->icount_base_ns += run_wait(c, left);
}

static void dispatch(struct weir *vm, struct vcpu *c, struct weir_exit *exit)
{
    uint64_t first = c->instructions;
    for (;;) {
        enum weir_stop stop = STOP_NEXT;
        c->insn_limit = vm->budget_end;
        if (c->icount)
            run_timers(vm, c);
        uint32_t attention = __atomic_load_n(&c->attention, __ATOMIC_ACQUIRE);
        if (attention & ~(uint32_t)(ATTENTION_BY_IF | ATTENTION_BY_NMI))
            if (run_take_requests(vm, exit))
                return;
        if (attention)
            stop = take_interrupt(vm, c, attention);
        if (stop == STOP_NEXT && c->halted) {
            if (leave(vm, c, STOP_HALT, exit))
                return;
            run_activity(c, VCPU_HALTED);
            idle(vm, c);
            run_activity(c, VCPU_RUNNING);
            continue;
        }
        bool spent = c->instructions >= vm->budget_end ||
                     (c->insn_limit_soft && c->instructions != first);
        if (stop == STOP_NEXT && spent) {
            exit->reason = WEIR_EXIT_BUDGET;
            return;
        }
        context_used(c);
        if (stop == STOP_NEXT)
            stop = c->jit ? jit_run(c) : interp_run(c);
        if (leave(vm, c, stop, exit))
            return;
    }
}

/* The value the embedder supplied for a read: the instruction that asked runs again, alone, and
 * finds its answers in the order in which it asks. */
static enum weir_stop answer_read(struct weir *vm, struct vcpu *c, const struct weir_exit *exit)
{
    vm->answers[vm->answer_count++] = exit->access.value;
    vm->answer_next = 0;
    c->exit.pending = false;
    c->insn_limit = c->instructions + 1;
    context_used(c);
    enum weir_stop stop = interp_run(c);
    if (stop != STOP_RETRY)
        vm->answer_count = 0;
    return stop;
}

void run_loop(struct weir *vm, uint64_t budget, struct weir_exit *exit)
{
    struct vcpu *c = &vm->cpu;
    uint64_t before = c->instructions;
    bool answered = c->exit.pending && !c->exit.is_write;
    if (answered && c->rip_set) { /* the embedder has done the instruction, or wants it again */
        c->exit.pending = answered = false;
        vm->answer_count = 0;
    }
    struct weir_exit asked = *exit;
    memset(exit, 0, sizeof(*exit));
    vm->budget_end = budget && budget < UINT64_MAX - before ? before + budget : UINT64_MAX;
    if (answered) {
        enum weir_stop stop = answer_read(vm, c, &asked);
        if (!leave(vm, c, stop, exit))
            dispatch(vm, c, exit);
    } else {
        dispatch(vm, c, exit);
    }
    exit->instructions = c->instructions - before;
}
