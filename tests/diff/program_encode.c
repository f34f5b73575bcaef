/* SPDX-License-Identifier: MIT */
/*
 * program_encode.c - single instructions of random programs, from the rows of the instruction
 * table: prefixes, opcode and operands at random, but for what the row wants and for memory
 * operands, which are put together from known registers so that they hit the chosen address.
 * What the decoder makes of the bytes decides whether they are taken.
 */
#include "cpu/cpuid.h"
#include "program_maker.h"
#include "rows.h"

/* ---- rows by family ---- */

#define ROWS_MAX 3000u

static struct {
    uint16_t rows[FAMILIES][ROWS_MAX];
    unsigned count[FAMILIES];
    const struct vcpu *model;
} table;

/* Left to sequences, never taken, or not the same twice. */
static bool is_excluded(unsigned op)
{
    if (is_branch_op(op))
        return true;
    switch (op) {
    case OP_INVALID:
    case OP_UD:
    case OP_UD1:
    case OP_RDRAND:
    case OP_RDSEED:
        return true;
    default:
        return false;
    }
}

static bool is_system_wanted(unsigned op)
{
    switch (op) {
    case OP_MOV_SREG:
    case OP_PUSH_SREG:
    case OP_SGDT:
    case OP_SIDT:
    case OP_SLDT:
    case OP_STR:
    case OP_LAR:
    case OP_LSL:
    case OP_VERR:
    case OP_VERW:
    case OP_ARPL:
    case OP_SMSW:
    case OP_CLTS:
    case OP_MOV_CR:
    case OP_INVLPG:
    case OP_WBINVD:
    case OP_RDTSC:
    case OP_RDTSCP:
    case OP_RDPID:
    case OP_CPUID:
    case OP_XGETBV:
    case OP_RDFSBASE:
    case OP_RDGSBASE:
    case OP_CLI:
    case OP_STI:
    case OP_PUSHF:
        return true;
    default:
        return false;
    }
}

static enum family family_of(const struct optab_row *row)
{
    unsigned class = op_table[row->op].class;
    if (class == CLASS_INT)
        return is_excluded(row->op) ? FAMILIES : FAMILY_INT;
    if (class == CLASS_SYS)
        return is_system_wanted(row->op) ? FAMILY_SYS : FAMILIES;
    if (class == CLASS_FPU)
        return FAMILY_STATE;
    switch (row->state) {
    case STATE_X87:
        return FAMILY_X87;
    case STATE_MMX:
        return FAMILY_MMX;
    case STATE_SSE:
        return FAMILY_SSE;
    default:
        return row->encoding >= ENCODING_EVEX0 ? FAMILY_AVX512 : FAMILY_AVX;
    }
}

void encode_init(const struct vcpu *model)
{
    memset(&table, 0, sizeof table);
    table.model = model;
    for (unsigned n = 0; n < optab_row_count; n++) {
        enum family f = family_of(&optab_rows[n]);
        enum isa_feature feature = optab_rows[n].feature;
        if (f < FAMILIES && (feature == ISA_BASE || cpu_has(model, feature)) &&
            table.count[f] < ROWS_MAX)
            table.rows[f][table.count[f]++] = (uint16_t)n;
    }
}

/* ---- addresses ---- */

static uint64_t near_boundary(struct maker *m)
{
    static const unsigned pages[] = {
        PAGE_READ_ONLY, PAGE_ROM,        PAGE_RAM,        PAGE_ABSENT,    PAGE_MMIO,
        PAGE_RAM_TOO,   PAGE_SUPERVISOR, PAGE_CODE_ALIAS, PAGE_RAM_ALIAS, PAGE_GUARD,
    };
    unsigned page = one_in(m, 2) ? PAGE_RAM_TOO : pages[below(m, ARRAY_SIZE(pages))];
    return page - 1 - below(m, 15);
}

