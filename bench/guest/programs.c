/* SPDX-License-Identifier: MIT */
/*
 * programs.c - runs Debian's programs on fixed work and prints what they take, in the format of
 * main.c; the unit is nanoseconds per run.
 *
 *   programs -n AMOUNT -r REPETITIONS NAME      AMOUNT: bytes, rounds, functions...
 *   programs -l                                 names and the amount of some 0.3 s natively
 *
 * A first run with the amount 1 brings the files into memory. A checksum over the output (and
 * over /tmp/out, if the program writes that) shows that all engines computed the same.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_ARGS = 12, MAX_REPETITIONS = 64 };

struct program {
    const char *name;
    uint64_t amount;
    bool input;                 /* standard input: the first AMOUNT bytes of /bench/text */
    const char *speed;          /* `openssl speed` measures itself: its result line begins so */
    const char *argv[MAX_ARGS]; /* %N stands for the amount */
};

// clang-format off
#define SPEED "/usr/bin/openssl", "speed", "-mr", "-elapsed", "-seconds", "1"
static const struct program programs[] = {
    {"ssl-sha256", 1, false, "+R:", {SPEED, "-bytes", "16384", "sha256"}},
    {"ssl-aes-gcm", 1, false, "+R:", {SPEED, "-bytes", "16384", "-evp", "aes-256-gcm"}},
    {"ssl-rsa2048", 1, false, "+R1:", {SPEED, "rsa2048"}},
    {"gzip", 4000000, true, NULL, {"/bin/gzip", "-nc"}},
    {"xz", 1500000, true, NULL, {"/usr/bin/xz", "-3", "-c"}},
    {"unxz", 8, false, NULL, {"/bin/sh", "-c",
        "i=0; while [ $i -lt %N ]; do i=$((i + 1)); xz -dc /bench/text.xz; done"}},
    {"python", 50, false, NULL, {"/usr/bin/python3.11", "-S", "/bench/work.py", "%N"}},
    {"perl", 20, false, NULL, {"/usr/bin/perl", "/bench/work.pl", "%N"}},
    {"sqlite", 120000, false, NULL, {"/usr/bin/sqlite3", ":memory:",
        "CREATE TABLE amount AS SELECT %N AS n", ".read /bench/work.sql"}},
    {"awk", 4000000, true, NULL, {"/usr/bin/mawk", "-f", "/bench/work.awk"}},
    {"gcc", 60, false, NULL, {"/usr/bin/gcc-12", "-O2", "-DAMOUNT=%N", "-c", "/bench/work.c",
        "-o", "/tmp/out"}},
    {"sh", 120000, false, NULL, {"/bin/sh", "/bench/work.sh", "%N"}},
};
// clang-format on

static uint64_t clock_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* FNV-1a over a file; missing files add nothing. */
static uint64_t add_file(uint64_t sum, const char *path)
{
    FILE *f = fopen(path, "rb");
    int c;
    while (f && (c = getc(f)) != EOF)
        sum = (sum ^ (uint64_t)c) * 0x100000001b3u;
    if (f)
        fclose(f);
    return sum;
}

static bool write_input(uint64_t amount)
{
    FILE *from = fopen("/bench/text", "rb"), *to = fopen("/tmp/in", "wb");
    char buffer[4096];
    bool good = from && to;
    while (good && amount) {
        size_t part = amount < sizeof(buffer) ? (size_t)amount : sizeof(buffer);
        good = fread(buffer, 1, part, from) == part && fwrite(buffer, 1, part, to) == part;
        amount -= part;
    }
    if (from)
        fclose(from);
    if (to)
        good = !fclose(to) && good;
    return good;
}

static void expand(const char *argument, uint64_t amount, char *out, size_t size)
{
    const char *place = strstr(argument, "%N");
    if (!place)
        snprintf(out, size, "%s", argument);
    else
        snprintf(out, size, "%.*s%llu%s", (int)(place - argument), argument,
                 (unsigned long long)amount, place + 2);
}

