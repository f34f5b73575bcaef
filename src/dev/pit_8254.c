/* SPDX-License-Identifier: MIT */
/*
 * pit_8254.c - the 8254 interval timer and port 61h (gate of counter 2, speaker, refresh bit).
 * Spec: Intel 8254 data sheet (231164).
 *
 * Nothing counts: a counter is the input clock tick `start` at which its counting element held
 * `n`, and value and OUT are functions of the ticks elapsed since. A count takes effect one
 * tick after it was written or triggered, as in the chip. Only counter 0 has a timer, at the
 * next change of its OUT.
 *
 * IRQ 0 follows OUT, except that in the periodic modes rising edges that were not taken in time
 * are made good later (dev/ticks.h), at whatever level OUT is then.
 *
 * Invariants: 1 <= n, next_n, reload <= 65536 (10000 in BCD, or what invalid digits make);
 * `paused` only in modes 0, 2, 3, 4 with the gate low, then `elapsed` stands for now - start.
 */
#include "base/bits.h"
#include "base/clock.h"
#include "dev/chips.h"
#include "dev/machine_hooks.h"

#define PIT_HZ     1193182u
#define REFRESH_NS 15085u

struct pit_counter {
    int64_t start, elapsed, next_start;
    uint32_t n, next_n, reload;
    uint16_t latch, hold; /* hold: the value until `start` comes... */
    uint8_t hold_out;     /* ...and OUT */
    uint8_t mode, bcd, access, gate;
    uint8_t started; /* a count is in the counting element, or on its way */
    uint8_t paused;
    uint8_t next_armed; /* next_n replaces n at next_start */
    uint8_t written;    /* reload is valid */
    uint8_t unloaded;   /* reload waits for a trigger */
    uint8_t write_msb, write_low, read_msb;
    uint8_t latched, status_latched, status;
};

struct pit {
    struct pit_counter counter[3];
    uint8_t port61;
    uint8_t irq_disabled, irq_level;
    int64_t seen; /* tick up to which changes of OUT were announced */
    struct ticks ticks;
    struct weir_timer timer;
    weir_dev *dev;
    struct weir_line irq;
    struct irq_feedback feedback;
};

enum { ACCESS_LOW = 1, ACCESS_HIGH = 2, ACCESS_BOTH = 3 };

/* ---- time ---- */

static int64_t ticks_now(const struct pit *p)
{
    return (int64_t)muldiv64(weir_clock_ns(p->dev), PIT_HZ, 1000000000);
}

/* The first nanosecond of a tick. */
static uint64_t tick_ns(int64_t tick)
{
    unsigned __int128 product = (unsigned __int128)(uint64_t)tick * 1000000000u;
    return (uint64_t)((product + PIT_HZ - 1) / PIT_HZ);
}

static bool is_periodic(const struct pit_counter *c)
{
    return c->mode == 2 || c->mode == 3;
}
static bool is_triggered(const struct pit_counter *c)
{
    return c->mode == 1 || c->mode == 5;
}

static void sync(struct pit_counter *c, int64_t now)
{
    if (!c->next_armed || now < c->next_start)
        return;
    c->start = c->next_start;
    c->n = c->next_n;
    c->next_armed = 0;
}

static int64_t elapsed(const struct pit_counter *c, int64_t now)
{
    return c->paused ? c->elapsed : now - c->start;
}

/* ---- what the outside sees ---- */

static bool out(const struct pit_counter *c, int64_t now)
{
    int64_t d = elapsed(c, now), n = c->n;
    if (!c->started || d < 0)
        return c->hold_out;
    switch (c->mode) {
    case 0:
        return d >= n;
    case 1:
        return d >= n;
    case 2:
        return c->paused || n == 1 || d % n != n - 1;
    case 3:
        return c->paused || d % n < (n + 1) / 2;
    default:
        return d != n;
    }
}

