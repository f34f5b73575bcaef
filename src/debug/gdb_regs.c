/* SPDX-License-Identifier: MIT */
/*
 * gdb_regs.c - the list of registers. Feature and register names are those that gdb's own
 * documentation, "Standard Target Features, i386", requires; ours are in org.weir.i386.system.
 */
#include "debug/gdb_regs.h"

#include <stdio.h>
#include <string.h>

enum { SEGMENTS = 6 };

/* ---- making the list ---- */

static void add(struct gdb_layout *l, struct gdb_reg r, const char *format, unsigned n)
{
    if (l->count == GDB_REGS_MAX)
        return;
    struct gdb_reg *to = &l->regs[l->count++];
    const char *feature = to->feature; /* set by begin() */
    *to = r;
    to->feature = feature;
    snprintf(to->name, sizeof(to->name), format, n);
}

static void begin(struct gdb_layout *l, const char *feature)
{
    if (l->count < GDB_REGS_MAX)
        l->regs[l->count].feature = feature;
}

static void add_plain(struct gdb_layout *l, const char *name, enum weir_reg reg, unsigned bytes,
                      const char *type, const char *group)
{
    struct gdb_reg r = {.type = type,
                        .group = group,
                        .reg = (uint16_t)reg,
                        .bytes = (uint8_t)bytes,
                        .kind = GDB_PLAIN};
    add(l, r, name, 0);
}

/* gdb's order is not the CPU's. */
static const struct {
    char name[4];
    enum weir_reg reg;
    bool is_pointer;
} general[] = {{"ax", WEIR_RAX, false}, {"bx", WEIR_RBX, false}, {"cx", WEIR_RCX, false},
               {"dx", WEIR_RDX, false}, {"si", WEIR_RSI, false}, {"di", WEIR_RDI, false},
               {"bp", WEIR_RBP, true},  {"sp", WEIR_RSP, true}};
static const uint8_t order32[8] = {0, 2, 3, 1, 7, 6, 4, 5};

/* Pointers are as wide as the architecture that gdb has chosen makes them, whatever the
 * description says; where that is open, all are plain numbers. */
static void add_general(struct gdb_layout *l, bool wide, bool pointers, const char *group)
{
    char name[12];
    const char *number = wide ? "int64" : "int32";
    struct gdb_reg pc = {.type = pointers ? "code_ptr"
                                 : wide   ? "uint64"
                                          : "uint32",
                         .group = group,
                         .kind = GDB_PC,
                         .bytes = wide ? 8 : 4};
    for (unsigned i = 0; i < 8; i++) {
        unsigned k = wide ? i : order32[i];
        const char *type = pointers && general[k].is_pointer ? "data_ptr" : number;
        snprintf(name, sizeof(name), "%c%.2s", wide ? 'r' : 'e', general[k].name);
        add_plain(l, name, general[k].reg, wide ? 8 : 4, type, group);
    }
    for (unsigned n = 8; wide && n < 16; n++) {
        snprintf(name, sizeof(name), "r%u", n);
        add_plain(l, name, (enum weir_reg)(WEIR_RAX + n), 8, number, group);
    }
    add(l, pc, wide ? "rip" : "eip", 0);
}

static const struct {
    char name[3];
    enum weir_reg reg;
} segments[SEGMENTS] = {{"cs", WEIR_CS}, {"ss", WEIR_SS}, {"ds", WEIR_DS},
                        {"es", WEIR_ES}, {"fs", WEIR_FS}, {"gs", WEIR_GS}};

static void add_x87(struct gdb_layout *l)
{
    struct gdb_reg st = {.type = "i387_ext", .kind = GDB_BYTES, .bytes = 10};
    struct gdb_reg high = {.type = "int", .group = "float", .kind = GDB_FP_HIGH, .bytes = 4};
    for (unsigned n = 0; n < 8; n++) {
        st.reg = (uint16_t)(WEIR_ST0 + n);
        add(l, st, "st%u", n);
    }
    add_plain(l, "fctrl", WEIR_FCW, 4, "int", "float");
    add_plain(l, "fstat", WEIR_FSW, 4, "int", "float");
    add_plain(l, "ftag", WEIR_FTW, 4, "int", "float");
    high.reg = WEIR_FIP;
    add(l, high, "fiseg", 0);
    add_plain(l, "fioff", WEIR_FIP, 4, "int", "float");
    high.reg = WEIR_FDP;
    add(l, high, "foseg", 0);
    add_plain(l, "fooff", WEIR_FDP, 4, "int", "float");
    add_plain(l, "fop", WEIR_FOP, 4, "int", "float");
}

