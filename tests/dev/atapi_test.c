/* SPDX-License-Identifier: MIT */
/* The CD-ROM drive: packet protocol by PIO and DMA, tables, errors, change of medium. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "rig.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CD_SECTORS 100u
#define BM         0xc000u
#define PRD        0x10000u
enum { ERR = 1, DRQ = 8 };

static struct weir_block *cd;

static struct rig *setup(unsigned flags)
{
    struct rig *rig = rig_new();
    weir_dev *host = rig_add_pci(rig);
    cd = rig_drive(rig, "ide", 2, CD_SECTORS * 2048, RIG_CDROM | flags);
    rig_add(rig, &piix3_ide_class, NULL);
    pci_config_write(host, 9, 0x20, BM, 4);
    pci_config_write(host, 9, 4, 5, 2);
    return rig;
}

/* Sends a packet; the reply (by PIO, in chunks of at most `limit`) is read into buffer. Returns
 * its length, or -1 when the drive reports an error. */
static int packet(struct rig *rig, const uint8_t *bytes, void *buffer, unsigned limit)
{
    uint8_t full[12] = {0}, *out = buffer;
    int total = 0;
    memcpy(full, bytes, 12);
    outb(rig, 0x176, 0xa0);
    outb(rig, 0x171, 0);
    outb(rig, 0x174, limit & 0xff);
    outb(rig, 0x175, limit >> 8);
    outb(rig, 0x177, 0xa0);
    assert_int_equal(inb(rig, 0x177) & (DRQ | ERR), DRQ);
    assert_int_equal(inb(rig, 0x172) & 3, 1);
    assert_int_equal(rig->level[15], 0);
    for (unsigned n = 0; n < 12; n += 2)
        rig_out(rig, 0x170, (uint32_t)load_le(full + n, 2), 2);
    for (;;) {
        assert_int_equal(rig->level[15], 1);
        uint8_t status = inb(rig, 0x177);
        if (status & ERR)
            return -1;
        if (!(status & DRQ))
            break;
        assert_int_equal(inb(rig, 0x172) & 3, 2);
        unsigned chunk = inb(rig, 0x174) | (unsigned)inb(rig, 0x175) << 8;
        assert_true(chunk > 0 && chunk <= limit);
        for (unsigned n = 0; n < chunk; n += 2)
            store_le(out + total + n, rig_in(rig, 0x170, 2), chunk - n < 2 ? 1 : 2);
        total += (int)chunk;
    }
    assert_int_equal(inb(rig, 0x172) & 3, 3);
    return total;
}

#define PACKET(...)                                                                            \
    (const uint8_t[12])                                                                        \
    {                                                                                          \
        __VA_ARGS__                                                                            \
    }

static void sense(struct rig *rig, unsigned key, unsigned asc)
{
    uint8_t data[18];
    assert_int_equal(packet(rig, PACKET(0x03, 0, 0, 0, 18), data, 0xfffe), 18);
    assert_int_equal(data[2], key);
    assert_int_equal(data[12], asc);
}

static void expect_sectors(const uint8_t *data, unsigned first, unsigned count)
{
    uint8_t expected[512];
    for (unsigned n = 0; n < 4 * count; n++) {
        rig_pattern(expected, 4 * first + n);
        assert_memory_equal(data + 512 * n, expected, 512);
    }
}

static void identification(void **state)
{
    struct rig *rig = setup(0);
    uint8_t data[512];
    outb(rig, 0x176, 0xa0);
    outb(rig, 0x177, 0xec); /* IDENTIFY DEVICE is refused with the signature */
    assert_int_equal(inb(rig, 0x177) & ERR, ERR);
    assert_int_equal(inb(rig, 0x174), 0x14);
    assert_int_equal(inb(rig, 0x175), 0xeb);
    outb(rig, 0x177, 0xa1);
    assert_int_equal(rig->level[15], 1);
    for (unsigned n = 0; n < 512; n += 2)
        store_le(data + n, rig_in(rig, 0x170, 2), 2);
    assert_int_equal(inb(rig, 0x177) & DRQ, 0);
    assert_int_equal(load_le(data, 2), 0x85c0);
    outb(rig, 0x376, 4);
    outb(rig, 0x376, 0);
    assert_int_equal(inb(rig, 0x174) | inb(rig, 0x175) << 8, 0xeb14);
    outb(rig, 0x177, 0x08); /* DEVICE RESET */
    assert_int_equal(inb(rig, 0x174) | inb(rig, 0x175) << 8, 0xeb14);
    assert_int_equal(packet(rig, PACKET(0x12, 0, 0, 0, 36), data, 0xfffe), 36);
    assert_int_equal(data[0], 5);
    assert_int_equal(data[1], 0x80);
    assert_memory_equal(data + 8, "WEIR    ", 8);
    assert_int_equal(packet(rig, PACKET(0x12, 0, 0, 0, 5), data, 0xfffe), 5);
    rig_free(rig);
}

