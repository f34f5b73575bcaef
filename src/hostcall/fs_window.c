/* SPDX-License-Identifier: MIT */
/*
 * fs_window.c - the window onto files. It consists of slots; each is private memory or a piece of a
 * file, and always one of them: a mapping is made elsewhere first and then moved to its place, so a
 * refusal leaves the old one.
 *
 * What the guest may only read is mapped privately and writable: a store that the guest's kernel
 * should not have made changes a page of its own, neither the file nor this process's health.
 */
#include "hostcall/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t slot_count(const struct fs_window *w)
{
    return w->bytes >> FS_SLOT_LOG2;
}

/* ---- code that was taken from the window ---- */

static void drop_code(struct fs_window *w, uint64_t offset, uint64_t bytes)
{
    weir_region *r = w->region ? *w->region : NULL;
    if (r)
        bus_dma_written(w->bus, r->start + offset, bytes);
}

/* Page by page: one that has code must not hide the others. */
static void replaced(struct fs_window *w, uint64_t offset, uint64_t bytes)
{
    for (uint64_t at = offset; at < offset + bytes; at += RAM_PAGE_BYTES)
        if (__atomic_load_n(&w->tags[at / RAM_PAGE_BYTES], __ATOMIC_ACQUIRE) & RAM_CODE)
            drop_code(w, at, RAM_PAGE_BYTES);
}

/* ---- mappings ---- */

static void *private_memory(void *where, uint64_t bytes)
{
    return mmap(where, bytes, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (where ? MAP_FIXED : 0), -1, 0);
}

/* A piece of a file, somewhere. MAP_FAILED: errno. */
static void *piece_of(int fd, uint64_t offset, uint64_t bytes, bool writable)
{
    return mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                (writable ? MAP_SHARED : MAP_PRIVATE) | MAP_NORESERVE, fd, (off_t)offset);
}

uint64_t fs_bytes_from(int fd, uint64_t offset)
{
    struct stat st;
    bool some = fstat(fd, &st) == 0 && (uint64_t)st.st_size > offset;
    return some ? (uint64_t)st.st_size - offset : 0;
}

/* With access that suffices for the mapping; the caller closes it. -errno. */
static int descriptor_for(int fd, bool writable)
{
    int have = fcntl(fd, F_GETFL);
    bool suffices =
        (have & O_ACCMODE) == O_RDWR || (!writable && (have & O_ACCMODE) == O_RDONLY);
    if (suffices) {
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        return copy < 0 ? -errno : copy;
    }
    return reopen(fd, writable ? O_RDWR : O_RDONLY);
}

int fs_window_map_at(struct fs_window *w, uint64_t at, int fd, uint64_t offset, uint64_t bytes,
                     bool writable)
{
    int own = descriptor_for(fd, writable);
    if (own < 0)
        return own;
    void *piece = piece_of(own, offset, bytes, writable);
    int error = piece == MAP_FAILED ? -errno : 0;
    close(own);
    if (error)
        return error;
    fs_toucher_leave(w->ahead.toucher, at, at + bytes);
    if (mremap(piece, bytes, bytes, MREMAP_FIXED | MREMAP_MAYMOVE, w->base + at) ==
        MAP_FAILED) {
        error = -errno;
        munmap(piece, bytes);
        private_memory(w->base + at, bytes);
        return error;
    }
    replaced(w, at, bytes);
    return 0;
}

/* ---- requests ---- */

/* Whole slots within the window. */
static bool in_window(const struct fs_window *w, uint64_t offset, uint64_t bytes)
{
    return bytes && !((offset | bytes) & (FS_SLOT_BYTES - 1)) && bytes <= w->bytes &&
           offset <= w->bytes - bytes;
}

static void set_slots(struct fs_window *w, uint64_t offset, uint64_t bytes, struct fs_slot slot)
{
    for (uint64_t done = 0; done < bytes; done += FS_SLOT_BYTES) {
        uint64_t k = (offset + done) >> FS_SLOT_LOG2;
        w->slot[k] = slot;
        __atomic_store_n(&w->lost[k], 0, __ATOMIC_RELAXED);
        slot.offset += FS_SLOT_BYTES;
    }
}

