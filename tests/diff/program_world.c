/* SPDX-License-Identifier: MIT */
/*
 * program_world.c - the machine that random programs run on: RAM, a ROM, a device that logs what
 * is done to it, page tables, descriptor tables and handlers; and the engines.
 *
 * A world lives long and is only put back into its first state between programs, so that an
 * engine's caches see many programs: what it forgets to drop shows.
 */
#include "program_world.h"

#include <stdlib.h>
#include <sys/mman.h>
#include "cpu/cpuid.h"
#include "cpu/fpu.h"
#include "cpu/interp/blocks.h"
#include "jit/jit.h"
#include "../unit/host_low.h"

/* ---- modes ---- */

// clang-format off
const struct program_mode program_modes[] = {
    {"long", 64, 0, PAGING_LONG, false, false, false},
    {"long-user", 64, 3, PAGING_LONG, false, false, false},
    {"compat", 32, 0, PAGING_LONG, false, false, false},
    {"compat-user", 32, 3, PAGING_LONG, false, false, false},
    {"pae", 32, 0, PAGING_PAE, false, false, false},
    {"pae-user", 32, 3, PAGING_PAE, false, false, false},
    {"32", 32, 0, PAGING_32, false, false, false},
    {"32-user", 32, 3, PAGING_32, false, false, false},
    {"unpaged", 32, 0, PAGING_NONE, false, false, false},
    {"segments", 32, 0, PAGING_32, true, false, false},
    {"segments-user", 32, 3, PAGING_PAE, true, false, false},
    {"16", 16, 0, PAGING_NONE, true, false, false},
    {"16-user", 16, 3, PAGING_32, true, false, false},
    {"real", 16, 0, PAGING_NONE, true, true, false},
    {"v86", 16, 3, PAGING_32, true, false, true},
};
// clang-format on
const unsigned program_mode_count = ARRAY_SIZE(program_modes);

/* ---- devices ---- */

static void device_log(struct world *w, struct device_access a)
{
    if (w->access_count < DEVICE_LOG)
        w->accesses[w->access_count] = a;
    if (w->access_count++ % 8 == 7)
        cpu_attention(&w->cpu, ATTENTION_STOP); /* engines must leave, and come back */
}
/* Depends on the order of accesses, so that one too many changes what follows. */
static uint64_t device_read(struct world *w, uint64_t address, unsigned size, bool is_port)
{
    if (!is_port && (world_at(w) & 0x1ff000) == PAGE_MMIO)
        w->device_fetched = true;
    uint64_t state = address << 20 ^ size << 10 ^ w->access_count;
    uint64_t value = program_random(&state) & mask_bytes(size);
    device_log(w, (struct device_access){address, value, (uint8_t)size, false, is_port});
    return value;
}
static uint64_t mmio_read(void *w, uint64_t offset, unsigned size)
{
    return device_read(w, offset, size, false);
}
static void mmio_write(void *w, uint64_t offset, uint64_t value, unsigned size)
{
    device_log(w, (struct device_access){offset, value, (uint8_t)size, true, false});
}
static uint64_t port_read(void *w, uint64_t offset, unsigned size)
{
    return device_read(w, offset, size, true);
}
static void port_write(void *w, uint64_t offset, uint64_t value, unsigned size)
{
    device_log(w, (struct device_access){offset, value, (uint8_t)size, true, true});
}
static const struct weir_io_ops mmio_ops = {mmio_read, mmio_write, 1, 8, true};
static const struct weir_io_ops port_ops = {port_read, port_write, 1, 4, true};

/* ---- what memory holds before a program ---- */

static unsigned page_rights(unsigned page, unsigned cpl)
{
    switch (page) {
    case PAGE_READ_ONLY:
        return 5;
    case PAGE_ABSENT:
    case PAGE_GUARD:
    case PAGE_END:
        return 0;
    case PAGE_SUPERVISOR:
        return 3;
    default: /* writes to page tables would leave it to the TLB's size what they do */
        return page < PAGE_SYSTEM ? 1 : cpl && page < PAGE_CODE ? 3 : 7;
    }
}

