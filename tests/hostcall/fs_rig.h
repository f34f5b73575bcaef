/* SPDX-License-Identifier: MIT */
/*
 * fs_rig.h - a driver of the virtio-fs device by hand: a PC that does not run, its share, the queue
 * in its memory, and a window onto files at RIG_WINDOW.
 */
#ifndef TESTS_HOSTCALL_FS_RIG_H
#define TESTS_HOSTCALL_FS_RIG_H

#include "board/machine.h"
#include "fuse/server.h"

#include <linux/fuse.h>

#define FS_RAM          (16u << 20)
#define FS_WINDOW       0x400000000ull
#define FS_WINDOW_BYTES (8u << 20)
#define FS_SLOT         (2u << 20)
#define FS_OUT          0x100000u /* requests, 1 MiB */
#define FS_IN           0x200000u /* answers, 1 MiB and more */
#define FS_QUEUE_SIZE   64u

struct fs_rig {
    weir *vm;
    char dir[64];  /* the share */
    char base[64]; /* what goes at the end */
    unsigned devfn;
    uint64_t unique;
    uint32_t used_bytes; /* of the last request */
};

/* options: behind "share=s,path=DIR,". False: weir_last_error was printed. */
bool fs_open(struct fs_rig *r, const char *options);
/* The same with the share in a directory of its own, beside "outside" with a file "secret". */
bool fs_open_below(struct fs_rig *r, const char *options);
void fs_close(struct fs_rig *r);
/* Resets the device and brings it up again. */
void fs_start(struct fs_rig *r);
void *fs_ram(struct fs_rig *r, uint64_t gpa);

/* ---- the queue ---- */
struct fs_piece {
    uint64_t gpa;
    uint32_t bytes;
    bool in;
};
/* Offers a chain of any pieces on a queue. False if the device did not give it back. */
bool fs_chain(struct fs_rig *r, unsigned queue, const struct fs_piece *pieces, unsigned count);
bool fs_broken(struct fs_rig *r);

/* One request with its argument (`more` behind it); the answer lies at FS_IN, its bytes without the
 * header in *bytes. Returns the error of the answer, 1 if there is none. */
int fs_call(struct fs_rig *r, uint32_t opcode, uint64_t node, const void *argument,
            size_t length, const void *more, size_t more_length, size_t *bytes);
const void *fs_answer(struct fs_rig *r);
int fs_begin(struct fs_rig *r); /* FUSE_INIT */
/* 0 and an error in *error if there is no such name. */
uint64_t fs_lookup(struct fs_rig *r, uint64_t parent, const char *name, int *error);
uint64_t fs_open_file(struct fs_rig *r, uint64_t node, uint32_t flags, int *error);
int fs_map(struct fs_rig *r, uint64_t node, uint64_t file_offset, uint64_t bytes,
           uint64_t flags, uint64_t at);

#endif
