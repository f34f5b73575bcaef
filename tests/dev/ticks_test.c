/* SPDX-License-Identifier: MIT */
/*
 * ticks_test.c - periodic interrupts that the CPU does not take in time: they come one by one once
 * it does, through the 8259 and through the I/O APIC; and when they are forgotten.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>
#include <cmocka.h>

#include "harness.h"

#define MS           1000000ull
#define PIT_MS       1193u /* counts in a millisecond, nearly */
#define IOAPIC_GSI0  2
#define TIMER_VECTOR 0x40u

static int setup(void **state)
{
    *state = harness_new();
    return 0;
}
static int teardown(void **state)
{
    harness_free(*state);
    return 0;
}

static void pit_set(struct harness *h, unsigned mode, unsigned count)
{
    out8(h, 0x43, 0x30 | mode << 1);
    out8(h, 0x40, count & 0xff);
    out8(h, 0x40, count >> 8);
}
/* The local APIC on, the 8259s masked, one pin of the I/O APIC to a vector, edges. */
static void by_ioapic(struct harness *h, unsigned pin)
{
    pic_setup(h, 1);
    out8(h, 0x21, 0xff);
    out8(h, 0xa1, 0xff);
    apic_put(h, 0xf0, 0x1ff);
    ioapic_set_entry(h, pin, TIMER_VECTOR);
}
static void eoi_pic(struct harness *h, unsigned vector)
{
    if (vector >= 0x28)
        out8(h, 0xa0, 0x20);
    out8(h, 0x20, 0x20);
}

/* Takes interrupts as a CPU with IF = 1 would; how many came. Those with another vector fail. */
static unsigned take_all(struct harness *h, unsigned vector, void (*served)(struct harness *h))
{
    unsigned taken = 0;
    while (h->intr && taken < 1000000) {
        assert_int_equal(apic_acknowledge(h->apic), vector);
        taken++;
        if (served)
            served(h);
        if (vector == TIMER_VECTOR)
            apic_put(h, 0xb0, 0);
        else
            eoi_pic(h, vector);
    }
    return taken;
}

/* From reset on OUT rises at once. */
static void pit_start(struct harness *h, unsigned mode, unsigned vector)
{
    pit_set(h, mode, PIT_MS);
    take_all(h, vector, NULL);
}

/* ---- 8254 ---- */

static void test_pit_pic(void **state)
{
    struct harness *h = *state;
    for (unsigned mode = 2; mode <= 3; mode++) {
        pic_setup(h, 1);
        pit_start(h, mode, 0x20);
        run_ns(h, 10 * MS + MS / 4);
        assert_int_equal(take_all(h, 0x20, NULL), 10);
        assert_int_equal(take_all(h, 0x20, NULL), 0);
        /* In time again: one at a time. */
        for (unsigned i = 0; i < 5; i++) {
            run_ns(h, MS);
            assert_int_equal(take_all(h, 0x20, NULL), 1);
        }
    }
}

/* The 8259 drops a request whose line goes low, which mode 3 does in mid-period. */
static void test_pit_dropped_request(void **state)
{
    struct harness *h = *state;
    pic_setup(h, 1);
    pit_start(h, 3, 0x20);
    run_ns(h, 10 * MS + 3 * MS / 4);
    assert_int_equal(h->intr, 0);
    assert_int_equal(take_all(h, 0x20, NULL), 0);
    run_ns(h, MS / 2);
    assert_int_equal(take_all(h, 0x20, NULL), 11);
}

/* One that is owed comes behind the EOI of the one before, not within it. */
static void test_pit_one_by_one(void **state)
{
    struct harness *h = *state;
    pic_setup(h, 1);
    pit_start(h, 2, 0x20);
    run_ns(h, 3 * MS + MS / 4);
    assert_int_equal(apic_acknowledge(h->apic), 0x20);
    assert_int_equal(h->intr, 0);
    assert_int_equal(in8(h, 0x20) & 1, 1); /* IRR */
    out8(h, 0x20, 0x20);
    assert_int_equal(h->intr, 1);
    assert_int_equal(take_all(h, 0x20, NULL), 2);
}

