/* SPDX-License-Identifier: MIT */
/*
 * context_test.c - the state of a vCPU from outside: every register can be set and is used by the
 * next instruction, while the VM is stopped and inside a callback of a hot loop; what no CPU can be
 * is refused. Argument: the engine.
 */
#include <stdio.h>
#include <string.h>

#include <pthread.h>

#include "flat_vm.h"
#include <weir/context.h>

#define DATA 0x9000u

static const char *engine = "interp";

/* ---- a machine with a device that calls the test back ---- */

struct hook {
    void (*fn)(weir_vcpu *cpu, uint64_t value);
    weir_vcpu *cpu;
};
static struct hook hook; /* tests run one after the other */

static uint64_t call_hook(uint64_t offset, uint64_t value)
{
    if (hook.fn)
        hook.fn(hook.cpu, value);
    return 0x11;
}

static weir *vm_new(unsigned bits, const void *code, size_t bytes)
{
    weir *vm = flat_vm(engine, bits, code, bytes);
    probed = call_hook;
    hook = (struct hook){NULL, weir_get_vcpu(vm, 0)};
    return vm;
}

static void run_to_halt(weir *vm)
{
    struct weir_exit exit;
    assert_int_equal(weir_run(weir_get_vcpu(vm, 0), 0, &exit), 0);
    assert_int_equal(exit.reason, WEIR_EXIT_HALT);
}

static uint64_t data(weir *vm, unsigned n)
{
    uint64_t v;
    weir_mem_read(vm, DATA + 8 * n, &v, 8);
    return v;
}

#define SET(reg, v) assert_int_equal(weir_reg_set_u64(weir_get_vcpu(vm, 0), WEIR_##reg, v), 0)
#define GET(reg)    weir_reg_get_u64(weir_get_vcpu(vm, 0), WEIR_##reg)

/* Code between two labels of the assembly below. */
#define CODE_OF(name) code_##name, (size_t)(code_##name##_end - code_##name)
#define GUEST_CODE(name, text)                                                                 \
    extern const uint8_t code_##name[], code_##name##_end[];                                   \
    __asm__(".pushsection .rodata\n.globl code_" #name ", code_" #name "_end\ncode_" #name     \
            ":\n.intel_syntax noprefix\n" text "\n.att_syntax\ncode_" #name                    \
            "_end:\n.popsection")

// clang-format off
GUEST_CODE(halt, "hlt\n jmp code_halt");
GUEST_CODE(general,
    "mov [0x9000], rax\n mov [0x9008], rcx\n mov [0x9010], rdx\n mov [0x9018], rbx\n"
    "mov [0x9020], rsp\n mov [0x9028], rbp\n mov [0x9030], rsi\n mov [0x9038], rdi\n"
    "mov [0x9040], r8\n mov [0x9048], r9\n mov [0x9050], r10\n mov [0x9058], r11\n"
    "mov [0x9060], r12\n mov [0x9068], r13\n mov [0x9070], r14\n mov [0x9078], r15\n"
    "pushfq\n pop qword ptr [0x9080]\n hlt");
GUEST_CODE(system,
    "mov rax, cr0\n mov [0x9000], rax\n mov rax, cr2\n mov [0x9008], rax\n"
    "mov rax, cr3\n mov [0x9010], rax\n mov rax, cr4\n mov [0x9018], rax\n"
    "mov rax, dr0\n mov [0x9020], rax\n mov rax, dr3\n mov [0x9028], rax\n"
    "mov rax, dr6\n mov [0x9030], rax\n mov rax, dr7\n mov [0x9038], rax\n"
    "mov ecx, 0xc0000080\n rdmsr\n mov [0x9040], eax\n"
    "sgdt [0x9050]\n sidt [0x9060]\n sldt [0x9070]\n str [0x9078]\n"
    "mov [0x9080], ds\n mov [0x9088], es\n mov [0x9090], fs\n mov [0x9098], ss\n"
    "mov rax, fs:[0]\n mov [0x90a0], rax\n mov rax, gs:[8]\n mov [0x90a8], rax\n hlt");
GUEST_CODE(msrs,
    "mov ecx, 0xc0000081\n rdmsr\n mov [0x9000], eax\n mov [0x9004], edx\n"
    "mov ecx, 0xc0000082\n rdmsr\n mov [0x9008], eax\n mov [0x900c], edx\n"
    "mov ecx, 0xc0000083\n rdmsr\n mov [0x9010], eax\n mov [0x9014], edx\n"
    "mov ecx, 0xc0000084\n rdmsr\n mov [0x9018], eax\n mov [0x901c], edx\n"
    "mov ecx, 0xc0000102\n rdmsr\n mov [0x9020], eax\n mov [0x9024], edx\n"
    "mov ecx, 0x174\n rdmsr\n mov [0x9028], eax\n mov [0x902c], edx\n"
    "mov ecx, 0x175\n rdmsr\n mov [0x9030], eax\n mov [0x9034], edx\n"
    "mov ecx, 0x176\n rdmsr\n mov [0x9038], eax\n mov [0x903c], edx\n"
    "mov ecx, 0x277\n rdmsr\n mov [0x9040], eax\n mov [0x9044], edx\n hlt");
