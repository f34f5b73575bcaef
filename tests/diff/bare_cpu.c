/* SPDX-License-Identifier: MIT */
/* bare_cpu.c - see bare_cpu.h. */
#include "bare_cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "cpu/cpuid.h"
#include "cpu/interp/operands.h"
#include "host_cpu.h"

#define TABLES_BYTES 0x10000u

struct fixture {
    struct vcpu cpu;
    struct bus mem, io;
    struct ram ram;
    struct clock clock;
    struct log log;
    pthread_mutex_t lock;
    struct err err;
};

static void die(const char *what)
{
    fprintf(stderr, "bare_cpu: %s\n", what);
    exit(1);
}

/* PML4 at 1000h, PDPT at 2000h, page directory at 3000h, the table of SCRATCH at 4000h. */
static void tables_build(uint8_t *ram)
{
    store_le(ram + 0x1000, 0x2000 | 7, 8);
    store_le(ram + 0x2000, 0x3000 | 7, 8);
    for (unsigned n = 0; n < 512; n++)
        store_le(ram + 0x3000 + 8 * n, (uint64_t)n << 21 | 0x87, 8);
    store_le(ram + 0x3000 + 8 * (SCRATCH >> 21 & 511), 0x4000 | 7, 8);
    for (unsigned n = 0; n < SCRATCH_PAGES - 1; n++)
        store_le(ram + 0x4000 + 8 * n, (SCRATCH + 4096ull * n) | 7, 8);
}

static void mode64(struct vcpu *c)
{
    const struct segment data = {0, 0xffffffff, 0x10, 0xc093};
    for (unsigned n = SEG_ES; n <= SEG_GS; n++)
        c->seg[n] = data;
    c->seg[SEG_CS] = (struct segment){0, 0xffffffff, 8, 0xa09b};
    c->cr0 = CR0_PE | CR0_PG | CR0_NE | CR0_ET | CR0_MP;
    c->cr3 = 0x1000;
    c->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
    if (cpu_has(c, ISA_XSAVE))
        c->cr4 |= CR4_OSXSAVE;
    c->xcr0 = c->model->xcr0_mask | 1;
    c->efer = EFER_LME | EFER_LMA;
    c->rip = 0x1000;
    cpu_mode_update(c);
}

void bare_cpu_mode32(struct vcpu *c)
{
    c->efer = 0;
    c->cr0 &= ~(uint64_t)CR0_PG;
    c->seg[SEG_CS].attr = 0xc09b;
    cpu_mode_update(c);
}

void bare_cpu_mode_real(struct vcpu *c)
{
    c->efer = 0;
    c->cr0 &= ~(uint64_t)(CR0_PG | CR0_PE);
    for (unsigned n = SEG_ES; n <= SEG_GS; n++)
        c->seg[n] = (struct segment){0, 0xffff, 0, 0x93};
    cpu_mode_update(c);
}

struct vcpu *bare_cpu_new(const char *model)
{
    static uint8_t *scratch;
    struct fixture *f = aligned_alloc(64, (sizeof *f + 63) & ~(size_t)63);
    memset(f, 0, sizeof *f);
    if (!scratch) {
        scratch = host_map(SCRATCH, SCRATCH_BYTES);
        mprotect((void *)SCRATCH_END, 4096, PROT_NONE);
    }
    log_init(&f->log, NULL, NULL);
    pthread_mutex_init(&f->lock, NULL);
    if (clock_init(&f->clock, CLOCK_HOST) < 0 ||
        bus_init(&f->mem, "memory", BIT64(52) - 1) < 0 || bus_init(&f->io, "io", 0xffff) < 0 ||
        ram_init(&f->ram, TABLES_BYTES, &f->err) < 0)
        die("out of memory");
    tables_build(f->ram.base);
    if (!bus_map_memory(&f->mem, 0, TABLES_BYTES, f->ram.base, f->ram.tags, false, 0, "ram") ||
        !bus_map_memory(&f->mem, SCRATCH, SCRATCH_BYTES - 4096, scratch, NULL, false, 0,
                        "scratch"))
        die("cannot map memory");
    struct vcpu *c = &f->cpu;
    c->mem = &f->mem;
    c->io = &f->io;
    c->ram = &f->ram;
    c->clock = &f->clock;
    c->log = &f->log;
    c->device_lock = &f->lock;
    c->tsc_hz = 1000000000;
    if (vcpu_init(c, model, &f->err) < 0)
        die(f->err.text);
    vcpu_reset(c, false);
    mode64(c);
    return c;
}

void bare_cpu_free(struct vcpu *c)
{
    struct fixture *f = (struct fixture *)((char *)c - offsetof(struct fixture, cpu));
    vcpu_fini(c);
    bus_fini(&f->mem);
    bus_fini(&f->io);
    ram_fini(&f->ram);
    clock_fini(&f->clock);
    log_fini(&f->log);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

unsigned bare_cpu_bits(const struct vcpu *c)
{
    return 16u << (c->mode & MODE_CODE_MASK);
}

enum weir_stop bare_cpu_run(struct vcpu *c, const uint8_t *bytes, unsigned length)
{
    struct insn i;
    uint64_t rip = c->rip;
    if (decode_insn(&i, bytes, length, bare_cpu_bits(c)) != DECODE_OK || i.length != length)
        return raise_ud(c);
    c->rip += i.length;
    enum weir_stop stop = insn_execute(c, &i);
    if (stop == STOP_FAULT || stop == STOP_REPEAT || stop == STOP_RETRY)
        c->rip = rip;
    return stop;
}
