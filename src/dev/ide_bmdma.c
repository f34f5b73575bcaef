/* SPDX-License-Identifier: MIT */
/*
 * ide_bmdma.c - the PIIX3's bus master: physical region descriptors and the registers in BAR 4
 * (Intel 290550 section 2.7, "Programming Interface for Bus Master IDE Controller" 1.0).
 *
 * A whole transfer happens when both sides are ready: the drive waits in a DMA state and the
 * start bit is set. Status afterwards, as the specification has it:
 *
 *   active 0, interrupt 1   the table was exactly as long as the transfer
 *   active 1, interrupt 1   the table was longer
 *   active 0, interrupt 0   the table was shorter: the drive still waits
 *
 * The table may not cross a 64 KiB boundary, which also bounds the work.
 */
#include "dev/ide.h"
#include "base/bits.h"

enum { BM_START = 0x01, BM_TO_MEMORY = 0x08 };
enum { BM_ACTIVE = 0x01, BM_ERROR = 0x02, BM_INTERRUPT = 0x04, BM_CAPABLE = 0x60 };

void bmdma_reset(struct bmdma *bm)
{
    *bm = (struct bmdma){0};
}

void bmdma_irq(struct ide_channel *ch)
{
    ch->bm.status |= BM_INTERRUPT;
}

/* ---- table ---- */

static void rewind_table(struct bmdma *bm)
{
    bm->next_entry = bm->table;
    bm->left = 0;
    bm->last = 0;
}

/* Next descriptor: 32-bit address, 16-bit count (0 = 64 KiB), bit 31 of the second word ends
 * the table. 1 = loaded, 0 = the table has ended, -1 = it lies where no memory is. */
static int next_descriptor(struct ide_channel *ch)
{
    struct bmdma *bm = &ch->bm;
    uint8_t entry[8];
    if (bm->last)
        return 0;
    if (weir_dma_read(ch->dev, bm->next_entry, entry, sizeof(entry)) < 0)
        return -1;
    uint32_t count = (uint32_t)load_le(entry + 4, 2) & 0xfffe;
    bm->address = (uint32_t)load_le(entry, 4) & ~1u;
    bm->left = count ? count : 0x10000;
    bm->next_entry += 8;
    bm->last = (entry[7] & 0x80) || (bm->next_entry & 0xffff) == 0;
    return 1;
}

int bmdma_move(struct ide_channel *ch, uint8_t *buffer, uint32_t bytes, bool to_memory)
{
    struct bmdma *bm = &ch->bm;
    uint32_t moved = 0;
    while (moved < bytes) {
        int have = bm->left ? 1 : next_descriptor(ch);
        if (have == 0)
            return (int)moved;
        uint32_t part = bm->left < bytes - moved ? bm->left : bytes - moved;
        int rc = have < 0    ? -1
                 : to_memory ? weir_dma_write(ch->dev, bm->address, buffer + moved, part)
                             : weir_dma_read(ch->dev, bm->address, buffer + moved, part);
        if (rc < 0) {
            bm->status |= BM_ERROR;
            bm->status &= (uint8_t)~BM_ACTIVE;
            return -1;
        }
        bm->address += part;
        bm->left -= part;
        moved += part;
    }
    return (int)moved;
}

static bool waits(const struct ide_drive *d)
{
    return d->transfer == IDE_DMA_IN || d->transfer == IDE_DMA_OUT;
}

void bmdma_try(struct ide_channel *ch)
{
    struct bmdma *bm = &ch->bm;
    struct ide_drive *d = &ch->drive[0];
    if (!waits(d))
        d = &ch->drive[1];
    if (!waits(d) || !(bm->command & BM_START) || !(bm->status & BM_ACTIVE))
        return;
    if (!pci_can_master(ch->pci))
        return;
    if (d->medium->is_cdrom)
        atapi_dma_run(d);
    else
        ata_dma_run(d);
    /* Used up exactly, or too short: no longer active. */
    if (bm->last && bm->left == 0)
        bm->status &= (uint8_t)~BM_ACTIVE;
}

/* ---- registers, 8 bytes per channel ---- */

uint8_t bmdma_read(struct ide_channel *ch, unsigned offset)
{
    switch (offset) {
    case 0:
        return ch->bm.command;
    case 2:
        return ch->bm.status;
    case 4:
    case 5:
    case 6:
    case 7:
        return (uint8_t)(ch->bm.table >> (8 * (offset - 4)));
    }
    return 0;
}

static void write_command(struct ide_channel *ch, uint8_t value)
{
    struct bmdma *bm = &ch->bm;
    bool start = !(bm->command & BM_START) && (value & BM_START);
    bm->command = value & (BM_START | BM_TO_MEMORY);
    if (!(value & BM_START))
        bm->status &= (uint8_t)~BM_ACTIVE;
    if (!start)
        return;
    rewind_table(bm);
    bm->status |= BM_ACTIVE;
    bmdma_try(ch);
}

void bmdma_write(struct ide_channel *ch, unsigned offset, uint8_t value)
{
    struct bmdma *bm = &ch->bm;
    switch (offset) {
    case 0:
        write_command(ch, value);
        break;
    case 2:
        bm->status &= (uint8_t) ~(value & (BM_ERROR | BM_INTERRUPT));
        bm->status = (uint8_t)((bm->status & ~BM_CAPABLE) | (value & BM_CAPABLE));
        break;
    case 4:
    case 5:
    case 6:
    case 7: {
        unsigned shift = 8 * (offset - 4);
        bm->table = (bm->table & ~(0xffu << shift)) | (uint32_t)value << shift;
        bm->table &= ~3u;
        break;
    }
    }
}
