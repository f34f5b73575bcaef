/* SPDX-License-Identifier: MIT */
/*
 * gen_flow.c - branches, calls, returns, PUSH and POP.
 *
 * A jump inside the page is a direct jump to the other block's code once that exists. All other
 * jumps go by the table of jump slots. Whoever wants the vCPU sets `poll`: every loop passes
 * a backward jump or the jump slots, which look at it.
 */
#include "jit/internal.h"

#include "cpu/x86.h"

/* ---- leaving ---- */

/* To the RIP in T2, by the jump slots; flags are not live in EFLAGS any more. Pinned blocks
 * set code_base themselves. */
void gen_indirect(struct translation *t)
{
    struct as *a = &t->as;
    plan(t, PLAN_SLOTS, 0);
    as_op_imm(a, OPC(0, 0x83), 7, rm_near(&t->c->poll), 0, 1);
    as_patch(a, as_jcc(a, CC_NE), t->jit->exit_indirect);
    gen_jump_slot(a, t->jit, t->set, t->pinned);
    if (t->pinned)
        as_op(a, OPC(0, 0x0b) | OP_W, T2, rm_near(&t->jit->pinned.key), 0);
    as_op(a, OPC(0, 0x3b) | OP_W, T2, rm_mem(T1, 0), 0);
    as_patch(a, as_jcc(a, CC_NE), t->jit->jump_second);
    if (t->pinned)
        as_op(a, OPC(0, 0xff), 4, rm_mem(T1, offsetof(struct jump_slot, code)), 0);
    else
        gen_jump_through(a, t->jit, 0);
}

/* The same for RET and JMP, whose target may be none: SP moves when it is known to be one. Not
 * for pinned blocks. */
static void gen_indirect_checked(struct translation *t, int32_t sp_move)
{
    struct as *a = &t->as;
    struct jit_site *site = site_new(t);
    plan(t, PLAN_SLOTS, 0);
    as_op_imm(a, OPC(0, 0x83), 7, rm_near(&t->c->poll), 0, 1);
    cold_add_jump(t, as_jcc(a, CC_NE), site, COLD_LEAVE, sp_move);
    gen_jump_slot(a, t->jit, t->set, t->pinned);
    as_op(a, OPC(0, 0x3b) | OP_W, T2, rm_mem(T1, 0), 0);
    cold_add_jump(t, as_jcc(a, CC_NE), site, COLD_SECOND, sp_move);
    if (sp_move)
        gen_move_sp(t, sp_move);
    gen_jump_through(a, t->jit, 0);
}

/* Whether calls and returns here go by the host's stack. Between STAC and CLAC they do not:
 * code for there must not be returned to from elsewhere, nor the other way round. */
static bool has_returns(const struct translation *t)
{
    return !t->pinned && t->set != SET_SUPER_AC;
}

/* RET to the RIP in T2. If that is what the last call left on the host's stack, its code is where
 * to go on, and the host's processor has known that for long. */
static void gen_return(struct translation *t, int32_t sp_move)
{
    struct as *a = &t->as;
    if (!has_returns(t)) {
        gen_indirect_checked(t, sp_move);
        return;
    }
    struct jit_site *site = site_new(t);
    as_op(a, OPC(0, 0x3b) | OP_W, T2, rm_mem(H_RSP, 8), 0);
    cold_add_jump(t, as_jcc(a, CC_NE), site, COLD_RETURN, sp_move);
    gen_move_sp(t, sp_move);
    as_op_imm(a, OPC(0, 0x81) | OP_W, 4, rm_reg(T2), (uint64_t)-4096, 4);
    as_store(a, rm_near(&t->jit->code_base), T2);
    as8(a, 0xc3);
}

/* The call's return address, in T2, goes to the host's stack, with the code there, which is a jump
 * to the instruction behind. What is emitted next is the jump to the call's target. */
static void gen_remember_return(struct translation *t)
{
    struct as *a = &t->as;
    if (!has_returns(t) || t->offset > 4096 - INSN_MAX_BYTES)
        return;
    as_op(a, OPC(0, 0x3b) | OP_W, H_RSP, rm_near(&t->jit->stack_limit), 0);
    as_op(a, OPC(1, 0x42) | OP_W, H_RSP, rm_near(&t->jit->stack_base), 0); /* full: cmovb */
    as8(a, 0x41);                                                          /* push */
    as8(a, 0x50 | (T2 & 7));
    as8(a, 0xe8); /* call */
    a->p += 4;
    uint8_t *body = a->p - 4;
    as_lea(a, H_RSP, rm_mem(H_RSP, 8));
    enum flags_at flags = t->flags == FLAGS_SAVED ? FLAGS_SAVED : FLAGS_DEAD;
    bool relies = t->relies;
    t->flags = FLAGS_SAVED;
    t->relies = false;
    t->returns = true;
    gen_jump(t, t->offset);
    t->returns = false;
    t->relies = relies;
    t->flags = flags;
    as_patch(a, body, as_here(a));
}

