/* SPDX-License-Identifier: MIT */
/* jit.c - what an embedder sees of the translator: counters, names for perf, code as text. */
#include "jit/jit.h"
#include "api/api.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- counters ---- */

int weir_jit_stats_get(weir *vm, struct weir_jit_stats *stats)
{
    struct weir_jit_stats all;
    size_t size = stats->size < sizeof(all) ? stats->size : sizeof(all);
    if (!jit_stats_read(&vm->cpu, &all))
        return err_set(&vm->err, WEIR_ESTATE, "this machine has no translator");
    all.size = stats->size;
    memcpy(stats, &all, size);
    return 0;
}

static void put_number(struct weir_text *out, const char *what, uint64_t n)
{
    weir_textf(out, "%-28s %llu\n", what, (unsigned long long)n);
}
static void put_size(struct weir_text *out, const char *what, uint64_t n, uint64_t of)
{
    weir_textf(out, "%-28s %llu/%llu\n", what, (unsigned long long)n, (unsigned long long)of);
}

static void put_time(struct weir_text *out, const struct weir_jit_stats *s)
{
    unsigned inside = s->permille_translated, calls = s->permille_calls;
    unsigned rest = 1000 - inside - calls;
    weir_textf(out,
               "\nTime (estimated from samples):\n"
               "%-28s %u.%u%%\n%-28s %u.%u%%\n%-28s %u.%u%%\n",
               "in translated code", inside / 10, inside % 10, "in C, called by it", calls / 10,
               calls % 10, "outside", rest / 10, rest % 10);
}

void info_jit(weir *vm, struct weir_text *out)
{
    struct weir_jit_stats s = {.size = sizeof(s)};
    if (weir_jit_stats_get(vm, &s) < 0) {
        weir_textf(out, "this machine has no translator\n");
        return;
    }
    weir_textf(out, "Translation:\n");
    put_number(out, "blocks translated", s.blocks);
    put_number(out, "instructions in them", s.instructions);
    put_size(out, "code bytes", s.code_bytes, s.code_bytes_max);
    put_size(out, "data bytes", s.data_bytes, s.data_bytes_max);
    put_number(out, "flushes of everything", s.flushes);
    put_number(out, "links made", s.links_made);
    put_number(out, "links broken", s.links_broken);
    weir_textf(out, "\nExecution:\n");
    put_number(out, "entries into code", s.entries);
    put_number(out, "left: no link yet", s.exits_unlinked);
    put_number(out, "left: indirect jump", s.exits_indirect);
    put_number(out, "left: attention", s.exits_poll);
    put_number(out, "left: at a block's start", s.exits_start);
    put_number(out, "left: instruction in C", s.exits_call);
    put_number(out, "indirect misses", s.indirect_misses);
    put_number(out, "blocks interpreted", s.interpreted);
    put_number(out, "TLB fills", s.tlb_fills);
    weir_textf(out, "\nWindows:\n");
    put_number(out, "opened", s.windows_opened);
    put_number(out, "closed", s.windows_closed);
    put_number(out, "accesses to no page", s.window_faults);
    put_number(out, "filled", s.window_fills);
    put_number(out, "pages now", s.window_pages);
    weir_textf(out, "\nInstructions done in C:\n");
    put_number(out, "slow memory", s.calls_memory);
    put_number(out, "condition", s.calls_condition);
    put_number(out, "no fast form", s.calls_operation);
    for (unsigned k = 0; k < ARRAY_SIZE(s.top) && s.top[k].count; k++)
        weir_textf(out, "  %-26s %llu\n", s.top[k].operation,
                   (unsigned long long)s.top[k].count);
    put_time(out, &s);
}

/* ---- perf ---- */

int weir_jit_perf(weir *vm, const char *map, const char *dump)
{
    struct vcpu *c = &vm->cpu;
    int rc = 0;
    if (!c->jit)
        return err_set(&vm->err, WEIR_ESTATE, "this machine has no translator");
    if (vm->running)
        return err_set(&vm->err, WEIR_ESTATE, "the machine is running");
    if (map)
        rc = jit_perf_map(c, map, &vm->err);
    if (rc == 0 && dump)
        rc = jit_perf_dump(c, dump, &vm->err);
    return rc;
}

/* ---- one instruction per block ---- */

void weir_set_singlestep(weir *vm, bool on)
{
    if (__atomic_exchange_n(&vm->cpu.one_insn, on, __ATOMIC_SEQ_CST) != on)
        cpu_attention(&vm->cpu, ATTENTION_BUS); /* drops all blocks */
}
bool weir_is_singlestep(const weir *vm)
{
    return __atomic_load_n(&vm->cpu.one_insn, __ATOMIC_SEQ_CST);
}

/* ---- code as text ---- */

#define TEXT_RAM_BYTES (2u << 20)
#define TEXT_TABLES    0x10000u

int weir_translate_text(const uint8_t *bytes, size_t length, unsigned bits, uint64_t address,
                        const char *stage, struct weir_text *out)
{
    struct weir_config config;
    weir *vm;
    if (!bytes || !stage || !out || (bits != 16 && bits != 32 && bits != 64))
        return -WEIR_EINVAL;
    bool code = !strcmp(stage, "asm");
    if (!code && strcmp(stage, "plan"))
        return -WEIR_ENOENT;
    weir_config_init(&config, sizeof(config));
    config.machine = "none";
    config.ram_bytes = TEXT_RAM_BYTES;
    config.code_cache_bytes = JIT_CODE_BYTES_MIN;
    int rc = weir_create(&config, &vm);
    if (rc < 0)
        return rc;
    rc = weir_start(vm);
    if (rc == 0)
        rc = weir_boot_flat(vm, bits, 0, 0, TEXT_TABLES);
    if (bits == 16) /* the segment that the address is in */
        vm->cpu.segc[SEG_CS].base = address & 0xffff0000;
    if (rc == 0)
        rc = jit_stage_text(&vm->cpu, bytes, length, address, code, out);
    weir_destroy(vm);
    return rc;
}
