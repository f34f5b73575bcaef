/* SPDX-License-Identifier: MIT */
/*
 * vga.c - the adapter as a device: PCI function, memory, reset, and the text mode that firmware
 * would have set. Registers and memory accesses: IBM PS/2 Hardware Interface Technical
 * Reference, Video Subsystem (1992). BARs as QEMU's std vga: 0 = frame buffer, 2 = registers,
 * ROM.
 */
#include "dev/vga_state.h"

#include <stdlib.h>
#include <sys/mman.h>

// clang-format off
static const struct weir_field vga_fields[] = {
    WEIR_FIELD(struct vga, misc),
    WEIR_FIELD(struct vga, feature),
    WEIR_FIELD(struct vga, enable),
    WEIR_FIELD(struct vga, seq_index),
    WEIR_FIELD_ARRAY(struct vga, seq),
    WEIR_FIELD(struct vga, crtc_index),
    WEIR_FIELD_ARRAY(struct vga, crtc),
    WEIR_FIELD(struct vga, gfx_index),
    WEIR_FIELD_ARRAY(struct vga, gfx),
    WEIR_FIELD(struct vga, attr_index),
    WEIR_FIELD_ARRAY(struct vga, attr),
    WEIR_FIELD(struct vga, attr_data_next),
    WEIR_FIELD(struct vga, dac_mask),
    WEIR_FIELD(struct vga, dac_read),
    WEIR_FIELD(struct vga, dac_write),
    WEIR_FIELD(struct vga, dac_component),
    WEIR_FIELD(struct vga, dac_is_read),
    WEIR_FIELD_ARRAY(struct vga, dac_latch),
    WEIR_FIELD_ARRAY(struct vga, dac),
    WEIR_FIELD(struct vga, latch),
    WEIR_FIELD(struct vga, vbe_index),
    WEIR_FIELD_ARRAY(struct vga, vbe),
    WEIR_FIELD_BUFFER(struct vga, words, VGA_RAM_BYTES),
    WEIR_FIELD_STRUCT1(struct vga, pci, pci_function_fields),
    WEIR_FIELD_END,
};
// clang-format on

