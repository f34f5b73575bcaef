/* SPDX-License-Identifier: MIT */
/*
 * rig.h - a machine without devices whose guest does nothing but host calls: the test writes the
 * block, the guest executes one UD1. Guest memory is laid out as below.
 */
#ifndef TESTS_HOSTCALL_RIG_H
#define TESTS_HOSTCALL_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "board/machine.h"
#include "hostcall/hostcall.h"

#define RIG_CODE   0x1000u
#define RIG_STACK  0x7000u
#define RIG_BLOCK  0x8000u   /* within 64 KiB: 16-bit code reaches it */
#define RIG_TABLES 0x200000u /* page tables of 64-bit code */
#define RIG_NAMES  0x300000u /* names, 64 KiB each */
#define RIG_DATA   0x400000u /* regions */
#define RIG_RAM    (32u << 20)

struct rig {
    weir *vm;
    struct vcpu *c;
    char dir[64]; /* shared as "s", if there is one */
    char log[4096];
    uint32_t names; /* how many texts the next call has */
};

/* bits: 16, 32, 64. With a directory the options may contain %s for it. */
void rig_open(struct rig *r, const char *engine, unsigned bits, bool with_dir,
              const char *options);
void rig_close(struct rig *r);

void *rig_ram(struct rig *r, uint32_t gpa);
/* Puts UD1 of the block at RIG_CODE, and HLT behind it; returns where the HLT is. */
uint32_t rig_code(struct rig *r, unsigned bits);

/* Fills in the header, runs the call; the block comes back. Returns the error. The test fails if
 * the guest faults. */
unsigned rig_call(struct rig *r, void *block, uint16_t service, uint32_t length);
/* The same without the header being touched. False if the instruction faulted: r->c->fault. */
bool rig_raw(struct rig *r, void *block, uint32_t length);
/* A text in guest memory; each of a call gets a place of its own. */
struct weir_hc_text rig_text(struct rig *r, const char *text, unsigned names);
struct weir_hc_region rig_region(uint32_t at, uint32_t length);

/* ---- files ---- */
unsigned rig_open_file(struct rig *r, const char *path, unsigned names, uint32_t flags,
                       struct weir_hc_open *a);
/* Data goes through RIG_DATA. */
unsigned rig_read(struct rig *r, uint32_t handle, uint64_t offset, uint32_t length,
                  uint32_t *done);
unsigned rig_write(struct rig *r, uint32_t handle, uint64_t offset, const void *data,
                   uint32_t length, uint32_t *done);
void rig_close_file(struct rig *r, uint32_t handle);
unsigned rig_name(struct rig *r, uint16_t service, const char *path, unsigned names);

/* ---- the host's side of the share ---- */
void rig_put(struct rig *r, const char *name, const char *text);
bool rig_exists(struct rig *r, const char *name);

#endif
