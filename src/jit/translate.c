/* SPDX-License-Identifier: MIT */
/*
 * translate.c - one block: decoded again from its bytes, flags' liveness backwards, then code
 * for one instruction after another, at last the slow paths.
 *
 * EFLAGS hold the guest's arithmetic flags until something needs EFLAGS for itself (the check
 * of a memory operand): then they are saved if an instruction of this block, or what follows
 * it, still needs them. Flags that nothing needs are not saved: should an instruction in
 * between fault, the image of EFLAGS that its handler sees has stale ones; nothing else can.
 */
#include "jit/internal.h"

#include "cpu/events.h"
#include "cpu/x86.h"
#include "jit/view.h"
#include "jit/windows.h"

/* Room for the longest instruction sequence, beyond which translation gives up. */
#define CODE_PER_INSN 1024u

/* ---- pieces ---- */

struct jit_site *site_new(struct translation *t)
{
    struct jit_site *s = arena_take(t->jit, sizeof(*s));
    if (!s) {
        t->failed = true;
        return NULL;
    }
    s->block = t->out;
    s->index = (uint16_t)t->at;
    s->next = (uint16_t)t->offset;
    s->patience = PATIENCE;
    return s;
}

void cold_add(struct translation *t, uint8_t *from, struct jit_site *site,
              struct jit_link *link)
{
    if (t->colds == COLD_MAX || (!site && !link)) {
        t->failed = true;
        return;
    }
    t->cold[t->colds++] = (struct cold){.from = from, .site = site, .link = link};
}

void cold_add_jump(struct translation *t, uint8_t *from, struct jit_site *site, unsigned kind,
                   int32_t sp_move)
{
    cold_add(t, from, site, NULL);
    if (t->failed)
        return;
    t->cold[t->colds - 1].kind = kind;
    t->cold[t->colds - 1].sp_move = sp_move;
}

void cold_add_far(struct translation *t, uint8_t *from, struct jit_link *link)
{
    cold_add(t, from, NULL, link);
    if (!t->failed)
        t->cold[t->colds - 1].kind = COLD_FAR;
}

/* ---- spilled registers ---- */

void home_load(struct translation *t, unsigned reg, unsigned guest)
{
    if (t->kept.at != t->as.p || t->kept.guest != guest)
        as_load(&t->as, reg, guest_home(t, guest));
    else if (t->kept.reg != reg)
        as_load(&t->as, reg, rm_reg(t->kept.reg));
}

void home_store(struct translation *t, unsigned reg, unsigned guest)
{
    as_store(&t->as, guest_home(t, guest), reg);
    t->kept.at = t->as.p;
    t->kept.guest = guest;
    t->kept.reg = reg;
}

/* ---- flags ---- */

void flags_preserve(struct translation *t)
{
    if (t->flags == FLAGS_LIVE && t->live[t->at]) {
        plan(t, PLAN_SAVE, 0);
        as_save_flags(&t->as, &t->jit->flags_ax, T2);
        t->flags = FLAGS_SAVED;
    } else if (t->flags == FLAGS_LIVE) {
        plan(t, PLAN_DROP, 0);
        t->flags = FLAGS_DEAD;
    } else if (t->flags == FLAGS_BOTH) {
        t->flags = FLAGS_SAVED;
    }
}

void flags_require(struct translation *t)
{
    if (t->flags != FLAGS_SAVED)
        return;
    plan(t, PLAN_RESTORE, 0);
    as_restore_flags(&t->as, &t->jit->flags_ax, T2);
    t->flags = FLAGS_BOTH;
}

/* RFLAGS bits as a byte: those of LAHF, and OF as bit 3. */
static uint8_t pack(uint32_t flags)
{
    return (uint8_t)((flags & 0xd5) | (flags & FLAG_OF ? 8 : 0));
}
#define ALL_FLAGS 0xddu

static bool always_writes(const struct insn *i)
{
    switch (i->op) {
    case OP_SHL:
    case OP_SHR:
    case OP_SAR:
    case OP_ROL:
    case OP_ROR:
    case OP_RCL:
    case OP_RCR:
    case OP_SHLD:
    case OP_SHRD: { /* a count of zero leaves them */
        const struct operand_form *o = insn_row(i)->operands;
        unsigned kind = o[2].kind != KIND_NONE ? o[2].kind : o[1].kind;
        if (kind == KIND_ONE)
            return true;
        return kind == KIND_I && i->imm & (i->opsize == 8 ? 63 : 31);
    }
    case OP_DIV:
    case OP_IDIV: /* they may fault instead */
        return false;
    default:
        return !(insn_row(i)->attrs & ATTR_REP);
    }
}

