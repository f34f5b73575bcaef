/* SPDX-License-Identifier: MIT */
/*
 * run.c - the loop around translated code, and what it calls in C.
 *
 * Each turn: find the block at RIP, translate it once it has proved hot, enter its code, see why
 * it came back. Code comes back for a place that is not linked yet (and is linked then), for
 * `poll`, or because an instruction that C did ended the run.
 */
#include "jit/view.h"
#include "jit/windows.h"

#include "cpu/cpuid.h"
#include "cpu/fpu.h"
#include "cpu/x86.h"

#define MXCSR_MASKS 0x1f80u

/* Failures of a check of several operands (groups.c, runs of PUSH and POP) before they are checked
 * one by one; that they lie in two pages counts for more. */
#define SEVERAL_PATIENCE 16u
#define SEVERAL_CROSS    4u
#define SEVERAL_TICKS    100000u /* between failures that are not often */
#define WINDOW_FAILURES  4u      /* of a window, before an operand goes by the TLB */
#define HOT_SEEN         4u /* times that a block is found running before its operands get slots */
#define HOT_RECENT       8u /* each at most so many looks after the one before: 10 % of the time */
#define HOT_SPREAD       12u /* blocks around it that do, too */

/* ---- flags: struct vcpu has RFLAGS bits, code has LAHF and SETO ---- */

static void flags_to_code(struct jit *jit)
{
    uint32_t f = jit->c->flags;
    jit->flags_ax = (f & 0xff) << 8 | (f & FLAG_OF ? 1 : 0);
}
static void flags_from_code(struct jit *jit)
{
    uint32_t ax = (uint32_t)jit->flags_ax;
    jit->c->flags = (ax >> 8 & 0xd5) | (ax & 1 ? FLAG_OF : 0);
}

static uint64_t rip_mask(const struct vcpu *c)
{
    return cpu_is_64bit(c) ? ~0ull : 0xffffffff;
}

/* ---- vector registers ---- */

/* The level that the guest's state permits without any fault. */
static uint8_t level_allowed(const struct vcpu *c)
{
    if (c->cr0 & (CR0_EM | CR0_TS) || !(c->cr4 & CR4_OSFXSR) ||
        (c->fpu.mxcsr & MXCSR_MASKS) != MXCSR_MASKS)
        return FPU_NONE;
    if (!(c->cr4 & CR4_OSXSAVE) || (c->xcr0 & XCR0_AVX) != XCR0_AVX)
        return FPU_SSE;
    return (c->xcr0 & XCR0_AVX512) == XCR0_AVX512 ? FPU_AVX512 : FPU_AVX;
}

/* x87: nothing pending, and nothing can become so. */
static bool x87_allowed(const struct vcpu *c)
{
    return !(c->cr0 & (CR0_EM | CR0_TS)) &&
           (c->fpu.fx.fcw & FSW_EXCEPTIONS) == FSW_EXCEPTIONS && !(c->fpu.fx.fsw & FSW_ES);
}

/* ---- one instruction in C ---- */

/* An access that a window cannot serve goes by the TLB from now on, if that is not for once. */
static void change_to_tlb(struct jit_site *site)
{
    struct jit_block *b = site->block;
    if (++site->failures < WINDOW_FAILURES || b->dead)
        return;
    b->block->outside |= BIT64(site->index);
    jit_drop(b->jit, b);
}

/* The instruction of a site, bound; kept for the next time if there is room. */
static struct insn *site_insn(struct jit_site *site, struct insn pair[2])
{
    if (site->insn)
        return site->insn;
    const struct block *b = site->block->block;
    const struct insn *known = &b->insns[site->index];
    struct insn *insn = arena_take(site->block->jit, 2 * sizeof(*insn));
    if (!insn)
        insn = pair;
    else
        site->insn = insn;
    decode_insn(&insn[0], known->bytes, known->length, 16u << (b->mode & MODE_CODE_MASK));
    insn_bind(site->block->jit->c, &insn[0]);
    insn[1].length = 0;
    insn[1].exec = insn_end;
    return insn;
}

/* What the operand remembers was wrong PATIENCE times. Whether that was soon; it begins anew. */
static bool lost_patience(struct jit_site *site)
{
    uint64_t now = __builtin_ia32_rdtsc(), took = now - site->since;
    site->patience = PATIENCE;
    site->since = now;
    return took <= PATIENCE * MISS_TICKS || site->block->jit->limited;
}

