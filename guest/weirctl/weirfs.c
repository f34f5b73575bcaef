/* SPDX-License-Identifier: MIT */
/* weirfs.c - the mount, the handshake, and the loop that takes requests. */
#include "weirfs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { BUFFER_BYTES = 2 << 20, REQUEST_MAX = TRANSFER_MAX + 65536, SPLICE_LEAST = 65536 };

/* ---- answers ---- */

/* A new pipe that holds a largest answer; without it answers are written. */
static void open_pipe(struct weirfs *fs)
{
    if (fs->pipe[0] >= 0) {
        close(fs->pipe[0]);
        close(fs->pipe[1]);
    }
    if (pipe2(fs->pipe, O_CLOEXEC) < 0) {
        fs->pipe[0] = -1;
    } else if (fcntl(fs->pipe[1], F_SETPIPE_SZ, BUFFER_BYTES) < BUFFER_BYTES) {
        close(fs->pipe[0]);
        close(fs->pipe[1]);
        fs->pipe[0] = -1;
    }
}

static void send_reply(struct weirfs *fs, int error, const void *data, size_t bytes)
{
    struct fuse_out_header out = {
        .len = (uint32_t)(sizeof(out) + bytes), .error = error, .unique = fs->in.unique};
    struct iovec parts[] = {{&out, sizeof(out)}, {(void *)data, bytes}};
    /* ENOENT: whoever asked was killed meanwhile. */
    if (writev(fs->fd, parts, bytes ? 2 : 1) < 0 && errno != ENOENT && errno != EINTR)
        fs->quit = errno == ENODEV;
}

/* Much data goes by a pipe: then the kernel looks up the buffer's pages many at a time, not each
 * when it is copied. */
static bool splice_reply(struct weirfs *fs, const void *data, size_t bytes)
{
    struct fuse_out_header out = {.len = (uint32_t)(sizeof(out) + bytes),
                                  .unique = fs->in.unique};
    struct iovec part = {(void *)data, bytes};
    if (bytes < SPLICE_LEAST || fs->pipe[0] < 0 ||
        write(fs->pipe[1], &out, sizeof(out)) != sizeof(out))
        return false;
    bool good = vmsplice(fs->pipe[1], &part, 1, 0) == (ssize_t)bytes &&
                splice(fs->pipe[0], NULL, fs->fd, NULL, out.len, 0) == (ssize_t)out.len;
    if (!good)
        open_pipe(fs); /* what is left in the old one must not come before the next answer */
    return good;
}

void reply_data(struct weirfs *fs, const void *data, size_t bytes)
{
    if (!splice_reply(fs, data, bytes))
        reply(fs, data, bytes);
}

void reply_error(struct weirfs *fs, int error)
{
    send_reply(fs, error, NULL, 0);
}

void reply(struct weirfs *fs, const void *data, size_t bytes)
{
    send_reply(fs, 0, data, bytes);
}

void fill_attr(struct weirfs *fs, const struct host_stat *st, struct fuse_attr *attr)
{
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
        .uid = st->uid == fs->share.owner_uid ? fs->options.uid : st->uid,
        .gid = st->gid == fs->share.owner_gid ? fs->options.gid : st->gid,
        .blksize = 65536,
    };
}

void remember_times(struct node *node, const struct host_stat *st)
{
    node->mtime = st->mtime;
    node->size = st->size;
}

bool fill_entry(struct weirfs *fs, struct node *parent, const char *name,
                const struct host_stat *st, struct fuse_entry_out *out, struct node **found)
{
    struct node *node = table_enter(&fs->table, parent, name, st);
    *found = node;
    if (!node)
        return false;
    node->lookups++;
    remember_times(node, st);
    *out = (struct fuse_entry_out){.nodeid = (uintptr_t)node,
                                   .entry_valid = fs->options.timeout_s,
                                   .attr_valid = fs->options.timeout_s};
    fill_attr(fs, st, &out->attr);
    return true;
}

void reply_entry(struct weirfs *fs, struct node *parent, const char *name,
                 const struct host_stat *st)
{
    struct fuse_entry_out out;
    struct node *node;
    if (fill_entry(fs, parent, name, st, &out, &node))
        reply(fs, &out, sizeof(out));
    else
        reply_error(fs, -ENOMEM);
}

