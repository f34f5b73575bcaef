/* SPDX-License-Identifier: MIT */
/*
 * fdc_commands.c - the 82078's commands: a table of opcode, number of bytes and function. Data
 * commands go on in fdc_transfer.c; seeks finish by a timer and are then sensed.
 */
#include "dev/fdc.h"
#include "base/bits.h"

#define SEEK_NS 200000u

static void cmd_read(struct fdc *s)
{
    fdc_begin_data(s, OP_READ);
}
static void cmd_write(struct fdc *s)
{
    fdc_begin_data(s, OP_WRITE);
}
static void cmd_verify(struct fdc *s)
{
    fdc_begin_data(s, OP_VERIFY);
}
/* From the index hole on, whatever R says. */
static void cmd_read_track(struct fdc *s)
{
    s->command[0] &= (uint8_t)~CMD_MT;
    s->command[4] = 1;
    fdc_begin_data(s, OP_READ);
}
static void cmd_read_id(struct fdc *s)
{
    fdc_begin(s, OP_READ_ID);
}

static void cmd_format(struct fdc *s)
{
    struct fdc_drive *d = fdc_selected(s);
    s->c = d->track;
    s->h = s->command[1] >> 2 & 1;
    s->r = 1;
    s->n = s->command[2];
    s->sectors_left = s->command[3];
    if (s->sectors_left == 0) {
        s->st0 = s->command[1] & 7;
        s->st1 = s->st2 = 0;
        fdc_finish(s);
        return;
    }
    fdc_begin(s, OP_FORMAT);
}

static void cmd_specify(struct fdc *s)
{
    s->specify[0] = s->command[1];
    s->specify[1] = s->command[2];
    fdc_to_command(s);
}

static void cmd_sense_drive(struct fdc *s)
{
    const struct fdc_drive *d = fdc_selected(s);
    uint8_t st3 = 0x28 | (s->command[1] & 7); /* ready, two-sided */
    if (d->track == 0 && d->medium)
        st3 |= 0x10;
    if (block_present(d->medium) && !block_writable(d->medium))
        st3 |= 0x40;
    fdc_result1(s, st3);
}

void fdc_seek_fired(void *ctx)
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
    fdc_irq_set(s, true);
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
    fdc_to_command(s);
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
    fdc_irq_set(s, false);
    if (s->sense_resets) {
        unsigned n = 4u - s->sense_resets--;
        s->result[0] = (uint8_t)(ST0_POLLED | n);
        s->result[1] = s->cylinder[n];
        fdc_to_result(s, 2, false);
        return;
    }
    for (unsigned n = 0; n < 4; n++) {
        if (!(s->seek_done >> n & 1))
            continue;
        s->seek_done &= (uint8_t)~BIT(n);
        s->result[0] = s->seek_status[n];
        s->result[1] = s->cylinder[n];
        fdc_to_result(s, 2, false);
        if (s->seek_done)
            fdc_irq_set(s, true);
        return;
    }
    fdc_result1(s, ST0_INVALID);
}

static void cmd_configure(struct fdc *s)
{
    s->config = s->command[2];
    s->precompensation_track = s->command[3];
    fdc_to_command(s);
}

static void cmd_perpendicular(struct fdc *s)
{
    /* OW lets the drives' bits change. */
    s->perpendicular = s->command[1] & 0x80
                           ? s->command[1] & 0x3f
                           : (uint8_t)((s->perpendicular & 0x3c) | (s->command[1] & 0x03));
    fdc_to_command(s);
}

static void cmd_lock(struct fdc *s)
{
    s->lock = (s->command[0] & LOCK_ON) != 0;
    fdc_result1(s, (uint8_t)(s->lock << 4));
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
    fdc_to_result(s, 10, false);
}

static void cmd_version(struct fdc *s)
{
    fdc_result1(s, 0x90); /* enhanced controller */
}
static void cmd_part_id(struct fdc *s)
{
    fdc_result1(s, 0x41);
}
static void cmd_option(struct fdc *s)
{
    fdc_to_command(s);
}

static void cmd_powerdown(struct fdc *s)
{
    fdc_result1(s, s->command[1]);
}

/* Parameters end with the byte that has DN (bit 7) set; NRP (bit 6): no result phase. */
static void cmd_drive_specification(struct fdc *s)
{
    uint8_t last = s->command[s->command_bytes - 1];
    if (last & 0x40) {
        fdc_to_command(s);
        return;
    }
    memset(s->result, 0, 4);
    fdc_to_result(s, 4, false);
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

void fdc_take_command_byte(struct fdc *s, uint8_t value)
{
    s->command[s->command_bytes++] = value;
    const struct fdc_command *c = find_command(s->command[0]);
    if (!c) {
        weir_dev_log(s->dev, WEIR_LOG_UNIMP, "command %02x", value);
        fdc_result1(s, ST0_INVALID);
        return;
    }
    bool complete = s->command_bytes >= c->bytes;
    if (c->value == DRIVE_SPECIFICATION && s->command_bytes > 1 && (value & 0x80))
        complete = true;
    if (complete)
        c->run(s);
}

bool fdc_command_known(uint8_t opcode)
{
    return find_command(opcode) != NULL;
}
