/* SPDX-License-Identifier: MIT */
/*
 * vga_draw.c - the picture: every scan line dot by dot, as the attribute controller and the DAC
 * put it on the screen. Done when somebody looks; nothing is cached between pictures.
 */
#include "dev/input.h"
#include "dev/vga_state.h"

#include <stdlib.h>

#define MAX_DOTS (257 * 9) /* 256 character clocks and the one that panning brings in */

struct painter {
    const struct vga *v;
    struct vga_geometry geometry;
    uint32_t palette[16]; /* colours behind the attribute palette */
    uint32_t dac[256];
    bool cursor_on, blink_on;
    unsigned cursor; /* its address */
    uint32_t dots[MAX_DOTS];
};

/* ---- colours ---- */

static uint8_t expand(const struct vga *v, uint8_t component)
{
    if (v->vbe[VBE_ENABLE] & VBE_8BIT_DAC)
        return component;
    component &= 0x3f;
    return (uint8_t)(component << 2 | component >> 4);
}

static uint32_t dac_color(const struct vga *v, uint8_t index)
{
    const uint8_t *c = &v->dac[(index & v->dac_mask) * 3u];
    return (uint32_t)expand(v, c[0]) << 16 | expand(v, c[1]) << 8 | expand(v, c[2]);
}

static void load_colors(struct painter *p)
{
    const struct vga *v = p->v;
    for (unsigned i = 0; i < 256; i++)
        p->dac[i] = dac_color(v, (uint8_t)i);
    for (unsigned i = 0; i < 16; i++) {
        unsigned color = v->attr[i & v->attr[0x12]] & 0x3f;
        if (v->attr[0x10] & 0x80)
            color = (color & 0x0f) | (v->attr[0x14] & 3) << 4;
        color |= (v->attr[0x14] & 0x0c) << 4;
        p->palette[i] = p->dac[color];
    }
}

/* ---- text ---- */

/* SR3: character maps A and B, each with a high bit apart; map n is at n * 8 KiB, even ones
 * first: 0, 2, 4, 6 then 1, 3, 5, 7 in units of 8 KiB. */
static uint32_t font_base(const struct vga *v, bool map_a)
{
    unsigned select = v->seq[3];
    unsigned map =
        map_a ? (select >> 2 & 3) | (select >> 3 & 4) : (select & 3) | (select >> 2 & 4);
    return (map & 3) * 0x4000 + (map >> 2) * 0x2000;
}

struct cell {
    uint8_t bits;
    uint32_t foreground, background, ninth;
};

static bool is_cursor_here(const struct painter *p, uint32_t address, unsigned row)
{
    const struct vga *v = p->v;
    unsigned first = v->crtc[0x0a] & 0x1f, last = v->crtc[0x0b] & 0x1f;
    return p->cursor_on && (address & 0xffff) == p->cursor && row >= first && row <= last;
}

static struct cell text_cell(const struct painter *p, const struct vga_line *line,
                             uint32_t address)
{
    const struct vga *v = p->v;
    uint32_t word = v->words[vga_word_index(v, address, line->row)];
    uint8_t character = (uint8_t)word, attribute = (uint8_t)(word >> 8);
    uint32_t glyph = font_base(v, attribute & 8) + character * 32u + line->row;
    struct cell c = {.bits = (uint8_t)(v->words[glyph & (VGA_WORDS - 1)] >> 16)};
    unsigned background = attribute >> 4;
    if (v->attr[0x10] & 8) {
        background &= 7;
        if (attribute & 0x80 && !p->blink_on)
            c.bits = 0;
    }
    bool underlined = (attribute & 7) == 1 && (v->attr[0x10] & 2);
    if (underlined && line->row == (v->crtc[0x14] & 0x1fu))
        c.bits = 0xff;
    bool solid = is_cursor_here(p, address, line->row);
    if (solid)
        c.bits = 0xff;
    c.foreground = p->palette[attribute & 15];
    c.background = p->palette[background];
    bool line_graphics = v->attr[0x10] & 4 && character >= 0xc0 && character <= 0xdf;
    c.ninth = solid || ((c.bits & 1) && line_graphics) ? c.foreground : c.background;
    return c;
}

static void draw_text(struct painter *p, const struct vga_line *line)
{
    uint32_t *out = p->dots;
    for (unsigned n = 0; n <= p->geometry.characters; n++) {
        struct cell c = text_cell(p, line, line->address + n);
        for (unsigned bit = 0; bit < 8; bit++)
            *out++ = c.bits & (0x80 >> bit) ? c.foreground : c.background;
        if (p->geometry.dots == 9)
            *out++ = c.ninth;
    }
}

/* ---- graphics ---- */

static void planar_dots(const struct painter *p, uint32_t word, uint32_t *out)
{
    for (unsigned bit = 0; bit < 8; bit++) {
        uint32_t b = word >> (7 - bit);
        out[bit] = p->palette[(b & 1) | (b >> 7 & 2) | (b >> 14 & 4) | (b >> 21 & 8)];
    }
}

/* Two bits of a plane are one dot; planes 0 and 2 first, then 1 and 3. */
static void interleaved_dots(const struct painter *p, uint32_t word, uint32_t *out)
{
    for (unsigned dot = 0; dot < 8; dot++) {
        uint32_t pair = word >> (dot < 4 ? 0 : 8) >> (6 - 2 * (dot & 3));
        out[dot] = p->palette[(pair & 3) | (pair >> 14 & 12)];
    }
}

static void packed_dots(const struct painter *p, uint32_t word, uint32_t *out)
{
    for (unsigned dot = 0; dot < 8; dot++)
        out[dot] = p->dac[word >> (8 * (dot / 2)) & 0xff];
}