static void reads(void **state)
{
    struct rig *rig = setup(0);
    static uint8_t data[64 * 2048];
    assert_int_equal(packet(rig, PACKET(0x00), data, 0xfffe), 0);
    assert_int_equal(packet(rig, PACKET(0x25), data, 0xfffe), 8);
    assert_int_equal(__builtin_bswap32((uint32_t)load_le(data, 4)), CD_SECTORS - 1);
    assert_int_equal(__builtin_bswap32((uint32_t)load_le(data + 4, 4)), 2048);
    assert_int_equal(packet(rig, PACKET(0x28, 0, 0, 0, 0, 10, 0, 0, 3), data, 0xfffe),
                     3 * 2048);
    expect_sectors(data, 10, 3);
    /* More than the buffer, in chunks of an odd limit */
    assert_int_equal(packet(rig, PACKET(0xa8, 0, 0, 0, 0, 20, 0, 0, 0, 64), data, 2049),
                     64 * 2048);
    expect_sectors(data, 20, 64);
    assert_int_equal(packet(rig, PACKET(0x28, 0, 0, 0, 0, 10, 0, 0, 0), data, 0xfffe), 0);
    /* READ CD: user data, and raw with header */
    assert_int_equal(packet(rig, PACKET(0xbe, 0, 0, 0, 0, 5, 0, 0, 2, 0x10), data, 0xfffe),
                     2 * 2048);
    expect_sectors(data, 5, 2);
    assert_int_equal(packet(rig, PACKET(0xbe, 0, 0, 0, 0, 75, 0, 0, 1, 0xf8), data, 0xfffe),
                     2352);
    expect_sectors(data + 16, 75, 1);
    assert_memory_equal(data + 12, ((uint8_t[]){0, 3, 0, 1}), 4); /* 00:03:00, mode 1 */
    assert_int_equal(packet(rig, PACKET(0xb9, 0, 0, 0, 2, 5, 0, 2, 6, 0x10), data, 0xfffe),
                     2048);
    expect_sectors(data, 5, 1);
    rig_free(rig);
}

static void dma_read(void **state)
{
    struct rig *rig = setup(0);
    const uint8_t read[12] = {0x28, 0, 0, 0, 0, 1, 0, 0, 40};
    store_le(rig_ram(rig, PRD), 0x20000, 4);
    store_le(rig_ram(rig, PRD + 4), 0, 4); /* 64 KiB */
    store_le(rig_ram(rig, PRD + 8), 0x30000, 4);
    store_le(rig_ram(rig, PRD + 12), (40u * 2048 - 0x10000) | 0x80000000u, 4);
    outb(rig, 0x171, 1);
    outb(rig, 0x177, 0xa0);
    for (unsigned n = 0; n < 12; n += 2)
        rig_out(rig, 0x170, (uint32_t)load_le(read + n, 2), 2);
    assert_int_equal(rig->level[15], 0);
    rig_out(rig, BM + 12, PRD, 4);
    outb(rig, BM + 8, 9);
    assert_int_equal(inb(rig, BM + 10) & 7, 4);
    assert_int_equal(rig->level[15], 1);
    assert_int_equal(inb(rig, 0x177) & (DRQ | ERR), 0);
    assert_int_equal(inb(rig, 0x172) & 3, 3);
    expect_sectors(rig_ram(rig, 0x20000), 1, 40);
    rig_free(rig);
}

