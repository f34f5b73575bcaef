/* SPDX-License-Identifier: MIT */
/* jit_flags.asm: flags that blocks do not keep because others do not need them. */
#include <weir/machine.h>
#include <weir/memory.h>
#include <weir/weir.h>

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>

#define START   0x1000u
#define RESULTS 0x8000u
#define COUNT   20000000u

static const char *image;

static void run(const char *accel, uint32_t results[2])
{
    uint8_t code[4096];
    struct weir_config config;
    struct weir_exit exit;
    weir *vm;
    FILE *f = fopen(image, "rb");
    assert_non_null(f);
    size_t bytes = fread(code, 1, sizeof(code), f);
    fclose(f);
    weir_config_init(&config, sizeof(config));
    config.machine = "none";
    config.accel = accel;
    config.ram_bytes = 1 << 20;
    assert_int_equal(weir_create(&config, &vm), 0);
    weir_mem_write(vm, START, code, bytes);
    weir_boot_flat(vm, 32, START, 0x10000, 0);
    assert_int_equal(weir_run(weir_get_vcpu(vm, 0), 0, &exit), 0);
    assert_int_equal(exit.reason, WEIR_EXIT_HALT);
    weir_mem_read(vm, RESULTS, results, 2 * sizeof(*results));
    weir_destroy(vm);
}

static void overwritten_reader(void **state)
{
    uint32_t got[2];
    run("jit", got);
    assert_int_equal(got[0], COUNT); /* the very first time, too */
    assert_int_equal(got[1], 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(overwritten_reader)};
    image = argv[1];
    return argc == 2 ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