/* All flags into flags_ax: what lies behind is unknown. */
void flags_save_all(struct translation *t)
{
    if (t->flags == FLAGS_LIVE) {
        plan(t, PLAN_SAVE, 0);
        as_save_flags(&t->as, &t->jit->flags_ax, T1);
    }
    t->flags = FLAGS_SAVED;
}

static bool is_wide(const struct translation *t)
{
    return t->insns[0].code_bits == 64;
}

void gen_rip(struct translation *t, int64_t offset)
{
    if (t->pinned) {
        as_mov_imm(&t->as, T2, (uint32_t)(t->out->code_base + offset));
        return;
    }
    as_load(&t->as, T2, rm_near(&t->jit->code_base));
    if (is_wide(t))
        as_lea(&t->as, T2, rm_mem(T2, (int32_t)offset));
    else
        as_lea32(&t->as, T2, rm_mem(T2, (int32_t)offset));
}

/* Looks at `poll` without touching the flags. */
static void gen_poll_live(struct translation *t, struct jit_link *link)
{
    struct as *a = &t->as;
    as_store(a, rm_reg(T1), H_RCX);
    as_load32(a, H_RCX, rm_near(&t->c->poll));
    as8(a, 0xe3); /* jrcxz over the next two */
    as8(a, 3 + 5);
    as_load(a, H_RCX, rm_reg(T1));
    cold_add(t, as_jmp(a), NULL, link);
    as_load(a, H_RCX, rm_reg(T1));
}

static struct jit_link *link_new(struct translation *t, int64_t offset)
{
    struct jit_link *link = arena_take(t->jit, sizeof(*link));
    if (!link) {
        t->failed = true;
        return NULL;
    }
    link->from = t->out;
    link->sibling = t->out->outgoing;
    t->out->outgoing = link;
    link->offset = offset;
    link->shadow = t->shadow;
    plan(t, PLAN_LINK, offset);
    link->flags_dead = t->relies;
    link->returns = t->returns;
    link->saved = t->flags == FLAGS_SAVED || t->flags == FLAGS_DEAD || t->relies;
    return link;
}

/* Near the end of the page the instruction may go on in the next one, whose mapping only the jump
 * slots answer for. */
static bool linkable(int64_t offset)
{
    return offset >= 0 && offset <= 4096 - INSN_MAX_BYTES;
}

/* To another page: the code there is that which was linked if the TLB has the tag of its page
 * (tlb_code_tag). The stub that is asked if not knows that code_base is the new one already. */
static void gen_jump_far(struct translation *t, int64_t offset)
{
    struct as *a = &t->as;
    flags_save_all(t);
    struct jit_link *link = link_new(t, offset);
    if (!link)
        return;
    link->patience = 1;
    if (offset < (int64_t)t->offset) {
        as_op_imm(a, OPC(0, 0x83), 7, rm_near(&t->c->poll), 0, 1);
        cold_add(t, as_jcc(a, CC_NE), NULL, link);
    }
    gen_rip(t, offset & ~4095ll);
    as_load(a, T1, rm_near(&t->c->tlb));
    as_store(a, rm_near(&t->jit->code_base), T2);
    as_op_imm(a, OPC(0, 0xc1) | OP_W, 4, rm_reg(T2), TLB_CODE_BITS - 12, 1);
    as_op(a, OPC(0, 0x2b) | OP_W, T2, rm_mem(T1, 1 << 20), 0); /* minus the page's number */
    link->entry = a->p - 4;
    memset(link->entry, 0, 4);
    as_op_imm(a, OPC(0, 0x81) | OP_W, 0, rm_reg(T2), 0, 4);
    link->page = a->p - 4;
    cold_add_far(t, as_jcc(a, CC_NE), link);
    link->patch = as_jmp(a);
    cold_add_far(t, link->patch, link);
}

/* The loop that a block is overwrites the flags before it looks at them. */
static bool begins_anew(const struct translation *t, int64_t offset)
{
    return !t->pinned && !t->live[0] && offset == (int64_t)(t->block->gpa & 0xfff);
}

