/* SPDX-License-Identifier: MIT */
/* VGA: memory modes against a bit-by-bit model, pictures of text and graphics modes, VBE,
 * timing, and random register writes. */
#include "pcbench.h"
#include "dev/input.h"
#include "dev/pci_board.h"
#include "dev/vga.h"

#include <stdlib.h>

#define LFB       0xe0000000u
#define MMIO      0xe1000000u
#define VGA_DEVFN 0x10

static uint8_t font_rom[0x8000];

/* A ROM whose font starts like every PC's (empty glyph, face), then glyph c row r = c ^ r. */
static void make_rom(void)
{
    static const uint8_t face[16] = {0,    0,    0x7e, 0x81, 0xa5, 0x81, 0x81, 0xbd,
                                     0x99, 0x81, 0x81, 0x7e, 0,    0,    0,    0};
    memcpy(font_rom + 0x1000 + 16, face, 16);
    for (unsigned c = 2; c < 256; c++)
        for (unsigned r = 0; r < 16; r++)
            font_rom[0x1000 + c * 16 + r] = c == ' ' ? 0 : (uint8_t)(c ^ r);
}

static int setup(void **state)
{
    struct weir *vm = bench_new(4u << 20);
    vm->pci = bench_add(vm, &i440fx_class, NULL);
    bench_add(vm, &piix3_class, NULL);
    vm->vga = bench_add(vm, &vga_class, NULL);
    make_rom();
    assert_int_equal(vga_set_rom(vm->vga, font_rom, sizeof(font_rom)), 0);
    assert_int_equal(pci_config_read(vm->pci, VGA_DEVFN, 0, 4), 0x11111234);
    pci_config_write(vm->pci, VGA_DEVFN, 0x10, LFB, 4);
    pci_config_write(vm->pci, VGA_DEVFN, 0x18, MMIO, 4);
    pci_config_write(vm->pci, VGA_DEVFN, 4, 7, 2);
    *state = vm;
    return 0;
}

static void reg(struct weir *vm, unsigned port, unsigned index, unsigned value)
{
    out(vm, port, value << 8 | index, 2);
}

static void attr(struct weir *vm, unsigned index, unsigned value)
{
    in(vm, 0x3da, 1);
    out(vm, 0x3c0, index, 1);
    out(vm, 0x3c0, value, 1);
    out(vm, 0x3c0, 0x20, 1);
}

static void vbe(struct weir *vm, unsigned index, unsigned value)
{
    out(vm, 0x1ce, index, 2);
    out(vm, 0x1cf, value, 2);
}

static unsigned vbe_get(struct weir *vm, unsigned index)
{
    out(vm, 0x1ce, index, 2);
    return (unsigned)in(vm, 0x1d0, 2);
}

/* The usual mode tables, by their registers. */
struct mode {
    uint8_t misc, seq[5], crtc[25], gfx[9], attr_mode;
};
// clang-format off
static const struct mode mode_12h = {
    0xe3, {3, 1, 15, 0, 6},
    {0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0, 0x40, 0, 0, 0, 0, 0, 0,
     0xea, 0x8c, 0xdf, 0x28, 0, 0xe7, 0x04, 0xe3, 0xff},
    {0, 0, 0, 0, 0, 0, 5, 15, 0xff}, 1};
static const struct mode mode_13h = {
    0x63, {3, 1, 15, 0, 14},
    {0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0, 0x41, 0, 0, 0, 0, 0, 0,
     0x9c, 0x8e, 0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff},
    {0, 0, 0, 0, 0, 0x40, 5, 15, 0xff}, 0x41};
static const struct mode mode_4 = {
    0x63, {3, 9, 3, 0, 2},
    {0x2d, 0x27, 0x28, 0x90, 0x2b, 0x80, 0xbf, 0x1f, 0, 0xc1, 0, 0, 0, 0, 0, 0,
     0x9c, 0x8e, 0x8f, 0x14, 0, 0x96, 0xb9, 0xa2, 0xff},
    {0, 0, 0, 0, 0, 0x30, 15, 0, 0xff}, 1};
// clang-format on

