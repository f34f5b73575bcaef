/* SPDX-License-Identifier: MIT */
/*
 * hostcall.h - the host call as a guest sees it: the escape, the argument blocks, the services.
 *
 * The file services are in hostcall_file.h, which this includes.
 *
 * For guests (freestanding: needs <stdint.h> only) and for whoever serves them. hostcall.inc has
 * the same names and offsets for NASM; scripts/hostcall-inc makes it from this file. The text for
 * people is docs/hostcall.md; the embedder's side is hostservice.h.
 *
 * The escape is UD1 (0F B9 /r) with a memory operand that is a displacement only (any segment
 * override; RIP-relative in 64-bit code). At that address is an argument block: a header, then
 * the fields of the service. The host reads the whole block, acts, and writes the fields (not the
 * regions) back. No register and no flag changes. With no host, a wrong magic, or where host calls
 * are not allowed, the instruction raises #UD. A page of the block, or of a region that it names,
 * that is not present raises #PF at the instruction before anything has happened, so that the call
 * simply runs again.
 *
 * All numbers are little-endian; fields lie at their natural alignment without hidden padding.
 */
#ifndef WEIR_HOSTCALL_H
#define WEIR_HOSTCALL_H

#include <stdint.h>

#define WEIR_HC_MAGIC       0x52494557 /* "WEIR" */
#define WEIR_HC_VERSION     1
#define WEIR_HC_MAX_BLOCK   65536    /* bytes of a block */
#define WEIR_HC_MAX_REGIONS 1024     /* in one call */
#define WEIR_HC_MAX_BYTES   16777216 /* that the regions of one call have together */
#define WEIR_HC_MAX_PATH    4096     /* bytes of a path */
#define WEIR_HC_MAX_NAME    255      /* bytes of one name in it */
#define WEIR_HC_MAX_HANDLES 1024     /* open at a time, at most: see INFO */

/* ---- discovery without a fault: CPUID and a port ---- */

/* CPUID leaf 40000000h: EAX = last leaf, EBX ECX EDX = "WeirWeirWeir". Leaf 40000001h:
 * EAX = WEIR_HC_MAGIC if host calls are on, EBX = WEIR_HC_VERSION, ECX = groups, EDX = rings. */
#define WEIR_HC_CPUID      0x40000001
#define WEIR_HC_CPUID_TEXT 0x72696557 /* EBX, ECX and EDX of leaf 40000000h */
/* 32-bit reads: +0 WEIR_HC_MAGIC, +4 version | rings << 16, +8 groups. */
#define WEIR_HC_PORT     0x5758
#define WEIR_HC_RING_0   1 /* real mode and CPL 0 */
#define WEIR_HC_RING_3   2 /* CPL 1-3 */
#define WEIR_HC_RING_V86 4 /* virtual-8086 mode */

/* ---- the block ---- */

struct weir_hc_header {
    uint32_t magic;   /* WEIR_HC_MAGIC */
    uint16_t version; /* WEIR_HC_VERSION */
    uint16_t service; /* WEIR_HC_* below */
    uint16_t error;   /* out: 0 or WEIR_HC_E*; low half of the status */
    uint16_t dos;     /* out: the DOS error for it (AX of INT 21h); high half of the status */
    uint32_t length;  /* bytes of the whole block, header included */
};

/* A piece of guest memory. */
struct weir_hc_region {
    uint64_t address; /* REAL: offset in bits 0-15, segment in bits 16-31 */
    uint32_t length;
    uint32_t kind; /* WEIR_HC_LINEAR... */
};
#define WEIR_HC_LINEAR   0 /* linear address, with the rights of the caller's CPL */
#define WEIR_HC_PHYSICAL 1 /* physical address; CPL 0 only (else EPERM) */
#define WEIR_HC_REAL     2 /* segment:offset as in real mode; the offset wraps at 64 KiB */

/* The same for a name. `kind` as above. */
struct weir_hc_text {
    uint64_t address;
    uint32_t length; /* in bytes; see WEIR_HC_NUL */
    uint16_t kind;
    uint16_t names; /* how to read the name: WEIR_HC_EXACT or _DOS, and WEIR_HC_NUL */
};
#define WEIR_HC_EXACT 0 /* host bytes (UTF-8), '/' between names, case matters */
/* Code page 437, '\' or '/' between names, a leading "X:" is ignored, case is ignored, a name
 * may be long or 8.3; what is created in 8.3 upper case gets a lower-case name on the host. */
#define WEIR_HC_DOS 1
#define WEIR_HC_NUL 256 /* ends at the first 0 byte if that comes before `length` */

/* ---- statuses: error numbers (as Linux has them) and their DOS errors ----
 * The host knows the call, so `dos` tells apart what `error` does not: ENOENT is 2 when the last
 * name is missing, 3 when a directory on the way is, 12h in a search. */
