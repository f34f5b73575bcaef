/* SPDX-License-Identifier: MIT */
/*
 * virtio.h - virtio devices over PCI, transitional as a rule: modern (1.x) registers in BAR 4 and
 * legacy ones in BAR 0. References are to the Virtual I/O Device specification 1.2.
 *
 *   virtio_pci.c    registers, features, interrupts     virtio_ring.c   split virtqueues
 *   virtio_blk.c, virtio_rng.c, virtio_console.c        the devices (and hostcall/fs_device.c)
 *
 * A device embeds struct virtio, fills `ops` and calls virtio_init. Everything a driver puts in
 * a ring is checked where it is read: virtio_pop gives only chains that are well formed, and
 * virtio_copy_* check every address. A ring that is not makes the device broken
 * (DEVICE_NEEDS_RESET) until the driver resets it.
 */
#ifndef DEV_VIRTIO_H
#define DEV_VIRTIO_H

#include "dev/pci.h"
#include "dev/pci_msix.h"

#define VIRTIO_QUEUES_MAX 4u
#define VIRTIO_QUEUE_SIZE 256u /* unless the device says otherwise */
#define VIRTIO_CHAIN_MAX  512u /* descriptors of a chain, and a queue's size */
#define VIRTIO_CONFIG_MAX 64u
#define VIRTIO_NO_VECTOR  0xffffu

enum { /* device status */
       VIRTIO_ACKNOWLEDGE = 1,
       VIRTIO_DRIVER = 2,
       VIRTIO_DRIVER_OK = 4,
       VIRTIO_FEATURES_OK = 8,
       VIRTIO_NEEDS_RESET = 0x40,
       VIRTIO_FAILED = 0x80,
};
#define VIRTIO_F_ANY_LAYOUT (1ull << 27)
#define VIRTIO_F_INDIRECT   (1ull << 28)
#define VIRTIO_F_EVENT_IDX  (1ull << 29)
#define VIRTIO_F_VERSION_1  (1ull << 32)

struct virtio_queue {
    uint64_t descriptors, available, used; /* guest-physical */
    uint16_t size, vector, enabled;
    uint16_t next_available, next_used; /* ring indices, free-running */
    uint16_t signalled;                 /* next_used when the driver was last interrupted */
};

struct virtio_segment {
    uint64_t gpa;
    uint32_t bytes;
};
/* One chain of descriptors: first what the driver wrote (out), then what it wants written. */
struct virtio_chain {
    uint16_t head, out_count, in_count;
    uint64_t out_bytes, in_bytes;
    struct virtio_segment segment[VIRTIO_CHAIN_MAX];
};

struct virtio;
struct virtio_ops {
    uint16_t pci_device; /* transitional ID, 1000h + ... */
    uint16_t type;       /* virtio device ID, also the subsystem */
    uint32_t class_code;
    uint8_t queues, config_bytes; /* config_bytes <= VIRTIO_CONFIG_MAX */
    uint16_t queue_size;          /* 0: VIRTIO_QUEUE_SIZE */
    bool modern;                  /* no legacy registers; then pci_device is 1040h + type */
    void (*notify)(void *state, unsigned queue);
    void (*reset)(void *state);                        /* may be NULL */
    void (*config_read)(void *state, uint8_t *config); /* fills config_bytes */
    void (*config_write)(void *state, unsigned offset, uint32_t value, unsigned size);
};

struct virtio {
    struct pci_function function; /* first */
    struct pci_msix msix;
    uint64_t driver_features;
    uint32_t device_feature_select, driver_feature_select;
    uint16_t queue_select, config_vector;
    uint8_t status, isr, generation;
    struct virtio_queue queue[VIRTIO_QUEUES_MAX];
    /* wiring */
    const struct virtio_ops *ops;
    uint64_t features; /* that the device offers */
    weir_dev *dev;
    void *state;
    uint8_t access_capability; /* offset of the PCI configuration access capability */
    /* Shared memory region 0 in BAR 2, if the device wants one; set before virtio_init. */
    struct {
        uint8_t *host, *tags;
        uint64_t bytes; /* a power of two */
    } shared;
};
extern const struct weir_field virtio_fields[];

/* ---- virtio_pci.c ---- */

/* `features`: the device's own; those of the ring are added. `address` is QEMU's addr= or NULL.
 */
int virtio_init(weir_dev *dev, void *state, struct virtio *v, const struct virtio_ops *ops,
                uint64_t features, const char *address);
void virtio_fini(struct virtio *v);
void virtio_reset(struct virtio *v);
int virtio_loaded(struct virtio *v);
void virtio_info(const struct virtio *v, struct weir_text *out);
static inline bool virtio_has(const struct virtio *v, uint64_t feature)
{
    return (v->driver_features & feature) != 0;
}
/* Interrupts: buffers were used, or the configuration changed. */
void virtio_interrupt_queue(struct virtio *v, unsigned queue);
void virtio_interrupt_config(struct virtio *v);
/* The driver did what it must not: needs reset. */
void virtio_break(struct virtio *v, const char *why);

/* ---- virtio_ring.c ---- */

void virtio_queue_reset(struct virtio_queue *q, unsigned size);
/* Takes the next chain. False: there is none, or the queue cannot be used. */
bool virtio_pop(struct virtio *v, unsigned queue, struct virtio_chain *chain);
/* Gives a chain back with `written` bytes at the start of its in part. */
void virtio_push(struct virtio *v, unsigned queue, const struct virtio_chain *chain,
                 uint32_t written);
/* Interrupts the driver if it wants to hear of what was pushed since last time. */
void virtio_signal(struct virtio *v, unsigned queue);
/* Copies between a buffer and the out or in part of a chain, from `offset` in it; returns the
 * bytes copied: fewer when the part ends or where an address is no memory. */
size_t virtio_copy_out(struct virtio *v, const struct virtio_chain *chain, uint64_t offset,
                       void *buffer, size_t bytes);
size_t virtio_copy_in(struct virtio *v, const struct virtio_chain *chain, uint64_t offset,
                      const void *buffer, size_t bytes);

#endif
