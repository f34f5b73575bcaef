/* SPDX-License-Identifier: MIT */
/* file_attr.c - attributes, times and sizes of files; the file system's room. */
#include "hostcall/dostime.h"
#include "hostcall/fileattr.h"
#include "hostcall/handle.h"
#include "hostcall/services.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

const char *last_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int get(int fd, const char *path, int flags, const char *name, struct weir_hc_stat *out)
{
    struct statx x;
    if (statx(fd, path, flags, STATX_BASIC_STATS | STATX_BTIME, &x) < 0)
        return errno;
    *out = (struct weir_hc_stat){
        .ino = x.stx_ino,
        .size = x.stx_size,
        .blocks = x.stx_blocks,
        .atime = x.stx_atime.tv_sec,
        .mtime = x.stx_mtime.tv_sec,
        .ctime = x.stx_ctime.tv_sec,
        .btime = x.stx_mask & STATX_BTIME ? x.stx_btime.tv_sec : x.stx_mtime.tv_sec,
        .atime_ns = x.stx_atime.tv_nsec,
        .mtime_ns = x.stx_mtime.tv_nsec,
        .ctime_ns = x.stx_ctime.tv_nsec,
        .btime_ns = x.stx_mask & STATX_BTIME ? x.stx_btime.tv_nsec : x.stx_mtime.tv_nsec,
        .mode = x.stx_mode,
        .nlink = x.stx_nlink,
        .uid = x.stx_uid,
        .gid = x.stx_gid,
        .block_bytes = 65536,
        .dev = x.stx_dev_major << 20 | x.stx_dev_minor,
        .dos_size = x.stx_size > INT32_MAX ? INT32_MAX : (uint32_t)x.stx_size,
    };
    bool directory = S_ISDIR(x.stx_mode);
    if (directory)
        out->dos_size = 0;
    out->dos_attr = directory ? WEIR_HC_ATTR_DIR : WEIR_HC_ATTR_ARCHIVE;
    if (!(x.stx_mode & 0222))
        out->dos_attr |= WEIR_HC_ATTR_RO;
    if (name && name[0] == '.')
        out->dos_attr |= WEIR_HC_ATTR_HIDDEN;
    struct dos_time dos = dos_time_of(out->mtime);
    out->dos_time = dos.time;
    out->dos_date = dos.date;
    return 0;
}

int fileattr_get(int fd, const char *name, struct weir_hc_stat *out)
{
    return get(fd, "", AT_EMPTY_PATH, name, out);
}
int fileattr_at(int dir, const char *name, struct weir_hc_stat *out)
{
    return get(dir, name, AT_SYMLINK_NOFOLLOW, name, out);
}

/* ---- what a call is about ---- */

struct subject {
    struct target target; /* if it was named */
    struct share *share;
    const struct handle *handle; /* or that */
    int fd;                      /* to be closed if it was named */
};

static unsigned subject_find(weir_call *call, uint32_t handle, uint32_t share, uint32_t dir,
                             uint32_t flags, struct subject *s)
{
    struct stat st;
    s->handle = NULL;
    if (handle) {
        s->handle = handle_get(call, handle);
        if (!s->handle)
            return WEIR_HC_EBADF;
        s->fd = s->handle->fd;
        s->share = s->handle->share;
        return 0;
    }
    unsigned error = target_find(call, share, dir, 0, &s->target);
    if (error)
        return error;
    s->share = s->target.share;
    s->fd = target_probe(&s->target, !(flags & WEIR_HC_O_NOFOLLOW), &st);
    return s->fd < 0 ? name_status(call, &s->target, -s->fd) : 0;
}
static void subject_drop(struct subject *s)
{
    if (!s->handle)
        close(s->fd);
}

unsigned file_stat(weir_call *call)
{
    struct weir_hc_getattr *a = (struct weir_hc_getattr *)call->block;
    struct subject s;
    unsigned error = subject_find(call, a->handle, a->share, a->dir, a->flags, &s);
    if (error)
        return error;
    int number = fileattr_get(s.fd, s.handle ? NULL : last_name(s.target.path), &a->stat);
    subject_drop(&s);
    return number ? status_of_errno(number) : 0;
}

