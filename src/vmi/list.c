/* SPDX-License-Identifier: MIT */
/* list.c - the counters, and the table of calls, as functions and for people. */
#include "vmi/vmi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void weir_vmi_config_init(struct weir_vmi_config *config, size_t size)
{
    struct weir_vmi_config defaults = {.api = 3, .base = 0xd0000};
    memset(config, 0, size);
    memcpy(config, &defaults, size < sizeof(defaults) ? size : sizeof(defaults));
    config->size = size;
}

int weir_vmi_enable(weir *vm, const struct weir_vmi_config *config)
{
    return vmi_enable(vm, config);
}

/* ---- the table ---- */

const char *weir_vmi_kind(const char *kind)
{
    static const char *const kinds[][2] = {
        {"nop", "returns at once: nothing needs to be done"},
        {"ident", "one instruction, the one that a kernel would use itself"},
        {"native", "straight code, no exit to the host"},
        {"far", "straight code, too long for a slot: the slot jumps to it"},
        {"exit", "a private exit (VMCALL at a place the host knows), arguments in registers"},
        {"frame",
         "EAX, ECX, EDX and the frame's address are pushed; what is called exits to the "
         "host, which works on the frame"},
        {"string",
         "as frame, with the address pushed too; what is called is a loop in the ROM"},
        {"cpuid", "all registers are pushed; what is called exits to the host"},
    };
    for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++)
        if (!strcmp(kinds[k][0], kind))
            return kinds[k][1];
    return NULL;
}

static void fill(unsigned api, unsigned row, struct weir_vmi_call *out)
{
    static const char *const relocations[][2] = {
        {"CALL", "CALL_REL"}, {"JUMP", "JUMP_REL"}, {"NOP", "NOP"}};
    const struct vmi_call *c = &vmi_calls[row];
    const struct vmi_source *s = vmi_source(api, false);
    *out = (struct weir_vmi_call){
        .name = c->name,
        .number = c->number[vmi_which(api)],
        .offset = s->rows[row].first,
        .bytes = s->rows[row].end - s->rows[row].first,
        .kind = c->kind[vmi_which(api)],
        .relocation = "slot",
        .in = c->in,
        .out = c->out,
        .clobbers = c->clobbers,
        .what = c->what,
        .host = !strcmp(c->host, "none") || !strcmp(c->kind[vmi_which(api)], "ident") ? NULL
                                                                                      : c->host,
    };
    for (unsigned k = 0; k < ARRAY_SIZE(relocations) && api == 3; k++)
        if (!strcmp(relocations[k][0], c->relocation))
            out->relocation = relocations[k][1];
}

int weir_vmi_call(unsigned api, unsigned i, struct weir_vmi_call *call)
{
    struct weir_vmi_call all;
    for (unsigned row = 0; row < VMI_ROWS && (api == 3 || api == 13); row++) {
        if (vmi_calls[row].number[vmi_which(api)] < 0 || i--)
            continue;
        size_t size = call->size < sizeof(all) ? call->size : sizeof(all);
        fill(api, row, &all);
        all.size = call->size;
        memcpy(call, &all, size);
        return 0;
    }
    return -WEIR_ENOENT;
}

int weir_vmi_find(unsigned api, const char *name)
{
    int row = api == 3 || api == 13 ? vmi_row_find(api, name) : -1;
    return row < 0 ? -WEIR_ENOENT : vmi_calls[row].number[vmi_which(api)];
}

int weir_vmi_image(const struct weir_vmi_config *config, uint8_t *image)
{
    if (config->api != 3 && config->api != 13)
        return -WEIR_EINVAL;
    vmi_image_make(vmi_source(config->api, config->counters), config->api, config->base,
                   1000000000, image);
    return 0;
}

/* ---- counters ---- */

static int larger_first(const void *a, const void *b)
{
    const struct weir_vmi_counter *x = a, *y = b;
    if ((x->vector < 0) != (y->vector < 0))
        return x->vector < 0 ? -1 : 1;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return x->name && y->name ? strcmp(x->name, y->name) : x->vector - y->vector;
}

static uint64_t call_count(const struct vmi *v, unsigned row)
{
    if (v->config.counters)
        return load_le(v->rom + VMI_CODE_BYTES + 8 * row, 4);
    return v->calls[row];
}

/* The name is the ROM's, for people with its source before them. */
static const char *counter_name(const struct vmi *v, unsigned row)
{
    return (const char *)v->fresh + load_le(v->fresh + VMI_CODE_BYTES + 8 * row + 4, 4);
}

