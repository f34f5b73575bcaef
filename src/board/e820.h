/* SPDX-License-Identifier: MIT */
/* e820.h - the memory map as firmware reports it (ACPI 6.4, section 15). */
#ifndef BOARD_E820_H
#define BOARD_E820_H

#include "mem/ram.h"

enum e820_type { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3, E820_NVS = 4 };

struct e820_entry {
    uint64_t start, length;
    uint32_t type;
} __attribute__((packed));

#define E820_MAX 8u

/* RAM alone, for a firmware that adds what it uses. Returns the count. */
unsigned e820_ram(const struct ram *ram, struct e820_entry map[E820_MAX]);
/* What a kernel started without firmware is told: also the EBDA, the BIOS area, and
 * [tables, below 4 GiB's end) for ACPI. */
unsigned e820_direct(const struct ram *ram, uint64_t tables, struct e820_entry map[E820_MAX]);

#endif
