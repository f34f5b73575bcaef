/* SPDX-License-Identifier: MIT */
/*
 * apic.c - the local APIC: messages in and out, priorities, LINT pins, timer. There is one, the
 * boot processor's. SDM Vol. 3A chapter 11.
 *
 *   message, IPI, LVT --> IRR --> (above PPR) --> INTR --> INTA --> ISR --> EOI
 *   LINT0 as ExtINT: the 8259's INT is INTR, and INTA is passed on to it
 *
 * Invariants: intr_level is what the CPU was last told. With the APIC off in MSR 1Bh, LINT0 and
 * LINT1 are the CPU's INTR and NMI pins. The timer is armed only if its expiry has an effect.
 */
#include "base/clock.h"
#include "dev/apic_state.h"

/* ---- 256-bit registers ---- */

static void bit_set(uint32_t *words, unsigned vector)
{
    words[vector >> 5] |= BIT(vector & 31);
}
static void bit_clear(uint32_t *words, unsigned vector)
{
    words[vector >> 5] &= ~BIT(vector & 31);
}
static bool bit_test(const uint32_t *words, unsigned vector)
{
    return words[vector >> 5] >> (vector & 31) & 1;
}
static int bit_highest(const uint32_t *words)
{
    for (int i = BITS_WORDS - 1; i >= 0; i--)
        if (words[i])
            return i * 32 + 31 - __builtin_clz(words[i]);
    return -1;
}

/* ---- priority, INTR ---- */

uint32_t apic_ppr(const struct apic *a)
{
    int serviced = bit_highest(a->isr);
    uint32_t isrv = serviced < 0 ? 0 : (uint32_t)serviced & 0xf0;
    return (a->tpr & 0xf0) >= isrv ? a->tpr : isrv;
}

/* The vector that would be delivered now, or -1. */
static int deliverable(const struct apic *a)
{
    int vector = bit_highest(a->irr);
    if (vector < 0 || !(a->svr & SVR_ENABLE) || !apic_hardware_on(a))
        return -1;
    return ((unsigned)vector & 0xf0) > (apic_ppr(a) & 0xf0) ? vector : -1;
}

static bool extint_pending(const struct apic *a)
{
    if (!apic_hardware_on(a))
        return a->lint[0];
    uint32_t lvt = a->lvt[LVT_LINT0];
    bool wired = !(lvt & LVT_MASKED) && (lvt >> 8 & 7) == APIC_EXTINT;
    return (wired && a->lint[0]) || a->extint;
}

void apic_update(struct apic *a)
{
    uint8_t level = deliverable(a) >= 0 || extint_pending(a);
    if (level == a->intr_level)
        return;
    a->intr_level = level;
    if (a->wires.intr)
        a->wires.intr(a->wires.ctx, level);
}

bool apic_passes_extint(weir_dev *dev)
{
    const struct apic *a = weir_dev_state(dev);
    uint32_t lvt = a->lvt[LVT_LINT0];
    return !apic_hardware_on(a) || (!(lvt & LVT_MASKED) && (lvt >> 8 & 7) == APIC_EXTINT);
}

enum irq_state apic_vector_state(weir_dev *dev, unsigned vector)
{
    const struct apic *a = weir_dev_state(dev);
    if (!apic_hardware_on(a) || !(a->svr & SVR_ENABLE) || vector < 16 || vector > 255)
        return IRQ_MASKED;
    return bit_test(a->irr, vector) ? IRQ_WAITING : IRQ_FREE;
}

/* One that the periodic timer owes, now that the one before was taken. */
static void timer_redeem(struct apic *a, unsigned vector)
{
    if ((a->lvt[LVT_TIMER] & (LVT_MASKED | 0xff)) == vector &&
        apic_timer_mode(a) == TIMER_PERIODIC &&
        ticks_redeem(&a->ticks, apic_vector_state(a->dev, vector)))
        bit_set(a->irr, vector);
}

