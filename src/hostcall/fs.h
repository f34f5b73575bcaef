/* SPDX-License-Identifier: MIT */
/*
 * fs.h - a share as a virtio-fs device (virtio 1.2 section 5.11), for the kernel's own driver.
 *
 *   queue --fs_device.c--> src/fuse --fs_host.c--> the file services (as for a host call)
 *                              \--fs_window.c--> files mapped where the guest sees them (DAX)
 *
 * The device has handles of its own, and everything happens under the device lock, so host calls
 * that the vCPU makes meanwhile do not matter.
 */
#ifndef HOSTCALL_FS_H
#define HOSTCALL_FS_H

#include "dev/virtio.h"
#include "fuse/server.h"
#include "hostcall/fs_guard.h"
#include "hostcall/fs_touch.h"
#include "hostcall/share.h"

#define FS_WINDOW_MAX (8ull << 30)
/* Smaller files are read by requests: a slot and two changes of mappings cost more. */
#define FS_MAP_LEAST (1u << 20)

/* ---- fs_window.c ---- */

struct fs_slot {
    uint64_t node; /* 0: nothing is mapped */
    uint64_t offset;
    bool writable;
};
/* What is mapped ahead lies in [at, end) of the window and from `file` on in the file. */
struct fs_ahead {
    struct fs_toucher *toucher; /* made when it is needed first */
    uint64_t node, file, at, end;
    uint64_t last_node, last_file, last_at; /* where the last mapping ended */
};
/* Always readable and writable throughout: what is no file is private memory. */
struct fs_window {
    struct bus *bus;
    uint8_t *base, *tags;
    uint64_t bytes;
    struct fs_slot *slot;
    uint8_t *lost;
    struct fs_guard *guard;
    unsigned hits;                 /* of the guard, that were dealt with */
    uint64_t maps, refused, taken; /* for info; taken: they were there */
    struct fs_ahead ahead;
    weir_region *const *region; /* where it is for the guest */
};

int fs_window_init(struct fs_window *w, struct bus *bus, uint64_t bytes); /* 0 or -errno */
void fs_window_fini(struct fs_window *w);
void fs_window_clear(struct fs_window *w);
/* As FUSE_SETUPMAPPING and _REMOVEMAPPING say; -errno. `fd` is not kept. */
int fs_window_map(struct fs_window *w, uint64_t node, int fd,
                  const struct fuse_setupmapping_in *in);
int fs_window_unmap(struct fs_window *w, uint64_t offset, uint64_t bytes);
/* Drops what was taken for code from a node's slots. */
void fs_window_changed(struct fs_window *w, uint64_t node);
/* Maps a node's slots of which pages were lost again. */
void fs_window_heal(struct fs_window *w, uint64_t node, int fd);

/* The parts: mapping a file, and private memory instead. -errno. */
int fs_window_map_at(struct fs_window *w, uint64_t at, int fd, uint64_t offset, uint64_t bytes,
                     bool writable);
int fs_window_private(struct fs_window *w, uint64_t offset, uint64_t bytes);
/* How much of a file lies behind the offset. */
uint64_t fs_bytes_from(int fd, uint64_t offset);

/* ---- fs_ahead.c ---- */

/* Whether what is to be mapped is there already; then it is the guest's. */
bool fs_ahead_take(struct fs_window *w, uint64_t node, const struct fuse_setupmapping_in *in);
/* The guest has mapped this: what may come next is mapped. */
void fs_ahead_follow(struct fs_window *w, uint64_t node, int fd,
                     const struct fuse_setupmapping_in *in);
/* Nothing is mapped ahead any more; _near: if some of it is in that range, or of that node. */
void fs_ahead_drop(struct fs_window *w);
void fs_ahead_drop_near(struct fs_window *w, uint64_t offset, uint64_t bytes, uint64_t node);

/* ---- fs_host.c ---- */

/* A host for src/fuse whose services run here, with the caller's memory. `h` has one share. */
struct fs_host {
    struct host host; /* first */
    struct hostcall *h;
};
struct fs_host fs_host_of(struct hostcall *h);
/* A host call's state for one share, without the rest. NULL: no memory or no descriptor. */
struct hostcall *fs_hostcall_make(struct weir *vm, const struct share *share);
void fs_hostcall_free(struct hostcall *h);

/* ---- fs_device.c ---- */

extern const struct weir_dev_class fs_class;

#endif
