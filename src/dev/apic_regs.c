/* SPDX-License-Identifier: MIT */
/*
 * apic_regs.c - the local APIC's register file, in memory (xAPIC) and as MSRs (x2APIC), MSR 1Bh
 * and 6E0h, and `info`. A register is numbered offset / 16 = MSR - 800h. SDM Vol.
 * 3A 11.4, 11.12.
 */
#include "dev/apic_state.h"
#include "dev/machine_hooks.h"

enum {
    REG_ID = 0x02,
    REG_VERSION = 0x03,
    REG_TPR = 0x08,
    REG_APR = 0x09,
    REG_PPR = 0x0a,
    REG_EOI = 0x0b,
    REG_RRD = 0x0c,
    REG_LDR = 0x0d,
    REG_DFR = 0x0e,
    REG_SVR = 0x0f,
    REG_ISR = 0x10,
    REG_TMR = 0x18,
    REG_IRR = 0x20,
    REG_ESR = 0x28,
    REG_ICR = 0x30,
    REG_ICR_HIGH = 0x31,
    REG_LVT = 0x32,
    REG_INITIAL_COUNT = 0x38,
    REG_CURRENT_COUNT = 0x39,
    REG_DIVIDE = 0x3e,
    REG_SELF_IPI = 0x3f,
};
enum { MSR_APIC_BASE = 0x1b, MSR_TSC_DEADLINE = 0x6e0, MSR_X2APIC = 0x800 };
#define APIC_VERSION (0x14u | (LVT_COUNT - 1) << 16)

/* Bits that software may set. */
static const uint32_t lvt_writable[LVT_COUNT] = {
    [LVT_TIMER] = 0x700ff, [LVT_THERMAL] = 0x107ff, [LVT_PERF] = 0x107ff,
    [LVT_LINT0] = 0x1a7ff, [LVT_LINT1] = 0x1a7ff,   [LVT_ERROR] = 0x100ff,
};

static uint32_t ldr_read(const struct apic *a)
{
    return apic_x2(a) ? a->id >> 4 << 16 | BIT(a->id & 15) : a->ldr;
}

/* False: there is no such register. */
static bool reg_read(struct apic *a, unsigned reg, uint32_t *value)
{
    if (reg >= REG_ISR && reg < REG_ISR + 8)
        *value = a->isr[reg - REG_ISR];
    else if (reg >= REG_TMR && reg < REG_TMR + 8)
        *value = a->tmr[reg - REG_TMR];
    else if (reg >= REG_IRR && reg < REG_IRR + 8)
        *value = a->irr[reg - REG_IRR];
    else if (reg >= REG_LVT && reg < REG_LVT + LVT_COUNT)
        *value = a->lvt[reg - REG_LVT];
    else {
        switch (reg) {
        case REG_ID:
            *value = apic_x2(a) ? a->id : a->id << 24;
            break;
        case REG_VERSION:
            *value = APIC_VERSION;
            break;
        case REG_TPR:
            *value = a->tpr;
            break;
        case REG_APR:
        case REG_RRD:
            *value = 0;
            break;
        case REG_PPR:
            *value = apic_ppr(a);
            break;
        case REG_EOI:
            *value = 0;
            break;
        case REG_LDR:
            *value = ldr_read(a);
            break;
        case REG_DFR:
            *value = a->dfr;
            break;
        case REG_SVR:
            *value = a->svr;
            break;
        case REG_ESR:
            *value = a->esr;
            break;
        case REG_ICR:
            *value = (uint32_t)a->icr;
            break;
        case REG_ICR_HIGH:
            *value = (uint32_t)(a->icr >> 32);
            break;
        case REG_INITIAL_COUNT:
            *value = a->initial_count;
            break;
        case REG_CURRENT_COUNT:
            machine_timers_due(a->dev);
            *value = apic_timer_count(a);
            break;
        case REG_DIVIDE:
            *value = a->divide;
            break;
        default:
            return false;
        }
    }
    return true;
}