/* Data on pages of code: beside the program, and inside. */
static uint64_t in_code(struct maker *m)
{
    unsigned page = one_in(m, 3) ? PAGE_CODE_ALIAS : PAGE_CODE;
    if (m->island_bytes && m->island < 4096 && one_in(m, 2))
        return page + m->island + below(m, m->island_bytes - 8);
    return one_in(m, 2) ? page + below(m, 48) : PAGE_CODE + CODE_BYTES - 64 + below(m, 40);
}

static uint64_t special_address(struct maker *m, bool writes)
{
    bool user = m->p->mode->cpl != 0;
    switch (below(m, 40)) {
    case 0 ... 6:
        return PAGE_MMIO + below(m, 4000);
    case 7 ... 14:
        return in_code(m);
    case 15 ... 18:
        return PAGE_RAM_ALIAS + below(m, 4000);
    case 19 ... 23:
        return writes && !one_in(m, 8) ? PAGE_RAM + 4096 - below(m, 16)
                                       : PAGE_READ_ONLY + below(m, 4000);
    case 24 ... 26:
        return PAGE_ROM + below(m, 4000);
    case 27 ... 30:
        return PAGE_STACK + below(m, 2048);
    case 31 ... 32:
        return PAGE_NO_EXECUTE + below(m, 4000);
    case 33:
        return user && !one_in(m, 4) ? PAGE_RAM_TOO : PAGE_SUPERVISOR + below(m, 4000);
    case 34:
        return one_in(m, 4) ? PAGE_ABSENT + below(m, 4000) : PAGE_RAM + 8192 - below(m, 64);
    case 35 ... 36:
        return near_boundary(m);
    default:
        return PAGE_RAM + 4096 * (1 + below(m, 2)) - below(m, 64);
    }
}

uint64_t pick_address(struct maker *m, bool writes, unsigned align)
{
    uint64_t at;
    if (below(m, 100) < 60)
        at = PAGE_RAM + below(m, 3 * 4096 - 512);
    else if (one_in(m, 6))
        at = PAGE_RAM_TOO + below(m, 4032);
    else
        at = special_address(m, writes);
    return below(m, 16) < 13 ? at & ~(uint64_t)(align - 1) : at;
}

/* Whether an address that just came about will do. */
static bool is_harmless(uint64_t linear, bool writes)
{
    linear &= 0x1fffff;
    return (linear >= PAGE_RAM && linear < PAGE_ABSENT - 64) ||
           (linear >= PAGE_MMIO && linear < PAGE_SUPERVISOR - 64) ||
           (linear >= PAGE_RAM_ALIAS && linear < PAGE_GUARD - 64) ||
           (!writes && linear >= PAGE_READ_ONLY && linear < PAGE_RAM);
}

/* Whether the segment reaches there; one that does not is wanted rarely. */
static bool is_within(const struct maker *m, uint64_t linear, unsigned seg)
{
    const struct segment *s = &m->p->seg[seg];
    if (is_flat(m) || linear < s->base)
        return is_flat(m);
    bool down = (s->attr & (SEG_ATTR_CODE | SEG_ATTR_DC)) == SEG_ATTR_DC;
    uint64_t offset = linear - s->base;
    return (offset + 16 <= s->limit) != down && (offset < 0xfff0 || m->p->mode->bits == 32);
}

uint64_t pick_within(struct maker *m, unsigned seg, bool writes, unsigned align)
{
    uint64_t at = pick_address(m, writes, align);
    if (one_in(m, 64))
        return at;
    for (unsigned n = 0; n < 60 && !is_within(m, at, seg); n++)
        at = pick_address(m, writes, align);
    return at;
}

uint64_t maker_offset(const struct maker *m, uint64_t linear, unsigned seg)
{
    uint64_t offset = linear - m->p->seg[seg].base;
    return m->p->mode->bits == 64 ? offset : (uint32_t)offset;
}

/* ---- modrm ---- */

struct modrm {
    uint8_t mod, rm, sib, disp_bytes;
    bool has_sib, x, b, x_vector;
    uint8_t address_bytes;
    uint8_t seg; /* prefix, or NO_SEG */
    int32_t disp;
    bool rip_relative;
    uint64_t target;
};