/* The operand's slot was the wrong one too often: it goes by the table of pages from now on. */
static void change_to_pages(struct jit_site *site)
{
    struct jit_block *b = site->block;
    if (!lost_patience(site) || b->dead)
        return;
    b->block->paged |= BIT64(site->index);
    jit_drop(b->jit, b);
}

/* The check of several operands at once failed. If that is often, they are checked one by one.
 * Where one object lies across pages more will, but a page fault now and then is not often. */
static void several_failed(struct jit_site *site, bool crosses)
{
    struct jit_block *b = site->block;
    uint64_t now = __builtin_ia32_rdtsc();
    bool rare = now - site->since > SEVERAL_TICKS && !b->jit->limited;
    site->since = now;
    if (rare && !crosses)
        return;
    site->failures += crosses ? SEVERAL_CROSS : 1;
    if (site->failures < SEVERAL_PATIENCE || b->dead)
        return;
    b->block->ungrouped |= BIT64(site->index);
    jit_drop(b->jit, b);
}

/* Whether the instruction may fault, or be done, without touching its operand, whose page then must
 * not look as if it had. */
static bool may_not_touch(const struct jit_site *site, uint64_t linear)
{
    const struct insn *i = &site->block->block->insns[site->index];
    unsigned alignment = i->op == OP_CMPXCHG16B ? 16 : insn_mem_alignment(i);
    return i->evex & 7 || (alignment && (site->leads || linear & (alignment - 1)));
}

/* If all that a memory operand needs is an entry in the TLB: makes it and says where to go on.
 * *faults: the access alone is the instruction's, it is not permitted, c->fault says so. */
static uint64_t fill_tlb(struct jit_site *site, bool *faults)
{
    struct jit *jit = site->block->jit;
    struct vcpu *c = jit->c;
    uint64_t linear = jit->miss_linear, page = linear & ~0xfffull, gpa;
    bool crosses = (linear & 0xfff) + site->last_byte > 0xfff;
    const struct tlb_entry *e = &c->tlb[tlb_index(linear)];
    /* That this instruction does: it must not become dirty for what another one may write. */
    enum access access = site->write && !site->only_reads ? ACCESS_WRITE : ACCESS_READ;
    bool plain =
        !crosses && !may_not_touch(site, linear) && (!cpu_is_64bit(c) || is_canonical(linear));
    bool mapped = plain && paging_translate(c, linear, access, c->cpl, &gpa);
    *faults = plain && !mapped && !site->leads && !site->alone && !site->range;
    if (mapped && (site->write ? e->write : e->read) == page) {
        jit->filled_host = e->host + (linear & 0xfff);
        jit->filled_back = site->back;
        jit->want = site->block->level; /* for the block goes on */
        jit->x87_want = site->block->x87;
        return jit->filled;
    }
    if (site->leads || site->alone)
        several_failed(site, crosses);
    return 0;
}

/* The operand is now here, now far away: it asks the table of distances from now on. Where to go
 * on: at its start once more, as what others take over from it is not there yet; 0: the block is
 * left. */
static uint64_t change_to_table(struct jit_site *site)
{
    struct jit_block *b = site->block;
    b->jit->want = b->level;
    b->jit->x87_want = b->x87;
    if (!lost_patience(site) && !b->dead)
        return site->back;
    b->block->strays |= BIT64(site->index);
    if (!b->dead)
        jit_drop(b->jit, b);
    return 0;
}

/* An access did not succeed in its window. Where to go on, if it will. */
static uint64_t refill(struct jit_site *site, bool *faults)
{
    struct jit_block *b = site->block;
    struct jit *jit = b->jit;
    uint64_t linear = window_linear(jit, site);
    bool filled = !may_not_touch(site, linear) && window_fill(jit, site, linear, faults);
    jit->want = b->level;
    jit->x87_want = b->x87;
    if (filled && !site->follows && !b->dead)
        return site->back;
    if (!filled && !*faults)
        change_to_tlb(site);
    return 0;
}

/* The instruction ended with something else than going on behind it. */
static uint64_t settle(struct jit *jit, const struct insn *insn, enum weir_stop stop)
{
    stop = interp_settle(jit->c, insn, stop);
    uint64_t where = stop == STOP_BOUNDARY || stop == STOP_BRANCH ? jit_go_on(jit) : 0;
    if (where)
        return where;
    jit->stop = stop;
    jit->site_stopped = true;
    return 0;
}

