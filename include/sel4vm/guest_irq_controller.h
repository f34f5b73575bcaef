/* SPDX-License-Identifier: MIT */
/* guest_irq_controller.h - interrupts: a pair of 8259s at ports 20h, A0h, 4D0h. */
#ifndef SEL4VM_GUEST_IRQ_CONTROLLER_H
#define SEL4VM_GUEST_IRQ_CONTROLLER_H

#include <sel4vm/guest_vm.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Called at the guest's end of interrupt. */
typedef void (*irq_ack_fn_t)(vm_vcpu_t *vcpu, int irq, void *cookie);

/* An edge; and a level, 0 or 1. */
int vm_inject_irq(vm_vcpu_t *vcpu, int irq);
int vm_set_irq_level(vm_vcpu_t *vcpu, int irq, int irq_level);
int vm_register_irq(vm_vcpu_t *vcpu, int irq, irq_ack_fn_t ack_fn, void *cookie);
int vm_create_default_irq_controller(vm_t *vm);

#ifdef __cplusplus
}
#endif
#endif
