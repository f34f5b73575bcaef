/* SPDX-License-Identifier: MIT */
/*
 * host.c - the host call from user mode. The escape's operand is a fixed address, so every call
 * copies its block to `block` and back; the program has one thread.
 */
#include "host.h"

#include "runservice.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK_BYTES = 8192 };

__attribute__((aligned(4096), used)) unsigned char weirctl_block[BLOCK_BYTES];

static void escape(void)
{
#ifdef __x86_64__
    __asm__ volatile("ud1 weirctl_block(%%rip), %%eax" ::: "memory");
#else
    __asm__ volatile("ud1 weirctl_block, %%eax" ::: "memory");
#endif
}

int host_call(void *block, unsigned service, size_t bytes)
{
    struct weir_hc_header *header = block;
    *header = (struct weir_hc_header){.magic = WEIR_HC_MAGIC,
                                      .version = WEIR_HC_VERSION,
                                      .service = (uint16_t)service,
                                      .length = (uint32_t)bytes};
    if (bytes > BLOCK_BYTES)
        return -EINVAL;
    memcpy(weirctl_block, block, bytes);
    escape();
    memcpy(block, weirctl_block, bytes);
    return -(int)header->error;
}

#define CALL(block, service) host_call(&(block), service, sizeof(block))

static uint64_t address(const void *data)
{
    return (uintptr_t)data;
}

static struct weir_hc_text text_of(const char *text)
{
    return (struct weir_hc_text){.address = address(text),
                                 .length = (uint32_t)strlen(text),
                                 .kind = WEIR_HC_LINEAR,
                                 .names = WEIR_HC_EXACT};
}

static struct weir_hc_text room(char *text, size_t bytes)
{
    return (struct weir_hc_text){.address = address(text), .length = (uint32_t)bytes};
}

static struct weir_hc_region region(const void *data, size_t bytes)
{
    return (struct weir_hc_region){
        .address = address(data), .length = (uint32_t)bytes, .kind = WEIR_HC_LINEAR};
}

/* ---- is there a host ---- */

static void no_escape(int number)
{
    static const char text[] = "weirctl: the host call is not allowed here\n";
    (void)number;
    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    _exit(127);
}

static const char *why_not_ready(void)
{
    unsigned a, b, c, d;
    __cpuid(1, a, b, c, d);
    if (!(c >> 31))
        return "this is no virtual machine";
    __cpuid(0x40000000, a, b, c, d);
    if (b != WEIR_HC_CPUID_TEXT || c != WEIR_HC_CPUID_TEXT || a < WEIR_HC_CPUID)
        return "no host call here: start weir with -hostcall";
    __cpuid(WEIR_HC_CPUID, a, b, c, d);
    if (a != WEIR_HC_MAGIC)
        return "host calls are off: start weir with -hostcall";
    if (!(d & WEIR_HC_RING_3))
        return "host calls are off for programs: start weir with -hostcall ring=3";
    return NULL;
}

bool host_ready(void)
{
    const char *why = why_not_ready();
    if (why) {
        fprintf(stderr, "weirctl: %s\n", why);
        return false;
    }
    signal(SIGILL, no_escape);
    struct weir_hc_header null;
    if (CALL(null, WEIR_HC_NULL) == 0)
        return true;
    fprintf(stderr, "weirctl: the host does not answer\n");
    return false;
}

/* ---- shares ---- */

int host_share_at(unsigned index, struct host_share *share)
{
    struct weir_hc_share block = {.index = index};
    int error = CALL(block, WEIR_HC_FILE_SHARE);
    if (error < 0)
        return error == -ENODATA ? -ENOENT : error;
    *share = (struct host_share){.number = index,
                                 .read_only = block.flags & WEIR_HC_SHARE_RO,
                                 .owner_uid = block.uid,
                                 .owner_gid = block.gid};
    snprintf(share->name, sizeof(share->name), "%.*s", (int)sizeof(block.name), block.name);
    return 0;
}

