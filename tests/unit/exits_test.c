/* SPDX-License-Identifier: MIT */
/*
 * exits_test.c - runs that end before an instruction or an exception, bits of control registers
 * that belong to the embedder, holes in RAM; and random states that must not harm the host.
 * Arguments: the engine; then the number of random rounds and a seed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pthread.h>
#include <time.h>

#include "flat_vm.h"
#include <weir/context.h>

static const char *engine = "interp";
static unsigned rounds = 1500;

static weir *vm_new(unsigned bits, const void *code, size_t bytes)
{
    return flat_vm(engine, bits, code, bytes);
}

static struct weir_exit last;
static enum weir_exit_reason run(weir *vm)
{
    assert_int_equal(weir_run(weir_get_vcpu(vm, 0), 0, &last), 0);
    return last.reason;
}
static uint64_t get(weir *vm, enum weir_reg reg)
{
    return weir_reg_get_u64(weir_get_vcpu(vm, 0), reg);
}
static void set(weir *vm, enum weir_reg reg, uint64_t value)
{
    assert_int_equal(weir_reg_set_u64(weir_get_vcpu(vm, 0), reg, value), 0);
}
static void skip_it(weir *vm)
{
    set(vm, WEIR_RIP, get(vm, WEIR_RIP) + last.insn.instruction_bytes);
}

/* ---- instructions ---- */

static const uint8_t insns[] = {
    0x0f, 0x01, 0xc1,       /* vmcall */
    0x0f, 0xa2,             /* cpuid */
    0x0f, 0x31,             /* rdtsc */
    0xb9, 0x74, 0x01, 0, 0, /* mov ecx, 174h */
    0x0f, 0x32,             /* rdmsr */
    0x0f, 0x30,             /* wrmsr */
    0x0f, 0x01, 0x3b,       /* invlpg [ebx] */
    0x0f, 0x20, 0xd8,       /* mov eax, cr3 */
    0x0f, 0x22, 0xda,       /* mov cr3, edx */
    0x0f, 0x21, 0xf7,       /* mov edi, dr6 */
    0x0f, 0x23, 0xc6,       /* mov dr0, esi */
    0x0f, 0x09,             /* wbinvd */
    0x0f, 0x08,             /* invd */
    0x66, 0xe5, 0x60,       /* in ax, 60h */
    0xee,                   /* out dx, al */
    0xf3, 0x6c,             /* rep insb */
    0x6f,                   /* outsd */
    0xf4,                   /* hlt */
};
static const struct {
    uint8_t kind, offset, bytes;
    uint32_t number;
    uint8_t reg;
} expected[] = {
    {WEIR_INSN_VMCALL, 0, 3, 0, 0},     {WEIR_INSN_CPUID, 3, 2, 0, 0},
    {WEIR_INSN_RDTSC, 5, 2, 0, 0},      {WEIR_INSN_RDMSR, 12, 2, 0x174, 0},
    {WEIR_INSN_WRMSR, 14, 2, 0x174, 0}, {WEIR_INSN_INVLPG, 16, 3, 0, 0},
    {WEIR_INSN_READ_CR3, 19, 3, 3, 0},  {WEIR_INSN_WRITE_CR3, 22, 3, 3, 2},
    {WEIR_INSN_READ_DR, 25, 3, 6, 7},   {WEIR_INSN_WRITE_DR, 28, 3, 0, 6},
    {WEIR_INSN_WBINVD, 31, 2, 0, 0},    {WEIR_INSN_INVD, 33, 2, 0, 0},
    {WEIR_INSN_IN, 35, 3, 0x60, 0},     {WEIR_INSN_OUT, 38, 1, 0x1234, 0},
    {WEIR_INSN_IN, 39, 2, 0x1234, 0},   {WEIR_INSN_OUT, 41, 1, 0x1234, 0},
    {WEIR_INSN_HLT, 42, 1, 0, 0},
};
#define EXPECTED (sizeof(expected) / sizeof(expected[0]))