static void toc(void **state)
{
    struct rig *rig = setup(0);
    uint8_t data[64];
    assert_int_equal(packet(rig, PACKET(0x43, 0, 0, 0, 0, 0, 0, 0, 64), data, 0xfffe), 20);
    assert_memory_equal(data, ((uint8_t[]){0, 18, 1, 1,    0,    0x14, 1, 0, 0, 0,
                                           0, 0,  0, 0x16, 0xaa, 0,    0, 0, 0, CD_SECTORS}),
                        20);
    assert_int_equal(packet(rig, PACKET(0x43, 2, 0, 0, 0, 0, 0xaa, 0, 64), data, 0xfffe), 12);
    assert_memory_equal(data + 8, ((uint8_t[]){0, 0, 3, 25}), 4); /* 250 frames */
    assert_int_equal(packet(rig, PACKET(0x43, 0, 1, 0, 0, 0, 0, 0, 12), data, 0xfffe), 12);
    assert_int_equal(packet(rig, PACKET(0x43, 0, 0, 0, 0, 0, 0, 0, 12, 0x40), data, 0xfffe),
                     12);
    assert_int_equal(packet(rig, PACKET(0x43, 2, 2, 0, 0, 0, 0, 0, 64), data, 0xfffe), 48);
    assert_int_equal(data[4 + 3], 0xa0);
    assert_int_equal(packet(rig, PACKET(0x43, 0, 0, 0, 0, 0, 7, 0, 64), data, 0xfffe), -1);
    sense(rig, 5, 0x24);
    assert_int_equal(packet(rig, PACKET(0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 64), data, 0xfffe), 28);
    assert_int_equal(data[8], 0x2a);
    assert_int_equal(packet(rig, PACKET(0x46, 0, 0, 0, 0, 0, 0, 0, 64), data, 0xfffe), 40);
    assert_int_equal(data[7], 0x08); /* CD-ROM profile */
    assert_int_equal(packet(rig, PACKET(0x51, 0, 0, 0, 0, 0, 0, 0, 64), data, 0xfffe), 34);
    assert_int_equal(packet(rig, PACKET(0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8), data, 0xfffe), 8);
    rig_free(rig);
}

static void errors(void **state)
{
    struct rig *rig = setup(0);
    uint8_t data[2048];
    assert_int_equal(packet(rig, PACKET(0x28, 0, 0, 0, 0, CD_SECTORS, 0, 0, 1), data, 0xfffe),
                     -1);
    assert_int_equal(inb(rig, 0x171) >> 4, 5);
    sense(rig, 5, 0x21);
    sense(rig, 0, 0); /* read once */
    assert_int_equal(
        packet(rig, PACKET(0x28, 0, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff), data, 0xfffe), -1);
    sense(rig, 5, 0x21);
    assert_int_equal(
        packet(rig, PACKET(0xa8, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff), data, 512), -1);
    sense(rig, 5, 0x21);
    assert_int_equal(packet(rig, PACKET(0xff), data, 0xfffe), -1);
    sense(rig, 5, 0x20);
    outb(rig, 0x176, 0xa0);
    outb(rig, 0x177, 0x20); /* READ SECTORS is for disks */
    assert_int_equal(inb(rig, 0x177) & ERR, ERR);
    rig_free(rig);
    rig = setup(RIG_EMPTY);
    assert_int_equal(packet(rig, PACKET(0x00), data, 0xfffe), -1);
    sense(rig, 2, 0x3a);
    assert_int_equal(packet(rig, PACKET(0x28, 0, 0, 0, 0, 0, 0, 0, 1), data, 0xfffe), -1);
    sense(rig, 2, 0x3a);
    assert_int_equal(packet(rig, PACKET(0x25), data, 0xfffe), -1);
    assert_int_equal(packet(rig, PACKET(0x12, 0, 0, 0, 36), data, 0xfffe), 36);
    rig_free(rig);
}

