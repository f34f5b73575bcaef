/* SPDX-License-Identifier: MIT */
/* fs_guard.h - pages of mapped files may be gone: what becomes of SIGBUS. */
#ifndef HOSTCALL_FS_GUARD_H
#define HOSTCALL_FS_GUARD_H

#include <stdint.h>

#define FS_SLOT_LOG2  21 /* what is mapped at a time, as Linux wants it */
#define FS_SLOT_BYTES (1u << FS_SLOT_LOG2)

/* A range of addresses, at a slot's boundary, where a missing page becomes one of zeros, and `lost`
 * of its slot counts that; where there are many, all behind it in the slot becomes zeros with it.
 * NULL: there are too many ranges. The only state outside machines; see docs/ARCHITECTURE.md. */
struct fs_guard *fs_guard_add(void *start, uint64_t bytes, uint8_t *lost);
void fs_guard_remove(struct fs_guard *guard);
/* How often that has happened. */
unsigned fs_guard_hits(const struct fs_guard *guard);

#endif
