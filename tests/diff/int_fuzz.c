/* SPDX-License-Identifier: MIT */
/*
 * int_fuzz.c - arbitrary integer instructions of 64-bit code, each run by the interpreter and
 * by the host with the same registers and memory: registers, flags that the SDM defines, memory
 * and the kind of fault must be the same.
 *
 * usage: int_fuzz [-n attempts] [-s seed] [-v]
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "bare_cpu.h"
#include "cpu/access.h"
#include "cpu/cpuid.h"
#include "host_cpu.h"

#define MEMORY_BYTES (SCRATCH_BYTES - 4096u)

static struct host_context *host;
static struct vcpu *cpu;
static uint64_t random_state = 1;
static unsigned long runs[OP_COUNT];

static uint64_t rnd(void)
{
    uint64_t z = (random_state += 0x9e3779b97f4a7c15ull);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}
static bool one_in(unsigned n)
{
    return rnd() % n == 0;
}
/* Small numbers, numbers of few bits, edges: where arithmetic goes wrong. */
static uint64_t value(void)
{
    uint64_t v = rnd();
    switch (rnd() % 6) {
    case 0:
        return v & 0xff;
    case 1:
        return v >> (rnd() & 63);
    case 2:
        return (1ull << (rnd() & 63)) - (v & 1);
    case 3:
        return (uint64_t)(int64_t)(int32_t)v;
    default:
        return v;
    }
}

/* ---- one instruction ---- */

static void random_bytes(uint8_t bytes[INSN_MAX_BYTES])
{
    static const uint8_t prefixes[] = {0x66, 0x66, 0xf2, 0xf3, 0x67, 0xf0, 0x2e};
    unsigned n = 0;
    for (unsigned k = 0; k < INSN_MAX_BYTES; k++)
        bytes[k] = (uint8_t)rnd();
    while (one_in(3) && n < 4)
        bytes[n++] = prefixes[rnd() % sizeof prefixes];
    if (one_in(12)) {
        bytes[n++] = 0xc4;
        bytes[n] = (uint8_t)((rnd() & 0xe0) | (2 + rnd() % 2));
        bytes[n + 1] &= 0xfb; /* L = 0 */
        bytes[n + 2] = (uint8_t)(0xf0 | (rnd() & 7));
        return;
    }
    if (one_in(2))
        bytes[n++] = (uint8_t)(0x40 | (rnd() & 15));
    if (one_in(3)) {
        bytes[n++] = 0x0f;
        if (one_in(8)) {
            bytes[n++] = 0x38;
            bytes[n] = (uint8_t)(0xf0 | (rnd() & 15));
        }
    }
}

/* Not compared: what leaves the straight line, random numbers, ports. */
static bool comparable(const struct insn *i)
{
    switch (i->op) {
    case OP_JCC:
    case OP_JCXZ:
    case OP_LOOP:
    case OP_LOOPE:
    case OP_LOOPNE:
    case OP_JMP:
    case OP_JMP_IND:
    case OP_CALL:
    case OP_CALL_IND:
    case OP_RET:
    case OP_IN:
    case OP_OUT:
    case OP_INS:
    case OP_OUTS:
    case OP_RDRAND:
    case OP_RDSEED:
    case OP_MOVDIRI:
    case OP_MOVDIR64B:
        return false;
    default:
        break;
    }
    if (op_table[i->op].class != CLASS_INT)
        return false;
    if (i->op == OP_ENTER && i->imm > 0x400)
        return false;
    /* PREFETCH of a register, MOVSXD of 16 bits, SERIALIZE: CPUs differ. Absolute and
     * RIP-relative addresses: so do the two sides. */
    int mem = insn_mem_operand(i);
    bool absolute = mem >= 0 && insn_row(i)->operands[mem].kind == KIND_O;
    if ((i->op == OP_NOP && i->map == 1) || (i->op == OP_MOVSXD && i->opsize == 2) ||
        (i->op == OP_FENCE && i->opcode == 1) || absolute || (i->mem && i->base == REG_RIP))
        return false;
    return i->seg != SEG_FS && i->seg != SEG_GS;
}

static bool in_scratch(uint64_t at)
{
    return at >= SCRATCH + 64 && at < SCRATCH_END + 64;
}

