/* SPDX-License-Identifier: MIT */
/*
 * file_test.c - the file services: reading and writing through scattered pages, positions, sizes,
 * times, renaming, locks, what becomes of handles whose files are gone, limits.
 */
#include "rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define RW (WEIR_HC_O_READ | WEIR_HC_O_WRITE)

static void start(struct rig *r)
{
    rig_open(r, "jit", 32, true, "share=s,path=%s");
}

static void on_host(struct rig *r, const char *format)
{
    char text[512], command[600];
    snprintf(text, sizeof(text), "cd %s && ", r->dir);
    snprintf(command, sizeof(command), "%s%s", text, format);
    assert_int_equal(system(command), 0);
}

/* ---- data ---- */

static void scattered(void **state)
{
    struct rig r;
    struct weir_hc_open o;
    start(&r);
    assert_int_equal(rig_open_file(&r, "f", 0, RW | WEIR_HC_O_CREATE, &o), 0);
    assert_int_equal(o.action, 2);
    struct {
        struct weir_hc_io a;
        struct weir_hc_region more[399];
    } b;
    uint8_t expected[400 * 37];
    memset(&b, 0, sizeof(b));
    struct weir_hc_region *region = &b.a.regions[0];
    for (unsigned k = 0; k < 400; k++) {
        region[k] = rig_region(RIG_DATA + 4090 * k, 37); /* some cross pages */
        for (unsigned n = 0; n < 37; n++) {
            uint8_t byte = (uint8_t)(k * 7 + n);
            expected[37 * k + n] = byte;
            *(uint8_t *)rig_ram(&r, RIG_DATA + 4090 * k + n) = byte;
        }
    }
    b.a.handle = o.handle;
    b.a.region_count = 400;
    assert_int_equal(rig_call(&r, &b, WEIR_HC_FILE_WRITE, sizeof(b)), 0);
    assert_int_equal(b.a.done, sizeof(expected));
    assert_int_equal(b.a.size, sizeof(expected));
    uint32_t done;
    assert_int_equal(rig_read(&r, o.handle, 0, 100000, &done), 0);
    assert_int_equal(done, sizeof(expected));
    assert_memory_equal(rig_ram(&r, RIG_DATA), expected, sizeof(expected));
    /* Back into pieces, in reverse order of addresses. */
    memset(rig_ram(&r, RIG_DATA), 0, 400 * 4096);
    for (unsigned k = 0; k < 400; k++)
        region[k] = rig_region(RIG_DATA + 4090 * (399 - k), 37);
    b.a.handle = o.handle;
    assert_int_equal(rig_call(&r, &b, WEIR_HC_FILE_READ, sizeof(b)), 0);
    for (unsigned k = 0; k < 400; k++)
        assert_memory_equal(rig_ram(&r, RIG_DATA + 4090 * (399 - k)), expected + 37 * k, 37);
    rig_close(&r);
}

/* segment:offset wraps at 64 KiB, as DOS's buffers do. */
static void segment_wrap(void **state)
{
    struct rig r;
    struct weir_hc_open o;
    static char bytes[65536];
    start(&r);
    for (unsigned k = 0; k < sizeof(bytes) - 1; k++)
        bytes[k] = (char)('a' + k % 26);
    rig_put(&r, "f", bytes);
    assert_int_equal(rig_open_file(&r, "f", 0, WEIR_HC_O_READ, &o), 0);
    struct weir_hc_io a = {.handle = o.handle,
                           .region_count = 1,
                           .regions = {{0x4000 << 16 | 0xff00, 65535, WEIR_HC_REAL}}};
    assert_int_equal(rig_call(&r, &a, WEIR_HC_FILE_READ, sizeof(a)), 0);
    assert_int_equal(a.done, 65535);
    assert_memory_equal(rig_ram(&r, 0x4ff00), bytes, 0x100);
    assert_memory_equal(rig_ram(&r, 0x40000), bytes + 0x100, 65535 - 0x100);
    rig_close(&r);
}

