/* SPDX-License-Identifier: MIT */
/* debug_exit.c - isa-debug-exit: a write of V ends the run with status (V << 1) | 1. */
#include "dev/chips.h"
#include "dev/machine_hooks.h"

struct debug_exit {
    uint32_t iobase, iosize;
    weir_dev *dev;
};

static uint64_t exit_read(void *state, uint64_t offset, unsigned size)
{
    return 0;
}

static void exit_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    machine_debug_exit(weir_dev_vm(((struct debug_exit *)state)->dev), (uint32_t)value);
}

static const struct weir_io_ops exit_ops = {exit_read, exit_write, 1, 4, true};

static int exit_init(weir_dev *dev, void *state)
{
    struct debug_exit *e = state;
    e->dev = dev;
    if (e->iosize < 1 || e->iosize > 4 || e->iobase > 0x10000 - e->iosize)
        return weir_dev_fail(dev, WEIR_ERANGE, "iobase 0x%x, iosize %u: out of range",
                             e->iobase, e->iosize);
    if (!weir_map_ports(dev, (uint16_t)e->iobase, e->iosize, &exit_ops, 0, "isa-debug-exit"))
        return weir_dev_fail(dev, WEIR_ENOMEM, "out of memory");
    return 0;
}

static const struct weir_prop exit_props[] = {
    {"iobase", WEIR_PROP_U32, offsetof(struct debug_exit, iobase), "0x501", "first port"},
    {"iosize", WEIR_PROP_U32, offsetof(struct debug_exit, iosize), "2", "number of ports"},
    {0},
};
static const struct weir_field exit_fields[] = {WEIR_FIELD_END};

const struct weir_dev_class debug_exit_class = {
    .name = "isa-debug-exit",
    .help = "port that ends the run",
    .bus = "isa",
    .state_bytes = sizeof(struct debug_exit),
    .version = 1,
    .init = exit_init,
    .props = exit_props,
    .fields = exit_fields,
    .user_creatable = true,
};
