/* SPDX-License-Identifier: MIT */
/*
 * int_test.c - every table row of class INT that user code can run, against the host CPU:
 * random encodings, registers, flags and memory; the same bytes run once through the
 * interpreter's operation and once directly, as 64-bit code and, with a far jump, as 32-bit
 * code. All registers, memory, defined flags, taken branches and faults must agree.
 *
 * usage: int_test [-n cases-per-opcode] [-s seed] [-o OPERATION] [-v]
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "cpu/decode/decoder.h"
#include "cpu/x86.h"
#include "host_cpu.h"
#include "int_case.h"

#define MARKER       0x22000000u /* a page: what a taken branch writes to, and the far pointer */
#define MEMORY_BYTES (SCRATCH_BYTES - 4096)

enum ending { END_DONE, END_DE, END_UD, END_FAULT };

struct outcome {
    enum ending ending;
    bool taken;
    uint64_t gpr[16];
    uint64_t rflags;
    uint8_t memory[MEMORY_BYTES];
};

struct test {
    struct vcpu *cpu[2]; /* 32, 64 */
    struct host_context *host;
    struct int_random random;
    struct int_case instance;
    struct outcome ours, theirs;
    unsigned cases, failures, shown;
    unsigned long compared, faults;
    bool verbose;
};

/* ---- running ---- */

static enum ending fault_ending(unsigned vector)
{
    return vector == VEC_DE ? END_DE : vector == VEC_UD ? END_UD : END_FAULT;
}

static void run_ours(struct test *t)
{
    struct int_case *k = &t->instance;
    struct vcpu *c = t->cpu[k->bits / 64];
    enum weir_stop stop;
    memcpy((void *)SCRATCH, k->scratch, MEMORY_BYTES);
    memcpy(c->gpr, k->gpr, sizeof(c->gpr));
    cpu_set_rflags(c, k->rflags);
    c->rip = code_address(k);
    do
        stop = bare_cpu_run(c, k->bytes, k->length);
    while (stop == STOP_REPEAT);
    t->ours.ending = stop == STOP_FAULT ? fault_ending(c->fault.vector) : END_DONE;
    t->ours.taken = c->rip == code_address(k) + k->length + BRANCH_BYTES;
    t->ours.rflags = cpu_rflags(c);
    memcpy(t->ours.gpr, c->gpr, sizeof(c->gpr));
    memcpy(t->ours.memory, (void *)SCRATCH, MEMORY_BYTES);
}

/* jmp over; movb $1, MARKER: what a taken branch reaches. */
static unsigned put_marker(uint8_t *p, unsigned bits)
{
    static const uint8_t long_form[] = {0xeb, 8, 0xc6, 0x04, 0x25, 0, 0, 0, 0, 1};
    static const uint8_t short_form[] = {0xeb, 7, 0xc6, 0x05, 0, 0, 0, 0, 1};
    unsigned n = bits == 64 ? sizeof(long_form) : sizeof(short_form);
    memcpy(p, bits == 64 ? long_form : short_form, n);
    store_le(p + n - 5, MARKER, 4);
    return n;
}

static unsigned put_insn(uint8_t *p, const struct int_case *k)
{
    memcpy(p, k->bytes, k->length);
    return k->length + (is_branch(&k->insn) ? put_marker(p + k->length, k->bits) : 0);
}

/* Far jump to the 32-bit code segment, the instruction, far jump back. */
static unsigned put_insn32(uint8_t *p, const struct int_case *k)
{
    static const uint8_t enter[] = {0xff, 0x2c, 0x25, 8, 0, 0, MARKER >> 24};
    memcpy(p, enter, sizeof(enter));
    store_le((void *)(uintptr_t)(MARKER + 8), HOST_CODE32, 4);
    store_le((void *)(uintptr_t)(MARKER + 12), 0x23, 2);
    unsigned n = sizeof(enter) + put_insn(p + sizeof(enter), k);
    p[n] = 0xea;
    store_le(p + n + 1, HOST_CODE + n + 7, 4);
    store_le(p + n + 5, 0x33, 2);
    return n + 7;
}

