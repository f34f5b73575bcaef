/* SPDX-License-Identifier: MIT */
/* lag_io.h - a VM whose I/O thread never gets to run. */
#ifndef TESTS_LAG_IO_H
#define TESTS_LAG_IO_H

#include <weir/weir.h>

void lag_io_stop(weir *vm);

#endif
