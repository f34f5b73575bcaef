/* SPDX-License-Identifier: MIT */
/*
 * vecmem.c - vector moves that make an access per element: MASKMOVDQU and its kin, masked moves
 * of AVX, gathers and scatters.
 *
 * Elements whose mask is clear are not accessed and cannot fault. Masked stores check all their
 * elements first. Gathers and scatters complete element by element and clear the mask behind
 * themselves, so after a fault the instruction goes on where it stopped (SDM Vol. 2
 * VGATHERDPS).
 */
#include "cpu/access.h"
#include "cpu/cpu.h"
#include "cpu/decode/optab.h"
#include "cpu/fpu.h"
#include "cpu/interp/ops.h"

/* ---- MASKMOVQ, MASKMOVDQU: bytes to DS:rDI ---- */

static enum weir_stop store_bytes(struct vcpu *c, const struct insn *i, const uint8_t *data,
                                  const uint8_t *mask, unsigned bytes)
{
    uint64_t truncate = i->addrsize == 8 ? ~0ull : mask_bytes(i->addrsize);
    uint64_t base = c->gpr[RDI];
    for (unsigned n = 0; n < bytes; n++)
        if (mask[n] & 0x80 && !mem_probe(c, i->seg, (base + n) & truncate, 1, ACCESS_WRITE))
            return STOP_FAULT;
    for (unsigned n = 0; n < bytes; n++)
        if (mask[n] & 0x80 && !mem_store(c, i->seg, (base + n) & truncate, 1, data[n]))
            return STOP_FAULT;
    return STOP_NEXT;
}

enum weir_stop op_maskmovq(struct vcpu *c, const struct insn *i)
{
    enum weir_stop stop = fpu_check(c, FPU_NEEDS_MMX | FPU_NEEDS_WAIT);
    if (stop != STOP_NEXT)
        return stop;
    fpu_mmx_enter(c);
    return store_bytes(c, i, c->fpu.fx.st[i->reg & 7], c->fpu.fx.st[i->rm & 7], 8);
}

static enum weir_stop maskmov_xmm(struct vcpu *c, const struct insn *i, unsigned needs)
{
    enum weir_stop stop = fpu_check(c, needs);
    if (stop != STOP_NEXT)
        return stop;
    return store_bytes(c, i, c->fpu.zmm[i->reg], c->fpu.zmm[i->rm], 16);
}

enum weir_stop op_maskmovdqu(struct vcpu *c, const struct insn *i)
{
    return maskmov_xmm(c, i, FPU_NEEDS_SSE);
}
enum weir_stop op_vmaskmovdqu(struct vcpu *c, const struct insn *i)
{
    return maskmov_xmm(c, i, FPU_NEEDS_AVX);
}

/* ---- VMASKMOV*, VPMASKMOV*: mask in the sign bits of VEX.vvvv ---- */

static bool sign_set(const uint8_t *mask, unsigned n, unsigned size)
{
    return mask[n * size + size - 1] & 0x80;
}

static enum weir_stop masked_load(struct vcpu *c, const struct insn *i, unsigned size)
{
    uint8_t result[64] = {0};
    const uint8_t *mask = c->fpu.zmm[i->vvvv];
    uint64_t offset = insn_offset(c, i), v;
    for (unsigned n = 0; n < i->vector_bytes / size; n++) {
        if (!sign_set(mask, n, size))
            continue;
        if (!mem_load(c, i->seg, offset + n * size, size, &v))
            return STOP_FAULT;
        store_le(result + n * size, v, size);
    }
    memcpy(c->fpu.zmm[i->reg], result, 64);
    return STOP_NEXT;
}

static enum weir_stop masked_store(struct vcpu *c, const struct insn *i, unsigned size)
{
    const uint8_t *mask = c->fpu.zmm[i->vvvv], *data = c->fpu.zmm[i->reg];
    uint64_t offset = insn_offset(c, i);
    unsigned count = i->vector_bytes / size;
    for (unsigned n = 0; n < count; n++)
        if (sign_set(mask, n, size) &&
            !mem_probe(c, i->seg, offset + n * size, size, ACCESS_WRITE))
            return STOP_FAULT;
    for (unsigned n = 0; n < count; n++)
        if (sign_set(mask, n, size) &&
            !mem_store(c, i->seg, offset + n * size, size, load_le(data + n * size, size)))
            return STOP_FAULT;
    return STOP_NEXT;
}

static enum weir_stop masked_move(struct vcpu *c, const struct insn *i, unsigned size)
{
    enum weir_stop stop = fpu_check(c, FPU_NEEDS_AVX);
    if (stop != STOP_NEXT)
        return stop;
    return insn_mem_operand(i) == 0 ? masked_store(c, i, size) : masked_load(c, i, size);
}