static void run_host(struct test *t)
{
    struct int_case *k = &t->instance;
    volatile uint8_t *marker = (uint8_t *)(uintptr_t)MARKER;
    uint8_t code[64];
    unsigned n = k->bits == 64 ? put_insn(code, k) : put_insn32(code, k);
    memcpy((void *)SCRATCH, k->scratch, MEMORY_BYTES);
    memcpy(t->host->gpr, k->gpr, sizeof(k->gpr));
    t->host->rflags = k->rflags | FLAG_IF;
    *marker = 0;
    if (k->bits == 32)
        __asm__ volatile("mov %0, %%ds\n mov %0, %%es" : : "r"(0x2b));
    switch (host_cpu_run(code, n)) {
    case HOST_DONE:
        t->theirs.ending = END_DONE;
        break;
    case HOST_SIGFPE:
        t->theirs.ending = END_DE;
        break;
    case HOST_SIGILL:
        t->theirs.ending = END_UD;
        break;
    default:
        t->theirs.ending = END_FAULT;
        break;
    }
    t->theirs.taken = *marker;
    t->theirs.rflags = t->host->rflags;
    memcpy(t->theirs.gpr, t->host->gpr, sizeof(t->host->gpr));
    memcpy(t->theirs.memory, (void *)SCRATCH, MEMORY_BYTES);
}

/* ---- what is undefined ---- */

static unsigned shift_count(const struct int_case *k)
{
    const struct insn *i = &k->insn;
    const struct operand_form *f = insn_row(i)->operands;
    unsigned n = f[2].kind != KIND_NONE ? 2 : 1;
    unsigned mask = i->opsize == 8 ? 63 : 31;
    if (f[n].kind == KIND_ONE)
        return 1;
    return (f[n].kind == KIND_FIXED ? (unsigned)k->gpr[RCX] : (unsigned)i->imm) & mask;
}

static bool is_shift(unsigned op)
{
    return op == OP_SHL || op == OP_SHR || op == OP_SAR || op == OP_SHLD || op == OP_SHRD;
}
static bool is_rotate(unsigned op)
{
    return op == OP_ROL || op == OP_ROR || op == OP_RCL || op == OP_RCR;
}

/* The SDM's "undefined": results too, not only flags. */
static bool is_undefined(const struct int_case *k)
{
    const struct insn *i = &k->insn;
    if (i->op == OP_BSWAP)
        return i->opsize == 2;
    if (i->op == OP_NOP) /* PREFETCH of a register: Intel's is a NOP, AMD's #UD */
        return i->opcode == 0x0d && !i->mem;
    if (i->op == OP_SHLD || i->op == OP_SHRD)
        return shift_count(k) > i->opsize * 8u;
    return false;
}

/* ops.def says what is undefined for some counts; which counts is known here. */
static uint64_t compared_flags(const struct int_case *k)
{
    const struct insn *i = &k->insn;
    uint64_t undefined = op_table[i->op].flags_undefined;
    if (is_shift(i->op) || is_rotate(i->op)) {
        unsigned count = shift_count(k);
        if (count == 0)
            undefined = 0;
        if (count == 1)
            undefined &= ~(uint64_t)FLAG_OF;
        if ((i->op == OP_SHL || i->op == OP_SHR) && count >= i->opsize * 8u)
            undefined |= FLAG_CF;
    }
    return (FLAGS_ARITH | FLAG_DF) & ~undefined;
}

/* ---- comparing ---- */

static void show(struct test *t, const char *what)
{
    const struct int_case *k = &t->instance;
    const struct outcome *o = &t->ours, *h = &t->theirs;
    t->failures++;
    if (t->shown++ >= 20)
        return;
    printf("%s, %u-bit, %s:", op_name(k->insn.op), k->bits, what);
    for (unsigned n = 0; n < k->length; n++)
        printf(" %02x", k->bytes[n]);
    printf("\n  ending %d host %d, taken %d host %d, flags %llx: %llx host %llx\n", o->ending,
           h->ending, o->taken, h->taken, (unsigned long long)k->rflags,
           (unsigned long long)o->rflags, (unsigned long long)h->rflags);
    for (unsigned n = 0; n < 16; n++)
        if (o->gpr[n] != h->gpr[n] || t->verbose)
            printf("  gpr %u: %llx -> %llx, host %llx\n", n, (unsigned long long)k->gpr[n],
                   (unsigned long long)o->gpr[n], (unsigned long long)h->gpr[n]);
    for (unsigned n = 0, lines = 0; n < MEMORY_BYTES && lines < 8; n++)
        if (o->memory[n] != h->memory[n] && ++lines)
            printf("  %x: %02x -> %02x, host %02x\n", (unsigned)(SCRATCH + n), k->scratch[n],
                   o->memory[n], h->memory[n]);
}