void gen_jump(struct translation *t, int64_t offset)
{
    struct as *a = &t->as;
    if (begins_anew(t, offset) && t->flags != FLAGS_SAVED)
        t->flags = FLAGS_DEAD;
    if (!linkable(offset) && !t->pinned) {
        gen_jump_far(t, offset);
        return;
    }
    if (!linkable(offset)) {
        flags_save_all(t);
        gen_rip(t, offset);
        gen_indirect(t);
        return;
    }
    struct jit_link *link = link_new(t, offset);
    if (!link)
        return;
    bool backward = offset < (int64_t)t->offset;
    if (backward && link->saved) {
        as_op_imm(a, OPC(0, 0x83), 7, rm_near(&t->c->poll), 0, 1);
        cold_add(t, as_jcc(a, CC_NE), NULL, link);
    } else if (backward) {
        gen_poll_live(t, link);
    }
    link->patch = as_jmp(a);
    cold_add(t, link->patch, NULL, link);
}

/* ---- conditional jumps ---- */

/* Of a near branch, to *offset from code_base. False: outside the segment, or where it leads
 * is not the same wherever this page is. */
static bool near_target(const struct translation *t, const struct insn *i, int64_t *offset)
{
    *offset = (int64_t)t->offset + (int64_t)i->imm;
    if (!t->pinned)
        return i->opsize == (is_wide(t) ? 8 : 4) && (int64_t)i->imm == (int32_t)i->imm;
    uint32_t base = t->out->code_base, ip = base + (uint32_t)*offset;
    if (i->opsize == 2)
        ip = (uint16_t)ip;
    *offset = (int32_t)(ip - base);
    return ip <= t->out->cs_limit;
}

struct jit_block *successor_at(const struct translation *t, int64_t offset)
{
    if (!linkable(offset))
        return NULL;
    if (offset == (int64_t)(t->block->gpa & 0xfff))
        return t->out;
    uint64_t gpa = (t->block->gpa & ~0xfffull) + (uint64_t)offset;
    const struct block *b = blocks_at_gpa(t->c, gpa, t->out->mode);
    return b ? block_code(b, t->windowed) : NULL;
}

unsigned successors(struct translation *t, int64_t offsets[2])
{
    const struct insn *last = &t->insns[t->count - 1];
    unsigned count = 0;
    t->offset = (unsigned)(t->block->gpa & 0xfff) + t->block->bytes;
    if (last->op == OP_JMP || last->op == OP_JCC || last->op == OP_CALL) {
        if (!near_target(t, last, &offsets[count++]))
            return 0;
    } else if (block_ends_at(last)) {
        return 0;
    }
    if (last->op != OP_JMP && last->op != OP_CALL)
        offsets[count++] = t->offset;
    return linkable(offsets[0]) && linkable(offsets[count - 1]) ? count : 0;
}

/* In the middle of a block: leads forward, and nothing is known of what is there. */
static bool gen_jcc_out(struct translation *t, const struct insn *i)
{
    int64_t target;
    if (!near_target(t, i, &target) || !linkable(target))
        return false;
    flags_require(t);
    bool relies = t->relies;
    t->relies = false;
    struct jit_link *link = link_new(t, target);
    t->relies = relies;
    if (!link)
        return true;
    uint8_t *not_taken = NULL;
    if (t->jit->limited) { /* the block has counted what it leaves out */
        not_taken = as_jcc(&t->as, (i->opcode & 15) ^ 1);
        as_load(&t->as, T1, rm_near(&t->c->instructions));
        as_lea(&t->as, T1, rm_mem(T1, -(int32_t)(t->count - 1 - t->at)));
        as_store(&t->as, rm_near(&t->c->instructions), T1);
    }
    link->patch = not_taken ? as_jmp(&t->as) : as_jcc(&t->as, i->opcode & 15);
    cold_add(t, link->patch, NULL, link);
    if (not_taken)
        as_patch(&t->as, not_taken, as_here(&t->as));
    return true;
}

