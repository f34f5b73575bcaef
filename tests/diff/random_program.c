/* SPDX-License-Identifier: MIT */
/*
 * random_program.c - random programs, each run by two engines from the same state: registers,
 * flags, SIMD and x87 state, memory, what devices saw and the number of instructions must be the
 * same behind it. A program that shows a difference is cut down to the instructions that matter
 * and printed.
 *
 * usage: random_program [-n programs] [-s seed] [-e engine] [-m mode] [-o OPERATION]
 *                       [-l instructions] [-f failures] [-r] [-u] [-v]
 *
 * -e windows: with windows for all programs, 32-bit ones at the host's lowest addresses, if those
 * are to be had; windows-gs: never there.
 * -u: the engine runs without a limit, as far as programs end by themselves; translated code
 *     does not count instructions then.
 * -r: arithmetic flags in the frames of exceptions are not compared.
 * The engine is compared with `interp`, the interpreter. `step`, the default, is the
 * interpreter again, with a budget of one instruction at a time and with other undefined flags.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <weir/machine.h>
#include "crash_guard.h"
#include "jit/jit.h"
#include "program_world.h"
#include "../unit/host_low.h"

#define RUNS 2u /* of each program, with other registers */

struct options {
    unsigned long programs, max_failures;
    uint64_t seed, limit;
    const struct engine *engine;
    const char *mode;
    unsigned op;
    bool unlimited, relaxed, verbose;
};

struct test {
    struct options options;
    struct world *reference, *tested;
    struct program program;
    unsigned long made, blocks, instructions, halts, budgets, spoiled, hung;
    unsigned long vectors[64], failures, ops[OP_COUNT];
};

/* ---- engines that crash ---- */

#define HANGS_AFTER_MS 200u

struct guarded {
    struct world *world;
    const struct program *p;
    unsigned run;
    uint64_t limit;
    enum weir_stop stop;
};

static void run_guarded(void *argument)
{
    struct guarded *g = argument;
    world_load(g->world, g->p, g->run);
    g->stop = world_run(g->world, g->limit);
}

static void free_guarded(void *world)
{
    world_free(world);
}

/* 0, or the signal that ended it: then the world has been replaced. */
static int run_one(struct world **world, const struct program *p, unsigned run, uint64_t limit,
                   enum weir_stop *stop)
{
    struct guarded g = {*world, p, run, limit, STOP_NEXT};
    int number = crash_guard(run_guarded, &g, HANGS_AFTER_MS);
    if (number) {
        const struct engine *engine = g.world->engine;
        crash_guard(free_guarded, *world, HANGS_AFTER_MS);
        *world = world_new(engine, "max");
    }
    *stop = g.stop;
    return number;
}

/* ---- running ---- */

/* False: nothing to compare with, as exceptions without end make the interpreter hang. */
static bool run_reference(struct test *t, const struct program *p, unsigned run, uint64_t limit,
                          enum weir_stop *stop)
{
    if (run_one(&t->reference, p, run, limit, stop) == 0)
        return true;
    t->hung++;
    return false;
}

static bool compare_stops(struct test *t, const struct program *p, enum weir_stop ours,
                          enum weir_stop theirs, FILE *out)
{
    /* Without a limit, flags that nothing needs are not kept (src/jit/translate.c). */
    bool relaxed = t->options.relaxed || t->options.unlimited;
    unsigned ignore =
        (relaxed ? IGNORE_FRAME_FLAGS : 0) | (t->options.unlimited ? IGNORE_COUNT : 0);
    if (relaxed && ours == STOP_TRIPLE) /* those where no frame could be made */
        ignore |= IGNORE_FLAGS;
    bool same = world_same(t->reference, t->tested, p, ignore, out);
    if (ours != theirs && out)
        fprintf(out, "  %-14s %d %d\n", "stop", ours, theirs);
    if (same && ours == theirs)
        return true;
    if (out || !world_is_spoiled(t->reference, p))
        return false;
    t->spoiled++;
    return true;
}

/* With a limit the engine goes first: the interpreter then runs exactly as many instructions,
 * wherever in its budget the engine stopped. Without one the interpreter goes first and says
 * whether the program comes to an end. */
static bool run_both(struct test *t, const struct program *p, unsigned run, FILE *out)
{
    enum weir_stop ours, theirs;
    uint64_t limit = t->options.limit;
    if (t->options.unlimited) {
        if (!run_reference(t, p, run, limit, &ours) || ours == STOP_BOUNDARY)
            return true;
        limit = UINT64_MAX;
    }
    int number = run_one(&t->tested, p, run, limit, &theirs);
    uint64_t count = t->tested->cpu.instructions;
    if (number == 0 && count > limit) {
        if (out)
            fprintf(out, "  ran beyond the limit: %llu\n", (unsigned long long)count);
        return false;
    }
    if (!t->options.unlimited) {
        bool exact = number == 0 && theirs == STOP_BOUNDARY;
        if (!run_reference(t, p, run, exact ? count : limit + 1000, &ours))
            return true;
    }
    if (number == 0)
        return compare_stops(t, p, ours, theirs, out);
    if (out)
        fprintf(out, "  %s: %s\n", t->options.engine->name, strsignal(number));
    return false;
}

