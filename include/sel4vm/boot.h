/* SPDX-License-Identifier: MIT */
/* boot.h - creating a VM and its vCPU. */
#ifndef SEL4VM_BOOT_H
#define SEL4VM_BOOT_H

#include <sel4vm/guest_vm.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BOOT_VCPU 0

/* The handles are kept in *vm and not used. */
int vm_init(vm_t *vm, vka_t *vka, simple_t *host_simple, vspace_t host_vspace,
            ps_io_ops_t *io_ops, seL4_CPtr host_endpoint, const char *name);
/* In flat 32-bit protected mode, unpaged, RIP 0; offline until vcpu_start. NULL if there is one. */
vm_vcpu_t *vm_create_vcpu(vm_t *vm, int priority);
int vm_assign_vcpu_target(vm_vcpu_t *vcpu, int target_cpu);

#ifdef __cplusplus
}
#endif
#endif
