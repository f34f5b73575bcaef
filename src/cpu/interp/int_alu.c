/* SPDX-License-Identifier: MIT */
/*
 * int_alu.c - ADD OR ADC SBB AND SUB XOR CMP TEST, INC DEC NEG NOT.
 *
 * Each operation is one alu_fn; the functions of its forms (register, memory, immediate; four
 * sizes) are made from it by inlining. With LOCK the memory forms go a way of their own that
 * updates host memory atomically.
 */
#include "cpu/interp/operands.h"

/* ---- the forms ---- */

ALWAYS_INLINE enum weir_stop alu_rr(struct vcpu *c, const struct insn *i, alu_fn *fn,
                                    unsigned size, bool store)
{
    uint64_t v = fn(reg_get(c, i->rm, size), reg_get(c, i->reg, size), size, &c->flags);
    if (store)
        reg_set(c, i->rm, size, v);
    return STOP_NEXT;
}
ALWAYS_INLINE enum weir_stop alu_ri(struct vcpu *c, const struct insn *i, alu_fn *fn,
                                    unsigned size, bool store)
{
    uint64_t v = fn(reg_get(c, i->rm, size), i->imm, size, &c->flags);
    if (store)
        reg_set(c, i->rm, size, v);
    return STOP_NEXT;
}
ALWAYS_INLINE enum weir_stop alu_rm(struct vcpu *c, const struct insn *i, alu_fn *fn,
                                    unsigned size, bool store)
{
    uint64_t b;
    if (UNLIKELY(!mem_load(c, i->seg, insn_offset(c, i), size, &b)))
        return STOP_FAULT;
    uint64_t v = fn(reg_get(c, i->reg, size), b, size, &c->flags);
    if (store)
        reg_set(c, i->reg, size, v);
    return STOP_NEXT;
}
/* b: register or immediate. */
ALWAYS_INLINE enum weir_stop alu_memory(struct vcpu *c, const struct insn *i, alu_fn *fn,
                                        unsigned size, bool store, uint64_t b)
{
    struct mem_rmw m;
    if (!store) {
        uint64_t a;
        if (UNLIKELY(!mem_load(c, i->seg, insn_offset(c, i), size, &a)))
            return STOP_FAULT;
        fn(a, b, size, &c->flags);
        return STOP_NEXT;
    }
    if (UNLIKELY(!rmw_open(c, i, size, &m)))
        return STOP_FAULT;
    rmw_close(c, &m, size, fn(m.value[0], b, size, &c->flags));
    return STOP_NEXT;
}
ALWAYS_INLINE enum weir_stop alu_locked(struct vcpu *c, const struct insn *i, alu_fn *fn,
                                        unsigned size, uint64_t b)
{
    struct mem_rmw m;
    uint32_t flags;
    uint64_t v;
    if (UNLIKELY(!rmw_open(c, i, size, &m)))
        return STOP_FAULT;
    do {
        flags = c->flags;
        v = fn(m.value[0], b, size, &flags);
    } while (!rmw_exchange(c, &m, size, v));
    c->flags = flags;
    return STOP_NEXT;
}

