/* SPDX-License-Identifier: MIT */
/* disas_none.c - weir_disassemble of a build without Zydis. */
#include <weir/machine.h>

int weir_disassemble(const uint8_t *bytes, size_t length, unsigned bits, uint64_t address,
                     bool intel, char *text, size_t text_bytes)
{
    if (text && text_bytes)
        text[0] = 0;
    return -WEIR_EUNSUPPORTED;
}
