/* SPDX-License-Identifier: MIT */
/* server.c - see server.h. */
#include "fuse/server.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* ---- answers ---- */

void reply_error(struct fuse_server *fs, int error)
{
    fs->port->reply(fs, error, NULL, 0);
}

void reply(struct fuse_server *fs, const void *data, size_t bytes)
{
    fs->port->reply(fs, 0, data, bytes);
}

void fill_attr(struct fuse_server *fs, struct node *node, const struct host_stat *st,
               struct fuse_attr *attr)
{
    const struct fuse_options *o = &fs->options;
    *attr = (struct fuse_attr){
        .ino = st->ino,
        .size = st->size,
        .blocks = st->blocks,
        .atime = (uint64_t)st->atime.s,
        .mtime = (uint64_t)st->mtime.s,
        .ctime = (uint64_t)st->ctime.s,
        .atimensec = st->atime.ns,
        .mtimensec = st->mtime.ns,
        .ctimensec = st->ctime.ns,
        .mode = st->mode,
        .nlink = st->nlink,
        .uid = st->uid == o->owner_uid ? o->uid : st->uid,
        .gid = st->gid == o->owner_gid ? o->gid : st->gid,
        .blksize = 65536,
    };
    if (o->map_least && S_ISREG(st->mode) && st->size >= o->map_least) {
        attr->flags = FUSE_ATTR_DAX;
        node->large = true;
    }
    if (node->large) /* Linux: or mapped files cannot be synchronized, also when they are small */
        attr->blksize = 4096;
}

void remember_times(struct node *node, const struct host_stat *st)
{
    node->mtime = st->mtime;
    node->size = st->size;
}

void fill_node(struct fuse_server *fs, struct node *node, const struct host_stat *st,
               struct fuse_entry_out *out)
{
    node->lookups++;
    remember_times(node, st);
    *out = (struct fuse_entry_out){.nodeid = node->id,
                                   .entry_valid = fs->options.timeout_s,
                                   .attr_valid = fs->options.timeout_s};
    fill_attr(fs, node, st, &out->attr);
}

bool fill_entry(struct fuse_server *fs, struct node *parent, const char *name,
                const struct host_stat *st, struct fuse_entry_out *out, struct node **found)
{
    struct node *node = table_enter(&fs->table, parent, name, st);
    *found = node;
    if (node)
        fill_node(fs, node, st, out);
    return node;
}

void reply_entry(struct fuse_server *fs, struct node *parent, const char *name,
                 const struct host_stat *st)
{
    struct fuse_entry_out out;
    struct node *node;
    if (fill_entry(fs, parent, name, st, &out, &node))
        reply(fs, &out, sizeof(out));
    else
        reply_error(fs, -ENOMEM);
}

int child_path(const struct node *directory, const char *name, char *path)
{
    if (!*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
        return -EINVAL;
    return node_path(directory, name, path, FUSE_PATH_BYTES);
}

/* ---- requests ---- */

static void op_init(struct fuse_server *fs, struct node *node, const void *argument)
{
    const struct fuse_init_in *in = argument;
    uint32_t largest = fs->options.transfer_max;
    struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION,
                                .minor = FUSE_KERNEL_MINOR_VERSION,
                                .max_readahead = in->max_readahead,
                                .max_background = 16,
                                .congestion_threshold = 12,
                                .max_write = largest,
                                .time_gran = 1,
                                .max_pages = (uint16_t)(largest / 4096),
                                .map_alignment = fs->options.map_alignment_log2};
    uint32_t wanted = FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_ATOMIC_O_TRUNC |
                      FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_PARALLEL_DIROPS |
                      FUSE_MAX_PAGES | FUSE_AUTO_INVAL_DATA | FUSE_EXPORT_SUPPORT |
                      FUSE_CACHE_SYMLINKS;
    (void)node;
    if (fs->options.writeback)
        wanted |= FUSE_WRITEBACK_CACHE;
    if (fs->port->map)
        wanted |= FUSE_MAP_ALIGNMENT;
    bool extended =
        in->flags & FUSE_INIT_EXT && fs->in.len >= sizeof(fs->in) + sizeof(struct fuse_init_in);
    if (extended && fs->port->map) { /* which files to map is said file by file */
        wanted |= FUSE_INIT_EXT;
        out.flags2 = in->flags2 & (uint32_t)(FUSE_HAS_INODE_DAX >> 32);
    }
    if (in->major < 7 || (in->major == 7 && in->minor < 28)) {
        reply_error(fs, -EPROTO);
        fs->too_old = true;
        return;
    }
    out.flags = in->flags & wanted;
    reply(fs, &out, sizeof(out));
    fs->ready = true;
}

