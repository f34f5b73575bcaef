/* SPDX-License-Identifier: MIT */
/*
 * gen_int.c - integer instructions: the same instruction again, with registers and memory
 * operand where they are on the host.
 *
 * Operands come from the instruction table. A spilled register is used in T2 (modrm.reg) or, as
 * modrm.rm, in place or in T1, so that 32-bit results clear the upper half.
 */
#include "jit/internal.h"

#include "cpu/interp/hostexec.h"
#include "cpu/x86.h"

struct parts {
    const struct operand_form *rm, *reg, *imm;
    unsigned op;              /* for as_op */
    unsigned rm_bytes, digit; /* digit: modrm.reg if `reg` is NULL */
    unsigned imm_bytes;
};

static bool find_parts(const struct insn *i, struct parts *p)
{
    *p = (struct parts){.digit = i->modrm >> 3 & 7};
    for (unsigned k = 0; k < 4; k++) {
        const struct operand_form *o = &insn_row(i)->operands[k];
        switch (o->kind) {
        case KIND_NONE:
        case KIND_ONE:
        case KIND_FIXED:
            break;
        case KIND_E:
        case KIND_M:
        case KIND_R:
            p->rm = o;
            break;
        case KIND_G:
            p->reg = o;
            break;
        case KIND_I:
            p->imm = o;
            break;
        default:
            return false;
        }
    }
    p->rm_bytes = p->rm ? insn_size_bytes(i, (enum operand_size)p->rm->size) : 0;
    p->imm_bytes = p->imm ? insn_size_bytes(i, (enum operand_size)p->imm->size) : 0;
    if (p->imm_bytes == 8)
        p->imm_bytes = 4;
    /* 82 is an alias of 80 that 64-bit code does not have. */
    p->op = OPC(i->map, i->map == 0 && i->opcode == 0x82 ? 0x80 : i->opcode);
    if (i->opsize == 2)
        p->op |= OP_66;
    if (i->opsize == 8)
        p->op |= OP_W;
    if (p->rm && p->rm_bytes == 1)
        p->op |= OP_BYTE_RM;
    if (p->reg && insn_size_bytes(i, (enum operand_size)p->reg->size) == 1)
        p->op |= OP_BYTE_REG;
    return true;
}

static unsigned byte_host(unsigned r, bool byte)
{
    return byte && r >= 16 ? r : host_reg(r);
}

static void emit(struct translation *t, const struct insn *i, const struct parts *p,
                 unsigned reg, struct rm rm)
{
    as_op(&t->as, p->op, reg, rm, p->imm_bytes);
    if (p->imm_bytes)
        as_bytes(&t->as, i->imm, p->imm_bytes);
}

/* Nothing of the register's old value matters. (BSF and its like leave it alone at times.) */
static bool only_written(const struct insn *i, const struct operand_form *o)
{
    bool moves =
        i->op == OP_MOV || i->op == OP_MOVZX || i->op == OP_MOVSX || i->op == OP_MOVSXD;
    return moves && i->opsize >= 4 && o->access == ACCESS_MODE_W;
}

/* modrm.reg in a host register; spilled ones come to T2. */
static unsigned reg_fetch(struct translation *t, const struct insn *i, const struct parts *p)
{
    if (!p->reg)
        return p->digit;
    unsigned reg = byte_host(i->reg, p->op & OP_BYTE_REG);
    if (reg != SPILLED)
        return reg;
    if (!only_written(i, p->reg))
        home_load(t, T2, i->reg);
    return T2;
}
static void reg_put(struct translation *t, const struct insn *i, const struct parts *p,
                    unsigned reg)
{
    if (p->reg && reg == T2 && p->reg->access & ACCESS_MODE_W)
        home_store(t, T2, i->reg);
}

