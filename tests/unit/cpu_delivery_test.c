/* SPDX-License-Identifier: MIT */
/* Delivery of exceptions and interrupts in every mode, IRET back, double and triple faults. */
#include "bare_fixture.h"

#define INT_GATE   0x8e
#define TRAP_GATE  0x8f
#define INT_GATE16 0x86

static enum weir_stop deliver_fault(unsigned vector, bool has_error, uint32_t error)
{
    b->cpu.fault =
        (struct x86_fault){.vector = (uint8_t)vector, .has_error = has_error, .error = error};
    return exception_deliver(&b->cpu);
}

static enum weir_stop int_n(unsigned vector)
{
    struct insn i = {.length = 2};
    return software_interrupt(&b->cpu, &i, vector, FAULT_SOFTWARE_INT);
}

static uint64_t stack64(unsigned n)
{
    return bare_get(b, b->cpu.gpr[RSP] + 8 * n, 8);
}

static void test_real_mode(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    segment_set_real(c, SEG_CS, 0x1234);
    segment_set_real(c, SEG_SS, 0x0800);
    c->rip = 0x5678;
    c->gpr[RSP] = 0xabcd0100;
    c->idtr = (struct table_register){0, 0x3ff};
    cpu_set_rflags(c, FLAG_IF | FLAG_TF | FLAG_CF | FLAG_FIXED);
    bare_put(b, 8 * 4, 4, 0xf000e05b);
    assert_int_equal(interrupt_deliver(c, 8, false), STOP_BOUNDARY);
    assert_int_equal(c->rip, 0xe05b);
    assert_int_equal(c->seg[SEG_CS].selector, 0xf000);
    assert_int_equal(c->seg[SEG_CS].base, 0xf0000);
    assert_int_equal(c->gpr[RSP], 0xabcd00fa);
    assert_int_equal(bare_get(b, 0x80fa, 2), 0x5678);
    assert_int_equal(bare_get(b, 0x80fc, 2), 0x1234);
    assert_int_equal(bare_get(b, 0x80fe, 2), FLAG_IF | FLAG_TF | FLAG_CF | FLAG_FIXED);
    assert_int_equal(cpu_rflags(c), FLAG_CF | FLAG_FIXED);
    assert_int_equal(far_iret(c, 2), STOP_BOUNDARY);
    assert_int_equal(c->rip, 0x5678);
    assert_int_equal(c->seg[SEG_CS].base, 0x12340);
    assert_int_equal(c->gpr[RSP], 0xabcd0100);
    assert_int_equal(cpu_rflags(c), FLAG_IF | FLAG_TF | FLAG_CF | FLAG_FIXED);
    /* SP wraps between two pushes, as on the 8086; within one push it is #SS. */
    c->gpr[RSP] = 2;
    assert_int_equal(interrupt_deliver(c, 8, false), STOP_BOUNDARY);
    assert_int_equal(c->gpr[RSP], 0xfffc);
    assert_int_equal(bare_get(b, 0x8000 + 0xfffe, 2), 0x1234);
    c->gpr[RSP] = 1;
    c->seg[SEG_SS].limit = 0xffff;
    struct x86_fault e = {.vector = 8, .kind = FAULT_EXTERNAL};
    assert_int_equal(event_deliver(c, &e), STOP_FAULT);
    assert_int_equal(c->fault.vector, VEC_SS);
    assert_int_equal(c->gpr[RSP], 1);
}

static void test_same_privilege(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    bare_protected(b);
    bare_idt(b, 13, SEL_CODE0, 0x20000, INT_GATE);
    cpu_set_rflags(c, FLAG_IF | FLAG_ZF | FLAG_FIXED);
    assert_int_equal(deliver_fault(13, true, 0x1230), STOP_BOUNDARY);
    assert_int_equal(c->rip, 0x20000);
    assert_int_equal(c->gpr[RSP], 0x9000 - 16);
    assert_int_equal(stack32(0), 0x1230);
    assert_int_equal(stack32(1), 0x10000);
    assert_int_equal(stack32(2), SEL_CODE0);
    assert_int_equal(stack32(3), FLAG_RF | FLAG_IF | FLAG_ZF | FLAG_FIXED); /* a fault: RF */
    assert_int_equal(cpu_rflags(c), FLAG_ZF | FLAG_FIXED);
    c->gpr[RSP] += 4;
    assert_int_equal(far_iret(c, 4), STOP_BOUNDARY);
    assert_int_equal(c->rip, 0x10000);
    assert_int_equal(c->gpr[RSP], 0x9000);
    assert_true(cpu_rflags(c) & FLAG_IF);
    /* A trap gate leaves IF; INT n pushes no RF; a 16-bit gate pushes words. */
    bare_idt(b, 0x40, SEL_CODE0, 0x30000, TRAP_GATE);
    assert_int_equal(int_n(0x40), STOP_BOUNDARY);
    assert_true(cpu_rflags(c) & FLAG_IF);
    assert_int_equal(stack32(2) & FLAG_RF, 0);
    bare_idt(b, 0x41, SEL_CODE0, 0x99994444, INT_GATE16);
    c->gpr[RSP] = 0x9000;
    assert_int_equal(int_n(0x41), STOP_BOUNDARY);
    assert_int_equal(c->rip, 0x4444);
    assert_int_equal(c->gpr[RSP], 0x9000 - 6);
}

