/* SPDX-License-Identifier: MIT */
/* object.h - see <sel4vm/base/types.h>. */
#ifndef SEL4VM_BASE_VKA_OBJECT_H
#define SEL4VM_BASE_VKA_OBJECT_H

#include <sel4vm/base/types.h>

#endif
