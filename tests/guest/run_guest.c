/* SPDX-License-Identifier: MIT */
/*
 * run_guest.c - runs a guest test program (guest.inc) on a machine with nothing but RAM: the
 * two ports it uses are unclaimed accesses that come back to us. Exit status 0 = all its checks
 * hold.
 *
 * usage: run_guest IMAGE [CPU [ENGINE [WATCH...]]]
 *
 * WATCH: steps, memory, code, events (of operations): somebody looks at all of that, and the guest
 * must not notice.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/introspect.h>
#include <weir/machine.h>
#include <weir/memory.h>
#include <weir/weir.h>

#define IMAGE_BYTES 0x10000
#define IMAGE_GPA   0xf0000
#define BUDGET      200000000

static void log_text(void *ctx, enum weir_log_item item, const char *text, size_t length)
{
    (void)ctx;
    (void)item;
    fwrite(text, 1, length, stderr);
}

static void put_text(struct weir_text *text, const char *chars, size_t length)
{
    (void)text;
    fwrite(chars, 1, length, stderr);
}

static weir *machine_new(const char *path, const char *cpu, const char *engine)
{
    static uint8_t image[IMAGE_BYTES];
    struct weir_config config;
    weir *vm;
    FILE *file = fopen(path, "rb");
    if (!file || fread(image, 1, sizeof(image), file) != sizeof(image)) {
        fprintf(stderr, "%s: not an image of 64 KiB\n", path);
        exit(2);
    }
    fclose(file);
    weir_config_init(&config, sizeof(config));
    config.machine = "none";
    config.ram_bytes = 64u << 20;
    config.log = log_text;
    config.cpu = cpu;
    config.accel = engine;
    if (weir_create(&config, &vm) != 0)
        exit(2);
    const char *items = getenv("WEIR_LOG_ITEMS"); /* a number; for looking into a failure */
    if (items)
        weir_log_set(vm, (uint32_t)strtoul(items, NULL, 0));
    if (weir_start(vm) != 0 || weir_mem_write(vm, IMAGE_GPA, image, sizeof(image)) != 0 ||
        weir_boot_flat(vm, 16, 0xffff0, 0, 0) != 0) {
        fprintf(stderr, "%s\n", weir_last_error(vm));
        exit(2);
    }
    weir_set_unclaimed_exits(vm, true);
    return vm;
}

/* What the guest wrote to port F4h, or 256 when it did not come so far. */
static unsigned run(weir *vm)
{
    struct weir_exit e = {0};
    for (;;) {
        if (weir_run(weir_get_vcpu(vm, 0), BUDGET, &e) != 0)
            return 256;
        if (e.reason == WEIR_EXIT_IO && e.access.is_write && e.access.address == 0xe9)
            putchar((int)e.access.value);
        else if (e.reason == WEIR_EXIT_IO && e.access.is_write && e.access.address == 0xf4)
            return (unsigned)e.access.value & 0xff;
        else if (e.reason != WEIR_EXIT_IO)
            break;
        else
            e.access.value = 0xff; /* a read that a program tries */
    }
    fprintf(stderr, "stopped for reason %d after %llu instructions\n", (int)e.reason,
            (unsigned long long)e.instructions);
    weir_info(vm, "registers", &(struct weir_text){put_text});
    return 256;
}

/* ---- somebody looks ---- */

static unsigned long long seen;

#define X(name, NAME, what)                                                                    \
    static unsigned see_##name(void *ctx, weir_vcpu *cpu, struct weir_##name##_event *event)   \
    {                                                                                          \
        seen++;                                                                                \
        return WEIR_CONTINUE;                                                                  \
    }
WEIR_EVENT_KINDS(X)
#undef X

static bool is(const char *a, const char *b)
{
    return !strcmp(a, b);
}

static int watch(weir *vm, const char *what)
{
    struct weir_filter physical = {.physical = true, .walks = true};
    if (is(what, "steps"))
        return weir_on_step(vm, NULL, see_step, NULL, NULL);
    if (is(what, "memory"))
        return weir_on_memory(vm, &physical, see_memory, NULL, NULL);
    if (is(what, "linear"))
        return weir_on_memory(vm, NULL, see_memory, NULL, NULL);
    if (is(what, "code"))
        return weir_on_execute(vm, &physical, see_execute, NULL, NULL);
    if (is(what, "blocks"))
        return weir_on_block(vm, NULL, see_block, NULL, NULL);
    if (!is(what, "events"))
        return -1;
    int rc = weir_on_control(vm, NULL, see_control, NULL, NULL);
    rc |= weir_on_cr3(vm, NULL, see_cr3, NULL, NULL);
    rc |= weir_on_msr(vm, NULL, see_msr, NULL, NULL);
    rc |= weir_on_table(vm, NULL, see_table, NULL, NULL);
    rc |= weir_on_cpuid(vm, NULL, see_cpuid, NULL, NULL);
    rc |= weir_on_rdtsc(vm, NULL, see_rdtsc, NULL, NULL);
    rc |= weir_on_io(vm, NULL, see_io, NULL, NULL);
    rc |= weir_on_interrupt(vm, NULL, see_interrupt, NULL, NULL);
    rc |= weir_on_syscall(vm, NULL, see_syscall, NULL, NULL);
    rc |= weir_on_sysret(vm, NULL, see_sysret, NULL, NULL);
    rc |= weir_on_invlpg(vm, NULL, see_invlpg, NULL, NULL);
    rc |= weir_on_task(vm, NULL, see_task, NULL, NULL);
    rc |= weir_on_breakpoint(vm, &(struct weir_filter){.first = 0x20000}, see_breakpoint, NULL,
                             NULL);
    rc |= weir_on_hostcall(vm, NULL, see_hostcall, NULL, NULL);
    rc |= weir_on_reset(vm, NULL, see_reset, NULL, NULL);
    return rc | weir_on_shutdown(vm, NULL, see_shutdown, NULL, NULL);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    weir *vm = machine_new(argv[1], argc > 2 ? argv[2] : "max", argc > 3 ? argv[3] : "jit");
    for (int n = 4; n < argc; n++)
        if (watch(vm, argv[n]) != 0)
            return 2;
    unsigned result = run(vm);
    if (argc > 4 && !seen) {
        printf("nothing was seen\n");
        result = 1;
    }
    weir_destroy(vm);
    printf("%s: %s, %llu events\n", argv[1], result ? "FAILED" : "ok", seen);
    return result != 0;
}
