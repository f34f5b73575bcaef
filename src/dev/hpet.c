/* SPDX-License-Identifier: MIT */
/*
 * hpet.c - high precision event timer: a 64-bit counter at 100 MHz and three comparators, at
 * FED00000h. Spec: IA-PC HPET 1.0a.
 *
 * The counter is virtual time; `start_count` is its value at `start_ns`, or its value while it
 * is halted. A comparator's timer is armed for the moment of equality. An edge-triggered line
 * is left high until the next edge, because the 8259 drops requests that do not stand.
 *
 * Invariant: ISR bits are set only for level-triggered timers.
 */
#include "base/bits.h"
#include "dev/chips.h"
#include "dev/machine_hooks.h"

#define PERIOD_FS    10000000ull /* of the counter: 10 ns */
#define NS_PER_COUNT 10u
#define CAPABILITIES (PERIOD_FS << 32 | 0x8086ull << 16 | 1u << 15 | 1u << 13 | 2u << 8 | 1u)
#define ROUTES       0x00f00004ull /* I/O APIC pins 2 and 20-23 */

enum {
    REG_CAPABILITIES = 0x00,
    REG_CONFIG = 0x10,
    REG_ISR = 0x20,
    REG_COUNTER = 0xf0,
    REG_TIMERS = 0x100,
    TIMER_BYTES = 0x20
};
enum { CONFIG_ENABLE = 1, CONFIG_LEGACY = 2 };
enum {
    TIMER_LEVEL = 1 << 1,
    TIMER_INTERRUPT = 1 << 2,
    TIMER_PERIODIC = 1 << 3,
    TIMER_CAN_PERIODIC = 1 << 4,
    TIMER_CAN_64 = 1 << 5,
    TIMER_SET_VALUE = 1 << 6,
    TIMER_32 = 1 << 8,
    TIMER_WRITABLE = 0x3f4e,
};
enum { TIMERS = 3 };

struct hpet_timer {
    uint64_t config, comparator, period;
    uint8_t line; /* level driven */
    uint8_t gsi;  /* where to */
    struct ticks ticks;
    struct weir_timer timer;
};

struct hpet {
    uint64_t config, isr, start_count, start_ns;
    struct hpet_timer timers[TIMERS];
    weir_dev *dev;
    struct weir_line gsi[24];
    void (*legacy)(void *ctx, bool on);
    void *ctx;
    struct irq_feedback feedback;
};

/* ---- counter ---- */

static bool runs(const struct hpet *s)
{
    return s->config & CONFIG_ENABLE;
}

static uint64_t counter(const struct hpet *s)
{
    if (!runs(s))
        return s->start_count;
    return s->start_count + (weir_clock_ns(s->dev) - s->start_ns) / NS_PER_COUNT;
}

/* ---- lines ---- */

/* GSI of a timer's interrupt, ffh for none. */
static uint8_t route(const struct hpet *s, unsigned n)
{
    if ((s->config & CONFIG_LEGACY) && n < 2)
        return n ? 8 : 0;
    unsigned pin = s->timers[n].config >> 9 & 31;
    return pin < 24 && (ROUTES >> pin & 1) ? (uint8_t)pin : 0xff;
}

static void drive(struct hpet *s, unsigned n, uint8_t level)
{
    struct hpet_timer *t = &s->timers[n];
    if (t->line == level)
        return;
    t->line = level;
    if (t->gsi < 24)
        weir_line_set(&s->gsi[t->gsi], level);
}

/* After config or routes changed: lines that should not be up go down. */
static void update_line(struct hpet *s, unsigned n)
{
    struct hpet_timer *t = &s->timers[n];
    uint8_t to = route(s, n);
    bool level_mode = t->config & TIMER_LEVEL;
    if (to != t->gsi) {
        drive(s, n, 0);
        t->gsi = to;
    }
    if (!(t->config & TIMER_INTERRUPT) || !runs(s))
        drive(s, n, 0);
    else if (level_mode)
        drive(s, n, s->isr >> n & 1);
}

