/* SPDX-License-Identifier: MIT */
/* jit_flags.asm: flags that blocks do not keep because others do not need them. */
#include "image_vm.h"

#define RESULTS 0x8000u
#define COUNT   20000000u

static void overwritten_reader(void **state)
{
    uint32_t got[3];
    weir *vm = image_vm("jit", 32);
    run_to_halt(vm, 0);
    weir_mem_read(vm, RESULTS, got, sizeof(got));
    weir_destroy(vm);
    assert_int_equal(got[0], COUNT); /* the very first time, too */
    assert_int_equal(got[1], 0);
    assert_int_equal(got[2], 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(overwritten_reader)};
    return run_image_tests(argc, argv, tests, 1);
}
