/* SPDX-License-Identifier: MIT */
/*
 * fpu.c - the x87/SSE/AVX/AVX-512 state of a vCPU: reset, availability checks, status and tag
 * words, access by register number. SDM Vol. 1 8.1, 10.2, 14; Vol. 3A 2.5, 14.
 */
#include "cpu/fpu.h"

#include "cpu/access.h"
#include "cpu/cpu.h"
#include "cpu/cpuid.h"
#include "cpu/icount.h"
#include "cpu/decode/optab.h"

/* ---- reset ---- */

void fpu_x87_init(struct vcpu *c)
{
    struct fpu_state *f = &c->fpu;
    fpu_fsw_set(c, 0);
    f->fx.fcw = FCW_INIT;
    f->fx.ftw = 0;
    f->fip = f->fdp = 0;
    f->fcs = f->fds = f->fop = 0;
    fpu_status_update(c);
}

void fpu_reset(struct vcpu *c)
{
    bool ferr = c->fpu.ferr;
    memset(&c->fpu, 0, sizeof c->fpu);
    c->fpu.ferr = ferr;
    c->fpu.fx.scratch_mxcsr = MXCSR_INIT;
    c->fpu.mxcsr = MXCSR_INIT;
    fpu_x87_init(c);
}

/* ---- availability ---- */

static void ferr_set(struct vcpu *c, bool level)
{
    c->fpu.ferr = level;
    if (!c->wires.ferr)
        return;
    cpu_outside(c);
    if (c->device_lock)
        pthread_mutex_lock(c->device_lock);
    c->wires.ferr(c->wires.ctx, level);
    if (c->device_lock)
        pthread_mutex_unlock(c->device_lock);
}

static enum weir_stop pending_exception(struct vcpu *c)
{
    if (c->cr0 & CR0_NE)
        return raise(c, VEC_MF);
    if (c->fpu.ferr)
        return STOP_NEXT;
    ferr_set(c, true);
    return STOP_REPEAT; /* lets IRQ 13 in before the instruction */
}

/* #UD conditions of VEX and EVEX encodings. */
static bool avx_enabled(const struct vcpu *c, uint64_t components)
{
    return (c->mode & (MODE_PE | MODE_VM)) == MODE_PE && (c->cr4 & CR4_OSXSAVE) &&
           (c->xcr0 & components) == components;
}

enum weir_stop fpu_check(struct vcpu *c, unsigned needs)
{
    if (needs & FPU_NEEDS_SSE && (c->cr0 & CR0_EM || !(c->cr4 & CR4_OSFXSR)))
        return raise_ud(c);
    if (needs & FPU_NEEDS_MMX && c->cr0 & CR0_EM)
        return raise_ud(c);
    if (needs & FPU_NEEDS_AVX && !avx_enabled(c, XCR0_SSE | XCR0_AVX))
        return raise_ud(c);
    if (needs & FPU_NEEDS_AVX512 && !avx_enabled(c, XCR0_SSE | XCR0_AVX | XCR0_AVX512))
        return raise_ud(c);
    if (needs & FPU_NEEDS_X87 && c->cr0 & CR0_EM)
        return raise(c, VEC_NM);
    if (UNLIKELY(needs && c->cr0 & CR0_TS))
        return raise(c, VEC_NM);
    if (needs & FPU_NEEDS_WAIT && UNLIKELY(c->fpu.fx.fsw & FSW_ES))
        return pending_exception(c);
    return STOP_NEXT;
}

enum weir_stop fpu_available(struct vcpu *c, const struct insn *i)
{
    switch (insn_row(i)->state) {
    case STATE_X87:
        return fpu_check(c, FPU_NEEDS_X87);
    case STATE_MMX:
        return fpu_check(c, FPU_NEEDS_MMX | FPU_NEEDS_WAIT);
    case STATE_SSE:
        return fpu_check(c, FPU_NEEDS_SSE);
    case STATE_AVX:
        return fpu_check(c, FPU_NEEDS_AVX);
    case STATE_AVX512:
        return fpu_check(c, FPU_NEEDS_AVX512);
    default:
        return STOP_NEXT;
    }
}

/* ---- x87 status ---- */

void fpu_status_update(struct vcpu *c)
{
    struct fpu_state *f = &c->fpu;
    f->fx.fcw = (f->fx.fcw & FCW_WRITABLE) | FCW_FIXED;
    f->fx.fsw &= (uint16_t) ~(FSW_ES | FSW_B);
    if (f->fx.fsw & ~f->fx.fcw & FSW_EXCEPTIONS)
        f->fx.fsw |= FSW_ES | FSW_B;
    else if (f->ferr)
        ferr_set(c, false);
}

/* Only while some exception is unmasked: what its handler looks at. To keep them always would
 * cost translated code more than all the rest of most instructions. */
void fpu_pointers_set(struct vcpu *c, const struct insn *i)
{
    struct fpu_state *f = &c->fpu;
    if ((f->fx.fcw & FSW_EXCEPTIONS) == FSW_EXCEPTIONS)
        return;
    f->fip = c->rip - i->length;
    f->fcs = c->seg[SEG_CS].selector;
    f->fop = (uint16_t)((i->opcode & 7) << 8 | i->modrm);
    if (!i->mem)
        return;
    f->fdp = insn_offset(c, i);
    f->fds = c->seg[i->seg].selector;
}

void fpu_fsw_set(struct vcpu *c, uint16_t fsw)
{
    struct fpu_state *f = &c->fpu;
    unsigned turn = (unsigned)((fsw >> FSW_TOP_SHIFT) - (f->fx.fsw >> FSW_TOP_SHIFT)) & 7;
    f->fx.fsw = fsw;
    if (LIKELY(turn == 0))
        return;
    uint8_t old[8][16];
    memcpy(old, f->fx.st, sizeof old);
    for (unsigned n = 0; n < 8; n++)
        memcpy(f->fx.st[n], old[(n + turn) & 7], 16);
}

