/* SPDX-License-Identifier: MIT */
/*
 * simd_test.c - every table row of class HOST, and the vector memory operations, against the
 * host CPU: random encodings of the row, random registers, memory and modes; the same bytes run
 * once through op_host and once directly. All registers, memory, flags and faults must agree.
 *
 * usage: simd_test [-n cases-per-row] [-s seed] [-m CPU-MODEL] [-o OPERATION] [-v]
 *
 * A model without AVX-512 is run as on a host without it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "bare_cpu.h"
#include "cpu/access.h"
#include "cpu/cpuid.h"
#include "cpu/decode/decoder.h"
#include "cpu/fpu.h"
#include "cpu/interp/hostexec.h"
#include "cpu/interp/operands.h"
#include "host_cpu.h"

static uint64_t random_state;

static uint64_t rnd(void)
{
    uint64_t z = (random_state += 0x9e3779b97f4a7c15ull);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}
static unsigned below(unsigned n)
{
    return (unsigned)(rnd() % n);
}
static bool one_in(unsigned n)
{
    return below(n) == 0;
}

/* ---- encodings ---- */

struct encoding {
    uint8_t bytes[16];
    unsigned length;
};

static void put(struct encoding *e, unsigned byte)
{
    e->bytes[e->length++] = (uint8_t)byte;
}

static void put_prefixes(struct encoding *e, const struct optab_row *row, unsigned opcode)
{
    unsigned encoding = row->encoding, key = (unsigned)row->condition;
    unsigned mask = (unsigned)(row->condition >> CONDITION_MASK_SHIFT);
    unsigned pp = mask & 3 ? key & 3 : 0, r = (unsigned)rnd();
    unsigned w = mask >> KEY_W_SHIFT & 1 ? key >> KEY_W_SHIFT & 1 : r & 1;
    unsigned l = mask >> KEY_L_SHIFT & 3 ? key >> KEY_L_SHIFT & 3 : r >> 1 & 3;
    static const uint8_t legacy[4] = {0, 0x66, 0xf3, 0xf2};
    if (encoding < ENCODING_VEX0) {
        if (row->state == STATE_X87 && one_in(4))
            put(e, 0x66); /* 16-bit images, else nothing */
        if (pp)
            put(e, legacy[pp]);
        if (r & 4 || w)
            put(e, 0x40 | (w && (r & 8)) << 3 | (r >> 4 & 5));
        if (encoding != ENCODING_ONE)
            put(e, 0x0f);
        if (encoding == ENCODING_0F38 || encoding == ENCODING_0F3A)
            put(e, encoding == ENCODING_0F38 ? 0x38 : 0x3a);
    } else if (encoding < ENCODING_EVEX0) {
        put(e, 0xc4);
        put(e, (r >> 8 & 0xa0) | 0x40 | (encoding - ENCODING_VEX0));
        put(e, w << 7 | (one_in(2) ? 15 : below(16)) << 3 | (l & 1) << 2 | pp);
    } else {
        put(e, 0x62);
        put(e, (r >> 8 & 0xf0) | (encoding - ENCODING_EVEX0));
        put(e, w << 7 | (one_in(2) ? 15 : below(16)) << 3 | 4 | pp);
        put(e, (one_in(3) ? 0x80 : 0) | l << 5 | (one_in(4) ? 0x10 : 0) | (one_in(4) ? 0 : 8) |
                   (one_in(2) ? 0 : below(8)));
    }
    put(e, opcode);
}

