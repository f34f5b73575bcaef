/* SPDX-License-Identifier: MIT */
/* hex.c - hexadecimal text to bytes. */
#include "disas.h"

#include <ctype.h>
#include <string.h>

static int digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;
    return at ? (int)(at - digits) : -1;
}

bool hex_parse(const char *text, struct strbuf *bytes)
{
    for (const char *s = text; *s;) {
        if (isspace((unsigned char)*s) || *s == ',') {
            s++;
            continue;
        }
        if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X'))
            s += 2;
        int high = digit(s[0]), low = high < 0 ? -1 : digit(s[1]);
        if (low < 0)
            return false;
        char byte = (char)(high << 4 | low);
        strbuf_add(bytes, &byte, 1);
        s += 2;
    }
    return true;
}
