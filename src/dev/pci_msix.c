/* SPDX-License-Identifier: MIT */
/*
 * pci_msix.c - see pci_msix.h. A vector that fires while it or the function is masked becomes
 * pending and is sent when the mask goes away (PCI 3.0 section 6.8.3.4).
 */
#include "dev/pci_msix.h"
#include "dev/pci_bus.h"
#include "base/bits.h"

#define PBA_OFFSET       0x800u
#define CONTROL_ENABLE   0x8000u
#define CONTROL_MASK_ALL 0x4000u

const struct weir_field pci_msix_fields[] = {
    WEIR_FIELD_ARRAY(struct pci_msix, table),
    WEIR_FIELD(struct pci_msix, pending),
    WEIR_FIELD_END,
};

static unsigned control(const struct pci_msix *m)
{
    return (unsigned)load_le(&m->function->config[m->capability + 2], 2);
}

bool pci_msix_enabled(const struct pci_msix *m)
{
    return m->function && (control(m) & CONTROL_ENABLE);
}

static bool masked(const struct pci_msix *m, unsigned vector)
{
    return (control(m) & CONTROL_MASK_ALL) || (m->table[vector * 4 + 3] & 1);
}

static void send(struct pci_msix *m, unsigned vector)
{
    const uint32_t *entry = &m->table[vector * 4];
    struct pci_bus *bus = m->function->bus;
    m->pending &= ~BIT64(vector);
    if (bus && bus->msi && pci_can_master(m->function))
        bus->msi(bus->msi_ctx, entry[0] | (uint64_t)entry[1] << 32, entry[2]);
}

static void send_pending(struct pci_msix *m)
{
    if (!pci_msix_enabled(m))
        return;
    for (unsigned v = 0; v < m->count; v++)
        if ((m->pending & BIT64(v)) && !masked(m, v))
            send(m, v);
}

void pci_msix_notify(struct pci_msix *m, unsigned vector)
{
    if (vector >= m->count || !pci_msix_enabled(m))
        return;
    if (masked(m, vector))
        m->pending |= BIT64(vector);
    else
        send(m, vector);
}

void pci_msix_config_written(struct pci_msix *m, unsigned offset, unsigned size)
{
    if (offset < m->capability + 4u && offset + size > m->capability + 2u)
        send_pending(m);
}

static uint64_t msix_read(void *ctx, uint64_t offset, unsigned size)
{
    struct pci_msix *m = ctx;
    if (offset + size <= m->count * 16u)
        return load_le((uint8_t *)m->table + offset, size);
    if (offset >= PBA_OFFSET && offset + size <= PBA_OFFSET + 8)
        return load_le((uint8_t *)&m->pending + (offset - PBA_OFFSET), size);
    return 0;
}

static void msix_write(void *ctx, uint64_t offset, uint64_t value, unsigned size)
{
    struct pci_msix *m = ctx;
    if (offset + size > m->count * 16u)
        return;
    store_le((uint8_t *)m->table + offset, value, size);
    uint32_t *entry = &m->table[offset / 16 * 4];
    entry[0] &= ~3u;
    entry[3] &= 1u;
    send_pending(m);
}

/* Software may use aligned accesses of 4 and 8 bytes only; others are ignored. */
static const struct weir_io_ops msix_ops = {
    .read = msix_read, .write = msix_write, .min_bytes = 4, .max_bytes = 8};

void pci_msix_init(struct pci_function *f, struct pci_msix *m, unsigned count, unsigned bar)
{
    m->function = f;
    m->count = (uint8_t)count;
    f->msix = m;
    f->bar[bar] =
        (struct pci_bar){.bytes = PCI_MSIX_BYTES, .ops = &msix_ops, .ctx = m, .name = "msix"};
    m->capability = (uint8_t)pci_add_capability(f, 0x11, 12);
    uint8_t *cap = &f->config[m->capability];
    store_le(cap + 2, count - 1, 2);
    store_le(cap + 4, bar, 4);
    store_le(cap + 8, PBA_OFFSET | bar, 4);
    f->writable[m->capability + 3] = (CONTROL_ENABLE | CONTROL_MASK_ALL) >> 8;
}

void pci_msix_reset(struct pci_msix *m)
{
    if (!m->function)
        return;
    memset(m->table, 0, sizeof(m->table));
    for (unsigned v = 0; v < m->count; v++)
        m->table[v * 4 + 3] = 1;
    m->pending = 0;
    m->function->config[m->capability + 3] = 0;
}
