/* SPDX-License-Identifier: MIT */
/* int_mov.c - data movement between registers and memory; exchanges are in int_atomic.c. */
#include "cpu/interp/operands.h"

/* ---- MOV ---- */

#define MOV_FORMS(size)                                                                        \
    static enum weir_stop mov_rr_##size(struct vcpu *c, const struct insn *i)                  \
    {                                                                                          \
        reg_set(c, i->rm, size, reg_get(c, i->reg, size));                                     \
        return STOP_NEXT;                                                                      \
    }                                                                                          \
    static enum weir_stop mov_ri_##size(struct vcpu *c, const struct insn *i)                  \
    {                                                                                          \
        reg_set(c, i->rm, size, i->imm);                                                       \
        return STOP_NEXT;                                                                      \
    }                                                                                          \
    static enum weir_stop mov_rm_##size(struct vcpu *c, const struct insn *i)                  \
    {                                                                                          \
        uint64_t v;                                                                            \
        if (UNLIKELY(!mem_load(c, i->seg, insn_offset(c, i), size, &v)))                       \
            return STOP_FAULT;                                                                 \
        reg_set(c, i->reg, size, v);                                                           \
        return STOP_NEXT;                                                                      \
    }                                                                                          \
    static enum weir_stop mov_mr_##size(struct vcpu *c, const struct insn *i)                  \
    {                                                                                          \
        if (UNLIKELY(                                                                          \
                !mem_store(c, i->seg, insn_offset(c, i), size, reg_get(c, i->reg, size))))     \
            return STOP_FAULT;                                                                 \
        return STOP_NEXT;                                                                      \
    }                                                                                          \
    static enum weir_stop mov_mi_##size(struct vcpu *c, const struct insn *i)                  \
    {                                                                                          \
        if (UNLIKELY(!mem_store(c, i->seg, insn_offset(c, i), size, i->imm)))                  \
            return STOP_FAULT;                                                                 \
        return STOP_NEXT;                                                                      \
    }

MOV_FORMS(1)
MOV_FORMS(2)
MOV_FORMS(4)
MOV_FORMS(8)

/* moffs that does not fit a 32-bit displacement. */
static enum weir_stop mov_moffs(struct vcpu *c, const struct insn *i)
{
    uint64_t v;
    if (insn_row(i)->operands[0].kind == KIND_O)
        return mem_store(c, i->seg, i->imm, i->opsize, reg_get(c, RAX, i->opsize)) ? STOP_NEXT
                                                                                   : STOP_FAULT;
    if (!mem_load(c, i->seg, i->imm, i->opsize, &v))
        return STOP_FAULT;
    reg_set(c, RAX, i->opsize, v);
    return STOP_NEXT;
}

#define MOV_ROW(form)                                                                          \
    {                                                                                          \
        mov_##form##_1, mov_##form##_2, mov_##form##_4, mov_##form##_8                         \
    }

