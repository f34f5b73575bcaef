/* SPDX-License-Identifier: MIT */
/*
 * program_make.c - random programs: registers, segments, blocks, labels, and which flags are
 * undefined where.
 *
 * Flags that an instruction leaves undefined may differ between engines. The maker follows them:
 * before an instruction that would read one it puts another that defines them.
 */
#include "cpu/cpuid.h"
#include "program_maker.h"

/* ---- flags ---- */

static uint32_t condition_flags(unsigned code)
{
    static const uint32_t flags[8] = {
        FLAG_OF, FLAG_CF, FLAG_ZF,           FLAG_CF | FLAG_ZF,
        FLAG_SF, FLAG_PF, FLAG_SF | FLAG_OF, FLAG_SF | FLAG_OF | FLAG_ZF,
    };
    return flags[code >> 1 & 7];
}

static uint32_t flags_read(const struct insn *i)
{
    if (i->op == OP_JCC || i->op == OP_SETCC || i->op == OP_CMOVCC)
        return condition_flags(i->opcode);
    if (i->op == OP_RET || i->op == OP_RETF)
        return FLAGS_ARITH; /* so that nothing is undefined behind the call */
    if (i->op == OP_PUSHF)
        return FLAGS_ARITH;
    return op_table[i->op].flags_read & FLAGS_ARITH;
}

/* Shifts by zero and REP with a zero count leave the flags alone. */
static bool may_skip(const struct insn *i)
{
    const struct operand_form *o = insn_row(i)->operands;
    if (i->op == OP_CMPS || i->op == OP_SCAS)
        return i->prefixes & (PFX_REP | PFX_REPNE);
    if (i->op < OP_ROL || i->op > OP_SHRD)
        return false;
    if (o[1].kind == KIND_ONE)
        return false;
    bool immediate = o[1].kind == KIND_I || o[2].kind == KIND_I;
    return !immediate || !(i->imm & (i->opsize == 8 ? 63 : 31));
}

static uint32_t flags_behind(const struct program_item *t, uint32_t undefined)
{
    uint32_t kept = t->may_skip ? undefined : undefined & ~t->flags_written;
    return kept | t->flags_undefined;
}

static bool undefined_at(struct program *p, int item, uint32_t flags)
{
    if (item < 0 || (unsigned)item >= p->item_count ||
        !(flags & ~p->items[item].undefined_before))
        return false;
    p->items[item].undefined_before |= flags;
    return true;
}

bool program_flags(struct program *p)
{
    bool changed = true;
    for (unsigned n = 0; n < p->item_count; n++)
        p->items[n].undefined_before = 0;
    while (changed) {
        changed = false;
        for (unsigned n = 0; n < p->item_count; n++) {
            const struct program_item *t = &p->items[n];
            uint32_t behind = flags_behind(t, t->undefined_before);
            if (t->flags_read & t->undefined_before)
                return false;
            if (!t->no_next && !t->is_data)
                changed |= undefined_at(p, (int)n + 1, behind);
            changed |= undefined_at(p, t->target, behind);
        }
    }
    return true;
}

