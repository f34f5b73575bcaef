/* SPDX-License-Identifier: MIT */
/* fpu_test.c - x87 and SIMD where the host cannot be asked: faults by control registers, FERR#,
 * other modes' images, compacted areas, CPU models, register access. */
// clang-format off
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "bare_cpu.h"
#include "cpu/cpuid.h"
#include "cpu/fpu.h"

#define RUN(c, ...)                                                                            \
    bare_cpu_run(c, (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))
#define EXPECT_FAULT(c, number, ...)                                                           \
    do {                                                                                       \
        assert_int_equal(RUN(c, __VA_ARGS__), STOP_FAULT);                                     \
        assert_int_equal((c)->fault.vector, number);                                           \
    } while (0)
#define EXPECT_NEXT(c, ...) assert_int_equal(RUN(c, __VA_ARGS__), STOP_NEXT)

#define FADD     0xd8, 0xc1             /* fadd st, st1 */
#define FLD1     0xd9, 0xe8             /* fld1 */
#define FLDZ     0xd9, 0xee             /* fldz */
#define FDIVP    0xde, 0xf9             /* fdivp st1, st */
#define FNCLEX   0xdb, 0xe2             /* fnclex */
#define FNSTSW   0xdf, 0xe0             /* fnstsw ax */
#define FWAIT    0x9b                   /* fwait */
#define ADDPS    0x0f, 0x58, 0xc1       /* addps xmm0, xmm1 */
#define ADDPD    0x66, 0x0f, 0x58, 0xc1 /* addpd xmm0, xmm1 */
#define DIVPS    0x0f, 0x5e, 0xc1       /* divps xmm0, xmm1 */
#define PADDB_MM 0x0f, 0xfc, 0xc1       /* paddb mm0, mm1 */
#define VADDPS   0xc5, 0xf0, 0x58, 0xc2 /* vaddps xmm0, xmm1, xmm2 */

static struct vcpu *shared;

static struct vcpu *fresh(void)
{
    struct vcpu *c = shared;
    memset(c->gpr, 0, sizeof c->gpr);
    fpu_reset(c);
    fpu_x87_init(c);
    c->gpr[RSI] = SCRATCH + 1024;
    memset((void *)SCRATCH, 0xa5, SCRATCH_BYTES - 4096);
    return c;
}

/* Puts control registers back that a test changes. */
struct control {
    uint64_t cr0, cr4, xcr0, efer;
    struct segment seg[6];
};
static struct control control_save(const struct vcpu *c)
{
    struct control k = {c->cr0, c->cr4, c->xcr0, c->efer, {{0}}};
    memcpy(k.seg, c->seg, sizeof k.seg);
    return k;
}
static void control_restore(struct vcpu *c, const struct control *k)
{
    c->cr0 = k->cr0;
    c->cr4 = k->cr4;
    c->xcr0 = k->xcr0;
    c->efer = k->efer;
    memcpy(c->seg, k->seg, sizeof k->seg);
    cpu_mode_update(c);
}

static void test_not_available(void **state)
{
    struct vcpu *c = fresh();
    struct control k = control_save(c);
    c->cr0 |= CR0_TS;
    EXPECT_FAULT(c, VEC_NM, FADD);
    EXPECT_FAULT(c, VEC_NM, ADDPS);
    EXPECT_FAULT(c, VEC_NM, PADDB_MM);
    EXPECT_FAULT(c, VEC_NM, FWAIT);
    EXPECT_FAULT(c, VEC_NM, 0x0f, 0xae, 0x06); /* fxsave */
    if (cpu_has(c, ISA_AVX))
        EXPECT_FAULT(c, VEC_NM, VADDPS);
    c->cr0 &= ~(uint64_t)CR0_MP;
    EXPECT_NEXT(c, FWAIT);
    c->cr0 = (k.cr0 & ~(uint64_t)CR0_TS) | CR0_EM;
    EXPECT_FAULT(c, VEC_NM, FADD);
    EXPECT_FAULT(c, VEC_UD, ADDPS);
    EXPECT_FAULT(c, VEC_UD, PADDB_MM);
    EXPECT_NEXT(c, FWAIT);
    control_restore(c, &k);
    c->cr4 &= ~(uint64_t)CR4_OSFXSR;
    EXPECT_FAULT(c, VEC_UD, ADDPS);
    EXPECT_NEXT(c, PADDB_MM);
    control_restore(c, &k);
}

