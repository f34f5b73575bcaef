/* SPDX-License-Identifier: MIT */
/*
 * asm.h - writes x86-64 instructions. Addresses near the code cache are reached RIP-relative;
 * code is written through one mapping and runs at another, `rx` bytes away.
 */
#ifndef JIT_X64_ASM_H
#define JIT_X64_ASM_H

#include "base/bits.h"

enum host_reg {
    H_RAX,
    H_RCX,
    H_RDX,
    H_RBX,
    H_RSP,
    H_RBP,
    H_RSI,
    H_RDI,
    H_R8,
    H_R9,
    H_R10,
    H_R11,
    H_R12,
    H_R13,
    H_R14,
    H_R15,
};

struct as {
    uint8_t *p; /* where the next byte is written */
    int64_t rx; /* its address when it runs = (uint64_t)p + rx */
};

/* Opcode: map << 8 | byte, and a mandatory prefix. */
#define OPC(map, byte) ((map) << 8 | (byte))
enum {
    OP_W = 1 << 16, /* REX.W */
    OP_66 = 1 << 17,
    OP_F2 = 1 << 18,
    OP_F3 = 1 << 19,
    OP_LOCK = 1 << 20,
    OP_BYTE_REG = 1 << 21, /* modrm.reg is a byte register */
    OP_BYTE_RM = 1 << 22,  /* modrm.rm, if a register, is one */
};

/* What modrm.rm names. */
struct rm {
    enum { RM_REG, RM_MEM, RM_NEAR } kind;
    uint8_t base, index, scale; /* index H_RSP: none */
    int32_t disp;
    const void *address; /* RM_NEAR */
    bool gs32;           /* GS plus what 32-bit registers make */
};
#define NO_BASE 0xffu

static inline struct rm rm_reg(unsigned r)
{
    return (struct rm){.kind = RM_REG, .base = (uint8_t)r};
}
static inline struct rm rm_mem(unsigned base, int32_t disp)
{
    return (struct rm){.kind = RM_MEM, .base = (uint8_t)base, .index = H_RSP, .disp = disp};
}
static inline struct rm rm_sib(unsigned base, unsigned index, unsigned scale, int32_t disp)
{
    return (struct rm){.kind = RM_MEM,
                       .base = (uint8_t)base,
                       .index = (uint8_t)index,
                       .scale = (uint8_t)scale,
                       .disp = disp};
}
static inline struct rm rm_near(const void *address)
{
    return (struct rm){.kind = RM_NEAR, .address = address};
}

static inline void as8(struct as *a, unsigned v)
{
    *a->p++ = (uint8_t)v;
}
static inline void as_bytes(struct as *a, uint64_t v, unsigned n)
{
    memcpy(a->p, &v, n);
    a->p += n;
}
static inline uint64_t as_here(const struct as *a)
{
    return (uint64_t)a->p + (uint64_t)a->rx;
}

/* Byte registers 16-19 are AH CH DH BH: numbers 4-7 without REX. */
static inline unsigned byte_number(unsigned r)
{
    return r >= 16 ? r - 12 : r;
}

/* One instruction with a modrm byte; `imm_bytes` bytes of immediate follow (by as_bytes). */
void as_op(struct as *a, unsigned op, unsigned reg, struct rm rm, unsigned imm_bytes);
/* What goes before it for GS, and REX.X and REX.B. */
static inline void as_gs32(struct as *a, struct rm rm)
{
    if (rm.gs32) {
        as8(a, 0x65);
        as8(a, 0x67);
    }
}
static inline unsigned as_rex_xb(struct rm rm)
{
    unsigned b = rm.kind != RM_NEAR && rm.base != NO_BASE ? rm.base >> 3 & 1u : 0;
    return b | (rm.kind == RM_MEM ? (rm.index >> 3 & 1u) << 1 : 0);
}
/* The ModRM byte and what belongs to it alone; displacements are not those of EVEX. */
void as_modrm(struct as *a, unsigned reg, struct rm rm, unsigned imm_bytes);

static inline void as_op_imm(struct as *a, unsigned op, unsigned reg, struct rm rm,
                             uint64_t imm, unsigned imm_bytes)
{
    as_op(a, op, reg, rm, imm_bytes);
    as_bytes(a, imm, imm_bytes);
}
static inline void as_load(struct as *a, unsigned reg, struct rm rm) /* 64 bits */
{
    as_op(a, OPC(0, 0x8b) | OP_W, reg, rm, 0);
}
static inline void as_load32(struct as *a, unsigned reg, struct rm rm)
{
    as_op(a, OPC(0, 0x8b), reg, rm, 0);
}
static inline void as_store(struct as *a, struct rm rm, unsigned reg)
{
    as_op(a, OPC(0, 0x89) | OP_W, reg, rm, 0);
}
/* Sized store of 1, 2, 4, 8 bytes. */
void as_store_n(struct as *a, struct rm rm, unsigned reg, unsigned bytes);
static inline void as_lea(struct as *a, unsigned reg, struct rm rm)
{
    as_op(a, OPC(0, 0x8d) | OP_W, reg, rm, 0);
}
static inline void as_lea32(struct as *a, unsigned reg, struct rm rm)
{
    as_op(a, OPC(0, 0x8d), reg, rm, 0);
}
void as_mov_imm(struct as *a, unsigned reg, uint64_t v);
/* dst = src rotated to the right, 64 bits; flags stay. BMI2. */
void as_rorx(struct as *a, unsigned dst, unsigned src, unsigned count);

/* dst = 64 bits at GS + index * 8. */
void as_load_gs(struct as *a, unsigned dst, unsigned index);

/* Jumps: rel32 to an address, or to be patched. as_jcc returns the place of the rel32. */
enum { CC_O, CC_NO, CC_B, CC_AE, CC_E, CC_NE, CC_BE, CC_A, CC_S, CC_NS, CC_G = 15 };
uint8_t *as_jcc(struct as *a, unsigned cc);
uint8_t *as_jmp(struct as *a);
void as_jmp_to(struct as *a, uint64_t target);
void as_call(struct as *a, uint64_t target);
/* Makes the rel32 at `at` jump to `target` (an address where code runs). */
void as_patch(const struct as *a, uint8_t *at, uint64_t target);
/* LAHF and SETO into flags_ax, RAX kept in `scratch`; and back. */
void as_save_flags(struct as *a, const void *flags_ax, unsigned scratch);
void as_restore_flags(struct as *a, const void *flags_ax, unsigned scratch);

#endif
