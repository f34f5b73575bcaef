/* SPDX-License-Identifier: MIT */
/*
 * file_dir.c - what is in a directory: as the host lists it (READDIR, by cookies of the host's file
 * system), and as DOS searches it (FIND, by slots of a view, see dosview.h).
 */
#include "hostcall/dosname.h"
#include "hostcall/dosview.h"
#include "hostcall/fileattr.h"
#include "hostcall/handle.h"
#include "hostcall/services.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- READDIR ---- */

struct host_dirent { /* getdents64(2) */
    uint64_t ino;
    int64_t offset;
    uint16_t length;
    uint8_t type;
    char name[];
};
_Static_assert(offsetof(struct host_dirent, name) == 19, "as the kernel has it");

struct record {
    struct weir_hc_dirent head;
    char rest[256 + sizeof(struct weir_hc_stat)];
};

/* Length of the record made of `e`. The root's ".." is nobody's business. */
static uint32_t make_record(int dir, const struct host_dirent *e, bool with_stat,
                            struct record *r)
{
    size_t name = strlen(e->name), padded = (name + 7) & ~(size_t)7;
    bool dots = !strcmp(e->name, "..");
    struct weir_hc_stat st;
    memset(r, 0, sizeof(*r));
    r->head.ino = e->ino;
    r->head.cookie = (uint64_t)e->offset;
    r->head.name_length = (uint16_t)name;
    r->head.type = (uint16_t)(e->type << 12); /* DT_* are S_IFMT >> 12 */
    uint8_t *to = (uint8_t *)r + offsetof(struct weir_hc_dirent, name);
    memcpy(to, e->name, name);
    size_t length = offsetof(struct weir_hc_dirent, name) + padded;
    if (with_stat || !e->type || dots) {
        if (fileattr_at(dir, dots ? "." : e->name, &st) != 0)
            memset(&st, 0, sizeof(st)); /* it has just gone */
        if (st.mode)
            r->head.type = st.mode & S_IFMT;
        if (dots)
            r->head.ino = st.ino;
    }
    if (with_stat) {
        memcpy((uint8_t *)r + length, &st, sizeof(st));
        length += sizeof(st);
    }
    r->head.record_length = (uint32_t)length;
    return (uint32_t)length;
}

/* Records of what getdents gave; false when the regions are full. */
static bool put_records(weir_call *call, const struct handle *f, const char *buffer, long bytes)
{
    struct weir_hc_readdir *a = (struct weir_hc_readdir *)call->block;
    struct record r;
    for (long at = 0; at < bytes;) {
        const struct host_dirent *e = (const struct host_dirent *)(buffer + at);
        uint32_t length = make_record(f->fd, e, a->flags & WEIR_HC_READDIR_STAT, &r);
        if (call->regions.bytes - a->done < length)
            return false;
        memory_write(call->c, &call->regions, a->done, &r, length);
        a->done += length;
        at += e->length;
    }
    return true;
}

unsigned file_readdir(weir_call *call)
{
    struct weir_hc_readdir *a = (struct weir_hc_readdir *)call->block;
    _Alignas(8) char buffer[16384];
    struct handle *f = handle_get(call, a->handle);
    a->done = 0;
    if (!f || f->kind != HANDLE_DIR)
        return WEIR_HC_EBADF;
    if (a->flags > WEIR_HC_READDIR_STAT || a->cookie > INT64_MAX)
        return WEIR_HC_EINVAL;
    if (lseek(f->fd, (off_t)a->cookie, SEEK_SET) < 0)
        return status_of_errno(errno);
    for (;;) {
        long n = syscall(SYS_getdents64, f->fd, buffer, sizeof(buffer));
        if (n < 0)
            return a->done ? 0 : status_of_errno(errno);
        if (n == 0)
            return 0;
        if (!put_records(call, f, buffer, n))
            return a->done ? 0 : WEIR_HC_ERANGE;
    }
}

/* ---- FIND ---- */

enum { SLOT_DOT, SLOT_DOTS, SLOT_FIRST, SLOT_DEVICE = 0x7fffffff };

struct search {
    struct weir_hc_find *a;
    struct view *view;
    char pattern[WEIR_HC_MAX_NAME + 1]; /* WEIR_HC_FIND_LONG: folded */
    uint32_t slot;
    int dir;
};

