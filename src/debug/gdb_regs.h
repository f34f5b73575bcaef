/* SPDX-License-Identifier: MIT */
/*
 * gdb_regs.h - the vCPU's registers as gdb sees them: a list in the order of the g packet, and the
 * target description (XML) that tells gdb about it.
 *
 * The list depends on the mode in which the guest was when the description was read: 64-bit code
 * gives the plain x86-64 one. 16- and 32-bit code on a CPU that has long mode gives one that is
 * valid for i8086, i386 and x86-64, so that gdb can change over while it is attached.
 *
 * The program counter is always the linear address, CS base + (E)IP; the stack pointer is not
 * changed.
 */
#ifndef DEBUG_GDB_REGS_H
#define DEBUG_GDB_REGS_H

#include "debug/gdb_packet.h"
#include <weir/context.h>

enum { GDB_REGS_MAX = 320 };

enum gdb_reg_kind {
    GDB_PLAIN, /* weir_reg `reg`, the low bytes */
    GDB_PC,
    GDB_SELECTOR,
    GDB_BASE,
    GDB_LIMIT,
    GDB_BYTES,   /* of union weir_value.bytes, from `offset` on */
    GDB_FP_HIGH, /* FIP or FDP, bits 32-47 or its selector */
};

struct gdb_reg {
    char name[12];
    const char *type;  /* in the description */
    const char *group; /* may be NULL */
    uint16_t reg;      /* enum weir_reg */
    uint8_t kind;      /* enum gdb_reg_kind */
    uint8_t bytes, offset;
    const char *feature; /* starts here; else NULL */
};

struct gdb_layout {
    const char *architecture; /* "i8086", "i386", "i386:x86-64" */
    unsigned count;
    struct gdb_reg regs[GDB_REGS_MAX];
};

void gdb_layout_make(struct gdb_layout *l, weir_vcpu *cpu);
void gdb_layout_xml(const struct gdb_layout *l, struct gdb_buffer *out);

/* Value in the order of bytes that the packets have; `bytes` of them as in the layout. */
bool gdb_reg_read(weir_vcpu *cpu, const struct gdb_reg *r, uint8_t *bytes);
bool gdb_reg_write(weir_vcpu *cpu, const struct gdb_reg *r, const uint8_t *bytes);

#endif