/* Registers such that whatever is addressed lies in SCRATCH; false if there is no such way. */
static bool registers_for(const struct insn *i)
{
    for (unsigned n = 0; n < 16; n++)
        cpu->gpr[n] = value();
    cpu->gpr[RSP] = SCRATCH + 4096 + 8 * (rnd() & 63) + (rnd() & 1);
    if (i->op == OP_ENTER)
        cpu->gpr[RBP] = SCRATCH + 2048;
    if (i->op == OP_LEAVE)
        cpu->gpr[RBP] = SCRATCH + 6144;
    if (i->op == OP_XLAT)
        cpu->gpr[RBX] = SCRATCH + 64 + (rnd() & 4095);
    if (i->op >= OP_MOVS && i->op <= OP_SCAS) {
        cpu->gpr[RSI] = SCRATCH + 2048 + (rnd() & 2047);
        cpu->gpr[RDI] = cpu->gpr[RSI] + (rnd() & 63) - 32;
        if (one_in(8))
            cpu->gpr[one_in(2) ? RSI : RDI] = SCRATCH_END - 64 - (rnd() & 63);
        cpu->gpr[RCX] = rnd() & 127;
    }
    if (!i->mem || i->op == OP_NOP || i->op == OP_LEA || i->op == OP_UD || i->op == OP_UD1)
        return true;
    if (i->base >= 16 || i->base == i->index)
        return false;
    bool far_bits = !(i->opcode == 0xba) && i->op >= OP_BT && i->op <= OP_BTC;
    if (far_bits)
        store_le(&cpu->gpr[i->reg], (uint64_t)(int64_t)(int16_t)(rnd() % 8192 - 4096),
                 i->opsize);
    if (i->index != REG_NONE && one_in(2))
        cpu->gpr[i->index] &= 0xff;
    if (i->base == RSP) {
        if (i->index != REG_NONE)
            cpu->gpr[i->index] = rnd() & 255;
    } else {
        uint64_t at = SCRATCH + 1024 + (rnd() & 4095);
        if (one_in(16))
            at = SCRATCH_END - 8 + (rnd() & 15);
        if (one_in(2))
            at &= ~15ull;
        uint64_t rest = (uint64_t)(int64_t)i->disp;
        if (i->index != REG_NONE)
            rest += cpu->gpr[i->index] << i->scale;
        cpu->gpr[i->base] = at - rest;
    }
    uint64_t at = insn_offset(cpu, i);
    if (far_bits)
        at += (uint64_t)((sign_extend(cpu->gpr[i->reg], 8 * i->opsize) >> 3) & ~7ll);
    return in_scratch(at & mask_bytes(i->addrsize));
}

struct outcome {
    uint64_t gpr[16];
    uint32_t flags;
    int end; /* enum host_end */
    uint8_t memory[MEMORY_BYTES];
};

static int end_of(enum weir_stop stop)
{
    if (stop != STOP_FAULT)
        return HOST_DONE;
    switch (cpu->fault.vector) {
    case VEC_DE:
        return HOST_SIGFPE;
    case VEC_UD:
        return HOST_SIGILL;
    default:
        return HOST_SIGSEGV;
    }
}

static void on_guest(const struct insn *i, const uint8_t *bytes, struct outcome *o)
{
    enum weir_stop stop;
    do {
        cpu->rip = 0x1000;
        stop = bare_cpu_run(cpu, bytes, i->length);
    } while (stop == STOP_REPEAT);
    memcpy(o->gpr, cpu->gpr, sizeof o->gpr);
    o->flags = cpu->flags | (cpu->rflags_rest & FLAG_DF);
    o->end = end_of(stop);
    memcpy(o->memory, (void *)SCRATCH, MEMORY_BYTES);
}
static void on_host(const struct insn *i, const uint8_t *bytes, struct outcome *o)
{
    o->end = host_cpu_run(bytes, i->length);
    memcpy(o->gpr, host->gpr, sizeof o->gpr);
    o->flags = (uint32_t)host->rflags & (FLAGS_ARITH | FLAG_DF);
    memcpy(o->memory, (void *)SCRATCH, MEMORY_BYTES);
}

static uint32_t flags_to_compare(const struct insn *i, const struct outcome *before)
{
    uint32_t undefined = op_table[i->op].flags_undefined;
    /* A count of zero leaves them alone: then they are all defined. */
    bool by_cl = i->op >= OP_ROL && i->op <= OP_SHRD && i->map == 0 && i->opcode >= 0xd2;
    if (by_cl && !(before->gpr[RCX] & (i->opsize == 8 ? 63 : 31)))
        undefined = 0;
    return (FLAGS_ARITH | FLAG_DF) & ~undefined;
}

