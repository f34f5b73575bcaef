/* SPDX-License-Identifier: MIT */
/* error.h - a VM's error text, for files that must not see the CPU's names. */
#ifndef API_ERROR_H
#define API_ERROR_H

#include <weir/weir.h>

int api_error(weir *vm, enum weir_error code, const char *text); /* -code */

#endif
