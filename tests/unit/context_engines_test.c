/* SPDX-License-Identifier: MIT */
/*
 * context_engines_test.c - what a callback sees and sets is the same with both engines: a hot loop
 * calls a device by port and by memory; at every call the whole context is compared, flags and all;
 * and each register is set in the middle of the loop, which must change it and nothing else.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flat_vm.h"
#include <weir/context.h>

#define CALLS 600u
#define PARTS                                                                                  \
    (WEIR_CONTEXT_GENERAL | WEIR_CONTEXT_SEGMENTS | WEIR_CONTEXT_CONTROL |                     \
     WEIR_CONTEXT_DEBUG | WEIR_CONTEXT_FPU)

/* 64-bit: EBX counts down; RDI = device, DX = port. Flags die and live, vectors and x87 change,
 * accesses are loads, stores, read-modify-write, strings, pushes near a call. */
extern const uint8_t code_mixed[], code_mixed_end[];
__asm__(
    ".pushsection .rodata\n.globl code_mixed, code_mixed_end\ncode_mixed:\n"
    ".intel_syntax noprefix\n"
    "1: add r8, rbx\n xor r9, r8\n mov [rdi], r9d\n adc r10, 3\n"
    "addpd xmm1, xmm2\n cvtsi2sd xmm3, r8\n mulsd xmm2, xmm3\n mov eax, [rdi+8]\n"
    "sub r11, rax\n out dx, al\n jc 2f\n inc r12\n"
    "2: fld1\n fadd st(1), st(0)\n fstp st(2)\n fldpi\n fstp st(1)\n or dword ptr [rdi+16], 5\n"
    "shl r13, 3\n rol r14, 7\n in eax, dx\n imul r15, r14, 77\n"
    "cmp r8, r9\n cmovg rcx, r8\n movsx rsi, r9w\n bt r8, 5\n rcl rbp, 1\n"
    "push r8\n mov byte ptr [rdi+3], 9\n pop rax\n call 3f\n jmp 4f\n"
    "3: test r9, r8\n xchg [rdi+24], eax\n setz al\n ret\n"
    "4: dec ebx\n jnz 1b\n hlt\n"
    ".att_syntax\ncode_mixed_end:\n.popsection");

struct recorder {
    weir_vcpu *cpu;
    unsigned calls;
    struct weir_context *seen; /* CALLS of them */
    void (*strike)(weir_vcpu *cpu);
    unsigned strike_at;
};
static struct recorder *recorder; /* one machine runs at a time */

static uint64_t called(uint64_t offset, uint64_t value)
{
    struct recorder *r = recorder;
    if (r->seen && r->calls < CALLS) {
        r->seen[r->calls].size = sizeof(*r->seen);
        assert_int_equal(weir_context_get(r->cpu, PARTS, &r->seen[r->calls]), 0);
    }
    if (r->strike && r->calls == r->strike_at)
        r->strike(r->cpu);
    return offset * 77 + ++r->calls;
}

static weir *vm_new(const char *engine, unsigned loops, struct recorder *r)
{
    weir *vm = flat_vm(engine, 64, code_mixed, (size_t)(code_mixed_end - code_mixed));
    probed = called;
    recorder = r;
    r->cpu = weir_get_vcpu(vm, 0);
    weir_reg_set_u64(r->cpu, WEIR_RBX, loops);
    weir_reg_set_u64(r->cpu, WEIR_RDX, PORT);
    weir_reg_set_u64(r->cpu, WEIR_RDI, MMIO);
    weir_reg_set_u64(r->cpu, WEIR_R14, 0x123456789);
    weir_reg_set_u64(r->cpu, WEIR_CR4, weir_reg_get_u64(r->cpu, WEIR_CR4) | 0x600);
    return vm;
}

static void run(weir *vm)
{
    struct weir_exit exit;
    assert_int_equal(weir_run(weir_get_vcpu(vm, 0), 0, &exit), 0);
    assert_int_equal(exit.reason, WEIR_EXIT_HALT);
}

static void callbacks_see_the_same(void **state)
{
    (void)state;
    static struct weir_context x[2][CALLS];
    struct recorder r[2] = {{.seen = x[0]}, {.seen = x[1]}};
    static const char *const engines[] = {"interp", "jit"};
    for (unsigned n = 0; n < 2; n++) {
        weir *vm = vm_new(engines[n], CALLS / 4, &r[n]);
        weir_set_exact_flags(vm, true);
        run(vm);
        weir_destroy(vm);
    }
    assert_int_equal(r[0].calls, r[1].calls);
    assert_true(r[0].calls > CALLS);
    for (unsigned n = 0; n < CALLS; n++) {
        assert_int_equal(x[0][n].rip, x[1][n].rip);
        assert_int_equal(x[0][n].rflags, x[1][n].rflags);
        assert_memory_equal(x[0][n].gpr, x[1][n].gpr, sizeof(x[0][n].gpr));
        assert_memory_equal(&x[0][n], &x[1][n], sizeof(x[0][n]));
    }
}

/* ---- each register ---- */

static enum weir_reg wanted;
static union weir_value old, now;
static bool settable;

