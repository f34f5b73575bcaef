/* SPDX-License-Identifier: MIT */
/*
 * int_hostcall.c - UD1, which on a CPU is always #UD, and here the escape to the host if host
 * calls are on, the operand is a bare displacement (RIP-relative in 64-bit code), and the caller's
 * ring is one of those allowed. Other forms are traps of compilers and stay #UD.
 */
#include <weir/hostcall.h>
#include "cpu/interp/operands.h"

static bool is_escape(const struct insn *i)
{
    return i->mem && (i->base == REG_NONE || i->base == REG_RIP) && i->index == REG_NONE &&
           !(i->prefixes & (PFX_LOCK | PFX_REP | PFX_REPNE));
}

static bool ring_allowed(const struct vcpu *c)
{
    unsigned ring = c->mode & MODE_VM ? WEIR_HC_RING_V86
                    : c->cpl          ? WEIR_HC_RING_3
                                      : WEIR_HC_RING_0;
    return c->host_call.rings & ring;
}

enum weir_stop op_ud1(struct vcpu *c, const struct insn *i)
{
    if (!c->host_call.call || !is_escape(i) || !ring_allowed(c))
        return raise_ud(c);
    return c->host_call.call(c, i, insn_offset(c, i));
}
