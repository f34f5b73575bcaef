/* SPDX-License-Identifier: MIT */
#include "pcbench.h"
#include "dev/machine_hooks.h"

#include <stdlib.h>

/* The run loop is not here: wishes for it are ignored. */
void machine_reset_request(weir *vm) {}
void machine_shutdown_request(weir *vm) {}
void machine_debug_exit(weir *vm, uint32_t value) {}
void machine_a20_set(weir *vm, bool enabled)
{
    vm->a20_enabled = enabled;
}
bool machine_a20(const weir *vm)
{
    return vm->a20_enabled;
}

struct weir *bench_new(uint64_t ram_bytes)
{
    struct weir *vm = calloc(1, sizeof(*vm));
    assert_non_null(vm);
    vm->config.machine = "pc";
    vm->config.ram_bytes = ram_bytes;
    log_init(&vm->log, NULL, NULL);
    assert_int_equal(clock_init(&vm->clock, CLOCK_MANUAL), 0);
    assert_int_equal(ram_init(&vm->ram, ram_bytes, &vm->err), 0);
    assert_int_equal(bus_init(&vm->mem, "memory", (1ull << 52) - 1), 0);
    assert_int_equal(bus_init(&vm->io, "I/O", 0xffff), 0);
    assert_non_null(bus_map_memory(&vm->mem, 0, vm->ram.below_4g, vm->ram.base, vm->ram.tags,
                                   false, -1, "ram"));
    return vm;
}

void bench_free(struct weir *vm)
{
    devices_free(vm);
    bus_fini(&vm->mem);
    bus_fini(&vm->io);
    ram_fini(&vm->ram);
    clock_fini(&vm->clock);
    log_fini(&vm->log);
    free(vm);
}
int bench_teardown(void **state)
{
    bench_free(*state);
    return 0;
}

weir_dev *bench_add(struct weir *vm, const struct weir_dev_class *cls, const char *props)
{
    weir_dev *dev = NULL;
    if (device_create(vm, cls, NULL, props, &dev) < 0)
        fail_msg("%s", vm->err.text);
    return dev;
}
