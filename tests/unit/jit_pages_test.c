/* SPDX-License-Identifier: MIT */
/* jit_pages.asm on both engines: links to other pages, returns, groups of operands. */
#include "image_vm.h"

#include <stdlib.h>
#include <string.h>

#define RESULTS 0x18000u
#define LOOPS   300u
#define COUNT   12u

static void run(const char *accel, uint64_t budget, uint64_t results[COUNT])
{
    weir *vm = image_vm(accel, 64);
    run_to_halt(vm, budget);
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
    return run_image_tests(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
