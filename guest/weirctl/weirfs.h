/* SPDX-License-Identifier: MIT */
/*
 * weirfs.h - the mount of a share. The file system is src/fuse; here are the mount and /dev/fuse.
 * One thread: a host call stops the CPU anyway.
 */
#ifndef WEIRCTL_WEIRFS_H
#define WEIRCTL_WEIRFS_H

#include "fuse/server.h"
#include "host.h"

#include <stdbool.h>
#include <sys/types.h>

struct mount_options {
    const char *share; /* NULL: the first one */
    const char *target;
    bool foreground, read_only, direct, writeback;
    enum { DAX_AUTO, DAX_NEVER, DAX_ALWAYS } dax;
    unsigned timeout_s; /* how long the kernel believes names and attributes */
    unsigned read_ahead_kib;
    uid_t uid;
    gid_t gid;           /* as whose the host user's own files appear */
    unsigned long flags; /* MS_* */
    pid_t *server;       /* if not NULL: gets the server's process number */
};

struct weirfs {
    struct mount_options options;
    struct host_share share;
    struct host host;
    struct fuse_server server;
    int fd; /* /dev/fuse */
    int pipe[2];
    bool quit;
    unsigned char *buffer; /* a request, and what is read for it */
};

/* By the kernel's own driver, if there is a device for the share and nothing was asked for that
 * only weirfs does itself. Else: mounts and serves until it is unmounted. Returns the process's
 * status; unless foreground, the caller's process returns when the mount is usable and a child goes
 * on. */
int weirfs_run(const struct mount_options *options);

#endif
