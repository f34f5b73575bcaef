/* SPDX-License-Identifier: MIT */
/*
 * events.c - what watching costs, as a table on the terminal:
 *
 *   events_speed [-a ACCEL]                          loops on a machine of RAM and a CPU
 *   events_speed [-a ACCEL] boot VMLINUZ INITRD      a Linux guest's start, watched
 *
 * Each row: time with the watch against the time without, or nanoseconds per event (median of
 * batches). Nothing fails for being slow.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "speed.h"
#include <weir/introspect.h>
#include <weir/memory.h>

#define BATCHES 7

// clang-format off
/* EBP times: loads, stores and arithmetic over 64 KiB; then HLT. 32-bit code at 1000h. */
static const uint8_t work[] = {
    0xbe, 0, 0, 0x10, 0,          /* l: mov esi, 100000h */
    0x31, 0xc9,                   /* xor ecx, ecx */
    0x8b, 0x04, 0x0e,             /* m: mov eax, [esi + ecx] */
    0x01, 0x44, 0x0e, 4,          /* add [esi + ecx + 4], eax */
    0x89, 0x5c, 0x0e, 8,          /* mov [esi + ecx + 8], ebx */
    0x03, 0x5c, 0x0e, 12,         /* add ebx, [esi + ecx + 12] */
    0x83, 0xc1, 16,               /* add ecx, 16 */
    0x81, 0xf9, 0, 0, 1, 0,       /* cmp ecx, 10000h */
    0x72, 0xe6,                   /* jb m */
    0x4d,                         /* dec ebp */
    0x75, 0xdc,                   /* jnz l */
    0xf4,                         /* hlt */
};
/* EBP times: a read of 200000h; then HLT. */
static const uint8_t hits[] = {
    0xa1, 0, 0, 0x20, 0,          /* l: mov eax, [200000h] */
    0x01, 0xc3,                   /* add ebx, eax */
    0x4d,                         /* dec ebp */
    0x75, 0xf6,                   /* jnz l */
    0xf4,                         /* hlt */
};
// clang-format on

static double run_code(weir *vm, const uint8_t *code, size_t bytes, uint32_t times)
{
    struct weir_exit e;
    weir_mem_write(vm, 0x1000, code, bytes);
    weir_boot_flat(vm, 32, 0x1000, 0x8000, 0);
    weir_reg_set_u64(weir_get_vcpu(vm, 0), WEIR_RBP, times);
    double start = speed_now_s();
    if (weir_run(weir_get_vcpu(vm, 0), 0, &e) < 0 || e.reason != WEIR_EXIT_HALT) {
        fprintf(stderr, "the loop ended: exit %d, %s\n", e.reason, weir_last_error(vm));
        exit(1);
    }
    return speed_now_s() - start;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *v)
{
    qsort(v, BATCHES, sizeof(*v), compare);
    return v[BATCHES / 2];
}

static double time_of(weir *vm, const uint8_t *code, size_t bytes, uint32_t times)
{
    double v[BATCHES];
    run_code(vm, code, bytes, times / 10);
    for (unsigned k = 0; k < BATCHES; k++)
        v[k] = run_code(vm, code, bytes, times);
    return median(v);
}

static uint64_t seen;
#define X(name, NAME, what)                                                                    \
    static unsigned see_##name(void *ctx, weir_vcpu *cpu, struct weir_##name##_event *event)   \
    {                                                                                          \
        seen++;                                                                                \
        return WEIR_EMULATE;                                                                   \
    }
#pragma GCC diagnostic ignored "-Wunused-function"
WEIR_EVENT_KINDS(X)
#undef X

static void row(const char *name, double value, const char *unit, const char *goal)
{
    printf("  %-46s %8.3f %-6s %s\n", name, value, unit, goal);
    fflush(stdout);
}

