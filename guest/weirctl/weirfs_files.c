/* SPDX-License-Identifier: MIT */
/* weirfs_files.c - operations on open files and directories. */
#include "weirfs.h"

#include "weir/hostcall.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where data is put that is read for a request: behind the largest header. */
enum { DATA_AT = 4096 };

static struct open_file *file_of(uint64_t fh)
{
    return (struct open_file *)(uintptr_t)fh;
}

static struct open_file *add_file(struct node *node, uint32_t handle, bool writable)
{
    struct open_file *file = malloc(sizeof(*file));
    if (!file)
        return NULL;
    *file = (struct open_file){.handle = handle,
                               .users = 1,
                               .writable = writable,
                               .node = node,
                               .next_of_node = node->files};
    node->files = file;
    return file;
}

/* With the kernel's write-back cache it reads where a program only writes, and it knows the end
 * of the file better than the host. */
static int flags_of(const struct weirfs *fs, uint32_t flags)
{
    int kept = (int)flags & (O_ACCMODE | O_APPEND | O_EXCL | O_TRUNC | O_CREAT);
    if (fs->options.writeback) {
        if ((kept & O_ACCMODE) == O_WRONLY)
            kept = (kept & ~O_ACCMODE) | O_RDWR;
        kept &= ~O_APPEND;
    }
    return kept;
}

/* Cached data stays when the file is as the kernel saw it last. */
static uint32_t cache_flags(const struct weirfs *fs, const struct node *node,
                            const struct host_stat *st)
{
    if (fs->options.direct)
        return FOPEN_DIRECT_IO;
    bool same = node->mtime.s == st->mtime.s && node->mtime.ns == st->mtime.ns &&
                node->size == st->size;
    return same || fs->options.writeback ? FOPEN_KEEP_CACHE : 0;
}

static int open_node(struct weirfs *fs, struct node *node, int flags, uint32_t *handle,
                     struct host_stat *st)
{
    int error = node_path(node, NULL, fs->path, sizeof(fs->path));
    if (error == 0)
        error = host_open(fs->number, fs->path, flags, 0, handle, st);
    if (error == 0 && node != &fs->table.root &&
        (st->ino != node->ino || st->dev != node->dev)) {
        host_close(*handle); /* replaced by the host: the kernel looks it up again */
        error = -ESTALE;
    }
    return error;
}

static void reply_open(struct weirfs *fs, struct node *node, uint32_t handle, bool writable,
                       uint32_t flags)
{
    struct open_file *file = add_file(node, handle, writable);
    struct fuse_open_out out = {.fh = (uintptr_t)file, .open_flags = flags};
    if (file) {
        reply(fs, &out, sizeof(out));
        return;
    }
    host_close(handle);
    reply_error(fs, -ENOMEM);
}

/* An open file that a reader can share, with its attributes. */
static struct open_file *find_reader(const struct node *node, struct host_stat *st)
{
    for (struct open_file *f = node->files; f; f = f->next_of_node)
        if (!f->writable && S_ISREG(node->type) && host_stat_handle(f->handle, st) == 0)
            return f;
    return NULL;
}

static bool share_reader(struct weirfs *fs, struct node *node)
{
    struct host_stat st;
    struct open_file *file = find_reader(node, &st);
    if (!file)
        return false;
    struct fuse_open_out out = {.fh = (uintptr_t)file,
                                .open_flags = cache_flags(fs, node, &st)};
    file->users++;
    reply(fs, &out, sizeof(out));
    return true;
}

void op_open(struct weirfs *fs, struct node *node, const void *argument)
{
    const struct fuse_open_in *in = argument;
    struct host_stat st;
    uint32_t handle;
    int flags = flags_of(fs, in->flags);
    if ((flags & (O_ACCMODE | O_TRUNC)) == O_RDONLY && share_reader(fs, node))
        return;
    int error = open_node(fs, node, flags, &handle, &st);
    if (error == -EACCES && fs->options.writeback && (in->flags & O_ACCMODE) == O_WRONLY) {
        flags = (flags & ~O_ACCMODE) | O_WRONLY;
        error = open_node(fs, node, flags, &handle, &st);
    }
    if (error < 0)
        reply_error(fs, error);
    else
        reply_open(fs, node, handle, (flags & O_ACCMODE) != O_RDONLY,
                   cache_flags(fs, node, &st));
}

void op_create(struct weirfs *fs, struct node *node, const void *argument)
{
    const struct fuse_create_in *in = argument;
    const char *name = (const char *)(in + 1);
    struct {
        struct fuse_entry_out entry;
        struct fuse_open_out open;
    } out;
    struct host_stat st;
    struct node *made;
    uint32_t handle;
    int flags = flags_of(fs, in->flags) | O_CREAT;
    int error = node_path(node, name, fs->path, sizeof(fs->path));
    if (error == 0)
        error =
            host_open(fs->number, fs->path, flags | O_NOFOLLOW, in->mode & 07777, &handle, &st);
    if (error < 0) {
        reply_error(fs, error);
        return;
    }
    struct open_file *file = NULL;
    if (fill_entry(fs, node, name, &st, &out.entry, &made)) {
        file = add_file(made, handle, (flags & O_ACCMODE) != O_RDONLY);
        if (!file)
            table_forget(&fs->table, made, 1);
    }
    if (!file) {
        host_close(handle);
        reply_error(fs, -ENOMEM);
        return;
    }
    out.open = (struct fuse_open_out){.fh = (uintptr_t)file,
                                      .open_flags = fs->options.direct ? FOPEN_DIRECT_IO : 0};
    reply(fs, &out, sizeof(out));
}

