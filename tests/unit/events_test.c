/* SPDX-License-Identifier: MIT */
/*
 * events_test.c - every kind of event, every response, steps and breakpoints. Routines run often
 * enough to be translated; most checks are on counts per call of a routine.
 */
#include "events_vm.h"

/* ---- memory ---- */

struct tally {
    uint64_t reads, writes, read_bytes, written_bytes;
    uint64_t last_rip, last_value, first_rax;
    unsigned response;
    uint64_t supply;
};

static unsigned tally_memory(void *ctx, weir_vcpu *c, struct weir_memory_event *e)
{
    struct tally *t = ctx;
    if (e->write) {
        t->writes++;
        t->written_bytes += e->size;
        t->last_value = 0;
        memcpy(&t->last_value, e->data, e->size < 8 ? e->size : 8);
    } else {
        t->reads++;
        t->read_bytes += e->size;
    }
    t->last_rip = e->head.rip;
    assert_true(c == cpu);
    assert_int_equal(e->head.rip, weir_reg_get_u64(c, WEIR_RIP));
    if (t->response & WEIR_SUPPLY)
        memcpy(e->data, &t->supply, e->size < 8 ? e->size : 8);
    return t->response;
}

static void memory_is_told(void **state)
{
    struct tally t = {0};
    for (int physical = 0; physical < 2; physical++) {
        struct weir_filter f = {.first = DATA, .last = DATA + 15, .physical = physical};
        uint64_t handle;
        memset(&t, 0, sizeof(t));
        assert_int_equal(weir_on_memory(vm, &f, tally_memory, &t, &handle), 0);
        run(DATA_ACCESS, CALLS);
        assert_int_equal(t.writes, 3 * CALLS);
        assert_int_equal(t.reads, 2 * CALLS);
        assert_int_equal(t.written_bytes, 13 * CALLS);
        assert_int_equal(t.read_bytes, 24 * CALLS);
        assert_int_equal(memory(DATA, 8), 0x1122334455667788);
        assert_int_equal(memory(OTHER, 8), 0x1122334455667788);
        assert_int_equal(weir_event_remove(vm, handle), 0);
        assert_int_equal(weir_event_remove(vm, handle), -WEIR_ENOENT);
        run(DATA_ACCESS, CALLS);
        assert_int_equal(t.writes, 3 * CALLS);
    }
}

static void memory_by_bytes_and_access(void **state)
{
    struct tally t = {0}, r = {0};
    struct weir_filter byte = {.first = DATA + 15, .last = DATA + 15};
    struct weir_filter reads = {.first = DATA, .last = DATA + 4095, .access = WEIR_READ};
    struct weir_filter elsewhere = {
        .first = DATA, .last = DATA + 4095, .by = WEIR_BY_CR3, .cr3 = 0x123000};
    weir_on_memory(vm, &byte, tally_memory, &t, NULL);
    weir_on_memory(vm, &reads, tally_memory, &r, NULL);
    struct tally none = {0};
    weir_on_memory(vm, &elsewhere, tally_memory, &none, NULL);
    run(DATA_ACCESS, CALLS);
    assert_int_equal(t.writes, CALLS);
    assert_int_equal(t.reads, CALLS); /* MOVDQU has that byte too */
    assert_int_equal(r.reads, 2 * CALLS);
    assert_int_equal(r.writes, 0);
    assert_int_equal(none.reads + none.writes, 0);
}

static void memory_supply(void **state)
{
    struct tally t = {.response = WEIR_SUPPLY, .supply = 0x4242};
    struct weir_filter f = {.first = DATA, .last = DATA + 7, .access = WEIR_READ};
    weir_on_memory(vm, &f, tally_memory, &t, NULL);
    run(DATA_ACCESS, CALLS);
    assert_int_equal(memory(OTHER, 8), 0x4242);
    assert_int_equal(memory(DATA, 8), 0x1122334455667788);
}