/* Grey palette: DAC entry n is (n, n, n) in 6 bits. */
static void set_mode(struct weir *vm, const struct mode *m)
{
    out(vm, 0x3c2, m->misc, 1);
    for (unsigned i = 0; i < 5; i++)
        reg(vm, 0x3c4, i, m->seq[i]);
    reg(vm, 0x3d4, 0x11, 0);
    for (unsigned i = 0; i < 25; i++)
        reg(vm, 0x3d4, i, m->crtc[i]);
    for (unsigned i = 0; i < 9; i++)
        reg(vm, 0x3ce, i, m->gfx[i]);
    for (unsigned i = 0; i < 16; i++)
        attr(vm, i, i);
    attr(vm, 0x10, m->attr_mode);
    attr(vm, 0x12, 15);
    attr(vm, 0x13, 0);
    out(vm, 0x3c6, 0xff, 1);
    out(vm, 0x3c8, 0, 1);
    for (unsigned i = 0; i < 256; i++)
        for (unsigned c = 0; c < 3; c++)
            out(vm, 0x3c9, i & 63, 1);
}

static uint32_t grey(unsigned i)
{
    i &= 63;
    return (i << 2 | i >> 4) * 0x010101u;
}

static struct weir_image picture(struct weir *vm, unsigned width, unsigned height)
{
    struct weir_image image;
    assert_int_equal(vga_image(vm->vga, &image), 0);
    assert_int_equal(image.width, width);
    assert_int_equal(image.height, height);
    return image;
}

static uint32_t pixel(const struct weir_image *image, unsigned x, unsigned y)
{
    return image->pixels[(size_t)y * image->width + x];
}

/* ---- planar memory against a model that knows one bit at a time ---- */

struct model {
    uint8_t gfx[9], map_mask, memory[4][0x100], latch[4];
};

static unsigned model_bit(const struct model *m, unsigned plane, unsigned bit, uint8_t byte)
{
    unsigned rotate = m->gfx[3] & 7, mode = m->gfx[5] & 3;
    unsigned latch = m->latch[plane] >> bit & 1;
    unsigned cpu = byte >> ((bit + rotate) & 7) & 1;
    unsigned set_reset = m->gfx[0] >> plane & 1;
    unsigned mask = m->gfx[8] >> bit & 1, data;
    if (mode == 1)
        return latch;
    if (mode == 0)
        data = m->gfx[1] >> plane & 1 ? set_reset : cpu;
    else if (mode == 2)
        data = byte >> plane & 1;
    else {
        data = set_reset;
        mask &= cpu;
    }
    switch (m->gfx[3] >> 3 & 3) {
    case 1:
        data &= latch;
        break;
    case 2:
        data |= latch;
        break;
    case 3:
        data ^= latch;
        break;
    default:
        break;
    }
    return mask ? data : latch;
}

static void model_write(struct model *m, unsigned address, uint8_t byte)
{
    for (unsigned plane = 0; plane < 4; plane++) {
        uint8_t value = 0;
        for (unsigned bit = 0; bit < 8; bit++)
            value |= (uint8_t)(model_bit(m, plane, bit, byte) << bit);
        if (m->map_mask >> plane & 1)
            m->memory[plane][address] = value;
    }
}

static uint8_t model_read(struct model *m, unsigned address)
{
    for (unsigned plane = 0; plane < 4; plane++)
        m->latch[plane] = m->memory[plane][address];
    if (!(m->gfx[5] & 8))
        return m->latch[m->gfx[4]];
    uint8_t same = 0xff;
    for (unsigned plane = 0; plane < 4; plane++)
        for (unsigned bit = 0; bit < 8; bit++)
            if ((m->gfx[7] >> plane & 1) &&
                (m->latch[plane] >> bit & 1) != (m->gfx[2] >> plane & 1))
                same &= (uint8_t) ~(1u << bit);
    return same;
}

static void test_planar(void **state)
{
    static const uint8_t masks[9] = {15, 15, 15, 0x1f, 3, 0x0b, 0, 15, 0xff};
    struct weir *vm = *state;
    struct model m = {0};
    uint64_t seed = 1;
    set_mode(vm, &mode_12h);
    memcpy(m.gfx, mode_12h.gfx, 9);
    m.map_mask = 15;
    for (unsigned i = 0; i < 30000; i++) {
        unsigned what = bench_random(&seed) % 8, address = bench_random(&seed) & 0xff;
        uint8_t byte = (uint8_t)bench_random(&seed);
        if (what == 0) {
            unsigned index = bench_random(&seed) % 9;
            if (index == 6)
                continue;
            m.gfx[index] = byte & masks[index];
            reg(vm, 0x3ce, index, m.gfx[index]);
        } else if (what == 1) {
            m.map_mask = byte & 15;
            reg(vm, 0x3c4, 2, m.map_mask);
        } else if (what < 5) {
            model_write(&m, address, byte);
            poke(vm, 0xa0000 + address, byte, 1);
        } else {
            uint8_t want = model_read(&m, address);
            assert_int_equal(peek(vm, 0xa0000 + address, 1), want);
        }
    }
}