static bool gen_jcc(struct translation *t, const struct insn *i)
{
    int64_t target;
    if (!near_target(t, i, &target))
        return false;
    flags_require(t);
    enum flags_at flags = t->flags;
    if (target >= (int64_t)t->offset && linkable(target)) {
        struct jit_link *link = link_new(t, target);
        if (!link)
            return true;
        link->patch = as_jcc(&t->as, i->opcode & 15);
        cold_add(t, link->patch, NULL, link);
        gen_jump(t, t->offset);
        return true;
    }
    uint8_t *not_taken = as_jcc(&t->as, (i->opcode & 15) ^ 1);
    gen_jump(t, target);
    as_patch(&t->as, not_taken, as_here(&t->as));
    t->flags = flags;
    gen_jump(t, t->offset);
    return true;
}

/* CX, ECX or RCX less one; flags stay. */
static void gen_count_down(struct translation *t, unsigned bytes)
{
    struct as *a = &t->as;
    if (bytes == 8) {
        as_lea(a, H_RCX, rm_mem(H_RCX, -1));
    } else if (bytes == 4) {
        as_lea32(a, H_RCX, rm_mem(H_RCX, -1));
    } else {
        as_lea32(a, T1, rm_mem(H_RCX, -1));
        as_op(a, OPC(0, 0x89) | OP_66, T1, rm_reg(H_RCX), 0);
    }
}

/* LOOP and JCXZ; LOOPE and LOOPNE are rare. */
static bool gen_counted(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    bool narrow = i->addrsize == 2;
    int64_t target;
    if (!near_target(t, i, &target))
        return false;
    if (i->op == OP_LOOP)
        gen_count_down(t, i->addrsize);
    if (narrow) {
        as_store(a, rm_reg(T1), H_RCX);
        as_op(a, OPC(1, 0xb7), H_RCX, rm_reg(H_RCX), 0);
    } else if (i->addrsize == 4) {
        as8(a, 0x67);
    }
    as8(a, 0xe3);
    as8(a, 5);
    uint8_t *not_zero = as_jmp(a);
    if (narrow)
        as_load(a, H_RCX, rm_reg(T1));
    enum flags_at flags = t->flags;
    gen_jump(t, i->op == OP_LOOP ? (int64_t)t->offset : target);
    as_patch(a, not_zero, as_here(a));
    if (narrow)
        as_load(a, H_RCX, rm_reg(T1));
    t->flags = flags;
    gen_jump(t, i->op == OP_LOOP ? target : (int64_t)t->offset);
    return true;
}

/* ---- stack ---- */

static uint32_t stack_mode(const struct translation *t)
{
    return t->out->mode & MODE_STACK_MASK;
}

static unsigned size_prefix(unsigned bytes)
{
    return bytes == 8 ? OP_W : bytes == 2 ? OP_66 : 0;
}

/* rSP = `reg` + by, as wide as the stack; uses T1. */
static void gen_set_sp(struct translation *t, unsigned reg, int32_t by)
{
    struct as *a = &t->as;
    if (stack_mode(t) == MODE_STACK64) {
        as_lea(a, H_SP, rm_mem(reg, by));
    } else if (stack_mode(t) == MODE_STACK32) {
        as_lea32(a, H_SP, rm_mem(reg, by));
    } else {
        as_lea32(a, T1, rm_mem(reg, by));
        as_op(a, OPC(0, 0x89) | OP_66, T1, rm_reg(H_SP), 0);
    }
}
void gen_move_sp(struct translation *t, int32_t by)
{
    gen_set_sp(t, H_SP, by);
}

static bool gen_push(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    unsigned kind = insn_row(i)->operands[0].kind, bytes = i->opsize;
    if (kind == KIND_I) {
        struct rm to = gen_stack(t, -(int32_t)bytes, bytes, true);
        as_op_imm(a, OPC(0, 0xc7) | size_prefix(bytes), 0, to, i->imm, bytes == 2 ? 2 : 4);
        gen_move_sp(t, -(int32_t)bytes);
        return true;
    }
    if (i->mem) { /* the value waits in tmp while T1 and T2 find the stack */
        struct rm rm = gen_memory(t, i, bytes, false, true);
        as_op(a, OPC(0, 0x8b) | size_prefix(bytes), T2, rm, 0);
        as_store(a, rm_near(&t->jit->tmp), T2);
        struct rm to = gen_stack(t, -(int32_t)bytes, bytes, true);
        as_load(a, T2, rm_near(&t->jit->tmp));
        as_store_n(a, to, T2, bytes);
        gen_move_sp(t, -(int32_t)bytes);
        return true;
    }
    unsigned guest = kind == KIND_Z ? i->reg : i->rm, reg = host_reg(guest);
    struct rm to = gen_stack(t, -(int32_t)bytes, bytes, true);
    if (reg == SPILLED)
        as_load(a, reg = T2, guest_home(t, guest));
    as_store_n(a, to, reg, bytes);
    gen_move_sp(t, -(int32_t)bytes);
    return true;
}

