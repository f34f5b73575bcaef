/* SPDX-License-Identifier: MIT */
/*
 * strings_test.c - REP MOVS and REP STOS over many pages of the guest that are parts of large ones,
 * beside a loop over elements: overlapping, up to a device's registers in the same large page, and
 * with another space of addresses in between. And REP MOVS going down. Argument: the engine.
 */
#include "flat_vm.h"
#include <weir/context.h>

#include <stdlib.h>
#include <string.h>

enum {
    RAM_END = 17 << 20, /* in the middle of a page of 2 MiB */
    REGS = 4096,
    LOW = 2 << 20, /* what copies touch: from here to the end of the registers */
    BYTES = RAM_END + REGS - LOW,
};

static const char *engine = "interp";
static uint8_t shadow[BYTES];
static unsigned writes;

static uint64_t regs_read(void *state, uint64_t offset, unsigned size)
{
    uint64_t value = 0;
    for (unsigned k = 0; k < size; k++)
        value |= (uint64_t)(uint8_t)(7 * (offset + k) + 1) << (8 * k);
    return value;
}
static void regs_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    writes += size;
}
static const struct weir_io_ops regs_ops = {regs_read, regs_write, 1, 8, true};
static int regs_init(weir_dev *dev, void *state)
{
    return weir_map_memory(dev, RAM_END, REGS, &regs_ops, 0, "regs") ? 0 : -WEIR_ENOMEM;
}
static const struct weir_dev_class regs_class = {.name = "regs",
                                                 .help = "behind RAM",
                                                 .bus = "system",
                                                 .state_bytes = 8,
                                                 .version = 1,
                                                 .init = regs_init,
                                                 .reset = probe_reset,
                                                 .fields = no_fields,
                                                 .user_creatable = true};

static weir *start(unsigned bits)
{
    weir *vm = flat_machine(engine, bits, RAM_END, &regs_class);
    for (unsigned k = 0; k < BYTES; k++)
        shadow[k] =
            k < RAM_END - LOW ? (uint8_t)rand() : (uint8_t)(7 * (k - RAM_END + LOW) + 1);
    assert_int_equal(weir_mem_write(vm, LOW, shadow, RAM_END - LOW), 0);
    return vm;
}

static void set(weir *vm, enum weir_reg reg, uint64_t value)
{
    assert_int_equal(weir_reg_set_u64(weir_get_vcpu(vm, 0), reg, value), 0);
}
static uint64_t get(weir *vm, enum weir_reg reg)
{
    return weir_reg_get_u64(weir_get_vcpu(vm, 0), reg);
}

struct work {
    bool copies, forgets; /* forgets: all translations, first */
    unsigned size;
    uint64_t from, to, count;
};

static void run(weir *vm, const struct work *w)
{
    static const uint8_t forget[] = {0x0f, 0x20, 0xd8,
                                     0x0f, 0x22, 0xd8}; /* cr3 to and from rax */
    uint8_t code[16] = {0};
    unsigned at = 0;
    struct weir_exit last;
    if (w->forgets) {
        memcpy(code, forget, sizeof(forget));
        at = sizeof(forget);
    }
    code[at++] = 0x48;
    code[at++] = 0x89;
    code[at++] = 0xd0; /* mov rax, rdx */
    if (w->size == 2)
        code[at++] = 0x66;
    code[at++] = 0xf3;
    if (w->size == 8)
        code[at++] = 0x48;
    code[at++] = (uint8_t)((w->copies ? 0xa4 : 0xaa) | (w->size > 1));
    code[at++] = 0xf4;
    weir_mem_write(vm, CODE, code, at);
    set(vm, WEIR_ACTIVITY, WEIR_ACTIVE);
    set(vm, WEIR_RIP, CODE);
    set(vm, WEIR_RSI, w->from);
    set(vm, WEIR_RDI, w->to);
    set(vm, WEIR_RCX, w->count);
    set(vm, WEIR_RDX, 0x8877665544332211);
    do
        assert_int_equal(weir_run(weir_get_vcpu(vm, 0), 1000000, &last), 0);
    while (last.reason == WEIR_EXIT_BUDGET);
    assert_int_equal(get(vm, WEIR_RIP), CODE + at);
    assert_int_equal(get(vm, WEIR_RCX), 0);
    assert_int_equal(get(vm, WEIR_RDI), w->to + w->count * w->size);
    if (w->copies)
        assert_int_equal(get(vm, WEIR_RSI), w->from + w->count * w->size);
}

static void model(const struct work *w)
{
    uint64_t value = 0x8877665544332211;
    for (uint64_t n = 0; n < w->count; n++) {
        if (w->copies)
            memcpy(&value, shadow + w->from - LOW + n * w->size, w->size);
        for (unsigned k = 0; k < w->size; k++)
            if (w->to + n * w->size + k < RAM_END)
                shadow[w->to - LOW + n * w->size + k] = (uint8_t)(value >> (8 * k));
    }
}

