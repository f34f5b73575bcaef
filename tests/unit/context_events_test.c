/* SPDX-License-Identifier: MIT */
/*
 * context_events_test.c - contexts inside introspection's events: both engines show the same whole
 * state at each event of each kind, and what a handler sets is what the guest goes on with. The
 * guest is a hot loop, so the translator is at work.
 */
#include <stdio.h>
#include <string.h>

#include "flat_vm.h"
#include <weir/context.h>
#include <weir/introspect.h>

#define DATA  0x9000u
#define SEEN  400u
#define LOOPS 100u
#define PARTS                                                                                  \
    (WEIR_CONTEXT_GENERAL | WEIR_CONTEXT_SEGMENTS | WEIR_CONTEXT_CONTROL |                     \
     WEIR_CONTEXT_DEBUG | WEIR_CONTEXT_FPU)

/* 64-bit. ESI counts down; there is one event of each kind per round. */
extern const uint8_t code_events[], code_events_end[], code_events_exec[], code_events_mark[];
__asm__(".pushsection .rodata\n.globl code_events, code_events_end, code_events_exec\n"
        ".globl code_events_mark\ncode_events:\n.intel_syntax noprefix\n"
        "1: add r8, rsi\n xor r9, r8\n adc r10, 3\n addpd xmm1, xmm2\n"
        "xor eax, eax\n cpuid\n add r11, rax\n mov [0x9000], r9\n adc r12, 0\n"
        "code_events_exec: lea r13, [r13+r8]\n sbb r14, 5\n mov ecx, 0x174\n rdmsr\n"
        "sub r15, rax\n mov edx, 0x80\n out dx, al\n mov rax, cr0\n mov cr0, rax\n"
        "fld1\n fstp st(1)\n add rbp, [0x9008]\n dec esi\n jnz 1b\n hlt\n"
        "code_events_mark: mov eax, 0x600d\n hlt\n"
        ".att_syntax\ncode_events_end:\n.popsection");

struct seen {
    unsigned count, strike_at;
    struct weir_context *contexts;
    unsigned (*strike)(weir_vcpu *cpu);
};

static unsigned note(void *ctx, weir_vcpu *cpu)
{
    struct seen *s = ctx;
    unsigned response = WEIR_CONTINUE;
    if (s->contexts && s->count < SEEN) {
        struct weir_context *x = &s->contexts[s->count];
        x->size = sizeof(*x);
        assert_int_equal(weir_context_get(cpu, PARTS, x), 0);
    }
    if (s->strike && s->count == s->strike_at)
        response = s->strike(cpu);
    s->count++;
    return response;
}

#define HANDLER(name)                                                                          \
    static unsigned on_##name(void *ctx, weir_vcpu *cpu, struct weir_##name##_event *event)    \
    {                                                                                          \
        (void)event;                                                                           \
        return note(ctx, cpu);                                                                 \
    }
HANDLER(cpuid)
HANDLER(memory)
HANDLER(execute)
HANDLER(breakpoint)
HANDLER(msr)
HANDLER(io)
HANDLER(control)
HANDLER(step)
HANDLER(block)

enum { BLOCKS = 8, KINDS };
static int arm(weir *vm, unsigned kind, struct seen *s)
{
    uint64_t exec = CODE + (uint64_t)(code_events_exec - code_events);
    struct weir_filter data = {.first = DATA, .last = DATA + 15};
    struct weir_filter code = {.first = exec, .last = exec};
    struct weir_step step = {0};
    switch (kind) {
    case 0:
        return weir_on_cpuid(vm, NULL, on_cpuid, s, NULL);
    case 1:
        return weir_on_memory(vm, &data, on_memory, s, NULL);
    case 2:
        return weir_on_execute(vm, &code, on_execute, s, NULL);
    case 3:
        return weir_on_breakpoint(vm, &code, on_breakpoint, s, NULL);
    case 4:
        return weir_on_msr(vm, NULL, on_msr, s, NULL);
    case 5:
        return weir_on_io(vm, NULL, on_io, s, NULL);
    case 6:
        return weir_on_control(vm, NULL, on_control, s, NULL);
    case 7:
        return weir_step(weir_get_vcpu(vm, 0), &step, on_step, s, NULL);
    default: /* BLOCKS */
        return weir_on_block(vm, NULL, on_block, s, NULL);
    }
}

static weir *vm_new(const char *engine)
{
    weir *vm = flat_vm(engine, 64, code_events, (size_t)(code_events_end - code_events));
    weir_vcpu *cpu = weir_get_vcpu(vm, 0);
    weir_reg_set_u64(cpu, WEIR_RSI, LOOPS);
    weir_reg_set_u64(cpu, WEIR_SYSENTER_CS, 0x77);
    weir_reg_set_u64(cpu, WEIR_CR4, weir_reg_get_u64(cpu, WEIR_CR4) | 0x600);
    weir_set_exact_flags(vm, true);
    return vm;
}

