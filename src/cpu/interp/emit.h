/* SPDX-License-Identifier: MIT */
/* emit.h - the few host instructions that thunk.c and thunk_x87.c put around a guest
 * instruction. RDI = frame, R8 = struct fpu_state. */
#ifndef CPU_INTERP_EMIT_H
#define CPU_INTERP_EMIT_H

#include "cpu/interp/hostexec.h"

struct code {
    uint8_t *start, *p;
};

static inline void byte(struct code *k, unsigned b)
{
    *k->p++ = (uint8_t)b;
}
static inline void bytes(struct code *k, const void *data, unsigned n)
{
    memcpy(k->p, data, n);
    k->p += n;
}
static inline void word32(struct code *k, uint32_t v)
{
    bytes(k, &v, 4);
}

#define FRAME(member) ((unsigned)offsetof(struct host_frame, member))
#define FPU(member)   ((uint32_t)offsetof(struct fpu_state, member))
_Static_assert(sizeof(struct host_frame) <= 128, "disp8");

/* op modrm(/digit), [rdi + disp8]: LDMXCSR, STMXCSR, FLDCW, FNSTCW */
static inline void op_frame(struct code *k, unsigned opcode, unsigned digit, unsigned disp)
{
    if (opcode > 0xff)
        byte(k, opcode >> 8);
    byte(k, opcode);
    byte(k, 0x47 | digit << 3);
    byte(k, disp);
}
static inline void ldmxcsr(struct code *k, unsigned disp)
{
    op_frame(k, 0x0fae, 2, disp);
}
static inline void stmxcsr(struct code *k, unsigned disp)
{
    op_frame(k, 0x0fae, 3, disp);
}

/* modrm and displacement of [r8 + disp32] */
static inline void fpu_operand(struct code *k, unsigned reg, uint32_t disp)
{
    byte(k, 0x80 | (reg & 7) << 3);
    word32(k, disp);
}

/* Arithmetic flags but OF from frame.flags_in; clobbers AH. */
static inline void emit_flags_in(struct code *k)
{
    op_frame(k, 0x8a, 4, FRAME(flags_in)); /* mov ah, [..] */
    byte(k, 0x9e);                         /* sahf */
}

static inline void emit_flags_out(struct code *k)
{
    static const uint8_t lahf_seto[] = {0x9f, 0x0f, 0x90, 0xc0};
    bytes(k, lahf_seto, sizeof lahf_seto);
    byte(k, 0x66); /* mov [..], ax */
    op_frame(k, 0x89, 0, FRAME(flags_out));
}

#endif
