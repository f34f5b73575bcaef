/* SPDX-License-Identifier: MIT */
/*
 * xsave.c - FXSAVE, FXRSTOR and the XSAVE family: images of the whole register state in guest
 * memory. SDM Vol. 1 10.5, 13.4-13.12.
 *
 * A component counts as in use when it differs from its initial configuration; so nothing has
 * to be tracked, and what XSAVEOPT and XSAVEC leave out is always right. The whole area is
 * checked for access before the first byte is written.
 */
#include "cpu/access.h"
#include "cpu/cpu.h"
#include "cpu/cpuid.h"
#include "cpu/decode/optab.h"
#include "cpu/fpu.h"
#include "cpu/interp/ops.h"

#define LEGACY_BYTES  512u
#define HEADER_BYTES  64u
#define AREA_MAX      4096u
#define XCOMP_COMPACT BIT64(63)
/* Offsets in the legacy area */
enum {
    AT_FCW = 0,
    AT_FSW = 2,
    AT_FTW = 4,
    AT_FOP = 6,
    AT_FIP = 8,
    AT_FDP = 16,
    AT_MXCSR = 24,
    AT_MXCSR_MASK = 28,
    AT_ST = 32,
    AT_XMM = 160,
    AT_AVAILABLE = 416
};

static bool is_wide(const struct insn *i)
{
    return i->prefixes & PFX_REX_W;
}
static unsigned xmm_count(const struct vcpu *c)
{
    return cpu_is_64bit(c) ? 16 : 8;
}

static bool misaligned(const struct vcpu *c, const struct insn *i, uint64_t offset,
                       unsigned alignment)
{
    return (c->segc[i->seg].base + offset) & c->linear_mask & (alignment - 1);
}

/* ---- the legacy area ---- */

/* Bytes 0-23 and the ST registers; `wide`: 64-bit pointers without selectors. */
static void x87_pack(const struct vcpu *c, uint8_t *area, bool wide)
{
    const struct fpu_state *f = &c->fpu;
    store_le(area + AT_FCW, f->fx.fcw, 2);
    store_le(area + AT_FSW, f->fx.fsw, 2);
    store_le(area + AT_FTW, f->fx.ftw, 2);
    store_le(area + AT_FOP, f->fop & 0x7ff, 2);
    if (wide) {
        store_le(area + AT_FIP, f->fip, 8);
        store_le(area + AT_FDP, f->fdp, 8);
    } else {
        store_le(area + AT_FIP, (uint32_t)f->fip | (uint64_t)f->fcs << 32, 8);
        store_le(area + AT_FDP, (uint32_t)f->fdp | (uint64_t)f->fds << 32, 8);
    }
    for (unsigned n = 0; n < 8; n++) {
        memset(area + AT_ST + 16 * n, 0, 16);
        memcpy(area + AT_ST + 16 * n, f->fx.st[n], 10);
    }
}

static void x87_unpack(struct vcpu *c, const uint8_t *area, bool wide)
{
    struct fpu_state *f = &c->fpu;
    f->fx.fcw = (uint16_t)load_le(area + AT_FCW, 2);
    f->fx.fsw = (uint16_t)load_le(area + AT_FSW, 2);
    f->fx.ftw = area[AT_FTW];
    f->fop = (uint16_t)load_le(area + AT_FOP, 2) & 0x7ff;
    f->fip = load_le(area + AT_FIP, wide ? 8 : 4);
    f->fdp = load_le(area + AT_FDP, wide ? 8 : 4);
    f->fcs = wide ? 0 : (uint16_t)load_le(area + AT_FIP + 4, 2);
    f->fds = wide ? 0 : (uint16_t)load_le(area + AT_FDP + 4, 2);
    for (unsigned n = 0; n < 8; n++)
        memcpy(f->fx.st[n], area + AT_ST + 16 * n, 10);
    fpu_status_update(c);
}

static void xmm_pack(const struct vcpu *c, uint8_t *area)
{
    for (unsigned n = 0; n < xmm_count(c); n++)
        memcpy(area + AT_XMM + 16 * n, c->fpu.zmm[n], 16);
}

static void xmm_unpack(struct vcpu *c, const uint8_t *area)
{
    for (unsigned n = 0; n < xmm_count(c); n++)
        memcpy(c->fpu.zmm[n], area + AT_XMM + 16 * n, 16);
}

static bool mxcsr_valid(const uint8_t *area)
{
    return !(load_le(area + AT_MXCSR, 4) & ~(uint64_t)MXCSR_MASK);
}

