/* SPDX-License-Identifier: MIT */
/*
 * ata_identify.c - what a hard disk says of itself (ATA/ATAPI-6 section 8.15), and its
 * geometry.
 *
 * Geometry. An image that was partitioned with a small geometry keeps it: the end of the first
 * partition in the MBR tells heads and sectors, and DOS and its boot sectors compute with
 * those. Otherwise 16 heads and 63 sectors. The BIOS translation that belongs to it is what the
 * board writes to CMOS 39h/3Ah.
 */
#include "dev/ide.h"
#include "dev/pci_board.h"
#include "base/bits.h"

#include <string.h>

enum { TRANSLATION_NONE, TRANSLATION_LBA, TRANSLATION_LARGE };

#define CYLINDERS_MAX 16383u
#define LBA28_SECTORS 0x0fffffffu

void ata_put_string(uint8_t *word, const char *text, unsigned bytes)
{
    /* Two characters to a word, the first in the high byte; padded with spaces. */
    for (unsigned n = 0; n < bytes; n++)
        word[n ^ 1] = *text ? (uint8_t)*text++ : ' ';
}

static void standard_geometry(struct ide_drive *d, uint64_t total)
{
    uint64_t cylinders = total / (16 * 63);
    d->cylinders = (uint16_t)(cylinders > CYLINDERS_MAX ? CYLINDERS_MAX
                              : cylinders < 2           ? 2
                                                        : cylinders);
    d->default_heads = 16;
    d->default_sectors = 63;
}

/* Heads and sectors of the first partition that ends on a cylinder boundary. */
static bool partition_geometry(const uint8_t *mbr, uint64_t total, unsigned *heads,
                               unsigned *sectors, uint64_t *cylinders)
{
    if (load_le(mbr + 510, 2) != 0xaa55)
        return false;
    for (unsigned n = 0; n < 4; n++) {
        const uint8_t *entry = mbr + 446 + 16 * n;
        *heads = entry[5] + 1u;
        *sectors = entry[6] & 63u;
        if (load_le(entry + 12, 4) == 0 || *heads == 1 || *sectors == 0)
            continue;
        *cylinders = total / (*heads * *sectors);
        if (*cylinders >= 1 && *cylinders <= CYLINDERS_MAX)
            return true;
    }
    return false;
}

void ata_guess_geometry(struct ide_drive *d)
{
    uint64_t total = d->medium->bytes / ATA_SECTOR_BYTES, cylinders;
    uint8_t mbr[ATA_SECTOR_BYTES];
    unsigned heads, sectors;
    bool known = block_read(d->medium, 0, mbr, sizeof(mbr)) == 0 &&
                 partition_geometry(mbr, total, &heads, &sectors, &cylinders);
    if (known && heads <= 16) {
        d->cylinders = (uint16_t)cylinders;
        d->default_heads = (uint16_t)heads;
        d->default_sectors = (uint16_t)sectors;
        d->translation = TRANSLATION_NONE;
        return;
    }
    standard_geometry(d, total);
    if (known) /* more heads than a disk can have: a BIOS translated */
        d->translation = d->cylinders * 16u <= 131072 ? TRANSLATION_LARGE : TRANSLATION_LBA;
    else
        d->translation = d->cylinders <= 1024 ? TRANSLATION_NONE : TRANSLATION_LBA;
}

static void put16(uint8_t *words, unsigned n, uint32_t value)
{
    store_le(words + 2 * n, value, 2);
}

static void put_geometry(const struct ide_drive *d, uint8_t *w)
{
    put16(w, 1, d->cylinders);
    put16(w, 3, d->default_heads);
    put16(w, 6, d->default_sectors);
    /* Current translation: cylinders follow from what the host set. */
    uint64_t total = d->medium->bytes / ATA_SECTOR_BYTES;
    unsigned per_cylinder = (unsigned)d->heads * d->sectors;
    uint64_t cylinders = per_cylinder ? total / per_cylinder : 0;
    cylinders = cylinders > CYLINDERS_MAX ? CYLINDERS_MAX : cylinders;
    put16(w, 54, (uint32_t)cylinders);
    put16(w, 55, d->heads);
    put16(w, 56, d->sectors);
    store_le(w + 2 * 57, cylinders * per_cylinder, 4);
    store_le(w + 2 * 60, total > LBA28_SECTORS ? LBA28_SECTORS : total, 4);
    store_le(w + 2 * 100, total, 8);
}

static void put_modes(const struct ide_drive *d, uint8_t *w)
{
    unsigned mode = d->transfer_mode;
    unsigned multiword = (mode & 0xf8) == 0x20 ? BIT(8 + (mode & 7)) : 0;
    unsigned ultra = (mode & 0xf8) == 0x40 ? BIT(8 + (mode & 7)) : 0;
    put16(w, 62, 0x07);
    put16(w, 63, 0x07 | multiword);
    put16(w, 64, 0x03); /* PIO 3 and 4 */
    for (unsigned n = 65; n <= 68; n++)
        put16(w, n, 120); /* cycle times in ns */
    put16(w, 88, 0x3f | ultra);
    put16(w, 93, 0x4000 | 0x2000 | 1); /* 80-conductor cable */
}

void ata_identify(struct ide_drive *d)
{
    uint8_t *w = d->buffer;
    memset(w, 0, ATA_SECTOR_BYTES);
    put16(w, 0, 0x0040); /* fixed disk */
    put_geometry(d, w);
    ata_put_string(w + 2 * 10, d->serial, 20);
    put16(w, 20, 3);
    put16(w, 21, 512);
    put16(w, 22, 4);
    ata_put_string(w + 2 * 23, WEIR_VERSION_STRING, 8);
    ata_put_string(w + 2 * 27, "WEIR HARDDISK", 40);
    put16(w, 47, 0x8000 | ATA_MULTIPLE_MAX);
    put16(w, 48, 1);
    put16(w, 49, 0x0f00); /* IORDY, LBA, DMA */
    put16(w, 50, 0x4000);
    put16(w, 51, 0x0200);
    put16(w, 52, 0x0200);
    put16(w, 53, 0x0007); /* words 54-58, 64-70 and 88 are valid */
    put16(w, 59, d->multiple ? 0x0100u | d->multiple : 0);
    put_modes(d, w);
    put16(w, 80, 0x00f0); /* ATA/ATAPI-4 to 7 */
    put16(w, 81, 0x0016);
    unsigned features = d->write_cache_off ? 0 : 0x20;
    put16(w, 82, 0x4000 | 0x20);                     /* NOP, write cache */
    put16(w, 83, 0x4000 | 0x2000 | 0x1000 | 0x0400); /* FLUSH CACHE (EXT), 48-bit */
    put16(w, 84, 0x4000);
    put16(w, 85, 0x4000 | features);
    put16(w, 86, 0x2000 | 0x1000 | 0x0400);
    put16(w, 87, 0x4000);
}
