/* SPDX-License-Identifier: MIT */
/*
 * vm.c - creating, starting and destroying a machine. The order of building is the order of
 * struct weir's members; weir_destroy undoes it in reverse and copes with a half-built one.
 */
#include "api/api.h"
#include "api/error.h"
#include "board/board.h"
#include "board/device.h"
#include "cpu/icount.h"
#include "debug/step_log.h"
#include "debug/trace.h"
#include "introspect/introspect.h"
#include "jit/jit.h"
#include "run/run.h"
#include "vmi/vmi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define DEFAULT_RAM_BYTES (128ull << 20)

const char *weir_version(void)
{
    return WEIR_VERSION_STRING;
}

const char *weir_last_error(const weir *vm)
{
    return vm->err.text;
}

int api_error(weir *vm, enum weir_error code, const char *text)
{
    return err_set(&vm->err, code, "%s", text);
}

/* ---- configuration ---- */

void weir_config_init(struct weir_config *config, size_t size)
{
    struct weir_config defaults = {
        .name = "weir",
        .machine = "pc",
        .ram_bytes = DEFAULT_RAM_BYTES,
        .vcpus = 1,
        .cpu = "host",
        .accel = "jit",
        .code_cache_bytes = JIT_CODE_BYTES_DEFAULT,
        .vga = "std",
        .boot_order = "cda",
        .icount_shift = -1,
    };
    memset(config, 0, size);
    memcpy(config, &defaults, size < sizeof(defaults) ? size : sizeof(defaults));
    config->size = size;
}

/* The strings of a configuration, which the VM keeps copies of. */
static const char **config_strings(struct weir_config *c, unsigned i)
{
    const char **strings[] = {&c->name, &c->machine,      &c->cpu, &c->accel,
                              &c->bios, &c->firmware_dir, &c->vga, &c->boot_order};
    return i < ARRAY_SIZE(strings) ? strings[i] : NULL;
}

static int copy_config(struct weir *vm, const struct weir_config *config)
{
    weir_config_init(&vm->config, sizeof(vm->config));
    size_t size = config->size < sizeof(vm->config) ? config->size : sizeof(vm->config);
    memcpy(&vm->config, config, size);
    vm->config.size = sizeof(vm->config);
    const char **at;
    bool failed = false;
    for (unsigned i = 0; (at = config_strings(&vm->config, i)); i++) {
        if (*at) {
            *at = strdup(*at);
            failed |= !*at;
        }
    }
    return failed ? err_set(&vm->err, WEIR_ENOMEM, "out of memory") : 0;
}

static bool is(const char *a, const char *b)
{
    return a && !strcmp(a, b);
}

static int check_config(struct weir *vm)
{
    const struct weir_config *c = &vm->config;
    if (c->vcpus != 1)
        return err_set(&vm->err, WEIR_EUNSUPPORTED,
                       "%u vCPUs: one is what this version runs; use -smp 1", c->vcpus);
    if (!is(c->accel, "interp") && !is(c->accel, "jit"))
        return err_set(&vm->err, WEIR_EUNSUPPORTED, "accelerator '%s': use jit or interp",
                       c->accel ? c->accel : "");
    if (c->icount_shift < -1 || c->icount_shift > ICOUNT_SHIFT_MAX)
        return err_set(&vm->err, WEIR_ERANGE, "icount shift %d: use 0 to %d", c->icount_shift,
                       ICOUNT_SHIFT_MAX);
    if (!is(c->machine, "pc") && !is(c->machine, "none"))
        return err_set(&vm->err, WEIR_EUNSUPPORTED, "machine '%s': use pc or none",
                       c->machine ? c->machine : "");
    if (!is(c->vga, "std") && !is(c->vga, "none"))
        return err_set(&vm->err, WEIR_EUNSUPPORTED, "vga '%s': use std or none",
                       c->vga ? c->vga : "");
    return 0;
}

/* ---- building ---- */