/* As with one late call of the timers, when the host did not let them run. */
static void test_pit_late(void **state)
{
    struct harness *h = *state;
    for (unsigned ioapic = 0; ioapic < 2; ioapic++) {
        ioapic ? by_ioapic(h, IOAPIC_GSI0) : pic_setup(h, 1);
        pit_start(h, 2, ioapic ? TIMER_VECTOR : 0x20);
        run_ns(h, 1 * MS + MS / 4);
        clock_advance(&h->rig->vm->clock, 9 * MS);
        clock_run_due(&h->rig->vm->clock);
        assert_int_equal(take_all(h, ioapic ? TIMER_VECTOR : 0x20, NULL), 10);
        /* Nothing waited here; and OUT is low at the end. */
        pit_start(h, 3, ioapic ? TIMER_VECTOR : 0x20);
        clock_advance(&h->rig->vm->clock, 10 * MS + 3 * MS / 4);
        clock_run_due(&h->rig->vm->clock);
        assert_int_equal(take_all(h, ioapic ? TIMER_VECTOR : 0x20, NULL), 10);
        run_ns(h, MS / 2);
        assert_int_equal(take_all(h, ioapic ? TIMER_VECTOR : 0x20, NULL), 1);
    }
}

static void test_pit_ioapic(void **state)
{
    struct harness *h = *state;
    for (unsigned mode = 2; mode <= 3; mode++) {
        by_ioapic(h, IOAPIC_GSI0);
        pit_start(h, mode, TIMER_VECTOR);
        run_ns(h, 10 * MS + 3 * MS / 4);
        assert_int_equal(take_all(h, TIMER_VECTOR, NULL), 10);
        run_ns(h, MS);
        assert_int_equal(take_all(h, TIMER_VECTOR, NULL), 1);
    }
}

/* Half of the time in time, half of the time not, and masked for a moment. */
static void test_pit_sum(void **state)
{
    struct harness *h = *state;
    unsigned taken = 0;
    pic_setup(h, 1);
    pit_set(h, 2, PIT_MS);
    for (unsigned i = 0; i < 1000; i++) {
        run_ns(h, 700000 + i * 7919 % 600000);
        if (i % 7 == 0) {
            out8(h, 0x21, 1);
            out8(h, 0x21, 0);
        }
        if (i / 50 % 2 || i % 3 == 0)
            taken += take_all(h, 0x20, NULL);
    }
    uint64_t ms = clock_now_ns(&h->rig->vm->clock) / MS;
    assert_in_range(taken, ms - 1, ms + 1);
}

static void test_pit_forgets(void **state)
{
    struct harness *h = *state;
    pic_setup(h, 1);
    pit_start(h, 2, 0x20);
    run_ns(h, 10 * MS + MS / 4);
    pit_set(h, 2, 2 * PIT_MS); /* a request stands; that is all */
    assert_int_equal(take_all(h, 0x20, NULL), 1);
    run_ns(h, 10 * MS + MS / 4);
    out8(h, 0x43, 0); /* latching changes nothing */
    out8(h, 0x43, 0xd2);
    in8(h, 0x40);
    assert_int_equal(take_all(h, 0x20, NULL), 5);
    run_ns(h, 9 * MS);
    pic_setup(h, 1);
    assert_int_equal(take_all(h, 0x20, NULL), 0);
    run_ns(h, 2 * MS);
    assert_int_equal(take_all(h, 0x20, NULL), 1);
    run_ns(h, 9 * MS);
    devices_reset(h->rig->vm);
    pic_setup(h, 1);
    assert_int_equal(take_all(h, 0x20, NULL), 0);
}

/* What comes while the input is masked is not owed, what was owed before is for a while. */
static void test_pit_masked(void **state)
{
    struct harness *h = *state;
    pic_setup(h, 1);
    pit_start(h, 2, 0x20);
    run_ns(h, 5 * MS + MS / 4);
    out8(h, 0x21, 1);
    run_ns(h, 100 * MS);
    out8(h, 0x21, 0);
    assert_in_range(take_all(h, 0x20, NULL), 5, 6);
    run_ns(h, 5 * MS);
    out8(h, 0x21, 1);
    run_ns(h, 2000 * MS);
    out8(h, 0x21, 0);
    assert_int_equal(take_all(h, 0x20, NULL), 1); /* the latched one */
    ioapic_set_entry(h, IOAPIC_GSI0, 0x10000 | TIMER_VECTOR);
    run_ns(h, 100 * MS);
    by_ioapic(h, IOAPIC_GSI0);
    assert_int_equal(take_all(h, TIMER_VECTOR, NULL), 0);
    run_ns(h, 10 * MS);
    assert_in_range(take_all(h, TIMER_VECTOR, NULL), 9, 11);
}

