/* SPDX-License-Identifier: MIT */
/* Paging: translation in every mode, fault codes, accessed and dirty bits, what flushes keep.
 */
#include "bare_fixture.h"

#define NX BIT64(63)

static void expect_fault(uint64_t linear, enum access access, enum tlb_kind kind,
                         uint32_t error)
{
    uint64_t gpa;
    assert_false(tlb_translate(&b->cpu, linear, access, kind, &gpa));
    assert_int_equal(b->cpu.fault.vector, VEC_PF);
    assert_int_equal(b->cpu.fault.error, error);
    assert_int_equal(b->cpu.fault.address, linear);
}

static void expect_gpa(uint64_t linear, enum access access, enum tlb_kind kind, uint64_t want)
{
    uint64_t gpa = 0;
    assert_true(tlb_translate(&b->cpu, linear, access, kind, &gpa));
    assert_int_equal(gpa, want);
}

/* One 4 KiB page in 4-level paging at linear 0x40000000 (second GiB): PTE at 0x105000. */
#define AT     0x40000000ull
#define PTE_AT 0x105000u
static void page_4level(uint64_t pde, uint64_t pte)
{
    bare_long(b);
    bare_put(b, 0x101008, 8, 0x104000 | PAGE_P | PAGE_W | PAGE_U);
    bare_put(b, 0x104000, 8, 0x105000 | pde);
    bare_put(b, PTE_AT, 8, pte);
    tlb_flush_all(&b->cpu);
}

static void test_4level_rights(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    uint32_t all = PAGE_P | PAGE_W | PAGE_U;
    page_4level(all, 0);
    expect_fault(AT, ACCESS_READ, TLB_SUPER, 0);
    expect_fault(AT, ACCESS_WRITE, TLB_USER, PF_ERR_W | PF_ERR_U);
    page_4level(all, 0x200000 | PAGE_P);
    expect_gpa(AT + 0x123, ACCESS_READ, TLB_SUPER, 0x200123);
    expect_fault(AT, ACCESS_READ, TLB_USER, PF_ERR_P | PF_ERR_U);
    expect_gpa(AT, ACCESS_WRITE, TLB_SUPER, 0x200000); /* WP = 0 */
    c->cr0 |= CR0_WP;
    tlb_flush_all(c);
    expect_fault(AT, ACCESS_WRITE, TLB_SUPER, PF_ERR_P | PF_ERR_W);
    /* Rights are those of all levels together. */
    page_4level(PAGE_P | PAGE_U, 0x200000 | all);
    c->cr0 |= CR0_WP;
    expect_fault(AT, ACCESS_WRITE, TLB_USER, PF_ERR_P | PF_ERR_W | PF_ERR_U);
    page_4level(PAGE_P | PAGE_W, 0x200000 | all);
    expect_fault(AT, ACCESS_READ, TLB_USER, PF_ERR_P | PF_ERR_U);
}

static void test_no_execute(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    uint32_t all = PAGE_P | PAGE_W | PAGE_U;
    page_4level(all, 0x200000 | all | NX);
    /* NXE off: bit 63 is reserved. */
    expect_fault(AT, ACCESS_READ, TLB_USER, PF_ERR_P | PF_ERR_RSVD | PF_ERR_U);
    c->efer |= EFER_NXE;
    expect_gpa(AT, ACCESS_READ, TLB_USER, 0x200000);
    expect_fault(AT, ACCESS_EXECUTE, TLB_USER, PF_ERR_P | PF_ERR_I | PF_ERR_U);
    expect_fault(AT, ACCESS_EXECUTE, TLB_SUPER, PF_ERR_P | PF_ERR_I);
    bare_put(b, PTE_AT, 8, 0);
    tlb_flush_all(c);
    expect_fault(AT, ACCESS_EXECUTE, TLB_USER, PF_ERR_I | PF_ERR_U);
    c->efer &= ~EFER_NXE;
    expect_fault(AT, ACCESS_EXECUTE, TLB_USER, PF_ERR_U); /* I is reported only with NXE/SMEP */
}