static void draw_graphics(struct painter *p, const struct vga_line *line)
{
    const struct vga *v = p->v;
    /* Count by two or four: the address counter stands still for some character clocks. */
    unsigned hold = v->crtc[0x14] & 0x20 ? 2 : v->crtc[0x17] & 8 ? 1 : 0;
    for (unsigned n = 0; n <= p->geometry.characters; n++) {
        uint32_t word = v->words[vga_word_index(v, line->address + (n >> hold), line->row)];
        uint32_t *out = &p->dots[n * 8];
        if (v->gfx[5] & 0x40)
            packed_dots(p, word, out);
        else if (v->gfx[5] & 0x20)
            interleaved_dots(p, word, out);
        else
            planar_dots(p, word, out);
    }
}

/* Dots cut off at the left. */
static unsigned panned_dots(const struct painter *p, unsigned panning)
{
    if (p->geometry.dots == 9)
        return panning >= 8 ? 0 : panning + 1;
    return panning & 7;
}

static bool is_dark(const struct vga *v)
{
    return v->seq[1] & 0x20 || !(v->crtc[0x17] & 0x80) || !(v->attr_index & 0x20);
}

static void draw_vga(struct painter *p, struct weir_image *image)
{
    const struct vga *v = p->v;
    unsigned dots = p->geometry.characters * p->geometry.dots;
    struct vga_line line;
    vga_first_line(v, &line);
    for (unsigned y = 0; y < image->height; y++) {
        if (y)
            vga_next_line(v, &line, y);
        if (p->geometry.is_text)
            draw_text(p, &line);
        else
            draw_graphics(p, &line);
        const uint32_t *in = p->dots + panned_dots(p, line.panning);
        uint32_t *out = image->pixels + (size_t)y * image->width;
        for (unsigned x = 0; x < dots; x++) {
            *out++ = in[x];
            if (p->geometry.doubled_dots)
                *out++ = in[x];
        }
    }
}

/* ---- VBE modes ---- */

static uint32_t rgb(uint32_t value, unsigned red, unsigned green, unsigned blue)
{
    uint32_t b = value & (BIT(blue) - 1), g = value >> blue & (BIT(green) - 1);
    uint32_t r = value >> (blue + green) & (BIT(red) - 1);
    r = r << (8 - red) | r >> (2 * red - 8);
    g = g << (8 - green) | g >> (2 * green - 8);
    b = b << (8 - blue) | b >> (2 * blue - 8);
    return r << 16 | g << 8 | b;
}

static uint32_t vbe_pixel(const struct painter *p, const uint8_t *line, unsigned x)
{
    switch (p->v->vbe[VBE_BPP]) {
    case 8:
        return p->dac[line[x]];
    case 15:
        return rgb((uint32_t)load_le(line + x * 2, 2), 5, 5, 5);
    case 16:
        return rgb((uint32_t)load_le(line + x * 2, 2), 5, 6, 5);
    case 24:
        return (uint32_t)load_le(line + x * 3, 3);
    default:
        return (uint32_t)load_le(line + x * 4, 4) & 0xffffff;
    }
}

static uint32_t vbe_planar_pixel(const struct painter *p, uint32_t word_index, unsigned x)
{
    uint32_t dots[8];
    planar_dots(p, p->v->words[(word_index + x / 8) & (VGA_RAM_BYTES / 4 - 1)], dots);
    return dots[x & 7];
}

/* The offsets are in range (vga_vbe.c): every line lies in memory. */
static void draw_vbe(const struct painter *p, struct weir_image *image)
{
    const struct vga *v = p->v;
    const uint8_t *memory = (const uint8_t *)v->words;
    uint32_t pitch = vga_vbe_pitch(v), left = v->vbe[VBE_X_OFFSET];
    for (unsigned y = 0; y < image->height; y++) {
        size_t start = (size_t)(y + v->vbe[VBE_Y_OFFSET]) * pitch;
        uint32_t *out = image->pixels + (size_t)y * image->width;
        for (unsigned x = 0; x < image->width; x++)
            out[x] = v->vbe[VBE_BPP] == 4 ? vbe_planar_pixel(p, (uint32_t)start, left + x)
                                          : vbe_pixel(p, memory + start, left + x);
    }
}

/* ---- interface ---- */

/* The cursor blinks every 16 frames, characters every 32. */
static void set_blinking(struct painter *p)
{
    const struct vga *v = p->v;
    uint64_t frame = vga_beam(v).frame;
    p->cursor_on = !(v->crtc[0x0a] & 0x20) && !(frame >> 4 & 1);
    p->blink_on = !(frame >> 5 & 1);
    p->cursor = (v->crtc[0x0e] << 8 | v->crtc[0x0f]) + (v->crtc[0x0b] >> 5 & 3);
}

int vga_image(weir_dev *dev, struct weir_image *image)
{
    const struct vga *v = weir_dev_state(dev);
    struct painter *p = calloc(1, sizeof(*p));
    if (!p)
        return weir_dev_fail(dev, WEIR_ENOMEM, "out of memory");
    p->v = v;
    p->geometry = vga_geometry(v);
    image->width = p->geometry.characters * p->geometry.dots << p->geometry.doubled_dots;
    image->height = p->geometry.lines;
    if (vga_vbe_on(v)) {
        image->width = v->vbe[VBE_XRES];
        image->height = v->vbe[VBE_YRES];
    }
    image->pixels = calloc((size_t)image->width * image->height, sizeof(*image->pixels));
    if (!image->pixels) {
        free(p);
        return weir_dev_fail(dev, WEIR_ENOMEM, "out of memory");
    }
    load_colors(p);
    set_blinking(p);
    if (vga_vbe_on(v))
        draw_vbe(p, image);
    else if (!is_dark(v))
        draw_vga(p, image);
    free(p);
    return 0;
}
