/* SPDX-License-Identifier: MIT */
/* virtio: a driver written by hand, well-behaved and hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "rig.h"
#include "dev/virtio.h"

#include <stdlib.h>
#include <string.h>

#define MODERN  0xe0000000u
#define LEGACY  0xc000u
#define DESC    0x10000u
#define AVAIL   0x12000u
#define USED    0x14000u
#define DATA    0x20000u
#define DEVFN   16u
#define SIZE    16u
#define SECTORS 1024u
enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };
enum { NEEDS_RESET = 0x40 };

/* ---- the driver ---- */

static uint32_t mmio_in(struct rig *rig, unsigned offset, unsigned size)
{
    return (uint32_t)bus_read(&rig->vm->mem, MODERN + offset, size);
}
static void mmio_out(struct rig *rig, unsigned offset, uint64_t value, unsigned size)
{
    bus_write(&rig->vm->mem, MODERN + offset, value, size);
}

static void desc(struct rig *rig, unsigned n, uint64_t gpa, uint32_t bytes, unsigned flags,
                 unsigned next)
{
    uint8_t *d = rig_ram(rig, DESC + 16 * n);
    store_le(d, gpa, 8);
    store_le(d + 8, bytes, 4);
    store_le(d + 12, flags, 2);
    store_le(d + 14, next, 2);
}

static uint16_t avail_index(struct rig *rig)
{
    return (uint16_t)load_le(rig_ram(rig, AVAIL + 2), 2);
}
static uint16_t used_index(struct rig *rig)
{
    return (uint16_t)load_le(rig_ram(rig, USED + 2), 2);
}
static void offer(struct rig *rig, unsigned head)
{
    uint16_t index = avail_index(rig);
    store_le(rig_ram(rig, AVAIL + 4 + 2 * (index % SIZE)), head, 2);
    store_le(rig_ram(rig, AVAIL + 2), (uint16_t)(index + 1), 2);
}
static void kick(struct rig *rig, unsigned queue)
{
    mmio_out(rig, 0x3000 + 4 * queue, queue, 2);
}
static uint8_t status(struct rig *rig)
{
    return (uint8_t)mmio_in(rig, 0x14, 1);
}

static void place_queue(struct rig *rig, unsigned queue)
{
    mmio_out(rig, 0x16, queue, 2);
    mmio_out(rig, 0x18, SIZE, 2);
    mmio_out(rig, 0x20, DESC, 8);
    mmio_out(rig, 0x28, AVAIL, 8);
    mmio_out(rig, 0x30, USED, 8);
    mmio_out(rig, 0x1c, 1, 2);
}

/* From reset to DRIVER_OK with one queue. */
static void start(struct rig *rig, unsigned queue, uint64_t features)
{
    memset(rig_ram(rig, DESC), 0, 0x6000);
    mmio_out(rig, 0x14, 0, 1);
    mmio_out(rig, 0x14, 3, 1);
    mmio_out(rig, 0x08, 0, 4);
    mmio_out(rig, 0x0c, (uint32_t)features, 4);
    mmio_out(rig, 0x08, 1, 4);
    mmio_out(rig, 0x0c, features >> 32, 4);
    mmio_out(rig, 0x14, 11, 1);
    assert_int_equal(status(rig), 11);
    place_queue(rig, queue);
    mmio_out(rig, 0x14, 15, 1);
}

static void map(struct rig *rig)
{
    weir_dev *host = rig->vm->pci;
    pci_config_write(host, DEVFN, 0x10, LEGACY, 4);
    pci_config_write(host, DEVFN, 0x14, 0xe1000000, 4);
    pci_config_write(host, DEVFN, 0x20, MODERN, 4);
    pci_config_write(host, DEVFN, 4, 7, 2);
    pci_config_write(host, 8, 0x61, 11, 1); /* slot 2 INTA is PIRQB */
}

