/* SPDX-License-Identifier: MIT */
/* share.c - see share.h. */
#include "hostcall/share.h"
#include "hostcall/dosview.h"
#include "hostcall/handle.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel gives up a search that races with renames; a hostile process could go on forever. */
#define SEARCH_RETRIES 16

int beneath_open(int base, const char *path, int flags, unsigned mode)
{
    struct open_how how = {
        .flags = (uint64_t)(flags | O_CLOEXEC | (flags & O_PATH ? 0 : O_NOCTTY | O_NONBLOCK)),
        .mode = mode,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    for (unsigned k = 0;; k++) {
        long fd = syscall(SYS_openat2, base, *path ? path : ".", &how, sizeof(how));
        if (fd >= 0)
            return (int)fd;
        if (errno != EAGAIN || k == SEARCH_RETRIES)
            return errno == EXDEV ? -ELOOP : -errno; /* EXDEV: it leads out */
    }
}

int reopen(int path_fd, int flags)
{
    char path[32];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
    int fd = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

/* ---- shares ---- */

static bool good_name(const char *name)
{
    size_t length = strlen(name);
    return length && length < sizeof(((struct share *)0)->name) && !strpbrk(name, "/\\:") &&
           name[0] != '.';
}

static int open_root(struct hostcall *h, const char *path)
{
    struct err *err = &h->vm->err;
    int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return err_errno(err, "-hostcall share: %s", path);
    int probe = beneath_open(root, ".", O_PATH, 0);
    if (probe < 0) {
        close(root);
        errno = -probe;
        return err_errno(err, "-hostcall share: %s: openat2", path);
    }
    close(probe);
    int real = reopen(root, O_RDONLY | O_DIRECTORY);
    if (real == -ENOENT) {
        close(root);
        return err_set(err, WEIR_EUNSUPPORTED, "-hostcall share: %s: /proc is not mounted",
                       path);
    }
    if (real >= 0)
        close(real);
    return root;
}

int share_add(struct hostcall *h, const char *name, const char *path, bool read_only)
{
    struct err *err = &h->vm->err;
    if (!good_name(name))
        return err_set(err, WEIR_EINVAL, "-hostcall share: '%s' is not a name of 1-31 letters",
                       name);
    if (!path)
        return err_set(err, WEIR_EINVAL, "-hostcall share=%s: path= is missing", name);
    for (unsigned k = 0; k < h->share_count; k++)
        if (!strcmp(h->shares[k].name, name))
            return err_set(err, WEIR_EEXIST, "-hostcall share=%s: is there twice", name);
    int root = open_root(h, path);
    if (root < 0)
        return root;
    struct share *more = realloc(h->shares, (h->share_count + 1) * sizeof(*more));
    char *copy = strdup(path);
    if (more)
        h->shares = more;
    if (!more || !copy) {
        free(copy);
        close(root);
        return err_set(err, WEIR_ENOMEM, "out of memory");
    }
    struct share *s = &more[h->share_count];
    *s = (struct share){
        .path = copy, .root = root, .read_only = read_only, .index = h->share_count++};
    snprintf(s->name, sizeof(s->name), "%s", name);
    return 0;
}

void shares_free(struct hostcall *h)
{
    for (unsigned k = 0; k < h->share_count; k++) {
        close(h->shares[k].root);
        free(h->shares[k].path);
    }
    free(h->shares);
    h->shares = NULL;
    h->share_count = 0;
}

/* ---- names ---- */

/* Slashes at the ends mean nothing; a name too long for any file system is told from one that is
 * not there. */
static unsigned exact_path(const char *text, char *out)
{
    while (*text == '/')
        text++;
    size_t length = strlen(text);
    while (length && text[length - 1] == '/')
        length--;
    memcpy(out, text, length);
    out[length] = 0;
    for (const char *p = out; *p;) {
        size_t name = strcspn(p, "/");
        if (name > WEIR_HC_MAX_NAME)
            return WEIR_HC_ENAMETOOLONG;
        p += name;
        p += *p == '/';
    }
    return 0;
}

unsigned target_find(weir_call *call, uint32_t share, uint32_t dir, unsigned which,
                     struct target *t)
{
    struct hostcall *h = call->h;
    const struct text *text = &call->text[which];
    const struct handle *f = NULL;
    if (text->names > WEIR_HC_DOS)
        return WEIR_HC_EINVAL;
    if (dir) {
        f = handle_get(call, dir);
        if (!f || (f->kind != HANDLE_DIR && f->kind != HANDLE_NODE))
            return WEIR_HC_EBADF;
        t->share = f->share;
        t->base = f->fd;
    } else {
        if (share >= h->share_count) {
            call->dos = 0x0f;
            return WEIR_HC_ENOENT;
        }
        t->share = &h->shares[share];
        t->base = t->share->root;
    }
    t->from_root = !f;
    if (!is_dos(call, which))
        return exact_path(text->bytes, t->path);
    if (f && !f->path)
        return WEIR_HC_EBADF;
    t->base = t->share->root;
    t->from_root = true;
    return dosview_resolve(call, t->share, f ? f->path : "", text->bytes, t->path);
}

int target_probe(const struct target *t, bool follow, struct stat *st)
{
    int fd = beneath_open(t->base, t->path, O_PATH | (follow ? 0 : O_NOFOLLOW), 0);
    if (fd < 0)
        return fd;
    if (fstat(fd, st) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

int target_parent(const struct target *t, const char **last)
{
    char dir[WEIR_HC_MAX_PATH + 1];
    if (!*t->path)
        return -EBUSY;
    const char *slash = strrchr(t->path, '/');
    *last = slash ? slash + 1 : t->path;
    if (!strcmp(*last, ".") || !strcmp(*last, ".."))
        return -EINVAL;
    size_t length = slash ? (size_t)(slash - t->path) : 0;
    memcpy(dir, t->path, length);
    dir[length] = 0;
    return beneath_open(t->base, dir, O_PATH | O_DIRECTORY, 0);
}

unsigned name_status(weir_call *call, const struct target *t, int number)
{
    const char *last;
    unsigned error = status_of_errno(number);
    if (error != WEIR_HC_ENOENT)
        return error;
    int parent = target_parent(t, &last);
    if (parent >= 0)
        close(parent);
    call->dos = parent >= 0 ? 2 : 3;
    return error;
}