static unsigned default_seg(unsigned base)
{
    return base == RBP || base == RSP ? SEG_SS : SEG_DS;
}

static void modrm_disp(struct modrm *f, int64_t disp, bool need)
{
    f->disp = (int32_t)disp;
    if (disp == 0 && !need) {
        f->mod = 0;
        f->disp_bytes = 0;
    } else if (disp == (int8_t)disp) {
        f->mod = 1;
        f->disp_bytes = 1;
    } else {
        f->mod = 2;
        f->disp_bytes = f->address_bytes == 2 ? 2 : 4;
    }
}

/* What must be added to the register for the address; or a small number if that will do. */
static int64_t choose_disp(struct maker *m, unsigned base, unsigned seg, bool writes,
                           unsigned align)
{
    uint64_t segment = m->p->seg[seg].base, value = m->value[base];
    if (one_in(m, 2)) {
        int64_t small = one_in(m, 3) ? 0 : (int64_t)below(m, 256) - 128;
        if (one_in(m, 2))
            small &= ~(int64_t)(align - 1);
        uint64_t there = segment + value + (uint64_t)small;
        if (is_harmless(there, writes) && (is_flat(m) || is_within(m, there, seg)))
            return small;
    }
    uint64_t at = pick_within(m, seg, writes, align) + m->alias;
    return (int64_t)(at - segment - value);
}

static bool modrm_base(struct maker *m, struct modrm *f, bool writes, unsigned align, bool vsib)
{
    unsigned base = m->pointers[below(m, m->pointer_count)];
    bool has_index = vsib || one_in(m, 4);
    unsigned seg = f->seg == NO_SEG ? default_seg(base) : f->seg;
    int64_t disp = choose_disp(m, base, seg, writes, align);
    if (disp != (int32_t)disp)
        return false;
    f->b = base >= 8;
    f->rm = base & 7;
    if (has_index || (base & 7) == RSP || (vsib || one_in(m, 16))) {
        unsigned index = vsib        ? below(m, m->p->mode->bits == 64 ? 16 : 8)
                         : has_index ? m->index
                                     : RSP;
        f->has_sib = true;
        f->rm = 4;
        f->x = index >= 8;
        f->sib = (uint8_t)(below(m, 4) << 6 | (index & 7) << 3 | (base & 7));
    }
    modrm_disp(f, disp, (base & 7) == RBP);
    return true;
}

static bool modrm_absolute(struct maker *m, struct modrm *f, bool writes, unsigned align)
{
    unsigned seg = f->seg == NO_SEG ? SEG_DS : f->seg;
    uint64_t offset = maker_offset(m, pick_within(m, seg, writes, align), seg);
    f->mod = 0;
    f->rm = 5;
    f->disp_bytes = 4;
    f->disp = (int32_t)offset;
    if (m->p->mode->bits != 64)
        return !(one_in(m, 3)) || ((f->has_sib = true), (f->rm = 4), (f->sib = 0x25), true);
    if (one_in(m, 2)) {
        f->rip_relative = true;
        f->target = offset + (f->address_bytes == 8 ? m->alias : 0);
        return m->alias == 0 || m->p->code_linear >= HIGH_ALIAS || m->alias == LARGE_ALIAS;
    }
    f->has_sib = true;
    f->rm = 4;
    f->sib = 0x25;
    return true;
}

static bool modrm_index(struct maker *m, struct modrm *f, bool writes, unsigned align)
{
    if (!modrm_absolute(m, f, writes, align))
        return false;
    f->rip_relative = false;
    f->has_sib = true;
    f->rm = 4;
    f->x = m->index >= 8;
    f->sib = (uint8_t)(below(m, 4) << 6 | (m->index & 7) << 3 | 5);
    return true;
}

static bool modrm_stack(struct maker *m, struct modrm *f)
{
    f->has_sib = true;
    f->rm = 4;
    f->sib = 0x24;
    modrm_disp(f, 8 * (int64_t)below(m, 12) - 8, false);
    return true;
}