static struct weir_block *disk;
static struct rig *setup_blk(unsigned flags)
{
    struct rig *rig = rig_new();
    rig_add_pci(rig);
    disk = rig_drive(rig, "virtio", 0, SECTORS * 512, flags);
    disk->serial = strdup("WD-0123456789");
    rig_add(rig, &virtio_blk_class, "drive=virtio0");
    map(rig);
    return rig;
}

/* Header at DATA, status at DATA + 16, data from DATA + 4096. */
static void header(struct rig *rig, unsigned type, uint64_t sector)
{
    uint8_t *h = rig_ram(rig, DATA);
    store_le(h, type, 4);
    store_le(h + 4, 0, 4);
    store_le(h + 8, sector, 8);
    h[16] = 0xee;
}

static unsigned request(struct rig *rig, unsigned type, uint64_t sector, uint32_t bytes)
{
    bool in = type == 0 || type == 8;
    uint16_t before = used_index(rig);
    header(rig, type, sector);
    desc(rig, 0, DATA, 16, NEXT, bytes ? 1 : 2);
    desc(rig, 1, DATA + 4096, bytes, NEXT | (in ? WRITE : 0), 2);
    desc(rig, 2, DATA + 16, 1, WRITE, 0);
    offer(rig, 0);
    kick(rig, 0);
    assert_int_equal((uint16_t)(used_index(rig) - before), 1);
    return *rig_ram(rig, DATA + 16);
}

static uint32_t used_bytes(struct rig *rig)
{
    unsigned slot = (uint16_t)(used_index(rig) - 1) % SIZE;
    return (uint32_t)load_le(rig_ram(rig, USED + 4 + 8 * slot + 4), 4);
}

/* ---- transport ---- */

static void capabilities(void **state)
{
    struct rig *rig = setup_blk(0);
    weir_dev *host = rig->vm->pci;
    unsigned seen = 0, at = pci_config_read(host, DEVFN, 0x34, 1);
    assert_int_equal(pci_config_read(host, DEVFN, 0, 4), 0x10011af4);
    assert_int_equal(pci_config_read(host, DEVFN, 0x2e, 2), 2);
    for (unsigned n = 0; n < 16 && at; n++) {
        if (pci_config_read(host, DEVFN, at, 1) == 9)
            seen |= 1u << pci_config_read(host, DEVFN, at + 3, 1);
        at = pci_config_read(host, DEVFN, at + 1, 1);
    }
    assert_int_equal(at, 0);
    assert_int_equal(seen, 0x3e); /* types 1 to 5 */
    assert_int_equal(mmio_in(rig, 0x12, 2), 1);
    assert_int_equal(mmio_in(rig, 0x18, 2), 256);
    mmio_out(rig, 0x18, 100, 2); /* not a power of two */
    assert_int_equal(mmio_in(rig, 0x18, 2), 256);
    mmio_out(rig, 0x16, 7, 2); /* no such queue */
    assert_int_equal(mmio_in(rig, 0x18, 2), 0);
    mmio_out(rig, 0x1c, 1, 2);
    mmio_out(rig, 0x00, 1, 4);
    assert_int_equal(mmio_in(rig, 0x04, 4) & 1, 1); /* VERSION_1 */
    mmio_out(rig, 0x00, 2, 4);
    assert_int_equal(mmio_in(rig, 0x04, 4), 0);
    assert_int_equal(mmio_in(rig, 0x2000, 4), SECTORS);
    assert_int_equal(mmio_in(rig, 0x2000 + 20, 4), 512);
    assert_int_equal(mmio_in(rig, 0x2ffc, 4), 0);
    /* A feature that was not offered: FEATURES_OK does not stick. */
    mmio_out(rig, 0x14, 3, 1);
    mmio_out(rig, 0x08, 0, 4);
    mmio_out(rig, 0x0c, 1, 4);
    mmio_out(rig, 0x14, 11, 1);
    assert_int_equal(status(rig), 3);
    rig_free(rig);
}