static void test_smep_smap(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    uint32_t all = PAGE_P | PAGE_W | PAGE_U;
    page_4level(all, 0x200000 | all);
    c->cr4 |= CR4_SMEP | CR4_SMAP;
    expect_fault(AT, ACCESS_EXECUTE, TLB_SUPER, PF_ERR_P | PF_ERR_I);
    expect_fault(AT, ACCESS_READ, TLB_SUPER, PF_ERR_P);
    expect_fault(AT, ACCESS_WRITE, TLB_SUPER, PF_ERR_P | PF_ERR_W);
    expect_gpa(AT, ACCESS_WRITE, TLB_SUPER_AC, 0x200000);
    expect_fault(AT, ACCESS_EXECUTE, TLB_SUPER_AC, PF_ERR_P | PF_ERR_I);
    expect_gpa(AT, ACCESS_EXECUTE, TLB_USER, 0x200000);
    /* Which table the vCPU uses follows CPL and AC. */
    cpu_mode_update(c);
    assert_ptr_equal(c->tlb, tlb_table(c, TLB_SUPER)->entry);
    cpu_set_rflags(c, FLAG_AC | FLAG_FIXED);
    assert_ptr_equal(c->tlb, tlb_table(c, TLB_SUPER_AC)->entry);
    c->cpl = 3;
    cpu_mode_update(c);
    assert_ptr_equal(c->tlb, tlb_table(c, TLB_USER)->entry);
    c->cr0 |= CR0_AM;
    cpu_mode_update(c);
    assert_ptr_equal(c->tlb, tlb_table(c, TLB_USER_ALIGNED)->entry);
}

static void test_reserved_bits(void **state)
{
    (void)state;
    uint32_t all = PAGE_P | PAGE_W | PAGE_U;
    page_4level(all, 0x200000 | all | BIT64(cpu_phys_bits(&b->cpu)));
    expect_fault(AT, ACCESS_READ, TLB_USER, PF_ERR_P | PF_ERR_RSVD | PF_ERR_U);
    page_4level(all | PAGE_PS | 1 << 13, 0);
    expect_fault(AT, ACCESS_WRITE, TLB_USER, PF_ERR_P | PF_ERR_RSVD | PF_ERR_U | PF_ERR_W);
    page_4level(all, 0x200000 | all);
    bare_put(b, 0x100000, 8, bare_get(b, 0x100000, 8) | PAGE_PS); /* PML4E.PS */
    expect_fault(AT, ACCESS_READ, TLB_SUPER, PF_ERR_P | PF_ERR_RSVD);
    /* Bits 62:52 are ignored in 4-level paging. */
    page_4level(all, 0x200000 | all | 0x7ffull << 52);
    expect_gpa(AT, ACCESS_READ, TLB_USER, 0x200000);
}

static void test_accessed_dirty(void **state)
{
    (void)state;
    uint32_t all = PAGE_P | PAGE_W | PAGE_U;
    page_4level(all, 0x200000 | PAGE_P | PAGE_U);
    b->cpu.cr0 |= CR0_WP;
    expect_fault(AT, ACCESS_WRITE, TLB_USER, PF_ERR_P | PF_ERR_W | PF_ERR_U);
    assert_int_equal(bare_get(b, PTE_AT, 8) & (PAGE_A | PAGE_D), 0); /* refused: untouched */
    page_4level(all, 0x200000 | all);
    expect_gpa(AT, ACCESS_READ, TLB_USER, 0x200000);
    assert_int_equal(bare_get(b, PTE_AT, 8) & (PAGE_A | PAGE_D), PAGE_A);
    assert_int_equal(bare_get(b, 0x104000, 8) & (PAGE_A | PAGE_D), PAGE_A);
    assert_int_equal(bare_get(b, 0x100000, 8) & PAGE_A, PAGE_A);
    /* The entry was read with D = 0: a write must walk again and set it. */
    expect_gpa(AT, ACCESS_WRITE, TLB_USER, 0x200000);
    assert_int_equal(bare_get(b, PTE_AT, 8) & (PAGE_A | PAGE_D), PAGE_A | PAGE_D);
}

