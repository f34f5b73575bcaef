/* SPDX-License-Identifier: MIT */
/* asm.c - see asm.h. Encodings: SDM Vol. 2 2.1, 2.2. */
#include "jit/x64/asm.h"

static bool byte_needs_rex(unsigned r)
{
    return r >= 4 && r < 8; /* SPL, BPL, SIL, DIL */
}

void as_modrm(struct as *a, unsigned reg, struct rm rm, unsigned imm_bytes)
{
    unsigned r = (reg & 7) << 3;
    if (rm.kind == RM_REG) {
        as8(a, 0xc0 | r | (rm.base & 7));
        return;
    }
    if (rm.kind == RM_NEAR) {
        as8(a, 0x05 | r);
        int64_t next = (int64_t)as_here(a) + 4 + imm_bytes;
        as_bytes(a, (uint64_t)((int64_t)(uintptr_t)rm.address - next), 4);
        return;
    }
    if (rm.base == NO_BASE) {
        as8(a, r | 4);
        as8(a, (unsigned)rm.scale << 6 | (rm.index & 7u) << 3 | 5);
        as_bytes(a, (uint64_t)(int64_t)rm.disp, 4);
        return;
    }
    unsigned mod = rm.disp == 0 && (rm.base & 7) != 5 ? 0 : rm.disp == (int8_t)rm.disp ? 1 : 2;
    if (rm.index != H_RSP || (rm.base & 7) == 4) {
        as8(a, mod << 6 | r | 4);
        as8(a, (unsigned)rm.scale << 6 | (rm.index & 7u) << 3 | (rm.base & 7));
    } else {
        as8(a, mod << 6 | r | (rm.base & 7));
    }
    if (mod)
        as_bytes(a, (uint64_t)(int64_t)rm.disp, mod == 1 ? 1 : 4);
}

void as_op(struct as *a, unsigned op, unsigned reg, struct rm rm, unsigned imm_bytes)
{
    bool rm_byte = op & OP_BYTE_RM && rm.kind == RM_REG;
    bool force =
        (op & OP_BYTE_REG && byte_needs_rex(reg)) || (rm_byte && byte_needs_rex(rm.base));
    if (op & OP_BYTE_REG)
        reg = byte_number(reg);
    if (rm_byte)
        rm.base = (uint8_t)byte_number(rm.base);
    as_gs32(a, rm);
    if (op & OP_LOCK)
        as8(a, 0xf0);
    if (op & OP_66)
        as8(a, 0x66);
    if (op & OP_F2)
        as8(a, 0xf2);
    if (op & OP_F3)
        as8(a, 0xf3);
    unsigned rex = (op & OP_W ? 8u : 0) | (reg >> 3 & 1) << 2 | as_rex_xb(rm);
    if (rex || force)
        as8(a, 0x40 | rex);
    unsigned map = op >> 8 & 0xff;
    if (map)
        as8(a, 0x0f);
    if (map >= 2)
        as8(a, map == 2 ? 0x38 : 0x3a);
    as8(a, op & 0xff);
    as_modrm(a, reg, rm, imm_bytes);
}

void as_store_n(struct as *a, struct rm rm, unsigned reg, unsigned bytes)
{
    if (bytes == 1)
        as_op(a, OPC(0, 0x88) | OP_BYTE_REG, reg, rm, 0);
    else
        as_op(a, OPC(0, 0x89) | (bytes == 2 ? OP_66 : bytes == 8 ? OP_W : 0), reg, rm, 0);
}

void as_rorx(struct as *a, unsigned dst, unsigned src, unsigned count)
{
    as8(a, 0xc4); /* VEX.LZ.F2.0F3A.W1 F0 /r ib */
    as8(a, (dst >> 3 ^ 1) << 7 | 1 << 6 | (src >> 3 ^ 1) << 5 | 3);
    as8(a, 0xfb);
    as8(a, 0xf0);
    as8(a, 0xc0 | (dst & 7) << 3 | (src & 7));
    as8(a, count);
}

void as_load_gs(struct as *a, unsigned dst, unsigned index)
{
    as8(a, 0x65);
    as_load(a, dst,
            (struct rm){.kind = RM_MEM, .base = NO_BASE, .index = (uint8_t)index, .scale = 3});
}

void as_mov_imm(struct as *a, unsigned reg, uint64_t v)
{
    if (v == (uint32_t)v) {
        if (reg >= 8)
            as8(a, 0x41);
        as8(a, 0xb8 | (reg & 7));
        as_bytes(a, v, 4);
    } else if (v == (uint64_t)(int64_t)(int32_t)v) {
        as_op_imm(a, OPC(0, 0xc7) | OP_W, 0, rm_reg(reg), v, 4);
    } else {
        as8(a, 0x48 | reg >> 3);
        as8(a, 0xb8 | (reg & 7));
        as_bytes(a, v, 8);
    }
}

uint8_t *as_jcc(struct as *a, unsigned cc)
{
    as8(a, 0x0f);
    as8(a, 0x80 | cc);
    a->p += 4;
    return a->p - 4;
}
uint8_t *as_jmp(struct as *a)
{
    as8(a, 0xe9);
    a->p += 4;
    return a->p - 4;
}
void as_patch(const struct as *a, uint8_t *at, uint64_t target)
{
    int64_t next = (int64_t)(uintptr_t)at + a->rx + 4;
    int32_t rel = (int32_t)((int64_t)target - next);
    memcpy(at, &rel, 4);
}
void as_jmp_to(struct as *a, uint64_t target)
{
    as_patch(a, as_jmp(a), target);
}
void as_call(struct as *a, uint64_t target)
{
    as8(a, 0xe8);
    a->p += 4;
    as_patch(a, a->p - 4, target);
}

void as_save_flags(struct as *a, const void *flags_ax, unsigned scratch)
{
    as_op(a, OPC(0, 0x89) | OP_W, H_RAX, rm_reg(scratch), 0);
    as8(a, 0x9f); /* lahf */
    as_op(a, OPC(1, 0x90) | OP_BYTE_RM, 0, rm_reg(H_RAX), 0);
    as_store_n(a, rm_near(flags_ax), H_RAX, 2);
    as_op(a, OPC(0, 0x8b) | OP_W, H_RAX, rm_reg(scratch), 0);
}

/* ADD makes OF again: 1 + 7Fh overflows, 0 + 7Fh does not. SAHF sets the others. */
void as_restore_flags(struct as *a, const void *flags_ax, unsigned scratch)
{
    as_op(a, OPC(0, 0x89) | OP_W, H_RAX, rm_reg(scratch), 0);
    as_op(a, OPC(1, 0xb7), H_RAX, rm_near(flags_ax), 0);
    as8(a, 0x04);
    as8(a, 0x7f);
    as8(a, 0x9e); /* sahf */
    as_op(a, OPC(0, 0x8b) | OP_W, H_RAX, rm_reg(scratch), 0);
}
