/* SPDX-License-Identifier: MIT */
/*
 * optab.c - expands ops.def and optab.def into the constant tables of optab.h and the opcode
 * index of decoder.h.
 *
 * optab.def is expanded three times: into an enumerator per row (its number, as rows are in
 * file order), into the rows, and into the index. Two ROWs of one opcode would be two
 * enumerators of the same name, so a clash does not compile.
 */
#include "cpu/decode/decoder.h"
#include "cpu/x86.h"

// clang-format off
const struct op_info op_table[OP_COUNT] = {
    [OP_INVALID] = {"(bad)", CLASS_SYS, 0, 0, 0},
#define OP(NAME, name, CLASS, read, written, undefined) \
    [OP_##NAME] = {#NAME, CLASS_##CLASS, read, written, undefined},
#include "cpu/decode/ops.def"
#undef OP
};
// clang-format on

const char *op_name(unsigned op)
{
    return op < OP_COUNT ? op_table[op].name : op_table[OP_INVALID].name;
}

/* ---- row numbers ---- */

#define PASTE2(a, b) a##b
#define PASTE(a, b)  PASTE2(a, b)

// clang-format off
enum {
#define ROW(encoding, opcode, ...) START_##encoding##_##opcode,
#define RANGE(encoding, first, last, ...) START_##encoding##_##first,
#define MORE(...) PASTE(MORE_, __COUNTER__),
#include "cpu/decode/optab.def"
#undef ROW
#undef RANGE
#undef MORE
    ROW_COUNT
};
// clang-format on
_Static_assert(ROW_COUNT < UINT16_MAX, "insn.row and the index are 16 bits");

/* ---- the match column ---- */

#define ANY   0ull
#define NP    KEY_CONDITION(PP, PP_NONE)
#define P66   KEY_CONDITION(PP, PP_66)
#define PF3   KEY_CONDITION(PP, PP_F3)
#define PF2   KEY_CONDITION(PP, PP_F2)
#define NOREP CONDITION(0, 2, KEY_PP_SHIFT)
#define W0    KEY_CONDITION(W, 0)
#define W1    KEY_CONDITION(W, 1)
#define L0    KEY_CONDITION(L, 0)
#define L1    KEY_CONDITION(L, 1)
#define L2    KEY_CONDITION(L, 2)
#define S0    KEY_CONDITION(REG, 0)
#define S1    KEY_CONDITION(REG, 1)
#define S2    KEY_CONDITION(REG, 2)
#define S3    KEY_CONDITION(REG, 3)
#define S4    KEY_CONDITION(REG, 4)
#define S5    KEY_CONDITION(REG, 5)
#define S6    KEY_CONDITION(REG, 6)
#define S7    KEY_CONDITION(REG, 7)
#define RM0   KEY_CONDITION(RM, 0)
#define RM1   KEY_CONDITION(RM, 1)
#define RM2   KEY_CONDITION(RM, 2)
#define RM3   KEY_CONDITION(RM, 3)
#define RM4   KEY_CONDITION(RM, 4)
#define RM5   KEY_CONDITION(RM, 5)
#define RM6   KEY_CONDITION(RM, 6)
#define RM7   KEY_CONDITION(RM, 7)
#define MEM   KEY_CONDITION(MOD3, 0)
#define REG   KEY_CONDITION(MOD3, 1)
#define REXB0 KEY_CONDITION(REXB, 0)
#define M64   KEY_CONDITION(MODE64, 1)
#define SIMM  ROW_SIGNED_IMM8

/* ---- the class column ---- */

// clang-format off
#define AS_INT EXC_NONE, STATE_INT
#define AS_X87 EXC_NONE, STATE_X87
#define AS_MMX EXC_NONE, STATE_MMX
#define AS_SSE1 EXC_SSE1, STATE_SSE
#define AS_SSE2 EXC_SSE2, STATE_SSE
#define AS_SSE3 EXC_SSE3, STATE_SSE
#define AS_SSE4 EXC_SSE4, STATE_SSE
#define AS_SSE5 EXC_SSE5, STATE_SSE
#define AS_SSE7 EXC_SSE7, STATE_SSE
#define AS_AVX1 EXC_AVX1, STATE_AVX
#define AS_AVX2 EXC_AVX2, STATE_AVX
#define AS_AVX3 EXC_AVX3, STATE_AVX
#define AS_AVX4 EXC_AVX4, STATE_AVX
#define AS_AVX5 EXC_AVX5, STATE_AVX
#define AS_AVX6 EXC_AVX6, STATE_AVX
#define AS_AVX7 EXC_AVX7, STATE_AVX
#define AS_AVX8 EXC_AVX8, STATE_AVX
#define AS_AVX11 EXC_AVX11, STATE_AVX
#define AS_AVX12 EXC_AVX12, STATE_AVX
#define AS_AVX13 EXC_AVX13, STATE_INT
#define AS_E1 EXC_E1, STATE_AVX512
#define AS_E1NF EXC_E1NF, STATE_AVX512
#define AS_E2 EXC_E2, STATE_AVX512
#define AS_E2NF EXC_E2NF, STATE_AVX512
#define AS_E3 EXC_E3, STATE_AVX512
#define AS_E3NF EXC_E3NF, STATE_AVX512
#define AS_E4 EXC_E4, STATE_AVX512
#define AS_E4NF EXC_E4NF, STATE_AVX512
#define AS_E5 EXC_E5, STATE_AVX512
#define AS_E5NF EXC_E5NF, STATE_AVX512
#define AS_E6 EXC_E6, STATE_AVX512
#define AS_E6NF EXC_E6NF, STATE_AVX512
#define AS_E7NM EXC_E7NM, STATE_AVX512
#define AS_E7NM128 EXC_E7NM128, STATE_AVX512
#define AS_E9 EXC_E9, STATE_AVX512
#define AS_E9NF EXC_E9NF, STATE_AVX512
#define AS_E10 EXC_E10, STATE_AVX512
#define AS_E10NF EXC_E10NF, STATE_AVX512
#define AS_E11 EXC_E11, STATE_AVX512
#define AS_E11NF EXC_E11NF, STATE_AVX512
#define AS_E12 EXC_E12, STATE_AVX512
#define AS_E12NP EXC_E12NP, STATE_AVX512
#define AS_K20 EXC_K20, STATE_AVX512
#define AS_K21 EXC_K21, STATE_AVX512
#define EXC_OF(exception, state) (exception)
#define STATE_OF(exception, state) (state)
#define EXC_OF2(pair) EXC_OF(pair)
#define STATE_OF2(pair) STATE_OF(pair)

/* ---- the attributes column ---- */

enum {
    LOCK = ATTR_LOCK, NO64 = ATTR_NO64, ONLY64 = ATTR_ONLY64, DEFAULT64 = ATTR_DEFAULT64,
    FORCE64 = ATTR_FORCE64, BYTE = ATTR_BYTE, ALIGNED = ATTR_ALIGNED, LIG = ATTR_LIG,
    MASK = ATTR_MASK, ZERO = ATTR_ZERO, MASK_REQUIRED = ATTR_MASK_REQUIRED,
    BROADCAST = ATTR_BROADCAST, ROUND = ATTR_ROUND, SAE = ATTR_SAE,
    DISP_ELEMENT = ATTR_DISP_ELEMENT, DISTINCT = ATTR_DISTINCT,
    DEST_DISTINCT = ATTR_DEST_DISTINCT, REP = ATTR_REP, NO66 = ATTR_NO66,
    MOD3 = ATTR_MOD3, NO8 = ATTR_NO8,
    MZ = MASK | ZERO, MZB = MZ | BROADCAST, MZR = MZ | ROUND, MZS = MZ | SAE,
    GATHER = MASK | MASK_REQUIRED | DISP_ELEMENT | DISTINCT,
    SCATTER = MASK | MASK_REQUIRED | DISP_ELEMENT,
    MZBR = MZB | ROUND, MZBS = MZB | SAE,
};

/* ---- the rows ---- */

#define OPERAND(k, s, number, mode) \
    {.kind = KIND_##k, .size = SIZE_##s, .fixed = number, .access = mode}
#define R(k, s) OPERAND(k, s, 0, ACCESS_MODE_R)
#define W(k, s) OPERAND(k, s, 0, ACCESS_MODE_W)
#define RW(k, s) OPERAND(k, s, 0, ACCESS_MODE_R | ACCESS_MODE_W)
#define N(k, s) OPERAND(k, s, 0, 0)
#define RF(k, number, s) OPERAND(k, s, number, ACCESS_MODE_R)
#define WF(k, number, s) OPERAND(k, s, number, ACCESS_MODE_W)
#define RWF(k, number, s) OPERAND(k, s, number, ACCESS_MODE_R | ACCESS_MODE_W)

#define ROW_INIT(start, enc, opc, match, operation, isa, class, elem, attributes, ...) \
    {.condition = (match), .attrs = (attributes) | (start), .op = OP_##operation,         \
     .encoding = ENCODING_##enc, .opcode = 0x##opc, .operands = {__VA_ARGS__},          \
     .feature = ISA_##isa, .exception = EXC_OF2(AS_##class),                   \
     .state = STATE_OF2(AS_##class), .element = elem},

const struct optab_row optab_rows[] = {
#define ROW(...) ROW_INIT(ATTR_START, __VA_ARGS__)
#define RANGE(enc, first, last, ...) ROW_INIT(ATTR_START, enc, first, __VA_ARGS__)
#define MORE(...) ROW_INIT(0, __VA_ARGS__)
#include "cpu/decode/optab.def"
#undef ROW
#undef RANGE
#undef MORE
    {.attrs = ATTR_START} /* ends the last opcode's rows */
};
const unsigned optab_row_count = ROW_COUNT;

const uint16_t optab_index[ENCODING_COUNT][256] = {
#define ROW(enc, opc, ...) [ENCODING_##enc][0x##opc] = START_##enc##_##opc + 1,
#define RANGE(enc, first, last, ...) \
    [ENCODING_##enc][0x##first ... 0x##last] = START_##enc##_##first + 1,
#define MORE(...)
#include "cpu/decode/optab.def"
};
// clang-format on