static void add_core(struct gdb_layout *l, unsigned bits, bool has_long)
{
    begin(l, "org.gnu.gdb.i386.core");
    add_general(l, bits == 64, bits == 64 || !has_long, NULL);
    add_plain(l, "eflags", WEIR_RFLAGS, 4, "i386_eflags", NULL);
    for (unsigned s = 0; s < SEGMENTS; s++) {
        struct gdb_reg r = {.type = "int32",
                            .kind = GDB_SELECTOR,
                            .bytes = 4,
                            .reg = (uint16_t)segments[s].reg};
        add(l, r, segments[s].name, 0);
    }
    add_x87(l);
    if (bits != 64 && has_long)
        add_general(l, true, false, "long");
}

static void add_vectors(struct gdb_layout *l, const char *format, unsigned first,
                        unsigned count, unsigned offset, unsigned bytes, const char *type)
{
    for (unsigned n = first; n < first + count; n++) {
        struct gdb_reg r = {.type = type,
                            .kind = GDB_BYTES,
                            .offset = (uint8_t)offset,
                            .bytes = (uint8_t)bytes,
                            .reg = (uint16_t)(WEIR_ZMM0 + n)};
        add(l, r, format, n);
    }
}

/* `info registers` lists all that is not of the architecture chosen: wide registers are left out
 * where that would be most of them. */
static void add_simd(struct gdb_layout *l, weir_vcpu *cpu, bool has_long, bool mixed)
{
    unsigned count = has_long ? 16 : 8, width = weir_reg_bytes(cpu, WEIR_ZMM0);
    if (width < 16)
        return;
    begin(l, "org.gnu.gdb.i386.sse");
    add_vectors(l, "xmm%u", 0, count, 0, 16, "vec128");
    add_plain(l, "mxcsr", WEIR_MXCSR, 4, "i386_mxcsr", "vector");
    if (width < 32 || mixed)
        return;
    begin(l, "org.gnu.gdb.i386.avx");
    add_vectors(l, "ymm%uh", 0, count, 16, 16, "uint128");
    if (width < 64)
        return;
    begin(l, "org.gnu.gdb.i386.avx512");
    for (unsigned n = 0; n < 8; n++) {
        char name[4] = {'k', (char)('0' + n)};
        add_plain(l, name, (enum weir_reg)(WEIR_K0 + n), 8, "uint64", NULL);
    }
    add_vectors(l, "zmm%uh", 0, count, 32, 32, "v2ui128");
    if (!has_long)
        return;
    add_vectors(l, "xmm%u", 16, 16, 0, 16, "vec128");
    add_vectors(l, "ymm%uh", 16, 16, 16, 16, "uint128");
    add_vectors(l, "zmm%uh", 16, 16, 32, 32, "v2ui128");
}

static void add_part(struct gdb_layout *l, const char *name, enum weir_reg reg, unsigned kind)
{
    static const struct {
        const char *suffix, *type;
        uint8_t bytes;
    } parts[] = {[GDB_SELECTOR] = {"", "uint16", 2},
                 [GDB_BASE] = {"_base", "uint64", 8},
                 [GDB_LIMIT] = {"_limit", "uint32", 4}};
    struct gdb_reg r = {.type = parts[kind].type,
                        .group = "system",
                        .kind = (uint8_t)kind,
                        .bytes = parts[kind].bytes,
                        .reg = (uint16_t)reg};
    char text[20];
    snprintf(text, sizeof(text), "%.4s%.6s", name, parts[kind].suffix);
    add(l, r, text, 0);
}

static void add_tables(struct gdb_layout *l, bool fs_gs_base)
{
    for (unsigned i = 0; i < SEGMENTS; i++)
        if (i < 4 || fs_gs_base)
            add_part(l, segments[i].name, segments[i].reg, GDB_BASE);
    add_part(l, "ldtr", WEIR_LDTR, GDB_SELECTOR);
    add_part(l, "tr", WEIR_TR, GDB_SELECTOR);
    add_part(l, "gdtr", WEIR_GDTR, GDB_BASE);
    add_part(l, "gdtr", WEIR_GDTR, GDB_LIMIT);
    add_part(l, "idtr", WEIR_IDTR, GDB_BASE);
    add_part(l, "idtr", WEIR_IDTR, GDB_LIMIT);
}

