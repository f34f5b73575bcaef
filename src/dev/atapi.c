/* SPDX-License-Identifier: MIT */
/*
 * atapi.c - a CD/DVD-ROM drive behind the PACKET command (ATA/ATAPI-6 section 9.8, MMC-4).
 *
 *   A0h --> PACKET --12 bytes--> reply in chunks of at most the byte count limit --> status
 *
 * PIO replies go through the buffer: [position, chunk_end) is offered now, [chunk_end, end)
 * later, and `left` more sectors are read when it is used up. DMA replies go to the bus master
 * in one go. A reply never reaches past IDE_BUFFER_BYTES; sectors are checked against the
 * medium first.
 */
#include "dev/atapi.h"
#include "base/bits.h"

enum { LOAD_EJECT = 2, START = 1 };

uint32_t be_get(const uint8_t *p, unsigned bytes)
{
    uint32_t value = 0;
    for (unsigned n = 0; n < bytes; n++)
        value = value << 8 | p[n];
    return value;
}

void be_put(uint8_t *p, uint32_t value, unsigned bytes)
{
    for (unsigned n = bytes; n-- > 0; value >>= 8)
        p[n] = (uint8_t)value;
}

void lba_to_msf(uint32_t lba, uint8_t *msf)
{
    lba += 150;
    msf[0] = (uint8_t)(lba / 75 / 60);
    msf[1] = (uint8_t)(lba / 75 % 60);
    msf[2] = (uint8_t)(lba % 75);
}

bool atapi_medium_ready(const struct ide_drive *d)
{
    return block_present(d->medium) && !d->tray_open;
}

uint32_t atapi_sectors(const struct ide_drive *d)
{
    uint64_t sectors = d->medium->bytes / CD_SECTOR_BYTES;
    return sectors > INT32_MAX ? INT32_MAX : (uint32_t)sectors;
}

/* ---- ends ---- */

static void finish(struct ide_drive *d)
{
    d->count = (uint8_t)((d->count & ~7) | ATAPI_IO | ATAPI_COD);
    ide_done(d);
}

void atapi_good(struct ide_drive *d)
{
    d->sense_key = d->sense_asc = 0;
    d->error = 0;
    finish(d);
}

void atapi_check(struct ide_drive *d, uint8_t key, uint8_t asc)
{
    d->sense_key = key;
    d->sense_asc = asc;
    d->count = (uint8_t)((d->count & ~7) | ATAPI_IO | ATAPI_COD);
    ide_fail(d, (uint8_t)(key << 4 | (key == SENSE_ILLEGAL ? ATA_ABRT : 0)));
}

/* ---- replies by PIO ---- */

/* Offers the next chunk of the buffer: even, unless it is the last. */
static void offer_chunk(struct ide_drive *d)
{
    uint32_t rest = d->end - d->position, bytes = rest;
    if (bytes > d->byte_limit)
        bytes = d->byte_limit & ~1u;
    d->transfer = IDE_PIO_IN;
    d->chunk_end = d->position + bytes;
    d->lba_mid = (uint8_t)bytes;
    d->lba_high = (uint8_t)(bytes >> 8);
    d->count = (uint8_t)((d->count & ~7) | ATAPI_IO);
    d->status = ATA_DRDY | ATA_DSC | ATA_DRQ;
    ide_set_irq(d);
}

void atapi_reply(struct ide_drive *d, uint32_t bytes, uint32_t limit)
{
    if (bytes > limit)
        bytes = limit;
    d->sense_key = d->sense_asc = 0;
    d->left = 0;
    d->position = d->chunk_end = 0;
    d->end = bytes;
    if (bytes == 0) {
        atapi_good(d);
    } else if (d->packet_dma) {
        d->transfer = IDE_DMA_IN;
        d->status = ATA_DRDY | ATA_DSC | ATA_DRQ;
        bmdma_try(d->channel);
    } else {
        offer_chunk(d);
    }
}

/* ---- sectors ---- */

/* A raw sector around user data: sync pattern, header with the address, mode 1. The EDC and ECC
 * fields stay zero. */
static void frame_raw(uint8_t *raw, uint32_t lba)
{
    memset(raw, 0, CD_RAW_BYTES);
    memset(raw + 1, 0xff, 10);
    lba_to_msf(lba, raw + 12);
    for (unsigned n = 12; n < 15; n++)
        raw[n] = (uint8_t)(raw[n] / 10 << 4 | raw[n] % 10);
    raw[15] = 1;
}