/* [BX or BP], [SI or DI], sums of them, or absolute. */
static bool modrm_16(struct maker *m, struct modrm *f, bool writes, unsigned align)
{
    unsigned base = m->pointers[below(m, 2)];
    bool is_bp = base == RBP, indexed = (base == RBX || is_bp) && one_in(m, 3);
    unsigned seg = f->seg == NO_SEG ? default_seg(base) : f->seg;
    int64_t disp = choose_disp(m, base, seg, writes, align);
    if (one_in(m, 8)) {
        seg = f->seg == NO_SEG ? SEG_DS : f->seg;
        f->mod = 0;
        f->rm = 6;
        f->disp_bytes = 2;
        f->disp = (int32_t)(pick_within(m, seg, writes, align) - m->p->seg[seg].base);
        return f->disp == (uint16_t)f->disp;
    }
    if (indexed)
        f->rm = (uint8_t)((is_bp ? 2 : 0) + (m->index == RDI));
    else
        f->rm = base == RSI ? 4 : base == RDI ? 5 : is_bp ? 6 : 7;
    modrm_disp(f, disp, f->rm == 6);
    uint64_t offset = m->value[base] + (uint64_t)disp;
    return offset == (uint16_t)offset && disp == (int32_t)disp;
}

static bool modrm_memory(struct maker *m, struct modrm *f, bool writes, unsigned align,
                         bool vsib)
{
    if (f->address_bytes == 2)
        return !vsib && modrm_16(m, f, writes, align);
    unsigned how = vsib ? 0 : below(m, 16);
    if (how < 10)
        return modrm_base(m, f, writes, align, vsib);
    if (how < 13)
        return modrm_absolute(m, f, writes, align);
    if (how < 15 && m->p->mode->bits != 16)
        return modrm_index(m, f, writes, align);
    return modrm_stack(m, f);
}

/* ---- rows ---- */

static bool row_writes_memory(const struct optab_row *row)
{
    for (unsigned k = 0; k < 4; k++)
        switch (row->operands[k].kind) {
        case KIND_E:
        case KIND_M:
        case KIND_Q:
        case KIND_W:
        case KIND_KE:
        case KIND_VSIB:
            return row->operands[k].access & ACCESS_MODE_W;
        default:
            break;
        }
    return false;
}

static bool row_has_vsib(const struct optab_row *row)
{
    return row->operands[0].kind == KIND_VSIB || row->operands[1].kind == KIND_VSIB;
}

static void put(struct draft *d, unsigned byte)
{
    if (d->length < sizeof d->bytes)
        d->bytes[d->length++] = (uint8_t)byte;
}

static const uint8_t seg_prefixes[6] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};
static const uint8_t pp_bytes[4] = {0, 0x66, 0xf3, 0xf2};

static void put_prefixes(struct maker *m, struct draft *d, const struct optab_row *row,
                         const struct modrm *f)
{
    bool vex = row->encoding >= ENCODING_VEX0;
    unsigned bits = m->p->mode->bits;
    if (f->seg != NO_SEG)
        put(d, seg_prefixes[f->seg]);
    if (f->address_bytes != (bits == 16 ? 2 : bits / 8))
        put(d, 0x67);
    if (vex)
        return;
    unsigned pp = WANTED(row, PP, 0);
    bool simple = op_table[row->op].class == CLASS_INT || row->state == STATE_X87;
    if (simple && pp != 1 && one_in(m, 4))
        put(d, 0x66);
    if (row->attrs & ATTR_REP && !one_in(m, 3))
        put(d, one_in(m, 2) ? 0xf2 : 0xf3);
    if ((row->attrs & ATTR_LOCK) && f->mod != 3 && one_in(m, 4))
        put(d, 0xf0);
    if (pp)
        put(d, pp_bytes[pp]);
    else if (simple && one_in(m, 40) && !(row->attrs & ATTR_REP))
        put(d, one_in(m, 2) ? 0xf2 : 0xf3);
}

