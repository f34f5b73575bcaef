/* SPDX-License-Identifier: MIT */
/* events_vm.h - a machine of RAM and a CPU that runs events.asm: events_test.c, views_test.c,
 * answers_test.c. */
#ifndef TESTS_EVENTS_VM_H
#define TESTS_EVENTS_VM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <pthread.h>
#include <unistd.h>

#include <weir/inspect.h>
#include <weir/machine.h>
#include <weir/memory.h>
#include <weir/trace.h>

enum routine {
    START,
    DATA_ACCESS,
    OPS,
    STRING,
    CROSSING,
    BRANCHY,
    CALLEE,
    RMW,
    FAULTS,
    TARGET,
    TARGET_AT,
    TARGET_NEXT,
    TARGET_LEAF,
    SYSCALLS,
    X87,
    PATCH,
    PATCH_INSN,
    LAST_VECTOR,
    ROUTINES
};
#define BASE   0x10000
#define DATA   0x200000ull
#define OTHER  0x300000ull
#define CALLS  50u
#define TABLES 0x100000

static const char *image_path, *engine;
static weir *vm;
static weir_vcpu *cpu;
static uint64_t routine[ROUTINES];
static uint8_t image[0x4000];
static size_t bytes;

static int setup(void **state)
{
    struct weir_config config;
    FILE *f = fopen(image_path, "rb");
    bytes = f ? fread(image, 1, sizeof(image), f) : 0;
    if (f)
        fclose(f);
    memcpy(routine, image, sizeof(routine));
    weir_config_init(&config, sizeof(config));
    config.machine = "none";
    config.cpu = "max";
    config.accel = engine;
    config.ram_bytes = 16 << 20;
    if (!bytes || weir_create(&config, &vm) < 0)
        return -1;
    cpu = weir_get_vcpu(vm, 0);
    weir_mem_write(vm, BASE, image, bytes);
    return weir_boot_flat(vm, 64, routine[START], 0x80000, TABLES);
}

static int teardown(void **state)
{
    weir_destroy(vm);
    return 0;
}

static uint64_t memory(uint64_t gpa, unsigned size)
{
    uint64_t v = 0;
    weir_mem_read(vm, gpa, &v, size);
    return v;
}

static void boot(enum routine r, uint64_t calls)
{
    weir_mem_write(vm, BASE, image, bytes); /* the TSS is busy now, for one */
    weir_boot_flat(vm, 64, routine[START], 0x80000, TABLES);
    for (uint64_t at = TABLES; at < TABLES + 0x6000; at += 8) /* for all, not the supervisor */
        if (memory(at, 8) & 1)
            weir_mem_write(vm, at, &(uint64_t){memory(at, 8) | 4}, 8);
    weir_reg_set_u64(cpu, WEIR_RDI, routine[r]);
    weir_reg_set_u64(cpu, WEIR_RSI, calls);
}

static enum weir_exit_reason go(void)
{
    struct weir_exit e;
    assert_int_equal(weir_run(cpu, 0, &e), 0);
    return e.reason;
}

static void run(enum routine r, uint64_t calls)
{
    boot(r, calls);
    assert_int_equal(go(), WEIR_EXIT_HALT);
}

#endif
