/* SPDX-License-Identifier: MIT */
/* harness.c - see harness.h. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- wires ---- */

static void gsi_set(void *ctx, int n, int level)
{
    struct harness *h = ctx;
    h->rig->edges[n] += level && !h->rig->level[n];
    h->rig->level[n] = level;
    if (n < 16)
        pic_input(h->pic, (unsigned)n, level);
    if (n != 2)
        ioapic_input(h->ioapic, n ? (unsigned)n : 2, level);
}
static void pic_int(void *ctx, int n, int level)
{
    (void)n;
    apic_lint0(((struct harness *)ctx)->apic, level);
}
static void cpu_intr(void *ctx, int level)
{
    ((struct harness *)ctx)->intr = level;
}
static void cpu_nmi(void *ctx)
{
    ((struct harness *)ctx)->nmis++;
}
static void cpu_init(void *ctx)
{
    ((struct harness *)ctx)->inits++;
}
static void cpu_smi(void *ctx)
{
    ((struct harness *)ctx)->smis++;
}
static void cpu_sipi(void *ctx, unsigned vector)
{
    ((struct harness *)ctx)->sipi = (int)vector;
}
static int inta(void *ctx)
{
    return pic_acknowledge(((struct harness *)ctx)->pic);
}
static void eoi(void *ctx, unsigned vector)
{
    ioapic_eoi(((struct harness *)ctx)->ioapic, vector);
}
static uint64_t tsc_to_ns(void *ctx, uint64_t tsc)
{
    uint64_t offset = ((struct harness *)ctx)->tsc_offset;
    return tsc > offset ? tsc - offset : 0;
}
static void taken(void *ctx, unsigned vector)
{
    irq_paths_taken(&((struct harness *)ctx)->paths, vector);
}
static void deliver(void *ctx, const struct apic_message *message)
{
    apic_deliver(((struct harness *)ctx)->apic, message);
}
static void legacy(void *ctx, bool on)
{
    struct harness *h = ctx;
    pit_irq_disable(h->pit, on);
    rtc_irq_disable(h->rtc, on);
}

/* ---- life ---- */

struct harness *harness_new(void)
{
    struct harness *h = calloc(1, sizeof(*h));
    char props[64];
    h->rig = rig_new();
    h->sipi = -1;
    for (int n = 0; n < 24; n++)
        h->rig->vm->gsi[n] = (struct weir_line){gsi_set, h, n};
    h->pic = rig_add(h->rig, &pic_8259_class, NULL);
    h->ioapic = rig_add(h->rig, &ioapic_class, NULL);
    h->apic = rig_add(h->rig, &apic_class, NULL);
    const struct apic_wires wires = {.ctx = h,
                                     .intr = cpu_intr,
                                     .nmi = cpu_nmi,
                                     .init = cpu_init,
                                     .smi = cpu_smi,
                                     .sipi = cpu_sipi,
                                     .pic_acknowledge = inta,
                                     .eoi = eoi,
                                     .tsc_to_ns = tsc_to_ns,
                                     .taken = taken};
    apic_connect(h->apic, &wires);
    pic_connect(h->pic, (struct weir_line){pic_int, h, 0});
    ioapic_connect(h->ioapic, deliver, h);
    h->pit = rig_add(h->rig, &pit_8254_class, NULL);
    snprintf(props, sizeof(props), "base=%llu", (unsigned long long)HARNESS_RTC_BASE);
    h->rtc = rig_add(h->rig, &rtc_146818_class, props);
    h->hpet = rig_add(h->rig, &hpet_class, NULL);
    hpet_connect(h->hpet, legacy, h);
    h->paths = (struct irq_paths){h->pic, h->ioapic, h->apic, h->pit, h->rtc, h->hpet};
    irq_paths_connect(&h->paths);
    rig_add(h->rig, &port92_class, NULL);
    return h;
}

void harness_free(struct harness *h)
{
    rig_free(h->rig);
    free(h);
}
int harness_setup(void **state)
{
    *state = harness_new();
    return 0;
}
int harness_teardown(void **state)
{
    harness_free(*state);
    return 0;
}

uint32_t read32(struct harness *h, uint64_t gpa)
{
    return (uint32_t)bus_read(&h->rig->vm->mem, gpa, 4);
}
void write32(struct harness *h, uint64_t gpa, uint32_t value)
{
    bus_write(&h->rig->vm->mem, gpa, value, 4);
}