static void put_rex(struct maker *m, struct draft *d, const struct optab_row *row,
                    const struct modrm *f)
{
    unsigned v = (unsigned)rnd(m), w = WANTED(row, W, one_in(m, 3) ? 1 : 0);
    unsigned rex = w << 3 | (v & 4) | f->x << 1 | f->b;
    if (f->mod == 3 && WANTED(row, REXB, 1) == 0)
        rex &= 0xe;
    if (m->p->mode->bits == 64 && (rex || one_in(m, 8)))
        put(d, 0x40 | rex);
}

static void put_vex(struct maker *m, struct draft *d, const struct optab_row *row,
                    const struct modrm *f)
{
    unsigned v = (unsigned)rnd(m), pp = WANTED(row, PP, v >> 4);
    unsigned w = WANTED(row, W, v >> 8), l = WANTED(row, L, v >> 10), vvvv = v >> 12 & 15;
    bool wide = m->p->mode->bits == 64, uses_vvvv = false;
    for (unsigned k = 0; k < 4; k++)
        uses_vvvv |= row->operands[k].kind == KIND_B || row->operands[k].kind == KIND_H ||
                     row->operands[k].kind == KIND_KH;
    vvvv = uses_vvvv || row_has_vsib(row) ? (wide ? vvvv : vvvv | 8) : 15;
    unsigned rxb = wide ? (v >> 16 & 4) | (f->x ? 0 : 2) | (f->b ? 0 : 1) : 7;
    if (row->encoding < ENCODING_EVEX0) {
        if (row->encoding == ENCODING_VEX1 && !w && (rxb & 3) == 3 && one_in(m, 2)) {
            put(d, 0xc5);
            put(d, (rxb & 4) << 5 | vvvv << 3 | (l & 1) << 2 | pp);
            return;
        }
        put(d, 0xc4);
        put(d, rxb << 5 | (row->encoding - ENCODING_VEX0));
        put(d, w << 7 | vvvv << 3 | (l & 1) << 2 | pp);
        return;
    }
    put(d, 0x62);
    put(d, rxb << 5 | (wide ? v >> 20 & 16 : 16) | (row->encoding - ENCODING_EVEX0));
    put(d, w << 7 | vvvv << 3 | 4 | pp);
    put(d, (one_in(m, 3) ? 0x80 : 0) | l << 5 | (one_in(m, 4) ? 0x10 : 0) |
               (wide && one_in(m, 4) && uses_vvvv ? 0 : 8) | (one_in(m, 2) ? 0 : below(m, 8)));
}

static uint64_t random_immediate(struct maker *m)
{
    uint64_t v = rnd(m);
    switch (v >> 56 & 7) {
    case 0:
        return 0;
    case 1:
        return ~0ull;
    case 2:
        return v & 0x7f;
    case 3:
        return 1ull << (v & 63);
    case 4:
        return (uint64_t)(int64_t)(int8_t)v;
    default:
        return v;
    }
}

static void put_opcode(struct maker *m, struct draft *d, const struct optab_row *row,
                       unsigned opcode, const struct modrm *f)
{
    if (row->encoding >= ENCODING_VEX0)
        put_vex(m, d, row, f);
    else
        put_rex(m, d, row, f);
    if (row->encoding >= ENCODING_0F && row->encoding <= ENCODING_0F3A)
        put(d, 0x0f);
    if (row->encoding == ENCODING_0F38 || row->encoding == ENCODING_0F3A)
        put(d, row->encoding == ENCODING_0F38 ? 0x38 : 0x3a);
    put(d, opcode);
}

