/* SPDX-License-Identifier: MIT */
/*
 * fdc_82078.c - floppy disk controller at 3F0h-3F5h and 3F7h, IRQ 6, DMA channel 2 (Intel 82078
 * data sheet 290475). Two drives; the medium's format is fdc_media.c's business.
 *
 *   COMMAND --last parameter--> EXECUTE --moved, TC or error--> RESULT --last byte--> COMMAND
 *                                  \--SEEK, RECALIBRATE: back to COMMAND at once, IRQ later
 *
 * EXECUTE moves one sector at a time through `buffer`: by DMA while the channel is ready (else
 * the 8237's ready callback goes on), or by the FIFO in non-DMA mode. Mechanical work is a
 * timer: short, because guests wait for it, but not zero, because they clear flags first.
 */
#include "dev/fdc.h"
#include "dev/isa_dma.h"
#include "dev/machine_hooks.h"
#include "dev/pci_board.h"
#include "base/bits.h"

#define DMA_CHANNEL   2u
#define RESET_NS      50000u
#define SEEK_NS       200000u
#define ACCESS_NS     100000u
#define REVOLUTION_NS 200000000u

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

static void transfer(struct fdc *s);

/* ---- interrupt ---- */

static void irq_update(struct fdc *s)
{
    uint8_t level = s->irq && (s->dor & DOR_DMAGATE);
    if (level == s->line_level)
        return;
    s->line_level = level;
    weir_line_set(&s->line, level);
}

static void irq_set(struct fdc *s, bool pending)
{
    s->irq = pending;
    irq_update(s);
}

/* ---- phases ---- */

static void to_command(struct fdc *s)
{
    s->phase = PHASE_COMMAND;
    s->operation = OP_NONE;
    s->command_bytes = 0;
    s->result_bytes = s->result_position = 0;
}

static void to_result(struct fdc *s, unsigned bytes, bool interrupt)
{
    s->phase = PHASE_RESULT;
    s->operation = OP_NONE;
    s->result_bytes = (uint8_t)bytes;
    s->result_position = 0;
    if (interrupt)
        irq_set(s, true);
}

static void result1(struct fdc *s, uint8_t value)
{
    s->result[0] = value;
    to_result(s, 1, false);
}

/* The seven result bytes of all data commands. */
static void finish(struct fdc *s)
{
    weir_timer_cancel(&s->access_timer);
    const uint8_t result[7] = {s->st0, s->st1, s->st2, s->c, s->h, s->r, s->n};
    memcpy(s->result, result, sizeof(result));
    to_result(s, sizeof(result), true);
}

static void fail(struct fdc *s, uint8_t st1, uint8_t st2)
{
    s->st0 |= ST0_ABNORMAL;
    s->st1 |= st1;
    s->st2 |= st2;
    finish(s);
}

/* ---- reset ---- */

/* The 82078 comes out of reset polling its drives: each reports a change of its ready line. */
static void reset_fired(void *ctx)
{
    struct fdc *s = ctx;
    if (!(s->dor & DOR_RESET_N) || (s->config & CONFIG_POLL_OFF))
        return;
    s->sense_resets = 4;
    irq_set(s, true);
}

static void controller_reset(struct fdc *s)
{
    weir_timer_cancel(&s->access_timer);
    weir_timer_cancel(&s->seek_timer);
    to_command(s);
    s->seek_busy = s->seek_done = s->sense_resets = 0;
    memset(s->cylinder, 0, sizeof(s->cylinder));
    s->perpendicular &= 0x3c; /* a software reset clears GAP and WGATE only */
    if (!s->lock) {
        s->config = 0;
        s->precompensation_track = 0;
    }
    irq_set(s, false);
    weir_timer_set(&s->reset_timer, weir_clock_ns(s->dev) + RESET_NS);
}

/* ---- which drive, which sector ---- */

static struct fdc_drive *selected(struct fdc *s)
{
    return &s->drive[s->command[1] & 3];
}

static unsigned data_rate(const struct fdc *s)
{
    return s->dsr & 3;
}

static bool dma_mode(const struct fdc *s)
{
    return !(s->specify[1] & 1);
}

