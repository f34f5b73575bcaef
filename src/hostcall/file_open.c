/* SPDX-License-Identifier: MIT */
/*
 * file_open.c - opening and closing. What a name leads to is looked at (O_PATH) before it is
 * opened, because opening a device or a FIFO may already do something; the real opening is then of
 * that very file, whatever the name has become meanwhile.
 */
#include "hostcall/fileattr.h"
#include "hostcall/handle.h"
#include "hostcall/services.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define CREATE_RETRIES 8

unsigned file_share(weir_call *call)
{
    struct weir_hc_share *a = (struct weir_hc_share *)call->block;
    if (a->index >= call->h->share_count)
        return WEIR_HC_ENODATA;
    const struct share *s = &call->h->shares[a->index];
    a->flags = (s->read_only ? WEIR_HC_SHARE_RO : 0) | (s->device ? WEIR_HC_SHARE_VIRTIO : 0) |
               (s->device && s->always ? WEIR_HC_SHARE_ALWAYS : 0);
    memset(a->name, 0, sizeof(a->name));
    snprintf(a->name, sizeof(a->name), "%s", s->name);
    a->uid = (uint32_t)geteuid();
    a->gid = (uint32_t)getegid();
    return 0;
}

/* ---- opening ---- */

/* The request in host terms, and what came of it. */
struct opening {
    struct weir_hc_open *a;
    struct target target;
    bool reads, writes, created;
    int host_flags; /* for the real opening */
    int fd;
};

static unsigned read_flags(struct opening *o)
{
    uint32_t f = o->a->flags;
    o->reads = f & WEIR_HC_O_READ;
    o->writes = f & WEIR_HC_O_WRITE;
    if (f & ~0x7ffu || (f & WEIR_HC_O_DIRECTORY && f & WEIR_HC_O_FILE))
        return WEIR_HC_EINVAL;
    if (f & WEIR_HC_O_NODE)
        return f & ~(uint32_t)(WEIR_HC_O_NODE | WEIR_HC_O_DIRECTORY | WEIR_HC_O_NOFOLLOW)
                   ? WEIR_HC_EINVAL
                   : 0;
    if (!o->reads && !o->writes)
        return WEIR_HC_EINVAL;
    if (f & (WEIR_HC_O_TRUNC | WEIR_HC_O_APPEND) && !o->writes)
        return WEIR_HC_EINVAL;
    if (f & WEIR_HC_O_EXCL && !(f & WEIR_HC_O_CREATE))
        return WEIR_HC_EINVAL;
    o->host_flags = o->writes ? (o->reads ? O_RDWR : O_WRONLY) : O_RDONLY;
    o->host_flags |= f & WEIR_HC_O_APPEND ? O_APPEND : 0;
    o->host_flags |= f & WEIR_HC_O_SYNC ? O_SYNC : 0;
    return 0;
}

