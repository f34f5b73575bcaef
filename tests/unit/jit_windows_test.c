/* SPDX-License-Identifier: MIT */
/*
 * Programs whose address spaces the host maps (src/jit/windows.h): each scenario runs with the
 * interpreter and the translator, checks what the architecture demands, and all programs must end
 * the same with both. Those with 32-bit programs run once more where the host's lowest addresses
 * are not to be had.
 */
#include "host_low.h"
#include "jit_windows_vm.h"

#define NO_FLUSH (1ull << 63)

struct scenario {
    void (*run)(struct machine *m);
    unsigned least_faults; /* of windows: or they were not used */
    bool narrow;           /* some are of 32-bit programs */
};

/* ---- the same on all engines ---- */

static struct result logs[2][LOG_MAX];

static void one_run(const struct scenario *s, const char *accel, uint64_t budget,
                    struct machine *m)
{
    bool jit = !strcmp(accel, "jit"), low = s->narrow && host_low_free();
    machine_new(m, accel, budget, jit);
    s->run(m);
    if (jit) {
        struct weir_jit_stats stats = {.size = sizeof(stats)};
        assert_int_equal(weir_jit_stats_get(m->vm, &stats), 0);
        if (stats.window_faults < s->least_faults)
            print_error("opened %llu faults %llu fills %llu\n",
                        (unsigned long long)stats.windows_opened,
                        (unsigned long long)stats.window_faults,
                        (unsigned long long)stats.window_fills);
        assert_true(stats.windows_opened > 0);
        assert_true((jit_windows_low(m->c) > 0) == low);
        assert_true(stats.window_faults >= s->least_faults);
        assert_true(!s->least_faults || stats.window_fills > 0);
    }
    weir_destroy(m->vm);
}

/* Flags of a program that faulted are exact only where instructions are counted. */
static void compare(const struct machine *a, const struct machine *b, bool exact)
{
    assert_int_equal(a->logged, b->logged);
    for (unsigned n = 0; n < a->logged; n++) {
        struct result x = a->log[n], y = b->log[n];
        if (!exact && x.vector < 0x80)
            x.flags &= ~0x8d5ull, y.flags &= ~0x8d5ull;
        if (memcmp(&x, &y, sizeof(x)))
            print_error("result %u: vector %llx %llx error %llx %llx cr2 %llx %llx rip %llx "
                        "%llx flags %llx %llx\n",
                        n, (unsigned long long)x.vector, (unsigned long long)y.vector,
                        (unsigned long long)x.error, (unsigned long long)y.error,
                        (unsigned long long)x.cr2, (unsigned long long)y.cr2,
                        (unsigned long long)x.rip, (unsigned long long)y.rip,
                        (unsigned long long)x.flags, (unsigned long long)y.flags);
        assert_memory_equal(&x, &y, sizeof(x));
    }
}

static void on_all(const struct scenario *s)
{
    struct machine interp = {.log = logs[0]}, jit = {.log = logs[1]};
    one_run(s, "interp", 0, &interp);
    one_run(s, "jit", 0, &jit);
    compare(&interp, &jit, false);
    one_run(s, "jit", 5000, &jit);
    compare(&interp, &jit, true);
    if (!s->narrow)
        return;
    void *page = host_low_occupy();
    one_run(s, "jit", 0, &jit);
    host_low_leave(page);
    compare(&interp, &jit, false);
}

/* ---- many pages, many forms ---- */

static const uint64_t regions[] = {0x600000,       0x7fff00000,    0x555500000000,
                                   0x7f3210000000, 0x7ffff0000000, 0x8000000000 - 0x20000,
                                   0x7ffffffe0000};

static void forms_at(struct machine *m, uint64_t at, uint64_t cr3, unsigned warm)
{
    for (unsigned p = r_base; p < walk; p++) {
        if (p == r_ret)
            continue;
        uint64_t *r = regs_for(m, p);
        r[RBX] = r[RBP] = r[RSP] = r[RSI] = r[RDI] = r[R10] = at;
        if (p == r_far_up || p == w_far_up)
            r[RBX] = at - 0x7ffffff0;
        if (p == r_far_down || p == w_far_down)
            r[RBP] = at + 0x80000000;
        if (p == r_index)
            r[RDX] = -1, r[RBX] = at - 8;
        if (p == r_sum)
            r[R12] = at - 0x123456789abc, r[R13] = 0x123456789abc;
        if (p == r_narrow)
            r[RDX] = 0xffffffff00000010, r[RBX] = (uint32_t)(at - 0x10);
        if (p == r_thread)
            r[R_FS] = at - 0x1000, r[RBX] = 0x1000;
        if (p == r_scaled)
            r[RDX] = (at - 0x12345678) / 8;
        run_it(m, r, warm);
    }
    go(m);
    (void)cr3;
}