/* Fills the buffer with as many of the `left` sectors as fit. False after a failed read. */
static bool load_sectors(struct ide_drive *d)
{
    uint32_t fit = IDE_BUFFER_BYTES / d->sector_bytes;
    uint32_t count = d->left < fit ? d->left : fit, at = 0;
    for (uint32_t n = 0; n < count; n++, at += d->sector_bytes) {
        uint8_t *data = d->buffer + at;
        if (d->sector_bytes == CD_RAW_BYTES) {
            frame_raw(data, (uint32_t)d->lba);
            data += 16;
        }
        int rc = atapi_medium_ready(d)
                     ? block_read(d->medium, d->lba * CD_SECTOR_BYTES, data, CD_SECTOR_BYTES)
                     : -WEIR_ESTATE;
        if (rc == -WEIR_ESTATE) {
            atapi_check(d, SENSE_NOT_READY, ASC_NO_MEDIUM);
            return false;
        }
        if (rc < 0) {
            if (rc == -WEIR_EIO)
                ide_log_error(d, "read");
            atapi_check(d, SENSE_HARDWARE, ASC_READ_ERROR);
            return false;
        }
        d->lba++;
    }
    d->left -= count;
    d->position = d->chunk_end = 0;
    d->end = at;
    return true;
}

static void read_range(struct ide_drive *d, uint32_t lba, uint32_t count, uint16_t sector_bytes)
{
    uint32_t total = atapi_sectors(d);
    if (count == 0) {
        atapi_good(d);
        return;
    }
    if (lba >= total || count > total - lba) {
        atapi_check(d, SENSE_ILLEGAL, ASC_LBA_RANGE);
        return;
    }
    d->sense_key = d->sense_asc = 0;
    d->lba = lba;
    d->left = count;
    d->sector_bytes = sector_bytes;
    d->position = d->chunk_end = d->end = 0;
    if (d->packet_dma) {
        d->transfer = IDE_DMA_IN;
        d->status = ATA_DRDY | ATA_DSC | ATA_DRQ;
        bmdma_try(d->channel);
    } else if (load_sectors(d)) {
        offer_chunk(d);
    }
}

static void read_10(struct ide_drive *d)
{
    read_range(d, be_get(d->packet + 2, 4), be_get(d->packet + 7, 2), CD_SECTOR_BYTES);
}
static void read_12(struct ide_drive *d)
{
    uint32_t count = be_get(d->packet + 6, 4);
    read_range(d, be_get(d->packet + 2, 4), count, CD_SECTOR_BYTES);
}

/* What of the sector is wanted: user data alone, or everything. */
static void read_cd_range(struct ide_drive *d, uint32_t lba, uint32_t count)
{
    switch (d->packet[9] & 0xf8) {
    case 0x00:
        atapi_good(d);
        break;
    case 0x10:
        read_range(d, lba, count, CD_SECTOR_BYTES);
        break;
    case 0xf8:
        read_range(d, lba, count, CD_RAW_BYTES);
        break;
    default:
        atapi_check(d, SENSE_ILLEGAL, ASC_INVALID_FIELD);
    }
}

static void read_cd(struct ide_drive *d)
{
    read_cd_range(d, be_get(d->packet + 2, 4), be_get(d->packet + 6, 3));
}

static uint32_t msf_to_lba(const uint8_t *msf)
{
    return (msf[0] * 60u + msf[1]) * 75u + msf[2] - 150u;
}

static void read_cd_msf(struct ide_drive *d)
{
    uint32_t first = msf_to_lba(d->packet + 3), end = msf_to_lba(d->packet + 6);
    if (first > end || (int32_t)first < 0)
        atapi_check(d, SENSE_ILLEGAL, ASC_INVALID_FIELD);
    else
        read_cd_range(d, first, end - first);
}

/* ---- commands without data ---- */

static void good(struct ide_drive *d)
{
    atapi_good(d);
}

static void seek_10(struct ide_drive *d)
{
    if (be_get(d->packet + 2, 4) >= atapi_sectors(d))
        atapi_check(d, SENSE_ILLEGAL, ASC_LBA_RANGE);
    else
        atapi_good(d);
}

static void prevent_removal(struct ide_drive *d)
{
    d->tray_locked = d->packet[4] & 1;
    d->medium->locked = d->tray_locked;
    atapi_good(d);
}

static void start_stop(struct ide_drive *d)
{
    unsigned what = d->packet[4] & (LOAD_EJECT | START);
    if (what == LOAD_EJECT && d->tray_locked && !d->tray_open) {
        atapi_check(d, SENSE_ILLEGAL, ASC_REMOVAL_PREVENTED);
        return;
    }
    if (what == LOAD_EJECT) {
        d->tray_open = 1;
    } else if (what == (LOAD_EJECT | START) && d->tray_open) {
        d->tray_open = 0;
        d->media_event = block_present(d->medium) ? 2 : 0;
        d->media_changed = block_present(d->medium) ? 1 : 0;
    }
    atapi_good(d);
}

/* ---- dispatch ---- */

