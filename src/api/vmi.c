/* SPDX-License-Identifier: MIT */
/*
 * vmi.c - VMI ROMs for people: an entry explained, a ROM from a file checked. What a ROM of API 3
 * answers to GetRelocationInfo is found out by asking it, in a machine of its own with a limit on
 * its instructions.
 */
#include "api/api.h"
#include "vmi/check.h"
#include "vmi/rom.h"
#include <weir/machine.h>

#include <stdio.h>
#include <string.h>

/* ---- one entry ---- */

/* Where a CALL, a JMP or a short Jcc leads; 0: it is none. */
static uint32_t branch_target(const uint8_t *image, uint32_t at, unsigned length)
{
    if (length == 5 && (image[at] == 0xe8 || image[at] == 0xe9))
        return at + 5 + (uint32_t)load_le(image + at + 1, 4);
    if (length == 2 && (image[at] & 0xf0) == 0x70)
        return at + 2 + (uint32_t)(int8_t)image[at + 1];
    return 0;
}

/* What is shown. */
struct view {
    const struct vmi_source *s;
    const uint8_t *image;
    uint32_t base;
    const char *name;      /* the entry's */
    uint32_t first, end;   /* where its code is */
    uint32_t body, behind; /* and what it leads to, if that is elsewhere */
};

/* "exit_WRMSR" and the like: what a branch leads to. */
static void put_target(const struct view *v, uint32_t at, unsigned length,
                       struct weir_text *out)
{
    const struct vmi_source *s = v->s;
    uint32_t target = branch_target(v->image, at, length);
    if (!target)
        return;
    int row = vmi_row_at(s, target);
    for (const struct vmi_exit *e = s->exits; e->offset; e++) {
        if (target == e->offset && e->row < VMI_ROWS) {
            weir_textf(out, "   ; exit_%s", vmi_calls[e->row].name);
            return;
        }
    }
    if (row >= 0)
        weir_textf(out, "   ; VMI_%s+0x%x", vmi_calls[row].name, target - s->rows[row].first);
    else if (target == v->body)
        weir_textf(out, "   ; body_%s", v->name);
    else if (target > v->body && target < v->behind)
        weir_textf(out, "   ; body_%s+0x%x", v->name, target - v->body);
    else if (target < VMI_CODE_BYTES)
        weir_textf(out, "   ; ROM+0x%x", target);
}

static bool is_patchup(const struct vmi_source *s, uint32_t at)
{
    for (const uint16_t *p = s->patchups; *p; p++)
        if (*p == at)
            return true;
    return false;
}

static bool has_patchup(const struct vmi_source *s, uint32_t first, uint32_t end)
{
    for (const uint16_t *p = s->patchups; *p; p++)
        if (*p >= first && *p < end)
            return true;
    return false;
}

/* The counter that an instruction counts in. */
static void put_counter(const struct vmi_source *s, const uint8_t *image, uint32_t at,
                        uint32_t base, unsigned length, struct weir_text *out)
{
    bool relative;
    unsigned field = is_patchup(s, at) ? vmi_patch_field(image + at, length, &relative) : 0;
    if (!field || relative)
        return;
    uint32_t row = ((uint32_t)load_le(image + at + field, 4) - base - VMI_CODE_BYTES) / 8;
    weir_textf(out, "   ; counter of %s", row < VMI_ROWS ? vmi_calls[row].name : "?");
}

static const char *exit_at(const struct vmi_source *s, uint32_t at)
{
    for (const struct vmi_exit *e = s->exits; e->offset; e++)
        if (at == e->offset)
            return e->row < VMI_ROWS ? vmi_calls[e->row].host : "init";
    return NULL;
}

/* A line in the making. */
struct line {
    struct weir_text text;
    char chars[256];
    size_t length;
};
static void add_to_line(struct weir_text *text, const char *chars, size_t length)
{
    struct line *l = (struct line *)text;
    for (size_t k = 0; k < length && l->length + 1 < sizeof(l->chars); k++)
        l->chars[l->length++] = chars[k];
}
static void put_line(struct line *l, struct weir_text *out)
{
    while (l->length && l->chars[l->length - 1] == ' ')
        l->length--;
    weir_textf(out, "%.*s\n", (int)l->length, l->chars);
}

