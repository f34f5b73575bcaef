/* SPDX-License-Identifier: MIT */
/* check_state.c - lock-step: comparing two machines, and tables of what differs. */
#include "api/check.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- registers ---- */

struct field {
    const char *name;
    uint32_t offset;
    uint16_t bytes, count; /* count > 1: a number is put behind the name */
};

// clang-format off
#define ONE(name, member)                                                                      \
    {name, offsetof(struct vcpu, member), sizeof(((struct vcpu *)0)->member), 1}
#define MANY(name, member)                                                                     \
    {name, offsetof(struct vcpu, member[0]), sizeof(((struct vcpu *)0)->member[0]),            \
     ARRAY_SIZE(((struct vcpu *)0)->member)}
#define SEGMENT(name, n)                                                                       \
    ONE(name, seg[n].selector), ONE(name ".base", seg[n].base), ONE(name ".limit", seg[n].limit), \
    ONE(name ".attr", seg[n].attr)
#define GENERAL_FIELDS 16
#define FLAGS_FIELD    17
static const struct field fields[] = {
    ONE("rax", gpr[RAX]), ONE("rcx", gpr[RCX]), ONE("rdx", gpr[RDX]), ONE("rbx", gpr[RBX]),
    ONE("rsp", gpr[RSP]), ONE("rbp", gpr[RBP]), ONE("rsi", gpr[RSI]), ONE("rdi", gpr[RDI]),
    ONE("r8", gpr[8]), ONE("r9", gpr[9]), ONE("r10", gpr[10]), ONE("r11", gpr[11]),
    ONE("r12", gpr[12]), ONE("r13", gpr[13]), ONE("r14", gpr[14]), ONE("r15", gpr[15]),
    ONE("rip", rip), [FLAGS_FIELD] = ONE("flags", flags), ONE("rflags", rflags_rest),
    SEGMENT("es", SEG_ES), SEGMENT("cs", SEG_CS), SEGMENT("ss", SEG_SS), SEGMENT("ds", SEG_DS),
    SEGMENT("fs", SEG_FS), SEGMENT("gs", SEG_GS), SEGMENT("ldtr", SEG_LDTR),
    SEGMENT("tr", SEG_TR),
    ONE("gdtr.base", gdtr.base), ONE("gdtr.limit", gdtr.limit),
    ONE("idtr.base", idtr.base), ONE("idtr.limit", idtr.limit),
    ONE("cr0", cr0), ONE("cr2", cr2), ONE("cr3", cr3), ONE("cr4", cr4), ONE("xcr0", xcr0),
    ONE("efer", efer), MANY("pdpte", pdpte), MANY("dr", dr),
    ONE("star", star), ONE("lstar", lstar), ONE("cstar", cstar), ONE("sfmask", sfmask),
    ONE("kernel_gs_base", kernel_gs_base), ONE("tsc_aux", tsc_aux),
    ONE("sysenter_cs", sysenter_cs), ONE("sysenter_esp", sysenter_esp),
    ONE("sysenter_eip", sysenter_eip), ONE("pat", pat), ONE("mtrr_def_type", mtrr_def_type),
    MANY("mtrr_fixed", mtrr_fixed), MANY("mtrr_base", mtrr_base), MANY("mtrr_mask", mtrr_mask),
    ONE("debugctl", debugctl), ONE("misc_enable", misc_enable), ONE("spec_ctrl", spec_ctrl),
    ONE("xss", xss), ONE("tsc_offset", tsc_offset), ONE("tsc_adjust", tsc_adjust),
    ONE("fcw", fpu.fx.fcw), ONE("fsw", fpu.fx.fsw), ONE("ftw", fpu.fx.ftw),
    ONE("fop", fpu.fop), ONE("fip", fpu.fip), ONE("fcs", fpu.fcs), ONE("fdp", fpu.fdp),
    ONE("fds", fpu.fds), ONE("mxcsr", fpu.mxcsr), ONE("ferr", fpu.ferr),
    {"st", offsetof(struct vcpu, fpu.fx.st), 10, 1},
    {"st1", offsetof(struct vcpu, fpu.fx.st[1]), 10, 1},
    {"st2", offsetof(struct vcpu, fpu.fx.st[2]), 10, 1},
    {"st3", offsetof(struct vcpu, fpu.fx.st[3]), 10, 1},
    {"st4", offsetof(struct vcpu, fpu.fx.st[4]), 10, 1},
    {"st5", offsetof(struct vcpu, fpu.fx.st[5]), 10, 1},
    {"st6", offsetof(struct vcpu, fpu.fx.st[6]), 10, 1},
    {"st7", offsetof(struct vcpu, fpu.fx.st[7]), 10, 1},
    MANY("zmm", fpu.zmm), MANY("k", fpu.k),
    ONE("cpl", cpl), ONE("shadow", shadow), ONE("halted", halted),
    ONE("nmi_blocked", nmi_blocked), ONE("monitor_armed", monitor_armed),
    ONE("pending_dr6", pending_dr6), ONE("instructions", instructions),
    ONE("idle_ns", icount_base_ns),
};
// clang-format on

static const uint8_t *at(const struct check *k, unsigned which, const struct field *f,
                         unsigned n)
{
    return (const uint8_t *)&k->vm[which]->cpu + f->offset + (size_t)f->bytes * n;
}

/* A copy of RFLAGS that was taken with interrupts on (PUSHF, SYSCALL, an interrupt's frame), with
 * other arithmetic flags. */
static bool is_flags_image(uint32_t a, uint32_t b)
{
    return !((a ^ b) & ~(uint32_t)FLAGS_ARITH) && (a & 0xffc0822a) == (FLAG_IF | FLAG_FIXED);
}

