/* SPDX-License-Identifier: MIT */
/*
 * run.c - vm_run: enters the guest, turns weir's exits into VMX's, calls handlers.
 *
 * The other threads' side (notifications, stop) is a queue under machine.lock; weir_quit makes
 * weir_run come back to look at it.
 */
#include "sel4vm/internal.h"

#include <string.h>

/* ---- notifications ---- */

int weir_sel4vm_notify(vm_t *vm, seL4_Word badge)
{
    struct sel4vm_machine *m = vm ? vm->arch.machine : NULL;
    if (!m)
        return -1;
    pthread_mutex_lock(&m->lock);
    bool full = m->count == NOTIFICATIONS;
    if (!full)
        m->badges[(m->first + m->count++) % NOTIFICATIONS] = badge;
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
    weir_quit(m->weir);
    return full ? -1 : 0;
}

void weir_sel4vm_nmi(vm_t *vm)
{
    struct sel4vm_machine *m = vm ? vm->arch.machine : NULL;
    if (!m)
        return;
    pthread_mutex_lock(&m->lock);
    m->nmi = true; /* ends wait() */
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
    weir_nmi(m->weir);
}

void weir_sel4vm_stop(vm_t *vm)
{
    struct sel4vm_machine *m = vm ? vm->arch.machine : NULL;
    if (!m)
        return;
    pthread_mutex_lock(&m->lock);
    m->stop = true;
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
    weir_quit(m->weir);
}

static bool take(struct sel4vm_machine *m, bool *wish)
{
    pthread_mutex_lock(&m->lock);
    bool was = *wish;
    *wish = false;
    pthread_mutex_unlock(&m->lock);
    return was;
}

static bool take_badge(struct sel4vm_machine *m, seL4_Word *badge)
{
    pthread_mutex_lock(&m->lock);
    bool any = m->count != 0;
    if (any) {
        *badge = m->badges[m->first];
        m->first = (m->first + 1) % NOTIFICATIONS;
        m->count--;
    }
    pthread_mutex_unlock(&m->lock);
    return any;
}

/* Badges below the number of vCPUs are the kernel's own. */
static int notifications(vm_t *vm)
{
    seL4_Word badge;
    while (take_badge(vm->arch.machine, &badge)) {
        const seL4_MessageInfo_t tag = {{0}};
        if (badge < vm->num_vcpus || !vm->run.notification_callback ||
            vm->run.notification_callback(vm, badge, tag,
                                          vm->run.notification_callback_cookie) == -1)
            return VM_EXIT_HANDLE_ERROR;
    }
    return VM_EXIT_HANDLED;
}

/* Until something is notified. False: nobody would. */
static bool wait(vm_t *vm)
{
    struct sel4vm_machine *m = vm->arch.machine;
    pthread_mutex_lock(&m->lock);
    bool may = m->count || m->stop || m->nmi || vm->run.notification_callback;
    while (may && !m->count && !m->stop && !m->nmi)
        pthread_cond_wait(&m->changed, &m->lock);
    pthread_mutex_unlock(&m->lock);
    return may;
}

int vm_register_notification_callback(vm_t *vm, notification_callback_fn callback, void *cookie)
{
    if (!vm || !callback)
        return -1;
    vm->run.notification_callback = callback;
    vm->run.notification_callback_cookie = cookie;
    return 0;
}

/* ---- exits ---- */

static uint64_t io_qualification(const struct weir_exit *e)
{
    bool in = e->insn.kind == WEIR_INSN_IN;
    return (e->insn.size_bytes - 1u) | (uint64_t)in << 3 | (uint64_t)e->insn.is_string << 4 |
           (uint64_t)e->insn.is_rep << 5 | (uint64_t)e->insn.is_immediate << 6 |
           (uint64_t)e->insn.number << 16;
}

static uint64_t cr_qualification(const struct weir_exit *e)
{
    uint64_t gpr = (uint64_t)e->insn.reg << 8;
    switch (e->insn.kind) {
    case WEIR_INSN_READ_CR3:
        return 3 | 1 << 4 | gpr;
    case WEIR_INSN_WRITE_CR3:
        return 3 | gpr;
    case WEIR_INSN_CLTS:
        return 2 << 4;
    case WEIR_INSN_LMSW:
        return 3 << 4 | (uint64_t)e->insn.is_memory << 6 | (e->insn.value & 0xffff) << 16;
    default:
        return e->insn.number | gpr;
    }
}

