/* SPDX-License-Identifier: MIT */
/*
 * gen_vector.c - SSE, AVX and AVX-512 instructions, and the VEX-encoded integer ones: the same
 * instruction again. Vector and mask registers keep their numbers, general registers are where
 * they are on the host, the memory operand becomes [T1].
 *
 * While they run, the guest's vector registers and MXCSR are in the host's: blocks that use
 * them see to that at their start (fpu level), whatever calls C saves them first. All SIMD
 * exceptions are masked then; otherwise the interpreter does it. SDM Vol. 2 2.1-2.7.
 */
#include "jit/internal.h"

#include "cpu/interp/hostexec.h"
#include "cpu/x86.h"

struct form {
    unsigned reg, rm, vvvv;                        /* numbers to encode */
    uint8_t spilled_reg, spilled_rm, spilled_vvvv; /* guest registers there, or REG_NONE */
    bool load_reg, load_rm, load_vvvv, store_reg, store_rm, store_vvvv;
    bool memory, written, rm_used, reg_used, w;
    unsigned bytes;
    struct rm operand; /* in memory */
};

static bool place_gpr(struct form *f, const struct operand *o)
{
    unsigned host = host_reg(o->reg & 15);
    bool spilled = host == SPILLED;
    if (o->reg >= 16)
        return false;
    switch (o->kind) {
    case KIND_G:
        f->reg = spilled ? T2 : host;
        f->reg_used = true;
        if (spilled) {
            f->spilled_reg = o->reg;
            f->load_reg |= o->read || o->bytes < 4;
            f->store_reg |= o->written;
        }
        return true;
    case KIND_B:
        f->vvvv = spilled ? T2 : host;
        if (spilled) {
            f->spilled_vvvv = o->reg;
            f->load_vvvv |= o->read;
            f->store_vvvv |= o->written;
        }
        return true;
    case KIND_FIXED:
        return o->reg <= RDX;
    default:
        f->rm = spilled ? T1 : host;
        f->rm_used = true;
        if (spilled) {
            f->spilled_rm = o->reg;
            f->load_rm |= o->read || o->bytes < 4;
            f->store_rm |= o->written;
        }
        return true;
    }
}

static bool place(struct form *f, const struct insn *i, const struct operand *o)
{
    if (o->is_mem) {
        f->memory = true;
        f->written |= o->written;
        f->bytes = i->mem_bytes;
        if (o->kind == KIND_E && i->code_bits != 64)
            f->w = false; /* as below */
        return o->kind != KIND_VSIB && o->kind != KIND_X && o->kind != KIND_Y && f->bytes &&
               f->bytes <= 64 && !(o->read && o->written);
    }
    switch (o->regs) {
    case REGS_NONE:
        return true;
    case REGS_GPR:
        if (o->bytes <= 4 && i->code_bits != 64)
            f->w = false; /* W counts in 64-bit mode only */
        return place_gpr(f, o);
    case REGS_VECTOR:
    case REGS_MASK:
        break;
    default:
        return false;
    }
    switch (o->kind) {
    case KIND_V:
    case KIND_KG:
        f->reg = o->reg;
        f->reg_used = true;
        return true;
    case KIND_H:
    case KIND_KH:
        f->vvvv = o->reg;
        return true;
    case KIND_L:
    case KIND_XMM:
        return true;
    default:
        f->rm = o->reg;
        f->rm_used = true;
        return true;
    }
}

