/* SPDX-License-Identifier: MIT */
/*
 * rtc_146818.c - the MC146818 real-time clock and its 128 bytes of CMOS RAM, ports 70h-71h.
 * Spec: Motorola MC146818A data sheet; century in byte 32h, as ACPI's FADT says.
 *
 * While the clock runs, the time is `base_s` plus the whole seconds since virtual time
 * `base_ns`; the time bytes in `cmos` are stale then. While it is stopped (SET, or the divider
 * held in reset) the bytes are the time. freeze() and thaw() convert. Flags in register C are
 * brought up to date when somebody looks; the timer is armed only for an enabled interrupt
 * whose flag is not yet set.
 *
 * Invariant: base_ns is in phase with the seconds: updates end at base_ns + k * 1 s.
 */
#include <time.h>

#include "base/bits.h"
#include "base/clock.h"
#include "dev/chips.h"
#include "dev/machine_hooks.h"

#define SECOND_NS  1000000000ll
#define DIVIDER_HZ 32768u
/* UIP rises 244 us before the update, which takes 1984 us. */
#define UIP_NS       (244000 + 1984000)
#define YEAR_10000_S 253402300800ll /* 1 Jan 10000 */
#define YEAR_0_S     (-62167219200ll)

enum {
    REG_SECONDS,
    REG_SECONDS_ALARM,
    REG_MINUTES,
    REG_MINUTES_ALARM,
    REG_HOURS,
    REG_HOURS_ALARM,
    REG_WEEKDAY,
    REG_DAY,
    REG_MONTH,
    REG_YEAR,
    REG_A,
    REG_B,
    REG_C,
    REG_D,
    REG_CENTURY = 0x32,
};
enum {
    A_UIP = 0x80,
    B_SET = 0x80,
    B_PIE = 0x40,
    B_AIE = 0x20,
    B_UIE = 0x10,
    B_SQWE = 0x08,
    B_BINARY = 0x04,
    B_24H = 0x02,
    C_IRQF = 0x80,
    C_PF = 0x40,
    C_AF = 0x20,
    C_UF = 0x10,
    D_VRT = 0x80,
};

struct rtc {
    uint8_t cmos[128];
    uint8_t index;
    uint8_t stopped;       /* cmos holds the time */
    uint8_t weekday_shift; /* what the guest calls Sunday */
    uint8_t irq_disabled, irq_level;
    int64_t base_s, base_ns;
    int64_t seen_s;     /* updates up to this second are in register C */
    uint64_t seen_tick; /* and divider ticks up to this one */
    struct ticks ticks; /* periodic interrupts; taken when register C is read */
    struct weir_timer timer;
    /* properties and wiring */
    uint64_t prop_base, prop_offset;
    weir_dev *dev;
    struct weir_line irq;
    struct irq_feedback feedback;
};

/* ---- calendar ---- */

struct civil {
    int64_t year;
    int month, day, hour, minute, second; /* month, day from 1 */
    int weekday;                          /* 0 = Sunday */
};

/* Days from 1 Jan 1970 of the first of a month counted from March, Gregorian, proleptic. */
static int64_t days_before_month(int64_t march_year, int march_month)
{
    return march_year * 365 + march_year / 4 - march_year / 100 + march_year / 400 +
           (153 * march_month + 2) / 5 - 719468;
}

static int64_t civil_to_seconds(const struct civil *t)
{
    /* Year 400 keeps the divisions above on non-negative numbers. */
    int64_t year = t->year + 400 - (t->month <= 2);
    int month = (t->month + 9) % 12;
    int64_t days = days_before_month(year, month) - 146097 + t->day - 1;
    return ((days * 24 + t->hour) * 60 + t->minute) * 60 + t->second;
}

static struct civil civil_from_seconds(int64_t seconds)
{
    int64_t day = seconds / 86400 - (seconds % 86400 < 0);
    int rest = (int)(seconds - day * 86400);
    struct civil t = {.hour = rest / 3600, .minute = rest / 60 % 60, .second = rest % 60};
    t.weekday = (int)(((day + 4) % 7 + 7) % 7);
    /* Years from March: guess, then correct by at most one. */
    int64_t shifted = day + 146097, year = (shifted + 719468) * 400 / 146097;
    while (days_before_month(year, 0) > shifted)
        year--;
    while (days_before_month(year + 1, 0) <= shifted)
        year++;
    int month = 11;
    while (days_before_month(year, month) > shifted)
        month--;
    t.day = (int)(shifted - days_before_month(year, month)) + 1;
    t.month = month < 10 ? month + 3 : month - 9;
    t.year = year - 400 + (t.month <= 2);
    return t;
}