static bool has_modrm(const struct optab_row *row)
{
    const uint64_t fields = CONDITION(0, KEY_REG_MASK, KEY_REG_SHIFT) |
                            CONDITION(0, KEY_RM_MASK, KEY_RM_SHIFT) |
                            CONDITION(0, KEY_MOD3_MASK, KEY_MOD3_SHIFT);
    if (row->condition & fields)
        return true;
    for (unsigned k = 0; k < 4; k++)
        switch (row->operands[k].kind) {
        case KIND_NONE:
        case KIND_A:
        case KIND_I:
        case KIND_I2:
        case KIND_J:
        case KIND_O:
        case KIND_X:
        case KIND_Y:
        case KIND_Z:
        case KIND_FIXED:
        case KIND_SEG:
        case KIND_ONE:
            break;
        default:
            return true;
        }
    return false;
}

static void put_modrm(struct maker *m, struct draft *d, const struct optab_row *row,
                      const struct modrm *f)
{
    unsigned v = (unsigned)rnd(m);
    put(d, f->mod << 6 | WANTED(row, REG, v) << 3 | f->rm);
    if (f->has_sib)
        put(d, f->sib);
    if (f->rip_relative) {
        d->rip_at = (int)d->length;
        d->rip_target = f->target;
    }
    for (unsigned k = 0; k < f->disp_bytes; k++)
        put(d, (unsigned)((uint32_t)f->disp >> (8 * k)) & 0xff);
}

static unsigned pick_opcode(struct maker *m, unsigned number)
{
    const struct optab_row *row = &optab_rows[number];
    unsigned first = number;
    while (!(optab_rows[first].attrs & ATTR_START))
        first--;
    unsigned opcode = row->opcode + below(m, 16);
    return opcode < 256 && optab_index[row->encoding][opcode] == first + 1 ? opcode
                                                                           : row->opcode;
}

static uint8_t pick_address_bytes(struct maker *m)
{
    unsigned bits = m->p->mode->bits;
    bool other = one_in(m, 12);
    if (bits == 64)
        return other ? 4 : 8;
    if (bits == 32)
        return other && !is_flat(m) && m->pointers[0] < RSI && one_in(m, 2) ? 2 : 4;
    return other ? 4 : 2;
}

/* Bytes of one instruction of the row, as far as they can be chosen without decoding. */
static bool draft_row(struct maker *m, struct draft *d, unsigned number)
{
    const struct optab_row *row = &optab_rows[number];
    struct modrm f = {.seg = NO_SEG, .address_bytes = pick_address_bytes(m)};
    bool modrm = has_modrm(row);
    static const uint8_t aligns[] = {1, 4, 8, 16, 32, 64, 64, 64};
    d->length = 0;
    d->rip_at = -1;
    if (one_in(m, m->p->mode->bits == 64 ? 10 : 6))
        f.seg = (uint8_t)below(m, 6);
    bool writes = row_writes_memory(row), real = m->p->mode->real || m->p->mode->v86;
    if (f.seg == SEG_CS && writes && !real && m->p->mode->bits != 64 && !one_in(m, 16))
        f.seg = SEG_DS;
    if (!modrm) {
        f.b = m->p->mode->bits == 64 && one_in(m, 2);
    } else if (WANTED(row, MOD3, one_in(m, 2)) || row->attrs & ATTR_MOD3) {
        f.mod = 3;
        f.rm = (uint8_t)WANTED(row, RM, rnd(m));
        f.b = m->p->mode->bits == 64 && one_in(m, 2);
        f.x = m->p->mode->bits == 64 && row->encoding >= ENCODING_EVEX0 && one_in(m, 2);
    } else if (!modrm_memory(m, &f, writes, aligns[below(m, ARRAY_SIZE(aligns))],
                             row_has_vsib(row))) {
        return false;
    }
    put_prefixes(m, d, row, &f);
    put_opcode(m, d, row, pick_opcode(m, number), &f);
    if (modrm)
        put_modrm(m, d, row, &f);
    uint64_t imm = random_immediate(m);
    for (unsigned k = 0; k < 8 && d->length < INSN_MAX_BYTES; k++)
        put(d, (unsigned)(imm >> (8 * k)) & 0xff);
    return true;
}

/* ---- what may be taken ---- */