static void access_window(void **state)
{
    struct rig *rig = setup_blk(0);
    weir_dev *host = rig->vm->pci;
    unsigned at = pci_config_read(host, DEVFN, 0x34, 1);
    while (pci_config_read(host, DEVFN, at, 1) != 9 ||
           pci_config_read(host, DEVFN, at + 3, 1) != 5)
        at = pci_config_read(host, DEVFN, at + 1, 1);
    pci_config_write(host, DEVFN, at + 4, 4, 1);
    pci_config_write(host, DEVFN, at + 8, 0x2000, 4);
    pci_config_write(host, DEVFN, at + 12, 4, 4);
    assert_int_equal(pci_config_read(host, DEVFN, at + 16, 4), SECTORS);
    pci_config_write(host, DEVFN, at + 8, 0x14, 4);
    pci_config_write(host, DEVFN, at + 12, 1, 4);
    pci_config_write(host, DEVFN, at + 16, 3, 1);
    assert_int_equal(status(rig), 3);
    pci_config_write(host, DEVFN, at + 8, 0xfffffffc, 4); /* outside */
    pci_config_write(host, DEVFN, at + 12, 4, 4);
    pci_config_read(host, DEVFN, at + 16, 4);
    pci_config_write(host, DEVFN, at + 16, 0xffffffff, 4);
    pci_config_write(host, DEVFN, at + 12, 0xffffffff, 4);
    pci_config_read(host, DEVFN, at + 16, 4);
    rig_free(rig);
}

/* ---- block device ---- */

static void block(void **state)
{
    struct rig *rig = setup_blk(0);
    uint8_t expected[512], data[1024];
    start(rig, 0, VIRTIO_F_VERSION_1);
    assert_int_equal(request(rig, 0, 77, 2048), 0);
    assert_int_equal(used_bytes(rig), 2049);
    for (unsigned n = 0; n < 4; n++) {
        rig_pattern(expected, 77 + n);
        assert_memory_equal(rig_ram(rig, DATA + 4096 + 512 * n), expected, 512);
    }
    assert_int_equal(rig->level[11], 1);
    assert_int_equal(mmio_in(rig, 0x1000, 1), 1); /* reading ISR takes it away */
    assert_int_equal(rig->level[11], 0);
    memset(rig_ram(rig, DATA + 4096), 0x5a, 1024);
    assert_int_equal(request(rig, 1, 500, 1024), 0);
    assert_int_equal(used_bytes(rig), 1);
    assert_int_equal(block_read(disk, 500 * 512, data, 1024), 0);
    assert_memory_equal(data, rig_ram(rig, DATA + 4096), 1024);
    assert_int_equal(request(rig, 4, 0, 0), 0);
    assert_int_equal(disk->flushes, 1);
    assert_int_equal(request(rig, 8, 0, 20), 0);
    assert_string_equal((char *)rig_ram(rig, DATA + 4096), "WD-0123456789");
    assert_int_equal(request(rig, 99, 0, 512), 2); /* unsupported */
    rig_free(rig);
}