static void test_avx_enabling(void **state)
{
    struct vcpu *c = fresh();
    struct control k = control_save(c);
    if (!cpu_has(c, ISA_AVX))
        skip();
    EXPECT_NEXT(c, VADDPS);
    c->cr0 |= CR0_EM; /* does not matter to VEX */
    EXPECT_NEXT(c, VADDPS);
    control_restore(c, &k);
    c->xcr0 = 3;
    EXPECT_FAULT(c, VEC_UD, VADDPS);
    c->xcr0 = k.xcr0;
    c->cr4 &= ~(uint64_t)CR4_OSXSAVE;
    EXPECT_FAULT(c, VEC_UD, VADDPS);
    EXPECT_FAULT(c, VEC_UD, 0x0f, 0xae, 0x26); /* xsave */
    control_restore(c, &k);
    bare_cpu_mode32(c);
    EXPECT_NEXT(c, VADDPS);
    bare_cpu_mode_real(c);
    EXPECT_FAULT(c, VEC_UD, VADDPS);
    control_restore(c, &k);
    if (!cpu_has(c, ISA_AVX512F))
        return;
    EXPECT_NEXT(c, 0x62, 0xf1, 0x74, 0x48, 0x58, 0xc2); /* vaddps zmm0, zmm1, zmm2 */
    c->xcr0 = 7;
    EXPECT_FAULT(c, VEC_UD, 0x62, 0xf1, 0x74, 0x48, 0x58, 0xc2);
    control_restore(c, &k);
}

/* 1/0 with ZE unmasked. */
static void divide_by_zero(struct vcpu *c)
{
    c->fpu.fx.fcw = 0x37b;
    EXPECT_NEXT(c, FLD1);
    EXPECT_NEXT(c, FLDZ);
    EXPECT_NEXT(c, FDIVP);
}

static void test_x87_exception(void **state)
{
    struct vcpu *c = fresh();
    divide_by_zero(c);
    EXPECT_NEXT(c, FNSTSW);
    assert_int_equal(c->gpr[RAX] & 0x80ff, 0x8084);
    EXPECT_FAULT(c, VEC_MF, FADD);
    EXPECT_FAULT(c, VEC_MF, FWAIT);
    EXPECT_FAULT(c, VEC_MF, PADDB_MM);
    EXPECT_FAULT(c, VEC_MF, 0x0f, 0x77); /* emms */
    EXPECT_NEXT(c, ADDPS);
    EXPECT_NEXT(c, FNCLEX);
    EXPECT_NEXT(c, FADD);
}

struct ferr_line {
    int level, changes;
};
static void ferr(void *ctx, int level)
{
    struct ferr_line *line = ctx;
    line->level = level;
    line->changes++;
}

static void test_ferr(void **state)
{
    struct vcpu *c = fresh();
    struct control k = control_save(c);
    struct ferr_line line = {0, 0};
    c->cr0 &= ~(uint64_t)CR0_NE;
    c->wires.ferr = ferr;
    c->wires.ctx = &line;
    divide_by_zero(c);
    assert_int_equal(line.level, 0);
    assert_int_equal(RUN(c, FADD), STOP_REPEAT); /* IRQ 13 comes in here */
    assert_int_equal(line.level, 1);
    EXPECT_NEXT(c, FADD); /* not served: as with IGNNE# */
    assert_int_equal(c->fpu.fx.fcw, 0x37b);
    assert_true(c->fpu.fx.fsw & FSW_ES);
    EXPECT_NEXT(c, FNCLEX);
    assert_int_equal(line.level, 0);
    assert_int_equal(line.changes, 2);
    c->wires.ferr = NULL;
    control_restore(c, &k);
}

