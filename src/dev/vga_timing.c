/* SPDX-License-Identifier: MIT */
/*
 * vga_timing.c - where the electron beam is: computed from the virtual clock and the CRTC's
 * totals when somebody asks, so that it costs nothing otherwise. Frame 0 began at time 0; a
 * mode change moves the beam, as it does on a monitor that resynchronises.
 */
#include "dev/vga_state.h"

#define VBE_FRAME_NS 16666667u

struct totals {
    uint64_t line_ns, lines; /* duration of a line, lines in a frame */
    unsigned characters, shown_characters, shown_lines, retrace_start, retrace_lines;
};

static unsigned with_overflow(const struct vga *v, unsigned index, unsigned bit8, unsigned bit9)
{
    unsigned overflow = v->crtc[7];
    return v->crtc[index] | (overflow >> bit8 & 1) << 8 | (overflow >> bit9 & 1) << 9;
}

static struct totals totals(const struct vga *v)
{
    static const unsigned clock_hz[4] = {25175000, 28322000, 25175000, 25175000};
    uint64_t dots = v->seq[1] & 1 ? 8 : 9;
    uint64_t hz = clock_hz[v->misc >> 2 & 3] >> (v->seq[1] >> 3 & 1);
    struct totals t = {
        .characters = v->crtc[0] + 5u,
        .shown_characters = v->crtc[1] + 1u,
        .shown_lines = with_overflow(v, 0x12, 1, 6) + 1,
        .lines = with_overflow(v, 6, 0, 5) + 2,
        .retrace_start = with_overflow(v, 0x10, 2, 7),
    };
    t.retrace_lines = ((v->crtc[0x11] - t.retrace_start) & 0xf);
    if (!t.retrace_lines)
        t.retrace_lines = 16;
    t.line_ns = t.characters * dots * 1000000000ull / hz;
    return t;
}

static struct vga_beam vbe_beam(uint64_t now)
{
    uint64_t at = now % VBE_FRAME_NS;
    bool blank = at > VBE_FRAME_NS * 19ull / 20;
    return (struct vga_beam){blank, blank, now / VBE_FRAME_NS};
}

struct vga_beam vga_beam(const struct vga *v)
{
    uint64_t now = weir_clock_ns(v->dev);
    if (vga_vbe_on(v))
        return vbe_beam(now);
    struct totals t = totals(v);
    uint64_t frame_ns = t.line_ns * t.lines;
    uint64_t line = now % frame_ns / t.line_ns;
    uint64_t character = now % frame_ns % t.line_ns * t.characters / t.line_ns;
    bool retrace = line >= t.retrace_start && line < t.retrace_start + t.retrace_lines;
    return (struct vga_beam){
        .display_disabled = line >= t.shown_lines || character >= t.shown_characters,
        .vertical_retrace = retrace,
        .frame = now / frame_ns,
    };
}
