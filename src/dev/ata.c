/* SPDX-License-Identifier: MIT */
/*
 * ata.c - hard disk commands (ATA/ATAPI-6, chapter 8): a table from command code to function.
 *
 * Every address from the task file is checked against the medium before anything moves, and
 * again by block_read and block_write. `lba` is the next sector, `left` counts sectors that are
 * not in the buffer yet; after each block the task file names the last sector moved.
 */
#include "dev/ide.h"
#include "base/bits.h"

#define DMA_CHUNK_SECTORS (IDE_BUFFER_BYTES / ATA_SECTOR_BYTES)

typedef void ata_fn(struct ide_drive *d);
enum { LBA48 = 1, MULTIPLE = 2, ATA_ONLY = 4 };
struct ata_op {
    ata_fn *fn;
    uint8_t flags;
};

/* ---- addresses ---- */

static uint64_t total_sectors(const struct ide_drive *d)
{
    return d->medium->bytes / ATA_SECTOR_BYTES;
}

/* From cylinder/head/sector, or UINT64_MAX for one that cannot be. */
static uint64_t chs_lba(const struct ide_drive *d)
{
    unsigned cylinder = d->lba_mid | d->lba_high << 8, head = d->channel->select & 15;
    if (d->lba_low == 0 || d->lba_low > d->sectors || head >= d->heads)
        return UINT64_MAX;
    return ((uint64_t)cylinder * d->heads + head) * d->sectors + d->lba_low - 1;
}

static uint64_t get_lba(const struct ide_drive *d)
{
    uint64_t low = d->lba_low | d->lba_mid << 8 | (uint64_t)d->lba_high << 16;
    if (d->lba48)
        return low | (uint64_t)d->hob_lba_low << 24 | (uint64_t)d->hob_lba_mid << 32 |
               (uint64_t)d->hob_lba_high << 40;
    if (d->channel->select & 0x40)
        return low | (uint64_t)(d->channel->select & 15) << 24;
    return chs_lba(d);
}

static void put_lba(struct ide_drive *d, uint64_t lba)
{
    struct ide_channel *ch = d->channel;
    if (!d->lba48 && !(ch->select & 0x40)) {
        unsigned per_cylinder = (unsigned)d->heads * d->sectors;
        if (!per_cylinder)
            return;
        unsigned cylinder = (unsigned)(lba / per_cylinder);
        unsigned rest = (unsigned)(lba % per_cylinder);
        d->lba_low = (uint8_t)(rest % d->sectors + 1);
        ch->select = (uint8_t)((ch->select & 0xf0) | (rest / d->sectors & 15));
        d->lba_mid = (uint8_t)cylinder;
        d->lba_high = (uint8_t)(cylinder >> 8);
        return;
    }
    d->lba_low = (uint8_t)lba;
    d->lba_mid = (uint8_t)(lba >> 8);
    d->lba_high = (uint8_t)(lba >> 16);
    if (d->lba48) {
        d->hob_lba_low = (uint8_t)(lba >> 24);
        d->hob_lba_mid = (uint8_t)(lba >> 32);
        d->hob_lba_high = (uint8_t)(lba >> 40);
    } else {
        ch->select = (uint8_t)((ch->select & 0xf0) | (lba >> 24 & 15));
    }
}

/* Loads lba and left from the task file. False (and the command has failed) if they are not all
 * on the medium. */
static bool load_range(struct ide_drive *d)
{
    unsigned count = d->lba48 ? d->count | d->hob_count << 8 : d->count;
    if (count == 0)
        count = d->lba48 ? 65536 : 256;
    uint64_t lba = get_lba(d), total = total_sectors(d);
    if (lba >= total || count > total - lba) {
        ide_fail(d, ATA_IDNF);
        return false;
    }
    d->lba = lba;
    d->left = count;
    return true;
}

/* After `sectors` were moved. */
static void advance(struct ide_drive *d, uint32_t sectors)
{
    d->lba += sectors;
    put_lba(d, d->lba - 1);
    d->count = (uint8_t)d->left;
    d->hob_count = (uint8_t)(d->left >> 8);
}

/* ---- medium ---- */

static bool read_block(struct ide_drive *d, uint32_t sectors)
{
    if (block_read(d->medium, d->lba * ATA_SECTOR_BYTES, d->buffer,
                   sectors * ATA_SECTOR_BYTES) == 0)
        return true;
    ide_log_error(d, "read");
    put_lba(d, d->lba);
    ide_fail(d, ATA_UNC);
    return false;
}

static bool write_block(struct ide_drive *d, uint32_t sectors)
{
    if (block_write(d->medium, d->lba * ATA_SECTOR_BYTES, d->buffer,
                    sectors * ATA_SECTOR_BYTES) == 0)
        return true;
    ide_log_error(d, "write");
    put_lba(d, d->lba);
    ide_fail(d, ATA_ABRT);
    return false;
}

static uint32_t next_block(const struct ide_drive *d)
{
    return d->left < d->block ? d->left : d->block;
}