static void block_limits(void **state)
{
    struct rig *rig = setup_blk(0);
    start(rig, 0, VIRTIO_F_VERSION_1);
    assert_int_equal(request(rig, 0, SECTORS - 1, 512), 0);
    assert_int_equal(request(rig, 0, SECTORS - 1, 1024), 1);
    assert_int_equal(request(rig, 0, SECTORS, 512), 1);
    assert_int_equal(request(rig, 0, UINT64_MAX, 512), 1);
    assert_int_equal(request(rig, 0, UINT64_MAX / 512 + 1, 512), 1); /* wraps to 0 */
    assert_int_equal(request(rig, 0, 0, 100), 1);
    assert_int_equal(request(rig, 1, SECTORS, 512), 1);
    assert_int_equal(request(rig, 8, 0, 19), 1);
    /* Data where no memory is */
    header(rig, 0, 0);
    desc(rig, 0, DATA, 16, NEXT, 1);
    desc(rig, 1, 0xa0000000, 512, NEXT | WRITE, 2);
    desc(rig, 2, DATA + 16, 1, WRITE, 0);
    offer(rig, 0);
    kick(rig, 0);
    assert_int_equal(*rig_ram(rig, DATA + 16), 1);
    assert_int_equal(status(rig), 15);
    rig_free(rig);
    rig = setup_blk(RIG_READ_ONLY);
    mmio_out(rig, 0, 0, 4);
    assert_int_equal(mmio_in(rig, 4, 4) & 0x20, 0x20);
    start(rig, 0, VIRTIO_F_VERSION_1 | 0x20);
    assert_int_equal(request(rig, 1, 0, 512), 1);
    assert_int_equal(request(rig, 0, 0, 512), 0);
    rig_free(rig);
}

/* One request in an indirect table, cut into odd pieces. */
static void indirect(void **state)
{
    struct rig *rig = setup_blk(0);
    uint8_t expected[512], got[512];
    start(rig, 0, VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT);
    header(rig, 0, 9);
    const struct {
        uint64_t gpa;
        uint32_t bytes;
        unsigned flags;
    } parts[] = {{DATA, 5, 0},          {DATA + 5, 11, 0},   {0x30000, 1, WRITE},
                 {0x30100, 500, WRITE}, {0x30800, 0, WRITE}, {0x31000, 11, WRITE},
                 {DATA + 16, 1, WRITE}};
    for (unsigned n = 0; n < ARRAY_SIZE(parts); n++) {
        uint8_t *d = rig_ram(rig, 0x40000 + 16 * n);
        store_le(d, parts[n].gpa, 8);
        store_le(d + 8, parts[n].bytes, 4);
        store_le(d + 12, parts[n].flags | (n + 1 < ARRAY_SIZE(parts) ? NEXT : 0), 2);
        store_le(d + 14, n + 1, 2);
    }
    desc(rig, 3, 0x40000, 16 * ARRAY_SIZE(parts), INDIRECT, 0);
    offer(rig, 3);
    kick(rig, 0);
    assert_int_equal(used_index(rig), 1);
    assert_int_equal(*rig_ram(rig, DATA + 16), 0);
    got[0] = *rig_ram(rig, 0x30000);
    memcpy(got + 1, rig_ram(rig, 0x30100), 500);
    memcpy(got + 501, rig_ram(rig, 0x31000), 11);
    rig_pattern(expected, 9);
    assert_memory_equal(got, expected, 512);
    assert_int_equal(load_le(rig_ram(rig, USED + 4), 4), 3);
    rig_free(rig);
}

static void event_index(void **state)
{
    struct rig *rig = setup_blk(0);
    start(rig, 0, VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX);
    unsigned used_event = AVAIL + 4 + 2 * SIZE, avail_event = USED + 4 + 8 * SIZE;
    store_le(rig_ram(rig, used_event), 2, 2); /* interrupt with the third */
    for (unsigned n = 0; n < 2; n++) {
        request(rig, 0, n, 512);
        assert_int_equal(rig->edges[11], 0);
        assert_int_equal(load_le(rig_ram(rig, avail_event), 2), n + 1);
    }
    request(rig, 0, 2, 512);
    assert_int_equal(rig->edges[11], 1);
    mmio_in(rig, 0x1000, 1);
    request(rig, 0, 3, 512);
    assert_int_equal(rig->edges[11], 1);
    rig_free(rig);
    rig = setup_blk(0);
    start(rig, 0, VIRTIO_F_VERSION_1);
    store_le(rig_ram(rig, AVAIL), 1, 2); /* NO_INTERRUPT */
    request(rig, 0, 0, 512);
    assert_int_equal(rig->edges[11], 0);
    rig_free(rig);
}