/* The tick after `now` at which OUT changes; INT64_MAX: never. In sync. */
static int64_t next_change(const struct pit_counter *c, int64_t now)
{
    int64_t d = now - c->start, n = c->n, next = INT64_MAX;
    if (!c->started || c->paused)
        return INT64_MAX;
    if (d < 0 && c->mode == 1 && c->hold_out)
        return c->start;
    if (d < 0)
        d = 0;
    if (!is_periodic(c))
        next = d < n ? n : d == n && c->mode >= 4 ? n + 1 : INT64_MAX;
    else if (n > 1) {
        int64_t flip = c->mode == 2 ? n - 1 : (n + 1) / 2;
        next = d - d % n + (d % n < flip ? flip : n);
    }
    if (next != INT64_MAX)
        next += c->start;
    return c->next_armed && c->next_start < next ? c->next_start : next;
}

static uint16_t to_bcd(uint32_t v)
{
    return (uint16_t)(v % 10 | v / 10 % 10 << 4 | v / 100 % 10 << 8 | v / 1000 % 10 << 12);
}
static uint32_t from_bcd(uint32_t v)
{
    return (v & 15) + (v >> 4 & 15) * 10 + (v >> 8 & 15) * 100 + (v >> 12 & 15) * 1000;
}

/* The counting element. */
static uint16_t value(const struct pit_counter *c, int64_t now)
{
    int64_t d = elapsed(c, now), n = c->n, v;
    if (!c->started || d < 0)
        return c->hold;
    int64_t modulus = c->bcd ? 10000 : 65536;
    if (c->mode == 2)
        v = n - d % n;
    else if (c->mode == 3)
        v = (n & ~1ll) - 2 * (d % n % ((n + 1) / 2));
    else
        v = ((n - d) % modulus + modulus) % modulus;
    return c->bcd ? to_bcd((uint32_t)(v % 10000)) : (uint16_t)v;
}

static uint8_t status(const struct pit_counter *c, int64_t now)
{
    bool null_count = !c->started || c->unloaded || c->next_armed || elapsed(c, now) < 0;
    return (uint8_t)(out(c, now) << 7 | null_count << 6 | c->access << 4 | c->mode << 1 |
                     c->bcd);
}

/* ---- counter 0's interrupt ---- */

static void count_ticks(struct pit *p, uint64_t edges, enum irq_state state)
{
    ticks_count(&p->ticks, edges, state, muldiv64(p->counter[0].n, 1000000000, PIT_HZ),
                weir_clock_ns(p->dev));
}

static void drive(struct pit *p, bool level)
{
    level = level && !p->irq_disabled;
    if (level == p->irq_level)
        return;
    bool waited =
        !level && is_periodic(&p->counter[0]) && irq_state(&p->feedback, 0) == IRQ_WAITING;
    p->irq_level = level;
    weir_line_set(&p->irq, level);
    /* The 8259 drops a request that does not stand. */
    if (waited && irq_state(&p->feedback, 0) == IRQ_FREE)
        count_ticks(p, 1, IRQ_WAITING);
}

static void pulse(struct pit *p)
{
    drive(p, false);
    drive(p, true);
}

/* How often OUT rose after `from`, behind having been low. In sync. */
static uint64_t rises(const struct pit_counter *c, int64_t from, int64_t now)
{
    if (!c->started || c->paused)
        return 0;
    if (c->mode == 4 || c->mode == 5) { /* behind the strobe */
        int64_t rise = c->start + c->n + 1;
        return from < rise && now >= rise;
    }
    if (!is_periodic(c) || c->n < 2)
        return 0;
    if (from < c->start)
        from = c->start;
    return now <= from ? 0 : (uint64_t)((now - c->start) / c->n - (from - c->start) / c->n);
}

/* In sync. */
static void arm(struct pit *p, int64_t now)
{
    int64_t next = next_change(&p->counter[0], now);
    p->seen = now;
    if (next == INT64_MAX)
        weir_timer_cancel(&p->timer);
    else
        weir_timer_set(&p->timer, tick_ns(next));
}

static void schedule(struct pit *p, int64_t now)
{
    sync(&p->counter[0], now);
    drive(p, out(&p->counter[0], now));
    arm(p, now);
}

static void pit_fire(void *state)
{
    struct pit *p = state;
    int64_t now = ticks_now(p);
    sync(&p->counter[0], now);
    /* Called late, OUT may have gone there and back, and more than once. If it is low again, the
     * request stands nevertheless until it rises. */
    uint64_t edges = rises(&p->counter[0], p->seen, now);
    if (edges && !p->irq_disabled) {
        drive(p, false);
        if (is_periodic(&p->counter[0]))
            count_ticks(p, edges, irq_state(&p->feedback, 0));
        drive(p, true);
    } else {
        drive(p, out(&p->counter[0], now));
    }
    arm(p, now);
}

