/* SPDX-License-Identifier: MIT */
/*
 * vga_scan.c - the CRTC: geometry of the picture, and the walk of its address counter from line
 * to line (row scan, double scanning, split screen, preset row scan, panning).
 */
#include "dev/vga_state.h"

unsigned vga_start_address(const struct vga *v)
{
    return v->crtc[0x0c] << 8 | v->crtc[0x0d];
}

static unsigned line_compare(const struct vga *v)
{
    return v->crtc[0x18] | (v->crtc[7] >> 4 & 1) << 8 | (v->crtc[9] >> 6 & 1) << 9;
}

struct vga_geometry vga_geometry(const struct vga *v)
{
    unsigned last = v->crtc[0x12] | (v->crtc[7] >> 1 & 1) << 8 | (v->crtc[7] >> 6 & 1) << 9;
    struct vga_geometry g = {
        .characters = v->crtc[1] + 1u,
        .lines = last + 1,
        .doubled_dots = v->seq[1] & 8,
        .is_text = !(v->gfx[6] & 1),
    };
    g.dots = g.is_text && !(v->seq[1] & 1) ? 9 : 8;
    if (v->crtc[0x17] & 4) /* the vertical counter runs at half speed */
        g.lines *= 2;
    return g;
}

void vga_first_line(const struct vga *v, struct vga_line *line)
{
    *line = (struct vga_line){
        .address = vga_start_address(v) + (v->crtc[8] >> 5 & 3),
        .row = v->crtc[8] & 0x1f,
        .panning = v->attr[0x13] & 0x0f,
    };
}

static void start_split(const struct vga *v, struct vga_line *line)
{
    line->address = 0;
    line->row = 0;
    line->in_split = true;
    if (v->attr[0x10] & 0x20)
        line->panning = 0;
    else
        line->address += v->crtc[8] >> 5 & 3;
}

void vga_next_line(const struct vga *v, struct vga_line *line, unsigned n)
{
    unsigned unit = (v->crtc[0x17] & 4 ? 2 : 1);
    if (!line->in_split && n == (line_compare(v) + 1) * unit) {
        start_split(v, line);
        return;
    }
    bool doubled = v->crtc[9] & 0x80;
    if ((doubled || unit == 2) && n % (doubled ? 2 * unit : unit))
        return;
    if (line->row == (v->crtc[9] & 0x1fu)) {
        line->row = 0;
        line->address += v->crtc[0x13] * 2u;
    } else {
        line->row = (line->row + 1) & 0x1f;
    }
}

/* Byte mode: as counted. Word mode: shifted left, bit 0 from A13 or A15. Doubleword mode: as
 * counted (see vga_state.h). Then A13 and A14 may come from the row scan counter (CGA,
 * Hercules).
 */
uint32_t vga_word_index(const struct vga *v, uint32_t address, unsigned row)
{
    uint8_t mode = v->crtc[0x17];
    bool doubleword = v->crtc[0x14] & 0x40;
    uint32_t index = address & 0xffff;
    if (!doubleword && !(mode & 0x40))
        index = (index << 1 | (index >> (mode & 0x20 ? 15 : 13) & 1)) & 0xffff;
    if (!(mode & 1))
        index = (index & ~0x2000u) | (row & 1) << 13;
    if (!(mode & 2))
        index = (index & ~0x4000u) | (row >> 1 & 1) << 14;
    return index & (VGA_WORDS - 1);
}
