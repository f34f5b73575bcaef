/* SPDX-License-Identifier: MIT */
/*
 * int_flow.c - near control transfers. A target is truncated to the operand size and checked
 * (code segment limit, canonical) before anything else changes.
 */
#include "cpu/interp/operands.h"

/* ---- Jcc: one function per condition ---- */

ALWAYS_INLINE enum weir_stop jcc(struct vcpu *c, const struct insn *i, unsigned cc)
{
    if (!condition(c->flags, cc))
        return next_insn(c, i);
    return stop_insn(c, i, branch_to(c, i, c->rip + i->imm));
}
/* 64-bit code: the operand size is 8. */
ALWAYS_INLINE enum weir_stop jcc_64(struct vcpu *c, const struct insn *i, unsigned cc)
{
    if (!condition(c->flags, cc))
        return next_insn(c, i);
    uint64_t target = c->rip + i->imm;
    if (UNLIKELY(!target_canonical(target)))
        return stop_insn(c, i, raise_gp0(c));
    c->rip = target;
    return stop_insn(c, i, STOP_BRANCH);
}

#define JCC_FORMS(cc)                                                                          \
    static enum weir_stop jcc_##cc(struct vcpu *c, const struct insn *i)                       \
    {                                                                                          \
        return jcc(c, i, cc);                                                                  \
    }                                                                                          \
    static enum weir_stop jcc_64_##cc(struct vcpu *c, const struct insn *i)                    \
    {                                                                                          \
        return jcc_64(c, i, cc);                                                               \
    }
JCC_FORMS(0)
JCC_FORMS(1)
JCC_FORMS(2)
JCC_FORMS(3)
JCC_FORMS(4)
JCC_FORMS(5)
JCC_FORMS(6)
JCC_FORMS(7)
JCC_FORMS(8)
JCC_FORMS(9)
JCC_FORMS(10)
JCC_FORMS(11)
JCC_FORMS(12)
JCC_FORMS(13)
JCC_FORMS(14)
JCC_FORMS(15)

insn_fn *bind_jcc(const struct vcpu *c, struct insn *i)
{
    static insn_fn *const legacy[16] = {
        jcc_0, jcc_1, jcc_2,  jcc_3,  jcc_4,  jcc_5,  jcc_6,  jcc_7,
        jcc_8, jcc_9, jcc_10, jcc_11, jcc_12, jcc_13, jcc_14, jcc_15,
    };
    static insn_fn *const long_mode[16] = {
        jcc_64_0, jcc_64_1, jcc_64_2,  jcc_64_3,  jcc_64_4,  jcc_64_5,  jcc_64_6,  jcc_64_7,
        jcc_64_8, jcc_64_9, jcc_64_10, jcc_64_11, jcc_64_12, jcc_64_13, jcc_64_14, jcc_64_15,
    };
    bool is_64 = i->code_bits == 64 && i->opsize == 8;
    return (is_64 ? long_mode : legacy)[i->opcode & 15];
}
enum weir_stop op_jcc(struct vcpu *c, const struct insn *i)
{
    return run_bound(c, i, bind_jcc);
}

/* ---- LOOP, LOOPE, LOOPNE, JCXZ: the address size selects the counter ---- */

static enum weir_stop loop_if(struct vcpu *c, const struct insn *i, bool also)
{
    uint64_t target = c->rip + i->imm, count = (reg_addr(c, RCX, i) - 1) & addr_mask(i);
    bool taken = count != 0 && also;
    if (taken && !branch_target(c, i, &target))
        return STOP_FAULT;
    reg_addr_set(c, RCX, i, count);
    if (taken)
        c->rip = target;
    return STOP_BRANCH;
}
enum weir_stop op_loop(struct vcpu *c, const struct insn *i)
{
    return loop_if(c, i, true);
}
enum weir_stop op_loope(struct vcpu *c, const struct insn *i)
{
    return loop_if(c, i, c->flags & FLAG_ZF);
}
enum weir_stop op_loopne(struct vcpu *c, const struct insn *i)
{
    return loop_if(c, i, !(c->flags & FLAG_ZF));
}
enum weir_stop op_jcxz(struct vcpu *c, const struct insn *i)
{
    return reg_addr(c, RCX, i) == 0 ? branch_to(c, i, c->rip + i->imm) : STOP_BRANCH;
}

