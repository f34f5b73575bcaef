/* SPDX-License-Identifier: MIT */
/* registry.c - the device classes that -device can name: an array, so that it is greppable,
 * ordered and cannot be lost by a static library. */
#include "board/device.h"
#include "dev/pci_board.h"

static const struct weir_dev_class *const classes[] = {
    &virtio_blk_class,
    &virtio_rng_class,
    &virtio_serial_class,
    &virtconsole_class,
    NULL,
};

const struct weir_dev_class *registry_class(unsigned i) { return classes[i]; }