/* ---- bytes ---- */

static uint8_t encode(const struct rtc *r, int v)
{
    return (uint8_t)(r->cmos[REG_B] & B_BINARY ? v : v / 10 % 10 << 4 | v % 10);
}
static int decode(const struct rtc *r, uint8_t byte)
{
    return r->cmos[REG_B] & B_BINARY ? byte : (byte >> 4) * 10 + (byte & 15);
}
static uint8_t encode_hour(const struct rtc *r, int hour)
{
    if (r->cmos[REG_B] & B_24H)
        return encode(r, hour);
    return (uint8_t)(encode(r, hour % 12 ? hour % 12 : 12) | (hour >= 12 ? 0x80 : 0));
}
static int decode_hour(const struct rtc *r, uint8_t byte)
{
    if (r->cmos[REG_B] & B_24H)
        return decode(r, byte);
    return decode(r, byte & 0x7f) % 12 + (byte & 0x80 ? 12 : 0);
}

static int64_t now_ns(const struct rtc *r)
{
    return (int64_t)weir_clock_ns(r->dev);
}

static int64_t seconds_at(const struct rtc *r, int64_t now)
{
    int64_t s = r->base_s + (now - r->base_ns) / SECOND_NS;
    return s < YEAR_10000_S ? s : YEAR_0_S + (s - YEAR_10000_S) % (YEAR_10000_S - YEAR_0_S);
}

/* The time into its bytes. */
static void freeze(struct rtc *r, int64_t now)
{
    struct civil t = civil_from_seconds(seconds_at(r, now));
    uint8_t *m = r->cmos;
    m[REG_SECONDS] = encode(r, t.second);
    m[REG_MINUTES] = encode(r, t.minute);
    m[REG_HOURS] = encode_hour(r, t.hour);
    m[REG_WEEKDAY] = encode(r, (t.weekday + r->weekday_shift) % 7 + 1);
    m[REG_DAY] = encode(r, t.day);
    m[REG_MONTH] = encode(r, t.month);
    m[REG_YEAR] = encode(r, (int)(t.year % 100));
    m[REG_CENTURY] = encode(r, (int)(t.year / 100 % 100));
}

/* The bytes into the time; values out of range carry over. The phase of the seconds stays. */
static void thaw(struct rtc *r, int64_t now)
{
    const uint8_t *m = r->cmos;
    int month = decode(r, m[REG_MONTH]);
    struct civil t = {.year = decode(r, m[REG_CENTURY]) * 100 + decode(r, m[REG_YEAR]),
                      .month = month < 1    ? 1
                               : month > 12 ? 12
                                            : month,
                      .day = decode(r, m[REG_DAY]),
                      .hour = decode_hour(r, m[REG_HOURS]),
                      .minute = decode(r, m[REG_MINUTES]),
                      .second = decode(r, m[REG_SECONDS])};
    int64_t s = civil_to_seconds(&t);
    r->base_s = s < YEAR_0_S ? YEAR_0_S : s >= YEAR_10000_S ? YEAR_10000_S - 1 : s;
    r->base_ns += (now - r->base_ns) / SECOND_NS * SECOND_NS;
    int weekday = civil_from_seconds(r->base_s).weekday;
    r->weekday_shift = (uint8_t)((decode(r, m[REG_WEEKDAY]) + 6 + 7 - weekday) % 7);
    r->seen_s = seconds_at(r, now);
}

/* ---- events ---- */

static bool runs(const struct rtc *r)
{
    return !(r->cmos[REG_B] & B_SET) && (r->cmos[REG_A] & 0x60) != 0x60;
}

/* The first alarm after second `after`, INT64_MAX if none ever matches. */
static int64_t next_alarm(const struct rtc *r, int64_t after)
{
    const uint8_t *m = r->cmos;
    /* C0h-FFh in an alarm byte: any. */
    int hour = m[REG_HOURS_ALARM] >= 0xc0 ? -1 : decode_hour(r, m[REG_HOURS_ALARM]);
    int minute = m[REG_MINUTES_ALARM] >= 0xc0 ? -1 : decode(r, m[REG_MINUTES_ALARM]);
    int second = m[REG_SECONDS_ALARM] >= 0xc0 ? -1 : decode(r, m[REG_SECONDS_ALARM]);
    if (hour > 23 || minute > 59 || second > 59)
        return INT64_MAX;
    int64_t s = after + 1, end = s + 2 * 86400;
    while (s < end) {
        int in_day = (int)((s % 86400 + 86400) % 86400);
        if (hour >= 0 && in_day / 3600 != hour)
            s += 3600 - in_day % 3600;
        else if (minute >= 0 && in_day / 60 % 60 != minute)
            s += 60 - in_day % 60;
        else if (second >= 0 && in_day % 60 != second)
            s++;
        else
            return s;
    }
    return INT64_MAX;
}