static struct {
    uint64_t address;
    uint32_t data, count;
} last_msi;
static void msi(void *ctx, uint64_t address, uint32_t data)
{
    last_msi.address = address;
    last_msi.data = data;
    last_msi.count++;
}

static void message_interrupts(void **state)
{
    struct rig *rig = setup_blk(0);
    weir_dev *host = rig->vm->pci;
    pci_set_msi_handler(host, msi, NULL);
    unsigned at = pci_config_read(host, DEVFN, 0x34, 1);
    while (pci_config_read(host, DEVFN, at, 1) != 0x11)
        at = pci_config_read(host, DEVFN, at + 1, 1);
    pci_config_write(host, DEVFN, at + 2, 0x8000, 2);
    bus_write(&rig->vm->mem, 0xe1000010, 0xfee00000, 4);
    bus_write(&rig->vm->mem, 0xe1000018, 0x31, 4);
    bus_write(&rig->vm->mem, 0xe100001c, 0, 4);
    start(rig, 0, VIRTIO_F_VERSION_1);
    mmio_out(rig, 0x1a, 9, 2); /* there are two */
    assert_int_equal(mmio_in(rig, 0x1a, 2), 0xffff);
    mmio_out(rig, 0x1a, 1, 2);
    assert_int_equal(mmio_in(rig, 0x1a, 2), 1);
    last_msi.count = 0;
    request(rig, 0, 0, 512);
    assert_int_equal(last_msi.count, 1);
    assert_int_equal(last_msi.data, 0x31);
    assert_int_equal(rig->edges[11], 0);
    assert_int_equal(mmio_in(rig, 0x1000, 1), 0);
    rig_free(rig);
}

/* ---- legacy registers ---- */

static void legacy(void **state)
{
    struct rig *rig = setup_blk(0);
    uint8_t expected[512];
    outb(rig, LEGACY + 18, 0);
    outb(rig, LEGACY + 18, 3);
    assert_int_equal(rig_in(rig, LEGACY + 12, 2), 256);
    assert_int_equal(rig_in(rig, LEGACY + 20, 4), SECTORS); /* configuration */
    rig_out(rig, LEGACY + 4, 0, 4);
    rig_out(rig, LEGACY + 8, 0x100000 >> 12, 4);
    assert_int_equal(rig_in(rig, LEGACY + 8, 4), 0x100);
    outb(rig, LEGACY + 18, 7);
    header(rig, 0, 33);
    uint8_t *d = rig_ram(rig, 0x100000);
    const uint64_t gpas[] = {DATA, DATA + 4096, DATA + 16};
    const uint32_t bytes[] = {16, 512, 1};
    for (unsigned n = 0; n < 3; n++, d += 16) {
        store_le(d, gpas[n], 8);
        store_le(d + 8, bytes[n], 4);
        store_le(d + 12, (n ? WRITE : 0) | (n < 2 ? NEXT : 0), 2);
        store_le(d + 14, n + 1, 2);
    }
    store_le(rig_ram(rig, 0x101002), 1, 2);
    rig_out(rig, LEGACY + 16, 0, 2);
    assert_int_equal(*rig_ram(rig, DATA + 16), 0);
    rig_pattern(expected, 33);
    assert_memory_equal(rig_ram(rig, DATA + 4096), expected, 512);
    assert_int_equal(load_le(rig_ram(rig, 0x102002), 2), 1); /* used ring: next page */
    assert_int_equal(rig->level[11], 1);
    assert_int_equal(inb(rig, LEGACY + 19), 1);
    assert_int_equal(rig->level[11], 0);
    rig_out(rig, LEGACY + 8, 0, 4); /* page 0 resets */
    assert_int_equal(inb(rig, LEGACY + 18), 0);
    rig_free(rig);
}

/* ---- hostile drivers ---- */

