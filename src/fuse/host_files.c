/* SPDX-License-Identifier: MIT */
/* host_files.c - see host.h: each function fills the block of one service. */
#include "fuse/host.h"
#include "fuse/block.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int host_call(struct host *host, void *block, unsigned service, size_t bytes)
{
    struct weir_hc_header *header = block;
    *header = (struct weir_hc_header){.magic = WEIR_HC_MAGIC,
                                      .version = WEIR_HC_VERSION,
                                      .service = (uint16_t)service,
                                      .length = (uint32_t)bytes};
    return host->call(host, block);
}

#define CALL(block, service) host_call(host, &(block), service, sizeof(block))

/* ---- attributes ---- */

static void take_stat(struct host_stat *st, const struct weir_hc_stat *from)
{
    *st = (struct host_stat){
        .dev = from->dev,
        .ino = from->ino,
        .size = from->size,
        .blocks = from->blocks,
        .mode = from->mode,
        .nlink = from->nlink,
        .uid = from->uid,
        .gid = from->gid,
        .atime = {from->atime, from->atime_ns},
        .mtime = {from->mtime, from->mtime_ns},
        .ctime = {from->ctime, from->ctime_ns},
    };
}

int host_stat(struct host *host, const char *path, struct host_stat *st)
{
    struct weir_hc_getattr block = {
        .share = host->share, .flags = WEIR_HC_O_NOFOLLOW, .path = block_name(path)};
    int error = CALL(block, WEIR_HC_FILE_STAT);
    if (error == 0)
        take_stat(st, &block.stat);
    return error;
}

int host_stat_handle(struct host *host, uint32_t handle, struct host_stat *st)
{
    struct weir_hc_getattr block = {.handle = handle};
    int error = CALL(block, WEIR_HC_FILE_STAT);
    if (error == 0)
        take_stat(st, &block.stat);
    return error;
}

int host_set(struct host *host, const char *path, uint32_t handle, const struct host_set *set,
             struct host_stat *st)
{
    static const uint32_t bits[] = {
        WEIR_HC_SET_MODE,      WEIR_HC_SET_SIZE,      WEIR_HC_SET_ATIME, WEIR_HC_SET_MTIME,
        WEIR_HC_SET_ATIME_NOW, WEIR_HC_SET_MTIME_NOW, WEIR_HC_SET_OWNER};
    struct weir_hc_setattr block = {.handle = handle,
                                    .share = host->share,
                                    .flags = WEIR_HC_O_NOFOLLOW,
                                    .path = block_name(handle ? "" : path)};
    for (unsigned k = 0; k < sizeof(bits) / sizeof(*bits); k++)
        if (set->bits & 1u << k)
            block.set |= bits[k];
    block.stat = (struct weir_hc_stat){
        .mode = set->mode,
        .uid = set->uid,
        .gid = set->gid,
        .size = set->size,
        .atime = set->atime.s,
        .atime_ns = set->atime.ns,
        .mtime = set->mtime.s,
        .mtime_ns = set->mtime.ns,
    };
    int error = CALL(block, WEIR_HC_FILE_SETATTR);
    if (error == 0)
        take_stat(st, &block.stat);
    return error;
}

/* ---- files ---- */

static uint32_t open_flags(int flags)
{
    int access = flags & O_ACCMODE;
    uint32_t out = 0;
    if (access != O_WRONLY)
        out |= WEIR_HC_O_READ;
    if (access != O_RDONLY)
        out |= WEIR_HC_O_WRITE;
    if (flags & O_CREAT)
        out |= WEIR_HC_O_CREATE;
    if (flags & O_EXCL)
        out |= WEIR_HC_O_EXCL;
    if (flags & O_TRUNC)
        out |= WEIR_HC_O_TRUNC;
    if (flags & O_APPEND)
        out |= WEIR_HC_O_APPEND;
    if (flags & O_DIRECTORY)
        out |= WEIR_HC_O_DIRECTORY;
    if (flags & O_NOFOLLOW)
        out |= WEIR_HC_O_NOFOLLOW;
    return out;
}

int host_open(struct host *host, const char *path, int flags, unsigned mode, uint32_t *handle,
              struct host_stat *st)
{
    struct weir_hc_open block = {.share = host->share,
                                 .path = block_name(path),
                                 .flags = open_flags(flags),
                                 .mode = mode,
                                 .deny = 0x40,
                                 .owner = (uint32_t)getpid()};
    int error = CALL(block, WEIR_HC_FILE_OPEN);
    if (error < 0)
        return error;
    *handle = block.handle;
    take_stat(st, &block.stat);
    return 0;
}

int host_close(struct host *host, uint32_t handle)
{
    struct weir_hc_close block = {.handle = handle};
    return CALL(block, WEIR_HC_FILE_CLOSE);
}

