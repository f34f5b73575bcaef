/* SPDX-License-Identifier: MIT */
/*
 * share.h - directories of the host that the guest may use, and the only way to open anything
 * in them. Whatever name a guest gives, the kernel resolves it beneath the share's root
 * (openat2, RESOLVE_BENEATH): a race with another process of the host cannot lead out either.
 */
#ifndef HOSTCALL_SHARE_H
#define HOSTCALL_SHARE_H

#include <sys/stat.h>
#include "hostcall/hostcall.h"

struct share {
    char name[32];
    char *path;
    int root; /* O_PATH */
    bool read_only;
    bool device, always; /* fs_device.c serves it; for a day (cache=always) */
    uint32_t index;
};

int share_add(struct hostcall *h, const char *name, const char *path, bool read_only);
void shares_free(struct hostcall *h);

/* A name as a call gives it, resolved as far as text goes: `path` below `base`. */
struct target {
    struct share *share;
    int base; /* descriptor of the share's root or of a directory handle; not ours to close */
    bool from_root;                  /* base is the root */
    char path[WEIR_HC_MAX_PATH + 1]; /* host bytes; "" is base itself; no '/' at either end */
};
/* Of text `which`. WEIR_HC_E*; sets call->dos where it must. */
unsigned target_find(weir_call *call, uint32_t share, uint32_t dir, unsigned which,
                     struct target *t);

/* Opens beneath base. Returns a descriptor or -errno. */
int beneath_open(int base, const char *path, int flags, unsigned mode);
/* O_PATH, and what is there. follow: the last name may be a link. */
int target_probe(const struct target *t, bool follow, struct stat *st);
/* The directory that the last name is in, O_PATH; *last points into t->path. -EBUSY for the base
 * itself. */
int target_parent(const struct target *t, const char **last);
/* Another descriptor of what `path_fd` (O_PATH) is, with real access. */
int reopen(int path_fd, int flags);

static inline bool is_dos(const weir_call *call, unsigned which)
{
    return call->text[which].names == WEIR_HC_DOS;
}
/* An errno as a status; for names ENOENT is DOS error 2, and 3 if a directory is missing. */
unsigned name_status(weir_call *call, const struct target *t, int number);

#endif