/* modrm with [rsi], [rsi + disp8], or for VSIB [rsi + index]. */
static void put_modrm(struct encoding *e, const struct optab_row *row)
{
    unsigned key = (unsigned)row->condition;
    unsigned mask = (unsigned)(row->condition >> CONDITION_MASK_SHIFT);
    unsigned modrm = (unsigned)rnd() & 0x38;
    bool vsib = row->operands[0].kind == KIND_VSIB || row->operands[1].kind == KIND_VSIB;
    if (mask >> KEY_REG_SHIFT & 7)
        modrm = (key >> KEY_REG_SHIFT & 7) << 3;
    if (vsib) {
        put(e, modrm | 4);
        put(e, (unsigned)(rnd() & 0xf8) | RSI);
    } else if (one_in(2)) {
        put(e, 0xc0 | modrm | (mask >> KEY_RM_SHIFT & 7 ? key >> KEY_RM_SHIFT & 7 : below(8)));
    } else if (one_in(2)) {
        put(e, modrm | RSI);
    } else {
        put(e, 0x40 | modrm | RSI);
        put(e, (below(16) - 8) & 0xff); /* times 64 at most */
    }
}

/* A random encoding of this row; false if none is found. */
static bool encode(unsigned number, struct encoding *e, struct insn *i)
{
    const struct optab_row *row = &optab_rows[number];
    for (unsigned attempt = 0; attempt < 4000; attempt++) {
        e->length = 0;
        put_prefixes(e, row, row->opcode);
        put_modrm(e, row);
        for (unsigned n = 0; n < 2; n++)
            put(e, (unsigned)rnd());
        if (decode_insn(i, e->bytes, e->length, 64) != DECODE_OK || i->row != number)
            continue;
        if (i->mem && i->base != RSI)
            continue; /* REX.B */
        e->length = i->length;
        return true;
    }
    return false;
}

/* ---- random state ---- */

static struct vcpu *cpu;
static struct host_context *host;
static struct host_cpu host_info;
static uint32_t mxcsr_mask;

static uint64_t random_double(void)
{
    static const uint64_t special[] = {
        0,
        0x8000000000000000ull,
        0x7ff0000000000000ull,
        0xfff0000000000000ull,
        0x7ff8000000000000ull,
        0x7ff0000000000001ull,
        1,
        0x000fffffffffffffull,
        0x0010000000000000ull,
        0x7fefffffffffffffull,
        0x3ff0000000000000ull,
        0xbff0000000000000ull,
        0x41e0000000000000ull,
        0x43e0000000000000ull,
        0x4024000000000000ull,
        0x3fe0000000000000ull,
    };
    switch (below(4)) {
    case 0:
        return special[below(16)];
    case 1: {
        double v = (double)(int64_t)rnd() / (1ull << below(63));
        uint64_t bits;
        memcpy(&bits, &v, 8);
        return bits;
    }
    default:
        return rnd();
    }
}

static uint32_t random_float(void)
{
    static const uint32_t special[] = {0,          0x80000000, 0x7f800000, 0xff800000,
                                       0x7fc00000, 0x7f800001, 1,          0x007fffff,
                                       0x00800000, 0x7f7fffff, 0x3f800000, 0xbf800000,
                                       0x4f000000, 0x5f000000, 0x41200000, 0x3f000000};
    switch (below(4)) {
    case 0:
        return special[below(16)];
    case 1: {
        float v = (float)(int32_t)rnd() / (float)(1u << below(31));
        uint32_t bits;
        memcpy(&bits, &v, 4);
        return bits;
    }
    default:
        return (uint32_t)rnd();
    }
}

static void random_bytes(uint8_t *p, unsigned bytes)
{
    unsigned how = below(4);
    for (unsigned n = 0; n + 8 <= bytes; n += 8) {
        uint64_t v = how == 0   ? random_double()
                     : how == 1 ? random_float() | (uint64_t)random_float() << 32
                     : how == 2 ? rnd()
                                : rnd() & rnd() & 0x0f0f0f0f0f0f0f0full;
        store_le(p + n, v, 8);
    }
}

static void random_st(uint8_t *p)
{
    static const uint16_t exponents[] = {0,      1,      0x3ffe, 0x3fff, 0x4000,
                                         0x401e, 0x403e, 0x7ffe, 0x7fff, 0xbfff,
                                         0x8000, 0xffff, 0x3f80, 0x4040};
    uint64_t mantissa = one_in(4) ? BIT64(63) : one_in(6) ? 0 : rnd() | BIT64(63);
    if (one_in(10))
        mantissa = rnd();
    store_le(p, mantissa, 8);
    store_le(p + 8, one_in(4) ? rnd() : exponents[below(14)], 2);
}

