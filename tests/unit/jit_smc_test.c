/* SPDX-License-Identifier: MIT */
/*
 * jit_smc.asm on both engines: the same results, and what is written again and again is not
 * translated each time. Times per round are printed.
 */
#include "image_vm.h"

#include <time.h>

#define KIND    0x18000u
#define RESULT  0x18010u
#define ROUNDS  20000u
#define AT_MOST (ROUNDS / 20) /* blocks that are translated */

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

/* Seconds; *result is what the guest says, *blocks how many were translated. */
static double run(const char *accel, uint64_t kind, uint64_t *result, uint64_t *blocks)
{
    const uint64_t order[2] = {kind, ROUNDS};
    struct weir_jit_stats stats = {.size = sizeof(stats)};
    weir *vm = image_vm(accel, 64);
    weir_mem_write(vm, KIND, order, sizeof(order));
    double began = cpu_s();
    run_to_halt(vm, 0);
    double took = cpu_s() - began;
    weir_mem_read(vm, RESULT, result, sizeof(*result));
    weir_jit_stats_get(vm, &stats);
    *blocks = stats.blocks;
    weir_destroy(vm);
    return took;
}

static void all(void **state)
{
    for (unsigned k = 0; k < KINDS; k++) {
        uint64_t by_interp, by_jit, none, blocks;
        double interp = run("interp", k, &by_interp, &none);
        double jit = run("jit", k, &by_jit, &blocks);
        print_message("%-26s %8.1f ns interpreted, %8.1f ns translated, %llu blocks\n",
                      kinds[k], interp / ROUNDS * 1e9, jit / ROUNDS * 1e9,
                      (unsigned long long)blocks);
        assert_int_equal(by_interp, by_jit);
        assert_true(blocks < AT_MOST);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all)};
    return run_image_tests(argc, argv, tests, 1);
}
