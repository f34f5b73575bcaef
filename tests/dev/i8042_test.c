/* SPDX-License-Identifier: MIT */
/* i8042_test.c - keyboard controller, keyboard, mouse, key tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "harness.h"
#include "dev/input.h"

#include <stdlib.h>
#include <string.h>

#define MS 1000000ull

struct bench {
    struct rig *rig;
    weir_dev *dev;
};

static int setup(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));
    b->rig = rig_new();
    b->dev = rig_add(b->rig, &i8042_class, NULL);
    *state = b;
    return 0;
}
/* Waits for a byte; -1 if none comes. Bytes of the mouse have bit 8 set. */
static int byte(struct bench *b)
{
    for (unsigned i = 0; i < 200; i++) {
        uint8_t status = inb(b->rig, 0x64);
        if (status & 1)
            return inb(b->rig, 0x60) | (status & 0x20 ? 0x100 : 0);
        rig_run(b->rig, MS / 10);
    }
    return -1;
}
static void expect(struct bench *b, const char *hex)
{
    for (const char *at = hex; *at;) {
        char *end;
        int want = (int)strtol(at, &end, 16), got = byte(b);
        if (got != want)
            fail_msg("of %s: %x instead of %x", hex, (unsigned)got, (unsigned)want);
        at = end;
    }
    assert_int_equal(byte(b), -1);
}
static void ccb(struct bench *b, unsigned v)
{
    outb(b->rig, 0x64, 0x60);
    outb(b->rig, 0x60, v);
}
static void mouse(struct bench *b, unsigned v)
{
    outb(b->rig, 0x64, 0xd4);
    outb(b->rig, 0x60, v);
}
static void key(struct bench *b, const char *name, bool down)
{
    int k = key_by_name(name);
    assert_true(k > 0);
    i8042_key(b->dev, k, down);
}

static void test_controller(void **state)
{
    struct bench *b = *state;
    assert_int_equal(inb(b->rig, 0x64) & 0x21, 0);
    outb(b->rig, 0x64, 0xaa);
    expect(b, "55");
    outb(b->rig, 0x64, 0xab);
    expect(b, "0");
    outb(b->rig, 0x64, 0xa9);
    expect(b, "0");
    ccb(b, 0x65);
    outb(b->rig, 0x64, 0x20);
    expect(b, "65");
    outb(b->rig, 0x64, 0xa8);
    outb(b->rig, 0x64, 0xad);
    outb(b->rig, 0x64, 0x20);
    expect(b, "55");
    outb(b->rig, 0x64, 0x6a); /* RAM */
    outb(b->rig, 0x60, 0x99);
    outb(b->rig, 0x64, 0x2a);
    expect(b, "99");
    outb(b->rig, 0x64, 0xd2);
    outb(b->rig, 0x60, 0x77);
    expect(b, "77");
    outb(b->rig, 0x64, 0xd3);
    outb(b->rig, 0x60, 0x78);
    expect(b, "178");
}

static void test_a20_and_reset(void **state)
{
    struct bench *b = *state;
    struct weir *vm = b->rig->vm;
    assert_true(vm->a20_enabled);
    outb(b->rig, 0x64, 0xd1);
    outb(b->rig, 0x60, 0xdd);
    assert_false(vm->a20_enabled);
    outb(b->rig, 0x64, 0xd0);
    assert_int_equal(byte(b) & 3, 1);
    outb(b->rig, 0x64, 0xdf);
    assert_true(vm->a20_enabled);
    outb(b->rig, 0x64, 0xd0);
    assert_int_equal(byte(b) & 3, 3);
    assert_int_equal(b->rig->resets, 0);
    outb(b->rig, 0x64, 0xff); /* pulses nothing */
    assert_int_equal(b->rig->resets, 0);
    outb(b->rig, 0x64, 0xfe);
    assert_int_equal(b->rig->resets, 1);
    outb(b->rig, 0x64, 0xd1);
    outb(b->rig, 0x60, 0xde);
    assert_int_equal(b->rig->resets, 2);
}

static void test_keys_translated(void **state)
{
    struct bench *b = *state;
    key(b, "a", true);
    assert_int_equal(b->rig->level[1], 1);
    expect(b, "1e");
    assert_int_equal(b->rig->level[1], 0);
    key(b, "a", false);
    expect(b, "9e");
    key(b, "delete", true);
    key(b, "delete", false);
    expect(b, "e0 53 e0 d3");
    key(b, "f7", true);
    key(b, "f7", false);
    expect(b, "41 c1");
    key(b, "print", true);
    key(b, "print", false);
    expect(b, "e0 2a e0 37 e0 b7 e0 aa");
    key(b, "pause", true);
    key(b, "pause", false);
    expect(b, "e1 1d 45 e1 9d c5");
}

