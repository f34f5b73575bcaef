/* SPDX-License-Identifier: MIT */
/*
 * dosview.c - see dosview.h.
 *
 * 8.3 names: a host name that is one already (in any case) keeps it; others, and those that differ
 * from an earlier one in case only, get NAME~XXX, X from a hash of the host name. So the same
 * names give the same 8.3 names in every run, and a new file never takes another's.
 *
 * A view is read again when the directory's time has changed since; or lies so near to that
 * reading that a change could have left it the same.
 */
#include "hostcall/dosview.h"
#include "hostcall/dosname.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define VIEWS_MAX   256u
#define ENTRIES_MAX 65536u
#define TOTAL_MAX   262144u /* entries of all views, but for the one in use */
#define SETTLED_NS  2000000000ll

struct view {
    uint32_t number;
    struct share *share;
    char *path;
    uint64_t dev, ino;
    int64_t changed_ns, read_ns; /* the directory's time; when it was read */
    uint64_t last_use;
    struct view_entry *entry;
    uint32_t count, room, buckets;
    uint32_t *by_name, *by_alias, *by_folded; /* slot + 1 of the first in a chain */
};
struct views {
    struct view *view[VIEWS_MAX];
    uint32_t next_number;
    uint64_t uses;
};

/* ---- tables ---- */

/* Files may be of any year: it wraps. */
static int64_t nanoseconds(const struct timespec *t)
{
    return (int64_t)((uint64_t)t->tv_sec * 1000000000u + (uint64_t)t->tv_nsec);
}

static uint32_t hash_of(const char *text)
{
    uint32_t hash = 2166136261u;
    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * 16777619u;
    return hash ^ hash >> 15;
}

static void chain(const struct view *v, uint32_t *heads, const char *key, uint32_t *next,
                  uint32_t slot)
{
    uint32_t *head = &heads[hash_of(key) & (v->buckets - 1)];
    *next = *head;
    *head = slot + 1;
}

static void enter_name(struct view *v, uint32_t slot)
{
    struct view_entry *e = &v->entry[slot];
    chain(v, v->by_name, e->name, &e->next_name, slot);
    if (e->folded)
        chain(v, v->by_folded, e->folded, &e->next_folded, slot);
}
static void enter_alias(struct view *v, uint32_t slot)
{
    struct view_entry *e = &v->entry[slot];
    chain(v, v->by_alias, e->alias, &e->next_alias, slot);
}

static struct view_entry *find_name(const struct view *v, const char *name)
{
    if (!v->buckets)
        return NULL;
    uint32_t n = v->by_name[hash_of(name) & (v->buckets - 1)];
    while (n && strcmp(v->entry[n - 1].name, name))
        n = v->entry[n - 1].next_name;
    return n ? &v->entry[n - 1] : NULL;
}
/* Whoever has it, or had it: a name is not given to another. */
static struct view_entry *find_alias(const struct view *v, const char *alias)
{
    if (!v->buckets)
        return NULL;
    uint32_t n = v->by_alias[hash_of(alias) & (v->buckets - 1)];
    while (n && strcmp(v->entry[n - 1].alias, alias))
        n = v->entry[n - 1].next_alias;
    return n ? &v->entry[n - 1] : NULL;
}
static struct view_entry *find_folded(const struct view *v, const char *folded)
{
    if (!v->buckets)
        return NULL;
    struct view_entry *e = find_alias(v, folded);
    if (e && !e->gone)
        return e;
    uint32_t n = v->by_folded[hash_of(folded) & (v->buckets - 1)];
    while (n && (v->entry[n - 1].gone || strcmp(v->entry[n - 1].folded, folded)))
        n = v->entry[n - 1].next_folded;
    return n ? &v->entry[n - 1] : NULL;
}

static bool grow(struct view *v)
{
    uint32_t room = v->room ? 2 * v->room : 64;
    struct view_entry *more = realloc(v->entry, room * sizeof(*more));
    if (!more)
        return false;
    v->entry = more;
    uint32_t *heads = calloc(3 * (size_t)room, sizeof(*heads));
    if (!heads)
        return false;
    free(v->by_name);
    v->by_name = heads;
    v->by_alias = heads + room;
    v->by_folded = heads + 2 * room;
    v->buckets = v->room = room;
    for (uint32_t k = 0; k < v->count; k++) {
        enter_name(v, k);
        enter_alias(v, k);
    }
    return true;
}