GUEST_CODE(fpu,
    "fnstcw [0x9000]\n fnstsw [0x9008]\n stmxcsr [0x9010]\n fnstenv [0x9100]\n"
    "fxsave [0x9200]\n movups [0x9020], xmm3\n movups [0x9030], xmm15\n hlt");
GUEST_CODE(avx512,
    "vmovups [0x9000], zmm1\n vmovups [0x9040], zmm31\n kmovq [0x9080], k3\n hlt");
GUEST_CODE(avx, "vmovups [0x9000], ymm1\n hlt");
/* A hot loop that calls the hook by a port: RBX counts down. */
GUEST_CODE(loop_port,
    "1: mov eax, ebx\n out dx, eax\n add r8, 1\n add r9, 2\n lea r10, [r10+r9]\n"
    "dec ebx\n jnz 1b\n pushfq\n pop qword ptr [0x9080]\n hlt\n mov r15d, 77\n hlt");
GUEST_CODE(loop_mmio,
    "1: mov [rdi], ebx\n add r8, 1\n add r9, 2\n lea r10, [r10+r9]\n"
    "dec ebx\n jnz 1b\n hlt\n mov r15d, 77\n hlt");
/* Flags across a callback, and a register that an instruction behind it reads at once. */
GUEST_CODE(loop_flags,
    "1: cmp ebx, ebx\n mov [rdi], ebx\n adc r8d, 0\n dec ebx\n jnz 1b\n hlt");
GUEST_CODE(vector,
    "1: vaddps xmm1, xmm1, xmm1\n mov [rdi], ebx\n vmovups [0x9000], xmm1\n"
    "dec ebx\n jnz 1b\n hlt");
GUEST_CODE(nops, "nop\n nop\n nop\n mov eax, 1\n hlt");
GUEST_CODE(handler, "mov r15d, 1\n pop qword ptr [0x9000]\n pop qword ptr [0x9008]\n hlt");
GUEST_CODE(call, "mov eax, 7\n mov ebx, 5\n .byte 0x0f, 0x01, 0xc1\n mov [0x9000], rax\n hlt");
// clang-format on

/* ---- stopped ---- */

static void every_register_can_be_set(void **state)
{
    (void)state;
    weir *vm = vm_new(64, CODE_OF(halt));
    weir_vcpu *cpu = weir_get_vcpu(vm, 0);
    static struct weir_context before, after;
    before.size = after.size = sizeof(before);
    for (int r = 0; r < WEIR_REG_COUNT; r++) {
        union weir_value old, now;
        if (weir_reg_get(cpu, r, &old) < 0)
            continue; /* not of this CPU */
        assert_int_equal(weir_context_get(cpu, WEIR_CONTEXT_ALL, &before), 0);
        assert_int_equal(weir_reg_set(cpu, r, &old), 0);
        assert_true(weir_reg_is_dirty(cpu, r));
        assert_int_equal(weir_reg_get(cpu, r, &now), 0);
        if (r != WEIR_TSC)
            assert_memory_equal(&old, &now, sizeof(old));
        assert_int_equal(weir_context_get(cpu, WEIR_CONTEXT_ALL, &after), 0);
        assert_memory_equal(&before, &after, sizeof(before));
        assert_int_equal(weir_reg_by_name(weir_reg_name(r)), r);
    }
    assert_null(weir_reg_name(WEIR_REG_COUNT));
    assert_int_equal(weir_reg_by_name("nothing"), -WEIR_ENOENT);
    run_to_halt(vm);
    assert_false(weir_reg_is_dirty(cpu, WEIR_RAX));
    weir_destroy(vm);
}

static void general_registers_are_used(void **state)
{
    (void)state;
    weir *vm = vm_new(64, CODE_OF(general));
    for (unsigned r = 0; r < 16; r++)
        if (r != 4)
            assert_int_equal(weir_reg_set_u64(weir_get_vcpu(vm, 0), WEIR_RAX + r,
                                              0x1122334400000000ull + 0x1111u * r),
                             0);
    SET(RSP, 0x7f00);
    SET(RFLAGS, 0x2 | 0x8d5 | 0x400 | 0x200000);
    run_to_halt(vm);
    for (unsigned r = 0; r < 16; r++)
        assert_int_equal(data(vm, r), r == 4 ? 0x7f00 : 0x1122334400000000ull + 0x1111u * r);
    assert_int_equal(data(vm, 16), 0x2 | 0x8d5 | 0x400 | 0x200000);
    weir_destroy(vm);
}

