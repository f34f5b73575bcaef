/* SPDX-License-Identifier: MIT */
/*
 * fscheck.c - checks that the directory given behaves as a file system of Linux does; for weirfs,
 * in a guest or natively. Prints one line and returns 1 at the first difference.
 *   fscheck DIRECTORY [SEED [FILE]]
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition)                                                                       \
    do {                                                                                       \
        if (!(condition)) {                                                                    \
            printf("fscheck: %s:%d: %s (errno %d: %s)\n", __func__, __LINE__, #condition,      \
                   errno, strerror(errno));                                                    \
            exit(1);                                                                           \
        }                                                                                      \
    } while (0)

static uint64_t seed = 1;
static unsigned any(unsigned below)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)(seed >> 33) % below;
}

static void put(const char *name, const char *text)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    CHECK(fd >= 0);
    CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    CHECK(close(fd) == 0);
}
static void expect(const char *name, const char *text)
{
    char got[256] = "";
    int fd = open(name, O_RDONLY);
    CHECK(fd >= 0);
    CHECK(read(fd, got, sizeof(got) - 1) == (ssize_t)strlen(text));
    CHECK(!strcmp(got, text));
    close(fd);
}
static bool fails(int result, int error)
{
    return result < 0 && errno == error;
}

/* ---- names ---- */

static void names(void)
{
    struct stat a, b;
    put("one", "1");
    CHECK(fails(open("one", O_WRONLY | O_CREAT | O_EXCL, 0644), EEXIST));
    CHECK(fails(open("none", O_RDONLY), ENOENT));
    CHECK(fails(mkdir("one", 0755), EEXIST));
    CHECK(mkdir("d", 0755) == 0 && mkdir("d/e", 0700) == 0);
    CHECK(stat("d/e", &a) == 0 && S_ISDIR(a.st_mode) && (a.st_mode & 0777) == 0700);
    CHECK(fails(rmdir("d"), ENOTEMPTY));
    CHECK(fails(unlink("d"), EISDIR));
    CHECK(fails(rmdir("one"), ENOTDIR));
    CHECK(fails(open("one/x", O_RDONLY), ENOTDIR));
    put("d/e/f", "deep");
    CHECK(rename("d", "D2") == 0);
    expect("D2/e/f", "deep");
    CHECK(fails(access("d", F_OK), ENOENT));
    CHECK(link("one", "two") == 0);
    CHECK(stat("one", &a) == 0 && stat("two", &b) == 0);
    CHECK(a.st_ino == b.st_ino && a.st_nlink == 2);
    CHECK(unlink("one") == 0);
    expect("two", "1");
    CHECK(stat("two", &b) == 0 && b.st_nlink == 1);
    put("three", "333");
    CHECK(rename("three", "two") == 0);
    expect("two", "333");
    put("four", "4444");
    CHECK(renameat2(AT_FDCWD, "four", AT_FDCWD, "two", RENAME_NOREPLACE) < 0 &&
          errno == EEXIST);
    CHECK(renameat2(AT_FDCWD, "four", AT_FDCWD, "two", RENAME_EXCHANGE) == 0);
    expect("two", "4444");
    expect("four", "333");
    CHECK(fails(rename("D2", "D2/e/x"), EINVAL));
    CHECK(unlink("two") == 0 && unlink("four") == 0);
    CHECK(unlink("D2/e/f") == 0 && rmdir("D2/e") == 0 && rmdir("D2") == 0);
}

static void links(void)
{
    char text[64];
    struct stat a;
    CHECK(symlink("target", "s") == 0);
    CHECK(readlink("s", text, sizeof(text)) == 6 && !memcmp(text, "target", 6));
    CHECK(lstat("s", &a) == 0 && S_ISLNK(a.st_mode));
    CHECK(fails(stat("s", &a), ENOENT));
    put("s", "through"); /* makes the target */
    expect("target", "through");
    CHECK(fails(open("s", O_RDONLY | O_NOFOLLOW), ELOOP));
    CHECK(mkdir("d", 0755) == 0 && symlink("../target", "d/s") == 0);
    expect("d/s", "through");
    CHECK(symlink("l2", "l1") == 0 && symlink("l1", "l2") == 0);
    CHECK(fails(open("l1", O_RDONLY), ELOOP));
    CHECK(unlink("l1") == 0 && unlink("l2") == 0 && unlink("d/s") == 0 && rmdir("d") == 0);
    CHECK(unlink("s") == 0 && unlink("target") == 0);
}

