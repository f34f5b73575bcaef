/* SPDX-License-Identifier: MIT */
/*
 * memory.h - guest memory and ports as the embedder sees them.
 *
 * Physical accesses see what the vCPU would see there: RAM, ROM and device regions. None of these
 * calls touches A/D bits or raises guest faults.
 */
#ifndef WEIR_MEMORY_H
#define WEIR_MEMORY_H

#include "weir.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Copies between a host buffer and guest-physical memory; ranges may span regions. Holes read as
 * 0xff and swallow writes. Writes into translated code are noticed. */
WEIR_API int weir_mem_read(weir *vm, weir_gpa gpa, void *buffer, size_t length_bytes);
WEIR_API int weir_mem_write(weir *vm, weir_gpa gpa, const void *buffer, size_t length_bytes);
/* Bytes of RAM that the VM has, and a direct pointer to [gpa, gpa+length) if that is RAM and
 * contiguous on the host (else NULL). Writing through it is not noticed by translated code. */
WEIR_API uint64_t weir_ram_bytes(const weir *vm);
WEIR_API void *weir_ram_pointer(weir *vm, weir_gpa gpa, size_t length_bytes);

/* Which parts of RAM the machine has: `count` ranges, page-aligned; the rest of it becomes a hole,
 * as if nothing were plugged in there (-WEIR_ERANGE if a range is not all RAM). NULL: all of it.
 * Contents stay; weir_ram_pointer works for hidden parts, too. VM stopped, or its own thread. */
struct weir_ram_range {
    weir_gpa start;
    uint64_t bytes;
};
WEIR_API int weir_ram_layout(weir *vm, const struct weir_ram_range *ranges, unsigned count);

/* Linear to physical by the vCPU's current paging mode, ignoring permissions.
 * -WEIR_EFAULT when it is not mapped. */
WEIR_API int weir_translate(weir_vcpu *cpu, weir_gva gva, weir_gpa *gpa);
/* Like weir_mem_*, by linear address. -WEIR_EFAULT if a page is not mapped (nothing copied). */
WEIR_API int weir_virt_read(weir_vcpu *cpu, weir_gva gva, void *buffer, size_t length_bytes);
WEIR_API int weir_virt_write(weir_vcpu *cpu, weir_gva gva, const void *buffer,
                             size_t length_bytes);

/* Port access as if the vCPU executed IN/OUT of 1, 2 or 4 bytes. */
WEIR_API int weir_port_read(weir *vm, uint16_t port, unsigned size_bytes, uint32_t *value);
WEIR_API int weir_port_write(weir *vm, uint16_t port, unsigned size_bytes, uint32_t value);

#ifdef __cplusplus
}
#endif
#endif
