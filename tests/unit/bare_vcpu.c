/* SPDX-License-Identifier: MIT */
/*
 * bare_vcpu.c - see bare_vcpu.h. The engine is no part of these tests: its entry points are
 * weak here, so that a test program contains what it tests and no more.
 */
#include "bare_vcpu.h"

#include <stdlib.h>

__attribute__((weak)) void blocks_invalidate(struct vcpu *c, uint64_t gpa, uint64_t length)
{
    struct bare *b = container_of(c, struct bare, cpu);
    b->invalidated_gpa = gpa;
    b->invalidated_length = length;
    b->invalidations++;
}
__attribute__((weak)) int blocks_init(struct vcpu *c)
{
    return 0;
}
__attribute__((weak)) void blocks_fini(struct vcpu *c) {}
static uint64_t mmio_read(void *state, uint64_t offset, unsigned size)
{
    struct bare *b = state;
    uint64_t v = load_le(b->mmio + offset, size);
    if (b->access_count < ARRAY_SIZE(b->accesses))
        b->accesses[b->access_count++] = (struct bare_access){offset, v, size, false};
    return v;
}

static void mmio_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    struct bare *b = state;
    store_le(b->mmio + offset, value, size);
    if (b->access_count < ARRAY_SIZE(b->accesses))
        b->accesses[b->access_count++] = (struct bare_access){offset, value, size, true};
}

static const struct weir_io_ops mmio_ops = {.read = mmio_read, .write = mmio_write};

static void log_text(void *ctx, enum weir_log_item item, const char *text, size_t length)
{
    struct bare *b = ctx;
    (void)item;
    if (length > sizeof(b->log_text) - 1 - b->log_length)
        length = sizeof(b->log_text) - 1 - b->log_length;
    memcpy(b->log_text + b->log_length, text, length);
    b->log_length += length;
    b->log_text[b->log_length] = '\0';
}

struct bare *bare_new(const char *model)
{
    struct bare *b = NULL;
    if (posix_memalign((void **)&b, 64, sizeof(*b)))
        fail();
    memset(b, 0, sizeof(*b));
    struct vcpu *c = &b->cpu;
    log_init(&b->log, log_text, b);
    clock_init(&b->clock, CLOCK_MANUAL);
    pthread_mutex_init(&b->lock, NULL);
    assert_int_equal(bus_init(&b->mem, "memory", (1ull << 46) - 1), 0);
    assert_int_equal(bus_init(&b->io, "io", 0xffff), 0);
    assert_int_equal(ram_init(&b->ram, BARE_RAM_BYTES, &b->err), 0);
    assert_non_null(
        bus_map_memory(&b->mem, 0, BARE_RAM_BYTES, b->ram.base, b->ram.tags, false, 0, "ram"));
    assert_non_null(bus_map_io(&b->mem, BARE_MMIO, BARE_MMIO_BYTES, &mmio_ops, b, 0, "device"));
    c->mem = &b->mem;
    c->io = &b->io;
    c->ram = &b->ram;
    c->clock = &b->clock;
    c->log = &b->log;
    c->device_lock = &b->lock;
    c->tsc_hz = 1000000000;
    if (vcpu_init(c, model, &b->err) != 0)
        fail_msg("%s", b->err.text);
    vcpu_reset(c, false);
    return b;
}

