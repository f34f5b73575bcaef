/* SPDX-License-Identifier: MIT */
/* jit_memory.asm on both engines: strings over pages, A and D bits, addresses that are none. */
#include <weir/machine.h>
#include <weir/memory.h>
#include <weir/weir.h>

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define START    0x1000u
#define RESULTS  0x18000u
#define COUNT    4096u /* quadwords, more than are used */
#define AT_LEAST 900u  /* of them are not zero */

static const char *image;

static void run(const char *accel, uint64_t budget, uint64_t results[COUNT])
{
    static uint8_t code[65536];
    struct weir_config config;
    struct weir_exit exit = {.reason = WEIR_EXIT_BUDGET};
    weir *vm;
    FILE *f = fopen(image, "rb");
    assert_non_null(f);
    size_t bytes = fread(code, 1, sizeof(code), f);
    fclose(f);
    weir_config_init(&config, sizeof(config));
    config.machine = "none";
    config.accel = accel;
    config.cpu = "max";
    config.ram_bytes = 2 << 20;
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

static void check(uint64_t budget)
{
    static uint64_t interp[COUNT], jit[COUNT];
    unsigned used = 0;
    run("interp", 0, interp);
    run("jit", budget, jit);
    for (unsigned n = 0; n < COUNT; n++) {
        used += interp[n] != 0;
        if (interp[n] != jit[n])
            print_error("result %u: %llx, translated %llx\n", n, (unsigned long long)interp[n],
                        (unsigned long long)jit[n]);
        assert_int_equal(interp[n], jit[n]);
    }
    assert_true(used >= AT_LEAST);
}

static void at_once(void **state)
{
    check(0);
}
static void counted(void **state)
{
    check(1000000);
    check(997);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(at_once), cmocka_unit_test(counted)};
    if (argc != 2)
        return 2;
    image = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
