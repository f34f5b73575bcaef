/* SPDX-License-Identifier: MIT */
/*
 * chips_test.c - what holds for every chip: after a reset it is in one and the same state,
 * `info` prints, loading its own state changes nothing, and random accesses, time and input
 * neither crash it nor break that. The seed is fixed; a number as argument is another seed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "harness.h"
#include "dev/input.h"
#include "dev/isa_dma.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t seed = 0x9e3779b97f4a7c15;

static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed * 0x2545f4914f6cdd1dull >> 16;
}

struct machine {
    struct harness *h;
    struct terminal terminal, console;
    weir_dev *kbd, *acpi, *dma;
};

static void machine_new(struct machine *m)
{
    m->h = harness_new();
    struct rig *rig = m->h->rig;
    rig_add_pci(rig);
    terminal_new(rig, "term", &m->terminal);
    terminal_new(rig, "con", &m->console);
    m->acpi = rig_add(rig, &acpi_pm_class, NULL);
    m->kbd = rig_add(rig, &i8042_class, NULL);
    m->dma = rig_add(rig, &dma_8237_class, NULL);
    rig_add(rig, &uart_16550_class, "chardev=term,index=0");
    rig_add(rig, &debugcon_class, "chardev=con");
    rig_add(rig, &debug_exit_class, NULL);
}

static const uint16_t ports[][2] = {
    {0x20, 2},   {0xa0, 2},  {0x4d0, 2}, {0x40, 4},  {0x61, 1},   {0x70, 2},   {0x60, 1},
    {0x64, 1},   {0x3f8, 8}, {0x92, 1},  {0x00, 16}, {0xc0, 32},  {0x80, 16},  {0xb2, 2},
    {0x600, 64}, {0xcf8, 8}, {0x402, 1}, {0x501, 2}, {0xafe0, 4}, {0x700, 16},
};

static void port_access(struct machine *m)
{
    const uint16_t *p = ports[rnd() % ARRAY_SIZE(ports)];
    unsigned port = p[0] + rnd() % p[1], size = 1u << rnd() % 3;
    if (rnd() & 1)
        rig_in(m->h->rig, port, size);
    else
        rig_out(m->h->rig, port, (uint32_t)rnd() >> rnd() % 24, size);
}

static void memory_access(struct machine *m)
{
    static const uint64_t bases[] = {APIC_BASE, IOAPIC_BASE, HPET_BASE};
    static const uint32_t masks[] = {0x3f0, 0x50, 0x1ff};
    unsigned i = rnd() % 3, size = 1u << rnd() % 4;
    uint64_t at = bases[i] + (rnd() & masks[i]);
    uint64_t value = rnd() >> rnd() % 48;
    if (rnd() & 1)
        bus_read(&m->h->rig->vm->mem, at, size);
    else
        bus_write(&m->h->rig->vm->mem, at, value, size);
}

static void msr_access(struct machine *m)
{
    static const uint32_t base[] = {0x1b, 0x6e0, 0x800};
    uint32_t msr = base[rnd() % 3];
    uint64_t value = msr == 0x1b ? 0xfee00000 | (rnd() & 0xd00) : rnd() >> rnd() % 48;
    if (msr == 0x800)
        msr += rnd() & 0xff;
    if (rnd() & 1)
        apic_msr_read(m->h->apic, msr, &value);
    else
        apic_msr_write(m->h->apic, msr, value);
}

/* Lines that none of the chips drives. */
static const uint8_t free_lines[8] = {3, 5, 7, 10, 14, 16, 17, 19};

static void outside_event(struct machine *m)
{
    uint8_t data[64] = {0};
    bool tc;
    switch (rnd() % 8) {
    case 0:
        i8042_key(m->kbd, (int)(rnd() % 200) - 5, rnd() & 1);
        break;
    case 1:
        i8042_mouse(m->kbd, (int)rnd(), (int)rnd() >> rnd() % 32, (int)rnd(), (unsigned)rnd());
        break;
    case 2:
        char_feed(m->terminal.chr, (const uint8_t *)"0123456789abcdefghij", 20);
        break;
    case 3:
        acpi_power_button(m->acpi);
        break;
    case 4:
        dma_read_memory(m->dma, rnd() % 9, data, rnd() % 33, &tc);
        break;
    case 5:
        dma_write_memory(m->dma, rnd() % 9, data, rnd() % 33, &tc);
        break;
    case 6:
        weir_line_set(&m->h->rig->vm->gsi[free_lines[rnd() % 8]], rnd() & 1);
        break;
    default:
        if (m->h->intr)
            apic_acknowledge(m->h->apic);
    }
}

static void step(struct machine *m)
{
    unsigned kind = rnd() % 16;
    if (kind < 9)
        port_access(m);
    else if (kind < 12)
        memory_access(m);
    else if (kind < 13)
        msr_access(m);
    else if (kind < 15)
        outside_event(m);
    /* Time passes as a busy guest would let it: timers run when somebody looks. */
    clock_advance(&m->h->rig->vm->clock, rnd() % (kind == 15 ? 3000000 : 3000));
    clock_run_due(&m->h->rig->vm->clock);
}

