/* SPDX-License-Identifier: MIT */
/* rom_test.c - the ROM's images and the table behind them; checking of any VMI ROM; what a guest
 * can do by going to the wrong place in the ROM; accounting of time; states of processors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <weir/machine.h>
#include <weir/memory.h>
#include "api/api.h"
#include "vmi/activity.h"
#include "vmi/check.h"
#include "vmi/vmi.h"

static uint8_t image[VMI_ROM_BYTES];
static char text[65536];
static size_t text_bytes;

static void add_text(struct weir_text *out, const char *chars, size_t length)
{
    for (size_t i = 0; i < length && text_bytes + 1 < sizeof(text); i++)
        text[text_bytes++] = chars[i];
    text[text_bytes] = 0;
}

static struct weir_vmi_config config_of(unsigned api, bool counters)
{
    struct weir_vmi_config c;
    weir_vmi_config_init(&c, sizeof(c));
    c.api = api;
    c.counters = counters;
    return c;
}

static void make(unsigned api, bool counters)
{
    struct weir_vmi_config c = config_of(api, counters);
    assert_int_equal(weir_vmi_image(&c, image), 0);
}

static uint32_t at(unsigned offset, unsigned bytes)
{
    return (uint32_t)load_le(image + offset, bytes);
}

/* ---- images ---- */

static const struct {
    unsigned api;
    bool counters;
} variants[] = {{3, false}, {3, true}, {13, false}, {13, true}};

static void test_header(void **state)
{
    for (unsigned k = 0; k < ARRAY_SIZE(variants); k++) {
        uint8_t sum = 0;
        make(variants[k].api, variants[k].counters);
        assert_int_equal(at(0x00, 2), 0xaa55);
        assert_int_equal(at(0x02, 1) * 512, VMI_ROM_BYTES);
        assert_int_equal(at(0x03, 1), 0xcb);
        assert_int_equal(at(0x07, 1), 0);
        assert_memory_equal(image + 8, "cVmi", 4);
        assert_int_equal(at(0x0c, 1), 0);
        assert_int_equal(at(0x0d, 1), variants[k].api);
        assert_int_equal(at(0x0f, 1), 0);
        assert_int_equal(at(0x10, 4), 0);
        assert_int_equal(at(0x14, 2), 0);
        assert_int_equal(at(0x1c, 4), 0);
        assert_memory_equal(image + at(0x18, 2), "PCIR", 4);
        assert_int_equal(at(at(0x18, 2) + 4, 4), 0x080115ad);
        assert_memory_equal(image + at(0x1a, 2), "$PnP", 4);
        for (unsigned i = 0; i < VMI_ROM_BYTES; i++)
            sum = (uint8_t)(sum + image[i]);
        assert_int_equal(sum, 0);
        if (variants[k].api == 3)
            assert_string_equal((char *)image + at(0x16, 2), "GPL");
    }
}

/* WRMSR of 13.0, as machine code. */
static void test_frame_entry(void **state)
{
    static const uint8_t before[] = {0x50, 0x51, 0x52, 0x54, 0x83, 0x2c, 0x24, 0x08, 0xe8};
    static const uint8_t behind[] = {0x83, 0xc4, 0x04, 0x5a, 0x59, 0x58, 0xc3};
    for (unsigned counted = 0; counted < 2; counted++) {
        make(13, counted);
        uint32_t entry = 6 * 32;
        if (counted) {
            assert_int_equal(at(entry, 2), 0x05ff);
            assert_int_equal(at(entry + 2, 4), 0xd0000 + VMI_CODE_BYTES + 8 * 1);
            entry += 6;
        }
        assert_memory_equal(image + entry, before, sizeof(before));
        assert_memory_equal(image + entry + sizeof(before) + 4, behind, sizeof(behind));
        uint32_t body = entry + 13 + at(entry + 9, 4);
        static const uint8_t exit[] = {0x0f, 0x01, 0xc1, 0xc3};
        assert_memory_equal(image + body, exit, sizeof(exit));
    }
}

