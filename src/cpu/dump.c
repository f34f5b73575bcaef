/* SPDX-License-Identifier: MIT */
/*
 * dump.c - registers as text, in the layout of QEMU's `info registers` (7.2), which people and
 * their scripts know. Outside 64-bit code general registers and bases have 8 digits.
 */
#include "cpu/dump.h"
#include "cpu/cpuid.h"

#include <stdio.h>

typedef unsigned long long ull;

static void put(struct weir_text *out, const char *format, ...) WEIR_PRINTF(2, 3);
static void put(struct weir_text *out, const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (n > 0)
        out->put(out, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

static const char *system_type(const struct vcpu *c, unsigned type)
{
    static const char names[2][16][12] = {
        {"Reserved", "TSS16-avl", "LDT", "TSS16-busy", "CallGate16", "TaskGate", "IntGate16",
         "TrapGate16", "Reserved", "TSS32-avl", "Reserved", "TSS32-busy", "CallGate32",
         "Reserved", "IntGate32", "TrapGate32"},
        {"<hiword>", "Reserved", "LDT", "Reserved", "Reserved", "Reserved", "Reserved",
         "Reserved", "Reserved", "TSS64-avl", "Reserved", "TSS64-busy", "CallGate64",
         "Reserved", "IntGate64", "TrapGate64"}};
    return names[(c->efer & EFER_LMA) != 0][type];
}

static void dump_segment(const struct vcpu *c, struct weir_text *out, const char *name,
                         const struct segment *s)
{
    uint16_t a = s->attr;
    uint32_t flags = (uint32_t)(a & 0xff) << 8 | (uint32_t)(a & 0xf000) << 8 |
                     (s->limit >> (a & SEG_ATTR_G ? 12 : 0) & 0xf0000);
    put(out, "%-3s=%04x %0*llx %08x %08x", name, s->selector, cpu_is_64bit(c) ? 16 : 8,
        cpu_is_64bit(c) ? (ull)s->base : (ull)(uint32_t)s->base, s->limit, flags & 0x00ffff00);
    if (!(c->cr0 & CR0_PE) || !(a & SEG_ATTR_P)) {
        put(out, "\n");
        return;
    }
    put(out, " DPL=%d ", (a & SEG_ATTR_DPL) >> SEG_ATTR_DPL_SHIFT);
    if (!(a & SEG_ATTR_S)) {
        put(out, "%s\n", system_type(c, a & SEG_ATTR_TYPE));
        return;
    }
    if (a & SEG_ATTR_CODE)
        put(out, "%s [%c%c",
            a & SEG_ATTR_L    ? "CS64"
            : a & SEG_ATTR_DB ? "CS32"
                              : "CS16",
            a & SEG_ATTR_DC ? 'C' : '-', a & SEG_ATTR_RW ? 'R' : '-');
    else
        put(out, "%s [%c%c", a & SEG_ATTR_DB || c->efer & EFER_LMA ? "DS  " : "DS16",
            a & SEG_ATTR_DC ? 'E' : '-', a & SEG_ATTR_RW ? 'W' : '-');
    put(out, "%c]\n", a & SEG_ATTR_ACCESSED ? 'A' : '-');
}

static void dump_general(const struct vcpu *c, struct weir_text *out)
{
    const uint64_t *r = c->gpr;
    uint32_t f = (uint32_t)cpu_rflags(c);
    if (cpu_is_64bit(c)) {
        put(out, "RAX=%016llx RBX=%016llx RCX=%016llx RDX=%016llx\n", (ull)r[RAX], (ull)r[RBX],
            (ull)r[RCX], (ull)r[RDX]);
        put(out, "RSI=%016llx RDI=%016llx RBP=%016llx RSP=%016llx\n", (ull)r[RSI], (ull)r[RDI],
            (ull)r[RBP], (ull)r[RSP]);
        put(out, "R8 =%016llx R9 =%016llx R10=%016llx R11=%016llx\n", (ull)r[R8], (ull)r[R9],
            (ull)r[R10], (ull)r[R11]);
        put(out, "R12=%016llx R13=%016llx R14=%016llx R15=%016llx\n", (ull)r[R12], (ull)r[R13],
            (ull)r[R14], (ull)r[R15]);
        put(out, "RIP=%016llx RFL=%08x", (ull)c->rip, f);
    } else {
        put(out, "EAX=%08x EBX=%08x ECX=%08x EDX=%08x\n", (uint32_t)r[RAX], (uint32_t)r[RBX],
            (uint32_t)r[RCX], (uint32_t)r[RDX]);
        put(out, "ESI=%08x EDI=%08x EBP=%08x ESP=%08x\n", (uint32_t)r[RSI], (uint32_t)r[RDI],
            (uint32_t)r[RBP], (uint32_t)r[RSP]);
        put(out, "EIP=%08x EFL=%08x", (uint32_t)c->rip, f);
    }
    put(out, " [%c%c%c%c%c%c%c] CPL=%d II=%d A20=%d SMM=0 HLT=%d\n", f & FLAG_DF ? 'D' : '-',
        f & FLAG_OF ? 'O' : '-', f & FLAG_SF ? 'S' : '-', f & FLAG_ZF ? 'Z' : '-',
        f & FLAG_AF ? 'A' : '-', f & FLAG_PF ? 'P' : '-', f & FLAG_CF ? 'C' : '-', c->cpl,
        (c->shadow & (SHADOW_STI | SHADOW_MOV_SS)) != 0, (int)(c->a20_mask >> 20 & 1),
        c->halted);
}

static void dump_system(const struct vcpu *c, struct weir_text *out)
{
    bool wide = c->efer & EFER_LMA;
    int digits = wide ? 16 : 8;
    uint64_t mask = wide ? ~0ull : 0xffffffff;
    put(out, "GDT=     %0*llx %08x\n", digits, (ull)(c->gdtr.base & mask), c->gdtr.limit);
    put(out, "IDT=     %0*llx %08x\n", digits, (ull)(c->idtr.base & mask), c->idtr.limit);
    put(out, "CR0=%08x CR2=%0*llx CR3=%0*llx CR4=%08x\n", (uint32_t)c->cr0, digits,
        (ull)(c->cr2 & mask), digits, (ull)(c->cr3 & mask), (uint32_t)c->cr4);
    for (unsigned n = 0; n < 4; n++)
        put(out, "DR%u=%016llx ", n, (ull)c->dr[n]);
    put(out, "\nDR6=%016llx DR7=%016llx\n", (ull)c->dr[6], (ull)c->dr[7]);
}

/* ---- x87 and vector registers ---- */

static void dump_vectors(const struct vcpu *c, struct weir_text *out)
{
    unsigned count = cpu_is_64bit(c) ? 16 : 8;
    bool ymm = c->xcr0 & XCR0_AVX;
    for (unsigned n = 0; n < count; n++) {
        ull part[4];
        memcpy(part, c->fpu.zmm[n], sizeof part);
        if (ymm)
            put(out, "YMM%02u=%016llx %016llx %016llx %016llx\n", n, part[3], part[2], part[1],
                part[0]);
        else
            put(out, "XMM%02u=%016llx %016llx%s", n, part[1], part[0], n & 1 ? "\n" : " ");
    }
}

static void dump_fpu(const struct vcpu *c, struct weir_text *out)
{
    const struct fpu_state *f = &c->fpu;
    unsigned top = f->fx.fsw >> 11 & 7;
    put(out, "FCW=%04x FSW=%04x [ST=%u] FTW=%02x MXCSR=%08x\n", f->fx.fcw, f->fx.fsw, top,
        f->fx.ftw, f->mxcsr);
    for (unsigned n = 0; n < 8; n++) {
        const uint8_t *st = f->fx.st[(n - top) & 7];
        put(out, "FPR%u=%016llx %04x%s", n, (ull)load_le(st, 8), (uint32_t)load_le(st + 8, 2),
            n & 1 ? "\n" : " ");
    }
    dump_vectors(c, out);
}

void cpu_dump(const struct vcpu *c, struct weir_text *out, bool with_fpu, bool with_cc)
{
    static const char names[8][4] = {"ES", "CS", "SS", "DS", "FS", "GS", "LDT", "TR"};
    dump_general(c, out);
    for (unsigned n = 0; n < 8; n++)
        dump_segment(c, out, names[n], &c->seg[n]);
    dump_system(c, out);
    if (with_cc) /* flags are always computed here, which is what EFLAGS says there */
        put(out, "CCS=%0*llx CCD=%0*llx CCO=%-8s\n", cpu_is_64bit(c) ? 16 : 8, (ull)c->flags,
            cpu_is_64bit(c) ? 16 : 8, 0ull, "EFLAGS");
    put(out, "EFER=%016llx\n", (ull)c->efer);
    if (with_fpu)
        dump_fpu(c, out);
}

/* ---- to the log ---- */

struct text_buffer {
    struct weir_text text;
    size_t length;
    char chars[8192];
};

static void buffer_put(struct weir_text *text, const char *chars, size_t length)
{
    struct text_buffer *b = container_of(text, struct text_buffer, text);
    size_t room = sizeof(b->chars) - b->length;
    if (length > room)
        length = room;
    memcpy(b->chars + b->length, chars, length);
    b->length += length;
}

void cpu_dump_log(const struct vcpu *c, enum weir_log_item item, const char *head,
                  bool with_fpu, bool with_cc)
{
    struct text_buffer b = {.text.put = buffer_put, .length = 0};
    buffer_put(&b.text, head, strlen(head));
    cpu_dump(c, &b.text, with_fpu, with_cc);
    log_write(c->log, item, b.chars, b.length);
}
