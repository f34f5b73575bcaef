/* SPDX-License-Identifier: MIT */
/*
 * insn.h - one decoded instruction, and the decoder.
 *
 * The instruction set is two tables: ops.def (one line per operation: name, class, flags) and
 * optab.def (one row per encoding: where it sits, operands in SDM notation). Everything else
 * (decode tables, names, flag masks, the interpreter's function table, tests) is expanded from
 * them.
 */
#ifndef CPU_DECODE_INSN_H
#define CPU_DECODE_INSN_H

#include "base/bits.h"

struct vcpu;
struct insn;

/* What an executed instruction asks the loop around it to do next. When an op function runs,
 * vcpu.rip already points behind the instruction. */
enum weir_stop {
    STOP_NEXT,   /* go on with the next instruction of the block */
    STOP_BRANCH, /* rip was set by a near branch; mode and mappings are unchanged */
    STOP_BOUNDARY, /* mode, mappings, interrupt flag or shadow may have changed: leave the block */
    STOP_REPEAT, /* not finished (REP, or an answer is awaited): rewind rip, leave the block */
    STOP_FAULT,  /* vcpu.fault is filled: rewind rip and deliver */
    STOP_TRAP,   /* vcpu.fault is filled, the instruction is complete: deliver with this rip */
    STOP_HALT,   /* HLT/MWAIT executed: vcpu.halted is set */
    STOP_TRIPLE, /* shutdown by triple fault */
    STOP_EXIT,   /* vcpu.exit is filled: return to the embedder, instruction complete */
    STOP_RETRY,  /* as STOP_EXIT, but the instruction runs again on re-entry: rewind rip */
};

typedef enum weir_stop insn_fn(struct vcpu *c, const struct insn *i);

enum op {
    OP_INVALID,
#define OP(name, ...) OP_##name,
#include "cpu/decode/ops.def"
#undef OP
    OP_COUNT
};

#define REG_NONE 0xff
#define REG_RIP  0x10 /* as a base */

/* insn.prefixes */
enum {
    PFX_OPSIZE = 1 << 0, /* 66 */
    PFX_ADDR = 1 << 1,   /* 67 */
    PFX_LOCK = 1 << 2,   /* F0 */
    PFX_REPNE = 1 << 3,  /* F2, the last of F2/F3 */
    PFX_REP = 1 << 4,    /* F3 */
    PFX_SEG = 1 << 5,    /* an effective segment override */
    PFX_REX = 1 << 6,
    PFX_REX_W = 1 << 7, /* or VEX/EVEX.W */
    PFX_VEX = 1 << 8,
    PFX_EVEX = 1 << 9,
    PFX_XOP = 1 << 10,
};

/*
 * 64 bytes, one cache line; `bytes` points at the raw bytes, which live as long as the insn.
 * Register numbers are complete (REX/VEX/EVEX bits folded in). Where the operand is a byte
 * register, 0-15 are the low bytes AL..R15B and 16-19 are AH, CH, DH, BH.
 */
struct insn {
    insn_fn *exec;        /* bound by the engine, NULL after decode */
    const uint8_t *bytes; /* len raw bytes */
    void *engine;         /* the engine's own (a host thunk); NULL after decode */
    uint64_t imm;         /* immediate, sign-extended to 64 bits where the SDM says so; branch
                             displacement; moffs address; offset of a far pointer */
    int32_t disp;         /* displacement of the memory operand, EVEX disp8*N applied */
    uint16_t op;          /* enum op */
    uint16_t row;         /* index into the optab rows */
    uint16_t prefixes;
    uint16_t imm2; /* selector of a far pointer; ENTER's level; second imm8 (EXTRQ) */
    uint8_t length;
    uint8_t opsize;       /* operand size attribute in bytes: 1 (byte op), 2, 4, 8 */
    uint8_t addrsize;     /* 2, 4, 8 */
    uint8_t mem;          /* 1: the modrm operand is memory */
    uint8_t seg;          /* segment of the memory operand, default or overridden (SEG_*) */
    uint8_t base, index;  /* of the memory operand: register, REG_RIP (base), REG_NONE */
    uint8_t scale;        /* log2 */
    uint8_t reg;          /* modrm.reg register, or the register in the opcode (B8+r) */
    uint8_t rm;           /* modrm.rm as a register, if !mem */
    uint8_t vvvv;         /* second source of VEX/EVEX */
    uint8_t modrm;        /* raw; 0 if there is none */
    uint8_t opcode;       /* last opcode byte: condition codes are its low nibble */
    uint8_t map;          /* 0 one-byte, 1 0F, 2 0F38, 3 0F3A, 5, 6 (EVEX), 15 = 3DNow! */
    uint8_t vector_bytes; /* VEX/EVEX: 16, 32, 64 */
    uint8_t evex;         /* aaa in 0-2, z in 3, b in 4 */
    uint8_t mem_bytes;    /* size of the memory operand; 0 = see the row (variable) */
    uint8_t code_bits;    /* 16, 32, 64: mode it was decoded for */
    uint8_t reserved[2];
};
_Static_assert(sizeof(struct insn) == 64, "one cache line");

#define INSN_MAX_BYTES 15

enum decode_status {
    DECODE_OK,
    DECODE_TRUNCATED, /* `available` bytes do not hold the whole instruction */
    DECODE_INVALID,   /* #UD; length is set as far as it is known */
    DECODE_TOO_LONG,  /* more than 15 bytes: #GP(0) */
};

/* Decodes one instruction of `code_bits` (16, 32, 64) code. i->bytes = bytes. #UD for the LOCK
 * prefix where it is not allowed, VEX in real/V86 mode (decided at run time: op functions) and
 * CPUID features (also run time) is as follows: encodings that are never valid are INVALID here;
 * what depends on CPU state or model is not decided here. */
enum decode_status decode_insn(struct insn *i, const uint8_t *bytes, unsigned available,
                               unsigned code_bits);
const char *op_name(unsigned op);

#endif
