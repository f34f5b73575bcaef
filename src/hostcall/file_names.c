/* SPDX-License-Identifier: MIT */
/*
 * file_names.c - making, renaming and removing names. The directory that holds a name is opened
 * beneath the share's root; what is then done in it takes one name, which the kernel never
 * follows if it is a link.
 */
#include "hostcall/dosname.h"
#include "hostcall/dosview.h"
#include "hostcall/fileattr.h"
#include "hostcall/handle.h"
#include "hostcall/services.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* The directory of name `which` (O_PATH, to be closed) in *dir, and the name in it. */
static unsigned parent_find(weir_call *call, uint32_t share, uint32_t dir, unsigned which,
                            struct target *t, int *fd, const char **last)
{
    unsigned error = target_find(call, share, dir, which, t);
    if (error)
        return error;
    if (t->share->read_only)
        return WEIR_HC_EROFS;
    *fd = target_parent(t, last);
    if (*fd < 0) {
        call->dos = *fd == -ENOENT ? 3 : 0;
        return status_of_errno(-*fd);
    }
    return 0;
}

/* ---- one name ---- */

static unsigned refuse_read_only(int dir, const char *name)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
        !(st.st_mode & 0222))
        return WEIR_HC_EACCES;
    return 0;
}

static unsigned is_directory(int dir, const char *name)
{
    struct stat st;
    return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

typedef unsigned name_action(weir_call *call, const struct weir_hc_name *a, int dir,
                             const char *name);

static unsigned with_name(weir_call *call, name_action *act)
{
    const struct weir_hc_name *a = (const struct weir_hc_name *)call->block;
    struct target t;
    const char *last;
    int dir;
    unsigned error = parent_find(call, a->share, a->dir, 0, &t, &dir, &last);
    if (error)
        return error;
    error = act(call, a, dir, last);
    close(dir);
    return error;
}

static unsigned unlink_name(weir_call *call, const struct weir_hc_name *a, int dir,
                            const char *name)
{
    unsigned error = a->flags & WEIR_HC_UNLINK_RO_FAILS ? refuse_read_only(dir, name) : 0;
    if (!error && is_directory(dir, name))
        error = WEIR_HC_EISDIR;
    if (!error && unlinkat(dir, name, 0) < 0)
        error = status_of_errno(errno);
    return error;
}

static unsigned remove_directory(weir_call *call, const struct weir_hc_name *a, int dir,
                                 const char *name)
{
    if (unlinkat(dir, name, AT_REMOVEDIR) == 0)
        return 0;
    unsigned error = status_of_errno(errno);
    call->dos = error == WEIR_HC_ENOENT ? 3 : 0;
    return error;
}

static unsigned make_directory(weir_call *call, const struct weir_hc_name *a, int dir,
                               const char *name)
{
    if (mkdirat(dir, name, a->mode & 0777) == 0)
        return 0;
    unsigned error = status_of_errno(errno);
    call->dos = error == WEIR_HC_EEXIST ? 5 : 0;
    return error;
}

unsigned file_unlink(weir_call *call)
{
    return with_name(call, unlink_name);
}
unsigned file_rmdir(weir_call *call)
{
    return with_name(call, remove_directory);
}
unsigned file_mkdir(weir_call *call)
{
    unsigned error = with_name(call, make_directory);
    if (error != WEIR_HC_EBUSY)
        return error;
    call->dos = 5; /* the root */
    return WEIR_HC_EEXIST;
}

/* ---- two names ---- */

struct pair {
    struct target from, to;
    int from_dir, to_dir;
    const char *from_name, *to_name;
};

static unsigned pair_find(weir_call *call, const struct weir_hc_rename *a, struct pair *p)
{
    unsigned error =
        parent_find(call, a->share, a->dir, 0, &p->from, &p->from_dir, &p->from_name);
    if (error)
        return error;
    error = parent_find(call, a->share, a->to_dir, 1, &p->to, &p->to_dir, &p->to_name);
    if (error) {
        close(p->from_dir);
        return error;
    }
    if (p->from.share == p->to.share)
        return 0;
    close(p->from_dir);
    close(p->to_dir);
    return WEIR_HC_EXDEV;
}
static void pair_drop(struct pair *p)
{
    close(p->from_dir);
    close(p->to_dir);
}

/* In DOS names "A" to "a" finds A itself as the new name: then the guest's spelling counts. */
static void respell(weir_call *call, struct pair *p)
{
    if (!is_dos(call, 1) || strcmp(p->from.path, p->to.path))
        return;
    char name[WEIR_HC_MAX_NAME + 1];
    const char *text = call->text[1].bytes;
    for (const char *c = text; *c; c++)
        if (*c == '\\' || *c == '/' || *c == ':')
            text = c + 1;
    size_t at = (size_t)(p->to_name - p->to.path), length = strlen(text);
    while (length && (text[length - 1] == '.' || text[length - 1] == ' '))
        length--;
    if (!length || length >= sizeof(name) || at + 3 * length > WEIR_HC_MAX_PATH)
        return;
    memcpy(name, text, length);
    name[length] = 0;
    dosname_to_host(name, p->to.path + at, sizeof(p->to.path) - at);
}

unsigned file_rename(weir_call *call)
{
    const struct weir_hc_rename *a = (const struct weir_hc_rename *)call->block;
    struct pair p;
    struct stat st;
    if (a->flags > WEIR_HC_RENAME_EXCHANGE)
        return WEIR_HC_EINVAL;
    unsigned error = pair_find(call, a, &p);
    if (error)
        return error;
    respell(call, &p);
    unsigned flags = a->flags & WEIR_HC_RENAME_EXCHANGE    ? RENAME_EXCHANGE
                     : a->flags & WEIR_HC_RENAME_NOREPLACE ? RENAME_NOREPLACE
                                                           : 0;
    int rc = renameat2(p.from_dir, p.from_name, p.to_dir, p.to_name, flags);
    if (rc < 0 && errno == EINVAL && flags == RENAME_NOREPLACE) {
        /* A file system without it: nearly the same. */
        if (fstatat(p.to_dir, p.to_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            errno = EEXIST;
        else
            rc = renameat(p.from_dir, p.from_name, p.to_dir, p.to_name);
    }
    if (rc < 0) {
        error = status_of_errno(errno);
        call->dos = error == WEIR_HC_EEXIST ? 5 : 0;
    }
    pair_drop(&p);
    return error;
}

/* Not of symbolic links: who follows a second name of one could be led elsewhere. */
unsigned file_link(weir_call *call)
{
    const struct weir_hc_rename *a = (const struct weir_hc_rename *)call->block;
    struct pair p;
    struct stat st;
    unsigned error = pair_find(call, a, &p);
    if (error)
        return error;
    if (fstatat(p.from_dir, p.from_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        error = status_of_errno(errno);
    else if (!S_ISREG(st.st_mode))
        error = WEIR_HC_EPERM;
    else if (linkat(p.from_dir, p.from_name, p.to_dir, p.to_name, 0) < 0)
        error = status_of_errno(errno);
    pair_drop(&p);
    return error;
}

/* ---- symbolic links ---- */

/* Whatever a link says, following it stays beneath the root; an absolute one would mean something
 * else on the host than in the guest. */
unsigned file_symlink(weir_call *call)
{
    struct weir_hc_link *a = (struct weir_hc_link *)call->block;
    struct target t;
    const char *last;
    int dir;
    a->done = 0;
    if (call->text[1].bytes[0] == '/')
        return WEIR_HC_EPERM;
    unsigned error = parent_find(call, a->share, a->dir, 0, &t, &dir, &last);
    if (error)
        return error;
    if (symlinkat(call->text[1].bytes, dir, last) < 0)
        error = status_of_errno(errno);
    close(dir);
    return error;
}

unsigned file_readlink(weir_call *call)
{
    struct weir_hc_link *a = (struct weir_hc_link *)call->block;
    char content[WEIR_HC_MAX_PATH + 1];
    struct target t;
    struct stat st;
    a->done = 0;
    unsigned error = target_find(call, a->share, a->dir, 0, &t);
    if (error)
        return error;
    int fd = target_probe(&t, false, &st);
    if (fd < 0)
        return name_status(call, &t, -fd);
    ssize_t n = -1;
    if (S_ISLNK(st.st_mode))
        n = readlinkat(fd, "", content, sizeof(content));
    close(fd);
    if (n < 0)
        return WEIR_HC_EINVAL;
    a->done = (uint32_t)n;
    if (call->text[1].memory.bytes < (uint64_t)n)
        return WEIR_HC_ERANGE;
    memory_write(call->c, &call->text[1].memory, 0, content, (uint64_t)n);
    return 0;
}

unsigned file_fullname(weir_call *call)
{
    struct weir_hc_link *a = (struct weir_hc_link *)call->block;
    char text[WEIR_HC_MAX_PATH + 1];
    struct target t;
    a->done = 0;
    if (a->flags > 1)
        return WEIR_HC_EINVAL;
    unsigned error = target_find(call, a->share, a->dir, 0, &t);
    if (!error)
        error = t.from_root
                    ? dosview_fullname(call, t.share, t.path, a->flags & 1, text, sizeof(text))
                    : WEIR_HC_EBADF;
    if (error)
        return error;
    a->done = (uint32_t)strlen(text);
    if (call->text[1].memory.bytes < a->done)
        return WEIR_HC_ERANGE;
    memory_write(call->c, &call->text[1].memory, 0, text, a->done);
    return 0;
}
