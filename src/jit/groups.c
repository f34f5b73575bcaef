/* SPDX-License-Identifier: MIT */
/*
 * groups.c - memory operands of a block that differ only in their displacement: fields of one
 * structure, slots of one stack frame. The first of them, the leader, checks the whole range from
 * the lowest to the highest byte and leaves its host address in jit.group; the others, as long as
 * base and index are what they were, only load that.
 *
 * It holds because a group lives within one block. Should the leader's check fail, C executes the
 * leader alone and leaves the block; should C change mappings for another instruction in between,
 * it leaves, too (jit.returns_stale). Leaders that fail often are taken out (block.ungrouped).
 *
 * In a window nothing is checked, but all have to know how far away the memory is (x64/mem.c),
 * which is the same within 512 GiB and the guards beside them: so there displacements may be large,
 * and a register that is moved by a little, or is another one of the group and a little, stays in
 * it. What was found is a distance then, if the operands have nothing but a base register.
 */
#include "jit/windows.h"

#include "cpu/x86.h"

#define SPAN_MAX        256
#define WINDOW_SPAN_MAX (1ll << 30)
#define STEP_MAX        (1ll << 20) /* times BLOCK_INSNS: far less than PIECE_GUARD */
#define ANY             0xffffu
#define BIT_OF(r)       (1u << (r))
#define CANDIDATES      8u

struct candidate {
    uint8_t base, index, scale, seg, addrsize;
    bool closed, write;
    int64_t low, high; /* displacements of the first byte and behind the last one */
    uint64_t members;  /* bit map of instructions */
};

/* General registers that the instruction changes, as a bit map. */
static unsigned changed(const struct insn *i)
{
    unsigned mask = 0;
    struct operand o;
    switch (i->op) {
    case OP_MUL:
    case OP_IMUL:
    case OP_DIV:
    case OP_IDIV:
    case OP_CBW:
    case OP_CWD:
        mask = BIT_OF(RAX) | BIT_OF(RDX);
        break;
    case OP_CMPXCHG:
        mask = BIT_OF(RAX);
        break;
    case OP_PUSH:
    case OP_POP:
        mask = BIT_OF(RSP);
        break;
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
    case OP_INC:
    case OP_DEC:
    case OP_SHL:
    case OP_SHR:
    case OP_SAR:
    case OP_ROL:
    case OP_ROR:
    case OP_SHLD:
    case OP_SHRD:
    case OP_BSF:
    case OP_BSR:
    case OP_TZCNT:
    case OP_LZCNT:
    case OP_POPCNT:
    case OP_XADD:
    case OP_XCHG:
    case OP_MOVZX:
    case OP_MOVSX:
    case OP_MOVSXD:
    case OP_CMOVCC:
    case OP_SETCC:
    case OP_MOVBE:
    case OP_ADCX:
    case OP_ADOX:
    case OP_BT:
    case OP_BTS:
    case OP_BTR:
    case OP_BTC:
    case OP_MOV:
    case OP_LEA:
    case OP_BSWAP:
    case OP_NOP:
    case OP_MULX:
    case OP_RORX:
    case OP_SARX:
    case OP_SHLX:
    case OP_SHRX:
    case OP_ANDN:
    case OP_JCC:
        break;
    case OP_PCMPESTRI:
    case OP_PCMPISTRI:
    case OP_VPCMPESTRI:
    case OP_VPCMPISTRI:
        return ANY;
    default:
        if (op_table[i->op].class != CLASS_HOST)
            return ANY;
        break;
    }
    for (unsigned k = 0; insn_operand(i, k, &o); k++)
        if (o.regs == REGS_GPR && o.written)
            mask |= o.reg < 16 ? BIT_OF(o.reg) : BIT_OF(o.reg - 16u); /* AH is in RAX */
    return mask;
}

bool may_write_code(const struct insn *i)
{
    struct operand o;
    if (i->op == OP_JMP || i->op == OP_JCC)
        return false;
    bool writes = i->op == OP_PUSH || changed(i) == ANY;
    for (unsigned k = 0; insn_operand(i, k, &o); k++)
        writes |= o.is_mem && o.written;
    return writes;
}

/* Displacement from the base; for RIP, from the start of the page. */
static int64_t displacement(const struct insn *i, unsigned next)
{
    return i->base == REG_RIP ? (int64_t)i->disp + next : i->disp;
}

