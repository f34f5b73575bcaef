/* SPDX-License-Identifier: MIT */
/*
 * host.h - the host's services as this program uses them: POSIX calls that go through the host call
 * (include/weir/hostcall.h). All return 0 or a count, or a negative errno.
 */
#ifndef WEIRCTL_HOST_H
#define WEIRCTL_HOST_H

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
struct host_share {
    char name[64];
    unsigned number;
    bool read_only;
    uint32_t owner_uid, owner_gid; /* whom the host's process runs as */
};

/* Finds out whether host calls work here; prints why not and returns false if they do not. */
bool host_ready(void);
/* The share of this name, or the first one if `name` is NULL: its number or -ENOENT. */
int host_share(const char *name, struct host_share *share);
/* Share number `index`, -ENOENT behind the last. */
int host_share_at(unsigned index, struct host_share *share);

/* Paths are relative to the share's root, without a leading slash; the root is "". */
int host_stat(int share, const char *path, struct host_stat *st);
int host_open(int share, const char *path, int flags, unsigned mode, uint32_t *handle,
              struct host_stat *st);
int host_close(uint32_t handle);
int host_stat_handle(uint32_t handle, struct host_stat *st);
/* Changes attributes of a path, or of an open file if `handle` is not HOST_NO_HANDLE. */
#define HOST_NO_HANDLE 0
int host_set(int share, const char *path, uint32_t handle, const struct host_set *set,
             struct host_stat *st);
long host_read(uint32_t handle, uint64_t offset, void *data, size_t bytes);
long host_write(uint32_t handle, uint64_t offset, const void *data, size_t bytes);
int host_sync(uint32_t handle, bool data_only);
int host_seek(uint32_t handle, int whence, uint64_t *offset);
int host_make_directory(int share, const char *path, unsigned mode);
int host_remove(int share, const char *path, bool directory);
enum { HOST_RENAME_NOREPLACE = 1, HOST_RENAME_EXCHANGE = 2 };
int host_rename(int share, const char *from, const char *to, unsigned flags);
int host_link(int share, const char *from, const char *to);
int host_symlink(int share, const char *path, const char *target);
long host_readlink(int share, const char *path, char *target, size_t bytes);
int host_statfs(int share, struct host_statfs *st);

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
long host_read_directory(uint32_t handle, uint64_t cookie, bool stat, void *data, size_t bytes);
bool host_next_entry(const void *data, size_t bytes, size_t *at, bool stat,
                     struct host_entry *entry);

/* Control. */
int host_exit(unsigned status);
int host_print(const void *text, size_t bytes); /* to weir's standard output */
int host_log(unsigned level, const char *text, size_t bytes);
/* Writes a picture of the screen to an open file of the host. */
int host_screenshot(uint32_t handle);
/* Arguments and environment of the command line; one string per call, its length. */
long host_argument(unsigned index, char *text, size_t bytes);
long host_environment(unsigned index, char *text, size_t bytes);
/* From `offset`; *size is all there is. Putting at offset 0 replaces, further on appends. */
long host_clipboard_get(char *text, size_t bytes, uint64_t offset, uint64_t *size);
long host_clipboard_put(const char *text, size_t bytes, uint64_t offset);
/* A service of `weir run -exec` (runservice.h): how many bytes it took or gave. */
long host_run_bytes(unsigned service, unsigned stream, const void *data, size_t bytes);
/* Calls the service with a block of the caller's; its status. Of the embedder's own services. */
int host_call(void *block, unsigned service, size_t bytes);

#endif