struct node *node_of(struct weirfs *fs, uint64_t id)
{
    return id == FUSE_ROOT_ID ? &fs->table.root : (struct node *)(uintptr_t)id;
}

/* ---- requests ---- */

static void op_init(struct weirfs *fs, struct node *node, const void *argument)
{
    const struct fuse_init_in *in = argument;
    struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION,
                                .minor = FUSE_KERNEL_MINOR_VERSION,
                                .max_readahead = in->max_readahead,
                                .max_background = 16,
                                .congestion_threshold = 12,
                                .max_write = TRANSFER_MAX,
                                .time_gran = 1,
                                .max_pages = TRANSFER_MAX / 4096};
    uint32_t wanted = FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_ATOMIC_O_TRUNC |
                      FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO | FUSE_PARALLEL_DIROPS |
                      FUSE_MAX_PAGES | FUSE_AUTO_INVAL_DATA | FUSE_EXPORT_SUPPORT |
                      FUSE_CACHE_SYMLINKS;
    (void)node;
    if (fs->options.writeback)
        wanted |= FUSE_WRITEBACK_CACHE;
    if (in->major < 7 || (in->major == 7 && in->minor < 28)) {
        fprintf(stderr, "weirfs: the kernel's FUSE is too old (%u.%u)\n", in->major, in->minor);
        reply_error(fs, -EPROTO);
        fs->quit = true;
        return;
    }
    out.flags = in->flags & wanted;
    reply(fs, &out, in->minor < 23 ? FUSE_COMPAT_22_INIT_OUT_SIZE : sizeof(out));
    fs->ready = true;
}

static void op_forget(struct weirfs *fs, struct node *node, const void *argument)
{
    const struct fuse_forget_in *in = argument;
    table_forget(&fs->table, node, in->nlookup);
}

static void op_batch_forget(struct weirfs *fs, struct node *node, const void *argument)
{
    const struct fuse_batch_forget_in *in = argument;
    const struct fuse_forget_one *one = (const void *)(in + 1);
    uint32_t fits = (uint32_t)((fs->in.len - sizeof(fs->in) - sizeof(*in)) / sizeof(*one));
    (void)node;
    for (uint32_t k = 0; k < in->count && k < fits; k++)
        table_forget(&fs->table, node_of(fs, one[k].nodeid), one[k].nlookup);
}

/* Nothing to answer, or nothing to do. */
static void op_ignore(struct weirfs *fs, struct node *node, const void *argument)
{
    (void)fs, (void)node, (void)argument;
}

static void op_done(struct weirfs *fs, struct node *node, const void *argument)
{
    (void)node, (void)argument;
    reply_error(fs, 0);
}