static void test_table(void **state)
{
    static const unsigned apis[] = {3, 13}, first[] = {0, 5}, end[] = {VMI_CALLS_3, VMI_SLOTS};
    for (unsigned k = 0; k < 2; k++) {
        struct weir_vmi_call c = {.size = sizeof(c)};
        unsigned i = 0, n = first[k];
        for (; weir_vmi_call(apis[k], i, &c) == 0; i++, n++) {
            assert_int_equal(c.number, n);
            assert_non_null(weir_vmi_kind(c.kind));
            assert_true(c.bytes > 0 && c.bytes <= 32);
            assert_int_equal(weir_vmi_find(apis[k], c.name), n);
            if (apis[k] == 13)
                assert_int_equal(c.offset, n * 32);
        }
        assert_int_equal(n, end[k]);
    }
    assert_int_equal(weir_vmi_find(3, "VMI_SetGDT"), 3);
    assert_int_equal(weir_vmi_find(13, "SetGDT"), 8);
    assert_int_equal(weir_vmi_find(13, "0x8"), 8);
    assert_int_equal(weir_vmi_find(3, "SwapPxE"), -WEIR_ENOENT);
    assert_int_equal(weir_vmi_find(3, "74"), -WEIR_ENOENT);
    assert_int_equal(weir_vmi_find(3, ""), -WEIR_ENOENT);
}

static void test_disassembly(void **state)
{
    for (unsigned k = 0; k < ARRAY_SIZE(variants); k++) {
        struct weir_vmi_config c = config_of(variants[k].api, variants[k].counters);
        struct weir_vmi_call call = {.size = sizeof(call)};
        for (unsigned i = 0; weir_vmi_call(c.api, i, &call) == 0; i++) {
            struct weir_text out = {add_text};
            text_bytes = 0;
            assert_int_equal(weir_vmi_disassemble(&c, call.name, &out), 0);
            if (strstr(text, "(bad)") || strstr(text, ".byte"))
                fail_msg("%s", text);
            assert_int_equal(strstr(text, "private exit") != NULL, call.host != NULL);
            assert_int_equal(strstr(text, "counter of ") != NULL, variants[k].counters);
        }
        assert_int_equal(weir_vmi_disassemble(&c, "Nothing", &(struct weir_text){add_text}),
                         -WEIR_ENOENT);
    }
}

/* ---- checking ---- */

static int check(size_t bytes)
{
    struct weir_text out = {add_text};
    text_bytes = 0;
    text[0] = 0;
    return weir_vmi_check(image, bytes, &out);
}

static void test_check_good(void **state)
{
    for (unsigned k = 0; k < ARRAY_SIZE(variants); k++) {
        make(variants[k].api, variants[k].counters);
        if (check(sizeof(image)) != 0)
            fail_msg("%s", text);
    }
}

/* One change each, with a right sum unless that is it, and what must be said about it. */
static void test_check_bad(void **state)
{
    static const struct {
        unsigned api, at, bytes;
        uint32_t value;
        const char *says;
    } changes[] = {
        {3, 0x00, 2, 0, "no option ROM"},
        {3, 0x02, 1, 0xff, "does not fit"},
        {3, 0x02, 1, 0, "does not fit"},
        {3, 0x08, 1, 'X', "no VMI ROM"},
        {3, 0x0d, 1, 4, "API major 4"},
        {3, 0x16, 2, 0, "no licence"},
        {3, 0x16, 2, 0xffff, "no licence"},
        {3, 0x16, 2, 0x40, "with the licence"},
        {3, 0x18, 2, 0, "no PCI header"},
        {3, 0x18, 2, 0x2ff0, "no PCI header"},
        {3, 0x1a, 2, 0x2fff, "no PnP header"},
        {3, 0x80, 4, 0xffffffff, "Init: there is no code"},
        {3, 0x81, 4, 0x100000, "Init: leads out"},
        {3, 0x88, 4, 0, "GetRelocationInfo: there is no code"},
        {3, 0x88, 2, 0xfeeb, "does not return"},
        {13, 6 * 32 + 9, 4, 0x7fffff00, "leads out of the ROM"},
        {13, 6 * 32 + 8, 1, 0x90, "Invalid VMI ROM instruction"},
        {13, 0x66, 2, 0x7fff, "outside of the ROM"},
    };
    for (unsigned k = 0; k < ARRAY_SIZE(changes); k++) {
        make(changes[k].api, false);
        store_le(image + changes[k].at, changes[k].value, changes[k].bytes);
        vmi_image_sum(image);
        if (check(sizeof(image)) <= 0 || !strstr(text, changes[k].says))
            fail_msg("change %u: %s", k, text);
    }
    make(3, false);
    image[0x200] ^= 1;
    assert_int_equal(check(sizeof(image)), 1);
    assert_non_null(strstr(text, "the sum of all bytes"));
    /* Its answers to GetRelocationInfo */
    make(3, false);
    const struct vmi_source *s = vmi_source(3, false);
    for (uint32_t i = s->query; i < VMI_CODE_BYTES; i++)
        if (at(i, 4) == s->rows[0].first && at(i + 4, 4) == VMI_CALL_REL) {
            image[i + 4] = 9;
            break;
        }
    vmi_image_sum(image);
    assert_int_equal(check(sizeof(image)), 1);
    assert_non_null(strstr(text, "GetRelocationInfo(0): type 9"));
}

