/* SPDX-License-Identifier: MIT */
/* crash_guard.c - see crash_guard.h. */
#include "crash_guard.h"

#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

static sigjmp_buf crash_return;

static void on_crash(int number)
{
    siglongjmp(crash_return, number);
}

void crash_guard_init(void)
{
    static uint8_t stack[64 << 10];
    const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    const struct sigaction action = {.sa_handler = on_crash,
                                     .sa_flags = SA_ONSTACK | SA_NODEFER};
    static const int numbers[] = {SIGSEGV, SIGILL, SIGFPE, SIGBUS, SIGTRAP, SIGABRT, SIGALRM};
    sigaltstack(&alternate, NULL);
    for (unsigned n = 0; n < sizeof numbers / sizeof numbers[0]; n++)
        sigaction(numbers[n], &action, NULL);
}

int crash_guard(void (*fn)(void *argument), void *argument, unsigned seconds)
{
    int number = sigsetjmp(crash_return, 1);
    if (number == 0) {
        alarm(seconds);
        fn(argument);
    }
    alarm(0);
    return number;
}