/* ---- JMP, CALL, RET ---- */

enum weir_stop op_jmp(struct vcpu *c, const struct insn *i)
{
    return branch_to(c, i, c->rip + i->imm);
}
THREADED(jmp)

enum weir_stop op_jmp_ind(struct vcpu *c, const struct insn *i)
{
    uint64_t target;
    if (!rm_load(c, i, i->opsize, &target))
        return STOP_FAULT;
    return branch_to(c, i, target);
}
THREADED(jmp_ind)

static enum weir_stop call(struct vcpu *c, const struct insn *i, uint64_t target)
{
    if (UNLIKELY(!branch_target(c, i, &target)) || UNLIKELY(!stack_push(c, i->opsize, c->rip)))
        return STOP_FAULT;
    c->rip = target;
    return STOP_BRANCH;
}
static enum weir_stop call_any(struct vcpu *c, const struct insn *i)
{
    return stop_insn(c, i, call(c, i, c->rip + i->imm));
}
static enum weir_stop call_64(struct vcpu *c, const struct insn *i)
{
    uint64_t target = c->rip + i->imm, sp = c->gpr[RSP] - 8;
    void *p = tlb_write_hit(c, sp, 8);
    if (UNLIKELY(!p || !target_canonical(target)))
        return call_any(c, i);
    store_le(p, c->rip, 8);
    c->gpr[RSP] = sp;
    c->rip = target;
    return stop_insn(c, i, STOP_BRANCH);
}
insn_fn *bind_call(const struct vcpu *c, struct insn *i)
{
    return i->code_bits == 64 && i->opsize == 8 ? call_64 : call_any;
}
enum weir_stop op_call(struct vcpu *c, const struct insn *i)
{
    return run_bound(c, i, bind_call);
}

enum weir_stop op_call_ind(struct vcpu *c, const struct insn *i)
{
    uint64_t target;
    if (!rm_load(c, i, i->opsize, &target))
        return STOP_FAULT;
    return call(c, i, target);
}
THREADED(call_ind)

static enum weir_stop ret_any(struct vcpu *c, const struct insn *i)
{
    uint64_t target;
    if (UNLIKELY(!stack_top(c, i->opsize, &target)) || UNLIKELY(!branch_target(c, i, &target)))
        return stop_insn(c, i, STOP_FAULT);
    stack_drop(c, i->opsize + (i->opcode == 0xc2 ? (uint16_t)i->imm : 0));
    c->rip = target;
    return stop_insn(c, i, STOP_BRANCH);
}
static enum weir_stop ret_64(struct vcpu *c, const struct insn *i)
{
    const void *p = tlb_read_hit(c, c->gpr[RSP], 8);
    uint64_t target = p ? load_le(p, 8) : 0;
    if (UNLIKELY(!p || !target_canonical(target)))
        return ret_any(c, i);
    c->gpr[RSP] += 8;
    c->rip = target;
    return stop_insn(c, i, STOP_BRANCH);
}
insn_fn *bind_ret(const struct vcpu *c, struct insn *i)
{
    return i->code_bits == 64 && i->opsize == 8 && i->opcode == 0xc3 ? ret_64 : ret_any;
}
enum weir_stop op_ret(struct vcpu *c, const struct insn *i)
{
    return run_bound(c, i, bind_ret);
}

/* ---- BOUND ---- */

enum weir_stop op_bound(struct vcpu *c, const struct insn *i)
{
    unsigned size = i->opsize;
    uint64_t low, high, offset = insn_offset(c, i);
    if (!mem_load(c, i->seg, offset, size, &low) ||
        !mem_load(c, i->seg, (offset + size) & addr_mask(i), size, &high))
        return STOP_FAULT;
    int64_t index = sign_extend(reg_get(c, i->reg, size), 8 * size);
    if (index < sign_extend(low, 8 * size) || index > sign_extend(high, 8 * size))
        return raise(c, VEC_BR);
    return STOP_NEXT;
}