static void test_pit_bounded(void **state)
{
    struct harness *h = *state;
    pic_setup(h, 1);
    pit_start(h, 2, 0x20);
    clock_advance(&h->rig->vm->clock, 3600 * 1000 * MS);
    clock_run_due(&h->rig->vm->clock);
    assert_in_range(take_all(h, 0x20, NULL), 5000, 5002);
    pit_set(h, 2, 60); /* 20 kHz */
    run_ns(h, 10 * MS);
    assert_int_equal(take_all(h, 0x20, NULL), 1);
}

/* Without anybody who acknowledges, INT falls and rises: the 8259 through a LINT0 of fixed mode. */
static void test_pit_lint0_fixed(void **state)
{
    struct harness *h = *state;
    pic_setup(h, 1);
    apic_put(h, 0xf0, 0x1ff);
    apic_put(h, 0x350, TIMER_VECTOR);
    pit_set(h, 2, PIT_MS);
    for (unsigned i = 0; i < 10; i++) {
        run_ns(h, MS);
        assert_in_range(take_all(h, TIMER_VECTOR, NULL), i > 0, 1);
    }
    apic_put(h, 0x350, 0x700); /* and none of them comes again */
    assert_in_range(take_all(h, 0x20, NULL), 0, 1);
}

/* ---- the others ---- */

static uint8_t rtc_get(struct harness *h, unsigned index)
{
    out8(h, 0x70, index);
    return in8(h, 0x71);
}
static void rtc_put(struct harness *h, unsigned index, unsigned value)
{
    out8(h, 0x70, index);
    out8(h, 0x71, value);
}
static void rtc_served(struct harness *h)
{
    assert_int_equal(rtc_get(h, 0x0c) & 0xc0, 0xc0);
}

static void test_rtc(void **state)
{
    struct harness *h = *state;
    pic_setup(h, 1);
    rtc_put(h, 0x0b, 0x42); /* 1024 Hz */
    rtc_get(h, 0x0c);
    run_ns(h, 1000 * MS);
    assert_in_range(take_all(h, 0x28 + 0, rtc_served), 1023, 1025);
    assert_int_equal(rtc_get(h, 0x0c), 0);
    clock_advance(&h->rig->vm->clock, 1000 * MS);
    clock_run_due(&h->rig->vm->clock);
    assert_in_range(take_all(h, 0x28, rtc_served), 1023, 1025);
    /* Another rate, or none: forgotten. */
    run_ns(h, 100 * MS);
    rtc_put(h, 0x0a, 0x27);
    assert_int_equal(take_all(h, 0x28, rtc_served), 1);
    run_ns(h, 100 * MS);
    rtc_put(h, 0x0b, 0x02);
    rtc_put(h, 0x0b, 0x42);
    rtc_get(h, 0x0c);
    assert_int_equal(take_all(h, 0x28, rtc_served), 0);
    /* Who polls sees a flag once. */
    out8(h, 0xa1, 1);
    run_ns(h, 100 * MS);
    assert_int_equal(rtc_get(h, 0x0c) & 0x40, 0x40);
    assert_int_equal(rtc_get(h, 0x0c), 0);
}

static void hpet_put(struct harness *h, unsigned reg, uint64_t v)
{
    bus_write(&h->rig->vm->mem, HPET_BASE + reg, v, 8);
}
/* Timer 0, every millisecond. */
static void hpet_start(struct harness *h, unsigned config, unsigned general)
{
    hpet_put(h, 0x10, 0);
    hpet_put(h, 0xf0, 0);
    hpet_put(h, 0x100, config | 0x4c);
    hpet_put(h, 0x108, 100000);
    hpet_put(h, 0x10, general);
}

static void test_hpet_legacy(void **state)
{
    struct harness *h = *state;
    for (unsigned ioapic = 0; ioapic < 2; ioapic++) {
        unsigned vector = ioapic ? TIMER_VECTOR : 0x20;
        ioapic ? by_ioapic(h, IOAPIC_GSI0) : pic_setup(h, 1);
        hpet_start(h, 0, 3);
        run_ns(h, 10 * MS + MS / 2);
        assert_int_equal(take_all(h, vector, NULL), 10);
        clock_advance(&h->rig->vm->clock, 10 * MS);
        clock_run_due(&h->rig->vm->clock);
        assert_int_equal(take_all(h, vector, NULL), 10);
        run_ns(h, 10 * MS);
        hpet_start(h, 0, 3);
        assert_in_range(take_all(h, vector, NULL), 0, 1);
    }
}