enum { NEEDS_MEDIUM = 1, IGNORES_ATTENTION = 2 };
static const struct {
    void (*fn)(struct ide_drive *d);
    uint8_t flags;
} ops[256] = {
    // clang-format off
    [0x00] = {good, NEEDS_MEDIUM}, /* TEST UNIT READY */
    [0x03] = {atapi_request_sense, IGNORES_ATTENTION},
    [0x12] = {atapi_inquiry, IGNORES_ATTENTION},
    [0x1a] = {atapi_mode_sense, 0}, [0x5a] = {atapi_mode_sense, 0},
    [0x1b] = {start_stop, 0},
    [0x1e] = {prevent_removal, 0},
    [0x25] = {atapi_read_capacity, NEEDS_MEDIUM},
    [0x28] = {read_10, NEEDS_MEDIUM}, [0xa8] = {read_12, NEEDS_MEDIUM},
    [0x2b] = {seek_10, NEEDS_MEDIUM},
    [0x35] = {good, 0}, /* SYNCHRONIZE CACHE */
    [0x42] = {atapi_read_subchannel, NEEDS_MEDIUM},
    [0x43] = {atapi_read_toc, NEEDS_MEDIUM},
    [0x46] = {atapi_get_configuration, IGNORES_ATTENTION},
    [0x4a] = {atapi_get_event_status, IGNORES_ATTENTION},
    [0x51] = {atapi_read_disc_information, NEEDS_MEDIUM},
    [0x52] = {atapi_read_track_information, NEEDS_MEDIUM},
    [0xb9] = {read_cd_msf, NEEDS_MEDIUM}, [0xbe] = {read_cd, NEEDS_MEDIUM},
    [0xbb] = {good, 0}, /* SET CD SPEED */
    [0xbd] = {atapi_mechanism_status, 0},
    // clang-format on
};

/* A change of medium is first seen as no medium, then as a unit attention. */
static bool attention(struct ide_drive *d)
{
    if (!d->media_changed)
        return false;
    if (d->media_changed-- == 2)
        atapi_check(d, SENSE_NOT_READY, ASC_NO_MEDIUM);
    else
        atapi_check(d, SENSE_UA, ASC_MEDIUM_CHANGED);
    return true;
}

static void run_packet(struct ide_drive *d)
{
    uint8_t opcode = d->packet[0];
    if (!ops[opcode].fn) {
        weir_dev_log(d->channel->dev, WEIR_LOG_UNIMP, "drive %s: packet command %02x",
                     d->medium->id, opcode);
        atapi_check(d, SENSE_ILLEGAL, ASC_ILLEGAL_OPCODE);
        return;
    }
    if (!(ops[opcode].flags & IGNORES_ATTENTION) && attention(d))
        return;
    if ((ops[opcode].flags & NEEDS_MEDIUM) && !atapi_medium_ready(d))
        atapi_check(d, SENSE_NOT_READY, ASC_NO_MEDIUM);
    else
        ops[opcode].fn(d);
}

void atapi_packet_command(struct ide_drive *d)
{
    unsigned limit = d->lba_mid | d->lba_high << 8;
    if (d->feature & 2) { /* overlapped */
        ide_abort(d);
        return;
    }
    d->packet_dma = d->feature & 1;
    /* 0 is not allowed, 1 cannot be made even: both mean "any" here. */
    d->byte_limit = (uint16_t)(limit < 2 || limit > 0xfffe ? 0xfffe : limit);
    ide_pio(d, IDE_PACKET, sizeof(d->packet));
    d->count = ATAPI_COD;
}

void atapi_pio_done(struct ide_drive *d)
{
    if (d->transfer == IDE_PACKET) {
        memcpy(d->packet, d->buffer, sizeof(d->packet));
        d->transfer = IDE_IDLE;
        run_packet(d);
    } else if (d->command == 0xa1) { /* IDENTIFY PACKET DEVICE ends without interrupt */
        d->transfer = IDE_IDLE;
        d->status = ATA_DRDY | ATA_DSC;
    } else if (d->position < d->end) {
        offer_chunk(d);
    } else if (!d->left) {
        finish(d);
    } else if (load_sectors(d)) {
        offer_chunk(d);
    }
}

void atapi_dma_run(struct ide_drive *d)
{
    for (;;) {
        if (d->position == d->end) {
            if (!d->left)
                break;
            if (!load_sectors(d))
                return;
        }
        uint32_t bytes = d->end - d->position;
        int moved = bmdma_move(d->channel, d->buffer + d->position, bytes, true);
        if (moved < 0) {
            atapi_check(d, SENSE_HARDWARE, ASC_READ_ERROR);
            return;
        }
        d->position += (uint32_t)moved;
        if ((uint32_t)moved < bytes)
            return; /* the table has ended: the drive waits */
    }
    finish(d);
}

void atapi_medium_changed(struct ide_drive *d)
{
    d->tray_open = 0;
    d->media_changed = block_present(d->medium) ? 2 : 0;
    d->media_event = block_present(d->medium) ? 2 : 3; /* new media, media removal */
}

void atapi_reset(struct ide_drive *d)
{
    d->packet_dma = 0;
    d->sense_key = d->sense_asc = 0;
    d->sector_bytes = CD_SECTOR_BYTES;
    d->byte_limit = 0xfffe;
}
