/* SPDX-License-Identifier: MIT */
/* rom13.S - the VMI ROM of API 13.0. */
#define ROM_API      13
#define ROM_COUNTERS 0
#define SYMBOL       vmi_rom13
#include "vmi/rom_image.inc"
