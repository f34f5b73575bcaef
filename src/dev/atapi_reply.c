/* SPDX-License-Identifier: MIT */
/*
 * atapi_reply.c - what a CD/DVD-ROM drive tells of itself and of its medium (MMC-4, SPC-3). The
 * medium is one data track from block 0 to the end.
 */
#include "dev/atapi.h"
#include "base/bits.h"

/* More than a CD can hold is a DVD. */
#define CD_SECTORS_MAX (80u * 60 * 75)
enum { PROFILE_DVD_ROM = 0x10, PROFILE_CD_ROM = 0x08 };

static void clear(struct ide_drive *d, uint32_t bytes)
{
    memset(d->buffer, 0, bytes);
}

void atapi_identify(struct ide_drive *d)
{
    uint8_t *w = d->buffer;
    clear(d, ATA_SECTOR_BYTES);
    store_le(w, 0x85c0, 2); /* packet device, CD-ROM, removable, 12-byte packets, fast DRQ */
    ata_put_string(w + 2 * 10, d->serial, 20);
    ata_put_string(w + 2 * 23, WEIR_VERSION_STRING, 8);
    ata_put_string(w + 2 * 27, "WEIR DVD-ROM", 40);
    store_le(w + 2 * 48, 1, 2);
    store_le(w + 2 * 49, 0x0b00, 2); /* IORDY, LBA, DMA */
    store_le(w + 2 * 53, 0x0007, 2);
    unsigned mode = d->transfer_mode;
    store_le(w + 2 * 62, 0x07, 2);
    store_le(w + 2 * 63, 0x07 | ((mode & 0xf8) == 0x20 ? BIT(8 + (mode & 7)) : 0), 2);
    store_le(w + 2 * 64, 0x03, 2);
    for (unsigned n = 65; n <= 68; n++)
        store_le(w + 2 * n, 120, 2);
    store_le(w + 2 * 80, 0x00f0, 2);
    store_le(w + 2 * 82, 0x4210, 2); /* NOP, DEVICE RESET, PACKET */
    store_le(w + 2 * 83, 0x4000, 2);
    store_le(w + 2 * 84, 0x4000, 2);
    store_le(w + 2 * 85, 0x4210, 2);
    store_le(w + 2 * 87, 0x4000, 2);
    store_le(w + 2 * 88, 0x3f | ((mode & 0xf8) == 0x40 ? BIT(8 + (mode & 7)) : 0), 2);
}

static void put_padded(uint8_t *out, const char *text, unsigned bytes)
{
    for (unsigned n = 0; n < bytes; n++)
        out[n] = *text ? (uint8_t)*text++ : ' ';
}

void atapi_inquiry(struct ide_drive *d)
{
    uint8_t *b = d->buffer;
    uint32_t limit = be_get(d->packet + 3, 2);
    clear(d, 36);
    if (d->packet[1] & 1) { /* vital product data */
        if (d->packet[2] != 0) {
            atapi_check(d, SENSE_ILLEGAL, ASC_INVALID_FIELD);
            return;
        }
        b[0] = 0x05;
        b[3] = 1; /* one page: this list */
        atapi_reply(d, 5, limit);
        return;
    }
    b[0] = 0x05; /* CD/DVD */
    b[1] = 0x80; /* removable */
    b[3] = 0x21; /* ATAPI-2, response format 1 */
    b[4] = 36 - 5;
    put_padded(b + 8, "WEIR", 8);
    put_padded(b + 16, "WEIR DVD-ROM", 16);
    put_padded(b + 32, WEIR_VERSION_STRING, 4);
    atapi_reply(d, 36, limit);
}

void atapi_request_sense(struct ide_drive *d)
{
    uint8_t *b = d->buffer;
    clear(d, 18);
    b[0] = 0x70;
    b[2] = d->sense_key;
    b[7] = 10;
    b[12] = d->sense_asc;
    if (d->sense_key == SENSE_NOT_READY && d->tray_open)
        b[13] = 2;
    atapi_reply(d, 18, d->packet[4]);
}

/* ---- MODE SENSE ---- */

static const uint8_t page_error_recovery[] = {0x01, 0x06, 0x00, 0x05, 0, 0, 0, 0};
static const uint8_t page_audio[] = {0x0e, 0x0e, 0x04, 0,    0, 0, 0, 75,
                                     0x01, 0xff, 0x02, 0xff, 0, 0, 0, 0};
static const uint8_t page_capabilities[] = {
    0x2a,     0x12,      0x3b,     0x00,
    0x70,     0x60,      0x29,     0x00, /* reads CD-R/RW, DVD; tray, lock */
    706 >> 8, 706 & 255, 0,        2,
    512 >> 8, 512 & 255, 706 >> 8, 706 & 255, /* kB/s, buffer */
    0,        0,         0,        0};

