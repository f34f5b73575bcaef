/* SPDX-License-Identifier: MIT */
/*
 * device.h - the device framework: creation from a class and property text, reset in order of
 * creation, destruction in reverse. device.c implements it and the device half of
 * weir/device.h. Everything here needs the device lock held, or a VM that no other thread knows
 * yet.
 */
#ifndef BOARD_DEVICE_H
#define BOARD_DEVICE_H

#include "board/machine.h"

/* Creates, sets properties, runs init and reset. After a failure nothing of it is left (fini
 * has run, on state that may be half initialised) and vm->err has the text. */
int device_create(struct weir *vm, const struct weir_dev_class *cls, const char *id,
                  const char *props, weir_dev **out);
void devices_reset(struct weir *vm);
void devices_free(struct weir *vm);
/* Drives and character devices, once no device uses them. */
void backends_free(struct weir *vm);

/* ---- registry.c: the classes that -device knows ---- */
const struct weir_dev_class *registry_class(unsigned i); /* NULL at the end */
const struct weir_dev_class *registry_find(const struct weir *vm, const char *name);

#endif
