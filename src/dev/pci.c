/* SPDX-License-Identifier: MIT */
/*
 * pci.c - config space, BARs and INTx of the functions on bus 0 (PCI Local Bus 3.0, chapter 6).
 *
 * Invariant: after every change of the command register or a BAR each BAR's region is enabled
 * exactly where config space says, and the wire of an INTx line is the device's level unless
 * the command register disables it. BAR regions have priority -1: fixed decoders win over them.
 */
#include "dev/pci_bus.h"
#include "dev/pci_msix.h"
#include "dev/machine_hooks.h"
#include "base/bits.h"
#include "mem/bus.h"

#include <stdlib.h>

#define BAR_PRIORITY (-1)
#define UNMAPPED     UINT64_MAX

enum {
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_BAR0 = 0x10,
    PCI_SUBSYSTEM = 0x2c,
    PCI_ROM = 0x30,
    PCI_CAPABILITIES = 0x34,
    PCI_INTERRUPT_LINE = 0x3c,
    PCI_INTERRUPT_PIN = 0x3d,
};
enum { COMMAND_IO = 1, COMMAND_MEMORY = 2, COMMAND_MASTER = 4, COMMAND_INTX_OFF = 0x400 };
#define STATUS_INTERRUPT    0x08u
#define STATUS_CAPABILITIES 0x10u

const struct weir_field pci_function_fields[] = {
    WEIR_FIELD_ARRAY(struct pci_function, config),
    WEIR_FIELD(struct pci_function, irq_level),
    WEIR_FIELD_END,
};

static unsigned command(const struct pci_function *f)
{
    return (unsigned)load_le(&f->config[PCI_COMMAND], 2);
}

bool pci_can_master(const struct pci_function *f)
{
    return command(f) & COMMAND_MASTER;
}

/* ---- INTx ---- */

static void wire_set(struct pci_function *f, bool level)
{
    struct pci_bus *bus = f->bus;
    unsigned pin = f->config[PCI_INTERRUPT_PIN];
    if (level == !!(f->irq_level & 2) || !bus || pin < 1 || pin > 4)
        return;
    f->irq_level = (f->irq_level & 1) | (level ? 2 : 0);
    unsigned pirq = (f->devfn / 8 + pin - 2) & 3;
    bool was = bus->pirq_count[pirq] != 0;
    bus->pirq_count[pirq] = (uint8_t)(bus->pirq_count[pirq] + (level ? 1 : -1));
    if (was != (bus->pirq_count[pirq] != 0) && bus->pirq_set)
        bus->pirq_set(bus->pirq_ctx, pirq, !was);
}

static void irq_update(struct pci_function *f)
{
    bool level = f->irq_level & 1;
    f->config[PCI_STATUS] =
        (uint8_t)((f->config[PCI_STATUS] & ~STATUS_INTERRUPT) | (level ? STATUS_INTERRUPT : 0));
    wire_set(f, level && !(command(f) & COMMAND_INTX_OFF));
}

void pci_set_irq(struct pci_function *f, int level)
{
    f->irq_level = (f->irq_level & ~1u) | (level ? 1 : 0);
    irq_update(f);
}

/* ---- BARs ---- */

static unsigned bar_offset(unsigned bar)
{
    return bar == 6 ? PCI_ROM : PCI_BAR0 + 4 * bar;
}

static uint64_t bar_value(const struct pci_function *f, unsigned bar)
{
    unsigned bytes = f->bar[bar].is_64bit ? 8 : 4;
    return load_le(&f->config[bar_offset(bar)], bytes);
}

/* Where the BAR decodes now. Zero, and ranges that end at the top of a 32-bit space (a BAR that
 * is being sized), decode nothing. */
static uint64_t bar_address(const struct pci_function *f, unsigned bar)
{
    const struct pci_bar *b = &f->bar[bar];
    uint64_t value = bar_value(f, bar), start = value & ~(b->bytes - 1);
    uint64_t last = start + (b->bytes - 1);
    if (!(command(f) & (b->is_io ? COMMAND_IO : COMMAND_MEMORY)))
        return UNMAPPED;
    if (bar == 6 && !(value & 1))
        return UNMAPPED;
    if (start == 0 || last < start || last == UINT32_MAX)
        return UNMAPPED;
    if (b->is_io && last > 0xffff)
        return UNMAPPED;
    return start;
}

