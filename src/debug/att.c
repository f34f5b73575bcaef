/* SPDX-License-Identifier: MIT */
/*
 * att.c - AT&T syntax the way binutils writes it, and QEMU's log with it: mnemonic padded to
 * six columns, operands source first and without blanks, size suffixes where no register tells
 * the size, je for jz. Zydis formats the single operands; names, suffixes and order are ours.
 */
#include "debug/att.h"
#include <stdio.h>
#include <string.h>
#include "base/bits.h"

struct att {
    const ZydisDecodedInstruction *z;
    const ZydisDecodedOperand *operands;
    uint64_t address;
    ZydisFormatter formatter;
    char *text;
    size_t size, length;
};

static void put(struct att *a, const char *s)
{
    while (*s && a->length + 1 < a->size)
        a->text[a->length++] = *s++;
    a->text[a->length] = 0;
}

/* ---- mnemonics ---- */

struct rename {
    ZydisMnemonic mnemonic;
    const char *name;
};

/* Where binutils prefers another name, or AT&T has its own. */
static const struct rename renames[] = {
    {ZYDIS_MNEMONIC_JZ, "je"},         {ZYDIS_MNEMONIC_JNZ, "jne"},
    {ZYDIS_MNEMONIC_JNB, "jae"},       {ZYDIS_MNEMONIC_JNBE, "ja"},
    {ZYDIS_MNEMONIC_JNL, "jge"},       {ZYDIS_MNEMONIC_JNLE, "jg"},
    {ZYDIS_MNEMONIC_SETZ, "sete"},     {ZYDIS_MNEMONIC_SETNZ, "setne"},
    {ZYDIS_MNEMONIC_SETNB, "setae"},   {ZYDIS_MNEMONIC_SETNBE, "seta"},
    {ZYDIS_MNEMONIC_SETNL, "setge"},   {ZYDIS_MNEMONIC_SETNLE, "setg"},
    {ZYDIS_MNEMONIC_CMOVZ, "cmove"},   {ZYDIS_MNEMONIC_CMOVNZ, "cmovne"},
    {ZYDIS_MNEMONIC_CMOVNB, "cmovae"}, {ZYDIS_MNEMONIC_CMOVNBE, "cmova"},
    {ZYDIS_MNEMONIC_CMOVNL, "cmovge"}, {ZYDIS_MNEMONIC_CMOVNLE, "cmovg"},
    {ZYDIS_MNEMONIC_CBW, "cbtw"},      {ZYDIS_MNEMONIC_CWDE, "cwtl"},
    {ZYDIS_MNEMONIC_CDQE, "cltq"},     {ZYDIS_MNEMONIC_CWD, "cwtd"},
    {ZYDIS_MNEMONIC_CDQ, "cltd"},      {ZYDIS_MNEMONIC_CQO, "cqto"},
    {ZYDIS_MNEMONIC_MOVSXD, "movslq"}, {ZYDIS_MNEMONIC_MOVZX, "movz"},
    {ZYDIS_MNEMONIC_MOVSX, "movs"},    {ZYDIS_MNEMONIC_PUSHAD, "pusha"},
    {ZYDIS_MNEMONIC_POPAD, "popa"},    {ZYDIS_MNEMONIC_PUSHFD, "pushf"},
    {ZYDIS_MNEMONIC_POPFD, "popf"},    {ZYDIS_MNEMONIC_IRETD, "iret"},
    {ZYDIS_MNEMONIC_MOVSD, "movsl"},   {ZYDIS_MNEMONIC_CMPSD, "cmpsl"},
    {ZYDIS_MNEMONIC_INSD, "insl"},     {ZYDIS_MNEMONIC_OUTSD, "outsl"},
    {ZYDIS_MNEMONIC_INSW, "insw"},     {ZYDIS_MNEMONIC_OUTSW, "outsw"},
    {ZYDIS_MNEMONIC_STOSB, "stos"},    {ZYDIS_MNEMONIC_STOSW, "stos"},
    {ZYDIS_MNEMONIC_STOSD, "stos"},    {ZYDIS_MNEMONIC_STOSQ, "stos"},
    {ZYDIS_MNEMONIC_LODSB, "lods"},    {ZYDIS_MNEMONIC_LODSW, "lods"},
    {ZYDIS_MNEMONIC_LODSD, "lods"},    {ZYDIS_MNEMONIC_LODSQ, "lods"},
    {ZYDIS_MNEMONIC_SCASB, "scas"},    {ZYDIS_MNEMONIC_SCASW, "scas"},
    {ZYDIS_MNEMONIC_SCASD, "scas"},    {ZYDIS_MNEMONIC_SCASQ, "scas"},
};

