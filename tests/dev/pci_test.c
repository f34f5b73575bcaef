/* SPDX-License-Identifier: MIT */
/* PCI: configuration mechanism, BARs, interrupt routing, PAM, MSI-X, resets, info. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "rig.h"
#include "dev/pci_msix.h"

#include <string.h>

/* ---- a device with one BAR of every kind ---- */

struct probe {
    struct pci_function function;
    struct pci_msix msix;
    uint8_t value;
    void *host;
};

static uint64_t probe_read(void *state, uint64_t offset, unsigned size)
{
    return 0x40 + offset;
}
static void probe_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    ((struct probe *)state)->value = (uint8_t)value;
}
static const struct weir_io_ops probe_ops = {.read = probe_read, .write = probe_write};

static uint8_t video[8192] __attribute__((aligned(4096)));

static int probe_init(weir_dev *dev, void *state)
{
    struct probe *p = state;
    static const struct pci_ids ids = {.vendor = 0x1234,
                                       .device = 0x5678,
                                       .subsystem_vendor = 0x9abc,
                                       .subsystem = 0xdef0,
                                       .class_code = 0x020000,
                                       .interrupt_pin = 1};
    p->function.bar[0] =
        (struct pci_bar){.bytes = 32, .is_io = true, .ops = &probe_ops, .name = "io"};
    p->function.bar[2] =
        (struct pci_bar){.bytes = 4096, .is_64bit = true, .ops = &probe_ops, .name = "mmio"};
    p->function.bar[4] = (struct pci_bar){
        .bytes = sizeof(video), .prefetchable = true, .host = video, .name = "ram"};
    pci_msix_init(&p->function, &p->msix, 3, 5);
    return pci_register(dev, p, &p->function, &ids, -1);
}
static void probe_reset(void *state)
{
    pci_reset(&((struct probe *)state)->function);
}
static void probe_fini(void *state)
{
    pci_unregister(&((struct probe *)state)->function);
}
static const struct weir_field no_fields[] = {WEIR_FIELD_END};
static const struct weir_dev_class probe_class = {.name = "probe",
                                                  .state_bytes = sizeof(struct probe),
                                                  .init = probe_init,
                                                  .reset = probe_reset,
                                                  .fini = probe_fini,
                                                  .fields = no_fields};

#define DEVFN (2u * 8)
static uint32_t cfg_in(struct rig *rig, unsigned devfn, unsigned offset, unsigned size)
{
    rig_out(rig, 0xcf8, 0x80000000u | devfn << 8 | (offset & 0xfc), 4);
    return rig_in(rig, 0xcfc + (offset & 3), size);
}
static void cfg_out(struct rig *rig, unsigned devfn, unsigned offset, uint32_t value,
                    unsigned size)
{
    rig_out(rig, 0xcf8, 0x80000000u | devfn << 8 | (offset & 0xfc), 4);
    rig_out(rig, 0xcfc + (offset & 3), value, size);
}

/* ---- tests ---- */

static void mechanism(void **state)
{
    struct rig *rig = rig_new();
    rig_add_pci(rig);
    assert_int_equal(cfg_in(rig, 0, 0, 4), 0x12378086);
    assert_int_equal(cfg_in(rig, 8, 0, 4), 0x70008086);
    assert_int_equal(cfg_in(rig, 8, 2, 2), 0x7000);
    assert_int_equal(cfg_in(rig, 8, 0x0b, 1), 0x06);
    assert_int_equal(cfg_in(rig, 0x80, 0, 4), 0xffffffff);
    rig_out(rig, 0xcf8, 0x80010000, 4); /* another bus */
    assert_int_equal(rig_in(rig, 0xcfc, 4), 0xffffffff);
    rig_out(rig, 0xcf8, 0x00000000, 4); /* not enabled */
    assert_int_equal(rig_in(rig, 0xcfc, 4), 0xffffffff);
    rig_out(rig, 0xcf8, 0x80000000, 4);
    assert_int_equal(rig_in(rig, 0xcf8, 4), 0x80000000);
    outb(rig, 0xcfb, 1); /* byte writes do not reach the address register */
    assert_int_equal(rig_in(rig, 0xcf8, 4), 0x80000000);
    cfg_out(rig, 0, 0, 0, 4); /* read-only */
    assert_int_equal(cfg_in(rig, 0, 0, 4), 0x12378086);
    rig_free(rig);
}

