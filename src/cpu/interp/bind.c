/* SPDX-License-Identifier: MIT */
/*
 * bind.c - from a decoded instruction to the function that executes it: the general one of its
 * operation, or one for exactly its form where that is worth it. What depends only on CPU model
 * and mode (missing features, VEX in real mode) is decided here, once.
 */
#include "cpu/cpuid.h"
#include "cpu/interp/operands.h"

enum weir_stop run_bound(struct vcpu *c, const struct insn *i, bind_fn *bind)
{
    struct insn n = *i;
    insn_fn *exec = bind(c, &n);
    return exec(c, &n);
}

/* An absolute address fits the displacement unless it is a 64-bit one beyond 2 GiB. */
static bool moffs_to_modrm(struct insn *i)
{
    if (i->addrsize == 8 && (uint64_t)(int64_t)(int32_t)i->imm != i->imm)
        return false;
    i->mem = 1;
    i->base = i->index = REG_NONE;
    i->disp = (int32_t)i->imm;
    return true;
}

enum form form_normalise(struct insn *i)
{
    const struct operand_form *dst = &insn_row(i)->operands[0];
    const struct operand_form *src = &insn_row(i)->operands[1];
    if (dst->kind == KIND_O || src->kind == KIND_O) {
        if (!moffs_to_modrm(i))
            return FORM_OTHER;
        i->reg = RAX;
        return dst->kind == KIND_O ? FORM_MR : FORM_RM;
    }
    if (src->kind == KIND_I) {
        if (dst->kind == KIND_FIXED)
            i->rm = dst->fixed;
        else if (dst->kind == KIND_Z)
            i->rm = i->reg;
        else if (i->mem)
            return FORM_MI;
        return FORM_RI;
    }
    if (i->mem)
        return dst->kind == KIND_E ? FORM_MR : FORM_RM;
    if (dst->kind == KIND_G) {
        uint8_t r = i->reg;
        i->reg = i->rm;
        i->rm = r;
    }
    return FORM_RR;
}

/* ---- tables ---- */

#define FUNCTION_INT(name)  op_##name
#define FUNCTION_SYS(name)  op_##name
#define FUNCTION_FPU(name)  op_##name
#define FUNCTION_HOST(name) op_host

static insn_fn *const functions[OP_COUNT] = {
    [OP_INVALID] = op_ud,
#define OP(NAME, name, CLASS, ...) [OP_##NAME] = FUNCTION_##CLASS(name),
#include "cpu/decode/ops.def"
#undef OP
};

static bind_fn *const binders[OP_COUNT] = {
    [OP_ADD] = bind_add,     [OP_OR] = bind_or,   [OP_ADC] = bind_adc,
    [OP_SBB] = bind_sbb,     [OP_AND] = bind_and, [OP_SUB] = bind_sub,
    [OP_XOR] = bind_xor,     [OP_CMP] = bind_cmp, [OP_TEST] = bind_test,
    [OP_INC] = bind_inc,     [OP_DEC] = bind_dec, [OP_NEG] = bind_neg,
    [OP_NOT] = bind_not,     [OP_MOV] = bind_mov, [OP_MOVZX] = bind_movzx,
    [OP_MOVSX] = bind_movsx, [OP_LEA] = bind_lea, [OP_PUSH] = bind_push,
    [OP_POP] = bind_pop,     [OP_JCC] = bind_jcc, [OP_SHL] = bind_shl,
    [OP_SHR] = bind_shr,     [OP_SAR] = bind_sar, [OP_CMOVCC] = bind_cmovcc,
};

insn_fn *op_function(unsigned op)
{
    return op < OP_COUNT ? functions[op] : op_ud;
}

/* ---- what the model and the mode allow ---- */

static bool vex_allowed(const struct vcpu *c, const struct insn *i)
{
    if (!(i->prefixes & (PFX_VEX | PFX_EVEX | PFX_XOP)))
        return true;
    return (c->mode & MODE_PE) && !(c->mode & MODE_VM);
}

static bool features_present(const struct vcpu *c, const struct insn *i)
{
    const struct optab_row *row = insn_row(i);
    if (row->feature != ISA_BASE && !cpu_has(c, row->feature))
        return false;
    if (row->state == STATE_AVX)
        return cpu_has(c, ISA_AVX);
    if (row->state == STATE_AVX512)
        return cpu_has(c, ISA_AVX512F) && (!insn_needs_vl(i) || cpu_has(c, ISA_AVX512VL));
    return true;
}

/* Without the feature LZCNT and TZCNT are BSR and BSF with a prefix that means nothing. */
static unsigned effective_op(const struct vcpu *c, const struct insn *i)
{
    if (i->op == OP_LZCNT && !cpu_has(c, ISA_ABM))
        return OP_BSR;
    if (i->op == OP_TZCNT && !cpu_has(c, ISA_BMI1))
        return OP_BSF;
    return i->op;
}

void insn_bind(const struct vcpu *c, struct insn *i)
{
    if (i->op == OP_INVALID || !vex_allowed(c, i) || !features_present(c, i)) {
        i->exec = op_ud;
        return;
    }
    unsigned op = effective_op(c, i);
    i->exec = binders[op] ? binders[op](c, i) : op_function(op);
}
