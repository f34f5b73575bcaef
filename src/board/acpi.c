/* SPDX-License-Identifier: MIT */
/*
 * acpi.c - RSDP, RSDT, XSDT, FADT, FACS, MADT, HPET and DSDT (ACPI 6.4 chapter 5). The DSDT is
 * compiled from dsdt.asl into dsdt_aml.h; only its PRES integer is patched. Fixed hardware is
 * the PIIX4's: PMBASE 600h as SeaBIOS sets it, SCI on IRQ 9.
 */
#include "board/acpi.h"
#include "board/firmware.h"
#include "board/dsdt_aml.h"
#include "dev/fw_cfg.h"

#include <assert.h>
#include <stdlib.h>

#define HEADER_BYTES       36u
#define CAPACITY           0x10000u
#define ALIGNMENT          64u /* of the FACS; it comes first */
#define PMBASE             0x600u
#define SCI_IRQ            9
#define LOADER_ENTRY_BYTES 128u
#define TABLES_FILE        "etc/acpi/tables"
#define RSDP_FILE          "etc/acpi/rsdp"
#define LOADER_FILE        "etc/table-loader"

/* ---- building ---- */

static void put(struct acpi_tables *t, uint64_t value, unsigned bytes)
{
    store_le(t->data + t->length, value, bytes);
    t->length += bytes;
}

static void put_bytes(struct acpi_tables *t, const void *bytes, uint32_t count)
{
    memcpy(t->data + t->length, bytes, count);
    t->length += count;
}

static void link_pointer(struct acpi_tables *t, bool in_rsdp, uint32_t offset, unsigned size,
                         uint32_t target)
{
    store_le((in_rsdp ? t->rsdp : t->data) + offset, target, size);
    t->links[t->link_count++] =
        (struct acpi_link){.in_rsdp = in_rsdp, .size = (uint8_t)size, .offset = offset};
}

static void link_checksum(struct acpi_tables *t, bool in_rsdp, uint32_t offset, uint32_t start,
                          uint32_t length)
{
    t->links[t->link_count++] = (struct acpi_link){.is_checksum = true,
                                                   .in_rsdp = in_rsdp,
                                                   .offset = offset,
                                                   .start = start,
                                                   .length = length};
}

static uint32_t begin(struct acpi_tables *t, const char signature[4], uint8_t revision)
{
    t->length = (t->length + 15) & ~15u;
    uint32_t start = t->length;
    put_bytes(t, signature, 4);
    put(t, 0, 4); /* length */
    put(t, revision, 1);
    put(t, 0, 1); /* checksum */
    put_bytes(t, "WEIR  WEIRPC  ", 14);
    put(t, 1, 4);
    put_bytes(t, "WEIR", 4);
    put(t, 1, 4);
    return start;
}

static void end(struct acpi_tables *t, uint32_t start)
{
    store_le(t->data + start + 4, t->length - start, 4);
}

static void checksum_table(struct acpi_tables *t, uint32_t start)
{
    uint32_t length = (uint32_t)load_le(t->data + start + 4, 4);
    link_checksum(t, false, start + 9, start, length);
}

/* ---- tables ---- */

static uint32_t build_facs(struct acpi_tables *t)
{
    uint32_t start = t->length;
    put_bytes(t, "FACS", 4);
    put(t, 64, 4);
    memset(t->data + t->length, 0, 56);
    t->length += 56;
    t->data[start + 32] = 1; /* version */
    return start;
}

static void set_presence(uint8_t *dsdt, const struct acpi_machine *m)
{
    static const uint8_t name[] = {0x08, 'P', 'R', 'E', 'S', 0x0c}; /* Name (PRES, DWord) */
    uint32_t present = m->com1 | m->com2 << 1 | m->floppy << 2 | m->hpet << 3 |
                       m->keyboard << 4 | (m->pci_high_bytes != 0) << 5;
    for (uint32_t i = 0; i + sizeof(name) + 4 <= sizeof(dsdt_aml); i++)
        if (!memcmp(dsdt + i, name, sizeof(name)))
            store_le(dsdt + i + sizeof(name), present, 4);
}