static unsigned collect(const struct vmi *v, struct weir_vmi_counter *out)
{
    unsigned n = 0;
    for (unsigned row = 0; row < VMI_ROWS; row++)
        if (vmi_calls[row].number[vmi_which(v->config.api)] >= 0 && call_count(v, row))
            out[n++] = (struct weir_vmi_counter){counter_name(v, row), -1, call_count(v, row)};
    for (unsigned k = 0; k < 256; k++)
        if (v->vectors[k])
            out[n++] = (struct weir_vmi_counter){NULL, (int)k, v->vectors[k]};
    qsort(out, n, sizeof(*out), larger_first);
    return n;
}

int weir_vmi_counters(weir *vm, struct weir_vmi_counter *counters, unsigned max)
{
    struct weir_vmi_counter all[VMI_ROWS + 256];
    if (!vm->vmi)
        return err_set(&vm->err, WEIR_ESTATE, "this machine has no VMI ROM");
    unsigned n = collect(vm->vmi, all);
    if (max)
        memcpy(counters, all, (n < max ? n : max) * sizeof(*counters));
    return (int)n;
}

int weir_vmi_counters_clear(weir *vm)
{
    struct vmi *v = vm->vmi;
    if (!v)
        return err_set(&vm->err, WEIR_ESTATE, "this machine has no VMI ROM");
    memset(v->calls, 0, sizeof(v->calls));
    memset(v->vectors, 0, sizeof(v->vectors));
    memset(v->rom + VMI_CODE_BYTES + VMI_AT_TRAPS, 0, 256 * 4);
    for (unsigned row = 0; row < VMI_ROWS; row++)
        memset(v->rom + VMI_CODE_BYTES + 8 * row, 0, 4);
    v->traps = (struct weir_vmi_traps){0};
    return 0;
}

int weir_vmi_traps(weir *vm, struct weir_vmi_traps *traps)
{
    if (!vm->vmi)
        return err_set(&vm->err, WEIR_ESTATE, "this machine has no VMI ROM");
    struct weir_vmi_traps all = vm->vmi->traps;
    size_t size = traps->size < sizeof(all) ? traps->size : sizeof(all);
    all.size = traps->size;
    memcpy(traps, &all, size);
    return 0;
}

static void put_share(struct weir_text *out, const char *name, uint64_t count, uint64_t total)
{
    uint64_t permille = total ? count * 1000 / total : 0;
    weir_textf(out, "%-30s %12llu  %3llu.%llu%%\n", name, (unsigned long long)count,
               (unsigned long long)permille / 10, (unsigned long long)permille % 10);
}

static void put_counters(const struct vmi *v, struct weir_text *out)
{
    struct weir_vmi_counter all[VMI_ROWS + 256];
    uint64_t total[2] = {0};
    unsigned n = collect(v, all);
    for (unsigned k = 0; k < n; k++)
        total[all[k].vector >= 0] += all[k].count;
    for (unsigned k = 0; k < n; k++) {
        char vector[16];
        bool is_vector = all[k].vector >= 0;
        if (k == 0 || is_vector != (all[k - 1].vector >= 0))
            weir_textf(out, "%s\n",
                       is_vector            ? "delivered, by vector:"
                       : v->config.counters ? "calls:"
                                            : "calls served by the host (counters=on: all):");
        snprintf(vector, sizeof(vector), "0x%02x", (unsigned)all[k].vector & 0xff);
        put_share(out, is_vector ? vector : all[k].name, all[k].count, total[is_vector]);
    }
}

void vmi_info(struct weir *vm, struct weir_text *out)
{
    const struct vmi *v = vm->vmi;
    if (!v) {
        weir_textf(out, "this machine has no VMI ROM\n");
        return;
    }
    weir_textf(out, "VMI ROM, API %u.0, at 0x%05x-0x%05x%s\n", v->config.api, v->config.base,
               v->config.base + VMI_ROM_BYTES - 1, v->config.counters ? ", with counters" : "");
    if (!v->initialised)
        weir_textf(out, "not initialised\n");
    else
        weir_textf(out, "initialised at address 0x%08x\n", v->at);
    if (v->slots)
        weir_textf(out, "slots moved to address 0x%08x\n", v->slots);
    put_counters(v, out);
    weir_textf(
        out,
        "exceptions from user code %llu, from the kernel %llu, of these in the ROM %llu; "
        "system calls %llu\n",
        (unsigned long long)v->traps.from_user, (unsigned long long)v->traps.from_kernel,
        (unsigned long long)v->traps.in_rom, (unsigned long long)v->traps.system_calls);
}