static void bars_update(struct pci_function *f)
{
    for (unsigned n = 0; n < ARRAY_SIZE(f->bar); n++) {
        struct pci_bar *b = &f->bar[n];
        if (!b->region)
            continue;
        uint64_t start = bar_address(f, n);
        bool enabled = start != UNMAPPED;
        bus_region_set(b->region, enabled ? start : b->region->start, enabled,
                       b->region->read_only);
    }
}

static int bar_map(struct pci_function *f, unsigned n)
{
    struct pci_bar *b = &f->bar[n];
    uint8_t *config = &f->config[bar_offset(n)];
    uint64_t type = b->is_io ? 1 : (b->is_64bit ? 4 : 0) | (b->prefetchable ? 8 : 0);
    unsigned bytes = b->is_64bit ? 8 : 4;
    void *ctx = b->ctx ? b->ctx : f->state;
    store_le(config, n == 6 ? 0 : type, bytes);
    store_le(&f->writable[bar_offset(n)], ~(b->bytes - 1) | (n == 6), bytes);
    if (b->host)
        b->region =
            weir_map_host_memory(f->dev, 0, b->host, b->bytes, n == 6, BAR_PRIORITY, b->name);
    else
        b->region =
            machine_map_io(f->dev, b->is_io, 0, b->bytes, b->ops, ctx, BAR_PRIORITY, b->name);
    if (!b->region)
        return weir_dev_fail(f->dev, WEIR_ENOMEM, "BAR %u cannot be mapped", n);
    b->region->tags = b->host ? b->tags : NULL;
    weir_region_enable(b->region, false);
    return 0;
}

/* ---- accesses ---- */

uint32_t pci_function_read(struct pci_function *f, unsigned offset, unsigned size)
{
    uint32_t value;
    if (f->config_read && f->config_read(f->state, offset, size, &value))
        return value & (uint32_t)mask_bytes(size);
    return (uint32_t)load_le(&f->config[offset], size);
}

static bool overlaps(unsigned offset, unsigned size, unsigned first, unsigned last)
{
    return offset <= last && offset + size > first;
}

void pci_function_write(struct pci_function *f, unsigned offset, uint32_t value, unsigned size)
{
    for (unsigned n = 0; n < size; n++) {
        uint8_t byte = (uint8_t)(value >> (8 * n)), *at = &f->config[offset + n];
        *at = (uint8_t)((*at & ~f->writable[offset + n]) | (byte & f->writable[offset + n]));
        *at &= (uint8_t) ~(byte & f->w1c[offset + n]);
    }
    if (overlaps(offset, size, PCI_COMMAND, PCI_COMMAND + 1)) {
        irq_update(f);
        bars_update(f);
    } else if (overlaps(offset, size, PCI_BAR0, PCI_ROM + 3)) {
        bars_update(f);
    }
    if (f->msix)
        pci_msix_config_written(f->msix, offset, size);
    if (f->config_written)
        f->config_written(f->state, offset, size);
}

/* ---- life ---- */

static int find_slot(const struct pci_bus *bus)
{
    for (int slot = 0; slot < 32; slot++) {
        bool used = false;
        for (int n = 0; n < 8; n++)
            used |= bus->function[slot * 8 + n] != NULL;
        if (!used)
            return slot * 8;
    }
    return -1;
}

/* Bit 7 of function 0's header type says that the slot has more functions. */
static void mark_multifunction(struct pci_bus *bus, unsigned devfn)
{
    struct pci_function *first = bus->function[devfn & ~7u];
    for (unsigned n = 1; first && n < 8; n++)
        if (bus->function[(devfn & ~7u) + n])
            first->config[0x0e] |= 0x80;
}

static void fill_header(struct pci_function *f, const struct pci_ids *ids)
{
    uint8_t *c = f->config;
    store_le(c, ids->vendor, 2);
    store_le(c + 2, ids->device, 2);
    store_le(c + 8, ids->class_code << 8 | ids->revision, 4);
    c[0x0e] = ids->header_type;
    store_le(c + PCI_SUBSYSTEM, ids->subsystem_vendor, 2);
    store_le(c + PCI_SUBSYSTEM + 2, ids->subsystem, 2);
    c[PCI_INTERRUPT_PIN] = ids->interrupt_pin;
    store_le(&f->writable[PCI_COMMAND],
             COMMAND_IO | COMMAND_MEMORY | COMMAND_MASTER | COMMAND_INTX_OFF | 0x140, 2);
    f->w1c[PCI_STATUS + 1] = 0xf9; /* parity, aborts, system error */
    f->writable[0x0c] = f->writable[0x0d] = 0xff;
    f->writable[PCI_INTERRUPT_LINE] = 0xff;
}

