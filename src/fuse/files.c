/* SPDX-License-Identifier: MIT */
/* files.c - operations on open files and directories. */
#include "fuse/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct open_file *file_of(struct fuse_server *fs, uint64_t fh)
{
    return ids_find(&fs->files, fh);
}

static struct open_file *add_file(struct fuse_server *fs, struct node *node, uint32_t handle,
                                  bool writable)
{
    struct open_file *file = malloc(sizeof(*file));
    uint64_t id = file ? ids_add(&fs->files, file) : 0;
    if (!id) {
        free(file);
        return NULL;
    }
    *file = (struct open_file){.id = id,
                               .handle = handle,
                               .users = 1,
                               .writable = writable,
                               .node = node,
                               .next_of_node = node->files};
    node->files = file;
    return file;
}

/* Stores in a mapped page are none that the host's file system sees at once, so it may keep the
 * time of the last change. */
static void touch_mapped(struct fuse_server *fs, const struct open_file *file)
{
    const struct host_set set = {.bits = HOST_SET_MTIME_NOW};
    struct host_stat st;
    if (file->writable && file->node->mapped_writable && !file->mtime_set)
        host_set(fs->host, "", file->handle, &set, &st);
}

static void close_file(struct fuse_server *fs, struct open_file *file)
{
    struct open_file **at = &file->node->files;
    host_close(fs->host, file->handle);
    while (*at != file)
        at = &(*at)->next_of_node;
    *at = file->next_of_node;
    ids_remove(&fs->files, file->id);
    free(file);
}

void files_close_all(struct fuse_server *fs)
{
    for (uint32_t k = 0; k < fs->files.count; k++) {
        struct open_file *file = ids_at(&fs->files, k);
        if (file)
            close_file(fs, file);
    }
}

/* With the kernel's write-back cache it reads where a program only writes, and it knows the end
 * of the file better than the host. */
static int flags_of(const struct fuse_server *fs, uint32_t flags)
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
static uint32_t cache_flags(struct fuse_server *fs, struct node *node, uint32_t handle,
                            const struct host_stat *st)
{
    bool same = node->mtime.s == st->mtime.s && node->mtime.ns == st->mtime.ns &&
                node->size == st->size;
    if (node->mapped)
        fs->port->opened(fs, node, handle, !same);
    if (fs->options.direct)
        return FOPEN_DIRECT_IO;
    return same || fs->options.writeback ? FOPEN_KEEP_CACHE : 0;
}

static int open_node(struct fuse_server *fs, struct node *node, int flags, uint32_t *handle,
                     struct host_stat *st)
{
    int error = node_path(node, NULL, fs->path, sizeof(fs->path));
    if (error == 0)
        error = host_open(fs->host, fs->path, flags, 0, handle, st);
    if (error == 0 && node != &fs->table.root &&
        (st->ino != node->ino || st->dev != node->dev)) {
        host_close(fs->host, *handle); /* replaced by the host: the kernel looks it up again */
        error = -ESTALE;
    }
    return error;
}

static void reply_open(struct fuse_server *fs, struct node *node, uint32_t handle,
                       bool writable, uint32_t flags)
{
    struct open_file *file = add_file(fs, node, handle, writable);
    struct fuse_open_out out = {.open_flags = flags};
    if (file) {
        out.fh = file->id;
        reply(fs, &out, sizeof(out));
        return;
    }
    host_close(fs->host, handle);
    reply_error(fs, -ENOMEM);
}

/* An open file that a reader can share, with its attributes. */
static struct open_file *find_reader(struct fuse_server *fs, const struct node *node,
                                     struct host_stat *st)
{
    for (struct open_file *f = node->files; f; f = f->next_of_node)
        if (!f->writable && S_ISREG(node->type) &&
            host_stat_handle(fs->host, f->handle, st) == 0)
            return f;
    return NULL;
}

static bool share_reader(struct fuse_server *fs, struct node *node)
{
    struct host_stat st;
    struct open_file *file = find_reader(fs, node, &st);
    if (!file)
        return false;
    struct fuse_open_out out = {.fh = file->id,
                                .open_flags = cache_flags(fs, node, file->handle, &st)};
    file->users++;
    reply(fs, &out, sizeof(out));
    return true;
}

void op_open(struct fuse_server *fs, struct node *node, const void *argument)
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
                   cache_flags(fs, node, handle, &st));
}

void op_create(struct fuse_server *fs, struct node *node, const void *argument)
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
    int error = child_path(node, name, fs->path);
    if (error == 0)
        error =
            host_open(fs->host, fs->path, flags | O_NOFOLLOW, in->mode & 07777, &handle, &st);
    if (error < 0) {
        reply_error(fs, error);
        return;
    }
    struct open_file *file = NULL;
    if (fill_entry(fs, node, name, &st, &out.entry, &made)) {
        file = add_file(fs, made, handle, (flags & O_ACCMODE) != O_RDONLY);
        if (!file)
            table_forget(&fs->table, made, 1);
    }
    if (!file) {
        host_close(fs->host, handle);
        reply_error(fs, -ENOMEM);
        return;
    }
    out.open = (struct fuse_open_out){.fh = file->id,
                                      .open_flags = fs->options.direct ? FOPEN_DIRECT_IO : 0};
    reply(fs, &out, sizeof(out));
}