/* Status for a sector that is not there; true if it is. */
static bool find_sector(struct fdc *s, uint64_t *offset)
{
    struct fdc_drive *d = selected(s);
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
    struct fdc_drive *d = selected(s);
    if (s->operation != OP_WRITE &&
        block_read(d->medium, offset, s->buffer, FDC_SECTOR_BYTES) < 0) {
        fail(s, ST1_DATA, ST2_DATA);
        return;
    }
    if (s->operation != OP_VERIFY && !dma_mode(s))
        irq_set(s, true); /* the FIFO asks for service */
}

/* One ID field, of four bytes, for FORMAT TRACK. */
static void begin_format_sector(struct fdc *s)
{
    s->position = 0;
    s->wanted = 4;
    if (!dma_mode(s))
        irq_set(s, true);
}

static bool write_sector(struct fdc *s)
{
    uint64_t offset;
    if (!find_sector(s, &offset))
        return false;
    /* What TC cut short is padded with zeros. */
    memset(s->buffer + s->position, 0, FDC_SECTOR_BYTES - s->position);
    if (block_write(selected(s)->medium, offset, s->buffer, FDC_SECTOR_BYTES) == 0)
        return true;
    fail(s, ST1_DATA, ST2_DATA);
    return false;
}

static bool format_sector(struct fdc *s)
{
    struct fdc_drive *d = selected(s);
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
static void sector_done(struct fdc *s)
{
    if (s->operation == OP_FORMAT) {
        if (!format_sector(s))
            return;
        if (--s->sectors_left == 0 || s->terminal_count)
            finish(s);
        else
            begin_format_sector(s);
        return;
    }
    if (s->operation == OP_WRITE && !write_sector(s))
        return;
    bool more = next_sector(s);
    bool counted = s->operation == OP_VERIFY && (s->command[1] & 0x80);
    if (s->terminal_count || (counted && --s->sectors_left == 0))
        finish(s);
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
        moved = dma_write_memory(s->dma, DMA_CHANNEL, s->buffer + s->position, left, &tc);
    else
        moved = dma_read_memory(s->dma, DMA_CHANNEL, s->buffer + s->position, left, &tc);
    s->position = (uint16_t)(s->position + (moved < left ? moved : left));
    s->terminal_count |= tc;
    return moved != 0;
}

static void transfer(struct fdc *s)
{
    while (s->phase == PHASE_EXECUTE && s->operation != OP_READ_ID) {
        if (s->operation == OP_VERIFY) {
            sector_done(s);
            continue;
        }
        if (!dma_mode(s) || !dma_step(s))
            return;
        if (s->position == s->wanted || s->terminal_count)
            sector_done(s);
    }
}

static void dma_is_ready(void *ctx)
{
    struct fdc *s = ctx;
    if (s->phase == PHASE_EXECUTE && !weir_timer_armed(&s->access_timer))
        transfer(s);
}

/* READ ID: the sector that passes under the head now. */
static void read_id(struct fdc *s)
{
    struct fdc_drive *d = selected(s);
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
    finish(s);
}

/* The head has settled and the sector came round. */
static void access_fired(void *ctx)
{
    struct fdc *s = ctx;
    if (s->phase != PHASE_EXECUTE)
        return;
    if (s->operation == OP_READ_ID) {
        read_id(s);
        return;
    }
    struct fdc_drive *d = selected(s);
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

static void begin(struct fdc *s, enum fdc_operation operation)
{
    s->phase = PHASE_EXECUTE;
    s->operation = (uint8_t)operation;
    s->st0 = s->command[1] & 7;
    s->st1 = s->st2 = 0;
    s->terminal_count = 0;
    s->position = s->wanted = 0;
    struct fdc_drive *d = selected(s);
    bool writes = operation == OP_WRITE || operation == OP_FORMAT;
    if (!d->format) {
        fail(s, ST1_MISSING_MARK, 0);
    } else if (writes && !block_writable(d->medium)) {
        fail(s, ST1_NOT_WRITABLE, 0);
    } else {
        weir_timer_set(&s->access_timer, weir_clock_ns(s->dev) + ACCESS_NS);
    }
}

static void begin_data(struct fdc *s, enum fdc_operation operation)
{
    s->c = s->command[2];
    s->h = s->command[3];
    s->r = s->command[4];
    s->n = s->command[5];
    s->eot = s->command[6];
    s->sectors_left = s->command[8];
    if (s->config & CONFIG_IMPLIED_SEEK) {
        fdc_step_to(selected(s), s->c);
        s->cylinder[s->command[1] & 3] = s->c;
    }
    begin(s, operation);
}

/* ---- commands ---- */

static void cmd_read(struct fdc *s)
{
    begin_data(s, OP_READ);
}
static void cmd_write(struct fdc *s)
{
    begin_data(s, OP_WRITE);
}
static void cmd_verify(struct fdc *s)
{
    begin_data(s, OP_VERIFY);
}
/* From the index hole on, whatever R says. */
static void cmd_read_track(struct fdc *s)
{
    s->command[0] &= (uint8_t)~CMD_MT;
    s->command[4] = 1;
    begin_data(s, OP_READ);
}
static void cmd_read_id(struct fdc *s)
{
    begin(s, OP_READ_ID);
}

static void cmd_format(struct fdc *s)
{
    struct fdc_drive *d = selected(s);
    s->c = d->track;
    s->h = s->command[1] >> 2 & 1;
    s->r = 1;
    s->n = s->command[2];
    s->sectors_left = s->command[3];
    if (s->sectors_left == 0) {
        s->st0 = s->command[1] & 7;
        s->st1 = s->st2 = 0;
        finish(s);
        return;
    }
    begin(s, OP_FORMAT);
}

static void cmd_specify(struct fdc *s)
{
    s->specify[0] = s->command[1];
    s->specify[1] = s->command[2];
    to_command(s);
}

static void cmd_sense_drive(struct fdc *s)
{
    const struct fdc_drive *d = selected(s);
    uint8_t st3 = 0x28 | (s->command[1] & 7); /* ready, two-sided */
    if (d->track == 0 && d->medium)
        st3 |= 0x10;
    if (block_present(d->medium) && !block_writable(d->medium))
        st3 |= 0x40;
    result1(s, st3);
}

static void seek_fired(void *ctx)
{
    struct fdc *s = ctx;
    for (unsigned n = 0; n < 4; n++) {
        if (!(s->seek_busy >> n & 1))
            continue;
        fdc_step_to(&s->drive[n], s->seek_target[n]);
        s->cylinder[n] = s->seek_target[n];
    }
    s->seek_done |= s->seek_busy;
    s->seek_busy = 0;
    irq_set(s, true);
}

static void start_seek(struct fdc *s, unsigned target, uint8_t status)
{
    unsigned n = s->command[1] & 3;
    if (!s->drive[n].medium) {
        status |= ST0_ABNORMAL | ST0_EQUIPMENT;
        target = 0;
    }
    s->seek_target[n] = (uint8_t)target;
    s->seek_status[n] = status;
    s->seek_busy |= (uint8_t)BIT(n);
    s->seek_done &= (uint8_t)~BIT(n);
    to_command(s);
    weir_timer_set(&s->seek_timer, weir_clock_ns(s->dev) + SEEK_NS);
}

static void cmd_recalibrate(struct fdc *s)
{
    start_seek(s, 0, ST0_SEEK_END | (s->command[1] & 3));
}

static void cmd_seek(struct fdc *s)
{
    start_seek(s, s->command[2], ST0_SEEK_END | (s->command[1] & 7));
}

/* Bit 6 of the opcode: towards higher tracks. */
static void cmd_relative_seek(struct fdc *s)
{
    int now = s->cylinder[s->command[1] & 3], by = s->command[2];
    int target = s->command[0] & 0x40 ? now + by : now - by;
    target = target < 0 ? 0 : target > 255 ? 255 : target;
    start_seek(s, (unsigned)target, ST0_SEEK_END | (s->command[1] & 7));
}

static void cmd_sense_interrupt(struct fdc *s)
{
    irq_set(s, false);
    if (s->sense_resets) {
        unsigned n = 4u - s->sense_resets--;
        s->result[0] = (uint8_t)(ST0_POLLED | n);
        s->result[1] = s->cylinder[n];
        to_result(s, 2, false);
        return;
    }
    for (unsigned n = 0; n < 4; n++) {
        if (!(s->seek_done >> n & 1))
            continue;
        s->seek_done &= (uint8_t)~BIT(n);
        s->result[0] = s->seek_status[n];
        s->result[1] = s->cylinder[n];
        to_result(s, 2, false);
        if (s->seek_done)
            irq_set(s, true);
        return;
    }
    result1(s, ST0_INVALID);
}

static void cmd_configure(struct fdc *s)
{
    s->config = s->command[2];
    s->precompensation_track = s->command[3];
    to_command(s);
}

static void cmd_perpendicular(struct fdc *s)
{
    /* OW lets the drives' bits change. */
    s->perpendicular = s->command[1] & 0x80
                           ? s->command[1] & 0x3f
                           : (uint8_t)((s->perpendicular & 0x3c) | (s->command[1] & 0x03));
    to_command(s);
}

static void cmd_lock(struct fdc *s)
{
    s->lock = (s->command[0] & LOCK_ON) != 0;
    result1(s, (uint8_t)(s->lock << 4));
}

static void cmd_dumpreg(struct fdc *s)
{
    uint8_t *r = s->result;
    memcpy(r, s->cylinder, 4);
    r[4] = s->specify[0];
    r[5] = s->specify[1];
    r[6] = s->eot;
    r[7] = (uint8_t)(s->lock << 7 | (s->perpendicular & 0x3f));
    r[8] = s->config;
    r[9] = s->precompensation_track;
    to_result(s, 10, false);
}

static void cmd_version(struct fdc *s)
{
    result1(s, 0x90); /* enhanced controller */
}
static void cmd_part_id(struct fdc *s)
{
    result1(s, 0x41);
}
static void cmd_option(struct fdc *s)
{
    to_command(s);
}

static void cmd_powerdown(struct fdc *s)
{
    result1(s, s->command[1]);
}

/* Parameters end with the byte that has DN (bit 7) set; NRP (bit 6): no result phase. */
static void cmd_drive_specification(struct fdc *s)
{
    uint8_t last = s->command[s->command_bytes - 1];
    if (last & 0x40) {
        to_command(s);
        return;
    }
    memset(s->result, 0, 4);
    to_result(s, 4, false);
}

struct fdc_command {
    uint8_t mask, value, bytes; /* bytes: with the opcode */
    void (*run)(struct fdc *s);
};
#define DRIVE_SPECIFICATION 0x8e

// clang-format off
static const struct fdc_command commands[] = {
    {0x1f, 0x06, 9, cmd_read},        {0x1f, 0x0c, 9, cmd_read}, /* READ DELETED DATA */
    {0x3f, 0x05, 9, cmd_write},       {0x3f, 0x09, 9, cmd_write}, /* WRITE DELETED DATA */
    {0x9f, 0x02, 9, cmd_read_track},  {0x1f, 0x16, 9, cmd_verify},
    {0xbf, 0x0a, 2, cmd_read_id},     {0xbf, 0x0d, 6, cmd_format},
    {0xff, 0x03, 3, cmd_specify},     {0xff, 0x04, 2, cmd_sense_drive},
    {0xff, 0x07, 2, cmd_recalibrate}, {0xff, 0x08, 1, cmd_sense_interrupt},
    {0xff, 0x0f, 3, cmd_seek},        {0xbf, 0x8f, 3, cmd_relative_seek},
    {0xff, 0x13, 4, cmd_configure},   {0xff, 0x12, 2, cmd_perpendicular},
    {0x7f, 0x14, 1, cmd_lock},        {0xff, 0x0e, 1, cmd_dumpreg},
    {0xff, 0x10, 1, cmd_version},     {0xff, 0x18, 1, cmd_part_id},
    {0xff, 0x17, 2, cmd_powerdown},   {0xff, 0x33, 2, cmd_option},
    {0xff, DRIVE_SPECIFICATION, 7, cmd_drive_specification},
};
// clang-format on

static const struct fdc_command *find_command(uint8_t opcode)
{
    for (unsigned n = 0; n < ARRAY_SIZE(commands); n++)
        if ((opcode & commands[n].mask) == commands[n].value)
            return &commands[n];
    return NULL;
}

static void take_command_byte(struct fdc *s, uint8_t value)
{
    s->command[s->command_bytes++] = value;
    const struct fdc_command *c = find_command(s->command[0]);
    if (!c) {
        weir_dev_log(s->dev, WEIR_LOG_UNIMP, "command %02x", value);
        result1(s, ST0_INVALID);
        return;
    }
    bool complete = s->command_bytes >= c->bytes;
    if (c->value == DRIVE_SPECIFICATION && s->command_bytes > 1 && (value & 0x80))
        complete = true;
    if (complete)
        c->run(s);
}

/* ---- FIFO ---- */

static void fifo_write(struct fdc *s, uint8_t value)
{
    if (!(s->dor & DOR_RESET_N))
        return;
    if (s->phase == PHASE_COMMAND) {
        take_command_byte(s, value);
        return;
    }
    bool takes = s->operation == OP_WRITE || s->operation == OP_FORMAT;
    if (s->phase != PHASE_EXECUTE || dma_mode(s) || !takes || s->position >= s->wanted)
        return;
    irq_set(s, false);
    s->buffer[s->position++] = value;
    if (s->position == s->wanted)
        sector_done(s);
}

static uint8_t fifo_read(struct fdc *s)
{
    if (s->phase == PHASE_RESULT) {
        uint8_t value = s->result[s->result_position++];
        irq_set(s, false);
        if (s->result_position == s->result_bytes)
            to_command(s);
        return value;
    }
    if (s->phase != PHASE_EXECUTE || dma_mode(s) || s->operation != OP_READ ||
        s->position >= s->wanted)
        return 0;
    irq_set(s, false);
    uint8_t value = s->buffer[s->position++];
    if (s->position == s->wanted)
        sector_done(s);
    return value;
}

static uint8_t main_status(const struct fdc *s)
{
    uint8_t msr = s->seek_busy;
    if (!(s->dor & DOR_RESET_N))
        return 0;
    switch (s->phase) {
    case PHASE_COMMAND:
        return msr | MSR_RQM | (s->command_bytes ? MSR_BUSY : 0);
    case PHASE_RESULT:
        return msr | MSR_RQM | MSR_DIO | MSR_BUSY;
    }
    msr |= MSR_BUSY;
    if (dma_mode(s))
        return msr;
    msr |= MSR_NDMA | (s->operation == OP_READ ? MSR_DIO : 0);
    return msr | (s->position < s->wanted ? MSR_RQM : 0);
}

/* ---- registers ---- */

static void write_dor(struct fdc *s, uint8_t value)
{
    uint8_t before = s->dor;
    s->dor = value;
    if ((before ^ value) & DOR_RESET_N) {
        controller_reset(s);
        if (!(value & DOR_RESET_N))
            weir_timer_cancel(&s->reset_timer);
    }
    irq_update(s);
    /* DMA requests that the gate held back. */
    if (!(before & DOR_DMAGATE) && (value & DOR_DMAGATE))
        dma_is_ready(s);
}

static uint8_t read_srb(const struct fdc *s)
{
    return (uint8_t)(0xc0 | (s->dor & 1) << 5 | (s->dor >> 4 & 3));
}

static uint8_t read_dir(const struct fdc *s)
{
    const struct fdc_drive *d = &s->drive[s->dor & 3];
    bool motor = s->dor >> (4 + (s->dor & 3)) & 1;
    return d->medium && motor && (d->media_changed || !d->format) ? 0x80 : 0;
}

static uint64_t fdc_read(void *state, uint64_t offset, unsigned size)
{
    struct fdc *s = state;
    switch (offset) {
    case 0:
        return s->irq ? 0x80 : 0;
    case 1:
        return read_srb(s);
    case 2:
        return s->dor;
    case 3:
        return s->tdr;
    case 4:
        return main_status(s);
    case 5:
        return fifo_read(s);
    case 7:
        return read_dir(s);
    }
    return 0xff;
}

static void fdc_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    struct fdc *s = state;
    switch (offset) {
    case 2:
        write_dor(s, (uint8_t)value);
        break;
    case 3:
        s->tdr = value & 3;
        break;
    case 4:
        s->dsr = value & 0x7f;
        if (value & DSR_RESET)
            controller_reset(s);
        break;
    case 5:
        fifo_write(s, (uint8_t)value);
        break;
    case 7:
        s->dsr = (uint8_t)((s->dsr & ~3u) | (value & 3));
        break;
    }
}

/* 3F7h is a region of its own: 3F6h between belongs to the hard disk. */
static uint64_t dir_read(void *state, uint64_t offset, unsigned size)
{
    return fdc_read(state, 7, size);
}
static void ccr_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    fdc_write(state, 7, value, size);
}