static void instructions_are_exits(void **state)
{
    (void)state;
    weir *vm = vm_new(32, insns, sizeof(insns));
    set(vm, WEIR_RBX, 0x7777);
    set(vm, WEIR_RDX, 0x1234);
    assert_int_equal(weir_set_insn_exits(vm, 1u << WEIR_INSN_WRITE_CR), -WEIR_EINVAL);
    assert_int_equal(weir_set_insn_exits(vm, (1u << WEIR_INSN_WRITE_CR) - 1), 0);
    for (unsigned n = 0; n < EXPECTED; n++) {
        assert_int_equal(run(vm), WEIR_EXIT_INSN);
        assert_int_equal(last.insn.kind, expected[n].kind);
        assert_int_equal(get(vm, WEIR_RIP), CODE + expected[n].offset);
        assert_int_equal(last.insn.instruction_bytes, expected[n].bytes);
        assert_int_equal(last.insn.number, expected[n].number);
        assert_int_equal(last.insn.reg, expected[n].reg);
        if (last.insn.kind == WEIR_INSN_INVLPG)
            assert_int_equal(last.insn.value, 0x7777);
        if (expected[n].offset == 39)
            assert_true(last.insn.is_string && last.insn.is_rep && last.insn.size_bytes == 1);
        if (expected[n].offset == 35)
            assert_true(last.insn.is_immediate && last.insn.size_bytes == 2);
        assert_int_equal(run(vm), WEIR_EXIT_INSN); /* again, until something is done about it */
        skip_it(vm);
    }
    weir_destroy(vm);
}

static void instructions_can_be_passed(void **state)
{
    (void)state;
    static const uint8_t code[] = {0x0f, 0xa2, 0x0f, 0xa2, 0xf4};
    weir *vm = vm_new(32, code, sizeof(code));
    assert_int_equal(weir_set_insn_exits(vm, 1u << WEIR_INSN_CPUID), 0);
    assert_int_equal(run(vm), WEIR_EXIT_INSN);
    assert_int_equal(weir_pass_insn(weir_get_vcpu(vm, 0)), 0);
    assert_int_equal(run(vm), WEIR_EXIT_INSN);
    assert_int_equal(get(vm, WEIR_RIP), CODE + 2);
    assert_int_not_equal(get(vm, WEIR_RBX), 0);
    assert_int_equal(weir_set_insn_exits(vm, 0), 0);
    assert_int_equal(run(vm), WEIR_EXIT_HALT);
    weir_destroy(vm);
}

/* A hot loop: exits from translated code, VMCALL is #UD without them. */
static void hot_loops_exit(void **state)
{
    (void)state;
    static const uint8_t code[] = {0xb9, 0xb8, 0x0b, 0,    0,    0x83,
                                   0xc3, 0x02, 0x0f, 0x01, 0xc1, /* ecx = 3000; ebx += 2 */
                                   0x49, 0x75, 0xf7, 0xf4};
    weir *vm = vm_new(32, code, sizeof(code));
    assert_int_equal(weir_set_insn_exits(vm, 1u << WEIR_INSN_VMCALL), 0);
    for (unsigned n = 0; n < 3000; n++) {
        assert_int_equal(run(vm), WEIR_EXIT_INSN);
        assert_int_equal(get(vm, WEIR_RBX), 2 * n + 2);
        skip_it(vm);
    }
    assert_int_equal(run(vm), WEIR_EXIT_HALT);
    set(vm, WEIR_RIP, CODE + 8);
    set(vm, WEIR_ACTIVITY, WEIR_ACTIVE);
    weir_set_insn_exits(vm, 0);
    weir_set_exception_exits(vm, 1 << 6);
    assert_int_equal(run(vm), WEIR_EXIT_EXCEPTION);
    assert_int_equal(last.exception.vector, 6);
    assert_int_equal(get(vm, WEIR_RIP), CODE + 8);
    weir_destroy(vm);
}

static void privilege_comes_first(void **state)
{
    (void)state;
    static const uint8_t code[] = {0x0f, 0xa2, 0xf4}; /* cpuid; hlt */
    weir *vm = vm_new(32, code, sizeof(code));
    union weir_value ss;
    weir_reg_get(weir_get_vcpu(vm, 0), WEIR_SS, &ss);
    ss.segment.attributes |= 0x60;
    weir_reg_set(weir_get_vcpu(vm, 0), WEIR_SS, &ss);
    assert_int_equal(get(vm, WEIR_CPL), 3);
    weir_set_insn_exits(vm, 1u << WEIR_INSN_CPUID | 1u << WEIR_INSN_HLT);
    weir_set_exception_exits(vm, 1u << 13);
    assert_int_equal(run(vm), WEIR_EXIT_INSN);
    assert_int_equal(last.insn.kind, WEIR_INSN_CPUID);
    skip_it(vm);
    assert_int_equal(run(vm), WEIR_EXIT_EXCEPTION);
    assert_int_equal(last.exception.vector, 13);
    weir_destroy(vm);
}

