/* SPDX-License-Identifier: MIT */
/*
 * check.c - lock-step: the public function, and moving the two machines. check_state.c compares
 * them, check_find.c narrows a difference down.
 */
#include "api/check.h"

#include <stdlib.h>
#include <string.h>

#define STEP     10000u
#define RAM_STEP 20000000u

/* ---- moving ---- */

static void release(struct check *k)
{
    for (unsigned which = 0; which < 2; which++) {
        weir_destroy(k->vm[which]);
        k->vm[which] = NULL;
    }
}

int check_restart(struct check *k, bool again)
{
    release(k);
    k->at = 0;
    k->ended = false;
    memset(k->exit, 0, sizeof(k->exit));
    for (unsigned which = 0; which < 2; which++) {
        int rc = k->in->make(k->in->ctx, which, again, &k->vm[which]);
        if (rc < 0) {
            k->told = true;
            return rc;
        }
        struct weir *vm = k->vm[which];
        if (!vm->cpu.icount || vm->cpu.instructions)
            return err_set(&vm->err, WEIR_EINVAL,
                           "lock-step needs icount_shift and a machine that has not run");
        vm->alone = true;
        if ((rc = weir_start(vm)) < 0)
            return rc;
    }
    return 0;
}

/* Runs one of them to `target` or its end. */
static int run_one(struct check *k, unsigned which, uint64_t target)
{
    struct weir *vm = k->vm[which];
    struct weir_exit *exit = &k->exit[which];
    while (vm->cpu.instructions < target) {
        int rc = weir_run((weir_vcpu *)&vm->cpu, target - vm->cpu.instructions, exit);
        if (rc < 0)
            return rc;
        if (exit->reason == WEIR_EXIT_STOPPED)
            continue;
        if (exit->reason != WEIR_EXIT_BUDGET) {
            k->ended = true;
            return 0;
        }
        if (vm->cpu.insn_limit_soft)
            return 0;
    }
    return 0;
}

int check_advance(struct check *k, uint64_t target)
{
    int rc = run_one(k, 0, target);
    if (rc == 0)
        rc = run_one(k, 1, target);
    k->at = k->vm[0]->cpu.instructions;
    return rc;
}

int check_advance_test(struct check *k, uint64_t target, bool soft)
{
    struct vcpu *test = &k->vm[1]->cpu;
    test->insn_limit_soft = soft;
    int rc = run_one(k, 1, target);
    test->insn_limit_soft = false;
    return rc;
}

int check_advance_blocks(struct check *k, uint64_t target)
{
    int rc = check_advance_test(k, target, true);
    uint64_t there = k->vm[1]->cpu.instructions;
    /* Where the test's run ended by itself, the reference's must end, too: it may try. */
    if (rc == 0)
        rc = run_one(k, 0, there + k->ended);
    k->at = there;
    return rc;
}

static void note(struct check *k)
{
    struct vcpu *c = &k->vm[0]->cpu;
    if (k->trail_count == CHECK_TRAIL)
        memmove(k->trail, k->trail + 1, sizeof(k->trail) - sizeof(k->trail[0]));
    else
        k->trail_count++;
    struct check_insn *i = &k->trail[k->trail_count - 1];
    *i = (struct check_insn){.linear = weir_linear_rip((weir_vcpu *)c),
                             .bits = (unsigned)weir_code_bits((weir_vcpu *)c)};
    i->length = INSN_MAX_BYTES;
    unsigned room = 4096 - (i->linear & 0xfff); /* the next page may not be there */
    if (weir_virt_read((weir_vcpu *)c, i->linear, i->bytes, i->length) < 0) {
        i->length = room < i->length ? room : i->length;
        if (weir_virt_read((weir_vcpu *)c, i->linear, i->bytes, i->length) < 0)
            i->length = 0;
    }
}

int check_trail_reference(struct check *k, uint64_t target)
{
    int rc = 0;
    struct vcpu *c = &k->vm[0]->cpu;
    k->trail_count = 0;
    for (uint64_t before = ~0ull;
         c->instructions < target && c->instructions != before && rc == 0;) {
        before = c->instructions;
        note(k);
        rc = run_one(k, 0, before + 1);
    }
    k->at = c->instructions;
    return rc;
}

int check_advance_singly(struct check *k, uint64_t target)
{
    int rc = 0;
    while (k->at < target && !k->ended && rc == 0)
        rc = check_advance(k, k->at + 1);
    return rc;
}

/* ---- the whole ---- */

static bool is_limit(const struct check *k)
{
    return k->in->limit && k->at >= k->in->limit;
}

static int run(struct check *k, struct weir_check_result *result)
{
    uint64_t ram_equal = 0; /* everything was equal there */
    int rc;
    for (;;) {
        uint64_t target = k->at + k->in->step;
        if (k->in->limit && target > k->in->limit)
            target = k->in->limit;
        if ((rc = check_advance(k, target)) < 0)
            return rc;
        struct check_pages pages = {.count = 0};
        enum check_verdict verdict = check_registers(k);
        result->flags_passed += verdict == CHECK_FLAGS;
        bool end = k->ended || is_limit(k), different = verdict == CHECK_DIFFERENT;
        different |= k->ended && !check_exits_equal(k);
        if (!different && (end || k->at - ram_equal >= k->in->ram_step)) {
            check_ram(k, &pages);
            different = pages.count != 0;
            ram_equal = different || verdict != CHECK_SAME ? ram_equal : k->at;
        }
        if (different)
            return check_find(k, ram_equal, k->at, &pages, result);
        result->instructions = k->at;
        if (end) {
            result->limit_reached = !k->ended;
            result->exit = k->exit[0];
            return 0;
        }
    }
}

int weir_check_run(const struct weir_check *check, struct weir_check_result *result)
{
    struct weir_check in = {0};
    memcpy(&in, check, check->size < sizeof(in) ? check->size : sizeof(in));
    in.step = in.step ? in.step : STEP;
    in.ram_step = in.ram_step ? in.ram_step : RAM_STEP;
    in.names[0] = in.names[0] ? in.names[0] : "reference";
    in.names[1] = in.names[1] ? in.names[1] : "test";
    *result = (struct weir_check_result){0};
    struct check *k = calloc(1, sizeof(*k));
    if (!k)
        return -WEIR_ENOMEM;
    k->in = &in;
    int rc = check_restart(k, false);
    if (rc == 0)
        rc = run(k, result);
    for (unsigned which = 0; which < 2 && rc < 0 && !k->told; which++)
        if (k->vm[which] && *k->vm[which]->err.text && in.report)
            weir_textf(in.report, "%s: %s\n", in.names[which], k->vm[which]->err.text);
    release(k);
    free(k);
    return rc;
}
