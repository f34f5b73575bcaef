/* SPDX-License-Identifier: MIT */
/*
 * i8042.c - the PS/2 keyboard controller (ports 60h, 64h), with keyboard and mouse attached,
 * the A20 gate and the reset line. Spec: IBM PS/2 Technical Reference, "Keyboard and auxiliary
 * device controller".
 *
 *   keyboard --> translation set 2 -> 1 --+
 *   mouse ---------------------------------+--> output buffer (60h, OBF) --> IRQ 1 / IRQ 12
 *   answers to controller commands --------+
 *
 * A device's next byte takes its time on the wire after the last was read, and a second read
 * gives the same byte again: handlers that chain to another rely on both. Controller answers
 * come at once. The input buffer is always empty: commands are carried out when written.
 *
 * Invariant: IRQ 1 is high while the buffer holds a byte not from the mouse and CCB bit 0 is
 * set; IRQ 12 while it holds one from the mouse and bit 1 is set.
 */
#include "base/bits.h"
#include "dev/chips.h"
#include "dev/input.h"
#include "dev/machine_hooks.h"
#include "dev/ps2.h"

#define WIRE_NS 500000u /* between two bytes of a device */

enum {
    STATUS_OBF = 1,
    STATUS_SYS = 4,
    STATUS_COMMAND = 8,
    STATUS_UNLOCKED = 16,
    STATUS_AUX = 32
};
enum {
    CCB_KBD_INT = 1,
    CCB_AUX_INT = 2,
    CCB_SYS = 4,
    CCB_KBD_OFF = 16,
    CCB_AUX_OFF = 32,
    CCB_TRANSLATE = 64
};
enum {
    OUTPUT_RESET = 1,
    OUTPUT_A20 = 2,
    OUTPUT_OBF = 16,
    OUTPUT_AUX_OBF = 32,
    OUTPUT_REST = 0xcc
};
enum {
    CTL_READ = 0x20,
    CTL_READ_LAST = 0x3f,
    CTL_WRITE = 0x60,
    CTL_WRITE_LAST = 0x7f,
    CTL_PASSWORD_TEST = 0xa4,
    CTL_AUX_OFF = 0xa7,
    CTL_AUX_ON = 0xa8,
    CTL_AUX_TEST = 0xa9,
    CTL_SELF_TEST = 0xaa,
    CTL_KBD_TEST = 0xab,
    CTL_KBD_OFF = 0xad,
    CTL_KBD_ON = 0xae,
    CTL_READ_INPUT = 0xc0,
    CTL_READ_MODE = 0xca,
    CTL_READ_OUTPUT = 0xd0,
    CTL_WRITE_OUTPUT = 0xd1,
    CTL_WRITE_KBD_OBF = 0xd2,
    CTL_WRITE_AUX_OBF = 0xd3,
    CTL_WRITE_AUX = 0xd4,
    CTL_A20_OFF = 0xdd,
    CTL_A20_ON = 0xdf,
    CTL_READ_TEST = 0xe0,
    CTL_PULSE = 0xf0,
};

struct i8042 {
    struct ps2_keyboard keyboard;
    struct ps2_mouse mouse;
    uint8_t ram[32];       /* byte 0 is the command byte (CCB) */
    uint8_t output;        /* output buffer */
    uint8_t full, is_aux;  /* OBF; its byte came from the mouse */
    uint8_t command;       /* whose data byte comes next, 0 = none: the keyboard gets it */
    uint8_t wrote_command; /* STATUS_COMMAND */
    uint8_t answer_ready, answer, answer_is_aux;
    uint8_t released; /* the translator has seen F0h */
    uint8_t irq_level[2];
    uint64_t wire_free_ns; /* a device may send from then on */
    struct weir_timer wire, sample;
    weir_dev *dev;
    struct weir_line irq[2]; /* IRQ 1, IRQ 12 */
};

/* Set 2 to set 1, as the controller's ROM has it. Codes from 80h on pass but for two. */
static const uint8_t translation[128] = {
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29,
    0x59, 0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11,
    0x03, 0x5b, 0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14,
    0x13, 0x06, 0x5d, 0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24,
    0x16, 0x08, 0x09, 0x5f, 0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35,
    0x26, 0x27, 0x19, 0x0c, 0x61, 0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36,
    0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76, 0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c,
    0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f, 0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45,
    0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
};

static uint8_t *ccb(struct i8042 *s)
{
    return &s->ram[0];
}