/* ---- FXSAVE, FXRSTOR ---- */

/* Fast FXSAVE leaves XMM registers out in 64-bit mode at CPL 0 (AMD APM Vol. 2 11.5.4). */
static bool with_xmm(const struct vcpu *c)
{
    return !(c->efer & EFER_FFXSR && cpu_is_64bit(c) && c->cpl == 0);
}

enum weir_stop op_fxsave(struct vcpu *c, const struct insn *i)
{
    uint8_t area[LEGACY_BYTES] = {0};
    uint64_t offset = insn_offset(c, i);
    if (c->cr0 & (CR0_EM | CR0_TS))
        return raise(c, VEC_NM);
    if (misaligned(c, i, offset, 16))
        return raise_gp0(c);
    x87_pack(c, area, is_wide(i));
    store_le(area + AT_MXCSR, c->fpu.mxcsr, 4);
    store_le(area + AT_MXCSR_MASK, MXCSR_MASK, 4);
    xmm_pack(c, area);
    unsigned xmm_end = with_xmm(c) ? AT_XMM + 16 * xmm_count(c) : AT_XMM;
    if (!mem_probe(c, i->seg, offset, LEGACY_BYTES, ACCESS_WRITE) ||
        !mem_write_bytes(c, i->seg, offset, area, xmm_end))
        return STOP_FAULT;
    return STOP_NEXT;
}

enum weir_stop op_fxrstor(struct vcpu *c, const struct insn *i)
{
    uint8_t area[LEGACY_BYTES];
    uint64_t offset = insn_offset(c, i);
    if (c->cr0 & (CR0_EM | CR0_TS))
        return raise(c, VEC_NM);
    if (misaligned(c, i, offset, 16))
        return raise_gp0(c);
    if (!mem_read_bytes(c, i->seg, offset, area, LEGACY_BYTES))
        return STOP_FAULT;
    bool sse = c->cr4 & CR4_OSFXSR;
    if (sse && !mxcsr_valid(area))
        return raise_gp0(c);
    x87_unpack(c, area, is_wide(i));
    if (sse)
        c->fpu.mxcsr = (uint32_t)load_le(area + AT_MXCSR, 4);
    if (sse && with_xmm(c))
        xmm_unpack(c, area);
    return STOP_NEXT;
}

/* ---- components ---- */

/* Component n as the XSAVE area holds it (n >= XCOMP_AVX). */
static void component_pack(const struct vcpu *c, unsigned n, uint8_t *out)
{
    const struct fpu_state *f = &c->fpu;
    switch (n) {
    case XCOMP_AVX:
        for (unsigned r = 0; r < xmm_count(c); r++)
            memcpy(out + 16 * r, f->zmm[r] + 16, 16);
        break;
    case XCOMP_OPMASK:
        memcpy(out, f->k, 64);
        break;
    case XCOMP_ZMM_HI256:
        for (unsigned r = 0; r < xmm_count(c); r++)
            memcpy(out + 32 * r, f->zmm[r] + 32, 32);
        break;
    case XCOMP_HI16_ZMM:
        for (unsigned r = 0; r < 16 && cpu_is_64bit(c); r++)
            memcpy(out + 64 * r, f->zmm[16 + r], 64);
        break;
    default:
        break;
    }
}

/* in = NULL: initial configuration. */
static void part_set(uint8_t *out, const uint8_t *in, unsigned bytes)
{
    if (in)
        memcpy(out, in, bytes);
    else
        memset(out, 0, bytes);
}

static void component_unpack(struct vcpu *c, unsigned n, const uint8_t *in)
{
    struct fpu_state *f = &c->fpu;
    switch (n) {
    case XCOMP_AVX:
        for (unsigned r = 0; r < xmm_count(c); r++)
            part_set(f->zmm[r] + 16, in ? in + 16 * r : NULL, 16);
        break;
    case XCOMP_OPMASK:
        part_set((uint8_t *)f->k, in, 64);
        break;
    case XCOMP_ZMM_HI256:
        for (unsigned r = 0; r < xmm_count(c); r++)
            part_set(f->zmm[r] + 32, in ? in + 32 * r : NULL, 32);
        break;
    case XCOMP_HI16_ZMM:
        for (unsigned r = 0; r < 16 && cpu_is_64bit(c); r++)
            part_set(f->zmm[16 + r], in ? in + 64 * r : NULL, 64);
        break;
    default:
        break;
    }
}