/* ---- setting ---- */

static struct timespec new_time(uint32_t set, uint32_t now, uint32_t value, int64_t seconds,
                                uint32_t ns)
{
    if (set & now)
        return (struct timespec){.tv_nsec = UTIME_NOW};
    if (set & value)
        return (struct timespec){.tv_sec = (time_t)seconds, .tv_nsec = (long)ns};
    return (struct timespec){.tv_nsec = UTIME_OMIT};
}

/* Of `path`, or, without one, of what `fd` is: a symbolic link has no other way. */
static int set_times(int fd, const char *path, const struct weir_hc_setattr *a)
{
    struct timespec times[2] = {
        new_time(a->set, WEIR_HC_SET_ATIME_NOW, WEIR_HC_SET_ATIME, a->stat.atime,
                 a->stat.atime_ns),
        new_time(a->set, WEIR_HC_SET_MTIME_NOW, WEIR_HC_SET_MTIME, a->stat.mtime,
                 a->stat.mtime_ns),
    };
    int64_t seconds;
    if (a->set & WEIR_HC_SET_DOS_TIME) {
        struct dos_time dos = {a->stat.dos_time, a->stat.dos_date};
        if (!dos_time_to(dos, &seconds))
            return EINVAL;
        times[1] = (struct timespec){.tv_sec = (time_t)seconds};
    }
    for (unsigned k = 0; k < 2; k++)
        if (times[k].tv_nsec >= 1000000000 && times[k].tv_nsec != UTIME_NOW &&
            times[k].tv_nsec != UTIME_OMIT)
            return EINVAL;
    if (times[0].tv_nsec == UTIME_OMIT && times[1].tv_nsec == UTIME_OMIT)
        return 0;
    int flags = *path ? 0 : AT_EMPTY_PATH;
    return utimensat(fd, path, times, flags) < 0 ? errno : 0;
}

/* A link has times, and permissions that nobody asks. */
static int set_link(int fd, const struct weir_hc_setattr *a)
{
    const uint32_t times =
        WEIR_HC_SET_ATIME | WEIR_HC_SET_MTIME | WEIR_HC_SET_ATIME_NOW | WEIR_HC_SET_MTIME_NOW;
    return a->set & ~(times | WEIR_HC_SET_OWNER) ? EOPNOTSUPP : set_times(fd, "", a);
}

/* Read-only is the absence of write permissions; taking it away gives those of the owner, and of
 * whoever else may read. */
static unsigned mode_for(const struct stat *st, uint16_t dos_attr)
{
    unsigned mode = st->st_mode & 0777;
    if (dos_attr & WEIR_HC_ATTR_RO)
        return mode & 0555;
    if (mode & 0222)
        return mode;
    return mode | 0200;
}

/* Through /proc the file itself is meant, whatever its name is by now. */
static int set_all(const struct subject *s, struct weir_hc_setattr *a)
{
    char path[32];
    struct stat st;
    int error = 0;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", s->fd);
    if (fstat(s->fd, &st) < 0)
        return errno;
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode))
        return EOPNOTSUPP;
    if (a->set & WEIR_HC_SET_OWNER && (a->stat.uid != st.st_uid || a->stat.gid != st.st_gid))
        return EPERM;
    if (S_ISLNK(st.st_mode))
        return set_link(s->fd, a);
    if (a->set & WEIR_HC_SET_SIZE) {
        if (S_ISDIR(st.st_mode))
            return EISDIR;
        if (a->stat.size > INT64_MAX)
            return EFBIG;
        bool open = s->handle && s->handle->kind == HANDLE_FILE && s->handle->writable;
        if ((open ? ftruncate(s->fd, (off_t)a->stat.size)
                  : truncate(path, (off_t)a->stat.size)) < 0)
            return errno;
    }
    unsigned mode = st.st_mode & 0777;
    if (a->set & WEIR_HC_SET_MODE)
        mode = a->stat.mode & 0777;
    else if (a->set & WEIR_HC_SET_DOS_ATTR && S_ISREG(st.st_mode))
        mode = mode_for(&st, a->stat.dos_attr);
    if (mode != (st.st_mode & 0777) && chmod(path, mode) < 0)
        error = errno;
    return error ? error : set_times(s->fd, path, a);
}