/* Flags whose old values do not survive the instruction. */
static uint8_t killed(const struct insn *i)
{
    const struct op_info *o = &op_table[i->op];
    if (!always_writes(i))
        return 0;
    bool rotate = i->op == OP_ROL || i->op == OP_ROR || i->op == OP_RCL || i->op == OP_RCR;
    return pack(o->flags_written | (rotate ? 0 : o->flags_undefined));
}

static bool takes_flags_over(const struct translation *t)
{
    const struct insn *i = &t->insns[t->at];
    const struct op_info *o = &op_table[i->op];
    bool leaves_some = t->live[t->at + 1] & ~killed(i);
    return o->flags_read || ((o->flags_written | o->flags_undefined) && leaves_some);
}

void flags_before(struct translation *t)
{
    if (takes_flags_over(t))
        flags_require(t);
}

bool flags_spare(struct translation *t)
{
    bool needed = t->flags == FLAGS_LIVE && t->live[t->at];
    if (takes_flags_over(t) || needed)
        return false;
    flags_preserve(t);
    return true;
}
void flags_after(struct translation *t)
{
    const struct op_info *o = &op_table[t->insns[t->at].op];
    if (o->flags_written | o->flags_undefined)
        t->flags = FLAGS_LIVE;
}

/* Whether nothing that the block leads to needs flags; it then goes with any of those that does
 * not any more (cache.c). *loops: it is one of them, and believed not to. */
static bool ends_without_flags(struct translation *t, bool *loops)
{
    int64_t offsets[2];
    bool dead = true;
    *loops = false;
    if (t->jit->exact || t->pinned)
        return false;
    unsigned count = successors(t, offsets);
    for (unsigned n = 0; n < count; n++) {
        const struct jit_block *to = successor_at(t, offsets[n]);
        *loops |= to == t->out;
        dead &= to && !to->needs_flags;
    }
    t->out->hoped = count && !dead;
    return count && dead;
}

/* An instruction that overwrites code may do so with what the block leads to, which then needs the
 * flags after all. */
static void find_live_from(struct translation *t, uint8_t live_behind)
{
    t->live[t->count] = live_behind;
    for (unsigned n = t->count; n-- > 0;) {
        const struct insn *i = &t->insns[n];
        uint8_t read = pack(op_table[i->op].flags_read);
        bool leaves = i->op == OP_JCC && n + 1 < t->count;
        uint8_t behind =
            leaves || (t->relies && may_write_code(i)) ? ALL_FLAGS : t->live[n + 1];
        t->live[n] = (uint8_t)((behind & ~killed(i)) | read);
        if (t->jit->exact)
            t->live[n] = ALL_FLAGS;
    }
}

static void find_live(struct translation *t)
{
    bool loops;
    t->relies = ends_without_flags(t, &loops);
    find_live_from(t, t->relies ? 0 : ALL_FLAGS);
    if (t->relies && loops && t->live[0]) {
        t->relies = false;
        find_live_from(t, ALL_FLAGS);
    }
    t->out->needs_flags = t->jit->limited || t->live[0];
}

/* Those links at once, so that whoever drops a successor knows of it. */
static void link_relying(struct translation *t)
{
    for (struct jit_link *l = t->out->outgoing; l; l = l->sibling)
        if (l->flags_dead)
            jit_link_to(t->jit, l, successor_at(t, l->offset), 0);
}

/* Whether flags that the block takes over are used in EFLAGS first: before they are passed on, or
 * have to make room for a check. */
static bool uses_flags_taken_over(const struct translation *t)
{
    bool checks = t->level != FPU_NONE || t->x87;
    for (unsigned n = 0; n < t->count && t->live[n] && !checks; n++) {
        const struct insn *i = &t->insns[n];
        const struct op_info *o = &op_table[i->op];
        checks = i->mem && i->op != OP_LEA && i->op != OP_NOP;
        if (!checks && (o->flags_read || o->flags_written | o->flags_undefined))
            return true; /* if it killed all of them, none would be live here */
    }
    return false;
}