static void expect_broken(struct rig *rig)
{
    unsigned before = used_index(rig);
    kick(rig, 0);
    assert_int_equal(status(rig) & NEEDS_RESET, NEEDS_RESET);
    assert_int_equal(used_index(rig), before);
    kick(rig, 0); /* stays so, without a log line each time */
    assert_int_equal(rig->guest_errors, 1);
    rig->guest_errors = 0;
    start(rig, 0, VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT);
    assert_int_equal(request(rig, 0, 0, 512), 0); /* and reset helps */
}

static void hostile(void **state)
{
    struct rig *rig = setup_blk(0);
    const uint64_t features = VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT;
    start(rig, 0, features);
    desc(rig, 0, DATA, 16, NEXT, 0); /* a chain that loops */
    offer(rig, 0);
    expect_broken(rig);
    desc(rig, 5, DATA, 16, NEXT, SIZE); /* next outside the table */
    offer(rig, 5);
    expect_broken(rig);
    offer(rig, SIZE); /* head outside the table */
    expect_broken(rig);
    offer(rig, 0xffff);
    expect_broken(rig);
    store_le(rig_ram(rig, AVAIL + 2), avail_index(rig) + SIZE + 1u, 2); /* too many */
    expect_broken(rig);
    desc(rig, 5, DATA + 16, 1, WRITE | NEXT, 6); /* readable behind writable */
    desc(rig, 6, DATA, 16, 0, 0);
    offer(rig, 5);
    expect_broken(rig);
    desc(rig, 5, 0x40000, 0, INDIRECT, 0); /* empty table */
    offer(rig, 5);
    expect_broken(rig);
    desc(rig, 5, 0x40000, 17, INDIRECT, 0);
    offer(rig, 5);
    expect_broken(rig);
    desc(rig, 5, 0x40000, 0xfffffff0, INDIRECT, 0); /* huge table */
    offer(rig, 5);
    expect_broken(rig);
    desc(rig, 5, 0x40000, 32, INDIRECT | NEXT, 6);
    offer(rig, 5);
    expect_broken(rig);
    desc(rig, 5, 0xfffffffffffffff0, 32, INDIRECT, 0); /* wraps */
    offer(rig, 5);
    expect_broken(rig);
    store_le(rig_ram(rig, 0x40000), 0x40000, 8); /* nested */
    store_le(rig_ram(rig, 0x40008), 16, 4);
    store_le(rig_ram(rig, 0x4000c), INDIRECT, 2);
    desc(rig, 5, 0x40000, 16, INDIRECT, 0);
    offer(rig, 5);
    expect_broken(rig);
    store_le(rig_ram(rig, 0x4000c), NEXT, 2); /* an indirect loop */
    store_le(rig_ram(rig, 0x4000e), 0, 2);
    desc(rig, 5, 0x40000, 16, INDIRECT, 0);
    offer(rig, 5);
    expect_broken(rig);
    desc(rig, 5, DATA, 16, 0, 0); /* no status byte */
    offer(rig, 5);
    expect_broken(rig);
    desc(rig, 5, DATA, 15, NEXT, 6); /* short header */
    desc(rig, 6, DATA + 16, 1, WRITE, 0);
    offer(rig, 5);
    expect_broken(rig);
    desc(rig, 5, 0xa0000000, 16, NEXT, 6); /* header nowhere */
    offer(rig, 5);
    expect_broken(rig);
    rig_free(rig);
}