/* The selector is stored as wide as the operand. */
static bool gen_push_sreg(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    unsigned bytes = i->opsize, seg = insn_row(i)->operands[0].fixed;
    struct rm to = gen_stack(t, -(int32_t)bytes, bytes, true);
    as_op(a, OPC(1, 0xb7), T2, rm_near(&t->c->seg[seg].selector), 0);
    as_store_n(a, to, T2, bytes);
    gen_move_sp(t, -(int32_t)bytes);
    return true;
}

void gen_flags_image(struct translation *t)
{
    struct as *a = &t->as;
    flags_require(t);
    as8(a, 0x9c); /* to the host's stack and from there to T2 */
    as8(a, 0x41);
    as8(a, 0x58 | (T2 & 7));
    as_op_imm(a, OPC(0, 0x81), 4, rm_reg(T2), FLAGS_ARITH, 4);
    as_op(a, OPC(0, 0x0b), T2, rm_near(&t->c->rflags_rest), 0);
    t->flags = FLAGS_SAVED;
}

/* IOPL < 3 in virtual-8086 mode is the interpreter's. */
static bool gen_pushf(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    unsigned bytes = i->opsize;
    if (t->out->mode & MODE_VM)
        return false;
    flags_save_all(t);
    struct rm to = gen_stack(t, -(int32_t)bytes, bytes, true);
    gen_flags_image(t);
    as_op_imm(a, OPC(0, 0x81), 4, rm_reg(T2), ~(uint32_t)(FLAG_VM | FLAG_RF), 4);
    as_store_n(a, to, T2, bytes);
    gen_move_sp(t, -(int32_t)bytes);
    return true;
}

/* An address with rSP is that behind the POP. */
static bool gen_pop_memory(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    unsigned bytes = i->opsize;
    if (i->base == RSP)
        return false;
    as_op(a, OPC(0, 0x8b) | size_prefix(bytes), T2, gen_stack(t, 0, bytes, false), 0);
    as_store(a, rm_near(&t->jit->tmp), T2);
    gen_address(t, i, bytes, true);
    as_load(a, T2, rm_near(&t->jit->tmp));
    as_store_n(a, rm_mem(T1, 0), T2, bytes);
    gen_move_sp(t, (int32_t)bytes);
    return true;
}

static bool gen_pop(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    unsigned bytes = i->opsize;
    if (i->mem)
        return gen_pop_memory(t, i);
    unsigned guest = insn_row(i)->operands[0].kind == KIND_Z ? i->reg : i->rm;
    unsigned reg = host_reg(guest);
    bool late = reg == SPILLED || guest == RSP; /* POP rSP: the value is what stays */
    struct rm from = gen_stack(t, 0, bytes, false);
    as_op(a, OPC(0, 0x8b) | size_prefix(bytes), late ? T2 : reg, from, 0);
    gen_move_sp(t, (int32_t)bytes);
    if (late)
        as_store_n(a, reg == SPILLED ? guest_home(t, guest) : rm_reg(H_SP), T2,
                   bytes == 4 ? 8 : bytes);
    return true;
}

static bool gen_leave(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    unsigned bytes = i->opsize;
    uint32_t stack = stack_mode(t);
    struct insn operand = *i;
    operand.base = RBP;
    operand.index = REG_NONE;
    operand.disp = 0;
    operand.seg = SEG_SS;
    operand.addrsize = stack == MODE_STACK64 ? 8 : stack == MODE_STACK32 ? 4 : 2;
    operand.mem = 1;
    gen_address(t, &operand, bytes, false);
    as_op(a, OPC(0, 0x8b) | size_prefix(bytes), T2, rm_mem(T1, 0), 0);
    gen_set_sp(t, H_RBP, (int32_t)bytes);
    as_store_n(a, rm_reg(H_RBP), T2, bytes == 4 ? 8 : bytes);
    return true;
}

/* ---- calls and returns ---- */

/* Operand sizes of near calls, returns and indirect jumps that have a form here. */
static bool plain_size(const struct translation *t, const struct insn *i)
{
    return t->pinned || i->opsize == (is_wide(t) ? 8 : 4);
}

