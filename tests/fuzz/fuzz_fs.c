/* SPDX-License-Identifier: MIT */
/*
 * fuzz_fs.c - FUSE requests that no guest should send, through the virtio-fs device: opcodes with
 * arguments made of numbers that were given out, names, and mappings, often spoilt; chains cut in
 * any way; the host changes files meanwhile, and the whole window is touched. A directory beside
 * the share must never change.
 *
 *   usage: fuzz_fs SEED COUNT|SECONDSs      seed 0: by the clock
 */
#include "rnd.h"

#include "../hostcall/fs_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct fs_rig rig, *r = &rig;
static uint64_t requests, good;
static uint64_t nodes[16], files[16];

static void die(const char *what)
{
    printf("FAILED: %s, request %llu, seed %llu\n", what, (unsigned long long)requests,
           (unsigned long long)seed);
    exit(1);
}
static void shell(const char *format)
{
    char command[900];
    snprintf(command, sizeof(command), format, r->dir);
    if (system(command) != 0)
        die(command);
}

static void fill_share(void)
{
    shell(
        "cd %s && chmod -R u+rwx . && rm -rf ./* ./.??* && mkdir d d/e && echo hello >f && "
        "echo x >d/x && ln -s f l && ln -s ../outside out && ln -s loop loop && mkfifo fifo && "
        "head -c 5000000 /dev/zero >big");
}

/* The host's side: files come, go and change their sizes. */
static void disturb(void)
{
    char path[160];
    struct stat st;
    snprintf(path, sizeof(path), "%.100s/%s", r->dir, one_in(2) ? "big" : "f");
    if (one_in(4))
        unlink(path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
        ftruncate(fd, (off_t)(rnd() % 6000000)) < 0)
        die("ftruncate");
    close(fd);
}

/* ---- arguments ---- */

static uint64_t number(void)
{
    switch (below(8)) {
    case 0:
        return rnd();
    case 1:
        return 1ull << below(64);
    case 2:
        return (uint64_t)below(5) - 2;
    case 3:
    case 4:
        return (uint64_t)below(5) * FS_SLOT;
    case 5:
        return nodes[below(16)];
    default:
        return files[below(16)];
    }
}

static const char *const names[] = {
    "f",   "big",  "d", "e",   "x",    "l", "out", "loop",      "new",        "..",     ".",
    "a/b", "fifo", "",  "d/x", "/etc", "g", "h",   "long name", "../outside", "secret", "l2"};

static size_t put_name(unsigned char *to)
{
    const char *name = names[below(sizeof(names) / sizeof(*names))];
    memcpy(to, name, strlen(name) + 1);
    return strlen(name) + 1;
}

/* A likely argument for any opcode: numbers, then perhaps names. */
static size_t fill(unsigned char *to, uint32_t opcode)
{
    static const uint8_t words[60] = {
        [FUSE_FORGET] = 1,        [FUSE_SETATTR] = 11,     [FUSE_MKNOD] = 2,
        [FUSE_MKDIR] = 1,         [FUSE_RENAME] = 1,       [FUSE_LINK] = 1,
        [FUSE_OPEN] = 1,          [FUSE_READ] = 5,         [FUSE_WRITE] = 5,
        [FUSE_RELEASE] = 3,       [FUSE_FSYNC] = 2,        [FUSE_INIT] = 8,
        [FUSE_OPENDIR] = 1,       [FUSE_READDIR] = 5,      [FUSE_RELEASEDIR] = 3,
        [FUSE_CREATE] = 2,        [FUSE_BATCH_FORGET] = 5, [FUSE_RENAME2] = 2,
        [FUSE_LSEEK] = 3,         [FUSE_READDIRPLUS] = 5,  [FUSE_SETUPMAPPING] = 5,
        [FUSE_REMOVEMAPPING] = 5,
    };
    size_t bytes = 8 * words[opcode % 60];
    for (size_t k = 0; k < bytes; k += 8) {
        uint64_t value = number();
        memcpy(to + k, &value, 8);
    }
    if (opcode == FUSE_CREATE || opcode == FUSE_OPEN || opcode == FUSE_MKNOD ||
        opcode == FUSE_MKDIR) {
        uint32_t flags = one_in(4) ? (uint32_t)rnd() : below(4) | (one_in(3) ? O_TRUNC : 0);
        uint32_t mode = opcode == FUSE_CREATE ? 0644 : S_IFREG | 0755;
        memcpy(to, opcode == FUSE_CREATE || opcode == FUSE_OPEN ? &flags : &mode, 4);
        memcpy(to + 4, &mode, 4);
    }
    if (opcode == FUSE_READ || opcode == FUSE_WRITE || opcode == FUSE_READDIR ||
        opcode == FUSE_READDIRPLUS || opcode == FUSE_RELEASE || opcode == FUSE_RELEASEDIR ||
        opcode == FUSE_FSYNC || opcode == FUSE_LSEEK)
        memcpy(to, &files[below(16)], 8);
    if (opcode == FUSE_SETUPMAPPING) {
        uint64_t flags = 1 + below(3);
        memcpy(to + 24, &flags, 8);
    }
    if (opcode == FUSE_REMOVEMAPPING || opcode == FUSE_BATCH_FORGET)
        to[0] = (unsigned char)below(4), memset(to + 1, 0, 3);
    for (unsigned k = below(3); k; k--)
        bytes += put_name(to + bytes);
    return bytes;
}