#define WEIR_HC_OK           0  /* 0 */
#define WEIR_HC_EPERM        1  /* 5: not allowed to this caller, or at all */
#define WEIR_HC_ENOENT       2  /* 2, 3 or 12h */
#define WEIR_HC_EIO          5  /* 1Fh */
#define WEIR_HC_EBADF        9  /* 6: no such handle, or not open for that */
#define WEIR_HC_EAGAIN       11 /* 21h: locked; or: not yet */
#define WEIR_HC_ENOMEM       12 /* 8 */
#define WEIR_HC_EACCES       13 /* 5; 20h when another handle's share mode forbids it */
#define WEIR_HC_EFAULT       14 /* 9: region is not RAM */
#define WEIR_HC_EBUSY        16 /* 5 */
#define WEIR_HC_EEXIST       17 /* 50h; 5 for RENAME and MKDIR */
#define WEIR_HC_EXDEV        18 /* 11h: the other name is on another share */
#define WEIR_HC_ENOTDIR      20 /* 3 */
#define WEIR_HC_EISDIR       21 /* 5 */
#define WEIR_HC_EINVAL       22 /* 57h; 0Ch for OPEN: a field has no valid value */
#define WEIR_HC_EMFILE       24 /* 4: too many handles */
#define WEIR_HC_EFBIG        27 /* 5 */
#define WEIR_HC_ENOSPC       28 /* 27h */
#define WEIR_HC_ESPIPE       29 /* 5 */
#define WEIR_HC_EROFS        30 /* 5: the share is read-only */
#define WEIR_HC_EMLINK       31 /* 5 */
#define WEIR_HC_ERANGE       34 /* 57h: too small a buffer; `needed` (or like) says how much */
#define WEIR_HC_ENAMETOOLONG 36 /* 3 */
#define WEIR_HC_ENOSYS       38 /* 1: no such service here, or switched off */
#define WEIR_HC_ENOTEMPTY    39 /* 5 */
#define WEIR_HC_ELOOP        40 /* 3: a symbolic link that leads out of the share, or in circles */
#define WEIR_HC_ENODATA      61  /* 12h: no more entries */
#define WEIR_HC_EOPNOTSUPP   95  /* 32h: known, but cannot be done (special file, snapshot) */
#define WEIR_HC_ESTALE       116 /* 6: the handle's file is gone */
#define WEIR_HC_EDQUOT       122 /* 27h */

/* ---- groups of services; the number is the high byte of a service ----
 * A bit of `groups` (1 << number) says that it is switched on. 80h-FFh are the embedder's. */
#define WEIR_HC_GROUP_GENERAL 0
#define WEIR_HC_GROUP_FILE    1
#define WEIR_HC_GROUP_CONSOLE 2
#define WEIR_HC_GROUP_CONTROL 3
#define WEIR_HC_GROUP_TIME    4
#define WEIR_HC_GROUP_ARGS    5
#define WEIR_HC_GROUP_RANDOM  6
#define WEIR_HC_GROUP_CLIP    7
#define WEIR_HC_GROUP_LOG     8
#define WEIR_HC_GROUP_SG      9
#define WEIR_HC_GROUP_EXTERN  10
#define WEIR_HC_USER          0x8000 /* first service an embedder may define */

/* ---- general ---- */

#define WEIR_HC_NULL 0x0000 /* nothing: the header alone */

/* What there is. */
#define WEIR_HC_INFO 0x0001
struct weir_hc_info {
    struct weir_hc_header header;
    uint32_t groups;      /* out */
    uint32_t rings;       /* out: WEIR_HC_RING_* */
    uint32_t max_version; /* out: newest block version the host knows */
    uint32_t max_regions; /* out */
    uint64_t max_bytes;   /* out */
    uint32_t max_handles; /* out */
    uint32_t shares;      /* out */
    char host[32];        /* out: "weir 0.1.0" */
};

/* Runs the block at another linear address, which gets the status (so has this one). For callers
 * whose blocks are not at a fixed place. Not nested. */
#define WEIR_HC_INDIRECT 0x0002
struct weir_hc_indirect {
    struct weir_hc_header header;
    uint64_t block;
};

/* ---- console, log, random, clipboard: bytes in regions ---- */

#define WEIR_HC_CONSOLE_WRITE 0x0200 /* to the host's console (the command's standard output) */
#define WEIR_HC_RANDOM        0x0600 /* fills the regions */
#define WEIR_HC_CLIP_GET      0x0700 /* UTF-8 text from `offset`; `size` is all there is */
#define WEIR_HC_CLIP_PUT      0x0701 /* offset 0 replaces, offset = size appends */
#define WEIR_HC_LOG           0x0800 /* one message to the log; `level` 0 error ... 7 debug */
struct weir_hc_bytes {
    struct weir_hc_header header;
    uint32_t level;
    uint32_t region_count;
    uint64_t offset;
    uint64_t size; /* out */
    uint32_t done; /* out: bytes */
    uint32_t reserved;
    struct weir_hc_region regions[1];
};

/* ---- control ---- */

#define WEIR_HC_CONTROL_EXIT     0x0300 /* ends the run; the process exits with `value` & 255 */
#define WEIR_HC_CONTROL_RESET    0x0301
#define WEIR_HC_CONTROL_SNAPSHOT 0x0302 /* asks whoever embeds the machine, who gets `value` */
#define WEIR_HC_CONTROL_CLOCK                                                                  \
    0x0303 /* sets the RTC: `seconds` since 1970 (0: the host's time) */
