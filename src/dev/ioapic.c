/* SPDX-License-Identifier: MIT */
/*
 * ioapic.c - an 82093AA I/O APIC with 24 pins and the EOI register of its successors, at
 * FEC00000h. Spec: Intel 290566; ICH data sheets for the EOI register.
 *
 * `level` is 1 when a device asserts its line: the polarity bit is kept for the guest only.
 * Edges on a masked pin are lost, as the data sheet says. Invariant: remote IRR is set only in
 * level-triggered entries.
 */
#include "base/bits.h"
#include "dev/chips.h"

enum { PINS = 24 };
enum { REG_SELECT = 0x00, REG_WINDOW = 0x10, REG_EOI = 0x40 };
enum { INDEX_ID, INDEX_VERSION, INDEX_ARBITRATION, INDEX_ENTRIES = 0x10 };
enum {
    ENTRY_LOGICAL = 1 << 11,
    ENTRY_REMOTE_IRR = 1 << 14,
    ENTRY_LEVEL = 1 << 15,
    ENTRY_MASKED = 1 << 16,
};
#define ENTRY_WRITABLE 0xff0000000001afffull
#define VERSION        (0x20u | (PINS - 1) << 16)

struct ioapic {
    uint64_t entry[PINS];
    uint32_t lines; /* levels of the pins */
    uint8_t select, id;
    weir_dev *dev;
    void (*deliver)(void *ctx, const struct apic_message *message);
    void *ctx;
};

static void send(const struct ioapic *s, uint64_t entry)
{
    const struct apic_message message = {.destination = (uint32_t)(entry >> 56),
                                         .vector = (uint8_t)entry,
                                         .delivery = entry >> 8 & 7,
                                         .logical = entry & ENTRY_LOGICAL,
                                         .level = entry & ENTRY_LEVEL};
    if (s->deliver)
        s->deliver(s->ctx, &message);
}

/* Sends for a level-triggered pin that is up and waits for no EOI. */
static void service_level(struct ioapic *s, unsigned pin)
{
    uint64_t e = s->entry[pin];
    if (!(s->lines & BIT(pin)) || !(e & ENTRY_LEVEL) || (e & (ENTRY_MASKED | ENTRY_REMOTE_IRR)))
        return;
    s->entry[pin] |= ENTRY_REMOTE_IRR;
    send(s, e);
}

void ioapic_connect(weir_dev *dev,
                    void (*deliver)(void *ctx, const struct apic_message *message), void *ctx)
{
    struct ioapic *s = weir_dev_state(dev);
    s->deliver = deliver;
    s->ctx = ctx;
}

void ioapic_input(weir_dev *dev, unsigned pin, int level)
{
    struct ioapic *s = weir_dev_state(dev);
    if (pin >= PINS)
        return;
    bool rose = level && !(s->lines & BIT(pin));
    s->lines = level ? s->lines | BIT(pin) : s->lines & ~BIT(pin);
    uint64_t e = s->entry[pin];
    if (e & ENTRY_LEVEL)
        service_level(s, pin);
    else if (rose && !(e & ENTRY_MASKED))
        send(s, e);
}

void ioapic_eoi(weir_dev *dev, unsigned vector)
{
    struct ioapic *s = weir_dev_state(dev);
    for (unsigned pin = 0; pin < PINS; pin++) {
        uint64_t *e = &s->entry[pin];
        if (!(*e & ENTRY_REMOTE_IRR) || (*e & 0xff) != vector)
            continue;
        *e &= ~(uint64_t)ENTRY_REMOTE_IRR;
        service_level(s, pin);
    }
}

int ioapic_edge_vector(weir_dev *dev, unsigned pin)
{
    const struct ioapic *s = weir_dev_state(dev);
    uint64_t e = pin < PINS ? s->entry[pin] : ENTRY_MASKED;
    bool has_vector = (e >> 8 & 7) <= APIC_LOWEST;
    return e & (ENTRY_MASKED | ENTRY_LEVEL) || !has_vector ? -1 : (int)(e & 0xff);
}

/* ---- registers ---- */

static uint32_t window_read(const struct ioapic *s)
{
    unsigned n = s->select - INDEX_ENTRIES;
    switch (s->select) {
    case INDEX_ID:
    case INDEX_ARBITRATION:
        return (uint32_t)s->id << 24;
    case INDEX_VERSION:
        return VERSION;
    default:
        if (s->select < INDEX_ENTRIES || n >= 2 * PINS)
            return 0;
        return (uint32_t)(s->entry[n / 2] >> (n & 1 ? 32 : 0));
    }
}

