/* SPDX-License-Identifier: MIT */
/* IDE hard disks: identification, PIO, bus master, limits, resets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "rig.h"

#include <stdlib.h>
#include <string.h>

#define DISK_SECTORS 4096u
#define BM           0xc000u
#define PRD          0x10000u
enum { ERR = 1, DRQ = 8, DRDY = 0x40, BSY = 0x80 };

static weir_dev *ide;

static struct rig *setup(unsigned drives)
{
    struct rig *rig = rig_new();
    weir_dev *host = rig_add_pci(rig);
    for (unsigned n = 0; n < 4; n++)
        if (drives >> n & 1)
            rig_drive(rig, "ide", (int)n, DISK_SECTORS * 512, 0);
    ide = rig_add(rig, &piix3_ide_class, NULL);
    pci_config_write(host, 9, 0x20, BM, 4);
    pci_config_write(host, 9, 4, 5, 2);
    return rig;
}

static void taskfile(struct rig *rig, uint64_t lba, unsigned count, unsigned command)
{
    outb(rig, 0x1f6, 0xe0 | (lba >> 24 & 15));
    outb(rig, 0x1f2, count);
    outb(rig, 0x1f3, lba & 0xff);
    outb(rig, 0x1f4, lba >> 8 & 0xff);
    outb(rig, 0x1f5, lba >> 16 & 0xff);
    outb(rig, 0x1f7, command);
}

static void taskfile48(struct rig *rig, uint64_t lba, unsigned count, unsigned command)
{
    outb(rig, 0x1f6, 0x40);
    outb(rig, 0x1f2, count >> 8);
    outb(rig, 0x1f3, lba >> 24 & 0xff);
    outb(rig, 0x1f4, lba >> 32 & 0xff);
    outb(rig, 0x1f5, lba >> 40 & 0xff);
    outb(rig, 0x1f2, count & 0xff);
    outb(rig, 0x1f3, lba & 0xff);
    outb(rig, 0x1f4, lba >> 8 & 0xff);
    outb(rig, 0x1f5, lba >> 16 & 0xff);
    outb(rig, 0x1f7, command);
}

static void read_words(struct rig *rig, void *buffer, unsigned bytes)
{
    for (unsigned n = 0; n < bytes; n += 2)
        store_le((uint8_t *)buffer + n, rig_in(rig, 0x1f0, 2), 2);
}

static void write_words(struct rig *rig, const void *buffer, unsigned bytes)
{
    for (unsigned n = 0; n < bytes; n += 4)
        rig_out(rig, 0x1f0, (uint32_t)load_le((const uint8_t *)buffer + n, 4), 4);
}

static void expect_sector(const uint8_t *data, uint32_t number)
{
    uint8_t expected[512];
    rig_pattern(expected, number);
    assert_memory_equal(data, expected, 512);
}

static void text_of(const uint8_t *words, unsigned first, unsigned bytes, char *out)
{
    for (unsigned n = 0; n < bytes; n++)
        out[n] = (char)words[(2 * first + n) ^ 1];
    out[bytes] = 0;
}

/* ---- PIO ---- */

