/* SPDX-License-Identifier: MIT */
/*
 * host.c - the host call from user mode. The escape's operand is a fixed address, so every call
 * copies its block to `block` and back; the program has one thread.
 */
#include "host.h"

#include "fuse/block.h"

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

static int call(struct host *host, void *block)
{
    size_t bytes = ((struct weir_hc_header *)block)->length;
    (void)host;
    if (bytes > BLOCK_BYTES)
        return -EINVAL;
    memcpy(weirctl_block, block, bytes);
    escape();
    memcpy(block, weirctl_block, bytes);
    return -(int)((struct weir_hc_header *)block)->error;
}

struct host host_of(int share)
{
    return (struct host){.share = (uint32_t)share, .call = call};
}

static int call_service(void *block, unsigned service, size_t bytes)
{
    struct host host = host_of(0);
    return host_call(&host, block, service, bytes);
}

#define CALL(block, service) call_service(&(block), service, sizeof(block))

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
                                 .device = block.flags & WEIR_HC_SHARE_VIRTIO,
                                 .device_always = block.flags & WEIR_HC_SHARE_ALWAYS,
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

/* ---- the rest ---- */

int host_exit(unsigned status)
{
    struct weir_hc_control block = {.value = status};
    return CALL(block, WEIR_HC_CONTROL_EXIT);
}

static long bytes_call(unsigned service, unsigned level, const void *data, size_t bytes,
                       uint64_t offset, uint64_t *size)
{
    struct weir_hc_bytes block = {.level = level,
                                  .region_count = 1,
                                  .offset = offset,
                                  .regions = {block_region(data, bytes)}};
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
        .stream = stream, .region_count = 1, .regions = {block_region(data, bytes)}};
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
    struct weir_hc_arg block = {.index = index, .text = block_room(text, bytes)};
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