static unsigned no_more(weir_call *call)
{
    call->dos = 0x12;
    return WEIR_HC_ENODATA;
}

/* The share's name stands for the disk's. */
static unsigned find_label(weir_call *call, struct weir_hc_find *a)
{
    if (a->flags & WEIR_HC_FIND_NEXT)
        return no_more(call);
    if (a->share >= call->h->share_count)
        return WEIR_HC_ENOENT;
    const char *name = call->h->shares[a->share].name;
    memset(a->entry_name, ' ', sizeof(a->entry_name));
    memset(a->short_name, 0, sizeof(a->short_name));
    for (unsigned k = 0; name[k] && k < sizeof(a->entry_name); k++) {
        a->entry_name[k] = (char)toupper((unsigned char)name[k]);
        a->short_name[k] = a->entry_name[k];
    }
    a->entry_attr = WEIR_HC_ATTR_LABEL;
    a->entry_time = a->entry_date = 0;
    a->entry_size = a->long_length = 0;
    a->cursor = 0;
    memset(&a->stat, 0, sizeof(a->stat));
    memset(a->pattern, '?', sizeof(a->pattern));
    return 0;
}

/* Splits the path's pattern off; *dir is what is in front of it. */
static unsigned split(const char *path, char *dir, char *pattern)
{
    const char *last = path;
    for (const char *p = path; *p; p++)
        if (*p == '\\' || *p == '/' || (*p == ':' && p == path + 1))
            last = p + 1;
    size_t length = strlen(last);
    if (length > WEIR_HC_MAX_NAME)
        return WEIR_HC_ENAMETOOLONG;
    memcpy(pattern, last, length + 1);
    cp437_fold(pattern);
    memcpy(dir, path, (size_t)(last - path));
    dir[last - path] = 0;
    return 0;
}

static unsigned search_first(weir_call *call, struct search *s)
{
    struct weir_hc_find *a = s->a;
    struct target t;
    char dir[WEIR_HC_MAX_PATH + 1];
    unsigned error = split(call->text[0].bytes, dir, s->pattern);
    if (error)
        return error;
    memcpy(call->text[0].bytes, dir, sizeof(dir));
    call->text[0].names = WEIR_HC_DOS;
    error = target_find(call, a->share, a->dir, 0, &t);
    if (!error)
        s->view = dosview_get(call->h, t.share, t.path, &error);
    if (error) {
        call->dos = call->dos ? call->dos : 3;
        return error;
    }
    if (!(a->flags & WEIR_HC_FIND_LONG) && !dosname_to_fcb(s->pattern, a->pattern))
        return no_more(call);
    s->slot = *dosview_path(s->view) ? SLOT_DOT : SLOT_FIRST;
    return 0;
}

static unsigned search_next(weir_call *call, struct search *s)
{
    char dir[WEIR_HC_MAX_PATH + 1];
    uint64_t c = s->a->cursor;
    s->view = dosview_number(call->h, (uint32_t)(c >> 16 & 0xffff) | (uint32_t)(c >> 48) << 16);
    s->slot = (uint32_t)(c & 0xffff) | (uint32_t)(c >> 32 & 0xffff) << 16;
    if (!s->view)
        return no_more(call);
    return s->a->flags & WEIR_HC_FIND_LONG ? split(call->text[0].bytes, dir, s->pattern) : 0;
}

/* Attributes of an entry, if it is something DOS can use: links are followed inside the share. */
static bool entry_stat(const struct search *s, const char *name, struct weir_hc_stat *st)
{
    char path[WEIR_HC_MAX_PATH + 1];
    if (fileattr_at(s->dir, name, st) != 0)
        return false;
    if (S_ISLNK(st->mode)) {
        const char *dir = dosview_path(s->view);
        int n = snprintf(path, sizeof(path), "%s%s%s", dir, *dir ? "/" : "", name);
        if (n >= (int)sizeof(path))
            return false;
        int fd = beneath_open(dosview_share(s->view)->root, path, O_PATH, 0);
        if (fd < 0)
            return false;
        int error = fileattr_get(fd, name, st);
        close(fd);
        if (error)
            return false;
    }
    return S_ISREG(st->mode) || S_ISDIR(st->mode);
}

static bool name_matches(const struct search *s, const char *alias, const char *folded)
{
    if (!(s->a->flags & WEIR_HC_FIND_LONG))
        return dosname_match_fcb(s->a->pattern, alias);
    return dosname_match(s->pattern, alias) || (folded && dosname_match(s->pattern, folded));
}

