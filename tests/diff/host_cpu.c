/* SPDX-License-Identifier: MIT */
/* host_cpu.c - see host_cpu.h. The context has a fixed address so that the code behind the
 * bytes under test can store every register without needing one for the address. */
#include "host_cpu.h"

#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <cpuid.h>

#define CONTEXT 0x20000000
#define CODE    0x21000000

#define STRING2(x) #x
#define STRING(x)  STRING2(x)
#define AT(offset) STRING(CONTEXT) "+" STRING(offset)

#define OFF_RFLAGS 128
#define OFF_XCR0   136
#define OFF_RSP    144
#define OFF_ENTRY  152
#define OFF_MXCSR  160
#define OFF_FCW    164
#define OFF_XSAVE  192
_Static_assert(offsetof(struct host_context, rflags) == OFF_RFLAGS, "assembly");
_Static_assert(offsetof(struct host_context, entry) == OFF_ENTRY, "assembly");
_Static_assert(offsetof(struct host_context, saved_fcw) == OFF_FCW, "assembly");
_Static_assert(offsetof(struct host_context, xsave) == OFF_XSAVE, "assembly");

void host_enter(void);
void host_leave(void);

// clang-format off
__asm__(
    ".text\n"
    "host_enter:\n"
    "  push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
    "  mov %rsp, " AT(144) "\n"
    "  stmxcsr " AT(160) "\n"
    "  fnstcw " AT(164) "\n"
    "  mov " AT(136) ", %eax\n"
    "  mov " AT(140) ", %edx\n"
    "  xrstor64 " AT(192) "\n"
    "  push " AT(128) "\n"
    "  popfq\n"
    "  mov " AT(0) ", %rax\n"
    "  mov " AT(8) ", %rcx\n"
    "  mov " AT(16) ", %rdx\n"
    "  mov " AT(24) ", %rbx\n"
    "  mov " AT(32) ", %rsp\n"
    "  mov " AT(40) ", %rbp\n"
    "  mov " AT(48) ", %rsi\n"
    "  mov " AT(56) ", %rdi\n"
    "  mov " AT(64) ", %r8\n"
    "  mov " AT(72) ", %r9\n"
    "  mov " AT(80) ", %r10\n"
    "  mov " AT(88) ", %r11\n"
    "  mov " AT(96) ", %r12\n"
    "  mov " AT(104) ", %r13\n"
    "  mov " AT(112) ", %r14\n"
    "  mov " AT(120) ", %r15\n"
    "  jmp *" AT(152) "\n"
    "host_leave:\n"
    "  mov %rax, " AT(0) "\n"
    "  mov %rcx, " AT(8) "\n"
    "  mov %rdx, " AT(16) "\n"
    "  mov %rbx, " AT(24) "\n"
    "  mov %rsp, " AT(32) "\n"
    "  mov %rbp, " AT(40) "\n"
    "  mov %rsi, " AT(48) "\n"
    "  mov %rdi, " AT(56) "\n"
    "  mov %r8, " AT(64) "\n"
    "  mov %r9, " AT(72) "\n"
    "  mov %r10, " AT(80) "\n"
    "  mov %r11, " AT(88) "\n"
    "  mov %r12, " AT(96) "\n"
    "  mov %r13, " AT(104) "\n"
    "  mov %r14, " AT(112) "\n"
    "  mov %r15, " AT(120) "\n"
    "  mov " AT(144) ", %rsp\n"
    "  pushfq\n"
    "  pop " AT(128) "\n"
    "  mov " AT(136) ", %eax\n"
    "  mov " AT(140) ", %edx\n"
    "  xsave64 " AT(192) "\n"
    "  fninit\n"
    "  fldcw " AT(164) "\n"
    "  ldmxcsr " AT(160) "\n"
    "  cld\n"
    "  pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
    "  ret\n");
// clang-format on

static volatile sig_atomic_t host_signal;

static void on_signal(int number, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    greg_t rip = uc->uc_mcontext.gregs[REG_RIP];
    if (rip < CODE || rip >= CODE + 4096) { /* not ours: die of it */
        signal(number, SIG_DFL);
        return;
    }
    host_signal = number;
    uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)host_leave;
    uint16_t cs = 0x33; /* it may have been 32-bit code */
    memcpy(&uc->uc_mcontext.gregs[REG_CSGSFS], &cs, sizeof cs);
}

void *host_map(uint64_t address, uint64_t bytes)
{
    void *p = mmap((void *)address, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (p != (void *)address) {
        perror("host_map");
        exit(1);
    }
    return p;
}

bool host_cpu_init(struct host_context **context)
{
    static uint8_t signal_stack[65536];
    unsigned a, b, c, d, low, high;
    __cpuid(1, a, b, c, d);
    if (!(c >> 27 & 1))
        return false;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    struct host_context *h = host_map(CONTEXT, (sizeof *h + 4095) & ~4095ull);
    h->xcr0 = low & 0xe7;
    host_map(CODE, 4096);
    mprotect((void *)CODE, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
    h->entry = CODE;
    stack_t stack = {.ss_sp = signal_stack, .ss_size = sizeof signal_stack};
    sigaltstack(&stack, NULL);
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigaction(SIGILL, &action, NULL);
    sigaction(SIGFPE, &action, NULL);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    *context = h;
    return true;
}

enum host_end host_cpu_run(const uint8_t *bytes, unsigned length)
{
    uint8_t *code = (uint8_t *)CODE;
    uint64_t target = (uint64_t)(uintptr_t)host_leave;
    memcpy(code, bytes, length);
    static const uint8_t jump[] = {0xff, 0x25, 0, 0, 0, 0}; /* jmp *(rip) */
    memcpy(code + length, jump, sizeof jump);
    memcpy(code + length + sizeof jump, &target, 8);
    host_signal = 0;
    host_enter();
    switch (host_signal) {
    case 0:
        return HOST_DONE;
    case SIGFPE:
        return HOST_SIGFPE;
    case SIGILL:
        return HOST_SIGILL;
    default:
        return HOST_SIGSEGV;
    }
}