static const struct {
    weirfs_operation *run;
    size_t bytes; /* of its argument at least */
} operations[] = {
    [FUSE_LOOKUP] = {op_lookup, 1},
    [FUSE_FORGET] = {op_forget, sizeof(struct fuse_forget_in)},
    [FUSE_GETATTR] = {op_getattr, 0},
    [FUSE_SETATTR] = {op_setattr, sizeof(struct fuse_setattr_in)},
    [FUSE_READLINK] = {op_readlink, 0},
    [FUSE_SYMLINK] = {op_symlink, 2},
    [FUSE_MKNOD] = {op_mknod, sizeof(struct fuse_mknod_in) + 1},
    [FUSE_MKDIR] = {op_mkdir, sizeof(struct fuse_mkdir_in) + 1},
    [FUSE_UNLINK] = {op_unlink, 1},
    [FUSE_RMDIR] = {op_rmdir, 1},
    [FUSE_RENAME] = {op_rename, sizeof(struct fuse_rename_in) + 2},
    [FUSE_LINK] = {op_link, sizeof(struct fuse_link_in) + 1},
    [FUSE_OPEN] = {op_open, sizeof(struct fuse_open_in)},
    [FUSE_READ] = {op_read, sizeof(struct fuse_read_in)},
    [FUSE_WRITE] = {op_write, sizeof(struct fuse_write_in)},
    [FUSE_STATFS] = {op_statfs, 0},
    [FUSE_RELEASE] = {op_release, sizeof(struct fuse_release_in)},
    [FUSE_FSYNC] = {op_fsync, sizeof(struct fuse_fsync_in)},
    [FUSE_INIT] = {op_init, 16},
    [FUSE_OPENDIR] = {op_opendir, sizeof(struct fuse_open_in)},
    [FUSE_READDIR] = {op_readdir, sizeof(struct fuse_read_in)},
    [FUSE_RELEASEDIR] = {op_releasedir, sizeof(struct fuse_release_in)},
    [FUSE_FSYNCDIR] = {op_fsync, sizeof(struct fuse_fsync_in)},
    [FUSE_CREATE] = {op_create, sizeof(struct fuse_create_in) + 1},
    [FUSE_INTERRUPT] = {op_ignore, 0},
    [FUSE_DESTROY] = {op_done, 0},
    [FUSE_BATCH_FORGET] = {op_batch_forget, sizeof(struct fuse_batch_forget_in)},
    [FUSE_READDIRPLUS] = {op_readdirplus, sizeof(struct fuse_read_in)},
    [FUSE_RENAME2] = {op_rename2, sizeof(struct fuse_rename2_in) + 2},
    [FUSE_LSEEK] = {op_lseek, sizeof(struct fuse_lseek_in)},
};

/* What is not in the table gets ENOSYS: the kernel does it by itself from then on (locks, access
 * checks, flush at close, copies), or says that it is not supported (extended attributes). */
static void serve(struct weirfs *fs, size_t bytes)
{
    memcpy(&fs->in, fs->buffer, sizeof(fs->in));
    fs->buffer[bytes] = 0;
    uint32_t code = fs->in.opcode;
    if (code >= sizeof(operations) / sizeof(*operations) || !operations[code].run)
        reply_error(fs, -ENOSYS);
    else if (bytes - sizeof(fs->in) < operations[code].bytes)
        reply_error(fs, -EINVAL);
    else
        operations[code].run(fs, node_of(fs, fs->in.nodeid), fs->buffer + sizeof(fs->in));
}

/* One request; false when the file system is unmounted. */
static bool serve_one(struct weirfs *fs)
{
    ssize_t bytes = read(fs->fd, fs->buffer, REQUEST_MAX);
    if (bytes < 0)
        /* ENOENT: the request was taken back. */
        return errno == EINTR || errno == EAGAIN || errno == ENOENT;
    if ((size_t)bytes >= sizeof(struct fuse_in_header))
        serve(fs, (size_t)bytes);
    return !fs->quit;
}

/* ---- the mount ---- */

static int complain(const char *what, const char *why)
{
    fprintf(stderr, "weirfs: %s: %s\n", what, why);
    return 1;
}

static bool do_mount(struct weirfs *fs)
{
    char data[160], source[80];
    const struct mount_options *o = &fs->options;
    unsigned long flags = o->flags | MS_NODEV | MS_NOSUID;
    if (o->read_only || fs->share.read_only)
        flags |= MS_RDONLY;
    snprintf(data, sizeof(data),
             "fd=%d,rootmode=40000,user_id=%u,group_id=%u,default_permissions,allow_other",
             fs->fd, (unsigned)getuid(), (unsigned)getgid());
    snprintf(source, sizeof(source), "weir:%s", fs->share.name);
    if (mount(source, o->target, "fuse.weirfs", flags, data) == 0)
        return true;
    if (errno == EPERM)
        complain(o->target, "only root can mount");
    else if (errno == ENODEV)
        complain(o->target, "this kernel has no FUSE; load its module: modprobe fuse");
    else
        complain(o->target, strerror(errno));
    return false;
}

/* The kernel reads 128 KiB ahead on its own account; found by /proc, as a look at the mount itself
 * would wait for us. */
