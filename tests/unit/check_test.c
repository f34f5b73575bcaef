/* SPDX-License-Identifier: MIT */
/*
 * check_test.c - lock-step: equal machines run through, and a machine that goes wrong at one
 * instruction is found at that instruction. What goes wrong is done by a device behind port 5000h,
 * in the K-th OUT of a loop, to machine 1 only.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "board/machine.h"
#include <weir/check.h>
#include <weir/machine.h>
#include <weir/memory.h>

/* 32-bit code. */
static const uint8_t code[] = {
    0xb9, 0xa0, 0x86, 0x01, 0,       /* 1000: mov ecx, 100000 */
    0xba, 0x00, 0x50, 0x00, 0,       /* 1005: mov edx, 5000h */
    0xef,                            /* 100a: out dx, eax */
    0x83, 0xd5, 0x00,                /* 100b: adc ebp, 0 */
    0xed,                            /* 100e: in eax, dx */
    0x01, 0xc3,                      /* 100f: add ebx, eax */
    0x89, 0x1c, 0x8d, 0,    0, 2, 0, /* 1011: mov [ecx*4 + 20000h], ebx */
    0x03, 0x3d, 0,    0x90, 0, 0,    /* 1018: add edi, [9000h] */
    0x0f, 0xa2,                      /* 101e: cpuid */
    0xb9, 0,    0,    0,    0,       /* 1020: mov ecx, 0, then the loop's counter again */
    0x8b, 0x0d, 0,    0x91, 0, 0,    /* 1025: mov ecx, [9100h] */
    0x49,                            /* 102b: dec ecx */
    0x89, 0x0d, 0,    0x91, 0, 0,    /* 102c: mov [9100h], ecx */
    0x75, 0xd1,                      /* 1032: jnz 1005 */
    0xf4,                            /* 1034: hlt */
};
#define ADDRESS_OUT   0x100a
#define ADDRESS_IN    0x100e
#define ADDRESS_CPUID 0x101e
#define LOOP_INSNS    13
#define COUNTER       20000u

enum sabotage { NOTHING, REGISTER, LONG_RUN, CARRY, AUXILIARY, MEMORY, FRAME, INPUT, END };
static enum sabotage sabotage;
static uint32_t sabotage_at;

struct port {
    uint32_t count;
    uint64_t bad;
};
static weir *victim;
static const char *engine = "interp"; /* of machine 1 */

static void flip(enum weir_reg reg, uint64_t bits)
{
    union weir_value v;
    weir_vcpu *cpu = weir_get_vcpu(victim, 0);
    weir_reg_get(cpu, reg, &v);
    v.u64 ^= bits;
    weir_reg_set(cpu, reg, &v);
}

static void port_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    struct port *p = state;
    uint32_t word = 0x11;
    if (++p->count != sabotage_at || !p->bad)
        return;
    bool long_run = victim->budget_end - victim->cpu.instructions > 30;
    if (sabotage == REGISTER || (sabotage == LONG_RUN && long_run))
        flip(WEIR_RSI, 0x1000);
    else if (sabotage == CARRY)
        flip(WEIR_RFLAGS, 1);
    else if (sabotage == AUXILIARY)
        flip(WEIR_RFLAGS, 0x10);
    else if (sabotage == MEMORY)
        weir_mem_write(victim, 0x9000, &word, 4);
    else if (sabotage == FRAME)
        weir_mem_write(victim, 0x9200, &(uint32_t){0x247}, 4);
    else if (sabotage == END)
        weir_quit(victim);
}
static uint64_t port_read(void *state, uint64_t offset, unsigned size)
{
    const struct port *p = state;
    return p->count + (sabotage == INPUT && p->bad && p->count == sabotage_at);
}

static const struct weir_io_ops port_ops = {
    .read = port_read, .write = port_write, .min_bytes = 4, .max_bytes = 4};