static void pages_never_hit(void)
{
    weir *vm = speed_machine("none", 64 << 20);
    uint64_t handle[1000];
    uint32_t turns = strcmp(speed_accel, "interp") ? 20000 : 2000;
    double plain = 1e9, armed = 1e9;
    for (unsigned round = 0; round < 3; round++) {
        double t = time_of(vm, work, sizeof(work), turns);
        plain = t < plain ? t : plain;
        for (unsigned k = 0; k < 1000; k++) {
            uint64_t first = 0x1000000 + k * 0x2000;
            struct weir_filter f = {.first = first, .last = first + 4095, .physical = true};
            weir_on_memory(vm, &f, see_memory, NULL, &handle[k]);
        }
        t = time_of(vm, work, sizeof(work), turns);
        armed = t < armed ? t : armed;
        for (unsigned k = 0; k < 1000; k++)
            weir_event_remove(vm, handle[k]);
    }
    row("1,000 pages armed, never hit", armed / plain, "times", "(at most 1.03)");
    weir_destroy(vm);
}

static void page_hit(void)
{
    weir *vm = speed_machine("none", 64 << 20);
    struct weir_filter f = {.first = 0x200000, .last = 0x200fff, .physical = true};
    uint64_t handle;
    weir_on_memory(vm, &f, see_memory, NULL, &handle);
    row("watched page hit, access emulated, on",
        time_of(vm, hits, sizeof(hits), 100000) / 100000 * 1e9, "ns", "(at most 2000)");
    weir_event_remove(vm, handle);
    struct weir_filter at = {.first = 0x1005};
    weir_on_breakpoint(vm, &at, see_breakpoint, NULL, &handle);
    row("hidden breakpoint hit, on", time_of(vm, hits, sizeof(hits), 100000) / 100000 * 1e9,
        "ns", "");
    weir_event_remove(vm, handle);
    weir_on_step(vm, NULL, see_step, NULL, &handle);
    row("hidden step", time_of(vm, hits, sizeof(hits), 50000) / 200000 * 1e9, "ns",
        "(at most 1000)");
    weir_destroy(vm);
}

/* ---- a Linux guest ---- */

static void arm(weir *vm, const char *what)
{
    struct weir_filter once = {.once = true}, user = {.by = WEIR_BY_CPL, .cpls = 8};
    if (!strcmp(what, "coverage"))
        weir_on_block(vm, &once, see_block, NULL, NULL);
    if (!strcmp(what, "system calls")) {
        weir_on_syscall(vm, &user, see_syscall, NULL, NULL);
        weir_on_sysret(vm, &user, see_sysret, NULL, NULL);
    }
    if (!strcmp(what, "counting"))
        weir_set_counting(vm, true);
}

static double boot(const char *kernel, const char *initrd, const char *what)
{
    double seconds;
    weir_destroy(speed_boot(kernel, initrd, arm, what, &seconds, NULL));
    return seconds;
}

static int boots(const char *kernel, const char *initrd)
{
    static const char *const what[] = {"nothing", "counting", "coverage", "system calls"};
    static const char *const goals[] = {"", "", "(at most 1.5)", "(at most 1.3)"};
    double best[4] = {1e9, 1e9, 1e9, 1e9};
    for (unsigned round = 0; round < 2; round++)
        for (unsigned k = 0; k < 4; k++) {
            double t = boot(kernel, initrd, what[k]);
            best[k] = t < best[k] ? t : best[k];
        }
    row("Linux to init, nothing armed", best[0], "s", "");
    for (unsigned k = 1; k < 4; k++)
        row(what[k], best[k] / best[0], "times", goals[k]);
    return 0;
}

int main(int argc, char **argv)
{
    speed_accel = "jit";
    speed_options(&argc, &argv);
    if (argc == 4 && !strcmp(argv[1], "boot"))
        return boots(argv[2], argv[3]);
    printf("Events (%s)\n", speed_accel);
    pages_never_hit();
    page_hit();
    return 0;
}
