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

enum {
    BUFFER_BYTES = 2 << 20,
    REQUEST_MAX = FUSE_TRANSFER_MAX + 65536,
    SCRATCH_AT = 4096, /* behind the largest request that is no write */
    SPLICE_LEAST = 65536,
};

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
        .len = (uint32_t)(sizeof(out) + bytes), .error = error, .unique = fs->server.in.unique};
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
                                  .unique = fs->server.in.unique};
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

static struct weirfs *weirfs_of(struct fuse_server *server)
{
    return (struct weirfs *)((char *)server - offsetof(struct weirfs, server));
}

static void port_reply(struct fuse_server *server, int error, const void *data, size_t bytes)
{
    send_reply(weirfs_of(server), error, data, bytes);
}

static void port_read(struct fuse_server *server, uint32_t handle, uint64_t offset,
                      size_t bytes)
{
    struct weirfs *fs = weirfs_of(server);
    long done = host_read(&fs->host, handle, offset, server->scratch, bytes);
    if (done < 0)
        send_reply(fs, (int)done, NULL, 0);
    else if (!splice_reply(fs, server->scratch, (size_t)done))
        send_reply(fs, 0, server->scratch, (size_t)done);
}

static long port_write(struct fuse_server *server, uint32_t handle, uint64_t offset,
                       size_t bytes)
{
    struct weirfs *fs = weirfs_of(server);
    size_t head = sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in);
    size_t there = server->in.len - head;
    return host_write(&fs->host, handle, offset, fs->buffer + head,
                      bytes < there ? bytes : there);
}

static const struct fuse_port port = {
    .reply = port_reply, .read = port_read, .write = port_write};

/* One request; false when the file system is unmounted. */
static bool serve_one(struct weirfs *fs)
{
    ssize_t bytes = read(fs->fd, fs->buffer, REQUEST_MAX);
    if (bytes < 0)
        /* ENOENT: the request was taken back. */
        return errno == EINTR || errno == EAGAIN || errno == ENOENT;
    fuse_server_serve(&fs->server, fs->buffer, (size_t)bytes);
    if (fs->server.too_old)
        fprintf(stderr, "weirfs: the kernel's FUSE is too old\n");
    return !fs->quit && !fs->server.too_old;
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
static void set_read_ahead(const struct mount_options *o, const char *type)
{
    char line[1024], path[64], real[FUSE_PATH_BYTES];
    unsigned major, minor, best_major = 0, best_minor = 0;
    FILE *file = fopen("/proc/self/mountinfo", "re");
    while (file && fgets(line, sizeof(line), file)) {
        if (sscanf(line, "%*d %*d %u:%u %*s %1023s", &major, &minor, real) == 3 &&
            strstr(line, type)) {
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
    fprintf(file, "%u\n", o->read_ahead_kib);
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

static bool make_server(struct weirfs *fs)
{
    const struct mount_options *o = &fs->options;
    fs->server = (struct fuse_server){
        .options = {.direct = o->direct,
                    .writeback = o->writeback,
                    .timeout_s = o->timeout_s,
                    .uid = o->uid,
                    .gid = o->gid,
                    .owner_uid = fs->share.owner_uid,
                    .owner_gid = fs->share.owner_gid,
                    .transfer_max = FUSE_TRANSFER_MAX},
        .port = &port,
        .host = &fs->host,
        .scratch = fs->buffer + SCRATCH_AT,
        .scratch_bytes = FUSE_TRANSFER_MAX,
    };
    return fuse_server_init(&fs->server);
}

static bool prepare(struct weirfs *fs)
{
    struct host_stat st;
    int number = host_share(fs->options.share, &fs->share);
    if (number < 0) {
        complain(fs->options.share ? fs->options.share : "weirfs",
                 fs->options.share
                     ? "the host has no share of this name; weirctl shares lists them"
                     : "the host shares nothing: weir -hostcall share=NAME,path=DIR");
        return false;
    }
    fs->host = host_of(number);
    int error = host_stat(&fs->host, "", &st);
    if (error < 0) {
        complain(fs->share.name, strerror(-error));
        return false;
    }
    if (!make_buffer(fs) || !make_server(fs)) {
        complain(fs->share.name, "out of memory");
        return false;
    }
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
    while (!fs->server.ready && serve_one(fs))
        ;
    if (!fs->server.ready)
        return 1;
    set_read_ahead(&fs->options, " fuse.weirfs ");
    be_important();
    if (ready_fd >= 0)
        go_background(ready_fd);
    while (serve_one(fs))
        ;
    return 0;
}

/* ---- the kernel's own driver ---- */

/* What the device serves is what weirfs would, if nothing else was asked for. */
static bool same_as_device(const struct mount_options *o, const struct host_share *share)
{
    return share->device && !o->foreground && !o->direct && !o->writeback && !o->uid &&
           !o->gid && o->timeout_s == (share->device_always ? 86400 : 1);
}

/* 0; 1 after a message; -1: not mounted, weirfs can do it. */
static int mount_device(const struct mount_options *o)
{
    struct host_share share;
    if (o->dax == DAX_NEVER || host_share(o->share, &share) < 0)
        return -1;
    unsigned long flags = o->flags | MS_NODEV | MS_NOSUID;
    if (o->read_only || share.read_only)
        flags |= MS_RDONLY;
    if (same_as_device(o, &share) &&
        mount(share.name, o->target, "virtiofs", flags, NULL) == 0) {
        set_read_ahead(o, " virtiofs ");
        if (o->server)
            *o->server = 0;
        return 0;
    }
    if (o->dax != DAX_ALWAYS)
        return -1;
    if (!share.device)
        return complain(share.name,
                        "no virtio-fs device: weir -hostcall share=...,virtiofs=on");
    return complain(o->target, same_as_device(o, &share)
                                   ? strerror(errno)
                                   : "dax=always does not go with the other options");
}

int weirfs_run(const struct mount_options *options)
{
    int mounted = mount_device(options);
    if (mounted >= 0)
        return mounted;
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
