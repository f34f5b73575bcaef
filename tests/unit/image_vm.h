/* SPDX-License-Identifier: MIT */
/* image_vm.h - a machine of RAM that runs a flat image, named by the test's argument, until HLT. */
#ifndef TESTS_IMAGE_VM_H
#define TESTS_IMAGE_VM_H

#include <weir/machine.h>
#include <weir/memory.h>
#include <weir/weir.h>

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>

#define START  0x1000u
#define STACK  0x80000u
#define TABLES 0x90000u /* 64-bit code: page tables, all of RAM at its address */

static const char *image;

static inline weir *image_machine(const char *accel, unsigned bits, uint64_t ram_bytes)
{
    static uint8_t code[65536];
    struct weir_config config;
    weir *vm;
    FILE *f = fopen(image, "rb");
    assert_non_null(f);
    size_t bytes = fread(code, 1, sizeof(code), f);
    fclose(f);
    weir_config_init(&config, sizeof(config));
    config.machine = "none";
    config.accel = accel;
    config.cpu = "max";
    config.ram_bytes = ram_bytes;
    assert_int_equal(weir_create(&config, &vm), 0);
    assert_int_equal(weir_mem_write(vm, START, code, bytes), 0);
    weir_boot_flat(vm, bits, START, STACK, TABLES);
    weir_set_reset_exits(vm, true);
    return vm;
}

static inline weir *image_vm(const char *accel, unsigned bits)
{
    return image_machine(accel, bits, 2 << 20);
}

/* In pieces of `budget` instructions; 0: at once. */
static inline void run_to_halt(weir *vm, uint64_t budget)
{
    struct weir_exit exit = {.reason = WEIR_EXIT_BUDGET};
    for (unsigned n = 0; exit.reason == WEIR_EXIT_BUDGET && n < 1000000; n++)
        assert_int_equal(weir_run(weir_get_vcpu(vm, 0), budget, &exit), 0);
    assert_int_equal(exit.reason, WEIR_EXIT_HALT);
}

static inline int run_image_tests(int argc, char **argv, const struct CMUnitTest *tests,
                                  size_t count)
{
    if (argc != 2)
        return 2;
    image = argv[1];
    return _cmocka_run_group_tests("image", tests, count, NULL, NULL);
}

#endif