/* An unmasked invalid operation keeps FISTP from storing and popping. */
static void test_x87_store(void **state)
{
    struct vcpu *c = fresh();
    c->fpu.fx.fcw = 0x37e;
    EXPECT_NEXT(c, FLD1);
    c->fpu.fx.st[0][9] = 0x7f;  /* far too big */
    EXPECT_NEXT(c, 0xdb, 0x1e); /* fistp dword [rsi] */
    assert_int_equal(load_le((void *)(SCRATCH + 1024), 4), 0xa5a5a5a5);
    assert_int_equal(c->fpu.fx.fsw >> 11 & 7, 7);
    EXPECT_NEXT(c, FNCLEX);
    c->fpu.fx.fcw = 0x37f;
    EXPECT_NEXT(c, 0xdb, 0x1e);
    assert_int_equal(load_le((void *)(SCRATCH + 1024), 4), 0x80000000);
    assert_int_equal(c->fpu.fx.fsw >> 11 & 7, 0);
    /* A store that faults leaves the stack alone. */
    EXPECT_NEXT(c, FLD1);
    c->gpr[RSI] = SCRATCH_END - 2;
    EXPECT_FAULT(c, VEC_PF, 0xdb, 0x1e);
    assert_int_equal(c->fpu.fx.fsw >> 11 & 7, 7);
    assert_int_equal(c->fault.address, SCRATCH_END);
}

static void test_pointers(void **state)
{
    struct vcpu *c = fresh();
    store_le((void *)(SCRATCH + 1032), 0x3ff0000000000000ull, 8);
    c->rip = 0x4321;
    c->fpu.fx.fcw = 0x37e;                  /* with all masked the pointers are not kept */
    EXPECT_NEXT(c, 0xdd, 0x46, 0x08);       /* fld qword [rsi + 8] */
    EXPECT_NEXT(c, FNSTSW);                 /* no trace of it */
    EXPECT_NEXT(c, 0x48, 0x0f, 0xae, 0x06); /* fxsave64 [rsi] */
    assert_int_equal(load_le((void *)(SCRATCH + 1024 + 8), 8), 0x4321);
    assert_int_equal(load_le((void *)(SCRATCH + 1024 + 16), 8), SCRATCH + 1032);
    assert_int_equal(load_le((void *)(SCRATCH + 1024 + 6), 2), 0x546);
    c->gpr[RSI] = SCRATCH;
    EXPECT_NEXT(c, 0x0f, 0xae, 0x06);
    assert_int_equal(load_le((void *)(SCRATCH + 12), 4), 8);    /* CS */
    assert_int_equal(load_le((void *)(SCRATCH + 20), 4), 0x10); /* DS */
}

