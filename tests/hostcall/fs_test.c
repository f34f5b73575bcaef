/* SPDX-License-Identifier: MIT */
/* The virtio-fs device without a CPU: what a driver should ask, and what it should not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "fs_rig.h"

#include "base/bits.h"
#include "dev/pci_board.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <weir/machine.h>

enum { READ = FUSE_SETUPMAPPING_FLAG_READ, WRITE_TOO = FUSE_SETUPMAPPING_FLAG_WRITE | READ };

static struct fs_rig rig, *r = &rig;

static const char *path_of(const char *name)
{
    static char path[200];
    snprintf(path, sizeof(path), "%s/%s", r->dir, name);
    return path;
}

/* `bytes` of a pattern that says where it is. */
static void put(const char *name, size_t bytes)
{
    FILE *f = fopen(path_of(name), "we");
    assert_non_null(f);
    for (size_t k = 0; k < bytes; k += 8)
        assert_int_equal(fwrite(&k, 1, 8, f), 8);
    assert_int_equal(fclose(f), 0);
}

static void start_with(const char *options)
{
    assert_true(fs_open(r, options));
    assert_int_equal(fs_begin(r), 0);
}

static uint64_t find(const char *name)
{
    int error;
    uint64_t node = fs_lookup(r, 1, name, &error);
    assert_int_equal(error, 0);
    assert_true(node > 1);
    return node;
}

static uint64_t open_node(uint64_t node, uint32_t flags)
{
    int error;
    uint64_t fh = fs_open_file(r, node, flags, &error);
    assert_int_equal(error, 0);
    return fh;
}

static uint64_t window(uint64_t at)
{
    uint64_t value;
    bus_read_block(&r->vm->mem, FS_WINDOW + at, &value, 8);
    return value;
}

static int release(uint64_t fh)
{
    struct fuse_release_in in = {.fh = fh};
    return fs_call(r, FUSE_RELEASE, 1, &in, sizeof(in), NULL, 0, NULL);
}

/* ---- the device ---- */

static void capability(void **state)
{
    bool found = false;
    start_with("dax=8");
    weir_dev *host = r->vm->pci;
    assert_int_equal(pci_config_read(host, r->devfn, 0, 4), 0x105a1af4);
    for (unsigned at = pci_config_read(host, r->devfn, 0x34, 1); at;
         at = pci_config_read(host, r->devfn, at + 1, 1)) {
        if (pci_config_read(host, r->devfn, at, 1) != 9 ||
            pci_config_read(host, r->devfn, at + 3, 1) != 8)
            continue;
        found = true;
        assert_int_equal(pci_config_read(host, r->devfn, at + 2, 1), 24);
        assert_int_equal(pci_config_read(host, r->devfn, at + 4, 1), 2); /* BAR */
        assert_int_equal(pci_config_read(host, r->devfn, at + 5, 1), 0); /* id */
        assert_int_equal(pci_config_read(host, r->devfn, at + 8, 4), 0);
        assert_int_equal(pci_config_read(host, r->devfn, at + 12, 4), FS_WINDOW_BYTES);
        assert_int_equal(pci_config_read(host, r->devfn, at + 20, 4), 0);
    }
    assert_true(found);
    char tag[40];
    bus_read_block(&r->vm->mem, 0xe0002000, tag, sizeof(tag));
    assert_string_equal(tag, "s");
    assert_int_equal(load_le((uint8_t *)tag + 36, 4), 1);
    fs_close(r);
}

static void options(void **state)
{
    assert_false(fs_open(r, "dax=3"));
    fs_close(r);
    assert_false(fs_open(r, "dax=16384"));
    fs_close(r);
    assert_false(fs_open(r, "dax=x"));
    fs_close(r);
    start_with("virtiofs,dax=off");
    put("f", 4096);
    uint64_t node = find("f");
    open_node(node, O_RDONLY);
    assert_int_equal(fs_map(r, node, 0, FS_SLOT, READ, 0), -ENOSYS);
    fs_close(r);
}

static char text[4000];
static void put_text(struct weir_text *to, const char *chars, size_t length)
{
    size_t at = strlen(text);
    assert_true(at + length < sizeof(text));
    memcpy(text + at, chars, length);
    text[at + length] = 0;
}

