/* SPDX-License-Identifier: MIT */
/* fw_cfg: items by port and by DMA, the directory, and guests that lie about lengths. */
#include "pcbench.h"
#include "dev/fw_cfg.h"

#include <stdio.h>

#define RAM_BYTES (1u << 20)
#define REQUEST   0x1000u
#define TARGET    0x2000u
enum { ERROR = 1, READ = 2, SKIP = 4, SELECT = 8, WRITE = 16 };

static int setup(void **state)
{
    struct weir *vm = bench_new(RAM_BYTES);
    vm->fw_cfg = bench_add(vm, &fw_cfg_class, NULL);
    *state = vm;
    return 0;
}

static uint32_t dma(struct weir *vm, uint32_t control, uint32_t length, uint64_t address)
{
    poke(vm, REQUEST, __builtin_bswap32(control), 4);
    poke(vm, REQUEST + 4, __builtin_bswap32(length), 4);
    poke(vm, REQUEST + 8, __builtin_bswap64(address), 8);
    out(vm, 0x514, 0, 4);
    out(vm, 0x518, __builtin_bswap32(REQUEST), 4);
    return __builtin_bswap32((uint32_t)peek(vm, REQUEST, 4));
}

static void select_key(struct weir *vm, unsigned key)
{
    out(vm, 0x510, key, 2);
}

static uint64_t read_be(struct weir *vm, unsigned bytes)
{
    uint64_t v = 0;
    while (bytes--)
        v = v << 8 | in(vm, 0x511, 1);
    return v;
}

static void test_identity(void **state)
{
    struct weir *vm = *state;
    select_key(vm, FW_CFG_SIGNATURE);
    assert_int_equal(read_be(vm, 4), 0x51454d55); /* QEMU */
    assert_int_equal(in(vm, 0x511, 1), 0);        /* behind the end */
    select_key(vm, FW_CFG_ID);
    assert_int_equal(read_be(vm, 4), 0x03000000);
    assert_int_equal(__builtin_bswap32((uint32_t)in(vm, 0x514, 4)), 0x51454d55);
    assert_int_equal(__builtin_bswap32((uint32_t)in(vm, 0x518, 4)), 0x20434647);
    for (unsigned key = 0; key <= 0xffff; key += 0x11) {
        select_key(vm, key);
        in(vm, 0x511, 1);
    }
    select_key(vm, 0x1234);
    assert_int_equal(read_be(vm, 8), 0);
}

static void test_directory(void **state)
{
    struct weir *vm = *state;
    assert_int_equal(fw_cfg_add_file(vm->fw_cfg, "etc/b", "bb", 2), 0);
    assert_int_equal(fw_cfg_add_file(vm->fw_cfg, "etc/c", "ccc", 3), 0);
    assert_int_equal(fw_cfg_add_file(vm->fw_cfg, "etc/a", "a", 1), 0);
    assert_int_equal(fw_cfg_add_file(vm->fw_cfg, "etc/b", "BBBB", 4), 0); /* replaced */
    static const struct {
        const char *name, *data;
    } want[] = {{"etc/a", "a"}, {"etc/b", "BBBB"}, {"etc/c", "ccc"}};
    select_key(vm, FW_CFG_FILE_DIRECTORY);
    assert_int_equal(read_be(vm, 4), 3);
    for (unsigned i = 0; i < 3; i++) {
        char name[57] = {0};
        assert_int_equal(read_be(vm, 4), strlen(want[i].data));
        assert_int_equal(read_be(vm, 2), FW_CFG_FIRST_FILE + i);
        read_be(vm, 2);
        for (unsigned n = 0; n < 56; n++)
            name[n] = (char)in(vm, 0x511, 1);
        assert_string_equal(name, want[i].name);
    }
    for (unsigned i = 0; i < 3; i++) {
        select_key(vm, FW_CFG_FIRST_FILE + i);
        for (const char *c = want[i].data; *c; c++)
            assert_int_equal(in(vm, 0x511, 1), *c);
        assert_int_equal(in(vm, 0x511, 1), 0);
    }
}

