/* SPDX-License-Identifier: MIT */
/* event_ops.c - events of single operations: their payloads, and what answers mean to them. */
#include "cpu/events.h"
#include "cpu/interp/operands.h"
#include "cpu/seg.h"

#define BIT_OF(kind) (1u << WEIR_EV_##kind)

uint32_t event_kinds(const struct insn *i)
{
    switch (i->op) {
    case OP_CPUID:
        return BIT_OF(CPUID);
    case OP_RDTSC:
    case OP_RDTSCP:
        return BIT_OF(RDTSC);
    case OP_IN:
    case OP_OUT:
    case OP_INS:
    case OP_OUTS:
        return BIT_OF(IO);
    case OP_MOV_CR:
        return i->opcode == 0x22 ? BIT_OF(CONTROL) | BIT_OF(CR3) | BIT_OF(STEP) : 0;
    case OP_LMSW:
    case OP_CLTS:
    case OP_XSETBV:
        return BIT_OF(CONTROL);
    case OP_RDMSR:
    case OP_WRMSR:
        return BIT_OF(MSR);
    case OP_LGDT:
    case OP_LIDT:
    case OP_LLDT:
    case OP_LTR:
    case OP_SGDT:
    case OP_SIDT:
    case OP_SLDT:
    case OP_STR:
        return BIT_OF(TABLE);
    case OP_UD1:
        return BIT_OF(HOSTCALL);
    case OP_INVLPG:
    case OP_INVPCID:
        return BIT_OF(INVLPG);
    case OP_SYSCALL:
    case OP_SYSENTER:
        return BIT_OF(SYSCALL) | BIT_OF(SYSRET) | BIT_OF(STEP);
    case OP_SYSRET:
    case OP_SYSEXIT:
        return BIT_OF(SYSRET) | BIT_OF(STEP);
    case OP_IRET:
        return BIT_OF(SYSRET) | BIT_OF(TASK) | BIT_OF(STEP);
    case OP_INT:
        return BIT_OF(INTERRUPT) | BIT_OF(SYSCALL) | BIT_OF(SYSRET) | BIT_OF(TASK) |
               BIT_OF(STEP);
    case OP_INT1:
    case OP_INT3:
    case OP_INTO:
        return BIT_OF(INTERRUPT) | BIT_OF(STEP);
    case OP_JMPF:
    case OP_JMPF_IND:
    case OP_CALLF:
    case OP_CALLF_IND:
    case OP_RETF:
        return BIT_OF(TASK) | BIT_OF(STEP);
    default:
        return 0;
    }
}

enum weir_stop event_give_up(struct vcpu *c, const struct insn *i)
{
    c->fault = (struct x86_fault){.kind = FAULT_EVENT};
    return stop_insn(c, i, STOP_FAULT);
}

/* ---- registers of control ---- */

bool event_control(struct vcpu *c, unsigned number, uint64_t old, uint64_t *value,
                   bool *dropped)
{
    struct weir_control_event e = {.number = number, .old = old, .value = *value};
    unsigned response;
    *dropped = false;
    if (event_here(c, WEIR_EV_CONTROL)) {
        if (!event_raise(c, WEIR_EV_CONTROL, &e.head, &response))
            return false;
        if (response & WEIR_SUPPLY)
            *value = e.value;
        *dropped = response & WEIR_NO_WRITE;
    }
    bool switches = number == 3 && (old ^ *value) << 1 >> 13 && !*dropped;
    return !switches || !event_here(c, WEIR_EV_CR3) || event_cr3(c, old, *value);
}

bool event_cr3(struct vcpu *c, uint64_t old, uint64_t value)
{
    struct weir_cr3_event e = {.old = old, .value = value};
    unsigned response;
    return event_raise(c, WEIR_EV_CR3, &e.head, &response);
}

bool event_msr(struct vcpu *c, uint32_t number, bool write, uint64_t old, uint64_t *value,
               bool *dropped)
{
    struct weir_msr_event e = {.number = number, .write = write, .old = old, .value = *value};
    unsigned response;
    *dropped = false;
    if (!event_here(c, WEIR_EV_MSR))
        return true;
    if (!event_raise(c, WEIR_EV_MSR, &e.head, &response))
        return false;
    if (response & WEIR_SUPPLY)
        *value = e.value;
    *dropped = response & WEIR_NO_WRITE;
    return true;
}

bool event_table(struct vcpu *c, unsigned table, bool write, uint64_t base, uint32_t limit,
                 uint16_t selector, bool *dropped)
{
    struct weir_table_event e = {
        .write = write, .base = base, .limit = limit, .selector = selector};
    unsigned response;
    memcpy(&e.table, &table, sizeof(e.table));
    *dropped = false;
    if (!event_here(c, WEIR_EV_TABLE))
        return true;
    if (!event_raise(c, WEIR_EV_TABLE, &e.head, &response))
        return false;
    *dropped = response & WEIR_NO_WRITE;
    return true;
}

