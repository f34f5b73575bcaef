/* SPDX-License-Identifier: MIT */
/*
 * optab.h - what the instruction table says about an encoding: operands, sizes, access,
 * alignment, CPUID feature, exception class. One struct optab_row per row of optab.def;
 * insn.row selects it.
 *
 * The row describes the encoding; helpers below combine it with the decoded insn, because sizes
 * depend on operand size, vector length and broadcast.
 */
#ifndef CPU_DECODE_OPTAB_H
#define CPU_DECODE_OPTAB_H

#include "cpu/decode/features.h"
#include "cpu/decode/insn.h"

/* Where an operand comes from: the SDM's addressing letters (Vol. 2 A.2.1), and our own. */
enum operand_kind {
    KIND_NONE,
    KIND_A,     /* far pointer in the instruction: imm2:imm */
    KIND_B,     /* VEX.vvvv: general register */
    KIND_C,     /* modrm.reg: control register */
    KIND_D,     /* modrm.reg: debug register */
    KIND_E,     /* modrm.rm: general register or memory */
    KIND_G,     /* modrm.reg: general register */
    KIND_H,     /* VEX.vvvv: vector register */
    KIND_I,     /* immediate (insn.imm) */
    KIND_I2,    /* second immediate (insn.imm2) */
    KIND_J,     /* branch displacement (insn.imm) */
    KIND_L,     /* vector register in bits 7:4 of the immediate */
    KIND_M,     /* modrm.rm: memory only */
    KIND_N,     /* modrm.rm: MMX register only */
    KIND_O,     /* memory at the absolute offset in insn.imm */
    KIND_P,     /* modrm.reg: MMX register */
    KIND_Q,     /* modrm.rm: MMX register or memory */
    KIND_R,     /* modrm.rm: general register only */
    KIND_S,     /* modrm.reg: segment register */
    KIND_U,     /* modrm.rm: vector register only */
    KIND_V,     /* modrm.reg: vector register */
    KIND_W,     /* modrm.rm: vector register or memory */
    KIND_X,     /* memory at DS:rSI (overridable) */
    KIND_Y,     /* memory at ES:rDI */
    KIND_Z,     /* low three opcode bits: general register (insn.reg) */
    KIND_VSIB,  /* modrm.rm: memory, index is a vector register */
    KIND_KG,    /* modrm.reg: mask register */
    KIND_KE,    /* modrm.rm: mask register or memory */
    KIND_KR,    /* modrm.rm: mask register only */
    KIND_KH,    /* VEX.vvvv: mask register */
    KIND_FIXED, /* the general register `fixed` */
    KIND_SEG,   /* the segment register `fixed` */
    KIND_ST,    /* x87 stack register `fixed` */
    KIND_STI,   /* modrm.rm: x87 stack register */
    KIND_XMM,   /* the vector register `fixed` (XMM0 of BLENDVPS) */
    KIND_ONE,   /* the constant 1 (D0, D1) */
};

enum operand_size {
    SIZE_NONE, /* no size, or not fixed: LEA, XSAVE areas */
    SIZE_B,    /* 1 */
    SIZE_W,    /* 2 */
    SIZE_D,    /* 4 */
    SIZE_Q,    /* 8 */
    SIZE_T,    /* 10: x87 extended, BCD */
    SIZE_DQ,   /* 16 */
    SIZE_QQ,   /* 32 */
    SIZE_OQ,   /* 64 */
    SIZE_V,    /* operand size: 2, 4, 8 */
    SIZE_Z,    /* 2 or 4: operand size, 4 for 8 */
    SIZE_Y,    /* 4, or 8 with REX.W/VEX.W in 64-bit mode */
    SIZE_A,    /* twice the operand size: BOUND */
    SIZE_P,    /* far pointer in memory: operand size + 2 */
    SIZE_S,    /* pseudo-descriptor: 6, in 64-bit mode 10 */
    SIZE_X,    /* vector length: 16, 32, 64 */
    SIZE_HX,   /* half of it */
    SIZE_QX,   /* a quarter */
    SIZE_EX,   /* an eighth */
    SIZE_DDUP, /* 8 for 16-byte vectors, else vector length: MOVDDUP */
    SIZE_ENV,  /* x87 environment: 14 or 28 by operand size */
    SIZE_SAVE, /* FNSAVE image: 94 or 108 by operand size */
    SIZE_ADDR, /* address size: MOVDIR64B's register */
    SIZE_STK,  /* stack operand: 8 in 64-bit mode (2 with 66), else the operand size */
};