static void view_empty(struct view *v)
{
    for (uint32_t k = 0; k < v->count; k++) {
        free(v->entry[k].name);
        free(v->entry[k].folded);
    }
    free(v->entry);
    free(v->by_name);
    v->entry = NULL;
    v->by_name = v->by_alias = v->by_folded = NULL;
    v->count = v->room = v->buckets = 0;
}
static void view_free(struct view *v)
{
    if (!v)
        return;
    view_empty(v);
    free(v->path);
    free(v);
}
void dosviews_free(struct hostcall *h)
{
    for (unsigned k = 0; h->views && k < VIEWS_MAX; k++)
        view_free(h->views->view[k]);
    free(h->views);
    h->views = NULL;
}

/* ---- reading a directory ---- */

static char *folded_name(const char *name)
{
    char text[WEIR_NAME_ROOM];
    if (!cp437_from_utf8(name, text, sizeof(text)))
        return NULL;
    cp437_fold(text);
    return strdup(text);
}

static bool add_entry(struct view *v, const char *name)
{
    if (v->count == v->room && !grow(v))
        return false;
    struct view_entry *e = &v->entry[v->count];
    *e = (struct view_entry){.name = strdup(name), .folded = folded_name(name), .seen = true};
    if (!e->name) {
        free(e->folded);
        return false;
    }
    return true;
}

static void give_alias(struct view *v, struct view_entry *e)
{
    for (unsigned n = 0; n < 46656; n++) {
        dosname_mangle(e->name, n, e->alias);
        if (!find_alias(v, e->alias))
            return;
    }
}

/* Puts new names behind what there is: first those that are 8.3 already, so that no other gets
 * theirs. Chains hold an entry only from the moment it is complete. */
static bool add_names(struct view *v, char **names, uint32_t count)
{
    for (unsigned pass = 0; pass < 2; pass++) {
        for (uint32_t k = 0; k < count && v->count < ENTRIES_MAX; k++) {
            if (!names[k])
                continue;
            if (!add_entry(v, names[k]))
                return false;
            struct view_entry *e = &v->entry[v->count];
            bool natural =
                e->folded && dosname_is_short(e->folded) && !find_alias(v, e->folded);
            if (pass == 0 && !natural) {
                free(e->name);
                free(e->folded);
                continue;
            }
            if (natural)
                memcpy(e->alias, e->folded, strlen(e->folded) + 1);
            else
                give_alias(v, e);
            enter_name(v, v->count);
            enter_alias(v, v->count);
            v->count++;
            free(names[k]);
            names[k] = NULL;
        }
    }
    return true;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Marks what is still there; collects what is new. */
static bool read_names(struct view *v, DIR *d, char ***names, uint32_t *count)
{
    uint32_t room = 0;
    struct dirent *entry;
    while ((entry = readdir(d)) && *count < ENTRIES_MAX) {
        const char *name = entry->d_name;
        if (!strcmp(name, ".") || !strcmp(name, ".."))
            continue;
        struct view_entry *e = find_name(v, name);
        if (e) {
            e->seen = true;
            continue;
        }
        if (*count == room) {
            room = room ? 2 * room : 64;
            char **more = realloc(*names, room * sizeof(*more));
            if (!more)
                return false;
            *names = more;
        }
        if (!((*names)[*count] = strdup(name)))
            return false;
        ++*count;
    }
    return true;
}

static unsigned view_read(struct hostcall *h, struct view *v, int dir)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        unsigned error = status_of_errno(errno);
        if (fd >= 0)
            close(fd);
        return error;
    }
    if (v->count >= ENTRIES_MAX) { /* full of names that are gone: begin again */
        view_empty(v);
        v->number = ++h->views->next_number;
    }
    for (uint32_t k = 0; k < v->count; k++)
        v->entry[k].seen = false;
    char **names = NULL;
    uint32_t count = 0;
    bool ok = read_names(v, d, &names, &count);
    closedir(d);
    if (ok && count)
        qsort(names, count, sizeof(*names), compare_names);
    ok = ok && add_names(v, names, count);
    for (uint32_t k = 0; k < count; k++)
        free(names[k]);
    free(names);
    for (uint32_t k = 0; k < v->count; k++)
        v->entry[k].gone = !v->entry[k].seen;
    v->read_ns = nanoseconds(&now);
    return ok ? 0 : WEIR_HC_ENOMEM;
}

/* ---- finding a view ---- */