/* ---- instructions ---- */

void gen_call(struct translation *t)
{
    struct jit_site *site = site_new(t);
    if (!site)
        return;
    site->whole = true;
    groups_close(t);
    flags_preserve(t);
    plan(t, PLAN_CALL, 0);
    as_lea(&t->as, T2, rm_near(site));
    as_jmp_to(&t->as, t->jit->site_call);
    site->resume = as_here(&t->as);
    t->flags = FLAGS_BOTH;
}

static void set_resume(struct translation *t, unsigned from)
{
    for (unsigned n = from; n < t->colds; n++)
        if (t->cold[n].site)
            t->cold[n].site->resume = as_here(&t->as);
}

/* Where the slow path comes back, flags are in both places; on the fast one as `flags` says. */
static bool gen_insn(struct translation *t)
{
    const struct insn *i = &t->insns[t->at];
    unsigned colds = t->colds;
    bool ended = false;
    if (UNLIKELY(t->c->ev.armed) && event_kinds(i) & t->c->ev.armed)
        gen_call(t);
    else if (gen_flow(t, i, &ended) || gen_far(t, i, &ended) || gen_string(t, i) ||
             gen_segment(t, i) || gen_system(t, i, &ended))
        plan(t, PLAN_MAKE, 0);
    else if (gen_integer(t, i) || gen_x87(t, i) || gen_vector(t, i))
        plan(t, PLAN_COPY, 0);
    else
        gen_call(t);
    set_resume(t, colds);
    if (t->colds != colds) /* C comes back to here */
        t->kept.at = NULL;
    return ended;
}

/* ---- cold code ---- */

/* See cold_add_jump. A target that is not canonical faults before anything changes. */
static void gen_cold_jump(struct translation *t, const struct cold *k)
{
    struct as *a = &t->as;
    uint8_t *no[2] = {NULL};
    if (k->kind == COLD_RETURN) {
        as_load(a, H_RSP, rm_near(&t->jit->stack_base));
        as_op_imm(a, OPC(0, 0x83), 7, rm_near(&t->c->poll), 0, 1);
        no[0] = as_jcc(a, CC_NE);
        gen_jump_slot(a, t->jit, t->set, false);
        as_op(a, OPC(0, 0x3b) | OP_W, T2, rm_mem(T1, 0), 0);
        uint8_t *second = as_jcc(a, CC_NE);
        gen_move_sp(t, k->sp_move);
        gen_jump_through(a, t->jit, 0);
        as_patch(a, second, as_here(a));
    }
    if (k->kind != COLD_LEAVE) {
        as_op(a, OPC(0, 0x3b) | OP_W, T2, rm_mem(T1, 16), 0);
        no[1] = as_jcc(a, CC_NE);
        if (k->sp_move)
            gen_move_sp(t, k->sp_move);
        gen_jump_through(a, t->jit, 1);
        as_patch(a, no[1], as_here(a));
    }
    if (no[0])
        as_patch(a, no[0], as_here(a));
    gen_canonical_test(a);
    uint8_t *faults = as_jcc(a, CC_A);
    if (k->sp_move)
        gen_move_sp(t, k->sp_move);
    as_jmp_to(a, t->jit->exit_indirect);
    as_patch(a, faults, as_here(a));
    as_lea(a, T2, rm_near(k->site));
    as_jmp_to(a, t->jit->site_call);
}

