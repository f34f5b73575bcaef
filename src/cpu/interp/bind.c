/* SPDX-License-Identifier: MIT */
/*
 * bind.c - from a decoded instruction to the function that executes it: the general one of its
 * operation, or one for exactly its form where that is worth it. What depends only on CPU model
 * and mode (missing features, VEX in real mode) is decided here, once.
 */
#include "cpu/cpuid.h"
#include "cpu/events.h"
#include "cpu/interp/operands.h"

/* ---- single instructions ---- */

enum weir_stop insn_end(struct vcpu *c, const struct insn *i)
{
    return STOP_NEXT;
}

/* One bound instruction and an end behind it. */
static enum weir_stop run_single(struct vcpu *c, struct insn pair[2])
{
    pair[1].length = 0;
    pair[1].exec = insn_end;
    return pair[0].exec(c, pair);
}

enum weir_stop run_bound(struct vcpu *c, const struct insn *i, bind_fn *bind)
{
    struct insn pair[2];
    pair[0] = *i;
    pair[0].exec = bind(c, &pair[0]);
    return run_single(c, pair);
}

enum weir_stop insn_execute(struct vcpu *c, const struct insn *i)
{
    struct insn pair[2];
    pair[0] = *i;
    insn_bind(c, &pair[0]);
    return run_single(c, pair);
}

/* ---- operand forms ---- */

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

static enum form memory_form(struct insn *i, enum form general, enum form flat)
{
    address_bind(i);
    return is_flat(i) ? flat : general;
}

enum form form_normalise(struct insn *i)
{
    const struct operand_form *dst = &insn_row(i)->operands[0];
    const struct operand_form *src = &insn_row(i)->operands[1];
    bool moffs = dst->kind == KIND_O || src->kind == KIND_O;
    if (moffs) {
        if (!moffs_to_modrm(i))
            return FORM_OTHER;
        i->reg = RAX;
    }
    if (src->kind == KIND_I) {
        if (dst->kind == KIND_FIXED)
            i->rm = dst->fixed;
        else if (dst->kind == KIND_Z)
            i->rm = i->reg;
        else if (i->mem)
            return memory_form(i, FORM_MI, FORM_FI);
        return FORM_RI;
    }
    if (i->mem) {
        if (dst->kind == KIND_E || dst->kind == KIND_O)
            return memory_form(i, FORM_MR, FORM_FR);
        return memory_form(i, FORM_RM, FORM_RF);
    }
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
    [OP_ADD] = bind_add,     [OP_OR] = bind_or,         [OP_ADC] = bind_adc,
    [OP_SBB] = bind_sbb,     [OP_AND] = bind_and,       [OP_SUB] = bind_sub,
    [OP_XOR] = bind_xor,     [OP_CMP] = bind_cmp,       [OP_TEST] = bind_test,
    [OP_INC] = bind_inc,     [OP_DEC] = bind_dec,       [OP_NEG] = bind_neg,
    [OP_NOT] = bind_not,     [OP_MOV] = bind_mov,       [OP_MOVZX] = bind_movzx,
    [OP_MOVSX] = bind_movsx, [OP_MOVSXD] = bind_movsxd, [OP_LEA] = bind_lea,
    [OP_PUSH] = bind_push,   [OP_POP] = bind_pop,       [OP_JCC] = bind_jcc,
    [OP_SHL] = bind_shl,     [OP_SHR] = bind_shr,       [OP_SAR] = bind_sar,
    [OP_CALL] = bind_call,   [OP_RET] = bind_ret,       [OP_CMOVCC] = bind_cmovcc,
};

static insn_fn *const threaded[OP_COUNT] = {
    [OP_IMUL] = run_imul,   [OP_MUL] = run_mul,         [OP_DIV] = run_div,
    [OP_ROL] = run_rol,     [OP_ROR] = run_ror,         [OP_SETCC] = run_setcc,
    [OP_JMP] = run_jmp,     [OP_JMP_IND] = run_jmp_ind, [OP_CALL_IND] = run_call_ind,
    [OP_LEAVE] = run_leave, [OP_BT] = run_bt,           [OP_XCHG] = run_xchg,
    [OP_CBW] = run_cbw,     [OP_CWD] = run_cwd,         [OP_NOP] = run_nop,
    [OP_BSWAP] = run_bswap, [OP_XADD] = run_xadd,       [OP_CMPXCHG] = run_cmpxchg,
    [OP_SHLD] = run_shld,   [OP_SHRD] = run_shrd,       [OP_BSF] = run_bsf,
    [OP_BSR] = run_bsr,
};

/* The exec function of everything else. */
static enum weir_stop run_any(struct vcpu *c, const struct insn *i)
{
    if (UNLIKELY(c->exits)) {
        enum weir_stop stop = exits_before(c, i);
        if (stop != STOP_NEXT)
            return thread(c, i, stop);
    }
    return thread(c, i, functions[i->op](c, i));
}

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
    if (UNLIKELY(c->ev.armed) && !c->ev.inside && event_kinds(i) & c->ev.armed) {
        i->exec = event_give_up;
        return;
    }
    if (!vex_allowed(c, i) || !features_present(c, i))
        i->op = OP_INVALID;
    i->op = (uint16_t)effective_op(c, i);
    if (binders[i->op])
        i->exec = binders[i->op](c, i);
    else
        i->exec = threaded[i->op] ? threaded[i->op] : run_any;
}