static void identify(void **state)
{
    struct rig *rig = setup(3);
    uint8_t w[512];
    char text[41];
    outb(rig, 0x1f6, 0xa0);
    outb(rig, 0x1f7, 0xec);
    assert_int_equal(rig->level[14], 1);
    assert_int_equal(inb(rig, 0x3f6), 0x58);
    assert_int_equal(rig->level[14], 1); /* alternate status leaves the interrupt */
    assert_int_equal(inb(rig, 0x1f7), 0x58);
    assert_int_equal(rig->level[14], 0);
    read_words(rig, w, 512);
    assert_int_equal(inb(rig, 0x1f7), 0x50);
    assert_int_equal(load_le(w + 2 * 60, 4), DISK_SECTORS);
    assert_int_equal(load_le(w + 2 * 100, 8), DISK_SECTORS);
    assert_int_equal(load_le(w + 2 * 1, 2), DISK_SECTORS / (16 * 63));
    assert_int_equal(load_le(w + 2 * 3, 2), 16);
    assert_int_equal(load_le(w + 2 * 6, 2), 63);
    assert_int_equal(load_le(w + 2 * 83, 2) & 0x0400, 0x0400);
    text_of(w, 10, 20, text);
    assert_string_equal(text, "QM00001             ");
    text_of(w, 27, 40, text);
    assert_memory_equal(text, "WEIR HARDDISK ", 14);
    outb(rig, 0x1f6, 0xb0); /* the slave is another disk */
    outb(rig, 0x1f7, 0xec);
    read_words(rig, w, 512);
    text_of(w, 10, 20, text);
    assert_string_equal(text, "QM00002             ");
    outb(rig, 0x1f7, 0xa1);
    assert_int_equal(inb(rig, 0x1f7) & (ERR | DRQ), ERR);
    assert_int_equal(inb(rig, 0x1f1), 4);
    rig_free(rig);
}

static void pio_read(void **state)
{
    struct rig *rig = setup(1);
    uint8_t data[512 * 5];
    taskfile(rig, 100, 3, 0x20);
    for (unsigned n = 0; n < 3; n++) {
        assert_int_equal(rig->edges[14], n + 1); /* one interrupt per sector */
        assert_int_equal(inb(rig, 0x1f7) & DRQ, DRQ);
        read_words(rig, data, 512);
        expect_sector(data, 100 + n);
    }
    assert_int_equal(inb(rig, 0x1f7), 0x50);
    assert_int_equal(rig->edges[14], 3);
    assert_int_equal(inb(rig, 0x1f2), 0);
    assert_int_equal(inb(rig, 0x1f3), 102);
    assert_int_equal(rig_in(rig, 0x1f0, 2), 0); /* nothing is offered any more */
    /* CHS: cylinder 1, head 2, sector 3 */
    outb(rig, 0x1f6, 0xa2);
    outb(rig, 0x1f2, 1);
    outb(rig, 0x1f3, 3);
    outb(rig, 0x1f4, 1);
    outb(rig, 0x1f5, 0);
    outb(rig, 0x1f7, 0x21);
    read_words(rig, data, 512);
    expect_sector(data, (1 * 16 + 2) * 63 + 2);
    outb(rig, 0x1f3, 0); /* there is no sector 0 */
    outb(rig, 0x1f2, 1);
    outb(rig, 0x1f7, 0x20);
    assert_int_equal(inb(rig, 0x1f7) & (ERR | DRQ), ERR);
    assert_int_equal(inb(rig, 0x1f1), 0x10);
    /* READ MULTIPLE, 4 sectors per block */
    outb(rig, 0x1f2, 4);
    outb(rig, 0x1f7, 0xc6);
    rig->edges[14] = 0;
    taskfile(rig, 7, 5, 0xc4);
    inb(rig, 0x1f7);
    read_words(rig, data, 512 * 4);
    inb(rig, 0x1f7);
    read_words(rig, data + 512 * 4, 512);
    assert_int_equal(rig->edges[14], 2);
    for (unsigned n = 0; n < 5; n++)
        expect_sector(data + 512 * n, 7 + n);
    outb(rig, 0x1f2, 0);
    outb(rig, 0x1f7, 0xc6); /* off */
    taskfile(rig, 7, 5, 0xc4);
    assert_int_equal(inb(rig, 0x1f1), 4);
    rig_free(rig);
}