static unsigned put_page(uint8_t *out, unsigned page)
{
    const uint8_t *from = page == 0x01   ? page_error_recovery
                          : page == 0x0e ? page_audio
                                         : page_capabilities;
    unsigned bytes = from[1] + 2u;
    memcpy(out, from, bytes);
    return bytes;
}

static uint8_t medium_type(const struct ide_drive *d)
{
    if (d->tray_open)
        return 0x71;
    if (!block_present(d->medium))
        return 0x70;
    return atapi_sectors(d) > CD_SECTORS_MAX ? 0x41 : 0x01;
}

void atapi_mode_sense(struct ide_drive *d)
{
    static const uint8_t pages[] = {0x01, 0x0e, 0x2a};
    uint8_t *b = d->buffer;
    bool ten = d->packet[0] == 0x5a, found = false;
    unsigned page = d->packet[2] & 0x3f, at = ten ? 8 : 4;
    if (d->packet[2] >> 6 == 3) { /* saved values */
        atapi_check(d, SENSE_ILLEGAL, 0x39);
        return;
    }
    clear(d, 64);
    for (unsigned n = 0; n < ARRAY_SIZE(pages); n++) {
        if (page != 0x3f && page != pages[n])
            continue;
        unsigned bytes = put_page(b + at, pages[n]);
        if (d->packet[2] >> 6 == 1) /* changeable values: none */
            memset(b + at + 2, 0, bytes - 2);
        else if (pages[n] == 0x2a && d->tray_locked)
            b[at + 6] |= 0x02;
        at += bytes;
        found = true;
    }
    if (!found) {
        atapi_check(d, SENSE_ILLEGAL, ASC_INVALID_FIELD);
        return;
    }
    if (ten) {
        be_put(b, at - 2, 2);
        b[2] = medium_type(d);
        atapi_reply(d, at, be_get(d->packet + 7, 2));
    } else {
        b[0] = (uint8_t)(at - 1);
        b[1] = medium_type(d);
        atapi_reply(d, at, d->packet[4]);
    }
}

/* ---- medium ---- */

void atapi_read_capacity(struct ide_drive *d)
{
    uint32_t sectors = atapi_sectors(d);
    be_put(d->buffer, sectors ? sectors - 1 : 0, 4);
    be_put(d->buffer + 4, CD_SECTOR_BYTES, 4);
    atapi_reply(d, 8, 8);
}

static void put_address(uint8_t *out, uint32_t lba, bool msf)
{
    be_put(out, 0, 4);
    if (msf)
        lba_to_msf(lba, out + 1);
    else
        be_put(out, lba, 4);
}

/* Format 0: the tracks from a number on, then the lead-out. */
static unsigned toc_tracks(struct ide_drive *d, bool msf, unsigned start)
{
    uint8_t *b = d->buffer, *entry = b + 4;
    if (start > 1 && start != 0xaa)
        return 0;
    b[2] = b[3] = 1; /* first and last track */
    if (start <= 1) {
        entry[1] = 0x14; /* data track, Q has position */
        entry[2] = 1;
        put_address(entry + 4, 0, msf);
        entry += 8;
    }
    entry[1] = 0x16;
    entry[2] = 0xaa;
    put_address(entry + 4, atapi_sectors(d), msf);
    return (unsigned)(entry + 8 - b);
}

/* Format 1: one session. */
static unsigned toc_sessions(struct ide_drive *d, bool msf)
{
    uint8_t *b = d->buffer;
    b[2] = b[3] = 1;
    b[5] = 0x14;
    b[6] = 1;
    put_address(b + 8, 0, msf);
    return 12;
}

/* Format 2: the raw table, as Q subchannel entries A0h, A1h, A2h and the track. */
static unsigned toc_raw(struct ide_drive *d)
{
    static const uint8_t points[] = {0xa0, 0xa1, 0xa2, 0x01};
    uint8_t *b = d->buffer, *entry = b + 4;
    b[2] = b[3] = 1;
    for (unsigned n = 0; n < ARRAY_SIZE(points); n++, entry += 11) {
        entry[0] = 1; /* session */
        entry[1] = n == 2 ? 0x16 : 0x14;
        entry[3] = points[n];
        if (points[n] == 0xa2)
            lba_to_msf(atapi_sectors(d), entry + 8);
        else if (points[n] == 0x01)
            lba_to_msf(0, entry + 8);
        else
            entry[8] = 1; /* number of the first and last track */
    }
    return (unsigned)(entry - b);
}

void atapi_read_toc(struct ide_drive *d)
{
    bool msf = d->packet[1] & 2;
    unsigned format = d->packet[2] & 15, bytes = 0;
    if (format == 0)
        format = d->packet[9] >> 6; /* where old hosts put it */
    clear(d, 64);
    switch (format) {
    case 0:
        bytes = toc_tracks(d, msf, d->packet[6]);
        break;
    case 1:
        bytes = toc_sessions(d, msf);
        break;
    case 2:
        bytes = toc_raw(d);
        break;
    }
    if (!bytes) {
        atapi_check(d, SENSE_ILLEGAL, ASC_INVALID_FIELD);
        return;
    }
    be_put(d->buffer, bytes - 2, 2);
    atapi_reply(d, bytes, be_get(d->packet + 7, 2));
}