static void system_registers_are_used(void **state)
{
    (void)state;
    weir *vm = vm_new(64, CODE_OF(system));
    weir_vcpu *cpu = weir_get_vcpu(vm, 0);
    uint64_t far[2] = {0x123456789, 0xabcdef};
    weir_mem_write(vm, 0x5000, far, 16);
    SET(CR0, GET(CR0) | 0x2a);
    SET(CR2, 0xffff888000001234);
    SET(CR4, GET(CR4) | 0x80);
    SET(EFER, GET(EFER) | 1);
    SET(DR0, 0x1234);
    SET(DR3, 0x5678);
    SET(DR6, 0xffff4ff1);
    SET(DR7, 0x400);
    union weir_value v = {.segment = {.base = 0xffff800000001000, .limit = 0x7f}};
    assert_int_equal(weir_reg_set(cpu, WEIR_GDTR, &v), 0);
    v.segment.limit = 0xfff;
    assert_int_equal(weir_reg_set(cpu, WEIR_IDTR, &v), 0);
    v.segment = (struct weir_segment){0x48, 0x0082, 0xffff, 0x6000};
    assert_int_equal(weir_reg_set(cpu, WEIR_LDTR, &v), 0);
    v.segment = (struct weir_segment){0x58, 0x008b, 0x67, 0x7000};
    assert_int_equal(weir_reg_set(cpu, WEIR_TR, &v), 0);
    v.segment = (struct weir_segment){0x33, 0xc0f3, 0xffffffff, 0};
    assert_int_equal(weir_reg_set(cpu, WEIR_DS, &v), 0);
    SET(FS_BASE, 0x5000);
    SET(GS_BASE, 0x5000);
    run_to_halt(vm);
    assert_int_equal(data(vm, 0) & 0x8000002a, 0x8000002a);
    assert_int_equal(data(vm, 1), 0xffff888000001234);
    assert_int_equal(data(vm, 2), TABLES);
    assert_int_equal(data(vm, 3) & 0xa0, 0xa0);
    assert_int_equal(data(vm, 4), 0x1234);
    assert_int_equal(data(vm, 5), 0x5678);
    assert_int_equal(data(vm, 6), 0xffff4ff1);
    assert_int_equal(data(vm, 7), 0x400);
    assert_int_equal(data(vm, 8) & 0x501, 0x501);
    assert_int_equal(data(vm, 10) & 0xffff, 0x7f);
    assert_int_equal(data(vm, 12) & 0xffff, 0xfff);
    assert_int_equal(data(vm, 14), 0x48);
    assert_int_equal(data(vm, 15), 0x58);
    assert_int_equal(data(vm, 16), 0x33);
    assert_int_equal(data(vm, 20), far[0]);
    assert_int_equal(data(vm, 21), far[1]);
    weir_destroy(vm);
}

static void msrs_are_used(void **state)
{
    (void)state;
    weir *vm = vm_new(64, CODE_OF(msrs));
    weir_vcpu *cpu = weir_get_vcpu(vm, 0);
    SET(STAR, 0x1b000800000000);
    SET(LSTAR, 0xffffffff81000000);
    SET(CSTAR, 0xffffffff82000000);
    SET(SFMASK, 0x4700);
    SET(KERNEL_GS_BASE, 0xffff888000000000);
    SET(SYSENTER_CS, 0x10);
    assert_int_equal(weir_msr_set(cpu, 0x175, 0xffffc90000000000), 0);
    assert_int_equal(weir_msr_set(cpu, 0x176, 0xffffffff83000000), 0);
    SET(PAT, 0x0007010600070106);
    run_to_halt(vm);
    assert_int_equal(data(vm, 0), 0x1b000800000000);
    assert_int_equal(data(vm, 1), 0xffffffff81000000);
    assert_int_equal(data(vm, 2), 0xffffffff82000000);
    assert_int_equal(data(vm, 3), 0x4700);
    assert_int_equal(data(vm, 4), 0xffff888000000000);
    assert_int_equal(data(vm, 5), 0x10);
    assert_int_equal(data(vm, 6), 0xffffc90000000000);
    assert_int_equal(data(vm, 7), 0xffffffff83000000);
    assert_int_equal(data(vm, 8), 0x0007010600070106);
    uint64_t v = 5;
    assert_int_equal(weir_msr_get(cpu, 0x12345678, &v), -WEIR_ENOENT);
    assert_int_equal(v, 5);
    assert_int_equal(weir_msr_set(cpu, 0x175, 0x1234000000000000), -WEIR_EINVAL);
    uint32_t number;
    unsigned n = 0;
    while (weir_msr_number(cpu, n, &number) == 0) {
        assert_int_equal(weir_msr_get(cpu, number, &v), 0);
        assert_int_equal(weir_msr_set(cpu, number, v), 0);
        n++;
    }
    assert_true(n > 30 && n <= WEIR_CONTEXT_MSR_MAX);
    weir_destroy(vm);
}

