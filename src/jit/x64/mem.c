/* SPDX-License-Identifier: MIT */
/*
 * mem.c - memory operands of translated code.
 *
 * As a rule an operand looks into the TLB: it subtracts the tag of the page's entry, compares,
 * which also catches accesses that leave the page, and adds where the page is on the host. What
 * that cannot serve (faults, MMIO, code pages, crossings) the interpreter does, the whole
 * instruction.
 *
 * Operands of hot blocks have a page slot, shared by few others: the page touched last there
 * and where that is on the host, which is half as much to do and a third of the latency. Those
 * that stay in one page always have, and share it by page. A slot that misses asks the TLB.
 * Slots hold only what the TLB may hold, for one privilege (enum slot_set), and are cleared with
 * it (cache.c).
 *
 * Where the address space has a window (windows.h), an operand is at a distance that is the same
 * for 512 GiB, or in 32-bit code at GS, which is 0 if it can be had. Nothing is checked, and the
 * flags stay; the access itself faults, so nothing of the guest may be changed before it.
 */
#include "jit/windows.h"

static bool is_wide(const struct insn *i)
{
    return i->addrsize == 8;
}

static void lea(struct translation *t, const struct insn *i, unsigned reg, struct rm rm)
{
    if (rm.disp == 0 && rm.index == H_RSP) /* the host does moves for nothing */
        as_op(&t->as, OPC(0, 0x8b) | (is_wide(i) ? OP_W : 0), reg, rm_reg(rm.base), 0);
    else if (is_wide(i))
        as_lea(&t->as, reg, rm);
    else
        as_lea32(&t->as, reg, rm);
}

/* Host register that has the guest register; what is spilled is loaded into `scratch`. */
static unsigned fetch(struct translation *t, unsigned guest, unsigned scratch)
{
    if (host_reg(guest) != SPILLED)
        return host_reg(guest);
    home_load(t, scratch, guest);
    return scratch;
}

/* [index * scale + disp], which has no base. */
static void lea_scaled(struct as *a, unsigned reg, unsigned index, const struct insn *i)
{
    as8(a, 0x40 | (is_wide(i) ? 8u : 0) | (reg >> 3) << 2 | (index >> 3) << 1);
    as8(a, 0x8d);
    as8(a, (reg & 7) << 3 | 4);
    as8(a, (unsigned)i->scale << 6 | (index & 7) << 3 | 5);
    as_bytes(a, (uint64_t)(int64_t)i->disp, 4);
}

void gen_effective(struct translation *t, const struct insn *i, unsigned reg)
{
    struct as *a = &t->as;
    if (i->base == REG_RIP) {
        as_load(a, T1, rm_near(&t->jit->code_base));
        lea(t, i, reg, rm_mem(T1, i->disp + (int32_t)t->offset));
    } else if (i->base == REG_NONE && i->index == REG_NONE) {
        as_mov_imm(a, reg, is_wide(i) ? (uint64_t)(int64_t)i->disp : (uint32_t)i->disp);
    } else if (i->index == REG_NONE) {
        lea(t, i, reg, rm_mem(fetch(t, i->base, T1), i->disp));
    } else if (i->base == REG_NONE) {
        lea_scaled(a, reg, fetch(t, i->index, T1), i);
    } else {
        unsigned index = fetch(t, i->index, T2);
        lea(t, i, reg, rm_sib(fetch(t, i->base, T1), index, i->scale, i->disp));
    }
    if (i->addrsize == 2)
        as_op(a, OPC(1, 0xb7), reg, rm_reg(reg), 0);
}

/* Segment checks that are not folded into the mode, and the base. */
static void apply_segment(struct translation *t, unsigned seg, unsigned bytes, bool write)
{
    struct as *a = &t->as;
    const struct segment_cache *s = &t->c->segc[seg];
    bool thread = seg == SEG_FS || seg == SEG_GS;
    if ((t->out->mode & MODE_CODE_MASK) == MODE_CODE64) {
        if (thread)
            as_op(a, OPC(0, 0x03) | OP_W, T1, rm_near(&s->base), 0);
        return;
    }
    if (t->flat && !thread && seg != SEG_CS)
        return;
    unsigned last = T1; /* offset of the last byte: beyond 4 GiB it does not wrap */
    if (bytes > 1)
        as_lea(a, last = T2, rm_mem(T1, (int32_t)bytes - 1));
    as_op(a, OPC(0, 0x3b) | OP_W, last, rm_near(&s->last[write]), 0);
    gen_bail(t, CC_G);
    as_op(a, OPC(0, 0x03), T1, rm_near(&s->base), 0);
}