static bool only_flags(const struct check *k, const struct field *f)
{
    if (f == &fields[FLAGS_FIELD])
        return true;
    uint64_t a, b;
    if (f >= &fields[GENERAL_FIELDS])
        return false;
    memcpy(&a, at(k, 0, f, 0), sizeof(a));
    memcpy(&b, at(k, 1, f, 0), sizeof(b));
    return a >> 32 == b >> 32 && is_flags_image((uint32_t)a, (uint32_t)b);
}

enum check_verdict check_registers(const struct check *k)
{
    bool flags = false;
    for (const struct field *f = fields; f < fields + ARRAY_SIZE(fields); f++) {
        if (!memcmp(at(k, 0, f, 0), at(k, 1, f, 0), (size_t)f->bytes * f->count))
            continue;
        if (!only_flags(k, f))
            return CHECK_DIFFERENT;
        flags = true;
    }
    return flags ? CHECK_FLAGS : CHECK_SAME;
}

static void hex(char *text, const uint8_t *bytes, unsigned count)
{
    static const char digits[] = "0123456789abcdef";
    while (count--) {
        *text++ = digits[bytes[count] >> 4];
        *text++ = digits[bytes[count] & 15];
    }
    *text = 0;
}

void check_print_registers(const struct check *k, struct weir_text *out)
{
    for (const struct field *f = fields; f < fields + ARRAY_SIZE(fields); f++) {
        for (unsigned n = 0; n < f->count; n++) {
            char name[24], value[2][2 * 64 + 1];
            const uint8_t *a = at(k, 0, f, n), *b = at(k, 1, f, n);
            if (!memcmp(a, b, f->bytes))
                continue;
            hex(value[0], a, f->bytes);
            hex(value[1], b, f->bytes);
            snprintf(name, sizeof(name), f->count > 1 ? "%s%u" : "%s", f->name, n);
            weir_textf(out,
                       f->bytes > 16 ? "  %-14s %s\n  %14s %s\n" : "  %-14s %-20s %.0s%s\n",
                       name, value[0], "", value[1]);
        }
    }
}

/* ---- how they ended ---- */

bool check_exits_equal(const struct check *k)
{
    const struct weir_exit *a = &k->exit[0], *b = &k->exit[1];
    return a->reason == b->reason && a->status == b->status &&
           k->vm[0]->cpu.instructions == k->vm[1]->cpu.instructions;
}

/* ---- RAM ---- */

static bool page_differs(const struct check *k, uint64_t offset)
{
    const uint8_t *a = k->vm[0]->ram.base + offset, *b = k->vm[1]->ram.base + offset;
    if (!memcmp(a, b, RAM_PAGE_BYTES))
        return false;
    for (unsigned n = 0; n < RAM_PAGE_BYTES; n += 4) {
        uint32_t x = (uint32_t)load_le(a + n, 4), y = (uint32_t)load_le(b + n, 4);
        if (x != y && !is_flags_image(x, y))
            return true;
    }
    return false;
}

bool check_pages_differ(const struct check *k, const struct check_pages *pages)
{
    for (unsigned n = 0; n < pages->count; n++)
        if (page_differs(k, pages->at[n]))
            return true;
    return false;
}

/* The part of [from, to) that begins with a page the VM has touched. False: there is none. */
static bool touched(const struct ram *ram, uint64_t *from, uint64_t *to)
{
    off_t data = lseek(ram->fd, (off_t)*from, SEEK_DATA);
    if (data < 0 || (uint64_t)data >= *to)
        return false;
    off_t hole = lseek(ram->fd, data, SEEK_HOLE);
    *from = (uint64_t)data;
    if (hole > data && (uint64_t)hole < *to)
        *to = (uint64_t)hole;
    return true;
}

void check_ram(const struct check *k, struct check_pages *pages)
{
    const struct ram *a = &k->vm[0]->ram, *b = &k->vm[1]->ram;
    uint64_t end = a->bytes < b->bytes ? a->bytes : b->bytes;
    pages->count = 0;
    for (uint64_t offset = 0; offset < end && pages->count < CHECK_PAGES;) {
        uint64_t from[2] = {offset, offset}, to[2] = {end, end};
        bool any[2] = {touched(a, &from[0], &to[0]), touched(b, &from[1], &to[1])};
        if (!any[0] && !any[1])
            return;
        unsigned first = !any[0] || (any[1] && from[1] < from[0]);
        for (offset = from[first]; offset < to[first] && pages->count < CHECK_PAGES;
             offset += RAM_PAGE_BYTES)
            if (page_differs(k, offset))
                pages->at[pages->count++] = offset;
    }
}

static unsigned first_difference(const struct check *k, uint64_t page)
{
    const uint8_t *a = k->vm[0]->ram.base + page, *b = k->vm[1]->ram.base + page;
    unsigned n = 0;
    while (n < RAM_PAGE_BYTES && a[n] == b[n])
        n++;
    return n;
}

void check_print_ram(const struct check *k, const struct check_pages *pages,
                     struct weir_text *out)
{
    unsigned shown = 0;
    for (unsigned n = 0; n < pages->count; n++) {
        unsigned from = first_difference(k, pages->at[n]) & ~7u;
        if (from >= RAM_PAGE_BYTES)
            continue;
        if (shown++ == 8) {
            weir_textf(out, "  and more pages\n");
            return;
        }
        uint64_t offset = pages->at[n] + from, below = k->vm[0]->ram.below_4g;
        char value[2][17];
        for (unsigned which = 0; which < 2; which++)
            hex(value[which], k->vm[which]->ram.base + offset, 8);
        weir_textf(
            out, "  [%011llx]  %-20s %s\n",
            (unsigned long long)(offset < below ? offset : offset - below + (1ull << 32)),
            value[0], value[1]);
    }
}