int host_share(const char *name, struct host_share *share)
{
    for (unsigned k = 0;; k++) {
        int error = host_share_at(k, share);
        if (error < 0)
            return error;
        if (!name || !strcmp(share->name, name))
            return (int)k;
    }
}

/* ---- attributes ---- */

static void take_stat(struct host_stat *st, const struct weir_hc_stat *from)
{
    *st = (struct host_stat){
        .dev = from->dev,
        .ino = from->ino,
        .size = from->size,
        .blocks = from->blocks,
        .mode = from->mode,
        .nlink = from->nlink,
        .uid = from->uid,
        .gid = from->gid,
        .atime = {from->atime, from->atime_ns},
        .mtime = {from->mtime, from->mtime_ns},
        .ctime = {from->ctime, from->ctime_ns},
    };
}

int host_stat(int share, const char *path, struct host_stat *st)
{
    struct weir_hc_getattr block = {
        .share = (uint32_t)share, .flags = WEIR_HC_O_NOFOLLOW, .path = text_of(path)};
    int error = CALL(block, WEIR_HC_FILE_STAT);
    if (error == 0)
        take_stat(st, &block.stat);
    return error;
}

int host_stat_handle(uint32_t handle, struct host_stat *st)
{
    struct weir_hc_getattr block = {.handle = handle};
    int error = CALL(block, WEIR_HC_FILE_STAT);
    if (error == 0)
        take_stat(st, &block.stat);
    return error;
}

int host_set(int share, const char *path, uint32_t handle, const struct host_set *set,
             struct host_stat *st)
{
    static const uint32_t bits[] = {
        WEIR_HC_SET_MODE,      WEIR_HC_SET_SIZE,      WEIR_HC_SET_ATIME, WEIR_HC_SET_MTIME,
        WEIR_HC_SET_ATIME_NOW, WEIR_HC_SET_MTIME_NOW, WEIR_HC_SET_OWNER};
    struct weir_hc_setattr block = {.handle = handle,
                                    .share = (uint32_t)share,
                                    .flags = WEIR_HC_O_NOFOLLOW,
                                    .path = text_of(handle ? "" : path)};
    for (unsigned k = 0; k < sizeof(bits) / sizeof(*bits); k++)
        if (set->bits & 1u << k)
            block.set |= bits[k];
    block.stat = (struct weir_hc_stat){
        .mode = set->mode,
        .uid = set->uid,
        .gid = set->gid,
        .size = set->size,
        .atime = set->atime.s,
        .atime_ns = set->atime.ns,
        .mtime = set->mtime.s,
        .mtime_ns = set->mtime.ns,
    };
    int error = CALL(block, WEIR_HC_FILE_SETATTR);
    if (error == 0)
        take_stat(st, &block.stat);
    return error;
}

/* ---- files ---- */

static uint32_t open_flags(int flags)
{
    int access = flags & O_ACCMODE;
    uint32_t out = 0;
    if (access != O_WRONLY)
        out |= WEIR_HC_O_READ;
    if (access != O_RDONLY)
        out |= WEIR_HC_O_WRITE;
    if (flags & O_CREAT)
        out |= WEIR_HC_O_CREATE;
    if (flags & O_EXCL)
        out |= WEIR_HC_O_EXCL;
    if (flags & O_TRUNC)
        out |= WEIR_HC_O_TRUNC;
    if (flags & O_APPEND)
        out |= WEIR_HC_O_APPEND;
    if (flags & O_DIRECTORY)
        out |= WEIR_HC_O_DIRECTORY;
    if (flags & O_NOFOLLOW)
        out |= WEIR_HC_O_NOFOLLOW;
    return out;
}

int host_open(int share, const char *path, int flags, unsigned mode, uint32_t *handle,
              struct host_stat *st)
{
    struct weir_hc_open block = {.share = (uint32_t)share,
                                 .path = text_of(path),
                                 .flags = open_flags(flags),
                                 .mode = mode,
                                 .deny = 0x40,
                                 .owner = (uint32_t)getpid()};
    int error = CALL(block, WEIR_HC_FILE_OPEN);
    if (error < 0)
        return error;
    *handle = block.handle;
    take_stat(st, &block.stat);
    return 0;
}

