/* SPDX-License-Identifier: MIT */
/* Indirect jumps of translated code to addresses that a guest may pick with the worst intent. */
#include <weir/machine.h>
#include <weir/memory.h>
#include <weir/weir.h>

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

/* A hundred times to 1020h and back, then to the address in `imm`:
 * mov ecx, 100; mov rbx, imm; 1: lea rdx, [rip+n]; dec ecx; cmovz rdx, rbx; jmp rdx or
 * push rdx; ret. At 1020h: jmp 1b. */
static const uint8_t program[] = {0xb9, 100,  0,    0,    0,    0x48, 0xbb, 0,    0,
                                  0,    0,    0,    0,    0,    0,    0x48, 0x8d, 0x15,
                                  0x0a, 0,    0,    0,    0xff, 0xc9, 0x48, 0x0f, 0x44,
                                  0xd3, 0x90, 0x90, 0x90, 0x90, 0xeb, 0xed};
#define START  0x1000u
#define TARGET 7u  /* of the immediate */
#define JUMP   28u /* of the jump */

static enum weir_exit_reason ends_with(uint64_t target, bool by_ret)
{
    struct weir_config config;
    struct weir_exit exit;
    weir *vm;
    uint8_t code[sizeof(program)];
    weir_config_init(&config, sizeof(config));
    config.machine = "none";
    config.ram_bytes = 1 << 20;
    assert_int_equal(weir_create(&config, &vm), 0);
    memcpy(code, program, sizeof(code));
    memcpy(code + TARGET, &target, sizeof(target));
    memcpy(code + JUMP, by_ret ? "\x52\xc3" : "\xff\xe2", 2);
    weir_mem_write(vm, START, code, sizeof(code));
    weir_mem_write(vm, 0, "\xf4\xf4\xf4\xf4\xf4\xf4\xf4\xf4\xf4", 9); /* hlt */
    weir_boot_flat(vm, 64, START, 0x8000, 0x10000);
    weir_set_reset_exits(vm, true);
    assert_int_equal(weir_run(weir_get_vcpu(vm, 0), 0, &exit), 0);
    weir_destroy(vm);
    return exit.reason;
}

static void to_any_address(void **state)
{
    for (unsigned by_ret = 0; by_ret < 2; by_ret++) {
        for (uint64_t low = 0; low < 9; low++)
            assert_int_equal(ends_with(low, by_ret), WEIR_EXIT_HALT);
        /* Not canonical: #GP without an IDT. Marks of empty slots are such addresses, too. */
        for (uint64_t low = 0; low < 32; low++)
            assert_int_equal(ends_with(0x7a3fc1d2e5b96000 + low, by_ret),
                             WEIR_EXIT_TRIPLE_FAULT);
        assert_int_equal(ends_with(1ull << 63, by_ret), WEIR_EXIT_TRIPLE_FAULT);
        assert_int_equal(ends_with(~0ull >> 1, by_ret), WEIR_EXIT_TRIPLE_FAULT);
    }
}

/* mov ecx, 100000; 1: cli; sti; nop; dec ecx; jnz 1b; cli; hlt: what follows STI is reached without
 * going through C. */
static void behind_sti(void **state)
{
    static const uint8_t loop[] = {0xb9, 0xa0, 0x86, 1,    0,    0xfa, 0xfb,
                                   0x90, 0xff, 0xc9, 0x75, 0xf9, 0xfa, 0xf4};
    struct weir_jit_stats stats = {.size = sizeof(stats)};
    struct weir_config config;
    struct weir_exit exit;
    weir *vm;
    weir_config_init(&config, sizeof(config));
    config.machine = "none";
    config.ram_bytes = 1 << 20;
    assert_int_equal(weir_create(&config, &vm), 0);
    weir_mem_write(vm, START, loop, sizeof(loop));
    weir_boot_flat(vm, 32, START, 0x8000, 0);
    assert_int_equal(weir_run(weir_get_vcpu(vm, 0), 0, &exit), 0);
    assert_int_equal(exit.reason, WEIR_EXIT_HALT);
    assert_int_equal(weir_jit_stats_get(vm, &stats), 0);
    assert_true(stats.entries < 1000);
    weir_destroy(vm);
}

/* mov ecx, 1000; 1: stac; clac; inc ebx; dec ecx; jnz 1b; hlt: without CR4.SMAP C does the first
 * two, and goes on behind each. */
static void without_smap(void **state)
{
    static const uint8_t loop[] = {0xb9, 0xe8, 3,    0,    0,    0x0f, 0x01, 0xcb, 0x0f,
                                   0x01, 0xca, 0xff, 0xc3, 0xff, 0xc9, 0x75, 0xf4, 0xf4};
    struct weir_config config;
    struct weir_exit exit;
    weir *vm;
    weir_config_init(&config, sizeof(config));
    config.machine = "none";
    config.cpu = "max";
    config.ram_bytes = 1 << 20;
    assert_int_equal(weir_create(&config, &vm), 0);
    weir_mem_write(vm, START, loop, sizeof(loop));
    weir_boot_flat(vm, 64, START, 0x8000, 0x10000);
    assert_int_equal(weir_run(weir_get_vcpu(vm, 0), 100000, &exit), 0);
    assert_int_equal(exit.reason, WEIR_EXIT_HALT);
    assert_int_equal(exit.instructions, 2 + 5 * 1000);
    weir_destroy(vm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(without_smap),
                                       cmocka_unit_test(to_any_address),
                                       cmocka_unit_test(behind_sti)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