static void random_x87(struct fpu_state *f)
{
    f->fx.fcw = (uint16_t)(0x40 | (one_in(4) ? below(64) : 0x3f) | below(4) << 10 |
                           (one_in(3) ? below(4) : 3) << 8);
    f->fx.fsw = (uint16_t)(below(8) << 11 | (rnd() & 0x4700));
    if (one_in(3))
        f->fx.fsw |= (uint16_t)(below(128) & f->fx.fcw & 0x3f);
    f->fx.ftw = (uint8_t)(one_in(3) ? rnd() : 0xff);
    for (unsigned n = 0; n < 8; n++)
        random_st(f->fx.st[n]);
}

static void random_state_set(const struct insn *i)
{
    struct fpu_state *f = &cpu->fpu;
    bool avx512 = cpu_has(cpu, ISA_AVX512F), avx = cpu_has(cpu, ISA_AVX);
    memset(f->zmm, 0, sizeof f->zmm);
    for (unsigned n = 0; n < (avx512 ? 32 : 16); n++)
        random_bytes(f->zmm[n], avx512 ? 64 : avx ? 32 : 16);
    for (unsigned n = 0; n < 8; n++)
        f->k[n] = avx512 ? (one_in(4) ? 0 : rnd()) : 0;
    random_x87(f);
    f->mxcsr = (uint32_t)(one_in(4) ? below(64) << 7 : 0x1f80) | (uint32_t)(rnd() & 0xe040);
    for (unsigned n = 0; n < 16; n++)
        cpu->gpr[n] = one_in(3) ? below(40) : rnd();
    cpu->gpr[RSP] = SCRATCH + 256;
    cpu->gpr[RSI] = SCRATCH + 4096 + 64 * below(32);
    if (one_in(8))
        cpu->gpr[RSI] += below(64);
    if (one_in(8))
        cpu->gpr[RSI] = SCRATCH_END - below(72);
    if (i->op == OP_MASKMOVDQU || i->op == OP_MASKMOVQ || i->op == OP_VMASKMOVDQU)
        cpu->gpr[RDI] = SCRATCH + 4096 - below(16); /* bytes masked out may fault or not */
    if (insn_row(i)->operands[0].kind == KIND_VSIB ||
        insn_row(i)->operands[1].kind == KIND_VSIB)
        for (unsigned n = 0; n < 64; n += 4) {
            bool quad = insn_row(i)->opcode & 1;
            store_le(f->zmm[i->index] + n, quad && n & 4 ? 0 : below(128), 4);
        }
    cpu->flags = (uint32_t)rnd() & FLAGS_ARITH;
    random_bytes((uint8_t *)SCRATCH, SCRATCH_BYTES - 4096);
    f->fip = f->fdp = 0; /* the host's are those of the test itself */
    f->fcs = f->fds = f->fop = 0;
}

/* Not privileged, and the same in 64-bit user mode here and there. */
static bool is_ours(unsigned op)
{
    if (op == OP_XSAVES || op == OP_XRSTORS)
        return false;
    return op_table[op].class == CLASS_HOST || op_table[op].class == CLASS_FPU;
}

static bool is_state_image(unsigned op)
{
    return op_table[op].class == CLASS_FPU && op < OP_MASKMOVQ;
}

/* ---- state images in memory ---- */

static void image_build(uint8_t *x, const struct fpu_state *f);