static bool same(const struct insn *i, const struct outcome *before, const struct outcome *g,
                 const struct outcome *h)
{
    uint32_t flags = flags_to_compare(i, before);
    return g->end == h->end && !memcmp(g->gpr, h->gpr, sizeof g->gpr) &&
           !((g->flags ^ h->flags) & flags) && !memcmp(g->memory, h->memory, MEMORY_BYTES);
}

static void report(const struct insn *i, const uint8_t *bytes, const struct outcome *before,
                   const struct outcome *g, const struct outcome *h)
{
    printf("%s opsize %u mem %u:", op_name(i->op), i->opsize, i->mem);
    for (unsigned n = 0; n < i->length; n++)
        printf(" %02x", bytes[n]);
    printf("  end %d/%d flags %03x -> %03x/%03x\n", g->end, h->end, before->flags, g->flags,
           h->flags);
    for (unsigned n = 0; n < 16; n++)
        if (g->gpr[n] != h->gpr[n])
            printf("  r%u: %llx -> %llx/%llx\n", n, (unsigned long long)before->gpr[n],
                   (unsigned long long)g->gpr[n], (unsigned long long)h->gpr[n]);
    for (unsigned n = 0, shown = 0; n < MEMORY_BYTES && shown < 8; n++)
        if (g->memory[n] != h->memory[n] && ++shown)
            printf("  [%x]: %02x -> %02x/%02x\n", (unsigned)SCRATCH + n, before->memory[n],
                   g->memory[n], h->memory[n]);
}

/* False: they differ. */
static bool compare(const struct insn *i, const uint8_t *bytes)
{
    static struct outcome before, guest, native;
    cpu->flags = (uint32_t)rnd() & FLAGS_ARITH;
    cpu->rflags_rest = FLAG_FIXED | (one_in(4) ? FLAG_DF : 0);
    uint64_t *memory = (uint64_t *)SCRATCH;
    for (unsigned n = 0; n < 16; n++)
        memory[rnd() % (MEMORY_BYTES / 8)] = value();
    if (one_in(4) && i->op >= OP_CMPS && i->op <= OP_SCAS)
        memset(memory, (int)cpu->gpr[RAX], MEMORY_BYTES);
    memcpy(before.gpr, cpu->gpr, sizeof before.gpr);
    before.flags = cpu->flags | (cpu->rflags_rest & FLAG_DF);
    memcpy(before.memory, memory, MEMORY_BYTES);
    on_guest(i, bytes, &guest);
    memcpy(memory, before.memory, MEMORY_BYTES);
    memcpy(host->gpr, before.gpr, sizeof host->gpr);
    host->rflags = before.flags | 0x202;
    on_host(i, bytes, &native);
    if (same(i, &before, &guest, &native))
        return true;
    report(i, bytes, &before, &guest, &native);
    return false;
}

int main(int argc, char **argv)
{
    unsigned long attempts = 400000, compared = 0, different = 0;
    int option;
    bool verbose = false;
    while ((option = getopt(argc, argv, "n:s:v")) != -1) {
        if (option == 'n')
            attempts = strtoul(optarg, NULL, 0);
        else if (option == 's')
            random_state = strtoull(optarg, NULL, 0);
        else
            verbose = true;
    }
    if (!host_cpu_init(&host))
        return 77;
    cpu = bare_cpu_new("max");
    for (unsigned long k = 0; k < attempts && different < 40; k++) {
        uint8_t bytes[INSN_MAX_BYTES];
        struct insn i;
        random_bytes(bytes);
        if (decode_insn(&i, bytes, sizeof bytes, 64) != DECODE_OK || !comparable(&i) ||
            !registers_for(&i))
            continue;
        compared++;
        runs[i.op]++;
        different += !compare(&i, bytes);
    }
    for (unsigned op = 0; verbose && op < OP_COUNT; op++)
        if (op_table[op].class == CLASS_INT)
            printf("%8lu %s\n", runs[op], op_name(op));
    printf("%lu compared, %lu different\n", compared, different);
    bare_cpu_free(cpu);
    return different || compared < attempts / 20;
}