/* ---- output buffer ---- */

static void update_irq(struct i8042 *s)
{
    uint8_t levels[2] = {s->full && !s->is_aux && (*ccb(s) & CCB_KBD_INT),
                         s->full && s->is_aux && (*ccb(s) & CCB_AUX_INT)};
    for (unsigned i = 0; i < 2; i++) {
        if (levels[i] == s->irq_level[i])
            continue;
        s->irq_level[i] = levels[i];
        weir_line_set(&s->irq[i], levels[i]);
    }
}

static void load(struct i8042 *s, uint8_t byte, bool is_aux)
{
    s->output = byte;
    s->is_aux = is_aux;
    s->full = 1;
}

/* True if `byte` became something to show; F0h only marks the next one. */
static bool translate(struct i8042 *s, uint8_t *byte)
{
    if (!(*ccb(s) & CCB_TRANSLATE))
        return true;
    if (*byte == 0xf0) {
        s->released = 0x80;
        return false;
    }
    if (*byte >= 128 && *byte != 0x83 && *byte != 0x84)
        return true; /* a prefix or an answer */
    uint8_t code = *byte == 0x83 ? 0x41 : *byte == 0x84 ? 0x54 : translation[*byte];
    *byte = code | s->released;
    s->released = 0;
    return true;
}

/* Fills the output buffer if it is empty and somebody has something. */
static void pump(struct i8042 *s)
{
    if (!s->full && s->answer_ready) {
        s->answer_ready = 0;
        load(s, s->answer, s->answer_is_aux);
    }
    bool keyboard = !(*ccb(s) & CCB_KBD_OFF) && ps2_keyboard_ready(&s->keyboard);
    bool mouse = !(*ccb(s) & CCB_AUX_OFF) && ps2_mouse_ready(&s->mouse);
    if (!s->full && (keyboard || mouse)) {
        if (weir_clock_ns(s->dev) < s->wire_free_ns) {
            weir_timer_set(&s->wire, s->wire_free_ns);
            keyboard = mouse = false;
        }
        while (!s->full && keyboard) {
            uint8_t byte = ps2_keyboard_read(&s->keyboard);
            if (translate(s, &byte))
                load(s, byte, false);
            keyboard = ps2_keyboard_ready(&s->keyboard);
        }
        if (!s->full && mouse)
            load(s, ps2_mouse_read(&s->mouse), true);
    }
    update_irq(s);
}

static void answer(struct i8042 *s, uint8_t byte, bool is_aux)
{
    s->answer = byte;
    s->answer_is_aux = is_aux;
    s->answer_ready = 1;
}

static void wire_fire(void *state)
{
    pump(state);
}

static void sample_fire(void *state)
{
    struct i8042 *s = state;
    if (!ps2_mouse_report(&s->mouse))
        return;
    weir_timer_set(&s->sample, weir_clock_ns(s->dev) + ps2_mouse_period_ns(&s->mouse));
    pump(s);
}

void i8042_key(weir_dev *dev, int key, bool down)
{
    struct i8042 *s = weir_dev_state(dev);
    ps2_keyboard_key(&s->keyboard, key, down);
    pump(s);
}

void i8042_mouse(weir_dev *dev, int dx, int dy, int dz, unsigned buttons)
{
    struct i8042 *s = weir_dev_state(dev);
    /* 1 left, 2 middle, 4 right; the wire has the middle button last. */
    unsigned wire = (buttons & 0x19) | (buttons & 2) << 1 | (buttons & 4) >> 1;
    ps2_mouse_move(&s->mouse, dx, dy, dz, wire);
    if (!weir_timer_armed(&s->sample))
        sample_fire(s);
    pump(s);
}

/* ---- commands ---- */

static uint8_t output_port(struct i8042 *s)
{
    return (uint8_t)(OUTPUT_REST | OUTPUT_RESET |
                     (machine_a20(weir_dev_vm(s->dev)) ? OUTPUT_A20 : 0) |
                     (s->irq_level[0] ? OUTPUT_OBF : 0) |
                     (s->irq_level[1] ? OUTPUT_AUX_OBF : 0));
}

static void write_output_port(struct i8042 *s, uint8_t value)
{
    weir *vm = weir_dev_vm(s->dev);
    machine_a20_set(vm, value & OUTPUT_A20);
    if (!(value & OUTPUT_RESET))
        machine_reset_request(vm);
}