static void write_svr(struct apic *a, uint32_t value)
{
    a->svr = value & 0x3ff;
    if (value & SVR_ENABLE)
        return;
    for (unsigned i = 0; i < LVT_COUNT; i++)
        a->lvt[i] |= LVT_MASKED;
    ticks_forget(&a->ticks);
    apic_timer_schedule(a);
}

static void write_lvt(struct apic *a, enum apic_lvt entry, uint32_t value)
{
    uint32_t was = a->lvt[entry];
    value &= lvt_writable[entry];
    if (!(a->svr & SVR_ENABLE))
        value |= LVT_MASKED;
    a->lvt[entry] = value | (was & LVT_REMOTE_IRR);
    if (entry == LVT_TIMER) {
        bool was_deadline = (was >> 17 & 3) == TIMER_TSC_DEADLINE;
        if (was_deadline != (apic_timer_mode(a) == TIMER_TSC_DEADLINE)) {
            a->tsc_deadline = 0;
            a->initial_count = 0;
        }
        if (was != a->lvt[entry])
            ticks_forget(&a->ticks);
        apic_timer_schedule(a);
    } else if (entry == LVT_LINT0 || entry == LVT_LINT1) {
        if (!(value & LVT_LEVEL))
            a->lvt[entry] &= ~(uint32_t)LVT_REMOTE_IRR;
        apic_lint_update(a, entry - LVT_LINT0);
    }
}

static void write_initial_count(struct apic *a, uint32_t value)
{
    if (apic_timer_mode(a) == TIMER_TSC_DEADLINE)
        return;
    a->initial_count = value;
    a->timer_start_ns = weir_clock_ns(a->dev);
    ticks_forget(&a->ticks);
    apic_timer_schedule(a);
}

/* A new divisor keeps the count where it is. */
static void write_divide(struct apic *a, uint32_t value)
{
    uint32_t count = apic_timer_count(a);
    uint64_t now = weir_clock_ns(a->dev);
    a->divide = value & 0xb;
    if (a->initial_count && count) {
        static const uint8_t log2[8] = {1, 2, 3, 4, 5, 6, 7, 0};
        unsigned shift = log2[(a->divide & 3) | (a->divide >> 1 & 4)];
        uint64_t done = ((uint64_t)(a->initial_count - count) << shift);
        a->timer_start_ns = now > done ? now - done : 0;
    }
    ticks_forget(&a->ticks);
    apic_timer_schedule(a);
}

/* False: no such register, or it cannot be written. */
static bool reg_write(struct apic *a, unsigned reg, uint32_t value)
{
    apic_timer_catch_up(a);
    if (reg >= REG_LVT && reg < REG_LVT + LVT_COUNT) {
        write_lvt(a, reg - REG_LVT, value);
        apic_update(a);
        return true;
    }
    switch (reg) {
    case REG_TPR:
        a->tpr = value & 0xff;
        break;
    case REG_EOI:
        apic_end_of_interrupt(a);
        break;
    case REG_SVR:
        write_svr(a, value);
        break;
    case REG_ESR:
        a->esr = a->errors;
        a->errors = 0;
        break;
    case REG_ICR:
        a->icr = (a->icr & ~0xffffffffull) | (value & 0xccfff);
        apic_send(a);
        break;
    case REG_INITIAL_COUNT:
        write_initial_count(a, value);
        break;
    case REG_DIVIDE:
        write_divide(a, value);
        break;
    default:
        return false;
    }
    apic_update(a);
    return true;
}

/* ---- xAPIC: memory ---- */

static uint64_t mmio_read(void *state, uint64_t offset, unsigned size)
{
    struct apic *a = state;
    uint32_t value = 0;
    if (offset & 15)
        return 0;
    if (!reg_read(a, (unsigned)(offset >> 4) & 0xff, &value))
        apic_error(a, ESR_REGISTER);
    return value;
}

