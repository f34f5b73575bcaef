/* SPDX-License-Identifier: MIT */
/*
 * guest_speed.c - how fast guests run, through the library as an embedder would.
 *
 *   guest_speed [-a ACCEL] loop integer|memory
 *       one line: millions of guest instructions per second
 *   guest_speed [-a ACCEL] boot VMLINUZ INITRD
 *       boots to "init reached"; prints seconds of CPU, instructions, and memory of the process
 *       besides guest RAM in KiB
 */
#include "speed.h"
#include <stdio.h>
#include <string.h>
#include <weir/memory.h>

// clang-format off
/* A hash step: 10 ALU instructions of different kinds and a taken branch. */
static const uint8_t integer_loop[] = {
    0xb9, 0, 0, 0, 0x7f,    /* mov ecx, 7f000000h */
    0x01, 0xc8,             /* l: add eax, ecx */
    0x31, 0xc3,             /* xor ebx, eax */
    0xc1, 0xc0, 5,          /* rol eax, 5 */
    0x8d, 0x14, 0x03,       /* lea edx, [ebx + eax] */
    0x29, 0xd6,             /* sub esi, edx */
    0x0f, 0xaf, 0xf8,       /* imul edi, eax */
    0x21, 0xf2,             /* and edx, esi */
    0x09, 0xd0,             /* or eax, edx */
    0xff, 0xc9,             /* dec ecx */
    0x75, 0xe9,             /* jnz l */
    0xf4,                   /* hlt */
};
/* Loads, stores and read-modify-write over 64 KiB. */
static const uint8_t memory_loop[] = {
    0xbe, 0, 0, 0x10, 0,          /* mov esi, 100000h */
    0xb9, 0, 0, 0, 0,             /* l: mov ecx, 0 */
    0x8b, 0x04, 0x0e,             /* m: mov eax, [esi + ecx] */
    0x01, 0x44, 0x0e, 4,          /* add [esi + ecx + 4], eax */
    0x89, 0x5c, 0x0e, 8,          /* mov [esi + ecx + 8], ebx */
    0x03, 0x5c, 0x0e, 12,         /* add ebx, [esi + ecx + 12] */
    0x83, 0xc1, 16,               /* add ecx, 16 */
    0x81, 0xf9, 0, 0, 1, 0,       /* cmp ecx, 10000h */
    0x72, 0xe6,                   /* jb m */
    0xeb, 0xdf,                   /* jmp l */
};
// clang-format on

static int run_loop(const char *name)
{
    bool integer = !strcmp(name, "integer");
    weir *vm = speed_machine("none", 4 << 20);
    if (integer)
        weir_mem_write(vm, 0x1000, integer_loop, sizeof(integer_loop));
    else
        weir_mem_write(vm, 0x1000, memory_loop, sizeof(memory_loop));
    if (weir_boot_flat(vm, 32, 0x1000, 0x8000, 0) < 0)
        return 1;
    double best = 0;
    struct weir_exit exit;
    for (int i = 0; i < 5; i++) {
        double start = speed_now_s();
        if (weir_run(weir_get_vcpu(vm, 0), 100000000, &exit) < 0 ||
            exit.reason != WEIR_EXIT_BUDGET) {
            fprintf(stderr, "the loop ended: exit %d, %s\n", exit.reason, weir_last_error(vm));
            return 1;
        }
        double mips = (double)exit.instructions / (speed_now_s() - start) / 1e6;
        best = mips > best ? mips : best;
    }
    printf("%.1f\n", best);
    weir_destroy(vm);
    return 0;
}

/* Anonymous and file-backed memory: guest RAM is shared memory and not in either. */
static long own_memory_kib(void)
{
    char line[256];
    long total = 0, value;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "RssAnon: %ld", &value) == 1 ||
            sscanf(line, "RssFile: %ld", &value) == 1)
            total += value;
    if (f)
        fclose(f);
    return total;
}

static int run_boot(const char *kernel, const char *initrd)
{
    double seconds;
    uint64_t instructions;
    weir *vm = speed_boot(kernel, initrd, NULL, NULL, &seconds, &instructions);
    printf("%.3f %llu %ld\n", seconds, (unsigned long long)instructions, own_memory_kib());
    weir_destroy(vm);
    return 0;
}

int main(int argc, char **argv)
{
    speed_options(&argc, &argv);
    if (argc == 3 && !strcmp(argv[1], "loop"))
        return run_loop(argv[2]);
    if (argc == 4 && !strcmp(argv[1], "boot"))
        return run_boot(argv[2], argv[3]);
    fprintf(stderr,
            "usage: guest_speed [-a ACCEL] loop integer|memory | boot VMLINUZ INITRD\n");
    return 1;
}
