/* SPDX-License-Identifier: MIT */
/* disas_test.c - golden texts of weir_disassemble and weir_decode_text. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "weir/machine.h"

struct golden {
    unsigned bits;
    const char *bytes;
    unsigned length;
    const char *att;
};

#define GOLDEN(bits, bytes, att)                                                               \
    {                                                                                          \
        bits, bytes, sizeof(bytes) - 1, att                                                    \
    }

static const struct golden goldens[] = {
    GOLDEN(16, "\xea\x5b\xe0\x00\xf0", "ljmp   $0xf000,$0xe05b"),
    GOLDEN(16, "\x2e\x66\x83\x3e\xc8\x61\x00", "cmpl   $0x0,%cs:0x61c8"),
    GOLDEN(16, "\x0f\x85\xd9\xf0", "jne    0xdd"),
    GOLDEN(16, "\x2e\x66\x0f\x01\x1e\xb8\x61", "lidtl  %cs:0x61b8"),
    GOLDEN(16, "\x66\xea\x8a\x2e\x0f\x00\x08\x00", "ljmpl  $0x8,$0xf2e8a"),
    GOLDEN(32, "\xf3\x66\xab", "rep stos %ax,%es:(%edi)"),
    GOLDEN(32, "\xa4", "movsb  %ds:(%esi),%es:(%edi)"),
    GOLDEN(32, "\x0f\xb7\xc0", "movzwl %ax,%eax"),
    GOLDEN(32, "\xde\xe9", "fsubrp %st,%st(1)"),
    GOLDEN(32, "\xdb\x2d\x00\x10\x00\x00", "fldt   0x1000"),
    GOLDEN(32, "\xee", "out    %al,(%dx)"),
    GOLDEN(64, "\x48\x8b\x05\x10\x00\x00\x00", "mov    0x10(%rip),%rax        # 0x1017"),
    GOLDEN(64, "\xe8\x00\x00\x00\x00", "callq  0x1005"),
    GOLDEN(64, "\xff\x24\xc5\x00\x10\x00\x00", "jmpq   *0x1000(,%rax,8)"),
    GOLDEN(64, "\x66\x90", "xchg   %ax,%ax"),
    GOLDEN(64, "\xc8\x10\x00\x01", "enter  $0x10,$0x1"),
    GOLDEN(64, "\x48\xff\x0f", "decq   (%rdi)"),
    GOLDEN(64, "\x48\x83\xc0\xff", "add    $0xffffffffffffffff,%rax"),
    GOLDEN(64, "\x62\xf1\x7c\xc9\x28\xc1", "vmovaps %zmm1,%zmm0{%k1}{z}"),
    GOLDEN(64, "\x62\xf1\x74\x58\x58\x47\x01", "vaddps 0x4(%rdi){1to16},%zmm1,%zmm0"),
    GOLDEN(64, "\xd1\xe0", "shl    %eax"),
};

static void att(void **state)
{
    char text[128];
    for (unsigned k = 0; k < sizeof(goldens) / sizeof(goldens[0]); k++) {
        const struct golden *g = &goldens[k];
        int n = weir_disassemble((const uint8_t *)g->bytes, g->length, g->bits, 0x1000, false,
                                 text, sizeof(text));
        assert_int_equal(n, g->length);
        assert_string_equal(text, g->att);
    }
}

static void intel_and_errors(void **state)
{
    char text[128];
    const uint8_t add[] = {0x48, 0x03, 0x44, 0x8b, 0x10}, bad[] = {0x0f, 0x04};
    assert_int_equal(weir_disassemble(add, 5, 64, 0, true, text, sizeof(text)), 5);
    assert_string_equal(text, "add rax, [rbx+rcx*4+0x10]");
    assert_int_equal(weir_disassemble(bad, 2, 64, 0, false, text, sizeof(text)), 0);
    assert_string_equal(text, "(bad)");
    assert_int_equal(weir_disassemble(add, 4, 64, 0, false, text, sizeof(text)), 0);
    assert_int_equal(weir_disassemble(add, 5, 8, 0, false, text, sizeof(text)), -WEIR_EINVAL);
    assert_int_equal(weir_disassemble(add, 5, 64, 0, false, text, 4), 5);
    assert_string_equal(text, "add");
}

static void stage_insn(void **state)
{
    char text[512];
    const uint8_t add[] = {0x48, 0x03, 0x44, 0x8b, 0x10};
    assert_int_equal(weir_decode_text(add, 5, 64, 0, "insn", text, sizeof(text)), 5);
    assert_non_null(strstr(text, "ADD (INT) 48 03 44 8b 10: length 5, operand size 8"));
    assert_non_null(strstr(text, "\n  1 rw rax, 8 bytes"));
    assert_non_null(strstr(text, "\n  2 r- ds:[rbx+rcx*4+0x10], 8 bytes"));
    assert_non_null(strstr(text, "\n  flags written: cf pf af zf sf of"));
    assert_int_equal(weir_decode_text(add, 4, 64, 0, "insn", text, sizeof(text)), 0);
    assert_string_equal(text, "(bad): truncated");
    assert_int_equal(weir_decode_text(add, 5, 64, 0, "none", text, sizeof(text)), -WEIR_ENOENT);
    assert_int_equal(weir_decode_text(add, 5, 64, 0, "insn", text, 9), 5);
    assert_string_equal(text, "ADD (INT");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(att),
        cmocka_unit_test(intel_and_errors),
        cmocka_unit_test(stage_insn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
