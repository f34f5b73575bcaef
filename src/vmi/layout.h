/* SPDX-License-Identifier: MIT */
/* layout.h - numbers that the ROM's assembly and the host share. */
#ifndef VMI_LAYOUT_H
#define VMI_LAYOUT_H

#define VMI_SIGNATURE 0x696d5663 /* "cVmi" */
#define VMI_MINOR     0
#define VMI_CALLS_3   74 /* numbers of API 3.0 */
#define VMI_SLOTS     88 /* of 13.0, the header's four included */
#define VMI_ROWS      92
#define VMI_ROW_INIT  0xffff

#define VMI_SLOT_BYTES 32
#define VMI_CODE_BYTES 0x2000
#define VMI_ROM_BYTES  0x3000
#define VMI_AT_TRAPS   0x400 /* from the counters on */

/* The header. */
#define VMI_AT_LICENCE 0x16
#define VMI_AT_PCI     0x18
#define VMI_AT_PNP     0x1a
#define VMI_AT_OWN     0x60 /* what only our ROMs have: struct vmi_own */
#define VMI_AT_SUM     0x7f /* makes the sum of all bytes 0 */
#define VMI_AT_INIT    0x80
#define VMI_AT_QUERY   0x88 /* GetRelocationInfo */

#define VMI_PCI_VENDOR 0x15ad /* what Linux expects */
#define VMI_PCI_DEVICE 0x0801
#define VMI_ROM_MAJOR  1
#define VMI_ROM_MINOR  0

/* GetRelocationInfo's types */
#define VMI_NONE     0
#define VMI_CALL_REL 1
#define VMI_JUMP_REL 2
#define VMI_NOP      3

#endif