static bool gen_memory_form(struct translation *t, const struct insn *i, struct parts *p)
{
    bool high = p->reg && p->op & OP_BYTE_REG && i->reg >= 16;
    bool write = p->rm->access & ACCESS_MODE_W;
    bool locked = i->prefixes & PFX_LOCK || i->op == OP_XCHG;
    const struct op_info *o = &op_table[i->op];
    bool load = !write && p->reg && !high && byte_host(i->reg, p->op & OP_BYTE_REG) != SPILLED;
    bool sum = load && !(o->flags_read | o->flags_written | o->flags_undefined);
    if (high) /* is moved before the access, which a window does not allow */
        t->block->outside |= BIT64(t->at);
    bool window = !locked && gen_by_window(t);
    struct rm rm = rm_mem(T1, 0);
    if (window) {
        flags_before(t);
        sum = !p->reg || byte_host(i->reg, p->op & OP_BYTE_REG) != SPILLED ||
              only_written(i, p->reg);
    }
    if (locked)
        gen_address(t, i, p->rm_bytes, write);
    else
        rm = gen_memory(t, i, p->rm_bytes, write, sum);
    if (locked && p->rm_bytes > 1) { /* the host may refuse locked accesses across lines */
        flags_preserve(t);
        as_op_imm(&t->as, OPC(0, 0xf6), 0, rm_reg(T1), p->rm_bytes - 1, 1);
        gen_bail(t, CC_NE);
    }
    if (!window)
        flags_before(t);
    if (i->prefixes & PFX_LOCK)
        p->op |= OP_LOCK;
    if (high) { /* brings AH, CH, DH or BH to where a REX prefix can name it, and back */
        as_rorx(&t->as, i->reg - 16u, i->reg - 16u, 8); /* flags stay */
        emit(t, i, p, i->reg - 16u, rm);
        as_rorx(&t->as, i->reg - 16u, i->reg - 16u, 56);
        return true;
    }
    unsigned reg = reg_fetch(t, i, p);
    emit(t, i, p, reg, rm);
    reg_put(t, i, p, reg);
    return true;
}

static bool gen_register_form(struct translation *t, const struct insn *i, struct parts *p)
{
    flags_before(t);
    unsigned reg = reg_fetch(t, i, p);
    if (!p->rm) { /* accumulator and immediate */
        as8(&t->as, 0x90);
        t->as.p--;
        if (p->op & OP_66)
            as8(&t->as, 0x66);
        if (p->op & OP_W)
            as8(&t->as, 0x48);
        if (i->map)
            as8(&t->as, 0x0f);
        as8(&t->as, i->opcode);
        as_bytes(&t->as, i->imm, p->imm_bytes);
        return true;
    }
    unsigned rm = byte_host(i->rm, p->op & OP_BYTE_RM);
    bool writes = p->rm->access & ACCESS_MODE_W;
    /* In memory, BT would take its index as part of the address. */
    bool indexed =
        p->reg && (i->op == OP_BT || i->op == OP_BTS || i->op == OP_BTR || i->op == OP_BTC);
    if (rm != SPILLED) {
        emit(t, i, p, reg, rm_reg(rm));
        reg_put(t, i, p, reg);
    } else if (indexed || (writes && (i->opsize == 4 || p->reg))) {
        if (!only_written(i, p->rm))
            home_load(t, T1, i->rm);
        emit(t, i, p, reg, rm_reg(T1));
        reg_put(t, i, p, reg); /* first: of XADD r, r the sum remains */
        if (writes)
            home_store(t, T1, i->rm);
    } else {
        emit(t, i, p, reg, guest_home(t, i->rm));
        reg_put(t, i, p, reg);
    }
    return true;
}

/* High byte registers and a register that needs REX on the host only. */
static bool needs_both(const struct insn *i, const struct parts *p)
{
    bool high =
        (p->op & OP_BYTE_REG && i->reg >= 16) || (p->op & OP_BYTE_RM && !i->mem && i->rm >= 16);
    bool rex = (p->reg && i->reg == RSP && !(p->op & OP_BYTE_REG)) ||
               (!i->mem && p->rm && i->rm == RSP && !(p->op & OP_BYTE_RM));
    return high && rex;
}

static unsigned mandatory_prefix(unsigned op)
{
    switch (op) {
    case OP_POPCNT:
    case OP_TZCNT:
    case OP_LZCNT:
    case OP_ADOX:
        return OP_F3;
    case OP_ADCX:
        return OP_66;
    case OP_CRC32:
        return OP_F2;
    default:
        return 0;
    }
}

static bool gen_plain(struct translation *t, const struct insn *i)
{
    struct parts p;
    if (!find_parts(i, &p) || needs_both(i, &p))
        return false;
    if (i->op == OP_MOVNTI || i->op == OP_ADCX || i->op == OP_ADOX)
        p.op &= ~(unsigned)OP_66; /* operands have no such size */
    p.op |= mandatory_prefix(i->op);
    if (i->mem && (!p.rm || p.rm_bytes == 0))
        return false;
    if (i->op == OP_CMPXCHG && p.op & OP_BYTE_REG && i->reg == 16)
        return false; /* AH cannot move while AL is compared */
    if (i->prefixes & PFX_LOCK && !i->mem)
        return false;
    if (i->mem && p.reg && p.op & OP_BYTE_REG && i->reg >= 16 && !t->jit->has_bmi2)
        return false;
    bool done = i->mem ? gen_memory_form(t, i, &p) : gen_register_form(t, i, &p);
    if (done)
        flags_after(t);
    return done;
}

