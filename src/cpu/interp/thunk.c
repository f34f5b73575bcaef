/* SPDX-License-Identifier: MIT */
/*
 * thunk.c - re-encodes a guest SIMD or x87 instruction for the host and wraps it into a
 * function.
 *
 * Vector, MMX and mask registers keep their numbers; general registers become RAX (modrm.reg),
 * RCX (modrm.rm) and RDX (VEX.vvvv); the memory operand becomes [RSI]. Prefixes without meaning
 * for the instruction are dropped, so equal instructions become equal bytes.
 *
 * Registers of the function (System V): RDI frame, RSI memory operand, R8 struct fpu_state,
 * R9 guest general registers. SDM Vol. 2 2.1-2.7 (encodings).
 */
#include "cpu/interp/emit.h"
#include "cpu/interp/hostexec.h"

#include "cpu/x86.h"

#define MODRM_RSI 6u /* mod 00, rm 110 in 64-bit code */

enum { HOST_RAX, HOST_RCX, HOST_RDX };

/* ---- the instruction ---- */

struct encoder {
    struct thunk_spec *spec;
    const struct insn *i;
    unsigned reg, rm, vvvv; /* numbers to encode */
    bool reg_used, rm_used;
    bool w;
};

static void put(struct thunk_spec *s, unsigned byte)
{
    s->code[s->code_bytes++] = (uint8_t)byte;
}

/* The VEX, XOP or EVEX prefix as the guest wrote it; no legacy prefix has these values. */
static const uint8_t *vex_payload(const struct insn *i)
{
    const uint8_t *p = i->bytes;
    while (*p != 0x62 && *p != 0xc4 && *p != 0xc5 && *p != 0x8f)
        p++;
    return p;
}

static void put_modrm(struct encoder *e)
{
    unsigned reg = e->reg_used ? e->reg & 7 : e->i->modrm >> 3 & 7;
    if (e->i->mem)
        put(e->spec, reg << 3 | MODRM_RSI);
    else
        put(e->spec, 0xc0 | reg << 3 | (e->rm_used ? e->rm & 7 : e->i->modrm & 7));
}

static void put_legacy(struct encoder *e)
{
    struct thunk_spec *s = e->spec;
    const struct insn *i = e->i;
    if (i->map != 0) {
        if (i->prefixes & PFX_REPNE)
            put(s, 0xf2);
        else if (i->prefixes & PFX_REP)
            put(s, 0xf3);
        else if (i->prefixes & PFX_OPSIZE)
            put(s, 0x66);
        unsigned rex = (unsigned)e->w << 3 | (e->reg >> 3 & 1) << 2 | (e->rm >> 3 & 1);
        if (rex)
            put(s, 0x40 | rex);
        put(s, 0x0f);
        if (i->map == 2 || i->map == 3)
            put(s, i->map == 2 ? 0x38 : 0x3a);
        if (i->map == 15)
            put(s, 0x0f);
    }
    if (i->map != 15)
        put(s, i->opcode);
    put_modrm(e);
    if (i->map == 15) /* 3DNow!: the opcode is last */
        put(s, i->opcode);
}

static void put_vex(struct encoder *e)
{
    struct thunk_spec *s = e->spec;
    const struct insn *i = e->i;
    const uint8_t *raw = vex_payload(i);
    unsigned length_pp = (raw[0] == 0xc5 ? raw[1] : raw[2]) & 7;
    unsigned r = e->reg >> 3 & 1, b = e->rm >> 3 & 1;
    put(s, i->prefixes & PFX_XOP ? 0x8f : 0xc4);
    put(s, (!r) << 7 | 1 << 6 | (!b) << 5 | i->map);
    put(s, (unsigned)e->w << 7 | (~e->vvvv & 15) << 3 | length_pp);
    put(s, i->opcode);
    put_modrm(e);
}

static void put_evex(struct encoder *e)
{
    struct thunk_spec *s = e->spec;
    const struct insn *i = e->i;
    const uint8_t *raw = vex_payload(i);
    unsigned r = e->reg >> 3 & 1, r2 = e->reg >> 4 & 1;
    unsigned b = e->rm >> 3 & 1, x = e->rm >> 4 & 1, v2 = e->vvvv >> 4 & 1;
    put(s, 0x62);
    put(s, (!r) << 7 | (!x) << 6 | (!b) << 5 | (!r2) << 4 | i->map);
    put(s, (unsigned)e->w << 7 | (~e->vvvv & 15) << 3 | 4 | (raw[2] & 3));
    put(s, (raw[3] & 0xf7u) | (!v2) << 3); /* z, L'L, b, aaa stay */
    put(s, i->opcode);
    put_modrm(e);
}

