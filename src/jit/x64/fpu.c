/* SPDX-License-Identifier: MIT */
/*
 * fpu.c - moves the guest's vector state between struct vcpu and the host's registers.
 *
 * jit.live is the level that is loaded; C runs with level 0 only. jit.allowed is what the
 * guest's control registers and MXCSR permit now. Registers 0-15 are moved as wide as the host
 * has them; 16-31 and the masks only where code uses them.
 *
 * Where all upper halves are zero, as they are between programs' uses of AVX, they are left so
 * (VZEROUPPER): once something has been loaded there, even if that is zero, each instruction of the
 * SSE encoding waits for the register that it overwrites, on some processors.
 */
#include "jit/internal.h"

static void put(struct as *a, const char *bytes, unsigned count)
{
    memcpy(a->p, bytes, count);
    a->p += count;
}

/* The last 32 bits of an instruction, RIP-relative. */
static void put_address(struct as *a, const void *at)
{
    as_bytes(a, (uint64_t)(uintptr_t)at - (as_here(a) + 4), 4);
}

static void zero_upper(struct as *a)
{
    put(a, "\xc5\xf8\x77", 3);
}

/* low: 128 bits, the others become zero. */
static void vector_move(struct as *a, struct jit *jit, unsigned reg, bool store, bool low)
{
    const void *at = jit->c->fpu.zmm[reg];
    unsigned opcode = store ? 0x11 : 0x10;
    if (low) { /* vmovups xmm */
        as8(a, 0xc5);
        as8(a, (!(reg >> 3 & 1)) << 7 | 0x78);
        as8(a, opcode);
    } else if (jit->has_avx512) { /* vmovups zmm */
        as8(a, 0x62);
        as8(a, (!(reg >> 3 & 1)) << 7 | 0x60 | (!(reg >> 4 & 1)) << 4 | 1);
        as8(a, 0x7c);
        as8(a, 0x48);
        as8(a, opcode);
    } else if (jit->has_avx) { /* vmovups ymm */
        as8(a, 0xc5);
        as8(a, (!(reg >> 3 & 1)) << 7 | 0x7c);
        as8(a, opcode);
    } else {
        if (reg >= 8)
            as8(a, 0x44);
        as8(a, 0x0f);
        as8(a, opcode);
    }
    as8(a, 0x05 | (reg & 7) << 3);
    put_address(a, at);
}

/* Condition E: nothing but zero in the upper halves. All registers are put together, and of that
 * what is above 128 bits. */
static void upper_test(struct as *a, struct jit *jit)
{
    vector_move(a, jit, 0, false, false);
    for (unsigned r = 1; r < 16; r++) {
        if (jit->has_avx512)
            put(a, "\x62\xf1\x7d\x48\xeb\x05", 6); /* vpord zmm0, zmm0, m */
        else
            put(a, "\xc5\xfc\x56\x05", 4); /* vorps ymm0, ymm0, m */
        put_address(a, jit->c->fpu.zmm[r]);
    }
    put(a, "\xc4\xe3\x7d\x19\xc2\x01", 6); /* vextractf128 xmm2, ymm0, 1 */
    if (jit->has_avx512) {
        put(a, "\x62\xf3\xfd\x48\x3b\xc1\x01", 7); /* vextracti64x4 ymm1, zmm0, 1 */
        put(a, "\xc5\xf4\x56\xd2", 4);             /* vorps ymm2, ymm1, ymm2 */
    }
    put(a, "\xc4\xe2\x7d\x17\xd2", 5); /* vptest ymm2, ymm2 */
}

/* Registers 0-15. */
static void low_load(struct as *a, struct jit *jit)
{
    uint8_t *used = NULL, *done = NULL;
    if (jit->has_avx) {
        upper_test(a, jit);
        used = as_jcc(a, CC_NE);
        zero_upper(a);
        for (unsigned r = 0; r < 16; r++)
            vector_move(a, jit, r, false, true);
        done = as_jmp(a);
        as_patch(a, used, as_here(a));
    }
    for (unsigned r = 0; r < 16; r++)
        vector_move(a, jit, r, false, false);
    if (done)
        as_patch(a, done, as_here(a));
}

/* KMOVQ, or KMOVW where masks have 16 bits. */
static void mask_move(struct as *a, struct jit *jit, unsigned k, bool store)
{
    as8(a, 0xc4);
    as8(a, 0xe1);
    as8(a, jit->has_avx512bw ? 0xf8 : 0x78);
    as8(a, store ? 0x91 : 0x90);
    as8(a, 0x05 | k << 3);
    put_address(a, &jit->c->fpu.k[k]);
}

static void mxcsr(struct as *a, const void *at, bool store)
{
    as_op(a, OPC(1, 0xae), store ? 3 : 2, rm_near(at), 0);
}

static void high_move(struct as *a, struct jit *jit, bool store)
{
    for (unsigned r = 16; r < 32; r++)
        vector_move(a, jit, r, store, false);
    for (unsigned k = 0; k < 8; k++)
        mask_move(a, jit, k, store);
}

static void byte_set(struct as *a, const void *at, unsigned value)
{
    as_op_imm(a, OPC(0, 0xc6), 0, rm_near(at), value, 1);
}
static void byte_compare(struct as *a, const void *at, unsigned value)
{
    as_op_imm(a, OPC(0, 0x80), 7, rm_near(at), value, 1);
}

