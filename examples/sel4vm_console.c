/* SPDX-License-Identifier: MIT */
/*
 * A small VMM by libsel4vm's interface: a serial port for output, a VMCALL that ends the guest, a
 * register in memory that counts. Nothing in it is Weir's own.
 */
#include <sel4/sel4.h>
#include <sel4vm/arch/guest_x86_context.h>
#include <sel4vm/arch/ioports.h>
#include <sel4vm/arch/vmcall.h>
#include <sel4vm/boot.h>
#include <sel4vm/guest_ram.h>
#include <sel4vm/guest_vcpu_fault.h>
#include <sel4vm/guest_vm.h>
#include <sel4vm/weir.h>
#include <simple/simple.h>
#include <stdio.h>
#include <string.h>
#include <vka/vka.h>
#include <vspace/vspace.h>

#define SERIAL  0x3f8
#define COUNTER 0xd0000000

/* 32-bit code at 1000h: prints "tick N" three times, N from the counter, then VMCALL 1. */
static const uint8_t code[] = {
    0xbb, 3,    0,    0, 0,    /* mov ebx, 3 */
    0xba, 0xf8, 3,    0, 0,    /* mov edx, 3f8h */
    0xbe, 0x00, 0x20, 0, 0,    /* again: mov esi, 2000h */
    0xb9, 5,    0,    0, 0,    /* mov ecx, 5 */
    0xf3, 0x6e,                /* rep outsb */
    0xa1, 0,    0,    0, 0xd0, /* mov eax, [d0000000h] */
    0x04, '0',                 /* add al, '0' */
    0xee,                      /* out dx, al */
    0xb0, '\n', 0xee,          /* mov al, '\n'; out dx, al */
    0x4b,                      /* dec ebx */
    0x75, 0xe4,                /* jnz again */
    0xb8, 1,    0,    0, 0,    /* mov eax, 1 */
    0x0f, 0x01, 0xc1,          /* vmcall */
};

static char screen[256];
static size_t length;

static ioport_fault_result_t serial_out(vm_vcpu_t *vcpu, void *cookie, unsigned int port_no,
                                        unsigned int size, unsigned int value)
{
    (void)vcpu;
    (void)cookie;
    (void)port_no;
    (void)size;
    if (length < sizeof(screen) - 1)
        screen[length++] = (char)value;
    return IO_FAULT_HANDLED;
}

static memory_fault_result_t count(vm_t *vm, vm_vcpu_t *vcpu, uintptr_t fault_addr,
                                   size_t fault_length, void *cookie)
{
    unsigned *counter = cookie;
    (void)vm;
    (void)fault_addr;
    (void)fault_length;
    if (is_vcpu_read_fault(vcpu))
        set_vcpu_fault_data(vcpu, ++*counter);
    advance_vcpu_fault(vcpu);
    return FAULT_HANDLED;
}

static int finish(vm_vcpu_t *vcpu)
{
    seL4_Word rip, edx;
    vm_get_vmcs_field(vcpu, VMX_GUEST_RIP, &rip);
    vm_get_thread_context_reg(vcpu, VCPU_CONTEXT_EDX, &edx);
    printf("%sfinished at %#lx, edx=%#lx\n", screen, rip, edx);
    return -1; /* vm_run ends */
}

int main(void)
{
    static vm_t vm;
    static vka_t vka;
    static simple_t simple;
    static vspace_t vspace;
    static ps_io_ops_t io_ops;
    unsigned counter = 0;
    if (vm_init(&vm, &vka, &simple, vspace, &io_ops, 0, "console"))
        return 1;
    vm_vcpu_t *vcpu = vm_create_vcpu(&vm, 100);
    if (!vcpu || vm_ram_register_at(&vm, 0, 1 << 20, false))
        return 1;
    vm_ioport_range_t range = {SERIAL, SERIAL + 7};
    vm_ioport_interface_t serial = {NULL, NULL, serial_out, "serial"};
    if (vm_io_port_add_handler(&vm, range, serial) ||
        vm_reg_new_vmcall_handler(&vm, finish, 1) ||
        !vm_reserve_memory_at(&vm, COUNTER, 0x1000, count, &counter))
        return 1;
    vm_ram_touch(&vm, 0x1000, sizeof(code), vm_guest_ram_write_callback, (void *)code);
    vm_ram_touch(&vm, 0x2000, 5, vm_guest_ram_write_callback, "tick ");
    vm_set_vmcs_field(vcpu, VMX_GUEST_RIP, 0x1000);
    vcpu_start(vcpu);
    vm_run(&vm);
    weir_sel4vm_destroy(&vm); /* not libsel4vm's: there a machine ends with its process */
    return counter == 3 && !strcmp(screen, "tick 1\ntick 2\ntick 3\n") ? 0 : 1;
}