static void print_item(const struct program *p, unsigned n, uint64_t at_fault)
{
    const struct program_item *i = &p->items[n];
    const uint8_t *bytes = p->code + i->at;
    char text[128] = "data";
    uint64_t linear = p->code_linear + i->at;
    if (!i->is_data)
        weir_disassemble(bytes, i->length, p->mode->bits, linear, true, text, sizeof text);
    printf("%c %llx  ", linear == at_fault ? '>' : ' ', (unsigned long long)linear);
    for (unsigned k = 0; k < i->length && k < 15; k++)
        printf("%02x", bytes[k]);
    printf("%*s  %s\n", i->length < 15 ? 30 - 2 * i->length : 0, "", text);
}

static void count_run(struct test *t, const struct program *p)
{
    const struct vcpu *c = &t->reference->cpu;
    uint64_t at = world_at(t->reference) - PAGE_HANDLERS;
    t->instructions += c->instructions;
    if (!c->halted)
        t->budgets++;
    else
        t->halts++;
    if (!c->halted || at >= IDT_VECTORS * HANDLER_BYTES)
        return;
    unsigned vector = (unsigned)(at / HANDLER_BYTES);
    t->vectors[vector]++;
    int n = world_fault_item(t->reference, p);
    if (t->options.verbose && vector != END_VECTOR) {
        printf("%-12s vector %2u ", p->mode->name, vector);
        if (n >= 0)
            print_item(p, (unsigned)n, 0);
        else
            printf("elsewhere\n");
    }
}

static void count_ops(struct test *t, const struct program *p)
{
    struct insn i;
    for (unsigned n = 0; n < p->item_count; n++)
        if (!p->items[n].is_data && decode_insn(&i, p->code + p->items[n].at,
                                                p->items[n].length, p->mode->bits) == DECODE_OK)
            t->ops[i.op]++;
}

/* ---- what went wrong ---- */

static bool is_dropped(const struct program *p, unsigned n)
{
    const struct program_item *i = &p->items[n];
    for (unsigned k = 0; k < i->length; k++)
        if (p->code[i->at + k] != 0x90)
            return false;
    return true;
}

static void print_program(const struct program *p, uint64_t at_fault)
{
    static const char *const segments[] = {"es", "cs", "ss", "ds", "fs", "gs"};
    for (unsigned n = 0; n < 6 && p->mode->segmented; n++)
        printf("  %s %04x base %05llx limit %05x attr %04x\n", segments[n], p->seg[n].selector,
               (unsigned long long)p->seg[n].base, p->seg[n].limit, p->seg[n].attr);
    for (unsigned n = 0; n < p->item_count; n++)
        if (!is_dropped(p, n))
            print_item(p, n, at_fault);
}

static void drop(struct program *p, unsigned n)
{
    struct program_item *i = &p->items[n];
    memset(p->code + i->at, 0x90, i->length);
    i->target = -1;
    i->no_next = i->may_skip = i->is_data = false;
    i->flags_read = i->flags_written = i->flags_undefined = 0;
}

static bool still_differs(struct test *t, struct program *p)
{
    if (!program_flags(p))
        return false;
    world_forget(t->reference);
    world_forget(t->tested);
    for (unsigned run = 0; run < RUNS; run++)
        if (!run_both(t, p, run, NULL))
            return true;
    return false;
}

/* Drops ever smaller groups of items while the difference stays. */
static void shrink(struct test *t, struct program *p)
{
    static struct program attempt;
    for (unsigned group = p->item_count / 2 + 1; group; group /= 2)
        for (unsigned first = 0; first < p->item_count; first += group) {
            attempt = *p;
            for (unsigned n = first; n < first + group && n < p->item_count; n++)
                drop(&attempt, n);
            if (still_differs(t, &attempt))
                *p = attempt;
        }
    for (unsigned n = 0; n < p->item_count; n++) {
        attempt = *p;
        drop(&attempt, n);
        if (still_differs(t, &attempt))
            *p = attempt;
    }
}

