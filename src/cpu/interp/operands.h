/* SPDX-License-Identifier: MIT */
/*
 * operands.h - how operation functions reach their operands: registers by size, the modrm
 * operand, read-modify-write of memory, the stack, near branch targets.
 *
 * What can fault returns bool (false: c->fault is filled) as in access.h.
 */
#ifndef CPU_INTERP_OPERANDS_H
#define CPU_INTERP_OPERANDS_H

#include "cpu/access.h"
#include "cpu/cpu.h"
#include "cpu/decode/optab.h"
#include "cpu/interp/flags.h"
#include "cpu/interp/ops.h"

/* ---- registers ---- */

/* 0-15 low bytes, 16-19 AH CH DH BH. */
ALWAYS_INLINE uint8_t *reg_byte(struct vcpu *c, unsigned r)
{
    return (uint8_t *)&c->gpr[r & 15] + (r >> 4);
}
ALWAYS_INLINE uint64_t reg_get(struct vcpu *c, unsigned r, unsigned size)
{
    switch (size) {
    case 1:
        return *reg_byte(c, r);
    case 2:
        return (uint16_t)c->gpr[r & 15];
    case 4:
        return (uint32_t)c->gpr[r & 15];
    default:
        return c->gpr[r & 15];
    }
}
/* 32-bit writes clear the upper half, smaller ones leave it. */
ALWAYS_INLINE void reg_set(struct vcpu *c, unsigned r, unsigned size, uint64_t v)
{
    switch (size) {
    case 1:
        *reg_byte(c, r) = (uint8_t)v;
        break;
    case 2:
        store_le(&c->gpr[r & 15], v, 2);
        break;
    case 4:
        c->gpr[r & 15] = (uint32_t)v;
        break;
    default:
        c->gpr[r & 15] = v;
        break;
    }
}

ALWAYS_INLINE uint64_t addr_mask(const struct insn *i)
{
    return mask_bytes(i->addrsize);
}
/* rCX, rSI, rDI as counters and pointers of `addrsize` bytes. */
ALWAYS_INLINE uint64_t reg_addr(const struct vcpu *c, unsigned r, const struct insn *i)
{
    return c->gpr[r] & addr_mask(i);
}
ALWAYS_INLINE void reg_addr_set(struct vcpu *c, unsigned r, const struct insn *i, uint64_t v)
{
    reg_set(c, r, i->addrsize, v);
}

/* Operand of 4 bytes, or 8 with REX.W or VEX.W in 64-bit code (SDM: "y"). */
ALWAYS_INLINE unsigned size_y(const struct insn *i)
{
    return i->code_bits == 64 && (i->prefixes & PFX_REX_W) ? 8 : 4;
}

/* ---- the modrm operand ---- */

ALWAYS_INLINE bool rm_load(struct vcpu *c, const struct insn *i, unsigned size, uint64_t *v)
{
    if (i->mem)
        return mem_load(c, i->seg, insn_offset(c, i), size, v);
    *v = reg_get(c, i->rm, size);
    return true;
}
ALWAYS_INLINE bool rm_store(struct vcpu *c, const struct insn *i, unsigned size, uint64_t v)
{
    if (i->mem)
        return mem_store(c, i->seg, insn_offset(c, i), size, v);
    reg_set(c, i->rm, size, v);
    return true;
}

/* ---- read-modify-write of the modrm memory operand ---- */

ALWAYS_INLINE bool rmw_open_at(struct vcpu *c, const struct insn *i, uint64_t offset,
                               unsigned size, struct mem_rmw *m)
{
    uint64_t linear;
    if (LIKELY(seg_linear(c, i->seg, offset, size, ACCESS_WRITE, &linear))) {
        m->host = tlb_write_hit(c, linear, size);
        if (LIKELY(m->host != NULL)) {
            m->value[0] = load_le(m->host, size);
            return true;
        }
    } else {
        return false;
    }
    return mem_rmw_begin(c, i->seg, offset, size, m);
}
ALWAYS_INLINE bool rmw_open(struct vcpu *c, const struct insn *i, unsigned size,
                            struct mem_rmw *m)
{
    return rmw_open_at(c, i, insn_offset(c, i), size, m);
}
ALWAYS_INLINE void rmw_close(struct vcpu *c, const struct mem_rmw *m, unsigned size, uint64_t v)
{
    if (LIKELY(m->host != NULL))
        store_le(m->host, v, size);
    else
        mem_rmw_commit(c, m, (uint64_t[2]){v, 0});
}