static unsigned insn_reason(const struct weir_exit *e)
{
    static const uint8_t reasons[] = {
        [WEIR_INSN_VMCALL] = EXIT_REASON_VMCALL,
        [WEIR_INSN_CPUID] = EXIT_REASON_CPUID,
        [WEIR_INSN_HLT] = EXIT_REASON_HLT,
        [WEIR_INSN_IN] = EXIT_REASON_IO_INSTRUCTION,
        [WEIR_INSN_OUT] = EXIT_REASON_IO_INSTRUCTION,
        [WEIR_INSN_RDMSR] = EXIT_REASON_MSR_READ,
        [WEIR_INSN_WRMSR] = EXIT_REASON_MSR_WRITE,
        [WEIR_INSN_RDTSC] = EXIT_REASON_RDTSC,
        [WEIR_INSN_RDPMC] = EXIT_REASON_RDPMC,
        [WEIR_INSN_INVLPG] = EXIT_REASON_INVLPG,
        [WEIR_INSN_INVPCID] = EXIT_REASON_INVPCID,
        [WEIR_INSN_INVD] = EXIT_REASON_INVD,
        [WEIR_INSN_WBINVD] = EXIT_REASON_WBINVD,
        [WEIR_INSN_XSETBV] = EXIT_REASON_XSETBV,
        [WEIR_INSN_MONITOR] = EXIT_REASON_MONITOR_INSTRUCTION,
        [WEIR_INSN_MWAIT] = EXIT_REASON_MWAIT_INSTRUCTION,
        [WEIR_INSN_READ_CR3] = EXIT_REASON_CR_ACCESS,
        [WEIR_INSN_WRITE_CR3] = EXIT_REASON_CR_ACCESS,
        [WEIR_INSN_READ_DR] = EXIT_REASON_DR_ACCESS,
        [WEIR_INSN_WRITE_DR] = EXIT_REASON_DR_ACCESS,
        [WEIR_INSN_WRITE_CR] = EXIT_REASON_CR_ACCESS,
        [WEIR_INSN_CLTS] = EXIT_REASON_CR_ACCESS,
        [WEIR_INSN_LMSW] = EXIT_REASON_CR_ACCESS,
    };
    return reasons[e->insn.kind];
}

static void note_insn(vm_vcpu_t *vcpu, const struct weir_exit *e)
{
    struct exit_info *x = &state_of(vcpu)->exit;
    weir_vcpu *cpu = cpu_of(vcpu);
    x->reason = insn_reason(e);
    x->instruction_length = e->insn.instruction_bytes;
    x->linear = e->insn.gva;
    switch (x->reason) {
    case EXIT_REASON_IO_INSTRUCTION:
        x->qualification = io_qualification(e);
        x->io_rcx = weir_reg_get_u64(cpu, WEIR_RCX);
        x->io_rsi = weir_reg_get_u64(cpu, WEIR_RSI);
        x->io_rdi = weir_reg_get_u64(cpu, WEIR_RDI);
        x->io_rip = weir_reg_get_u64(cpu, WEIR_RIP);
        break;
    case EXIT_REASON_CR_ACCESS:
        x->qualification = cr_qualification(e);
        break;
    case EXIT_REASON_DR_ACCESS:
        x->qualification = (e->insn.number & 7) |
                           (uint64_t)(e->insn.kind == WEIR_INSN_READ_DR) << 4 |
                           (uint64_t)e->insn.reg << 8;
        break;
    case EXIT_REASON_INVLPG:
        x->qualification = e->insn.value;
        break;
    default:
        break;
    }
}

static void note_memory(vm_vcpu_t *vcpu, const struct weir_exit *e)
{
    guest_state_t *gs = state_of(vcpu);
    gs->exit.reason = EXIT_REASON_EPT_VIOLATION;
    gs->exit.qualification = (e->access.is_write ? 2 : 1) | 1 << 7 | 1 << 8;
    gs->exit.instruction_length = e->access.instruction_bytes;
    gs->exit.physical = e->access.address;
    gs->exit.linear = e->access.gva;
    gs->fault = (struct mem_fault){.active = true,
                                   .is_write = e->access.is_write,
                                   .gpa = e->access.address,
                                   .data = e->access.value,
                                   .size = e->access.size_bytes};
    if (!e->access.is_write)
        return;
    /* The access is done; handlers see RIP where VMX has it. */
    gs->fault.rip_after = weir_reg_get_u64(cpu_of(vcpu), WEIR_RIP);
    weir_reg_set_u64(cpu_of(vcpu), WEIR_RIP, gs->fault.rip_after - e->access.instruction_bytes);
}

