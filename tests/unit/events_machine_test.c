/* SPDX-License-Identifier: MIT */
/* events_machine_test.c - what happens to a machine as a whole: resets, power-off. */
#include <weir/introspect.h>
#include <weir/machine.h>
#include <weir/memory.h>

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

#define START 0x8000u

struct seen {
    unsigned resets, from_guest, shutdowns;
};

static unsigned see_reset(void *ctx, weir_vcpu *cpu, struct weir_reset_event *event)
{
    struct seen *seen = ctx;
    seen->resets++;
    seen->from_guest += event->from_guest;
    return WEIR_CONTINUE;
}
static unsigned see_shutdown(void *ctx, weir_vcpu *cpu, struct weir_shutdown_event *event)
{
    struct seen *seen = ctx;
    seen->shutdowns++;
    return WEIR_CONTINUE;
}

static const char *engine;

static weir *machine(const char *type, const uint8_t *code, size_t bytes, struct seen *seen)
{
    struct weir_config config;
    weir *vm;
    weir_config_init(&config, sizeof(config));
    config.machine = type;
    config.accel = engine;
    config.ram_bytes = 16 << 20;
    assert_int_equal(weir_create(&config, &vm), 0);
    assert_int_equal(weir_on_reset(vm, NULL, see_reset, seen, NULL), 0);
    assert_int_equal(weir_on_shutdown(vm, NULL, see_shutdown, seen, NULL), 0);
    assert_int_equal(weir_start(vm), 0);
    assert_int_equal(weir_mem_write(vm, START, code, bytes), 0);
    assert_int_equal(weir_boot_flat(vm, 32, START, 0x7000, 0), 0);
    return vm;
}

/* 1: jmp 1b */
static void from_outside(void **state)
{
    static const uint8_t loop[] = {0xeb, 0xfe};
    struct seen seen = {0};
    struct weir_exit exit;
    weir *vm = machine("none", loop, sizeof(loop), &seen);
    assert_int_equal(weir_run(weir_get_vcpu(vm, 0), 1000, &exit), 0);
    assert_int_equal(seen.resets, 0);
    weir_reset(vm);
    assert_int_equal(weir_run(weir_get_vcpu(vm, 0), 10, &exit), 0);
    assert_int_equal(seen.resets, 1);
    assert_int_equal(seen.from_guest, 0);
    weir_destroy(vm);
}

/* mov al, 6; out dx, al with dx = CF9h: a reset by the guest; then SeaBIOS runs. */
static void from_inside(void **state)
{
    static const uint8_t code[] = {0x66, 0xba, 0xf9, 0x0c, 0xb0, 0x06, 0xee, 0xeb, 0xfe};
    struct seen seen = {0};
    struct weir_exit exit;
    weir *vm = machine("pc", code, sizeof(code), &seen);
    assert_int_equal(weir_run(weir_get_vcpu(vm, 0), 1000, &exit), 0);
    assert_int_equal(seen.resets, 1);
    assert_int_equal(seen.from_guest, 1);
    assert_int_equal(seen.shutdowns, 0);
    weir_destroy(vm);
}

/* Ports of the power management are at 600h and on (PCI 0:1.3, 40h and 80h); SLP_EN with
 * the type of S5 goes to PM1a_CNT: 2000h to port 604h. */
static void power_off(void **state)
{
    static const uint8_t code[] = {
        0x66, 0xba, 0xf8, 0x0c, 0xb8, 0x40, 0x0b, 0x00, 0x80, 0xef, /* CF8h = 80000B40h */
        0x66, 0xba, 0xfc, 0x0c, 0xb8, 0x01, 0x06, 0x00, 0x00, 0xef, /* CFCh = 601h */
        0x66, 0xba, 0xf8, 0x0c, 0xb8, 0x80, 0x0b, 0x00, 0x80, 0xef, /* CF8h = 80000B80h */
        0x66, 0xba, 0xfc, 0x0c, 0xb0, 0x01, 0xee,                   /* CFCh = 1 */
        0x66, 0xba, 0x04, 0x06, 0x66, 0xb8, 0x00, 0x20, 0x66, 0xef, 0xeb, 0xfe};
    struct seen seen = {0};
    struct weir_exit exit;
    weir *vm = machine("pc", code, sizeof(code), &seen);
    assert_int_equal(weir_run(weir_get_vcpu(vm, 0), 100000, &exit), 0);
    assert_int_equal(exit.reason, WEIR_EXIT_SHUTDOWN);
    assert_int_equal(seen.shutdowns, 1);
    weir_destroy(vm);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(from_outside),
                                       cmocka_unit_test(from_inside),
                                       cmocka_unit_test(power_off)};
    if (argc != 2)
        return 2;
    engine = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