static void test_mode_12h(void **state)
{
    struct weir *vm = *state;
    set_mode(vm, &mode_12h);
    /* Colour 5 at (8,1)-(15,1): planes 0 and 2. */
    reg(vm, 0x3c4, 2, 5);
    poke(vm, 0xa0000 + 80 + 1, 0xf0, 1);
    struct weir_image image = picture(vm, 640, 480);
    assert_int_equal(pixel(&image, 8, 1), grey(5));
    assert_int_equal(pixel(&image, 11, 1), grey(5));
    assert_int_equal(pixel(&image, 12, 1), 0);
    assert_int_equal(pixel(&image, 7, 1), 0);
    assert_int_equal(pixel(&image, 8, 2), 0);
    free(image.pixels);
    /* Panned by 3 dots, started one byte later, split at line 240. */
    attr(vm, 0x13, 3);
    reg(vm, 0x3d4, 0x0d, 1);
    reg(vm, 0x3d4, 0x18, 239);
    reg(vm, 0x3d4, 0x07, 0x3e & ~0x10);
    reg(vm, 0x3d4, 0x09, 0);
    image = picture(vm, 640, 480);
    assert_int_equal(pixel(&image, 0, 1), grey(5));
    assert_int_equal(pixel(&image, 1, 1), 0);
    assert_int_equal(pixel(&image, 5, 241), grey(5)); /* the split starts at address 0 */
    assert_int_equal(pixel(&image, 9, 241), 0);
    free(image.pixels);
    attr(vm, 0x10, 0x21); /* the split is not panned */
    image = picture(vm, 640, 480);
    assert_int_equal(pixel(&image, 8, 241), grey(5));
    free(image.pixels);
}

static void test_mode_13h(void **state)
{
    struct weir *vm = *state;
    set_mode(vm, &mode_13h);
    for (unsigned i = 0; i < 64000; i++)
        poke(vm, 0xa0000 + i, (i * 7 + i / 320) & 63, 1);
    assert_non_null(bus_host_pointer(&vm->mem, 0xa0000, 64000)); /* at memory speed */
    struct weir_image image = picture(vm, 640, 400);
    for (unsigned y = 0; y < 400; y++)
        for (unsigned x = 0; x < 640; x++) {
            unsigned i = y / 2 * 320 + x / 2;
            assert_int_equal(pixel(&image, x, y), grey(i * 7 + i / 320));
        }
    free(image.pixels);
    /* Mode X: the same memory, unchained; pixel 1 is plane 1. */
    reg(vm, 0x3c4, 4, 6);
    reg(vm, 0x3d4, 0x14, 0);
    reg(vm, 0x3d4, 0x17, 0xe3);
    assert_null(bus_host_pointer(&vm->mem, 0xa0000, 1));
    reg(vm, 0x3c4, 2, 2);
    poke(vm, 0xa0000 + 80, 33, 1);
    image = picture(vm, 640, 400);
    assert_int_equal(pixel(&image, 2, 2), grey(33));
    assert_int_equal(pixel(&image, 4, 2), grey(322 * 7 + 1));
    free(image.pixels);
}

static void test_cga(void **state)
{
    struct weir *vm = *state;
    set_mode(vm, &mode_4);
    poke(vm, 0xb8000, 0x1b, 1);               /* 0 1 2 3 on row 0 */
    poke(vm, 0xb8000 + 0x2000 + 81, 0xe4, 1); /* 3 2 1 0 on row 3, from column 4 */
    assert_int_equal(peek(vm, 0xb8000, 1), 0x1b);
    struct weir_image image = picture(vm, 640, 400);
    for (unsigned x = 0; x < 4; x++) {
        assert_int_equal(pixel(&image, x * 2, 0), grey(x));
        assert_int_equal(pixel(&image, x * 2 + 1, 1), grey(x));
        assert_int_equal(pixel(&image, 8 + x * 2, 6), grey(3 - x));
        assert_int_equal(pixel(&image, 8 + x * 2, 2), 0);
    }
    free(image.pixels);
}

/* ---- text ---- */

struct capture {
    struct weir_text text;
    char data[8192];
    size_t used;
};