static void odd_names(void)
{
    static const char *const odd[] = {"with space", "\xc3\xa4\xc3\xb6",
                                      "trailing.",  "con",
                                      "a\\b",       "semi;colon",
                                      "UPPER",      "upper",
                                      "-dash",      "a:b",
                                      "\x01\x7f"};
    char long_name[256];
    memset(long_name, 'n', 255);
    long_name[255] = 0;
    for (unsigned k = 0; k < sizeof(odd) / sizeof(*odd); k++)
        put(odd[k], odd[k]);
    for (unsigned k = 0; k < sizeof(odd) / sizeof(*odd); k++)
        expect(odd[k], odd[k]);
    for (unsigned k = 0; k < sizeof(odd) / sizeof(*odd); k++)
        CHECK(unlink(odd[k]) == 0);
    put(long_name, "long");
    expect(long_name, "long");
    CHECK(unlink(long_name) == 0);
    char too_long[258];
    memset(too_long, 'n', 257);
    too_long[257] = 0;
    CHECK(fails(open(too_long, O_WRONLY | O_CREAT, 0644), ENAMETOOLONG));
}

/* ---- contents ---- */

static void open_files(void)
{
    char text[16] = "";
    struct stat a;
    int fd = open("gone", O_RDWR | O_CREAT, 0644);
    CHECK(fd >= 0 && write(fd, "before", 6) == 6 && unlink("gone") == 0);
    CHECK(fails(access("gone", F_OK), ENOENT));
    CHECK(pwrite(fd, "after ", 6, 6) == 6 && pread(fd, text, 12, 0) == 12);
    CHECK(!strcmp(text, "beforeafter "));
    CHECK(fstat(fd, &a) == 0 && a.st_size == 12 && a.st_nlink == 0);
    CHECK(ftruncate(fd, 3) == 0 && fstat(fd, &a) == 0 && a.st_size == 3);
    CHECK(fchmod(fd, 0600) == 0 && fstat(fd, &a) == 0 && (a.st_mode & 0777) == 0600);
    put("gone", "another");
    expect("gone", "another");
    CHECK(pread(fd, text, 12, 0) == 3 && !memcmp(text, "bef", 3));
    CHECK(close(fd) == 0 && unlink("gone") == 0);
    /* Replaced while open. */
    put("old", "old");
    put("new", "new");
    fd = open("old", O_RDONLY);
    CHECK(fd >= 0 && rename("new", "old") == 0 && read(fd, text, 16) == 3);
    CHECK(!memcmp(text, "old", 3));
    close(fd);
    expect("old", "new");
    /* Written by a handle whose permissions went meanwhile. */
    fd = open("ro", O_RDWR | O_CREAT, 0644);
    CHECK(fd >= 0 && chmod("ro", 0444) == 0 && write(fd, "x", 1) == 1);
    CHECK(ftruncate(fd, 100) == 0 && fsync(fd) == 0 && fdatasync(fd) == 0 && close(fd) == 0);
    CHECK(stat("ro", &a) == 0 && a.st_size == 100 && (a.st_mode & 0777) == 0444);
    CHECK(unlink("ro") == 0 && unlink("old") == 0);
}