/* What is read over code is executed. */
static void code_is_dropped(void **state)
{
    struct rig r;
    struct weir_exit e;
    struct weir_hc_open o;
    start(&r);
    rig_put(&r, "f", "\xb8\x44\x33\x22\x11\xf4"); /* mov eax, 11223344h; hlt */
    assert_int_equal(rig_open_file(&r, "f", 0, WEIR_HC_O_READ, &o), 0);
    static const uint8_t old[] = {0xb8, 1, 0, 0, 0, 0xf4};
    memcpy(rig_ram(&r, RIG_DATA), old, sizeof(old));
    for (unsigned k = 0; k < 200; k++) { /* often enough to be translated */
        r.c->rip = RIG_DATA;
        r.c->halted = false;
        assert_int_equal(weir_run((weir_vcpu *)r.c, 0, &e), 0);
        assert_int_equal(r.c->gpr[RAX], 1);
    }
    uint32_t done;
    assert_int_equal(rig_read(&r, o.handle, 0, 6, &done), 0);
    r.c->rip = RIG_DATA;
    r.c->halted = false;
    assert_int_equal(weir_run((weir_vcpu *)r.c, 0, &e), 0);
    assert_int_equal(r.c->gpr[RAX], 0x11223344);
    rig_close(&r);
}

static void regions_refused(void **state)
{
    struct rig r;
    struct weir_hc_open o;
    start(&r);
    rig_put(&r, "f", "abc");
    assert_int_equal(rig_open_file(&r, "f", 0, RW, &o), 0);
    struct weir_hc_io a = {.handle = o.handle, .region_count = 1};
    a.regions[0] = (struct weir_hc_region){RIG_RAM, 3, WEIR_HC_LINEAR}; /* behind RAM */
    assert_int_equal(rig_call(&r, &a, WEIR_HC_FILE_READ, sizeof(a)), WEIR_HC_EFAULT);
    a.regions[0] = (struct weir_hc_region){RIG_DATA, 3, WEIR_HC_PHYSICAL};
    assert_int_equal(rig_call(&r, &a, WEIR_HC_FILE_READ, sizeof(a)), 0);
    a.regions[0] = (struct weir_hc_region){1ull << 60, 3, WEIR_HC_PHYSICAL};
    assert_int_equal(rig_call(&r, &a, WEIR_HC_FILE_READ, sizeof(a)), WEIR_HC_EFAULT);
    a.regions[0] = (struct weir_hc_region){RIG_DATA, 3, 3};
    assert_int_equal(rig_call(&r, &a, WEIR_HC_FILE_READ, sizeof(a)), WEIR_HC_EINVAL);
    a.regions[0] = (struct weir_hc_region){0, WEIR_HC_MAX_BYTES + 1, WEIR_HC_LINEAR};
    assert_int_equal(rig_call(&r, &a, WEIR_HC_FILE_READ, sizeof(a)), WEIR_HC_EINVAL);
    a.regions[0] = rig_region(RIG_DATA, 3);
    a.region_count = 2; /* the block ends behind one */
    assert_int_equal(rig_call(&r, &a, WEIR_HC_FILE_READ, sizeof(a)), WEIR_HC_EINVAL);
    a.region_count = 0xffffffff;
    assert_int_equal(rig_call(&r, &a, WEIR_HC_FILE_READ, sizeof(a)), WEIR_HC_EINVAL);
    a.region_count = 0;
    assert_int_equal(rig_call(&r, &a, WEIR_HC_FILE_READ, sizeof(a)), 0);
    assert_int_equal(a.done, 0);
    a.region_count = 1;
    a.offset = INT64_MAX;
    assert_int_equal(rig_call(&r, &a, WEIR_HC_FILE_READ, sizeof(a)), WEIR_HC_EINVAL);
    rig_close(&r);
}

/* ---- positions and sizes ---- */

static int64_t seek(struct rig *r, uint32_t handle, uint32_t whence, int64_t offset)
{
    struct weir_hc_seek a = {.handle = handle, .whence = whence, .offset = offset};
    unsigned error = rig_call(r, &a, WEIR_HC_FILE_SEEK, sizeof(a));
    return error ? -(int64_t)error : a.offset;
}