/* The one QWord address space descriptor (ACPI 2.0, 6.4.3.5.1): minimum, maximum, length. */
static void set_high_window(uint8_t *dsdt, const struct acpi_machine *m)
{
    static const uint8_t head[] = {0x8a, 0x2b, 0x00, 0x00};
    for (uint32_t i = 0; m->pci_high_bytes && i + 46 <= sizeof(dsdt_aml); i++)
        if (!memcmp(dsdt + i, head, sizeof(head))) {
            store_le(dsdt + i + 14, m->pci_high_start, 8);
            store_le(dsdt + i + 22, m->pci_high_start + m->pci_high_bytes - 1, 8);
            store_le(dsdt + i + 38, m->pci_high_bytes, 8);
        }
}

static uint32_t build_dsdt(struct acpi_tables *t, const struct acpi_machine *m)
{
    t->length = (t->length + 15) & ~15u;
    uint32_t start = t->length;
    put_bytes(t, dsdt_aml, sizeof(dsdt_aml));
    set_presence(t->data + start, m);
    set_high_window(t->data + start, m);
    memcpy(t->data + start + 28, "WEIR\1\0\0", 8); /* creator: iasl's version varies */
    t->data[start + 9] = 0;
    return start;
}

static void put_register(struct acpi_tables *t, unsigned port, unsigned bits, unsigned access)
{
    put(t, 1, 1); /* system I/O */
    put(t, bits, 1);
    put(t, 0, 1);
    put(t, access, 1);
    put(t, port, 8);
}

static void put_no_register(struct acpi_tables *t)
{
    put(t, 0, 8);
    put(t, 0, 4);
}

enum {
    FADT_WBINVD = BIT(0),
    FADT_PROC_C1 = BIT(2),
    FADT_NO_SLEEP_BUTTON = BIT(5),
    FADT_RTC_S4 = BIT(7),
    FADT_RESET_REGISTER = BIT(10),
    FADT_PLATFORM_CLOCK = BIT(15), /* prefer the PM timer */
};

static uint32_t build_fadt(struct acpi_tables *t, uint32_t facs, uint32_t dsdt,
                           const struct acpi_machine *m)
{
    uint32_t start = begin(t, "FACP", 3);
    link_pointer(t, false, t->length, 4, facs);
    t->length += 4;
    link_pointer(t, false, t->length, 4, dsdt);
    t->length += 4;
    put(t, 0, 1);
    put(t, 0, 1); /* no preferred power management profile */
    put(t, SCI_IRQ, 2);
    put(t, 0xb2, 4); /* SMI command port: ACPI on F1h, off F0h */
    put(t, 0xf1, 1);
    put(t, 0xf0, 1);
    put(t, 0, 2);
    put(t, PMBASE, 4); /* PM1a event */
    put(t, 0, 4);
    put(t, PMBASE + 4, 4); /* PM1a control */
    put(t, 0, 8);
    put(t, PMBASE + 8, 4); /* timer */
    put(t, 0, 8);          /* no general purpose events */
    put(t, 4, 1);
    put(t, 2, 1);
    put(t, 0, 1);
    put(t, 4, 1);
    put(t, 0, 4);
    put(t, 0xfff, 2); /* C2, C3 latency: not there */
    put(t, 0xfff, 2);
    put(t, 0, 8);
    put(t, 0x32, 1);                /* century in CMOS */
    put(t, m->keyboard ? 3 : 1, 2); /* legacy devices, 8042 */
    put(t, 0, 1);
    put(t,
        FADT_WBINVD | FADT_PROC_C1 | FADT_NO_SLEEP_BUTTON | FADT_RTC_S4 | FADT_RESET_REGISTER |
            FADT_PLATFORM_CLOCK,
        4);
    put_register(t, 0xcf9, 8, 1);
    put(t, 0x0f, 1);
    put(t, 0, 3);
    put(t, 0, 8); /* the FACS is in the 32-bit field */
    link_pointer(t, false, t->length, 8, dsdt);
    t->length += 8;
    put_register(t, PMBASE, 32, 2);
    put_no_register(t);
    put_register(t, PMBASE + 4, 16, 2);
    put_no_register(t);
    put_no_register(t);
    put_register(t, PMBASE + 8, 32, 3);
    put_no_register(t);
    put_no_register(t);
    end(t, start);
    return start;
}