static void command(struct i8042 *s, uint8_t c)
{
    weir *vm = weir_dev_vm(s->dev);
    s->command = 0;
    s->wrote_command = 1;
    if (c >= CTL_READ && c <= CTL_READ_LAST) {
        answer(s, s->ram[c - CTL_READ], false);
    } else if (c >= CTL_WRITE && c <= CTL_WRITE_LAST) {
        s->command = c;
    } else if (c >= CTL_PULSE) {
        if (!(c & 1)) /* output bit 0 is RESET# */
            machine_reset_request(vm);
    } else {
        switch (c) {
        case CTL_PASSWORD_TEST:
            answer(s, 0xf1, false);
            break; /* none */
        case CTL_AUX_OFF:
            *ccb(s) |= CCB_AUX_OFF;
            break;
        case CTL_AUX_ON:
            *ccb(s) &= (uint8_t)~CCB_AUX_OFF;
            break;
        case CTL_AUX_TEST:
        case CTL_KBD_TEST:
            answer(s, 0, false);
            break;
        case CTL_SELF_TEST:
            *ccb(s) |= CCB_SYS;
            answer(s, 0x55, false);
            break;
        case CTL_KBD_OFF:
            *ccb(s) |= CCB_KBD_OFF;
            break;
        case CTL_KBD_ON:
            *ccb(s) &= (uint8_t)~CCB_KBD_OFF;
            break;
        case CTL_READ_INPUT:
            answer(s, 0x80, false);
            break; /* not locked */
        case CTL_READ_MODE:
            answer(s, 1, false);
            break; /* PS/2 */
        case CTL_READ_OUTPUT:
            answer(s, output_port(s), false);
            break;
        case CTL_WRITE_OUTPUT:
        case CTL_WRITE_KBD_OBF:
        case CTL_WRITE_AUX_OBF:
        case CTL_WRITE_AUX:
            s->command = c;
            break;
        case CTL_A20_OFF:
            machine_a20_set(vm, false);
            break;
        case CTL_A20_ON:
            machine_a20_set(vm, true);
            break;
        case CTL_READ_TEST:
            answer(s, 0, false);
            break;
        default:
            break; /* ignored by the chip too */
        }
    }
}

static void data(struct i8042 *s, uint8_t byte)
{
    uint8_t c = s->command;
    s->command = 0;
    s->wrote_command = 0;
    switch (c) {
    case 0:
        *ccb(s) &= (uint8_t)~CCB_KBD_OFF; /* talking to it turns the clock on */
        ps2_keyboard_write(&s->keyboard, byte);
        break;
    case CTL_WRITE_OUTPUT:
        write_output_port(s, byte);
        break;
    case CTL_WRITE_KBD_OBF:
        answer(s, byte, false);
        break;
    case CTL_WRITE_AUX_OBF:
        answer(s, byte, true);
        break;
    case CTL_WRITE_AUX:
        *ccb(s) &= (uint8_t)~CCB_AUX_OFF;
        ps2_mouse_write(&s->mouse, byte);
        break;
    default:
        s->ram[(c - CTL_WRITE) & 31] = byte;
        break;
    }
}

/* ---- ports ---- */

static uint64_t data_read(void *state, uint64_t offset, unsigned size)
{
    struct i8042 *s = state;
    uint8_t byte = s->output;
    if (s->full) {
        s->full = 0;
        s->wire_free_ns = weir_clock_ns(s->dev) + WIRE_NS;
        update_irq(s);
        pump(s);
    }
    return byte;
}

static void data_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    struct i8042 *s = state;
    data(s, (uint8_t)value);
    pump(s);
}

static uint64_t status_read(void *state, uint64_t offset, unsigned size)
{
    struct i8042 *s = state;
    return (s->full ? STATUS_OBF : 0u) | (*ccb(s) & CCB_SYS ? STATUS_SYS : 0u) |
           (s->wrote_command ? STATUS_COMMAND : 0u) | STATUS_UNLOCKED |
           (s->full && s->is_aux ? STATUS_AUX : 0u);
}

static void command_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    struct i8042 *s = state;
    command(s, (uint8_t)value);
    pump(s);
}

static const struct weir_io_ops data_ops = {data_read, data_write, 1, 1, false};
static const struct weir_io_ops command_ops = {status_read, command_write, 1, 1, false};

/* ---- life ---- */

