/* SPDX-License-Identifier: MIT */
/*
 * 32-bit windows at the host's lowest addresses (src/jit/regions.h): who has them, and what lies
 * where the host lets nothing be. What programs do there is jit_windows_test.c's.
 */
#include "host_low.h"
#include "jit_windows_vm.h"

#define AT 0x600000u

static struct result logs[2][LOG_MAX];

static struct weir_jit_stats stats_of(const struct machine *m)
{
    struct weir_jit_stats stats = {.size = sizeof(stats)};
    assert_int_equal(weir_jit_stats_get(m->vm, &stats), 0);
    return stats;
}

/* One more window has been opened by now, low or not; if that can be had at all. */
static void expect_opened(const struct machine *m, uint64_t opened, unsigned low, bool can)
{
    assert_int_equal(stats_of(m).windows_opened, opened);
    assert_int_equal(jit_windows_low(m->c), can ? low : 0);
}

/* An address space whose page AT has `value`. */
static uint64_t space_with(struct machine *m, uint32_t value)
{
    uint64_t cr3 = space_new(m), f = frame(m);
    map(m, cr3, AT, f, USER);
    map(m, cr3, AT + 4096, frame(m), USER);
    *word(m, f) = value;
    return cr3;
}

/* It reads there what is expected, and writes a page behind it. */
static void expect_word(struct machine *m, uint64_t cr3, uint32_t value)
{
    use(m, cr3);
    unsigned n = narrow(m, n_read, AT, WARM);
    narrow(m, n_write, AT + 4096, WARM);
    go(m);
    assert_int_equal(m->last[n].gpr[RAX], value);
    expect_end(m, &m->last[2 * WARM - 1]);
}

static void one_has_it(void **state)
{
    (void)state;
    bool can = host_low_free();
    struct machine a = {.log = logs[0]}, b = {.log = logs[1]};
    machine_new(&a, "jit", 0, true);
    machine_new(&b, "jit", 0, true);
    uint64_t in_a[2] = {space_with(&a, 0x1111), space_with(&a, 0x2222)};
    uint64_t in_b = space_with(&b, 0x3333);
    for (unsigned round = 0; round < 5; round++) {
        expect_word(&a, in_a[0], 0x1111);
        assert_false(host_low_free());
        expect_word(&b, in_b, 0x3333);
        expect_word(&a, in_a[1], 0x2222);
        expect_opened(&a, 2, 1, can);
        expect_opened(&b, 1, 0, can);
    }
    weir_destroy(a.vm);
    assert_int_equal(host_low_free(), can);
    expect_word(&b, in_b, 0x3333);
    weir_destroy(b.vm);
}

/* All that the window knew becomes wrong: it is closed, and another one opened. */
static void again(void **state)
{
    (void)state;
    bool can = host_low_free();
    void *page = host_low_occupy();
    struct machine m = {.log = logs[0]};
    machine_new(&m, "jit", 0, true);
    uint64_t cr3 = space_with(&m, 0), f[2];
    for (unsigned k = 0; k < 2; k++)
        f[k] = frame(&m);
    for (unsigned round = 1; round < 10; round++) {
        *word(&m, f[round & 1]) = round;
        map(&m, cr3, AT, f[round & 1], USER);
        map(&m, cr3, AT + 4096, round & 1 ? FRAMES : FRAMES + 4096, USER);
        for (unsigned k = 0; k < 2; k++) /* the CPU's own TLB may stay as it is */
            expect_word(&m, cr3, round);
        expect_opened(&m, round, round < 3 ? 0 : round - 2, can);
        if (round == 2)
            host_low_leave(page);
    }
    weir_destroy(m.vm);
    assert_int_equal(host_low_free(), can);
}

/* Null pointers of the host lead nowhere, whoever runs this and whatever the guest has there. */
static void expect_nothing_lowest(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    unsigned long first, end;
    char line[512], access[8];
    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps) &&
           sscanf(line, "%lx-%lx %7s", &first, &end, access) == 3)
        assert_true(first >= LOW_FIRST || !strncmp(access, "---", 3));
    fclose(maps);
}

/* Pages that the host lets nobody have, among those that it does: only their accesses go another
 * way, and the window stays. */
static void lowest_pages(void **state)
{
    (void)state;
    const uint32_t page[] = {0x11000, 0x10000, 0xf000, 0x9000, 0x3000};
    uint64_t seen[2][5];
    for (unsigned k = 0; k < 2; k++) {
        struct machine m = {.log = logs[k]};
        machine_new(&m, k ? "jit" : "interp", 0, k);
        uint64_t cr3 = space_new(&m), f[5];
        *word(&m, entry_at(&m, cr3, 0, 2)) = 0; /* the kernel's page of 2 MiB, in small ones */
        for (uint64_t at = 0; at < 2 << 20; at += 4096)
            map(&m, cr3, at, at, P_P | P_W);
        for (unsigned p = 0; p < 5; p++) {
            f[p] = frame(&m);
            *word(&m, f[p] + 0x100) = 0x100 + p;
            map(&m, cr3, page[p], f[p], USER);
        }
        use(&m, cr3);
        narrow(&m, n_read, 0x12000, WARM); /* the kernel's */
        for (unsigned times = 0; times < 8; times++)
            for (unsigned p = 0; p < 5; p++)
                for (enum program n = n_read; n < n_jump; n++) {
                    if (n == n_thread)
                        continue;
                    narrow(&m, n, page[p] + 0x100, WARM);
                    narrow(&m, n, page[p] + 0xffe, 1);
                    if (m.run_count > RUNS_MAX - 100 || m.regs_count > 1500)
                        go(&m);
                }
        go(&m);
        uint64_t faults = k ? stats_of(&m).window_faults : 0;
        narrow(&m, n_read, 0x9100, 400);
        narrow(&m, n_write, 0x9100, 400);
        go(&m);
        assert_true(!k || stats_of(&m).window_faults - faults < 10);
        for (unsigned p = 0; p < 5; p++)
            seen[k][p] = *word(&m, f[p] + 0x100);
        assert_int_equal(m.log[0].vector, 14);
        if (k) {
            assert_int_equal(stats_of(&m).windows_opened, 1);
            assert_int_equal(stats_of(&m).windows_closed, 0);
            assert_true(stats_of(&m).window_fills > 0);
            expect_nothing_lowest();
        }
        assert_int_equal(m.logged, WARM + 8 * 5 * (n_jump - n_read - 1) * (WARM + 1) + 800);
        weir_destroy(m.vm);
    }
    for (unsigned n = 0; n < LOG_MAX; n++) {
        if (logs[0][n].vector < 0x80) /* flags are exact only where instructions are counted */
            logs[0][n].flags |= 0x8d5, logs[1][n].flags |= 0x8d5;
        assert_memory_equal(&logs[0][n], &logs[1][n], sizeof(logs[0][n]));
    }
    assert_memory_equal(seen[0], seen[1], sizeof(seen[0]));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_has_it),
        cmocka_unit_test(again),
        cmocka_unit_test(lowest_pages),
    };
    return run_image_tests(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
