/* SPDX-License-Identifier: MIT */
/*
 * crash_guard.c - see crash_guard.h. No system calls for a function that ends well: a timer ticks
 * all the time, and signals are never blocked.
 */
#include "crash_guard.h"

#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <sys/time.h>

#define TICK_MS 50

static sigjmp_buf crash_return;
static volatile sig_atomic_t ticks_left; /* 0: nobody waits */

static void on_crash(int number)
{
    if (ticks_left)
        siglongjmp(crash_return, number);
    signal(number, SIG_DFL); /* nobody's fault but ours: it happens again */
}

static void on_tick(int number)
{
    if (ticks_left && --ticks_left == 0)
        siglongjmp(crash_return, number);
}

void crash_guard_init(void)
{
    static uint8_t stack[64 << 10];
    static const int numbers[] = {SIGSEGV, SIGILL, SIGFPE, SIGBUS, SIGTRAP, SIGABRT};
    const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    const struct itimerval tick = {{0, TICK_MS * 1000}, {0, TICK_MS * 1000}};
    struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK | SA_NODEFER};
    sigaltstack(&alternate, NULL);
    for (unsigned n = 0; n < sizeof numbers / sizeof numbers[0]; n++)
        sigaction(numbers[n], &action, NULL);
    action.sa_handler = on_tick;
    sigaction(SIGVTALRM, &action, NULL);
    setitimer(ITIMER_VIRTUAL, &tick, NULL);
}

int crash_guard(void (*fn)(void *argument), void *argument, unsigned ms)
{
    int number = sigsetjmp(crash_return, 0);
    if (number == 0) {
        ticks_left = (sig_atomic_t)(ms / TICK_MS) + 1;
        fn(argument);
    }
    ticks_left = 0;
    return number;
}