/* Memory that LDMXCSR, FXRSTOR and XRSTOR can load, most of the time. */
static void random_image(const struct insn *i)
{
    uint64_t at = insn_offset(cpu, i);
    uint8_t image[HOST_XSAVE_BYTES];
    uint32_t mxcsr = (uint32_t)rnd() & (one_in(8) ? ~0u : MXCSR_MASK);
    if (at < SCRATCH || at > SCRATCH_END)
        return;
    size_t room = SCRATCH_END - at, bytes = sizeof image;
    image_build(image, &cpu->fpu);
    random_bytes(image + 32, 384);
    store_le(image + 24, mxcsr, 4);
    store_le(image + 512, rnd() & (one_in(8) ? 0x18 : cpu->xcr0), 8);
    store_le(image + 520, one_in(8) ? rnd() & 0xff : 0, 8);
    if (i->op == OP_LDMXCSR || i->op == OP_VLDMXCSR) {
        store_le(image, mxcsr, 4);
        bytes = 4;
    } else if (i->op == OP_FXRSTOR) {
        bytes = 512;
    } else if (i->op != OP_XRSTOR) {
        return;
    }
    memcpy((void *)at, image, bytes < room ? bytes : room);
}

static void state_image_setup(const struct insn *i)
{
    struct fpu_state *f = &cpu->fpu;
    cpu->gpr[RSI] = SCRATCH + 1024 + 64 * below(i->op == OP_XRSTOR ? 64 : 80);
    if (one_in(8))
        cpu->gpr[RSI] += below(64);
    cpu->gpr[RAX] = (one_in(2) ? ~0ull : rnd()) & cpu->xcr0; /* the host may know more */
    cpu->gpr[RDX] = 0;
    if (one_in(3))
        memset(f->k, 0, sizeof f->k);
    if (one_in(3))
        memset(f->zmm[16], 0, sizeof f->zmm / 2);
    for (unsigned n = 0; n < 16 && one_in(3); n++)
        memset(f->zmm[n] + 32, 0, 32);
    random_image(i);
}

/* ---- both sides ---- */

static void image_build(uint8_t *x, const struct fpu_state *f)
{
    memset(x, 0, HOST_XSAVE_BYTES);
    memcpy(x, &f->fx, 6);
    store_le(x + 24, f->mxcsr, 4);
    for (unsigned n = 0; n < 8; n++)
        memcpy(x + 32 + 16 * n, f->fx.st[n], 10);
    for (unsigned n = 0; n < 16; n++) {
        memcpy(x + 160 + 16 * n, f->zmm[n], 16);
        if (host_info.xsave[XCOMP_AVX].size)
            memcpy(x + host_info.xsave[XCOMP_AVX].offset + 16 * n, f->zmm[n] + 16, 16);
        if (host_info.xsave[XCOMP_ZMM_HI256].size) {
            memcpy(x + host_info.xsave[XCOMP_ZMM_HI256].offset + 32 * n, f->zmm[n] + 32, 32);
            memcpy(x + host_info.xsave[XCOMP_HI16_ZMM].offset + 64 * n, f->zmm[16 + n], 64);
        }
    }
    if (host_info.xsave[XCOMP_OPMASK].size)
        memcpy(x + host_info.xsave[XCOMP_OPMASK].offset, f->k, 64);
    store_le(x + 512, host->xcr0, 8);
}

/* Components in their initial configuration are restored as such, so that XINUSE agrees. */
static void host_load(void)
{
    const struct fpu_state *f = &cpu->fpu;
    static const uint8_t zeros[1024];
    uint64_t unused = 0;
    image_build(host->xsave, f);
    if (!memcmp(f->k, zeros, 64))
        unused |= BIT64(XCOMP_OPMASK);
    if (!memcmp(f->zmm[16], zeros, 1024))
        unused |= BIT64(XCOMP_HI16_ZMM);
    bool hi256 = false;
    for (unsigned n = 0; n < 16; n++)
        hi256 |= memcmp(f->zmm[n] + 32, zeros, 32) != 0;
    if (!hi256)
        unused |= BIT64(XCOMP_ZMM_HI256);
    store_le(host->xsave + 512, host->xcr0 & ~unused, 8);
    memcpy(host->gpr, cpu->gpr, sizeof host->gpr);
    host->rflags = cpu->flags | 0x202;
}

