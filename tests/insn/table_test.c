/* SPDX-License-Identifier: MIT */
/* table_test.c - invariants of ops.def and optab.def, and decoder results outside Zydis's view.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "cpu/decode/decoder.h"
#include "cpu/x86.h"

static void rows_follow_their_opcode(void **state)
{
    for (unsigned k = 0; k < optab_row_count; k++) {
        const struct optab_row *row = &optab_rows[k], *before = row - 1;
        assert_true(row->op > OP_INVALID && row->op < OP_COUNT);
        if (row->attrs & ATTR_START) {
            assert_int_equal(optab_index[row->encoding][row->opcode], k + 1);
        } else {
            assert_int_equal(row->encoding, before->encoding);
            assert_int_equal(row->opcode, before->opcode);
        }
    }
    assert_true(optab_rows[optab_row_count].attrs & ATTR_START);
}

/* A row that no encoding reaches because those before it take everything would be an error. */
static void no_row_is_shadowed(void **state)
{
    for (unsigned k = 1; k < optab_row_count; k++) {
        const struct optab_row *row = &optab_rows[k];
        for (unsigned b = k; !(optab_rows[b].attrs & ATTR_START);) {
            const struct optab_row *before = &optab_rows[--b];
            bool taken = row_matches(before, (uint32_t)row->condition & 0xffffff, 0);
            uint32_t mask = (uint32_t)(row->condition >> CONDITION_MASK_SHIFT) & 0xffffff;
            uint32_t before_mask =
                (uint32_t)(before->condition >> CONDITION_MASK_SHIFT) & 0xffffff;
            uint32_t modes = ATTR_NO64 | ATTR_ONLY64;
            bool same_modes =
                !(before->attrs & modes) || (before->attrs & modes) == (row->attrs & modes);
            assert_false(taken && (before_mask & ~mask) == 0 && same_modes);
        }
    }
}

static void every_operation_has_a_row(void **state)
{
    static bool used[OP_COUNT];
    for (unsigned k = 0; k < optab_row_count; k++)
        used[optab_rows[k].op] = true;
    for (unsigned op = OP_INVALID + 1; op < OP_COUNT; op++)
        if (!used[op])
            fail_msg("%s has no row", op_name(op));
}

static void flag_masks_are_disjoint(void **state)
{
    for (unsigned op = 0; op < OP_COUNT; op++)
        assert_int_equal(op_table[op].flags_written & op_table[op].flags_undefined, 0);
    assert_string_equal(op_name(OP_INVALID), "(bad)");
    assert_string_equal(op_name(OP_COUNT + 7), "(bad)");
}

static void vector_rows_are_complete(void **state)
{
    for (unsigned k = 0; k < optab_row_count; k++) {
        const struct optab_row *row = &optab_rows[k];
        const unsigned needs_element = ATTR_BROADCAST | ATTR_DISP_ELEMENT | ATTR_MASK;
        if (row->attrs & needs_element)
            assert_true(row->element != 0);
        if (row->encoding >= ENCODING_EVEX0)
            assert_int_equal(row->state, STATE_AVX512);
        if (row->state == STATE_SSE || row->state == STATE_AVX || row->state == STATE_AVX512)
            assert_true(row->exception != EXC_NONE);
    }
}

static enum decode_status decode(struct insn *i, unsigned bits, const char *bytes, unsigned n)
{
    return decode_insn(i, (const uint8_t *)bytes, n, bits);
}
#define DECODE(i, bits, bytes) decode(i, bits, bytes, sizeof(bytes) - 1)

static void lengths_and_limits(void **state)
{
    struct insn i;
    static const char long_enough[] = "\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66"
                                      "\x90\x90";
    assert_int_equal(decode(&i, 32, long_enough, 16), DECODE_OK);
    assert_int_equal(i.length, 15);
    assert_int_equal(decode(&i, 32, long_enough, 14), DECODE_TRUNCATED);
    assert_int_equal(DECODE(&i, 32,
                            "\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66"
                            "\x66\x90"),
                     DECODE_TOO_LONG);
    assert_int_equal(DECODE(&i, 32, ""), DECODE_TRUNCATED);
    assert_int_equal(DECODE(&i, 64, "\x06"), DECODE_INVALID);
    assert_int_equal(i.op, OP_INVALID);
}