struct weir_hc_control {
    struct weir_hc_header header;
    uint32_t value;
    uint32_t reserved;
    int64_t seconds;
};
/* The screen as a PPM file, into an open file (at its position) or, with handle 0, into the
 * regions; ERANGE and `size` if they are too small. */
#define WEIR_HC_CONTROL_SCREENSHOT 0x0304
struct weir_hc_screenshot {
    struct weir_hc_header header;
    uint32_t handle;
    uint32_t region_count;
    uint64_t size; /* out */
    struct weir_hc_region regions[1];
};

/* ---- time ---- */

#define WEIR_HC_TIME 0x0400
struct weir_hc_time {
    struct weir_hc_header header;
    int64_t seconds; /* out: UTC since 1970; all from here on */
    uint32_t nanoseconds;
    int32_t zone_seconds; /* local time = UTC + this */
    uint64_t uptime_ns;   /* virtual time of the machine */
    uint16_t dos_time, dos_date;
    uint8_t dos_hundredths; /* 0-199: adds to the two seconds of dos_time */
    uint8_t weekday;        /* 0 = Sunday */
    uint16_t reserved;
};

/* ---- args and environment ---- */

#define WEIR_HC_ARG 0x0500 /* argument `index` of those given with -hostcall arg= */
#define WEIR_HC_ENV 0x0501 /* variable `index` as "NAME=VALUE" */
struct weir_hc_arg {
    struct weir_hc_header header;
    uint32_t index;
    uint32_t count;           /* out: how many there are */
    struct weir_hc_text text; /* where to put it (no 0 is added) */
    uint32_t done;            /* out: its length; ERANGE if that did not fit */
    uint32_t reserved;
};

/* ---- scatter-gather ---- */

/* Turns regions into physical ones. The first `region_count` regions are read; the result goes to
 * the memory that `pairs` names, as struct weir_hc_region of kind PHYSICAL. ERANGE and `count` if
 * they do not fit. Until RELEASE the host counts these pages as written by others. */
#define WEIR_HC_SG_PIN 0x0900
struct weir_hc_sg {
    struct weir_hc_header header;
    uint32_t region_count;
    uint32_t writable; /* 1: they will be written */
    struct weir_hc_text pairs;
    uint32_t handle; /* out */
    uint32_t count;  /* out: pairs */
    struct weir_hc_region regions[1];
};
#define WEIR_HC_SG_RELEASE 0x0901
struct weir_hc_sg_release {
    struct weir_hc_header header;
    uint32_t handle;
    uint32_t reserved;
};

/* ---- an external process that has mapped guest RAM ---- */

/* Puts a request with its memory into the ring of the process behind -mem-export; `words` mean
 * what that process says. Answers come with EXTERN_POLL: EAGAIN while there is none. */
#define WEIR_HC_EXTERN_SUBMIT 0x0a00
#define WEIR_HC_EXTERN_POLL   0x0a01
struct weir_hc_extern {
    struct weir_hc_header header;
    uint32_t request; /* out of SUBMIT, into POLL */
    uint32_t region_count;
    uint32_t writable; /* 1: the process writes to the regions */
    uint32_t wait_ms;  /* POLL: wait for the answer, at most 100 */
    uint64_t words[4]; /* SUBMIT: the request; POLL: out, the answer */
    int32_t result;    /* POLL: out */
    uint32_t reserved;
    struct weir_hc_region regions[1];
};

/* ---- the escape for C ----
 *
 * The operand has no register in it, so the instruction needs a block at a fixed place: one small
 * INDIRECT block per thread, which names the real one. Define WEIR_HC_GUEST before including this,
 * and write WEIR_HC_MAILBOX; in one file. For programs (not shared libraries) of gcc and clang. */
#ifdef WEIR_HC_GUEST
#define WEIR_HC_MAILBOX __thread struct weir_hc_indirect weir_hc_mailbox
extern WEIR_HC_MAILBOX;

/* Sends a block whose header has `service` and `length` filled in by this; returns its error. */
static inline unsigned weir_hc_call(void *block, uint16_t service, uint32_t length)
{
    struct weir_hc_header *h = (struct weir_hc_header *)block;
    struct weir_hc_indirect *m = &weir_hc_mailbox;
    h->magic = m->header.magic = WEIR_HC_MAGIC;
    h->version = m->header.version = WEIR_HC_VERSION;
    h->service = service;
    h->length = length;
    h->error = h->dos = 0;
    m->header.service = WEIR_HC_INDIRECT;
    m->header.length = sizeof(*m);
    m->block = (uintptr_t)block;
#ifdef __x86_64__
    __asm__ volatile("ud1 %%fs:weir_hc_mailbox@tpoff, %%eax" ::: "memory");
#else
    __asm__ volatile("ud1 %%gs:weir_hc_mailbox@ntpoff, %%eax" ::: "memory");
#endif
    return h->error;
}
#endif

#include "hostcall_file.h"
#endif
