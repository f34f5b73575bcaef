/* SPDX-License-Identifier: MIT */
/*
 * icount_test.c - deterministic time: what the guest of icount.asm (first argument) sees does not
 * depend on the host, on where runs are cut, nor on which other VM runs. The second argument is the
 * engine.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <weir/machine.h>
#include <weir/memory.h>

static uint8_t image[4096];
static size_t image_bytes;
static const char *engine = "interp";

struct seen {
    uint64_t instructions, rip, rbx, rcx, rdx, ticks;
};

static weir *start(int shift, bool sleep, const uint8_t *code, size_t bytes)
{
    struct weir_config config;
    weir *vm;
    weir_config_init(&config, sizeof(config));
    config.ram_bytes = 4 << 20;
    config.icount_shift = shift;
    config.accel = engine;
    config.icount_sleep = sleep;
    config.no_devices = true;
    config.vga = "none";
    assert_int_equal(weir_create(&config, &vm), 0);
    assert_int_equal(weir_start(vm), 0);
    assert_int_equal(weir_boot_flat(vm, 16, 0x1000, 0x8000, 0), 0);
    assert_int_equal(weir_mem_write(vm, 0x1000, code, bytes), 0);
    return vm;
}

static uint64_t reg(weir *vm, enum weir_reg r)
{
    union weir_value v;
    weir_reg_get(weir_get_vcpu(vm, 0), r, &v);
    return v.u64;
}

static void advance(weir *vm, uint64_t count)
{
    struct weir_exit e;
    assert_int_equal(weir_run(weir_get_vcpu(vm, 0), count, &e), 0);
    assert_int_equal(e.reason, WEIR_EXIT_BUDGET);
    assert_int_equal(e.instructions, count);
}

static struct seen look(weir *vm, uint64_t instructions)
{
    struct seen s = {instructions,      reg(vm, WEIR_RIP), reg(vm, WEIR_RBX),
                     reg(vm, WEIR_RCX), reg(vm, WEIR_RDX), 0};
    weir_mem_read(vm, 0x500, &s.ticks, 2);
    return s;
}

#define TOTAL 600000u

static struct seen run_in_steps(int shift, bool sleep, uint64_t step)
{
    weir *vm = start(shift, sleep, image, image_bytes);
    for (uint64_t at = 0; at < TOTAL; at += step)
        advance(vm, step < TOTAL - at ? step : TOTAL - at);
    struct seen s = look(vm, TOTAL);
    weir_destroy(vm);
    return s;
}

static void steps_do_not_matter(void **state)
{
    static const uint64_t steps[] = {1, 2, 3, 7, 64, 1000, 99991};
    for (int shift = 0; shift <= 10; shift += 5) {
        struct seen whole = run_in_steps(shift, false, TOTAL);
        assert_true(whole.ticks > 20);
        for (unsigned k = 0; k < sizeof(steps) / sizeof(*steps); k++) {
            struct seen s = run_in_steps(shift, false, steps[k]);
            assert_memory_equal(&s, &whole, sizeof(s));
        }
    }
}

/* Waiting in real time leads to the same as skipping. */
static void sleep_does_not_matter(void **state)
{
    struct seen skipped = run_in_steps(2, false, TOTAL);
    struct seen slept = run_in_steps(2, true, 10000);
    assert_memory_equal(&slept, &skipped, sizeof(slept));
}

static void two_at_once(void **state)
{
    weir *a = start(3, false, image, image_bytes), *b = start(3, false, image, image_bytes);
    for (unsigned k = 0; k < 200; k++) {
        advance(a, 500);
        advance(b, 499);
        advance(b, 1);
        struct seen x = look(a, k), y = look(b, k);
        assert_memory_equal(&x, &y, sizeof(x));
    }
    weir_destroy(a);
    weir_destroy(b);
}

/* The time stamp counter is the number of instructions before RDTSC, wherever it stands. */
static void time_stamps(void **state)
{
    static const uint8_t code[] = {
        0x0f, 0x31,             /* rdtsc: 0 */
        0x66, 0x89, 0xc3,       /* mov ebx, eax */
        0x90, 0x90, 0x0f, 0x31, /* nop, nop, rdtsc: 4 */
        0x66, 0x89, 0xc1,       /* mov ecx, eax */
        0xeb, 0x00, 0x0f, 0x31, /* jmp, rdtsc: 7 */
        0x90,
    };
    for (int shift = 0; shift <= 10; shift++) {
        weir *vm = start(shift, false, code, sizeof(code));
        advance(vm, 8);
        assert_int_equal(reg(vm, WEIR_RBX), 0);
        assert_int_equal(reg(vm, WEIR_RCX), 4ull << shift);
        assert_int_equal(reg(vm, WEIR_RAX), 7ull << shift);
        weir_destroy(vm);
    }
}

/* The RTC starts at a date that does not depend on the host's. */
static void fixed_date(void **state)
{
    weir *vm = start(2, false, image, image_bytes);
    uint32_t year;
    weir_port_write(vm, 0x70, 1, 9);
    weir_port_read(vm, 0x71, 1, &year);
    assert_int_equal(year, 0x24);
    weir_destroy(vm);
}

static void bad_shift(void **state)
{
    struct weir_config config;
    weir *vm;
    weir_config_init(&config, sizeof(config));
    assert_int_equal(config.icount_shift, -1);
    config.icount_shift = 11;
    assert_int_equal(weir_create(&config, &vm), -WEIR_ERANGE);
}

int main(int argc, char **argv)
{
    FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
    if (!file)
        return 1;
    image_bytes = fread(image, 1, sizeof(image), file);
    fclose(file);
    if (argc > 2)
        engine = argv[2];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_do_not_matter), cmocka_unit_test(sleep_does_not_matter),
        cmocka_unit_test(two_at_once),         cmocka_unit_test(time_stamps),
        cmocka_unit_test(fixed_date),          cmocka_unit_test(bad_shift),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
