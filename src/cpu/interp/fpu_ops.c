/* SPDX-License-Identifier: MIT */
/*
 * fpu_ops.c - x87 control instructions, the environment and state images of FNSTENV and FNSAVE,
 * MXCSR, EMMS and VZERO*. SDM Vol. 1 8.1.10 (image layouts), 8.3.11.
 *
 * "Waiting" instructions report a pending x87 exception first; the FN* ones do not.
 */
#include "cpu/access.h"
#include "cpu/cpu.h"
#include "cpu/cpuid.h"
#include "cpu/fpu.h"
#include "cpu/interp/ops.h"

#define ENV_MAX_BYTES 28u
#define WAITING       (FPU_NEEDS_X87 | FPU_NEEDS_WAIT)

/* ---- control and status words ---- */

enum weir_stop op_fnstcw(struct vcpu *c, const struct insn *i)
{
    enum weir_stop stop = fpu_check(c, FPU_NEEDS_X87);
    if (stop != STOP_NEXT)
        return stop;
    return mem_store(c, i->seg, insn_offset(c, i), 2, c->fpu.fx.fcw) ? STOP_NEXT : STOP_FAULT;
}

enum weir_stop op_fldcw(struct vcpu *c, const struct insn *i)
{
    uint64_t v;
    enum weir_stop stop = fpu_check(c, WAITING);
    if (stop != STOP_NEXT)
        return stop;
    if (!mem_load(c, i->seg, insn_offset(c, i), 2, &v))
        return STOP_FAULT;
    c->fpu.fx.fcw = (uint16_t)v;
    fpu_status_update(c);
    return STOP_NEXT;
}

enum weir_stop op_fnstsw(struct vcpu *c, const struct insn *i)
{
    enum weir_stop stop = fpu_check(c, FPU_NEEDS_X87);
    if (stop != STOP_NEXT)
        return stop;
    if (i->mem)
        return mem_store(c, i->seg, insn_offset(c, i), 2, c->fpu.fx.fsw) ? STOP_NEXT
                                                                         : STOP_FAULT;
    c->gpr[RAX] = (c->gpr[RAX] & ~0xffffull) | c->fpu.fx.fsw;
    return STOP_NEXT;
}

enum weir_stop op_fninit(struct vcpu *c, const struct insn *i)
{
    enum weir_stop stop = fpu_check(c, FPU_NEEDS_X87);
    if (stop == STOP_NEXT)
        fpu_x87_init(c);
    return stop;
}

enum weir_stop op_fnclex(struct vcpu *c, const struct insn *i)
{
    enum weir_stop stop = fpu_check(c, FPU_NEEDS_X87);
    if (stop != STOP_NEXT)
        return stop;
    c->fpu.fx.fsw &= 0x7f00; /* B, ES, SF and the exception flags */
    fpu_status_update(c);
    return STOP_NEXT;
}

enum weir_stop op_fwait(struct vcpu *c, const struct insn *i)
{
    if ((c->cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS))
        return raise(c, VEC_NM);
    if (!(c->fpu.fx.fsw & FSW_ES))
        return STOP_NEXT;
    uint64_t cr0 = c->cr0; /* EM and TS alone do not matter here */
    c->cr0 &= ~(uint64_t)(CR0_EM | CR0_TS);
    enum weir_stop stop = fpu_check(c, WAITING);
    c->cr0 = cr0;
    return stop;
}

enum weir_stop op_fnop(struct vcpu *c, const struct insn *i)
{
    /* FENI, FDISI, FSETPM (DB E0, E1, E4) do not wait. */
    return fpu_check(c, i->opcode == 0xdb ? FPU_NEEDS_X87 : WAITING);
}

enum weir_stop op_emms(struct vcpu *c, const struct insn *i)
{
    enum weir_stop stop = fpu_check(c, FPU_NEEDS_MMX | FPU_NEEDS_WAIT);
    if (stop != STOP_NEXT)
        return stop;
    fpu_mmx_enter(c);
    c->fpu.fx.ftw = 0;
    return STOP_NEXT;
}

/* ---- environment ---- */

