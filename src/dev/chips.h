/* SPDX-License-Identifier: MIT */
/*
 * chips.h - the classes of the PC's own chips, and the wires with which the board connects
 * them. One section per file. All functions need the device lock held.
 */
#ifndef DEV_CHIPS_H
#define DEV_CHIPS_H

#include "dev/ticks.h"

/* ---- pic_8259.c: "i8259", both controllers of the PC, ELCR ---- */
extern const struct weir_dev_class pic_8259_class;
/* The master's INT output; called at once with the present level. */
void pic_connect(weir_dev *dev, struct weir_line intr);
void pic_input(weir_dev *dev, unsigned irq, int level); /* irq 0-15; 2 is the cascade */
/* INTA cycles: the vector (spurious IRQ 7 or 15 where the request is gone), -1 if INT is low.
 */
int pic_acknowledge(weir_dev *dev);
/* What an edge on an edge-triggered input meets, whether or not INT reaches the CPU. */
enum irq_state pic_state(weir_dev *dev, unsigned irq);
void pic_watch(weir_dev *dev, void (*event)(void *ctx, unsigned irq, enum irq_event event),
               void *ctx);

/* ---- pit_8254.c: "i8254", three counters and port 61h; counter 0's OUT is GSI 0 ---- */
extern const struct weir_dev_class pit_8254_class;
/* HPET in legacy replacement: counter 0 no longer drives IRQ 0. */
void pit_irq_disable(weir_dev *dev, bool disabled);
void pit_connect(weir_dev *dev, const struct irq_feedback *feedback);
void pit_irq_event(weir_dev *dev, enum irq_event event);

/* ---- rtc_146818.c: "mc146818", clock and CMOS RAM; GSI 8 ---- */
extern const struct weir_dev_class rtc_146818_class;
void rtc_cmos_set(weir_dev *dev, unsigned index, uint8_t value); /* survives reset */
uint8_t rtc_cmos_get(weir_dev *dev, unsigned index);
void rtc_set(weir_dev *dev, int64_t seconds); /* the time, from 1970 on */
/* HPET in legacy replacement: the RTC no longer drives IRQ 8. */
void rtc_irq_disable(weir_dev *dev, bool disabled);
void rtc_connect(weir_dev *dev, const struct irq_feedback *feedback);

/* ---- dma_8237.c: "i8237", both controllers and the page registers; see isa_dma.h ---- */
extern const struct weir_dev_class dma_8237_class;

/* ---- uart_16550.c: "isa-serial"; props chardev, index, iobase, irq ---- */
extern const struct weir_dev_class uart_16550_class;

/* ---- port92.c: "port92"; A20 and fast reset ---- */
extern const struct weir_dev_class port92_class;

/* ---- debug_exit.c: "isa-debug-exit"; props iobase, iosize ---- */
extern const struct weir_dev_class debug_exit_class;

/* ---- debugcon.c: "isa-debugcon"; props chardev, iobase, readback ---- */
extern const struct weir_dev_class debugcon_class;

/* ---- i8042.c: "i8042", keyboard controller, keyboard and mouse; GSI 1 and 12; dev/input.h
 * ---- */
extern const struct weir_dev_class i8042_class;

