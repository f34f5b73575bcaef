/* SPDX-License-Identifier: MIT */
/* Answers, filters and steps of introspect.h beside those of events_test.c: pauses, views for good,
 * what is held back while stepping, chosen kinds of access. */
#include "events_vm.h"

static unsigned seen, answer_now;
#define X(name, NAME, what)                                                                    \
    static unsigned on_##name(void *ctx, weir_vcpu *c, struct weir_##name##_event *event)      \
    {                                                                                          \
        if (ctx)                                                                               \
            event->head.answer.view = *(unsigned *)ctx;                                        \
        seen++;                                                                                \
        return answer_now;                                                                     \
    }
#pragma GCC diagnostic ignored "-Wunused-function"
WEIR_EVENT_KINDS(X)
#undef X

static int fresh(void **state)
{
    seen = 0;
    answer_now = WEIR_CONTINUE;
    return setup(state);
}

/* ---- pauses ---- */

static void pause_before_an_instruction(void **state)
{
    struct weir_filter at = {.first = routine[CALLEE]};
    answer_now = WEIR_PAUSE;
    weir_on_breakpoint(vm, &at, on_breakpoint, NULL, NULL);
    boot(CALLEE, 3);
    for (unsigned k = 1; k <= 3; k++) {
        assert_int_equal(go(), WEIR_EXIT_PAUSED);
        assert_true(weir_is_paused(vm));
        assert_int_equal(weir_reg_get_u64(cpu, WEIR_RIP), routine[CALLEE]);
        assert_int_equal(seen, k);
        weir_resume(vm);
    }
    assert_int_equal(go(), WEIR_EXIT_HALT);
    assert_int_equal(seen, 3);
}

static void pause_behind_an_access(void **state)
{
    struct weir_filter f = {.first = DATA, .last = DATA + 7, .access = WEIR_WRITE};
    answer_now = WEIR_PAUSE | WEIR_REMOVE;
    weir_on_memory(vm, &f, on_memory, NULL, NULL);
    boot(DATA_ACCESS, 1);
    assert_int_equal(go(), WEIR_EXIT_PAUSED);
    assert_int_equal(memory(DATA, 8), 0x1122334455667788); /* it is done */
    assert_int_equal(weir_reg_get_u64(cpu, WEIR_RIP), routine[DATA_ACCESS] + 10 + 8);
    weir_resume(vm);
    assert_int_equal(go(), WEIR_EXIT_HALT);
    assert_int_equal(seen, 1);
}

static void pause_at_the_end_of_steps(void **state)
{
    const struct weir_step how = {.count = 4, .flags = WEIR_STEP_PAUSE};
    boot(BRANCHY, CALLS);
    assert_int_equal(weir_step(cpu, &how, NULL, NULL, NULL), 0);
    assert_int_equal(go(), WEIR_EXIT_PAUSED);
    weir_resume(vm);
    assert_int_equal(go(), WEIR_EXIT_HALT);
}

/* ---- interrupts and strings while stepping ---- */

static unsigned nmi_now(void *ctx, weir_vcpu *c, struct weir_breakpoint_event *event)
{
    weir_nmi(vm);
    return WEIR_CONTINUE;
}

static void interrupts_are_held_or_not(void **state)
{
    for (unsigned in = 0; in < 2; in++) {
        struct weir_filter at = {.first = routine[BRANCHY]};
        const struct weir_step how = {.count = 40, .flags = in ? WEIR_STEP_INTERRUPTS : 0};
        uint64_t handles[3];
        struct weir_filter nmi = {.by = WEIR_BY_NUMBER, .number_first = 2, .number_last = 2};
        seen = 0;
        boot(BRANCHY, CALLS);
        weir_on_breakpoint(vm, &at, nmi_now, NULL, &handles[0]);
        weir_on_interrupt(vm, &nmi, on_interrupt, NULL, &handles[1]);
        answer_now = WEIR_SKIP; /* there is no handler in the guest */
        weir_step(cpu, &how, NULL, NULL, &handles[2]);
        struct weir_exit e;
        /* Before the steps' end. Then they are let in. */
        assert_int_equal(weir_run(cpu, 30, &e), 0);
        assert_int_equal(seen != 0, in);
        weir_event_remove(vm, handles[0]);
        assert_int_equal(go(), WEIR_EXIT_HALT);
        assert_true(seen > 0);
        weir_event_remove(vm, handles[1]);
        weir_event_remove(vm, handles[2]);
    }
}

static unsigned count_steps(void *ctx, weir_vcpu *c, struct weir_step_event *event)
{
    ++*(unsigned *)ctx;
    return WEIR_CONTINUE;
}

static void strings_by_iterations(void **state)
{
    unsigned whole = 0, each = 0;
    struct weir_step how = {.flags = 0};
    uint64_t handle;
    boot(STRING, 1);
    weir_step(cpu, &how, count_steps, &whole, &handle);
    assert_int_equal(go(), WEIR_EXIT_HALT);
    weir_event_remove(vm, handle);
    how.flags = WEIR_STEP_REP;
    boot(STRING, 1);
    weir_step(cpu, &how, count_steps, &each, &handle);
    assert_int_equal(go(), WEIR_EXIT_HALT);
    weir_event_remove(vm, handle);
    assert_int_equal(each, whole + 3);
}

/* ---- views ---- */

