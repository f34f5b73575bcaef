/* SPDX-License-Identifier: MIT */
/*
 * decode_text.c - what the decoder made of an instruction, as text (weir_decode_text, stage
 * "insn"):
 *
 *   ADD (INT) 48 03 44 8b 10: length 5, operand size 8, address size 8, row 3
 *     1 rw rax, 8 bytes
 *     2 r- ds:[rbx+rcx*4+0x10], 8 bytes
 *     flags written: cf pf af zf sf of
 */
#include <weir/machine.h>
#include <stdarg.h>
#include <stdio.h>
#include "cpu/decode/optab.h"
#include "cpu/x86.h"

struct out {
    char *text;
    size_t size, length;
};

__attribute__((format(printf, 2, 3))) static void put(struct out *o, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(o->text + o->length, o->size - o->length, format, args);
    va_end(args);
    if (n > 0)
        o->length += (size_t)n < o->size - o->length ? (size_t)n : o->size - o->length - 1;
}

static const char *const class_names[] = {"INT", "SYS", "FPU", "HOST"};
static const char *const feature_names[ISA_COUNT] = {
#define FEATURE(NAME, name, ...) [ISA_##NAME] = name,
#include "cpu/decode/features.def"
#undef FEATURE
};
static const char *const segment_names[] = {"es", "cs", "ss", "ds", "fs", "gs", "?", "?"};
static const char *const register_names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
                                               "rsi", "rdi", "r8",  "r9",  "r10", "r11",
                                               "r12", "r13", "r14", "r15"};

static void put_gpr(struct out *o, unsigned n, unsigned bytes)
{
    static const char *const high[] = {"ah", "ch", "dh", "bh"};
    if (n >= 16)
        put(o, "%s", high[(n - 16) & 3]);
    else if (n >= 8)
        put(o, "%s%s", register_names[n],
            bytes == 1   ? "b"
            : bytes == 2 ? "w"
            : bytes == 4 ? "d"
                         : "");
    else if (bytes == 1)
        put(o, n < 4 ? "%.1sl" : "%.2sl", register_names[n] + 1);
    else
        put(o, "%s%s", bytes == 4 ? "e" : bytes == 2 ? "" : "r", register_names[n] + 1);
}

static void put_register(struct out *o, const struct operand *operand)
{
    static const char *const prefixes[] = {
        [REGS_VECTOR] = "xmm", [REGS_MMX] = "mm",     [REGS_X87] = "st",
        [REGS_MASK] = "k",     [REGS_CONTROL] = "cr", [REGS_DEBUG] = "dr"};
    if (operand->regs == REGS_GPR)
        put_gpr(o, operand->reg, operand->bytes);
    else if (operand->regs == REGS_SEGMENT)
        put(o, "%s", segment_names[operand->reg & 7]);
    else if (operand->regs == REGS_VECTOR && operand->bytes > 16)
        put(o, "%cmm%u", operand->bytes > 32 ? 'z' : 'y', operand->reg);
    else
        put(o, "%s%u", prefixes[operand->regs], operand->reg);
}

static void put_address(struct out *o, const struct insn *i)
{
    bool plus = false;
    put(o, "%s:[", segment_names[i->seg & 7]);
    if (i->base != REG_NONE) {
        put(o, "%s", i->base == REG_RIP ? "rip" : register_names[i->base & 15]);
        plus = true;
    }
    if (i->index != REG_NONE && insn_row(i)->operands[0].kind != KIND_VSIB &&
        insn_row(i)->operands[1].kind != KIND_VSIB)
        put(o, "%s%s*%u", plus ? "+" : "", register_names[i->index & 15], 1u << i->scale);
    else if (i->index != REG_NONE)
        put(o, "%sxmm%u*%u", plus ? "+" : "", i->index, 1u << i->scale);
    if (i->disp || (i->base == REG_NONE && i->index == REG_NONE))
        put(o, "%s0x%x",
            i->disp < 0 ? "-"
            : plus      ? "+"
                        : "",
            (unsigned)(i->disp < 0 ? -(int64_t)i->disp : i->disp));
    put(o, "]");
}