static void pio_write(void **state)
{
    struct rig *rig = setup(1);
    uint8_t data[1024], sector[512];
    for (unsigned n = 0; n < sizeof(data); n++)
        data[n] = (uint8_t)(n * 3);
    taskfile48(rig, 4000, 2, 0x34);
    assert_int_equal(rig->edges[14], 0);
    assert_int_equal(inb(rig, 0x1f7) & DRQ, DRQ);
    write_words(rig, data, 512);
    assert_int_equal(rig->level[14], 1);
    assert_int_equal(inb(rig, 0x1f7) & DRQ, DRQ);
    write_words(rig, data + 512, 512);
    assert_int_equal(inb(rig, 0x1f7), 0x50);
    assert_int_equal(rig->edges[14], 2);
    assert_int_equal(block_read(rig->vm->blocks, 4001 * 512, sector, 512), 0);
    assert_memory_equal(sector, data + 512, 512);
    taskfile48(rig, 4000, 1, 0x24);
    read_words(rig, sector, 512);
    assert_memory_equal(sector, data, 512);
    /* The previous contents of the registers show with HOB. */
    outb(rig, 0x1f3, 0x11);
    outb(rig, 0x1f3, 0x22);
    assert_int_equal(inb(rig, 0x1f3), 0x22);
    outb(rig, 0x3f6, 0x80);
    assert_int_equal(inb(rig, 0x1f3), 0x11);
    outb(rig, 0x1f3, 0x33);
    assert_int_equal(inb(rig, 0x1f3), 0x33);
    rig_free(rig);
}

static void limits(void **state)
{
    struct rig *rig = setup(1);
    const struct {
        uint64_t lba;
        unsigned count, command;
    } bad[] = {{DISK_SECTORS, 1, 0x20}, {DISK_SECTORS - 1, 2, 0x20},   {0x0fffffff, 0, 0x20},
               {DISK_SECTORS, 1, 0x30}, {DISK_SECTORS - 255, 0, 0xc8}, {DISK_SECTORS, 1, 0x40}};
    for (unsigned n = 0; n < ARRAY_SIZE(bad); n++) {
        taskfile(rig, bad[n].lba, bad[n].count, bad[n].command);
        assert_int_equal(inb(rig, 0x3f6) & (ERR | DRQ), ERR);
        assert_int_equal(rig->level[14], 1);
        assert_int_equal(inb(rig, 0x1f7) & ERR, ERR);
        assert_int_equal(inb(rig, 0x1f1), 0x10);
    }
    taskfile48(rig, 0xffffffffffff, 0, 0x25);
    assert_int_equal(inb(rig, 0x1f1), 0x10);
    taskfile48(rig, DISK_SECTORS - 1, 2, 0x24);
    assert_int_equal(inb(rig, 0x1f1), 0x10);
    taskfile(rig, 0, 1, 0xf1); /* SECURITY SET PASSWORD: not there */
    assert_int_equal(inb(rig, 0x1f7) & (ERR | DRQ), ERR);
    assert_int_equal(inb(rig, 0x1f1), 4);
    taskfile(rig, 0, 1, 0x00); /* NOP */
    assert_int_equal(inb(rig, 0x1f1), 4);
    taskfile(rig, 0, 0, 0x91); /* no sectors per track */
    assert_int_equal(inb(rig, 0x1f1), 4);
    taskfile(rig, DISK_SECTORS - 1, 1, 0x40);
    assert_int_equal(inb(rig, 0x1f7), 0x50);
    taskfile(rig, 0, 1, 0xe7);
    assert_int_equal(inb(rig, 0x1f7), 0x50);
    assert_int_equal(rig->vm->blocks->flushes, 1);
    taskfile(rig, 0, 0, 0xf8); /* READ NATIVE MAX ADDRESS */
    assert_int_equal(inb(rig, 0x1f3) | inb(rig, 0x1f4) << 8, DISK_SECTORS - 1);
    rig_free(rig);
}

