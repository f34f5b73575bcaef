/* SPDX-License-Identifier: MIT */
/* context.c - the general registers by libsel4vm's numbers. */
#include "sel4vm/internal.h"

static const enum weir_reg registers[] = {
    WEIR_RAX, WEIR_RBX, WEIR_RCX, WEIR_RDX, WEIR_RSI, WEIR_RDI, WEIR_RBP, WEIR_R8,
    WEIR_R9,  WEIR_R10, WEIR_R11, WEIR_R12, WEIR_R13, WEIR_R14, WEIR_R15,
};
#define COUNT (sizeof(registers) / sizeof(registers[0]))
_Static_assert(sizeof(seL4_VCPUContext) == COUNT * sizeof(seL4_Word), "one word for each");

int vm_set_thread_context_reg(vm_vcpu_t *vcpu, vcpu_context_reg_t reg, seL4_Word value)
{
    if (!state_or_null(vcpu) || (unsigned)reg >= COUNT)
        return -1;
    return weir_reg_set_u64(cpu_of(vcpu), registers[reg], value) < 0 ? -1 : 0;
}

int(vm_get_thread_context_reg)(vm_vcpu_t *vcpu, vcpu_context_reg_t reg, seL4_Word *value)
{
    union weir_value v;
    if (!state_or_null(vcpu) || (unsigned)reg >= COUNT || !value ||
        weir_reg_get(cpu_of(vcpu), registers[reg], &v) < 0)
        return -1;
    *value = v.u64;
    return 0;
}

int vm_get_thread_context_reg_u32(vm_vcpu_t *vcpu, vcpu_context_reg_t reg, uint32_t *value)
{
    seL4_Word word;
    if (!value || (vm_get_thread_context_reg)(vcpu, reg, &word))
        return -1;
    *value = (uint32_t)word;
    return 0;
}

int vm_set_thread_context(vm_vcpu_t *vcpu, seL4_VCPUContext context)
{
    const seL4_Word *words = &context.eax;
    int rc = 0;
    for (unsigned n = 0; n < COUNT && rc == 0; n++)
        rc = vm_set_thread_context_reg(vcpu, (vcpu_context_reg_t)n, words[n]);
    return rc;
}

int vm_get_thread_context(vm_vcpu_t *vcpu, seL4_VCPUContext *context)
{
    seL4_VCPUContext got;
    seL4_Word *words = &got.eax;
    if (!context)
        return -1;
    for (unsigned n = 0; n < COUNT; n++)
        if ((vm_get_thread_context_reg)(vcpu, (vcpu_context_reg_t)n, &words[n]))
            return -1;
    *context = got;
    return 0;
}
