/* SPDX-License-Identifier: MIT */
/* handle.h - open files and directories of the guest. A handle is slot + generation: one that was
 * closed stays invalid although its slot is used again. */
#ifndef HOSTCALL_HANDLE_H
#define HOSTCALL_HANDLE_H

#include "hostcall/hostcall.h"

enum handle_kind { HANDLE_FREE, HANDLE_FILE, HANDLE_DIR, HANDLE_NODE };

struct handle {
    uint32_t number; /* what the guest has */
    uint8_t kind;
    bool readable, writable;
    uint16_t deny;
    uint32_t owner;
    int fd;
    struct share *share;
    char *path; /* below the share's root; directories opened from the root only, else NULL */
    uint64_t position;
    uint64_t dev, ino;
};

struct handles *handles_make(void); /* NULL: no memory */
/* A free one with its number set, or NULL. */
struct handle *handle_new(struct hostcall *h);
/* NULL: not open. */
struct handle *handle_get(weir_call *call, uint32_t number);
void handle_close(struct handle *f);
unsigned handles_close_owner(struct hostcall *h, uint32_t owner);
void handles_close_all(struct hostcall *h);
unsigned handles_open(const struct hostcall *h);
unsigned handles_limit(const struct hostcall *h);
void handles_free(struct hostcall *h);
/* Whether DOS share modes of what is open allow another opening. */
bool handles_allow(const struct hostcall *h, uint64_t dev, uint64_t ino, bool reads,
                   bool writes, uint16_t deny);
/* i = 0, 1, ...: all slots; NULL at the end. */
struct handle *handle_slot(const struct hostcall *h, unsigned i);

#endif