static uint32_t seed = 1;
static uint32_t random32(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    return seed ^= seed << 5;
}

/* Any bytes: an answer, and never an access outside (of a heap block of exactly that size). */
static void test_check_fuzz(void **state)
{
    unsigned major;
    for (unsigned n = 0; n < 40000; n++) {
        make(n & 1 ? 3 : 13, n & 2);
        size_t bytes = n % 5 ? VMI_ROM_BYTES : random32() % (VMI_ROM_BYTES + 1);
        for (unsigned k = random32() % 16; k > 0; k--) {
            uint32_t where = random32() % (random32() & 1 ? 0x90 : VMI_ROM_BYTES);
            image[where] = (uint8_t)(random32() & 1 ? random32() : 0xff);
        }
        if (n % 3 == 0)
            vmi_image_sum(image);
        uint8_t *copy = malloc(bytes + 1);
        memcpy(copy, image, bytes);
        struct weir_text out = {add_text};
        text_bytes = 0;
        vmi_check(copy, bytes, &major, &out);
        free(copy);
    }
}

/* The same with the ROM asked: it may do what it wants in its machine. */
static void test_ask_fuzz(void **state)
{
    for (unsigned n = 0; n < 60; n++) {
        make(3, n & 1);
        uint32_t query = 0x88 + 5 + at(0x89, 4);
        for (unsigned k = random32() % 6; k > 0; k--)
            image[query + random32() % 64] = (uint8_t)random32();
        check(sizeof(image));
    }
}

/* ---- the wrong place ---- */

static weir *small_machine(const char *engine, unsigned api, enum weir_vmi_faults faults)
{
    struct weir_config c;
    struct weir_vmi_config v = config_of(api, true);
    weir *vm;
    v.faults = faults;
    weir_config_init(&c, sizeof(c));
    c.machine = "none";
    c.ram_bytes = 2 << 20;
    c.accel = engine;
    c.code_cache_bytes = 4 << 20;
    assert_int_equal(weir_create(&c, &vm), 0);
    assert_int_equal(weir_vmi_enable(vm, &v), 0);
    assert_int_equal(weir_start(vm), 0);
    return vm;
}

static void set(weir *vm, enum weir_reg reg, uint64_t value)
{
    weir_reg_set(weir_get_vcpu(vm, 0), reg, &(union weir_value){.u64 = value});
}

/* Ring 0 goes to any byte of the ROM, with any registers. */
static void go_anywhere(const char *engine, unsigned api)
{
    static const uint32_t values[] = {0,       1,        0x8000,     0xd0000,
                                      0xd2000, 0x1ffffc, 0x80000000, ~0u};
    weir *vm = small_machine(engine, api, WEIR_VMI_FAULTS_GUEST);
    for (uint32_t offset = 0; offset < VMI_CODE_BYTES; offset += 1 + random32() % 3) {
        struct weir_exit e = {0};
        assert_int_equal(weir_boot_flat(vm, 32, 0xd0000 + offset, 0x8000, 0), 0);
        for (enum weir_reg r = WEIR_RAX; r <= WEIR_RDI; r++)
            if (r != WEIR_RSP || random32() & 1)
                set(vm, r, random32() & 3 ? values[random32() % 8] : random32());
        set(vm, WEIR_RCX, random32() & 0xff); /* REP INS of 4 GiB is not what this is about */
        weir_run(weir_get_vcpu(vm, 0), 300, &e);
    }
    weir_destroy(vm);
}

static void test_go_anywhere(void **state)
{
    go_anywhere("interp", 3);
    go_anywhere("interp", 13);
    go_anywhere("jit", 3);
    go_anywhere("jit", 13);
}