static void missing_drives(void **state)
{
    struct rig *rig = setup(1);
    outb(rig, 0x1f6, 0xb0);
    assert_int_equal(inb(rig, 0x1f7), 0);
    outb(rig, 0x1f7, 0xec);
    assert_int_equal(inb(rig, 0x1f7), 0);
    assert_int_equal(rig->level[14], 0);
    outb(rig, 0x1f6, 0xa0);
    assert_int_equal(inb(rig, 0x1f7), 0x50);
    outb(rig, 0x176, 0xa0); /* nothing on the second channel */
    assert_int_equal(inb(rig, 0x177), 0);
    outb(rig, 0x172, 0x55);
    assert_int_equal(inb(rig, 0x172), 0);
    rig_free(rig);
    rig = rig_new();
    rig_add_pci(rig);
    rig_drive(rig, "ide", 0, 0, RIG_EMPTY);
    assert_int_equal(rig_try_add(rig, &piix3_ide_class, NULL), -WEIR_ENOENT);
    assert_non_null(strstr(rig->vm->err.text, "ide0"));
    assert_int_equal(rig_in(rig, 0x1f7, 1), 0xff); /* and nothing of it is left */
    rig_free(rig);
}

static void resets(void **state)
{
    struct rig *rig = setup(3);
    uint8_t data[512];
    taskfile(rig, 0, 4, 0x20);
    outb(rig, 0x3f6, 4);
    assert_int_equal(inb(rig, 0x3f6), BSY);
    assert_int_equal(rig->level[14], 0);
    outb(rig, 0x3f6, 0);
    assert_int_equal(inb(rig, 0x1f7), 0x50);
    assert_int_equal(inb(rig, 0x1f1), 1);
    assert_int_equal(inb(rig, 0x1f2), 1);
    assert_int_equal(inb(rig, 0x1f3), 1);
    assert_int_equal(inb(rig, 0x1f4) | inb(rig, 0x1f5), 0);
    outb(rig, 0x1f6, 0xb0);
    outb(rig, 0x1f7, 0x90); /* diagnostics: drive 0 is selected afterwards */
    assert_int_equal(inb(rig, 0x1f6), 0xa0);
    assert_int_equal(rig->level[14], 1);
    inb(rig, 0x1f7);
    outb(rig, 0x3f6, 2); /* nIEN */
    taskfile(rig, 1, 1, 0x20);
    assert_int_equal(rig->level[14], 0);
    outb(rig, 0x3f6, 0);
    assert_int_equal(rig->level[14], 1);
    read_words(rig, data, 512);
    expect_sector(data, 1);
    rig_free(rig);
}

/* ---- bus master ---- */

static void prd(struct rig *rig, unsigned n, uint32_t address, unsigned bytes, bool last)
{
    store_le(rig_ram(rig, PRD + 8 * n), address, 4);
    store_le(rig_ram(rig, PRD + 8 * n + 4), bytes & 0xffff, 2);
    store_le(rig_ram(rig, PRD + 8 * n + 6), last ? 0x8000 : 0, 2);
}

static void start(struct rig *rig, bool to_memory)
{
    outb(rig, BM + 2, 6); /* clear interrupt and error */
    rig_out(rig, BM + 4, PRD, 4);
    outb(rig, BM, to_memory ? 8 : 0);
    outb(rig, BM, to_memory ? 9 : 1);
}

static void dma(void **state)
{
    struct rig *rig = setup(1);
    prd(rig, 0, 0x20000, 1000, false);
    prd(rig, 1, 0x30000, 1560, true);
    taskfile(rig, 50, 5, 0xc8);
    assert_int_equal(rig->edges[14], 0);
    start(rig, true);
    assert_int_equal(rig->edges[14], 1);
    assert_int_equal(inb(rig, BM + 2) & 7, 4); /* interrupt, not active */
    assert_int_equal(inb(rig, 0x1f7), 0x50);
    outb(rig, BM, 0);
    uint8_t data[2560];
    memcpy(data, rig_ram(rig, 0x20000), 1000);
    memcpy(data + 1000, rig_ram(rig, 0x30000), 1560);
    for (unsigned n = 0; n < 5; n++)
        expect_sector(data + 512 * n, 50 + n);
    /* Write it elsewhere, started before the command. */
    start(rig, false);
    assert_int_equal(inb(rig, BM + 2) & 7, 1);
    taskfile48(rig, 2000, 5, 0x35);
    assert_int_equal(inb(rig, BM + 2) & 7, 4);
    assert_int_equal(inb(rig, 0x1f7), 0x50);
    uint8_t back[2560];
    assert_int_equal(block_read(rig->vm->blocks, 2000 * 512, back, sizeof(back)), 0);
    assert_memory_equal(back, data, sizeof(data));
    /* 256 sectors in two entries of 64 KiB (count 0) */
    outb(rig, BM, 0);
    prd(rig, 0, 0x100000, 0, false);
    prd(rig, 1, 0x110000, 0, true);
    taskfile(rig, 1000, 0, 0xc8);
    start(rig, true);
    assert_int_equal(inb(rig, 0x1f7), 0x50);
    for (unsigned n = 0; n < 256; n++)
        expect_sector(rig_ram(rig, 0x100000 + 512 * n), 1000 + n);
    rig_free(rig);
}

