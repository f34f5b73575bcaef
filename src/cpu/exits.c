/* SPDX-License-Identifier: MIT */
/*
 * exits.c - instructions and exceptions that end the run before they take effect, for an embedder
 * that carries them out itself. All of these instructions are executed by the interpreter's
 * functions in either engine, by run_any (interp/bind.c), so that is where they are caught.
 *
 * Faults that depend on privilege come first, as with a processor's intercepts.
 */
#include "cpu/access.h"
#include "cpu/cpu.h"
#include "cpu/interp/blocks.h"
#include "cpu/interp/operands.h"

/* weir_insn_kind of an operation that is always of one kind; whether CPL must be 0. */
static int kind_of(const struct insn *i, bool *privileged)
{
    *privileged = true;
    switch (i->op) {
    case OP_VIRT:
        *privileged = false;
        return i->opcode == 0x01 && i->modrm == 0xc1 ? WEIR_INSN_VMCALL : -1;
    case OP_CPUID:
        *privileged = false;
        return WEIR_INSN_CPUID;
    case OP_RDTSC:
    case OP_RDTSCP:
        *privileged = false;
        return WEIR_INSN_RDTSC;
    case OP_RDPMC:
        *privileged = false;
        return WEIR_INSN_RDPMC;
    case OP_IN:
    case OP_INS:
        *privileged = false;
        return WEIR_INSN_IN;
    case OP_OUT:
    case OP_OUTS:
        *privileged = false;
        return WEIR_INSN_OUT;
    case OP_HLT:
        return WEIR_INSN_HLT;
    case OP_RDMSR:
        return WEIR_INSN_RDMSR;
    case OP_WRMSR:
        return WEIR_INSN_WRMSR;
    case OP_INVLPG:
        return WEIR_INSN_INVLPG;
    case OP_INVPCID:
        return WEIR_INSN_INVPCID;
    case OP_INVD:
        return WEIR_INSN_INVD;
    case OP_WBINVD:
        return WEIR_INSN_WBINVD;
    case OP_XSETBV:
        return WEIR_INSN_XSETBV;
    case OP_MONITOR:
        return WEIR_INSN_MONITOR;
    case OP_MWAIT:
        return WEIR_INSN_MWAIT;
    case OP_MOV_DR:
        return i->opcode == 0x21 ? WEIR_INSN_READ_DR : WEIR_INSN_WRITE_DR;
    case OP_CLTS:
        return WEIR_INSN_CLTS;
    case OP_LMSW:
        return WEIR_INSN_LMSW;
    case OP_MOV_CR:
        if (i->reg == 3)
            return i->opcode == 0x20 ? WEIR_INSN_READ_CR3 : WEIR_INSN_WRITE_CR3;
        return i->opcode == 0x22 && (i->reg == 0 || i->reg == 4) ? WEIR_INSN_WRITE_CR : -1;
    default:
        return -1;
    }
}

static bool guard_differs(const struct vcpu *c, unsigned k, uint64_t value)
{
    return (value ^ c->cr_guard[k].shadow) & c->cr_guard[k].mask;
}

/* Instructions that write CR0 or CR4: whether a bit would change that is not the guest's. */
static bool guarded(struct vcpu *c, const struct insn *i, unsigned kind, uint64_t *value)
{
    uint64_t shadow = c->cr_guard[0].shadow;
    switch (kind) {
    case WEIR_INSN_WRITE_CR:
        return guard_differs(c, i->reg == 4, *value);
    case WEIR_INSN_CLTS:
        return guard_differs(c, 0, shadow & ~(uint64_t)CR0_TS);
    default: /* LMSW: MP, EM, TS are loaded, PE can only be set */
        return guard_differs(c, 0, (shadow & ~0xeull) | (*value & 0xf));
    }
}

