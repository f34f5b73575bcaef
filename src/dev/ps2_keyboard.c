/* SPDX-License-Identifier: MIT */
/*
 * ps2_keyboard.c - the keyboard on the 8042's first port, and the byte queue that it shares
 * with the mouse. Speaks scan code sets 1, 2 (default) and 3. IBM PS/2 Technical Reference,
 * "Keyboard (101- and 102-key)".
 */
#include "base/bits.h"
#include "dev/input.h"
#include "dev/ps2.h"

enum {
    KEYBOARD_LEDS = 0xed,
    KEYBOARD_ECHO = 0xee,
    KEYBOARD_SET = 0xf0,
    KEYBOARD_ID = 0xf2,
    KEYBOARD_RATE = 0xf3,
    KEYBOARD_ENABLE = 0xf4,
    KEYBOARD_DISABLE = 0xf5,
    KEYBOARD_DEFAULTS = 0xf6,
    KEYBOARD_ALL_FIRST = 0xf7,
    KEYBOARD_ALL_LAST = 0xfa,
    KEYBOARD_KEY_FIRST = 0xfb,
    KEYBOARD_KEY_LAST = 0xfd,
    KEYBOARD_RESEND = 0xfe,
    KEYBOARD_RESET = 0xff,
};

/* ---- queue ---- */

bool ps2_push(struct ps2_queue *q, const uint8_t *bytes, unsigned count)
{
    if (count + q->count > PS2_QUEUE_BYTES)
        return false;
    for (unsigned i = 0; i < count; i++)
        q->bytes[(q->first + q->count++) % PS2_QUEUE_BYTES] = bytes[i];
    return true;
}

uint8_t ps2_pop(struct ps2_queue *q)
{
    if (!q->count)
        return 0;
    uint8_t byte = q->bytes[q->first];
    q->first = (q->first + 1) % PS2_QUEUE_BYTES;
    q->count--;
    return byte;
}

const struct weir_field ps2_queue_fields[] = {
    WEIR_FIELD_BYTES(struct ps2_queue, bytes),
    WEIR_FIELD(struct ps2_queue, first),
    WEIR_FIELD(struct ps2_queue, count),
    WEIR_FIELD_END,
};

/* ---- commands ---- */

static void answer(struct ps2_keyboard *k, uint8_t byte)
{
    ps2_push(&k->answers, &byte, 1);
}

static void set_defaults(struct ps2_keyboard *k)
{
    k->keys = (struct ps2_queue){0};
    k->rate = 0x2b; /* 10.9 per second after 500 ms */
    k->set = 2;
}

static void take_argument(struct ps2_keyboard *k, uint8_t command, uint8_t byte)
{
    switch (command) {
    case KEYBOARD_LEDS:
        k->leds = byte & 7;
        break;
    case KEYBOARD_RATE:
        k->rate = byte & 0x7f;
        break;
    case KEYBOARD_SET:
        if (byte > 3) {
            answer(k, PS2_RESEND);
            return;
        }
        if (byte)
            k->set = byte;
        break;
    default:
        break; /* make/break behaviour of single keys of set 3: not kept */
    }
    answer(k, PS2_ACK);
    if (command == KEYBOARD_SET && byte == 0)
        answer(k, k->set);
}

static void reset_by_command(struct ps2_keyboard *k)
{
    ps2_keyboard_reset(k);
    answer(k, PS2_ACK);
    answer(k, PS2_BAT_PASSED);
}

void ps2_keyboard_write(struct ps2_keyboard *k, uint8_t byte)
{
    uint8_t command = k->expects;
    k->expects = 0;
    if (command && byte < KEYBOARD_LEDS) {
        take_argument(k, command, byte);
        return;
    }
    switch (byte) {
    case KEYBOARD_ECHO:
        answer(k, KEYBOARD_ECHO);
        return;
    case KEYBOARD_LEDS:
    case KEYBOARD_SET:
    case KEYBOARD_RATE:
        k->expects = byte;
        break;
    case KEYBOARD_ID:
        answer(k, PS2_ACK);
        answer(k, 0xab);
        answer(k, 0x83);
        return;
    case KEYBOARD_ENABLE:
        k->keys = (struct ps2_queue){0};
        k->scanning = 1;
        break;
    case KEYBOARD_DISABLE:
        set_defaults(k);
        k->scanning = 0;
        break;
    case KEYBOARD_DEFAULTS:
        set_defaults(k);
        k->scanning = 1;
        break;
    case KEYBOARD_RESEND:
        answer(k, k->last);
        return;
    case KEYBOARD_RESET:
        reset_by_command(k);
        return;
    default:
        if (byte >= KEYBOARD_KEY_FIRST && byte <= KEYBOARD_KEY_LAST)
            k->expects = byte;
        else if (byte < KEYBOARD_ALL_FIRST || byte > KEYBOARD_ALL_LAST) {
            answer(k, PS2_RESEND);
            return;
        }
    }
    answer(k, PS2_ACK);
}

/* ---- output ---- */

bool ps2_keyboard_ready(const struct ps2_keyboard *k)
{
    return k->answers.count || k->keys.count;
}

uint8_t ps2_keyboard_read(struct ps2_keyboard *k)
{
    k->last = ps2_pop(k->answers.count ? &k->answers : &k->keys);
    return k->last;
}

void ps2_keyboard_key(struct ps2_keyboard *k, int key, bool down)
{
    uint8_t codes[8];
    if (!k->scanning)
        return;
    unsigned count = key_scancode(key, k->set, down, codes);
    if (count > 8 || ps2_push(&k->keys, codes, count))
        return;
    /* Overrun: the last place tells that keys were lost. */
    uint8_t overrun = k->set == 1 ? 0xff : 0x00;
    if (!ps2_push(&k->keys, &overrun, 1))
        k->keys.bytes[(k->keys.first + PS2_QUEUE_BYTES - 1) % PS2_QUEUE_BYTES] = overrun;
}

void ps2_keyboard_reset(struct ps2_keyboard *k)
{
    *k = (struct ps2_keyboard){.scanning = 1};
    set_defaults(k);
}

const struct weir_field ps2_keyboard_fields[] = {
    WEIR_FIELD_STRUCT1(struct ps2_keyboard, answers, ps2_queue_fields),
    WEIR_FIELD_STRUCT1(struct ps2_keyboard, keys, ps2_queue_fields),
    WEIR_FIELD(struct ps2_keyboard, leds),
    WEIR_FIELD(struct ps2_keyboard, rate),
    WEIR_FIELD(struct ps2_keyboard, set),
    WEIR_FIELD(struct ps2_keyboard, scanning),
    WEIR_FIELD(struct ps2_keyboard, expects),
    WEIR_FIELD(struct ps2_keyboard, last),
    WEIR_FIELD_END,
};
