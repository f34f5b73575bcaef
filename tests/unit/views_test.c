/* SPDX-License-Identifier: MIT */
/* views_test.c - views of memory, page traces, looking at the guest, threads, traces in files. */
#include "events_vm.h"

/* ---- views ---- */

static unsigned allow(void *ctx, weir_vcpu *c, struct weir_memory_event *e)
{
    ++*(uint64_t *)ctx;
    return WEIR_EMULATE;
}

static void views(void **state)
{
    unsigned view;
    uint32_t other = 5;
    assert_int_equal(weir_view_create(vm, &view), 0);
    /* The page of code has ADD eax, 5 in the view. */
    assert_int_equal(weir_view_page(vm, view, routine[PATCH_INSN], WEIR_VIEW_COPY, WEIR_RWX),
                     0);
    uint8_t code[3];
    weir_view_read(vm, view, routine[PATCH_INSN], code, 3);
    assert_int_equal(code[2], 100);
    weir_view_write(vm, view, routine[PATCH_INSN] + 2, &other, 1);
    run(PATCH, CALLS);
    assert_int_equal(memory(OTHER, 4), 101);
    weir_view_switch(cpu, view);
    assert_int_equal(weir_view_current(cpu), view);
    run(PATCH, CALLS);
    assert_int_equal(memory(OTHER, 4), 6);
    weir_mem_read(vm, routine[PATCH_INSN] + 2, code, 1);
    assert_int_equal(code[0], 100);
    weir_view_switch(cpu, 0);
    run(PATCH, CALLS);
    assert_int_equal(memory(OTHER, 4), 101);
    /* A page that becomes a copy when it is written. */
    assert_int_equal(weir_view_destroy(vm, view), 0);
    assert_int_equal(weir_view_create(vm, &view), 0);
    weir_view_page(vm, view, DATA, WEIR_VIEW_ON_WRITE, WEIR_RWX);
    weir_view_switch(cpu, view);
    weir_mem_write(vm, DATA, &(uint64_t){0}, 8);
    run(DATA_ACCESS, CALLS);
    assert_int_equal(memory(DATA, 8), 0);
    uint64_t seen;
    weir_view_read(vm, view, DATA, &seen, 8);
    assert_int_equal(seen, 0x1122334455667788);
    assert_int_equal(weir_view_destroy(vm, view), -WEIR_EBUSY);
    weir_view_switch(cpu, 0);
    assert_int_equal(weir_view_destroy(vm, view), 0);
}

static void view_permissions(void **state)
{
    unsigned view;
    uint64_t hits = 0;
    struct weir_filter f = {.first = DATA, .last = DATA + 4095};
    weir_view_create(vm, &view);
    weir_view_page(vm, view, DATA, WEIR_VIEW_SAME, WEIR_READ);
    weir_view_switch(cpu, view);
    f.access = WEIR_WRITE;
    weir_on_memory(vm, &f, allow, &hits, NULL);
    run(DATA_ACCESS, CALLS);
    assert_int_equal(hits, 3 * CALLS);
    assert_int_equal(memory(DATA, 8), 0x1122334455667788);
    weir_view_switch(cpu, 0);
}

static unsigned allow_code(void *ctx, weir_vcpu *c, struct weir_execute_event *e)
{
    uint64_t *n = ctx;
    n[0]++;
    n[1] += e->denied;
    return WEIR_EMULATE;
}