static void put_override(struct acpi_tables *t, unsigned irq, unsigned gsi, unsigned flags)
{
    put(t, 2, 1);
    put(t, 10, 1);
    put(t, 0, 1);
    put(t, irq, 1);
    put(t, gsi, 4);
    put(t, flags, 2);
}

static uint32_t build_madt(struct acpi_tables *t)
{
    static const uint8_t level_irqs[] = {5, SCI_IRQ, 10, 11};
    uint32_t start = begin(t, "APIC", 1);
    put(t, 0xfee00000, 4);
    put(t, 1, 4);      /* there are 8259s, too */
    put(t, 0x0800, 2); /* local APIC: processor 0, APIC ID 0, enabled */
    put(t, 0, 2);
    put(t, 1, 4);
    put(t, 0x0c01, 2); /* I/O APIC 0, GSI 0 */
    put(t, 0, 2);
    put(t, 0xfec00000, 4);
    put(t, 0, 4);
    put_override(t, 0, 2, 0);
    for (unsigned i = 0; i < sizeof(level_irqs); i++)
        put_override(t, level_irqs[i], level_irqs[i], 0xd); /* level, active high */
    put(t, 0x0604, 2);                                      /* NMI on LINT1 of all processors */
    put(t, 0xff, 1);
    put(t, 0, 2);
    put(t, 1, 1);
    end(t, start);
    return start;
}

static uint32_t build_hpet(struct acpi_tables *t)
{
    uint32_t start = begin(t, "HPET", 1);
    put(t, 0x8086a201, 4); /* low half of the capabilities register */
    put(t, 0, 4);          /* in memory */
    put(t, 0xfed00000, 8);
    put(t, 0, 4);
    end(t, start);
    return start;
}

/* RSDT and XSDT. */
static uint32_t build_root(struct acpi_tables *t, const uint32_t *tables, unsigned count,
                           unsigned pointer_bytes)
{
    uint32_t start = begin(t, pointer_bytes == 8 ? "XSDT" : "RSDT", 1);
    for (unsigned i = 0; i < count; i++) {
        link_pointer(t, false, t->length, pointer_bytes, tables[i]);
        t->length += pointer_bytes;
    }
    end(t, start);
    return start;
}

static void build_rsdp(struct acpi_tables *t, uint32_t rsdt, uint32_t xsdt)
{
    memcpy(t->rsdp, "RSD PTR ", 8);
    memcpy(t->rsdp + 9, "WEIR  ", 6);
    t->rsdp[15] = 2;
    store_le(t->rsdp + 20, ACPI_RSDP_BYTES, 4);
    link_pointer(t, true, 16, 4, rsdt);
    link_pointer(t, true, 24, 8, xsdt);
}

int acpi_build(const struct acpi_machine *m, struct acpi_tables *t)
{
    static_assert(sizeof(dsdt_aml) < CAPACITY - 4096, "the tables fit");
    uint32_t tables[3];
    unsigned count = 0;
    *t = (struct acpi_tables){.capacity = CAPACITY, .data = calloc(1, CAPACITY)};
    if (!t->data)
        return -WEIR_ENOMEM;
    uint32_t facs = build_facs(t);
    uint32_t dsdt = build_dsdt(t, m);
    tables[count++] = build_fadt(t, facs, dsdt, m);
    if (m->apic)
        tables[count++] = build_madt(t);
    if (m->hpet)
        tables[count++] = build_hpet(t);
    uint32_t rsdt = build_root(t, tables, count, 4);
    uint32_t xsdt = build_root(t, tables, count, 8);
    build_rsdp(t, rsdt, xsdt);
    checksum_table(t, dsdt);
    for (unsigned i = 0; i < count; i++)
        checksum_table(t, tables[i]);
    checksum_table(t, rsdt);
    checksum_table(t, xsdt);
    link_checksum(t, true, 8, 0, 20);
    link_checksum(t, true, 32, 0, ACPI_RSDP_BYTES);
    return 0;
}

void acpi_free(struct acpi_tables *t)
{
    free(t->data);
    t->data = NULL;
}

/* ---- links ---- */

void acpi_relocate(struct acpi_tables *t, uint64_t gpa)
{
    for (unsigned i = 0; i < t->link_count; i++) {
        const struct acpi_link *l = &t->links[i];
        uint8_t *base = l->in_rsdp ? t->rsdp : t->data;
        if (!l->is_checksum) {
            store_le(base + l->offset, load_le(base + l->offset, l->size) + gpa, l->size);
            continue;
        }
        uint8_t sum = 0;
        for (uint32_t k = 0; k < l->length; k++)
            sum += base[l->start + k];
        base[l->offset] -= sum;
    }
}