/* ---- what instructions give ---- */

bool event_cpuid(struct vcpu *c, uint32_t leaf, uint32_t subleaf, uint32_t value[4])
{
    struct weir_cpuid_event e = {.leaf = leaf, .subleaf = subleaf};
    unsigned response;
    if (!event_here(c, WEIR_EV_CPUID))
        return true;
    memcpy(e.value, value, sizeof(e.value));
    if (!event_raise(c, WEIR_EV_CPUID, &e.head, &response))
        return false;
    if (response & WEIR_SUPPLY)
        memcpy(value, e.value, sizeof(e.value));
    return true;
}

bool event_rdtsc(struct vcpu *c, uint64_t *value, bool rdtscp)
{
    struct weir_rdtsc_event e = {.value = *value, .rdtscp = rdtscp};
    unsigned response;
    if (!event_here(c, WEIR_EV_RDTSC))
        return true;
    if (!event_raise(c, WEIR_EV_RDTSC, &e.head, &response))
        return false;
    if (response & WEIR_SUPPLY)
        *value = e.value;
    return true;
}

bool event_io(struct vcpu *c, unsigned port, unsigned size, bool write, bool string,
              uint64_t *value, bool *settled)
{
    struct weir_io_event e = {.port = (uint16_t)port,
                              .size = (uint8_t)size,
                              .write = write,
                              .string = string,
                              .value = write ? (uint32_t)*value : 0};
    unsigned response;
    *settled = false;
    if (!event_here(c, WEIR_EV_IO))
        return true;
    if (!event_raise(c, WEIR_EV_IO, &e.head, &response))
        return false;
    if (response & WEIR_SUPPLY)
        *value = e.value;
    *settled = response & (write ? WEIR_NO_WRITE : WEIR_SUPPLY);
    return true;
}

bool event_invlpg_raise(struct vcpu *c, int type, uint64_t linear, unsigned pcid)
{
    struct weir_invlpg_event e = {.type = type, .gva = linear, .pcid = (uint16_t)pcid};
    unsigned response;
    return event_raise(c, WEIR_EV_INVLPG, &e.head, &response);
}

bool event_task(struct vcpu *c, uint16_t from, uint16_t to)
{
    struct weir_task_event e = {.from = from, .to = to};
    unsigned response;
    return !event_armed(c, WEIR_EV_TASK) || event_raise(c, WEIR_EV_TASK, &e.head, &response);
}

/* ---- system calls ---- */

bool event_syscall(struct vcpu *c, unsigned how)
{
    static const uint8_t wide[6] = {RDI, RSI, RDX, R10, R8, R9};
    static const uint8_t narrow[6] = {RBX, RCX, RDX, RSI, RDI, RBP};
    struct weir_syscall_event e = {.number = c->gpr[RAX],
                                   .is_64bit = how == WEIR_SYS_SYSCALL && cpu_is_64bit(c)};
    unsigned response;
    memcpy(&e.how, &how, sizeof(e.how));
    for (unsigned n = 0; n < 6; n++)
        e.argument[n] = e.is_64bit ? c->gpr[wide[n]] : (uint32_t)c->gpr[narrow[n]];
    if (!e.is_64bit)
        e.number = (uint32_t)e.number;
    return event_raise(c, WEIR_EV_SYSCALL, &e.head, &response);
}

void event_sysret(struct vcpu *c)
{
    if (!event_here(c, WEIR_EV_SYSRET) || c->cpl != 3)
        return;
    c->ev.in_place++;
    c->ev.hooks->returned(c);
    c->ev.verdict = VERDICT_NONE;
    c->ev.in_place--;
}

/* ---- deliveries ---- */

static unsigned type_of(const struct x86_fault *f)
{
    switch (f->kind) {
    case FAULT_SOFTWARE_INT:
        return WEIR_INT_SOFTWARE;
    case FAULT_INT3_INTO:
    case FAULT_ICEBP:
        return WEIR_INT_BREAK;
    case FAULT_EXTERNAL:
        return WEIR_INT_EXTERNAL;
    case FAULT_NMI:
        return WEIR_INT_NMI;
    default:
        return WEIR_INT_EXCEPTION;
    }
}

bool event_interrupt(struct vcpu *c, struct x86_fault *f)
{
    unsigned type = type_of(f), response;
    struct weir_interrupt_event e = {.vector = f->vector,
                                     .has_error = f->has_error,
                                     .error = f->error,
                                     .address = f->address};
    memcpy(&e.type, &type, sizeof(e.type));
    struct x86_fault saved = *f;
    if (event_raise(c, WEIR_EV_INTERRUPT, &e.head, &response)) {
        *f = saved;
        return true;
    }
    if (c->ev.inside || c->ev.verdict != VERDICT_FAULT)
        return false;
    *f = c->fault; /* another one instead; it is not asked about again */
    return true;
}
