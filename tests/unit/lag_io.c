/* SPDX-License-Identifier: MIT */
/* lag_io.c - for lag_test.c: the inside of a VM (its headers do not go with signal.h). */
#include "lag_io.h"
#include "board/machine.h"

void lag_io_stop(weir *vm)
{
    io_loop_stop(&vm->loop);
}