static const struct weir_io_ops fdc_ops = {
    .read = fdc_read, .write = fdc_write, .max_bytes = 1};
static const struct weir_io_ops dir_ops = {
    .read = dir_read, .write = ccr_write, .max_bytes = 1};

/* ---- life ---- */

static void medium_changed(void *ctx)
{
    struct fdc_drive *d = ctx;
    fdc_medium_load(d);
    d->media_changed = 1;
}

static int drive_init(weir_dev *dev, struct fdc_drive *d, int n)
{
    struct weir_block *b = machine_find_block(weir_dev_vm(dev), "floppy", n);
    if (!b)
        return 0;
    if (b->attached)
        return weir_dev_fail(dev, WEIR_EBUSY, "drive '%s' is in use", b->id);
    d->medium = b;
    b->attached = true;
    b->changed = medium_changed;
    b->changed_ctx = d;
    fdc_medium_load(d);
    d->drive_type = d->format ? d->format->drive_type : 4;
    d->media_changed = 1;
    return 0;
}

static int fdc_init(weir_dev *dev, void *state)
{
    struct fdc *s = state;
    s->dev = dev;
    s->line = weir_dev_gsi(dev, 6);
    s->dma = weir_dev_find(weir_dev_vm(dev), "i8237", NULL);
    weir_timer_init(dev, &s->access_timer, access_fired);
    weir_timer_init(dev, &s->seek_timer, seek_fired);
    weir_timer_init(dev, &s->reset_timer, reset_fired);
    for (int n = 0; n < 2; n++) {
        int rc = drive_init(dev, &s->drive[n], n);
        if (rc < 0)
            return rc;
    }
    if (s->dma)
        dma_on_ready(s->dma, DMA_CHANNEL, dma_is_ready, s);
    if (!weir_map_ports(dev, 0x3f0, 6, &fdc_ops, 0, "fdc") ||
        !weir_map_ports(dev, 0x3f7, 1, &dir_ops, 0, "fdc-dir"))
        return weir_dev_fail(dev, WEIR_ENOMEM, "out of memory");
    return 0;
}

