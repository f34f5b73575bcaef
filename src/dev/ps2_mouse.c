/* SPDX-License-Identifier: MIT */
/*
 * ps2_mouse.c - the mouse on the 8042's second port: three buttons, with the wheel and two more
 * after the IntelliMouse sequences of sample rates (200, 100, 80 and 200, 200, 80).
 * IBM PS/2 Technical Reference, "Auxiliary device"; Microsoft IntelliMouse notes.
 */
#include "base/bits.h"
#include "dev/ps2.h"

enum {
    MOUSE_SCALE1 = 0xe6,
    MOUSE_SCALE2 = 0xe7,
    MOUSE_RESOLUTION = 0xe8,
    MOUSE_STATUS = 0xe9,
    MOUSE_STREAM = 0xea,
    MOUSE_READ = 0xeb,
    MOUSE_UNWRAP = 0xec,
    MOUSE_WRAP = 0xee,
    MOUSE_REMOTE = 0xf0,
    MOUSE_ID = 0xf2,
    MOUSE_RATE = 0xf3,
    MOUSE_ENABLE = 0xf4,
    MOUSE_DISABLE = 0xf5,
    MOUSE_DEFAULTS = 0xf6,
    MOUSE_RESEND = 0xfe,
    MOUSE_RESET = 0xff,
};
enum { PACKET_ALWAYS = 8, PACKET_X_SIGN = 0x10, PACKET_Y_SIGN = 0x20 };

static void answer(struct ps2_mouse *m, uint8_t byte)
{
    ps2_push(&m->answers, &byte, 1);
}

static int clamp(int32_t v, int low, int high)
{
    return v < low ? low : v > high ? high : v;
}

/* ---- packets ---- */

/* 2:1 scaling, stream mode only. */
static int scale(int v)
{
    static const uint8_t table[6] = {0, 1, 1, 3, 6, 9};
    int magnitude = v < 0 ? -v : v;
    magnitude = magnitude < 6 ? table[magnitude] : clamp(2 * magnitude, 0, 255);
    return v < 0 ? -magnitude : magnitude;
}

/* Takes as much of the movement as fits; returns the packet's length. */
static unsigned make_packet(struct ps2_mouse *m, uint8_t out[4], bool scaled)
{
    int dx = clamp(m->dx, -255, 255), dy = clamp(m->dy, -255, 255);
    m->dx -= dx;
    m->dy -= dy;
    if (scaled) {
        dx = scale(dx);
        dy = scale(dy);
    }
    out[0] = (uint8_t)((m->buttons & 7) | PACKET_ALWAYS | (dx < 0 ? PACKET_X_SIGN : 0) |
                       (dy < 0 ? PACKET_Y_SIGN : 0));
    out[1] = (uint8_t)dx;
    out[2] = (uint8_t)dy;
    m->reported_buttons = m->buttons;
    if (m->id == 0) {
        m->dz = 0;
        return 3;
    }
    int dz = m->id == 3 ? clamp(m->dz, -128, 127) : clamp(m->dz, -8, 7);
    m->dz -= dz;
    out[3] = (uint8_t)(m->id == 3 ? dz : (dz & 15) | (m->buttons & 0x18) << 1);
    return 4;
}

static bool has_news(const struct ps2_mouse *m)
{
    unsigned visible = m->id == 4 ? 0x1f : 7;
    return m->dx || m->dy || (m->dz && m->id) || ((m->buttons ^ m->reported_buttons) & visible);
}

bool ps2_mouse_report(struct ps2_mouse *m)
{
    uint8_t packet[4];
    if (!m->enabled || m->remote || m->wrap || !has_news(m) ||
        m->packets.count > PS2_QUEUE_BYTES - sizeof(packet))
        return false;
    unsigned count = make_packet(m, packet, m->scaling2);
    return ps2_push(&m->packets, packet, count);
}

void ps2_mouse_move(struct ps2_mouse *m, int dx, int dy, int dz, unsigned buttons)
{
    /* A click between two samples must not be lost. */
    if (((buttons ^ m->buttons) & 0x1f) && m->buttons != m->reported_buttons)
        ps2_mouse_report(m);
    m->dx = clamp(m->dx + clamp(dx, -4096, 4096), -65536, 65536);
    m->dy = clamp(m->dy - clamp(dy, -4096, 4096), -65536, 65536);
    m->dz = clamp(m->dz + clamp(dz, -128, 127), -1024, 1024);
    m->buttons = buttons & 0x1f;
}

/* ---- commands ---- */

static void set_defaults(struct ps2_mouse *m)
{
    m->packets = (struct ps2_queue){0};
    m->dx = m->dy = m->dz = 0;
    m->rate = 100;
    m->resolution = 2;
    m->scaling2 = m->remote = m->wrap = m->enabled = 0;
}

static void set_rate(struct ps2_mouse *m, uint8_t rate)
{
    if (m->knock[0] == 200 && m->knock[1] == 100 && rate == 80)
        m->id = 3;
    if (m->knock[0] == 200 && m->knock[1] == 200 && rate == 80)
        m->id = 4;
    m->knock[0] = m->knock[1];
    m->knock[1] = rate;
    m->rate = rate;
}