static void accesses(struct machine *m)
{
    uint64_t cr3 = space_new(m);
    use(m, cr3);
    for (unsigned k = 0; k < sizeof(regions) / 8; k++) {
        uint64_t at = regions[k];
        unsigned pages = k + 1 == sizeof(regions) / 8 ? 16 : 40;
        for (unsigned n = 0; n < pages; n++) { /* neighbours are none in RAM */
            if (n % 4 == 3)
                frame(m);
            map(m, cr3, at + n * 4096, n % 2 ? frame(m) : 0x3000000 + (n + k * 64) * 8192,
                USER);
        }
        for (unsigned stride = 4093; stride <= 4101; stride += 8) {
            uint64_t *r = regs_for(m, walk);
            r[RBX] = at + 4096 - 5;
            r[R8] = stride;
            r[RDX] = pages - 4;
            run_it(m, r, 6);
        }
        uint64_t *r = regs_for(m, frames);
        r[RSP] = at + pages * 4096 - 64;
        r[RDX] = 500;
        run_it(m, r, 4);
        r = regs_for(m, thread);
        r[R_FS] = at + 4096 - 16;
        r[RBX] = 4096;
        run_it(m, r, WARM);
        r = regs_for(m, copy);
        r[RSI] = at + 17;
        r[RDI] = at + 4096 * 6 + 4000;
        r[R8] = 9000;
        run_it(m, r, WARM);
        r = regs_for(m, rip_relative);
        run_it(m, r, WARM);
        go(m);
        for (struct result *end = m->last; end < m->log + m->logged; end++)
            expect_end(m, end);
        forms_at(m, at + 4096 * 5 + 8, cr3, WARM);
        forms_at(m, at + 4096 * 6 - 3, cr3, WARM);
    }
}

/* ---- changes of page tables ---- */

static unsigned warm_run(struct machine *m, enum program p, uint64_t at, unsigned times)
{
    uint64_t *r = regs_for(m, p);
    r[RBX] = r[RBP] = at;
    run_it(m, r, times);
    return m->run_count - 1;
}

enum flush {
    BY_INVLPG,
    BY_CR3,
    BY_TOGGLE,
    BY_INVPCID_0,
    BY_INVPCID_1,
    BY_INVPCID_2,
    BY_INVPCID_3,
    FLUSHES
};

static void flush_by(struct machine *m, enum flush how, uint64_t cr3, uint64_t at)
{
    switch (how) {
    case BY_INVLPG:
        command(m, C_INVLPG, at, 0, 0);
        break;
    case BY_CR3:
        use(m, cr3);
        break;
    case BY_TOGGLE:
        command(m, C_TOGGLE, 0, 0, 0);
        break;
    default:
        command(m, C_INVPCID, how - BY_INVPCID_0, cr3 & 0xfff, at);
        break;
    }
}

static void changes_by(struct machine *m, uint64_t cr3, enum flush how, uint64_t at)
{
    uint64_t a = frame(m), b = frame(m), pte = entry_at(m, cr3, at, 1);
    unsigned n[9];
    *word(m, a) = 0xaaaa;
    *word(m, b) = 0xbbbb;
    map(m, cr3, at, a, USER);
    map(m, cr3, at + 4096, frame(m), USER);
    use(m, cr3);
    n[0] = warm_run(m, r_base, at, WARM);
    warm_run(m, w_base, at + 4096, WARM);
    write_entry(m, pte, b | USER);
    flush_by(m, how, cr3, at);
    n[1] = warm_run(m, r_base, at, 1);
    write_entry(m, pte, b | P_P | P_U);
    flush_by(m, how, cr3, at);
    n[2] = warm_run(m, w_base, at, 1); /* must fault */
    n[3] = warm_run(m, r_base, at, 1);
    n[4] = warm_run(m, w_add, at, 6);
    write_entry(m, pte, b | P_W | P_U);
    flush_by(m, how, cr3, at);
    n[5] = warm_run(m, r_base, at, 1);
    n[6] = warm_run(m, w_base, at, 1);
    write_entry(m, pte, b | P_P | P_W);
    flush_by(m, how, cr3, at);
    n[7] = warm_run(m, r_base, at, 1);
    write_entry(m, pte, a | USER);
    flush_by(m, how, cr3, at);
    warm_run(m, w_base, at, 1);
    n[8] = warm_run(m, r_base, at, 1);
    go(m);
    assert_int_equal(m->last[n[0]].gpr[RAX], 0xaaaa);
    assert_int_equal(m->last[n[1]].gpr[RAX], 0xbbbb);
    expect_fault(&m->last[n[2]], 14, 7, at);
    assert_int_equal(m->last[n[2]].rip, CODE64 + m->start[w_base]);
    assert_int_equal(m->last[n[2]].gpr[RBX], at);
    assert_int_equal(m->last[n[2]].gpr[R10], 0x1111111111111111ull * 10);
    assert_int_equal(m->last[n[2]].flags & 0x8d5, (w_base & 1 ? 0x891 : 0) | 0x44);
    assert_int_equal(m->last[n[3]].gpr[RAX], 0xbbbb);
    expect_fault(&m->last[n[4]], 14, 7, at);
    expect_fault(&m->last[n[5]], 14, 4, at);
    expect_fault(&m->last[n[6]], 14, 6, at);
    expect_fault(&m->last[n[7]], 14, 5, at);
    assert_int_equal(m->last[n[8]].gpr[RAX], *word(m, a));
    assert_int_equal(*word(m, b), 0xbbbb);
}

