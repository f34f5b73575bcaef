/* SPDX-License-Identifier: MIT */
/*
 * sys_flags.c - CLI, STI, STAC, CLAC, PUSHF, POPF with virtual-8086 extensions and
 * protected-mode virtual interrupts (SDM Vol. 3B 20.4); HLT, MONITOR, MWAIT; what is never
 * there (VIRT).
 */
#include "cpu/interp/operands.h"
#include "cpu/seg.h"

static unsigned iopl(const struct vcpu *c)
{
    return (c->rflags_rest & FLAG_IOPL) >> 12;
}

/* Whose interrupt flag CLI and STI change. */
enum { IF_NONE, IF_REAL, IF_VIRTUAL };
static int interrupt_flag(const struct vcpu *c)
{
    if (c->cpl <= iopl(c))
        return IF_REAL;
    if (c->mode & MODE_VM)
        return c->cr4 & CR4_VME ? IF_VIRTUAL : IF_NONE;
    return c->cpl == 3 && (c->cr4 & CR4_PVI) ? IF_VIRTUAL : IF_NONE;
}

enum weir_stop op_cli(struct vcpu *c, const struct insn *i)
{
    int which = interrupt_flag(c);
    if (which == IF_NONE)
        return raise_gp0(c);
    c->rflags_rest &= ~(which == IF_REAL ? FLAG_IF : FLAG_VIF);
    return STOP_NEXT;
}

enum weir_stop op_sti(struct vcpu *c, const struct insn *i)
{
    int which = interrupt_flag(c);
    if (which == IF_NONE || (which == IF_VIRTUAL && (c->rflags_rest & FLAG_VIP)))
        return raise_gp0(c);
    if (which == IF_VIRTUAL) {
        c->rflags_rest |= FLAG_VIF;
        return STOP_NEXT;
    }
    if (!(c->rflags_rest & FLAG_IF))
        c->shadow |= SHADOW_STI;
    c->rflags_rest |= FLAG_IF;
    return STOP_BOUNDARY;
}

static enum weir_stop set_ac(struct vcpu *c, bool on)
{
    if (c->cpl)
        return raise_ud(c);
    c->rflags_rest = (c->rflags_rest & ~FLAG_AC) | (on ? FLAG_AC : 0);
    /* Only the choice of TLB depends on AC below CPL 3. */
    c->mode &= ~(uint32_t)MODE_SMAP_AC;
    if (on && c->cr4 & CR4_SMAP)
        c->mode |= MODE_SMAP_AC;
    tlb_select(c);
    return STOP_NEXT;
}
enum weir_stop op_stac(struct vcpu *c, const struct insn *i)
{
    return set_ac(c, true);
}
enum weir_stop op_clac(struct vcpu *c, const struct insn *i)
{
    return set_ac(c, false);
}

enum weir_stop op_pushf(struct vcpu *c, const struct insn *i)
{
    uint64_t flags = cpu_rflags(c) & ~(uint64_t)(FLAG_VM | FLAG_RF);
    if ((c->mode & MODE_VM) && iopl(c) < 3) {
        if (!(c->cr4 & CR4_VME) || i->opsize != 2)
            return raise_gp0(c);
        flags = (flags & ~(uint64_t)FLAG_IF) | FLAG_IOPL;
        if (c->rflags_rest & FLAG_VIF)
            flags |= FLAG_IF;
    }
    return stack_push(c, i->opsize, flags) ? STOP_NEXT : STOP_FAULT;
}

/* POPF in virtual-8086 mode with IOPL < 3: IF is VIF. */
static enum weir_stop popf_vme(struct vcpu *c, uint64_t value)
{
    uint32_t change = FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT;
    if ((value & FLAG_TF) || ((value & FLAG_IF) && (c->rflags_rest & FLAG_VIP)))
        return raise_gp0(c);
    uint64_t flags = (cpu_rflags(c) & ~(uint64_t)(change | FLAG_VIF)) | (value & change);
    if (value & FLAG_IF)
        flags |= FLAG_VIF;
    stack_drop(c, 2);
    cpu_set_rflags(c, flags);
    return STOP_BOUNDARY;
}

enum weir_stop op_popf(struct vcpu *c, const struct insn *i)
{
    bool vme = (c->mode & MODE_VM) && iopl(c) < 3;
    uint32_t before = c->rflags_rest;
    uint64_t value;
    if (vme && (!(c->cr4 & CR4_VME) || i->opsize != 2))
        return raise_gp0(c);
    if (!stack_top(c, i->opsize, &value))
        return STOP_FAULT;
    if (vme)
        return popf_vme(c, value);
    stack_drop(c, i->opsize);
    flags_load(c, value & ~(uint64_t)FLAG_RF, i->opsize, c->cpl);
    uint32_t changed = before ^ c->rflags_rest;
    return changed & (FLAG_IF | FLAG_TF | FLAG_AC | FLAG_RF) ? STOP_BOUNDARY : STOP_NEXT;
}

/* ---- waiting ---- */

enum weir_stop op_hlt(struct vcpu *c, const struct insn *i)
{
    if (c->cpl)
        return raise_gp0(c);
    c->halted = true;
    return STOP_HALT;
}

enum weir_stop op_monitor(struct vcpu *c, const struct insn *i)
{
    uint64_t linear, offset = c->gpr[RAX] & mask_bytes(i->addrsize);
    unsigned seg = i->prefixes & PFX_SEG ? i->seg : SEG_DS;
    if (c->cpl)
        return raise_ud(c);
    if ((uint32_t)c->gpr[RCX])
        return raise_gp0(c);
    if (!seg_linear(c, seg, offset, 1, ACCESS_READ, &linear) ||
        !mem_probe(c, seg, offset, 1, ACCESS_READ) ||
        !paging_translate(c, linear, ACCESS_READ, c->cpl, &c->monitor_gpa))
        return STOP_FAULT;
    c->monitor_armed = true;
    return STOP_NEXT;
}

/* Waits like HLT where an interrupt can end it. With IF = 0 it returns at once, as it may: what
 * should wake it then (a masked interrupt, a write by a device) wakes nobody here. */
enum weir_stop op_mwait(struct vcpu *c, const struct insn *i)
{
    if (c->cpl)
        return raise_ud(c);
    if ((uint32_t)c->gpr[RCX] > 1)
        return raise_gp0(c);
    if (!c->monitor_armed || !(c->rflags_rest & FLAG_IF))
        return STOP_NEXT;
    c->monitor_armed = false;
    c->halted = true;
    return STOP_HALT;
}

/* Of the extensions for virtual machines only VMCALL does something, in one place. */
enum weir_stop op_virt(struct vcpu *c, const struct insn *i)
{
    if (c->rom && i->modrm == 0xc1 && i->opcode == 0x01)
        return c->rom->call(c, i);
    return raise_ud(c);
}