static void fpu_registers_are_used(void **state)
{
    (void)state;
    weir *vm = vm_new(64, CODE_OF(fpu));
    weir_vcpu *cpu = weir_get_vcpu(vm, 0);
    union weir_value v = {0};
    SET(CR4, GET(CR4) | 0x600);
    SET(FCW, 0x27f);
    SET(FSW, 0x3800); /* TOP = 7 */
    SET(FTW, 0x3fff); /* physical register 7 */
    SET(MXCSR, 0x1fa0);
    memset(v.bytes, 0x5a, 10);
    assert_int_equal(weir_reg_set(cpu, WEIR_ST0, &v), 0);
    for (unsigned n = 0; n < 16; n++)
        v.bytes[n] = (uint8_t)(n * 3 + 1);
    assert_int_equal(weir_reg_set(cpu, WEIR_ZMM0 + 3, &v), 0);
    assert_int_equal(weir_reg_set(cpu, WEIR_ZMM0 + 15, &v), 0);
    run_to_halt(vm);
    assert_int_equal(data(vm, 0) & 0xffff, 0x27f);
    assert_int_equal(data(vm, 1) & 0xffff, 0x3800);
    assert_int_equal(data(vm, 2) & 0xffffffff, 0x1fa0);
    uint8_t bytes[160];
    weir_mem_read(vm, 0x9200, bytes, 160);
    assert_int_equal(bytes[4], 0x80);
    for (unsigned n = 0; n < 10; n++)
        assert_int_equal(bytes[32 + n], 0x5a);
    weir_mem_read(vm, 0x9020, bytes, 32);
    assert_memory_equal(bytes, v.bytes, 16);
    assert_memory_equal(bytes + 16, v.bytes, 16);
    assert_int_equal(weir_reg_set_u64(cpu, WEIR_MXCSR, 0x10000), -WEIR_EINVAL);
    assert_int_equal(weir_reg_set_u64(cpu, WEIR_ZMM0, 0), -WEIR_EINVAL); /* no number */
    weir_destroy(vm);
}

static void wide_registers_are_used(void **state)
{
    (void)state;
    weir *vm = vm_new(64, CODE_OF(avx512));
    weir_vcpu *cpu = weir_get_vcpu(vm, 0);
    unsigned bytes = weir_reg_bytes(cpu, WEIR_ZMM0 + 1);
    union weir_value v = {0}, w = {0};
    if (bytes < 32) {
        weir_destroy(vm);
        skip();
    }
    for (unsigned n = 0; n < 64; n++)
        v.bytes[n] = (uint8_t)(n * 5 + 1);
    SET(CR4, GET(CR4) | 0x40600);
    if (bytes == 32)
        weir_mem_write(vm, CODE, CODE_OF(avx));
    SET(XCR0, bytes == 64 ? 0xe7 : 7);
    assert_int_equal(weir_reg_set(cpu, WEIR_ZMM0 + 1, &v), 0);
    weir_reg_set(cpu, WEIR_ZMM0 + 31, &v);
    weir_reg_set(cpu, WEIR_K0 + 3, &v);
    run_to_halt(vm);
    weir_mem_read(vm, DATA, w.bytes, 64);
    assert_memory_equal(v.bytes, w.bytes, bytes);
    if (bytes == 64) {
        weir_mem_read(vm, DATA + 64, w.bytes, 64);
        assert_memory_equal(v.bytes, w.bytes, 64);
        assert_int_equal(data(vm, 16), v.u64);
    }
    weir_destroy(vm);
}

/* ---- events ---- */

/* Gate of vector n to 0x2000, in long mode: code at 0x2000 with selector 8 of a GDT at 0x3000. */
static void handlers(weir *vm)
{
    uint64_t gdt[3] = {0, 0x00af9b000000ffff, 0x00cf93000000ffff};
    union weir_value v = {.segment = {.base = 0x3000, .limit = 23}};
    weir_mem_write(vm, 0x3000, gdt, sizeof(gdt));
    weir_reg_set(weir_get_vcpu(vm, 0), WEIR_GDTR, &v);
    for (unsigned n = 0; n < 256; n++) {
        uint64_t gate[2] = {0x2000 | 8ull << 16 | 0x8e00ull << 32, 0};
        weir_mem_write(vm, 0x4000 + 16 * n, gate, 16);
    }
    v.segment = (struct weir_segment){.base = 0x4000, .limit = 0xfff};
    weir_reg_set(weir_get_vcpu(vm, 0), WEIR_IDTR, &v);
    weir_mem_write(vm, 0x2000, CODE_OF(handler));
}

