/* SPDX-License-Identifier: MIT */
/*
 * fsbench.c - speeds of files, in a guest and on the host:
 *   fsbench read FILE KIB ROUNDS [direct|warm]   reads it in pieces of KIB; "read GB/s", the best
 *       round. Without a word the kernel's cache of it is dropped before each round.
 *   fsbench call COUNT            the null service; "call ns"
 *   fsbench share PATH COUNT      64 KiB of a file of the first share by host calls; "share GB/s"
 */
#include "host.h"

#include "weir/hostcall.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ALIGNED = 2 << 20, PIECE = 65536 };

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int read_file(const char *name, size_t bytes, int rounds, const char *how)
{
    double best = 0;
    bool direct = !strcmp(how, "direct"), warm = !strcmp(how, "warm");
    char *buffer = aligned_alloc(ALIGNED, (bytes + ALIGNED - 1) / ALIGNED * ALIGNED);
    if (!buffer)
        return 1;
    memset(buffer, 1, bytes);
    for (int k = 0; k < rounds; k++) {
        int fd = open(name, O_RDONLY | (direct ? O_DIRECT : 0));
        if (fd < 0) {
            perror(name);
            return 1;
        }
        if (!warm)
            posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        double start = now_s();
        size_t sum = 0;
        for (ssize_t n; (n = read(fd, buffer, bytes)) > 0;)
            sum += (size_t)n;
        double speed = (double)sum / (now_s() - start) / 1e9;
        best = speed > best ? speed : best;
        close(fd);
    }
    printf("read %.3f\n", best);
    return 0;
}

static int call_nothing(long count)
{
    struct weir_hc_header block;
    struct host host = host_of(0);
    double best = 1e9;
    for (int k = 0; k < 5; k++) {
        double start = now_s();
        for (long n = 0; n < count; n++)
            host_call(&host, &block, WEIR_HC_NULL, sizeof(block));
        double ns = (now_s() - start) / (double)count * 1e9;
        best = ns < best ? ns : best;
    }
    printf("call %.0f\n", best);
    return 0;
}

static int read_share(const char *path, long count)
{
    static char buffer[PIECE];
    struct host_share share;
    struct host_stat st;
    uint32_t handle;
    double best = 0;
    memset(buffer, 1, sizeof(buffer));
    int number = host_share(NULL, &share);
    struct host host = host_of(number);
    if (number < 0 || host_open(&host, path, O_RDONLY, 0, &handle, &st) < 0)
        return 1;
    for (int k = 0; k < 5; k++) {
        double start = now_s();
        for (long n = 0; n < count; n++)
            if (host_read(&host, handle, (uint64_t)(n % 64) * PIECE, buffer, PIECE) != PIECE)
                return 1;
        double speed = (double)count * PIECE / (now_s() - start) / 1e9;
        best = speed > best ? speed : best;
    }
    printf("share %.3f\n", best);
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";
    if (!strcmp(what, "read") && argc >= 5)
        return read_file(argv[2], (size_t)atol(argv[3]) << 10, atoi(argv[4]),
                         argc > 5 ? argv[5] : "cold");
    if (!strcmp(what, "call"))
        return call_nothing(atol(argv[2]));
    if (!strcmp(what, "share") && argc == 4)
        return read_share(argv[2], atol(argv[3]));
    fprintf(stderr, "usage: fsbench read|call|share ...\n");
    return 2;
}