static void op_forget(struct fuse_server *fs, struct node *node, const void *argument)
{
    const struct fuse_forget_in *in = argument;
    if (node)
        table_forget(&fs->table, node, in->nlookup);
}

static void op_batch_forget(struct fuse_server *fs, struct node *node, const void *argument)
{
    const struct fuse_batch_forget_in *in = argument;
    const struct fuse_forget_one *one = (const void *)(in + 1);
    uint32_t fits = (uint32_t)((fs->in.len - sizeof(fs->in) - sizeof(*in)) / sizeof(*one));
    (void)node;
    for (uint32_t k = 0; k < in->count && k < fits; k++) {
        struct node *forgotten = table_node(&fs->table, one[k].nodeid);
        if (forgotten)
            table_forget(&fs->table, forgotten, one[k].nlookup);
    }
}

/* Nothing to answer, or nothing to do. */
static void op_ignore(struct fuse_server *fs, struct node *node, const void *argument)
{
    (void)fs, (void)node, (void)argument;
}

static void op_destroy(struct fuse_server *fs, struct node *node, const void *argument)
{
    (void)node, (void)argument;
    reply_error(fs, 0);
    fs->ended = true;
}

/* What the table says of an operation's node. */
enum { NO_NODE, ANY_NODE, NEEDS_NODE };

// clang-format off
static const struct {
    fuse_operation *run;
    uint16_t bytes; /* of its argument at least */
    uint8_t node;
} operations[] = {
    [FUSE_LOOKUP] = {op_lookup, 1, NEEDS_NODE},
    [FUSE_FORGET] = {op_forget, sizeof(struct fuse_forget_in), ANY_NODE},
    [FUSE_GETATTR] = {op_getattr, 0, NEEDS_NODE},
    [FUSE_SETATTR] = {op_setattr, sizeof(struct fuse_setattr_in), NEEDS_NODE},
    [FUSE_READLINK] = {op_readlink, 0, NEEDS_NODE},
    [FUSE_SYMLINK] = {op_symlink, 2, NEEDS_NODE},
    [FUSE_MKNOD] = {op_mknod, sizeof(struct fuse_mknod_in) + 1, NEEDS_NODE},
    [FUSE_MKDIR] = {op_mkdir, sizeof(struct fuse_mkdir_in) + 1, NEEDS_NODE},
    [FUSE_UNLINK] = {op_unlink, 1, NEEDS_NODE},
    [FUSE_RMDIR] = {op_rmdir, 1, NEEDS_NODE},
    [FUSE_RENAME] = {op_rename, sizeof(struct fuse_rename_in) + 2, NEEDS_NODE},
    [FUSE_LINK] = {op_link, sizeof(struct fuse_link_in) + 1, NEEDS_NODE},
    [FUSE_OPEN] = {op_open, sizeof(struct fuse_open_in), NEEDS_NODE},
    [FUSE_READ] = {op_read, sizeof(struct fuse_read_in), NO_NODE},
    [FUSE_WRITE] = {op_write, sizeof(struct fuse_write_in), NO_NODE},
    [FUSE_STATFS] = {op_statfs, 0, NO_NODE},
    [FUSE_RELEASE] = {op_release, sizeof(struct fuse_release_in), NO_NODE},
    [FUSE_FSYNC] = {op_fsync, sizeof(struct fuse_fsync_in), NO_NODE},
    [FUSE_INIT] = {op_init, 16, NO_NODE},
    [FUSE_OPENDIR] = {op_opendir, sizeof(struct fuse_open_in), NEEDS_NODE},
    [FUSE_READDIR] = {op_readdir, sizeof(struct fuse_read_in), NEEDS_NODE},
    [FUSE_RELEASEDIR] = {op_releasedir, sizeof(struct fuse_release_in), NO_NODE},
    [FUSE_FSYNCDIR] = {op_fsync, sizeof(struct fuse_fsync_in), NO_NODE},
    [FUSE_CREATE] = {op_create, sizeof(struct fuse_create_in) + 1, NEEDS_NODE},
    [FUSE_INTERRUPT] = {op_ignore, 0, NO_NODE},
    [FUSE_DESTROY] = {op_destroy, 0, NO_NODE},
    [FUSE_BATCH_FORGET] = {op_batch_forget, sizeof(struct fuse_batch_forget_in), NO_NODE},
    [FUSE_READDIRPLUS] = {op_readdirplus, sizeof(struct fuse_read_in), NEEDS_NODE},
    [FUSE_RENAME2] = {op_rename2, sizeof(struct fuse_rename2_in) + 2, NEEDS_NODE},
    [FUSE_LSEEK] = {op_lseek, sizeof(struct fuse_lseek_in), NO_NODE},
    [FUSE_SETUPMAPPING] = {op_setupmapping, sizeof(struct fuse_setupmapping_in), NEEDS_NODE},
    [FUSE_REMOVEMAPPING] = {op_removemapping, sizeof(struct fuse_removemapping_in), NO_NODE},
};
// clang-format on

