/* SPDX-License-Identifier: MIT */
/*
 * virtio_pci.c - the PCI transport (section 4.1): BAR 0 legacy registers, BAR 1 MSI-X, BAR 2 shared
 * memory, BAR 4 the modern structures, each in a page of its own:
 *
 *   0000h common   1000h ISR status   2000h device configuration   3000h notifications, 4 per
 * queue
 *
 * Registers are little-endian; the bus splits accesses to at most 4 bytes.
 */
#include "dev/virtio.h"
#include "base/bits.h"

enum { PAGE_COMMON, PAGE_ISR, PAGE_DEVICE, PAGE_NOTIFY };
#define MODERN_BYTES  0x4000u
#define PAGE_BYTES    0x1000u
#define LEGACY_HEADER 20u
#define LEGACY_ALIGN  4096u
enum { ISR_QUEUE = 1, ISR_CONFIG = 2 };
enum { CAP_COMMON = 1, CAP_NOTIFY, CAP_ISR, CAP_DEVICE, CAP_ACCESS, CAP_SHARED = 8 };
enum { BAR_LEGACY, BAR_MSIX, BAR_SHARED, BAR_MODERN = 4 };
#define RING_FEATURES (VIRTIO_F_INDIRECT | VIRTIO_F_EVENT_IDX | VIRTIO_F_VERSION_1)

/* ---- interrupts ---- */

static void interrupt(struct virtio *v, uint8_t isr, uint16_t vector)
{
    if (pci_msix_enabled(&v->msix)) {
        if (vector != VIRTIO_NO_VECTOR)
            pci_msix_notify(&v->msix, vector);
        return;
    }
    v->isr |= isr;
    pci_set_irq(&v->function, 1);
}

void virtio_interrupt_queue(struct virtio *v, unsigned queue)
{
    interrupt(v, ISR_QUEUE, v->queue[queue].vector);
}

void virtio_interrupt_config(struct virtio *v)
{
    v->generation++;
    interrupt(v, ISR_CONFIG, v->config_vector);
}

void virtio_break(struct virtio *v, const char *why)
{
    if (v->status & VIRTIO_NEEDS_RESET)
        return;
    weir_dev_log(v->dev, WEIR_LOG_GUEST_ERRORS, "%s", why);
    v->status |= VIRTIO_NEEDS_RESET;
    if (v->status & VIRTIO_DRIVER_OK)
        virtio_interrupt_config(v);
}

static uint8_t take_isr(struct virtio *v)
{
    uint8_t isr = v->isr;
    v->isr = 0;
    pci_set_irq(&v->function, 0);
    return isr;
}

/* ---- what both register sets do ---- */

static unsigned largest_queue(const struct virtio *v)
{
    return v->ops->queue_size ? v->ops->queue_size : VIRTIO_QUEUE_SIZE;
}

static void device_reset(struct virtio *v)
{
    v->driver_features = 0;
    v->device_feature_select = v->driver_feature_select = 0;
    v->queue_select = 0;
    v->config_vector = VIRTIO_NO_VECTOR;
    v->status = 0;
    take_isr(v);
    for (unsigned n = 0; n < VIRTIO_QUEUES_MAX; n++)
        virtio_queue_reset(&v->queue[n], largest_queue(v));
    if (v->ops->reset)
        v->ops->reset(v->state);
}

static void write_status(struct virtio *v, uint8_t value)
{
    if (value == 0) {
        device_reset(v);
        return;
    }
    /* Features are final from FEATURES_OK on; refused if they were never offered. */
    if ((value & VIRTIO_FEATURES_OK) && (v->driver_features & ~v->features))
        value &= (uint8_t)~VIRTIO_FEATURES_OK;
    v->status = value | (v->status & VIRTIO_NEEDS_RESET);
}

static void set_features(struct virtio *v, unsigned half, uint32_t value)
{
    if (v->status & (VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK))
        return;
    uint64_t mask = half ? 0xffffffff00000000u : 0xffffffffu;
    v->driver_features =
        (v->driver_features & ~mask) | ((uint64_t)value << (half ? 32 : 0) & mask);
}

