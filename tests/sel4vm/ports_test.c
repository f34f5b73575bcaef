/* SPDX-License-Identifier: MIT */
/* A program for libsel4vm with handlers of its own for ports and VMCALL. */
#include "guest.h"

GUEST_CODE(
    ports,
    "mov eax, 0x11223344\n mov dx, 0x300\n out dx, al\n out dx, ax\n out dx, eax\n"
    "mov eax, 0x55667788\n in al, dx\n mov [0x2000], eax\n"
    "mov eax, 0x55667788\n in ax, dx\n mov [0x2004], eax\n in eax, dx\n mov [0x2008], eax\n"
    "mov eax, 0x55667788\n in al, 0x70\n mov [0x200c], eax\n"
    "mov eax, 0x55667788\n in ax, 0x70\n mov [0x2010], eax\n"
    "in eax, 0x70\n mov [0x2014], eax\n hlt");

GUEST_CODE(loop, "mov ecx, 5000\n mov dx, 0x301\n1: mov eax, ecx\n out dx, eax\n in eax, dx\n"
                 "add ebx, eax\n dec ecx\n jnz 1b\n hlt");

GUEST_CODE(strings, "mov esi, 0x2000\n mov edi, 0x2100\n mov dx, 0x300\n mov ecx, 5\n cld\n"
                    "rep outsb\n mov ecx, 3\n rep insd\n mov ecx, 0\n rep insb\n outsw\n hlt");

GUEST_CODE(calls,
           "mov eax, 4\n mov ebx, 40\n .byte 0x0f, 0x01, 0xc1\n mov [0x2000], eax\n"
           "mov [0x2004], ebx\n mov eax, 99\n .byte 0x0f, 0x01, 0xc1\n mov [0x2008], eax\n"
           "mov eax, 5\n .byte 0x0f, 0x01, 0xc1\n mov [0x200c], eax\n hlt\n"
           "mov eax, 0x77\n mov [0x2010], eax\n hlt");

struct log {
    unsigned count;
    struct {
        unsigned port, size, value;
        seL4_Word rip, length, qualification;
    } at[64];
};

static ioport_fault_result_t log_in(vm_vcpu_t *vcpu, void *cookie, unsigned int port_no,
                                    unsigned int size, unsigned int *result)
{
    struct log *l = cookie;
    (void)vcpu, (void)port_no;
    *result = 0xa1b2c3d4 + l->count++;
    return size == 8 ? IO_FAULT_ERROR : IO_FAULT_HANDLED;
}

static ioport_fault_result_t log_out(vm_vcpu_t *vcpu, void *cookie, unsigned int port_no,
                                     unsigned int size, unsigned int value)
{
    struct log *l = cookie;
    l->at[l->count].port = port_no;
    l->at[l->count].size = size;
    l->at[l->count].value = value;
    l->at[l->count].rip = field(vcpu, VMX_GUEST_RIP);
    l->at[l->count].length = field(vcpu, VMX_DATA_EXIT_INSTRUCTION_LENGTH);
    l->at[l->count++].qualification = field(vcpu, VMX_DATA_EXIT_QUALIFICATION);
    CHECK(field(vcpu, VMX_DATA_EXIT_REASON) == EXIT_REASON_IO_INSTRUCTION);
    return IO_FAULT_HANDLED;
}

static void handlers_see_accesses(void)
{
    vm_t vm;
    struct log l = {0};
    vm_vcpu_t *vcpu = GUEST(&vm, ports);
    CHECK(vm_io_port_add_handler(&vm, (vm_ioport_range_t){0x300, 0x307},
                                 (vm_ioport_interface_t){&l, log_in, log_out, "log"}) == 0);
    /* Sharing one port is an overlap, at either end. */
    CHECK(vm_io_port_add_handler(&vm, (vm_ioport_range_t){0x307, 0x308},
                                 (vm_ioport_interface_t){&l, log_in, log_out, "no"}) == -1);
    CHECK(vm_io_port_add_handler(&vm, (vm_ioport_range_t){0x2f0, 0x300},
                                 (vm_ioport_interface_t){&l, log_in, log_out, "no"}) == -1);
    CHECK(vm_io_port_add_handler(&vm, (vm_ioport_range_t){0x10, 0xf},
                                 (vm_ioport_interface_t){&l, log_in, log_out, "no"}) == -1);
    CHECK(vm_register_unhandled_ioport_callback(&vm, NULL, NULL) == -1);
    CHECK(vm_run(&vm) == 0);
    CHECK(vm.run.exit_reason == VM_GUEST_UNKNOWN_EXIT);
    static const unsigned values[] = {0x44, 0x3344, 0x11223344};
    for (unsigned n = 0; n < 3; n++) {
        CHECK(l.at[n].port == 0x300 && l.at[n].size == 1u << n && l.at[n].value == values[n]);
        CHECK(l.at[n].rip == CODE + 9 + (n > 0) + (n > 1) * 2u);
        CHECK(l.at[n].length == (n == 1 ? 2 : 1));
        CHECK(l.at[n].qualification == (0x03000000u | ((1u << n) - 1)));
    }
    CHECK(word_at(&vm, 0x2000) == 0x556677d7);
    CHECK(word_at(&vm, 0x2004) == 0x5566c3d8);
    CHECK(word_at(&vm, 0x2008) == 0xa1b2c3d9);
    /* A port of nobody's. */
    CHECK(word_at(&vm, 0x200c) == 0x556677ff);
    CHECK(word_at(&vm, 0x2010) == 0x5566ffff);
    CHECK(word_at(&vm, 0x2014) == 0xffffffff);
    CHECK(field(vcpu, VMX_GUEST_ACTIVITY) == 1);
    weir_sel4vm_destroy(&vm);
}

