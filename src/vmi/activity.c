/* SPDX-License-Identifier: MIT */
/* activity.c - see activity.h. */
#include "vmi/activity.h"

/* Of the time since the last sample, what the thread did not get. */
static uint64_t taken(const struct activity *a, uint64_t now_ns, uint64_t used_ns)
{
    uint64_t passed = now_ns > a->sampled_ns ? now_ns - a->sampled_ns : 0;
    uint64_t used = used_ns > a->used_ns ? used_ns - a->used_ns : 0;
    if (a->state == ACTIVITY_READY)
        return passed;
    if (a->state == ACTIVITY_HALTED || (!used_ns && !a->used_ns))
        return 0;
    return passed > used ? passed - used : 0;
}

void activity_sample(struct activity *a, uint64_t now_ns, uint64_t used_ns)
{
    a->stolen_ns += taken(a, now_ns, used_ns);
    a->sampled_ns = now_ns;
    a->used_ns = used_ns;
}

void activity_enter(struct activity *a, enum activity_state state, uint64_t now_ns,
                    uint64_t used_ns)
{
    activity_sample(a, now_ns, used_ns);
    a->state = state;
    a->since_ns = now_ns;
}