void fpu_mmx_enter(struct vcpu *c)
{
    fpu_fsw_set(c, c->fpu.fx.fsw & (uint16_t) ~(7u << FSW_TOP_SHIFT));
    c->fpu.fx.ftw = 0xff;
}

/* Valid 0, zero 1, special 2 (SDM Vol. 1 8.1.7). */
static unsigned tag_of(const uint8_t st[16])
{
    uint64_t mantissa = load_le(st, 8);
    unsigned exponent = (unsigned)load_le(st + 8, 2) & 0x7fff;
    if (exponent == 0 && mantissa == 0)
        return 1;
    return exponent == 0 || exponent == 0x7fff || !(mantissa >> 63) ? 2 : 0;
}

uint16_t fpu_tag_word(const struct vcpu *c)
{
    const struct fpu_state *f = &c->fpu;
    unsigned top = f->fx.fsw >> FSW_TOP_SHIFT & 7, tags = 0;
    for (unsigned r = 0; r < 8; r++) {
        unsigned tag = f->fx.ftw >> r & 1 ? tag_of(f->fx.st[(r - top) & 7]) : 3;
        tags |= tag << (2 * r);
    }
    return (uint16_t)tags;
}

uint8_t fpu_tag_abridge(uint16_t tags)
{
    unsigned ftw = 0;
    for (unsigned r = 0; r < 8; r++)
        if ((tags >> (2 * r) & 3) != 3)
            ftw |= BIT(r);
    return (uint8_t)ftw;
}

/* ---- access by number ---- */

unsigned fpu_vector_bytes(const struct vcpu *c, unsigned n)
{
    if (cpu_has(c, ISA_AVX512F))
        return 64;
    if (n >= 16 || !cpu_has(c, ISA_SSE))
        return 0;
    return cpu_has(c, ISA_AVX) ? 32 : 16;
}

int fpu_reg_get(const struct vcpu *c, enum weir_reg reg, union weir_value *value)
{
    const struct fpu_state *f = &c->fpu;
    memset(value, 0, sizeof *value);
    if (reg >= WEIR_ST0 && reg <= WEIR_ST7) {
        memcpy(value->bytes, f->fx.st[reg - WEIR_ST0], 10);
        return 0;
    }
    if (reg >= WEIR_ZMM0 && reg <= WEIR_ZMM31) {
        memcpy(value->bytes, f->zmm[reg - WEIR_ZMM0], fpu_vector_bytes(c, reg - WEIR_ZMM0));
        return 0;
    }
    if (reg >= WEIR_K0 && reg <= WEIR_K7) {
        value->u64 = f->k[reg - WEIR_K0];
        return 0;
    }
    switch (reg) {
    case WEIR_FOP:
        value->u64 = f->fop;
        return 0;
    case WEIR_FIP:
        value->u64 = f->fip;
        return 0;
    case WEIR_FCS:
        value->u64 = f->fcs;
        return 0;
    case WEIR_FDP:
        value->u64 = f->fdp;
        return 0;
    case WEIR_FDS:
        value->u64 = f->fds;
        return 0;
    case WEIR_FCW:
        value->u64 = f->fx.fcw;
        return 0;
    case WEIR_FSW:
        value->u64 = f->fx.fsw;
        return 0;
    case WEIR_FTW:
        value->u64 = fpu_tag_word(c);
        return 0;
    case WEIR_MXCSR:
        value->u64 = f->mxcsr;
        return 0;
    default:
        return -WEIR_EINVAL;
    }
}

static int control_set(struct vcpu *c, enum weir_reg reg, uint64_t v)
{
    struct fpu_state *f = &c->fpu;
    switch (reg) {
    case WEIR_FOP:
        f->fop = v & 0x7ff;
        break;
    case WEIR_FIP:
        f->fip = v;
        break;
    case WEIR_FCS:
        f->fcs = (uint16_t)v;
        break;
    case WEIR_FDP:
        f->fdp = v;
        break;
    case WEIR_FDS:
        f->fds = (uint16_t)v;
        break;
    case WEIR_FCW:
        f->fx.fcw = (uint16_t)v;
        break;
    case WEIR_FSW:
        fpu_fsw_set(c, (uint16_t)v);
        break;
    case WEIR_FTW:
        f->fx.ftw = fpu_tag_abridge((uint16_t)v);
        break;
    case WEIR_MXCSR:
        if (v & ~(uint64_t)MXCSR_MASK)
            return -WEIR_EINVAL;
        f->mxcsr = (uint32_t)v;
        break;
    default:
        return -WEIR_EINVAL;
    }
    fpu_status_update(c);
    return 0;
}

int fpu_reg_set(struct vcpu *c, enum weir_reg reg, const union weir_value *value)
{
    struct fpu_state *f = &c->fpu;
    if (reg >= WEIR_ST0 && reg <= WEIR_ST7) {
        memcpy(f->fx.st[reg - WEIR_ST0], value->bytes, 10);
        return 0;
    }
    if (reg >= WEIR_ZMM0 && reg <= WEIR_ZMM31) {
        memcpy(f->zmm[reg - WEIR_ZMM0], value->bytes, fpu_vector_bytes(c, reg - WEIR_ZMM0));
        return 0;
    }
    if (reg >= WEIR_K0 && reg <= WEIR_K7) {
        f->k[reg - WEIR_K0] = cpu_has(c, ISA_AVX512F) ? value->u64 : 0;
        return 0;
    }
    return control_set(c, reg, value->u64);
}