static void capture_put(struct weir_text *text, const char *chars, size_t length)
{
    struct capture *c = (struct capture *)text;
    assert_true(c->used + length < sizeof(c->data));
    memcpy(c->data + c->used, chars, length);
    c->used += length;
}

static void print_at(struct weir *vm, unsigned cell, const char *text, unsigned attribute)
{
    for (; *text; text++, cell++)
        poke(vm, 0xb8000 + cell * 2, attribute << 8 | (uint8_t)*text, 2);
}

static void test_text(void **state)
{
    struct weir *vm = *state;
    vga_set_text_mode(vm->vga);
    print_at(vm, 0, "Hello", 0x07);
    print_at(vm, 160 + 3, "\xc9\xcd\xbb \x01", 0x1e);
    struct capture c = {.text = {capture_put}};
    assert_int_equal(vga_text(vm->vga, &c.text), 0);
    assert_int_equal(strncmp(c.data, "Hello\n\n   ╔═╗ ☺\n\n", 23), 0);
    unsigned lines = 0;
    for (size_t i = 0; i < c.used; i++)
        lines += c.data[i] == '\n';
    assert_int_equal(lines, 25);
    set_mode(vm, &mode_13h);
    assert_int_equal(vga_text(vm->vga, &c.text), -WEIR_ESTATE);
}

/* Dots of a cell as the font says; the 9th repeats the 8th for C0h-DFh. */
static void check_cell(struct weir *vm, const struct weir_image *image, unsigned cell,
                       uint8_t character, uint32_t foreground, uint32_t background)
{
    for (unsigned row = 0; row < 16; row++) {
        uint8_t bits = font_rom[0x1000 + character * 16 + row];
        for (unsigned x = 0; x < 9; x++) {
            bool on = x < 8 ? bits >> (7 - x) & 1
                            : (bits & 1) && character >= 0xc0 && character <= 0xdf;
            assert_int_equal(pixel(image, cell % 80 * 9 + x, cell / 80 * 16 + row),
                             on ? foreground : background);
        }
    }
}

static void test_text_picture(void **state)
{
    struct weir *vm = *state;
    vga_set_text_mode(vm->vga);
    print_at(vm, 81, "A\xcd\xb3", 0x1e); /* yellow on blue */
    print_at(vm, 84, "B", 0x8c);         /* blinking light red */
    struct weir_image image = picture(vm, 720, 400);
    check_cell(vm, &image, 81, 'A', 0xffff55, 0x0000aa);
    check_cell(vm, &image, 82, 0xcd, 0xffff55, 0x0000aa);
    check_cell(vm, &image, 83, 0xb3, 0xffff55, 0x0000aa);
    check_cell(vm, &image, 84, 'B', 0xff5555, 0);
    /* The cursor: rows 13 and 14 of cell 0. */
    for (unsigned y = 0; y < 16; y++)
        assert_int_equal(pixel(&image, 8, y), y == 13 || y == 14 ? 0xaaaaaa : 0);
    free(image.pixels);
    /* 16 frames on (70 Hz) it is off; 32 frames on the blinking character, too. */
    clock_advance(&vm->clock, 16 * 14300000ull);
    image = picture(vm, 720, 400);
    assert_int_equal(pixel(&image, 0, 13), 0);
    check_cell(vm, &image, 84, 'B', 0xff5555, 0);
    free(image.pixels);
    clock_advance(&vm->clock, 16 * 14300000ull);
    image = picture(vm, 720, 400);
    check_cell(vm, &image, 84, ' ', 0xff5555, 0);
    free(image.pixels);
    attr(vm, 0x10, 4); /* bright backgrounds instead of blinking */
    image = picture(vm, 720, 400);
    check_cell(vm, &image, 84, 'B', 0xff5555, 0x555555);
    free(image.pixels);
    unsigned row, column;
    reg(vm, 0x3d4, 0x0e, 0);
    reg(vm, 0x3d4, 0x0f, 165);
    vga_text_cursor(vm->vga, &row, &column);
    assert_int_equal(row, 2);
    assert_int_equal(column, 5);
}