static void test_inner_privilege(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    bare_user(b);
    bare_idt(b, 14, SEL_CODE0, 0x20000, INT_GATE);
    c->fault = (struct x86_fault){
        .vector = VEC_PF, .has_error = true, .error = 6, .address = 0xdeadb000};
    assert_int_equal(exception_deliver(c), STOP_BOUNDARY);
    assert_int_equal(c->cr2, 0xdeadb000);
    assert_int_equal(c->cpl, 0);
    assert_int_equal(c->seg[SEG_SS].selector, SEL_DATA0);
    assert_int_equal(c->gpr[RSP], 0x8000 - 24);
    assert_int_equal(stack32(0), 6);
    assert_int_equal(stack32(2), SEL_CODE3);
    assert_int_equal(stack32(4), 0x7000);
    assert_int_equal(stack32(5), SEL_DATA3);
    /* Data segments with DPL 3 survive the return; a kernel one is cleared. */
    assert_true(segment_load(c, SEG_FS, SEL_DATA0));
    c->gpr[RSP] += 4;
    assert_int_equal(far_iret(c, 4), STOP_BOUNDARY);
    assert_int_equal(c->cpl, 3);
    assert_int_equal(c->gpr[RSP], 0x7000);
    assert_int_equal(c->seg[SEG_FS].selector, 0);
    assert_int_equal(c->seg[SEG_ES].selector, SEL_DATA3);
}

static void test_gate_faults(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    static const struct {
        uint8_t type;
        uint16_t selector;
        unsigned vector, error;
    } rows[] = {
        {INT_GATE, SEL_CODE0, VEC_GP, 0x40 * 8 + 2}, /* INT n: gate DPL < CPL */
        {0xe5, SEL_CODE0, VEC_GP, SEL_CODE0},        /* task gate to code */
        {0xe9, SEL_CODE0, VEC_GP, 0x40 * 8 + 2},     /* not a gate */
        {0x6e, SEL_CODE0, VEC_NP, 0x40 * 8 + 2},     /* not present */
        {0xee, 0, VEC_GP, 0},                        /* null */
        {0xee, 0x200, VEC_GP, 0x200},                /* outside the GDT */
        {0xee, SEL_DATA0, VEC_GP, SEL_DATA0},        /* not code */
        {0xee, SEL_FREE, VEC_NP, SEL_FREE},          /* code, not present */
    };
    bare_user(b);
    bare_descriptor(b, SEL_FREE, 0, 0xfffff, 0xc01b);
    for (unsigned k = 0; k < ARRAY_SIZE(rows); k++) {
        bare_idt(b, 0x40, rows[k].selector, 0x20000, rows[k].type);
        struct vcpu before = *c;
        assert_int_equal(int_n(0x40), STOP_FAULT);
        assert_int_equal(c->fault.vector, rows[k].vector);
        assert_int_equal(c->fault.error, rows[k].error);
        assert_int_equal(c->rip, before.rip);
        assert_int_equal(c->gpr[RSP], before.gpr[RSP]);
        assert_int_equal(c->cpl, 3);
    }
    /* The same met by an external event has EXT set. */
    bare_idt(b, 0x40, 0x200, 0x20000, 0xee);
    struct x86_fault e = {.vector = 0x40, .kind = FAULT_EXTERNAL};
    assert_int_equal(event_deliver(c, &e), STOP_FAULT);
    assert_int_equal(c->fault.error, 0x201);
    /* A bad stack in the TSS. */
    bare_idt(b, 0x40, SEL_CODE0, 0x20000, 0xee);
    bare_put(b, BARE_TSS + 8, 2, SEL_CODE0);
    assert_int_equal(int_n(0x40), STOP_FAULT);
    assert_int_equal(c->fault.vector, VEC_TS);
    assert_int_equal(c->fault.error, SEL_CODE0);
    bare_put(b, BARE_TSS + 8, 2, 0);
    assert_int_equal(int_n(0x40), STOP_FAULT);
    assert_int_equal(c->fault.vector, VEC_TS);
    assert_int_equal(c->fault.error, 0);
}