static void hpet_served(struct harness *h)
{
    hpet_put(h, 0x20, 1);
}

static void test_hpet_level(void **state)
{
    struct harness *h = *state;
    by_ioapic(h, 20);
    ioapic_set_entry(h, 20, 0x8000 | TIMER_VECTOR);
    hpet_start(h, 2 | 20 << 9, 1);
    run_ns(h, 10 * MS + MS / 2);
    assert_int_equal(take_all(h, TIMER_VECTOR, hpet_served), 10);
    run_ns(h, MS);
    assert_int_equal(take_all(h, TIMER_VECTOR, hpet_served), 1);
    ioapic_set_entry(h, 20, TIMER_VECTOR); /* as edges */
    hpet_start(h, 20 << 9, 1);
    run_ns(h, 10 * MS + MS / 2);
    assert_int_equal(take_all(h, TIMER_VECTOR, NULL), 10);
}

static void test_apic_timer(void **state)
{
    struct harness *h = *state;
    apic_put(h, 0xf0, 0x1ff);
    apic_put(h, 0x320, 0x20000 | TIMER_VECTOR);
    apic_put(h, 0x3e0, 0xb);
    apic_put(h, 0x380, MS);
    run_ns(h, 10 * MS + MS / 2);
    assert_int_equal(take_all(h, TIMER_VECTOR, NULL), 10);
    clock_advance(&h->rig->vm->clock, 10 * MS);
    clock_run_due(&h->rig->vm->clock);
    assert_int_equal(take_all(h, TIMER_VECTOR, NULL), 10);
    run_ns(h, 10 * MS);
    apic_put(h, 0x380, MS);
    assert_int_equal(take_all(h, TIMER_VECTOR, NULL), 1);
    run_ns(h, 10 * MS);
    apic_put(h, 0x320, 0x30000 | TIMER_VECTOR);
    apic_put(h, 0x320, 0x20000 | TIMER_VECTOR);
    assert_int_equal(take_all(h, TIMER_VECTOR, NULL), 1);
    apic_put(h, 0x320, TIMER_VECTOR); /* one-shot: nothing to make good */
    apic_put(h, 0x380, MS);
    clock_advance(&h->rig->vm->clock, 10 * MS);
    clock_run_due(&h->rig->vm->clock);
    assert_int_equal(take_all(h, TIMER_VECTOR, NULL), 1);
}

/* ---- reading the time ---- */

static uint64_t read_time(struct harness *h, unsigned how)
{
    switch (how) {
    case 0:
        return in8(h, 0x42);
    case 1:
        return in8(h, 0x61);
    case 2:
        return read32(h, HPET_BASE + 0xf0);
    case 3:
        return apic_get(h, 0x390);
    default:
        return rtc_get(h, 0);
    }
}

/* With the host's clock and nobody who fires timers, whoever reads the time does. */
static void test_reads(void **state)
{
    struct harness *h = *state;
    struct clock *clock = &h->rig->vm->clock;
    const struct timespec t = {.tv_nsec = 5 * MS};
    pic_setup(h, 1);
    for (unsigned how = 0; how < 5; how++) {
        pit_start(h, 2, 0x20);
        clock_advance(clock, 5 * MS + MS / 4); /* by hand: timers as well */
        read_time(h, how);
        assert_int_equal(take_all(h, 0x20, NULL), 0);
        clock_run_due(clock);
        assert_int_equal(take_all(h, 0x20, NULL), 5);
    }
    clock->mode = CLOCK_HOST;
    clock_start(clock);
    for (unsigned how = 0; how < 5; how++) {
        pit_start(h, 2, 0x20);
        nanosleep(&t, NULL);
        assert_int_equal(h->intr, 0);
        read_time(h, how);
        assert_in_range(take_all(h, 0x20, NULL), 4, 5000);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_pit_pic),
        TEST(test_pit_dropped_request),
        TEST(test_pit_one_by_one),
        TEST(test_pit_late),
        TEST(test_pit_ioapic),
        TEST(test_pit_sum),
        TEST(test_pit_forgets),
        TEST(test_pit_masked),
        TEST(test_pit_bounded),
        TEST(test_pit_lint0_fixed),
        TEST(test_rtc),
        TEST(test_hpet_legacy),
        TEST(test_hpet_level),
        TEST(test_apic_timer),
        TEST(test_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