static bool is_string(const struct att *a)
{
    return a->z->meta.category == ZYDIS_CATEGORY_STRINGOP ||
           a->z->meta.category == ZYDIS_CATEGORY_IOSTRINGOP;
}

static bool is_indirect_branch(const struct att *a)
{
    bool branch = a->z->mnemonic == ZYDIS_MNEMONIC_JMP || a->z->mnemonic == ZYDIS_MNEMONIC_CALL;
    return branch && a->operands[0].type != ZYDIS_OPERAND_TYPE_IMMEDIATE;
}

static bool is_far(const struct att *a)
{
    return a->z->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
}

/* MOV of a 64-bit immediate, or to and from a 64-bit offset. */
static bool is_movabs(const struct att *a)
{
    return a->z->mnemonic == ZYDIS_MNEMONIC_MOV &&
           (a->z->raw.imm[0].size == 64 || a->z->raw.disp.size == 64);
}

static const char *base_name(const struct att *a)
{
    if (is_movabs(a))
        return "movabs";
    /* The vector instructions of these names are spelled as the SDM does. */
    bool vector = a->z->operand_count_visible > 0 && !is_string(a);
    for (unsigned k = 0; k < ARRAY_SIZE(renames); k++)
        if (renames[k].mnemonic == a->z->mnemonic) {
            bool both = a->z->mnemonic == ZYDIS_MNEMONIC_MOVSD ||
                        a->z->mnemonic == ZYDIS_MNEMONIC_CMPSD;
            if (!(both && vector))
                return renames[k].name;
        }
    return ZydisMnemonicGetString(a->z->mnemonic);
}

static char size_suffix(unsigned bits)
{
    return bits == 8 ? 'b' : bits == 16 ? 'w' : bits == 32 ? 'l' : 'q';
}

/* x87 memory: s l t for floating point, s l ll for integers. */
static const char *x87_suffix(const struct att *a, const ZydisDecodedOperand *mem)
{
    switch (mem->element_type) {
    case ZYDIS_ELEMENT_TYPE_FLOAT32:
        return "s";
    case ZYDIS_ELEMENT_TYPE_FLOAT64:
        return "l";
    case ZYDIS_ELEMENT_TYPE_FLOAT80:
        return "t";
    case ZYDIS_ELEMENT_TYPE_INT:
        break;
    default:
        return "";
    }
    if (a->z->mnemonic == ZYDIS_MNEMONIC_FLDCW || a->z->mnemonic == ZYDIS_MNEMONIC_FNSTCW ||
        a->z->mnemonic == ZYDIS_MNEMONIC_FNSTSW)
        return "";
    return mem->size == 16 ? "s" : mem->size == 32 ? "l" : "ll";
}

static bool is_sized_by_register(const struct att *a)
{
    for (unsigned k = 0; k < a->z->operand_count_visible; k++) {
        const ZydisDecodedOperand *o = &a->operands[k];
        bool shift_count = k > 0 && o->visibility == ZYDIS_OPERAND_VISIBILITY_IMPLICIT;
        if (o->type == ZYDIS_OPERAND_TYPE_REGISTER && !shift_count &&
            o->encoding != ZYDIS_OPERAND_ENCODING_MASK && o->reg.value != ZYDIS_REGISTER_NONE)
            return true;
    }
    return false;
}

static const ZydisDecodedOperand *memory_operand(const struct att *a)
{
    for (unsigned k = 0; k < a->z->operand_count_visible; k++)
        if (a->operands[k].type == ZYDIS_OPERAND_TYPE_MEMORY)
            return &a->operands[k];
    return NULL;
}

static bool is_integer(const struct att *a)
{
    switch (a->z->meta.category) {
    case ZYDIS_CATEGORY_BINARY:
    case ZYDIS_CATEGORY_BITBYTE:
    case ZYDIS_CATEGORY_DATAXFER:
    case ZYDIS_CATEGORY_LOGICAL:
    case ZYDIS_CATEGORY_ROTATE:
    case ZYDIS_CATEGORY_SHIFT:
    case ZYDIS_CATEGORY_PUSH:
    case ZYDIS_CATEGORY_POP:
        return true;
    default:
        return false;
    }
}

