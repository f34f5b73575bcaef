/* SPDX-License-Identifier: MIT */
/* flat_vm.h - a machine of RAM and flat code, and a device at a port and in memory that does
 * nothing but call the test. */
#ifndef TESTS_FLAT_VM_H
#define TESTS_FLAT_VM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <weir/device.h>
#include <weir/machine.h>
#include <weir/memory.h>

#define CODE   0x1000u
#define STACK  0x8000u
#define TABLES 0x100000u
#define PORT   0x5000u
#define MMIO   0xe0000000u

/* What the device does; its result is what is read. `value` of a read is 0. */
static uint64_t (*probed)(uint64_t offset, uint64_t value);

static inline uint64_t probe_read(void *state, uint64_t offset, unsigned size)
{
    return probed ? probed(offset, 0) : 0;
}
static inline void probe_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    if (probed)
        probed(offset, value);
}
static const struct weir_io_ops probe_ops = {probe_read, probe_write, 1, 8, true};
static inline int probe_init(weir_dev *dev, void *state)
{
    return weir_map_ports(dev, PORT, 8, &probe_ops, 0, "probe") &&
                   weir_map_memory(dev, MMIO, 4096, &probe_ops, 0, "probe")
               ? 0
               : -WEIR_ENOMEM;
}
static inline void probe_reset(void *state) {}
static const struct weir_field no_fields[] = {WEIR_FIELD_END};
static const struct weir_dev_class probe_class = {.name = "probe",
                                                  .help = "calls the test",
                                                  .bus = "system",
                                                  .state_bytes = 8,
                                                  .version = 1,
                                                  .init = probe_init,
                                                  .reset = probe_reset,
                                                  .fields = no_fields,
                                                  .user_creatable = true};

/* With one device. */
static inline weir *flat_machine(const char *engine, unsigned bits, uint64_t ram_bytes,
                                 const struct weir_dev_class *device)
{
    struct weir_config config;
    weir *vm;
    weir_config_init(&config, sizeof(config));
    config.machine = "none";
    config.accel = engine;
    config.cpu = "max";
    config.ram_bytes = ram_bytes;
    assert_int_equal(weir_create(&config, &vm), 0);
    assert_int_equal(weir_device_class_add(vm, device), 0);
    assert_int_equal(weir_device_add(vm, device->name, NULL, NULL, NULL), 0);
    assert_int_equal(weir_boot_flat(vm, bits, CODE, STACK, TABLES), 0);
    return vm;
}

static inline weir *flat_vm(const char *engine, unsigned bits, const void *code, size_t bytes)
{
    weir *vm = flat_machine(engine, bits, 16 << 20, &probe_class);
    weir_mem_write(vm, CODE, code, bytes);
    return vm;
}

#endif
