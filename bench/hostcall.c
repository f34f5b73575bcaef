/* SPDX-License-Identifier: MIT */
/*
 * hostcall.c - what a host call costs: the null service, one that is refused, and 64 KiB read from
 * a file of a share that the host has in memory, into one region and into 16 scattered pages. One
 * line each: "NAME VALUE UNIT". usage: hostcall_speed [jit|interp]
 */
#include "speed.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <weir/hostservice.h>
#include <weir/memory.h>

#define CODE  0x1000u
#define BLOCK 0x8000u
#define NAME  0x9000u
#define DATA  0x100000u
#define TURNS 0x7000u

static weir *vm;

/* mov ecx, TURNS; again: ud1 eax, [BLOCK]; dec ecx; jnz again; hlt. Seconds for one turn. */
static double run(const void *block, uint32_t length, uint32_t turns)
{
    uint8_t code[] = {0xb9, 0,    0, 0, 0,    0x0f, 0xb9, 0x05,
                      0,    0x80, 0, 0, 0x49, 0x75, 0xf6, 0xf4};
    struct weir_exit e;
    memcpy(code + 1, &turns, 4);
    weir_mem_write(vm, CODE, code, sizeof(code));
    weir_mem_write(vm, BLOCK, block, length);
    if (weir_boot_flat(vm, 32, CODE, 0x7000, 0) < 0)
        exit(1);
    double from = speed_now_s();
    if (weir_run(weir_get_vcpu(vm, 0), 0, &e) < 0 || e.reason != WEIR_EXIT_HALT)
        exit(1);
    return (speed_now_s() - from) / turns;
}

static struct weir_hc_header header(uint16_t service, uint32_t length)
{
    return (struct weir_hc_header){WEIR_HC_MAGIC, WEIR_HC_VERSION, service, 0, 0, length};
}

static void report(const char *name, double value, const char *unit)
{
    printf("%-28s %8.1f %s\n", name, value, unit);
}

static uint32_t open_file(void)
{
    struct weir_hc_open o = {.path = {NAME, 4, WEIR_HC_LINEAR, 0}, .flags = WEIR_HC_O_READ};
    o.header = header(WEIR_HC_FILE_OPEN, sizeof(o));
    weir_mem_write(vm, NAME, "data", 4);
    run(&o, sizeof(o), 1);
    weir_mem_read(vm, BLOCK, &o, sizeof(o));
    if (o.header.error)
        exit(1);
    return o.handle;
}

static void read_file(const char *name, uint32_t pieces)
{
    struct {
        struct weir_hc_io a;
        struct weir_hc_region more[15];
    } b = {.a = {.handle = open_file(), .region_count = pieces}};
    b.a.header = header(WEIR_HC_FILE_READ, sizeof(b));
    for (uint32_t k = 0; k < pieces; k++)
        (&b.a.regions[0])[k] =
            (struct weir_hc_region){DATA + 0x3000 * k, 65536 / pieces, WEIR_HC_LINEAR};
    run(&b, sizeof(b), 2000);
    double best = 1;
    for (unsigned k = 0; k < 5; k++) {
        double t = run(&b, sizeof(b), 4000);
        best = t < best ? t : best;
    }
    report(name, 65536 / best / 1e6, "MB/s");
}

int main(int argc, char **argv)
{
    char dir[] = "/tmp/weir-speed-XXXXXX", path[64], options[96];
    speed_accel = argc > 1 ? argv[1] : "jit";
    vm = speed_machine("none", 16 << 20);
    if (!mkdtemp(dir))
        return 1;
    snprintf(path, sizeof(path), "%s/data", dir);
    snprintf(options, sizeof(options), "share=s,path=%s", dir);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    if (fd < 0 || ftruncate(fd, 65536) < 0 || weir_hostcall_enable(vm, options) < 0)
        return 1;
    char *bytes = calloc(1, 65536);
    if (write(fd, bytes, 65536) != 65536)
        return 1;
    struct weir_hc_header null = header(WEIR_HC_NULL, sizeof(null));
    run(&null, sizeof(null), TURNS);
    double best = 1;
    for (unsigned k = 0; k < 10; k++) {
        double t = run(&null, sizeof(null), 200000);
        best = t < best ? t : best;
    }
    report("hostcall null", best * 1e9, "ns");
    read_file("hostcall read 64 KiB", 1);
    read_file("hostcall read 16 x 4 KiB", 16);
    weir_destroy(vm);
    unlink(path);
    rmdir(dir);
    close(fd);
    free(bytes);
    return 0;
}
