/* SPDX-License-Identifier: MIT */
/*
 * ide.c - the registers of an IDE channel: command block (1F0h-1F7h) and control block (3F6h).
 *
 * Both drives latch what is written to the task file; only the selected one answers reads and
 * takes commands. INTRQ follows the selected drive's pending interrupt unless nIEN is set.
 * ATA/ATAPI-6, chapter 7 (interface register definitions) and 9 (protocols).
 */
#include "dev/ide.h"
#include "dev/machine_hooks.h"
#include "base/bits.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- interrupts ---- */

static void irq_update(struct ide_channel *ch)
{
    struct ide_drive *d = ide_selected(ch);
    bool level = d->irq && !(ch->control & ATA_NIEN);
    if (level == ch->line)
        return;
    ch->line = level;
    if (level)
        bmdma_irq(ch);
    weir_line_set(&ch->irq, level);
}

void ide_set_irq(struct ide_drive *d)
{
    d->irq = 1;
    irq_update(d->channel);
}

static void clear_irq(struct ide_drive *d)
{
    d->irq = 0;
    irq_update(d->channel);
}

/* ---- ends of commands ---- */

static void go_idle(struct ide_drive *d)
{
    d->transfer = IDE_IDLE;
    d->position = d->chunk_end = d->end = 0;
    d->left = 0;
}

void ide_done(struct ide_drive *d)
{
    go_idle(d);
    d->status = ATA_DRDY | ATA_DSC;
    ide_set_irq(d);
}

void ide_fail(struct ide_drive *d, uint8_t error)
{
    go_idle(d);
    d->status = ATA_DRDY | ATA_DSC | ATA_ERR;
    d->error = error;
    ide_set_irq(d);
}

void ide_abort(struct ide_drive *d)
{
    ide_fail(d, ATA_ABRT);
}

void ide_pio(struct ide_drive *d, enum ide_transfer kind, uint32_t bytes)
{
    d->transfer = (uint8_t)kind;
    d->position = 0;
    d->chunk_end = d->end = bytes;
    d->status = ATA_DRDY | ATA_DSC | ATA_DRQ;
}

void ide_log_error(struct ide_drive *d, const char *what)
{
    weir_dev_log(d->channel->dev, WEIR_LOG_MESSAGE, "drive %s: %s: %s", d->medium->id, what,
                 d->medium->error.text);
}

/* ---- reset ---- */

void ide_set_signature(struct ide_drive *d)
{
    d->channel->select &= (uint8_t)~0x0f;
    d->count = d->lba_low = 1;
    d->lba_mid = d->medium->is_cdrom ? 0x14 : 0;
    d->lba_high = d->medium->is_cdrom ? 0xeb : 0;
}

/* What every reset does to a drive; settings of the medium stay. */
static void drive_reset(struct ide_drive *d)
{
    go_idle(d);
    d->irq = 0;
    d->feature = d->hob_feature = d->hob_count = 0;
    d->hob_lba_low = d->hob_lba_mid = d->hob_lba_high = 0;
    if (!d->medium)
        return;
    ide_set_signature(d);
    d->error = 1; /* diagnostics: no error */
    d->status = d->medium->is_cdrom ? 0 : ATA_DRDY | ATA_DSC;
    d->multiple = ATA_MULTIPLE_MAX;
    if (d->medium->is_cdrom)
        atapi_reset(d);
}

void ide_channel_reset(struct ide_channel *ch)
{
    ch->select = 0xa0;
    ch->control = 0;
    bmdma_reset(&ch->bm);
    for (unsigned n = 0; n < 2; n++) {
        struct ide_drive *d = &ch->drive[n];
        drive_reset(d);
        d->heads = d->default_heads;
        d->sectors = d->default_sectors;
        d->transfer_mode = 0;
        d->write_cache_off = 0;
        d->tray_locked = 0;
        if (d->medium)
            d->medium->locked = false;
    }
    irq_update(ch);
}

static void soft_reset(struct ide_channel *ch)
{
    for (unsigned n = 0; n < 2; n++)
        drive_reset(&ch->drive[n]);
    ch->select = 0xa0;
    irq_update(ch);
}

