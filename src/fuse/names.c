/* SPDX-License-Identifier: MIT */
/* names.c - operations on names and attributes. */
#include "fuse/server.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* ---- looking ---- */

static bool same_file(const struct fuse_server *fs, const struct node *node,
                      const struct host_stat *st)
{
    return node == &fs->table.root ||
           (st->ino == node->ino && st->dev == node->dev && (st->mode & S_IFMT) == node->type);
}

int stat_node(struct fuse_server *fs, struct node *node, struct host_stat *st)
{
    if (node->files)
        return host_stat_handle(fs->host, node->files->handle, st);
    int error = node_path(node, NULL, fs->path, sizeof(fs->path));
    if (error == 0)
        error = host_stat(fs->host, fs->path, st);
    /* The host has another file there now: the kernel looks the name up again. */
    return error == 0 && !same_file(fs, node, st) ? -ESTALE : error;
}

static void reply_attr(struct fuse_server *fs, struct node *node, const struct host_stat *st)
{
    struct fuse_attr_out out = {.attr_valid = fs->options.timeout_s};
    fill_attr(fs, node, st, &out.attr);
    remember_times(node, st);
    reply(fs, &out, sizeof(out));
}

void op_getattr(struct fuse_server *fs, struct node *node, const void *argument)
{
    struct host_stat st;
    int error = stat_node(fs, node, &st);
    (void)argument;
    if (error < 0)
        reply_error(fs, error);
    else
        reply_attr(fs, node, &st);
}

/* Names that are not there are remembered as long as those that are. */
static void reply_missing(struct fuse_server *fs, struct node *parent, const char *name)
{
    struct fuse_entry_out out = {.entry_valid = fs->options.timeout_s};
    table_remove_name(&fs->table, parent, name);
    if (fs->options.timeout_s)
        reply(fs, &out, sizeof(out));
    else
        reply_error(fs, -ENOENT);
}

/* Answers with what is at `name` now, after something was made there. */
static void reply_new(struct fuse_server *fs, struct node *parent, const char *name)
{
    struct host_stat st;
    int error = child_path(parent, name, fs->path);
    if (error == 0)
        error = host_stat(fs->host, fs->path, &st);
    if (error < 0)
        reply_error(fs, error);
    else
        reply_entry(fs, parent, name, &st);
}

/* For NFS servers, which know a file by its number only. */
static void look_up_dots(struct fuse_server *fs, struct node *node, bool parent)
{
    struct host_stat st;
    struct fuse_entry_out out;
    if (parent && !node->is_root)
        node = node->names ? node->names->parent : NULL;
    int error = node ? stat_node(fs, node, &st) : -ESTALE;
    if (error < 0) {
        reply_error(fs, error);
        return;
    }
    fill_node(fs, node, &st, &out);
    reply(fs, &out, sizeof(out));
}

void op_lookup(struct fuse_server *fs, struct node *node, const void *argument)
{
    const char *name = argument;
    struct host_stat st;
    if (!strcmp(name, ".") || !strcmp(name, "..")) {
        look_up_dots(fs, node, name[1]);
        return;
    }
    int error = child_path(node, name, fs->path);
    if (error == 0)
        error = host_stat(fs->host, fs->path, &st);
    if (error == -ENOENT)
        reply_missing(fs, node, name);
    else if (error < 0)
        reply_error(fs, error);
    else
        reply_entry(fs, node, name, &st);
}

void op_readlink(struct fuse_server *fs, struct node *node, const void *argument)
{
    long length = node_path(node, NULL, fs->path, sizeof(fs->path));
    (void)argument;
    if (length == 0)
        length = host_readlink(fs->host, fs->path, fs->other_path, FUSE_PATH_BYTES - 1);
    if (length < 0)
        reply_error(fs, (int)length);
    else
        reply(fs, fs->other_path, (size_t)length);
}

void op_statfs(struct fuse_server *fs, struct node *node, const void *argument)
{
    struct host_statfs st;
    int error = host_statfs(fs->host, &st);
    (void)node, (void)argument;
    if (error < 0) {
        reply_error(fs, error);
        return;
    }
    struct fuse_statfs_out out = {.st = {.blocks = st.blocks,
                                         .bfree = st.free,
                                         .bavail = st.available,
                                         .files = st.files,
                                         .ffree = st.files_free,
                                         .bsize = st.block_bytes,
                                         .frsize = st.block_bytes,
                                         .namelen = st.name_max}};
    reply(fs, &out, sizeof(out));
}

/* ---- changing attributes ---- */

/* The owner that a guest wants, as the host counts. */
static void set_owner(struct fuse_server *fs, const struct fuse_setattr_in *in,
                      const struct host_stat *now, struct host_set *set)
{
    set->uid = now->uid;
    set->gid = now->gid;
    if (in->valid & FATTR_UID)
        set->uid = in->uid == fs->options.uid && fs->options.owner_uid != UINT32_MAX
                       ? fs->options.owner_uid
                       : in->uid;
    if (in->valid & FATTR_GID)
        set->gid = in->gid == fs->options.gid && fs->options.owner_gid != UINT32_MAX
                       ? fs->options.owner_gid
                       : in->gid;
    if (set->uid != now->uid || set->gid != now->gid)
        set->bits |= HOST_SET_OWNER;
}

static struct host_set set_of(const struct fuse_setattr_in *in)
{
    struct host_set set = {.mode = in->mode & 07777,
                           .size = in->size,
                           .atime = {(int64_t)in->atime, in->atimensec},
                           .mtime = {(int64_t)in->mtime, in->mtimensec}};
    if (in->valid & FATTR_MODE)
        set.bits |= HOST_SET_MODE;
    if (in->valid & FATTR_SIZE)
        set.bits |= HOST_SET_SIZE;
    if (in->valid & FATTR_ATIME)
        set.bits |= in->valid & FATTR_ATIME_NOW ? HOST_SET_ATIME_NOW : HOST_SET_ATIME;
    if (in->valid & FATTR_MTIME)
        set.bits |= in->valid & FATTR_MTIME_NOW ? HOST_SET_MTIME_NOW : HOST_SET_MTIME;
    return set;
}