/* W as the host must see it: outside 64-bit mode it does not widen general registers. */
static bool is_wide(const struct insn *i)
{
    const struct operand_form *o = insn_row(i)->operands;
    for (unsigned k = 0; k < 4 && i->code_bits != 64; k++)
        if (o[k].kind != KIND_NONE && o[k].size == SIZE_Y)
            return false;
    return i->prefixes & PFX_REX_W;
}

/* ---- operands ---- */

static struct thunk_gpr *gpr_place(struct encoder *e, const struct operand *o)
{
    struct thunk_spec *s = e->spec;
    switch (o->kind) {
    case KIND_G:
        e->reg = HOST_RAX;
        e->reg_used = true;
        return &s->gpr[HOST_RAX];
    case KIND_B:
        e->vvvv = HOST_RDX;
        return &s->gpr[HOST_RDX];
    case KIND_FIXED:
        return o->reg <= RDX ? &s->gpr[o->reg] : NULL;
    default:
        e->rm = HOST_RCX;
        e->rm_used = true;
        return &s->gpr[HOST_RCX];
    }
}

static bool gpr_operand(struct encoder *e, const struct operand *o)
{
    struct thunk_gpr *g = gpr_place(e, o);
    if (!g)
        return false;
    g->guest = o->reg & 15;
    g->read |= o->read || (o->written && o->bytes < 4);
    if (o->written)
        g->written_bytes = o->bytes >= 4 ? 8 : (uint8_t)o->bytes;
    if (o->bytes <= 4 && e->i->code_bits != 64)
        e->w = false; /* W counts in 64-bit mode only */
    return true;
}

/* Encodes a register operand where the row says it is. */
static void register_place(struct encoder *e, const struct operand *o)
{
    switch (o->kind) {
    case KIND_V:
    case KIND_P:
    case KIND_KG:
        e->reg = o->reg;
        e->reg_used = true;
        break;
    case KIND_H:
    case KIND_KH:
        e->vvvv = o->reg;
        break;
    case KIND_L:
    case KIND_XMM:
    case KIND_ST:
        break;
    default:
        e->rm = o->reg;
        e->rm_used = true;
    }
}

static void vector_operand(struct encoder *e, const struct operand *o)
{
    struct thunk_spec *s = e->spec;
    bool partial = s->vex ? s->mask != 0 : o->bytes < 16;
    if (o->read || partial)
        s->vector_loads |= BIT(o->reg);
    if (o->written)
        s->vector_stores |= BIT(o->reg);
    if (!s->vex)
        s->needs |= FPU_NEEDS_SSE;
}

static bool operand_add(struct encoder *e, const struct operand *o)
{
    struct thunk_spec *s = e->spec;
    if (o->is_mem) {
        s->memory = o->written ? MEMORY_WRITE : MEMORY_READ;
        if (o->kind == KIND_E && e->i->code_bits != 64)
            e->w = false; /* as of registers */
        return !(o->written && o->read);
    }
    if (o->regs == REGS_GPR)
        return gpr_operand(e, o);
    if (o->regs == REGS_NONE)
        return true;
    register_place(e, o);
    switch (o->regs) {
    case REGS_VECTOR:
        vector_operand(e, o);
        return true;
    case REGS_MMX:
        s->mmx = true;
        if (o->read || o->bytes < 8)
            s->mmx_loads |= BIT(o->reg & 7);
        if (o->written)
            s->mmx_stores |= BIT(o->reg & 7);
        return true;
    case REGS_MASK:
        if (o->read)
            s->mask_loads |= BIT(o->reg & 7);
        if (o->written)
            s->mask_stores |= BIT(o->reg & 7);
        return true;
    case REGS_X87:
        return true;
    default:
        return false;
    }
}