static void mmio_write(void *state, uint64_t offset, uint64_t data, unsigned size)
{
    struct apic *a = state;
    uint32_t value = (uint32_t)data, ignored;
    unsigned reg = (unsigned)(offset >> 4) & 0xff;
    if (offset & 15)
        return;
    switch (reg) {
    case REG_ID:
        a->id = value >> 24;
        break;
    case REG_LDR:
        a->ldr = value & 0xff000000;
        break;
    case REG_DFR:
        a->dfr = value | 0x0fffffff;
        break;
    case REG_ICR_HIGH:
        a->icr = (a->icr & 0xffffffff) | (uint64_t)(value & 0xff000000) << 32;
        break;
    default:
        if (!reg_write(a, reg, value) && !reg_read(a, reg, &ignored))
            apic_error(a, ESR_REGISTER);
    }
}

const struct weir_io_ops apic_ops = {mmio_read, mmio_write, 4, 4, false};

/* ---- x2APIC: MSRs ---- */

static int x2_read(struct apic *a, unsigned reg, uint64_t *value)
{
    uint32_t low;
    if (reg == REG_ICR) {
        *value = a->icr;
        return 0;
    }
    if (reg == REG_APR || reg == REG_EOI || reg == REG_RRD || reg == REG_DFR ||
        reg == REG_ICR_HIGH || !reg_read(a, reg, &low))
        return -1;
    *value = low;
    return 0;
}

/* Bits that may be set in a write; others are #GP. */
static uint64_t x2_writable(unsigned reg)
{
    if (reg >= REG_LVT && reg < REG_LVT + LVT_COUNT)
        return lvt_writable[reg - REG_LVT] |
               (reg == REG_LVT + LVT_LINT0 || reg == REG_LVT + LVT_LINT1 ? 0x5000u : 0x1000u);
    switch (reg) {
    case REG_TPR:
    case REG_SELF_IPI:
        return 0xff;
    case REG_SVR:
        return 0x1fff;
    case REG_ICR:
        return 0xffffffff000ccfff;
    case REG_INITIAL_COUNT:
        return 0xffffffff;
    case REG_DIVIDE:
        return 0xb;
    default:
        return 0; /* EOI, ESR: only zero */
    }
}

static int x2_write(struct apic *a, unsigned reg, uint64_t value)
{
    if (value & ~x2_writable(reg))
        return -1;
    if (reg == REG_ICR)
        a->icr = value;
    if (reg == REG_SELF_IPI) {
        uint64_t icr = a->icr;
        a->icr = value | 1 << 18;
        apic_send(a);
        a->icr = icr;
        return 0;
    }
    return reg_write(a, reg, (uint32_t)value) ? 0 : -1;
}

static int base_write(struct apic *a, uint64_t value)
{
    unsigned was = (unsigned)a->base & (BASE_ENABLE | BASE_EXTD);
    unsigned now = (unsigned)value & (BASE_ENABLE | BASE_EXTD);
    if ((value & 0x2ff) || value >> APIC_BASE_BITS || now == BASE_EXTD ||
        (now & BASE_EXTD && !a->prop_x2apic))
        return -1;
    /* x2APIC mode is entered from xAPIC mode and left only by turning the APIC off. */
    if (was != now && (now & BASE_EXTD) && was != BASE_ENABLE)
        return -1;
    if ((was & BASE_EXTD) && now == BASE_ENABLE)
        return -1;
    a->base = value;
    if ((was & BASE_ENABLE) && !now) {
        apic_init_reset(a->dev);
        a->id = a->prop_id;
    }
    if (now & BASE_EXTD && !(was & BASE_EXTD))
        a->id = a->prop_id;
    weir_region_move(a->region, value & ~0xfffull);
    weir_region_enable(a->region, now == BASE_ENABLE);
    apic_update(a);
    return 0;
}

int apic_msr_read(weir_dev *dev, uint32_t msr, uint64_t *value)
{
    struct apic *a = weir_dev_state(dev);
    if (msr == MSR_APIC_BASE)
        *value = a->base;
    else if (msr == MSR_TSC_DEADLINE)
        *value = a->tsc_deadline;
    else if (!apic_x2(a) || msr < MSR_X2APIC || msr > MSR_X2APIC + 0xff)
        return -1;
    else
        return x2_read(a, msr - MSR_X2APIC, value);
    return 0;
}

