/* SPDX-License-Identifier: MIT */
/* apic_test.c - local APIC and I/O APIC: priorities, EOI, pins, IPIs, timer, x2APIC, and the
 * ways in which Linux tries to get the timer interrupt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "harness.h"

enum {
    ID = 0x20,
    VERSION = 0x30,
    TPR = 0x80,
    PPR = 0xa0,
    EOI = 0xb0,
    LDR = 0xd0,
    DFR = 0xe0,
    SVR = 0xf0,
    ISR = 0x100,
    TMR = 0x180,
    IRR = 0x200,
    ESR = 0x280,
    ICR = 0x300,
    ICR2 = 0x310,
    LVTT = 0x320,
    LVT0 = 0x350,
    LVT1 = 0x360,
    LVTERR = 0x370,
    TMICT = 0x380,
    TMCCT = 0x390,
    TDCR = 0x3e0
};

static int setup(void **state)
{
    harness_setup(state);
    apic_put(*state, SVR, 0x1ff);
    return 0;
}

static void message(struct harness *h, unsigned vector, bool level)
{
    struct apic_message m = {.vector = (uint8_t)vector, .level = level};
    assert_true(apic_deliver(h->apic, &m));
}
static int ack(struct harness *h)
{
    return apic_acknowledge(h->apic);
}

static void test_reset_state(void **state)
{
    struct harness *h = harness_new();
    assert_int_equal(apic_get(h, VERSION), 0x50014);
    assert_int_equal(apic_get(h, SVR), 0xff);
    assert_int_equal(apic_get(h, DFR), 0xffffffff);
    assert_int_equal(apic_get(h, LVTT), 0x10000);
    assert_int_equal(apic_get(h, LVT0), 0x700); /* virtual wire */
    uint64_t base;
    assert_int_equal(apic_msr_read(h->apic, 0x1b, &base), 0);
    assert_int_equal(base, 0xfee00900);
    /* The 8259 works through it. */
    pic_setup(h, 1);
    pic_input(h->pic, 1, 1);
    assert_int_equal(h->intr, 1);
    assert_int_equal(ack(h), 0x21);
    assert_int_equal(h->intr, 0);
    harness_free(h);
}

static void test_priority(void **state)
{
    struct harness *h = *state;
    message(h, 0x51, false);
    message(h, 0x62, false);
    assert_int_equal(h->intr, 1);
    assert_int_equal(apic_get(h, IRR + 0x20), 1 << 17);
    assert_int_equal(ack(h), 0x62);
    assert_int_equal(apic_get(h, PPR), 0x60);
    assert_int_equal(h->intr, 0);
    message(h, 0x6f, false); /* the same class has to wait */
    assert_int_equal(h->intr, 0);
    message(h, 0x71, false);
    assert_int_equal(ack(h), 0x71);
    apic_put(h, EOI, 0);
    assert_int_equal(ack(h), -1);
    apic_put(h, EOI, 0);
    assert_int_equal(ack(h), 0x6f);
    apic_put(h, EOI, 0);
    assert_int_equal(ack(h), 0x51);
    apic_put(h, EOI, 0);
    assert_int_equal(apic_get(h, ISR + 0x20), 0);
}

static void test_tpr(void **state)
{
    struct harness *h = *state;
    apic_put(h, TPR, 0x55);
    message(h, 0x5f, false);
    assert_int_equal(h->intr, 0);
    assert_int_equal(apic_get(h, PPR), 0x55);
    assert_int_equal(apic_tpr_get(h->apic), 5);
    apic_tpr_set(h->apic, 4);
    assert_int_equal(apic_get(h, TPR), 0x40);
    assert_int_equal(h->intr, 1);
    assert_int_equal(ack(h), 0x5f);
}