static void answer_status(struct ps2_mouse *m)
{
    unsigned b = m->buttons;
    answer(m, PS2_ACK);
    answer(m, (uint8_t)((b & 1) << 2 | (b & 4) >> 1 | (b & 2) >> 1 | m->scaling2 << 4 |
                        m->enabled << 5 | m->remote << 6));
    answer(m, m->resolution);
    answer(m, m->rate);
}

static void answer_packet(struct ps2_mouse *m)
{
    uint8_t packet[4];
    unsigned count = make_packet(m, packet, false);
    answer(m, PS2_ACK);
    ps2_push(&m->answers, packet, count);
}

static void take_argument(struct ps2_mouse *m, uint8_t command, uint8_t byte)
{
    if (command == MOUSE_RATE)
        set_rate(m, byte);
    else
        m->resolution = byte & 3;
    answer(m, PS2_ACK);
}

static void reset_by_command(struct ps2_mouse *m)
{
    ps2_mouse_reset(m);
    answer(m, PS2_ACK);
    answer(m, PS2_BAT_PASSED);
    answer(m, 0); /* ID */
}

/* Those that only set something and are acknowledged; false: no such command. */
static bool simple_command(struct ps2_mouse *m, uint8_t byte)
{
    switch (byte) {
    case MOUSE_SCALE1:
        m->scaling2 = 0;
        break;
    case MOUSE_SCALE2:
        m->scaling2 = 1;
        break;
    case MOUSE_RESOLUTION:
    case MOUSE_RATE:
        m->expects = byte;
        break;
    case MOUSE_STREAM:
        m->remote = 0;
        break;
    case MOUSE_UNWRAP:
        m->wrap = 0;
        break;
    case MOUSE_WRAP:
        m->wrap = 1;
        break;
    case MOUSE_REMOTE:
        m->remote = 1;
        break;
    case MOUSE_ENABLE:
        m->enabled = 1;
        break;
    case MOUSE_DISABLE:
        m->enabled = 0;
        m->packets = (struct ps2_queue){0};
        break;
    case MOUSE_DEFAULTS:
        set_defaults(m);
        break;
    default:
        return false;
    }
    answer(m, PS2_ACK);
    return true;
}

void ps2_mouse_write(struct ps2_mouse *m, uint8_t byte)
{
    uint8_t command = m->expects;
    m->expects = 0;
    if (m->wrap && byte != MOUSE_UNWRAP && byte != MOUSE_RESET) {
        answer(m, byte);
    } else if (command) {
        take_argument(m, command, byte);
    } else if (byte == MOUSE_STATUS) {
        answer_status(m);
    } else if (byte == MOUSE_READ) {
        answer_packet(m);
    } else if (byte == MOUSE_ID) {
        answer(m, PS2_ACK);
        answer(m, m->id);
    } else if (byte == MOUSE_RESEND) {
        answer(m, m->last);
    } else if (byte == MOUSE_RESET) {
        reset_by_command(m);
    } else if (!simple_command(m, byte)) {
        answer(m, PS2_RESEND);
    }
}

/* ---- output ---- */

bool ps2_mouse_ready(const struct ps2_mouse *m)
{
    return m->answers.count || m->packets.count;
}

uint8_t ps2_mouse_read(struct ps2_mouse *m)
{
    m->last = ps2_pop(m->answers.count ? &m->answers : &m->packets);
    return m->last;
}

void ps2_mouse_reset(struct ps2_mouse *m)
{
    /* The buttons are the person's. */
    *m = (struct ps2_mouse){.buttons = m->buttons, .reported_buttons = m->buttons};
    set_defaults(m);
}

const struct weir_field ps2_mouse_fields[] = {
    WEIR_FIELD_STRUCT1(struct ps2_mouse, answers, ps2_queue_fields),
    WEIR_FIELD_STRUCT1(struct ps2_mouse, packets, ps2_queue_fields),
    WEIR_FIELD(struct ps2_mouse, dx),
    WEIR_FIELD(struct ps2_mouse, dy),
    WEIR_FIELD(struct ps2_mouse, dz),
    WEIR_FIELD(struct ps2_mouse, buttons),
    WEIR_FIELD(struct ps2_mouse, reported_buttons),
    WEIR_FIELD(struct ps2_mouse, id),
    WEIR_FIELD(struct ps2_mouse, rate),
    WEIR_FIELD(struct ps2_mouse, resolution),
    WEIR_FIELD(struct ps2_mouse, scaling2),
    WEIR_FIELD(struct ps2_mouse, remote),
    WEIR_FIELD(struct ps2_mouse, wrap),
    WEIR_FIELD(struct ps2_mouse, enabled),
    WEIR_FIELD(struct ps2_mouse, expects),
    WEIR_FIELD(struct ps2_mouse, last),
    WEIR_FIELD_ARRAY(struct ps2_mouse, knock),
    WEIR_FIELD_END,
};