enum { ACCESS_MODE_R = 1, ACCESS_MODE_W = 2 }; /* operand_form.access */

struct operand_form {
    uint8_t kind;   /* enum operand_kind */
    uint8_t size;   /* enum operand_size */
    uint8_t fixed;  /* register number of KIND_FIXED, KIND_SEG, KIND_ST, KIND_XMM */
    uint8_t access; /* ACCESS_MODE_*; of the operand itself, not of the memory behind LEA */
};

/* SDM Vol. 2 2.4 (SSE, AVX), 2.7 (E*: EVEX; K: opmask) */
enum exception_class {
    EXC_NONE,
    EXC_SSE1,
    EXC_SSE2,
    EXC_SSE3,
    EXC_SSE4,
    EXC_SSE5,
    EXC_SSE7,
    EXC_AVX1,
    EXC_AVX2,
    EXC_AVX3,
    EXC_AVX4,
    EXC_AVX5,
    EXC_AVX6,
    EXC_AVX7,
    EXC_AVX8,
    EXC_AVX11,
    EXC_AVX12,
    EXC_AVX13,
    EXC_E1,
    EXC_E1NF,
    EXC_E2,
    EXC_E2NF,
    EXC_E3,
    EXC_E3NF,
    EXC_E4,
    EXC_E4NF,
    EXC_E5,
    EXC_E5NF,
    EXC_E6,
    EXC_E6NF,
    EXC_E7NM,
    EXC_E7NM128,
    EXC_E9,
    EXC_E9NF,
    EXC_E10,
    EXC_E10NF,
    EXC_E11,
    EXC_E11NF,
    EXC_E12,
    EXC_E12NP,
    EXC_K20,
    EXC_K21,
};

/* Register file the instruction lives in, hence the checks before it: X87 and MMX look at
 * CR0.EM, TS and pending #MF; SSE at CR4.OSFXSR; AVX and AVX512 at CR4.OSXSAVE and XCR0. */
enum state_class { STATE_INT, STATE_X87, STATE_MMX, STATE_SSE, STATE_AVX, STATE_AVX512 };

enum {
    ATTR_LOCK = 1 << 0,           /* LOCK is allowed if the destination is memory */
    ATTR_NO64 = 1 << 1,           /* not in 64-bit mode */
    ATTR_ONLY64 = 1 << 2,         /* only in 64-bit mode */
    ATTR_DEFAULT64 = 1 << 3,      /* 64-bit mode: operand size 8, 2 with 66 */
    ATTR_FORCE64 = 1 << 4,        /* 64-bit mode: operand size 8 whatever the prefixes */
    ATTR_BYTE = 1 << 5,           /* operand size is 1 */
    ATTR_ALIGNED = 1 << 6,        /* memory operand must be aligned to its size: else #GP(0) */
    ATTR_LIG = 1 << 7,            /* vector length is ignored (scalar) */
    ATTR_MASK = 1 << 8,           /* EVEX.aaa may select a mask */
    ATTR_ZERO = 1 << 9,           /* EVEX.z is allowed (not with a memory destination) */
    ATTR_MASK_REQUIRED = 1 << 10, /* EVEX.aaa = 0 is #UD: gathers, scatters */
    ATTR_BROADCAST = 1 << 11,     /* EVEX.b with memory: one `element` is broadcast */
    ATTR_ROUND = 1 << 12,         /* EVEX.b without memory: embedded rounding (and SAE) */
    ATTR_SAE = 1 << 13,           /* EVEX.b without memory: suppress all exceptions */
    ATTR_DISP_ELEMENT = 1 << 14,  /* disp8*N: N = element, not the memory operand's size */
    ATTR_DISTINCT = 1 << 15,      /* #UD if destination, index and mask are not all distinct */
    ATTR_DEST_DISTINCT = 1 << 16, /* #UD if the destination is one of the sources (FP16) */
    ATTR_START = 1 << 17,         /* internal: first row of its opcode */
    ATTR_REP = 1 << 18,           /* REP prefixes repeat it */
    ATTR_NO66 = 1 << 19,          /* 66 does not change the operand size: it is 4, 8 with W */
    ATTR_MOD3 = 1 << 20,          /* modrm.mod is ignored: always a register (MOV CR, DR) */
    ATTR_NO8 = 1 << 21,           /* operand size 8 becomes 4: port instructions */
};

