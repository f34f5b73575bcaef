/* SPDX-License-Identifier: MIT */
/* rig.c - see rig.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "rig.h"
#include "dev/machine_hooks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- hooks of the machine around the chips ---- */

static struct rig *rig_of(const weir *vm)
{
    return ((const struct weir *)vm)->listeners[0].ctx;
}
void machine_reset_request(weir *vm)
{
    rig_of(vm)->resets++;
}
void machine_shutdown_request(weir *vm)
{
    rig_of(vm)->shutdowns++;
}
void machine_debug_exit(weir *vm, uint32_t value)
{
    rig_of(vm)->debug_exit = (int)value;
}
void machine_a20_set(weir *vm, bool enabled)
{
    ((struct weir *)vm)->a20_enabled = enabled;
}
bool machine_a20(const weir *vm)
{
    return ((const struct weir *)vm)->a20_enabled;
}

static void gsi_set(void *ctx, int n, int level)
{
    struct rig *rig = ctx;
    rig->edges[n] += level && !rig->level[n];
    rig->level[n] = level;
}

static void log_line(void *ctx, enum weir_log_item item, const char *text, size_t length)
{
    struct rig *rig = ctx;
    rig->messages += item == WEIR_LOG_MESSAGE;
    rig->guest_errors += item == WEIR_LOG_GUEST_ERRORS;
}

/* ---- life ---- */

struct rig *rig_new(void)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    struct weir *vm = NULL;
    if (posix_memalign((void **)&vm, 64, sizeof(*vm)))
        abort();
    memset(vm, 0, sizeof(*vm));
    rig->vm = vm;
    vm->listeners[0].ctx = rig;
    rig->debug_exit = -1;
    log_init(&vm->log, log_line, rig);
    vm->log.items = WEIR_LOG_GUEST_ERRORS;
    if (clock_init(&vm->clock, CLOCK_MANUAL) < 0 ||
        bus_init(&vm->mem, "memory", (1ull << 52) - 1) < 0 ||
        bus_init(&vm->io, "io", 0xffff) < 0 ||
        ram_init(&vm->ram, RIG_RAM_BYTES, &vm->err) < 0 ||
        !bus_map_memory(&vm->mem, 0, RIG_RAM_BYTES, vm->ram.base, vm->ram.tags, false, -100,
                        "ram"))
        abort();
    clock_start(&vm->clock);
    for (unsigned n = 0; n < ARRAY_SIZE(vm->gsi); n++)
        vm->gsi[n] = (struct weir_line){gsi_set, rig, (int)n};
    return rig;
}

void rig_free(struct rig *rig)
{
    struct weir *vm = rig->vm;
    devices_free(vm);
    backends_free(vm);
    bus_fini(&vm->mem);
    bus_fini(&vm->io);
    clock_fini(&vm->clock);
    ram_fini(&vm->ram);
    log_fini(&vm->log);
    free(vm->extra_classes);
    free(vm);
    free(rig);
}
int rig_teardown(void **state)
{
    struct rig **b = *state;
    rig_free(*b);
    free(b);
    return 0;
}

int rig_try_add(struct rig *rig, const struct weir_dev_class *cls, const char *props)
{
    return device_create(rig->vm, cls, NULL, props, NULL);
}

weir_dev *rig_add(struct rig *rig, const struct weir_dev_class *cls, const char *props)
{
    weir_dev *dev = NULL;
    if (device_create(rig->vm, cls, NULL, props, &dev) < 0) {
        fprintf(stderr, "%s\n", rig->vm->err.text);
        abort();
    }
    return dev;
}

weir_dev *rig_add_pci(struct rig *rig)
{
    weir_dev *host = rig_add(rig, &i440fx_class, NULL);
    rig->vm->pci = host;
    rig_add(rig, &piix3_class, NULL);
    return host;
}

/* ---- drives ---- */

void rig_pattern(uint8_t *sector, uint32_t number)
{
    store_le(sector, number, 4);
    for (unsigned n = 4; n < 512; n++)
        sector[n] = (uint8_t)(number * 7 + n);
}

char *rig_image(uint64_t bytes)
{
    char *path = strdup("/tmp/weir-test-XXXXXX");
    int fd = mkstemp(path);
    uint8_t sector[512];
    if (fd < 0)
        abort();
    for (uint64_t at = 0; at < bytes && at < (8u << 20); at += 512) {
        size_t part = bytes - at < 512 ? bytes - at : 512;
        rig_pattern(sector, (uint32_t)(at / 512));
        if (pwrite(fd, sector, part, (off_t)at) != (ssize_t)part)
            abort();
    }
    if (ftruncate(fd, (off_t)bytes) < 0)
        abort();
    close(fd);
    return path;
}

struct weir_block *rig_drive(struct rig *rig, const char *interface_name, int index,
                             uint64_t bytes, unsigned flags)
{
    struct weir_block *b = calloc(1, sizeof(*b));
    snprintf(b->id, sizeof(b->id), "%s%d", interface_name, index);
    snprintf(b->interface_name, sizeof(b->interface_name), "%s", interface_name);
    b->index = index;
    b->is_cdrom = flags & RIG_CDROM;
    b->read_only = flags & (RIG_CDROM | RIG_READ_ONLY);
    b->snapshot = flags & RIG_SNAPSHOT;
    b->fd = b->overlay_fd = -1;
    if (!(flags & RIG_EMPTY)) {
        char *path = rig_image(bytes);
        if (block_open(b, path, &rig->vm->err) < 0) {
            fprintf(stderr, "%s\n", rig->vm->err.text);
            abort();
        }
        unlink(path);
        free(path);
    }
    b->next = rig->vm->blocks;
    rig->vm->blocks = b;
    return b;
}

/* ---- accesses and time ---- */

uint32_t rig_in(struct rig *rig, unsigned port, unsigned size)
{
    return (uint32_t)bus_read(&rig->vm->io, port, size);
}

void rig_out(struct rig *rig, unsigned port, uint32_t value, unsigned size)
{
    bus_write(&rig->vm->io, port, value, size);
}

void rig_run(struct rig *rig, uint64_t ns)
{
    struct clock *clock = &rig->vm->clock;
    uint64_t end = clock_now_ns(clock) + ns;
    for (;;) {
        uint64_t now = clock_now_ns(clock), next = clock_deadline_ns(clock);
        if (next > end || now >= end)
            break;
        if (next > now)
            clock_advance(clock, next - now);
        clock_run_due(clock);
    }
    if (clock_now_ns(clock) < end)
        clock_advance(clock, end - clock_now_ns(clock));
}