static int claim_slot(weir_dev *dev, struct pci_function *f, int devfn)
{
    if (!f->bus) {
        weir_dev *host = weir_dev_find(weir_dev_vm(dev), "i440FX", NULL);
        if (!host)
            return weir_dev_fail(dev, WEIR_ESTATE, "the machine has no PCI bus");
        f->bus = i440fx_bus(host);
    }
    if (devfn < 0)
        devfn = find_slot(f->bus);
    struct pci_bus *bus = f->bus;
    if (devfn < 0 || devfn > 255 || bus->function[devfn]) {
        f->bus = NULL; /* pci_unregister must not remove another function */
        return devfn < 0 || devfn > 255
                   ? weir_dev_fail(dev, WEIR_EBUSY, "no free PCI slot")
                   : weir_dev_fail(dev, WEIR_EBUSY, "PCI address %02x.%x is in use", devfn / 8,
                                   devfn % 8);
    }
    f->devfn = (uint8_t)devfn;
    bus->function[devfn] = f;
    return 0;
}

int pci_register(weir_dev *dev, void *state, struct pci_function *f, const struct pci_ids *ids,
                 int devfn)
{
    f->dev = dev;
    f->state = state;
    int rc = claim_slot(dev, f, devfn);
    if (rc < 0)
        return rc;
    fill_header(f, ids);
    mark_multifunction(f->bus, f->devfn);
    for (unsigned n = 0; n < ARRAY_SIZE(f->bar); n++)
        if (f->bar[n].bytes && (rc = bar_map(f, n)) < 0)
            return rc;
    return 0;
}

void pci_unregister(struct pci_function *f)
{
    if (!f->bus)
        return;
    wire_set(f, false);
    f->bus->function[f->devfn] = NULL;
    f->bus = NULL;
    for (unsigned n = 0; n < ARRAY_SIZE(f->bar); n++) {
        if (f->bar[n].region)
            bus_unmap(f->bar[n].region);
        f->bar[n].region = NULL;
    }
}

void pci_reset(struct pci_function *f)
{
    store_le(&f->config[PCI_COMMAND], 0, 2);
    f->config[PCI_STATUS + 1] &= (uint8_t)~0xf9;
    f->config[0x0c] = f->config[0x0d] = f->config[PCI_INTERRUPT_LINE] = 0;
    for (unsigned n = 0; n < ARRAY_SIZE(f->bar); n++) {
        unsigned bytes = f->bar[n].is_64bit ? 8 : 4;
        for (unsigned k = 0; f->bar[n].bytes && k < bytes; k++)
            f->config[bar_offset(n) + k] &= (uint8_t)~f->writable[bar_offset(n) + k];
    }
    if (f->msix)
        pci_msix_reset(f->msix);
    pci_set_irq(f, 0);
    bars_update(f);
}

void pci_loaded(struct pci_function *f)
{
    bars_update(f);
}

unsigned pci_add_capability(struct pci_function *f, uint8_t id, unsigned length)
{
    unsigned at = f->capability_end ? f->capability_end : 0x40;
    f->config[at] = id;
    f->config[at + 1] = f->config[PCI_CAPABILITIES];
    f->config[PCI_CAPABILITIES] = (uint8_t)at;
    f->config[PCI_STATUS] |= STATUS_CAPABILITIES;
    f->capability_end = (uint8_t)((at + length + 3) & ~3u);
    return at;
}

int pci_parse_address(weir_dev *dev, const char *text)
{
    char *end;
    if (!text || !*text)
        return -1;
    unsigned long slot = strtoul(text, &end, 16), function = 0;
    bool good = end != text;
    if (good && *end == '.') {
        const char *rest = end + 1;
        function = strtoul(rest, &end, 16);
        good = end != rest;
    }
    if (!good || *end || slot > 31 || function > 7)
        return weir_dev_fail(dev, WEIR_EINVAL, "'%s' is not a PCI address (slot.function)",
                             text);
    return (int)(slot * 8 + function);
}
