/* SPDX-License-Identifier: MIT */
/* crash_guard.h - calls a function that may crash or hang, and goes on. */
#ifndef TESTS_DIFF_CRASH_GUARD_H
#define TESTS_DIFF_CRASH_GUARD_H

/* Before an engine installs signal handlers of its own, which hand on to these. */
void crash_guard_init(void);
/* 0, or the signal that ended fn; SIGVTALRM after `ms` of CPU time. What fn was at is left as it
 * is. */
int crash_guard(void (*fn)(void *argument), void *argument, unsigned ms);

#endif