static bool real_format(const struct vcpu *c)
{
    return !(c->mode & MODE_PE) || (c->mode & MODE_VM);
}

/*
 * 32-bit images have a doubleword where 16-bit ones have a word:
 *   FCW FSW FTW | protected: FIP, FCS (+ FOP << 16), FDP, FDS
 *               | real: FIP 15:0, FIP 31:16 << 12 | FOP, FDP 15:0, FDP 31:16 << 12
 */
static unsigned env_pack(const struct vcpu *c, const struct insn *i, uint8_t *out)
{
    const struct fpu_state *f = &c->fpu;
    uint32_t word[7] = {f->fx.fcw, f->fx.fsw, fpu_tag_word(c)};
    bool wide = i->opsize != 2;
    if (real_format(c)) {
        uint32_t fip = (uint32_t)(f->fip + ((uint32_t)f->fcs << 4));
        uint32_t fdp = (uint32_t)(f->fdp + ((uint32_t)f->fds << 4));
        word[3] = fip & 0xffff;
        word[4] = fip >> 16 << 12 | (f->fop & 0x7ff);
        word[5] = fdp & 0xffff;
        word[6] = fdp >> 16 << 12;
    } else {
        word[3] = (uint32_t)f->fip;
        word[4] = f->fcs | (wide ? (uint32_t)(f->fop & 0x7ff) << 16 : 0);
        word[5] = (uint32_t)f->fdp;
        word[6] = f->fds;
    }
    for (unsigned n = 0; n < 7; n++) {
        /* The upper halves of 16-bit fields read as ones. */
        bool narrow_field = n < 3 || n == 6 || (real_format(c) && (n == 3 || n == 5));
        if (real_format(c) && n == 6)
            narrow_field = false;
        if (wide && narrow_field)
            word[n] |= 0xffff0000u;
        store_le(out + (wide ? 4 : 2) * n, word[n], wide ? 4 : 2);
    }
    return wide ? 28 : 14;
}

static unsigned env_bytes(const struct insn *i)
{
    return i->opsize != 2 ? 28 : 14;
}

/* Tags are taken as empty or not; their finer meaning follows from the registers. */
static void env_unpack(struct vcpu *c, const struct insn *i, const uint8_t *in)
{
    struct fpu_state *f = &c->fpu;
    unsigned step = i->opsize != 2 ? 4 : 2;
    uint32_t word[7];
    for (unsigned n = 0; n < 7; n++)
        word[n] = (uint32_t)load_le(in + step * n, step);
    f->fx.fcw = (uint16_t)word[0];
    fpu_fsw_set(c, (uint16_t)word[1]);
    f->fx.ftw = fpu_tag_abridge((uint16_t)word[2]);
    if (real_format(c)) {
        f->fip = (word[3] & 0xffff) | (word[4] & 0x0ffff000) << 4;
        f->fdp = (word[5] & 0xffff) | (word[6] & 0x0ffff000) << 4;
        f->fop = word[4] & 0x7ff;
        f->fcs = f->fds = 0;
    } else {
        f->fip = word[3];
        f->fcs = (uint16_t)word[4];
        f->fdp = word[5];
        f->fds = (uint16_t)word[6];
        if (step == 4)
            f->fop = word[4] >> 16 & 0x7ff;
    }
    fpu_status_update(c);
}

enum weir_stop op_fnstenv(struct vcpu *c, const struct insn *i)
{
    uint8_t env[ENV_MAX_BYTES];
    enum weir_stop stop = fpu_check(c, FPU_NEEDS_X87);
    if (stop != STOP_NEXT)
        return stop;
    unsigned bytes = env_pack(c, i, env);
    if (!mem_write_bytes(c, i->seg, insn_offset(c, i), env, bytes))
        return STOP_FAULT;
    c->fpu.fx.fcw |= FSW_EXCEPTIONS;
    fpu_status_update(c);
    return STOP_NEXT;
}

