/* SPDX-License-Identifier: MIT */
/*
 * pic_8259.c - the PC's two 8259A interrupt controllers, the slave on the master's IR2, and
 * the edge/level control registers of the PIIX3 (4D0h, 4D1h), which replace ICW1's LTIM.
 * Spec: Intel 8259A data sheet (231468), PIIX3 data sheet 4.
 *
 * Invariants: for a level-triggered input IRR is the line itself; for an edge-triggered one it
 * is set by the rising edge and cleared by INTA or when the line drops, as the chip requires a
 * request to stand until INTA. (So devices hold their lines, and Linux's test of the timer
 * through a fixed LINT0 sees INT fall and rise.) The slave's output is a level to the master.
 * `intr_level` is what was last driven.
 */
#include "base/bits.h"
#include "dev/chips.h"

enum { CASCADE = 2 };
enum pic_expect { EXPECT_OCW, EXPECT_ICW2, EXPECT_ICW3, EXPECT_ICW4 };

struct pic_half {
    uint8_t irr, isr, imr;
    uint8_t lines;  /* levels of IR0-7 */
    uint8_t elcr;   /* bit set: level-triggered */
    uint8_t base;   /* ICW2: vector of IR0 */
    uint8_t expect; /* enum pic_expect */
    uint8_t icw1, icw3, icw4;
    uint8_t lowest;   /* input with the lowest priority; 7 = fixed order */
    uint8_t read_isr; /* OCW3 RIS */
    uint8_t poll;     /* the next read is a poll */
    uint8_t special_mask, rotate_aeoi;
};

struct pic {
    struct pic_half half[2]; /* master, slave */
    uint8_t intr_level;
    struct weir_line intr;
    void (*event)(void *ctx, unsigned irq, enum irq_event event);
    void *ctx;
};

enum { ICW1_IC4 = 1, ICW1_SNGL = 2, ICW1_INIT = 0x10, ICW4_AEOI = 2, ICW4_SFNM = 0x10 };

/* ---- priority ---- */

/* The set bit of highest priority, -1 if there is none. */
static int highest(const struct pic_half *h, unsigned set)
{
    for (unsigned i = 1; i <= 8 && set; i++) {
        unsigned ir = (h->lowest + i) & 7;
        if (set & BIT(ir))
            return (int)ir;
    }
    return -1;
}

static unsigned rank(const struct pic_half *h, int ir)
{
    return ir < 0 ? 8 : (unsigned)(ir - h->lowest - 1) & 7;
}

/* The input that INT is raised for, -1 if INT is low. */
static int pending(const struct pic *p, const struct pic_half *h)
{
    int request = highest(h, h->irr & ~h->imr);
    unsigned blocking = h->isr;
    if (h->special_mask)
        blocking &= ~h->imr;
    if ((h->icw4 & ICW4_SFNM) && h == &p->half[0])
        blocking &= ~BIT(CASCADE); /* the slave sorts out its own requests */
    return rank(h, request) < rank(h, highest(h, blocking)) ? request : -1;
}

static void update(struct pic *p)
{
    bool cascade = pending(p, &p->half[1]) >= 0;
    struct pic_half *master = &p->half[0];
    master->irr = (uint8_t)((master->irr & ~BIT(CASCADE)) | (cascade ? BIT(CASCADE) : 0));
    uint8_t level = pending(p, master) >= 0;
    if (level == p->intr_level)
        return;
    p->intr_level = level;
    weir_line_set(&p->intr, level);
}

/* ---- the CPU's and devices' side ---- */

void pic_connect(weir_dev *dev, struct weir_line intr)
{
    struct pic *p = weir_dev_state(dev);
    p->intr = intr;
    weir_line_set(&p->intr, p->intr_level);
}

void pic_input(weir_dev *dev, unsigned irq, int level)
{
    struct pic *p = weir_dev_state(dev);
    if (irq > 15 || irq == CASCADE)
        return;
    struct pic_half *h = &p->half[irq >> 3];
    uint8_t bit = (uint8_t)BIT(irq & 7);
    bool rose = level && !(h->lines & bit);
    h->lines = level ? h->lines | bit : h->lines & ~bit;
    if (!level)
        h->irr &= ~bit;
    else if (rose || (h->elcr & bit))
        h->irr |= bit;
    update(p);
}

void pic_watch(weir_dev *dev, void (*event)(void *ctx, unsigned irq, enum irq_event event),
               void *ctx)
{
    struct pic *p = weir_dev_state(dev);
    p->event = event;
    p->ctx = ctx;
}

enum irq_state pic_state(weir_dev *dev, unsigned irq)
{
    const struct pic *p = weir_dev_state(dev);
    const struct pic_half *h = &p->half[irq >> 3 & 1];
    if (h->expect != EXPECT_OCW || (h->imr & BIT(irq & 7)) ||
        (irq > 7 && (p->half[0].imr & BIT(CASCADE))))
        return IRQ_MASKED;
    return h->irr & BIT(irq & 7) ? IRQ_WAITING : IRQ_FREE;
}

