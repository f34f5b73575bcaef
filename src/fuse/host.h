/* SPDX-License-Identifier: MIT */
/*
 * host.h - files of the host as POSIX calls, over the file services of the host call
 * (include/weir/hostcall.h). All return 0 or a count, or a negative errno.
 *
 * Who calls the services, and how, is `call`: a guest's program by the escape, the library's own
 * devices directly. Addresses in the block are then those of whoever calls.
 */
#ifndef FUSE_HOST_H
#define FUSE_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct host_time {
    int64_t s;
    uint32_t ns;
};
struct host_stat {
    uint64_t dev, ino, size, blocks;
    uint32_t mode, nlink, uid, gid;
    struct host_time atime, mtime, ctime;
};

/* What host_set changes; the time "now" is the host's. */
enum host_set_bits {
    HOST_SET_MODE = 1,
    HOST_SET_SIZE = 2,
    HOST_SET_ATIME = 4,
    HOST_SET_MTIME = 8,
    HOST_SET_ATIME_NOW = 16,
    HOST_SET_MTIME_NOW = 32,
    HOST_SET_OWNER = 64,
};
struct host_set {
    unsigned bits; /* enum host_set_bits */
    uint32_t mode, uid, gid;
    uint64_t size;
    struct host_time atime, mtime;
};
struct host_statfs {
    uint64_t blocks, free, available, files, files_free;
    uint32_t block_bytes, name_max;
};

struct host {
    uint32_t share; /* number of the one that names are in */
    /* Serves the block, whose header is filled; -errno. */
    int (*call)(struct host *host, void *block);
};

/* Fills the header of a block of the caller's and calls; its status. */
int host_call(struct host *host, void *block, unsigned service, size_t bytes);

/* Paths are relative to the share's root, without a leading slash; the root is "". */
int host_stat(struct host *host, const char *path, struct host_stat *st);
int host_open(struct host *host, const char *path, int flags, unsigned mode, uint32_t *handle,
              struct host_stat *st);
int host_close(struct host *host, uint32_t handle);
int host_stat_handle(struct host *host, uint32_t handle, struct host_stat *st);
/* Changes attributes of a path, or of an open file if `handle` is not HOST_NO_HANDLE. */
#define HOST_NO_HANDLE 0
int host_set(struct host *host, const char *path, uint32_t handle, const struct host_set *set,
             struct host_stat *st);
long host_read(struct host *host, uint32_t handle, uint64_t offset, void *data, size_t bytes);
long host_write(struct host *host, uint32_t handle, uint64_t offset, const void *data,
                size_t bytes);
int host_sync(struct host *host, uint32_t handle, bool data_only);
int host_seek(struct host *host, uint32_t handle, int whence, uint64_t *offset);
int host_make_directory(struct host *host, const char *path, unsigned mode);
int host_remove(struct host *host, const char *path, bool directory);
enum { HOST_RENAME_NOREPLACE = 1, HOST_RENAME_EXCHANGE = 2 };
int host_rename(struct host *host, const char *from, const char *to, unsigned flags);
int host_link(struct host *host, const char *from, const char *to);
int host_symlink(struct host *host, const char *path, const char *target);
long host_readlink(struct host *host, const char *path, char *target, size_t bytes);
int host_statfs(struct host *host, struct host_statfs *st);

/* An entry of a directory; `type` as in st_mode. */
struct host_entry {
    uint64_t ino, cookie;
    uint32_t type;
    size_t name_length;
    bool has_stat;
    struct host_stat st;
    char name[256];
};
/* Fills `data` with records of a directory opened with O_DIRECTORY, those behind `cookie` (0: all),
 * with attributes if `stat`: how many bytes, 0 at the end. host_next_entry takes them apart, *at
 * beginning with 0. */
long host_read_directory(struct host *host, uint32_t handle, uint64_t cookie, bool stat,
                         void *data, size_t bytes);
bool host_next_entry(const void *data, size_t bytes, size_t *at, bool stat,
                     struct host_entry *entry);

#endif