static void positions(void **state)
{
    struct rig r;
    struct weir_hc_open o;
    uint32_t done;
    start(&r);
    assert_int_equal(rig_open_file(&r, "f", 0, RW | WEIR_HC_O_CREATE | WEIR_HC_O_EXCL, &o), 0);
    assert_int_equal(rig_write(&r, o.handle, WEIR_HC_HERE, "hello ", 6, &done), 0);
    assert_int_equal(rig_write(&r, o.handle, WEIR_HC_HERE, "world", 5, &done), 0);
    assert_int_equal(seek(&r, o.handle, 1, 0), 11);
    assert_int_equal(seek(&r, o.handle, 2, -5), 6);
    assert_int_equal(rig_read(&r, o.handle, WEIR_HC_HERE, 100, &done), 0);
    assert_int_equal(done, 5);
    assert_memory_equal(rig_ram(&r, RIG_DATA), "world", 5);
    assert_int_equal(rig_read(&r, o.handle, WEIR_HC_HERE, 100, &done), 0);
    assert_int_equal(done, 0);
    assert_int_equal(seek(&r, o.handle, 0, -1), -WEIR_HC_EINVAL);
    assert_int_equal(seek(&r, o.handle, 5, 0), -WEIR_HC_EINVAL);
    assert_int_equal(seek(&r, o.handle, 2, INT64_MAX), -WEIR_HC_EINVAL);
    assert_int_equal(seek(&r, o.handle, 0, 5ll << 30), 5ll << 30);
    struct weir_hc_truncate t = {.handle = o.handle, .size = 3ull << 30};
    assert_int_equal(rig_call(&r, &t, WEIR_HC_FILE_TRUNCATE, sizeof(t)), 0);
    assert_int_equal(rig_write(&r, o.handle, 3ull << 30, "x", 1, &done), 0);
    struct weir_hc_getattr g = {.handle = o.handle};
    assert_int_equal(rig_call(&r, &g, WEIR_HC_FILE_STAT, sizeof(g)), 0);
    assert_int_equal(g.stat.size, (3ull << 30) + 1);
    assert_int_equal(g.stat.dos_size, INT32_MAX); /* what DOS can count */
    rig_close_file(&r, o.handle);
    assert_int_equal(rig_open_file(&r, "f", 0, RW | WEIR_HC_O_TRUNC, &o), 0);
    assert_int_equal(o.action, 3);
    assert_int_equal(o.stat.size, 0);
    assert_int_equal(rig_open_file(&r, "f", 0, RW | WEIR_HC_O_CREATE | WEIR_HC_O_EXCL, &o),
                     WEIR_HC_EEXIST);
    assert_int_equal(o.header.dos, 0x50);
    assert_int_equal(rig_open_file(&r, "f", 0, RW | WEIR_HC_O_APPEND, &o), 0);
    assert_int_equal(rig_write(&r, o.handle, 0, "ab", 2, &done), 0);
    assert_int_equal(rig_write(&r, o.handle, 0, "cd", 2, &done), 0);
    on_host(&r, "test \"$(cat f)\" = abcd");
    rig_close(&r);
}

static void open_flags(void **state)
{
    static const struct {
        const char *path;
        uint32_t flags;
        unsigned error;
    } cases[] = {
        {"f", 0, WEIR_HC_EINVAL},
        {"f", 0x800 | WEIR_HC_O_READ, WEIR_HC_EINVAL},
        {"f", WEIR_HC_O_READ | WEIR_HC_O_TRUNC, WEIR_HC_EINVAL},
        {"f", WEIR_HC_O_READ | WEIR_HC_O_EXCL, WEIR_HC_EINVAL},
        {"f", WEIR_HC_O_READ | WEIR_HC_O_DIRECTORY, WEIR_HC_ENOTDIR},
        {"d", WEIR_HC_O_READ | WEIR_HC_O_FILE, WEIR_HC_EISDIR},
        {"d", WEIR_HC_O_WRITE, WEIR_HC_EISDIR},
        {"d", WEIR_HC_O_READ, 0},
        {"d", WEIR_HC_O_NODE, 0},
        {"l", WEIR_HC_O_READ, 0},
        {"l", WEIR_HC_O_READ | WEIR_HC_O_NOFOLLOW, WEIR_HC_ELOOP},
        {"l", WEIR_HC_O_NODE | WEIR_HC_O_NOFOLLOW, 0},
        {"f", WEIR_HC_O_NODE | WEIR_HC_O_READ, WEIR_HC_EINVAL},
        {"n", WEIR_HC_O_READ, WEIR_HC_ENOENT},
        {"n/n", WEIR_HC_O_READ, WEIR_HC_ENOENT},
    };
    struct rig r;
    struct weir_hc_open o;
    start(&r);
    on_host(&r, "echo x >f; mkdir d; ln -s f l");
    for (unsigned k = 0; k < ARRAY_SIZE(cases); k++)
        if (rig_open_file(&r, cases[k].path, 0, cases[k].flags, &o) != cases[k].error)
            fail_msg("case %u: %u", k, o.header.error);
    rig_close(&r);
}