static void changes(struct machine *m)
{
    uint64_t cr3 = space_new(m);
    use(m, cr3);
    for (unsigned how = 0; how < BY_INVPCID_0; how++)
        for (unsigned k = 0; k < 3; k++)
            changes_by(m, cr3, how, 0x555500000000 + how * 0x100000 + k * 0x8040000000);
    use(m, cr3);
    command(m, C_CR4, m->cr4 | 1 << 17, 0, 0);
    go(m);
    for (unsigned how = 0; how < FLUSHES; how++)
        changes_by(m, cr3 | 7, how, 0x123440000000 + how * 0x100000);
}

/* Two address spaces whose pages differ, and neither is flushed. */
static void pcids(struct machine *m)
{
    uint64_t at = 0x7f0000000000, cr3[12], value[12];
    unsigned n[12];
    for (unsigned k = 0; k < 12; k++) {
        cr3[k] = space_new(m) | (k + 1);
        for (unsigned p = 0; p < 8; p++)
            map(m, cr3[k], at + p * 4096, frame(m), USER);
        value[k] = frame(m);
        map(m, cr3[k], at, value[k], USER);
        *word(m, value[k]) = 100 + k;
    }
    use(m, cr3[0] & ~0xfffull);
    command(m, C_CR4, m->cr4 | 1 << 17, 0, 0);
    for (unsigned count = 2; count <= 12; count += 5)
        for (unsigned round = 0; round < 4; round++) {
            for (unsigned k = 0; k < count; k++) {
                use(m, cr3[k] | NO_FLUSH);
                uint64_t *r = regs_for(m, walk);
                r[RBX] = at + 4096;
                r[R8] = 4096 - 8;
                r[RDX] = 6;
                run_it(m, r, 3);
                n[k] = warm_run(m, r_base, at, 5);
            }
            go(m);
            for (unsigned k = 0; k < count; k++)
                assert_int_equal(m->last[n[k]].gpr[RAX], 100 + k);
        }
    /* one that is not current is flushed */
    for (unsigned how = BY_INVPCID_0; how < FLUSHES; how++) {
        uint64_t other = frame(m);
        *word(m, other) = 1000 + how;
        use(m, cr3[1] | NO_FLUSH);
        warm_run(m, r_base, at, 3);
        use(m, cr3[0] | NO_FLUSH);
        unsigned own = warm_run(m, r_base, at, 3);
        write_entry(m, entry_at(m, cr3[1], at, 1), other | USER);
        flush_by(m, how, cr3[1], at);
        unsigned same = warm_run(m, r_base, at, 1);
        use(m, cr3[1] | NO_FLUSH);
        unsigned new = warm_run(m, r_base, at, 3);
        go(m);
        assert_int_equal(m->last[own].gpr[RAX], 100);
        assert_int_equal(m->last[same].gpr[RAX], 100);
        assert_int_equal(m->last[new].gpr[RAX], 1000 + how);
    }
}

/* Large pages: of one frame each, split, joined again; known to nothing but the window. */
static void large(struct machine *m)
{
    uint64_t cr3 = space_new(m), at = 0x40000000, other = 0x2800000;
    uint64_t pde = entry_at(m, cr3, at, 2), pt = page_take(m, &m->next_table);
    const unsigned page[] = {0, 1, 37, 300, 511};
    for (unsigned writable = 0; writable < 2; writable++)
        for (unsigned flushed = 0; flushed < 2; flushed++)
            for (unsigned k = 0; k < 5; k++) {
                uint64_t flags = P_P | P_U | (writable ? P_W : 0);
                unsigned n[5];
                for (unsigned p = 0; p < 512; p++) {
                    *word(m, 0x2400000 + p * 4096) = 0x10000 + p;
                    *word(m, 0x2600000 + p * 4096) = 0x20000 + p;
                    *word(m, pt + p * 8) = (other + p * 4096) | flags;
                    *word(m, other + p * 4096) = 0x30000 + p;
                }
                *word(m, pde) = 0x2400000 | flags | P_PS | P_A | P_D;
                use(m, cr3);
                for (unsigned j = 0; j < 5; j++)
                    warm_run(m, writable && j & 1 ? w_base : r_base,
                             at + page[j] * 4096 + 8 * (j & 1), WARM);
                if (flushed)
                    command(m, C_TOGGLE, 0, 0, 0);
                for (unsigned j = 0; j < 5; j++)
                    n[j] = warm_run(m, r_base, at + page[j] * 4096, 2);
                write_entry(m, pde, 0x2600000 | flags | P_PS);
                command(m, C_INVLPG, at + page[k] * 4096 + 123, 0, 0);
                unsigned second = warm_run(m, r_base, at + page[0] * 4096, 1);
                for (unsigned j = 1; j < 5; j++)
                    warm_run(m, r_base, at + page[j] * 4096, 1);
                if (flushed)
                    command(m, C_TOGGLE, 0, 0, 0);
                write_entry(m, pde, pt | USER);
                command(m, C_INVLPG, at + page[k] * 4096 + 123, 0, 0);
                unsigned third = warm_run(m, r_base, at + page[0] * 4096, 1);
                for (unsigned j = 1; j < 5; j++)
                    warm_run(m, r_base, at + page[j] * 4096, 1);
                go(m);
                for (unsigned j = 0; j < 5; j++) {
                    assert_int_equal(m->last[n[j]].gpr[RAX], 0x10000 + page[j]);
                    assert_int_equal(m->last[second + j].gpr[RAX], 0x20000 + page[j]);
                    assert_int_equal(m->last[third + j].gpr[RAX], 0x30000 + page[j]);
                }
            }
}