static void test_32bit(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    bare_protected(b);
    bare_put(b, 0x100000, 4, 0x101000 | PAGE_P | PAGE_W | PAGE_U);
    bare_put(b, 0x101004, 4, 0x300000 | PAGE_P | PAGE_U);
    bare_put(b, 0x100004, 4, 0x800000 | PAGE_P | PAGE_W | PAGE_U | PAGE_PS);
    c->cr3 = 0x100000;
    c->cr0 |= CR0_PG | CR0_WP;
    c->cr4 = CR4_PSE;
    tlb_flush_all(c);
    cpu_mode_update(c);
    expect_gpa(0x1abc, ACCESS_READ, TLB_USER, 0x300abc);
    expect_fault(0x1abc, ACCESS_WRITE, TLB_SUPER, PF_ERR_P | PF_ERR_W);
    expect_gpa(0x400000 + 0x123456, ACCESS_WRITE, TLB_USER, 0x800000 + 0x123456);
    assert_int_equal(bare_get(b, 0x100004, 4) & PAGE_D, PAGE_D);
    expect_fault(0x2000, ACCESS_EXECUTE, TLB_SUPER, 0); /* no PAE: no I bit */
    /* PSE-36: bits 16:13 are address bits 35:32; bit 21 is reserved. */
    bare_put(b, 0x100008, 4, 0x00800000 | 3 << 13 | PAGE_P | PAGE_W | PAGE_PS);
    expect_gpa(0x800000, ACCESS_READ, TLB_SUPER, 0x300800000ull);
    bare_put(b, 0x10000c, 4, 0x00a00000 | PAGE_P | PAGE_W | PAGE_PS);
    expect_fault(0xc00000, ACCESS_READ, TLB_SUPER, PF_ERR_P | PF_ERR_RSVD);
    /* Without CR4.PSE the bit is ignored: a page table. */
    c->cr4 = 0;
    tlb_flush_all(c);
    bare_put(b, 0x800000, 4, 0x300000 | PAGE_P);
    expect_gpa(0x400000, ACCESS_READ, TLB_SUPER, 0x300000);
}

static void test_pae(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    bare_protected(b);
    bare_put(b, 0x100020, 8, 0x101000 | PAGE_P); /* PDPT at 0x100020: 32-byte aligned */
    bare_put(b, 0x101000, 8, 0x102000 | PAGE_P | PAGE_W | PAGE_U);
    bare_put(b, 0x101008, 8, 0x400000 | PAGE_P | PAGE_W | PAGE_U | PAGE_PS);
    bare_put(b, 0x102000, 8, 0x300000 | PAGE_P | PAGE_U);
    c->cr4 = CR4_PAE;
    c->cr3 = 0x100020;
    assert_int_equal(cr_write(c, 0, CR0_PE | CR0_PG | CR0_WP), STOP_BOUNDARY);
    expect_gpa(0x10, ACCESS_READ, TLB_USER, 0x300010);
    expect_gpa(0x212345, ACCESS_WRITE, TLB_USER, 0x412345);
    expect_fault(0x40000000, ACCESS_READ, TLB_USER, PF_ERR_U); /* second PDPTE absent */
    /* PDPTEs are loaded with CR3, not when memory changes. */
    bare_put(b, 0x100020, 8, 0);
    tlb_flush_all(c);
    expect_gpa(0x10, ACCESS_READ, TLB_USER, 0x300010);
    assert_int_equal(cr_write(c, 3, 0x100020), STOP_BOUNDARY);
    expect_fault(0x10, ACCESS_READ, TLB_USER, PF_ERR_U);
    /* A reserved bit in one: #GP, and nothing changes. */
    bare_put(b, 0x100020, 8, 0x101000 | PAGE_P | PAGE_W);
    c->cr3 = 0;
    assert_int_equal(cr_write(c, 3, 0x100020), STOP_FAULT);
    assert_int_equal(c->fault.vector, VEC_GP);
    assert_int_equal(c->cr3, 0);
}

static void test_1gib_pages(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    bare_long(b);
    bare_put(b, 0x101010, 8, PAGE_P | PAGE_W | PAGE_U | PAGE_PS);
    if (cpu_has(c, ISA_PDPE1GB)) {
        expect_gpa(0x80000000ull + 0x123456, ACCESS_WRITE, TLB_USER, 0x123456);
        tlb_flush_page(c, 0x80000000ull + 0x3fffffff); /* drops every slice of it */
        assert_int_equal(tlb_table(c, TLB_USER)->entry[0x123].write, tlb_empty(0x123));
    } else {
        expect_fault(0x80000000ull, ACCESS_READ, TLB_SUPER, PF_ERR_P | PF_ERR_RSVD);
    }
}

/* ---- what stays after which flush ---- */

static bool cached(uint64_t linear)
{
    const struct tlb_entry *e = &tlb_table(&b->cpu, TLB_SUPER)->entry[tlb_index(linear)];
    return e->read == (linear & ~0xfffull);
}