static void dma_tables(void **state)
{
    struct rig *rig = setup(1);
    /* Longer than the transfer: stays active. */
    prd(rig, 0, 0x20000, 4096, true);
    taskfile(rig, 1, 1, 0xc8);
    start(rig, true);
    assert_int_equal(inb(rig, BM + 2) & 7, 5);
    assert_int_equal(inb(rig, 0x1f7), 0x50);
    outb(rig, BM, 0);
    assert_int_equal(inb(rig, BM + 2) & 7, 4);
    /* Shorter: no interrupt, the drive waits until it is reset. */
    prd(rig, 0, 0x20000, 700, true);
    rig->edges[14] = 0;
    taskfile(rig, 1, 4, 0xc8);
    start(rig, true);
    assert_int_equal(inb(rig, BM + 2) & 7, 0);
    assert_int_equal(inb(rig, 0x3f6) & DRQ, DRQ);
    assert_int_equal(rig->edges[14], 0);
    outb(rig, BM, 0);
    outb(rig, 0x3f6, 4);
    outb(rig, 0x3f6, 0);
    assert_int_equal(inb(rig, 0x1f7), 0x50);
    /* Where no memory is. */
    prd(rig, 0, 0xa0000000, 512, true);
    taskfile(rig, 1, 1, 0xc8);
    start(rig, true);
    assert_int_equal(inb(rig, BM + 2) & 7, 6);
    assert_int_equal(inb(rig, 0x1f7) & ERR, ERR);
    outb(rig, BM, 0);
    taskfile(rig, 1, 1, 0xca);
    start(rig, false);
    assert_int_equal(inb(rig, BM + 2) & 7, 6);
    /* A table without end in tiny pieces stops at the 64 KiB boundary. */
    outb(rig, BM, 0);
    for (unsigned n = 0; n < 0x2000; n++)
        prd(rig, n, 0x20000, 2, false);
    taskfile(rig, 0, 0, 0xc8);
    start(rig, true);
    assert_int_equal(inb(rig, BM + 2) & 7, 0);
    assert_int_equal(inb(rig, 0x3f6) & DRQ, DRQ);
    /* A table that is not in memory. */
    outb(rig, BM, 0);
    outb(rig, 0x3f6, 4);
    outb(rig, 0x3f6, 0);
    taskfile(rig, 0, 1, 0xc8);
    rig_out(rig, BM + 4, 0xfffffff0, 4);
    outb(rig, BM, 9);
    assert_int_equal(inb(rig, BM + 2) & 7, 6);
    rig_free(rig);
}

static void bus_master_off(void **state)
{
    struct rig *rig = setup(1);
    prd(rig, 0, 0x20000, 512, true);
    pci_config_write(rig->vm->pci, 9, 4, 1, 2);
    taskfile(rig, 3, 1, 0xc8);
    start(rig, true);
    assert_int_equal(rig->edges[14], 0);
    assert_int_equal(rig_ram(rig, 0x20000)[4], 0);
    pci_config_write(rig->vm->pci, 9, 4, 5, 2);
    assert_int_equal(rig->edges[14], 1);
    expect_sector(rig_ram(rig, 0x20000), 3);
    rig_free(rig);
}