static void injections_are_delivered(void **state)
{
    (void)state;
    static const struct {
        struct weir_injection i;
        uint64_t first; /* on the handler's stack */
    } cases[] = {
        {{true, WEIR_INJECT_EXTERNAL, 0x40, false, 0, 0}, CODE},
        {{true, WEIR_INJECT_EXTERNAL, 3, false, 0, 0}, CODE},
        {{true, WEIR_INJECT_NMI, 2, false, 0, 0}, CODE},
        {{true, WEIR_INJECT_EXCEPTION, 13, true, 0, 0x1234}, 0x1234},
        {{true, WEIR_INJECT_EXCEPTION, 6, false, 0, 0}, CODE},
        {{true, WEIR_INJECT_SOFTWARE, 0x80, false, 2, 0}, CODE + 2},
        {{true, WEIR_INJECT_INT3_OR_INTO, 3, false, 1, 0}, CODE + 1},
        {{true, WEIR_INJECT_ICEBP, 1, false, 1, 0}, CODE + 1},
    };
    for (unsigned n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
        weir *vm = vm_new(64, CODE_OF(nops));
        union weir_value v = {.injection = cases[n].i};
        handlers(vm);
        SET(ACTIVITY, WEIR_HALTED); /* an injected event ends that */
        assert_int_equal(weir_reg_set(weir_get_vcpu(vm, 0), WEIR_INJECTION, &v), 0);
        run_to_halt(vm);
        assert_int_equal(GET(R15), 1);
        assert_int_equal(data(vm, 0), cases[n].first);
        assert_int_equal(GET(RAX), 0);
        assert_int_equal(weir_reg_get(weir_get_vcpu(vm, 0), WEIR_INJECTION, &v), 0);
        assert_false(v.injection.pending);
        weir_destroy(vm);
    }
}

static void other_events_are_used(void **state)
{
    (void)state;
    weir *vm = vm_new(64, CODE_OF(nops));
    weir_vcpu *cpu = weir_get_vcpu(vm, 0);
    SET(ACTIVITY, WEIR_HALTED);
    run_to_halt(vm);
    assert_int_equal(GET(RIP), CODE);
    SET(ACTIVITY, WEIR_ACTIVE);
    handlers(vm);
    SET(PENDING_DEBUG, 1 << 14 | 2);
    run_to_halt(vm);
    assert_int_equal(data(vm, 0), CODE);
    assert_int_equal(GET(DR6) & 0x400f, 0x4002);
    /* Behind MOV SS it waits for one instruction. */
    SET(RIP, CODE);
    SET(RSP, STACK);
    SET(ACTIVITY, WEIR_ACTIVE);
    SET(INTERRUPTIBILITY, WEIR_BLOCKED_BY_MOV_SS);
    SET(PENDING_DEBUG, 1);
    run_to_halt(vm);
    assert_int_equal(data(vm, 0), CODE + 1);
    /* NMIs that are blocked stay pending. */
    SET(RIP, CODE);
    SET(ACTIVITY, WEIR_ACTIVE);
    SET(R15, 0);
    SET(INTERRUPTIBILITY, WEIR_BLOCKED_BY_NMI);
    weir_nmi(vm);
    run_to_halt(vm);
    assert_int_equal(GET(R15), 0);
    assert_int_equal(GET(RAX), 1);
    static struct weir_context x = {.size = sizeof(x)};
    weir_context_get(cpu, WEIR_CONTEXT_EVENTS, &x);
    assert_true(x.nmi_pending);
    assert_int_equal(x.activity, WEIR_HALTED);
    assert_int_equal(x.interruptibility, WEIR_BLOCKED_BY_NMI);
    SET(INTERRUPTIBILITY, 0);
    run_to_halt(vm);
    assert_int_equal(GET(R15), 1);
    weir_destroy(vm);
}

/* ---- as one struct ---- */

