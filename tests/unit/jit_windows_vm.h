/* SPDX-License-Identifier: MIT */
/* jit_windows_vm.h - the machine of jit_windows_test.c: page tables, commands for the kernel of
 * jit_windows.asm, what its programs ended with. */
#ifndef TESTS_JIT_WINDOWS_VM_H
#define TESTS_JIT_WINDOWS_VM_H

#include "image_vm.h"

#include "api/api.h"
#include "jit/jit.h"

#include <stdlib.h>
#include <string.h>

#define RAM_BYTES (64u << 20)
#define COMMANDS  0x20000u
#define RESULTS   0x40000u
#define REGS      0xa0000u
#define TABLES_AT 0x100000u
#define FRAMES    0x1000000u /* pages for programs, from here on */
#define RUNS_MAX  1700u
#define PHYSMAP   0xffff800000000000ull
#define CODE64    0x400000ull
#define CODE32    0x500000ull
#define WARM      12u /* runs after which code is translated */
#define LOG_MAX   40000u

#define P_P  1ull
#define P_A  0x20ull
#define P_W  2ull
#define P_U  4ull
#define P_D  0x40ull
#define P_PS 0x80ull
#define P_G  0x100ull
#define USER (P_P | P_W | P_U)

enum { R_RIP = 16, R_FLAGS, R_CS, R_SS, R_FS, R_FS_SELECTOR, R_COUNT = 24 };
enum { C_END, C_RUN, C_SYSRET, C_WRITE, C_INVLPG, C_CR3, C_INVPCID, C_CR4, C_TOGGLE };

// clang-format off
#define PROGRAMS64                                                                             \
    r_base, r_frame, r_stack, r_far_up, r_far_down, r_index, r_sum, r_narrow, r_thread,        \
    r_scaled, r_group, r_group_spilled, r_pops, r_pops_mixed, r_spilled, r_aligned,            \
    r_vector, r_string, r_ret, r_x87, r_near, w_base, w_frame, w_pushes, w_pushes_mixed,       \
    w_aligned, w_add, w_lock, w_xchg, w_high, w_vector, w_cmpxchg, w_stos, w_call,             \
    w_group, w_far_up, w_far_down, w_adc, w_near, walk, patch, patched, frames,                \
    rip_relative, thread, twice, pop_to_memory, copy, jumps, near_far
#define PROGRAMS32                                                                             \
    n_read, n_write, n_stack, n_wrap, n_code_read, n_code_write, n_thread, n_high, n_lock,     \
    n_far, n_group, n_jump
enum program { PROGRAMS64, PROGRAMS32, PROGRAM_COUNT };
// clang-format on

struct result {
    uint64_t vector, error, cr2, rip, flags, cs, ss, unused, gpr[16];
};

struct machine {
    weir *vm;
    struct vcpu *c;
    uint8_t *ram;
    uint64_t budget, next_table, next_frame, cr4;
    uint64_t code[2]; /* of programs, in RAM */
    uint16_t start[PROGRAM_COUNT];
    uint64_t (*commands)[4];
    unsigned command_count, regs_count, run_count;
    struct result *last; /* those of the last go() */
    struct result *log;  /* all of them */
    unsigned logged;
};

static inline uint64_t *word(struct machine *m, uint64_t physical)
{
    return (uint64_t *)(m->ram + physical);
}

static inline uint64_t page_take(struct machine *m, uint64_t *next)
{
    uint64_t at = *next;
    *next += 4096;
    assert_true(*next <= RAM_BYTES);
    memset(m->ram + at, 0, 4096);
    return at;
}

static inline uint64_t frame(struct machine *m)
{
    return page_take(m, &m->next_frame);
}

/* Where the entry of that level (1 = PT) for the address is; tables on the way are made. */
static inline uint64_t entry_at(struct machine *m, uint64_t cr3, uint64_t linear,
                                unsigned level)
{
    uint64_t table = cr3 & 0xffffffffff000ull;
    for (unsigned k = 4;; k--) {
        uint64_t at = table + (linear >> (12 + 9 * (k - 1)) & 511) * 8;
        if (k == level)
            return at;
        if (!(*word(m, at) & P_P))
            *word(m, at) = page_take(m, &m->next_table) | USER;
        table = *word(m, at) & 0xffffffffff000ull;
    }
}

static inline void map(struct machine *m, uint64_t cr3, uint64_t linear, uint64_t physical,
                       uint64_t flags)
{
    *word(m, entry_at(m, cr3, linear, flags & P_PS ? 2 : 1)) = physical | flags;
}

/* With the kernel, and programs at CODE64 and CODE32. */
static inline uint64_t space_new(struct machine *m)
{
    uint64_t cr3 = page_take(m, &m->next_table);
    map(m, cr3, 0, 0, P_P | P_W | P_PS);
    for (uint64_t at = 0; at < RAM_BYTES; at += 2 << 20)
        map(m, cr3, PHYSMAP + at, at, P_P | P_W | P_PS);
    for (unsigned k = 0; k < 2; k++) {
        map(m, cr3, CODE64 + k * 4096, m->code[0] + k * 4096, P_P | P_U);
        map(m, cr3, CODE32 + k * 4096, m->code[1] + k * 4096, P_P | P_U);
    }
    return cr3;
}