static void add_system(struct gdb_layout *l, bool has_long, bool plain64)
{
    static const struct {
        const char *name;
        enum weir_reg reg;
        const char *type;
    } system[] = {{"cr0", WEIR_CR0, "weir_cr0"}, {"cr2", WEIR_CR2, "uint64"},
                  {"cr3", WEIR_CR3, "uint64"},   {"cr4", WEIR_CR4, "weir_cr4"},
                  {"cr8", WEIR_CR8, "uint64"},   {"efer", WEIR_EFER, "weir_efer"},
                  {"xcr0", WEIR_XCR0, "uint64"}};
    if (plain64) {
        begin(l, "org.gnu.gdb.i386.segments");
        add_part(l, "fs", WEIR_FS, GDB_BASE);
        add_part(l, "gs", WEIR_GS, GDB_BASE);
    }
    begin(l, "org.weir.i386.system");
    for (unsigned i = 0; i < sizeof(system) / sizeof(system[0]); i++)
        add_plain(l, system[i].name, system[i].reg, 8, system[i].type, "system");
    if (has_long)
        add_plain(l, "k_gs_base", WEIR_KERNEL_GS_BASE, 8, "uint64", "system");
    add_tables(l, !plain64);
}

void gdb_layout_make(struct gdb_layout *l, weir_vcpu *cpu)
{
    unsigned bits = (unsigned)weir_code_bits(cpu);
    union weir_value v;
    bool has_long = weir_reg_get(cpu, WEIR_KERNEL_GS_BASE, &v) >= 0; /* no such MSR without */
    memset(l, 0, sizeof(*l));
    l->architecture = bits == 64 ? "i386:x86-64" : bits == 32 ? "i386" : "i8086";
    add_core(l, bits, has_long);
    add_simd(l, cpu, has_long, bits != 64 && has_long);
    add_system(l, has_long, bits == 64);
}

/* ---- the description ---- */

static void put_flags(struct gdb_buffer *out, const char *id, unsigned bytes, const char *names)
{
    unsigned bit = 0;
    gdb_printf(out, "<flags id=\"%s\" size=\"%u\">", id, bytes);
    for (const char *s = names; *s; bit++) {
        size_t n = strcspn(s, " ");
        if (n != 1 || *s != '-')
            gdb_printf(out, "<field name=\"%.*s\" start=\"%u\" end=\"%u\"/>", (int)n, s, bit,
                       bit);
        s += n + (s[n] == ' ');
    }
    gdb_puts(out, "</flags>");
}

/* Types are known only in the feature that defines them. */
static const char vec128[] =
    "<vector id=\"v8bf16\" type=\"bfloat16\" count=\"8\"/>"
    "<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/>"
    "<vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>"
    "<vector id=\"v16i8\" type=\"int8\" count=\"16\"/>"
    "<vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"
    "<vector id=\"v4i32\" type=\"int32\" count=\"4\"/>"
    "<vector id=\"v2i64\" type=\"int64\" count=\"2\"/>"
    "<union id=\"vec128\"><field name=\"v8_bfloat16\" type=\"v8bf16\"/>"
    "<field name=\"v4_float\" type=\"v4f\"/>"
    "<field name=\"v2_double\" type=\"v2d\"/>"
    "<field name=\"v16_int8\" type=\"v16i8\"/>"
    "<field name=\"v8_int16\" type=\"v8i16\"/>"
    "<field name=\"v4_int32\" type=\"v4i32\"/>"
    "<field name=\"v2_int64\" type=\"v2i64\"/>"
    "<field name=\"uint128\" type=\"uint128\"/></union>";

static void put_types(const char *feature, struct gdb_buffer *out)
{
    if (strstr(feature, ".core")) {
        put_flags(out, "i386_eflags", 4,
                  "CF - PF - AF - ZF SF TF IF DF OF - - NT - RF VM AC VIF VIP ID");
    } else if (strstr(feature, ".sse")) {
        gdb_puts(out, vec128);
        put_flags(out, "i386_mxcsr", 4, "IE DE ZE OE UE PE DAZ IM DM ZM OM UM PM - - FZ");
    } else if (strstr(feature, ".avx512")) {
        gdb_puts(out, vec128);
        gdb_puts(out, "<vector id=\"v2ui128\" type=\"uint128\" count=\"2\"/>");
    } else if (strstr(feature, ".system")) {
        put_flags(out, "weir_cr0", 8,
                  "PE MP EM TS ET NE - - - - - - - - - - WP - AM - - - - - - - - - - NW CD PG");
        put_flags(out, "weir_cr4", 8,
                  "VME PVI TSD DE PSE PAE MCE PGE PCE OSFXSR OSXMMEXCPT UMIP LA57 VMXE SMXE - "
                  "FSGSBASE PCIDE OSXSAVE KL SMEP SMAP PKE CET PKS");
        put_flags(out, "weir_efer", 8, "SCE - - - - - - - LME - LMA NXE SVME LMSLE FFXSR TCE");
    }
}

