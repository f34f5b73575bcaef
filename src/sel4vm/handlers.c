/* SPDX-License-Identifier: MIT */
/* handlers.c - what the library does about exits that the program has no handler for. */
#include "sel4vm/internal.h"

#include <stdlib.h>

void skip_instruction(vm_vcpu_t *vcpu)
{
    weir_vcpu *cpu = cpu_of(vcpu);
    uint64_t rip = weir_reg_get_u64(cpu, WEIR_RIP);
    uint64_t blocked = weir_reg_get_u64(cpu, WEIR_INTERRUPTIBILITY);
    weir_reg_set_u64(cpu, WEIR_RIP, rip + state_of(vcpu)->exit.instruction_length);
    weir_reg_set_u64(cpu, WEIR_INTERRUPTIBILITY, blocked & ~3ull);
}

/* ---- vmcall ---- */

int vm_reg_new_vmcall_handler(vm_t *vm, vmcall_handler func, int token)
{
    if (!vm || !func)
        return -1;
    struct vm_arch *a = &vm->arch;
    for (unsigned n = 0; n < a->vmcall_num_handlers; n++)
        if (a->vmcall_handlers[n].token == token)
            return -1;
    vmcall_handler_t *more =
        realloc(a->vmcall_handlers, (a->vmcall_num_handlers + 1) * sizeof(*more));
    if (!more)
        return -1;
    more[a->vmcall_num_handlers++] = (vmcall_handler_t){token, func};
    a->vmcall_handlers = more;
    return 0;
}

static int handle_vmcall(vm_vcpu_t *vcpu)
{
    const struct vm_arch *a = &vcpu->vm->arch;
    int token = (int)weir_reg_get_u64(cpu_of(vcpu), WEIR_RAX);
    vmcall_handler func = NULL;
    for (unsigned n = 0; n < a->vmcall_num_handlers; n++)
        if (a->vmcall_handlers[n].token == token)
            func = a->vmcall_handlers[n].func;
    uint64_t rip = weir_reg_get_u64(cpu_of(vcpu), WEIR_RIP);
    if (func && func(vcpu))
        return VM_EXIT_HANDLE_ERROR;
    if (weir_reg_get_u64(cpu_of(vcpu), WEIR_RIP) ==
        rip) /* else the handler chose another one */
        skip_instruction(vcpu);
    return VM_EXIT_HANDLED;
}

/* ---- control registers ---- */

/* As if the guest owned all bits: the shadow takes the value, the real register what the mask
 * leaves. */
static int control_write(vm_vcpu_t *vcpu, unsigned n, uint64_t value)
{
    guest_state_t *gs = state_of(vcpu);
    uint64_t mask = n ? gs->cr4_mask : gs->cr0_mask;
    enum weir_reg reg = n ? WEIR_CR4 : WEIR_CR0;
    uint64_t now = weir_reg_get_u64(cpu_of(vcpu), reg);
    if (weir_reg_set_u64(cpu_of(vcpu), reg, (value & ~mask) | (now & mask)) < 0)
        return VM_EXIT_HANDLE_ERROR;
    *(n ? &gs->cr4_shadow : &gs->cr0_shadow) = value;
    skip_instruction(vcpu);
    return VM_EXIT_HANDLED;
}

static int handle_cr_access(vm_vcpu_t *vcpu)
{
    guest_state_t *gs = state_of(vcpu);
    const struct weir_exit *e = &gs->last;
    weir_vcpu *cpu = cpu_of(vcpu);
    uint64_t shadow =
        (weir_reg_get_u64(cpu, WEIR_CR0) & ~gs->cr0_mask) | (gs->cr0_shadow & gs->cr0_mask);
    int rc;
    switch (e->insn.kind) {
    case WEIR_INSN_WRITE_CR:
        return control_write(vcpu, e->insn.number, e->insn.value);
    case WEIR_INSN_CLTS:
        return control_write(vcpu, 0, shadow & ~8ull);
    case WEIR_INSN_LMSW:
        return control_write(vcpu, 0, (shadow & ~0xeull) | (e->insn.value & 0xf));
    case WEIR_INSN_READ_CR3:
        rc = weir_reg_set_u64(cpu, WEIR_RAX + e->insn.reg, weir_reg_get_u64(cpu, WEIR_CR3));
        break;
    default:
        rc = weir_reg_set_u64(cpu, WEIR_CR3, e->insn.value);
        break;
    }
    if (rc < 0)
        return VM_EXIT_HANDLE_ERROR;
    skip_instruction(vcpu);
    return VM_EXIT_HANDLED;
}

/* ---- others ---- */

static int handle_hlt(vm_vcpu_t *vcpu)
{
    skip_instruction(vcpu);
    bool open = weir_reg_get_u64(cpu_of(vcpu), WEIR_RFLAGS) & RFLAGS_IF;
    if (!open || !pic_pending(vcpu->vm))
        weir_reg_set_u64(cpu_of(vcpu), WEIR_ACTIVITY, WEIR_HALTED);
    return VM_EXIT_HANDLED;
}

