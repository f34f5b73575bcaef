/* SPDX-License-Identifier: MIT */
/*
 * file_io.c - what is done with an open file. Data goes between the host's file and the guest's
 * pages directly.
 */
#include "hostcall/handle.h"
#include "hostcall/services.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define PIECES 256 /* for one system call */

static struct handle *get_file(weir_call *call, uint32_t number)
{
    struct handle *f = handle_get(call, number);
    return f && f->kind == HANDLE_FILE ? f : NULL;
}

/* ---- reading and writing ---- */

/* Until the regions are used up, the file ends, or an error: then what is done counts. */
static unsigned transfer(weir_call *call, struct handle *f, uint64_t offset, bool write,
                         uint64_t *done)
{
    struct iovec iov[PIECES];
    uint64_t bytes = call->regions.bytes;
    while (*done < bytes) {
        int n = memory_iovec(&call->regions, *done, iov, PIECES);
        ssize_t got = write ? pwritev(f->fd, iov, n, (off_t)(offset + *done))
                            : preadv(f->fd, iov, n, (off_t)(offset + *done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return *done ? 0 : status_of_errno(errno);
        if (got == 0)
            break;
        *done += (uint64_t)got;
    }
    return 0;
}

static unsigned read_write(weir_call *call, bool write)
{
    struct weir_hc_io *a = (struct weir_hc_io *)call->block;
    struct handle *f = get_file(call, a->handle);
    struct stat st;
    uint64_t done = 0;
    a->done = 0;
    if (!f || !(write ? f->writable : f->readable))
        return WEIR_HC_EBADF;
    uint64_t offset = a->offset == WEIR_HC_HERE ? f->position : a->offset;
    if (offset > INT64_MAX - WEIR_HC_MAX_BYTES)
        return WEIR_HC_EINVAL;
    unsigned error = transfer(call, f, offset, write, &done);
    if (!write)
        memory_written(call->c, &call->regions, done);
    if (fstat(f->fd, &st) == 0)
        a->size = (uint64_t)st.st_size;
    if (a->offset == WEIR_HC_HERE)
        f->position = offset + done;
    a->done = (uint32_t)done;
    if (write && !error && !done && call->regions.bytes)
        return WEIR_HC_ENOSPC;
    return error;
}

unsigned file_read(weir_call *call)
{
    return read_write(call, false);
}
unsigned file_write(weir_call *call)
{
    return read_write(call, true);
}

/* ---- position and size ---- */

unsigned file_seek(weir_call *call)
{
    struct weir_hc_seek *a = (struct weir_hc_seek *)call->block;
    struct handle *f = get_file(call, a->handle);
    struct stat st;
    if (!f)
        return WEIR_HC_EBADF;
    if (fstat(f->fd, &st) < 0)
        return status_of_errno(errno);
    int64_t base = a->whence == 1 ? (int64_t)f->position : a->whence == 2 ? st.st_size : 0;
    int64_t to;
    if (a->whence > 4 || __builtin_add_overflow(base, a->offset, &to) || to < 0)
        return WEIR_HC_EINVAL;
    if (a->whence >= 3) {
        to = lseek(f->fd, to, a->whence == 3 ? SEEK_DATA : SEEK_HOLE);
        if (to < 0)
            return errno == ENXIO ? WEIR_HC_ENODATA : status_of_errno(errno);
    }
    f->position = (uint64_t)to;
    a->offset = to;
    return 0;
}

unsigned file_truncate(weir_call *call)
{
    const struct weir_hc_truncate *a = (const struct weir_hc_truncate *)call->block;
    struct handle *f = get_file(call, a->handle);
    if (!f || !f->writable)
        return WEIR_HC_EBADF;
    if (a->size > INT64_MAX)
        return WEIR_HC_EFBIG;
    return ftruncate(f->fd, (off_t)a->size) < 0 ? status_of_errno(errno) : 0;
}

static int flush_one(const struct handle *f, bool data_only)
{
    return data_only ? fdatasync(f->fd) : fsync(f->fd);
}

unsigned file_flush(weir_call *call)
{
    const struct weir_hc_flush *a = (const struct weir_hc_flush *)call->block;
    struct handle *f;
    unsigned error = 0;
    if (a->handle) {
        f = handle_get(call, a->handle);
        if (!f || f->kind == HANDLE_NODE)
            return WEIR_HC_EBADF;
        return flush_one(f, a->flags & 1) < 0 ? status_of_errno(errno) : 0;
    }
    for (unsigned k = 0; (f = handle_slot(call->h, k)); k++)
        if (f->kind == HANDLE_FILE && f->writable && flush_one(f, a->flags & 1) < 0)
            error = status_of_errno(errno);
    return error;
}

/* ---- locks ---- */

/* Open file description locks: they belong to the handle, not to the process. */
unsigned file_lock(weir_call *call)
{
    const struct weir_hc_lock *a = (const struct weir_hc_lock *)call->block;
    struct handle *f = get_file(call, a->handle);
    unsigned type = a->type & 3;
    bool test = a->type & WEIR_HC_LOCK_TEST;
    if (!f)
        return WEIR_HC_EBADF;
    if (a->type > 6 || type == 3 || a->offset > INT64_MAX ||
        a->length > INT64_MAX - a->offset || (test && type == WEIR_HC_LOCK_UNLOCK))
        return WEIR_HC_EINVAL;
    /* The host wants the matching access to the file; DOS does not. */
    struct flock lock = {
        .l_type = type == WEIR_HC_LOCK_UNLOCK ? F_UNLCK : F_RDLCK,
        .l_whence = SEEK_SET,
        .l_start = (off_t)a->offset,
        .l_len = (off_t)a->length,
    };
    if ((type == WEIR_HC_LOCK_EXCLUSIVE && f->writable) ||
        (type == WEIR_HC_LOCK_SHARED && !f->readable))
        lock.l_type = F_WRLCK;
    if (fcntl(f->fd, test ? F_OFD_GETLK : F_OFD_SETLK, &lock) < 0)
        return errno == EACCES ? WEIR_HC_EAGAIN : status_of_errno(errno);
    return test && lock.l_type != F_UNLCK ? WEIR_HC_EAGAIN : 0;
}
