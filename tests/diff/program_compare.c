/* SPDX-License-Identifier: MIT */
/*
 * program_compare.c - whether two worlds are in the same state behind a program, and what
 * differs. Flags that the program leaves undefined are left out: in the register, and in the
 * frame of the exception that ended the program.
 */
#include "cpu/fpu.h"
#include "program_world.h"

/* ---- flags that are undefined ---- */

static uint32_t undefined_at(const struct program *p, uint64_t linear)
{
    int n = program_item_at(p, linear);
    if (n < 0 && linear == p->code_linear + p->end)
        return FLAGS_ARITH;
    return n < 0 ? FLAGS_ARITH : p->items[n].undefined_before;
}

static bool in_program(const struct world *w, const struct program *p)
{
    return world_at(w) - p->code_linear < CODE_BYTES;
}

/* Physical address of a stack slot. */
static uint64_t slot_address(uint64_t linear)
{
    linear &= 0x1fffff;
    if ((linear & ~0xfffull) == PAGE_RAM_ALIAS)
        linear -= PAGE_RAM_ALIAS - PAGE_RAM;
    return linear < MEMORY_BYTES - 8 ? linear : 0;
}

/* Where a halted handler's frame is: false if no handler has been entered. */
static bool frame_find(const struct world *w, const struct program *p, uint64_t *ip_at,
                       uint64_t *flags_at)
{
    const struct vcpu *c = &w->cpu;
    uint64_t handler = world_at(w) - PAGE_HANDLERS;
    unsigned vector = (unsigned)(handler / HANDLER_BYTES);
    if (handler >= RETURNING_FIRST * HANDLER_BYTES)
        return false;
    bool has_error = vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;
    unsigned size = p->mode->real ? 2 : p->mode->paging == PAGING_LONG ? 8 : 4;
    uint64_t stack_mask = (c->mode & MODE_STACK_MASK) == MODE_STACK16   ? 0xffff
                          : (c->mode & MODE_STACK_MASK) == MODE_STACK32 ? 0xffffffff
                                                                        : ~0ull;
    uint64_t sp = c->gpr[RSP] + (has_error && !p->mode->real ? size : 0);
    uint64_t ss = c->segc[SEG_SS].base;
    *ip_at = slot_address(ss + (sp & stack_mask));
    *flags_at = slot_address(ss + ((sp + 2 * size) & stack_mask));
    return *ip_at && *flags_at;
}

bool world_is_spoiled(const struct world *w, const struct program *p)
{
    if (w->device_fetched)
        return true;
    for (unsigned n = 0; n < p->item_count; n++) {
        const struct program_item *t = &p->items[n];
        if (!t->is_data && !t->is_patched &&
            memcmp(w->ram.base + PAGE_CODE + t->at, p->code + t->at, t->length) != 0)
            return true;
    }
    return false;
}

int world_fault_item(const struct world *w, const struct program *p)
{
    uint64_t ip_at, flags_at;
    if (!frame_find(w, p, &ip_at, &flags_at))
        return -1;
    unsigned size = p->mode->real ? 2 : p->mode->paging == PAGING_LONG ? 8 : 4;
    uint64_t ip = load_le(w->ram.base + ip_at, size);
    return program_item_at(p, ip + (p->mode->bits == 64 ? 0 : p->seg[SEG_CS].base));
}

/* Sets to zero what is undefined of the flags in the frame on the stack of a halted handler. */
static void frame_mask(struct world *w, const struct program *p, unsigned ignore)
{
    uint64_t ip_at, flags_at;
    if (!frame_find(w, p, &ip_at, &flags_at))
        return;
    int n = world_fault_item(w, p);
    uint32_t undefined =
        n < 0 || (ignore & IGNORE_FRAME_FLAGS) ? FLAGS_ARITH : p->items[n].undefined_before;
    uint64_t flags = load_le(w->ram.base + flags_at, 2);
    store_le(w->ram.base + flags_at, flags & ~(uint64_t)undefined, 2);
}

static uint32_t undefined_now(const struct world *w, const struct program *p)
{
    if (in_program(w, p)) {
        uint64_t at = world_at(w);
        return undefined_at(p, at) | (w->cpu.halted ? undefined_at(p, at - 1) : 0);
    }
    /* In a handler flags are what they were. */
    return FLAGS_ARITH;
}

/* ---- fields ---- */

struct comparison {
    FILE *out;
    const struct world *a, *b;
    bool same;
};

static void difference(struct comparison *k, const char *what, uint64_t a, uint64_t b)
{
    k->same = false;
    if (k->out)
        fprintf(k->out, "  %-14s %016llx %016llx\n", what, (unsigned long long)a,
                (unsigned long long)b);
}

static void field(struct comparison *k, const char *what, uint64_t a, uint64_t b)
{
    if (a != b)
        difference(k, what, a, b);
}

