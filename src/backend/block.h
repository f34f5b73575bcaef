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
    char *file;     /* NULL: no medium */
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
    struct weir_block *next;
};

int block_open(struct weir_block *b, const char *file, struct err *err);
void block_close(struct weir_block *b);
static inline bool block_present(const struct weir_block *b) { return b && b->file; }
/* 0 or -WEIR_E*; RANGE outside the medium, PERM for a read-only one. */
int block_read(struct weir_block *b, uint64_t offset, void *buffer, size_t length);
int block_write(struct weir_block *b, uint64_t offset, const void *buffer, size_t length);
int block_flush(struct weir_block *b);

#endif
