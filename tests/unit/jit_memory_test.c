/* SPDX-License-Identifier: MIT */
/* jit_memory.asm on both engines: strings over pages, A and D bits, addresses that are none. */
#include "image_vm.h"

#include <stdlib.h>
#include <string.h>

#define RESULTS  0x18000u
#define COUNT    4096u /* quadwords, more than are used */
#define AT_LEAST 900u  /* of them are not zero */

static void run(const char *accel, uint64_t budget, uint64_t results[COUNT])
{
    weir *vm = image_vm(accel, 64);
    run_to_halt(vm, budget);
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
    return run_image_tests(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