static void contexts_move_a_guest(void **state)
{
    (void)state;
    static struct weir_context x, y;
    struct weir_exit exit;
    x.size = y.size = sizeof(x);
    weir *vm = vm_new(64, CODE_OF(loop_port));
    SET(RBX, 1000);
    SET(RDX, PORT);
    assert_int_equal(weir_run(weir_get_vcpu(vm, 0), 3500, &exit), 0);
    assert_int_equal(exit.reason, WEIR_EXIT_BUDGET);
    assert_int_equal(weir_context_get(weir_get_vcpu(vm, 0), WEIR_CONTEXT_ALL, &x), 0);
    run_to_halt(vm);
    uint64_t r10 = GET(R10), r8 = GET(R8);
    weir_destroy(vm);
    vm = vm_new(32, CODE_OF(loop_port)); /* another mode until its context is set */
    weir *pages = vm_new(64, CODE_OF(loop_port));
    uint8_t tables[6 * 4096];
    weir_mem_read(pages, TABLES, tables, sizeof(tables));
    weir_destroy(pages);
    weir_mem_write(vm, TABLES, tables, sizeof(tables));
    assert_int_equal(weir_context_set(weir_get_vcpu(vm, 0), WEIR_CONTEXT_ALL, &x), 0);
    assert_int_equal(weir_context_get(weir_get_vcpu(vm, 0), WEIR_CONTEXT_ALL, &y), 0);
    assert_memory_equal(&x, &y, sizeof(x));
    run_to_halt(vm);
    assert_int_equal(GET(R10), r10);
    assert_int_equal(GET(R8), r8);
    weir_destroy(vm);
}

static void impossible_states_are_refused(void **state)
{
    (void)state;
    weir *vm = vm_new(64, CODE_OF(halt));
    weir_vcpu *cpu = weir_get_vcpu(vm, 0);
    static struct weir_context good, bad, now;
    good.size = now.size = sizeof(good);
    assert_int_equal(weir_context_get(cpu, WEIR_CONTEXT_ALL, &good), 0);
#define REFUSED(change)                                                                        \
    do {                                                                                       \
        bad = good;                                                                            \
        bad.gpr[3] = 99;                                                                       \
        change;                                                                                \
        assert_int_equal(weir_context_set(cpu, WEIR_CONTEXT_ALL, &bad), -WEIR_EINVAL);         \
        assert_int_equal(weir_context_get(cpu, WEIR_CONTEXT_ALL, &now), 0);                    \
        assert_memory_equal(&good, &now, sizeof(good));                                        \
    } while (0)
    REFUSED(bad.cr0 &= ~1ull);
    REFUSED(bad.cr0 |= 1ull << 32);
    REFUSED(bad.cr0 = (bad.cr0 | 1u << 29) & ~(1ull << 30));
    REFUSED(bad.cr4 &= ~0x20ull);
    REFUSED(bad.cr4 |= 1ull << 40);
    REFUSED(bad.cr3 |= 1ull << 60);
    REFUSED(bad.efer |= 1ull << 5);
    REFUSED(bad.cr8 = 16);
    REFUSED(bad.xcr0 = 2);
    REFUSED(bad.rflags |= 1u << 17);
    REFUSED(bad.cpl = 4);
    REFUSED(bad.segment[1].base = 1ull << 32);
    REFUSED(bad.segment[5].base = 1ull << 60);
    REFUSED(bad.gdtr.limit = 0x10000);
    REFUSED(bad.dr[7] = 1ull << 32);
    REFUSED(bad.mxcsr = 0x10000);
    REFUSED(bad.interruptibility = 3);
    REFUSED(bad.interruptibility = 4);
    REFUSED(bad.activity = WEIR_WAIT_FOR_SIPI);
    REFUSED(bad.pending_debug = 0x10);
    REFUSED((bad.injection = (struct weir_injection){true, 1, 5, false, 0, 0}));
    REFUSED((bad.injection = (struct weir_injection){true, 3, 32, false, 0, 0}));
    REFUSED((bad.injection = (struct weir_injection){true, 3, 6, true, 0, 0}));
    REFUSED((bad.injection = (struct weir_injection){true, 4, 6, false, 16, 0}));
    REFUSED(bad.msr[bad.msr_count - 1].number = 0x99999999);
    REFUSED(bad.msr_count = WEIR_CONTEXT_MSR_MAX + 1);
    REFUSED(bad.size--);
#undef REFUSED
    /* The same one by one; out-parameters stay as they were. */
    union weir_value v = {.u64 = 77};
    assert_int_equal(weir_reg_set_u64(cpu, WEIR_CR0, 0x80000000), -WEIR_EINVAL);
    assert_int_equal(weir_reg_set_u64(cpu, WEIR_CR4, 0), -WEIR_EINVAL);
    assert_int_equal(weir_reg_set_u64(cpu, WEIR_EFER, 0), -WEIR_EINVAL);
    assert_int_equal(weir_reg_set_u64(cpu, WEIR_CPL, 4), -WEIR_EINVAL);
    assert_int_equal(weir_reg_get(cpu, WEIR_REG_COUNT, &v), -WEIR_EINVAL);
    assert_int_equal(weir_reg_get(cpu, (enum weir_reg) - 1, &v), -WEIR_EINVAL);
    assert_int_equal(weir_reg_set(cpu, WEIR_REG_COUNT, &v), -WEIR_EINVAL);
    assert_int_equal(v.u64, 77);
    assert_int_equal(weir_context_get(cpu, 0x80, &now), -WEIR_EINVAL);
    run_to_halt(vm);
    weir_destroy(vm);
}