static void test_software_disable(void **state)
{
    struct harness *h = *state;
    apic_put(h, LVTT, 0x40);
    apic_put(h, SVR, 0xff);
    assert_int_equal(apic_get(h, LVTT), 0x10040);
    apic_put(h, LVTT, 0x40); /* cannot be unmasked */
    assert_int_equal(apic_get(h, LVTT), 0x10040);
    struct apic_message m = {.vector = 0x40};
    apic_deliver(h->apic, &m);
    assert_int_equal(h->intr, 0);
    m.delivery = APIC_NMI;
    apic_deliver(h->apic, &m);
    assert_int_equal(h->nmis, 1);
}

static void test_destinations(void **state)
{
    struct harness *h = *state;
    struct apic_message m = {.vector = 0x40, .destination = 3};
    assert_false(apic_deliver(h->apic, &m));
    m.destination = 0xff;
    assert_true(apic_deliver(h->apic, &m));
    m = (struct apic_message){.vector = 0x41, .destination = 2, .logical = true};
    assert_false(apic_deliver(h->apic, &m));
    apic_put(h, LDR, 0x02000000);
    assert_true(apic_deliver(h->apic, &m));
    apic_put(h, DFR, 0x0fffffff); /* clusters */
    apic_put(h, LDR, 0x31000000);
    assert_false(apic_deliver(h->apic, &m));
    m.destination = 0x33;
    assert_true(apic_deliver(h->apic, &m));
    m.destination = 0x32;
    assert_false(apic_deliver(h->apic, &m));
    m = apic_msi(0xfee0300c, 0xc1a5);
    assert_int_equal(m.destination, 3);
    assert_int_equal(m.vector, 0xa5);
    assert_int_equal(m.delivery, APIC_LOWEST);
    assert_true(m.logical && m.level);
}

static void test_ipis(void **state)
{
    struct harness *h = *state;
    apic_put(h, ICR, 0x00040000 | 0x66); /* self */
    assert_int_equal(ack(h), 0x66);
    apic_put(h, EOI, 0);
    apic_put(h, ICR, 0x000c0000 | 0x66); /* all but self */
    assert_int_equal(ack(h), -1);
    apic_put(h, ICR2, 0);
    apic_put(h, ICR, 0x67); /* ID 0 */
    assert_int_equal(ack(h), 0x67);
    apic_put(h, ICR2, 1 << 24);
    apic_put(h, ICR, 0x4500); /* INIT to nobody */
    assert_int_equal(h->inits, 0);
    apic_put(h, ICR, 0x4500); /* nobody there either */
    assert_int_equal(h->inits, 0);
    apic_put(h, ICR, 0x00084400); /* NMI to all */
    assert_int_equal(h->nmis, 1);
    apic_put(h, ICR, 0x00044600 | 0x12);
    assert_int_equal(h->sipi, 0x12);
    /* Illegal vector: send error and, if unmasked, the error interrupt. */
    apic_put(h, LVTERR, 0x45);
    apic_put(h, ICR, 0x00040000 | 0x05);
    assert_int_equal(apic_get(h, ESR), 0);
    apic_put(h, ESR, 0);
    assert_int_equal(apic_get(h, ESR), 0x20);
    apic_put(h, EOI, 0);
    assert_int_equal(ack(h), 0x45);
}

static void test_init(void **state)
{
    struct harness *h = *state;
    apic_put(h, TPR, 0x30);
    message(h, 0x50, false);
    assert_int_equal(ack(h), 0x50);
    struct apic_message m = {.delivery = APIC_INIT};
    assert_true(apic_deliver(h->apic, &m));
    assert_int_equal(h->inits, 1);
    assert_int_equal(apic_get(h, TPR), 0);
    assert_int_equal(apic_get(h, ISR + 0x20), 0);
    assert_int_equal(apic_get(h, SVR), 0xff);
    uint64_t base;
    apic_msr_read(h->apic, 0x1b, &base);
    assert_int_equal(base, 0xfee00900);
}