void op_read(struct weirfs *fs, struct node *node, const void *argument)
{
    const struct fuse_read_in *in = argument;
    size_t bytes = in->size < TRANSFER_MAX ? in->size : TRANSFER_MAX;
    uint32_t handle = file_of(in->fh)->handle;
    uint64_t offset = in->offset;
    (void)node;
    long done = host_read(handle, offset, fs->buffer + DATA_AT, bytes);
    if (done < 0)
        reply_error(fs, (int)done);
    else
        reply_data(fs, fs->buffer + DATA_AT, (size_t)done);
}

void op_write(struct weirfs *fs, struct node *node, const void *argument)
{
    const struct fuse_write_in *in = argument;
    size_t there = fs->in.len - sizeof(fs->in) - sizeof(*in);
    size_t bytes = in->size < there ? in->size : there;
    (void)node;
    long done = host_write(file_of(in->fh)->handle, in->offset, in + 1, bytes);
    struct fuse_write_out out = {.size = (uint32_t)done};
    if (done < 0)
        reply_error(fs, (int)done);
    else
        reply(fs, &out, sizeof(out));
}

void op_release(struct weirfs *fs, struct node *node, const void *argument)
{
    const struct fuse_release_in *in = argument;
    struct open_file *file = file_of(in->fh), **at = &file->node->files;
    if (--file->users) {
        reply_error(fs, 0);
        return;
    }
    host_close(file->handle);
    while (*at != file)
        at = &(*at)->next_of_node;
    *at = file->next_of_node;
    node = file->node;
    free(file);
    reply_error(fs, 0);
    table_drop(&fs->table, node);
}

void op_releasedir(struct weirfs *fs, struct node *node, const void *argument)
{
    op_release(fs, node, argument);
}

void op_fsync(struct weirfs *fs, struct node *node, const void *argument)
{
    const struct fuse_fsync_in *in = argument;
    (void)node;
    reply_error(fs, host_sync(file_of(in->fh)->handle, in->fsync_flags & FUSE_FSYNC_FDATASYNC));
}

void op_lseek(struct weirfs *fs, struct node *node, const void *argument)
{
    const struct fuse_lseek_in *in = argument;
    struct fuse_lseek_out out = {.offset = in->offset};
    /* The host does not know yet what the write-back cache holds; the kernel does without. */
    int error = fs->options.writeback ? -ENOSYS : -EINVAL;
    (void)node;
    if (error == -EINVAL && (in->whence == SEEK_DATA || in->whence == SEEK_HOLE))
        error = host_seek(file_of(in->fh)->handle, (int)in->whence, &out.offset);
    if (error < 0)
        reply_error(fs, error);
    else
        reply(fs, &out, sizeof(out));
}

/* ---- directories ---- */

void op_opendir(struct weirfs *fs, struct node *node, const void *argument)
{
    struct host_stat st;
    uint32_t handle;
    int error = open_node(fs, node, O_RDONLY | O_DIRECTORY, &handle, &st);
    (void)argument;
    if (error < 0)
        reply_error(fs, error);
    else
        reply_open(fs, node, handle, false, 0);
}

/* One entry in the kernel's form; how many bytes, 0 if it does not fit. */
static size_t put_entry(struct weirfs *fs, struct node *node, const struct host_entry *entry,
                        unsigned char *to, size_t room, bool plus)
{
    struct fuse_direntplus *whole = (struct fuse_direntplus *)to;
    struct fuse_dirent *entry_out = plus ? &whole->dirent : (struct fuse_dirent *)to;
    size_t head = plus ? FUSE_NAME_OFFSET_DIRENTPLUS : FUSE_NAME_OFFSET;
    size_t bytes = FUSE_DIRENT_ALIGN(head + entry->name_length);
    struct node *found;
    if (bytes > room)
        return 0;
    memset(to, 0, bytes);
    *entry_out = (struct fuse_dirent){.ino = entry->ino,
                                      .off = entry->cookie,
                                      .namelen = (uint32_t)entry->name_length,
                                      .type = (entry->type & S_IFMT) >> 12};
    memcpy(to + head, entry->name, entry->name_length);
    bool dots = !strcmp(entry->name, ".") || !strcmp(entry->name, "..");
    if (plus && !dots && entry->has_stat)
        fill_entry(fs, node, entry->name, &entry->st, &whole->entry_out, &found);
    return bytes;
}

static void read_directory(struct weirfs *fs, struct node *node, const struct fuse_read_in *in,
                           bool plus)
{
    unsigned char *out = fs->buffer + DATA_AT, *records = out + (TRANSFER_MAX >> 1);
    size_t room = in->size < TRANSFER_MAX >> 1 ? in->size : TRANSFER_MAX >> 1;
    size_t put = 0, at = 0;
    long bytes = host_read_directory(file_of(in->fh)->handle, in->offset, plus, records, room);
    if (bytes < 0) {
        reply_error(fs, (int)bytes);
        return;
    }
    for (struct host_entry entry; host_next_entry(records, (size_t)bytes, &at, plus, &entry);) {
        size_t more = put_entry(fs, node, &entry, out + put, room - put, plus);
        if (!more)
            break; /* the kernel asks again, from the last one's cookie */
        put += more;
    }
    reply(fs, out, put);
}

void op_readdir(struct weirfs *fs, struct node *node, const void *argument)
{
    struct fuse_read_in in = *(const struct fuse_read_in *)argument;
    read_directory(fs, node, &in, false);
}

void op_readdirplus(struct weirfs *fs, struct node *node, const void *argument)
{
    struct fuse_read_in in = *(const struct fuse_read_in *)argument;
    read_directory(fs, node, &in, true);
}