/* A free place, or that of the view which was not used for longest. */
static struct view **choose_place(struct views *all)
{
    struct view **oldest = NULL, **unused = NULL;
    uint32_t total = 0;
    for (unsigned k = 0; k < VIEWS_MAX; k++) {
        struct view **p = &all->view[k];
        total += *p ? (*p)->count : 0;
        if (!*p)
            unused = p;
        else if (!oldest || (*p)->last_use < (*oldest)->last_use)
            oldest = p;
    }
    return unused && total <= TOTAL_MAX ? unused : oldest;
}

static struct view *view_new(struct hostcall *h)
{
    struct view **place = choose_place(h->views);
    view_free(*place);
    *place = calloc(1, sizeof(struct view));
    if (*place)
        (*place)->number = ++h->views->next_number;
    return *place;
}

static struct view *view_find(struct hostcall *h, const struct share *share,
                              const struct stat *st)
{
    for (unsigned k = 0; k < VIEWS_MAX; k++) {
        struct view *v = h->views->view[k];
        if (v && v->share == share && v->dev == st->st_dev && v->ino == st->st_ino)
            return v;
    }
    return NULL;
}

static bool is_fresh(const struct view *v, const struct stat *st)
{
    int64_t changed = nanoseconds(&st->st_mtim);
    int64_t settled = (int64_t)((uint64_t)v->read_ns - (uint64_t)changed);
    return v->read_ns && changed == v->changed_ns && settled > SETTLED_NS;
}

/* The view of the directory `dir`, perhaps an old one. NULL: no memory. */
static struct view *view_of(struct hostcall *h, struct share *share, const char *path,
                            const struct stat *st)
{
    if (!h->views && !(h->views = calloc(1, sizeof(*h->views))))
        return NULL;
    struct view *v = view_find(h, share, st);
    if (!v) {
        v = view_new(h);
        if (!v)
            return NULL;
        v->share = share;
        v->dev = st->st_dev;
        v->ino = st->st_ino;
    }
    if (!v->path || strcmp(v->path, path)) {
        char *copy = strdup(path);
        if (!copy)
            return NULL;
        free(v->path);
        v->path = copy;
    }
    v->last_use = ++h->views->uses;
    return v;
}

static int open_dir(const struct share *share, const char *path, struct stat *st)
{
    int dir = beneath_open(share->root, path, O_PATH | O_DIRECTORY, 0);
    if (dir >= 0 && fstat(dir, st) < 0) {
        int error = errno;
        close(dir);
        return -error;
    }
    return dir;
}

static unsigned view_refresh(struct hostcall *h, struct view *v, int dir, const struct stat *st)
{
    if (is_fresh(v, st))
        return 0;
    v->changed_ns = nanoseconds(&st->st_mtim);
    return view_read(h, v, dir);
}

struct view *dosview_get(struct hostcall *h, struct share *share, const char *path,
                         unsigned *error)
{
    struct stat st;
    int dir = open_dir(share, path, &st);
    if (dir < 0) {
        *error = status_of_errno(-dir);
        return NULL;
    }
    struct view *v = view_of(h, share, path, &st);
    *error = v ? view_refresh(h, v, dir, &st) : WEIR_HC_ENOMEM;
    close(dir);
    return *error ? NULL : v;
}

struct view *dosview_number(struct hostcall *h, uint32_t number)
{
    for (unsigned k = 0; h->views && number && k < VIEWS_MAX; k++) {
        struct view *v = h->views->view[k];
        if (v && v->number == number) {
            v->last_use = ++h->views->uses;
            return v;
        }
    }
    return NULL;
}
uint32_t dosview_id(const struct view *v)
{
    return v->number;
}
const char *dosview_path(const struct view *v)
{
    return v->path;
}
struct share *dosview_share(const struct view *v)
{
    return v->share;
}
const struct view_entry *dosview_entry(const struct view *v, uint32_t slot)
{
    return slot < v->count ? &v->entry[slot] : NULL;
}

/* ---- paths ---- */

/* The entry of `path` that DOS calls `folded`. It is looked for in what is known before the
 * directory is read again; WEIR_HC_ENOENT if there is none. */
static unsigned look_up(struct hostcall *h, struct share *share, const char *path,
                        const char *folded, const char **name)
{
    struct stat st, at;
    int dir = open_dir(share, path, &st);
    if (dir < 0)
        return status_of_errno(-dir);
    struct view *v = view_of(h, share, path, &st);
    unsigned error = v ? 0 : WEIR_HC_ENOMEM;
    const struct view_entry *e = v ? find_folded(v, folded) : NULL;
    if (v && (!e || fstatat(dir, e->name, &at, AT_SYMLINK_NOFOLLOW) < 0)) {
        error = view_refresh(h, v, dir, &st);
        e = error ? NULL : find_folded(v, folded);
    }
    close(dir);
    *name = e ? e->name : NULL;
    return error || e ? error : WEIR_HC_ENOENT;
}