static void put_code(const struct view *v, uint32_t first, uint32_t end, struct weir_text *out)
{
    const struct vmi_source *s = v->s;
    const uint8_t *image = v->image;
    uint32_t base = v->base;
    for (uint32_t at = first; at < end;) {
        char text[128], hex[48];
        int length =
            weir_disassemble(image + at, end - at, 32, base + at, true, text, sizeof(text));
        if (length <= 0) {
            snprintf(text, sizeof(text), ".byte 0x%02x", image[at]);
            length = 1;
        }
        for (int k = 0; k < length && k < 15; k++)
            snprintf(hex + 3 * k, 4, "%02x ", image[at + (uint32_t)k]);
        struct line l = {.text = {add_to_line}};
        weir_textf(&l.text, "  %04x %c %-24s %-32s", at, is_patchup(s, at) ? 'P' : ' ', hex,
                   text);
        put_target(v, at, (unsigned)length, &l.text);
        put_counter(s, image, at, base, (unsigned)length, &l.text);
        if (exit_at(s, at))
            weir_textf(&l.text, "   ; private exit: the host's %s", exit_at(s, at));
        put_line(&l, out);
        at += (uint32_t)length;
    }
}

/* Where code ends that begins here: at a RET that nothing before it leads behind. */
static uint32_t body_end(const uint8_t *image, uint32_t at)
{
    uint32_t furthest = at;
    while (at < VMI_CODE_BYTES) {
        char text[128];
        int length =
            weir_disassemble(image + at, VMI_CODE_BYTES - at, 32, at, true, text, sizeof(text));
        bool is_jump = length == 5 && image[at] == 0xe9;
        uint32_t target = is_jump ? 0 : branch_target(image, at, (unsigned)length);
        if (target < VMI_CODE_BYTES && target > furthest)
            furthest = target;
        bool is_return = length == 1 && image[at] == 0xc3;
        at += length > 0 ? (uint32_t)length : 1;
        if (is_return && furthest < at)
            break;
    }
    return at;
}

/* What an entry calls or jumps to; 0: nothing. */
static uint32_t find_body(const struct view *v)
{
    bool relative;
    for (const uint16_t *p = v->s->patchups; *p; p++)
        if (*p >= v->first && *p < v->end &&
            vmi_patch_field(v->image + *p, v->end - *p, &relative) && relative)
            return branch_target(v->image, *p, 5);
    return 0;
}

/* `body`: what the entry leads to, 0: nothing. */
static void put_entry(struct view *v, uint32_t body, struct weir_text *out)
{
    v->body = body;
    v->behind = body ? body_end(v->image, body) : 0;
    put_code(v, v->first, v->end, out);
    if (v->body) {
        weir_textf(out, "what it leads to, at ROM+0x%x:\n", v->body);
        put_code(v, v->body, v->behind, out);
    }
    if (has_patchup(v->s, v->first, v->end))
        weir_textf(out, "P: patch-up, Init adapts its last four bytes to where the ROM is\n");
}

static const char *host_text(const char *host)
{
    static const char *const texts[][2] = {
        {"cpuid", "looks up the leaf in the CPU model"},
        {"wrmsr", "checks and writes the MSR as WRMSR does; #GP otherwise"},
        {"rdmsr", "reads the MSR as RDMSR does; #GP for none"},
        {"set_gdt",
         "reads limit and base, loads GDTR, then loads CS, SS, DS and ES again from the "
         "new table, FS and GS too if they are in it; if one cannot be loaded, GDTR and "
         "all segments stay as they were and the guest gets that fault"},
        {"update_kernel_stack", "writes ESP0 and SS0 of the TSS that TR holds"},
        {"set_dr", "checks and writes the debug register as MOV DR does"},
        {"get_dr", "reads the debug register as MOV DR does"},
        {"reboot", "INIT, or a reset of the machine, before the next instruction"},
        {"shutdown", "ends the run as ACPI's S5 does, before the next instruction"},
        {"flush_tlb", "drops translations: bit 0 those of this address space, bit 1 all"},
        {"set_initial_ap_state", "keeps the state for the processor's next INIT"},
        {"get_cycle_counter", "virtual clock; without stolen time; stolen time"},
        {"set_alarm",
         "arms the counter's timer; when it fires, IRQ 0 or the local APIC's timer "
         "vector is raised"},
        {"cancel_alarm", "disarms the counter's timer"},
        {"get_wallclock_time", "reads the host's clock"},
        {"wallclock_updated", "compares the host's clock with the real counter"},
    };
    for (unsigned k = 0; k < ARRAY_SIZE(texts); k++)
        if (!strcmp(texts[k][0], host))
            return texts[k][1];
    return "nothing";
}