static uint32_t implicit_gprs(const struct insn *i)
{
    switch (i->op) {
    case OP_MUL:
    case OP_DIV:
    case OP_IDIV:
    case OP_IMUL:
    case OP_CWD:
    case OP_CMPXCHG8B:
    case OP_CMPXCHG16B:
    case OP_XGETBV:
    case OP_RDTSC:
        return 1u << RAX | 1u << RDX;
    case OP_RDTSCP:
        return 1u << RAX | 1u << RDX | 1u << RCX;
    case OP_CPUID:
        return 0xf;
    case OP_CBW:
    case OP_CMPXCHG:
    case OP_XLAT:
    case OP_AAA:
    case OP_AAS:
    case OP_AAM:
    case OP_AAD:
    case OP_DAA:
    case OP_DAS:
    case OP_LAHF:
    case OP_SALC:
        return 1u << RAX;
    case OP_PCMPESTRI:
    case OP_PCMPISTRI:
    case OP_VPCMPESTRI:
    case OP_VPCMPISTRI:
        return 1u << RCX;
    case OP_ENTER:
    case OP_LEAVE:
        return 1u << RBP;
    default:
        return 0;
    }
}

uint32_t gprs_written(const struct insn *i)
{
    uint32_t mask = implicit_gprs(i);
    struct operand o;
    for (unsigned k = 0; insn_operand(i, k, &o); k++)
        if (o.regs == REGS_GPR && o.written)
            mask |= 1u << (o.reg >= 16 ? o.reg & 3 : o.reg);
    return mask;
}

static bool is_undefined_result(const struct insn *i)
{
    switch (i->op) {
    case OP_SHLD:
    case OP_SHRD:
        return i->opsize == 2 && (i->opcode & 1 || (i->imm & 31) > 16);
    case OP_BSWAP:
        return i->opsize == 2;
    case OP_BSF: /* of zero: see the SDM */
    case OP_BSR:
        return false;
    default:
        return false;
    }
}

static bool moves_stack(unsigned op)
{
    switch (op) {
    case OP_PUSH:
    case OP_POP:
    case OP_PUSHA:
    case OP_POPA:
    case OP_ENTER:
    case OP_LEAVE:
    case OP_PUSHF:
    case OP_POPF:
    case OP_PUSH_SREG:
    case OP_POP_SREG:
        return true;
    default:
        return false;
    }
}

static bool is_port_access(unsigned op)
{
    return op == OP_IN || op == OP_OUT || op == OP_INS || op == OP_OUTS;
}

/* What user code may not do is tried now and then. */
static bool is_privileged(const struct maker *m, const struct insn *i)
{
    if (m->p->mode->cpl == 0)
        return false;
    bool iopl = (m->p->rflags_rest & FLAG_IOPL) == FLAG_IOPL;
    switch (i->op) {
    case OP_IN:
    case OP_OUT:
    case OP_INS:
    case OP_OUTS:
        return !iopl || m->p->mode->v86;
    case OP_CLI:
    case OP_STI:
        return !iopl;
    case OP_CLTS:
    case OP_MOV_CR:
    case OP_INVLPG:
    case OP_WBINVD:
    case OP_XSAVES:
    case OP_XRSTORS:
        return true;
    default:
        return false;
    }
}

static bool is_feature_missing(const struct maker *m, const struct insn *i)
{
    const struct optab_row *row = insn_row(i);
    if (insn_needs_vl(i) && !cpu_has(table.model, ISA_AVX512VL))
        return true;
    if (m->p->mode->real || m->p->mode->v86)
        return i->prefixes & (PFX_VEX | PFX_EVEX) ||
               (op_table[row->op].class == CLASS_SYS &&
                (row->op == OP_LAR || row->op == OP_LSL || row->op == OP_VERR ||
                 row->op == OP_VERW || row->op == OP_ARPL || row->op == OP_SLDT ||
                 row->op == OP_STR));
    return false;
}

