/* SPDX-License-Identifier: MIT */
/*
 * export.h - guest RAM in another process (-mem-export PATH, weir_mem_export): the protocol.
 *
 * The process connects to a SOCK_SEQPACKET unix socket and receives one message: struct
 * weir_export_hello, with four descriptors (SCM_RIGHTS): guest RAM, the ring, and two eventfds:
 * `requests`, which the machine writes to when it has posted one, and `answers`, which the process
 * writes to when it has answered one. Nothing more goes through the socket; it ends when either
 * side does. One process at a time; who can connect can read and write all of the guest.
 *
 * The ring is an array of slots. A slot belongs to the machine while its state is FREE or DONE,
 * to the process while it is POSTED. The process looks through all slots when `requests` was
 * written to, serves those that are POSTED in any order, fills in result and words, and stores
 * DONE (release) last. States are read and written atomically.
 */
#ifndef WEIR_EXPORT_H
#define WEIR_EXPORT_H

#include <stdint.h>

#define WEIR_EXPORT_MAGIC   0x58494557 /* "WEIX" */
#define WEIR_EXPORT_VERSION 1
#define WEIR_EXPORT_SLOTS   32
#define WEIR_EXPORT_PIECES  2048 /* of memory in one request */
enum { WEIR_EXPORT_RAM, WEIR_EXPORT_RING, WEIR_EXPORT_REQUESTS, WEIR_EXPORT_ANSWERS };
#define WEIR_EXPORT_FDS 4

struct weir_export_area {
    uint64_t gpa;    /* guest-physical address */
    uint64_t offset; /* in the RAM descriptor */
    uint64_t bytes;
};
struct weir_export_hello {
    uint32_t magic, version;
    uint32_t slots, slot_bytes; /* of the ring */
    uint64_t ram_bytes;
    uint32_t areas, reserved;
    struct weir_export_area area[4];
};

#define WEIR_EXPORT_FREE   0
#define WEIR_EXPORT_POSTED 1
#define WEIR_EXPORT_DONE   2

struct weir_export_piece {
    uint64_t offset; /* in the RAM descriptor */
    uint64_t bytes;
};
struct weir_export_slot {
    uint32_t state;
    uint32_t number;   /* of the request */
    uint32_t writable; /* 1: the process may write to the pieces, else only read */
    uint32_t pieces;
    uint64_t bytes;    /* of all pieces */
    uint64_t words[4]; /* from the guest, and back */
    int32_t result;    /* back to the guest */
    uint32_t reserved;
    struct weir_export_piece piece[WEIR_EXPORT_PIECES];
};

#endif
