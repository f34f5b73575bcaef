/* SPDX-License-Identifier: MIT */
/*
 * pci_msix.h - MSI-X for a PCI function: table and pending bits in a 4 KiB memory BAR of their
 * own (PCI 3.0 section 6.8.2): table at 0, pending bits at 800h.
 */
#ifndef DEV_PCI_MSIX_H
#define DEV_PCI_MSIX_H

#include "dev/pci.h"

#define PCI_MSIX_VECTORS 64u
#define PCI_MSIX_BYTES   4096u

struct pci_msix {
    uint32_t table[PCI_MSIX_VECTORS * 4]; /* address low, high, data, control (bit 0 = mask) */
    uint64_t pending;
    /* wiring */
    struct pci_function *function;
    uint8_t count, capability;
};
extern const struct weir_field pci_msix_fields[];

/* Before pci_register: takes BAR `bar` and adds the capability. 1 <= count <= PCI_MSIX_VECTORS.
 */
void pci_msix_init(struct pci_function *f, struct pci_msix *m, unsigned count, unsigned bar);
void pci_msix_reset(struct pci_msix *m);
bool pci_msix_enabled(const struct pci_msix *m);
/* Sends a vector's message, or notes it as pending. Vectors that do not exist are ignored. */
void pci_msix_notify(struct pci_msix *m, unsigned vector);
/* After a write to the function's config space (called by pci.c). */
void pci_msix_config_written(struct pci_msix *m, unsigned offset, unsigned size);

#endif