/* What a person sees of it. */
static void info(void **state)
{
    struct weir_text to = {.put = put_text};
    start_with("dax=8,ro");
    put("f", FS_SLOT);
    uint64_t node = find("f");
    open_node(node, O_RDONLY);
    assert_int_equal(fs_map(r, node, 0, FS_SLOT, READ, 0), 0);
    memset(text, 0, sizeof(text));
    assert_int_equal(weir_info(r->vm, "virtio-fs-pci", &to), 0);
    assert_non_null(strstr(text, "share s = /tmp/"));
    assert_non_null(strstr(text, ", read-only, mounted"));
    assert_non_null(
        strstr(text, "window: 8 MiB at 0x400000000, 1 of 4 slots used, 1 mappings"));
    fs_close(r);
}

/* ---- files ---- */

static void files(void **state)
{
    start_with("dax=8");
    put("f", 20000);
    uint64_t node = find("f"), fh = open_node(node, O_RDONLY);
    struct fuse_read_in in = {.fh = fh, .offset = 8000, .size = 16384};
    size_t bytes;
    assert_int_equal(fs_call(r, FUSE_READ, node, &in, sizeof(in), NULL, 0, &bytes), 0);
    assert_int_equal(bytes, 12000);
    assert_int_equal(load_le(fs_answer(r), 8), 8000);
    struct fuse_write_in out = {.fh = fh, .offset = 0, .size = 5};
    assert_int_equal(fs_call(r, FUSE_WRITE, node, &out, sizeof(out), "hello", 5, NULL), -EBADF);
    out.fh = open_node(node, O_RDWR);
    out.size = 500; /* more than there is */
    assert_int_equal(fs_call(r, FUSE_WRITE, node, &out, sizeof(out), "hello", 5, NULL), 0);
    assert_int_equal(((const struct fuse_write_out *)fs_answer(r))->size, 5);
    in.offset = 0;
    assert_int_equal(fs_call(r, FUSE_READ, node, &in, sizeof(in), NULL, 0, &bytes), 0);
    assert_memory_equal(fs_answer(r), "hello", 5);
    assert_int_equal(release(fh), 0);
    assert_int_equal(release(fh), -EBADF);
    assert_int_equal(fs_call(r, FUSE_READ, node, &in, sizeof(in), NULL, 0, &bytes), -EBADF);
    fs_close(r);
}

/* Names that a kernel never sends. */
static void names(void **state)
{
    static const char *const bad[] = {"a/b", "/etc", "", "../x", "d/..", "d/../../x"};
    int error;
    start_with("dax=8");
    mkdir(path_of("d"), 0755);
    put("d/b", 8);
    for (unsigned k = 0; k < ARRAY_SIZE(bad); k++) {
        fs_lookup(r, 1, bad[k], &error);
        assert_int_equal(error, -EINVAL);
        struct {
            struct fuse_create_in in;
            char name[16];
        } create = {.in = {.flags = O_RDWR, .mode = 0644}};
        snprintf(create.name, sizeof(create.name), "%s", bad[k]);
        assert_int_equal(fs_call(r, FUSE_CREATE, 1, &create, sizeof(create), NULL, 0, NULL),
                         -EINVAL);
    }
    assert_int_equal(fs_lookup(r, 1, "..", &error), 1); /* the root's is the root */
    uint64_t d = find("d");
    assert_int_equal(fs_lookup(r, d, "..", &error), 1);
    assert_true(fs_lookup(r, d, ".", &error) == d);
    fs_lookup(r, find("d"), "b", &error);
    assert_int_equal(error, 0);
    fs_close(r);
}

/* A name that the host takes away and gives back. */
static void renamed_by_the_host(void **state)
{
    char other[200];
    int error;
    start_with("dax=8");
    mkdir(path_of("d"), 0755);
    put("d/b", 8);
    uint64_t d = find("d");
    snprintf(other, sizeof(other), "%s", path_of("e"));
    assert_int_equal(rename(path_of("d"), other), 0);
    assert_true(find("e") == d);
    assert_true(fs_lookup(r, d, "b", &error) > 1);
    assert_int_equal(rename(other, path_of("d")), 0);
    assert_true(find("d") == d);
    assert_true(fs_lookup(r, d, "b", &error) > 1);
    fs_close(r);
}

