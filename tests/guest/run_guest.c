/* SPDX-License-Identifier: MIT */
/*
 * run_guest.c - runs a guest test program (guest.inc) on a machine with nothing but RAM: the
 * two ports it uses are unclaimed accesses that come back to us. Exit status 0 = all its checks
 * hold.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static weir *machine_new(const char *path, const char *cpu)
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

int main(int argc, char **argv)
{
    if (argc < 2)
        return 2;
    weir *vm = machine_new(argv[1], argc > 2 ? argv[2] : "max");
    unsigned result = run(vm);
    weir_destroy(vm);
    printf("%s: %s\n", argv[1], result ? "FAILED" : "ok");
    return result != 0;
}