static void test_keys_sets(void **state)
{
    struct bench *b = *state;
    ccb(b, 0x05); /* no translation */
    key(b, "a", true);
    key(b, "a", false);
    expect(b, "1c f0 1c");
    key(b, "kp_enter", true);
    key(b, "kp_enter", false);
    expect(b, "e0 5a e0 f0 5a");
    key(b, "pause", true);
    expect(b, "e1 14 77 e1 f0 14 f0 77");
    outb(b->rig, 0x60, 0xf0);
    expect(b, "fa");
    outb(b->rig, 0x60, 0x00);
    expect(b, "fa 2");
    outb(b->rig, 0x60, 0xf0);
    outb(b->rig, 0x60, 0x01);
    expect(b, "fa fa");
    key(b, "a", true);
    key(b, "a", false);
    expect(b, "1e 9e");
    outb(b->rig, 0x60, 0xf0);
    outb(b->rig, 0x60, 0x03);
    expect(b, "fa fa");
    key(b, "ctrl", true);
    key(b, "ctrl", false);
    expect(b, "11 f0 11");
    outb(b->rig, 0x60, 0xf0);
    outb(b->rig, 0x60, 0x07);
    expect(b, "fa fe");
}

static void test_keyboard_commands(void **state)
{
    struct bench *b = *state;
    outb(b->rig, 0x60, 0xf2);
    expect(b, "fa ab 41"); /* 83h, translated */
    outb(b->rig, 0x60, 0xee);
    expect(b, "ee");
    outb(b->rig, 0x60, 0xed);
    expect(b, "fa");
    outb(b->rig, 0x60, 0x07);
    expect(b, "fa");
    outb(b->rig, 0x60, 0xf3);
    outb(b->rig, 0x60, 0x20);
    expect(b, "fa fa");
    outb(b->rig, 0x60, 0xfe);
    expect(b, "fa");
    outb(b->rig, 0x60, 0x12); /* no such command */
    expect(b, "fe");
    outb(b->rig, 0x60, 0xf5);
    expect(b, "fa");
    key(b, "x", true); /* not scanning */
    expect(b, "");
    outb(b->rig, 0x60, 0xff);
    expect(b, "fa aa");
    key(b, "x", true);
    expect(b, "2d");
}

static void test_same_byte_twice(void **state)
{
    struct bench *b = *state;
    key(b, "a", true);
    key(b, "a", false);
    assert_int_equal(inb(b->rig, 0x60), 0x1e);
    assert_int_equal(inb(b->rig, 0x60), 0x1e); /* for the next handler in the chain */
    assert_int_equal(inb(b->rig, 0x64) & 1, 0);
    rig_run(b->rig, MS);
    assert_int_equal(b->rig->edges[1], 2);
    assert_int_equal(inb(b->rig, 0x60), 0x9e);
}

static void test_disabled_keyboard_keeps_keys(void **state)
{
    struct bench *b = *state;
    outb(b->rig, 0x64, 0xad);
    key(b, "a", true);
    expect(b, "");
    outb(b->rig, 0x64, 0xae);
    expect(b, "1e");
}

static void test_overrun(void **state)
{
    struct bench *b = *state;
    ccb(b, 0x05);
    key(b, "b", true); /* in the output buffer */
    for (unsigned i = 0; i < 20; i++)
        key(b, "a", true);
    assert_int_equal(byte(b), 0x32);
    for (unsigned i = 0; i < 15; i++)
        assert_int_equal(byte(b), 0x1c);
    assert_int_equal(byte(b), 0);
    assert_int_equal(byte(b), -1);
}

static void test_mouse_setup(void **state)
{
    struct bench *b = *state;
    mouse(b, 0xff);
    assert_int_equal(b->rig->level[12], 1);
    assert_int_equal(b->rig->level[1], 0);
    expect(b, "1fa 1aa 100");
    mouse(b, 0xf2);
    expect(b, "1fa 100");
    mouse(b, 0xe9);
    expect(b, "1fa 100 102 164");
    for (unsigned i = 0; i < 3; i++) {
        mouse(b, 0xf3);
        mouse(b, "\xc8\x64\x50"[i] & 0xff);
        expect(b, "1fa 1fa");
    }
    mouse(b, 0xf2);
    expect(b, "1fa 103");
    for (unsigned i = 0; i < 3; i++) {
        mouse(b, 0xf3);
        mouse(b, "\xc8\xc8\x50"[i] & 0xff);
        expect(b, "1fa 1fa");
    }
    mouse(b, 0xf2);
    expect(b, "1fa 104");
}

