/* SPDX-License-Identifier: MIT */
/* oracle.c - compares one decoding of ours with Zydis's (oracle.h). */
#include "oracle.h"
#include "cpu/x86.h"

const char *check_name(enum check check)
{
    static const char *const names[CHECK_COUNT] = {
        [CHECK_MISSING] = "MISSING",   [CHECK_EXTRA] = "EXTRA",
        [CHECK_LENGTH] = "LENGTH",     [CHECK_OPERANDS] = "OPERANDS",
        [CHECK_REGISTER] = "REGISTER", [CHECK_ACCESS] = "ACCESS",
        [CHECK_REG_SIZE] = "REG_SIZE", [CHECK_MEM_SIZE] = "MEM_SIZE",
        [CHECK_ADDRESS] = "ADDRESS",   [CHECK_IMMEDIATE] = "IMMEDIATE",
        [CHECK_OPSIZE] = "OPSIZE",     [CHECK_CLASS] = "CLASS",
        [CHECK_FEATURE] = "FEATURE",   [CHECK_ELEMENT] = "ELEMENT",
    };
    return names[check];
}

void oracle_init(struct oracle *o)
{
    static const ZydisMachineMode modes[3] = {
        ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_MACHINE_MODE_LONG_64};
    static const ZydisStackWidth widths[3] = {ZYDIS_STACK_WIDTH_16, ZYDIS_STACK_WIDTH_32,
                                              ZYDIS_STACK_WIDTH_64};
    for (unsigned k = 0; k < 3; k++) {
        ZydisDecoder *d = &o->decoders[k];
        ZydisDecoderInit(d, modes[k], widths[k]);
        /* What we do not offer decodes as the NOP it was before. */
        ZydisDecoderEnableMode(d, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
        ZydisDecoderEnableMode(d, ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
        ZydisDecoderEnableMode(d, ZYDIS_DECODER_MODE_WBNOINVD, ZYAN_FALSE);
    }
}

struct comparison {
    const struct insn *i;
    const ZydisDecodedInstruction *z;
    const ZydisDecodedOperand *operands;
    uint32_t failed;
};

static void fail_if(struct comparison *c, bool wrong, enum check check)
{
    if (wrong)
        c->failed |= BIT(check);
}

/* ---- registers ---- */

static unsigned zydis_class(ZydisRegister r)
{
    switch (ZydisRegisterGetClass(r)) {
    case ZYDIS_REGCLASS_GPR8:
    case ZYDIS_REGCLASS_GPR16:
    case ZYDIS_REGCLASS_GPR32:
    case ZYDIS_REGCLASS_GPR64:
        return REGS_GPR;
    case ZYDIS_REGCLASS_X87:
        return REGS_X87;
    case ZYDIS_REGCLASS_MMX:
        return REGS_MMX;
    case ZYDIS_REGCLASS_XMM:
    case ZYDIS_REGCLASS_YMM:
    case ZYDIS_REGCLASS_ZMM:
        return REGS_VECTOR;
    case ZYDIS_REGCLASS_SEGMENT:
        return REGS_SEGMENT;
    case ZYDIS_REGCLASS_CONTROL:
        return REGS_CONTROL;
    case ZYDIS_REGCLASS_DEBUG:
        return REGS_DEBUG;
    case ZYDIS_REGCLASS_MASK:
        return REGS_MASK;
    default:
        return REGS_NONE;
    }
}

static unsigned zydis_number(ZydisRegister r)
{
    if (r >= ZYDIS_REGISTER_AL && r <= ZYDIS_REGISTER_BL)
        return r - ZYDIS_REGISTER_AL;
    if (r >= ZYDIS_REGISTER_AH && r <= ZYDIS_REGISTER_BH)
        return r - ZYDIS_REGISTER_AH + 16;
    if (r >= ZYDIS_REGISTER_SPL && r <= ZYDIS_REGISTER_R15B)
        return r - ZYDIS_REGISTER_SPL + 4;
    return (uint8_t)ZydisRegisterGetId(r);
}

static bool same_register(unsigned ours, ZydisRegister theirs)
{
    if (theirs == ZYDIS_REGISTER_NONE)
        return ours == REG_NONE;
    if (theirs == ZYDIS_REGISTER_RIP || theirs == ZYDIS_REGISTER_EIP)
        return ours == REG_RIP;
    return ours == zydis_number(theirs);
}

/* ---- operands ---- */

static ZydisOperandEncoding kind_encoding(unsigned kind)
{
    switch (kind) {
    case KIND_C:
    case KIND_D:
    case KIND_G:
    case KIND_P:
    case KIND_S:
    case KIND_V:
    case KIND_KG:
        return ZYDIS_OPERAND_ENCODING_MODRM_REG;
    case KIND_E:
    case KIND_M:
    case KIND_N:
    case KIND_Q:
    case KIND_R:
    case KIND_U:
    case KIND_W:
    case KIND_VSIB:
    case KIND_KE:
    case KIND_KR:
    case KIND_STI:
        return ZYDIS_OPERAND_ENCODING_MODRM_RM;
    case KIND_B:
    case KIND_H:
    case KIND_KH:
        return ZYDIS_OPERAND_ENCODING_NDSNDD;
    case KIND_L:
        return ZYDIS_OPERAND_ENCODING_IS4;
    case KIND_Z:
        return ZYDIS_OPERAND_ENCODING_OPCODE;
    case KIND_O:
        return ZYDIS_OPERAND_ENCODING_DISP16_32_64;
    default:
        return ZYDIS_OPERAND_ENCODING_NONE;
    }
}

static const ZydisDecodedOperand *find_operand(const struct comparison *c,
                                               ZydisOperandEncoding encoding)
{
    for (unsigned k = 0; k < c->z->operand_count; k++)
        if (c->operands[k].encoding == encoding)
            return &c->operands[k];
    return NULL;
}

static void compare_access(struct comparison *c, const struct operand *ours,
                           const ZydisDecodedOperand *theirs)
{
    bool read = theirs->actions & ZYDIS_OPERAND_ACTION_MASK_READ;
    bool written = theirs->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
    if (!ours->is_mem && (theirs->actions & ZYDIS_OPERAND_ACTION_CONDWRITE))
        read = true; /* what is not written is kept: we call that read */
    fail_if(c, ours->read != read || ours->written != written, CHECK_ACCESS);
}

static void compare_address(struct comparison *c, const ZydisDecodedOperandMem *m)
{
    const struct insn *i = c->i;
    int64_t disp = i->disp;
    if (i->addrsize == 2)
        disp = (int16_t)disp;
    /* Zydis 4.0: with 67 and REX.B it shows a base where mod = 0, SIB.base = 5 have none. */
    bool zydis_bug = i->base == REG_NONE && i->addrsize == 4 && m->base == ZYDIS_REGISTER_R13D;
    if (zydis_bug)
        return;
    fail_if(c, !same_register(i->base, m->base), CHECK_ADDRESS);
    fail_if(c, !same_register(i->index, m->index), CHECK_ADDRESS);
    fail_if(c, i->seg != zydis_number(m->segment), CHECK_ADDRESS);
    fail_if(c, m->index != ZYDIS_REGISTER_NONE && 1u << i->scale != m->scale, CHECK_ADDRESS);
    fail_if(c, m->disp.has_displacement ? disp != m->disp.value : disp != 0, CHECK_ADDRESS);
}

static void compare_offset(struct comparison *c, const ZydisDecodedOperandMem *m)
{
    uint64_t offset = (uint64_t)m->disp.value & mask_bytes(c->i->addrsize);
    fail_if(c, c->i->imm != offset || c->i->seg != zydis_number(m->segment), CHECK_ADDRESS);
}

static void compare_operand(struct comparison *c, const struct operand *ours)
{
    ZydisOperandEncoding encoding = kind_encoding(ours->kind);
    if (encoding == ZYDIS_OPERAND_ENCODING_NONE)
        return;
    const ZydisDecodedOperand *theirs = find_operand(c, encoding);
    bool mem = theirs && theirs->type == ZYDIS_OPERAND_TYPE_MEMORY;
    if (!theirs || mem != ours->is_mem) {
        fail_if(c, true, CHECK_OPERANDS);
        return;
    }
    compare_access(c, ours, theirs);
    if (mem) {
        fail_if(c, ours->bytes * 8u != theirs->size, CHECK_MEM_SIZE);
        if (insn_row(c->i)->attrs & (ATTR_MASK | ATTR_BROADCAST | ATTR_DISP_ELEMENT))
            fail_if(c, insn_row(c->i)->element * 8 != theirs->element_size, CHECK_ELEMENT);
        if (ours->kind == KIND_O)
            compare_offset(c, &theirs->mem);
        else
            compare_address(c, &theirs->mem);
        return;
    }
    fail_if(c, ours->regs != zydis_class(theirs->reg.value), CHECK_REGISTER);
    fail_if(c, !same_register(ours->reg, theirs->reg.value), CHECK_REGISTER);
    if (ours->regs == REGS_GPR)
        fail_if(c, ours->bytes * 8u != theirs->size, CHECK_REG_SIZE);
}

static bool we_have(const struct comparison *c, ZydisOperandEncoding encoding)
{
    struct operand o;
    for (unsigned k = 0; insn_operand(c->i, k, &o); k++)
        if (kind_encoding(o.kind) == encoding)
            return true;
    return false;
}

static void compare_operands(struct comparison *c)
{
    struct operand o;
    for (unsigned k = 0; insn_operand(c->i, k, &o); k++)
        compare_operand(c, &o);
    for (unsigned k = 0; k < c->z->operand_count; k++)
        switch (c->operands[k].encoding) {
        case ZYDIS_OPERAND_ENCODING_MODRM_REG:
        case ZYDIS_OPERAND_ENCODING_MODRM_RM:
        case ZYDIS_OPERAND_ENCODING_OPCODE:
        case ZYDIS_OPERAND_ENCODING_NDSNDD:
        case ZYDIS_OPERAND_ENCODING_IS4:
            fail_if(c, !we_have(c, c->operands[k].encoding), CHECK_OPERANDS);
            break;
        default:
            break;
        }
}

/* ---- immediates ---- */

/* The bits encoded must be equal, and ours extended as the SDM says: displacements and
 * immediates shorter than the operand by their sign, unless Zydis holds them for unsigned. */
static void compare_immediate(struct comparison *c, unsigned kind, uint64_t ours, unsigned n)
{
    unsigned size = c->z->raw.imm[n].size;
    uint64_t theirs = c->z->raw.imm[n].value.u;
    uint64_t mask = size < 64 ? BIT64(size) - 1 : ~0ull;
    fail_if(c, (ours & mask) != (theirs & mask), CHECK_IMMEDIATE);
    if (size >= 64 || kind == KIND_A)
        return;
    bool is_signed = kind == KIND_J || (c->z->raw.imm[n].is_signed && size < c->i->opsize * 8u);
    uint64_t extended = is_signed ? (uint64_t)sign_extend(ours & mask, size) : ours & mask;
    fail_if(c, ours != extended, CHECK_IMMEDIATE);
}

static void compare_immediates(struct comparison *c)
{
    unsigned n = 0;
    for (unsigned k = 0; k < 4; k++) {
        unsigned kind = insn_row(c->i)->operands[k].kind;
        if (kind == KIND_I || kind == KIND_J || kind == KIND_A)
            compare_immediate(c, kind, c->i->imm, n++);
        else if (kind == KIND_I2)
            compare_immediate(c, kind, c->i->imm2, n++);
    }
}

/* ---- metadata ---- */

static bool has_own_opsize(const struct insn *i)
{
    const struct optab_row *row = insn_row(i);
    return row->state == STATE_INT && !(i->prefixes & PFX_VEX);
}

/* Instruction sets that Weir never offers: their encodings are invalid or hint NOPs. */
static bool is_offered(ZydisISASet set)
{
    static const char *const absent[] = {
#define NOT_OFFERED(name, reason) name,
#include "not_offered.def"
#undef NOT_OFFERED
    };
    const char *name = ZydisISASetGetString(set);
    for (unsigned k = 0; k < ARRAY_SIZE(absent); k++)
        if (strncmp(name, absent[k], strlen(absent[k])) == 0)
            return false;
    return true;
}

/* The feature of Zydis's instruction set: the entry with the longest name that fits. */
static int zydis_feature(ZydisISASet set)
{
    static const struct {
        const char *name;
        uint8_t feature;
    } sets[] = {
#define ISA_SET(name, feature) {name, ISA_##feature},
#include "isa_sets.def"
#undef ISA_SET
    };
    const char *name = ZydisISASetGetString(set);
    int found = -1;
    size_t longest = 0;
    for (unsigned k = 0; k < ARRAY_SIZE(sets); k++) {
        size_t n = strlen(sets[k].name);
        if (n >= longest && strncmp(name, sets[k].name, n) == 0) {
            longest = n;
            found = sets[k].feature;
        }
    }
    return found;
}

static void compare_meta(struct comparison *c)
{
    const struct optab_row *row = insn_row(c->i);
    int ours = row->exception;
    static const uint8_t gaps[] = {EXC_AVX13, EXC_E9};
    for (unsigned k = ARRAY_SIZE(gaps); k-- > 0;) /* Zydis has no such class */
        if (row->exception > gaps[k])
            ours--;
    fail_if(c, ours != (int)c->z->meta.exception_class, CHECK_CLASS);
    fail_if(c, zydis_feature(c->z->meta.isa_set) != row->feature, CHECK_FEATURE);
    if (has_own_opsize(c->i))
        fail_if(c, c->i->opsize * 8 != c->z->operand_width, CHECK_OPSIZE);
}

void oracle_compare(const struct oracle *o, const uint8_t *bytes, unsigned code_bits,
                    struct oracle_result *result)
{
    ZydisDecodedInstruction z;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    const ZydisDecoder *d = &o->decoders[code_bits / 32];
    result->failed = 0;
    enum decode_status ours = decode_insn(&result->insn, bytes, INSN_MAX_BYTES, code_bits);
    bool theirs = ZYAN_SUCCESS(ZydisDecoderDecodeFull(d, bytes, INSN_MAX_BYTES, &z, operands));
    if (theirs && z.encoding == ZYDIS_INSTRUCTION_ENCODING_MVEX)
        theirs = false; /* Xeon Phi's: EVEX with a bit clear that must be set */
    if (theirs && ours != DECODE_OK && !is_offered(z.meta.isa_set))
        return;
    result->mnemonic = theirs ? z.mnemonic : ZYDIS_MNEMONIC_INVALID;
    result->isa_set = theirs ? z.meta.isa_set : ZYDIS_ISA_SET_INVALID;
    if ((ours == DECODE_OK) != theirs) {
        result->failed = BIT(theirs ? CHECK_MISSING : CHECK_EXTRA);
        return;
    }
    if (!theirs)
        return;
    struct comparison c = {.i = &result->insn, .z = &z, .operands = operands};
    fail_if(&c, c.i->length != z.length, CHECK_LENGTH);
    if (c.i->length == z.length) {
        compare_operands(&c);
        compare_immediates(&c);
        compare_meta(&c);
    }
    result->failed = c.failed;
}
