/* SPDX-License-Identifier: MIT */
/* rtc_test.c - the MC146818: time keeping, formats, UIP, the three interrupts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "harness.h"

#define SECOND 1000000000ull

static uint8_t get(struct harness *h, unsigned reg)
{
    out8(h, 0x70, reg);
    return in8(h, 0x71);
}
static void set(struct harness *h, unsigned reg, unsigned v)
{
    out8(h, 0x70, reg);
    out8(h, 0x71, v);
}
/* century year month day hour minute second, as the registers show them */
static void expect_time(struct harness *h, const uint8_t t[7])
{
    static const uint8_t regs[7] = {0x32, 9, 8, 7, 4, 2, 0};
    for (unsigned i = 0; i < 7; i++)
        assert_int_equal(get(h, regs[i]), t[i]);
}

static void test_defaults(void **state)
{
    struct harness *h = *state;
    assert_int_equal(get(h, 0x0a) & 0x7f, 0x26);
    assert_int_equal(get(h, 0x0b), 0x02);
    assert_int_equal(get(h, 0x0d), 0x80);
    expect_time(h, (uint8_t[]){0x20, 0x24, 0x02, 0x29, 0x23, 0x59, 0x59});
    assert_int_equal(get(h, 6), 5); /* Thursday; Sunday is 1 */
}

static void test_counts(void **state)
{
    struct harness *h = *state;
    rig_run(h->rig, SECOND - 1);
    expect_time(h, (uint8_t[]){0x20, 0x24, 0x02, 0x29, 0x23, 0x59, 0x59});
    rig_run(h->rig, 1);
    expect_time(h, (uint8_t[]){0x20, 0x24, 0x03, 0x01, 0x00, 0x00, 0x00});
    assert_int_equal(get(h, 6), 6);
    rig_run(h->rig, 365 * 86400 * SECOND);
    expect_time(h, (uint8_t[]){0x20, 0x25, 0x03, 0x01, 0x00, 0x00, 0x00});
}

static void test_formats(void **state)
{
    struct harness *h = *state;
    set(h, 0x0b, 0x06); /* binary */
    expect_time(h, (uint8_t[]){20, 24, 2, 29, 23, 59, 59});
    set(h, 0x0b, 0x04); /* and 12 hours */
    assert_int_equal(get(h, 4), 0x80 | 11);
    set(h, 0x0b, 0x00);
    assert_int_equal(get(h, 4), 0x80 | 0x11);
    rig_run(h->rig, SECOND); /* midnight */
    assert_int_equal(get(h, 4), 0x12);
    set(h, 4, 0x80 | 0x12); /* noon */
    set(h, 0x0b, 0x02);
    assert_int_equal(get(h, 4), 0x12);
}

static void test_set(void **state)
{
    struct harness *h = *state;
    rig_run(h->rig, SECOND / 4);
    set(h, 0x0b, 0x82); /* SET: time stands */
    rig_run(h->rig, 10 * SECOND);
    assert_int_equal(get(h, 0), 0x59);
    const uint8_t regs[] = {0, 2, 4, 6, 7, 8, 9, 0x32};
    const uint8_t values[] = {0x30, 0x15, 0x08, 0x01, 0x31, 0x12, 0x99, 0x19};
    for (unsigned i = 0; i < 8; i++)
        set(h, regs[i], values[i]);
    set(h, 0x0b, 0x02);
    expect_time(h, (uint8_t[]){0x19, 0x99, 0x12, 0x31, 0x08, 0x15, 0x30});
    assert_int_equal(get(h, 6), 1); /* the guest's own weekday */
    /* The seconds keep their phase: the next one is 3/4 of a second away. */
    rig_run(h->rig, SECOND * 3 / 4 - 1);
    assert_int_equal(get(h, 0), 0x30);
    rig_run(h->rig, 1);
    assert_int_equal(get(h, 0), 0x31);
    rig_run(h->rig, 86400 * SECOND);
    expect_time(h, (uint8_t[]){0x20, 0x00, 0x01, 0x01, 0x08, 0x15, 0x31});
    assert_int_equal(get(h, 6), 2);
}

static void test_divider_reset(void **state)
{
    struct harness *h = *state;
    rig_run(h->rig, SECOND / 10);
    set(h, 0x0a, 0x70);
    rig_run(h->rig, 5 * SECOND);
    assert_int_equal(get(h, 0), 0x59);
    set(h, 0, 0x10);
    set(h, 0x0a, 0x26); /* the first update half a second later */
    rig_run(h->rig, SECOND / 2 - 1);
    assert_int_equal(get(h, 0), 0x10);
    rig_run(h->rig, 1);
    assert_int_equal(get(h, 0), 0x11);
}

static void test_uip(void **state)
{
    struct harness *h = *state;
    assert_int_equal(get(h, 0x0a) & 0x80, 0);
    rig_run(h->rig, SECOND - 2300000);
    assert_int_equal(get(h, 0x0a) & 0x80, 0);
    rig_run(h->rig, 100000);
    assert_int_equal(get(h, 0x0a) & 0x80, 0x80);
    rig_run(h->rig, 2200000);
    assert_int_equal(get(h, 0x0a) & 0x80, 0);
    set(h, 0x0b, 0x82);
    rig_run(h->rig, SECOND - 1000000);
    assert_int_equal(get(h, 0x0a) & 0x80, 0);
}

