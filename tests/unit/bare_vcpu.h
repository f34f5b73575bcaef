/* SPDX-License-Identifier: MIT */
/*
 * bare_vcpu.h - a vCPU over a bus with RAM and nothing else, for tests that call the CPU's own
 * functions without a VM. Also small builders for descriptors and page tables.
 */
#ifndef TESTS_BARE_VCPU_H
#define TESTS_BARE_VCPU_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "cpu/access.h"
#include "cpu/control.h"
#include "cpu/cpuid.h"
#include "cpu/seg.h"
#include "cpu/tlb.h"

#define BARE_RAM_BYTES (64ull << 20)
/* A device region behind RAM that records accesses. */
#define BARE_MMIO       0xfe000000ull
#define BARE_MMIO_BYTES 0x2000u

struct bare {
    struct vcpu cpu;
    struct bus mem, io;
    struct ram ram;
    struct clock clock;
    struct log log;
    pthread_mutex_t lock;
    struct err err;
    char log_text[65536];
    size_t log_length;
    /* MMIO as it was accessed */
    struct bare_access {
        uint64_t offset, value;
        unsigned size;
        bool write;
    } accesses[32];
    unsigned access_count;
    uint8_t mmio[BARE_MMIO_BYTES];
    /* What blocks_invalidate was told, when the test's own stands in. */
    uint64_t invalidated_gpa, invalidated_length;
    unsigned invalidations;
};

/* `model` as of -cpu; the vCPU is as after RESET#. Fails the test if it cannot. */
struct bare *bare_new(const char *model);
void bare_free(struct bare *b);

static inline void *bare_ram(struct bare *b, uint64_t gpa)
{
    return b->ram.base + gpa;
}
static inline void bare_put(struct bare *b, uint64_t gpa, unsigned size, uint64_t v)
{
    store_le(b->ram.base + gpa, v, size);
}
static inline uint64_t bare_get(struct bare *b, uint64_t gpa, unsigned size)
{
    return load_le(b->ram.base + gpa, size);
}

/* ---- a protected-mode layout at fixed places ---- */
#define BARE_GDT 0x1000u
#define BARE_IDT 0x2000u
#define BARE_TSS 0x3000u
#define BARE_LDT 0x4000u
enum { /* selectors; DPL in the low bits where it is 3 */
       SEL_CODE0 = 0x08,
       SEL_DATA0 = 0x10,
       SEL_CODE3 = 0x1b,
       SEL_DATA3 = 0x23,
       SEL_TSS = 0x28,
       SEL_CODE64 = 0x38,
       SEL_FREE = 0x40 /* and up: tests put theirs here */
};

/* 8-byte descriptor in the GDT at `selector`. attr as in struct segment. */
void bare_descriptor(struct bare *b, uint16_t selector, uint32_t base, uint32_t limit20,
                     uint16_t attr);
/* Gate in the GDT (8 bytes) or the IDT. */
void bare_gate(struct bare *b, uint64_t at, uint16_t selector, uint32_t offset,
               uint8_t type_dpl, uint8_t params);
void bare_idt(struct bare *b, unsigned vector, uint16_t selector, uint32_t offset,
              uint8_t type_dpl_p);
void bare_idt64(struct bare *b, unsigned vector, uint16_t selector, uint64_t offset,
                uint8_t type_dpl_p, unsigned ist);
/* Flat 32-bit protected mode, CPL 0, stack at 0x9000, TSS with SS0:ESP0 = DATA0:0x8000. */
void bare_protected(struct bare *b);
/* The same at CPL 3 (stack at 0x7000). */
void bare_user(struct bare *b);
/* 64-bit code, CPL 0; 4-level tables at 0x100000 map the first GiB 1:1 with 2 MiB pages, user,
 * writable; IST1 = 0xa000, RSP0 = 0x8000. */
void bare_long(struct bare *b);

#define PAGE_P  1u
#define PAGE_W  2u
#define PAGE_U  4u
#define PAGE_PS 0x80u
#define PAGE_G  0x100u
#define PAGE_A  0x20u
#define PAGE_D  0x40u

#endif
