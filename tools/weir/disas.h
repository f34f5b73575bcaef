/* SPDX-License-Identifier: MIT */
/* disas.h - the input side of `weir disas`, apart for its test. */
#ifndef TOOL_DISAS_H
#define TOOL_DISAS_H

#include "text.h"

/* Appends the bytes of hexadecimal text ("0f b9 05", "0x90,0x90", "0fb905"). False if it is
 * none. */
bool hex_parse(const char *text, struct strbuf *bytes);

#endif