static bool gen_call_near(struct translation *t, const struct insn *i)
{
    int64_t target;
    if (!near_target(t, i, &target))
        return false;
    unsigned bytes = i->opsize;
    struct rm to = gen_stack(t, -(int32_t)bytes, bytes, true);
    gen_rip(t, t->offset);
    as_store_n(&t->as, to, T2, bytes);
    gen_move_sp(t, -(int32_t)bytes);
    if (!t->relies)
        flags_save_all(t);
    gen_remember_return(t);
    gen_jump(t, target);
    return true;
}

/* The target in T2 must be one: if not, the instruction faults before anything changes. */
static void gen_target_check(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    if (is_wide(t)) {
        gen_canonical_test(a);
        gen_bail(t, CC_A);
        return;
    }
    uint32_t reach = i->opsize == 2 ? 0xffff : 0xffffffff;
    if (!t->pinned || t->out->cs_limit >= reach)
        return;
    as_op_imm(a, OPC(0, 0x81), 7, rm_reg(T2), t->out->cs_limit, 4);
    gen_bail(t, CC_A);
}

/* T2 = operand, zero-extended. */
static void gen_load_target(struct translation *t, const struct insn *i, struct rm rm)
{
    unsigned op = i->opsize == 2 ? OPC(1, 0xb7) : OPC(0, 0x8b) | size_prefix(i->opsize);
    as_op(&t->as, op, T2, rm, 0);
}

static bool gen_ret(struct translation *t, const struct insn *i)
{
    unsigned bytes = i->opsize;
    if (!plain_size(t, i))
        return false;
    flags_save_all(t);
    gen_load_target(t, i, gen_stack(t, 0, bytes, false));
    int32_t moves = (int32_t)(bytes + (i->opcode == 0xc2 ? (uint16_t)i->imm : 0));
    if (!t->pinned) {
        gen_return(t, moves);
        return true;
    }
    gen_target_check(t, i);
    gen_move_sp(t, moves);
    gen_indirect(t);
    return true;
}

/* T2 = the operand; false: none of the plain forms. */
static bool gen_target(struct translation *t, const struct insn *i)
{
    if (!plain_size(t, i))
        return false;
    flags_preserve(t);
    if (i->mem) {
        gen_load_target(t, i, gen_memory(t, i, i->opsize, false, true));
    } else if (host_reg(i->rm) == SPILLED) {
        as_load(&t->as, T2, guest_home(t, i->rm));
    } else {
        gen_load_target(t, i, rm_reg(host_reg(i->rm)));
    }
    return true;
}

static bool gen_jmp_indirect(struct translation *t, const struct insn *i)
{
    if (!gen_target(t, i))
        return false;
    if (!t->pinned) {
        gen_indirect_checked(t, 0);
        return true;
    }
    gen_target_check(t, i);
    gen_indirect(t);
    return true;
}

static bool gen_call_indirect(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    unsigned bytes = i->opsize;
    if (!gen_target(t, i))
        return false;
    gen_target_check(t, i);
    as_store(a, rm_near(&t->jit->tmp), T2);
    struct rm to = gen_stack(t, -(int32_t)bytes, bytes, true);
    gen_rip(t, t->offset);
    as_store_n(a, to, T2, bytes);
    gen_move_sp(t, -(int32_t)bytes);
    flags_save_all(t);
    gen_remember_return(t);
    as_load(a, T2, rm_near(&t->jit->tmp));
    gen_indirect(t);
    return true;
}

/* ---- runs of PUSH and POP ---- */

#define RUN_MAX 16u

/* A PUSH or POP (op) of a general register other than rSP, as wide as the stack. */
static bool in_run(const struct translation *t, unsigned n, unsigned op)
{
    const struct insn *i = &t->insns[n];
    unsigned kind = n < t->count ? insn_row(i)->operands[0].kind : KIND_NONE;
    return n < t->count && i->op == op && i->opsize == (is_wide(t) ? 8 : 4) && !i->mem &&
           (kind == KIND_Z ? i->reg : i->rm) != RSP && kind != KIND_I;
}