static struct jit_site *check(struct translation *t, struct page_slot *slot, unsigned bytes,
                              bool write)
{
    struct as *a = &t->as;
    struct jit_site *site = site_new(t);
    if (!site)
        return NULL;
    site->slot = slot;
    plan(t, PLAN_SLOT, PLAN_ACCESS(slot - t->jit->slots[t->set][write], bytes, write));
    site->last_byte = (uint8_t)(bytes - 1);
    site->write = write;
    as_op(a, OPC(0, 0x2b) | OP_W, T1, rm_near(&slot->page), 0);
    as_op_imm(a, OPC(0, 0x81) | OP_W, 7, rm_reg(T1), 4096 - bytes, 4);
    cold_add(t, as_jcc(a, CC_A), site, NULL);
    as_op(a, OPC(0, 0x03) | OP_W, T1, rm_near(&slot->host), 0);
    site->back = as_here(a);
    return site;
}

/* By the TLB itself. */
static struct jit_site *check_paged(struct translation *t, unsigned bytes, bool write, bool sum)
{
    struct as *a = &t->as;
    struct jit_site *site = site_new(t);
    if (!site)
        return NULL;
    site->paged = true;
    site->range =
        insn_row(&t->insns[t->at])->attrs & ATTR_REP && t->insns[t->at].prefixes & PFX_REP;
    plan(t, PLAN_PAGE, PLAN_ACCESS(0, bytes, write));
    site->last_byte = (uint8_t)(bytes - 1);
    site->write = write;
    if (t->jit->has_bmi2) {
        as_rorx(a, T2, T1, 12 - 5);
    } else {
        as_store(a, rm_reg(T2), T1);
        as_op_imm(a, OPC(0, 0xc1) | OP_W, 5, rm_reg(T2), 12 - 5, 1);
    }
    _Static_assert(sizeof(struct tlb_entry) == 32, "index by shift");
    as_op_imm(a, OPC(0, 0x81), 4, rm_reg(T2), (TLB_ENTRIES - 1) * 32, 4);
    as_op(a, OPC(0, 0x03) | OP_W, T2, rm_near(&t->c->tlb), 0);
    as_op(a, OPC(0, 0x2b) | OP_W, T1, rm_mem(T2, tlb_tag(write)), 0);
    as_op_imm(a, OPC(0, 0x81) | OP_W, 7, rm_reg(T1), 4096 - bytes, 4);
    cold_add(t, as_jcc(a, CC_A), site, NULL);
    struct rm host = rm_mem(T2, offsetof(struct tlb_entry, host));
    if (sum)
        as_load(a, T2, host);
    else
        as_op(a, OPC(0, 0x03) | OP_W, T1, host, 0);
    site->back = as_here(a);
    return site;
}

static struct page_slot *slot_take(struct translation *t, bool write)
{
    unsigned *taken = &t->jit->slots_taken[t->set][write];
    if (*taken < SLOTS)
        return &t->jit->slots[t->set][write][(*taken)++];
    return &t->jit->slots[t->set][write]
                         [STACK_SLOTS + as_here(&t->as) / 16 % (SLOTS - STACK_SLOTS)];
}

/* Of operands that stay in one page wherever their block is mapped: all with that page share it. */
static struct page_slot *fixed_slot(struct translation *t, const struct insn *i, bool write)
{
    uint64_t base = i->base == REG_RIP ? t->c->rip - (t->block->gpa & 0xfff) + t->offset : 0;
    uint64_t page = (base + (uint64_t)(int64_t)i->disp) >> 12;
    uint16_t *known =
        &t->jit->fixed_slots[t->set][write][(page ^ (uint64_t)i->seg << 5) % FIXED_PAGES];
    if (!*known)
        *known = (uint16_t)(slot_take(t, write) - t->jit->slots[t->set][write]);
    return &t->jit->slots[t->set][write][*known];
}

static bool is_fixed(const struct insn *i)
{
    return i->index == REG_NONE && (i->base == REG_RIP || i->base == REG_NONE);
}

static struct page_slot *stack_slot(struct translation *t, bool write)
{
    return &t->jit->slots[t->set][write][(t->block->gpa >> 8) % STACK_SLOTS];
}