/* ---- apic.c: "apic", the local APIC of the vCPU; property id ---- */
extern const struct weir_dev_class apic_class;
struct apic_wires {
    void *ctx;
    void (*intr)(void *ctx, int level); /* the CPU's INTR */
    void (*nmi)(void *ctx);
    void (*init)(void *ctx);
    void (*sipi)(void *ctx, unsigned vector);
    int (*pic_acknowledge)(void *ctx);              /* INTA for ExtINT: vector or -1 */
    void (*eoi)(void *ctx, unsigned vector);        /* EOI broadcast to the I/O APIC */
    uint64_t (*tsc_to_ns)(void *ctx, uint64_t tsc); /* guest TSC value to weir_clock_ns time */
    void (*smi)(void *ctx);                         /* may be NULL */
    void (*taken)(void *ctx, unsigned vector);      /* INTA of its own; may be NULL */
};
/* Copies the wires; drives intr with the present level. */
void apic_connect(weir_dev *dev, const struct apic_wires *wires);
void apic_lint0(weir_dev *dev, int level); /* the 8259's INT: ExtINT or wired through */
void apic_lint1(weir_dev *dev, int level); /* NMI */
/* INTA by the CPU: the vector (ExtINT through wires.pic_acknowledge), -1 if none is pending. */
int apic_acknowledge(weir_dev *dev);
uint64_t apic_tpr_get(weir_dev *dev); /* CR8, 0-15 */
void apic_tpr_set(weir_dev *dev, uint64_t tpr);
/* MSRs 1Bh, 6E0h and 800h-8FFh: 0, or -1 for #GP. */
int apic_msr_read(weir_dev *dev, uint32_t msr, uint64_t *value);
int apic_msr_write(weir_dev *dev, uint32_t msr, uint64_t value);
/* INIT# of the CPU: registers reset, ID and base stay. An INIT message does it itself, before
 * wires.init. */
void apic_init_reset(weir_dev *dev);
/* The local interrupt that the timer's entry of the vector table stands for, now. */
void apic_timer_interrupt(weir_dev *dev);
/* Whether the 8259's INT is the CPU's INTR. */
bool apic_passes_extint(weir_dev *dev);
/* What a fixed message with this vector meets. */
enum irq_state apic_vector_state(weir_dev *dev, unsigned vector);

/* An interrupt message, from the I/O APIC, an MSI or another local APIC. */
enum apic_delivery {
    APIC_FIXED,
    APIC_LOWEST,
    APIC_SMI,
    APIC_RESERVED3,
    APIC_NMI,
    APIC_INIT,
    APIC_STARTUP,
    APIC_EXTINT,
};
struct apic_message {
    uint32_t destination; /* 8 bits in xAPIC format, 32 in x2APIC's */
    uint8_t vector;
    uint8_t delivery; /* enum apic_delivery */
    bool logical;     /* destination mode */
    bool level;       /* trigger mode; false = edge */
};
/* True if this APIC was addressed and took it. */
bool apic_deliver(weir_dev *dev, const struct apic_message *message);
/* An MSI write: address FEEx_xxxxh and data decoded into a message. */
struct apic_message apic_msi(uint64_t address, uint32_t data);

/* ---- ioapic.c: "ioapic", 24 pins ---- */
extern const struct weir_dev_class ioapic_class;
void ioapic_connect(weir_dev *dev,
                    void (*deliver)(void *ctx, const struct apic_message *message), void *ctx);
void ioapic_input(weir_dev *dev, unsigned pin,
                  int level);                    /* GSI 0 goes to pin 2 by the board */
void ioapic_eoi(weir_dev *dev, unsigned vector); /* broadcast by a local APIC */
/* Vector of the message that an edge on this pin makes, -1 if it makes none of a vector. */
int ioapic_edge_vector(weir_dev *dev, unsigned pin);

/* ---- hpet.c: "hpet", three timers at FED00000h ---- */
extern const struct weir_dev_class hpet_class;
/* `legacy` is called when legacy replacement is switched (and the HPET then drives GSI 0 and 8;
 * the board mutes PIT and RTC). */
void hpet_connect(weir_dev *dev, void (*legacy)(void *ctx, bool on), void *ctx);
void hpet_feedback(weir_dev *dev, const struct irq_feedback *feedback);
void hpet_irq_event(weir_dev *dev, unsigned gsi, enum irq_event event);

/* ---- acpi_pm.c: "PIIX4_PM", PCI 00:01.3: power management, SMI command port; SCI = GSI 9 ----
 */
extern const struct weir_dev_class acpi_pm_class;
void acpi_power_button(weir_dev *dev);

/* ---- keys.c ---- */
int key_by_name(const char *name); /* 1..n, -WEIR_ENOENT */
const char *key_name(int key);     /* NULL past the end */

#endif