static bool all_zero(const void *data, size_t bytes)
{
    const uint8_t *p = data;
    uint64_t any = 0;
    for (; bytes >= 8; bytes -= 8, p += 8)
        any |= load_le(p, 8);
    for (; bytes; bytes--)
        any |= *p++;
    return any == 0;
}

static bool x87_in_use(const struct vcpu *c)
{
    const struct fpu_state *f = &c->fpu;
    if (f->fx.fcw != FCW_INIT || f->fx.fsw || f->fx.ftw || f->fop || f->fip || f->fdp)
        return true;
    for (unsigned n = 0; n < 8; n++)
        if (!all_zero(f->fx.st[n], 10))
            return true;
    return false;
}

/* Part [first, first+bytes) of registers 0-15 is not zero. Registers 8-15 count in any mode. */
static bool zmm_in_use(const struct vcpu *c, unsigned first, unsigned bytes)
{
    for (unsigned r = 0; r < 16; r++)
        if (!all_zero(c->fpu.zmm[r] + first, bytes))
            return true;
    return false;
}

/* XINUSE */
static uint64_t in_use(const struct vcpu *c)
{
    uint64_t v = 0;
    v |= x87_in_use(c) ? XCR0_X87 : 0;
    v |= zmm_in_use(c, 0, 16) ? XCR0_SSE : 0;
    v |= zmm_in_use(c, 16, 16) ? XCR0_AVX : 0;
    v |= !all_zero(c->fpu.k, 64) ? BIT64(XCOMP_OPMASK) : 0;
    v |= zmm_in_use(c, 32, 32) ? BIT64(XCOMP_ZMM_HI256) : 0;
    v |= !all_zero(c->fpu.zmm[16], 16 * 64) ? BIT64(XCOMP_HI16_ZMM) : 0;
    return v;
}

/* Where component n is in an area that holds `components`. */
static uint32_t component_offset(const struct cpu_model *m, uint64_t components, unsigned n,
                                 bool compacted)
{
    if (!compacted)
        return m->xsave[n].offset;
    uint32_t before = cpuid_xsave_size(m, components & (BIT64(n) - 1), true);
    return m->xsave[n].align64 ? (before + 63) & ~63u : before;
}

/* ---- saving ---- */

enum { SAVE_COMPACTED = 1, SAVE_INIT_OPTIMIZED = 2, SAVE_SUPERVISOR = 4 };

struct area {
    uint8_t bytes[AREA_MAX];
    /* What of it gets written: pairs of offset and length. */
    struct {
        uint16_t offset, length;
    } piece[16];
    unsigned pieces;
};

static void piece_add(struct area *a, uint32_t offset, uint32_t length)
{
    a->piece[a->pieces].offset = (uint16_t)offset;
    a->piece[a->pieces++].length = (uint16_t)length;
}

static void area_legacy(struct vcpu *c, const struct insn *i, struct area *a, uint64_t saved,
                        bool mxcsr)
{
    if (saved & XCR0_X87) {
        x87_pack(c, a->bytes, is_wide(i));
        piece_add(a, AT_FCW, AT_MXCSR);
        piece_add(a, AT_ST, AT_XMM - AT_ST);
    }
    if (mxcsr) {
        store_le(a->bytes + AT_MXCSR, c->fpu.mxcsr, 4);
        store_le(a->bytes + AT_MXCSR_MASK, MXCSR_MASK, 4);
        piece_add(a, AT_MXCSR, 8);
    }
    if (saved & XCR0_SSE) {
        xmm_pack(c, a->bytes);
        piece_add(a, AT_XMM, 16 * xmm_count(c));
    }
}

static void area_extended(struct vcpu *c, struct area *a, uint64_t rfbm, uint64_t saved,
                          bool compacted)
{
    for (unsigned n = XCOMP_AVX; n < XCOMP_COUNT; n++) {
        uint32_t bytes = c->model->xsave[n].size;
        if (!(saved >> n & 1) || !bytes)
            continue;
        uint32_t at = component_offset(c->model, rfbm, n, compacted);
        component_pack(c, n, a->bytes + at);
        /* Outside 64-bit mode the parts of registers 8-31 are not written. */
        if (n == XCOMP_AVX || n == XCOMP_ZMM_HI256)
            bytes = xmm_count(c) * (n == XCOMP_AVX ? 16 : 32);
        else if (n == XCOMP_HI16_ZMM && !cpu_is_64bit(c))
            continue;
        piece_add(a, at, bytes);
    }
}