/* ---- moves ---- */

static bool gen_mov(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    const struct operand_form *dst = &insn_row(i)->operands[0], *src = dst + 1;
    if (dst->kind == KIND_Z && src->kind == KIND_I) {
        bool byte = i->opsize == 1;
        if (byte || i->opsize == 2) {
            unsigned reg = byte_host(i->reg, byte);
            struct rm rm = reg == SPILLED ? guest_home(t, i->reg) : rm_reg(reg);
            unsigned op = byte ? OPC(0, 0xc6) | OP_BYTE_RM : OPC(0, 0xc7) | OP_66;
            as_op_imm(a, op, 0, rm, i->imm, i->opsize);
            return true;
        }
        uint64_t v = i->opsize == 4 ? (uint32_t)i->imm : i->imm;
        unsigned reg = host_reg(i->reg);
        as_mov_imm(a, reg == SPILLED ? T1 : reg, v);
        if (reg == SPILLED)
            home_store(t, T1, i->reg);
        return true;
    }
    if (dst->kind != KIND_O && src->kind != KIND_O)
        return gen_plain(t, i);
    bool write = dst->kind == KIND_O;
    flags_preserve(t);
    as_mov_imm(a, T1, i->imm & mask_bytes(i->addrsize));
    gen_check(t, i->seg, i->opsize, write);
    unsigned op = (write ? 0x88u : 0x8au) | (i->opsize > 1) |
                  (i->opsize == 2   ? OP_66
                   : i->opsize == 8 ? OP_W
                                    : 0);
    as_op(a, op, H_RAX, rm_mem(T1, 0), 0);
    return true;
}

static bool gen_lea(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    unsigned reg = host_reg(i->reg);
    if (reg != SPILLED && i->opsize >= 4 && i->opsize <= i->addrsize) {
        gen_effective(t, i, reg);
        if (i->opsize < i->addrsize)
            as_op(a, OPC(0, 0x8b), reg, rm_reg(reg), 0);
        return true;
    }
    gen_effective(t, i, T1);
    if (i->opsize == 4)
        as_op(a, OPC(0, 0x8b), T1, rm_reg(T1), 0);
    struct rm rm = reg == SPILLED ? guest_home(t, i->reg) : rm_reg(reg);
    as_store_n(a, rm, T1, i->opsize == 2 ? 2 : 8);
    return true;
}

static bool gen_xchg(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    if (insn_row(i)->operands[0].kind != KIND_Z && insn_row(i)->operands[1].kind != KIND_Z)
        return gen_plain(t, i);
    unsigned reg = host_reg(i->reg), w = i->opsize == 8 ? OP_W : i->opsize == 2 ? OP_66 : 0;
    if (reg == SPILLED)
        as_load(a, T2, guest_home(t, i->reg));
    as_op(a, OPC(0, 0x87) | w, H_RAX, rm_reg(reg == SPILLED ? T2 : reg), 0);
    if (reg == SPILLED)
        as_store(a, guest_home(t, i->reg), T2);
    return true;
}

static bool gen_bswap(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    unsigned reg = host_reg(i->reg), host = reg == SPILLED ? T1 : reg;
    if (i->opsize == 2)
        return false;
    if (reg == SPILLED)
        as_load(a, T1, guest_home(t, i->reg));
    unsigned rex = (i->opsize == 8 ? 8u : 0) | host >> 3;
    if (rex)
        as8(a, 0x40 | rex);
    as8(a, 0x0f);
    as8(a, 0xc8 | (host & 7));
    if (reg == SPILLED)
        as_store(a, guest_home(t, i->reg), T1);
    return true;
}

/* ---- arithmetic with more to it ---- */

static bool gen_inc(struct translation *t, const struct insn *i)
{
    if (insn_row(i)->operands[0].kind != KIND_Z)
        return gen_plain(t, i);
    flags_before(t); /* 40-4F: 32-bit code, nothing is spilled */
    as_op(&t->as, OPC(0, 0xff) | (i->opsize == 2 ? OP_66 : 0), i->op == OP_DEC,
          rm_reg(host_reg(i->reg)), 0);
    t->flags = FLAGS_LIVE;
    return true;
}

