/* SPDX-License-Identifier: MIT */
/*
 * paths_test.c - names that try to leave a share, or to be more than a name, each with what must
 * come of it. The test prints the table. Beside the share lies a directory `out` with a secret; no
 * attempt may read it, and nothing in it may have changed at the end.
 */
#include "rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET "not for guests"

enum {
    READ,
    CREATE,
    MKDIR,
    UNLINK,
    RMDIR,
    RENAME_TO,
    LINK_TO,
    SYMLINK_AT,
    READLINK,
    STAT,
    NODE,
    LIST,
    CHMOD
};
static const char *const verbs[] = {"read",   "create", "mkdir",   "unlink",   "rmdir",
                                    "rename", "link",   "symlink", "readlink", "stat",
                                    "node",   "list",   "chmod"};

/* E, D: EXACT, DOS names. Error 0: allowed, and shown to be harmless by `content`. */
#define E     WEIR_HC_EXACT
#define D     WEIR_HC_DOS
#define NOENT WEIR_HC_ENOENT
#define LOOP  WEIR_HC_ELOOP
#define ACCES WEIR_HC_EACCES
#define INVAL WEIR_HC_EINVAL
// clang-format off
static const struct attempt {
    int verb;
    unsigned names;
    const char *path;
    unsigned error;
    const char *content; /* READ: what must be read */
} attempts[] = {
    /* .. */
    {READ, E, "../out/secret", LOOP, NULL},
    {READ, E, "../../../../../../etc/passwd", LOOP, NULL},
    {READ, E, "sub/../../out/secret", LOOP, NULL},
    {READ, E, "sub/../file", 0, "inside"},
    {READ, E, "./sub/./../file", 0, "inside"},
    {READ, E, "nowhere/../file", NOENT, NULL},
    {READ, E, "..", LOOP, NULL},
    {READ, E, "../share/file", LOOP, NULL},
    {READ, E, "sub/..//..//out/secret", LOOP, NULL},
    {READ, D, "..\\out\\secret", NOENT, NULL},
    {READ, D, "..\\..\\..\\..\\etc\\passwd", NOENT, NULL},
    {READ, D, "SUB\\..\\..\\OUT\\SECRET", NOENT, NULL},
    {READ, D, "SUB/../FILE", 0, "inside"},
    {READ, D, "X:..\\OUT\\SECRET", NOENT, NULL},
    {READ, D, "X:\\..\\OUT\\SECRET", NOENT, NULL},
    {READ, D, ".. \\OUT\\SECRET", NOENT, NULL},
    {READ, D, "...\\OUT\\SECRET", NOENT, NULL},
    {READ, D, "....\\OUT\\SECRET", NOENT, NULL},
    {CREATE, E, "../out/new", LOOP, NULL},
    {CREATE, D, "..\\OUT\\NEW", NOENT, NULL},
    {MKDIR, E, "../out/new", LOOP, NULL},
    {MKDIR, D, "SUB\\..\\..\\NEW", NOENT, NULL},
    {UNLINK, E, "../out/secret", LOOP, NULL},
    {UNLINK, E, "sub/..", INVAL, NULL},
    {UNLINK, E, "..", INVAL, NULL},
    {RMDIR, E, "../out", LOOP, NULL},
    {RMDIR, E, ".", INVAL, NULL},
    {RMDIR, E, "", WEIR_HC_EBUSY, NULL},
    {RMDIR, E, "/", WEIR_HC_EBUSY, NULL},
    {RENAME_TO, E, "../out/moved", LOOP, NULL},
    {RENAME_TO, E, "sub/../../out/moved", LOOP, NULL},
    {RENAME_TO, D, "..\\OUT\\MOVED", NOENT, NULL},
    {RENAME_TO, E, "linkdir/moved", LOOP, NULL},
    {LINK_TO, E, "../out/hard", LOOP, NULL},
    {STAT, E, "../out/secret", LOOP, NULL},
    {NODE, E, "..", LOOP, NULL},
    {LIST, E, "..", LOOP, NULL},
    {CHMOD, E, "../out/secret", LOOP, NULL},
    /* absolute names */
    {READ, E, "/etc/passwd", NOENT, NULL},
    {READ, E, "//etc/passwd", NOENT, NULL},
    {READ, E, "/proc/self/environ", NOENT, NULL},
    {READ, E, "/file", 0, "inside"},
    {READ, D, "\\ETC\\PASSWD", NOENT, NULL},
    {READ, D, "C:\\ETC\\PASSWD", NOENT, NULL},
    {READ, D, "\\\\SERVER\\SHARE\\FILE", NOENT, NULL},
    /* symbolic links */
    {READ, E, "link", LOOP, NULL},              /* -> ../out/secret */
    {READ, E, "linkabs", LOOP, NULL},           /* -> /etc/passwd */
    {READ, E, "linkdir/secret", LOOP, NULL},    /* -> ../out */
    {READ, E, "linkproc/root/etc/passwd", LOOP, NULL}, /* -> /proc/self */
    {READ, E, "linkroot/etc/passwd", LOOP, NULL},      /* -> / */
    {READ, E, "linkin", 0, "inside"},           /* -> sub/../file */
    {READ, E, "chain", LOOP, NULL},             /* -> chain2 -> ../out/secret */
    {READ, E, "loop", LOOP, NULL},              /* -> loop */
    {READ, D, "LINK", LOOP, NULL},
    {READ, D, "LINKDIR\\SECRET", LOOP, NULL},
    {READ, D, "LINKIN", 0, "inside"},
    {CREATE, E, "linkdir/new", LOOP, NULL},
    {CREATE, E, "dangling", LOOP, NULL},        /* -> ../out/made */
    {CREATE, E, "link", LOOP, NULL},
    {CHMOD, E, "link", LOOP, NULL},
    {UNLINK, E, "linkdir/secret", LOOP, NULL},
    {LIST, E, "linkdir", LOOP, NULL},
    {NODE, E, "linkdir", LOOP, NULL},
    {STAT, E, "link", LOOP, NULL},
    {READLINK, E, "link", 0, "../out/secret"},  /* text only */
    {READLINK, E, "file", INVAL, NULL},
    {SYMLINK_AT, E, "/etc/passwd", WEIR_HC_EPERM, NULL},
    /* special files */
    {READ, E, "fifo", WEIR_HC_EOPNOTSUPP, NULL},
    {CREATE, E, "fifo", WEIR_HC_EOPNOTSUPP, NULL},
    {READ, D, "FIFO", WEIR_HC_EOPNOTSUPP, NULL},
    {READ, E, "socket", WEIR_HC_EOPNOTSUPP, NULL},
    {READ, E, "device", WEIR_HC_EOPNOTSUPP, NULL},
    {CHMOD, E, "fifo", WEIR_HC_EOPNOTSUPP, NULL},
    /* names of devices in DOS */
    {READ, D, "CON", ACCES, NULL},
    {READ, D, "con.txt", ACCES, NULL},
    {CREATE, D, "NUL", ACCES, NULL},
    {CREATE, D, "SUB\\AUX.C", ACCES, NULL},
    {CREATE, D, "COM1", ACCES, NULL},
    {CREATE, D, "LPT9.DAT", ACCES, NULL},
    {CREATE, D, "CLOCK$", ACCES, NULL},
    {CREATE, D, "PRN .TXT", ACCES, NULL},
    {MKDIR, D, "NUL", ACCES, NULL},
    {CREATE, D, "COM0", 0, NULL},               /* is none */
    {READ, E, "con", 0, "a plain name here"},
    /* tricks with names */
    {READ, D, "FILE.", 0, "inside"},
    {READ, D, "FILE...", 0, "inside"},
    {READ, D, "FILE ", 0, "inside"},
    {READ, D, "file", 0, "inside"},
    {READ, D, "CON.", ACCES, NULL},
    {READ, D, "NUL ", ACCES, NULL},
    {READ, D, "FILE:STREAM", INVAL, NULL},
    {READ, D, "FILE::$DATA", INVAL, NULL},
    {READ, D, "FI*E", INVAL, NULL},
    {READ, D, "FIL?", INVAL, NULL},
    {CREATE, D, "A\"B", INVAL, NULL},
    {CREATE, D, "A|B", INVAL, NULL},
    {CREATE, D, "A\001B", INVAL, NULL},
    {READ, E, "file\\..\\..\\out\\secret", NOENT, NULL}, /* '\' is a letter there */
    {READ, E, "file/", WEIR_HC_ENOTDIR, NULL},
    {READ, E, "file/x", WEIR_HC_ENOTDIR, NULL},
    {READ, E, "FILE", NOENT, NULL},
    {CREATE, E, "", WEIR_HC_EISDIR, NULL},
    {CREATE, E, "sub/", WEIR_HC_EISDIR, NULL},
};
// clang-format on

