/* SPDX-License-Identifier: MIT */
/*
 * program_system.c - what kernels do, in random programs: change page tables and address spaces,
 * load segments and their bases, make code and call it, save and restore state.
 *
 * User programs do what is privileged by interrupts whose handlers do it for them
 * (program_world.c). Tables are written through the large page that maps all memory.
 */
#include "program_maker.h"

static unsigned bits(const struct maker *m)
{
    return m->p->mode->bits;
}
static bool is_flat_mode(const struct maker *m)
{
    return !m->p->mode->segmented;
}
static bool is_kernel(const struct maker *m)
{
    return m->p->mode->cpl == 0;
}

/* MOV dword [linear], imm32, by an absolute address. */
static void store_dword(struct maker *m, uint32_t linear, uint32_t value)
{
    uint8_t b[12] = {0xc7};
    unsigned n = 1;
    b[n++] = bits(m) == 64 ? 0x04 : 0x05;
    if (bits(m) == 64)
        b[n++] = 0x25;
    store_le(b + n, linear, 4);
    store_le(b + n + 4, value, 4);
    emit_bytes(m, b, n + 8);
}

/* ---- paging ---- */

static void interrupt(struct maker *m, unsigned vector)
{
    const uint8_t b[2] = {0xcd, (uint8_t)vector};
    emit_bytes(m, b, 2);
}

static bool may_interrupt(const struct maker *m)
{
    return !m->p->mode->v86 || (m->p->rflags_rest & FLAG_IOPL);
}

/* Another frame or other rights for a page, A and D clear; then everything is flushed. */
static void change_page(struct maker *m)
{
    static const struct {
        uint32_t page, frame, rights;
    } changes[] = {
        {PAGE_RAM_ALIAS, PAGE_RAM, 7},
        {PAGE_RAM_ALIAS, PAGE_RAM + 0x2000, 7},
        {PAGE_RAM_ALIAS, PAGE_CODE, 7},
        {PAGE_RAM_TOO, PAGE_RAM_TOO, 7},
        {PAGE_RAM_TOO, PAGE_RAM_ALIAS, 7},
        {PAGE_RAM_TOO, PAGE_RAM_TOO, 5},
        {PAGE_ABSENT, PAGE_RAM, 7},
        {PAGE_ABSENT, 0, 0},
        {PAGE_CODE_ALIAS, PAGE_RAM, 7},
        {PAGE_CODE_ALIAS, PAGE_CODE, 7},
        {PAGE_READ_ONLY, PAGE_READ_ONLY, 7},
        {PAGE_READ_ONLY, PAGE_READ_ONLY, 5},
        {PAGE_RAM + 0x2000, PAGE_RAM_ALIAS, 7},
        {PAGE_CODE, PAGE_CODE, 7},
        {PAGE_CODE + 0x1000, PAGE_CODE + 0x1000, 5},
    };
    unsigned k = below(m, ARRAY_SIZE(changes)), paging = m->p->mode->paging;
    uint32_t entry = changes[k].frame | changes[k].rights;
    if (!is_flat_mode(m) || paging == PAGING_NONE)
        return;
    if (paging == PAGING_32)
        store_dword(m, LARGE_ALIAS_32 + 0x6000 + changes[k].page / 1024, entry);
    else
        store_dword(m, LARGE_ALIAS + 0x4000 + changes[k].page / 512, entry);
    interrupt(m, m->p->pcid || one_in(m, 2) ? FLUSH_ALL_VECTOR : FLUSH_VECTOR);
}

static void switch_space(struct maker *m)
{
    if (m->p->mode->paging != PAGING_NONE && may_interrupt(m))
        interrupt(m, SWITCH_VECTOR);
}

/* ---- code ---- */