static void gen_cold(struct translation *t, const struct cold *k)
{
    struct as *a = &t->as;
    const struct jit *jit = t->jit;
    if (k->from)
        as_patch(a, k->from, as_here(a));
    if (k->link && k->from == k->link->patch)
        k->link->cold = as_here(a);
    if (k->kind == COLD_STRAY) {
        gen_stray(t, k);
        return;
    }
    if (k->kind == COLD_WINDOW || k->kind == COLD_WINDOW_LIVE) {
        k->site->fault.lead = as_here(a);
        if (k->kind == COLD_WINDOW_LIVE)
            as_save_flags(a, &jit->flags_ax, T1);
        as_lea(a, T2, rm_near(k->site));
        as_jmp_to(a, jit->site_call);
        return;
    }
    if (k->kind == COLD_FAR) {
        as_lea(a, T2, rm_near(k->link));
        as_jmp_to(a, jit->far_miss[t->set][t->insns[0].code_bits == 64]);
        return;
    }
    if (k->kind != COLD_PLAIN) {
        gen_cold_jump(t, k);
        return;
    }
    if (k->link && k->link->back) {
        as_lea(a, T2, rm_near(k->link));
        as_jmp_to(a, jit->fpu_need[t->x87][t->level]);
        return;
    }
    if (k->link) {
        as_lea(a, T2, rm_near(k->link));
        as_jmp_to(a, k->link->saved ? jit->exit_saved : jit->exit_live);
        return;
    }
    const struct jit_site *site = k->site;
    if (site->paged)
        as_op(a, OPC(0, 0x03) | OP_W, T1, rm_mem(T2, tlb_tag(site->write)),
              0); /* linear again */
    as_lea(a, T2, rm_near(site));
    if (k->stub) {
        as_jmp_to(a, k->stub);
        return;
    }
    as_jmp_to(a, site->slot                   ? jit->slot_miss[t->set][site->write]
                 : site->paged && site->write ? jit->write_miss
                 : site->paged                ? jit->read_miss
                                              : jit->site_call);
}

/* Far from the fast paths, which so share lines of the host's cache with each other alone. */
static void gen_colds(struct translation *t)
{
    t->end = t->as.p;
    t->as.p = t->cold_begin = t->jit->code_rw + t->jit->cold_used;
    for (unsigned n = 0; n < t->colds; n++)
        gen_cold(t, &t->cold[n]);
    t->cold_end = t->as.p;
}

/* ---- the block ---- */

static bool decode_again(struct translation *t)
{
    const struct block *b = t->block;
    const uint8_t *bytes = b->insns[0].bytes;
    unsigned at = 0, bits = 16u << (b->mode & MODE_CODE_MASK);
    t->count = 0;
    while (at < b->bytes && t->count < BLOCK_INSNS) {
        struct insn *i = &t->insns[t->count];
        if (decode_insn(i, bytes + at, b->bytes - at, bits) != DECODE_OK)
            return false;
        at += i->length;
        t->count++;
    }
    return t->count == b->count;
}

/* A way out at the block's start that is never linked; flags are saved there. */
static struct jit_link *start_link(struct translation *t)
{
    struct jit_link *link = arena_take(t->jit, sizeof(*link));
    if (!link)
        return NULL;
    link->from = link->to = t->out;
    link->offset = (int64_t)(t->block->gpa & 0xfff);
    link->saved = true;
    return link;
}

/* Sees that the guest's vector registers are loaded. */
static void gen_fpu_check(struct translation *t)
{
    struct as *a = &t->as;
    if (t->level == FPU_NONE && !t->x87)
        return;
    struct jit_link *link = start_link(t);
    flags_preserve(t);
    plan(t, PLAN_FPU, t->level | t->x87 << 2);
    if (t->x87) {
        as_op_imm(a, OPC(0, 0x80), 7, rm_near(&t->jit->x87_live), 0, 1);
        cold_add(t, as_jcc(a, CC_E), NULL, link);
    }
    if (t->level != FPU_NONE) {
        as_op_imm(a, OPC(0, 0x80), 7, rm_near(&t->jit->live), t->level, 1);
        cold_add(t, as_jcc(a, CC_B), NULL, link);
    }
    if (link)
        link->back = as_here(a);
}

/* Counts the block's instructions, if there is a limit; leaves before it if they would pass it.
 * Otherwise nothing is counted: the sum would be the longest chain of dependent operations. */
static void gen_count(struct translation *t)
{
    struct as *a = &t->as;
    if (!t->jit->limited)
        return;
    plan(t, PLAN_COUNT, t->count);
    as_load(a, T1, rm_near(&t->c->instructions));
    as_lea(a, T1, rm_mem(T1, (int32_t)t->count));
    as_op(a, OPC(0, 0x3b) | OP_W, T1, rm_near(&t->c->insn_limit), 0);
    cold_add(t, as_jcc(a, CC_A), NULL, start_link(t));
    as_store(a, rm_near(&t->c->instructions), T1);
}

/* Of a pinned block: jumps by slots come without it. */
static void gen_code_base(struct translation *t)
{
    if (t->pinned)
        as_op_imm(&t->as, OPC(0, 0xc7) | OP_W, 0, rm_near(&t->jit->code_base),
                  t->out->code_base, 4);
}

