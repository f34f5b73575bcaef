/* SPDX-License-Identifier: MIT */
/* port92.c - PS/2 system control port A, 92h: bit 0 resets on 0 -> 1, bit 1 is the A20 gate
 * (shared with the 8042: the machine holds it). */
#include "dev/chips.h"
#include "dev/machine_hooks.h"

struct port92 {
    uint8_t value; /* all but A20 */
    weir_dev *dev;
};

enum { FAST_RESET = 1, A20 = 2, IMPLEMENTED = 0x09 };

static uint64_t port92_read(void *state, uint64_t offset, unsigned size)
{
    struct port92 *p = state;
    return p->value | (machine_a20(weir_dev_vm(p->dev)) ? A20 : 0u);
}

static void port92_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    struct port92 *p = state;
    bool pulse = value & ~(uint64_t)p->value & FAST_RESET;
    p->value = value & IMPLEMENTED;
    machine_a20_set(weir_dev_vm(p->dev), value & A20);
    if (pulse)
        machine_reset_request(weir_dev_vm(p->dev));
}

static const struct weir_io_ops port92_ops = {port92_read, port92_write, 1, 1, false};

static int port92_init(weir_dev *dev, void *state)
{
    ((struct port92 *)state)->dev = dev;
    if (!weir_map_ports(dev, 0x92, 1, &port92_ops, 0, "port92"))
        return weir_dev_fail(dev, WEIR_ENOMEM, "out of memory");
    return 0;
}

static void port92_reset(void *state)
{
    struct port92 *p = state;
    p->value = 0;
    machine_a20_set(weir_dev_vm(p->dev), true);
}

static const struct weir_field port92_fields[] = {
    WEIR_FIELD(struct port92, value),
    WEIR_FIELD_END,
};

const struct weir_dev_class port92_class = {
    .name = "port92",
    .help = "system control port A",
    .bus = "isa",
    .state_bytes = sizeof(struct port92),
    .version = 1,
    .init = port92_init,
    .reset = port92_reset,
    .fields = port92_fields,
};