static unsigned alignment_of(const struct insn *i)
{
    switch (i->op) {
    case OP_FXSAVE:
    case OP_FXRSTOR:
    case OP_CMPXCHG16B:
        return 16;
    case OP_XSAVE:
    case OP_XSAVEC:
    case OP_XSAVEOPT:
    case OP_XSAVES:
    case OP_XRSTOR:
    case OP_XRSTORS:
        return 64;
    default:
        return insn_mem_alignment(i);
    }
}

/* As far as is known here. */
static bool is_misaligned(const struct maker *m, const struct insn *i)
{
    unsigned align = alignment_of(i);
    if (!i->mem || align < 2)
        return false;
    uint64_t at = m->p->seg[i->seg].base + (uint64_t)(int64_t)i->disp;
    if (i->base < 16)
        at += m->value[i->base];
    bool exact = i->index == REG_NONE && i->base != REG_RIP && i->base != RSP;
    return !exact || (at & (align - 1));
}

static bool is_acceptable(struct maker *m, const struct insn *i)
{
    if (gprs_written(i) & m->reserved || is_undefined_result(i))
        return false;
    if (m->stack_fixed && moves_stack(i->op))
        return false;
    if (m->stack_fixed && i->mem && i->base == RSP && !one_in(m, 16))
        return false; /* the return address is there */
    if (i->op == OP_MOV_CR)
        return i->opcode == 0x20 && i->reg != 8 && i->reg < 5;
    if (i->op == OP_MOV_SREG && i->opcode == 0x8e)
        return false; /* sequences do that */
    if (is_privileged(m, i) || is_feature_missing(m, i))
        return one_in(m, 800);
    if (is_misaligned(m, i) && !one_in(m, 32))
        return false;
    if (i->prefixes & PFX_LOCK && !i->mem)
        return one_in(m, 50);
    return !is_port_access(i->op) || one_in(m, 2);
}

/* Where LDMXCSR and FLDCW find something that they can load. */
static void fix_special(struct maker *m, struct draft *d)
{
    struct insn *i = &d->insn;
    const struct optab_row *row = insn_row(i);
    bool moffs = row->operands[0].kind == KIND_O || row->operands[1].kind == KIND_O;
    if (moffs) {
        unsigned seg = m->p->mode->bits == 64 && i->seg < SEG_FS ? SEG_DS : i->seg;
        uint64_t at = pick_within(m, seg, row->operands[0].kind == KIND_O, 8);
        uint64_t offset = maker_offset(m, at, seg);
        store_le(d->bytes + i->length - i->addrsize, offset, i->addrsize);
    }
    if (i->op == OP_ENTER) { /* size, and most levels 0 to 3 */
        store_le(d->bytes + i->length - 3, rnd(m) & 0x38, 2);
        d->bytes[i->length - 1] = (uint8_t)(one_in(m, 2) ? 0 : below(m, 4));
    }
}

static bool encode_row(struct maker *m, struct draft *d, unsigned number)
{
    for (unsigned attempt = 0; attempt < 12; attempt++) {
        if (!draft_row(m, d, number))
            continue;
        unsigned bits = m->p->mode->bits;
        if (decode_insn(&d->insn, d->bytes, INSN_MAX_BYTES, bits) != DECODE_OK ||
            d->insn.row != number || !is_acceptable(m, &d->insn))
            continue;
        fix_special(m, d);
        d->length = d->insn.length;
        return decode_insn(&d->insn, d->bytes, d->length, bits) == DECODE_OK;
    }
    return false;
}

bool encode_family(struct maker *m, struct draft *d, enum family family)
{
    unsigned count = table.count[family];
    return count && encode_row(m, d, table.rows[family][below(m, count)]);
}

bool encode_op(struct maker *m, struct draft *d, unsigned op)
{
    for (unsigned attempt = 0; attempt < 8; attempt++) {
        unsigned first = below(m, optab_row_count);
        for (unsigned k = 0; k < optab_row_count; k++) {
            unsigned n = (first + k) % optab_row_count;
            if (optab_rows[n].op == op && encode_row(m, d, n))
                return true;
        }
    }
    return false;
}
