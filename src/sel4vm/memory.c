/* SPDX-License-Identifier: MIT */
/*
 * memory.c - reservations of guest-physical memory. A mapped one is RAM; what is not RAM is a
 * hole, and an access to it an exit.
 */
#include "sel4vm/internal.h"

#include <stdlib.h>

int vm_memory_init(vm_t *vm)
{
    if (!vm)
        return -1;
    if (!vm->mem.reservation_cookie)
        vm->mem.reservation_cookie = calloc(1, sizeof(*vm->mem.reservation_cookie));
    return vm->mem.reservation_cookie ? 0 : -1;
}

void memory_free(vm_t *vm)
{
    vm_memory_reservation_cookie_t *c = vm->mem.reservation_cookie;
    if (c) {
        for (struct vm_memory_reservation *r = c->first, *next; r; r = next) {
            next = r->next;
            free(r);
        }
        free(c->anon);
        free(c);
    }
    free(vm->mem.ram_regions);
}

struct vm_memory_reservation *memory_find(vm_t *vm, uintptr_t addr)
{
    struct vm_memory_reservation *r = vm->mem.reservation_cookie->first;
    while (r && !(addr >= r->addr && addr - r->addr < r->size))
        r = r->next;
    return r;
}

/* The first reservation that has a byte of the range. */
static struct vm_memory_reservation *overlap(vm_t *vm, uintptr_t addr, size_t size)
{
    struct vm_memory_reservation *r = vm->mem.reservation_cookie->first;
    while (r && (r->addr + (r->size - 1) < addr || addr + (size - 1) < r->addr))
        r = r->next;
    return r;
}

vm_memory_reservation_t *vm_reserve_memory_at(vm_t *vm, uintptr_t addr, size_t size,
                                              memory_fault_callback_fn fault_callback,
                                              void *cookie)
{
    if (!vm || !vm->mem.reservation_cookie || !size || addr + (size - 1) < addr ||
        !fault_callback || overlap(vm, addr, size))
        return NULL;
    struct vm_memory_reservation *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    *r = (struct vm_memory_reservation){
        .addr = addr, .size = size, .callback = fault_callback, .cookie = cookie};
    struct vm_memory_reservation **at = &vm->mem.reservation_cookie->first;
    while (*at && (*at)->addr < addr)
        at = &(*at)->next;
    r->next = *at;
    *at = r;
    return r;
}

/* ---- anonymous memory ---- */

int vm_memory_make_anon(vm_t *vm, uintptr_t addr, size_t size)
{
    if (!vm || !vm->mem.reservation_cookie || !size || addr + (size - 1) < addr ||
        overlap(vm, addr, size))
        return -1;
    vm_memory_reservation_cookie_t *c = vm->mem.reservation_cookie;
    struct anon_range *more = realloc(c->anon, (c->anon_count + 1) * sizeof(*more));
    if (!more)
        return -1;
    more[c->anon_count++] = (struct anon_range){addr, size};
    c->anon = more;
    return 0;
}

/* First place for it in the range; false: none. */
static bool place_in(vm_t *vm, const struct anon_range *range, size_t size, size_t align,
                     uintptr_t *addr)
{
    uintptr_t last = range->addr + (range->size - 1), at = range->addr;
    for (;;) {
        at = (at + (align - 1)) / align * align;
        if (at < range->addr || at > last || last - at < size - 1)
            return false;
        const struct vm_memory_reservation *r = overlap(vm, at, size);
        if (!r) {
            *addr = at;
            return true;
        }
        if (r->addr + (r->size - 1) >= last)
            return false;
        at = r->addr + r->size;
    }
}

vm_memory_reservation_t *vm_reserve_anon_memory(vm_t *vm, size_t size, size_t align,
                                                memory_fault_callback_fn fault_callback,
                                                void *cookie, uintptr_t *addr)
{
    uintptr_t at;
    if (!vm || !vm->mem.reservation_cookie || !size || !addr)
        return NULL;
    size_t bytes = (size + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    const vm_memory_reservation_cookie_t *c = vm->mem.reservation_cookie;
    for (unsigned n = 0; n < c->anon_count && bytes >= size; n++) {
        if (!place_in(vm, &c->anon[n], bytes, align > PAGE_BYTES ? align : PAGE_BYTES, &at))
            continue;
        vm_memory_reservation_t *r =
            vm_reserve_memory_at(vm, at, bytes, fault_callback, cookie);
        if (r)
            *addr = at;
        return r;
    }
    return NULL;
}

/* ---- mapping ---- */

int memory_layout(vm_t *vm)
{
    unsigned count = 0;
    struct vm_memory_reservation *first = vm->mem.reservation_cookie->first;
    for (struct vm_memory_reservation *r = first; r; r = r->next)
        count += r->is_ram;
    struct weir_ram_range *ranges = calloc(count + 1, sizeof(*ranges));
    if (!ranges)
        return -1;
    count = 0;
    for (struct vm_memory_reservation *r = first; r; r = r->next)
        if (r->is_ram)
            ranges[count++] = (struct weir_ram_range){r->addr, r->size};
    int rc = weir_ram_layout(vm->arch.machine->weir, ranges, count);
    free(ranges);
    return rc < 0 ? -1 : 0;
}

int memory_map_ram(vm_t *vm, struct vm_memory_reservation *r)
{
    if (r->is_ram)
        return -1;
    r->is_ram = true;
    if (memory_layout(vm) == 0)
        return 0;
    r->is_ram = false;
    memory_layout(vm);
    return -1;
}

int vm_map_reservation(vm_t *vm, vm_memory_reservation_t *reservation,
                       memory_map_iterator_fn map_iterator, void *cookie)
{
    if (!vm || !reservation || !map_iterator)
        return -1;
    uintptr_t end = reservation->addr + reservation->size;
    for (uintptr_t at = reservation->addr; at < end;) {
        vm_frame_t frame = map_iterator(at, cookie);
        if (frame.cptr == seL4_CapNull || frame.size_bits < seL4_PageBits ||
            frame.size_bits > 40)
            return -1;
        at += 1ul << frame.size_bits;
    }
    return memory_map_ram(vm, reservation);
}

int vm_free_reserved_memory(vm_t *vm, vm_memory_reservation_t *reservation)
{
    if (!vm || !vm->mem.reservation_cookie || !reservation)
        return -1;
    struct vm_memory_reservation **at = &vm->mem.reservation_cookie->first;
    while (*at && *at != reservation)
        at = &(*at)->next;
    if (!*at)
        return -1;
    bool was_ram = reservation->is_ram;
    *at = reservation->next;
    free(reservation);
    return was_ram ? memory_layout(vm) : 0;
}

void vm_get_reservation_memory_region(vm_memory_reservation_t *reservation, uintptr_t *addr,
                                      size_t *size)
{
    if (!reservation || !addr || !size)
        return;
    *addr = reservation->addr;
    *size = reservation->size;
}
