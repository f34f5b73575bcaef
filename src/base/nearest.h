/* SPDX-License-Identifier: MIT */
/* nearest.h - the valid word that a mistyped one was most likely meant to be. */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

struct nearest {
    const char *wanted;
    const char *best; /* NULL while nothing was offered */
    unsigned distance;
};

/* Offer every valid word; then best is the closest, and nearest_hint a text for an error line:
 * " (did you mean 'x'?)", or "" when nothing is close. `buffer` holds it. */
void nearest_offer(struct nearest *nearest, const char *word);
const char *nearest_hint(const struct nearest *nearest, char *buffer, unsigned buffer_bytes);

#endif
