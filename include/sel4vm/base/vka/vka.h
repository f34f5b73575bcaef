/* SPDX-License-Identifier: MIT */
/* vka.h - see <sel4vm/base/types.h>. */
#ifndef SEL4VM_BASE_VKA_VKA_H
#define SEL4VM_BASE_VKA_VKA_H

#include <sel4vm/base/types.h>

#endif