/* FXRSTOR loads vector registers, too: they must not be live. Its MXCSR is not the guest's. */
static void x87_load(struct as *a, struct jit *jit)
{
    byte_compare(a, &jit->live, FPU_NONE);
    uint8_t *none = as_jcc(a, CC_E);
    as_call(a, jit->fpu_save);
    as_patch(a, none, as_here(a));
    mxcsr(a, &jit->host_mxcsr, true);
    as8(a, 0xd9); /* fnstcw */
    as8(a, 0x3d);
    put_address(a, &jit->host_fcw);
    as_op(a, OPC(1, 0xae) | OP_W, 1, rm_near(&jit->c->fpu.fx), 0);
    mxcsr(a, &jit->host_mxcsr, false);
    byte_set(a, &jit->x87_live, 1);
}

/* Subroutine: loads what jit.x87_want and jit.want say and is not live; changes flags. */
static void emit_load(struct as *a, struct jit *jit)
{
    jit->fpu_load = as_here(a);
    byte_compare(a, &jit->x87_want, 1);
    uint8_t *no_x87 = as_jcc(a, CC_NE);
    byte_compare(a, &jit->x87_live, 1);
    uint8_t *have_x87 = as_jcc(a, CC_E);
    x87_load(a, jit);
    as_patch(a, no_x87, as_here(a));
    as_patch(a, have_x87, as_here(a));
    byte_compare(a, &jit->want, FPU_NONE);
    uint8_t *no_low = as_jcc(a, CC_E);
    byte_compare(a, &jit->live, FPU_NONE);
    uint8_t *have_low = as_jcc(a, CC_NE);
    mxcsr(a, &jit->host_mxcsr, true);
    mxcsr(a, &jit->c->fpu.mxcsr, false);
    low_load(a, jit);
    byte_set(a, &jit->live, FPU_AVX);
    as_patch(a, have_low, as_here(a));
    if (jit->has_avx512) {
        byte_compare(a, &jit->want, FPU_AVX512);
        uint8_t *low_only = as_jcc(a, CC_NE);
        byte_compare(a, &jit->live, FPU_AVX512);
        uint8_t *have_high = as_jcc(a, CC_E);
        high_move(a, jit, false);
        byte_set(a, &jit->live, FPU_AVX512);
        as_patch(a, low_only, as_here(a));
        as_patch(a, have_high, as_here(a));
    }
    as_patch(a, no_low, as_here(a));
    as8(a, 0xc3);
}

static void vector_save(struct as *a, struct jit *jit)
{
    for (unsigned r = 0; r < 16; r++)
        vector_move(a, jit, r, true, false);
    if (jit->has_avx512) {
        byte_compare(a, &jit->live, FPU_AVX512);
        uint8_t *low_only = as_jcc(a, CC_NE);
        high_move(a, jit, true);
        as_patch(a, low_only, as_here(a));
    }
    mxcsr(a, &jit->c->fpu.mxcsr, true);
    mxcsr(a, &jit->host_mxcsr, false);
    if (jit->has_avx)
        zero_upper(a);
    byte_set(a, &jit->live, FPU_NONE);
}

/* The pointers to the last instruction and its operand stay as they were (fpu_pointers_set). */
static void x87_save(struct as *a, struct jit *jit)
{
    as_op(a, OPC(1, 0xae) | OP_W, 0, rm_near(&jit->c->fpu.fx), 0);
    as8(a, 0xdb); /* fninit */
    as8(a, 0xe3);
    as_op(a, OPC(0, 0xd9), 5, rm_near(&jit->host_fcw), 0);
    byte_set(a, &jit->x87_live, 0);
}

/* Subroutine: everything live back to struct vcpu; changes flags. */
static void emit_save(struct as *a, struct jit *jit)
{
    jit->fpu_save = as_here(a);
    byte_compare(a, &jit->live, FPU_NONE);
    uint8_t *no_vectors = as_jcc(a, CC_E);
    vector_save(a, jit);
    as_patch(a, no_vectors, as_here(a));
    byte_compare(a, &jit->x87_live, 0);
    uint8_t *no_x87 = as_jcc(a, CC_E);
    x87_save(a, jit);
    as_patch(a, no_x87, as_here(a));
    as8(a, 0xc3);
}

/* Jumped to from the start of a block with T2 = link: back to link.back with everything loaded,
 * or out. Flags are saved there. */
static void emit_need(struct as *a, struct jit *jit, bool x87, unsigned level)
{
    jit->fpu_need[x87][level] = as_here(a);
    byte_compare(a, &jit->allowed, level);
    uint8_t *refused = as_jcc(a, CC_B);
    uint8_t *x87_refused = NULL;
    if (x87) {
        byte_compare(a, &jit->x87_allowed, 1);
        x87_refused = as_jcc(a, CC_NE);
    }
    byte_set(a, &jit->want, level);
    byte_set(a, &jit->x87_want, x87);
    as_call(a, jit->fpu_load);
    as_op(a, OPC(0, 0xff), 4, rm_mem(T2, offsetof(struct jit_link, back)), 0);
    as_patch(a, refused, as_here(a));
    if (x87)
        as_patch(a, x87_refused, as_here(a));
    byte_set(a, &jit->refused, 1);
    as_jmp_to(a, jit->exit_saved);
}

void fpu_stubs_emit(struct as *a, struct jit *jit)
{
    emit_save(a, jit);
    emit_load(a, jit);
}
void fpu_need_stubs_emit(struct as *a, struct jit *jit)
{
    for (unsigned level = FPU_NONE; level <= FPU_AVX512; level++) {
        emit_need(a, jit, false, level);
        emit_need(a, jit, true, level);
    }
}

void gen_fpu_save(struct as *a, struct jit *jit)
{
    _Static_assert(offsetof(struct jit, x87_live) == offsetof(struct jit, live) + 1, "a word");
    as_op_imm(a, OPC(0, 0x83) | OP_66, 7, rm_near(&jit->live), 0, 1);
    uint8_t *none = as_jcc(a, CC_E);
    as_call(a, jit->fpu_save);
    as_patch(a, none, as_here(a));
}
