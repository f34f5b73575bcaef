/* SPDX-License-Identifier: MIT */
/*
 * sys_call.c - SYSCALL, SYSRET, SYSENTER, SYSEXIT (SDM Vol. 2; APM Vol. 3 for AMD's variants).
 *
 * The segments are not read from tables: their hidden parts are fixed. Vendors differ: AMD has
 * SYSCALL also in legacy and compatibility mode and no SYSENTER in long mode; Intel the
 * reverse.
 */
#include "cpu/cpuid.h"
#include "cpu/events.h"
#include "cpu/interp/operands.h"
#include "cpu/seg.h"
#include "cpu/tlb.h"

/* Flat segments, present, accessed; DPL in bits 5-6. */
#define CODE64       0xa09b
#define CODE32       0xc09b
#define DATA32       0xc093
#define DPL3         0x0060
#define SYSRET_FLAGS 0x3c7fd7u

static bool is_amd(const struct vcpu *c)
{
    return !strcmp(c->model->vendor, "AuthenticAMD");
}

static void flat_segments(struct vcpu *c, unsigned cs, unsigned ss, uint16_t code, unsigned cpl)
{
    uint16_t dpl = cpl ? DPL3 : 0;
    c->seg[SEG_CS] = (struct segment){0, 0xffffffff, (uint16_t)cs, code | dpl};
    c->seg[SEG_SS] = (struct segment){0, 0xffffffff, (uint16_t)ss, DATA32 | dpl};
    c->cpl = (uint8_t)cpl;
}

/* #UD where this vendor does not have SYSCALL/SYSRET. */
static bool syscall_exists(const struct vcpu *c)
{
    return (c->efer & EFER_SCE) && (c->mode & MODE_PE) && (cpu_is_64bit(c) || is_amd(c));
}

enum weir_stop op_syscall(struct vcpu *c, const struct insn *i)
{
    unsigned cs = (c->star >> 32) & 0xfffc;
    uint64_t flags = cpu_rflags(c);
    if (!syscall_exists(c))
        return raise_ud(c);
    if (event_here(c, WEIR_EV_SYSCALL) && !event_syscall(c, WEIR_SYS_SYSCALL))
        return STOP_FAULT;
    if (long_mode(c)) {
        bool wide = cpu_is_64bit(c);
        c->gpr[RCX] = c->rip;
        c->gpr[R11] = flags & ~(uint64_t)FLAG_RF;
        c->rip = wide ? c->lstar : c->cstar;
        flat_segments(c, cs, cs + 8, CODE64, 0);
        cpu_set_rflags(c, flags & ~c->sfmask & ~(uint64_t)FLAG_RF);
    } else {
        c->gpr[RCX] = c->rip;
        c->rip = (uint32_t)c->star;
        flat_segments(c, cs, cs + 8, CODE32, 0);
        cpu_set_rflags(c, flags & ~(uint64_t)(FLAG_IF | FLAG_RF | FLAG_VM));
    }
    if (flags & FLAG_TF)
        c->shadow |= SHADOW_TF_NOW;
    cpu_mode_update(c);
    return STOP_BOUNDARY;
}

enum weir_stop op_sysret(struct vcpu *c, const struct insn *i)
{
    unsigned base = (c->star >> 48) & 0xffff;
    bool to_64bit = cpu_is_64bit(c) && i->opsize == 8, from_long = long_mode(c);
    if (!syscall_exists(c))
        return raise_ud(c);
    if (c->cpl || (to_64bit && !is_amd(c) && !is_canonical(c->gpr[RCX])))
        return raise_gp0(c);
    bool stepping = c->rflags_rest & FLAG_TF;
    uint64_t flags = cpu_rflags(c) | FLAG_IF;
    if (from_long)
        flags = (c->gpr[R11] & SYSRET_FLAGS) | FLAG_FIXED;
    c->rip = to_64bit ? c->gpr[RCX] : (uint32_t)c->gpr[RCX];
    flat_segments(c, (to_64bit ? base + 16 : base) | 3, (base + 8) | 3,
                  to_64bit ? CODE64 : CODE32, 3);
    cpu_set_rflags(c, flags);
    cpu_mode_update(c);
    event_sysret(c);
    if (!(flags & FLAG_TF)) {
        if (stepping)
            c->shadow |= SHADOW_TF_NOW; /* stepping ends with it */
        return STOP_BOUNDARY;
    }
    /* The step of the SYSCALL that is now complete. */
    c->fault = (struct x86_fault){.vector = VEC_DB, .dr6_bits = DR6_BS};
    return STOP_TRAP;
}

enum weir_stop op_sysenter(struct vcpu *c, const struct insn *i)
{
    bool wide = long_mode(c);
    unsigned cs = c->sysenter_cs & 0xfffc;
    if (wide && is_amd(c))
        return raise_ud(c);
    if (!(c->mode & MODE_PE) || !cs)
        return raise_gp0(c);
    if (event_here(c, WEIR_EV_SYSCALL) && !event_syscall(c, WEIR_SYS_SYSENTER))
        return STOP_FAULT;
    c->rip = wide ? c->sysenter_eip : (uint32_t)c->sysenter_eip;
    c->gpr[RSP] = wide ? c->sysenter_esp : (uint32_t)c->sysenter_esp;
    flat_segments(c, cs, cs + 8, wide ? CODE64 : CODE32, 0);
    c->rflags_rest &= ~(FLAG_VM | FLAG_IF | FLAG_RF);
    cpu_mode_update(c);
    return STOP_BOUNDARY;
}

enum weir_stop op_sysexit(struct vcpu *c, const struct insn *i)
{
    bool to_64bit = cpu_is_64bit(c) && i->opsize == 8;
    unsigned cs = c->sysenter_cs & 0xfffc;
    if (long_mode(c) && is_amd(c))
        return raise_ud(c);
    if (!(c->mode & MODE_PE) || !cs || c->cpl)
        return raise_gp0(c);
    if (to_64bit && (!is_canonical(c->gpr[RCX]) || !is_canonical(c->gpr[RDX])))
        return raise_gp0(c);
    c->rip = to_64bit ? c->gpr[RDX] : (uint32_t)c->gpr[RDX];
    c->gpr[RSP] = to_64bit ? c->gpr[RCX] : (uint32_t)c->gpr[RCX];
    cs += to_64bit ? 32 : 16;
    flat_segments(c, cs | 3, (cs + 8) | 3, to_64bit ? CODE64 : CODE32, 3);
    cpu_mode_update(c);
    event_sysret(c);
    return STOP_BOUNDARY;
}
