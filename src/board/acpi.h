/* SPDX-License-Identifier: MIT */
/*
 * acpi.h - the ACPI tables of the PC, built once per VM as one relocatable blob: pointers in it
 * are offsets until the links are applied, by SeaBIOS (etc/table-loader) or by acpi_install.
 */
#ifndef BOARD_ACPI_H
#define BOARD_ACPI_H

#include "board/machine.h"

#define ACPI_RSDP_BYTES 36u
#define ACPI_MAX_LINKS  32u

struct acpi_link {
    bool is_checksum, in_rsdp; /* in_rsdp: the field is in the RSDP, else in the tables */
    uint8_t size;              /* pointer: bytes of the field; it points into the tables */
    uint32_t offset;           /* of the field */
    uint32_t start, length;    /* checksum: what it covers */
};

struct acpi_tables {
    uint8_t *data;
    uint32_t length, capacity;
    uint8_t rsdp[ACPI_RSDP_BYTES];
    struct acpi_link links[ACPI_MAX_LINKS]; /* to be applied in order */
    unsigned link_count;
};

/* What the machine has, for the DSDT's _STA methods and the MADT. */
struct acpi_machine {
    bool com1, com2, floppy, hpet, keyboard, apic;
    uint64_t pci_high_start, pci_high_bytes; /* 0: none */
};

int acpi_build(const struct acpi_machine *machine, struct acpi_tables *out); /* 0, -ENOMEM */
void acpi_free(struct acpi_tables *tables);
/* Makes pointers absolute for tables at `gpa` and fills in the checksums. */
void acpi_relocate(struct acpi_tables *tables, uint64_t gpa);

/* Files etc/acpi/tables, etc/acpi/rsdp, etc/table-loader. */
int acpi_add_files(struct weir *vm);
/* Into guest memory, for kernels started without firmware. */
int acpi_install(struct weir *vm, uint64_t gpa, uint32_t room_bytes, uint64_t rsdp_gpa);

#endif
