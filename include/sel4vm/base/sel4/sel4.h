/* SPDX-License-Identifier: MIT */
/* sel4.h - see <sel4vm/base/types.h>. */
#ifndef SEL4VM_BASE_SEL4_SEL4_H
#define SEL4VM_BASE_SEL4_SEL4_H

#include <sel4vm/base/types.h>

#endif