static void bars(void **state)
{
    struct rig *rig = rig_new();
    rig_add_pci(rig);
    weir_dev *dev = rig_add(rig, &probe_class, NULL);
    struct bus *mem = &rig->vm->mem;
    assert_int_equal(cfg_in(rig, DEVFN, 0, 4), 0x56781234);
    cfg_out(rig, DEVFN, 0x10, 0xffffffff, 4);
    assert_int_equal(cfg_in(rig, DEVFN, 0x10, 4), 0xffffffe1);
    cfg_out(rig, DEVFN, 0x18, 0xffffffff, 4);
    cfg_out(rig, DEVFN, 0x1c, 0xffffffff, 4);
    assert_int_equal(cfg_in(rig, DEVFN, 0x18, 4), 0xfffff004);
    assert_int_equal(cfg_in(rig, DEVFN, 0x1c, 4), 0xffffffff);
    cfg_out(rig, DEVFN, 0x14, 0xffffffff, 4);
    assert_int_equal(cfg_in(rig, DEVFN, 0x14, 4), 0);
    cfg_out(rig, DEVFN, 0x10, 0xc000, 4);
    cfg_out(rig, DEVFN, 0x18, 0xe0000000, 4);
    cfg_out(rig, DEVFN, 0x1c, 0x1, 4);
    cfg_out(rig, DEVFN, 0x20, 0xd0000000, 4);
    assert_int_equal(inb(rig, 0xc001), 0xff); /* decoding is still off */
    cfg_out(rig, DEVFN, 4, 3, 2);
    assert_int_equal(inb(rig, 0xc001), 0x41);
    assert_int_equal(inb(rig, 0xc01f), 0x5f);
    assert_int_equal(inb(rig, 0xc020), 0xff);
    assert_int_equal(bus_read(mem, 0x1e0000002, 1), 0x42);
    bus_write(mem, 0x1e0000002, 0x99, 1);
    assert_int_equal(((struct probe *)weir_dev_state(dev))->value, 0x99);
    bus_write(mem, 0xd0001ffc, 0x11223344, 4);
    assert_int_equal(load_le(video + 0x1ffc, 4), 0x11223344);
    cfg_out(rig, DEVFN, 0x10, 0xd000, 4); /* moves at once */
    assert_int_equal(inb(rig, 0xc001), 0xff);
    assert_int_equal(inb(rig, 0xd001), 0x41);
    cfg_out(rig, DEVFN, 0x10, 0xffffffff, 4); /* sizing with decoding on maps nothing */
    assert_int_equal(inb(rig, 0xffff), 0xff);
    cfg_out(rig, DEVFN, 0x20, 0, 4);
    assert_ptr_equal(bus_lookup(mem, 0).region->host, rig_ram(rig, 0)); /* 0 maps nothing */
    cfg_out(rig, DEVFN, 4, 0, 2);
    assert_int_equal(bus_read(mem, 0x1e0000002, 1), 0xff);
    cfg_out(rig, DEVFN, 0x10, 0xc000, 4);
    cfg_out(rig, DEVFN, 4, 1, 2);
    assert_int_equal(inb(rig, 0xc001), 0x41);
    devices_reset(rig->vm);
    assert_int_equal(inb(rig, 0xc001), 0xff);
    assert_int_equal(cfg_in(rig, DEVFN, 0x10, 4), 1);
    rig_free(rig);
}