/* EXECUTE DEVICE DIAGNOSTIC goes to both drives; drive 0 answers. */
static void diagnose(struct ide_channel *ch)
{
    soft_reset(ch);
    if (ch->drive[0].medium)
        ide_set_irq(&ch->drive[0]);
}

/* ---- command ---- */

static void device_reset(struct ide_drive *d)
{
    uint8_t keep = d->channel->select & 0x10;
    drive_reset(d);
    d->channel->select = 0xa0 | keep;
    irq_update(d->channel);
}

static void write_command(struct ide_channel *ch, uint8_t command)
{
    struct ide_drive *d = ide_selected(ch);
    if (!d->medium)
        return;
    clear_irq(d);
    if (command == 0x08 && d->medium->is_cdrom) {
        device_reset(d);
        return;
    }
    if (d->status & (ATA_BSY | ATA_DRQ))
        return;
    if (command == 0x90) {
        diagnose(ch);
        return;
    }
    d->command = command;
    d->error = 0;
    d->status = ATA_DRDY | ATA_DSC;
    ata_command(d, command);
}

static void write_control(struct ide_channel *ch, uint8_t value)
{
    uint8_t before = ch->control;
    ch->control = value & (ATA_NIEN | ATA_SRST | ATA_HOB);
    if (!(before & ATA_SRST) && (value & ATA_SRST)) {
        for (unsigned n = 0; n < 2; n++) {
            go_idle(&ch->drive[n]);
            ch->drive[n].irq = 0;
            if (ch->drive[n].medium)
                ch->drive[n].status = ATA_BSY;
        }
    } else if ((before & ATA_SRST) && !(value & ATA_SRST)) {
        soft_reset(ch);
    }
    irq_update(ch);
}

/* ---- data port ---- */

static void pio_finished(struct ide_drive *d)
{
    d->status &= (uint8_t)~ATA_DRQ;
    if (d->medium->is_cdrom)
        atapi_pio_done(d);
    else
        ata_pio_done(d);
}

static uint32_t read_data(struct ide_drive *d, unsigned size)
{
    uint32_t value = 0;
    if (d->transfer != IDE_PIO_IN)
        return 0;
    uint32_t room = d->chunk_end - d->position;
    unsigned bytes = size < room ? size : room;
    memcpy(&value, d->buffer + d->position, bytes);
    d->position += bytes;
    if (d->position == d->chunk_end)
        pio_finished(d);
    return value;
}

static void write_data(struct ide_drive *d, uint32_t value, unsigned size)
{
    if (d->transfer != IDE_PIO_OUT && d->transfer != IDE_PACKET)
        return;
    uint32_t room = d->chunk_end - d->position;
    unsigned bytes = size < room ? size : room;
    memcpy(d->buffer + d->position, &value, bytes);
    d->position += bytes;
    if (d->position == d->chunk_end)
        pio_finished(d);
}

/* ---- task file ---- */

static uint8_t read_register(struct ide_channel *ch, unsigned offset)
{
    struct ide_drive *d = ide_selected(ch);
    bool hob = ch->control & ATA_HOB;
    if (!ch->drive[0].medium && !ch->drive[1].medium)
        return 0;
    if (offset == 6)
        return ch->select | 0xa0;
    if (!d->medium)
        return 0;
    switch (offset) {
    case 1:
        return hob ? d->hob_feature : d->error;
    case 2:
        return hob ? d->hob_count : d->count;
    case 3:
        return hob ? d->hob_lba_low : d->lba_low;
    case 4:
        return hob ? d->hob_lba_mid : d->lba_mid;
    case 5:
        return hob ? d->hob_lba_high : d->lba_high;
    case 7:
        clear_irq(d);
        return d->status;
    }
    return 0xff;
}

static void latch(uint8_t *reg, uint8_t *hob, uint8_t value)
{
    *hob = *reg;
    *reg = value;
}

static void write_register(struct ide_channel *ch, unsigned offset, uint8_t value)
{
    ch->control &= (uint8_t)~ATA_HOB;
    if (offset == 7) {
        write_command(ch, value);
        return;
    }
    if (offset == 6) {
        ch->select = value | 0xa0;
        irq_update(ch);
        return;
    }
    for (unsigned n = 0; n < 2; n++) {
        struct ide_drive *d = &ch->drive[n];
        uint8_t *regs[] = {&d->feature, &d->count, &d->lba_low, &d->lba_mid, &d->lba_high};
        uint8_t *hobs[] = {&d->hob_feature, &d->hob_count, &d->hob_lba_low, &d->hob_lba_mid,
                           &d->hob_lba_high};
        if (!(d->status & (ATA_BSY | ATA_DRQ)))
            latch(regs[offset - 1], hobs[offset - 1], value);
    }
}

