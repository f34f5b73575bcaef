/* SPDX-License-Identifier: MIT */
/* misc_test.c - 8237, ACPI power management, port 92h, debug ports. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "harness.h"
#include "dev/isa_dma.h"

#include <string.h>

/* ---- 8237 ---- */

static void dma_program(struct rig *rig, unsigned channel, unsigned address, unsigned page,
                        unsigned count, unsigned mode)
{
    static const uint8_t pages[8] = {0x87, 0x83, 0x81, 0x82, 0x8f, 0x8b, 0x89, 0x8a};
    unsigned n = channel & 3, high = channel >= 4;
    unsigned base = high ? 0xc0 + n * 4 : n * 2, step = high ? 2 : 1;
    outb(rig, high ? 0xd8 : 0x0c, 0); /* flip-flop */
    outb(rig, base, address & 0xff);
    outb(rig, base, address >> 8);
    outb(rig, base + step, count & 0xff);
    outb(rig, base + step, count >> 8);
    outb(rig, pages[channel], page);
    outb(rig, high ? 0xd6 : 0x0b, mode | n);
    outb(rig, high ? 0xd4 : 0x0a, n);
}

static void count_ready(void *ctx)
{
    (*(unsigned *)ctx)++;
}

static void test_dma_bytes(void **state)
{
    struct rig *rig = rig_new();
    weir_dev *dma = rig_add(rig, &dma_8237_class, NULL);
    uint8_t data[16];
    bool tc;
    unsigned ready = 0;
    dma_on_ready(dma, 2, count_ready, &ready);
    assert_false(dma_ready(dma, 2));
    assert_int_equal(dma_write_memory(dma, 2, "abc", 3, &tc), 0);
    dma_program(rig, 2, 0x1234, 0x05, 9, 0x44); /* single, write to memory */
    assert_int_equal(ready, 1);
    assert_true(dma_ready(dma, 2));
    assert_int_equal(dma_write_memory(dma, 2, "abcdef", 6, &tc), 6);
    assert_false(tc);
    assert_memory_equal(rig_ram(rig, 0x51234), "abcdef", 6);
    assert_int_equal(inb(rig, 5), 3); /* count */
    assert_int_equal(inb(rig, 5), 0);
    assert_int_equal(inb(rig, 4), 0x3a);
    assert_int_equal(inb(rig, 4), 0x12);
    assert_int_equal(dma_read_memory(dma, 2, data, 1, &tc), 0); /* wrong direction */
    assert_int_equal(dma_write_memory(dma, 2, "ghijklmn", 8, &tc), 4);
    assert_true(tc);
    assert_memory_equal(rig_ram(rig, 0x51234), "abcdefghij", 11);
    assert_int_equal(inb(rig, 8), 4); /* TC of channel 2, once */
    assert_int_equal(inb(rig, 8), 0);
    assert_false(dma_ready(dma, 2));
    /* Auto-initialisation starts over. */
    dma_program(rig, 2, 0x1234, 0x05, 3, 0x58);
    assert_int_equal(dma_read_memory(dma, 2, data, 10, &tc), 4);
    assert_true(tc);
    assert_int_equal(dma_read_memory(dma, 2, data + 4, 2, &tc), 2);
    assert_false(tc);
    assert_memory_equal(data, "abcdab", 6);
    outb(rig, 8, 4); /* controller off */
    assert_false(dma_ready(dma, 2));
    outb(rig, 8, 0);
    assert_true(dma_ready(dma, 2));
    outb(rig, 0x0d, 0);
    assert_int_equal(inb(rig, 0x0f), 0xff);
    rig_free(rig);
}

