/* SPDX-License-Identifier: MIT */
/*
 * virtio_ring.c - split virtqueues (section 2.6) from the device's side.
 *
 * Trust nothing: a chain may loop, point outside the table, mix its two parts, nest indirect
 * tables or name addresses without memory. The walk ends after as many descriptors as the queue
 * (or the indirect table) can hold; every access goes through weir_dma_*.
 */
#include "dev/virtio.h"
#include "base/bits.h"

enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4 };
enum { AVAIL_NO_INTERRUPT = 1 };

struct descriptor {
    uint64_t gpa;
    uint32_t bytes;
    uint16_t flags, next;
};

void virtio_queue_reset(struct virtio_queue *q, unsigned size)
{
    *q = (struct virtio_queue){.size = (uint16_t)size, .vector = VIRTIO_NO_VECTOR};
}

static bool read_u16(struct virtio *v, uint64_t gpa, uint16_t *value)
{
    uint8_t raw[2];
    if (weir_dma_read(v->dev, gpa, raw, sizeof(raw)) < 0)
        return false;
    *value = (uint16_t)load_le(raw, 2);
    return true;
}

static bool write_u16(struct virtio *v, uint64_t gpa, uint16_t value)
{
    uint8_t raw[2];
    store_le(raw, value, 2);
    return weir_dma_write(v->dev, gpa, raw, sizeof(raw)) == 0;
}

/* ---- chains ---- */

/* A table of descriptors: the queue's, or a copy of an indirect one. */
struct table {
    uint64_t gpa;
    uint32_t count;
    const uint8_t *copy;
};

static bool read_descriptor(struct virtio *v, const struct table *t, uint32_t index,
                            struct descriptor *d)
{
    uint8_t own[16];
    const uint8_t *raw = t->copy ? t->copy + 16 * index : own;
    if (index >= t->count ||
        (!t->copy && weir_dma_read(v->dev, t->gpa + 16ull * index, own, 16) < 0))
        return false;
    *d = (struct descriptor){load_le(raw, 8), (uint32_t)load_le(raw + 8, 4),
                             (uint16_t)load_le(raw + 12, 2), (uint16_t)load_le(raw + 14, 2)};
    return true;
}

/* Pages that lie side by side are one segment. */
static bool extend(struct virtio_chain *c, const struct descriptor *d, bool in)
{
    unsigned count = in ? c->in_count : c->out_count;
    if (!count)
        return false;
    struct virtio_segment *last = &c->segment[c->out_count + c->in_count - 1];
    if (last->gpa + last->bytes != d->gpa || d->bytes > UINT32_MAX - last->bytes)
        return false;
    last->bytes += d->bytes;
    *(in ? &c->in_bytes : &c->out_bytes) += d->bytes;
    return true;
}

static const char *add_segment(struct virtio_chain *c, const struct descriptor *d)
{
    unsigned count = (unsigned)c->out_count + c->in_count;
    if (!(d->flags & DESC_WRITE) && c->in_count)
        return "readable descriptor after a writable one";
    if (extend(c, d, d->flags & DESC_WRITE))
        return NULL;
    if (count >= VIRTIO_CHAIN_MAX)
        return "chain is too long";
    c->segment[count] = (struct virtio_segment){d->gpa, d->bytes};
    if (d->flags & DESC_WRITE) {
        c->in_count++;
        c->in_bytes += d->bytes;
    } else {
        c->out_count++;
        c->out_bytes += d->bytes;
    }
    return NULL;
}

/* NULL, or what is wrong with the chain that starts at c->head. */
static const char *walk(struct virtio *v, const struct virtio_queue *q, struct virtio_chain *c)
{
    struct table t = {q->descriptors, q->size, NULL};
    uint8_t copy[16 * VIRTIO_CHAIN_MAX];
    bool indirect = false;
    uint32_t index = c->head;
    for (uint32_t left = t.count; left; left--) {
        struct descriptor d;
        if (!read_descriptor(v, &t, index, &d))
            return "descriptor outside the table";
        if (d.flags & DESC_INDIRECT) {
            if (indirect || !virtio_has(v, VIRTIO_F_INDIRECT))
                return "indirect descriptor not allowed";
            if ((d.flags & DESC_NEXT) || d.bytes % 16 || d.bytes == 0 ||
                d.bytes / 16 > VIRTIO_CHAIN_MAX)
                return "bad indirect table";
            if (weir_dma_read(v->dev, d.gpa, copy, d.bytes) < 0)
                return "descriptor outside the table";
            t = (struct table){d.gpa, d.bytes / 16, copy};
            indirect = true;
            index = 0;
            left = t.count + 1; /* the count starts again, once */
            continue;
        }
        const char *wrong = add_segment(c, &d);
        if (wrong || !(d.flags & DESC_NEXT))
            return wrong;
        index = d.next;
    }
    return "chain loops";
}