int apic_acknowledge(weir_dev *dev)
{
    struct apic *a = weir_dev_state(dev);
    int vector = deliverable(a);
    if (vector >= 0) {
        bit_clear(a->irr, (unsigned)vector);
        bit_set(a->isr, (unsigned)vector);
        if (a->wires.taken)
            a->wires.taken(a->wires.ctx, (unsigned)vector);
        timer_redeem(a, (unsigned)vector);
    } else if (extint_pending(a)) {
        a->extint = 0;
        if (a->wires.pic_acknowledge)
            vector = a->wires.pic_acknowledge(a->wires.ctx);
    }
    apic_update(a);
    return vector;
}

void apic_end_of_interrupt(struct apic *a)
{
    int vector = bit_highest(a->isr);
    if (vector < 0)
        return;
    bit_clear(a->isr, (unsigned)vector);
    if (bit_test(a->tmr, (unsigned)vector)) {
        /* A level-triggered LINT pin that is still up asks again, as the I/O APIC does. */
        for (unsigned pin = 0; pin < 2; pin++) {
            uint32_t *lvt = &a->lvt[LVT_LINT0 + pin];
            if ((*lvt & LVT_REMOTE_IRR) && (*lvt & 0xff) == (unsigned)vector) {
                *lvt &= ~(uint32_t)LVT_REMOTE_IRR;
                apic_lint_update(a, pin);
            }
        }
        if (a->wires.eoi)
            a->wires.eoi(a->wires.ctx, (unsigned)vector);
    }
    apic_update(a);
}

/* ---- accepting ---- */

static void accept_fixed(struct apic *a, unsigned vector, bool level)
{
    if (!(a->svr & SVR_ENABLE))
        return;
    if (vector < 16) {
        apic_error(a, ESR_RECEIVE_VECTOR);
        return;
    }
    if (level)
        bit_set(a->tmr, vector);
    else
        bit_clear(a->tmr, vector);
    bit_set(a->irr, vector);
}

static void call(const struct apic *a, void (*wire)(void *))
{
    if (wire)
        wire(a->wires.ctx);
}

static void accept(struct apic *a, unsigned delivery, unsigned vector, bool level)
{
    switch (delivery) {
    case APIC_FIXED:
    case APIC_LOWEST:
        accept_fixed(a, vector, level);
        break;
    case APIC_SMI:
        call(a, a->wires.smi);
        break;
    case APIC_NMI:
        call(a, a->wires.nmi);
        break;
    case APIC_INIT:
        apic_init_reset(a->dev);
        call(a, a->wires.init);
        break;
    case APIC_STARTUP:
        if (a->wires.sipi)
            a->wires.sipi(a->wires.ctx, vector);
        break;
    case APIC_EXTINT:
        a->extint = 1;
        break;
    default:
        break;
    }
    apic_update(a);
}

/* A local interrupt of the vector table. */
static void accept_local(struct apic *a, enum apic_lvt entry)
{
    uint32_t lvt = a->lvt[entry];
    if (lvt & LVT_MASKED)
        return;
    bool is_pin = entry == LVT_LINT0 || entry == LVT_LINT1;
    bool has_mode = is_pin || entry == LVT_PERF || entry == LVT_THERMAL;
    accept(a, has_mode ? lvt >> 8 & 7 : APIC_FIXED, lvt & 0xff, is_pin && (lvt & LVT_LEVEL));
}

void apic_timer_interrupt(weir_dev *dev)
{
    accept_local(weir_dev_state(dev), LVT_TIMER);
}

void apic_error(struct apic *a, uint32_t bits)
{
    bool news = bits & ~a->errors;
    a->errors |= bits;
    /* An illegal vector in the error entry itself must not come back here for ever. */
    if (news && (a->lvt[LVT_ERROR] & 0xff) >= 16)
        accept_local(a, LVT_ERROR);
}

static bool addressed_x2(const struct apic *a, const struct apic_message *m)
{
    uint32_t d = m->destination;
    if (d == 0xffffffff || d == 0xff)
        return true;
    if (!m->logical)
        return d == a->id;
    return d >> 16 == a->id >> 4 && (d & BIT(a->id & 15));
}

