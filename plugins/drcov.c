/* SPDX-License-Identifier: MIT */
/*
 * drcov.c - which code was executed, in the drcov format (version 2) that coverage browsers of
 * disassemblers read.
 *
 *   weir -plugin drcov.so[,out=FILE][,module=NAME@FIRST-LAST]...[,cpl=N][,cr3=N]
 *
 * FILE: weir.drcov. Blocks outside all modules go to a module of their own for every 4 GiB of
 * addresses. Each block costs something only the first time it is executed.
 */
#include "options.h"

#include <weir/plugin.h>

const unsigned weir_plugin_version = WEIR_PLUGIN_VERSION;

#define MODULES_MAX 1024u

struct module {
    uint64_t first, last;
    char name[256];
};
struct entry { /* as in the file */
    uint32_t start;
    uint16_t size, module;
};
struct coverage {
    FILE *out;
    struct module modules[MODULES_MAX];
    unsigned module_count;
    struct entry *entries;
    size_t count, size;
    bool failed;
};

static unsigned module_of(struct coverage *c, uint64_t address)
{
    for (unsigned k = 0; k < c->module_count; k++)
        if (address >= c->modules[k].first && address <= c->modules[k].last)
            return k;
    if (c->module_count == MODULES_MAX)
        return MODULES_MAX;
    struct module *m = &c->modules[c->module_count];
    m->first = address & ~0xffffffffull;
    m->last = address | 0xffffffff;
    snprintf(m->name, sizeof(m->name), "at_%08llx00000000", (unsigned long long)address >> 32);
    return c->module_count++;
}

static unsigned executed(void *ctx, weir_vcpu *cpu, struct weir_block_event *e)
{
    struct coverage *c = ctx;
    unsigned module = module_of(c, e->head.pc);
    if (module == MODULES_MAX)
        return WEIR_CONTINUE;
    if (c->count == c->size) {
        size_t size = c->size ? c->size * 2 : 65536;
        struct entry *bigger = realloc(c->entries, size * sizeof(*bigger));
        if (!bigger) {
            c->failed = true;
            return WEIR_REMOVE;
        }
        c->entries = bigger;
        c->size = size;
    }
    c->entries[c->count++] =
        (struct entry){.start = (uint32_t)(e->head.pc - c->modules[module].first),
                       .size = (uint16_t)e->bytes,
                       .module = (uint16_t)module};
    return WEIR_CONTINUE;
}

static bool modules_given(struct coverage *c, const char *options)
{
    for (const char *p = options; (p = strstr(p, "module=")); p++) {
        struct module *m = &c->modules[c->module_count];
        unsigned long long first, last;
        if (c->module_count == MODULES_MAX ||
            sscanf(p, "module=%255[^@,]@%lli-%lli", m->name, (long long *)&first,
                   (long long *)&last) != 3)
            return false;
        m->first = first;
        m->last = last;
        c->module_count++;
    }
    return true;
}

int weir_plugin_start(weir *vm, const char *options, void **state, const char **error)
{
    struct weir_filter f = {.once = true};
    unsigned long long number;
    if (!options_known(options, "out,module,cpl,cr3")) {
        *error = "unknown option; there are out=, module=, cpl=, cr3=";
        return -1;
    }
    struct coverage *c = calloc(1, sizeof(*c));
    if (!c || !modules_given(c, options)) {
        *error = "module= must be NAME@FIRST-LAST";
        free(c);
        return -1;
    }
    if (!(c->out = option_out(options, "weir.drcov"))) {
        *error = "cannot write the file";
        free(c);
        return -1;
    }
    if (option_number(options, "cpl", &number)) {
        f.by |= WEIR_BY_CPL;
        f.cpls = (uint8_t)(1u << (number & 3));
    }
    if (option_number(options, "cr3", &number)) {
        f.by |= WEIR_BY_CR3;
        f.cr3 = number;
    }
    *state = c;
    return weir_on_block(vm, &f, executed, c, NULL);
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct entry));
}

void weir_plugin_end(weir *vm, void *state)
{
    struct coverage *c = state;
    size_t unique = 0;
    qsort(c->entries, c->count, sizeof(struct entry), compare);
    for (size_t k = 0; k < c->count; k++) /* code that was translated twice was told twice */
        if (!unique || compare(&c->entries[k], &c->entries[unique - 1]))
            c->entries[unique++] = c->entries[k];
    fprintf(c->out, "DRCOV VERSION: 2\nDRCOV FLAVOR: drcov\n");
    fprintf(c->out, "Module Table: version 2, count %u\n", c->module_count);
    fprintf(c->out, "Columns: id, base, end, entry, checksum, timestamp, path\n");
    for (unsigned k = 0; k < c->module_count; k++)
        fprintf(c->out,
                "%2u, 0x%016llx, 0x%016llx, 0x0000000000000000, 0x00000000, 0x00000000, %s\n",
                k, (unsigned long long)c->modules[k].first,
                (unsigned long long)c->modules[k].last + 1, c->modules[k].name);
    fprintf(c->out, "BB Table: %zu bbs\n", unique);
    fwrite(c->entries, sizeof(struct entry), unique, c->out);
    if (c->out != stderr)
        fclose(c->out);
    free(c->entries);
    free(c);
}