static bool usable(const struct virtio *v, const struct virtio_queue *q)
{
    return q->enabled && (v->status & VIRTIO_DRIVER_OK) && !(v->status & VIRTIO_NEEDS_RESET) &&
           pci_can_master(&v->function);
}

/* The driver's index; when nothing is new, asks to be told (EVENT_IDX) and looks again. */
static bool available_index(struct virtio *v, struct virtio_queue *q, uint16_t *index)
{
    if (!read_u16(v, q->available + 2, index))
        return false;
    if (*index != q->next_available || !virtio_has(v, VIRTIO_F_EVENT_IDX))
        return true;
    return write_u16(v, q->used + 4 + 8ull * q->size, q->next_available) &&
           read_u16(v, q->available + 2, index);
}

bool virtio_pop(struct virtio *v, unsigned queue, struct virtio_chain *chain)
{
    struct virtio_queue *q = &v->queue[queue];
    uint16_t index;
    if (!usable(v, q))
        return false;
    if (!available_index(v, q, &index)) {
        virtio_break(v, "ring is not in memory");
        return false;
    }
    if (index == q->next_available)
        return false;
    if ((uint16_t)(index - q->next_available) > q->size) {
        virtio_break(v, "available index is out of range");
        return false;
    }
    uint64_t entry = q->available + 4 + 2ull * (q->next_available & (q->size - 1u));
    chain->out_count = chain->in_count = 0;
    chain->out_bytes = chain->in_bytes = 0;
    const char *wrong =
        read_u16(v, entry, &chain->head) ? walk(v, q, chain) : "ring is not in memory";
    if (wrong) {
        virtio_break(v, wrong);
        return false;
    }
    q->next_available++;
    return true;
}

/* ---- used ring ---- */

void virtio_push(struct virtio *v, unsigned queue, const struct virtio_chain *chain,
                 uint32_t written)
{
    struct virtio_queue *q = &v->queue[queue];
    uint64_t slot = q->used + 4 + 8ull * (q->next_used & (q->size - 1u));
    uint8_t entry[8];
    store_le(entry, chain->head, 4);
    store_le(entry + 4, written, 4);
    if (weir_dma_write(v->dev, slot, entry, sizeof(entry)) < 0 ||
        !write_u16(v, q->used + 2, (uint16_t)(q->next_used + 1))) {
        virtio_break(v, "ring is not in memory");
        return;
    }
    q->next_used++;
}

static bool driver_listens(struct virtio *v, const struct virtio_queue *q)
{
    uint16_t value;
    if (!virtio_has(v, VIRTIO_F_EVENT_IDX))
        return read_u16(v, q->available, &value) && !(value & AVAIL_NO_INTERRUPT);
    if (!read_u16(v, q->available + 4 + 2ull * q->size, &value))
        return false;
    /* Did the index pass the driver's event index since the last interrupt? */
    return (uint16_t)(q->next_used - value - 1) < (uint16_t)(q->next_used - q->signalled);
}

void virtio_signal(struct virtio *v, unsigned queue)
{
    struct virtio_queue *q = &v->queue[queue];
    if (q->next_used == q->signalled || !usable(v, q))
        return;
    bool listens = driver_listens(v, q);
    q->signalled = q->next_used;
    if (listens)
        virtio_interrupt_queue(v, queue);
}

/* ---- data ---- */

static size_t copy(struct virtio *v, const struct virtio_segment *segment, unsigned count,
                   uint64_t offset, uint8_t *buffer, size_t bytes, bool to_guest)
{
    size_t done = 0;
    for (unsigned n = 0; n < count && done < bytes; n++) {
        if (offset >= segment[n].bytes) {
            offset -= segment[n].bytes;
            continue;
        }
        size_t part = segment[n].bytes - offset;
        if (part > bytes - done)
            part = bytes - done;
        uint64_t gpa = segment[n].gpa + offset;
        int rc = to_guest ? weir_dma_write(v->dev, gpa, buffer + done, part)
                          : weir_dma_read(v->dev, gpa, buffer + done, part);
        if (rc < 0)
            break;
        done += part;
        offset = 0;
    }
    return done;
}

size_t virtio_copy_out(struct virtio *v, const struct virtio_chain *chain, uint64_t offset,
                       void *buffer, size_t bytes)
{
    return copy(v, chain->segment, chain->out_count, offset, buffer, bytes, false);
}

size_t virtio_copy_in(struct virtio *v, const struct virtio_chain *chain, uint64_t offset,
                      const void *buffer, size_t bytes)
{
    return copy(v, chain->segment + chain->out_count, chain->in_count, offset,
                (uint8_t *)(uintptr_t)buffer, bytes, true);
}