static void gen_entries(struct translation *t)
{
    struct as *a = &t->as;
    while (as_here(a) & 15)
        as8(a, 0x90);
    t->begin = a->p;
    bool passes = t->live[0] && !uses_flags_taken_over(t);
    plan(t, PLAN_ENTRY, t->jit->limited || passes ? 0 : t->live[0]);
    if (t->jit->limited || passes) {
        /* A block that counts may end here at once: nothing is dead. */
        t->out->entry_live = as_here(a);
        as_save_flags(a, &t->jit->flags_ax, T2);
        t->out->entry_saved = as_here(a);
        gen_code_base(t);
        t->flags = FLAGS_SAVED;
    } else {
        t->out->entry_saved = as_here(a);
        gen_code_base(t);
        if (t->live[0])
            as_restore_flags(a, &t->jit->flags_ax, T2);
        t->out->entry_live = as_here(a);
        t->flags = t->live[0] ? FLAGS_LIVE : FLAGS_DEAD;
    }
    gen_fpu_check(t);
    gen_count(t);
}

static bool start(struct translation *t, struct jit *jit, struct block *b)
{
    t->as.p = jit->code_rw + jit->code_used;
    t->as.rx = jit->code_rx - jit->code_rw;
    t->jit = jit;
    t->c = jit->c;
    t->block = b;
    t->colds = 0;
    t->failed = false;
    t->plan = view_plan(jit);
    t->begin = t->as.p;
    t->kept.at = NULL;
    t->level = FPU_NONE;
    t->x87 = t->shadow = t->returns = t->relies = false;
    t->set = slots_of(b->mode);
    t->flat = b->mode & MODE_FLAT;
    t->pinned = mode_pinned(b->mode);
    t->windowed = windows_wanted(jit);
    t->out = arena_take(jit, sizeof(*t->out));
    size_t room = (BLOCK_INSNS + 4) * CODE_PER_INSN;
    if (!t->out || jit->cold_start - jit->code_used < room ||
        jit->code_bytes - jit->cold_used < room)
        return false;
    if (decode_again(t))
        return true;
    b->heat = HEAT_NEVER;
    return false;
}

struct jit_block *jit_translate(struct jit *jit, struct block *b)
{
    struct translation t;
    if (!start(&t, jit, b))
        return NULL;
    struct jit_block *out = t.out;
    out->jit = jit;
    out->block = b;
    out->mode = b->mode;
    out->windowed = t.windowed;
    out->made_at = __builtin_ia32_rdtsc();
    out->count = (uint16_t)t.count;
    out->code_base = (uint32_t)(jit->c->rip - (b->gpa & 0xfff));
    out->cs_limit = (uint32_t)jit->c->segc[SEG_CS].limit;
    for (unsigned n = 0; n < t.count; n++) {
        unsigned level = vector_level(&t, &t.insns[n]);
        t.level = level > t.level ? level : t.level;
        t.x87 |= is_x87(&t, &t.insns[n]);
    }
    out->level = (uint8_t)t.level;
    out->x87 = t.x87;
    find_live(&t);
    groups_find(&t);
    t.at = 0;
    gen_entries(&t);
    t.offset = (unsigned)(b->gpa & 0xfff);
    bool ended = false;
    for (t.at = 0; t.at < t.count && !t.failed; t.at++) {
        t.offset += t.insns[t.at].length;
        ended = false;
        plan(&t, PLAN_INSN, t.live[t.at]);
        if (!gen_stack_run(&t, &ended))
            ended = gen_insn(&t);
    }
    if (!ended)
        gen_jump(&t, t.offset);
    plan(&t, PLAN_COLD, 0);
    gen_colds(&t);
    if (t.failed) {
        if (jit->code_used == jit->stub_bytes) /* or all is about to be flushed */
            windows_code_flushed(jit);
        return NULL;
    }
    jit->code_used = (size_t)(t.end - jit->code_rw);
    jit->cold_used = (size_t)(t.cold_end - jit->code_rw);
    jit->stats.blocks++;
    jit->stats.insns += t.count;
    link_relying(&t);
    out->other = b->native;
    b->native = out;
    if (jit->view)
        view_block(&t);
    return out;
}