static void run(weir *vm)
{
    struct weir_exit exit;
    assert_int_equal(weir_run(weir_get_vcpu(vm, 0), 0, &exit), 0);
    assert_int_equal(exit.reason, WEIR_EXIT_HALT);
}

static const char *const engines[] = {"interp", "jit"};

static void events_see_the_same(void **state)
{
    (void)state;
    static struct weir_context x[2][SEEN];
    for (unsigned kind = 0; kind < BLOCKS;
         kind++) { /* how code is cut is the engine's business */
        struct seen s[2] = {{.contexts = x[0]}, {.contexts = x[1]}};
        memset(x, 0, sizeof(x));
        for (unsigned n = 0; n < 2; n++) {
            weir *vm = vm_new(engines[n]);
            assert_int_equal(arm(vm, kind, &s[n]), 0);
            run(vm);
            weir_destroy(vm);
        }
        assert_int_equal(s[0].count, s[1].count);
        assert_true(s[0].count >= LOOPS);
        for (unsigned n = 0; n < SEEN && n < s[0].count; n++) {
            assert_int_equal(x[0][n].rip, x[1][n].rip);
            assert_int_equal(x[0][n].rflags, x[1][n].rflags);
            assert_memory_equal(&x[0][n], &x[1][n], sizeof(x[0][n]));
        }
    }
}

/* ---- setting ---- */

static unsigned change_registers(weir_vcpu *cpu)
{
    union weir_value v = {0};
    memset(v.bytes, 0x11, 16);
    assert_int_equal(weir_reg_set_u64(cpu, WEIR_RSI, 3), 0);
    assert_int_equal(weir_reg_set_u64(cpu, WEIR_RSP, 0x7000), 0);
    assert_int_equal(weir_reg_set_u64(cpu, WEIR_CR2, 0x1234), 0);
    assert_int_equal(weir_reg_set(cpu, WEIR_ZMM0 + 7, &v), 0);
    v.segment = (struct weir_segment){0x1b, 0xc0f3, 0xffffffff, 0};
    assert_int_equal(weir_reg_set(cpu, WEIR_DS, &v), 0);
    return WEIR_SET_REGISTERS;
}

static unsigned change_rip(weir_vcpu *cpu)
{
    uint64_t mark = CODE + (uint64_t)(code_events_mark - code_events);
    assert_int_equal(weir_reg_set_u64(cpu, WEIR_RIP, mark), 0);
    return WEIR_SET_REGISTERS;
}

static void handlers_set_registers(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < KINDS; kind++)
        for (unsigned n = 0; n < 2; n++) {
            struct seen s = {.strike = change_registers, .strike_at = 50};
            union weir_value v;
            weir *vm = vm_new(engines[n]);
            weir_vcpu *cpu = weir_get_vcpu(vm, 0);
            assert_int_equal(arm(vm, kind, &s), 0);
            run(vm);
            assert_int_equal(weir_reg_get_u64(cpu, WEIR_RSI), 0);
            assert_int_equal(weir_reg_get_u64(cpu, WEIR_RSP), 0x7000);
            assert_int_equal(weir_reg_get_u64(cpu, WEIR_CR2), 0x1234);
            weir_reg_get(cpu, WEIR_ZMM0 + 7, &v);
            assert_int_equal(v.u64, 0x1111111111111111);
            weir_reg_get(cpu, WEIR_DS, &v);
            assert_int_equal(v.segment.selector, 0x1b);
            if (kind != 7) /* a few more rounds, not all */
                assert_true(s.count > 51 && s.count < 51 + 16);
            weir_destroy(vm);
        }
}

static void handlers_set_rip(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < KINDS; kind++)
        for (unsigned n = 0; n < 2; n++) {
            struct seen s = {.strike = change_rip, .strike_at = 60};
            weir *vm = vm_new(engines[n]);
            weir_vcpu *cpu = weir_get_vcpu(vm, 0);
            assert_int_equal(arm(vm, kind, &s), 0);
            run(vm);
            assert_int_equal(weir_reg_get_u64(cpu, WEIR_RAX), 0x600d);
            assert_int_equal(weir_reg_get_u64(cpu, WEIR_RIP),
                             CODE + (uint64_t)(code_events_end - code_events));
            assert_true(weir_reg_get_u64(cpu, WEIR_RSI) > 20);
            weir_destroy(vm);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(events_see_the_same),
                                       cmocka_unit_test(handlers_set_registers),
                                       cmocka_unit_test(handlers_set_rip)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