static void test_second_font(void **state)
{
    struct weir *vm = *state;
    vga_set_text_mode(vm->vga);
    /* Plane 2 is written as the BIOS does it: sequential, at A0000h; map B at 8 KiB. */
    reg(vm, 0x3c4, 2, 4);
    reg(vm, 0x3c4, 4, 7);
    reg(vm, 0x3ce, 5, 0);
    reg(vm, 0x3ce, 6, 4);
    for (unsigned row = 0; row < 16; row++)
        poke(vm, 0xa0000 + 0x4000 + 'x' * 32 + row, 0x0f, 1);
    reg(vm, 0x3c4, 2, 3);
    reg(vm, 0x3c4, 4, 2);
    reg(vm, 0x3ce, 5, 0x10);
    reg(vm, 0x3ce, 6, 14);
    reg(vm, 0x3c4, 3, 1); /* attribute bit 3 clear: map 1 */
    print_at(vm, 10, "x", 0x07);
    print_at(vm, 11, "x", 0x0f);
    struct weir_image image = picture(vm, 720, 400);
    assert_int_equal(pixel(&image, 90, 0), 0);
    assert_int_equal(pixel(&image, 94, 0), 0xaaaaaa);
    check_cell(vm, &image, 11, 'x', 0xffffff, 0);
    free(image.pixels);
}

/* ---- registers ---- */

static void test_registers(void **state)
{
    struct weir *vm = *state;
    vga_set_text_mode(vm->vga);
    reg(vm, 0x3d4, 0, 0x55); /* protected by CR11 */
    out(vm, 0x3d4, 0, 1);
    assert_int_equal(in(vm, 0x3d5, 1), 0x5f);
    assert_int_equal(in(vm, 0x3b4, 1), 0xff); /* the other emulation's address */
    out(vm, 0x3c2, 0x66, 1);
    assert_int_equal(in(vm, 0x3d5, 1), 0xff);
    assert_int_equal(in(vm, 0x3b5, 1), 0x5f);
    out(vm, 0x3c2, 0x67, 1);
    assert_int_equal(in(vm, 0x3cc, 1), 0x67);
    /* A colour takes effect with its third component; reading starts where it is told. */
    out(vm, 0x3c8, 7, 1);
    out(vm, 0x3c9, 1, 1);
    out(vm, 0x3c9, 2, 1);
    out(vm, 0x3c7, 7, 1);
    assert_int_equal(in(vm, 0x3c7, 1), 3);
    assert_int_equal(in(vm, 0x3c9, 1), 0x2a);
    out(vm, 0x3c8, 7, 1);
    for (unsigned i = 1; i <= 3; i++)
        out(vm, 0x3c9, i | 0x40, 1);
    out(vm, 0x3c7, 7, 1);
    for (unsigned i = 1; i <= 3; i++)
        assert_int_equal(in(vm, 0x3c9, 1), i);
    assert_int_equal(in(vm, 0x3c8, 1), 8);
    /* The flip-flop: index, data, and back by a read of the status. */
    attr(vm, 0x13, 8);
    in(vm, 0x3da, 1);
    out(vm, 0x3c0, 0x33, 1);
    assert_int_equal(in(vm, 0x3c1, 1), 8);
    assert_int_equal(in(vm, 0x3c0, 1), 0x33);
}

static void test_retrace(void **state)
{
    struct weir *vm = *state;
    vga_set_text_mode(vm->vga);
    unsigned starts = 0, blank = 0, before = 0;
    for (unsigned us = 0; us < 1000000; us += 5) {
        unsigned status = (unsigned)in(vm, 0x3da, 1);
        starts += (status & 8) && !before;
        blank += status & 1;
        before = status & 8;
        clock_advance(&vm->clock, 5000);
    }
    assert_in_range(starts, 69, 71);                              /* 70 Hz */
    assert_in_range(blank, 200000 * 27 / 100, 200000 * 31 / 100); /* 1 - 400/449 * 80/100 */
}

/* ---- VBE ---- */

static void set_vbe(struct weir *vm, unsigned width, unsigned height, unsigned bits)
{
    vbe(vm, 4, 0);
    vbe(vm, 1, width);
    vbe(vm, 2, height);
    vbe(vm, 3, bits);
    vbe(vm, 4, 0x41);
}

