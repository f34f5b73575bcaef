/* SPDX-License-Identifier: MIT */
/*
 * vga_state.h - the adapter's registers and memory, shared by the vga_*.c files.
 *
 * Display memory is an array of 32-bit words, byte p of a word = plane p. A word's index is the
 * address that the planes see. Chain-4 accesses and VBE's linear modes use byte addresses into
 * the same array (address >> 2 is the word, address & 3 the plane), as SVGA chips do; so that
 * the CRTC's doubleword mode, which goes with chain-4, counts words, too.
 */
#ifndef DEV_VGA_STATE_H
#define DEV_VGA_STATE_H

#include "base/bits.h"
#include "dev/pci.h"
#include "dev/vga.h"

#define VGA_RAM_BYTES (16u << 20)
#define VGA_WORDS     0x10000u /* what the VGA proper addresses: 256 KiB */
#define VGA_ROM_BYTES 0x10000u

enum {
    VBE_ID,
    VBE_XRES,
    VBE_YRES,
    VBE_BPP,
    VBE_ENABLE,
    VBE_BANK,
    VBE_VIRTUAL_WIDTH,
    VBE_VIRTUAL_HEIGHT,
    VBE_X_OFFSET,
    VBE_Y_OFFSET,
    VBE_MEMORY_64K,
    VBE_REGISTERS
};
enum {
    VBE_ENABLED = 0x01,
    VBE_GET_CAPABILITIES = 0x02,
    VBE_8BIT_DAC = 0x20,
    VBE_LFB = 0x40,
    VBE_KEEP_MEMORY = 0x80
};

struct vga {
    /* guest state */
    uint8_t misc, feature, enable;
    uint8_t seq_index, seq[8];
    uint8_t crtc_index, crtc[0x20];
    uint8_t gfx_index, gfx[16];
    uint8_t attr_index, attr[0x20], attr_data_next; /* the flip-flop */
    uint8_t dac_mask, dac_read, dac_write, dac_component, dac_is_read, dac_latch[3];
    uint8_t dac[768]; /* as written: 6 or 8 bits */
    uint32_t latch;
    uint16_t vbe_index, vbe[VBE_REGISTERS];
    uint32_t *words; /* VGA_RAM_BYTES */
    struct pci_function pci;
    /* wiring */
    uint8_t *rom; /* VGA_ROM_BYTES */
    weir_region *window, *direct;
    weir_dev *dev;
};

static inline bool vga_vbe_on(const struct vga *v)
{
    return v->vbe[VBE_ENABLE] & VBE_ENABLED;
}
/* Which word the address lines select: the VGA's 64 Ki words, more in VBE modes. */
static inline uint32_t vga_word_mask(const struct vga *v)
{
    return vga_vbe_on(v) ? VGA_RAM_BYTES / 4 - 1 : VGA_WORDS - 1;
}

/* ---- vga_regs.c: ports 3B0h-3DFh ---- */
int vga_regs_init(struct vga *v);
void vga_regs_reset(struct vga *v);
uint8_t vga_port_read(struct vga *v, unsigned port);
void vga_port_write(struct vga *v, unsigned port, uint8_t value);

/* ---- vga_timing.c ---- */
struct vga_beam {
    bool display_disabled, vertical_retrace;
    uint64_t frame; /* number of the frame, for blinking */
};
struct vga_beam vga_beam(const struct vga *v);

/* ---- vga_memory.c: A0000h-BFFFFh ---- */
int vga_memory_init(struct vga *v);
/* After a change of anything that decides how the window works. */
void vga_memory_update(struct vga *v);

/* ---- vga_vbe.c: ports 1CEh-1D0h, BAR 2 ---- */
extern const struct weir_io_ops vga_mmio_ops;
int vga_vbe_init(struct vga *v);
void vga_vbe_reset(struct vga *v);
void vga_vbe_loaded(struct vga *v); /* state from outside: makes the numbers fit together */
/* Bytes from one line to the next (4 bpp: of one plane); bytes of memory per pixel are bpp / 8.
 */
uint32_t vga_vbe_pitch(const struct vga *v);

/* ---- vga_scan.c: the CRTC's walk through memory ---- */
/* One scan line: where it starts in memory and which row of the character it is. */
struct vga_line {
    uint32_t address; /* of the first character clock, before mode-dependent mapping */
    unsigned row;     /* row scan counter */
    unsigned panning; /* AR13, 0 behind a line compare that resets it */
    bool in_split;
};
struct vga_geometry {
    unsigned characters, dots, lines; /* character clocks, dots in each, scan lines */
    bool doubled_dots, is_text;
};
struct vga_geometry vga_geometry(const struct vga *v);
void vga_first_line(const struct vga *v, struct vga_line *line);
/* `n` = number of the line that begins now (1...). */
void vga_next_line(const struct vga *v, struct vga_line *line, unsigned n);
/* The word that a CRTC address selects on this line. */
uint32_t vga_word_index(const struct vga *v, uint32_t address, unsigned row);
unsigned vga_start_address(const struct vga *v);

#endif
