/* SPDX-License-Identifier: MIT */
/* trace.c - see trace.h. The layout is QEMU's, the whole block one piece of the log. */
#include "debug/trace.h"

#include <weir/machine.h>
#include <stdio.h>

#define LINE_CHARS 160

void trace_block(struct vcpu *c, uint64_t linear, const struct insn *insns, unsigned count)
{
    char text[64 + 66 * LINE_CHARS], code[128];
    unsigned most = 64;
    size_t at = (size_t)snprintf(text, sizeof(text), "----------------\nIN: \n");
    for (unsigned n = 0; n < count && n < most; n++) {
        const struct insn *i = &insns[n];
        if (weir_disassemble(i->bytes, i->length, i->code_bits, linear, false, code,
                             sizeof(code)) <= 0)
            snprintf(code, sizeof(code), "(bad)");
        at += (size_t)snprintf(text + at, LINE_CHARS, "0x%016llx:  %s\n",
                               (unsigned long long)linear, code);
        linear += i->length;
    }
    at += (size_t)snprintf(text + at, 2, "\n");
    log_write(c->log, WEIR_LOG_IN_ASM, text, at);
}