static int port_init(weir_dev *dev, void *state)
{
    return weir_map_ports(dev, 0x5000, 4, &port_ops, 0, "port") ? 0 : -WEIR_ENOMEM;
}
static void port_reset(void *state)
{
    ((struct port *)state)->count = 0;
}
static const struct weir_prop port_props[] = {
    {"bad", WEIR_PROP_U64, offsetof(struct port, bad), "0", "does harm"}, {0}};
static const struct weir_field port_fields[] = {WEIR_FIELD(struct port, count), WEIR_FIELD_END};
static const struct weir_dev_class port_class = {
    .name = "port",
    .help = "does harm",
    .bus = "system",
    .state_bytes = sizeof(struct port),
    .version = 1,
    .init = port_init,
    .reset = port_reset,
    .props = port_props,
    .fields = port_fields,
    .user_creatable = true,
};

struct setup {
    const char *cpu[2];
    int shift;
    unsigned made;
};

static int make(void *ctx, unsigned which, bool again, weir **out)
{
    struct setup *s = ctx;
    struct weir_config config;
    uint32_t counter = COUNTER;
    weir_config_init(&config, sizeof(config));
    config.machine = "none";
    config.ram_bytes = 4 << 20;
    config.icount_shift = s->shift;
    config.accel = which ? engine : "interp";
    config.cpu = s->cpu[which];
    assert_int_equal(again, s->made++ > 1);
    int rc = weir_create(&config, out);
    if (rc < 0)
        return rc;
    if (which)
        victim = *out;
    assert_int_equal(weir_device_class_add(*out, &port_class), 0);
    assert_int_equal(weir_device_add(*out, "port", NULL, which ? "bad=1" : "bad=0", NULL), 0);
    weir_mem_write(*out, 0x1000, code, sizeof(code));
    weir_mem_write(*out, 0x9100, &counter, 4);
    weir_mem_write(*out, 0x9200, &(uint32_t){0x246}, 4);
    return weir_boot_flat(*out, 32, 0x1000, 0x8000, 0);
}

struct report {
    struct weir_text text;
    char chars[8192];
    size_t length;
};
static void report_put(struct weir_text *text, const char *chars, size_t length)
{
    struct report *r = (struct report *)text;
    if (length < sizeof(r->chars) - r->length) {
        memcpy(r->chars + r->length, chars, length);
        r->length += length;
    }
}
static struct report report;

static struct weir_check_result check_cpus(const char *a, const char *b, uint64_t step)
{
    struct setup s = {.cpu = {a, b}, .shift = 1};
    struct weir_check check = {.size = sizeof(check),
                               .make = make,
                               .ctx = &s,
                               .step = step,
                               .ram_step = 50000,
                               .report = &report.text};
    struct weir_check_result result;
    memset(&report, 0, sizeof(report));
    report.text.put = report_put;
    assert_int_equal(weir_check_run(&check, &result), 0);
    return result;
}
static struct weir_check_result check_with(enum sabotage what, uint32_t at, uint64_t step)
{
    sabotage = what;
    sabotage_at = at;
    return check_cpus("qemu64", "qemu64", step);
}

/* Instructions before the OUT number `n`. */
static uint64_t before_out(uint32_t n)
{
    return 2 + (uint64_t)(n - 1) * LOOP_INSNS;
}

static void expect_found(const struct weir_check_result *r, uint64_t at, uint64_t address)
{
    assert_true(r->different);
    assert_int_equal(r->instructions, at);
    assert_int_equal(r->address, address);
}

static void equal(void **state)
{
    struct weir_check_result r = check_with(NOTHING, 0, 0);
    assert_false(r.different);
    assert_false(r.limit_reached);
    assert_int_equal(r.exit.reason, WEIR_EXIT_HALT);
    assert_int_equal(r.instructions, 1 + COUNTER * LOOP_INSNS + 1);
    assert_int_equal(r.flags_passed, 0);
    assert_int_equal(report.length, 0);
}

