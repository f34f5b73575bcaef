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

ALWAYS_INLINE enum weir_stop alu_register(struct vcpu *c, const struct insn *i, alu_fn *fn,
                                          unsigned size, bool store, uint64_t b)
{
    uint64_t v = fn(reg_get(c, i->rm, size), b, size, &c->flags);
    if (store)
        reg_set(c, i->rm, size, v);
    return next_insn(c, i);
}
/* Register and memory. */
ALWAYS_INLINE enum weir_stop alu_load(struct vcpu *c, const struct insn *i, alu_fn *fn,
                                      unsigned size, bool store, uint64_t b)
{
    uint64_t v = fn(reg_get(c, i->reg, size), b, size, &c->flags);
    if (store)
        reg_set(c, i->reg, size, v);
    return next_insn(c, i);
}
ALWAYS_INLINE enum weir_stop alu_rm(struct vcpu *c, const struct insn *i, alu_fn *fn,
                                    unsigned size, bool store)
{
    uint64_t b;
    if (UNLIKELY(!mem_load(c, i->seg, bound_offset(c, i), size, &b)))
        return stop_insn(c, i, STOP_FAULT);
    return alu_load(c, i, fn, size, store, b);
}
ALWAYS_INLINE enum weir_stop alu_rf(struct vcpu *c, const struct insn *i, alu_fn *fn,
                                    unsigned size, bool store, insn_fn *general)
{
    const void *p = flat_read(c, i, size);
    if (UNLIKELY(!p))
        return general(c, i);
    return alu_load(c, i, fn, size, store, load_le(p, size));
}
/* Memory and b, a register or an immediate. */
ALWAYS_INLINE enum weir_stop alu_memory(struct vcpu *c, const struct insn *i, alu_fn *fn,
                                        unsigned size, bool store, uint64_t b)
{
    uint64_t a, offset = bound_offset(c, i);
    struct mem_rmw m;
    if (!store) {
        if (UNLIKELY(!mem_load(c, i->seg, offset, size, &a)))
            return stop_insn(c, i, STOP_FAULT);
        fn(a, b, size, &c->flags);
        return next_insn(c, i);
    }
    if (UNLIKELY(!rmw_open_at(c, i, offset, size, &m)))
        return stop_insn(c, i, STOP_FAULT);
    rmw_close(c, &m, size, fn(m.value[0], b, size, &c->flags));
    return next_insn(c, i);
}
ALWAYS_INLINE enum weir_stop alu_flat(struct vcpu *c, const struct insn *i, alu_fn *fn,
                                      unsigned size, bool store, uint64_t b, insn_fn *general)
{
    void *p = store ? flat_write(c, i, size) : flat_read(c, i, size);
    if (UNLIKELY(!p))
        return general(c, i);
    uint64_t v = fn(load_le(p, size), b, size, &c->flags);
    if (store)
        store_le(p, v, size);
    return next_insn(c, i);
}
ALWAYS_INLINE enum weir_stop alu_locked(struct vcpu *c, const struct insn *i, alu_fn *fn,
                                        unsigned size, uint64_t b)
{
    struct mem_rmw m;
    uint32_t flags;
    uint64_t v;
    if (UNLIKELY(!rmw_open(c, i, size, &m)))
        return stop_insn(c, i, STOP_FAULT);
    do {
        flags = c->flags;
        v = fn(m.value[0], b, size, &flags);
    } while (!rmw_exchange(c, &m, size, v));
    c->flags = flags;
    return next_insn(c, i);
}

#define ALU_FORM(name, form, size, expression)                                                 \
    static enum weir_stop name##_##form##_##size(struct vcpu *c, const struct insn *i)         \
    {                                                                                          \
        return expression;                                                                     \
    }

#define ALU_FORMS(name, size, store)                                                           \
    ALU_FORM(name, rr, size,                                                                   \
             alu_register(c, i, alu_##name, size, store, reg_get(c, i->reg, size)))            \
    ALU_FORM(name, ri, size, alu_register(c, i, alu_##name, size, store, i->imm))              \
    ALU_FORM(name, rm, size, alu_rm(c, i, alu_##name, size, store))                            \
    ALU_FORM(name, mr, size,                                                                   \
             alu_memory(c, i, alu_##name, size, store, reg_get(c, i->reg, size)))              \
    ALU_FORM(name, mi, size, alu_memory(c, i, alu_##name, size, store, i->imm))                \
    ALU_FORM(name, rf, size, alu_rf(c, i, alu_##name, size, store, name##_rm_##size))          \
    ALU_FORM(                                                                                  \
        name, fr, size,                                                                        \
        alu_flat(c, i, alu_##name, size, store, reg_get(c, i->reg, size), name##_mr_##size))   \
    ALU_FORM(name, fi, size, alu_flat(c, i, alu_##name, size, store, i->imm, name##_mi_##size))

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
        static insn_fn *const forms[FORM_COUNT][4] = {                                         \
            [FORM_RR] = ALU_ROW(name, rr), [FORM_RI] = ALU_ROW(name, ri),                      \
            [FORM_RM] = ALU_ROW(name, rm), [FORM_MR] = ALU_ROW(name, mr),                      \
            [FORM_MI] = ALU_ROW(name, mi), [FORM_RF] = ALU_ROW(name, rf),                      \
            [FORM_FR] = ALU_ROW(name, fr), [FORM_FI] = ALU_ROW(name, fi),                      \
        };                                                                                     \
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
ALU_OP(cmp, false, run_ud) /* the decoder refuses LOCK CMP */
ALU_OP(test, false, run_ud)

/* ---- one operand ---- */

#define UNARY_FORMS(name, size)                                                                \
    ALU_FORM(name, r, size, alu_register(c, i, alu_##name, size, true, 0))                     \
    ALU_FORM(name, m, size, alu_memory(c, i, alu_##name, size, true, 0))                       \
    ALU_FORM(name, f, size, alu_flat(c, i, alu_##name, size, true, 0, name##_m_##size))

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
        static insn_fn *const flat[4] = ALU_ROW(name, f);                                      \
        if (i->prefixes & PFX_LOCK)                                                            \
            return name##_locked;                                                              \
        address_bind(i);                                                                       \
        if (i->mem)                                                                            \
            return (is_flat(i) ? flat : memory)[size_index(i->opsize)];                        \
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