static bool area_write(struct vcpu *c, const struct insn *i, uint64_t offset,
                       const struct area *a, uint32_t size)
{
    if (!mem_probe(c, i->seg, offset, size, ACCESS_WRITE))
        return false;
    for (unsigned n = 0; n < a->pieces; n++)
        if (!mem_write_bytes(c, i->seg, offset + a->piece[n].offset,
                             a->bytes + a->piece[n].offset, a->piece[n].length))
            return false;
    return true;
}

/* #UD, #NM, #GP common to all; STOP_NEXT = go on. */
static enum weir_stop xsave_check(struct vcpu *c, const struct insn *i, uint64_t offset,
                                  bool supervisor)
{
    if (!(c->cr4 & CR4_OSXSAVE))
        return raise_ud(c);
    if (supervisor && c->cpl != 0)
        return raise_gp0(c);
    if (c->cr0 & CR0_TS)
        return raise(c, VEC_NM);
    return misaligned(c, i, offset, 64) ? raise_gp0(c) : STOP_NEXT;
}

static uint64_t requested(const struct vcpu *c)
{
    return (uint32_t)c->gpr[RAX] | c->gpr[RDX] << 32;
}

static enum weir_stop save(struct vcpu *c, const struct insn *i, unsigned how)
{
    uint64_t offset = insn_offset(c, i), old_bv = 0;
    bool compacted = how & SAVE_COMPACTED;
    enum weir_stop stop = xsave_check(c, i, offset, how & SAVE_SUPERVISOR);
    if (stop != STOP_NEXT)
        return stop;
    uint64_t rfbm = requested(c) & (c->xcr0 | (how & SAVE_SUPERVISOR ? c->xss : 0));
    uint64_t used = in_use(c);
    if (compacted && c->fpu.mxcsr != MXCSR_INIT)
        used |= XCR0_SSE; /* SDM Vol. 1 13.10 */
    uint64_t saved = how & SAVE_INIT_OPTIMIZED ? rfbm & used : rfbm;
    bool mxcsr = compacted ? saved & XCR0_SSE : rfbm & (XCR0_SSE | XCR0_AVX);
    struct area a;
    memset(a.bytes, 0, LEGACY_BYTES + HEADER_BYTES); /* the rest is written before it is read */
    a.pieces = 0;
    area_legacy(c, i, &a, saved, mxcsr);
    area_extended(c, &a, rfbm, saved, compacted);
    /* The standard format keeps the XSTATE_BV bits of what was not asked for. */
    if (!compacted && !mem_load(c, i->seg, offset + LEGACY_BYTES, 8, &old_bv))
        return STOP_FAULT;
    store_le(a.bytes + LEGACY_BYTES, (old_bv & ~rfbm) | (used & rfbm), 8);
    store_le(a.bytes + LEGACY_BYTES + 8, XCOMP_COMPACT | rfbm, 8);
    piece_add(&a, LEGACY_BYTES, compacted ? 16 : 8);
    uint32_t size = cpuid_xsave_size(c->model, rfbm, compacted);
    return area_write(c, i, offset, &a, size) ? STOP_NEXT : STOP_FAULT;
}

enum weir_stop op_xsave(struct vcpu *c, const struct insn *i)
{
    return save(c, i, 0);
}
enum weir_stop op_xsaveopt(struct vcpu *c, const struct insn *i)
{
    return save(c, i, SAVE_INIT_OPTIMIZED);
}
enum weir_stop op_xsavec(struct vcpu *c, const struct insn *i)
{
    return save(c, i, SAVE_COMPACTED | SAVE_INIT_OPTIMIZED);
}
enum weir_stop op_xsaves(struct vcpu *c, const struct insn *i)
{
    return save(c, i, SAVE_COMPACTED | SAVE_INIT_OPTIMIZED | SAVE_SUPERVISOR);
}

/* ---- restoring ---- */

struct header {
    uint64_t xstate_bv, xcomp_bv;
    bool rest_zero; /* bytes 16-63 */
    bool low_zero;  /* bytes 16-23 */
};

static void header_read(const uint8_t *area, struct header *h)
{
    h->xstate_bv = load_le(area + LEGACY_BYTES, 8);
    h->xcomp_bv = load_le(area + LEGACY_BYTES + 8, 8);
    h->low_zero = all_zero(area + LEGACY_BYTES + 16, 8);
    h->rest_zero = all_zero(area + LEGACY_BYTES + 16, 48);
}