/* ---- chains ---- */

static uint64_t place(uint64_t usual)
{
    if (!one_in(40))
        return usual;
    return one_in(2) ? FS_WINDOW + below(FS_WINDOW_BYTES) : rnd() >> below(64);
}

static void keep(uint32_t opcode)
{
    struct fuse_out_header header;
    uint64_t first;
    memcpy(&header, fs_ram(r, FS_IN), sizeof(header));
    memcpy(&first, fs_answer(r), sizeof(first));
    if (r->used_bytes < sizeof(header) + 8 || header.error)
        return;
    good++;
    if (opcode == FUSE_LOOKUP || opcode == FUSE_MKDIR || opcode == FUSE_MKNOD ||
        opcode == FUSE_CREATE)
        nodes[below(16)] = first;
    if (opcode == FUSE_OPEN || opcode == FUSE_OPENDIR)
        files[below(16)] = first;
    if (opcode == FUSE_CREATE)
        memcpy(&files[below(16)], (const uint8_t *)fs_answer(r) + sizeof(struct fuse_entry_out),
               8);
}

static void one_request(void)
{
    static const uint8_t likely[] = {FUSE_LOOKUP,  FUSE_LOOKUP,       FUSE_OPEN,
                                     FUSE_OPENDIR, FUSE_SETUPMAPPING, FUSE_READ,
                                     FUSE_CREATE,  FUSE_WRITE,        FUSE_READDIRPLUS};
    uint32_t opcode = one_in(2) ? likely[below(sizeof(likely))] : below(56);
    if (opcode == FUSE_DESTROY && !one_in(20))
        opcode = FUSE_GETATTR;
    unsigned char *request = fs_ram(r, FS_OUT);
    memset(request, 0, 256);
    size_t bytes = sizeof(struct fuse_in_header) + fill(request + 40, opcode);
    struct fuse_in_header in = {.len = (uint32_t)bytes,
                                .opcode = opcode,
                                .unique = ++requests,
                                .nodeid = one_in(3) ? 1 : nodes[below(16)]};
    if (one_in(20))
        in.nodeid = number();
    memcpy(request, &in, sizeof(in));
    if (one_in(10))
        request[below((unsigned)bytes)] = (unsigned char)rnd();
    if (one_in(10))
        bytes = 40 + below(200);
    uint32_t cut = one_in(4) ? below((unsigned)bytes) : 0,
             room = one_in(6) ? below(300) : 70000;
    struct fs_piece pieces[] = {
        {place(FS_OUT), cut, false},
        {place(FS_OUT + cut), (uint32_t)bytes - cut, false},
        {place(FS_OUT + bytes), opcode == FUSE_WRITE ? below(9000) : 0, false},
        {place(FS_IN), one_in(4) ? below(room + 1) : room, true},
        {place(FS_IN + 80000), below(5000), true}};
    fs_chain(r, below(2), pieces, 5);
    keep(opcode);
    if (fs_broken(r)) {
        fs_start(r);
        fs_begin(r);
    }
}

static void touch_window(void)
{
    uint64_t at = FS_WINDOW + below(FS_WINDOW_BYTES - 8192), value = rnd();
    char buffer[8192];
    bus_read_block(&r->vm->mem, at, buffer, sizeof(buffer));
    bus_write_block(&r->vm->mem, at, &value, 8);
}

/* A file from its beginning, as a reader has it mapped. */
static void read_in_order(void)
{
    int error;
    uint64_t node = fs_lookup(r, 1, "big", &error);
    unsigned first = below(2);
    if (!node || error || (fs_open_file(r, node, below(2) ? O_RDONLY : O_RDWR, &error), error))
        return;
    for (unsigned k = 0; k < 4 - first && !one_in(6); k++) {
        fs_map(r, node, (uint64_t)k * FS_SLOT, FS_SLOT, one_in(8) ? 3 : 1,
               (uint64_t)(first + k) * FS_SLOT);
        requests++;
        if (one_in(4))
            touch_window();
        if (one_in(20))
            disturb();
    }
}

static void check_outside(void)
{
    shell("cd %s/.. && test \"$(cat outside/secret)\" = secret && "
          "test \"$(ls outside)\" = secret");
}

int main(int argc, char **argv)
{
    char *end = NULL;
    seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    uint64_t count = argc > 2 ? strtoull(argv[2], &end, 0) : 10000;
    time_t until = end && *end == 's' ? time(NULL) + (time_t)count : 0;
    if (!seed)
        seed = (uint64_t)time(NULL) * 2654435761u | 1;
    printf("seed %llu\n", (unsigned long long)seed);
    if (!fs_open_below(r, "dax=8"))
        return 1;
    fill_share();
    fs_begin(r);
    for (uint64_t k = 0; until ? time(NULL) < until : k < count; k++) {
        one_request();
        if (one_in(30))
            read_in_order();
        if (one_in(3))
            touch_window();
        if (one_in(50))
            disturb();
        if (one_in(5000))
            fill_share();
    }
    check_outside();
    fs_close(r);
    printf("%llu requests, %llu answered well\n", (unsigned long long)requests,
           (unsigned long long)good);
    return 0;
}
