/* SPDX-License-Identifier: MIT */
/*
 * activity.h - where a vCPU's time went, as VMI's counters tell it apart:
 *
 *   running, halted      available: the kernel did with it what it wanted
 *   ready                stolen: it wanted to run and did not
 *
 * real = available + stolen, always. Time is given in; while the machine stands still it does, too.
 */
#ifndef VMI_ACTIVITY_H
#define VMI_ACTIVITY_H

#include <stdbool.h>
#include <stdint.h>

enum activity_state { ACTIVITY_RUNNING, ACTIVITY_HALTED, ACTIVITY_READY };

struct activity {
    enum activity_state state;
    uint64_t since_ns; /* in this state */
    uint64_t stolen_ns;
    uint64_t used_ns; /* host CPU time of the thread at sampled_ns */
    uint64_t sampled_ns;
};

/* `used_ns`: host CPU time of the vCPU's thread so far; 0 throughout: not known, nothing is taken
 * from it while it runs. */
void activity_enter(struct activity *a, enum activity_state state, uint64_t now_ns,
                    uint64_t used_ns);
/* Charges what has passed. */
void activity_sample(struct activity *a, uint64_t now_ns, uint64_t used_ns);
/* As of the last of either. */
static inline uint64_t activity_stolen(const struct activity *a)
{
    return a->stolen_ns;
}

#endif
