/* SPDX-License-Identifier: MIT */
/*
 * main.c - runs kernels and prints what they take, natively and in guests alike.
 *
 *   kernels [-n COUNT] [-r REPETITIONS] [-t SECONDS] NAME...
 *   kernels -l     lists names and groups
 *   kernels -c     checks the checksum of every kernel
 *
 * Without -n the count of operations is found so that a repetition takes SECONDS. Output, one
 * pair of lines a row; the clocks let the reader compare this machine's time with his own:
 *   > NAME CLOCK
 *   = NAME COUNT MIN_NS_PER_OP MEDIAN_NS_PER_OP CHECKSUM CLOCK
 * or "- NAME REASON" when the CPU lacks what the row needs.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "kernels.h"

enum { MAX_REPETITIONS = 64 };

static const char *const group_names[] = {"c", "simd", "kernel", "cold"};
static const struct kernel *const tables[] = {structure_kernels, control_kernels, byte_kernels,
                                              math_kernels,      path_kernels,    cold_kernels};
static const char *const suffix = sizeof(void *) == 4 ? ".32" : "";

uint64_t clock_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t timed(const struct kernel *k, uint64_t n, uint64_t *sum)
{
    uint64_t excluded = k->excluded_ns ? *k->excluded_ns : 0;
    uint64_t start = clock_ns();
    *sum = k->run(n);
    uint64_t took = clock_ns() - start;
    if (k->excluded_ns)
        took -= *k->excluded_ns - excluded;
    return took;
}

/* Doubles until a run is long enough to tell, then scales. */
static uint64_t calibrate(const struct kernel *k, double seconds)
{
    uint64_t sum, n = 1, took;
    double wanted = seconds * 1e9;
    while ((took = timed(k, n, &sum)) < wanted / 4)
        n *= took < wanted / 64 ? 8 : 2;
    n = (uint64_t)((double)n * wanted / (double)took);
    return n ? n : 1;
}

static bool checks(const struct kernel *k)
{
    if (k->setup)
        k->setup();
    if (!k->check_n)
        return true;
    uint64_t sum = k->run(k->check_n);
    if (sum == k->check)
        return true;
    printf("! %s%s checksum %016llx, not %016llx\n", k->name, suffix, (unsigned long long)sum,
           (unsigned long long)k->check);
    return false;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static bool measure(const struct kernel *k, uint64_t n, unsigned repetitions, double seconds)
{
    uint64_t ns[MAX_REPETITIONS], sum = 0, first = 0;
    if (!strcmp(k->name, "avx2") && !__builtin_cpu_supports("avx2")) {
        printf("- %s%s no AVX2\n", k->name, suffix);
        return true;
    }
    if (!checks(k))
        return false;
    if (!n)
        n = calibrate(k, seconds);
    printf("> %s%s %llu\n", k->name, suffix, (unsigned long long)clock_ns());
    fflush(stdout);
    for (unsigned i = 0; i < repetitions; i++) {
        ns[i] = timed(k, n, &sum);
        if (i && sum != first) {
            printf("! %s%s checksums differ between repetitions\n", k->name, suffix);
            return false;
        }
        first = sum;
    }
    uint64_t end = clock_ns();
    qsort(ns, repetitions, sizeof(ns[0]), by_value);
    printf("= %s%s %llu %.4f %.4f %016llx %llu\n", k->name, suffix, (unsigned long long)n,
           (double)ns[0] / (double)n, (double)ns[repetitions / 2] / (double)n,
           (unsigned long long)sum, (unsigned long long)end);
    fflush(stdout);
    return true;
}

static const struct kernel *find(const char *name)
{
    size_t length = strlen(name), end = strlen(suffix);
    if (length > end && !strcmp(name + length - end, suffix))
        length -= end;
    for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
        for (const struct kernel *k = tables[t]; k->name; k++)
            if (strlen(k->name) == length && !strncmp(k->name, name, length))
                return k;
    return NULL;
}

static int for_all(bool check)
{
    bool good = true;
    for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
        for (const struct kernel *k = tables[t]; k->name; k++) {
            if (!check)
                printf("%s%s %s\n", k->name, suffix, group_names[k->group]);
            else if (strcmp(k->name, "avx2") || __builtin_cpu_supports("avx2"))
                good = checks(k) && good;
        }
    return good ? 0 : 1;
}

int main(int argc, char **argv)
{
    uint64_t n = 0;
    unsigned repetitions = 3;
    double seconds = 0.15;
    for (int option; (option = getopt(argc, argv, "n:r:t:lcx")) != -1;)
        switch (option) {
        case 'n':
            n = strtoull(optarg, NULL, 0);
            break;
        case 'r':
            repetitions = (unsigned)strtoul(optarg, NULL, 0);
            break;
        case 't':
            seconds = atof(optarg);
            break;
        case 'l':
            return for_all(false);
        case 'c':
            return for_all(true);
        case 'x':
            return 0; /* what the fork and exec row runs */
        default:
            return 2;
        }
    if (optind == argc || !repetitions || repetitions > MAX_REPETITIONS)
        return 2;
    bool good = true;
    for (; optind < argc; optind++) {
        const struct kernel *k = find(argv[optind]);
        if (!k)
            printf("! %s unknown\n", argv[optind]);
        good = k && measure(k, n, repetitions, seconds) && good;
    }
    return good ? 0 : 1;
}