static void test_vbe(void **state)
{
    struct weir *vm = *state;
    assert_int_equal(vbe_get(vm, 0), 0xb0c5);
    assert_int_equal(vbe_get(vm, 10), 256);
    vbe(vm, 4, 2);
    assert_true(vbe_get(vm, 1) >= 2560 && vbe_get(vm, 3) == 32);
    set_vbe(vm, 640, 480, 32);
    poke(vm, LFB + (640 * 2 + 3) * 4, 0x00123456, 4);
    struct weir_image image = picture(vm, 640, 480);
    assert_int_equal(pixel(&image, 3, 2), 0x123456);
    free(image.pixels);
    vbe(vm, 6, 1024); /* virtual width, then a panned view */
    assert_int_equal(vbe_get(vm, 7), (16 << 20) / 4096);
    poke(vm, LFB + (1024 * 7 + 20) * 4, 0x00abcdef, 4);
    vbe(vm, 8, 10);
    vbe(vm, 9, 5);
    image = picture(vm, 640, 480);
    assert_int_equal(pixel(&image, 10, 2), 0xabcdef);
    free(image.pixels);
    static const struct {
        unsigned bits, bytes;
        uint32_t value, want;
    } depths[] = {{15, 2, 0x7c1f, 0xff00ff},
                  {16, 2, 0x07e0, 0x00ff00},
                  {24, 3, 0x998877, 0x998877},
                  {16, 2, 0x8410, 0x848284}};
    for (unsigned i = 0; i < ARRAY_SIZE(depths); i++) {
        set_vbe(vm, 800, 600, depths[i].bits);
        for (unsigned b = 0; b < depths[i].bytes; b++)
            poke(vm, LFB + (800 + 5) * depths[i].bytes + b, depths[i].value >> (8 * b) & 0xff,
                 1);
        image = picture(vm, 800, 600);
        assert_int_equal(pixel(&image, 5, 1), depths[i].want);
        free(image.pixels);
    }
    /* 8 bits, through the bank window and by BAR 2. */
    set_vbe(vm, 1024, 768, 8);
    vbe(vm, 5, 3);
    poke(vm, 0xa0000 + 17, 42, 1);
    assert_int_equal(peek(vm, LFB + 3 * 0x10000 + 17, 1), 42);
    assert_int_equal(peek(vm, MMIO + 0x502, 2), 1024);
    poke(vm, MMIO + 0x504, 600, 2);
    assert_int_equal(vbe_get(vm, 2), 600);
    assert_int_equal(peek(vm, MMIO + 0x40c, 1), in(vm, 0x3cc, 1));
    /* 4 bits: planes. */
    set_vbe(vm, 800, 600, 4);
    for (unsigned i = 0; i < 16; i++)
        attr(vm, i, i);
    attr(vm, 0x12, 15);
    vga_set_text_mode(vm->vga); /* for the palette */
    set_vbe(vm, 800, 600, 4);
    reg(vm, 0x3c4, 2, 12);
    reg(vm, 0x3ce, 5, 0);
    poke(vm, 0xa0000 + 100 * 4 + 2, 0x80, 1);
    image = picture(vm, 800, 600);
    assert_int_equal(pixel(&image, 16, 4), 0xff5555);
    assert_int_equal(pixel(&image, 17, 4), 0);
    free(image.pixels);
}

/* ---- a guest that writes anything anywhere ---- */

static void drop_text(struct weir_text *text, const char *chars, size_t length) {}

static void test_random(void **state)
{
    struct weir *vm = *state;
    uint64_t seed = 7;
    for (unsigned i = 0; i < 60000; i++) {
        unsigned value = bench_random(&seed);
        switch (bench_random(&seed) % 6) {
        case 0:
        case 1:
            out(vm, 0x3b0 + bench_random(&seed) % 0x30, value & 0xff, 1);
            break;
        case 2:
            vbe(vm, bench_random(&seed) % 12, value & 1 ? value >> 16 & 0xffff : value % 2000);
            break;
        case 3:
            poke(vm, 0xa0000 + bench_random(&seed) % 0x1fff8, value, 4);
            break;
        case 4:
            peek(vm, 0xa0000 + bench_random(&seed) % 0x1fff8, 8);
            in(vm, 0x3b0 + bench_random(&seed) % 0x30, 1);
            break;
        default:
            poke(vm, MMIO + bench_random(&seed) % 0xff8, value, 1u << (value >> 30 & 1));
            break;
        }
        clock_advance(&vm->clock, value);
        if (i % 1500 == 0) {
            struct weir_image image;
            struct weir_text nowhere = {drop_text};
            vga_text(vm->vga, &nowhere);
            assert_int_equal(vga_image(vm->vga, &image), 0);
            assert_true((size_t)image.width * image.height <= 32u << 20);
            free(image.pixels);
        }
    }
    devices_reset(vm);
    assert_int_equal(in(vm, 0x3cc, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_planar, setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_mode_12h, setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_mode_13h, setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_cga, setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_text, setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_text_picture, setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_second_font, setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_registers, setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_retrace, setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_vbe, setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_random, setup, bench_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