/* CMPXCHG8B, CMPXCHG16B: registers are all in their places. */
static bool gen_wide_exchange(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    unsigned bytes = i->op == OP_CMPXCHG16B ? 16 : 8;
    gen_address(t, i, bytes, true);
    flags_preserve(t);
    as_op_imm(a, OPC(0, 0xf6), 0, rm_reg(T1), bytes - 1, 1);
    gen_bail(t, CC_NE);
    flags_require(t); /* only ZF is written */
    as_op(a, OPC(1, 0xc7) | (bytes == 16 ? OP_W : 0) | (i->prefixes & PFX_LOCK ? OP_LOCK : 0),
          1, rm_mem(T1, 0), 0);
    t->flags = FLAGS_LIVE;
    return true;
}

/* Of BT and its kind with a register: it selects the element, too. T1 = its address as if it were
 * that of the first. */
static void gen_bit_address(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    unsigned index = host_reg(i->reg), shift = i->opsize == 8 ? 3 : i->opsize == 4 ? 2 : 1;
    gen_effective(t, i, T1);
    struct rm rm = index == SPILLED ? guest_home(t, i->reg) : rm_reg(index);
    if (i->opsize == 2)
        as_op(a, OPC(1, 0xbf) | OP_W, T2, rm, 0); /* movsx */
    else if (i->opsize == 4)
        as_op(a, OPC(0, 0x63) | OP_W, T2, rm, 0); /* movsxd */
    else
        as_load(a, T2, rm);
    as_op_imm(a, OPC(0, 0xc1) | OP_W, 7, rm_reg(T2), shift + 3, 1);
    struct rm sum = rm_sib(T1, T2, shift, 0);
    if (i->addrsize == 8)
        as_lea(a, T1, sum);
    else
        as_lea32(a, T1, sum);
    if (i->addrsize == 2)
        as_op(a, OPC(1, 0xb7), T1, rm_reg(T1), 0);
}

static bool gen_bit_string(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    bool write = i->op != OP_BT;
    unsigned index = host_reg(i->reg);
    flags_preserve(t);
    gen_bit_address(t, i);
    gen_check(t, i->seg, i->opsize, write);
    if (i->prefixes & PFX_LOCK) {
        as_op_imm(a, OPC(0, 0xf6), 0, rm_reg(T1), i->opsize - 1u, 1);
        gen_bail(t, CC_NE);
    }
    as_load32(a, T2, index == SPILLED ? guest_home(t, i->reg) : rm_reg(index));
    as_op_imm(a, OPC(0, 0x83), 4, rm_reg(T2), i->opsize * 8u - 1, 1);
    as_store(a, rm_near(&t->jit->tmp), T2);
    flags_before(t);
    as_load(a, T2, rm_near(&t->jit->tmp));
    unsigned op = OPC(1, i->opcode) | (i->prefixes & PFX_LOCK ? OP_LOCK : 0);
    as_op(a, op | (i->opsize == 8 ? OP_W : i->opsize == 2 ? OP_66 : 0), T2, rm_mem(T1, 0), 0);
    flags_after(t);
    return true;
}

static bool gen_bit_test(struct translation *t, const struct insn *i)
{
    return i->mem && insn_row(i)->operands[1].kind == KIND_G ? gen_bit_string(t, i)
                                                             : gen_plain(t, i);
}

/* DIV of AX by a byte */
static bool gen_divide_byte(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    unsigned reg = i->mem || i->rm >= 16 ? 0 : host_reg(i->rm);
    if (i->op != OP_DIV || (!i->mem && i->rm >= 16) || reg == SPILLED)
        return false;
    flags_preserve(t);
    if (i->mem)
        gen_address(t, i, 1, false);
    struct rm rm = i->mem ? rm_mem(T1, 0) : rm_reg(reg);
    as_op(a, OPC(1, 0xb7), T2, rm_reg(H_RAX), 0);
    as_op_imm(a, OPC(0, 0xc1), 5, rm_reg(T2), 8, 1);
    as_op(a, OPC(0, 0x3a) | OP_BYTE_REG | OP_BYTE_RM, T2, rm, 0); /* AH, divisor */
    gen_bail(t, CC_AE);
    as_op(a, OPC(0, 0xf6) | OP_BYTE_RM, 6, rm, 0);
    t->flags = FLAGS_LIVE;
    return true;
}