enum { LOADER_ALLOCATE = 1, LOADER_ADD_POINTER = 2, LOADER_ADD_CHECKSUM = 3 };
enum { ZONE_HIGH = 1, ZONE_F_SEGMENT = 2 };

/* File names have 56 bytes in a command; ours are short. */
static void put_name(uint8_t *field, const char *name)
{
    memcpy(field, name, strlen(name));
}

static void loader_allocate(uint8_t *entry, const char *file, uint32_t alignment, uint8_t zone)
{
    store_le(entry, LOADER_ALLOCATE, 4);
    put_name(entry + 4, file);
    store_le(entry + 60, alignment, 4);
    entry[64] = zone;
}

static void loader_link(uint8_t *entry, const struct acpi_link *l)
{
    const char *file = l->in_rsdp ? RSDP_FILE : TABLES_FILE;
    put_name(entry + 4, file);
    if (l->is_checksum) {
        store_le(entry, LOADER_ADD_CHECKSUM, 4);
        store_le(entry + 60, l->offset, 4);
        store_le(entry + 64, l->start, 4);
        store_le(entry + 68, l->length, 4);
    } else {
        store_le(entry, LOADER_ADD_POINTER, 4);
        put_name(entry + 60, TABLES_FILE);
        store_le(entry + 116, l->offset, 4);
        entry[120] = l->size;
    }
}

static struct acpi_machine describe(const struct weir *vm)
{
    uint64_t bytes, start = pci_high_window((struct weir *)vm, &bytes);
    return (struct acpi_machine){
        .pci_high_start = start,
        .pci_high_bytes = bytes,
        .com1 = vm->serial[0] || !vm->config.no_devices, /* as pc.c makes it */
        .com2 = vm->serial[1] != NULL,
        .floppy = weir_dev_find((struct weir *)vm, "isa-fdc", NULL) != NULL,
        .hpet = weir_dev_find((struct weir *)vm, "hpet", NULL) != NULL,
        .keyboard = vm->kbd != NULL,
        .apic = vm->ioapic != NULL,
    };
}

int acpi_add_files(struct weir *vm)
{
    struct acpi_machine machine = describe(vm);
    struct acpi_tables t;
    if (acpi_build(&machine, &t) < 0)
        return err_set(&vm->err, WEIR_ENOMEM, "out of memory");
    uint8_t loader[(ACPI_MAX_LINKS + 2) * LOADER_ENTRY_BYTES] = {0};
    loader_allocate(loader, RSDP_FILE, 16, ZONE_F_SEGMENT);
    loader_allocate(loader + LOADER_ENTRY_BYTES, TABLES_FILE, ALIGNMENT, ZONE_HIGH);
    for (unsigned i = 0; i < t.link_count; i++)
        loader_link(loader + (i + 2) * LOADER_ENTRY_BYTES, &t.links[i]);
    int rc = fw_cfg_add_file(vm->fw_cfg, TABLES_FILE, t.data, t.length);
    if (rc == 0)
        rc = fw_cfg_add_file(vm->fw_cfg, RSDP_FILE, t.rsdp, sizeof(t.rsdp));
    if (rc == 0)
        rc = fw_cfg_add_file(vm->fw_cfg, LOADER_FILE, loader,
                             (t.link_count + 2) * LOADER_ENTRY_BYTES);
    acpi_free(&t);
    return rc;
}

int acpi_install(struct weir *vm, uint64_t gpa, uint32_t room_bytes, uint64_t rsdp_gpa)
{
    struct acpi_machine machine = describe(vm);
    struct acpi_tables t;
    if (acpi_build(&machine, &t) < 0)
        return err_set(&vm->err, WEIR_ENOMEM, "out of memory");
    acpi_relocate(&t, gpa);
    if (t.length <= room_bytes) {
        bus_write_block(&vm->mem, gpa, t.data, t.length);
        bus_write_block(&vm->mem, rsdp_gpa, t.rsdp, sizeof(t.rsdp));
    }
    acpi_free(&t);
    return 0;
}
