/* SPDX-License-Identifier: MIT */
/*
 * plan.c - see plan.h. A line is a blank, the action's name, its arguments:
 *
 *    ---- 0000000000401000 0000000000000041      the instruction there, flags needed from here on
 *    save_flags | drop_flags | restore_flags
 *    check_slot $0x12,read,8                     memory operand: slot number, access, bytes
 *    check_page write,4
 *    group $0x0,read,4                           what the leader of group 0 checked holds
 *    bail a                                      on that condition: the interpreter
 *    copy ADD,r10=home,mem=t1                    the same instruction, operands renamed
 *    make CALL                                   a sequence instead of it
 *    call WRMSR                                  the interpreter's function
 *    link $0x401040                              direct jump, patched once there is code
 *    jump_slots                                  jump by the cache of targets
 */
#include "jit/plan.h"

#include "jit/view.h"

void plan_add(struct translation *t, enum plan_kind kind, int64_t value)
{
    struct plan *p = t->plan;
    if (p->count == PLAN_MAX)
        return;
    p->actions[p->count++] = (struct action){.kind = (uint8_t)kind,
                                             .at = (uint8_t)t->at,
                                             .code = (uint32_t)(t->as.p - t->begin),
                                             .value = value};
}

uint64_t plan_address(const struct translation *t, uint64_t linear, unsigned at)
{
    for (unsigned n = 0; n < at; n++)
        linear += t->insns[n].length;
    return linear & t->c->linear_mask;
}

static void put_flags(struct weir_text *out, int64_t flags)
{
    static const char *const names[8] = {"cf", NULL, "pf", "of", "af", NULL, "zf", "sf"};
    const char *comma = "";
    for (unsigned k = 0; k < 8; k++) {
        if (!names[k] || !(flags >> k & 1))
            continue;
        weir_textf(out, "%s%s", comma, names[k]);
        comma = ",";
    }
    weir_textf(out, "%s\n", *comma ? "" : "none");
}

static void put_access(struct weir_text *out, const char *name, int64_t value)
{
    weir_textf(out, " %s ", name);
    if (value >> 16)
        weir_textf(out, "$0x%llx,", (unsigned long long)(value >> 16) - 1);
    weir_textf(out, "%s,%u\n", value >> 8 & 1 ? "write" : "read", (unsigned)value & 0xff);
}

/* Operands that are elsewhere than in the host register of the same name. */
static void put_renamed(struct weir_text *out, const struct insn *i)
{
    struct operand o;
    weir_textf(out, " copy %s", op_name(i->op));
    for (unsigned k = 0; insn_operand(i, k, &o); k++) {
        if (o.regs != REGS_GPR || o.reg >= 16)
            continue;
        if (host_reg(o.reg) == SPILLED)
            weir_textf(out, ",r%u=home", o.reg);
        else if (o.reg == 4)
            weir_textf(out, ",rsp=r9");
    }
    weir_textf(out, "%s\n", i->mem && i->op != OP_LEA && i->op != OP_NOP ? ",mem=t1" : "");
}

static void put_action(const struct translation *t, const struct action *k, uint64_t linear,
                       struct weir_text *out)
{
    static const char *const levels[] = {"none", "sse", "avx", "avx512"};
    static const char *const conditions[] = {"o", "no", "b", "ae", "e", "ne", "be", "a",
                                             "s", "ns", "p", "np", "l", "ge", "le", "g"};
    const struct insn *i = &t->insns[k->at];
    switch ((enum plan_kind)k->kind) {
    case PLAN_INSN:
        weir_textf(out, "\n ---- %016llx %016llx\n",
                   (unsigned long long)plan_address(t, linear, k->at),
                   (unsigned long long)k->value);
        break;
    case PLAN_ENTRY:
        weir_textf(out, " entry_flags ");
        put_flags(out, k->value);
        break;
    case PLAN_FPU:
        weir_textf(out, " need_fpu %s%s\n", levels[k->value & 3], k->value & 4 ? ",x87" : "");
        break;
    case PLAN_COUNT:
        weir_textf(out, " count $0x%llx\n", (unsigned long long)k->value);
        break;
    case PLAN_SAVE:
        weir_textf(out, " save_flags\n");
        break;
    case PLAN_DROP:
        weir_textf(out, " drop_flags\n");
        break;
    case PLAN_RESTORE:
        weir_textf(out, " restore_flags\n");
        break;
    case PLAN_SLOT:
        put_access(out, "check_slot", k->value + (1 << 16));
        break;
    case PLAN_PAGE:
        put_access(out, "check_page", k->value);
        break;
    case PLAN_WINDOW:
        put_access(out, "window", k->value);
        break;
    case PLAN_GROUP:
        put_access(out, "group", k->value + (1 << 16));
        break;
    case PLAN_BAIL:
        weir_textf(out, " bail %s\n", conditions[k->value & 15]);
        break;
    case PLAN_COPY:
        put_renamed(out, i);
        break;
    case PLAN_MAKE:
        weir_textf(out, " make %s\n", op_name(i->op));
        break;
    case PLAN_CALL:
        weir_textf(out, " call %s\n", op_name(i->op));
        break;
    case PLAN_LINK:
        weir_textf(
            out, " link $0x%llx\n",
            (unsigned long long)((linear - (t->block->gpa & 0xfff) + (uint64_t)k->value) &
                                 t->c->linear_mask));
        break;
    case PLAN_SLOTS:
        weir_textf(out, " jump_slots\n");
        break;
    case PLAN_COLD:
        break;
    }
}

void plan_text(const struct translation *t, uint64_t linear, struct weir_text *out)
{
    const struct action *all = t->plan->actions;
    unsigned count = t->plan->count;
    for (unsigned n = 0; n < count; n++) {
        if (all[n].kind != PLAN_MAKE)
            put_action(t, &all[n], linear, out);
        if (all[n].kind != PLAN_INSN)
            continue;
        for (unsigned k = n; k < count && all[k].at == all[n].at; k++)
            if (all[k].kind == PLAN_MAKE) /* recorded last, said first */
                put_action(t, &all[k], linear, out);
    }
    if (t->plan->count == PLAN_MAX)
        weir_textf(out, " ...\n");
}

void plan_interpreted(const struct insn *i, uint64_t linear, struct weir_text *out)
{
    weir_textf(out, "\n ---- %016llx %016llx\n interpret %s\n", (unsigned long long)linear,
               0ull, op_name(i->op));
}