/* The bytes and whether they are written. False: not one for a group. */
static bool operand_of(const struct translation *t, const struct insn *i, unsigned *bytes,
                       bool *write)
{
    struct operand o;
    if (!i->mem || i->addrsize == 2 || i->op == OP_LEA || i->op == OP_NOP)
        return false;
    bool thread = i->seg == SEG_FS || i->seg == SEG_GS;
    if (i->code_bits != 64 && (thread || i->seg == SEG_CS || !t->flat))
        return false;
    *bytes = i->mem_bytes;
    *write = false;
    for (unsigned k = 0; insn_operand(i, k, &o); k++)
        if (o.is_mem) {
            *bytes = o.bytes > *bytes ? o.bytes : *bytes;
            *write |= o.written;
            if (o.kind == KIND_VSIB || o.kind == KIND_X || o.kind == KIND_Y)
                return false;
        }
    return *bytes && *bytes <= 64;
}

static bool same_place(const struct candidate *k, const struct insn *i)
{
    return k->base == i->base && k->index == i->index && k->seg == i->seg &&
           k->addrsize == i->addrsize && (i->index == REG_NONE || k->scale == i->scale);
}

static void finish(struct translation *t, struct candidate *k)
{
    bool several = k->members & (k->members - 1);
    if (!several || t->group_count == GROUPS_MAX)
        return;
    t->groups[t->group_count] = (struct group){.low = k->low,
                                               .bytes = (unsigned)(k->high - k->low),
                                               .write = k->write,
                                               .leader = (uint8_t)__builtin_ctzll(k->members)};
    for (uint64_t rest = k->members; rest; rest &= rest - 1)
        t->group_of[__builtin_ctzll(rest)] = (uint8_t)t->group_count;
    t->group_count++;
}

bool is_by_base(const struct insn *i)
{
    return i->base < 16 && host_reg(i->base) != SPILLED && i->index == REG_NONE &&
           i->addrsize == 8 && i->seg != SEG_FS && i->seg != SEG_GS;
}

static void add(struct translation *t, struct candidate *list, unsigned *next,
                const struct insn *i, unsigned n, int64_t low)
{
    unsigned bytes;
    bool write;
    if (!operand_of(t, i, &bytes, &write))
        return;
    for (unsigned k = 0; k < CANDIDATES; k++) {
        struct candidate *c = &list[k];
        if (!c->members || c->closed || !same_place(c, i))
            continue;
        int64_t from = low < c->low ? low : c->low;
        int64_t to = low + bytes > c->high ? low + bytes : c->high;
        if (to - from > (t->windowed ? WINDOW_SPAN_MAX : SPAN_MAX))
            continue;
        c->low = from;
        c->high = to;
        c->write |= write;
        c->members |= BIT64(n);
        return;
    }
    struct candidate *c = &list[(*next)++ % CANDIDATES];
    finish(t, c);
    *c = (struct candidate){.base = i->base,
                            .index = i->index,
                            .scale = i->scale,
                            .seg = i->seg,
                            .addrsize = i->addrsize,
                            .write = write,
                            .low = low,
                            .high = low + bytes,
                            .members = BIT64(n)};
}

/* ---- in windows ---- */

/* An instruction has at most two operands in memory and copies a register. */
#define SETS_MAX (3 * BLOCK_INSNS)

/* Registers that are at one distance, while the block is looked through. */
struct near_registers {
    uint8_t set_of[16];            /* number; 0: nothing is known of the register */
    uint8_t count;                 /* of sets that there have been */
    uint8_t members[SETS_MAX + 1]; /* operands in each */
    uint8_t of[BLOCK_INSNS], of_stack[BLOCK_INSNS]; /* sets of operands, 0: none */
};

/* The instruction makes one register another one, or itself, plus not much. */
static bool moves_near(const struct insn *i, unsigned *to, unsigned *from)
{
    struct operand o[2];
    if (i->opsize != 8 || !insn_operand(i, 0, &o[0]))
        return false;
    bool two = insn_operand(i, 1, &o[1]);
    if (o[0].regs != REGS_GPR || o[0].bytes != 8 || !o[0].written)
        return false;
    *to = *from = o[0].reg;
    int64_t by = (int64_t)i->imm;
    switch (i->op) {
    case OP_INC:
    case OP_DEC:
        return true;
    case OP_ADD:
    case OP_SUB:
        return two && o[1].kind == KIND_I && by <= STEP_MAX && by >= -STEP_MAX;
    case OP_LEA:
        *from = i->base;
        return is_by_base(i) && i->disp <= STEP_MAX && i->disp >= -STEP_MAX;
    case OP_MOV:
        *from = o[1].reg;
        return two && o[1].regs == REGS_GPR && o[1].bytes == 8;
    default:
        return false;
    }
}