static void tray(void **state)
{
    struct rig *rig = setup(0);
    uint8_t data[64];
    assert_int_equal(packet(rig, PACKET(0x1e, 0, 0, 0, 1), data, 0xfffe), 0);
    assert_true(cd->locked);
    assert_int_equal(packet(rig, PACKET(0x1b, 0, 0, 0, 2), data, 0xfffe), -1);
    sense(rig, 5, 0x53);
    assert_int_equal(packet(rig, PACKET(0x1e), data, 0xfffe), 0);
    assert_false(cd->locked);
    assert_int_equal(packet(rig, PACKET(0x1b, 0, 0, 0, 2), data, 0xfffe), 0);
    assert_int_equal(packet(rig, PACKET(0x00), data, 0xfffe), -1);
    sense(rig, 2, 0x3a);
    assert_int_equal(packet(rig, PACKET(0x1b, 0, 0, 0, 3), data, 0xfffe), 0);
    assert_int_equal(packet(rig, PACKET(0x00), data, 0xfffe), -1);
    sense(rig, 6, 0x28);
    assert_int_equal(packet(rig, PACKET(0x00), data, 0xfffe), 0);
    rig_free(rig);
}

static void change_of_medium(void **state)
{
    struct rig *rig = setup(0);
    uint8_t data[64];
    char *path = rig_image(50 * 2048);
    assert_int_equal(packet(rig, PACKET(0x00), data, 0xfffe), 0);
    assert_int_equal(block_open(cd, path, &rig->vm->err), 0);
    cd->changed(cd->changed_ctx);
    assert_int_equal(packet(rig, PACKET(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8), data, 0xfffe), 8);
    assert_int_equal(data[4], 2); /* new media */
    assert_int_equal(packet(rig, PACKET(0x00), data, 0xfffe), -1);
    sense(rig, 2, 0x3a);
    assert_int_equal(packet(rig, PACKET(0x25), data, 0xfffe), -1);
    sense(rig, 6, 0x28);
    assert_int_equal(packet(rig, PACKET(0x25), data, 0xfffe), 8);
    assert_int_equal(data[3], 49);
    block_close(cd);
    cd->changed(cd->changed_ctx);
    assert_int_equal(packet(rig, PACKET(0x25), data, 0xfffe), -1);
    sense(rig, 2, 0x3a);
    unlink(path);
    free(path);
    rig_free(rig);
}

/* The medium disappears in the middle of a read. */
static void vanishing_medium(void **state)
{
    struct rig *rig = setup(0);
    const uint8_t read[12] = {0xa8, 0, 0, 0, 0, 0, 0, 0, 0, 90};
    outb(rig, 0x174, 0);
    outb(rig, 0x175, 8);
    outb(rig, 0x177, 0xa0);
    for (unsigned n = 0; n < 12; n += 2)
        rig_out(rig, 0x170, (uint32_t)load_le(read + n, 2), 2);
    block_close(cd);
    cd->changed(cd->changed_ctx);
    for (unsigned n = 0; n < 90 * 1024 && (inb(rig, 0x377 - 1) & DRQ); n++)
        rig_in(rig, 0x170, 2);
    assert_int_equal(inb(rig, 0x177) & (DRQ | ERR), ERR);
    assert_int_equal(inb(rig, 0x171) >> 4, 2);
    rig_free(rig);
}

static void random_packets(void **state)
{
    struct rig *rig = setup(0);
    srand(3);
    static uint8_t data[0x40000];
    for (unsigned n = 0; n < 20000; n++) {
        uint8_t bytes[12];
        for (unsigned k = 0; k < 12; k++)
            bytes[k] = rand() % 3 ? 0 : (uint8_t)rand();
        if (n % 2)
            bytes[0] =
                ((const uint8_t[]){0x28, 0xa8, 0x43, 0x5a, 0x46, 0xbe, 0x12, 0x42})[n / 2 % 8];
        if (packet(rig, bytes, data, 2 + (unsigned)rand() % 0xfff0) < 0)
            inb(rig, 0x177);
    }
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identification),   cmocka_unit_test(reads),
        cmocka_unit_test(dma_read),         cmocka_unit_test(toc),
        cmocka_unit_test(errors),           cmocka_unit_test(tray),
        cmocka_unit_test(change_of_medium), cmocka_unit_test(vanishing_medium),
        cmocka_unit_test(random_packets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