#define ALU_FORMS(name, size, store)                                                           \
    static enum weir_stop name##_rr_##size(struct vcpu *c, const struct insn *i)               \
    {                                                                                          \
        return alu_rr(c, i, alu_##name, size, store);                                          \
    }                                                                                          \
    static enum weir_stop name##_ri_##size(struct vcpu *c, const struct insn *i)               \
    {                                                                                          \
        return alu_ri(c, i, alu_##name, size, store);                                          \
    }                                                                                          \
    static enum weir_stop name##_rm_##size(struct vcpu *c, const struct insn *i)               \
    {                                                                                          \
        return alu_rm(c, i, alu_##name, size, store);                                          \
    }                                                                                          \
    static enum weir_stop name##_mr_##size(struct vcpu *c, const struct insn *i)               \
    {                                                                                          \
        return alu_memory(c, i, alu_##name, size, store, reg_get(c, i->reg, size));            \
    }                                                                                          \
    static enum weir_stop name##_mi_##size(struct vcpu *c, const struct insn *i)               \
    {                                                                                          \
        return alu_memory(c, i, alu_##name, size, store, i->imm);                              \
    }

#define ALU_ROW(name, form)                                                                    \
    {                                                                                          \
        name##_##form##_1, name##_##form##_2, name##_##form##_4, name##_##form##_8             \
    }

/* The locked forms of an operation: one function each, size decided when it runs. */
#define ALU_LOCKED(name)                                                                       \
    static enum weir_stop name##_locked(struct vcpu *c, const struct insn *i)                  \
    {                                                                                          \
        bool imm = insn_row(i)->operands[1].kind == KIND_I;                                    \
        uint64_t b = imm ? i->imm : reg_get(c, i->reg, i->opsize);                             \
        switch (i->opsize) {                                                                   \
        case 1:                                                                                \
            return alu_locked(c, i, alu_##name, 1, b);                                         \
        case 2:                                                                                \
            return alu_locked(c, i, alu_##name, 2, b);                                         \
        case 4:                                                                                \
            return alu_locked(c, i, alu_##name, 4, b);                                         \
        default:                                                                               \
            return alu_locked(c, i, alu_##name, 8, b);                                         \
        }                                                                                      \
    }

#define ALU_OP(name, store, locked)                                                            \
    ALU_FORMS(name, 1, store)                                                                  \
    ALU_FORMS(name, 2, store)                                                                  \
    ALU_FORMS(name, 4, store)                                                                  \
    ALU_FORMS(name, 8, store)                                                                  \
    insn_fn *bind_##name(const struct vcpu *c, struct insn *i)                                 \
    {                                                                                          \
        static insn_fn *const forms[FORM_COUNT][4] = {[FORM_RR] = ALU_ROW(name, rr),           \
                                                      [FORM_RM] = ALU_ROW(name, rm),           \
                                                      [FORM_MR] = ALU_ROW(name, mr),           \
                                                      [FORM_RI] = ALU_ROW(name, ri),           \
                                                      [FORM_MI] = ALU_ROW(name, mi)};          \
        if (i->prefixes & PFX_LOCK)                                                            \
            return locked;                                                                     \
        return forms[form_normalise(i)][size_index(i->opsize)];                                \
    }                                                                                          \
    enum weir_stop op_##name(struct vcpu *c, const struct insn *i)                             \
    {                                                                                          \
        return run_bound(c, i, bind_##name);                                                   \
    }

ALU_LOCKED(add)
ALU_LOCKED(or)
ALU_LOCKED(adc)
ALU_LOCKED(sbb)
ALU_LOCKED(and)
ALU_LOCKED(sub)
ALU_LOCKED(xor)
#define alu_cmp  alu_sub
#define alu_test alu_and
ALU_OP(add, true, add_locked)
ALU_OP(or, true, or_locked)
ALU_OP(adc, true, adc_locked)
ALU_OP(sbb, true, sbb_locked)
ALU_OP(and, true, and_locked)
ALU_OP(sub, true, sub_locked)
ALU_OP(xor, true, xor_locked)
ALU_OP(cmp, false, op_ud) /* the decoder refuses LOCK CMP */
ALU_OP(test, false, op_ud)

/* ---- one operand ---- */

#define UNARY_FORMS(name, size)                                                                \
    static enum weir_stop name##_r_##size(struct vcpu *c, const struct insn *i)                \
    {                                                                                          \
        uint64_t v = alu_##name(reg_get(c, i->rm, size), 0, size, &c->flags);                  \
        reg_set(c, i->rm, size, v);                                                            \
        return STOP_NEXT;                                                                      \
    }                                                                                          \
    static enum weir_stop name##_m_##size(struct vcpu *c, const struct insn *i)                \
    {                                                                                          \
        return alu_memory(c, i, alu_##name, size, true, 0);                                    \
    }

#define UNARY_OP(name)                                                                         \
    UNARY_FORMS(name, 1)                                                                       \
    UNARY_FORMS(name, 2)                                                                       \
    UNARY_FORMS(name, 4)                                                                       \
    UNARY_FORMS(name, 8)                                                                       \
    ALU_LOCKED(name)                                                                           \
    insn_fn *bind_##name(const struct vcpu *c, struct insn *i)                                 \
    {                                                                                          \
        static insn_fn *const registers[4] = ALU_ROW(name, r);                                 \
        static insn_fn *const memory[4] = ALU_ROW(name, m);                                    \
        if (i->mem)                                                                            \
            return i->prefixes & PFX_LOCK ? name##_locked : memory[size_index(i->opsize)];     \
        if (insn_row(i)->operands[0].kind == KIND_Z)                                           \
            i->rm = i->reg; /* 40+r, 48+r */                                                   \
        return registers[size_index(i->opsize)];                                               \
    }                                                                                          \
    enum weir_stop op_##name(struct vcpu *c, const struct insn *i)                             \
    {                                                                                          \
        return run_bound(c, i, bind_##name);                                                   \
    }

UNARY_OP(inc)
UNARY_OP(dec)
UNARY_OP(neg)
UNARY_OP(not )