/* Divisions that would fault, or might, are left to the interpreter. */
static bool gen_divide(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    if (i->opsize == 1)
        return gen_divide_byte(t, i);
    unsigned w = i->opsize == 8 ? OP_W : i->opsize == 2 ? OP_66 : 0;
    flags_preserve(t);
    struct rm rm;
    if (i->mem) {
        gen_address(t, i, i->opsize, false);
        rm = rm_mem(T1, 0);
    } else {
        unsigned reg = host_reg(i->rm);
        rm = reg == SPILLED ? guest_home(t, i->rm) : rm_reg(reg);
    }
    if (i->op == OP_DIV) { /* the quotient fits if the upper half is below the divisor */
        as_op(a, OPC(0, 0x3b) | w, H_RDX, rm, 0);
        gen_bail(t, CC_AE);
    } else { /* dividend: a sign-extended half; divisor: neither 0 nor -1 */
        as_store(a, rm_reg(T2), H_RAX);
        as_op_imm(a, OPC(0, 0xc1) | w, 7, rm_reg(T2), i->opsize * 8 - 1, 1);
        as_op(a, OPC(0, 0x3b) | w, T2, rm_reg(H_RDX), 0);
        gen_bail(t, CC_NE);
        as_op(a, OPC(0, 0x8b) | w, T2, rm, 0);
        as_op_imm(a, OPC(0, 0x83) | w, 0, rm_reg(T2), 1, 1);
        as_op_imm(a, OPC(0, 0x83) | w, 7, rm_reg(T2), 1, 1);
        gen_bail(t, CC_BE);
    }
    as_op(a, OPC(0, 0xf7) | w, i->op == OP_DIV ? 6 : 7, rm, 0);
    t->flags = FLAGS_LIVE;
    return true;
}

/* ---- one byte and no operand ---- */

static bool gen_bare(struct translation *t, const struct insn *i)
{
    if (i->opsize == 2)
        as8(&t->as, 0x66);
    if (i->opsize == 8)
        as8(&t->as, 0x48);
    as8(&t->as, i->opcode);
    return true;
}

static bool gen_flag(struct translation *t, const struct insn *i)
{
    flags_before(t);
    as8(&t->as, i->opcode);
    if (i->op != OP_LAHF)
        t->flags = FLAGS_LIVE;
    return true;
}

static bool gen_system_flag(struct translation *t, uint32_t flag, bool set)
{
    flags_preserve(t);
    as_op_imm(&t->as, OPC(0, 0x81), set ? 1 : 4, rm_near(&t->c->rflags_rest),
              set ? flag : ~flag, 4);
    return true;
}

/* ---- system instructions worth it ---- */

/* CPL 0 may always clear IF. */
static bool gen_cli(struct translation *t)
{
    uint32_t mode = t->out->mode;
    if (mode & (MODE_CPL_MASK | MODE_VM))
        return false;
    return gen_system_flag(t, FLAG_IF, false);
}

/* CPL 0 may always set IF. If nothing waits for that, holding off interrupts for one instruction
 * matters only where the next one is not reached directly (jit_link.shadow): they come in where
 * code looks at `poll`, which is not in between. It ends its block. */
static bool gen_sti(struct translation *t)
{
    if (t->out->mode & (MODE_CPL_MASK | MODE_VM) || t->jit->limited ||
        t->offset > 4096 - INSN_MAX_BYTES)
        return false;
    flags_preserve(t);
    as_op_imm(&t->as, OPC(0, 0x83), 7, rm_near(&t->c->attention), 0, 1);
    gen_bail(t, CC_NE);
    t->shadow = true;
    return gen_system_flag(t, FLAG_IF, true);
}

/* The selector of a segment register to a general register. */
static bool gen_read_sreg(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    if (i->opcode != 0x8c || i->mem || i->reg > SEG_GS)
        return false;
    unsigned reg = host_reg(i->rm), host = reg == SPILLED ? T1 : reg;
    if (i->opsize == 2 && reg == SPILLED)
        return false;
    struct rm selector = rm_near(&t->c->seg[i->reg].selector);
    as_op(a, i->opsize == 2 ? OPC(0, 0x8b) | OP_66 : OPC(1, 0xb7), host, selector, 0);
    if (reg == SPILLED)
        as_store(a, guest_home(t, i->rm), T1);
    return true;
}