static void finds_register(void **state)
{
    static const uint32_t places[] = {1, 2, 777, 10000, COUNTER};
    for (unsigned k = 0; k < 5; k++) {
        struct weir_check_result r = check_with(REGISTER, places[k], k & 1 ? 0 : 1234);
        expect_found(&r, before_out(places[k]), ADDRESS_OUT);
        assert_true(r.exact);
        assert_non_null(strstr(report.chars, "000000000000100a  ef"));
        assert_non_null(strstr(report.chars, "rsi"));
        assert_null(strstr(report.chars, "rdi"));
    }
}

static void finds_input(void **state)
{
    struct weir_check_result r = check_with(INPUT, 5000, 0);
    expect_found(&r, before_out(5000) + 2, ADDRESS_IN);
    assert_non_null(strstr(report.chars, "rax"));
    assert_non_null(strstr(report.chars, "0000000000001388"));
    assert_non_null(strstr(report.chars, "0000000000001389"));
}

/* An error that does not happen in single steps: what was run in one go is reported. */
static void finds_block(void **state)
{
    struct weir_check_result r = check_with(LONG_RUN, 6000, 0);
    assert_true(r.different && !r.exact);
    assert_true(r.instructions <= before_out(6000));
    assert_true(r.instructions > before_out(6000) - 2 * LOOP_INSNS);
    assert_non_null(strstr(report.chars, "000000000000100a  ef"));
    assert_non_null(strstr(report.chars, "rsi"));
}

/* The store is named, not the load behind it. */
static void finds_memory(void **state)
{
    struct weir_check_result r = check_with(MEMORY, 9000, 0);
    expect_found(&r, before_out(9000), ADDRESS_OUT);
    assert_non_null(strstr(report.chars, "[00000009000]"));
}

/* A flag that is used is found where it went wrong; one that is not is passed over. */
static void finds_flags(void **state)
{
    struct weir_check_result r = check_with(CARRY, 3000, 0);
    expect_found(&r, before_out(3000), ADDRESS_OUT);
    assert_non_null(strstr(report.chars, "rbp"));
    r = check_with(AUXILIARY, 30, 1);
    assert_false(r.different);
    assert_int_equal(r.flags_passed, 1);
    /* A copy of RFLAGS in RAM: 246h or 247h. */
    assert_false(check_with(FRAME, 30, 1).different);
}

/* What is gone before the next comparison is not seen: hence a step of one. */
static void finds_cpuid(void **state)
{
    sabotage = NOTHING;
    struct weir_check_result r = check_cpus("qemu64", "qemu64,-x2apic", 1);
    assert_true(r.different);
    assert_int_equal(r.address, ADDRESS_CPUID);
}

static void finds_end(void **state)
{
    struct weir_check_result r = check_with(END, 4000, 0);
    expect_found(&r, before_out(4000), ADDRESS_OUT);
    assert_non_null(strstr(report.chars, "exit reason"));
}

static void stops_at_limit(void **state)
{
    struct setup s = {.cpu = {"qemu64", "qemu64"}, .shift = 1};
    struct weir_check check = {.size = sizeof(check), .make = make, .ctx = &s, .limit = 12345};
    struct weir_check_result r;
    sabotage = NOTHING;
    assert_int_equal(weir_check_run(&check, &r), 0);
    assert_true(r.limit_reached && !r.different);
    assert_int_equal(r.instructions, 12345);
}

static void needs_icount(void **state)
{
    struct setup s = {.cpu = {"qemu64", "qemu64"}, .shift = -1};
    struct weir_check check = {.size = sizeof(check), .make = make, .ctx = &s};
    struct weir_check_result r;
    assert_int_equal(weir_check_run(&check, &r), -WEIR_EINVAL);
    s = (struct setup){.cpu = {"no such CPU", "qemu64"}, .shift = 2};
    assert_true(weir_check_run(&check, &r) < 0);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        engine = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal),          cmocka_unit_test(finds_register),
        cmocka_unit_test(finds_input),    cmocka_unit_test(finds_block),
        cmocka_unit_test(finds_memory),   cmocka_unit_test(finds_flags),
        cmocka_unit_test(finds_cpuid),    cmocka_unit_test(finds_end),
        cmocka_unit_test(stops_at_limit), cmocka_unit_test(needs_icount),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
