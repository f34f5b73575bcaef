/* SPDX-License-Identifier: MIT */
/* exits.c - which instructions and exceptions end weir_run (cpu/exits.c catches them). */
#include "api/regs.h"
#include "run/run.h"

static void update(struct vcpu *c)
{
    c->exits = c->insn_exits || c->cr_guard[0].mask || c->cr_guard[1].mask;
}

int weir_set_insn_exits(weir *vm, uint32_t kinds)
{
    int rc = regs_access(&vm->cpu);
    if (rc < 0)
        return rc;
    if (kinds >> WEIR_INSN_WRITE_CR)
        return err_set(&vm->err, WEIR_EINVAL, "instruction exits: unknown kinds in %#x", kinds);
    vm->cpu.insn_exits = kinds;
    update(&vm->cpu);
    return 0;
}

int weir_pass_insn(weir_vcpu *cpu)
{
    struct vcpu *c = vcpu_of(cpu);
    int rc = regs_access(c);
    if (rc < 0)
        return rc;
    c->pass_insn = true;
    c->pass_rip = c->rip;
    return 0;
}

int weir_set_exception_exits(weir *vm, uint32_t vectors)
{
    int rc = regs_access(&vm->cpu);
    if (rc == 0)
        vm->cpu.exception_exits = vectors;
    return rc;
}

int weir_set_cr_mask(weir_vcpu *cpu, unsigned number, uint64_t mask, uint64_t shadow)
{
    struct vcpu *c = vcpu_of(cpu);
    int rc = regs_access(c);
    if (rc < 0)
        return rc;
    if (number != 0 && number != 4)
        return err_set(&c->vm->err, WEIR_EINVAL, "CR%u has no mask", number);
    c->cr_guard[number == 4].mask = mask;
    c->cr_guard[number == 4].shadow = shadow;
    update(c);
    return 0;
}

static int attend(struct vcpu *c, uint32_t bit, bool on)
{
    int rc = regs_access(c);
    if (rc == 0 && on)
        cpu_attention(c, bit);
    else if (rc == 0)
        cpu_attention_clear(c, bit);
    return rc;
}

int weir_set_window_exit(weir *vm, bool on)
{
    return attend(&vm->cpu, ATTENTION_WINDOW, on);
}

int weir_set_nmi_window_exit(weir *vm, bool on)
{
    return attend(&vm->cpu, ATTENTION_NMI_WINDOW, on);
}

int weir_set_nmi_exits(weir *vm, bool on)
{
    int rc = regs_access(&vm->cpu);
    if (rc == 0)
        vm->cpu.nmi_exits = on;
    return rc;
}

/* ---- time ---- */

int weir_set_time_exit(weir *vm, uint64_t ns)
{
    int rc = regs_access(&vm->cpu);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&vm->device_lock);
    if (!vm->exit_timer.clock)
        timer_init(&vm->exit_timer, &vm->clock, run_time_over, vm);
    weir_timer_cancel(&vm->exit_timer);
    pthread_mutex_lock(&vm->run_lock);
    vm->time_over = false;
    pthread_mutex_unlock(&vm->run_lock);
    uint64_t now = clock_now_ns(&vm->clock);
    if (ns)
        weir_timer_set(&vm->exit_timer, ns < CLOCK_NEVER - now ? now + ns : CLOCK_NEVER - 1);
    pthread_mutex_unlock(&vm->device_lock);
    return 0;
}

uint64_t weir_time_left(weir *vm)
{
    pthread_mutex_lock(&vm->device_lock);
    uint64_t now = clock_now_ns(&vm->clock), left = 0;
    if (vm->exit_timer.clock && weir_timer_armed(&vm->exit_timer))
        left = vm->exit_timer.deadline_ns > now ? vm->exit_timer.deadline_ns - now : 1;
    pthread_mutex_unlock(&vm->device_lock);
    return left;
}