int host_close(uint32_t handle)
{
    struct weir_hc_close block = {.handle = handle};
    return CALL(block, WEIR_HC_FILE_CLOSE);
}

static long transfer(unsigned service, uint32_t handle, uint64_t offset, const void *data,
                     size_t bytes)
{
    size_t done = 0;
    while (done < bytes) {
        size_t now = bytes - done < WEIR_HC_MAX_BYTES ? bytes - done : WEIR_HC_MAX_BYTES;
        struct weir_hc_io block = {.handle = handle,
                                   .region_count = 1,
                                   .offset = offset + done,
                                   .regions = {region((const char *)data + done, now)}};
        int error = CALL(block, service);
        if (error < 0)
            return done ? (long)done : error;
        if (!block.done)
            break;
        done += block.done;
    }
    return (long)done;
}

long host_read(uint32_t handle, uint64_t offset, void *data, size_t bytes)
{
    return transfer(WEIR_HC_FILE_READ, handle, offset, data, bytes);
}

long host_write(uint32_t handle, uint64_t offset, const void *data, size_t bytes)
{
    return transfer(WEIR_HC_FILE_WRITE, handle, offset, data, bytes);
}

int host_sync(uint32_t handle, bool data_only)
{
    struct weir_hc_flush block = {.handle = handle, .flags = data_only};
    return CALL(block, WEIR_HC_FILE_FLUSH);
}

int host_seek(uint32_t handle, int whence, uint64_t *offset)
{
    struct weir_hc_seek block = {
        .handle = handle, .whence = (uint32_t)whence, .offset = (int64_t)*offset};
    int error = CALL(block, WEIR_HC_FILE_SEEK);
    if (error == 0)
        *offset = (uint64_t)block.offset;
    return error == -ENODATA ? -ENXIO : error; /* nothing there: as lseek says it */
}

/* ---- names ---- */

int host_make_directory(int share, const char *path, unsigned mode)
{
    struct weir_hc_name block = {.share = (uint32_t)share, .path = text_of(path), .mode = mode};
    return CALL(block, WEIR_HC_FILE_MKDIR);
}

int host_remove(int share, const char *path, bool directory)
{
    struct weir_hc_name block = {.share = (uint32_t)share, .path = text_of(path)};
    return CALL(block, directory ? WEIR_HC_FILE_RMDIR : WEIR_HC_FILE_UNLINK);
}

int host_rename(int share, const char *from, const char *to, unsigned flags)
{
    struct weir_hc_rename block = {
        .share = (uint32_t)share, .from = text_of(from), .flags = flags, .to = text_of(to)};
    return CALL(block, WEIR_HC_FILE_RENAME);
}

int host_link(int share, const char *from, const char *to)
{
    struct weir_hc_rename block = {
        .share = (uint32_t)share, .from = text_of(from), .to = text_of(to)};
    return CALL(block, WEIR_HC_FILE_LINK);
}

int host_symlink(int share, const char *path, const char *target)
{
    struct weir_hc_link block = {
        .share = (uint32_t)share, .path = text_of(path), .text = text_of(target)};
    return CALL(block, WEIR_HC_FILE_SYMLINK);
}

long host_readlink(int share, const char *path, char *target, size_t bytes)
{
    struct weir_hc_link block = {
        .share = (uint32_t)share, .path = text_of(path), .text = room(target, bytes)};
    int error = CALL(block, WEIR_HC_FILE_READLINK);
    return error < 0 ? error : (long)block.done;
}

int host_statfs(int share, struct host_statfs *st)
{
    struct weir_hc_statfs block = {.share = (uint32_t)share};
    int error = CALL(block, WEIR_HC_FILE_STATFS);
    if (error == 0)
        *st = (struct host_statfs){.blocks = block.blocks,
                                   .free = block.blocks_free,
                                   .available = block.blocks_available,
                                   .files = block.files,
                                   .files_free = block.files_free,
                                   .block_bytes = (uint32_t)block.block_bytes,
                                   .name_max = block.name_max};
    return error;
}