/* Files that are gone but that the guest has not forgotten count, too. */
static void table_full(void **state)
{
    struct table t = {0};
    struct node *node[8];
    assert_true(table_init(&t));
    t.nodes_max = 4;
    for (unsigned k = 0; k < 4; k++) {
        node[k] = table_enter(&t, &t.root, "f", &(struct host_stat){.ino = k + 5});
        assert_non_null(node[k]);
        node[k]->lookups++;
        table_remove_name(&t, &t.root, "f");
    }
    assert_null(table_enter(&t, &t.root, "f", &(struct host_stat){.ino = 4}));
    table_forget(&t, node[2], 1);
    assert_non_null(table_enter(&t, &t.root, "f", &(struct host_stat){.ino = 4}));
    assert_null(table_enter(&t, &t.root, "g", &(struct host_stat){.ino = 3}));
    table_fini(&t);
}

/* Numbers that were never given, or were given back. */
static void numbers(void **state)
{
    int error;
    start_with("dax=8");
    put("f", 64);
    uint64_t node = find("f");
    const uint64_t bad[] = {0,          2,          node + 1,  node + (1ull << 32), UINT64_MAX,
                            3ull << 32, UINT32_MAX, node ^ 64, 0x7fff12345678};
    for (unsigned k = 0; k < ARRAY_SIZE(bad); k++) {
        struct fuse_open_in in = {.flags = O_RDONLY};
        assert_int_equal(fs_call(r, FUSE_OPEN, bad[k], &in, sizeof(in), NULL, 0, NULL),
                         -ESTALE);
        assert_int_equal(fs_call(r, FUSE_GETATTR, bad[k], NULL, 0, NULL, 0, NULL), -ESTALE);
        assert_int_equal(release(bad[k]), -EBADF);
        struct fuse_rename_in move = {.newdir = bad[k]};
        assert_int_equal(fs_call(r, FUSE_RENAME, 1, &move, sizeof(move), "f\0g", 4, NULL),
                         -ESTALE);
        struct fuse_link_in link = {.oldnodeid = bad[k]};
        assert_int_equal(fs_call(r, FUSE_LINK, 1, &link, sizeof(link), "h", 2, NULL), -ESTALE);
    }
    struct fuse_forget_in forget = {.nlookup = UINT64_MAX};
    fs_call(r, FUSE_FORGET, node, &forget, sizeof(forget), NULL, 0, NULL);
    fs_call(r, FUSE_FORGET, node, &forget, sizeof(forget), NULL, 0, NULL);
    assert_int_equal(fs_call(r, FUSE_GETATTR, node, NULL, 0, NULL, 0, NULL), -ESTALE);
    assert_true(fs_lookup(r, 1, "f", &error) != node);
    /* A directory that is forgotten while something below it is known. */
    mkdir(path_of("d"), 0755);
    put("d/g", 8);
    uint64_t d = find("d"), g = fs_lookup(r, d, "g", &error);
    fs_call(r, FUSE_FORGET, d, &forget, sizeof(forget), NULL, 0, NULL);
    unlink(path_of("d/g"));
    fs_lookup(r, d, "g", &error); /* the last name below it goes */
    fs_call(r, FUSE_FORGET, g, &forget, sizeof(forget), NULL, 0, NULL);
    assert_int_equal(fs_call(r, FUSE_GETATTR, d, NULL, 0, NULL, 0, NULL), -ESTALE);
    fs_close(r);
}

/* Deeper than a path can say: directories moved below each other, then forgotten from the top. */
static void deep(void **state)
{
    enum { HALF = 35 };
    int error;
    char name[101];
    uint64_t last = 1, chain[2 * HALF];
    struct {
        struct fuse_mkdir_in in;
        char name[101];
    } make = {.in = {.mode = 0755}};
    struct {
        struct fuse_rename_in in;
        char names[202];
    } move = {.in = {0}};
    start_with("dax=8");
    memset(name, 'd', 100);
    name[100] = 0;
    for (unsigned k = 0; k < 2 * HALF; k++) {
        last = k % HALF ? last : 1;
        name[0] = k == HALF ? 't' : 'd';
        memcpy(make.name, name, sizeof(name));
        assert_int_equal(
            fs_call(r, FUSE_MKDIR, last, &make, sizeof(make.in) + 101, NULL, 0, NULL), 0);
        chain[k] = last = ((const struct fuse_entry_out *)fs_answer(r))->nodeid;
    }
    move.in.newdir = last;
    name[0] = 'd';
    memcpy(move.names, name, sizeof(name));
    memcpy(move.names + sizeof(name), name, sizeof(name));
    assert_int_equal(fs_call(r, FUSE_RENAME, 1, &move, sizeof(move.in) + 202, NULL, 0, NULL),
                     0);
    assert_int_equal(fs_lookup(r, chain[HALF - 1], "d", &error), 0);
    assert_int_equal(error, -ENAMETOOLONG);
    struct fuse_forget_in forget = {.nlookup = 100};
    for (unsigned k = HALF; k < 3 * HALF; k++) /* the second half is above the first */
        fs_call(r, FUSE_FORGET, chain[k % (2 * HALF)], &forget, sizeof(forget), NULL, 0, NULL);
    for (unsigned k = 0; k < 2 * HALF; k++)
        assert_int_equal(fs_call(r, FUSE_GETATTR, chain[k], NULL, 0, NULL, 0, NULL), -ESTALE);
    fs_close(r);
}