void op_read(struct fuse_server *fs, struct node *node, const void *argument)
{
    const struct fuse_read_in *in = argument;
    const struct open_file *file = file_of(fs, in->fh);
    uint32_t largest = fs->options.transfer_max;
    (void)node;
    if (file)
        fs->port->read(fs, file->handle, in->offset, in->size < largest ? in->size : largest);
    else
        reply_error(fs, -EBADF);
}

void op_write(struct fuse_server *fs, struct node *node, const void *argument)
{
    const struct fuse_write_in *in = argument;
    const struct open_file *file = file_of(fs, in->fh);
    (void)node;
    long done = file ? fs->port->write(fs, file->handle, in->offset, in->size) : -EBADF;
    struct fuse_write_out out = {.size = (uint32_t)done};
    if (done < 0)
        reply_error(fs, (int)done);
    else
        reply(fs, &out, sizeof(out));
}

void op_release(struct fuse_server *fs, struct node *node, const void *argument)
{
    const struct fuse_release_in *in = argument;
    struct open_file *file = file_of(fs, in->fh);
    if (!file || --file->users) {
        reply_error(fs, file ? 0 : -EBADF);
        return;
    }
    node = file->node;
    touch_mapped(fs, file);
    close_file(fs, file);
    reply_error(fs, 0);
    table_drop(&fs->table, node);
}

void op_releasedir(struct fuse_server *fs, struct node *node, const void *argument)
{
    op_release(fs, node, argument);
}

void op_fsync(struct fuse_server *fs, struct node *node, const void *argument)
{
    const struct fuse_fsync_in *in = argument;
    const struct open_file *file = file_of(fs, in->fh);
    bool data_only = in->fsync_flags & FUSE_FSYNC_FDATASYNC;
    (void)node;
    reply_error(fs, file ? host_sync(fs->host, file->handle, data_only) : -EBADF);
}

void op_lseek(struct fuse_server *fs, struct node *node, const void *argument)
{
    const struct fuse_lseek_in *in = argument;
    struct fuse_lseek_out out = {.offset = in->offset};
    /* The host does not know yet what the write-back cache holds; the kernel does without. */
    int error = fs->options.writeback ? -ENOSYS : -EINVAL;
    const struct open_file *file = file_of(fs, in->fh);
    (void)node;
    if (!file)
        error = -EBADF;
    if (error == -EINVAL && (in->whence == SEEK_DATA || in->whence == SEEK_HOLE))
        error = host_seek(fs->host, file->handle, (int)in->whence, &out.offset);
    if (error < 0)
        reply_error(fs, error);
    else
        reply(fs, &out, sizeof(out));
}

/* ---- directories ---- */

void op_opendir(struct fuse_server *fs, struct node *node, const void *argument)
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
static size_t put_entry(struct fuse_server *fs, struct node *node,
                        const struct host_entry *entry, unsigned char *to, size_t room,
                        bool plus)
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

static void read_directory(struct fuse_server *fs, struct node *node,
                           const struct fuse_read_in *in, bool plus)
{
    size_t half = fs->scratch_bytes / 2, room = in->size < half ? in->size : half;
    unsigned char *out = fs->scratch, *records = out + half;
    const struct open_file *file = file_of(fs, in->fh);
    size_t put = 0, at = 0;
    long bytes =
        file ? host_read_directory(fs->host, file->handle, in->offset, plus, records, room)
             : -EBADF;
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

void op_readdir(struct fuse_server *fs, struct node *node, const void *argument)
{
    struct fuse_read_in in = *(const struct fuse_read_in *)argument;
    read_directory(fs, node, &in, false);
}

void op_readdirplus(struct fuse_server *fs, struct node *node, const void *argument)
{
    struct fuse_read_in in = *(const struct fuse_read_in *)argument;
    read_directory(fs, node, &in, true);
}

/* ---- windows ---- */

static const struct open_file *file_for(const struct node *node, bool writable)
{
    const struct open_file *any = NULL;
    for (const struct open_file *f = node->files; f; f = f->next_of_node) {
        if (f->writable == writable)
            return f;
        any = f;
    }
    return any;
}

void op_setupmapping(struct fuse_server *fs, struct node *node, const void *argument)
{
    const struct fuse_setupmapping_in *in = argument;
    bool writable = in->flags & FUSE_SETUPMAPPING_FLAG_WRITE;
    const struct open_file *file = file_for(node, writable);
    int error = -ENOSYS;
    if (fs->port->map)
        error =
            file && S_ISREG(node->type) ? fs->port->map(fs, node, file->handle, in) : -EBADF;
    if (error == 0) {
        node->mapped = true;
        node->mapped_writable |= writable;
    }
    reply_error(fs, error);
}

void op_removemapping(struct fuse_server *fs, struct node *node, const void *argument)
{
    const struct fuse_removemapping_in *in = argument;
    const struct fuse_removemapping_one *one = (const void *)(in + 1);
    size_t fits = (fs->in.len - sizeof(fs->in) - sizeof(*in)) / sizeof(*one);
    int error = fs->port->map ? 0 : -ENOSYS;
    (void)node;
    if (error == 0 && in->count > fits)
        error = -EINVAL;
    for (size_t k = 0; error == 0 && k < in->count; k++) {
        struct fuse_removemapping_one this;
        memcpy(&this, &one[k], sizeof(this)); /* 4 bytes behind an aligned place */
        error = fs->port->unmap(fs, this.moffset, this.len);
    }
    reply_error(fs, error);
}