static void append_and_truncate(void)
{
    struct stat a;
    put("log", "one\n");
    int x = open("log", O_WRONLY | O_APPEND), y = open("log", O_WRONLY | O_APPEND);
    CHECK(x >= 0 && y >= 0);
    CHECK(write(x, "two\n", 4) == 4 && write(y, "three\n", 6) == 6 &&
          write(x, "four\n", 5) == 5);
    close(x);
    close(y);
    expect("log", "one\ntwo\nthree\nfour\n");
    CHECK(truncate("log", 4) == 0);
    expect("log", "one\n");
    CHECK(truncate("log", 1 << 20) == 0 && stat("log", &a) == 0 && a.st_size == 1 << 20);
    int fd = open("log", O_RDWR);
    char last = 'x';
    CHECK(pread(fd, &last, 1, (1 << 20) - 1) == 1 && last == 0);
    CHECK(pwrite(fd, "far", 3, 5ll << 30) == 3);
    CHECK(fstat(fd, &a) == 0 && a.st_size == (5ll << 30) + 3);
    CHECK(pread(fd, &last, 1, (5ll << 30) + 2) == 1 && last == 'r');
    close(fd);
    fd = open("log", O_WRONLY | O_TRUNC);
    CHECK(fd >= 0 && fstat(fd, &a) == 0 && a.st_size == 0);
    close(fd);
    CHECK(unlink("log") == 0);
}

static void mapped(void)
{
    enum { BYTES = 1 << 20 };
    char got[8] = "";
    int fd = open("map", O_RDWR | O_CREAT, 0644);
    CHECK(fd >= 0 && ftruncate(fd, BYTES) == 0);
    char *a = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(a != MAP_FAILED);
    for (unsigned k = 0; k < BYTES; k += 4096)
        memcpy(a + k, "page", 4);
    memcpy(a + BYTES - 4, "tail", 4);
    CHECK(msync(a, BYTES, MS_SYNC) == 0);
    CHECK(pread(fd, got, 4, BYTES - 4) == 4 && !memcmp(got, "tail", 4));
    CHECK(pwrite(fd, "seen", 4, 4096) == 4 && !memcmp(a + 4096, "seen", 4));
    memcpy(a + 8192, "late", 4); /* reaches the file without msync */
    CHECK(munmap(a, BYTES) == 0 && close(fd) == 0);
    fd = open("map", O_RDONLY);
    CHECK(pread(fd, got, 4, 8192) == 4 && !memcmp(got, "late", 4));
    a = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(a != MAP_FAILED && !memcmp(a + 4096, "seen", 4));
    memcpy(a, "mine", 4);
    CHECK(pread(fd, got, 4, 0) == 4 && !memcmp(got, "page", 4));
    CHECK(munmap(a, BYTES) == 0);
    a = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, fd, 0);
    CHECK(a != MAP_FAILED && !memcmp(a + BYTES - 4, "tail", 4) && munmap(a, BYTES) == 0);
    close(fd);
    CHECK(unlink("map") == 0);
}

static void attributes(void)
{
    struct stat a, b;
    struct statvfs v;
    struct timespec times[2] = {{1000000000, 123456789}, {1234567890, 987654321}};
    put("f", "x");
    CHECK(utimensat(AT_FDCWD, "f", times, 0) == 0 && stat("f", &a) == 0);
    CHECK(a.st_mtim.tv_sec == 1234567890 && a.st_mtim.tv_nsec == 987654321);
    CHECK(a.st_atim.tv_sec == 1000000000);
    put("f", "y");
    CHECK(stat("f", &b) == 0 && b.st_mtim.tv_sec > 1234567890);
    CHECK(chmod("f", 0755) == 0 && stat("f", &a) == 0 && (a.st_mode & 0777) == 0755);
    CHECK(chown("f", a.st_uid, a.st_gid) == 0);
    CHECK(statvfs("f", &v) == 0 && v.f_blocks > 0 && v.f_namemax >= 255);
    CHECK(mkdir("d", 0755) == 0 && stat("d", &a) == 0 && stat(".", &b) == 0);
    CHECK(a.st_dev == b.st_dev && a.st_ino != b.st_ino);
    CHECK(symlink("f", "s") == 0 && utimensat(AT_FDCWD, "s", times, AT_SYMLINK_NOFOLLOW) == 0);
    CHECK(lchown("s", a.st_uid, a.st_gid) == 0 && lstat("s", &a) == 0);
    CHECK(a.st_mtim.tv_sec == 1234567890 && stat("f", &a) == 0 && unlink("s") == 0);
    CHECK(a.st_mtim.tv_sec > 1234567890);
    CHECK(fails(mknod("fifo", S_IFCHR | 0600, 0x0103), EPERM));
    CHECK(rmdir("d") == 0 && unlink("f") == 0);
}