/* ---- the queue ---- */

static void short_requests(void **state)
{
    start_with("dax=8");
    put("f", 64);
    uint64_t node = find("f"), fh = open_node(node, O_RDWR);
    uint8_t *request = fs_ram(r, FS_OUT);
    for (uint32_t opcode = 0; opcode < 60; opcode++)
        for (uint32_t bytes = 0; bytes < 24; bytes++) {
            struct fuse_in_header in = {
                .len = 0xffffffff, .opcode = opcode, .unique = 7, .nodeid = node};
            memset(request, 0xff, 4096);
            memcpy(request, &in, sizeof(in));
            memcpy(request + sizeof(in), &fh, sizeof(fh));
            const struct fs_piece pieces[] = {{FS_OUT, (uint32_t)sizeof(in) + bytes, false},
                                              {FS_IN, bytes * 3, true}};
            assert_true(fs_chain(r, 1, pieces, 2));
            assert_true(r->used_bytes <= bytes * 3);
            assert_false(fs_broken(r));
        }
    for (uint32_t bytes = 1; bytes < sizeof(struct fuse_in_header); bytes += 13) {
        const struct fs_piece piece = {FS_OUT, bytes, false};
        fs_chain(r, 1, &piece, 1);
        assert_true(fs_broken(r));
        fs_start(r);
        assert_int_equal(fs_begin(r), 0);
    }
    fs_close(r);
}

/* Pieces of a chain where there is no memory, or that is not to be written. */
static void bad_addresses(void **state)
{
    const uint64_t where[] = {0xd0000000, 0xfffffff0, UINT64_MAX - 100, FS_RAM - 8, 0xe0000000};
    start_with("dax=8");
    put("f", 100000);
    uint64_t node = find("f");
    struct fuse_read_in in = {.fh = open_node(node, O_RDWR), .size = 65536};
    struct fuse_in_header header = {
        .len = 80, .opcode = FUSE_READ, .unique = 9, .nodeid = node};
    for (unsigned k = 0; k < ARRAY_SIZE(where); k++) {
        memcpy(fs_ram(r, FS_OUT), &header, sizeof(header));
        memcpy((uint8_t *)fs_ram(r, FS_OUT) + sizeof(header), &in, sizeof(in));
        const struct fs_piece pieces[] = {
            {FS_OUT, 80, false}, {FS_IN, 4096, true}, {where[k], 61440, true}};
        assert_true(fs_chain(r, 1, pieces, 3));
        assert_int_equal(((struct fuse_out_header *)fs_ram(r, FS_IN))->error, -EFAULT);
        header.opcode = FUSE_WRITE;
        memcpy(fs_ram(r, FS_OUT), &header, sizeof(header));
        const struct fs_piece write[] = {
            {FS_OUT, 80, false}, {where[k], 61440, false}, {FS_IN, 4096, true}};
        assert_true(fs_chain(r, 1, write, 3));
        assert_int_equal(((struct fuse_out_header *)fs_ram(r, FS_IN))->error, -EFAULT);
        header.opcode = FUSE_READ;
    }
    fs_close(r);
}

/* ---- the window ---- */

