/* SPDX-License-Identifier: MIT */
/*
 * bus.c - see bus.h. Layout changes rebuild the whole flat view: they are rare (BAR moves, PAM
 * and A20 switches), the number of regions is small, and the result cannot be subtly stale.
 */
#include "mem/bus.h"
#include "base/bits.h"

#include <stdlib.h>

int bus_init(struct bus *bus, const char *name, uint64_t last_address)
{
    *bus = (struct bus){.name = name, .last_address = last_address};
    bus->spans = calloc(1, sizeof(*bus->spans));
    if (!bus->spans)
        return -WEIR_ENOMEM;
    bus->spans[0] = (struct bus_span){0, last_address, NULL};
    bus->span_count = 1;
    bus->cache = bus->spans[0];
    return 0;
}

void bus_fini(struct bus *bus)
{
    while (bus->regions) {
        struct weir_region *r = bus->regions;
        bus->regions = r->next;
        free(r);
    }
    free(bus->spans);
    bus->spans = NULL;
}

/* ---- flat view ---- */

static uint64_t region_last(const struct weir_region *r)
{
    return r->start + (r->length - 1);
}

static bool wins(const struct weir_region *a, const struct weir_region *b)
{
    if (!b)
        return true;
    return a->priority != b->priority ? a->priority > b->priority : a->order > b->order;
}