/* Nothing plays: no audio status, position of the track's start. */
void atapi_read_subchannel(struct ide_drive *d)
{
    uint8_t *b = d->buffer;
    unsigned bytes = d->packet[2] & 0x40 ? 16 : 4;
    clear(d, 16);
    b[1] = 0x15;
    if (bytes == 16) {
        if (d->packet[3] != 1) {
            atapi_check(d, SENSE_ILLEGAL, ASC_INVALID_FIELD);
            return;
        }
        b[3] = 12;
        b[4] = 1;
        b[5] = 0x14;
        b[6] = b[7] = 1;
        put_address(b + 8, 0, d->packet[1] & 2);
    }
    atapi_reply(d, bytes, be_get(d->packet + 7, 2));
}

void atapi_read_disc_information(struct ide_drive *d)
{
    uint8_t *b = d->buffer;
    if (d->packet[1] & 7) {
        atapi_check(d, SENSE_ILLEGAL, ASC_INVALID_FIELD);
        return;
    }
    clear(d, 34);
    b[1] = 32;
    b[2] = 0x0e; /* complete, last session complete */
    b[3] = b[4] = b[5] = b[6] = 1;
    b[7] = 0x20; /* unrestricted use */
    atapi_reply(d, 34, be_get(d->packet + 7, 2));
}

void atapi_read_track_information(struct ide_drive *d)
{
    uint8_t *b = d->buffer;
    clear(d, 36);
    be_put(b, 34, 2);
    b[2] = b[3] = 1; /* track, session */
    b[5] = 0x04;     /* data */
    b[6] = 0x01;     /* mode 1 */
    be_put(b + 24, atapi_sectors(d), 4);
    atapi_reply(d, 36, be_get(d->packet + 7, 2));
}

/* ---- drive ---- */

static unsigned put_feature(uint8_t *out, unsigned code, uint8_t flags, unsigned bytes)
{
    memset(out, 0, 4 + bytes);
    be_put(out, code, 2);
    out[2] = flags; /* version, persistent, current */
    out[3] = (uint8_t)bytes;
    return 4 + bytes;
}

void atapi_get_configuration(struct ide_drive *d)
{
    uint8_t *b = d->buffer;
    unsigned first = be_get(d->packet + 2, 2), which = d->packet[1] & 3, at = 8;
    unsigned profile = 0;
    clear(d, 8);
    if (atapi_medium_ready(d))
        profile = atapi_sectors(d) > CD_SECTORS_MAX ? PROFILE_DVD_ROM : PROFILE_CD_ROM;
    be_put(b + 6, profile, 2);
    bool one = which == 2;
    if (first == 0) { /* profile list */
        uint8_t *list = b + at + 4;
        at += put_feature(b + at, 0, 0x03, 8);
        be_put(list, PROFILE_DVD_ROM, 2);
        list[2] = profile == PROFILE_DVD_ROM;
        be_put(list + 4, PROFILE_CD_ROM, 2);
        list[6] = profile == PROFILE_CD_ROM;
    }
    if (one ? first == 1 : first <= 1) { /* core: ATAPI */
        unsigned core = at;
        at += put_feature(b + at, 1, 0x0b, 8);
        be_put(b + core + 4, 2, 4);
        b[core + 8] = 1; /* DBE */
    }
    if (one ? first == 3 : first <= 3) { /* removable medium: tray, eject, lock */
        unsigned removable = at;
        at += put_feature(b + at, 3, 0x03, 4);
        b[removable + 4] = 0x29;
    }
    be_put(b, at - 4, 4);
    atapi_reply(d, at, be_get(d->packet + 7, 2));
}

/* Only polled, only the media class. */
void atapi_get_event_status(struct ide_drive *d)
{
    uint8_t *b = d->buffer;
    unsigned bytes = 4;
    if (!(d->packet[1] & 1)) {
        atapi_check(d, SENSE_ILLEGAL, ASC_INVALID_FIELD);
        return;
    }
    clear(d, 8);
    b[3] = 0x10; /* classes there are */
    b[2] = 0x80; /* no event available */
    if (d->packet[4] & 0x10) {
        b[2] = 0x04;
        b[4] = d->media_event;
        b[5] = (uint8_t)((d->tray_open ? 1 : 0) | (atapi_medium_ready(d) ? 2 : 0));
        d->media_event = 0;
        bytes = 8;
    }
    be_put(b, bytes - 2, 2);
    atapi_reply(d, bytes, be_get(d->packet + 7, 2));
}

void atapi_mechanism_status(struct ide_drive *d)
{
    clear(d, 8);
    if (d->tray_open)
        d->buffer[1] = 0x10;
    d->buffer[5] = 1;
    atapi_reply(d, 8, be_get(d->packet + 8, 2));
}