/* State is settled: the listener may drive lines. */
static void tell(struct pic *p, const struct pic_half *h, unsigned ir, enum irq_event event)
{
    if (p->event)
        p->event(p->ctx, (unsigned)(h - p->half) * 8 + ir, event);
}

/* What the second INTA pulse, or a poll, does to the controller whose input `ir` won. */
static void begin_service(struct pic_half *h, unsigned ir)
{
    uint8_t bit = (uint8_t)BIT(ir);
    if (!(h->elcr & bit))
        h->irr &= ~bit;
    if (!(h->icw4 & ICW4_AEOI))
        h->isr |= bit;
    else if (h->rotate_aeoi)
        h->lowest = (uint8_t)ir;
}

int pic_acknowledge(weir_dev *dev)
{
    struct pic *p = weir_dev_state(dev);
    int ir = pending(p, &p->half[0]);
    if (ir < 0)
        return -1;
    int vector = p->half[0].base + ir, slave_ir = -1;
    if (ir == CASCADE) {
        slave_ir = pending(p, &p->half[1]);
        if (slave_ir >= 0)
            begin_service(&p->half[1], (unsigned)slave_ir);
        /* A request that has gone makes the slave answer with IR7, not in service. */
        vector = p->half[1].base + (slave_ir >= 0 ? slave_ir : 7);
    }
    begin_service(&p->half[0], (unsigned)ir);
    update(p);
    if (ir != CASCADE)
        tell(p, &p->half[0], (unsigned)ir, IRQ_TAKEN);
    else if (slave_ir >= 0)
        tell(p, &p->half[1], (unsigned)slave_ir, IRQ_TAKEN);
    return vector;
}

/* ---- registers ---- */

static void write_icw1(struct pic_half *h, uint8_t value)
{
    /* Edges have to come anew; levels that stand count at once. */
    *h = (struct pic_half){.lines = h->lines,
                           .elcr = h->elcr,
                           .irr = h->lines & h->elcr,
                           .base = h->base,
                           .lowest = 7,
                           .icw1 = value,
                           .icw3 = h->icw3,
                           .expect = EXPECT_ICW2};
}

/* Non-specific EOI: what is masked in special mask mode stays in service. */
static int end_highest(struct pic_half *h)
{
    int ir = highest(h, h->special_mask ? h->isr & ~h->imr : h->isr);
    if (ir >= 0)
        h->isr &= (uint8_t)~BIT(ir);
    return ir;
}

static void write_ocw2(struct pic_half *h, uint8_t value)
{
    unsigned ir = value & 7;
    int ended;
    switch (value >> 5) {
    case 0:
        h->rotate_aeoi = 0;
        break;
    case 1:
        end_highest(h);
        break;
    case 3:
        h->isr &= (uint8_t)~BIT(ir);
        break;
    case 4:
        h->rotate_aeoi = 1;
        break;
    case 5:
        ended = end_highest(h);
        if (ended >= 0)
            h->lowest = (uint8_t)ended;
        break;
    case 6:
        h->lowest = (uint8_t)ir;
        break;
    case 7:
        h->isr &= (uint8_t)~BIT(ir);
        h->lowest = (uint8_t)ir;
        break;
    }
}

static void write_ocw3(struct pic_half *h, uint8_t value)
{
    if (value & 4)
        h->poll = 1;
    if (value & 2)
        h->read_isr = value & 1;
    if (value & 0x40)
        h->special_mask = (value >> 5) & 1;
}

static void write_data(struct pic_half *h, uint8_t value)
{
    bool wants_icw4 = h->icw1 & ICW1_IC4;
    switch (h->expect) {
    case EXPECT_OCW:
        h->imr = value;
        break;
    case EXPECT_ICW2:
        h->base = value & 0xf8;
        h->expect = !(h->icw1 & ICW1_SNGL) ? EXPECT_ICW3
                    : wants_icw4           ? EXPECT_ICW4
                                           : EXPECT_OCW;
        break;
    case EXPECT_ICW3:
        h->icw3 = value; /* the wiring is what it is */
        h->expect = wants_icw4 ? EXPECT_ICW4 : EXPECT_OCW;
        break;
    case EXPECT_ICW4:
        h->icw4 = value;
        h->expect = EXPECT_OCW;
        break;
    }
}

static void port_write(struct pic *p, struct pic_half *h, uint64_t offset, uint8_t value)
{
    if (offset & 1)
        write_data(h, value);
    else if (value & ICW1_INIT)
        write_icw1(h, value);
    else if (value & 8)
        write_ocw3(h, value);
    else
        write_ocw2(h, value);
    update(p);
    for (unsigned ir = 0; ir < 8 && !(offset & 1) && (value & ICW1_INIT); ir++)
        tell(p, h, ir, IRQ_DROPPED);
}