/* SDM Vol. 1 13.8.1, 13.12 */
static bool header_valid(const struct vcpu *c, const struct header *h, bool supervisor)
{
    uint64_t allowed = c->xcr0 | (supervisor ? c->xss : 0);
    if (h->xcomp_bv & XCOMP_COMPACT) {
        uint64_t components = h->xcomp_bv & ~XCOMP_COMPACT;
        bool can = cpu_has(c, ISA_XSAVEC) || cpu_has(c, ISA_XSAVES);
        return can && !(components & ~allowed) && !(h->xstate_bv & ~components) && h->rest_zero;
    }
    return !supervisor && h->xcomp_bv == 0 && h->low_zero && !(h->xstate_bv & ~c->xcr0);
}

/* Reads the parts of the area that will be used; false = c->fault. */
static bool area_read(struct vcpu *c, const struct insn *i, uint64_t offset, uint8_t *area,
                      uint64_t rfbm, const struct header *h)
{
    bool compacted = h->xcomp_bv & XCOMP_COMPACT;
    for (unsigned n = XCOMP_AVX; n < XCOMP_COUNT; n++) {
        uint32_t bytes = c->model->xsave[n].size;
        if (!(rfbm & h->xstate_bv & BIT64(n)) || !bytes)
            continue;
        uint32_t at = component_offset(c->model, h->xcomp_bv & ~XCOMP_COMPACT, n, compacted);
        if (!mem_read_bytes(c, i->seg, offset + at, area + at, bytes))
            return false;
    }
    return true;
}

static void restore_legacy(struct vcpu *c, const struct insn *i, const uint8_t *area,
                           uint64_t rfbm, const struct header *h)
{
    bool compacted = h->xcomp_bv & XCOMP_COMPACT;
    if (rfbm & XCR0_X87) {
        if (h->xstate_bv & XCR0_X87) {
            x87_unpack(c, area, is_wide(i));
        } else {
            memset(c->fpu.fx.st, 0, sizeof c->fpu.fx.st);
            fpu_x87_init(c);
        }
    }
    if (rfbm & XCR0_SSE) {
        static const uint8_t zeros[LEGACY_BYTES];
        xmm_unpack(c, h->xstate_bv & XCR0_SSE ? area : zeros);
    }
    if (!compacted && rfbm & (XCR0_SSE | XCR0_AVX))
        c->fpu.mxcsr = (uint32_t)load_le(area + AT_MXCSR, 4);
    else if (compacted && rfbm & XCR0_SSE)
        c->fpu.mxcsr =
            h->xstate_bv & XCR0_SSE ? (uint32_t)load_le(area + AT_MXCSR, 4) : MXCSR_INIT;
}

static enum weir_stop restore(struct vcpu *c, const struct insn *i, bool supervisor)
{
    uint8_t area[AREA_MAX];
    struct header h;
    uint64_t offset = insn_offset(c, i);
    enum weir_stop stop = xsave_check(c, i, offset, supervisor);
    if (stop != STOP_NEXT)
        return stop;
    if (!mem_read_bytes(c, i->seg, offset, area, LEGACY_BYTES + HEADER_BYTES))
        return STOP_FAULT;
    header_read(area, &h);
    if (!header_valid(c, &h, supervisor))
        return raise_gp0(c);
    bool compacted = h.xcomp_bv & XCOMP_COMPACT;
    uint64_t rfbm = requested(c) & (c->xcr0 | (supervisor ? c->xss : 0));
    bool mxcsr =
        compacted ? (rfbm & h.xstate_bv & XCR0_SSE) != 0 : (rfbm & (XCR0_SSE | XCR0_AVX)) != 0;
    if (!area_read(c, i, offset, area, rfbm, &h))
        return STOP_FAULT;
    if (mxcsr && !mxcsr_valid(area))
        return raise_gp0(c);
    restore_legacy(c, i, area, rfbm, &h);
    for (unsigned n = XCOMP_AVX; n < XCOMP_COUNT; n++) {
        if (!(rfbm >> n & 1))
            continue;
        uint64_t components = h.xcomp_bv & ~XCOMP_COMPACT;
        uint32_t at = component_offset(c->model, components, n, compacted);
        component_unpack(c, n, h.xstate_bv >> n & 1 ? area + at : NULL);
    }
    return STOP_NEXT;
}

enum weir_stop op_xrstor(struct vcpu *c, const struct insn *i)
{
    return restore(c, i, false);
}
enum weir_stop op_xrstors(struct vcpu *c, const struct insn *i)
{
    return restore(c, i, true);
}
