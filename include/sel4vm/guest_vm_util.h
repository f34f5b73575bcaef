/* SPDX-License-Identifier: MIT */
/* guest_vm_util.h - questions about a VM. */
#ifndef SEL4VM_GUEST_VM_UTIL_H
#define SEL4VM_GUEST_VM_UTIL_H

#include <sel4vm/guest_vm.h>

static inline seL4_CPtr vm_get_vcpu_tcb(vm_vcpu_t *vcpu)
{
    return vcpu->tcb.tcb.cptr;
}

/* seL4_CapNull if there is no such vCPU. */
static inline seL4_CPtr vm_get_vcpu(vm_t *vm, int vcpu_id)
{
    bool known =
        vcpu_id >= 0 && vcpu_id < CONFIG_MAX_NUM_NODES && (unsigned)vcpu_id < vm->num_vcpus;
    return known ? vm->vcpus[vcpu_id]->vcpu.cptr : seL4_CapNull;
}

static inline vm_vcpu_t *vm_vcpu_for_target_cpu(vm_t *vm, int target_cpu)
{
    for (unsigned n = 0; n < vm->num_vcpus; n++)
        if (vm->vcpus[n]->target_cpu == target_cpu)
            return vm->vcpus[n];
    return NULL;
}

static inline vm_vcpu_t *vm_find_free_unassigned_vcpu(vm_t *vm)
{
    return vm_vcpu_for_target_cpu(vm, -1);
}

static inline int vm_find_free_unassigned_cpu(vm_t *vm)
{
    for (int cpu = 0; cpu < CONFIG_MAX_NUM_NODES; cpu++)
        if (!vm_vcpu_for_target_cpu(vm, cpu))
            return cpu;
    return -1;
}

static inline bool is_vcpu_online(vm_vcpu_t *vcpu)
{
    return vcpu->vcpu_online;
}

static inline vspace_t *vm_get_vspace(vm_t *vm)
{
    return &vm->mem.vm_vspace;
}

static inline vspace_t *vm_get_vmm_vspace(vm_t *vm)
{
    return &vm->mem.vmm_vspace;
}

#endif