static long transfer(struct host *host, unsigned service, uint32_t handle, uint64_t offset,
                     const void *data, size_t bytes)
{
    size_t done = 0;
    while (done < bytes) {
        size_t now = bytes - done < WEIR_HC_MAX_BYTES ? bytes - done : WEIR_HC_MAX_BYTES;
        struct weir_hc_io block = {.handle = handle,
                                   .region_count = 1,
                                   .offset = offset + done,
                                   .regions = {block_region((const char *)data + done, now)}};
        int error = CALL(block, service);
        if (error < 0)
            return done ? (long)done : error;
        if (!block.done)
            break;
        done += block.done;
    }
    return (long)done;
}

long host_read(struct host *host, uint32_t handle, uint64_t offset, void *data, size_t bytes)
{
    return transfer(host, WEIR_HC_FILE_READ, handle, offset, data, bytes);
}

long host_write(struct host *host, uint32_t handle, uint64_t offset, const void *data,
                size_t bytes)
{
    return transfer(host, WEIR_HC_FILE_WRITE, handle, offset, data, bytes);
}

int host_sync(struct host *host, uint32_t handle, bool data_only)
{
    struct weir_hc_flush block = {.handle = handle, .flags = data_only};
    return CALL(block, WEIR_HC_FILE_FLUSH);
}

int host_seek(struct host *host, uint32_t handle, int whence, uint64_t *offset)
{
    struct weir_hc_seek block = {
        .handle = handle, .whence = (uint32_t)whence, .offset = (int64_t)*offset};
    int error = CALL(block, WEIR_HC_FILE_SEEK);
    if (error == 0)
        *offset = (uint64_t)block.offset;
    return error == -ENODATA ? -ENXIO : error; /* nothing there: as lseek says it */
}

/* ---- names ---- */

int host_make_directory(struct host *host, const char *path, unsigned mode)
{
    struct weir_hc_name block = {.share = host->share, .path = block_name(path), .mode = mode};
    return CALL(block, WEIR_HC_FILE_MKDIR);
}

int host_remove(struct host *host, const char *path, bool directory)
{
    struct weir_hc_name block = {.share = host->share, .path = block_name(path)};
    return CALL(block, directory ? WEIR_HC_FILE_RMDIR : WEIR_HC_FILE_UNLINK);
}

int host_rename(struct host *host, const char *from, const char *to, unsigned flags)
{
    struct weir_hc_rename block = {
        .share = host->share, .from = block_name(from), .flags = flags, .to = block_name(to)};
    return CALL(block, WEIR_HC_FILE_RENAME);
}

int host_link(struct host *host, const char *from, const char *to)
{
    struct weir_hc_rename block = {
        .share = host->share, .from = block_name(from), .to = block_name(to)};
    return CALL(block, WEIR_HC_FILE_LINK);
}

int host_symlink(struct host *host, const char *path, const char *target)
{
    struct weir_hc_link block = {
        .share = host->share, .path = block_name(path), .text = block_name(target)};
    return CALL(block, WEIR_HC_FILE_SYMLINK);
}

long host_readlink(struct host *host, const char *path, char *target, size_t bytes)
{
    struct weir_hc_link block = {
        .share = host->share, .path = block_name(path), .text = block_room(target, bytes)};
    int error = CALL(block, WEIR_HC_FILE_READLINK);
    return error < 0 ? error : (long)block.done;
}

int host_statfs(struct host *host, struct host_statfs *st)
{
    struct weir_hc_statfs block = {.share = host->share};
    int error = CALL(block, WEIR_HC_FILE_STATFS);
    if (error == 0)
        *st = (struct host_statfs){.blocks = block.blocks,
                                   .free = block.blocks_free,
                                   .available = block.blocks_available,
                                   .files = block.files,
                                   .files_free = block.files_free,
                                   .block_bytes = (uint32_t)block.block_bytes,
                                   .name_max = block.name_max};
    return error;
}

long host_read_directory(struct host *host, uint32_t handle, uint64_t cookie, bool stat,
                         void *data, size_t bytes)
{
    struct weir_hc_readdir block = {.handle = handle,
                                    .flags = stat ? WEIR_HC_READDIR_STAT : 0,
                                    .cookie = cookie,
                                    .region_count = 1,
                                    .regions = {block_region(data, bytes)}};
    int error = CALL(block, WEIR_HC_FILE_READDIR);
    return error < 0 ? error : (long)block.done;
}

bool host_next_entry(const void *data, size_t bytes, size_t *at, bool stat,
                     struct host_entry *entry)
{
    const struct weir_hc_dirent *d = (const void *)((const char *)data + *at);
    size_t head = offsetof(struct weir_hc_dirent, name);
    if (bytes - *at < head || d->record_length < head || d->record_length > bytes - *at ||
        d->name_length > sizeof(entry->name) - 1)
        return false;
    *at += d->record_length;
    *entry = (struct host_entry){
        .ino = d->ino, .cookie = d->cookie, .type = d->type, .name_length = d->name_length};
    memcpy(entry->name, d->name, d->name_length);
    size_t names = ((size_t)d->name_length + 7) & ~(size_t)7;
    entry->has_stat = stat && d->record_length >= head + names + sizeof(struct weir_hc_stat);
    if (entry->has_stat)
        take_stat(&entry->st, (const void *)(d->name + names));
    return true;
}
