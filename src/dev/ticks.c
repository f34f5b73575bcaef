/* SPDX-License-Identifier: MIT */
/*
 * ticks.c - see ticks.h. GSI 0 is pin 2 of the I/O APIC; an ISA interrupt has two ways to the CPU,
 * of which a guest opens one.
 */
#include "dev/ticks.h"
#include "dev/chips.h"

const struct weir_field ticks_fields[] = {
    WEIR_FIELD(struct ticks, masked_ns),
    WEIR_FIELD(struct ticks, owed),
    WEIR_FIELD_END,
};

void ticks_count(struct ticks *t, uint64_t edges, enum irq_state state, uint64_t period_ns,
                 uint64_t now_ns)
{
    if (state == IRQ_MASKED) {
        if (!t->masked_ns)
            t->masked_ns = now_ns;
        if (now_ns - t->masked_ns >= TICKS_MASKED_NS)
            t->owed = 0;
        return;
    }
    t->masked_ns = 0;
    if (period_ns < TICKS_FASTEST_NS)
        return;
    uint64_t most = period_ns < TICKS_OWED_NS ? TICKS_OWED_NS / period_ns : 1;
    uint64_t owed = t->owed + edges - (state == IRQ_FREE && edges);
    t->owed = (uint32_t)(owed < most ? owed : most);
}

bool ticks_redeem(struct ticks *t, enum irq_state state)
{
    if (!t->owed || state != IRQ_FREE)
        return false;
    t->owed--;
    return true;
}

/* ---- the PC's wiring of it ---- */

static unsigned pin_of(unsigned gsi)
{
    return gsi ? gsi : 2;
}

static enum irq_state gsi_state(void *ctx, unsigned gsi)
{
    const struct irq_paths *paths = ctx;
    enum irq_state by_pic = IRQ_MASKED, by_apic = IRQ_MASKED;
    if (gsi < 16 && apic_passes_extint(paths->apic))
        by_pic = pic_state(paths->pic, gsi);
    int vector = ioapic_edge_vector(paths->ioapic, pin_of(gsi));
    if (vector >= 0)
        by_apic = apic_vector_state(paths->apic, (unsigned)vector);
    return by_pic > by_apic ? by_pic : by_apic;
}

static void gsi_event(struct irq_paths *paths, unsigned gsi, enum irq_event event)
{
    if (gsi == 0)
        pit_irq_event(paths->pit, event);
    hpet_irq_event(paths->hpet, gsi, event);
}

static void pic_event(void *ctx, unsigned irq, enum irq_event event)
{
    gsi_event(ctx, irq, event);
}

void irq_paths_taken(struct irq_paths *paths, unsigned vector)
{
    static const uint8_t timers[] = {0, 8, 20, 21, 22, 23}; /* PIT and HPET have no others */
    for (unsigned i = 0; i < sizeof(timers); i++)
        if (ioapic_edge_vector(paths->ioapic, pin_of(timers[i])) == (int)vector)
            gsi_event(paths, timers[i], IRQ_TAKEN);
}

void irq_paths_connect(struct irq_paths *paths)
{
    const struct irq_feedback feedback = {gsi_state, paths};
    pit_connect(paths->pit, &feedback);
    rtc_connect(paths->rtc, &feedback);
    hpet_feedback(paths->hpet, &feedback);
    pic_watch(paths->pic, pic_event, paths);
}
