/* SPDX-License-Identifier: MIT */
/* debugcon.c - isa-debugcon: bytes written to the port go to a character device; reads tell
 * that it is there. Firmware writes its log to port 402h. */
#include "backend/char.h"
#include "dev/chips.h"

struct debugcon {
    struct weir_char *chr;
    uint32_t iobase, readback;
};

static uint64_t debugcon_read(void *state, uint64_t offset, unsigned size)
{
    return ((struct debugcon *)state)->readback;
}

static void debugcon_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    uint8_t byte = (uint8_t)value;
    char_write(((struct debugcon *)state)->chr, &byte, 1);
}

static const struct weir_io_ops debugcon_ops = {debugcon_read, debugcon_write, 1, 1, false};

static int debugcon_init(weir_dev *dev, void *state)
{
    struct debugcon *d = state;
    if (!d->chr)
        return weir_dev_fail(dev, WEIR_EINVAL, "property 'chardev' is missing");
    if (d->iobase > 0xffff)
        return weir_dev_fail(dev, WEIR_ERANGE, "iobase 0x%x is out of range", d->iobase);
    if (!weir_map_ports(dev, (uint16_t)d->iobase, 1, &debugcon_ops, 0, "isa-debugcon"))
        return weir_dev_fail(dev, WEIR_ENOMEM, "out of memory");
    return 0;
}

static const struct weir_prop debugcon_props[] = {
    {"chardev", WEIR_PROP_CHAR, offsetof(struct debugcon, chr), NULL, "character device"},
    {"iobase", WEIR_PROP_U32, offsetof(struct debugcon, iobase), "0x402", "port"},
    {"readback", WEIR_PROP_U32, offsetof(struct debugcon, readback), "0xe9", "what reads give"},
    {0},
};
static const struct weir_field debugcon_fields[] = {WEIR_FIELD_END};

const struct weir_dev_class debugcon_class = {
    .name = "isa-debugcon",
    .help = "debug console port",
    .bus = "isa",
    .state_bytes = sizeof(struct debugcon),
    .version = 1,
    .init = debugcon_init,
    .props = debugcon_props,
    .fields = debugcon_fields,
    .user_creatable = true,
};
