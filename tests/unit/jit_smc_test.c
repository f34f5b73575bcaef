/* SPDX-License-Identifier: MIT */
/*
 * jit_smc.asm on both engines: the same results, and the translator may not be slower than the
 * interpreter by much however code is written. Times per round are printed.
 */
#include <weir/machine.h>
#include <weir/memory.h>
#include <weir/weir.h>

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <time.h>

#define START   0x1000u
#define KIND    0x18000u
#define RESULT  0x18010u
#define ROUNDS  20000u
#define TRIES   3u
#define AT_MOST 4.0 /* times as slow as the interpreter */

static const char *image;

static const char *const kinds[] = {"data beside code",      "data in a line with code",
                                    "immediate of a loop",   "function made anew",
                                    "functions, one by one", "target of a call"};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Seconds; *result is what the guest says. */
static double run(const char *accel, uint64_t kind, uint64_t rounds, uint64_t *result)
{
    static uint8_t code[65536];
    const uint64_t order[2] = {kind, rounds};
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
    weir_mem_write(vm, KIND, order, sizeof(order));
    weir_boot_flat(vm, 64, START, 0x80000, 0x90000);
    weir_set_reset_exits(vm, true);
    double began = cpu_s();
    assert_int_equal(weir_run(weir_get_vcpu(vm, 0), 0, &exit), 0);
    double took = cpu_s() - began;
    assert_int_equal(exit.reason, WEIR_EXIT_HALT);
    weir_mem_read(vm, RESULT, result, sizeof(*result));
    weir_destroy(vm);
    return took;
}

static double best(const char *accel, uint64_t kind, uint64_t *result)
{
    double least = 1e9;
    for (unsigned n = 0; n < TRIES; n++) {
        double took = run(accel, kind, ROUNDS, result);
        least = took < least ? took : least;
    }
    return least;
}

static void all(void **state)
{
    for (unsigned k = 0; k < KINDS; k++) {
        uint64_t by_interp, by_jit;
        double interp = best("interp", k, &by_interp), jit = best("jit", k, &by_jit);
        print_message("%-26s %8.1f ns interpreted, %8.1f ns translated\n", kinds[k],
                      interp / ROUNDS * 1e9, jit / ROUNDS * 1e9);
        assert_int_equal(by_interp, by_jit);
        assert_true(jit < AT_MOST * interp + 0.01);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all)};
    if (argc != 2)
        return 2;
    image = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
