/* SPDX-License-Identifier: MIT */
/* sys_msr.c - RDMSR, WRMSR, time stamp and performance counters, CPUID, FS and GS bases. */
#include "cpu/cpuid.h"
#include "cpu/events.h"
#include "cpu/interp/operands.h"
#include "cpu/tlb.h"

static void set_edx_eax(struct vcpu *c, uint64_t value)
{
    c->gpr[RAX] = (uint32_t)value;
    c->gpr[RDX] = value >> 32;
}

enum weir_stop op_rdmsr(struct vcpu *c, const struct insn *i)
{
    uint64_t value;
    bool dropped;
    if (c->cpl || !msr_read(c, (uint32_t)c->gpr[RCX], &value))
        return raise_gp0(c);
    if (!event_msr(c, (uint32_t)c->gpr[RCX], false, value, &value, &dropped))
        return STOP_FAULT;
    set_edx_eax(c, value);
    return STOP_NEXT;
}

enum weir_stop op_wrmsr(struct vcpu *c, const struct insn *i)
{
    uint64_t value = (uint32_t)c->gpr[RAX] | c->gpr[RDX] << 32;
    bool dropped = false;
    if (c->cpl)
        return raise_gp0(c);
    if (event_here(c, WEIR_EV_MSR)) {
        uint64_t old = 0;
        msr_read(c, (uint32_t)c->gpr[RCX], &old);
        if (!event_msr(c, (uint32_t)c->gpr[RCX], true, old, &value, &dropped))
            return STOP_FAULT;
    }
    if (!dropped && !msr_write(c, (uint32_t)c->gpr[RCX], value))
        return raise_gp0(c);
    return STOP_BOUNDARY;
}

static bool tsc_disabled(const struct vcpu *c)
{
    return (c->cr4 & CR4_TSD) && c->cpl;
}

enum weir_stop op_rdtsc(struct vcpu *c, const struct insn *i)
{
    if (tsc_disabled(c))
        return raise_gp0(c);
    uint64_t value = cpu_tsc_read(c);
    if (!event_rdtsc(c, &value, false))
        return STOP_FAULT;
    set_edx_eax(c, value);
    return STOP_NEXT;
}

enum weir_stop op_rdtscp(struct vcpu *c, const struct insn *i)
{
    if (tsc_disabled(c))
        return raise_gp0(c);
    uint64_t value = cpu_tsc_read(c);
    if (!event_rdtsc(c, &value, true))
        return STOP_FAULT;
    set_edx_eax(c, value);
    c->gpr[RCX] = (uint32_t)c->tsc_aux;
    return STOP_NEXT;
}

enum weir_stop op_rdpid(struct vcpu *c, const struct insn *i)
{
    reg_set(c, i->rm, cpu_is_64bit(c) ? 8 : 4, (uint32_t)c->tsc_aux);
    return STOP_NEXT;
}

/* There is no performance monitoring; the two counters that every P6 has stand still. */
enum weir_stop op_rdpmc(struct vcpu *c, const struct insn *i)
{
    if ((c->cpl && !(c->cr4 & CR4_PCE)) || (uint32_t)c->gpr[RCX] > 1)
        return raise_gp0(c);
    set_edx_eax(c, 0);
    return STOP_NEXT;
}

enum weir_stop op_cpuid(struct vcpu *c, const struct insn *i)
{
    uint32_t out[4];
    if (!c->model->max_basic)
        return raise_ud(c);
    cpuid_query(c, (uint32_t)c->gpr[RAX], (uint32_t)c->gpr[RCX], out);
    if (!event_cpuid(c, (uint32_t)c->gpr[RAX], (uint32_t)c->gpr[RCX], out))
        return STOP_FAULT;
    c->gpr[RAX] = out[0];
    c->gpr[RBX] = out[1];
    c->gpr[RCX] = out[2];
    c->gpr[RDX] = out[3];
    return STOP_NEXT;
}

/* ---- FS and GS bases ---- */

static enum weir_stop read_base(struct vcpu *c, const struct insn *i, unsigned seg)
{
    if (!(c->cr4 & CR4_FSGSBASE))
        return raise_ud(c);
    reg_set(c, i->rm, size_y(i), c->seg[seg].base);
    return STOP_NEXT;
}

static enum weir_stop write_base(struct vcpu *c, const struct insn *i, unsigned seg)
{
    if (!(c->cr4 & CR4_FSGSBASE))
        return raise_ud(c);
    uint64_t base = reg_get(c, i->rm, size_y(i));
    if (!is_canonical(base))
        return raise_gp0(c);
    c->seg[seg].base = base;
    seg_cache_update(c, seg);
    return STOP_NEXT;
}

enum weir_stop op_rdfsbase(struct vcpu *c, const struct insn *i)
{
    return read_base(c, i, SEG_FS);
}
enum weir_stop op_rdgsbase(struct vcpu *c, const struct insn *i)
{
    return read_base(c, i, SEG_GS);
}
enum weir_stop op_wrfsbase(struct vcpu *c, const struct insn *i)
{
    return write_base(c, i, SEG_FS);
}
enum weir_stop op_wrgsbase(struct vcpu *c, const struct insn *i)
{
    return write_base(c, i, SEG_GS);
}

enum weir_stop op_swapgs(struct vcpu *c, const struct insn *i)
{
    if (c->cpl)
        return raise_gp0(c);
    uint64_t base = c->seg[SEG_GS].base;
    c->seg[SEG_GS].base = c->kernel_gs_base;
    c->kernel_gs_base = base;
    seg_cache_update(c, SEG_GS);
    return STOP_NEXT;
}
