/* SPDX-License-Identifier: MIT */
/*
 * dispatch.c - the loop that every guest instruction runs under: look at what asks for
 * attention, run code until it stops, turn the stop into an exit or go on. The only place that
 * knows both the engine's stops and the embedder's exits.
 */
#include "run/run.h"

#include <string.h>

static enum weir_stop take_interrupt(struct weir *vm, struct vcpu *c, uint32_t attention)
{
    if ((attention & ATTENTION_NMI) && !c->nmi_blocked && !c->shadow) {
        cpu_attention_clear(c, ATTENTION_NMI);
        return interrupt_deliver(c, VEC_NMI, true);
    }
    if (!(attention & ATTENTION_INTR) || !interrupt_window(c) || !c->wires.acknowledge)
        return STOP_NEXT;
    pthread_mutex_lock(&vm->device_lock);
    int vector = c->wires.acknowledge(c->wires.ctx);
    pthread_mutex_unlock(&vm->device_lock);
    return vector < 0 ? STOP_NEXT : interrupt_deliver(c, (unsigned)vector, false);
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
        return !c->wires.acknowledge; /* with interrupt controllers it can be woken */
    case STOP_EXIT:
    case STOP_RETRY:
        exit->reason = (enum weir_exit_reason)c->exit.reason;
        exit->access.address = c->exit.address;
        exit->access.value = c->exit.value;
        exit->access.size_bytes = c->exit.size;
        exit->access.is_write = c->exit.is_write;
        if (c->exit.is_write) /* told; a read stays until there is an answer */
            c->exit.pending = false;
        return true;
    default:
        return false;
    }
}

static void dispatch(struct weir *vm, struct vcpu *c, struct weir_exit *exit)
{
    for (;;) {
        enum weir_stop stop = STOP_NEXT;
        uint32_t attention = __atomic_load_n(&c->attention, __ATOMIC_ACQUIRE);
        if (attention & ~(uint32_t)(ATTENTION_INTR | ATTENTION_NMI))
            if (run_take_requests(vm, exit))
                return;
        if (attention)
            stop = take_interrupt(vm, c, attention);
        if (stop == STOP_NEXT && c->halted) {
            if (leave(vm, c, STOP_HALT, exit))
                return;
            run_wait(c);
            continue;
        }
        if (stop == STOP_NEXT && c->instructions >= c->insn_limit) {
            exit->reason = WEIR_EXIT_BUDGET;
            return;
        }
        if (stop == STOP_NEXT)
            stop = interp_run(c);
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
    uint64_t limit = c->insn_limit;
    c->insn_limit = c->instructions + 1;
    enum weir_stop stop = interp_run(c);
    c->insn_limit = limit;
    if (stop != STOP_RETRY)
        vm->answer_count = 0;
    return stop;
}

void run_loop(struct weir *vm, uint64_t budget, struct weir_exit *exit)
{
    struct vcpu *c = &vm->cpu;
    uint64_t before = c->instructions;
    bool answered = c->exit.pending && !c->exit.is_write;
    struct weir_exit asked = *exit;
    memset(exit, 0, sizeof(*exit));
    c->insn_limit = budget && budget < UINT64_MAX - before ? before + budget : UINT64_MAX;
    if (answered) {
        enum weir_stop stop = answer_read(vm, c, &asked);
        if (!leave(vm, c, stop, exit))
            dispatch(vm, c, exit);
    } else {
        dispatch(vm, c, exit);
    }
    exit->instructions = c->instructions - before;
}
