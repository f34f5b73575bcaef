/* SPDX-License-Identifier: MIT */
/* Control registers, MSRs, RESET# and INIT#, the register dump. */
#include "bare_fixture.h"

#include "cpu/dump.h"

#include <stdio.h>

struct text {
    struct weir_text text;
    char chars[16384];
    size_t length;
};
static void text_put(struct weir_text *text, const char *chars, size_t length)
{
    struct text *t = container_of(text, struct text, text);
    memcpy(t->chars + t->length, chars, length);
    t->length += length;
    t->chars[t->length] = '\0';
}

/* As qemu-system-x86_64 7.2 -S prints it, but for EDX (the model's signature). */
static const char reset_dump[] =
    "EAX=00000000 EBX=00000000 ECX=00000000 EDX=%08x\n"
    "ESI=00000000 EDI=00000000 EBP=00000000 ESP=00000000\n"
    "EIP=0000fff0 EFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=0\n"
    "ES =0000 00000000 0000ffff 00009300\n"
    "CS =f000 ffff0000 0000ffff 00009b00\n"
    "SS =0000 00000000 0000ffff 00009300\n"
    "DS =0000 00000000 0000ffff 00009300\n"
    "FS =0000 00000000 0000ffff 00009300\n"
    "GS =0000 00000000 0000ffff 00009300\n"
    "LDT=0000 00000000 0000ffff 00008200\n"
    "TR =0000 00000000 0000ffff 00008b00\n"
    "GDT=     00000000 0000ffff\n"
    "IDT=     00000000 0000ffff\n"
    "CR0=60000010 CR2=00000000 CR3=00000000 CR4=00000000\n"
    "DR0=0000000000000000 DR1=0000000000000000 DR2=0000000000000000 DR3=0000000000000000 \n"
    "DR6=00000000ffff0ff0 DR7=0000000000000400\n"
    "EFER=0000000000000000\n"
    "FCW=037f FSW=0000 [ST=0] FTW=00 MXCSR=00001f80\n"
    "FPR0=0000000000000000 0000 FPR1=0000000000000000 0000\n"
    "FPR2=0000000000000000 0000 FPR3=0000000000000000 0000\n"
    "FPR4=0000000000000000 0000 FPR5=0000000000000000 0000\n"
    "FPR6=0000000000000000 0000 FPR7=0000000000000000 0000\n"
    "XMM00=0000000000000000 0000000000000000 XMM01=0000000000000000 0000000000000000\n"
    "XMM02=0000000000000000 0000000000000000 XMM03=0000000000000000 0000000000000000\n"
    "XMM04=0000000000000000 0000000000000000 XMM05=0000000000000000 0000000000000000\n"
    "XMM06=0000000000000000 0000000000000000 XMM07=0000000000000000 0000000000000000\n";

static void test_reset_dump(void **state)
{
    (void)state;
    static struct text t;
    static char want[8192];
    t = (struct text){.text.put = text_put};
    snprintf(want, sizeof(want), reset_dump, (unsigned)b->cpu.gpr[RDX]);
    assert_int_not_equal(b->cpu.gpr[RDX], 0);
    cpu_dump(&b->cpu, &t.text, true, false);
    assert_string_equal(t.chars, want);
}

static void test_long_mode_dump(void **state)
{
    (void)state;
    static struct text t;
    t = (struct text){.text.put = text_put};
    bare_long(b);
    cpu_dump(&b->cpu, &t.text, false, true);
    assert_non_null(strstr(t.chars, "R8 =0000000000000000 R9 =0000000000000000 R10="));
    assert_non_null(strstr(t.chars, "RIP=0000000000010000 RFL=00000002 [-------] CPL=0 II=0"));
    assert_non_null(
        strstr(t.chars, "CS =0038 0000000000000000 ffffffff 00af9b00 DPL=0 CS64 [-RA]\n"));
    assert_non_null(
        strstr(t.chars, "DS =0010 0000000000000000 ffffffff 00cf9300 DPL=0 DS   [-WA]\n"));
    assert_non_null(
        strstr(t.chars, "TR =0028 0000000000003000 00002fff 00008b00 DPL=0 TSS64-busy\n"));
    assert_non_null(strstr(t.chars, "GDT=     0000000000001000 000000ff\n"));
    assert_non_null(strstr(t.chars, "CR0=80000011 CR2=0000000000000000 CR3=0000000000100000 "
                                    "CR4=00000020\n"));
}