static void put_operand(struct out *o, const struct insn *i, const struct operand *operand)
{
    if (operand->regs != REGS_NONE)
        put_register(o, operand);
    else if (operand->kind == KIND_X)
        put(o, "%s:[rsi]", segment_names[i->seg & 7]);
    else if (operand->kind == KIND_Y)
        put(o, "es:[rdi]");
    else if (operand->kind == KIND_O)
        put(o, "%s:[0x%llx]", segment_names[i->seg & 7], (unsigned long long)i->imm);
    else if (operand->is_mem)
        put_address(o, i);
    else if (operand->kind == KIND_ONE)
        put(o, "1");
    else if (operand->kind == KIND_I2)
        put(o, "0x%x", i->imm2);
    else if (operand->kind == KIND_A)
        put(o, "0x%x:0x%llx", i->imm2, (unsigned long long)i->imm);
    else
        put(o, "0x%llx", (unsigned long long)i->imm);
}

static void put_flags(struct out *o, const char *what, uint32_t flags)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } names[] = {{FLAG_CF, "cf"}, {FLAG_PF, "pf"}, {FLAG_AF, "af"}, {FLAG_ZF, "zf"},
                 {FLAG_SF, "sf"}, {FLAG_OF, "of"}, {FLAG_DF, "df"}, {FLAG_IF, "if"}};
    if (!flags)
        return;
    put(o, "\n  flags %s:", what);
    for (unsigned k = 0; k < ARRAY_SIZE(names); k++)
        if (flags & names[k].bit)
            put(o, " %s", names[k].name);
}

static void put_head(struct out *o, const struct insn *i)
{
    const struct optab_row *row = insn_row(i);
    put(o, "%s (%s)", op_name(i->op), class_names[op_table[i->op].class]);
    for (unsigned k = 0; k < i->length; k++)
        put(o, " %02x", i->bytes[k]);
    put(o, ": length %u, operand size %u, address size %u, row %u", i->length, i->opsize,
        i->addrsize, i->row);
    if (i->vector_bytes)
        put(o, ", vector %u", i->vector_bytes);
    if (i->evex & 7)
        put(o, ", mask k%u%s", i->evex & 7, i->evex & 8 ? " zeroing" : "");
    if (i->evex & 16)
        put(o, i->mem ? ", broadcast" : ", rounding");
    if (row->feature != ISA_BASE)
        put(o, ", needs %s", feature_names[row->feature]);
}

static void put_insn(struct out *o, const struct insn *i)
{
    struct operand operand;
    put_head(o, i);
    for (unsigned k = 0; insn_operand(i, k, &operand); k++) {
        put(o, "\n  %u %c%c ", k + 1, operand.read ? 'r' : '-', operand.written ? 'w' : '-');
        put_operand(o, i, &operand);
        if (operand.bytes)
            put(o, ", %u bytes", operand.bytes);
    }
    put_flags(o, "read", op_table[i->op].flags_read);
    put_flags(o, "written", op_table[i->op].flags_written);
    put_flags(o, "undefined", op_table[i->op].flags_undefined);
}

int weir_decode_text(const uint8_t *bytes, size_t length, unsigned bits, uint64_t address,
                     const char *stage, char *text, size_t text_bytes)
{
    struct out o = {.text = text, .size = text_bytes};
    struct insn i;
    if (!bytes || !text || text_bytes == 0 || !stage ||
        (bits != 16 && bits != 32 && bits != 64))
        return -WEIR_EINVAL;
    text[0] = 0;
    if (strcmp(stage, "insn") != 0)
        return -WEIR_ENOENT;
    unsigned available = length > INSN_MAX_BYTES ? INSN_MAX_BYTES : (unsigned)length;
    switch (decode_insn(&i, bytes, available, bits)) {
    case DECODE_OK:
        put_insn(&o, &i);
        return i.length;
    case DECODE_TRUNCATED:
        put(&o, "(bad): truncated");
        return 0;
    case DECODE_TOO_LONG:
        put(&o, "(bad): more than 15 bytes");
        return 0;
    default:
        put(&o, "(bad)");
        return 0;
    }
}