static void set_read_ahead(const struct weirfs *fs)
{
    char line[1024], path[64], real[PATH_BYTES];
    unsigned major, minor, best_major = 0, best_minor = 0;
    FILE *file = fopen("/proc/self/mountinfo", "re");
    while (file && fgets(line, sizeof(line), file)) {
        if (sscanf(line, "%*d %*d %u:%u %*s %1023s", &major, &minor, real) == 3 &&
            strstr(line, " fuse.weirfs ")) {
            best_major = major; /* the last one is the newest */
            best_minor = minor;
        }
    }
    if (file)
        fclose(file);
    snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb", best_major, best_minor);
    file = fopen(path, "we");
    if (!file)
        return;
    fprintf(file, "%u\n", fs->options.read_ahead_kib);
    fclose(file);
}

static bool open_device(struct weirfs *fs)
{
    fs->fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fs->fd >= 0)
        return true;
    complain("/dev/fuse", errno == ENOENT || errno == ENODEV
                              ? "this kernel has no FUSE; load its module: modprobe fuse"
                              : strerror(errno));
    return false;
}

/* One huge page if the kernel has one: the host then sees few long pieces of memory. */
static bool make_buffer(struct weirfs *fs)
{
    unsigned char *area = mmap(NULL, 2 * BUFFER_BYTES, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED)
        return false;
    uintptr_t start = ((uintptr_t)area + BUFFER_BYTES - 1) & ~(uintptr_t)(BUFFER_BYTES - 1);
    fs->buffer = (unsigned char *)start;
    madvise(fs->buffer, BUFFER_BYTES, MADV_HUGEPAGE);
    memset(fs->buffer, 0, BUFFER_BYTES);
    return true;
}

static bool prepare(struct weirfs *fs)
{
    struct host_stat st;
    fs->number = host_share(fs->options.share, &fs->share);
    if (fs->number < 0) {
        complain(fs->options.share ? fs->options.share : "weirfs",
                 fs->options.share
                     ? "the host has no share of this name; weirctl shares lists them"
                     : "the host shares nothing: weir -hostcall share=NAME,path=DIR");
        return false;
    }
    int error = host_stat(fs->number, "", &st);
    if (error < 0) {
        complain(fs->share.name, strerror(-error));
        return false;
    }
    if (!table_init(&fs->table) || !make_buffer(fs)) {
        complain(fs->share.name, "out of memory");
        return false;
    }
    fs->table.root.type = S_IFDIR;
    fs->pipe[0] = -1;
    open_pipe(fs);
    return open_device(fs) && do_mount(fs);
}

/* The kernel waits for us when it wants memory back: we must not wait for it in turn. */
static void be_important(void)
{
    FILE *file = fopen("/proc/self/oom_score_adj", "we");
    if (file) {
        fputs("-1000\n", file);
        fclose(file);
    }
    prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
    mlockall(MCL_CURRENT);
}

static void go_background(int ready_fd)
{
    char ok = 1;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    setsid();
    (void)!chdir("/");
    for (int k = 0; k < 3 && null >= 0; k++)
        dup2(null, k);
    (void)!write(ready_fd, &ok, 1);
    close(ready_fd);
}

static int serve_all(struct weirfs *fs, int ready_fd)
{
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    while (!fs->ready && serve_one(fs))
        ;
    if (!fs->ready)
        return 1;
    set_read_ahead(fs);
    be_important();
    if (ready_fd >= 0)
        go_background(ready_fd);
    while (serve_one(fs))
        ;
    return 0;
}

int weirfs_run(const struct mount_options *options)
{
    int ready[2];
    char ok = 0;
    static struct weirfs server; /* one in a process */
    struct weirfs *fs = &server;
    fs->options = *options;
    if (!prepare(fs))
        return 1;
    if (options->foreground)
        return serve_all(fs, -1);
    if (pipe2(ready, O_CLOEXEC) < 0)
        return complain("pipe", strerror(errno));
    pid_t child = fork();
    if (child < 0)
        return complain("fork", strerror(errno));
    if (child == 0) {
        close(ready[0]);
        _exit(serve_all(fs, ready[1]));
    }
    if (options->server)
        *options->server = child;
    close(ready[1]);
    close(fs->fd); /* so that the mount ends with the server */
    if (read(ready[0], &ok, 1) == 1 && ok)
        return 0;
    return complain(options->target, "the server ended at once");
}
