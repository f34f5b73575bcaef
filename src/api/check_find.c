/* SPDX-License-Identifier: MIT */
/*
 * check_find.c - lock-step: from "they differ somewhere in here" to an instruction.
 *
 * Each stage makes both machines anew, runs to the last point at which they were equal, and goes on
 * in smaller pieces: steps of the caller's size, whole blocks of the engine under test, single
 * instructions. Single steps may hide the error of an engine that translates blocks; then the
 * blocks are what is reported. A page of RAM that differs at the end is watched from the start of
 * the search, so that the store is found and not the load that it later misled.
 */
#include "api/check.h"

#include <stdio.h>
#include <string.h>

#define ROUNDS 3u

typedef int advance_fn(struct check *k, uint64_t target);

struct place {
    uint64_t from, to; /* equal at `from`, not at `to` */
    bool found, blocks;
    uint64_t target; /* how far the piece that ended at `to` was meant to go */
};

static bool differs(const struct check *k, const struct check_pages *pages)
{
    return check_registers(k) == CHECK_DIFFERENT || check_pages_differ(k, pages) ||
           (k->ended && !check_exits_equal(k));
}

/* From a fresh start to `from`, then in pieces until they differ, but not beyond `to`. */
static int walk(struct check *k, struct place *p, const struct check_pages *pages,
                advance_fn *advance, uint64_t step)
{
    uint64_t to = p->to;
    p->found = false;
    p->blocks = advance == check_advance_blocks;
    int rc = check_restart(k, true);
    if (rc == 0 && p->from)
        rc = check_advance(k, p->from);
    while (rc == 0 && k->at < to && !k->ended) {
        p->target = to - k->at < step ? to : k->at + step;
        rc = advance(k, p->target);
        if (rc < 0)
            return rc;
        if (differs(k, pages)) {
            p->to = k->at;
            p->found = true;
            return 0;
        }
        if (check_registers(k) == CHECK_SAME)
            p->from = k->at;
    }
    return rc;
}

/* The smallest pieces after which they differ; p->found false: it did not happen again. The fewer
 * instructions blocks may have together, the closer; an error in a longer block does not happen
 * then, because what does not fit is done in single steps. */
static int narrow(struct check *k, struct place *p, const struct check_pages *pages)
{
    static const uint64_t block_steps[] = {64, 20, 8};
    int rc = walk(k, p, pages, check_advance, k->in->step);
    struct place closer = *p;
    for (unsigned n = 0; n < ARRAY_SIZE(block_steps) && rc == 0 && closer.found; n++) {
        *p = closer;
        rc = walk(k, &closer, pages, check_advance_blocks, block_steps[n]);
    }
    if (rc == 0 && closer.found)
        *p = closer;
    if (rc < 0 || !p->found || !p->blocks)
        return rc;
    closer = *p;
    rc = walk(k, &closer, pages, check_advance_singly, 1);
    if (rc == 0 && closer.found)
        *p = closer;
    return rc;
}

/* Adds to `pages` those of `more` that differ now. */
static bool add_different(const struct check *k, struct check_pages *pages,
                          const struct check_pages *more)
{
    bool added = false;
    for (unsigned n = 0; n < more->count; n++) {
        struct check_pages one = {{more->at[n]}, 1};
        if (pages->count < CHECK_PAGES && check_pages_differ(k, &one)) {
            pages->at[pages->count++] = more->at[n];
            added = true;
        }
    }
    return added;
}

/* Goes to the place once more and stops behind it, with the trail of what was executed. RAM that
 * differs behind it but did already before is the real beginning: *earlier. */
static int look(struct check *k, const struct place *p, struct check_pages *pages,
                struct check_pages *behind, bool *earlier, uint64_t *linear)
{
    check_ram(k, behind);
    int rc = check_restart(k, true);
    if (rc == 0 && p->from)
        rc = check_advance(k, p->from);
    *earlier = rc == 0 && add_different(k, pages, behind);
    if (rc < 0 || *earlier)
        return rc;
    *linear = weir_linear_rip((weir_vcpu *)&k->vm[0]->cpu);
    rc = check_advance_test(k, p->target, p->blocks);
    return rc < 0 ? rc : check_trail_reference(k, p->to);
}

/* ---- the report ---- */

static void print_trail(const struct check *k, const struct place *p, struct weir_text *out)
{
    if (p->to - p->from > k->trail_count)
        weir_textf(out, "  (%llu instructions; the last of them:)\n",
                   (unsigned long long)(p->to - p->from));
    for (unsigned n = 0; n < k->trail_count; n++) {
        const struct check_insn *i = &k->trail[n];
        char text[128] = "(not readable)", bytes[3 * INSN_MAX_BYTES + 1] = "";
        int length = i->length ? weir_disassemble(i->bytes, i->length, i->bits, i->linear,
                                                  false, text, sizeof(text))
                               : 0;
        for (int b = 0; b < length; b++)
            snprintf(bytes + 3 * b, 4, "%02x ", i->bytes[b]);
        weir_textf(out, "  %016llx  %-24s %s\n", (unsigned long long)i->linear, bytes,
                   length == -WEIR_EUNSUPPORTED ? "" : text);
    }
}

static void report(const struct check *k, const struct place *p,
                   const struct check_pages *pages, bool exact)
{
    struct weir_text *out = k->in->report;
    if (!out)
        return;
    weir_textf(out, "%s and %s were equal for %llu instructions. They differ behind %s\n",
               k->in->names[0], k->in->names[1], (unsigned long long)p->from,
               exact ? "this one:" : "these, run in one go:");
    print_trail(k, p, out);
    weir_textf(out, "  %-14s %-20s %s\n", "", k->in->names[0], k->in->names[1]);
    check_print_registers(k, out);
    check_print_ram(k, pages, out);
    if (k->ended && !check_exits_equal(k))
        weir_textf(out, "  %-14s %-20d %d\n", "exit reason", k->exit[0].reason,
                   k->exit[1].reason);
}

int check_find(struct check *k, uint64_t from, uint64_t to, struct check_pages *pages,
               struct weir_check_result *result)
{
    struct place p;
    struct check_pages behind;
    bool earlier = false;
    result->different = true;
    log_printf(&k->vm[0]->log, WEIR_LOG_MESSAGE,
               "lock-step: a difference between instructions %llu and %llu; searching\n",
               (unsigned long long)from, (unsigned long long)to);
    for (unsigned round = 0; round == 0 || (earlier && round < ROUNDS); round++) {
        p = (struct place){.from = from, .to = to};
        int rc = narrow(k, &p, pages);
        if (rc < 0)
            return rc;
        if (!p.found) {
            if (k->in->report)
                weir_textf(
                    k->in->report,
                    "%s and %s differed between instructions %llu and %llu, but not when "
                    "run again: something in them is not deterministic\n",
                    k->in->names[0], k->in->names[1], (unsigned long long)from,
                    (unsigned long long)to);
            result->instructions = from;
            return 0;
        }
        if ((rc = look(k, &p, pages, &behind, &earlier, &result->address)) < 0)
            return rc;
    }
    result->exact = p.to - p.from <= 1;
    result->instructions = p.from;
    report(k, &p, &behind, result->exact);
    return 0;
}
