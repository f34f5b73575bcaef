/* SPDX-License-Identifier: MIT */
/* step_log.h - "-d step": every instruction that was executed, and the registers it changed. */
#ifndef DEBUG_STEP_LOG_H
#define DEBUG_STEP_LOG_H

#include "base/log.h"

struct step_log;

/* Starts it, from any thread; NULL when it cannot. */
struct step_log *step_log_start(weir *vm, struct log *log);
/* Ends it; NULL is allowed. */
void step_log_end(weir *vm, struct step_log *s);

#endif
