/* SPDX-License-Identifier: MIT */
/*
 * fdc_media.c - diskettes: the format follows from the image's size, and at init the type of
 * the drive from the format (a BIOS believes the drive's type more than the medium). An image
 * of no standard size is taken for the 1.44 MB format it fits in (boot sectors alone, truncated
 * images); sectors that the image does not have cannot be found.
 */
#include "dev/fdc.h"
#include "base/bits.h"

enum { RATE_500 = 1, RATE_300 = 2, RATE_250 = 4, RATE_1000 = 8 };
enum { TYPE_360K = 1, TYPE_1200K, TYPE_720K, TYPE_1440K, TYPE_2880K };

static const struct fdc_format formats[] = {
    {2 * 80 * 18, 18, 80, 2, RATE_500, TYPE_1440K},
    {2 * 80 * 36, 36, 80, 2, RATE_1000, TYPE_2880K},
    {2 * 80 * 9, 9, 80, 2, RATE_250, TYPE_720K},
    {2 * 80 * 15, 15, 80, 2, RATE_500, TYPE_1200K},
    {2 * 40 * 9, 9, 40, 2, RATE_300 | RATE_250, TYPE_360K},
    {2 * 40 * 8, 8, 40, 2, RATE_300 | RATE_250, TYPE_360K},
    {1 * 40 * 9, 9, 40, 1, RATE_300 | RATE_250, TYPE_360K},
    {1 * 40 * 8, 8, 40, 1, RATE_300 | RATE_250, TYPE_360K},
    {2 * 80 * 21, 21, 80, 2, RATE_500, TYPE_1440K}, /* DMF */
    {2 * 82 * 21, 21, 82, 2, RATE_500, TYPE_1440K},
    {2 * 80 * 20, 20, 80, 2, RATE_500, TYPE_1440K},
    {2 * 83 * 18, 18, 83, 2, RATE_500, TYPE_1440K},
    {2 * 80 * 10, 10, 80, 2, RATE_250, TYPE_720K},
};

void fdc_medium_load(struct fdc_drive *d)
{
    uint64_t sectors = block_present(d->medium) ? d->medium->bytes / FDC_SECTOR_BYTES : 0;
    d->format = NULL;
    if (!sectors)
        return;
    d->format = &formats[0];
    for (unsigned n = 0; n < ARRAY_SIZE(formats); n++) {
        if (formats[n].sectors_total == sectors) {
            d->format = &formats[n];
            return;
        }
    }
}

bool fdc_medium_ready(const struct fdc_drive *d, unsigned rate)
{
    return d->format && (d->format->rates >> rate & 1);
}

void fdc_step_to(struct fdc_drive *d, unsigned track)
{
    if (track >= FDC_TRACKS_MAX)
        track = FDC_TRACKS_MAX - 1;
    if (track == d->track)
        return;
    d->track = (uint8_t)track;
    if (d->format)
        d->media_changed = 0;
}

bool fdc_sector_offset(const struct fdc_drive *d, unsigned track, unsigned head,
                       unsigned sector, uint64_t *offset)
{
    const struct fdc_format *f = d->format;
    if (!f || track >= f->tracks || head >= f->heads || sector < 1 || sector > f->sectors)
        return false;
    *offset =
        ((uint64_t)(track * f->heads + head) * f->sectors + sector - 1) * FDC_SECTOR_BYTES;
    return *offset < d->medium->bytes;
}