static uint64_t command_read(void *ctx, uint64_t offset, unsigned size)
{
    struct ide_channel *ch = ctx;
    if (offset == 0)
        return ide_selected(ch)->medium ? read_data(ide_selected(ch), size) : UINT32_MAX;
    uint64_t value = 0;
    for (unsigned n = 0; n < size; n++)
        value |= (uint64_t)read_register(ch, (unsigned)offset + n) << (8 * n);
    return value;
}

static void command_write(void *ctx, uint64_t offset, uint64_t value, unsigned size)
{
    struct ide_channel *ch = ctx;
    if (offset == 0) {
        if (ide_selected(ch)->medium)
            write_data(ide_selected(ch), (uint32_t)value, size);
        return;
    }
    for (unsigned n = 0; n < size; n++)
        write_register(ch, (unsigned)offset + n, (uint8_t)(value >> (8 * n)));
}

/* Alternate status: as status, but the interrupt stays. */
static uint64_t control_read(void *ctx, uint64_t offset, unsigned size)
{
    struct ide_channel *ch = ctx;
    struct ide_drive *d = ide_selected(ch);
    return d->medium ? d->status : 0;
}

static void control_write(void *ctx, uint64_t offset, uint64_t value, unsigned size)
{
    write_control(ctx, (uint8_t)value);
}

const struct weir_io_ops ide_command_ops = {
    .read = command_read, .write = command_write, .max_bytes = 4};
const struct weir_io_ops ide_control_ops = {
    .read = control_read, .write = control_write, .max_bytes = 1};

/* ---- life ---- */

static void medium_changed(void *ctx)
{
    struct ide_drive *d = ctx;
    if (d->medium->is_cdrom)
        atapi_medium_changed(d);
}

static int drive_init(weir_dev *dev, struct ide_drive *d, unsigned index)
{
    struct weir_block *b = machine_find_block(weir_dev_vm(dev), "ide", (int)index);
    d->buffer = calloc(1, IDE_BUFFER_BYTES); /* also without a drive: the fields name it */
    if (!d->buffer)
        return weir_dev_fail(dev, WEIR_ENOMEM, "out of memory");
    if (!b)
        return 0;
    if (b->attached)
        return weir_dev_fail(dev, WEIR_EBUSY, "drive '%s' is in use", b->id);
    if (!b->is_cdrom && !block_present(b))
        return weir_dev_fail(dev, WEIR_ENOENT, "hard disk '%s' has no image", b->id);
    if (!b->is_cdrom && b->read_only)
        return weir_dev_fail(dev, WEIR_EPERM, "hard disk '%s' cannot be read-only", b->id);
    d->medium = b;
    b->attached = true;
    b->changed = medium_changed;
    b->changed_ctx = d;
    if (b->serial)
        snprintf(d->serial, sizeof(d->serial), "%.20s", b->serial);
    else
        snprintf(d->serial, sizeof(d->serial), "QM%05u", index + 1);
    if (!b->is_cdrom)
        ata_guess_geometry(d);
    return 0;
}

int ide_channel_init(weir_dev *dev, struct ide_channel *ch, struct pci_function *pci,
                     unsigned first_index)
{
    ch->dev = dev;
    ch->pci = pci;
    for (unsigned n = 0; n < 2; n++) {
        ch->drive[n].channel = ch;
        ch->drive[n].unit = (uint8_t)n;
        int rc = drive_init(dev, &ch->drive[n], first_index + n);
        if (rc < 0)
            return rc;
    }
    return 0;
}

void ide_channel_fini(struct ide_channel *ch)
{
    for (unsigned n = 0; n < 2; n++) {
        struct ide_drive *d = &ch->drive[n];
        free(d->buffer);
        if (!d->medium)
            continue;
        d->medium->changed = NULL;
        d->medium->attached = false;
        d->medium = NULL;
    }
}