/* ---- exceptions ---- */

static void exceptions_are_exits(void **state)
{
    (void)state;
    /* mov eax, [0xc0000000] with paging off in 64-bit tables: use 64-bit mode, 4 GiB is mapped */
    static const uint8_t code[] = {0x48, 0xb8, 0,    0, 0,
                                   0,    1,    0,    0, 0, /* mov rax, 100000000h */
                                   0x48, 0x8b, 0x18,       /* mov rbx, [rax]: #PF */
                                   0xcc,                   /* int3 */
                                   0xcd, 0x03,             /* int 3: not an exit */
                                   0xf4};
    weir *vm = vm_new(64, code, sizeof(code));
    weir_set_exception_exits(vm, 1u << 14 | 1u << 3 | 1u << 13 | 1u << 8);
    assert_int_equal(run(vm), WEIR_EXIT_EXCEPTION);
    assert_int_equal(last.exception.vector, 14);
    assert_true(last.exception.has_error && last.exception.error == 0);
    assert_int_equal(last.exception.address, 0x100000000);
    assert_int_equal(get(vm, WEIR_CR2), 0);
    assert_int_equal(get(vm, WEIR_RIP), CODE + 10);
    set(vm, WEIR_RIP, CODE + 13);
    assert_int_equal(run(vm), WEIR_EXIT_EXCEPTION);
    assert_int_equal(last.exception.vector, 3);
    assert_true(last.exception.is_software && last.exception.instruction_bytes == 1);
    assert_int_equal(get(vm, WEIR_RIP), CODE + 13);
    set(vm, WEIR_RIP, CODE + 14);
    assert_int_equal(run(vm), WEIR_EXIT_EXCEPTION); /* #GP or #DF: there is no IDT */
    assert_int_not_equal(last.exception.vector, 3);
    weir_destroy(vm);
}

/* ---- control registers ---- */

static void masks_divide_control_registers(void **state)
{
    (void)state;
    static const uint8_t code[] = {
        0x0f, 0x20, 0xc3,       /* mov ebx, cr0 */
        0x89, 0xd8,             /* mov eax, ebx */
        0x0f, 0x22, 0xc0,       /* mov cr0, eax: no change of what is masked */
        0x0d, 0,    0,    1, 0, /* or eax, 10000h: WP is the guest's */
        0x0f, 0x22, 0xc0,       /* mov cr0, eax */
        0x0f, 0x06,             /* clts */
        0x0f, 0x01, 0xf1,       /* lmsw cx */
        0xf4};
    weir *vm = vm_new(32, code, sizeof(code));
    weir_vcpu *cpu = weir_get_vcpu(vm, 0);
    assert_int_equal(weir_set_cr_mask(cpu, 3, 1, 1), -WEIR_EINVAL);
    assert_int_equal(weir_set_cr_mask(cpu, 0, 0xa, 0x8), 0); /* TS reads 1, MP 0 */
    set(vm, WEIR_CR0, get(vm, WEIR_CR0) | 2);
    set(vm, WEIR_RCX, 9);
    assert_int_equal(run(vm), WEIR_EXIT_INSN);
    assert_int_equal(last.insn.kind, WEIR_INSN_CLTS);
    assert_int_equal(get(vm, WEIR_RBX) & 0xb, 9);
    assert_int_equal(get(vm, WEIR_CR0) & 0x1000b, 0x10003);
    skip_it(vm);
    assert_int_equal(run(vm), WEIR_EXIT_HALT); /* LMSW 9 is what it reads already */
    set(vm, WEIR_RIP, CODE + 18);
    set(vm, WEIR_RCX, 3);
    set(vm, WEIR_ACTIVITY, WEIR_ACTIVE);
    assert_int_equal(run(vm), WEIR_EXIT_INSN);
    assert_int_equal(last.insn.kind, WEIR_INSN_LMSW);
    assert_int_equal(last.insn.value, 3);
    weir_destroy(vm);
}

