/* SPDX-License-Identifier: MIT */
/*
 * rig.h - a bench for devices without a CPU: two buses, some RAM, a clock moved by hand, 24
 * interrupt lines that are watched, and drives on temporary images. Tests poke ports and memory
 * as a driver would.
 */
#ifndef TESTS_DEV_RIG_H
#define TESTS_DEV_RIG_H

#include "board/device.h"
#include "base/bits.h"
#include "dev/pci_board.h"

#define RIG_RAM_BYTES (16u << 20)

struct rig {
    struct weir *vm;
    int level[24];
    unsigned edges[24]; /* rising */
    unsigned resets;    /* machine_reset_request */
    unsigned shutdowns; /* machine_shutdown_request */
    int debug_exit;     /* value of the last machine_debug_exit, -1 = none */
    unsigned messages;  /* log lines for people */
    unsigned guest_errors;
};

/* Fails the test on a host error. The rig is what machine_* hooks of its VM report to. */
struct rig *rig_new(void);
void rig_free(struct rig *rig);
/* Tear-down of a test whose state is a heap block that begins with its struct rig *. */
int rig_teardown(void **state);
weir_dev *rig_add(struct rig *rig, const struct weir_dev_class *cls, const char *props);
int rig_try_add(struct rig *rig, const struct weir_dev_class *cls, const char *props);
/* i440FX and PIIX3. */
weir_dev *rig_add_pci(struct rig *rig);

/* A drive on an unnamed image: every sector starts with its number and has a pattern behind. */
enum { RIG_CDROM = 1, RIG_READ_ONLY = 2, RIG_SNAPSHOT = 4, RIG_EMPTY = 8 };
struct weir_block *rig_drive(struct rig *rig, const char *interface_name, int index,
                             uint64_t bytes, unsigned flags);
void rig_pattern(uint8_t *sector, uint32_t number);
/* Path of a new temporary file with the pattern; the caller frees and unlinks it. */
char *rig_image(uint64_t bytes);

uint32_t rig_in(struct rig *rig, unsigned port, unsigned size);
void rig_out(struct rig *rig, unsigned port, uint32_t value, unsigned size);
static inline uint8_t inb(struct rig *rig, unsigned port)
{
    return (uint8_t)rig_in(rig, port, 1);
}
static inline void outb(struct rig *rig, unsigned port, unsigned value)
{
    rig_out(rig, port, value, 1);
}
static inline uint8_t *rig_ram(struct rig *rig, uint64_t gpa)
{
    return rig->vm->ram.base + gpa;
}
/* Lets virtual time pass; timers fire on the way. */
void rig_run(struct rig *rig, uint64_t ns);

#endif