void gen_bail(struct translation *t, unsigned cc)
{
    struct jit_site *site = site_new(t);
    plan(t, PLAN_BAIL, cc);
    if (site)
        cold_add(t, as_jcc(&t->as, cc), site, NULL);
}

void gen_bail_to(struct translation *t, unsigned cc, uint64_t stub)
{
    gen_bail(t, cc);
    if (!t->failed)
        t->cold[t->colds - 1].stub = stub;
}

/* ---- by a window ---- */

/* Of 32-bit code: its limit or rights say more than the window does. */
static bool needs_limit(const struct insn *i)
{
    bool own = i->seg == SEG_CS || i->seg == SEG_FS || i->seg == SEG_GS;
    return i->code_bits != 64 && i->mem && own;
}

bool gen_by_window(const struct translation *t)
{
    return t->windowed && !(t->block->outside >> t->at & 1) && !needs_limit(&t->insns[t->at]);
}

static struct jit_site *window_site(struct translation *t, const struct insn *i, unsigned bytes,
                                    bool write)
{
    struct jit_site *site = site_new(t);
    if (!site)
        return NULL;
    plan(t, PLAN_WINDOW, PLAN_ACCESS(0, bytes, write));
    site->window = true;
    t->kept.at = NULL;
    site->back = as_here(&t->as);
    site->last_byte = (uint8_t)(bytes - 1);
    site->write = write;
    site->operand.base = i->base;
    site->operand.index = i->index;
    site->operand.scale = i->scale;
    site->operand.seg = i->seg;
    site->operand.addrsize = i->addrsize;
    site->operand.disp = i->disp;
    site->fault.begin = site->back;
    fault_site_add(&t->jit->windows->faults, &site->fault);
    cold_add(t, NULL, site, NULL);
    if (!t->failed)
        t->cold[t->colds - 1].kind = t->flags == FLAGS_LIVE ? COLD_WINDOW_LIVE : COLD_WINDOW;
    return site;
}

/* Operands with the same base in code that is near share one; the stack has its own. */
static struct distance_slot *distance_slot(const struct translation *t, const struct insn *i)
{
    uint64_t code = t->block->gpa >> 8;
    unsigned n = i->base == RSP ? 0 : 1 + (unsigned)(code * 17 + i->base) % (DISTANCES - 1);
    return &t->jit->distances[n];
}

/* reg = distance between the guest's memory around the address and where it is on the host, from
 * the table; in hot code, where flags need not stay, as it was the last time, if that is still so:
 * then the access need not wait for its address to have gone through the table. */
static void gen_distance(struct translation *t, const struct insn *i, struct jit_site *site,
                         bool flags_free, unsigned reg, unsigned address)
{
    struct as *a = &t->as;
    as_rorx(a, reg, address, PIECE_LOG2);
    if (!flags_free || !t->block->hot || t->block->strays >> t->at & 1) {
        as_op(a, OPC(1, 0xb6) | OP_BYTE_RM, reg, rm_reg(reg), 0);
        as_load_gs(a, reg, reg);
        return;
    }
    struct distance_slot *slot = distance_slot(t, i);
    as_op(a, OPC(0, 0x3a) | OP_BYTE_REG, reg, rm_near(&slot->number), 0);
    cold_add(t, as_jcc(a, CC_NE), site, NULL);
    as_load(a, reg, rm_near(&slot->distance));
    if (t->failed)
        return;
    struct cold *k = &t->cold[t->colds - 1];
    k->kind = COLD_STRAY;
    k->slot = slot;
    k->reg = (uint8_t)reg;
    k->back = as_here(a);
}

void gen_stray(struct translation *t, const struct cold *k)
{
    struct as *a = &t->as;
    as_op_imm(a, OPC(0, 0x83) | OP_66, 5, rm_near(&k->site->patience), 1, 1);
    uint8_t *again = as_jcc(a, CC_NE);
    as_lea(a, T2, rm_near(k->site));
    as_jmp_to(a, t->jit->site_call);
    as_patch(a, again, as_here(a));
    as_store_n(a, rm_near(&k->slot->number), k->reg, 1);
    as_op(a, OPC(1, 0xb6) | OP_BYTE_RM, k->reg, rm_reg(k->reg), 0);
    as_load_gs(a, k->reg, k->reg);
    as_store(a, rm_near(&k->slot->distance), k->reg);
    as_jmp_to(a, k->back);
}