static void notify(struct virtio *v, uint32_t queue)
{
    if (queue < v->ops->queues && (v->status & VIRTIO_DRIVER_OK))
        v->ops->notify(v->state, queue);
}

static struct virtio_queue *selected(struct virtio *v)
{
    return v->queue_select < v->ops->queues ? &v->queue[v->queue_select] : NULL;
}

static uint16_t valid_vector(const struct virtio *v, uint32_t vector)
{
    return vector < v->msix.count ? (uint16_t)vector : VIRTIO_NO_VECTOR;
}

static uint32_t read_config(struct virtio *v, unsigned offset, unsigned size)
{
    uint8_t config[VIRTIO_CONFIG_MAX + 8] = {0};
    if (offset >= v->ops->config_bytes)
        return 0;
    v->ops->config_read(v->state, config);
    return (uint32_t)load_le(config + offset, size);
}

static void write_config(struct virtio *v, unsigned offset, uint32_t value, unsigned size)
{
    if (v->ops->config_write && offset + size <= v->ops->config_bytes)
        v->ops->config_write(v->state, offset, value, size);
}

/* ---- modern ---- */

static uint32_t common_read(struct virtio *v, unsigned offset, unsigned size)
{
    uint8_t r[0x40] = {0};
    const struct virtio_queue none = {.vector = VIRTIO_NO_VECTOR}, *q = selected(v);
    if (offset + size > sizeof(r))
        return 0;
    q = q ? q : &none;
    store_le(r, v->device_feature_select, 4);
    if (v->device_feature_select < 2)
        store_le(r + 4, v->features >> (32 * v->device_feature_select), 4);
    store_le(r + 8, v->driver_feature_select, 4);
    if (v->driver_feature_select < 2)
        store_le(r + 12, v->driver_features >> (32 * v->driver_feature_select), 4);
    store_le(r + 0x10, v->config_vector, 2);
    store_le(r + 0x12, v->ops->queues, 2);
    r[0x14] = v->status;
    r[0x15] = v->generation;
    store_le(r + 0x16, v->queue_select, 2);
    store_le(r + 0x18, q->size, 2);
    store_le(r + 0x1a, q->vector, 2);
    store_le(r + 0x1c, q->enabled, 2);
    store_le(r + 0x1e, v->queue_select, 2);
    store_le(r + 0x20, q->descriptors, 8);
    store_le(r + 0x28, q->available, 8);
    store_le(r + 0x30, q->used, 8);
    return (uint32_t)load_le(r + offset, size);
}

static void set_half(uint64_t *address, unsigned high, uint32_t value)
{
    store_le((uint8_t *)address + (high ? 4 : 0), value, 4);
}

/* Registers of the selected queue. Size and addresses are fixed once it is enabled. */
static void queue_write(struct virtio *v, unsigned offset, uint32_t value, unsigned size)
{
    struct virtio_queue *q = selected(v);
    if (!q)
        return;
    if (offset == 0x1a && size == 2)
        q->vector = valid_vector(v, value);
    if (q->enabled)
        return;
    if (offset == 0x18 && size == 2) {
        if (is_power_of_2(value) && value <= largest_queue(v))
            q->size = (uint16_t)value;
    } else if (offset == 0x1c && size == 2) {
        q->enabled = value == 1;
    } else if (offset >= 0x20 && size == 4) {
        uint64_t *addresses[] = {&q->descriptors, &q->available, &q->used};
        set_half(addresses[(offset - 0x20) / 8], offset & 4, value);
    }
}