static void test_double_and_triple(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    bare_protected(b);
    bare_idt(b, 8, SEL_CODE0, 0x8888, INT_GATE);
    /* #GP whose gate is absent: #NP is contributory, so #DF. */
    assert_int_equal(deliver_fault(VEC_GP, true, 0), STOP_BOUNDARY);
    assert_int_equal(c->rip, 0x8888);
    assert_int_equal(stack32(0), 0);
    assert_int_equal(stack32(1), 0x10000);
    /* #UD is benign: its #GP (null gate type) is served. */
    bare_protected(b);
    bare_idt(b, VEC_GP, SEL_CODE0, 0x1313, INT_GATE);
    assert_int_equal(deliver_fault(VEC_UD, false, 0), STOP_BOUNDARY);
    assert_int_equal(c->rip, 0x1313);
    assert_int_equal(stack32(0), VEC_UD * 8 + 2 + 1);
    /* And with nothing at all there: shutdown. */
    c->idtr.limit = 0;
    assert_int_equal(deliver_fault(VEC_GP, true, 0), STOP_TRIPLE);
}

static void test_v86(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    bare_protected(b);
    bare_idt(b, 13, SEL_CODE0, 0x20000, INT_GATE);
    bare_idt(b, 0x21, SEL_CODE0, 0x21000, 0xee);
    /* Enter by IRET. */
    uint64_t frame[9] = {0x100,  0x1000, FLAG_VM | FLAG_IF | FLAG_FIXED,
                         0xff0,  0x2000, 0x3000,
                         0x4000, 0x5000, 0x6000};
    c->gpr[RSP] = 0x9000 - 36;
    for (unsigned k = 0; k < 9; k++)
        bare_put(b, 0x9000 - 36 + 4 * k, 4, frame[k]);
    assert_int_equal(far_iret(c, 4), STOP_BOUNDARY);
    assert_int_equal(c->cpl, 3);
    assert_true(c->mode & MODE_VM);
    assert_int_equal(c->seg[SEG_CS].base, 0x10000);
    assert_int_equal(c->seg[SEG_SS].selector, 0x2000);
    assert_int_equal(c->seg[SEG_ES].selector, 0x3000);
    assert_int_equal(c->seg[SEG_GS].base, 0x60000);
    assert_int_equal(c->gpr[RSP], 0xff0);
    /* INT n with IOPL 0: #GP(0). */
    assert_int_equal(int_n(0x21), STOP_FAULT);
    assert_int_equal(c->fault.vector, VEC_GP);
    assert_int_equal(c->fault.error, 0);
    assert_int_equal(exception_deliver(c), STOP_BOUNDARY);
    assert_int_equal(c->cpl, 0);
    assert_false(c->mode & MODE_VM);
    assert_int_equal(c->gpr[RSP], 0x8000 - 40);
    assert_int_equal(stack32(3) & FLAG_VM, FLAG_VM);
    assert_int_equal(stack32(5), 0x2000);
    assert_int_equal(stack32(6), 0x3000);
    assert_int_equal(stack32(9), 0x6000);
    assert_int_equal(c->seg[SEG_DS].selector, 0);
    c->gpr[RSP] += 4;
    assert_int_equal(far_iret(c, 4), STOP_BOUNDARY);
    assert_int_equal(c->seg[SEG_DS].selector, 0x4000);
    /* With IOPL 3 it goes through the IDT. */
    c->rflags_rest |= FLAG_IOPL;
    assert_int_equal(int_n(0x21), STOP_BOUNDARY);
    assert_int_equal(c->rip, 0x21000);
}

