/* SPDX-License-Identifier: MIT */
/* Segment loads, far transfers, call gates, task switches. */
#include "bare_fixture.h"

static void push32(uint32_t v)
{
    b->cpu.gpr[RSP] -= 4;
    bare_put(b, b->cpu.gpr[RSP], 4, v);
}

static void test_data_loads(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    static const struct {
        uint16_t attr, selector;
        unsigned vector; /* 0: loads */
    } rows[] = {
        {0xc0f3, SEL_FREE | 3, 0},      {0xc093, SEL_FREE, VEC_GP}, /* DPL 0 from CPL 3 */
        {0xc0f2, SEL_FREE, 0},                                      /* sets the accessed bit */
        {0xc0f1, SEL_FREE | 3, 0},                                  /* read-only data */
        {0xc0fb, SEL_FREE | 3, 0},                                  /* readable code */
        {0xc0f9, SEL_FREE | 3, VEC_GP},                             /* execute-only code */
        {0xc09f, SEL_FREE | 3, 0},                                  /* conforming, readable */
        {0x00e2, SEL_FREE | 3, VEC_GP},                             /* an LDT */
        {0xc073, SEL_FREE | 3, VEC_NP},                             /* not present */
        {0xc0b3, SEL_FREE | 3, VEC_GP},                             /* DPL 1 */
    };
    bare_user(b);
    for (unsigned k = 0; k < ARRAY_SIZE(rows); k++) {
        bare_descriptor(b, SEL_FREE, 0x1000, 0xfffff, rows[k].attr);
        struct segment before = c->seg[SEG_ES];
        bool ok = segment_load(c, SEG_ES, rows[k].selector);
        assert_int_equal(ok, rows[k].vector == 0);
        if (!ok) {
            expect(rows[k].vector, SEL_FREE);
            assert_memory_equal(&before, &c->seg[SEG_ES], sizeof(before));
            continue;
        }
        assert_int_equal(c->seg[SEG_ES].base, 0x1000);
        assert_int_equal(bare_get(b, BARE_GDT + SEL_FREE + 5, 1) & 1, 1);
    }
    uint64_t v;
    assert_true(segment_load(c, SEG_ES, 3)); /* null with any RPL */
    assert_false(mem_load(c, SEG_ES, 0, 1, &v));
    expect(VEC_GP, 0);
    assert_false(segment_load(c, SEG_ES, 0x100)); /* behind the limit of the GDT */
    expect(VEC_GP, 0x100);
    assert_false(segment_load(c, SEG_ES, 0x0c)); /* no LDT */
    expect(VEC_GP, 0x0c);
}

static void test_stack_loads(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    bare_user(b);
    assert_false(segment_load(c, SEG_SS, 0));
    expect(VEC_GP, 0);
    assert_false(segment_load(c, SEG_SS, SEL_DATA3 & ~3)); /* RPL */
    expect(VEC_GP, SEL_DATA3 & ~3);
    assert_false(segment_load(c, SEG_SS, SEL_CODE3));
    bare_descriptor(b, SEL_FREE, 0, 0xfffff, 0xc073);
    assert_false(segment_load(c, SEG_SS, SEL_FREE | 3));
    expect(VEC_SS, SEL_FREE);
    bare_descriptor(b, SEL_FREE, 0, 0xffff, 0x00f3);
    assert_true(segment_load(c, SEG_SS, SEL_FREE | 3));
    assert_int_equal(c->mode & MODE_STACK_MASK, MODE_STACK16);
    /* 64-bit code below CPL 3 may have a null SS. */
    bare_long(b);
    assert_true(segment_load(c, SEG_SS, 0));
}

static void test_ldt(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    bare_protected(b);
    c->seg[SEG_LDTR] = (struct segment){BARE_LDT, 0xf, 0x30, 0x82};
    bare_put(b, BARE_LDT + 8, 8, 0x00cf93000000ffffull);
    assert_true(segment_load(c, SEG_FS, 0x0c));
    assert_int_equal(c->seg[SEG_FS].limit, 0xffffffff);
    assert_false(segment_load(c, SEG_FS, 0x14));
    expect(VEC_GP, 0x14);
}

static void test_real_mode_keeps_hidden_parts(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    uint64_t v;
    bare_protected(b);
    assert_int_equal(cr_write(c, 0, CR0_ET), STOP_BOUNDARY);
    assert_true(segment_load(c, SEG_DS, 0x1234));
    assert_int_equal(c->seg[SEG_DS].base, 0x12340);
    assert_int_equal(c->seg[SEG_DS].limit, 0xffffffff); /* "unreal" mode */
    assert_true(mem_load(c, SEG_DS, 0x200000, 4, &v));
    assert_int_equal(c->mode & MODE_CODE_MASK, MODE_CODE32); /* CS.D stays till a far jump */
    /* After RESET# the limit is 64 KiB. */
    vcpu_reset(c, false);
    assert_false(mem_load(c, SEG_DS, 0xffff, 2, &v));
    expect(VEC_GP, 0);
}

