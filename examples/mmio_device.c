/* SPDX-License-Identifier: MIT */
/* Writes a device of its own, a counter at physical address D0000000h, and lets a guest use it. */
#include <stdio.h>
#include <weir/device.h>
#include <weir/machine.h>
#include <weir/memory.h>

struct counter {
    uint32_t value; /* what the guest sees */
};

static uint64_t counter_read(void *state, uint64_t offset, unsigned size)
{
    struct counter *c = state;
    (void)size;
    return offset == 0 ? c->value++ : 0; /* reading counts */
}

static void counter_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    struct counter *c = state;
    (void)size;
    if (offset == 0)
        c->value = (uint32_t)value;
}

static const struct weir_io_ops counter_io = {
    .read = counter_read, .write = counter_write, .min_bytes = 4, .max_bytes = 4};

static int counter_init(weir_dev *dev, void *state)
{
    (void)state;
    if (!weir_map_memory(dev, 0xd0000000, 4096, &counter_io, 0, "counter"))
        return weir_dev_fail(dev, WEIR_ENOMEM, "cannot map registers");
    return 0;
}

static void counter_reset(void *state)
{
    *(struct counter *)state = (struct counter){0};
}

static const struct weir_field counter_fields[] = {
    WEIR_FIELD(struct counter, value),
    WEIR_FIELD_END,
};
static const struct weir_dev_class counter_class = {
    .name = "counter",
    .help = "counts its reads",
    .bus = "system",
    .state_bytes = sizeof(struct counter),
    .version = 1,
    .init = counter_init,
    .reset = counter_reset,
    .fields = counter_fields,
    .user_creatable = true,
};

int main(void)
{
    /* mov ebx, 0xd0000000; mov dword [ebx], 40; three times mov eax, [ebx]; hlt */
    static const uint8_t code[] = {0xbb, 0, 0,    0, 0xd0, 0xc7, 3,    40, 0,
                                   0,    0, 0x8b, 3, 0x8b, 3,    0x8b, 3,  0xf4};
    struct weir_config config;
    weir_config_init(&config, sizeof(config));
    config.machine = "none";
    weir *vm;
    weir_dev *dev;
    if (weir_create(&config, &vm) < 0)
        return 1;
    if (weir_device_class_add(vm, &counter_class) < 0 ||
        weir_device_add(vm, "counter", NULL, NULL, &dev) < 0) {
        fprintf(stderr, "%s\n", weir_last_error(vm));
        return 1;
    }
    weir_mem_write(vm, 0x1000, code, sizeof(code));
    weir_boot_flat(vm, 32, 0x1000, 0x8000, 0);

    struct weir_exit exit;
    union weir_value eax;
    weir_run(weir_get_vcpu(vm, 0), 1000, &exit);
    weir_reg_get(weir_get_vcpu(vm, 0), WEIR_RAX, &eax);
    const struct counter *c = weir_dev_state(dev);
    printf("guest saw %llu, device holds %u\n", (unsigned long long)eax.u64, c->value);
    bool good = eax.u64 == 42 && c->value == 43;
    weir_destroy(vm);
    return good ? 0 : 1;
}
