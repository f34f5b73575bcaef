/* SPDX-License-Identifier: MIT */
/*
 * pci_board.h - what the board needs of the PCI host, the south bridge and the drives' devices:
 * classes, the connections that are not properties, and the text of `info pci`.
 *
 * Order of creation: i440fx_class first (every pci_register looks for it), then piix3_class,
 * then the rest. Wires:
 *
 *   INTx of (slot, pin) --(slot + pin - 2) & 3--> PIRQ A-D --PIIX3 60h-63h--> GSI 0-15
 *
 * with pin 1 = INTA: slot 1 INTA is PIRQA, slot 0 INTA is PIRQD. The DSDT's _PRT must say the
 * same; the links' IRQ numbers are the ISA IRQs also in I/O APIC mode.
 */
#ifndef DEV_PCI_BOARD_H
#define DEV_PCI_BOARD_H

#include "dev/pci.h"

extern const struct weir_dev_class i440fx_class;        /* "i440FX"            00:00.0 */
extern const struct weir_dev_class piix3_class;         /* "PIIX3"             00:01.0 */
extern const struct weir_dev_class piix3_ide_class;     /* "piix3-ide"         00:01.1 */
extern const struct weir_dev_class fdc_class;           /* "isa-fdc"           */
extern const struct weir_dev_class virtio_blk_class;    /* "virtio-blk-pci"    drive=ID */
extern const struct weir_dev_class virtio_rng_class;    /* "virtio-rng-pci"    */
extern const struct weir_dev_class virtio_serial_class; /* "virtio-serial-pci" chardev=ID */
extern const struct weir_dev_class virtconsole_class;   /* "virtconsole" chardev=ID, after it */

/* 13 segments: 0 = F0000h, 64 KiB; 1-12 = C0000h + (n - 1) * 4000h, 16 KiB each. Readable:
 * reads go to RAM instead of ROM/PCI; writable: writes too. Called for all segments from
 * connect (with their present state) and after every change, also by reset. */
#define PAM_SEGMENTS 13
typedef void pam_fn(void *ctx, unsigned segment, bool readable, bool writable);
void i440fx_connect(weir_dev *host, pam_fn *pam, void *ctx);
static inline weir_gpa pam_segment_start(unsigned segment)
{
    return segment == 0 ? 0xf0000 : 0xc0000 + (weir_gpa)(segment - 1) * 0x4000;
}
static inline uint32_t pam_segment_bytes(unsigned segment)
{
    return segment == 0 ? 0x10000 : 0x4000;
}

/* Messages of MSI-X: a write of `data` to `address` (FEExxxxxh) that reaches the local APIC.
 * Without a handler MSI-X messages are dropped. */
typedef void msi_fn(void *ctx, uint64_t address, uint32_t data);
void pci_set_msi_handler(weir_dev *host, msi_fn *msi, void *ctx);

/* Geometry of IDE hard disk `index` (0-3), false if there is none there. `translation` is the
 * value that SeaBIOS wants in CMOS 39h, bits 2n+1:2n of drive n: 0 none, 1 LBA, 2 large. */
struct ide_geometry {
    unsigned cylinders, heads, sectors, translation;
};
bool piix3_ide_geometry(weir_dev *ide, unsigned index, struct ide_geometry *out);

/* CMOS type of floppy drive 0 or 1, for CMOS 10h: 0 none, 1 360K, 2 1.2M, 3 720K, 4 1.44M,
 * 5 2.88M. */
unsigned fdc_cmos_type(weir_dev *fdc, unsigned drive);

/* `info pci`, `host` is the i440FX. */
void pci_info(weir_dev *host, struct weir_text *out);
/* The function at devfn (slot * 8 + function), NULL if there is none. */
struct pci_function *pci_find(weir_dev *host, unsigned devfn);
/* Config space as the CPU would access it; offset < 256, size 1, 2, 4. For the board and tests.
 */
uint32_t pci_config_read(weir_dev *host, unsigned devfn, unsigned offset, unsigned size);
void pci_config_write(weir_dev *host, unsigned devfn, unsigned offset, uint32_t value,
                      unsigned size);

#endif
