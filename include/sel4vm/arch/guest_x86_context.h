/* SPDX-License-Identifier: MIT */
/*
 * guest_x86_context.h - registers and VMCS fields of an x86 vCPU.
 *
 * All return 0, or -1 and nothing is changed, out-parameters included: for a NULL pointer, an
 * unknown register or field, a field that cannot be written, while the guest runs.
 *
 * A VMCS field is a live view of the vCPU. A value that the vCPU cannot take as things stand (say,
 * CR0.PG before CR0.PE) is kept in the field until it can; if it still cannot when the guest is
 * to be entered, vm_run fails with exit reason 80000021h.
 */
#ifndef SEL4VM_ARCH_GUEST_X86_CONTEXT_H
#define SEL4VM_ARCH_GUEST_X86_CONTEXT_H

#include <sel4vm/arch/vmcs_fields.h>
#include <sel4vm/guest_vm.h>

#ifdef __cplusplus
extern "C" {
#endif

/* In the order of seL4_VCPUContext. */
typedef enum vcpu_context_reg {
    VCPU_CONTEXT_EAX = 0,
    VCPU_CONTEXT_EBX,
    VCPU_CONTEXT_ECX,
    VCPU_CONTEXT_EDX,
    VCPU_CONTEXT_ESI,
    VCPU_CONTEXT_EDI,
    VCPU_CONTEXT_EBP,
    VCPU_CONTEXT_R8,
    VCPU_CONTEXT_R9,
    VCPU_CONTEXT_R10,
    VCPU_CONTEXT_R11,
    VCPU_CONTEXT_R12,
    VCPU_CONTEXT_R13,
    VCPU_CONTEXT_R14,
    VCPU_CONTEXT_R15,
} vcpu_context_reg_t;

int vm_set_thread_context(vm_vcpu_t *vcpu, seL4_VCPUContext context);
int vm_set_thread_context_reg(vm_vcpu_t *vcpu, vcpu_context_reg_t reg, seL4_Word value);
int vm_get_thread_context(vm_vcpu_t *vcpu, seL4_VCPUContext *context);
int vm_get_thread_context_reg(vm_vcpu_t *vcpu, vcpu_context_reg_t reg, seL4_Word *value);
int vm_set_vmcs_field(vm_vcpu_t *vcpu, seL4_Word field, seL4_Word value);
int vm_get_vmcs_field(vm_vcpu_t *vcpu, seL4_Word field, seL4_Word *value);

/* Programs of the time when values were uint32_t: the same, cut to 32 bits. */
int vm_get_thread_context_reg_u32(vm_vcpu_t *vcpu, vcpu_context_reg_t reg, uint32_t *value);
int vm_get_vmcs_field_u32(vm_vcpu_t *vcpu, seL4_Word field, uint32_t *value);
#if !defined(__cplusplus)
#define vm_get_thread_context_reg(vcpu, reg, value)                                            \
    _Generic((value), uint32_t *                                                               \
             : vm_get_thread_context_reg_u32, default                                          \
             : (vm_get_thread_context_reg))(vcpu, reg, value)
#define vm_get_vmcs_field(vcpu, field, value)                                                  \
    _Generic((value), uint32_t *                                                               \
             : vm_get_vmcs_field_u32, default                                                  \
             : (vm_get_vmcs_field))(vcpu, field, value)
#endif

#ifdef __cplusplus
}
#endif
#endif