static void interrupts(void **state)
{
    struct rig *rig = rig_new();
    rig_add_pci(rig);
    weir_dev *one = rig_add(rig, &probe_class, NULL), *two = rig_add(rig, &probe_class, NULL);
    weir_dev *five = NULL;
    for (unsigned n = 0; n < 3; n++)
        five = rig_add(rig, &probe_class, NULL); /* slots 4, 5, 6: 6 shares PIRQB with 2 */
    struct pci_function *f1 = weir_dev_state(one), *f2 = weir_dev_state(two);
    struct pci_function *f5 = weir_dev_state(five);
    pci_set_irq(f1, 1); /* not routed yet */
    for (unsigned n = 0; n < 16; n++)
        assert_int_equal(rig->level[n], 0);
    cfg_out(rig, 8, 0x61, 11, 1); /* slot 2 INTA is PIRQB */
    assert_int_equal(rig->level[11], 1);
    cfg_out(rig, 8, 0x61, 10, 1);
    assert_int_equal(rig->level[11], 0);
    assert_int_equal(rig->level[10], 1);
    cfg_out(rig, 8, 0x62, 10, 1); /* PIRQC on the same line */
    pci_set_irq(f2, 1);
    pci_set_irq(f1, 0);
    assert_int_equal(rig->level[10], 1);
    pci_set_irq(f2, 0);
    assert_int_equal(rig->level[10], 0);
    pci_set_irq(f1, 1);
    pci_set_irq(f5, 1); /* same PIRQ */
    pci_set_irq(f1, 0);
    assert_int_equal(rig->level[10], 1);
    assert_int_equal(cfg_in(rig, 6 * 8, 6, 1) & 8, 8);
    cfg_out(rig, 6 * 8, 4, 0x400, 2); /* interrupt disable */
    assert_int_equal(rig->level[10], 0);
    cfg_out(rig, 6 * 8, 4, 0, 2);
    assert_int_equal(rig->level[10], 1);
    cfg_out(rig, 8, 0x61, 0x80, 1);
    assert_int_equal(rig->level[10], 0);
    cfg_out(rig, 8, 0x61, 8, 1); /* the RTC's interrupt is not routable */
    assert_int_equal(rig->level[8], 0);
    cfg_out(rig, 8, 0x61, 5, 1);
    assert_int_equal(rig->level[5], 1);
    devices_reset(rig->vm);
    assert_int_equal(rig->level[5], 0);
    rig_free(rig);
}

static unsigned pam_state[PAM_SEGMENTS], pam_calls;
static void pam(void *ctx, unsigned segment, bool readable, bool writable)
{
    pam_state[segment] = readable | writable << 1;
    pam_calls++;
}

static void pam_registers(void **state)
{
    struct rig *rig = rig_new();
    weir_dev *host = rig_add_pci(rig);
    pam_calls = 0;
    i440fx_connect(host, pam, NULL);
    assert_int_equal(pam_calls, PAM_SEGMENTS);
    cfg_out(rig, 0, 0x59, 0x30, 1);
    assert_int_equal(pam_state[0], 3);
    assert_int_equal(pam_calls, PAM_SEGMENTS + 1);
    cfg_out(rig, 0, 0x5a, 0x12, 1);
    assert_int_equal(pam_state[1], 2); /* C0000: write only */
    assert_int_equal(pam_state[2], 1); /* C4000: read only */
    cfg_out(rig, 0, 0x5c, 0x33333333, 4);
    for (unsigned n = 5; n < 13; n++)
        assert_int_equal(pam_state[n], 3);
    assert_int_equal(pam_segment_start(12), 0xec000);
    assert_int_equal(pam_state[3], 0);
    devices_reset(rig->vm);
    for (unsigned n = 0; n < 13; n++)
        assert_int_equal(pam_state[n], 0);
    cfg_out(rig, 0, 0x72, 0x4a, 1);
    assert_int_equal(cfg_in(rig, 0, 0x72, 1), 0x4a);
    cfg_out(rig, 0, 0x72, 0x1a, 1); /* lock */
    cfg_out(rig, 0, 0x72, 0x4a, 1);
    assert_int_equal(cfg_in(rig, 0, 0x72, 1), 0x1a);
    rig_free(rig);
}

static void reset_control(void **state)
{
    struct rig *rig = rig_new();
    rig_add_pci(rig);
    outb(rig, 0xcf9, 2);
    assert_int_equal(rig->resets, 0);
    outb(rig, 0xcf9, 6);
    assert_int_equal(rig->resets, 1);
    outb(rig, 0xcf9, 6);
    assert_int_equal(rig->resets, 1);
    assert_int_equal(inb(rig, 0xcf9), 6);
    rig_free(rig);
}

static struct {
    uint64_t address;
    uint32_t data;
    unsigned count;
} last_msi;
static void msi(void *ctx, uint64_t address, uint32_t data)
{
    last_msi.address = address;
    last_msi.data = data;
    last_msi.count++;
}