/* ---- a VM that runs ---- */

static void *run_thread(void *vm)
{
    struct weir_exit exit;
    assert_int_equal(weir_run(weir_get_vcpu(vm, 0), 0, &exit), 0);
    assert_int_equal(exit.reason, WEIR_EXIT_PAUSED);
    return NULL;
}

static void running_vcpus_are_refused(void **state)
{
    (void)state;
    static struct weir_context x = {.size = sizeof(x)};
    static const uint8_t forever[] = {0xeb, 0xfe};
    weir *vm = vm_new(64, forever, sizeof(forever));
    weir_vcpu *cpu = weir_get_vcpu(vm, 0);
    union weir_value v = {.u64 = 77};
    uint64_t msr = 78;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run_thread, vm), 0);
    while (weir_reg_get(cpu, WEIR_RAX, &v) == 0) /* until it has begun */
        v.u64 = 77;
    assert_int_equal(weir_reg_get(cpu, WEIR_RAX, &v), -WEIR_ESTATE);
    assert_int_equal(v.u64, 77);
    assert_int_equal(weir_reg_set(cpu, WEIR_RAX, &v), -WEIR_ESTATE);
    assert_int_equal(weir_msr_get(cpu, 0x174, &msr), -WEIR_ESTATE);
    assert_int_equal(weir_msr_set(cpu, 0x174, msr), -WEIR_ESTATE);
    assert_int_equal(weir_context_get(cpu, WEIR_CONTEXT_ALL, &x), -WEIR_ESTATE);
    assert_int_equal(weir_context_set(cpu, WEIR_CONTEXT_ALL, &x), -WEIR_ESTATE);
    assert_int_equal(weir_set_insn_exits(vm, 0), -WEIR_ESTATE);
    weir_pause(vm);
    assert_int_equal(weir_reg_get(cpu, WEIR_RAX, &v), 0);
    assert_int_equal(weir_reg_set_u64(cpu, WEIR_RAX, 5), 0);
    pthread_join(thread, NULL);
    weir_destroy(vm);
}

/* ---- inside a callback of a hot loop ---- */

#define COUNT  2000u
#define STRIKE 700u
#define LOOP(name)                                                                             \
    weir *vm = vm_new(64, CODE_OF(name));                                                      \
    SET(RBX, COUNT);                                                                           \
    SET(RDX, PORT);                                                                            \
    SET(RDI, MMIO)

static void set_general(weir_vcpu *cpu, uint64_t value)
{
    if (value != STRIKE)
        return;
    assert_int_equal(weir_reg_get_u64(cpu, WEIR_RBX), STRIKE);
    assert_int_equal(weir_reg_get_u64(cpu, WEIR_R8), COUNT - STRIKE);
    assert_int_equal(weir_reg_set_u64(cpu, WEIR_R8, 1000000), 0);
    assert_int_equal(weir_reg_set_u64(cpu, WEIR_R9, 0), 0);
    assert_int_equal(weir_reg_set_u64(cpu, WEIR_R10, 0), 0);
    assert_int_equal(weir_reg_set_u64(cpu, WEIR_RBX, 10), 0);
}

static void set_rip(weir_vcpu *cpu, uint64_t value)
{
    if (value == STRIKE)
        weir_reg_set_u64(cpu, WEIR_RIP, weir_reg_get_u64(cpu, WEIR_R14));
}

static void set_flags(weir_vcpu *cpu, uint64_t value)
{
    if (value % 2)
        weir_reg_set_u64(cpu, WEIR_RFLAGS, weir_reg_get_u64(cpu, WEIR_RFLAGS) | 1);
}

static void set_vector(weir_vcpu *cpu, uint64_t value)
{
    union weir_value v;
    if (value != 1)
        return;
    memset(v.bytes, 0x3c, 64);
    assert_int_equal(weir_reg_set(cpu, WEIR_ZMM0 + 1, &v), 0);
}

static void callbacks_change_registers(void **state)
{
    (void)state;
    for (unsigned which = 0; which < 2; which++) {
        weir *vm = which ? vm_new(64, CODE_OF(loop_mmio)) : vm_new(64, CODE_OF(loop_port));
        SET(RBX, COUNT);
        SET(RDX, PORT);
        SET(RDI, MMIO);
        hook.fn = set_general;
        run_to_halt(vm);
        assert_int_equal(GET(R8), 1000010);
        assert_int_equal(GET(R9), 20);
        assert_int_equal(GET(R10), 110);
        weir_destroy(vm);
    }
}

