/* SPDX-License-Identifier: MIT */
/*
 * ticks.h - periodic interrupts that nobody took before the next one was due.
 *
 * An interrupt controller remembers one edge per input. Real software that lets a second come is
 * too slow; here the host may have been, and a guest that counts ticks would lose time. So a
 * periodic timer asks what became of its last edge (`irq_feedback`), counts the ones that would be
 * lost, and makes them good one by one, each when the one before has been taken (IRQ_TAKEN).
 *
 * Bounded: at most TICKS_OWED_NS worth is owed, and nothing of timers so fast that no guest could
 * count on them. Forgotten when the guest sets the timer anew or
 * the controllers up, and when the interrupt stays masked for TICKS_MASKED_NS. All of it depends
 * on virtual time and the guest alone.
 */
#ifndef DEV_TICKS_H
#define DEV_TICKS_H

#include <weir/device.h>

#define TICKS_OWED_NS    5000000000ull
#define TICKS_MASKED_NS  1000000000ull
#define TICKS_FASTEST_NS 100000u

/* What an edge meets. */
enum irq_state {
    IRQ_MASKED,  /* nobody listens */
    IRQ_FREE,    /* it becomes an interrupt */
    IRQ_WAITING, /* the one before was not taken yet: it would be lost */
};
enum irq_event {
    IRQ_TAKEN,   /* by the CPU, or a poll */
    IRQ_DROPPED, /* the controller was initialised: requests are gone */
};
struct irq_feedback {
    enum irq_state (*state)(void *ctx, unsigned gsi); /* NULL: not known, as if IRQ_FREE */
    void *ctx;
};
static inline enum irq_state irq_state(const struct irq_feedback *feedback, unsigned gsi)
{
    return feedback->state ? feedback->state(feedback->ctx, gsi) : IRQ_FREE;
}

struct ticks {
    uint64_t masked_ns; /* since when edges meet a mask; 0: the last one did not */
    uint32_t owed;
};
extern const struct weir_field ticks_fields[];

/* `edges` have come, or (state IRQ_WAITING) were lost; with IRQ_FREE the caller makes one now. */
void ticks_count(struct ticks *t, uint64_t edges, enum irq_state state, uint64_t period_ns,
                 uint64_t now_ns);
/* After IRQ_TAKEN: true if the caller is to make one more edge now. */
bool ticks_redeem(struct ticks *t, enum irq_state state);
static inline void ticks_forget(struct ticks *t)
{
    *t = (struct ticks){0};
}

/* ---- the PC's wiring of it ---- */

struct irq_paths {
    weir_dev *pic, *ioapic, *apic, *pit, *rtc, *hpet;
};
/* Tells the timers where to ask, and the 8259s whom to tell. `paths` must outlive the devices. */
void irq_paths_connect(struct irq_paths *paths);
/* apic_wires.taken */
void irq_paths_taken(struct irq_paths *paths, unsigned vector);

#endif