static bool append(char *path, const char *name)
{
    size_t at = strlen(path), length = strlen(name);
    if (at + length + 2 > WEIR_HC_MAX_PATH)
        return false;
    if (at)
        path[at++] = '/';
    memcpy(path + at, name, length + 1);
    return true;
}

static unsigned no_path(weir_call *call, unsigned error)
{
    call->dos = 3;
    return error;
}

/* One name of a path, cleaned: dots and blanks at its end mean nothing to DOS. */
static unsigned clean(weir_call *call, const char *from, size_t length, char *name)
{
    while (length && (from[length - 1] == '.' || from[length - 1] == ' '))
        length--;
    if (!length)
        return no_path(call, WEIR_HC_ENOENT);
    if (length > WEIR_HC_MAX_NAME)
        return no_path(call, WEIR_HC_ENAMETOOLONG);
    memcpy(name, from, length);
    name[length] = 0;
    for (size_t k = 0; k < length; k++)
        if ((uint8_t)name[k] < ' ' || strchr("\"*?<>|:", name[k]))
            return no_path(call, WEIR_HC_EINVAL);
    return dosname_is_device(name) ? WEIR_HC_EACCES : 0;
}

/* Appends the next name of a path to `out`; `last`: it need not exist. */
static unsigned step(weir_call *call, struct share *share, const char *from, size_t length,
                     bool last, char *out)
{
    char name[WEIR_HC_MAX_NAME + 1], folded[WEIR_HC_MAX_NAME + 1], host[WEIR_NAME_ROOM];
    const char *found = NULL;
    if (length == 1 && *from == '.')
        return 0;
    if (length == 2 && from[0] == '.' && from[1] == '.') {
        char *slash = strrchr(out, '/');
        if (!*out)
            return no_path(call, WEIR_HC_ENOENT);
        *(slash ? slash : out) = 0;
        return 0;
    }
    unsigned error = clean(call, from, length, name);
    if (error)
        return error;
    memcpy(folded, name, sizeof(folded));
    cp437_fold(folded);
    error = look_up(call->h, share, out, folded, &found);
    if (error == WEIR_HC_ENOENT && last) {
        dosname_to_host(name, host, sizeof(host));
        found = host;
        error = 0;
    }
    if (error)
        return no_path(call, error);
    return append(out, found) ? 0 : no_path(call, WEIR_HC_ENAMETOOLONG);
}

unsigned dosview_resolve(weir_call *call, struct share *share, const char *from,
                         const char *dos, char *out)
{
    memcpy(out, from, strlen(from) + 1);
    if (dos[0] && dos[1] == ':')
        dos += 2;
    while (*dos) {
        size_t length = strcspn(dos, "\\/");
        const char *rest = dos + length + strspn(dos + length, "\\/");
        unsigned error = length ? step(call, share, dos, length, !*rest, out) : 0;
        if (error)
            return error;
        dos = rest;
    }
    return 0;
}

unsigned dosview_fullname(weir_call *call, struct share *share, const char *path, bool is_short,
                          char *out, size_t room)
{
    char dir[WEIR_HC_MAX_PATH + 1] = "", name[WEIR_NAME_ROOM], text[WEIR_NAME_ROOM];
    size_t at = 0;
    out[at++] = '\\';
    while (*path) {
        unsigned error;
        size_t length = strcspn(path, "/");
        struct view *v = dosview_get(call->h, share, dir, &error);
        if (!v)
            return error;
        memcpy(name, path, length);
        name[length] = 0;
        const struct view_entry *e = find_name(v, name);
        if (!e || e->gone)
            return WEIR_HC_ENOENT;
        const char *shown = e->alias;
        if (!is_short && cp437_from_utf8(e->name, text, sizeof(text)))
            shown = text;
        size_t shown_length = strlen(shown);
        if (at + shown_length + 2 > room)
            return WEIR_HC_ENAMETOOLONG;
        if (at > 1)
            out[at++] = '\\';
        memcpy(out + at, shown, shown_length);
        at += shown_length;
        path += length + (path[length] == '/');
        if (!append(dir, name))
            return WEIR_HC_ENAMETOOLONG;
    }
    out[at] = 0;
    return 0;
}