static bool attr_matches(const struct weir_hc_find *a, unsigned attr)
{
    const unsigned optional = WEIR_HC_ATTR_HIDDEN | WEIR_HC_ATTR_SYSTEM | WEIR_HC_ATTR_DIR;
    return !(attr & optional & ~(unsigned)a->attr) &&
           (attr & a->must & 0x37) == (a->must & 0x37);
}

/* The lower half is enough for small numbers: kernels that search by FCB may keep no more. */
static uint64_t make_cursor(uint32_t view, uint32_t slot)
{
    return (slot & 0xffff) | (uint64_t)(view & 0xffff) << 16 | (uint64_t)(slot >> 16) << 32 |
           (uint64_t)(view >> 16) << 48;
}

static void answer(weir_call *call, struct search *s, const char *name, const char *alias,
                   const struct weir_hc_stat *st)
{
    struct weir_hc_find *a = s->a;
    char text[WEIR_NAME_ROOM];
    a->stat = *st;
    a->entry_attr = (uint8_t)st->dos_attr;
    a->entry_time = st->dos_time;
    a->entry_date = st->dos_date;
    a->entry_size = st->dos_size;
    dosname_to_fcb(alias, (uint8_t *)a->entry_name);
    memset(a->short_name, 0, sizeof(a->short_name));
    snprintf(a->short_name, sizeof(a->short_name), "%s", alias);
    if (!cp437_from_utf8(name, text, sizeof(text)))
        snprintf(text, sizeof(text), "%s", alias);
    a->long_length = (uint32_t)strlen(text);
    a->reserved = 0;
    memory_write(call->c, &call->text[1].memory, 0, text, a->long_length + 1ull);
    a->cursor = make_cursor(dosview_id(s->view), s->slot + 1);
}

/* Looks at one slot. 1: it is the answer; 0: it is not; -1: there are no more. */
static int try_slot(weir_call *call, struct search *s)
{
    struct weir_hc_stat st;
    const char *name, *alias, *folded = NULL;
    if (s->slot < SLOT_FIRST) {
        name = alias = s->slot == SLOT_DOT ? "." : "..";
    } else {
        const struct view_entry *e = dosview_entry(s->view, s->slot - SLOT_FIRST);
        if (!e)
            return -1;
        if (e->gone)
            return 0;
        name = e->name;
        alias = e->alias;
        folded = e->folded;
    }
    if (!name_matches(s, alias, folded))
        return 0;
    if (!entry_stat(s, s->slot < SLOT_FIRST ? "." : name, &st))
        return 0;
    if (s->slot < SLOT_FIRST)
        st.dos_attr &= (uint16_t)~WEIR_HC_ATTR_HIDDEN;
    if (!attr_matches(s->a, st.dos_attr))
        return 0;
    answer(call, s, name, alias, &st);
    return 1;
}

/* DOS finds NUL, as every device, in any directory that exists: programs test for one so. */
static bool find_device(weir_call *call, struct search *s)
{
    struct weir_hc_stat st;
    if (s->a->flags & WEIR_HC_FIND_NEXT || !dosname_is_device(s->pattern) ||
        fileattr_at(s->dir, ".", &st) != 0)
        return false;
    st.dos_attr = WEIR_HC_ATTR_DEVICE;
    st.dos_size = 0;
    s->slot = SLOT_DEVICE;
    answer(call, s, s->pattern, s->pattern, &st);
    return true;
}

static unsigned find(weir_call *call)
{
    struct weir_hc_find *a = (struct weir_hc_find *)call->block;
    struct search s = {.a = a, .dir = -1};
    if ((a->attr & 0x3f) == WEIR_HC_ATTR_LABEL)
        return find_label(call, a);
    unsigned error =
        a->flags & WEIR_HC_FIND_NEXT ? search_next(call, &s) : search_first(call, &s);
    if (error)
        return error;
    s.dir = beneath_open(dosview_share(s.view)->root, dosview_path(s.view),
                         O_PATH | O_DIRECTORY, 0);
    if (s.dir < 0)
        return no_more(call); /* removed in the middle of a search */
    int found = find_device(call, &s);
    while (!found && (found = try_slot(call, &s)) == 0)
        s.slot++;
    close(s.dir);
    return found > 0 ? 0 : no_more(call);
}