/* ---- A and D ---- */

static void accessed(struct machine *m)
{
    uint64_t cr3 = space_new(m), at = 0x600000, f = frame(m), pte = entry_at(m, cr3, at, 1);
    for (unsigned how = 0; how < BY_INVPCID_0; how++)
        for (unsigned round = 0; round < 3; round++) {
            map(m, cr3, at, f, USER);
            use(m, cr3);
            warm_run(m, r_base, at, WARM);
            go(m);
            assert_int_equal(*word(m, pte) & 0x60, P_A);
            warm_run(m, w_base, at, WARM);
            go(m);
            assert_int_equal(*word(m, pte) & 0x60, P_A | P_D);
            write_entry(m, pte, f | USER);
            flush_by(m, how, cr3, at);
            go(m);
            assert_int_equal(*word(m, pte) & 0x60, 0);
            warm_run(m, r_base, at, 1);
            go(m);
            assert_int_equal(*word(m, pte) & 0x60, P_A);
            warm_run(m, round == 1 ? w_add : w_base, at, 1);
            go(m);
            assert_int_equal(*word(m, pte) & 0x60, P_A | P_D);
            write_entry(m, pte, f | USER | P_D); /* A alone */
            flush_by(m, how, cr3, at);
            warm_run(m, w_base, at, 1);
            go(m);
            assert_int_equal(*word(m, pte) & 0x60, P_A | P_D);
            write_entry(m, pte, f | P_P | P_U | P_A); /* a write that faults */
            flush_by(m, how, cr3, at);
            warm_run(m, w_base, at, 1);
            go(m);
            expect_fault(m->last, 14, 7, at);
            assert_int_equal(*word(m, pte) & 0x60, P_A);
        }
}

/* ---- code that is written ---- */

static void written_code(struct machine *m)
{
    uint64_t cr3 = space_new(m), alias = 0x7f0000123000, sum = 0;
    map(m, cr3, alias, m->code[0], USER);
    map(m, cr3, CODE64, m->code[0], USER);
    map(m, cr3, 0x630000, frame(m), USER);
    for (unsigned n = 1; n <= 60; n++)
        sum += n;
    use(m, cr3);
    for (unsigned k = 0; k < 6; k++) {
        uint64_t *r = regs_for(m, patch);
        r[RBX] = (k & 1 ? alias : CODE64) + m->start[patched] + 1;
        r[RDX] = 60;
        r[RSP] = 0x630800;
        run_it(m, r, 1);
    }
    go(m);
    for (unsigned k = 0; k < 6; k++) {
        expect_end(m, &m->last[k]);
        assert_int_equal(m->last[k].gpr[RAX], sum);
    }
    /* data that becomes code: mov eax, imm32; syscall */
    uint64_t data = 0x610000, elsewhere = 0x555555550000, f = frame(m);
    map(m, cr3, data, f, USER);
    map(m, cr3, elsewhere, f, USER);
    for (unsigned round = 0; round < 8; round++) {
        uint64_t *r = regs_for(m, w_base);
        r[RBX] = (round & 1 ? data : elsewhere) + 0x100;
        r[RAX] = 0x00050f00000000b8 | (uint64_t)(round + 1) << 8;
        run_it(m, r, 1);
        r = regs_for(m, r_base);
        r[R_RIP] = data + 0x100;
        run_it(m, r, WARM);
        unsigned n = m->run_count - 1;
        go(m);
        expect_end(m, &m->last[n]);
        assert_int_equal(m->last[n].gpr[RAX], round + 1);
    }
}

/* ---- pointers ---- */

static void pointer(struct machine *m, enum program p, uint64_t at)
{
    uint64_t *r = regs_for(m, p);
    r[RBX] = r[RBP] = r[RSP] = r[RSI] = r[RDI] = r[R10] = r[R12] = at;
    r[R13] = 0;
    r[RDX] = p == r_scaled ? at >> 3 : 0;
    if (p == r_thread)
        r[R_FS] = (uint64_t)((int64_t)(at << 17) >> 17), r[RBX] = at - r[R_FS];
    run_it(m, r, p == r_base || p == r_frame ? 2 : 1);
}

static bool canonical(uint64_t a)
{
    return (uint64_t)((int64_t)(a << 16) >> 16) == a;
}

static uint64_t random_at(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
    return *seed ^ *seed >> 29;
}