/* ---- PIO data ---- */

static void offer_block(struct ide_drive *d)
{
    uint32_t sectors = next_block(d);
    if (!read_block(d, sectors))
        return;
    d->left -= sectors;
    ide_pio(d, IDE_PIO_IN, sectors * ATA_SECTOR_BYTES);
    advance(d, sectors);
    ide_set_irq(d);
}

static void read_sectors(struct ide_drive *d)
{
    if (load_range(d))
        offer_block(d);
}

/* The first block is taken without an interrupt. */
static void write_sectors(struct ide_drive *d)
{
    if (load_range(d))
        ide_pio(d, IDE_PIO_OUT, next_block(d) * ATA_SECTOR_BYTES);
}

static void write_done(struct ide_drive *d)
{
    uint32_t sectors = d->end / ATA_SECTOR_BYTES;
    if (!write_block(d, sectors))
        return;
    d->left -= sectors < d->left ? sectors : d->left;
    advance(d, sectors);
    if (d->left == 0) {
        ide_done(d);
        return;
    }
    ide_pio(d, IDE_PIO_OUT, next_block(d) * ATA_SECTOR_BYTES);
    ide_set_irq(d);
}

void ata_pio_done(struct ide_drive *d)
{
    if (d->transfer == IDE_PIO_OUT) {
        write_done(d);
    } else if (d->left) {
        offer_block(d);
    } else {
        d->transfer = IDE_IDLE;
        d->status = ATA_DRDY | ATA_DSC;
    }
}

/* ---- DMA ---- */

static void wait_for_dma(struct ide_drive *d, enum ide_transfer kind)
{
    if (!load_range(d))
        return;
    d->transfer = (uint8_t)kind;
    d->status = ATA_DRDY | ATA_DSC | ATA_DRQ;
    bmdma_try(d->channel);
}
static void read_dma(struct ide_drive *d)
{
    wait_for_dma(d, IDE_DMA_IN);
}
static void write_dma(struct ide_drive *d)
{
    wait_for_dma(d, IDE_DMA_OUT);
}

/* Moves `sectors`. False when the command cannot go on: it failed, or the PRD table ended and
 * the drive waits, as real ones do, until it is reset. */
static bool dma_chunk(struct ide_drive *d, uint32_t sectors)
{
    bool in = d->transfer == IDE_DMA_IN;
    uint32_t bytes = sectors * ATA_SECTOR_BYTES;
    if (in && !read_block(d, sectors))
        return false;
    int moved = bmdma_move(d->channel, d->buffer, bytes, in);
    if (moved < 0) {
        ide_abort(d);
        return false;
    }
    uint32_t whole = (uint32_t)moved / ATA_SECTOR_BYTES;
    if (!in && whole && !write_block(d, whole))
        return false;
    d->left -= whole;
    if (whole)
        advance(d, whole);
    return whole == sectors;
}

void ata_dma_run(struct ide_drive *d)
{
    while (d->left)
        if (!dma_chunk(d, d->left < DMA_CHUNK_SECTORS ? d->left : DMA_CHUNK_SECTORS))
            return;
    ide_done(d);
}

/* ---- commands without data ---- */

static void nop(struct ide_drive *d)
{
    ide_done(d);
}

static void verify(struct ide_drive *d)
{
    if (!load_range(d))
        return;
    uint32_t sectors = d->left;
    d->left = 0;
    advance(d, sectors);
    ide_done(d);
}

static void seek(struct ide_drive *d)
{
    if (get_lba(d) >= total_sectors(d))
        ide_fail(d, ATA_IDNF);
    else
        ide_done(d);
}

static void flush(struct ide_drive *d)
{
    if (block_flush(d->medium) == 0) {
        ide_done(d);
        return;
    }
    ide_log_error(d, "flush");
    ide_abort(d);
}

static void initialize_parameters(struct ide_drive *d)
{
    if (d->count == 0) {
        ide_abort(d);
        return;
    }
    d->heads = (uint16_t)((d->channel->select & 15) + 1);
    d->sectors = d->count;
    ide_done(d);
}

static void set_multiple(struct ide_drive *d)
{
    if (d->count > ATA_MULTIPLE_MAX || (d->count && !is_power_of_2(d->count))) {
        ide_abort(d);
        return;
    }
    d->multiple = d->count;
    ide_done(d);
}

static void set_transfer_mode(struct ide_drive *d)
{
    unsigned mode = d->count, number = mode & 7;
    bool good = mode <= 0x01 || ((mode & 0xf8) == 0x08 && number <= 4) ||
                ((mode & 0xf8) == 0x20 && number <= 2) ||
                ((mode & 0xf8) == 0x40 && number <= 5);
    if (!good) {
        ide_abort(d);
        return;
    }
    d->transfer_mode = d->count;
    ide_done(d);
}