/* ---- searches that the host keeps ---- */

#define KEPT_MAX 128u

struct kept_search {
    uint16_t number; /* 0 = free */
    uint16_t flags;  /* WEIR_HC_FIND_LONG */
    uint32_t owner;
    uint8_t attr, must, pattern[11];
    char *path;
    uint64_t cursor, last_use;
};
struct searches {
    uint16_t next_number;
    uint64_t uses;
    struct kept_search search[KEPT_MAX];
};

static void kept_drop(struct kept_search *k)
{
    free(k->path);
    *k = (struct kept_search){0};
}

void searches_close_owner(struct hostcall *h, uint32_t owner)
{
    for (unsigned n = 0; h->searches && n < KEPT_MAX; n++)
        if (h->searches->search[n].number && h->searches->search[n].owner == owner)
            kept_drop(&h->searches->search[n]);
}
void searches_free(struct hostcall *h)
{
    for (unsigned n = 0; h->searches && n < KEPT_MAX; n++)
        kept_drop(&h->searches->search[n]);
    free(h->searches);
    h->searches = NULL;
}

static struct kept_search *kept_find(struct hostcall *h, uint32_t number)
{
    for (unsigned n = 0; h->searches && number && n < KEPT_MAX; n++)
        if (h->searches->search[n].number == number)
            return &h->searches->search[n];
    return NULL;
}

/* A place; where programs leave searches unfinished, that of the one not used for longest. */
static struct kept_search *kept_new(struct hostcall *h)
{
    if (!h->searches && !(h->searches = calloc(1, sizeof(*h->searches))))
        return NULL;
    struct searches *all = h->searches;
    struct kept_search *k = &all->search[0];
    for (unsigned n = 1; n < KEPT_MAX && k->number; n++)
        if (!all->search[n].number || all->search[n].last_use < k->last_use)
            k = &all->search[n];
    kept_drop(k);
    do
        all->next_number++;
    while (!all->next_number || kept_find(h, all->next_number));
    k->number = all->next_number;
    return k;
}

/* The state of a search, from the block into the table; its number goes to the guest. */
static void keep(struct hostcall *h, struct kept_search *k, struct weir_hc_find *a)
{
    k->cursor = a->cursor;
    k->last_use = ++h->searches->uses;
    memcpy(k->pattern, a->pattern, sizeof(k->pattern));
    a->dir = k->number;
}

static unsigned keep_first(weir_call *call, struct weir_hc_find *a)
{
    uint32_t owner = (uint32_t)a->cursor;
    char *path = strdup(call->text[0].bytes); /* before find() cuts it */
    unsigned error = path ? find(call) : WEIR_HC_ENOMEM;
    struct kept_search *k = error ? NULL : kept_new(call->h);
    if (!k) {
        free(path);
        return error ? error : WEIR_HC_ENOMEM;
    }
    k->owner = owner;
    k->flags = a->flags & WEIR_HC_FIND_LONG;
    k->attr = a->attr;
    k->must = a->must;
    k->path = path;
    keep(call->h, k, a);
    return 0;
}

static unsigned keep_next(weir_call *call, struct weir_hc_find *a, struct kept_search *k)
{
    a->cursor = k->cursor;
    a->flags = WEIR_HC_FIND_NEXT | WEIR_HC_FIND_KEEP | k->flags;
    a->attr = k->attr;
    a->must = k->must;
    memcpy(a->pattern, k->pattern, sizeof(a->pattern));
    memcpy(call->text[0].bytes, k->path, strlen(k->path) + 1);
    unsigned error = find(call);
    if (!error)
        keep(call->h, k, a);
    return error;
}

unsigned file_find(weir_call *call)
{
    struct weir_hc_find *a = (struct weir_hc_find *)call->block;
    if (a->flags > 15)
        return WEIR_HC_EINVAL;
    if (a->flags & WEIR_HC_FIND_CLOSE || (a->flags & 5) == 5) {
        struct kept_search *k = kept_find(call->h, a->dir);
        if (!k)
            return WEIR_HC_EBADF;
        if (!(a->flags & WEIR_HC_FIND_CLOSE))
            return keep_next(call, a, k);
        kept_drop(k);
        return 0;
    }
    return a->flags & WEIR_HC_FIND_KEEP ? keep_first(call, a) : find(call);
}