/* Init and GetRelocationInfo, which are no rows of the table. */
static int disassemble_own(const struct weir_vmi_config *config, const uint8_t *image,
                           const char *name, struct weir_text *out)
{
    const struct vmi_source *s = vmi_source(config->api, config->counters);
    bool init = !strcmp(name, "Init");
    uint32_t at = init ? VMI_AT_INIT : VMI_AT_QUERY;
    if (!init && (config->api != 3 || strcmp(name, "GetRelocationInfo")))
        return -WEIR_ENOENT;
    weir_textf(out, "VMI_%s, API %u.0, at ROM+0x%x (%08x)\n", name, config->api, at,
               config->base + at);
    weir_textf(out, "%s\n\n",
               !init ? "in: EAX number\nout: EAX address, DL type"
               : config->api == 3
                   ? "out: EAX 0\nhost: makes the counters' addresses right"
                   : "in: EAX address of the slots\nout: EAX 0, or -1: not there\n"
                     "host: makes calls and counters in the slots right");
    bool jumps = image[at] == 0xe9;
    struct view v = {.s = s, .image = image, .base = config->base, .name = name, .first = at};
    v.end = jumps ? at + 5 : body_end(image, at);
    put_entry(&v, jumps ? branch_target(image, at, 5) : 0, out);
    return 0;
}

int weir_vmi_disassemble(const struct weir_vmi_config *config, const char *name,
                         struct weir_text *out)
{
    uint8_t image[VMI_ROM_BYTES];
    int rc = weir_vmi_image(config, image);
    int row = rc == 0 ? vmi_row_find(config->api, name) : -1;
    if (row < 0)
        return rc < 0 ? rc : disassemble_own(config, image, name, out);
    unsigned which = vmi_which(config->api);
    const struct vmi_call *c = &vmi_calls[row];
    const struct vmi_source *s = vmi_source(config->api, config->counters);
    uint32_t first = s->rows[row].first, end = s->rows[row].end;
    bool host = strcmp(c->host, "none") && strcmp(c->kind[which], "ident");
    weir_textf(out, "VMI_%s: %s\n", c->name, c->what);
    weir_textf(out, "API %u.0, %s %d, at ROM+0x%x (%08x), %u bytes\n", config->api,
               which ? "slot" : "number", c->number[which], first, config->base + first,
               end - first);
    if (!which)
        weir_textf(out, "GetRelocationInfo: %s%s\n", c->relocation,
                   !strcmp(c->relocation, "NOP") ? "" : "_REL");
    weir_textf(out, "kind: %s: %s\n", c->kind[which], weir_vmi_kind(c->kind[which]));
    weir_textf(out, "in: %s\nout: %s\nclobbers: %s\n", c->in, c->out, c->clobbers);
    weir_textf(out, "host: %s\n\n", host ? host_text(c->host) : "nothing");
    struct view v = {.s = s,
                     .image = image,
                     .base = config->base,
                     .name = c->name,
                     .first = first,
                     .end = end};
    put_entry(&v, find_body(&v), out);
    return 0;
}

/* ---- a ROM from a file ---- */

enum {
    CHECK_BASE = 0xd0000,
    CHECK_STACK = 0x80000,
    CHECK_RETURN = 0x1000, /* HLT */
    CHECK_NUMBERS = 80,
    CHECK_BUDGET = 100000
};

static const enum weir_reg kept[] = {WEIR_RBX, WEIR_RSI, WEIR_RDI, WEIR_RBP};

static void set(weir_vcpu *cpu, enum weir_reg reg, uint64_t value)
{
    weir_reg_set(cpu, reg, &(union weir_value){.u64 = value});
}
static uint64_t reg(weir_vcpu *cpu, enum weir_reg reg)
{
    union weir_value v = {0};
    weir_reg_get(cpu, reg, &v);
    return v.u64;
}

