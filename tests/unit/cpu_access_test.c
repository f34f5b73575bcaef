/* SPDX-License-Identifier: MIT */
/* Memory accesses: segment checks (fast path against the rules), pages, devices,
 * read-modify-write, alignment, data breakpoints, ports. */
#include "bare_fixture.h"

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8 ^ *seed << 13;
}

/* What the SDM says about an access in protected mode, without any cache. */
static bool rule(const struct segment *s, uint64_t offset, unsigned size, enum access access)
{
    bool code = s->attr & SEG_ATTR_CODE;
    if (!(s->attr & SEG_ATTR_P))
        return false;
    if (access == ACCESS_WRITE && (code || !(s->attr & SEG_ATTR_RW)))
        return false;
    if (access == ACCESS_READ && code && !(s->attr & SEG_ATTR_RW))
        return false;
    uint64_t last = offset + size - 1;
    if (!code && (s->attr & SEG_ATTR_DC))
        return offset > s->limit && last <= (s->attr & SEG_ATTR_DB ? 0xffffffff : 0xffff);
    return last <= s->limit || s->limit == 0xffffffff;
}

static void test_segment_rules(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    uint32_t seed = 1;
    bare_protected(b);
    static const uint32_t limits[] = {0, 1, 0xfff, 0xffff, 0x10000, 0xfffffffe, 0xffffffff};
    static const uint8_t sizes[] = {1, 2, 4, 8, 10, 16, 64};
    for (unsigned k = 0; k < 200000; k++) {
        struct segment *s = &c->seg[SEG_DS];
        s->attr = SEG_ATTR_S | (next_random(&seed) & 0x408f);
        s->limit = limits[next_random(&seed) % ARRAY_SIZE(limits)];
        s->base = next_random(&seed);
        seg_cache_update(c, SEG_DS);
        unsigned size = sizes[next_random(&seed) % ARRAY_SIZE(sizes)];
        uint64_t offset = (uint32_t)(s->limit + next_random(&seed) % 80 - 40);
        if (next_random(&seed) % 4 == 0)
            offset = next_random(&seed) % 0x20000;
        enum access access = next_random(&seed) & 1 ? ACCESS_READ : ACCESS_WRITE;
        uint64_t linear = 0;
        bool ok = seg_linear(c, SEG_DS, offset, size, access, &linear);
        assert_int_equal(ok, rule(s, offset, size, access));
        if (ok)
            assert_int_equal(linear, (uint32_t)(s->base + offset));
        else
            expect(VEC_GP, 0);
    }
}

static void test_stack_segment_fault(void **state)
{
    (void)state;
    uint64_t v;
    bare_protected(b);
    b->cpu.seg[SEG_SS].limit = 0xfff;
    seg_cache_update(&b->cpu, SEG_SS);
    assert_false(mem_load(&b->cpu, SEG_SS, 0xffd, 4, &v));
    expect(VEC_SS, 0);
    assert_true(mem_load(&b->cpu, SEG_SS, 0xffc, 4, &v));
}

static void test_canonical(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    uint64_t v;
    bare_long(b);
    assert_false(mem_load(c, SEG_DS, 0x800000000000ull, 8, &v));
    expect(VEC_GP, 0);
    assert_false(mem_load(c, SEG_SS, 0xffff7fffffffffffull, 1, &v));
    expect(VEC_SS, 0);
    assert_false(mem_store(c, SEG_DS, 0x7ffffffffffcull, 8, 0)); /* last bytes beyond */
    expect(VEC_GP, 0);
    assert_false(mem_load(c, SEG_DS, 0x7ffffffff000ull, 8, &v)); /* canonical: #PF */
    expect(VEC_PF, 0);
    uint8_t big[64];
    assert_false(mem_read_bytes(c, SEG_GS, 0x8000000000000000ull, big, 64));
    expect(VEC_GP, 0);
    c->seg[SEG_FS].base = 0x700000;
    seg_cache_update(c, SEG_FS);
    bare_put(b, 0x700010, 8, 0x1122334455667788);
    assert_true(mem_load(c, SEG_FS, 0x10, 8, &v));
    assert_int_equal(v, 0x1122334455667788);
    assert_true(
        mem_load(c, SEG_FS, (uint64_t)-0x10, 8, &v)); /* below the base: wraps, no limit */
}