static uint64_t page_frame(unsigned page)
{
    return page == PAGE_CODE_ALIAS ? PAGE_CODE : page == PAGE_RAM_ALIAS ? PAGE_RAM : page;
}

/* At 1000h PML4, then PDPT, page directory, page table; 5000h and 6000h the same in two levels
 * of 4-byte entries; 7000h: PDPT of PAE. */
static void tables_build(uint8_t *m, const struct program_mode *mode)
{
    store_le(m + 0x1000, 0x2007, 8);
    store_le(m + 0x1000 + 8 * 256, 0x2007, 8);
    store_le(m + 0x1000 + 8 * (FAR_ALIAS >> 39), 0x2007, 8);
    store_le(m + 0x2000, 0x3007, 8);
    store_le(m + 0x3000, 0x4007, 8);
    store_le(m + 0x3008, 0x87, 8);
    store_le(m + 0x5000, 0x6007, 4);
    store_le(m + 0x5004, 0x87, 4);
    store_le(m + 0x7000, 0x3001, 8);
    for (unsigned page = 0; page < MEMORY_BYTES; page += 4096) {
        uint64_t entry = page_frame(page) | page_rights(page, mode->cpl);
        if (page == PAGE_RAM + 4096)
            entry |= 0x160; /* global; A and D, as it may stay in TLBs or not */
        store_le(m + 0x6000 + page / 1024, entry, 4);
        if (page == PAGE_NO_EXECUTE)
            entry |= BIT64(63);
        store_le(m + 0x4000 + page / 512, entry, 8);
    }
}

/* The same in the other pages of tables, but for two pages that lead elsewhere. PAE: F000h. */
static void tables_too_build(uint8_t *m, const struct program_mode *mode)
{
    unsigned entry = mode->paging == PAGING_32 ? 4 : 8;
    unsigned from = mode->paging == PAGING_32 ? 0x5000 : 0x1000;
    unsigned pages = mode->paging == PAGING_32 ? 2 : 4;
    memcpy(m + PAGE_TABLES_TOO, m + from, 4096 * pages);
    for (unsigned k = 0; k + 1 < pages; k++) { /* each leads to the next */
        unsigned next = (PAGE_TABLES_TOO + 4096 * (k + 1)) | 7;
        store_le(m + PAGE_TABLES_TOO + 4096 * k, next, entry);
        if (entry == 8 && k == 0) {
            store_le(m + PAGE_TABLES_TOO + 8 * 256, next, 8);
            store_le(m + PAGE_TABLES_TOO + 8 * (FAR_ALIAS >> 39), next, 8);
        }
    }
    store_le(m + 0xf000, (PAGE_TABLES_TOO + 0x2000) | 1, 8);
    uint8_t *table = m + PAGE_TABLES_TOO + 4096 * (pages - 1);
    store_le(table + PAGE_RAM_ALIAS / 4096 * entry, (PAGE_RAM + 0x2000) | 7, entry);
    store_le(table + PAGE_RAM_TOO / 4096 * entry, PAGE_RAM_ALIAS | 7, entry);
}

static void descriptor_put(uint8_t *m, unsigned selector, const struct segment *s)
{
    uint8_t *d = m + PAGE_SYSTEM + (selector & ~7u);
    bool pages = s->limit > 0xfffff;
    uint32_t limit = pages ? s->limit >> 12 : s->limit;
    uint64_t attr = pages ? s->attr | SEG_ATTR_G : s->attr;
    store_le(d, (limit & 0xffff) | (s->base & 0xffffff) << 16, 5);
    store_le(d + 5, (attr & 0xff) | (attr & 0xf000) | (limit >> 16 & 15) << 8, 2);
    store_le(d + 7, s->base >> 24, 1);
}