static int map_ram(struct weir *vm)
{
    struct ram *ram = &vm->ram;
    int rc = ram_init(ram, vm->config.ram_bytes, &vm->err);
    if (rc < 0)
        return rc;
    uint64_t above = ram->bytes - ram->below_4g;
    if (!bus_map_memory(&vm->mem, 0, ram->below_4g, ram->base, ram->tags, false, -100, "ram") ||
        (above && !bus_map_memory(&vm->mem, 1ull << 32, above, ram->base + ram->below_4g,
                                  ram->tags + ram->below_4g / RAM_PAGE_BYTES, false, -100,
                                  "ram-above-4g")))
        return err_set(&vm->err, WEIR_ENOMEM, "out of memory");
    return 0;
}

static int build_jit(struct weir *vm)
{
    int rc = jit_init(&vm->cpu, vm->config.code_cache_bytes, &vm->err);
    if (rc == 0 && !vm->config.no_windows)
        rc = jit_windows_init(&vm->cpu, &vm->err);
    if (rc == 0 && jit_view_init(&vm->cpu, weir_disassemble) < 0)
        rc = err_set(&vm->err, WEIR_ENOMEM, "out of memory");
    return rc;
}

static int build_cpu(struct weir *vm)
{
    struct vcpu *c = &vm->cpu;
    c->vm = vm;
    c->mem = &vm->mem;
    c->io = &vm->io;
    c->ram = &vm->ram;
    c->clock = &vm->clock;
    c->log = &vm->log;
    c->device_lock = &vm->device_lock;
    c->trace_block = trace_block;
    c->tsc_hz = 1000000000;
    c->a20_mask = ~0ull;
    c->icount = vm->config.icount_shift >= 0;
    c->icount_shift = c->icount ? (uint8_t)vm->config.icount_shift : 0;
    vm->timers_run_ns = CLOCK_NEVER;
    char model[512];
    int length = snprintf(model, sizeof(model), "%s%s", vm->config.cpu,
                          c->icount ? ",-rdrand,-rdseed" : "");
    if (length >= (int)sizeof(model))
        return err_set(&vm->err, WEIR_EINVAL, "CPU model: too long");
    int rc = vcpu_init(c, model, &vm->err);
    if (rc == 0 && is(vm->config.accel, "jit"))
        rc = build_jit(vm);
    return rc;
}

/* While the vCPU runs it is asked where it is, for guests without a timer, too. */
static uint64_t sample_vcpu(void *ctx)
{
    struct weir *vm = ctx;
    if (!vm->cpu.jit)
        return JIT_SAMPLE_IDLE_NS;
    if (__atomic_load_n(&vm->cpu.sleeping, __ATOMIC_RELAXED))
        return JIT_SAMPLE_IDLE_NS;
    jit_sample(&vm->cpu);
    return JIT_SAMPLE_NS;
}

static int build(struct weir *vm, const struct weir_config *config)
{
    int rc = copy_config(vm, config);
    if (rc < 0 || (rc = check_config(vm)) < 0 || (rc = run_init(vm)) < 0)
        return rc;
    vm->has_locks = true;
    if ((rc = clock_init(&vm->clock, vm->config.icount_shift < 0 ? CLOCK_HOST : CLOCK_MANUAL)) <
            0 ||
        (rc = bus_init(&vm->mem, "memory", (1ull << 52) - 1)) < 0 ||
        (rc = bus_init(&vm->io, "io", 0xffff)) < 0)
        return err_set(&vm->err, WEIR_ENOMEM, "out of memory");
    if ((rc = map_ram(vm)) < 0 || (rc = build_cpu(vm)) < 0 || (rc = introspect_init(vm)) < 0)
        return rc;
    run_connect(vm);
    pthread_mutex_lock(&vm->device_lock);
    rc = board_build(vm);
    pthread_mutex_unlock(&vm->device_lock);
    vm->loop.sample = sample_vcpu;
    vm->loop.sample_ctx = vm;
    if (rc == 0)
        rc = io_loop_start(&vm->loop, &vm->clock, &vm->device_lock, &vm->err);
    if (rc == 0)
        run_connect_timers(vm);
    return rc;
}

