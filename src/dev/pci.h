/* SPDX-License-Identifier: MIT */
/*
 * pci.h - what a PCI function is to its bus. A PCI device embeds struct pci_function in its state,
 * fills a struct pci_config and calls pci_register in init. pci_host (i440fx.c) owns the bus.
 */
#ifndef DEV_PCI_H
#define DEV_PCI_H

#include <weir/device.h>

struct pci_bar {
    uint64_t bytes; /* power of two; 0 = no BAR */
    bool is_io, is_64bit, prefetchable;
    const struct weir_io_ops *ops; /* callbacks get `ctx`... */
    void *ctx;
    void *host; /* ...or host memory (video RAM) */
    const char *name;
    weir_region *region; /* private from here on */
};

struct pci_function {
    uint8_t config[256];    /* what the guest reads */
    uint8_t writable[256];  /* bit set: guest may write it */
    uint8_t w1c[256];       /* bit set: writing 1 clears it */
    uint32_t irq_level;     /* INTx state */
    /* wiring */
    weir_dev *dev;
    void *state;
    struct pci_bar bar[7];  /* 6 = expansion ROM */
    uint8_t devfn;
    /* After a guest write to config space (already applied); may be NULL. */
    void (*config_written)(void *state, unsigned offset, unsigned size);
    /* Instead of the plain read, for registers with side effects (virtio's access window). */
    bool (*config_read)(void *state, unsigned offset, unsigned size, uint32_t *value);
    void *bus;
};
extern const struct weir_field pci_function_fields[];

struct pci_ids {
    uint16_t vendor, device, subsystem_vendor, subsystem;
    uint32_t class_code; /* 24 bits: base, sub, interface */
    uint8_t revision, header_type, interrupt_pin; /* pin 1 = INTA, 0 = none */
};

/* Puts the function on the VM's PCI bus. devfn < 0 = next free slot. Fill bar[] before. */
int pci_register(weir_dev *dev, void *state, struct pci_function *f, const struct pci_ids *ids,
                 int devfn);
void pci_reset(struct pci_function *f); /* command, BARs, INTx: call from the device's reset */
void pci_set_irq(struct pci_function *f, int level);
/* Appends a capability of `length` bytes; returns its offset. */
unsigned pci_add_capability(struct pci_function *f, uint8_t id, unsigned length);
/* False while the guest has bus mastering off. */
bool pci_can_master(const struct pci_function *f);

#endif
