/* SPDX-License-Identifier: MIT */
/*
 * go_on.c - from an instruction that C did, and that changed RIP, mode or mappings, straight to
 * the code of the next block: system calls and returns from them, IRET, INVLPG, MOV to CR3, the
 * handler of a page fault. Whatever is not plain goes the long way round, by the loop in run.c.
 */
#include "jit/windows.h"

/* What the loop would look at between two blocks. */
static bool undisturbed(const struct vcpu *c)
{
    return !c->touched && !c->shadow && !c->pending_dr6 && !c->insn_limit_soft &&
           !__atomic_load_n(&c->poll, __ATOMIC_RELAXED) && !attention_due(c) &&
           !interp_must_step(c) && !(c->log->items & (WEIR_LOG_EXEC | WEIR_LOG_CPU));
}

static const struct jit_block *known_code(struct jit *jit)
{
    struct vcpu *c = jit->c;
    if (!cpu_is_64bit(c))
        c->rip = (uint32_t)c->rip;
    const struct block *b = blocks_known(c, (c->segc[SEG_CS].base + c->rip) & c->linear_mask);
    bool refused;
    if (!b || !b->native)
        return NULL;
    return mode_pinned(b->mode) ? pinned_find(jit, b, &refused)
                                : block_code(b, windows_wanted(jit));
}

uint64_t jit_go_on(struct jit *jit)
{
    struct vcpu *c = jit->c;
    if (!undisturbed(c))
        return 0;
    const struct jit_block *jb = known_code(jit);
    if (!jb || c->insn_limit - c->instructions < jb->count)
        return 0;
    jit_enter_at(jit, jb);
    jit->want = jit->allowed >= jb->level ? jb->level : FPU_NONE;
    jit->x87_want = jit->x87_allowed && jb->x87;
    jit->go_on_at = jb->entry_saved;
    jit->stats.went_on++;
    return jit->go_on;
}