/* Does no more than something between registers that are on the host, where T1 stays. */
static bool between_registers(const struct translation *t, unsigned n)
{
    const struct insn *i = &t->insns[n];
    if (n >= t->count || i->mem || i->opsize < 4 || i->prefixes & PFX_LOCK)
        return false;
    const struct operand_form *o = insn_row(i)->operands;
    switch (i->op) {
    case OP_MOV:
    case OP_XOR:
    case OP_TEST:
    case OP_AND:
    case OP_OR:
    case OP_ADD:
    case OP_SUB:
    case OP_CMP:
        break;
    default:
        return false;
    }
    for (unsigned k = 0; k < 4 && o[k].kind != KIND_NONE; k++) {
        unsigned guest = o[k].kind == KIND_G || o[k].kind == KIND_Z ? i->reg : i->rm;
        bool reg = o[k].kind == KIND_G || o[k].kind == KIND_Z || o[k].kind == KIND_E;
        if ((!reg && o[k].kind != KIND_I) ||
            (reg && (guest == RSP || host_reg(guest) == SPILLED)))
            return false;
    }
    return true;
}

static void gen_run_move(struct translation *t, const struct insn *i, struct rm at)
{
    struct as *a = &t->as;
    unsigned w = is_wide(t) ? OP_W : 0;
    unsigned guest = insn_row(i)->operands[0].kind == KIND_Z ? i->reg : i->rm;
    unsigned reg = host_reg(guest);
    bool spilled = reg == SPILLED, pop = i->op == OP_POP;
    if (spilled && !pop)
        as_load(a, T2, guest_home(t, guest));
    as_op(a, OPC(0, pop ? 0x8b : 0x89) | w, spilled ? T2 : reg, at, 0);
    if (spilled && pop)
        as_store(a, guest_home(t, guest), T2);
}

/* The same where the stack is in a window: each move by itself, as it may fault, and SP with it.
 * Whatever C does ends the block, as T1 has the distance. Others of the n may be between them. */
static void gen_run_in_window(struct translation *t, unsigned n, bool returns)
{
    struct as *a = &t->as;
    unsigned first = t->at, colds = t->colds;
    bool push = t->insns[first].op == OP_PUSH;
    int32_t disp = push ? -8 : 0;
    for (unsigned k = 0; k < n + returns && !t->failed; k++) {
        t->at = first + k;
        const struct insn *i = &t->insns[t->at];
        bool moves = k == n || i->op == (push ? OP_PUSH : OP_POP);
        if (k) {
            plan(t, PLAN_INSN, t->live[t->at]);
            t->offset += i->length;
        }
        if (returns && (k == 0 || k == n))
            flags_preserve(t);
        if (k == 0)
            gen_stack(t, disp, 8, push);
        else if (moves)
            gen_window_next(t, disp, 8, push);
        plan(t, moves ? PLAN_MAKE : PLAN_COPY, 0);
        if (k == n) {
            as_load(a, T2, rm_sib(T1, H_SP, 0, 0));
        } else if (moves) {
            gen_run_move(t, i, rm_sib(T1, H_SP, 0, disp));
            gen_move_sp(t, push ? -8 : 8);
        } else {
            t->failed |= !gen_integer(t, i);
        }
    }
    for (unsigned k = colds; k < t->colds; k++)
        t->cold[k].site->alone = true;
}

static bool is_plain_ret(const struct translation *t, unsigned n)
{
    const struct insn *ret = &t->insns[n];
    return n < t->count && ret->op == OP_RET && ret->opsize == (is_wide(t) ? 8 : 4);
}

/* How many instructions belong to such a run, without the RET. */
static unsigned run_in_window_length(const struct translation *t, unsigned op)
{
    unsigned n = 0, last = 0;
    for (;; n++) {
        if (n == RUN_MAX || n + t->at >= t->count)
            return last;
        if (in_run(t, t->at + n, op))
            last = n + 1;
        else if (!between_registers(t, t->at + n))
            return op == OP_POP && is_plain_ret(t, t->at + n) ? n : last;
    }
}

/* Whether n instructions may use one. */
static bool may_use_window(const struct translation *t, unsigned n)
{
    return !(t->block->outside & (BIT64(n) - 1) << t->at);
}

