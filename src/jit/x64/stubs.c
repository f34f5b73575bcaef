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

static void emit_enter(struct as *a, struct jit *jit)
{
    jit->enter = begin(a);
    for (unsigned k = 0; k < 6; k++)
        push(a, callee_saved[k]);
    as_lea(a, H_RSP, rm_mem(H_RSP, -8)); /* aligned for calls */
    as_store(a, rm_reg(T2), H_RDI);
    load_registers(a, jit->c);
    as_op(a, OPC(0, 0xff), 4, rm_reg(T2), 0);

    jit->leave = begin(a);
    as_lea(a, H_RSP, rm_mem(H_RSP, 8));
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

static void load_three_and_go(struct as *a, struct jit *jit)
{
    as_load(a, H_RAX, rm_near(&jit->save[0]));
    as_load(a, H_RCX, rm_near(&jit->save[1]));
    as_load(a, H_RDX, rm_near(&jit->save[2]));
    as_op(a, OPC(0, 0xff), 4, rm_mem(T2, offsetof(struct jit_site, back)), 0);
}

/* A write that the TLB does not let through: RAX = its entry, RDX = page of the last byte. Goes
 * on if that is but for code in other lines of the page (mixed.c). */
static void emit_mixed(struct as *a, struct jit *jit)
{
    uint8_t *no[6];
    as_load(a, H_RCX, rm_mem(H_RAX, offsetof(struct tlb_entry, write)));
    as_op(a, OPC(0, 0x2b) | OP_W, H_RCX, rm_reg(H_RDX), 0);
    as_op_imm(a, OPC(0, 0x83) | OP_W, 7, rm_reg(H_RCX), TLB_SLOW, 1);
    no[0] = as_jcc(a, CC_NE);
    as_op_imm(a, OPC(0, 0x80), 7, rm_mem(T2, offsetof(struct jit_site, range)), 0, 1);
    no[1] = as_jcc(a, CC_NE);
    as_op_imm(a, OPC(0, 0x80), 7, rm_mem(T2, offsetof(struct jit_site, last_byte)), 63, 1);
    no[2] = as_jcc(a, CC_A); /* it may touch more than two lines */
    as_load(a, H_RAX, rm_mem(H_RAX, offsetof(struct tlb_entry, addend)));
    as_op(a, OPC(0, 0x03) | OP_W, H_RDX, rm_reg(H_RAX), 0);
    as_store(a, rm_reg(H_RCX), H_RDX);
    as_op_imm(a, OPC(0, 0xc1), 5, rm_reg(H_RCX), 12 - 4, 1);
    _Static_assert(sizeof(struct mixed_page) == 16, "index by shift");
    as_op_imm(a, OPC(0, 0x81), 4, rm_reg(H_RCX), (MIXED_PAGES - 1) * 16, 4);
    as_op(a, OPC(0, 0x03) | OP_W, H_RCX, rm_near(&jit->mixed), 0);
    as_op(a, OPC(0, 0x3b) | OP_W, H_RDX, rm_mem(H_RCX, offsetof(struct mixed_page, host)), 0);
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
    as_op(a, OPC(0, 0x03) | OP_W, T1, rm_reg(H_RAX), 0);
    load_three_and_go(a, jit);
    for (unsigned k = 0; k < 6; k++)
        as_patch(a, no[k], as_here(a));
    as_store(a, rm_near(&jit->miss_linear), T1);
}

/* T1 = linear, T2 = site, RCX = slot to be filled; RAX, RCX, RDX are saved. The same search as
 * tlb_read_hit and tlb_write_hit (cpu/access.h). */
static void emit_search(struct as *a, struct jit *jit, unsigned set, bool write)
{
    as_store(a, rm_reg(H_RAX), T1);
    as_op_imm(a, OPC(0, 0xc1) | OP_W, 5, rm_reg(H_RAX), 12 - 5, 1); /* shr */
    _Static_assert(sizeof(struct tlb_entry) == 32, "index by shift");
    as_op_imm(a, OPC(0, 0x81), 4, rm_reg(H_RAX), (TLB_ENTRIES - 1) * 32, 4); /* and */
    as_op(a, OPC(0, 0x03) | OP_W, H_RAX, rm_near(&jit->c->tlb), 0);
    as_op(a, OPC(1, 0xb6), H_RDX, rm_mem(T2, offsetof(struct jit_site, last_byte)), 0);
    as_op(a, OPC(0, 0x03) | OP_W, H_RDX, rm_reg(T1), 0);
    as_op_imm(a, OPC(0, 0x81) | OP_W, 4, rm_reg(H_RDX), (uint64_t)-4096, 4);
    size_t tag = write ? offsetof(struct tlb_entry, write) : offsetof(struct tlb_entry, read);
    as_op(a, OPC(0, 0x3b) | OP_W, H_RDX, rm_mem(H_RAX, (int32_t)tag), 0);
    uint8_t *miss = as_jcc(a, CC_NE);
    as_load(a, H_RAX, rm_mem(H_RAX, offsetof(struct tlb_entry, addend)));
    uint8_t *not_global = set == SET_SUPER ? emit_global_test(a, jit) : NULL;
    as_store(a, rm_mem(H_RCX, 0), H_RDX);
    as_op(a, OPC(0, 0x03) | OP_W, H_RDX, rm_reg(H_RAX), 0);
    as_store(a, rm_mem(H_RCX, 8), H_RDX);
    if (not_global)
        as_patch(a, not_global, as_here(a));
    as_op(a, OPC(0, 0x03) | OP_W, T1, rm_reg(H_RAX), 0);
    load_three_and_go(a, jit);
    as_patch(a, miss, as_here(a));
    if (write)
        emit_mixed(a, jit);
    as_load(a, H_RAX, rm_near(&jit->save[0]));
    as_load(a, H_RCX, rm_near(&jit->save[1]));
    as_load(a, H_RDX, rm_near(&jit->save[2]));
    as_jmp_to(a, jit->site_call);
}

static void emit_save_three(struct as *a, struct jit *jit)
{
    as_store(a, rm_near(&jit->save[0]), H_RAX);
    as_store(a, rm_near(&jit->save[1]), H_RCX);
    as_store(a, rm_near(&jit->save[2]), H_RDX);
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
    emit_search(a, jit, set, write);
}

/* T1 = linear. */
static void emit_page_miss(struct as *a, struct jit *jit, unsigned set, bool write)
{
    jit->page_miss[set][write] = begin(a);
    emit_save_three(a, jit);
    as_store(a, rm_reg(H_RCX), T1);
    as_op_imm(a, OPC(0, 0xc1) | OP_W, 5, rm_reg(H_RCX), 12 - 4, 1);
    as_op_imm(a, OPC(0, 0x81), 4, rm_reg(H_RCX), (PAGE_SLOTS - 1) * 16, 4);
    as_op(a, OPC(0, 0x03) | OP_W, H_RCX, rm_near(&jit->pages[set][write]), 0);
    emit_search(a, jit, set, write);
}

void stubs_emit(struct jit *jit)
{
    struct as a = {.p = jit->code_rw, .rx = jit->code_rx - jit->code_rw};
    jit->c->jit = jit;
    emit_enter(&a, jit);
    fpu_stubs_emit(&a, jit);
    emit_exits(&a, jit);
    emit_jump_second(&a, jit);
    fpu_need_stubs_emit(&a, jit);
    emit_site_call(&a, jit);
    for (unsigned set = 0; set < SET_COUNT; set++) {
        emit_slot_miss(&a, jit, set, false);
        emit_slot_miss(&a, jit, set, true);
        emit_page_miss(&a, jit, set, false);
        emit_page_miss(&a, jit, set, true);
    }
    begin(&a);
    jit->code_used = (size_t)(a.p - jit->code_rw);
}