/* Operands the table's four columns have no room for. */
static void implicit_operands(const struct insn *i, struct thunk_spec *s)
{
    const char *name = op_name(i->op);
    if (*name == 'V')
        name++;
    if (strncmp(name, "PCMPESTR", 8) == 0) {
        s->gpr[HOST_RAX] = (struct thunk_gpr){RAX, 0, true};
        s->gpr[HOST_RDX] = (struct thunk_gpr){RDX, 0, true};
    }
    if (strncmp(name, "P2INTERSECT", 11) == 0)
        s->mask_stores |= BIT(i->reg & 6) | BIT(i->reg | 1);
}

/* ---- what the instruction depends on ---- */

static bool name_starts(const struct insn *i, const char *prefix)
{
    return strncmp(op_name(i->op), prefix, strlen(prefix)) == 0;
}

/* Also sets `quiet` where MXCSR matters but no exception comes of it. */
static bool depends_on_mxcsr(const struct insn *i, struct thunk_spec *s)
{
    bool special;
    switch (insn_row(i)->exception) {
    case EXC_SSE2:
    case EXC_SSE3:
    case EXC_AVX2:
    case EXC_AVX3:
    case EXC_AVX11:
    case EXC_E2:
    case EXC_E2NF:
    case EXC_E3:
    case EXC_E3NF:
    case EXC_E11:
    case EXC_E11NF:
        return true;
    case EXC_E4:
    case EXC_E4NF:
    case EXC_E5:
    case EXC_E6:
    case EXC_E10:
    case EXC_E10NF: /* denormals may be zeros or become it */
        special = name_starts(i, "VFPCLASS") || name_starts(i, "VRCP") ||
                  name_starts(i, "VRSQRT") || name_starts(i, "VDP");
        s->quiet |= special;
        return special;
    default:
        return insn_row(i)->state == STATE_MMX && name_starts(i, "CVT");
    }
}

static bool suppresses_faults(unsigned exception)
{
    switch (exception) {
    case EXC_E1NF:
    case EXC_E2NF:
    case EXC_E3NF:
    case EXC_E4NF:
    case EXC_E5NF:
    case EXC_E6NF:
    case EXC_E9NF:
    case EXC_E10NF:
    case EXC_E11NF:
        return false;
    default:
        return true;
    }
}

static void describe_masking(const struct insn *i, struct thunk_spec *s)
{
    const struct optab_row *row = insn_row(i);
    if (!s->evex || !s->mask)
        return;
    s->mask_loads |= BIT(s->mask);
    bool suppresses = suppresses_faults(row->exception);
    if (s->memory == MEMORY_NONE || !row->element || (!suppresses && s->memory != MEMORY_WRITE))
        return;
    s->element = row->element;
    s->elements = s->mem_bytes / row->element;
    s->masking = suppresses ? MASKING_ELEMENTS : MASKING_STORE;
    if (!suppresses)
        return;
    bool repeats = name_starts(i, "VBROADCAST") || name_starts(i, "VPBROADCAST") ||
                   name_starts(i, "VMOVDDUP");
    if (repeats || i->evex & 16) {
        unsigned size = row->operands[insn_mem_operand(i)].size;
        s->masking = MASKING_FOLDED;
        s->vector_elements =
            (uint8_t)((repeats ? i->vector_bytes : insn_size_bytes(i, size)) / row->element);
    } else if (name_starts(i, "VPCOMPRESS") || name_starts(i, "VCOMPRESS") ||
               name_starts(i, "VPEXPAND") || name_starts(i, "VEXPAND")) {
        s->masking = MASKING_PACKED;
    }
}

static void describe_needs(const struct insn *i, struct thunk_spec *s)
{
    switch (insn_row(i)->state) {
    case STATE_X87:
        s->x87 = true;
        s->needs |= FPU_NEEDS_X87 | FPU_NEEDS_WAIT;
        break;
    case STATE_MMX:
        s->needs |= FPU_NEEDS_MMX | FPU_NEEDS_WAIT;
        if (name_starts(i, "CVT")) /* CVTPI2PS and its kin */
            s->needs |= FPU_NEEDS_SSE;
        break;
    case STATE_SSE:
        s->needs |= FPU_NEEDS_SSE;
        break;
    case STATE_AVX:
        s->needs |= FPU_NEEDS_AVX;
        break;
    case STATE_AVX512:
        s->needs |= FPU_NEEDS_AVX512;
        break;
    default:
        break;
    }
}