/* Guest memory can hold the same instruction: there it is undefined. */
static void test_exit_outside(void **state)
{
    static const uint8_t code[] = {0x0f, 0x01, 0xc1, 0xf4};
    weir *vm = small_machine("jit", 3, WEIR_VMI_FAULTS_STOP);
    struct weir_exit e = {0};
    assert_int_equal(weir_mem_write(vm, 0x1000, code, sizeof(code)), 0);
    assert_int_equal(weir_boot_flat(vm, 32, 0x1000, 0x8000, 0), 0);
    weir_set_reset_exits(vm, true);
    assert_int_equal(weir_run(weir_get_vcpu(vm, 0), 0, &e), 0);
    assert_int_equal(e.reason, WEIR_EXIT_TRIPLE_FAULT); /* #UD, and there is no IDT */
    weir_destroy(vm);
}

/* Code pages are read-only, the counters are not; a reset makes both new. */
static void test_memory(void **state)
{
    static const uint8_t code[] = {
        0xc7, 0x05, 0x00, 0x01, 0x0d, 0x00, 1, 2, 3, 4, /* mov dword [0d0100h], 04030201h */
        0xc7, 0x05, 0x00, 0x20, 0x0d, 0x00, 1, 2, 3, 4, /* mov dword [0d2000h], 04030201h */
        0xf4};
    weir *vm = small_machine("jit", 3, WEIR_VMI_FAULTS_STOP);
    struct weir_exit e = {0};
    uint32_t word, before;
    assert_int_equal(weir_mem_read(vm, 0xd0100, &before, 4), 0);
    assert_int_equal(weir_mem_write(vm, 0x1000, code, sizeof(code)), 0);
    assert_int_equal(weir_boot_flat(vm, 32, 0x1000, 0x8000, 0), 0);
    assert_int_equal(weir_run(weir_get_vcpu(vm, 0), 0, &e), 0);
    weir_mem_read(vm, 0xd0100, &word, 4);
    assert_int_equal(word, before);
    weir_mem_read(vm, 0xd2000, &word, 4);
    assert_int_equal(word, 0x04030201);
    weir_reset(vm);
    weir_run(weir_get_vcpu(vm, 0), 1, &e);
    weir_mem_read(vm, 0xd2000, &word, 4);
    assert_int_equal(word, 0);
    weir_destroy(vm);
}

/* ---- time ---- */

/* In milliseconds: runs 0-3, halts at 3, has work at 4, runs 5-6, is preempted 6-9, runs. */
static void test_activity(void **state)
{
    struct activity a = {.state = ACTIVITY_RUNNING, .used_ns = 1, .sampled_ns = 0};
    uint64_t used = 1; /* of the thread */
    activity_enter(&a, ACTIVITY_HALTED, 3, used += 3);
    assert_int_equal(activity_stolen(&a), 0);
    activity_enter(&a, ACTIVITY_READY, 4, used);
    activity_enter(&a, ACTIVITY_RUNNING, 5, used);
    assert_int_equal(activity_stolen(&a), 1);
    activity_sample(&a, 6, used += 1);
    activity_sample(&a, 9, used); /* preempted */
    activity_sample(&a, 10, used += 1);
    assert_int_equal(activity_stolen(&a), 4);
    assert_int_equal(10 - activity_stolen(&a), 6);
}

static void test_activity_unknown(void **state)
{
    struct activity a = {.state = ACTIVITY_RUNNING};
    activity_sample(&a, 100, 0);
    assert_int_equal(activity_stolen(&a), 0);
    activity_enter(&a, ACTIVITY_HALTED, 200, 0);
    activity_enter(&a, ACTIVITY_RUNNING, 300, 50);
    activity_sample(&a, 340, 100); /* used more than passed: the clocks are two */
    assert_int_equal(activity_stolen(&a), 0);
}

/* ---- alarms ---- */

static unsigned interrupts;
static void count_edge(void *ctx, int n, int level)
{
    interrupts += level != 0;
}

static void advance(weir *vm, uint64_t ns)
{
    vm->cpu.icount_base_ns = ns;
    pthread_mutex_lock(&vm->device_lock);
    clock_set(&vm->clock, ns);
    clock_run_due(&vm->clock);
    pthread_mutex_unlock(&vm->device_lock);
}

enum { PERIODIC = 0x100, STACK = 0x7000 };
static void alarm_at(weir *vm, uint32_t flags, uint64_t expiry, uint64_t period)
{
    struct vmi_args a = {
        .eax = flags, .edx = (uint32_t)expiry, .ecx = (uint32_t)(expiry >> 32), .stack = STACK};
    weir_mem_write(vm, STACK, &period, sizeof(period));
    assert_int_equal(vmi_set_alarm(vm->vmi, &vm->cpu, &a), STOP_NEXT);
}
static uint32_t cancel(weir *vm, uint32_t which)
{
    struct vmi_args a = {.eax = which};
    assert_int_equal(vmi_cancel_alarm(vm->vmi, &vm->cpu, &a), STOP_NEXT);
    return a.eax;
}