static void test_far_jump(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    bare_user(b);
    assert_int_equal(far_jump(c, SEL_CODE3, 0x5000, 4), STOP_BOUNDARY);
    assert_int_equal(c->rip, 0x5000);
    assert_int_equal(far_jump(c, SEL_CODE0, 0x6000, 4), STOP_FAULT); /* more privileged */
    expect(VEC_GP, SEL_CODE0);
    assert_int_equal(far_jump(c, 0, 0, 4), STOP_FAULT);
    expect(VEC_GP, 0);
    assert_int_equal(far_jump(c, SEL_DATA3, 0, 4), STOP_FAULT);
    expect(VEC_GP, SEL_DATA3 & ~3);
    bare_descriptor(b, SEL_FREE, 0, 0xfff, 0x409f); /* conforming, DPL 0, 4 KiB */
    assert_int_equal(far_jump(c, SEL_FREE, 0x1000, 4), STOP_FAULT);
    expect(VEC_GP, 0);
    assert_int_equal(far_jump(c, SEL_FREE, 0xfff, 4), STOP_BOUNDARY);
    assert_int_equal(c->seg[SEG_CS].selector, SEL_FREE | 3); /* CPL stays */
    assert_int_equal(c->cpl, 3);
    /* A descriptor with L and D is no code segment of long mode. */
    bare_long(b);
    bare_descriptor(b, SEL_FREE, 0, 0xfffff, 0xe09b);
    assert_int_equal(far_jump(c, SEL_FREE, 0x1000, 4), STOP_FAULT);
    expect(VEC_GP, SEL_FREE);
    assert_int_equal(far_jump(c, SEL_CODE0, 0x1000, 4), STOP_BOUNDARY); /* compatibility mode */
    assert_int_equal(c->mode & MODE_CODE_MASK, MODE_CODE32);
    assert_int_equal(far_jump(c, SEL_CODE64, 0x1000, 4), STOP_BOUNDARY);
    assert_true(cpu_is_64bit(c));
}

static void test_call_gate(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    bare_user(b);
    bare_gate(b, BARE_GDT + SEL_FREE, SEL_CODE0, 0x12345, 0xec, 2);
    push32(0x1111);
    push32(0x2222);
    assert_int_equal(far_call(c, SEL_FREE | 3, 0, 4), STOP_BOUNDARY);
    assert_int_equal(c->cpl, 0);
    assert_int_equal(c->rip, 0x12345);
    assert_int_equal(c->seg[SEG_SS].selector, SEL_DATA0);
    assert_int_equal(c->gpr[RSP], 0x8000 - 24);
    assert_int_equal(stack32(0), 0x10000);
    assert_int_equal(stack32(1), SEL_CODE3);
    assert_int_equal(stack32(2), 0x2222);
    assert_int_equal(stack32(3), 0x1111);
    assert_int_equal(stack32(4), 0x7000 - 8);
    assert_int_equal(stack32(5), SEL_DATA3);
    assert_int_equal(far_return(c, 4, 8), STOP_BOUNDARY); /* releases them on both stacks */
    assert_int_equal(c->cpl, 3);
    assert_int_equal(c->gpr[RSP], 0x7000);
    assert_int_equal(c->rip, 0x10000);
    /* JMP through it cannot raise privilege; a gate of DPL 0 is not for CPL 3. */
    assert_int_equal(far_jump(c, SEL_FREE | 3, 0, 4), STOP_FAULT);
    expect(VEC_GP, SEL_CODE0);
    bare_gate(b, BARE_GDT + SEL_FREE, SEL_CODE0, 0x12345, 0x8c, 0);
    assert_int_equal(far_call(c, SEL_FREE | 3, 0, 4), STOP_FAULT);
    expect(VEC_GP, SEL_FREE);
    bare_gate(b, BARE_GDT + SEL_FREE, SEL_CODE0, 0x12345, 0x6c, 0);
    assert_int_equal(far_call(c, SEL_FREE | 3, 0, 4), STOP_FAULT);
    expect(VEC_NP, SEL_FREE);
    /* The new stack is full: nothing changes. */
    bare_gate(b, BARE_GDT + SEL_FREE, SEL_CODE0, 0x12345, 0xec, 0);
    bare_descriptor(b, SEL_DATA0, 0, 7, 0x4093);
    bare_put(b, BARE_TSS + 4, 4, 8);
    assert_int_equal(far_call(c, SEL_FREE | 3, 0, 4), STOP_FAULT);
    expect(VEC_SS, SEL_DATA0);
    assert_int_equal(c->cpl, 3);
    assert_int_equal(c->gpr[RSP], 0x7000);
}