/* A size is set by a handle that may write, whatever the file's permissions are by now. */
static uint32_t handle_for(const struct node *node, const struct host_set *set)
{
    for (const struct open_file *f = node->files; f; f = f->next_of_node)
        if (f->writable || (!node->names && !(set->bits & HOST_SET_SIZE)))
            return f->handle;
    return HOST_NO_HANDLE;
}

void op_setattr(struct fuse_server *fs, struct node *node, const void *argument)
{
    const struct fuse_setattr_in *in = argument;
    struct host_stat st;
    struct host_set set = set_of(in);
    int error = stat_node(fs, node, &st);
    if (error == 0)
        set_owner(fs, in, &st, &set);
    if (set.bits & (HOST_SET_MTIME | HOST_SET_MTIME_NOW))
        for (struct open_file *f = node->files; f; f = f->next_of_node)
            f->mtime_set = true;
    if (error == 0 && set.bits) {
        uint32_t handle = handle_for(node, &set);
        if (handle == HOST_NO_HANDLE)
            error = node_path(node, NULL, fs->path, sizeof(fs->path));
        if (error == 0)
            error = host_set(fs->host, fs->path, handle, &set, &st);
    }
    if (error < 0)
        reply_error(fs, error);
    else
        reply_attr(fs, node, &st);
}

/* ---- making ---- */

void op_mkdir(struct fuse_server *fs, struct node *node, const void *argument)
{
    const struct fuse_mkdir_in *in = argument;
    const char *name = (const char *)(in + 1);
    int error = child_path(node, name, fs->path);
    if (error == 0)
        error = host_make_directory(fs->host, fs->path, in->mode & 07777);
    if (error < 0)
        reply_error(fs, error);
    else
        reply_new(fs, node, name);
}

void op_mknod(struct fuse_server *fs, struct node *node, const void *argument)
{
    const struct fuse_mknod_in *in = argument;
    const char *name = (const char *)(in + 1);
    struct host_stat st;
    uint32_t handle;
    int error = child_path(node, name, fs->path);
    if (error == 0 && (in->mode & S_IFMT) != S_IFREG)
        error = -EPERM; /* no devices, pipes and sockets in a share */
    if (error == 0)
        error = host_open(fs->host, fs->path, O_WRONLY | O_CREAT | O_EXCL, in->mode & 07777,
                          &handle, &st);
    if (error < 0) {
        reply_error(fs, error);
        return;
    }
    host_close(fs->host, handle);
    reply_entry(fs, node, name, &st);
}

void op_symlink(struct fuse_server *fs, struct node *node, const void *argument)
{
    const char *name = argument, *target = name + strlen(name) + 1;
    int error = child_path(node, name, fs->path);
    if (error == 0)
        error = host_symlink(fs->host, fs->path, target);
    if (error < 0)
        reply_error(fs, error);
    else
        reply_new(fs, node, name);
}

void op_link(struct fuse_server *fs, struct node *node, const void *argument)
{
    const struct fuse_link_in *in = argument;
    const char *name = (const char *)(in + 1);
    const struct node *old = table_node(&fs->table, in->oldnodeid);
    int error = old ? node_path(old, NULL, fs->path, sizeof(fs->path)) : -ESTALE;
    if (error == 0)
        error = child_path(node, name, fs->other_path);
    if (error == 0)
        error = host_link(fs->host, fs->path, fs->other_path);
    if (error < 0)
        reply_error(fs, error);
    else
        reply_new(fs, node, name);
}

/* ---- removing and moving ---- */

static void remove_name(struct fuse_server *fs, struct node *node, const char *name,
                        bool directory)
{
    int error = child_path(node, name, fs->path);
    if (error == 0)
        error = host_remove(fs->host, fs->path, directory);
    if (error == 0 || error == -ENOENT)
        table_remove_name(&fs->table, node, name);
    reply_error(fs, error);
}

void op_unlink(struct fuse_server *fs, struct node *node, const void *argument)
{
    remove_name(fs, node, argument, false);
}

void op_rmdir(struct fuse_server *fs, struct node *node, const void *argument)
{
    remove_name(fs, node, argument, true);
}

static void move(struct fuse_server *fs, struct node *node, uint64_t to_id,
                 const char *from_name, unsigned flags)
{
    struct node *to = table_node(&fs->table, to_id);
    const char *to_name = from_name + strlen(from_name) + 1;
    int error = to ? child_path(node, from_name, fs->path) : -ESTALE;
    if (error == 0)
        error = child_path(to, to_name, fs->other_path);
    if (error == 0)
        error = host_rename(fs->host, fs->path, fs->other_path, flags);
    if (error == 0)
        table_rename(&fs->table, node, from_name, to, to_name, flags & HOST_RENAME_EXCHANGE);
    reply_error(fs, error);
}

void op_rename(struct fuse_server *fs, struct node *node, const void *argument)
{
    const struct fuse_rename_in *in = argument;
    move(fs, node, in->newdir, (const char *)(in + 1), 0);
}

void op_rename2(struct fuse_server *fs, struct node *node, const void *argument)
{
    const struct fuse_rename2_in *in = argument;
    if (in->flags & ~(HOST_RENAME_NOREPLACE | HOST_RENAME_EXCHANGE))
        reply_error(fs, -EINVAL);
    else
        move(fs, node, in->newdir, (const char *)(in + 1), in->flags);
}
