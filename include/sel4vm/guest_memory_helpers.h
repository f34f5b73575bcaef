/* SPDX-License-Identifier: MIT */
/* guest_memory_helpers.h - a fault callback for memory that must not be accessed. */
#ifndef SEL4VM_GUEST_MEMORY_HELPERS_H
#define SEL4VM_GUEST_MEMORY_HELPERS_H

#include <sel4vm/guest_memory.h>

#ifdef __cplusplus
extern "C" {
#endif

/* FAULT_ERROR */
memory_fault_result_t default_error_fault_callback(vm_t *vm, vm_vcpu_t *vcpu,
                                                   uintptr_t fault_addr, size_t fault_length,
                                                   void *cookie);

#ifdef __cplusplus
}
#endif
#endif
