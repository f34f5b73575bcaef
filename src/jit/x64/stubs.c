/* SPDX-License-Identifier: MIT */
/*
 * stubs.c - code made once: the way in from C, the ways out, the slow paths of memory operands.
 *
 *   enter(code)      C calls it: loads the guest's registers, jumps to code
 *   leave            back to that caller; registers are in struct vcpu already
 *   exit_*           from a block: stores the registers first
 *   site_call        T2 = site: runs one instruction in C, goes on where C says
 *   slot_miss[w]     T2 = site, T1 = linear - slot page: asks the TLB, fills the slot
 */
#include "jit/internal.h"

#define CALLS_MAX 1024 /* on the host's stack, 16 bytes each */

static const uint8_t callee_saved[6] = {H_RBX, H_RBP, H_R12, H_R13, H_R14, H_R15};

static void store_registers(struct as *a, struct vcpu *c)
{
    for (unsigned r = 0; r < 16; r++)
        if (host_reg(r) != SPILLED)
            as_store(a, rm_near(&c->gpr[r]), host_reg(r));
}
/* Flags too, from flags_ax; T2 stays. */
static void load_registers(struct as *a, struct vcpu *c)
{
    as_restore_flags(a, &c->jit->flags_ax, T1);
    for (unsigned r = 0; r < 16; r++)
        if (host_reg(r) != SPILLED)
            as_load(a, host_reg(r), rm_near(&c->gpr[r]));
}

static uint64_t begin(struct as *a)
{
    while (as_here(a) & 15)
        as8(a, 0x90);
    return as_here(a);
}

static void push(struct as *a, unsigned r)
{
    if (r >= 8)
        as8(a, 0x41);
    as8(a, 0x50 | (r & 7));
}
static void pop(struct as *a, unsigned r)
{
    if (r >= 8)
        as8(a, 0x41);
    as8(a, 0x58 | (r & 7));
}

/* A guest that returns to `no_return`, if it ever finds it, is stopped by the next fetch. */
static void emit_return_none(struct as *a, struct jit *jit)
{
    jit->return_none = begin(a);
    as_load(a, H_RSP, rm_near(&jit->stack_base));
    as_load(a, T2, rm_near(&jit->no_return));
    as_jmp_to(a, jit->exit_indirect);
}

static void emit_enter(struct as *a, struct jit *jit)
{
    jit->enter = begin(a);
    for (unsigned k = 0; k < 6; k++)
        push(a, callee_saved[k]);
    as_lea(a, H_RSP, rm_mem(H_RSP, -24)); /* aligned for calls */
    as_store(a, rm_near(&jit->stack_base), H_RSP);
    as_lea(a, T1, rm_mem(H_RSP, -16 * CALLS_MAX));
    as_store(a, rm_near(&jit->stack_limit), T1);
    as_load(a, T1, rm_near(&jit->no_return));
    as_store(a, rm_mem(H_RSP, 8), T1);
    as_lea(a, T1, rm_near((void *)(uintptr_t)jit->return_none));
    as_store(a, rm_mem(H_RSP, 0), T1);
    as_store(a, rm_reg(T2), H_RDI);
    load_registers(a, jit->c);
    as_op(a, OPC(0, 0xff), 4, rm_reg(T2), 0);
}

static void emit_leave(struct as *a, struct jit *jit)
{
    jit->leave = begin(a);
    as_load(a, H_RSP, rm_near(&jit->stack_base));
    as_lea(a, H_RSP, rm_mem(H_RSP, 24));
    for (unsigned k = 6; k-- > 0;)
        pop(a, callee_saved[k]);
    as8(a, 0xc3);
}

static void emit_exits(struct as *a, struct jit *jit)
{
    jit->exit_live = begin(a);
    as_save_flags(a, &jit->flags_ax, T1);
    jit->exit_saved = as_here(a);
    as_store(a, rm_near(&jit->exit_link), T2);
    store_registers(a, jit->c);
    gen_fpu_save(a, jit);
    as_jmp_to(a, jit->leave);

    jit->exit_indirect = begin(a); /* T2 = RIP */
    as_store(a, rm_near(&jit->c->rip), T2);
    as_op_imm(a, OPC(0, 0xc7) | OP_W, 0, rm_near(&jit->exit_link), 0, 4);
    store_registers(a, jit->c);
    gen_fpu_save(a, jit);
    as_jmp_to(a, jit->leave);
}

