/* SPDX-License-Identifier: MIT */
/* int_mov.c - data movement between registers and memory; exchanges are in int_atomic.c. */
#include "cpu/interp/operands.h"

/* ---- MOV ---- */

/* The general way of a load or store whose flat way missed. */
ALWAYS_INLINE enum weir_stop mov_load(struct vcpu *c, const struct insn *i, unsigned size)
{
    uint64_t v;
    if (UNLIKELY(!mem_load(c, i->seg, bound_offset(c, i), size, &v)))
        return stop_insn(c, i, STOP_FAULT);
    reg_set(c, i->reg, size, v);
    return next_insn(c, i);
}
ALWAYS_INLINE enum weir_stop mov_store(struct vcpu *c, const struct insn *i, unsigned size,
                                       uint64_t v)
{
    if (UNLIKELY(!mem_store(c, i->seg, bound_offset(c, i), size, v)))
        return stop_insn(c, i, STOP_FAULT);
    return next_insn(c, i);
}
ALWAYS_INLINE enum weir_stop mov_flat_load(struct vcpu *c, const struct insn *i, unsigned size,
                                           insn_fn *general)
{
    const void *p = flat_read(c, i, size);
    if (UNLIKELY(!p))
        return general(c, i);
    reg_set(c, i->reg, size, load_le(p, size));
    return next_insn(c, i);
}
ALWAYS_INLINE enum weir_stop mov_flat_store(struct vcpu *c, const struct insn *i, unsigned size,
                                            uint64_t v, insn_fn *general)
{
    void *p = flat_write(c, i, size);
    if (UNLIKELY(!p))
        return general(c, i);
    store_le(p, v, size);
    return next_insn(c, i);
}
ALWAYS_INLINE enum weir_stop mov_register(struct vcpu *c, const struct insn *i, unsigned size,
                                          uint64_t v)
{
    reg_set(c, i->rm, size, v);
    return next_insn(c, i);
}

#define MOV_FORM(form, size, expression)                                                       \
    static enum weir_stop mov_##form##_##size(struct vcpu *c, const struct insn *i)            \
    {                                                                                          \
        return expression;                                                                     \
    }