struct optab_row {
    uint64_t condition; /* internal: what must match besides map and opcode */
    uint32_t attrs;     /* ATTR_* */
    uint16_t op;        /* enum op */
    uint8_t encoding;   /* internal: legacy/VEX/EVEX and map */
    uint8_t opcode;
    struct operand_form operands[4]; /* SDM (Intel) order; KIND_NONE behind the last */
    uint8_t feature;                 /* enum isa_feature */
    uint8_t exception;               /* enum exception_class */
    uint8_t state;                   /* enum state_class */
    uint8_t element;                 /* bytes of an element of the modrm.rm operand; 0 = none */
};

extern const struct optab_row optab_rows[];
extern const unsigned optab_row_count;

static inline const struct optab_row *insn_row(const struct insn *i)
{
    return &optab_rows[i->row];
}

/* One line of ops.def; masks of RFLAGS bits. */
enum op_class { CLASS_INT, CLASS_SYS, CLASS_FPU, CLASS_HOST };
struct op_info {
    const char *name;
    enum op_class class;
    uint32_t flags_read, flags_written, flags_undefined;
};
extern const struct op_info op_table[OP_COUNT]; /* [OP_INVALID] is "(bad)", CLASS_SYS */

enum reg_class {
    REGS_NONE,
    REGS_GPR,
    REGS_VECTOR,
    REGS_MMX,
    REGS_X87,
    REGS_MASK,
    REGS_SEGMENT,
    REGS_CONTROL,
    REGS_DEBUG,
};

/* One operand of a decoded instruction. */
struct operand {
    uint8_t kind; /* enum operand_kind */
    uint8_t regs; /* enum reg_class; REGS_NONE for memory and immediates */
    uint8_t reg;  /* number in that class (byte registers as in insn.h) */
    bool is_mem;
    bool read, written;
    uint16_t bytes; /* 0: no size of its own */
};

/* Operand k (0-3); false behind the last one. EVEX mask registers are not operands: i->evex;
 * a vector destination under a merging mask counts as read. */
bool insn_operand(const struct insn *i, unsigned k, struct operand *operand);
/* Index of the operand that is memory (modrm, moffs or string), or -1. */
int insn_mem_operand(const struct insn *i);
/* Alignment the memory operand must have, else #GP(0): 0 = none. */
unsigned insn_mem_alignment(const struct insn *i);
/* Rows of VEX encodings with vector operands need ISA_AVX besides their feature, those of state
 * class AVX512 need ISA_AVX512F; this tells whether ISA_AVX512VL is needed too. */
bool insn_needs_vl(const struct insn *i);
/* Bytes of a size code for this instruction; 0 if it has none. */
unsigned insn_size_bytes(const struct insn *i, enum operand_size size);

#endif