static void report(struct test *t, unsigned run)
{
    struct program *p = &t->program;
    static struct program small;
    printf("difference: -e %s -m %s -s %llu -n 1 (run %u)\n", t->tested->engine->name,
           p->mode->name, (unsigned long long)p->seed, run);
    printf("  %-14s %-16s %s\n", "", t->reference->engine->name, t->tested->engine->name);
    run_both(t, p, run, stdout);
    small = *p;
    if (!still_differs(t, &small)) {
        printf("  depends on earlier programs\n");
        print_program(p, 0);
        return;
    }
    shrink(t, &small);
    world_forget(t->reference);
    world_forget(t->tested);
    printf("cut down:\n");
    for (unsigned k = 0; k < RUNS && run_both(t, &small, k, stdout); k++)
        ;
    print_program(t->options.verbose ? p : &small, 0);
    printf("\n");
}

/* ---- all of them ---- */

static void one_program(struct test *t, uint64_t seed)
{
    struct program *p = &t->program;
    unsigned mode = (unsigned)(seed % program_mode_count);
    for (unsigned n = 0; n < program_mode_count && t->options.mode; n++)
        if (!strcmp(program_modes[n].name, t->options.mode))
            mode = n;
    if (!program_make(p, &program_modes[mode], seed, t->options.op))
        return;
    t->made++;
    t->blocks += p->block_count;
    if (t->options.verbose)
        count_ops(t, p);
    for (unsigned run = 0; run < RUNS; run++) {
        if (run_both(t, p, run, NULL)) {
            count_run(t, p);
            continue;
        }
        t->failures++;
        report(t, run);
        return;
    }
}

static unsigned op_by_name(const char *name)
{
    for (unsigned n = 1; n < OP_COUNT; n++)
        if (!strcmp(op_name(n), name))
            return n;
    fprintf(stderr, "random_program: no operation %s\n", name);
    exit(2);
}

static void parse(struct options *o, int argc, char **argv)
{
    int c;
    while ((c = getopt(argc, argv, "n:s:e:m:o:l:f:ruv")) != -1) {
        switch (c) {
        case 'n':
            o->programs = strtoul(optarg, NULL, 0);
            break;
        case 's':
            o->seed = strtoull(optarg, NULL, 0);
            break;
        case 'e':
            o->engine = engine_find(optarg);
            break;
        case 'm':
            o->mode = optarg;
            break;
        case 'o':
            o->op = op_by_name(optarg);
            break;
        case 'l':
            o->limit = strtoull(optarg, NULL, 0);
            break;
        case 'f':
            o->max_failures = strtoul(optarg, NULL, 0);
            break;
        case 'r':
            o->relaxed = true;
            break;
        case 'u':
            o->unlimited = true;
            break;
        case 'v':
            o->verbose = true;
            break;
        default:
            exit(2);
        }
    }
    if (!o->engine) {
        fprintf(stderr, "random_program: no such engine\n");
        exit(2);
    }
}

static void summary(const struct test *t)
{
    printf("%lu programs, %lu blocks, %lu instructions, %lu failures\n", t->made, t->blocks,
           t->instructions, t->failures);
    if (!t->options.verbose)
        return;
    printf("halted %lu, budget %lu, spoiled %lu, hung %lu; vectors", t->halts, t->budgets,
           t->spoiled, t->hung);
    for (unsigned n = 0; n < 64; n++)
        if (t->vectors[n])
            printf(" %u:%lu", n, t->vectors[n]);
    printf("\noperations\n");
    for (unsigned n = 1; n < OP_COUNT; n++)
        printf("%8lu %s\n", t->ops[n], op_name(n));
}

/* Whether 32-bit windows have been where the engine is to have them. */
static bool flavour_is_right(const struct test *t, bool low_free)
{
    const char *engine = t->options.engine->name;
    unsigned low = jit_windows_low(&t->tested->cpu);
    bool many =
        t->options.programs >= 1000 && !t->options.mode && !t->options.op && !t->failures;
    if (!strcmp(engine, "windows"))
        return low || !low_free || !many;
    return !low;
}

int main(int argc, char **argv)
{
    static struct test t;
    t.options = (struct options){

        .max_failures = 5,
        .programs = 1000,
        .seed = 1,
        .limit = 400,
        .engine = engine_find("step")};
    parse(&t.options, argc, argv);
    setvbuf(stdout, NULL, _IOLBF, 0);
    crash_guard_init();
    bool low_free = host_low_free();
    t.reference = world_new(engine_find("interp"), "max");
    t.tested = world_new(t.options.engine, "max");
    struct world *model = world_new(engine_find("interp"), "max"); /* the others may crash */
    program_make_init(&model->cpu);
    for (unsigned long n = 0; n < t.options.programs && t.failures < t.options.max_failures;
         n++)
        one_program(&t, t.options.seed + n);
    summary(&t);
    if (!flavour_is_right(&t, low_free)) {
        printf("32-bit windows were at other addresses than meant\n");
        t.failures++;
    }
    world_free(model);
    world_free(t.reference);
    world_free(t.tested);
    return t.failures != 0;
}
