/* SPDX-License-Identifier: MIT */
/*
 * faults.h - SIGSEGV of translated code: where an access may fault, a site says where the thread
 * goes on then. And GS, which code uses.
 *
 * A signal belongs to the process: its handler knows the code that runs on the thread, and passes
 * on what does not come from there.
 */
#ifndef JIT_FAULTS_H
#define JIT_FAULTS_H

#include "base/bits.h"

#include <stddef.h>

struct fault_site {
    uint64_t begin;  /* code from here on, to the next site, may fault */
    uint64_t lead;   /* where that leads */
    uint32_t before; /* another one that begins near by, by number */
};

#define FAULT_GRANULE 32u
struct fault_map {
    uint64_t code; /* [code, code + code_bytes) */
    size_t code_bytes;
    const uint8_t *arena; /* sites are in it, 16-byte aligned; the number is the place + 1 */
    uint32_t *newest;     /* for each granule of code: the last site that begins there */
};

/* begin is set; sites come in the order of their code. */
void fault_site_add(struct fault_map *map, struct fault_site *site);

/* Makes the process have the handler. Any thread. */
void faults_install(void);

/* Whether the host lets programs use GS. */
bool faults_have_gs(void);
void faults_set_gs(uint64_t base);

/* Around the run of code of `map` on this thread. */
struct faults_scope {
    const struct fault_map *before;
    uint64_t gs;
};
void faults_enter(const struct fault_map *map, uint64_t gs, struct faults_scope *scope);
void faults_leave(const struct faults_scope *scope);

#endif