static void test_environment_real_mode(void **state)
{
    struct vcpu *c = fresh();
    struct control k = control_save(c);
    bare_cpu_mode_real(c);
    c->seg[SEG_CS].selector = 0x1234;
    c->seg[SEG_DS].base = SCRATCH; /* out of reach of real mode, but where memory is */
    cpu_mode_update(c);
    c->rip = 0x5678;
    c->gpr[RSI] = 0;
    c->seg[SEG_DS].selector = 0x2000;
    c->fpu.fx.fcw = 0x37e;            /* with all masked the pointers are not kept */
    EXPECT_NEXT(c, 0xd9, 0x44, 0x10); /* fld dword [si + 16] */
    c->fpu.fx.fcw = 0x37f;
    EXPECT_NEXT(c, 0xd9, 0x74, 0x40);       /* fnstenv14 [si + 64] */
    EXPECT_NEXT(c, 0x66, 0xd9, 0x74, 0x60); /* fnstenv28 [si + 96] */
    const uint8_t *env = (const uint8_t *)SCRATCH + 64;
    uint32_t fip = 0x12340 + 0x5678, fdp = 0x20010;
    assert_int_equal(load_le(env, 2), 0x37f);
    assert_int_equal(load_le(env + 6, 2), fip & 0xffff);
    assert_int_equal(load_le(env + 8, 2), fip >> 16 << 12 | 0x144);
    assert_int_equal(load_le(env + 10, 2), fdp & 0xffff);
    assert_int_equal(load_le(env + 12, 2), fdp >> 16 << 12);
    assert_int_equal(env[14], 0xa5);
    env += 32;
    assert_int_equal(load_le(env, 4), 0xffff037f);
    assert_int_equal(load_le(env + 12, 2), fip & 0xffff);
    assert_int_equal(load_le(env + 16, 4), fip >> 16 << 12 | 0x144);
    assert_int_equal(load_le(env + 24, 4), fdp >> 16 << 12);
    EXPECT_NEXT(c, 0xd9, 0x64, 0x40); /* fldenv14 */
    assert_int_equal(c->fpu.fip, fip);
    assert_int_equal(c->fpu.fdp, fdp);
    control_restore(c, &k);
}

static void test_alignment(void **state)
{
    struct vcpu *c = fresh();
    EXPECT_NEXT(c, 0x0f, 0x28, 0x06); /* movaps xmm0, [rsi] */
    c->gpr[RSI] += 8;
    EXPECT_FAULT(c, VEC_GP, 0x0f, 0x28, 0x06);
    EXPECT_FAULT(c, VEC_GP, 0x0f, 0x29, 0x06);
    EXPECT_FAULT(c, VEC_GP, 0x0f, 0x58, 0x06); /* addps */
    EXPECT_NEXT(c, 0x0f, 0x10, 0x06);          /* movups */
    EXPECT_FAULT(c, VEC_GP, 0x0f, 0xae, 0x06); /* fxsave */
    EXPECT_FAULT(c, VEC_GP, 0x0f, 0xae, 0x0e); /* fxrstor */
    c->gpr[RSI] = SCRATCH_END;                 /* aligned: a page fault */
    EXPECT_FAULT(c, VEC_PF, 0x0f, 0x28, 0x06);
    c->gpr[RSI] = SCRATCH;
    store_le((void *)SCRATCH, 0x10000, 4);
    EXPECT_FAULT(c, VEC_GP, 0x0f, 0xae, 0x16); /* ldmxcsr, reserved bit */
}

static void test_simd_exception(void **state)
{
    struct vcpu *c = fresh();
    struct control k = control_save(c);
    store_le(c->fpu.zmm[0], 0x3f800000, 4);
    store_le(c->fpu.zmm[0] + 4, 0x3f8000003f800000, 8);
    store_le(c->fpu.zmm[0] + 12, 0x3f800000, 4);
    EXPECT_NEXT(c, 0x0f, 0x28, 0xd8); /* movaps xmm3, xmm0 */
    c->fpu.mxcsr = 0x1d80;            /* ZM clear */
    EXPECT_FAULT(c, VEC_XM, DIVPS);
    assert_int_equal(c->fpu.mxcsr, 0x1d84);
    assert_memory_equal(c->fpu.zmm[0], c->fpu.zmm[3], 64);
    c->cr4 &= ~(uint64_t)CR4_OSXMMEXCPT;
    EXPECT_FAULT(c, VEC_UD, DIVPS);
    control_restore(c, &k);
    c->fpu.mxcsr = 0x1f80;
    EXPECT_NEXT(c, DIVPS);
    assert_int_equal(c->fpu.mxcsr, 0x1f84);
    assert_int_equal(load_le(c->fpu.zmm[0], 4), 0x7f800000);
}