/* ---- handles ---- */

static void handles(void **state)
{
    struct rig r;
    struct weir_hc_open o;
    uint32_t done, first = 0;
    start(&r);
    rig_put(&r, "f", "abc");
    struct weir_hc_info info;
    assert_int_equal(rig_call(&r, &info, WEIR_HC_INFO, sizeof(info)), 0);
    assert_in_range(info.max_handles, 1, WEIR_HC_MAX_HANDLES);
    for (unsigned k = 0; k < info.max_handles; k++) {
        assert_int_equal(rig_open_file(&r, "f", 0, WEIR_HC_O_READ, &o), 0);
        first = first ? first : o.handle;
    }
    assert_int_equal(rig_open_file(&r, "f", 0, WEIR_HC_O_READ, &o), WEIR_HC_EMFILE);
    assert_int_equal(o.header.dos, 4);
    rig_close_file(&r, first);
    struct weir_hc_close c = {.handle = first};
    assert_int_equal(rig_call(&r, &c, WEIR_HC_FILE_CLOSE, sizeof(c)), WEIR_HC_EBADF);
    assert_int_equal(rig_open_file(&r, "f", 0, WEIR_HC_O_READ, &o), 0);
    assert_int_not_equal(o.handle, first); /* the slot again, not the handle */
    assert_int_equal(rig_read(&r, first, 0, 1, &done), WEIR_HC_EBADF);
    assert_int_equal(rig_write(&r, o.handle, 0, "x", 1, &done), WEIR_HC_EBADF); /* read-only */
    assert_int_equal(rig_read(&r, 0, 0, 1, &done), WEIR_HC_EBADF);
    assert_int_equal(rig_read(&r, 0xffffffff, 0, 1, &done), WEIR_HC_EBADF);
    hostcall_reset(r.vm->hostcall); /* as the machine's reset does */
    assert_int_equal(rig_read(&r, o.handle, 0, 1, &done), WEIR_HC_EBADF);
    struct weir_hc_open a = {.path = rig_text(&r, "f", 0), .flags = 1, .owner = 77};
    assert_int_equal(rig_call(&r, &a, WEIR_HC_FILE_OPEN, sizeof(a)), 0);
    struct weir_hc_close_owner all = {.owner = 77};
    assert_int_equal(rig_call(&r, &all, WEIR_HC_FILE_CLOSE_OWNER, sizeof(all)), 0);
    assert_int_equal(all.closed, 1);
    assert_int_equal(rig_read(&r, a.handle, 0, 1, &done), WEIR_HC_EBADF);
    rig_close(&r);
}