static void test_page_dumps(void **state)
{
    (void)state;
    static struct text t;
    t = (struct text){.text.put = text_put};
    paging_dump_mem(&b->cpu, &t.text);
    assert_string_equal(t.chars, "PG disabled\n");
    bare_long(b);
    for (unsigned k = 2; k < 512; k++)
        bare_put(b, 0x102000 + 8 * k, 8, 0);
    bare_put(b, 0x102000, 8, PAGE_P | PAGE_PS | PAGE_A | PAGE_G);
    bare_put(b, 0x100ff8, 8, 0x101000 | PAGE_P | PAGE_W); /* top of the address space */
    t.length = 0;
    paging_dump_mem(&b->cpu, &t.text);
    assert_string_equal(t.chars, "0000000000000000-0000000000200000 0000000000200000 -r-\n"
                                 "0000000000200000-0000000000400000 0000000000200000 urw\n"
                                 "ffffff8000000000-ffffff8000200000 0000000000200000 -r-\n"
                                 "ffffff8000200000-ffffff8000400000 0000000000200000 -rw\n");
    t.length = 0;
    paging_dump_tlb(&b->cpu, &t.text);
    assert_string_equal(t.chars, "0000000000000000: 0000000000000000 -GP-A----\n"
                                 "0000000000200000: 0000000000200000 --P----UW\n"
                                 "ffffff8000000000: 0000000000000000 -GP-A----\n"
                                 "ffffff8000200000: 0000000000200000 --P----UW\n");
}

static void test_cr0(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    bare_protected(b);
    assert_int_equal(cr_write(c, 0, CR0_PG), STOP_FAULT);
    assert_int_equal(cr_write(c, 0, CR0_PE | CR0_NW), STOP_FAULT);
    assert_int_equal(cr_write(c, 0, CR0_PE | BIT64(32)), STOP_FAULT);
    assert_int_equal(c->cr0, CR0_PE | CR0_ET);
    assert_int_equal(cr_write(c, 0, CR0_PE | 0x1ff0ffc0), STOP_BOUNDARY); /* ignored bits */
    assert_int_equal(c->cr0 & ~(uint64_t)(CR0_WP | CR0_AM), CR0_PE | CR0_ET);
}

static void test_long_mode_switch(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    bare_protected(b);
    assert_true(msr_write(c, 0xc0000080, EFER_LME));
    assert_int_equal(cr_write(c, 0, CR0_PE | CR0_PG), STOP_FAULT); /* PAE first */
    assert_int_equal(cr_write(c, 4, CR4_PAE), STOP_BOUNDARY);
    assert_int_equal(cr_write(c, 0, CR0_PE | CR0_PG), STOP_BOUNDARY);
    assert_int_equal(c->efer, EFER_LME | EFER_LMA);
    assert_int_equal(c->mode & MODE_CODE_MASK, MODE_CODE32); /* compatibility mode */
    assert_false(msr_write(c, 0xc0000080, 0));               /* LME with paging on */
    assert_int_equal(cr_write(c, 4, 0), STOP_FAULT);
    assert_int_equal(cr_write(c, 0, CR0_PE), STOP_BOUNDARY);
    assert_int_equal(c->efer, EFER_LME);
    /* Not while CS has L set; and not out of 64-bit code. */
    c->seg[SEG_CS].attr |= SEG_ATTR_L;
    assert_int_equal(cr_write(c, 0, CR0_PE | CR0_PG), STOP_FAULT);
    bare_long(b);
    assert_int_equal(cr_write(c, 0, CR0_PE), STOP_FAULT);
    assert_int_equal(cr_write(c, 3, BIT64(60)), STOP_FAULT);
}

static void test_cr4_by_model(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    assert_int_equal(cr_write(c, 4, CR4_LA57), STOP_FAULT);
    assert_int_equal(cr_write(c, 4, BIT64(13)), STOP_FAULT); /* VMXE */
    assert_int_equal(cr_write(c, 4, CR4_PKE), STOP_FAULT);
    assert_int_equal(cr_write(c, 4, CR4_SMEP),
                     cpu_has(c, ISA_SMEP) ? STOP_BOUNDARY : STOP_FAULT);
}

