/* SPDX-License-Identifier: MIT */
/*
 * tool_fake.c - just enough of the library for the tests of the tool's parts: a few devices,
 * CPU models and registers with known answers, and one-byte "instructions".
 */
#include <weir/machine.h>
#include <weir/memory.h>
#include <weir/vmi.h>

#include <stdio.h>
#include <string.h>

const char *weir_version(void)
{
    return "9.8.7";
}

void weir_config_init(struct weir_config *config, size_t size)
{
    memset(config, 0, size);
    config->size = size;
    config->name = "weir";
    config->icount_shift = -1;
}

void weir_vmi_config_init(struct weir_vmi_config *config, size_t size)
{
    memset(config, 0, size);
    config->size = size;
    config->api = 3;
    config->base = 0xd0000;
}

static const char *const models[] = {"host", "qemu64", "pentium3"};
const char *weir_cpu_model(unsigned i, const char **help)
{
    if (help)
        *help = "a model";
    return i < 3 ? models[i] : NULL;
}
static const char *const features[] = {"sse2", "avx", "sse4.1", "avx512f"};
const char *weir_cpu_feature(unsigned i)
{
    return i < 4 ? features[i] : NULL;
}

static const struct weir_prop serial_props[] = {
    {"iobase", WEIR_PROP_U32, 0, "0x3f8", "first port"},
    {"chardev", WEIR_PROP_CHAR, 8, NULL, "character device"},
    {NULL, WEIR_PROP_U32, 0, NULL, NULL},
};
static const struct weir_dev_class classes[] = {
    {.name = "isa-serial",
     .help = "16550",
     .bus = "isa",
     .props = serial_props,
     .user_creatable = true},
    {.name = "internal", .help = "not for users", .bus = "system"},
    {.name = "isa-debug-exit", .help = "exit", .bus = "isa", .user_creatable = true},
};
const struct weir_dev_class *weir_device_class(const weir *vm, unsigned i)
{
    return i < 3 ? &classes[i] : NULL;
}

/* Register n holds 0x1111111111111111 * n. */
static const char *const registers[] = {"rax", "rcx", "rdx", "rbx", "rsp",
                                        "rbp", "rsi", "rdi", "r8"};
int weir_reg_by_name(const char *name)
{
    for (int k = 0; k < 9; k++)
        if (!strcmp(registers[k], name))
            return k;
    return !strcmp(name, "cs") ? WEIR_CS : !strcmp(name, "rip") ? WEIR_RIP : -WEIR_ENOENT;
}
int weir_reg_get(weir_vcpu *cpu, enum weir_reg reg, union weir_value *value)
{
    *value = (union weir_value){.u64 = 0x1122334455667788ull + reg};
    if (reg == WEIR_CS)
        *value = (union weir_value){.segment = {.selector = 0xf000, .base = 0xf0000}};
    if (reg == WEIR_RIP)
        value->u64 = 0xfff0;
    return 0;
}
weir_gva weir_linear_rip(weir_vcpu *cpu)
{
    return 0xffff0;
}

int weir_disassemble(const uint8_t *bytes, size_t length, unsigned bits, uint64_t address,
                     bool intel, char *text, size_t text_bytes)
{
    if (bytes[0] == 0xff)
        return 0;
    snprintf(text, text_bytes, "op%02x /%u", bytes[0], bits);
    return 1 + bytes[0] % 3 <= (int)length ? 1 + bytes[0] % 3 : 0;
}