#define MOV_FORMS(size)                                                                        \
    MOV_FORM(rr, size, mov_register(c, i, size, reg_get(c, i->reg, size)))                     \
    MOV_FORM(ri, size, mov_register(c, i, size, i->imm))                                       \
    MOV_FORM(rm, size, mov_load(c, i, size))                                                   \
    MOV_FORM(mr, size, mov_store(c, i, size, reg_get(c, i->reg, size)))                        \
    MOV_FORM(mi, size, mov_store(c, i, size, i->imm))                                          \
    MOV_FORM(rf, size, mov_flat_load(c, i, size, mov_rm_##size))                               \
    MOV_FORM(fr, size, mov_flat_store(c, i, size, reg_get(c, i->reg, size), mov_mr_##size))    \
    MOV_FORM(fi, size, mov_flat_store(c, i, size, i->imm, mov_mi_##size))

MOV_FORMS(1)
MOV_FORMS(2)
MOV_FORMS(4)
MOV_FORMS(8)

/* moffs that does not fit a 32-bit displacement. */
static enum weir_stop mov_moffs(struct vcpu *c, const struct insn *i)
{
    uint64_t v = reg_get(c, RAX, i->opsize);
    if (insn_row(i)->operands[0].kind == KIND_O)
        return thread(c, i,
                      mem_store(c, i->seg, i->imm, i->opsize, v) ? STOP_NEXT : STOP_FAULT);
    if (!mem_load(c, i->seg, i->imm, i->opsize, &v))
        return stop_insn(c, i, STOP_FAULT);
    reg_set(c, RAX, i->opsize, v);
    return next_insn(c, i);
}

#define MOV_ROW(form)                                                                          \
    {                                                                                          \
        mov_##form##_1, mov_##form##_2, mov_##form##_4, mov_##form##_8                         \
    }

insn_fn *bind_mov(const struct vcpu *c, struct insn *i)
{
    static insn_fn *const forms[FORM_COUNT][4] = {
        [FORM_RR] = MOV_ROW(rr), [FORM_RM] = MOV_ROW(rm), [FORM_MR] = MOV_ROW(mr),
        [FORM_RI] = MOV_ROW(ri), [FORM_MI] = MOV_ROW(mi), [FORM_RF] = MOV_ROW(rf),
        [FORM_FR] = MOV_ROW(fr), [FORM_FI] = MOV_ROW(fi),
    };
    enum form form = form_normalise(i);
    return form == FORM_OTHER ? mov_moffs : forms[form][size_index(i->opsize)];
}
enum weir_stop op_mov(struct vcpu *c, const struct insn *i)
{
    return run_bound(c, i, bind_mov);
}

/* ---- MOVZX, MOVSX, MOVSXD ---- */

ALWAYS_INLINE enum weir_stop extend(struct vcpu *c, const struct insn *i, unsigned from,
                                    bool is_signed, uint64_t v)
{
    if (is_signed)
        v = (uint64_t)sign_extend(v, 8 * from);
    /* A 32-bit destination is the common one; reg_set must not be a switch for it. */
    if (LIKELY(i->opsize == 4))
        c->gpr[i->reg] = (uint32_t)v;
    else
        reg_set(c, i->reg, i->opsize, v);
    return next_insn(c, i);
}
ALWAYS_INLINE enum weir_stop extend_memory(struct vcpu *c, const struct insn *i, unsigned from,
                                           bool is_signed)
{
    uint64_t v;
    if (UNLIKELY(!mem_load(c, i->seg, bound_offset(c, i), from, &v)))
        return stop_insn(c, i, STOP_FAULT);
    return extend(c, i, from, is_signed, v);
}
ALWAYS_INLINE enum weir_stop extend_flat(struct vcpu *c, const struct insn *i, unsigned from,
                                         bool is_signed, insn_fn *general)
{
    const void *p = flat_read(c, i, from);
    return LIKELY(p != NULL) ? extend(c, i, from, is_signed, load_le(p, from)) : general(c, i);
}

#define EXTEND_FORMS(name, from, is_signed)                                                    \
    static enum weir_stop name##_r(struct vcpu *c, const struct insn *i)                       \
    {                                                                                          \
        return extend(c, i, from, is_signed, reg_get(c, i->rm, from));                         \
    }                                                                                          \
    static enum weir_stop name##_m(struct vcpu *c, const struct insn *i)                       \
    {                                                                                          \
        return extend_memory(c, i, from, is_signed);                                           \
    }                                                                                          \
    static enum weir_stop name##_f(struct vcpu *c, const struct insn *i)                       \
    {                                                                                          \
        return extend_flat(c, i, from, is_signed, name##_m);                                   \
    }
EXTEND_FORMS(movzx_1, 1, false)
EXTEND_FORMS(movzx_2, 2, false)
EXTEND_FORMS(movsx_1, 1, true)
EXTEND_FORMS(movsx_2, 2, true)
EXTEND_FORMS(movsx_4, 4, true)

static insn_fn *extend_form(struct insn *i, insn_fn *r, insn_fn *m, insn_fn *f)
{
    address_bind(i);
    return !i->mem ? r : is_flat(i) ? f : m;
}
/* The last opcode bit is the width of the source: B6/B7, BE/BF. */
insn_fn *bind_movzx(const struct vcpu *c, struct insn *i)
{
    return i->opcode & 1 ? extend_form(i, movzx_2_r, movzx_2_m, movzx_2_f)
                         : extend_form(i, movzx_1_r, movzx_1_m, movzx_1_f);
}
insn_fn *bind_movsx(const struct vcpu *c, struct insn *i)
{
    return i->opcode & 1 ? extend_form(i, movsx_2_r, movsx_2_m, movsx_2_f)
                         : extend_form(i, movsx_1_r, movsx_1_m, movsx_1_f);
}
/* 63 /r with a 16-bit operand size moves 16 bits. */
insn_fn *bind_movsxd(const struct vcpu *c, struct insn *i)
{
    return i->opsize == 2 ? extend_form(i, movsx_2_r, movsx_2_m, movsx_2_f)
                          : extend_form(i, movsx_4_r, movsx_4_m, movsx_4_f);
}
enum weir_stop op_movzx(struct vcpu *c, const struct insn *i)
{
    return run_bound(c, i, bind_movzx);
}
enum weir_stop op_movsx(struct vcpu *c, const struct insn *i)
{
    return run_bound(c, i, bind_movsx);
}
enum weir_stop op_movsxd(struct vcpu *c, const struct insn *i)
{
    return run_bound(c, i, bind_movsxd);
}

/* ---- LEA ---- */

static enum weir_stop lea_8(struct vcpu *c, const struct insn *i)
{
    c->gpr[i->reg] = bound_offset(c, i);
    return next_insn(c, i);
}
static enum weir_stop lea_4(struct vcpu *c, const struct insn *i)
{
    c->gpr[i->reg] = (uint32_t)bound_offset(c, i);
    return next_insn(c, i);
}
static enum weir_stop lea_2(struct vcpu *c, const struct insn *i)
{
    reg_set(c, i->reg, 2, bound_offset(c, i));
    return next_insn(c, i);
}
insn_fn *bind_lea(const struct vcpu *c, struct insn *i)
{
    address_bind(i);
    return i->opsize == 8 ? lea_8 : i->opsize == 4 ? lea_4 : lea_2;
}
enum weir_stop op_lea(struct vcpu *c, const struct insn *i)
{
    return run_bound(c, i, bind_lea);
}

/* ---- CMOVcc, SETcc ---- */

/* The source is always read, and a 32-bit destination always zero-extended. */
ALWAYS_INLINE enum weir_stop cmov(struct vcpu *c, const struct insn *i, unsigned size)
{
    uint64_t v;
    if (!i->mem)
        v = reg_get(c, i->rm, size);
    else if (UNLIKELY(!mem_load(c, i->seg, bound_offset(c, i), size, &v)))
        return stop_insn(c, i, STOP_FAULT);
    if (!condition(c->flags, i->opcode))
        v = reg_get(c, i->reg, size);
    reg_set(c, i->reg, size, v);
    return next_insn(c, i);
}
static enum weir_stop cmov_2(struct vcpu *c, const struct insn *i)
{
    return cmov(c, i, 2);
}
static enum weir_stop cmov_4(struct vcpu *c, const struct insn *i)
{
    return cmov(c, i, 4);
}
static enum weir_stop cmov_8(struct vcpu *c, const struct insn *i)
{
    return cmov(c, i, 8);
}
insn_fn *bind_cmovcc(const struct vcpu *c, struct insn *i)
{
    address_bind(i);
    return i->opsize == 8 ? cmov_8 : i->opsize == 4 ? cmov_4 : cmov_2;
}
enum weir_stop op_cmovcc(struct vcpu *c, const struct insn *i)
{
    return run_bound(c, i, bind_cmovcc);
}

enum weir_stop op_setcc(struct vcpu *c, const struct insn *i)
{
    return rm_store(c, i, 1, condition(c->flags, i->opcode)) ? STOP_NEXT : STOP_FAULT;
}
THREADED(setcc)

/* ---- the rest ---- */

static uint64_t byte_swap(uint64_t v, unsigned size)
{
    return __builtin_bswap64(v) >> (64 - 8 * size);
}

/* BSWAP of a 16-bit register is undefined; CPUs clear it. */
enum weir_stop op_bswap(struct vcpu *c, const struct insn *i)
{
    uint64_t v = i->opsize == 2 ? 0 : byte_swap(reg_get(c, i->reg, i->opsize), i->opsize);
    reg_set(c, i->reg, i->opsize, v);
    return STOP_NEXT;
}

THREADED(bswap)

enum weir_stop op_movbe(struct vcpu *c, const struct insn *i)
{
    uint64_t v;
    if (i->opcode & 1) {
        v = byte_swap(reg_get(c, i->reg, i->opsize), i->opsize);
        return rm_store(c, i, i->opsize, v) ? STOP_NEXT : STOP_FAULT;
    }
    if (!rm_load(c, i, i->opsize, &v))
        return STOP_FAULT;
    reg_set(c, i->reg, i->opsize, byte_swap(v, i->opsize));
    return STOP_NEXT;
}

enum weir_stop op_xlat(struct vcpu *c, const struct insn *i)
{
    uint64_t v, offset = (c->gpr[RBX] + (uint8_t)c->gpr[RAX]) & addr_mask(i);
    if (!mem_load(c, i->seg, offset, 1, &v))
        return STOP_FAULT;
    reg_set(c, RAX, 1, v);
    return STOP_NEXT;
}

enum weir_stop op_cbw(struct vcpu *c, const struct insn *i)
{
    uint64_t half = reg_get(c, RAX, i->opsize / 2);
    reg_set(c, RAX, i->opsize, (uint64_t)sign_extend(half, 4 * i->opsize));
    return STOP_NEXT;
}
enum weir_stop op_cwd(struct vcpu *c, const struct insn *i)
{
    bool negative = reg_get(c, RAX, i->opsize) >> (8 * i->opsize - 1);
    reg_set(c, RDX, i->opsize, negative ? ~0ull : 0);
    return STOP_NEXT;
}

THREADED(cbw)
THREADED(cwd)

enum weir_stop op_movnti(struct vcpu *c, const struct insn *i)
{
    unsigned size = size_y(i);
    return rm_store(c, i, size, reg_get(c, i->reg, size)) ? STOP_NEXT : STOP_FAULT;
}
enum weir_stop op_movdiri(struct vcpu *c, const struct insn *i)
{
    return op_movnti(c, i);
}

/* The destination is ES:reg and must be aligned to 64 bytes. */
enum weir_stop op_movdir64b(struct vcpu *c, const struct insn *i)
{
    uint8_t data[64];
    uint64_t linear, to = reg_addr(c, i->reg, i);
    if (!mem_read_bytes(c, i->seg, insn_offset(c, i), data, 64) ||
        !seg_linear(c, SEG_ES, to, 64, ACCESS_WRITE, &linear))
        return STOP_FAULT;
    if (linear & 63)
        return raise_gp0(c);
    return mem_write_bytes(c, SEG_ES, to, data, 64) ? STOP_NEXT : STOP_FAULT;
}
