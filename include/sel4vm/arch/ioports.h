/* SPDX-License-Identifier: MIT */
/* ioports.h - handlers of the guest's port accesses. */
#ifndef SEL4VM_ARCH_IOPORTS_H
#define SEL4VM_ARCH_IOPORTS_H

#include <sel4vm/base/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vm vm_t;
typedef struct vm_vcpu vm_vcpu_t;

typedef enum ioport_fault_result {
    IO_FAULT_HANDLED,
    IO_FAULT_UNHANDLED, /* a read gives all ones */
    IO_FAULT_ERROR      /* vm_run ends */
} ioport_fault_result_t;

typedef ioport_fault_result_t (*vm_ioport_in_fn)(vm_vcpu_t *vcpu, void *cookie,
                                                 unsigned int port_no, unsigned int size,
                                                 unsigned int *result);
typedef ioport_fault_result_t (*vm_ioport_out_fn)(vm_vcpu_t *vcpu, void *cookie,
                                                  unsigned int port_no, unsigned int size,
                                                  unsigned int value);
/* For ports without a handler. *value: what is written; or to be filled in. */
typedef ioport_fault_result_t (*unhandled_ioport_callback_fn)(vm_vcpu_t *vcpu,
                                                              unsigned int port_no, bool is_in,
                                                              unsigned int *value, size_t size,
                                                              void *cookie);

typedef struct vm_ioport_range {
    uint16_t start;
    uint16_t end; /* the last one */
} vm_ioport_range_t;

typedef struct vm_ioport_interface {
    void *cookie;
    vm_ioport_in_fn port_in; /* NULL: as UNHANDLED */
    vm_ioport_out_fn port_out;
    const char *desc;
} vm_ioport_interface_t;

typedef struct vm_ioport_entry {
    vm_ioport_range_t range;
    vm_ioport_interface_t interface;
} vm_ioport_entry_t;

typedef struct vm_io_list {
    int num_ioports;
    vm_ioport_entry_t *ioports; /* by start */
} vm_io_port_list_t;

/* -1 if the range overlaps one that has a handler, or is none. */
int vm_io_port_add_handler(vm_t *vm, vm_ioport_range_t ioport_range,
                           vm_ioport_interface_t ioport_interface);
int vm_register_unhandled_ioport_callback(vm_t *vm,
                                          unhandled_ioport_callback_fn ioport_callback,
                                          void *cookie);
/* There is no host port to pass through: -1. */
int vm_enable_passthrough_ioport(vm_vcpu_t *vcpu, uint16_t port_start, uint16_t port_end);

#ifdef __cplusplus
}
#endif
#endif
