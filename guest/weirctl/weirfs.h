/* SPDX-License-Identifier: MIT */
/*
 * weirfs.h - a share of the host as a file system: the kernel's FUSE requests (linux/fuse.h) on
 * one side, the host's file services on the other. One thread: a host call stops the CPU anyway.
 */
#ifndef WEIRCTL_WEIRFS_H
#define WEIRCTL_WEIRFS_H

#include "node.h"

#include <linux/fuse.h>
#include <stdbool.h>
#include <sys/types.h>

enum {
    TRANSFER_MAX = 1 << 20, /* bytes of one read or write: the kernel's largest, 256 pages */
    PATH_BYTES = 4096,
};

struct mount_options {
    const char *share; /* NULL: the first one */
    const char *target;
    bool foreground, read_only, direct, writeback;
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
    int fd; /* /dev/fuse */
    int pipe[2];
    int number; /* of the share */
    bool ready, quit;
    struct table table;
    unsigned char *buffer; /* a request, then what is read for it */
    struct fuse_in_header in;
    char path[PATH_BYTES], other_path[PATH_BYTES];
};

/* Mounts and serves until it is unmounted. Returns the process's status; unless foreground, the
 * caller's process returns when the mount is usable and a child goes on. */
int weirfs_run(const struct mount_options *options);

/* ---- for the operations ---- */

/* Each gets the request's argument (checked to be at least as long as the table says, and ending
 * with a 0 byte), and answers. */
typedef void weirfs_operation(struct weirfs *fs, struct node *node, const void *argument);

void reply_error(struct weirfs *fs, int error); /* 0 or negative errno */
void reply(struct weirfs *fs, const void *data, size_t bytes);
/* The same for what was read. */
void reply_data(struct weirfs *fs, const void *data, size_t bytes);
/* A node for the host's `st`, as the answer to a look-up; counts it. */
bool fill_entry(struct weirfs *fs, struct node *parent, const char *name,
                const struct host_stat *st, struct fuse_entry_out *out, struct node **node);
void reply_entry(struct weirfs *fs, struct node *parent, const char *name,
                 const struct host_stat *st);
void fill_attr(struct weirfs *fs, const struct host_stat *st, struct fuse_attr *attr);
void remember_times(struct node *node, const struct host_stat *st);
struct node *node_of(struct weirfs *fs, uint64_t id);
/* Looks at a node's attributes, wherever it can still be reached. */
int stat_node(struct weirfs *fs, struct node *node, struct host_stat *st);

/* weirfs_names.c */
weirfs_operation op_lookup, op_getattr, op_setattr, op_readlink, op_symlink, op_mknod, op_mkdir,
    op_unlink, op_rmdir, op_rename, op_rename2, op_link, op_statfs;
/* weirfs_files.c */
weirfs_operation op_open, op_create, op_read, op_write, op_release, op_fsync, op_lseek,
    op_opendir, op_readdir, op_readdirplus, op_releasedir;

#endif
