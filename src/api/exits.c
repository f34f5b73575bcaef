/* SPDX-License-Identifier: MIT */
/* exits.c - which instructions and exceptions end weir_run (cpu/exits.c catches them). */
#include "api/regs.h"

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

int weir_set_window_exit(weir *vm, bool on)
{
    int rc = regs_access(&vm->cpu);
    if (rc == 0 && on)
        cpu_attention(&vm->cpu, ATTENTION_WINDOW);
    else if (rc == 0)
        cpu_attention_clear(&vm->cpu, ATTENTION_WINDOW);
    return rc;
}
