/* SPDX-License-Identifier: MIT */
/*
 * apic_state.h - the local APIC's state, shared by apic.c (messages, priorities, LINT pins,
 * timer) and apic_regs.c (registers, MSRs, info). SDM Vol. 3A chapter 11.
 */
#ifndef DEV_APIC_STATE_H
#define DEV_APIC_STATE_H

#include "base/bits.h"
#include "dev/chips.h"

/* Order of the register file: 832h-837h as MSRs, 320h-370h as memory. */
enum apic_lvt { LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_COUNT };
enum {
    LVT_REMOTE_IRR = 1 << 14,
    LVT_LEVEL = 1 << 15,
    LVT_MASKED = 1 << 16,
};
enum { TIMER_ONE_SHOT, TIMER_PERIODIC, TIMER_TSC_DEADLINE };
enum { BASE_BSP = 0x100, BASE_EXTD = 0x400, BASE_ENABLE = 0x800 };
enum { SVR_ENABLE = 0x100 };
enum { ESR_SEND_VECTOR = 0x20, ESR_RECEIVE_VECTOR = 0x40, ESR_REGISTER = 0x80 };
#define APIC_BASE_BITS 46 /* physical address bits that the base may have */
enum { BITS_WORDS = 8 };
/* CPUID leaf 15h tells the guest the same rate (CPU_APIC_BUS_HZ in cpu/cpuid.h). */
#define APIC_BUS_HZ 1000000000ull

struct apic {
    uint64_t base; /* MSR 1Bh */
    uint32_t id, tpr, ldr, dfr, svr;
    uint32_t esr, errors; /* what reads show; what the next write will show */
    uint64_t icr;
    uint32_t lvt[LVT_COUNT];
    uint32_t isr[BITS_WORDS], irr[BITS_WORDS], tmr[BITS_WORDS];
    uint32_t divide, initial_count;
    uint64_t timer_start_ns; /* when initial_count was written */
    uint64_t timer_seen_ns;  /* periods that ended by then were announced */
    struct ticks ticks;      /* of the periodic mode */
    uint64_t tsc_deadline;
    uint8_t lint[2]; /* pin levels */
    uint8_t extint;  /* an ExtINT message waits for its INTA */
    uint8_t intr_level;
    struct weir_timer timer;
    /* wiring */
    uint32_t prop_id;
    bool prop_x2apic;
    weir_dev *dev;
    weir_region *region;
    struct apic_wires wires;
};

static inline bool apic_hardware_on(const struct apic *a)
{
    return a->base & BASE_ENABLE;
}
static inline bool apic_x2(const struct apic *a)
{
    return a->base & BASE_EXTD;
}
static inline unsigned apic_timer_mode(const struct apic *a)
{
    return a->lvt[LVT_TIMER] >> 17 & 3;
}

/* ---- apic.c ---- */
uint32_t apic_ppr(const struct apic *a);
void apic_update(struct apic *a); /* after anything that INTR depends on */
void apic_error(struct apic *a, uint32_t bits);
void apic_end_of_interrupt(struct apic *a);
void apic_send(struct apic *a); /* what ICR says */
void apic_timer_schedule(struct apic *a);
void apic_timer_catch_up(struct apic *a);
uint32_t apic_timer_count(const struct apic *a);
void apic_lint_update(struct apic *a, unsigned pin); /* its LVT entry was written */

/* ---- apic_regs.c ---- */
extern const struct weir_io_ops apic_ops;
void apic_info(void *state, struct weir_text *out);

#endif
