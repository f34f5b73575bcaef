/* SPDX-License-Identifier: MIT */
/* vga_text.c - the text screen as UTF-8, by the same walk through memory as the picture. */
#include "dev/input.h"
#include "dev/vga_state.h"

#include <string.h>

/* Code page 437 in Unicode; the control codes have pictures, too. */
// clang-format off
static const uint16_t cp437[256] = {
    0x0020, 0x263a, 0x263b, 0x2665, 0x2666, 0x2663, 0x2660, 0x2022,
    0x25d8, 0x25cb, 0x25d9, 0x2642, 0x2640, 0x266a, 0x266b, 0x263c,
    0x25ba, 0x25c4, 0x2195, 0x203c, 0x00b6, 0x00a7, 0x25ac, 0x21a8,
    0x2191, 0x2193, 0x2192, 0x2190, 0x221f, 0x2194, 0x25b2, 0x25bc,
    ' ', '!', '"', '#', '$', '%', '&', '\'', '(', ')', '*', '+', ',', '-', '.', '/',
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ':', ';', '<', '=', '>', '?',
    '@', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O',
    'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', '[', '\\', ']', '^', '_',
    '`', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', '{', '|', '}', '~', 0x2302,
    0x00c7, 0x00fc, 0x00e9, 0x00e2, 0x00e4, 0x00e0, 0x00e5, 0x00e7,
    0x00ea, 0x00eb, 0x00e8, 0x00ef, 0x00ee, 0x00ec, 0x00c4, 0x00c5,
    0x00c9, 0x00e6, 0x00c6, 0x00f4, 0x00f6, 0x00f2, 0x00fb, 0x00f9,
    0x00ff, 0x00d6, 0x00dc, 0x00a2, 0x00a3, 0x00a5, 0x20a7, 0x0192,
    0x00e1, 0x00ed, 0x00f3, 0x00fa, 0x00f1, 0x00d1, 0x00aa, 0x00ba,
    0x00bf, 0x2310, 0x00ac, 0x00bd, 0x00bc, 0x00a1, 0x00ab, 0x00bb,
    0x2591, 0x2592, 0x2593, 0x2502, 0x2524, 0x2561, 0x2562, 0x2556,
    0x2555, 0x2563, 0x2551, 0x2557, 0x255d, 0x255c, 0x255b, 0x2510,
    0x2514, 0x2534, 0x252c, 0x251c, 0x2500, 0x253c, 0x255e, 0x255f,
    0x255a, 0x2554, 0x2569, 0x2566, 0x2560, 0x2550, 0x256c, 0x2567,
    0x2568, 0x2564, 0x2565, 0x2559, 0x2558, 0x2552, 0x2553, 0x256b,
    0x256a, 0x2518, 0x250c, 0x2588, 0x2584, 0x258c, 0x2590, 0x2580,
    0x03b1, 0x00df, 0x0393, 0x03c0, 0x03a3, 0x03c3, 0x00b5, 0x03c4,
    0x03a6, 0x0398, 0x03a9, 0x03b4, 0x221e, 0x03c6, 0x03b5, 0x2229,
    0x2261, 0x00b1, 0x2265, 0x2264, 0x2320, 0x2321, 0x00f7, 0x2248,
    0x00b0, 0x2219, 0x00b7, 0x221a, 0x207f, 0x00b2, 0x25a0, 0x00a0,
};
// clang-format on

static size_t put_utf8(char *out, uint16_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    out[0] = (char)(0xe0 | code >> 12);
    out[1] = (char)(0x80 | (code >> 6 & 0x3f));
    out[2] = (char)(0x80 | (code & 0x3f));
    return 3;
}

static void put_row(const struct vga *v, const struct vga_line *line, unsigned columns,
                    struct weir_text *out)
{
    char text[256 * 3 + 1];
    size_t used = 0, visible = 0;
    for (unsigned n = 0; n < columns; n++) {
        uint32_t word = v->words[vga_word_index(v, line->address + n, 0)];
        uint16_t code = cp437[word & 0xff];
        used += put_utf8(text + used, code);
        if (code != ' ' && code != 0x00a0)
            visible = used;
    }
    text[visible++] = '\n';
    out->put(out, text, visible);
}

int vga_text(weir_dev *dev, struct weir_text *out)
{
    const struct vga *v = weir_dev_state(dev);
    struct vga_geometry g = vga_geometry(v);
    if (vga_vbe_on(v) || !g.is_text)
        return weir_dev_fail(dev, WEIR_ESTATE, "the display is in a graphics mode");
    struct vga_line line;
    vga_first_line(v, &line);
    uint32_t shown = UINT32_MAX;
    for (unsigned y = 0; y < g.lines; y++) {
        if (y)
            vga_next_line(v, &line, y);
        if (line.address == shown)
            continue;
        shown = line.address;
        put_row(v, &line, g.characters, out);
    }
    return 0;
}

void vga_text_cursor(weir_dev *dev, unsigned *row, unsigned *column)
{
    const struct vga *v = weir_dev_state(dev);
    unsigned at = (v->crtc[0x0e] << 8 | v->crtc[0x0f]) - vga_start_address(v);
    unsigned pitch = v->crtc[0x13] * 2u;
    *row = pitch ? (at & 0xffff) / pitch : 0;
    *column = pitch ? (at & 0xffff) % pitch : 0;
}