int weir_create(const struct weir_config *config, weir **out)
{
    *out = NULL;
    /* Not from the heap: the translator needs room near it, and some heaps leave none. */
    struct weir *vm = mmap(NULL, sizeof(struct weir), PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (vm == MAP_FAILED)
        return -WEIR_ENOMEM;
    vm->ram.fd = -1;
    log_init(&vm->log, config->log, config->log_ctx);
    int rc = build(vm, config);
    if (rc < 0) {
        log_printf(&vm->log, WEIR_LOG_MESSAGE, "%s\n", vm->err.text);
        weir_destroy(vm);
        return rc;
    }
    *out = vm;
    return 0;
}

int weir_start(weir *vm)
{
    if (vm->started || vm->start_error)
        return vm->start_error;
    pthread_mutex_lock(&vm->device_lock);
    int rc = board_finish(vm);
    if (rc == 0)
        rc = vmi_start(vm);
    pthread_mutex_unlock(&vm->device_lock);
    if (rc == 0)
        rc = run_machine_reset(vm);
    vm->started = rc == 0;
    vm->start_error = rc;
    return rc;
}

void weir_destroy(weir *vm)
{
    if (!vm)
        return;
    if (vm->loop.started)
        io_loop_stop(&vm->loop);
    if (vm->has_locks) {
        if (vm->keys.timer.clock)
            weir_timer_cancel(&vm->keys.timer);
        step_log_end(vm, vm->step_log);
        vmi_free(vm);
        devices_free(vm);
        board_free(vm);
        backends_free(vm);
        introspect_fini(vm);
        jit_fini(&vm->cpu);
        vcpu_fini(&vm->cpu);
        bus_fini(&vm->io);
        bus_fini(&vm->mem);
        ram_fini(&vm->ram);
        clock_fini(&vm->clock);
        run_fini(vm);
    }
    log_fini(&vm->log);
    const char **at;
    for (unsigned i = 0; (at = config_strings(&vm->config, i)); i++)
        free((char *)*at);
    free(vm->boot.kernel);
    free(vm->boot.initrd);
    free(vm->boot.cmdline);
    free(vm->extra_classes);
    munmap(vm, sizeof(*vm));
}

weir_vcpu *weir_get_vcpu(weir *vm, unsigned index)
{
    return index == 0 ? (weir_vcpu *)&vm->cpu : NULL;
}
weir *weir_vcpu_vm(weir_vcpu *cpu)
{
    return vcpu_of(cpu)->vm;
}

/* ---- log ---- */

void weir_log_set(weir *vm, uint32_t items)
{
    __atomic_store_n(&vm->log.items, items & ~(uint32_t)WEIR_LOG_MESSAGE, __ATOMIC_RELAXED);
    jit_log_prologue(&vm->cpu);
    bool step = items & WEIR_LOG_STEP;
    if (step && !vm->step_log) {
        vm->step_log = step_log_start(vm, &vm->log);
    } else if (!step && vm->step_log) {
        step_log_end(vm, vm->step_log);
        vm->step_log = NULL;
    }
}
uint32_t weir_log_get(const weir *vm)
{
    return vm->log.items;
}

int weir_log_filter(weir *vm, const weir_gva (*ranges)[2], unsigned count)
{
    uint64_t(*copy)[2] = NULL;
    if (count) {
        copy = malloc(count * sizeof(*copy));
        if (!copy)
            return err_set(&vm->err, WEIR_ENOMEM, "out of memory");
        memcpy(copy, ranges, count * sizeof(*copy));
    }
    free(vm->log.filter);
    vm->log.filter = copy;
    vm->log.filter_count = count;
    return 0;
}
