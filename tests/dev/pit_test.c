/* SPDX-License-Identifier: MIT */
/* pit_test.c - the 8254 against its data sheet: all modes tick by tick, latches, BCD, port 61h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "harness.h"

#define PIT_HZ 1193182ull

/* Goes to the middle of input clock tick n. */
static void go_to(struct harness *h, uint64_t tick)
{
    uint64_t now = clock_now_ns(&h->rig->vm->clock);
    uint64_t at = (tick * 1000000000ull + PIT_HZ / 2 * 1000000000ull / PIT_HZ) / PIT_HZ;
    assert_true(at >= now);
    rig_run(h->rig, at - now);
}
static void program(struct harness *h, unsigned counter, unsigned mode, unsigned count)
{
    out8(h, 0x43, counter << 6 | 0x30 | mode << 1);
    out8(h, 0x40 + counter, count & 0xff);
    out8(h, 0x40 + counter, count >> 8);
}
static uint8_t status(struct harness *h, unsigned counter)
{
    out8(h, 0x43, 0xe0 | 2u << counter);
    return in8(h, 0x40 + counter);
}
static unsigned out_pin(struct harness *h, unsigned counter)
{
    return status(h, counter) >> 7;
}
static unsigned count(struct harness *h, unsigned counter)
{
    out8(h, 0x43, counter << 6);
    unsigned low = in8(h, 0x40 + counter);
    return low | in8(h, 0x40 + counter) << 8;
}

/* OUT of counter 2 at each tick after the count was written at tick 10. */
static void expect_out(struct harness *h, unsigned counter, uint64_t first, const char *levels)
{
    for (unsigned i = 0; levels[i]; i++) {
        go_to(h, first + i);
        if (out_pin(h, counter) != (unsigned)(levels[i] - '0'))
            fail_msg("tick %u of %s: OUT is %u", i, levels, out_pin(h, counter));
    }
}

static void test_mode0(void **state)
{
    struct harness *h = *state;
    go_to(h, 10);
    program(h, 1, 0, 4);
    /* N + 1 clocks after the write */
    expect_out(h, 1, 10, "0000011111");
    program(h, 1, 0, 4);
    go_to(h, 23);
    assert_int_equal(count(h, 1), 1);
    go_to(h, 25);
    assert_int_equal(count(h, 1), 0xffff); /* goes on after zero */
    /* A new count drops OUT and starts again; its first byte stops the old one. */
    out8(h, 0x41, 3);
    assert_int_equal(out_pin(h, 1), 0);
    go_to(h, 40);
    assert_int_equal(out_pin(h, 1), 0);
    out8(h, 0x41, 0);
    expect_out(h, 1, 40, "00001");
}

static void test_mode0_gate(void **state)
{
    struct harness *h = *state;
    go_to(h, 10);
    out8(h, 0x61, 1);
    program(h, 2, 0, 6);
    go_to(h, 13); /* loaded at 11, two counted */
    assert_int_equal(count(h, 2), 4);
    out8(h, 0x61, 0);
    go_to(h, 50);
    assert_int_equal(count(h, 2), 4);
    out8(h, 0x61, 1);
    expect_out(h, 2, 50, "00001");
}

static void test_mode1(void **state)
{
    struct harness *h = *state;
    go_to(h, 10);
    out8(h, 0x61, 0);
    program(h, 2, 1, 3);
    expect_out(h, 2, 10, "111");
    out8(h, 0x61, 1); /* trigger at 12: low from 13 for 3 clocks */
    expect_out(h, 2, 12, "10001111");
    out8(h, 0x61, 0);
    out8(h, 0x61, 1); /* trigger at 19, again at 21: stretched */
    expect_out(h, 2, 20, "00");
    out8(h, 0x61, 0);
    out8(h, 0x61, 1);
    expect_out(h, 2, 21, "000011");
}

static void test_mode2(void **state)
{
    struct harness *h = *state;
    go_to(h, 10);
    program(h, 1, 2, 4);
    /* loaded at 11; low while the count is 1 */
    expect_out(h, 1, 10, "1111011101110");
    assert_int_equal(count(h, 1), 1);
    /* A new count is taken at the end of the cycle, at 23. */
    program(h, 1, 2, 4);
    go_to(h, 24); /* loaded at 23 */
    out8(h, 0x41, 3);
    out8(h, 0x41, 0);
    expect_out(h, 1, 24, "11011011");
}