static void note_exception(vm_vcpu_t *vcpu, const struct weir_exit *e)
{
    struct exit_info *x = &state_of(vcpu)->exit;
    unsigned vector = e->exception.vector;
    unsigned type = 3;
    if (e->exception.is_software)
        type = vector == 1 ? 5 : 6;
    x->reason = EXIT_REASON_EXCEPTION_NMI;
    x->interrupt_info =
        ENTRY_INFO_VALID | type << 8 | vector | (e->exception.has_error ? ENTRY_INFO_ERROR : 0);
    x->interrupt_error = e->exception.has_error ? e->exception.error : 0;
    x->instruction_length = e->exception.instruction_bytes;
    x->qualification = vector == 14  ? e->exception.address
                       : vector == 1 ? e->exception.dr6_bits
                                     : 0;
}

/* Somebody outside wants the guest to be left: an interrupt of the host. */
static bool is_external(const vm_vcpu_t *vcpu)
{
    struct sel4vm_machine *m = state_of(vcpu)->machine;
    pthread_mutex_lock(&m->lock);
    bool notified = m->count != 0;
    pthread_mutex_unlock(&m->lock);
    return notified && (state_of(vcpu)->pin & VMX_CONTROL_PIN_EXTERNAL_INTERRUPT) &&
           vcpu->vm->arch.vmexit_handlers[EXIT_REASON_EXTERNAL_INTERRUPT];
}

static int handle(vm_vcpu_t *vcpu)
{
    vmexit_handler_ptr handler = vcpu->vm->arch.vmexit_handlers[state_of(vcpu)->exit.reason];
    return handler ? handler(vcpu) : VM_EXIT_HANDLE_ERROR;
}

/* Fills in exit; the handler's result, or whether to go on. */
static int serve(vm_vcpu_t *vcpu, const struct weir_exit *e)
{
    guest_state_t *gs = state_of(vcpu);
    switch (e->reason) {
    case WEIR_EXIT_INSN:
        note_insn(vcpu, e);
        break;
    case WEIR_EXIT_MMIO:
        note_memory(vcpu, e);
        break;
    case WEIR_EXIT_EXCEPTION:
        note_exception(vcpu, e);
        break;
    case WEIR_EXIT_WINDOW:
        gs->exit.reason = EXIT_REASON_PENDING_INTERRUPT;
        break;
    case WEIR_EXIT_NMI:
        gs->exit.reason = EXIT_REASON_EXCEPTION_NMI;
        gs->exit.interrupt_info = ENTRY_INFO_VALID | WEIR_INJECT_NMI << 8 | 2;
        break;
    case WEIR_EXIT_NMI_WINDOW:
        gs->exit.reason = EXIT_REASON_NMI_WINDOW;
        break;
    case WEIR_EXIT_TIME:
        gs->exit.reason = EXIT_REASON_VMX_TIMER;
        break;
    case WEIR_EXIT_STOPPED:
        if (!gs->stop_reason)
            return VM_EXIT_HANDLED;
        gs->exit.reason = gs->stop_reason;
        break;
    case WEIR_EXIT_QUIT:
        if (!is_external(vcpu))
            return VM_EXIT_HANDLED;
        gs->exit.reason = EXIT_REASON_EXTERNAL_INTERRUPT;
        break;
    case WEIR_EXIT_TRIPLE_FAULT:
        gs->exit.reason = EXIT_REASON_TRIPLE_FAULT;
        break;
    case WEIR_EXIT_ERROR:
        return VM_EXIT_HANDLE_ERROR;
    default: /* HALT, PAUSED: vm_run's loop looks */
        return VM_EXIT_HANDLED;
    }
    return handle(vcpu);
}

/* ---- entering ---- */

/* What VMX checks of an event to be injected, and libweir does not. */
static bool injection_possible(vm_vcpu_t *vcpu, unsigned type)
{
    weir_vcpu *cpu = cpu_of(vcpu);
    uint64_t blocked = weir_reg_get_u64(cpu, WEIR_INTERRUPTIBILITY);
    if (type == WEIR_INJECT_EXTERNAL)
        return (weir_reg_get_u64(cpu, WEIR_RFLAGS) & RFLAGS_IF) && !(blocked & 3);
    return type != WEIR_INJECT_NMI || !(blocked & WEIR_BLOCKED_BY_MOV_SS);
}

