/* SPDX-License-Identifier: MIT */
/*
 * block.c - see block.h. Raw images by pread/pwrite.
 *
 * With snapshot=on the image is opened read-only and every 4 KiB chunk that the guest writes is
 * first copied into an unlinked temporary file at the same offset; overlay_map has a bit per
 * chunk that lives there. The temporary file is sparse and vanishes with its descriptor.
 *
 * Locks are open file description locks (fcntl F_OFD_SETLK): a writer excludes everybody, also
 * a second drive of the same process, readers exclude only writers.
 */
#include "backend/block.h"
#include "base/bits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR_BYTES 512u
#define CHUNK_BYTES  4096u

/* ---- host file ---- */

/* Reads all of it; what lies behind the end of the file is zeros (a padded last sector). */
static int file_read(struct weir_block *b, int fd, uint64_t offset, uint8_t *buffer,
                     size_t length)
{
    while (length) {
        ssize_t n = pread(fd, buffer, length, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(&b->error, "%s: read at %llu", b->file,
                             (unsigned long long)offset);
        if (n == 0) {
            memset(buffer, 0, length);
            return 0;
        }
        buffer += n;
        offset += (uint64_t)n;
        length -= (size_t)n;
    }
    return 0;
}

static int file_write(struct weir_block *b, int fd, uint64_t offset, const uint8_t *buffer,
                      size_t length)
{
    while (length) {
        ssize_t n = pwrite(fd, buffer, length, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            errno = n ? errno : ENOSPC;
            return err_errno(&b->error, "%s: write at %llu", b->file,
                             (unsigned long long)offset);
        }
        buffer += n;
        offset += (uint64_t)n;
        length -= (size_t)n;
    }
    return 0;
}

static int lock_file(int fd, bool for_writing, const char *file, struct err *err)
{
    struct flock lock = {.l_type = for_writing ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    if (errno == EAGAIN || errno == EACCES)
        return err_set(err, WEIR_EBUSY, "%s: the image is in use by another %s", file,
                       for_writing ? "drive or process" : "drive or process that writes it");
    return 0; /* a file system without locks: nothing to protect with */
}

/* A file without a name. */
static int open_overlay(struct err *err)
{
    const char *dir = getenv("TMPDIR");
    if (!dir || !*dir)
        dir = "/var/tmp";
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    char path[512];
    if ((size_t)snprintf(path, sizeof(path), "%s/weir-XXXXXX", dir) >= sizeof(path))
        return err_set(err, WEIR_EINVAL, "TMPDIR is too long");
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "%s: temporary file for snapshot", dir);
    unlink(path);
    return fd;
}

static int file_size(int fd, const char *file, uint64_t *bytes, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_errno(err, "%s", file);
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
        return err_set(err, WEIR_EINVAL, "%s: not a regular file or block device", file);
    off_t end = lseek(fd, 0, SEEK_END);
    if (end < 0)
        return err_errno(err, "%s", file);
    *bytes = (uint64_t)end;
    return 0;
}

/* ---- medium ---- */

/* What block_open gathers before it touches the drive. */
struct medium {
    int fd, overlay_fd;
    uint64_t file_bytes, bytes;
    uint64_t *map;
    char *name;
};

static void medium_free(struct medium *m)
{
    if (m->fd >= 0)
        close(m->fd);
    if (m->overlay_fd >= 0)
        close(m->overlay_fd);
    free(m->map);
    free(m->name);
}

static int medium_open(struct medium *m, const struct weir_block *b, const char *file,
                       struct err *err)
{
    bool write_file = !b->read_only && !b->is_cdrom && !b->snapshot;
    /* O_NONBLOCK: a FIFO must be refused, not waited for. */
    m->fd = open(file, (write_file ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK);
    if (m->fd < 0)
        return err_errno(err, "%s", file);
    int rc = file_size(m->fd, file, &m->file_bytes, err);
    if (rc == 0)
        rc = lock_file(m->fd, write_file, file, err);
    if (rc < 0)
        return rc;
    m->bytes = (m->file_bytes + SECTOR_BYTES - 1) & ~(uint64_t)(SECTOR_BYTES - 1);
    m->name = strdup(file);
    if (!m->name)
        return err_set(err, WEIR_ENOMEM, "%s: out of memory", file);
    if (!b->snapshot || b->is_cdrom || b->read_only)
        return 0;
    uint64_t chunks = (m->bytes + CHUNK_BYTES - 1) / CHUNK_BYTES;
    m->map = calloc(chunks / 64 + 1, sizeof(*m->map));
    if (!m->map)
        return err_set(err, WEIR_ENOMEM, "%s: out of memory", file);
    m->overlay_fd = open_overlay(err);
    return m->overlay_fd < 0 ? m->overlay_fd : 0;
}

int block_open(struct weir_block *b, const char *file, struct err *err)
{
    struct medium m = {.fd = -1, .overlay_fd = -1};
    /* The same image again: our own lock must not be in the way. */
    bool same = b->file && !strcmp(b->file, file);
    if (same) {
        struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
        fcntl(b->fd, F_OFD_SETLK, &lock);
    }
    int rc = medium_open(&m, b, file, err);
    if (rc < 0) {
        medium_free(&m);
        if (same) {
            struct err ignored;
            lock_file(b->fd, block_writable(b) && !b->snapshot, file, &ignored);
        }
        return rc;
    }
    block_close(b);
    b->fd = m.fd;
    b->overlay_fd = m.overlay_fd;
    b->overlay_map = m.map;
    b->file = m.name;
    b->file_bytes = m.file_bytes;
    b->bytes = m.bytes;
    return 0;
}

void block_close(struct weir_block *b)
{
    if (!b->file)
        return;
    struct medium m = {b->fd, b->overlay_fd, 0, 0, b->overlay_map, b->file};
    medium_free(&m);
    b->fd = b->overlay_fd = -1;
    b->overlay_map = NULL;
    b->file = NULL;
    b->bytes = b->file_bytes = 0;
}

/* ---- overlay ---- */

static bool in_overlay(const struct weir_block *b, uint64_t chunk)
{
    return b->overlay_map[chunk / 64] & BIT64(chunk % 64);
}

/* Length of the run from `offset` that lies in one place: the file or the overlay. */
static size_t run_length(const struct weir_block *b, uint64_t offset, size_t length,
                         bool *overlay)
{
    uint64_t chunk = offset / CHUNK_BYTES;
    *overlay = in_overlay(b, chunk);
    size_t run = CHUNK_BYTES - offset % CHUNK_BYTES;
    while (run < length && in_overlay(b, ++chunk) == *overlay)
        run += CHUNK_BYTES;
    return run < length ? run : length;
}

static int overlay_read(struct weir_block *b, uint64_t offset, uint8_t *buffer, size_t length)
{
    while (length) {
        bool overlay;
        size_t run = run_length(b, offset, length, &overlay);
        int rc = file_read(b, overlay ? b->overlay_fd : b->fd, offset, buffer, run);
        if (rc < 0)
            return rc;
        offset += run;
        buffer += run;
        length -= run;
    }
    return 0;
}

static int overlay_write(struct weir_block *b, uint64_t offset, const uint8_t *buffer,
                         size_t length)
{
    uint8_t copy[CHUNK_BYTES];
    while (length) {
        uint64_t chunk = offset / CHUNK_BYTES, start = chunk * CHUNK_BYTES;
        size_t skip = offset - start, run = CHUNK_BYTES - skip;
        run = run < length ? run : length;
        int rc = 0;
        if (run < CHUNK_BYTES && !in_overlay(b, chunk)) {
            rc = file_read(b, b->fd, start, copy, CHUNK_BYTES);
            memcpy(copy + skip, buffer, run);
            if (rc == 0)
                rc = file_write(b, b->overlay_fd, start, copy, CHUNK_BYTES);
        } else {
            rc = file_write(b, b->overlay_fd, offset, buffer, run);
        }
        if (rc < 0)
            return rc;
        b->overlay_map[chunk / 64] |= BIT64(chunk % 64);
        offset += run;
        buffer += run;
        length -= run;
    }
    return 0;
}

/* ---- for drives ---- */

static int check(struct weir_block *b, uint64_t offset, size_t length)
{
    if (!block_present(b))
        return -WEIR_ESTATE;
    if (offset > b->bytes || length > b->bytes - offset)
        return -WEIR_ERANGE;
    return 0;
}

int block_read(struct weir_block *b, uint64_t offset, void *buffer, size_t length)
{
    int rc = check(b, offset, length);
    if (rc < 0)
        return rc;
    rc = b->overlay_map ? overlay_read(b, offset, buffer, length)
                        : file_read(b, b->fd, offset, buffer, length);
    if (rc < 0)
        return -WEIR_EIO;
    b->reads++;
    b->read_bytes += length;
    return 0;
}

int block_write(struct weir_block *b, uint64_t offset, const void *buffer, size_t length)
{
    int rc = check(b, offset, length);
    if (rc < 0)
        return rc;
    if (!block_writable(b))
        return -WEIR_EPERM;
    rc = b->overlay_map ? overlay_write(b, offset, buffer, length)
                        : file_write(b, b->fd, offset, buffer, length);
    if (rc < 0)
        return -WEIR_EIO;
    b->writes++;
    b->written_bytes += length;
    return 0;
}

int block_flush(struct weir_block *b)
{
    if (!block_present(b))
        return 0;
    b->flushes++;
    if (b->overlay_map || !block_writable(b))
        return 0; /* a temporary file need not survive anything */
    while (fdatasync(b->fd) < 0) {
        if (errno == EINTR)
            continue;
        if (errno == EINVAL || errno == ENOTSUP)
            return 0; /* a host file that has no notion of it */
        err_errno(&b->error, "%s: flush", b->file);
        return -WEIR_EIO;
    }
    return 0;
}
