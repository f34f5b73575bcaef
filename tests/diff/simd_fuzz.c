/* SPDX-License-Identifier: MIT */
/*
 * simd_fuzz.c - arbitrary bytes that decode to an operation run on the host, in 16-, 32- and
 * 64-bit code: nothing that a guest can write may make the host process trap. Any signal fails
 * the test.
 *
 * usage: simd_fuzz [-n attempts] [-s seed]
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "bare_cpu.h"
#include "cpu/cpuid.h"
#include "cpu/fpu.h"
#include "host_cpu.h"

static uint64_t random_state = 1;

static uint64_t rnd(void)
{
    uint64_t z = (random_state += 0x9e3779b97f4a7c15ull);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

/* Bytes that lead into the maps of SIMD and x87 instructions. */
static void random_bytes(uint8_t bytes[INSN_MAX_BYTES])
{
    static const uint8_t prefixes[] = {0x66, 0xf2, 0xf3, 0x67, 0x2e, 0x64, 0x48, 0x4f, 0x41};
    unsigned n = 0;
    for (unsigned k = 0; k < INSN_MAX_BYTES; k++)
        bytes[k] = (uint8_t)rnd();
    while (rnd() % 3 == 0 && n < 4)
        bytes[n++] = prefixes[rnd() % sizeof prefixes];
    switch (rnd() % 6) {
    case 0:
        bytes[n++] = 0x0f;
        if (rnd() % 3 == 0)
            bytes[n++] = rnd() & 1 ? 0x38 : 0x3a;
        break;
    case 1:
        bytes[n++] = 0xc5;
        break;
    case 2:
        bytes[n++] = 0xc4;
        bytes[n] = (uint8_t)((rnd() & 0xe0) | (1 + rnd() % 3));
        break;
    case 3:
        bytes[n] = (uint8_t)(0xd8 | (rnd() & 7));
        break;
    default:
        bytes[n++] = 0x62;
        bytes[n] = (uint8_t)((rnd() & 0xf0) | (1 + rnd() % 6));
        bytes[n + 1] |= 4;
    }
}

static void random_registers(struct vcpu *c)
{
    uint64_t *words = (uint64_t *)c->fpu.zmm;
    bool avx512 = cpu_has(c, ISA_AVX512F), avx = cpu_has(c, ISA_AVX);
    for (unsigned n = 0; n < 32; n++)
        for (unsigned w = 0; w < (avx512 ? 8u : n >= 16 ? 0u : avx ? 4u : 2u); w++)
            words[8 * n + w] = rnd();
    for (unsigned n = 0; n < 8 && avx512; n++)
        c->fpu.k[n] = rnd();
    for (unsigned n = 0; n < 16; n++)
        c->gpr[n] = rnd() & 1 ? SCRATCH + 64 * (rnd() & 127) : rnd();
    for (unsigned n = 0; n < 8; n++)
        for (unsigned k = 0; k < 10; k++)
            c->fpu.fx.st[n][k] = (uint8_t)rnd();
    c->fpu.fx.fcw = (uint16_t)rnd();
    c->fpu.fx.fsw = (uint16_t)rnd();
    c->fpu.fx.ftw = (uint8_t)rnd();
    fpu_status_update(c);
    c->fpu.mxcsr = (uint32_t)rnd() & MXCSR_MASK;
}

int main(int argc, char **argv)
{
    struct host_context *host;
    unsigned long attempts = 3000000, executed = 0, faults = 0;
    int option;
    while ((option = getopt(argc, argv, "n:s:")) != -1) {
        if (option == 'n')
            attempts = strtoul(optarg, NULL, 0);
        else
            random_state = strtoull(optarg, NULL, 0);
    }
    if (!host_cpu_init(&host))
        return 77;
    struct vcpu *cpus[3];
    for (unsigned n = 0; n < 3; n++)
        cpus[n] = bare_cpu_new("max");
    bare_cpu_mode32(cpus[1]);
    bare_cpu_mode_real(cpus[2]);
    cpus[2]->cr0 &= ~(uint64_t)CR0_NE;
    for (unsigned long k = 0; k < attempts; k++) {
        struct vcpu *c = cpus[k % 3];
        uint8_t bytes[INSN_MAX_BYTES];
        struct insn i;
        random_bytes(bytes);
        if (decode_insn(&i, bytes, sizeof bytes, bare_cpu_bits(c)) != DECODE_OK ||
            op_table[i.op].class < CLASS_FPU)
            continue;
        if (k % 16 < 3)
            random_registers(c);
        executed++;
        faults += bare_cpu_run(c, bytes, i.length) == STOP_FAULT;
    }
    printf("%lu instructions, %lu faults\n", executed, faults);
    for (unsigned n = 0; n < 3; n++)
        bare_cpu_free(cpus[n]);
    return executed < attempts / 20;
}