static void memory_supply_write(void **state)
{
    struct tally t = {.response = WEIR_SUPPLY, .supply = 0x77};
    struct weir_filter f = {.first = DATA, .last = DATA + 7, .access = WEIR_WRITE};
    weir_on_memory(vm, &f, tally_memory, &t, NULL);
    run(DATA_ACCESS, CALLS);
    assert_int_equal(memory(OTHER, 8), 0x77);
}

static void memory_no_write(void **state)
{
    struct tally t = {.response = WEIR_NO_WRITE};
    struct weir_filter f = {.first = DATA, .last = DATA + 4095, .access = WEIR_WRITE};
    weir_on_memory(vm, &f, tally_memory, &t, NULL);
    run(DATA_ACCESS, CALLS);
    assert_int_equal(memory(DATA, 8), 0);
    assert_int_equal(memory(DATA + 8, 8), 0);
    run(X87, CALLS);
    assert_int_equal(memory(DATA, 8), 0);
    run(RMW, CALLS);
    assert_int_equal(memory(DATA, 8), 0);
}

static void memory_string(void **state)
{
    struct tally t = {0};
    struct weir_filter f = {.first = DATA, .last = DATA + 4095};
    weir_on_memory(vm, &f, tally_memory, &t, NULL);
    run(STRING, CALLS);
    assert_int_equal(t.writes, 3 * CALLS);
    assert_int_equal(t.written_bytes, 12 * CALLS);
    assert_int_equal(memory(DATA - 4, 8), 0x0102030401020304);
    assert_int_equal(memory(DATA + 4, 8), 0x0102030401020304);
}

static void memory_crossing(void **state)
{
    struct tally t = {0}, both = {0};
    struct weir_filter f = {.first = DATA, .last = DATA + 4095};
    struct weir_filter g = {.first = DATA - 4096, .last = DATA + 4095};
    weir_on_memory(vm, &f, tally_memory, &t, NULL);
    weir_on_memory(vm, &g, tally_memory, &both, NULL);
    run(CROSSING, CALLS);
    assert_int_equal(t.writes, CALLS);
    assert_int_equal(t.written_bytes, 5 * CALLS);
    assert_int_equal(t.last_value, 0x1122334455);
    assert_int_equal(both.writes, 2 * CALLS);
    assert_int_equal(both.written_bytes, 8 * CALLS);
    assert_int_equal(both.read_bytes, 8 * CALLS);
    assert_int_equal(memory(DATA - 3, 8), 0x1122334455667788);
}

static void memory_rmw(void **state)
{
    struct tally t = {0};
    struct weir_filter f = {.first = DATA, .last = DATA + 4095};
    weir_on_memory(vm, &f, tally_memory, &t, NULL);
    run(RMW, CALLS);
    assert_int_equal(t.reads, 4 * CALLS);
    assert_int_equal(t.writes, 4 * CALLS);
    assert_int_equal(memory(DATA, 4), 5 * CALLS);
    assert_int_equal(memory(DATA + 4, 4), CALLS);
    assert_int_equal(memory(DATA + 8, 4), 5 + 9);
}

/* A write that is refused has not happened, and neither has anything else of its instruction. The
 * fault's handler goes on behind it. */
static unsigned deny(void *ctx, weir_vcpu *c, struct weir_memory_event *e)
{
    struct tally *t = ctx;
    uint8_t lock;
    t->writes++;
    weir_mem_read(vm, e->head.rip, &lock, 1);
    weir_reg_set_u64(c, WEIR_R15, e->head.rip + (lock == 0xf0 ? 9 : 7)); /* XADD, XCHG */
    e->head.answer.fault.vector = 13;
    e->head.answer.fault.error = 0;
    return WEIR_DENY;
}

static void memory_deny(void **state)
{
    struct tally t = {0};
    struct weir_filter f = {.first = DATA + 8, .last = DATA + 8, .access = WEIR_WRITE};
    weir_on_memory(vm, &f, deny, &t, NULL);
    run(RMW, CALLS);
    assert_int_equal(t.writes, 2 * CALLS);
    assert_int_equal(memory(routine[LAST_VECTOR], 4), 13);
    assert_int_equal(memory(routine[LAST_VECTOR] + 4, 4), 2 * CALLS);
    assert_int_equal(memory(DATA + 8, 8), 0);
    assert_int_equal(weir_reg_get_u64(cpu, WEIR_RCX), 9);
    assert_int_equal(weir_reg_get_u64(cpu, WEIR_RAX), 5);
}