static void redirect(const char *path, int flags, int fd)
{
    int opened = open(path, flags, 0644);
    if (opened < 0 || dup2(opened, fd) < 0)
        _exit(127);
    close(opened);
}

static bool run(const struct program *p, uint64_t amount)
{
    char words[MAX_ARGS][160], *argv[MAX_ARGS + 1] = {0};
    for (int i = 0; i < MAX_ARGS && p->argv[i]; i++) {
        expand(p->argv[i], amount, words[i], sizeof(words[i]));
        argv[i] = words[i];
    }
    unlink("/tmp/out");
    pid_t child = fork();
    if (!child) {
        redirect(p->input ? "/tmp/in" : "/dev/null", O_RDONLY, 0);
        redirect("/tmp/stdout", O_WRONLY | O_CREAT | O_TRUNC, 1);
        redirect("/tmp/stderr", O_WRONLY | O_CREAT | O_TRUNC, 2);
        execv(argv[0], argv);
        _exit(127);
    }
    int status;
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

/* Nanoseconds per operation from a line "+R:COUNT:NAME:SECONDS" on standard error. */
static double read_speed(const struct program *p)
{
    FILE *f = fopen("/tmp/stderr", "r");
    char line[256];
    double ns = 0;
    while (f && fgets(line, sizeof(line), f))
        if (!strncmp(line, p->speed, strlen(p->speed))) {
            double count = atof(line + strlen(p->speed));
            double seconds = atof(strrchr(line, ':') + 1);
            ns = count > 0 ? seconds * 1e9 / count : 0;
        }
    if (f)
        fclose(f);
    return ns;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool failed(const struct program *p)
{
    char line[200] = "";
    FILE *f = fopen("/tmp/stderr", "r");
    if (f && fgets(line, sizeof(line), f))
        line[strcspn(line, "\n")] = 0;
    if (f)
        fclose(f);
    printf("! %s failed: %s\n", p->name, line);
    return false;
}

static bool measure(const struct program *p, uint64_t amount, unsigned repetitions)
{
    double ns[MAX_REPETITIONS];
    if (!p->speed && ((p->input && !write_input(1)) || !run(p, 1)))
        return failed(p);
    if (p->input && !write_input(amount))
        return failed(p);
    printf("> %s %llu\n", p->name, (unsigned long long)clock_ns());
    fflush(stdout);
    for (unsigned i = 0; i < repetitions; i++) {
        uint64_t start = clock_ns();
        if (!run(p, amount))
            return failed(p);
        ns[i] = p->speed ? read_speed(p) : (double)(clock_ns() - start);
    }
    uint64_t sum = add_file(add_file(0xcbf29ce484222325u, "/tmp/stdout"), "/tmp/out");
    uint64_t end = clock_ns();
    qsort(ns, repetitions, sizeof(ns[0]), by_value);
    printf("= %s %llu %.1f %.1f %016llx %llu\n", p->name, (unsigned long long)amount, ns[0],
           ns[repetitions / 2], (unsigned long long)(p->speed ? 0 : sum),
           (unsigned long long)end);
    fflush(stdout);
    return true;
}

int main(int argc, char **argv)
{
    uint64_t amount = 0;
    unsigned repetitions = 1;
    for (int option; (option = getopt(argc, argv, "n:r:l")) != -1;)
        if (option == 'n') {
            amount = strtoull(optarg, NULL, 0);
        } else if (option == 'r') {
            repetitions = (unsigned)strtoul(optarg, NULL, 0);
        } else if (option == 'l') {
            for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
                printf("%s %llu\n", programs[i].name,
                       (unsigned long long)(programs[i].speed ? 0 : programs[i].amount));
            return 0;
        } else {
            return 2;
        }
    if (optind == argc || !repetitions || repetitions > MAX_REPETITIONS)
        return 2;
    bool good = true;
    for (; optind < argc; optind++)
        for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
            if (!strcmp(programs[i].name, argv[optind]))
                good = measure(&programs[i], amount ? amount : programs[i].amount,
                               programs[i].speed ? 1 : repetitions) &&
                       good;
    return good ? 0 : 1;
}
