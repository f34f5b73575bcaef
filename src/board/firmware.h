/* SPDX-License-Identifier: MIT */
/*
 * firmware.h - what the board does instead of a person with a ROM programmer: firmware images,
 * tables for the firmware, kernels started directly. Called by pc.c, in this order, once, when
 * all devices exist: firmware_load, firmware_tables, boot_kernel; then boot_reset after every
 * machine reset (the devices and the vCPU have been reset before it).
 *
 * All return 0 or -WEIR_E* with vm->err set. Device lock held.
 */
#ifndef BOARD_FIRMWARE_H
#define BOARD_FIRMWARE_H

#include "board/machine.h"

#define PAM_SEGMENT_COUNT 13u
struct pam_segment {
    struct weir *vm;
    const uint8_t *rom; /* NULL below E0000h: reads as ones */
    uint8_t *ram;       /* NULL where the machine has no RAM */
    uint64_t start;
    bool writable;
    struct weir_region *rom_region, *ram_region, *mixed_region;
};

struct kernel; /* boot_kernel.c: a kernel and its modules, checked */

struct firmware {
    uint8_t *image; /* page-aligned; ends at 4 GiB */
    uint32_t image_bytes;
    uint8_t *low; /* 128 KiB at E0000h: the end of image */
    struct pam_segment pam[PAM_SEGMENT_COUNT];
    struct kernel *kernel;
};

/* ---- boot_bios.c ---- */
/* Finds a firmware file by name or path: config.firmware_dir (only there, if set), else
 * /usr/share/seabios, /usr/share/qemu, "."; allocates. NULL if there is none. */
char *firmware_find(struct weir *vm, const char *name);
/* Reads a whole file of at most `limit` bytes; *data is malloc'ed. The error names the file. */
int firmware_read(struct weir *vm, const char *path, uint32_t limit, uint8_t **data,
                  uint32_t *length);
/* Loads config.bios and maps it below 4 GiB, and its last 128 KiB at E0000h under PAM control.
 * Also sets up the PAM segments. */
int firmware_load(struct weir *vm);
void firmware_free(struct weir *vm);
/* Fills fw_cfg (tables, sizes, boot order) and the CMOS. */
int firmware_tables(struct weir *vm);

/* ---- boot_kernel.c ---- */
/* If vm->boot.kernel is set: reads and checks kernel, initrd/modules. Otherwise does nothing.
 */
int boot_kernel(struct weir *vm);
/* Before the first instruction after a reset: CMOS values; with a kernel: loads it afresh, sets
 * up PCI, VGA, and the CPU at its entry. */
int boot_reset(struct weir *vm);
void kernel_free(struct kernel *kernel);

/* ---- pam.c ---- */
/* Regions over the RAM at C0000h-FFFFFh that show ROM, the empty PCI bus or read-only RAM as
 * the 440FX's PAM registers say. pam_set is a pam_fn (dev/pci_board.h): segment 0 = F0000h,
 * 1-12 = C0000h + (n - 1) * 4000h; ctx is the struct weir. `rom` is the 128 KiB seen at E0000h.
 */
int pam_init(struct weir *vm, const uint8_t *rom);
void pam_set(void *vm, unsigned segment, bool readable, bool writable);

/* ---- pci_assign.c ---- */
/* What firmware would do to PCI: BARs, interrupt lines, PIRQ routes, PMBASE, decoding on. */
void pci_assign_resources(struct weir *vm);
/* Addresses above RAM for large 64-bit BARs; 0 bytes if no function has any. */
uint64_t pci_high_window(struct weir *vm, uint64_t *bytes);

#endif