static struct weir_region *top_at(struct bus *bus, uint64_t address)
{
    struct weir_region *best = NULL;
    for (struct weir_region *r = bus->regions; r; r = r->next)
        if (r->enabled && address >= r->start && address <= region_last(r) && wins(r, best))
            best = r;
    return best;
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Every region's first address and the address behind it start a span; then equal neighbours
 * are merged. */
static int rebuild(struct bus *bus)
{
    size_t count = 1;
    for (struct weir_region *r = bus->regions; r; r = r->next)
        count += 2;
    uint64_t *edges = malloc(count * sizeof(*edges));
    struct bus_span *spans = malloc(count * sizeof(*spans));
    if (!edges || !spans) {
        free(edges);
        free(spans);
        return -WEIR_ENOMEM;
    }
    size_t n = 0;
    edges[n++] = 0;
    for (struct weir_region *r = bus->regions; r; r = r->next) {
        if (!r->enabled)
            continue;
        edges[n++] = r->start;
        if (region_last(r) < bus->last_address)
            edges[n++] = region_last(r) + 1;
    }
    qsort(edges, n, sizeof(*edges), compare_u64);
    uint32_t out = 0;
    for (size_t k = 0; k < n; k++) {
        if (k && edges[k] == edges[k - 1])
            continue;
        struct weir_region *r = top_at(bus, edges[k]);
        if (out && spans[out - 1].region == r)
            continue;
        if (out)
            spans[out - 1].last = edges[k] - 1;
        spans[out++] = (struct bus_span){edges[k], bus->last_address, r};
    }
    free(edges);
    free(bus->spans);
    bus->spans = spans;
    bus->span_count = out;
    bus->cache = spans[0];
    bus->generation++;
    if (bus->changed)
        bus->changed(bus->changed_ctx);
    return 0;
}

static struct weir_region *add(struct bus *bus, uint64_t start, uint64_t length, int priority,
                               const char *name)
{
    if (length == 0 || start > bus->last_address || length - 1 > bus->last_address - start)
        return NULL;
    struct weir_region *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->bus = bus;
    r->start = start;
    r->length = length;
    r->priority = priority;
    r->enabled = true;
    r->order = bus->next_order++;
    strncpy(r->name, name ? name : "", sizeof(r->name) - 1);
    r->next = bus->regions;
    bus->regions = r;
    return r;
}

struct weir_region *bus_map_io(struct bus *bus, uint64_t start, uint64_t length,
                               const struct weir_io_ops *ops, void *ctx, int priority,
                               const char *name)
{
    struct weir_region *r = add(bus, start, length, priority, name);
    if (!r)
        return NULL;
    r->ops = ops;
    r->ctx = ctx;
    if (rebuild(bus) == 0)
        return r;
    bus_unmap(r);
    return NULL;
}

struct weir_region *bus_map_memory(struct bus *bus, uint64_t start, uint64_t length, void *host,
                                   uint8_t *tags, bool read_only, int priority,
                                   const char *name)
{
    if (start % RAM_PAGE_BYTES || length % RAM_PAGE_BYTES)
        return NULL;
    struct weir_region *r = add(bus, start, length, priority, name);
    if (!r)
        return NULL;
    r->host = host;
    r->tags = tags;
    r->read_only = read_only;
    if (rebuild(bus) == 0)
        return r;
    bus_unmap(r);
    return NULL;
}

void bus_unmap(struct weir_region *region)
{
    struct bus *bus = region->bus;
    for (struct weir_region **p = &bus->regions; *p; p = &(*p)->next) {
        if (*p == region) {
            *p = region->next;
            break;
        }
    }
    /* Without memory for a new view the old one must not keep a dangling pointer. */
    for (uint32_t k = 0; k < bus->span_count; k++)
        if (bus->spans[k].region == region)
            bus->spans[k].region = NULL;
    bus->cache = bus->spans[0];
    free(region);
    rebuild(bus);
}

void bus_region_set(struct weir_region *region, uint64_t start, bool enabled, bool read_only)
{
    struct bus *bus = region->bus;
    if (region->start == start && region->enabled == enabled && region->read_only == read_only)
        return;
    if (start > bus->last_address || region->length - 1 > bus->last_address - start)
        enabled = false; /* a BAR programmed out of the bus decodes nothing */
    else
        region->start = start;
    region->enabled = enabled;
    region->read_only = read_only;
    rebuild(bus);
}

struct bus_span bus_lookup(struct bus *bus, uint64_t address)
{
    if (address > bus->last_address)
        return (struct bus_span){bus->last_address + 1, UINT64_MAX, NULL};
    uint32_t low = 0, high = bus->span_count - 1;
    while (low < high) {
        uint32_t mid = (low + high + 1) / 2;
        if (bus->spans[mid].first <= address)
            low = mid;
        else
            high = mid - 1;
    }
    return bus->spans[low];
}

static struct bus_span lookup_cached(struct bus *bus, uint64_t address)
{
    if (address < bus->cache.first || address > bus->cache.last)
        bus->cache = bus_lookup(bus, address);
    return bus->cache;
}

/* ---- accesses ---- */

static unsigned ops_min(const struct weir_io_ops *ops)
{
    return ops->min_bytes ? ops->min_bytes : 1;
}
static unsigned ops_max(const struct weir_io_ops *ops)
{
    return ops->max_bytes ? ops->max_bytes : 8;
}

/* Largest legal piece of an access of `size` bytes at `address` that stays in the span. */
static unsigned piece(const struct bus_span *span, uint64_t address, unsigned size)
{
    const struct weir_io_ops *ops = span->region ? span->region->ops : NULL;
    unsigned part = size;
    if (ops && part > ops_max(ops))
        part = ops_max(ops);
    if (ops && !ops->unaligned)
        while ((address - span->region->start) & (part - 1))
            part >>= 1;
    while (part > 1 && span->last - address < part - 1)
        part >>= 1;
    return part;
}

static uint64_t read_piece(struct bus *bus, const struct bus_span *span, uint64_t address,
                           unsigned size)
{
    struct weir_region *r = span->region;
    uint64_t value = mask_bytes(size);
    if (!r) {
        if (bus->unclaimed)
            bus->unclaimed(bus->unclaimed_ctx, address, &value, size, false);
        return value & mask_bytes(size);
    }
    uint64_t offset = address - r->start;
    if (r->host)
        return load_le(r->host + offset, size);
    if (!r->ops->read || size < ops_min(r->ops))
        return value;
    return r->ops->read(r->ctx, offset, size) & mask_bytes(size);
}

/* Of host memory: code may have been taken from there. */
static void tell_written(struct bus *bus, const struct weir_region *r, uint64_t offset,
                         uint64_t length)
{
    if (!r->tags || !bus->code_written)
        return;
    for (uint64_t page = offset / RAM_PAGE_BYTES;
         page <= (offset + length - 1) / RAM_PAGE_BYTES; page++) {
        if (__atomic_load_n(&r->tags[page], __ATOMIC_ACQUIRE) & RAM_CODE) {
            bus->code_written(bus->changed_ctx, r->start + offset, length);
            return;
        }
    }
}

static void write_memory(struct bus *bus, const struct bus_span *span, uint64_t address,
                         const void *data, uint64_t length)
{
    struct weir_region *r = span->region;
    if (r->read_only)
        return;
    uint64_t offset = address - r->start;
    memcpy(r->host + offset, data, length);
    tell_written(bus, r, offset, length);
}

static void write_piece(struct bus *bus, const struct bus_span *span, uint64_t address,
                        uint64_t value, unsigned size)
{
    struct weir_region *r = span->region;
    if (!r) {
        if (bus->unclaimed)
            bus->unclaimed(bus->unclaimed_ctx, address, &value, size, true);
        return;
    }
    if (r->host)
        write_memory(bus, span, address, &value, size);
    else if (r->ops->write && size >= ops_min(r->ops))
        r->ops->write(r->ctx, address - r->start, value & mask_bytes(size), size);
}

uint64_t bus_read(struct bus *bus, uint64_t address, unsigned size)
{
    uint64_t value = 0;
    for (unsigned done = 0; done < size;) {
        struct bus_span span = lookup_cached(bus, address + done);
        unsigned part = piece(&span, address + done, size - done);
        value |= read_piece(bus, &span, address + done, part) << (8 * done);
        done += part;
    }
    return value;
}

void bus_write(struct bus *bus, uint64_t address, uint64_t value, unsigned size)
{
    for (unsigned done = 0; done < size;) {
        struct bus_span span = lookup_cached(bus, address + done);
        unsigned part = piece(&span, address + done, size - done);
        write_piece(bus, &span, address + done, value >> (8 * done), part);
        done += part;
    }
}

/* Length of the run from `address` that lies in the span, at most `length`. */
static uint64_t run_in_span(const struct bus_span *span, uint64_t address, uint64_t length)
{
    uint64_t room = span->last - address;
    return room < length - 1 ? room + 1 : length;
}

static unsigned io_step(uint64_t address, uint64_t left)
{
    unsigned step = 8;
    while (step > left || (address & (step - 1)))
        step >>= 1;
    return step;
}

void bus_read_block(struct bus *bus, uint64_t address, void *buffer, uint64_t length)
{
    uint8_t *out = buffer;
    while (length) {
        struct bus_span span = bus_lookup(bus, address);
        uint64_t run = run_in_span(&span, address, length);
        if (span.region && span.region->host) {
            memcpy(out, span.region->host + (address - span.region->start), run);
        } else if (!span.region) {
            memset(out, 0xff, run);
        } else {
            run = io_step(address, run);
            store_le(out, bus_read(bus, address, (unsigned)run), (unsigned)run);
        }
        out += run;
        address += run;
        length -= run;
    }
}

void bus_write_block(struct bus *bus, uint64_t address, const void *buffer, uint64_t length)
{
    const uint8_t *in = buffer;
    while (length) {
        struct bus_span span = bus_lookup(bus, address);
        uint64_t run = run_in_span(&span, address, length);
        if (span.region && span.region->host) {
            write_memory(bus, &span, address, in, run);
        } else if (span.region) {
            run = io_step(address, run);
            bus_write(bus, address, load_le(in, (unsigned)run), (unsigned)run);
        }
        in += run;
        address += run;
        length -= run;
    }
}

void *bus_host_pointer(struct bus *bus, uint64_t address, uint64_t length)
{
    struct bus_span span = bus_lookup(bus, address);
    if (!length || !span.region || !span.region->host ||
        run_in_span(&span, address, length) != length)
        return NULL;
    return span.region->host + (address - span.region->start);
}

void *bus_dma_pointer(struct bus *bus, uint64_t address, uint64_t length, bool write)
{
    struct bus_span span = bus_lookup(bus, address);
    bool refused = write && span.region && span.region->read_only;
    return refused ? NULL : bus_host_pointer(bus, address, length);
}

void bus_dma_written(struct bus *bus, uint64_t address, uint64_t length)
{
    while (length) {
        struct bus_span span = bus_lookup(bus, address);
        uint64_t run = run_in_span(&span, address, length);
        if (span.region && span.region->host)
            tell_written(bus, span.region, address - span.region->start, run);
        address += run;
        length -= run;
    }
}

static bool all_memory(struct bus *bus, uint64_t address, uint64_t length)
{
    if (length && address + (length - 1) < address)
        return false;
    while (length) {
        struct bus_span span = bus_lookup(bus, address);
        if (!span.region || !span.region->host)
            return false;
        uint64_t run = run_in_span(&span, address, length);
        address += run;
        length -= run;
    }
    return true;
}

int bus_dma_read(struct bus *bus, uint64_t address, void *buffer, uint64_t length)
{
    if (!all_memory(bus, address, length))
        return -WEIR_EFAULT;
    bus_read_block(bus, address, buffer, length);
    return 0;
}

int bus_dma_write(struct bus *bus, uint64_t address, const void *buffer, uint64_t length)
{
    if (!all_memory(bus, address, length))
        return -WEIR_EFAULT;
    bus_write_block(bus, address, buffer, length);
    return 0;
}