static void interrupt(struct hpet *s, unsigned n)
{
    struct hpet_timer *t = &s->timers[n];
    if (t->config & TIMER_LEVEL)
        s->isr |= BIT(n);
    if (!(t->config & TIMER_INTERRUPT))
        return;
    if (!(t->config & TIMER_LEVEL))
        drive(s, n, 0);
    drive(s, n, 1);
}

/* What the next interrupt meets: a level stands until its status bit is cleared. */
static enum irq_state state_of(const struct hpet *s, unsigned n)
{
    const struct hpet_timer *t = &s->timers[n];
    if (!(t->config & TIMER_INTERRUPT) || t->gsi >= 24)
        return IRQ_MASKED;
    if (t->config & TIMER_LEVEL)
        return s->isr >> n & 1 ? IRQ_WAITING : IRQ_FREE;
    return irq_state(&s->feedback, t->gsi);
}

static void redeem(struct hpet *s, unsigned n)
{
    if (s->timers[n].ticks.owed && runs(s) && ticks_redeem(&s->timers[n].ticks, state_of(s, n)))
        interrupt(s, n);
}

void hpet_feedback(weir_dev *dev, const struct irq_feedback *feedback)
{
    struct hpet *s = weir_dev_state(dev);
    s->feedback = *feedback;
}

void hpet_irq_event(weir_dev *dev, unsigned gsi, enum irq_event event)
{
    struct hpet *s = weir_dev_state(dev);
    for (unsigned n = 0; n < TIMERS; n++) {
        struct hpet_timer *t = &s->timers[n];
        if (t->gsi != gsi || (t->config & TIMER_LEVEL))
            continue;
        if (event == IRQ_DROPPED)
            ticks_forget(&t->ticks);
        else
            redeem(s, n);
    }
}

/* ---- comparators ---- */

static uint64_t mask(const struct hpet_timer *t)
{
    return t->config & TIMER_32 ? 0xffffffffull : ~0ull;
}

static void schedule(struct hpet *s, unsigned n)
{
    struct hpet_timer *t = &s->timers[n];
    if (!runs(s)) {
        weir_timer_cancel(&t->timer);
        return;
    }
    uint64_t ahead = (t->comparator - counter(s)) & mask(t);
    if (ahead == 0 && (t->config & TIMER_32))
        ahead = 1ull << 32; /* equal now: it has fired; next time around */
    uint64_t target = counter(s) + ahead;
    if (ahead == 0 || ahead > INT64_MAX / NS_PER_COUNT / 2)
        weir_timer_cancel(&t->timer);
    else
        weir_timer_set(&t->timer, s->start_ns + (target - s->start_count) * NS_PER_COUNT);
}

static uint64_t period_ns(uint64_t counts)
{
    return counts < TICKS_OWED_NS / NS_PER_COUNT ? counts * NS_PER_COUNT : TICKS_OWED_NS;
}

static void fire(struct hpet *s, unsigned n)
{
    struct hpet_timer *t = &s->timers[n];
    if (t->config & TIMER_PERIODIC) {
        uint64_t period = t->period & mask(t), late = (counter(s) - t->comparator) & mask(t);
        if (period) {
            uint64_t edges = late / period + 1;
            t->comparator = (t->comparator + edges * period) & mask(t);
            ticks_count(&t->ticks, edges, state_of(s, n), period_ns(period),
                        weir_clock_ns(s->dev));
        }
    }
    interrupt(s, n);
    schedule(s, n);
}
static void fire0(void *state)
{
    fire(state, 0);
}
static void fire1(void *state)
{
    fire(state, 1);
}
static void fire2(void *state)
{
    fire(state, 2);
}

/* Equality that is due but was not yet announced comes before registers change. */
static void catch_up(struct hpet *s)
{
    for (unsigned n = 0; n < TIMERS; n++) {
        struct weir_timer *timer = &s->timers[n].timer;
        if (!weir_timer_armed(timer) || timer->deadline_ns > weir_clock_ns(s->dev))
            continue;
        weir_timer_cancel(timer);
        fire(s, n);
    }
}

/* ---- registers ---- */