/* The node stays while it is worked with, whatever the request makes of the table. */
static void run_with_node(struct fuse_server *fs, fuse_operation *run, const void *argument)
{
    struct node *node = table_node(&fs->table, fs->in.nodeid);
    if (!node) {
        reply_error(fs, -ESTALE);
        return;
    }
    node->lookups++;
    run(fs, node, argument);
    node->lookups--;
    table_drop(&fs->table, node);
}

/* What is not in the table gets ENOSYS: the kernel does it by itself from then on (locks, access
 * checks, flush at close, copies), or says that it is not supported (extended attributes). */
void fuse_server_serve(struct fuse_server *fs, unsigned char *request, size_t bytes)
{
    if (bytes < sizeof(fs->in))
        return;
    memcpy(&fs->in, request, sizeof(fs->in));
    fs->in.len = (uint32_t)bytes;
    memset(request + bytes, 0, FUSE_REQUEST_PAD);
    const void *argument = request + sizeof(fs->in);
    uint32_t code = fs->in.opcode;
    if (!fs->table.nodes)
        reply_error(fs, -ENOMEM);
    else if (code >= sizeof(operations) / sizeof(*operations) || !operations[code].run)
        reply_error(fs, -ENOSYS);
    else if (bytes - sizeof(fs->in) < operations[code].bytes)
        reply_error(fs, -EINVAL);
    else if (operations[code].node == NEEDS_NODE)
        run_with_node(fs, operations[code].run, argument);
    else
        operations[code].run(fs, table_node(&fs->table, fs->in.nodeid), argument);
    if (fs->ended) {
        fuse_server_fini(fs);
        fuse_server_init(fs);
    }
}

bool fuse_server_init(struct fuse_server *fs)
{
    fs->ready = fs->too_old = fs->ended = false;
    if (!table_init(&fs->table)) {
        table_fini(&fs->table);
        return false;
    }
    fs->table.root.type = S_IFDIR;
    return true;
}

void fuse_server_fini(struct fuse_server *fs)
{
    files_close_all(fs);
    ids_fini(&fs->files);
    table_fini(&fs->table);
}