insn_fn *bind_mov(const struct vcpu *c, struct insn *i)
{
    static insn_fn *const forms[FORM_COUNT][4] = {
        [FORM_RR] = MOV_ROW(rr), [FORM_RM] = MOV_ROW(rm), [FORM_MR] = MOV_ROW(mr),
        [FORM_RI] = MOV_ROW(ri), [FORM_MI] = MOV_ROW(mi),
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
                                    bool is_signed, bool mem)
{
    uint64_t v;
    if (!mem)
        v = reg_get(c, i->rm, from);
    else if (UNLIKELY(!mem_load(c, i->seg, insn_offset(c, i), from, &v)))
        return STOP_FAULT;
    if (is_signed)
        v = (uint64_t)sign_extend(v, 8 * from);
    /* A 32-bit destination is the common one; reg_set must not be a switch for it. */
    if (LIKELY(i->opsize == 4))
        c->gpr[i->reg] = (uint32_t)v;
    else
        reg_set(c, i->reg, i->opsize, v);
    return STOP_NEXT;
}

#define EXTEND_FORMS(name, from, is_signed)                                                    \
    static enum weir_stop name##_r(struct vcpu *c, const struct insn *i)                       \
    {                                                                                          \
        return extend(c, i, from, is_signed, false);                                           \
    }                                                                                          \
    static enum weir_stop name##_m(struct vcpu *c, const struct insn *i)                       \
    {                                                                                          \
        return extend(c, i, from, is_signed, true);                                            \
    }
EXTEND_FORMS(movzx_1, 1, false)
EXTEND_FORMS(movzx_2, 2, false)
EXTEND_FORMS(movsx_1, 1, true)
EXTEND_FORMS(movsx_2, 2, true)
EXTEND_FORMS(movsx_4, 4, true)

/* The last opcode bit is the width of the source: B6/B7, BE/BF. */
insn_fn *bind_movzx(const struct vcpu *c, struct insn *i)
{
    if (i->opcode & 1)
        return i->mem ? movzx_2_m : movzx_2_r;
    return i->mem ? movzx_1_m : movzx_1_r;
}
insn_fn *bind_movsx(const struct vcpu *c, struct insn *i)
{
    if (i->opcode & 1)
        return i->mem ? movsx_2_m : movsx_2_r;
    return i->mem ? movsx_1_m : movsx_1_r;
}
enum weir_stop op_movzx(struct vcpu *c, const struct insn *i)
{
    return run_bound(c, i, bind_movzx);
}
enum weir_stop op_movsx(struct vcpu *c, const struct insn *i)
{
    return run_bound(c, i, bind_movsx);
}
/* 63 /r with a 16-bit operand size moves 16 bits. */
enum weir_stop op_movsxd(struct vcpu *c, const struct insn *i)
{
    if (i->opsize == 2)
        return i->mem ? movsx_2_m(c, i) : movsx_2_r(c, i);
    return i->mem ? movsx_4_m(c, i) : movsx_4_r(c, i);
}

/* ---- LEA ---- */

static enum weir_stop lea_8(struct vcpu *c, const struct insn *i)
{
    c->gpr[i->reg] = insn_offset(c, i);
    return STOP_NEXT;
}
static enum weir_stop lea_4(struct vcpu *c, const struct insn *i)
{
    c->gpr[i->reg] = (uint32_t)insn_offset(c, i);
    return STOP_NEXT;
}
static enum weir_stop lea_2(struct vcpu *c, const struct insn *i)
{
    reg_set(c, i->reg, 2, insn_offset(c, i));
    return STOP_NEXT;
}
insn_fn *bind_lea(const struct vcpu *c, struct insn *i)
{
    return i->opsize == 8 ? lea_8 : i->opsize == 4 ? lea_4 : lea_2;
}
enum weir_stop op_lea(struct vcpu *c, const struct insn *i)
{
    return run_bound(c, i, bind_lea);
}

/* ---- CMOVcc, SETcc ---- */

/* The source is always read, and a 32-bit destination always zero-extended. */
ALWAYS_INLINE enum weir_stop cmov(struct vcpu *c, const struct insn *i, unsigned size, bool mem)
{
    uint64_t v;
    if (!mem)
        v = reg_get(c, i->rm, size);
    else if (UNLIKELY(!mem_load(c, i->seg, insn_offset(c, i), size, &v)))
        return STOP_FAULT;
    if (!condition(c->flags, i->opcode))
        v = reg_get(c, i->reg, size);
    reg_set(c, i->reg, size, v);
    return STOP_NEXT;
}
#define CMOV_FORMS(size)                                                                       \
    static enum weir_stop cmov_r_##size(struct vcpu *c, const struct insn *i)                  \
    {                                                                                          \
        return cmov(c, i, size, false);                                                        \
    }                                                                                          \
    static enum weir_stop cmov_m_##size(struct vcpu *c, const struct insn *i)                  \
    {                                                                                          \
        return cmov(c, i, size, true);                                                         \
    }
CMOV_FORMS(2)
CMOV_FORMS(4)
CMOV_FORMS(8)

insn_fn *bind_cmovcc(const struct vcpu *c, struct insn *i)
{
    static insn_fn *const forms[2][4] = {{NULL, cmov_r_2, cmov_r_4, cmov_r_8},
                                         {NULL, cmov_m_2, cmov_m_4, cmov_m_8}};
    return forms[i->mem][size_index(i->opsize)];
}
enum weir_stop op_cmovcc(struct vcpu *c, const struct insn *i)
{
    return run_bound(c, i, bind_cmovcc);
}

enum weir_stop op_setcc(struct vcpu *c, const struct insn *i)
{
    return rm_store(c, i, 1, condition(c->flags, i->opcode)) ? STOP_NEXT : STOP_FAULT;
}

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