void gen_jump_slot(struct as *a, const struct jit *jit, enum slot_set set, bool pinned)
{
    const void *slots = pinned ? &jit->pinned.jumps : &jit->jumps[set];
    unsigned pairs = (pinned ? PINNED_SLOTS : JUMP_SLOTS) / 2;
    _Static_assert(2 * sizeof(struct jump_slot) == 32, "a pair for every 8 bytes of code");
    static const uint8_t lea[] = {0x46, 0x8d, 0x1c, 0x95, 0, 0, 0, 0}; /* T1 = T2 * 4 */
    for (unsigned n = 0; n < sizeof(lea); n++)
        as8(a, lea[n]);
    as_op_imm(a, OPC(0, 0x81), 4, rm_reg(T1), (pairs - 1) * 32, 4);
    as_op(a, OPC(0, 0x03) | OP_W, T1, rm_near(slots), 0);
}

void gen_jump_through(struct as *a, const struct jit *jit, unsigned slot)
{
    as_op_imm(a, OPC(0, 0x81) | OP_W, 4, rm_reg(T2), (uint64_t)-4096, 4);
    as_store(a, rm_near(&jit->code_base), T2);
    size_t code = slot * sizeof(struct jump_slot) + offsetof(struct jump_slot, code);
    as_op(a, OPC(0, 0xff), 4, rm_mem(T1, (int32_t)code), 0);
}

/* Bits 47-63 are all the same: the shift makes 0 or -1, one more is 1 or 0. */
void gen_canonical_test(struct as *a)
{
    as_store(a, rm_reg(T1), T2);
    as_op_imm(a, OPC(0, 0xc1) | OP_W, 7, rm_reg(T1), 47, 1);
    as_op_imm(a, OPC(0, 0x83) | OP_W, 0, rm_reg(T1), 1, 1);
    as_op_imm(a, OPC(0, 0x83) | OP_W, 7, rm_reg(T1), 1, 1);
}

/* T2 = RIP, which is not in the pair's first slot at T1. */
static void emit_jump_second(struct as *a, struct jit *jit)
{
    jit->jump_second = begin(a);
    as_op(a, OPC(0, 0x3b) | OP_W, T2, rm_mem(T1, 16), 0);
    as_patch(a, as_jcc(a, CC_NE), jit->exit_indirect);
    gen_jump_through(a, jit, 1);
}

/* T2 = link to another page that does not lead there, or not now; code_base is the target's. */
static void emit_far_miss(struct as *a, struct jit *jit, unsigned set, bool wide)
{
    jit->far_miss[set][wide] = begin(a);
    as_op_imm(a, OPC(0, 0x83), 5, rm_mem(T2, offsetof(struct jit_link, patience)), 1, 1);
    uint8_t *again = as_jcc(a, CC_E);
    as_op_imm(a, OPC(0, 0x83), 7, rm_near(&jit->c->poll), 0, 1);
    uint8_t *wanted = as_jcc(a, CC_NE);
    as_load(a, T2, rm_mem(T2, offsetof(struct jit_link, offset)));
    as_op_imm(a, OPC(0, 0x81), 4, rm_reg(T2), 4095, 4);
    as_op(a, OPC(0, 0x03) | OP_W, T2, rm_near(&jit->code_base), 0);
    gen_jump_slot(a, jit, set, false);
    as_op(a, OPC(0, 0x3b) | OP_W, T2, rm_mem(T1, 0), 0);
    as_patch(a, as_jcc(a, CC_NE), jit->jump_second);
    gen_jump_through(a, jit, 0);

    as_patch(a, again, as_here(a));
    as_patch(a, wanted, as_here(a));
    as_load(a, T1, rm_mem(T2, offsetof(struct jit_link, offset)));
    as_op_imm(a, OPC(0, 0x81) | OP_W, 4, rm_reg(T1), (uint64_t)-4096, 4);
    as_op(a, OPC(0, 0x29) | (wide ? OP_W : 0), T1, rm_near(&jit->code_base), 0);
    as_jmp_to(a, jit->exit_saved);
}