static inline void command(struct machine *m, uint64_t what, uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t *k = m->commands[m->command_count++];
    assert_true(m->command_count < 4000);
    k[0] = what;
    k[1] = a;
    k[2] = b;
    k[3] = c;
}

/* Registers of a program. */
static inline uint64_t *regs_for(struct machine *m, enum program p)
{
    bool wide = p < n_read;
    uint64_t *r = word(m, REGS + m->regs_count++ * R_COUNT * 8);
    assert_true(m->regs_count < 1600);
    for (unsigned n = 0; n < 16; n++)
        r[n] = wide ? 0x1111111111111111ull * n : 0x01010101 * n;
    r[R_RIP] = (wide ? CODE64 : CODE32) + m->start[p];
    r[R_FLAGS] = 0x246 | (p & 1 ? 0x891 : 0); /* PF, ZF; CF, AF, SF, OF */
    r[R_CS] = wide ? 0x2b : 0x1b;
    r[R_SS] = 0x23;
    r[R_FS] = r[R_FS_SELECTOR] = 0;
    return r;
}

static inline void run_it(struct machine *m, const uint64_t *r, unsigned times)
{
    while (times--) {
        command(m, C_RUN, (uint64_t)((const uint8_t *)r - m->ram), 0, 0);
        m->run_count++;
    }
    assert_true(m->run_count < RUNS_MAX);
}

/* What was commanded is done; m->last is what programs ended with. */
static inline void go(struct machine *m)
{
    command(m, C_END, 0, 0, 0);
    m->c->halted = false;
    run_to_halt(m->vm, m->budget);
    m->last = m->log + m->logged;
    assert_true(m->logged + m->run_count < LOG_MAX);
    memcpy(m->last, m->ram + RESULTS, m->run_count * sizeof(*m->last));
    m->logged += m->run_count;
    m->command_count = m->regs_count = m->run_count = 0;
}

static inline void write_entry(struct machine *m, uint64_t at, uint64_t value)
{
    command(m, C_WRITE, at, value, 0);
}

static inline void use(struct machine *m, uint64_t cr3)
{
    command(m, C_CR3, cr3, 0, 0);
}

/* A 32-bit program. Which run it is. */
static inline unsigned narrow(struct machine *m, enum program p, uint32_t at, unsigned times)
{
    uint64_t *r = regs_for(m, p);
    r[RBX] = r[RBP] = r[RSP] = at;
    r[RDX] = 1;
    run_it(m, r, times);
    return m->run_count - 1;
}

/* What a run must have ended with. */
static inline void expect_end(const struct machine *m, const struct result *r)
{
    (void)m;
    if (r->vector < 0x80)
        print_error("vector %llx error %llx cr2 %llx rip %llx\n", (unsigned long long)r->vector,
                    (unsigned long long)r->error, (unsigned long long)r->cr2,
                    (unsigned long long)r->rip);
    assert_true(r->vector == 0x80 || r->vector == 0x100);
}

static inline void expect_fault(const struct result *r, unsigned vector, uint64_t error,
                                uint64_t cr2)
{
    if (r->vector != vector || r->error != error)
        print_error("vector %llx error %llx cr2 %llx rip %llx rax %llx\n",
                    (unsigned long long)r->vector, (unsigned long long)r->error,
                    (unsigned long long)r->cr2, (unsigned long long)r->rip,
                    (unsigned long long)r->gpr[RAX]);
    assert_int_equal(r->vector, vector);
    assert_int_equal(r->error, error);
    if (vector == 14)
        assert_int_equal(r->cr2, cr2);
}

static inline void machine_new(struct machine *m, const char *accel, uint64_t budget,
                               bool windows)
{
    struct result *log = m->log;
    *m = (struct machine){.budget = budget, .log = log};
    m->vm = image_machine(accel, 64, RAM_BYTES);
    m->c = vcpu_of(weir_get_vcpu(m->vm, 0));
    if (windows)
        assert_true(jit_windows_always(m->c));
    m->ram = weir_ram_pointer(m->vm, 0, RAM_BYTES);
    assert_non_null(m->ram);
    const uint8_t *code = m->ram + START;
    m->commands = (void *)(m->ram + COMMANDS);
    memcpy(m->code, code + 8, sizeof(m->code));
    uint16_t count;
    memcpy(&count, code + 24, 2);
    assert_int_equal(count, PROGRAM_COUNT);
    memcpy(m->start, code + 32, sizeof(m->start));
    m->next_table = TABLES_AT;
    m->next_frame = FRAMES;
    m->cr4 = 0x620; /* PAE, OSFXSR, OSXMMEXCPT */
    run_to_halt(m->vm, 0);
}

#endif