static void write_config(struct hpet *s, uint64_t value)
{
    uint64_t was = s->config, count = counter(s);
    s->config = value & (CONFIG_ENABLE | CONFIG_LEGACY);
    s->start_count = count;
    s->start_ns = weir_clock_ns(s->dev);
    for (unsigned n = 0; n < TIMERS; n++) {
        ticks_forget(&s->timers[n].ticks);
        update_line(s, n);
        schedule(s, n);
    }
    if (((was ^ value) & CONFIG_LEGACY) && s->legacy)
        s->legacy(s->ctx, value & CONFIG_LEGACY);
}

static void write_isr(struct hpet *s, uint64_t value)
{
    s->isr &= ~value;
    for (unsigned n = 0; n < TIMERS; n++) {
        if (!(value >> n & 1))
            continue;
        update_line(s, n);
        if (s->timers[n].config & TIMER_LEVEL)
            redeem(s, n);
    }
}

static void write_comparator(struct hpet_timer *t, uint64_t value)
{
    bool periodic = t->config & TIMER_PERIODIC;
    value &= mask(t);
    if (!periodic || (t->config & TIMER_SET_VALUE))
        t->comparator = value;
    if (periodic)
        t->period = value;
    t->config &= ~(uint64_t)TIMER_SET_VALUE;
}

static uint64_t timer_config(const struct hpet_timer *t)
{
    return t->config | TIMER_CAN_PERIODIC | TIMER_CAN_64 | ROUTES << 32;
}

static uint64_t read64(const struct hpet *s, unsigned reg)
{
    switch (reg) {
    case REG_CAPABILITIES:
        return CAPABILITIES;
    case REG_CONFIG:
        return s->config;
    case REG_ISR:
        return s->isr;
    case REG_COUNTER:
        return counter(s);
    default:
        break;
    }
    unsigned n = (reg - REG_TIMERS) / TIMER_BYTES;
    if (reg < REG_TIMERS || n >= TIMERS)
        return 0;
    switch (reg % TIMER_BYTES) {
    case 0:
        return timer_config(&s->timers[n]);
    case 8:
        return s->timers[n].comparator;
    default:
        return 0;
    }
}

static void write_timer(struct hpet *s, unsigned n, unsigned reg, uint64_t value)
{
    struct hpet_timer *t = &s->timers[n];
    ticks_forget(&t->ticks);
    if (reg == 0) {
        t->config = value & TIMER_WRITABLE;
        if (!(t->config & TIMER_LEVEL))
            s->isr &= ~(uint64_t)BIT(n);
        if (t->config & TIMER_32)
            t->comparator &= mask(t);
        update_line(s, n);
    } else if (reg == 8) {
        write_comparator(t, value);
    }
    schedule(s, n);
}

static void write64(struct hpet *s, unsigned reg, uint64_t value)
{
    unsigned n = (reg - REG_TIMERS) / TIMER_BYTES;
    catch_up(s);
    if (reg == REG_CONFIG) {
        write_config(s, value);
    } else if (reg == REG_ISR) {
        write_isr(s, value);
    } else if (reg == REG_COUNTER) {
        s->start_count = value;
        s->start_ns = weir_clock_ns(s->dev);
        for (n = 0; n < TIMERS; n++)
            schedule(s, n);
    } else if (reg >= REG_TIMERS && n < TIMERS) {
        write_timer(s, n, reg % TIMER_BYTES, value);
    }
}

static uint64_t hpet_read(void *state, uint64_t offset, unsigned size)
{
    machine_timers_due(((struct hpet *)state)->dev);
    uint64_t value = read64(state, (unsigned)offset & 0x3f8);
    return offset > 0x3ff ? 0 : offset & 4 ? value >> 32 : value;
}

/* A half of a register is written as the whole with the other half as it reads, except that
 * status bits must not be cleared by accident. */
static void hpet_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    unsigned reg = (unsigned)offset & 0x3f8;
    if (offset > 0x3ff)
        return;
    if (size == 4) {
        uint64_t whole = reg == REG_ISR ? 0 : read64(state, reg);
        value = offset & 4 ? (whole & 0xffffffff) | value << 32
                           : (whole & ~0xffffffffull) | (value & 0xffffffff);
    }
    write64(state, reg, value);
}