static void emit_site_call(struct as *a, struct jit *jit)
{
    jit->site_call = begin(a);
    store_registers(a, jit->c);
    as_store(a, rm_reg(H_RDI), T2);
    gen_fpu_save(a, jit);
    as_mov_imm(a, H_RAX, (uint64_t)(uintptr_t)jit_serve_site);
    as_op(a, OPC(0, 0xff), 2, rm_reg(H_RAX), 0);
    as_op(a, OPC(0, 0x85) | OP_W, H_RAX, rm_reg(H_RAX), 0);
    as_patch(a, as_jcc(a, CC_E), jit->leave);
    as_store(a, rm_reg(T2), H_RAX);
    as_call(a, jit->fpu_load);
    load_registers(a, jit->c);
    as_op(a, OPC(0, 0xff), 4, rm_reg(T2), 0);
}

/* Called: EDX:EAX = time stamp counter; changes flags. No vector register is the guest's. */
static void emit_rdtsc(struct as *a, struct jit *jit)
{
    static const uint8_t caller_saved[5] = {H_RCX, H_RSI, H_RDI, H_R8, H_R9};
    jit->rdtsc = begin(a);
    as_lea(a, H_RSP, rm_mem(H_RSP, -8));
    for (unsigned k = 0; k < 5; k++)
        as_store(a, rm_near(&jit->light[k]), caller_saved[k]);
    as_lea(a, H_RDI, rm_near(jit->c));
    as_mov_imm(a, H_RAX, (uint64_t)(uintptr_t)cpu_tsc_read);
    as_op(a, OPC(0, 0xff), 2, rm_reg(H_RAX), 0);
    for (unsigned k = 0; k < 5; k++)
        as_load(a, caller_saved[k], rm_near(&jit->light[k]));
    as_store(a, rm_reg(H_RDX), H_RAX);
    as_op_imm(a, OPC(0, 0xc1) | OP_W, 5, rm_reg(H_RDX), 32, 1);
    as_op(a, OPC(0, 0x8b), H_RAX, rm_reg(H_RAX), 0);
    as_lea(a, H_RSP, rm_mem(H_RSP, 8));
    as8(a, 0xc3);
}

/* Jumps if the page of T1 may not be kept for all address spaces; keeps RAX, RCX, RDX. */
static uint8_t *emit_global_test(struct as *a, struct jit *jit)
{
    as_store(a, rm_near(&jit->save[3]), H_RDX);
    as_op_imm(a, OPC(0, 0x80), 7, rm_near(&jit->fill_all), 0, 1);
    uint8_t *all = as_jcc(a, CC_NE);
    as_store(a, rm_near(&jit->tmp2), H_RCX);
    as_load(a, H_RCX, rm_near(&jit->c->tlb));
    as_store(a, rm_reg(H_RDX), T1);
    as_op_imm(a, OPC(0, 0xc1) | OP_W, 5, rm_reg(H_RDX), 12, 1);
    as_op_imm(a, OPC(0, 0x81), 4, rm_reg(H_RDX), TLB_ENTRIES - 1, 4);
    as_op(a, OPC(1, 0xa3), H_RDX, rm_mem(H_RCX, (int32_t)tlb_global_map), 0); /* bt */
    as_load(a, H_RCX, rm_near(&jit->tmp2));
    as_load(a, H_RDX, rm_near(&jit->save[3]));
    uint8_t *no = as_jcc(a, CC_AE);
    as_patch(a, all, as_here(a));
    as_load(a, H_RDX, rm_near(&jit->save[3]));
    return no;
}

static void load_three(struct as *a, struct jit *jit)
{
    as_load(a, H_RAX, rm_near(&jit->save[0]));
    as_load(a, H_RCX, rm_near(&jit->save[1]));
    as_load(a, H_RDX, rm_near(&jit->save[2]));
}
static void load_three_and_go(struct as *a, struct jit *jit)
{
    load_three(a, jit);
    as_op(a, OPC(0, 0xff), 4, rm_mem(T2, offsetof(struct jit_site, back)), 0);
}

/* RCX = where its entry in mixed_pages would be; RCX is the page on the host before. */
static void emit_mixed_page(struct as *a, struct jit *jit)
{
    as_op_imm(a, OPC(0, 0xc1), 5, rm_reg(H_RCX), 12 - 5, 1);
    _Static_assert(sizeof(struct mixed_page) == 32, "index by shift");
    as_op_imm(a, OPC(0, 0x81), 4, rm_reg(H_RCX), (MIXED_PAGES - 1) * 32, 4);
    as_op(a, OPC(0, 0x03) | OP_W, H_RCX, rm_near(&jit->mixed), 0);
}