static void common_write(struct virtio *v, unsigned offset, uint32_t value, unsigned size)
{
    switch (offset) {
    case 0x00:
        v->device_feature_select = value;
        break;
    case 0x08:
        v->driver_feature_select = value;
        break;
    case 0x0c:
        if (v->driver_feature_select < 2)
            set_features(v, v->driver_feature_select, value);
        break;
    case 0x10:
        v->config_vector = valid_vector(v, value);
        break;
    case 0x14:
        write_status(v, (uint8_t)value);
        break;
    case 0x16:
        v->queue_select = (uint16_t)value;
        break;
    case 0x18:
    case 0x1a:
    case 0x1c:
    case 0x20:
    case 0x24:
    case 0x28:
    case 0x2c:
    case 0x30:
    case 0x34:
        queue_write(v, offset, value, size);
        break;
    }
}

static uint64_t modern_read(void *ctx, uint64_t offset, unsigned size)
{
    struct virtio *v = ctx;
    unsigned at = offset % PAGE_BYTES;
    switch (offset / PAGE_BYTES) {
    case PAGE_COMMON:
        return common_read(v, at, size);
    case PAGE_ISR:
        return at == 0 ? take_isr(v) : 0;
    case PAGE_DEVICE:
        return read_config(v, at, size);
    }
    return 0;
}

static void modern_write(void *ctx, uint64_t offset, uint64_t value, unsigned size)
{
    struct virtio *v = ctx;
    unsigned at = offset % PAGE_BYTES;
    switch (offset / PAGE_BYTES) {
    case PAGE_COMMON:
        common_write(v, at, (uint32_t)value, size);
        break;
    case PAGE_DEVICE:
        write_config(v, at, (uint32_t)value, size);
        break;
    case PAGE_NOTIFY:
        notify(v, at / 4);
        break;
    }
}

/* ---- legacy (section 4.1.4.8) ---- */

/* The three parts follow from one page number. */
static void legacy_set_page(struct virtio_queue *q, uint32_t page)
{
    q->enabled = page != 0;
    q->descriptors = (uint64_t)page * LEGACY_ALIGN;
    q->available = q->descriptors + 16ull * q->size;
    uint64_t end = q->available + 4 + 2ull * q->size + 2;
    q->used = (end + LEGACY_ALIGN - 1) & ~(uint64_t)(LEGACY_ALIGN - 1);
    q->next_available = q->next_used = q->signalled = 0;
}

static unsigned legacy_config_start(const struct virtio *v)
{
    return LEGACY_HEADER + (pci_msix_enabled(&v->msix) ? 4 : 0);
}

static uint64_t legacy_read(void *ctx, uint64_t offset, unsigned size)
{
    struct virtio *v = ctx;
    const struct virtio_queue *q = selected(v);
    unsigned config = legacy_config_start(v);
    if (offset >= config)
        return read_config(v, (unsigned)offset - config, size);
    switch (offset) {
    case 0:
        return (uint32_t)v->features;
    case 4:
        return (uint32_t)v->driver_features;
    case 8:
        return q && q->enabled ? (uint32_t)(q->descriptors / LEGACY_ALIGN) : 0;
    case 12:
        return q ? q->size : 0;
    case 14:
        return v->queue_select;
    case 18:
        return v->status;
    case 19:
        return take_isr(v);
    case 20:
        return v->config_vector;
    case 22:
        return q ? q->vector : VIRTIO_NO_VECTOR;
    }
    return 0;
}

static void legacy_write(void *ctx, uint64_t offset, uint64_t value, unsigned size)
{
    struct virtio *v = ctx;
    struct virtio_queue *q = selected(v);
    unsigned config = legacy_config_start(v);
    if (offset >= config) {
        write_config(v, (unsigned)offset - config, (uint32_t)value, size);
        return;
    }
    switch (offset) {
    case 4:
        set_features(v, 0, (uint32_t)(value & v->features));
        break;
    case 8:
        if (value == 0)
            device_reset(v);
        else if (q)
            legacy_set_page(q, (uint32_t)value);
        break;
    case 14:
        v->queue_select = (uint16_t)value;
        break;
    case 16:
        notify(v, (uint32_t)value);
        break;
    case 18:
        write_status(v, (uint8_t)value);
        break;
    case 20:
        v->config_vector = valid_vector(v, (uint32_t)value);
        break;
    case 22:
        if (q)
            q->vector = valid_vector(v, (uint32_t)value);
        break;
    }
}