/* Code of a page that the view does not permit to be executed; then nobody permits it. */
static void view_without_execution(void **state)
{
    unsigned view;
    uint64_t n[2] = {0}, handle;
    uint64_t page = DATA + 0x10000; /* a copy of PATCH there: nothing else runs in that page */
    struct weir_filter f = {.first = page, .last = page + 4095};
    weir_view_create(vm, &view);
    weir_view_page(vm, view, page, WEIR_VIEW_SAME, WEIR_READ | WEIR_WRITE);
    weir_view_switch(cpu, view);
    weir_on_execute(vm, &f, allow_code, n, &handle);
    uint8_t code[32];
    weir_mem_read(vm, routine[PATCH], code, sizeof(code));
    weir_mem_write(vm, page, code, sizeof(code));
    routine[PATCH] = page;
    run(PATCH, CALLS);
    assert_int_equal(memory(OTHER, 4), 101);
    assert_int_equal(n[0], 4 * CALLS);
    assert_int_equal(n[1], 4 * CALLS);
    weir_event_remove(vm, handle);
    boot(PATCH, 1);
    weir_reg_set_u64(cpu, WEIR_R15, routine[TARGET_LEAF]); /* where #PF goes on: to a RET */
    assert_int_equal(go(), WEIR_EXIT_HALT);
    assert_int_equal(memory(routine[LAST_VECTOR], 4), 14);
    weir_view_switch(cpu, 0);
}

static unsigned once_elsewhere(void *ctx, weir_vcpu *c, struct weir_execute_event *e)
{
    e->head.answer.view = *(unsigned *)ctx;
    return WEIR_VIEW_ONCE;
}

/* A breakpoint page whose bytes differ in the view that executes; one instruction in the other. */
static void view_once(void **state)
{
    unsigned view;
    uint8_t five = 5;
    struct weir_filter f = {.first = routine[PATCH_INSN], .last = routine[PATCH_INSN]};
    weir_view_create(vm, &view);
    weir_view_page(vm, view, routine[PATCH_INSN], WEIR_VIEW_COPY, WEIR_RWX);
    weir_view_write(vm, view, routine[PATCH_INSN] + 2, &five, 1);
    weir_on_execute(vm, &f, once_elsewhere, &view, NULL);
    run(PATCH, CALLS);
    assert_int_equal(memory(OTHER, 4), 6);
    assert_int_equal(weir_view_current(cpu), 0);
}

/* ---- page traces ---- */

struct trace {
    uint64_t hits, steps, last;
};
static unsigned trace(void *ctx, weir_vcpu *c, const struct weir_memory_event *m,
                      const struct weir_execute_event *x, const struct weir_step_event *s)
{
    struct trace *t = ctx;
    if (s) {
        t->steps++;
        t->last += s->last;
    } else {
        t->hits++;
        assert_true(m || x);
    }
    return WEIR_CONTINUE;
}

static void page_trace(void **state)
{
    struct trace t = {0};
    struct weir_page_trace what = {
        .address = DATA, .access = WEIR_READ | WEIR_WRITE, .count = 20};
    uint64_t handle;
    assert_int_equal(weir_trace_page(vm, &what, trace, &t, &handle), 0);
    run(DATA_ACCESS, CALLS);
    assert_true(t.hits > CALLS / 4);
    assert_true(t.last == t.hits || t.last + 1 == t.hits);
    assert_true(t.steps <= 20 * t.hits && t.steps > 20 * (t.hits - 1));
    assert_int_equal(weir_event_remove(vm, handle), 0);
    memset(&t, 0, sizeof(t));
    what.count = 0; /* until it returns */
    what.rounds = 2;
    weir_trace_page(vm, &what, trace, &t, &handle);
    run(DATA_ACCESS, CALLS);
    assert_int_equal(t.hits, 2);
    assert_int_equal(t.last, 2);
    assert_int_equal(t.steps, 2 * 6);
    assert_int_equal(weir_event_remove(vm, handle), -WEIR_ENOENT);
}

/* ---- inspection ---- */