/* The first line of a write holds code: jumps to `go` if the write stays in it and meets none.
 * RAX = the page on the host, which stays; T1 = linear. */
static void emit_mixed_bytes(struct as *a, struct jit *jit, uint64_t go)
{
    uint8_t *no[3];
    as_store(a, rm_reg(H_RCX), H_RAX);
    emit_mixed_page(a, jit);
    as_load(a, H_RCX, rm_mem(H_RCX, offsetof(struct mixed_page, bytes)));
    as_load(a, H_RCX, rm_mem(H_RCX, 0));
    as_op(a, OPC(0, 0x85) | OP_W, H_RCX, rm_reg(H_RCX), 0);
    no[0] = as_jcc(a, CC_E);
    as_store(a, rm_reg(H_RDX), T1);
    as_op_imm(a, OPC(0, 0xc1), 5, rm_reg(H_RDX), 6, 1);
    as_op_imm(a, OPC(0, 0x83), 4, rm_reg(H_RDX), 63, 1);
    as_load(a, H_RDX, rm_sib(H_RCX, H_RDX, 3, 0));
    as_store(a, rm_reg(H_RCX), T1);
    as_op(a, OPC(0, 0xd3) | OP_W, 5, rm_reg(H_RDX),
          0); /* shr by CL: its bytes are the lowest */
    as_op_imm(a, OPC(0, 0x83), 4, rm_reg(H_RCX), 63, 1);
    as_store(a, rm_near(&jit->tmp2), H_RCX);
    as_op(a, OPC(1, 0xb6), H_RCX, rm_mem(T2, offsetof(struct jit_site, last_byte)), 0);
    as_op(a, OPC(1, 0xbc) | OP_W, H_RDX, rm_reg(H_RDX), 0); /* bsf */
    uint8_t *none = as_jcc(a, CC_E);
    as_op(a, OPC(0, 0x3b), H_RDX, rm_reg(H_RCX), 0);
    no[1] = as_jcc(a, CC_BE);
    as_patch(a, none, as_here(a));
    as_op(a, OPC(0, 0x03), H_RCX, rm_near(&jit->tmp2), 0);
    as_op_imm(a, OPC(0, 0x83), 7, rm_reg(H_RCX), 63, 1);
    no[2] = as_jcc(a, CC_A);
    as_jmp_to(a, go);
    for (unsigned k = 0; k < 3; k++)
        as_patch(a, no[k], as_here(a));
}

/* A write that the TLB does not let through: RAX = its entry, RDX = page of the last byte. Goes
 * on if that is but for code in other lines of the page (mixed.c). */