/* Divider ticks between periodic interrupts, 0 = off. */
static uint64_t period_ticks(const struct rtc *r)
{
    unsigned rate = r->cmos[REG_A] & 15;
    if (!rate || (r->cmos[REG_A] & 0x60) == 0x60)
        return 0;
    return 1ull << ((rate < 3 ? rate + 7 : rate) - 1);
}

static void drive(struct rtc *r)
{
    uint8_t *c = &r->cmos[REG_C];
    *c &= (uint8_t)~C_IRQF;
    if (*c & r->cmos[REG_B] & (C_PF | C_AF | C_UF))
        *c |= C_IRQF;
    uint8_t level = (*c & C_IRQF) && !r->irq_disabled;
    if (level == r->irq_level)
        return;
    r->irq_level = level;
    weir_line_set(&r->irq, level);
}

/* The 8259 has one edge per flag in register C; that is what has to be taken. */
static enum irq_state periodic_state(const struct rtc *r)
{
    enum irq_state state = r->irq_disabled ? IRQ_MASKED : irq_state(&r->feedback, 8);
    if (state == IRQ_MASKED)
        return state;
    return r->cmos[REG_C] & C_PF ? IRQ_WAITING : IRQ_FREE;
}

static void update_flags(struct rtc *r, int64_t now)
{
    uint64_t tick = muldiv64((uint64_t)now, DIVIDER_HZ, SECOND_NS), period = period_ticks(r);
    if (period && tick / period != r->seen_tick / period) {
        uint64_t edges = tick / period - r->seen_tick / period;
        if (r->cmos[REG_B] & B_PIE)
            ticks_count(&r->ticks, edges, periodic_state(r),
                        muldiv64(period, SECOND_NS, DIVIDER_HZ), (uint64_t)now);
        r->cmos[REG_C] |= C_PF;
    }
    r->seen_tick = tick;
    if (!r->stopped) {
        int64_t s = seconds_at(r, now);
        if (s != r->seen_s)
            r->cmos[REG_C] |= C_UF;
        if (s > r->seen_s && next_alarm(r, r->seen_s) <= s)
            r->cmos[REG_C] |= C_AF;
        r->seen_s = s;
    }
    drive(r);
}

static void schedule(struct rtc *r, int64_t now)
{
    uint8_t wanted = r->cmos[REG_B] & ~r->cmos[REG_C];
    uint64_t next = UINT64_MAX, period = period_ticks(r);
    if ((wanted & B_PIE) && period) {
        uint64_t tick = (r->seen_tick / period + 1) * period;
        next = muldiv64(tick, SECOND_NS, DIVIDER_HZ) + 1;
    }
    int64_t second = INT64_MAX;
    if (!r->stopped && (wanted & B_UIE))
        second = r->seen_s + 1;
    else if (!r->stopped && (wanted & B_AIE))
        second = next_alarm(r, r->seen_s);
    if (second != INT64_MAX) {
        int64_t into = (now - r->base_ns) % SECOND_NS;
        uint64_t at = (uint64_t)(now - into + (second - r->seen_s) * SECOND_NS);
        next = at < next ? at : next;
    }
    if (next == UINT64_MAX)
        weir_timer_cancel(&r->timer);
    else
        weir_timer_set(&r->timer, next);
}

static void sync(struct rtc *r)
{
    int64_t now = now_ns(r);
    update_flags(r, now);
    schedule(r, now);
}

static void rtc_fire(void *state)
{
    sync(state);
}

void rtc_set(weir_dev *dev, int64_t seconds)
{
    struct rtc *r = weir_dev_state(dev);
    int64_t now = now_ns(r);
    r->base_s = seconds < YEAR_0_S        ? YEAR_0_S
                : seconds >= YEAR_10000_S ? YEAR_10000_S - 1
                                          : seconds;
    r->base_ns = now;
    r->seen_s = r->base_s;
    if (r->stopped)
        freeze(r, now);
    sync(r);
}

