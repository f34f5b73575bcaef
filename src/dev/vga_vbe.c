/* SPDX-License-Identifier: MIT */
/*
 * vga_vbe.c - Bochs VBE ("dispi") registers, by index and data port or in BAR 2 (500h + 2 *
 * index); the VGA ports are in BAR 2, too (400h = 3C0h).
 *
 * While a VBE mode is on its numbers always fit together and into memory: fix_up() clamps after
 * every write. The VGA registers that decide how the CPU's window works are set as the mode
 * needs.
 */
#include "dev/vga_state.h"

#define VBE_ID_OLDEST 0xb0c0
#define VBE_ID_NEWEST 0xb0c5
#define MAX_WIDTH     16000u
#define MAX_HEIGHT    12000u
#define MAX_BITS      32u

/* ---- modes ---- */

static unsigned storage_bits(const struct vga *v)
{
    return v->vbe[VBE_BPP] == 15 ? 16 : v->vbe[VBE_BPP];
}

/* Bytes of a line; in 4 bpp the bytes of all four planes together. */
static uint32_t line_bytes(const struct vga *v, uint32_t pixels)
{
    return pixels * storage_bits(v) / 8;
}

uint32_t vga_vbe_pitch(const struct vga *v)
{
    uint32_t bytes = line_bytes(v, v->vbe[VBE_VIRTUAL_WIDTH]);
    return v->vbe[VBE_BPP] == 4 ? bytes / 4 : bytes;
}

static uint32_t clamp(uint32_t value, uint32_t low, uint32_t high)
{
    return value < low ? low : value > high ? high : value;
}

static void fix_up(struct vga *v)
{
    uint16_t *r = v->vbe;
    static const uint8_t depths[] = {4, 8, 15, 16, 24, 32};
    if (!vga_vbe_on(v))
        return;
    if (!memchr(depths, r[VBE_BPP] & 0xff, sizeof(depths)) || r[VBE_BPP] > MAX_BITS)
        r[VBE_BPP] = 8;
    r[VBE_XRES] = (uint16_t)clamp(r[VBE_XRES] & ~7u, 8, MAX_WIDTH);
    r[VBE_VIRTUAL_WIDTH] = (uint16_t)clamp(r[VBE_VIRTUAL_WIDTH] & ~7u, r[VBE_XRES], MAX_WIDTH);
    uint32_t line = line_bytes(v, r[VBE_VIRTUAL_WIDTH]);
    uint32_t height = VGA_RAM_BYTES / line; /* at least 262: a line has at most 64000 bytes */
    r[VBE_VIRTUAL_HEIGHT] = (uint16_t)clamp(height, 1, 0xffff);
    r[VBE_YRES] = (uint16_t)clamp(r[VBE_YRES], 1, clamp(height, 1, MAX_HEIGHT));
    r[VBE_X_OFFSET] =
        (uint16_t)clamp(r[VBE_X_OFFSET], 0, r[VBE_VIRTUAL_WIDTH] - (uint32_t)r[VBE_XRES]);
    r[VBE_Y_OFFSET] =
        (uint16_t)clamp(r[VBE_Y_OFFSET], 0, r[VBE_VIRTUAL_HEIGHT] - (uint32_t)r[VBE_YRES]);
}

/* The window: planar for 4 bpp, otherwise bytes (chain-4), 64 KiB at A0000h. */
static void set_window(struct vga *v)
{
    if (!vga_vbe_on(v))
        return;
    v->gfx[6] = (uint8_t)((v->gfx[6] & ~0x0e) | 0x05);
    v->gfx[1] = v->gfx[3] = 0;
    v->gfx[8] = 0xff;
    v->misc |= 2;
    if (v->vbe[VBE_BPP] == 4) {
        v->seq[4] = 0x06;
        v->gfx[5] &= 0x0f;
    } else {
        v->seq[4] = 0x0e;
        v->seq[2] |= 0x0f;
        v->gfx[5] = 0x40;
    }
    v->seq[1] &= (uint8_t)~0x20;
    v->crtc[0x17] |= 0x80;
}

static void enable_write(struct vga *v, uint16_t value)
{
    uint16_t *r = v->vbe;
    bool was_on = vga_vbe_on(v), was_wide = r[VBE_ENABLE] & VBE_8BIT_DAC;
    bool is_wide = value & VBE_8BIT_DAC;
    r[VBE_ENABLE] = value;
    for (unsigned i = 0; was_wide != is_wide && i < sizeof(v->dac); i++)
        v->dac[i] = is_wide ? (uint8_t)(v->dac[i] << 2 | v->dac[i] >> 4) : v->dac[i] >> 2;
    if (!vga_vbe_on(v)) {
        r[VBE_BANK] = 0;
        return;
    }
    if (was_on)
        return;
    r[VBE_VIRTUAL_WIDTH] = r[VBE_X_OFFSET] = r[VBE_Y_OFFSET] = r[VBE_BANK] = 0;
    fix_up(v);
    set_window(v);
    if (!(value & VBE_KEEP_MEMORY))
        memset(v->words, 0, (size_t)r[VBE_YRES] * line_bytes(v, r[VBE_VIRTUAL_WIDTH]));
}

