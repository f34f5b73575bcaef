/* SPDX-License-Identifier: MIT */
/* pci_info.c - the bus as a person sees it: `info pci`, in the words of QEMU's monitor. */
#include "dev/pci_bus.h"
#include "base/bits.h"
#include "mem/bus.h"

#include <inttypes.h>

static const struct {
    uint16_t class_code;
    const char *name;
} class_names[] = {
    {0x0100, "SCSI controller"}, {0x0101, "IDE controller"},      {0x0102, "Floppy controller"},
    {0x0106, "SATA controller"}, {0x0200, "Ethernet controller"}, {0x0300, "VGA controller"},
    {0x0600, "Host bridge"},     {0x0601, "ISA bridge"},          {0x0604, "PCI bridge"},
    {0x0680, "Bridge"},          {0x0c03, "USB controller"},      {0x0c05, "SMBus"},
};

static void put_class(const struct pci_function *f, struct weir_text *out)
{
    unsigned code = (unsigned)load_le(&f->config[0x0a], 2);
    for (unsigned n = 0; n < ARRAY_SIZE(class_names); n++) {
        if (class_names[n].class_code == code) {
            weir_textf(out, "%s", class_names[n].name);
            return;
        }
    }
    weir_textf(out, "Class %04u", code);
}

static void put_bar(const struct pci_function *f, unsigned n, struct weir_text *out)
{
    const struct pci_bar *b = &f->bar[n];
    if (!b->bytes)
        return;
    uint64_t start = b->region && b->region->enabled ? b->region->start : UINT64_MAX;
    uint64_t last = start + b->bytes - 1;
    if (b->is_io)
        weir_textf(out, "      BAR%u: I/O at 0x%04" PRIx64 " [0x%04" PRIx64 "].\n", n,
                   start & 0xffff, last & 0xffff);
    else
        weir_textf(out, "      BAR%u: %d bit%s memory at 0x%08" PRIx64 " [0x%08" PRIx64 "].\n",
                   n, b->is_64bit ? 64 : 32, b->prefetchable ? " prefetchable" : "", start,
                   last);
}

static void put_function(const struct pci_function *f, struct weir_text *out)
{
    const uint8_t *c = f->config;
    weir_textf(out, "  Bus  0, device %3d, function %d:\n    ", f->devfn / 8, f->devfn % 8);
    put_class(f, out);
    weir_textf(out, ": PCI device %04x:%04x\n", (unsigned)load_le(c, 2),
               (unsigned)load_le(c + 2, 2));
    if (load_le(c + 0x2c, 2))
        weir_textf(out, "      PCI subsystem %04x:%04x\n", (unsigned)load_le(c + 0x2c, 2),
                   (unsigned)load_le(c + 0x2e, 2));
    if (c[0x3d])
        weir_textf(out, "      IRQ %d, pin %c\n", c[0x3c], 'A' + c[0x3d] - 1);
    for (unsigned n = 0; n < ARRAY_SIZE(f->bar); n++)
        put_bar(f, n, out);
    weir_textf(out, "      id \"%s\"\n", weir_dev_id(f->dev));
}

void pci_info(weir_dev *host, struct weir_text *out)
{
    const struct pci_bus *bus = i440fx_bus(host);
    for (unsigned devfn = 0; devfn < ARRAY_SIZE(bus->function); devfn++)
        if (bus->function[devfn])
            put_function(bus->function[devfn], out);
}