/* Calls GetRelocationInfo; false: it did not return properly. */
static bool ask(weir *vm, unsigned number, uint64_t *record)
{
    weir_vcpu *cpu = weir_get_vcpu(vm, 0);
    struct weir_exit e = {0};
    const uint32_t back = CHECK_RETURN;
    if (weir_boot_flat(vm, 32, CHECK_BASE + VMI_AT_QUERY, CHECK_STACK, 0) < 0 ||
        weir_mem_write(vm, CHECK_STACK, &back, sizeof(back)) < 0)
        return false;
    for (unsigned k = 0; k < ARRAY_SIZE(kept); k++)
        set(cpu, kept[k], 0x5a5a0000 + k);
    set(cpu, WEIR_RSP, CHECK_STACK);
    set(cpu, WEIR_RAX, number);
    if (weir_run(cpu, CHECK_BUDGET, &e) < 0 || e.reason != WEIR_EXIT_HALT ||
        reg(cpu, WEIR_RIP) != CHECK_RETURN + 1 || reg(cpu, WEIR_RSP) != CHECK_STACK + 4)
        return false;
    for (unsigned k = 0; k < ARRAY_SIZE(kept); k++)
        if (reg(cpu, kept[k]) != 0x5a5a0000 + k)
            return false;
    *record = (uint32_t)reg(cpu, WEIR_RAX) | reg(cpu, WEIR_RDX) << 32;
    return true;
}

static unsigned check_record(unsigned number, uint64_t record, uint32_t bytes,
                             struct weir_text *out)
{
    static const char *const types[] = {"NONE", "CALL_REL", "JUMP_REL", "NOP"};
    unsigned type = record >> 32 & 0xff;
    uint32_t address = (uint32_t)record;
    if (type > VMI_NOP) {
        weir_textf(out, "error: GetRelocationInfo(%u): type %u\n", number, type);
        return 1;
    }
    if (number >= VMI_CALLS_3 && type != VMI_NONE) {
        weir_textf(out, "error: GetRelocationInfo(%u): %s, and there is no such call\n", number,
                   types[type]);
        return 1;
    }
    bool used = type == VMI_CALL_REL || type == VMI_JUMP_REL;
    if (used && address - CHECK_BASE >= bytes) {
        weir_textf(out, "note: GetRelocationInfo(%u): %s to %08x, outside of the ROM\n", number,
                   types[type], address);
    }
    return 0;
}

static unsigned ask_all(weir *vm, uint32_t bytes, struct weir_text *out)
{
    unsigned errors = 0, counts[4] = {0};
    for (unsigned n = 0; n < CHECK_NUMBERS; n++) {
        uint64_t record, again;
        if (!ask(vm, n, &record) || !ask(vm, n, &again)) {
            weir_textf(
                out, "error: GetRelocationInfo(%u) does not return, or changes registers\n", n);
            return errors + 1;
        }
        if (record != again) {
            weir_textf(out, "error: GetRelocationInfo(%u) answers differently each time\n", n);
            errors++;
        }
        errors += check_record(n, record, bytes, out);
        counts[record >> 32 & 3]++;
    }
    weir_textf(out, "GetRelocationInfo of 0-%u: %u CALL_REL, %u JUMP_REL, %u NOP, %u NONE\n",
               CHECK_NUMBERS - 1, counts[VMI_CALL_REL], counts[VMI_JUMP_REL], counts[VMI_NOP],
               counts[VMI_NONE]);
    return errors;
}

static unsigned check_relocation(const uint8_t *image, struct weir_text *out)
{
    static const uint8_t halt = 0xf4;
    struct weir_config config;
    weir *vm;
    weir_config_init(&config, sizeof(config));
    config.machine = "none";
    config.accel = "interp";
    config.ram_bytes = 2u << 20;
    uint32_t bytes = image[2] * 512u;
    if (weir_create(&config, &vm) < 0) {
        weir_textf(out, "note: no machine to ask the ROM in\n");
        return 0;
    }
    unsigned errors = 0;
    if (weir_start(vm) == 0 && weir_mem_write(vm, CHECK_BASE, image, bytes) == 0 &&
        weir_mem_write(vm, CHECK_RETURN, &halt, 1) == 0)
        errors = ask_all(vm, bytes, out);
    weir_destroy(vm);
    return errors;
}

int weir_vmi_check(const uint8_t *image, size_t bytes, struct weir_text *out)
{
    unsigned major, errors = vmi_check(image, bytes, &major, out);
    if (major == 3)
        errors += check_relocation(image, out);
    return (int)errors;
}
