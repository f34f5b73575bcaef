/* SPDX-License-Identifier: MIT */
/* pic_test.c - the 8259 pair against its data sheet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "harness.h"

static void irq(struct harness *h, unsigned n, int level)
{
    pic_input(h->pic, n, level);
}
static int ack(struct harness *h)
{
    return pic_acknowledge(h->pic);
}
static uint8_t isr(struct harness *h, unsigned port)
{
    out8(h, port, 0x0b);
    return in8(h, port);
}
static uint8_t irr(struct harness *h, unsigned port)
{
    out8(h, port, 0x0a);
    return in8(h, port);
}

static void test_vectors_and_eoi(void **state)
{
    struct harness *h = *state;
    pic_setup(h, 1);
    assert_int_equal(h->intr, 0);
    irq(h, 3, 1);
    assert_int_equal(h->intr, 1);
    assert_int_equal(irr(h, 0x20), 8);
    assert_int_equal(apic_acknowledge(h->apic), 0x23);
    assert_int_equal(h->intr, 0);
    assert_int_equal(isr(h, 0x20), 8);
    assert_int_equal(irr(h, 0x20), 0);
    /* Edge: the line still up makes nothing new. */
    out8(h, 0x20, 0x20);
    assert_int_equal(isr(h, 0x20), 0);
    assert_int_equal(ack(h), -1);
    irq(h, 3, 0);
    irq(h, 3, 1);
    assert_int_equal(ack(h), 0x23);
}

static void test_priority(void **state)
{
    struct harness *h = *state;
    pic_setup(h, 1);
    irq(h, 5, 1);
    irq(h, 4, 1);
    assert_int_equal(ack(h), 0x24);
    assert_int_equal(h->intr, 0); /* 5 is lower than 4 in service */
    irq(h, 1, 1);
    assert_int_equal(h->intr, 1);
    assert_int_equal(ack(h), 0x21);
    out8(h, 0x20, 0x20);
    assert_int_equal(isr(h, 0x20), 0x10);
    assert_int_equal(ack(h), -1);
    out8(h, 0x20, 0x64); /* specific EOI 4 */
    assert_int_equal(ack(h), 0x25);
}

static void test_mask(void **state)
{
    struct harness *h = *state;
    pic_setup(h, 1);
    out8(h, 0x21, 0x10);
    irq(h, 4, 1);
    assert_int_equal(h->intr, 0);
    assert_int_equal(in8(h, 0x21), 0x10);
    out8(h, 0x21, 0);
    assert_int_equal(h->intr, 1);
    assert_int_equal(ack(h), 0x24);
}

static void test_cascade(void **state)
{
    struct harness *h = *state;
    pic_setup(h, 1);
    irq(h, 12, 1);
    irq(h, 3, 1);
    assert_int_equal(ack(h), 0x2c); /* IR2 is above IR3 */
    assert_int_equal(isr(h, 0x20), 4);
    assert_int_equal(isr(h, 0xa0), 0x10);
    /* A higher one of the same slave waits without the special fully nested mode. */
    irq(h, 8, 1);
    assert_int_equal(h->intr, 0);
    out8(h, 0xa0, 0x20);
    out8(h, 0x20, 0x20);
    assert_int_equal(ack(h), 0x28);
}

static void test_special_fully_nested(void **state)
{
    struct harness *h = *state;
    pic_setup(h, 0x11);
    irq(h, 12, 1);
    assert_int_equal(ack(h), 0x2c);
    irq(h, 8, 1);
    assert_int_equal(ack(h), 0x28);
    irq(h, 13, 1);
    assert_int_equal(ack(h), -1);
}