enum weir_stop op_vmaskmovps(struct vcpu *c, const struct insn *i)
{
    return masked_move(c, i, 4);
}
enum weir_stop op_vmaskmovpd(struct vcpu *c, const struct insn *i)
{
    return masked_move(c, i, 8);
}
enum weir_stop op_vpmaskmovd(struct vcpu *c, const struct insn *i)
{
    return masked_move(c, i, 4);
}
enum weir_stop op_vpmaskmovq(struct vcpu *c, const struct insn *i)
{
    return masked_move(c, i, 8);
}

/* ---- gathers and scatters ---- */

static uint64_t vsib_offset(const struct vcpu *c, const struct insn *i, unsigned n,
                            unsigned index_bytes)
{
    uint64_t index = load_le(c->fpu.zmm[i->index] + n * index_bytes, index_bytes);
    uint64_t a = (uint64_t)(int64_t)i->disp;
    a += (uint64_t)sign_extend(index, 8 * index_bytes) << i->scale;
    if (i->base < 16)
        a += c->gpr[i->base];
    return i->addrsize == 8 ? a : (uint32_t)a;
}

static bool element_wanted(const struct vcpu *c, const struct insn *i, unsigned n,
                           unsigned size)
{
    if (i->prefixes & PFX_EVEX)
        return c->fpu.k[i->evex & 7] >> n & 1;
    return sign_set(c->fpu.zmm[i->vvvv], n, size);
}

static void element_done(struct vcpu *c, const struct insn *i, unsigned n, unsigned size)
{
    if (i->prefixes & PFX_EVEX)
        c->fpu.k[i->evex & 7] &= ~BIT64(n);
    else
        memset(c->fpu.zmm[i->vvvv] + n * size, 0, size);
}

static void mask_clear(struct vcpu *c, const struct insn *i)
{
    if (i->prefixes & PFX_EVEX)
        c->fpu.k[i->evex & 7] = 0;
    else
        memset(c->fpu.zmm[i->vvvv], 0, 64);
}

static enum weir_stop gather(struct vcpu *c, const struct insn *i, unsigned index_bytes,
                             unsigned size)
{
    unsigned needs = i->prefixes & PFX_EVEX ? FPU_NEEDS_AVX512 : FPU_NEEDS_AVX;
    enum weir_stop stop = fpu_check(c, needs);
    if (stop != STOP_NEXT)
        return stop;
    uint8_t *out = c->fpu.zmm[i->reg];
    unsigned count = i->vector_bytes / (size > index_bytes ? size : index_bytes);
    for (unsigned n = 0; n < count; n++) {
        uint64_t v;
        if (element_wanted(c, i, n, size)) {
            if (!mem_load(c, i->seg, vsib_offset(c, i, n, index_bytes), size, &v))
                return STOP_FAULT;
            store_le(out + n * size, v, size);
        }
        element_done(c, i, n, size);
    }
    memset(out + count * size, 0, 64 - count * size);
    mask_clear(c, i);
    return STOP_NEXT;
}

static enum weir_stop scatter(struct vcpu *c, const struct insn *i, unsigned index_bytes,
                              unsigned size)
{
    enum weir_stop stop = fpu_check(c, FPU_NEEDS_AVX512);
    if (stop != STOP_NEXT)
        return stop;
    const uint8_t *in = c->fpu.zmm[i->reg];
    unsigned count = i->vector_bytes / (size > index_bytes ? size : index_bytes);
    for (unsigned n = 0; n < count; n++) {
        if (!element_wanted(c, i, n, size))
            continue;
        if (!mem_store(c, i->seg, vsib_offset(c, i, n, index_bytes), size,
                       load_le(in + n * size, size)))
            return STOP_FAULT;
        element_done(c, i, n, size);
    }
    mask_clear(c, i);
    return STOP_NEXT;
}

#define VECTOR_OP(name, action, index_bytes, size)                                             \
    enum weir_stop op_##name(struct vcpu *c, const struct insn *i)                             \
    {                                                                                          \
        return action(c, i, index_bytes, size);                                                \
    }
VECTOR_OP(vgatherdps, gather, 4, 4)
VECTOR_OP(vgatherdpd, gather, 4, 8)
VECTOR_OP(vgatherqps, gather, 8, 4)
VECTOR_OP(vgatherqpd, gather, 8, 8)
VECTOR_OP(vpgatherdd, gather, 4, 4)
VECTOR_OP(vpgatherdq, gather, 4, 8)
VECTOR_OP(vpgatherqd, gather, 8, 4)
VECTOR_OP(vpgatherqq, gather, 8, 8)
VECTOR_OP(vscatterdps, scatter, 4, 4)
VECTOR_OP(vscatterdpd, scatter, 4, 8)
VECTOR_OP(vscatterqps, scatter, 8, 4)
VECTOR_OP(vscatterqpd, scatter, 8, 8)
VECTOR_OP(vpscatterdd, scatter, 4, 4)
VECTOR_OP(vpscatterdq, scatter, 4, 8)
VECTOR_OP(vpscatterqd, scatter, 8, 4)
VECTOR_OP(vpscatterqq, scatter, 8, 8)