static void mapping(void **state)
{
    start_with("dax=8");
    put("f", 3 * FS_SLOT);
    uint64_t node = find("f");
    struct fuse_attr attr = ((const struct fuse_entry_out *)fs_answer(r))->attr;
    assert_int_equal(attr.flags & FUSE_ATTR_DAX, FUSE_ATTR_DAX);
    assert_int_equal(fs_map(r, node, 0, FS_SLOT, READ, 0), -EBADF); /* not open */
    open_node(node, O_RDONLY);
    assert_int_equal(window(0), 0);
    assert_int_equal(fs_map(r, node, FS_SLOT, FS_SLOT, READ, 0), 0);
    assert_int_equal(window(64), FS_SLOT + 64);
    assert_int_equal(fs_map(r, node, 0, 2 * FS_SLOT, READ, 2 * FS_SLOT), 0);
    assert_int_equal(window(2 * FS_SLOT + 8), 8);
    assert_int_equal(window(3 * FS_SLOT + 8), FS_SLOT + 8);
    /* Over an old one. */
    assert_int_equal(fs_map(r, node, 2 * FS_SLOT, FS_SLOT, READ, 0), 0);
    assert_int_equal(window(0), 2 * FS_SLOT);
    struct {
        struct fuse_removemapping_in in;
        struct fuse_removemapping_one one[2];
    } __attribute__((packed)) remove = {{2}, {{0, FS_SLOT}, {2 * FS_SLOT, FS_SLOT}}};
    assert_int_equal(
        fs_call(r, FUSE_REMOVEMAPPING, node, &remove, sizeof(remove), NULL, 0, NULL), 0);
    assert_int_equal(window(0), 0);
    assert_int_equal(window(2 * FS_SLOT + 8), 0);
    assert_int_equal(window(3 * FS_SLOT + 8), FS_SLOT + 8);
    /* The driver's reset takes all away. */
    fs_start(r);
    assert_int_equal(window(3 * FS_SLOT + 8), 0);
    assert_int_equal(fs_map(r, node, 0, FS_SLOT, READ, 0), -ESTALE);
    fs_close(r);
}

static void bad_mappings(void **state)
{
    const struct {
        uint64_t file, bytes, flags, at;
    } bad[] = {
        {0, 0, READ, 0},
        {0, 4096, READ, 0},
        {4096, FS_SLOT, READ, 0},
        {0, FS_SLOT, READ, 4096},
        {0, FS_SLOT, READ, FS_WINDOW_BYTES},
        {0, FS_WINDOW_BYTES + FS_SLOT, READ, 0},
        {0, FS_WINDOW_BYTES, READ, FS_SLOT},
        {0, FS_SLOT, READ, UINT64_MAX - FS_SLOT + 1},
        {0, UINT64_MAX - FS_SLOT + 1, READ, FS_SLOT},
        {1ull << 63, FS_SLOT, READ, 0},
        {(1ull << 63) - FS_SLOT, 2 * FS_SLOT, READ, 0},
        {0, FS_SLOT, 4, 0},
        {0, FS_SLOT, UINT64_MAX, 0},
    };
    start_with("dax=8");
    put("f", FS_SLOT);
    mkdir(path_of("d"), 0755);
    uint64_t node = find("f"), directory = find("d");
    open_node(node, O_RDWR);
    assert_int_equal(fs_map(r, node, 0, FS_SLOT, READ, 0), 0);
    for (unsigned k = 0; k < ARRAY_SIZE(bad); k++)
        assert_int_equal(fs_map(r, node, bad[k].file, bad[k].bytes, bad[k].flags, bad[k].at),
                         -EINVAL);
    assert_int_equal(window(4096), 4096); /* as it was */
    assert_int_equal(fs_map(r, directory, 0, FS_SLOT, READ, 0), -EBADF);
    assert_int_equal(fs_map(r, 1, 0, FS_SLOT, READ, 0), -EBADF);
    for (uint32_t count = 2; count; count *= 2) {
        struct {
            struct fuse_removemapping_in in;
            struct fuse_removemapping_one one;
        } __attribute__((packed)) remove = {{count}, {0, FS_SLOT}};
        assert_int_equal(
            fs_call(r, FUSE_REMOVEMAPPING, node, &remove, sizeof(remove), NULL, 0, NULL),
            -EINVAL);
    }
    assert_int_equal(window(4096), 4096);
    fs_close(r);
}