/* Any bytes of the vCPU, in words. */
static void words(struct comparison *k, const char *what, size_t at, unsigned bytes)
{
    const uint8_t *a = (const uint8_t *)&k->a->cpu + at, *b = (const uint8_t *)&k->b->cpu + at;
    if (!memcmp(a, b, bytes))
        return;
    for (unsigned n = 0; n < bytes; n += 8) {
        char name[32];
        unsigned step = bytes - n < 8 ? bytes - n : 8;
        snprintf(name, sizeof name, "%.16s+%u", what, n);
        field(k, name, load_le(a + n, step), load_le(b + n, step));
    }
}
#define WORDS(k, member)                                                                       \
    words(k, #member, offsetof(struct vcpu, member), sizeof(((struct vcpu *)0)->member))

static void compare_registers(struct comparison *k, uint32_t undefined)
{
    static const char *const names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp",
                                          "rsi", "rdi", "r8",  "r9",  "r10", "r11",
                                          "r12", "r13", "r14", "r15"};
    const struct vcpu *a = &k->a->cpu, *b = &k->b->cpu;
    for (unsigned n = 0; n < 16; n++)
        field(k, names[n], a->gpr[n], b->gpr[n]);
    field(k, "rip", a->rip, b->rip);
    field(k, "flags", a->flags & ~undefined, b->flags & ~undefined);
    field(k, "rflags", a->rflags_rest, b->rflags_rest);
    field(k, "mode", a->mode, b->mode);
    field(k, "cpl", a->cpl, b->cpl);
    field(k, "halted", a->halted, b->halted);
    field(k, "shadow", a->shadow, b->shadow);
    field(k, "pending_dr6", a->pending_dr6, b->pending_dr6);
    for (unsigned n = 0; n < 8; n++) {
        char name[16];
        snprintf(name, sizeof name, "seg%u", n);
        field(k, name, a->seg[n].selector, b->seg[n].selector);
        field(k, name, a->seg[n].base, b->seg[n].base);
        field(k, name, a->seg[n].limit, b->seg[n].limit);
        field(k, name, a->seg[n].attr, b->seg[n].attr);
    }
}

static void compare_system(struct comparison *k)
{
    WORDS(k, cr0);
    WORDS(k, cr2);
    WORDS(k, cr3);
    WORDS(k, cr4);
    WORDS(k, xcr0);
    WORDS(k, efer);
    WORDS(k, dr);
    WORDS(k, kernel_gs_base);
    WORDS(k, gdtr.base);
    WORDS(k, idtr.base);
    WORDS(k, nmi_blocked);
}

static void compare_fpu(struct comparison *k)
{
    WORDS(k, fpu.zmm);
    WORDS(k, fpu.fx.fcw);
    WORDS(k, fpu.fx.fsw);
    WORDS(k, fpu.fx.ftw);
    WORDS(k, fpu.fx.st);
    WORDS(k, fpu.k);
    WORDS(k, fpu.mxcsr);
    WORDS(k, fpu.fop);
    WORDS(k, fpu.fcs);
    WORDS(k, fpu.fds);
    WORDS(k, fpu.fip);
    WORDS(k, fpu.fdp);
}

static void compare_memory(struct comparison *k)
{
    const uint8_t *a = k->a->ram.base, *b = k->b->ram.base;
    unsigned shown = 0;
    if (!memcmp(a, b, MEMORY_BYTES))
        return;
    for (unsigned at = 0; at < MEMORY_BYTES && shown < 8; at += 8) {
        char name[16];
        if (!memcmp(a + at, b + at, 8))
            continue;
        snprintf(name, sizeof name, "[%05x]", at);
        field(k, name, load_le(a + at, 8), load_le(b + at, 8));
        shown++;
    }
}

static void compare_devices(struct comparison *k)
{
    unsigned count = k->a->access_count;
    field(k, "accesses", count, k->b->access_count);
    for (unsigned n = 0; n < count && n < DEVICE_LOG; n++) {
        const struct device_access *a = &k->a->accesses[n], *b = &k->b->accesses[n];
        char name[32];
        snprintf(name, sizeof name, "access %u", n);
        if (a->address == b->address && a->value == b->value && a->size == b->size &&
            a->is_write == b->is_write && a->is_port == b->is_port)
            continue;
        field(k, name, a->address | (uint64_t)a->size << 32 | (uint64_t)a->is_write << 40,
              b->address | (uint64_t)b->size << 32 | (uint64_t)b->is_write << 40);
        field(k, name, a->value, b->value);
        k->same = false;
        return;
    }
}

bool world_same(struct world *a, struct world *b, const struct program *p, unsigned ignore,
                FILE *out)
{
    struct comparison k = {out, a, b, true};
    frame_mask(a, p, ignore);
    frame_mask(b, p, ignore);
    compare_registers(&k, ignore & IGNORE_FLAGS ? FLAGS_ARITH : undefined_now(b, p));
    if (!(ignore & IGNORE_COUNT))
        field(&k, "instructions", a->cpu.instructions, b->cpu.instructions);
    compare_system(&k);
    compare_fpu(&k);
    compare_memory(&k);
    compare_devices(&k);
    return k.same;
}
