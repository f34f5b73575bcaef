/* SPDX-License-Identifier: MIT */
/* What the library tells of its translator: counters, plans, files for perf, the log. */
#include <weir/machine.h>
#include <weir/memory.h>

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* xor eax, eax; mov ecx, 5000; 1: add eax, ecx; push eax; pop ebx; dec ecx; jnz 1b; cpuid; hlt */
static const uint8_t program[] = {0x31, 0xc0, 0xb9, 0x88, 0x13, 0x00, 0x00, 0x01, 0xc8,
                                  0x50, 0x5b, 0x49, 0x75, 0xf9, 0x0f, 0xa2, 0xf4};
#define START 0x1000u
#define LOOP  0x1007u

struct collected {
    struct weir_text text; /* first: put() finds the rest */
    char chars[1 << 18];
    size_t length;
};

static void add(struct collected *c, const char *chars, size_t length)
{
    if (length >= sizeof(c->chars) - c->length)
        length = sizeof(c->chars) - c->length - 1;
    memcpy(c->chars + c->length, chars, length);
    c->chars[c->length += length] = 0;
}
static void put(struct weir_text *text, const char *chars, size_t length)
{
    add((struct collected *)text, chars, length);
}
static void take_log(void *ctx, enum weir_log_item item, const char *text, size_t length)
{
    add(ctx, text, length);
}

static struct collected *collect(void)
{
    static struct collected c;
    c.text.put = put;
    c.length = 0;
    c.chars[0] = 0;
    return &c;
}

static weir *machine(const char *accel, struct collected *log)
{
    struct weir_config config;
    weir *vm;
    weir_config_init(&config, sizeof(config));
    config.machine = "none";
    config.ram_bytes = 1 << 20;
    config.accel = accel;
    config.log = take_log;
    config.log_ctx = log;
    assert_int_equal(weir_create(&config, &vm), 0);
    assert_int_equal(weir_start(vm), 0);
    assert_int_equal(weir_mem_write(vm, START, program, sizeof(program)), 0);
    return vm;
}

static void run_program(weir *vm)
{
    struct weir_exit exit;
    assert_int_equal(weir_boot_flat(vm, 32, START, 0x8000, 0), 0);
    assert_int_equal(weir_run(weir_get_vcpu(vm, 0), 0, &exit), 0);
    assert_int_equal(exit.reason, WEIR_EXIT_HALT);
}

static void counts(void **state)
{
    weir *vm = machine("jit", collect());
    struct weir_jit_stats s = {.size = sizeof(s)};
    assert_int_equal(weir_jit_stats_get(vm, &s), 0);
    assert_int_equal(s.blocks, 0);
    assert_int_equal(s.entries, 0);
    for (int k = 0; k < 20; k++) /* all of it gets warm */
        run_program(vm);
    assert_int_equal(weir_jit_stats_get(vm, &s), 0);
    assert_true(s.blocks >= 3 && s.instructions > s.blocks);
    assert_true(s.links_made >= 1 && s.entries >= 1 && s.interpreted >= 12);
    assert_true(s.code_bytes > 0 && s.code_bytes < s.code_bytes_max);
    assert_true(s.calls_operation >= 1);
    assert_string_equal(s.top[0].operation, "CPUID");
    assert_true(s.top[0].count >= 1 && s.top[0].count <= s.calls_operation);
    assert_true(s.permille_translated + s.permille_calls <= 1000);
    /* A caller of a time when the structure was shorter. */
    struct weir_jit_stats old;
    memset(&old, 0x55, sizeof(old));
    old.size = offsetof(struct weir_jit_stats, code_bytes);
    assert_int_equal(weir_jit_stats_get(vm, &old), 0);
    assert_int_equal(old.blocks, s.blocks);
    assert_int_equal(old.code_bytes, 0x5555555555555555);
    weir_destroy(vm);
    vm = machine("interp", collect());
    assert_int_equal(weir_jit_stats_get(vm, &s), -WEIR_ESTATE);
    assert_int_equal(weir_jit_perf(vm, "/tmp/never-made", NULL), -WEIR_ESTATE);
    weir_destroy(vm);
}

static unsigned times(const char *text, const char *what)
{
    unsigned n = 0;
    while ((text = strstr(text, what))) {
        n++;
        text += strlen(what);
    }
    return n;
}

static void singlestep_changes_blocks(void **state)
{
    struct collected *log = collect();
    weir *vm = machine("jit", log);
    weir_log_set(vm, WEIR_LOG_IN_ASM);
    run_program(vm);
    assert_int_equal(times(log->chars, "IN: "), 3);
    run_program(vm); /* nothing is decoded anew */
    assert_int_equal(times(log->chars, "IN: "), 3);
    assert_false(weir_is_singlestep(vm));
    weir_set_singlestep(vm, true);
    assert_true(weir_is_singlestep(vm));
    collect();
    run_program(vm);
    assert_int_equal(times(log->chars, "IN: "), 9);
    weir_set_singlestep(vm, false);
    collect();
    run_program(vm);
    assert_int_equal(times(log->chars, "IN: "), 3);
    weir_destroy(vm);
}

