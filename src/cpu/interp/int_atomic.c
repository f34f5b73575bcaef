/* SPDX-License-Identifier: MIT */
/*
 * int_atomic.c - XCHG, XADD, CMPXCHG, CMPXCHG8B/16B, and how LOCKed updates reach memory.
 *
 * Devices and the embedder's threads share guest RAM, so LOCKed instructions (and XCHG with
 * memory, always) use host atomics where the operand lies directly in RAM.
 */
#include "cpu/interp/operands.h"

bool rmw_exchange(struct vcpu *c, struct mem_rmw *m, unsigned size, uint64_t v)
{
    if (!rmw_atomic_ok(m, size)) {
        rmw_close(c, m, size, v);
        return true;
    }
    uint64_t old = m->value[0];
    bool done;
    switch (size) {
    case 1: {
        uint8_t o = (uint8_t)old;
        done = __atomic_compare_exchange_n((uint8_t *)m->host, &o, (uint8_t)v, false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        old = o;
        break;
    }
    case 2: {
        uint16_t o = (uint16_t)old;
        done = __atomic_compare_exchange_n((uint16_t *)m->host, &o, (uint16_t)v, false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        old = o;
        break;
    }
    case 4: {
        uint32_t o = (uint32_t)old;
        done = __atomic_compare_exchange_n((uint32_t *)m->host, &o, (uint32_t)v, false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        old = o;
        break;
    }
    default:
        done = __atomic_compare_exchange_n((uint64_t *)m->host, &old, v, false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        break;
    }
    m->value[0] = old;
    return done;
}

/* 90+r names its register in the opcode, its other operand is rAX. */
enum weir_stop op_xchg(struct vcpu *c, const struct insn *i)
{
    unsigned size = i->opsize;
    if (!i->mem) {
        const struct operand_form *forms = insn_row(i)->operands;
        bool short_form = forms[0].kind == KIND_Z || forms[1].kind == KIND_Z;
        unsigned a = i->reg, b = short_form ? RAX : i->rm;
        uint64_t v = reg_get(c, a, size);
        reg_set(c, a, size, reg_get(c, b, size));
        reg_set(c, b, size, v);
        return STOP_NEXT;
    }
    struct mem_rmw m;
    if (!rmw_open(c, i, size, &m))
        return STOP_FAULT;
    while (!rmw_exchange(c, &m, size, reg_get(c, i->reg, size)))
        ;
    reg_set(c, i->reg, size, m.value[0]);
    return STOP_NEXT;
}

THREADED(xchg)

static uint64_t add_sized(uint64_t a, uint64_t b, unsigned size, uint32_t *flags)
{
    switch (size) {
    case 1:
        return alu_add(a, b, 1, flags);
    case 2:
        return alu_add(a, b, 2, flags);
    case 4:
        return alu_add(a, b, 4, flags);
    default:
        return alu_add(a, b, 8, flags);
    }
}
static void compare_sized(uint64_t a, uint64_t b, unsigned size, uint32_t *flags)
{
    switch (size) {
    case 1:
        alu_sub(a, b, 1, flags);
        break;
    case 2:
        alu_sub(a, b, 2, flags);
        break;
    case 4:
        alu_sub(a, b, 4, flags);
        break;
    default:
        alu_sub(a, b, 8, flags);
        break;
    }
}

/* Writes memory: with LOCK by compare-and-exchange (false: try again), else plainly. */
static bool update(struct vcpu *c, const struct insn *i, struct mem_rmw *m, uint64_t v)
{
    if (i->prefixes & PFX_LOCK)
        return rmw_exchange(c, m, i->opsize, v);
    rmw_close(c, m, i->opsize, v);
    return true;
}

enum weir_stop op_xadd(struct vcpu *c, const struct insn *i)
{
    unsigned size = i->opsize;
    uint64_t b = reg_get(c, i->reg, size);
    uint32_t flags = c->flags;
    if (!i->mem) {
        uint64_t a = reg_get(c, i->rm, size);
        uint64_t sum = add_sized(a, b, size, &c->flags);
        reg_set(c, i->reg, size, a);
        reg_set(c, i->rm, size, sum);
        return STOP_NEXT;
    }
    struct mem_rmw m;
    uint64_t sum;
    if (!rmw_open(c, i, size, &m))
        return STOP_FAULT;
    do
        sum = add_sized(m.value[0], b, size, &flags);
    while (!update(c, i, &m, sum));
    c->flags = flags;
    reg_set(c, i->reg, size, m.value[0]);
    return STOP_NEXT;
}

/* Memory is always written: with its old value if the comparison fails. rAX then gets the old
 * value; a 32-bit register destination is zero-extended in both cases. */
enum weir_stop op_cmpxchg(struct vcpu *c, const struct insn *i)
{
    unsigned size = i->opsize;
    uint64_t expected = reg_get(c, RAX, size), replacement = reg_get(c, i->reg, size), old;
    bool equal;
    if (i->mem) {
        struct mem_rmw m;
        if (!rmw_open(c, i, size, &m))
            return STOP_FAULT;
        do
            equal = m.value[0] == expected;
        while (!update(c, i, &m, equal ? replacement : m.value[0]));
        old = m.value[0];
    } else {
        old = reg_get(c, i->rm, size);
        equal = old == expected;
        if (equal)
            reg_set(c, i->rm, size, replacement);
    }
    compare_sized(expected, old, size, &c->flags);
    if (!equal)
        reg_set(c, RAX, size, old);
    return STOP_NEXT;
}

THREADED(xadd)
THREADED(cmpxchg)

enum weir_stop op_cmpxchg8b(struct vcpu *c, const struct insn *i)
{
    uint64_t expected = c->gpr[RDX] << 32 | (uint32_t)c->gpr[RAX];
    uint64_t replacement = c->gpr[RCX] << 32 | (uint32_t)c->gpr[RBX];
    struct mem_rmw m;
    bool equal;
    if (!rmw_open(c, i, 8, &m))
        return STOP_FAULT;
    do
        equal = m.value[0] == expected;
    while (!rmw_exchange(c, &m, 8, equal ? replacement : m.value[0]));
    c->flags = (c->flags & ~FLAG_ZF) | (equal ? FLAG_ZF : 0);
    if (!equal) {
        c->gpr[RAX] = (uint32_t)m.value[0];
        c->gpr[RDX] = m.value[0] >> 32;
    }
    return STOP_NEXT;
}

/* lock cmpxchg16b of host memory; the feature is offered only where the host has it, because
 * nothing else updates 16 bytes atomically. */
static bool exchange_16(struct vcpu *c, struct mem_rmw *m, const uint64_t value[2])
{
    if (!m->host) {
        mem_rmw_commit(c, m, value);
        return true;
    }
    bool done;
    __asm__ volatile("lock cmpxchg16b %1\n\tsete %0"
                     : "=q"(done), "+m"(*(unsigned __int128 *)m->host), "+a"(m->value[0]),
                       "+d"(m->value[1])
                     : "b"(value[0]), "c"(value[1])
                     : "cc", "memory");
    return done;
}

enum weir_stop op_cmpxchg16b(struct vcpu *c, const struct insn *i)
{
    uint64_t linear, offset = insn_offset(c, i);
    struct mem_rmw m;
    bool equal;
    if (!seg_linear(c, i->seg, offset, 16, ACCESS_WRITE, &linear))
        return STOP_FAULT;
    if (linear & 15)
        return raise_gp0(c);
    if (!mem_rmw_begin(c, i->seg, offset, 16, &m))
        return STOP_FAULT;
    uint64_t value[2];
    do {
        equal = m.value[0] == c->gpr[RAX] && m.value[1] == c->gpr[RDX];
        value[0] = equal ? c->gpr[RBX] : m.value[0];
        value[1] = equal ? c->gpr[RCX] : m.value[1];
    } while (!exchange_16(c, &m, value));
    c->flags = (c->flags & ~FLAG_ZF) | (equal ? FLAG_ZF : 0);
    if (!equal) {
        c->gpr[RAX] = m.value[0];
        c->gpr[RDX] = m.value[1];
    }
    return STOP_NEXT;
}
