/* SPDX-License-Identifier: MIT */
/* rom13_counted.S - the VMI ROM of API 13.0, with a counter in each entry. */
#define ROM_API      13
#define ROM_COUNTERS 1
#define SYMBOL       vmi_rom13_counted
#include "vmi/rom_image.inc"