static void put_immediates(struct encoder *e)
{
    const struct optab_row *row = insn_row(e->i);
    for (unsigned k = 0; k < 4; k++) {
        unsigned bytes = insn_size_bytes(e->i, row->operands[k].size);
        switch (row->operands[k].kind) {
        case KIND_I:
            for (unsigned n = 0; n < bytes && n < 4; n++)
                put(e->spec, e->i->imm >> (8 * n) & 0xff);
            break;
        case KIND_I2:
            put(e->spec, e->i->imm2 & 0xff);
            break;
        case KIND_L:
            put(e->spec, e->i->imm & (e->i->code_bits == 64 ? 0xff : 0x7f));
            break;
        default:
            break;
        }
    }
}

bool thunk_describe(const struct host_exec *h, const struct insn *i, struct thunk_spec *s)
{
    const struct op_info *info = &op_table[i->op];
    struct encoder e = {.spec = s, .i = i, .w = is_wide(i)};
    struct operand o;
    memset(s, 0, sizeof *s);
    for (unsigned n = 0; n < 3; n++)
        s->gpr[n].guest = REG_NONE;
    s->vex = i->prefixes & (PFX_VEX | PFX_XOP | PFX_EVEX);
    s->evex = i->prefixes & PFX_EVEX;
    s->mask = s->evex ? i->evex & 7 : 0;
    s->quiet = s->evex && (i->evex & 16) && !i->mem;
    s->mem_bytes = i->mem_bytes;
    s->alignment = (uint8_t)insn_mem_alignment(i);
    describe_needs(i, s);
    for (unsigned k = 0; insn_operand(i, k, &o); k++)
        if (!operand_add(&e, &o))
            return false;
    implicit_operands(i, s);
    if (s->memory && (!s->mem_bytes || s->mem_bytes > 64))
        return false;
    s->mxcsr = depends_on_mxcsr(i, s);
    describe_masking(i, s);
    s->flags_in = info->flags_read != 0;
    s->flags_out = info->flags_written | info->flags_undefined;
    if (s->evex && (!h->has_avx512 || i->vector_bytes > 64))
        return false;
    if (s->evex)
        put_evex(&e);
    else if (s->vex)
        put_vex(&e);
    else
        put_legacy(&e);
    put_immediates(&e);
    if (s->x87)
        x87_window_describe(i, s);
    return true;
}

/* ---- the function around it ---- */

/* movups xmm, [r8 + disp32] or back (opcode 10h, 11h) */
static void movups(struct code *k, unsigned opcode, unsigned reg, uint32_t disp)
{
    byte(k, 0x41 | (reg >> 3 & 1) << 2);
    byte(k, 0x0f);
    byte(k, opcode);
    fpu_operand(k, reg, disp);
}

/* vmovups ymm, [r8 + disp32] */
static void vmovups_ymm(struct code *k, unsigned opcode, unsigned reg, uint32_t disp)
{
    byte(k, 0xc4);
    byte(k, (~reg >> 3 & 1) << 7 | 0x41);
    byte(k, 0x7c);
    byte(k, opcode);
    fpu_operand(k, reg, disp);
}

/* vmovups zmm, [r8 + disp32] */
static void vmovups_zmm(struct code *k, unsigned opcode, unsigned reg, uint32_t disp)
{
    byte(k, 0x62);
    byte(k, (~reg >> 3 & 1) << 7 | 0x41 | (~reg >> 4 & 1) << 4);
    byte(k, 0x7c);
    byte(k, 0x48);
    byte(k, opcode);
    fpu_operand(k, reg, disp);
}

/* kmovq/kmovw k, [r8 + disp32] (opcode 90h) or back (91h) */
static void kmov(struct code *k, const struct host_exec *h, unsigned opcode, unsigned reg)
{
    byte(k, 0xc4);
    byte(k, 0xc1);
    byte(k, h->has_avx512bw ? 0xf8 : 0x78);
    byte(k, opcode);
    fpu_operand(k, reg, FPU(k) + 8 * reg);
}

/* movq mm, [r8 + disp32] (opcode 6Fh) or back (7Fh) */
static void movq_mm(struct code *k, unsigned opcode, unsigned reg)
{
    byte(k, 0x41);
    byte(k, 0x0f);
    byte(k, opcode);
    fpu_operand(k, reg, FPU(fx.st) + 16 * reg);
}

