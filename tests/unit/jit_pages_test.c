/* SPDX-License-Identifier: MIT */
/* jit_pages.asm on both engines: links to other pages, returns, groups of operands. */
#include <weir/machine.h>
#include <weir/memory.h>
#include <weir/weir.h>

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START   0x1000u
#define RESULTS 0x18000u
#define LOOPS   300u
#define COUNT   12u

static const char *image;

static size_t load(uint8_t *code, size_t room)
{
    FILE *f = fopen(image, "rb");
    assert_non_null(f);
    size_t bytes = fread(code, 1, room, f);
    fclose(f);
    return bytes;
}

static void run(const char *accel, uint64_t budget, uint64_t results[COUNT])
{
    static uint8_t code[65536];
    struct weir_config config;
    struct weir_exit exit = {.reason = WEIR_EXIT_BUDGET};
    weir *vm;
    size_t bytes = load(code, sizeof(code));
    weir_config_init(&config, sizeof(config));
    config.machine = "none";
    config.accel = accel;
    config.ram_bytes = 1 << 21;
    assert_int_equal(weir_create(&config, &vm), 0);
    weir_mem_write(vm, START, code, bytes);
    weir_boot_flat(vm, 64, START, 0x80000, 0x90000);
    weir_set_reset_exits(vm, true);
    for (unsigned n = 0; exit.reason == WEIR_EXIT_BUDGET && n < 1000000; n++)
        assert_int_equal(weir_run(weir_get_vcpu(vm, 0), budget, &exit), 0);
    assert_int_equal(exit.reason, WEIR_EXIT_HALT);
    weir_mem_read(vm, RESULTS, results, COUNT * sizeof(*results));
    weir_destroy(vm);
}

static void check(const char *accel, uint64_t budget)
{
    uint64_t got[COUNT], interp[COUNT], sum = 0;
    run("interp", 0, interp);
    run(accel, budget, got);
    for (unsigned n = 1; n <= LOOPS; n++)
        sum += n & 127;
    const uint64_t wanted[8] = {LOOPS,     LOOPS * 1000, LOOPS * 7, 20 * 8,
                                LOOPS * 2, sum,          5000,      LOOPS * 3};
    for (unsigned n = 0; n < COUNT; n++) {
        if (n < 8)
            assert_int_equal(got[n], wanted[n]);
        assert_int_equal(got[n], interp[n]);
    }
}

static void interp(void **state)
{
    check("interp", 0);
}
static void jit(void **state)
{
    check("jit", 0);
}
static void jit_counted(void **state)
{
    check("jit", 1000000);
    check("jit", 77);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(interp), cmocka_unit_test(jit),
                                       cmocka_unit_test(jit_counted)};
    if (argc != 2)
        return 2;
    image = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