/* A new file; -EEXIST if there is one. */
static int create(const struct opening *o)
{
    unsigned mode = o->a->mode & 0777;
    if (o->a->dos_attr & WEIR_HC_ATTR_RO)
        mode &= 0555;
    if (!*o->target.path)
        return -EISDIR;
    return beneath_open(o->target.base, o->target.path,
                        o->host_flags | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
}

/* What is there already, with everything the request says about it checked. -errno. */
static int open_existing(weir_call *call, struct opening *o)
{
    uint32_t f = o->a->flags;
    struct stat st;
    int probe = target_probe(&o->target, !(f & WEIR_HC_O_NOFOLLOW), &st);
    if (probe < 0)
        return probe;
    int error = 0;
    bool directory = S_ISDIR(st.st_mode);
    if (f & WEIR_HC_O_DIRECTORY && !directory)
        error = ENOTDIR;
    else if (f & WEIR_HC_O_NODE)
        return probe;
    else if (S_ISLNK(st.st_mode))
        error = ELOOP;
    else if (directory && (f & WEIR_HC_O_FILE || o->writes))
        error = EISDIR;
    else if (!directory && !S_ISREG(st.st_mode))
        error = EOPNOTSUPP;
    else if (o->writes && is_dos(call, 0) && !(st.st_mode & 0222))
        error = EACCES; /* read-only for DOS, even if the host's user may */
    else if (!handles_allow(call->h, st.st_dev, st.st_ino, o->reads, o->writes, o->a->deny)) {
        call->dos = 0x20;
        error = EACCES;
    }
    int fd = -error;
    if (!error)
        fd = reopen(probe, o->host_flags | (f & WEIR_HC_O_TRUNC ? O_TRUNC : 0) |
                               (directory ? O_DIRECTORY : 0));
    close(probe);
    return fd;
}

/* As the flags say. Between looking and creating somebody may have been quicker. */
static unsigned open_target(weir_call *call, struct opening *o)
{
    uint32_t f = o->a->flags;
    int fd = -ENOENT;
    for (unsigned k = 0; k < CREATE_RETRIES; k++) {
        if (f & WEIR_HC_O_CREATE) {
            fd = create(o);
            o->created = fd >= 0;
            if (fd != -EEXIST || f & WEIR_HC_O_EXCL)
                break;
        }
        fd = open_existing(call, o);
        if (fd != -ENOENT || !(f & WEIR_HC_O_CREATE))
            break;
    }
    if (fd < 0)
        return name_status(call, &o->target, -fd);
    o->fd = fd;
    return 0;
}

/* A name that ends in a slash is a directory's. */
static bool wants_directory(const weir_call *call)
{
    const struct text *t = &call->text[0];
    char last = t->length ? t->bytes[t->length - 1] : 0;
    return t->length > 1 && (last == '/' || (last == '\\' && is_dos(call, 0)));
}

static unsigned fill_handle(weir_call *call, struct opening *o, struct handle *f)
{
    struct weir_hc_open *a = o->a;
    int error = fileattr_get(o->fd, last_name(o->target.path), &a->stat);
    if (error)
        return status_of_errno(error);
    unsigned type = a->stat.mode & S_IFMT;
    f->fd = o->fd;
    f->share = o->target.share;
    f->owner = a->owner;
    f->deny = a->deny;
    f->readable = o->reads;
    f->writable = o->writes;
    f->dev = a->stat.dev;
    f->ino = a->stat.ino;
    struct stat st;
    if (fstat(o->fd, &st) == 0) {
        f->dev = st.st_dev;
        f->ino = st.st_ino;
    }
    f->kind = a->flags & WEIR_HC_O_NODE ? HANDLE_NODE
              : type == S_IFDIR         ? HANDLE_DIR
                                        : HANDLE_FILE;
    if (type == S_IFDIR && o->target.from_root)
        f->path = strdup(o->target.path);
    a->handle = f->number;
    a->action = o->created ? 2 : a->flags & WEIR_HC_O_TRUNC ? 3 : 1;
    return 0;
}

unsigned file_open(weir_call *call)
{
    struct opening o = {.a = (struct weir_hc_open *)call->block, .fd = -1};
    o.a->handle = 0;
    if (wants_directory(call))
        o.a->flags |= WEIR_HC_O_DIRECTORY;
    unsigned error = read_flags(&o);
    if (error) {
        call->dos = 0x0c;
        return error;
    }
    error = target_find(call, o.a->share, o.a->dir, 0, &o.target);
    if (error)
        return error;
    if (o.target.share->read_only && (o.writes || o.a->flags & WEIR_HC_O_CREATE))
        return WEIR_HC_EROFS;
    if (o.a->flags & WEIR_HC_O_DIRECTORY && o.a->flags & WEIR_HC_O_CREATE)
        return WEIR_HC_EISDIR;
    struct handle *f = handle_new(call->h);
    if (!f)
        return WEIR_HC_EMFILE;
    error = open_target(call, &o);
    if (!error)
        error = fill_handle(call, &o, f);
    if (error && o.fd >= 0)
        close(o.fd);
    if (error)
        *f = (struct handle){.fd = -1};
    return error;
}

unsigned file_close(weir_call *call)
{
    const struct weir_hc_close *a = (const struct weir_hc_close *)call->block;
    struct handle *f = handle_get(call, a->handle);
    if (!f)
        return WEIR_HC_EBADF;
    handle_close(f);
    return 0;
}

unsigned file_close_owner(weir_call *call)
{
    struct weir_hc_close_owner *a = (struct weir_hc_close_owner *)call->block;
    a->closed = handles_close_owner(call->h, a->owner);
    searches_close_owner(call->h, a->owner);
    return 0;
}
