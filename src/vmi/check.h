/* SPDX-License-Identifier: MIT */
/* check.h - looking at a VMI ROM's image without running it. */
#ifndef VMI_CHECK_H
#define VMI_CHECK_H

#include <weir/vmi.h>

/* A line per finding; returns how many are errors. *major is the API, 0 if it is no VMI ROM. */
unsigned vmi_check(const uint8_t *image, size_t bytes, unsigned *major, struct weir_text *out);

#endif
