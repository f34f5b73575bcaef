/* SPDX-License-Identifier: MIT */
/*
 * stepped.c - a program for a debugger in a guest, and one that steps itself ("self"). Its CPUID of
 * leaf "WEIR" is where stepper.so begins to step it from outside.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

static volatile int counter;
static volatile unsigned traps;

static void announce(void)
{
    unsigned a = 0x57454952, b, c = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
}

static int __attribute__((noinline)) leaf(int n)
{
    counter += n;
    return counter * 3;
}

static int __attribute__((noinline)) middle(int n)
{
    int sum = 0;
    for (int k = 0; k < n; k++)
        sum += leaf(k);
    return sum;
}

static void on_trap(int number)
{
    traps++;
}

/* TF for some instructions and the POPF that ends it; flags as the program has set them. */
static unsigned step_itself(void)
{
    unsigned long with;
    signal(SIGTRAP, on_trap);
    __asm__ volatile("pushfq\n orq $0x100, (%%rsp)\n popfq\n"
                     "nop\n nop\n nop\n xorl %%ecx, %%ecx\n pushfq\n popq %0\n"
                     "pushfq\n andq $~0x100, (%%rsp)\n popfq"
                     : "=r"(with)
                     :
                     : "rcx", "cc", "memory");
    signal(SIGTRAP, SIG_DFL);
    return traps | (with & 0x100 ? 0x100 : 0);
}

static unsigned long flags(void)
{
    unsigned long f, r11, rax = 39; /* getpid */
    __asm__ volatile("pushfq\n popq %0" : "=r"(f));
    __asm__ volatile("syscall\n movq %%r11, %0"
                     : "=r"(r11), "+a"(rax)
                     :
                     : "rcx", "r11", "memory");
    return (f | r11) & 0x100;
}

int main(int argc, char **argv)
{
    int total;
    announce();
    total = middle(5);
    total += middle(3);
    if (argc > 1 && !strcmp(argv[1], "self"))
        printf("flags %lx, traps %x, ", flags(), step_itself());
    printf("total %d, flags %lx\n", total, flags());
    return 0;
}
