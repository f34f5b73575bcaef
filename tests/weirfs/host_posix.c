/* SPDX-License-Identifier: MIT */
/*
 * host_posix.c - stands in for guest/weirctl/host.c: the services as system calls below the
 * directory WEIRFS_ROOT, so that the file system can be tested without a guest, by root.
 */
#include "host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

static int root(void)
{
    static int fd = -1;
    if (fd < 0)
        fd = open(getenv("WEIRFS_ROOT"), O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd;
}
static const char *dot(const char *path)
{
    return *path ? path : ".";
}
static int result(long r)
{
    return r < 0 ? -errno : 0;
}

struct host host_of(int share)
{
    return (struct host){.share = (uint32_t)share};
}
bool host_ready(void)
{
    return root() >= 0;
}
int host_share_at(unsigned index, struct host_share *share)
{
    *share =
        (struct host_share){.name = "posix", .owner_uid = UINT32_MAX, .owner_gid = UINT32_MAX};
    return index ? -ENOENT : 0;
}
int host_share(const char *name, struct host_share *share)
{
    (void)name;
    return host_share_at(0, share);
}

static int take(int r, const struct stat *from, struct host_stat *st)
{
    if (r < 0)
        return -errno;
    *st = (struct host_stat){.dev = from->st_dev,
                             .ino = from->st_ino,
                             .size = (uint64_t)from->st_size,
                             .blocks = (uint64_t)from->st_blocks,
                             .mode = from->st_mode,
                             .nlink = (uint32_t)from->st_nlink,
                             .uid = from->st_uid,
                             .gid = from->st_gid,
                             .atime = {from->st_atim.tv_sec, (uint32_t)from->st_atim.tv_nsec},
                             .mtime = {from->st_mtim.tv_sec, (uint32_t)from->st_mtim.tv_nsec},
                             .ctime = {from->st_ctim.tv_sec, (uint32_t)from->st_ctim.tv_nsec}};
    return 0;
}
int host_stat(struct host *host, const char *path, struct host_stat *st)
{
    struct stat s;
    (void)host;
    return take(fstatat(root(), dot(path), &s, AT_SYMLINK_NOFOLLOW), &s, st);
}
int host_stat_handle(struct host *host, uint32_t handle, struct host_stat *st)
{
    struct stat s;
    return take(fstat((int)handle, &s), &s, st);
}
int host_open(struct host *host, const char *path, int flags, unsigned mode, uint32_t *handle,
              struct host_stat *st)
{
    mode_t mask = umask(0);
    int fd = openat(root(), dot(path), flags | O_CLOEXEC, mode), error = fd < 0 ? -errno : 0;
    (void)host;
    umask(mask);
    *handle = (uint32_t)fd;
    return error < 0 ? error : host_stat_handle(host, *handle, st);
}
int host_close(struct host *host, uint32_t handle)
{
    return result(close((int)handle));
}

static struct timespec time_of(const struct host_set *set, unsigned bit, unsigned now,
                               const struct host_time *time)
{
    long ns = set->bits & bit ? time->ns : set->bits & now ? UTIME_NOW : UTIME_OMIT;
    return (struct timespec){.tv_sec = time->s, .tv_nsec = ns};
}
int host_set(struct host *host, const char *path, uint32_t handle, const struct host_set *set,
             struct host_stat *st)
{
    int fd = (int)handle, r = 0;
    struct timespec times[] = {time_of(set, HOST_SET_ATIME, HOST_SET_ATIME_NOW, &set->atime),
                               time_of(set, HOST_SET_MTIME, HOST_SET_MTIME_NOW, &set->mtime)};
    char name[4200];
    snprintf(name, sizeof(name), "%s/%s", getenv("WEIRFS_ROOT"), path);
    if (set->bits & HOST_SET_OWNER)
        r = fd ? fchown(fd, set->uid, set->gid) : lchown(name, set->uid, set->gid);
    if (r == 0 && set->bits & HOST_SET_MODE)
        r = fd ? fchmod(fd, set->mode) : chmod(name, set->mode);
    if (r == 0 && set->bits & HOST_SET_SIZE)
        r = fd ? ftruncate(fd, (off_t)set->size) : truncate(name, (off_t)set->size);
    if (r == 0)
        r = fd ? futimens(fd, times) : utimensat(root(), dot(path), times, AT_SYMLINK_NOFOLLOW);
    if (r < 0)
        return -errno;
    return fd ? host_stat_handle(host, handle, st) : host_stat(host, path, st);
}
long host_read(struct host *host, uint32_t handle, uint64_t offset, void *data, size_t bytes)
{
    ssize_t done = pread((int)handle, data, bytes, (off_t)offset);
    return done < 0 ? -errno : done;
}
long host_write(struct host *host, uint32_t handle, uint64_t offset, const void *data,
                size_t bytes)
{
    ssize_t done = pwrite((int)handle, data, bytes, (off_t)offset);
    return done < 0 ? -errno : done;
}
int host_sync(struct host *host, uint32_t handle, bool data_only)
{
    return result(data_only ? fdatasync((int)handle) : fsync((int)handle));
}
int host_seek(struct host *host, uint32_t handle, int whence, uint64_t *offset)
{
    off_t at = lseek((int)handle, (off_t)*offset, whence);
    if (at >= 0)
        *offset = (uint64_t)at;
    return result(at);
}
int host_make_directory(struct host *host, const char *path, unsigned mode)
{
    (void)host;
    return result(mkdirat(root(), path, mode));
}
int host_remove(struct host *host, const char *path, bool directory)
{
    (void)host;
    return result(unlinkat(root(), path, directory ? AT_REMOVEDIR : 0));
}
int host_rename(struct host *host, const char *from, const char *to, unsigned flags)
{
    (void)host;
    return result(renameat2(root(), from, root(), to, flags));
}
int host_link(struct host *host, const char *from, const char *to)
{
    (void)host;
    return result(linkat(root(), from, root(), to, 0));
}
int host_symlink(struct host *host, const char *path, const char *target)
{
    (void)host;
    return result(symlinkat(target, root(), path));
}
long host_readlink(struct host *host, const char *path, char *target, size_t bytes)
{
    ssize_t length = readlinkat(root(), path, target, bytes);
    (void)host;
    return length < 0 ? -errno : length;
}
int host_statfs(struct host *host, struct host_statfs *st)
{
    struct statfs s;
    (void)host;
    if (fstatfs(root(), &s) < 0)
        return -errno;
    *st = (struct host_statfs){.blocks = s.f_blocks,
                               .free = s.f_bfree,
                               .available = s.f_bavail,
                               .files = s.f_files,
                               .files_free = s.f_ffree,
                               .block_bytes = (uint32_t)s.f_bsize,
                               .name_max = (uint32_t)s.f_namelen};
    return 0;
}

/* Records are whole entries; the cookie is the kernel's. */
long host_read_directory(struct host *host, uint32_t handle, uint64_t cookie, bool stat,
                         void *data, size_t bytes)
{
    struct host_entry *out = data;
    size_t count = 0;
    int fd = openat((int)handle, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir)
        return -errno;
    if (cookie)
        seekdir(dir, (long)cookie);
    for (struct dirent *e; (count + 1) * sizeof(*out) <= bytes && (e = readdir(dir));) {
        out[count] = (struct host_entry){.ino = e->d_ino,
                                         .cookie = (uint64_t)e->d_off,
                                         .type = DTTOIF(e->d_type),
                                         .name_length = strlen(e->d_name)};
        strcpy(out[count].name, e->d_name);
        struct stat s;
        out[count].has_stat =
            stat && take(fstatat((int)handle, e->d_name, &s, AT_SYMLINK_NOFOLLOW), &s,
                         &out[count].st) == 0;
        count++;
    }
    closedir(dir);
    return (long)(count * sizeof(*out));
}
bool host_next_entry(const void *data, size_t bytes, size_t *at, bool stat,
                     struct host_entry *entry)
{
    (void)stat;
    if (*at + sizeof(*entry) > bytes)
        return false;
    memcpy(entry, (const char *)data + *at, sizeof(*entry));
    *at += sizeof(*entry);
    return true;
}
