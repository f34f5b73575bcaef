/* SPDX-License-Identifier: MIT */
/*
 * fdc_transfer.c - sectors between the medium and the guest: READ, WRITE, VERIFY, FORMAT TRACK
 * and READ ID. One sector at a time goes through s->buffer: by DMA while the channel is ready
 * (else the 8237's ready callback goes on), or through the FIFO in non-DMA mode.
 *
 * Invariant: C, H, R of the command are checked against the format before each sector, and the
 * medium's range by block_read and block_write.
 */
#include "dev/fdc.h"
#include "dev/isa_dma.h"
#include "base/bits.h"

#define ACCESS_NS     100000u
#define REVOLUTION_NS 200000000u

/* ---- ends ---- */

/* The seven result bytes of all data commands. */
void fdc_finish(struct fdc *s)
{
    weir_timer_cancel(&s->access_timer);
    const uint8_t result[7] = {s->st0, s->st1, s->st2, s->c, s->h, s->r, s->n};
    memcpy(s->result, result, sizeof(result));
    fdc_to_result(s, sizeof(result), true);
}

static void fail(struct fdc *s, uint8_t st1, uint8_t st2)
{
    s->st0 |= ST0_ABNORMAL;
    s->st1 |= st1;
    s->st2 |= st2;
    fdc_finish(s);
}

/* ---- which drive, which sector ---- */

struct fdc_drive *fdc_selected(struct fdc *s)
{
    return &s->drive[s->command[1] & 3];
}

static unsigned data_rate(const struct fdc *s)
{
    return s->dsr & 3;
}

bool fdc_dma_mode(const struct fdc *s)
{
    return !(s->specify[1] & 1);
}

/* Status for a sector that is not there; true if it is. */
static bool find_sector(struct fdc *s, uint64_t *offset)
{
    struct fdc_drive *d = fdc_selected(s);
    if (!fdc_medium_ready(d, data_rate(s))) {
        fail(s, ST1_MISSING_MARK, 0);
        return false;
    }
    if (s->c != d->track) {
        fail(s, ST1_NO_DATA, ST2_WRONG_CYLINDER);
        return false;
    }
    /* Heads that the medium does not have show no address marks at all. */
    unsigned head = s->command[1] >> 2 & 1;
    if (head >= d->format->heads || d->track >= d->format->tracks) {
        fail(s, ST1_MISSING_MARK, 0);
        return false;
    }
    if (s->n != 2 || s->h != head || !fdc_sector_offset(d, s->c, head, s->r, offset)) {
        fail(s, ST1_NO_DATA, 0);
        return false;
    }
    return true;
}

/* C, H, R of the sector after this one. False at the end of the cylinder. */
static bool next_sector(struct fdc *s)
{
    if (s->r != s->eot) {
        s->r++;
        return true;
    }
    s->r = 1;
    if ((s->command[0] & CMD_MT) && !(s->command[1] & 4)) {
        s->h = 1;
        s->command[1] |= 4;
        s->st0 |= 4;
        return true;
    }
    s->c++;
    if (s->command[0] & CMD_MT) {
        s->h = 0;
        s->command[1] &= (uint8_t)~4;
    }
    return false;
}

/* ---- data transfer ---- */

static void begin_sector(struct fdc *s)
{
    uint64_t offset;
    if (!find_sector(s, &offset))
        return;
    s->position = 0;
    s->wanted = FDC_SECTOR_BYTES;
    struct fdc_drive *d = fdc_selected(s);
    if (s->operation != OP_WRITE &&
        block_read(d->medium, offset, s->buffer, FDC_SECTOR_BYTES) < 0) {
        fail(s, ST1_DATA, ST2_DATA);
        return;
    }
    if (s->operation != OP_VERIFY && !fdc_dma_mode(s))
        fdc_irq_set(s, true); /* the FIFO asks for service */
}

/* One ID field, of four bytes, for FORMAT TRACK. */
static void begin_format_sector(struct fdc *s)
{
    s->position = 0;
    s->wanted = 4;
    if (!fdc_dma_mode(s))
        fdc_irq_set(s, true);
}

static bool write_sector(struct fdc *s)
{
    uint64_t offset;
    if (!find_sector(s, &offset))
        return false;
    /* What TC cut short is padded with zeros. */
    memset(s->buffer + s->position, 0, FDC_SECTOR_BYTES - s->position);
    if (block_write(fdc_selected(s)->medium, offset, s->buffer, FDC_SECTOR_BYTES) == 0)
        return true;
    fail(s, ST1_DATA, ST2_DATA);
    return false;
}

static bool format_sector(struct fdc *s)
{
    struct fdc_drive *d = fdc_selected(s);
    uint64_t offset;
    const uint8_t *id = s->buffer;
    unsigned head = s->command[1] >> 2 & 1;
    if (id[3] != 2 || id[0] != d->track || id[1] != head ||
        !fdc_sector_offset(d, id[0], head, id[2], &offset)) {
        fail(s, ST1_NO_DATA, 0);
        return false;
    }
    uint8_t data[FDC_SECTOR_BYTES];
    memset(data, s->command[5], sizeof(data));
    if (block_write(d->medium, offset, data, sizeof(data)) < 0) {
        fail(s, ST1_DATA, ST2_DATA);
        return false;
    }
    return true;
}