/* Whether an atomic host instruction may be used: a LOCK that crosses a cache line can be made
 * to fault by the host's split-lock detection, and one vCPU needs no atomicity there. */
ALWAYS_INLINE bool rmw_atomic_ok(const struct mem_rmw *m, unsigned size)
{
    return m->host && ((uintptr_t)m->host & 63) + size <= 64;
}
/* Replaces m->value[0] by v if memory still holds it; else reloads value[0] and returns false.
 */
bool rmw_exchange(struct vcpu *c, struct mem_rmw *m, unsigned size, uint64_t v);

/* ---- stack ---- */

ALWAYS_INLINE uint64_t stack_mask(const struct vcpu *c)
{
    switch (c->mode & MODE_STACK_MASK) {
    case MODE_STACK16:
        return 0xffff;
    case MODE_STACK32:
        return 0xffffffff;
    default:
        return ~0ull;
    }
}
ALWAYS_INLINE void stack_set(struct vcpu *c, unsigned r, uint64_t v)
{
    switch (c->mode & MODE_STACK_MASK) {
    case MODE_STACK16:
        store_le(&c->gpr[r], v, 2);
        break;
    case MODE_STACK32:
        c->gpr[r] = (uint32_t)v;
        break;
    default:
        c->gpr[r] = v;
        break;
    }
}
ALWAYS_INLINE bool stack_push(struct vcpu *c, unsigned size, uint64_t v)
{
    uint64_t sp = (c->gpr[RSP] - size) & stack_mask(c);
    if (UNLIKELY(!mem_store(c, SEG_SS, sp, size, v)))
        return false;
    stack_set(c, RSP, sp);
    return true;
}
/* Reads the top; the caller moves rSP (stack_drop) once nothing can fault any more. */
ALWAYS_INLINE bool stack_top(struct vcpu *c, unsigned size, uint64_t *v)
{
    return mem_load(c, SEG_SS, c->gpr[RSP] & stack_mask(c), size, v);
}
ALWAYS_INLINE void stack_drop(struct vcpu *c, uint64_t bytes)
{
    stack_set(c, RSP, c->gpr[RSP] + bytes);
}

/* ---- near branches ---- */

ALWAYS_INLINE bool target_canonical(uint64_t v)
{
    return (uint64_t)sign_extend(v, 48) == v;
}
/* Truncates a branch target to the operand size and checks it: false = c->fault is #GP(0). */
ALWAYS_INLINE bool branch_target(struct vcpu *c, const struct insn *i, uint64_t *target)
{
    if (LIKELY(cpu_is_64bit(c))) {
        if (i->opsize == 2)
            *target = (uint16_t)*target;
        if (LIKELY(target_canonical(*target)))
            return true;
    } else {
        *target = i->opsize == 2 ? (uint16_t)*target : (uint32_t)*target;
        if (LIKELY(*target <= c->segc[SEG_CS].limit))
            return true;
    }
    raise_gp0(c);
    return false;
}
ALWAYS_INLINE enum weir_stop branch_to(struct vcpu *c, const struct insn *i, uint64_t target)
{
    if (UNLIKELY(!branch_target(c, i, &target)))
        return STOP_FAULT;
    c->rip = target;
    return STOP_BRANCH;
}

/* ---- threaded code (see ops.h) ---- */

ALWAYS_INLINE enum weir_stop next_insn(struct vcpu *c, const struct insn *i)
{
    i++;
    c->rip += i->length;
    return i->exec(c, i);
}
ALWAYS_INLINE enum weir_stop stop_insn(struct vcpu *c, const struct insn *i,
                                       enum weir_stop stop)
{
    c->stopped_at = i;
    return stop;
}
/* An exec function from an operation that returns its stop. */
ALWAYS_INLINE enum weir_stop thread(struct vcpu *c, const struct insn *i, enum weir_stop stop)
{
    return LIKELY(stop == STOP_NEXT) ? next_insn(c, i) : stop_insn(c, i, stop);
}
/* Defines run_<name>, the exec function of op_<name>; for the frequent ones, defined above it.
 */
