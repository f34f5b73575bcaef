/* SPDX-License-Identifier: MIT */
/*
 * ram.h - guest RAM: one memfd per VM, mapped once, sparse. [0, below_4g) of it appears at guest
 * address 0, the rest at 4 GiB.
 *
 * `tags` has one byte per page of RAM, shared by all threads (atomic ops): RAM_CODE says that
 * decoded or translated code was taken from the page, so a write to it must be reported; the TLB
 * never gives direct write access to such a page.
 */
#ifndef MEM_RAM_H
#define MEM_RAM_H

#include "base/err.h"

#define RAM_HOLE_START 0xc0000000ull /* RAM ends here at the latest, below 4 GiB */
#define RAM_PAGE_BYTES 4096u
#define RAM_CODE       1u
#define RAM_WRITTEN    2u /* the vCPU may write there without anybody's noticing */

struct ram {
    int fd;
    uint8_t *base;
    uint64_t bytes, below_4g;
    uint8_t *tags;
};

int ram_init(struct ram *ram, uint64_t bytes, struct err *err);
void ram_fini(struct ram *ram);

#endif