static void test_efer(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    assert_false(msr_write(c, 0xc0000080, BIT64(12))); /* SVME */
    assert_true(msr_write(c, 0xc0000080, EFER_LMA));   /* read-only: ignored */
    assert_int_equal(c->efer, 0);
}

static void test_msrs(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    uint64_t v;
    assert_false(msr_read(c, 0x12345678, &v));
    assert_false(msr_write(c, 0xc0000082, 0x800000000000ull));
    assert_true(msr_write(c, 0xc0000082, 0xffff800000000000ull));
    assert_true(msr_read(c, 0xc0000082, &v));
    assert_int_equal(v, 0xffff800000000000ull);
    assert_true(msr_read(c, 0x277, &v));
    assert_int_equal(v, 0x0007040600070406);
    assert_false(msr_write(c, 0x277, 2));
    assert_true(msr_read(c, 0xfe, &v));
    assert_int_equal(v, 0x508);
    assert_false(msr_write(c, 0xfe, 0));
    assert_true(msr_write(c, 0x250, 0x0606060606060606));
    assert_false(msr_write(c, 0x250, 0x0206060606060606));
    assert_true(msr_write(c, 0x2ff, 0xc06));
    assert_true(msr_write(c, 0x201, 0xc0000800));
    assert_false(msr_write(c, 0x200, BIT64(cpu_phys_bits(c))));
    assert_false(msr_write(c, 0x210, 0));
    assert_true(msr_write(c, 0xc0000100, 0x1234));
    assert_int_equal(c->segc[SEG_FS].base, 0x1234);
    for (uint32_t bank = 0; bank < 10; bank++)
        assert_true(msr_read(c, 0x401 + 4 * bank, &v));
    assert_false(msr_read(c, 0x400 + 40, &v));
    assert_false(msr_read(c, 0x1b, &v)); /* nobody on the wires */
}

static void test_tsc(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    uint64_t v;
    assert_int_equal(cpu_tsc(c), 0);
    clock_start(&b->clock);
    clock_advance(&b->clock, 5000);
    assert_int_equal(cpu_tsc(c), 5000);
    assert_true(msr_write(c, 0x10, 1000000));
    clock_advance(&b->clock, 1);
    assert_int_equal(cpu_tsc(c), 1000001);
    assert_true(msr_read(c, 0x3b, &v));
    assert_int_equal(v, 1000000 - 5000);
    assert_true(msr_write(c, 0x3b, 0));
    assert_int_equal(cpu_tsc(c), 5001);
}

static void test_init_keeps(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    bare_long(b);
    c->pat = 0;
    c->mtrr_def_type = 0xc06;
    c->cr0 &= ~(uint64_t)(CR0_CD | CR0_NW);
    vcpu_reset(c, true);
    assert_int_equal(c->pat, 0);
    assert_int_equal(c->mtrr_def_type, 0xc06);
    assert_int_equal(c->cr0, CR0_ET);
    assert_int_equal(c->efer, 0);
    assert_int_equal(c->rip, 0xfff0);
    assert_int_equal(c->seg[SEG_CS].base, 0xffff0000);
    assert_int_equal(c->mode, 0);
    vcpu_reset(c, false);
    assert_int_equal(c->mtrr_def_type, 0);
    assert_int_equal(c->cr0, 0x60000010);
}

static void test_debug_registers(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    assert_true(dr_write(c, 6, 0));
    assert_int_equal(dr_read(c, 6), DR6_FIXED);
    assert_true(dr_write(c, 7, 0xffffffff));
    assert_int_equal(dr_read(c, 7), 0xffff27ff);
    assert_false(dr_write(c, 7, BIT64(32)));
    assert_true(dr_write(c, 0, ~0ull));
}

static void test_xcr0(void **state)
{
    (void)state;
    struct vcpu *c = &b->cpu;
    assert_false(xcr0_write(c, 0));
    assert_false(xcr0_write(c, 1 | XCR0_AVX)); /* AVX needs SSE */
    assert_false(xcr0_write(c, 1 | BIT64(62)));
    assert_true(xcr0_write(c, 3));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_reset_dump),
        T(test_long_mode_dump),
        T(test_page_dumps),
        T(test_cr0),
        T(test_long_mode_switch),
        T(test_cr4_by_model),
        T(test_efer),
        T(test_msrs),
        T(test_tsc),
        T(test_init_keeps),
        T(test_debug_registers),
        T(test_xcr0),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