enum weir_stop op_fldenv(struct vcpu *c, const struct insn *i)
{
    uint8_t env[ENV_MAX_BYTES];
    enum weir_stop stop = fpu_check(c, WAITING);
    if (stop != STOP_NEXT)
        return stop;
    if (!mem_read_bytes(c, i->seg, insn_offset(c, i), env, env_bytes(i)))
        return STOP_FAULT;
    env_unpack(c, i, env);
    return STOP_NEXT;
}

enum weir_stop op_fnsave(struct vcpu *c, const struct insn *i)
{
    uint8_t image[ENV_MAX_BYTES + 80];
    enum weir_stop stop = fpu_check(c, FPU_NEEDS_X87);
    if (stop != STOP_NEXT)
        return stop;
    unsigned bytes = env_pack(c, i, image);
    for (unsigned n = 0; n < 8; n++)
        memcpy(image + bytes + 10 * n, c->fpu.fx.st[n], 10);
    if (!mem_write_bytes(c, i->seg, insn_offset(c, i), image, bytes + 80))
        return STOP_FAULT;
    fpu_x87_init(c);
    return STOP_NEXT;
}

enum weir_stop op_frstor(struct vcpu *c, const struct insn *i)
{
    uint8_t image[ENV_MAX_BYTES + 80];
    unsigned bytes = env_bytes(i);
    enum weir_stop stop = fpu_check(c, WAITING);
    if (stop != STOP_NEXT)
        return stop;
    if (!mem_read_bytes(c, i->seg, insn_offset(c, i), image, bytes + 80))
        return STOP_FAULT;
    env_unpack(c, i, image);
    for (unsigned n = 0; n < 8; n++)
        memcpy(c->fpu.fx.st[n], image + bytes + 10 * n, 10);
    return STOP_NEXT;
}

/* ---- MXCSR ---- */

static enum weir_stop mxcsr_load(struct vcpu *c, const struct insn *i, unsigned needs)
{
    uint64_t v;
    enum weir_stop stop = fpu_check(c, needs);
    if (stop != STOP_NEXT)
        return stop;
    if (!mem_load(c, i->seg, insn_offset(c, i), 4, &v))
        return STOP_FAULT;
    if (v & ~(uint64_t)MXCSR_MASK)
        return raise_gp0(c);
    c->fpu.mxcsr = (uint32_t)v;
    return STOP_NEXT;
}

static enum weir_stop mxcsr_store(struct vcpu *c, const struct insn *i, unsigned needs)
{
    enum weir_stop stop = fpu_check(c, needs);
    if (stop != STOP_NEXT)
        return stop;
    return mem_store(c, i->seg, insn_offset(c, i), 4, c->fpu.mxcsr) ? STOP_NEXT : STOP_FAULT;
}

enum weir_stop op_ldmxcsr(struct vcpu *c, const struct insn *i)
{
    return mxcsr_load(c, i, FPU_NEEDS_SSE);
}
enum weir_stop op_vldmxcsr(struct vcpu *c, const struct insn *i)
{
    return mxcsr_load(c, i, FPU_NEEDS_AVX);
}
enum weir_stop op_stmxcsr(struct vcpu *c, const struct insn *i)
{
    return mxcsr_store(c, i, FPU_NEEDS_SSE);
}
enum weir_stop op_vstmxcsr(struct vcpu *c, const struct insn *i)
{
    return mxcsr_store(c, i, FPU_NEEDS_AVX);
}

/* ---- upper halves ---- */

static enum weir_stop zero_from(struct vcpu *c, unsigned first_byte)
{
    enum weir_stop stop = fpu_check(c, FPU_NEEDS_AVX);
    if (stop != STOP_NEXT)
        return stop;
    unsigned registers = cpu_is_64bit(c) ? 16 : 8;
    for (unsigned n = 0; n < registers; n++)
        memset(c->fpu.zmm[n] + first_byte, 0, 64 - first_byte);
    return STOP_NEXT;
}

enum weir_stop op_vzeroupper(struct vcpu *c, const struct insn *i)
{
    return zero_from(c, 16);
}
enum weir_stop op_vzeroall(struct vcpu *c, const struct insn *i)
{
    return zero_from(c, 0);
}