static void describe_port(struct vcpu *c, const struct insn *i, struct weir_exit *e)
{
    bool string = i->op == OP_INS || i->op == OP_OUTS;
    e->insn.is_string = string;
    e->insn.is_rep = string && (i->prefixes & (PFX_REP | PFX_REPNE));
    e->insn.is_immediate = !string && i->opcode < 0xe8;
    e->insn.size_bytes = i->opsize > 4 ? 4 : i->opsize;
    e->insn.number = e->insn.is_immediate ? (uint8_t)i->imm : (uint16_t)c->gpr[RDX];
    if (string)
        e->insn.gva = i->op == OP_INS ? c->segc[SEG_ES].base + c->gpr[RDI]
                                      : c->segc[i->seg].base + c->gpr[RSI];
    e->insn.gva &= c->linear_mask;
}

/* False: c->fault. */
static bool describe(struct vcpu *c, const struct insn *i, unsigned kind, struct weir_exit *e)
{
    unsigned size = cpu_is_64bit(c) ? 8 : 4;
    e->insn.kind = kind;
    e->insn.instruction_bytes = i->length;
    switch (kind) {
    case WEIR_INSN_IN:
    case WEIR_INSN_OUT:
        describe_port(c, i, e);
        return io_permitted(c, e->insn.number, e->insn.size_bytes);
    case WEIR_INSN_RDMSR:
    case WEIR_INSN_WRMSR:
    case WEIR_INSN_RDPMC:
        e->insn.number = (uint32_t)c->gpr[RCX];
        return true;
    case WEIR_INSN_INVLPG:
        e->insn.value = (c->segc[i->seg].base + insn_offset(c, i)) & c->linear_mask;
        return true;
    case WEIR_INSN_READ_CR3:
    case WEIR_INSN_WRITE_CR3:
    case WEIR_INSN_READ_DR:
    case WEIR_INSN_WRITE_DR:
    case WEIR_INSN_WRITE_CR:
        e->insn.number = i->reg;
        e->insn.reg = i->rm;
        e->insn.value = reg_get(c, i->rm, size);
        return true;
    case WEIR_INSN_LMSW:
        e->insn.is_memory = i->mem;
        if (i->mem)
            e->insn.gva = (c->segc[i->seg].base + insn_offset(c, i)) & c->linear_mask;
        return rm_load(c, i, 2, &e->insn.value);
    default:
        return true;
    }
}

enum weir_stop exits_before(struct vcpu *c, const struct insn *i)
{
    bool privileged;
    int kind = kind_of(i, &privileged);
    if (kind < 0 || (privileged && c->cpl))
        return STOP_NEXT;
    bool by_mask = kind >= WEIR_INSN_WRITE_CR;
    if (!by_mask && !(c->insn_exits >> kind & 1))
        return STOP_NEXT;
    if (c->pass_insn && c->pass_rip == c->rip - i->length) {
        c->pass_insn = false;
        return STOP_NEXT;
    }
    struct weir_exit e = {0};
    if (!describe(c, i, (unsigned)kind, &e))
        return c->fault.kind == FAULT_RETRY ? STOP_RETRY : STOP_FAULT;
    if (by_mask && !guarded(c, i, (unsigned)kind, &e.insn.value))
        return STOP_NEXT;
    c->insn_exit.insn = e.insn;
    c->exit.reason = WEIR_EXIT_INSN;
    c->exit.pending = false;
    return STOP_RETRY;
}

bool exits_exception(struct vcpu *c, const struct x86_fault *f, unsigned insn_bytes)
{
    bool software = f->kind == FAULT_INT3_INTO || f->kind == FAULT_ICEBP;
    if ((f->kind != FAULT_EXCEPTION && !software) || f->vector >= 32 ||
        !(c->exception_exits >> f->vector & 1))
        return false;
    c->insn_exit.exception.vector = f->vector;
    c->insn_exit.exception.has_error = f->has_error;
    c->insn_exit.exception.error = f->error;
    c->insn_exit.exception.address = f->address;
    c->insn_exit.exception.dr6_bits = f->dr6_bits;
    c->insn_exit.exception.instruction_bytes = (uint8_t)insn_bytes;
    c->insn_exit.exception.is_software = software;
    c->exit.reason = WEIR_EXIT_EXCEPTION;
    c->exit.pending = false;
    return true;
}

unsigned exits_insn_bytes(const struct vcpu *c)
{
    const struct insn *i = blocks_current(c);
    return i ? i->length : c->insn_bytes;
}