static void pointers(struct machine *m)
{
    uint64_t cr3 = space_new(m), at = 0x555500000000, seed = 1;
    uint64_t list[220];
    unsigned count = 0;
    for (unsigned k = 0; k < 8; k++) {
        map(m, cr3, at + k * 4096, frame(m), USER);
        map(m, cr3, 0x600000 + k * 4096, frame(m), USER);
        map(m, cr3, 0x7ffffff00000 + k * 4096, frame(m), USER);
        map(m, cr3, 0x800000000000 - 4096 * (k + 1), frame(m), USER);
    }
    for (unsigned bit = 30; bit < 64; bit++) {
        list[count++] = at ^ 1ull << bit;
        list[count++] = 0x600000 ^ 1ull << bit;
        list[count++] = at | ~0ull << bit;
    }
    const uint64_t special[] = {0,
                                8,
                                ~0ull,
                                ~7ull,
                                1ull << 47,
                                (1ull << 47) - 8,
                                (1ull << 47) - 3,
                                (1ull << 47) + 4096,
                                0x80000000 - 16,
                                0xffffffff,
                                0x100000000,
                                ~0ull << 47,
                                (~0ull << 47) - 8,
                                0x7ffff0000010,
                                0x800080000000 - 16,
                                0x7fff80000010,
                                0xfffffffff7ff0000,
                                0xffffffffff600000,
                                1ull << 39,
                                (1ull << 39) - 4,
                                0x7fffffff0,
                                0xffff800000000000 - 0x80000000};
    for (unsigned k = 0; k < sizeof(special) / 8; k++)
        list[count++] = special[k];
    while (count < 180)
        list[count++] = random_at(&seed);
    use(m, cr3);
    forms_at(m, at + 64, cr3, WARM);
    forms_at(m, 0x7ffffff00100, cr3, WARM);
    go(m);
    for (unsigned k = 0; k < count; k++) {
        for (unsigned p = r_base; p < walk; p++)
            pointer(m, p, list[k]);
        go(m);
        struct result *base = &m->last[0], *frame_at = &m->last[2];
        if (!canonical(list[k])) {
            expect_fault(base, 13, 0, 0);
            expect_fault(frame_at, 12, 0, 0);
        } else if (list[k] >> 63) {
            expect_fault(base, 14, list[k] >= PHYSMAP && list[k] < PHYSMAP + RAM_BYTES ? 5 : 4,
                         list[k]);
        }
        for (unsigned n = 0; n < (unsigned)(walk - r_base + 2); n++)
            assert_true(m->last[n].vector >= 0x80 || m->last[n].vector == 12 ||
                        m->last[n].vector == 13 || m->last[n].vector == 14);
    }
}

/* What is not RAM, and neighbours of what is. */
static void no_ram(struct machine *m)
{
    uint64_t cr3 = space_new(m), at = 0x620000, f = frame(m), g = frame(m);
    map(m, cr3, at, f, USER);
    map(m, cr3, at + 4096, 0x80000000, USER); /* nothing is there */
    map(m, cr3, at + 8192, g, USER);
    use(m, cr3);
    warm_run(m, w_base, at, WARM);
    unsigned n = warm_run(m, r_base, at + 4096, WARM);
    warm_run(m, w_base, at + 4096, WARM);
    unsigned a = warm_run(m, r_base, at + 4096 - 4, WARM);
    unsigned b = warm_run(m, r_base, at + 8192 - 4, WARM);
    warm_run(m, w_base, at + 4096 - 4, 2);
    warm_run(m, w_base, at + 8192 - 4, 2);
    forms_at(m, at + 4096 + 0x80, cr3, 6);
    *word(m, f + 4088) = 0x1234567811111111;
    *word(m, g) = 0x8765432112345678;
    warm_run(m, r_base, at + 4096, 2);
    n = warm_run(m, r_base, at + 4096, WARM);
    a = warm_run(m, r_base, at + 4096 - 4, WARM);
    b = warm_run(m, r_base, at + 8192 - 4, WARM);
    go(m);
    assert_int_equal(m->last[n].gpr[RAX], ~0ull);
    assert_int_equal(m->last[a].gpr[RAX], 0xffffffff12345678);
    assert_int_equal(m->last[b].gpr[RAX], 0x12345678ffffffff);
}

/* Part of a large page is no RAM: from the start, or all of a sudden. */
static void hidden(struct machine *m)
{
    uint64_t cr3 = space_new(m), at = 0x40000000;
    const struct weir_ram_range parts[] = {{0, 0x2410000}, {0x2412000, RAM_BYTES - 0x2412000}};
    map(m, cr3, at, 0x2400000, USER | P_PS | P_A | P_D);
    use(m, cr3);
    for (unsigned round = 0; round < 4; round++) {
        memset(m->ram + 0x2400000, 0x11, 2 << 20);
        weir_ram_layout(m->vm, round & 1 ? NULL : parts, 2);
        warm_run(m, w_base, at, WARM);
        warm_run(m, r_base, at + 0x1ff000, WARM);
        unsigned n = warm_run(m, r_base, at + 0x11008, WARM);
        warm_run(m, w_base, at + 0x11000, WARM);
        go(m);
        assert_int_equal(m->last[n].gpr[RAX], round & 1 ? 0x1111111111111111 : ~0ull);
        assert_true((*word(m, 0x2411000) == 0x1111111111111111) == !(round & 1));
    }
}

/* ---- 32-bit programs ---- */

/* A flat segment whose stack pointer is SP, among programs with ESP; frames f. */
static void stack_of_16_bits(struct machine *m, uint64_t cr3, const uint64_t *f)
{
    *word(m, entry_at(m, cr3, 0, 2)) = 0; /* the kernel's page of 2 MiB, in small ones */
    for (uint64_t at = 0; at < 2 << 20; at += 4096)
        map(m, cr3, at, at, P_P | P_W);
    map(m, cr3, 0x9000, f[1], USER);
    use(m, cr3);
    for (unsigned k = 0; k < 2; k++) {
        uint64_t *r = regs_for(m, n_stack);
        r[R_SS] = k ? 0x53 : 0x23;
        r[RSP] = 0x609100;
        map(m, cr3, 0x609000, f[0], USER);
        run_it(m, r, WARM);
        go(m);
        expect_end(m, &m->last[WARM - 1]);
        assert_int_equal(*word(m, f[k] + 0xf8) >> 32, r[RAX] & 0xffffffff);
        assert_int_equal(*word(m, f[k] + 0x100) & 0xffffffff, 0);
    }
}

