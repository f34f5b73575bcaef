/* SPDX-License-Identifier: MIT */
/*
 * block.h - a drive's medium: a raw image file, read-only, or read-write, or with a temporary
 * overlay (snapshot=on). Synchronous. Offsets are checked here against the medium's size: no
 * device can reach outside. A medium may be absent (empty drive).
 */
#ifndef BACKEND_BLOCK_H
#define BACKEND_BLOCK_H

#include "base/err.h"

struct weir_block {
    char id[32];
    char *file; /* NULL: no medium */
    char *serial;
    char interface_name[12]; /* "ide", "floppy", "virtio", "none" */
    int index;
    bool is_cdrom, read_only, snapshot, locked, attached;
    uint64_t bytes; /* of the medium, multiple of 512 (a rest is padded with zeros) */
    uint64_t file_bytes;
    int fd, overlay_fd;
    uint64_t *overlay_map; /* bit per 4 KiB chunk that lives in the overlay */
    uint64_t read_bytes, written_bytes, reads, writes, flushes; /* info block */
    /* The drive that uses it is told about another medium (device lock held). */
    void (*changed)(void *ctx);
    void *changed_ctx;
    struct err error; /* text of the last host error of read, write or flush */
    struct weir_block *next;
};

/* Opens `file` as the medium, by read_only, is_cdrom and snapshot; a medium that is there is
 * replaced (after a failure it stays). The file is locked: one writer, or any number of
 * readers; BUSY otherwise. Neither open nor close calls `changed`: who changes the medium does.
 */
int block_open(struct weir_block *b, const char *file, struct err *err);
void block_close(struct weir_block *b);
static inline bool block_present(const struct weir_block *b)
{
    return b && b->file;
}
/* False where block_write would answer PERM. */
static inline bool block_writable(const struct weir_block *b)
{
    return block_present(b) && !b->read_only && !b->is_cdrom;
}
/* 0 or -WEIR_E*; STATE without a medium, RANGE outside it, PERM for a read-only one, IO with
 * text in b->error. Any offset and length. */
int block_read(struct weir_block *b, uint64_t offset, void *buffer, size_t length);
int block_write(struct weir_block *b, uint64_t offset, const void *buffer, size_t length);
int block_flush(struct weir_block *b);

#endif