static void emit_mixed(struct as *a, struct jit *jit)
{
    uint8_t *no[6];
    as_store(a, rm_reg(H_RCX), H_RAX);
    as_op(a, OPC(0, 0x2b) | OP_W, H_RCX, rm_near(&jit->c->tlb), 0);
    as_op_imm(a, OPC(0, 0xc1), 5, rm_reg(H_RCX), 1, 1); /* n * 32 to n * 16 */
    as_op(a, OPC(0, 0x03) | OP_W, H_RCX, rm_near(&jit->c->tlb), 0);
    as_load(a, H_RCX, rm_mem(H_RCX, (int32_t)tlb_info_pages));
    as_op(a, OPC(0, 0x2b) | OP_W, H_RCX, rm_reg(H_RDX), 0);
    as_op_imm(a, OPC(0, 0x83) | OP_W, 4, rm_reg(H_RCX),
              (uint8_t) ~(ACCESS_READ | ACCESS_EXECUTE), 1);
    as_op_imm(a, OPC(0, 0x83) | OP_W, 7, rm_reg(H_RCX), ACCESS_WRITE, 1);
    no[0] = as_jcc(a, CC_NE);
    as_op_imm(a, OPC(0, 0x80), 7, rm_mem(T2, offsetof(struct jit_site, range)), 0, 1);
    no[1] = as_jcc(a, CC_NE);
    as_op_imm(a, OPC(0, 0x80), 7, rm_mem(T2, offsetof(struct jit_site, last_byte)), 63, 1);
    no[2] = as_jcc(a, CC_A); /* it may touch more than two lines */
    as_load(a, H_RAX, rm_mem(H_RAX, offsetof(struct tlb_entry, host)));
    as_store(a, rm_reg(H_RCX), H_RAX);
    emit_mixed_page(a, jit);
    as_op(a, OPC(0, 0x3b) | OP_W, H_RAX, rm_mem(H_RCX, offsetof(struct mixed_page, host)), 0);
    no[3] = as_jcc(a, CC_NE);
    as_load(a, H_RCX, rm_mem(H_RCX, offsetof(struct mixed_page, lines)));
    as_load(a, H_RCX, rm_mem(H_RCX, 0));
    as_store(a, rm_reg(H_RDX), T1);
    as_op_imm(a, OPC(0, 0xc1) | OP_W, 5, rm_reg(H_RDX), 6, 1);
    as_op(a, OPC(1, 0xa3) | OP_W, H_RDX, rm_reg(H_RCX), 0); /* bt */
    no[4] = as_jcc(a, CC_B);
    as_op(a, OPC(1, 0xb6), H_RDX, rm_mem(T2, offsetof(struct jit_site, last_byte)), 0);
    as_op(a, OPC(0, 0x03) | OP_W, H_RDX, rm_reg(T1), 0);
    as_op_imm(a, OPC(0, 0xc1) | OP_W, 5, rm_reg(H_RDX), 6, 1);
    as_op(a, OPC(1, 0xa3) | OP_W, H_RDX, rm_reg(H_RCX), 0);
    no[5] = as_jcc(a, CC_B);
    uint64_t go = as_here(a);
    as_op_imm(a, OPC(0, 0x81), 4, rm_reg(T1), 0xfff, 4);
    as_op(a, OPC(0, 0x03) | OP_W, T1, rm_reg(H_RAX), 0);
    load_three_and_go(a, jit);
    as_patch(a, no[4], as_here(a));
    emit_mixed_bytes(a, jit, go);
    for (unsigned k = 0; k < 6; k++)
        if (k != 4)
            as_patch(a, no[k], as_here(a));
}

/* For the access of T2 = site to T1 = linear: RAX = entry of the TLB, RDX = page of the last
 * byte. As tlb_read_hit and tlb_write_hit do it (cpu/access.h). */
static void emit_search(struct as *a, struct jit *jit)
{
    as_store(a, rm_reg(H_RAX), T1);
    as_op_imm(a, OPC(0, 0xc1) | OP_W, 5, rm_reg(H_RAX), 12 - 5, 1); /* shr */
    _Static_assert(sizeof(struct tlb_entry) == 32, "index by shift");
    as_op_imm(a, OPC(0, 0x81), 4, rm_reg(H_RAX), (TLB_ENTRIES - 1) * 32, 4); /* and */
    as_op(a, OPC(0, 0x03) | OP_W, H_RAX, rm_near(&jit->c->tlb), 0);
    as_op(a, OPC(1, 0xb6), H_RDX, rm_mem(T2, offsetof(struct jit_site, last_byte)), 0);
    as_op(a, OPC(0, 0x03) | OP_W, H_RDX, rm_reg(T1), 0);
    as_op_imm(a, OPC(0, 0x81) | OP_W, 4, rm_reg(H_RDX), (uint64_t)-4096, 4);
}

static void emit_save_three(struct as *a, struct jit *jit)
{
    as_store(a, rm_near(&jit->save[0]), H_RAX);
    as_store(a, rm_near(&jit->save[1]), H_RCX);
    as_store(a, rm_near(&jit->save[2]), H_RDX);
}

/* Notes in slot_marks that a slot of the set has the page in RDX; uses RCX. */
static void emit_mark(struct as *a, struct jit *jit, unsigned set)
{
    _Static_assert(SLOT_MARKS == 1024, "mask");
    as_store(a, rm_reg(H_RCX), H_RDX);
    as_op_imm(a, OPC(0, 0xc1) | OP_W, 5, rm_reg(H_RCX), 12, 1);
    as_op_imm(a, OPC(0, 0x81), 4, rm_reg(H_RCX), SLOT_MARKS - 1, 4);
    as_store(a, rm_near(&jit->tmp2), H_RAX);
    as_lea(a, H_RAX, rm_near(jit->slot_marks[set]));
    as_op_imm(a, OPC(0, 0xc6), 0, rm_sib(H_RAX, H_RCX, 0, 0), 1, 1);
    as_load(a, H_RAX, rm_near(&jit->tmp2));
}