/* Virtual time by hand; a cycle is a nanosecond. */
static weir *clockwork(void)
{
    struct weir_config c;
    struct weir_vmi_config v = config_of(3, false);
    weir *vm;
    weir_config_init(&c, sizeof(c));
    c.machine = "none";
    c.ram_bytes = 2 << 20;
    c.icount_shift = 0;
    assert_int_equal(weir_create(&c, &vm), 0);
    assert_int_equal(weir_vmi_enable(vm, &v), 0);
    assert_int_equal(weir_start(vm), 0);
    vm->gsi[0] = (struct weir_line){count_edge, NULL, 0};
    interrupts = 0;
    return vm;
}

static void test_alarms(void **state)
{
    weir *vm = clockwork();
    for (uint32_t which = 0; which < 2; which++) {
        uint64_t t = 100000 * (which + 1);
        interrupts = 0;
        alarm_at(vm, which | PERIODIC, t + 1000, 100);
        advance(vm, t + 999);
        assert_int_equal(interrupts, 0);
        advance(vm, t + 1350); /* missed ones come once */
        assert_int_equal(interrupts, 1);
        advance(vm, t + 1399);
        assert_int_equal(interrupts, 1);
        advance(vm, t + 1400); /* e0 + i * p, not 100 behind the last one */
        assert_int_equal(interrupts, 2);
        alarm_at(vm, which, t + 2000, 100); /* takes its place; not periodic */
        advance(vm, t + 1600);
        assert_int_equal(interrupts, 2);
        advance(vm, t + 2500);
        assert_int_equal(interrupts, 3);
        assert_int_equal(cancel(vm, which), 0);
        alarm_at(vm, which | PERIODIC, t + 3000, 0); /* no period: once */
        assert_int_equal(cancel(vm, which ^ 1), 0);
        advance(vm, t + 3500);
        assert_int_equal(interrupts, 4);
        assert_int_equal(cancel(vm, which), 0);
        alarm_at(vm, which, t + 100, 0); /* past already: at once */
        advance(vm, t + 3501);
        assert_int_equal(interrupts, 5);
        alarm_at(vm, which, t + 5000, 0);
        assert_int_equal(cancel(vm, which), 1);
        assert_int_equal(cancel(vm, which), 0);
        advance(vm, t + 6000);
        assert_int_equal(interrupts, 5);
    }
    static const uint32_t others[] = {2, 3, 0xff};
    for (unsigned k = 0; k < ARRAY_SIZE(others); k++) {
        alarm_at(vm, others[k] | PERIODIC, 0, 1);
        assert_int_equal(cancel(vm, others[k]), 0);
    }
    alarm_at(vm, PERIODIC, ~0ull, ~0ull); /* in centuries, and its next one never */
    alarm_at(vm, 1, ~0ull - 1, 1);
    advance(vm, 1ull << 62);
    assert_int_equal(interrupts, 5);
    alarm_at(vm, PERIODIC, 0, ~0ull);
    advance(vm, (1ull << 62) + 1);
    assert_int_equal(interrupts, 6);
    weir_destroy(vm);
}

/* real = available + stolen; others are 0. */
static void test_cycle_counters(void **state)
{
    weir *vm = clockwork();
    uint64_t value[4];
    advance(vm, 12345678901ull);
    for (uint32_t k = 0; k < 4; k++) {
        struct vmi_args a = {.eax = k};
        vmi_get_cycle_counter(vm->vmi, &vm->cpu, &a);
        value[k] = a.eax | (uint64_t)a.edx << 32;
    }
    assert_int_equal(value[0], 12345678901ull);
    assert_int_equal(value[1] + value[2], value[0]);
    assert_int_equal(value[2], 0);
    assert_int_equal(value[3], 0);
    /* The time of day follows the virtual clock here. */
    struct vmi_args a = {0};
    vmi_get_wallclock_time(vm->vmi, &vm->cpu, &a);
    assert_int_equal(a.eax | (uint64_t)a.edx << 32,
                     1704067200ull * 1000000000 + 12345678901ull);
    weir_destroy(vm);
}