static void compatible(struct machine *m)
{
    uint64_t cr3 = space_new(m), f[4];
    const uint32_t page[4] = {0x600000, 0x601000, 0xfffff000, 0x80000000};
    for (unsigned k = 0; k < 4; k++) {
        f[k] = frame(m);
        frame(m);
        map(m, cr3, page[k], f[k], USER);
        *word(m, f[k] + 0x200) = 0x77777700 + k;
    }
    map(m, cr3, 0x0ull + 0x200000, frame(m), USER);
    use(m, cr3);
    for (unsigned k = 0; k < 4; k++) {
        for (unsigned p = n_read; p < n_jump; p++) {
            if (p == n_thread)
                continue;
            narrow(m, p, page[k] + 0x200, WARM);
            narrow(m, p, page[k] + 0xffe, WARM);
            narrow(m, p, page[k] + 0x10, WARM);
        }
        go(m);
    }
    /* wraps at 4 GiB: up and down */
    uint64_t *r = regs_for(m, n_wrap);
    r[RBX] = 0x80600210u;
    r[RDX] = 0x20000000;
    run_it(m, r, WARM);
    r = regs_for(m, n_far);
    r[RBP] = 0x600200 + 0x7ffffff0u;
    run_it(m, r, WARM);
    unsigned up = m->run_count - 1;
    r = regs_for(m, n_far);
    r[RBP] = 0x7fffefe0u;
    run_it(m, r, WARM);
    go(m);
    assert_int_equal(m->last[up].gpr[RAX], *word(m, f[0] + 0x200) & 0xffffffff);
    stack_of_16_bits(m, cr3, f);
    /* segments */
    unsigned a = narrow(m, n_code_read, 0x600200, WARM);
    unsigned b = narrow(m, n_code_write, 0x600200, WARM);
    r = regs_for(m, n_code_read);
    r[R_CS] = 0x33;
    r[RBX] = 0x600200;
    run_it(m, r, WARM);
    unsigned c = m->run_count - 1;
    go(m);
    expect_end(m, &m->last[a]);
    expect_fault(&m->last[b], 13, 0, 0);
    expect_fault(&m->last[c], 13, 0, 0);
    unsigned n[3];
    const uint32_t selector[3] = {0x23, 0, 0x3b};
    for (unsigned k = 0; k < 3; k++) {
        r = regs_for(m, n_thread);
        r[R_FS_SELECTOR] = selector[k];
        r[R_FS] = 0;
        r[RBX] = 0x600200;
        run_it(m, r, WARM);
        n[k] = m->run_count - 1;
    }
    go(m);
    expect_end(m, &m->last[n[0]]);
    expect_fault(&m->last[n[1]], 13, 0, 0);
    expect_fault(&m->last[n[2]], 13, 0, 0); /* beyond its limit */
    /* the same changes as elsewhere */
    for (unsigned how = 0; how < BY_INVPCID_0; how++) {
        uint64_t x = frame(m), pte = entry_at(m, cr3, 0x600000, 1);
        *word(m, x + 0x200) = 0x5555;
        map(m, cr3, 0x600000, f[0], USER);
        use(m, cr3);
        narrow(m, n_read, 0x600200, WARM);
        narrow(m, n_write, 0x600300, WARM);
        write_entry(m, pte, x | P_P | P_U);
        flush_by(m, how, cr3, 0x600000);
        a = narrow(m, n_read, 0x600200, 1);
        b = narrow(m, n_write, 0x600200, 1);
        write_entry(m, pte, 0);
        flush_by(m, how, cr3, 0x600000);
        c = narrow(m, n_read, 0x600200, 1);
        go(m);
        assert_int_equal(m->last[a].gpr[RAX], 0x5555);
        expect_fault(&m->last[b], 14, 7, 0x600200);
        expect_fault(&m->last[c], 14, 4, 0x600200);
    }
    /* 64-bit code in the same address space takes turns with it, with one PCID for several */
    for (unsigned k = 0; k < 10; k++) {
        map(m, cr3, 0x555500000000, f[2], USER);
        narrow(m, n_group, 0x600200, WARM);
        warm_run(m, r_group, 0x555500000200, WARM);
    }
    go(m);
}

/* ---- what is known of one register and not of another ---- */

static uint64_t faults_so_far(const struct machine *m)
{
    struct weir_jit_stats stats = {.size = sizeof(stats)};
    return weir_jit_stats_get(m->vm, &stats) == 0 ? stats.window_faults : 0;
}

