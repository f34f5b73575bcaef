/* SPDX-License-Identifier: MIT */
/*
 * int_shift.c - shifts, rotates, double shifts. Counts are masked to 5 bits (6 with 64-bit
 * operands); a count of zero changes neither operand nor flags.
 */
#include "cpu/interp/operands.h"

static unsigned shift_count(const struct vcpu *c, const struct insn *i)
{
    uint64_t count;
    if (i->opcode >= 0xd2)
        count = c->gpr[RCX];
    else
        count = i->opcode >= 0xd0 ? 1 : i->imm;
    return count & (i->opsize == 8 ? 63 : 31);
}

ALWAYS_INLINE uint64_t shift_sized(uint64_t a, unsigned count, unsigned size, alu_fn *fn,
                                   uint32_t *flags)
{
    switch (size) {
    case 1:
        return fn(a, count, 1, flags);
    case 2:
        return fn(a, count, 2, flags);
    case 4:
        return fn(a, count, 4, flags);
    default:
        return fn(a, count, 8, flags);
    }
}

ALWAYS_INLINE enum weir_stop shift(struct vcpu *c, const struct insn *i, alu_fn *fn)
{
    unsigned size = i->opsize, count = shift_count(c, i);
    if (!i->mem) {
        uint64_t a = reg_get(c, i->rm, size);
        if (count)
            a = shift_sized(a, count, size, fn, &c->flags);
        reg_set(c, i->rm, size, a); /* a count of zero still clears bits 63:32 */
        return STOP_NEXT;
    }
    struct mem_rmw m;
    if (!rmw_open(c, i, size, &m))
        return STOP_FAULT;
    if (count)
        rmw_close(c, &m, size, shift_sized(m.value[0], count, size, fn, &c->flags));
    return STOP_NEXT;
}

enum weir_stop op_rol(struct vcpu *c, const struct insn *i)
{
    return shift(c, i, alu_rol);
}
enum weir_stop op_ror(struct vcpu *c, const struct insn *i)
{
    return shift(c, i, alu_ror);
}
THREADED(rol)
THREADED(ror)
enum weir_stop op_rcl(struct vcpu *c, const struct insn *i)
{
    return shift(c, i, alu_rcl);
}
enum weir_stop op_rcr(struct vcpu *c, const struct insn *i)
{
    return shift(c, i, alu_rcr);
}

/* Registers shifted by a constant are frequent: a function for each of 32 and 64 bits. */
#define SHIFT_OP(name)                                                                         \
    static enum weir_stop name##_any(struct vcpu *c, const struct insn *i)                     \
    {                                                                                          \
        return thread(c, i, shift(c, i, alu_##name));                                          \
    }                                                                                          \
    static enum weir_stop name##_ri_4(struct vcpu *c, const struct insn *i)                    \
    {                                                                                          \
        c->gpr[i->rm] = alu_##name(c->gpr[i->rm], i->imm, 4, &c->flags);                       \
        return next_insn(c, i);                                                                \
    }                                                                                          \
    static enum weir_stop name##_ri_8(struct vcpu *c, const struct insn *i)                    \
    {                                                                                          \
        c->gpr[i->rm] = alu_##name(c->gpr[i->rm], i->imm, 8, &c->flags);                       \
        return next_insn(c, i);                                                                \
    }                                                                                          \
    insn_fn *bind_##name(const struct vcpu *c, struct insn *i)                                 \
    {                                                                                          \
        unsigned count = i->opcode >= 0xd2 ? 0 : shift_count(c, i);                            \
        if (i->mem || !count || i->opsize < 4)                                                 \
            return name##_any;                                                                 \
        i->imm = count;                                                                        \
        return i->opsize == 4 ? name##_ri_4 : name##_ri_8;                                     \
    }                                                                                          \
    enum weir_stop op_##name(struct vcpu *c, const struct insn *i)                             \
    {                                                                                          \
        return run_bound(c, i, bind_##name);                                                   \
    }

SHIFT_OP(shl)
SHIFT_OP(shr)
SHIFT_OP(sar)

/* ---- SHLD, SHRD: by the host, for its results where the SDM has none (16 bits, count > 16) */

#define DOUBLE_CASE(bytes, type, text)                                                         \
    case bytes: {                                                                              \
        type r = (type)a;                                                                      \
        __asm__(text ALU_COLLECT                                                               \
                : "=a"(ax), "+r"(r)                                                            \
                : "r"((type)b), "c"((uint8_t)count)                                            \
                : "cc");                                                                       \
        a = r;                                                                                 \
        break;                                                                                 \
    }

#define DOUBLE_SHIFT(name)                                                                     \
    static uint64_t name##_value(uint64_t a, uint64_t b, unsigned count, unsigned size,        \
                                 uint32_t *flags)                                              \
    {                                                                                          \
        uint32_t ax;                                                                           \
        switch (size) {                                                                        \
            DOUBLE_CASE(2, uint16_t, #name " %%cl, %2, %1")                                    \
            DOUBLE_CASE(4, uint32_t, #name " %%cl, %2, %1")                                    \
        default:                                                                               \
            DOUBLE_CASE(8, uint64_t, #name " %%cl, %2, %1")                                    \
        }                                                                                      \
        *flags = flags_pack(ax);                                                               \
        return a;                                                                              \
    }
DOUBLE_SHIFT(shld)
DOUBLE_SHIFT(shrd)

typedef uint64_t double_fn(uint64_t a, uint64_t b, unsigned count, unsigned size,
                           uint32_t *flags);

/* A4, AC: imm8; A5, AD: CL. */
static enum weir_stop double_shift(struct vcpu *c, const struct insn *i, double_fn *fn)
{
    unsigned size = i->opsize;
    unsigned count = (unsigned)(i->opcode & 1 ? c->gpr[RCX] : i->imm) & (size == 8 ? 63 : 31);
    uint64_t b = reg_get(c, i->reg, size);
    if (!i->mem) {
        uint64_t a = reg_get(c, i->rm, size);
        if (count)
            a = fn(a, b, count, size, &c->flags);
        reg_set(c, i->rm, size, a);
        return STOP_NEXT;
    }
    struct mem_rmw m;
    if (!rmw_open(c, i, size, &m))
        return STOP_FAULT;
    if (count)
        rmw_close(c, &m, size, fn(m.value[0], b, count, size, &c->flags));
    return STOP_NEXT;
}

enum weir_stop op_shld(struct vcpu *c, const struct insn *i)
{
    return double_shift(c, i, shld_value);
}
enum weir_stop op_shrd(struct vcpu *c, const struct insn *i)
{
    return double_shift(c, i, shrd_value);
}
THREADED(shld)
THREADED(shrd)