static struct segment flat(unsigned selector, unsigned attr)
{
    return (struct segment){0, 0xffffffff, (uint16_t)selector, (uint16_t)attr};
}

static void gdt_build(uint8_t *m, const struct program_mode *mode)
{
    // clang-format off
    const struct segment common[] = {
        flat(SEL_CODE64, 0xa09b), flat(SEL_DATA, 0xc093), flat(SEL_CODE32, 0xc09b),
        flat(SEL_USER_CODE32, 0xc0fb), flat(SEL_USER_DATA, 0xc0f3),
        flat(SEL_USER_CODE64, 0xa0fb), flat(SEL_SYSENTER, 0xc09b),
        flat(SEL_SYSENTER + 8, 0xc093),
        flat(SEL_SYSENTER + 16, 0xc0fb), flat(SEL_SYSENTER + 24, 0xc0f3),
        flat(SEL_SYSENTER + 32, 0xa0fb), flat(SEL_SYSENTER + 40, 0xc0f3),
        {TSS_AT, 0x67, SEL_TSS, 0x8b},
    };
    // clang-format on
    for (unsigned n = 0; n < ARRAY_SIZE(common); n++)
        descriptor_put(m, common[n].selector, &common[n]);
    uint8_t *tss = m + TSS_AT;
    store_le(tss + 4, PAGE_STACK0 + 0xff0, mode->paging == PAGING_LONG ? 8 : 4);
    if (mode->paging != PAGING_LONG)
        store_le(tss + 8, SEL_DATA, 2);
    store_le(tss + 0x66, 0x68, 2);
}

/* Interrupt gates that users may call; every fourth is a trap gate. */
static void idt_build(uint8_t *m, const struct program_mode *mode)
{
    for (unsigned v = 0; v < IDT_VECTORS; v++) {
        uint64_t at = PAGE_HANDLERS + v * HANDLER_BYTES;
        uint64_t type = v & 3 ? 0xee : 0xef;
        if (mode->real) {
            store_le(m + 4 * v, at, 4);
            continue;
        }
        bool lm = mode->paging == PAGING_LONG;
        uint8_t *gate = m + IDT_AT + v * (lm ? 16 : 8);
        store_le(gate, at | (uint64_t)(lm ? SEL_CODE64 : SEL_CODE32) << 16 | type << 40, 8);
    }
}

static uint8_t *bytes_put(uint8_t *p, const char *bytes, unsigned length)
{
    memcpy(p, bytes, length);
    return p + length;
}

/* XOR of CR3 between the two address spaces. */
static uint32_t space_bits(const struct program_mode *mode)
{
    static const uint16_t other[] = {0, 0x5000 ^ 0xb000, 0x7000 ^ 0xf000, 0x1000 ^ 0xb000};
    return other[mode->paging];
}

static uint8_t *service_build(uint8_t *p, unsigned vector, const struct program_mode *mode)
{
    if (mode->paging == PAGING_NONE || vector < FLUSH_VECTOR)
        return p;
    *p++ = 0x50; /* push rAX */
    if (vector == FLUSH_ALL_VECTOR) {
        p = bytes_put(p, "\x0f\x20\xe0\x34\x80\x0f\x22\xe0", 8);
        p = bytes_put(p, "\x34\x80\x0f\x22\xe0", 5);
    } else {
        p = bytes_put(p, "\x0f\x20\xd8", 3);
        if (vector == SWITCH_VECTOR) {
            *p++ = 0x35; /* xor eax, imm32 */
            store_le(p, space_bits(mode), 4);
            p += 4;
        }
        p = bytes_put(p, "\x0f\x22\xd8", 3);
    }
    *p++ = 0x58;
    return p;
}

