/* SPDX-License-Identifier: MIT */
/*
 * fault.c - accesses to memory that is not there: whose callback it is, and what becomes of the
 * instruction.
 *
 * A read has not been executed: weir_run does so with the data that it is given, however the
 * instruction uses it. A write is done but for memory: going on is all that is left, and making the
 * access again means to write to what is there now.
 */
#include "sel4vm/internal.h"

static struct mem_fault *fault_of(vm_vcpu_t *vcpu)
{
    guest_state_t *gs = state_or_null(vcpu);
    return gs && gs->fault.active ? &gs->fault : NULL;
}

/* ---- what callbacks ask ---- */

seL4_Word get_vcpu_fault_address(vm_vcpu_t *vcpu)
{
    const struct mem_fault *f = fault_of(vcpu);
    return f ? f->gpa : 0;
}
seL4_Word get_vcpu_fault_ip(vm_vcpu_t *vcpu)
{
    return state_or_null(vcpu) ? weir_reg_get_u64(cpu_of(vcpu), WEIR_RIP) : 0;
}
seL4_Word get_vcpu_fault_data(vm_vcpu_t *vcpu)
{
    const struct mem_fault *f = fault_of(vcpu);
    return f ? f->data : 0;
}
size_t get_vcpu_fault_size(vm_vcpu_t *vcpu)
{
    const struct mem_fault *f = fault_of(vcpu);
    return f ? f->size : 0;
}
static seL4_Word size_mask(const struct mem_fault *f)
{
    return f->size >= sizeof(seL4_Word) ? ~(seL4_Word)0 : (1ul << 8 * f->size) - 1;
}
seL4_Word get_vcpu_fault_data_mask(vm_vcpu_t *vcpu)
{
    const struct mem_fault *f = fault_of(vcpu);
    return f ? size_mask(f) << (f->gpa & 3) * 8 : 0;
}
bool is_vcpu_read_fault(vm_vcpu_t *vcpu)
{
    const struct mem_fault *f = fault_of(vcpu);
    return f && !f->is_write;
}

int set_vcpu_fault_data(vm_vcpu_t *vcpu, seL4_Word data)
{
    struct mem_fault *f = fault_of(vcpu);
    if (!f || f->is_write)
        return -1;
    f->data = data & size_mask(f);
    f->has_data = true;
    return 0;
}

seL4_Word emulate_vcpu_fault(vm_vcpu_t *vcpu, seL4_Word data)
{
    const struct mem_fault *f = fault_of(vcpu);
    if (!f)
        return data;
    unsigned shift = (f->gpa & 3) * 8;
    if (!f->is_write) {
        set_vcpu_fault_data(vcpu, data >> shift);
        return data;
    }
    seL4_Word mask = size_mask(f) << shift;
    return (data & ~mask) | ((f->data << shift) & mask);
}

void advance_vcpu_fault(vm_vcpu_t *vcpu)
{
    struct mem_fault *f = fault_of(vcpu);
    if (f)
        f->advanced = true;
}

void restart_vcpu_fault(vm_vcpu_t *vcpu)
{
    struct mem_fault *f = fault_of(vcpu);
    if (f)
        f->advanced = false;
}

memory_fault_result_t default_error_fault_callback(vm_t *vm, vm_vcpu_t *vcpu,
                                                   uintptr_t fault_addr, size_t fault_length,
                                                   void *cookie)
{
    (void)vm, (void)vcpu, (void)fault_addr, (void)fault_length, (void)cookie;
    return FAULT_ERROR;
}

int vm_register_unhandled_mem_fault_callback(vm_t *vm, unhandled_mem_fault_callback_fn handler,
                                             void *cookie)
{
    if (!vm || !handler)
        return -1;
    vm->mem.unhandled_mem_fault_handler = handler;
    vm->mem.unhandled_mem_fault_cookie = cookie;
    return 0;
}

/* ---- the exit ---- */

static memory_fault_result_t ask(vm_vcpu_t *vcpu, const struct mem_fault *f)
{
    vm_t *vm = vcpu->vm;
    struct vm_memory_reservation *r = memory_find(vm, f->gpa);
    memory_fault_result_t result = FAULT_UNHANDLED;
    if (r && r->callback)
        result = r->callback(vm, vcpu, f->gpa, f->size, r->cookie);
    if (result != FAULT_UNHANDLED)
        return result;
    if (!vm->mem.unhandled_mem_fault_handler)
        return FAULT_ERROR;
    result = vm->mem.unhandled_mem_fault_handler(vm, vcpu, f->gpa, f->size,
                                                 vm->mem.unhandled_mem_fault_cookie);
    if (result == FAULT_HANDLED && !f->has_data)
        return FAULT_IGNORE;
    return result == FAULT_UNHANDLED ? FAULT_ERROR : result;
}

/* The question that a read asks: the instruction is executed once more. Setting RIP does it. */
static void take_back(vm_vcpu_t *vcpu)
{
    weir_reg_set_u64(cpu_of(vcpu), WEIR_RIP, weir_reg_get_u64(cpu_of(vcpu), WEIR_RIP));
}

static void finish_read(vm_vcpu_t *vcpu, const struct mem_fault *f,
                        memory_fault_result_t result)
{
    weir_vcpu *cpu = cpu_of(vcpu);
    bool done = result == FAULT_HANDLED && f->advanced;
    if (weir_reg_is_dirty(cpu, WEIR_RIP))
        return; /* the callback has put the guest elsewhere */
    if (f->has_data && (done || result == FAULT_IGNORE))
        state_of(vcpu)->last.access.value = f->data;
    else if (done || result == FAULT_IGNORE)
        skip_instruction(vcpu);
    else
        take_back(vcpu);
}

int handle_ept_violation(vm_vcpu_t *vcpu)
{
    struct mem_fault *f = fault_of(vcpu);
    weir_vcpu *cpu = cpu_of(vcpu);
    if (!f)
        return VM_EXIT_HANDLE_ERROR;
    uint64_t rip = weir_reg_get_u64(cpu, WEIR_RIP);
    for (;;) {
        memory_fault_result_t result = ask(vcpu, f);
        if (result != FAULT_HANDLED && result != FAULT_RESTART && result != FAULT_IGNORE) {
            take_back(vcpu);
            return VM_EXIT_HANDLE_ERROR;
        }
        if (!f->is_write) {
            finish_read(vcpu, f, result);
            break;
        }
        if (weir_reg_get_u64(cpu, WEIR_RIP) != rip)
            break;
        const struct vm_memory_reservation *r = memory_find(vcpu->vm, f->gpa);
        bool done = (result == FAULT_HANDLED && f->advanced) || result == FAULT_IGNORE;
        if (!done && !(r && r->is_ram))
            continue;
        if (!done)
            weir_mem_write(vcpu->vm->arch.machine->weir, f->gpa, &f->data, f->size);
        weir_reg_set_u64(cpu, WEIR_RIP, f->rip_after);
        break;
    }
    f->active = false;
    return VM_EXIT_HANDLED;
}
