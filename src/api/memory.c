/* SPDX-License-Identifier: MIT */
/* memory.c - weir/memory.h: guest memory and ports, as the vCPU would see them. */
#include "api/api.h"

#include <string.h>

int weir_mem_read(weir *vm, weir_gpa gpa, void *buffer, size_t length_bytes)
{
    if (length_bytes && gpa + (length_bytes - 1) > vm->mem.last_address)
        return err_set(&vm->err, WEIR_ERANGE, "physical address %#llx is out of range",
                       (unsigned long long)gpa);
    pthread_mutex_lock(&vm->device_lock);
    bus_read_block(&vm->mem, gpa, buffer, length_bytes);
    pthread_mutex_unlock(&vm->device_lock);
    return 0;
}

int weir_mem_write(weir *vm, weir_gpa gpa, const void *buffer, size_t length_bytes)
{
    if (length_bytes && gpa + (length_bytes - 1) > vm->mem.last_address)
        return err_set(&vm->err, WEIR_ERANGE, "physical address %#llx is out of range",
                       (unsigned long long)gpa);
    pthread_mutex_lock(&vm->device_lock);
    bus_write_block(&vm->mem, gpa, buffer, length_bytes);
    pthread_mutex_unlock(&vm->device_lock);
    return 0;
}

uint64_t weir_ram_bytes(const weir *vm)
{
    return vm->ram.bytes;
}

void *weir_ram_pointer(weir *vm, weir_gpa gpa, size_t length_bytes)
{
    struct ram *ram = &vm->ram;
    uint64_t offset = gpa, end = ram->below_4g;
    if (gpa >= 1ull << 32) {
        offset = gpa - (1ull << 32) + ram->below_4g;
        end = ram->bytes;
    }
    if (offset >= end || length_bytes > end - offset)
        return NULL;
    return ram->base + offset;
}

/* ---- parts of RAM ---- */

static bool is_ram_region(const struct weir_region *r, const struct ram *ram)
{
    return r->host >= ram->base && r->host < ram->base + ram->bytes && r->tags;
}

static int map_part(weir *vm, weir_gpa start, uint64_t bytes)
{
    uint64_t offset = (uint64_t)((uint8_t *)weir_ram_pointer(vm, start, bytes) - vm->ram.base);
    return bus_map_memory(&vm->mem, start, bytes, vm->ram.base + offset,
                          vm->ram.tags + offset / RAM_PAGE_BYTES, false, -100, "ram")
               ? 0
               : -WEIR_ENOMEM;
}

static int map_parts(weir *vm, const struct weir_ram_range *ranges, unsigned count)
{
    uint64_t above = vm->ram.bytes - vm->ram.below_4g;
    const struct weir_ram_range whole[2] = {{0, vm->ram.below_4g}, {1ull << 32, above}};
    if (!ranges) {
        ranges = whole;
        count = above ? 2 : 1;
    }
    int rc = 0;
    for (unsigned n = 0; n < count && rc == 0; n++)
        rc = map_part(vm, ranges[n].start, ranges[n].bytes);
    return rc;
}

int weir_ram_layout(weir *vm, const struct weir_ram_range *ranges, unsigned count)
{
    for (unsigned n = 0; ranges && n < count; n++)
        if ((ranges[n].start | ranges[n].bytes) % RAM_PAGE_BYTES || !ranges[n].bytes ||
            !weir_ram_pointer(vm, ranges[n].start, ranges[n].bytes))
            return err_set(&vm->err, WEIR_ERANGE, "RAM at %#llx: not there, or not whole pages",
                           (unsigned long long)ranges[n].start);
    pthread_mutex_lock(&vm->device_lock);
    for (struct weir_region *r = vm->mem.regions, *next; r; r = next) {
        next = r->next;
        if (is_ram_region(r, &vm->ram))
            bus_unmap(r);
    }
    int rc = map_parts(vm, ranges, count);
    pthread_mutex_unlock(&vm->device_lock);
    return rc < 0 ? err_set(&vm->err, WEIR_ENOMEM, "out of memory") : 0;
}

int weir_translate(weir_vcpu *cpu, weir_gva gva, weir_gpa *gpa)
{
    struct vcpu *c = vcpu_of(cpu);
    struct walk walk;
    if (!paging_walk(c, gva, &walk))
        return err_set(&c->vm->err, WEIR_EFAULT, "linear address %#llx is not mapped",
                       (unsigned long long)gva);
    *gpa = walk.gpa;
    return 0;
}

/* Calls `piece` for each page of a linear range. All pages are looked up first. */
static int for_pages(weir_vcpu *cpu, weir_gva gva, uint8_t *buffer, size_t length,
                     int (*piece)(weir *vm, weir_gpa gpa, uint8_t *buffer, size_t length))
{
    struct vcpu *c = vcpu_of(cpu);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t done = 0; done < length;) {
            uint64_t at = (gva + done) & c->linear_mask;
            size_t run = RAM_PAGE_BYTES - at % RAM_PAGE_BYTES;
            if (run > length - done)
                run = length - done;
            weir_gpa gpa;
            int rc = weir_translate(cpu, at, &gpa);
            if (rc == 0 && pass == 1)
                rc = piece(c->vm, gpa, buffer + done, run);
            if (rc < 0)
                return rc;
            done += run;
        }
    }
    return 0;
}

static int read_piece(weir *vm, weir_gpa gpa, uint8_t *buffer, size_t length)
{
    return weir_mem_read(vm, gpa, buffer, length);
}
static int write_piece(weir *vm, weir_gpa gpa, uint8_t *buffer, size_t length)
{
    return weir_mem_write(vm, gpa, buffer, length);
}

int weir_virt_read(weir_vcpu *cpu, weir_gva gva, void *buffer, size_t length_bytes)
{
    return for_pages(cpu, gva, buffer, length_bytes, read_piece);
}
int weir_virt_write(weir_vcpu *cpu, weir_gva gva, const void *buffer, size_t length_bytes)
{
    return for_pages(cpu, gva, (uint8_t *)buffer, length_bytes, write_piece);
}

static int check_port(weir *vm, uint16_t port, unsigned size)
{
    if ((size == 1 || size == 2 || size == 4) && port <= 0x10000u - size)
        return 0;
    return err_set(&vm->err, WEIR_EINVAL, "port %#x: no access of %u bytes there", port, size);
}

int weir_port_read(weir *vm, uint16_t port, unsigned size_bytes, uint32_t *value)
{
    int rc = check_port(vm, port, size_bytes);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&vm->device_lock);
    *value = (uint32_t)bus_read(&vm->io, port, size_bytes);
    pthread_mutex_unlock(&vm->device_lock);
    return 0;
}

int weir_port_write(weir *vm, uint16_t port, unsigned size_bytes, uint32_t value)
{
    int rc = check_port(vm, port, size_bytes);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&vm->device_lock);
    bus_write(&vm->io, port, value, size_bytes);
    pthread_mutex_unlock(&vm->device_lock);
    return 0;
}