int program_item_at(const struct program *p, uint64_t linear)
{
    uint64_t at = linear - p->code_linear;
    unsigned low = 0, high = p->item_count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (p->items[middle].at < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low < p->item_count && p->items[low].at == at ? (int)low : -1;
}

/* ---- emitting ---- */

static struct program_item *append(struct maker *m, const void *bytes, unsigned length)
{
    struct program *p = m->p;
    if (p->item_count == PROGRAM_ITEMS || m->at + length > CODE_BYTES - 128) {
        m->failed = true;
        return &p->items[0];
    }
    struct program_item *t = &p->items[p->item_count++];
    *t = (struct program_item){.at = (uint16_t)m->at, .length = (uint8_t)length, .target = -1};
    t->starts_block = m->block_pending;
    m->block_pending = false;
    memcpy(p->code + m->at, bytes, length);
    m->at += length;
    return t;
}

static bool has_no_next(const struct insn *i)
{
    switch (i->op) {
    case OP_JMP:
    case OP_JMP_IND:
    case OP_JMPF:
    case OP_RET:
    case OP_RETF:
    case OP_IRET:
    case OP_HLT:
    case OP_UD:
    case OP_UD1:
        return true;
    default:
        return false;
    }
}

static void append_insn(struct maker *m, const void *bytes, const struct insn *i)
{
    struct program_item *t = append(m, bytes, i->length);
    t->flags_read = flags_read(i);
    t->flags_written = op_table[i->op].flags_written & FLAGS_ARITH;
    t->flags_undefined = op_table[i->op].flags_undefined & FLAGS_ARITH;
    t->may_skip = may_skip(i);
    t->no_next = has_no_next(i);
    m->undefined = flags_behind(t, m->undefined);
}

void emit_defined(struct maker *m, uint32_t flags)
{
    struct insn i;
    uint8_t bytes[3];
    if (!(m->undefined & flags))
        return;
    unsigned how = below(m, 3), reg = one_in(m, 2) ? RAX : RDX;
    unsigned length = 2;
    if (how == 0) { /* CMP */
        bytes[0] = 0x39;
        bytes[1] = (uint8_t)(0xc0 | below(m, 64));
    } else if (how == 1) { /* NEG */
        bytes[0] = 0xf7;
        bytes[1] = (uint8_t)(0xd8 | reg);
    } else { /* ADD, SUB */
        bytes[0] = 0x83;
        bytes[1] = (uint8_t)((one_in(m, 2) ? 0xc0 : 0xe8) | reg);
        bytes[2] = (uint8_t)rnd(m);
        length = 3;
    }
    decode_insn(&i, bytes, length, m->p->mode->bits);
    append_insn(m, bytes, &i);
}

void emit(struct maker *m, const struct draft *d)
{
    uint8_t bytes[INSN_MAX_BYTES];
    emit_defined(m, flags_read(&d->insn));
    memcpy(bytes, d->bytes, INSN_MAX_BYTES);
    if (d->rip_at >= 0) {
        uint64_t behind = m->p->code_linear + m->at + d->length;
        store_le(bytes + d->rip_at, d->rip_target - behind, 4);
    }
    append_insn(m, bytes, &d->insn);
}

void emit_bytes(struct maker *m, const void *bytes, unsigned length)
{
    struct draft d = {.rip_at = -1, .length = length};
    memcpy(d.bytes, bytes, length);
    if (decode_insn(&d.insn, d.bytes, length, m->p->mode->bits) != DECODE_OK ||
        d.insn.length != length)
        m->failed = true;
    else
        emit(m, &d);
}

void emit_data(struct maker *m, const void *bytes, unsigned length)
{
    append(m, bytes, length)->is_data = true;
}

void emit_fixup(struct maker *m, struct fixup f)
{
    if (m->fixup_count == MAKER_FIXUPS || f.label >= MAKER_BLOCKS)
        m->failed = true;
    else
        m->fixups[m->fixup_count++] = f;
}

void emit_branch(struct maker *m, const void *bytes, unsigned length, unsigned field,
                 enum fixup_kind kind, unsigned label)
{
    emit_bytes(m, bytes, length);
    if (m->failed)
        return;
    m->label_undefined[label] |= m->undefined;
    emit_fixup(m, (struct fixup){.kind = (uint8_t)kind,
                                 .bytes = (uint8_t)field,
                                 .label = (uint8_t)label,
                                 .at = (uint16_t)(m->at - field),
                                 .end = (uint16_t)m->at,
                                 .item = (int16_t)(m->p->item_count - 1)});
}

void emit_label(struct maker *m, unsigned label)
{
    m->label_at[label] = (uint16_t)m->at;
    m->undefined |= m->label_undefined[label];
    m->block_pending = true;
    m->p->block_count++;
}

void emit_mov(struct maker *m, unsigned reg, uint64_t value)
{
    uint8_t b[10];
    unsigned n = 0, bits = m->p->mode->bits;
    bool wide = bits == 64 && value != (uint32_t)value;
    bool is_short = wide && (uint64_t)(int64_t)(int32_t)value == value;
    unsigned size = wide && !is_short ? 8 : bits == 16 ? 2 : 4;
    if (bits == 16 && (value > 0xffff || one_in(m, 4))) {
        b[n++] = 0x66;
        size = 4;
    }
    if (wide || reg >= 8)
        b[n++] = (uint8_t)(0x40 | wide << 3 | (reg >= 8));
    if (is_short) {
        b[n++] = 0xc7;
        b[n++] = (uint8_t)(0xc0 | (reg & 7));
    } else {
        b[n++] = (uint8_t)(0xb8 | (reg & 7));
    }
    store_le(b + n, value, size);
    emit_bytes(m, b, n + size);
}

/* ---- labels ---- */

static int item_index(const struct program *p, unsigned at)
{
    return program_item_at(p, p->code_linear + at);
}

static bool resolve(struct maker *m, const struct fixup *f)
{
    struct program *p = m->p;
    uint64_t to = m->label_at[f->label], linear = p->code_linear + to, value;
    if (f->item >= 0)
        p->items[f->item].target = (int16_t)item_index(p, (unsigned)to);
    switch (f->kind) {
    case FIXUP_BRANCH:
        value = to - f->end;
        if (f->bytes == 1 && (int64_t)value != (int8_t)value)
            return false;
        break;
    case FIXUP_ADDRESS:
        value = linear - (p->mode->bits == 64 ? 0 : p->seg[SEG_CS].base);
        break;
    default:
        if (to < 4096 || f->alias != PAGE_CODE_ALIAS - PAGE_CODE)
            linear += f->alias;
        value = f->kind == FIXUP_DATA_RIP ? linear - (p->code_linear + f->end)
                                          : maker_offset(m, linear, SEG_DS);
        if (p->mode->real || p->mode->v86)
            value = linear - p->seg[SEG_CS].base;
    }
    if (f->bytes)
        store_le(p->code + f->at, value, f->bytes);
    return true;
}

/* ---- registers and segments ---- */

static unsigned take(struct maker *m, const uint8_t *pool, unsigned count)
{
    unsigned reg;
    do
        reg = pool[below(m, count)];
    while (m->reserved & 1u << reg);
    m->reserved |= (uint16_t)(1u << reg);
    return reg;
}

static void choose_registers(struct maker *m)
{
    static const uint8_t low[] = {RBX, RBP, RSI, RDI}, bases[] = {RBX, RBP},
                         indexes[] = {RSI, RDI}, counters[] = {RCX, RBX, RSI, RDI, RBP},
                         all[] = {RBX, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15};
    unsigned bits = m->p->mode->bits;
    m->reserved = 1u << RSP;
    m->pointer_count = bits == 64 ? 3 : 2;
    for (unsigned k = 0; k < m->pointer_count; k++) {
        if (bits == 16)
            m->pointers[k] = (uint8_t)take(m, k ? indexes : bases, 2);
        else
            m->pointers[k] = (uint8_t)(bits == 64 ? take(m, all, ARRAY_SIZE(all))
                                                  : take(m, low, ARRAY_SIZE(low)));
    }
    if (bits == 16)
        m->index = (uint8_t)take(m, indexes, 2);
    else if (bits == 64 && one_in(m, 2))
        m->index = (uint8_t)take(m, all, ARRAY_SIZE(all));
    else
        m->index = (uint8_t)take(m, counters, ARRAY_SIZE(counters));
    m->p->free_gprs = (uint16_t)(~m->reserved & (bits == 64 ? 0xffff : 0xff));
}

static void segments_flat(struct maker *m)
{
    struct program *p = m->p;
    bool user = p->mode->cpl != 0, wide = p->mode->bits == 64;
    const struct segment data = {0, 0xffffffff, user ? SEL_USER_DATA : SEL_DATA,
                                 user ? 0xc0f3 : 0xc093};
    for (unsigned s = SEG_ES; s <= SEG_GS; s++)
        p->seg[s] = data;
    struct segment code = {0, 0xffffffff, 0, wide ? 0xa09b : 0xc09b};
    code.selector = wide   ? user ? SEL_USER_CODE64 : SEL_CODE64
                    : user ? SEL_USER_CODE32
                           : SEL_CODE32;
    if (user)
        code.attr |= SEG_ATTR_DPL;
    p->seg[SEG_CS] = code;
    if (wide && one_in(m, 2)) {
        p->seg[SEG_FS].base = below(m, 0x800);
        p->seg[SEG_GS].base = below(m, 0x800) & ~7u;
    }
}

static uint64_t choose_base(struct maker *m, unsigned seg)
{
    static const uint32_t data[] = {0x10000, 0x11230, 0x12000, 0x10ff8, 0x10001, 0x12340};
    static const uint32_t stack[] = {0x18000, 0x1e800, 0x1f000, 0x17ff4, 0x1c000};
    static const uint32_t code[] = {0x10000, 0xfff0, 0x8000, 0xff01, 0x4004};
    const struct program_mode *mode = m->p->mode;
    uint64_t base = seg == SEG_CS   ? code[below(m, ARRAY_SIZE(code))]
                    : seg == SEG_SS ? stack[below(m, ARRAY_SIZE(stack))]
                                    : data[below(m, ARRAY_SIZE(data))];
    if (mode->bits == 32 && seg != SEG_CS && seg != SEG_SS && one_in(m, 3))
        base = below(m, 0x10000);
    return mode->real || mode->v86 ? base & ~15ull : base;
}

/* Limits that end in the middle of things, read-only and expand-down data, stacks of the other
 * size: each now and then. */
static void segment_oddities(struct maker *m, unsigned seg, struct segment *s)
{
    unsigned how = below(m, 24);
    if (seg == SEG_CS) {
        if (how < 8)
            s->limit = (uint32_t)(PAGE_CODE + CODE_BYTES - s->base - 1);
    } else if (seg == SEG_SS) {
        if (how < 4)
            s->attr ^= SEG_ATTR_DB;
    } else if (how < 3) {
        s->limit = (uint32_t)(PAGE_RAM + 4096 * 2 + below(m, 4096) - s->base);
    } else if (how < 4) {
        s->attr &= (uint16_t)~SEG_ATTR_RW;
    } else if (how < 6) {
        s->attr |= SEG_ATTR_DC;
        s->limit = below(m, 0x2000);
    }
}

static void segments_own(struct maker *m)
{
    const struct program_mode *mode = m->p->mode;
    for (unsigned s = SEG_ES; s <= SEG_GS; s++) {
        uint64_t base = choose_base(m, s);
        struct segment *out = &m->p->seg[s];
        if (mode->real || mode->v86) {
            *out =
                (struct segment){base, 0xffff, (uint16_t)(base >> 4), mode->v86 ? 0xf3 : 0x93};
            continue;
        }
        *out = (struct segment){base, mode->bits == 32 ? 0xfffff : 0xffff,
                                (uint16_t)(SEL_OWN + 8 * s + mode->cpl),
                                s == SEG_CS ? 0x9b : 0x93};
        out->attr |= (uint16_t)(mode->cpl << SEG_ATTR_DPL_SHIFT);
        if (mode->bits == 32)
            out->attr |= SEG_ATTR_DB;
        segment_oddities(m, s, out);
    }
}

/* ---- programs ---- */

static const uint8_t share_sets[][FAMILIES] = {
    /* INT X87 MMX SSE AVX 512 STATE SYS */
    {97, 0, 0, 0, 0, 0, 0, 3},   {97, 0, 0, 0, 0, 0, 0, 3},  {64, 6, 4, 12, 8, 2, 2, 2},
    {38, 0, 4, 28, 20, 8, 2, 0}, {48, 40, 6, 2, 0, 0, 3, 1},
};

static bool made_for_smap;

static void begin(struct maker *m, struct program *p, const struct program_mode *mode,
                  uint64_t seed)
{
    m->p = p;
    m->random = seed;
    p->mode = mode;
    p->seed = seed;
    p->item_count = p->block_count = 0;
    for (unsigned n = 0; n < 16; n++)
        p->gpr[n] = rnd(m) >> below(m, 64) & (mode->bits == 64 ? ~0ull : 0xffffffff);
    choose_registers(m);
    if (mode->segmented)
        segments_own(m);
    else
        segments_flat(m);
    p->code_linear = PAGE_CODE;
    if (mode->bits == 64 && one_in(m, 3))
        p->code_linear += one_in(m, 2) ? HIGH_ALIAS : LARGE_ALIAS;
    m->alias = 0;
    if (mode->bits == 64 && one_in(m, 3))
        m->alias = one_in(m, 2) ? HIGH_ALIAS : LARGE_ALIAS;
    p->rflags_rest = FLAG_FIXED | (one_in(m, 16) ? FLAG_DF : 0);
    if (mode->v86)
        p->rflags_rest |= FLAG_VM;
    if (mode->cpl && (one_in(m, 2) || (mode->v86 && !one_in(m, 16))))
        p->rflags_rest |= FLAG_IOPL;
    if (mode->cpl && one_in(m, 16))
        p->rflags_rest |= FLAG_AC;
    p->cr0_set = one_in(m, 64) ? CR0_TS : 0;
    p->cr4_clear = one_in(m, 64) ? CR4_OSXSAVE : 0;
    p->watch = one_in(m, 64) ? PAGE_RAM + 4 * below(m, 3 * 1024) : 0;
    p->pcid = mode->paging == PAGING_LONG && one_in(m, 2);
    p->has_smap = made_for_smap;
    p->gpr[RSP] =
        PAGE_STACK + 0xc00 + 8 * below(m, 128) - (mode->bits == 64 ? 0 : p->seg[SEG_SS].base);
    m->value[RSP] = p->gpr[RSP];
    m->shares = share_sets[below(m, ARRAY_SIZE(share_sets))];
    p->start = one_in(m, 2) ? 0x1000 - below(m, 400) : 64 + below(m, 3000);
    memset(p->code, 0x90, sizeof p->code);
    m->at = p->start;
}

static void registers_first(struct maker *m)
{
    for (unsigned k = 0; k < m->pointer_count; k++)
        flow_point(m, k);
    flow_index(m, below(m, 8));
}

static void body(struct maker *m)
{
    for (unsigned n = 1 + below(m, 7); n && !m->failed; n--)
        flow_item(m);
}

bool program_make(struct program *p, const struct program_mode *mode, uint64_t seed,
                  unsigned op)
{
    struct maker maker = {.only_op = op}, *m = &maker;
    begin(m, p, mode, seed);
    unsigned blocks = 2 + below(m, 8), subroutines = below(m, 3);
    m->labels = blocks + 1 + subroutines;
    m->block_pending = true;
    flow_island(m, blocks);
    registers_first(m);
    m->far_subroutine = mode->bits != 64 && one_in(m, 3);
    for (unsigned n = 0; n < blocks && !m->failed; n++) {
        emit_label(m, n);
        body(m);
        flow_end(m, n, blocks, subroutines);
        flow_move(m, n + 1);
    }
    emit_label(m, blocks);
    flow_stop(m);
    m->stack_fixed = true;
    for (unsigned n = 0; n < subroutines && !m->failed; n++) {
        m->undefined = 0;
        emit_label(m, blocks + 1 + n);
        body(m);
        flow_return(m);
    }
    p->end = m->at;
    for (unsigned n = 0; n < m->fixup_count && !m->failed; n++)
        m->failed = !resolve(m, &m->fixups[n]);
    return !m->failed && program_flags(p);
}

void program_make_init(const struct vcpu *model)
{
    encode_init(model);
    made_for_smap = cpu_has(model, ISA_SMAP);
}