static bool is_hint_nop(const struct att *a)
{
    return a->z->mnemonic == ZYDIS_MNEMONIC_NOP && a->z->operand_count_visible > 0;
}

/* In 64-bit code binutils of QEMU's time gave stack operations their q. */
static bool is_stack64(const struct att *a)
{
    if (a->z->machine_mode != ZYDIS_MACHINE_MODE_LONG_64)
        return false;
    switch (a->z->mnemonic) {
    case ZYDIS_MNEMONIC_CALL:
    case ZYDIS_MNEMONIC_RET:
        return !is_far(a);
    case ZYDIS_MNEMONIC_JMP:
        return is_indirect_branch(a) && !is_far(a);
    case ZYDIS_MNEMONIC_LEAVE:
        return true;
    case ZYDIS_MNEMONIC_PUSH:
    case ZYDIS_MNEMONIC_POP:
        return !is_sized_by_register(a);
    default:
        return false;
    }
}

/* In 16-bit code the prefixed forms of these are common, and told apart. */
static bool is_mixed_size(const struct att *a)
{
    if (a->z->machine_mode == ZYDIS_MACHINE_MODE_LONG_64)
        return false;
    bool is16 = a->z->machine_mode == ZYDIS_MACHINE_MODE_LEGACY_16;
    switch (a->z->mnemonic) {
    case ZYDIS_MNEMONIC_LGDT:
    case ZYDIS_MNEMONIC_LIDT:
        return is16;
    case ZYDIS_MNEMONIC_JMP:
    case ZYDIS_MNEMONIC_CALL:
    case ZYDIS_MNEMONIC_RET:
        return a->z->operand_width != (is16 ? 16 : 32) && !memory_operand(a);
    default:
        return false;
    }
}

static void put_suffix(struct att *a)
{
    const ZydisDecodedOperand *mem = memory_operand(a);
    const ZydisDecodedOperand *o = a->operands;
    char s[3] = {0};
    if (a->z->mnemonic == ZYDIS_MNEMONIC_MOVZX || a->z->mnemonic == ZYDIS_MNEMONIC_MOVSX) {
        s[0] = size_suffix(o[1].size);
        s[1] = size_suffix(o[0].size);
    } else if (is_stack64(a)) {
        s[0] = a->z->operand_width == 16 ? 'w' : 'q';
    } else if (is_mixed_size(a)) {
        s[0] = a->z->operand_width == 16 ? 'w' : 'l';
    } else if (mem && a->z->meta.category == ZYDIS_CATEGORY_X87_ALU) {
        put(a, x87_suffix(a, mem));
    } else if (mem && (is_integer(a) || is_hint_nop(a)) &&
               (is_hint_nop(a) || !is_sized_by_register(a))) {
        s[0] = size_suffix(mem->size);
    }
    put(a, s);
}

/* AT&T assemblers always had FSUB and FSUBR, FDIV and FDIVR of ST(i) the wrong way round. */
static const char *x87_swapped(const struct att *a)
{
    if ((a->z->opcode != 0xdc && a->z->opcode != 0xde) || memory_operand(a))
        return NULL;
    switch (a->z->mnemonic) {
    case ZYDIS_MNEMONIC_FSUB:
        return "fsubr";
    case ZYDIS_MNEMONIC_FSUBR:
        return "fsub";
    case ZYDIS_MNEMONIC_FDIV:
        return "fdivr";
    case ZYDIS_MNEMONIC_FDIVR:
        return "fdiv";
    case ZYDIS_MNEMONIC_FSUBP:
        return "fsubrp";
    case ZYDIS_MNEMONIC_FSUBRP:
        return "fsubp";
    case ZYDIS_MNEMONIC_FDIVP:
        return "fdivrp";
    case ZYDIS_MNEMONIC_FDIVRP:
        return "fdivp";
    default:
        return NULL;
    }
}