static const struct weir_io_ops hpet_ops = {hpet_read, hpet_write, 4, 8, false};

/* ---- life ---- */

void hpet_connect(weir_dev *dev, void (*legacy)(void *ctx, bool on), void *ctx)
{
    struct hpet *s = weir_dev_state(dev);
    s->legacy = legacy;
    s->ctx = ctx;
}

static int hpet_init(weir_dev *dev, void *state)
{
    struct hpet *s = state;
    static void (*const fires[TIMERS])(void *) = {fire0, fire1, fire2};
    s->dev = dev;
    for (unsigned i = 0; i < ARRAY_SIZE(s->gsi); i++)
        s->gsi[i] = weir_dev_gsi(dev, i);
    for (unsigned n = 0; n < TIMERS; n++) {
        weir_timer_init(dev, &s->timers[n].timer, fires[n]);
        s->timers[n].gsi = 0xff;
    }
    if (!weir_map_memory(dev, 0xfed00000, 1024, &hpet_ops, 0, "hpet"))
        return weir_dev_fail(dev, WEIR_ENOMEM, "out of memory");
    return 0;
}

static void hpet_reset(void *state)
{
    struct hpet *s = state;
    bool was_legacy = s->config & CONFIG_LEGACY;
    s->config = s->isr = s->start_count = s->start_ns = 0;
    for (unsigned n = 0; n < TIMERS; n++) {
        struct hpet_timer *t = &s->timers[n];
        t->config = t->period = 0;
        ticks_forget(&t->ticks);
        t->comparator = ~0ull;
        weir_timer_cancel(&t->timer);
        update_line(s, n);
    }
    if (was_legacy && s->legacy)
        s->legacy(s->ctx, false);
}

static int hpet_loaded(void *state)
{
    struct hpet *s = state;
    if (s->start_ns > weir_clock_ns(s->dev))
        return -WEIR_EINVAL;
    for (unsigned n = 0; n < TIMERS; n++)
        if (s->timers[n].gsi < 24)
            weir_line_set(&s->gsi[s->timers[n].gsi], s->timers[n].line);
    return 0;
}

static void hpet_info(void *state, struct weir_text *out)
{
    const struct hpet *s = state;
    weir_textf(out, "%s%s counter=%016llx isr=%llx\n", runs(s) ? "running" : "halted",
               s->config & CONFIG_LEGACY ? ", legacy routes," : "",
               (unsigned long long)counter(s), (unsigned long long)s->isr);
    for (unsigned n = 0; n < TIMERS; n++)
        weir_textf(out, "timer %u: config=%04llx comparator=%016llx period=%llx\n", n,
                   (unsigned long long)s->timers[n].config,
                   (unsigned long long)s->timers[n].comparator,
                   (unsigned long long)s->timers[n].period);
}

static const struct weir_field timer_fields[] = {
    WEIR_FIELD(struct hpet_timer, config),
    WEIR_FIELD(struct hpet_timer, comparator),
    WEIR_FIELD(struct hpet_timer, period),
    WEIR_FIELD(struct hpet_timer, line),
    WEIR_FIELD(struct hpet_timer, gsi),
    WEIR_FIELD_STRUCT1(struct hpet_timer, ticks, ticks_fields),
    WEIR_FIELD_TIMER(struct hpet_timer, timer),
    WEIR_FIELD_END,
};
static const struct weir_field hpet_fields[] = {
    WEIR_FIELD(struct hpet, config),
    WEIR_FIELD(struct hpet, isr),
    WEIR_FIELD(struct hpet, start_count),
    WEIR_FIELD(struct hpet, start_ns),
    WEIR_FIELD_STRUCTS(struct hpet, timers, timer_fields),
    WEIR_FIELD_END,
};

const struct weir_dev_class hpet_class = {
    .name = "hpet",
    .help = "high precision event timer",
    .bus = "system",
    .state_bytes = sizeof(struct hpet),
    .version = 1,
    .init = hpet_init,
    .reset = hpet_reset,
    .loaded = hpet_loaded,
    .info = hpet_info,
    .fields = hpet_fields,
};
