/* SPDX-License-Identifier: MIT */
/* Images: ranges, padding, overlay, locks, read-only, failures of the host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "rig.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct err err;

static uint64_t host_size(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return (uint64_t)st.st_size;
}

static void host_read(const char *path, uint64_t at, void *buffer, size_t bytes)
{
    int fd = open(path, O_RDONLY);
    assert_int_equal(pread(fd, buffer, bytes, (off_t)at), (ssize_t)bytes);
    close(fd);
}

static void reads_and_writes(void **state)
{
    char *path = rig_image(64 * 512);
    struct weir_block b = {0};
    uint8_t sector[512], expected[512], data[1024];
    assert_int_equal(block_open(&b, path, &err), 0);
    assert_int_equal(b.bytes, 64 * 512);
    rig_pattern(expected, 63);
    assert_int_equal(block_read(&b, 63 * 512, sector, 512), 0);
    assert_memory_equal(sector, expected, 512);
    memset(data, 0xa5, sizeof(data));
    assert_int_equal(block_write(&b, 10 * 512, data, sizeof(data)), 0);
    host_read(path, 11 * 512, sector, 512);
    assert_memory_equal(sector, data, 512);
    assert_int_equal(block_flush(&b), 0);
    assert_int_equal(b.writes, 1);
    assert_int_equal(b.written_bytes, 1024);
    block_close(&b);
    assert_false(block_present(&b));
    unlink(path);
    free(path);
}

static void ranges(void **state)
{
    char *path = rig_image(8 * 512);
    struct weir_block b = {0};
    uint8_t sector[1024];
    assert_int_equal(block_read(&b, 0, sector, 512), -WEIR_ESTATE);
    assert_int_equal(block_open(&b, path, &err), 0);
    assert_int_equal(block_read(&b, 7 * 512, sector, 1024), -WEIR_ERANGE);
    assert_int_equal(block_read(&b, 8 * 512, sector, 1), -WEIR_ERANGE);
    assert_int_equal(block_read(&b, UINT64_MAX - 100, sector, 512), -WEIR_ERANGE);
    assert_int_equal(block_write(&b, UINT64_MAX, sector, 1), -WEIR_ERANGE);
    assert_int_equal(block_write(&b, 8 * 512 - 1, sector, 2), -WEIR_ERANGE);
    assert_int_equal(host_size(path), 8 * 512);
    block_close(&b);
    unlink(path);
    free(path);
}

static void padding(void **state)
{
    char *path = rig_image(700);
    struct weir_block b = {0};
    uint8_t sector[512], zeros[512] = {0}, first[188];
    assert_int_equal(block_open(&b, path, &err), 0);
    assert_int_equal(b.bytes, 1024);
    assert_int_equal(b.file_bytes, 700);
    host_read(path, 512, first, sizeof(first));
    assert_int_equal(block_read(&b, 512, sector, 512), 0);
    assert_memory_equal(sector, first, sizeof(first));
    assert_memory_equal(sector + 188, zeros, 512 - 188);
    block_close(&b);
    unlink(path);
    free(path);
}

static void overlay(void **state)
{
    char *path = rig_image(40 * 512 + 100);
    struct weir_block b = {.snapshot = true};
    uint8_t before[41 * 512], after[41 * 512], model[41 * 512];
    assert_int_equal(chmod(path, 0400), 0); /* it needs no write access */
    assert_int_equal(block_open(&b, path, &err), 0);
    assert_int_equal(block_read(&b, 0, model, sizeof(model)), 0);
    memcpy(before, model, sizeof(before));
    srand(1);
    for (unsigned n = 0; n < 200; n++) {
        uint8_t data[9000];
        size_t bytes = (size_t)rand() % sizeof(data), at = (size_t)rand() % sizeof(model);
        if (bytes > sizeof(model) - at)
            bytes = sizeof(model) - at;
        memset(data, (int)n, bytes);
        assert_int_equal(block_write(&b, at, data, bytes), 0);
        memcpy(model + at, data, bytes);
        assert_int_equal(block_read(&b, 0, after, sizeof(after)), 0);
        assert_memory_equal(after, model, sizeof(model));
    }
    host_read(path, 0, after, 40 * 512 + 100);
    assert_memory_equal(after, before, 40 * 512 + 100);
    block_close(&b);
    assert_int_equal(block_open(&b, path, &err), 0);
    assert_int_equal(block_read(&b, 0, after, sizeof(after)), 0);
    assert_memory_equal(after, before, sizeof(before));
    block_close(&b);
    unlink(path);
    free(path);
}

static void read_only(void **state)
{
    char *path = rig_image(4 * 512);
    struct weir_block b = {.read_only = true}, cd = {.is_cdrom = true};
    uint8_t sector[512] = {0};
    assert_int_equal(block_open(&b, path, &err), 0);
    assert_int_equal(block_open(&cd, path, &err), 0);
    assert_int_equal(block_write(&b, 0, sector, 512), -WEIR_EPERM);
    assert_int_equal(block_write(&cd, 0, sector, 512), -WEIR_EPERM);
    block_close(&b);
    block_close(&cd);
    unlink(path);
    free(path);
}

static void locks(void **state)
{
    char *path = rig_image(4 * 512);
    struct weir_block writer = {0}, second = {0}, reader = {.read_only = true};
    struct weir_block snapshot = {.snapshot = true};
    assert_int_equal(block_open(&writer, path, &err), 0);
    assert_int_equal(block_open(&second, path, &err), -WEIR_EBUSY);
    assert_non_null(strstr(err.text, "in use"));
    assert_non_null(strstr(err.text, path));
    assert_false(block_present(&second));
    assert_int_equal(block_open(&reader, path, &err), -WEIR_EBUSY);
    assert_int_equal(block_open(&writer, path, &err), 0); /* the same medium again */
    block_close(&writer);
    assert_int_equal(block_open(&reader, path, &err), 0);
    assert_int_equal(block_open(&snapshot, path, &err), 0);
    assert_int_equal(block_open(&writer, path, &err), -WEIR_EBUSY);
    block_close(&reader);
    block_close(&snapshot);
    assert_int_equal(block_open(&writer, path, &err), 0);
    block_close(&writer);
    unlink(path);
    free(path);
}

static void failures(void **state)
{
    char *path = rig_image(512);
    struct weir_block b = {0};
    uint8_t sector[512] = {0};
    assert_int_equal(block_open(&b, "/nonexistent/x.img", &err), -WEIR_ENOENT);
    assert_non_null(strstr(err.text, "/nonexistent/x.img"));
    assert_true(block_open(&b, "/tmp", &err) < 0);
    b.read_only = true;
    assert_true(block_open(&b, "/tmp", &err) < 0);
    assert_true(block_open(&b, "/dev/null", &err) < 0);
    b.read_only = false;
    assert_int_equal(block_open(&b, path, &err), 0);
    /* The old medium stays when the new one cannot be opened. */
    assert_true(block_open(&b, "/nonexistent/x.img", &err) < 0);
    assert_int_equal(block_read(&b, 0, sector, 512), 0);
    /* A host error: the descriptor cannot be written any more. */
    int keep = b.fd;
    b.fd = open(path, O_RDONLY);
    assert_int_equal(block_write(&b, 0, sector, 512), -WEIR_EIO);
    assert_non_null(strstr(b.error.text, path));
    close(b.fd);
    b.fd = keep;
    block_close(&b);
    unlink(path);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_writes), cmocka_unit_test(ranges),
        cmocka_unit_test(padding),          cmocka_unit_test(overlay),
        cmocka_unit_test(read_only),        cmocka_unit_test(locks),
        cmocka_unit_test(failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