/* From the first execution of a page on in another view, and back by another event. */
static void views_for_good(void **state)
{
    unsigned view, none = 0;
    uint8_t five = 5;
    struct weir_filter f = {.first = routine[PATCH_INSN], .last = routine[PATCH_INSN]};
    uint64_t handle;
    weir_view_create(vm, &view);
    weir_view_page(vm, view, routine[PATCH_INSN], WEIR_VIEW_COPY, WEIR_RWX);
    weir_view_write(vm, view, routine[PATCH_INSN] + 2, &five, 1);
    answer_now = WEIR_VIEW | WEIR_REMOVE;
    weir_on_execute(vm, &f, on_execute, &view, &handle);
    run(PATCH, CALLS);
    assert_int_equal(seen, 1);
    assert_int_equal(weir_view_current(cpu), view);
    /* The routine is another one now, until somebody switches back. */
    assert_int_equal(memory(OTHER, 4), 6);
    weir_on_execute(vm, &f, on_execute, &none, &handle);
    run(PATCH, CALLS);
    assert_int_equal(seen, 2);
    assert_int_equal(weir_view_current(cpu), 0);
    assert_int_not_equal(memory(OTHER, 4), 6);
    assert_int_equal(weir_view_destroy(vm, view), 0);
}

/* ---- filters ---- */

static unsigned hits_of(struct weir_filter f, int (*on)(weir *, const struct weir_filter *,
                                                        weir_io_fn *, void *, uint64_t *))
{
    uint64_t handle;
    seen = 0;
    assert_int_equal(on(vm, &f, on_io, NULL, &handle), 0);
    run(OPS, CALLS);
    weir_event_remove(vm, handle);
    return seen;
}

static void filters_choose(void **state)
{
    struct weir_filter f = {.by = WEIR_BY_ACCESS, .access = WEIR_WRITE};
    weir_set_unclaimed_exits(vm, false);
    assert_int_equal(hits_of(f, weir_on_io), CALLS);
    f.access = WEIR_READ;
    assert_int_equal(hits_of(f, weir_on_io), CALLS);
    f.access = WEIR_READ | WEIR_WRITE;
    assert_int_equal(hits_of(f, weir_on_io), 2 * CALLS);
    f = (struct weir_filter){.by = WEIR_BY_VCPU, .vcpu = 0};
    assert_int_equal(hits_of(f, weir_on_io), 2 * CALLS);
    f.vcpu = 1;
    assert_int_equal(hits_of(f, weir_on_io), 0);
    f = (struct weir_filter){.by = WEIR_BY_PCID,
                             .pcid = 0}; /* there are none: CR4.PCIDE is 0 */
    assert_int_equal(hits_of(f, weir_on_io), 0);
}

static unsigned places(void *ctx, weir_vcpu *c, struct weir_step_event *event)
{
    assert_in_range(event->from, routine[CALLEE], routine[CALLEE] + 3);
    seen++;
    return WEIR_CONTINUE;
}

/* A step's place is that of the instruction that was done. */
static void steps_by_place(void **state)
{
    struct weir_filter f = {
        .by = WEIR_BY_PC, .pc_first = routine[CALLEE], .pc_last = routine[CALLEE] + 3};
    weir_on_step(vm, &f, places, NULL, NULL);
    run(CALLEE, CALLS);
    assert_true(seen >= CALLS);
}

static void processes_by_pcid(void **state)
{
    struct weir_filter f = {.by = WEIR_BY_PCID, .pcid = 5};
    uint64_t handle;
    weir_on_cpuid(vm, &f, on_cpuid, NULL, &handle);
    boot(OPS, CALLS);
    weir_reg_set_u64(cpu, WEIR_CR4, weir_reg_get_u64(cpu, WEIR_CR4) | 1 << 17);
    weir_reg_set_u64(cpu, WEIR_CR3, weir_reg_get_u64(cpu, WEIR_CR3) | 5);
    assert_int_equal(go(), WEIR_EXIT_HALT);
    assert_int_equal(seen, CALLS);
    seen = 0;
    boot(OPS, CALLS);
    weir_reg_set_u64(cpu, WEIR_CR4, weir_reg_get_u64(cpu, WEIR_CR4) | 1 << 17);
    weir_reg_set_u64(cpu, WEIR_CR3, weir_reg_get_u64(cpu, WEIR_CR3) | 6);
    assert_int_equal(go(), WEIR_EXIT_HALT);
    assert_int_equal(seen, 0);
    weir_event_remove(vm, handle);
}

/* ---- memory by linear address ---- */

static void other_spaces_are_written(void **state)
{
    uint64_t cr3, value = 0x1234567890abcdef, back = 0;
    run(DATA_ACCESS, 1);
    cr3 = weir_reg_get_u64(cpu, WEIR_CR3);
    assert_int_equal(weir_space_write(cpu, cr3, DATA + 4092, &value, 8), 0);
    assert_int_equal(memory(DATA + 4092, 8), value);
    assert_int_equal(weir_space_read(cpu, cr3, DATA + 4092, &back, 8), 0);
    assert_int_equal(back, value);
    assert_int_not_equal(weir_space_write(cpu, cr3, 0x8000000000000000, &value, 8), 0);
    assert_int_not_equal(weir_space_write(cpu, OTHER, DATA, &value, 8),
                         0); /* no tables there */
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    image_path = argv[1];
    engine = argv[2];
#define T(name) cmocka_unit_test_setup_teardown(name, fresh, teardown)
    const struct CMUnitTest tests[] = {
        T(pause_before_an_instruction),
        T(pause_behind_an_access),
        T(pause_at_the_end_of_steps),
        T(interrupts_are_held_or_not),
        T(strings_by_iterations),
        T(views_for_good),
        T(filters_choose),
        T(processes_by_pcid),
        T(steps_by_place),
        T(other_spaces_are_written),
    };
    return cmocka_run_group_tests_name(engine, tests, NULL, NULL);
}
