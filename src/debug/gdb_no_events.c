/* SPDX-License-Identifier: MIT */
/* gdb_no_events.c - until introspect.h is there: no steps, no breakpoints. */
#include "debug/gdb_session.h"

#include <errno.h>

void gdb_drop_steps(struct gdb_session *s) {}
int gdb_arm_step(struct gdb_session *s, unsigned vcpu, const struct gdb_action *a)
{
    return -WEIR_EUNSUPPORTED;
}
void gdb_point_packet(struct gdb_session *s, const char *p, bool insert)
{
    gdb_error(s, ENOTSUP);
}
void gdb_points_clear(struct gdb_session *s) {}