static unsigned deny_by_skip(void *ctx, weir_vcpu *c, struct weir_memory_event *e)
{
    struct tally *t = ctx;
    t->writes++;
    return WEIR_SKIP;
}

static void memory_skip(void **state)
{
    struct tally t = {0};
    struct weir_filter f = {.first = DATA + 8, .last = DATA + 8, .access = WEIR_WRITE};
    weir_on_memory(vm, &f, deny_by_skip, &t, NULL);
    run(RMW, CALLS);
    assert_int_equal(t.writes, 2 * CALLS); /* XCHG and XADD */
    assert_int_equal(memory(DATA + 8, 8), 0);
    assert_int_equal(weir_reg_get_u64(cpu, WEIR_RCX), 9);
    assert_int_equal(weir_reg_get_u64(cpu, WEIR_RAX), 5);
}

static void memory_stack_of_deliveries(void **state)
{
    struct tally t = {0};
    struct weir_filter f = {
        .first = 0x7f000, .last = 0x7ffff, .access = WEIR_WRITE, .by = WEIR_BY_NUMBER};
    f.by = 0;
    weir_on_memory(vm, &f, tally_memory, &t, NULL);
    run(FAULTS, 20);
    assert_true(t.writes > 20 * (3 * 1));
    assert_int_equal(memory(routine[LAST_VECTOR] + 4, 4), 60);
}

/* A handler that looks at memory does not raise events by that, and may go away while it runs. */
static unsigned looks_around(void *ctx, weir_vcpu *c, struct weir_memory_event *e)
{
    struct tally *t = ctx;
    uint64_t v, handle = e->head.handle;
    t->reads++;
    assert_int_equal(weir_virt_read(c, DATA, &v, 8), 0);
    if (t->reads < 100)
        return WEIR_CONTINUE;
    assert_int_equal(weir_event_remove(vm, handle), 0);
    assert_int_equal(weir_event_remove(vm, handle), -WEIR_ENOENT);
    return WEIR_REMOVE;
}

static void handlers_look_and_leave(void **state)
{
    struct tally t = {0};
    struct weir_filter f = {.physical = true, .walks = true};
    weir_on_memory(vm, &f, looks_around, &t, NULL);
    run(DATA_ACCESS, CALLS);
    assert_int_equal(t.reads, 100);
}

static void page_walks(void **state)
{
    struct tally t = {0};
    struct weir_filter f = {.first = 0x100000,
                            .last = 0x105fff,
                            .physical = true,
                            .walks = true,
                            .access = WEIR_READ};
    t.response = 0;
    weir_on_memory(vm, &f, tally_memory, &t, NULL);
    boot(DATA_ACCESS, 1);
    struct weir_exit e;
    weir_run(cpu, 0, &e);
    assert_true(t.reads >= 4);
}

/* ---- operations ---- */

static uint64_t counts[WEIR_EV_COUNT];
static unsigned answers[WEIR_EV_COUNT];

