/* SPDX-License-Identifier: MIT */
/*
 * firmware_tables.c - what the firmware is told: fw_cfg items and CMOS bytes, at the places
 * where SeaBIOS (and the operating systems that read the CMOS themselves) expect them.
 */
#include "board/acpi.h"
#include "board/e820.h"
#include "board/firmware.h"
#include "board/smbios.h"
#include "dev/chips.h"
#include "dev/fw_cfg.h"
#include "dev/pci_board.h"

/* ---- CMOS ---- */

struct cmos {
    weir_dev *rtc;
};

static void set(struct cmos *cmos, unsigned index, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        rtc_cmos_set(cmos->rtc, index + i, (uint8_t)(value >> (8 * i)));
}

static uint64_t at_most(uint64_t value, uint64_t limit)
{
    return value < limit ? value : limit;
}

static void set_memory(struct cmos *cmos, const struct ram *ram)
{
    uint64_t low = ram->below_4g, high = ram->bytes - ram->below_4g;
    uint64_t extended = low > 1 << 20 ? (low - (1 << 20)) >> 10 : 0;
    uint64_t above_16m = low > 16 << 20 ? (low - (16 << 20)) >> 16 : 0;
    set(cmos, 0x15, at_most(low >> 10, 640), 2);
    set(cmos, 0x17, at_most(extended, 0xffff), 2);
    set(cmos, 0x30, at_most(extended, 0xffff), 2);
    set(cmos, 0x34, at_most(above_16m, 0xffff), 2);
    set(cmos, 0x5b, at_most(high >> 16, 0xffffff), 3);
}

/* Both the type of a floppy drive and the geometry of a disk are what the controllers say, so
 * that firmware and hardware agree. */
static unsigned floppy_type(struct weir *vm, unsigned index)
{
    weir_dev *fdc = weir_dev_find(vm, fdc_class.name, NULL);
    return fdc ? fdc_cmos_type(fdc, index) : 0;
}

static void set_floppies(struct cmos *cmos, struct weir *vm)
{
    unsigned a = floppy_type(vm, 0), b = floppy_type(vm, 1);
    unsigned count = (a != 0) + (b != 0);
    unsigned equipment = 0x06; /* coprocessor, pointing device */
    if (count)
        equipment |= 0x01 | (count - 1) << 6;
    set(cmos, 0x10, a << 4 | b, 1);
    set(cmos, 0x14, equipment, 1);
}

/* Types and geometry of the first two IDE disks, BIOS translation of all four. */
static void set_disks(struct cmos *cmos, struct weir *vm)
{
    unsigned types = 0, translation = 0;
    weir_dev *ide = weir_dev_find(vm, piix3_ide_class.name, NULL);
    for (unsigned i = 0; i < 4; i++) {
        struct ide_geometry g;
        if (!ide || !piix3_ide_geometry(ide, i, &g))
            continue;
        translation |= g.translation << (2 * i);
        if (i > 1)
            continue;
        types |= 0xf0u >> (4 * i);
        unsigned at = i == 0 ? 0x1b : 0x24;
        set(cmos, i == 0 ? 0x19 : 0x1a, 47, 1); /* user-defined type */
        set(cmos, at, g.cylinders, 2);
        set(cmos, at + 2, g.heads, 1);
        set(cmos, at + 3, 0xffff, 2); /* no write precompensation */
        set(cmos, at + 5, 0xc8, 1);
        set(cmos, at + 6, g.cylinders, 2);
        set(cmos, at + 8, g.sectors, 1);
    }
    set(cmos, 0x12, types, 1);
    set(cmos, 0x39, translation, 1);
}

/* Digits of the boot sequence: 1 floppy, 2 hard disk, 3 CD-ROM, 4 network. First in 3Dh bits
 * 3:0, second in 3Dh bits 7:4, third in 38h bits 7:4; 38h bit 0: no floppy signature check. */
static int set_boot_order(struct cmos *cmos, struct weir *vm)
{
    static const char letters[] = "acdn";
    const char *order = vm->config.boot_order ? vm->config.boot_order : "cda";
    unsigned digits = 0;
    for (unsigned i = 0; order[i]; i++) {
        const char *letter = strchr(letters, order[i]);
        if (!letter)
            return err_set(&vm->err, WEIR_EINVAL, "boot order '%s': '%c' is none of a, c, d, n",
                           order, order[i]);
        if (i < 3)
            digits |= (unsigned)(letter - letters + 1) << (4 * i);
    }
    set(cmos, 0x3d, digits & 0xff, 1);
    set(cmos, 0x38, (digits >> 8) << 4, 1);
    return 0;
}

static int fill_cmos(struct weir *vm)
{
    struct cmos cmos = {weir_dev_find(vm, rtc_146818_class.name, NULL)};
    if (!cmos.rtc)
        return 0;
    set_memory(&cmos, &vm->ram);
    set_floppies(&cmos, vm);
    set_disks(&cmos, vm);
    set(&cmos, 0x5f, vm->config.vcpus ? vm->config.vcpus - 1 : 0, 1);
    return set_boot_order(&cmos, vm);
}

/* ---- fw_cfg ---- */

static int add_numbers(struct weir *vm)
{
    static const uint64_t numa[3]; /* no nodes; one CPU without node */
    weir_dev *fw = vm->fw_cfg;
    unsigned cpus = vm->config.vcpus ? vm->config.vcpus : 1;
    int rc = fw_cfg_add_number(fw, FW_CFG_RAM_BYTES, vm->ram.bytes, 8);
    rc = rc ? rc : fw_cfg_add_key(fw, FW_CFG_UUID, vm->config.uuid, 16);
    rc = rc ? rc : fw_cfg_add_number(fw, FW_CFG_NO_GRAPHIC, !vm->vga, 2);
    rc = rc ? rc : fw_cfg_add_number(fw, FW_CFG_CPUS, cpus, 2);
    rc = rc ? rc : fw_cfg_add_number(fw, FW_CFG_MAX_CPUS, cpus, 2);
    rc = rc ? rc : fw_cfg_add_number(fw, FW_CFG_BOOT_MENU, vm->config.boot_menu, 2);
    rc = rc ? rc : fw_cfg_add_number(fw, FW_CFG_IRQ0_OVERRIDE, 1, 1);
    return rc ? rc : fw_cfg_add_key(fw, FW_CFG_NUMA, numa, sizeof(numa));
}

static int add_memory_map(struct weir *vm)
{
    struct e820_entry map[E820_MAX];
    unsigned count = e820_ram(&vm->ram, map);
    return fw_cfg_add_file(vm->fw_cfg, "etc/e820", map, count * sizeof(map[0]));
}

/* SeaBIOS then answers INT 10h and INT 16h on this port as well as on the screen. */
static int add_serial_console(struct weir *vm)
{
    static const uint8_t port[2] = {0xf8, 0x03};
    if (!vm->config.screen_on_serial)
        return 0;
    return fw_cfg_add_file(vm->fw_cfg, "etc/sercon-port", port, sizeof(port));
}

int firmware_tables(struct weir *vm)
{
    int rc = fill_cmos(vm);
    if (rc < 0 || !vm->fw_cfg)
        return rc;
    rc = add_numbers(vm);
    rc = rc ? rc : add_memory_map(vm);
    rc = rc ? rc : add_serial_console(vm);
    rc = rc ? rc : acpi_add_files(vm);
    return rc ? rc : smbios_add_files(vm);
}
