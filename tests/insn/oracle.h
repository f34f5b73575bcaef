/* SPDX-License-Identifier: MIT */
/*
 * oracle.h - compares one decoding of ours with Zydis's.
 *
 * A mismatch is a check and the two names of the instruction. Those that are intended stand in
 * differences.def with their reason; everything else is an error, and so is an entry there that
 * never occurs.
 */
#ifndef TESTS_INSN_ORACLE_H
#define TESTS_INSN_ORACLE_H

#include <Zydis/Zydis.h>
#include "cpu/decode/optab.h"

enum check {
    CHECK_MISSING, /* Zydis decodes it, we do not */
    CHECK_EXTRA,   /* we decode it, Zydis does not */
    CHECK_LENGTH,
    CHECK_OPERANDS, /* an operand that only one side has */
    CHECK_REGISTER,
    CHECK_ACCESS,
    CHECK_REG_SIZE,
    CHECK_MEM_SIZE,
    CHECK_ADDRESS,
    CHECK_IMMEDIATE,
    CHECK_OPSIZE,
    CHECK_CLASS,
    CHECK_FEATURE,
    CHECK_ELEMENT,
    CHECK_COUNT
};

struct oracle {
    ZydisDecoder decoders[3]; /* 16, 32, 64 */
};

struct oracle_result {
    uint32_t failed; /* a bit per enum check */
    struct insn insn;
    ZydisMnemonic mnemonic; /* ZYDIS_MNEMONIC_INVALID if Zydis refuses */
    ZydisISASet isa_set;
};

void oracle_init(struct oracle *o);
/* 15 bytes are readable. */
void oracle_compare(const struct oracle *o, const uint8_t *bytes, unsigned code_bits,
                    struct oracle_result *result);
const char *check_name(enum check check);

#endif
