/* SPDX-License-Identifier: MIT */
/* guest_ram.h - the guest's RAM: registering it, allocating from it, copying. */
#ifndef SEL4VM_GUEST_RAM_H
#define SEL4VM_GUEST_RAM_H

#include <sel4vm/guest_vm.h>

#ifdef __cplusplus
extern "C" {
#endif

/* `size` bytes at guest_addr are at vmm_vaddr; offset: from the first address. 0, or -1 to end. */
typedef int (*ram_touch_callback_fn)(vm_t *vm, uintptr_t guest_addr, void *vmm_vaddr,
                                     size_t size, size_t offset, void *cookie);

/* Copy from and to the buffer that is the cookie. */
int vm_guest_ram_read_callback(vm_t *vm, uintptr_t guest_addr, void *vaddr, size_t size,
                               size_t offset, void *buf);
int vm_guest_ram_write_callback(vm_t *vm, uintptr_t guest_addr, void *vaddr, size_t size,
                                size_t offset, void *buf);
/* Page by page; -1 if part of the range is no RAM (nothing is called then). Code that the callback
 * writes over is noticed. */
int vm_ram_touch(vm_t *vm, uintptr_t addr, size_t size, ram_touch_callback_fn touch_callback,
                 void *cookie);
int vm_ram_find_largest_free_region(vm_t *vm, uintptr_t *addr, size_t *size);
/* Its address, 0 if there is no room. */
uintptr_t vm_ram_register(vm_t *vm, size_t bytes);
int vm_ram_register_at(vm_t *vm, uintptr_t start, size_t bytes, bool untyped);
int vm_ram_register_at_custom_iterator(vm_t *vm, uintptr_t start, size_t bytes,
                                       memory_map_iterator_fn map_iterator, void *cookie);
void vm_ram_mark_allocated(vm_t *vm, uintptr_t start, size_t bytes);
/* 0 if there is no room. */
uintptr_t vm_ram_allocate(vm_t *vm, size_t bytes);
void vm_ram_free(vm_t *vm, uintptr_t start, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