static int i8042_init(weir_dev *dev, void *state)
{
    struct i8042 *s = state;
    s->dev = dev;
    s->irq[0] = weir_dev_gsi(dev, 1);
    s->irq[1] = weir_dev_gsi(dev, 12);
    weir_timer_init(dev, &s->wire, wire_fire);
    weir_timer_init(dev, &s->sample, sample_fire);
    if (!weir_map_ports(dev, 0x60, 1, &data_ops, 0, "i8042-data") ||
        !weir_map_ports(dev, 0x64, 1, &command_ops, 0, "i8042-command"))
        return weir_dev_fail(dev, WEIR_ENOMEM, "out of memory");
    return 0;
}

static void i8042_reset(void *state)
{
    struct i8042 *s = state;
    weir_timer_cancel(&s->wire);
    weir_timer_cancel(&s->sample);
    ps2_keyboard_reset(&s->keyboard);
    ps2_mouse_reset(&s->mouse);
    memset(s->ram, 0, sizeof(s->ram));
    /* As firmware leaves it, for kernels that are booted without any. */
    *ccb(s) = CCB_KBD_INT | CCB_AUX_INT | CCB_SYS | CCB_TRANSLATE;
    s->output = s->full = s->is_aux = s->command = s->wrote_command = 0;
    s->answer_ready = s->answer = s->answer_is_aux = s->released = 0;
    s->wire_free_ns = 0;
    for (unsigned i = 0; i < 2; i++) {
        s->irq_level[i] = 0;
        weir_line_set(&s->irq[i], 0);
    }
    machine_a20_set(weir_dev_vm(s->dev), true);
}

static int i8042_loaded(void *state)
{
    struct i8042 *s = state;
    struct ps2_queue *queues[] = {&s->keyboard.answers, &s->keyboard.keys, &s->mouse.answers,
                                  &s->mouse.packets};
    for (unsigned i = 0; i < ARRAY_SIZE(queues); i++)
        if (queues[i]->first >= PS2_QUEUE_BYTES || queues[i]->count > PS2_QUEUE_BYTES)
            return -WEIR_EINVAL;
    s->released &= 0x80;
    for (unsigned i = 0; i < 2; i++)
        weir_line_set(&s->irq[i], s->irq_level[i]);
    return 0;
}

static void i8042_info(void *state, struct weir_text *out)
{
    struct i8042 *s = state;
    weir_textf(out, "ccb=%02x status=%02x output=%02x\n", *ccb(s),
               (unsigned)status_read(s, 0, 1), s->output);
    weir_textf(out, "keyboard: set %u leds %u scanning %u queue %u\n", s->keyboard.set,
               s->keyboard.leds, s->keyboard.scanning, s->keyboard.keys.count);
    weir_textf(out, "mouse: id %u rate %u resolution %u enabled %u queue %u\n", s->mouse.id,
               s->mouse.rate, s->mouse.resolution, s->mouse.enabled, s->mouse.packets.count);
}

static const struct weir_field i8042_fields[] = {
    WEIR_FIELD_STRUCT1(struct i8042, keyboard, ps2_keyboard_fields),
    WEIR_FIELD_STRUCT1(struct i8042, mouse, ps2_mouse_fields),
    WEIR_FIELD_BYTES(struct i8042, ram),
    WEIR_FIELD(struct i8042, output),
    WEIR_FIELD(struct i8042, full),
    WEIR_FIELD(struct i8042, is_aux),
    WEIR_FIELD(struct i8042, command),
    WEIR_FIELD(struct i8042, wrote_command),
    WEIR_FIELD(struct i8042, answer_ready),
    WEIR_FIELD(struct i8042, answer),
    WEIR_FIELD(struct i8042, answer_is_aux),
    WEIR_FIELD(struct i8042, released),
    WEIR_FIELD_ARRAY(struct i8042, irq_level),
    WEIR_FIELD(struct i8042, wire_free_ns),
    WEIR_FIELD_TIMER(struct i8042, wire),
    WEIR_FIELD_TIMER(struct i8042, sample),
    WEIR_FIELD_END,
};

const struct weir_dev_class i8042_class = {
    .name = "i8042",
    .help = "keyboard controller with keyboard and mouse",
    .bus = "isa",
    .state_bytes = sizeof(struct i8042),
    .version = 1,
    .init = i8042_init,
    .reset = i8042_reset,
    .loaded = i8042_loaded,
    .info = i8042_info,
    .fields = i8042_fields,
};
