/* SPDX-License-Identifier: MIT */
/* guest_vm_arch.h - the x86 part of a VM and of a vCPU. */
#ifndef SEL4VM_ARCH_GUEST_VM_ARCH_H
#define SEL4VM_ARCH_GUEST_VM_ARCH_H

#include <sel4vm/arch/ioports.h>
#include <sel4vm/arch/vmexit_reasons.h>
#include <sel4vm/base/types.h>

#define IO_APIC_DEFAULT_PHYS_BASE 0xfec00000
#define APIC_DEFAULT_PHYS_BASE    0xfee00000

typedef struct vm_lapic vm_lapic_t;
typedef struct i8259 i8259_t;
typedef struct guest_state guest_state_t;
struct sel4vm_machine;

/* Negative: vm_run ends with an error; 0: it ends; positive: the guest goes on. */
typedef int (*vmexit_handler_ptr)(vm_vcpu_t *vcpu);

typedef int (*vmcall_handler)(vm_vcpu_t *vcpu);
typedef struct vmcall_handler_entry {
    int token;
    vmcall_handler func;
} vmcall_handler_t;

struct vm_arch {
    /* By exit reason; vm_init fills in the library's own, a program may set others. */
    vmexit_handler_ptr vmexit_handlers[VM_EXIT_REASON_NUM];
    vmcall_handler_t *vmcall_handlers;
    unsigned int vmcall_num_handlers;
    uintptr_t guest_pd; /* not used: an unpaged guest needs no hidden page directory */
    unhandled_ioport_callback_fn unhandled_ioport_callback;
    void *unhandled_ioport_callback_cookie;
    vm_io_port_list_t ioport_list;
    i8259_t *i8259_gs;              /* private */
    struct sel4vm_machine *machine; /* private */
};

struct vm_vcpu_arch {
    guest_state_t *guest_state; /* private */
    vm_lapic_t *lapic;          /* NULL: there is none */
};

#endif