static uint32_t wallclock_jumped(weir *vm)
{
    struct vmi_args a = {0};
    assert_int_equal(vmi_wallclock_updated(vm->vmi, &vm->cpu, &a), STOP_NEXT);
    return a.eax;
}

/* While the machine stands still its real counter does too, the time of day does not. */
static void test_wallclock_updated(void **state)
{
    weir *vm = small_machine("interp", 3, WEIR_VMI_FAULTS_STOP);
    vmi_time_start(vm->vmi);
    assert_int_equal(wallclock_jumped(vm), 0);
    weir_pause(vm);
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    weir_resume(vm);
    assert_int_equal(wallclock_jumped(vm), 1);
    assert_int_equal(wallclock_jumped(vm), 0);
    weir_destroy(vm);
}

/* ---- states of processors ---- */

static void test_ap_states(void **state)
{
    weir *vm = small_machine("interp", 3, WEIR_VMI_FAULTS_STOP);
    struct vcpu *c = &vm->cpu;
    static const uint64_t gdt[4] = {0, 0, 0x00cf9b000000ffffull, 0x00cf93000000ffffull};
    uint8_t s[AP_STATE_BYTES] = {0};
    uint32_t directory[1024] = {0x83}; /* 4 MiB at 0 */
    weir_mem_write(vm, 0x2000, gdt, sizeof(gdt));
    weir_mem_write(vm, 0x3000, directory, sizeof(directory));
    store_le(s + 0x00, 0x80000011, 4);
    store_le(s + 0x08, 0x3000, 4);
    store_le(s + 0x0c, CR4_PSE, 4);
    store_le(s + 0x18, 0x1234, 4);
    store_le(s + 0x1c, FLAG_IF, 4);
    store_le(s + 0x24, 0xb0b0, 4);
    store_le(s + 0x30, 0x7000, 4);
    for (unsigned k = 0; k < 6; k++)
        store_le(s + 0x40 + 2 * k, k ? 0x18 : 0x10, 2);
    store_le(s + 0x4e, sizeof(gdt) - 1, 2);
    store_le(s + 0x50, 0x2000, 4);
    vcpu_reset(c, true);
    assert_true(vmi_ap_load(c, s));
    assert_int_equal(c->rip, 0x1234);
    assert_int_equal(c->gpr[RBX], 0xb0b0);
    assert_int_equal(c->gpr[RSP], 0x7000);
    assert_int_equal(c->cr3, 0x3000);
    assert_true(c->rflags_rest & FLAG_IF);
    assert_int_equal(c->seg[SEG_CS].selector, 0x10);
    static const struct {
        unsigned at;
        uint32_t value;
    } bad[] = {{0x00, 0x11},       {0x00, 0x80000010}, {0x0c, 0xffffffff}, {0x10, 0x100},
               {0x10, 0xffffffff}, {0x40, 0},          {0x40, 0x18},       {0x42, 0},
               {0x50, 0xe0000000}, {0x00, 0xa0000011}};
    for (unsigned k = 0; k < ARRAY_SIZE(bad); k++) {
        uint8_t changed[AP_STATE_BYTES];
        memcpy(changed, s, sizeof(s));
        store_le(changed + bad[k].at, bad[k].value,
                 bad[k].at >= 0x40 && bad[k].at < 0x50 ? 2 : 4);
        vcpu_reset(c, true);
        if (vmi_ap_load(c, changed))
            fail_msg("state %u was taken", k);
    }
    for (unsigned n = 0; n < 20000; n++) {
        uint8_t any[AP_STATE_BYTES];
        memcpy(any, s, sizeof(s));
        for (unsigned k = 0; k < 1 + n % 9; k++)
            any[random32() % AP_STATE_BYTES] = (uint8_t)random32();
        vcpu_reset(c, true);
        vmi_ap_load(c, any);
    }
    weir_destroy(vm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_frame_entry),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_disassembly),
        cmocka_unit_test(test_check_good),
        cmocka_unit_test(test_check_bad),
        cmocka_unit_test(test_check_fuzz),
        cmocka_unit_test(test_ask_fuzz),
        cmocka_unit_test(test_go_anywhere),
        cmocka_unit_test(test_exit_outside),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_activity),
        cmocka_unit_test(test_activity_unknown),
        cmocka_unit_test(test_alarms),
        cmocka_unit_test(test_cycle_counters),
        cmocka_unit_test(test_wallclock_updated),
        cmocka_unit_test(test_ap_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
