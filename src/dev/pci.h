/* SPDX-License-Identifier: MIT */
/*
 * pci.h - what a PCI function is to its bus. A PCI device embeds struct pci_function in its
 * state, fills bar[] and a struct pci_ids and calls pci_register in init. The bus belongs to
 * the host bridge (i440fx.c). The device calls pci_reset from its reset, pci_unregister from
 * its fini and pci_loaded from its loaded.
 */
#ifndef DEV_PCI_H
#define DEV_PCI_H

#include <weir/device.h>

struct pci_bar {
    uint64_t bytes; /* power of two; 0 = no BAR */
    bool is_io, is_64bit, prefetchable;
    const struct weir_io_ops *ops; /* callbacks get `ctx`, or the device's state if NULL... */
    void *ctx;
    void *host;    /* ...or host memory (video RAM) */
    uint8_t *tags; /* of the host memory, see mem/ram.h; may be NULL */
    const char *name;
    weir_region *region; /* private from here on */
};

struct pci_function {
    uint8_t config[256];   /* what the guest reads */
    uint8_t writable[256]; /* bit set: guest may write it */
    uint8_t w1c[256];      /* bit set: writing 1 clears it */
    uint32_t irq_level;    /* INTx: bit 0 = the device's, bit 1 = what the wire carries */
    /* wiring */
    weir_dev *dev;
    void *state;
    struct pci_bar bar[7]; /* 6 = expansion ROM */
    uint8_t devfn;
    /* After a guest write to config space (already applied); may be NULL. */
    void (*config_written)(void *state, unsigned offset, unsigned size);
    /* Instead of the plain read, for registers with side effects (virtio's access window). */
    bool (*config_read)(void *state, unsigned offset, unsigned size, uint32_t *value);
    struct pci_bus *bus;    /* preset only by the host bridge itself */
    struct pci_msix *msix;  /* see pci_msix.h; NULL if the function has none */
    uint8_t capability_end; /* where the next capability goes; 0 = 40h */
};
extern const struct weir_field pci_function_fields[];

struct pci_ids {
    uint16_t vendor, device, subsystem_vendor, subsystem;
    uint32_t class_code;                          /* 24 bits: base, sub, interface */
    uint8_t revision, header_type, interrupt_pin; /* pin 1 = INTA, 0 = none */
};

/* Puts the function on the VM's PCI bus. devfn < 0 = next free slot. Fill bar[] before. 0 or
 * -WEIR_E* after weir_dev_fail. */
int pci_register(weir_dev *dev, void *state, struct pci_function *f, const struct pci_ids *ids,
                 int devfn);
/* Takes it off again and unmaps its BARs; harmless if it was never registered. */
void pci_unregister(struct pci_function *f);
void pci_reset(struct pci_function *f);  /* command, BARs, INTx: call from the device's reset */
void pci_loaded(struct pci_function *f); /* maps the BARs where config says */
/* "5", "0x5" or "05.1" (hexadecimal slot and function, as QEMU's addr=) to devfn; NULL = -1.
 * -WEIR_EINVAL after weir_dev_fail. */
int pci_parse_address(weir_dev *dev, const char *text);
void pci_set_irq(struct pci_function *f, int level);
/* Appends a capability of `length` bytes; returns its offset. */
unsigned pci_add_capability(struct pci_function *f, uint8_t id, unsigned length);
/* False while the guest has bus mastering off. */
bool pci_can_master(const struct pci_function *f);

#endif
