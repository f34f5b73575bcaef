/* SPDX-License-Identifier: MIT */
/* text.c - formatted text into a struct weir_text, whoever receives it. */
#include <weir/device.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void weir_textf(struct weir_text *text, const char *format, ...)
{
    char small[256], *large = NULL;
    va_list args;
    va_start(args, format);
    int length = vsnprintf(small, sizeof(small), format, args);
    va_end(args);
    if (length < 0)
        return;
    if ((size_t)length < sizeof(small)) {
        text->put(text, small, (size_t)length);
        return;
    }
    large = malloc((size_t)length + 1);
    if (!large) {
        text->put(text, small, sizeof(small) - 1);
        return;
    }
    va_start(args, format);
    vsnprintf(large, (size_t)length + 1, format, args);
    va_end(args);
    text->put(text, large, (size_t)length);
    free(large);
}
