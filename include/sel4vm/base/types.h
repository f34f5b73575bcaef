/* SPDX-License-Identifier: MIT */
/*
 * types.h - what libsel4vm's interface names of seL4 and its support libraries. There is no kernel
 * here: capabilities are numbers, allocators are never asked. Programs that include <sel4/sel4.h>,
 * <vka/vka.h> and so on find them beside this file (pkg-config --cflags weir-sel4vm).
 */
#ifndef SEL4VM_BASE_TYPES_H
#define SEL4VM_BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The guest may be a 64-bit one: contexts have R8-R15. */
#ifndef CONFIG_X86_64_VTX_64BIT_GUESTS
#define CONFIG_X86_64_VTX_64BIT_GUESTS 1
#endif
#ifndef CONFIG_ARCH_X86
#define CONFIG_ARCH_X86 1
#endif
#ifndef CONFIG_MAX_NUM_NODES
#define CONFIG_MAX_NUM_NODES 1
#endif

typedef unsigned long seL4_Word;
typedef seL4_Word seL4_CPtr;
typedef seL4_Word seL4_Error;
typedef struct seL4_MessageInfo {
    seL4_Word words[1];
} seL4_MessageInfo_t;
typedef struct seL4_CapRights {
    seL4_Word words[1];
} seL4_CapRights_t;

#define seL4_CapNull   0
#define seL4_NoError   0
#define seL4_PageBits  12
#define seL4_AllRights ((seL4_CapRights_t){{15}})
#define seL4_NoRights  ((seL4_CapRights_t){{0}})
#define seL4_CanRead   ((seL4_CapRights_t){{2}})

/* In this order; the registers of enum vcpu_context_reg are an index into it. */
typedef struct seL4_VCPUContext_ {
    seL4_Word eax, ebx, ecx, edx, esi, edi, ebp;
    seL4_Word r8, r9, r10, r11, r12, r13, r14, r15;
} seL4_VCPUContext;

/* Handles that are passed on and never looked into; zeroed ones will do. */
typedef struct vka {
    void *data;
} vka_t;
typedef struct vka_object {
    seL4_CPtr cptr;
    seL4_Word ut;
    seL4_Word type;
    seL4_Word size_bits;
} vka_object_t;
typedef struct simple {
    void *data;
} simple_t;
typedef struct vspace {
    void *data;
} vspace_t;
typedef struct ps_io_ops {
    void *data;
} ps_io_ops_t;

#ifdef __cplusplus
}
#endif
#endif