/* ---- geometry ---- */

#define BIG_SECTORS 131072u

static void geometry(void **state)
{
    static const struct {
        uint8_t head, sector; /* end of the partition */
        struct ide_geometry expected;
    } cases[] = {{7, 17, {BIG_SECTORS / (8 * 17), 8, 17, 0}},
                 {254, 63, {BIG_SECTORS / (16 * 63), 16, 63, 2}},
                 {0, 0, {BIG_SECTORS / (16 * 63), 16, 63, 0}}};
    for (unsigned n = 0; n < ARRAY_SIZE(cases); n++) {
        struct rig *rig = rig_new();
        rig_add_pci(rig);
        struct weir_block *b = rig_drive(rig, "ide", 0, BIG_SECTORS * 512, 0);
        uint8_t mbr[512] = {0};
        mbr[510] = 0x55;
        mbr[511] = 0xaa;
        mbr[446 + 5] = cases[n].head;
        mbr[446 + 6] = cases[n].sector;
        store_le(mbr + 446 + 12, 100, 4);
        assert_int_equal(block_write(b, 0, mbr, 512), 0);
        struct ide_geometry g;
        weir_dev *dev = rig_add(rig, &piix3_ide_class, NULL);
        assert_true(piix3_ide_geometry(dev, 0, &g));
        assert_memory_equal(&g, &cases[n].expected, sizeof(g));
        assert_false(piix3_ide_geometry(dev, 1, &g));
        assert_false(piix3_ide_geometry(dev, 4, &g));
        rig_free(rig);
    }
}

/* ---- anything at all ---- */

static void random_pokes(void **state)
{
    struct rig *rig = setup(0);
    rig_free(rig);
    rig = rig_new();
    weir_dev *host = rig_add_pci(rig);
    rig_drive(rig, "ide", 0, DISK_SECTORS * 512, RIG_SNAPSHOT);
    rig_drive(rig, "ide", 1, 64 * 2048, RIG_CDROM);
    rig_add(rig, &piix3_ide_class, NULL);
    pci_config_write(host, 9, 0x20, BM, 4);
    pci_config_write(host, 9, 4, 5, 2);
    srand(7);
    static const uint8_t commands[] = {0x20, 0x24, 0x25, 0x29, 0x30, 0x34, 0x35, 0x39, 0xa0,
                                       0xa0, 0xc4, 0xc5, 0xc6, 0xc8, 0xca, 0xec, 0xef, 0x91};
    for (unsigned n = 0; n < 200000; n++) {
        unsigned what = (unsigned)rand() % 16;
        unsigned value = (unsigned)rand() >> (rand() % 24);
        if (what < 8)
            outb(rig, 0x1f0 + what, what == 7 ? commands[value % sizeof(commands)] : value);
        else if (what < 10)
            rig_out(rig, 0x1f0, value, what == 8 ? 4 : 2);
        else if (what < 12)
            rig_in(rig, 0x1f0 + value % 8, what == 10 ? 2 : 1);
        else if (what == 12)
            outb(rig, 0x3f6, value & 0xfb);
        else if (what == 13)
            outb(rig, BM + value % 8, (unsigned)rand());
        else if (what == 14)
            outb(rig, BM, value & 9);
        else
            prd(rig, value % 8, 0x20000 + (unsigned)rand() % 0x1000, value, value & 0x10000);
    }
    rig_free(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identify),
        cmocka_unit_test(pio_read),
        cmocka_unit_test(pio_write),
        cmocka_unit_test(limits),
        cmocka_unit_test(missing_drives),
        cmocka_unit_test(resets),
        cmocka_unit_test(dma),
        cmocka_unit_test(dma_tables),
        cmocka_unit_test(bus_master_off),
        cmocka_unit_test(geometry),
        cmocka_unit_test(random_pokes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