static void test_vme_redirection(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    bare_protected(b);
    c->cr4 |= CR4_VME;
    bare_put(b, BARE_TSS + 0x66, 2, 0x88); /* I/O map; 32 bytes of redirection before it */
    bare_put(b, 0x21 * 4, 4, 0x12345678);
    c->rflags_rest |= FLAG_VM | FLAG_VIF;
    for (unsigned seg = SEG_ES; seg <= SEG_GS; seg++)
        segment_set_v86(c, seg, 0x1000);
    c->gpr[RSP] = 0x100;
    c->rip = 0x42;
    cpu_mode_update(c);
    assert_int_equal(int_n(0x21), STOP_BOUNDARY); /* bit clear: by the IVT */
    assert_int_equal(c->seg[SEG_CS].selector, 0x1234);
    assert_int_equal(c->rip, 0x5678);
    assert_true(c->mode & MODE_VM);
    assert_int_equal(bare_get(b, 0x100fe, 2) & (FLAG_IF | FLAG_IOPL), FLAG_IF | FLAG_IOPL);
    assert_int_equal(c->rflags_rest & FLAG_VIF, 0);
    assert_int_equal(far_iret(c, 2), STOP_BOUNDARY);
    assert_int_equal(c->rip, 0x42);
    assert_int_equal(c->rflags_rest & FLAG_VIF, FLAG_VIF);
    bare_put(b, BARE_TSS + 0x68 + 0x21 / 8, 1, 2);
    assert_int_equal(int_n(0x21), STOP_FAULT); /* bit set, IOPL 0 */
    assert_int_equal(c->fault.vector, VEC_GP);
    /* IRET that would set IF while VIP waits. */
    c->rflags_rest |= FLAG_VIP;
    assert_int_equal(bare_get(b, 0x100fe, 2) & FLAG_IF, FLAG_IF);
    c->gpr[RSP] = 0xfa;
    assert_int_equal(far_iret(c, 2), STOP_FAULT);
    assert_int_equal(c->gpr[RSP], 0xfa);
}

static void test_long_mode(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    bare_long(b);
    bare_idt64(b, 13, SEL_CODE64, 0x600000, INT_GATE, 0);
    bare_idt64(b, 2, SEL_CODE64, 0x700000, INT_GATE, 1);
    c->gpr[RSP] = 0x9007; /* not aligned */
    assert_int_equal(deliver_fault(13, true, 0x77), STOP_BOUNDARY);
    assert_int_equal(c->gpr[RSP], 0x9000 - 48);
    assert_int_equal(stack64(0), 0x77);
    assert_int_equal(stack64(1), 0x10000);
    assert_int_equal(stack64(4), 0x9007);
    c->gpr[RSP] += 8;
    assert_int_equal(far_iret(c, 8), STOP_BOUNDARY);
    assert_int_equal(c->gpr[RSP], 0x9007);
    /* NMI on IST1 at the same privilege keeps SS; NMIs stay blocked until IRET. */
    assert_int_equal(interrupt_deliver(c, 0, true), STOP_BOUNDARY);
    assert_true(c->nmi_blocked);
    assert_int_equal(c->gpr[RSP], 0xa000 - 40);
    assert_int_equal(c->seg[SEG_SS].selector, SEL_DATA0);
    assert_int_equal(far_iret(c, 8), STOP_BOUNDARY);
    assert_false(c->nmi_blocked);
    /* From CPL 3: RSP0, SS becomes null with RPL 0. */
    bare_descriptor(b, SEL_FREE, 0, 0xfffff, 0xa0fb);
    uint64_t frame[5] = {0x5000, SEL_FREE | 3, FLAG_FIXED, 0x6000, SEL_DATA3};
    for (unsigned k = 0; k < 5; k++)
        bare_put(b, 0x9000 + 8 * k, 8, frame[k]);
    c->gpr[RSP] = 0x9000;
    assert_int_equal(far_iret(c, 8), STOP_BOUNDARY);
    assert_int_equal(c->cpl, 3);
    assert_int_equal(c->gpr[RSP], 0x6000);
    assert_int_equal(deliver_fault(13, true, 0), STOP_BOUNDARY);
    assert_int_equal(c->cpl, 0);
    assert_int_equal(c->seg[SEG_SS].selector, 0);
    assert_int_equal(c->gpr[RSP], 0x8000 - 48);
    c->gpr[RSP] += 8;
    assert_int_equal(far_iret(c, 8), STOP_BOUNDARY);
    assert_int_equal(c->seg[SEG_SS].selector, SEL_DATA3);
    assert_int_equal(c->rip, 0x5000);
}

