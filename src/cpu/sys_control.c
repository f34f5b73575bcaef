/* SPDX-License-Identifier: MIT */
/* sys_control.c - control and debug registers, TLB and cache invalidation, XCR0. */
#include "cpu/control.h"
#include "cpu/cpuid.h"
#include "cpu/events.h"
#include "cpu/interp/operands.h"
#include "cpu/tlb.h"

/* A write by an instruction, with its events. */
static enum weir_stop write_control(struct vcpu *c, unsigned n, uint64_t value)
{
    bool dropped = false;
    if (UNLIKELY(c->ev.inside) && !event_control(c, n, cr_read(c, n), &value, &dropped))
        return STOP_FAULT;
    return dropped ? STOP_BOUNDARY : cr_write(c, n, value);
}

enum weir_stop op_smsw(struct vcpu *c, const struct insn *i)
{
    if ((c->cr4 & CR4_UMIP) && c->cpl)
        return raise_gp0(c);
    return rm_store(c, i, i->mem ? 2 : i->opsize, cr_read(c, 0)) ? STOP_NEXT : STOP_FAULT;
}

enum weir_stop op_lmsw(struct vcpu *c, const struct insn *i)
{
    uint64_t v;
    if (c->cpl)
        return raise_gp0(c);
    if (!rm_load(c, i, 2, &v))
        return STOP_FAULT;
    /* MP, EM and TS are loaded, PE can only be set. */
    return write_control(c, 0, (cr_read(c, 0) & ~0xeull) | (v & 0xf));
}

enum weir_stop op_clts(struct vcpu *c, const struct insn *i)
{
    if (c->cpl)
        return raise_gp0(c);
    uint64_t value = c->cr0 & ~(uint64_t)CR0_TS;
    bool dropped = false;
    if (UNLIKELY(c->ev.inside) && !event_control(c, 0, c->cr0, &value, &dropped))
        return STOP_FAULT;
    if (!dropped)
        c->cr0 &= ~(uint64_t)CR0_TS | (c->cr_guard[0].mask & CR0_TS);
    return STOP_NEXT;
}

enum weir_stop op_mov_cr(struct vcpu *c, const struct insn *i)
{
    unsigned n = i->reg, size = cpu_is_64bit(c) ? 8 : 4;
    if (n != 0 && n != 2 && n != 3 && n != 4 && !(n == 8 && size == 8))
        return raise_ud(c);
    if (c->cpl)
        return raise_gp0(c);
    if (i->opcode == 0x22)
        return write_control(c, n, reg_get(c, i->rm, size));
    reg_set(c, i->rm, size, cr_read(c, n));
    return STOP_NEXT;
}

enum weir_stop op_mov_dr(struct vcpu *c, const struct insn *i)
{
    unsigned n = i->reg, size = cpu_is_64bit(c) ? 8 : 4;
    if (n > 7 || ((n == 4 || n == 5) && (c->cr4 & CR4_DE)))
        return raise_ud(c);
    if (c->cpl)
        return raise_gp0(c);
    if (c->dr[7] & DR7_GD) {
        c->fault = (struct x86_fault){.vector = VEC_DB, .dr6_bits = DR6_BD};
        return STOP_FAULT;
    }
    if (n == 4 || n == 5)
        n += 2;
    if (i->opcode == 0x21) {
        reg_set(c, i->rm, size, dr_read(c, n));
        return STOP_NEXT;
    }
    return dr_write(c, n, reg_get(c, i->rm, size)) ? STOP_BOUNDARY : raise_gp0(c);
}

enum weir_stop op_invlpg(struct vcpu *c, const struct insn *i)
{
    if (c->cpl)
        return raise_gp0(c);
    uint64_t linear = (c->segc[i->seg].base + insn_offset(c, i)) & c->linear_mask;
    if (!event_invlpg(c, -1, linear, c->cr4 & CR4_PCIDE ? c->cr3 & 0xfff : 0))
        return STOP_FAULT;
    if (is_canonical(linear) || !cpu_is_64bit(c))
        tlb_flush_page(c, linear);
    return STOP_BOUNDARY;
}

enum weir_stop op_invpcid(struct vcpu *c, const struct insn *i)
{
    enum { ADDRESS, SINGLE, ALL, ALL_NON_GLOBAL };
    uint8_t raw[16];
    if (c->cpl)
        return raise_gp0(c);
    uint64_t type = reg_get(c, i->reg, cpu_is_64bit(c) ? 8 : 4);
    if (!mem_read_bytes(c, i->seg, insn_offset(c, i), raw, sizeof(raw)))
        return STOP_FAULT;
    uint64_t pcid = load_le(raw, 8), linear = load_le(raw + 8, 8);
    uint64_t current = c->cr4 & CR4_PCIDE ? c->cr3 & 0xfff : 0;
    if (type > ALL_NON_GLOBAL || pcid >> 12 ||
        (type <= SINGLE && pcid && !(c->cr4 & CR4_PCIDE)) ||
        (type == ADDRESS && !is_canonical(linear)))
        return raise_gp0(c);
    if (!event_invlpg(c, (int)type, linear, (unsigned)pcid))
        return STOP_FAULT;
    if (type == ADDRESS && pcid == current)
        tlb_flush_page(c, linear);
    else if (type <= SINGLE)
        tlb_flush_pcid(c, (unsigned)pcid, false);
    else
        tlb_flush_all(c); /* more than asked for is allowed */
    return STOP_BOUNDARY;
}

enum weir_stop op_invd(struct vcpu *c, const struct insn *i)
{
    return c->cpl ? raise_gp0(c) : STOP_NEXT;
}
enum weir_stop op_wbinvd(struct vcpu *c, const struct insn *i)
{
    return c->cpl ? raise_gp0(c) : STOP_NEXT;
}

enum weir_stop op_xgetbv(struct vcpu *c, const struct insn *i)
{
    uint32_t n = (uint32_t)c->gpr[RCX];
    if (!(c->cr4 & CR4_OSXSAVE))
        return raise_ud(c);
    /* Register 1 is XINUSE: every enabled component counts as in use. */
    if (n > 1 || (n == 1 && !cpu_has(c, ISA_XGETBV1)))
        return raise_gp0(c);
    c->gpr[RAX] = (uint32_t)c->xcr0;
    c->gpr[RDX] = c->xcr0 >> 32;
    return STOP_NEXT;
}

enum weir_stop op_xsetbv(struct vcpu *c, const struct insn *i)
{
    uint64_t value = (uint32_t)c->gpr[RAX] | c->gpr[RDX] << 32;
    if (!(c->cr4 & CR4_OSXSAVE))
        return raise_ud(c);
    bool dropped = false;
    if (c->cpl || (uint32_t)c->gpr[RCX] != 0)
        return raise_gp0(c);
    if (UNLIKELY(c->ev.inside) && !event_control(c, 0x100, c->xcr0, &value, &dropped))
        return STOP_FAULT;
    if (!dropped && !xcr0_write(c, value))
        return raise_gp0(c);
    return STOP_BOUNDARY;
}

/* Protection keys are not offered, so CR4.PKE is never set. */
enum weir_stop op_rdpkru(struct vcpu *c, const struct insn *i)
{
    return raise_ud(c);
}
enum weir_stop op_wrpkru(struct vcpu *c, const struct insn *i)
{
    return raise_ud(c);
}