/* The instruction behind its end, as C does it. */
static unsigned begin_in_c(struct jit_site *site, const struct insn *insn)
{
    struct jit *jit = site->block->jit;
    struct vcpu *c = jit->c;
    unsigned rest = jit->limited ? (unsigned)site->block->count - site->index : 0;
    flags_from_code(jit);
    c->rip = (jit->code_base + site->next) & rip_mask(c);
    c->instructions -= rest; /* counted already */
    c->insn_bytes = insn->length;
    return rest;
}

static uint64_t serve_site(struct jit_site *site, struct insn *insn)
{
    struct jit_block *b = site->block;
    struct jit *jit = b->jit;
    struct vcpu *c = jit->c;
    uint32_t generation = jit->generation;
    unsigned rest = begin_in_c(site, insn);
    enum weir_stop stop = insn->exec(c, insn);
    bool goes_on = !site->alone && !site->leads && !c->touched &&
                   generation == jit->generation && !b->dead && !jit->returns_stale &&
                   c->mode == (b->mode & ~(uint32_t)MODE_WATCHED) && !c->shadow &&
                   !c->pending_dr6 && c->insn_limit >= c->instructions + rest;
    jit->allowed = level_allowed(c);
    jit->want = b->level;
    jit->x87_allowed = x87_allowed(c);
    jit->x87_want = b->x87;
    if (stop == STOP_NEXT && goes_on && jit->allowed >= b->level &&
        jit->x87_allowed >= b->x87) {
        c->instructions += rest;
        flags_to_code(jit);
        return site->resume;
    }
    return settle(jit, insn, stop == STOP_NEXT ? STOP_BOUNDARY : stop);
}

uint64_t jit_serve_site(struct jit_site *site)
{
    struct jit *jit = site->block->jit;
    struct jit_stats *s = &jit->stats;
    bool memory = site->slot || site->paged, faults = false;
    if (site->window) {
        uint64_t back = site->patience ? refill(site, &faults) : change_to_table(site);
        if (back)
            return back;
    } else if (site->slot && site->patience == 0) {
        change_to_pages(site);
    } else if (memory) {
        uint64_t filled = fill_tlb(site, &faults);
        s->fills += filled != 0;
        if (filled)
            return filled;
    }
    struct insn pair[2], *insn = site_insn(site, pair);
    if (faults) { /* to look once more would say the same */
        s->calls_memory++;
        begin_in_c(site, insn);
        return settle(jit, insn, STOP_FAULT);
    }
    bool writes = memory && site->write;
    memory |= site->window;
    if (site->whole) {
        s->calls_operation++;
        s->operations[insn->op]++;
    } else if (memory) {
        s->calls_memory++;
    } else {
        s->calls_condition++;
    }
    uint64_t began = stats_begin(s->calls++);
    uint64_t where = serve_site(site, insn);
    stats_end(began, &s->call_ticks, &s->calls_timed);
    if (writes)
        mixed_note(jit);
    return where;
}

/* ---- the loop ---- */

bool jit_translatable(const struct block *b)
{
    return (b->host || b->gpa2 != NO_PAGE) && !b->watched &&
           !(b->mode & (MODE_TF | MODE_DEBUG | MODE_AC | MODE_EVENTS));
}

static void jumps_are_for(struct set_tables *t, uint32_t mode)
{
    if (t->mode == mode)
        return;
    t->mode = mode;
    jumps_clear(t);
}

/* Jump slots are for one mode; and for global pages only, if there are such. */
static void jumps_check(struct jit *jit)
{
    struct vcpu *c = jit->c;
    if (mode_pinned(c->mode)) {
        pinned_enter(jit);
        return;
    }
    enum slot_set set = slots_of(c->mode);
    bool fill_all = !(c->cr4 & CR4_PGE);
    if (jit->fill_all != fill_all) {
        jit->fill_all = fill_all;
        super_clear(jit);
    }
    if (set == SET_USER) {
        jumps_are_for(set_tables(jit, set), c->mode);
        return;
    }
    jumps_are_for(set_tables(jit, SET_SUPER), c->mode & ~(uint32_t)MODE_SMAP_AC);
    jumps_are_for(set_tables(jit, SET_SUPER_AC), c->mode | MODE_SMAP_AC);
}

/* Whether instructions are counted exactly against a limit; code is made for one or the other. */
static void select_limit(struct jit *jit)
{
    const struct vcpu *c = jit->c;
    bool limited = c->insn_limit != UINT64_MAX || c->icount || c->counting;
    bool exact = limited || c->exact_flags;
    if (limited == jit->limited && exact == jit->exact)
        return;
    jit->limited = limited;
    jit->exact = exact;
    blocks_flush(jit->c);
}

