/* SPDX-License-Identifier: MIT */
/*
 * vga_memory.c - the CPU's window at A0000h-BFFFFh: address decoding (chain-4, odd/even,
 * planar), read modes 0 and 1, write modes 0-3, latches.
 *
 *   address --decode--> word, planes --read mode--> byte
 *   byte --rotate, set/reset--> 32 bits --function with latch--> bit mask --> planes enabled
 *
 * When a chain-4 access is nothing but memory (mode 13h, VBE bank 0), the first 64 KiB are
 * mapped as host memory.
 */
#include "dev/vga_state.h"

#define WINDOW_START 0xa0000u
#define WINDOW_BYTES 0x20000u
#define BANK_BYTES   0x10000u
#define ALL_PLANES   15u

/* ---- helpers on four planes at once ---- */

static uint32_t planes_mask(unsigned planes)
{
    static const uint32_t mask[16] = {
        0x00000000, 0x000000ff, 0x0000ff00, 0x0000ffff, 0x00ff0000, 0x00ff00ff,
        0x00ffff00, 0x00ffffff, 0xff000000, 0xff0000ff, 0xff00ff00, 0xff00ffff,
        0xffff0000, 0xffff00ff, 0xffffff00, 0xffffffff,
    };
    return mask[planes & ALL_PLANES];
}
static uint32_t replicate(uint8_t byte)
{
    return byte * 0x01010101u;
}

/* ---- decoding ---- */

static bool is_chain4(const struct vga *v)
{
    return v->seq[4] & 8;
}

/* Offset in display memory of an address in the window; false: not decoded (GR6 bits 3:2). */
static bool decode(const struct vga *v, uint32_t offset, uint32_t *address)
{
    uint32_t bank = vga_vbe_on(v) ? v->vbe[VBE_BANK] * BANK_BYTES : 0;
    switch (v->gfx[6] >> 2 & 3) {
    case 0:
        *address = offset + bank;
        return true;
    case 1:
        *address = offset + bank;
        return offset < 0x10000;
    case 2:
        *address = offset - 0x10000;
        return offset >= 0x10000 && offset < 0x18000;
    default:
        *address = offset - 0x18000;
        return offset >= 0x18000;
    }
}

/* The word that an address selects. With odd/even chaining A0 picks the planes, and another bit
 * takes its place: A16 in the 128 KiB map, else the page bit. */
static uint32_t word_index(const struct vga *v, uint32_t address)
{
    if (is_chain4(v))
        return address >> 2 & vga_word_mask(v);
    if (v->gfx[6] & 2) {
        unsigned page = (v->gfx[6] & 0x0c) ? !(v->misc & 0x20) : address >> 16 & 1;
        address = (address & ~1u) | page;
    }
    return address & vga_word_mask(v);
}

/* ---- reading ---- */

static uint8_t color_compare(const struct vga *v)
{
    uint32_t differ = v->latch ^ planes_mask(v->gfx[2]);
    differ &= planes_mask(v->gfx[7]);
    return (uint8_t) ~(differ | differ >> 8 | differ >> 16 | differ >> 24);
}

static uint8_t read_byte(struct vga *v, uint32_t offset)
{
    uint32_t address;
    if (!decode(v, offset, &address))
        return 0xff;
    v->latch = v->words[word_index(v, address)];
    unsigned plane = v->gfx[4] & 3;
    if (is_chain4(v))
        plane = address & 3;
    else if (v->gfx[5] & 8)
        return color_compare(v);
    else if (v->gfx[5] & 0x10)
        plane = (plane & 2) | (address & 1);
    return (uint8_t)(v->latch >> (8 * plane));
}

/* ---- writing ---- */

static uint32_t apply_function(const struct vga *v, uint32_t data)
{
    switch (v->gfx[3] >> 3 & 3) {
    case 0:
        return data;
    case 1:
        return data & v->latch;
    case 2:
        return data | v->latch;
    default:
        return data ^ v->latch;
    }
}

/* What the four planes get for a byte from the CPU. */
static uint32_t write_data(const struct vga *v, uint8_t byte)
{
    unsigned rotate = v->gfx[3] & 7;
    uint8_t rotated = (uint8_t)(byte >> rotate | byte << (8 - rotate));
    uint32_t set_reset = planes_mask(v->gfx[0]);
    uint32_t mask = replicate(v->gfx[8]), data;
    switch (v->gfx[5] & 3) {
    case 0: {
        uint32_t enabled = planes_mask(v->gfx[1]);
        data = (replicate(rotated) & ~enabled) | (set_reset & enabled);
        break;
    }
    case 1:
        return v->latch;
    case 2:
        data = planes_mask(byte);
        break;
    default:
        data = set_reset;
        mask &= replicate(rotated);
        break;
    }
    return (apply_function(v, data) & mask) | (v->latch & ~mask);
}

static void write_byte(struct vga *v, uint32_t offset, uint8_t byte)
{
    uint32_t address;
    if (!decode(v, offset, &address))
        return;
    unsigned planes = v->seq[2] & ALL_PLANES;
    if (is_chain4(v))
        planes &= 1u << (address & 3);
    else if (!(v->seq[4] & 4)) /* odd/even: even addresses are planes 0 and 2 */
        planes &= address & 1 ? 10 : 5;
    uint32_t mask = planes_mask(planes);
    uint32_t *word = &v->words[word_index(v, address)];
    *word = (*word & ~mask) | (write_data(v, byte) & mask);
}

/* ---- the window ---- */

/* Bit 1 of the miscellaneous output register lets the CPU in. */
static bool cpu_enabled(const struct vga *v)
{
    return v->misc & 2;
}

static uint64_t window_read(void *state, uint64_t offset, unsigned size)
{
    struct vga *v = state;
    uint64_t value = 0;
    if (!cpu_enabled(v))
        return ~0ull;
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)read_byte(v, (uint32_t)offset + i) << (8 * i);
    return value;
}

static void window_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    struct vga *v = state;
    if (!cpu_enabled(v))
        return;
    for (unsigned i = 0; i < size; i++)
        write_byte(v, (uint32_t)offset + i, (uint8_t)(value >> (8 * i)));
}

static const struct weir_io_ops window_ops = {window_read, window_write, 1, 8, false};

/* Latches are not loaded by direct reads: they have no effect before another mode's read. */
static bool is_plain_memory(const struct vga *v)
{
    return cpu_enabled(v) && is_chain4(v) && (v->seq[2] & ALL_PLANES) == ALL_PLANES &&
           (v->gfx[6] & 0x0c) == 4 && (v->gfx[5] & 3) == 0 && v->gfx[1] == 0 &&
           v->gfx[3] == 0 && v->gfx[8] == 0xff && !(vga_vbe_on(v) && v->vbe[VBE_BANK]);
}

void vga_memory_update(struct vga *v)
{
    if (v->direct)
        weir_region_enable(v->direct, is_plain_memory(v));
}

int vga_memory_init(struct vga *v)
{
    v->window =
        weir_map_memory(v->dev, WINDOW_START, WINDOW_BYTES, &window_ops, 1, "vga-window");
    v->direct = weir_map_host_memory(v->dev, WINDOW_START, v->words, BANK_BYTES, false, 2,
                                     "vga-direct");
    if (!v->window || !v->direct)
        return -WEIR_ENOMEM;
    weir_region_enable(v->direct, false);
    return 0;
}
