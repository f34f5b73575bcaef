/* SPDX-License-Identifier: MIT */
/* guest.h - what the test programs share: a VM with RAM and some code in it. */
#ifndef TESTS_SEL4VM_GUEST_H
#define TESTS_SEL4VM_GUEST_H

#include <sel4/sel4.h>
#include <sel4vm/arch/guest_x86_context.h>
#include <sel4vm/arch/ioports.h>
#include <sel4vm/arch/vmcall.h>
#include <sel4vm/boot.h>
#include <sel4vm/guest_memory_helpers.h>
#include <sel4vm/guest_ram.h>
#include <sel4vm/guest_vm.h>
#include <sel4vm/guest_vm_exits.h>
#include <sel4vm/weir.h>
#include <simple/simple.h>
#include <utils/util.h>
#include <vka/vka.h>
#include <vspace/vspace.h>

#define CHECK(condition)                                                                       \
    do {                                                                                       \
        if (!(condition)) {                                                                    \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);            \
            exit(1);                                                                           \
        }                                                                                      \
    } while (0)

#define CODE      0x1000u
#define RAM_BYTES 0x400000u

/* 32-bit code between two labels. */
#define GUEST_CODE(name, text)                                                                 \
    extern const uint8_t code_##name[], code_##name##_end[];                                   \
    __asm__(".pushsection .rodata\n.globl code_" #name ", code_" #name "_end\ncode_" #name     \
            ":\n.code32\n.intel_syntax noprefix\n" text "\n.att_syntax\n.code64\ncode_" #name  \
            "_end:\n.popsection")

static const char *engine = "jit";

static inline vm_vcpu_t *guest_new(vm_t *vm, const uint8_t *code, const uint8_t *end)
{
    struct weir_config config;
    weir_config_init(&config, sizeof(config));
    config.accel = engine;
    config.ram_bytes = 4ull << 30;
    CHECK(weir_sel4vm_init(vm, &config, "test") == 0);
    vm_vcpu_t *vcpu = vm_create_vcpu(vm, 100);
    CHECK(vcpu && vcpu->vcpu_id == BOOT_VCPU);
    CHECK(vm_ram_register_at(vm, 0, RAM_BYTES, false) == 0);
    CHECK(vm_ram_touch(vm, CODE, (size_t)(end - code), vm_guest_ram_write_callback,
                       (void *)code) == 0);
    CHECK(vm_set_vmcs_field(vcpu, VMX_GUEST_RIP, CODE) == 0);
    CHECK(vm_set_vmcs_field(vcpu, VMX_GUEST_RSP, 0x9000) == 0);
    CHECK(vcpu_start(vcpu) == 0);
    return vcpu;
}
#define GUEST(vm, name) guest_new(vm, code_##name, code_##name##_end)

/* Flat segments 8 and 10h, and an IDT all of whose gates lead to this code, at 3000h. */
static inline void guest_tables(vm_t *vm, vm_vcpu_t *vcpu, const uint8_t *code,
                                const uint8_t *end)
{
    uint64_t gdt[3] = {0, 0x00cf9b000000ffff, 0x00cf93000000ffff}, idt[256];
    for (unsigned n = 0; n < 256; n++)
        idt[n] = 0x00008e0000083000; /* 8:3000 */
    CHECK(vm_ram_touch(vm, 0x4000, 24, vm_guest_ram_write_callback, gdt) == 0);
    CHECK(vm_ram_touch(vm, 0x5000, 2048, vm_guest_ram_write_callback, idt) == 0);
    CHECK(vm_ram_touch(vm, 0x3000, (size_t)(end - code), vm_guest_ram_write_callback,
                       (void *)code) == 0);
    vm_set_vmcs_field(vcpu, VMX_GUEST_GDTR_BASE, 0x4000);
    vm_set_vmcs_field(vcpu, VMX_GUEST_GDTR_LIMIT, 23);
    vm_set_vmcs_field(vcpu, VMX_GUEST_IDTR_BASE, 0x5000);
    vm_set_vmcs_field(vcpu, VMX_GUEST_IDTR_LIMIT, 2047);
}

static inline seL4_Word field(vm_vcpu_t *vcpu, seL4_Word number)
{
    seL4_Word value = 0;
    CHECK(vm_get_vmcs_field(vcpu, number, &value) == 0);
    return value;
}
static inline seL4_Word reg(vm_vcpu_t *vcpu, vcpu_context_reg_t number)
{
    seL4_Word value = 0;
    CHECK(vm_get_thread_context_reg(vcpu, number, &value) == 0);
    return value;
}
static inline uint32_t word_at(vm_t *vm, uintptr_t address)
{
    uint32_t value;
    CHECK(vm_ram_touch(vm, address, 4, vm_guest_ram_read_callback, &value) == 0);
    return value;
}

#endif