/* ---- the host's directories ---- */

static void command(const char *format, const char *dir)
{
    char text[1024];
    snprintf(text, sizeof(text), format, dir);
    assert_int_equal(system(text), 0);
}

static void build(struct rig *r)
{
    command("cd %s && mkdir share share/sub out && printf inside >share/file && "
            "printf '" SECRET "' >out/secret && chmod 640 out/secret && "
            "printf 'a plain name here' >share/con && "
            "cd share && ln -s ../out/secret link && ln -s /etc/passwd linkabs && "
            "ln -s ../out linkdir && ln -s /proc/self linkproc && ln -s / linkroot && "
            "ln -s sub/../file linkin && ln -s chain2 chain && ln -s ../out/secret chain2 && "
            "ln -s loop loop && ln -s ../out/made dangling && mkfifo fifo && "
            "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"socket\")'",
            r->dir);
    /* Without the right to make devices, another special file has to do. */
    command("cd %s/share && { mknod device c 1 5 2>/dev/null || mkfifo device; }", r->dir);
}

static void check_outside(struct rig *r)
{
    command("cd %s && test \"$(ls -A out)\" = secret && test \"$(cat out/secret)\" = '" SECRET
            "' && test $(stat -c %%a out/secret) = 640 && test \"$(ls)\" = \"$(printf "
            "'out\\nshare')\"",
            r->dir);
}