/* mask: registers that it changes. */
static void near_note(struct near_registers *near, const struct insn *i, unsigned mask)
{
    unsigned to, from;
    if (moves_near(i, &to, &from)) {
        if (!near->set_of[from])
            near->set_of[from] = ++near->count;
        near->set_of[to] = near->set_of[from];
        return;
    }
    if ((i->op == OP_PUSH || i->op == OP_POP) && i->opsize == 8) {
        struct operand o;
        mask = insn_operand(i, 0, &o) && o.regs == REGS_GPR && o.written ? BIT_OF(o.reg) : 0;
    }
    for (unsigned r = 0; r < 16; r++)
        if (mask == ANY || mask >> r & 1)
            near->set_of[r] = 0;
}

static uint8_t near_set(struct near_registers *near, unsigned base)
{
    if (!near->set_of[base])
        near->set_of[base] = ++near->count;
    near->members[near->set_of[base]]++;
    return near->set_of[base];
}

static bool uses_stack(const struct insn *i)
{
    return i->opsize == 8 && (i->op == OP_PUSH || i->op == OP_POP || i->op == OP_CALL ||
                              i->op == OP_CALL_IND || i->op == OP_RET);
}

static void near_add(struct translation *t, struct near_registers *near, unsigned n)
{
    const struct insn *i = &t->insns[n];
    unsigned bytes;
    bool write;
    if (is_by_base(i) && operand_of(t, i, &bytes, &write))
        near->of[n] = near_set(near, i->base);
    if (!uses_stack(i))
        return;
    near->of_stack[n] = near_set(near, RSP);
    bool runs = n && uses_stack(i - 1) && !i->mem && !i[-1].mem; /* asks once for both */
    near->members[near->of_stack[n]] -= runs;
}

/* The operands that are at one distance become groups if there are several. */
static void near_finish(struct translation *t, const struct near_registers *near)
{
    uint8_t group[SETS_MAX + 1];
    memset(group, NO_GROUP, sizeof(group));
    for (unsigned k = 1; k <= near->count && t->group_count < GROUPS_MAX; k++)
        if (near->members[k] > 1) {
            t->groups[t->group_count] = (struct group){0};
            group[k] = (uint8_t)t->group_count++;
        }
    for (unsigned n = 0; n < t->count; n++) {
        if (near->of[n])
            t->group_of[n] = group[near->of[n]];
        if (near->of_stack[n])
            t->group_of_stack[n] = group[near->of_stack[n]];
    }
}

struct group *group_in_window(struct translation *t, const struct insn *i)
{
    bool own = i == &t->insns[t->at];
    unsigned number = own                            ? t->group_of[t->at]
                      : uses_stack(&t->insns[t->at]) ? t->group_of_stack[t->at]
                                                     : NO_GROUP;
    return number == NO_GROUP ? NULL : &t->groups[number];
}

/* ---- both ---- */

void groups_find(struct translation *t)
{
    struct candidate list[CANDIDATES] = {{0}};
    struct near_registers near = {.count = 0};
    unsigned next = 0, offset = (unsigned)(t->block->gpa & 0xfff);
    t->group_count = 0;
    memset(t->group_of, NO_GROUP, sizeof(t->group_of));
    memset(t->group_of_stack, NO_GROUP, sizeof(t->group_of_stack));
    bool by_distance = t->windowed && t->insns[0].code_bits == 64;
    if (t->pinned || (t->windowed && !by_distance))
        return;
    for (unsigned n = 0; n < t->count; n++) {
        const struct insn *i = &t->insns[n];
        offset += i->length;
        if (by_distance)
            near_add(t, &near, n);
        if (!(t->block->ungrouped >> n & 1) && !(by_distance && is_by_base(i)))
            add(t, list, &next, i, n, displacement(i, offset));
        unsigned mask = changed(i);
        if (by_distance)
            near_note(&near, i, mask);
        for (unsigned k = 0; mask && k < CANDIDATES; k++)
            if (mask == ANY || (list[k].base < 16 && mask >> list[k].base & 1) ||
                (list[k].index < 16 && mask >> list[k].index & 1))
                list[k].closed = true;
    }
    near_finish(t, &near);
    for (unsigned k = 0; k < CANDIDATES; k++)
        finish(t, &list[k]);
}

struct group *group_of(struct translation *t, const struct insn *i, unsigned bytes, bool write)
{
    unsigned number = t->group_of[t->at];
    if (number == NO_GROUP || i != &t->insns[t->at])
        return NULL;
    struct group *g = &t->groups[number];
    int64_t low = displacement(i, t->offset);
    bool fits = low >= g->low && low + bytes <= g->low + g->bytes && (!write || g->write);
    return fits && (g->open || g->leader == t->at) ? g : NULL;
}

void groups_close(struct translation *t)
{
    for (unsigned n = 0; n < t->group_count; n++)
        t->groups[n].open = false;
}