static void test_timer(void **state)
{
    struct harness *h = *state;
    apic_put(h, TDCR, 0xb); /* by 1 */
    apic_put(h, LVTT, 0x40);
    apic_put(h, TMICT, 1000);
    rig_run(h->rig, 400);
    assert_int_equal(apic_get(h, TMCCT), 600);
    rig_run(h->rig, 599);
    assert_int_equal(h->intr, 0);
    rig_run(h->rig, 1);
    assert_int_equal(ack(h), 0x40);
    assert_int_equal(apic_get(h, TMCCT), 0);
    apic_put(h, EOI, 0);
    rig_run(h->rig, 10000);
    assert_int_equal(h->intr, 0);

    apic_put(h, TDCR, 0x3); /* by 16, periodic */
    apic_put(h, LVTT, 0x20041);
    apic_put(h, TMICT, 100);
    unsigned count = 0;
    for (unsigned i = 0; i < 160; i++) {
        rig_run(h->rig, 100);
        if (ack(h) == 0x41) {
            count++;
            apic_put(h, EOI, 0);
        }
    }
    assert_int_equal(count, 10);
    apic_put(h, TMICT, 0);
    rig_run(h->rig, 10000);
    assert_int_equal(h->intr, 0);
}

static void test_timer_masked(void **state)
{
    struct harness *h = *state;
    apic_put(h, TDCR, 0xb);
    apic_put(h, LVTT, 0x10040);
    apic_put(h, TMICT, 1000);
    rig_run(h->rig, 500);
    apic_put(h, LVTT, 0x40); /* unmasked in time */
    rig_run(h->rig, 500);
    assert_int_equal(ack(h), 0x40);
}

static void test_tsc_deadline(void **state)
{
    struct harness *h = *state;
    h->tsc_offset = 5000000;
    uint64_t now = 5000000 + clock_now_ns(&h->rig->vm->clock), v;
    apic_put(h, LVTT, 0x40);
    assert_int_equal(apic_msr_write(h->apic, 0x6e0, now + 100), 0); /* wrong mode: ignored */
    rig_run(h->rig, 200);
    assert_int_equal(h->intr, 0);
    apic_put(h, LVTT, 0x40040);
    apic_msr_write(h->apic, 0x6e0, now + 1000);
    apic_msr_read(h->apic, 0x6e0, &v);
    assert_int_equal(v, now + 1000);
    rig_run(h->rig, 799);
    assert_int_equal(h->intr, 0);
    rig_run(h->rig, 1);
    assert_int_equal(ack(h), 0x40);
    apic_put(h, EOI, 0);
    apic_msr_read(h->apic, 0x6e0, &v);
    assert_int_equal(v, 0);
    apic_msr_write(h->apic, 0x6e0, 1); /* long ago: at once */
    rig_run(h->rig, 1);
    assert_int_equal(ack(h), 0x40);
}

static void test_x2apic(void **state)
{
    struct harness *h = *state;
    uint64_t v;
    assert_int_equal(apic_msr_read(h->apic, 0x802, &v), -1);
    assert_int_equal(apic_msr_write(h->apic, 0x1b, 0xfee00d00), 0);
    assert_int_equal(read32(h, APIC_BASE + ID), 0xffffffff); /* no memory any more */
    assert_int_equal(apic_msr_read(h->apic, 0x803, &v), 0);
    assert_int_equal(v, 0x50014);
    assert_int_equal(apic_msr_read(h->apic, 0x80d, &v), 0);
    assert_int_equal(v, 1);
    assert_int_equal(apic_msr_read(h->apic, 0x80e, &v), -1); /* no DFR */
    assert_int_equal(apic_msr_read(h->apic, 0x831, &v), -1);
    assert_int_equal(apic_msr_write(h->apic, 0x80f, 0x1ff), 0);
    assert_int_equal(apic_msr_write(h->apic, 0x808, 0x100), -1);
    assert_int_equal(apic_msr_write(h->apic, 0x802, 0), -1);
    assert_int_equal(apic_msr_write(h->apic, 0x83f, 0x77), 0); /* self IPI */
    assert_int_equal(ack(h), 0x77);
    assert_int_equal(apic_msr_write(h->apic, 0x80b, 1), -1);
    assert_int_equal(apic_msr_write(h->apic, 0x80b, 0), 0);
    assert_int_equal(apic_msr_write(h->apic, 0x830, 0x0000000000000078), 0); /* to ID 0 */
    assert_int_equal(ack(h), 0x78);
    assert_int_equal(apic_msr_write(h->apic, 0x80b, 0), 0);
    assert_int_equal(apic_msr_write(h->apic, 0x830, 0x0000000100000079), 0); /* to ID 1 */
    assert_int_equal(ack(h), -1);
    /* Back to xAPIC only through off. */
    assert_int_equal(apic_msr_write(h->apic, 0x1b, 0xfee00900), -1);
    assert_int_equal(apic_msr_write(h->apic, 0x1b, 0xfee00100), 0);
    assert_int_equal(apic_msr_write(h->apic, 0x1b, 0xfee00d00), -1);
    assert_int_equal(apic_msr_write(h->apic, 0x1b, 0xfee00900), 0);
    assert_int_equal(apic_get(h, SVR), 0xff);
}