static void holes(void)
{
    int fd = open("holes", O_RDWR | O_CREAT, 0644);
    CHECK(fd >= 0 && pwrite(fd, "x", 1, 1 << 20) == 1);
    off_t data = lseek(fd, 0, SEEK_DATA), hole = lseek(fd, 0, SEEK_HOLE);
    CHECK(data >= 0 && data <= 1 << 20 && hole >= 0 && hole <= (1 << 20) + 1);
    CHECK(fails((int)lseek(fd, 2 << 20, SEEK_DATA), ENXIO));
    CHECK(close(fd) == 0 && unlink("holes") == 0);
}

/* ---- many ---- */

static void many_files(void)
{
    enum { COUNT = 3000 };
    static bool seen[COUNT];
    char name[64];
    CHECK(mkdir("many", 0755) == 0);
    for (unsigned k = 0; k < COUNT; k++) {
        snprintf(name, sizeof(name), "many/a-file-with-some-name-%u", k);
        put(name, "");
    }
    DIR *dir = opendir("many");
    unsigned count = 0, removed = 0;
    CHECK(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        unsigned k;
        if (sscanf(e->d_name, "a-file-with-some-name-%u", &k) != 1)
            continue;
        CHECK(k < COUNT && !seen[k] && e->d_type == DT_REG);
        seen[k] = true;
        count++;
        if (k % 3 == 0) { /* removing while reading */
            CHECK(unlinkat(dirfd(dir), e->d_name, 0) == 0);
            removed++;
        }
    }
    CHECK(count == COUNT);
    rewinddir(dir);
    count = 0;
    for (struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] != '.') {
            struct stat st;
            CHECK(fstatat(dirfd(dir), e->d_name, &st, 0) == 0 && st.st_ino == e->d_ino);
            CHECK(unlinkat(dirfd(dir), e->d_name, 0) == 0);
            count++;
        }
    CHECK(count == COUNT - removed);
    closedir(dir);
    CHECK(rmdir("many") == 0);
}

static void many_open(void)
{
    enum { COUNT = 300 };
    int fds[COUNT];
    char name[32], c;
    for (int k = 0; k < COUNT; k++) {
        snprintf(name, sizeof(name), "open-%d", k);
        fds[k] = open(name, O_RDWR | O_CREAT, 0644);
        c = (char)k;
        CHECK(fds[k] >= 0 && write(fds[k], &c, 1) == 1 && unlink(name) == 0);
    }
    for (int k = 0; k < COUNT; k++)
        CHECK(pread(fds[k], &c, 1, 0) == 1 && c == (char)k && close(fds[k]) == 0);
}

/* More readers of one file than the host has handles. */
static void many_readers(void)
{
    enum { COUNT = 2000 };
    static int fds[COUNT];
    char text[2][8];
    struct rlimit limit = {COUNT + 100, COUNT + 100};
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    put("read", "text");
    for (int k = 0; k < COUNT; k++) {
        fds[k] = open("read", O_RDONLY);
        CHECK(fds[k] >= 0 && pread(fds[k], text[k & 1], 5, 0) == 4);
    }
    put("read", "new");
    CHECK(pread(fds[COUNT - 1], text[0], 5, 0) == 3 && !memcmp(text[0], "new", 3));
    CHECK(unlink("read") == 0);
    for (int k = 0; k < COUNT; k++)
        CHECK(close(fds[k]) == 0);
}

