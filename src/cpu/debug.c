/* SPDX-License-Identifier: MIT */
/*
 * debug.c - debug registers and single step (SDM Vol. 3B 18.2-18.3).
 *
 * Instruction breakpoints are faults, found before the instruction (debug_before). Data and I/O
 * breakpoints and TF are traps: noted in pending_dr6 and reported behind it (debug_after).
 */
#include "cpu/cpu.h"
#include "cpu/tlb.h"

enum { BREAK_EXECUTE, BREAK_WRITE, BREAK_IO, BREAK_ACCESS };

static bool breakpoint_enabled(const struct vcpu *c, unsigned n)
{
    return c->dr[7] >> (2 * n) & 3;
}
static unsigned breakpoint_type(const struct vcpu *c, unsigned n)
{
    return c->dr[7] >> (16 + 4 * n) & 3;
}
static unsigned breakpoint_bytes(const struct vcpu *c, unsigned n)
{
    static const uint8_t bytes[4] = {1, 2, 8, 4};
    return bytes[c->dr[7] >> (18 + 4 * n) & 3];
}
static uint64_t breakpoint_start(const struct vcpu *c, unsigned n)
{
    return c->dr[n] & ~(uint64_t)(breakpoint_bytes(c, n) - 1);
}

bool debug_watches_page(const struct vcpu *c, uint64_t linear)
{
    for (unsigned n = 0; c->dr[7] & 0xff && n < 4; n++) {
        unsigned type = breakpoint_type(c, n);
        if (breakpoint_enabled(c, n) && (type == BREAK_WRITE || type == BREAK_ACCESS) &&
            (breakpoint_start(c, n) & ~0xfffull) == (linear & ~0xfffull))
            return true;
    }
    return false;
}

void debug_data_access(struct vcpu *c, uint64_t linear, unsigned size, bool write)
{
    for (unsigned n = 0; n < 4; n++) {
        unsigned type = breakpoint_type(c, n);
        uint64_t start = breakpoint_start(c, n);
        if (breakpoint_enabled(c, n) &&
            (type == BREAK_ACCESS || (type == BREAK_WRITE && write)) &&
            linear < start + breakpoint_bytes(c, n) && start < linear + size)
            c->pending_dr6 |= BIT64(n);
    }
}

void debug_io_access(struct vcpu *c, unsigned port, unsigned size)
{
    for (unsigned n = 0; c->cr4 & CR4_DE && n < 4; n++) {
        uint64_t start = breakpoint_start(c, n);
        if (breakpoint_enabled(c, n) && breakpoint_type(c, n) == BREAK_IO &&
            port < start + breakpoint_bytes(c, n) && start < port + size)
            c->pending_dr6 |= BIT64(n);
    }
}

bool debug_before(struct vcpu *c)
{
    uint64_t linear = (c->segc[SEG_CS].base + c->rip) & c->linear_mask, hit = 0;
    if (c->rflags_rest & FLAG_RF) {
        /* RF holds for this instruction; a fault of it stores RF = 1 in any case. */
        c->rflags_rest &= ~FLAG_RF;
        return false;
    }
    if (c->shadow & SHADOW_MOV_SS)
        return false;
    for (unsigned n = 0; n < 4; n++)
        if (breakpoint_enabled(c, n) && breakpoint_type(c, n) == BREAK_EXECUTE &&
            c->dr[n] == linear)
            hit |= BIT64(n);
    if (!hit)
        return false;
    c->fault = (struct x86_fault){.vector = VEC_DB, .dr6_bits = hit};
    return true;
}

bool debug_after(struct vcpu *c, bool tf_at_start, bool branched)
{
    bool tf = c->shadow & SHADOW_TF_NOW ? (c->rflags_rest & FLAG_TF) != 0 : tf_at_start;
    if (c->debugctl & DEBUGCTL_BTF)
        tf = tf && branched;
    c->shadow &= (uint8_t)~SHADOW_TF_NOW;
    if (c->shadow & SHADOW_MOV_SS)
        return false; /* data breakpoints stay pending, the step is lost */
    uint64_t bits = c->pending_dr6 | (tf ? DR6_BS : 0);
    if (!bits)
        return false;
    c->pending_dr6 = 0;
    c->fault = (struct x86_fault){.vector = VEC_DB, .dr6_bits = bits};
    return true;
}
