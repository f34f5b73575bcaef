/* SPDX-License-Identifier: MIT */
/*
 * pci_bus.h - bus 0, as the host bridge owns it. Private to pci.c, pci_msix.c, i440fx.c,
 * piix3.c.
 */
#ifndef DEV_PCI_BUS_H
#define DEV_PCI_BUS_H

#include "dev/pci_board.h"

struct pci_bus {
    uint8_t pirq_count[4]; /* functions that assert each PIRQ now */
    /* wiring */
    struct pci_function *function[256];
    void (*pirq_set)(void *ctx, unsigned pirq, bool level); /* PIIX3 */
    void *pirq_ctx;
    msi_fn *msi;
    void *msi_ctx;
};

/* The bus of a host bridge device. */
struct pci_bus *i440fx_bus(weir_dev *host);

/* One access to a function's config space: size 1, 2 or 4, not beyond offset 255. */
uint32_t pci_function_read(struct pci_function *f, unsigned offset, unsigned size);
void pci_function_write(struct pci_function *f, unsigned offset, uint32_t value, unsigned size);

#endif