unsigned file_setattr(weir_call *call)
{
    struct weir_hc_setattr *a = (struct weir_hc_setattr *)call->block;
    struct subject s;
    if (a->set & ~0x1ffu)
        return WEIR_HC_EINVAL;
    unsigned error = subject_find(call, a->handle, a->share, a->dir, a->flags, &s);
    if (error)
        return error;
    int number = s.share->read_only && a->set ? EROFS : set_all(&s, a);
    const char *name = s.handle ? NULL : last_name(s.target.path);
    if (!number)
        number = fileattr_get(s.fd, name, &a->stat);
    subject_drop(&s);
    return number ? status_of_errno(number) : 0;
}

/* ---- room ---- */

/* DOS multiplies these in 32 bits, and old programs in signed ones: at most 2 GiB - 1 in all. */
static void dos_room(struct weir_hc_statfs *a)
{
    const uint64_t sector = 512, largest = INT32_MAX;
    uint64_t total = a->blocks * a->block_bytes, free = a->blocks_available * a->block_bytes;
    if (a->blocks && total / a->blocks != a->block_bytes)
        total = largest;
    if (total > largest)
        total = largest;
    if (free > total)
        free = total;
    unsigned per_cluster = 1;
    while (per_cluster < 64 && total / (sector * per_cluster) > 0xfff0)
        per_cluster *= 2;
    uint64_t clusters = total / (sector * per_cluster);
    uint64_t clusters_free = free / (sector * per_cluster);
    a->dos_sectors_per_cluster = (uint16_t)per_cluster;
    a->dos_sector_bytes = (uint16_t)sector;
    a->dos_clusters = (uint16_t)(clusters > 0xfff0 ? 0xfff0 : clusters);
    a->dos_clusters_free = (uint16_t)(clusters_free > 0xfff0 ? 0xfff0 : clusters_free);
}

unsigned file_statfs(weir_call *call)
{
    struct weir_hc_statfs *a = (struct weir_hc_statfs *)call->block;
    struct statvfs v;
    if (a->share >= call->h->share_count) {
        call->dos = 0x0f;
        return WEIR_HC_ENOENT;
    }
    const struct share *s = &call->h->shares[a->share];
    if (fstatvfs(s->root, &v) < 0)
        return status_of_errno(errno);
    a->block_bytes = v.f_frsize;
    a->blocks = v.f_blocks;
    a->blocks_free = v.f_bfree;
    a->blocks_available = s->read_only ? 0 : v.f_bavail;
    a->files = v.f_files;
    a->files_free = v.f_ffree;
    a->name_max = (uint32_t)v.f_namemax;
    a->reserved2 = 0;
    dos_room(a);
    return 0;
}

/* ---- times by themselves ---- */

#define WINDOWS_SECOND 10000000
#define WINDOWS_1970   11644473600 /* seconds since 1601 */

unsigned file_time(weir_call *call)
{
    struct weir_hc_file_time *a = (struct weir_hc_file_time *)call->block;
    int64_t seconds;
    if (!a->to_windows) {
        seconds = (int64_t)(a->windows / WINDOWS_SECOND) - WINDOWS_1970;
        struct dos_time dos = dos_time_of(seconds);
        a->dos_time = dos.time;
        a->dos_date = dos.date;
        a->hundredths =
            (uint16_t)(a->windows / (WINDOWS_SECOND / 100) % 100 + (seconds & 1) * 100);
        return 0;
    }
    if (a->hundredths > 199 ||
        !dos_time_to((struct dos_time){a->dos_time, a->dos_date}, &seconds))
        return WEIR_HC_EINVAL;
    a->windows = (uint64_t)(seconds + WINDOWS_1970) * WINDOWS_SECOND +
                 a->hundredths * (uint64_t)(WINDOWS_SECOND / 100);
    return 0;
}