static struct jit_block *native_block(struct jit *jit, struct block *b)
{
    bool refused = false;
    struct jit_block *found = mode_pinned(b->mode) ? pinned_find(jit, b, &refused)
                                                   : block_code(b, windows_wanted(jit));
    if (found || refused)
        return found;
    if ((b->heat < rewritten_heat(jit, b) && !view_wants_all(jit)) || b->heat == HEAT_NEVER ||
        !jit_translatable(b))
        return NULL;
    struct jit_block *jb = jit_translate(jit, b);
    if (!jb) {
        /* Full: everything goes, and b with it. */
        if (b->heat != HEAT_NEVER && jit->code_used > jit->stub_bytes)
            blocks_flush(jit->c);
    }
    return jb;
}

static enum jit_exit exit_reason(const struct jit *jit)
{
    const struct jit_link *l = jit->exit_link;
    if (jit->site_stopped)
        return EXIT_CALL;
    return !l ? EXIT_INDIRECT : !l->to ? EXIT_LINK : !l->patch ? EXIT_START : EXIT_POLL;
}

/* What the block leads to is known by now, and needs no flags: it has not to keep them. */
static bool hope_fulfilled(const struct jit_block *b)
{
    bool all = b->hoped;
    for (const struct jit_link *l = b->outgoing; l && all; l = l->sibling)
        all = l->returns || (l->to && !l->to->needs_flags);
    return all;
}

/* Time is spent in this block, and so in those that it is linked with: their operands get slots
 * when they are translated anew. */
static void mark_hot(struct jit *jit, struct jit_block *first)
{
    struct jit_block *list[HOT_SPREAD] = {first};
    unsigned count = 1;
    for (unsigned n = 0; n < count; n++) {
        struct jit_block *b = list[n];
        for (struct jit_link *l = b->outgoing; l && count < HOT_SPREAD; l = l->sibling) {
            bool known = !l->to;
            for (unsigned k = 0; k < count && !known; k++)
                known = list[k] == l->to;
            if (!known)
                list[count++] = l->to;
        }
    }
    for (unsigned n = 0; n < count; n++) {
        struct jit_block *b = list[n];
        if (b->dead || (b->block->hot && !hope_fulfilled(b)))
            continue;
        b->block->hot = true;
        jit_drop(jit, b);
    }
}

/* Whoever wants the vCPU finds it where it spends its time: that is where code is hot. */
static void sample(struct jit *jit)
{
    struct vcpu *c = jit->c;
    if (!__atomic_load_n(&c->poll, __ATOMIC_RELAXED))
        return;
    uint64_t linear = (c->segc[SEG_CS].base + c->rip) & c->linear_mask;
    struct jit_link *link = jit->exit_link;
    struct block *known = link ? link->from->block : blocks_known(c, linear);
    struct jit_block *jb = link    ? link->from
                           : known ? block_code(known, windows_wanted(jit))
                                   : NULL;
    windows_sample(jit);
    if (!jb)
        return;
    if (++jit->samples - known->seen_at > HOT_RECENT)
        known->seen = 0; /* that was long ago */
    known->seen_at = jit->samples;
    if (++known->seen % HOT_SEEN)
        return;
    jit->exit_link = NULL;
    mark_hot(jit, jb);
}

void jit_sample(struct vcpu *c)
{
    __atomic_store_n(&c->poll, 1, __ATOMIC_SEQ_CST);
}

void jit_enter_at(struct jit *jit, const struct jit_block *jb)
{
    struct vcpu *c = jit->c;
    flags_to_code(jit);
    jit->code_base = c->rip - (jb->block->gpa & 0xfff);
    jit->returns_stale = false;
    jit->exit_link = NULL;
    jit->allowed = level_allowed(c);
    jit->x87_allowed = x87_allowed(c);
    jit->refused = false;
    jumps_check(jit);
}

/* Enters code. STOP_NEXT: it stopped between blocks. */
static enum weir_stop enter(struct jit *jit, struct jit_block *jb)
{
    struct vcpu *c = jit->c;
    jit_enter_at(jit, jb);
    jit->site_stopped = false;
    uint64_t began = stats_begin(jit->stats.entries++);
    union {
        uint64_t address;
        void (*call)(uint64_t code);
    } code = {jit->enter};
    code.call(jb->entry_saved);
    stats_end(began, &jit->stats.entry_ticks, &jit->stats.entries_timed);
    jit->stats.exits[exit_reason(jit)]++;
    if (jit->site_stopped)
        return jit->stop;
    flags_from_code(jit);
    if (jit->exit_link) {
        c->rip = jit->code_base + (uint64_t)jit->exit_link->offset;
        c->shadow |= jit->exit_link->shadow ? SHADOW_STI : 0;
    }
    c->rip &= rip_mask(c);
    sample(jit);
    return STOP_NEXT;
}