static int handle_window(vm_vcpu_t *vcpu)
{
    state_of(vcpu)->ppc &= ~(uint64_t)VMX_CONTROL_PPC_INTERRUPT_WINDOW;
    return VM_EXIT_HANDLED;
}

/* The vCPU's own CPUID and MSRs. These are exits only if the program has put its handler in place
 * of this one, which it may still call. */
static int let_it_run(vm_vcpu_t *vcpu)
{
    return weir_pass_insn(cpu_of(vcpu)) == 0 ? VM_EXIT_HANDLED : VM_EXIT_HANDLE_ERROR;
}

static const vmexit_handler_ptr own_handlers[VM_EXIT_REASON_NUM] = {
    [EXIT_REASON_PENDING_INTERRUPT] = handle_window,
    [EXIT_REASON_CPUID] = let_it_run,
    [EXIT_REASON_HLT] = handle_hlt,
    [EXIT_REASON_VMCALL] = handle_vmcall,
    [EXIT_REASON_CR_ACCESS] = handle_cr_access,
    [EXIT_REASON_IO_INSTRUCTION] = handle_io,
    [EXIT_REASON_MSR_READ] = let_it_run,
    [EXIT_REASON_MSR_WRITE] = let_it_run,
    [EXIT_REASON_EPT_VIOLATION] = handle_ept_violation,
};

void handlers_install(vm_t *vm)
{
    for (unsigned n = 0; n < VM_EXIT_REASON_NUM; n++)
        vm->arch.vmexit_handlers[n] = own_handlers[n];
}

/* ---- which instructions are exits ---- */

static const struct {
    uint8_t kind, reason;
    uint32_t ppc; /* the control that makes it one; 0: the program's own handler does */
} wishes[] = {
    {WEIR_INSN_CPUID, EXIT_REASON_CPUID, 0},
    {WEIR_INSN_RDMSR, EXIT_REASON_MSR_READ, 0},
    {WEIR_INSN_WRMSR, EXIT_REASON_MSR_WRITE, 0},
    {WEIR_INSN_XSETBV, EXIT_REASON_XSETBV, 0},
    {WEIR_INSN_INVD, EXIT_REASON_INVD, 0},
    {WEIR_INSN_WBINVD, EXIT_REASON_WBINVD, 0},
    {WEIR_INSN_INVPCID, EXIT_REASON_INVPCID, 0},
    {WEIR_INSN_HLT, EXIT_REASON_HLT, VMX_CONTROL_PPC_HLT_EXITING},
    {WEIR_INSN_INVLPG, EXIT_REASON_INVLPG, VMX_CONTROL_PPC_INVLPG_EXITING},
    {WEIR_INSN_MWAIT, EXIT_REASON_MWAIT_INSTRUCTION, VMX_CONTROL_PPC_MWAIT_EXITING},
    {WEIR_INSN_RDPMC, EXIT_REASON_RDPMC, VMX_CONTROL_PPC_RDPMC_EXITING},
    {WEIR_INSN_RDTSC, EXIT_REASON_RDTSC, VMX_CONTROL_PPC_RDTSC_EXITING},
    {WEIR_INSN_WRITE_CR3, EXIT_REASON_CR_ACCESS, VMX_CONTROL_PPC_CR3_LOAD_EXITING},
    {WEIR_INSN_READ_CR3, EXIT_REASON_CR_ACCESS, VMX_CONTROL_PPC_CR3_STORE_EXITING},
    {WEIR_INSN_READ_DR, EXIT_REASON_DR_ACCESS, VMX_CONTROL_PPC_MOV_DR_EXITING},
    {WEIR_INSN_WRITE_DR, EXIT_REASON_DR_ACCESS, VMX_CONTROL_PPC_MOV_DR_EXITING},
    {WEIR_INSN_MONITOR, EXIT_REASON_MONITOR_INSTRUCTION, VMX_CONTROL_PPC_MONITOR_EXITING},
};

uint32_t handlers_insn_exits(const vm_t *vm, const guest_state_t *gs)
{
    uint32_t kinds = 1u << WEIR_INSN_VMCALL | 1u << WEIR_INSN_IN | 1u << WEIR_INSN_OUT;
    for (unsigned n = 0; n < sizeof(wishes) / sizeof(wishes[0]); n++) {
        vmexit_handler_ptr handler = vm->arch.vmexit_handlers[wishes[n].reason];
        bool wanted = wishes[n].ppc ? gs->ppc & wishes[n].ppc
                                    : handler && handler != own_handlers[wishes[n].reason];
        kinds |= (uint32_t)wanted << wishes[n].kind;
    }
    return kinds;
}
