/* SPDX-License-Identifier: MIT */
/* operands.c - what a decoded instruction and its table row say together (optab.h). */
#include "cpu/decode/decoder.h"
#include "cpu/x86.h"

unsigned insn_size_bytes(const struct insn *i, enum operand_size size)
{
    bool is64 = i->code_bits == 64;
    switch (size) {
    case SIZE_NONE:
        return 0;
    case SIZE_B:
        return 1;
    case SIZE_W:
        return 2;
    case SIZE_D:
        return 4;
    case SIZE_Q:
        return 8;
    case SIZE_T:
        return 10;
    case SIZE_DQ:
        return 16;
    case SIZE_QQ:
        return 32;
    case SIZE_OQ:
        return 64;
    case SIZE_V:
        return i->opsize;
    case SIZE_Z:
        return i->opsize == 8 ? 4 : i->opsize;
    case SIZE_Y:
        return is64 && (i->opsize == 8 || (i->prefixes & PFX_REX_W)) ? 8 : 4;
    case SIZE_A:
        return 2u * i->opsize;
    case SIZE_P:
        return i->opsize + 2u;
    case SIZE_S:
        return is64 ? 10 : 6;
    case SIZE_X:
        return i->vector_bytes;
    case SIZE_HX:
        return i->vector_bytes / 2;
    case SIZE_QX:
        return i->vector_bytes / 4;
    case SIZE_EX:
        return i->vector_bytes / 8;
    case SIZE_DDUP:
        return i->vector_bytes == 16 ? 8 : i->vector_bytes;
    case SIZE_ENV:
        return i->opsize == 2 ? 14 : 28;
    case SIZE_SAVE:
        return i->opsize == 2 ? 94 : 108;
    case SIZE_ADDR:
        return i->addrsize;
    case SIZE_STK:
        return is64 ? (i->opsize == 2 ? 2 : 8) : i->opsize;
    }
    return 0;
}

static uint8_t kind_register_class(unsigned kind)
{
    switch (kind) {
    case KIND_B:
    case KIND_E:
    case KIND_G:
    case KIND_R:
    case KIND_Z:
    case KIND_FIXED:
        return REGS_GPR;
    case KIND_H:
    case KIND_L:
    case KIND_U:
    case KIND_V:
    case KIND_W:
    case KIND_XMM:
        return REGS_VECTOR;
    case KIND_N:
    case KIND_P:
    case KIND_Q:
        return REGS_MMX;
    case KIND_KG:
    case KIND_KE:
    case KIND_KR:
    case KIND_KH:
        return REGS_MASK;
    case KIND_S:
    case KIND_SEG:
        return REGS_SEGMENT;
    case KIND_ST:
    case KIND_STI:
        return REGS_X87;
    case KIND_C:
        return REGS_CONTROL;
    case KIND_D:
        return REGS_DEBUG;
    default:
        return REGS_NONE;
    }
}

static uint8_t kind_register(const struct insn *i, const struct operand_form *f)
{
    switch (f->kind) {
    case KIND_B:
    case KIND_H:
    case KIND_KH:
        return i->vvvv;
    case KIND_C:
    case KIND_D:
    case KIND_G:
    case KIND_P:
    case KIND_S:
    case KIND_V:
    case KIND_Z:
    case KIND_KG:
        return i->reg;
    case KIND_L:
        return (uint8_t)(i->imm >> 4 & (i->code_bits == 64 ? 15 : 7));
    case KIND_FIXED:
    case KIND_SEG:
    case KIND_ST:
    case KIND_XMM:
        return f->fixed;
    default:
        return i->rm;
    }
}

static bool kind_is_memory(const struct insn *i, unsigned kind)
{
    switch (kind) {
    case KIND_E:
    case KIND_Q:
    case KIND_W:
    case KIND_KE:
        return i->mem;
    case KIND_M:
    case KIND_O:
    case KIND_X:
    case KIND_Y:
    case KIND_VSIB:
        return true;
    default:
        return false;
    }
}

/* A destination under a merging mask keeps elements, so it is a source as well. */
static bool merges(const struct insn *i, const struct operand *o)
{
    return (i->evex & 15) - 1u < 7 && o->written && !o->is_mem && o->regs == REGS_VECTOR;
}

bool insn_operand(const struct insn *i, unsigned k, struct operand *operand)
{
    if (k >= 4 || insn_row(i)->operands[k].kind == KIND_NONE)
        return false;
    const struct operand_form *f = &insn_row(i)->operands[k];
    *operand = (struct operand){
        .kind = f->kind,
        .is_mem = kind_is_memory(i, f->kind),
        .read = f->access & ACCESS_MODE_R,
        .written = f->access & ACCESS_MODE_W,
        .bytes = (uint16_t)insn_size_bytes(i, f->size),
    };
    if (!operand->is_mem) {
        operand->regs = kind_register_class(f->kind);
        operand->reg = operand->regs != REGS_NONE ? kind_register(i, f) : 0;
    } else if (i->mem && i->mem_bytes) {
        operand->bytes = i->mem_bytes; /* broadcast, gathers */
    }
    operand->read |= merges(i, operand);
    return true;
}

int insn_mem_operand(const struct insn *i)
{
    for (int k = 0; k < 4; k++)
        if (kind_is_memory(i, insn_row(i)->operands[k].kind))
            return k;
    return -1;
}

unsigned insn_mem_alignment(const struct insn *i)
{
    if (!i->mem || !(insn_row(i)->attrs & ATTR_ALIGNED))
        return 0;
    return i->mem_bytes;
}

bool insn_needs_vl(const struct insn *i)
{
    const struct optab_row *row = insn_row(i);
    uint64_t fixed_128 = KEY_CONDITION(L, 0), l_field = KEY_CONDITION(L, 3);
    if (!(i->prefixes & PFX_EVEX) || (row->attrs & ATTR_LIG) || i->vector_bytes == 64)
        return false;
    return (row->condition & l_field) != fixed_128;
}