/* ---- attempts ---- */

static unsigned try_open(struct rig *r, const struct attempt *a, uint32_t flags, char *text)
{
    struct weir_hc_open o;
    uint32_t done = 0;
    unsigned error = rig_open_file(r, a->path, a->names, flags, &o);
    if (error)
        return error;
    if (flags & WEIR_HC_O_READ && !(flags & WEIR_HC_O_DIRECTORY)) {
        assert_int_equal(rig_read(r, o.handle, 0, 64, &done), 0);
        memcpy(text, rig_ram(r, RIG_DATA), done);
    }
    text[done] = 0;
    rig_close_file(r, o.handle);
    return 0;
}

static unsigned try_two(struct rig *r, const struct attempt *a)
{
    if (a->verb == SYMLINK_AT) {
        struct weir_hc_link l = {.path = rig_text(r, "newlink", E),
                                 .text = rig_text(r, a->path, 0)};
        return rig_call(r, &l, WEIR_HC_FILE_SYMLINK, sizeof(l));
    }
    struct weir_hc_rename n = {.from = rig_text(r, "file", E),
                               .to = rig_text(r, a->path, a->names)};
    return rig_call(r, &n, a->verb == LINK_TO ? WEIR_HC_FILE_LINK : WEIR_HC_FILE_RENAME,
                    sizeof(n));
}

static unsigned try_attr(struct rig *r, const struct attempt *a)
{
    if (a->verb == STAT) {
        struct weir_hc_getattr g = {.path = rig_text(r, a->path, a->names)};
        return rig_call(r, &g, WEIR_HC_FILE_STAT, sizeof(g));
    }
    struct weir_hc_setattr s = {
        .path = rig_text(r, a->path, a->names), .set = WEIR_HC_SET_MODE, .stat.mode = 0777};
    return rig_call(r, &s, WEIR_HC_FILE_SETATTR, sizeof(s));
}

static unsigned try_readlink(struct rig *r, const struct attempt *a, char *text)
{
    struct weir_hc_link l = {.path = rig_text(r, a->path, a->names),
                             .text = {RIG_DATA, 64, WEIR_HC_LINEAR, 0}};
    unsigned error = rig_call(r, &l, WEIR_HC_FILE_READLINK, sizeof(l));
    memcpy(text, rig_ram(r, RIG_DATA), l.done);
    text[l.done] = 0;
    return error;
}

static unsigned try(struct rig *r, const struct attempt *a, char *text)
{
    text[0] = 0;
    switch (a->verb) {
    case READ:
        return try_open(r, a, WEIR_HC_O_READ, text);
    case CREATE:
        return try_open(r, a, WEIR_HC_O_WRITE | WEIR_HC_O_CREATE | WEIR_HC_O_TRUNC, text);
    case NODE:
        return try_open(r, a, WEIR_HC_O_NODE, text);
    case LIST:
        return try_open(r, a, WEIR_HC_O_READ | WEIR_HC_O_DIRECTORY, text);
    case MKDIR:
        return rig_name(r, WEIR_HC_FILE_MKDIR, a->path, a->names);
    case UNLINK:
        return rig_name(r, WEIR_HC_FILE_UNLINK, a->path, a->names);
    case RMDIR:
        return rig_name(r, WEIR_HC_FILE_RMDIR, a->path, a->names);
    case READLINK:
        return try_readlink(r, a, text);
    case STAT:
    case CHMOD:
        return try_attr(r, a);
    default:
        return try_two(r, a);
    }
}