void pit_connect(weir_dev *dev, const struct irq_feedback *feedback)
{
    struct pit *p = weir_dev_state(dev);
    p->feedback = *feedback;
}

void pit_irq_event(weir_dev *dev, enum irq_event event)
{
    struct pit *p = weir_dev_state(dev);
    if (event == IRQ_DROPPED)
        ticks_forget(&p->ticks);
    else if (!p->irq_disabled && p->ticks.owed &&
             ticks_redeem(&p->ticks, irq_state(&p->feedback, 0)))
        pulse(p);
}

/* A change of OUT that is due but was not yet announced comes before registers change. */
static void catch_up(struct pit *p)
{
    if (weir_timer_armed(&p->timer) && p->timer.deadline_ns <= weir_clock_ns(p->dev)) {
        weir_timer_cancel(&p->timer);
        pit_fire(p);
    }
}

void pit_irq_disable(weir_dev *dev, bool disabled)
{
    struct pit *p = weir_dev_state(dev);
    catch_up(p);
    p->irq_disabled = disabled;
    schedule(p, ticks_now(p));
    ticks_forget(&p->ticks);
}

/* ---- loading and gates ---- */

static void load(struct pit_counter *c, int64_t now)
{
    c->hold = value(c, now);
    c->hold_out = c->mode == 1 ? out(c, now) : c->mode != 0;
    c->n = c->reload;
    c->start = now + 1;
    c->elapsed = 0;
    c->started = 1;
    c->next_armed = c->unloaded = 0;
}

/* A new count in a running mode 2 or 3: from the end of the (half) cycle on. */
static void load_at_end(struct pit_counter *c, int64_t now)
{
    sync(c, now);
    int64_t d = now - c->start, n = c->n;
    if (d < 0) { /* the count before was not even taken */
        c->n = c->reload;
        return;
    }
    int64_t done = d % n, half = (n + 1) / 2;
    bool to_low = c->mode == 3 && done < half && n > 1;
    int64_t end = now - done + (to_low ? half : n);
    c->next_n = c->reload;
    /* In mode 3 the new count may begin with its low half. */
    c->next_start = end;
    if (to_low) {
        c->start = end - (c->reload + 1) / 2; /* OUT is high until then in either view */
        c->n = c->reload;
        c->hold_out = 1;
        if (now < c->start)
            c->hold = (uint16_t)((n & ~1ll) - 2 * done);
        return;
    }
    c->next_armed = 1;
}

static void set_count(struct pit_counter *c, uint16_t count, int64_t now)
{
    c->reload = c->bcd ? from_bcd(count) : count;
    if (!c->reload)
        c->reload = c->bcd ? 10000 : 65536;
    c->written = 1;
    if (is_triggered(c) || (is_periodic(c) && c->paused))
        c->unloaded = 1;
    else if (is_periodic(c) && c->started)
        load_at_end(c, now);
    else
        load(c, now);
}

static void set_gate(struct pit_counter *c, bool gate, int64_t now)
{
    if (gate == c->gate)
        return;
    sync(c, now);
    c->gate = gate;
    if (is_triggered(c)) {
        if (gate && c->written)
            load(c, now);
    } else if (!gate) {
        int64_t d = now - c->start;
        c->elapsed = d > 0 ? d : 0;
        c->paused = 1;
    } else {
        c->paused = 0;
        c->start = now - c->elapsed;
        if (is_periodic(c) && c->written)
            load(c, now);
    }
}

/* ---- registers ---- */

static void latch_count(struct pit_counter *c, int64_t now)
{
    if (c->latched)
        return;
    c->latch = value(c, now);
    c->latched = 1;
}

static void read_back(struct pit *p, uint8_t command, int64_t now)
{
    for (unsigned i = 0; i < 3; i++) {
        struct pit_counter *c = &p->counter[i];
        if (!(command & (2 << i)))
            continue;
        sync(c, now);
        if (!(command & 0x20))
            latch_count(c, now);
        if (!(command & 0x10) && !c->status_latched) {
            c->status = status(c, now);
            c->status_latched = 1;
        }
    }
}

