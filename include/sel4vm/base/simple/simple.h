/* SPDX-License-Identifier: MIT */
/* simple.h - see <sel4vm/base/types.h>. */
#ifndef SEL4VM_BASE_SIMPLE_SIMPLE_H
#define SEL4VM_BASE_SIMPLE_SIMPLE_H

#include <sel4vm/base/types.h>

#endif