static void test_fault_suppression(void **state)
{
    struct vcpu *c = fresh();
    if (!cpu_has(c, ISA_AVX512F))
        skip();
    c->gpr[RSI] = SCRATCH_END - 8;
    c->fpu.k[1] = 3;
    EXPECT_NEXT(c, 0x62, 0xf1, 0x7c, 0xc9, 0x10, 0x06); /* vmovups zmm0{k1}{z}, [rsi] */
    assert_int_equal(load_le(c->fpu.zmm[0], 8), 0xa5a5a5a5a5a5a5a5ull);
    assert_int_equal(load_le(c->fpu.zmm[0] + 8, 8), 0);
    EXPECT_NEXT(c, 0x62, 0xf1, 0x7c, 0x49, 0x11, 0x0e); /* vmovups [rsi]{k1}, zmm1 */
    assert_int_equal(load_le((void *)(SCRATCH_END - 8), 8), 0);
    c->fpu.k[1] = 7;
    memset((void *)(SCRATCH_END - 8), 0x5a, 8);
    EXPECT_FAULT(c, VEC_PF, 0x62, 0xf1, 0x7c, 0x49, 0x11, 0x0e);
    assert_int_equal(c->fault.address, SCRATCH_END);
    assert_int_equal(load_le((void *)(SCRATCH_END - 8), 8), 0x5a5a5a5a5a5a5a5aull);
    EXPECT_FAULT(c, VEC_PF, 0x62, 0xf1, 0x7c, 0xc9, 0x10, 0x06);
}

static void test_gather_restarts(void **state)
{
    struct vcpu *c = fresh();
    if (!cpu_has(c, ISA_AVX2))
        skip();
    const uint32_t index[4] = {0, 1, 8, 2}; /* the third lies behind the end */
    memcpy(c->fpu.zmm[2], index, 16);
    memset(c->fpu.zmm[3], 0xff, 16);
    c->gpr[RSI] = SCRATCH_END - 16;
    store_le((void *)(SCRATCH_END - 16), 0x2222222211111111, 8);
    EXPECT_FAULT(c, VEC_PF, 0xc4, 0xe2, 0x61, 0x90, 0x0c, 0x96); /* vpgatherdd xmm1, .., xmm3 */
    assert_int_equal(load_le(c->fpu.zmm[1], 8), 0x2222222211111111);
    assert_int_equal(load_le(c->fpu.zmm[3], 8), 0);
    assert_int_equal(load_le(c->fpu.zmm[3] + 8, 8), ~0ull);
    store_le(c->fpu.zmm[2] + 8, 3, 4);
    EXPECT_NEXT(c, 0xc4, 0xe2, 0x61, 0x90, 0x0c, 0x96);
    assert_int_equal(load_le(c->fpu.zmm[1] + 8, 8), 0xa5a5a5a5a5a5a5a5);
    assert_int_equal(load_le(c->fpu.zmm[3] + 8, 8), 0);
}

static uint32_t fill_vectors(struct vcpu *c)
{
    uint32_t checksum = 0;
    for (unsigned n = 0; n < 32; n++)
        for (unsigned k = 0; k < 64; k++)
            checksum += c->fpu.zmm[n][k] = (uint8_t)(n * 7 + k);
    for (unsigned n = 0; n < 8; n++)
        c->fpu.k[n] = 0x0101010101010101ull * (n + 1);
    return checksum;
}