static void write_entry(struct ioapic *s, unsigned n, uint32_t value)
{
    uint64_t *e = &s->entry[n / 2];
    unsigned shift = n & 1 ? 32 : 0;
    uint64_t writable = ENTRY_WRITABLE & 0xffffffffull << shift;
    *e = (*e & ~writable) | ((uint64_t)value << shift & writable);
    if (!(*e & ENTRY_LEVEL))
        *e &= ~(uint64_t)ENTRY_REMOTE_IRR; /* how an EOI is forced by software */
    service_level(s, n / 2);
}

static void window_write(struct ioapic *s, uint32_t value)
{
    if (s->select == INDEX_ID)
        s->id = value >> 24 & 15;
    else if (s->select >= INDEX_ENTRIES && s->select < INDEX_ENTRIES + 2 * PINS)
        write_entry(s, s->select - INDEX_ENTRIES, value);
}

static uint64_t ioapic_read(void *state, uint64_t offset, unsigned size)
{
    const struct ioapic *s = state;
    if (offset == REG_SELECT)
        return s->select;
    return offset == REG_WINDOW ? window_read(s) : 0;
}

static void ioapic_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    struct ioapic *s = state;
    switch (offset) {
    case REG_SELECT:
        s->select = (uint8_t)value;
        break;
    case REG_WINDOW:
        window_write(s, (uint32_t)value);
        break;
    case REG_EOI:
        ioapic_eoi(s->dev, value & 0xff);
        break;
    default:
        break;
    }
}

static const struct weir_io_ops ioapic_ops = {ioapic_read, ioapic_write, 1, 4, false};

/* ---- life ---- */

static int ioapic_init(weir_dev *dev, void *state)
{
    ((struct ioapic *)state)->dev = dev;
    if (!weir_map_memory(dev, 0xfec00000, 4096, &ioapic_ops, 0, "ioapic"))
        return weir_dev_fail(dev, WEIR_ENOMEM, "out of memory");
    return 0;
}

static void ioapic_reset(void *state)
{
    struct ioapic *s = state;
    for (unsigned pin = 0; pin < PINS; pin++)
        s->entry[pin] = ENTRY_MASKED;
    s->select = s->id = 0;
}

static int ioapic_loaded(void *state)
{
    struct ioapic *s = state;
    s->lines &= BIT(PINS) - 1;
    s->id &= 15;
    for (unsigned pin = 0; pin < PINS; pin++) {
        s->entry[pin] &= ENTRY_WRITABLE | ENTRY_REMOTE_IRR;
        if (!(s->entry[pin] & ENTRY_LEVEL))
            s->entry[pin] &= ~(uint64_t)ENTRY_REMOTE_IRR;
    }
    return 0;
}

static void info_pins(const char *name, uint32_t pins, struct weir_text *out)
{
    weir_textf(out, "  %-10s", name);
    for (unsigned pin = 0; pin < PINS; pin++)
        if (pins & BIT(pin))
            weir_textf(out, " %u", pin);
    weir_textf(out, "%s\n", pins ? "" : " (none)");
}

static void ioapic_info(void *state, struct weir_text *out)
{
    static const char *const modes[] = {"fixed", "lowest", "SMI",  "...",
                                        "NMI",   "INIT",   "SIPI", "ExtINT"};
    const struct ioapic *s = state;
    uint32_t remote_irr = 0;
    weir_textf(out, "ioapic0: ver=0x%x id=0x%02x sel=0x%02x\n", VERSION & 0xff, s->id,
               s->select);
    for (unsigned pin = 0; pin < PINS; pin++) {
        uint64_t e = s->entry[pin];
        if (e & ENTRY_REMOTE_IRR)
            remote_irr |= BIT(pin);
        weir_textf(out, "  pin %-2u 0x%016llx dest=%x vec=%-3u %s %-5s %-6s %-6s %s\n", pin,
                   (unsigned long long)e, (unsigned)(e >> 56), (unsigned)e & 0xff,
                   e & 0x2000 ? "active-lo" : "active-hi", e & ENTRY_LEVEL ? "level" : "edge",
                   e & ENTRY_MASKED ? "masked" : "", modes[e >> 8 & 7],
                   e & ENTRY_LOGICAL ? "logical" : "physical");
    }
    info_pins("IRR", s->lines, out);
    info_pins("Remote IRR", remote_irr, out);
}

static const struct weir_field ioapic_fields[] = {
    WEIR_FIELD_ARRAY(struct ioapic, entry),
    WEIR_FIELD(struct ioapic, lines),
    WEIR_FIELD(struct ioapic, select),
    WEIR_FIELD(struct ioapic, id),
    WEIR_FIELD_END,
};

const struct weir_dev_class ioapic_class = {
    .name = "ioapic",
    .help = "I/O APIC",
    .bus = "system",
    .state_bytes = sizeof(struct ioapic),
    .version = 1,
    .init = ioapic_init,
    .reset = ioapic_reset,
    .loaded = ioapic_loaded,
    .info = ioapic_info,
    .fields = ioapic_fields,
};