static bool addressed(const struct apic *a, const struct apic_message *m)
{
    if (apic_x2(a))
        return addressed_x2(a, m);
    uint32_t d = m->destination & 0xff, logical_id = a->ldr >> 24;
    if (d == 0xff)
        return true;
    if (!m->logical)
        return d == (a->id & 0xff);
    if (a->dfr >> 28 == 0xf)
        return d & logical_id;
    return d >> 4 == logical_id >> 4 && (d & logical_id & 15);
}

bool apic_deliver(weir_dev *dev, const struct apic_message *message)
{
    struct apic *a = weir_dev_state(dev);
    if (!apic_hardware_on(a) || !addressed(a, message))
        return false;
    accept(a, message->delivery & 7, message->vector, message->level);
    return true;
}

struct apic_message apic_msi(uint64_t address, uint32_t data)
{
    return (struct apic_message){.destination = (uint32_t)(address >> 12) & 0xff,
                                 .vector = (uint8_t)data,
                                 .delivery = data >> 8 & 7,
                                 .logical = address & 4,
                                 .level = data & 0x8000};
}

/* ---- sending ---- */

void apic_send(struct apic *a)
{
    uint32_t low = (uint32_t)a->icr;
    struct apic_message m = {.destination = (uint32_t)(a->icr >> 32),
                             .vector = (uint8_t)low,
                             .delivery = low >> 8 & 7,
                             .logical = low & 0x800,
                             .level = false};
    if (!apic_x2(a))
        m.destination >>= 24;
    unsigned shorthand = low >> 18 & 3;
    bool deassert = m.delivery == APIC_INIT && (low & 0x8000) && !(low & 0x4000);
    if (deassert)
        return;
    if (m.vector < 16 && m.delivery <= APIC_LOWEST) {
        apic_error(a, ESR_SEND_VECTOR);
        return;
    }
    if (shorthand == 3 || (shorthand == 0 && !addressed(a, &m)))
        return; /* there is nobody else */
    accept(a, m.delivery, m.vector, false);
}

/* ---- pins ---- */

static unsigned pin_mode(const struct apic *a, unsigned pin)
{
    return a->lvt[LVT_LINT0 + pin] >> 8 & 7;
}

/* Level-triggered fixed entries ask as long as the pin is up and nothing is being served. */
void apic_lint_update(struct apic *a, unsigned pin)
{
    uint32_t *lvt = &a->lvt[LVT_LINT0 + pin];
    if (!a->lint[pin] || (*lvt & LVT_MASKED) || !(*lvt & LVT_LEVEL) ||
        (*lvt & LVT_REMOTE_IRR) || pin_mode(a, pin) != APIC_FIXED)
        return;
    *lvt |= LVT_REMOTE_IRR;
    accept_local(a, LVT_LINT0 + pin);
}

static void lint(weir_dev *dev, unsigned pin, int level)
{
    struct apic *a = weir_dev_state(dev);
    bool rose = level && !a->lint[pin];
    a->lint[pin] = level != 0;
    bool level_fixed = (a->lvt[LVT_LINT0 + pin] & LVT_LEVEL) && pin_mode(a, pin) == APIC_FIXED;
    if (!apic_hardware_on(a)) {
        if (pin == 1 && rose)
            call(a, a->wires.nmi);
    } else if (level_fixed) {
        apic_lint_update(a, pin);
    } else if (rose && pin_mode(a, pin) != APIC_EXTINT) {
        accept_local(a, LVT_LINT0 + pin);
    }
    apic_update(a);
}

void apic_lint0(weir_dev *dev, int level)
{
    lint(dev, 0, level);
}
void apic_lint1(weir_dev *dev, int level)
{
    lint(dev, 1, level);
}

/* ---- timer ---- */

static uint64_t tick_ns(const struct apic *a)
{
    unsigned code = (a->divide & 3) | (a->divide >> 1 & 4); /* 0 = /2 ... 6 = /128, 7 = /1 */
    return (1ull << ((code + 1) & 7)) * (1000000000 / APIC_BUS_HZ);
}

static uint64_t period_ns(const struct apic *a)
{
    return (uint64_t)a->initial_count * tick_ns(a);
}