static void segments_and_registers(void **state)
{
    struct insn i;
    assert_int_equal(DECODE(&i, 64, "\x64\x2e\x8b\x03"), DECODE_OK); /* CS: is ignored */
    assert_int_equal(i.seg, SEG_FS);
    assert_int_equal(DECODE(&i, 64, "\x36\x8b\x03"), DECODE_OK);
    assert_int_equal(i.seg, SEG_DS);
    assert_int_equal(i.prefixes & PFX_SEG, 0);
    assert_int_equal(DECODE(&i, 32, "\x8b\x45\x00"), DECODE_OK);
    assert_int_equal(i.seg, SEG_SS);
    assert_int_equal(DECODE(&i, 32, "\x26\xa4"), DECODE_OK);
    assert_int_equal(i.seg, SEG_ES);
    assert_int_equal(DECODE(&i, 64, "\x48\x66\x8b\xc3"), DECODE_OK); /* REX not last: no REX */
    assert_int_equal(i.opsize, 2);
    assert_int_equal(DECODE(&i, 64, "\x88\xfc"), DECODE_OK);
    assert_int_equal(i.reg, 19);
    assert_int_equal(i.rm, 16);
    assert_int_equal(DECODE(&i, 64, "\x40\x88\xfc"), DECODE_OK);
    assert_int_equal(i.reg, RDI);
    assert_int_equal(i.rm, RSP);
}

static void immediates(void **state)
{
    struct insn i;
    assert_int_equal(DECODE(&i, 16, "\x9a\x34\x12\x78\x56"), DECODE_OK);
    assert_int_equal(i.imm, 0x1234);
    assert_int_equal(i.imm2, 0x5678);
    assert_int_equal(DECODE(&i, 64, "\x48\x81\xc0\xff\xff\xff\xff"), DECODE_OK);
    assert_true(i.imm == ~0ull);
    assert_int_equal(DECODE(&i, 64, "\x83\xc0\x80"), DECODE_OK);
    assert_true(i.imm == (uint64_t)-128);
    assert_int_equal(DECODE(&i, 64, "\xc1\xe0\x80"), DECODE_OK);
    assert_int_equal(i.imm, 0x80);
    assert_int_equal(DECODE(&i, 64, "\xc8\x10\x00\x03"), DECODE_OK);
    assert_int_equal(i.imm, 16);
    assert_int_equal(i.imm2, 3);
    assert_int_equal(DECODE(&i, 64, "\x66\xe8\x00\x00\x00\x00"), DECODE_OK); /* 66 is ignored */
    assert_int_equal(i.opsize, 8);
    assert_int_equal(DECODE(&i, 64, "\xa0\x01\x02\x03\x04\x05\x06\x07\x88"), DECODE_OK);
    assert_true(i.imm == 0x8807060504030201ull);
}

static void evex_operands(void **state)
{
    struct insn i;
    struct operand o;
    assert_int_equal(DECODE(&i, 64, "\x62\xf1\x74\x59\x58\x47\x01"), DECODE_OK);
    assert_int_equal(i.disp, 4);
    assert_int_equal(i.mem_bytes, 4);
    assert_true(insn_operand(&i, 0, &o));
    assert_true(o.read && o.written && o.bytes == 64); /* merging mask */
    assert_true(insn_operand(&i, 2, &o));
    assert_true(o.is_mem && o.bytes == 4);
    assert_false(insn_operand(&i, 3, &o));
    assert_int_equal(insn_mem_operand(&i), 2);
    assert_false(insn_needs_vl(&i));
    assert_int_equal(DECODE(&i, 64, "\x62\xf1\x7c\x28\x28\x47\x01"), DECODE_OK);
    assert_int_equal(i.disp, 32);
    assert_int_equal(insn_mem_alignment(&i), 32);
    assert_true(insn_needs_vl(&i));
    assert_int_equal(DECODE(&i, 64, "\x62\xf1\x7d\x08\x6e\xc0"), DECODE_OK); /* VMOVD */
    assert_false(insn_needs_vl(&i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_follow_their_opcode),
        cmocka_unit_test(no_row_is_shadowed),
        cmocka_unit_test(every_operation_has_a_row),
        cmocka_unit_test(flag_masks_are_disjoint),
        cmocka_unit_test(vector_rows_are_complete),
        cmocka_unit_test(lengths_and_limits),
        cmocka_unit_test(segments_and_registers),
        cmocka_unit_test(immediates),
        cmocka_unit_test(evex_operands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