bool gen_stack_run(struct translation *t, bool *ended)
{
    struct as *a = &t->as;
    unsigned op = t->insns[t->at].op, n = 0, bytes = is_wide(t) ? 8 : 4, colds = t->colds;
    if (t->pinned || (op != OP_PUSH && op != OP_POP) || t->block->ungrouped >> t->at & 1)
        return false;
    bool windowed = t->windowed && is_wide(t);
    if (windowed)
        n = run_in_window_length(t, op);
    while (!windowed && n < RUN_MAX && in_run(t, t->at + n, op))
        n++;
    const struct insn *ret = &t->insns[t->at + n];
    bool returns = op == OP_POP && is_plain_ret(t, t->at + n);
    unsigned words = n + returns;
    if (words < 2 || stack_mode(t) != (is_wide(t) ? MODE_STACK64 : MODE_STACK32))
        return false;
    int32_t size = (int32_t)(words * bytes);
    int32_t ret_moves =
        (int32_t)(bytes + (returns && ret->opcode == 0xc2 ? (uint16_t)ret->imm : 0));
    if (windowed && may_use_window(t, words)) {
        gen_run_in_window(t, n, returns);
        *ended = returns;
        if (returns)
            gen_return(t, ret_moves);
        return true;
    }
    if (t->windowed)
        return false;
    gen_stack(t, op == OP_PUSH ? -size : 0, (unsigned)size, op == OP_PUSH);
    for (unsigned k = colds; k < t->colds; k++)
        t->cold[k].site->alone = true; /* C does the first, and comes back to the second */
    unsigned first = t->at;
    for (unsigned k = 0; k < words; k++) {
        t->at = first + k;
        if (k)
            plan(t, PLAN_INSN, t->live[t->at]);
        plan(t, PLAN_MAKE, 0);
        if (k < n)
            gen_run_move(t, &t->insns[t->at],
                         rm_mem(T1, (int32_t)((op == OP_PUSH ? n - 1 - k : k) * bytes)));
    }
    if (returns)
        as_op(a, OPC(0, 0x8b) | (bytes == 8 ? OP_W : 0), T2, rm_mem(T1, (int32_t)(n * bytes)),
              0);
    for (unsigned k = 1; k < words; k++)
        t->offset += t->insns[first + k].length;
    *ended = returns;
    if (returns) { /* should it fault, the POPs are done */
        gen_move_sp(t, (int32_t)(n * bytes));
        gen_return(t, ret_moves);
    } else {
        gen_move_sp(t, op == OP_PUSH ? -size : size);
    }
    return true;
}

/* ---- STAC, CLAC ---- */

/* With SMAP they select other slots and another TLB: the block ends, and goes on there. */
static bool gen_access_flag(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    struct vcpu *c = t->c;
    bool on = i->op == OP_STAC;
    if (t->pinned || t->out->mode & (MODE_CPL_MASK | MODE_VM) || !is_wide(t))
        return false;
    flags_save_all(t);
    as_op_imm(a, OPC(0, 0xf7), 0, rm_near(&c->cr4), CR4_SMAP, 4);
    gen_bail(t, CC_E);
    if (on == !!(t->out->mode & MODE_SMAP_AC))
        return true;
    as_op_imm(a, OPC(0, 0x81), on ? 1 : 4, rm_near(&c->rflags_rest), on ? FLAG_AC : ~FLAG_AC,
              4);
    as_op_imm(a, OPC(0, 0x81), 6, rm_near(&c->mode), MODE_SMAP_AC, 4);
    as_op_imm(a, OPC(0, 0x81) | OP_W, on ? 0 : 5, rm_near(&c->tlb), tlb_ac_distance, 4);
    gen_rip(t, t->offset);
    enum slot_set set = t->set;
    t->set = on ? SET_SUPER_AC : SET_SUPER;
    gen_indirect(t);
    t->set = set;
    t->flags = FLAGS_SAVED;
    return true; /* without SMAP it goes on behind, where C comes back to */
}

bool gen_flow(struct translation *t, const struct insn *i, bool *ended)
{
    int64_t target;
    switch (i->op) {
    case OP_STAC:
    case OP_CLAC:
        return gen_access_flag(t, i);
    case OP_PUSH:
        return gen_push(t, i);
    case OP_PUSH_SREG:
        return gen_push_sreg(t, i);
    case OP_PUSHF:
        return gen_pushf(t, i);
    case OP_POP:
        return gen_pop(t, i);
    case OP_LEAVE:
        return gen_leave(t, i);
    case OP_JMP:
        if (!near_target(t, i, &target))
            return false;
        gen_jump(t, target);
        return *ended = true;
    case OP_JCC:
        if (t->at + 1 < t->count)
            return gen_jcc_out(t, i);
        return *ended = gen_jcc(t, i);
    case OP_LOOP:
    case OP_JCXZ:
        return *ended = gen_counted(t, i);
    case OP_CALL:
        return *ended = gen_call_near(t, i);
    case OP_RET:
        return *ended = gen_ret(t, i);
    case OP_JMP_IND:
        return *ended = gen_jmp_indirect(t, i);
    case OP_CALL_IND:
        return *ended = gen_call_indirect(t, i);
    default:
        return false;
    }
}
