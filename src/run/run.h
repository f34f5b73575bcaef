/* SPDX-License-Identifier: MIT */
/* run.h - run control, for src/api: what must be set up around the loop in dispatch.c. */
#ifndef RUN_RUN_H
#define RUN_RUN_H

#include "board/machine.h"

/* control.c */
int run_init(struct weir *vm);            /* locks; fails without leaving anything behind */
void run_time_over(void *vm);             /* weir_set_time_exit; from its timer */
void run_connect(struct weir *vm);        /* hooks of the buses, once they exist */
void run_connect_timers(struct weir *vm); /* once the I/O thread runs */
void run_fini(struct weir *vm);
/* Puts everything into its power-on state and loads what boots; vCPU stopped or its own thread.
 */
int run_machine_reset(struct weir *vm);
void run_emit(struct weir *vm, enum weir_machine_event event, bool from_guest);
/* weir_run returns with WEIR_EXIT_STOPPED at the next boundary. */
void run_request_stop(struct weir *vm);
/* vCPU thread, device lock not held: handles everything but interrupts that `attention` asks
 * for. True: weir_run must return with *exit. */
bool run_take_requests(struct weir *vm, struct weir_exit *exit);
/* Tells a ROM that counts the vCPU's time. */
static inline void run_activity(struct vcpu *c, enum vcpu_activity now)
{
    if (c->rom)
        c->rom->activity(c, now);
}
/* dispatch.c: runs until an exit; *exit holds the previous one on entry (answers to reads). */
void run_loop(struct weir *vm, uint64_t budget, struct weir_exit *exit);
/* What c->exit says about an access. */
void run_exit_access(const struct vcpu *c, struct weir_exit *exit);
/* Waits until attention is set, at most for the given time (UINT64_MAX: without end). Returns how
 * long it was, exactly `limit_ns` if nothing happened. */
uint64_t run_wait(struct vcpu *c, uint64_t limit_ns);

/* Makes weir_run return with WEIR_EXIT_DEBUG_EXIT and this status. */
void run_exit(struct weir *vm, int status);

#endif
