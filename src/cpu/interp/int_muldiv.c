/* SPDX-License-Identifier: MIT */
/*
 * int_muldiv.c - MUL, IMUL, DIV, IDIV and the decimal adjustments. Divisions are done in 128
 * bits, where overflow is a comparison and the host cannot fault.
 */
#include "cpu/interp/operands.h"

/* rDX:rAX, or AX for bytes. */
static void set_product(struct vcpu *c, unsigned size, uint64_t low, uint64_t high)
{
    if (size == 1) {
        reg_set(c, RAX, 2, (low & 0xff) | high << 8);
        return;
    }
    reg_set(c, RAX, size, low);
    reg_set(c, RDX, size, high);
}

#define MUL_CASE(bytes, type, text)                                                            \
    case bytes: {                                                                              \
        type l = (type)a, h;                                                                   \
        __asm__(text " %4\n\tmov %%" MUL_HIGH_##bytes ", %1\n\tmov %%" MUL_LOW_##bytes         \
                ", %0" ALU_COLLECT                                                             \
                : "=&r"(l), "=&r"(h), "=&a"(ax)                                                \
                : "2"((uint64_t)a), "r"((type)b)                                               \
                : "cc", "rdx");                                                                \
        *low = l;                                                                              \
        *high = h;                                                                             \
        break;                                                                                 \
    }
#define MUL_LOW_2  "ax"
#define MUL_LOW_4  "eax"
#define MUL_LOW_8  "rax"
#define MUL_HIGH_2 "dx"
#define MUL_HIGH_4 "edx"
#define MUL_HIGH_8 "rdx"

