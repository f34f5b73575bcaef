/* SPDX-License-Identifier: MIT */
/* io.h - see <sel4vm/base/types.h>. */
#ifndef SEL4VM_BASE_PLATSUPPORT_IO_H
#define SEL4VM_BASE_PLATSUPPORT_IO_H

#include <sel4vm/base/types.h>

#endif