static void msix(void **state)
{
    struct rig *rig = rig_new();
    weir_dev *host = rig_add_pci(rig);
    struct probe *p = weir_dev_state(rig_add(rig, &probe_class, NULL));
    struct bus *mem = &rig->vm->mem;
    memset(&last_msi, 0, sizeof(last_msi));
    pci_set_msi_handler(host, msi, NULL);
    unsigned cap = cfg_in(rig, DEVFN, 0x34, 1);
    assert_int_equal(cfg_in(rig, DEVFN, cap, 1), 0x11);
    assert_int_equal(cfg_in(rig, DEVFN, cap + 2, 2), 2); /* three vectors */
    cfg_out(rig, DEVFN, 0x24, 0xe1000000, 4);
    cfg_out(rig, DEVFN, 4, 6, 2);
    bus_write(mem, 0xe1000010, 0xfee01000, 4);
    bus_write(mem, 0xe1000014, 0, 4);
    bus_write(mem, 0xe1000018, 0x4041, 4);
    pci_msix_notify(&p->msix, 1); /* not enabled */
    assert_int_equal(last_msi.count, 0);
    cfg_out(rig, DEVFN, cap + 2, 0x8000, 2);
    pci_msix_notify(&p->msix, 1); /* masked: pending */
    assert_int_equal(last_msi.count, 0);
    assert_int_equal(bus_read(mem, 0xe1000800, 4), 2);
    bus_write(mem, 0xe100001c, 0, 4);
    assert_int_equal(last_msi.count, 1);
    assert_int_equal(last_msi.address, 0xfee01000);
    assert_int_equal(last_msi.data, 0x4041);
    assert_int_equal(bus_read(mem, 0xe1000800, 4), 0);
    cfg_out(rig, DEVFN, cap + 2, 0xc000, 2); /* mask all */
    pci_msix_notify(&p->msix, 1);
    assert_int_equal(last_msi.count, 1);
    cfg_out(rig, DEVFN, cap + 2, 0x8000, 2);
    assert_int_equal(last_msi.count, 2);
    pci_msix_notify(&p->msix, 3); /* no such vector */
    pci_msix_notify(&p->msix, 4000);
    assert_int_equal(last_msi.count, 2);
    bus_write(mem, 0xe1000030, 0xffffffff, 4); /* behind the table */
    bus_write(mem, 0xe1000ffc, 0xffffffff, 4);
    assert_int_equal(bus_read(mem, 0xe1000030, 4), 0);
    rig_free(rig);
}

/* ---- text ---- */

struct text {
    struct weir_text base;
    char chars[8192];
    size_t length;
};
static void put(struct weir_text *base, const char *chars, size_t length)
{
    struct text *t = (struct text *)base;
    if (length > sizeof(t->chars) - 1 - t->length)
        length = sizeof(t->chars) - 1 - t->length;
    memcpy(t->chars + t->length, chars, length);
    t->length += length;
}

static void info(void **state)
{
    struct rig *rig = rig_new();
    weir_dev *host = rig_add_pci(rig);
    rig_add(rig, &probe_class, NULL);
    cfg_out(rig, DEVFN, 0x10, 0xc000, 4);
    cfg_out(rig, DEVFN, 0x3c, 11, 1);
    cfg_out(rig, DEVFN, 4, 1, 2);
    struct text t = {.base.put = put};
    pci_info(host, &t.base);
    assert_non_null(strstr(t.chars, "  Bus  0, device   0, function 0:\n"
                                    "    Host bridge: PCI device 8086:1237\n"
                                    "      PCI subsystem 1af4:1100\n"));
    assert_non_null(strstr(t.chars, "    Ethernet controller: PCI device 1234:5678\n"
                                    "      PCI subsystem 9abc:def0\n"
                                    "      IRQ 11, pin A\n"
                                    "      BAR0: I/O at 0xc000 [0xc01f].\n"
                                    "      BAR2: 64 bit memory at 0xffffffffffffffff"));
    rig_free(rig);
}

static void slots(void **state)
{
    struct rig *rig = rig_new();
    assert_int_equal(rig_try_add(rig, &probe_class, NULL), -WEIR_ESTATE); /* no bus */
    rig_add_pci(rig);
    for (unsigned n = 2; n < 32; n++)
        rig_add(rig, &probe_class, NULL);
    assert_int_equal(rig_try_add(rig, &probe_class, NULL), -WEIR_EBUSY);
    assert_int_equal(cfg_in(rig, 31 * 8, 0, 4), 0x56781234);
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mechanism),     cmocka_unit_test(bars),
        cmocka_unit_test(interrupts),    cmocka_unit_test(pam_registers),
        cmocka_unit_test(reset_control), cmocka_unit_test(msix),
        cmocka_unit_test(info),          cmocka_unit_test(slots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