static void test_base_moves(void **state)
{
    struct harness *h = *state;
    assert_int_equal(apic_msr_write(h->apic, 0x1b, 0xfe000900), 0);
    assert_int_equal(read32(h, 0xfe000000 + VERSION), 0x50014);
    assert_int_equal(read32(h, APIC_BASE + VERSION), 0xffffffff);
    assert_int_equal(apic_msr_write(h->apic, 0x1b, 0xfee00901), -1);
}

static void test_hardware_disable(void **state)
{
    struct harness *h = *state;
    apic_msr_write(h->apic, 0x1b, 0xfee00100);
    assert_int_equal(read32(h, APIC_BASE + VERSION), 0xffffffff);
    pic_setup(h, 1);
    pic_input(h->pic, 5, 1); /* LINT0 is INTR */
    assert_int_equal(h->intr, 1);
    assert_int_equal(ack(h), 0x25);
    apic_lint1(h->apic, 1);
    assert_int_equal(h->nmis, 1);
}

static void test_illegal_register(void **state)
{
    struct harness *h = *state;
    assert_int_equal(apic_get(h, 0x3f0), 0);
    apic_put(h, ESR, 0);
    assert_int_equal(apic_get(h, ESR), 0x80);
}

/* ---- I/O APIC ---- */

static void test_ioapic_edge(void **state)
{
    struct harness *h = *state;
    write32(h, IOAPIC_BASE, 1);
    assert_int_equal(read32(h, IOAPIC_BASE + 0x10), 0x170020);
    assert_int_equal(ioapic_entry(h, 5), 0x10000);
    ioapic_input(h->ioapic, 5, 1); /* masked: lost */
    ioapic_set_entry(h, 5, 0x50);
    assert_int_equal(h->intr, 0);
    ioapic_input(h->ioapic, 5, 0);
    ioapic_input(h->ioapic, 5, 1);
    assert_int_equal(ack(h), 0x50);
    assert_int_equal(apic_get(h, TMR + 0x20), 0);
    apic_put(h, EOI, 0);
    assert_int_equal(h->intr, 0);
}

static void test_ioapic_level(void **state)
{
    struct harness *h = *state;
    ioapic_set_entry(h, 11, 0xa000 | 0x51); /* level, active low */
    ioapic_input(h->ioapic, 11, 1);
    assert_int_equal(ioapic_entry(h, 11), 0xe051); /* remote IRR */
    assert_int_equal(ack(h), 0x51);
    assert_int_equal(apic_get(h, TMR + 0x20), 1 << 17);
    ioapic_input(h->ioapic, 11, 0);
    ioapic_input(h->ioapic, 11, 1); /* no second message before the EOI */
    assert_int_equal(ack(h), -1);
    apic_put(h, EOI, 0); /* still up: again */
    assert_int_equal(ack(h), 0x51);
    ioapic_input(h->ioapic, 11, 0);
    apic_put(h, EOI, 0);
    assert_int_equal(ack(h), -1);
    assert_int_equal(ioapic_entry(h, 11), 0xa051);
    /* Software's ways: EOI register; edge and back. */
    ioapic_input(h->ioapic, 11, 1);
    ioapic_input(h->ioapic, 11, 0);
    assert_int_equal(ioapic_entry(h, 11), 0xe051);
    write32(h, IOAPIC_BASE + 0x40, 0x51);
    assert_int_equal(ioapic_entry(h, 11), 0xa051);
    ioapic_input(h->ioapic, 11, 1);
    ioapic_input(h->ioapic, 11, 0);
    ioapic_set_entry(h, 11, 0x10051);
    ioapic_set_entry(h, 11, 0xa051);
    assert_int_equal(ioapic_entry(h, 11), 0xa051);
    /* A level that came while masked is not lost. */
    ioapic_set_entry(h, 12, 0x18052);
    ioapic_input(h->ioapic, 12, 1);
    ioapic_set_entry(h, 12, 0x8052);
    apic_put(h, EOI, 0);
    assert_int_equal(ack(h), 0x52);
}