#define THREADED(name)                                                                         \
    insn_fn run_##name;                                                                        \
    enum weir_stop run_##name(struct vcpu *c, const struct insn *i)                            \
    {                                                                                          \
        return thread(c, i, op_##name(c, i));                                                  \
    }

/* ---- memory operands of bound instructions ---- */

/* Numbers behind the general registers in struct vcpu; REG_RIP is the first. */
#define REG_ZERO 18
_Static_assert(offsetof(struct vcpu, gpr) == 0 && offsetof(struct vcpu, rip) == REG_RIP * 8 &&
                   offsetof(struct vcpu, zero) == REG_ZERO * 8,
               "an address is computed without asking which parts it has");

/* What an address lacks becomes REG_ZERO: for binders whose functions use bound_offset. */
static inline void address_bind(struct insn *i)
{
    if (i->mem && i->base == REG_NONE)
        i->base = REG_ZERO;
    if (i->mem && i->index == REG_NONE)
        i->index = REG_ZERO;
}
ALWAYS_INLINE uint64_t bound_register(const struct vcpu *c, unsigned r)
{
    uint64_t v;
    memcpy(&v, (const char *)c + 8 * r, 8);
    return v;
}
/* insn_offset() after address_bind. */
ALWAYS_INLINE uint64_t bound_offset(const struct vcpu *c, const struct insn *i)
{
    uint64_t a = bound_register(c, i->base) + (bound_register(c, i->index) << i->scale) +
                 (uint64_t)(int64_t)i->disp;
    if (LIKELY(i->addrsize == 8))
        return a;
    return LIKELY(i->addrsize == 4) ? (uint32_t)a : (uint16_t)a;
}

/*
 * In 64-bit code segments have no limits: an operand that hits the TLB needs no check at all
 * (a non-canonical address never hits). NULL: take the general way. Bound operands only.
 */
ALWAYS_INLINE void *flat_read(const struct vcpu *c, const struct insn *i, unsigned size)
{
    return tlb_read_hit(c, c->segc[i->seg].base + bound_offset(c, i), size);
}
ALWAYS_INLINE void *flat_write(const struct vcpu *c, const struct insn *i, unsigned size)
{
    return tlb_write_hit(c, c->segc[i->seg].base + bound_offset(c, i), size);
}
static inline bool is_flat(const struct insn *i)
{
    return i->code_bits == 64;
}

/* ---- binding (bind.c) ---- */

/* Picks the exec function for exactly this form; may rearrange the insn for it. */
typedef insn_fn *bind_fn(const struct vcpu *c, struct insn *i);

/* For op_<name> functions whose semantics live in their forms: binds a copy and runs it. */
enum weir_stop run_bound(struct vcpu *c, const struct insn *i, bind_fn *bind);

/* Where the two operands of "dst, src" are, after form_normalise. The F forms are those of
 * memory in 64-bit code (flat_read, flat_write), with the general form to fall back to. */
enum form {
    FORM_RR, /* rm (destination), reg */
    FORM_RI, /* rm, imm */
    FORM_RM, /* reg (destination), memory */
    FORM_MR, /* memory (destination), reg */
    FORM_MI, /* memory, imm */
    FORM_RF,
    FORM_FR,
    FORM_FI,
    FORM_COUNT,
    FORM_OTHER = FORM_COUNT /* moffs beyond 32 bits */
};
/* Also does address_bind. */
enum form form_normalise(struct insn *i);

ALWAYS_INLINE unsigned size_index(unsigned size)
{
    return size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3;
}

/* Binders of the operations with specialised forms. */
bind_fn bind_add, bind_or, bind_adc, bind_sbb, bind_and, bind_sub, bind_xor, bind_cmp,
    bind_test, bind_inc, bind_dec, bind_neg, bind_not, bind_mov, bind_movzx, bind_movsx,
    bind_movsxd, bind_lea, bind_push, bind_pop, bind_jcc, bind_shl, bind_shr, bind_sar,
    bind_cmovcc, bind_call, bind_ret;
/* Exec functions of operations with one form (THREADED). */
insn_fn run_imul, run_mul, run_div, run_rol, run_ror, run_setcc, run_jmp, run_jmp_ind,
    run_call_ind, run_leave, run_bt, run_xchg, run_cbw, run_cwd, run_nop, run_bswap,
    run_cmpxchg, run_xadd, run_shld, run_shrd, run_bsf, run_bsr, run_ud;

#endif
