/* SPDX-License-Identifier: MIT */
/*
 * fs_ahead.c - what a guest that reads a file in order will ask for next is mapped before it asks.
 * Linux takes free slots one after the other, so it is known where, too: free slots behind the last
 * are mapped, many at once, and a thread touches them. The request for one of them then has
 * nothing to do; any other that concerns them makes them private memory again.
 *
 * Slots that are mapped ahead are no node's (fs_slot.node is 0) until the guest asks.
 */
#include "hostcall/fs.h"

#include <unistd.h>

/* What is mapped ahead at least and at most. */
#define LEAST (8ull << 20)
#define MOST  (24ull << 20)

static uint64_t free_bytes(const struct fs_window *w, uint64_t at, uint64_t most)
{
    uint64_t bytes = 0;
    while (bytes < most && at + bytes < w->bytes && !w->slot[(at + bytes) >> FS_SLOT_LOG2].node)
        bytes += FS_SLOT_BYTES;
    return bytes;
}

/* Maps more behind what is there. */
static void extend(struct fs_window *w, int fd)
{
    struct fs_ahead *a = &w->ahead;
    uint64_t have = a->end - a->at, offset = a->file + have, there = fs_bytes_from(fd, offset);
    uint64_t wanted = (there + FS_SLOT_BYTES - 1) & ~(uint64_t)(FS_SLOT_BYTES - 1);
    if (wanted > MOST - have)
        wanted = MOST - have;
    wanted = free_bytes(w, a->end, wanted);
    if (!wanted || fs_window_map_at(w, a->end, fd, offset, wanted, false) < 0)
        return;
    a->end += wanted;
    fs_toucher_set(a->toucher, a->at, a->end - wanted + (there < wanted ? there : wanted));
}

void fs_ahead_drop(struct fs_window *w)
{
    struct fs_ahead *a = &w->ahead;
    if (a->at == a->end)
        return;
    fs_toucher_set(a->toucher, 0, 0);
    fs_window_private(w, a->at, a->end - a->at);
    a->at = a->end;
}

void fs_ahead_drop_near(struct fs_window *w, uint64_t offset, uint64_t bytes, uint64_t node)
{
    struct fs_ahead *a = &w->ahead;
    if ((offset < a->end && a->at < offset + bytes) || (node && node == a->node))
        fs_ahead_drop(w);
}

bool fs_ahead_take(struct fs_window *w, uint64_t node, const struct fuse_setupmapping_in *in)
{
    struct fs_ahead *a = &w->ahead;
    if (a->at == a->end || node != a->node || in->foffset != a->file || in->moffset != a->at ||
        in->len != FS_SLOT_BYTES || in->flags & FUSE_SETUPMAPPING_FLAG_WRITE ||
        __atomic_load_n(&w->lost[a->at >> FS_SLOT_LOG2], __ATOMIC_RELAXED))
        return false;
    a->at += FS_SLOT_BYTES;
    a->file += FS_SLOT_BYTES;
    fs_toucher_skip(a->toucher, a->at);
    w->taken++;
    return true;
}

void fs_ahead_follow(struct fs_window *w, uint64_t node, int fd,
                     const struct fuse_setupmapping_in *in)
{
    struct fs_ahead *a = &w->ahead;
    uint64_t file = in->foffset + in->len, at = in->moffset + in->len;
    bool in_order = node == a->last_node && in->foffset == a->last_file &&
                    in->moffset == a->last_at && in->len == FS_SLOT_BYTES;
    a->last_node = node;
    a->last_file = file;
    a->last_at = at;
    if (!in_order || in->flags & FUSE_SETUPMAPPING_FLAG_WRITE)
        return;
    if (node != a->node || file != a->file || at != a->at) {
        fs_ahead_drop(w);
        a->node = node;
        a->file = file;
        a->at = a->end = at;
    }
    if (!a->toucher)
        a->toucher = fs_toucher_make(w->base);
    if (a->toucher && a->end - a->at < LEAST)
        extend(w, fd);
}
