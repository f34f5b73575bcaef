/* SPDX-License-Identifier: MIT */
/*
 * hostcall.h - the host call inside the library.
 *
 *   UD1 --cpu/interp/int_hostcall.c--> escape.c: block, regions, names --> a service --> status
 *
 * A service runs in the vCPU thread, without the device lock, after everything that can fault in
 * the guest has been checked: it sees a copy of the block, guest memory as a list of pieces on the
 * host, and names as host strings. What is also used by other threads is guarded by h->lock.
 */
#ifndef HOSTCALL_HOSTCALL_H
#define HOSTCALL_HOSTCALL_H

#include <sys/uio.h>
#include <weir/hostcall.h>
#include <weir/hostservice.h>
#include "board/machine.h"
#include "cpu/access.h"

#define HC_GROUPS_ALL 0x7ffu /* of our own services */

/* Guest memory, contiguous on both sides, so it may be many pages. */
struct span {
    uint64_t gpa, length;
    uint8_t *host;
    uint8_t *tag; /* of the first page; NULL: not tracked */
};
struct memory {
    struct span *span;
    unsigned count, room;
    uint64_t bytes;
};

enum { HC_NONE, HC_FROM_GUEST, HC_TO_GUEST, HC_BY_FIELD };

/* What the gate must know about a service. Offsets are into the block. */
struct service {
    const char *name;
    uint16_t number;
    uint16_t bytes;       /* fixed part: at least so long, and so much is written back */
    uint8_t direction;    /* of the regions: HC_* */
    uint16_t count_at;    /* u32: number of regions, which lie behind the fixed part */
    uint16_t writable_at; /* HC_BY_FIELD: u32, 1 = HC_TO_GUEST */
    struct {
        uint16_t at;       /* struct weir_hc_text; 0 = none */
        uint8_t direction; /* HC_FROM_GUEST: a name; HC_TO_GUEST: a buffer */
    } text[2];
    unsigned (*fn)(weir_call *call); /* WEIR_HC_E* */
    weir_service_fn *user;           /* instead of fn: the embedder's */
    void *user_ctx;
};
extern const struct service service_table[];
extern const unsigned service_count;

struct text {
    char bytes[WEIR_HC_MAX_PATH + 1]; /* HC_FROM_GUEST: 0-terminated, has no other 0 */
    uint32_t length;
    uint16_t names;
    struct memory memory; /* HC_TO_GUEST */
};

struct weir_call {
    struct hostcall *h;
    struct vcpu *c;
    const struct service *service;
    struct memory regions;
    struct text text[2];
    uint16_t dos; /* DOS error, if the usual one for the status is not right; 0 = it is */
    uint8_t *block;
};

struct share;
struct handles;
struct views;
struct export;

struct hostcall {
    struct weir *vm;
    weir_dev *dev;
    pthread_mutex_t lock;
    uint32_t groups, rings;
    struct service *user; /* the embedder's services */
    unsigned user_count;
    struct share *shares; /* share.h */
    unsigned share_count;
    struct handles *handles;   /* handle.h */
    struct views *views;       /* dosview.h */
    struct searches *searches; /* file_dir.c */
    char **args, **env;
    unsigned arg_count, env_count;
    char *clip;
    uint64_t clip_bytes;
    weir_output_fn *output;
    void *output_ctx;
    weir_snapshot_request_fn *snapshot;
    void *snapshot_ctx;
    struct sg_list *sg; /* sg.c */
    uint32_t sg_count;
    struct export *export;            /* export.h */
    uint64_t calls, faults, failures; /* for info */
    uint64_t event_block;             /* of the call that is being served, for introspection */
    struct weir_call call;            /* the one there is: a vCPU makes one at a time */
    struct memory block_memory;
    uint8_t block[WEIR_HC_MAX_BLOCK];
};

/* ---- memory.c ---- */
/* 0; WEIR_HC_E*; or GUEST_FAULT: c->fault is filled. */
#define GUEST_FAULT (-1)
int memory_add(struct vcpu *c, struct memory *m, uint64_t address, uint64_t length,
               unsigned kind, enum access access);
/* Memory of this process instead; WEIR_HC_E*. */
int memory_add_host(struct memory *m, void *host, uint64_t length);
void memory_clear(struct memory *m);
void memory_free(struct memory *m);
/* Copies bytes of [offset, offset+length) that exist; returns how many. */
uint64_t memory_read(const struct memory *m, uint64_t offset, void *buffer, uint64_t length);
uint64_t memory_write(struct vcpu *c, const struct memory *m, uint64_t offset,
                      const void *buffer, uint64_t length);
/* The host wrote the first `length` bytes itself. */
void memory_written(struct vcpu *c, const struct memory *m, uint64_t length);
/* Spans from `offset` on as iovecs; returns how many were filled. */
int memory_iovec(const struct memory *m, uint64_t offset, struct iovec *iov, int room);

/* ---- status.c ---- */
unsigned status_of_errno(int number);
/* Usual DOS error of a status. */
unsigned status_dos(unsigned error);

/* ---- escape.c ---- */
enum weir_stop hostcall_escape(struct vcpu *c, const struct insn *i, uint64_t offset);

/* ---- setup.c ---- */
struct hostcall *hostcall_of(struct weir *vm); /* NULL: never switched on */
void hostcall_reset(struct hostcall *h);

#endif