/* The host's one-operand multiplication, for its flags. */
#define MUL_DEFINE(name)                                                                       \
    static void name##_wide(uint64_t a, uint64_t b, unsigned size, uint64_t *low,              \
                            uint64_t *high, uint32_t *flags)                                   \
    {                                                                                          \
        uint64_t ax;                                                                           \
        switch (size) {                                                                        \
        case 1: {                                                                              \
            uint16_t product;                                                                  \
            __asm__(#name " %3\n\tmov %%ax, %0" ALU_COLLECT                                    \
                    : "=&r"(product), "=&a"(ax)                                                \
                    : "1"(a), "q"((uint8_t)b)                                                  \
                    : "cc");                                                                   \
            *low = product & 0xff;                                                             \
            *high = product >> 8;                                                              \
            break;                                                                             \
        }                                                                                      \
            MUL_CASE(2, uint16_t, #name)                                                       \
            MUL_CASE(4, uint32_t, #name)                                                       \
        default:                                                                               \
            MUL_CASE(8, uint64_t, #name)                                                       \
        }                                                                                      \
        *flags = flags_pack((uint32_t)ax);                                                     \
    }
MUL_DEFINE(mul)
MUL_DEFINE(imul)

enum weir_stop op_mul(struct vcpu *c, const struct insn *i)
{
    uint64_t b, low, high;
    if (!rm_load(c, i, i->opsize, &b))
        return STOP_FAULT;
    mul_wide(reg_get(c, RAX, i->opsize), b, i->opsize, &low, &high, &c->flags);
    set_product(c, i->opsize, low, high);
    return STOP_NEXT;
}

/* Two- and three-operand forms keep the low half only; the flags are the same. */
enum weir_stop op_imul(struct vcpu *c, const struct insn *i)
{
    uint64_t a, b, low, high;
    if (!rm_load(c, i, i->opsize, &b))
        return STOP_FAULT;
    if (i->map == 0 && i->opcode >= 0xf6) {
        imul_wide(reg_get(c, RAX, i->opsize), b, i->opsize, &low, &high, &c->flags);
        set_product(c, i->opsize, low, high);
        return STOP_NEXT;
    }
    a = i->map ? reg_get(c, i->reg, i->opsize) : i->imm;
    imul_wide(a, b, i->opsize, &low, &high, &c->flags);
    reg_set(c, i->reg, i->opsize, low);
    return STOP_NEXT;
}

THREADED(mul)
THREADED(imul)

/* ---- division ---- */

/* The dividend is rDX:rAX, AX for bytes. */
static unsigned __int128 dividend(struct vcpu *c, unsigned size)
{
    if (size == 1)
        return (uint16_t)c->gpr[RAX];
    return (unsigned __int128)reg_get(c, RDX, size) << (8 * size) | reg_get(c, RAX, size);
}
static void set_quotient(struct vcpu *c, unsigned size, uint64_t quotient, uint64_t remainder)
{
    if (size == 1) {
        reg_set(c, RAX, 2, (quotient & 0xff) | remainder << 8);
        return;
    }
    reg_set(c, RAX, size, quotient);
    reg_set(c, RDX, size, remainder);
}

enum weir_stop op_div(struct vcpu *c, const struct insn *i)
{
    uint64_t b;
    if (!rm_load(c, i, i->opsize, &b))
        return STOP_FAULT;
    unsigned __int128 a = dividend(c, i->opsize);
    /* The quotient fits if the dividend's upper half is below the divisor. */
    if (b == 0 || (uint64_t)(a >> (8 * i->opsize)) >= b)
        return raise(c, VEC_DE);
    if (a >> 64)
        set_quotient(c, i->opsize, (uint64_t)(a / b), (uint64_t)(a % b));
    else
        set_quotient(c, i->opsize, (uint64_t)a / b, (uint64_t)a % b);
    return STOP_NEXT;
}

THREADED(div)

enum weir_stop op_idiv(struct vcpu *c, const struct insn *i)
{
    unsigned bits = 8 * i->opsize;
    uint64_t v;
    if (!rm_load(c, i, i->opsize, &v))
        return STOP_FAULT;
    __int128 a = (__int128)dividend(c, i->opsize), b = sign_extend(v, bits);
    if (bits < 64)
        a = sign_extend((uint64_t)a, 2 * bits);
    if (b == 0)
        return raise(c, VEC_DE);
    /* -2^127 / -1 would overflow even here; its true quotient does not fit anyway. */
    if (b == -1 && (unsigned __int128)a == (unsigned __int128)1 << 127)
        return raise(c, VEC_DE);
    __int128 quotient = a / b;
    if (quotient != (__int128)sign_extend((uint64_t)quotient, bits))
        return raise(c, VEC_DE);
    set_quotient(c, i->opsize, (uint64_t)quotient & mask_bytes(i->opsize),
                 (uint64_t)(a % b) & mask_bytes(i->opsize));
    return STOP_NEXT;
}

/* ---- decimal ---- */

static enum weir_stop adjust_ascii(struct vcpu *c, int sign)
{
    uint16_t ax = (uint16_t)c->gpr[RAX];
    uint32_t flags = 0;
    if ((ax & 0xf) > 9 || (c->flags & FLAG_AF)) {
        ax = (uint16_t)(ax + sign * 0x106);
        flags = FLAG_AF | FLAG_CF;
    }
    reg_set(c, RAX, 2, ax & 0xff0f);
    c->flags = flags | flags_of_result(ax & 0xf, 1);
    return STOP_NEXT;
}
enum weir_stop op_aaa(struct vcpu *c, const struct insn *i)
{
    return adjust_ascii(c, 1);
}
enum weir_stop op_aas(struct vcpu *c, const struct insn *i)
{
    return adjust_ascii(c, -1);
}

enum weir_stop op_aam(struct vcpu *c, const struct insn *i)
{
    uint8_t al = (uint8_t)c->gpr[RAX], base = (uint8_t)i->imm;
    if (base == 0)
        return raise(c, VEC_DE);
    reg_set(c, RAX, 2, (uint16_t)((al / base) << 8 | al % base));
    c->flags = flags_of_result(al % base, 1);
    return STOP_NEXT;
}
enum weir_stop op_aad(struct vcpu *c, const struct insn *i)
{
    uint16_t ax = (uint16_t)c->gpr[RAX];
    uint8_t al = (uint8_t)(ax + (ax >> 8) * (uint8_t)i->imm);
    reg_set(c, RAX, 2, al);
    c->flags = flags_of_result(al, 1);
    return STOP_NEXT;
}

static enum weir_stop adjust_packed(struct vcpu *c, int sign)
{
    uint8_t old = (uint8_t)c->gpr[RAX], al = old;
    bool old_carry = c->flags & FLAG_CF;
    uint32_t flags = 0;
    if ((al & 0xf) > 9 || (c->flags & FLAG_AF)) {
        bool carries = sign > 0 ? al > 0xf9 : al < 6;
        al = (uint8_t)(al + sign * 6);
        flags = FLAG_AF | (old_carry || carries ? FLAG_CF : 0);
    }
    if (old > 0x99 || old_carry) {
        al = (uint8_t)(al + sign * 0x60);
        flags |= FLAG_CF;
    } else if (sign > 0) {
        flags &= ~FLAG_CF;
    }
    reg_set(c, RAX, 1, al);
    c->flags = flags | flags_of_result(al, 1);
    return STOP_NEXT;
}
enum weir_stop op_daa(struct vcpu *c, const struct insn *i)
{
    return adjust_packed(c, 1);
}
enum weir_stop op_das(struct vcpu *c, const struct insn *i)
{
    return adjust_packed(c, -1);
}