/* ---- what holds for every chip ---- */

struct images {
    uint8_t *bytes[32];
    unsigned count;
};

static void take_images(struct machine *m, struct images *images)
{
    size_t length;
    images->count = 0;
    for (weir_dev *d = m->h->rig->vm->devices; d; d = d->next) {
        assert_true(images->count < ARRAY_SIZE(images->bytes));
        images->bytes[images->count++] = fields_image(d, &length);
    }
}

static void compare_and_free(struct machine *m, struct images *a, struct images *b,
                             const char *const *except)
{
    unsigned i = 0;
    for (weir_dev *d = m->h->rig->vm->devices; d; d = d->next, i++) {
        const char *name = fields_difference(d, a->bytes[i], b->bytes[i]);
        bool excepted = false;
        for (unsigned k = 0; except[k]; k++)
            excepted |= !strcmp(except[k], d->cls->name);
        if (name && !excepted)
            fail_msg("%s: field '%s' differs", d->id, name);
        free(a->bytes[i]);
        free(b->bytes[i]);
    }
}

static const char *const nothing[] = {NULL};

/* The world outside lets go. */
static void quiet(struct machine *m)
{
    for (unsigned n = 0; n < ARRAY_SIZE(free_lines); n++)
        weir_line_set(&m->h->rig->vm->gsi[free_lines[n]], 0);
    i8042_mouse(m->kbd, 0, 0, 0, 0);
}

static void test_reset(void **state)
{
    struct machine m;
    machine_new(&m);
    struct images fresh, again;
    devices_reset(m.h->rig->vm);
    take_images(&m, &fresh);
    devices_reset(m.h->rig->vm);
    take_images(&m, &again);
    compare_and_free(&m, &fresh, &again, nothing);
    /* And however it was treated before. Timestamps of the past are no state after a reset. */
    devices_reset(m.h->rig->vm);
    take_images(&m, &fresh);
    for (unsigned i = 0; i < 3000; i++)
        step(&m);
    quiet(&m);
    devices_reset(m.h->rig->vm);
    take_images(&m, &again);
    static const char *const except[] = {"mc146818", "PIIX4_PM", NULL}; /* these keep time */
    compare_and_free(&m, &fresh, &again, except);
    harness_free(m.h);
}

static void test_loaded(void **state)
{
    struct machine m;
    machine_new(&m);
    for (unsigned round = 0; round < 50; round++) {
        for (unsigned i = 0; i < 100; i++)
            step(&m);
        struct images before, after;
        take_images(&m, &before);
        for (weir_dev *d = m.h->rig->vm->devices; d; d = d->next)
            if (d->cls->loaded && d->cls->loaded(d->state) < 0)
                fail_msg("%s does not load its own state", d->id);
        take_images(&m, &after);
        compare_and_free(&m, &before, &after, nothing);
    }
    harness_free(m.h);
}

struct counter {
    struct weir_text text;
    size_t length;
};
static void put(struct weir_text *text, const char *chars, size_t length)
{
    ((struct counter *)text)->length += length;
}

static void test_info(void **state)
{
    struct machine m;
    machine_new(&m);
    for (unsigned i = 0; i < 500; i++)
        step(&m);
    for (weir_dev *d = m.h->rig->vm->devices; d; d = d->next) {
        struct counter counter = {{put}, 0};
        if (!d->cls->info)
            continue;
        d->cls->info(d->state, &counter.text);
        assert_true(counter.length > 10);
    }
    harness_free(m.h);
}

static void test_random(void **state)
{
    struct machine m;
    machine_new(&m);
    for (unsigned i = 0; i < 2000000; i++) {
        step(&m);
        m.terminal.count = m.console.count = 0;
        if (rnd() % 50000 == 0)
            devices_reset(m.h->rig->vm);
    }
    /* Still a PC: after a reset the timer ticks and the keyboard answers. */
    quiet(&m);
    devices_reset(m.h->rig->vm);
    apic_put(m.h, 0x350, 0x10700);
    apic_msr_write(m.h->apic, 0x1b, 0xfee00900);
    pic_setup(m.h, 1);
    out8(m.h, 0x43, 0x34);
    out8(m.h, 0x40, 0);
    out8(m.h, 0x40, 0x10);
    unsigned before = m.h->rig->edges[0];
    rig_run(m.h->rig, 100000000);
    assert_in_range(m.h->rig->edges[0] - before, 28, 30);
    out8(m.h, 0x60, 0xee);
    rig_run(m.h->rig, 1000000);
    assert_int_equal(in8(m.h, 0x60), 0xee);
    harness_free(m.h);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        seed = strtoull(argv[1], NULL, 0) | 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_loaded),
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