uint32_t apic_timer_count(const struct apic *a)
{
    if (!a->initial_count || apic_timer_mode(a) == TIMER_TSC_DEADLINE)
        return 0;
    uint64_t ticks = (weir_clock_ns(a->dev) - a->timer_start_ns) / tick_ns(a);
    if (apic_timer_mode(a) == TIMER_PERIODIC)
        return a->initial_count - (uint32_t)(ticks % a->initial_count);
    return ticks >= a->initial_count ? 0 : a->initial_count - (uint32_t)ticks;
}

void apic_timer_schedule(struct apic *a)
{
    uint64_t now = weir_clock_ns(a->dev), at = UINT64_MAX;
    a->timer_seen_ns = now;
    if (a->lvt[LVT_TIMER] & LVT_MASKED && apic_timer_mode(a) != TIMER_TSC_DEADLINE) {
        at = UINT64_MAX;
    } else if (apic_timer_mode(a) == TIMER_TSC_DEADLINE) {
        if (a->tsc_deadline && a->wires.tsc_to_ns)
            at = a->wires.tsc_to_ns(a->wires.ctx, a->tsc_deadline);
    } else if (a->initial_count) {
        uint64_t period = period_ns(a), passed = now - a->timer_start_ns;
        if (apic_timer_mode(a) == TIMER_PERIODIC)
            at = a->timer_start_ns + (passed / period + 1) * period;
        else if (passed < period)
            at = a->timer_start_ns + period;
    }
    if (at == UINT64_MAX)
        weir_timer_cancel(&a->timer);
    else
        weir_timer_set(&a->timer, at);
}

/* The end of a period, or several if this comes late. */
static void count_ticks(struct apic *a)
{
    uint64_t now = weir_clock_ns(a->dev), period = period_ns(a);
    uint64_t seen = a->timer_seen_ns > a->timer_start_ns ? a->timer_seen_ns : a->timer_start_ns;
    uint64_t edges = (now - a->timer_start_ns) / period - (seen - a->timer_start_ns) / period;
    ticks_count(&a->ticks, edges, apic_vector_state(a->dev, a->lvt[LVT_TIMER] & 0xff), period,
                now);
}

static void timer_fire(void *state)
{
    struct apic *a = state;
    if (apic_timer_mode(a) == TIMER_TSC_DEADLINE)
        a->tsc_deadline = 0;
    else if (apic_timer_mode(a) == TIMER_PERIODIC && a->initial_count)
        count_ticks(a);
    accept_local(a, LVT_TIMER);
    apic_timer_schedule(a);
}

/* An expiry that is due but was not yet announced counts before registers change. */
void apic_timer_catch_up(struct apic *a)
{
    if (weir_timer_armed(&a->timer) && a->timer.deadline_ns <= weir_clock_ns(a->dev)) {
        weir_timer_cancel(&a->timer);
        timer_fire(a);
    }
}

/* ---- TPR as CR8 ---- */

uint64_t apic_tpr_get(weir_dev *dev)
{
    const struct apic *a = weir_dev_state(dev);
    return a->tpr >> 4;
}

void apic_tpr_set(weir_dev *dev, uint64_t tpr)
{
    struct apic *a = weir_dev_state(dev);
    a->tpr = (uint32_t)(tpr & 15) << 4;
    apic_update(a);
}

/* ---- life ---- */

void apic_connect(weir_dev *dev, const struct apic_wires *wires)
{
    struct apic *a = weir_dev_state(dev);
    a->wires = *wires;
    if (a->wires.intr)
        a->wires.intr(a->wires.ctx, a->intr_level);
}

void apic_init_reset(weir_dev *dev)
{
    struct apic *a = weir_dev_state(dev);
    *a = (struct apic){
        .base = a->base,
        .id = a->id,
        .dfr = 0xffffffff,
        .svr = 0xff,
        .lvt = {LVT_MASKED, LVT_MASKED, LVT_MASKED, LVT_MASKED, LVT_MASKED, LVT_MASKED},
        .lint = {a->lint[0], a->lint[1]},
        .intr_level = a->intr_level,
        .timer = a->timer,
        .prop_id = a->prop_id,
        .prop_x2apic = a->prop_x2apic,
        .dev = a->dev,
        .region = a->region,
        .wires = a->wires,
    };
    /* The boot processor starts in virtual wire mode, as firmware would set it up: 16-bit
     * software that runs without firmware expects the 8259 to work. */
    if (a->base & BASE_BSP)
        a->lvt[LVT_LINT0] = APIC_EXTINT << 8;
    weir_timer_cancel(&a->timer);
    apic_update(a);
}