/* An access by another register's distance meets nothing, and C helps; there are four pages. */
static void near_and_far(struct machine *m)
{
    static const uint64_t high = 0x7f0000000000, far = 0x555500000000;
    uint64_t cr3 = space_new(m);
    for (unsigned k = 0; k < 3; k++) {
        uint64_t f = frame(m), low = 0x600000, at[3] = {high + low, far, low};
        *word(m, f + 0x200) = 1000 << k;
        *word(m, f + 0x208) = 300000 << k;
        *word(m, f + 0x210) = 70 << k;
        map(m, cr3, at[k], f, USER);
    }
    map(m, cr3, high, frame(m), USER);
    use(m, cr3);
    uint64_t *r = regs_for(m, near_far);
    r[RBX] = high + 0x600200;
    r[RBP] = far + 0x200;
    r[RSP] = high + 0x800;
    run_it(m, r, 80);
    go(m);
    expect_end(m, m->last);
    assert_int_equal(m->last->gpr[RAX], 301000 + 2 * 602000 + 1070 + 1204000 + 140);
    assert_true(faults_so_far(m) <= 4);
}

/* ---- more address spaces than windows ---- */

static void thousand(struct machine *m)
{
    uint64_t cr3[50];
    for (unsigned k = 0; k < 50; k++) {
        cr3[k] = space_new(m);
        for (unsigned p = 0; p < 4; p++) {
            uint64_t f = frame(m);
            *word(m, f + 64) = k;
            map(m, cr3[k], 0x7f0000000000 + p * 4096, f, USER);
            map(m, cr3[k], 0x600000 + p * 4096, f, USER);
        }
    }
    for (unsigned n = 0; n < 1000; n += 50) {
        for (unsigned k = 0; k < 50; k++) {
            use(m, cr3[k]);
            if ((n / 50 + k) & 1) {
                narrow(m, n_read, 0x600040, 1);
                narrow(m, n_write, 0x601000, 1);
                narrow(m, n_read, 0x600040, 1);
                continue;
            }
            warm_run(m, r_base, 0x7f0000000040, 1);
            warm_run(m, w_base, 0x7f0000001000, 1);
            warm_run(m, r_base, 0x600040, 1);
        }
        go(m);
        for (unsigned k = 0; k < 50; k++) {
            assert_int_equal(m->last[k * 3].gpr[RAX], k);
            expect_end(m, &m->last[k * 3 + 1]);
            assert_int_equal(m->last[k * 3 + 2].gpr[RAX], k);
        }
    }
}

/* ---- code of one kind must not be reached where it is not for ---- */

#define EVIL_BYTES (1u << 20)
static uint8_t evil[EVIL_BYTES];

/* User's page 0, whose contents must never be taken for a table of distances: then they lead
 * accesses near `linear` to `evil`. */
static void map_evil(struct machine *m, uint64_t cr3, uint64_t linear)
{
    uint64_t pt = page_take(m, &m->next_table), f = frame(m);
    for (unsigned n = 1; n < 512; n++)
        *word(m, pt + n * 8) = n * 4096 | P_P | P_W;
    *word(m, pt) = f | USER;
    *word(m, entry_at(m, cr3, 0, 2)) = pt | USER;
    *word(m, f + (linear >> 39) * 8) = (uint64_t)(uintptr_t)evil + EVIL_BYTES / 2 - linear;
}

/* One PCID, page tables of several programs without a flush, one of 32 bits: what was known stays
 * so. Which of the tables counts is open, so they lead to the same. */
static void one_pcid(struct machine *m)
{
    uint64_t a = space_new(m), b = space_new(m), at = 0x600000, high = 0x7f0000000000;
    uint64_t f = frame(m), g = frame(m), *r;
    map(m, a, at, f, USER);
    map(m, b, at, f, USER);
    map(m, a, high, g, USER);
    map(m, b, high, g, USER);
    map_evil(m, b, high);
    /* inc eax; mov [rbp + 8], rbx; ret: flags are live at the access */
    memcpy(m->ram + m->code[0] + 0xf00, "\xff\xc0\x48\x89\x5d\x08\xc3", 7);
    memcpy(m->ram + m->code[1] + 0xf00, "\xff\xc0\x89\x5d\x08\xc3", 6);
    *word(m, f + 64) = CODE32 + 0xf00;
    *word(m, g + 64) = CODE64 + 0xf00;
    memset(evil, 0, EVIL_BYTES);
    use(m, a);
    command(m, C_CR4, m->cr4 | 1 << 17, 0, 0);
    for (unsigned k = 0; k < 6; k++) {
        bool wide = k & 1; /* that of b */
        enum program p = wide ? n_jump : jumps;
        use(m, b | 5);
        if (wide)
            warm_run(m, r_base, high, 20);
        else
            narrow(m, n_read, 0x10, 20);
        for (unsigned turn = 0; turn < 6; turn++) {
            use(m, (turn & 1 ? b : a) | 5 | NO_FLUSH);
            r = regs_for(m, p);
            r[RBX] = wide ? at : high;
            r[RBP] = r[RBX] + 64;
            r[RSP] = r[RBX] + 2048;
            r[RDX] = 40;
            run_it(m, r, turn ? 4 : 30);
        }
        go(m);
        for (struct result *end = m->last; end < m->log + m->logged; end++)
            expect_end(m, end);
        for (unsigned n = 0; n < EVIL_BYTES; n++)
            assert_int_equal(evil[n], 0);
    }
}