void gdb_layout_xml(const struct gdb_layout *l, struct gdb_buffer *out)
{
    gdb_printf(out,
               "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target>"
               "<architecture>%s</architecture><osabi>none</osabi>",
               l->architecture);
    for (unsigned i = 0; i < l->count; i++) {
        const struct gdb_reg *r = &l->regs[i];
        if (r->feature) {
            gdb_printf(out, "%s<feature name=\"%s\">", i ? "</feature>" : "", r->feature);
            put_types(r->feature, out);
        }
        gdb_printf(out, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\"", r->name, r->bytes * 8u,
                   r->type);
        if (r->group)
            gdb_printf(out, " group=\"%s\"", r->group);
        gdb_puts(out, "/>");
    }
    gdb_puts(out, "</feature></target>");
}

/* ---- values ---- */

/* x87 pointers: 64-bit code sees 64 bits of offset and no selector, older code a selector. */
static uint64_t fp_high(weir_vcpu *cpu, enum weir_reg reg)
{
    uint64_t selector = weir_reg_get_u64(cpu, reg == WEIR_FIP ? WEIR_FCS : WEIR_FDS);
    return selector ? selector : weir_reg_get_u64(cpu, reg) >> 32;
}

bool gdb_reg_read(weir_vcpu *cpu, const struct gdb_reg *r, uint8_t *bytes)
{
    union weir_value v = {0};
    uint64_t number = 0;
    memset(bytes, 0, r->bytes);
    if (r->kind == GDB_PC) {
        number = weir_linear_rip(cpu);
    } else if (weir_reg_get(cpu, (enum weir_reg)r->reg, &v) < 0) {
        return false;
    } else if (r->kind == GDB_BYTES) {
        memcpy(bytes, v.bytes + r->offset, r->bytes);
        return true;
    }
    switch (r->kind) {
    case GDB_PLAIN:
        number = v.u64;
        break;
    case GDB_SELECTOR:
        number = v.segment.selector;
        break;
    case GDB_BASE:
        number = v.segment.base;
        break;
    case GDB_LIMIT:
        number = v.segment.limit;
        break;
    case GDB_FP_HIGH:
        number = fp_high(cpu, (enum weir_reg)r->reg);
        break;
    default:
        break;
    }
    memcpy(bytes, &number, r->bytes);
    return true;
}

static bool write_pc(weir_vcpu *cpu, uint64_t linear, unsigned bytes)
{
    union weir_value cs;
    bool is_long = weir_code_bits(cpu) == 64;
    if (weir_reg_get(cpu, WEIR_CS, &cs) < 0)
        return false;
    if (is_long) /* a 32-bit view of it keeps the upper half */
        return weir_reg_set_u64(
                   cpu, WEIR_RIP,
                   bytes == 8 ? linear : (weir_linear_rip(cpu) & ~0xffffffffull) | linear) >= 0;
    uint64_t offset = (linear - cs.segment.base) & 0xffffffff;
    return offset <= cs.segment.limit && weir_reg_set_u64(cpu, WEIR_RIP, offset) >= 0;
}

/* A selector alone: in real and virtual-8086 mode its base follows. In protected mode only the
 * number changes, what the segment is stays. */
static void set_selector(weir_vcpu *cpu, union weir_value *v, uint64_t number)
{
    bool real = !(weir_reg_get_u64(cpu, WEIR_CR0) & 1) ||
                (weir_reg_get_u64(cpu, WEIR_RFLAGS) & 1u << 17);
    v->segment.selector = (uint16_t)number;
    if (real)
        v->segment.base = (number & 0xffff) << 4;
}

static bool is_number(const struct gdb_reg *r)
{
    return r->kind == GDB_PLAIN || r->kind == GDB_FP_HIGH;
}

bool gdb_reg_write(weir_vcpu *cpu, const struct gdb_reg *r, const uint8_t *bytes)
{
    union weir_value v, old;
    uint64_t number = 0;
    uint8_t now[64];
    if (!gdb_reg_read(cpu, r, now))
        return false;
    if (!memcmp(now, bytes, r->bytes)) /* G and `flushregs` write everything back */
        return true;
    if (r->kind != GDB_BYTES)
        memcpy(&number, bytes, r->bytes);
    if (r->kind == GDB_PC)
        return write_pc(cpu, number, r->bytes);
    if (weir_reg_get(cpu, (enum weir_reg)r->reg, &old) < 0)
        return false;
    v = old;
    if (r->kind == GDB_BYTES)
        memcpy(v.bytes + r->offset, bytes, r->bytes);
    else if (r->kind == GDB_FP_HIGH)
        v.u64 = (old.u64 & 0xffffffff) | number << 32;
    else if (is_number(r))
        memcpy(&v.u64, bytes, r->bytes);
    else if (r->kind == GDB_SELECTOR)
        set_selector(cpu, &v, number);
    else if (r->kind == GDB_BASE)
        v.segment.base = number;
    else
        v.segment.limit = (uint32_t)number;
    return weir_reg_set(cpu, (enum weir_reg)r->reg, &v) >= 0;
}