static void host_store(struct fpu_state *f)
{
    const uint8_t *x = host->xsave;
    memset(f, 0, sizeof *f);
    memcpy(&f->fx, x, 6);
    f->mxcsr = (uint32_t)load_le(x + 24, 4);
    for (unsigned n = 0; n < 8; n++)
        memcpy(f->fx.st[n], x + 32 + 16 * n, 10);
    for (unsigned n = 0; n < 16; n++) {
        memcpy(f->zmm[n], x + 160 + 16 * n, 16);
        if (host_info.xsave[XCOMP_AVX].size)
            memcpy(f->zmm[n] + 16, x + host_info.xsave[XCOMP_AVX].offset + 16 * n, 16);
        if (host_info.xsave[XCOMP_ZMM_HI256].size) {
            memcpy(f->zmm[n] + 32, x + host_info.xsave[XCOMP_ZMM_HI256].offset + 32 * n, 32);
            memcpy(f->zmm[16 + n], x + host_info.xsave[XCOMP_HI16_ZMM].offset + 64 * n, 64);
        }
    }
    if (host_info.xsave[XCOMP_OPMASK].size)
        memcpy(f->k, x + host_info.xsave[XCOMP_OPMASK].offset, 64);
}

struct outcome {
    struct fpu_state fpu;
    uint64_t gpr[16];
    uint32_t flags;
    int fault; /* -1 none, else vector */
    uint8_t memory[SCRATCH_BYTES - 4096];
};

static void guest_run(const struct encoding *e, struct outcome *out)
{
    cpu->rip = 0x1000;
    enum weir_stop stop = bare_cpu_run(cpu, e->bytes, e->length);
    out->fault = stop == STOP_FAULT ? cpu->fault.vector : stop == STOP_NEXT ? -1 : -2;
    out->fpu = cpu->fpu;
    memcpy(out->gpr, cpu->gpr, sizeof out->gpr);
    out->flags = cpu->flags;
    memcpy(out->memory, (void *)SCRATCH, sizeof out->memory);
}

static int fault_of(enum host_end end)
{
    static const int faults[] = {[HOST_DONE] = -1,
                                 [HOST_SIGFPE] = VEC_XM,
                                 [HOST_SIGILL] = VEC_UD,
                                 [HOST_SIGSEGV] = VEC_GP};
    return faults[end];
}

static void host_run(const struct encoding *e, const struct insn *i, struct outcome *out)
{
    out->fault = fault_of(host_cpu_run(e->bytes, e->length));
    host_store(&out->fpu);
    memcpy(out->gpr, host->gpr, sizeof out->gpr);
    out->flags = (uint32_t)host->rflags & FLAGS_ARITH;
    /* MXCSR_MASK: the host may have bits that we do not offer. */
    uint64_t at = cpu->gpr[RSI] + (uint64_t)(int64_t)i->disp + 28;
    if (is_state_image(i->op) && at <= SCRATCH_END - 4 && load_le((void *)at, 4) == mxcsr_mask)
        store_le((void *)at, MXCSR_MASK, 4);
    memcpy(out->memory, (void *)SCRATCH, sizeof out->memory);
}

/* ---- comparison ---- */

/* What the manuals leave open. After an unmasked overflow or underflow PE tells about a result
 * that nobody sees; dot products stop at the first of their steps that has an exception; SHA
 * operands need alignment on Intel processors only. */
static bool tolerated(const struct insn *i, const struct outcome *g, const struct outcome *h)
{
    const char *name = op_name(i->op);
    uint32_t unmasked = g->fpu.mxcsr & ~(g->fpu.mxcsr >> 7);
    if (g->fault == VEC_GP && h->fault == -1)
        return strncmp(name, "SHA", 3) == 0;
    if (g->fault == VEC_PF && h->fault == -1) /* suppresses more faults than it must */
        return (i->evex & 7) && (strncmp(name, "VPS", 3) == 0);
    if (g->fault != VEC_XM || h->fault != VEC_XM)
        return false;
    if (strstr(name, "DPP"))
        return true;
    return unmasked & 0x18 && !(unmasked & 7) && (g->fpu.mxcsr | 0x20) == (h->fpu.mxcsr | 0x20);
}