static void fdc_reset(void *state)
{
    struct fdc *s = state;
    s->lock = s->perpendicular = 0;
    s->specify[0] = s->specify[1] = 0;
    s->tdr = 0;
    s->dsr = 2;
    s->eot = 0;
    s->dor = DOR_RESET_N | DOR_DMAGATE;
    controller_reset(s);
}

static int fdc_loaded(void *state)
{
    struct fdc *s = state;
    bool good = s->phase <= PHASE_RESULT && s->operation <= OP_READ_ID &&
                s->command_bytes < sizeof(s->command) && s->result_bytes <= sizeof(s->result) &&
                s->wanted <= FDC_SECTOR_BYTES && s->position <= s->wanted &&
                s->sense_resets <= 4;
    good = good && (s->phase != PHASE_RESULT || s->result_position < s->result_bytes);
    good = good && (s->phase != PHASE_EXECUTE || s->operation != OP_NONE);
    for (unsigned n = 0; n < 4; n++)
        good = good && s->drive[n].track < FDC_TRACKS_MAX;
    if (!good ||
        (s->phase == PHASE_COMMAND && s->command_bytes && !find_command(s->command[0])))
        return -WEIR_EFORMAT;
    for (unsigned n = 0; n < 4; n++)
        fdc_medium_load(&s->drive[n]);
    irq_update(s);
    return 0;
}