/* The way that code left by leads to `to`: next time without coming here. */
static void connect(struct jit *jit, uint64_t rip, struct jit_block *to)
{
    bool crosses = to->block->gpa2 != NO_PAGE;
    if (jit->exit_link) {
        /* A block that needs the FPU may be left at its start. */
        bool shadow = jit->exit_link->shadow && (to->level != FPU_NONE || to->x87);
        if (!crosses && !shadow)
            jit_link_to(jit, jit->exit_link, to, rip);
        return;
    }
    jit->stats.indirect_misses++;
    if (mode_pinned(jit->c->mode)) {
        pinned_jump_set(jit, rip, to->entry_saved);
        return;
    }
    enum slot_set set = slots_of(jit->c->mode);
    bool global = jit->fill_all || set != SET_SUPER ||
                  (tlb_is_global(jit->c, rip) &&
                   (!crosses || tlb_is_global(jit->c, rip + INSN_MAX_BYTES - 1)));
    if (!global)
        return;
    jump_list_block(to, rip);
    jump_set(set_tables(jit, set), rip, to->entry_saved);
}

static enum weir_stop run_blocks(struct jit *jit)
{
    struct vcpu *c = jit->c;
    bool came_from_code = false;
    uint64_t first = c->instructions;
    for (;;) {
        if (!cpu_is_64bit(c))
            c->rip = (uint32_t)c->rip;
        uint64_t linear = (c->segc[SEG_CS].base + c->rip) & c->linear_mask;
        uint32_t generation = jit->generation;
        struct block *b = blocks_lookup(c, linear);
        if (UNLIKELY(c->insn_limit_soft && b && c->instructions != first &&
                     c->insn_limit - c->instructions < b->count))
            return STOP_BOUNDARY;
        struct jit_block *jb = b ? native_block(jit, b) : NULL;
        if (generation != jit->generation)
            came_from_code = false;
        if (jb && came_from_code)
            connect(jit, c->rip, jb);
        came_from_code = false;
        if (UNLIKELY(c->shadow)) {
            if (b && !jb && b->heat < HEAT_MAX) /* or what follows an STI would never be hot */
                b->heat++;
            return STOP_BOUNDARY;
        }
        if (!jb && generation != jit->generation)
            continue; /* b is gone */
        enum weir_stop stop;
        if (jb && c->insn_limit - c->instructions >= jb->count && !jit->refused) {
            stop = enter(jit, jb);
            came_from_code = stop == STOP_NEXT;
            if (came_from_code && attention_due(c))
                return STOP_BOUNDARY;
        } else {
            if (b && b->heat < HEAT_MAX)
                b->heat++;
            jit->refused = false;
            jit->stats.interpreted++;
            stop = interp_run_block(c, b);
        }
        if (stop != STOP_NEXT)
            return stop;
        if (UNLIKELY(__atomic_load_n(&c->poll, __ATOMIC_RELAXED)))
            __atomic_store_n(&c->poll, 0, __ATOMIC_SEQ_CST);
        if (attention_due(c) || c->instructions >= c->insn_limit)
            return STOP_BOUNDARY;
    }
}

static enum weir_stop run(struct jit *jit)
{
    struct vcpu *c = jit->c;
    enum weir_stop stop = STOP_BOUNDARY;
    select_limit(jit);
    while (c->instructions < c->insn_limit) {
        __atomic_store_n(&c->poll, 0, __ATOMIC_SEQ_CST);
        if (attention_due(c))
            break;
        /* With these, the interpreter's own loop does it right. */
        bool plain = !interp_must_step(c) && !(c->log->items & (WEIR_LOG_EXEC | WEIR_LOG_CPU));
        stop = plain ? run_blocks(jit) : interp_step_one(c);
        if (stop > STOP_REPEAT)
            return stop;
        if (c->insn_limit_soft)
            break;
    }
    return STOP_BOUNDARY;
}

enum weir_stop jit_run(struct vcpu *c)
{
    uint64_t began = stats_ticks();
    struct faults_scope scope;
    windows_enter(c->jit, &scope);
    enum weir_stop stop = run(c->jit);
    windows_leave(c->jit, &scope);
    c->jit->stats.run_ticks += stats_ticks() - began;
    return stop;
}