static void walks_and_search(void **state)
{
    struct weir_walk w;
    char text[1024];
    assert_int_equal(weir_walk(cpu, WEIR_THIS_SPACE, DATA, &w), 0);
    assert_int_equal(w.end, WEIR_WALK_OK);
    assert_int_equal(w.gpa, DATA);
    assert_true(w.levels >= 3);
    assert_string_equal(w.level[0].name, "PML4E");
    assert_int_equal(w.level[0].gpa, 0x100000);
    assert_true(weir_walk_text(&w, text, sizeof(text)) > 50);
    assert_int_equal(weir_walk(cpu, WEIR_THIS_SPACE, 0x7fff00000000, &w), 0);
    assert_int_equal(w.end, WEIR_WALK_NOT_PRESENT);
    assert_int_equal(weir_walk(cpu, WEIR_THIS_SPACE, 0x7fff000000000000, &w), 0);
    assert_int_equal(w.end, WEIR_WALK_NOT_CANONICAL);
    uint64_t at = 0x150000;
    weir_mem_write(vm, 0x201ffe, "needle", 6);
    assert_int_equal(weir_search(vm, &at, UINT64_MAX, "needle", 6), 0);
    assert_int_equal(at, 0x201ffe);
    at = 0x150000;
    assert_int_equal(weir_space_search(cpu, WEIR_THIS_SPACE, &at, 0x1000000, "needle", 6), 0);
    assert_int_equal(at, 0x201ffe);
    at++;
    assert_int_equal(weir_search(vm, &at, UINT64_MAX, "needle", 6), -WEIR_ENOENT);
    char copy[6];
    assert_int_equal(weir_space_read(cpu, 0x100000, 0x201ffe, copy, 6), 0);
    assert_memory_equal(copy, "needle", 6);
}

static void symbols(void **state)
{
    uint64_t at, size, offset;
    char path[] = "/tmp/weir-symbols-XXXXXX";
    int fd = mkstemp(path);
    FILE *f = fdopen(fd, "w");
    fprintf(f,
            "ffffffff81000000 T _text\nffffffff81000100 t second\nffffffff81000180 D third\n");
    fclose(f);
    assert_int_equal(weir_symbols_load(vm, path, 0x1000), 0);
    remove(path);
    assert_int_equal(weir_symbol_find(vm, "second", &at, &size), 0);
    assert_int_equal(at, 0xffffffff81001100);
    assert_int_equal(size, 0x80);
    assert_string_equal(weir_symbol_at(vm, at + 5, &offset), "second");
    assert_int_equal(offset, 5);
    assert_null(weir_symbol_at(vm, 0x1000, &offset));
    assert_int_equal(weir_symbol_find(vm, "nobody", &at, &size), -WEIR_ENOENT);
    assert_int_equal(weir_symbols_load(vm, "/proc/self/exe", 0), 0);
    assert_int_equal(weir_symbol_find(vm, "main", &at, &size), 0);
    weir_symbols_clear(vm);
    assert_null(weir_symbol_at(vm, at, NULL));
}

static unsigned count_cpuid(void *ctx, weir_vcpu *c, struct weir_cpuid_event *e)
{
    return WEIR_CONTINUE;
}

static void lists(void **state)
{
    struct weir_event_info info;
    uint64_t handle;
    assert_int_equal(weir_event_list(vm, 0, &info), -WEIR_ENOENT);
    weir_on_cpuid(vm, NULL, count_cpuid, NULL, &handle);
    run(OPS, 3);
    assert_int_equal(weir_event_list(vm, 0, &info), 0);
    assert_int_equal(info.hits, 3);
    assert_int_equal(info.handle, handle);
    assert_int_equal(info.kind, WEIR_EV_CPUID);
    assert_int_equal(weir_event_by_name("cpuid"), WEIR_EV_CPUID);
    assert_string_equal(weir_event_name(WEIR_EV_CPUID, NULL), "cpuid");
    assert_int_equal(weir_event_by_name("nothing"), -WEIR_ENOENT);
}

/* ---- from other threads ---- */

#define ROUNDS 40u

struct outsider {
    uint64_t seen, late, missed;
    bool removed;
};
static unsigned see_from_outside(void *ctx, weir_vcpu *c, struct weir_memory_event *e)
{
    struct outsider *o = ctx;
    __atomic_fetch_add(&o->seen, 1, __ATOMIC_SEQ_CST);
    o->late += __atomic_load_n(&o->removed, __ATOMIC_SEQ_CST);
    return WEIR_CONTINUE;
}