static void log_is_whole(void **state)
{
    struct collected *log = collect();
    weir *vm = machine("jit", log);
    run_program(vm);
    assert_int_equal(log->length, 0);
    /* Blocks that are known already have their IN again, before OP and OUT. */
    weir_log_set(vm, WEIR_LOG_IN_ASM | WEIR_LOG_OP | WEIR_LOG_OUT_ASM);
    assert_ptr_equal(strstr(log->chars, "PROLOGUE: [size="), log->chars);
    run_program(vm);
    unsigned ops = times(log->chars, "OP:\n");
    assert_true(ops >= 1);
    assert_int_equal(times(log->chars, "IN: \n"), ops);
    assert_int_equal(times(log->chars, "OUT: ["), ops);
    assert_int_equal(times(log->chars, "PROLOGUE"), 1);
    weir_log_set(vm, 0);
    weir_log_set(vm, WEIR_LOG_OUT_ASM);
    assert_int_equal(times(log->chars, "PROLOGUE"), 1);
    weir_destroy(vm);
}

static void perf_files_are_own(void **state)
{
    char folder[] = "/tmp/weir-perf-XXXXXX", map[64], dump[64], other[64];
    assert_non_null(mkdtemp(folder));
    snprintf(map, sizeof(map), "%s/map", folder);
    snprintf(dump, sizeof(dump), "%s/dump", folder);
    snprintf(other, sizeof(other), "%s/other", folder);
    weir *vm = machine("jit", collect());
    assert_int_equal(symlink(other, map), 0);
    assert_true(weir_jit_perf(vm, map, NULL) < 0); /* somebody's trap */
    assert_int_equal(access(other, F_OK), -1);
    unlink(map);
    assert_true(weir_jit_perf(vm, "/nonexistent/map", NULL) < 0);
    assert_non_null(strstr(weir_last_error(vm), "/nonexistent/map"));
    assert_int_equal(weir_jit_perf(vm, map, dump), 0);
    for (int k = 0; k < 20; k++)
        run_program(vm);
    weir_destroy(vm);
    char text[8192];
    FILE *f = fopen(map, "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof(text) - 1, f)] = 0;
    fclose(f);
    assert_int_equal(times(text, "guest 0x1007 32 cpl0\n"), 1);
    assert_int_equal(times(text, "weir enter\n"), 1);
    unlink(map);
    unlink(dump);
    rmdir(folder);
}

static void plans(void **state)
{
    struct collected *c = collect();
    assert_int_equal(weir_translate_text(program, sizeof(program), 32, START, "plan", &c->text),
                     0);
    assert_int_equal(times(c->chars, "OP:\n"), 2); /* cut at the jump, not at its target */
    assert_int_equal(times(c->chars, " ---- "), 9);
    assert_non_null(strstr(c->chars, " link $0x1007\n"));
    assert_non_null(strstr(c->chars, " call CPUID\n"));
    c = collect();
    assert_int_equal(weir_translate_text(program, sizeof(program), 32, START, "asm", &c->text),
                     0);
    assert_int_equal(times(c->chars, "OUT: [size="), 2);
    static const uint8_t frame[] = {0x55, 0x41, 0x54, 0x53, 0x48, 0x83,
                                    0xec, 0x10, 0x5b, 0x41, 0x5c, 0xc3};
    c = collect();
    assert_int_equal(weir_translate_text(frame, sizeof(frame), 64, START, "plan", &c->text), 0);
    assert_int_equal(times(c->chars, " ---- "), 7); /* although some are done together */
    assert_int_equal(times(c->chars, " make PUSH\n"), 3);
    assert_int_equal(times(c->chars, " make RET\n"), 1);
    c = collect();
    assert_int_equal(weir_translate_text(program, 0, 64, START, "asm", &c->text), 0);
    assert_int_equal(c->length, 0);
    assert_int_equal(weir_translate_text(program, 1, 64, START, "insn", &c->text),
                     -WEIR_ENOENT);
    assert_int_equal(weir_translate_text(program, 1, 48, START, "asm", &c->text), -WEIR_EINVAL);
    assert_int_equal(weir_translate_text(NULL, 1, 64, START, "asm", &c->text), -WEIR_EINVAL);
}

/* Any bytes at all, in every mode. */
static void plans_of_noise(void **state)
{
    uint8_t bytes[512];
    uint32_t seed = 1;
    for (unsigned round = 0; round < 40; round++) {
        for (unsigned k = 0; k < sizeof(bytes); k++)
            bytes[k] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
        for (unsigned bits = 16; bits <= 64; bits *= 2) {
            struct collected *c = collect();
            const char *stage = round & 1 ? "asm" : "plan";
            assert_int_equal(
                weir_translate_text(bytes, sizeof(bytes), bits, seed % 5000, stage, &c->text),
                0);
            assert_true(c->length > sizeof(bytes));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts),       cmocka_unit_test(singlestep_changes_blocks),
        cmocka_unit_test(log_is_whole), cmocka_unit_test(perf_files_are_own),
        cmocka_unit_test(plans),        cmocka_unit_test(plans_of_noise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
