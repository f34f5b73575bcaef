/* SPDX-License-Identifier: MIT */
/* vspace.h - see <sel4vm/base/types.h>. */
#ifndef SEL4VM_BASE_VSPACE_VSPACE_H
#define SEL4VM_BASE_VSPACE_VSPACE_H

#include <sel4vm/base/types.h>

#endif