static void test_xsaves(void **state)
{
    struct vcpu *c = fresh();
    if (!cpu_has(c, ISA_AVX512F) || !cpu_has(c, ISA_XSAVES))
        skip();
    fill_vectors(c);
    struct fpu_state saved = c->fpu;
    c->gpr[RAX] = 0xe7;
    memset((void *)(SCRATCH + 1024 + 512), 0, 64);
    EXPECT_NEXT(c, 0x0f, 0xc7, 0x2e); /* xsaves [rsi] */
    const uint8_t *area = (const uint8_t *)SCRATCH + 1024;
    assert_int_equal(load_le(area + 512, 8), 0xe6); /* x87 is as FNINIT left it */
    assert_int_equal(load_le(area + 520, 8), 0x80000000000000e7ull);
    assert_int_equal(area[576 + 16], 7 + 16); /* YMM1's upper half */
    assert_int_equal(load_le(area + 832 + 8, 8), 0x0202020202020202ull);
    assert_int_equal(area[896], 32);      /* ZMM0's upper half */
    assert_int_equal(area[1408], 16 * 7); /* ZMM16 */
    assert_int_equal(area[0], 0xa5);      /* init: not written */
    memset(c->fpu.zmm, 0, sizeof c->fpu.zmm);
    memset(c->fpu.k, 0, sizeof c->fpu.k);
    EXPECT_NEXT(c, 0x0f, 0xc7, 0x1e); /* xrstors [rsi] */
    assert_memory_equal(c->fpu.zmm, saved.zmm, sizeof saved.zmm);
    assert_memory_equal(c->fpu.k, saved.k, sizeof saved.k);
    /* Without AVX the following components move down. */
    c->gpr[RAX] = 0xc3;
    EXPECT_NEXT(c, 0x0f, 0xc7, 0x26); /* xsavec */
    assert_int_equal(area[576], 32);
    assert_int_equal(area[576 + 512], 16 * 7);
    store_le((uint8_t *)area + 520, 0, 8); /* not compacted: XRSTORS refuses */
    EXPECT_FAULT(c, VEC_GP, 0x0f, 0xc7, 0x1e);
    c->cpl = 3;
    EXPECT_FAULT(c, VEC_GP, 0x0f, 0xc7, 0x2e);
    c->cpl = 0;
}

static void test_xrstor_header(void **state)
{
    struct vcpu *c = fresh();
    if (!cpu_has(c, ISA_XSAVE))
        skip();
    uint8_t *area = (uint8_t *)SCRATCH + 1024;
    memset(area, 0, 1024);
    store_le(area + 24, 0x1f80, 4);
    c->gpr[RAX] = 3;
    memset(c->fpu.zmm[0], 1, 16);
    EXPECT_NEXT(c, 0x0f, 0xae, 0x2e); /* xrstor: everything initial */
    assert_int_equal(load_le(c->fpu.zmm[0], 8), 0);
    store_le(area + 512, BIT64(9), 8);
    EXPECT_FAULT(c, VEC_GP, 0x0f, 0xae, 0x2e);
    store_le(area + 512, 0, 8);
    store_le(area + 520, 1, 8);
    EXPECT_FAULT(c, VEC_GP, 0x0f, 0xae, 0x2e);
    store_le(area + 520, 0, 8);
    store_le(area + 24, 0x10000, 4);
    EXPECT_FAULT(c, VEC_GP, 0x0f, 0xae, 0x2e);
    store_le(area + 24, 0x1f80, 4);
    c->gpr[RSI] += 16;
    EXPECT_FAULT(c, VEC_GP, 0x0f, 0xae, 0x2e);
}

static void test_32bit(void **state)
{
    struct vcpu *c = fresh();
    struct control k = control_save(c);
    fill_vectors(c);
    bare_cpu_mode32(c);
    EXPECT_NEXT(c, 0x0f, 0xae, 0x06); /* fxsave: eight registers */
    assert_int_equal(((uint8_t *)SCRATCH)[1024 + 160 + 16 * 7], 49);
    assert_int_equal(((uint8_t *)SCRATCH)[1024 + 160 + 16 * 8], 0xa5);
    if (cpu_has(c, ISA_AVX)) {
        EXPECT_NEXT(c, 0xc5, 0xf8, 0x77); /* vzeroupper */
        assert_int_equal(c->fpu.zmm[7][16], 0);
        assert_int_equal(c->fpu.zmm[8][16], 8 * 7 + 16);
        c->gpr[RAX] = 0x11223344;
        EXPECT_NEXT(c, 0xc4, 0xe1, 0xf9, 0x6e, 0xc0); /* vmovd xmm0, eax: W is ignored */
        assert_int_equal(load_le(c->fpu.zmm[0], 8), 0x11223344);
    }
    c->gpr[RBX] = ~0ull;
    EXPECT_NEXT(c, 0x66, 0x0f, 0x50, 0xd9); /* movmskpd ebx, xmm1 */
    assert_int_equal(c->gpr[RBX], 0);
    control_restore(c, &k);
}