long host_read_directory(uint32_t handle, uint64_t cookie, bool stat, void *data, size_t bytes)
{
    struct weir_hc_readdir block = {.handle = handle,
                                    .flags = stat ? WEIR_HC_READDIR_STAT : 0,
                                    .cookie = cookie,
                                    .region_count = 1,
                                    .regions = {region(data, bytes)}};
    int error = CALL(block, WEIR_HC_FILE_READDIR);
    return error < 0 ? error : (long)block.done;
}

bool host_next_entry(const void *data, size_t bytes, size_t *at, bool stat,
                     struct host_entry *entry)
{
    const struct weir_hc_dirent *d = (const void *)((const char *)data + *at);
    size_t head = offsetof(struct weir_hc_dirent, name);
    if (bytes - *at < head || d->record_length < head || d->record_length > bytes - *at ||
        d->name_length > sizeof(entry->name) - 1)
        return false;
    *at += d->record_length;
    *entry = (struct host_entry){
        .ino = d->ino, .cookie = d->cookie, .type = d->type, .name_length = d->name_length};
    memcpy(entry->name, d->name, d->name_length);
    size_t names = ((size_t)d->name_length + 7) & ~(size_t)7;
    entry->has_stat = stat && d->record_length >= head + names + sizeof(struct weir_hc_stat);
    if (entry->has_stat)
        take_stat(&entry->st, (const void *)(d->name + names));
    return true;
}

/* ---- the rest ---- */

int host_exit(unsigned status)
{
    struct weir_hc_control block = {.value = status};
    return CALL(block, WEIR_HC_CONTROL_EXIT);
}

static long bytes_call(unsigned service, unsigned level, const void *data, size_t bytes,
                       uint64_t offset, uint64_t *size)
{
    struct weir_hc_bytes block = {
        .level = level, .region_count = 1, .offset = offset, .regions = {region(data, bytes)}};
    int error = CALL(block, service);
    if (size)
        *size = block.size;
    return error < 0 ? error : (long)block.done;
}

int host_print(const void *text, size_t bytes)
{
    for (size_t at = 0; at < bytes;) {
        long done =
            bytes_call(WEIR_HC_CONSOLE_WRITE, 0, (const char *)text + at, bytes - at, 0, NULL);
        if (done <= 0)
            return done < 0 ? (int)done : -EIO;
        at += (size_t)done;
    }
    return 0;
}

long host_run_bytes(unsigned service, unsigned stream, const void *data, size_t bytes)
{
    struct run_bytes block = {
        .stream = stream, .region_count = 1, .regions = {region(data, bytes)}};
    int error = CALL(block, service);
    return error < 0 ? error : (long)block.done;
}

int host_log(unsigned level, const char *text, size_t bytes)
{
    long done = bytes_call(WEIR_HC_LOG, level, text, bytes, 0, NULL);
    return done < 0 ? (int)done : 0;
}

long host_clipboard_get(char *text, size_t bytes, uint64_t offset, uint64_t *size)
{
    return bytes_call(WEIR_HC_CLIP_GET, 0, text, bytes, offset, size);
}

long host_clipboard_put(const char *text, size_t bytes, uint64_t offset)
{
    return bytes_call(WEIR_HC_CLIP_PUT, 0, text, bytes, offset, NULL);
}

int host_screenshot(uint32_t handle)
{
    struct weir_hc_screenshot block = {.handle = handle};
    return CALL(block, WEIR_HC_CONTROL_SCREENSHOT);
}

static long arg_call(unsigned service, unsigned index, char *text, size_t bytes)
{
    struct weir_hc_arg block = {.index = index, .text = room(text, bytes)};
    int error = CALL(block, service);
    return error < 0 ? error : (long)block.done;
}

long host_argument(unsigned index, char *text, size_t bytes)
{
    return arg_call(WEIR_HC_ARG, index, text, bytes);
}

long host_environment(unsigned index, char *text, size_t bytes)
{
    return arg_call(WEIR_HC_ENV, index, text, bytes);
}