static void fdc_fini(void *state)
{
    struct fdc *s = state;
    for (unsigned n = 0; n < 2; n++) {
        if (!s->drive[n].medium)
            continue;
        s->drive[n].medium->changed = NULL;
        s->drive[n].medium->attached = false;
    }
}

static void fdc_info(void *state, struct weir_text *out)
{
    struct fdc *s = state;
    static const char *const phases[] = {"command", "execute", "result"};
    weir_textf(out, "DOR %02x MSR %02x DSR %02x, phase %s\n", s->dor, main_status(s), s->dsr,
               phases[s->phase]);
    for (unsigned n = 0; n < 2; n++) {
        const struct fdc_drive *d = &s->drive[n];
        if (!d->medium)
            continue;
        weir_textf(out, "drive %u: %s, track %u", n, d->medium->id, d->track);
        if (d->format)
            weir_textf(out, ", medium %u tracks %u heads %u sectors", d->format->tracks,
                       d->format->heads, d->format->sectors);
        weir_textf(out, "\n");
    }
}

unsigned fdc_cmos_type(weir_dev *fdc, unsigned drive)
{
    struct fdc *s = weir_dev_state(fdc);
    return drive < 2 ? s->drive[drive].drive_type : 0;
}

// clang-format off
static const struct weir_field drive_fields[] = {
    WEIR_FIELD(struct fdc_drive, track), WEIR_FIELD(struct fdc_drive, media_changed),
    WEIR_FIELD_END,
};
static const struct weir_field fdc_fields[] = {
    WEIR_FIELD(struct fdc, dor), WEIR_FIELD(struct fdc, tdr), WEIR_FIELD(struct fdc, dsr),
    WEIR_FIELD(struct fdc, irq), WEIR_FIELD(struct fdc, phase),
    WEIR_FIELD(struct fdc, operation), WEIR_FIELD_ARRAY(struct fdc, command),
    WEIR_FIELD(struct fdc, command_bytes), WEIR_FIELD_ARRAY(struct fdc, result),
    WEIR_FIELD(struct fdc, result_bytes), WEIR_FIELD(struct fdc, result_position),
    WEIR_FIELD(struct fdc, sense_resets), WEIR_FIELD(struct fdc, seek_busy),
    WEIR_FIELD(struct fdc, seek_done), WEIR_FIELD_ARRAY(struct fdc, seek_target),
    WEIR_FIELD_ARRAY(struct fdc, seek_status), WEIR_FIELD_ARRAY(struct fdc, cylinder),
    WEIR_FIELD_ARRAY(struct fdc, specify), WEIR_FIELD(struct fdc, config),
    WEIR_FIELD(struct fdc, precompensation_track), WEIR_FIELD(struct fdc, lock),
    WEIR_FIELD(struct fdc, perpendicular), WEIR_FIELD(struct fdc, st0),
    WEIR_FIELD(struct fdc, st1), WEIR_FIELD(struct fdc, st2), WEIR_FIELD(struct fdc, c),
    WEIR_FIELD(struct fdc, h), WEIR_FIELD(struct fdc, r), WEIR_FIELD(struct fdc, n),
    WEIR_FIELD(struct fdc, eot), WEIR_FIELD(struct fdc, terminal_count),
    WEIR_FIELD(struct fdc, sectors_left), WEIR_FIELD(struct fdc, position),
    WEIR_FIELD(struct fdc, wanted), WEIR_FIELD_BYTES(struct fdc, buffer),
    WEIR_FIELD_STRUCTS(struct fdc, drive, drive_fields),
    WEIR_FIELD_TIMER(struct fdc, access_timer), WEIR_FIELD_TIMER(struct fdc, seek_timer),
    WEIR_FIELD_TIMER(struct fdc, reset_timer),
    WEIR_FIELD_END,
};
// clang-format on

const struct weir_dev_class fdc_class = {
    .name = "isa-fdc",
    .help = "82078 floppy disk controller",
    .bus = "isa",
    .state_bytes = sizeof(struct fdc),
    .version = 1,
    .init = fdc_init,
    .reset = fdc_reset,
    .fini = fdc_fini,
    .loaded = fdc_loaded,
    .info = fdc_info,
    .fields = fdc_fields,
};
