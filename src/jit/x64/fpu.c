/* SPDX-License-Identifier: MIT */
/*
 * fpu.c - moves the guest's vector state between struct vcpu and the host's registers.
 *
 * jit.live is the level that is loaded; C runs with level 0 only. jit.allowed is what the
 * guest's control registers and MXCSR permit now. Registers 0-15 are moved as wide as the host
 * has them; 16-31 and the masks only where code uses them.
 */
#include "jit/internal.h"

static void vector_move(struct as *a, struct jit *jit, unsigned reg, bool store)
{
    const void *at = jit->c->fpu.zmm[reg];
    unsigned opcode = store ? 0x11 : 0x10;
    if (jit->has_avx512) { /* vmovups zmm */
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
    as_bytes(a, (uint64_t)(uintptr_t)at - (as_here(a) + 4), 4);
}

/* KMOVQ, or KMOVW where masks have 16 bits. */
static void mask_move(struct as *a, struct jit *jit, unsigned k, bool store)
{
    as8(a, 0xc4);
    as8(a, 0xe1);
    as8(a, jit->has_avx512bw ? 0xf8 : 0x78);
    as8(a, store ? 0x91 : 0x90);
    as8(a, 0x05 | k << 3);
    as_bytes(a, (uint64_t)(uintptr_t)&jit->c->fpu.k[k] - (as_here(a) + 4), 4);
}

static void mxcsr(struct as *a, const void *at, bool store)
{
    as_op(a, OPC(1, 0xae), store ? 3 : 2, rm_near(at), 0);
}

static void high_move(struct as *a, struct jit *jit, bool store)
{
    for (unsigned r = 16; r < 32; r++)
        vector_move(a, jit, r, store);
    for (unsigned k = 0; k < 8; k++)
        mask_move(a, jit, k, store);
}

/* Subroutine: brings the level up to jit.want; changes flags. */
static void emit_load(struct as *a, struct jit *jit)
{
    jit->fpu_load = as_here(a);
    as_op_imm(a, OPC(0, 0x80), 7, rm_near(&jit->live), FPU_NONE, 1);
    uint8_t *have_low = as_jcc(a, CC_NE);
    mxcsr(a, &jit->host_mxcsr, true);
    mxcsr(a, &jit->c->fpu.mxcsr, false);
    for (unsigned r = 0; r < 16; r++)
        vector_move(a, jit, r, false);
    as_op_imm(a, OPC(0, 0xc6), 0, rm_near(&jit->live), FPU_AVX, 1);
    as_patch(a, have_low, as_here(a));
    if (jit->has_avx512) {
        as_op_imm(a, OPC(0, 0x80), 7, rm_near(&jit->want), FPU_AVX512, 1);
        uint8_t *low_only = as_jcc(a, CC_NE);
        as_op_imm(a, OPC(0, 0x80), 7, rm_near(&jit->live), FPU_AVX512, 1);
        uint8_t *have_high = as_jcc(a, CC_E);
        high_move(a, jit, false);
        as_op_imm(a, OPC(0, 0xc6), 0, rm_near(&jit->live), FPU_AVX512, 1);
        as_patch(a, low_only, as_here(a));
        as_patch(a, have_high, as_here(a));
    }
    as8(a, 0xc3);
}

/* Subroutine: everything back to struct vcpu; changes flags. */
static void emit_save(struct as *a, struct jit *jit)
{
    jit->fpu_save = as_here(a);
    for (unsigned r = 0; r < 16; r++)
        vector_move(a, jit, r, true);
    if (jit->has_avx512) {
        as_op_imm(a, OPC(0, 0x80), 7, rm_near(&jit->live), FPU_AVX512, 1);
        uint8_t *low_only = as_jcc(a, CC_NE);
        high_move(a, jit, true);
        as_patch(a, low_only, as_here(a));
    }
    mxcsr(a, &jit->c->fpu.mxcsr, true);
    mxcsr(a, &jit->host_mxcsr, false);
    if (jit->has_avx) {
        as8(a, 0xc5);
        as8(a, 0xf8);
        as8(a, 0x77); /* vzeroupper */
    }
    as_op_imm(a, OPC(0, 0xc6), 0, rm_near(&jit->live), FPU_NONE, 1);
    as8(a, 0xc3);
}

/* Jumped to from the start of a block with T2 = link: back to link.back with the level loaded,
 * or out. Flags are saved there. */
static void emit_need(struct as *a, struct jit *jit, unsigned level)
{
    jit->fpu_need[level] = as_here(a);
    as_op_imm(a, OPC(0, 0x80), 7, rm_near(&jit->allowed), level, 1);
    uint8_t *refused = as_jcc(a, CC_B);
    as_op_imm(a, OPC(0, 0xc6), 0, rm_near(&jit->want), level, 1);
    as_call(a, jit->fpu_load);
    as_op(a, OPC(0, 0xff), 4, rm_mem(T2, offsetof(struct jit_link, back)), 0);
    as_patch(a, refused, as_here(a));
    as_op_imm(a, OPC(0, 0xc6), 0, rm_near(&jit->refused), 1, 1);
    as_jmp_to(a, jit->exit_saved);
}

void fpu_stubs_emit(struct as *a, struct jit *jit)
{
    emit_load(a, jit);
    emit_save(a, jit);
}
void fpu_need_stubs_emit(struct as *a, struct jit *jit)
{
    for (unsigned level = FPU_SSE; level <= FPU_AVX512; level++)
        emit_need(a, jit, level);
}

void gen_fpu_save(struct as *a, struct jit *jit)
{
    as_op_imm(a, OPC(0, 0x80), 7, rm_near(&jit->live), FPU_NONE, 1);
    uint8_t *none = as_jcc(a, CC_E);
    as_call(a, jit->fpu_save);
    as_patch(a, none, as_here(a));
}