void bare_free(struct bare *b)
{
    vcpu_fini(&b->cpu);
    ram_fini(&b->ram);
    bus_fini(&b->mem);
    bus_fini(&b->io);
    clock_fini(&b->clock);
    log_fini(&b->log);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

void bare_descriptor(struct bare *b, uint16_t selector, uint32_t base, uint32_t limit20,
                     uint16_t attr)
{
    uint64_t at = BARE_GDT + (selector & 0xfff8);
    bare_put(b, at, 4, (limit20 & 0xffff) | base << 16);
    bare_put(b, at + 4, 4,
             (base >> 16 & 0xff) | (uint32_t)attr << 8 | (limit20 & 0xf0000) |
                 (base & 0xff000000));
}

void bare_gate(struct bare *b, uint64_t at, uint16_t selector, uint32_t offset,
               uint8_t type_dpl, uint8_t params)
{
    bare_put(b, at, 4, (offset & 0xffff) | (uint32_t)selector << 16);
    bare_put(b, at + 4, 4, (offset & 0xffff0000) | (uint32_t)type_dpl << 8 | params);
}

void bare_idt(struct bare *b, unsigned vector, uint16_t selector, uint32_t offset,
              uint8_t type_dpl_p)
{
    bare_gate(b, BARE_IDT + vector * 8, selector, offset, type_dpl_p, 0);
}

void bare_idt64(struct bare *b, unsigned vector, uint16_t selector, uint64_t offset,
                uint8_t type_dpl_p, unsigned ist)
{
    uint64_t at = BARE_IDT + vector * 16;
    bare_gate(b, at, selector, (uint32_t)offset, type_dpl_p, (uint8_t)ist);
    bare_put(b, at + 8, 8, offset >> 32);
}

static void load(struct bare *b, unsigned seg, uint16_t selector)
{
    struct descriptor d;
    assert_int_equal(descriptor_read(&b->cpu, selector, &d), DESCRIPTOR_OK);
    segment_set(&b->cpu, seg, selector, &d);
}

void bare_protected(struct bare *b)
{
    struct vcpu *c = &b->cpu;
    bare_descriptor(b, SEL_CODE0, 0, 0xfffff, 0xc09b);
    bare_descriptor(b, SEL_DATA0, 0, 0xfffff, 0xc093);
    bare_descriptor(b, SEL_CODE3, 0, 0xfffff, 0xc0fb);
    bare_descriptor(b, SEL_DATA3, 0, 0xfffff, 0xc0f3);
    bare_descriptor(b, SEL_TSS, BARE_TSS, 0x2fff, 0x008b);
    bare_descriptor(b, SEL_CODE64, 0, 0xfffff, 0xa09b);
    bare_put(b, BARE_TSS + 4, 4, 0x8000);
    bare_put(b, BARE_TSS + 8, 2, SEL_DATA0);
    c->gdtr = (struct table_register){BARE_GDT, 0xff};
    c->idtr = (struct table_register){BARE_IDT, 0x7ff};
    c->cr0 = CR0_PE | CR0_ET;
    c->cpl = 0;
    cpu_mode_update(c);
    load(b, SEG_CS, SEL_CODE0);
    load(b, SEG_TR, SEL_TSS);
    static const uint8_t data[] = {SEG_ES, SEG_SS, SEG_DS, SEG_FS, SEG_GS};
    for (unsigned k = 0; k < ARRAY_SIZE(data); k++)
        load(b, data[k], SEL_DATA0);
    c->gpr[RSP] = 0x9000;
    c->rip = 0x10000;
    cpu_mode_update(c);
}

void bare_user(struct bare *b)
{
    struct vcpu *c = &b->cpu;
    bare_protected(b);
    load(b, SEG_CS, SEL_CODE3);
    static const uint8_t data[] = {SEG_ES, SEG_SS, SEG_DS, SEG_FS, SEG_GS};
    for (unsigned k = 0; k < ARRAY_SIZE(data); k++)
        load(b, data[k], SEL_DATA3);
    c->cpl = 3;
    c->gpr[RSP] = 0x7000;
    cpu_mode_update(c);
}

void bare_long(struct bare *b)
{
    struct vcpu *c = &b->cpu;
    bare_protected(b);
    bare_put(b, 0x100000, 8, 0x101000 | PAGE_P | PAGE_W | PAGE_U);
    bare_put(b, 0x101000, 8, 0x102000 | PAGE_P | PAGE_W | PAGE_U);
    for (unsigned k = 0; k < 512; k++)
        bare_put(b, 0x102000 + 8 * k, 8,
                 (uint64_t)k << 21 | PAGE_P | PAGE_W | PAGE_U | PAGE_PS);
    bare_put(b, BARE_TSS + 4, 8, 0x8000);
    bare_put(b, BARE_TSS + 0x24, 8, 0xa000);
    c->cr3 = 0x100000;
    c->cr4 = CR4_PAE;
    c->efer = EFER_LME | EFER_LMA | EFER_SCE;
    c->cr0 |= CR0_PG;
    c->idtr.limit = 0xfff;
    bare_descriptor(b, SEL_TSS + 8, 0, 0, 0);
    load(b, SEG_CS, SEL_CODE64);
    tlb_flush_all(c);
    cpu_mode_update(c);
}
