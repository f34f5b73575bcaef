/* SPDX-License-Identifier: MIT */
/* smbios.h - the SMBIOS 2.8 structures of the PC, for the firmware or straight into memory. */
#ifndef BOARD_SMBIOS_H
#define BOARD_SMBIOS_H

#include "board/machine.h"

#define SMBIOS_ANCHOR_BYTES 31u
#define SMBIOS_TABLE_MAX    2048u

struct smbios {
    uint8_t anchor[SMBIOS_ANCHOR_BYTES]; /* checksums filled in by smbios_locate */
    uint8_t table[SMBIOS_TABLE_MAX];
    uint16_t length, largest, count;
};

struct smbios_machine {
    uint8_t uuid[16];
    uint64_t ram_bytes, ram_below_4g;
    uint32_t cpuid_eax, cpuid_edx; /* of leaf 1 */
    char cpu_vendor[13], cpu_brand[49];
};

void smbios_build(const struct smbios_machine *machine, struct smbios *out);
void smbios_locate(struct smbios *smbios, uint32_t table_gpa);

/* Files etc/smbios/smbios-anchor and etc/smbios/smbios-tables. */
int smbios_add_files(struct weir *vm);
/* Anchor at gpa, structures behind it. */
int smbios_install(struct weir *vm, uint64_t gpa);

#endif