static const struct weir_io_ops modern_ops = {
    .read = modern_read, .write = modern_write, .max_bytes = 4};
static const struct weir_io_ops legacy_ops = {
    .read = legacy_read, .write = legacy_write, .max_bytes = 4};

/* ---- capabilities ---- */

static uint8_t *add_capability(struct virtio *v, unsigned type, unsigned page, uint32_t bytes,
                               unsigned length)
{
    unsigned at = pci_add_capability(&v->function, 0x09, length);
    uint8_t *cap = &v->function.config[at];
    cap[2] = (uint8_t)length;
    cap[3] = (uint8_t)type;
    cap[4] = BAR_MODERN;
    store_le(cap + 8, page * PAGE_BYTES, 4);
    store_le(cap + 12, bytes, 4);
    return cap;
}

static void add_capabilities(struct virtio *v)
{
    struct pci_function *f = &v->function;
    add_capability(v, CAP_COMMON, PAGE_COMMON, PAGE_BYTES, 16);
    add_capability(v, CAP_ISR, PAGE_ISR, PAGE_BYTES, 16);
    if (v->ops->config_bytes)
        add_capability(v, CAP_DEVICE, PAGE_DEVICE, PAGE_BYTES, 16);
    uint8_t *cap = add_capability(v, CAP_NOTIFY, PAGE_NOTIFY, PAGE_BYTES, 20);
    store_le(cap + 16, 4, 4); /* notify_off_multiplier */
    cap = add_capability(v, CAP_ACCESS, 0, 0, 20);
    cap[4] = 0;
    v->access_capability = (uint8_t)(cap - f->config);
    uint8_t *writable = &f->writable[v->access_capability];
    writable[4] = 0xff;
    memset(writable + 8, 0xff, 12);
    if (v->shared.bytes) { /* section 4.1.4.7: region 0, all of its BAR */
        cap = add_capability(v, CAP_SHARED, 0, (uint32_t)v->shared.bytes, 24);
        cap[4] = BAR_SHARED;
        store_le(cap + 20, v->shared.bytes >> 32, 4);
    }
}

/* The access window (section 4.1.4.7): pci_cfg_data is a register of BAR 4. */
static bool access_window(const struct virtio *v, unsigned offset, unsigned *at, unsigned *size)
{
    const uint8_t *cap = &v->function.config[v->access_capability];
    uint32_t start = (uint32_t)load_le(cap + 8, 4), length = (uint32_t)load_le(cap + 12, 4);
    if (offset != v->access_capability + 16u || cap[4] != BAR_MODERN)
        return false;
    if ((length != 1 && length != 2 && length != 4) || start % length ||
        start > MODERN_BYTES - length)
        return false;
    *at = start;
    *size = length;
    return true;
}

static bool config_read(void *state, unsigned offset, unsigned size, uint32_t *value)
{
    struct virtio *v = state;
    unsigned at, length;
    if (!access_window(v, offset, &at, &length))
        return false;
    *value = (uint32_t)modern_read(v, at, length);
    return true;
}

static void config_written(void *state, unsigned offset, unsigned size)
{
    struct virtio *v = state;
    unsigned at, length;
    if (access_window(v, offset, &at, &length))
        modern_write(v, at, load_le(&v->function.config[offset], length), length);
}

/* ---- life ---- */

static unsigned power_of_2_above(unsigned bytes)
{
    unsigned size = 32;
    while (size < bytes)
        size *= 2;
    return size;
}

