/* SPDX-License-Identifier: MIT */
/*
 * guest_memory.h - the guest's physical address space: what is reserved for whom, and who is called
 * when the guest accesses what is not RAM.
 */
#ifndef SEL4VM_GUEST_MEMORY_H
#define SEL4VM_GUEST_MEMORY_H

#include <sel4vm/base/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vm vm_t;
typedef struct vm_vcpu vm_vcpu_t;

/* Memory that a reservation is backed with: 1 << size_bits bytes of the program's own at vaddr
 * (cptr 0: none). */
typedef struct vm_frame {
    seL4_CPtr cptr;
    seL4_CapRights_t rights;
    uintptr_t vaddr;
    size_t size_bits;
} vm_frame_t;

typedef enum memory_fault_result {
    FAULT_HANDLED,   /* done, advance_vcpu_fault was called; if not, the access is made again */
    FAULT_UNHANDLED, /* somebody else's */
    FAULT_RESTART,   /* the access is made again */
    FAULT_IGNORE,    /* the instruction is skipped */
    FAULT_ERROR      /* vm_run ends */
} memory_fault_result_t;

typedef memory_fault_result_t (*memory_fault_callback_fn)(vm_t *vm, vm_vcpu_t *vcpu,
                                                          uintptr_t fault_addr,
                                                          size_t fault_length, void *cookie);
typedef vm_frame_t (*memory_map_iterator_fn)(uintptr_t addr, void *cookie);

typedef struct vm_memory_reservation vm_memory_reservation_t;
typedef struct vm_memory_reservation_cookie vm_memory_reservation_cookie_t;

/* NULL if the range overlaps another one, or is none. */
vm_memory_reservation_t *vm_reserve_memory_at(vm_t *vm, uintptr_t addr, size_t size,
                                              memory_fault_callback_fn fault_callback,
                                              void *cookie);
/* Somewhere in what vm_memory_make_anon gave for this. */
vm_memory_reservation_t *vm_reserve_anon_memory(vm_t *vm, size_t size, size_t align,
                                                memory_fault_callback_fn fault_callback,
                                                void *cookie, uintptr_t *addr);
int vm_memory_make_anon(vm_t *vm, uintptr_t addr, size_t size);
int vm_free_reserved_memory(vm_t *vm, vm_memory_reservation_t *reservation);
/* Makes the reservation RAM, with the contents of the frames; see docs for what a frame is. */
int vm_map_reservation(vm_t *vm, vm_memory_reservation_t *reservation,
                       memory_map_iterator_fn map_iterator, void *cookie);
void vm_get_reservation_memory_region(vm_memory_reservation_t *reservation, uintptr_t *addr,
                                      size_t *size);
/* Called by vm_init. */
int vm_memory_init(vm_t *vm);

#ifdef __cplusplus
}
#endif
#endif
