/* SPDX-License-Identifier: MIT */
/* board.h - the machine as a whole: building it from the wiring table (pc.c) and booting it. */
#ifndef BOARD_BOARD_H
#define BOARD_BOARD_H

#include "board/machine.h"

/* Creates the chips of config.machine and wires them; before drives and -device. Device lock.
 */
int board_build(struct weir *vm);
/* At weir_start: drives and terminals are known; firmware and tables are loaded. */
int board_finish(struct weir *vm);
/* After every reset of CPU and devices: what boots is put in place. */
int board_boot(struct weir *vm);
void board_free(struct weir *vm);

#endif