static void compare(struct test *t)
{
    const struct int_case *k = &t->instance;
    const struct outcome *o = &t->ours, *h = &t->theirs;
    uint64_t mask = k->bits == 64 ? ~0ull : 0xffffffff;
    unsigned count = k->bits == 64 ? 16 : 8;
    t->compared++;
    if (o->ending != h->ending) {
        show(t, "ending");
        return;
    }
    if (o->ending != END_DONE)
        t->faults++;
    else if ((o->rflags ^ h->rflags) & compared_flags(k))
        show(t, "flags");
    for (unsigned n = 0; n < count; n++)
        if ((o->gpr[n] ^ h->gpr[n]) & mask) {
            show(t, "registers");
            return;
        }
    if (memcmp(o->memory, h->memory, MEMORY_BYTES) != 0)
        show(t, "memory");
    else if (is_branch(&k->insn) && o->taken != h->taken)
        show(t, "branch");
}

/* ---- choosing ---- */

static bool is_testable(const struct optab_row *row)
{
    switch (row->op) {
    case OP_RDRAND:
    case OP_RDSEED:
        return false; /* not the same twice */
    case OP_IN:
    case OP_OUT:
    case OP_INS:
    case OP_OUTS:
        return false; /* privileged */
    default:
        return op_table[row->op].class == CLASS_INT;
    }
}

static void run_opcode(struct test *t, unsigned row, unsigned opcode, unsigned bits)
{
    unsigned done = 0;
    for (unsigned tries = 0; tries < 40 * t->cases && done < t->cases; tries++) {
        if (!int_case_make(&t->instance, &t->random, row, opcode, bits) ||
            is_undefined(&t->instance))
            continue;
        done++;
        run_ours(t);
        run_host(t);
        compare(t);
    }
    if (done < t->cases / 4) {
        printf("%s %02x, row %u, %u-bit: only %u cases\n", op_name(optab_rows[row].op), opcode,
               row, bits, done);
        t->failures++;
    }
}

static void run_row(struct test *t, unsigned row, unsigned opcode, const char *only)
{
    unsigned attrs = optab_rows[row].attrs;
    if (!is_testable(&optab_rows[row]))
        return;
    if (only && strcmp(only, op_name(optab_rows[row].op)) != 0)
        return;
    if (!(attrs & ATTR_NO64))
        run_opcode(t, row, opcode, 64);
    if (!(attrs & ATTR_ONLY64))
        run_opcode(t, row, opcode, 32);
}

static void run_all(struct test *t, const char *only)
{
    for (unsigned encoding = 0; encoding < ENCODING_EVEX0; encoding++)
        for (unsigned opcode = 0; opcode < 256; opcode++) {
            unsigned row = optab_index[encoding][opcode];
            if (row == 0)
                continue;
            row--;
            do
                run_row(t, row++, opcode, only);
            while (!(optab_rows[row].attrs & ATTR_START));
        }
}

int main(int argc, char **argv)
{
    static struct test t = {.cases = 300, .random = {1}};
    const char *only = NULL;
    int option;
    while ((option = getopt(argc, argv, "n:s:o:v")) != -1)
        switch (option) {
        case 'n':
            t.cases = (unsigned)strtoul(optarg, NULL, 0);
            break;
        case 's':
            t.random.state = strtoull(optarg, NULL, 0);
            break;
        case 'o':
            only = optarg;
            break;
        case 'v':
            t.verbose = true;
            break;
        default:
            return 2;
        }
    if (!host_cpu_init(&t.host))
        return 77;
    host_map(MARKER, 4096);
    t.cpu[1] = bare_cpu_new("host");
    t.cpu[0] = bare_cpu_new("host");
    bare_cpu_mode32(t.cpu[0]);
    t.instance.scratch = malloc(MEMORY_BYTES);
    run_all(&t, only);
    printf("%lu cases, %lu of them faults, %u failures\n", t.compared, t.faults, t.failures);
    bare_cpu_free(t.cpu[0]);
    bare_cpu_free(t.cpu[1]);
    free(t.instance.scratch);
    return t.failures != 0;
}