static void test_mode2_gate(void **state)
{
    struct harness *h = *state;
    go_to(h, 10);
    out8(h, 0x61, 1);
    program(h, 2, 2, 3);
    go_to(h, 13);
    assert_int_equal(out_pin(h, 2), 0);
    out8(h, 0x61, 0);
    assert_int_equal(out_pin(h, 2), 1); /* at once */
    go_to(h, 20);
    assert_int_equal(out_pin(h, 2), 1);
    out8(h, 0x61, 1); /* reloads at 21 */
    expect_out(h, 2, 20, "1110110");
}

static void test_mode3(void **state)
{
    struct harness *h = *state;
    go_to(h, 10);
    program(h, 1, 3, 4);
    expect_out(h, 1, 10, "11100110011");
    program(h, 1, 3, 5); /* odd: high for 3, low for 2 */
    expect_out(h, 1, 20, "1111001110011");
    program(h, 1, 3, 8);
    go_to(h, 34); /* loaded at 33, two clocks of the high half to come */
    assert_int_equal(count(h, 1), 6);
    out8(h, 0x41, 4);
    out8(h, 0x41, 0);
    /* the half ends at 37, then the new count's low half */
    expect_out(h, 1, 34, "1110011001");
}

static void test_mode4(void **state)
{
    struct harness *h = *state;
    go_to(h, 10);
    program(h, 1, 4, 3);
    expect_out(h, 1, 10, "111101111");
    program(h, 1, 4, 3);
    expect_out(h, 1, 18, "11110111");
}

static void test_mode5(void **state)
{
    struct harness *h = *state;
    go_to(h, 10);
    out8(h, 0x61, 0);
    program(h, 2, 5, 3);
    go_to(h, 20);
    assert_int_equal(out_pin(h, 2), 1);
    out8(h, 0x61, 1);
    expect_out(h, 2, 20, "11110111");
    out8(h, 0x61, 0);
    assert_int_equal(out_pin(h, 2), 1);
}

static void test_bcd(void **state)
{
    struct harness *h = *state;
    go_to(h, 10);
    out8(h, 0x43, 0x71); /* counter 1, both bytes, mode 0, BCD */
    out8(h, 0x41, 0x00);
    out8(h, 0x41, 0x10); /* 1000 */
    go_to(h, 11 + 1);
    assert_int_equal(count(h, 1), 0x0999);
    go_to(h, 11 + 999);
    assert_int_equal(count(h, 1), 0x0001);
    go_to(h, 11 + 1001);
    assert_int_equal(count(h, 1), 0x9999);
}

static void test_latch_and_read_back(void **state)
{
    struct harness *h = *state;
    go_to(h, 10);
    program(h, 1, 2, 0x1000);
    go_to(h, 21);
    out8(h, 0x43, 0x40);
    go_to(h, 500);
    out8(h, 0x43, 0x40); /* ignored: not yet read */
    assert_int_equal(in8(h, 0x41), 0xf6);
    assert_int_equal(in8(h, 0x41), 0x0f);
    out8(h, 0x43, 0xc4); /* status and count of counter 1: the status comes first */
    uint8_t s = in8(h, 0x41);
    assert_int_equal(s, 0x80 | 0x30 | 2 << 1);
    unsigned low = in8(h, 0x41);
    assert_int_equal(low | in8(h, 0x41) << 8, 0x1000 - (500 - 11));
    /* Null count: until the count is in the counting element. */
    program(h, 1, 0, 100);
    assert_int_equal(status(h, 1) & 0x40, 0x40);
    go_to(h, 502);
    assert_int_equal(status(h, 1) & 0x40, 0);
    /* One byte only */
    out8(h, 0x43, 0x50);
    out8(h, 0x41, 0x80);
    go_to(h, 510);
    assert_int_equal(in8(h, 0x41), 0x80 - (510 - 503));
    out8(h, 0x43, 0x60);
    out8(h, 0x41, 0x02);
    go_to(h, 520);
    assert_int_equal(in8(h, 0x41), 0x01);
}