/* The sector in the buffer is complete. */
void fdc_sector_done(struct fdc *s)
{
    if (s->operation == OP_FORMAT) {
        if (!format_sector(s))
            return;
        if (--s->sectors_left == 0 || s->terminal_count)
            fdc_finish(s);
        else
            begin_format_sector(s);
        return;
    }
    if (s->operation == OP_WRITE && !write_sector(s))
        return;
    bool more = next_sector(s);
    bool counted = s->operation == OP_VERIFY && (s->command[1] & 0x80);
    if (s->terminal_count || (counted && --s->sectors_left == 0))
        fdc_finish(s);
    else if (!more)
        fail(s, ST1_END_OF_TRACK, 0);
    else
        begin_sector(s);
}

/* Moves what the DMA channel takes now. False when it takes nothing. */
static bool dma_step(struct fdc *s)
{
    bool tc = false;
    unsigned left = (unsigned)s->wanted - s->position, moved;
    if (!s->dma || !(s->dor & DOR_DMAGATE))
        return false;
    if (s->operation == OP_READ)
        moved = dma_write_memory(s->dma, FDC_DMA_CHANNEL, s->buffer + s->position, left, &tc);
    else
        moved = dma_read_memory(s->dma, FDC_DMA_CHANNEL, s->buffer + s->position, left, &tc);
    s->position = (uint16_t)(s->position + (moved < left ? moved : left));
    s->terminal_count |= tc;
    return moved != 0;
}

static void transfer(struct fdc *s)
{
    while (s->phase == PHASE_EXECUTE && s->operation != OP_READ_ID) {
        if (s->operation == OP_VERIFY) {
            fdc_sector_done(s);
            continue;
        }
        if (!fdc_dma_mode(s) || !dma_step(s))
            return;
        if (s->position == s->wanted || s->terminal_count)
            fdc_sector_done(s);
    }
}

void fdc_dma_is_ready(void *ctx)
{
    struct fdc *s = ctx;
    if (s->phase == PHASE_EXECUTE && !weir_timer_armed(&s->access_timer))
        transfer(s);
}

/* READ ID: the sector that passes under the head now. */
static void read_id(struct fdc *s)
{
    struct fdc_drive *d = fdc_selected(s);
    unsigned head = s->command[1] >> 2 & 1;
    if (!fdc_medium_ready(d, data_rate(s)) || d->track >= d->format->tracks ||
        head >= d->format->heads) {
        fail(s, ST1_MISSING_MARK, 0);
        return;
    }
    uint64_t angle = weir_clock_ns(s->dev) % REVOLUTION_NS;
    s->c = d->track;
    s->h = (uint8_t)head;
    s->r = (uint8_t)(1 + angle * d->format->sectors / REVOLUTION_NS);
    s->n = 2;
    fdc_finish(s);
}

/* The head has settled and the sector came round. */
void fdc_access_fired(void *ctx)
{
    struct fdc *s = ctx;
    if (s->phase != PHASE_EXECUTE)
        return;
    if (s->operation == OP_READ_ID) {
        read_id(s);
        return;
    }
    struct fdc_drive *d = fdc_selected(s);
    if (s->operation == OP_FORMAT) {
        if (!fdc_medium_ready(d, data_rate(s))) {
            fail(s, ST1_MISSING_MARK, 0);
            return;
        }
        begin_format_sector(s);
    } else {
        begin_sector(s);
    }
    transfer(s);
}

void fdc_begin(struct fdc *s, enum fdc_operation operation)
{
    s->phase = PHASE_EXECUTE;
    s->operation = (uint8_t)operation;
    s->st0 = s->command[1] & 7;
    s->st1 = s->st2 = 0;
    s->terminal_count = 0;
    s->position = s->wanted = 0;
    struct fdc_drive *d = fdc_selected(s);
    bool writes = operation == OP_WRITE || operation == OP_FORMAT;
    if (!d->format) {
        fail(s, ST1_MISSING_MARK, 0);
    } else if (writes && !block_writable(d->medium)) {
        fail(s, ST1_NOT_WRITABLE, 0);
    } else {
        weir_timer_set(&s->access_timer, weir_clock_ns(s->dev) + ACCESS_NS);
    }
}

void fdc_begin_data(struct fdc *s, enum fdc_operation operation)
{
    s->c = s->command[2];
    s->h = s->command[3];
    s->r = s->command[4];
    s->n = s->command[5];
    s->eot = s->command[6];
    s->sectors_left = s->command[8];
    if (s->config & CONFIG_IMPLIED_SEEK) {
        fdc_step_to(fdc_selected(s), s->c);
        s->cylinder[s->command[1] & 3] = s->c;
    }
    fdc_begin(s, operation);
}