void rtc_irq_disable(weir_dev *dev, bool disabled)
{
    struct rtc *r = weir_dev_state(dev);
    r->irq_disabled = disabled;
    ticks_forget(&r->ticks);
    sync(r);
}

void rtc_connect(weir_dev *dev, const struct irq_feedback *feedback)
{
    struct rtc *r = weir_dev_state(dev);
    r->feedback = *feedback;
}

/* ---- registers ---- */

static bool is_time(unsigned index)
{
    return (index <= REG_YEAR && index != REG_SECONDS_ALARM && index != REG_MINUTES_ALARM &&
            index != REG_HOURS_ALARM) ||
           index == REG_CENTURY;
}

static bool updating(const struct rtc *r, int64_t now)
{
    return !r->stopped && (now - r->base_ns) % SECOND_NS >= SECOND_NS - UIP_NS;
}

static uint8_t read_register(struct rtc *r, unsigned index)
{
    int64_t now = now_ns(r);
    if (is_time(index) && !r->stopped)
        freeze(r, now);
    uint8_t v = r->cmos[index];
    switch (index) {
    case REG_A:
        return (uint8_t)((v & ~A_UIP) | (updating(r, now) ? A_UIP : 0));
    case REG_C:
        update_flags(r, now);
        v = r->cmos[REG_C];
        r->cmos[REG_C] = 0;
        drive(r);
        if ((r->cmos[REG_B] & B_PIE) && ticks_redeem(&r->ticks, periodic_state(r))) {
            r->cmos[REG_C] = C_PF;
            drive(r);
        }
        schedule(r, now);
        return v;
    case REG_D:
        return D_VRT;
    default:
        return v;
    }
}

/* Registers A and B: the clock may stop or start. */
static void write_control(struct rtc *r, unsigned index, uint8_t v, int64_t now)
{
    bool divider_was_reset = (r->cmos[REG_A] & 0x60) == 0x60;
    if (!r->stopped)
        freeze(r, now);
    if (index == REG_A)
        r->cmos[REG_A] = v & (uint8_t)~A_UIP;
    else
        r->cmos[REG_B] = v & B_SET ? v & (uint8_t)~B_UIE : v;
    if (!(r->cmos[REG_B] & B_PIE) || index == REG_A)
        ticks_forget(&r->ticks);
    /* A divider let go makes its first update half a second later. */
    if (divider_was_reset && (r->cmos[REG_A] & 0x60) != 0x60)
        r->base_ns = now - SECOND_NS / 2;
    bool was_stopped = r->stopped;
    r->stopped = !runs(r);
    if (was_stopped && !r->stopped) {
        thaw(r, now);
    }
}

static void write_register(struct rtc *r, unsigned index, uint8_t v)
{
    int64_t now = now_ns(r);
    update_flags(r, now);
    if (index == REG_A || index == REG_B) {
        write_control(r, index, v, now);
    } else if (is_time(index)) {
        if (!r->stopped)
            freeze(r, now);
        r->cmos[index] = v;
        if (!r->stopped)
            thaw(r, now);
    } else if (index != REG_C && index != REG_D) {
        r->cmos[index] = v;
    }
    drive(r);
    schedule(r, now);
}

static uint64_t rtc_read(void *state, uint64_t offset, unsigned size)
{
    struct rtc *r = state;
    machine_timers_due(r->dev);
    return offset ? read_register(r, r->index & 0x7f) : 0xff;
}

static void rtc_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    struct rtc *r = state;
    if (offset)
        write_register(r, r->index & 0x7f, (uint8_t)value);
    else
        r->index = (uint8_t)value; /* bit 7: NMI mask; nothing here raises NMI through it */
}

static const struct weir_io_ops rtc_ops = {rtc_read, rtc_write, 1, 1, false};

void rtc_cmos_set(weir_dev *dev, unsigned index, uint8_t value)
{
    struct rtc *r = weir_dev_state(dev);
    if (index < sizeof(r->cmos) && index > REG_D && !is_time(index))
        r->cmos[index] = value;
}

uint8_t rtc_cmos_get(weir_dev *dev, unsigned index)
{
    struct rtc *r = weir_dev_state(dev);
    if (index < sizeof(r->cmos) && is_time(index) && !r->stopped)
        freeze(r, now_ns(r));
    return index < sizeof(r->cmos) ? r->cmos[index] : 0xff;
}

