/* SPDX-License-Identifier: MIT */
/*
 * ide.h - an IDE channel with up to two drives, and the bus master that serves it.
 *
 *   ide.c         task file registers, selection, interrupts, soft reset
 *   ata.c         hard disk commands            ata_identify.c  IDENTIFY and geometry
 *   atapi.c       PACKET protocol, commands     atapi_reply.c   INQUIRY, TOC, MODE SENSE, ...
 *   ide_bmdma.c   PRD tables and registers      ide_piix3.c     the PCI function
 *
 * A drive is always in one of the states of enum ide_transfer. Commands complete at once, or
 * the drive waits in such a state for the guest: for accesses to the data port or for the start
 * bit of the bus master.
 *
 *   IDLE --command--> PIO_IN/PIO_OUT/PACKET --last byte--> next block or IDLE
 *        --command--> DMA_IN/DMA_OUT --bus master started, all moved--> IDLE
 */
#ifndef DEV_IDE_H
#define DEV_IDE_H

#include "backend/block.h"
#include "dev/pci.h"

enum { /* status register */
       ATA_ERR = 0x01,
       ATA_DRQ = 0x08,
       ATA_DSC = 0x10,
       ATA_DF = 0x20,
       ATA_DRDY = 0x40,
       ATA_BSY = 0x80,
};
enum { ATA_ABRT = 0x04, ATA_IDNF = 0x10, ATA_UNC = 0x40 }; /* error register */
enum { ATA_NIEN = 0x02, ATA_SRST = 0x04, ATA_HOB = 0x80 }; /* device control */
enum { ATAPI_COD = 1, ATAPI_IO = 2 };                      /* interrupt reason */

enum ide_transfer { IDE_IDLE, IDE_PIO_IN, IDE_PIO_OUT, IDE_PACKET, IDE_DMA_IN, IDE_DMA_OUT };

#define IDE_BUFFER_BYTES 65536u
#define ATA_SECTOR_BYTES 512u
#define ATA_MULTIPLE_MAX 16u

struct ide_drive {
    /* task file; `hob` holds what each register had before its last write */
    uint8_t feature, count, lba_low, lba_mid, lba_high;
    uint8_t hob_feature, hob_count, hob_lba_low, hob_lba_mid, hob_lba_high;
    uint8_t status, error, command, irq;
    /* transfer */
    uint8_t transfer;                  /* enum ide_transfer */
    uint8_t lba48;                     /* the running command uses 48-bit addresses */
    uint32_t block;                    /* sectors per DRQ block of the running command */
    uint64_t lba;                      /* next sector */
    uint32_t left;                     /* sectors still to move, beyond those in the buffer */
    uint32_t position, chunk_end, end; /* in buffer; chunk_end <= end <= IDE_BUFFER_BYTES */
    /* disk settings */
    uint8_t multiple;      /* SET MULTIPLE MODE; 0 = off */
    uint8_t transfer_mode; /* SET FEATURES 03h */
    uint8_t write_cache_off;
    uint16_t heads, sectors; /* INITIALIZE DEVICE PARAMETERS */
    /* packet device */
    uint8_t packet[12];
    uint8_t packet_dma, sense_key, sense_asc;
    uint8_t tray_open, tray_locked, media_changed, media_event;
    uint16_t sector_bytes; /* READ CD: 2048 or 2352 */
    uint16_t byte_limit;
    uint8_t *buffer;
    /* wiring */
    struct ide_channel *channel;
    struct weir_block *medium;                                       /* NULL: no such drive */
    uint8_t unit;                                                    /* 0 = master */
    uint16_t cylinders, default_heads, default_sectors, translation; /* physical geometry */
    char serial[21];
};

struct bmdma {
    uint8_t command, status;
    uint32_t table; /* physical address of the PRD table */
    /* cursor: the PRD entry that is being used up */
    uint32_t next_entry, address, left;
    uint8_t last;
};

struct ide_channel {
    struct ide_drive drive[2];
    struct bmdma bm;
    uint8_t select;  /* device/head register; bit 4 = drive */
    uint8_t control; /* device control register */
    uint8_t line;    /* level of INTRQ */
    /* wiring */
    weir_dev *dev;
    struct pci_function *pci;
    struct weir_line irq;
};

extern const struct weir_field ide_channel_fields[];

/* ---- ide.c ---- */

int ide_channel_init(weir_dev *dev, struct ide_channel *ch, struct pci_function *pci,
                     unsigned first_index);
void ide_channel_reset(struct ide_channel *ch);
int ide_channel_loaded(struct ide_channel *ch);
void ide_channel_fini(struct ide_channel *ch);
extern const struct weir_io_ops ide_command_ops, ide_control_ops; /* ctx: ide_channel */

static inline struct ide_drive *ide_selected(struct ide_channel *ch)
{
    return &ch->drive[ch->select >> 4 & 1];
}
void ide_set_irq(struct ide_drive *d);
void ide_set_signature(struct ide_drive *d);
/* Ends the command. */
void ide_done(struct ide_drive *d);
void ide_fail(struct ide_drive *d, uint8_t error);
void ide_abort(struct ide_drive *d);
/* Offers buffer[0, bytes) to the data port, or waits for so many; raises DRQ. */
void ide_pio(struct ide_drive *d, enum ide_transfer kind, uint32_t bytes);
/* Host error of a medium, for the log. */
void ide_log_error(struct ide_drive *d, const char *what);

/* ---- ata.c, ata_identify.c ---- */

void ata_command(struct ide_drive *d, uint8_t command);
void ata_pio_done(struct ide_drive *d); /* the buffer was read or filled */
void ata_dma_run(struct ide_drive *d);
void ata_guess_geometry(struct ide_drive *d);
void ata_identify(struct ide_drive *d); /* fills buffer[0, 512) */
void ata_put_string(uint8_t *word, const char *text, unsigned bytes);

/* ---- atapi.c ---- */

void atapi_identify(struct ide_drive *d);
void atapi_packet_command(struct ide_drive *d); /* PACKET (A0h) */
void atapi_pio_done(struct ide_drive *d);
void atapi_dma_run(struct ide_drive *d);
void atapi_medium_changed(struct ide_drive *d);
void atapi_reset(struct ide_drive *d);

/* ---- ide_bmdma.c ---- */

void bmdma_reset(struct bmdma *bm);
/* Runs a drive's waiting DMA command if the bus master is started. */
void bmdma_try(struct ide_channel *ch);
/* Moves up to `bytes` between buffer and the memory of the PRD table, on from where the last
 * call stopped. How many were moved: fewer when the table ends; -1 when memory is not there. */
int bmdma_move(struct ide_channel *ch, uint8_t *buffer, uint32_t bytes, bool to_memory);
/* The drive raised INTRQ. */
void bmdma_irq(struct ide_channel *ch);
uint8_t bmdma_read(struct ide_channel *ch, unsigned offset);
void bmdma_write(struct ide_channel *ch, unsigned offset, uint8_t value);

#endif