/* Rings at addresses without memory, and huge segments. */
static void hostile_rings(void **state)
{
    static const uint64_t places[] = {0xa0000000, 0xfffffffffffff000, RIG_RAM_BYTES - 8, 3};
    struct rig *rig = setup_blk(0);
    for (unsigned part = 0; part < 3; part++) {
        for (unsigned n = 0; n < ARRAY_SIZE(places); n++) {
            start(rig, 0, VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX);
            mmio_out(rig, 0x20, 0, 8); /* enabled: does not change any more */
            assert_int_equal(mmio_in(rig, 0x20, 4), DESC);
            mmio_out(rig, 0x14, 0, 1);
            mmio_out(rig, 0x14, 11, 1);
            const uint64_t normal[] = {DESC, AVAIL, USED};
            for (unsigned k = 0; k < 3; k++)
                mmio_out(rig, 0x20 + 8 * k, k == part ? places[n] : normal[k], 8);
            mmio_out(rig, 0x18, SIZE, 2);
            mmio_out(rig, 0x1c, 1, 2);
            mmio_out(rig, 0x14, 15, 1);
            header(rig, 0, 0);
            desc(rig, 0, DATA, 16, NEXT, 1);
            desc(rig, 1, DATA + 16, 1, WRITE, 0);
            offer(rig, 0);
            kick(rig, 0);
        }
    }
    start(rig, 0, VIRTIO_F_VERSION_1);
    header(rig, 0, 0);
    desc(rig, 0, DATA, 16, NEXT, 1);
    for (unsigned n = 1; n < SIZE - 1; n++)
        desc(rig, n, 0x30000, 0xffffffff, NEXT | WRITE, n + 1);
    desc(rig, SIZE - 1, DATA + 16, 1, WRITE, 0);
    offer(rig, 0);
    kick(rig, 0);
    assert_int_equal(status(rig), 15);
    assert_int_equal(used_index(rig), 1);
    rig_free(rig);
}

/* ---- the small devices ---- */

static void entropy(void **state)
{
    struct rig *rig = rig_new();
    rig_add_pci(rig);
    rig_add(rig, &virtio_rng_class, NULL);
    map(rig);
    start(rig, 0, VIRTIO_F_VERSION_1);
    desc(rig, 0, DATA, 100, NEXT | WRITE, 1);
    desc(rig, 1, DATA + 1000, 1000, WRITE, 0);
    offer(rig, 0);
    kick(rig, 0);
    assert_int_equal(used_bytes(rig), 1100);
    unsigned zeros = 0;
    for (unsigned n = 0; n < 1000; n++)
        zeros += *rig_ram(rig, DATA + 1000 + n) == 0;
    assert_in_range(zeros, 0, 40);
    assert_int_equal(*rig_ram(rig, DATA + 100), 0);
    desc(rig, 0, DATA, 0xffffffff, WRITE, 0); /* more than there is memory */
    offer(rig, 0);
    kick(rig, 0);
    assert_int_equal(used_bytes(rig), 65536);
    rig_free(rig);
}

static char console_out[256];
static size_t console_bytes;
static void console_write(void *ctx, const uint8_t *data, size_t length)
{
    for (size_t n = 0; n < length && console_bytes < sizeof(console_out) - 1; n++)
        console_out[console_bytes++] = (char)data[n];
}

static void console(void **state)
{
    struct rig *rig = rig_new();
    rig_add_pci(rig);
    struct char_node *node = calloc(1, sizeof(*node));
    node->chr = char_new_callback("c0", console_write, NULL);
    rig->vm->chars = node;
    memset(console_out, 0, sizeof(console_out));
    console_bytes = 0;
    assert_int_equal(rig_try_add(rig, &virtconsole_class, "chardev=c0"), -WEIR_ENOENT);
    rig_add(rig, &virtio_serial_class, NULL);
    rig_add(rig, &virtconsole_class, "chardev=c0");
    assert_int_equal(rig_try_add(rig, &virtconsole_class, "chardev=c0"), -WEIR_EBUSY);
    map(rig);
    start(rig, 1, VIRTIO_F_VERSION_1);
    memcpy(rig_ram(rig, DATA), "hello, ", 7);
    memcpy(rig_ram(rig, DATA + 100), "host\n", 5);
    desc(rig, 0, DATA, 7, NEXT, 1);
    desc(rig, 1, DATA + 100, 5, 0, 0);
    offer(rig, 0);
    kick(rig, 1);
    assert_string_equal(console_out, "hello, host\n");
    mmio_out(rig, 0x2008, '!', 4); /* emergency write */
    assert_string_equal(console_out, "hello, host\n!");
    /* Input waits for a buffer. */
    start(rig, 0, VIRTIO_F_VERSION_1);
    assert_int_equal(char_feed(node->chr, (const uint8_t *)"abc", 3), 3);
    desc(rig, 0, DATA, 2, WRITE, 0);
    desc(rig, 1, DATA + 100, 64, WRITE, 0);
    offer(rig, 0);
    offer(rig, 1);
    kick(rig, 0);
    assert_memory_equal(rig_ram(rig, DATA), "ab", 2);
    assert_int_equal(*rig_ram(rig, DATA + 100), 'c');
    assert_int_equal(used_index(rig), 2);
    assert_int_equal(used_bytes(rig), 1);
    rig_free(rig);
}