static void test_models(void **state)
{
    struct vcpu *c = bare_cpu_new("486");
    bare_cpu_mode32(c);
    fpu_x87_init(c);
    EXPECT_NEXT(c, FLD1);
    EXPECT_FAULT(c, VEC_UD, PADDB_MM);
    EXPECT_FAULT(c, VEC_UD, ADDPS);
    EXPECT_FAULT(c, VEC_UD, 0xdb, 0xf1); /* fcomi */
    bare_cpu_free(c);
    c = bare_cpu_new("pentium3");
    bare_cpu_mode32(c);
    fpu_x87_init(c);
    EXPECT_NEXT(c, PADDB_MM);
    EXPECT_NEXT(c, ADDPS);
    EXPECT_NEXT(c, 0xdb, 0xf1);
    EXPECT_FAULT(c, VEC_UD, ADDPD);
    EXPECT_FAULT(c, VEC_UD, VADDPS);
    bare_cpu_free(c);
}

static void test_registers(void **state)
{
    struct vcpu *c = fresh();
    union weir_value v;
    memset(&v, 0x11, sizeof v);
    assert_int_equal(fpu_reg_set(c, WEIR_ZMM0 + 5, &v), 0);
    assert_int_equal(c->fpu.zmm[5][15], 0x11);
    EXPECT_NEXT(c, FLD1);
    assert_int_equal(fpu_reg_get(c, WEIR_ST0, &v), 0);
    assert_int_equal(load_le(v.bytes + 2, 8), 0x3fff800000000000ull);
    assert_int_equal(fpu_reg_get(c, WEIR_FTW, &v), 0);
    assert_int_equal(v.u64, 0x3fff);
    v.u64 = 0x10000;
    assert_int_equal(fpu_reg_set(c, WEIR_MXCSR, &v), -WEIR_EINVAL);
    v.u64 = 0x5555;
    assert_int_equal(fpu_reg_set(c, WEIR_FTW, &v), 0);
    assert_int_equal(c->fpu.fx.ftw, 0xff);
    assert_int_equal(fpu_reg_get(c, WEIR_RAX, &v), -WEIR_EINVAL);
    /* TOP moves, the registers stay. */
    v.u64 = 0;
    assert_int_equal(fpu_reg_set(c, WEIR_FSW, &v), 0);
    assert_int_equal(load_le(c->fpu.fx.st[7] + 2, 8), 0x3fff800000000000ull);
}

static int setup(void **state)
{
    shared = bare_cpu_new("max");
    return 0;
}

static int teardown(void **state)
{
    bare_cpu_free(shared);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_not_available),
        cmocka_unit_test(test_avx_enabling),
        cmocka_unit_test(test_x87_exception),
        cmocka_unit_test(test_ferr),
        cmocka_unit_test(test_x87_store),
        cmocka_unit_test(test_pointers),
        cmocka_unit_test(test_environment_real_mode),
        cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_simd_exception),
        cmocka_unit_test(test_fault_suppression),
        cmocka_unit_test(test_gather_restarts),
        cmocka_unit_test(test_xsaves),
        cmocka_unit_test(test_xrstor_header),
        cmocka_unit_test(test_32bit),
        cmocka_unit_test(test_models),
        cmocka_unit_test(test_registers),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