/* The host takes files away, cuts them and puts others in their place. */
static void host_changes(void **state)
{
    struct rig r;
    struct weir_hc_open o, dir;
    uint32_t done;
    start(&r);
    on_host(&r, "printf 0123456789 >f; mkdir d; echo x >d/x");
    assert_int_equal(rig_open_file(&r, "f", 0, RW, &o), 0);
    assert_int_equal(rig_open_file(&r, "d", 0, WEIR_HC_O_READ, &dir), 0);
    on_host(&r, "rm f; printf other >f");
    assert_int_equal(rig_read(&r, o.handle, 0, 100, &done), 0);
    assert_int_equal(done, 10);
    assert_int_equal(rig_write(&r, o.handle, 0, "xx", 2, &done), 0);
    on_host(&r, "test \"$(cat f)\" = other");
    struct weir_hc_getattr g = {.handle = o.handle};
    assert_int_equal(rig_call(&r, &g, WEIR_HC_FILE_STAT, sizeof(g)), 0);
    assert_int_equal(g.stat.nlink, 0);
    assert_int_equal(rig_open_file(&r, "f", 0, RW, &o), 0);
    on_host(&r, "truncate -s 2 f");
    assert_int_equal(rig_read(&r, o.handle, 0, 100, &done), 0);
    assert_int_equal(done, 2);
    on_host(&r, "rm -r d");
    struct weir_hc_readdir l = {
        .handle = dir.handle, .region_count = 1, .regions = {rig_region(RIG_DATA, 4096)}};
    unsigned error = rig_call(&r, &l, WEIR_HC_FILE_READDIR, sizeof(l));
    assert_true(error == 0 || error == WEIR_HC_ENOENT);
    assert_int_equal(l.done, 0);
    rig_close(&r);
}

/* ---- attributes ---- */

static void attributes(void **state)
{
    struct rig r;
    start(&r);
    on_host(&r, "echo x >f; chmod 644 f; mkdir d; touch .h");
    struct weir_hc_setattr s = {.path = rig_text(&r, "f", 0),
                                .set =
                                    WEIR_HC_SET_MTIME | WEIR_HC_SET_ATIME | WEIR_HC_SET_MODE};
    s.stat.mtime = 1000000000;
    s.stat.mtime_ns = 123456789;
    s.stat.atime = 1000000001;
    s.stat.mode = 07755; /* no set-user-id from a guest */
    assert_int_equal(rig_call(&r, &s, WEIR_HC_FILE_SETATTR, sizeof(s)), 0);
    assert_int_equal(s.stat.mtime, 1000000000);
    assert_int_equal(s.stat.mtime_ns, 123456789);
    assert_int_equal(s.stat.atime, 1000000001);
    assert_int_equal(s.stat.mode, 0100755);
    assert_int_equal(s.stat.dos_attr, WEIR_HC_ATTR_ARCHIVE);
    s = (struct weir_hc_setattr){.path = rig_text(&r, "F", WEIR_HC_DOS),
                                 .set = WEIR_HC_SET_DOS_ATTR | WEIR_HC_SET_DOS_TIME};
    s.stat.dos_attr = WEIR_HC_ATTR_RO;
    s.stat.dos_time = 12 << 11 | 34 << 5 | 56 / 2;
    s.stat.dos_date = (1999 - 1980) << 9 | 12 << 5 | 31;
    assert_int_equal(rig_call(&r, &s, WEIR_HC_FILE_SETATTR, sizeof(s)), 0);
    assert_int_equal(s.stat.dos_attr, WEIR_HC_ATTR_ARCHIVE | WEIR_HC_ATTR_RO);
    assert_int_equal(s.stat.dos_time, 12 << 11 | 34 << 5 | 28);
    assert_int_equal(s.stat.dos_date, 19 << 9 | 12 << 5 | 31);
    assert_int_equal(s.stat.mode, 0100555);
    on_host(&r, "test \"$(date -r f '+%F %T')\" = '1999-12-31 12:34:56'");
    struct weir_hc_name n = {.path = rig_text(&r, "F", WEIR_HC_DOS),
                             .flags = WEIR_HC_UNLINK_RO_FAILS};
    assert_int_equal(rig_call(&r, &n, WEIR_HC_FILE_UNLINK, sizeof(n)), WEIR_HC_EACCES);
    s = (struct weir_hc_setattr){.path = rig_text(&r, "f", 0), .set = WEIR_HC_SET_OWNER};
    s.stat.uid = 4711;
    assert_int_equal(rig_call(&r, &s, WEIR_HC_FILE_SETATTR, sizeof(s)), WEIR_HC_EPERM);
    s = (struct weir_hc_setattr){.path = rig_text(&r, "f", 0), .set = 0x200};
    assert_int_equal(rig_call(&r, &s, WEIR_HC_FILE_SETATTR, sizeof(s)), WEIR_HC_EINVAL);
    s = (struct weir_hc_setattr){.path = rig_text(&r, "f", 0), .set = WEIR_HC_SET_MTIME};
    s.stat.mtime_ns = 2000000000;
    assert_int_equal(rig_call(&r, &s, WEIR_HC_FILE_SETATTR, sizeof(s)), WEIR_HC_EINVAL);
    struct weir_hc_getattr g = {.path = rig_text(&r, ".h", 0)};
    assert_int_equal(rig_call(&r, &g, WEIR_HC_FILE_STAT, sizeof(g)), 0);
    assert_int_equal(g.stat.dos_attr, WEIR_HC_ATTR_ARCHIVE | WEIR_HC_ATTR_HIDDEN);
    struct weir_hc_statfs f = {0};
    assert_int_equal(rig_call(&r, &f, WEIR_HC_FILE_STATFS, sizeof(f)), 0);
    uint64_t dos = (uint64_t)f.dos_clusters * f.dos_sectors_per_cluster * f.dos_sector_bytes;
    assert_true(dos > 0 && dos < 1ull << 31 && f.dos_clusters <= 0xfff6);
    assert_true(f.dos_clusters_free <= f.dos_clusters);
    f.share = 9;
    assert_int_equal(rig_call(&r, &f, WEIR_HC_FILE_STATFS, sizeof(f)), WEIR_HC_ENOENT);
    rig_close(&r);
}

