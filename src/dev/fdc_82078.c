/* SPDX-License-Identifier: MIT */
/*
 * fdc_82078.c - floppy disk controller at 3F0h-3F5h and 3F7h, IRQ 6, DMA channel 2 (Intel 82078
 * data sheet 290475). Two drives; the medium's format is fdc_media.c's business.
 *
 *   COMMAND --last parameter--> EXECUTE --moved, TC or error--> RESULT --last byte--> COMMAND
 *                                  \--SEEK, RECALIBRATE: back to COMMAND at once, IRQ later
 *
 * Mechanical work is a timer: short, because guests wait for it, but not zero, because they
 * clear flags first.
 */
#include "dev/fdc.h"
#include "dev/isa_dma.h"
#include "dev/machine_hooks.h"
#include "dev/pci_board.h"
#include "base/bits.h"

#define RESET_NS 50000u

/* ---- interrupt ---- */

void fdc_irq_update(struct fdc *s)
{
    uint8_t level = s->irq && (s->dor & DOR_DMAGATE);
    if (level == s->line_level)
        return;
    s->line_level = level;
    weir_line_set(&s->line, level);
}

void fdc_irq_set(struct fdc *s, bool pending)
{
    s->irq = pending;
    fdc_irq_update(s);
}

/* ---- phases ---- */

void fdc_to_command(struct fdc *s)
{
    s->phase = PHASE_COMMAND;
    s->operation = OP_NONE;
    s->command_bytes = 0;
    s->result_bytes = s->result_position = 0;
}

void fdc_to_result(struct fdc *s, unsigned bytes, bool interrupt)
{
    s->phase = PHASE_RESULT;
    s->operation = OP_NONE;
    s->result_bytes = (uint8_t)bytes;
    s->result_position = 0;
    if (interrupt)
        fdc_irq_set(s, true);
}

void fdc_result1(struct fdc *s, uint8_t value)
{
    s->result[0] = value;
    fdc_to_result(s, 1, false);
}

/* ---- reset ---- */

/* The 82078 comes out of reset polling its drives: each reports a change of its ready line. */
static void reset_fired(void *ctx)
{
    struct fdc *s = ctx;
    if (!(s->dor & DOR_RESET_N) || (s->config & CONFIG_POLL_OFF))
        return;
    s->sense_resets = 4;
    fdc_irq_set(s, true);
}

static void controller_reset(struct fdc *s)
{
    weir_timer_cancel(&s->access_timer);
    weir_timer_cancel(&s->seek_timer);
    fdc_to_command(s);
    s->seek_busy = s->seek_done = s->sense_resets = 0;
    memset(s->cylinder, 0, sizeof(s->cylinder));
    s->perpendicular &= 0x3c; /* a software reset clears GAP and WGATE only */
    if (!s->lock) {
        s->config = 0;
        s->precompensation_track = 0;
    }
    fdc_irq_set(s, false);
    weir_timer_set(&s->reset_timer, weir_clock_ns(s->dev) + RESET_NS);
}

/* ---- FIFO ---- */

static void fifo_write(struct fdc *s, uint8_t value)
{
    if (!(s->dor & DOR_RESET_N))
        return;
    if (s->phase == PHASE_COMMAND) {
        fdc_take_command_byte(s, value);
        return;
    }
    bool takes = s->operation == OP_WRITE || s->operation == OP_FORMAT;
    if (s->phase != PHASE_EXECUTE || fdc_dma_mode(s) || !takes || s->position >= s->wanted)
        return;
    fdc_irq_set(s, false);
    s->buffer[s->position++] = value;
    if (s->position == s->wanted)
        fdc_sector_done(s);
}

static uint8_t fifo_read(struct fdc *s)
{
    if (s->phase == PHASE_RESULT) {
        uint8_t value = s->result[s->result_position++];
        fdc_irq_set(s, false);
        if (s->result_position == s->result_bytes)
            fdc_to_command(s);
        return value;
    }
    if (s->phase != PHASE_EXECUTE || fdc_dma_mode(s) || s->operation != OP_READ ||
        s->position >= s->wanted)
        return 0;
    fdc_irq_set(s, false);
    uint8_t value = s->buffer[s->position++];
    if (s->position == s->wanted)
        fdc_sector_done(s);
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
    if (fdc_dma_mode(s))
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
    fdc_irq_update(s);
    /* DMA requests that the gate held back. */
    if (!(before & DOR_DMAGATE) && (value & DOR_DMAGATE))
        fdc_dma_is_ready(s);
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
    weir_timer_init(dev, &s->access_timer, fdc_access_fired);
    weir_timer_init(dev, &s->seek_timer, fdc_seek_fired);
    weir_timer_init(dev, &s->reset_timer, reset_fired);
    for (int n = 0; n < 2; n++) {
        int rc = drive_init(dev, &s->drive[n], n);
        if (rc < 0)
            return rc;
    }
    if (s->dma)
        dma_on_ready(s->dma, FDC_DMA_CHANNEL, fdc_dma_is_ready, s);
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
        (s->phase == PHASE_COMMAND && s->command_bytes && !fdc_command_known(s->command[0])))
        return -WEIR_EFORMAT;
    for (unsigned n = 0; n < 4; n++)
        fdc_medium_load(&s->drive[n]);
    fdc_irq_update(s);
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