/* A snapshot is hostile too: no position may lie outside the buffer. */
int ide_channel_loaded(struct ide_channel *ch)
{
    for (unsigned n = 0; n < 2; n++) {
        const struct ide_drive *d = &ch->drive[n];
        if (d->end > IDE_BUFFER_BYTES || d->chunk_end > d->end || d->position > d->chunk_end)
            return -WEIR_EFORMAT;
        if (d->transfer > IDE_DMA_OUT || (d->transfer != IDE_IDLE && !d->medium))
            return -WEIR_EFORMAT;
        if (d->multiple > ATA_MULTIPLE_MAX || d->block > ATA_MULTIPLE_MAX)
            return -WEIR_EFORMAT;
        if (d->sector_bytes != 0 && d->sector_bytes != 2048 && d->sector_bytes != 2352)
            return -WEIR_EFORMAT;
        if (d->byte_limit > 0xfffe || d->left > 65536)
            return -WEIR_EFORMAT;
    }
    return 0;
}

// clang-format off
static const struct weir_field drive_fields[] = {
    WEIR_FIELD(struct ide_drive, feature), WEIR_FIELD(struct ide_drive, count),
    WEIR_FIELD(struct ide_drive, lba_low), WEIR_FIELD(struct ide_drive, lba_mid),
    WEIR_FIELD(struct ide_drive, lba_high), WEIR_FIELD(struct ide_drive, hob_feature),
    WEIR_FIELD(struct ide_drive, hob_count), WEIR_FIELD(struct ide_drive, hob_lba_low),
    WEIR_FIELD(struct ide_drive, hob_lba_mid), WEIR_FIELD(struct ide_drive, hob_lba_high),
    WEIR_FIELD(struct ide_drive, status), WEIR_FIELD(struct ide_drive, error),
    WEIR_FIELD(struct ide_drive, command), WEIR_FIELD(struct ide_drive, irq),
    WEIR_FIELD(struct ide_drive, transfer), WEIR_FIELD(struct ide_drive, lba48),
    WEIR_FIELD(struct ide_drive, block), WEIR_FIELD(struct ide_drive, lba),
    WEIR_FIELD(struct ide_drive, left), WEIR_FIELD(struct ide_drive, position),
    WEIR_FIELD(struct ide_drive, chunk_end), WEIR_FIELD(struct ide_drive, end),
    WEIR_FIELD(struct ide_drive, multiple), WEIR_FIELD(struct ide_drive, transfer_mode),
    WEIR_FIELD(struct ide_drive, write_cache_off), WEIR_FIELD(struct ide_drive, heads),
    WEIR_FIELD(struct ide_drive, sectors), WEIR_FIELD_ARRAY(struct ide_drive, packet),
    WEIR_FIELD(struct ide_drive, packet_dma), WEIR_FIELD(struct ide_drive, sense_key),
    WEIR_FIELD(struct ide_drive, sense_asc), WEIR_FIELD(struct ide_drive, tray_open),
    WEIR_FIELD(struct ide_drive, tray_locked), WEIR_FIELD(struct ide_drive, media_changed),
    WEIR_FIELD(struct ide_drive, media_event), WEIR_FIELD(struct ide_drive, sector_bytes),
    WEIR_FIELD(struct ide_drive, byte_limit),
    WEIR_FIELD_BUFFER(struct ide_drive, buffer, IDE_BUFFER_BYTES),
    WEIR_FIELD_END,
};
static const struct weir_field bmdma_fields[] = {
    WEIR_FIELD(struct bmdma, command), WEIR_FIELD(struct bmdma, status),
    WEIR_FIELD(struct bmdma, table), WEIR_FIELD(struct bmdma, next_entry),
    WEIR_FIELD(struct bmdma, address), WEIR_FIELD(struct bmdma, left),
    WEIR_FIELD(struct bmdma, last),
    WEIR_FIELD_END,
};
const struct weir_field ide_channel_fields[] = {
    WEIR_FIELD_STRUCTS(struct ide_channel, drive, drive_fields),
    WEIR_FIELD_STRUCT1(struct ide_channel, bm, bmdma_fields),
    WEIR_FIELD(struct ide_channel, select), WEIR_FIELD(struct ide_channel, control),
    WEIR_FIELD(struct ide_channel, line),
    WEIR_FIELD_END,
};
// clang-format on
