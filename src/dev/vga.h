/* SPDX-License-Identifier: MIT */
/* vga.h - the display adapter: a VGA with Bochs VBE extensions as PCI function 1234:1111
 * ("VGA"), compatible with QEMU's std vga. The picture is taken through dev/input.h. */
#ifndef DEV_VGA_H
#define DEV_VGA_H

#include <weir/device.h>

extern const struct weir_dev_class vga_class;

/* Puts an option ROM (vgabios-stdvga.bin) into the 64 KiB expansion ROM BAR; the data is
 * copied. -WEIR_ERANGE if it is longer. */
int vga_set_rom(weir_dev *dev, const void *data, uint32_t length);

/* How much of the option ROM space firmware fills with it; 0: it is none. */
uint32_t vga_rom_bytes(weir_dev *dev);

/* Registers as the video BIOS leaves them after INT 10h AH=00h AL=03h (80x25, 16 colours), with
 * the 8x16 font in plane 2: for kernels that are started without firmware. */
void vga_set_text_mode(weir_dev *dev);
/* Cursor position in text mode, 0-based. */
void vga_text_cursor(weir_dev *dev, unsigned *row, unsigned *column);

#endif