static bool inject(vm_vcpu_t *vcpu)
{
    guest_state_t *gs = state_of(vcpu);
    uint64_t info = gs->entry_info;
    if (!(info & ENTRY_INFO_VALID))
        return true;
    unsigned type = info >> 8 & 7;
    union weir_value v = {.injection = {.pending = true,
                                        .kind = (uint8_t)type,
                                        .vector = (uint8_t)info,
                                        .has_error = info & ENTRY_INFO_ERROR,
                                        .error = (uint32_t)gs->entry_error}};
    if (type >= WEIR_INJECT_SOFTWARE)
        v.injection.instruction_length =
            (uint8_t)(gs->entry_length < 16 ? gs->entry_length : 16);
    if ((info & 0x7ffff000) || !injection_possible(vcpu, type) ||
        weir_reg_set(cpu_of(vcpu), WEIR_INJECTION, &v) < 0)
        return false;
    gs->entry_info &= ~ENTRY_INFO_VALID;
    return true;
}

/* False: the guest cannot be entered. */
static bool prepare(vm_vcpu_t *vcpu)
{
    guest_state_t *gs = state_of(vcpu);
    weir *w = gs->machine->weir;
    if (!controls_possible(gs)) {
        gs->exit.instruction_error = 7; /* VM entry with invalid control fields */
        return false;
    }
    if (!vmcs_settle(vcpu) || !inject(vcpu))
        return false;
    vmcs_forget(gs);
    return weir_set_insn_exits(w, handlers_insn_exits(vcpu->vm, gs)) == 0 &&
           weir_set_exception_exits(w, (uint32_t)gs->exception_bitmap) == 0 &&
           weir_set_cr_mask(gs->machine->cpu, 0, gs->cr0_mask, gs->cr0_shadow) == 0 &&
           weir_set_cr_mask(gs->machine->cpu, 4, gs->cr4_mask, gs->cr4_shadow) == 0 &&
           weir_set_window_exit(w, gs->ppc & VMX_CONTROL_PPC_INTERRUPT_WINDOW) == 0;
}

static int enter(vm_vcpu_t *vcpu)
{
    guest_state_t *gs = state_of(vcpu);
    bool injects = gs->entry_info & ENTRY_INFO_VALID;
    unsigned reason;
    memset(&gs->exit, 0, sizeof(gs->exit));
    gs->fault.active = false;
    if (!prepare(vcpu)) {
        gs->exit.reason = VMX_EXIT_REASONS_FAILED_VMENTRY | EXIT_REASON_INVALID_GUEST_STATE;
        return VM_EXIT_HANDLE_ERROR;
    }
    if (!controls_arm(gs, injects, &reason)) {
        gs->exit.reason = reason;
        return handle(vcpu);
    }
    take(gs->machine, &gs->machine->nmi); /* the vCPU has it */
    int rc = weir_run(gs->machine->cpu, 0, &gs->last);
    controls_disarm(gs);
    return rc < 0 ? VM_EXIT_HANDLE_ERROR : serve(vcpu, &gs->last);
}

/* Halted, and nothing is there to end it. The timer runs in the vCPU. */
static bool is_halted(vm_vcpu_t *vcpu)
{
    guest_state_t *gs = state_of(vcpu);
    union weir_value v;
    pthread_mutex_lock(&gs->machine->lock);
    bool nmi = gs->machine->nmi;
    pthread_mutex_unlock(&gs->machine->lock);
    if (nmi || gs->pin & VMX_CONTROL_PIN_PREEMPTION_TIMER ||
        gs->ppc & VMX_CONTROL_PPC_NMI_WINDOW || gs->entry_info & ENTRY_INFO_VALID ||
        weir_reg_get(cpu_of(vcpu), WEIR_INJECTION, &v) < 0 || v.injection.pending)
        return false;
    seL4_Word activity;
    return vm_get_vmcs_field(vcpu, VMX_GUEST_ACTIVITY, &activity) == 0 &&
           activity == WEIR_HALTED;
}

int vm_run(vm_t *vm)
{
    if (!vm || !vm->vm_initialised || !vm->num_vcpus)
        return -1;
    vm_vcpu_t *vcpu = vm->vcpus[BOOT_VCPU];
    int result = VM_EXIT_HANDLED;
    vm->run.exit_reason = VM_GUEST_UNKNOWN_EXIT;
    while (result > 0 && !take(vm->arch.machine, &vm->arch.machine->stop)) {
        result = notifications(vm);
        if (result <= 0)
            break;
        pic_deliver(vcpu);
        if (vcpu->vcpu_online && !is_halted(vcpu))
            result = enter(vcpu);
        else if (!wait(vm))
            return 0;
    }
    if (result >= 0)
        return 0;
    vm->run.exit_reason = VM_GUEST_ERROR_EXIT;
    return -1;
}