/* ---- interrupt window ---- */

static void windows_open(void **state)
{
    (void)state;
    static const uint8_t code[] = {0xb9, 0, 1, 0, 0, 0x49, 0x75, 0xfd, 0xfb, 0x90, 0x90, 0xf4};
    weir *vm = vm_new(32, code, sizeof(code));
    assert_int_equal(weir_set_window_exit(vm, true), 0);
    assert_int_equal(run(vm), WEIR_EXIT_WINDOW);
    assert_int_equal(get(vm, WEIR_RIP), CODE + 10); /* behind the instruction behind STI */
    assert_int_equal(run(vm), WEIR_EXIT_HALT);
    weir_destroy(vm);
}

/* ---- NMIs, time ---- */

static void nmis_end_the_run(void **state)
{
    (void)state;
    /* MOV SS, NOP, NOP, HLT; NMIs are blocked until an IRET to another HLT. */
    static const uint8_t code[] = {0x8c, 0xd0, 0x8e, 0xd0, 0x90, 0x90, 0xf4};
    static const uint8_t iret[] = {0x9c, 0x0e, 0x68, 0, 0x11, 0x90, 0xcf};
    static const uint8_t hlt[] = {0x90, 0xf4};
    weir *vm = vm_new(32, code, sizeof(code));
    assert_int_equal(weir_set_nmi_exits(vm, true), 0);
    weir_nmi(vm);
    assert_int_equal(run(vm), WEIR_EXIT_NMI);
    assert_int_equal(get(vm, WEIR_RIP), CODE);
    assert_int_equal(run(vm), WEIR_EXIT_HALT);
    weir_destroy(vm);

    vm = vm_new(16, code, sizeof(code));
    weir_mem_write(vm, 0x1200, iret, sizeof(iret));
    weir_mem_write(vm, 0x1100, hlt, sizeof(hlt));
    set(vm, WEIR_RIP, 0x1200);
    set(vm, WEIR_INTERRUPTIBILITY, WEIR_BLOCKED_BY_NMI);
    assert_int_equal(weir_set_nmi_window_exit(vm, true), 0);
    assert_int_equal(run(vm), WEIR_EXIT_NMI_WINDOW);
    assert_int_equal(get(vm, WEIR_RIP), 0x1100);
    assert_int_equal(run(vm), WEIR_EXIT_HALT); /* it was one */
    set(vm, WEIR_RIP, CODE + 2);
    set(vm, WEIR_ACTIVITY, WEIR_ACTIVE);
    set(vm, WEIR_INTERRUPTIBILITY, WEIR_BLOCKED_BY_MOV_SS);
    assert_int_equal(weir_set_nmi_window_exit(vm, true), 0);
    assert_int_equal(weir_set_nmi_window_exit(vm, false), 0);
    assert_int_equal(run(vm), WEIR_EXIT_HALT);
    weir_destroy(vm);
}

static void time_ends_the_run(void **state)
{
    (void)state;
    static const uint8_t loop[] = {0x40, 0xeb, 0xfd}, halt[] = {0xf4, 0x90, 0xf4};
    weir *vm = vm_new(32, loop, sizeof(loop));
    assert_int_equal(weir_time_left(vm), 0);
    assert_int_equal(weir_set_time_exit(vm, 3000000), 0);
    assert_in_range(weir_time_left(vm), 1, 3000000);
    uint64_t before = get(vm, WEIR_TSC);
    assert_int_equal(run(vm), WEIR_EXIT_TIME);
    assert_in_range(get(vm, WEIR_TSC) - before, 3000000, 3000000000);
    assert_int_equal(weir_time_left(vm), 0);
    assert_true(get(vm, WEIR_RAX) > 100);
    /* Not any more; and a halted vCPU waits for it. */
    assert_int_equal(weir_set_time_exit(vm, 1), 0);
    assert_int_equal(weir_set_time_exit(vm, 0), 0);
    assert_int_equal(weir_run(weir_get_vcpu(vm, 0), 100000, &last), 0);
    assert_int_equal(last.reason, WEIR_EXIT_BUDGET);
    weir_mem_write(vm, CODE, halt, sizeof(halt));
    set(vm, WEIR_RIP, CODE);
    assert_int_equal(weir_set_time_exit(vm, 2000000), 0);
    assert_int_equal(run(vm), WEIR_EXIT_TIME);
    assert_int_equal(get(vm, WEIR_ACTIVITY), WEIR_HALTED);
    weir_destroy(vm);
}