static void put_mnemonic(struct att *a)
{
    uint64_t attributes = a->z->attributes;
    if (attributes & ZYDIS_ATTRIB_HAS_LOCK)
        put(a, "lock ");
    if (attributes & ZYDIS_ATTRIB_HAS_REP)
        put(a, "rep ");
    if (attributes & ZYDIS_ATTRIB_HAS_REPE)
        put(a, "repz ");
    if (attributes & ZYDIS_ATTRIB_HAS_REPNE)
        put(a, "repnz ");
    bool far_jump = is_far(a) && (a->z->mnemonic == ZYDIS_MNEMONIC_JMP ||
                                  a->z->mnemonic == ZYDIS_MNEMONIC_CALL);
    bool far_return = a->z->mnemonic == ZYDIS_MNEMONIC_RET && is_far(a);
    if (far_jump || far_return)
        put(a, "l");
    const char *swapped = x87_swapped(a);
    put(a, swapped ? swapped : base_name(a));
    put_suffix(a);
    unsigned width = (unsigned)a->length;
    while (width++ < 6)
        put(a, " ");
    put(a, " ");
}

/* ---- operands ---- */

static void put_stripped(struct att *a, const char *s)
{
    char c[2] = {0};
    for (; *s; s++) {
        c[0] = *s;
        if (*s != ' ')
            put(a, c);
    }
}

static void put_x87_register(struct att *a, ZydisRegister r)
{
    char s[12];
    unsigned n = (unsigned)(r - ZYDIS_REGISTER_ST0);
    snprintf(s, sizeof(s), n ? "%%st(%u)" : "%%st", n);
    put(a, s);
}

/* Signed immediates show all bits of the operand size, as 0xffffffff. */
static void put_immediate(struct att *a, const ZydisDecodedOperand *o)
{
    char s[24];
    unsigned bits = o->size;
    uint64_t v = o->imm.value.u;
    if (o->imm.is_relative) {
        ZydisCalcAbsoluteAddress(a->z, o, a->address, &v);
        snprintf(s, sizeof(s), "0x%llx", (unsigned long long)v);
    } else {
        if (o->imm.is_signed && a->z->operand_width > bits)
            bits = a->z->operand_width;
        snprintf(s, sizeof(s), "$0x%llx", (unsigned long long)(v & mask_bytes(bits / 8)));
    }
    put(a, s);
}

/* A displacement that is there is shown, even if it is zero. */
static bool shows_zero(const ZydisDecodedOperand *o, const char *s)
{
    return o->type == ZYDIS_OPERAND_TYPE_MEMORY && o->mem.disp.has_displacement &&
           o->mem.disp.value == 0 && strchr(s, '(');
}

static void put_zero(struct att *a, const char *s)
{
    char head[128];
    size_t n = (size_t)(strchr(s, '(') - s);
    memcpy(head, s, n);
    head[n] = 0;
    put_stripped(a, head);
    put(a, "0x0");
    put_stripped(a, s + n);
}

/* {%k1}{z} behind the destination, {1to16} behind memory. */
static void put_decorations(struct att *a, const ZydisDecodedOperand *o)
{
    const ZydisDecodedInstructionAvx *avx = &a->z->avx;
    char s[24];
    bool evex = a->z->encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX;
    if (!evex)
        return;
    if (o->type == ZYDIS_OPERAND_TYPE_MEMORY && a->z->raw.evex.b && o->size) {
        snprintf(s, sizeof(s), "{1to%u}", avx->vector_length / o->size);
        put(a, s);
    }
    if (o != &a->operands[0] || avx->mask.reg == ZYDIS_REGISTER_K0 || !avx->mask.reg)
        return;
    snprintf(s, sizeof(s), "{%%%s}%s", ZydisRegisterGetString(avx->mask.reg),
             a->z->raw.evex.z ? "{z}" : "");
    put(a, s);
}

static void put_operand(struct att *a, const ZydisDecodedOperand *o)
{
    char s[128] = "";
    bool port = ZYDIS_CATEGORY_IO == a->z->meta.category &&
                o->type == ZYDIS_OPERAND_TYPE_REGISTER && o->reg.value == ZYDIS_REGISTER_DX;
    if (o->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        put_immediate(a, o);
    } else if (o->type == ZYDIS_OPERAND_TYPE_POINTER) {
        snprintf(s, sizeof(s), "$0x%x,$0x%x", o->ptr.segment, o->ptr.offset);
        put(a, s);
    } else if (o->type == ZYDIS_OPERAND_TYPE_REGISTER &&
               ZydisRegisterGetClass(o->reg.value) == ZYDIS_REGCLASS_X87) {
        put_x87_register(a, o->reg.value);
    } else {
        ZydisFormatterFormatOperand(&a->formatter, a->z, o, s, sizeof(s), a->address, NULL);
        if (is_indirect_branch(a) && s[0] != '*')
            put(a, "*");
        put(a, port ? "(" : "");
        if (shows_zero(o, s))
            put_zero(a, s);
        else
            put_stripped(a, s);
        put(a, port ? ")" : "");
    }
}

