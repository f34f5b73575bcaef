/* SPDX-License-Identifier: MIT */
/*
 * machine_hooks.h - what a chip may ask of the machine around it. Implemented in src/run/control.c;
 * device lock held; all take effect before the next guest instruction.
 */
#ifndef DEV_MACHINE_HOOKS_H
#define DEV_MACHINE_HOOKS_H

#include <weir/device.h>

/* RESET# to everything (port 92h bit 0, 8042 pulse, CF9h, ACPI reset register). */
void machine_reset_request(weir *vm);
/* S5: power off. */
void machine_shutdown_request(weir *vm);
/* isa-debug-exit: leave weir_run with status (value << 1) | 1. */
void machine_debug_exit(weir *vm, uint32_t value);
/* The A20 gate (port 92h, 8042 output port). */
void machine_a20_set(weir *vm, bool enabled);
bool machine_a20(const weir *vm);
/* The medium for a property of kind WEIR_PROP_DRIVE is resolved by the framework; these find the
 * drive plugged into "ide"/"floppy" position `index`: NULL if there is none. */
struct weir_block *machine_find_block(weir *vm, const char *interface_name, int index);

/* weir_map_ports/weir_map_memory with a context of its own (PCI BARs, two register blocks). */
weir_region *machine_map_io(weir_dev *dev, bool ports, uint64_t start, uint64_t length,
                            const struct weir_io_ops *ops, void *ctx, int priority,
                            const char *name);

/* First thing when the guest reads the time off a device: what was due before has happened, even
 * if the host did not let the I/O thread run. */
void machine_timers_due(weir_dev *dev);

#endif