static void properties(void **state)
{
    struct rig *rig = rig_new();
    rig_add_pci(rig);
    assert_int_equal(rig_try_add(rig, &virtio_blk_class, NULL), -WEIR_EINVAL);
    assert_int_equal(rig_try_add(rig, &virtio_rng_class, "addr=zz"), -WEIR_EINVAL);
    assert_int_equal(rig_try_add(rig, &virtio_rng_class, "addr=20"), -WEIR_EINVAL);
    assert_int_equal(rig_try_add(rig, &virtio_rng_class, "addr=1"), -WEIR_EBUSY);
    rig_add(rig, &virtio_rng_class, "addr=0a.3");
    assert_int_equal(pci_config_read(rig->vm->pci, 10 * 8 + 3, 0, 4), 0x10051af4);
    rig_add(rig, &virtio_rng_class, "addr=0xa");
    assert_int_equal(pci_config_read(rig->vm->pci, 10 * 8, 0x0e, 1), 0x80);
    rig_free(rig);
}

/* Random registers and random rings. */
static void random_pokes(void **state)
{
    struct rig *rig = setup_blk(RIG_SNAPSHOT);
    srand(5);
    start(rig, 0, VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT);
    for (unsigned n = 0; n < 100000; n++) {
        unsigned value = (unsigned)rand() >> (rand() % 28);
        static const unsigned sizes[] = {1, 2, 4};
        switch (rand() % 8) {
        case 0:
            mmio_out(rig, value % 0x40, (unsigned)rand() >> (rand() % 28), sizes[rand() % 3]);
            break;
        case 1:
            mmio_in(rig, value % 0x4000, sizes[rand() % 3]);
            break;
        case 2:
            rig_out(rig, LEGACY + value % 64, (unsigned)rand(), sizes[rand() % 3]);
            break;
        case 3:
            start(rig, 0, VIRTIO_F_VERSION_1 | (value & 1 ? VIRTIO_F_EVENT_IDX : 0));
            break;
        case 4:
        case 5:
            for (unsigned k = 0; k < SIZE; k++)
                desc(rig, k, DATA + (unsigned)rand() % 0x20000, (unsigned)rand() % 4096,
                     (unsigned)rand() % 8, (unsigned)rand() % (SIZE + 1));
            header(rig, value % 10, (unsigned)rand() % (SECTORS + 2));
            desc(rig, 0, DATA, 16, NEXT, 1 + (unsigned)rand() % 3);
            offer(rig, 0);
            break;
        default:
            kick(rig, 0);
        }
    }
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(capabilities), cmocka_unit_test(access_window),
        cmocka_unit_test(block),        cmocka_unit_test(block_limits),
        cmocka_unit_test(indirect),     cmocka_unit_test(event_index),
        cmocka_unit_test(legacy),       cmocka_unit_test(message_interrupts),
        cmocka_unit_test(hostile),      cmocka_unit_test(hostile_rings),
        cmocka_unit_test(entropy),      cmocka_unit_test(console),
        cmocka_unit_test(properties),   cmocka_unit_test(random_pokes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
