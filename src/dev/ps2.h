/* SPDX-License-Identifier: MIT */
/*
 * ps2.h - the keyboard and the mouse as the 8042 sees them: byte queues with a command input.
 * They are parts of the i8042 device, not devices of their own.
 */
#ifndef DEV_PS2_H
#define DEV_PS2_H

#include <weir/device.h>

enum { PS2_QUEUE_BYTES = 16 };
enum { PS2_ACK = 0xfa, PS2_RESEND = 0xfe, PS2_BAT_PASSED = 0xaa, PS2_ERROR = 0xfc };

/* Invariant: first < 16, count <= 16. */
struct ps2_queue {
    uint8_t bytes[PS2_QUEUE_BYTES];
    uint8_t first, count;
};
extern const struct weir_field ps2_queue_fields[];
/* All or nothing. */
bool ps2_push(struct ps2_queue *q, const uint8_t *bytes, unsigned count);
uint8_t ps2_pop(struct ps2_queue *q); /* 0 when empty */

struct ps2_keyboard {
    struct ps2_queue answers, keys; /* answers go first */
    uint8_t leds, rate, set, scanning;
    uint8_t expects; /* the command whose argument comes next, 0 = none */
    uint8_t last;    /* sent last, for Resend */
};
extern const struct weir_field ps2_keyboard_fields[];
void ps2_keyboard_reset(struct ps2_keyboard *k);
void ps2_keyboard_write(struct ps2_keyboard *k, uint8_t byte);
bool ps2_keyboard_ready(const struct ps2_keyboard *k);
uint8_t ps2_keyboard_read(struct ps2_keyboard *k);
void ps2_keyboard_key(struct ps2_keyboard *k, int key, bool down);

struct ps2_mouse {
    struct ps2_queue answers, packets;
    int32_t dx, dy, dz; /* moved, not reported; dy upwards */
    uint8_t buttons, reported_buttons;
    uint8_t id; /* 0; 3 with wheel; 4 with wheel and five buttons */
    uint8_t rate, resolution, scaling2, remote, wrap, enabled;
    uint8_t expects, last;
    uint8_t knock[2]; /* the two sample rates set before the present one */
};
extern const struct weir_field ps2_mouse_fields[];
void ps2_mouse_reset(struct ps2_mouse *m);
void ps2_mouse_write(struct ps2_mouse *m, uint8_t byte);
bool ps2_mouse_ready(const struct ps2_mouse *m);
uint8_t ps2_mouse_read(struct ps2_mouse *m);
/* dy downwards; buttons: bit 0 left, 1 right, 2 middle, 3 and 4 the side ones. */
void ps2_mouse_move(struct ps2_mouse *m, int dx, int dy, int dz, unsigned buttons);
/* Queues a packet if there is something to report; true if it did. */
bool ps2_mouse_report(struct ps2_mouse *m);
static inline uint64_t ps2_mouse_period_ns(const struct ps2_mouse *m)
{
    return 1000000000ull / (m->rate ? m->rate : 1);
}

#endif