/* T1 += base of FS or GS, in 64-bit code. */
static void gen_thread_base(struct translation *t, const struct insn *i)
{
    if (i->seg != SEG_FS && i->seg != SEG_GS)
        return;
    as_load(&t->as, T2, rm_near(&t->c->segc[i->seg].base));
    as_lea(&t->as, T1, rm_sib(T1, T2, 0, 0));
}

static struct rm window_32bit(struct translation *t, const struct insn *i)
{
    struct rm rm = {.kind = RM_MEM, .base = T1, .index = H_RSP, .gs32 = true};
    if (i->addrsize == 2) {
        gen_effective(t, i, T1);
        return rm;
    }
    rm.base = i->base == REG_NONE ? NO_BASE : (uint8_t)host_reg(i->base);
    if (i->index != REG_NONE)
        rm.index = (uint8_t)host_reg(i->index);
    rm.scale = i->scale;
    rm.disp = i->disp;
    return rm;
}

/* By a base register that is on the host: its distance is good for a whole group. */
static struct rm window_by_base(struct translation *t, const struct insn *i, struct group *g,
                                struct jit_site *site, bool flags_free)
{
    unsigned base = host_reg(i->base);
    uint64_t *home = g ? &t->jit->group[g - t->groups] : NULL;
    if (g && g->open) {
        site->follows = true;
        as_load(&t->as, T1, rm_near(home));
    } else {
        gen_distance(t, i, site, flags_free, T1, base);
    }
    if (g && !g->open) {
        as_store(&t->as, rm_near(home), T1);
        g->open = true;
    }
    return rm_sib(T1, base, 0, i->disp); /* in this order: [RBP] would be a matter of SS */
}

/* T1 = where the operand's first byte, or that of its group, is on the host; the displacement
 * from there. sum: or T1 + T2 is. */
static struct rm window_by_address(struct translation *t, const struct insn *i, struct group *g,
                                   struct jit_site *site, bool flags_free, bool sum)
{
    struct as *a = &t->as;
    int32_t rip = i->base == REG_RIP ? (int32_t)t->offset : 0;
    if (g && g->open) {
        site->follows = true;
        as_load(a, T1, rm_near(&t->jit->group[g - t->groups]));
        return rm_mem(T1, (int32_t)(i->disp + rip - g->low));
    }
    struct insn first = *i;
    if (g)
        first.disp = (int32_t)(g->low - rip);
    int32_t disp = 0;
    if (i->base == REG_RIP && i->seg != SEG_FS && i->seg != SEG_GS) {
        as_load(a, T1, rm_near(&t->jit->code_base));
        disp = first.disp + rip;
    } else {
        gen_effective(t, &first, T1);
        gen_thread_base(t, i);
    }
    gen_distance(t, i, site, flags_free, T2, T1);
    if (sum && !g)
        return rm_sib(T1, T2, 0, disp);
    as_lea(a, T1, rm_sib(T1, T2, 0, disp));
    if (!g)
        return rm_mem(T1, 0);
    as_store(a, rm_near(&t->jit->group[g - t->groups]), T1);
    g->open = true;
    return rm_mem(T1, (int32_t)(i->disp + rip - g->low));
}

static struct rm gen_window(struct translation *t, const struct insn *i, unsigned bytes,
                            bool write, bool sum)
{
    bool flags_free = i->code_bits == 64 && flags_spare(t);
    struct jit_site *site = window_site(t, i, bytes, write);
    if (!site)
        return rm_mem(T1, 0);
    if (i->code_bits != 64)
        return window_32bit(t, i);
    struct group *g = group_in_window(t, i);
    return is_by_base(i) ? window_by_base(t, i, g, site, flags_free)
                         : window_by_address(t, i, g, site, flags_free, sum);
}

/* SP + disp, as wide as the code. */
static struct insn stack_operand(const struct translation *t, int32_t disp)
{
    bool wide = t->insns[0].code_bits == 64;
    return (struct insn){.base = RSP,
                         .index = REG_NONE,
                         .seg = SEG_SS,
                         .disp = disp,
                         .addrsize = wide ? 8 : 4,
                         .code_bits = wide ? 64 : 32};
}

