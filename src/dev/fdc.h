/* SPDX-License-Identifier: MIT */
/*
 * fdc.h - the parts of the floppy controller: fdc_82078.c (registers, phases), fdc_commands.c,
 * fdc_transfer.c (sectors between medium and DMA or FIFO), fdc_media.c (drives, formats).
 */
#ifndef DEV_FDC_H
#define DEV_FDC_H

#include "backend/block.h"
#include <weir/device.h>

#define FDC_SECTOR_BYTES 512u
#define FDC_TRACKS_MAX   84u
#define FDC_DMA_CHANNEL  2u

/* One diskette format: what tracks and sectors there are, and the data rate they need. */
struct fdc_format {
    uint32_t sectors_total;
    uint8_t sectors, tracks, heads;
    uint8_t rates; /* bit n: data rate n of DSR/CCR reads it (0 500, 1 300, 2 250, 3 1000) */
    uint8_t drive_type; /* CMOS type of the drive that takes it */
};

struct fdc_drive {
    uint8_t track; /* where the heads are, < FDC_TRACKS_MAX */
    uint8_t media_changed;
    /* wiring */
    struct weir_block *medium; /* NULL: no such drive */
    const struct fdc_format *format;
    uint8_t drive_type;
};

enum { DOR_RESET_N = 0x04, DOR_DMAGATE = 0x08 };
enum { MSR_BUSY = 0x10, MSR_NDMA = 0x20, MSR_DIO = 0x40, MSR_RQM = 0x80 };
enum { ST0_NOT_READY = 0x08, ST0_EQUIPMENT = 0x10, ST0_SEEK_END = 0x20, ST0_ABNORMAL = 0x40 };
enum { ST0_INVALID = 0x80, ST0_POLLED = 0xc0 };
enum { ST1_MISSING_MARK = 0x01, ST1_NOT_WRITABLE = 0x02, ST1_NO_DATA = 0x04, ST1_DATA = 0x20 };
enum { ST1_END_OF_TRACK = 0x80 };
enum { ST2_WRONG_CYLINDER = 0x10, ST2_DATA = 0x20 };
enum { CONFIG_POLL_OFF = 0x10, CONFIG_IMPLIED_SEEK = 0x40 };
enum { CMD_MT = 0x80, LOCK_ON = 0x80, DSR_RESET = 0x80 };

enum fdc_phase { PHASE_COMMAND, PHASE_EXECUTE, PHASE_RESULT };
enum fdc_operation { OP_NONE, OP_READ, OP_WRITE, OP_VERIFY, OP_FORMAT, OP_READ_ID };

struct fdc {
    uint8_t dor, tdr, dsr, irq;
    uint8_t phase, operation; /* enum fdc_phase, fdc_operation */
    uint8_t command[18], command_bytes;
    uint8_t result[16], result_bytes, result_position;
    uint8_t sense_resets;         /* polled interrupts after reset still to be sensed */
    uint8_t seek_busy, seek_done; /* bit per drive */
    uint8_t seek_target[4], seek_status[4];
    uint8_t cylinder[4]; /* PCN as the controller believes */
    uint8_t specify[2], config, precompensation_track, lock, perpendicular;
    uint8_t st0, st1, st2;
    uint8_t c, h, r, n, eot;              /* of the running command */
    uint8_t terminal_count, sectors_left; /* sectors: FORMAT, VERIFY with EC */
    uint16_t position, wanted;            /* in buffer; wanted <= FDC_SECTOR_BYTES */
    uint8_t buffer[FDC_SECTOR_BYTES];
    struct fdc_drive drive[4]; /* only 0 and 1 can exist */
    struct weir_timer access_timer, seek_timer, reset_timer;
    /* wiring */
    weir_dev *dev, *dma;
    struct weir_line line;
    uint8_t line_level;
};

/* ---- fdc_82078.c ---- */

void fdc_irq_update(struct fdc *s);
void fdc_irq_set(struct fdc *s, bool pending);
void fdc_to_command(struct fdc *s);
void fdc_to_result(struct fdc *s, unsigned bytes, bool interrupt); /* s->result is filled */
void fdc_result1(struct fdc *s, uint8_t value);

/* ---- fdc_commands.c ---- */

void fdc_take_command_byte(struct fdc *s, uint8_t value);
bool fdc_command_known(uint8_t opcode);
void fdc_seek_fired(void *ctx);

/* ---- fdc_transfer.c ---- */

struct fdc_drive *fdc_selected(struct fdc *s); /* by the running command */
bool fdc_dma_mode(const struct fdc *s);
void fdc_begin(struct fdc *s, enum fdc_operation operation);
void fdc_begin_data(struct fdc *s, enum fdc_operation operation); /* with C, H, R, N, EOT */
void fdc_finish(struct fdc *s);                                   /* the seven result bytes */
void fdc_sector_done(struct fdc *s); /* the buffer was read or filled */
void fdc_dma_is_ready(void *ctx);
void fdc_access_fired(void *ctx);

/* ---- fdc_media.c ---- */

/* Looks at the medium: at init and after every change. */
void fdc_medium_load(struct fdc_drive *d);
/* True with a readable medium at this data rate. */
bool fdc_medium_ready(const struct fdc_drive *d, unsigned rate);
/* Moves the heads; a step with a medium in the drive clears the disk change line. */
void fdc_step_to(struct fdc_drive *d, unsigned track);
/* Byte offset of a sector in the image; false if there is no such sector. */
bool fdc_sector_offset(const struct fdc_drive *d, unsigned track, unsigned head,
                       unsigned sector, uint64_t *offset);

#endif