static void test_long_mode_faults(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    bare_long(b);
    struct x86_fault e = {.vector = 0x40, .kind = FAULT_SOFTWARE_INT};
    bare_idt64(b, 0x40, SEL_CODE0, 0x600000, INT_GATE, 0); /* not a 64-bit code segment */
    assert_int_equal(event_deliver(c, &e), STOP_FAULT);
    assert_int_equal(c->fault.error, SEL_CODE0);
    bare_idt64(b, 0x40, SEL_CODE64, 0x600000, INT_GATE16, 0);
    assert_int_equal(event_deliver(c, &e), STOP_FAULT);
    assert_int_equal(c->fault.error, 0x40 * 8 + 2);
    bare_idt64(b, 0x40, SEL_CODE64, 0x900000000000ull, INT_GATE, 0);
    assert_int_equal(event_deliver(c, &e), STOP_FAULT);
    assert_int_equal(c->fault.vector, VEC_GP);
    bare_idt64(b, 0x40, SEL_CODE64, 0x600000, INT_GATE, 1);
    bare_put(b, BARE_TSS + 0x24, 8, 0x900000000000ull);
    assert_int_equal(event_deliver(c, &e), STOP_FAULT);
    assert_int_equal(c->fault.vector, VEC_SS);
    c->rflags_rest |= FLAG_NT;
    assert_int_equal(far_iret(c, 8), STOP_FAULT); /* no nested tasks in long mode */
    assert_int_equal(c->fault.vector, VEC_GP);
}

static void test_debug_trap(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    bare_protected(b);
    bare_idt(b, 1, SEL_CODE0, 0x20000, INT_GATE);
    cpu_set_rflags(c, FLAG_TF | FLAG_FIXED);
    assert_true(c->mode & MODE_TF);
    assert_true(debug_after(c, true, false));
    assert_int_equal(exception_deliver(c), STOP_BOUNDARY);
    assert_int_equal(c->dr[6], DR6_FIXED | DR6_BS);
    assert_int_equal(stack32(2) & (FLAG_TF | FLAG_RF), FLAG_TF); /* a trap: no RF */
    assert_false(c->mode & MODE_TF);
    /* Instruction breakpoint: reported before, once, not with RF. */
    c->rip = 0x1234;
    c->dr[0] = 0x1234;
    assert_true(dr_write(c, 7, 1));
    assert_true(c->mode & MODE_DEBUG);
    assert_true(debug_before(c));
    assert_int_equal(c->fault.dr6_bits, 1);
    cpu_set_rflags(c, FLAG_RF | FLAG_FIXED);
    assert_false(debug_before(c));
    assert_true(debug_before(c));
    /* INT n clears TF and is not stepped itself. */
    bare_idt(b, 0x40, SEL_CODE0, 0x30000, TRAP_GATE);
    cpu_set_rflags(c, FLAG_TF | FLAG_FIXED);
    assert_int_equal(int_n(0x40), STOP_BOUNDARY);
    assert_false(debug_after(c, true, false));
}

static void test_interrupt_window(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    bare_protected(b);
    assert_false(interrupt_window(c));
    cpu_set_rflags(c, FLAG_IF | FLAG_FIXED);
    assert_true(interrupt_window(c));
    c->shadow = SHADOW_STI;
    assert_false(interrupt_window(c));
    c->shadow = SHADOW_TF_NOW;
    assert_true(interrupt_window(c));
}

static void test_log(void **state)
{
    (void)state;
    bare_protected(b);
    b->log.items = WEIR_LOG_INT;
    bare_idt(b, 13, SEL_CODE0, 0x20000, INT_GATE);
    assert_int_equal(deliver_fault(13, true, 0x18), STOP_BOUNDARY);
    static const char want[] =
        "     0: v=0d e=0018 i=0 cpl=0 IP=0008:0000000000010000 pc=0000000000010000 "
        "SP=0010:0000000000009000 env->regs[R_EAX]=0000000000000000\nEAX=00000000 ";
    assert_memory_equal(b->log_text, want, sizeof(want) - 1);
    b->log_length = 0;
    b->cpu.fault =
        (struct x86_fault){.vector = VEC_PF, .has_error = true, .address = 0x12345000};
    bare_idt(b, 14, SEL_CODE0, 0x20000, INT_GATE);
    assert_int_equal(exception_deliver(&b->cpu), STOP_BOUNDARY);
    assert_non_null(strstr(b->log_text, "     1: v=0e e=0000 i=0 "));
    assert_non_null(strstr(b->log_text, " CR2=0000000012345000\n"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_real_mode),       T(test_same_privilege),    T(test_inner_privilege),
        T(test_gate_faults),     T(test_double_and_triple), T(test_v86),
        T(test_vme_redirection), T(test_long_mode),         T(test_long_mode_faults),
        T(test_debug_trap),      T(test_interrupt_window),  T(test_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