#define X(name, NAME, what)                                                                    \
    static unsigned count_##name(void *ctx, weir_vcpu *c, struct weir_##name##_event *e)       \
    {                                                                                          \
        assert_int_equal(e->head.kind, WEIR_EV_##NAME);                                        \
        assert_int_equal(e->head.rip, weir_reg_get_u64(c, WEIR_RIP));                          \
        counts[WEIR_EV_##NAME]++;                                                              \
        return answers[WEIR_EV_##NAME];                                                        \
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
WEIR_EVENT_KINDS(X)
#pragma GCC diagnostic pop
#undef X

static void operations(void **state)
{
    memset(counts, 0, sizeof(counts));
    memset(answers, 0, sizeof(answers));
    weir_on_cpuid(vm, NULL, count_cpuid, NULL, NULL);
    weir_on_rdtsc(vm, NULL, count_rdtsc, NULL, NULL);
    struct weir_filter aux = {
        .by = WEIR_BY_NUMBER, .number_first = 0xc0000103, .number_last = 0xc0000103};
    struct weir_filter routine_only = {
        .by = WEIR_BY_PC, .pc_first = routine[OPS], .pc_last = routine[STRING]};
    weir_on_msr(vm, &aux, count_msr, NULL, NULL);
    weir_on_io(vm, NULL, count_io, NULL, NULL);
    weir_on_table(vm, &routine_only, count_table, NULL, NULL);
    weir_on_control(vm, NULL, count_control, NULL, NULL);
    weir_on_cr3(vm, NULL, count_cr3, NULL, NULL);
    weir_on_invlpg(vm, NULL, count_invlpg, NULL, NULL);
    run(OPS, CALLS);
    assert_int_equal(counts[WEIR_EV_CPUID], CALLS);
    assert_int_equal(counts[WEIR_EV_RDTSC], CALLS);
    assert_int_equal(counts[WEIR_EV_MSR], 2 * CALLS);
    assert_int_equal(counts[WEIR_EV_IO], 2 * CALLS);
    assert_int_equal(counts[WEIR_EV_TABLE], 2 * CALLS);
    assert_int_equal(counts[WEIR_EV_CONTROL], 2 * CALLS + 1); /* one in START */
    assert_int_equal(counts[WEIR_EV_CR3], 0);                 /* the same one */
    assert_int_equal(counts[WEIR_EV_INVLPG], CALLS);
}

static unsigned fake_cpuid(void *ctx, weir_vcpu *c, struct weir_cpuid_event *e)
{
    e->value[2] = 0xabcd;
    return WEIR_SUPPLY;
}
static unsigned fake_rdtsc(void *ctx, weir_vcpu *c, struct weir_rdtsc_event *e)
{
    e->value = 0x777;
    return WEIR_SUPPLY;
}
static unsigned fake_msr(void *ctx, weir_vcpu *c, struct weir_msr_event *e)
{
    e->value = 0x4321;
    return e->write ? WEIR_NO_WRITE : WEIR_SUPPLY;
}
static unsigned fake_io(void *ctx, weir_vcpu *c, struct weir_io_event *e)
{
    e->value = 0x99;
    return e->write ? WEIR_NO_WRITE : WEIR_SUPPLY;
}

static void operations_supplied(void **state)
{
    struct weir_filter aux = {
        .by = WEIR_BY_NUMBER, .number_first = 0xc0000103, .number_last = 0xc0000103};
    weir_on_cpuid(vm, NULL, fake_cpuid, NULL, NULL);
    weir_on_rdtsc(vm, NULL, fake_rdtsc, NULL, NULL);
    weir_on_msr(vm, &aux, fake_msr, NULL, NULL);
    weir_on_io(vm, NULL, fake_io, NULL, NULL);
    weir_set_unclaimed_exits(vm, true); /* nobody may ask for the port */
    run(OPS, CALLS);
    assert_int_equal(memory(OTHER + 8, 4), 0xabcd);
    assert_int_equal(memory(OTHER + 16, 4), 0x777);
    assert_int_equal(memory(OTHER + 24, 4), 0x4321);
    assert_int_equal(memory(OTHER + 32, 1), 0x99);
    assert_int_equal(weir_reg_get_u64(cpu, WEIR_TSC_AUX), 0);
}

static unsigned see_interrupt(void *ctx, weir_vcpu *c, struct weir_interrupt_event *e)
{
    uint64_t *seen = ctx;
    seen[e->vector]++;
    if (e->vector == 14)
        assert_int_equal(e->address, 0x7fff00000000);
    assert_int_equal(e->head.rip, weir_reg_get_u64(c, WEIR_RIP));
    return WEIR_CONTINUE;
}

static void interrupts(void **state)
{
    uint64_t seen[256] = {0}, break3[256] = {0};
    struct weir_filter f = {.by = WEIR_BY_NUMBER, .number_first = 3, .number_last = 3};
    weir_on_interrupt(vm, NULL, see_interrupt, seen, NULL);
    weir_on_interrupt(vm, &f, see_interrupt, break3, NULL);
    run(FAULTS, CALLS);
    assert_int_equal(seen[3], CALLS);
    assert_int_equal(seen[6], CALLS);
    assert_int_equal(seen[14], CALLS);
    assert_int_equal(break3[3], CALLS);
    assert_int_equal(break3[6], 0);
    assert_int_equal(memory(routine[LAST_VECTOR] + 4, 4), 3 * CALLS);
}

static unsigned swap_fault(void *ctx, weir_vcpu *c, struct weir_interrupt_event *e)
{
    if (e->vector == 6) {
        e->head.answer.fault.vector = 13;
        e->head.answer.fault.has_error = true;
        return WEIR_DENY;
    }
    return e->vector == 3 ? WEIR_SKIP : WEIR_CONTINUE;
}

static void interrupts_answered(void **state)
{
    uint64_t seen = 0;
    weir_on_interrupt(vm, NULL, swap_fault, &seen, NULL);
    run(FAULTS, CALLS);
    assert_int_equal(memory(routine[LAST_VECTOR] + 4, 4), 2 * CALLS); /* INT3 was skipped */
}

struct calls {
    uint64_t entries, returns, first[6];
    uint64_t last_result, last_number;
};
static unsigned see_syscall(void *ctx, weir_vcpu *c, struct weir_syscall_event *e)
{
    struct calls *k = ctx;
    k->entries++;
    if (e->number == 39)
        memcpy(k->first, e->argument, sizeof(k->first));
    assert_int_equal(e->head.cpl, 3);
    return WEIR_CONTINUE;
}
static unsigned see_sysret(void *ctx, weir_vcpu *c, struct weir_sysret_event *e)
{
    struct calls *k = ctx;
    k->returns++;
    k->last_result = e->result;
    k->last_number = e->number;
    assert_int_equal(e->argument[0], 1);
    return WEIR_CONTINUE;
}

static void system_calls(void **state)
{
    struct calls k = {0}, only = {0};
    struct weir_filter f = {
        .by = WEIR_BY_NUMBER | WEIR_BY_CPL, .number_first = 60, .number_last = 60, .cpls = 8};
    weir_on_syscall(vm, NULL, see_syscall, &k, NULL);
    weir_on_sysret(vm, NULL, see_sysret, &k, NULL);
    weir_on_syscall(vm, &f, see_syscall, &only, NULL);
    run(SYSCALLS, CALLS);
    assert_int_equal(k.entries, 2 * CALLS);
    assert_int_equal(k.returns, 2 * CALLS);
    assert_int_equal(only.entries, CALLS);
    assert_int_equal(k.last_result, 1060);
    assert_int_equal(k.last_number, 60);
    for (unsigned n = 0; n < 6; n++)
        assert_int_equal(k.first[n], n + 1);
    assert_int_equal(memory(OTHER + 40, 8), 1039);
}

/* ---- time ---- */

static unsigned sleep_in_it(void *ctx, weir_vcpu *c, struct weir_memory_event *e)
{
    uint64_t *most = ctx, before = weir_reg_get_u64(c, WEIR_TSC);
    usleep(20000);
    uint64_t took = weir_reg_get_u64(c, WEIR_TSC) - before;
    *most = took > *most ? took : *most;
    return WEIR_CONTINUE;
}

/* The guest's clock stands still in a handler, and does not catch up behind it. */
static void clock_stands_still(void **state)
{
    uint64_t most = 0;
    struct weir_filter f = {.first = DATA, .last = DATA + 7, .access = WEIR_WRITE};
    weir_on_memory(vm, &f, sleep_in_it, &most, NULL);
    run(DATA_ACCESS, 20);
    assert_int_equal(most, 0);
    /* 20 handlers slept 400 ms; TSC counts ns from the boot before. */
    assert_true(weir_reg_get_u64(cpu, WEIR_TSC) < 200000000);
}

/* ---- steps ---- */

static void steps_are_all(void **state)
{
    memset(counts, 0, sizeof(counts));
    memset(answers, 0, sizeof(answers));
    struct weir_filter f = {.by = WEIR_BY_CPL, .cpls = 1};
    struct weir_filter user = {.by = WEIR_BY_CPL, .cpls = 8};
    uint64_t all, half;
    weir_set_counting(vm, true);
    uint64_t before = weir_instructions(cpu);
    weir_on_step(vm, NULL, count_step, NULL, &all);
    run(BRANCHY, CALLS);
    assert_int_equal(counts[WEIR_EV_STEP], weir_instructions(cpu) - before);
    weir_event_remove(vm, all);
    counts[WEIR_EV_STEP] = 0;
    weir_on_step(vm, &user, count_step, NULL, &half);
    run(SYSCALLS, CALLS);
    uint64_t in_user = counts[WEIR_EV_STEP];
    weir_event_remove(vm, half);
    counts[WEIR_EV_STEP] = 0;
    weir_on_step(vm, &f, count_step, NULL, &half);
    run(SYSCALLS, CALLS);
    /* CPL is that behind the instruction: IRET, 7 x MOV, MOV, MOV, and each SYSRET */
    assert_int_equal(in_user, 12 * CALLS);
    assert_true(counts[WEIR_EV_STEP] > 8 * CALLS);
}

struct steps {
    uint64_t calls, last;
    uint64_t pc[64];
};
static unsigned see_step(void *ctx, weir_vcpu *c, struct weir_step_event *e)
{
    struct steps *s = ctx;
    if (s->calls < 64)
        s->pc[s->calls] = e->head.pc;
    s->calls++;
    s->last += e->last;
    return WEIR_CONTINUE;
}

static unsigned stop_here(void *ctx, weir_vcpu *c, struct weir_breakpoint_event *e)
{
    ++*(uint64_t *)ctx;
    return WEIR_STOP | WEIR_REMOVE;
}

/* Runs to the start of a routine. */
static void run_to(enum routine r, enum routine place, uint64_t calls)
{
    struct weir_filter f = {.first = routine[place]};
    uint64_t hits = 0;
    weir_on_breakpoint(vm, &f, stop_here, &hits, NULL);
    boot(r, calls);
    assert_int_equal(go(), WEIR_EXIT_STOPPED);
    assert_int_equal(hits, 1);
    assert_int_equal(weir_reg_get_u64(cpu, WEIR_RIP), routine[place]);
}

static void step_counts(void **state)
{
    struct steps s = {0};
    struct weir_step how = {.count = 3, .flags = WEIR_STEP_STOP};
    run_to(BRANCHY, BRANCHY, CALLS);
    weir_step(cpu, &how, see_step, &s, NULL);
    assert_int_equal(go(), WEIR_EXIT_STOPPED);
    assert_int_equal(s.calls, 3);
    assert_int_equal(s.last, 1);
    assert_int_equal(weir_reg_get_u64(cpu, WEIR_RIP), routine[BRANCHY] + 9);
    assert_int_equal(go(), WEIR_EXIT_HALT);
    assert_int_equal(s.calls, 3);
}

static void step_until_return_branches(void **state)
{
    struct steps s = {0};
    struct weir_step until = {.until = routine[TARGET_NEXT],
                              .flags = WEIR_STEP_UNTIL | WEIR_STEP_STOP};
    run_to(TARGET, TARGET, CALLS);
    weir_step(cpu, &until, see_step, &s, NULL);
    assert_int_equal(go(), WEIR_EXIT_STOPPED);
    assert_int_equal(s.calls, 2);
    assert_int_equal(weir_reg_get_u64(cpu, WEIR_RIP), routine[TARGET_NEXT]);

    struct weir_step back = {.flags = WEIR_STEP_RETURN | WEIR_STEP_STOP | WEIR_STEP_END_ONLY};
    memset(&s, 0, sizeof(s));
    run_to(CALLEE, CALLEE, CALLS);
    uint64_t rsp = weir_reg_get_u64(cpu, WEIR_RSP);
    weir_step(cpu, &back, see_step, &s, NULL);
    assert_int_equal(go(), WEIR_EXIT_STOPPED);
    assert_int_equal(s.calls, 1);
    assert_int_equal(weir_reg_get_u64(cpu, WEIR_RSP), rsp + 8);

    struct weir_step branches = {.flags = WEIR_STEP_BRANCHES | WEIR_STEP_STOP, .count = 2};
    memset(&s, 0, sizeof(s));
    run_to(BRANCHY, BRANCHY, CALLS);
    weir_step(cpu, &branches, see_step, &s, NULL);
    assert_int_equal(go(), WEIR_EXIT_STOPPED);
    assert_int_equal(s.calls, 2);
    assert_int_equal(s.pc[0], routine[BRANCHY] + 5);
    assert_int_equal(s.pc[1], routine[BRANCHY] + 5);
}

static void step_over_handlers(void **state)
{
    struct steps into = {0}, over = {0};
    struct weir_step how = {.flags = WEIR_STEP_RETURN | WEIR_STEP_STOP};
    run_to(FAULTS, FAULTS, 2);
    weir_step(cpu, &how, see_step, &into, NULL);
    assert_int_equal(go(), WEIR_EXIT_STOPPED);
    how.flags |= WEIR_STEP_OVER;
    run_to(FAULTS, FAULTS, 2);
    weir_step(cpu, &how, see_step, &over, NULL);
    assert_int_equal(go(), WEIR_EXIT_STOPPED);
    assert_int_equal(over.calls, 8); /* 3 x MOV, UD2, MOV, load, INT3, RET */
    assert_int_equal(into.calls, 8 + 3 * 5);
}

static void step_on_demand(void **state)
{
    struct steps s = {0};
    struct weir_filter f = {.on_demand = true};
    struct weir_filter at = {.first = routine[TARGET_AT]};
    struct weir_filter next = {.first = routine[TARGET_LEAF]};
    memset(counts, 0, sizeof(counts));
    answers[WEIR_EV_BREAKPOINT] = WEIR_STEP_ON;
    answers[WEIR_EV_EXECUTE] = WEIR_STEP_OFF;
    weir_on_step(vm, &f, see_step, &s, NULL);
    weir_on_breakpoint(vm, &at, count_breakpoint, NULL, NULL);
    next.last = next.first;
    weir_on_execute(vm, &next, count_execute, NULL, NULL);
    run(TARGET, CALLS);
    assert_int_equal(counts[WEIR_EV_BREAKPOINT], CALLS);
    assert_int_equal(counts[WEIR_EV_EXECUTE], CALLS);
    assert_int_equal(s.calls, 3 * CALLS); /* two INCs and the CALL */
    answers[WEIR_EV_BREAKPOINT] = answers[WEIR_EV_EXECUTE] = 0;
}

/* ---- code ---- */

static void execute_and_breakpoints(void **state)
{
    memset(counts, 0, sizeof(counts));
    memset(answers, 0, sizeof(answers));
    struct weir_filter range = {.first = routine[TARGET], .last = routine[PATCH] - 1};
    struct weir_filter at = {.first = routine[TARGET_NEXT]};
    struct weir_filter gpa = {.first = routine[TARGET_LEAF], .physical = true};
    uint8_t byte;
    uint64_t handle;
    weir_on_execute(vm, &range, count_execute, NULL, &handle);
    weir_on_breakpoint(vm, &at, count_breakpoint, NULL, NULL);
    weir_on_breakpoint(vm, &gpa, count_breakpoint, NULL, NULL);
    run(TARGET, CALLS);
    assert_int_equal(counts[WEIR_EV_BREAKPOINT], 2 * CALLS);
    assert_int_equal(counts[WEIR_EV_EXECUTE], 7 * CALLS);
    weir_mem_read(vm, routine[TARGET_NEXT], &byte, 1);
    assert_int_equal(byte, 0xff); /* hidden: INC as it was */
    assert_int_equal(weir_reg_get_u64(cpu, WEIR_RAX), 12);
    weir_event_remove(vm, handle);
    run(TARGET, CALLS);
    assert_int_equal(counts[WEIR_EV_EXECUTE], 7 * CALLS);
    assert_int_equal(counts[WEIR_EV_BREAKPOINT], 4 * CALLS);
}

static unsigned replace(void *ctx, weir_vcpu *c, struct weir_execute_event *e)
{
    static const uint8_t add7[] = {0x83, 0xc0, 0x07};
    memcpy(e->head.answer.insn, add7, sizeof(add7));
    e->head.answer.insn_bytes = sizeof(add7);
    return WEIR_REPLACE;
}
static unsigned skip_insn(void *ctx, weir_vcpu *c, struct weir_execute_event *e)
{
    return WEIR_SKIP;
}
static unsigned move(void *ctx, weir_vcpu *c, struct weir_execute_event *e)
{
    weir_reg_set_u64(c, WEIR_RAX, 1000);
    weir_reg_set_u64(c, WEIR_RIP, e->head.rip + 3);
    return WEIR_SET_REGISTERS;
}
static unsigned set_only(void *ctx, weir_vcpu *c, struct weir_execute_event *e)
{
    weir_reg_set_u64(c, WEIR_RAX, 1000);
    return WEIR_SET_REGISTERS;
}

static void execute_answers(void **state)
{
    struct weir_filter f = {.first = routine[PATCH_INSN], .last = routine[PATCH_INSN]};
    static weir_execute_fn *const fns[] = {replace, skip_insn, move, set_only};
    static const unsigned expected[] = {1 + 7, 1, 1000, 1100};
    for (unsigned n = 0; n < 4; n++) {
        uint64_t handle;
        weir_on_execute(vm, &f, fns[n], NULL, &handle);
        run(PATCH, CALLS);
        assert_int_equal(memory(OTHER, 4), expected[n]);
        weir_event_remove(vm, handle);
    }
    run(PATCH, CALLS);
    assert_int_equal(memory(OTHER, 4), 101);
}

static void blocks(void **state)
{
    memset(counts, 0, sizeof(counts));
    memset(answers, 0, sizeof(answers));
    struct weir_filter f = {.first = routine[BRANCHY], .last = routine[CALLEE] - 1};
    uint64_t handle;
    weir_on_block(vm, &f, count_block, NULL, &handle);
    run(BRANCHY, CALLS);
    assert_int_equal(counts[WEIR_EV_BLOCK], 5 * CALLS); /* start, twice the loop, JS, RET */
    weir_event_remove(vm, handle);
    f.once = true;
    counts[WEIR_EV_BLOCK] = 0;
    weir_on_block(vm, &f, count_block, NULL, &handle);
    run(BRANCHY, CALLS);
    assert_int_equal(counts[WEIR_EV_BLOCK], 4);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    image_path = argv[1];
    engine = argv[2];
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(memory_is_told),
        TEST(memory_by_bytes_and_access),
        TEST(memory_supply),
        TEST(memory_supply_write),
        TEST(memory_no_write),
        TEST(memory_string),
        TEST(memory_crossing),
        TEST(memory_rmw),
        TEST(memory_deny),
        TEST(memory_skip),
        TEST(memory_stack_of_deliveries),
        TEST(page_walks),
        TEST(handlers_look_and_leave),
        TEST(operations),
        TEST(operations_supplied),
        TEST(interrupts),
        TEST(interrupts_answered),
        TEST(system_calls),
        TEST(clock_stands_still),
        TEST(steps_are_all),
        TEST(step_counts),
        TEST(step_until_return_branches),
        TEST(step_over_handlers),
        TEST(step_on_demand),
        TEST(execute_and_breakpoints),
        TEST(execute_answers),
        TEST(blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