/* Comes and goes while the guest runs; then ends the run. */
static void *outsider(void *ctx)
{
    struct outsider *o = ctx;
    struct weir_filter f = {.first = DATA, .last = DATA + 4095};
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t handle, before = __atomic_load_n(&o->seen, __ATOMIC_SEQ_CST);
        __atomic_store_n(&o->removed, false, __ATOMIC_SEQ_CST);
        weir_on_memory(vm, &f, see_from_outside, o, &handle);
        for (unsigned k = 0; k < 10000 && __atomic_load_n(&o->seen, __ATOMIC_SEQ_CST) == before;
             k++)
            usleep(50);
        o->missed += __atomic_load_n(&o->seen, __ATOMIC_SEQ_CST) == before;
        weir_event_remove(vm, handle);
        __atomic_store_n(&o->removed, true, __ATOMIC_SEQ_CST);
        usleep(100);
    }
    weir_quit(vm);
    return NULL;
}

static void other_threads(void **state)
{
    struct outsider o = {0};
    pthread_t thread;
    boot(DATA_ACCESS, UINT64_MAX);
    pthread_create(&thread, NULL, outsider, &o);
    assert_int_equal(go(), WEIR_EXIT_QUIT);
    pthread_join(thread, NULL);
    assert_int_equal(o.missed, 0);
    assert_int_equal(o.late, 0);
}

/* ---- traces ---- */

static void traces(void **state)
{
    char path[2][40] = {"/tmp/weir-trace-XXXXXX", "/tmp/weir-trace-XXXXXX"};
    for (unsigned k = 0; k < 2; k++) {
        close(mkstemp(path[k]));
        struct weir_trace_config config = {.path = path[k], .memory = true, .events = true};
        assert_int_equal(weir_trace_start(vm, &config), 0);
        assert_int_equal(weir_trace_start(vm, &config), -WEIR_EBUSY);
        run(k ? DATA_ACCESS : FAULTS, 3);
        assert_int_equal(weir_trace_stop(vm), 0);
    }
    uint64_t kinds[2][WEIR_TRACE_KINDS] = {0}, faults = 0, values = 0;
    for (unsigned k = 0; k < 2; k++) {
        weir_trace_reader *r;
        struct weir_trace_record t;
        const char *error;
        int rc;
        assert_int_equal(weir_trace_open(path[k], &r, &error), 0);
        while ((rc = weir_trace_next(r, &t)) > 0) {
            kinds[k][t.kind]++;
            faults += t.kind == WEIR_TRACE_EVENT && t.event == WEIR_EV_INTERRUPT;
            values += t.kind == WEIR_TRACE_MEMORY && t.write && t.value == 0x1122334455667788;
            assert_int_equal(t.bits, 64);
        }
        assert_int_equal(rc, 0);
        weir_trace_close(r);
        /* Cut off: all that is there, then an error or the end; never more. */
        assert_int_equal(truncate(path[k], 60), 0);
        if (weir_trace_open(path[k], &r, &error) == 0) {
            while (weir_trace_next(r, &t) > 0)
                ;
            weir_trace_close(r);
        }
        remove(path[k]);
    }
    assert_int_equal(faults, 9);
    assert_int_equal(values, 2 * 3);
    assert_true(kinds[0][WEIR_TRACE_INSN] > 3 * 8 && kinds[1][WEIR_TRACE_MEMORY] > 3 * 6);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    image_path = argv[1];
    engine = argv[2];
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(views),         TEST(view_permissions),
        TEST(view_once),     TEST(view_without_execution),
        TEST(page_trace),    TEST(walks_and_search),
        TEST(symbols),       TEST(lists),
        TEST(other_threads), TEST(traces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
