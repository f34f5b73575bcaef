/* SPDX-License-Identifier: MIT */
/*
 * bus.h - one type of bus for ports and for physical memory.
 *
 * A bus is a list of regions with priorities, flattened into a sorted array of spans; a lookup is
 * a binary search with a one-entry cache per caller. Regions are RAM-like (host memory, perhaps
 * read-only) or I/O (callbacks). Where nothing is mapped is a hole.
 *
 * Lookups and accesses may run in any thread with the device lock held; RAM-like spans may also be
 * read and written without it. `changed` is called after every change of the layout (device lock
 * held): the CPU drops its TLBs there. `generation` counts the changes.
 */
#ifndef MEM_BUS_H
#define MEM_BUS_H

#include <weir/device.h>
#include "mem/ram.h"

struct weir_region {
    struct bus *bus;
    uint64_t start, length;
    int priority;
    bool enabled, read_only;
    uint32_t order;                /* later ones win among equal priorities */
    const struct weir_io_ops *ops; /* I/O, or writes of nothing: NULL for host memory */
    void *ctx;
    uint8_t *host; /* RAM-like: address of `start` */
    uint8_t *tags; /* RAM-like: one byte per page (see ram.h), or NULL */
    char name[32];
    struct weir_region *next;
};

struct bus_span {
    uint64_t first, last; /* inclusive */
    struct weir_region *region;
};

struct bus {
    const char *name;
    uint64_t last_address;
    struct weir_region *regions;
    struct bus_span *spans;
    uint32_t span_count, generation, next_order;
    bool stop_unclaimed;
    struct bus_span cache;
    void (*changed)(void *ctx);
    void *changed_ctx;
    /* A write by a device or the embedder went to a page tagged RAM_CODE. */
    void (*code_written)(void *ctx, uint64_t address, uint64_t length);
    /* An access that no region claims: return true if *value was supplied / the write taken. */
    bool (*unclaimed)(void *ctx, uint64_t address, uint64_t *value, unsigned size, bool write);
    void *unclaimed_ctx;
};

int bus_init(struct bus *bus, const char *name, uint64_t last_address);
void bus_fini(struct bus *bus); /* frees the regions too */

struct weir_region *bus_map_io(struct bus *bus, uint64_t start, uint64_t length,
                               const struct weir_io_ops *ops, void *ctx, int priority,
                               const char *name);
struct weir_region *bus_map_memory(struct bus *bus, uint64_t start, uint64_t length, void *host,
                                   uint8_t *tags, bool read_only, int priority,
                                   const char *name);
void bus_unmap(struct weir_region *region);
/* Several changes in one: the flat view is rebuilt once at the end. Nest freely. */
void bus_region_set(struct weir_region *region, uint64_t start, bool enabled, bool read_only);

/* The span that contains the address; a hole is a span with region NULL. */
struct bus_span bus_lookup(struct bus *bus, uint64_t address);

/* One access of 1, 2, 4 or 8 bytes by the CPU or a person; device lock held. Holes read as ones. */
uint64_t bus_read(struct bus *bus, uint64_t address, unsigned size);
void bus_write(struct bus *bus, uint64_t address, uint64_t value, unsigned size);

/* Any length; I/O regions are accessed in the widest pieces they take. */
void bus_read_block(struct bus *bus, uint64_t address, void *buffer, uint64_t length);
void bus_write_block(struct bus *bus, uint64_t address, const void *buffer, uint64_t length);
/* Host address of [address, address+length) if it is RAM-like and contiguous, else NULL. */
void *bus_host_pointer(struct bus *bus, uint64_t address, uint64_t length);
/* The same for DMA that the caller makes itself: NULL also where `write` has no effect. What was
 * written must be told: bus_dma_written. */
void *bus_dma_pointer(struct bus *bus, uint64_t address, uint64_t length, bool write);
void bus_dma_written(struct bus *bus, uint64_t address, uint64_t length);
/* DMA: only RAM-like memory; -WEIR_EFAULT (nothing copied) otherwise. */
int bus_dma_read(struct bus *bus, uint64_t address, void *buffer, uint64_t length);
int bus_dma_write(struct bus *bus, uint64_t address, const void *buffer, uint64_t length);

#endif