/* ---- life ---- */

static int rtc_init(weir_dev *dev, void *state)
{
    struct rtc *r = state;
    r->dev = dev;
    r->irq = weir_dev_gsi(dev, 8);
    weir_timer_init(dev, &r->timer, rtc_fire);
    /* The battery-backed part: it starts once and is not touched by RESET#. */
    r->cmos[REG_A] = 0x26;
    r->cmos[REG_B] = B_24H;
    r->cmos[REG_D] = D_VRT;
    int64_t base = r->prop_base ? (int64_t)r->prop_base : (int64_t)time(NULL);
    base = (int64_t)((uint64_t)base + r->prop_offset);
    r->base_s = base < YEAR_0_S ? YEAR_0_S : base >= YEAR_10000_S ? YEAR_10000_S - 1 : base;
    r->base_ns = now_ns(r);
    r->seen_s = seconds_at(r, r->base_ns);
    r->seen_tick = muldiv64((uint64_t)r->base_ns, DIVIDER_HZ, SECOND_NS);
    if (!weir_map_ports(dev, 0x70, 2, &rtc_ops, 0, "rtc"))
        return weir_dev_fail(dev, WEIR_ENOMEM, "out of memory");
    return 0;
}

static void rtc_reset(void *state)
{
    struct rtc *r = state;
    r->cmos[REG_B] &= (uint8_t) ~(B_PIE | B_AIE | B_UIE | B_SQWE);
    r->cmos[REG_C] = 0;
    r->index = 0;
    ticks_forget(&r->ticks);
    r->irq_disabled = 0;
    r->irq_level = 0;
    weir_line_set(&r->irq, 0);
    sync(r);
}

static int rtc_loaded(void *state)
{
    struct rtc *r = state;
    if (r->base_s < YEAR_0_S || r->base_s >= YEAR_10000_S || r->base_ns > now_ns(r) ||
        r->base_ns < -SECOND_NS || r->seen_s < YEAR_0_S || r->seen_s >= YEAR_10000_S)
        return -WEIR_EINVAL;
    r->stopped = !runs(r);
    r->weekday_shift %= 7;
    if (!r->irq_disabled) /* else the line is the HPET's */
        weir_line_set(&r->irq, r->irq_level);
    return 0;
}

static void rtc_info(void *state, struct weir_text *out)
{
    struct rtc *r = state;
    struct civil t = civil_from_seconds(seconds_at(r, now_ns(r)));
    weir_textf(out, "time %04d-%02d-%02d %02d:%02d:%02d%s a=%02x b=%02x c=%02x\n", (int)t.year,
               t.month, t.day, t.hour, t.minute, t.second, r->stopped ? " (stopped)" : "",
               r->cmos[REG_A], r->cmos[REG_B], r->cmos[REG_C]);
}

static const struct weir_prop rtc_props[] = {
    {"base", WEIR_PROP_U64, offsetof(struct rtc, prop_base), NULL,
     "seconds since 1970 UTC at start; 0: the host's time"},
    {"base-offset", WEIR_PROP_U64, offsetof(struct rtc, prop_offset), NULL,
     "seconds added to base (two's complement)"},
    {0},
};
static const struct weir_field rtc_fields[] = {
    WEIR_FIELD_BYTES(struct rtc, cmos),
    WEIR_FIELD(struct rtc, index),
    WEIR_FIELD(struct rtc, stopped),
    WEIR_FIELD(struct rtc, weekday_shift),
    WEIR_FIELD(struct rtc, irq_disabled),
    WEIR_FIELD(struct rtc, irq_level),
    WEIR_FIELD(struct rtc, base_s),
    WEIR_FIELD(struct rtc, base_ns),
    WEIR_FIELD(struct rtc, seen_s),
    WEIR_FIELD(struct rtc, seen_tick),
    WEIR_FIELD_TIMER(struct rtc, timer),
    WEIR_FIELD_STRUCT1(struct rtc, ticks, ticks_fields),
    WEIR_FIELD_END,
};

const struct weir_dev_class rtc_146818_class = {
    .name = "mc146818",
    .help = "real-time clock and CMOS RAM",
    .bus = "isa",
    .state_bytes = sizeof(struct rtc),
    .version = 1,
    .init = rtc_init,
    .reset = rtc_reset,
    .loaded = rtc_loaded,
    .info = rtc_info,
    .props = rtc_props,
    .fields = rtc_fields,
};