/* MOV EAX, imm32; RET is written to memory, called, and perhaps changed and called again. */
static void make_code(struct maker *m)
{
    if (!is_flat_mode(m) || bits(m) == 16 || m->stack_fixed)
        return;
    uint32_t at = PAGE_RAM + below(m, 3 * 4096 - 16);
    if (one_in(m, 8))
        at = PAGE_RAM + 4096 - below(m, 6);
    store_dword(m, at, (uint32_t)rnd(m) << 8 | 0xb8);
    store_dword(m, at + 4, 0x9090c300 | below(m, 256));
    for (unsigned n = 1 + below(m, 3); n; n--) {
        emit_mov(m, RAX, at);
        emit_bytes(m, "\xff\xd0", 2);
        if (one_in(m, 2))
            flow_item(m);
        else
            store_dword(m, at + 1, (uint32_t)rnd(m));
    }
}

/* ---- registers of the system ---- */

static void segment_base(struct maker *m)
{
    static const uint8_t write[4] = {0xf3, 0x48, 0x0f, 0xae}; /* WRFSBASE RAX and others */
    if (bits(m) != 64)
        return;
    if (is_kernel(m) && one_in(m, 4)) {
        emit_bytes(m, "\x0f\x01\xf8", 3); /* SWAPGS */
        return;
    }
    emit_mov(m, RAX, below(m, 0x800));
    if (is_kernel(m) && one_in(m, 3) && !(m->reserved & 1u << RCX)) {
        emit_mov(m, RCX, 0xc0000100 + below(m, 3));
        emit_mov(m, RDX, 0);
        emit_bytes(m, "\x0f\x30", 2);
        if (one_in(m, 2))
            emit_bytes(m, "\x0f\x32", 2);
        return;
    }
    uint8_t b[5];
    memcpy(b, write, 4);
    b[4] = one_in(m, 2) ? 0xd0 : 0xd8;
    emit_bytes(m, b, 5);
}

/* CR0.TS set for one instruction. */
static void task_switched(struct maker *m)
{
    if (!is_kernel(m) || m->p->mode->real)
        return;
    emit_bytes(m, "\x0f\x20\xc0", 3);
    emit_bytes(m, "\x0c\x08", 2);
    emit_bytes(m, "\x0f\x22\xc0", 3);
    if (one_in(m, 2))
        flow_item(m);
    emit_bytes(m, "\x0f\x06", 2);
}

static void access_flag(struct maker *m)
{
    if (is_kernel(m) && !m->p->mode->real && m->p->has_smap)
        emit_bytes(m, one_in(m, 2) ? "\x0f\x01\xcb" : "\x0f\x01\xca", 3);
}

static void trap(struct maker *m)
{
    if (bits(m) != 64 && one_in(m, 2))
        emit_bytes(m, "\xce", 1); /* INTO */
    else if (may_interrupt(m))
        emit_bytes(m, "\xcc", 1);
}

/* LFS, LGS or LSS from the island. */
static void load_far(struct maker *m)
{
    unsigned size = bits(m) == 16 ? 2 : 4, n = 0;
    uint8_t b[8];
    uint64_t linear = m->p->code_linear + m->island - size - 2;
    if (!m->slot_count || (bits(m) == 64 && m->p->seg[SEG_FS].base >= 0x800))
        return;
    if (bits(m) != 64)
        b[n++] = 0x2e;
    b[n++] = 0x0f;
    b[n++] = 0xb4;
    b[n++] = bits(m) == 16 ? 0x16 : 0x15; /* EDX, [disp] */
    uint64_t disp = bits(m) == 64 ? linear - (m->p->code_linear + m->at + n + 4)
                                  : linear - m->p->seg[SEG_CS].base;
    store_le(b + n, disp, size);
    emit_bytes(m, b, n + size);
}

void system_item(struct maker *m)
{
    switch (below(m, 12)) {
    case 0 ... 2:
        change_page(m);
        return;
    case 3 ... 4:
        switch_space(m);
        return;
    case 5 ... 6:
        make_code(m);
        return;
    case 7:
        segment_base(m);
        return;
    case 8:
        task_switched(m);
        return;
    case 9:
        access_flag(m);
        return;
    case 10:
        trap(m);
        return;
    default:
        load_far(m);
    }
}