static void test_page_crossing(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    uint64_t v;
    bare_protected(b);
    /* Two adjacent linear pages to two distant physical ones. */
    bare_put(b, 0x100000, 4, 0x101000 | PAGE_P | PAGE_W);
    for (unsigned k = 0; k < 16; k++)
        bare_put(b, 0x101000 + 4 * k, 4, k << 12 | PAGE_P | PAGE_W);
    bare_put(b, 0x101100, 4, 0x300000 | PAGE_P | PAGE_W);
    bare_put(b, 0x101104, 4, 0x500000 | PAGE_P | PAGE_W);
    c->cr3 = 0x100000;
    c->cr0 |= CR0_PG;
    cpu_mode_update(c);
    for (unsigned twice = 0; twice < 2; twice++) { /* TLB cold, then warm */
        assert_true(mem_store(c, SEG_DS, 0x40ffd, 8, 0x8877665544332211));
        assert_int_equal(bare_get(b, 0x300ffd, 3), 0x332211);
        assert_int_equal(bare_get(b, 0x500000, 5), 0x8877665544);
        assert_true(mem_load(c, SEG_DS, 0x40ffd, 8, &v));
        assert_int_equal(v, 0x8877665544332211);
    }
    /* The second page is missing: nothing of the store may be seen. */
    assert_false(mem_store(c, SEG_DS, 0x41ffe, 4, ~0u));
    assert_int_equal(c->fault.vector, VEC_PF);
    assert_int_equal(c->fault.address, 0x42000);
    assert_int_equal(bare_get(b, 0x500ffe, 2), 0);
    uint8_t bytes[64];
    memset(bytes, 0xaa, sizeof(bytes));
    assert_false(mem_write_bytes(c, SEG_DS, 0x41fe0, bytes, 64));
    assert_int_equal(bare_get(b, 0x500fe0, 8), 0);
    struct mem_rmw m;
    assert_true(mem_rmw_begin(c, SEG_DS, 0x40ffe, 4, &m));
    assert_null(m.host);
    mem_rmw_commit(c, &m, (uint64_t[2]){m.value[0] + 0x01010101, 0});
    assert_int_equal(bare_get(b, 0x300ffd, 3), 0x342311);
    assert_int_equal(bare_get(b, 0x500000, 5), 0x8877665645);
    uint8_t code[15];
    unsigned count;
    uint64_t gpa;
    assert_true(mem_fetch(c, 0x41ffb, code, &count, &gpa));
    assert_int_equal(count, 5);
    assert_int_equal(gpa, 0x500ffb);
    assert_true(mem_fetch(c, 0x40ffb, code, &count, &gpa));
    assert_int_equal(count, 15);
    assert_false(mem_fetch(c, 0x42000, code, &count, &gpa));
    assert_int_equal(c->fault.error, 0);
}

static void test_linear_wraps_at_4gib(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    bare_protected(b);
    c->seg[SEG_DS].base = 0xffffe000;
    seg_cache_update(c, SEG_DS);
    assert_true(mem_store(c, SEG_DS, 0x3000, 4, 0x11223344)); /* linear 0x1000 */
    assert_int_equal(bare_get(b, 0x1000, 4), 0x11223344);
}

static void test_device(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    uint64_t v;
    bare_protected(b);
    assert_true(mem_store(c, SEG_DS, BARE_MMIO + 8, 4, 0x12345678));
    assert_true(mem_load(c, SEG_DS, BARE_MMIO + 8, 2, &v));
    assert_int_equal(v, 0x5678);
    assert_int_equal(b->access_count, 2);
    assert_true(b->accesses[0].write);
    assert_int_equal(b->accesses[0].size, 4);
    assert_int_equal(b->accesses[1].size, 2);
    struct mem_rmw m;
    assert_true(mem_rmw_begin(c, SEG_DS, BARE_MMIO + 8, 4, &m));
    assert_null(m.host);
    mem_rmw_commit(c, &m, (uint64_t[2]){m.value[0] + 1, 0});
    assert_int_equal(b->access_count, 4);
    assert_int_equal(b->accesses[3].value, 0x12345679);
    uint64_t length = 16;
    assert_null(mem_chunk(c, BARE_MMIO, ACCESS_WRITE, &length));
    uint8_t bytes[16];
    b->access_count = 0;
    assert_true(mem_read_bytes(c, SEG_DS, BARE_MMIO + 16, bytes, 16));
    assert_int_equal(b->access_count, 2);
    assert_int_equal(b->accesses[0].size, 8);
}

static void test_rom(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    uint64_t v;
    static uint8_t rom[4096] = {0x11};
    assert_non_null(bus_map_memory(&b->mem, 0xfffff000, 4096, rom, NULL, true, 0, "rom"));
    tlb_flush_all(c);
    bare_protected(b);
    assert_true(mem_load(c, SEG_DS, 0xfffff000, 1, &v));
    assert_int_equal(v, 0x11);
    assert_true(mem_store(c, SEG_DS, 0xfffff000, 1, 0x22)); /* dropped */
    assert_true(mem_load(c, SEG_DS, 0xfffff000, 1, &v));
    assert_int_equal(v, 0x11);
}

static void test_a20(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    uint64_t v;
    bare_protected(b);
    bare_put(b, 0x10, 4, 1);
    bare_put(b, 0x100010, 4, 2);
    c->a20_mask = ~(uint64_t)BIT(20);
    tlb_flush_all(c);
    assert_true(mem_load(c, SEG_DS, 0x100010, 4, &v));
    assert_int_equal(v, 1);
    c->a20_mask = ~0ull;
    tlb_flush_all(c);
    assert_true(mem_load(c, SEG_DS, 0x100010, 4, &v));
    assert_int_equal(v, 2);
}

