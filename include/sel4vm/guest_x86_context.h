/* SPDX-License-Identifier: MIT */
/* guest_x86_context.h - where it was in early versions. */
#ifndef SEL4VM_GUEST_X86_CONTEXT_H
#define SEL4VM_GUEST_X86_CONTEXT_H

#include <sel4vm/arch/guest_x86_context.h>

#endif
