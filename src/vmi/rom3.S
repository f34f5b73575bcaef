/* SPDX-License-Identifier: MIT */
/* rom3.S - the VMI ROM of API 3.0. */
#define ROM_API      3
#define ROM_COUNTERS 0
#define SYMBOL       vmi_rom3
#include "vmi/rom_image.inc"