static void test_call_gate64(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    bare_long(b);
    bare_gate(b, BARE_GDT + SEL_FREE, SEL_CODE64, 0x10002345, 0x8c, 0);
    bare_put(b, BARE_GDT + SEL_FREE + 8, 8, 1);
    assert_int_equal(far_call(c, SEL_FREE, 0, 4), STOP_BOUNDARY);
    assert_int_equal(c->rip, 0x110002345ull);
    assert_int_equal(c->gpr[RSP], 0x9000 - 16);
    bare_put(b, BARE_GDT + SEL_FREE + 8, 8,
             0x100000000000ull); /* type bits of the upper half */
    assert_int_equal(far_call(c, SEL_FREE, 0, 4), STOP_FAULT);
    expect(VEC_GP, SEL_FREE);
}

static void test_far_call_same(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    bare_protected(b);
    assert_int_equal(far_call(c, SEL_CODE0, 0x22222, 4), STOP_BOUNDARY);
    assert_int_equal(stack32(0), 0x10000);
    assert_int_equal(stack32(1), SEL_CODE0);
    assert_int_equal(far_return(c, 4, 0), STOP_BOUNDARY);
    assert_int_equal(c->gpr[RSP], 0x9000);
    /* Return to a more privileged level is refused. */
    bare_user(b);
    push32(SEL_CODE0);
    push32(0x1000);
    assert_int_equal(far_return(c, 4, 0), STOP_FAULT);
    expect(VEC_GP, SEL_CODE0);
}

/* ---- tasks ---- */

#define SEL_TSS2 (SEL_FREE)
#define TSS2     0x5000u

static void second_task(void)
{
    bare_descriptor(b, SEL_TSS2, TSS2, 0x67, 0x0089);
    memset(bare_ram(b, TSS2), 0, 104);
    bare_put(b, TSS2 + 0x20, 4, 0x44444);
    bare_put(b, TSS2 + 0x24, 4, FLAG_FIXED | FLAG_CF);
    for (unsigned n = 0; n < 8; n++)
        bare_put(b, TSS2 + 0x28 + 4 * n, 4, 0x1000 * (n + 1));
    static const uint16_t selectors[] = {SEL_DATA0, SEL_CODE0, SEL_DATA0,
                                         SEL_DATA0, 0,         SEL_DATA0};
    for (unsigned n = 0; n < 6; n++)
        bare_put(b, TSS2 + 0x48 + 4 * n, 4, selectors[n]);
}

static unsigned tss_type(uint16_t selector)
{
    return bare_get(b, BARE_GDT + selector + 5, 1) & 15;
}

static void test_task_jump_and_back(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    bare_protected(b);
    second_task();
    c->gpr[RBX] = 0xb0b;
    assert_int_equal(far_jump(c, SEL_TSS2, 0, 4), STOP_BOUNDARY);
    assert_int_equal(c->rip, 0x44444);
    assert_int_equal(c->gpr[RBX], 0x4000);
    assert_int_equal(c->gpr[RSP], 0x5000);
    assert_int_equal(cpu_rflags(c), FLAG_FIXED | FLAG_CF);
    assert_int_equal(c->seg[SEG_FS].selector, 0);
    assert_int_equal(c->seg[SEG_TR].selector, SEL_TSS2);
    assert_true(c->cr0 & CR0_TS);
    assert_int_equal(tss_type(SEL_TSS), DESC_TSS32);
    assert_int_equal(tss_type(SEL_TSS2), DESC_TSS32_BUSY);
    assert_int_equal(bare_get(b, BARE_TSS + 0x20, 4), 0x10000);
    assert_int_equal(bare_get(b, BARE_TSS + 0x34, 4), 0xb0b);
    assert_int_equal(far_jump(c, SEL_TSS2, 0, 4), STOP_FAULT); /* busy */
    expect(VEC_GP, SEL_TSS2);
    assert_int_equal(far_jump(c, SEL_TSS, 0, 4), STOP_BOUNDARY);
    assert_int_equal(c->gpr[RBX], 0xb0b);
    assert_int_equal(c->rip, 0x10000);
}