/* String operands are implied; AT&T shows them, memory with its segment. */
static void put_string_operands(struct att *a)
{
    bool first = true;
    for (unsigned k = a->z->operand_count; k-- > 0;) {
        const ZydisDecodedOperand *o = &a->operands[k];
        char s[40];
        if (o->type == ZYDIS_OPERAND_TYPE_MEMORY)
            snprintf(s, sizeof(s), "%%%s:(%%%s)", ZydisRegisterGetString(o->mem.segment),
                     ZydisRegisterGetString(o->mem.base));
        else if (o->reg.value == ZYDIS_REGISTER_DX)
            snprintf(s, sizeof(s), "(%%dx)");
        else if (ZydisRegisterGetLargestEnclosing(a->z->machine_mode, o->reg.value) ==
                 ZydisRegisterGetLargestEnclosing(a->z->machine_mode, ZYDIS_REGISTER_AX))
            snprintf(s, sizeof(s), "%%%s", ZydisRegisterGetString(o->reg.value));
        else
            continue; /* count, pointers, flags */
        put(a, first ? "" : ",");
        put(a, s);
        first = false;
    }
}

static bool is_shift_by_one(const struct att *a, const ZydisDecodedOperand *o)
{
    return o->type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
           o->visibility == ZYDIS_OPERAND_VISIBILITY_IMPLICIT && (a->z->opcode & 0xfe) == 0xd0;
}

static void put_operands(struct att *a)
{
    bool forward = a->z->mnemonic == ZYDIS_MNEMONIC_ENTER; /* the one in Intel's order */
    unsigned count = a->z->operand_count_visible;
    bool first = true;
    for (unsigned k = 0; k < count; k++) {
        const ZydisDecodedOperand *o = &a->operands[forward ? k : count - 1 - k];
        if (o->encoding == ZYDIS_OPERAND_ENCODING_MASK)
            continue; /* shown with the destination */
        if ((is_hint_nop(a) && o != &a->operands[0]) || is_shift_by_one(a, o))
            continue;
        if (!first)
            put(a, ",");
        first = false;
        put_operand(a, o);
        put_decorations(a, o);
    }
}

static void put_rip_target(struct att *a)
{
    const ZydisDecodedOperand *mem = memory_operand(a);
    uint64_t target;
    char s[40];
    if (!mem || (mem->mem.base != ZYDIS_REGISTER_RIP && mem->mem.base != ZYDIS_REGISTER_EIP))
        return;
    if (!ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(a->z, mem, a->address, &target)))
        return;
    snprintf(s, sizeof(s), "        # 0x%llx", (unsigned long long)target);
    put(a, s);
}

void att_format(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *operands,
                uint64_t address, char *text, size_t text_bytes)
{
    struct att a = {
        .z = insn, .operands = operands, .address = address, .text = text, .size = text_bytes};
    ZydisFormatter *f = &a.formatter;
    ZydisFormatterInit(f, ZYDIS_FORMATTER_STYLE_ATT);
    ZydisFormatterSetProperty(f, ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, ZYAN_FALSE);
    ZydisFormatterSetProperty(f, ZYDIS_FORMATTER_PROP_FORCE_RELATIVE_RIPREL, ZYAN_TRUE);
    ZydisFormatterSetProperty(f, ZYDIS_FORMATTER_PROP_ADDR_PADDING_ABSOLUTE, 0);
    ZydisFormatterSetProperty(f, ZYDIS_FORMATTER_PROP_DISP_PADDING, 0);
    if (text_bytes == 0)
        return;
    text[0] = 0;
    if (insn->mnemonic == ZYDIS_MNEMONIC_NOP && insn->opcode == 0x90 &&
        (insn->attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE)) {
        put(&a, "xchg   %ax,%ax");
        return;
    }
    put_mnemonic(&a);
    if (is_string(&a))
        put_string_operands(&a);
    else
        put_operands(&a);
    put_rip_target(&a);
    while (a.length && text[a.length - 1] == ' ')
        text[--a.length] = 0;
}