/* ---- names ---- */

static unsigned rename_it(struct rig *r, const char *from, const char *to, unsigned names,
                          uint32_t flags)
{
    struct weir_hc_rename a = {
        .from = rig_text(r, from, names), .to = rig_text(r, to, names), .flags = flags};
    return rig_call(r, &a, WEIR_HC_FILE_RENAME, sizeof(a));
}

static void names(void **state)
{
    struct rig r;
    start(&r);
    assert_int_equal(rig_name(&r, WEIR_HC_FILE_MKDIR, "a", 0), 0);
    assert_int_equal(rig_name(&r, WEIR_HC_FILE_MKDIR, "a", 0), WEIR_HC_EEXIST);
    assert_int_equal(rig_name(&r, WEIR_HC_FILE_MKDIR, "b/c", 0), WEIR_HC_ENOENT);
    assert_int_equal(rig_name(&r, WEIR_HC_FILE_MKDIR, "A\\SUBDIR", WEIR_HC_DOS), 0);
    assert_true(rig_exists(&r, "a/subdir"));
    assert_int_equal(rig_name(&r, WEIR_HC_FILE_RMDIR, "a", 0), WEIR_HC_ENOTEMPTY);
    assert_int_equal(rig_name(&r, WEIR_HC_FILE_UNLINK, "a", 0), WEIR_HC_EISDIR);
    rig_put(&r, "f", "1");
    rig_put(&r, "g", "2");
    assert_int_equal(rename_it(&r, "f", "g", 0, WEIR_HC_RENAME_NOREPLACE), WEIR_HC_EEXIST);
    assert_int_equal(rename_it(&r, "f", "g", 0, WEIR_HC_RENAME_EXCHANGE), 0);
    on_host(&r, "test $(cat f)$(cat g) = 21");
    assert_int_equal(rename_it(&r, "f", "a/f", 0, 0), 0);
    assert_int_equal(rename_it(&r, "G", "A\\LONGER.NAM", WEIR_HC_DOS, 1), 0);
    assert_true(rig_exists(&r, "a/longer.nam"));
    assert_int_equal(rename_it(&r, "A\\LONGER.NAM", "A\\Longer.Nam", WEIR_HC_DOS, 0), 0);
    assert_true(rig_exists(&r, "a/Longer.Nam")); /* the case can be changed */
    assert_int_equal(rename_it(&r, "n", "m", 0, 0), WEIR_HC_ENOENT);
    assert_int_equal(rename_it(&r, "a", "a/subdir/x", 0, 0), WEIR_HC_EINVAL);
    struct weir_hc_rename l = {.from = rig_text(&r, "a/f", 0), .to = rig_text(&r, "h", 0)};
    assert_int_equal(rig_call(&r, &l, WEIR_HC_FILE_LINK, sizeof(l)), 0);
    struct weir_hc_link s = {.path = rig_text(&r, "s", 0), .text = rig_text(&r, "a/f", 0)};
    assert_int_equal(rig_call(&r, &s, WEIR_HC_FILE_SYMLINK, sizeof(s)), 0);
    on_host(&r, "test $(stat -c %h h) = 2 && test $(readlink s) = a/f && test $(cat s) = 2");
    l = (struct weir_hc_rename){.from = rig_text(&r, "s", 0), .to = rig_text(&r, "t", 0)};
    assert_int_equal(rig_call(&r, &l, WEIR_HC_FILE_LINK, sizeof(l)), WEIR_HC_EPERM);
    s = (struct weir_hc_link){.path = rig_text(&r, "s", 0),
                              .text = {RIG_DATA, 2, WEIR_HC_LINEAR, 0}};
    assert_int_equal(rig_call(&r, &s, WEIR_HC_FILE_READLINK, sizeof(s)), WEIR_HC_ERANGE);
    assert_int_equal(s.done, 3);
    rig_close(&r);
}