static void test_dma_ways(void **state)
{
    struct rig *rig = rig_new();
    weir_dev *dma = rig_add(rig, &dma_8237_class, NULL);
    uint8_t data[8];
    bool tc;
    /* The address wraps within the page. */
    dma_program(rig, 1, 0xfffe, 0x02, 3, 0x44);
    assert_int_equal(dma_write_memory(dma, 1, "1234", 4, &tc), 4);
    assert_memory_equal(rig_ram(rig, 0x2fffe), "12", 2);
    assert_memory_equal(rig_ram(rig, 0x20000), "34", 2);
    /* Downwards. */
    dma_program(rig, 1, 0x0010, 0x02, 3, 0x64);
    assert_int_equal(dma_write_memory(dma, 1, "abcd", 4, &tc), 4);
    assert_memory_equal(rig_ram(rig, 0x2000d), "dcba", 4);
    /* Words: address and count in words, page bit 0 ignored. */
    dma_program(rig, 5, 0x0100, 0x03, 1, 0x48);
    memcpy(rig_ram(rig, 0x20200), "WORD", 4);
    assert_int_equal(dma_read_memory(dma, 5, data, 7, &tc), 4);
    assert_true(tc);
    assert_memory_equal(data, "WORD", 4);
    /* Verify counts and moves nothing. */
    dma_program(rig, 3, 0x0000, 0x04, 1, 0x40);
    memcpy(rig_ram(rig, 0x40000), "xy", 2);
    assert_int_equal(dma_write_memory(dma, 3, "ab", 2, &tc), 2);
    assert_true(tc);
    assert_memory_equal(rig_ram(rig, 0x40000), "xy", 2);
    dma_program(rig, 3, 0, 0, 1, 0xc8); /* cascade */
    assert_false(dma_ready(dma, 3));
    /* Memory that is not there. */
    dma_program(rig, 0, 0xfff0, 0xff, 3, 0x48);
    assert_int_equal(dma_read_memory(dma, 0, data, 1, &tc), 1);
    outb(rig, 0x80, 0x42); /* POST codes */
    assert_int_equal(inb(rig, 0x80), 0x42);
    rig_free(rig);
}

/* ---- ACPI ---- */

static void pci_write(struct rig *rig, unsigned devfn, unsigned reg, uint32_t v, unsigned size)
{
    rig_out(rig, 0xcf8, 0x80000000 | devfn << 8 | (reg & 0xfc), 4);
    rig_out(rig, 0xcfc + (reg & 3), v, size);
}
static uint32_t pci_read(struct rig *rig, unsigned devfn, unsigned reg, unsigned size)
{
    rig_out(rig, 0xcf8, 0x80000000 | devfn << 8 | (reg & 0xfc), 4);
    return rig_in(rig, 0xcfc + (reg & 3), size);
}

enum { PM = 0x600, PM_DEVFN = 1 * 8 + 3 };

static struct rig *acpi_rig(weir_dev **dev)
{
    struct rig *rig = rig_new();
    rig_add_pci(rig);
    *dev = rig_add(rig, &acpi_pm_class, NULL);
    pci_write(rig, PM_DEVFN, 0x40, PM | 1, 4);
    pci_write(rig, PM_DEVFN, 0x80, 1, 1);
    return rig;
}

static void test_acpi_config(void **state)
{
    weir_dev *dev;
    struct rig *rig = acpi_rig(&dev);
    assert_int_equal(pci_read(rig, PM_DEVFN, 0, 4), 0x71138086);
    assert_int_equal(pci_read(rig, PM_DEVFN, 8, 4) >> 8, 0x068000);
    assert_int_equal(pci_read(rig, PM_DEVFN, 0x40, 4), PM | 1);
    assert_int_equal(pci_read(rig, PM_DEVFN, 0x5b, 1) & 2, 2); /* no SMM set-up, please */
    assert_int_equal(rig_in(rig, PM + 4, 2), 0);
    pci_write(rig, PM_DEVFN, 0x40, 0xb001, 4);
    assert_int_equal(rig_in(rig, PM + 4, 2), 0xffff);
    assert_int_equal(rig_in(rig, 0xb004, 2), 0);
    pci_write(rig, PM_DEVFN, 0x90, 0x701, 4);
    pci_write(rig, PM_DEVFN, 0xd2, 1, 1);
    outb(rig, 0x702, 0x48); /* SMBus: nobody answers, and it says so */
    assert_int_equal(inb(rig, 0x700), 4);
    outb(rig, 0x700, 4);
    assert_int_equal(inb(rig, 0x700), 0);
    devices_reset(rig->vm);
    assert_int_equal(rig_in(rig, 0xb004, 2), 0xffff);
    rig_free(rig);
}

