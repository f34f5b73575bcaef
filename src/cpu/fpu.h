/* SPDX-License-Identifier: MIT */
/* fpu.h - x87, SSE, AVX and AVX-512 registers of a vCPU, and the checks before using them
 * (interp/fpu.c). */
#ifndef CPU_FPU_H
#define CPU_FPU_H

#include "cpu/state.h"

#define FSW_EXCEPTIONS 0x3fu
#define FSW_ES         0x80u
#define FSW_B          0x8000u
#define FSW_TOP_SHIFT  11
#define FCW_WRITABLE   0x1f3fu
#define FCW_FIXED      0x40u
#define FCW_INIT       0x37fu
#define MXCSR_INIT     0x1f80u
#define MXCSR_MASK     0xffffu
#define MXCSR_FLAGS    0x3fu
#define MXCSR_FTZ      0x8000u

/* Bytes that the model has of vector register n: 0, 16, 32 or 64. */
unsigned fpu_vector_bytes(const struct vcpu *c, unsigned n);
/* WEIR_FCW..WEIR_MXCSR, ST0-7, ZMM0-31, K0-7, FOP..FDS: 0 or -WEIR_EINVAL. Unsupported parts
 * read as 0. FTW is the full tag word of FNSTENV. */
int fpu_reg_get(const struct vcpu *c, enum weir_reg reg, union weir_value *value);
/* Reserved bits of MXCSR are refused. */
int fpu_reg_set(struct vcpu *c, enum weir_reg reg, const union weir_value *value);

/* What must be available before an instruction; several at once. */
enum {
    FPU_NEEDS_X87 = 1,
    FPU_NEEDS_MMX = 2,
    FPU_NEEDS_SSE = 4,
    FPU_NEEDS_AVX = 8,
    FPU_NEEDS_AVX512 = 16,
    FPU_NEEDS_WAIT = 32, /* no unmasked x87 exception pending */
};
/* STOP_NEXT, or STOP_FAULT with #UD, #NM, #MF; STOP_REPEAT after FERR# was asserted. With
 * CR0.NE = 0 an exception that stays pending is ignored afterwards, as with IGNNE#. */
enum weir_stop fpu_check(struct vcpu *c, unsigned needs);
/* The same by the state class of the instruction's table row; x87 without FPU_NEEDS_WAIT. */
enum weir_stop fpu_available(struct vcpu *c, const struct insn *i);

/* FCW, FSW, tags, pointers, ST0-7 as FNINIT leaves them; registers keep their contents. */
void fpu_x87_init(struct vcpu *c);
/* FSW as FLDENV loads it: registers keep their physical place when TOP changes. */
void fpu_fsw_set(struct vcpu *c, uint16_t fsw);
/* Makes ES, B and FERR# follow from FSW and FCW after either was changed. */
void fpu_status_update(struct vcpu *c);
/* FCS:FIP, FDS:FDP and FOP behind an x87 instruction that is not a control instruction. */
void fpu_pointers_set(struct vcpu *c, const struct insn *i);
/* What every MMX instruction does first: TOP = 0 (registers keep their physical place), all
 * tags valid. */
void fpu_mmx_enter(struct vcpu *c);
/* Full tag word from the abridged one and the registers' contents; and back. */
uint16_t fpu_tag_word(const struct vcpu *c);
uint8_t fpu_tag_abridge(uint16_t tags);

#endif