static ioport_fault_result_t unhandled(vm_vcpu_t *vcpu, unsigned int port_no, bool is_in,
                                       unsigned int *value, size_t size, void *cookie)
{
    unsigned *sum = cookie;
    (void)vcpu;
    CHECK(port_no == 0x301 && size == 4);
    if (is_in)
        *value = *sum % 7;
    else
        *sum += *value;
    return IO_FAULT_HANDLED;
}

static void hot_loops_work(void)
{
    vm_t vm;
    unsigned sum = 0, expected = 0, ebx = 0;
    vm_vcpu_t *vcpu = GUEST(&vm, loop);
    CHECK(vm_register_unhandled_ioport_callback(&vm, unhandled, &sum) == 0);
    CHECK(vm_run(&vm) == 0);
    for (unsigned n = 5000; n; n--) {
        expected += n;
        ebx += expected % 7;
    }
    CHECK(sum == expected && reg(vcpu, VCPU_CONTEXT_EBX) == ebx);
    weir_sel4vm_destroy(&vm);
}

static void strings_work(void)
{
    vm_t vm;
    struct log l = {0};
    vm_vcpu_t *vcpu = GUEST(&vm, strings);
    CHECK(vm_ram_touch(&vm, 0x2000, 8, vm_guest_ram_write_callback, "abcdefgh") == 0);
    CHECK(vm_io_port_add_handler(&vm, (vm_ioport_range_t){0x300, 0x300},
                                 (vm_ioport_interface_t){&l, log_in, log_out, "log"}) == 0);
    CHECK(vm_run(&vm) == 0);
    for (unsigned n = 0; n < 5; n++)
        CHECK(l.at[n].value == (unsigned)"abcde"[n] && (l.at[n].qualification & 0x30) == 0x30);
    CHECK(l.at[8].value == ('f' | 'g' << 8) && l.count == 9);
    CHECK(word_at(&vm, 0x2100) == 0xa1b2c3d9 && word_at(&vm, 0x2108) == 0xa1b2c3db);
    CHECK(reg(vcpu, VCPU_CONTEXT_ESI) == 0x2007 && reg(vcpu, VCPU_CONTEXT_EDI) == 0x210c);
    CHECK(reg(vcpu, VCPU_CONTEXT_ECX) == 0);
    weir_sel4vm_destroy(&vm);
}

static unsigned calls;
static int add_two(vm_vcpu_t *vcpu)
{
    seL4_Word ebx;
    calls++;
    CHECK(field(vcpu, VMX_DATA_EXIT_REASON) == EXIT_REASON_VMCALL);
    CHECK(field(vcpu, VMX_DATA_EXIT_INSTRUCTION_LENGTH) == 3);
    CHECK(vm_get_thread_context_reg(vcpu, VCPU_CONTEXT_EBX, &ebx) == 0);
    CHECK(vm_set_thread_context_reg(vcpu, VCPU_CONTEXT_EBX, ebx + 2) == 0);
    return vm_set_thread_context_reg(vcpu, VCPU_CONTEXT_EAX, 0x1234);
}
static int move_on(vm_vcpu_t *vcpu)
{
    /* Over the HLT behind the store: 3 + 5 + 1 bytes. */
    return vm_set_vmcs_field(vcpu, VMX_GUEST_RIP, field(vcpu, VMX_GUEST_RIP) + 9);
}
static int refuse(vm_vcpu_t *vcpu)
{
    (void)vcpu;
    return 1;
}

static void vmcalls_are_served(void)
{
    vm_t vm;
    vm_vcpu_t *vcpu = GUEST(&vm, calls);
    CHECK(vm_reg_new_vmcall_handler(&vm, add_two, 4) == 0);
    CHECK(vm_reg_new_vmcall_handler(&vm, refuse, 4) == -1);
    CHECK(vm_reg_new_vmcall_handler(&vm, move_on, 5) == 0);
    CHECK(vm_run(&vm) == 0);
    CHECK(calls == 1);
    CHECK(word_at(&vm, 0x2000) == 0x1234 && word_at(&vm, 0x2004) == 42);
    CHECK(word_at(&vm, 0x2008) == 99); /* nobody's token: nothing happens */
    CHECK(word_at(&vm, 0x200c) == 0 && word_at(&vm, 0x2010) == 0x77);
    (void)vcpu;
    weir_sel4vm_destroy(&vm);

    GUEST(&vm, calls);
    CHECK(vm_reg_new_vmcall_handler(&vm, refuse, 99) == 0);
    CHECK(vm_run(&vm) == -1 && vm.run.exit_reason == VM_GUEST_ERROR_EXIT);
    weir_sel4vm_destroy(&vm);
}

int main(int argc, char **argv)
{
    engine = argc > 1 ? argv[1] : engine;
    handlers_see_accesses();
    hot_loops_work();
    strings_work();
    vmcalls_are_served();
    return 0;
}
