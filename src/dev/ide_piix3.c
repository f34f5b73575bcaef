/* SPDX-License-Identifier: MIT */
/*
 * ide_piix3.c - the IDE function of the PIIX3 (00:01.1): two channels in compatibility mode
 * (1F0h/3F6h IRQ 14, 170h/376h IRQ 15) and bus master registers in BAR 4.
 */
#include "dev/ide.h"
#include "dev/machine_hooks.h"
#include "dev/pci_board.h"
#include "base/bits.h"

struct piix3_ide {
    struct pci_function function;
    struct ide_channel channel[2];
};

static uint64_t bm_read(void *state, uint64_t offset, unsigned size)
{
    struct piix3_ide *s = state;
    uint64_t value = 0;
    for (unsigned n = 0; n < size; n++) {
        unsigned at = (unsigned)offset + n;
        value |= (uint64_t)bmdma_read(&s->channel[at / 8 & 1], at % 8) << (8 * n);
    }
    return value;
}

static void bm_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    struct piix3_ide *s = state;
    for (unsigned n = 0; n < size; n++) {
        unsigned at = (unsigned)offset + n;
        bmdma_write(&s->channel[at / 8 & 1], at % 8, (uint8_t)(value >> (8 * n)));
    }
}

static const struct weir_io_ops bm_ops = {.read = bm_read, .write = bm_write, .max_bytes = 4};

/* Bus mastering may have been what a started transfer was waiting for. */
static void config_written(void *state, unsigned offset, unsigned size)
{
    struct piix3_ide *s = state;
    if (offset > 5 || offset + size <= 4)
        return;
    for (unsigned n = 0; n < 2; n++)
        bmdma_try(&s->channel[n]);
}

static int map_channel(weir_dev *dev, struct ide_channel *ch, unsigned n)
{
    static const struct {
        uint16_t command, control, irq;
        const char *names[2];
    } places[2] = {{0x1f0, 0x3f6, 14, {"ide0", "ide0-control"}},
                   {0x170, 0x376, 15, {"ide1", "ide1-control"}}};
    ch->irq = weir_dev_gsi(dev, places[n].irq);
    if (!machine_map_io(dev, true, places[n].command, 8, &ide_command_ops, ch, 0,
                        places[n].names[0]) ||
        !machine_map_io(dev, true, places[n].control, 1, &ide_control_ops, ch, 0,
                        places[n].names[1]))
        return weir_dev_fail(dev, WEIR_ENOMEM, "out of memory");
    return 0;
}

static int piix3_ide_init(weir_dev *dev, void *state)
{
    struct piix3_ide *s = state;
    static const struct pci_ids ids = {.vendor = 0x8086,
                                       .device = 0x7010,
                                       .subsystem_vendor = 0x1af4,
                                       .subsystem = 0x1100,
                                       .class_code = 0x010180};
    s->function.bar[4] =
        (struct pci_bar){.bytes = 16, .is_io = true, .ops = &bm_ops, .name = "piix3-bmdma"};
    s->function.config_written = config_written;
    int rc = pci_register(dev, s, &s->function, &ids, 1 * 8 + 1);
    for (unsigned n = 0; n < 2 && rc == 0; n++) {
        rc = ide_channel_init(dev, &s->channel[n], &s->function, 2 * n);
        if (rc == 0)
            rc = map_channel(dev, &s->channel[n], n);
    }
    return rc;
}

static void piix3_ide_reset(void *state)
{
    struct piix3_ide *s = state;
    uint8_t *c = s->function.config;
    pci_reset(&s->function);
    c[0x07] = 0x02;
    memset(c + 0x40, 0, 0x10);
    memset(s->function.writable + 0x40, 0xff, 0x10);
    c[0x41] = c[0x43] = 0x80; /* IDETIM: both channels decode */
    for (unsigned n = 0; n < 2; n++)
        ide_channel_reset(&s->channel[n]);
}

static int piix3_ide_loaded(void *state)
{
    struct piix3_ide *s = state;
    pci_loaded(&s->function);
    int rc = ide_channel_loaded(&s->channel[0]);
    return rc < 0 ? rc : ide_channel_loaded(&s->channel[1]);
}

static void piix3_ide_fini(void *state)
{
    struct piix3_ide *s = state;
    pci_unregister(&s->function);
    for (unsigned n = 0; n < 2; n++)
        ide_channel_fini(&s->channel[n]);
}

static void piix3_ide_info(void *state, struct weir_text *out)
{
    struct piix3_ide *s = state;
    for (unsigned n = 0; n < 4; n++) {
        const struct ide_drive *d = &s->channel[n / 2].drive[n % 2];
        if (!d->medium)
            continue;
        weir_textf(out, "ide%u-%s %s: status %02x error %02x command %02x", n / 2,
                   n % 2 ? "slave" : "master", d->medium->id, d->status, d->error, d->command);
        if (!d->medium->is_cdrom)
            weir_textf(out, " geometry %u/%u/%u", d->cylinders, d->heads, d->sectors);
        weir_textf(out, "\n");
    }
}

bool piix3_ide_geometry(weir_dev *ide, unsigned index, struct ide_geometry *out)
{
    struct piix3_ide *s = weir_dev_state(ide);
    const struct ide_drive *d = &s->channel[index / 2 & 1].drive[index & 1];
    if (index > 3 || !d->medium || d->medium->is_cdrom)
        return false;
    *out = (struct ide_geometry){d->cylinders, d->default_heads, d->default_sectors,
                                 d->translation};
    return true;
}

static const struct weir_field piix3_ide_fields[] = {
    WEIR_FIELD_STRUCT1(struct piix3_ide, function, pci_function_fields),
    WEIR_FIELD_STRUCTS(struct piix3_ide, channel, ide_channel_fields),
    WEIR_FIELD_END,
};

const struct weir_dev_class piix3_ide_class = {
    .name = "piix3-ide",
    .help = "PIIX3 IDE controller with bus master DMA",
    .bus = "pci",
    .state_bytes = sizeof(struct piix3_ide),
    .version = 1,
    .init = piix3_ide_init,
    .reset = piix3_ide_reset,
    .fini = piix3_ide_fini,
    .loaded = piix3_ide_loaded,
    .info = piix3_ide_info,
    .fields = piix3_ide_fields,
};