static void test_alignment(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    uint64_t v;
    bare_user(b);
    assert_true(mem_load(c, SEG_DS, 0x20001, 4, &v));
    c->cr0 |= CR0_AM;
    cpu_set_rflags(c, FLAG_AC | FLAG_FIXED);
    assert_false(mem_load(c, SEG_DS, 0x20001, 4, &v));
    expect(VEC_AC, 0);
    assert_true(c->fault.has_error);
    assert_true(mem_load(c, SEG_DS, 0x20001, 1, &v));
    assert_true(mem_store(c, SEG_DS, 0x20004, 4, 1));
    assert_false(mem_store(c, SEG_DS, 0x20004, 8, 1));
    expect(VEC_AC, 0);
    struct mem_rmw m;
    assert_false(mem_rmw_begin(c, SEG_DS, 0x20003, 2, &m));
    expect(VEC_AC, 0);
}

static void test_data_breakpoints(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    uint64_t v;
    bare_protected(b);
    assert_true(mem_store(c, SEG_DS, 0x20010, 4, 1)); /* in the TLB already */
    assert_true(dr_write(c, 1, 0x20010));
    assert_true(dr_write(c, 7, 1 << 2 | 0xdull << 20)); /* L1, write, 4 bytes */
    assert_true(mem_load(c, SEG_DS, 0x20010, 4, &v));
    assert_int_equal(c->pending_dr6, 0);
    assert_true(mem_store(c, SEG_DS, 0x20014, 4, 1));
    assert_int_equal(c->pending_dr6, 0);
    assert_true(mem_store(c, SEG_DS, 0x2000f, 2, 1)); /* one byte of it */
    assert_int_equal(c->pending_dr6, 2);
    assert_true(debug_after(c, false, false));
    assert_int_equal(c->fault.vector, VEC_DB);
    assert_int_equal(c->fault.dr6_bits, 2);
    assert_int_equal(c->pending_dr6, 0);
    assert_true(dr_write(c, 7, 1 << 2 | 0xfull << 20)); /* reads too */
    assert_true(mem_load(c, SEG_DS, 0x20013, 1, &v));
    assert_int_equal(c->pending_dr6, 2);
    c->shadow = SHADOW_MOV_SS;
    assert_false(debug_after(c, true, false)); /* held back */
    c->shadow = 0;
    assert_true(debug_after(c, false, false));
    assert_true(dr_write(c, 7, 0));
    assert_true(mem_store(c, SEG_DS, 0x20010, 4, 1));
    assert_int_equal(c->pending_dr6, 0);
    assert_non_null(tlb_write_hit(c, 0x20010, 4));
}

static void test_port_permission(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    bare_user(b);
    bare_put(b, BARE_TSS + 0x66, 2, 0x68);
    memset(bare_ram(b, BARE_TSS + 0x68), 0xff, 0x2001);
    bare_put(b, BARE_TSS + 0x68 + 0x70 / 8, 1, 0xfc); /* 70h, 71h allowed */
    c->seg[SEG_TR].limit = 0x68 + 0x2000;
    assert_true(io_permitted(c, 0x70, 1));
    assert_true(io_permitted(c, 0x70, 2));
    assert_false(io_permitted(c, 0x71, 2));
    expect(VEC_GP, 0);
    bare_put(b, BARE_TSS + 0x68 + 0x1fff, 1, 0);
    assert_true(io_permitted(c, 0xfff8, 4));
    c->seg[SEG_TR].limit = 0x68 + 0xf; /* map cut off */
    assert_false(io_permitted(c, 0x80, 1));
    cpu_set_rflags(c, FLAG_IOPL | FLAG_FIXED);
    assert_true(io_permitted(c, 0x80, 1));
    cpu_set_rflags(c, FLAG_IOPL | FLAG_VM | FLAG_FIXED); /* V86: the map counts even so */
    assert_false(io_permitted(c, 0x80, 1));
}

static void test_layout_change(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    uint64_t v;
    static uint8_t window[4096];
    bare_protected(b);
    assert_true(mem_store(c, SEG_DS, 0x30000, 4, 7));
    memset(window, 0x5a, sizeof(window));
    struct weir_region *r =
        bus_map_memory(&b->mem, 0x30000, 4096, window, NULL, false, 1, "window");
    tlb_flush_all(c); /* what ATTENTION_BUS makes the loop do */
    assert_true(mem_load(c, SEG_DS, 0x30000, 4, &v));
    assert_int_equal(v, 0x5a5a5a5a);
    bus_unmap(r);
    tlb_flush_all(c);
    assert_true(mem_load(c, SEG_DS, 0x30000, 4, &v));
    assert_int_equal(v, 7);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_segment_rules),
        T(test_stack_segment_fault),
        T(test_canonical),
        T(test_page_crossing),
        T(test_linear_wraps_at_4gib),
        T(test_device),
        T(test_rom),
        T(test_a20),
        T(test_alignment),
        T(test_data_breakpoints),
        T(test_port_permission),
        T(test_layout_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