static const char *difference(const struct outcome *g, const struct outcome *h)
{
    static char text[64];
    int fault = g->fault == VEC_PF ? VEC_GP : g->fault;
    if (fault != h->fault)
        return "fault";
    for (unsigned n = 0; n < 32; n++)
        if (memcmp(g->fpu.zmm[n], h->fpu.zmm[n], 64)) {
            snprintf(text, sizeof text, "zmm%u", n);
            return text;
        }
    for (unsigned n = 0; n < 16; n++)
        if (g->gpr[n] != h->gpr[n]) {
            snprintf(text, sizeof text, "gpr%u", n);
            return text;
        }
    if (memcmp(g->fpu.k, h->fpu.k, 64))
        return "k";
    if (g->flags != h->flags)
        return "flags";
    if (g->fpu.mxcsr != h->fpu.mxcsr)
        return "mxcsr";
    if (g->fpu.fx.fcw != h->fpu.fx.fcw || g->fpu.fx.fsw != h->fpu.fx.fsw)
        return "fsw";
    if (g->fpu.fx.ftw != h->fpu.fx.ftw)
        return "ftw";
    for (unsigned n = 0; n < 8; n++)
        if (memcmp(g->fpu.fx.st[n], h->fpu.fx.st[n], 10)) {
            snprintf(text, sizeof text, "st%u", n);
            return text;
        }
    return memcmp(g->memory, h->memory, sizeof g->memory) ? "memory" : NULL;
}

static void hex(const char *name, const void *data, unsigned bytes)
{
    printf("    %-8s", name);
    for (unsigned n = bytes; n-- > 0;)
        printf("%02x%s", ((const uint8_t *)data)[n], n % 8 ? "" : " ");
    printf("\n");
}

static void report(const struct encoding *e, const struct insn *i, const char *what,
                   const struct outcome *g, const struct outcome *h,
                   const struct outcome *before)
{
    printf("%s: %s differs:", op_name(i->op), what);
    for (unsigned n = 0; n < e->length; n++)
        printf(" %02x", e->bytes[n]);
    printf("  (row %u, fault %d, host %d, mxcsr %04x -> %04x, host %04x; fcw %04x fsw %04x -> "
           "%04x, host %04x; ftw %02x -> %02x, host %02x; rsi %llx)\n",
           i->row, g->fault, h->fault, before->fpu.mxcsr, g->fpu.mxcsr, h->fpu.mxcsr,
           before->fpu.fx.fcw, before->fpu.fx.fsw, g->fpu.fx.fsw, h->fpu.fx.fsw,
           before->fpu.fx.ftw, g->fpu.fx.ftw, h->fpu.fx.ftw,
           (unsigned long long)before->gpr[RSI]);
    unsigned n;
    if (sscanf(what, "zmm%u", &n) == 1) {
        hex("was", before->fpu.zmm[n], 64);
        hex("weir", g->fpu.zmm[n], 64);
        hex("host", h->fpu.zmm[n], 64);
    } else if (sscanf(what, "st%u", &n) == 1) {
        hex("was", before->fpu.fx.st[n], 10);
        hex("weir", g->fpu.fx.st[n], 10);
        hex("host", h->fpu.fx.st[n], 10);
    } else if (sscanf(what, "gpr%u", &n) == 1) {
        printf("    %llx host %llx\n", (unsigned long long)g->gpr[n],
               (unsigned long long)h->gpr[n]);
    } else if (*what == 'k') {
        hex("weir", g->fpu.k, 64);
        hex("host", h->fpu.k, 64);
    }
}

/* ---- the loop over the table ---- */