static void test_task_call_and_iret(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    bare_protected(b);
    second_task();
    assert_int_equal(far_call(c, SEL_TSS2, 0, 4), STOP_BOUNDARY);
    assert_true(cpu_rflags(c) & FLAG_NT);
    assert_int_equal(bare_get(b, TSS2, 2), SEL_TSS);
    assert_int_equal(tss_type(SEL_TSS), DESC_TSS32_BUSY); /* nested: both busy */
    assert_int_equal(tss_type(SEL_TSS2), DESC_TSS32_BUSY);
    c->rip = 0x55555;
    assert_int_equal(far_iret(c, 4), STOP_BOUNDARY);
    assert_int_equal(c->rip, 0x10000);
    assert_int_equal(tss_type(SEL_TSS2), DESC_TSS32);
    assert_int_equal(bare_get(b, TSS2 + 0x20, 4), 0x55555);
    assert_int_equal(bare_get(b, TSS2 + 0x24, 4) & FLAG_NT, 0);
    assert_int_equal(c->seg[SEG_TR].selector, SEL_TSS);
}

static void test_task_gate_for_fault(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    bare_protected(b);
    second_task();
    bare_idt(b, 8, SEL_TSS2, 0, 0x85);
    c->fault = (struct x86_fault){.vector = VEC_DF, .has_error = true};
    assert_int_equal(exception_deliver(c), STOP_BOUNDARY);
    assert_int_equal(c->rip, 0x44444);
    assert_int_equal(c->gpr[RSP], 0x5000 - 4);
    assert_int_equal(stack32(0), 0);
    assert_int_equal(far_iret(c, 4), STOP_BOUNDARY);
    bare_put(b, TSS2 + 0x64, 2, 1); /* T: debug trap on entry */
    assert_int_equal(far_jump(c, SEL_TSS2, 0, 4), STOP_TRAP);
    assert_int_equal(c->fault.vector, VEC_DB);
    assert_int_equal(c->fault.dr6_bits, DR6_BT);
}

static void test_task_faults(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    bare_protected(b);
    second_task();
    bare_descriptor(b, SEL_TSS2, TSS2, 0x66, 0x0089);
    assert_int_equal(far_jump(c, SEL_TSS2, 0, 4), STOP_FAULT);
    expect(VEC_TS, SEL_TSS2);
    assert_int_equal(c->seg[SEG_TR].selector, SEL_TSS);
    assert_int_equal(tss_type(SEL_TSS), DESC_TSS32_BUSY);
    /* A bad segment is found in the new task. */
    second_task();
    bare_put(b, TSS2 + 0x54, 4, SEL_CODE64 + 0xc0);
    assert_int_equal(far_jump(c, SEL_TSS2, 0, 4), STOP_TRAP);
    expect(VEC_TS, (SEL_CODE64 + 0xc0) & ~3);
    assert_int_equal(c->seg[SEG_TR].selector, SEL_TSS2);
    assert_int_equal(c->rip, 0x44444);
}

static void test_task_16bit(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    bare_protected(b);
    bare_descriptor(b, SEL_TSS2, TSS2, 0x2b, 0x0081);
    memset(bare_ram(b, TSS2), 0, 44);
    bare_put(b, TSS2 + 0x0e, 2, 0x4444);
    bare_put(b, TSS2 + 0x10, 2, FLAG_FIXED);
    bare_put(b, TSS2 + 0x1a, 2, 0x5000);
    static const uint16_t selectors[] = {SEL_DATA0, SEL_CODE0, SEL_DATA0, SEL_DATA0};
    for (unsigned n = 0; n < 4; n++)
        bare_put(b, TSS2 + 0x22 + 2 * n, 2, selectors[n]);
    assert_int_equal(far_jump(c, SEL_TSS2, 0, 4), STOP_BOUNDARY);
    assert_int_equal(c->rip, 0x4444);
    assert_int_equal(c->gpr[RSP], 0x5000);
    assert_int_equal(c->seg[SEG_GS].selector, 0);
    c->gpr[RAX] = 0x98765432;
    assert_int_equal(far_jump(c, SEL_TSS, 0, 4), STOP_BOUNDARY);
    assert_int_equal(bare_get(b, TSS2 + 0x12, 2), 0x5432);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_data_loads),
        T(test_stack_loads),
        T(test_ldt),
        T(test_real_mode_keeps_hidden_parts),
        T(test_far_jump),
        T(test_call_gate),
        T(test_call_gate64),
        T(test_far_call_same),
        T(test_task_jump_and_back),
        T(test_task_call_and_iret),
        T(test_task_gate_for_fault),
        T(test_task_faults),
        T(test_task_16bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