static void set_features(struct ide_drive *d)
{
    switch (d->feature) {
    case 0x02: /* write cache on */
    case 0x82: /* ... off */
        d->write_cache_off = d->feature == 0x82;
        if (d->write_cache_off && !d->medium->is_cdrom)
            flush(d);
        else
            ide_done(d);
        return;
    case 0x03:
        set_transfer_mode(d);
        return;
    case 0x55: /* read look-ahead off, on; reverting to defaults off, on */
    case 0xaa:
    case 0x66:
    case 0xcc:
        ide_done(d);
        return;
    }
    ide_abort(d);
}

static void read_native_max(struct ide_drive *d)
{
    uint64_t last = total_sectors(d) - 1;
    if (!d->lba48) {
        last = last > 0x0ffffffe ? 0x0ffffffe : last;
        d->channel->select |= 0x40;
    }
    put_lba(d, last);
    ide_done(d);
}

static void check_power_mode(struct ide_drive *d)
{
    d->count = 0xff; /* active or idle */
    ide_done(d);
}

static void identify(struct ide_drive *d)
{
    if (d->medium->is_cdrom) {
        /* How software tells a packet device from a disk. */
        ide_set_signature(d);
        ide_abort(d);
        return;
    }
    ata_identify(d);
    ide_pio(d, IDE_PIO_IN, ATA_SECTOR_BYTES);
    ide_set_irq(d);
}

static void identify_packet(struct ide_drive *d)
{
    if (!d->medium->is_cdrom) {
        ide_abort(d);
        return;
    }
    atapi_identify(d);
    ide_pio(d, IDE_PIO_IN, ATA_SECTOR_BYTES);
    ide_set_irq(d);
}

static void packet(struct ide_drive *d)
{
    if (d->medium->is_cdrom)
        atapi_packet_command(d);
    else
        ide_abort(d);
}

/* READ SECTORS to a packet device is aborted with the signature set. */
static void not_for_packet_devices(struct ide_drive *d)
{
    ide_set_signature(d);
    ide_abort(d);
}

/* ---- dispatch ---- */

// clang-format off
static const struct ata_op ops[256] = {
    [0x10 ... 0x1f] = {nop, ATA_ONLY}, /* RECALIBRATE */
    [0x20] = {read_sectors, ATA_ONLY}, [0x21] = {read_sectors, ATA_ONLY},
    [0x24] = {read_sectors, ATA_ONLY | LBA48},
    [0x25] = {read_dma, ATA_ONLY | LBA48},
    [0x27] = {read_native_max, ATA_ONLY | LBA48},
    [0x29] = {read_sectors, ATA_ONLY | LBA48 | MULTIPLE},
    [0x30] = {write_sectors, ATA_ONLY}, [0x31] = {write_sectors, ATA_ONLY},
    [0x34] = {write_sectors, ATA_ONLY | LBA48},
    [0x35] = {write_dma, ATA_ONLY | LBA48},
    [0x39] = {write_sectors, ATA_ONLY | LBA48 | MULTIPLE},
    [0x3c] = {write_sectors, ATA_ONLY}, /* WRITE VERIFY */
    [0x40] = {verify, ATA_ONLY}, [0x41] = {verify, ATA_ONLY},
    [0x42] = {verify, ATA_ONLY | LBA48},
    [0x70 ... 0x7f] = {seek, ATA_ONLY},
    [0x91] = {initialize_parameters, ATA_ONLY},
    [0x94 ... 0x97] = {nop, 0}, [0x98] = {check_power_mode, 0}, [0x99] = {nop, 0},
    [0xa0] = {packet, 0}, [0xa1] = {identify_packet, 0},
    [0xc4] = {read_sectors, ATA_ONLY | MULTIPLE},
    [0xc5] = {write_sectors, ATA_ONLY | MULTIPLE},
    [0xc6] = {set_multiple, ATA_ONLY},
    [0xc8] = {read_dma, ATA_ONLY}, [0xc9] = {read_dma, ATA_ONLY},
    [0xca] = {write_dma, ATA_ONLY}, [0xcb] = {write_dma, ATA_ONLY},
    [0xe0 ... 0xe3] = {nop, 0}, [0xe5] = {check_power_mode, 0}, [0xe6] = {nop, 0},
    [0xe7] = {flush, ATA_ONLY}, [0xea] = {flush, ATA_ONLY},
    [0xec] = {identify, 0},
    [0xef] = {set_features, 0},
    [0xf8] = {read_native_max, ATA_ONLY},
};
// clang-format on

void ata_command(struct ide_drive *d, uint8_t command)
{
    const struct ata_op *op = &ops[command];
    if (!op->fn) {
        weir_dev_log(d->channel->dev, WEIR_LOG_UNIMP, "drive %s: ATA command %02x",
                     d->medium->id, command);
        ide_abort(d);
        return;
    }
    if ((op->flags & ATA_ONLY) && d->medium->is_cdrom) {
        not_for_packet_devices(d);
        return;
    }
    d->lba48 = (op->flags & LBA48) != 0;
    d->block = op->flags & MULTIPLE ? d->multiple : 1;
    if (d->block == 0) /* READ/WRITE MULTIPLE is off */
        ide_abort(d);
    else
        op->fn(d);
}