/* False: not one for this file. */
static bool describe(const struct translation *t, const struct insn *i, struct form *f)
{
    const struct optab_row *row = insn_row(i);
    bool vex = i->prefixes & (PFX_VEX | PFX_EVEX);
    bool wanted =
        op_table[i->op].class == CLASS_HOST
            ? row->state == STATE_SSE || row->state == STATE_AVX || row->state == STATE_AVX512
            : vex && op_table[i->op].class == CLASS_INT;
    if (!wanted || i->prefixes & PFX_XOP || i->map == 15 || i->map == 0)
        return false;
    if (i->prefixes & PFX_EVEX && !t->jit->has_avx512)
        return false;
    if (op_table[i->op].class == CLASS_INT && !host_has(&t->c->host->cpu, row->feature))
        return false;
    *f = (struct form){.spilled_reg = REG_NONE,
                       .spilled_rm = REG_NONE,
                       .spilled_vvvv = REG_NONE,
                       .w = i->prefixes & PFX_REX_W};
    struct operand o;
    for (unsigned k = 0; insn_operand(i, k, &o); k++)
        if (!place(f, i, &o))
            return false;
    if (f->spilled_reg != REG_NONE && f->spilled_vvvv != REG_NONE) {
        bool reads = f->load_reg || (f->spilled_reg == f->spilled_vvvv && f->store_vvvv);
        if (reads || f->spilled_rm != REG_NONE)
            return false;
        f->reg = T1; /* the address there is not needed any more when it is written */
    }
    struct insn bound = *i;
    insn_bind(t->c, &bound);
    return bound.op == i->op;
}

unsigned vector_level(const struct translation *t, const struct insn *i)
{
    struct form f;
    if (i->op == OP_VZEROUPPER) /* 32-bit code has eight registers only */
        return i->code_bits == 64 ? FPU_AVX : FPU_NONE;
    if (op_table[i->op].class != CLASS_HOST || !describe(t, i, &f))
        return FPU_NONE;
    struct operand o;
    bool masks = i->prefixes & PFX_EVEX;
    for (unsigned k = 0; insn_operand(i, k, &o); k++)
        masks |= o.regs == REGS_MASK;
    return masks ? FPU_AVX512 : i->prefixes & PFX_VEX ? FPU_AVX : FPU_SSE;
}

/* ---- encoding ---- */

static void put_modrm(struct as *a, const struct insn *i, const struct form *f)
{
    unsigned reg = f->reg_used ? f->reg & 7 : i->modrm >> 3 & 7u;
    if (i->mem)
        as_modrm(a, reg, f->operand, 0);
    else
        as8(a, 0xc0 | reg << 3 | (f->rm_used ? f->rm & 7 : i->modrm & 7u));
}

static void put_legacy(struct as *a, const struct insn *i, const struct form *f, unsigned b)
{
    if (i->prefixes & PFX_REPNE)
        as8(a, 0xf2);
    else if (i->prefixes & PFX_REP)
        as8(a, 0xf3);
    else if (i->prefixes & PFX_OPSIZE)
        as8(a, 0x66);
    unsigned rex = (unsigned)f->w << 3 | (f->reg >> 3 & 1) << 2 | b;
    if (rex)
        as8(a, 0x40 | rex);
    as8(a, 0x0f);
    if (i->map == 2 || i->map == 3)
        as8(a, i->map == 2 ? 0x38 : 0x3a);
    as8(a, i->opcode);
}

static const uint8_t *vex_payload(const struct insn *i)
{
    const uint8_t *p = i->bytes;
    while (*p != 0x62 && *p != 0xc4 && *p != 0xc5)
        p++;
    return p;
}

static void put_vex(struct as *a, const struct insn *i, const struct form *f, unsigned b)
{
    const uint8_t *raw = vex_payload(i);
    unsigned length_pp = (raw[0] == 0xc5 ? raw[1] : raw[2]) & 7;
    as8(a, 0xc4);
    as8(a, (!(f->reg >> 3 & 1)) << 7 | (!(b >> 1)) << 6 | (!(b & 1)) << 5 | i->map);
    as8(a, (unsigned)f->w << 7 | (~f->vvvv & 15) << 3 | length_pp);
    as8(a, i->opcode);
}

static void put_evex(struct as *a, const struct insn *i, const struct form *f, unsigned b)
{
    const uint8_t *raw = vex_payload(i);
    as8(a, 0x62);
    as8(a, (!(f->reg >> 3 & 1)) << 7 | (!(b >> 1 & 1)) << 6 | (!(b & 1)) << 5 |
               (!(f->reg >> 4 & 1)) << 4 | i->map);
    as8(a, (unsigned)f->w << 7 | (~f->vvvv & 15) << 3 | 4 | (raw[2] & 3));
    as8(a, (raw[3] & 0xf7u) | (!(f->vvvv >> 4 & 1)) << 3); /* z, L'L, b, aaa stay */
    as8(a, i->opcode);
}