int apic_msr_write(weir_dev *dev, uint32_t msr, uint64_t value)
{
    struct apic *a = weir_dev_state(dev);
    if (msr == MSR_APIC_BASE)
        return base_write(a, value);
    if (msr == MSR_TSC_DEADLINE) {
        if (apic_timer_mode(a) != TIMER_TSC_DEADLINE)
            return 0;
        apic_timer_catch_up(a);
        a->tsc_deadline = value;
        apic_timer_schedule(a);
        return 0;
    }
    if (!apic_x2(a) || msr < MSR_X2APIC || msr > MSR_X2APIC + 0xff)
        return -1;
    return x2_write(a, msr - MSR_X2APIC, value);
}

/* ---- info ---- */

static void info_lvt(const struct apic *a, unsigned entry, const char *name,
                     struct weir_text *out)
{
    static const char *const modes[] = {"Fixed", "LowPri", "SMI",  "?",
                                        "NMI",   "INIT",   "SIPI", "ExtINT"};
    static const char *const timer[] = {"one-shot", "periodic", "tsc-deadline", "?"};
    uint32_t lvt = a->lvt[entry];
    weir_textf(out, "%-8s 0x%08x %s %-5s %-6s %-12s %-6s", name, lvt,
               lvt & 0x2000 ? "active-lo" : "active-hi", lvt & LVT_LEVEL ? "level" : "edge",
               lvt & LVT_MASKED ? "masked" : "", entry == LVT_TIMER ? timer[lvt >> 17 & 3] : "",
               entry == LVT_TIMER ? "Fixed" : modes[lvt >> 8 & 7]);
    if ((lvt >> 8 & 7) == APIC_FIXED)
        weir_textf(out, " (vec %u)", lvt & 0xff);
    weir_textf(out, "\n");
}

static void info_bits(const uint32_t *words, const uint32_t *tmr, const char *name,
                      struct weir_text *out)
{
    bool any = false;
    weir_textf(out, "%-8s", name);
    for (unsigned v = 0; v < 256; v++) {
        if (!(words[v >> 5] >> (v & 31) & 1))
            continue;
        any = true;
        weir_textf(out, " %u%s", v, tmr && (tmr[v >> 5] >> (v & 31) & 1) ? "(level)" : "");
    }
    weir_textf(out, "%s\n", any ? "" : " (none)");
}

void apic_info(void *state, struct weir_text *out)
{
    struct apic *a = state;
    static const uint16_t divisors[8] = {2, 4, 8, 16, 32, 64, 128, 1};
    weir_textf(out, "dumping local APIC state for CPU %u\n\n", a->prop_id);
    info_lvt(a, LVT_LINT0, "LVT0", out);
    info_lvt(a, LVT_LINT1, "LVT1", out);
    info_lvt(a, LVT_PERF, "LVTPC", out);
    info_lvt(a, LVT_ERROR, "LVTERR", out);
    info_lvt(a, LVT_THERMAL, "LVTTHMR", out);
    info_lvt(a, LVT_TIMER, "LVTT", out);
    weir_textf(out, "Timer    DCR=0x%x (divide by %u) initial_count = %u current_count = %u\n",
               a->divide, divisors[(a->divide & 3) | (a->divide >> 1 & 4)], a->initial_count,
               apic_timer_count(a));
    weir_textf(out, "SPIV     0x%08x APIC %s, focus=%s, spurious vec %u\n", a->svr,
               a->svr & SVR_ENABLE ? "enabled" : "disabled", a->svr & 0x200 ? "off" : "on",
               a->svr & 0xff);
    weir_textf(out, "ICR      0x%016llx\n", (unsigned long long)a->icr);
    weir_textf(out, "ESR      0x%08x\n", a->esr);
    info_bits(a->isr, NULL, "ISR", out);
    info_bits(a->irr, a->tmr, "IRR", out);
    weir_textf(out, "\nBASE 0x%llx ID %u TPR 0x%02x DFR 0x%02x LDR 0x%02x PPR 0x%02x\n",
               (unsigned long long)a->base, a->id, a->tpr, a->dfr >> 28, ldr_read(a) >> 24,
               apic_ppr(a));
}
