/* SPDX-License-Identifier: MIT */
/*
 * guest_vm.h - a VM, its vCPU, and running it.
 *
 * Everything is called by one thread, but for weir_sel4vm_notify (weir.h). Handlers run inside
 * vm_run; the guest stands still meanwhile.
 */
#ifndef SEL4VM_GUEST_VM_H
#define SEL4VM_GUEST_VM_H

#include <sel4vm/arch/guest_vm_arch.h>
#include <sel4vm/base/types.h>
#include <sel4vm/guest_memory.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vm_mem vm_mem_t;
typedef struct vm_ram_region vm_ram_region_t;
typedef struct vm_run vm_run_t;
typedef struct vm_arch vm_arch_t;

/* For an access to memory that nobody reserved. */
typedef memory_fault_result_t (*unhandled_mem_fault_callback_fn)(vm_t *vm, vm_vcpu_t *vcpu,
                                                                 uintptr_t paddr, size_t len,
                                                                 void *cookie);
/* 0, or -1: vm_run ends. */
typedef int (*notification_callback_fn)(vm_t *vm, seL4_Word badge, seL4_MessageInfo_t tag,
                                        void *cookie);

struct vm_ram_region {
    uintptr_t start;
    size_t size;
    int allocated;
};

struct vm_mem {
    vspace_t vm_vspace;
    vka_object_t vm_vspace_root;
    vspace_t vmm_vspace;
    int num_ram_regions;
    struct vm_ram_region *ram_regions; /* by address */
    vm_memory_reservation_cookie_t *reservation_cookie;
    unhandled_mem_fault_callback_fn unhandled_mem_fault_handler;
    void *unhandled_mem_fault_cookie;
    int clean_cache;
    int map_one_to_one;
};

struct vm_tcb {
    vka_object_t tcb;
    vka_object_t sc;
    vka_object_t sched_ctrl;
    int priority;
};

struct vm_vcpu {
    struct vm *vm;
    vka_object_t vcpu;
    struct vm_tcb tcb;
    unsigned int vcpu_id;
    int target_cpu; /* -1: not assigned */
    bool vcpu_online;
    struct vm_vcpu_arch vcpu_arch;
};

struct vm_run {
    int exit_reason; /* guest_vm_exits.h */
    notification_callback_fn notification_callback;
    void *notification_callback_cookie;
};

struct vm_cspace {
    vka_object_t cspace_obj;
    seL4_Word cspace_root_data;
};

struct vm {
    struct vm_arch arch;
    unsigned int num_vcpus;
    struct vm_vcpu *vcpus[CONFIG_MAX_NUM_NODES];
    struct vm_mem mem;
    struct vm_run run;
    struct vm_cspace cspace;
    seL4_CPtr host_endpoint;
    vka_t *vka;
    ps_io_ops_t *io_ops;
    simple_t *simple;
    seL4_Word entry;
    char *vm_name;
    unsigned int vm_id;
    bool vm_initialised;
};

/* Runs the guest and serves its exits until one cannot be served: -1 (run.exit_reason is
 * VM_GUEST_ERROR_EXIT); or until the guest waits for something that cannot happen: 0. */
int vm_run(vm_t *vm);
/* The vCPU takes part in vm_run from now on. */
int vcpu_start(vm_vcpu_t *vcpu);
int vm_register_unhandled_mem_fault_callback(vm_t *vm,
                                             unhandled_mem_fault_callback_fn fault_handler,
                                             void *cookie);
int vm_register_notification_callback(vm_t *vm, notification_callback_fn notification_callback,
                                      void *cookie);

#ifdef __cplusplus
}
#endif
#endif