/* ---- holes ---- */

static void parts_of_ram_are_holes(void **state)
{
    (void)state;
    /* Two writes and a read in one block; the second write must not be lost. */
    static const uint8_t code[] = {
        0xc7, 0x05, 0,    0,    0x40, 0, 1, 0, 0, 0, /* mov [400000h], 1 */
        0xc6, 0x05, 0x08, 0,    0x40, 0, 2,          /* mov byte [400008h], 2 */
        0xa1, 0x10, 0,    0x40, 0,                   /* mov eax, [400010h] */
        0x89, 0xc3, 0xf4};
    weir *vm = vm_new(32, code, sizeof(code));
    const struct weir_ram_range parts[] = {{0, 0x200000}, {0x800000, 0x1000}};
    const struct weir_ram_range bad[] = {{0x100, 0x1000}};
    assert_int_equal(weir_ram_layout(vm, bad, 1), -WEIR_ERANGE);
    assert_int_equal(weir_ram_layout(vm, &(struct weir_ram_range){0, 32 << 20}, 1),
                     -WEIR_ERANGE);
    assert_int_equal(weir_ram_layout(vm, parts, 2), 0);
    weir_set_unclaimed_exits(vm, true);
    assert_int_equal(run(vm), WEIR_EXIT_MMIO);
    assert_true(last.access.is_write && last.access.address == 0x400000);
    assert_int_equal(last.access.value, 1);
    assert_int_equal(last.access.instruction_bytes, 10);
    assert_int_equal(last.access.gva, 0x400000);
    assert_int_equal(get(vm, WEIR_RIP), CODE + 10);
    assert_int_equal(run(vm), WEIR_EXIT_MMIO);
    assert_true(last.access.is_write && last.access.address == 0x400008);
    assert_int_equal(last.access.size_bytes, 1);
    assert_int_equal(run(vm), WEIR_EXIT_MMIO);
    assert_true(!last.access.is_write && last.access.address == 0x400010);
    assert_int_equal(get(vm, WEIR_RIP), CODE + 17);
    last.access.value = 0x1234;
    assert_int_equal(run(vm), WEIR_EXIT_HALT);
    assert_int_equal(get(vm, WEIR_RBX), 0x1234);
    uint32_t word;
    weir_mem_read(vm, 0x400000, &word, 4);
    assert_int_equal(word, 0xffffffff);
    assert_int_equal(weir_ram_layout(vm, NULL, 0), 0);
    weir_mem_read(vm, 0x400000, &word, 4);
    assert_int_equal(word, 0);
    weir_destroy(vm);
}

/* ---- random states ---- */

static uint64_t seed = 0x2545f4914f6cdd1d;
static uint64_t next(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}
static uint64_t number(void)
{
    switch (next() % 5) {
    case 0:
        return 1ull << next() % 64;
    case 1:
        return next() & 0xffff;
    case 2:
        return next() & 0x3fffff;
    case 3:
        return (uint32_t)next();
    default:
        return next();
    }
}