static void test_ioapic_modes(void **state)
{
    struct harness *h = *state;
    ioapic_set_entry(h, 3, 0x400 | 0x33);
    ioapic_input(h->ioapic, 3, 1);
    assert_int_equal(h->nmis, 1);
    pic_setup(h, 1);
    apic_put(h, LVT0, 0x10700); /* the 8259 only through the I/O APIC */
    ioapic_set_entry(h, 4, 0x700);
    pic_input(h->pic, 6, 1);
    assert_int_equal(h->intr, 0);
    ioapic_input(h->ioapic, 4, 1);
    assert_int_equal(h->intr, 1);
    assert_int_equal(ack(h), 0x26);
    assert_int_equal(h->intr, 0);
}

/* ---- what Linux's check_timer tries ---- */

static unsigned ticks(struct harness *h, unsigned vector)
{
    unsigned count = 0;
    for (unsigned i = 0; i < 100; i++) {
        rig_run(h->rig, 1000000);
        if (!h->intr)
            continue;
        assert_int_equal(ack(h), vector);
        apic_put(h, EOI, 0);
        count++;
    }
    return count;
}

static void pit_100hz(struct harness *h)
{
    out8(h, 0x43, 0x34);
    out8(h, 0x40, 11932 & 0xff);
    out8(h, 0x40, 11932 >> 8);
}

static void test_timer_through_ioapic(void **state)
{
    struct harness *h = *state;
    pic_setup(h, 1);
    out8(h, 0x21, 0xff);
    apic_put(h, LVT0, 0x10700);
    ioapic_set_entry(h, 2, 0x30);
    pit_100hz(h);
    assert_in_range(ticks(h, 0x30), 9, 11);
}

static void test_timer_virtual_wire(void **state)
{
    struct harness *h = *state;
    pic_setup(h, 1);
    out8(h, 0x21, 0xfe);
    apic_put(h, LVT0, 0x30); /* fixed: INT as an edge, without INTA */
    pit_100hz(h);
    assert_in_range(ticks(h, 0x30), 9, 11);
}

static void test_timer_extint(void **state)
{
    struct harness *h = *state;
    pic_setup(h, 3); /* AEOI */
    out8(h, 0x21, 0xfe);
    apic_put(h, LVT0, 0x700);
    pit_100hz(h);
    assert_in_range(ticks(h, 0x20), 9, 11);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, harness_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_reset_state),
        TEST(test_priority),
        TEST(test_tpr),
        TEST(test_software_disable),
        TEST(test_destinations),
        TEST(test_ipis),
        TEST(test_init),
        TEST(test_timer),
        TEST(test_timer_masked),
        TEST(test_tsc_deadline),
        TEST(test_x2apic),
        TEST(test_base_moves),
        TEST(test_hardware_disable),
        TEST(test_illegal_register),
        TEST(test_ioapic_edge),
        TEST(test_ioapic_level),
        TEST(test_ioapic_modes),
        TEST(test_timer_through_ioapic),
        TEST(test_timer_virtual_wire),
        TEST(test_timer_extint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