/* ---- locks and share modes ---- */

static unsigned lock(struct rig *r, uint32_t handle, uint32_t type, uint64_t at, uint64_t n)
{
    struct weir_hc_lock a = {.handle = handle, .type = type, .offset = at, .length = n};
    return rig_call(r, &a, WEIR_HC_FILE_LOCK, sizeof(a));
}

static void locks(void **state)
{
    struct rig r;
    struct weir_hc_open a, b;
    start(&r);
    rig_put(&r, "f", "0123456789");
    assert_int_equal(rig_open_file(&r, "f", 0, RW, &a), 0);
    assert_int_equal(rig_open_file(&r, "f", 0, RW, &b), 0);
    assert_int_equal(lock(&r, a.handle, WEIR_HC_LOCK_EXCLUSIVE, 2, 4), 0);
    assert_int_equal(lock(&r, b.handle, WEIR_HC_LOCK_EXCLUSIVE, 5, 1), WEIR_HC_EAGAIN);
    assert_int_equal(lock(&r, b.handle, WEIR_HC_LOCK_EXCLUSIVE, 6, 1), 0);
    assert_int_equal(lock(&r, b.handle, WEIR_HC_LOCK_SHARED | WEIR_HC_LOCK_TEST, 0, 0),
                     WEIR_HC_EAGAIN);
    assert_int_equal(lock(&r, a.handle, WEIR_HC_LOCK_UNLOCK, 2, 4), 0);
    assert_int_equal(lock(&r, b.handle, WEIR_HC_LOCK_EXCLUSIVE, 5, 1), 0);
    rig_close_file(&r, b.handle);
    assert_int_equal(lock(&r, a.handle, WEIR_HC_LOCK_EXCLUSIVE, 0, 0), 0);
    assert_int_equal(lock(&r, a.handle, 7, 0, 0), WEIR_HC_EINVAL);
    assert_int_equal(lock(&r, a.handle, 1, UINT64_MAX, 1), WEIR_HC_EINVAL);
    rig_close_file(&r, a.handle);
    /* Deny modes, as SHARE has them. */
    struct weir_hc_open d = {
        .path = rig_text(&r, "F", WEIR_HC_DOS), .flags = WEIR_HC_O_READ, .deny = 0x20};
    assert_int_equal(rig_call(&r, &d, WEIR_HC_FILE_OPEN, sizeof(d)), 0);
    assert_int_equal(rig_open_file(&r, "f", 0, WEIR_HC_O_READ, &a), 0);
    assert_int_equal(rig_open_file(&r, "f", 0, WEIR_HC_O_WRITE, &b), WEIR_HC_EACCES);
    assert_int_equal(b.header.dos, 0x20);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scattered),       cmocka_unit_test(segment_wrap),
        cmocka_unit_test(code_is_dropped), cmocka_unit_test(regions_refused),
        cmocka_unit_test(positions),       cmocka_unit_test(open_flags),
        cmocka_unit_test(handles),         cmocka_unit_test(host_changes),
        cmocka_unit_test(attributes),      cmocka_unit_test(names),
        cmocka_unit_test(locks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
