/* SPDX-License-Identifier: MIT */
/*
 * ram.c - regions of RAM: a list by address, of which neighbours that are both free or both
 * allocated are one.
 */
#include "sel4vm/internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- the list ---- */

static bool insert(vm_t *vm, int at, struct vm_ram_region region)
{
    struct vm_mem *m = &vm->mem;
    struct vm_ram_region *more =
        realloc(m->ram_regions, (size_t)(m->num_ram_regions + 1) * sizeof(*more));
    if (!more)
        return false;
    m->ram_regions = more;
    memmove(&more[at + 1], &more[at], (size_t)(m->num_ram_regions - at) * sizeof(*more));
    more[at] = region;
    m->num_ram_regions++;
    return true;
}

static void merge(vm_t *vm)
{
    struct vm_mem *m = &vm->mem;
    int out = 0;
    for (int n = 1; n < m->num_ram_regions; n++) {
        struct vm_ram_region *to = &m->ram_regions[out], *from = &m->ram_regions[n];
        if (to->start + to->size == from->start && to->allocated == from->allocated)
            to->size += from->size;
        else
            m->ram_regions[++out] = *from;
    }
    if (m->num_ram_regions)
        m->num_ram_regions = out + 1;
}

/* Makes `at` the start of a region, if it is inside of one. */
static bool split(vm_t *vm, uintptr_t at)
{
    for (int n = 0; n < vm->mem.num_ram_regions; n++) {
        struct vm_ram_region *r = &vm->mem.ram_regions[n];
        if (at <= r->start || at - r->start >= r->size)
            continue;
        struct vm_ram_region rest = {at, r->size - (at - r->start), r->allocated};
        r->size = at - r->start;
        return insert(vm, n + 1, rest);
    }
    return true;
}

static void mark(vm_t *vm, uintptr_t start, size_t bytes, int allocated)
{
    if (!vm || !bytes || start + (bytes - 1) < start || !split(vm, start) ||
        !split(vm, start + bytes))
        return;
    for (int n = 0; n < vm->mem.num_ram_regions; n++) {
        struct vm_ram_region *r = &vm->mem.ram_regions[n];
        if (r->start >= start && r->start - start < bytes)
            r->allocated = allocated;
    }
    merge(vm);
}

/* ---- registration ---- */

static int add(vm_t *vm, vm_memory_reservation_t *reservation)
{
    struct vm_ram_region region = {reservation->addr, reservation->size, 0};
    int at = 0;
    while (at < vm->mem.num_ram_regions && vm->mem.ram_regions[at].start < region.start)
        at++;
    if (memory_map_ram(vm, reservation) == 0) {
        if (insert(vm, at, region)) {
            merge(vm);
            return 0;
        }
    }
    vm_free_reserved_memory(vm, reservation);
    return -1;
}

uintptr_t vm_ram_register(vm_t *vm, size_t bytes)
{
    uintptr_t addr;
    vm_memory_reservation_t *r = vm_reserve_anon_memory(
        vm, bytes, PAGE_BYTES, default_error_fault_callback, NULL, &addr);
    return r && add(vm, r) == 0 ? addr : 0;
}

int vm_ram_register_at(vm_t *vm, uintptr_t start, size_t bytes, bool untyped)
{
    (void)untyped;
    vm_memory_reservation_t *r =
        vm_reserve_memory_at(vm, start, bytes, default_error_fault_callback, NULL);
    return r ? add(vm, r) : -1;
}

int vm_ram_register_at_custom_iterator(vm_t *vm, uintptr_t start, size_t bytes,
                                       memory_map_iterator_fn map_iterator, void *cookie)
{
    if (!map_iterator)
        return -1;
    for (uintptr_t at = start; at - start < bytes;) {
        vm_frame_t frame = map_iterator(at, cookie);
        if (frame.cptr == seL4_CapNull || frame.size_bits < seL4_PageBits ||
            frame.size_bits > 40)
            return -1;
        at += 1ul << frame.size_bits;
    }
    return vm_ram_register_at(vm, start, bytes, false);
}

/* ---- allocation ---- */

int vm_ram_find_largest_free_region(vm_t *vm, uintptr_t *addr, size_t *size)
{
    const struct vm_ram_region *best = NULL;
    if (!vm || !addr || !size)
        return -1;
    for (int n = 0; n < vm->mem.num_ram_regions; n++) {
        const struct vm_ram_region *r = &vm->mem.ram_regions[n];
        if (!r->allocated && (!best || r->size > best->size))
            best = r;
    }
    if (!best)
        return -1;
    *addr = best->start;
    *size = best->size;
    return 0;
}

void vm_ram_mark_allocated(vm_t *vm, uintptr_t start, size_t bytes)
{
    mark(vm, start, bytes, 1);
}

void vm_ram_free(vm_t *vm, uintptr_t start, size_t bytes)
{
    mark(vm, start, bytes, 0);
}

uintptr_t vm_ram_allocate(vm_t *vm, size_t bytes)
{
    if (!vm || !bytes)
        return 0;
    for (int n = 0; n < vm->mem.num_ram_regions; n++) {
        const struct vm_ram_region *r = &vm->mem.ram_regions[n];
        if (r->allocated || r->size < bytes)
            continue;
        uintptr_t start = r->start;
        mark(vm, start, bytes, 1);
        return start;
    }
    return 0;
}

/* ---- access ---- */

static bool is_ram(vm_t *vm, uintptr_t addr, size_t size)
{
    for (uintptr_t at = addr; at - addr < size;) {
        const struct vm_memory_reservation *r = memory_find(vm, at);
        if (!r || !r->is_ram)
            return false;
        at = r->addr + r->size;
    }
    return true;
}

/* What the callback wrote is written once more the way that translated code notices. */
static int touch_page(vm_t *vm, uintptr_t addr, size_t size, size_t offset,
                      ram_touch_callback_fn callback, void *cookie)
{
    weir *w = vm->arch.machine->weir;
    uint8_t copy[PAGE_BYTES];
    uint8_t *at = weir_ram_pointer(w, addr, size);
    if (!at)
        return -1;
    int rc = callback(vm, addr, at, size, offset, cookie);
    memcpy(copy, at, size);
    weir_mem_write(w, addr, copy, size);
    return rc;
}

int vm_ram_touch(vm_t *vm, uintptr_t addr, size_t size, ram_touch_callback_fn touch_callback,
                 void *cookie)
{
    if (!vm || !touch_callback || (size && addr + (size - 1) < addr) || !is_ram(vm, addr, size))
        return -1;
    for (size_t done = 0; done < size;) {
        size_t room = PAGE_BYTES - (addr + done) % PAGE_BYTES;
        size_t part = room < size - done ? room : size - done;
        if (touch_page(vm, addr + done, part, done, touch_callback, cookie))
            return -1;
        done += part;
    }
    return 0;
}

int vm_guest_ram_read_callback(vm_t *vm, uintptr_t guest_addr, void *vaddr, size_t size,
                               size_t offset, void *buf)
{
    (void)vm, (void)guest_addr;
    memcpy((char *)buf + offset, vaddr, size);
    return 0;
}

int vm_guest_ram_write_callback(vm_t *vm, uintptr_t guest_addr, void *vaddr, size_t size,
                                size_t offset, void *buf)
{
    (void)vm, (void)guest_addr;
    memcpy(vaddr, (const char *)buf + offset, size);
    return 0;
}
