/* SPDX-License-Identifier: MIT */
/*
 * pam.c - the 440FX's programmable attribute map (datasheet 3.2.19), as regions over RAM.
 *
 *   readable writable   shown
 *      yes     yes      RAM: no region
 *      yes     no       ram_region, a read-only view of the RAM
 *      no      no       rom_region, or below E0000h mixed_region (ones, the empty PCI bus)
 *      no      yes      mixed_region: reads from ROM, writes to RAM
 */
#include "board/firmware.h"
#include "dev/pci_board.h"

#define PAM_PRIORITY 10
#define ROM_START    0xe0000u

static uint64_t mixed_read(void *ctx, uint64_t offset, unsigned size)
{
    const struct pam_segment *s = ctx;
    return s->rom ? load_le(s->rom + offset, size) : ~0ull;
}

static void mixed_write(void *ctx, uint64_t offset, uint64_t value, unsigned size)
{
    const struct pam_segment *s = ctx;
    if (!s->writable || !s->ram)
        return;
    store_le(s->ram + offset, value, size);
    const struct bus *bus = &s->vm->mem;
    uint64_t gpa = s->start + offset;
    uint8_t tag = __atomic_load_n(&s->vm->ram.tags[gpa / RAM_PAGE_BYTES], __ATOMIC_ACQUIRE);
    if ((tag & RAM_CODE) && bus->code_written)
        bus->code_written(bus->changed_ctx, gpa, size);
}

static const struct weir_io_ops mixed_ops = {mixed_read, mixed_write, 1, 8, false};

static void show(struct weir_region *region, bool on)
{
    if (region)
        bus_region_set(region, region->start, on, region->read_only);
}

void pam_set(void *ctx, unsigned segment, bool readable, bool writable)
{
    struct weir *vm = ctx;
    if (!vm->firmware || segment >= PAM_SEGMENT_COUNT)
        return;
    struct pam_segment *s = &vm->firmware->pam[segment];
    bool rom = !readable && !writable && s->rom_region;
    s->writable = writable;
    show(s->rom_region, rom);
    show(s->ram_region, readable && !writable);
    show(s->mixed_region, !readable && !rom);
}

static int segment_init(struct weir *vm, struct pam_segment *s, unsigned n, const uint8_t *rom)
{
    struct bus *bus = &vm->mem;
    uint32_t bytes = pam_segment_bytes(n);
    *s = (struct pam_segment){.vm = vm, .start = pam_segment_start(n)};
    if (s->start >= ROM_START && rom)
        s->rom = rom + (s->start - ROM_START);
    if (s->start + bytes <= vm->ram.below_4g)
        s->ram = vm->ram.base + s->start;
    s->mixed_region =
        bus_map_io(bus, s->start, bytes, &mixed_ops, s, PAM_PRIORITY, "pam-mixed");
    if (s->rom)
        s->rom_region = bus_map_memory(bus, s->start, bytes, (void *)(uintptr_t)s->rom, NULL,
                                       true, PAM_PRIORITY, "pam-rom");
    if (s->ram)
        s->ram_region = bus_map_memory(bus, s->start, bytes, s->ram,
                                       vm->ram.tags + s->start / RAM_PAGE_BYTES, true,
                                       PAM_PRIORITY, "pam-ram");
    if (!s->mixed_region || (s->rom && !s->rom_region) || (s->ram && !s->ram_region))
        return err_set(&vm->err, WEIR_ENOMEM, "out of memory");
    pam_set(vm, n, false, false);
    return 0;
}

int pam_init(struct weir *vm, const uint8_t *rom)
{
    for (unsigned n = 0; n < PAM_SEGMENT_COUNT; n++) {
        int rc = segment_init(vm, &vm->firmware->pam[n], n, rom);
        if (rc < 0)
            return rc;
    }
    return 0;
}