int fs_window_map(struct fs_window *w, uint64_t node, int fd,
                  const struct fuse_setupmapping_in *in)
{
    const uint64_t known = FUSE_SETUPMAPPING_FLAG_READ | FUSE_SETUPMAPPING_FLAG_WRITE;
    bool writable = in->flags & FUSE_SETUPMAPPING_FLAG_WRITE;
    int error = 0;
    if (!in_window(w, in->moffset, in->len) || in->flags & ~known ||
        in->foffset & (FS_SLOT_BYTES - 1) || in->foffset > INT64_MAX - in->len)
        error = -EINVAL;
    if (!error && !fs_ahead_take(w, node, in)) {
        fs_ahead_drop_near(w, in->moffset, in->len, 0);
        error = fs_window_map_at(w, in->moffset, fd, in->foffset, in->len, writable);
    }
    if (error) {
        w->refused++;
        return error;
    }
    set_slots(w, in->moffset, in->len, (struct fs_slot){node, in->foffset, writable});
    /* What is read first. Behind the end of the file is nothing to touch; if it has become shorter
     * by now, the guard helps, and says so in `lost`. */
    uint64_t there = fs_bytes_from(fd, in->foffset);
    fs_touch(w->base + in->moffset, there < FS_SLOT_BYTES ? there : FS_SLOT_BYTES);
    w->maps++;
    fs_ahead_follow(w, node, fd, in);
    return 0;
}

int fs_window_private(struct fs_window *w, uint64_t offset, uint64_t bytes)
{
    fs_toucher_leave(w->ahead.toucher, offset, offset + bytes);
    if (private_memory(w->base + offset, bytes) == MAP_FAILED)
        return -errno;
    set_slots(w, offset, bytes, (struct fs_slot){0});
    replaced(w, offset, bytes);
    return 0;
}

int fs_window_unmap(struct fs_window *w, uint64_t offset, uint64_t bytes)
{
    if (bytes == UINT64_MAX) { /* everything */
        fs_window_clear(w);
        return 0;
    }
    if (!in_window(w, offset, bytes))
        return -EINVAL;
    fs_ahead_drop_near(w, offset, bytes, w->slot[offset >> FS_SLOT_LOG2].node);
    return fs_window_private(w, offset, bytes);
}

void fs_window_clear(struct fs_window *w)
{
    if (!w->base)
        return;
    fs_ahead_drop(w);
    fs_window_private(w, 0, w->bytes);
    w->ahead.last_node = 0;
}

void fs_window_changed(struct fs_window *w, uint64_t node)
{
    for (uint64_t k = 0; k < slot_count(w); k++)
        if (w->slot[k].node == node)
            replaced(w, k << FS_SLOT_LOG2, FS_SLOT_BYTES);
}

void fs_window_heal(struct fs_window *w, uint64_t node, int fd)
{
    for (uint64_t k = 0; k < slot_count(w); k++) {
        const struct fs_slot *s = &w->slot[k];
        if (s->node != node || !__atomic_exchange_n(&w->lost[k], 0, __ATOMIC_RELAXED))
            continue;
        fs_window_map_at(w, k << FS_SLOT_LOG2, fd, s->offset, FS_SLOT_BYTES, s->writable);
    }
}

/* ---- life ---- */

/* At a slot's boundary, so that the host can map it by large pages. */
static uint8_t *reserve(uint64_t bytes)
{
    uint64_t room = bytes + FS_SLOT_BYTES;
    uint8_t *area = private_memory(NULL, room);
    if (area == MAP_FAILED)
        return NULL;
    uint64_t skip = -(uintptr_t)area & (FS_SLOT_BYTES - 1);
    if (skip)
        munmap(area, skip);
    munmap(area + skip + bytes, FS_SLOT_BYTES - skip);
    madvise(area + skip, bytes, MADV_DONTDUMP);
    return area + skip;
}

int fs_window_init(struct fs_window *w, struct bus *bus, uint64_t bytes)
{
    *w = (struct fs_window){.bus = bus, .bytes = bytes, .base = reserve(bytes)};
    w->slot = calloc(slot_count(w), sizeof(*w->slot));
    w->lost = calloc(slot_count(w), 1);
    w->tags = calloc(bytes / RAM_PAGE_BYTES, 1);
    if (w->base && w->slot && w->lost && w->tags)
        w->guard = fs_guard_add(w->base, bytes, w->lost);
    if (w->guard)
        return 0;
    fs_window_fini(w);
    return -ENOMEM;
}

void fs_window_fini(struct fs_window *w)
{
    fs_toucher_free(w->ahead.toucher);
    fs_guard_remove(w->guard);
    if (w->base)
        munmap(w->base, w->bytes);
    free(w->slot);
    free(w->lost);
    free(w->tags);
    *w = (struct fs_window){0};
}
