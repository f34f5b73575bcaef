/* SPDX-License-Identifier: MIT */
/*
 * server.h - a share of the host as a file system: FUSE requests (linux/fuse.h) on one side, the
 * host's file services (host.h) on the other. One for both ends: weirfs in a guest takes requests
 * from /dev/fuse, the virtio-fs device from a queue.
 *
 *   server.c  requests, the handshake     names.c  names and attributes     files.c  open files
 *
 * Nothing in a request is believed: numbers of nodes and files are looked up, names are checked,
 * and lengths are those that really came.
 */
#ifndef FUSE_SERVER_H
#define FUSE_SERVER_H

#include "fuse/node.h"

#include <linux/fuse.h>

enum {
    FUSE_TRANSFER_MAX =
        1 << 20, /* bytes of one read or write: the kernel's largest, 256 pages */
    FUSE_PATH_BYTES = 4096,
    /* Bytes behind a request in its buffer, which the server fills. */
    FUSE_REQUEST_PAD = 8,
};

struct fuse_server;

/* The other side. Every request but a FORGET is answered once. */
struct fuse_port {
    void (*reply)(struct fuse_server *fs, int error, const void *data, size_t bytes);
    /* Reads and answers with what was read. */
    void (*read)(struct fuse_server *fs, uint32_t handle, uint64_t offset, size_t bytes);
    /* Writes at most `bytes` of what came behind the request's argument; how many. */
    long (*write)(struct fuse_server *fs, uint32_t handle, uint64_t offset, size_t bytes);
    /* A window onto files (FUSE_SETUPMAPPING); all three NULL: there is none. */
    int (*map)(struct fuse_server *fs, struct node *node, uint32_t handle,
               const struct fuse_setupmapping_in *in);
    int (*unmap)(struct fuse_server *fs, uint64_t offset, uint64_t bytes);
    /* A node that has been mapped was opened; `changed`: it is not as it was last. */
    void (*opened)(struct fuse_server *fs, struct node *node, uint32_t handle, bool changed);
};

struct fuse_options {
    bool direct, writeback;
    unsigned timeout_s;            /* how long the kernel believes names and attributes */
    uint32_t uid, gid;             /* as whose the host user's own files appear... */
    uint32_t owner_uid, owner_gid; /* ...who is this on the host */
    uint32_t transfer_max;         /* bytes of one read or write */
    uint8_t map_alignment_log2;    /* of what `map` gets */
    uint64_t map_least;            /* bytes of a file that should be mapped; 0: none */
};

struct fuse_server {
    struct fuse_options options;
    const struct fuse_port *port;
    struct host *host;
    unsigned char *scratch; /* for answers */
    size_t scratch_bytes;
    bool ready;   /* FUSE_INIT has come */
    bool too_old; /* the kernel is */
    /* private */
    struct table table;
    struct ids files;
    bool ended; /* FUSE_DESTROY has come */
    struct fuse_in_header in;
    char path[FUSE_PATH_BYTES], other_path[FUSE_PATH_BYTES];
};

/* Options, port, host and scratch are filled. False: no memory. */
bool fuse_server_init(struct fuse_server *fs);
/* Closes and forgets everything. */
void fuse_server_fini(struct fuse_server *fs);
/* One request: `bytes` of it (of a write: as far as its argument), FUSE_REQUEST_PAD bytes of room
 * behind. */
void fuse_server_serve(struct fuse_server *fs, unsigned char *request, size_t bytes);

/* ---- for the operations ---- */

/* Each gets the request's argument (checked to be at least as long as the table says, and followed
 * by 0 bytes), and answers. */
typedef void fuse_operation(struct fuse_server *fs, struct node *node, const void *argument);

void reply_error(struct fuse_server *fs, int error); /* 0 or negative errno */
void reply(struct fuse_server *fs, const void *data, size_t bytes);
/* A node as the answer to a look-up; counts it. */
void fill_node(struct fuse_server *fs, struct node *node, const struct host_stat *st,
               struct fuse_entry_out *out);
/* A node for the host's `st`, in the same way. */
bool fill_entry(struct fuse_server *fs, struct node *parent, const char *name,
                const struct host_stat *st, struct fuse_entry_out *out, struct node **node);
void reply_entry(struct fuse_server *fs, struct node *parent, const char *name,
                 const struct host_stat *st);
void fill_attr(struct fuse_server *fs, struct node *node, const struct host_stat *st,
               struct fuse_attr *attr);
void remember_times(struct node *node, const struct host_stat *st);
/* Looks at a node's attributes, wherever it can still be reached. */
int stat_node(struct fuse_server *fs, struct node *node, struct host_stat *st);
/* The path of a name in a directory. */
int child_path(const struct node *directory, const char *name, char *path);

/* names.c */
fuse_operation op_lookup, op_getattr, op_setattr, op_readlink, op_symlink, op_mknod, op_mkdir,
    op_unlink, op_rmdir, op_rename, op_rename2, op_link, op_statfs;
/* files.c */
fuse_operation op_open, op_create, op_read, op_write, op_release, op_fsync, op_lseek,
    op_opendir, op_readdir, op_readdirplus, op_releasedir, op_setupmapping, op_removemapping;
void files_close_all(struct fuse_server *fs);

#endif
