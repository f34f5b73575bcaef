/* SPDX-License-Identifier: MIT */
/*
 * flags.h - arithmetic with exact flags: the host's own instruction computes result and flags,
 * LAHF and SETO fetch them. So flags that the SDM leaves undefined come out as on the host.
 *
 * All functions are inlined with a constant `size`, so that each use is one instruction plus
 * the collection of flags. Values are zero-extended; bits above `size` bytes are ignored on
 * input.
 */
#ifndef CPU_INTERP_FLAGS_H
#define CPU_INTERP_FLAGS_H

#include "cpu/state.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* a op b -> result; *flags is read (carry) and replaced. */
typedef uint64_t alu_fn(uint64_t a, uint64_t b, unsigned size, uint32_t *flags);

/* After LAHF; SETO %al. */
ALWAYS_INLINE uint32_t flags_pack(uint32_t ax)
{
    return (ax >> 8 & 0xd5) | (ax & 1) << 11;
}

#define ALU_COLLECT "\n\tlahf\n\tseto %%al"

#define ALU_CASE(bytes, type, text)                                                            \
    case bytes: {                                                                              \
        type r = (type)a;                                                                      \
        __asm__(text ALU_COLLECT : "=a"(ax), "+q"(r) : "q"((type)b), "r"(*flags) : "cc");      \
        a = r;                                                                                 \
        break;                                                                                 \
    }

/* Two operands; text sees the result as %1, b as %2, the old flags as %3. */
#define ALU_DEFINE(name, text)                                                                 \
    ALWAYS_INLINE uint64_t alu_##name(uint64_t a, uint64_t b, unsigned size, uint32_t *flags)  \
    {                                                                                          \
        uint32_t ax;                                                                           \
        switch (size) {                                                                        \
            ALU_CASE(1, uint8_t, text)                                                         \
            ALU_CASE(2, uint16_t, text)                                                        \
            ALU_CASE(4, uint32_t, text)                                                        \
        default:                                                                               \
            ALU_CASE(8, uint64_t, text)                                                        \
        }                                                                                      \
        *flags = flags_pack(ax);                                                               \
        return a;                                                                              \
    }

ALU_DEFINE(add, "add %2, %1")
ALU_DEFINE(sub, "sub %2, %1")
ALU_DEFINE(adc, "bt $0, %3\n\tadc %2, %1")
ALU_DEFINE(sbb, "bt $0, %3\n\tsbb %2, %1")
ALU_DEFINE(and, "and %2, %1")
ALU_DEFINE(or, "or %2, %1")
ALU_DEFINE(xor, "xor %2, %1")
ALU_DEFINE(neg, "neg %1")
ALU_DEFINE(inc_raw, "inc %1")
ALU_DEFINE(dec_raw, "dec %1")

ALWAYS_INLINE uint64_t alu_inc(uint64_t a, uint64_t b, unsigned size, uint32_t *flags)
{
    uint32_t carry = *flags & FLAG_CF;
    a = alu_inc_raw(a, b, size, flags);
    *flags = (*flags & ~FLAG_CF) | carry;
    return a;
}
ALWAYS_INLINE uint64_t alu_dec(uint64_t a, uint64_t b, unsigned size, uint32_t *flags)
{
    uint32_t carry = *flags & FLAG_CF;
    a = alu_dec_raw(a, b, size, flags);
    *flags = (*flags & ~FLAG_CF) | carry;
    return a;
}
ALWAYS_INLINE uint64_t alu_not(uint64_t a, uint64_t b, unsigned size, uint32_t *flags)
{
    return ~a & mask_bytes(size);
}

/* ---- shifts and rotates: b is the count, already masked and not 0 ---- */

#define SHIFT_CASE(bytes, type, text)                                                          \
    case bytes: {                                                                              \
        type r = (type)a;                                                                      \
        __asm__(text ALU_COLLECT : "=a"(ax), "+q"(r) : "c"((uint8_t)b), "r"(*flags) : "cc");   \
        a = r;                                                                                 \
        break;                                                                                 \
    }

#define SHIFT_DEFINE(name, text, mask)                                                         \
    ALWAYS_INLINE uint64_t alu_##name(uint64_t a, uint64_t b, unsigned size, uint32_t *flags)  \
    {                                                                                          \
        uint32_t ax;                                                                           \
        switch (size) {                                                                        \
            SHIFT_CASE(1, uint8_t, text)                                                       \
            SHIFT_CASE(2, uint16_t, text)                                                      \
            SHIFT_CASE(4, uint32_t, text)                                                      \
        default:                                                                               \
            SHIFT_CASE(8, uint64_t, text)                                                      \
        }                                                                                      \
        *flags = (*flags & ~(uint32_t)(mask)) | (flags_pack(ax) & (mask));                     \
        return a;                                                                              \
    }

SHIFT_DEFINE(shl, "shl %%cl, %1", FLAGS_ARITH)
SHIFT_DEFINE(shr, "shr %%cl, %1", FLAGS_ARITH)
SHIFT_DEFINE(sar, "sar %%cl, %1", FLAGS_ARITH)
SHIFT_DEFINE(rol, "rol %%cl, %1", FLAG_CF | FLAG_OF)
SHIFT_DEFINE(ror, "ror %%cl, %1", FLAG_CF | FLAG_OF)
SHIFT_DEFINE(rcl, "bt $0, %3\n\trcl %%cl, %1", FLAG_CF | FLAG_OF)
SHIFT_DEFINE(rcr, "bt $0, %3\n\trcr %%cl, %1", FLAG_CF | FLAG_OF)

/* ---- conditions: the low nibble of Jcc, SETcc, CMOVcc ---- */
ALWAYS_INLINE bool condition(uint32_t flags, unsigned cc)
{
    uint32_t less = (flags >> 7 ^ flags >> 11) & 1; /* SF != OF */
    bool yes;
    switch (cc >> 1 & 7) {
    case 0:
        yes = flags & FLAG_OF;
        break;
    case 1:
        yes = flags & FLAG_CF;
        break;
    case 2:
        yes = flags & FLAG_ZF;
        break;
    case 3:
        yes = flags & (FLAG_CF | FLAG_ZF);
        break;
    case 4:
        yes = flags & FLAG_SF;
        break;
    case 5:
        yes = flags & FLAG_PF;
        break;
    case 6:
        yes = less;
        break;
    default:
        yes = less | (flags & FLAG_ZF);
        break;
    }
    return yes != (cc & 1);
}

/* ZF, SF, PF of a result; CF, OF, AF clear. */
ALWAYS_INLINE uint32_t flags_of_result(uint64_t v, unsigned size)
{
    uint32_t flags = 0;
    alu_or(v, 0, size, &flags);
    return flags & (FLAG_ZF | FLAG_SF | FLAG_PF);
}

#endif