/* A value that differs where that is possible. */
static void another(enum weir_reg reg, union weir_value *v)
{
    if (reg >= WEIR_ES && reg <= WEIR_TR) {
        v->segment.selector ^= 0x18;
        v->segment.attributes ^= 0x1000; /* AVL */
        return;
    }
    switch (reg) {
    case WEIR_GDTR:
    case WEIR_IDTR:
        v->segment.base = 0x12340;
        v->segment.limit = 0x77;
        break;
    case WEIR_RFLAGS:
        v->u64 ^= 0x200000; /* ID */
        break;
    case WEIR_CR0:
        v->u64 ^= 0x20; /* NE */
        break;
    case WEIR_CR4:
        v->u64 ^= 0x100; /* PCE */
        break;
    case WEIR_EFER:
        v->u64 ^= 1;
        break;
    case WEIR_XCR0:
        v->u64 = v->u64 == 1 ? 3 : 1;
        break;
    case WEIR_DR6:
        v->u64 ^= 0x4000;
        break;
    case WEIR_DR7:
        v->u64 ^= 0x300; /* LE, GE */
        break;
    case WEIR_MXCSR:
        v->u64 ^= 0x8000;
        break;
    case WEIR_FCW:
        v->u64 ^= 0x300;
        break;
    case WEIR_PAT:
        v->u64 = 0x0007010600070106;
        break;
    case WEIR_SFMASK:
    case WEIR_SYSENTER_CS:
    case WEIR_TSC_AUX:
    case WEIR_FCS:
    case WEIR_FDS:
        v->u64 ^= 0x55;
        break;
    case WEIR_DEBUGCTL:
        v->u64 ^= 1;
        break;
    case WEIR_CR3: /* the others are what the guest lives by */
    case WEIR_RIP:
    case WEIR_CPL:
    case WEIR_ACTIVITY:
    case WEIR_INTERRUPTIBILITY:
    case WEIR_PENDING_DEBUG:
    case WEIR_INJECTION:
    case WEIR_APIC_BASE:
    case WEIR_TSC:
    case WEIR_FSW:
    case WEIR_FTW:
    case WEIR_RBX:
    case WEIR_RDX:
    case WEIR_RDI:
    case WEIR_RSP:
    case WEIR_CR8:
        break;
    default:
        v->bytes[0] ^= 0x5a;
        break;
    }
}

static void strike(weir_vcpu *cpu)
{
    static struct weir_context before, after;
    before.size = after.size = sizeof(before);
    settable = weir_reg_get(cpu, wanted, &old) == 0;
    if (!settable)
        return;
    now = old;
    another(wanted, &now);
    weir_context_get(cpu, WEIR_CONTEXT_ALL, &before);
    settable = weir_reg_set(cpu, wanted, &now) == 0;
    union weir_value got;
    assert_int_equal(weir_reg_get(cpu, wanted, &got), 0);
    if (wanted != WEIR_TSC && wanted != WEIR_ST0 + 8)
        assert_memory_equal(&got, settable ? &now : &old, sizeof(got));
    /* Nothing else has changed: the old value brings back all. */
    assert_int_equal(weir_reg_set(cpu, wanted, &old), 0);
    weir_context_get(cpu, WEIR_CONTEXT_ALL, &after);
    assert_memory_equal(&before, &after, sizeof(before));
    assert_int_equal(weir_reg_set(cpu, wanted, &now) == 0, settable);
    assert_true(weir_reg_is_dirty(cpu, wanted));
}

/* The loop's last state with register `reg` set in the middle; -1: no register is set. */
static void run_with(const char *engine, int reg, struct weir_context *end)
{
    struct recorder r = {.strike = reg < 0 ? NULL : strike, .strike_at = 300};
    weir *vm = vm_new(engine, 200, &r);
    wanted = reg < 0 ? WEIR_RAX : (enum weir_reg)reg;
    weir_set_exact_flags(vm, true);
    run(vm);
    end->size = sizeof(*end);
    assert_int_equal(weir_context_get(r.cpu, PARTS, end), 0);
    weir_destroy(vm);
}

static void each_register_is_taken(void **state)
{
    (void)state;
    static struct weir_context plain, end[2];
    run_with("interp", -1, &plain);
    for (int reg = 0; reg < WEIR_REG_COUNT; reg++) {
        run_with("interp", reg, &end[0]);
        run_with("jit", reg, &end[1]);
        assert_memory_equal(&end[0], &end[1], sizeof(end[0]));
        bool differs = memcmp(&end[0], &plain, sizeof(plain)) != 0;
        bool loops_on = (reg >= WEIR_R8 && reg <= WEIR_R12) || reg == WEIR_R14;
        if (loops_on) /* registers that the loop works with: it did with the new value */
            assert_true(differs);
        if (reg == WEIR_DR1 || reg == WEIR_CR2 || (reg >= WEIR_ES && reg <= WEIR_IDTR) ||
            reg == WEIR_ZMM0 + 9 || reg == WEIR_MXCSR)
            assert_true(differs); /* registers that it leaves alone: they kept it */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(callbacks_see_the_same),
                                       cmocka_unit_test(each_register_is_taken)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