static void put_immediates(struct as *a, const struct insn *i)
{
    const struct optab_row *row = insn_row(i);
    for (unsigned k = 0; k < 4; k++) {
        unsigned bytes = insn_size_bytes(i, (enum operand_size)row->operands[k].size);
        if (row->operands[k].kind == KIND_I)
            as_bytes(a, i->imm, bytes < 4 ? bytes : 4);
        else if (row->operands[k].kind == KIND_I2)
            as8(a, i->imm2 & 0xff);
        else if (row->operands[k].kind == KIND_L)
            as8(a, i->imm & (i->code_bits == 64 ? 0xff : 0x7f));
    }
}

static void put(struct as *a, const struct insn *i, const struct form *f)
{
    unsigned b = (f->rm >> 3 & 1) | (f->rm >> 4 & 1) << 1; /* REX.B and X, VEX's are inverted */
    if (i->mem) {
        b = as_rex_xb(f->operand);
        as_gs32(a, f->operand);
    }
    if (i->prefixes & PFX_EVEX)
        put_evex(a, i, f, b);
    else if (i->prefixes & PFX_VEX)
        put_vex(a, i, f, b);
    else
        put_legacy(a, i, f, b);
    put_modrm(a, i, f);
    put_immediates(a, i);
}

/* ---- code ---- */

static void load_spilled(struct translation *t, const struct form *f)
{
    if (f->load_reg)
        as_load(&t->as, T2, guest_home(t, f->spilled_reg));
    if (f->load_vvvv)
        as_load(&t->as, T2, guest_home(t, f->spilled_vvvv));
    if (f->load_rm)
        as_load(&t->as, T1, guest_home(t, f->spilled_rm));
}
static void store_spilled(struct translation *t, const struct form *f)
{
    if (f->store_reg)
        as_store(&t->as, guest_home(t, f->spilled_reg), f->reg);
    if (f->store_vvvv)
        as_store(&t->as, guest_home(t, f->spilled_vvvv), T2);
    if (f->store_rm)
        as_store(&t->as, guest_home(t, f->spilled_rm), T1);
}

/* The displacement of EVEX counts in units of its operand: there is none. */
static void gen_without_disp(struct translation *t, struct rm *rm)
{
    struct rm plain = rm_mem(T1, 0);
    plain.gs32 = rm->gs32;
    rm->gs32 = false;
    if (plain.gs32)
        as_lea32(&t->as, T1, *rm);
    else
        as_lea(&t->as, T1, *rm);
    *rm = plain;
}

/* A window leaves it to the host to see that it is not aligned. */
static void gen_operand(struct translation *t, const struct insn *i, struct form *f)
{
    struct as *a = &t->as;
    unsigned alignment = insn_mem_alignment(i);
    bool spilled = f->spilled_reg != REG_NONE || f->spilled_vvvv != REG_NONE;
    f->operand = rm_mem(T1, 0);
    if (gen_by_window(t)) {
        flags_before(t);
        f->operand = gen_memory(t, i, f->bytes, f->written, !spilled);
        if (i->prefixes & PFX_EVEX && f->operand.disp)
            gen_without_disp(t, &f->operand);
        return;
    }
    gen_address(t, i, f->bytes, f->written);
    if (alignment) {
        flags_preserve(t);
        as_op_imm(a, OPC(0, 0xf6), 0, rm_reg(T1), alignment - 1, 1);
        gen_bail(t, CC_NE);
    }
}

bool gen_vector(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    struct form f;
    if (i->op == OP_VZEROUPPER && i->code_bits == 64) {
        as8(a, 0xc5);
        as8(a, 0xf8);
        as8(a, 0x77);
        return true;
    }
    if (!describe(t, i, &f))
        return false;
    if (op_table[i->op].class == CLASS_HOST && t->level == FPU_NONE)
        return false;
    if (f.memory)
        gen_operand(t, i, &f);
    flags_before(t);
    load_spilled(t, &f);
    put(a, i, &f);
    store_spilled(t, &f);
    flags_after(t);
    return true;
}
