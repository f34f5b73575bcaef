/* SPDX-License-Identifier: MIT */
/*
 * piix3.c - the 82371SB (PIIX3) ISA bridge, function 0: routes PIRQ A-D to ISA interrupts.
 * Its other parts are devices of their own: the 8259s with ELCR, 8254, 8237, IDE (ide_piix3.c).
 *
 * An interrupt line carries the OR of all PIRQs routed to it. Intel 290550, section 2.2.
 */
#include "dev/pci_bus.h"
#include "base/bits.h"

#define REG_PIRQRC    0x60u
#define PIRQ_DISABLED 0x80u

struct piix3 {
    struct pci_function function;
    uint8_t pirq_level[4];
    uint16_t irq_levels; /* bit n: GSI n is driven high */
    struct weir_line irq[16];
};

/* ISA interrupts that a PIRQ may be routed to: not the timer, keyboard, cascade, RTC and FPU.
 */
static bool routable(unsigned irq)
{
    return 0xdef8u >> irq & 1;
}

static void update(struct piix3 *s)
{
    uint16_t levels = 0;
    for (unsigned n = 0; n < 4; n++) {
        uint8_t route = s->function.config[REG_PIRQRC + n];
        if (s->pirq_level[n] && !(route & PIRQ_DISABLED) && routable(route & 15))
            levels |= (uint16_t)BIT(route & 15);
    }
    uint16_t changed = levels ^ s->irq_levels;
    s->irq_levels = levels;
    for (unsigned irq = 0; irq < 16; irq++)
        if (changed >> irq & 1)
            weir_line_set(&s->irq[irq], levels >> irq & 1);
}

static void pirq_set(void *ctx, unsigned pirq, bool level)
{
    struct piix3 *s = ctx;
    s->pirq_level[pirq & 3] = level;
    update(s);
}

static void config_written(void *state, unsigned offset, unsigned size)
{
    if (offset < REG_PIRQRC + 4 && offset + size > REG_PIRQRC)
        update(state);
}

static int piix3_init(weir_dev *dev, void *state)
{
    struct piix3 *s = state;
    static const struct pci_ids ids = {.vendor = 0x8086,
                                       .device = 0x7000,
                                       .subsystem_vendor = 0x1af4,
                                       .subsystem = 0x1100,
                                       .class_code = 0x060100,
                                       .header_type = 0x80};
    s->function.config_written = config_written;
    int rc = pci_register(dev, s, &s->function, &ids, 1 * 8 + 0);
    if (rc < 0)
        return rc;
    for (unsigned n = 0; n < ARRAY_SIZE(s->irq); n++)
        s->irq[n] = weir_dev_gsi(dev, n);
    s->function.bus->pirq_set = pirq_set;
    s->function.bus->pirq_ctx = s;
    return 0;
}

static void piix3_reset(void *state)
{
    struct piix3 *s = state;
    uint8_t *c = s->function.config;
    static const uint8_t initial[][2] = {
        {0x04, 0x07}, {0x07, 0x02}, {0x4c, 0x4d}, {0x4e, 0x03}, {0x60, 0x80},
        {0x61, 0x80}, {0x62, 0x80}, {0x63, 0x80}, {0x69, 0x02}, {0x70, 0x80},
        {0x76, 0x0c}, {0x77, 0x0c}, {0x78, 0x02}, {0xa0, 0x08}, {0xa8, 0x0f},
    };
    pci_reset(&s->function);
    memset(c + 0x40, 0, sizeof(s->function.config) - 0x40);
    memset(s->function.writable + 0x40, 0xff, sizeof(s->function.writable) - 0x40);
    memset(s->function.writable + REG_PIRQRC, 0x8f, 4);
    for (unsigned n = 0; n < ARRAY_SIZE(initial); n++)
        c[initial[n][0]] = initial[n][1];
    update(s);
}

static int piix3_loaded(void *state)
{
    update(state);
    return 0;
}

static void piix3_fini(void *state)
{
    struct piix3 *s = state;
    if (s->function.bus && s->function.bus->pirq_ctx == s)
        s->function.bus->pirq_set = NULL;
    pci_unregister(&s->function);
}

static void piix3_info(void *state, struct weir_text *out)
{
    const struct piix3 *s = state;
    for (unsigned n = 0; n < 4; n++) {
        uint8_t route = s->function.config[REG_PIRQRC + n];
        weir_textf(out, "PIRQ%c: ", 'A' + n);
        if (route & PIRQ_DISABLED)
            weir_textf(out, "not routed");
        else
            weir_textf(out, "IRQ %d", route & 15);
        weir_textf(out, ", level %d\n", s->pirq_level[n]);
    }
}

static const struct weir_field piix3_fields[] = {
    WEIR_FIELD_STRUCT1(struct piix3, function, pci_function_fields),
    WEIR_FIELD_ARRAY(struct piix3, pirq_level),
    WEIR_FIELD(struct piix3, irq_levels),
    WEIR_FIELD_END,
};

const struct weir_dev_class piix3_class = {
    .name = "PIIX3",
    .help = "82371SB PCI-to-ISA bridge",
    .bus = "pci",
    .state_bytes = sizeof(struct piix3),
    .version = 1,
    .init = piix3_init,
    .reset = piix3_reset,
    .fini = piix3_fini,
    .loaded = piix3_loaded,
    .info = piix3_info,
    .fields = piix3_fields,
};
