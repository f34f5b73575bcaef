/* SPDX-License-Identifier: MIT */
/* api.h - what the files behind the public headers share. */
#ifndef API_API_H
#define API_API_H

#include "board/machine.h"

static inline struct vcpu *vcpu_of(weir_vcpu *cpu)
{
    return (struct vcpu *)cpu;
}

/* jit.c: the topic */
void info_jit(weir *vm, struct weir_text *out);

#endif