/* mov reg, [r9 + disp8] (opcode 8Bh) or back (89h), reg = RAX, RCX, RDX */
static void mov_gpr(struct code *k, unsigned opcode, unsigned size, unsigned reg,
                    unsigned guest)
{
    if (size == 2)
        byte(k, 0x66);
    byte(k, size == 8 ? 0x49 : 0x41);
    byte(k, size == 1 ? opcode - 1 : opcode);
    byte(k, 0x41 | reg << 3);
    byte(k, 8 * guest);
}

static void emit_loads(struct code *k, const struct host_exec *h, const struct thunk_spec *s)
{
    for (unsigned r = 0; r < 32; r++) {
        if (!(s->vector_loads >> r & 1))
            continue;
        uint32_t disp = FPU(zmm) + 64 * r;
        if (s->evex)
            vmovups_zmm(k, 0x10, r, disp);
        else if (s->vex)
            vmovups_ymm(k, 0x10, r, disp);
        else
            movups(k, 0x10, r, disp);
    }
    for (unsigned r = 0; r < 8; r++) {
        if (s->mask_loads >> r & 1)
            kmov(k, h, 0x90, r);
        if (s->mmx_loads >> r & 1)
            movq_mm(k, 0x6f, r);
    }
    if (s->flags_in)
        emit_flags_in(k);
    for (unsigned n = 0; n < 3; n++)
        if (s->gpr[n].read)
            mov_gpr(k, 0x8b, 8, n, s->gpr[n].guest);
}

static void emit_stores(struct code *k, const struct host_exec *h, const struct thunk_spec *s)
{
    for (unsigned n = 0; n < 3; n++)
        if (s->gpr[n].written_bytes)
            mov_gpr(k, 0x89, s->gpr[n].written_bytes, n, s->gpr[n].guest);
    if (s->flags_out)
        emit_flags_out(k);
    for (unsigned r = 0; r < 32; r++) {
        if (!(s->vector_stores >> r & 1))
            continue;
        uint32_t disp = FPU(zmm) + 64 * r;
        if (s->vex && h->has_avx512)
            vmovups_zmm(k, 0x11, r, disp); /* the upper part has become zero */
        else if (s->vex)
            vmovups_ymm(k, 0x11, r, disp);
        else
            movups(k, 0x11, r, disp);
    }
    for (unsigned r = 0; r < 8; r++) {
        if (s->mask_stores >> r & 1)
            kmov(k, h, 0x91, r);
        if (s->mmx_stores >> r & 1)
            movq_mm(k, 0x7f, r);
    }
}

/* fxrstor64/fxsave64 [r8 + disp32] */
static void fx_image(struct code *k, unsigned digit)
{
    byte(k, 0x49);
    byte(k, 0x0f);
    byte(k, 0xae);
    fpu_operand(k, digit, FPU(fx));
}

unsigned thunk_emit(const struct host_exec *h, const struct thunk_spec *s, uint8_t *out)
{
    struct code k = {out, out};
    bool mxcsr = s->mxcsr || s->x87; /* FXRSTOR loads it too */
    if (mxcsr)
        stmxcsr(&k, FRAME(mxcsr_host));
    if (s->x87) {
        op_frame(&k, 0xd9, 7, FRAME(fcw_host)); /* fnstcw */
        fx_image(&k, 1);
    }
    if (s->mxcsr)
        ldmxcsr(&k, FRAME(mxcsr_guest));
    emit_loads(&k, h, s);
    bytes(&k, s->code, s->code_bytes);
    if (s->x87)
        fx_image(&k, 0);
    emit_stores(&k, h, s);
    if (s->mxcsr)
        stmxcsr(&k, FRAME(mxcsr_out));
    if (s->x87) {
        byte(&k, 0xdb); /* fninit: whatever is pending is in the image */
        byte(&k, 0xe3);
        op_frame(&k, 0xd9, 5, FRAME(fcw_host)); /* fldcw */
    }
    if (mxcsr)
        ldmxcsr(&k, FRAME(mxcsr_host));
    if (s->mmx) {
        byte(&k, 0x0f); /* emms */
        byte(&k, 0x77);
    }
    if (s->vex && (s->vector_loads || s->vector_stores)) {
        byte(&k, 0xc5); /* vzeroupper */
        byte(&k, 0xf8);
        byte(&k, 0x77);
    }
    byte(&k, 0xc3);
    return (unsigned)(k.p - k.start);
}
