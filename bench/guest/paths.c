/* SPDX-License-Identifier: MIT */
/*
 * paths.c - paths through the guest's kernel: system call, page fault, fork and exec, switches
 * between processes (a byte through pipes, there and back) and between threads (futex). All on
 * one CPU, as guests have it. Errors end in a wrong count.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "kernels.h"

static void setup_one_cpu(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(sched_getcpu() < 0 ? 0 : sched_getcpu(), &set);
    sched_setaffinity(0, sizeof(set), &set);
}

static uint64_t run_syscall(uint64_t n)
{
    uint64_t good = 0;
    for (; n; n--)
        good += syscall(SYS_getppid) >= 0;
    return good;
}

/* An operation is one page of a fresh mapping touched; its share of mmap and munmap is in it. */
static uint64_t run_fault(uint64_t n)
{
    enum { PAGES = 256 };
    uint64_t good = 0;
    while (n) {
        uint64_t count = n < PAGES ? n : PAGES;
        uint8_t *p = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            return 0;
        madvise(p, PAGES * 4096, MADV_NOHUGEPAGE);
        for (uint64_t i = 0; i < count; i++) {
            good += p[i * 4096] == 0;
            p[i * 4096] = 1;
        }
        munmap(p, PAGES * 4096);
        n -= count;
    }
    return good;
}

static uint64_t run_fork_exec(uint64_t n)
{
    uint64_t good = 0;
    for (; n; n--) {
        int status;
        pid_t child = fork();
        if (!child) {
            execl("/proc/self/exe", "kernels", "-x", (char *)NULL);
            _exit(1);
        }
        good += child > 0 && waitpid(child, &status, 0) == child && status == 0;
    }
    return good;
}

static uint64_t run_pipe(uint64_t n)
{
    int ping[2], pong[2];
    char byte = 0;
    uint64_t good = 0;
    if (pipe(ping) < 0 || pipe(pong) < 0)
        return 0;
    pid_t child = fork();
    if (!child) {
        close(ping[1]);
        while (read(ping[0], &byte, 1) == 1 && write(pong[1], &byte, 1) == 1)
            ;
        _exit(0);
    }
    close(ping[0]);
    close(pong[1]);
    for (; n; n--)
        good += write(ping[1], &byte, 1) == 1 && read(pong[0], &byte, 1) == 1;
    close(ping[1]);
    close(pong[0]);
    waitpid(child, NULL, 0);
    return good;
}

/* An operation is a switch to the other thread and back. */
static _Atomic uint32_t turn;
static uint64_t rounds;

static void hand_over(uint32_t from, uint32_t to)
{
    uint32_t now;
    while ((now = turn) != from)
        syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, now, NULL, NULL, 0);
    turn = to;
    syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *other_thread(void *unused)
{
    (void)unused;
    for (uint64_t i = 0; i < rounds; i++)
        hand_over(1, 0);
    return NULL;
}

static uint64_t run_switch(uint64_t n)
{
    pthread_t thread;
    turn = 0;
    rounds = n;
    if (pthread_create(&thread, NULL, other_thread, NULL))
        return 0;
    for (uint64_t i = 0; i < n; i++)
        hand_over(0, 1);
    pthread_join(thread, NULL);
    return n;
}

const struct kernel path_kernels[] = {
    {"syscall", GROUP_KERNEL, setup_one_cpu, run_syscall, 10, 10, NULL},
    {"pagefault", GROUP_KERNEL, setup_one_cpu, run_fault, 300, 300, NULL},
    {"forkexec", GROUP_KERNEL, setup_one_cpu, run_fork_exec, 2, 2, NULL},
    {"pipe", GROUP_KERNEL, setup_one_cpu, run_pipe, 5, 5, NULL},
    {"switch", GROUP_KERNEL, setup_one_cpu, run_switch, 5, 5, NULL},
    {0},
};