static void test_aeoi_and_rotation(void **state)
{
    struct harness *h = *state;
    pic_setup(h, 3);
    irq(h, 5, 1);
    assert_int_equal(ack(h), 0x25);
    assert_int_equal(isr(h, 0x20), 0);
    out8(h, 0x20, 0x80); /* rotate in AEOI */
    irq(h, 0, 1);
    assert_int_equal(ack(h), 0x20); /* 0 becomes the lowest */
    irq(h, 0, 0);
    irq(h, 0, 1);
    irq(h, 7, 1);
    assert_int_equal(ack(h), 0x27);
    out8(h, 0x20, 0x00);
    pic_setup(h, 1);
    irq(h, 0, 0);
    irq(h, 0, 1);
    irq(h, 6, 1);
    out8(h, 0x20, 0xc4); /* 4 is the lowest: 5, 6, 7, 0, ... */
    assert_int_equal(ack(h), 0x26);
    out8(h, 0x20, 0xa0); /* rotate on non-specific EOI: 6 is the lowest */
    irq(h, 6, 0);
    irq(h, 6, 1);
    assert_int_equal(ack(h), 0x20);
    out8(h, 0x20, 0xe0); /* specific EOI of 0, which becomes the lowest */
    assert_int_equal(isr(h, 0x20), 0);
    assert_int_equal(ack(h), 0x26);
}

static void test_special_mask(void **state)
{
    struct harness *h = *state;
    pic_setup(h, 1);
    irq(h, 1, 1);
    assert_int_equal(ack(h), 0x21);
    irq(h, 4, 1);
    assert_int_equal(h->intr, 0);
    out8(h, 0x21, 2);
    assert_int_equal(h->intr, 0);
    out8(h, 0x20, 0x68); /* special mask mode: 1 masked does not block */
    assert_int_equal(h->intr, 1);
    assert_int_equal(ack(h), 0x24);
    out8(h, 0x20, 0x20); /* not 1, that is masked */
    assert_int_equal(isr(h, 0x20), 2);
    out8(h, 0x20, 0x48);
    out8(h, 0x20, 0x20);
    assert_int_equal(isr(h, 0x20), 0);
}

static void test_level(void **state)
{
    struct harness *h = *state;
    pic_setup(h, 1);
    out8(h, 0x4d0, 0xff);
    out8(h, 0x4d1, 0xff);
    assert_int_equal(in8(h, 0x4d0), 0xf8); /* 0, 1, 2 stay edges */
    assert_int_equal(in8(h, 0x4d1), 0xde);
    irq(h, 11, 1);
    assert_int_equal(ack(h), 0x2b);
    out8(h, 0xa0, 0x20);
    out8(h, 0x20, 0x20);
    assert_int_equal(ack(h), 0x2b); /* still asserted */
    irq(h, 11, 0);
    out8(h, 0xa0, 0x20);
    out8(h, 0x20, 0x20);
    assert_int_equal(ack(h), -1);
}

static void test_dropped_request(void **state)
{
    struct harness *h = *state;
    pic_setup(h, 1);
    irq(h, 6, 1);
    irq(h, 6, 0);
    assert_int_equal(h->intr, 0);
    assert_int_equal(irr(h, 0x20), 0);
}

static void test_poll(void **state)
{
    struct harness *h = *state;
    pic_setup(h, 1);
    out8(h, 0x20, 0x0c);
    assert_int_equal(in8(h, 0x20), 0);
    irq(h, 6, 1);
    out8(h, 0x20, 0x0c);
    assert_int_equal(in8(h, 0x20), 0x86);
    assert_int_equal(isr(h, 0x20), 0x40);
    assert_int_equal(h->intr, 0);
}

static void test_init_clears(void **state)
{
    struct harness *h = *state;
    pic_setup(h, 1);
    irq(h, 3, 1);
    ack(h);
    out8(h, 0x21, 0xfb);
    out8(h, 0x20, 0x11);
    out8(h, 0x21, 0x40);
    out8(h, 0x21, 4);
    out8(h, 0x21, 1);
    assert_int_equal(in8(h, 0x21), 0);
    assert_int_equal(isr(h, 0x20), 0);
    assert_int_equal(irr(h, 0x20), 0); /* the edge has to come again */
    irq(h, 3, 0);
    irq(h, 3, 1);
    assert_int_equal(ack(h), 0x43);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, harness_setup, harness_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_vectors_and_eoi),
        TEST(test_priority),
        TEST(test_mask),
        TEST(test_cascade),
        TEST(test_special_fully_nested),
        TEST(test_aeoi_and_rotation),
        TEST(test_special_mask),
        TEST(test_level),
        TEST(test_dropped_request),
        TEST(test_poll),
        TEST(test_init_clears),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