static uint8_t port_read(struct pic *p, struct pic_half *h, uint64_t offset)
{
    if (h->poll) {
        h->poll = 0;
        int ir = pending(p, h);
        if (ir < 0)
            return 0;
        begin_service(h, (unsigned)ir);
        update(p);
        tell(p, h, (unsigned)ir, IRQ_TAKEN);
        return (uint8_t)(0x80 | ir);
    }
    return offset & 1 ? h->imr : h->read_isr ? h->isr : h->irr;
}

static uint64_t master_read(void *state, uint64_t offset, unsigned size)
{
    struct pic *p = state;
    return port_read(p, &p->half[0], offset);
}
static void master_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    struct pic *p = state;
    port_write(p, &p->half[0], offset, (uint8_t)value);
}
static uint64_t slave_read(void *state, uint64_t offset, unsigned size)
{
    struct pic *p = state;
    return port_read(p, &p->half[1], offset);
}
static void slave_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    struct pic *p = state;
    port_write(p, &p->half[1], offset, (uint8_t)value);
}

static uint64_t elcr_read(void *state, uint64_t offset, unsigned size)
{
    struct pic *p = state;
    return p->half[offset & 1].elcr;
}
static void elcr_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    struct pic *p = state;
    struct pic_half *h = &p->half[offset & 1];
    /* Timer, keyboard, cascade, RTC and FERR are always edges. */
    uint8_t now = (uint8_t)(value & (offset & 1 ? 0xde : 0xf8)), changed = now ^ h->elcr;
    h->elcr = now;
    h->irr = (uint8_t)((h->irr & ~(changed & now)) | (h->lines & now));
    update(p);
}

static const struct weir_io_ops master_ops = {master_read, master_write, 1, 1, false};
static const struct weir_io_ops slave_ops = {slave_read, slave_write, 1, 1, false};
static const struct weir_io_ops elcr_ops = {elcr_read, elcr_write, 1, 1, false};

/* ---- life ---- */

static int pic_init(weir_dev *dev, void *state)
{
    if (!weir_map_ports(dev, 0x20, 2, &master_ops, 0, "pic") ||
        !weir_map_ports(dev, 0xa0, 2, &slave_ops, 0, "pic") ||
        !weir_map_ports(dev, 0x4d0, 2, &elcr_ops, 0, "elcr"))
        return weir_dev_fail(dev, WEIR_ENOMEM, "out of memory");
    return 0;
}

static void pic_reset(void *state)
{
    struct pic *p = state;
    /* Lines belong to the devices that drive them. */
    for (unsigned i = 0; i < 2; i++)
        p->half[i] = (struct pic_half){.lines = p->half[i].lines, .lowest = 7};
    update(p);
}

static int pic_loaded(void *state)
{
    struct pic *p = state;
    for (unsigned i = 0; i < 2; i++) {
        p->half[i].lowest &= 7;
        p->half[i].expect &= 3;
    }
    update(p);
    weir_line_set(&p->intr, p->intr_level);
    return 0;
}

static void pic_info(void *state, struct weir_text *out)
{
    const struct pic *p = state;
    for (unsigned i = 0; i < 2; i++) {
        const struct pic_half *h = &p->half[i];
        weir_textf(out,
                   "pic%u: irr=%02x imr=%02x isr=%02x hprio=%u irq_base=%02x rr_sel=%u "
                   "elcr=%02x fnm=%u\n",
                   i, h->irr, h->imr, h->isr, (h->lowest + 1) & 7, h->base, h->read_isr,
                   h->elcr, (h->icw4 & ICW4_SFNM) != 0);
    }
}

static const struct weir_field half_fields[] = {
    WEIR_FIELD(struct pic_half, irr),         WEIR_FIELD(struct pic_half, isr),
    WEIR_FIELD(struct pic_half, imr),         WEIR_FIELD(struct pic_half, lines),
    WEIR_FIELD(struct pic_half, elcr),        WEIR_FIELD(struct pic_half, base),
    WEIR_FIELD(struct pic_half, expect),      WEIR_FIELD(struct pic_half, icw1),
    WEIR_FIELD(struct pic_half, icw3),        WEIR_FIELD(struct pic_half, icw4),
    WEIR_FIELD(struct pic_half, lowest),      WEIR_FIELD(struct pic_half, read_isr),
    WEIR_FIELD(struct pic_half, poll),        WEIR_FIELD(struct pic_half, special_mask),
    WEIR_FIELD(struct pic_half, rotate_aeoi), WEIR_FIELD_END,
};
static const struct weir_field pic_fields[] = {
    WEIR_FIELD_STRUCTS(struct pic, half, half_fields),
    WEIR_FIELD(struct pic, intr_level),
    WEIR_FIELD_END,
};

const struct weir_dev_class pic_8259_class = {
    .name = "i8259",
    .help = "interrupt controllers",
    .bus = "isa",
    .state_bytes = sizeof(struct pic),
    .version = 1,
    .init = pic_init,
    .reset = pic_reset,
    .loaded = pic_loaded,
    .info = pic_info,
    .fields = pic_fields,
};
