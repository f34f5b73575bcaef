/* SPDX-License-Identifier: MIT */
/* cpuid_test.c - CPU models: parsing, dependencies between flags, and what the leaves say. */
// clang-format off
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "cpu/cpu.h"
#include "cpu/cpuid.h"

enum { EAX, EBX, ECX, EDX };

static void query(const char *spec, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    static struct vcpu c;
    struct cpu_model *m;
    struct err err = {""};
    memset(&c, 0, sizeof c);
    assert_int_equal(cpu_model_parse(spec, &m, &err), 0);
    c.model = m;
    c.tsc_hz = 1000000000;
    c.xcr0 = 1;
    cpuid_query(&c, leaf, subleaf, out);
    cpu_model_free(m);
}

static void expect_error(const char *spec, const char *text)
{
    struct cpu_model *m;
    struct err err = {""};
    assert_true(cpu_model_parse(spec, &m, &err) < 0);
    assert_null(m);
    if (!strstr(err.text, text))
        fail_msg("%s: '%s' lacks '%s'", spec, err.text, text);
}

static void test_errors(void **state)
{
    expect_error("hots", "'host'");
    expect_error("penitum3", "'pentium3'");
    expect_error("qemu64,+sse4_3", "'sse4_");
    expect_error("qemu64,ss3=on", "ss3");
    expect_error("qemu64,sse3=maybe", "not on or off");
    expect_error("qemu64,vendor=short", "12 characters");
    expect_error("qemu64,stepping=77", "0..15");
    expect_error("486,+avx", "needs");
}

static void test_486(void **state)
{
    uint32_t r[4];
    query("486", 0, 0, r);
    assert_int_equal(r[EAX], 1);
    assert_memory_equal(&r[EBX], "Genu", 4);
    query("486", 1, 0, r);
    assert_int_equal(r[EAX], 0x480);
    assert_int_equal(r[EDX], 0xb); /* FPU VME PSE */
    assert_int_equal(r[ECX], 0);
    query("486", 0x80000000, 0, r);
    assert_int_equal(r[EAX], 0);
}

static void test_flags(void **state)
{
    uint32_t r[4];
    query("qemu64,-SSE2", 1, 0, r); /* takes SSE3 away too */
    assert_int_equal(r[EDX] >> 26 & 1, 0);
    assert_int_equal(r[ECX] & 1, 0);
    query("qemu64,sse4.1=on,ssse3", 1, 0, r);
    assert_int_equal(r[ECX] >> 19 & 1, 1);
    query("qemu64,-hypervisor", 1, 0, r);
    assert_int_equal(r[ECX] >> 31, 0);
    query("qemu64,-hypervisor", 0x40000000, 0, r);
    assert_int_equal(r[EAX], 0);
    query("qemu64,hv-vendor=KVMKVMKVM", 0x40000000, 0, r);
    assert_int_equal(r[EAX], 0x40000010);
    assert_memory_equal(&r[EBX], "KVMKVMKVM\0\0\0", 12);
    query("qemu64", 0x40000010, 0, r);
    assert_int_equal(r[EAX], 1000000);
    query("qemu64,family=25,model=17,stepping=1", 1, 0, r);
    assert_int_equal(r[EAX], 0xa10f11);
    query("qemu64", 0x80000001, 0, r);
    assert_int_equal(r[EDX] >> 29 & 1, 1);
    assert_int_equal(r[EDX] >> 9 & 1, 1); /* APIC, repeated */
}

static void test_xsave_leaf(void **state)
{
    uint32_t r[4];
    struct host_cpu host;
    cpuid_host_read(&host);
    query("host", 0xd, 0, r);
    assert_int_equal(r[EAX] & ~host.xcr0, 0);
    assert_int_equal(r[EBX], host.features[ISA_XSAVE / 64] >> (ISA_XSAVE % 64) & 1 ? 576 : 0);
    if (host.xsave[XCOMP_AVX].size) {
        query("host", 0xd, 2, r);
        assert_int_equal(r[EAX], 256);
        assert_int_equal(r[EBX], 576);
        query("host,-avx", 0xd, 0, r);
        assert_int_equal(r[EAX], 3);
        assert_int_equal(r[ECX], 576);
    }
}

static void test_compacted_size(void **state)
{
    struct cpu_model m = {.xsave = {[XCOMP_AVX] = {576, 256, false},
                                    [XCOMP_OPMASK] = {832, 64, false},
                                    [XCOMP_ZMM_HI256] = {896, 512, true},
                                    [XCOMP_HI16_ZMM] = {1408, 1024, true}}};
    assert_int_equal(cpuid_xsave_size(&m, 3, true), 576);
    assert_int_equal(cpuid_xsave_size(&m, 7, false), 832);
    assert_int_equal(cpuid_xsave_size(&m, 0xe7, false), 2432);
    assert_int_equal(cpuid_xsave_size(&m, 0xe0, true), 576 + 64 + 512 + 1024);
    assert_int_equal(cpuid_xsave_size(&m, 0xe3, false), 2432);
}

/* Whatever "host" offers for direct execution, the host has. */
static void test_host_subset(void **state)
{
    struct host_cpu host;
    struct cpu_model *m;
    struct err err;
    cpuid_host_read(&host);
    assert_int_equal(cpu_model_parse("max", &m, &err), 0);
    for (unsigned f = 1; f < ISA_COUNT; f++)
        if (model_has(m, f) && cpuid_features[f].needs_host)
            assert_true(host.features[f / 64] >> (f % 64) & 1);
    cpu_model_free(m);
    for (unsigned i = 0; cpu_model_name(i, NULL); i++) {
        assert_int_equal(cpu_model_parse(cpu_model_name(i, NULL), &m, &err), 0);
        cpu_model_free(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),         cmocka_unit_test(test_486),
        cmocka_unit_test(test_flags),          cmocka_unit_test(test_xsave_leaf),
        cmocka_unit_test(test_compacted_size), cmocka_unit_test(test_host_subset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