static void test_update_interrupt(void **state)
{
    struct harness *h = *state;
    get(h, 0x0c);
    rig_run(h->rig, 3 * SECOND);
    assert_int_equal(get(h, 0x0c) & 0x90, 0x10); /* UF without the interrupt */
    set(h, 0x0b, 0x12);
    rig_run(h->rig, SECOND - 1);
    assert_int_equal(h->rig->level[8], 0);
    rig_run(h->rig, 1);
    assert_int_equal(h->rig->level[8], 1);
    rig_run(h->rig, 3 * SECOND);
    assert_int_equal(h->rig->edges[8], 1);
    assert_int_equal(get(h, 0x0c) & 0x90, 0x90);
    assert_int_equal(h->rig->level[8], 0);
    assert_int_equal(get(h, 0x0c), 0);
    rig_run(h->rig, SECOND);
    assert_int_equal(h->rig->edges[8], 2);
    set(h, 0x0b, 0x82); /* SET turns UIE off */
    assert_int_equal(get(h, 0x0b), 0x82);
}

static void test_periodic(void **state)
{
    struct harness *h = *state;
    get(h, 0x0c);
    set(h, 0x0a, 0x26); /* 1024 Hz */
    set(h, 0x0b, 0x42);
    for (unsigned i = 0; i < 1024; i++) {
        rig_run(h->rig, SECOND / 1024 + 1);
        if (h->rig->level[8])
            assert_int_equal(get(h, 0x0c) & 0xc0, 0xc0);
    }
    assert_in_range(h->rig->edges[8], 1023, 1025);
    set(h, 0x0a, 0x2f); /* 2 Hz */
    get(h, 0x0c);
    unsigned before = h->rig->edges[8];
    for (unsigned i = 0; i < 40; i++) {
        rig_run(h->rig, SECOND / 10);
        get(h, 0x0c);
    }
    assert_in_range(h->rig->edges[8] - before, 7, 9);
    set(h, 0x0a, 0x20);
    get(h, 0x0c);
    before = h->rig->edges[8];
    rig_run(h->rig, 5 * SECOND);
    assert_int_equal(h->rig->edges[8], before);
}

static void test_alarm(void **state)
{
    struct harness *h = *state;
    get(h, 0x0c);
    set(h, 1, 0x05);
    set(h, 3, 0x00);
    set(h, 5, 0x00);
    set(h, 0x0b, 0x22);
    rig_run(h->rig, 6 * SECOND - 1);
    assert_int_equal(h->rig->level[8], 0);
    rig_run(h->rig, 1); /* 00:00:05 */
    assert_int_equal(h->rig->level[8], 1);
    assert_int_equal(get(h, 0x0c) & 0xa0, 0xa0);
    rig_run(h->rig, 86400 * SECOND - 1);
    assert_int_equal(h->rig->level[8], 0);
    rig_run(h->rig, 1);
    assert_int_equal(h->rig->level[8], 1);
    get(h, 0x0c);
    set(h, 3, 0xc0); /* every hour and minute */
    set(h, 5, 0xff);
    unsigned before = h->rig->edges[8];
    for (unsigned i = 0; i < 300; i++) {
        rig_run(h->rig, SECOND);
        get(h, 0x0c);
    }
    assert_int_equal(h->rig->edges[8] - before, 5);
    set(h, 1, 0x7a); /* never */
    get(h, 0x0c);
    rig_run(h->rig, 86400 * SECOND);
    assert_int_equal(get(h, 0x0c) & 0x20, 0);
}

static void test_cmos(void **state)
{
    struct harness *h = *state;
    rtc_cmos_set(h->rtc, 0x3d, 0x21);
    rtc_cmos_set(h->rtc, 0x0a, 0xff);
    assert_int_equal(get(h, 0x3d), 0x21);
    assert_int_equal(get(h, 0x80 | 0x3d), 0x21); /* bit 7 is the NMI mask */
    set(h, 0x40, 0x5a);
    devices_reset(h->rig->vm);
    assert_int_equal(get(h, 0x40), 0x5a);
    assert_int_equal(rtc_cmos_get(h->rtc, 0x3d), 0x21);
    assert_int_equal(rtc_cmos_get(h->rtc, 0x32), 0x20);
    assert_int_equal(rtc_cmos_get(h->rtc, 500), 0xff);
    assert_int_equal(get(h, 0x0a) & 0x7f, 0x26);
}

static void test_base_offset(void **state)
{
    struct rig *rig = rig_new();
    rig_add(rig, &rtc_146818_class, "base=86400,base-offset=0xffffffffffffffff");
    outb(rig, 0x70, 0);
    assert_int_equal(inb(rig, 0x71), 0x59);
    outb(rig, 0x70, 7);
    assert_int_equal(inb(rig, 0x71), 0x01);
    rig_free(rig);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, harness_setup, harness_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_defaults),
        TEST(test_counts),
        TEST(test_formats),
        TEST(test_set),
        TEST(test_uip),
        TEST(test_divider_reset),
        TEST(test_update_interrupt),
        TEST(test_periodic),
        TEST(test_alarm),
        TEST(test_cmos),
        cmocka_unit_test(test_base_offset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