static int apic_init(weir_dev *dev, void *state)
{
    struct apic *a = state;
    a->dev = dev;
    if (a->prop_id > 254)
        return weir_dev_fail(dev, WEIR_ERANGE, "id %u is above 254", a->prop_id);
    weir_timer_init(dev, &a->timer, timer_fire);
    a->region = weir_map_memory(dev, 0xfee00000, 4096, &apic_ops, 1, "apic");
    if (!a->region)
        return weir_dev_fail(dev, WEIR_ENOMEM, "out of memory");
    return 0;
}

static void apic_reset(void *state)
{
    struct apic *a = state;
    a->base = 0xfee00000 | BASE_ENABLE | (a->prop_id == 0 ? BASE_BSP : 0);
    a->id = a->prop_id;
    weir_region_move(a->region, 0xfee00000);
    weir_region_enable(a->region, true);
    apic_init_reset(a->dev);
}

static int apic_loaded(void *state)
{
    struct apic *a = state;
    if ((a->base & 0xff) || a->base >> APIC_BASE_BITS ||
        a->timer_start_ns > weir_clock_ns(a->dev) || a->timer_seen_ns > weir_clock_ns(a->dev))
        return -WEIR_EINVAL;
    weir_region_move(a->region, a->base & ~0xfffull);
    weir_region_enable(a->region, apic_hardware_on(a) && !apic_x2(a));
    a->lint[0] = a->lint[0] != 0;
    a->lint[1] = a->lint[1] != 0;
    a->intr_level = deliverable(a) >= 0 || extint_pending(a);
    if (a->wires.intr)
        a->wires.intr(a->wires.ctx, a->intr_level);
    return 0;
}

static const struct weir_prop apic_props[] = {
    {"id", WEIR_PROP_U32, offsetof(struct apic, prop_id), NULL, "APIC ID; 0 = boot processor"},
    {"x2apic", WEIR_PROP_BOOL, offsetof(struct apic, prop_x2apic), "on", "x2APIC mode exists"},
    {0},
};
static const struct weir_field apic_fields[] = {
    WEIR_FIELD(struct apic, base),
    WEIR_FIELD(struct apic, id),
    WEIR_FIELD(struct apic, tpr),
    WEIR_FIELD(struct apic, ldr),
    WEIR_FIELD(struct apic, dfr),
    WEIR_FIELD(struct apic, svr),
    WEIR_FIELD(struct apic, esr),
    WEIR_FIELD(struct apic, errors),
    WEIR_FIELD(struct apic, icr),
    WEIR_FIELD_ARRAY(struct apic, lvt),
    WEIR_FIELD_ARRAY(struct apic, isr),
    WEIR_FIELD_ARRAY(struct apic, irr),
    WEIR_FIELD_ARRAY(struct apic, tmr),
    WEIR_FIELD(struct apic, divide),
    WEIR_FIELD(struct apic, initial_count),
    WEIR_FIELD(struct apic, timer_start_ns),
    WEIR_FIELD(struct apic, tsc_deadline),
    WEIR_FIELD_ARRAY(struct apic, lint),
    WEIR_FIELD(struct apic, extint),
    WEIR_FIELD(struct apic, intr_level),
    WEIR_FIELD(struct apic, timer_seen_ns),
    WEIR_FIELD_STRUCT1(struct apic, ticks, ticks_fields),
    WEIR_FIELD_TIMER(struct apic, timer),
    WEIR_FIELD_END,
};

const struct weir_dev_class apic_class = {
    .name = "apic",
    .help = "local APIC",
    .bus = "system",
    .state_bytes = sizeof(struct apic),
    .version = 1,
    .init = apic_init,
    .reset = apic_reset,
    .loaded = apic_loaded,
    .info = apic_info,
    .props = apic_props,
    .fields = apic_fields,
};