static void test_irq0_rate(void **state)
{
    struct harness *h = *state;
    program(h, 0, 2, 1193); /* about 1 kHz */
    rig_run(h->rig, 1000000000);
    assert_in_range(h->rig->edges[0], 999, 1001);
    program(h, 0, 3, 0); /* 18.2 Hz */
    unsigned before = h->rig->edges[0];
    rig_run(h->rig, 10000000000ull);
    assert_in_range(h->rig->edges[0] - before, 181, 183);
}

static void test_irq0_exact(void **state)
{
    struct harness *h = *state;
    go_to(h, 10);
    program(h, 0, 0, 100);
    assert_int_equal(h->rig->level[0], 0);
    uint64_t due = (111ull * 1000000000 + PIT_HZ - 1) / PIT_HZ; /* first ns of tick 111 */
    rig_run(h->rig, due - 1 - clock_now_ns(&h->rig->vm->clock));
    assert_int_equal(h->rig->level[0], 0);
    rig_run(h->rig, 1);
    assert_int_equal(h->rig->level[0], 1);
}

static void test_late_timer_keeps_edges(void **state)
{
    struct harness *h = *state;
    program(h, 0, 2, 1193);
    rig_run(h->rig, 5000000);
    unsigned before = h->rig->edges[0];
    clock_advance(&h->rig->vm->clock, 50000000); /* the host was away */
    clock_run_due(&h->rig->vm->clock);
    assert_int_equal(h->rig->edges[0], before + 1);
}

/* A strobe lasts one tick of the input clock: nobody fires timers that exactly. */
static void test_late_strobe(void **state)
{
    struct harness *h = *state;
    program(h, 0, 4, 1193);
    for (unsigned i = 0; i < 3; i++) {
        unsigned before = h->rig->edges[0];
        clock_advance(&h->rig->vm->clock, 1100000);
        clock_run_due(&h->rig->vm->clock);
        assert_int_equal(h->rig->edges[0], before + 1);
        run_ns(h, 10000000);
        assert_int_equal(h->rig->edges[0], before + 1);
        out8(h, 0x40, 1193 & 255);
        out8(h, 0x40, 1193 >> 8);
    }
}

static void test_port61(void **state)
{
    struct harness *h = *state;
    out8(h, 0x61, 3);
    assert_int_equal(in8(h, 0x61) & 0x0f, 3);
    program(h, 2, 0, 1000);
    assert_int_equal(in8(h, 0x61) & 0x20, 0);
    rig_run(h->rig, 1000000);
    assert_int_equal(in8(h, 0x61) & 0x20, 0x20);
    /* The refresh bit toggles about every 15 us. */
    unsigned toggles = 0;
    uint8_t last = in8(h, 0x61) & 0x10;
    for (unsigned i = 0; i < 1000; i++) {
        rig_run(h->rig, 1000);
        toggles += (in8(h, 0x61) & 0x10) != last;
        last = in8(h, 0x61) & 0x10;
    }
    assert_in_range(toggles, 65, 67);
}

static void test_irq_disable(void **state)
{
    struct harness *h = *state;
    program(h, 0, 2, 1193);
    pit_irq_disable(h->pit, true);
    rig_run(h->rig, 100000000);
    assert_int_equal(h->rig->level[0], 0);
    unsigned before = h->rig->edges[0];
    pit_irq_disable(h->pit, false);
    rig_run(h->rig, 10000000);
    assert_in_range(h->rig->edges[0] - before, 9, 11);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, harness_setup, harness_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_mode0),
        TEST(test_mode0_gate),
        TEST(test_mode1),
        TEST(test_mode2),
        TEST(test_mode2_gate),
        TEST(test_mode3),
        TEST(test_mode4),
        TEST(test_mode5),
        TEST(test_bcd),
        TEST(test_latch_and_read_back),
        TEST(test_irq0_rate),
        TEST(test_irq0_exact),
        TEST(test_late_timer_keeps_edges),
        TEST(test_late_strobe),
        TEST(test_port61),
        TEST(test_irq_disable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