/* T1 = linear - page of the site's slot. */
static void emit_slot_miss(struct as *a, struct jit *jit, unsigned set, bool write)
{
    jit->slot_miss[set][write] = begin(a);
    as_op_imm(a, OPC(0, 0x83) | OP_66, 5, rm_mem(T2, offsetof(struct jit_site, patience)), 1,
              1);
    as_patch(a, as_jcc(a, CC_E), jit->site_call);
    emit_save_three(a, jit);
    as_load(a, H_RCX, rm_mem(T2, offsetof(struct jit_site, slot)));
    as_op(a, OPC(0, 0x03) | OP_W, T1, rm_mem(H_RCX, 0), 0);
    emit_search(a, jit);
    as_op(a, OPC(0, 0x3b) | OP_W, H_RDX, rm_mem(H_RAX, tlb_tag(write)), 0);
    uint8_t *miss = as_jcc(a, CC_NE);
    as_load(a, H_RAX, rm_mem(H_RAX, offsetof(struct tlb_entry, host)));
    uint8_t *not_global = set == SET_SUPER ? emit_global_test(a, jit) : NULL;
    as_store(a, rm_mem(H_RCX, 0), H_RDX);
    as_store(a, rm_mem(H_RCX, 8), H_RAX);
    emit_mark(a, jit, set);
    if (not_global)
        as_patch(a, not_global, as_here(a));
    as_op(a, OPC(0, 0x2b) | OP_W, T1, rm_reg(H_RDX), 0);
    as_op(a, OPC(0, 0x03) | OP_W, T1, rm_reg(H_RAX), 0);
    load_three_and_go(a, jit);
    as_patch(a, miss, as_here(a));
    if (write)
        emit_mixed(a, jit);
    load_three(a, jit);
    as_jmp_to(a, jit->read_miss);
}

/* T1 = linear: of a write that the TLB has no tag for. */
static void emit_write_miss(struct as *a, struct jit *jit)
{
    jit->write_miss = begin(a);
    emit_save_three(a, jit);
    emit_search(a, jit);
    emit_mixed(a, jit);
    load_three(a, jit);
    as_jmp_to(a, jit->read_miss);
}

/* T1 = linear: the TLB has no tag, C has to see to that. It may say to go on as if it had been
 * there (jit_serve_site). */
static void emit_read_miss(struct as *a, struct jit *jit)
{
    jit->read_miss = begin(a);
    as_store(a, rm_near(&jit->miss_linear), T1);
    as_jmp_to(a, jit->site_call);
    jit->filled = begin(a);
    as_load(a, T1, rm_near(&jit->filled_host));
    as_op(a, OPC(0, 0x31), T2, rm_reg(T2), 0); /* xor: who adds T2 to it may */
    as_op(a, OPC(0, 0xff), 4, rm_near(&jit->filled_back), 0);
    jit->go_on = begin(a); /* another block: what calls are on the stack is forgotten */
    as_load(a, H_RSP, rm_near(&jit->stack_base));
    as_op(a, OPC(0, 0xff), 4, rm_near(&jit->go_on_at), 0);
}

void stubs_emit(struct jit *jit)
{
    struct as a = {.p = jit->code_rw, .rx = jit->code_rx - jit->code_rw};
    jit->c->jit = jit;
    emit_leave(&a, jit);
    fpu_stubs_emit(&a, jit);
    emit_exits(&a, jit);
    emit_return_none(&a, jit);
    emit_enter(&a, jit);
    emit_jump_second(&a, jit);
    fpu_need_stubs_emit(&a, jit);
    emit_site_call(&a, jit);
    emit_read_miss(&a, jit);
    emit_rdtsc(&a, jit);
    for (unsigned set = 0; set < SET_COUNT; set++) {
        emit_slot_miss(&a, jit, set, false);
        emit_slot_miss(&a, jit, set, true);
        emit_far_miss(&a, jit, set, false);
        emit_far_miss(&a, jit, set, true);
    }
    emit_write_miss(&a, jit);
    string_stubs_emit(&a, jit);
    begin(&a);
    jit->code_used = (size_t)(a.p - jit->code_rw);
}