static void show(const struct attempt *a, unsigned error, unsigned dos, const char *text)
{
    printf("%-8s %-5s ", verbs[a->verb], a->names == D ? "DOS" : "exact");
    for (const char *p = a->path; *p; p++)
        printf(*p < ' ' ? "\\x%02x" : "%c", *p);
    printf("%*s -> %u (DOS %02xh) %s\n", 40 - (int)strlen(a->path), "", error, dos, text);
}

static void table(void **state)
{
    struct rig r;
    char share[128], text[80];
    unsigned wrong = 0;
    rig_open(&r, "jit", 32, true, NULL);
    build(&r);
    r.vm->started = false;
    snprintf(share, sizeof(share), "share=s,path=%s/share", r.dir);
    assert_int_equal(weir_hostcall_enable(r.vm, share), 0);
    r.vm->started = true;
    for (unsigned k = 0; k < ARRAY_SIZE(attempts); k++) {
        const struct attempt *a = &attempts[k];
        unsigned error = try(&r, a, text);
        struct weir_hc_header h;
        memcpy(&h, rig_ram(&r, RIG_BLOCK), sizeof(h));
        bool bad = error != a->error || (!error && a->content && strcmp(a->content, text)) ||
                   strstr(text, SECRET);
        show(a, error, error ? h.dos : 0, bad ? "<-- WRONG" : text);
        wrong += bad;
        check_outside(&r);
    }
    printf("%zu attempts, %u wrong\n", ARRAY_SIZE(attempts), wrong);
    assert_true(ARRAY_SIZE(attempts) >= 60);
    assert_int_equal(wrong, 0);
    rig_close(&r);
}

/* Nothing can be changed in a read-only share, by any service. */
static void read_only(void **state)
{
    static const struct attempt changes[] = {
        {CREATE, E, "new", 0, NULL}, {CREATE, D, "FILE", 0, NULL},
        {MKDIR, E, "d", 0, NULL},    {UNLINK, E, "file", 0, NULL},
        {RMDIR, E, "sub", 0, NULL},  {RENAME_TO, E, "x", 0, NULL},
        {LINK_TO, E, "x", 0, NULL},  {SYMLINK_AT, E, "y", 0, NULL},
        {CHMOD, E, "file", 0, NULL}, {CHMOD, D, "FILE", 0, NULL},
    };
    struct rig r;
    char text[80];
    struct weir_hc_open o;
    uint32_t done;
    rig_open(&r, "jit", 32, true, "share=s,path=%s,ro");
    command("cd %s && printf inside >file && mkdir sub", r.dir);
    for (unsigned k = 0; k < ARRAY_SIZE(changes); k++) {
        unsigned error = try(&r, &changes[k], text);
        if (error != WEIR_HC_EROFS)
            fail_msg("%s %s: %u", verbs[changes[k].verb], changes[k].path, error);
    }
    assert_int_equal(rig_open_file(&r, "file", E, WEIR_HC_O_READ | WEIR_HC_O_WRITE, &o),
                     WEIR_HC_EROFS);
    assert_int_equal(rig_open_file(&r, "file", E, WEIR_HC_O_READ, &o), 0);
    assert_int_equal(rig_write(&r, o.handle, 0, "x", 1, &done), WEIR_HC_EBADF);
    struct weir_hc_truncate t = {.handle = o.handle};
    assert_int_equal(rig_call(&r, &t, WEIR_HC_FILE_TRUNCATE, sizeof(t)), WEIR_HC_EBADF);
    struct weir_hc_setattr s = {.handle = o.handle, .set = WEIR_HC_SET_SIZE};
    assert_int_equal(rig_call(&r, &s, WEIR_HC_FILE_SETATTR, sizeof(s)), WEIR_HC_EROFS);
    command("cd %s && test \"$(cat file)\" = inside && test \"$(ls)\" = \"$(printf "
            "'file\\nsub')\"",
            r.dir);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(table), cmocka_unit_test(read_only)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