/* What the guest may only read it cannot change, and trying does no harm. */
static void protection(void **state)
{
    uint64_t value = 0x1234567890, there;
    start_with("dax=8,ro");
    put("f", FS_SLOT);
    uint64_t node = find("f");
    int error;
    fs_open_file(r, node, O_RDWR, &error);
    assert_int_equal(error, -EROFS);
    open_node(node, O_RDONLY);
    assert_int_equal(fs_map(r, node, 0, FS_SLOT, WRITE_TOO, 0), -EROFS);
    assert_int_equal(fs_map(r, node, 0, FS_SLOT, READ, 0), 0);
    bus_write_block(&r->vm->mem, FS_WINDOW + 8192, &value, 8);
    int fd = open(path_of("f"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(fd, &there, 8, 8192), 8);
    assert_int_equal(there, 8192);
    assert_int_equal(window(0), 0);
    assert_int_equal(window(16384), 16384);
    close(fd);
    fs_close(r);
}

static void shared_writes(void **state)
{
    uint64_t value = 0x1234567890, there;
    start_with("dax=8");
    put("f", FS_SLOT);
    uint64_t node = find("f"), fh = open_node(node, O_WRONLY); /* a mapping reads, too */
    assert_int_equal(fs_map(r, node, 0, FS_SLOT, WRITE_TOO, FS_SLOT), 0);
    bus_write_block(&r->vm->mem, FS_WINDOW + FS_SLOT + 8192, &value, 8);
    int fd = open(path_of("f"), O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(fd, &there, 8, 8192), 8);
    assert_int_equal(there, value);
    value = 77;
    assert_int_equal(pwrite(fd, &value, 8, 64), 8);
    assert_int_equal(window(FS_SLOT + 64), 77);
    /* The time of the change is the host's at the latest when it is closed. */
    struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    struct stat st;
    assert_int_equal(futimens(fd, old), 0);
    assert_int_equal(release(fh), 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_true(st.st_mtim.tv_sec > 1000);
    close(fd);
    fs_close(r);
}

/* Pages that go while they are mapped: SIGBUS. */
static void truncated(void **state)
{
    start_with("dax=8");
    put("f", 2 * FS_SLOT);
    uint64_t node = find("f");
    open_node(node, O_RDWR);
    assert_int_equal(fs_map(r, node, 0, 2 * FS_SLOT, WRITE_TOO, 0), 0);
    assert_int_equal(window(FS_SLOT + 8), FS_SLOT + 8);
    assert_int_equal(truncate(path_of("f"), 4096), 0);
    assert_int_equal(window(8), 8);
    assert_int_equal(window(8192), 0);
    assert_int_equal(window(FS_SLOT + 8), 0);
    uint64_t value = 1;
    bus_write_block(&r->vm->mem, FS_WINDOW + 3 * FS_SLOT / 2, &value, 8);
    put("f", 2 * FS_SLOT); /* the same file */
    open_node(node, O_RDONLY);
    assert_int_equal(window(8192), 8192);
    assert_int_equal(window(FS_SLOT + 8), FS_SLOT + 8);
    assert_int_equal(window(3 * FS_SLOT / 2), 3 * FS_SLOT / 2);
    /* By the guest itself. */
    struct fuse_setattr_in in = {.valid = FATTR_SIZE, .size = 0};
    assert_int_equal(fs_call(r, FUSE_SETATTR, node, &in, sizeof(in), NULL, 0, NULL), 0);
    assert_int_equal(window(8), 0);
    /* A request whose data is in such a page. */
    struct fuse_in_header header = {
        .len = 80, .opcode = FUSE_READ, .unique = 9, .nodeid = node};
    struct fuse_read_in read = {.fh = open_node(node, O_RDONLY), .size = 4096};
    put("f", 8192);
    memcpy(fs_ram(r, FS_OUT), &header, sizeof(header));
    memcpy((uint8_t *)fs_ram(r, FS_OUT) + sizeof(header), &read, sizeof(read));
    const struct fs_piece pieces[] = {
        {FS_OUT, 80, false}, {FS_IN, 16, true}, {FS_WINDOW + FS_SLOT, 4096, true}};
    assert_true(fs_chain(r, 1, pieces, 3)); /* an error or not: it lives */
    fs_close(r);
}

static unsigned mappings_of_process(void)
{
    FILE *f = fopen("/proc/self/maps", "re");
    unsigned lines = 0;
    assert_non_null(f);
    for (int c; (c = getc(f)) != EOF;)
        lines += c == '\n';
    fclose(f);
    return lines;
}

/* Every second page of a window: the host has only so many mappings for a process. */
static void many_lost(void **state)
{
    start_with("dax=32");
    put("f", 16 * FS_SLOT);
    uint64_t node = find("f");
    open_node(node, O_RDWR);
    assert_int_equal(fs_map(r, node, 0, 16 * FS_SLOT, WRITE_TOO, 0), 0);
    assert_int_equal(truncate(path_of("f"), 8), 0);
    unsigned before = mappings_of_process();
    for (uint64_t at = 0; at < 16 * FS_SLOT; at += 8192)
        assert_int_equal(window(at + 4096), 0);
    for (uint64_t at = 16 * FS_SLOT; at; at -= 8192)
        assert_int_equal(window(at - 4096), 0);
    assert_in_range(mappings_of_process(), before, before + 2100);
    put("f", 16 * FS_SLOT);
    open_node(node, O_RDONLY);
    for (uint64_t at = 0; at < 16 * FS_SLOT; at += 4096)
        assert_int_equal(window(at), at);
    fs_close(r);
}

/* ---- mapping ahead ---- */

/* How many mappings were there when the guest asked. */
static unsigned long taken(void)
{
    struct weir_text to = {.put = put_text};
    memset(text, 0, sizeof(text));
    assert_int_equal(weir_info(r->vm, "virtio-fs-pci", &to), 0);
    const char *at = strstr(text, "mappings made (");
    assert_non_null(at);
    return strtoul(strchr(at, '(') + 1, NULL, 10);
}

/* A file, of which two slots have been read in order. */
static uint64_t read_in_order(uint64_t slots)
{
    start_with("dax=32");
    put("f", slots * FS_SLOT);
    uint64_t node = find("f");
    open_node(node, O_RDWR);
    assert_int_equal(fs_map(r, node, 0, FS_SLOT, READ, 0), 0);
    assert_int_equal(window(FS_SLOT), 0);
    assert_int_equal(fs_map(r, node, FS_SLOT, FS_SLOT, READ, FS_SLOT), 0);
    assert_int_equal(taken(), 0);
    return node;
}

static void ahead(void **state)
{
    uint64_t node = read_in_order(12);
    for (uint64_t k = 2; k < 12; k++) {
        assert_int_equal(window(k * FS_SLOT + 8), k * FS_SLOT + 8);
        assert_int_equal(fs_map(r, node, k * FS_SLOT, FS_SLOT, READ, k * FS_SLOT), 0);
        assert_int_equal(taken(), k - 1);
        assert_int_equal(window((k + 1) * FS_SLOT - 8), (k + 1) * FS_SLOT - 8);
    }
    assert_int_equal(window(12 * FS_SLOT), 0);
    fs_start(r);
    for (uint64_t k = 0; k < 16; k++)
        assert_int_equal(window(k * FS_SLOT + 8), 0);
    fs_close(r);
}

/* The guest does something else with what was meant for it. */
static void ahead_in_vain(void **state)
{
    uint64_t node = read_in_order(8), value = 77, there;
    assert_int_equal(fs_map(r, node, 2 * FS_SLOT, FS_SLOT, READ, 3 * FS_SLOT), 0);
    assert_int_equal(window(2 * FS_SLOT + 8), 0);
    assert_int_equal(window(3 * FS_SLOT + 8), 2 * FS_SLOT + 8);
    assert_int_equal(window(4 * FS_SLOT + 8), 0);
    /* In order again, and then to be written to. */
    assert_int_equal(fs_map(r, node, 3 * FS_SLOT, FS_SLOT, READ, 4 * FS_SLOT), 0);
    assert_int_equal(window(5 * FS_SLOT + 8), 4 * FS_SLOT + 8);
    assert_int_equal(fs_map(r, node, 4 * FS_SLOT, FS_SLOT, WRITE_TOO, 5 * FS_SLOT), 0);
    bus_write_block(&r->vm->mem, FS_WINDOW + 5 * FS_SLOT, &value, 8);
    int fd = open(path_of("f"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(pread(fd, &there, 8, 4 * FS_SLOT), 8);
    assert_int_equal(there, 77);
    close(fd);
    assert_int_equal(window(6 * FS_SLOT + 8), 0);
    assert_int_equal(taken(), 0);
    fs_close(r);
}

static void ahead_and_forgotten(void **state)
{
    uint64_t node = read_in_order(8);
    assert_int_equal(window(2 * FS_SLOT + 8), 2 * FS_SLOT + 8);
    struct {
        struct fuse_removemapping_in in;
        struct fuse_removemapping_one one;
    } __attribute__((packed)) remove = {{1}, {0, FS_SLOT}};
    assert_int_equal(
        fs_call(r, FUSE_REMOVEMAPPING, node, &remove, sizeof(remove), NULL, 0, NULL), 0);
    assert_int_equal(window(2 * FS_SLOT + 8), 0);
    assert_int_equal(window(FS_SLOT + 8), FS_SLOT + 8);
    fs_close(r);
}

/* Only slots that are free, and none behind the end. */
static void ahead_between(void **state)
{
    start_with("dax=32");
    put("g", FS_SLOT);
    put("f", 5 * FS_SLOT - 4096);
    uint64_t g = find("g"), f = find("f");
    open_node(g, O_RDONLY);
    open_node(f, O_RDONLY);
    assert_int_equal(fs_map(r, g, 0, FS_SLOT, READ, 4 * FS_SLOT), 0);
    assert_int_equal(fs_map(r, f, 0, FS_SLOT, READ, 0), 0);
    assert_int_equal(fs_map(r, f, FS_SLOT, FS_SLOT, READ, FS_SLOT), 0);
    assert_int_equal(window(3 * FS_SLOT + 8), 3 * FS_SLOT + 8);
    assert_int_equal(window(4 * FS_SLOT + 8), 8);
    for (uint64_t k = 2; k < 4; k++)
        assert_int_equal(fs_map(r, f, k * FS_SLOT, FS_SLOT, READ, k * FS_SLOT), 0);
    assert_int_equal(taken(), 2);
    assert_int_equal(fs_map(r, f, 4 * FS_SLOT, FS_SLOT, READ, 4 * FS_SLOT), 0);
    assert_int_equal(window(5 * FS_SLOT - 4104), 5 * FS_SLOT - 4104);
    assert_int_equal(window(5 * FS_SLOT - 4096), 0); /* behind its end */
    assert_int_equal(window(5 * FS_SLOT + 8), 0);
    /* At the window's end there is no room. */
    assert_int_equal(fs_map(r, f, 0, FS_SLOT, READ, 14 * FS_SLOT), 0);
    assert_int_equal(fs_map(r, f, FS_SLOT, FS_SLOT, READ, 15 * FS_SLOT), 0);
    assert_int_equal(window(15 * FS_SLOT + 8), FS_SLOT + 8);
    fs_close(r);
}

/* What was lost before the guest asked for it is there again. */
static void ahead_truncated(void **state)
{
    uint64_t node = read_in_order(6);
    assert_int_equal(truncate(path_of("f"), 2 * FS_SLOT + 4096), 0);
    assert_int_equal(window(2 * FS_SLOT + 8192), 0);
    assert_int_equal(window(3 * FS_SLOT + 8), 0);
    put("f", 6 * FS_SLOT);
    for (uint64_t k = 2; k < 6; k++) {
        assert_int_equal(fs_map(r, node, k * FS_SLOT, FS_SLOT, READ, k * FS_SLOT), 0);
        assert_int_equal(window(k * FS_SLOT + 8192), k * FS_SLOT + 8192);
        assert_int_equal(window(k * FS_SLOT + 8), k * FS_SLOT + 8);
    }
    fs_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(capability),
        cmocka_unit_test(options),
        cmocka_unit_test(info),
        cmocka_unit_test(files),
        cmocka_unit_test(names),
        cmocka_unit_test(numbers),
        cmocka_unit_test(deep),
        cmocka_unit_test(short_requests),
        cmocka_unit_test(bad_addresses),
        cmocka_unit_test(mapping),
        cmocka_unit_test(bad_mappings),
        cmocka_unit_test(protection),
        cmocka_unit_test(shared_writes),
        cmocka_unit_test(truncated),
        cmocka_unit_test(ahead),
        cmocka_unit_test(ahead_in_vain),
        cmocka_unit_test(ahead_between),
        cmocka_unit_test(ahead_and_forgotten),
        cmocka_unit_test(ahead_truncated),
        cmocka_unit_test(many_lost),
        cmocka_unit_test(renamed_by_the_host),
        cmocka_unit_test(table_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
