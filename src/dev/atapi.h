/* SPDX-License-Identifier: MIT */
/* atapi.h - what atapi.c (protocol, media access) and atapi_reply.c (tables that a drive tells
 * of itself and its medium) give each other. */
#ifndef DEV_ATAPI_H
#define DEV_ATAPI_H

#include "dev/ide.h"

#define CD_SECTOR_BYTES 2048u
#define CD_RAW_BYTES    2352u

enum { SENSE_NONE, SENSE_NOT_READY = 2, SENSE_HARDWARE = 4, SENSE_ILLEGAL = 5, SENSE_UA = 6 };
enum { /* additional sense codes */
       ASC_READ_ERROR = 0x11,
       ASC_ILLEGAL_OPCODE = 0x20,
       ASC_LBA_RANGE = 0x21,
       ASC_INVALID_FIELD = 0x24,
       ASC_MEDIUM_CHANGED = 0x28,
       ASC_NO_MEDIUM = 0x3a,
       ASC_REMOVAL_PREVENTED = 0x53,
};

/* Ends the packet command: with sense data, well, or with buffer[0, bytes) for the host, of
 * which it wants at most `limit`. */
void atapi_check(struct ide_drive *d, uint8_t key, uint8_t asc);
void atapi_good(struct ide_drive *d);
void atapi_reply(struct ide_drive *d, uint32_t bytes, uint32_t limit);

bool atapi_medium_ready(const struct ide_drive *d);
uint32_t atapi_sectors(const struct ide_drive *d); /* of 2048 bytes */

/* Big-endian fields of packets and replies. */
uint32_t be_get(const uint8_t *p, unsigned bytes);
void be_put(uint8_t *p, uint32_t value, unsigned bytes);
/* Minute, second, frame of a logical block, each a byte. */
void lba_to_msf(uint32_t lba, uint8_t *msf);

/* ---- atapi_reply.c: one function per command; the packet is in d->packet ---- */

void atapi_inquiry(struct ide_drive *d);
void atapi_request_sense(struct ide_drive *d);
void atapi_mode_sense(struct ide_drive *d);
void atapi_read_toc(struct ide_drive *d);
void atapi_get_configuration(struct ide_drive *d);
void atapi_get_event_status(struct ide_drive *d);
void atapi_mechanism_status(struct ide_drive *d);
void atapi_read_disc_information(struct ide_drive *d);
void atapi_read_track_information(struct ide_drive *d);
void atapi_read_capacity(struct ide_drive *d);
void atapi_read_subchannel(struct ide_drive *d);

#endif
