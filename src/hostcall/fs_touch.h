/* SPDX-License-Identifier: MIT */
/* fs_touch.h - a thread that reads a byte here and there, so that the host's pages are mapped. */
#ifndef HOSTCALL_FS_TOUCH_H
#define HOSTCALL_FS_TOUCH_H

#include <stdint.h>

/* As much as the host's kernel maps around a page that is touched, as a rule; and that is faster
 * than MADV_POPULATE_READ, which looks at every page once more. */
#define FS_TOUCH_BYTES 65536u

static inline void fs_touch(const uint8_t *piece, uint64_t bytes)
{
    for (uint64_t at = 0; at < bytes; at += FS_TOUCH_BYTES)
        *(const volatile uint8_t *)(piece + at);
}

struct fs_toucher;

/* All offsets are from `base`, and multiples of FS_TOUCH_BYTES but for ends. NULL: no thread to be
 * had; the others take that for one that does nothing. */
struct fs_toucher *fs_toucher_make(const uint8_t *base);
void fs_toucher_free(struct fs_toucher *t);
/* From now on it touches [from, to), no longer what it was told before. */
void fs_toucher_set(struct fs_toucher *t, uint64_t from, uint64_t to);
/* Nothing before `from` is of interest any more. A hint, which does not wait. */
void fs_toucher_skip(struct fs_toucher *t, uint64_t from);

/* Waits until it touches nothing in [from, to), and does not come back there. */
void fs_toucher_leave(struct fs_toucher *t, uint64_t from, uint64_t to);

#endif
