/* SPDX-License-Identifier: MIT */
/*
 * host.h - the host's services as this program uses them: POSIX calls that go through the host call
 * (include/weir/hostcall.h). All return 0 or a count, or a negative errno.
 */
#ifndef WEIRCTL_HOST_H
#define WEIRCTL_HOST_H

#include "fuse/host.h"

struct host_share {
    char name[64];
    unsigned number;
    bool read_only;
    bool device, device_always;    /* WEIR_HC_SHARE_VIRTIO, _ALWAYS */
    uint32_t owner_uid, owner_gid; /* whom the host's process runs as */
};

/* Finds out whether host calls work here; prints why not and returns false if they do not. */
bool host_ready(void);
/* The share of this name, or the first one if `name` is NULL: its number or -ENOENT. */
int host_share(const char *name, struct host_share *share);
/* Share number `index`, -ENOENT behind the last. */
int host_share_at(unsigned index, struct host_share *share);

/* For the functions of fuse/host.h, by the escape. */
struct host host_of(int share);

/* Control. */
int host_exit(unsigned status);
int host_print(const void *text, size_t bytes); /* to weir's standard output */
int host_log(unsigned level, const char *text, size_t bytes);
/* Writes a picture of the screen to an open file of the host. */
int host_screenshot(uint32_t handle);
/* Arguments and environment of the command line; one string per call, its length. */
long host_argument(unsigned index, char *text, size_t bytes);
long host_environment(unsigned index, char *text, size_t bytes);
/* From `offset`; *size is all there is. Putting at offset 0 replaces, further on appends. */
long host_clipboard_get(char *text, size_t bytes, uint64_t offset, uint64_t *size);
long host_clipboard_put(const char *text, size_t bytes, uint64_t offset);
/* A service of `weir run -exec` (runservice.h): how many bytes it took or gave. */
long host_run_bytes(unsigned service, unsigned stream, const void *data, size_t bytes);

#endif
