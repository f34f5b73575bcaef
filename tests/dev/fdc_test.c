/* SPDX-License-Identifier: MIT */
/* The floppy controller with the real 8237 behind it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "rig.h"
#include "dev/chips.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER 0x20000u
#define MS     1000000ull

static struct weir_block *disk;

static struct rig *setup(uint64_t bytes, unsigned flags)
{
    struct rig *rig = rig_new();
    rig_add(rig, &dma_8237_class, NULL);
    disk = rig_drive(rig, "floppy", 0, bytes, flags);
    rig_add(rig, &fdc_class, NULL);
    rig_run(rig, MS);
    outb(rig, 0x3f2, 0x1c); /* drive 0, motor on, DMA and interrupt */
    outb(rig, 0x3f7, 0);    /* 500 kb/s */
    return rig;
}

static void command(struct rig *rig, unsigned count, const uint8_t *bytes)
{
    for (unsigned n = 0; n < count; n++) {
        assert_int_equal(inb(rig, 0x3f4) & 0xc0, 0x80);
        outb(rig, 0x3f5, bytes[n]);
    }
}
#define COMMAND(rig, ...)                                                                      \
    command(rig, sizeof((uint8_t[]){__VA_ARGS__}), (const uint8_t[]){__VA_ARGS__})

static unsigned results(struct rig *rig, uint8_t *out)
{
    unsigned count = 0;
    while ((inb(rig, 0x3f4) & 0xd0) == 0xd0 && count < 16)
        out[count++] = inb(rig, 0x3f5);
    return count;
}

static void sense(struct rig *rig, unsigned st0, unsigned cylinder)
{
    uint8_t r[16];
    assert_int_equal(rig->level[6], 1);
    COMMAND(rig, 0x08);
    assert_int_equal(results(rig, r), 2);
    assert_int_equal(r[0], st0);
    assert_int_equal(r[1], cylinder);
}

static void after_reset(struct rig *rig)
{
    for (unsigned n = 0; n < 4; n++) {
        uint8_t r[16];
        COMMAND(rig, 0x08);
        assert_int_equal(results(rig, r), 2);
        assert_int_equal(r[0], 0xc0 | n);
    }
}

static void seek(struct rig *rig, unsigned track)
{
    COMMAND(rig, 0x0f, 0, (uint8_t)track);
    assert_int_equal(inb(rig, 0x3f4) & 1, 1);
    rig_run(rig, MS);
    sense(rig, 0x20, track);
}

/* Programs channel 2: mode 46h = device to memory, 4Ah = memory to device. */
static void program_dma(struct rig *rig, unsigned mode, unsigned bytes)
{
    outb(rig, 0x0a, 6);
    outb(rig, 0x0c, 0);
    outb(rig, 0x0b, mode);
    outb(rig, 0x04, BUFFER & 0xff);
    outb(rig, 0x04, BUFFER >> 8 & 0xff);
    outb(rig, 0x81, BUFFER >> 16);
    outb(rig, 0x05, (bytes - 1) & 0xff);
    outb(rig, 0x05, (bytes - 1) >> 8);
    outb(rig, 0x0a, 2);
}

static void expect_result(struct rig *rig, const uint8_t expected[7])
{
    uint8_t r[16];
    rig_run(rig, MS);
    assert_int_equal(rig->level[6], 1);
    assert_int_equal(results(rig, r), 7);
    assert_memory_equal(r, expected, 7);
    assert_int_equal(rig->level[6], 0);
    assert_int_equal(inb(rig, 0x3f4), 0x80);
}
#define RESULT(rig, ...) expect_result(rig, (const uint8_t[7]){__VA_ARGS__})

static void expect_sectors(struct rig *rig, uint64_t gpa, unsigned first, unsigned count)
{
    uint8_t expected[512];
    for (unsigned n = 0; n < count; n++) {
        rig_pattern(expected, first + n);
        assert_memory_equal(rig_ram(rig, gpa + 512 * n), expected, 512);
    }
}

/* ---- tests ---- */

