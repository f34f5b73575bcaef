/* SPDX-License-Identifier: MIT */
/*
 * pci_assign.c - resources of PCI functions and the south bridge's routing, for kernels that
 * are started without firmware. The same places as SeaBIOS uses, where a fixed address counts
 * (PMBASE, SMBus, IRQs 10 and 11), and within what the DSDT offers.
 */
#include "board/firmware.h"
#include "dev/pci_board.h"

#define PCI_MEMORY_START 0xe0000000u
#define PCI_MEMORY_END   0xfec00000u
#define PCI_HIGH_BYTES   (16ull << 30)
#define PCI_HIGH_ALIGN   (1ull << 30)
#define PCI_LARGE_BAR    (16u << 20) /* from this size on 64-bit BARs go above 4 GiB */
#define PCI_IO_START     0xc000u
#define PCI_IO_END       0x10000u
#define SOUTH_BRIDGE     0x08 /* devfn 1.0 */
#define IDE_FUNCTION     0x09
#define PM_FUNCTION      0x0b
#define PMBASE           0x600
#define SMBUS_BASE       0x700
#define ELCR2_PORT       0x4d1

struct space {
    uint64_t next, end;
};

static const uint8_t pirq_irq[4] = {10, 10, 11, 11};

static bool goes_high(const struct pci_bar *bar)
{
    return bar->is_64bit && bar->prefetchable && bar->bytes > PCI_LARGE_BAR;
}

uint64_t pci_high_window(struct weir *vm, uint64_t *bytes)
{
    uint64_t end = (1ull << 32) + (vm->ram.bytes - vm->ram.below_4g);
    *bytes = 0;
    for (unsigned devfn = 0; vm->pci && devfn < 256; devfn++) {
        const struct pci_function *f = pci_find(vm->pci, devfn);
        for (unsigned n = 0; f && n < 6; n++)
            if (goes_high(&f->bar[n]))
                *bytes = PCI_HIGH_BYTES;
    }
    return (end + PCI_HIGH_ALIGN - 1) & ~(PCI_HIGH_ALIGN - 1);
}

static void assign_bar(struct weir *vm, unsigned devfn, const struct pci_bar *bar, unsigned n,
                       struct space *space)
{
    uint64_t at = (space->next + bar->bytes - 1) & ~(bar->bytes - 1);
    if (bar->bytes > space->end || at > space->end - bar->bytes)
        return; /* no room: stays at 0 and the driver complains */
    space->next = at + bar->bytes;
    unsigned offset = 0x10 + n * 4;
    pci_config_write(vm->pci, devfn, offset, (uint32_t)at, 4);
    if (bar->is_64bit)
        pci_config_write(vm->pci, devfn, offset + 4, (uint32_t)(at >> 32), 4);
}

static void assign_function(struct weir *vm, unsigned devfn, const struct pci_function *f,
                            struct space *memory, struct space *high, struct space *io)
{
    for (unsigned n = 0; n < 6; n++) {
        const struct pci_bar *bar = &f->bar[n];
        if (bar->bytes)
            assign_bar(vm, devfn, bar, n, bar->is_io ? io : goes_high(bar) ? high : memory);
    }
    uint8_t pin = f->config[0x3d];
    if (pin >= 1 && pin <= 4) {
        unsigned pirq = ((devfn >> 3) + pin - 2) & 3;
        pci_config_write(vm->pci, devfn, 0x3c, pirq_irq[pirq], 1);
    }
    uint32_t command = pci_config_read(vm->pci, devfn, 4, 2);
    pci_config_write(vm->pci, devfn, 4, command | 3, 2); /* I/O and memory decoding */
}

static void set_up_south_bridge(struct weir *vm)
{
    if (pci_find(vm->pci, SOUTH_BRIDGE)) {
        for (unsigned n = 0; n < 4; n++)
            pci_config_write(vm->pci, SOUTH_BRIDGE, 0x60 + n, pirq_irq[n], 1);
        bus_write(&vm->io, ELCR2_PORT, 1 << (10 - 8) | 1 << (11 - 8), 1);
    }
    if (pci_find(vm->pci, IDE_FUNCTION)) {
        pci_config_write(vm->pci, IDE_FUNCTION, 0x40, 0x8000, 2); /* decode the channels */
        pci_config_write(vm->pci, IDE_FUNCTION, 0x42, 0x8000, 2);
    }
    if (pci_find(vm->pci, PM_FUNCTION)) {
        pci_config_write(vm->pci, PM_FUNCTION, 0x3c, 9, 1);
        pci_config_write(vm->pci, PM_FUNCTION, 0x40, PMBASE | 1, 4);
        pci_config_write(vm->pci, PM_FUNCTION, 0x80, 1, 1);
        pci_config_write(vm->pci, PM_FUNCTION, 0x90, SMBUS_BASE | 1, 4);
        pci_config_write(vm->pci, PM_FUNCTION, 0xd2, 9, 1);
    }
}

void pci_assign_resources(struct weir *vm)
{
    struct space memory = {PCI_MEMORY_START, PCI_MEMORY_END};
    struct space io = {PCI_IO_START, PCI_IO_END};
    uint64_t high_bytes, high_start = pci_high_window(vm, &high_bytes);
    struct space high = {high_start, high_start + high_bytes};
    if (!vm->pci)
        return;
    for (unsigned devfn = 0; devfn < 256; devfn++) {
        const struct pci_function *f = pci_find(vm->pci, devfn);
        if (f)
            assign_function(vm, devfn, f, &memory, &high, &io);
    }
    set_up_south_bridge(vm);
}