static void write_control(struct pit *p, uint8_t command, int64_t now)
{
    if (command >> 6 == 3) {
        read_back(p, command, now);
        return;
    }
    struct pit_counter *c = &p->counter[command >> 6];
    sync(c, now);
    if (!(command & 0x30)) {
        latch_count(c, now);
        return;
    }
    uint16_t hold = value(c, now);
    uint8_t mode = (command >> 1) & 7;
    *c = (struct pit_counter){.gate = c->gate,
                              .hold = hold,
                              .n = c->n,
                              .reload = c->reload,
                              .next_n = c->next_n,
                              .access = (command >> 4) & 3,
                              .mode = mode > 5 ? mode - 4 : mode,
                              .bcd = command & 1};
    c->hold_out = c->mode != 0;
    c->paused = !c->gate && !is_triggered(c);
    if (c == &p->counter[0])
        schedule(p, now);
}

static void write_count(struct pit *p, struct pit_counter *c, uint8_t byte, int64_t now)
{
    sync(c, now);
    if (c->access == ACCESS_BOTH && !c->write_msb) {
        c->write_low = byte;
        c->write_msb = 1;
        if (c->mode == 0) { /* stops, and OUT goes low at once */
            c->hold = value(c, now);
            c->hold_out = 0;
            c->started = 0;
        }
    } else {
        unsigned low = c->access == ACCESS_BOTH   ? c->write_low
                       : c->access == ACCESS_HIGH ? 0
                                                  : byte;
        c->write_msb = 0;
        set_count(c, (uint16_t)(low | (c->access == ACCESS_LOW ? 0u : (unsigned)byte << 8)),
                  now);
    }
    if (c == &p->counter[0])
        schedule(p, now);
}

static uint8_t read_counter(struct pit_counter *c, int64_t now)
{
    sync(c, now);
    if (c->status_latched) {
        c->status_latched = 0;
        return c->status;
    }
    uint16_t v = c->latched ? c->latch : value(c, now);
    bool high = c->access == ACCESS_HIGH || (c->access == ACCESS_BOTH && c->read_msb);
    if (c->access == ACCESS_BOTH)
        c->read_msb = !c->read_msb;
    if (!(c->access == ACCESS_BOTH && c->read_msb))
        c->latched = 0;
    return (uint8_t)(high ? v >> 8 : v);
}

static uint64_t pit_read(void *state, uint64_t offset, unsigned size)
{
    struct pit *p = state;
    machine_timers_due(p->dev);
    if (offset == 3)
        return 0xff; /* write-only */
    return read_counter(&p->counter[offset & 3], ticks_now(p));
}

/* A control word that does not only latch. */
static bool sets_counter0(uint8_t command)
{
    return command >> 6 == 0 && (command & 0x30);
}

static void pit_write(void *state, uint64_t offset, uint64_t byte, unsigned size)
{
    struct pit *p = state;
    catch_up(p);
    int64_t now = ticks_now(p);
    if (offset == 3)
        write_control(p, (uint8_t)byte, now);
    else
        write_count(p, &p->counter[offset & 3], (uint8_t)byte, now);
    if (offset == 0 || (offset == 3 && sets_counter0((uint8_t)byte)))
        ticks_forget(&p->ticks); /* the guest counts anew */
}

static uint64_t port61_read(void *state, uint64_t offset, unsigned size)
{
    struct pit *p = state;
    machine_timers_due(p->dev);
    int64_t now = ticks_now(p);
    bool refresh = weir_clock_ns(p->dev) / REFRESH_NS & 1;
    sync(&p->counter[2], now);
    return (uint64_t)(p->port61 | refresh << 4 | out(&p->counter[2], now) << 5);
}

static void port61_write(void *state, uint64_t offset, uint64_t byte, unsigned size)
{
    struct pit *p = state;
    p->port61 = byte & 0x0f;
    set_gate(&p->counter[2], byte & 1, ticks_now(p));
}

static const struct weir_io_ops pit_ops = {pit_read, pit_write, 1, 1, false};
static const struct weir_io_ops port61_ops = {port61_read, port61_write, 1, 1, false};

/* ---- life ---- */