/* ---- registers ---- */

static uint16_t reg_read(const struct vga *v, unsigned index)
{
    if (index >= VBE_REGISTERS)
        return 0;
    if (v->vbe[VBE_ENABLE] & VBE_GET_CAPABILITIES) {
        if (index == VBE_XRES)
            return MAX_WIDTH;
        if (index == VBE_YRES)
            return MAX_HEIGHT;
        if (index == VBE_BPP)
            return MAX_BITS;
    }
    return v->vbe[index];
}

static void reg_write(struct vga *v, unsigned index, uint16_t value)
{
    switch (index) {
    case VBE_ID:
        if (value >= VBE_ID_OLDEST && value <= VBE_ID_NEWEST)
            v->vbe[VBE_ID] = value;
        return;
    case VBE_ENABLE:
        enable_write(v, value);
        break;
    case VBE_BANK:
        v->vbe[VBE_BANK] = value & (VGA_RAM_BYTES / 0x10000 - 1);
        break;
    case VBE_XRES:
    case VBE_YRES:
    case VBE_BPP:
    case VBE_VIRTUAL_WIDTH:
    case VBE_X_OFFSET:
    case VBE_Y_OFFSET:
        v->vbe[index] = value;
        break;
    default: /* virtual height and memory size cannot be set */
        return;
    }
    fix_up(v);
    vga_memory_update(v);
}

void vga_vbe_reset(struct vga *v)
{
    memset(v->vbe, 0, sizeof(v->vbe));
    v->vbe_index = 0;
    v->vbe[VBE_ID] = VBE_ID_NEWEST;
    v->vbe[VBE_MEMORY_64K] = VGA_RAM_BYTES / 0x10000;
}

void vga_vbe_loaded(struct vga *v)
{
    v->vbe[VBE_BANK] &= VGA_RAM_BYTES / 0x10000 - 1;
    v->vbe[VBE_MEMORY_64K] = VGA_RAM_BYTES / 0x10000;
    fix_up(v);
}

/* ---- ports: index at 1CEh, data at 1CFh or 1D0h ---- */

static uint64_t port_read(void *state, uint64_t offset, unsigned size)
{
    struct vga *v = state;
    return offset == 0 ? v->vbe_index : reg_read(v, v->vbe_index);
}

static void port_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    struct vga *v = state;
    if (offset == 0)
        v->vbe_index = (uint16_t)value;
    else
        reg_write(v, v->vbe_index, (uint16_t)value);
}

static const struct weir_io_ops port_ops = {port_read, port_write, 2, 2, true};

int vga_vbe_init(struct vga *v)
{
    return weir_map_ports(v->dev, 0x1ce, 4, &port_ops, 0, "vbe") ? 0 : -WEIR_ENOMEM;
}

/* ---- BAR 2 ---- */

enum { MMIO_VGA = 0x400, MMIO_VGA_END = 0x420, MMIO_VBE = 0x500, MMIO_EXTENSION = 0x600 };
#define BYTE_ORDER_LITTLE 0x1e1e1e1eu

/* 600h: size of this register block; 604h: byte order of the frame buffer. */
static uint64_t mmio_read(void *state, uint64_t offset, unsigned size)
{
    struct vga *v = state;
    if (offset >= MMIO_VGA && offset < MMIO_VGA_END && size == 1)
        return vga_port_read(v, 0x3c0 + (unsigned)offset - MMIO_VGA);
    if (offset >= MMIO_VBE && offset < MMIO_VBE + 2 * VBE_REGISTERS && size == 2)
        return reg_read(v, (unsigned)(offset - MMIO_VBE) / 2);
    if (offset == MMIO_EXTENSION && size == 4)
        return 8;
    if (offset == MMIO_EXTENSION + 4 && size == 4)
        return BYTE_ORDER_LITTLE;
    return ~0ull;
}

static void mmio_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    struct vga *v = state;
    if (offset >= MMIO_VBE && offset < MMIO_VBE + 2 * VBE_REGISTERS && size == 2) {
        reg_write(v, (unsigned)(offset - MMIO_VBE) / 2, (uint16_t)value);
        return;
    }
    for (unsigned i = 0; i < size; i++) {
        uint64_t at = offset + i;
        if (at >= MMIO_VGA && at < MMIO_VGA_END)
            vga_port_write(v, 0x3c0 + (unsigned)at - MMIO_VGA, (uint8_t)(value >> (8 * i)));
    }
}

const struct weir_io_ops vga_mmio_ops = {mmio_read, mmio_write, 1, 4, false};
