/* SPDX-License-Identifier: MIT */
/* dump.h - register dumps to the log. */
#ifndef CPU_DUMP_H
#define CPU_DUMP_H

#include "cpu/cpu.h"

/* `head` (complete lines) and the dump behind it, as one piece of log. */
void cpu_dump_log(const struct vcpu *c, enum weir_log_item item, const char *head,
                  bool with_fpu, bool with_cc);

#endif