static void test_acpi_enable_and_button(void **state)
{
    weir_dev *dev;
    struct rig *rig = acpi_rig(&dev);
    outb(rig, 0xb2, 0xf1);
    assert_int_equal(rig_in(rig, PM + 4, 2), 1);
    acpi_power_button(dev);
    assert_int_equal(rig->level[9], 0);
    rig_out(rig, PM + 2, 0x100, 2);
    assert_int_equal(rig->level[9], 1);
    outb(rig, 0xb2, 0xf0);
    assert_int_equal(rig->level[9], 0);
    outb(rig, 0xb2, 0xf1);
    assert_int_equal(rig->level[9], 1);
    assert_int_equal(rig_in(rig, PM, 2) & 0x100, 0x100);
    rig_out(rig, PM, 0x100, 2);
    assert_int_equal(rig->level[9], 0);
    rig_free(rig);
}

static void test_acpi_sleep(void **state)
{
    weir_dev *dev;
    struct rig *rig = acpi_rig(&dev);
    rig_out(rig, PM + 4, 0x2401, 2); /* another state */
    assert_int_equal(rig->shutdowns, 0);
    rig_out(rig, PM + 4, 0x2001, 2);
    assert_int_equal(rig->shutdowns, 1);
    assert_int_equal(rig_in(rig, PM + 4, 2), 1); /* SLP_EN reads as 0 */
    rig_free(rig);
}

static void test_acpi_timer(void **state)
{
    weir_dev *dev;
    struct rig *rig = acpi_rig(&dev);
    uint32_t first = rig_in(rig, PM + 8, 4);
    rig_run(rig, 1000000000);
    assert_int_equal((rig_in(rig, PM + 8, 4) - first) & 0xffffff, 3579545);
    rig_run(rig, 10000000000ull);
    assert_true(rig_in(rig, PM + 8, 4) < 0x1000000);
    outb(rig, 0xb2, 0xf1);
    rig_out(rig, PM, 1, 2);
    rig_out(rig, PM + 2, 1, 2);
    unsigned before = rig->edges[9];
    for (unsigned i = 0; i < 100; i++) { /* bit 23 changes every 2.34 s */
        rig_run(rig, 100000000);
        rig_out(rig, PM, 1, 2);
    }
    assert_in_range(rig->edges[9] - before, 4, 5);
    rig_free(rig);
}

/* ---- small ones ---- */

static void test_port92(void **state)
{
    struct rig *rig = rig_new();
    rig_add(rig, &port92_class, NULL);
    assert_int_equal(inb(rig, 0x92), 2);
    outb(rig, 0x92, 0);
    assert_false(rig->vm->a20_enabled);
    outb(rig, 0x92, 2);
    assert_true(rig->vm->a20_enabled);
    assert_int_equal(rig->resets, 0);
    outb(rig, 0x92, 3);
    outb(rig, 0x92, 3); /* only the rising edge */
    assert_int_equal(rig->resets, 1);
    rig_free(rig);
}

static void test_debug_ports(void **state)
{
    struct rig *rig = rig_new();
    struct terminal t;
    terminal_new(rig, "con", &t);
    rig_add(rig, &debug_exit_class, NULL);
    rig_add(rig, &debug_exit_class, "iobase=0xf4,iosize=4");
    rig_add(rig, &debugcon_class, "chardev=con");
    assert_true(rig_try_add(rig, &debugcon_class, NULL) < 0);
    assert_true(rig_try_add(rig, &debug_exit_class, "iosize=9") < 0);
    assert_int_equal(rig->debug_exit, -1);
    outb(rig, 0x501, 7);
    assert_int_equal(rig->debug_exit, 7);
    rig_out(rig, 0xf4, 0x10, 4);
    assert_int_equal(rig->debug_exit, 0x10);
    assert_int_equal(inb(rig, 0x402), 0xe9);
    outb(rig, 0x402, 'h');
    outb(rig, 0x402, 'i');
    assert_int_equal(t.count, 2);
    assert_memory_equal(t.sent, "hi", 2);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dma_bytes),   cmocka_unit_test(test_dma_ways),
        cmocka_unit_test(test_acpi_config), cmocka_unit_test(test_acpi_enable_and_button),
        cmocka_unit_test(test_acpi_sleep),  cmocka_unit_test(test_acpi_timer),
        cmocka_unit_test(test_port92),      cmocka_unit_test(test_debug_ports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