static void reset_sequence(void **state)
{
    struct rig *rig = setup(1440 * 1024, 0);
    uint8_t r[16];
    after_reset(rig);
    COMMAND(rig, 0x08);
    assert_int_equal(results(rig, r), 1);
    assert_int_equal(r[0], 0x80);
    outb(rig, 0x3f2, 0x18);
    assert_int_equal(inb(rig, 0x3f4), 0);
    assert_int_equal(rig->level[6], 0);
    outb(rig, 0x3f2, 0x1c);
    assert_int_equal(rig->level[6], 0);
    rig_run(rig, MS);
    assert_int_equal(rig->level[6], 1);
    after_reset(rig);
    assert_int_equal(rig->level[6], 0);
    outb(rig, 0x3f4, 0x80); /* data rate select register: software reset */
    rig_run(rig, MS);
    assert_int_equal(rig->level[6], 1);
    COMMAND(rig, 0x10);
    assert_int_equal(results(rig, r), 1);
    assert_int_equal(r[0], 0x90);
    COMMAND(rig, 0x13, 0, 0x57, 4);
    COMMAND(rig, 0x94);
    assert_int_equal(results(rig, r), 1);
    assert_int_equal(r[0], 0x10);
    COMMAND(rig, 0x03, 0xaf, 0x02);
    COMMAND(rig, 0x0e);
    assert_int_equal(results(rig, r), 10);
    assert_int_equal(r[4], 0xaf);
    assert_int_equal(r[5], 0x02);
    assert_int_equal(r[7], 0x80);
    assert_int_equal(r[8], 0x57);
    assert_int_equal(r[9], 4);
    COMMAND(rig, 0x1f); /* no such command */
    assert_int_equal(results(rig, r), 1);
    assert_int_equal(r[0], 0x80);
    COMMAND(rig, 0x8e, 0x00, 0xc0); /* DRIVE SPECIFICATION ends early */
    assert_int_equal(inb(rig, 0x3f4), 0x80);
    rig_free(rig);
}

static void seeks(void **state)
{
    struct rig *rig = setup(1440 * 1024, 0);
    uint8_t r[16];
    after_reset(rig);
    assert_int_equal(inb(rig, 0x3f7), 0x80); /* disk changed */
    COMMAND(rig, 0x07, 0);
    rig_run(rig, MS);
    sense(rig, 0x20, 0);
    COMMAND(rig, 0x04, 0);
    assert_int_equal(results(rig, r), 1);
    assert_int_equal(r[0], 0x38);
    seek(rig, 40);
    assert_int_equal(inb(rig, 0x3f7), 0);
    COMMAND(rig, 0x04, 4);
    results(rig, r);
    assert_int_equal(r[0], 0x2c);
    COMMAND(rig, 0x07, 1); /* there is no drive 1 */
    rig_run(rig, MS);
    sense(rig, 0x71, 0);
    COMMAND(rig, 0xcf, 0, 3); /* relative */
    rig_run(rig, MS);
    sense(rig, 0x20, 43);
    COMMAND(rig, 0x0f, 0, 255);
    rig_run(rig, MS);
    sense(rig, 0x20, 255); /* the heads stop at the last track */
    rig_free(rig);
}