int virtio_init(weir_dev *dev, void *state, struct virtio *v, const struct virtio_ops *ops,
                uint64_t features, const char *address)
{
    struct pci_function *f = &v->function;
    const struct pci_ids ids = {.vendor = 0x1af4,
                                .device = ops->pci_device,
                                .subsystem_vendor = 0x1af4,
                                .subsystem = ops->modern ? ops->pci_device : ops->type,
                                .revision = ops->modern,
                                .class_code = ops->class_code,
                                .interrupt_pin = 1};
    int devfn = pci_parse_address(dev, address);
    if (devfn < -1)
        return devfn;
    v->dev = dev;
    v->state = state;
    v->ops = ops;
    v->features = features | RING_FEATURES | VIRTIO_F_ANY_LAYOUT;
    if (!ops->modern)
        f->bar[BAR_LEGACY] =
            (struct pci_bar){.bytes = power_of_2_above(LEGACY_HEADER + 4 + ops->config_bytes),
                             .is_io = true,
                             .ops = &legacy_ops,
                             .ctx = v,
                             .name = "virtio-legacy"};
    if (v->shared.bytes)
        f->bar[BAR_SHARED] = (struct pci_bar){.bytes = v->shared.bytes,
                                              .is_64bit = true,
                                              .prefetchable = true,
                                              .host = v->shared.host,
                                              .tags = v->shared.tags,
                                              .name = "virtio-shared"};
    f->bar[BAR_MODERN] = (struct pci_bar){.bytes = MODERN_BYTES,
                                          .is_64bit = true,
                                          .prefetchable = true,
                                          .ops = &modern_ops,
                                          .ctx = v,
                                          .name = "virtio-modern"};
    f->config_read = config_read;
    f->config_written = config_written;
    pci_msix_init(f, &v->msix, ops->queues + 1u, BAR_MSIX);
    add_capabilities(v);
    return pci_register(dev, v, f, &ids, devfn);
}

void virtio_fini(struct virtio *v)
{
    pci_unregister(&v->function);
}

void virtio_reset(struct virtio *v)
{
    pci_reset(&v->function);
    v->generation = 0;
    device_reset(v);
}

int virtio_loaded(struct virtio *v)
{
    for (unsigned n = 0; n < VIRTIO_QUEUES_MAX; n++)
        if (!is_power_of_2(v->queue[n].size) || v->queue[n].size > largest_queue(v))
            return -WEIR_EFORMAT;
    pci_loaded(&v->function);
    return 0;
}

void virtio_info(const struct virtio *v, struct weir_text *out)
{
    weir_textf(out, "status %02x isr %02x features %llx of %llx\n", v->status, v->isr,
               (unsigned long long)v->driver_features, (unsigned long long)v->features);
    for (unsigned n = 0; n < v->ops->queues; n++)
        weir_textf(out, "queue %u: %s size %u available %u used %u\n", n,
                   v->queue[n].enabled ? "on" : "off", v->queue[n].size,
                   v->queue[n].next_available, v->queue[n].next_used);
}

// clang-format off
static const struct weir_field queue_fields[] = {
    WEIR_FIELD(struct virtio_queue, descriptors), WEIR_FIELD(struct virtio_queue, available),
    WEIR_FIELD(struct virtio_queue, used), WEIR_FIELD(struct virtio_queue, size),
    WEIR_FIELD(struct virtio_queue, vector), WEIR_FIELD(struct virtio_queue, enabled),
    WEIR_FIELD(struct virtio_queue, next_available),
    WEIR_FIELD(struct virtio_queue, next_used), WEIR_FIELD(struct virtio_queue, signalled),
    WEIR_FIELD_END,
};
const struct weir_field virtio_fields[] = {
    WEIR_FIELD_STRUCT1(struct virtio, function, pci_function_fields),
    WEIR_FIELD_STRUCT1(struct virtio, msix, pci_msix_fields),
    WEIR_FIELD(struct virtio, driver_features),
    WEIR_FIELD(struct virtio, device_feature_select),
    WEIR_FIELD(struct virtio, driver_feature_select),
    WEIR_FIELD(struct virtio, queue_select), WEIR_FIELD(struct virtio, config_vector),
    WEIR_FIELD(struct virtio, status), WEIR_FIELD(struct virtio, isr),
    WEIR_FIELD(struct virtio, generation),
    WEIR_FIELD_STRUCTS(struct virtio, queue, queue_fields),
    WEIR_FIELD_END,
};
// clang-format on