static bool host_has_row(const struct optab_row *row)
{
    if (row->feature != ISA_BASE && !cpu_has(cpu, row->feature))
        return false;
    if (row->state == STATE_AVX && !cpu_has(cpu, ISA_AVX))
        return false;
    return row->state != STATE_AVX512 || cpu_has(cpu, ISA_AVX512F);
}

/* One case; returns whether both sides agree. */
static bool run_case(const struct encoding *e, const struct insn *i)
{
    static struct outcome before, guest, direct;
    static uint8_t memory[SCRATCH_BYTES - 4096];
    random_state_set(i);
    if (is_state_image(i->op))
        state_image_setup(i);
    before.fpu = cpu->fpu;
    memcpy(before.gpr, cpu->gpr, sizeof before.gpr);
    memcpy(memory, (void *)SCRATCH, sizeof memory);
    host_load();
    guest_run(e, &guest);
    memcpy((void *)SCRATCH, memory, sizeof memory);
    host_run(e, i, &direct);
    if (guest.fault == VEC_PF &&
        strstr(op_name(i->op), "GATHER")) /* not there yet: not zeroed */
        memcpy(guest.fpu.zmm[i->reg] + i->vector_bytes,
               direct.fpu.zmm[i->reg] + i->vector_bytes, 64u - i->vector_bytes);
    const char *what = difference(&guest, &direct);
    if (what && tolerated(i, &guest, &direct))
        what = NULL;
    if (what)
        report(e, i, what, &guest, &direct, &before);
    return what == NULL;
}

struct options {
    unsigned cases;
    const char *op, *model;
    bool verbose;
};

static unsigned run_row(unsigned number, const struct options *options, unsigned *done)
{
    const struct optab_row *row = &optab_rows[number];
    unsigned failures = 0;
    for (unsigned n = 0; n < options->cases; n++) {
        struct encoding e;
        struct insn i;
        if (!encode(number, &e, &i)) {
            if (n == 0)
                printf("%s: no encoding found for row %u\n", op_name(row->op), number);
            return n ? failures : 1;
        }
        if (insn_needs_vl(&i) && !cpu_has(cpu, ISA_AVX512VL))
            continue;
        (*done)++;
        if (!run_case(&e, &i) && ++failures >= 3)
            break;
    }
    return failures;
}

int main(int argc, char **argv)
{
    struct options options = {.cases = 40, .model = "max"};
    unsigned rows = 0, cases = 0, failures = 0;
    int option;
    random_state = 1;
    while ((option = getopt(argc, argv, "n:s:o:m:v")) != -1) {
        if (option == 'n')
            options.cases = (unsigned)atoi(optarg);
        else if (option == 's')
            random_state = strtoull(optarg, NULL, 0);
        else if (option == 'o')
            options.op = optarg;
        else if (option == 'm')
            options.model = optarg;
        else
            options.verbose = option == 'v';
    }
    if (!host_cpu_init(&host))
        return 77;
    cpuid_host_read(&host_info);
    _Alignas(16) uint8_t image[512];
    __asm__ volatile("fxsave64 %0" : "=m"(image));
    mxcsr_mask = (uint32_t)load_le(image + 28, 4);
    cpu = bare_cpu_new(options.model);
    if (!cpu_has(cpu, ISA_AVX512F))
        cpu->host->has_avx512 = cpu->host->has_avx512bw = false;
    for (unsigned n = 0; n < optab_row_count; n++) {
        const struct optab_row *row = &optab_rows[n];
        if (!is_ours(row->op) || !host_has_row(row) ||
            (options.op && strcmp(options.op, op_name(row->op)) != 0))
            continue;
        rows++;
        if (options.verbose)
            printf("%u %s\n", n, op_name(row->op));
        fflush(stdout);
        failures += run_row(n, &options, &cases) != 0;
    }
    printf("%u rows, %u cases, %u rows differ\n", rows, cases, failures);
    bare_cpu_free(cpu);
    return failures != 0;
}
