/* SPDX-License-Identifier: MIT */
/*
 * context.c - state that is set from outside, while the vCPU stands still or from inside a
 * callback of the instruction that it executes.
 *
 * Nothing of struct vcpu is kept elsewhere while C runs, so a changed register is used at once, if
 * only the engine does not go on as it planned: a block's next instruction may be the wrong one
 * now. context_touch makes both engines leave behind the current instruction and look again.
 */
#include "cpu/control.h"
#include "cpu/interp/blocks.h"
#include "cpu/seg.h"

void context_leave(struct vcpu *c)
{
    if (c->touched)
        return;
    c->touched = true;
    blocks_leave(c);
    cpu_attention(c, ATTENTION_STOP);
}

void context_touch(struct vcpu *c, enum weir_reg reg)
{
    c->dirty[reg / 64u] |= BIT64(reg % 64u);
    context_leave(c);
    if (reg == WEIR_RIP)
        c->rip_set = true;
}

void context_used(struct vcpu *c)
{
    if (LIKELY(!c->touched))
        return;
    memset(c->dirty, 0, sizeof(c->dirty));
    c->touched = c->rip_set = false;
}
_Static_assert(WEIR_REG_COUNT <= 3 * 64, "a bit for each register");

bool context_control_ok(const struct vcpu *c, uint64_t cr0, uint64_t cr4, uint64_t efer,
                        uint64_t rflags)
{
    bool pe = cr0 & CR0_PE, pg = cr0 & CR0_PG, lma = efer & EFER_LMA;
    if (cr0 >> 32 || (pg && !pe) || ((cr0 & CR0_NW) && !(cr0 & CR0_CD)))
        return false;
    if ((cr4 & ~cr4_valid_bits(c)) || (efer & ~efer_valid_bits(c)))
        return false;
    if (lma != (pg && (efer & EFER_LME)) || (lma && !(cr4 & CR4_PAE)))
        return false;
    if ((cr4 & CR4_PCIDE) && !lma)
        return false;
    return !(rflags & FLAG_VM) || (pe && !lma);
}

bool context_injection_ok(const struct weir_injection *i)
{
    bool with_error = i->vector == VEC_DF || (i->vector >= VEC_TS && i->vector <= VEC_PF) ||
                      i->vector == VEC_AC;
    if (i->instruction_length > INSN_MAX_BYTES ||
        (i->has_error && !(i->kind == WEIR_INJECT_EXCEPTION && with_error)))
        return false;
    switch (i->kind) {
    case WEIR_INJECT_EXTERNAL:
    case WEIR_INJECT_SOFTWARE:
        return true;
    case WEIR_INJECT_NMI:
        return i->vector == VEC_NMI;
    case WEIR_INJECT_EXCEPTION:
        return i->vector < 32 && i->vector != VEC_NMI;
    case WEIR_INJECT_ICEBP:
        return i->vector == VEC_DB;
    case WEIR_INJECT_INT3_OR_INTO:
        return i->vector == VEC_BP || i->vector == VEC_OF;
    default:
        return false;
    }
}

/* INT n and the like: what goes wrong is a fault of the instruction at rip. */
static enum weir_stop deliver_software(struct vcpu *c, const struct x86_fault *event,
                                       unsigned length)
{
    c->rip += length;
    enum weir_stop stop = event_deliver(c, event);
    if (stop == STOP_FAULT)
        c->rip -= length;
    return stop == STOP_BOUNDARY ? stop : exception_deliver(c);
}

static enum weir_stop inject(struct vcpu *c)
{
    const struct weir_injection i = c->injection;
    struct x86_fault event = {.vector = i.vector, .has_error = i.has_error, .error = i.error};
    c->injection.pending = false;
    c->halted = c->monitor_armed = false;
    switch (i.kind) {
    case WEIR_INJECT_EXTERNAL:
    case WEIR_INJECT_NMI:
        return interrupt_deliver(c, i.vector, i.kind == WEIR_INJECT_NMI);
    case WEIR_INJECT_EXCEPTION:
        event.kind = FAULT_EXCEPTION;
        event.address = c->cr2;
        event.dr6_bits = c->dr[6] & 0xf;
        c->fault = event;
        return exception_deliver(c);
    case WEIR_INJECT_SOFTWARE:
        event.kind = FAULT_SOFTWARE_INT;
        break;
    case WEIR_INJECT_ICEBP:
        event.kind = FAULT_ICEBP;
        break;
    default:
        event.kind = FAULT_INT3_INTO;
        break;
    }
    return deliver_software(c, &event, i.instruction_length);
}

enum weir_stop context_deliver(struct vcpu *c)
{
    if (c->injection.pending) {
        uint32_t exits = c->exception_exits; /* what is injected is no exit */
        if (c->pending_dr6)                  /* behind the injected one */
            cpu_attention(c, ATTENTION_EVENT);
        if (c->injection.vector < 32)
            c->exception_exits &= ~BIT(c->injection.vector);
        enum weir_stop stop = inject(c);
        c->exception_exits = exits;
        return stop;
    }
    if (!c->pending_dr6 || (c->shadow & SHADOW_MOV_SS))
        return STOP_NEXT;
    c->fault = (struct x86_fault){.vector = VEC_DB, .dr6_bits = c->pending_dr6};
    c->pending_dr6 = 0;
    c->halted = false;
    return exception_deliver(c);
}
