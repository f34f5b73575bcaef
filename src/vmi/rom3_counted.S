/* SPDX-License-Identifier: MIT */
/* rom3_counted.S - the VMI ROM of API 3.0, with a counter in each entry. */
#define ROM_API      3
#define ROM_COUNTERS 1
#define SYMBOL       vmi_rom3_counted
#include "vmi/rom_image.inc"