/* Two processes append and lock. */
static void processes(void)
{
    for (int k = 0; k < 4; k++)
        if (fork() == 0) {
            int fd = open("shared", O_RDWR | O_CREAT | O_APPEND, 0644);
            for (int n = 0; n < 100; n++)
                CHECK(write(fd, "0123456789abcde\n", 16) == 16);
            _exit(0);
        }
    for (int k = 0; k < 4; k++) {
        int status = 1;
        CHECK(wait(&status) > 0 && status == 0);
    }
    struct stat a;
    CHECK(stat("shared", &a) == 0 && a.st_size == 4 * 100 * 16);
    int fd = open("shared", O_RDWR);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    CHECK(fcntl(fd, F_SETLK, &lock) == 0);
    if (fork() == 0) {
        int other = open("shared", O_RDWR);
        CHECK(fails(fcntl(other, F_SETLK, &lock), EAGAIN));
        _exit(0);
    }
    int status = 1;
    CHECK(wait(&status) > 0 && status == 0);
    close(fd);
    CHECK(unlink("shared") == 0);
}

/* ---- random operations against a copy in memory ---- */

enum { MODEL_BYTES = 300000 };
/* A large file that is there already may be mapped where a new one would not be. */
static const char *random_name = "random";
static unsigned char model[MODEL_BYTES], chunk[MODEL_BYTES];
static size_t model_size;

static void set_model_size(size_t size)
{
    if (size < model_size)
        memset(model + size, 0, model_size - size);
    model_size = size;
}

static void random_step(int fd, int *mapped_fd)
{
    size_t at = any(MODEL_BYTES), bytes = any(any(8) ? 5000 : 70000);
    if (at + bytes > MODEL_BYTES)
        bytes = MODEL_BYTES - at;
    switch (any(7)) {
    case 0:
    case 1:
        for (size_t k = 0; k < bytes; k++)
            chunk[k] = (unsigned char)any(256);
        CHECK(pwrite(fd, chunk, bytes, (off_t)at) == (ssize_t)bytes);
        memcpy(model + at, chunk, bytes);
        if (bytes && at + bytes > model_size)
            model_size = at + bytes;
        break;
    case 2:
    case 3: {
        size_t there = at >= model_size ? 0 : model_size - at < bytes ? model_size - at : bytes;
        CHECK(pread(fd, chunk, bytes, (off_t)at) == (ssize_t)there);
        CHECK(!memcmp(chunk, model + at, there));
        break;
    }
    case 4:
        CHECK(ftruncate(fd, (off_t)at) == 0);
        set_model_size(at);
        break;
    case 5: {
        if (!model_size)
            break;
        unsigned char *map = mmap(NULL, model_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        CHECK(map != MAP_FAILED && !memcmp(map, model, model_size));
        for (unsigned k = 0; k < 20; k++) {
            size_t where = any((unsigned)model_size);
            model[where] = map[where] = (unsigned char)any(256);
        }
        if (any(2))
            CHECK(msync(map, model_size, MS_SYNC) == 0);
        CHECK(munmap(map, model_size) == 0);
        break;
    }
    default:
        close(*mapped_fd);
        *mapped_fd = open(random_name, O_RDONLY);
        CHECK(*mapped_fd >= 0);
        CHECK(pread(*mapped_fd, chunk, MODEL_BYTES, 0) == (ssize_t)model_size);
        CHECK(!memcmp(chunk, model, model_size));
    }
}

static void random_operations(void)
{
    int fd = open(random_name, O_RDWR | O_CREAT, 0644), other = open(random_name, O_RDONLY);
    CHECK(fd >= 0 && other >= 0);
    CHECK(ftruncate(fd, 0) == 0);
    for (unsigned k = 0; k < 1500; k++)
        random_step(fd, &other);
    close(fd);
    close(other);
    CHECK(unlink(random_name) == 0);
}

int main(int argc, char **argv)
{
    if (argc < 2 || chdir(argv[1]) < 0) {
        printf("usage: fscheck DIRECTORY [SEED [FILE]]\n");
        return 2;
    }
    umask(022);
    if (argc > 2)
        seed = strtoull(argv[2], NULL, 0);
    if (argc > 3) { /* only this, with a file that is there */
        random_name = argv[3];
        random_operations();
        printf("fscheck: all well\n");
        return 0;
    }
    names();
    links();
    odd_names();
    open_files();
    append_and_truncate();
    mapped();
    attributes();
    holes();
    many_files();
    many_open();
    many_readers();
    processes();
    random_operations();
    printf("fscheck: all well\n");
    return 0;
}
