/* SPDX-License-Identifier: MIT */
/*
 * vga_regs.c - ports of the VGA: sequencer, CRTC, graphics and attribute controllers, DAC. All
 * registers read back what was written but for bits that do not exist. CRTC and input status 1
 * answer at 3Bxh or 3Dxh, by bit 0 of the miscellaneous output register.
 */
#include "dev/vga_state.h"

/* Bits that exist. */
static const uint8_t seq_mask[8] = {0x03, 0x3d, 0x0f, 0x3f, 0x0e, 0, 0, 0xff};
static const uint8_t gfx_mask[16] = {0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f,
                                     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

/* ---- sequencer, graphics controller, CRTC ---- */

static void seq_write(struct vga *v, uint8_t value)
{
    unsigned index = v->seq_index & 7;
    v->seq[index] = value & seq_mask[index];
    vga_memory_update(v);
}

static void gfx_write(struct vga *v, uint8_t value)
{
    unsigned index = v->gfx_index & 15;
    v->gfx[index] = value & gfx_mask[index];
    vga_memory_update(v);
}

/* CR11 bit 7 protects CR0-CR7, except the line compare bit in CR7. */
static void crtc_write(struct vga *v, uint8_t value)
{
    unsigned index = v->crtc_index;
    if (index >= sizeof(v->crtc))
        return;
    if (index <= 7 && v->crtc[0x11] & 0x80) {
        if (index == 7)
            v->crtc[7] = (uint8_t)((v->crtc[7] & ~0x10) | (value & 0x10));
        return;
    }
    v->crtc[index] = value;
}

/* 22h: a latch; 24h: the attribute flip-flop; 26h: attribute index. Undocumented but used. */
static uint8_t crtc_read(const struct vga *v)
{
    switch (v->crtc_index) {
    case 0x22:
        return (uint8_t)(v->latch >> (8 * (v->gfx[4] & 3)));
    case 0x24:
        return v->attr_data_next ? 0x80 : 0;
    case 0x26:
        return v->attr_index;
    default:
        return v->crtc_index < sizeof(v->crtc) ? v->crtc[v->crtc_index] : 0xff;
    }
}

/* ---- attribute controller ---- */

/* The palette can be written only while the CPU has it (index bit 5 clear). */
static void attr_write(struct vga *v, uint8_t value)
{
    static const uint8_t mode_mask[5] = {0xef, 0xff, 0x3f, 0x0f, 0x0f};
    v->attr_data_next ^= 1;
    if (v->attr_data_next) {
        v->attr_index = value & 0x3f;
        return;
    }
    unsigned index = v->attr_index & 0x1f;
    if (index < 16 && !(v->attr_index & 0x20))
        v->attr[index] = value & 0x3f;
    else if (index >= 16 && index < 16 + sizeof(mode_mask))
        v->attr[index] = value & mode_mask[index - 16];
}

/* ---- DAC ---- */

static uint8_t dac_read(struct vga *v)
{
    uint8_t value = v->dac[v->dac_read * 3u + v->dac_component];
    if (++v->dac_component == 3) {
        v->dac_component = 0;
        v->dac_read++;
    }
    return value;
}

/* A colour changes when its third component arrives. */
static void dac_write(struct vga *v, uint8_t value)
{
    bool wide = v->vbe[VBE_ENABLE] & VBE_8BIT_DAC;
    v->dac_latch[v->dac_component] = wide ? value : value & 0x3f;
    if (++v->dac_component == 3) {
        v->dac_component = 0;
        memcpy(&v->dac[v->dac_write * 3u], v->dac_latch, 3);
        v->dac_write++;
    }
}

/* ---- ports ---- */

static uint8_t status1_read(struct vga *v)
{
    struct vga_beam beam = vga_beam(v);
    v->attr_data_next = 0;
    return (uint8_t)((beam.display_disabled ? 1 : 0) | (beam.vertical_retrace ? 8 : 0));
}

/* CRTC and status ports of the emulation (mono/colour) that is not selected do not answer. */
static bool port_selected(const struct vga *v, unsigned port)
{
    if (port >= 0x3c0 && port <= 0x3cf)
        return true;
    return (v->misc & 1) == (port >= 0x3d0);
}

uint8_t vga_port_read(struct vga *v, unsigned port)
{
    if (!port_selected(v, port))
        return 0xff;
    switch (port) {
    case 0x3c0:
        return v->attr_index;
    case 0x3c1:
        return v->attr[v->attr_index & 0x1f];
    case 0x3c2:
        return 0x10; /* switch sense: a colour monitor */
    case 0x3c3:
        return v->enable;
    case 0x3c4:
        return v->seq_index;
    case 0x3c5:
        return v->seq[v->seq_index & 7];
    case 0x3c6:
        return v->dac_mask;
    case 0x3c7:
        return v->dac_is_read ? 3 : 0;
    case 0x3c8:
        return v->dac_write;
    case 0x3c9:
        return dac_read(v);
    case 0x3ca:
        return v->feature;
    case 0x3cc:
        return v->misc;
    case 0x3ce:
        return v->gfx_index;
    case 0x3cf:
        return v->gfx[v->gfx_index & 15];
    case 0x3b4:
    case 0x3d4:
        return v->crtc_index;
    case 0x3b5:
    case 0x3d5:
        return crtc_read(v);
    case 0x3ba:
    case 0x3da:
        return status1_read(v);
    default:
        return 0xff;
    }
}

static void dac_start(struct vga *v, uint8_t index, bool is_read)
{
    if (is_read)
        v->dac_read = index;
    v->dac_write = is_read ? index + 1 : index;
    v->dac_component = 0;
    v->dac_is_read = is_read;
}

void vga_port_write(struct vga *v, unsigned port, uint8_t value)
{
    if (!port_selected(v, port))
        return;
    switch (port) {
    case 0x3c0:
        attr_write(v, value);
        break;
    case 0x3c2:
        v->misc = value & 0xef;
        vga_memory_update(v);
        break;
    case 0x3c3:
        v->enable = value & 1;
        break;
    case 0x3c4:
        v->seq_index = value & 7;
        break;
    case 0x3c5:
        seq_write(v, value);
        break;
    case 0x3c6:
        v->dac_mask = value;
        break;
    case 0x3c7:
        dac_start(v, value, true);
        break;
    case 0x3c8:
        dac_start(v, value, false);
        break;
    case 0x3c9:
        dac_write(v, value);
        break;
    case 0x3ce:
        v->gfx_index = value & 15;
        break;
    case 0x3cf:
        gfx_write(v, value);
        break;
    case 0x3b4:
    case 0x3d4:
        v->crtc_index = value & 0x3f;
        break;
    case 0x3b5:
    case 0x3d5:
        crtc_write(v, value);
        break;
    case 0x3ba:
    case 0x3da:
        v->feature = value & 0x0b;
        break;
    default:
        break;
    }
}

#define PORT_RANGE(first)                                                                      \
    static uint64_t read_##first(void *state, uint64_t offset, unsigned size)                  \
    {                                                                                          \
        return vga_port_read(state, 0x##first + (unsigned)offset);                             \
    }                                                                                          \
    static void write_##first(void *state, uint64_t offset, uint64_t value, unsigned size)     \
    {                                                                                          \
        vga_port_write(state, 0x##first + (unsigned)offset, (uint8_t)value);                   \
    }                                                                                          \
    static const struct weir_io_ops ops_##first = {read_##first, write_##first, 1, 1, false};
PORT_RANGE(3b4)
PORT_RANGE(3ba)
PORT_RANGE(3c0)
PORT_RANGE(3d4)
PORT_RANGE(3da)

int vga_regs_init(struct vga *v)
{
    bool ok = weir_map_ports(v->dev, 0x3b4, 2, &ops_3b4, 0, "vga") &&
              weir_map_ports(v->dev, 0x3ba, 1, &ops_3ba, 0, "vga") &&
              weir_map_ports(v->dev, 0x3c0, 16, &ops_3c0, 0, "vga") &&
              weir_map_ports(v->dev, 0x3d4, 2, &ops_3d4, 0, "vga") &&
              weir_map_ports(v->dev, 0x3da, 1, &ops_3da, 0, "vga");
    return ok ? 0 : -WEIR_ENOMEM;
}

/* Display memory is left alone, as RAM is. */
void vga_regs_reset(struct vga *v)
{
    v->misc = v->feature = v->enable = 0;
    v->seq_index = v->crtc_index = v->gfx_index = v->attr_index = v->attr_data_next = 0;
    memset(v->seq, 0, sizeof(v->seq));
    memset(v->crtc, 0, sizeof(v->crtc));
    memset(v->gfx, 0, sizeof(v->gfx));
    memset(v->attr, 0, sizeof(v->attr));
    memset(v->dac, 0, sizeof(v->dac));
    memset(v->dac_latch, 0, sizeof(v->dac_latch));
    v->dac_mask = 0xff;
    v->dac_read = v->dac_write = v->dac_component = v->dac_is_read = 0;
    v->latch = 0;
}
