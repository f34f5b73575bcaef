/* SPDX-License-Identifier: MIT */
/*
 * harness.h - rig.h plus the PC's interrupt wiring: GSIs go to 8259 and I/O APIC, the 8259's
 * INT to LINT0, messages to the local APIC, and its INTR to a CPU that only takes note.
 */
#ifndef TESTS_DEV_HARNESS_H
#define TESTS_DEV_HARNESS_H

#include "rig.h"
#include "dev/chips.h"

struct harness {
    struct rig *rig;
    weir_dev *pic, *ioapic, *apic, *pit, *rtc, *hpet;
    struct irq_paths paths;
    int intr; /* the CPU's INTR pin */
    unsigned nmis, inits, smis;
    int sipi;            /* vector of the last, -1 = none */
    uint64_t tsc_offset; /* guest TSC = clock + this */
};

/* Everything named in the struct, and port 92h. The RTC starts at `base` seconds. */
struct harness *harness_new(void);
void harness_free(struct harness *h);
/* The same as a test's set-up and tear-down; its state is the harness. */
int harness_setup(void **state);
int harness_teardown(void **state);

static inline uint8_t in8(struct harness *h, unsigned port)
{
    return inb(h->rig, port);
}
static inline void out8(struct harness *h, unsigned port, unsigned v)
{
    outb(h->rig, port, v);
}
static inline void run_ns(struct harness *h, uint64_t ns)
{
    rig_run(h->rig, ns);
}
uint32_t read32(struct harness *h, uint64_t gpa);
void write32(struct harness *h, uint64_t gpa, uint32_t value);

#define HARNESS_RTC_BASE 1709251199ull /* 2024-02-29 23:59:59 UTC, a Thursday */
#define APIC_BASE        0xfee00000ull
#define IOAPIC_BASE      0xfec00000ull
#define HPET_BASE        0xfed00000ull
static inline uint32_t apic_get(struct harness *h, unsigned reg)
{
    return read32(h, APIC_BASE + reg);
}
static inline void apic_put(struct harness *h, unsigned reg, uint32_t v)
{
    write32(h, APIC_BASE + reg, v);
}
uint64_t ioapic_entry(struct harness *h, unsigned pin);
void ioapic_set_entry(struct harness *h, unsigned pin, uint64_t entry);
/* ICW1-4 of both controllers: vectors 20h and 28h, nothing masked. */
void pic_setup(struct harness *h, unsigned icw4);

/* The bytes of all fields of a device, in order of its table; the caller frees. A timer counts
 * with its deadline. */
uint8_t *fields_image(weir_dev *dev, size_t *bytes);
/* Name of the first field in which two images differ, NULL if they are equal. */
const char *fields_difference(weir_dev *dev, const uint8_t *a, const uint8_t *b);

/* A character device that keeps what the guest sent. */
struct terminal {
    struct weir_char *chr;
    uint8_t sent[4096];
    unsigned count;
};
void terminal_new(struct rig *rig, const char *id, struct terminal *t);

#endif