/* Found by samples: other programs share the code, but have no window. */
static void samples(bool low)
{
    struct machine m = {.log = logs[0]};
    bool can = host_low_free();
    struct weir_jit_stats stats = {.size = sizeof(stats)};
    machine_new(&m, "jit", 0, false);
    uint64_t a = space_new(&m), b = space_new(&m), at = 0x600000;
    void *page = low ? NULL
                     : mmap((void *)0x10600000, 4096, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    map(&m, a, at, frame(&m), USER);
    map(&m, b, at, FRAMES, USER);
    *word(&m, FRAMES + 64) = CODE32 + 0xf00;
    memset(m.ram + m.code[1] + 0xf00, 0xc3, 1);
    for (unsigned n = 0; n < 40; n++) {
        use(&m, a);
        uint64_t *r = regs_for(&m, n_jump);
        r[RBX] = at;
        r[RBP] = at + 64;
        r[RSP] = at + 2048;
        r[RDX] = 3000000;
        run_it(&m, r, 1);
        map(&m, a, 0x10600000, FRAMES, USER);
        narrow(&m, n_read, 0x10600000, WARM);
        use(&m, b);
        r = regs_for(&m, n_jump);
        r[RBX] = at;
        r[RBP] = at + 64;
        r[RSP] = at + 2048;
        r[RDX] = 1000;
        run_it(&m, r, 1);
        r = regs_for(&m, n_jump);
        r[RBX] = 0x10600000;
        r[RBP] = at + 64;
        r[RSP] = at + 2048;
        r[RDX] = 1000;
        run_it(&m, r, 1);
        go(&m);
        expect_end(&m, &m.last[0]);
        expect_end(&m, &m.last[WARM]);
        expect_end(&m, &m.last[WARM + 1]);
        expect_fault(&m.last[WARM + 2], 14, 4, 0x10600000);
    }
    weir_jit_stats_get(m.vm, &stats);
    assert_true(stats.windows_opened > 0);
    assert_true((jit_windows_low(m.c) > 0) == (low && can));
    weir_destroy(m.vm);
    host_low_leave(page);
}

static void sampled(void **state)
{
    samples(false);
}

static void sampled_low(void **state)
{
    samples(true);
}

/* The host has no room for more mappings, and a page goes. */
static void crowded(void **state)
{
    enum { MAPPINGS = 70000 };
    struct machine m = {.log = logs[0]};
    machine_new(&m, "jit", 0, true);
    uint64_t cr3 = space_new(&m), at = 0x555540000000; /* far from all large pages */
    for (unsigned k = 0; k < 64; k++)
        map(&m, cr3, at + k * 4096, FRAMES + k * 4096, USER);
    m.next_frame += 64 * 4096;
    use(&m, cr3);
    uint64_t *r = regs_for(&m, walk);
    r[RBX] = at;
    r[R8] = 4096;
    r[RDX] = 64;
    run_it(&m, r, 8);
    warm_run(&m, r_base, at + 20 * 4096, WARM);
    go(&m);
    uint8_t *many = mmap(NULL, MAPPINGS * 4096ull, PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(many != MAP_FAILED);
    for (unsigned k = 0; k < MAPPINGS; k += 2)
        if (mprotect(many + k * 4096ull, 4096, PROT_READ) < 0)
            break;
    write_entry(&m, entry_at(&m, cr3, at + 20 * 4096, 1), 0);
    command(&m, C_INVLPG, at + 20 * 4096, 0, 0);
    unsigned n = warm_run(&m, r_base, at + 20 * 4096, 3);
    unsigned k = warm_run(&m, r_base, at + 21 * 4096, 3);
    go(&m);
    munmap(many, MAPPINGS * 4096ull);
    expect_fault(&m.last[n], 14, 4, at + 20 * 4096);
    expect_end(&m, &m.last[k]);
    weir_destroy(m.vm);
}

#define SCENARIO(name, faults) SCENARIO_OF(name, faults, false)
#define SCENARIO_OF(name, faults, narrow)                                                      \
    static void test_##name(void **state)                                                      \
    {                                                                                          \
        on_all(&(struct scenario){name, faults, narrow});                                      \
    }
SCENARIO(accesses, 100)
SCENARIO(changes, 20)
SCENARIO(pcids, 20)
SCENARIO(large, 20)
SCENARIO(accessed, 10)
SCENARIO(written_code, 5)
SCENARIO(pointers, 100)
SCENARIO(no_ram, 10)
SCENARIO(hidden, 3)
SCENARIO(near_and_far, 3)
SCENARIO_OF(compatible, 20, true)
SCENARIO_OF(thousand, 1000, true)
SCENARIO_OF(one_pcid, 2, true)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accesses),     cmocka_unit_test(test_changes),
        cmocka_unit_test(test_pcids),        cmocka_unit_test(test_large),
        cmocka_unit_test(test_accessed),     cmocka_unit_test(test_written_code),
        cmocka_unit_test(test_pointers),     cmocka_unit_test(test_no_ram),
        cmocka_unit_test(test_hidden),       cmocka_unit_test(test_compatible),
        cmocka_unit_test(test_thousand),     cmocka_unit_test(test_one_pcid),
        cmocka_unit_test(test_near_and_far), cmocka_unit_test(sampled),
        cmocka_unit_test(sampled_low),       cmocka_unit_test(crowded),
    };
    if (argc == 3) {
        cmocka_set_test_filter(argv[2]);
        argc = 2;
    }
    return run_image_tests(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