uint64_t ioapic_entry(struct harness *h, unsigned pin)
{
    write32(h, IOAPIC_BASE, 0x10 + 2 * pin);
    uint64_t low = read32(h, IOAPIC_BASE + 0x10);
    write32(h, IOAPIC_BASE, 0x11 + 2 * pin);
    return low | (uint64_t)read32(h, IOAPIC_BASE + 0x10) << 32;
}
void ioapic_set_entry(struct harness *h, unsigned pin, uint64_t entry)
{
    write32(h, IOAPIC_BASE, 0x11 + 2 * pin);
    write32(h, IOAPIC_BASE + 0x10, (uint32_t)(entry >> 32));
    write32(h, IOAPIC_BASE, 0x10 + 2 * pin);
    write32(h, IOAPIC_BASE + 0x10, (uint32_t)entry);
}

void pic_setup(struct harness *h, unsigned icw4)
{
    for (unsigned i = 0; i < 2; i++) {
        unsigned port = i ? 0xa0 : 0x20;
        out8(h, port, 0x11);
        out8(h, port + 1, i ? 0x28 : 0x20);
        out8(h, port + 1, i ? 2 : 4);
        out8(h, port + 1, icw4);
        out8(h, port + 1, 0);
    }
}

/* ---- fields ---- */

/* Calls fn for the bytes of every field; stops when it returns true. */
typedef bool field_fn(void *ctx, const char *name, const void *bytes, size_t count);
static bool walk(const uint8_t *state, const struct weir_field *f, field_fn *fn, void *ctx)
{
    bool stop = false;
    for (; f && f->name && !stop; f++) {
        const uint8_t *at = state + f->offset;
        if (f->kind == WEIR_FIELD_TIMER)
            stop = fn(ctx, f->name, &((const struct weir_timer *)at)->deadline_ns, 8);
        else if (f->kind == WEIR_FIELD_BUFFER)
            stop = fn(ctx, f->name, *(void *const *)at, f->size);
        else if (f->kind != WEIR_FIELD_STRUCT)
            stop = fn(ctx, f->name, at, (size_t)f->size * f->count);
        for (uint32_t i = 0; f->kind == WEIR_FIELD_STRUCT && i < f->count && !stop; i++)
            stop = walk(at + (size_t)i * f->size, f->sub, fn, ctx);
    }
    return stop;
}

struct image {
    uint8_t *bytes;
    size_t count;
};
static bool append(void *ctx, const char *name, const void *bytes, size_t count)
{
    struct image *image = ctx;
    image->bytes = realloc(image->bytes, image->count + count);
    if (!image->bytes)
        abort();
    memcpy(image->bytes + image->count, bytes, count);
    image->count += count;
    return false;
}

uint8_t *fields_image(weir_dev *dev, size_t *bytes)
{
    struct image image = {NULL, 0};
    walk(dev->state, dev->cls->fields, append, &image);
    *bytes = image.count;
    return image.bytes;
}

struct difference {
    const uint8_t *a, *b;
    size_t at;
    const char *name;
};
static bool compare(void *ctx, const char *name, const void *bytes, size_t count)
{
    struct difference *d = ctx;
    if (memcmp(d->a + d->at, d->b + d->at, count)) {
        d->name = name;
        return true;
    }
    d->at += count;
    return false;
}

const char *fields_difference(weir_dev *dev, const uint8_t *a, const uint8_t *b)
{
    struct difference d = {a, b, 0, NULL};
    walk(dev->state, dev->cls->fields, compare, &d);
    return d.name;
}

/* ---- terminal ---- */

static void terminal_write(void *ctx, const uint8_t *data, size_t length)
{
    struct terminal *t = ctx;
    for (size_t i = 0; i < length && t->count < sizeof(t->sent); i++)
        t->sent[t->count++] = data[i];
}

void terminal_new(struct rig *rig, const char *id, struct terminal *t)
{
    struct char_node *node = calloc(1, sizeof(*node));
    *t = (struct terminal){.chr = char_new_callback(id, terminal_write, t)};
    if (!node || !t->chr)
        abort();
    node->chr = t->chr;
    node->next = rig->vm->chars;
    rig->vm->chars = node;
}