static void disturb(weir_vcpu *cpu, struct weir_context *x)
{
    static const uint64_t cr0[] = {0x11, 0x80000011, 0x80050033, 0x10, 0x60000010, 0x8000003b};
    static const uint64_t efer[] = {0, 0x500, 0xd01, 1, 0x901};
    x->cr0 = cr0[next() % 6];
    x->efer = efer[next() % 5];
    x->cr4 = next() % 2 ? 0x20 : next() & 0x3727ff;
    x->cr3 = next() % 2 ? 0x100000 : next() & 0xfff000;
    x->rflags = next() % 4 ? 2 : next();
    for (unsigned n = next() % 4; n; n--) {
        struct weir_segment *s = &x->segment[next() % 8];
        *s = (struct weir_segment){(uint16_t)next(), (uint16_t)next(), (uint32_t)number(),
                                   next() % 2 ? 0 : number()};
    }
    for (unsigned n = 0; n < 16; n++)
        x->gpr[n] = number();
    x->rip = next() % 4 ? CODE + next() % 0x2000 : number();
    x->cpl = next() % 4 ? x->cpl : next() % 4;
    x->dr[7] = next() % 4 ? 0x400 : (uint32_t)next();
    x->pending_debug = next() % 8 ? 0 : next() & 0x400f;
    x->interruptibility = next() % 8 ? 0 : next() & 11;
    x->injection = (struct weir_injection){.pending = next() % 4 == 0,
                                           .kind = next() & 7,
                                           .vector = (uint8_t)next(),
                                           .has_error = next() & 1,
                                           .error = (uint32_t)next(),
                                           .instruction_length = next() & 15};
    if (weir_context_set(cpu, WEIR_CONTEXT_ALL, x) == 0)
        return;
    for (unsigned n = 0; n < 30; n++) {
        union weir_value v;
        for (unsigned k = 0; k < sizeof(v.bytes); k++)
            v.bytes[k] = (uint8_t)next();
        enum weir_reg reg = next() % WEIR_REG_COUNT;
        if (reg == WEIR_INJECTION) /* bool: 0 or 1 is all that C allows */
            v.injection.pending = v.injection.has_error = next() & 1;
        else if (next() % 2)
            v.u64 = number();
        weir_reg_set(cpu, reg, &v);
    }
}

/* A guest that faults for ever executes nothing: its budget lasts. */
static void *watch(void *vm)
{
    for (;;) {
        struct timespec t = {.tv_nsec = 3000000};
        nanosleep(&t, NULL);
        pthread_testcancel();
        weir_quit(vm);
    }
    return NULL;
}

static void random_states_do_no_harm(void **state)
{
    (void)state;
    static struct weir_context good, x;
    static uint8_t bytes[0x3000];
    weir *vm = vm_new(64, "\xf4", 1);
    weir_vcpu *cpu = weir_get_vcpu(vm, 0);
    unsigned set_whole = 0;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, watch, vm), 0);
    good.size = sizeof(good);
    assert_int_equal(weir_context_get(cpu, WEIR_CONTEXT_ALL, &good), 0);
    for (unsigned round = 0; round < rounds; round++) {
        for (unsigned n = 0; n < sizeof(bytes); n++)
            bytes[n] = (uint8_t)next();
        weir_mem_write(vm, CODE, bytes, sizeof(bytes));
        assert_int_equal(weir_context_set(cpu, WEIR_CONTEXT_ALL, &good), 0);
        x = good;
        disturb(cpu, &x);
        assert_int_equal(weir_context_get(cpu, WEIR_CONTEXT_ALL, &x), 0);
        set_whole += weir_context_set(cpu, WEIR_CONTEXT_ALL, &x) == 0;
        struct weir_exit e = {0};
        weir_set_exception_exits(vm, next() % 2 ? (uint32_t)next() : 0);
        weir_set_insn_exits(vm, next() % 2 ? next() & 0xfffff : 0);
        weir_set_reset_exits(vm, next() % 2);
        for (unsigned n = 0; n < 4; n++)
            assert_int_equal(weir_run(cpu, 1 + next() % 500, &e), 0);
    }
    pthread_cancel(thread);
    pthread_join(thread, NULL);
    assert_int_equal(set_whole, rounds); /* what was got can be set */
    weir_destroy(vm);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        engine = argv[1];
    if (argc > 2)
        rounds = (unsigned)atoi(argv[2]);
    if (argc > 3)
        seed ^= strtoull(argv[3], NULL, 0) * 0x9e3779b97f4a7c15;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instructions_are_exits),
        cmocka_unit_test(instructions_can_be_passed),
        cmocka_unit_test(hot_loops_exit),
        cmocka_unit_test(privilege_comes_first),
        cmocka_unit_test(exceptions_are_exits),
        cmocka_unit_test(masks_divide_control_registers),
        cmocka_unit_test(windows_open),
        cmocka_unit_test(nmis_end_the_run),
        cmocka_unit_test(time_ends_the_run),
        cmocka_unit_test(parts_of_ram_are_holes),
        cmocka_unit_test(random_states_do_no_harm),
    };
    return cmocka_run_group_tests_name(engine, tests, NULL, NULL);
}