static void handlers_build(uint8_t *m, const struct program_mode *mode)
{
    bool lm = mode->paging == PAGING_LONG;
    for (unsigned v = 0; v < IDT_VECTORS; v++) {
        uint8_t *p = m + PAGE_HANDLERS + v * HANDLER_BYTES;
        *p = 0xf4; /* hlt */
        if (v < RETURNING_FIRST && v != VEC_BP && v != VEC_OF)
            continue;
        if (v & 1)
            *p++ = 0x90;
        p = service_build(p, v, mode);
        if (lm)
            *p++ = 0x48;
        *p = 0xcf; /* iret */
    }
    memcpy(m + SYSCALL_AT, mode->bits == 64 ? "\x48\x0f\x07" : "\x0f\x07", 3);
    memcpy(m + SYSENTER_AT, lm && mode->bits == 64 ? "\x48\x0f\x35" : "\x0f\x35", 3);
}

/* The same for all programs of a mode: made once. */
static const uint8_t *memory_image(const struct program_mode *mode)
{
    static uint8_t *images[32];
    uint8_t **image = &images[mode - program_modes];
    if (*image)
        return *image;
    uint8_t *m = *image = calloc(1, MEMORY_BYTES);
    uint64_t state = 42;
    for (unsigned at = PAGE_READ_ONLY; at < MEMORY_BYTES; at += 8) {
        uint64_t v = program_random(&state), how = program_random(&state) & 7;
        if (how == 0)
            v = 0x3ff0000000000000ull + (v & 0x00ff000000000000ull);
        else if (how == 1)
            v = 0x3f8000003f800000ull + (v & 0x007f0000017f0000ull);
        else if (how == 2)
            v &= 0xff;
        store_le(m + at, v, 8);
    }
    for (unsigned at = 0; at < 64; at += 4) /* MXCSR and FCW that can be loaded */
        store_le(m + PAGE_RAM + at, 0x1f80 | (program_random(&state) & 0xe040), 4);
    if (mode->paging != PAGING_NONE) {
        tables_build(m, mode);
        tables_too_build(m, mode);
    }
    if (!mode->real)
        gdt_build(m, mode);
    idt_build(m, mode);
    handlers_build(m, mode);
    return m;
}

/* ---- life ---- */

static void die(const char *what)
{
    fprintf(stderr, "random_program: %s\n", what);
    exit(2);
}

static void buses_init(struct world *w)
{
    w->rom = aligned_alloc(4096, 4096);
    if (!w->rom || clock_init(&w->clock, CLOCK_MANUAL) < 0 ||
        bus_init(&w->mem, "memory", BIT64(52) - 1) < 0 || bus_init(&w->io, "io", 0xffff) < 0 ||
        ram_init(&w->ram, MEMORY_BYTES, &w->err) < 0)
        die("out of memory");
    if (!bus_map_memory(&w->mem, 0, MEMORY_BYTES, w->ram.base, w->ram.tags, false, 0, "ram") ||
        !bus_map_memory(&w->mem, PAGE_ROM, 4096, w->rom, NULL, true, 1, "rom") ||
        !bus_map_io(&w->mem, PAGE_MMIO, 4096, &mmio_ops, w, 1, "device") ||
        !bus_map_io(&w->io, 0, 0x10000, &port_ops, w, 0, "ports"))
        die("cannot map memory");
    uint64_t state = 7;
    for (unsigned at = 0; at < 4096; at += 8)
        store_le(w->rom + at, program_random(&state), 8);
}

