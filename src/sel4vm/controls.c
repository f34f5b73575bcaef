/* SPDX-License-Identifier: MIT */
/*
 * controls.c - what ends an entry without the guest's doing: the preemption timer, the monitor trap
 * flag, NMIs and their window (SDM Vol. 3 25.5.1, 26.5.2, 26.7.13).
 *
 * The timer counts the TSC (1 GHz here) divided by 32, by an exit of the machine at a time. The
 * trap flag is a step (weir/introspect.h). Both end an entry that injects something, if they are to
 * end it at once, behind the delivery and before the handler's first instruction.
 */
#include "sel4vm/internal.h"
#include <weir/introspect.h>

#define TIMER_SHIFT 5 /* nanoseconds of the TSC: IA32_VMX_MISC bits 4:0 */

bool controls_possible(const guest_state_t *gs)
{
    uint64_t pin = gs->pin;
    if (pin & VMX_CONTROL_PIN_VIRTUAL_NMIS && !(pin & VMX_CONTROL_PIN_NMI_EXITING))
        return false;
    if (gs->ppc & VMX_CONTROL_PPC_NMI_WINDOW && !(pin & VMX_CONTROL_PIN_VIRTUAL_NMIS))
        return false;
    return !(gs->exit_controls & VMX_CONTROL_EXIT_SAVE_TIMER) ||
           pin & VMX_CONTROL_PIN_PREEMPTION_TIMER;
}

static unsigned on_delivery(void *ctx, weir_vcpu *cpu, struct weir_interrupt_event *event)
{
    (void)ctx, (void)cpu, (void)event;
    return WEIR_STOP | WEIR_REMOVE;
}

bool controls_arm(guest_state_t *gs, bool injects, unsigned *reason)
{
    weir *w = gs->machine->weir;
    bool timer = gs->pin & VMX_CONTROL_PIN_PREEMPTION_TIMER;
    bool step = gs->ppc & VMX_CONTROL_PPC_MONITOR_TRAP_FLAG;
    if (gs->owed) /* weir_run ends at once */
        return true;
    bool over = timer && !gs->timer;
    gs->stop_reason = step ? EXIT_REASON_MONITOR_TRAP_FLAG : over ? EXIT_REASON_VMX_TIMER : 0;
    weir_set_nmi_exits(w, gs->pin & VMX_CONTROL_PIN_NMI_EXITING);
    weir_set_nmi_window_exit(w, gs->ppc & VMX_CONTROL_PPC_NMI_WINDOW);
    weir_set_time_exit(w, timer ? gs->timer << TIMER_SHIFT : 0);
    if (over && !injects && !step) {
        *reason = EXIT_REASON_VMX_TIMER;
        return false;
    }
    const struct weir_step one = {.flags = WEIR_STEP_STOP | WEIR_STEP_END_ONLY |
                                           WEIR_STEP_INTERRUPTS | WEIR_STEP_REP,
                                  .count = 1};
    if (injects && gs->stop_reason)
        weir_on_interrupt(w, NULL, on_delivery, NULL, &gs->delivery);
    else if (step)
        weir_step(gs->machine->cpu, &one, NULL, NULL, &gs->step);
    return true;
}

void controls_disarm(guest_state_t *gs)
{
    weir *w = gs->machine->weir;
    bool ours = gs->owed;
    if (gs->exit_controls & VMX_CONTROL_EXIT_SAVE_TIMER)
        gs->timer = weir_time_left(w) >> TIMER_SHIFT;
    weir_set_time_exit(w, 0);
    if (gs->step)
        ours |= weir_event_remove(w, gs->step) < 0;
    if (gs->delivery)
        ours |= weir_event_remove(w, gs->delivery) < 0;
    gs->step = gs->delivery = 0;
    gs->owed = ours && gs->last.reason == WEIR_EXIT_QUIT;
    if (!ours) /* a handler of the program's own has stopped the machine */
        gs->stop_reason = 0;
}
