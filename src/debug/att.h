/* SPDX-License-Identifier: MIT */
/* att.h - AT&T text of an instruction that Zydis decoded, as QEMU's disassembler prints it. */
#ifndef DEBUG_ATT_H
#define DEBUG_ATT_H

#include <Zydis/Zydis.h>

/* Always 0-terminated; cut if text_bytes is too small. */
void att_format(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operands,
                uint64_t address, char *text, size_t text_bytes);

#endif