/* LFENCE, MFENCE, SFENCE as they are; SERIALIZE need not be on the host. */
static bool gen_fence(struct translation *t, const struct insn *i)
{
    if (i->opcode != 0xae)
        return false;
    as8(&t->as, 0x0f);
    as8(&t->as, 0xae);
    as8(&t->as, i->modrm);
    return true;
}

/* CPL 0; 64-bit code only. */
static bool gen_swapgs(struct translation *t, const struct insn *i)
{
    struct as *a = &t->as;
    struct vcpu *c = t->c;
    if (i->code_bits != 64 || t->out->mode & MODE_CPL_MASK)
        return false;
    as_load(a, T1, rm_near(&c->seg[SEG_GS].base));
    as_load(a, T2, rm_near(&c->kernel_gs_base));
    as_store(a, rm_near(&c->kernel_gs_base), T1);
    as_store(a, rm_near(&c->seg[SEG_GS].base), T2);
    as_store(a, rm_near(&c->segc[SEG_GS].base), T2);
    return true;
}

static bool gen_pause(struct translation *t)
{
    as8(&t->as, 0xf3);
    as8(&t->as, 0x90);
    return true;
}

/* ---- all ---- */

/* What the CPU model lacks is something else, or #UD; what the host lacks, the interpreter's. */
static bool as_decoded(const struct translation *t, const struct insn *i)
{
    if (insn_row(i)->feature == ISA_BASE)
        return true;
    if (!host_has(&t->c->host->cpu, insn_row(i)->feature))
        return false;
    struct insn bound = *i;
    insn_bind(t->c, &bound);
    return bound.op == i->op;
}

bool gen_integer(struct translation *t, const struct insn *i)
{
    if (!as_decoded(t, i))
        return false;
    switch (i->op) {
    case OP_ADD:
    case OP_SUB:
    case OP_CMP:
    case OP_NEG:
    case OP_ADC:
    case OP_SBB:
    case OP_AND:
    case OP_OR:
    case OP_XOR:
    case OP_TEST:
    case OP_NOT:
    case OP_MUL:
    case OP_IMUL:
    case OP_SHL:
    case OP_SHR:
    case OP_SAR:
    case OP_ROL:
    case OP_ROR:
    case OP_RCL:
    case OP_RCR:
    case OP_SHLD:
    case OP_SHRD:
    case OP_BSF:
    case OP_BSR:
    case OP_TZCNT:
    case OP_LZCNT:
    case OP_POPCNT:
    case OP_XADD:
    case OP_CMPXCHG:
    case OP_MOVZX:
    case OP_MOVSX:
    case OP_MOVSXD:
    case OP_CMOVCC:
    case OP_SETCC:
    case OP_MOVBE:
    case OP_MOVNTI:
    case OP_CRC32:
    case OP_ADCX:
    case OP_ADOX:
        return gen_plain(t, i);
    case OP_INC:
    case OP_DEC:
        return gen_inc(t, i);
    case OP_BT:
    case OP_BTS:
    case OP_BTR:
    case OP_BTC:
        return gen_bit_test(t, i);
    case OP_DIV:
    case OP_IDIV:
        return gen_divide(t, i);
    case OP_MOV:
        return gen_mov(t, i);
    case OP_LEA:
        return gen_lea(t, i);
    case OP_XCHG:
        return gen_xchg(t, i);
    case OP_BSWAP:
        return gen_bswap(t, i);
    case OP_CBW:
    case OP_CWD:
        return gen_bare(t, i);
    case OP_CLC:
    case OP_STC:
    case OP_CMC:
    case OP_SAHF:
    case OP_LAHF:
        return gen_flag(t, i);
    case OP_CLD:
        return gen_system_flag(t, FLAG_DF, false);
    case OP_STD:
        return gen_system_flag(t, FLAG_DF, true);
    case OP_CLI:
        return gen_cli(t);
    case OP_STI:
        return gen_sti(t);
    case OP_MOV_SREG:
        return gen_read_sreg(t, i);
    case OP_FENCE:
        return gen_fence(t, i);
    case OP_SWAPGS:
        return gen_swapgs(t, i);
    case OP_PAUSE:
        return gen_pause(t);
    case OP_CMPXCHG8B:
    case OP_CMPXCHG16B:
        return gen_wide_exchange(t, i);
    case OP_NOP:
        return true;
    default:
        return false;
    }
}