static void both(weir *vm, const struct work *w)
{
    static uint8_t ram[RAM_END - LOW];
    model(w);
    run(vm, w);
    assert_int_equal(weir_mem_read(vm, LOW, ram, sizeof(ram)), 0);
    assert_int_equal(memcmp(ram, shadow, sizeof(ram)), 0);
}

static void to_the_end_of_ram(void **state)
{
    weir *vm = start(64);
    for (unsigned size = 1; size <= 8; size *= 2)
        for (unsigned odd = 0; odd < 2; odd++) {
            uint64_t bytes = (200000 + REGS) / 8 * 8;
            both(vm, &(struct work){true, true, size, RAM_END + REGS - bytes - odd,
                                    LOW + 12345 * odd, bytes / size});
            writes = 0;
            both(vm, &(struct work){true, odd, size, LOW + 4321, RAM_END + REGS - bytes - odd,
                                    bytes / size});
            assert_int_equal(writes, REGS - odd);
            both(vm, &(struct work){false, !odd, size, 0, RAM_END + REGS - bytes - odd,
                                    bytes / size});
        }
    weir_destroy(vm);
}

static void random_work(void **state)
{
    weir *vm = start(64);
    for (unsigned round = 0; round < 300; round++) {
        struct work w = {
            .copies = round & 1, .forgets = rand() & 1, .size = 1u << (rand() & 3)};
        uint64_t bytes = (uint64_t)rand() % (rand() & 1 ? 300000 : 9000) + 8;
        w.count = bytes / w.size;
        w.from = LOW + (uint64_t)rand() % (BYTES - bytes);
        w.to = LOW + (uint64_t)rand() % (BYTES - bytes);
        if (round & 2) { /* what is written is read again */
            w.to = w.from + 1 + (uint64_t)rand() % (round & 4 ? 8 : 5000);
            if (w.to > LOW + BYTES - bytes)
                w.to = LOW + BYTES - bytes;
        }
        both(vm, &w);
    }
    weir_destroy(vm);
}

/* Elements of `size` bytes, the first ones at from and to. */
static void model_down(uint64_t from, uint64_t to, uint64_t count, unsigned size)
{
    uint64_t value;
    for (uint64_t n = 0; n < count; n++) {
        memcpy(&value, shadow + from - LOW - n * size, size);
        memcpy(shadow + to - LOW - n * size, &value, size);
    }
}

/* Short ones and long ones, near each other and across pages, by code that stays as it is. */
static void copies_down(weir *vm, unsigned size)
{
    static uint8_t ram[65536];
    uint8_t code[16] = {0xfd}; /* STD */
    unsigned at = 1;
    if (size == 2)
        code[at++] = 0x66;
    code[at++] = 0xf3;
    if (size == 8)
        code[at++] = 0x48;
    code[at++] = size == 1 ? 0xa4 : 0xa5;
    code[at++] = 0xfc; /* CLD */
    code[at++] = 0xf4;
    weir_mem_write(vm, CODE, code, at);
    for (unsigned round = 0; round < 500; round++) {
        uint64_t count = (uint64_t)rand() % (round & 7 ? 40 : 4200 / size);
        uint64_t low = LOW + 4096 + (uint64_t)rand() % 20000, first = low + count * size;
        int64_t by = round & 1 ? rand() % 40 - 8 : rand() % 20000;
        set(vm, WEIR_ACTIVITY, WEIR_ACTIVE);
        set(vm, WEIR_RIP, CODE);
        set(vm, WEIR_RSI, first);
        set(vm, WEIR_RDI, first + (uint64_t)by);
        set(vm, WEIR_RCX, count);
        set(vm, WEIR_RFLAGS, 0x8d7);
        struct weir_exit last;
        assert_int_equal(weir_run(weir_get_vcpu(vm, 0), 0, &last), 0);
        assert_int_equal(get(vm, WEIR_RIP), CODE + at);
        assert_int_equal(get(vm, WEIR_RCX), 0);
        assert_int_equal(get(vm, WEIR_RSI), low);
        assert_int_equal(get(vm, WEIR_RDI), low + (uint64_t)by);
        assert_int_equal(get(vm, WEIR_RFLAGS), 0x8d7);
        model_down(first, first + (uint64_t)by, count, size);
        assert_int_equal(weir_mem_read(vm, LOW, ram, sizeof(ram)), 0);
        assert_int_equal(memcmp(ram, shadow, sizeof(ram)), 0);
    }
}

static void going_down(void **state)
{
    for (unsigned bits = 32; bits <= 64; bits += 32)
        for (unsigned size = 1; size <= bits / 8; size *= 2) {
            weir *vm = start(bits);
            copies_down(vm, size);
            struct weir_jit_stats stats = {.size = sizeof(stats)};
            if (weir_jit_stats_get(vm, &stats) == 0)
                assert_true(stats.entries > 300);
            weir_destroy(vm);
        }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(to_the_end_of_ram),
        cmocka_unit_test(random_work),
        cmocka_unit_test(going_down),
    };
    if (argc > 1)
        engine = argv[1];
    srand(5);
    return cmocka_run_group_tests_name(engine, tests, NULL, NULL);
}