static void test_limits(void **state)
{
    struct weir *vm = *state;
    char name[80];
    memset(name, 'x', sizeof(name));
    name[56] = 0;
    assert_int_equal(fw_cfg_add_file(vm->fw_cfg, name, "", 0), -WEIR_EINVAL);
    name[55] = 0;
    assert_int_equal(fw_cfg_add_file(vm->fw_cfg, name, "", 0), 0);
    assert_int_equal(fw_cfg_add_key(vm->fw_cfg, 0x20, "", 0), -WEIR_EINVAL);
    assert_int_equal(fw_cfg_add_key(vm->fw_cfg, 0x4000, "", 0), -WEIR_EINVAL);
    int rc = 0;
    for (unsigned i = 0; i < 100 && rc == 0; i++) {
        snprintf(name, sizeof(name), "file%u", i);
        rc = fw_cfg_add_file(vm->fw_cfg, name, name, 4);
    }
    assert_int_equal(rc, -WEIR_ERANGE);
}

static void test_dma(void **state)
{
    struct weir *vm = *state;
    fw_cfg_add_file(vm->fw_cfg, "f", "0123456789", 10);
    unsigned key = FW_CFG_FIRST_FILE;
    assert_int_equal(dma(vm, key << 16 | SELECT | READ, 4, TARGET), 0);
    assert_memory_equal(vm->ram.base + TARGET, "0123", 4);
    assert_int_equal(dma(vm, SKIP, 2, 0), 0);
    assert_int_equal(dma(vm, READ, 2, TARGET), 0);
    assert_memory_equal(vm->ram.base + TARGET, "6723", 4);
    /* Behind the end: zeros, as the port reads. */
    memset(vm->ram.base + TARGET, 0xee, 16);
    assert_int_equal(dma(vm, READ, 8, TARGET), 0);
    assert_memory_equal(vm->ram.base + TARGET, "89\0\0\0\0\0\0\xee", 9);
    assert_int_equal(dma(vm, key << 16 | SELECT | WRITE, 4, TARGET), ERROR);
    assert_int_equal(dma(vm, key << 16 | SELECT, 0, 0), 0);
    assert_int_equal(in(vm, 0x511, 1), '0');
}

static void test_hostile_dma(void **state)
{
    struct weir *vm = *state;
    fw_cfg_add_file(vm->fw_cfg, "f", "0123456789", 10);
    uint32_t read = FW_CFG_FIRST_FILE << 16 | SELECT | READ;
    /* Lengths and addresses outside RAM: the error bit, nothing else. */
    assert_int_equal(dma(vm, read, 0xffffffff, 0xfffff000), ERROR);
    assert_int_equal(dma(vm, read, 0xffffffff, RAM_BYTES / 2), ERROR);
    assert_int_equal(dma(vm, read, 4, RAM_BYTES - 2), ERROR);
    assert_int_equal(dma(vm, read, 4, UINT64_MAX - 1), ERROR);
    assert_int_equal(dma(vm, read, 16, UINT64_MAX - 9), ERROR);
    assert_int_equal(dma(vm, SKIP, 0xffffffff, 0), 0);
    assert_int_equal(in(vm, 0x511, 1), 0);
    /* A descriptor that is not in RAM is ignored, however it is reached. */
    out(vm, 0x514, 0xffffffff, 4);
    out(vm, 0x518, 0xf8ffffff, 4);
    out(vm, 0x514, 0, 4);
    out(vm, 0x518, __builtin_bswap32(RAM_BYTES - 8), 4);
    /* A transfer over its own descriptor. */
    uint32_t status = dma(vm, read, 10, REQUEST);
    assert_true(status == 0);
    /* Odd widths. */
    out(vm, 0x518, 0, 1);
    out(vm, 0x519, 0, 2);
    out(vm, 0x510, 0, 4);
    assert_int_equal(dma(vm, read, 4, TARGET), 0);
}

static void test_reset(void **state)
{
    struct weir *vm = *state;
    fw_cfg_add_file(vm->fw_cfg, "f", "0123", 4);
    select_key(vm, FW_CFG_FIRST_FILE);
    in(vm, 0x511, 1);
    devices_reset(vm);
    assert_int_equal(in(vm, 0x511, 1), 'Q');
    select_key(vm, FW_CFG_FIRST_FILE);
    assert_int_equal(in(vm, 0x511, 1), '0');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_identity, setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_directory, setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_dma, setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_hostile_dma, setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_reset, setup, bench_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
