/* SPDX-License-Identifier: MIT */
/* int_misc.c - flag instructions, random numbers, and those that do nothing visible. */
#include "cpu/cpuid.h"
#include "cpu/interp/operands.h"

#include <sys/random.h>

/* ---- flags ---- */

#define AH_FLAGS (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF)

enum weir_stop op_lahf(struct vcpu *c, const struct insn *i)
{
    if (i->code_bits == 64 && !cpu_has(c, ISA_LAHF_LM))
        return raise_ud(c);
    reg_set(c, 16, 1, (c->flags & AH_FLAGS) | FLAG_FIXED);
    return STOP_NEXT;
}
enum weir_stop op_sahf(struct vcpu *c, const struct insn *i)
{
    if (i->code_bits == 64 && !cpu_has(c, ISA_LAHF_LM))
        return raise_ud(c);
    c->flags = (c->flags & FLAG_OF) | (reg_get(c, 16, 1) & AH_FLAGS);
    return STOP_NEXT;
}
enum weir_stop op_salc(struct vcpu *c, const struct insn *i)
{
    reg_set(c, RAX, 1, c->flags & FLAG_CF ? 0xff : 0);
    return STOP_NEXT;
}
enum weir_stop op_clc(struct vcpu *c, const struct insn *i)
{
    c->flags &= ~FLAG_CF;
    return STOP_NEXT;
}
enum weir_stop op_stc(struct vcpu *c, const struct insn *i)
{
    c->flags |= FLAG_CF;
    return STOP_NEXT;
}
enum weir_stop op_cmc(struct vcpu *c, const struct insn *i)
{
    c->flags ^= FLAG_CF;
    return STOP_NEXT;
}
/* DF is in rflags_rest, but no derived state depends on it. */
enum weir_stop op_cld(struct vcpu *c, const struct insn *i)
{
    c->rflags_rest &= ~FLAG_DF;
    return STOP_NEXT;
}
enum weir_stop op_std(struct vcpu *c, const struct insn *i)
{
    c->rflags_rest |= FLAG_DF;
    return STOP_NEXT;
}

/* ---- random numbers ---- */

/* CF = 0 would tell the guest to try again; getrandom fails only where the kernel lacks it. */
enum weir_stop op_rdrand(struct vcpu *c, const struct insn *i)
{
    uint64_t v = 0;
    bool ok = getrandom(&v, sizeof(v), 0) == sizeof(v);
    reg_set(c, i->rm, i->opsize, ok ? v : 0);
    c->flags = ok ? FLAG_CF : 0;
    return STOP_NEXT;
}
enum weir_stop op_rdseed(struct vcpu *c, const struct insn *i)
{
    return op_rdrand(c, i);
}

/* ---- nothing visible ---- */

enum weir_stop op_nop(struct vcpu *c, const struct insn *i)
{
    return STOP_NEXT;
}
THREADED(nop)
enum weir_stop op_pause(struct vcpu *c, const struct insn *i)
{
    return STOP_NEXT;
}
/* LFENCE, MFENCE, SFENCE, SERIALIZE: one vCPU sees its own accesses in order; devices are
 * reached through locks, and the rings they share need the full fence. */
enum weir_stop op_fence(struct vcpu *c, const struct insn *i)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return STOP_NEXT;
}
/* Faults as a load of the byte would. */
enum weir_stop op_clflush(struct vcpu *c, const struct insn *i)
{
    return mem_probe(c, i->seg, insn_offset(c, i), 1, ACCESS_READ) ? STOP_NEXT : STOP_FAULT;
}
enum weir_stop op_ud(struct vcpu *c, const struct insn *i)
{
    return raise_ud(c);
}
THREADED(ud)