void gen_window_next(struct translation *t, int32_t disp, unsigned bytes, bool write)
{
    struct insn operand = stack_operand(t, disp);
    struct jit_site *site = window_site(t, &operand, bytes, write);
    if (site)
        site->follows = true;
}

/* ---- all ways ---- */

static struct jit_site *gen_single(struct translation *t, const struct insn *i, unsigned bytes,
                                   bool write, bool sum)
{
    flags_preserve(t);
    gen_effective(t, i, T1);
    apply_segment(t, i->seg, bytes, write);
    bool frame = i->base == RSP || (i->base == RBP && i->addrsize == 2);
    if (t->block->paged >> t->at & 1)
        return check_paged(t, bytes, write, sum);
    if (is_fixed(i) && !t->pinned)
        return check(t, fixed_slot(t, i, write), bytes, write);
    bool shared = frame && i->seg == SEG_SS;
    if (!t->block->hot || (t->set == SET_SUPER && !shared)) /* a kernel has too many operands */
        return check_paged(t, bytes, write, sum);
    return check(t, shared ? stack_slot(t, write) : slot_take(t, write), bytes, write);
}

struct rm gen_memory(struct translation *t, const struct insn *i, unsigned bytes, bool write,
                     bool sum)
{
    if (gen_by_window(t))
        return gen_window(t, i, bytes, write, sum);
    struct group *g = t->windowed ? NULL : group_of(t, i, bytes, write);
    if (!g) {
        const struct jit_site *site = gen_single(t, i, bytes, write, sum);
        return sum && site && site->paged ? rm_sib(T1, T2, 0, 0) : rm_mem(T1, 0);
    }
    uint64_t *home = &t->jit->group[g - t->groups];
    int32_t rip = i->base == REG_RIP ? (int32_t)t->offset : 0;
    int32_t inside = (int32_t)(i->disp + rip - g->low);
    if (!g->open) {
        struct insn all = *i;
        all.disp = (int32_t)(g->low - rip);
        struct jit_site *site = gen_single(t, &all, g->bytes, g->write, false);
        if (!site)
            return rm_mem(T1, 0);
        site->leads = true;
        site->only_reads = !write;
        as_store(&t->as, rm_near(home), T1);
        g->open = true;
    } else {
        plan(t, PLAN_GROUP, PLAN_ACCESS(g - t->groups, bytes, write));
        as_load(&t->as, T1, rm_near(home));
    }
    return rm_mem(T1, inside);
}

void gen_address(struct translation *t, const struct insn *i, unsigned bytes, bool write)
{
    struct as *a = &t->as;
    flags_preserve(t);
    struct rm rm = gen_memory(t, i, bytes, write, false);
    if (rm.gs32) {
        rm.gs32 = false;
        as_lea32(a, T1, rm);
        as_load(a, T2, rm_near(&t->jit->window_base));
        as_lea(a, T1, rm_sib(T1, T2, 0, 0));
    } else if (rm.disp || rm.base != T1 || rm.index != H_RSP) {
        as_lea(a, T1, rm);
    }
}

struct rm gen_stack(struct translation *t, int32_t disp, unsigned bytes, bool write)
{
    if (gen_by_window(t)) {
        struct insn operand = stack_operand(t, disp);
        return gen_window(t, &operand, bytes, write, false);
    }
    flags_preserve(t);
    uint32_t stack = t->out->mode & MODE_STACK_MASK;
    if (stack == MODE_STACK64 && disp == 0)
        as_store(&t->as, rm_reg(T1), H_SP);
    else if (stack == MODE_STACK64)
        as_lea(&t->as, T1, rm_mem(H_SP, disp));
    else
        as_lea32(&t->as, T1, rm_mem(H_SP, disp));
    if (stack == MODE_STACK16)
        as_op(&t->as, OPC(1, 0xb7), T1, rm_reg(T1), 0);
    apply_segment(t, SEG_SS, bytes, write);
    if (t->block->paged >> t->at & 1 || !t->block->hot)
        check_paged(t, bytes, write, false);
    else
        check(t, stack_slot(t, write), bytes, write);
    return rm_mem(T1, 0);
}

void gen_check_linear(struct translation *t, unsigned bytes, bool write)
{
    flags_preserve(t);
    check(t, slot_take(t, write), bytes, write);
}

void gen_check(struct translation *t, unsigned seg, unsigned bytes, bool write)
{
    apply_segment(t, seg, bytes, write);
    check_paged(t, bytes, write, false);
}