static void callbacks_change_rip(void **state)
{
    (void)state;
    for (unsigned which = 0; which < 2; which++) {
        const uint8_t *code = which ? code_loop_mmio : code_loop_port;
        size_t bytes = (size_t)((which ? code_loop_mmio_end : code_loop_port_end) - code);
        weir *vm = vm_new(64, code, bytes);
        SET(RBX, COUNT);
        SET(RDX, PORT);
        SET(RDI, MMIO);
        SET(R14, CODE + bytes - 7); /* mov r15d, 77 */
        hook.fn = set_rip;
        run_to_halt(vm);
        assert_int_equal(GET(R15), 77);
        assert_int_equal(GET(RBX), STRIKE);
        assert_int_equal(GET(R8), COUNT - STRIKE);
        assert_int_equal(GET(RIP), CODE + bytes);
        weir_destroy(vm);
    }
}

static void callbacks_change_flags(void **state)
{
    (void)state;
    LOOP(loop_flags);
    hook.fn = set_flags;
    run_to_halt(vm);
    assert_int_equal(GET(R8), COUNT / 2);
    weir_destroy(vm);
}

static void callbacks_change_vectors(void **state)
{
    (void)state;
    LOOP(vector);
    if (weir_reg_bytes(weir_get_vcpu(vm, 0), WEIR_ZMM0) < 32) {
        weir_destroy(vm);
        skip();
    }
    SET(CR4, GET(CR4) | 0x40600);
    SET(XCR0, 7);
    hook.fn = set_vector;
    run_to_halt(vm);
    assert_int_equal(data(vm, 0), 0x3c3c3c3c3c3c3c3c);
    assert_int_equal(data(vm, 1), 0x3c3c3c3c3c3c3c3c);
    weir_destroy(vm);
}

/* Everything is changed to 16-bit real mode in the middle of a 64-bit loop. */
static void change_mode(weir_vcpu *cpu, uint64_t value)
{
    static struct weir_context x;
    if (value != STRIKE)
        return;
    x.size = sizeof(x);
    assert_int_equal(weir_context_get(cpu, WEIR_CONTEXT_ALL, &x), 0);
    x.cr0 &= ~0x80000001ull;
    x.efer = 0;
    for (unsigned n = 0; n < 6; n++)
        x.segment[n] = (struct weir_segment){0, n == 1 ? 0x9b : 0x93, 0xffff, 0};
    x.cpl = 0;
    x.rip = 0x2000;
    assert_int_equal(weir_context_set(cpu, WEIR_CONTEXT_ALL, &x), 0);
}

static void callbacks_change_the_mode(void **state)
{
    (void)state;
    LOOP(loop_mmio);
    static const uint8_t real[] = {0xb8, 0x34, 0x12, 0xf4}; /* mov ax, 1234h; hlt */
    weir_mem_write(vm, 0x2000, real, sizeof(real));
    hook.fn = change_mode;
    run_to_halt(vm);
    assert_int_equal(GET(RAX) & 0xffff, 0x1234);
    assert_int_equal(GET(RIP), 0x2004);
    assert_int_equal(weir_code_bits(weir_get_vcpu(vm, 0)), 16);
    weir_destroy(vm);
}

static void inject_here(weir_vcpu *cpu, uint64_t value)
{
    union weir_value v = {.injection = {true, WEIR_INJECT_EXTERNAL, 0x55, false, 0, 0}};
    if (value == STRIKE)
        assert_int_equal(weir_reg_set(cpu, WEIR_INJECTION, &v), 0);
}

static void callbacks_inject(void **state)
{
    (void)state;
    LOOP(loop_mmio);
    handlers(vm);
    hook.fn = inject_here;
    run_to_halt(vm);
    assert_int_equal(GET(R15), 1);
    assert_int_equal(GET(RBX), STRIKE);
    assert_int_equal(GET(R8), COUNT - STRIKE); /* behind the access, before the next one */
    weir_destroy(vm);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        engine = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_register_can_be_set),
        cmocka_unit_test(general_registers_are_used),
        cmocka_unit_test(system_registers_are_used),
        cmocka_unit_test(msrs_are_used),
        cmocka_unit_test(fpu_registers_are_used),
        cmocka_unit_test(wide_registers_are_used),
        cmocka_unit_test(injections_are_delivered),
        cmocka_unit_test(other_events_are_used),
        cmocka_unit_test(contexts_move_a_guest),
        cmocka_unit_test(impossible_states_are_refused),
        cmocka_unit_test(running_vcpus_are_refused),
        cmocka_unit_test(callbacks_change_registers),
        cmocka_unit_test(callbacks_change_rip),
        cmocka_unit_test(callbacks_change_flags),
        cmocka_unit_test(callbacks_change_vectors),
        cmocka_unit_test(callbacks_change_the_mode),
        cmocka_unit_test(callbacks_inject),
    };
    return cmocka_run_group_tests_name(engine, tests, NULL, NULL);
}