static void test_mouse_stream(void **state)
{
    struct bench *b = *state;
    i8042_mouse(b->dev, 5, 5, 0, 0); /* not enabled */
    expect(b, "");
    mouse(b, 0xf6);
    mouse(b, 0xf4);
    expect(b, "1fa 1fa");
    i8042_mouse(b->dev, 5, 3, 0, 1);
    expect(b, "129 105 1fd"); /* left button, 5 right, 3 down */
    i8042_mouse(b->dev, -300, 0, 0, 0);
    expect(b, "118 101 100 118 1d3 100"); /* in two packets */
    rig_run(b->rig, 20 * MS);
    /* Sample rate: what comes within 10 ms is one packet. */
    i8042_mouse(b->dev, 1, 0, 0, 0);
    i8042_mouse(b->dev, 1, 0, 0, 0);
    i8042_mouse(b->dev, 1, 0, 0, 0);
    assert_int_equal(byte(b), 0x108);
    assert_int_equal(byte(b), 0x101);
    assert_int_equal(byte(b), 0x100);
    rig_run(b->rig, 10 * MS);
    expect(b, "108 102 100");
    rig_run(b->rig, 20 * MS);
    /* A click between two samples is seen. */
    i8042_mouse(b->dev, 1, 0, 0, 0);
    i8042_mouse(b->dev, 0, 0, 0, 4); /* right */
    i8042_mouse(b->dev, 0, 0, 0, 0);
    rig_run(b->rig, 10 * MS);
    expect(b, "108 101 100 10a 100 100 108 100 100");
}

static void test_mouse_wheel(void **state)
{
    struct bench *b = *state;
    for (unsigned i = 0; i < 3; i++) {
        mouse(b, 0xf3);
        mouse(b, "\xc8\x64\x50"[i] & 0xff);
    }
    mouse(b, 0xf4);
    expect(b, "1fa 1fa 1fa 1fa 1fa 1fa 1fa");
    i8042_mouse(b->dev, 0, 0, -1, 2); /* middle */
    expect(b, "10c 100 100 1ff");
}

static void test_mouse_remote_and_wrap(void **state)
{
    struct bench *b = *state;
    mouse(b, 0xf0);
    mouse(b, 0xf4);
    expect(b, "1fa 1fa");
    i8042_mouse(b->dev, 7, 0, 0, 0);
    expect(b, "");
    mouse(b, 0xeb);
    expect(b, "1fa 108 107 100");
    mouse(b, 0xee);
    expect(b, "1fa");
    mouse(b, 0x42);
    expect(b, "142");
    mouse(b, 0xec);
    expect(b, "1fa");
    mouse(b, 0xea);
    expect(b, "1fa");
}

/* ---- tables ---- */

static void test_key_names(void **state)
{
    int count = 0;
    while (key_name(count + 1)) {
        count++;
        assert_int_equal(key_by_name(key_name(count)), count); /* no name twice */
    }
    assert_in_range(count, 120, 200);
    assert_null(key_name(0));
    assert_null(key_name(-1));
    assert_true(key_by_name("nonsense") < 0);
    static const char *const wanted[] = {"shift", "shift_r", "alt",    "alt_r",  "ctrl",
                                         "ret",   "spc",     "kp_0",   "f12",    "sysrq",
                                         "less",  "meta_l",  "delete", "insert", "menu"};
    for (unsigned i = 0; i < ARRAY_SIZE(wanted); i++)
        assert_true(key_by_name(wanted[i]) > 0);
}

/* What set 2 becomes in the controller is the key's set 1, for all keys. */
static void test_translation_agrees(void **state)
{
    struct bench *b = *state;
    for (int k = 1; key_name(k); k++) {
        for (int down = 1; down >= 0; down--) {
            uint8_t want[8];
            unsigned count = key_scancode(k, 1, down, want);
            if (!strncmp(key_name(k), "lang", 4))
                continue; /* their set 2 codes are not translated */
            i8042_key(b->dev, k, down);
            for (unsigned i = 0; i < count; i++) {
                int got = byte(b);
                if (got != want[i])
                    fail_msg("%s %s: byte %u is %x, not %x", key_name(k), down ? "down" : "up",
                             i, (unsigned)got, want[i]);
            }
            assert_int_equal(byte(b), -1);
        }
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_controller),
        TEST(test_a20_and_reset),
        TEST(test_keys_translated),
        TEST(test_keys_sets),
        TEST(test_keyboard_commands),
        TEST(test_same_byte_twice),
        TEST(test_disabled_keyboard_keeps_keys),
        TEST(test_overrun),
        TEST(test_mouse_setup),
        TEST(test_mouse_stream),
        TEST(test_mouse_wheel),
        TEST(test_mouse_remote_and_wrap),
        cmocka_unit_test(test_key_names),
        TEST(test_translation_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