struct world *world_new(const struct engine *engine, const char *model)
{
    /* Not from the heap: the translator needs room near it, and some heaps leave none. */
    struct world *w =
        mmap(NULL, sizeof *w, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (w == MAP_FAILED)
        abort();
    struct vcpu *c = &w->cpu;
    w->engine = engine;
    log_init(&w->log, NULL, NULL);
    pthread_mutex_init(&w->lock, NULL);
    buses_init(w);
    c->mem = &w->mem;
    c->io = &w->io;
    c->ram = &w->ram;
    c->clock = &w->clock;
    c->log = &w->log;
    c->device_lock = &w->lock;
    c->tsc_hz = 1000000000;
    if (vcpu_init(c, model, &w->err) < 0 || (engine->init && engine->init(c, &w->err) < 0))
        die(w->err.text);
    vcpu_reset(c, false);
    w->reset_state = aligned_alloc(64, sizeof(struct vcpu));
    memcpy(w->reset_state, c, sizeof(struct vcpu));
    return w;
}

void world_free(struct world *w)
{
    if (w->engine->fini)
        w->engine->fini(&w->cpu);
    vcpu_fini(&w->cpu);
    bus_fini(&w->mem);
    bus_fini(&w->io);
    ram_fini(&w->ram);
    clock_fini(&w->clock);
    log_fini(&w->log);
    pthread_mutex_destroy(&w->lock);
    free(w->rom);
    free(w->reset_state);
    munmap(w, sizeof *w);
}

/* ---- the state before a program ---- */

/* Copies what differs; code that was there is dropped as if a device had written. */
static void memory_load(struct world *w, const struct program *p)
{
    uint8_t *image = (uint8_t *)(uintptr_t)memory_image(p->mode);
    memcpy(image + PAGE_CODE, p->code, CODE_BYTES);
    if (p->mode->paging == PAGING_LONG) /* PCID 0 and 1 */
        image[PAGE_HANDLERS + SWITCH_VECTOR * HANDLER_BYTES + 5] = p->pcid;
    if (p->mode->segmented && !p->mode->real && !p->mode->v86)
        for (unsigned s = SEG_ES; s <= SEG_GS; s++)
            descriptor_put(image, SEL_OWN + 8 * s, &p->seg[s]);
    for (unsigned page = 0; page < MEMORY_PAGES; page++) {
        uint8_t *at = w->ram.base + page * 4096u;
        if (!memcmp(at, image + page * 4096u, 4096))
            continue;
        memcpy(at, image + page * 4096u, 4096);
        if (w->ram.tags[page])
            blocks_invalidate(&w->cpu, page * 4096u, 4096);
    }
}

static void control_load(struct vcpu *c, const struct program *p)
{
    const struct program_mode *mode = p->mode;
    c->cr0 = CR0_ET | CR0_NE | CR0_MP | CR0_AM;
    c->cr4 = CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_PSE | CR4_PGE;
    if (cpu_has(c, ISA_XSAVE))
        c->cr4 |= CR4_OSXSAVE;
    if (cpu_has(c, ISA_FSGSBASE))
        c->cr4 |= CR4_FSGSBASE;
    c->xcr0 = c->model->xcr0_mask | 1;
    if (!mode->real)
        c->cr0 |= CR0_PE;
    if (mode->paging != PAGING_NONE)
        c->cr0 |= CR0_PG | CR0_WP;
    if (mode->paging >= PAGING_PAE) {
        c->cr4 |= CR4_PAE;
        c->efer |= EFER_NXE;
    }
    c->efer |= EFER_SCE;
    if (mode->paging == PAGING_LONG)
        c->efer |= EFER_LME | EFER_LMA;
    if (p->pcid && cpu_has(c, ISA_PCID))
        c->cr4 |= CR4_PCIDE;
    c->cr0 |= p->cr0_set;
    c->cr4 &= ~(uint64_t)p->cr4_clear;
    if (p->watch) {
        c->dr[0] = p->watch;
        c->dr[7] = DR7_FIXED | 1 | (p->watch & 4 ? 0x10000 : 0x30000);
    }
    static const uint64_t roots[] = {0, 0x5000, 0x7000, 0x1000};
    c->cr3 = roots[mode->paging];
    c->pdpte[0] = mode->paging == PAGING_PAE ? 0x3001 : 0;
}

static void system_load(struct vcpu *c, const struct program *p)
{
    bool lm = p->mode->paging == PAGING_LONG;
    c->gdtr = (struct table_register){PAGE_SYSTEM, GDT_BYTES - 1};
    c->idtr = (struct table_register){p->mode->real ? 0 : IDT_AT, 0x3ff};
    if (!p->mode->real && !lm)
        c->idtr.limit = IDT_VECTORS * 8 - 1;
    c->seg[SEG_TR] = (struct segment){TSS_AT, 0x67, SEL_TSS, 0x8b};
    c->star = (uint64_t)SEL_CODE64 << 32 | (uint64_t)SEL_USER_CODE32 << 48;
    c->lstar = c->cstar = SYSCALL_AT;
    c->sfmask = FLAG_TF | FLAG_IF | FLAG_DF | FLAG_AC;
    c->sysenter_cs = SEL_SYSENTER;
    c->sysenter_esp = PAGE_STACK0 + 0xf00;
    c->sysenter_eip = SYSENTER_AT;
    c->kernel_gs_base = 0x40;
}

/* Numbers of every kind; in small programs most FP exceptions are masked. */
static void fpu_load(struct vcpu *c, uint64_t *state)
{
    struct fpu_state *f = &c->fpu;
    bool avx512 = cpu_has(c, ISA_AVX512F), avx = cpu_has(c, ISA_AVX);
    unsigned bytes = avx512 ? 64 : avx ? 32 : 16;
    for (unsigned n = 0; n < (avx512 ? 32 : 16); n++) {
        uint64_t how = program_random(state) & 3;
        for (unsigned at = 0; at < bytes; at += 8) {
            uint64_t v = program_random(state);
            if (how == 0)
                v = 0x3ff0000000000000ull | (v & 0x80ff0000ff000000ull);
            else if (how == 1)
                v = 0x3f8000003f800000ull | (v & 0x807f0000807f0000ull);
            store_le(f->zmm[n] + at, v, 8);
        }
    }
    for (unsigned n = 0; n < 8 && avx512; n++)
        f->k[n] = program_random(state);
    uint64_t v = program_random(state);
    f->mxcsr = v & 7 ? 0x1f80 | (v >> 8 & 0x6000) : 0x1f80 & ~(1u << (7 + (v >> 8) % 6));
    f->fx.fcw = (uint16_t)(0x37f | (v >> 16 & 0xc00));
    if (!(v >> 24 & 7))
        f->fx.fcw &= (uint16_t) ~(1u << (v >> 32 & 7) % 6);
    f->fx.fsw = (uint16_t)((v >> 40 & 7) << FSW_TOP_SHIFT);
    f->fx.ftw = (uint8_t)(v >> 48);
    for (unsigned n = 0; n < 8; n++) {
        store_le(f->fx.st[n], program_random(state) | BIT64(63), 8);
        store_le(f->fx.st[n] + 8, 0x3fff + program_random(state) % 8 - 4, 2);
    }
}

void world_load(struct world *w, const struct program *p, unsigned run)
{
    struct vcpu *c = &w->cpu;
    uint64_t state = p->seed * 31 + run;
    memcpy(c, w->reset_state, offsetof(struct vcpu, mode));
    c->fault = (struct x86_fault){0};
    c->instructions = 0;
    w->program = p;
    w->access_count = 0;
    w->device_fetched = false;
    memory_load(w, p);
    control_load(c, p);
    system_load(c, p);
    fpu_load(c, &state);
    memcpy(c->seg, p->seg, sizeof p->seg);
    memcpy(c->gpr, p->gpr, sizeof c->gpr);
    for (unsigned n = 0; n < 16 && run; n++)
        if (p->free_gprs & 1u << n)
            c->gpr[n] = program_random(&state) >> (program_random(&state) & 63) &
                        (p->mode->bits == 64 ? ~0ull : 0xffffffff);
    c->flags = (uint32_t)program_random(&state) & FLAGS_ARITH;
    c->rflags_rest = p->rflags_rest;
    bool wide = p->mode->bits == 64;
    c->rip = p->code_linear + p->start - (wide ? 0 : p->seg[SEG_CS].base);
    c->cpl = p->mode->cpl;
    cpu_mode_update(c);
    tlb_flush_all(c);
    if (w->engine->loaded && p->seed % 8) {
        w->engine->loaded(w, p);
        memory_load(w, p);
        tlb_flush_all(c);
        c->fault = (struct x86_fault){0};
    }
}

void world_forget(struct world *w)
{
    blocks_flush(&w->cpu);
    tlb_flush_all(&w->cpu);
}

/* ---- running ---- */

uint64_t world_at(const struct world *w)
{
    return (w->cpu.segc[SEG_CS].base + w->cpu.rip) & w->cpu.linear_mask;
}

enum weir_stop world_run(struct world *w, uint64_t limit)
{
    struct vcpu *c = &w->cpu;
    c->insn_limit = limit;
    cpu_attention_clear(c, ATTENTION_STOP);
    for (unsigned idle = 0; idle < 16; idle++) {
        uint64_t before = c->instructions + w->access_count;
        enum weir_stop stop = w->engine->run(c);
        if (stop >= STOP_HALT)
            return stop;
        if (c->instructions >= limit)
            break;
        cpu_attention_clear(c, ATTENTION_STOP);
        if (c->instructions + w->access_count != before)
            idle = 0;
    }
    return STOP_BOUNDARY;
}

/* One instruction at a time; flags that an instruction leaves undefined become random, as on
 * some other processor. */
static enum weir_stop step_run(struct vcpu *c)
{
    const struct world *w = (const struct world *)c;
    uint64_t limit = c->insn_limit, state = c->instructions;
    enum weir_stop stop = STOP_BOUNDARY;
    while (stop < STOP_HALT && c->instructions < limit) {
        int n = program_item_at(w->program, world_at(w));
        uint64_t before = c->instructions;
        c->insn_limit = before + 1;
        stop = interp_run(c);
        bool done = c->instructions != before;
        if (n >= 0 && done && world_at(w) >= PAGE_CODE)
            c->flags ^= w->program->items[n].flags_undefined & (uint32_t)program_random(&state);
        if (attention_due(c) || (!done && stop == STOP_BOUNDARY))
            break;
    }
    c->insn_limit = limit;
    return stop < STOP_HALT ? STOP_BOUNDARY : stop;
}

static int jit_start(struct vcpu *c, struct err *err)
{
    return jit_init(c, JIT_CODE_BYTES_MIN, err);
}

static int windows_start(struct vcpu *c, struct err *err)
{
    int rc = jit_start(c, err);
    if (rc == 0)
        rc = jit_windows_init(c, err);
    return rc < 0 || jit_windows_always(c) ? rc : err_set(err, WEIR_EUNSUPPORTED, "no windows");
}

/* Those of 32-bit code never at the host's lowest addresses. */
static int windows_gs_start(struct vcpu *c, struct err *err)
{
    host_low_occupy(); /* and stays */
    return windows_start(c, err);
}

/* The blocks of most programs are translated at once. Finding them leaves traces in page tables
 * and TLBs, which world_load removes. */
static void jit_loaded(struct world *w, const struct program *p)
{
    bool starts = true;
    for (unsigned n = 0; n < p->item_count; n++) {
        const struct program_item *t = &p->items[n];
        if ((starts || t->starts_block) && !t->is_data) {
            struct block *b = blocks_lookup(&w->cpu, p->code_linear + t->at);
            if (b)
                b->heat = UINT16_MAX;
        }
        starts = t->target >= 0 || t->no_next;
    }
}

static const struct engine engines[] = {
    {"interp", NULL, NULL, interp_run, NULL},
    {"step", NULL, NULL, step_run, NULL},
    {"jit", jit_start, jit_fini, jit_run, jit_loaded},
    {"windows", windows_start, jit_fini, jit_run, jit_loaded},
    {"windows-gs", windows_gs_start, jit_fini, jit_run, jit_loaded},
};

const struct engine *engine_find(const char *name)
{
    for (unsigned n = 0; n < ARRAY_SIZE(engines); n++)
        if (!strcmp(engines[n].name, name))
            return &engines[n];
    return NULL;
}
