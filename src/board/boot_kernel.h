/* SPDX-License-Identifier: MIT */
/*
 * boot_kernel.h - kernels started without firmware: what boot_kernel.c shares with the two
 * formats.
 *
 * The *_layout functions are pure: they see only the file's bytes and the sizes, and decide
 * where everything goes. A file is hostile; `why` gets one line of text (without the file's
 * name).
 */
#ifndef BOARD_BOOT_KERNEL_H
#define BOARD_BOOT_KERNEL_H

#include "board/firmware.h"

/* Low memory while a kernel starts; all of it is free for the kernel as soon as it wants. */
enum {
    BOOT_PARAMS_GPA = 0x10000, /* Linux: zero page; multiboot: information structures, 60 KiB */
    BOOT_GDT_GPA = 0x9000,
    BOOT_CMDLINE_GPA = 0x20000,
    BOOT_CMDLINE_MAX = 0x10000,
    BOOT_LOW_FREE_GPA = 0x30000, /* kernels may have [this, BOOT_LOW_END) */
    BOOT_LOW_END = 0x9fc00,      /* the EBDA */
    BOOT_ROM_GPA = 0xc0000,
    BOOT_HIGH_MEMORY = 0x100000,
};
/* ACPI and SMBIOS tables: the last of the RAM below 4 GiB. */
#define BOOT_TABLES_BYTES 0x20000u

struct kernel_module {
    char *text; /* as given: file name and arguments */
    uint8_t *data;
    uint32_t length;
};

struct linux_layout {
    uint32_t setup_bytes;              /* real-mode part, in the file before the kernel */
    uint32_t kernel_gpa, kernel_bytes; /* protected-mode part */
    uint32_t entry;
    uint32_t initrd_gpa, initrd_bytes; /* bytes 0: none */
    uint16_t protocol;
};
int linux_layout(const uint8_t *image, uint32_t length, uint32_t initrd_bytes,
                 uint32_t cmdline_bytes, uint64_t ram_end, struct linux_layout *out,
                 char why[160]);

#define MULTIBOOT_SEGMENTS 32u
#define MULTIBOOT_MODULES  64u
struct multiboot_layout {
    uint32_t flags, entry, end; /* end: first byte behind the kernel and its bss */
    unsigned segment_count;
    struct {
        uint32_t offset, file_bytes, gpa, bytes;
    } segment[MULTIBOOT_SEGMENTS];
};
/* True if there is a multiboot header in the first 8 KiB. */
bool multiboot_detect(const uint8_t *image, uint32_t length);
int multiboot_layout(const uint8_t *image, uint32_t length, uint64_t ram_end,
                     struct multiboot_layout *out, char why[160]);

struct kernel {
    bool is_multiboot;
    char *path, *cmdline;
    uint8_t *image;
    uint32_t length;
    struct kernel_module *modules; /* Linux: the initrd, if any */
    unsigned module_count;
    uint64_t ram_end; /* RAM for the kernel ends here: the tables follow */
    struct linux_layout bzimage;
    struct multiboot_layout multiboot;
};

/* Decide and check when the file is read; errors name the file. */
int linux_prepare(struct weir *vm, struct kernel *kernel);
int multiboot_prepare(struct weir *vm, struct kernel *kernel);
/* Copy into RAM and set the vCPU. */
void linux_start(struct weir *vm, const struct kernel *kernel, uint32_t rsdp_gpa);
void multiboot_start(struct weir *vm, const struct kernel *kernel);
/* The vCPU in 32-bit protected mode, flat, paging off, interrupts off; a GDT with code at 10h
 * and data at 18h. General registers zero. */
void boot_flat32(struct weir *vm, uint32_t entry);
void boot_store(struct weir *vm, uint64_t gpa, const void *data, uint64_t length);

#endif