static int allocate(struct vga *v)
{
    /* Anonymous memory is zero and costs nothing until it is used. */
    void *words = mmap(NULL, VGA_RAM_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    v->words = words == MAP_FAILED ? NULL : words;
    void *rom = NULL;
    if (posix_memalign(&rom, 4096, VGA_ROM_BYTES))
        rom = NULL;
    v->rom = rom;
    if (!v->words || !rom)
        return weir_dev_fail(v->dev, WEIR_ENOMEM, "out of memory");
    memset(rom, 0, VGA_ROM_BYTES);
    return 0;
}

static int vga_init(weir_dev *dev, void *state)
{
    static const struct pci_ids ids = {
        .vendor = 0x1234,
        .device = 0x1111,
        .subsystem_vendor = 0x1af4,
        .subsystem = 0x1100,
        .class_code = 0x030000,
        .revision = 2,
    };
    struct vga *v = state;
    v->dev = dev;
    int rc = allocate(v);
    if (rc < 0)
        return rc;
    v->pci.bar[0] = (struct pci_bar){
        .bytes = VGA_RAM_BYTES, .prefetchable = true, .host = v->words, .name = "vga-lfb"};
    v->pci.bar[2] =
        (struct pci_bar){.bytes = 4096, .ops = &vga_mmio_ops, .ctx = v, .name = "vga-mmio"};
    v->pci.bar[6] = (struct pci_bar){.bytes = VGA_ROM_BYTES, .host = v->rom, .name = "vga-rom"};
    if (vga_regs_init(v) < 0 || vga_vbe_init(v) < 0 || vga_memory_init(v) < 0)
        return weir_dev_fail(dev, WEIR_ENOMEM, "out of memory");
    return pci_register(dev, state, &v->pci, &ids, -1);
}

static void vga_reset(void *state)
{
    struct vga *v = state;
    vga_regs_reset(v);
    vga_vbe_reset(v);
    pci_reset(&v->pci);
    vga_memory_update(v);
}

static void vga_fini(void *state)
{
    struct vga *v = state;
    if (v->words)
        munmap(v->words, VGA_RAM_BYTES);
    free(v->rom);
}

/* Indexes are masked where they are used; only VBE's numbers must fit together. */
static int vga_loaded(void *state)
{
    struct vga *v = state;
    if (v->dac_component > 2)
        return weir_dev_fail(v->dev, WEIR_EFORMAT, "DAC component %u", v->dac_component);
    vga_vbe_loaded(v);
    vga_memory_update(v);
    return 0;
}

static void vga_info(void *state, struct weir_text *out)
{
    const struct vga *v = state;
    if (vga_vbe_on(v)) {
        weir_textf(out, "VBE %ux%u, %u bits, line %u bytes, bank %u\n", v->vbe[VBE_XRES],
                   v->vbe[VBE_YRES], v->vbe[VBE_BPP], vga_vbe_pitch(v), v->vbe[VBE_BANK]);
        return;
    }
    struct vga_geometry g = vga_geometry(v);
    weir_textf(out, "%s, %u character clocks of %u dots, %u lines, start %04x\n",
               g.is_text ? "text" : "graphics", g.characters, g.dots, g.lines,
               vga_start_address(v));
}

const struct weir_dev_class vga_class = {
    .name = "VGA",
    .help = "VGA with Bochs VBE extensions",
    .bus = "pci",
    .state_bytes = sizeof(struct vga),
    .version = 1,
    .init = vga_init,
    .reset = vga_reset,
    .fini = vga_fini,
    .loaded = vga_loaded,
    .info = vga_info,
    .fields = vga_fields,
};

uint32_t vga_rom_bytes(weir_dev *dev)
{
    const struct vga *v = weir_dev_state(dev);
    return v->rom[0] == 0x55 && v->rom[1] == 0xaa ? v->rom[2] * 512u : 0;
}

int vga_set_rom(weir_dev *dev, const void *data, uint32_t length)
{
    struct vga *v = weir_dev_state(dev);
    if (length > VGA_ROM_BYTES)
        return weir_dev_fail(dev, WEIR_ERANGE, "the video BIOS has %u bytes, at most %u fit",
                             length, VGA_ROM_BYTES);
    memset(v->rom, 0, VGA_ROM_BYTES);
    memcpy(v->rom, data, length);
    return 0;
}

/* ---- text mode without firmware ---- */

/* The 8x16 font of the video BIOS is found by its second glyph, the face. */
static const uint8_t *find_font(const struct vga *v)
{
    static const uint8_t face[16] = {0,    0,    0x7e, 0x81, 0xa5, 0x81, 0x81, 0xbd,
                                     0x99, 0x81, 0x81, 0x7e, 0,    0,    0,    0};
    for (uint32_t at = 16; at <= VGA_ROM_BYTES - 255 * 16; at++)
        if (v->rom[at] == 0 && !memcmp(v->rom + at, face, sizeof(face)))
            return v->rom + at - 16;
    return NULL;
}

static void load_font(struct vga *v)
{
    const uint8_t *font = find_font(v);
    for (unsigned c = 0; font && c < 256; c++)
        for (unsigned row = 0; row < 16; row++) {
            uint32_t *word = &v->words[c * 32 + row];
            *word = (*word & ~0xff0000u) | (uint32_t)font[c * 16 + row] << 16;
        }
}

/* The 64 colours of the EGA: each component has a 2/3 bit and a 1/3 bit. */
static void load_palette(struct vga *v)
{
    for (unsigned i = 0; i < 64; i++)
        for (unsigned c = 0; c < 3; c++) {
            unsigned shift = 2 - c;
            unsigned bright = i >> shift & 1, dim = i >> (shift + 3) & 1;
            v->dac[i * 3 + c] = (uint8_t)(bright * 0x2a + dim * 0x15);
        }
}

void vga_set_text_mode(weir_dev *dev)
{
    static const uint8_t seq[5] = {3, 0, 3, 0, 2};
    static const uint8_t crtc[25] = {0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0,
                                     0x4f, 0x0d, 0x0e, 0,    0,    0,    0,    0x9c, 0x8e,
                                     0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff};
    static const uint8_t gfx[9] = {0, 0, 0, 0, 0, 0x10, 0x0e, 0, 0xff};
    static const uint8_t attr[21] = {0,    1,    2,    3,    4,    5,    0x14,
                                     7,    0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d,
                                     0x3e, 0x3f, 0x0c, 0,    0x0f, 8,    0};
    struct vga *v = weir_dev_state(dev);
    v->misc = 0x67;
    v->enable = 1;
    memcpy(v->seq, seq, sizeof(seq));
    memcpy(v->crtc, crtc, sizeof(crtc));
    memcpy(v->gfx, gfx, sizeof(gfx));
    memcpy(v->attr, attr, sizeof(attr));
    v->attr_index = 0x20;
    v->dac_mask = 0xff;
    load_palette(v);
    for (unsigned i = 0; i < VGA_WORDS; i++)
        v->words[i] = 0x0720;
    load_font(v);
    vga_memory_update(v);
}