static void dma_read(void **state)
{
    struct rig *rig = setup(1440 * 1024, 0);
    after_reset(rig);
    program_dma(rig, 0x46, 512);
    COMMAND(rig, 0xe6, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
    assert_int_equal(inb(rig, 0x3f4), 0x10);
    RESULT(rig, 0, 0, 0, 0, 0, 2, 2);
    expect_sectors(rig, BUFFER, 0, 1);
    /* Both heads of track 5 from sector 10, across the head change */
    seek(rig, 5);
    program_dma(rig, 0x46, 12 * 512);
    COMMAND(rig, 0xe6, 0, 5, 0, 10, 2, 18, 0x1b, 0xff);
    RESULT(rig, 4, 0, 0, 5, 1, 4, 2);
    expect_sectors(rig, BUFFER, (5 * 2) * 18 + 9, 12);
    /* To the last sector of the cylinder: C + 1, R 1 */
    program_dma(rig, 0x46, 2 * 512);
    COMMAND(rig, 0xe6, 4, 5, 1, 17, 2, 18, 0x1b, 0xff);
    RESULT(rig, 4, 0, 0, 6, 0, 1, 2);
    expect_sectors(rig, BUFFER, (5 * 2 + 1) * 18 + 16, 2);
    /* Without TC the end of the track ends it abnormally. */
    program_dma(rig, 0x46, 4 * 512);
    COMMAND(rig, 0x46, 4, 5, 1, 17, 2, 18, 0x1b, 0xff);
    RESULT(rig, 0x44, 0x80, 0, 6, 1, 1, 2);
    /* TC in the middle of a sector */
    memset(rig_ram(rig, BUFFER), 0xee, 1024);
    program_dma(rig, 0x46, 100);
    COMMAND(rig, 0xe6, 0, 5, 0, 1, 2, 18, 0x1b, 0xff);
    RESULT(rig, 0, 0, 0, 5, 0, 2, 2);
    assert_int_equal(rig_ram(rig, BUFFER)[100], 0xee);
    rig_free(rig);
}

/* The channel is unmasked after the command. */
static void late_dma(void **state)
{
    struct rig *rig = setup(1440 * 1024, 0);
    after_reset(rig);
    program_dma(rig, 0x46, 1024);
    outb(rig, 0x0a, 6);
    COMMAND(rig, 0xe6, 0, 0, 0, 3, 2, 18, 0x1b, 0xff);
    rig_run(rig, 100 * MS);
    assert_int_equal(rig->level[6], 0);
    assert_int_equal(inb(rig, 0x3f4), 0x10);
    outb(rig, 0x0a, 2);
    RESULT(rig, 0, 0, 0, 0, 0, 5, 2);
    expect_sectors(rig, BUFFER, 2, 2);
    rig_free(rig);
}

static void dma_write(void **state)
{
    struct rig *rig = setup(1440 * 1024, 0);
    uint8_t data[1024];
    after_reset(rig);
    seek(rig, 79);
    for (unsigned n = 0; n < 1024; n++)
        rig_ram(rig, BUFFER)[n] = (uint8_t)(n * 5);
    program_dma(rig, 0x4a, 1024);
    COMMAND(rig, 0xc5, 4, 79, 1, 17, 2, 18, 0x1b, 0xff);
    RESULT(rig, 4, 0, 0, 80, 0, 1, 2);
    assert_int_equal(block_read(disk, 2878 * 512, data, 1024), 0);
    assert_memory_equal(data, rig_ram(rig, BUFFER), 1024);
    /* FORMAT TRACK: four bytes per sector */
    for (unsigned n = 0; n < 18; n++)
        memcpy(rig_ram(rig, BUFFER + 4 * n), ((uint8_t[]){79, 0, (uint8_t)(n + 1), 2}), 4);
    program_dma(rig, 0x4a, 18 * 4);
    COMMAND(rig, 0x4d, 0, 2, 18, 0x54, 0xf6);
    rig_run(rig, MS);
    uint8_t r[16];
    assert_int_equal(results(rig, r), 7);
    assert_int_equal(r[0] & 0xc0, 0);
    assert_int_equal(block_read(disk, (79 * 2) * 18 * 512, data, 512), 0);
    assert_int_equal(data[0], 0xf6);
    assert_int_equal(data[511], 0xf6);
    /* VERIFY needs no DMA. */
    COMMAND(rig, 0xb6, 0x80, 79, 0, 1, 2, 18, 0x1b, 5);
    RESULT(rig, 0, 0, 0, 79, 0, 6, 2);
    rig_free(rig);
}

static void pio(void **state)
{
    struct rig *rig = setup(1440 * 1024, 0);
    uint8_t data[512], expected[512];
    after_reset(rig);
    COMMAND(rig, 0x03, 0xaf, 0x03); /* non-DMA */
    COMMAND(rig, 0x46, 0, 0, 0, 17, 2, 18, 0x1b, 0xff);
    rig_run(rig, MS);
    for (unsigned sector = 16; sector < 18; sector++) {
        assert_int_equal(rig->level[6], 1);
        for (unsigned n = 0; n < 512; n++) {
            assert_int_equal(inb(rig, 0x3f4), 0xf0);
            data[n] = inb(rig, 0x3f5);
        }
        rig_pattern(expected, sector);
        assert_memory_equal(data, expected, 512);
    }
    RESULT(rig, 0x40, 0x80, 0, 1, 0, 1, 2);
    COMMAND(rig, 0x45, 0, 0, 0, 18, 2, 18, 0x1b, 0xff);
    rig_run(rig, MS);
    for (unsigned n = 0; n < 512; n++) {
        assert_int_equal(inb(rig, 0x3f4), 0xb0);
        outb(rig, 0x3f5, 0x77);
    }
    RESULT(rig, 0x40, 0x80, 0, 1, 0, 1, 2);
    assert_int_equal(block_read(disk, 17 * 512, data, 512), 0);
    assert_int_equal(data[0], 0x77);
    rig_free(rig);
}

static void errors(void **state)
{
    struct rig *rig = setup(1440 * 1024, RIG_READ_ONLY);
    uint8_t r[16];
    after_reset(rig);
    program_dma(rig, 0x46, 512);
    COMMAND(rig, 0x46, 0, 0, 0, 19, 2, 18, 0x1b, 0xff); /* no such sector */
    RESULT(rig, 0x40, 4, 0, 0, 0, 19, 2);
    COMMAND(rig, 0x46, 0, 1, 0, 1, 2, 18, 0x1b, 0xff); /* not seeked */
    RESULT(rig, 0x40, 4, 0x10, 1, 0, 1, 2);
    COMMAND(rig, 0x46, 0, 0, 0, 0, 2, 18, 0x1b, 0xff); /* sector 0 */
    RESULT(rig, 0x40, 4, 0, 0, 0, 0, 2);
    COMMAND(rig, 0x46, 0, 0, 0, 1, 3, 18, 0x1b, 0xff); /* 1024 bytes */
    RESULT(rig, 0x40, 4, 0, 0, 0, 1, 3);
    COMMAND(rig, 0x45, 0, 0, 0, 1, 2, 18, 0x1b, 0xff); /* protected */
    RESULT(rig, 0x40, 2, 0, 0, 0, 1, 2);
    COMMAND(rig, 0x04, 0);
    results(rig, r);
    assert_int_equal(r[0] & 0x40, 0x40);
    outb(rig, 0x3f7, 2); /* 250 kb/s cannot read it */
    COMMAND(rig, 0x46, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
    RESULT(rig, 0x40, 1, 0, 0, 0, 1, 2);
    COMMAND(rig, 0x4a, 0);
    RESULT(rig, 0x40, 1, 0, 0, 0, 1, 2);
    outb(rig, 0x3f7, 0);
    COMMAND(rig, 0x4a, 4);
    rig_run(rig, MS);
    assert_int_equal(results(rig, r), 7);
    assert_int_equal(r[0], 4);
    assert_int_equal(r[4], 1);
    assert_in_range(r[5], 1, 18);
    block_close(disk); /* the medium is taken out */
    disk->changed(disk->changed_ctx);
    COMMAND(rig, 0x46, 0, 0, 0, 1, 2, 18, 0x1b, 0xff);
    RESULT(rig, 0x40, 1, 0, 0, 0, 1, 2);
    assert_int_equal(inb(rig, 0x3f7), 0x80);
    COMMAND(rig, 0x46, 2, 0, 0, 1, 2, 18, 0x1b, 0xff); /* no such drive */
    RESULT(rig, 0x42, 1, 0, 0, 0, 1, 2);
    rig_free(rig);
}

static void formats(void **state)
{
    static const struct {
        unsigned kbytes, type, track, head, sector, rate;
        uint32_t number;
    } cases[] = {
        {360, 1, 39, 1, 9, 1, 719},    {720, 3, 79, 1, 9, 2, 1439},
        {1200, 2, 79, 1, 15, 0, 2399}, {1440, 4, 79, 1, 18, 0, 2879},
        {2880, 5, 79, 1, 36, 3, 5759}, {160, 1, 39, 0, 8, 2, 319},
    };
    for (unsigned n = 0; n < ARRAY_SIZE(cases); n++) {
        struct rig *rig = setup(cases[n].kbytes * 1024, 0);
        weir_dev *fdc = weir_dev_find(rig->vm, "isa-fdc", NULL);
        assert_int_equal(fdc_cmos_type(fdc, 0), cases[n].type);
        assert_int_equal(fdc_cmos_type(fdc, 1), 0);
        after_reset(rig);
        outb(rig, 0x3f7, cases[n].rate);
        seek(rig, cases[n].track);
        program_dma(rig, 0x46, 512);
        uint8_t track = (uint8_t)cases[n].track, head = (uint8_t)cases[n].head;
        uint8_t sector = (uint8_t)cases[n].sector;
        COMMAND(rig, 0x46, (uint8_t)(head << 2), track, head, sector, 2, sector, 0x1b, 0xff);
        RESULT(rig, (uint8_t)(head << 2), 0, 0, (uint8_t)(track + 1), head, 1, 2);
        expect_sectors(rig, BUFFER, cases[n].number, 1);
        rig_free(rig);
    }
}

static void change_of_medium(void **state)
{
    struct rig *rig = setup(0, RIG_EMPTY);
    char *path = rig_image(720 * 1024);
    assert_int_equal(fdc_cmos_type(weir_dev_find(rig->vm, "isa-fdc", NULL), 0), 4);
    after_reset(rig);
    assert_int_equal(inb(rig, 0x3f7), 0x80);
    seek(rig, 1);
    assert_int_equal(inb(rig, 0x3f7), 0x80); /* stays without a medium */
    assert_int_equal(block_open(disk, path, &rig->vm->err), 0);
    disk->changed(disk->changed_ctx);
    assert_int_equal(inb(rig, 0x3f7), 0x80);
    seek(rig, 0);
    assert_int_equal(inb(rig, 0x3f7), 0);
    outb(rig, 0x3f7, 2);
    program_dma(rig, 0x46, 512);
    COMMAND(rig, 0x46, 0, 0, 0, 9, 2, 9, 0x1b, 0xff);
    RESULT(rig, 0, 0, 0, 1, 0, 1, 2);
    expect_sectors(rig, BUFFER, 8, 1);
    unlink(path);
    free(path);
    rig_free(rig);
}

static void random_pokes(void **state)
{
    struct rig *rig = setup(1440 * 1024, RIG_SNAPSHOT);
    srand(11);
    static const uint8_t opcodes[] = {0x46, 0xe6, 0xc5, 0x4d, 0x4a, 0x0f, 0x07, 0x08,
                                      0xb6, 0x42, 0x03, 0x13, 0x8e, 0x14, 0x0e, 0xcf};
    for (unsigned n = 0; n < 200000; n++) {
        unsigned what = (unsigned)rand() % 12, value = (unsigned)rand();
        if (what < 6)
            outb(rig, 0x3f5, inb(rig, 0x3f4) == 0x80 ? opcodes[value % 16] : value % 40);
        else if (what < 9)
            inb(rig, 0x3f0 + value % 8);
        else if (what == 9)
            outb(rig, 0x3f2, value % 16 ? 0x1c : value >> 8);
        else if (what == 10)
            rig_run(rig, value % (2 * MS));
        else if (value % 4)
            program_dma(rig, value & 0x100 ? 0x46 : 0x4a, 1 + value % 20000);
        else
            outb(rig, 0x3f0 + value / 4 % 8, value >> 8);
    }
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reset_sequence),   cmocka_unit_test(seeks),
        cmocka_unit_test(dma_read),         cmocka_unit_test(late_dma),
        cmocka_unit_test(dma_write),        cmocka_unit_test(pio),
        cmocka_unit_test(errors),           cmocka_unit_test(formats),
        cmocka_unit_test(change_of_medium), cmocka_unit_test(random_pokes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
