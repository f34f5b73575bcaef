/* SPDX-License-Identifier: MIT */
/* e820.c - see e820.h. Entries are sorted and do not overlap. */
#include "board/e820.h"

#define EBDA_START  0x9fc00u
#define VGA_START   0xa0000u
#define BIOS_START  0xf0000u
#define HIGH_MEMORY 0x100000u
#define FLASH_START 0xfffc0000u
#define FOUR_GIB    0x100000000ull

static void add(struct e820_entry *map, unsigned *count, uint64_t start, uint64_t end,
                enum e820_type type)
{
    if (start < end)
        map[(*count)++] = (struct e820_entry){start, end - start, type};
}

unsigned e820_ram(const struct ram *ram, struct e820_entry map[E820_MAX])
{
    unsigned count = 0;
    add(map, &count, 0, ram->below_4g, E820_RAM);
    add(map, &count, FOUR_GIB, FOUR_GIB + (ram->bytes - ram->below_4g), E820_RAM);
    return count;
}

unsigned e820_direct(const struct ram *ram, uint64_t tables, struct e820_entry map[E820_MAX])
{
    unsigned count = 0;
    uint64_t low_end = ram->below_4g < EBDA_START ? ram->below_4g : EBDA_START;
    add(map, &count, 0, low_end, E820_RAM);
    add(map, &count, EBDA_START, VGA_START, E820_RESERVED);
    add(map, &count, BIOS_START, HIGH_MEMORY, E820_RESERVED);
    add(map, &count, HIGH_MEMORY, tables, E820_RAM);
    add(map, &count, tables, ram->below_4g, E820_ACPI);
    add(map, &count, FLASH_START, FOUR_GIB, E820_RESERVED);
    add(map, &count, FOUR_GIB, FOUR_GIB + (ram->bytes - ram->below_4g), E820_RAM);
    return count;
}
