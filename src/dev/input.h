/* SPDX-License-Identifier: MIT */
/* input.h - keys and mouse movements on their way from the person to the PS/2 devices, and the
 * picture on its way back. A chip offers these; the board connects them to the API. */
#ifndef DEV_INPUT_H
#define DEV_INPUT_H

#include <weir/machine.h>

/* i8042.c: `key` as in weir_key_by_name; the table is in keys.c. */
void i8042_key(weir_dev *dev, int key, bool down);
/* dx to the right, dy downwards, dz: wheel towards the person; buttons: 1 left, 2 middle, 4
 * right, 8 and 16 at the side. */
void i8042_mouse(weir_dev *dev, int dx, int dy, int dz, unsigned buttons);
/* keys.c: scan code set 1 and 2 of a key, with prefix bytes (at most 8); returns the count. */
unsigned key_scancode(int key, unsigned set, bool down, uint8_t out[8]);
/* vga.c */
int vga_image(weir_dev *dev, struct weir_image *image);
int vga_text(weir_dev *dev, struct weir_text *out);

#endif
