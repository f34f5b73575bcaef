/* SPDX-License-Identifier: MIT */
/* err.h - where a host error's text goes: one buffer per VM, filled at the place that knows. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <weir/weir.h>

struct err {
    char text[512];
};

/* Writes the text and returns -code: `return err_set(e, WEIR_ENOENT, "%s: no such file", p);` */
int err_set(struct err *err, enum weir_error code, const char *format, ...) WEIR_PRINTF(3, 4);
/* The same for a failed system call: code by errno, text "PREFIX: strerror". */
int err_errno(struct err *err, const char *format, ...) WEIR_PRINTF(2, 3);

#endif