static void test_cr3_keeps_global(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    bare_long(b);
    bare_put(b, 0x102010, 8, bare_get(b, 0x102010, 8) | PAGE_G); /* 4-6 MiB */
    c->cr4 |= CR4_PGE;
    tlb_flush_all(c);
    expect_gpa(0x400000, ACCESS_READ, TLB_SUPER, 0x400000);
    expect_gpa(0x605000, ACCESS_READ, TLB_SUPER, 0x605000);
    assert_true(cached(0x400000) && cached(0x605000));
    cr_write(c, 3, 0x100000);
    assert_true(cached(0x400000));
    assert_false(cached(0x605000));
    cr_write(c, 4, c->cr4 & ~CR4_PGE);
    assert_false(cached(0x400000));
}

static void test_stale_entries_stay_until_invlpg(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    uint32_t all = PAGE_P | PAGE_W | PAGE_U;
    page_4level(all, 0x200000 | all);
    expect_gpa(AT, ACCESS_READ, TLB_SUPER, 0x200000);
    bare_put(b, PTE_AT, 8, 0x201000 | all);
    expect_gpa(AT, ACCESS_READ, TLB_SUPER, 0x200000);
    tlb_flush_page(c, AT + 0xfff);
    expect_gpa(AT, ACCESS_READ, TLB_SUPER, 0x201000);
}

static void test_pcid(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    bare_long(b);
    if (!cpu_has(c, ISA_PCID))
        skip();
    assert_int_equal(cr_write(c, 4, c->cr4 | CR4_PCIDE), STOP_BOUNDARY);
    expect_gpa(0x605000, ACCESS_READ, TLB_SUPER, 0x605000);
    cr_write(c, 3, 0x100001);
    assert_false(cached(0x605000)); /* another space */
    cr_write(c, 3, 0x100000 | BIT64(63));
    assert_int_equal(c->cr3, 0x100000);
    assert_true(cached(0x605000));
    cr_write(c, 3, 0x100000);
    assert_false(cached(0x605000));
    /* More spaces than there are tables: the oldest is forgotten, not mixed up. */
    expect_gpa(0x605000, ACCESS_READ, TLB_SUPER, 0x605000);
    for (unsigned pcid = 1; pcid < 20; pcid++)
        cr_write(c, 3, 0x100000 | pcid | BIT64(63));
    cr_write(c, 3, 0x100000 | BIT64(63));
    assert_false(cached(0x605000));
    /* PCIDE cannot be set with a PCID in CR3 (nor outside long mode). */
    cr_write(c, 4, c->cr4 & ~CR4_PCIDE);
    c->cr3 |= 5;
    assert_int_equal(cr_write(c, 4, c->cr4 | CR4_PCIDE), STOP_FAULT);
}

static void test_code_pages(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    bare_protected(b);
    assert_true(mem_store(c, SEG_DS, 0x20010, 4, 1));
    assert_non_null(tlb_write_hit(c, 0x20010, 4));
    __atomic_or_fetch(&b->ram.tags[0x20], RAM_CODE, __ATOMIC_SEQ_CST);
    tlb_protect_page(c, 0x20000);
    assert_null(tlb_write_hit(c, 0x20010, 4));
    assert_non_null(tlb_read_hit(c, 0x20010, 4));
    assert_true(mem_store(c, SEG_DS, 0x20010, 4, 0x12345678));
    assert_int_equal(bare_get(b, 0x20010, 4), 0x12345678);
    __atomic_and_fetch(&b->ram.tags[0x20], (uint8_t)~RAM_CODE, __ATOMIC_SEQ_CST);
    tlb_protect_page(c, 0x20000);
    assert_true(mem_store(c, SEG_DS, 0x20010, 4, 2));
    assert_non_null(tlb_write_hit(c, 0x20010, 4));
}

/* What stands for "none" in an entry matches no access and no code that the entry is asked for. */
static void test_empty_tags(void **state)
{
    (void)state;
    for (unsigned n = 0; n < TLB_ENTRIES; n++) {
        uint64_t none = tlb_empty(n);
        assert_int_not_equal(tlb_index(none), n);
        assert_int_not_equal(tlb_index(none), (n + 1) % TLB_ENTRIES);
        assert_int_not_equal(none >> TLB_CODE_BITS & (TLB_ENTRIES - 1), n);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_empty_tags),
        T(test_4level_rights),
        T(test_no_execute),
        T(test_smep_smap),
        T(test_reserved_bits),
        T(test_accessed_dirty),
        T(test_32bit),
        T(test_pae),
        T(test_1gib_pages),
        T(test_cr3_keeps_global),
        T(test_stale_entries_stay_until_invlpg),
        T(test_pcid),
        T(test_code_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
