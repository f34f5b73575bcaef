/* SPDX-License-Identifier: MIT */
/* hpet_test.c - HPET: counter, one-shot, periodic, level and edge, legacy replacement. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "harness.h"

static uint64_t get(struct harness *h, unsigned reg)
{
    return bus_read(&h->rig->vm->mem, HPET_BASE + reg, 8);
}
static void put(struct harness *h, unsigned reg, uint64_t v)
{
    bus_write(&h->rig->vm->mem, HPET_BASE + reg, v, 8);
}
static void put32(struct harness *h, unsigned reg, uint32_t v)
{
    write32(h, HPET_BASE + reg, v);
}

static void test_counter(void **state)
{
    struct harness *h = *state;
    assert_int_equal(get(h, 0), 0x009896808086a201);
    rig_run(h->rig, 1000);
    assert_int_equal(get(h, 0xf0), 0);
    put(h, 0x10, 1);
    rig_run(h->rig, 1000);
    assert_int_equal(get(h, 0xf0), 100);
    assert_int_equal(read32(h, HPET_BASE + 0xf0), 100);
    put(h, 0x10, 0);
    rig_run(h->rig, 1000);
    assert_int_equal(get(h, 0xf0), 100);
    put(h, 0xf0, 0xfffffffff0);
    put(h, 0x10, 1);
    rig_run(h->rig, 320);
    assert_int_equal(get(h, 0xf0), 0x10000000010);
    assert_int_equal(read32(h, HPET_BASE + 0xf4), 0x100);
}

static void test_one_shot_level(void **state)
{
    struct harness *h = *state;
    put(h, 0x108, 500);
    put(h, 0x100, 20 << 9 | 4 | 2); /* pin 20, level */
    put(h, 0x10, 1);
    rig_run(h->rig, 4999);
    assert_int_equal(h->rig->level[20], 0);
    rig_run(h->rig, 1);
    assert_int_equal(h->rig->level[20], 1);
    assert_int_equal(get(h, 0x20), 1);
    put32(h, 0x24, 0xffffffff);
    put32(h, 0x20, 2);
    assert_int_equal(h->rig->level[20], 1);
    put32(h, 0x20, 1);
    assert_int_equal(h->rig->level[20], 0);
    rig_run(h->rig, 1000000000);
    assert_int_equal(h->rig->edges[20], 1);
}

static void test_periodic_edge(void **state)
{
    struct harness *h = *state;
    put(h, 0x10, 1);
    put32(h, 0x120, 21 << 9 | 0x140 | 8 | 4); /* pin 21, 32 bits, periodic, set value */
    put32(h, 0x128, 1000);
    put32(h, 0x128, 200);
    rig_run(h->rig, 10000 + 9 * 2000);
    assert_int_equal(h->rig->edges[21], 10);
    assert_int_equal(get(h, 0x128), 3000);
    /* Late: one interrupt, and the next in step. */
    clock_advance(&h->rig->vm->clock, 100100);
    clock_run_due(&h->rig->vm->clock);
    assert_int_equal(h->rig->edges[21], 11);
    rig_run(h->rig, 2000);
    assert_int_equal(h->rig->edges[21], 12);
    put32(h, 0x120, 0);
    rig_run(h->rig, 100000);
    assert_int_equal(h->rig->edges[21], 12);
    assert_int_equal(h->rig->level[21], 0);
}

static void test_32_bit(void **state)
{
    struct harness *h = *state;
    put(h, 0xf0, 0x1fffffff0);
    put(h, 0x140, 22 << 9 | 0x100 | 4);
    put(h, 0x148, 0xf00000010); /* the low half counts */
    assert_int_equal(get(h, 0x148), 0x10);
    put(h, 0x10, 1);
    rig_run(h->rig, 310);
    assert_int_equal(h->rig->edges[22], 0);
    rig_run(h->rig, 10);
    assert_int_equal(h->rig->edges[22], 1);
    rig_run(h->rig, 10ull << 32); /* and again after a turn */
    assert_int_equal(h->rig->edges[22], 2);
}

static void test_legacy(void **state)
{
    struct harness *h = *state;
    out8(h, 0x43, 0x34); /* the 8254 at 1 kHz */
    out8(h, 0x40, 1193 & 0xff);
    out8(h, 0x40, 1193 >> 8);
    put(h, 0x108, 100000);
    put(h, 0x100, 4);
    put(h, 0x10, 3);
    unsigned before = h->rig->edges[0];
    rig_run(h->rig, 100000000);
    assert_int_equal(h->rig->edges[0] - before, 1); /* only the HPET's */
    pic_setup(h, 1);
    put(h, 0x108, get(h, 0xf0) + 1000);
    rig_run(h->rig, 10000);
    assert_int_equal(apic_acknowledge(h->apic), 0x20); /* the edge stands until INTA */
    put(h, 0x10, 1);
    before = h->rig->edges[0];
    rig_run(h->rig, 10000000);
    assert_in_range(h->rig->edges[0] - before, 9, 11);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, harness_setup, harness_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_counter), TEST(test_one_shot_level), TEST(test_periodic_edge),
        TEST(test_32_bit),  TEST(test_legacy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
