/* SPDX-License-Identifier: MIT */
/* vmcall.h - handlers of the guest's VMCALL instruction. */
#ifndef SEL4VM_ARCH_VMCALL_H
#define SEL4VM_ARCH_VMCALL_H

#include <sel4vm/guest_vm.h>

#ifdef __cplusplus
extern "C" {
#endif

/* `func` is called for a VMCALL with this token in EAX; if it returns 0 the guest goes on behind
 * the instruction, else vm_run ends. A VMCALL with another token does nothing. -1 if there is a
 * handler for the token. */
int vm_reg_new_vmcall_handler(vm_t *vm, vmcall_handler func, int token);

#ifdef __cplusplus
}
#endif
#endif
