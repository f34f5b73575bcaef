/* SPDX-License-Identifier: MIT */
/* nearest.c - see nearest.h: Levenshtein distance over short words. */
#include "base/nearest.h"

#include <stdio.h>
#include <string.h>

#define WORD_MAX 63

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

static unsigned distance(const char *a, const char *b)
{
    size_t la = strnlen(a, WORD_MAX), lb = strnlen(b, WORD_MAX);
    unsigned row[WORD_MAX + 1];
    for (size_t j = 0; j <= lb; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= la; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= lb; j++) {
            unsigned above = row[j];
            row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[lb];
}

void nearest_offer(struct nearest *nearest, const char *word)
{
    unsigned d = distance(nearest->wanted, word);
    if (!nearest->best || d < nearest->distance) {
        nearest->best = word;
        nearest->distance = d;
    }
}

const char *nearest_hint(const struct nearest *nearest, char *buffer, unsigned buffer_bytes)
{
    buffer[0] = 0;
    size_t length = strlen(nearest->wanted);
    if (nearest->best && nearest->distance <= (length > 5 ? length / 2 : 3))
        snprintf(buffer, buffer_bytes, " (did you mean '%s'?)", nearest->best);
    return buffer;
}