static int pit_init(weir_dev *dev, void *state)
{
    struct pit *p = state;
    p->dev = dev;
    p->irq = weir_dev_gsi(dev, 0);
    weir_timer_init(dev, &p->timer, pit_fire);
    if (!weir_map_ports(dev, 0x40, 4, &pit_ops, 0, "pit") ||
        !weir_map_ports(dev, 0x61, 1, &port61_ops, 0, "pcspk"))
        return weir_dev_fail(dev, WEIR_ENOMEM, "out of memory");
    return 0;
}

static void pit_reset(void *state)
{
    struct pit *p = state;
    /* Undefined in the chip; here: stopped in mode 0, so that no interrupt comes by itself. */
    for (unsigned i = 0; i < 3; i++)
        p->counter[i] = (struct pit_counter){.access = ACCESS_BOTH,
                                             .gate = i != 2,
                                             .paused = i == 2,
                                             .n = 65536,
                                             .next_n = 65536,
                                             .reload = 65536};
    p->port61 = 0;
    p->irq_disabled = 0;
    weir_timer_cancel(&p->timer);
    p->seen = 0;
    ticks_forget(&p->ticks);
    p->irq_level = 0;
    weir_line_set(&p->irq, 0);
}

static int pit_loaded(void *state)
{
    struct pit *p = state;
    for (unsigned i = 0; i < 3; i++) {
        struct pit_counter *c = &p->counter[i];
        if (c->mode > 5 || !c->n || !c->next_n || !c->reload || c->n > 65536 ||
            c->next_n > 65536 || c->reload > 65536 || !(c->access & 3))
            return -WEIR_EINVAL;
    }
    if (p->seen > ticks_now(p))
        return -WEIR_EINVAL;
    if (!p->irq_disabled) /* else the line is the HPET's */
        weir_line_set(&p->irq, p->irq_level);
    return 0;
}

static void pit_info(void *state, struct weir_text *out_text)
{
    struct pit *p = state;
    int64_t now = ticks_now(p);
    for (unsigned i = 0; i < 3; i++) {
        struct pit_counter *c = &p->counter[i];
        weir_textf(out_text, "counter %u: mode %u count %u value %u gate %u out %u%s\n", i,
                   c->mode, c->reload, value(c, now), c->gate, out(c, now),
                   c->bcd ? " bcd" : "");
    }
}

#define COUNTER_FIELD(member) WEIR_FIELD(struct pit_counter, member)
static const struct weir_field counter_fields[] = {
    COUNTER_FIELD(start),
    COUNTER_FIELD(elapsed),
    COUNTER_FIELD(next_start),
    COUNTER_FIELD(n),
    COUNTER_FIELD(next_n),
    COUNTER_FIELD(reload),
    COUNTER_FIELD(latch),
    COUNTER_FIELD(hold),
    COUNTER_FIELD(hold_out),
    COUNTER_FIELD(mode),
    COUNTER_FIELD(bcd),
    COUNTER_FIELD(access),
    COUNTER_FIELD(gate),
    COUNTER_FIELD(started),
    COUNTER_FIELD(paused),
    COUNTER_FIELD(next_armed),
    COUNTER_FIELD(written),
    COUNTER_FIELD(unloaded),
    COUNTER_FIELD(write_msb),
    COUNTER_FIELD(write_low),
    COUNTER_FIELD(read_msb),
    COUNTER_FIELD(latched),
    COUNTER_FIELD(status_latched),
    COUNTER_FIELD(status),
    WEIR_FIELD_END,
};
static const struct weir_field pit_fields[] = {
    WEIR_FIELD_STRUCTS(struct pit, counter, counter_fields),
    WEIR_FIELD(struct pit, port61),
    WEIR_FIELD(struct pit, irq_disabled),
    WEIR_FIELD(struct pit, irq_level),
    WEIR_FIELD(struct pit, seen),
    WEIR_FIELD_STRUCT1(struct pit, ticks, ticks_fields),
    WEIR_FIELD_TIMER(struct pit, timer),
    WEIR_FIELD_END,
};

const struct weir_dev_class pit_8254_class = {
    .name = "i8254",
    .help = "interval timer and speaker port",
    .bus = "isa",
    .state_bytes = sizeof(struct pit),
    .version = 1,
    .init = pit_init,
    .reset = pit_reset,
    .loaded = pit_loaded,
    .info = pit_info,
    .fields = pit_fields,
};
