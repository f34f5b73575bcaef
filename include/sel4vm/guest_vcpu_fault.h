/* SPDX-License-Identifier: MIT */
/* guest_vcpu_fault.h - the access to memory that a fault callback is called for. */
#ifndef SEL4VM_GUEST_VCPU_FAULT_H
#define SEL4VM_GUEST_VCPU_FAULT_H

#include <sel4vm/guest_vm.h>

#ifdef __cplusplus
extern "C" {
#endif

seL4_Word get_vcpu_fault_address(vm_vcpu_t *vcpu); /* physical */
seL4_Word get_vcpu_fault_ip(vm_vcpu_t *vcpu);
/* What is written, in the low bytes. */
seL4_Word get_vcpu_fault_data(vm_vcpu_t *vcpu);
/* Ones for the bytes of the access, moved up by those of the address within its four. */
seL4_Word get_vcpu_fault_data_mask(vm_vcpu_t *vcpu);
size_t get_vcpu_fault_size(vm_vcpu_t *vcpu);
bool is_vcpu_read_fault(vm_vcpu_t *vcpu);
/* What is read; -1 if the access is a write. */
int set_vcpu_fault_data(vm_vcpu_t *vcpu, seL4_Word data);
/* Read: sets it; write: `data` with the bytes that are written changed. Returns what is then
 * there. */
seL4_Word emulate_vcpu_fault(vm_vcpu_t *vcpu, seL4_Word data);
/* The access is done. */
void advance_vcpu_fault(vm_vcpu_t *vcpu);
void restart_vcpu_fault(vm_vcpu_t *vcpu);

#ifdef __cplusplus
}
#endif
#endif
