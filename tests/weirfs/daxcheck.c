/* SPDX-License-Identifier: MIT */
/*
 * daxcheck.c - files mapped through a window, in a guest; the working directory is the share.
 *
 *   daxcheck code    code in mapped files: changed by stores, by writes, and where another file is
 *                    mapped to the same place of a window that is too small for all
 *   daxcheck cut     reads a mapped file until there is a file "stop"; the host cuts it meanwhile
 *   daxcheck cutself the same, and the guest cuts it itself
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BYTES = 2 << 20, FILES = 24, CODE_AT = 0x5000 };

static void die(const char *what)
{
    fprintf(stderr, "daxcheck: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* MOV EAX, n; RET */
static void encode(unsigned char *code, unsigned n)
{
    code[0] = 0xb8;
    memcpy(code + 1, &n, 4);
    code[5] = 0xc3;
}

static unsigned run(const void *code)
{
    unsigned (*function)(void);
    memcpy(&function, &code, sizeof(function));
    unsigned first = function();
    for (int k = 0; k < 50; k++) /* hot: it is translated */
        if (function() != first)
            return 0;
    return first;
}

static void expect(const void *code, unsigned n, const char *what)
{
    unsigned got = run(code);
    if (got == n)
        return;
    fprintf(stderr, "daxcheck: %s: %u, not %u\n", what, got, n);
    exit(1);
}

static const char *name_of(unsigned n)
{
    static char name[32];
    snprintf(name, sizeof(name), "code%u", n);
    return name;
}

static unsigned char *map(const char *name, int *fd)
{
    *fd = open(name, O_RDWR);
    if (*fd < 0)
        die(name);
    unsigned char *m =
        mmap(NULL, BYTES, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED, *fd, 0);
    if (m == MAP_FAILED)
        die("mmap");
    return m;
}

static int check_code(void)
{
    unsigned char bytes[6];
    int fd;
    for (unsigned round = 0; round < 3; round++)
        for (unsigned n = 1; n <= FILES; n++) {
            unsigned char *m = map(name_of(n), &fd);
            expect(m + CODE_AT, n, "the file's own");
            encode(m + CODE_AT, 1000 + n);
            expect(m + CODE_AT, 1000 + n, "stored");
            encode(bytes, 2000 + n);
            if (pwrite(fd, bytes, sizeof(bytes), CODE_AT) != sizeof(bytes))
                die("pwrite");
            expect(m + CODE_AT, 2000 + n, "written");
            encode(bytes, n);
            if (pwrite(fd, bytes, sizeof(bytes), CODE_AT) != sizeof(bytes))
                die("pwrite");
            munmap(m, BYTES);
            close(fd);
        }
    puts("code: all well");
    return 0;
}

static sigjmp_buf again;
static void on_sigbus(int number)
{
    siglongjmp(again, number);
}

/* Each page, with or without a SIGBUS. */
static unsigned touch(const volatile unsigned char *m)
{
    static volatile unsigned sum, k;
    for (k = 0; k < BYTES; k += 4096)
        if (sigsetjmp(again, 1) == 0)
            sum += m[k];
    return sum;
}

static int check_cut(int itself)
{
    unsigned long sum = 0, reads = 0;
    int fd;
    volatile unsigned char *m = map("cut", &fd);
    signal(SIGBUS, on_sigbus);
    sum += touch(m);
    close(open("ready", O_WRONLY | O_CREAT, 0644));
    while (access("stop", F_OK) < 0) {
        if (itself && reads % 3 == 0 && ftruncate(fd, reads % 2 ? BYTES : 4096) < 0)
            die("ftruncate");
        sum += touch(m);
        reads++;
        usleep(1000);
    }
    printf("cut: all well (%lu times, %lu)\n", reads, sum);
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "code"))
        return check_code();
    return check_cut(!strcmp(what, "cutself"));
}
