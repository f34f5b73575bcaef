/* SPDX-License-Identifier: MIT */
/*
 * disas.c - instructions as text by Zydis (weir_disassemble). Only for people: what the CPU
 * does is decided by cpu/decode alone.
 */
#include <weir/machine.h>
#include <stdio.h>
#include <Zydis/Zydis.h>
#include "debug/att.h"

static bool decoder_init(ZydisDecoder *d, unsigned bits)
{
    switch (bits) {
    case 16:
        return ZYAN_SUCCESS(
            ZydisDecoderInit(d, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16));
    case 32:
        return ZYAN_SUCCESS(
            ZydisDecoderInit(d, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32));
    case 64:
        return ZYAN_SUCCESS(
            ZydisDecoderInit(d, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64));
    default:
        return false;
    }
}

static void intel_format(const ZydisDecodedInstruction *insn,
                         const ZydisDecodedOperand *operands, uint64_t address, char *text,
                         size_t text_bytes)
{
    ZydisFormatter f;
    ZydisFormatterInit(&f, ZYDIS_FORMATTER_STYLE_INTEL);
    ZydisFormatterSetProperty(&f, ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, ZYAN_FALSE);
    ZydisFormatterSetProperty(&f, ZYDIS_FORMATTER_PROP_ADDR_PADDING_ABSOLUTE, 0);
    ZydisFormatterSetProperty(&f, ZYDIS_FORMATTER_PROP_DISP_PADDING, 0);
    ZydisFormatterSetProperty(&f, ZYDIS_FORMATTER_PROP_IMM_PADDING, 0);
    if (!ZYAN_SUCCESS(ZydisFormatterFormatInstruction(
            &f, insn, operands, insn->operand_count_visible, text, text_bytes, address, NULL)))
        snprintf(text, text_bytes, "%s", ZydisMnemonicGetString(insn->mnemonic));
}

int weir_disassemble(const uint8_t *bytes, size_t length, unsigned bits, uint64_t address,
                     bool intel, char *text, size_t text_bytes)
{
    ZydisDecoder decoder;
    ZydisDecodedInstruction insn;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    if (!bytes || !text || text_bytes == 0 || !decoder_init(&decoder, bits))
        return -WEIR_EINVAL;
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, length, &insn, operands))) {
        snprintf(text, text_bytes, "(bad)");
        return 0;
    }
    if (intel)
        intel_format(&insn, operands, address, text, text_bytes);
    else
        att_format(&insn, operands, address, text, text_bytes);
    return insn.length;
}
