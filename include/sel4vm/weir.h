/* SPDX-License-Identifier: MIT */
/* weir.h - what libsel4vm does not have: the machine below, freeing it, waking it. */
#ifndef SEL4VM_WEIR_H
#define SEL4VM_WEIR_H

#include <sel4vm/guest_vm.h>
#include <weir/weir.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The machine under a VM and its vCPU, for everything else of libweir. */
weir *weir_sel4vm_machine(vm_t *vm);
weir_vcpu *weir_sel4vm_vcpu(vm_vcpu_t *vcpu);
/* vm_init with a configuration of one's own: accel, cpu, ram_bytes (how far up RAM
 * can be registered), log. */
int weir_sel4vm_init(vm_t *vm, const struct weir_config *config, const char *name);
/* Frees what vm_init and the other calls took. */
void weir_sel4vm_destroy(vm_t *vm);
/* A notification as from the host's endpoint: vm_run calls the notification callback. From any
 * thread. At most 64 wait; -1 if there are more. */
int weir_sel4vm_notify(vm_t *vm, seL4_Word badge);
/* An NMI arrives, as at the processor's pin: exit 0 if NMI exiting is on, else the guest's. Any
 * thread. */
void weir_sel4vm_nmi(vm_t *vm);
/* Makes vm_run return 0 soon. Any thread, and handlers. */
void weir_sel4vm_stop(vm_t *vm);

#ifdef __cplusplus
}
#endif
#endif
