/* SPDX-License-Identifier: MIT */
/* fdc.h - the floppy controller's two halves: fdc_82078.c (registers and commands) and
 * fdc_media.c (drives, formats, head position). */
#ifndef DEV_FDC_H
#define DEV_FDC_H

#include "backend/block.h"
#include <weir/device.h>

#define FDC_SECTOR_BYTES 512u
#define FDC_TRACKS_MAX   84u

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
